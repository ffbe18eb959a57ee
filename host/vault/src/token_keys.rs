//! One key inside a PKCS#11 token, and the algorithms by the token's mechanisms. The key stays in
//! the token. What is derived from it comes out, into this process's memory, for the one request that
//! asked: no common mechanism derives what these schemes want.

use crate::algorithm::{Cipher, Mac, Step, padded};
use crate::check_value;
use crate::kind::Kind;
use crate::refused::Refused;
use crate::soft::{self, Ask, Direction, Key};
use crate::vault::Message;
use cryptoki::mechanism::Mechanism;
use cryptoki::mechanism::aead::GcmParams;
use cryptoki::object::ObjectHandle;
use cryptoki::session::Session;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// A session is one user's at a time.
pub type SharedSession = Arc<Mutex<Session>>;

/// `Debug` names its kind only.
#[derive(Clone)]
pub struct TokenKey {
    pub session: SharedSession,
    pub handle: ObjectHandle,
    pub kind: Kind,
    pub bytes: usize,
    /// For 3DES: the left half taken twice, which is single DES, for a MAC of more than one block.
    pub left: Option<ObjectHandle>,
}

impl fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenKey").field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// Bits in the tag of full length.
const TAG_BITS: u64 = 128;

impl TokenKey {
    pub fn kind(&self) -> Kind {
        self.kind
    }

    pub fn check_value(&self) -> Result<String, Refused> {
        let answer = match self.kind {
            Kind::TripleDes => self.crypt(Direction::Encrypt, &Mechanism::Des3Ecb, &[0; 8])?,
            Kind::Aes => self.crypt(Direction::Encrypt, &Mechanism::AesEcb, &[0; 16])?,
            Kind::Hmac => self.sign(&Mechanism::Sha256Hmac, &[])?,
            Kind::Sm4
            | Kind::Dlms
            | Kind::StsDes
            | Kind::StsKdf
            | Kind::StsEa07
            | Kind::StsEa11
            | Kind::StsTables
            | Kind::KeyWrap => return Err(no_mechanism(self.kind)),
        };
        Ok(check_value::shown(&answer))
    }

    pub fn derived(&self, step: Step, factor: &[u8]) -> Result<Key, Refused> {
        let bytes =
            soft::derived_bytes(step, self.bytes, factor, &mut |question| match question {
                Ask::Ecb(blocks) => self.ecb(Direction::Encrypt, blocks),
                Ask::Cmac(data) => self.sign(&Mechanism::AesCMac, data),
            })?;
        Key::new(self.kind, bytes)
            .ok_or(Refused::BadLength { what: "a derived key", length: self.bytes })
    }

    pub fn mac(&self, algorithm: Mac, iv: &[u8], data: &[u8]) -> Result<Vec<u8>, Refused> {
        match algorithm {
            Mac::Pboc => self.pboc_mac(iv, data),
            Mac::Hmac => self.sign(&Mechanism::Sha256Hmac, data),
            Mac::Cmac => self.sign(&Mechanism::AesCMac, data),
            Mac::Gmac => self.gcm(Direction::Encrypt, iv, data, &[]),
            Mac::DlmsGmac | Mac::Sm4Cbc => Err(no_mechanism(algorithm.kind())),
        }
    }

    pub fn cipher(
        &self,
        algorithm: Cipher,
        direction: Direction,
        message: Message<'_>,
    ) -> Result<Vec<u8>, Refused> {
        let Message { iv, associated, data } = message;
        match algorithm {
            Cipher::TripleDesEcb | Cipher::AesEcb => self.ecb(direction, data),
            Cipher::TripleDesCbc => self.crypt(direction, &Mechanism::Des3Cbc(fixed(iv)?), data),
            Cipher::AesCbc => self.crypt(direction, &Mechanism::AesCbc(fixed(iv)?), data),
            // CKM_AES_CTR by way of CKM_AES_ECB, which every token has.
            Cipher::AesCtr => {
                let mut stream =
                    self.ecb(Direction::Encrypt, &soft::counter_blocks(iv, data.len())?)?;
                stream.truncate(data.len());
                soft::xor(&mut stream, data);
                Ok(stream)
            }
            Cipher::AesGcm => self.gcm(direction, iv, associated, data),
            Cipher::DlmsGcm
            | Cipher::Sm4Ecb
            | Cipher::Sm4Cbc
            | Cipher::StsEa07
            | Cipher::StsEa11
            | Cipher::StsKeyChange
            | Cipher::KeyWrap => Err(no_mechanism(algorithm.kind(self.kind))),
        }
    }

    fn ecb(&self, direction: Direction, data: &[u8]) -> Result<Vec<u8>, Refused> {
        let mechanism = match self.kind {
            Kind::TripleDes => Mechanism::Des3Ecb,
            Kind::Aes => Mechanism::AesEcb,
            _ => return Err(no_mechanism(self.kind)),
        };
        self.crypt(direction, &mechanism, data)
    }

    /// Retail MAC out of 3DES: the left half taken twice is single DES, and the last block needs
    /// encryption under left, decryption under right and encryption under left, which is 3DES.
    fn pboc_mac(&self, iv: &[u8], data: &[u8]) -> Result<Vec<u8>, Refused> {
        let padded = padded(data, 8);
        let (first, last) = padded.split_at(padded.len().saturating_sub(8));
        let mut state = iv.to_vec();
        if !first.is_empty() {
            let left = self.left.ok_or(Refused::NoMechanism {
                mechanism: "CKM_DES_MAC key (an object `.../left`)",
            })?;
            let blocks =
                self.crypt_by(left, Direction::Encrypt, &Mechanism::Des3Cbc(fixed(iv)?), first)?;
            state = blocks.get(blocks.len().saturating_sub(8)..).unwrap_or_default().to_vec();
        }
        soft::xor(&mut state, last);
        self.ecb(Direction::Encrypt, &state)
    }

    fn gcm(
        &self,
        direction: Direction,
        iv: &[u8],
        aad: &[u8],
        data: &[u8],
    ) -> Result<Vec<u8>, Refused> {
        let mut iv = iv.to_vec();
        let bits = TAG_BITS.into();
        let params = GcmParams::new(&mut iv, aad, bits).map_err(|error| no_answer(&error))?;
        let answer = self.crypt(direction, &Mechanism::AesGcm(params), data);
        match answer {
            Err(Refused::NoAnswer { .. }) if direction == Direction::Decrypt => {
                Err(Refused::WrongTag)
            }
            answer => answer,
        }
    }

    fn crypt(
        &self,
        direction: Direction,
        mechanism: &Mechanism<'_>,
        data: &[u8],
    ) -> Result<Vec<u8>, Refused> {
        self.crypt_by(self.handle, direction, mechanism, data)
    }

    fn crypt_by(
        &self,
        key: ObjectHandle,
        direction: Direction,
        mechanism: &Mechanism<'_>,
        data: &[u8],
    ) -> Result<Vec<u8>, Refused> {
        let session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = match direction {
            Direction::Encrypt => session.encrypt(mechanism, key, data),
            Direction::Decrypt => session.decrypt(mechanism, key, data),
        };
        answer.map_err(|error| told(&error, mechanism))
    }

    fn sign(&self, mechanism: &Mechanism<'_>, data: &[u8]) -> Result<Vec<u8>, Refused> {
        let session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        session.sign(mechanism, self.handle, data).map_err(|error| told(&error, mechanism))
    }
}

/// A mechanism that is missing is named; anything else is the token's own trouble.
fn told(error: &cryptoki::error::Error, mechanism: &Mechanism<'_>) -> Refused {
    use cryptoki::error::{Error, RvError};
    let mechanism = match mechanism {
        Mechanism::Des3Ecb => "CKM_DES3_ECB",
        Mechanism::Des3Cbc(_) => "CKM_DES3_CBC",
        Mechanism::AesEcb => "CKM_AES_ECB",
        Mechanism::AesCbc(_) => "CKM_AES_CBC",
        Mechanism::AesGcm(_) => "CKM_AES_GCM",
        Mechanism::AesCMac => "CKM_AES_CMAC",
        Mechanism::Sha256Hmac => "CKM_SHA256_HMAC",
        _ => "such mechanism",
    };
    match error {
        Error::Pkcs11(RvError::MechanismInvalid | RvError::FunctionNotSupported, _) => {
            Refused::NoMechanism { mechanism }
        }
        error => no_answer(error),
    }
}

fn no_answer(error: &cryptoki::error::Error) -> Refused {
    Refused::NoAnswer { why: error.to_string() }
}

/// What a driver hears that asks for what PKCS#11 has no mechanism for; `Token` does not take such
/// keys in.
pub fn no_mechanism(kind: Kind) -> Refused {
    Refused::NoMechanism { mechanism: why_not(kind) }
}

pub fn why_not(kind: Kind) -> &'static str {
    match kind {
        Kind::Sm4 => "mechanism for SM4 (PKCS#11 names none)",
        Kind::Dlms => "CKM_AES_GCM with a second key in its additional data",
        Kind::StsDes | Kind::StsKdf | Kind::StsEa07 | Kind::StsEa11 | Kind::StsTables => {
            "mechanism for STS (PKCS#11 names none)"
        }
        Kind::KeyWrap => "CKM_AES_KEY_WRAP of keys that may not leave it",
        Kind::TripleDes | Kind::Aes | Kind::Hmac => "such mechanism",
    }
}

fn fixed<const N: usize>(iv: &[u8]) -> Result<[u8; N], Refused> {
    iv.try_into().map_err(|_| Refused::BadLength { what: "an initial value", length: iv.len() })
}

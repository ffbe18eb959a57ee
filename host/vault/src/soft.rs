//! The algorithms, on keys in this process's memory. Every key schedule is overwritten when it is
//! dropped; `Debug` prints none of it.
//!
//! Invariant: the caller has checked kind and lengths (`vault.rs`); what is still impossible comes
//! back as an error, never as a panic.

use crate::algorithm::{Step, and_inverted, padded};
use crate::kind::Kind;
use crate::refused::Refused;
use crate::secret::Secret;
use crate::token_keys::no_mechanism;
use aes::{Aes128, Aes256};
use aes_gcm::AesGcm;
use aes_gcm::aead::{Aead, Nonce, Payload};
use aes_gcm::aes::cipher::consts::{U12, U16};
use cmac::Cmac;
use des::cipher::{Array, BlockCipherDecrypt, BlockCipherEncrypt, BlockSizeUser, KeyInit};
use des::{Des, TdesEde2};
use hmac::Hmac;
use sha2::Sha256;
use sm4::Sm4;

/// A key in memory.
#[derive(Debug, Clone)]
pub struct Key {
    kind: Kind,
    bytes: Secret,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    Encrypt,
    Decrypt,
}

impl Key {
    /// `None`: no length of this kind.
    pub fn new(kind: Kind, bytes: Secret) -> Option<Key> {
        kind.takes(bytes.len()).then_some(Key { kind, bytes })
    }

    pub fn kind(&self) -> Kind {
        self.kind
    }

    pub fn bytes(&self) -> &Secret {
        &self.bytes
    }

    /// The part that encrypts, and the authentication key behind it, empty but for DLMS.
    fn split(&self) -> (&[u8], &[u8]) {
        let bytes = self.bytes.expose();
        match self.kind {
            Kind::Dlms => bytes.split_at(bytes.len() / 2),
            _ => (bytes, &[]),
        }
    }

    pub fn ecb(&self, direction: Direction, data: &[u8]) -> Result<Vec<u8>, Refused> {
        self.with_blocks(|cipher| match direction {
            Direction::Encrypt => cipher.each(data, |cipher, block| cipher.encrypt(block)),
            Direction::Decrypt => cipher.each(data, |cipher, block| cipher.decrypt(block)),
        })
    }

    pub fn cbc(&self, direction: Direction, iv: &[u8], data: &[u8]) -> Result<Vec<u8>, Refused> {
        let mut last = iv.to_vec();
        self.with_blocks(|cipher| {
            cipher.each(data, |cipher, block| match direction {
                Direction::Encrypt => {
                    xor(block, &last);
                    cipher.encrypt(block);
                    last.copy_from_slice(block);
                }
                Direction::Decrypt => {
                    let this = block.to_vec();
                    cipher.decrypt(block);
                    xor(block, &last);
                    last = this;
                }
            })
        })
    }

    /// Both directions. `first` is the first counter block.
    pub fn ctr(&self, first: &[u8], data: &[u8]) -> Result<Vec<u8>, Refused> {
        let stream = self.ecb(Direction::Encrypt, &counter_blocks(first, data.len())?)?;
        let mut answer = data.to_vec();
        xor(&mut answer, &stream);
        Ok(answer)
    }

    /// Cipher text and tag; the tag alone where there is no data.
    pub fn seal(&self, tag: Tag, iv: &[u8], aad: &[u8], data: &[u8]) -> Result<Vec<u8>, Refused> {
        self.gcm(tag, Direction::Encrypt, iv, aad, data)
    }

    /// Both directions; the cipher text ends in the tag.
    pub fn gcm(
        &self,
        tag: Tag,
        direction: Direction,
        iv: &[u8],
        aad: &[u8],
        data: &[u8],
    ) -> Result<Vec<u8>, Refused> {
        let (key, _) = self.split();
        match (key.len(), tag) {
            (16, Tag::Bytes12) => gcm::<AesGcm<Aes128, U12, U12>>(key, direction, iv, aad, data),
            (16, Tag::Bytes16) => gcm::<AesGcm<Aes128, U12, U16>>(key, direction, iv, aad, data),
            (_, Tag::Bytes12) => gcm::<AesGcm<Aes256, U12, U12>>(key, direction, iv, aad, data),
            (_, Tag::Bytes16) => gcm::<AesGcm<Aes256, U12, U16>>(key, direction, iv, aad, data),
        }
    }

    /// The additional data of DLMS: security control, authentication key, the rest.
    /// IEC 62056-5-3:2023, 5.7 (AES-GCM): A = SC || AK || ...
    pub fn dlms_aad(&self, security_control_first: &[u8]) -> zeroize::Zeroizing<Vec<u8>> {
        let (control, rest) = security_control_first.split_at(security_control_first.len().min(1));
        zeroize::Zeroizing::new([control, self.split().1, rest].concat())
    }

    pub fn cmac(&self, data: &[u8]) -> Result<Vec<u8>, Refused> {
        let (key, _) = self.split();
        match key.len() {
            16 => mac::<Cmac<Aes128>>(key, data),
            _ => mac::<Cmac<Aes256>>(key, data),
        }
    }

    pub fn hmac(&self, data: &[u8]) -> Result<Vec<u8>, Refused> {
        mac::<Hmac<Sha256>>(self.bytes.expose(), data)
    }

    /// ISO/IEC 9797-1 algorithm 3, padding method 2: DES-CBC under the left half, the last block
    /// once more under right and left.
    pub fn pboc_mac(&self, iv: &[u8], data: &[u8]) -> Result<Vec<u8>, Refused> {
        let (left, right) = self.bytes.expose().split_at(self.bytes.len() / 2);
        let (left, right) = (keyed::<Des>(left)?, keyed::<Des>(right)?);
        let mut state = iv.to_vec();
        for block in padded(data, 8).chunks_exact(8) {
            xor(&mut state, block);
            left.encrypt(&mut state);
        }
        right.decrypt(&mut state);
        left.encrypt(&mut state);
        Ok(state)
    }

    /// The last block of CBC over the padded data.
    pub fn sm4_mac(&self, iv: &[u8], data: &[u8]) -> Result<Vec<u8>, Refused> {
        let mut blocks = self.cbc(Direction::Encrypt, iv, &padded(data, 16))?;
        Ok(blocks.split_off(blocks.len().saturating_sub(16)))
    }

    /// The key that follows from this one, computed by this one.
    pub fn derived(&self, step: Step, factor: &[u8]) -> Result<Key, Refused> {
        if matches!(step, Step::StsDes | Step::StsKdf) {
            return self.decoder_key(step, factor);
        }
        let kind = self.kind;
        let bytes =
            derived_bytes(step, self.bytes.len(), factor, &mut |question| match question {
                Ask::Ecb(blocks) => self.ecb(Direction::Encrypt, blocks),
                Ask::Cmac(data) => self.cmac(data),
            })?;
        Key::new(kind, bytes)
            .ok_or(Refused::BadLength { what: "a derived key", length: self.bytes.len() })
    }

    fn with_blocks<T>(
        &self,
        act: impl FnOnce(&dyn Blocks) -> Result<T, Refused>,
    ) -> Result<T, Refused> {
        let (key, _) = self.split();
        match (self.kind, key.len()) {
            (Kind::TripleDes, _) => act(&keyed::<TdesEde2>(key)?),
            (Kind::StsDes, _) => act(&keyed::<Des>(key)?),
            (Kind::Sm4, _) => act(&keyed::<Sm4>(key)?),
            (_, 16) => act(&keyed::<Aes128>(key)?),
            _ => act(&keyed::<Aes256>(key)?),
        }
    }
}

/// The length of the tag behind a cipher text of GCM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tag {
    Bytes12,
    Bytes16,
}

/// What a derivation asks of the root key, wherever that is.
pub enum Ask<'a> {
    Ecb(&'a [u8]),
    Cmac(&'a [u8]),
}

/// The bytes of the key that follows from one of `key_bytes`, as `diversification.algorithm` of the
/// contract says.
pub fn derived_bytes(
    step: Step,
    key_bytes: usize,
    factor: &[u8],
    ask: &mut dyn FnMut(Ask<'_>) -> Result<Vec<u8>, Refused>,
) -> Result<Secret, Refused> {
    Ok(Secret::new(match step {
        Step::TripleDesComplement => {
            let left = zeroize::Zeroizing::new(ask(Ask::Ecb(factor))?);
            and_inverted(&left)
        }
        Step::Pboc | Step::PbocSm4 => ask(Ask::Ecb(&and_inverted(factor)))?,
        Step::EmvAes if key_bytes == 16 => ask(Ask::Ecb(factor))?,
        Step::EmvAes => ask(Ask::Ecb(&and_inverted(factor)))?,
        Step::Cmac => ask(Ask::Cmac(factor))?,
        Step::StsDes | Step::StsKdf => return Err(no_mechanism(step.kind())),
    }))
}

/// As many counter blocks, counted big-endian from `first`, as cover `length` bytes.
pub fn counter_blocks(first: &[u8], length: usize) -> Result<Vec<u8>, Refused> {
    let first = <[u8; 16]>::try_from(first)
        .map_err(|_| Refused::BadLength { what: "a counter block", length: first.len() })?;
    let mut counter = u128::from_be_bytes(first);
    let mut blocks = Vec::with_capacity(length.next_multiple_of(16));
    while blocks.len() < length {
        blocks.extend(counter.to_be_bytes());
        counter = counter.wrapping_add(1);
    }
    Ok(blocks)
}

pub fn xor(onto: &mut [u8], from: &[u8]) {
    onto.iter_mut().zip(from).for_each(|(onto, from)| *onto ^= from);
}

/// One block cipher with its key.
trait Blocks {
    fn block_bytes(&self) -> usize;
    fn encrypt(&self, block: &mut [u8]);
    fn decrypt(&self, block: &mut [u8]);
}

impl<C: BlockCipherEncrypt + BlockCipherDecrypt + BlockSizeUser> Blocks for C {
    fn block_bytes(&self) -> usize {
        C::block_size()
    }

    fn encrypt(&self, block: &mut [u8]) {
        if let Ok(block) = <&mut Array<u8, C::BlockSize>>::try_from(block) {
            self.encrypt_block(block);
        }
    }

    fn decrypt(&self, block: &mut [u8]) {
        if let Ok(block) = <&mut Array<u8, C::BlockSize>>::try_from(block) {
            self.decrypt_block(block);
        }
    }
}

impl dyn Blocks + '_ {
    /// `act` on every block of a copy of `data`.
    fn each(
        &self,
        data: &[u8],
        mut act: impl FnMut(&dyn Blocks, &mut [u8]),
    ) -> Result<Vec<u8>, Refused> {
        let mut data = data.to_vec();
        let length = data.len();
        let mut blocks = data.chunks_exact_mut(self.block_bytes());
        blocks.by_ref().for_each(|block| act(self, block));
        if !blocks.into_remainder().is_empty() {
            return Err(Refused::BadLength { what: "data in whole blocks", length });
        }
        Ok(data)
    }
}

fn keyed<C: KeyInit>(key: &[u8]) -> Result<C, Refused> {
    C::new_from_slice(key).map_err(|_| Refused::BadLength { what: "a key", length: key.len() })
}

fn mac<M: cmac::Mac + KeyInit>(key: &[u8], data: &[u8]) -> Result<Vec<u8>, Refused> {
    let mut mac = keyed::<M>(key)?;
    mac.update(data);
    Ok(mac.finalize().into_bytes().to_vec())
}

fn gcm<C: Aead + KeyInit>(
    key: &[u8],
    direction: Direction,
    iv: &[u8],
    aad: &[u8],
    data: &[u8],
) -> Result<Vec<u8>, Refused> {
    let cipher = keyed::<C>(key)?;
    let nonce = <&Nonce<C>>::try_from(iv)
        .map_err(|_| Refused::BadLength { what: "an initial value", length: iv.len() })?;
    let payload = Payload { msg: data, aad };
    match direction {
        Direction::Encrypt => cipher
            .encrypt(nonce, payload)
            .map_err(|_| Refused::BadLength { what: "data", length: data.len() }),
        Direction::Decrypt => cipher.decrypt(nonce, payload).map_err(|_| Refused::WrongTag),
    }
}

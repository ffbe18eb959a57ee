//! The contract's codes as types, with the kind of key and the lengths that each needs. The tables
//! themselves stand in `wit/1.1.0/host.wit`.

use crate::kind::Kind;
use crate::limits::FACTOR_BYTES;
use crate::refused::Refused;
use polymeter_codec::sts::decoder_key::DKGA04_BYTES;

const STS_EA07_BITS: u8 = 64;
const STS_EA11_BITS: u8 = 128;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mac {
    Pboc,
    Hmac,
    Cmac,
    DlmsGmac,
    Sm4Cbc,
    Gmac,
}

impl Mac {
    pub fn of(code: u16) -> Result<Mac, Refused> {
        Ok(match code {
            1 => Mac::Pboc,
            2 => Mac::Hmac,
            3 => Mac::Cmac,
            4 => Mac::DlmsGmac,
            5 => Mac::Sm4Cbc,
            6 => Mac::Gmac,
            _ => return Err(Refused::NotOffered { operation: "mac", algorithm: code }),
        })
    }

    pub fn kind(self) -> Kind {
        match self {
            Mac::Pboc => Kind::TripleDes,
            Mac::Hmac => Kind::Hmac,
            Mac::Cmac | Mac::Gmac => Kind::Aes,
            Mac::DlmsGmac => Kind::Dlms,
            Mac::Sm4Cbc => Kind::Sm4,
        }
    }

    pub fn iv_bytes(self) -> usize {
        match self {
            Mac::Pboc => 8,
            Mac::Hmac | Mac::Cmac => 0,
            Mac::DlmsGmac | Mac::Gmac => 12,
            Mac::Sm4Cbc => 16,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cipher {
    TripleDesEcb,
    AesEcb,
    AesCbc,
    DlmsGcm,
    Sm4Ecb,
    Sm4Cbc,
    AesGcm,
    TripleDesCbc,
    AesCtr,
    StsEa07,
    StsEa11,
    /// Bits of another key are put into the block first: `sts.rs`.
    StsKeyChange,
    /// Another key is what is encrypted: `wrap.rs`.
    KeyWrap,
}

impl Cipher {
    /// `operation`: "encrypt" or "decrypt", for the message.
    pub fn of(code: u16, operation: &'static str) -> Result<Cipher, Refused> {
        Ok(match code {
            1 => Cipher::TripleDesEcb,
            2 => Cipher::AesEcb,
            3 => Cipher::AesCbc,
            4 => Cipher::DlmsGcm,
            5 => Cipher::Sm4Ecb,
            6 => Cipher::Sm4Cbc,
            7 => Cipher::AesGcm,
            8 => Cipher::TripleDesCbc,
            9 => Cipher::AesCtr,
            // What a token says is read by meters, never here.
            10 if operation == "encrypt" => Cipher::StsEa07,
            11 if operation == "encrypt" => Cipher::StsEa11,
            12 if operation == "encrypt" => Cipher::StsKeyChange,
            // A wrapped key is a device's to open.
            13 if operation == "encrypt" => Cipher::KeyWrap,
            algorithm => return Err(Refused::NotOffered { operation, algorithm }),
        })
    }

    /// `found` is the kind of the key that was named: a key change is made under either of two.
    pub fn kind(self, found: Kind) -> Kind {
        match self {
            Cipher::TripleDesEcb | Cipher::TripleDesCbc => Kind::TripleDes,
            Cipher::AesEcb | Cipher::AesCbc | Cipher::AesGcm | Cipher::AesCtr => Kind::Aes,
            Cipher::DlmsGcm => Kind::Dlms,
            Cipher::Sm4Ecb | Cipher::Sm4Cbc => Kind::Sm4,
            Cipher::StsKeyChange if found == Kind::StsEa07 => Kind::StsEa07,
            Cipher::StsEa07 => Kind::StsEa07,
            Cipher::StsEa11 | Cipher::StsKeyChange => Kind::StsEa11,
            Cipher::KeyWrap => Kind::KeyWrap,
        }
    }

    pub fn iv_bytes(self) -> usize {
        match self {
            Cipher::TripleDesEcb
            | Cipher::AesEcb
            | Cipher::Sm4Ecb
            | Cipher::StsEa07
            | Cipher::StsEa11
            | Cipher::StsKeyChange
            | Cipher::KeyWrap => 0,
            Cipher::TripleDesCbc => 8,
            Cipher::DlmsGcm | Cipher::AesGcm => 12,
            Cipher::AesCbc | Cipher::Sm4Cbc | Cipher::AesCtr => 16,
        }
    }

    /// Data must be whole blocks of this.
    pub fn block_bytes(self) -> usize {
        match self {
            Cipher::TripleDesEcb
            | Cipher::TripleDesCbc
            | Cipher::StsEa07
            | Cipher::StsEa11
            | Cipher::StsKeyChange => 8,
            Cipher::AesEcb | Cipher::AesCbc | Cipher::Sm4Ecb | Cipher::Sm4Cbc => 16,
            Cipher::DlmsGcm | Cipher::AesGcm | Cipher::AesCtr | Cipher::KeyWrap => 1,
        }
    }

    /// Associated data is possible; for DLMS, its first byte is the security control.
    pub fn takes_associated(self, length: usize) -> bool {
        match self {
            Cipher::AesGcm => true,
            Cipher::DlmsGcm | Cipher::StsKeyChange | Cipher::KeyWrap => length > 0,
            _ => length == 0,
        }
    }
}

/// How one key follows from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    TripleDesComplement,
    Pboc,
    PbocSm4,
    EmvAes,
    Cmac,
    /// DKGA02 of STS.
    StsDes,
    /// DKGA04 of STS.
    StsKdf,
}

impl Step {
    pub fn of(code: u16) -> Result<Step, Refused> {
        Ok(match code {
            1 => Step::TripleDesComplement,
            2 => Step::Pboc,
            3 => Step::PbocSm4,
            4 => Step::EmvAes,
            5 => Step::Cmac,
            6 => Step::StsDes,
            7 => Step::StsKdf,
            algorithm => return Err(Refused::NotOffered { operation: "derive", algorithm }),
        })
    }

    pub fn kind(self) -> Kind {
        match self {
            Step::TripleDesComplement | Step::Pboc => Kind::TripleDes,
            Step::PbocSm4 => Kind::Sm4,
            Step::EmvAes | Step::Cmac => Kind::Aes,
            Step::StsDes => Kind::StsDes,
            Step::StsKdf => Kind::StsKdf,
        }
    }

    /// What the derived key is for: as the root, but for STS, whose records name the cipher.
    pub fn becomes(self, factor: &[u8]) -> Kind {
        match self {
            Step::StsDes => Kind::StsEa07,
            Step::StsKdf if factor.last() == Some(&STS_EA07_BITS) => Kind::StsEa07,
            Step::StsKdf => Kind::StsEa11,
            _ => self.kind(),
        }
    }

    pub fn takes(self, factor: &[u8]) -> bool {
        match self {
            Step::TripleDesComplement | Step::Pboc | Step::PbocSm4 | Step::StsDes => {
                factor.len() == 8
            }
            Step::EmvAes => factor.len() == 16,
            Step::Cmac => (1..=FACTOR_BYTES).contains(&factor.len()),
            // The record ends in the bits of the key that it makes.
            Step::StsKdf => {
                factor.len() == DKGA04_BYTES
                    && (factor.ends_with(&[0, 0, 0, STS_EA07_BITS])
                        || factor.ends_with(&[0, 0, 0, STS_EA11_BITS]))
            }
        }
    }
}

/// `bytes` and then each of them inverted.
pub fn and_inverted(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().copied().chain(bytes.iter().map(|byte| !byte)).collect()
}

/// The contract's padding for a MAC: 80, then 00 to the end of the block.
pub fn padded(data: &[u8], block_bytes: usize) -> Vec<u8> {
    let mut padded = data.to_vec();
    padded.push(0x80);
    padded.resize(padded.len().next_multiple_of(block_bytes), 0);
    padded
}

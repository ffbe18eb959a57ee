//! STS (IEC 62055-41) with keys that stay here: decoder keys out of vending keys, blocks of tokens
//! encrypted, and the sections of a key change, which carry bits of one key under another.
//!
//! Invariant: bits of a key leave this file in a section of a key change, encrypted, and in no other
//! block; nothing is ever decrypted. Not here: what a token says (the driver), the cipher of EA07
//! and EA11 and the records of the derivations (polymeter-codec).

use crate::algorithm::Step;
use crate::kind::Kind;
use crate::refused::Refused;
use crate::secret::Secret;
use crate::soft::{Direction, Key};
use polymeter_codec::sts::decoder_key::dkga02_key;
use polymeter_codec::sts::misty1::Misty1;
use polymeter_codec::sts::sta::Tables;
use polymeter_codec::sts::{Class, Content, KeySection};
use zeroize::Zeroizing;

/// The label under which a vendor's tables of EA07 stand.
pub const TABLES: &str = "sts-tables";

impl Key {
    /// The decoder key of a meter: DKGA02 by DES, DKGA04 by HMAC-SHA-256.
    pub(crate) fn decoder_key(&self, step: Step, factor: &[u8]) -> Result<Key, Refused> {
        let kind = step.becomes(factor);
        let bad = Refused::BadLength { what: "a derivation factor", length: factor.len() };
        let mut bytes = if step == Step::StsDes {
            let encrypted = Zeroizing::new(self.ecb(Direction::Encrypt, factor)?);
            let (Ok(block), Ok(encrypted), Ok(vending)) = (
                factor.try_into(),
                encrypted.as_slice().try_into(),
                <&[u8; 8]>::try_from(self.bytes().expose()),
            ) else {
                return Err(bad);
            };
            dkga02_key(block, encrypted, vending).to_vec()
        } else {
            self.hmac(factor)?
        };
        bytes.truncate(kind.generated_bytes());
        Key::new(kind, Secret::new(bytes)).ok_or(bad)
    }

    /// One block. `tables` are needed for EA07 alone.
    pub(crate) fn sts_encrypt(&self, tables: Option<&Tables>, block: u64) -> Result<u64, Refused> {
        let bytes = self.bytes().expose();
        let length = bytes.len();
        match (self.kind(), tables) {
            (Kind::StsEa11, _) => {
                let key = bytes.try_into();
                let key = key.map_err(|_| Refused::BadLength { what: "a decoder key", length })?;
                Ok(Misty1::new(key).encrypt(block))
            }
            (Kind::StsEa07, Some(tables)) => {
                let key = bytes.try_into().map(u64::from_be_bytes);
                let key = key.map_err(|_| Refused::BadLength { what: "a decoder key", length })?;
                Ok(tables.encrypt(key, block))
            }
            (found, _) => {
                let (operation, needed) = ("encrypt", Kind::StsEa11);
                Err(Refused::OtherKind { operation, needed, found })
            }
        }
    }
}

/// The eight bytes of a block.
pub fn block(data: &[u8]) -> Result<u64, Refused> {
    let block = data.try_into().map(u64::from_be_bytes);
    block.map_err(|_| Refused::BadLength { what: "a token's block", length: data.len() })
}

/// The tables, as they stand in the vault.
pub fn tables(key: &Key) -> Result<Tables, Refused> {
    let bytes = key.bytes().expose();
    let bad = Refused::BadLength { what: "tables of EA07", length: bytes.len() };
    if key.kind() != Kind::StsTables {
        let (operation, needed) = ("encrypt", Kind::StsTables);
        return Err(Refused::OtherKind { operation, needed, found: key.kind() });
    }
    let (Some((low, rest)), Some(permutation)) =
        (bytes.split_first_chunk::<16>(), bytes.last_chunk::<64>())
    else {
        return Err(bad);
    };
    let Some(high) = rest.first_chunk::<16>() else { return Err(bad) };
    Tables::new([*low, *high], *permutation).map_err(|_| Refused::NotTables)
}

/// The clear block of a key change's section, with the bits of `new` in the place of its own and its
/// CRC made anew. Nothing but such a section is taken: its bits would be a key's in the clear.
pub fn with_key(block: u64, new: &Key) -> Result<u64, Refused> {
    let mut section = match Content::of(Class::Engineering, block) {
        Ok(Content::Key(section)) => section,
        Ok(_) | Err(_) => return Err(Refused::NotASection),
    };
    let bytes = new.bytes().expose();
    let word = |nth: usize| {
        let word = bytes.as_chunks::<4>().0.get(nth);
        word.map(|word| u32::from_be_bytes(*word)).ok_or(Refused::NotASection)
    };
    // A key of 64 bits is two words, one of 128 is four; the second section has the last word.
    let (found, nth) = match (&section, new.kind()) {
        (KeySection::First { .. }, Kind::StsEa07 | Kind::StsEa11) => (true, 0),
        (KeySection::Second { .. }, Kind::StsEa07) => (true, 1),
        (KeySection::Second { .. }, Kind::StsEa11) => (true, 3),
        (KeySection::Third { .. }, Kind::StsEa11) => (true, 1),
        (KeySection::Fourth { .. }, Kind::StsEa11) => (true, 2),
        _ => (false, 0),
    };
    if !found {
        return Err(Refused::NotASection);
    }
    match &mut section {
        KeySection::First { part, .. }
        | KeySection::Second { part, .. }
        | KeySection::Third { part, .. }
        | KeySection::Fourth { part, .. } => *part = word(nth)?,
    }
    Content::Key(section).block().map_err(|_| Refused::NotASection)
}

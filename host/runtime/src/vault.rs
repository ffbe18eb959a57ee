//! Keys by vendor and label, and the crypto that drivers may ask for.
//!
//! Invariant: a key goes in and never comes out, neither to a driver nor to a log; a driver reaches
//! the labels of its own vendor only. Not here: keeping keys on disk, hardware modules.

use des::cipher::{Array, BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};
use des::{Des, TdesEde2};
use polymeter_domain::VendorCode;
use std::collections::BTreeMap;
use std::fmt;

/// Length of a DES block, an initial value and a MAC.
const BLOCK: usize = 8;
/// No device takes a frame near this; it bounds the time that one call of the vault can cost.
const DATA_BYTES: usize = 16 << 10;
/// Root, vendor, region, card and session: no scheme known derives deeper.
const PATH_STEPS: usize = 8;
/// The contract's bound on `random`.
const RANDOM_BYTES: u32 = 256;

/// Keys by vendor and label; `Debug` prints no key.
#[derive(Default)]
pub struct Vault {
    keys: BTreeMap<(VendorCode, String), Key>,
}

impl Vault {
    /// Puts in a two-key 3DES key (left and right half); a label that is there already is replaced.
    pub fn insert(&mut self, vendor: VendorCode, label: String, key: [u8; 16]) {
        self.keys.insert((vendor, label), Key(key));
    }

    /// The key under `label`, followed along `path`.
    fn derive(
        &self,
        vendor: &VendorCode,
        label: &str,
        path: &[Diversification<'_>],
    ) -> Result<Key, Refused> {
        let stored = self.keys.get(&(vendor.clone(), label.to_owned())).ok_or_else(|| {
            Refused::NoSuchKey { vendor: vendor.clone(), label: label.to_owned() }
        })?;
        if path.len() > PATH_STEPS {
            return Err(Refused::BadLength { what: "a path of derivations", length: path.len() });
        }
        path.iter().try_fold(stored.clone(), |key, step| key.diversified(step))
    }

    pub(crate) fn mac(
        &self,
        vendor: &VendorCode,
        named: &KeyName<'_>,
        algorithm: u16,
        iv: &[u8],
        data: &[u8],
    ) -> Result<[u8; BLOCK], Refused> {
        let key = self.derive(vendor, named.label, &named.path)?;
        offered("mac", algorithm)?;
        let iv = <[u8; BLOCK]>::try_from(iv)
            .map_err(|_| Refused::BadLength { what: "an initial value", length: iv.len() })?;
        within("data", data)?;
        Ok(key.mac(iv, data))
    }

    pub(crate) fn encrypt(
        &self,
        vendor: &VendorCode,
        named: &KeyName<'_>,
        algorithm: u16,
        data: &[u8],
    ) -> Result<Vec<u8>, Refused> {
        let cipher = self.derive(vendor, named.label, &named.path)?.cipher();
        offered("encrypt", algorithm)?;
        each_block(data, |block| cipher.encrypt_block(block))
    }

    pub(crate) fn decrypt(
        &self,
        vendor: &VendorCode,
        named: &KeyName<'_>,
        algorithm: u16,
        data: &[u8],
    ) -> Result<Vec<u8>, Refused> {
        let cipher = self.derive(vendor, named.label, &named.path)?.cipher();
        offered("decrypt", algorithm)?;
        each_block(data, |block| cipher.decrypt_block(block))
    }

    /// Bytes of the operating system's random source.
    pub(crate) fn random(length: u32) -> Result<Vec<u8>, Refused> {
        if length > RANDOM_BYTES {
            return Err(Refused::TooMuchRandom { length });
        }
        let mut bytes = vec![0; usize::try_from(length).unwrap_or_default()];
        getrandom::fill(&mut bytes).map_err(|_| Refused::NoRandomSource)?;
        Ok(bytes)
    }
}

/// Says how many keys there are, and not which.
impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vault").field("keys", &self.keys.len()).finish()
    }
}

/// A stored key as a driver names it.
#[derive(Debug)]
pub(crate) struct KeyName<'a> {
    pub(crate) label: &'a str,
    pub(crate) path: Vec<Diversification<'a>>,
}

#[derive(Debug)]
pub(crate) struct Diversification<'a> {
    pub(crate) algorithm: u16,
    pub(crate) factor: &'a [u8],
}

/// The vault's no. The numbers of [`Refused::code`] are the contract's (`vault-error.code`).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    #[error("vendor {vendor} has no key `{label}` in the vault")]
    NoSuchKey { vendor: VendorCode, label: String },
    #[error("a driver that is only looked at has no keys")]
    NoVendor,
    #[error("{operation} has no algorithm {algorithm}")]
    NotOffered { operation: &'static str, algorithm: u16 },
    #[error("{what} of {length} bytes or steps is not possible")]
    BadLength { what: &'static str, length: usize },
    #[error("{length} random bytes are more than {RANDOM_BYTES}")]
    TooMuchRandom { length: u32 },
    #[error("the random source of this machine does not answer")]
    NoRandomSource,
}

impl Refused {
    pub(crate) fn code(&self) -> u16 {
        match self {
            Refused::NoSuchKey { .. } | Refused::NoVendor => 1,
            Refused::NotOffered { .. } | Refused::NoRandomSource => 2,
            Refused::BadLength { .. } | Refused::TooMuchRandom { .. } => 3,
        }
    }
}

fn offered(operation: &'static str, algorithm: u16) -> Result<(), Refused> {
    if algorithm == 1 { Ok(()) } else { Err(Refused::NotOffered { operation, algorithm }) }
}

fn within(what: &'static str, data: &[u8]) -> Result<(), Refused> {
    if data.len() > DATA_BYTES {
        return Err(Refused::BadLength { what, length: data.len() });
    }
    Ok(())
}

/// ECB: every block by itself; a part of a block is refused, because padding is the driver's.
fn each_block(
    data: &[u8],
    mut act: impl FnMut(&mut Array<u8, des::cipher::consts::U8>),
) -> Result<Vec<u8>, Refused> {
    within("data", data)?;
    let (blocks, rest) = data.as_chunks::<BLOCK>();
    if !rest.is_empty() {
        return Err(Refused::BadLength { what: "data in blocks of 8", length: data.len() });
    }
    Ok(blocks
        .iter()
        .flat_map(|block| {
            let mut block = Array::from(*block);
            act(&mut block);
            <[u8; BLOCK]>::from(block)
        })
        .collect())
}

/// A two-key 3DES key. Overwritten when dropped.
#[derive(Clone)]
struct Key([u8; 16]);

impl Key {
    fn cipher(&self) -> TdesEde2 {
        TdesEde2::new(&Array::from(self.0))
    }

    fn encrypted(&self, block: [u8; BLOCK]) -> [u8; BLOCK] {
        let mut block = Array::from(block);
        self.cipher().encrypt_block(&mut block);
        block.into()
    }

    /// Left and right half.
    fn halves(&self) -> ([u8; BLOCK], [u8; BLOCK]) {
        let [l0, l1, l2, l3, l4, l5, l6, l7, r0, r1, r2, r3, r4, r5, r6, r7] = self.0;
        ([l0, l1, l2, l3, l4, l5, l6, l7], [r0, r1, r2, r3, r4, r5, r6, r7])
    }

    /// As `diversification.algorithm` of the contract says.
    fn diversified(&self, step: &Diversification<'_>) -> Result<Key, Refused> {
        let factor = <[u8; BLOCK]>::try_from(step.factor).map_err(|_| Refused::BadLength {
            what: "a derivation factor",
            length: step.factor.len(),
        })?;
        let left = self.encrypted(factor);
        let right = match step.algorithm {
            1 => left.map(|byte| !byte),
            2 => self.encrypted(factor.map(|byte| !byte)),
            algorithm => return Err(Refused::NotOffered { operation: "derive", algorithm }),
        };
        let mut key = [0; 2 * BLOCK];
        key.iter_mut().zip(left.iter().chain(&right)).for_each(|(to, from)| *to = *from);
        Ok(Key(key))
    }

    /// PBOC MAC: ISO/IEC 9797-1 algorithm 3 (DES-CBC under the left half, the last block once more
    /// under right and left), padding method 2 (80 00..).
    fn mac(&self, iv: [u8; BLOCK], data: &[u8]) -> [u8; BLOCK] {
        let (left, right) = self.halves();
        let (left, right) = (Des::new(&Array::from(left)), Des::new(&Array::from(right)));
        let mut padded = data.to_vec();
        padded.push(0x80);
        padded.resize(padded.len().next_multiple_of(BLOCK), 0);
        let (blocks, _) = padded.as_chunks::<BLOCK>();
        let mut state = Array::from(iv);
        for block in blocks {
            state.iter_mut().zip(block).for_each(|(mixed, byte)| *mixed ^= byte);
            left.encrypt_block(&mut state);
        }
        right.decrypt_block(&mut state);
        left.encrypt_block(&mut state);
        state.into()
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        self.0.fill(0);
        // Without a reader the fill would be optimised away.
        std::hint::black_box(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes<const N: usize>(text: &str) -> [u8; N] {
        hex::decode(text).expect("hex").try_into().expect("length")
    }

    fn vault(key: &str) -> (Vault, VendorCode) {
        let vendor = VendorCode::new("ACREL").expect("a code");
        let mut vault = Vault::default();
        vault.insert(vendor.clone(), "master".to_owned(), bytes(key));
        (vault, vendor)
    }

    fn named<'a>(path: &[(u16, &'a [u8])]) -> KeyName<'a> {
        let path =
            path.iter().map(|&(algorithm, factor)| Diversification { algorithm, factor }).collect();
        KeyName { label: "master", path }
    }

    #[test]
    fn triple_des_gives_the_published_answers() {
        for (key, clear, cipher) in [
            // NIST SP 800-20, table A.1 (variable plaintext, one key three times).
            ("01010101010101010101010101010101", "8000000000000000", "95f8a5e5dd31d900"),
            ("01010101010101010101010101010101", "4000000000000000", "dd7f121ca5015619"),
            // ICAO Doc 9303 part 11, appendix D.3: first block of E_IFD, whose IV is zero.
            ("ab94fdecf2674fdfb9b391f85d7f76f2", "781723860c06c226", "72c29c2371cc9bdb"),
        ] {
            let (vault, vendor) = vault(key);
            let clear = bytes::<8>(clear);
            let encrypted = vault.encrypt(&vendor, &named(&[]), 1, &clear).expect("a block");
            assert_eq!(hex::encode(&encrypted), cipher);
            assert_eq!(vault.decrypt(&vendor, &named(&[]), 1, &encrypted).expect("back"), clear);
        }
    }

    #[test]
    fn the_mac_gives_the_published_answer() {
        // ICAO Doc 9303 part 11, appendix D.3: M_IFD over E_IFD.
        let (vault, vendor) = vault("7962d9ece03d1acd4c76089dce131543");
        let data = bytes::<32>("72c29c2371cc9bdb65b779b8e8d37b29ecc154aa56a8799fae2f498f76ed92f2");
        let mac = vault.mac(&vendor, &named(&[]), 1, &[0; 8], &data).expect("a mac");
        assert_eq!(hex::encode(mac), "5f1448eea8ad90a7");
        // An initial value is mixed into the first block, so the two can be swapped.
        let (first, rest) = data.split_at(8);
        let swapped = [&[0; 8], rest].concat();
        assert_eq!(vault.mac(&vendor, &named(&[]), 1, first, &swapped).expect("a mac"), mac);
    }

    #[test]
    fn derivations_follow_their_path() {
        let (vault, vendor) = vault("00112233445566778899aabbccddeeff");
        let factor = bytes::<8>("0102030405060708");
        let inverted = factor.map(|byte| !byte);
        let ecb = |named: &KeyName<'_>, data: &[u8]| {
            vault.encrypt(&vendor, named, 1, data).expect("blocks")
        };
        let left = ecb(&named(&[]), &factor);
        for (algorithm, right) in [
            (1, left.iter().map(|byte| !byte).collect::<Vec<_>>()),
            (2, ecb(&named(&[]), &inverted)),
        ] {
            let mut by_hand = Vault::default();
            let key = [left.clone(), right].concat().try_into().expect("16 bytes");
            by_hand.insert(vendor.clone(), "master".to_owned(), key);
            let expected = by_hand.encrypt(&vendor, &named(&[(2, &inverted)]), 1, &[7; 16]);
            let path = named(&[(algorithm, &factor), (2, &inverted)]);
            assert_eq!(vault.encrypt(&vendor, &path, 1, &[7; 16]), expected, "{algorithm}");
        }
    }

    #[test]
    fn the_vault_says_no() {
        let (vault, vendor) = vault("00112233445566778899aabbccddeeff");
        let other = VendorCode::new("OTHER").expect("a code");
        let code = |answer: Result<Vec<u8>, Refused>| answer.map_err(|refused| refused.code());
        let key = named(&[]);
        assert_eq!(code(vault.encrypt(&other, &key, 1, &[0; 8])), Err(1), "another vendor's");
        assert_eq!(code(vault.encrypt(&vendor, &key, 9, &[0; 8])), Err(2), "algorithm");
        assert_eq!(code(vault.decrypt(&vendor, &key, 9, &[0; 8])), Err(2), "algorithm");
        assert_eq!(code(vault.encrypt(&vendor, &key, 1, &[0; 9])), Err(3), "part of a block");
        assert_eq!(code(vault.encrypt(&vendor, &key, 1, &[0; 64 << 10])), Err(3), "too long");
        assert_eq!(code(vault.encrypt(&vendor, &named(&[(1, &[0; 7])]), 1, &[0; 8])), Err(3));
        assert_eq!(code(vault.encrypt(&vendor, &named(&[(3, &[0; 8])]), 1, &[0; 8])), Err(2));
        let step: (u16, &[u8]) = (1, &[0; 8]);
        let deep = named(&[step; 9]);
        assert_eq!(code(vault.encrypt(&vendor, &deep, 1, &[0; 8])), Err(3), "path");
        let mac = |algorithm, iv: &[u8]| {
            vault.mac(&vendor, &key, algorithm, iv, b"").map_err(|refused| refused.code())
        };
        assert_eq!(mac(2, &[0; 8]), Err(2));
        assert_eq!(mac(1, &[0; 4]), Err(3));
        assert_eq!(code(Vault::random(257)), Err(3));
        assert_ne!(Vault::random(256), Vault::random(256));
        assert_eq!(Vault::random(0), Ok(vec![]));
    }

    #[test]
    fn debug_prints_no_key() {
        let (vault, _) = vault("00112233445566778899aabbccddeeff");
        assert_eq!(format!("{vault:?}"), "Vault { keys: 1 }");
    }
}

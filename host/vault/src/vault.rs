//! What drivers ask: a key by its name, followed along a path, used for one operation. Every check
//! of kind and length is made here, before a key is touched.

use crate::algorithm::{Cipher, Mac, Step};
use crate::kind::{Kind, Use};
use crate::limits::{DATA_BYTES, PATH_STEPS, RANDOM_BYTES};
use crate::name::{self, KeyId, Label, Scope};
use crate::refused::Refused;
use crate::secret::Secret;
use crate::soft::{Direction, Key, Tag};
use crate::sts;
use crate::token_keys::{TokenKey, no_mechanism};
use crate::wrap;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

/// Keys by name; `Debug` prints how many there are, and not which.
#[derive(Default)]
pub struct Vault {
    keys: BTreeMap<KeyId, Vec<Stored>>,
}

/// One version of a key.
struct Stored {
    version: u32,
    usage: Use,
    material: Material,
}

enum Material {
    Here(Key),
    InToken(TokenKey),
}

/// A stored key as a driver names it.
#[derive(Debug, Clone)]
pub struct KeyName<'a> {
    pub label: &'a str,
    pub path: Vec<Derivation<'a>>,
}

#[derive(Debug, Clone, Copy)]
pub struct Derivation<'a> {
    pub algorithm: u16,
    pub factor: &'a [u8],
}

/// What is encrypted or decrypted, and with what.
#[derive(Debug, Clone, Copy)]
pub struct Message<'a> {
    pub iv: &'a [u8],
    pub associated: &'a [u8],
    pub data: &'a [u8],
}

/// What may be shown of one version of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyInfo {
    pub id: KeyId,
    pub version: u32,
    pub is_current: bool,
    pub kind: Kind,
    pub usage: Use,
    /// `None`: the token will not compute one.
    pub check_value: Option<String>,
}

impl Vault {
    /// Puts in a key for all regions of a vendor, as its next version; `None`: not a label, or not a
    /// length of this kind. For tests and benches, which have no vault file.
    #[must_use]
    pub fn with(
        mut self,
        vendor: polymeter_domain::VendorCode,
        label: &str,
        kind: Kind,
        key: Secret,
    ) -> Option<Vault> {
        let id = KeyId { vendor, region: None, label: Label::new(label)? };
        let key = Key::new(kind, key)?;
        let last = self.keys.get(&id).and_then(|versions| versions.last());
        let version = last.map_or(0, |stored| stored.version).checked_add(1)?;
        self.put(id, version, Use::Anything, Material::Here(key));
        Some(self)
    }

    pub(crate) fn put_here(&mut self, id: KeyId, version: u32, usage: Use, key: Key) {
        self.put(id, version, usage, Material::Here(key));
    }

    pub(crate) fn put_in_token(&mut self, id: KeyId, version: u32, usage: Use, key: TokenKey) {
        self.put(id, version, usage, Material::InToken(key));
    }

    /// Versions stay in order; one that is there already is replaced.
    fn put(&mut self, id: KeyId, version: u32, usage: Use, material: Material) {
        let versions = self.keys.entry(id).or_default();
        versions.retain(|stored| stored.version != version);
        versions.push(Stored { version, usage, material });
        versions.sort_by_key(|stored| stored.version);
    }

    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// How many keys there are, not counting versions.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Every version of every key, in order.
    pub fn list(&self) -> Vec<KeyInfo> {
        let of = |(id, versions): (&KeyId, &Vec<Stored>)| {
            let current = versions.last().map(|stored| stored.version);
            let info = |stored: &Stored| KeyInfo {
                id: id.clone(),
                version: stored.version,
                is_current: Some(stored.version) == current,
                kind: stored.material.kind(),
                usage: stored.usage,
                check_value: stored.material.check_value().ok(),
            };
            versions.iter().map(info).collect::<Vec<_>>()
        };
        self.keys.iter().flat_map(of).collect()
    }

    pub fn mac(
        &self,
        scope: &Scope,
        named: &KeyName<'_>,
        algorithm: u16,
        iv: &[u8],
        data: &[u8],
    ) -> Result<Vec<u8>, Refused> {
        let algorithm = Mac::of(algorithm)?;
        let key = self.key(scope, named)?;
        of_kind("mac", &key, algorithm.kind())?;
        exactly("an initial value", iv, algorithm.iv_bytes())?;
        within(data.len())?;
        if algorithm == Mac::DlmsGmac && data.is_empty() {
            return Err(Refused::BadLength { what: "a security control byte", length: 0 });
        }
        key.mac(algorithm, iv, data)
    }

    pub fn encrypt(
        &self,
        scope: &Scope,
        named: &KeyName<'_>,
        algorithm: u16,
        message: Message<'_>,
    ) -> Result<Vec<u8>, Refused> {
        let algorithm = Cipher::of(algorithm, "encrypt")?;
        let key = self.checked(scope, named, algorithm, "encrypt", message)?;
        if matches!(algorithm, Cipher::StsEa07 | Cipher::StsEa11 | Cipher::StsKeyChange) {
            return self.sts(scope, &key, algorithm, message);
        }
        if algorithm == Cipher::KeyWrap {
            if !message.data.is_empty() {
                let length = message.data.len();
                return Err(Refused::BadLength { what: "data beside a key", length });
            }
            let wanted = name::of_other(message.associated)?;
            return wrap::wrapped(key.here()?, self.key(scope, &wanted)?.here()?);
        }
        key.cipher(algorithm, Direction::Encrypt, message)
    }

    pub fn decrypt(
        &self,
        scope: &Scope,
        named: &KeyName<'_>,
        algorithm: u16,
        message: Message<'_>,
    ) -> Result<Vec<u8>, Refused> {
        let algorithm = Cipher::of(algorithm, "decrypt")?;
        let key = self.checked(scope, named, algorithm, "decrypt", message)?;
        key.cipher(algorithm, Direction::Decrypt, message)
    }

    /// Bytes of the operating system's random source.
    pub fn random(length: u32) -> Result<Vec<u8>, Refused> {
        if length > RANDOM_BYTES {
            return Err(Refused::TooMuchRandom { length });
        }
        let mut bytes = vec![0; usize::try_from(length).unwrap_or_default()];
        getrandom::fill(&mut bytes).map_err(|_| Refused::NoRandomSource)?;
        Ok(bytes)
    }

    fn checked(
        &self,
        scope: &Scope,
        named: &KeyName<'_>,
        algorithm: Cipher,
        operation: &'static str,
        message: Message<'_>,
    ) -> Result<Cow<'_, Material>, Refused> {
        let Message { iv, associated, data } = message;
        let key = self.key(scope, named)?;
        of_kind(operation, &key, algorithm.kind(key.kind()))?;
        exactly("an initial value", iv, algorithm.iv_bytes())?;
        if !algorithm.takes_associated(associated.len()) {
            let length = associated.len();
            return Err(Refused::BadLength { what: "associated data", length });
        }
        within(data.len().saturating_add(associated.len()))?;
        if !data.len().is_multiple_of(algorithm.block_bytes()) {
            let what = "data in whole blocks of this cipher";
            return Err(Refused::BadLength { what, length: data.len() });
        }
        Ok(key)
    }

    /// The key under the label, followed along the path.
    fn key(&self, scope: &Scope, named: &KeyName<'_>) -> Result<Cow<'_, Material>, Refused> {
        let stored = self.stored(scope, named.label)?;
        if named.path.len() > PATH_STEPS {
            let length = named.path.len();
            return Err(Refused::BadLength { what: "a path of derivations", length });
        }
        if named.path.is_empty() && stored.usage == Use::DeriveOnly {
            return Err(Refused::DeriveOnly);
        }
        named.path.iter().try_fold(Cow::Borrowed(&stored.material), |key, step| {
            let algorithm = Step::of(step.algorithm)?;
            of_kind("derive", &key, algorithm.kind())?;
            if !algorithm.takes(step.factor) {
                let length = step.factor.len();
                return Err(Refused::BadLength { what: "a derivation factor", length });
            }
            Ok(Cow::Owned(Material::Here(key.derived(algorithm, step.factor)?)))
        })
    }

    /// One block of a token, encrypted; of a key change, with bits of the new key in it.
    fn sts(
        &self,
        scope: &Scope,
        under: &Material,
        algorithm: Cipher,
        message: Message<'_>,
    ) -> Result<Vec<u8>, Refused> {
        let block = sts::block(message.data)?;
        let block = match algorithm {
            Cipher::StsKeyChange => {
                let new = name::of_other(message.associated)?;
                sts::with_key(block, self.key(scope, &new)?.here()?)?
            }
            _ => block,
        };
        let under = under.here()?;
        let tables = match under.kind() {
            Kind::StsEa07 => Some(sts::tables(self.stored(scope, sts::TABLES)?.material.here()?)?),
            _ => None,
        };
        Ok(under.sts_encrypt(tables.as_ref(), block)?.to_be_bytes().to_vec())
    }

    fn stored(&self, scope: &Scope, text: &str) -> Result<&Stored, Refused> {
        let (label, version) = name::parsed(scope, text)?;
        let versions = scope.ids(&label).find_map(|id| self.keys.get(&id));
        let found = versions.and_then(|versions| match version {
            None => versions.last(),
            Some(version) => versions.iter().find(|stored| stored.version == version),
        });
        found.ok_or_else(|| Refused::no_such_key(scope, text))
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vault").field("keys", &self.keys.len()).finish()
    }
}

impl Clone for Material {
    fn clone(&self) -> Material {
        match self {
            Material::Here(key) => Material::Here(key.clone()),
            Material::InToken(key) => Material::InToken(key.clone()),
        }
    }
}

impl Material {
    fn kind(&self) -> Kind {
        match self {
            Material::Here(key) => key.kind(),
            Material::InToken(key) => key.kind(),
        }
    }

    /// `Err`: it is in a token that does not do this.
    fn here(&self) -> Result<&Key, Refused> {
        match self {
            Material::Here(key) => Ok(key),
            Material::InToken(key) => Err(no_mechanism(key.kind())),
        }
    }

    fn check_value(&self) -> Result<String, Refused> {
        match self {
            Material::Here(key) => crate::check_value::of(key),
            Material::InToken(key) => key.check_value(),
        }
    }

    fn derived(&self, step: Step, factor: &[u8]) -> Result<Key, Refused> {
        match self {
            Material::Here(key) => key.derived(step, factor),
            Material::InToken(key) => key.derived(step, factor),
        }
    }

    fn mac(&self, algorithm: Mac, iv: &[u8], data: &[u8]) -> Result<Vec<u8>, Refused> {
        let key = match self {
            Material::Here(key) => key,
            Material::InToken(key) => return key.mac(algorithm, iv, data),
        };
        match algorithm {
            Mac::Pboc => key.pboc_mac(iv, data),
            Mac::Hmac => key.hmac(data),
            Mac::Cmac => key.cmac(data),
            Mac::DlmsGmac => key.seal(Tag::Bytes12, iv, &key.dlms_aad(data), &[]),
            Mac::Sm4Cbc => key.sm4_mac(iv, data),
            Mac::Gmac => key.seal(Tag::Bytes16, iv, data, &[]),
        }
    }

    fn cipher(
        &self,
        algorithm: Cipher,
        direction: Direction,
        message: Message<'_>,
    ) -> Result<Vec<u8>, Refused> {
        let Message { iv, associated, data } = message;
        let key = match self {
            Material::Here(key) => key,
            Material::InToken(key) => return key.cipher(algorithm, direction, message),
        };
        match algorithm {
            Cipher::TripleDesEcb | Cipher::AesEcb | Cipher::Sm4Ecb => key.ecb(direction, data),
            Cipher::TripleDesCbc | Cipher::AesCbc | Cipher::Sm4Cbc => key.cbc(direction, iv, data),
            Cipher::AesCtr => key.ctr(iv, data),
            Cipher::AesGcm => key.gcm(Tag::Bytes16, direction, iv, associated, data),
            Cipher::DlmsGcm => {
                key.gcm(Tag::Bytes12, direction, iv, &key.dlms_aad(associated), data)
            }
            Cipher::StsEa07 | Cipher::StsEa11 | Cipher::StsKeyChange | Cipher::KeyWrap => {
                unreachable!("`encrypt` has its own way for these, and `decrypt` has none")
            }
        }
    }
}

fn of_kind(operation: &'static str, key: &Material, needed: Kind) -> Result<(), Refused> {
    let found = key.kind();
    if found == needed { Ok(()) } else { Err(Refused::OtherKind { operation, needed, found }) }
}

fn exactly(what: &'static str, bytes: &[u8], length: usize) -> Result<(), Refused> {
    if bytes.len() == length {
        Ok(())
    } else {
        Err(Refused::BadLength { what, length: bytes.len() })
    }
}

fn within(length: usize) -> Result<(), Refused> {
    if length > DATA_BYTES { Err(Refused::BadLength { what: "data", length }) } else { Ok(()) }
}

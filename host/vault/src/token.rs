//! A PKCS#11 token as the store of keys: which object is which key, and how one is put in.
//!
//! An object's label is `polymeter/VENDOR/REGION/LABEL/VERSION`, region `-` where there is none;
//! `/left` behind it marks the companion of a 3DES key. CKA_ID says its use: `derive` or nothing.
//! Invariant: every object made here is sensitive and cannot be extracted, so a token has no backup
//! but its maker's. The library is loaded when it is asked for and not before.

use crate::error::StoreError;
use crate::kind::{Kind, Use};
use crate::name::{KeyId, Label};
use crate::secret::Secret;
use crate::token_keys::{SharedSession, TokenKey, why_not};
use crate::vault::Vault;
use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error, RvError};
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, UserType};
use cryptoki::slot::Slot;
use cryptoki::types::AuthPin;
use polymeter_domain::{Region, VendorCode};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

const PREFIX: &str = "polymeter";
const NO_REGION: &str = "-";
const LEFT: &str = "left";

/// A token that has been logged in to.
#[derive(Debug)]
pub struct Token {
    library: PathBuf,
    name: String,
    session: SharedSession,
}

/// One object of ours.
struct Found {
    id: KeyId,
    version: u32,
    is_left: bool,
    usage: Use,
    kind: Kind,
    bytes: usize,
    handle: ObjectHandle,
}

impl Token {
    /// `name` is the token's label.
    pub fn open(library: &Path, name: &str, pin: &Secret) -> Result<Token, StoreError> {
        let unusable = |error: Error| StoreError::Library {
            library: library.to_owned(),
            why: error.to_string(),
        };
        let context = Pkcs11::new(library).map_err(unusable)?;
        match context.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
            // Another vault of this process has done it.
            Ok(()) | Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => {}
            Err(error) => return Err(unusable(error)),
        }
        let slot = slot(&context, library, name).map_err(unusable)??;
        let why = |what| {
            move |error: Error| StoreError::Token {
                what,
                token: name.to_owned(),
                library: library.to_owned(),
                why: error.to_string(),
            }
        };
        let session = context.open_rw_session(slot).map_err(why("opening a session"))?;
        let pin = String::from_utf8(pin.expose().to_vec()).map_err(|_| StoreError::Token {
            what: "logging in",
            token: name.to_owned(),
            library: library.to_owned(),
            why: "the PIN is no text".to_owned(),
        })?;
        match session.login(UserType::User, Some(&AuthPin::from(pin))) {
            Ok(()) | Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => {}
            Err(error) => return Err(why("logging in")(error)),
        }
        let session = Arc::new(Mutex::new(session));
        Ok(Token { library: library.to_owned(), name: name.to_owned(), session })
    }

    /// The keys, which stay where they are, ready to answer.
    pub fn vault(&self) -> Result<Vault, StoreError> {
        let found = self.found()?;
        let left = |of: &Found| {
            let companion = found
                .iter()
                .find(|found| found.is_left && found.id == of.id && found.version == of.version);
            companion.map(|found| found.handle)
        };
        let mut vault = Vault::default();
        for key in found.iter().filter(|found| !found.is_left) {
            let token_key = TokenKey {
                session: Arc::clone(&self.session),
                handle: key.handle,
                kind: key.kind,
                bytes: key.bytes,
                left: left(key),
            };
            vault.put_in_token(key.id.clone(), key.version, key.usage, token_key);
        }
        Ok(vault)
    }

    /// The first version of a key.
    pub fn add(&self, id: &KeyId, kind: Kind, usage: Use, key: &Secret) -> Result<(), StoreError> {
        if self.newest(id)?.is_some() {
            return Err(StoreError::KeyExists(id.to_string()));
        }
        self.put(id, 1, kind, usage, key)
    }

    /// A new version, which is the current one from now on. Returns its number.
    pub fn rotate(&self, id: &KeyId, key: &Secret) -> Result<u32, StoreError> {
        let newest = self.newest(id)?.ok_or_else(|| StoreError::NoSuchKey(id.to_string()))?;
        let version = newest.version.saturating_add(1);
        self.put(id, version, newest.kind, newest.usage, key)?;
        Ok(version)
    }

    /// What a key is for, to generate one like it.
    pub fn kind(&self, id: &KeyId) -> Result<Option<(Kind, usize)>, StoreError> {
        Ok(self.newest(id)?.map(|found| (found.kind, found.bytes)))
    }

    fn newest(&self, id: &KeyId) -> Result<Option<Found>, StoreError> {
        let versions = self.found()?.into_iter().filter(|found| found.id == *id && !found.is_left);
        Ok(versions.max_by_key(|found| found.version))
    }

    /// The companion first: a key whose companion is missing could not make a MAC.
    fn put(
        &self,
        id: &KeyId,
        version: u32,
        kind: Kind,
        usage: Use,
        key: &Secret,
    ) -> Result<(), StoreError> {
        let lengths = kind.lengths();
        if !kind.takes(key.len()) {
            return Err(StoreError::KeyLength { kind, lengths, found: key.len() });
        }
        let key_type = match kind {
            Kind::TripleDes => KeyType::DES2,
            Kind::Aes => KeyType::AES,
            Kind::Hmac => KeyType::GENERIC_SECRET,
            _ => {
                return Err(StoreError::NotForTokens { kind, why: why_not(kind) });
            }
        };
        let name = object_name(id, version);
        let mut left = None;
        if kind == Kind::TripleDes {
            let (half, _) = key.expose().split_at(key.len() / 2);
            let twice = Secret::new([half, half].concat());
            left = Some(self.create(&format!("{name}/{LEFT}"), key_type, kind, usage, &twice)?);
        }
        let handle = self.create(&name, key_type, kind, usage, key)?;
        let session = Arc::clone(&self.session);
        let token_key = TokenKey { session, handle, kind, bytes: key.len(), left };
        // Some tokens take a key in that they will not use, for instance a short one.
        token_key.check_value().map(drop).map_err(|refused| {
            for object in left.into_iter().chain([handle]) {
                // What cannot be taken out again is an object that no driver can use.
                let _ = self.session().destroy_object(object);
            }
            StoreError::Token {
                what: "using the key",
                token: self.name.clone(),
                library: self.library.clone(),
                why: refused.to_string(),
            }
        })
    }

    fn create(
        &self,
        name: &str,
        key_type: KeyType,
        kind: Kind,
        usage: Use,
        key: &Secret,
    ) -> Result<ObjectHandle, StoreError> {
        let ciphers = kind != Kind::Hmac;
        let mut value = Attribute::Value(key.expose().to_vec());
        let template = [
            Attribute::Class(ObjectClass::SECRET_KEY),
            Attribute::KeyType(key_type),
            Attribute::Label(name.as_bytes().to_vec()),
            Attribute::Id(usage.word().as_bytes().to_vec()),
            Attribute::Token(true),
            Attribute::Private(true),
            Attribute::Sensitive(true),
            Attribute::Extractable(false),
            Attribute::Encrypt(ciphers),
            Attribute::Decrypt(ciphers),
            Attribute::Sign(true),
            std::mem::replace(&mut value, Attribute::Value(Vec::new())),
        ];
        let created = self.session().create_object(&template);
        for attribute in template {
            if let Attribute::Value(bytes) = attribute {
                // Overwritten when dropped.
                drop(Secret::new(bytes));
            }
        }
        created.map_err(|error| self.trouble("putting in a key", &error))
    }

    fn found(&self) -> Result<Vec<Found>, StoreError> {
        let session = self.session();
        let of_ours = || -> Result<Vec<Found>, Error> {
            let all = session.find_objects(&[Attribute::Class(ObjectClass::SECRET_KEY)])?;
            let mut found = Vec::new();
            for handle in all {
                found.extend(object(&session, handle)?);
            }
            Ok(found)
        };
        of_ours().map_err(|error| self.trouble("looking for keys", &error))
    }

    fn session(&self) -> std::sync::MutexGuard<'_, Session> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn trouble(&self, what: &'static str, error: &Error) -> StoreError {
        StoreError::Token {
            what,
            token: self.name.clone(),
            library: self.library.clone(),
            why: error.to_string(),
        }
    }
}

fn slot(context: &Pkcs11, library: &Path, name: &str) -> Result<Result<Slot, StoreError>, Error> {
    let mut names = Vec::new();
    for slot in context.get_slots_with_initialized_token()? {
        let info = context.get_token_info(slot)?;
        if info.label().trim_end() == name {
            return Ok(Ok(slot));
        }
        names.push(info.label().trim_end().to_owned());
    }
    let (library, token) = (library.to_owned(), name.to_owned());
    let found = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    Ok(Err(StoreError::NoToken { library, token, found }))
}

fn object_name(id: &KeyId, version: u32) -> String {
    let region = id.region.as_ref().map_or(NO_REGION, Region::as_str);
    format!("{PREFIX}/{}/{region}/{}/{version}", id.vendor, id.label)
}

/// `None`: not one of ours.
fn object(session: &Session, handle: ObjectHandle) -> Result<Option<Found>, Error> {
    let wanted =
        [AttributeType::Label, AttributeType::Id, AttributeType::KeyType, AttributeType::ValueLen];
    let (mut name, mut usage, mut kind, mut bytes) = (None, Use::Anything, None, 0);
    for attribute in session.get_attributes(handle, &wanted)? {
        match attribute {
            Attribute::Label(label) => name = String::from_utf8(label).ok(),
            Attribute::Id(id) => {
                usage =
                    std::str::from_utf8(&id).ok().and_then(Use::from_word).unwrap_or(Use::Anything);
            }
            Attribute::KeyType(key_type) => kind = kind_of(key_type),
            Attribute::ValueLen(length) => bytes = usize::try_from(*length).unwrap_or_default(),
            _ => {}
        }
    }
    let Some(kind) = kind else { return Ok(None) };
    // A DES key has no CKA_VALUE_LEN.
    let bytes = if kind == Kind::TripleDes { 16 } else { bytes };
    let named = name.as_deref().and_then(parsed);
    Ok(named.map(|(id, version, is_left)| Found {
        id,
        version,
        is_left,
        usage,
        kind,
        bytes,
        handle,
    }))
}

fn kind_of(key_type: KeyType) -> Option<Kind> {
    [
        (KeyType::DES2, Kind::TripleDes),
        (KeyType::AES, Kind::Aes),
        (KeyType::GENERIC_SECRET, Kind::Hmac),
        (KeyType::SHA256_HMAC, Kind::Hmac),
    ]
    .into_iter()
    .find_map(|(known, kind)| (known == key_type).then_some(kind))
}

fn parsed(name: &str) -> Option<(KeyId, u32, bool)> {
    let mut parts = name.split('/');
    if parts.next()? != PREFIX {
        return None;
    }
    let vendor = VendorCode::new(parts.next()?).ok()?;
    let region = match parts.next()? {
        NO_REGION => None,
        region => Some(Region::new(region).ok()?),
    };
    let label = Label::new(parts.next()?)?;
    let version = parts.next()?.parse().ok().filter(|&version| version > 0)?;
    let is_left = match parts.next() {
        None => false,
        Some(LEFT) => parts.next().is_none().then_some(true)?,
        Some(_) => return None,
    };
    Some((KeyId { vendor, region, label }, version, is_left))
}

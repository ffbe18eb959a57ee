//! A host with the real vault and no line.

use polymeter_codec::sts::BaseDate;
use polymeter_codec::sts::decoder_key::{Cipher, Group, KeyType, Origin, Pan};
use polymeter_driver::{Call, Decimal, Host, Key, Level, LineError, Value, VaultError, codes};
use polymeter_vault::{Derivation, KeyName, Kind, Message, Refused, Scope, Secret, Vault};
use std::collections::BTreeMap;

/// Keys by label, also those bytes, to check what came of them.
pub struct Keys {
    vault: Vault,
    bytes: BTreeMap<String, Vec<u8>>,
}

impl Keys {
    pub fn none() -> Keys {
        Keys { vault: Vault::default(), bytes: BTreeMap::new() }
    }

    pub fn of(label: &str, kind: Kind, digits: &str) -> Keys {
        let mut keys = Keys::none();
        keys.put(label, kind, digits);
        keys
    }

    pub fn put(&mut self, label: &str, kind: Kind, digits: &str) {
        let bytes = hex::decode(digits).unwrap();
        let vault = std::mem::take(&mut self.vault);
        let vendor = "STS".parse_vendor();
        let with = vault.with(vendor, label, kind, Secret::new(bytes.clone()));
        self.vault = with.unwrap_or_else(|| panic!("{label} is no key for {kind}"));
        self.bytes.insert(label.to_owned(), bytes);
    }

    /// By HMAC-SHA-256 over the codec's record, here and not in the vault.
    pub fn decoder_key(&self, call: &Call, cipher: Cipher) -> Vec<u8> {
        use hmac::{Hmac, KeyInit as _, Mac as _};
        let text = |name: &str| match call.parameters.iter().find(|(known, _)| known == name) {
            Some((_, Value::Text(text))) => text.clone(),
            Some((_, Value::Number(Decimal { mantissa, .. }))) => mantissa.to_string(),
            _ => String::new(),
        };
        let (supply_group, revision) = (text("supply-group"), text("key-revision"));
        let group = Group {
            supply_group: supply_group.parse().unwrap(),
            tariff_index: 1,
            revision: revision.parse().unwrap(),
            key_type: KeyType::Unique,
        };
        let base = if text("base-date") == "2035" { BaseDate::Y2035 } else { BaseDate::Y2014 };
        let origin = Origin::new(Pan::from_digits(&call.address).unwrap(), group).unwrap();
        let vending = &self.bytes[&format!("vending-{supply_group}-{revision}")];
        let mut mac = Hmac::<sha2::Sha256>::new_from_slice(vending).unwrap();
        mac.update(&origin.dkga04_record(base, cipher));
        mac.finalize().into_bytes()[..cipher.key_bytes()].to_vec()
    }

    fn ask(
        &self,
        key: &Key,
        act: impl FnOnce(&Vault, &Scope, &KeyName<'_>) -> Result<Vec<u8>, Refused>,
    ) -> Result<Vec<u8>, VaultError> {
        let step =
            |step: &'_ polymeter_driver::Diversification| (step.algorithm, step.factor.clone());
        let path: Vec<_> = key.path.iter().map(step).collect();
        let path =
            path.iter().map(|(algorithm, factor)| Derivation { algorithm: *algorithm, factor });
        let named = KeyName { label: &key.label, path: path.collect() };
        let scope = Scope { vendor: "STS".parse_vendor(), region: None };
        act(&self.vault, &scope, &named)
            .map_err(|no| VaultError { code: no.code(), detail: no.to_string() })
    }
}

trait ParseVendor {
    fn parse_vendor(&self) -> polymeter_domain::VendorCode;
}

impl ParseVendor for str {
    fn parse_vendor(&self) -> polymeter_domain::VendorCode {
        polymeter_domain::VendorCode::new(self).unwrap()
    }
}

fn no_line() -> LineError {
    LineError { code: codes::line::NOT_GRANTED, detail: "no line".to_owned() }
}

impl Host for Keys {
    fn send(&mut self, _: &[u8]) -> Result<(), LineError> {
        Err(no_line())
    }
    fn receive(&mut self, _: u32) -> Result<Vec<u8>, LineError> {
        Err(no_line())
    }
    fn drain(&mut self) -> Result<u32, LineError> {
        Err(no_line())
    }
    fn mac(&mut self, key: &Key, algorithm: u16, iv: &[u8], data: &[u8]) -> Answer {
        self.ask(key, |vault, scope, named| vault.mac(scope, named, algorithm, iv, data))
    }
    fn encrypt(
        &mut self,
        key: &Key,
        algorithm: u16,
        iv: &[u8],
        associated: &[u8],
        data: &[u8],
    ) -> Answer {
        let message = Message { iv, associated, data };
        self.ask(key, |vault, scope, named| vault.encrypt(scope, named, algorithm, message))
    }
    fn decrypt(
        &mut self,
        key: &Key,
        algorithm: u16,
        iv: &[u8],
        associated: &[u8],
        data: &[u8],
    ) -> Answer {
        let message = Message { iv, associated, data };
        self.ask(key, |vault, scope, named| vault.decrypt(scope, named, algorithm, message))
    }
    fn random(&mut self, _: u32) -> Answer {
        panic!("a token may not be random")
    }
    fn log(&mut self, _: Level, _: &str) {}
}

type Answer = Result<Vec<u8>, VaultError>;

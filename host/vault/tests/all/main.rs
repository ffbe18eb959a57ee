//! The vault from outside: published answers, whose keys a driver sees, what is refused, the file, and
//! that no key is ever printed.

mod answers;
mod file;
mod scope;
mod secrets;
mod sts;
mod vectors;
mod wrap;

use polymeter_domain::VendorCode;
use polymeter_vault::{Derivation, KeyName, Kind, Message, Refused, Scope, Secret, Vault};

fn bytes(digits: &str) -> Vec<u8> {
    hex::decode(digits.replace([' ', '\n'], "")).expect("hex")
}

fn vendor(code: &str) -> VendorCode {
    VendorCode::new(code).expect("a code")
}

fn scope() -> Scope {
    Scope { vendor: vendor("ACME"), region: None }
}

/// A vault with one key, `k`, of vendor ACME.
fn vault(kind: Kind, key: &str) -> Vault {
    Vault::default().with(vendor("ACME"), "k", kind, Secret::new(bytes(key))).expect("a key")
}

/// `k`, followed along a path.
fn named<'a>(path: &[(u16, &'a [u8])]) -> KeyName<'a> {
    let step = |&(algorithm, factor)| Derivation { algorithm, factor };
    KeyName { label: "k", path: path.iter().map(step).collect() }
}

fn message<'a>(iv: &'a [u8], associated: &'a [u8], data: &'a [u8]) -> Message<'a> {
    Message { iv, associated, data }
}

fn ecb(
    vault: &Vault,
    named: &KeyName<'_>,
    algorithm: u16,
    data: &[u8],
) -> Result<Vec<u8>, Refused> {
    vault.encrypt(&scope(), named, algorithm, message(&[], &[], data))
}

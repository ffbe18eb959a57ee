//! Whose keys a driver sees, and what is refused with which code.

use crate::{bytes, ecb, message, named, scope, vault, vendor};
use polymeter_domain::Region;
use polymeter_vault::{
    Cost, Derivation, KeyFile, KeyId, KeyName, Kind, Label, Message, Refused, Scope, Secret, Use,
    Vault,
};

fn region(name: &str) -> Option<Region> {
    Some(Region::new(name).expect("a region"))
}

fn id(code: &str, region: Option<Region>, label: &str) -> KeyId {
    KeyId { vendor: vendor(code), region, label: Label::new(label).expect("a label") }
}

/// The check of who sees what, by what an encrypted block tells.
fn under(vault: &Vault, scope: &Scope, label: &str) -> Result<Vec<u8>, u16> {
    let named = KeyName { label, path: vec![] };
    let answer = vault.encrypt(scope, &named, 2, message(&[], &[], &[0; 16]));
    answer.map_err(|refused| refused.code())
}

fn block_of(key: u8) -> Vec<u8> {
    ecb(&vault(Kind::Aes, &hex::encode([key; 16])), &named(&[]), 2, &[0; 16]).expect("a block")
}

#[test]
fn a_driver_sees_its_vendors_keys_of_its_region_and_of_none() {
    let folder = tempfile::tempdir().expect("a folder");
    let passphrase = Secret::new(b"correct horse".to_vec());
    let path = folder.path().join("keys.vault");
    let mut file = KeyFile::create(&path, passphrase, Cost::GENERATED).expect("a vault");
    for (code, region, label, key) in [
        ("ACME", None, "all", 1),
        ("ACME", region("HZ"), "purse", 2),
        ("ACME", region("SH"), "purse", 3),
        ("ACME", region("HZ"), "all", 4),
        ("OTHER", None, "mine", 5),
        ("OTHER", region("HZ"), "purse", 6),
    ] {
        file.add(id(code, region, label), Kind::Aes, Use::Anything, Secret::new(vec![key; 16]))
            .expect("added");
    }
    let vault = file.vault();
    for (code, region, label, expected) in [
        ("ACME", None, "all", Ok(1)),
        ("ACME", None, "purse", Err(1)),
        ("ACME", region("HZ"), "purse", Ok(2)),
        ("ACME", region("SH"), "purse", Ok(3)),
        ("ACME", region("HZ"), "all", Ok(4)),
        ("ACME", region("SH"), "all", Ok(1)),
        ("ACME", region("BJ"), "purse", Err(1)),
        ("ACME", region("HZ"), "mine", Err(1)),
        ("ACME", region("HZ"), "../OTHER/purse", Err(1)),
        ("ACME", region("HZ"), "OTHER HZ purse", Err(1)),
        ("OTHER", region("HZ"), "purse", Ok(6)),
        ("NOBODY", None, "all", Err(1)),
        ("ACME", None, "", Err(1)),
    ] {
        let scope = Scope { vendor: vendor(code), region };
        assert_eq!(under(&vault, &scope, label), expected.map(block_of), "{scope} {label}");
    }
}

#[test]
fn versions_are_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let passphrase = Secret::new(b"correct horse".to_vec());
    let path = folder.path().join("keys.vault");
    let mut file = KeyFile::create(&path, passphrase, Cost::GENERATED).expect("a vault");
    let id = id("ACME", None, "purse");
    file.add(id.clone(), Kind::Aes, Use::Anything, Secret::new(vec![1; 16])).expect("added");
    assert_eq!(file.rotate(&id, Secret::new(vec![2; 16])).expect("rotated"), 2);
    assert_eq!(file.rotate(&id, Secret::new(vec![3; 16])).expect("rotated"), 3);
    let vault = file.vault();
    for (label, expected) in [
        ("purse", Ok(3)),
        ("purse@3", Ok(3)),
        ("purse@2", Ok(2)),
        ("purse@1", Ok(1)),
        ("purse@4", Err(1)),
        ("purse@0", Err(1)),
        ("purse@", Err(1)),
        ("purse@x", Err(1)),
        ("purse@1@1", Err(1)),
        ("@1", Err(1)),
    ] {
        assert_eq!(under(&vault, &scope(), label), expected.map(block_of), "{label}");
    }
    let shown: Vec<_> = vault.list().iter().map(|key| (key.version, key.is_current)).collect();
    assert_eq!(shown, [(1, false), (2, false), (3, true)]);
}

/// `Err` with a code of the contract.
fn check(answer: Result<Vec<u8>, Refused>, code: u16, why: &str) {
    assert_eq!(answer.map_err(|refused| refused.code()), Err(code), "{why}");
}

#[test]
fn the_vault_says_no() {
    let des = vault(Kind::TripleDes, "00112233445566778899aabbccddeeff");
    let aes = vault(Kind::Aes, "00112233445566778899aabbccddeeff");
    let dlms = vault(Kind::Dlms, &"11".repeat(32));
    let run = |vault: &Vault, algorithm, message: Message<'_>| {
        vault.encrypt(&scope(), &named(&[]), algorithm, message)
    };
    let back = |vault: &Vault, algorithm, message: Message<'_>| {
        vault.decrypt(&scope(), &named(&[]), algorithm, message)
    };
    for algorithm in [0, 14, u16::MAX] {
        check(run(&des, algorithm, message(&[], &[], &[0; 8])), 2, "algorithm");
        check(back(&des, algorithm, message(&[], &[], &[0; 8])), 2, "algorithm");
        check(des.mac(&scope(), &named(&[]), algorithm, &[], &[]), 2, "algorithm");
        check(ecb(&des, &named(&[(algorithm, &[0; 8])]), 1, &[0; 8]), 2, "derivation");
    }
    check(run(&des, 1, message(&[], &[], &[0; 9])), 3, "part of a block");
    check(back(&des, 1, message(&[], &[], &[0; 9])), 3, "part of a block");
    check(run(&des, 1, message(&[], &[], &[0; 64 << 10])), 3, "too long");
    check(run(&des, 1, message(&[0; 8], &[], &[0; 8])), 3, "ECB takes no initial value");
    check(run(&des, 1, message(&[], &[1], &[0; 8])), 3, "ECB takes no associated data");
    check(run(&des, 8, message(&[0; 7], &[], &[0; 8])), 3, "a short initial value");
    check(run(&aes, 7, message(&[0; 16], &[], &[])), 3, "an initial value of GCM has 12 bytes");
    check(run(&aes, 7, message(&[0; 12], &[0; 16 << 10], &[1])), 3, "too long with associated");
    check(run(&dlms, 4, message(&[0; 12], &[], &[1])), 3, "no security control");
    check(dlms.mac(&scope(), &named(&[]), 4, &[0; 12], &[]), 3, "no security control");
    check(des.mac(&scope(), &named(&[]), 1, &[0; 4], &[]), 3, "initial value");
    check(des.mac(&scope(), &named(&[]), 1, &[0; 8], &[0; 64 << 10]), 3, "too long");
    check(run(&des, 2, message(&[], &[], &[0; 16])), 5, "AES with a 3DES key");
    check(run(&aes, 4, message(&[0; 12], &[1], &[])), 5, "DLMS with an AES key");
    check(aes.mac(&scope(), &named(&[]), 1, &[0; 8], &[]), 5, "PBOC with an AES key");
    check(ecb(&aes, &named(&[(1, &[0; 8])]), 2, &[0; 16]), 5, "3DES derivation of an AES key");
    check(ecb(&des, &named(&[(1, &[0; 7])]), 1, &[0; 8]), 3, "factor");
    check(ecb(&aes, &named(&[(5, &[])]), 2, &[0; 16]), 3, "factor");
    check(ecb(&aes, &named(&[(5, &[0; 65])]), 2, &[0; 16]), 3, "factor");
    let step: (u16, &[u8]) = (1, &[0; 8]);
    assert!(ecb(&des, &named(&[step; 8]), 1, &[0; 8]).is_ok());
    check(ecb(&des, &named(&[step; 9]), 1, &[0; 8]), 3, "path");
    check(Vault::random(257), 3, "random");
    assert_ne!(Vault::random(256), Vault::random(256));
    assert_eq!(Vault::random(0), Ok(vec![]));
}

#[test]
fn a_key_to_derive_from_does_nothing_else() {
    let folder = tempfile::tempdir().expect("a folder");
    let passphrase = Secret::new(b"correct horse".to_vec());
    let path = folder.path().join("keys.vault");
    let mut file = KeyFile::create(&path, passphrase, Cost::GENERATED).expect("a vault");
    let key = Secret::new(bytes("00112233445566778899aabbccddeeff"));
    file.add(id("ACME", None, "root"), Kind::TripleDes, Use::DeriveOnly, key).expect("added");
    let vault = file.vault();
    let root = |path| KeyName { label: "root", path };
    // Without the bound, this would be the derived key itself.
    check(ecb(&vault, &root(vec![]), 1, &[0; 16]), 5, "encrypt");
    check(vault.mac(&scope(), &root(vec![]), 1, &[0; 8], &[]), 5, "mac");
    let step = Derivation { algorithm: 2, factor: &[0; 8] };
    assert!(ecb(&vault, &root(vec![step]), 1, &[0; 16]).is_ok());
}

#[test]
fn a_label_in_a_message_is_short_and_harmless() {
    let vault = vault(Kind::Aes, "00112233445566778899aabbccddeeff");
    let label = format!("\u{1b}[31m{}", "x".repeat(100_000));
    let named = KeyName { label: &label, path: vec![] };
    let refused = ecb(&vault, &named, 2, &[0; 16]).expect_err("no such key").to_string();
    assert!(refused.len() < 200 && refused.starts_with("vendor ACME has no key `\\u{1b}[31mxxx"));
}

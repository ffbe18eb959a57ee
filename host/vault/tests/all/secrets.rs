//! No key and no passphrase is printed, whatever is printed.

use crate::{message, named, scope, vault, vendor};
use polymeter_vault::{
    Cost, KeyFile, KeyId, KeyName, Kind, Label, Secret, StoreError, Unlock, Use, Vault,
};

const KEY: [u8; 16] = *b"NO-ONE-SEES-THIS";
const PASSPHRASE: &[u8] = b"tell-nobody-this-one";

/// Not as text, not in hex of either case, not as a list of numbers.
fn is_clean(text: &str) -> bool {
    [&KEY[..], PASSPHRASE].iter().all(|secret| {
        let plain = String::from_utf8_lossy(secret).into_owned();
        let list = format!("{secret:?}");
        let inner = list.trim_matches(['[', ']']);
        let upper = hex::encode_upper(secret);
        ![plain.as_str(), inner, &hex::encode(secret), &upper]
            .iter()
            .any(|form| text.contains(form))
    })
}

#[test]
fn nothing_prints_a_key() {
    // The check sees what it looks for.
    assert!(!is_clean("x NO-ONE-SEES-THIS y"));
    assert!(!is_clean(&format!("{KEY:?}")) && !is_clean(&hex::encode(KEY)));

    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("keys.vault");
    let mut file =
        KeyFile::create(&path, Secret::new(PASSPHRASE.to_vec()), Cost::GENERATED).expect("a vault");
    let label = Label::new("purse").expect("a label");
    let id = KeyId { vendor: vendor("ACME"), region: None, label };
    file.add(id.clone(), Kind::Aes, Use::Anything, Secret::new(KEY.to_vec())).expect("added");
    let vault = file.vault();
    let mut printed = vec![
        format!("{file:?}"),
        format!("{vault:?}"),
        format!("{:?}", vault.list()),
        format!("{:?}", Secret::new(KEY.to_vec())),
        format!("{:?}", Unlock::File(path.clone())),
    ];
    let wrong = [
        file.add(id.clone(), Kind::Aes, Use::Anything, Secret::new(KEY.to_vec())).map(drop),
        file.rotate(&id, Secret::new(KEY[..15].to_vec())).map(drop),
        KeyFile::open(&path, Secret::new([PASSPHRASE, b"!"].concat())).map(drop),
        KeyFile::create(&path, Secret::new(PASSPHRASE.to_vec()), Cost::GENERATED).map(drop),
        KeyFile::create(&path, Secret::new(PASSPHRASE[..5].to_vec()), Cost::PERSON).map(drop),
    ];
    for error in wrong {
        let error: StoreError = error.expect_err("refused");
        printed.extend([error.to_string(), format!("{error:?}")]);
    }
    let key = KeyName { label: "purse", path: vec![] };
    for algorithm in 0..12 {
        let refused = vault.encrypt(&scope(), &key, algorithm, message(&[1], &[2], &[3]));
        printed.push(format!("{refused:?}"));
        printed.push(format!("{:?}", vault.mac(&scope(), &key, algorithm, &[1], &[2])));
    }
    for text in printed {
        assert!(is_clean(&text), "{text}");
    }
    assert_eq!(format!("{vault:?}"), "Vault { keys: 1 }");
    // The file is sealed: neither the key nor its digits nor a name stand in it.
    let bytes = std::fs::read(&path).expect("the file");
    assert!(is_clean(&String::from_utf8_lossy(&bytes)));
    assert!(!String::from_utf8_lossy(&bytes).contains("purse"));
}

#[test]
fn check_values_tell_keys_apart_and_no_more() {
    let value = |vault: &Vault| vault.list().remove(0).check_value.expect("computed");
    // Encrypted zeros: NIST SP 800-38A keys, and the key of GB/T 32907.
    assert_eq!(value(&vault(Kind::Aes, "2b7e151628aed2a6abf7158809cf4f3c")), "7DF76B");
    assert_eq!(value(&vault(Kind::TripleDes, "01010101010101010101010101010101")), "8CA64D");
    let two = value(&vault(Kind::Dlms, &"2b7e151628aed2a6abf7158809cf4f3c".repeat(2)));
    assert_eq!(two, "7DF76B+7DF76B");
    assert_eq!(value(&vault(Kind::Hmac, &"0b".repeat(20))).len(), 6);
    assert!(
        vault(Kind::Sm4, "0123456789abcdeffedcba9876543210")
            .mac(&scope(), &named(&[]), 5, &[0; 16], &[])
            .is_ok()
    );
}

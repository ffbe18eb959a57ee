//! The shared vectors, where they are beside the workspace: those of kinds that the vault has are
//! computed, the others are counted aloud.

use crate::{bytes, ecb, named, vault};
use polymeter_vault::Kind;
use std::io::Write;

/// Past the harness, which swallows what a passing test prints.
macro_rules! report {
    ($($text:tt)*) => { let _ = writeln!(std::io::stderr(), $($text)*); };
}

#[test]
fn published_vectors_crypto() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/vectors/crypto.jsonl");
    let Ok(text) = std::fs::read_to_string(path) else {
        report!("vectors vault: NONE CHECKED, no crypto.jsonl in ../shared/vectors");
        return;
    };
    let (mut checked, mut skipped) = (0, Vec::new());
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let row: serde_json::Value = serde_json::from_str(line).expect("a row");
        let word = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
        let cipher = match word("kind").as_str() {
            "3DES-ECB" => (Kind::TripleDes, 1),
            "AES-ECB" => (Kind::Aes, 2),
            "SM4-ECB" => (Kind::Sm4, 5),
            other => {
                skipped.push(other.to_owned());
                continue;
            }
        };
        let vault = vault(cipher.0, &word("key_hex"));
        let found = ecb(&vault, &named(&[]), cipher.1, &bytes(&word("plain_hex"))).expect(line);
        let expected = row["expected"]["cipher_hex"].as_str().unwrap_or_default();
        assert_eq!(found, bytes(expected), "{line}");
        checked += 1;
    }
    report!(
        "vectors vault: {checked} rows checked, {} skipped (not of the vault: {})",
        skipped.len(),
        skipped.join(", ")
    );
    assert!(checked + skipped.len() > 0, "an empty file of vectors");
}

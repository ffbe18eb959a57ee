//! A key under another: published answers, and what is not wrapped.

use crate::{bytes, message, named, scope, vault, vendor};
use polymeter_vault::{Kind, Refused, Secret, Vault};

const WRAP: u16 = 13;

fn wrapped(vault: &Vault, associated: &[u8], data: &[u8]) -> Result<Vec<u8>, Refused> {
    vault.encrypt(&scope(), &named(&[]), WRAP, message(&[], associated, data))
}

fn with(under: &str, kind: Kind, key: &str) -> Vault {
    let key = Secret::new(bytes(key));
    vault(Kind::KeyWrap, under).with(vendor("ACME"), "other", kind, key).expect("a key")
}

#[test]
fn published_vectors_key_wrap() {
    // RFC 3394, 4.1, 4.3 and 4.6.
    let long = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
    let data = "00112233445566778899aabbccddeeff000102030405060708090a0b0c0d0e0f";
    let vectors = [
        (&long[..32], &data[..32], "1fa68b0a8112b447aef34bd8fb5a7b829d3e862371d2cfe5"),
        (long, &data[..32], "64e8c3f9ce0f5ba263e9777905818a2a93c8191e7d6e8ae7"),
        (
            long,
            data,
            "28c9f404c4b810f4cbccb35cfb87f8263f5786e2d80ed326cbc7f0e71a99f43bfb988b9b7a02dd21",
        ),
    ];
    for (under, key, expected) in vectors {
        let vault = with(under, Kind::Hmac, key);
        assert_eq!(wrapped(&vault, b"other", &[]).map(hex::encode), Ok(expected.to_owned()));
        assert_eq!(wrapped(&vault, b"other@1", &[]).map(hex::encode), Ok(expected.to_owned()));
        let none = wrapped(&vault, b"other@2", &[]);
        assert!(matches!(none, Err(Refused::NoSuchKey { .. })), "{none:?}");
    }
}

#[test]
fn what_wraps_does_nothing_else_and_opens_nothing() {
    let under = "000102030405060708090a0b0c0d0e0f";
    let vault = with(under, Kind::Hmac, &"ab".repeat(16));
    for algorithm in [1, 2, 3, 7, 8, 9] {
        let (iv, data) = ([0; 16], [0; 16]);
        let iv = match algorithm {
            1 | 2 => &iv[..0],
            7 => &iv[..12],
            8 => &iv[..8],
            _ => &iv[..],
        };
        for answer in [
            vault.encrypt(&scope(), &named(&[]), algorithm, message(iv, &[], &data)),
            vault.decrypt(&scope(), &named(&[]), algorithm, message(iv, &[], &data)),
        ] {
            assert!(matches!(answer, Err(Refused::OtherKind { .. })), "{algorithm}: {answer:?}");
        }
    }
    let opened = vault.decrypt(&scope(), &named(&[]), WRAP, message(&[], b"other", &[0; 24]));
    assert!(matches!(opened, Err(Refused::NotOffered { .. })), "{opened:?}");
    assert!(matches!(
        vault.mac(&scope(), &named(&[]), 3, &[], &[]),
        Err(Refused::OtherKind { .. })
    ));
}

#[test]
fn what_is_not_wrapped() {
    let under = "000102030405060708090a0b0c0d0e0f";
    let check = |kind, key: &str, associated: &[u8], data: &[u8]| {
        wrapped(&with(under, kind, key), associated, data).expect_err("refused")
    };
    let sixteen = "ab".repeat(16);
    // A transport key is no key of devices that a card could bring.
    let itself = check(Kind::Hmac, &sixteen, b"k", &[]);
    assert_eq!(itself, Refused::NotToWrap { found: Kind::KeyWrap });
    let odd = check(Kind::Hmac, &"ab".repeat(17), b"other", &[]);
    assert!(matches!(odd, Refused::BadLength { length: 17, .. }), "{odd:?}");
    let short = check(Kind::StsDes, &"ab".repeat(8), b"other", &[]);
    assert!(matches!(short, Refused::BadLength { length: 8, .. }), "{short:?}");
    let beside = check(Kind::Hmac, &sixteen, b"other", &[1]);
    assert!(matches!(beside, Refused::BadLength { length: 1, .. }), "{beside:?}");
    let nothing = check(Kind::Hmac, &sixteen, &[], &[]);
    assert!(matches!(nothing, Refused::BadLength { length: 0, .. }), "{nothing:?}");
    // Under a key of another kind.
    let vault = vault(Kind::Aes, under);
    let vault = vault.with(vendor("ACME"), "other", Kind::Hmac, Secret::new(vec![1; 16]));
    let other = wrapped(&vault.expect("a key"), b"other", &[]).expect_err("refused");
    assert!(matches!(other, Refused::OtherKind { needed: Kind::KeyWrap, .. }), "{other:?}");
}

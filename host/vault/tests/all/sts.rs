//! STS: published tokens out of their vending keys, sections of key changes, and what keys of STS are not
//! used for.

use crate::{bytes, message, named, scope, vendor};
use polymeter_codec::sts::decoder_key::{
    Cipher, DecoderKey, Group, KeyType, Origin, Pan, RollOver, dkga02_key,
};
use polymeter_codec::sts::misty1::Misty1;
use polymeter_codec::sts::sta::Tables;
use polymeter_codec::sts::{BaseDate, Class, Content, Token};
use polymeter_vault::{KeyName, Kind, Refused, Secret, Vault};
use std::io::Write as _;

const EA07: u16 = 10;
const EA11: u16 = 11;
const KEY_CHANGE: u16 = 12;
const DKGA02: u16 = 6;
const DKGA04: u16 = 7;
const KDF: &str = "abababababababab949494949494949401234567";
/// The sample of the standard, which no meter in the field has.
const TABLES: &str = "0c0a0804030f00020e01050d0609070b06090704030a0c0e020d010f000b0805\
    1d1b2209103e370228312619213d1e17012915392a0f053a13351611301c1827\
    033c240e0b34360c1f330a1a002d252b2c063b04072338320d12202f2e3f1408";

fn with(vault: Vault, label: &str, kind: Kind, digits: &str) -> Vault {
    vault.with(vendor("ACME"), label, kind, Secret::new(bytes(digits))).expect("a key")
}

fn encrypt(
    vault: &Vault,
    named: &KeyName<'_>,
    algorithm: u16,
    associated: &[u8],
    block: u64,
) -> Result<u64, Refused> {
    let block = block.to_be_bytes();
    let answer = vault.encrypt(&scope(), named, algorithm, message(&[], associated, &block))?;
    Ok(u64::from_be_bytes(answer.try_into().expect("a block")))
}

fn origin(revision: u8) -> Origin {
    let pan = Pan::from_digits("600727000000000009").expect("a meter");
    let key_type = KeyType::Unique;
    let group = Group { supply_group: 123_456, tariff_index: 1, revision, key_type };
    Origin::new(pan, group).expect("a group")
}

#[test]
fn published_vectors_sts() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/vectors/sts_tokens.jsonl");
    let Ok(text) = std::fs::read_to_string(path) else {
        let say = "vectors vault, STS: NONE CHECKED, no sts_tokens.jsonl in ../shared/vectors";
        writeln!(std::io::stderr(), "{say}").expect("standard error");
        return;
    };
    let mut checked = 0;
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let row: serde_json::Value = serde_json::from_str(line).expect("a row");
        let (expected, published) = (&row["expected"], &row["expected"]["key_params"]);
        if published["ea"] != "11" {
            continue;
        }
        let text = |name: &str| published[name].as_str().expect(name).to_owned();
        let group = Group {
            supply_group: text("sgc").parse().expect("a group"),
            tariff_index: text("ti").parse().expect("an index"),
            revision: published["krn"].to_string().parse().expect("a revision"),
            key_type: KeyType::Unique,
        };
        assert_eq!(published["kt"], 2, "{line}");
        let origin = Origin::new(Pan::from_digits(&text("pan")).expect("a meter"), group);
        let year = text("bd_key");
        let base = BaseDate::ALL.into_iter().find(|base| base.year().to_string() == year);
        let record = origin.expect("good").dkga04_record(base.expect("a base"), Cipher::Misty1);
        let vault = with(Vault::default(), "k", Kind::StsKdf, &text("vk"));
        let clear = expected["block64_hex"].as_str().expect("a block");
        let clear = u64::from_str_radix(clear, 16).expect("hex");
        let carried = encrypt(&vault, &named(&[(DKGA04, &record)]), EA11, &[], clear);
        let class = if expected["class"] == 0 { Class::Credit } else { Class::Engineering };
        let made = Token::new(class, carried.expect("encrypted"));
        assert_eq!(Some(made.digits().as_str()), row["token"].as_str(), "{line}");
        checked += 1;
    }
    writeln!(std::io::stderr(), "vectors vault, STS: {checked} tokens of EA11").expect("stderr");
    assert!(checked > 20, "{checked}");
}

/// DKGA02 and EA07, with the standard's sample tables, as the codec has them.
#[test]
fn a_des_key_makes_the_decoder_key_of_ea07() {
    use des::cipher::{BlockCipherEncrypt as _, KeyInit as _};
    let vending = [0xAB; 8];
    let block = origin(1).dkga02_block();
    let mut encrypted = block.into();
    des::Des::new(&vending.into()).encrypt_block(&mut encrypted);
    let key = u64::from_be_bytes(dkga02_key(block, encrypted.into(), &vending));
    assert_eq!(key, 0xE653_341F_9D5B_F36F, "the published one");
    let vault = with(Vault::default(), "k", Kind::StsDes, "abababababababab");
    let path = named(&[(DKGA02, &block)]);
    let clear = 0x055A_B659_000A_3504;
    let without = encrypt(&vault, &path, EA07, &[], clear);
    assert!(matches!(without, Err(Refused::NoSuchKey { .. })), "{without:?}");
    let vault = with(vault, "sts-tables", Kind::StsTables, TABLES);
    assert_eq!(encrypt(&vault, &path, EA07, &[], clear), Ok(Tables::SAMPLE.encrypt(key, clear)));
    let twice = TABLES.replace("0c0a", "0c0c");
    let vault = with(Vault::default(), "k", Kind::StsDes, "abababababababab");
    let vault = with(vault, "sts-tables", Kind::StsTables, &twice);
    assert_eq!(encrypt(&vault, &path, EA07, &[], clear), Err(Refused::NotTables));
}

#[test]
fn a_key_change_carries_the_new_key_and_nothing_else_does() {
    let vault = with(Vault::default(), "k", Kind::StsKdf, KDF);
    let record = |revision| origin(revision).dkga04_record(BaseDate::Y2014, Cipher::Misty1);
    let key = |revision| -> [u8; 16] {
        use hmac::{Hmac, KeyInit as _, Mac as _};
        let mut mac = Hmac::<sha2::Sha256>::new_from_slice(&bytes(KDF)).expect("a key");
        mac.update(&record(revision));
        *mac.finalize().into_bytes().first_chunk().expect("16 bytes")
    };
    let (old, new) = (record(1), record(2));
    let name = [b"k", &[0, 7, 49][..], &new].concat();
    let path = named(&[(DKGA04, &old)]);
    let sections =
        |key: &DecoderKey| origin(2).sections(key, 255, RollOver::No).iter().collect::<Vec<_>>();
    let empty = sections(&DecoderKey::Misty1([0; 16]));
    for (asked, expected) in empty.iter().zip(sections(&DecoderKey::Misty1(key(2)))) {
        let clear = Content::Key(*asked).block().expect("fits");
        let carried = encrypt(&vault, &path, KEY_CHANGE, &name, clear).expect("a section");
        let found = Content::of(Class::Engineering, Misty1::new(&key(1)).decrypt(carried));
        assert!(found == Ok(Content::Key(expected)), "{expected:?}");
        // The key must be named, and by a name that is whole.
        for bad in [&[][..], &name[..name.len() - 1], b"\xff"] {
            assert!(encrypt(&vault, &path, KEY_CHANGE, bad, clear).is_err());
        }
        // A key for the other cipher has another length.
        let mut short = new;
        *short.last_mut().expect("49 bytes") = 64;
        let name = [b"k", &[0, 7, 49][..], &short].concat();
        let refused = encrypt(&vault, &path, KEY_CHANGE, &name, clear);
        let fits = matches!(asked.sub_class(), 3 | 4);
        assert_eq!(refused.is_ok(), fits, "{asked:?}");
    }
    for block in [0x055A_B659_000A_3504, 0, u64::MAX] {
        let refused = encrypt(&vault, &path, KEY_CHANGE, &name, block);
        assert_eq!(refused, Err(Refused::NotASection));
    }
}

#[test]
fn keys_of_sts_serve_for_nothing_else() {
    let record = origin(1).dkga04_record(BaseDate::Y2014, Cipher::Misty1);
    let vault = with(Vault::default(), "k", Kind::StsKdf, KDF);
    let (root, decoder) = (named(&[]), named(&[(DKGA04, &record)]));
    for (key, algorithm) in [(&root, 2), (&root, 3), (&decoder, 2)] {
        let refused = vault.mac(&scope(), key, algorithm, &[], b"data");
        assert!(matches!(refused, Err(Refused::OtherKind { .. })), "{refused:?}");
    }
    for algorithm in [EA07, EA11, KEY_CHANGE] {
        let refused =
            encrypt(&vault, &root, algorithm, if algorithm == 12 { b"k" } else { b"" }, 1);
        assert!(matches!(refused, Err(Refused::OtherKind { .. })), "{refused:?}");
        let back = vault.decrypt(&scope(), &decoder, algorithm, message(&[], &[], &[0; 8]));
        assert!(matches!(back, Err(Refused::NotOffered { .. })), "{back:?}");
    }
    let long = vault.encrypt(&scope(), &decoder, EA11, message(&[], &[], &[0; 16]));
    assert!(matches!(long, Err(Refused::BadLength { .. })), "{long:?}");
    let mut other = record;
    *other.last_mut().expect("49 bytes") = 65;
    let refused = encrypt(&vault, &named(&[(DKGA04, &other)]), EA11, &[], 1);
    assert!(matches!(refused, Err(Refused::BadLength { .. })), "{refused:?}");
    let cut = encrypt(&vault, &named(&[(DKGA04, &record[1..])]), EA11, &[], 1);
    assert!(matches!(cut, Err(Refused::BadLength { .. })), "{cut:?}");
}

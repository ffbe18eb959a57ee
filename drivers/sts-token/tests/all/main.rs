//! The driver against its transcripts, against published tokens with the real vault, and against any
//! order at all.

mod published;
mod vault;

use driver_sts_token::StsToken;
use polymeter_codec::sts::decoder_key::{Cipher, DecoderKey};
use polymeter_codec::sts::misty1::Misty1;
use polymeter_codec::sts::{Class, Content, KeySection, Token};
use polymeter_driver::codes::{error, quantity, token};
use polymeter_driver::{
    Call, Credit, Decimal, DriverError, Extras, LocalTime, MeterDriver, TokenOrder, Value,
};
use polymeter_replay::check_folder;
use polymeter_vault::Kind;
use proptest::prelude::*;
use std::io::Write as _;
use vault::Keys;

const PAN: &str = "600727000000000009";
const VENDING: &str = "abababababababab949494949494949401234567";

#[test]
fn transcripts() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/transcripts");
    match check_folder::<StsToken>(folder.as_ref()) {
        Ok(played) => {
            writeln!(std::io::stderr(), "transcripts sts-token: {played} played").unwrap()
        }
        Err(error) => panic!("{error}"),
    }
}

fn number(mantissa: i64) -> Value {
    Value::Number(Decimal { mantissa, scale: 0 })
}

fn named(pairs: &[(&str, Value)]) -> Extras {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
}

fn call(parameters: Extras) -> Call {
    let now = LocalTime { year: 2026, month: 11, day: 26, hour: 2, minute: 15, second: 0 };
    Call { address: PAN.to_owned(), parameters, now, nonce: vec![5; 16] }
}

fn group() -> Extras {
    named(&[("supply-group", Value::Text("123457".to_owned())), ("key-revision", number(7))])
}

fn order(kind: u16, value: u64) -> TokenOrder {
    TokenOrder { kind, credit: None, value, change: Extras::new() }
}

fn energy(amount: u64) -> TokenOrder {
    let credit = Some(Credit { quantity: quantity::ENERGY, amount });
    TokenOrder { credit, ..order(token::CREDIT, 0) }
}

fn refused<T: std::fmt::Debug>(answer: Result<T, DriverError>, texts: &str) {
    let error = answer.expect_err("it was to be refused");
    assert_eq!(error.code, error::BAD_PARAMETER, "{error:?}");
    assert!(error.detail.contains(texts), "{error:?}");
}

#[test]
fn amounts_are_rounded_up_to_what_a_token_carries_and_what_is_too_much_is_refused() {
    let call = call(group());
    let carried = |wh| StsToken::plan(&call, &energy(wh), None).map(|it| it.credit.unwrap().amount);
    assert_eq!(carried(1), Ok(100));
    assert_eq!(carried(96_153), Ok(96_200));
    assert_eq!(carried(1_638_300), Ok(1_638_300));
    assert_eq!(carried(1_638_401), Ok(1_639_400), "coarser above 14 bits of tenths");
    assert_eq!(carried(1_820_162_400), Ok(1_820_162_400));
    refused(carried(1_820_162_401), "a token carries");
    refused(carried(0), "a token carries");
    refused(carried(u64::MAX), "a token carries");
    let credit = Some(Credit { quantity: quantity::MONEY, amount: 100 });
    refused(StsToken::plan(&call, &TokenOrder { credit, ..energy(0) }, None), "not money");
    let none = TokenOrder { credit: None, ..energy(0) };
    refused(StsToken::plan(&call, &none, None), "without an amount");
}

#[test]
fn numbers_go_on_a_minute_at_a_time_and_never_back() {
    let call = call(group());
    let planned = |last| StsToken::plan(&call, &energy(100), last).unwrap().identifier.unwrap();
    // Minutes from 1 January 2014 to 26 November 2026, 02:15.
    assert_eq!(planned(None), 6_785_415);
    assert_eq!(planned(Some(6_785_414)), 6_785_415);
    assert_eq!(planned(Some(6_785_415)), 6_785_416);
    assert_eq!(planned(Some(6_785_500)), 6_785_501);
    let last = Some(0x00FF_FFFF);
    refused(StsToken::plan(&call, &energy(100), last), "no identifier left");
    refused(StsToken::plan(&call, &energy(100), Some(u32::MAX)), "the last identifier is none");
    let mut old = call.clone();
    old.parameters.push(("base-date".to_owned(), number(1993)));
    refused(StsToken::plan(&old, &energy(100), None), "run out");
}

#[test]
fn the_same_order_has_the_same_digits_and_another_number_has_others() {
    let mut keys = Keys::of("vending-123457-7", Kind::StsKdf, VENDING);
    let call = call(group());
    let mut issued = |id| StsToken::issue(&mut keys, &call, &energy(25_600), Some(id)).unwrap();
    let first = issued(6_785_415);
    assert_eq!(first, issued(6_785_415));
    assert_ne!(first.tokens, issued(6_785_416).tokens);
    assert_eq!(first.credit.unwrap().amount, 25_600);
    for bad in [None, Some(1_441), Some(1 << 24)] {
        refused(StsToken::issue(&mut keys, &call, &energy(100), bad), "identifier");
    }
    let mut none = Keys::none();
    let error = StsToken::issue(&mut none, &call, &energy(100), Some(5)).expect_err("no key");
    assert_eq!(error.code, error::VAULT, "{error:?}");
}

/// Tests 1, 4, 11 and 18, and all of them, for makers with a code of two digits and of four: published
/// tokens of STS 531-1-0-02, CTSA02 and CTSA11.
#[test]
fn tests_are_the_same_for_every_meter_of_a_length_of_code() {
    let tests = [
        (u64::MAX, "56493153725450313471", "02305843005052951967"),
        (1, "00000000000150997584", "01152921509036054672"),
        (8, "18446744073843772416", "01152921539100838034"),
        (0x400, "00000000017314105857", "01152925902787577952"),
        (0x2_0000, "00000002199157475960", "01153484454694514832"),
    ];
    let digits = |address: &str, value| {
        let call = Call { address: address.to_owned(), ..call(group()) };
        let order = order(token::TEST, value);
        assert_eq!(StsToken::plan(&call, &order, None).unwrap().identifier, None);
        StsToken::issue(&mut Keys::none(), &call, &order, None).map(|it| it.tokens)
    };
    for (value, short, long) in tests {
        assert_eq!(digits(PAN, value), Ok(vec![short.to_owned()]));
        assert_eq!(digits("600727000000000017", value), Ok(vec![short.to_owned()]));
        assert_eq!(digits("000001000000000082", value), Ok(vec![long.to_owned()]));
    }
    let beyond = order(token::TEST, 1 << 36);
    refused(StsToken::plan(&call(group()), &beyond, None), "control");
}

/// The four tokens of a change bring exactly the key that the meter's next tokens are made by.
#[test]
fn a_key_change_brings_the_key_of_the_tokens_after_it() {
    let mut keys = Keys::of("vending-123457-7", Kind::StsKdf, VENDING);
    keys.put("vending-654321-2", Kind::StsKdf, &VENDING.replace("ab", "17"));
    let before = call(group());
    let change = named(&[
        ("supply-group", Value::Text("654321".to_owned())),
        ("key-revision", number(2)),
        ("base-date", number(2035)),
    ]);
    let asked = TokenOrder { change: change.clone(), ..order(token::KEY_CHANGE, 0) };
    let plan = StsToken::plan(&before, &asked, None).unwrap();
    assert_eq!((plan.identifier, plan.begins_anew), (None, true));
    let alone = TokenOrder { change: named(&[("key-revision", number(8))]), ..asked.clone() };
    assert!(!StsToken::plan(&before, &alone, None).unwrap().begins_anew);
    let issued = StsToken::issue(&mut keys, &before, &asked, None).unwrap();
    let old = Misty1::new(&keys.decoder_key(&before, Cipher::Misty1).try_into().unwrap());
    let sections: Vec<KeySection> = issued
        .tokens
        .iter()
        .map(|digits| {
            let token = Token::from_digits(digits).unwrap();
            assert_eq!(token.class(), Class::Engineering);
            match Content::of(token.class(), old.decrypt(token.block())) {
                Ok(Content::Key(section)) => section,
                other => panic!("{other:?}"),
            }
        })
        .collect();
    assert_eq!(sections.len(), 4);
    assert!(matches!(sections[0], KeySection::First { roll_over: true, revision: 2, .. }));
    let after = Call { parameters: change, ..before.clone() };
    let expected = keys.decoder_key(&after, Cipher::Misty1);
    let joined = DecoderKey::joined(Cipher::Misty1, &sections).unwrap();
    assert!(joined == DecoderKey::Misty1(expected.try_into().unwrap()));
}

#[test]
fn what_no_key_change_can_do_is_refused() {
    let before = call(group());
    let check = |change: &[(&str, Value)], texts: &str| {
        let asked = TokenOrder { change: named(change), ..order(token::KEY_CHANGE, 0) };
        refused(StsToken::plan(&before, &asked, None), texts);
    };
    check(&[], "changes nothing");
    check(&[("encryption", number(7))], "the cipher");
    check(&[("base-date", number(1993))], "an earlier base date");
    check(&[("base-date", number(2000))], "none that meters have");
    check(&[("supply-group", Value::Text("12345".to_owned()))], "six digits");
    check(&[("key-revision", number(10))], "from 1 to 9");
    check(&[("derivation", number(2))], "keys of 64 bits");
}

#[test]
fn a_meter_is_its_account_number_or_the_digits_on_its_plate() {
    let mut call = call(group());
    let plan = |call: &Call| StsToken::plan(call, &energy(100), None);
    for (address, good) in [
        (PAN, true),
        ("00000000000", true),
        ("600727000000000008", false),
        ("1234567890", false),
        ("6007270000000000O9", false),
        ("", false),
    ] {
        call.address = address.to_owned();
        assert_eq!(plan(&call).is_ok(), good, "{address}");
    }
}

proptest! {
    #[test]
    fn any_order_ends_without_a_panic(
        kind in 0_u16..12,
        value in any::<u64>(),
        amount in prop::option::of((0_u16..5, any::<u64>())),
        last in prop::option::of(any::<u32>()),
        year in 1990_u16..2110,
        text in ".{0,24}",
    ) {
        let mut call = call(group());
        call.now.year = year;
        let credit = amount.map(|(quantity, amount)| Credit { quantity, amount });
        let change = named(&[("supply-group", Value::Text(text.clone()))]);
        let order = TokenOrder { kind, credit, value, change };
        let mut keys = Keys::of("vending-123457-7", Kind::StsKdf, VENDING);
        if let Ok(plan) = StsToken::plan(&call, &order, last) {
            if let (Some(last), Some(id)) = (last, plan.identifier) {
                prop_assert!(id > last);
            }
            if let (Some(credit), Some(carried)) = (credit, plan.credit) {
                prop_assert!(carried.amount >= credit.amount);
            }
            let issued = StsToken::issue(&mut keys, &call, &order, plan.identifier);
            if let Ok(issued) = issued {
                prop_assert!(issued.tokens.iter().all(|it| it.len() == 20));
            }
        }
        call.address = text.clone();
        let _ = StsToken::plan(&call, &order, last);
        let _ = StsToken::decode(text.as_bytes());
    }
}

//! STS tokens: any digits, and every published token that we know of, from vending key to digits.
//!
//! Tokens of EA07 need tables that are the STS Association's. Where a file of them lies beside the
//! vectors (`sta_tables.json`: `substitutions`, `permutation`), their digits are checked too; where
//! not, they are checked up to the cipher, and the report says so.

use des::Des;
use des::cipher::{BlockCipherEncrypt as _, KeyInit as _};
use hmac::{Hmac, Mac as _};
use polymeter_codec::sts::decoder_key::{
    Cipher, DecoderKey, Group, KeyType, Origin, Pan, RollOver, dkga02_key,
};
use polymeter_codec::sts::misty1::Misty1;
use polymeter_codec::sts::sta::Tables;
use polymeter_codec::sts::{
    Amount, BaseDate, Class, Content, Credit, CurrencyAmount, CurrencyCredit, Engineering, Issued,
    KeySection, NotAContent, NotAToken, Order, Service, Test, Token, TokenId,
};
use proptest::prelude::*;
use serde_json::Value;
use sha2::Sha256;
use std::io::Write as _;

/// Encrypts and decrypts as a meter of either algorithm does.
enum Key<'a> {
    Sta(u64, &'a Tables),
    Misty1(Misty1),
}

impl Key<'_> {
    fn encrypt(&self, block: u64) -> u64 {
        match self {
            Key::Sta(key, tables) => tables.encrypt(*key, block),
            Key::Misty1(key) => key.encrypt(block),
        }
    }

    fn decrypt(&self, block: u64) -> u64 {
        match self {
            Key::Sta(key, tables) => tables.decrypt(*key, block),
            Key::Misty1(key) => key.decrypt(block),
        }
    }
}

fn any_id() -> impl Strategy<Value = TokenId> {
    (0_u32..1 << 24).prop_map(|minutes| TokenId::new(minutes).unwrap())
}

fn any_service() -> impl Strategy<Value = Service> {
    prop::sample::select(vec![Service::Electricity, Service::Water, Service::Gas, Service::Time])
}

fn any_order() -> impl Strategy<Value = Order> {
    let field = any::<u16>();
    prop_oneof![
        field.prop_map(|raw| Order::MaxPower(Amount::from_raw(raw))),
        field.prop_map(Order::ClearCredit),
        field.prop_map(Order::TariffRate),
        Just(Order::ClearTamper),
        field.prop_map(|raw| Order::MaxPhaseUnbalance(Amount::from_raw(raw))),
        field.prop_map(Order::WaterFactor),
    ]
}

fn any_section() -> impl Strategy<Value = KeySection> {
    let first = (0_u8..16, 1_u8..10, any::<bool>(), any::<bool>(), 0_u8..4, any::<u32>());
    prop_oneof![
        first.prop_map(|(expiry_high, revision, roll_over, three_tokens, key_type, part)| {
            KeySection::First { expiry_high, revision, roll_over, three_tokens, key_type, part }
        }),
        (0_u8..16, any::<u8>(), any::<u32>()).prop_map(|(expiry_low, tariff_index, part)| {
            KeySection::Second { expiry_low, tariff_index, part }
        }),
        (0_u16..0x1000, any::<u32>())
            .prop_map(|(supply_group_low, part)| KeySection::Third { supply_group_low, part }),
        (0_u16..0x1000, any::<u32>())
            .prop_map(|(supply_group_high, part)| KeySection::Fourth { supply_group_high, part }),
    ]
}

fn any_content() -> impl Strategy<Value = Content> {
    let credit = (any_service(), 0_u8..16, any_id(), any::<u16>());
    let order = (any_order(), 0_u8..16, any_id());
    prop_oneof![
        credit.prop_map(|(service, random, id, raw)| {
            Content::Credit(Credit { service, random, id, amount: Amount::from_raw(raw) })
        }),
        (any_service(), any_id(), any::<i64>()).prop_map(|(service, id, units)| {
            let amount = CurrencyAmount::at_least(units);
            Content::CurrencyCredit(CurrencyCredit { service, id, amount })
        }),
        (0_u64..1 << 36, any::<u8>())
            .prop_map(|(control, vendor)| Content::Test(Test::Short { control, vendor })),
        (0_u32..1 << 28, any::<u16>())
            .prop_map(|(control, vendor)| Content::Test(Test::Long { control, vendor })),
        order.prop_map(|(order, random, id)| {
            Content::Engineering(Engineering { order, random, id })
        }),
        any_section().prop_map(Content::Key),
    ]
}

proptest! {
    #[test]
    fn a_content_reads_back_from_its_token(content in any_content(), key in any::<[u8; 16]>()) {
        let key = Misty1::new(&key);
        let clear = content.block().unwrap();
        let carried = if content.class().is_encrypted() { key.encrypt(clear) } else { clear };
        let token = Token::new(content.class(), carried);
        let keyed = Token::from_digits(token.digits().as_str()).unwrap();
        prop_assert_eq!(keyed, token);
        let block =
            if keyed.class().is_encrypted() { key.decrypt(keyed.block()) } else { keyed.block() };
        prop_assert_eq!(Content::of(keyed.class(), block), Ok(content));
    }

    #[test]
    fn one_wrong_bit_of_a_clear_block_is_noticed(content in any_content(), bit in 0_u32..64) {
        let block = content.block().unwrap() ^ 1 << bit;
        prop_assert_eq!(Content::of(content.class(), block), Err(NotAContent::Crc));
    }

    #[test]
    fn any_block_and_any_text_end_without_a_panic(
        block in any::<u64>(),
        text in "[0-9 -]{0,70}|.{0,30}",
    ) {
        for class in [Class::Credit, Class::Test, Class::Engineering, Class::Reserved] {
            if let Ok(content) = Content::of(class, block) {
                prop_assert_eq!(content.block(), Ok(block));
            }
        }
        if let Ok(token) = Token::from_digits(&text) {
            let digits: String = text.chars().filter(char::is_ascii_digit).collect();
            let written = token.digits();
            prop_assert_eq!(written.as_str(), digits);
        }
    }

    #[test]
    fn both_ciphers_decrypt_what_they_encrypted(key in any::<[u8; 16]>(), block in any::<u64>()) {
        let misty1 = Misty1::new(&key);
        prop_assert_eq!(misty1.decrypt(misty1.encrypt(block)), block);
        let key = u64::from_be_bytes(*key.first_chunk().unwrap());
        prop_assert_eq!(Tables::SAMPLE.decrypt(key, Tables::SAMPLE.encrypt(key, block)), block);
    }

    #[test]
    fn a_key_reads_back_from_its_sections_in_any_order(
        key in any::<[u8; 16]>(),
        order in Just([0_usize, 1, 2, 3]).prop_shuffle(),
        missing in 0_usize..4,
    ) {
        let pan = Pan::from_digits("600727000000000009").unwrap();
        let group = Group {
            supply_group: 123_457,
            tariff_index: 2,
            revision: 4,
            key_type: KeyType::Unique,
        };
        let key = DecoderKey::Misty1(key);
        let sections = Origin::new(pan, group).unwrap().sections(&key, 0xFF, RollOver::Yes);
        let all: Vec<KeySection> = sections.iter().collect();
        let shuffled: Vec<KeySection> = order.iter().map(|nth| all[*nth]).collect();
        prop_assert_eq!(DecoderKey::joined(Cipher::Misty1, &shuffled), Some(key));
        let mut three = shuffled.clone();
        three.remove(missing);
        prop_assert_eq!(DecoderKey::joined(Cipher::Misty1, &three), None);
    }
}

#[test]
fn the_sample_tables_and_a_key_of_64_bits_make_a_token_and_its_key_change() {
    let issued = Issued { year: 2026, month: 11, day: 26, hour: 2, minute: 15 };
    let id = BaseDate::Y2014.token_id(issued).unwrap();
    let amount = Amount::at_least(1_000).unwrap();
    let credit = Content::Credit(Credit { service: Service::Electricity, random: 5, id, amount });
    let key = 0x0123_4567_89AB_CDEF;
    let token = Token::new(Class::Credit, Tables::SAMPLE.encrypt(key, credit.block().unwrap()));
    let block = Tables::SAMPLE.decrypt(key, token.block());
    assert_eq!(Content::of(token.class(), block), Ok(credit));
    let wrong = Tables::SAMPLE.decrypt(key ^ 1 << 40, token.block());
    assert_eq!(Content::of(token.class(), wrong), Err(NotAContent::Crc));

    let pan = Pan::from_digits("600727000000000009").unwrap();
    let group =
        Group { supply_group: 123_456, tariff_index: 1, revision: 1, key_type: KeyType::Common };
    let origin = Origin::new(pan, group).unwrap();
    let key = DecoderKey::Sta(key.to_be_bytes());
    let sections: Vec<_> = origin.sections(&key, 0xFF, RollOver::No).iter().collect();
    assert_eq!(sections.len(), 2);
    assert_eq!(DecoderKey::joined(Cipher::Sta, &sections), Some(key));
    // 3 123456 01 1 FFFFFF XOR 00727 00000000000: a common key is of the group, not of the meter.
    assert_eq!(hex::encode(origin.dkga02_block()), "3151356011ffffff");
}

#[test]
fn what_is_no_token_is_refused_with_its_reason() {
    let check = |text: &str, expected| {
        assert_eq!(Token::from_digits(text).map(|_| ()), Err(expected), "{text}");
    };
    check("", NotAToken::Digits { count: 0 });
    check("0000000000013422073", NotAToken::Digits { count: 19 });
    check("000000000001342207361", NotAToken::Digits { count: 21 });
    check("0000000000O134220736", NotAToken::Character { at: 10 });
    check("73786976294838206464", NotAToken::TooBig);
    check(&"0".repeat(4_000), NotAToken::Digits { count: 64 });
    assert!(Token::from_digits("73786976294838206463").is_ok());
    assert!(!format!("{:?}", Token::from_digits("66475648316756821785")).contains("6647"));
}

#[test]
fn what_does_not_fit_is_refused_by_the_name_of_its_field() {
    let id = TokenId::new(480).unwrap();
    let amount = Amount::at_least(1).unwrap();
    let check = |content: Content, field| {
        assert_eq!(content.block(), Err(NotAContent::TooWide { field }), "{content:?}");
    };
    let service = Service::Gas;
    check(Content::Credit(Credit { service, random: 16, id, amount }), "the random number");
    check(Content::Test(Test::Short { control: 1 << 36, vendor: 0 }), "the control field");
    check(Content::Test(Test::Long { control: 1 << 28, vendor: 0 }), "the control field");
    let third = KeySection::Third { supply_group_low: 0x1000, part: 0 };
    check(Content::Key(third), "half of the supply group code");
}

/// Published tokens, with the vending key of the conformance tests.
#[test]
fn published_vectors_sts_tokens() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/vectors");
    let path = format!("{folder}/sts_tokens.jsonl");
    let Ok(text) = std::fs::read_to_string(&path) else {
        report!("vectors sts: 0 rows checked, all skipped (no file {path})");
        return;
    };
    let tables = std::fs::read_to_string(format!("{folder}/sta_tables.json")).ok();
    let tables = tables.map(|text| tables_of(&serde_json::from_str(&text).unwrap()));
    let (mut checked, mut up_to_cipher) = (0, 0);
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        match check_vector(number + 1, &serde_json::from_str(line).unwrap(), tables.as_ref()) {
            Checked::Whole => checked += 1,
            Checked::UpToCipher => up_to_cipher += 1,
        }
    }
    report!(
        "vectors sts: {checked} rows checked from vending key to digits, {up_to_cipher} of EA07 up to \
         the cipher only (no sta_tables.json)"
    );
    assert!(checked > 0);
    assert!(tables.is_none() || up_to_cipher == 0);
}

fn tables_of(json: &Value) -> Tables {
    let numbers = |json: &Value| -> Vec<u8> {
        json.as_array().unwrap().iter().map(|n| n.as_u64().unwrap().try_into().unwrap()).collect()
    };
    let [first, second] =
        [0, 1].map(|nth| numbers(&json["substitutions"][nth]).try_into().unwrap());
    Tables::new([first, second], numbers(&json["permutation"]).try_into().unwrap()).unwrap()
}

enum Checked {
    Whole,
    UpToCipher,
}

fn check_vector(number: usize, row: &Value, tables: Option<&Tables>) -> Checked {
    let expected = &row["expected"];
    let token = Token::from_digits(row["token"].as_str().unwrap()).unwrap();
    let written = token.digits();
    assert_eq!(row["token"], written.as_str(), "row {number}");
    assert_eq!(expected["class"], token.class().number(), "row {number}");
    let clear = hex::decode(expected["block64_hex"].as_str().unwrap()).unwrap();
    let clear = u64::from_be_bytes(clear.try_into().unwrap());
    let content = Content::of(token.class(), clear).unwrap();
    assert_eq!(content.block(), Ok(clear), "row {number}");
    check_fields(number, row, &content);

    let key = if token.class().is_encrypted() {
        let derived = derived(number, &expected["key_params"]);
        match (derived, tables) {
            (DecoderKey::Sta(key), Some(tables)) => Key::Sta(u64::from_be_bytes(key), tables),
            (DecoderKey::Sta(_), None) => return Checked::UpToCipher,
            (DecoderKey::Misty1(key), _) => Key::Misty1(Misty1::new(&key)),
        }
    } else {
        assert_eq!(token.block(), clear, "row {number}");
        return Checked::Whole;
    };
    assert_eq!(key.encrypt(clear), token.block(), "row {number}: encrypted");
    assert_eq!(key.decrypt(token.block()), clear, "row {number}: decrypted");
    Checked::Whole
}

/// The decoder key of a row, derived from its vending key and held to the published one.
fn derived(number: usize, published: &Value) -> DecoderKey {
    let text = |name: &str| published[name].as_str().unwrap();
    let small = |name: &str| u8::try_from(published[name].as_u64().unwrap()).unwrap();
    let group = Group {
        supply_group: text("sgc").parse().unwrap(),
        tariff_index: text("ti").parse().unwrap(),
        revision: small("krn"),
        key_type: [KeyType::Initialization, KeyType::Default, KeyType::Unique, KeyType::Common]
            [usize::from(small("kt"))],
    };
    let pan = Pan::from_digits(text("pan"));
    let origin = Origin::new(pan.expect("a right check digit"), group).unwrap();
    let vending_key = hex::decode(text("vk")).unwrap();
    let cipher = if text("ea") == "07" { Cipher::Sta } else { Cipher::Misty1 };
    let key = if text("dkga") == "02" {
        let vending_key: [u8; 8] = vending_key.try_into().unwrap();
        let block = origin.dkga02_block();
        let mut encrypted = block.into();
        Des::new(&vending_key.into()).encrypt_block(&mut encrypted);
        dkga02_key(block, encrypted.into(), &vending_key).to_vec()
    } else {
        let year: u16 = text("bd_key").parse().unwrap();
        let base = BaseDate::ALL.into_iter().find(|base| base.year() == year).unwrap();
        let mut mac = Hmac::<Sha256>::new_from_slice(&vending_key).unwrap();
        mac.update(&origin.dkga04_record(base, cipher));
        mac.finalize().into_bytes()[..cipher.key_bytes()].to_vec()
    };
    assert_eq!(text("dk"), hex::encode(&key), "row {number}: decoder key");
    match cipher {
        Cipher::Sta => DecoderKey::Sta(key.try_into().unwrap()),
        Cipher::Misty1 => DecoderKey::Misty1(key.try_into().unwrap()),
    }
}

fn check_fields(number: usize, row: &Value, content: &Content) {
    let fields = &row["expected"]["fields"];
    let id = |id: TokenId, random: u8| {
        assert_eq!(fields["tid"], id.minutes(), "row {number}");
        assert_eq!(fields["random"], random, "row {number}");
        check_dates(number, row, id);
    };
    match *content {
        Content::Credit(credit) => {
            id(credit.id, credit.random);
            let raw = format!("{:04x}", credit.amount.raw());
            assert_eq!(fields["amount_field_hex"], raw, "row {number}");
            let tenths = (fields["amount"].as_f64().unwrap() * 10.0).round();
            assert_eq!(f64::from(credit.amount.units()), tenths, "row {number}");
            if let Some(asked) = row["source_context"]["amounts"][0].as_str() {
                check_asked(number, asked, credit.amount);
            }
        }
        Content::Engineering(Engineering { order, random, id: of }) => {
            id(of, random);
            let raw = match order {
                Order::MaxPower(watts) | Order::MaxPhaseUnbalance(watts) => watts.raw(),
                Order::ClearCredit(raw) | Order::TariffRate(raw) | Order::WaterFactor(raw) => raw,
                Order::ClearTamper => 0,
            };
            assert_eq!(fields["field_hex"], format!("{raw:04x}"), "row {number}");
            if let (Order::MaxPower(power), Some(watts)) =
                (order, row["source_context"]["mpl"][0].as_str())
            {
                assert_eq!(Amount::at_least(watts.parse().unwrap()), Some(power), "row {number}");
            }
        }
        Content::Test(Test::Short { control, vendor }) => {
            let bits = format!("{:011x}", control << 8 | u64::from(vendor));
            assert_eq!(fields["control_mfr_44bits"], bits, "row {number}");
        }
        Content::Test(Test::Long { control, vendor }) => {
            let bits = format!("{:011x}", u64::from(control) << 16 | u64::from(vendor));
            assert_eq!(fields["control_mfr_44bits"], bits, "row {number}");
        }
        Content::Key(section) => check_section(number, fields, section),
        Content::CurrencyCredit(_) => panic!("row {number}: no published token is of money"),
    }
}

fn check_section(number: usize, fields: &Value, section: KeySection) {
    let part = format!("{:08x}", section.part());
    let published = [&fields["nkho"], &fields["nklo"], &fields["nkmo"]];
    assert!(published.iter().any(|published| **published == part), "row {number}");
    match section {
        KeySection::First { expiry_high, revision, roll_over, three_tokens, key_type, .. } => {
            assert_eq!(fields["kenho"], expiry_high, "row {number}");
            assert_eq!(fields["krn"], revision, "row {number}");
            assert_eq!(fields["ro"], u8::from(roll_over), "row {number}");
            assert_eq!(fields["res_3kct"], u8::from(three_tokens), "row {number}");
            assert_eq!(fields["kt"], key_type, "row {number}");
        }
        KeySection::Second { expiry_low, tariff_index, .. } => {
            assert_eq!(fields["kenlo"], expiry_low, "row {number}");
            assert_eq!(fields["ti"], tariff_index, "row {number}");
        }
        KeySection::Third { supply_group_low: half, .. }
        | KeySection::Fourth { supply_group_high: half, .. } => {
            assert_eq!(fields["sgc_part"], half, "row {number}");
        }
    }
}

/// The number of each base date is that of the minute published for it.
fn check_dates(number: usize, row: &Value, id: TokenId) {
    for base in BaseDate::ALL {
        let text = row["expected"]["tid_as_date"][base.year().to_string()].as_str().unwrap();
        let numbers: Vec<u16> =
            text.split(['-', ' ', ':']).map(|number| number.parse().unwrap()).collect();
        let small = |nth: usize| u8::try_from(numbers[nth]).unwrap();
        let issued = Issued {
            year: numbers[0],
            month: small(1),
            day: small(2),
            hour: small(3),
            minute: small(4),
        };
        assert_eq!(base.token_id(issued), Ok(id), "row {number}, {base:?}");
    }
}

/// What was asked for in main units, rounded up to what can be carried.
fn check_asked(number: usize, asked: &str, carried: Amount) {
    let (whole, fraction) = asked.split_once('.').unwrap_or((asked, ""));
    let tenths: u32 = whole.parse::<u32>().unwrap() * 10
        + fraction.get(..1).map_or(0, |digit| digit.parse().unwrap());
    let more = u32::from(fraction.bytes().skip(1).any(|digit| digit != b'0'));
    assert_eq!(Amount::at_least(tenths + more), Some(carried), "row {number}: {asked}");
}

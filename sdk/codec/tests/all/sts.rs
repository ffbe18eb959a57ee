//! STS tokens: any digits, any block, any content. Published tokens are in `tests/vectors`.

use polymeter_codec::sts::decoder_key::{
    Cipher, DecoderKey, Group, KeyType, Origin, Pan, RollOver,
};
use polymeter_codec::sts::misty1::Misty1;
use polymeter_codec::sts::sta::Tables;
use polymeter_codec::sts::{
    Amount, BaseDate, Class, Content, Credit, CurrencyAmount, CurrencyCredit, Engineering, Issued,
    KeySection, NotAContent, NotAToken, Order, Service, Test, Token, TokenId,
};
use proptest::prelude::*;

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

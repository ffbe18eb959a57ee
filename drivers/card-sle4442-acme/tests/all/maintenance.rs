//! Price, area, test and key-change cards, each in a device that does what the README says of it.

use crate::bench::{Bench, NUMBER, TRANSPORT, fresh, keys};
use crate::{call, check, confirmed, device, maintenance, order, refused};
use driver_card_sle4442_acme::CardSle4442Acme as Driver;
use meter_sim::card::acme::{self, AcmeWrittenBack};
use meter_sim::card::{AcmeMeter, Card, CardError, CardFault, CardFaultKind, Shown};
use polymeter_driver::codes::card::purpose;
use polymeter_driver::codes::{error, refusal};
use polymeter_driver::{CardDriver, CardOrder, Decimal, DriverError, SellOutcome, Value};

const NEW_KEY: [u8; 32] = [0x77; 32];

fn number(mantissa: i64, scale: i8) -> Value {
    Value::Number(Decimal { mantissa, scale })
}

fn made(
    bench: &mut Bench,
    purpose: u16,
    parameters: &[(&str, Value)],
) -> Result<SellOutcome, DriverError> {
    let (call, order) = maintenance(purpose);
    let parameters =
        parameters.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    Driver::make(bench, &call, &CardOrder { parameters, ..order })
}

fn card(purpose: u16, parameters: &[(&str, Value)]) -> Card {
    let card = fresh();
    confirmed(made(&mut Bench::new(card.clone()), purpose, parameters), 0);
    card
}

/// Nothing was done to the card.
#[track_caller]
fn bad(purpose: u16, parameters: &[(&str, Value)], says: &str) {
    let card = fresh();
    let before = card.truth();
    let error = made(&mut Bench::new(card.clone()), purpose, parameters).unwrap_err();
    assert_eq!(error.code, error::BAD_PARAMETER, "{}", error.detail);
    assert!(error.detail.contains(says), "{}", error.detail);
    assert_eq!(card.truth(), before);
}

/// An account with 50.00, and its card.
fn opened(mut device: AcmeMeter) -> (AcmeMeter, Card) {
    let card = Card::sle4442(acme::blank([9; 8]));
    confirmed(Driver::open(&mut Bench::new(card.clone()), &call(), &order(Some((1, 5_000)))), 1);
    assert_eq!(device.insert(&card), Shown::Credited { amount_fen: 5_000 });
    (device, card)
}

#[test]
fn a_price_card_changes_what_a_kwh_costs() {
    let (mut meter, _) = opened(device());
    meter.use_energy(2, 10_000);
    assert_eq!(meter.purse.money_fen, 5_000 - 500);
    let new = [("price-flat", number(8, -1)), ("price-valley", number(3_125, -4))];
    let price = card(purpose::PRICE, &new);
    let shown = check(&price);
    assert_eq!(shown.identity.purpose, purpose::PRICE);
    let told = |name: &str, ten_thousandths| (name.to_owned(), number(ten_thousandths, -4));
    assert_eq!(shown.extras, [told("price-flat", 8_000), told("price-valley", 3_125)]);
    assert_eq!(meter.insert(&price), Shown::Priced);
    assert_eq!(meter.prices, [5_000, 5_000, 8_000, 3_125]);
    meter.use_energy(2, 10_000);
    meter.use_energy(3, 10_000);
    meter.use_energy(0, 10_000);
    assert_eq!(meter.purse.money_fen, 5_000 - 500 - 800 - 312 - 500);

    bad(purpose::PRICE, &[], "carry nothing");
    bad(purpose::PRICE, &[("price-flat", number(65_535, -4))], "6.5534");
    bad(purpose::PRICE, &[("price-flat", number(12_345, -5))], "four decimals");
    bad(purpose::PRICE, &[("price-flat", number(-1, 0))], "6.5534");
    bad(purpose::PRICE, &[("price-flat", number(i64::MAX, 3))], "6.5534");
    bad(purpose::PRICE, &[("alarm", number(1, 0))], "purpose 2");
    bad(purpose::TEST, &[("price-flat", number(1, 0))], "purpose 6");
}

#[test]
fn an_area_card_moves_a_device_and_the_old_regions_cards_end() {
    let (mut meter, customers) = opened(device());
    let area = card(purpose::AREA, &[("area", Value::Text("south".to_owned()))]);
    assert_eq!(meter.insert(&area), Shown::Moved);
    assert_eq!(meter.region, Some(*b"south\0\0\0"));
    for old in [&area, &customers] {
        assert_eq!(meter.insert(old), Shown::Error(CardError::Region));
    }
    let south = CardOrder { region: "south".to_owned(), ..order(Some((2, 700))) };
    let new = fresh();
    confirmed(Driver::replace(&mut Bench::new(new.clone()), &call(), &south), 2);
    assert_eq!(meter.insert(&new), Shown::Credited { amount_fen: 700 });
    // At the counter: the old region's card is not the new one's.
    let sold = Driver::sell(&mut Bench::new(customers), &call(), &south);
    refused(sold, refusal::OTHER);
    bad(purpose::AREA, &[("area", Value::Text(String::new()))], "one letter");
    bad(purpose::AREA, &[("area", Value::Text("far-too-long".to_owned()))], "at most 8");
    bad(purpose::AREA, &[("area", number(1, 0))], "must be text");
    bad(purpose::AREA, &[], "say area");
}

#[test]
fn a_test_card_tests_and_brings_home_and_changes_nothing_that_counts() {
    let (mut meter, customers) = opened(device());
    let before = meter.purse.clone();
    let test = card(purpose::TEST, &[]);
    assert_eq!(meter.insert(&test), Shown::Tested);
    assert_eq!((meter.tests, meter.purse.money_fen), (1, before.money_fen));
    assert_eq!((meter.purse.count, meter.purse.customer), (before.count, before.customer));
    let home = check(&test).written_back.unwrap();
    assert_eq!((home.count, home.balance.unwrap().amount), (1, 5_000));
    assert_eq!(meter.insert(&customers), Shown::Known);
}

/// A check card goes from device to device: the last one is what it brings home.
#[test]
fn a_check_card_brings_home_the_last_device_it_was_in() {
    let check_card = card(purpose::CHECK, &[]);
    let (mut first, _) = opened(device());
    let mut second = AcmeMeter::new(acme::six_bytes(2), keys());
    second.purse.stage = meter_sim::card::Stage::Cleared;
    first.insert(&check_card);
    second.insert(&check_card);
    let home = check(&check_card).written_back.unwrap();
    let of = home.extras.iter().find(|(name, _)| name == "of device");
    assert_eq!(of.map(|(_, device)| device.clone()), Some(Value::Text("000000000002".to_owned())));
    assert_eq!(home.count, 0);
}

fn key_change(from: i64, to: i64) -> [(&'static str, Value); 2] {
    [("key-from", number(from, 0)), ("key-to", number(to, 0))]
}

#[test]
fn a_key_change_card_gives_a_device_the_new_key_and_the_old_cards_end() {
    let (mut meter, customers) = opened(device().with_transport_key(TRANSPORT));
    // Sold, and not in the device yet when its key is changed.
    confirmed(Driver::sell(&mut Bench::new(customers.clone()), &call(), &order(Some((2, 700)))), 2);
    let change = fresh();
    let mut counter = Bench::new(change.clone()).rotated(&NEW_KEY);
    confirmed(made(&mut counter, purpose::KEYS, &key_change(1, 2)), 0);
    confirmed(made(&mut counter, purpose::KEYS, &key_change(1, 2)), 0);
    let bytes = change.truth().memory;
    assert!(bytes.windows(8).all(|part| part != &NEW_KEY[..8]), "the key is not in the clear");
    assert_eq!(meter.insert(&change), Shown::KeyChanged);
    assert_eq!(meter.insert(&change), Shown::Error(CardError::Mac));
    assert_eq!(AcmeWrittenBack::read(&change.truth().memory).unwrap().key_version, 2);
    counter.insert();
    let contents = Driver::check(&mut counter, &call()).unwrap();
    assert_eq!(contents.extras, key_change(1, 2).map(|(name, value)| (name.to_owned(), value)));
    let home = contents.written_back.unwrap().extras;
    assert!(home.contains(&("key version".to_owned(), number(2, 0))), "{home:?}");

    // What was made under the old key is refused, and its purchase comes with a new card.
    assert_eq!(meter.insert(&customers), Shown::Error(CardError::Mac));
    let new = Card::sle4442(acme::blank([8; 8]));
    let mut counter = Bench::new(new.clone()).rotated(&NEW_KEY);
    confirmed(Driver::replace(&mut counter, &call(), &order(Some((2, 700)))), 2);
    assert_eq!(meter.insert(&new), Shown::Credited { amount_fen: 700 });
    counter.insert();
    confirmed(Driver::sell(&mut counter, &call(), &order(Some((3, 100)))), 3);
    assert_eq!(meter.insert(&new), Shown::Credited { amount_fen: 100 });
}

/// The vault has a new key, and the device has not got it: its customer's card stays under the old one.
#[test]
fn a_card_stays_under_the_key_of_its_device() {
    let (mut meter, customers) = opened(device().with_transport_key(TRANSPORT));
    let mut counter = Bench::new(customers.clone()).rotated(&NEW_KEY);
    confirmed(Driver::sell(&mut counter, &call(), &order(Some((2, 700)))), 2);
    assert_eq!(meter.insert(&customers), Shown::Credited { amount_fen: 700 });
    // A third version comes, and the card of a device with the second says so.
    let change = fresh();
    let mut other = Bench::new(change.clone()).rotated(&NEW_KEY);
    confirmed(made(&mut other, purpose::KEYS, &key_change(1, 2)), 0);
    assert_eq!(meter.insert(&change), Shown::KeyChanged);
    let new = Card::sle4442(acme::blank([8; 8]));
    let mut counter = Bench::new(new.clone()).rotated(&NEW_KEY);
    confirmed(Driver::replace(&mut counter, &call(), &order(Some((2, 700)))), 2);
    assert_eq!(meter.insert(&new), Shown::Known);
    let mut counter = Bench::new(new.clone()).rotated(&NEW_KEY).rotated(&[0x78; 16]);
    confirmed(Driver::sell(&mut counter, &call(), &order(Some((3, 100)))), 3);
    assert_eq!(meter.insert(&new), Shown::Credited { amount_fen: 100 });
}

#[test]
fn a_key_change_without_its_keys_leaves_the_card_as_it_was() {
    let card = fresh();
    let before = card.truth();
    let refused = |from, to| {
        let mut counter = Bench::new(card.clone());
        made(&mut counter, purpose::KEYS, &key_change(from, to)).unwrap_err()
    };
    // There is no version 2.
    assert_eq!(refused(1, 2).code, error::VAULT);
    assert_eq!(refused(1, 1).code, error::BAD_PARAMETER);
    bad(purpose::KEYS, &key_change(0, 2), "from 1 to 255");
    bad(purpose::KEYS, &key_change(1, 256), "from 1 to 255");
    bad(purpose::KEYS, &[("key-to", number(2, 0))], "needs `key-from`");
    // A key that is too long for the card.
    let mut counter = Bench::new(card.clone()).rotated(&[7; 64]);
    let long = made(&mut counter, purpose::KEYS, &key_change(1, 2)).unwrap_err();
    assert!(long.detail.contains("16, 24 or 32 bytes"), "{}", long.detail);
    assert_eq!(card.truth(), before);
}

/// Another key on a good card: seen at the counter and by the device.
#[test]
fn a_wrapped_key_that_was_changed_is_seen() {
    let card = fresh();
    let mut counter = Bench::new(card.clone()).rotated(&NEW_KEY);
    confirmed(made(&mut counter, purpose::KEYS, &key_change(1, 2)), 0);
    card.alter(|chip| {
        let meter_sim::card::Chip::Sle4442(chip) = chip else { panic!("another chip") };
        chip.memory_mut()[0xD5] ^= 1;
    });
    let seen = Driver::check(&mut counter, &call()).unwrap_err();
    assert!(seen.detail.contains("MAC"), "{}", seen.detail);
    let mut meter = device().with_transport_key(TRANSPORT);
    assert_eq!(meter.insert(&card), Shown::Error(CardError::Mac));
}

/// Pulled at any command and within any write: blank, or the whole card; and cleared, it holds no key.
#[test]
fn a_key_change_card_that_is_pulled_is_blank_or_whole() {
    let commands = {
        let mut counter = Bench::new(fresh()).rotated(&NEW_KEY);
        confirmed(made(&mut counter, purpose::KEYS, &key_change(1, 2)), 0);
        counter.sent
    };
    let mut whole = 0;
    for at in 1..=commands {
        let within = [0, 1, 20, 40, 51].map(|bytes| CardFaultKind::PulledWithin { bytes });
        for kind in
            [CardFaultKind::PulledBefore, CardFaultKind::PulledAfter].into_iter().chain(within)
        {
            let card = fresh();
            let mut counter = Bench::new(card.clone()).rotated(&NEW_KEY);
            counter.gone = Some(false);
            card.fault(CardFault { at: at.into(), kind });
            let outcome = made(&mut counter, purpose::KEYS, &key_change(1, 2));
            card.clear_faults();
            counter.insert();
            let found = Driver::check(&mut counter, &call()).unwrap().identity.purpose;
            assert!([purpose::BLANK, purpose::KEYS].contains(&found), "{at} {kind:?}");
            if found == purpose::KEYS {
                whole += 1;
                assert!(!matches!(outcome, Ok(SellOutcome::Refused(_)) | Err(_)), "{outcome:?}");
                let mut meter = device().with_transport_key(TRANSPORT);
                assert_eq!(meter.insert(&card), Shown::KeyChanged, "{at} {kind:?}");
                counter.insert();
                confirmed(Driver::clear(&mut counter, &call()), 0);
                let memory = card.truth().memory;
                assert_eq!(memory[0xD0..0xF9], [0; 41], "a cleared card has no key");
                let blank = Driver::check(&mut counter, &call()).unwrap();
                assert_eq!(blank.identity.purpose, purpose::BLANK);
            } else {
                assert!(!matches!(outcome, Ok(SellOutcome::Confirmed(_))), "{outcome:?}");
            }
        }
    }
    assert!(whole > 3, "{whole} were whole");
    assert_eq!(fresh().truth().memory[0x10..0x18], NUMBER);
}

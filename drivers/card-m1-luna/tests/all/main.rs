//! The driver against its transcripts, and against simulated cards behind the host's reader, with the
//! real vault and the simulated meter: a whole life, every no, pulled at every command.

mod bench;
mod pulled;

use bench::{Bench, UID, blank, keys};
use driver_card_m1_luna::CardM1Luna;
use meter_sim::card::luna::{self, LunaKeys, LunaState};
use meter_sim::card::{Card, CardError, Chip, LunaMeter, Shown, Stage};
use polymeter_driver::codes::card::{purpose, taken};
use polymeter_driver::codes::{error, quantity, refusal};
use polymeter_driver::{
    Call, CardContents, CardDriver, CardOrder, Credit, Decimal, DriverError, Extras, LocalTime,
    Purchase, SellOutcome, Value,
};
use polymeter_replay::check_card_folder;
use std::io::Write as _;

pub const DEVICE: &str = "000000000042";
const CUSTOMER: &str = "000000000077";

#[test]
fn transcripts() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/transcripts");
    match check_card_folder::<CardM1Luna>(folder.as_ref()) {
        Ok(played) => {
            writeln!(std::io::stderr(), "transcripts card-m1-luna: {played} played").unwrap();
        }
        Err(error) => panic!("{error}"),
    }
}

pub fn call() -> Call {
    Call {
        address: DEVICE.to_owned(),
        parameters: Extras::new(),
        now: LocalTime { year: 2026, month: 11, day: 26, hour: 12, minute: 0, second: 0 },
        nonce: (0..16).collect(),
    }
}

pub fn order(purchase: Option<(u32, u64)>) -> CardOrder {
    CardOrder {
        purpose: purpose::USER,
        region: "north".to_owned(),
        customer_number: CUSTOMER.to_owned(),
        purchase: purchase.map(|(count, amount)| Purchase {
            count,
            credit: Credit { quantity: quantity::MONEY, amount },
        }),
        parameters: Extras::new(),
    }
}

pub fn meter() -> LunaMeter {
    let mut meter = LunaMeter::new([0, 0, 0, 0, 0, 0x42], keys());
    meter.purse.stage = Stage::Cleared;
    meter
}

pub fn check(bench: &mut Bench, card: &Card) -> CardContents {
    CardM1Luna::check(bench.with(card), &call()).unwrap()
}

/// The purchase that the card holds, and whether it was taken.
pub fn holds(contents: &CardContents) -> (Option<(u32, u64)>, u16) {
    let purchase = contents.purchase.as_ref();
    (purchase.map(|it| (it.count, it.credit.amount)), contents.taken)
}

#[track_caller]
pub fn confirmed(outcome: Result<SellOutcome, DriverError>, count: u32) {
    match outcome {
        Ok(SellOutcome::Confirmed(receipt)) => assert_eq!(receipt.count, count),
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn refused(outcome: Result<SellOutcome, DriverError>, code: u16) {
    match outcome {
        Ok(SellOutcome::Refused(refusal)) => assert_eq!(refusal.code, code, "{refusal:?}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_card_lives_from_blank_to_blank_between_counter_and_meter() {
    let (mut bench, card, mut meter) = (Bench::new(&keys()), blank(), meter());
    let seen = CardM1Luna::identify(bench.with(&card), &call()).unwrap().unwrap();
    assert_eq!((seen.purpose, seen.serial.as_str()), (purpose::BLANK, "C0FFEE01"));

    confirmed(CardM1Luna::open(bench.with(&card), &call(), &order(Some((1, 5_000)))), 1);
    let contents = check(&mut bench, &card);
    let identity = &contents.identity;
    assert_eq!((identity.purpose, identity.region.as_str()), (purpose::USER, "north"));
    assert_eq!((&identity.customer_number[..], &identity.device[..]), (CUSTOMER, DEVICE));
    assert_eq!(holds(&contents), (Some((1, 5_000)), taken::NO));
    // The same act again, and a sale before the meter has seen the card.
    confirmed(CardM1Luna::open(bench.with(&card), &call(), &order(Some((1, 5_000)))), 1);
    refused(CardM1Luna::sell(bench.with(&card), &call(), &order(Some((2, 700)))), refusal::OTHER);

    assert_eq!(meter.insert(&card), Shown::Credited { amount_fen: 5_000 });
    meter.purse.use_up(1_234);
    assert_eq!(meter.insert(&card), Shown::Known);
    let contents = check(&mut bench, &card);
    let back = contents.written_back.clone().unwrap();
    assert_eq!((back.count, back.balance.unwrap().amount), (1, 3_766));
    assert_eq!(contents.taken, taken::YES);
    for (count, amount) in [(2, 700), (3, 800), (4, 900)] {
        confirmed(
            CardM1Luna::sell(bench.with(&card), &call(), &order(Some((count, amount)))),
            count,
        );
        assert_eq!(holds(&check(&mut bench, &card)), (Some((count, amount)), taken::NO));
        let amount_fen = amount.try_into().unwrap();
        assert_eq!(meter.insert(&card), Shown::Credited { amount_fen });
    }
    refused(
        CardM1Luna::take_back(bench.with(&card), &call(), &order(Some((4, 900)))),
        refusal::ALREADY_TAKEN,
    );

    // Lost with a purchase on it: the new card carries that one, once.
    confirmed(CardM1Luna::sell(bench.with(&card), &call(), &order(Some((5, 100)))), 5);
    let new = Card::new(Chip::MifareClassic(Box::new(luna::blank([9, 9, 9, 9]))));
    confirmed(CardM1Luna::replace(bench.with(&new), &call(), &order(Some((5, 100)))), 5);
    assert_eq!(meter.insert(&new), Shown::Credited { amount_fen: 100 });
    assert_eq!(meter.insert(&card), Shown::Error(CardError::Serial));
    assert_eq!((meter.purse.credits, meter.purse.credited_fen), (5, 7_500));

    confirmed(CardM1Luna::sell(bench.with(&new), &call(), &order(Some((6, 300)))), 6);
    for _ in 0..2 {
        confirmed(CardM1Luna::take_back(bench.with(&new), &call(), &order(Some((6, 300)))), 6);
        assert_eq!(holds(&check(&mut bench, &new)).0, Some((6, 0)));
    }
    for _ in 0..2 {
        confirmed(CardM1Luna::clear(bench.with(&new), &call()), 0);
        assert_eq!(check(&mut bench, &new).identity.purpose, purpose::BLANK);
    }
    // And somebody else's, with another card's past on it no longer.
    let other = CardOrder { customer_number: "8".to_owned(), ..order(None) };
    confirmed(CardM1Luna::open(bench.with(&new), &call(), &other), 0);
    let contents = check(&mut bench, &new);
    assert_eq!(contents.identity.customer_number, "000000000008");
    assert_eq!((contents.purchase, contents.written_back), (None, None));
}

#[test]
fn maintenance_cards_do_their_work_in_the_meter() {
    let mut bench = Bench::new(&keys());
    let mut meter = LunaMeter::new([0, 0, 0, 0, 0, 0x42], keys());
    let anywhere = Call { address: String::new(), ..call() };
    let parameters: Extras =
        vec![("alarm".to_owned(), Value::Number(Decimal { mantissa: 500, scale: 0 }))];
    let made = |bench: &mut Bench, purpose, parameters: &Extras| {
        let card = blank();
        let order = CardOrder { purpose, parameters: parameters.clone(), ..order(None) };
        confirmed(CardM1Luna::make(bench.with(&card), &anywhere, &order), 0);
        card
    };
    for (purpose, parameters, shown) in [
        (purpose::RESET, Extras::new(), Shown::End),
        (purpose::SETTING, parameters, Shown::Set),
        (purpose::CLEAR, Extras::new(), Shown::Cleared),
        (purpose::CHECK, Extras::new(), Shown::Checked),
    ] {
        let card = made(&mut bench, purpose, &parameters);
        assert_eq!(meter.insert(&card), shown);
        let contents = check(&mut bench, &card);
        assert_eq!((contents.identity.purpose, contents.purchase), (purpose, None));
        assert_eq!(contents.written_back.is_some(), purpose == purpose::CHECK);
    }
    assert_eq!((meter.purse.alarm_fen, meter.purse.stage), (500, Stage::Cleared));
    let price = CardOrder { purpose: purpose::PRICE, ..order(None) };
    let error = CardM1Luna::make(bench.with(&blank()), &call(), &price).unwrap_err();
    assert_eq!(error.code, error::UNSUPPORTED);
}

#[test]
fn each_card_that_does_not_fit_is_refused_and_left_as_it_is() {
    let mut bench = Bench::new(&keys());
    let card = blank();
    confirmed(CardM1Luna::open(bench.with(&card), &call(), &order(Some((1, 100)))), 1);
    meter().insert(&card);
    let before = card.truth().memory;
    let sale = order(Some((2, 50)));
    let somebody = CardOrder { customer_number: "8".to_owned(), ..sale.clone() };
    let elsewhere = Call { address: "43".to_owned(), ..call() };
    let mut ask = |call: &Call, order: &CardOrder| CardM1Luna::sell(bench.with(&card), call, order);
    refused(ask(&call(), &somebody), refusal::WRONG_CUSTOMER);
    refused(ask(&elsewhere, &sale), refusal::WRONG_ADDRESS);
    refused(ask(&call(), &order(Some((3, 50)))), refusal::WRONG_COUNT);
    refused(ask(&call(), &order(Some((1, 50)))), refusal::WRONG_COUNT);
    refused(CardM1Luna::open(bench.with(&card), &call(), &somebody_new()), refusal::OTHER);
    refused(CardM1Luna::clear(bench.with(&card), &elsewhere), refusal::WRONG_ADDRESS);
    refused(CardM1Luna::sell(bench.with(&blank()), &call(), &sale), refusal::OTHER);
    // Another region's: told whose it may be, and no more.
    let mut others =
        Bench::new(&LunaKeys { read: vec![9; 32], write: vec![9; 32], data: vec![9; 32] });
    let seen = CardM1Luna::identify(others.with(&card), &call()).unwrap().unwrap();
    assert_eq!((seen.purpose, &seen.region[..], &seen.device[..]), (purpose::USER, "north", ""));
    let error = CardM1Luna::sell(others.with(&card), &call(), &sale).unwrap_err();
    assert_eq!(error.code, error::DEVICE_SAYS_NO);
    assert_eq!(card.truth().memory, before);
    // Yesterday's image shows by its count.
    let mut bench = Bench::new(&keys());
    let yesterday = card.image();
    confirmed(CardM1Luna::sell(bench.with(&card), &call(), &sale), 2);
    assert_eq!(holds(&check(&mut bench, &yesterday)).0, Some((1, 100)));
}

fn somebody_new() -> CardOrder {
    CardOrder { customer_number: "8".to_owned(), ..order(None) }
}

/// Whoever has broken the cipher writes what he likes, but for the MAC.
#[test]
fn a_forged_purchase_is_nobodys() {
    let mut bench = Bench::new(&keys());
    let card = blank();
    confirmed(CardM1Luna::open(bench.with(&card), &call(), &order(Some((1, 100)))), 1);
    let forged = LunaState {
        sequence: 7,
        purpose: 1,
        act: 2,
        customer: [0, 0, 0, 0, 0, 0x77],
        device: [0, 0, 0, 0, 0, 0x42],
        count: 1,
        amount_fen: 999_999,
        alarm_fen: None,
        overdraft_fen: None,
    };
    let forger = LunaKeys { data: b"not the key".to_vec(), ..keys() };
    card.alter(|chip| {
        let Chip::MifareClassic(chip) = chip else { panic!("another chip") };
        let slot = forger.slot(UID, &forged.content());
        chip.memory_mut()[12 * 16..15 * 16].copy_from_slice(&slot);
    });
    assert_eq!(holds(&check(&mut bench, &card)), (Some((1, 100)), taken::NO));
    assert_eq!(meter().insert(&card), Shown::Credited { amount_fen: 100 });
}

#[test]
fn ten_thousand_random_cards_are_identified_without_a_panic_and_unchanged() {
    let mut bench = Bench::new(&keys());
    let mut ours = 0;
    for seed in 0..10_000 {
        let card = Card::random(seed);
        let before = card.truth();
        let seen = CardM1Luna::identify(bench.with(&card), &call());
        ours += u32::from(matches!(seen, Ok(Some(_))));
        let after = card.truth();
        assert_eq!((after.memory, after.tries_left), (before.memory, before.tries_left), "{seed}");
    }
    assert_eq!(ours, 0);
    assert!(CardM1Luna::identify(bench.with(&blank()), &call()).unwrap().is_some());
}

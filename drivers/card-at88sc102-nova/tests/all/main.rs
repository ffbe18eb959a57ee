//! The driver against its transcripts, with cards pulled at every command and within every byte, and
//! against cards that hold what they like.

mod bench;
mod pulled;

use bench::{Bench, Device, KEYS, alter, fresh};
use driver_card_at88sc102_nova::CardAt88sc102Nova as Driver;
use meter_sim::card::Card;
use polymeter_driver::codes::card::{purpose, taken};
use polymeter_driver::codes::{error, quantity, refusal};
use polymeter_driver::{
    Call, CardContents, CardDriver, CardOrder, Credit, Decimal, DriverError, Extras, LocalTime,
    Purchase, SellOutcome, Value,
};
use polymeter_replay::check_card_folder;
use proptest::prelude::*;
use std::io::Write as _;

#[test]
fn transcripts() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/transcripts");
    match check_card_folder::<Driver>(folder.as_ref()) {
        Ok(played) => {
            writeln!(std::io::stderr(), "transcripts card-at88sc102-nova: {played} played")
                .unwrap();
        }
        Err(error) => panic!("{error}"),
    }
}

pub fn call() -> Call {
    Call {
        address: "1".to_owned(),
        parameters: Extras::new(),
        now: LocalTime { year: 2026, month: 11, day: 26, hour: 12, minute: 0, second: 0 },
        nonce: (0..16).collect(),
    }
}

pub fn order(purchase: Option<(u32, u64)>) -> CardOrder {
    CardOrder {
        purpose: purpose::USER,
        region: "east".to_owned(),
        customer_number: "7".to_owned(),
        purchase: purchase.map(|(count, amount)| Purchase {
            count,
            credit: Credit { quantity: quantity::MONEY, amount },
        }),
        parameters: Extras::new(),
    }
}

pub fn check(card: &Card) -> CardContents {
    Driver::check(&mut Bench::new(card.clone()), &call()).unwrap()
}

/// What was bought, and whether it was taken.
pub fn bought(card: &Card) -> (Option<(u32, u64)>, u16) {
    let contents = check(card);
    let purchase = contents.purchase.map(|it| (it.count, it.credit.amount));
    (purchase, contents.taken)
}

type Ended = Result<SellOutcome, DriverError>;

fn confirmed(outcome: Ended, count: u32) {
    let outcome = outcome.unwrap();
    assert!(
        matches!(&outcome, SellOutcome::Confirmed(receipt) if receipt.count == count),
        "{outcome:?}"
    );
}

fn refused(outcome: Ended, code: u16) {
    let outcome = outcome.unwrap();
    assert!(
        matches!(&outcome, SellOutcome::Refused(refusal) if refusal.code == code),
        "{outcome:?} is not {code}"
    );
}

fn sell(card: &Card, purchase: (u32, u64)) -> Ended {
    Driver::sell(&mut Bench::new(card.clone()), &call(), &order(Some(purchase)))
}

#[test]
fn a_life_zone_by_zone() {
    let card = fresh();
    let mut device = Device::default();
    let seen = Driver::identify(&mut Bench::new(card.clone()), &call()).unwrap().unwrap();
    assert_eq!((seen.purpose, seen.serial.as_str()), (purpose::BLANK, "A0010203"));
    let open =
        |card: &Card| Driver::open(&mut Bench::new(card.clone()), &call(), &order(Some((1, 5000))));
    confirmed(open(&card), 1);
    confirmed(open(&card), 1);
    refused(sell(&card, (2, 700)), refusal::OTHER);
    device.insert(&card);
    for (count, amount) in [(2, 700), (3, 900), (4, 100)] {
        assert_eq!(bought(&card).1, taken::YES);
        confirmed(sell(&card, (count, amount)), count);
        assert_eq!(bought(&card), (Some((count, amount)), taken::NO));
        device.insert(&card);
    }
    assert_eq!(device.credited, 6700);
    let home = check(&card);
    let back = home.written_back.unwrap();
    assert_eq!((back.count, back.balance.unwrap().amount), (4, 6700));
    assert_eq!(home.identity.device, "000000000001");
    confirmed(Driver::clear(&mut Bench::new(card.clone()), &call()), 0);
    assert_eq!(check(&card).identity.purpose, purpose::BLANK);
    confirmed(open(&card), 1);
    assert_eq!(bought(&card), (Some((1, 5000)), taken::NO));
}

/// Another region's keys are seen by the key check on a blank card and on one that was sold to.
#[test]
fn other_keys_cost_no_try() {
    let card = fresh();
    let others = |card: &Card| Bench::with_keys(card.clone(), [1, 2, 3]);
    let open = order(Some((1, 5000)));
    refused(Driver::open(&mut others(&card), &call(), &open), refusal::WRONG_MAC);
    confirmed(Driver::open(&mut Bench::new(card.clone()), &call(), &open), 1);
    let presented = card.truth().presented;
    refused(Driver::clear(&mut others(&card), &call()), refusal::WRONG_MAC);
    let no = Driver::check(&mut others(&card), &call()).unwrap_err();
    assert_eq!(no.code, error::DEVICE_SAYS_NO);
    assert_eq!((card.truth().presented, card.truth().wrong), (presented, 0));
    // Only the code's key is another: the card says no, and with one try left is asked no more.
    for _ in 0..6 {
        let [_, erase, data] = KEYS;
        let mut bench = Bench::with_keys(card.clone(), [1, erase, data]);
        refused(Driver::clear(&mut bench, &call()), refusal::WRONG_PASSWORD);
    }
    assert_eq!(card.truth().tries_left, Some(1));
}

/// An erase code that is wrong leaves the other zone as it is, and the purchase with it.
#[test]
fn a_wrong_erase_code_changes_nothing() {
    let card = fresh();
    let mut device = Device::default();
    confirmed(Driver::open(&mut Bench::new(card.clone()), &call(), &order(Some((1, 5000)))), 1);
    device.insert(&card);
    confirmed(sell(&card, (2, 700)), 2);
    device.insert(&card);
    let [code, _, data] = KEYS;
    let mut bench = Bench::with_keys(card.clone(), [code, 9, data]);
    let outcome = Driver::sell(&mut bench, &call(), &order(Some((3, 100))));
    refused(outcome, refusal::WRONG_PASSWORD);
    assert_eq!(bought(&card), (Some((2, 700)), taken::YES));
}

#[test]
fn maintenance_cards_are_of_the_kinds_there_are() {
    let call = Call { address: String::new(), ..call() };
    let made = |purpose, parameters| {
        let order =
            CardOrder { purpose, customer_number: String::new(), parameters, ..order(None) };
        let card = fresh();
        let outcome = Driver::make(&mut Bench::new(card.clone()), &call, &order);
        (card, outcome)
    };
    let alarm = Value::Number(Decimal { mantissa: 900, scale: 0 });
    let (card, outcome) = made(purpose::SETTING, vec![("alarm".to_owned(), alarm)]);
    confirmed(outcome, 0);
    let contents = check(&card);
    assert_eq!(contents.identity.purpose, purpose::SETTING);
    let told = Value::Number(Decimal { mantissa: 900, scale: -2 });
    assert_eq!(contents.extras, vec![("alarm".to_owned(), told)]);
    refused(sell(&card, (1, 100)), refusal::OTHER);
    let (_, outcome) = made(purpose::AREA, Extras::new());
    assert_eq!(outcome.unwrap_err().code, error::UNSUPPORTED);
}

proptest! {
    /// Whatever stands in the zones and behind the mark cell: an error or a no, and no code presented.
    #[test]
    fn no_memory_makes_it_panic_or_present_a_code(
        zones in prop::collection::vec(any::<u8>(), 134), summed in any::<bool>(), checked in any::<bool>(),
    ) {
        use polymeter_codec::x25;
        let card = fresh();
        alter(&card, |memory| {
            memory[22..156].copy_from_slice(&zones);
            for zone in [22, 92] {
                memory[zone] = 0xFF;
                if summed {
                    memory[zone + 3] %= 6;
                    memory[zone + 4..zone + 8].fill(b'n');
                    memory[zone + 8..zone + 20].fill(0x12);
                    memory[zone + 28] %= 4;
                    let sum = x25(&memory[zone + 1..zone + 39]).to_be_bytes();
                    memory[zone + 39..zone + 41].copy_from_slice(&sum);
                }
            }
            if !checked {
                memory[14] ^= 1;
            }
        });
        let mut bench = Bench::new(card.clone());
        let seen = Driver::identify(&mut bench, &call());
        prop_assert_eq!(seen.is_ok(), summed && checked, "{:?}", seen);
        prop_assert!(Driver::check(&mut bench, &call()).is_err());
        for sold in [
            Driver::open(&mut bench, &call(), &order(Some((1, 5000)))),
            Driver::sell(&mut bench, &call(), &order(Some((1, 5000)))),
            Driver::clear(&mut bench, &call()),
        ] {
            prop_assert!(!matches!(sold, Ok(SellOutcome::Confirmed(_))), "{:?}", sold);
        }
        prop_assert_eq!((card.truth().presented, card.truth().wrong), (0, 0));
    }
}

//! The driver against its transcripts; with a simulated device of its own, written from the README by
//! somebody else; with cards pulled at every command and within every byte; and against cards that hold
//! what they like.

mod bench;
mod hostile;
mod maintenance;
mod pulled;

use bench::{Bench, NUMBER, fresh, keys};
use driver_card_sle4442_acme::CardSle4442Acme as Driver;
use meter_sim::card::acme::{AcmeKeys, six_bytes};
use meter_sim::card::{AcmeMeter, Card, CardError, Chip, Shown, Stage};
use polymeter_driver::codes::card::{purpose, taken};
use polymeter_driver::codes::{error, quantity, refusal};
use polymeter_driver::{
    Call, CardContents, CardDriver, CardOrder, Credit, Decimal, DriverError, Extras, LocalTime,
    Purchase, SellOutcome, Value,
};
use polymeter_replay::check_card_folder;
use std::io::Write as _;

pub const DEVICE: &str = "000000000001";
const CUSTOMER: &str = "000000000007";

#[test]
fn transcripts() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/transcripts");
    match check_card_folder::<Driver>(folder.as_ref()) {
        Ok(played) => {
            writeln!(std::io::stderr(), "transcripts card-sle4442-acme: {played} played").unwrap();
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

/// A maintenance card for every device.
fn maintenance(purpose: u16) -> (Call, CardOrder) {
    let order = CardOrder { purpose, customer_number: String::new(), ..order(None) };
    (Call { address: String::new(), ..call() }, order)
}

pub fn device() -> AcmeMeter {
    let mut device = AcmeMeter::new(six_bytes(1), keys());
    device.purse.stage = Stage::Cleared;
    device
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
fn a_life_with_a_device() {
    let mut meter = AcmeMeter::new(six_bytes(1), keys());
    for (purpose, shown) in [(purpose::RESET, Shown::End), (purpose::CLEAR, Shown::Cleared)] {
        let card = fresh();
        let (call, order) = maintenance(purpose);
        confirmed(Driver::make(&mut Bench::new(card.clone()), &call, &order), 0);
        assert_eq!(meter.insert(&card), shown);
    }
    let card = fresh();
    let mut counter = Bench::new(card.clone());
    let seen = Driver::identify(&mut counter, &call()).unwrap().unwrap();
    assert_eq!((seen.purpose, seen.serial.as_str()), (purpose::BLANK, "A001020304050607"));
    confirmed(Driver::open(&mut counter, &call(), &order(Some((1, 5000)))), 1);
    assert_eq!(bought(&card), (Some((1, 5000)), taken::NO));
    // Nobody has seen the opening: no second purchase goes onto it.
    refused(sell(&card, (2, 700)), refusal::OTHER);
    assert_eq!(meter.insert(&card), Shown::Credited { amount_fen: 5000 });
    for (count, amount) in [(2, 700), (3, 900)] {
        assert_eq!(bought(&card).1, taken::YES);
        confirmed(sell(&card, (count, amount)), count);
        assert_eq!(bought(&card), (Some((count, amount)), taken::NO));
        let amount_fen = u32::try_from(amount).unwrap();
        assert_eq!(meter.insert(&card), Shown::Credited { amount_fen });
        assert_eq!(meter.insert(&card), Shown::Known);
    }
    meter.purse.use_up(100);
    meter.insert(&card);
    let back = check(&card).written_back.unwrap();
    assert_eq!((back.count, back.balance.unwrap().amount), (3, 6500));
    assert_eq!(back.at.map(|at| at.year), Some(2026));
    // Lost: a replacement carries the last purchase, which the meter has and takes no second time.
    let other = Card::sle4442(meter_sim::card::acme::blank([9; 8]));
    confirmed(Driver::replace(&mut Bench::new(other.clone()), &call(), &order(Some((3, 900)))), 3);
    assert_eq!(bought(&other), (Some((3, 900)), taken::NO));
    assert_eq!(meter.insert(&other), Shown::Known);
    assert_eq!(bought(&other), (Some((3, 900)), taken::YES));
    assert_eq!(meter.insert(&card), Shown::Error(CardError::Serial));
    // A refund at the counter, asked for twice; then the card of zero is taken.
    confirmed(sell(&other, (4, 300)), 4);
    let back = |card: &Card| {
        Driver::take_back(&mut Bench::new(card.clone()), &call(), &order(Some((4, 300))))
    };
    confirmed(back(&other), 4);
    confirmed(back(&other), 4);
    assert_eq!(meter.insert(&other), Shown::Credited { amount_fen: 0 });
    confirmed(sell(&other, (5, 100)), 5);
    meter.insert(&other);
    refused(
        Driver::take_back(&mut Bench::new(other.clone()), &call(), &order(Some((5, 100)))),
        refusal::ALREADY_TAKEN,
    );
    assert_eq!(meter.purse.credited_fen, 5000 + 700 + 900 + 100);
    confirmed(Driver::clear(&mut Bench::new(other.clone()), &call()), 0);
    let blank = check(&other);
    assert_eq!((blank.identity.purpose, blank.purchase), (purpose::BLANK, None));
    assert_eq!(blank.identity.customer_number, "");
    // And from the beginning, with no word of what was.
    confirmed(Driver::open(&mut Bench::new(other.clone()), &call(), &order(Some((1, 10)))), 1);
    assert_eq!(bought(&other), (Some((1, 10)), taken::NO));
}

#[test]
fn other_peoples_cards_are_refused_before_a_code_is_presented() {
    let card = fresh();
    let mut counter = Bench::new(card.clone());
    confirmed(Driver::open(&mut counter, &call(), &order(Some((1, 5000)))), 1);
    device().insert(&card);
    let before = card.truth();
    let mine = order(Some((2, 700)));
    let asked =
        |call: &Call, order: &CardOrder| Driver::sell(&mut Bench::new(card.clone()), call, order);
    let somebody = CardOrder { customer_number: "8".to_owned(), ..mine.clone() };
    refused(asked(&call(), &somebody), refusal::WRONG_CUSTOMER);
    let elsewhere = Call { address: "2".to_owned(), ..call() };
    refused(asked(&elsewhere, &mine), refusal::WRONG_ADDRESS);
    let south = CardOrder { region: "south".to_owned(), ..mine.clone() };
    refused(asked(&call(), &south), refusal::OTHER);
    for count in [1, 3, 4] {
        refused(sell(&card, (count, 700)), refusal::WRONG_COUNT);
    }
    refused(
        Driver::open(&mut Bench::new(card.clone()), &call(), &mine_again(4000)),
        refusal::OTHER,
    );
    refused(Driver::clear(&mut Bench::new(card.clone()), &elsewhere), refusal::WRONG_ADDRESS);
    let far = CardOrder { region: "far-too-long".to_owned(), ..mine };
    assert_eq!(asked(&call(), &far).unwrap_err().code, error::BAD_PARAMETER);
    assert_eq!(card.truth(), before);
}

fn mine_again(amount: u64) -> CardOrder {
    order(Some((1, amount)))
}

/// The keys of another region: refused by the MAC, and no try is spent.
#[test]
fn other_keys_cost_no_try() {
    let card = fresh();
    confirmed(Driver::open(&mut Bench::new(card.clone()), &call(), &mine_again(5000)), 1);
    let other = AcmeKeys { psc: vec![1; 16], data: vec![2; 16] };
    let mut counter = Bench::with_keys(card.clone(), &other);
    let (presented, wrong) = (card.truth().presented, card.truth().wrong);
    refused(Driver::sell(&mut counter, &call(), &order(Some((2, 1)))), refusal::WRONG_MAC);
    refused(Driver::clear(&mut counter, &call()), refusal::WRONG_MAC);
    assert_eq!(Driver::check(&mut counter, &call()).unwrap_err().code, error::DEVICE_SAYS_NO);
    assert!(Driver::identify(&mut counter, &call()).unwrap().is_some());
    assert_eq!((card.truth().presented, card.truth().wrong), (presented, wrong));
    // Only the key of the codes is another: the card says no once, then nothing is presented any more.
    let codes = AcmeKeys { psc: vec![1; 16], ..keys() };
    for _ in 0..4 {
        let mut counter = Bench::with_keys(card.clone(), &codes);
        refused(Driver::clear(&mut counter, &call()), refusal::WRONG_PASSWORD);
    }
    assert_eq!(card.truth().tries_left, Some(1));
}

#[test]
fn a_card_with_one_try_left_is_presented_nothing() {
    let blank = meter_sim::card::acme::blank(NUMBER).with_tries(1);
    let card = Card::sle4442(blank);
    refused(
        Driver::open(&mut Bench::new(card.clone()), &call(), &mine_again(5000)),
        refusal::WRONG_PASSWORD,
    );
    assert_eq!((card.truth().presented, card.truth().tries_left), (0, Some(1)));
}

#[test]
fn a_setting_card_sets_and_a_check_card_brings_home() {
    let number = |mantissa| Value::Number(Decimal { mantissa, scale: 0 });
    let card = fresh();
    let (call, order) = maintenance(purpose::SETTING);
    let with = |name: &str, value| CardOrder {
        parameters: vec![(name.to_owned(), value)],
        ..order.clone()
    };
    confirmed(Driver::make(&mut Bench::new(card.clone()), &call, &with("alarm", number(900))), 0);
    let mut meter = device();
    assert_eq!(meter.insert(&card), Shown::Set);
    assert_eq!((meter.purse.alarm_fen, meter.purse.overdraft_limit_fen), (900, 0));
    for (name, value) in
        [("alarm", number(-1)), ("colour", number(1)), ("alarm", Value::Flag(true))]
    {
        let bad = Driver::make(&mut Bench::new(fresh()), &call, &with(name, value));
        assert_eq!(bad.unwrap_err().code, error::BAD_PARAMETER, "{name}");
    }
    let card = fresh();
    let (_, order) = maintenance(purpose::CHECK);
    confirmed(Driver::make(&mut Bench::new(card.clone()), &call, &order), 0);
    confirmed(Driver::make(&mut Bench::new(card.clone()), &call, &order), 0);
    assert_eq!(meter.insert(&card), Shown::Checked);
    let home = check(&card);
    assert_eq!((home.identity.purpose, home.purchase), (purpose::CHECK, None));
    assert_eq!(home.written_back.map(|back| back.count), Some(0));
}

/// A state that somebody wrote who knows the code and not the key of the MACs.
#[test]
fn a_forged_amount_is_seen() {
    let card = fresh();
    confirmed(Driver::open(&mut Bench::new(card.clone()), &call(), &mine_again(5000)), 1);
    card.alter(|chip| {
        let Chip::Sle4442(card) = chip else { panic!("not an SLE4442") };
        let memory = card.memory_mut();
        for slot in [0x20, 0x54] {
            memory[slot + 30] = 0xFF;
            let sum = polymeter_codec::x25(&memory[slot..slot + 50]).to_be_bytes();
            memory[slot + 50..slot + 52].copy_from_slice(&sum);
        }
    });
    let forged = Driver::check(&mut Bench::new(card.clone()), &call()).unwrap_err();
    assert!(forged.detail.contains("MAC"), "{}", forged.detail);
    assert_eq!(device().insert(&card), Shown::Error(CardError::Mac));
}

//! The driver against its transcripts, against simulated cards under the real vault, pulled at every
//! command of every act, and against cards that answer what they like.

mod bench;
mod hostile;
mod pulled;

use bench::{Bench, KEYS, SERIAL, blank};
use driver_card_sg_cpu::CardSgCpu;
use meter_sim::card::acme::six_bytes;
use meter_sim::card::{
    Card, CardError, Chip, CpuCard, CpuKeys, PARAMETERS, SgMeter, Shown, WRITTEN_BACK,
};
use polymeter_codec::gbcard::{Digits, Moment, WrittenBack};
use polymeter_driver::codes::card::{purpose, taken};
use polymeter_driver::codes::{error, quantity, refusal};
use polymeter_driver::{
    Call, CardContents, CardDriver, CardOrder, Credit, Decimal, Extras, LocalTime, Purchase,
    SellOutcome, Value,
};
use polymeter_replay::check_card_folder;
use std::io::Write as _;

const METER: &str = "000000000001";
const CUSTOMER: &str = "000000000007";

#[test]
fn transcripts() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/transcripts");
    match check_card_folder::<CardSgCpu>(folder.as_ref()) {
        Ok(played) => {
            writeln!(std::io::stderr(), "transcripts card-sg-cpu: {played} played").unwrap();
        }
        Err(error) => panic!("{error}"),
    }
}

pub fn call() -> Call {
    Call {
        address: METER.to_owned(),
        parameters: Extras::new(),
        now: LocalTime { year: 2026, month: 11, day: 26, hour: 12, minute: 0, second: 0 },
        nonce: (0..16).collect(),
    }
}

pub fn order(purchase: Option<(u32, u64)>) -> CardOrder {
    CardOrder {
        purpose: purpose::USER,
        region: String::new(),
        customer_number: CUSTOMER.to_owned(),
        purchase: purchase.map(|(count, amount)| Purchase {
            count,
            credit: Credit { quantity: quantity::MONEY, amount },
        }),
        parameters: Extras::new(),
    }
}

/// The device takes the purchase: what it writes back onto the card.
pub fn insert_into_meter(card: &Card, count: u32) {
    let back = WrittenBack {
        ratios: [1, 1],
        meter: Digits::from_text(METER).unwrap(),
        customer: Digits::from_text(CUSTOMER).unwrap(),
        balance: 4200,
        count,
        overdrawn: 0,
        wrong_cards: 2,
        at: Some(Moment { year: 26, month: 11, day: 25, hour: 18, minute: 30 }),
    };
    card.alter(|chip| {
        let Chip::Cpu(card) = chip else { panic!("not a CPU card") };
        *card.file_mut(WRITTEN_BACK).unwrap() = back.build().unwrap().to_vec();
    });
}

pub fn check(card: &Card) -> CardContents {
    card.power_on();
    CardSgCpu::check(&mut Bench::new(card.clone()), &call()).unwrap()
}

/// What was bought, and whether it was taken.
pub fn bought(card: &Card) -> (Option<(u32, u64)>, u16) {
    let contents = check(card);
    let purchase = contents.purchase.map(|it| (it.count, it.credit.amount));
    (purchase, contents.taken)
}

fn confirmed(outcome: &SellOutcome, count: u32) {
    assert!(
        matches!(outcome, SellOutcome::Confirmed(receipt) if receipt.count == count),
        "{outcome:?}"
    );
}

fn refused(outcome: &SellOutcome, code: u16) {
    assert!(
        matches!(outcome, SellOutcome::Refused(refusal) if refusal.code == code),
        "{outcome:?} is not {code}"
    );
}

#[test]
fn a_life() {
    let mut bench = Bench::new(blank());
    let card = bench.card.clone();
    let seen = CardSgCpu::identify(&mut bench, &call()).unwrap().unwrap();
    assert_eq!((seen.purpose, seen.serial.as_str()), (purpose::BLANK, "1122334455667788"));
    confirmed(&CardSgCpu::open(&mut bench, &call(), &order(Some((1, 5000)))).unwrap(), 1);
    assert_eq!(bought(&card), (Some((1, 5000)), taken::NO));
    // Nobody has seen the opening: no second purchase goes onto it.
    refused(&CardSgCpu::sell(&mut bench, &call(), &order(Some((2, 700)))).unwrap(), refusal::OTHER);
    insert_into_meter(&card, 1);
    let home = check(&card);
    assert_eq!((home.taken, home.identity.device.as_str()), (taken::YES, METER));
    let back = home.written_back.unwrap();
    assert_eq!((back.count, back.balance.unwrap().amount), (1, 4200));
    assert_eq!(back.at.map(|at| (at.year, at.minute)), Some((2026, 30)));
    confirmed(&CardSgCpu::sell(&mut bench, &call(), &order(Some((2, 700)))).unwrap(), 2);
    assert_eq!(bought(&card), (Some((2, 700)), taken::NO));
    assert_eq!(check(&card).written_back.map(|back| back.count), None);
    // A refund at the counter, done twice.
    confirmed(&CardSgCpu::take_back(&mut bench, &call(), &order(Some((2, 700)))).unwrap(), 2);
    confirmed(&CardSgCpu::take_back(&mut bench, &call(), &order(Some((2, 700)))).unwrap(), 2);
    assert_eq!(bought(&card), (Some((2, 0)), taken::NO));
    insert_into_meter(&card, 2);
    confirmed(&CardSgCpu::sell(&mut bench, &call(), &order(Some((3, 900)))).unwrap(), 3);
    insert_into_meter(&card, 3);
    refused(
        &CardSgCpu::take_back(&mut bench, &call(), &order(Some((3, 900)))).unwrap(),
        refusal::ALREADY_TAKEN,
    );
    // Lost: a replacement carries the last purchase.
    let other = Card::cpu(CpuCard::blank([9; 8], &KEYS));
    let mut second = Bench::new(other.clone());
    confirmed(&CardSgCpu::replace(&mut second, &call(), &order(Some((3, 900)))).unwrap(), 3);
    confirmed(&CardSgCpu::replace(&mut second, &call(), &order(Some((3, 900)))).unwrap(), 3);
    assert_eq!(bought(&other), (Some((3, 900)), taken::NO));
    confirmed(&CardSgCpu::clear(&mut bench, &call()).unwrap(), 0);
    let blank = check(&card);
    assert_eq!((blank.identity.purpose, blank.purchase), (purpose::BLANK, None));
    assert_eq!(blank.identity.serial, seen.serial);
}

#[test]
fn other_peoples_cards_are_refused_before_a_byte_is_written() {
    let mut bench = Bench::new(blank());
    CardSgCpu::open(&mut bench, &call(), &order(Some((1, 5000)))).unwrap();
    insert_into_meter(&bench.card, 1);
    let before = bench.card.truth();
    let mine = order(Some((2, 700)));
    let somebody = CardOrder { customer_number: "8".to_owned(), ..mine.clone() };
    let elsewhere = Call { address: "000000000002".to_owned(), ..call() };
    let sell = |bench: &mut Bench, call: &Call, order: &CardOrder| {
        CardSgCpu::sell(bench, call, order).unwrap()
    };
    refused(&sell(&mut bench, &call(), &somebody), refusal::WRONG_CUSTOMER);
    refused(&sell(&mut bench, &elsewhere, &mine), refusal::WRONG_ADDRESS);
    for count in [1, 3, 4] {
        refused(&sell(&mut bench, &call(), &order(Some((count, 700)))), refusal::WRONG_COUNT);
    }
    let opening = order(Some((1, 4000)));
    refused(&CardSgCpu::open(&mut bench, &call(), &opening).unwrap(), refusal::OTHER);
    // The number without its zeros is the same one.
    let short = CardOrder { customer_number: "7".to_owned(), ..order(Some((1, 5000))) };
    confirmed(&CardSgCpu::open(&mut bench, &call(), &short).unwrap(), 1);
    assert_eq!(bench.card.truth(), before);
}

/// A card of another region answers with other keys: refused, and no try of its counter is spent.
#[test]
fn other_keys_cost_no_try() {
    let other = CpuKeys::same([0x77; 16]);
    let mut bench = Bench::with_keys(blank(), &other);
    refused(
        &CardSgCpu::open(&mut bench, &call(), &order(None)).unwrap(),
        refusal::NOT_AUTHENTICATED,
    );
    refused(&CardSgCpu::clear(&mut bench, &call()).unwrap(), refusal::NOT_AUTHENTICATED);
    let no = CardSgCpu::check(&mut bench, &call()).unwrap_err();
    assert_eq!(no.code, error::DEVICE_SAYS_NO);
    let truth = bench.card.truth();
    assert_eq!((truth.presented, truth.wrong), (0, 0));
    assert!(CardSgCpu::identify(&mut bench, &call()).unwrap().is_some());
    // Only the key for writing is another: the card says no, and says how many tries are left.
    let mut bench = Bench::with_keys(blank(), &CpuKeys { external: [0x78; 16], ..KEYS });
    let outcome = CardSgCpu::open(&mut bench, &call(), &order(None)).unwrap();
    assert!(format!("{outcome:?}").contains("4 tries are left"), "{outcome:?}");
    assert_eq!(bench.card.truth().wrong, 1);
    // And only that of the MACs.
    let mut bench = Bench::with_keys(blank(), &CpuKeys { mac: [0x79; 16], ..KEYS });
    refused(&CardSgCpu::open(&mut bench, &call(), &order(None)).unwrap(), refusal::WRONG_MAC);
}

#[test]
fn a_setting_card_carries_parameters_and_prices() {
    let mut bench = Bench::new(blank());
    let number = |mantissa| Value::Number(Decimal { mantissa, scale: 0 });
    let text = |text: &str| Value::Text(text.to_owned());
    let parameters: Extras = vec![
        ("preset-amount".to_owned(), number(3000)),
        ("alarm-1".to_owned(), number(1000)),
        ("current-ratio".to_owned(), number(40)),
        ("tariff-prices".to_owned(), text("0.9 0.75")),
        ("ladder-steps".to_owned(), text("170 260.5")),
        ("ladder-prices".to_owned(), text("0.5 0.55 0.8")),
    ];
    let made = CardOrder {
        purpose: purpose::SETTING,
        customer_number: String::new(),
        parameters,
        ..order(None)
    };
    let south: Extras = vec![("grid".to_owned(), text("south"))];
    let call = Call { parameters: south, address: String::new(), ..call() };
    confirmed(&CardSgCpu::make(&mut bench, &call, &made).unwrap(), 0);
    let contents = CardSgCpu::check(&mut bench, &call).unwrap();
    assert_eq!(contents.identity.purpose, purpose::SETTING);
    let preset = Value::Number(Decimal { mantissa: 3000, scale: -2 });
    assert_eq!(contents.extras, vec![("preset-amount".to_owned(), preset)]);
    let file = bench.card.file(PARAMETERS).unwrap();
    assert_eq!(file[..6], [0x68, 0x02, 0x00, 0x1A, 0x00, 0x85]);
    assert_eq!(file[16..20], [0x00, 0x00, 0x10, 0x00]);
    let prices = bench.card.file(3).unwrap();
    assert_eq!(prices[4..12], [0x00, 0x00, 0x90, 0x00, 0x00, 0x00, 0x75, 0x00]);
    assert_eq!(prices[132..140], [0x00, 0x01, 0x70, 0x00, 0x00, 0x02, 0x60, 0x50]);
    assert_eq!(prices[184..187], [0x01, 0x01, 0x00]);
    // Nobody's user card, and no other maintenance card is made.
    refused(&CardSgCpu::sell(&mut bench, &call, &order(Some((1, 100)))).unwrap(), refusal::OTHER);
    let reset = CardOrder { purpose: purpose::RESET, ..made };
    assert_eq!(CardSgCpu::make(&mut bench, &call, &reset).unwrap_err().code, error::UNSUPPORTED);
}

#[test]
fn a_buying_card_carries_the_prices_that_follow() {
    let mut bench = Bench::new(blank());
    CardSgCpu::open(&mut bench, &call(), &order(Some((1, 5000)))).unwrap();
    insert_into_meter(&bench.card, 1);
    let text = |text: &str| Value::Text(text.to_owned());
    let parameters: Extras = vec![
        ("tariff-prices".to_owned(), text("0.6")),
        ("tariff-switch-time".to_owned(), text("2027-01-01 00:00")),
    ];
    let with = |parameters| CardOrder { parameters, ..order(Some((2, 700))) };
    confirmed(&CardSgCpu::sell(&mut bench, &call(), &with(parameters)).unwrap(), 2);
    let file = bench.card.file(PARAMETERS).unwrap();
    assert_eq!((file[5], &file[10..15]), (0x02, &[0x27, 0x01, 0x01, 0x00, 0x00][..]));
    assert_eq!(bench.card.file(4).unwrap()[4..8], [0x00, 0x00, 0x60, 0x00]);
    for (name, value) in [
        ("alarm-1", Value::Number(Decimal { mantissa: 1, scale: 0 })),
        ("tariff-prices", text("0.12345")),
        ("tariff-prices", text("")),
        ("tariff-switch-time", text("2027-13-01 00:00")),
        ("ladder-steps", text("1 2 3 4 5 6 7")),
        ("colour", text("red")),
    ] {
        let bad = CardSgCpu::sell(&mut bench, &call(), &with(vec![(name.to_owned(), value)]));
        assert_eq!(bad.unwrap_err().code, error::BAD_PARAMETER, "{name}");
    }
}

/// A card with yesterday's image tells yesterday's count, and today's sale does not follow it.
#[test]
fn a_card_of_yesterday_is_behind() {
    let mut bench = Bench::new(blank());
    CardSgCpu::open(&mut bench, &call(), &order(Some((1, 5000)))).unwrap();
    insert_into_meter(&bench.card, 1);
    let yesterday = bench.card.image();
    confirmed(&CardSgCpu::sell(&mut bench, &call(), &order(Some((2, 700)))).unwrap(), 2);
    let mut clone = Bench::new(yesterday.clone());
    assert_eq!(bought(&yesterday).0, Some((1, 5000)));
    refused(
        &CardSgCpu::sell(&mut clone, &call(), &order(Some((3, 100)))).unwrap(),
        refusal::WRONG_COUNT,
    );
}

#[test]
fn a_torn_file_of_parameters_is_named_and_can_be_cleared() {
    let mut bench = Bench::new(blank());
    CardSgCpu::open(&mut bench, &call(), &order(Some((1, 5000)))).unwrap();
    bench.card.alter(|chip| {
        if let Chip::Cpu(card) = chip {
            card.file_mut(PARAMETERS).unwrap()[20] ^= 1;
        }
    });
    let error = CardSgCpu::identify(&mut bench, &call()).unwrap_err();
    assert!(error.detail.contains("parameters: sum"), "{}", error.detail);
    assert!(CardSgCpu::sell(&mut bench, &call(), &order(Some((2, 1)))).is_err());
    confirmed(&CardSgCpu::clear(&mut bench, &call()).unwrap(), 0);
    assert_eq!(check(&bench.card).identity.purpose, purpose::BLANK);
    assert_eq!(check(&bench.card).identity.serial, hex::encode(SERIAL));
}

/// A meter's life by cards of this driver alone, the meter written from the same document by somebody
/// else: what is set, opened and bought comes through, and prices take the place they have there.
#[test]
fn a_meter_lives_by_these_cards() {
    let mut meter = SgMeter::new(six_bytes(1), KEYS);
    let number = |mantissa| Value::Number(Decimal { mantissa, scale: 0 });
    let setting = Card::cpu(CpuCard::blank([1; 8], &KEYS));
    let made = CardOrder {
        purpose: purpose::SETTING,
        parameters: vec![
            ("preset-amount".to_owned(), number(300)),
            ("alarm-1".to_owned(), number(1000)),
            ("voltage-ratio".to_owned(), number(100)),
            ("tariff-prices".to_owned(), Value::Text("0.9 0.75".to_owned())),
        ],
        ..order(None)
    };
    confirmed(&CardSgCpu::make(&mut Bench::new(setting.clone()), &call(), &made).unwrap(), 0);
    assert_eq!(meter.insert(&setting), Shown::Set);
    assert_eq!((meter.purse.money_fen, meter.alarms_fen, meter.ratios), (300, [1000, 0], [1, 100]));
    assert_eq!(meter.prices[0][..8], [0, 0, 0x90, 0, 0, 0, 0x75, 0]);
    let card = blank();
    let mut counter = Bench::new(card.clone());
    confirmed(&CardSgCpu::open(&mut counter, &call(), &order(Some((1, 5000)))).unwrap(), 1);
    assert_eq!(meter.insert(&card), Shown::Credited { amount_fen: 5000 });
    for (count, amount) in [(2, 700), (3, 900)] {
        let sold = CardSgCpu::sell(&mut counter, &call(), &order(Some((count, amount)))).unwrap();
        confirmed(&sold, count);
        let amount_fen = u32::try_from(amount).unwrap();
        assert_eq!(meter.insert(&card), Shown::Credited { amount_fen });
        assert_eq!(bought(&card), (Some((count, amount)), taken::YES));
    }
    let home = check(&card).written_back.unwrap();
    assert_eq!((home.count, home.balance.unwrap().amount), (3, 6900));
    // Lost: the replacement brings what the meter has, and is its card from then on.
    let other = Card::cpu(CpuCard::blank([9; 8], &KEYS));
    let mut second = Bench::new(other.clone());
    confirmed(&CardSgCpu::replace(&mut second, &call(), &order(Some((3, 900)))).unwrap(), 3);
    assert_eq!(meter.insert(&other), Shown::Known);
    assert_eq!(meter.insert(&card), Shown::Error(CardError::Serial));
    confirmed(&CardSgCpu::sell(&mut second, &call(), &order(Some((4, 100)))).unwrap(), 4);
    assert_eq!(meter.insert(&other), Shown::Credited { amount_fen: 100 });
    assert_eq!((meter.purse.credited_fen, meter.purse.money_fen), (6700, 7000));
}

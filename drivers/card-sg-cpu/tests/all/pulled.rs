//! A card that is pulled at every command of every act, before the card did it and after. Afterwards it
//! holds what it held or what was ordered, whole, the act can be done again, and a meter that was
//! written by somebody else takes each purchase once.

use crate::bench::{Bench, KEYS, blank};
use crate::{bought, call, check, order};
use driver_card_sg_cpu::CardSgCpu;
use meter_sim::card::acme::six_bytes;
use meter_sim::card::{Card, CardFault, CardFaultKind, CpuCard, SgMeter, Shown, Stage};
use polymeter_driver::codes::card::{purpose, taken};
use polymeter_driver::{CardDriver, CardOrder, DriverError, Extras, SellOutcome, Value};
use std::io::Write as _;

type Act = fn(&mut Bench) -> Result<SellOutcome, DriverError>;
/// A purchase and whether it was taken; none on a blank card.
type Holds = (Option<(u32, u64)>, u16);

const BLANK: Holds = (None, taken::UNKNOWN);
const OPENED: Holds = (Some((1, 5000)), taken::NO);
const RETURNED: Holds = (Some((1, 5000)), taken::YES);
const SOLD: Holds = (Some((2, 700)), taken::NO);

/// A meter that a reset card and a setting card have been in.
fn meter() -> SgMeter {
    let mut meter = SgMeter::new(six_bytes(1), KEYS);
    meter.purse.stage = Stage::Cleared;
    meter
}

fn open(bench: &mut Bench) -> Result<SellOutcome, DriverError> {
    CardSgCpu::open(bench, &call(), &order(Some((1, 5000))))
}

fn opened() -> (Card, SgMeter) {
    let card = blank();
    open(&mut Bench::new(card.clone())).unwrap();
    (card, meter())
}

/// Taken by the meter, with the write-back that says so.
fn returned() -> (Card, SgMeter) {
    let (card, mut meter) = opened();
    assert_eq!(meter.insert(&card), Shown::Credited { amount_fen: 5000 });
    (card, meter)
}

/// Pulled while it was cleared: blank, with the old purse and write-back on it.
fn half_cleared() -> (Card, SgMeter) {
    let (card, _) = returned();
    let mut bench = Bench::new(card.clone());
    card.fault(CardFault { at: 10, kind: CardFaultKind::PulledBefore });
    let outcome = pull(&mut bench, |bench| CardSgCpu::clear(bench, &call()));
    assert!(matches!(outcome, Ok(SellOutcome::Unknown(_))), "{outcome:?}");
    assert_eq!(bought(&card), BLANK);
    (card, meter())
}

fn with_prices() -> CardOrder {
    let prices: Extras = vec![("tariff-prices".to_owned(), Value::Text("0.6".to_owned()))];
    CardOrder { parameters: prices, ..order(Some((2, 700))) }
}

/// What is done, to which card of which meter, what the card holds before and after it, and what the
/// meter was credited in all when the card has been done with and was in it.
struct Case {
    name: &'static str,
    make: fn() -> (Card, SgMeter),
    act: Act,
    old: Holds,
    new: Holds,
    credited: u64,
}

const fn case(
    name: &'static str,
    make: fn() -> (Card, SgMeter),
    act: Act,
    (old, new): (Holds, Holds),
    credited: u64,
) -> Case {
    Case { name, make, act, old, new, credited }
}

const CASES: [Case; 7] = [
    case("open", || (blank(), meter()), open, (BLANK, OPENED), 5000),
    case("open a half cleared card", half_cleared, open, (BLANK, OPENED), 5000),
    case(
        "replace",
        || (Card::cpu(CpuCard::blank([9; 8], &KEYS)), returned().1),
        |bench| CardSgCpu::replace(bench, &call(), &order(Some((1, 5000)))),
        (BLANK, OPENED),
        5000,
    ),
    case(
        "sell",
        returned,
        |bench| CardSgCpu::sell(bench, &call(), &order(Some((2, 700)))),
        (RETURNED, SOLD),
        5700,
    ),
    case(
        "sell with prices",
        returned,
        |bench| CardSgCpu::sell(bench, &call(), &with_prices()),
        (RETURNED, SOLD),
        5700,
    ),
    case(
        "take back",
        opened,
        |bench| CardSgCpu::take_back(bench, &call(), &order(Some((1, 5000)))),
        (OPENED, (Some((1, 0)), taken::NO)),
        0,
    ),
    case("clear", returned, |bench| CardSgCpu::clear(bench, &call()), (RETURNED, BLANK), 5000),
];

#[test]
fn pulled_at_every_command_a_card_holds_the_old_or_the_new() {
    let (mut points, mut unknown) = (0, 0);
    for case in &CASES {
        let (card, _) = (case.make)();
        let mut bench = Bench::new(card.clone());
        card.power_on();
        assert!(matches!((case.act)(&mut bench), Ok(SellOutcome::Confirmed(_))), "{}", case.name);
        assert_eq!(bought(&card), case.new, "{}", case.name);
        for at in 1..=bench.sent {
            for kind in [CardFaultKind::PulledBefore, CardFaultKind::PulledAfter] {
                unknown += u32::from(cut(case, CardFault { at: at.into(), kind }));
                points += 1;
            }
        }
    }
    writeln!(
        std::io::stderr(),
        "card-sg-cpu pulled: {points} cut points, {unknown} unknown to the driver, 0 lost, 0 doubled"
    )
    .unwrap();
    assert!(points > 150 && unknown > 20, "{points} points, {unknown} unknown");
}

/// Whether the driver did not know what became of it.
fn cut(case: &Case, fault: CardFault) -> bool {
    let (card, mut meter) = (case.make)();
    let mut bench = Bench::new(card.clone());
    card.fault(fault);
    let outcome = pull(&mut bench, case.act);
    let place = format!("{}, {fault:?}: {outcome:?}", case.name);
    let holds = bought(&card);
    let is_unknown = match outcome {
        // Nothing was begun that changes a card, or the card said no.
        Err(_) | Ok(SellOutcome::Refused(_)) => {
            assert_eq!(holds, case.old, "{place}");
            false
        }
        Ok(SellOutcome::Confirmed(_)) => {
            assert_eq!(holds, case.new, "{place}");
            false
        }
        Ok(SellOutcome::Unknown(_)) => {
            assert!(holds == case.old || holds == case.new, "{place}: {holds:?}");
            true
        }
    };
    // No meter takes a new purchase from a card whose write-back is not empty.
    if holds == case.new && case.new != BLANK {
        assert!(check(&card).written_back.is_none(), "{place}");
    }
    // Where it is not done, it is done again.
    if holds == case.old {
        let again = (case.act)(&mut bench);
        assert!(matches!(again, Ok(SellOutcome::Confirmed(_))), "{place}: {again:?}");
        assert_eq!(bought(&card), case.new, "{place}");
    }
    for _ in 0..2 {
        meter.insert(&card);
    }
    assert_eq!(meter.purse.credited_fen, case.credited, "{place}");
    is_unknown
}

/// Once it is pulled a card answers nothing in this call.
fn pull(bench: &mut Bench, act: Act) -> Result<SellOutcome, DriverError> {
    bench.gone = Some(false);
    bench.card.power_on();
    let outcome = act(bench);
    bench.gone = None;
    bench.card.power_on();
    outcome
}

/// A card that was cut while it was being opened is still blank, and anybody's.
#[test]
fn a_card_whose_opening_was_cut_is_blank() {
    let commands = {
        let mut bench = Bench::new(blank());
        CardSgCpu::open(&mut bench, &call(), &order(Some((1, 5000)))).unwrap();
        bench.sent
    };
    for at in 1..commands {
        let mut bench = Bench::new(blank());
        bench.card.fault(CardFault { at: at.into(), kind: CardFaultKind::PulledAfter });
        let _ = pull(&mut bench, |bench| CardSgCpu::open(bench, &call(), &order(Some((1, 5000)))));
        let seen = CardSgCpu::identify(&mut bench, &call()).unwrap().unwrap();
        assert!([purpose::BLANK, purpose::USER].contains(&seen.purpose));
        if seen.purpose == purpose::BLANK {
            let other = CardOrder { customer_number: "8".to_owned(), ..order(Some((1, 300))) };
            let outcome = CardSgCpu::open(&mut bench, &call(), &other).unwrap();
            assert!(matches!(outcome, SellOutcome::Confirmed(_)), "{outcome:?}");
            let holds = CardSgCpu::check(&mut bench, &call()).unwrap();
            assert_eq!(holds.purchase.map(|it| it.credit.amount), Some(300));
        }
    }
}

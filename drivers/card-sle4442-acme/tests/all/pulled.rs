//! A card that is pulled at every command of every act, and within the bytes of each that writes.
//! Afterwards it holds what it held or what was ordered, whole; the act can be done again; and a device
//! takes each purchase once.

use crate::bench::{Bench, fresh};
use crate::{bought, call, device, order};
use driver_card_sle4442_acme::CardSle4442Acme as Driver;
use meter_sim::card::{AcmeMeter, Card, CardFault, CardFaultKind};
use polymeter_driver::codes::card::taken;
use polymeter_driver::{CardDriver, DriverError, SellOutcome};
use std::io::Write as _;

type Act = fn(&mut Bench) -> Result<SellOutcome, DriverError>;
/// A purchase and whether it was taken; none on a blank card.
type Holds = (Option<(u32, u64)>, u16);

const BLANK: Holds = (None, taken::UNKNOWN);
const OPENED: Holds = (Some((1, 5000)), taken::NO);
const RETURNED: Holds = (Some((1, 5000)), taken::YES);
const SOLD: Holds = (Some((2, 700)), taken::NO);

fn open(bench: &mut Bench) -> Result<SellOutcome, DriverError> {
    Driver::open(bench, &call(), &order(Some((1, 5000))))
}

fn opened() -> (Card, AcmeMeter) {
    let card = fresh();
    open(&mut Bench::new(card.clone())).unwrap();
    (card, device())
}

fn returned() -> (Card, AcmeMeter) {
    let (card, mut meter) = opened();
    meter.insert(&card);
    (card, meter)
}

fn cleared() -> (Card, AcmeMeter) {
    let (card, _) = returned();
    Driver::clear(&mut Bench::new(card.clone()), &call()).unwrap();
    (card, device())
}

/// Pulled while it was cleared: blank, with the old write-back on it.
fn half_cleared() -> (Card, AcmeMeter) {
    let (card, _) = returned();
    let mut bench = Bench::new(card.clone());
    bench.gone = Some(false);
    card.fault(CardFault { at: 5, kind: CardFaultKind::PulledBefore });
    let outcome = Driver::clear(&mut bench, &call());
    assert!(matches!(outcome, Ok(SellOutcome::Unknown(_))), "{outcome:?}");
    assert_eq!(bought(&card), BLANK);
    (card, device())
}

/// What is done, to which card of which device, what the card holds before and after it, and what the
/// device was credited in all when the card has been done with and was in it.
struct Case {
    name: &'static str,
    make: fn() -> (Card, AcmeMeter),
    act: Act,
    old: Holds,
    new: Holds,
    credited: u64,
}

const fn case(
    name: &'static str,
    make: fn() -> (Card, AcmeMeter),
    act: Act,
    (old, new): (Holds, Holds),
    credited: u64,
) -> Case {
    Case { name, make, act, old, new, credited }
}

const CASES: [Case; 7] = [
    case("open a fresh card", || (fresh(), device()), open, (BLANK, OPENED), 5000),
    case("open a cleared card", cleared, open, (BLANK, OPENED), 5000),
    case("open a half cleared card", half_cleared, open, (BLANK, OPENED), 5000),
    case(
        "replace",
        || {
            let (_, meter) = returned();
            (Card::sle4442(meter_sim::card::acme::blank([9; 8])), meter)
        },
        |bench| Driver::replace(bench, &call(), &order(Some((1, 5000)))),
        (BLANK, OPENED),
        5000,
    ),
    case(
        "sell",
        returned,
        |bench| Driver::sell(bench, &call(), &order(Some((2, 700)))),
        (RETURNED, SOLD),
        5700,
    ),
    case(
        "take back",
        opened,
        |bench| Driver::take_back(bench, &call(), &order(Some((1, 5000)))),
        (OPENED, (Some((1, 0)), taken::NO)),
        0,
    ),
    case("clear", returned, |bench| Driver::clear(bench, &call()), (RETURNED, BLANK), 5000),
];

/// Bytes of a write after which the card is out.
const WITHIN: [usize; 11] = [0, 1, 2, 3, 4, 18, 31, 44, 49, 50, 51];

#[derive(Default)]
struct Counted {
    points: u32,
    unknown: u32,
    /// Blank cards whose code was torn, or cost a try while it was being changed.
    spoiled: u32,
}

#[test]
fn pulled_anywhere_a_card_holds_the_old_or_the_new() {
    let mut counted = Counted::default();
    for case in &CASES {
        let (card, _) = (case.make)();
        let mut bench = Bench::new(card.clone());
        assert!(matches!((case.act)(&mut bench), Ok(SellOutcome::Confirmed(_))), "{}", case.name);
        assert_eq!(bought(&card), case.new, "{}", case.name);
        let within = WITHIN.map(|bytes| CardFaultKind::PulledWithin { bytes });
        for at in 1..=bench.sent {
            let outside = [CardFaultKind::PulledBefore, CardFaultKind::PulledAfter];
            for kind in outside.into_iter().chain(within) {
                pull(case, CardFault { at: at.into(), kind }, &mut counted);
            }
        }
    }
    let Counted { points, unknown, spoiled } = counted;
    writeln!(
        std::io::stderr(),
        "card-sle4442-acme pulled: {points} cut points, {unknown} unknown to the driver, {spoiled} \
         blank cards spoiled, 0 lost, 0 doubled"
    )
    .unwrap();
    assert!(points > 300 && unknown > 50, "{points} points, {unknown} unknown");
}

fn pull(case: &Case, fault: CardFault, counted: &mut Counted) {
    let (card, mut meter) = (case.make)();
    let mut bench = Bench::new(card.clone());
    bench.gone = Some(false);
    card.fault(fault);
    let outcome = (case.act)(&mut bench);
    card.clear_faults();
    let place = format!("{}, {fault:?}: {outcome:?}", case.name);
    let holds = bought(&card);
    match outcome {
        Err(_) | Ok(SellOutcome::Refused(_)) => assert_eq!(holds, case.old, "{place}"),
        Ok(SellOutcome::Confirmed(_)) => assert_eq!(holds, case.new, "{place}"),
        Ok(SellOutcome::Unknown(_)) => {
            assert!(holds == case.old || holds == case.new, "{place}: {holds:?}");
            counted.unknown += 1;
        }
    }
    counted.points += 1;
    if holds == case.old {
        bench.insert();
        let again = (case.act)(&mut bench);
        if !matches!(again, Ok(SellOutcome::Confirmed(_))) {
            let torn = matches!(fault.kind, CardFaultKind::PulledWithin { .. });
            assert!(torn && case.old == BLANK && bought(&card) == BLANK, "{place}: {again:?}");
            counted.spoiled += 1;
            return;
        }
        assert_eq!(bought(&card), case.new, "{place}");
    }
    for _ in 0..2 {
        meter.insert(&card);
    }
    assert_eq!(meter.purse.credited_fen, case.credited, "{place}");
}

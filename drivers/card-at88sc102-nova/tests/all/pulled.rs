//! A card that is pulled at every command of every act, and within the bytes of each that writes or
//! erases. Afterwards it holds what it held or what was ordered, whole; the act can be done again; and
//! a device takes each purchase once.

use crate::bench::{Bench, Device, fresh};
use crate::{bought, call, order};
use driver_card_at88sc102_nova::CardAt88sc102Nova as Driver;
use meter_sim::card::{Card, CardFault, CardFaultKind};
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

fn sell(bench: &mut Bench) -> Result<SellOutcome, DriverError> {
    Driver::sell(bench, &call(), &order(Some((2, 700))))
}

fn opened() -> (Card, Device) {
    let card = fresh();
    open(&mut Bench::new(card.clone())).unwrap();
    (card, Device::default())
}

fn returned() -> (Card, Device) {
    let (card, mut device) = opened();
    device.insert(&card);
    (card, device)
}

/// Both zones have been written.
fn returned_again() -> (Card, Device) {
    let (card, mut device) = returned();
    sell(&mut Bench::new(card.clone())).unwrap();
    device.insert(&card);
    (card, device)
}

fn cleared() -> (Card, Device) {
    let (card, _) = returned();
    Driver::clear(&mut Bench::new(card.clone()), &call()).unwrap();
    (card, Device::default())
}

/// What is done, to which card of which device, what the card holds before and after it, and what the
/// device was credited in all when the card has been done with and was in it.
struct Case {
    name: &'static str,
    make: fn() -> (Card, Device),
    act: Act,
    holds: (Holds, Holds),
    credited: u64,
}

const CASES: [Case; 6] = [
    Case {
        name: "open",
        make: || (fresh(), Device::default()),
        act: open,
        holds: (BLANK, OPENED),
        credited: 5000,
    },
    Case {
        name: "open a cleared card",
        make: cleared,
        act: open,
        holds: (BLANK, OPENED),
        credited: 5000,
    },
    Case { name: "sell", make: returned, act: sell, holds: (RETURNED, SOLD), credited: 5700 },
    Case {
        name: "sell again",
        make: returned_again,
        act: |bench| Driver::sell(bench, &call(), &order(Some((3, 90)))),
        holds: ((Some((2, 700)), taken::YES), (Some((3, 90)), taken::NO)),
        credited: 5790,
    },
    Case {
        name: "take back",
        make: opened,
        act: |bench| Driver::take_back(bench, &call(), &order(Some((1, 5000)))),
        holds: (OPENED, (Some((1, 0)), taken::NO)),
        credited: 0,
    },
    Case {
        name: "clear",
        make: returned_again,
        act: |bench| Driver::clear(bench, &call()),
        holds: ((Some((2, 700)), taken::YES), BLANK),
        credited: 5700,
    },
];

/// Bytes of a write or an erasure after which the card is out.
const WITHIN: [usize; 11] = [0, 1, 2, 3, 18, 31, 38, 39, 40, 41, 63];

#[test]
fn pulled_anywhere_a_card_holds_the_old_or_the_new() {
    let (mut points, mut unknown) = (0, 0);
    for case in &CASES {
        let (card, _) = (case.make)();
        let mut bench = Bench::new(card.clone());
        assert!(matches!((case.act)(&mut bench), Ok(SellOutcome::Confirmed(_))), "{}", case.name);
        assert_eq!(bought(&card), case.holds.1, "{}", case.name);
        let within = WITHIN.map(|bytes| CardFaultKind::PulledWithin { bytes });
        for at in 1..=bench.sent {
            let outside = [CardFaultKind::PulledBefore, CardFaultKind::PulledAfter];
            for kind in outside.into_iter().chain(within) {
                unknown += u32::from(pull(case, CardFault { at: at.into(), kind }));
                points += 1;
            }
        }
    }
    writeln!(
        std::io::stderr(),
        "card-at88sc102-nova pulled: {points} cut points, {unknown} unknown to the driver, 0 lost, \
         0 doubled"
    )
    .unwrap();
    assert!(points > 300 && unknown > 50, "{points} points, {unknown} unknown");
}

/// Whether the driver did not know what became of it.
fn pull(case: &Case, fault: CardFault) -> bool {
    let (old, new) = case.holds;
    let (card, mut device) = (case.make)();
    let mut bench = Bench::new(card.clone());
    bench.gone = Some(false);
    card.fault(fault);
    let outcome = (case.act)(&mut bench);
    card.clear_faults();
    let place = format!("{}, {fault:?}: {outcome:?}", case.name);
    let holds = bought(&card);
    let is_unknown = matches!(outcome, Ok(SellOutcome::Unknown(_)));
    match outcome {
        Err(_) | Ok(SellOutcome::Refused(_)) => assert_eq!(holds, old, "{place}"),
        Ok(SellOutcome::Confirmed(_)) => assert_eq!(holds, new, "{place}"),
        Ok(SellOutcome::Unknown(_)) => {
            assert!(holds == old || holds == new, "{place}: {holds:?}");
        }
    }
    if holds == old {
        bench.insert();
        let again = (case.act)(&mut bench);
        assert!(matches!(again, Ok(SellOutcome::Confirmed(_))), "{place}: {again:?}");
        assert_eq!(bought(&card), new, "{place}");
    }
    for _ in 0..2 {
        device.insert(&card);
    }
    assert_eq!(device.credited, case.credited, "{place}");
    is_unknown
}

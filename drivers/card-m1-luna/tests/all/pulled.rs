//! A card that is taken away at every command of every act: before it did it, within, and after.
//! Afterwards it holds what it held or what was ordered, whole, and the act can be done again.

use crate::bench::{Bench, blank, keys};
use crate::{call, check, confirmed, holds, meter, order};
use driver_card_m1_luna::CardM1Luna;
use meter_sim::card::{Card, CardFault, CardFaultKind};
use polymeter_driver::codes::card::taken;
use polymeter_driver::{CardDriver, DriverError, SellOutcome};
use std::io::Write as _;

type Act = fn(&mut Bench) -> Result<SellOutcome, DriverError>;
type Make = fn() -> Card;
type Holds = (Option<(u32, u64)>, u16);
type Case = (&'static str, Make, Act, Holds, Holds);

fn opened() -> Card {
    let card = blank();
    confirmed(
        CardM1Luna::open(Bench::new(&keys()).with(&card), &call(), &order(Some((1, 5_000)))),
        1,
    );
    card
}

/// Taken by the meter, with the write-back that says so.
fn returned() -> Card {
    let card = opened();
    meter().insert(&card);
    card
}

fn cleared() -> Card {
    let card = returned();
    confirmed(CardM1Luna::clear(Bench::new(&keys()).with(&card), &call()), 0);
    card
}

const BLANK: Holds = (None, taken::UNKNOWN);
const OPENED: Holds = (Some((1, 5_000)), taken::NO);
const RETURNED: Holds = (Some((1, 5_000)), taken::YES);

/// What is done, to which card, and what the card holds before and after it.
const ACTS: [Case; 6] = [
    (
        "open a fresh card",
        blank,
        |bench| CardM1Luna::open(bench, &call(), &order(Some((1, 5_000)))),
        BLANK,
        OPENED,
    ),
    (
        "open a cleared card",
        cleared,
        |bench| CardM1Luna::open(bench, &call(), &order(Some((1, 5_000)))),
        BLANK,
        OPENED,
    ),
    (
        "replace",
        blank,
        |bench| CardM1Luna::replace(bench, &call(), &order(Some((9, 800)))),
        BLANK,
        (Some((9, 800)), taken::NO),
    ),
    (
        "sell",
        returned,
        |bench| CardM1Luna::sell(bench, &call(), &order(Some((2, 700)))),
        RETURNED,
        (Some((2, 700)), taken::NO),
    ),
    (
        "take back",
        opened,
        |bench| CardM1Luna::take_back(bench, &call(), &order(Some((1, 5_000)))),
        OPENED,
        (Some((1, 0)), taken::NO),
    ),
    ("clear", returned, |bench| CardM1Luna::clear(bench, &call()), RETURNED, BLANK),
];

#[test]
fn taken_away_at_every_command_a_card_holds_the_old_or_the_new() {
    let mut bench = Bench::new(&keys());
    let (mut points, mut unknown) = (0, 0);
    for (name, make, act, old, new) in ACTS {
        let beginning = make();
        let commands = {
            let card = beginning.image();
            bench.with(&card);
            let before = card.commands();
            assert!(matches!(act(&mut bench), Ok(SellOutcome::Confirmed(_))), "{name}");
            let commands = card.commands() - before;
            assert_eq!(held(&mut bench, &card), new, "{name}");
            commands
        };
        for at in 1..=commands {
            let mut trailers = Vec::new();
            for kind in [
                CardFaultKind::PulledBefore,
                CardFaultKind::PulledAfter,
                CardFaultKind::PulledWithin { bytes: 7 },
            ] {
                // Keys that are torn while they are written are the sector's end, as the README says.
                if matches!(&trailers[..], [before, after] if before != after) {
                    continue;
                }
                let card = beginning.image();
                bench.with(&card);
                card.fault(CardFault { at, kind });
                let outcome = act(&mut bench);
                card.clear_faults();
                trailers.push(keys_of(&card));
                let place = format!("{name}, {kind:?} at {at} of {commands}: {outcome:?}");
                let now = held(&mut bench, &card);
                match outcome {
                    Err(_) | Ok(SellOutcome::Refused(_)) => assert_eq!(now, old, "{place}"),
                    Ok(SellOutcome::Confirmed(_)) => assert_eq!(now, new, "{place}"),
                    Ok(SellOutcome::Unknown(_)) => {
                        assert!(now == old || now == new, "{place}: {now:?}");
                        unknown += 1;
                    }
                }
                // Where it is not done, it is done again: once.
                if now == old {
                    bench.with(&card);
                    let again = act(&mut bench);
                    assert!(matches!(again, Ok(SellOutcome::Confirmed(_))), "{place}: {again:?}");
                    assert_eq!(held(&mut bench, &card), new, "{place}");
                }
                points += 1;
            }
        }
    }
    writeln!(
        std::io::stderr(),
        "card-m1-luna taken away: {points} cut points, {unknown} unknown to the driver, 0 lost, 0 doubled"
    )
    .unwrap();
    assert!(points > 300 && unknown > 20, "{points} points, {unknown} unknown");
}

fn held(bench: &mut Bench, card: &Card) -> Holds {
    holds(&check(bench, card))
}

/// The last block of every sector.
fn keys_of(card: &Card) -> Vec<u8> {
    let memory = card.truth().memory;
    memory.chunks_exact(16).skip(3).step_by(4).flatten().copied().collect()
}

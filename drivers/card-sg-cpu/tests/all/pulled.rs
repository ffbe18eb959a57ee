//! A card that is pulled at every command of every act, before the card did it and after. Afterwards it
//! holds what it held or what was ordered, whole, and the act can be done again.

use crate::bench::{Bench, blank};
use crate::{bought, call, check, insert_into_meter, order};
use driver_card_sg_cpu::CardSgCpu;
use meter_sim::card::{Card, CardFault, CardFaultKind};
use polymeter_driver::codes::card::{purpose, taken};
use polymeter_driver::{CardDriver, CardOrder, DriverError, Extras, SellOutcome, Value};
use std::io::Write as _;

type Make = fn() -> Card;
type Act = fn(&mut Bench) -> Result<SellOutcome, DriverError>;

/// A purchase and whether it was taken; none on a blank card.
type Holds = (Option<(u32, u64)>, u16);

fn opened() -> Card {
    let card = blank();
    CardSgCpu::open(&mut Bench::new(card.clone()), &call(), &order(Some((1, 5000)))).unwrap();
    card
}

/// Taken by the meter, with the write-back that says so.
fn returned() -> Card {
    let card = opened();
    insert_into_meter(&card, 1);
    card
}

fn with_prices() -> CardOrder {
    let prices: Extras = vec![("tariff-prices".to_owned(), Value::Text("0.6".to_owned()))];
    CardOrder { parameters: prices, ..order(Some((2, 700))) }
}

const BLANK: Holds = (None, taken::UNKNOWN);
const OPENED: Holds = (Some((1, 5000)), taken::NO);

/// What is done, to which card, and what the card holds before and after it.
const ACTS: [(&str, Make, Act, Holds, Holds); 6] = [
    (
        "open",
        blank,
        |bench| CardSgCpu::open(bench, &call(), &order(Some((1, 5000)))),
        BLANK,
        OPENED,
    ),
    (
        "replace",
        blank,
        |bench| CardSgCpu::replace(bench, &call(), &order(Some((9, 800)))),
        BLANK,
        (Some((9, 800)), taken::NO),
    ),
    (
        "sell",
        returned,
        |bench| CardSgCpu::sell(bench, &call(), &order(Some((2, 700)))),
        (Some((1, 5000)), taken::YES),
        (Some((2, 700)), taken::NO),
    ),
    (
        "sell with prices",
        returned,
        |bench| CardSgCpu::sell(bench, &call(), &with_prices()),
        (Some((1, 5000)), taken::YES),
        (Some((2, 700)), taken::NO),
    ),
    (
        "take back",
        opened,
        |bench| CardSgCpu::take_back(bench, &call(), &order(Some((1, 5000)))),
        OPENED,
        (Some((1, 0)), taken::NO),
    ),
    (
        "clear",
        returned,
        |bench| CardSgCpu::clear(bench, &call()),
        (Some((1, 5000)), taken::YES),
        BLANK,
    ),
];

#[test]
fn pulled_at_every_command_a_card_holds_the_old_or_the_new() {
    let (mut points, mut unknown) = (0, 0);
    for (name, make, act, old, new) in ACTS {
        let commands = {
            let mut bench = Bench::new(make());
            assert!(matches!(act(&mut bench), Ok(SellOutcome::Confirmed(_))), "{name}");
            assert_eq!(bought(&bench.card), new, "{name}");
            bench.sent
        };
        for at in 1..=commands {
            for kind in [CardFaultKind::PulledBefore, CardFaultKind::PulledAfter] {
                let mut bench = Bench::new(make());
                bench.card.fault(CardFault { at: at.into(), kind });
                let outcome = pull(&mut bench, act);
                let place = format!("{name}, {kind:?} at {at} of {commands}: {outcome:?}");
                let holds = bought(&bench.card);
                match outcome {
                    // Nothing was begun that changes a card, or the card said no.
                    Err(_) | Ok(SellOutcome::Refused(_)) => assert_eq!(holds, old, "{place}"),
                    Ok(SellOutcome::Confirmed(_)) => assert_eq!(holds, new, "{place}"),
                    Ok(SellOutcome::Unknown(_)) => {
                        assert!(holds == old || holds == new, "{place}: {holds:?}");
                        unknown += 1;
                    }
                }
                // No meter takes a new purchase from a card whose write-back is not empty.
                if holds == new && new != BLANK {
                    assert!(check(&bench.card).written_back.is_none(), "{place}");
                }
                // Where it is not done, it is done again: once.
                if holds == old {
                    let again = act(&mut bench);
                    assert!(matches!(again, Ok(SellOutcome::Confirmed(_))), "{place}: {again:?}");
                    assert_eq!(bought(&bench.card), new, "{place}");
                }
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

/// Once it is pulled a card answers nothing in this call.
fn pull(bench: &mut Bench, act: Act) -> Result<SellOutcome, DriverError> {
    bench.gone = Some(false);
    let outcome = act(bench);
    bench.gone = None;
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

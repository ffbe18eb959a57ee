//! Cards that hold what they like: no panic, and no try spent on a card whose MAC is not ours.

use crate::bench::{Bench, NUMBER, fresh};
use crate::{call, order};
use driver_card_sle4442_acme::CardSle4442Acme as Driver;
use meter_sim::card::{Card, Chip};
use polymeter_codec::x25;
use polymeter_driver::{CardDriver, SellOutcome};
use proptest::prelude::*;

/// A delivered card whose every byte behind the mark cell is another.
fn filled(memory: &[u8], summed: bool) -> Card {
    let card = fresh();
    card.alter(|chip| {
        let Chip::Sle4442(card) = chip else { panic!("not an SLE4442") };
        let place = card.memory_mut();
        place[0x20..].copy_from_slice(memory);
        if summed {
            for (slot, bytes) in [(0x20, 52), (0x54, 52), (0x88, 36), (0xAC, 36)] {
                // Purpose, code and type that there are, letters and decimals.
                if bytes == 52 {
                    place[slot + 2] %= 10;
                    place[slot + 3] %= 3;
                    place[slot + 32] %= 4;
                    place[slot + 4..slot + 12].fill(b'n');
                    place[slot + 12..slot + 24].fill(0x12);
                    // An area is letters, and a key change has two versions.
                    match place[slot + 2] {
                        7 => place[slot + 36..slot + 44].fill(b's'),
                        9 => place[slot + 36..slot + 40].fill(1),
                        _ => {}
                    }
                }
                let sum = x25(&place[slot..slot + bytes - 2]).to_be_bytes();
                place[slot + bytes - 2..slot + bytes].copy_from_slice(&sum);
            }
        }
    });
    card
}

proptest! {
    #[test]
    fn no_memory_makes_it_panic_or_present_a_code(
        memory in prop::collection::vec(any::<u8>(), 224), summed in any::<bool>(),
    ) {
        let card = filled(&memory, summed);
        let mut bench = Bench::new(card.clone());
        let seen = Driver::identify(&mut bench, &call());
        if summed {
            prop_assert_eq!(seen.unwrap().unwrap().serial, hex::encode_upper(NUMBER));
        }
        prop_assert!(Driver::check(&mut bench, &call()).is_err());
        for sold in [
            Driver::open(&mut bench, &call(), &order(Some((1, 5000)))),
            Driver::sell(&mut bench, &call(), &order(Some((1, 5000)))),
            Driver::take_back(&mut bench, &call(), &order(Some((1, 5000)))),
            Driver::clear(&mut bench, &call()),
        ] {
            prop_assert!(!matches!(sold, Ok(SellOutcome::Confirmed(_))), "{:?}", sold);
        }
        prop_assert_eq!((card.truth().presented, card.truth().wrong), (0, 0));
    }

    /// Whatever stands in the mark cell, it is somebody else's card or a damaged one.
    #[test]
    fn any_mark_cell_is_ours_or_not(cell in prop::collection::vec(any::<u8>(), 18), ours in any::<bool>()) {
        let card = fresh();
        card.alter(|chip| {
            let Chip::Sle4442(card) = chip else { panic!("not an SLE4442") };
            let from = if ours { 4 } else { 0 };
            card.memory_mut()[0x08 + from..0x1A].copy_from_slice(&cell[from..]);
        });
        let seen = Driver::identify(&mut Bench::new(card), &call());
        let expected = if ours { seen.is_err() } else { matches!(seen, Ok(None)) };
        prop_assert!(expected, "{:?}", seen);
    }
}

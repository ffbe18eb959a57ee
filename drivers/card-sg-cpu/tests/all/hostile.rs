//! Cards that answer what they like: no panic, no call without end, and nothing presented to a card
//! that has not proved itself.

use crate::bench::{Bench, SERIAL, blank};
use crate::{call, order};
use driver_card_sg_cpu::CardSgCpu;
use meter_sim::card::{Chip, PARAMETERS};
use polymeter_driver::codes::card;
use polymeter_driver::{
    CardDriver, Host, InsertedCard, Key, Level, LineError, SellOutcome, SlotError, VaultError,
};
use proptest::prelude::*;

/// Answers from a list, with a vault that says the same to everything.
struct Liar {
    answers: Vec<Vec<u8>>,
    asked: usize,
}

impl Host for Liar {
    fn send(&mut self, _: &[u8]) -> Result<(), LineError> {
        panic!("a card driver has no line")
    }
    fn receive(&mut self, _: u32) -> Result<Vec<u8>, LineError> {
        panic!("a card driver has no line")
    }
    fn drain(&mut self) -> Result<u32, LineError> {
        panic!("a card driver has no line")
    }
    fn mac(&mut self, _: &Key, _: u16, _: &[u8], _: &[u8]) -> Result<Vec<u8>, VaultError> {
        Ok(vec![0; 8])
    }
    fn encrypt(
        &mut self,
        _: &Key,
        _: u16,
        _: &[u8],
        _: &[u8],
        _: &[u8],
    ) -> Result<Vec<u8>, VaultError> {
        Ok(vec![0; 8])
    }
    fn decrypt(
        &mut self,
        _: &Key,
        _: u16,
        _: &[u8],
        _: &[u8],
        _: &[u8],
    ) -> Result<Vec<u8>, VaultError> {
        panic!("nothing is decrypted here")
    }
    fn random(&mut self, length: u32) -> Result<Vec<u8>, VaultError> {
        Ok(vec![7; usize::try_from(length).unwrap()])
    }
    fn log(&mut self, _: Level, _: &str) {}
    fn inserted(&mut self) -> Result<InsertedCard, SlotError> {
        let atr = [&[0x3B, 0x69, 0, 0, 0x86][..], &SERIAL].concat();
        Ok(InsertedCard { kind: card::CPU, atr, uid: Vec::new() })
    }
    fn transmit(&mut self, _: &[u8]) -> Result<Vec<u8>, SlotError> {
        self.asked += 1;
        let answers = self.answers.len();
        Ok(self.answers[self.asked % answers].clone())
    }
}

/// Noise, and what a card might say: more to fetch, another length, done, data of zeros.
fn answer() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..70),
        Just(vec![0x90, 0x00]),
        any::<u8>().prop_map(|more| vec![0x61, more]),
        any::<u8>().prop_map(|length| vec![0x6C, length]),
        (0..70_usize).prop_map(|length| [&vec![0; length][..], &[0x90, 0x00]].concat()),
    ]
}

proptest! {
    #[test]
    fn no_answer_makes_it_panic_or_go_on_for_ever(answers in prop::collection::vec(answer(), 1..12)) {
        let mut host = Liar { answers, asked: 0 };
        let _ = CardSgCpu::identify(&mut host, &call());
        let _ = CardSgCpu::check(&mut host, &call());
        let _ = CardSgCpu::open(&mut host, &call(), &order(Some((1, 5000))));
        let _ = CardSgCpu::sell(&mut host, &call(), &order(Some((2, 5000))));
        let _ = CardSgCpu::take_back(&mut host, &call(), &order(Some((2, 5000))));
        let _ = CardSgCpu::clear(&mut host, &call());
        prop_assert!(host.asked < 6 * 200, "{} commands", host.asked);
    }

    /// Whatever stands in the parameters of a genuine card: an identity, none, or an error, and no try
    /// spent.
    #[test]
    fn any_parameters_are_somebodys_or_an_error(
        mut file in prop::collection::vec(any::<u8>(), 45), framed in any::<bool>(), south in any::<bool>(),
    ) {
        if framed {
            file[..4].copy_from_slice(&[0x68, if south { 3 } else { 1 }, 0, 39]);
            file[43] = file[1..43].iter().fold(0, |sum, byte| sum.wrapping_add(*byte));
            file[44] = 0x16;
        }
        let mut bench = Bench::new(blank());
        bench.card.alter(|chip| {
            if let Chip::Cpu(card) = chip {
                *card.file_mut(PARAMETERS).unwrap() = file;
            }
        });
        let _ = CardSgCpu::identify(&mut bench, &call());
        let _ = CardSgCpu::check(&mut bench, &call());
        let sold = CardSgCpu::sell(&mut bench, &call(), &order(Some((1, 5000))));
        prop_assert!(!matches!(sold, Ok(SellOutcome::Confirmed(_))), "{sold:?}");
        prop_assert_eq!(bench.card.truth().wrong, 0);
    }
}

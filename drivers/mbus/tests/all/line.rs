//! A line with simulated meters, as EN 13757-2 says that they behave: whoever is selected answers at
//! FD, and what several send at once is heard as one, bit by bit.

use driver_mbus::Mbus;
use polymeter_driver::{
    Call, Host, Key, Level, LineError, LocalTime, MeterDriver, Value, VaultError, codes,
};
use std::collections::BTreeSet;

struct Meter {
    primary: u8,
    /// As on the wire: number, vendor, version, medium.
    identity: [u8; 8],
    volume: u32,
    selected: bool,
    fcb: Option<bool>,
    telegram: usize,
}

/// Two telegrams: a volume, and more; then an older volume.
impl Meter {
    fn new(primary: u8, number: u32, version: u8, medium: u8) -> Meter {
        let mut identity = [0, 0, 0, 0, 0x77, 0x04, version, medium];
        for (place, byte) in identity.iter_mut().take(4).enumerate() {
            let pair = number / 100_u32.pow(place as u32) % 100;
            *byte = (pair / 10 * 16 + pair % 10) as u8;
        }
        Meter { primary, identity, volume: number % 1000, selected: false, fcb: None, telegram: 0 }
    }

    fn matches(&self, pattern: &[u8]) -> bool {
        let nibble = |asked: u8, ours: u8| asked == 15 || asked == ours;
        let number = pattern[..4]
            .iter()
            .zip(&self.identity)
            .all(|(asked, ours)| nibble(asked >> 4, ours >> 4) && nibble(asked & 15, ours & 15));
        let rest = pattern[4..].iter().zip(&self.identity[4..]);
        number && rest.into_iter().all(|(asked, ours)| *asked == 0xFF || asked == ours)
    }

    fn hear(&mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        match *bytes {
            [0x10, 0x40, field, ..] if field == self.primary => {
                (self.fcb, self.telegram) = (None, 0);
                Some(vec![0xE5])
            }
            [0x10, control @ (0x5B | 0x7B), field, ..]
                if field == self.primary || (field == 0xFD && self.selected) =>
            {
                let fcb = control == 0x7B;
                if self.fcb.is_some_and(|last| last != fcb) {
                    self.telegram += 1;
                }
                self.fcb = Some(fcb);
                Some(self.data())
            }
            [0x68, 0x0B, 0x0B, 0x68, 0x53, 0xFD, 0x52, ref pattern @ .., _, _] => {
                self.selected = self.matches(pattern);
                (self.fcb, self.telegram) = (None, 0);
                self.selected.then(|| vec![0xE5])
            }
            _ => None,
        }
    }

    fn data(&self) -> Vec<u8> {
        let volume = self.volume.to_le_bytes();
        let records = match self.telegram {
            0 => [&[0x04, 0x13], &volume[..], &[0x1F]].concat(),
            _ => [&[0x44, 0x13], &volume[..]].concat(),
        };
        let head = [&[0x08, self.primary, 0x72], &self.identity[..], &[1, 0, 0, 0]].concat();
        let body = [head, records].concat();
        let length = body.len() as u8;
        let sum = body.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
        [vec![0x68, length, length, 0x68], body, vec![sum, 0x16]].concat()
    }
}

struct Line {
    meters: Vec<Meter>,
    heard: Vec<u8>,
    sent: usize,
}

impl Host for Line {
    fn send(&mut self, bytes: &[u8]) -> Result<(), LineError> {
        self.sent += 1;
        self.heard.clear();
        for answer in self.meters.iter_mut().filter_map(|meter| meter.hear(bytes)) {
            if self.heard.len() < answer.len() {
                self.heard.resize(answer.len(), 0xFF);
            }
            self.heard.iter_mut().zip(answer).for_each(|(wire, byte)| *wire &= byte);
        }
        Ok(())
    }
    fn receive(&mut self, _: u32) -> Result<Vec<u8>, LineError> {
        let silent = LineError { code: codes::line::SILENT, detail: String::new() };
        let heard = std::mem::take(&mut self.heard);
        if heard.is_empty() { Err(silent) } else { Ok(heard) }
    }
    fn drain(&mut self) -> Result<u32, LineError> {
        Ok(0)
    }
    fn mac(&mut self, _: &Key, _: u16, _: &[u8], _: &[u8]) -> Result<Vec<u8>, VaultError> {
        unreachable!("no key is asked for")
    }
    fn encrypt(
        &mut self,
        _: &Key,
        _: u16,
        _: &[u8],
        _: &[u8],
        _: &[u8],
    ) -> Result<Vec<u8>, VaultError> {
        unreachable!("no key is asked for")
    }
    fn decrypt(
        &mut self,
        _: &Key,
        _: u16,
        _: &[u8],
        _: &[u8],
        _: &[u8],
    ) -> Result<Vec<u8>, VaultError> {
        unreachable!("no key is asked for")
    }
    fn random(&mut self, _: u32) -> Result<Vec<u8>, VaultError> {
        unreachable!("no key is asked for")
    }
    fn log(&mut self, _: Level, _: &str) {}
}

fn call(address: &str) -> Call {
    let now = LocalTime { year: 2026, month: 3, day: 2, hour: 10, minute: 11, second: 12 };
    Call { address: address.to_owned(), parameters: vec![], now, nonce: (0..16).collect() }
}

/// Thirty-two meters of mixed numbers; four share one number and differ in medium or version.
fn line() -> Line {
    let mut meters: Vec<Meter> = (0..28_u32)
        .map(|nth| Meter::new(nth as u8 + 1, nth * 3_571_393 % 100_000_000, 1, 0x07))
        .collect();
    for (primary, version, medium) in [(29, 1, 0x07), (30, 2, 0x07), (31, 1, 0x16), (32, 1, 0x04)] {
        meters.push(Meter::new(primary, 87_654_321, version, medium));
    }
    Line { meters, heard: Vec::new(), sent: 0 }
}

fn search(way: &str) -> (BTreeSet<String>, usize, usize) {
    let mut line = line();
    let (mut found, mut stuck, mut position, mut done) = (BTreeSet::new(), 0, None, 0);
    loop {
        let before = line.sent;
        let step =
            Mbus::search(&mut line, &call(""), way, position.as_deref(), 20).expect("a step");
        assert!(line.sent - before <= 20, "questions are bounded");
        assert!(step.done > done && step.done <= step.total, "{} of {}", step.done, step.total);
        done = step.done;
        stuck += step.collisions.iter().filter(|collision| !collision.narrowed).count();
        for meter in step.found {
            assert!(found.insert(meter.address.clone()), "{} twice", meter.address);
        }
        position = step.next;
        if position.is_none() {
            return (found, stuck, line.sent);
        }
    }
}

#[test]
fn all_are_found_by_secondary_address_though_numbers_collide() {
    let (found, stuck, _) = search("secondary");
    assert_eq!((found.len(), stuck), (32, 0), "{found:?}");
    assert!(found.contains("8765432177040207") && found.contains("8765432177040116"));
}

#[test]
fn all_are_found_by_primary_address() {
    let (found, stuck, _) = search("primary");
    let expected: BTreeSet<String> = (1..=32).map(|primary: u8| primary.to_string()).collect();
    assert_eq!((found, stuck), (expected, 0));
}

#[test]
fn a_meter_is_read_over_all_its_telegrams() {
    for address in ["30", "8765432177040207"] {
        let read = Mbus::read(&mut line(), &call(address)).expect("a snapshot");
        let told: Vec<_> = read.measurements.iter().map(|told| told.register.as_str()).collect();
        assert_eq!(told, ["8.0.1.0.0.255", "8.0.1.0.0.1"], "{address}");
        let secondary = read.extras.iter().find(|(name, _)| name == "secondary address");
        assert_eq!(secondary.unwrap().1, text("8765432177040207"));
    }
    // Four meters have this number, and what they say at once is no telegram.
    let several = Mbus::read(&mut line(), &call("87654321")).expect_err("a collision");
    assert_eq!(several.code, codes::error::GARBLED);
    let nobody = Mbus::read(&mut line(), &call("99")).expect_err("nobody");
    assert_eq!(nobody.code, codes::error::NO_REPLY);
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

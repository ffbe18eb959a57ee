//! Who is on the line. The wildcard finds a meter that is alone in one question; where several answer
//! at once, shortened addresses tell them apart, two digits at a time from the low end, because the
//! standard allows wildcards above real digits and not below them (DL/T 645-2007, 5.2.2).
//!
//! Invariant: only reads are sent; where the walk stands is in the position and nowhere else.
//!
//! Not here: two meters of the same twelve digits, which no question can tell apart, and a meter that
//! drowns out another one completely.

use crate::exchange::{Answer, Exchange};
use crate::items;
use crate::read::own_address;
use crate::settings::{Settings, bad};
use polymeter_codec::dlt645::{Address, control};
use polymeter_driver::codes::{error, line};
use polymeter_driver::{Call, Collision, DriverError, Found, Host, Step, Way};

/// One question first; a walk only where several answer.
const WILDCARD: &str = "wildcard";
/// The walk at once, for lines where one meter may be much louder than the others.
const WALK: &str = "walk";

/// Values of one pair of digits.
const PAIRS: u8 = 100;
/// Pairs in a whole address.
const ADDRESS_PAIRS: usize = 6;
/// First byte of a position; another one is of another version of this driver.
const POSITION: u8 = 1;

pub fn ways() -> Vec<Way> {
    let way = |name: &str, title_en: &str, title_zh: &str| Way {
        name: name.to_owned(),
        title_en: title_en.to_owned(),
        title_zh: title_zh.to_owned(),
        arguments: Vec::new(),
    };
    vec![
        way(
            WILDCARD,
            "Wildcard, then digit by digit if several answer",
            "通配地址，多表应答时逐位搜索",
        ),
        way(WALK, "Digit by digit", "逐位搜索"),
    ]
}

/// Where the walk stands.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Walk {
    /// Pairs of digits, 0 to 99, the lowest one first: the shortened address to ask next. Empty: the
    /// wildcard.
    path: Vec<u8>,
    done: u32,
    total: u32,
}

/// What a question brought.
enum Heard {
    Nobody,
    One(Address),
    Several(String),
}

pub fn search(
    host: &mut dyn Host,
    call: &Call,
    way: &str,
    position: Option<&[u8]>,
    questions: u32,
) -> Result<Step, DriverError> {
    let mut walk = match (position, way) {
        (None, WILDCARD) => Walk { path: Vec::new(), done: 0, total: 1 },
        (None, WALK) => Walk { path: vec![0], done: 0, total: u32::from(PAIRS) },
        (Some(bytes), WILDCARD | WALK) => {
            Walk::read(bytes).ok_or_else(|| bad("the position is none of this driver's"))?
        }
        _ => return Err(bad(format!("there is no way `{way}`: {WILDCARD} or {WALK}"))),
    };
    let settings = Settings::asking(&Call { address: "AA".repeat(6), ..call.clone() })?;
    let mut exchange = Exchange { host, settings };
    let mut step = Step { found: vec![], collisions: vec![], done: 0, total: 0, next: None };
    let mut on = true;
    for _ in 0..questions {
        let asked = walk.address()?;
        exchange.settings.address = asked;
        let heard = ask(&mut exchange)?;
        on = walk.advance(matches!(heard, Heard::Several(_)));
        match heard {
            Heard::Nobody => {}
            Heard::One(address) => step.found.push(Found {
                address: address.to_string(),
                model: String::new(),
                extras: vec![],
            }),
            Heard::Several(detail) => step.collisions.push(Collision {
                asked: asked.to_string(),
                detail,
                narrowed: !asked.is_one_meter(),
            }),
        }
        if !on {
            break;
        }
    }
    step.done = walk.done;
    step.total = walk.total;
    step.next = on.then(|| walk.written());
    Ok(step)
}

fn ask(exchange: &mut Exchange<'_>) -> Result<Heard, DriverError> {
    let asked = exchange.settings.address;
    let answer = if asked == Address::WILDCARD {
        exchange.ask(control::READ_ADDRESS, &[])
    } else {
        exchange.ask_about(control::READ, items::ADDRESS, &[])
    };
    let one = match answer {
        Ok(Answer::Yes(frame, data)) => own_address(frame, &data).map_err(|error| error.detail),
        // Whoever has no such item has an address nevertheless, and by now it is known whole.
        Ok(Answer::No(_)) if asked.is_one_meter() => Ok(asked),
        Ok(Answer::No(_)) => Err("somebody says no".to_owned()),
        Err(silent) if silent.code == error::NO_REPLY => return Ok(Heard::Nobody),
        Err(noise) if matches!(noise.code, error::GARBLED | error::OTHER_DEVICE) => {
            Err(noise.detail)
        }
        Err(failed) => return Err(failed),
    };
    let address = match one {
        Ok(address) => address,
        Err(detail) => return Ok(Heard::Several(detail)),
    };
    // A slower meter may answer after the first one has ended.
    match exchange.host.receive(1) {
        Ok(_) => Ok(Heard::Several(format!("more came after the answer of {address}"))),
        Err(silent) if silent.code == line::SILENT => Ok(Heard::One(address)),
        Err(failed) => Err(failed.into()),
    }
}

impl Walk {
    fn address(&self) -> Result<Address, DriverError> {
        let mut bytes = [0xAA; ADDRESS_PAIRS];
        for (byte, pair) in bytes.iter_mut().zip(&self.path) {
            // Below 100, so both digits fit their four bits.
            *byte = pair.wrapping_div(10) << 4 | pair.wrapping_rem(10);
        }
        Address::from_wire(bytes).ok_or_else(|| bad("the position is none of this driver's"))
    }

    /// Goes to the next question, one pair deeper if the last one was answered by several. Whether
    /// there is one.
    fn advance(&mut self, several: bool) -> bool {
        self.done = self.done.saturating_add(1);
        if several && self.path.len() < ADDRESS_PAIRS {
            self.path.push(0);
            self.total = self.total.saturating_add(u32::from(PAIRS));
            return true;
        }
        while let Some(pair) = self.path.pop() {
            let next = pair.saturating_add(1);
            if next < PAIRS {
                self.path.push(next);
                return true;
            }
        }
        false
    }

    fn written(&self) -> Vec<u8> {
        let (done, total) = (self.done.to_le_bytes(), self.total.to_le_bytes());
        [&[POSITION], done.as_slice(), &total, &self.path].concat()
    }

    /// The host gives back what it was given; anything else is refused and asks nothing.
    fn read(bytes: &[u8]) -> Option<Walk> {
        let (&version, rest) = bytes.split_first()?;
        let (done, rest) = rest.split_first_chunk()?;
        let (total, path) = rest.split_first_chunk()?;
        let good = version == POSITION
            && (1..=ADDRESS_PAIRS).contains(&path.len())
            && path.iter().all(|pair| *pair < PAIRS);
        good.then(|| Walk {
            path: path.to_vec(),
            done: u32::from_le_bytes(*done),
            total: u32::from_le_bytes(*total),
        })
    }
}

#[cfg(test)]
#[expect(clippy::expect_used, reason = "a test may say so by failing")]
mod tests {
    use super::*;

    #[test]
    fn the_walk_counts_like_an_odometer() {
        let mut walk = Walk { path: vec![99], done: 99, total: 100 };
        assert_eq!(walk.address().expect("one").to_string(), "AAAAAAAAAA99");
        assert!(walk.advance(true));
        assert_eq!((walk.path.as_slice(), walk.done, walk.total), (&[99, 0][..], 100, 200));
        assert_eq!(walk.address().expect("one").to_string(), "AAAAAAAA0099");
        walk.path = vec![99, 99];
        assert!(!walk.advance(false), "the last of all");
        let mut whole = Walk { path: vec![7, 0, 0, 0, 0, 0], done: 0, total: 0 };
        assert!(whole.advance(true), "two of the same number cannot be told apart");
        assert_eq!(whole.path, [7, 0, 0, 0, 0, 1]);
    }

    #[test]
    fn a_position_is_read_back_and_no_other_is_taken() {
        let walk = Walk { path: vec![42, 7], done: 143, total: 300 };
        let written = walk.written();
        assert_eq!(Walk::read(&written), Some(walk));
        for length in 0..written.len() - 1 {
            assert_eq!(Walk::read(written.get(..length.min(9)).expect("shorter")), None);
        }
        for (at, byte) in [(0, 2), (9, 100), (10, 255)] {
            let mut other = written.clone();
            *other.get_mut(at).expect("there") = byte;
            assert_eq!(Walk::read(&other), None, "byte {at}");
        }
        assert_eq!(Walk::read(&[written.as_slice(), &[0; 5]].concat()), None, "seven pairs");
    }
}

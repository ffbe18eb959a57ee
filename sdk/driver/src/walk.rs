//! A search of a line for addresses of twelve or fourteen digits: the wildcard first, and where several answer at
//! once a walk over the last digits, two at a time. For protocols that allow wildcards `A` above real
//! digits, as both editions of DL/T 645 (2007: 5.2.2), DL/T 698.45
//! and CJ/T 188 do.
//!
//! Invariant: where the walk stands is in its position and nowhere else; a step asks no more questions
//! than it may. Not here: how one question is put and its answer heard; that is the driver's.

use crate::codes::error::BAD_PARAMETER;
use crate::{Collision, DriverError, Found, Step, Way};

/// One question first; a walk only where several answer.
const WILDCARD: &str = "wildcard";
/// The walk at once, for lines where one meter may be much louder than the others.
const WALK: &str = "walk";
/// Values of one pair of digits.
const PAIRS: u8 = 100;
/// Pairs in a whole address of DL/T 645 and DL/T 698.45.
pub const TWELVE_DIGITS: usize = 6;
/// Pairs in one of CJ/T 188.
pub const FOURTEEN_DIGITS: usize = 7;
/// First byte of a position; another one is of another version of this walk.
const POSITION: u8 = 1;

/// The two ways of searching, for [`crate::MeterDriver::ways`].
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

/// What one question brought.
#[derive(Debug, Clone, PartialEq)]
pub enum Heard {
    /// The line stayed silent.
    Nobody,
    /// One meter, by its whole address, and what else it told.
    One(Found),
    /// More than one, or noise, and what was heard.
    Several(String),
}

impl Heard {
    /// One meter that tells its address and nothing else.
    pub fn one(address: String) -> Heard {
        Heard::One(Found { address, model: String::new(), extras: vec![] })
    }
}

/// Where a walk stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Walk {
    /// Pairs of digits, 0 to 99, the last ones of the address first. Empty: all wildcards.
    path: Vec<u8>,
    /// Pairs in a whole address.
    pairs: usize,
    done: u32,
    total: u32,
}

impl Walk {
    /// A new walk by one of [`ways`], or the one that stopped at `position`, for addresses of so many
    /// pairs of digits. Error 6 for a way or a position that is none.
    pub fn new(way: &str, position: Option<&[u8]>, pairs: usize) -> Result<Walk, DriverError> {
        let bad = |detail: String| DriverError::new(BAD_PARAMETER, detail);
        match (position, way) {
            (None, WILDCARD) => Ok(Walk { path: Vec::new(), pairs, done: 0, total: 1 }),
            (None, WALK) => Ok(Walk { path: vec![0], pairs, done: 0, total: u32::from(PAIRS) }),
            (Some(bytes), WILDCARD | WALK) => Walk::read(bytes, pairs)
                .ok_or_else(|| bad("the position is none of this driver's".to_owned())),
            _ => Err(bad(format!("there is no way `{way}`: {WILDCARD} or {WALK}"))),
        }
    }

    /// At most `questions`, each by a whole address of which the unknown digits are `A`.
    pub fn step(
        mut self,
        questions: u32,
        mut ask: impl FnMut(&str) -> Result<Heard, DriverError>,
    ) -> Result<Step, DriverError> {
        let mut step = Step { found: vec![], collisions: vec![], done: 0, total: 0, next: None };
        let mut on = true;
        for _ in 0..questions {
            let asked = self.digits();
            let narrowed = self.path.len() < self.pairs;
            let heard = ask(&asked)?;
            on = self.advance(matches!(heard, Heard::Several(_)));
            match heard {
                Heard::Nobody => {}
                Heard::One(found) => step.found.push(found),
                Heard::Several(detail) => {
                    step.collisions.push(Collision { asked, detail, narrowed });
                }
            }
            if !on {
                break;
            }
        }
        step.done = self.done;
        step.total = self.total;
        step.next = on.then(|| self.written());
        Ok(step)
    }

    fn digits(&self) -> String {
        let known: String = self.path.iter().rev().map(|pair| format!("{pair:02}")).collect();
        format!("{known:A>width$}", width = self.pairs.saturating_mul(2))
    }

    /// Goes to the next question, one pair deeper if the last one was answered by several. Whether
    /// there is one.
    fn advance(&mut self, several: bool) -> bool {
        self.done = self.done.saturating_add(1);
        if several && self.path.len() < self.pairs {
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
    fn read(bytes: &[u8], pairs: usize) -> Option<Walk> {
        let (&version, rest) = bytes.split_first()?;
        let (done, rest) = rest.split_first_chunk()?;
        let (total, path) = rest.split_first_chunk()?;
        let good = version == POSITION
            && (1..=pairs).contains(&path.len())
            && path.iter().all(|pair| *pair < PAIRS);
        good.then(|| Walk {
            path: path.to_vec(),
            pairs,
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
        let mut walk = Walk { path: vec![99], pairs: 6, done: 99, total: 100 };
        assert_eq!(walk.digits(), "AAAAAAAAAA99");
        assert!(walk.advance(true));
        assert_eq!((walk.path.as_slice(), walk.done, walk.total), (&[99, 0][..], 100, 200));
        assert_eq!(walk.digits(), "AAAAAAAA0099");
        walk.path = vec![99, 99];
        assert!(!walk.advance(false), "the last of all");
        let mut whole = Walk { path: vec![7, 0, 0, 0, 0, 0], pairs: 6, done: 0, total: 0 };
        assert!(whole.advance(true), "two of the same number cannot be told apart");
        assert_eq!(whole.path, [7, 0, 0, 0, 0, 1]);
    }

    #[test]
    fn a_position_is_read_back_and_no_other_is_taken() {
        let walk = Walk { path: vec![42, 7], pairs: 6, done: 143, total: 300 };
        let written = walk.written();
        assert_eq!(Walk::read(&written, 6), Some(walk));
        for length in 0..written.len() - 1 {
            assert_eq!(Walk::read(written.get(..length.min(9)).expect("shorter"), 6), None);
        }
        for (at, byte) in [(0, 2), (9, 100), (10, 255)] {
            let mut other = written.clone();
            *other.get_mut(at).expect("there") = byte;
            assert_eq!(Walk::read(&other, 6), None, "byte {at}");
        }
        let seven = [written.as_slice(), &[0; 5]].concat();
        assert_eq!(Walk::read(&seven, 6), None, "seven pairs");
        let seven = Walk::read(&seven, 7).expect("an address of CJ/T 188");
        assert_eq!(seven.digits(), "00000000000742");
    }
}

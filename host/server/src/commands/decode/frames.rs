//! The frames in captured bytes, each explained by the driver that knows it best.
//!
//! Invariant: what a frame is, drivers say; here their words are compared, by where the frame stands
//! and by how many bits of it were checked (docs/contract.md, decode). Every turn gets on by at least
//! one byte. Not here: where the bytes come from, how it is printed.

use polymeter_domain::Value;
use polymeter_runtime::{Driver, Explanation};
use std::sync::Arc;

/// So much of a capture is shown to a driver at once, which is more than two of the longest frames.
const WINDOW_BYTES: usize = 4096;
/// So many checked bits are no chance, whoever else is asked.
const SURE_BITS: i64 = 20;
/// So many more than the next best reading of the same bytes decide between the two.
const AHEAD_BITS: i64 = 8;

/// One driver's reading of some bytes.
#[derive(Debug, Clone)]
pub struct Known {
    pub driver: String,
    pub protocol: Option<String>,
    pub checks: Option<String>,
    pub bits: i64,
    /// From the first byte to behind the last one, in the capture.
    pub start: usize,
    pub end: usize,
    /// Without what stands in the fields above.
    pub explanation: Explanation,
}

impl Known {
    fn overlaps(&self, other: &Known) -> bool {
        self.start < other.end && other.start < self.end
    }

    fn agrees(&self, other: &Known) -> bool {
        self.protocol.is_some()
            && (&self.protocol, self.start, self.end) == (&other.protocol, other.start, other.end)
    }

    /// "DL/T 645-2007 by dlt645-2007".
    pub fn title(&self) -> String {
        match &self.protocol {
            Some(protocol) => format!("{protocol} by {}", self.driver),
            None => self.driver.clone(),
        }
    }
}

/// The next thing in a capture.
#[derive(Debug)]
pub enum Part {
    Frame(Found),
    /// Bytes that no driver takes for a frame, and what each said.
    Unknown {
        start: usize,
        end: usize,
        why: String,
    },
}

/// A frame, and who else would take its bytes for one.
#[derive(Debug)]
pub struct Found {
    pub known: Known,
    pub rivals: Vec<Known>,
}

impl Found {
    /// Of the protocol. Several drivers may serve one, which makes it no less sure.
    pub fn is_sure(&self) -> bool {
        let ahead = |rival: &Known| self.known.bits - rival.bits >= AHEAD_BITS;
        self.known.bits >= SURE_BITS && self.others().all(ahead)
    }

    /// Drivers that read the same protocol in these bytes.
    pub fn also(&self) -> Vec<&str> {
        let same = self.rivals.iter().filter(|rival| self.known.agrees(rival));
        same.map(|rival| rival.driver.as_str()).collect()
    }

    fn others(&self) -> impl Iterator<Item = &Known> {
        self.rivals.iter().filter(|rival| !self.known.agrees(rival))
    }

    pub fn why(&self, asked: usize) -> String {
        let mut why = self
            .known
            .checks
            .clone()
            .unwrap_or_else(|| format!("{} says so, and not by what", self.known.driver));
        if self.others().next().is_none() && asked > 1 {
            why += "; no driver takes these bytes for a frame of another protocol";
        }
        for rival in self.others() {
            why += &format!(
                "; {} would take bytes {} to {} for a frame, by {} bits against {}",
                rival.title(),
                rival.start,
                rival.end,
                rival.bits,
                self.known.bits
            );
        }
        why
    }
}

/// A walk through one capture.
#[derive(Debug)]
pub struct Walk<'a> {
    drivers: &'a [Arc<Driver>],
    capture: &'a [u8],
    at: usize,
    known: Vec<Known>,
}

impl<'a> Walk<'a> {
    pub fn new(drivers: &'a [Arc<Driver>], capture: &'a [u8]) -> Walk<'a> {
        Walk { drivers, capture, at: 0, known: Vec::new() }
    }

    /// `None` at the end. A driver that breaks knows no frame, and what broke is what it says.
    pub async fn next(&mut self) -> Option<Part> {
        let from = self.at;
        let mut whys = Vec::new();
        while self.at < self.capture.len() {
            let end = self.capture.len().min(self.at + WINDOW_BYTES);
            whys = self.ask(end).await;
            let Some(best) = best(&self.known) else {
                // A frame may lie across the window's end.
                self.at = if end == self.capture.len() { end } else { self.at + WINDOW_BYTES / 2 };
                continue;
            };
            if best.start > from {
                self.at = best.start;
                let why = "before the next frame".to_owned();
                return Some(Part::Unknown { start: from, end: best.start, why });
            }
            let rivals = self.known.iter().filter(|rival| rival.driver != best.driver);
            let rivals = rivals.filter(|rival| rival.overlaps(&best)).cloned().collect();
            self.at = best.end;
            return Some(Part::Frame(Found { known: best, rivals }));
        }
        let unknown = || Part::Unknown { start: from, end: self.at, why: whys.join("; ") };
        (from < self.at).then(unknown)
    }

    /// Every driver anew: bytes that wake a meter up belong to its frame only where they come first.
    /// What those say that know no frame.
    async fn ask(&mut self, end: usize) -> Vec<String> {
        let at = self.at;
        self.known.clear();
        let mut whys = Vec::new();
        for driver in self.drivers {
            let window = self.capture.get(at..end).unwrap_or_default();
            match driver.decode(window).await {
                Ok(explanation) => {
                    self.known.push(known(driver.name(), explanation, at, window.len()));
                }
                Err(error) => whys.push(error.to_string()),
            }
        }
        whys
    }
}

/// The reading of most bits, but first another frame that ends before it and is no chance either.
fn best(known: &[Known]) -> Option<Known> {
    let mut best = strongest(known.iter())?;
    loop {
        let earlier = known.iter().filter(|other| other.end <= best.start);
        match strongest(earlier.filter(|other| other.bits >= SURE_BITS)) {
            Some(earlier) => best = earlier,
            None => return Some(best.clone()),
        }
    }
}

/// Of two alike the first one.
fn strongest<'a>(known: impl Iterator<Item = &'a Known>) -> Option<&'a Known> {
    known.reduce(|best, other| if other.bits > best.bits { other } else { best })
}

/// What a driver said of the bytes from `at` on. One that says nothing of where its frame stands has
/// taken all of them.
fn known(driver: &str, mut explanation: Explanation, at: usize, length: usize) -> Known {
    let mut take = |name: &str| {
        let place = explanation.extras.iter().position(|(known, _)| known == name)?;
        Some(explanation.extras.remove(place).1)
    };
    let text = |value| match value {
        Some(Value::Text(text)) => Some(text),
        _ => None,
    };
    let count = |value| match value {
        Some(Value::Number(number)) if number.scale == 0 => number.mantissa,
        _ => 0,
    };
    let (protocol, checks) = (text(take("protocol")), text(take("checks")));
    let bits = count(take("check-bits"));
    let within = |count: i64, most: usize| usize::try_from(count).unwrap_or(0).min(most);
    // At least one byte is the frame's, whatever a driver says.
    let before = within(count(take("bytes-before")), length.saturating_sub(1));
    let after = within(count(take("bytes-after")), length - before - 1);
    let (start, end) = (at + before, at + length - after);
    let driver = driver.to_owned();
    Known { driver, protocol, checks, bits, start, end, explanation }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(driver: &str, start: usize, end: usize, bits: i64) -> Known {
        let explanation =
            Explanation { address: String::new(), measurements: vec![], extras: vec![] };
        let driver = driver.to_owned();
        Known { driver, protocol: None, checks: None, bits, start, end, explanation }
    }

    #[track_caller]
    fn check(known: &[Known], expected: Option<&str>) {
        assert_eq!(best(known).map(|best| best.driver).as_deref(), expected);
    }

    #[test]
    fn the_reading_with_most_checks_wins_and_earlier_frames_come_first() {
        check(&[], None);
        check(&[read("a", 0, 12, 34), read("b", 0, 12, 50)], Some("b"));
        check(&[read("a", 0, 12, 34), read("b", 0, 12, 34)], Some("a"));
        check(&[read("a", 0, 8, 22), read("b", 8, 20, 50)], Some("a"));
        check(&[read("a", 4, 9, 22), read("b", 8, 20, 50)], Some("b"));
        // One byte that may be anything does not come before a frame.
        check(&[read("a", 0, 1, 8), read("b", 8, 20, 50)], Some("b"));
        check(&[read("a", 30, 40, 50), read("b", 20, 30, 40), read("c", 0, 9, 24)], Some("c"));
    }

    #[test]
    fn a_reading_is_sure_by_its_bits_and_by_those_of_the_others() {
        let found = |bits, rivals: &[i64]| Found {
            known: read("a", 0, 9, bits),
            rivals: rivals.iter().map(|bits| read("b", 0, 9, *bits)).collect(),
        };
        assert!(found(22, &[]).is_sure());
        assert!(!found(8, &[]).is_sure());
        assert!(found(50, &[34]).is_sure());
        assert!(!found(34, &[34]).is_sure());
        assert!(!found(34, &[0, 30]).is_sure());
        let mut same = found(34, &[34]);
        for read in same.rivals.iter_mut().chain([&mut same.known]) {
            read.protocol = Some("modbus-rtu".to_owned());
        }
        assert!(same.is_sure());
        assert_eq!(same.also(), ["b"]);
    }

    #[test]
    fn what_a_driver_says_of_the_place_is_kept_within_the_bytes() {
        let number = |mantissa| Value::Number(polymeter_domain::Decimal { mantissa, scale: 0 });
        let said = |before, after| {
            let extras = [("bytes-before", before), ("bytes-after", after)];
            let extras = extras.map(|(name, count)| (name.to_owned(), number(count))).to_vec();
            let explanation = Explanation { address: String::new(), measurements: vec![], extras };
            let known = known("a", explanation, 100, 10);
            (known.start, known.end)
        };
        assert_eq!(said(0, 0), (100, 110));
        assert_eq!(said(2, 3), (102, 107));
        assert_eq!(said(i64::MAX, i64::MAX), (109, 110));
        assert_eq!(said(-1, -5), (100, 110));
    }
}

//! What happens to one answer on its way, and the list of all that is tried.
//!
//! Invariant: a damaged answer is either no answer any more or still the true one; the kit never makes
//! up a whole answer that the device did not give. That is why a driver which claims a success from it
//! can be called wrong.

use crate::chance::Chance;
use std::fmt;

/// What is done to an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Damage {
    Lost,
    /// Comes after its time is over.
    Late,
    Doubled,
    /// So many bytes come.
    Cut(usize),
    /// This bit is turned.
    Flipped(usize),
    /// Another device's answer to the same question comes instead.
    Other,
    /// These bytes come before it.
    Noise(Vec<u8>),
    /// The line breaks.
    HangUp,
}

/// One damage, at one exchange of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// From 0.
    pub exchange: usize,
    pub damage: Damage,
    /// False: the question is lost too, so the device does nothing; what comes instead is made from
    /// the answer of a twin that did hear it. The driver cannot tell the two apart.
    pub heard: bool,
    /// Nothing gets through any more afterwards, either way.
    pub then_dead: bool,
}

/// Bits turned in one answer, spread over its length.
const FLIPS: usize = 8;

/// Everything that is tried on an answer of `length` bytes.
pub fn faults(exchange: usize, length: usize, chance: &mut Chance) -> Vec<Fault> {
    let fault = |damage: Damage, heard: bool| Fault { exchange, damage, heard, then_dead: false };
    let mut faults = Vec::new();
    for heard in [true, false] {
        faults.push(fault(Damage::Lost, heard));
        faults.push(Fault { then_dead: true, ..fault(Damage::Lost, heard) });
        faults.push(fault(Damage::HangUp, heard));
        faults.push(fault(Damage::Other, heard));
    }
    faults.push(fault(Damage::Late, true));
    faults.push(fault(Damage::Doubled, true));
    for cut in [1, length / 4, length / 2, length.saturating_sub(2), length.saturating_sub(1)] {
        let new = cut > 0 && cut < length;
        if new && !faults.iter().any(|known| known.damage == Damage::Cut(cut)) {
            faults.push(fault(Damage::Cut(cut), true));
            // A longer beginning may be as good as whole, where only its end marks are missing.
            if cut <= length / 2 {
                faults.push(fault(Damage::Cut(cut), false));
            }
        }
    }
    for part in 0..FLIPS.min(length) {
        let (from, to) =
            (part * length / FLIPS.min(length), (part + 1) * length / FLIPS.min(length));
        let byte = from + chance.index(to - from);
        faults.push(fault(Damage::Flipped(byte * 8 + chance.index(8)), true));
    }
    for longest in [1, 8] {
        let noise = 1 + chance.index(longest);
        faults.push(fault(Damage::Noise(chance.bytes(noise)), true));
    }
    faults
}

impl Fault {
    /// What reaches the driver instead of `answer`. `None` for the fault whose answer is not made
    /// from the device's own.
    pub fn spoil(&self, answer: &[u8]) -> Option<Vec<u8>> {
        Some(match &self.damage {
            Damage::Lost | Damage::HangUp => Vec::new(),
            Damage::Late => answer.to_vec(),
            Damage::Doubled => answer.repeat(2),
            Damage::Cut(length) => answer.iter().take(*length).copied().collect(),
            Damage::Flipped(bit) => {
                let mut spoiled = answer.to_vec();
                if let Some(byte) = spoiled.get_mut(bit / 8) {
                    *byte ^= 1 << (bit % 8);
                }
                spoiled
            }
            Damage::Noise(noise) => [noise, answer].concat(),
            Damage::Other => return None,
        })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "answer {}: ", self.exchange + 1)?;
        match &self.damage {
            Damage::Lost => write!(f, "lost")?,
            Damage::Late => write!(f, "late")?,
            Damage::Doubled => write!(f, "doubled")?,
            Damage::Cut(length) => write!(f, "cut to {length} bytes")?,
            Damage::Flipped(bit) => write!(f, "bit {} of byte {} turned", bit % 8, bit / 8)?,
            Damage::Other => write!(f, "another device's")?,
            Damage::Noise(noise) => write!(f, "after noise {}", hex::encode(noise))?,
            Damage::HangUp => write!(f, "the line breaks")?,
        }
        if !self.heard {
            write!(f, ", the device heard nothing")?;
        }
        if self.then_dead {
            write!(f, ", and the line stays dead")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_fault_has_a_name_of_its_own() {
        for length in [1, 2, 3, 8, 30, 300] {
            let faults = faults(1, length, &mut Chance::new(length as u64, "faults"));
            let names: BTreeSet<String> = faults.iter().map(ToString::to_string).collect();
            assert_eq!(names.len(), faults.len(), "{length}");
            for fault in &faults {
                let answer = vec![0x55; length];
                let spoiled = fault.spoil(&answer);
                let untouched = matches!(fault.damage, Damage::Late);
                assert_eq!(spoiled.as_deref() == Some(&answer[..]), untouched, "{fault}");
            }
        }
    }
}

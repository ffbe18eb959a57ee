//! What was done and found, counted; and the lines in which it is told.

use crate::books::{Broken, Wrong};
use crate::schedule::Kill;
use std::fmt;
use std::time::Duration;

/// Of one site, or of all together.
#[derive(Debug, Default)]
pub struct Tally {
    pub at_points: u64,
    pub in_frames: u64,
    pub at_times: u64,
    pub confirmed: u64,
    pub refused: u64,
    /// Swaps and closings.
    pub acts: u64,
    pub lost: u64,
    pub doubled: u64,
    pub unbalanced: u64,
    pub forgotten: u64,
    /// Sales whose device could prove nothing in the end.
    pub left_for_a_person: u64,
    /// Sales that the program did not settle by itself and did when it was asked.
    pub asked_again: u64,
    /// From the start of the program until every sale was settled.
    recoveries: Vec<Duration>,
    /// With the way to play it again.
    pub failures: Vec<String>,
}

impl Tally {
    pub fn killed(&mut self, how: &Kill) {
        match how {
            Kill::At { .. } => self.at_points += 1,
            Kill::InRequest { .. } | Kill::InReply { .. } => self.in_frames += 1,
            Kill::After { .. } => self.at_times += 1,
        }
    }

    pub fn sold(&mut self, is_confirmed: bool) {
        if is_confirmed {
            self.confirmed += 1;
        } else {
            self.refused += 1;
        }
    }

    pub fn recovered(&mut self, took: Duration) {
        self.recoveries.push(took);
    }

    pub fn failed(&mut self, error: &anyhow::Error, how_again: String) {
        if let Some(broken) = error.downcast_ref::<Broken>() {
            match broken.wrong {
                Wrong::Lost => self.lost += 1,
                Wrong::Doubled => self.doubled += 1,
                Wrong::Unbalanced => self.unbalanced += 1,
                Wrong::Forgotten => self.forgotten += 1,
            }
        }
        self.failures.push(how_again);
    }

    pub fn kills(&self) -> u64 {
        self.at_points + self.in_frames + self.at_times
    }

    pub fn sales(&self) -> u64 {
        self.confirmed + self.refused
    }

    pub fn is_clean(&self) -> bool {
        let money = self.lost + self.doubled + self.unbalanced + self.forgotten;
        money + self.left_for_a_person == 0 && self.failures.is_empty()
    }

    pub fn add(&mut self, other: Tally) {
        self.at_points += other.at_points;
        self.in_frames += other.in_frames;
        self.at_times += other.at_times;
        self.confirmed += other.confirmed;
        self.refused += other.refused;
        self.acts += other.acts;
        self.lost += other.lost;
        self.doubled += other.doubled;
        self.unbalanced += other.unbalanced;
        self.forgotten += other.forgotten;
        self.left_for_a_person += other.left_for_a_person;
        self.asked_again += other.asked_again;
        self.recoveries.extend(other.recoveries);
        self.failures.extend(other.failures);
    }

    /// The recovery that this share of all was not slower than.
    fn recovery_ms(&self, per_thousand: usize) -> u128 {
        let mut sorted = self.recoveries.clone();
        sorted.sort();
        let at = (sorted.len() * per_thousand / 1000).min(sorted.len().saturating_sub(1));
        sorted.get(at).map_or(0, Duration::as_millis)
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "kills      {}: {} at named points, {} at a byte of a frame, {} at any time",
            self.kills(),
            self.at_points,
            self.in_frames,
            self.at_times
        )?;
        writeln!(
            f,
            "sales      {}: {} confirmed, {} refused; {} swaps and closings",
            self.sales(),
            self.confirmed,
            self.refused,
            self.acts
        )?;
        writeln!(
            f,
            "money      lost {}, doubled {}, unbalanced {}, answered and forgotten {}",
            self.lost, self.doubled, self.unbalanced, self.forgotten
        )?;
        writeln!(
            f,
            "open       left for a person {}, settled when asked {}",
            self.left_for_a_person, self.asked_again
        )?;
        write!(
            f,
            "recovery   p50 {} ms, p99 {} ms, most {} ms, from start to all settled",
            self.recovery_ms(500),
            self.recovery_ms(990),
            self.recovery_ms(1000)
        )
    }
}

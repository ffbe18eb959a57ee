//! How fast passwords may be guessed for one name. Pure: time is an argument.
//!
//! A try counts before its password is looked at, so that guesses sent at once are not all free; the
//! right password takes the count back. A try that is turned away counts for nothing, so that an
//! owner who waits as told gets in. Names are kept as hashes: fixed size, and no name in memory dumps.

use crate::clock::UnixMs;
use crate::limits::{FREE_GUESSES, MAX_LOGIN_WAIT_MS, MAX_WATCHED_NAMES};
use sha2::{Digest, Sha256};
use std::collections::HashMap;

type Key = [u8; 32];

#[derive(Debug, Clone, Copy)]
struct Guesses {
    wrong: u32,
    last: UnixMs,
}

#[derive(Debug, Default)]
pub(crate) struct Throttle(HashMap<Key, Guesses>);

impl Throttle {
    /// Counts a try, or says in how many milliseconds the next one is due.
    pub(crate) fn admit(&mut self, name: &str, at: UnixMs) -> Result<(), i64> {
        let key: Key = Sha256::digest(name.as_bytes()).into();
        if !self.0.contains_key(&key) {
            self.make_room();
        }
        let guesses = self.0.entry(key).or_insert(Guesses { wrong: 0, last: at });
        // A clock that was set back must not make the wait longer than it is.
        guesses.last = guesses.last.min(at);
        let wait_ms = wait_ms(guesses.wrong) - (at.0 - guesses.last.0);
        if wait_ms > 0 {
            return Err(wait_ms);
        }
        *guesses = Guesses { wrong: guesses.wrong.saturating_add(1), last: at };
        Ok(())
    }

    pub(crate) fn forgive(&mut self, name: &str) {
        let key: Key = Sha256::digest(name.as_bytes()).into();
        self.0.remove(&key);
    }

    fn make_room(&mut self) {
        if self.0.len() < MAX_WATCHED_NAMES {
            return;
        }
        let oldest = self.0.iter().min_by_key(|(_, guesses)| guesses.last).map(|(key, _)| *key);
        if let Some(oldest) = oldest {
            self.0.remove(&oldest);
        }
    }
}

fn wait_ms(wrong: u32) -> i64 {
    match wrong.checked_sub(FREE_GUESSES) {
        None => 0,
        Some(over) => (1000_i64 << over.min(16)).min(MAX_LOGIN_WAIT_MS),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_and_end() {
        let mut throttle = Throttle::default();
        // (at, what the try is told): five free ones, then the door opens later and later.
        for (at, told) in [
            (0, Ok(())),
            (0, Ok(())),
            (0, Ok(())),
            (0, Ok(())),
            (0, Ok(())),
            (0, Err(1000)),
            (999, Err(1)),
            (1000, Ok(())),
            (1000, Err(2000)),
            (3000, Ok(())),
            (7000, Ok(())),
            (15_000, Ok(())),
            (31_000, Ok(())),
            (63_000, Ok(())),
            (63_000, Err(60_000)),
            (123_000, Ok(())),
            (123_001, Err(59_999)),
            // The clock is set back: at most the full wait from now.
            (5, Err(60_000)),
            (60_005, Ok(())),
        ] {
            assert_eq!(throttle.admit("counter", UnixMs(at)), told, "{at}");
        }
        assert_eq!(throttle.admit("other", UnixMs(60_005)), Ok(()));
        throttle.forgive("counter");
        assert_eq!(throttle.admit("counter", UnixMs(60_006)), Ok(()));
    }

    #[test]
    fn memory_is_bounded() {
        let mut throttle = Throttle::default();
        for (name, at) in (0..20_000).zip(0..) {
            assert_eq!(throttle.admit(&format!("name {name}"), UnixMs(at)), Ok(()));
        }
        assert_eq!(throttle.0.len(), MAX_WATCHED_NAMES);
    }
}

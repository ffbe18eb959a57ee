//! What a driver writes: how much of it passes, and the last of it, kept for people.
//!
//! Invariant: bounded in lines and bytes, however many calls write at the same time; what is kept
//! is already cut and escaped (text). Not here: the log that the process writes (host_calls).

use crate::limits::{COMPLAINT_INTERVAL, Knob, LOG_RING_BYTES, LOG_RING_LINES, Limits};
use polymeter_transcript::Level;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

/// One line that a driver wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    pub at: SystemTime,
    pub level: Level,
    /// Control characters are escaped.
    pub text: String,
}

/// One driver's lines.
#[derive(Debug)]
pub(crate) struct Journal {
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    lines: Bucket,
    bytes: Bucket,
    ring: VecDeque<LogLine>,
    ring_bytes: usize,
    complained: Option<Instant>,
    /// Dropped since the last complaint.
    dropped: u64,
}

/// Fills evenly, holds one second's worth.
#[derive(Debug)]
struct Bucket {
    per_second: u64,
    /// In thousandths, so that a millisecond's share is a whole number.
    level: u64,
    filled: Instant,
}

impl Bucket {
    fn new(per_second: u64, now: Instant) -> Self {
        Self { per_second, level: per_second.saturating_mul(1_000), filled: now }
    }

    fn fill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.filled);
        let passed_ms = u64::try_from(passed.as_millis()).unwrap_or(u64::MAX);
        let most = self.per_second.saturating_mul(1_000);
        self.level = self.level.saturating_add(passed_ms.saturating_mul(self.per_second)).min(most);
        // Only whole milliseconds were paid out.
        self.filled += Duration::from_millis(passed_ms);
    }

    fn has(&self, amount: u64) -> bool {
        self.level >= amount.saturating_mul(1_000)
    }

    fn take(&mut self, amount: u64) {
        self.level = self.level.saturating_sub(amount.saturating_mul(1_000));
    }
}

impl Journal {
    pub(crate) fn new(limits: &Limits, now: Instant) -> Self {
        let inner = Inner {
            lines: Bucket::new(limits.get(Knob::LogLinesPerSecond), now),
            bytes: Bucket::new(limits.get(Knob::LogBytesPerSecond), now),
            ring: VecDeque::new(),
            ring_bytes: 0,
            complained: None,
            dropped: 0,
        };
        Self { inner: Mutex::new(inner) }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps the line; otherwise says which limit is spent.
    pub(crate) fn write(&self, now: Instant, level: Level, text: &str) -> Result<(), Knob> {
        let mut inner = self.inner();
        inner.lines.fill(now);
        inner.bytes.fill(now);
        let bytes = u64::try_from(text.len()).unwrap_or(u64::MAX);
        if !inner.lines.has(1) {
            return Err(Knob::LogLinesPerSecond);
        }
        if !inner.bytes.has(bytes) {
            return Err(Knob::LogBytesPerSecond);
        }
        inner.lines.take(1);
        inner.bytes.take(bytes);
        inner.keep(LogLine { at: SystemTime::now(), level, text: text.to_owned() });
        Ok(())
    }

    /// Counts what was dropped; at times the sum of it, to be told.
    pub(crate) fn dropped(&self, now: Instant, lines: u32) -> Option<u64> {
        let mut inner = self.inner();
        inner.dropped += u64::from(lines);
        let is_soon = |last| now.saturating_duration_since(last) < COMPLAINT_INTERVAL;
        if inner.complained.is_some_and(is_soon) {
            return None;
        }
        inner.complained = Some(now);
        Some(std::mem::take(&mut inner.dropped))
    }

    /// Oldest first.
    pub(crate) fn lines(&self) -> Vec<LogLine> {
        self.inner().ring.iter().cloned().collect()
    }
}

impl Inner {
    fn keep(&mut self, line: LogLine) {
        self.ring_bytes += line.text.len();
        self.ring.push_back(line);
        while self.ring.len() > LOG_RING_LINES || self.ring_bytes > LOG_RING_BYTES {
            let Some(oldest) = self.ring.pop_front() else { break };
            self.ring_bytes -= oldest.text.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn journal(lines: u32, bytes: usize, now: Instant) -> Journal {
        let limits = Limits {
            log_lines_per_second: lines,
            log_bytes_per_second: bytes,
            ..Limits::default()
        };
        Journal::new(&limits, now)
    }

    #[test]
    fn lines_and_bytes_pass_at_their_rate() {
        let now = Instant::now();
        let journal = journal(10, 100, now);
        let write = |after: Duration, text: &str| journal.write(now + after, Level::Info, text);
        for _ in 0..10 {
            assert_eq!(write(Duration::ZERO, "x"), Ok(()));
        }
        assert_eq!(write(Duration::ZERO, "x"), Err(Knob::LogLinesPerSecond));
        assert_eq!(write(99 * MS, "x"), Err(Knob::LogLinesPerSecond));
        assert_eq!(write(100 * MS, "x"), Ok(()), "a tenth of a second is one line");
        let long = "x".repeat(101);
        assert_eq!(write(2_000 * MS, &long), Err(Knob::LogBytesPerSecond));
        let long = "x".repeat(100);
        assert_eq!(write(2_000 * MS, &long), Ok(()));
        assert_eq!(write(2_001 * MS, "x"), Err(Knob::LogBytesPerSecond));
        assert_eq!(write(2_010 * MS, "x"), Ok(()));
        assert_eq!(journal.lines().len(), 13);
    }

    #[test]
    fn a_rate_of_nothing_lets_nothing_pass() {
        let now = Instant::now();
        let journal = journal(0, 100, now);
        let later = now + Duration::from_secs(100);
        assert_eq!(journal.write(later, Level::Info, "x"), Err(Knob::LogLinesPerSecond));
    }

    #[test]
    fn the_last_lines_are_kept() {
        let now = Instant::now();
        let journal = journal(1_000_000, 64 << 20, now);
        for number in 0..LOG_RING_LINES + 3 {
            journal.write(now, Level::Info, &format!("line {number}")).expect("room");
        }
        let lines = journal.lines();
        assert_eq!(lines.len(), LOG_RING_LINES);
        assert_eq!(lines.first().map(|line| line.text.as_str()), Some("line 3"));
        let long = "x".repeat(LOG_RING_BYTES / 2);
        for _ in 0..3 {
            journal.write(now, Level::Warn, &long).expect("room");
        }
        assert_eq!(journal.lines().len(), 2, "and no more bytes than the ring may have");
    }

    #[test]
    fn dropped_lines_are_told_now_and_then() {
        let now = Instant::now();
        let journal = journal(1, 1, now);
        assert_eq!(journal.dropped(now, 5), Some(5));
        assert_eq!(journal.dropped(now + MS, 7), None);
        assert_eq!(journal.dropped(now + COMPLAINT_INTERVAL, 1), Some(8));
    }
}

//! How a driver is doing: what its calls came to, and whether it may be called at all.
//!
//! Invariant: a driver that keeps trapping is called less and less, and then not at all until its
//! quarantine is over or an admin ends it; a call that is not made sends nothing. Time is an
//! argument here, so tests do not wait for it.
//! Not here: running a call (session), what a sale makes of a call that was not made (outcome).

use crate::driver::Driver;
use crate::journal::LogLine;
use crate::limits::{
    GOOD_CALLS_PER_TRAP, Knob, QUARANTINE, QUARANTINE_MOST, REST, REST_MOST, TRAP_WINDOW,
};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

impl Driver {
    /// How it has been doing since it was loaded.
    pub fn health(&self) -> Health {
        self.callee.record.health(Instant::now())
    }

    /// Ends a rest or a quarantine at once; what led to it is forgotten.
    pub fn release(&self) {
        self.callee.record.release();
    }

    /// The last lines that it wrote, oldest first.
    pub fn log(&self) -> Vec<LogLine> {
        self.callee.journal.lines()
    }
}

/// One driver's statistics since it was loaded, as of one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    pub standing: Standing,
    /// Calls begun.
    pub calls: u64,
    /// Calls that run now, or wait for the driver's turn.
    pub running: u64,
    /// Calls that brought an answer.
    pub answered: u64,
    /// Calls that the driver could not answer by its own word, or answered with nonsense.
    pub failures: u64,
    /// Calls whose caller went away before the end.
    pub cancelled: u64,
    /// Calls refused because the driver was in quarantine.
    pub refused: u64,
    /// Calls that broke their instance, by what broke it.
    pub traps: BTreeMap<TrapKind, u64>,
    /// How often each limit bit, `concurrent-calls` by making a call wait.
    pub limits: BTreeMap<Knob, u64>,
    pub quarantines: u64,
    pub latency: Latency,
    pub last_trap: Option<LastTrap>,
    pub log_lines_dropped: u64,
}

/// Whether a driver may be called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    Serving,
    /// It trapped a moment ago; calls wait.
    Resting {
        more: Duration,
    },
    /// It trapped too often; calls are answered at once, with a sentence.
    Quarantined {
        more: Duration,
        reason: String,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastTrap {
    pub at: SystemTime,
    pub text: String,
}

/// What broke an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TrapKind {
    /// A panic of the driver's own, or code that its compiler held to be out of reach.
    Unreachable,
    /// Memory beyond its end, which is also how a guest's own stack overflows.
    Memory,
    /// A function or table entry that is not there or of another type.
    Table,
    Arithmetic,
    /// One of the limits.
    Limit,
    Other,
}

impl TrapKind {
    /// The name in metrics.
    pub fn name(self) -> &'static str {
        match self {
            TrapKind::Unreachable => "unreachable",
            TrapKind::Memory => "memory",
            TrapKind::Table => "table",
            TrapKind::Arithmetic => "arithmetic",
            TrapKind::Limit => "limit",
            TrapKind::Other => "other",
        }
    }

    pub(crate) fn of(error: &wasmtime::Error) -> Self {
        use wasmtime::Trap;
        match error.downcast_ref::<Trap>() {
            Some(Trap::UnreachableCodeReached) => TrapKind::Unreachable,
            Some(Trap::MemoryOutOfBounds | Trap::HeapMisaligned) => TrapKind::Memory,
            Some(Trap::TableOutOfBounds | Trap::IndirectCallToNull | Trap::BadSignature) => {
                TrapKind::Table
            }
            Some(
                Trap::IntegerOverflow | Trap::IntegerDivisionByZero | Trap::BadConversionToInteger,
            ) => TrapKind::Arithmetic,
            _ => TrapKind::Other,
        }
    }
}

/// A histogram of how long calls took, waiting for the line included.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Latency {
    counts: [u64; Latency::BOUNDS_MS.len() + 1],
    pub sum: Duration,
}

impl Latency {
    /// Upper ends of the steps; beyond the last there is one more.
    pub const BOUNDS_MS: [u64; 13] =
        [1, 2, 5, 10, 25, 50, 100, 250, 500, 1_000, 5_000, 15_000, 30_000];

    fn add(&mut self, took: Duration) {
        let step = Self::BOUNDS_MS.iter().position(|bound| took <= Duration::from_millis(*bound));
        let step = step.unwrap_or(Self::BOUNDS_MS.len());
        if let Some(count) = self.counts.get_mut(step) {
            *count += 1;
        }
        self.sum = self.sum.saturating_add(took);
    }

    pub fn calls(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Calls that took at most each bound, the last entry being all of them.
    pub fn cumulative(&self) -> Vec<u64> {
        let mut sum = 0;
        self.counts
            .iter()
            .map(|count| {
                sum += count;
                sum
            })
            .collect()
    }

    /// The bound under which that share of the calls was done; `None` without calls, and where they
    /// took longer than the last bound.
    pub fn quantile_ms(&self, per_mille: u64) -> Option<u64> {
        let wanted = (self.calls().saturating_mul(per_mille)).div_ceil(1_000).max(1);
        let step = self.cumulative().iter().position(|sum| *sum >= wanted)?;
        Self::BOUNDS_MS.get(step).copied()
    }
}

/// How one call ended, for the record.
#[derive(Debug)]
pub(crate) enum Ending<'a> {
    Answered,
    /// By its own word, or by a limit that it took note of.
    Failed,
    /// The instance is broken: the text is for people.
    Trapped(TrapKind, &'a str),
}

/// What a call may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Admission {
    Now,
    After(Duration),
    Refused { more: Duration, reason: String },
}

/// One driver's record; calls of many tasks write into it.
#[derive(Debug)]
pub(crate) struct Record {
    traps_most: u32,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    calls: u64,
    running: u64,
    answered: u64,
    failures: u64,
    cancelled: u64,
    refused: u64,
    traps: BTreeMap<TrapKind, u64>,
    limits: BTreeMap<Knob, u64>,
    quarantines: u64,
    latency: Latency,
    last_trap: Option<LastTrap>,
    log_lines_dropped: u64,
    recent: Recent,
    resting_until: Option<Instant>,
    quarantine: Option<Quarantine>,
    /// The length of the quarantine that is just over; the next trap brings a longer one.
    probation: Option<Duration>,
}

/// What speaks for and against the driver.
#[derive(Debug, Default)]
struct Recent {
    /// When, and whether the call was to change something.
    traps: VecDeque<(Instant, bool)>,
    /// Good calls since the first of them.
    good: u64,
    /// Traps since the last good call.
    in_a_row: u32,
}

#[derive(Debug, Clone)]
struct Quarantine {
    until: Instant,
    length: Duration,
    reason: String,
}

impl Record {
    pub(crate) fn new(traps_most: u32) -> Self {
        Self { traps_most, inner: Mutex::default() }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn admit(&self, now: Instant) -> Admission {
        let mut inner = self.inner();
        if let Some(quarantine) = &inner.quarantine {
            let more = quarantine.until.saturating_duration_since(now);
            if !more.is_zero() {
                let reason = quarantine.reason.clone();
                inner.refused += 1;
                return Admission::Refused { more, reason };
            }
            inner.probation = Some(quarantine.length);
            inner.quarantine = None;
        }
        let rest = inner.resting_until.map(|until| until.saturating_duration_since(now));
        match rest {
            Some(rest) if !rest.is_zero() => Admission::After(rest),
            _ => Admission::Now,
        }
    }

    pub(crate) fn begin(&self) {
        let mut inner = self.inner();
        inner.calls += 1;
        inner.running += 1;
    }

    pub(crate) fn cancelled(&self) {
        let mut inner = self.inner();
        inner.running = inner.running.saturating_sub(1);
        inner.cancelled += 1;
    }

    /// Returns the reason if this ending brought the driver into quarantine.
    pub(crate) fn end(
        &self,
        now: Instant,
        took: Duration,
        changes: bool,
        ending: &Ending<'_>,
    ) -> Option<String> {
        let mut inner = self.inner();
        inner.running = inner.running.saturating_sub(1);
        inner.latency.add(took);
        match ending {
            Ending::Answered => inner.answered += 1,
            Ending::Failed => inner.failures += 1,
            Ending::Trapped(kind, text) => {
                *inner.traps.entry(*kind).or_default() += 1;
                inner.last_trap =
                    Some(LastTrap { at: SystemTime::now(), text: (*text).to_owned() });
                return inner.strike(now, changes, self.traps_most, text);
            }
        }
        inner.resting_until = None;
        inner.probation = None;
        inner.recent.in_a_row = 0;
        inner.recent.good += 1;
        None
    }

    pub(crate) fn limit_hit(&self, knob: Knob) {
        *self.inner().limits.entry(knob).or_default() += 1;
    }

    pub(crate) fn log_lines_dropped(&self, lines: u32) {
        self.inner().log_lines_dropped += u64::from(lines);
    }

    /// Ends rest and quarantine, and forgets what led to them.
    pub(crate) fn release(&self) {
        let mut inner = self.inner();
        inner.recent = Recent::default();
        inner.resting_until = None;
        inner.quarantine = None;
        inner.probation = None;
    }

    pub(crate) fn health(&self, now: Instant) -> Health {
        let inner = self.inner();
        let left = |until: Instant| until.saturating_duration_since(now);
        let standing = match (&inner.quarantine, inner.resting_until) {
            (Some(quarantine), _) if !left(quarantine.until).is_zero() => Standing::Quarantined {
                more: left(quarantine.until),
                reason: quarantine.reason.clone(),
            },
            (_, Some(until)) if !left(until).is_zero() => Standing::Resting { more: left(until) },
            _ => Standing::Serving,
        };
        Health {
            standing,
            calls: inner.calls,
            running: inner.running,
            answered: inner.answered,
            failures: inner.failures,
            cancelled: inner.cancelled,
            refused: inner.refused,
            traps: inner.traps.clone(),
            limits: inner.limits.clone(),
            quarantines: inner.quarantines,
            latency: inner.latency.clone(),
            last_trap: inner.last_trap.clone(),
            log_lines_dropped: inner.log_lines_dropped,
        }
    }
}

impl Inner {
    fn strike(
        &mut self,
        now: Instant,
        changes: bool,
        traps_most: u32,
        text: &str,
    ) -> Option<String> {
        let recent = &mut self.recent;
        recent.in_a_row = recent.in_a_row.saturating_add(1);
        recent.traps.push_back((now, changes));
        let is_old = |(at, _): &(Instant, bool)| now.saturating_duration_since(*at) > TRAP_WINDOW;
        while recent.traps.front().is_some_and(is_old) {
            recent.traps.pop_front();
        }
        let counted = |traps: usize| u64::try_from(traps).unwrap_or(u64::MAX);
        let traps = counted(recent.traps.len());
        if traps == 1 {
            recent.good = 0;
        }
        let changing = counted(recent.traps.iter().filter(|(_, changes)| *changes).count());
        let most = u64::from(traps_most);
        let is_rare = recent.good >= traps.saturating_mul(GOOD_CALLS_PER_TRAP);
        // A sale that traps leaves money in doubt, so among those nothing is rare.
        if self.probation.is_none() && changing < most && (traps < most || is_rare) {
            let doublings = recent.in_a_row.saturating_sub(1).min(16);
            self.resting_until = Some(now + (REST * (1 << doublings)).min(REST_MOST));
            return None;
        }
        let length = match self.probation.take() {
            Some(last) => (last * 2).min(QUARANTINE_MOST),
            None => QUARANTINE,
        };
        let reason = match traps {
            1 if traps_most > 1 => format!("it trapped again after a quarantine: {text}"),
            _ => format!("{traps} traps within {} min: {text}", TRAP_WINDOW.as_secs() / 60),
        };
        self.quarantine = Some(Quarantine { until: now + length, length, reason: reason.clone() });
        self.quarantines += 1;
        self.resting_until = None;
        self.recent = Recent::default();
        Some(reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    struct Course {
        record: Record,
        now: Instant,
    }

    impl Course {
        fn new() -> Self {
            Course { record: Record::new(3), now: Instant::now() }
        }

        fn end(&self, changes: bool, ending: &Ending<'_>) -> Option<String> {
            self.record.begin();
            self.record.end(self.now, MS, changes, ending)
        }

        fn trap(&self, changes: bool) -> Option<String> {
            self.end(changes, &Ending::Trapped(TrapKind::Unreachable, "boom"))
        }

        fn good(&self) {
            assert_eq!(self.end(false, &Ending::Answered), None);
        }

        fn admit(&self) -> Admission {
            self.record.admit(self.now)
        }

        fn standing(&self) -> Standing {
            self.record.health(self.now).standing
        }
    }

    #[test]
    fn it_rests_longer_after_each_trap_in_a_row_and_an_answer_ends_that() {
        let mut course = Course::new();
        assert_eq!(course.admit(), Admission::Now);
        assert_eq!(course.trap(false), None);
        assert_eq!(course.admit(), Admission::After(100 * MS));
        assert_eq!(course.trap(false), None);
        assert_eq!(course.admit(), Admission::After(200 * MS));
        assert_eq!(course.standing(), Standing::Resting { more: 200 * MS });
        course.now += 150 * MS;
        assert_eq!(course.admit(), Admission::After(50 * MS));
        course.now += 50 * MS;
        assert_eq!(course.admit(), Admission::Now);
        course.good();
        assert_eq!(course.standing(), Standing::Serving);
    }

    #[test]
    fn repeated_traps_bring_quarantine_and_each_further_one_is_longer() {
        let mut course = Course::new();
        course.trap(true);
        course.trap(false);
        let reason = "3 traps within 10 min: boom".to_owned();
        assert_eq!(course.trap(false), Some(reason.clone()));
        assert_eq!(course.admit(), Admission::Refused { more: QUARANTINE, reason });
        course.now += QUARANTINE - MS;
        assert!(matches!(course.admit(), Admission::Refused { more: MS, .. }));
        course.now += MS;
        assert_eq!(course.admit(), Admission::Now, "on probation");
        let again = course.trap(false).expect("one trap is enough");
        assert_eq!(again, "it trapped again after a quarantine: boom");
        assert!(matches!(course.standing(), Standing::Quarantined { more, .. }
            if more == 2 * QUARANTINE));
        for _ in 0..20 {
            course.now += QUARANTINE_MOST;
            assert_eq!(course.admit(), Admission::Now);
            course.trap(false);
        }
        assert!(matches!(course.standing(), Standing::Quarantined { more, .. }
            if more == QUARANTINE_MOST));
        let health = course.record.health(course.now);
        assert_eq!((health.quarantines, health.refused), (22, 2));
        // An answer on probation clears it.
        course.now += QUARANTINE_MOST;
        assert_eq!(course.admit(), Admission::Now);
        course.good();
        assert_eq!(course.trap(false), None);
    }

    #[test]
    fn an_admin_ends_it_at_once() {
        let course = Course::new();
        for _ in 0..3 {
            course.trap(true);
        }
        assert!(matches!(course.admit(), Admission::Refused { .. }));
        course.record.release();
        assert_eq!((course.admit(), course.standing()), (Admission::Now, Standing::Serving));
        assert_eq!(course.trap(true), None, "and it begins anew");
    }

    #[test]
    fn traps_far_apart_do_not_add_up() {
        let mut course = Course::new();
        for _ in 0..10 {
            assert_eq!(course.trap(true), None);
            course.now += TRAP_WINDOW / 2 + MS;
        }
    }

    #[test]
    fn one_bad_meter_among_many_good_ones_is_forgiven_but_not_where_money_moves() {
        let course = Course::new();
        for _ in 0..10 {
            assert_eq!(course.trap(false), None);
            for _ in 0..2 * GOOD_CALLS_PER_TRAP {
                course.good();
            }
        }
        let course = Course::new();
        let mut quarantined = false;
        for _ in 0..3 {
            quarantined = course.trap(true).is_some();
            for _ in 0..2 * GOOD_CALLS_PER_TRAP {
                course.good();
            }
        }
        assert!(quarantined, "three sales that trapped");
    }

    #[test]
    fn every_call_is_counted_once() {
        let course = Course::new();
        course.good();
        course.end(false, &Ending::Failed);
        course.trap(false);
        course.record.begin();
        course.record.cancelled();
        course.record.begin();
        course.record.limit_hit(Knob::Wall);
        let health = course.record.health(course.now);
        assert_eq!((health.calls, health.running), (5, 1));
        assert_eq!((health.answered, health.failures, health.cancelled), (1, 1, 1));
        assert_eq!(health.traps, BTreeMap::from([(TrapKind::Unreachable, 1)]));
        assert_eq!(health.limits, BTreeMap::from([(Knob::Wall, 1)]));
        assert_eq!(health.last_trap.map(|trap| trap.text), Some("boom".to_owned()));
    }

    #[test]
    fn latency_is_a_histogram() {
        let mut latency = Latency::default();
        assert_eq!(latency.quantile_ms(500), None);
        for took in [1, 1, 2, 3, 40] {
            latency.add(took * MS);
        }
        assert_eq!((latency.calls(), latency.sum), (5, 47 * MS));
        assert_eq!(latency.cumulative().get(..4), Some([2, 3, 4, 4].as_slice()));
        assert_eq!(latency.quantile_ms(500), Some(2));
        assert_eq!(latency.quantile_ms(990), Some(50));
        latency.add(Duration::from_secs(60));
        assert_eq!(latency.quantile_ms(1_000), None, "beyond the last bound");
    }
}

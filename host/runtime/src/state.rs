//! What the host knows of one call while it runs: its line or card, its budgets, what has been spent.
//!
//! Invariant: budgets are per call and are set anew by [`State::begin`]; only the memory is counted
//! over the life of the instance, because memory cannot shrink.

use crate::journal::Journal;
use crate::limits::{DETAIL_BYTES, Knob, Limits, Spent, TICK};
use crate::recording::Recorder;
use crate::slot::Lent;
use crate::text::printable;
use crate::watch::Stage;
use polymeter_transcript::Level;
use polymeter_transport::LineLease;
use polymeter_vault::{Scope, Vault};
use std::sync::Arc;
use std::time::Instant;
use wasmtime::{ResourceLimiter, UpdateDeadline};

/// The data of one store.
pub(crate) struct State {
    pub(crate) driver: Arc<str>,
    /// Whose keys it may use; `None` for a driver that is only looked at.
    pub(crate) scope: Option<Scope>,
    /// As it was when the call began.
    pub(crate) vault: Arc<Vault>,
    pub(crate) limits: Limits,
    journal: Arc<Journal>,
    /// Lent for the length of one call.
    pub(crate) lease: Option<LineLease>,
    /// The same of a card, with what was seen of it.
    pub(crate) card: Option<Lent>,
    /// Writes the call down.
    pub(crate) recorder: Recorder,
    /// The transcript that answers in place of line and vault.
    pub(crate) stage: Option<Stage>,
    /// The first limit that bit; it explains whatever came after.
    pub(crate) spent: Option<Spent>,
    /// What the driver last wrote at level error; its panic hook does so before a trap.
    pub(crate) last_words: Option<String>,
    /// Epoch ticks that passed while the guest computed.
    ticks: u64,
    /// The line was waited for since the last tick, which is therefore not the guest's.
    waited: bool,
    exchanges: u32,
    line_bytes: usize,
    vault_requests: u32,
    log_lines: u32,
    log_lines_dropped: u32,
    /// The limit that the last of them met, or a line that was cut.
    log_limit: Option<Knob>,
    memory_bytes: usize,
    table_elements: usize,
}

impl State {
    pub(crate) fn new(
        driver: Arc<str>,
        scope: Option<Scope>,
        vault: Arc<Vault>,
        limits: Limits,
        journal: Arc<Journal>,
    ) -> Self {
        Self {
            driver,
            scope,
            vault,
            limits,
            journal,
            lease: None,
            card: None,
            recorder: Recorder::default(),
            stage: None,
            spent: None,
            last_words: None,
            ticks: 0,
            waited: false,
            exchanges: 0,
            line_bytes: 0,
            vault_requests: 0,
            log_lines: 0,
            log_lines_dropped: 0,
            log_limit: None,
            memory_bytes: 0,
            table_elements: 0,
        }
    }

    /// Budgets of a new call. The epoch deadline is the store's and is re-armed beside this.
    pub(crate) fn begin(&mut self, lease: Option<LineLease>, vault: Arc<Vault>) {
        self.lease = lease;
        self.card = None;
        self.vault = vault;
        self.spent = None;
        self.last_words = None;
        self.ticks = 0;
        self.waited = false;
        self.exchanges = 0;
        self.line_bytes = 0;
        self.vault_requests = 0;
        self.log_lines = 0;
        self.log_lines_dropped = 0;
        self.log_limit = None;
    }

    /// The first limit wins; the text says what was used when it bit.
    pub(crate) fn spend(&mut self, knob: Knob, used: impl FnOnce() -> String) {
        if self.spent.is_none() {
            self.spent = Some(Spent { knob, used: used() });
        }
    }

    /// A line call is over. Only a wait of a whole tick or more is forgiven, so that asking a dead
    /// line over and over ends with the driver's CPU and not with the wall clock.
    pub(crate) fn has_waited(&mut self, since: Instant) {
        self.waited |= since.elapsed() >= TICK;
    }

    /// Room for one more frame of `bytes`, taken if it is there.
    pub(crate) fn take_exchange(&mut self, bytes: usize) -> Result<(), &'static str> {
        if self.exchanges >= self.limits.exchanges {
            let limit = self.limits.exchanges;
            self.spend(Knob::Exchanges, || format!("{limit} of {limit} frames"));
            return Err("this call has sent all the frames it may");
        }
        self.take_line_bytes(bytes)?;
        self.exchanges += 1;
        Ok(())
    }

    /// What the line may still carry for this call.
    pub(crate) fn line_bytes_left(&self) -> usize {
        self.limits.line_bytes.saturating_sub(self.line_bytes)
    }

    pub(crate) fn take_line_bytes(&mut self, bytes: usize) -> Result<(), &'static str> {
        if bytes > self.line_bytes_left() {
            let (used, limit) = (self.line_bytes, self.limits.line_bytes);
            self.spend(Knob::LineBytes, || {
                format!("{used} of {limit} bytes, and {bytes} more asked for")
            });
            return Err("this call has had all the bytes it may move on the line");
        }
        self.line_bytes += bytes;
        Ok(())
    }

    /// What came in beyond what was asked for by its length; the next act finds the budget spent.
    pub(crate) fn note_line_bytes(&mut self, bytes: usize) {
        self.line_bytes = self.line_bytes.saturating_add(bytes);
    }

    /// One more request to the vault, if this call may make it.
    pub(crate) fn take_vault_request(&mut self) -> Result<(), &'static str> {
        let limit = self.limits.vault_requests;
        if self.vault_requests >= limit {
            self.spend(Knob::VaultRequests, || format!("{limit} of {limit} requests"));
            return Err("this call has asked the vault as often as it may");
        }
        self.vault_requests += 1;
        Ok(())
    }

    /// A line for the log, cut and escaped; `None` where this call, or the driver in this second,
    /// has written enough.
    pub(crate) fn log_line(&mut self, level: Level, message: &str) -> Option<String> {
        let line = printable(message, self.limits.log_line_bytes);
        let passed = if self.log_lines < self.limits.log_lines {
            self.journal.write(Instant::now(), level, &line)
        } else {
            Err(Knob::LogLines)
        };
        match passed {
            Ok(()) => {
                self.log_lines += 1;
                if message.len() > self.limits.log_line_bytes {
                    self.log_limit.get_or_insert(Knob::LogLineBytes);
                }
                Some(line)
            }
            Err(knob) => {
                self.log_lines_dropped = self.log_lines_dropped.saturating_add(1);
                self.log_limit = Some(knob);
                None
            }
        }
    }

    pub(crate) fn keep_last_words(&mut self, message: &str) {
        self.last_words = Some(printable(message, DETAIL_BYTES));
    }

    /// How many lines of this call were dropped, and the limit that the last of them met; none and
    /// a limit where lines were only cut.
    pub(crate) fn log_lines_dropped(&self) -> Option<(u32, Knob)> {
        self.log_limit.map(|knob| (self.log_lines_dropped, knob))
    }

    /// Called at the first tick after the guest was entered or resumed, and then at every tick. The
    /// first is counted whole, so that a call never gets more than its ticks. A
    /// machine that is overloaded skips ticks, so what is counted is nearer to CPU than to time.
    /// Between two ticks the executor's other tasks get their turn.
    pub(crate) fn at_tick(&mut self) -> wasmtime::Result<UpdateDeadline> {
        if std::mem::take(&mut self.waited) {
            return Ok(UpdateDeadline::Continue(1));
        }
        self.ticks += 1;
        let limit = self.limits.cpu_ticks;
        if self.ticks >= limit {
            self.spend(Knob::CpuTicks, || format!("{limit} of {limit} ticks of 10 ms"));
            return Err(wasmtime::Error::msg("it computed for too long"));
        }
        Ok(UpdateDeadline::Yield(1))
    }

    /// Memories and tables together: a limit per memory would be as many times the limit as a
    /// component has memories.
    fn grow(&mut self, bytes: usize) -> bool {
        let wanted = self.memory_bytes.saturating_add(bytes);
        let limit = self.limits.memory_bytes;
        if wanted > limit {
            let used = self.memory_bytes;
            self.spend(Knob::MemoryBytes, || {
                format!("{used} of {limit} bytes, and {bytes} more asked for")
            });
            return false;
        }
        self.memory_bytes = wanted;
        true
    }
}

impl ResourceLimiter for State {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        // Beyond its own maximum the guest would be refused anyway: nothing to count.
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        Ok(self.grow(desired.saturating_sub(current)))
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let elements = desired.saturating_sub(current);
        let (used, limit) = (self.table_elements, self.limits.table_elements);
        // The pool's own bound comes here as a maximum, so the limit is looked at first.
        if used.saturating_add(elements) > limit {
            self.spend(Knob::TableElements, || {
                format!("{used} of {limit} elements, and {elements} more asked for")
            });
            return Ok(false);
        }
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        let has_room = self.grow(elements.saturating_mul(size_of::<usize>()));
        if has_room {
            self.table_elements = used.saturating_add(elements);
        }
        Ok(has_room)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(limits: Limits) -> State {
        let journal = Arc::new(Journal::new(&limits, Instant::now()));
        State::new("test".into(), None, Arc::default(), limits, journal)
    }

    #[test]
    fn memory_is_summed_over_all_memories_and_tables() {
        let mut state = state(Limits { memory_bytes: 1000, ..Limits::default() });
        let mut memory = |from, to| state.memory_growing(from, to, None).expect("an answer");
        assert!(memory(0, 600), "first memory");
        assert!(!memory(0, 600), "second memory would be 1200 together");
        assert!(memory(0, 400), "second memory, to the last byte");
        assert!(!state.table_growing(0, 1, None).expect("an answer"), "nothing left for a table");
        let spent = state.spent.expect("named");
        assert_eq!(spent.knob, Knob::MemoryBytes);
        assert_eq!(spent.used, "600 of 1000 bytes, and 600 more asked for", "the first to bite");
    }

    #[test]
    fn growth_beyond_the_guests_own_maximum_costs_nothing() {
        let mut state = state(Limits { memory_bytes: 1000, ..Limits::default() });
        assert!(!state.memory_growing(0, 600, Some(500)).expect("an answer"));
        assert_eq!((state.spent.clone(), state.memory_bytes), (None, 0));
    }

    #[test]
    fn frames_and_bytes_are_counted_per_call() {
        let mut state = state(Limits { exchanges: 2, line_bytes: 10, ..Limits::default() });
        assert!(state.take_exchange(4).is_ok());
        assert!(state.take_exchange(7).is_err(), "11 bytes");
        assert!(state.take_exchange(6).is_ok(), "10 bytes, the refused one was not counted");
        assert!(state.take_exchange(0).is_err(), "third frame");
        assert_eq!(state.spent.clone().map(|spent| spent.knob), Some(Knob::LineBytes));
        state.begin(None, Arc::default());
        assert!(state.spent.is_none());
        assert!(state.take_exchange(10).is_ok(), "a new call has a new budget");
    }

    #[test]
    fn vault_requests_are_counted_per_call() {
        let mut state = state(Limits { vault_requests: 2, ..Limits::default() });
        assert!(state.take_vault_request().is_ok() && state.take_vault_request().is_ok());
        assert!(state.take_vault_request().is_err(), "the third");
        assert_eq!(state.spent.clone().map(|it| it.used), Some("2 of 2 requests".to_owned()));
        state.begin(None, Arc::default());
        assert!(state.take_vault_request().is_ok(), "a new call has a new budget");
    }

    #[test]
    fn a_tick_is_the_guests_unless_the_line_was_waited_for() {
        let mut state = state(Limits { cpu_ticks: 2, ..Limits::default() });
        let Some(long_ago) = Instant::now().checked_sub(TICK) else {
            panic!("this machine was started in this very moment")
        };
        state.has_waited(long_ago);
        assert!(state.at_tick().is_ok(), "after a wait");
        assert!(state.at_tick().is_ok(), "the first of two");
        state.has_waited(Instant::now());
        assert!(state.at_tick().is_err(), "a wait of no length is no excuse");
        assert_eq!(state.spent.map(|spent| spent.used), Some("2 of 2 ticks of 10 ms".to_owned()));
    }

    #[test]
    fn log_lines_are_cut_counted_and_escaped() {
        let mut state = state(Limits { log_lines: 2, log_line_bytes: 6, ..Limits::default() });
        let mut log = |message| state.log_line(Level::Info, message);
        assert_eq!(log("a\nb").as_deref(), Some("a\\nb"));
        assert_eq!(log("abcdefgh").as_deref(), Some("abcdef…"));
        assert_eq!(log("c"), None);
        assert_eq!(log("d"), None);
        assert_eq!(state.log_lines_dropped(), Some((2, Knob::LogLines)));
        assert_eq!(state.journal.lines().len(), 2);
        state.begin(None, Arc::default());
        assert_eq!(state.log_lines_dropped(), None);
    }

    #[test]
    fn table_elements_are_summed_too() {
        let mut state = state(Limits { table_elements: 10, ..Limits::default() });
        let mut table = |from, to| state.table_growing(from, to, None).expect("an answer");
        assert!(table(0, 6));
        assert!(!table(0, 5), "a second table, 11 together");
        assert!(table(0, 4));
        let spent = state.spent.expect("named");
        assert_eq!(spent.knob, Knob::TableElements);
        assert_eq!(spent.used, "6 of 10 elements, and 5 more asked for");
    }
}

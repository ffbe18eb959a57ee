//! Every bound on a driver and on what it may return, in one place.
//!
//! Invariant: a number that stops a driver stands in this file, has a config key where an admin may
//! raise it, and a test in which it bites: `tests/knobs.rs` walks [`Knob::ALL`].

use std::time::Duration;

/// The bounds that an admin may set per driver, under `limits` of its `[[driver]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// The component's file. A Rust driver has 40 to 200 KiB.
    pub component_bytes: usize,
    /// All name sections of the component's file together.
    pub name_bytes: usize,
    /// CPU of compiling the component, in its process; four times as much wall time.
    pub compile_cpu_seconds: u64,
    /// Address space of the process that compiles it.
    pub compile_memory_bytes: u64,
    /// All memories and tables of one instance together.
    pub memory_bytes: usize,
    /// The engine's stack of one call; the guest keeps its own, in its memory, beside it.
    pub stack_bytes: usize,
    /// Elements of all tables of one instance together.
    pub table_elements: usize,
    /// Resource handles that one instance may hold.
    pub handles: usize,
    /// CPU of one call, in epoch ticks of 10 ms. Waiting for the line is not counted.
    pub cpu_ticks: u64,
    /// Wall time of one call, waiting for the line included, waiting for a free instance not.
    pub wall: Duration,
    /// Frames that one call may send.
    pub exchanges: u32,
    /// Bytes of one call on the line, both ways together.
    pub line_bytes: usize,
    /// What one call may ask of the vault, random bytes included.
    pub vault_requests: u32,
    /// Lines that one call may write into the log; further ones are counted and dropped.
    pub log_lines: u32,
    /// Longer log lines are cut.
    pub log_line_bytes: usize,
    /// Log lines of all calls of the driver in one second; further ones are counted and dropped.
    pub log_lines_per_second: u32,
    /// Log bytes of all calls of the driver in one second.
    pub log_bytes_per_second: usize,
    /// What one answer, or the arguments of one import, may hold when lifted into the host.
    pub result_bytes: usize,
    /// Calls of this driver at the same time; the next one waits.
    pub concurrent_calls: usize,
    /// Traps within [`TRAP_WINDOW`] that bring the driver into quarantine.
    pub traps: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            component_bytes: 2 << 20,
            name_bytes: 256 << 10,
            compile_cpu_seconds: 120,
            compile_memory_bytes: 4 << 30,
            memory_bytes: 32 << 20,
            stack_bytes: POOL_STACK_BYTES,
            table_elements: POOL_TABLE_ELEMENTS,
            handles: 1_000,
            cpu_ticks: 20,
            wall: Duration::from_secs(30),
            exchanges: 64,
            line_bytes: 64 << 10,
            vault_requests: 256,
            log_lines: 100,
            log_line_bytes: 1 << 10,
            log_lines_per_second: 200,
            log_bytes_per_second: 64 << 10,
            result_bytes: 1 << 20,
            concurrent_calls: 1_024,
            traps: 3,
        }
    }
}

impl Limits {
    /// Those that decide how a call ends, by the names of their config keys.
    pub(crate) fn named(&self) -> Vec<(String, u64)> {
        [
            Knob::MemoryBytes,
            Knob::CpuTicks,
            Knob::Wall,
            Knob::Exchanges,
            Knob::LineBytes,
            Knob::VaultRequests,
            Knob::ResultBytes,
        ]
        .map(|knob| (knob.name().to_owned(), self.get(knob)))
        .to_vec()
    }
}

/// What one instance of the pool may have. A driver with larger limits, more modules or another
/// stack runs outside the pool, where an instance costs twice the time to make.
pub(crate) const POOL_MEMORY_BYTES: usize = 64 << 20;
pub(crate) const POOL_STACK_BYTES: usize = 512 << 10;
pub(crate) const POOL_TABLE_ELEMENTS: usize = 20_000;
/// A component of ours is one module with one memory, and two small ones that join it to its
/// imports; C drivers bring an adapter more.
pub(crate) const POOL_MODULES: u32 = 8;
pub(crate) const POOL_MEMORIES: u32 = 2;
pub(crate) const POOL_TABLES: u32 = 4;

/// The most that `memory_bytes` may be.
pub const MEMORY_BYTES_MOST: usize = 512 << 20;
/// The most that `component_bytes` may be; an interpreted language's component has about 20 MiB.
pub const COMPONENT_BYTES_MOST: usize = 64 << 20;
/// What the compiler may make of one component: about ten times its size for a small one.
pub(crate) const NATIVE_CODE_BYTES_MOST: usize = 512 << 20;
/// Components and modules within a component. What an interpreted language needs is a few dozen.
pub(crate) const MODULES_MOST: usize = 256;
pub(crate) const NESTING_MOST: usize = 16;

/// One epoch tick.
pub const TICK: Duration = Duration::from_millis(10);

/// Calls of all drivers at the same time; a waiting line holds its call, so this is also the number
/// of lines that can be busy at once.
pub(crate) const CALLS: usize = 2_048;
/// Idle instances kept for reads: of all drivers, and of one.
pub(crate) const WARM_INSTANCES: usize = 256;
pub(crate) const WARM_INSTANCES_PER_DRIVER: usize = 32;
/// A warm instance is thrown away after so many calls or so much time.
pub(crate) const WARM_CALLS: u32 = 1_000;
pub(crate) const WARM_TIME: Duration = Duration::from_secs(60);

/// What one recording may hold: steps, and bytes in them.
pub(crate) const RECORDED_STEPS: usize = 1_024;
pub(crate) const RECORDED_STEP_BYTES: usize = 256 << 10;
/// Log lines that one recording shows.
pub(crate) const RECORDED_LOG_LINES: usize = 100;
/// Recordings kept of one meter, in each class: acts, failures, other calls.
pub(crate) const RECORDINGS_PER_METER: usize = 16;
/// What all recordings of a class may take in memory.
pub(crate) const RECORDINGS_BYTES_PER_CLASS: usize = 8 << 20;
/// Transcripts that one package may bring.
pub(crate) const PLAYED_TRANSCRIPTS: usize = 4_096;
/// What playing all of them may take. One takes a millisecond, of an interpreted driver some dozens.
pub(crate) const REHEARSAL_TIME: Duration = Duration::from_secs(120);

/// Traps further apart than this do not add up.
pub const TRAP_WINDOW: Duration = Duration::from_secs(600);
/// Calls wait that long after the first trap in the window, twice as long after the next, ...
pub(crate) const REST: Duration = Duration::from_millis(100);
/// ... up to this.
pub(crate) const REST_MOST: Duration = Duration::from_secs(2);
/// The first quarantine; each one after it that begins on probation lasts twice as long ...
pub const QUARANTINE: Duration = Duration::from_secs(300);
/// ... up to this.
pub const QUARANTINE_MOST: Duration = Duration::from_secs(24 * 3600);
/// A driver that answers so many calls well for each one that traps is not put into quarantine for
/// traps in calls that change nothing: the fault may be one meter's.
pub(crate) const GOOD_CALLS_PER_TRAP: u64 = 20;

/// The last log lines of one driver that are kept for people.
pub(crate) const LOG_RING_LINES: usize = 500;
pub(crate) const LOG_RING_BYTES: usize = 128 << 10;
/// How often a log says that lines were dropped or that calls wait.
pub(crate) const COMPLAINT_INTERVAL: Duration = Duration::from_secs(10);

/// Native code on disk, of all drivers and engines together; the longest unused goes first.
pub(crate) const CACHE_BYTES: u64 = 1 << 30;
/// Compilers at the same time; each may take what its address space allows.
pub(crate) const COMPILERS: usize = 2;

/// A native library's line of log without an end is cut there.
pub(crate) const LIBRARY_LINE_BYTES: usize = 8 << 10;

/// One text of an answer.
pub(crate) const TEXT_BYTES: usize = 4 << 10;
/// One byte string of an answer.
pub(crate) const BYTES: usize = 4 << 10;
/// A name, a title, a version, a device's own code.
pub(crate) const NAME_BYTES: usize = 128;
/// A card's number as hexadecimal digits; the longest that a card has of itself has 20.
pub(crate) const CARD_SERIAL_BYTES: usize = 64;
/// What a person may have to read in an error: longer texts are cut.
pub(crate) const DETAIL_BYTES: usize = 512;
pub(crate) const MEASUREMENTS: usize = 4_096;
pub(crate) const EXTRAS: usize = 1_024;
pub(crate) const MODELS: usize = 256;
pub(crate) const PARAMETERS: usize = 256;

/// One step of a search gets so much of a line, so that a sale never waits longer for its turn.
pub(crate) const STEP_TIME: Duration = Duration::from_secs(5);

/// What a driver may say of a search.
#[derive(Debug)]
pub(crate) struct SearchLimits {
    pub(crate) ways: usize,
    pub(crate) position_bytes: usize,
}

/// Of one page of records, and of the kinds that a driver names.
#[derive(Debug)]
pub(crate) struct RecordsLimits {
    pub kinds: usize,
    pub entries: usize,
    pub name_bytes: usize,
    pub position_bytes: usize,
}

pub(crate) const RECORDS: RecordsLimits =
    RecordsLimits { kinds: 16, entries: 256, name_bytes: 40, position_bytes: 4 << 10 };

pub(crate) const SEARCH: SearchLimits = SearchLimits { ways: 16, position_bytes: 4 << 10 };

macro_rules! knobs {
    ($($knob:ident $key:literal $least:literal ..= $most:expr;)*) => {
        /// A limit by name, as errors and the configuration speak of it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Knob { $($knob,)* }

        impl Knob {
            pub const ALL: &[Knob] = &[$(Knob::$knob,)*];

            /// All names, in the same order.
            pub const NAMES: &[&str] = &[$($key,)*];

            /// Its key in the configuration, with its table.
            pub fn config_key(self) -> &'static str {
                match self { $(Knob::$knob => concat!("limits.", $key),)* }
            }

            /// The key without its table.
            pub fn name(self) -> &'static str {
                match self { $(Knob::$knob => $key,)* }
            }

            /// The least and the most it may be set to.
            pub fn range(self) -> (u64, u64) {
                match self { $(Knob::$knob => ($least, wide($most)),)* }
            }
        }
    };
}

const U32: usize = u32::MAX as usize;

knobs! {
    ComponentBytes "component-bytes" 1..=COMPONENT_BYTES_MOST;
    NameBytes "name-bytes" 0..=COMPONENT_BYTES_MOST;
    CompileCpuSeconds "compile-cpu-seconds" 1..=86_400;
    CompileMemoryBytes "compile-memory-bytes" 1_048_576..=64 << 30;
    MemoryBytes "memory-bytes" 1..=MEMORY_BYTES_MOST;
    StackBytes "stack-bytes" 16_384..=8 << 20;
    TableElements "table-elements" 0..=1_000_000;
    Handles "handles" 0..=1_000_000;
    CpuTicks "cpu-ticks" 2..=U32;
    Wall "wall-ms" 1..=U32;
    Exchanges "exchanges" 0..=U32;
    LineBytes "line-bytes" 0..=MEMORY_BYTES_MOST;
    VaultRequests "vault-requests" 0..=U32;
    LogLines "log-lines" 0..=U32;
    LogLineBytes "log-line-bytes" 1..=64 << 10;
    LogLinesPerSecond "log-lines-per-second" 0..=1_000_000;
    LogBytesPerSecond "log-bytes-per-second" 0..=MEMORY_BYTES_MOST;
    ResultBytes "result-bytes" 1..=MEMORY_BYTES_MOST;
    ConcurrentCalls "concurrent-calls" 1..=CALLS;
    Traps "traps" 1..=1_000_000;
}

/// A number beyond what a knob may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{} = {asked} must be from {least} to {most}", knob.name())]
pub struct OutOfRange {
    pub knob: Knob,
    pub asked: u64,
    pub least: u64,
    pub most: u64,
}

impl Knob {
    /// The knob of that key, the key being as it stands under `[driver.limits]`.
    pub fn from_name(name: &str) -> Option<Knob> {
        Knob::ALL.iter().copied().find(|knob| knob.name() == name)
    }
}

impl Limits {
    pub fn get(&self, knob: Knob) -> u64 {
        match knob {
            Knob::ComponentBytes => wide(self.component_bytes),
            Knob::NameBytes => wide(self.name_bytes),
            Knob::CompileCpuSeconds => self.compile_cpu_seconds,
            Knob::CompileMemoryBytes => self.compile_memory_bytes,
            Knob::MemoryBytes => wide(self.memory_bytes),
            Knob::StackBytes => wide(self.stack_bytes),
            Knob::TableElements => wide(self.table_elements),
            Knob::Handles => wide(self.handles),
            Knob::CpuTicks => self.cpu_ticks,
            Knob::Wall => u64::try_from(self.wall.as_millis()).unwrap_or(u64::MAX),
            Knob::Exchanges => self.exchanges.into(),
            Knob::LineBytes => wide(self.line_bytes),
            Knob::VaultRequests => self.vault_requests.into(),
            Knob::LogLines => self.log_lines.into(),
            Knob::LogLineBytes => wide(self.log_line_bytes),
            Knob::LogLinesPerSecond => self.log_lines_per_second.into(),
            Knob::LogBytesPerSecond => wide(self.log_bytes_per_second),
            Knob::ResultBytes => wide(self.result_bytes),
            Knob::ConcurrentCalls => wide(self.concurrent_calls),
            Knob::Traps => self.traps.into(),
        }
    }

    /// Sets one bound; what is out of its range is refused and leaves it as it was.
    pub fn set(&mut self, knob: Knob, value: u64) -> Result<(), OutOfRange> {
        check(knob, value)?;
        // Within their ranges all values fit all of these types.
        let size = usize::try_from(value).unwrap_or(usize::MAX);
        let count = u32::try_from(value).unwrap_or(u32::MAX);
        match knob {
            Knob::ComponentBytes => self.component_bytes = size,
            Knob::NameBytes => self.name_bytes = size,
            Knob::CompileCpuSeconds => self.compile_cpu_seconds = value,
            Knob::CompileMemoryBytes => self.compile_memory_bytes = value,
            Knob::MemoryBytes => self.memory_bytes = size,
            Knob::StackBytes => self.stack_bytes = size,
            Knob::TableElements => self.table_elements = size,
            Knob::Handles => self.handles = size,
            Knob::CpuTicks => self.cpu_ticks = value,
            Knob::Wall => self.wall = Duration::from_millis(value),
            Knob::Exchanges => self.exchanges = count,
            Knob::LineBytes => self.line_bytes = size,
            Knob::VaultRequests => self.vault_requests = count,
            Knob::LogLines => self.log_lines = count,
            Knob::LogLineBytes => self.log_line_bytes = size,
            Knob::LogLinesPerSecond => self.log_lines_per_second = count,
            Knob::LogBytesPerSecond => self.log_bytes_per_second = size,
            Knob::ResultBytes => self.result_bytes = size,
            Knob::ConcurrentCalls => self.concurrent_calls = size,
            Knob::Traps => self.traps = count,
        }
        Ok(())
    }

    /// The first bound that is out of its range: limits may be built without [`Limits::set`].
    pub fn check(&self) -> Result<(), OutOfRange> {
        Knob::ALL.iter().try_for_each(|knob| check(*knob, self.get(*knob)))
    }
}

fn check(knob: Knob, asked: u64) -> Result<(), OutOfRange> {
    let (least, most) = knob.range();
    if (least..=most).contains(&asked) {
        return Ok(());
    }
    Err(OutOfRange { knob, asked, least, most })
}

/// usize fits u64 on every target.
const fn wide(value: usize) -> u64 {
    value as u64
}

/// A limit that bit, and the value at which it did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Spent {
    pub(crate) knob: Knob,
    pub(crate) used: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_the_key_as_it_is_configured() {
        assert_eq!(Knob::Wall.name(), "wall-ms");
        assert_eq!(Knob::MemoryBytes.config_key(), "limits.memory-bytes");
        for knob in Knob::ALL {
            assert_eq!(Knob::from_name(knob.name()), Some(*knob));
        }
        assert_eq!(Knob::from_name("limits.wall-ms"), None);
    }

    #[test]
    fn every_knob_turns_its_own_bound_within_its_range() {
        for knob in Knob::ALL {
            let (least, most) = knob.range();
            let own = Limits::default();
            assert!((least..=most).contains(&own.get(*knob)), "{knob:?}: the default");
            for value in [least, most] {
                let mut limits = own.clone();
                limits.set(*knob, value).expect("in range");
                assert_eq!(limits.get(*knob), value, "{knob:?}");
                for other in Knob::ALL.iter().filter(|other| *other != knob) {
                    assert_eq!(limits.get(*other), own.get(*other), "{knob:?} turned {other:?}");
                }
            }
            let mut limits = own.clone();
            let beyond = OutOfRange { knob: *knob, asked: most + 1, least, most };
            assert_eq!(limits.set(*knob, most + 1), Err(beyond));
            assert_eq!(limits, own);
        }
        let limits = Limits { memory_bytes: 0, ..Limits::default() };
        let error = limits.check().expect_err("no memory");
        assert_eq!(error.to_string(), "memory-bytes = 0 must be from 1 to 536870912");
    }
}

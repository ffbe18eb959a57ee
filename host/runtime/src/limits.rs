//! Every bound on a driver and on what it may return, in one place.
//!
//! Invariant: a number that stops a driver stands in this file, has a config key where an admin may
//! raise it, and a test in which it bites.

use std::time::Duration;

/// The bounds that an admin may set per driver, under `limits` of its `[[driver]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// The component's file. A Rust driver has 40 to 200 KiB.
    pub component_bytes: usize,
    /// All memories and tables of one instance together; at most [`MEMORY_BYTES_MOST`].
    pub memory_bytes: usize,
    /// CPU of one call, in epoch ticks of 10 ms. Waiting for the line is not counted.
    pub cpu_ticks: u64,
    /// Wall time of one call, waiting for the line included, waiting for a free instance not.
    pub wall: Duration,
    /// Frames that one call may send.
    pub exchanges: u32,
    /// Bytes of one call on the line, both ways together.
    pub line_bytes: usize,
    /// Lines that one call may write into the log; further ones are counted and dropped.
    pub log_lines: u32,
    /// Longer log lines are cut.
    pub log_line_bytes: usize,
    /// What one answer, or the arguments of one import, may hold when lifted into the host.
    pub result_bytes: usize,
    /// Calls of this driver at the same time; the next one waits.
    pub concurrent_calls: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            component_bytes: 2 << 20,
            memory_bytes: 32 << 20,
            cpu_ticks: 20,
            wall: Duration::from_secs(30),
            exchanges: 64,
            line_bytes: 64 << 10,
            log_lines: 100,
            log_line_bytes: 1 << 10,
            result_bytes: 1 << 20,
            concurrent_calls: 512,
        }
    }
}

impl Limits {
    /// Those that decide how a call ends, by the names of their config keys.
    pub(crate) fn named(&self) -> Vec<(String, u64)> {
        let wide = |value: usize| u64::try_from(value).unwrap_or(u64::MAX);
        [
            (Knob::MemoryBytes, wide(self.memory_bytes)),
            (Knob::CpuTicks, self.cpu_ticks),
            (Knob::Wall, u64::try_from(self.wall.as_millis()).unwrap_or(u64::MAX)),
            (Knob::Exchanges, u64::from(self.exchanges)),
            (Knob::LineBytes, wide(self.line_bytes)),
            (Knob::ResultBytes, wide(self.result_bytes)),
        ]
        .map(|(knob, value)| (knob.name().to_owned(), value))
        .to_vec()
    }
}

/// The address space kept for one memory of the pool, hence the most that `memory_bytes` may be.
pub const MEMORY_BYTES_MOST: usize = 64 << 20;

/// One epoch tick.
pub const TICK: Duration = Duration::from_millis(10);

/// Calls of all drivers at the same time; a waiting line holds its call, so this is also the number
/// of lines that can be busy at once.
pub(crate) const CALLS: usize = 1024;
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

/// One text of an answer.
pub(crate) const TEXT_BYTES: usize = 4 << 10;
/// One byte string of an answer.
pub(crate) const BYTES: usize = 4 << 10;
/// A name, a title, a version, a device's own code.
pub(crate) const NAME_BYTES: usize = 128;
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

pub(crate) const SEARCH: SearchLimits = SearchLimits { ways: 16, position_bytes: 4 << 10 };

/// A limit by name, as errors speak of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Knob {
    ComponentBytes,
    MemoryBytes,
    CpuTicks,
    Wall,
    Exchanges,
    LineBytes,
    LogLines,
    ResultBytes,
    ConcurrentCalls,
}

impl Knob {
    pub(crate) fn config_key(self) -> &'static str {
        match self {
            Knob::ComponentBytes => "limits.component-bytes",
            Knob::MemoryBytes => "limits.memory-bytes",
            Knob::CpuTicks => "limits.cpu-ticks",
            Knob::Wall => "limits.wall-ms",
            Knob::Exchanges => "limits.exchanges",
            Knob::LineBytes => "limits.line-bytes",
            Knob::LogLines => "limits.log-lines",
            Knob::ResultBytes => "limits.result-bytes",
            Knob::ConcurrentCalls => "limits.concurrent-calls",
        }
    }

    /// The key without its table.
    pub(crate) fn name(self) -> &'static str {
        self.config_key().trim_start_matches("limits.")
    }
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
    }
}

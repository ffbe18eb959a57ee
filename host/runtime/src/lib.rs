//! The driver runtime: loads components, lends them lines, turns their answers into domain values.
//!
//! Invariant: a driver is hostile until proved otherwise. What it imports is read before it is
//! compiled, every call is bounded in time, memory and bytes, what it returns is checked value by
//! value, and whether a byte left the host is the host's own observation, never the driver's claim.
//! `wasmtime` is named in this crate and in no other.
//! Not here: bytes on a line (transport), what a sale's ending means (domain), signatures and
//! packages.

mod bindings;
mod breakage;
mod cache;
mod card;
mod carried;
mod clock;
mod compile;
mod compile_worker;
mod contract;
mod convert;
mod description;
mod driver;
mod engine;
mod engines;
mod entry;
mod error;
mod exports;
mod health;
mod host_calls;
mod journal;
pub mod limits;
mod linker;
mod load;
mod manifest;
mod native;
mod outcome;
mod recording;
mod recordings;
mod records;
mod rehearsal;
mod replay;
mod search;
mod session;
mod slot;
mod state;
mod text;
mod token;
mod wanted;
mod watch;

#[cfg(test)]
mod tests;

pub use clock::ClockWay;
pub use compile::{Compile, Worker};
pub use compile_worker::compile_worker;
pub use description::{Abilities, Description};
pub use driver::{Device, Driver, Explanation, Identity, Moment, Opening};
pub use engine::{Metrics, Options, Runtime};
pub use error::{CallError, LoadError};
pub use health::{Health, LastTrap, Latency, Standing, TrapKind};
pub use journal::LogLine;
pub use limits::{Knob, Limits, OutOfRange};
pub use load::{Capability, Cover, DriverConfig};
pub use manifest::imports;
pub use outcome::{Acted, ClockOutcome, SetOutcome};
pub use polymeter_native::native_worker;
pub use polymeter_package::{Meaning, Parameter, ParameterKind, Proof};
pub use polymeter_transcript as transcript;
pub use polymeter_vault::Vault;
pub use recording::{Recording, RecordingEnd};
pub use recordings::{MeterKey, Recordings};
pub use records::{Record, RecordKind, RecordPage, RecordsAsked};
pub use rehearsal::{Coverage, check_transcripts};
pub use replay::replay;
pub use search::{Argument, Position, Search, Step, Way};
pub use token::TokensIssued;
pub use wanted::{BadWanted, TooMuchWanted, WantedLimit, WantedLimits, consent_line};

//! Why a driver was not loaded, and why a call brought no answer.
//!
//! Invariant: each is a sentence that names the driver, what is wrong and what to do about it.

use crate::limits::{Knob, OutOfRange, Spent};
use crate::wanted::{BadWanted, TooMuchWanted};
use polymeter_transcript::{Difference, ParseError};

/// Why a component does not become a driver.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("the engine for drivers does not start: {detail}")]
    Engine { detail: String },
    #[error("the cache of native code is refused: {what}")]
    Cache { what: String },
    #[error("driver {driver}: limit {beyond}: change {} of [[driver]] {driver}", beyond.knob.config_key())]
    LimitOutOfRange { driver: String, beyond: OutOfRange },
    #[error(
        "driver {driver} has {used} {what}, over the limit {name} of {limit}: raise {config_key} \
         of [[driver]] {driver} if it is meant to be so large"
    )]
    TooLarge {
        driver: String,
        used: usize,
        what: &'static str,
        name: &'static str,
        limit: u64,
        config_key: &'static str,
    },
    #[error(
        "driver {driver} has more than {most} {what}, which no compiler of drivers makes: ask its \
         vendor how it was built"
    )]
    Misshapen { driver: String, what: &'static str, most: usize },
    #[error("driver {driver} was not compiled: the compiler broke: {what}")]
    Compiler { driver: String, what: String },
    #[error(
        "driver {driver} was not compiled: limit {limit} of {used} is spent: raise {config_key} of \
         [[driver]] {driver} if it is meant to need so much"
    )]
    CompilerLimit { driver: String, limit: &'static str, used: u64, config_key: &'static str },
    #[error("driver {driver} is no component, or is cut short or damaged: {detail}")]
    Garbled { driver: String, detail: String },
    #[error("driver {driver} is a core module, not a component: build it with polymeter-sdk build")]
    CoreModule { driver: String },
    #[error(
        "driver {driver} imports {import}, which no driver may: build it for \
         wasm32-unknown-unknown with polymeter-sdk"
    )]
    ForeignImport { driver: String, import: String },
    #[error(
        "driver {driver} was built for contract {built_for} ({said_by}), this host offers {offered}: \
         take a driver built for one of these, or a newer host"
    )]
    OtherContract { driver: String, said_by: String, built_for: String, offered: String },
    #[error(
        "driver {driver} says in {sections} places for which contract it was built, and must say so in \
         one: build it with polymeter-sdk build"
    )]
    NoContract { driver: String, sections: usize },
    #[error(
        "driver {driver} says that it was built for contract {says}, but has {name}: build it anew \
         with polymeter-sdk build"
    )]
    ContractsDiffer { driver: String, says: String, name: String },
    #[error("driver {driver} imports {import}, which contract {offered} does not have")]
    UnknownInterface { driver: String, import: String, offered: String },
    #[error(
        "driver {driver} imports {import}, which is not granted: add \"{grant}\" to grant of \
         [[driver]] {driver}"
    )]
    NotGranted { driver: String, import: String, grant: &'static str },
    #[error(
        "driver {driver} is not what its driver.toml says: {what}; build and pack both from one source"
    )]
    NotAsManifest { driver: String, what: String },
    /// Of a vendor that a driver for another's devices covers.
    #[error("the dialect of its vendor cannot be used: {what}")]
    BadDialect { driver: String, what: String },
    #[error("driver {driver} does not export {interface}, which every driver must")]
    MissingExport { driver: String, interface: String },
    #[error("driver {driver} does not fit contract {offered}: {detail}")]
    Misfit { driver: String, offered: &'static str, detail: String },
    #[error("driver {driver} could not describe itself")]
    Describe {
        driver: String,
        #[source]
        source: CallError,
    },
    #[error("the native library of driver {driver} is not used: {what}")]
    Library { driver: String, what: String },
    #[error("driver {driver} describes itself badly: it returned {what}")]
    BadDescription { driver: String, what: String },
    #[error(
        "driver {driver} is for {says}, its [[driver]] entry says vendor = \"{configured}\": correct \
         one of them"
    )]
    OtherVendor { driver: String, says: String, configured: String },
    #[error("driver {driver}: {what}")]
    BadWanted { driver: String, what: BadWanted },
    #[error("driver {driver} {what}")]
    TooMuchWanted { driver: String, what: TooMuchWanted },
    #[error(
        "driver {driver}: no transcript of its package calls {functions}: add one for each, so that \
         it is seen to work before it serves"
    )]
    NoTranscript { driver: String, functions: String },
    #[error(
        "driver {driver}: playing its transcripts takes longer than {seconds} s: take those out that \
         wait or run on for long"
    )]
    LongTranscripts { driver: String, seconds: u64 },
    #[error("driver {driver}: more than {most} transcripts")]
    TooManyTranscripts { driver: String, most: usize },
    #[error("driver {driver}: a transcript cannot be read")]
    BadTranscript {
        driver: String,
        #[source]
        source: ParseError,
    },
    #[error("driver {driver} does not do what its own transcript says")]
    Differs {
        driver: String,
        #[source]
        source: Difference,
    },
}

/// Why a call brought no answer. For calls that change nothing; those that do answer with
/// `Delivery`, `ControlOutcome` or `SetOutcome`, where such a failure is `NotSent` or `Unknown`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The driver's own error record, `code` as in the contract (`driver-error`).
    #[error("{driver}: {detail}{}", device_code.as_ref().map(|code| format!(" (device code {code})")).unwrap_or_default())]
    Driver { driver: String, code: u16, detail: String, device_code: Option<String> },
    #[error("{driver} trapped: {detail}")]
    Trap { driver: String, detail: String },
    /// A native library's process did not come to be called.
    #[error("{driver}: its native library is not used: {what}")]
    Library { driver: String, what: String },
    /// Not called at all. `more_seconds` is what is left of the quarantine.
    #[error(
        "{driver} is in quarantine ({reason}) and is not called for another {more_seconds} s: see \
         polymeter driver logs {driver}; polymeter driver release {driver} ends it at once; the \
         limit traps ({} of [[driver]] {driver}) says how many it may have",
        Knob::Traps.config_key()
    )]
    Quarantined { driver: String, reason: String, more_seconds: u64 },
    #[error(
        "{driver}: limit {limit} is spent ({used}): raise {config_key} of [[driver]] {driver} if \
         that is meant"
    )]
    Limit { driver: String, limit: &'static str, used: String, config_key: &'static str },
    #[error("{driver} does not have the ability to {ability}")]
    Unable { driver: String, ability: &'static str },
    #[error("{driver} returned {what}")]
    BadResult { driver: String, what: String },
}

impl CallError {
    /// Where the driver itself broke, and not the device or the line.
    pub fn is_fault(&self) -> bool {
        match self {
            CallError::Trap { .. }
            | CallError::Limit { .. }
            | CallError::BadResult { .. }
            | CallError::Library { .. }
            | CallError::Quarantined { .. } => true,
            CallError::Driver { .. } | CallError::Unable { .. } => false,
        }
    }

    pub(crate) fn limit(driver: &str, spent: Spent) -> Self {
        let Spent { knob, used } = spent;
        Self::Limit {
            driver: driver.to_owned(),
            limit: knob.name(),
            used,
            config_key: knob.config_key(),
        }
    }
}

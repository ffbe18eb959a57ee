//! Why a call brought no answer: what broke, whose fault it is, and the sentence about it.
//!
//! Invariant: a limit that bit explains whatever came after it. Not here: the call itself (session),
//! what its end means for a sale (outcome).

use crate::bindings::polymeter::driver::types;
use crate::convert::{detail, device_code};
use crate::error::CallError;
use crate::health::TrapKind;
use crate::limits::{DETAIL_BYTES, Knob};
use crate::native::{Fault, cpu_seconds};
use crate::session::Callee;
use crate::state::State;
use crate::text::printable;
use wasmtime::Trap;

/// Why a call brought no answer, and what that means for the driver's record.
pub(crate) struct Broken {
    pub(crate) error: CallError,
    /// What broke the instance, if that speaks against the driver.
    pub(crate) trap: Option<TrapKind>,
}

impl Callee {
    /// The guest, or the library, did not come back with an answer.
    pub(crate) fn broken(&self, state: &mut State, error: Option<&wasmtime::Error>) -> Broken {
        let text = error.map(|error| format!("{:#}", error.root_cause())).unwrap_or_default();
        let limits = self.limits();
        // These two are private to wasmtime; tests pin the words.
        if text.contains("fuel allocated for hostcalls has been exhausted") {
            let limit = limits.result_bytes;
            state.spend(Knob::ResultBytes, || format!("more than {limit} bytes at once"));
        } else if text.contains("store handle limit exceeded") {
            let limit = limits.handles;
            state.spend(Knob::Handles, || format!("{limit} of {limit} handles"));
        } else if error.and_then(|error| error.downcast_ref()) == Some(&Trap::StackOverflow) {
            let limit = limits.stack_bytes;
            state.spend(Knob::StackBytes, || format!("{limit} of {limit} bytes"));
        }
        let fault = error.and_then(|error| error.downcast_ref::<Fault>());
        let trap = fault.and_then(Fault::trap);
        if trap == Some(TrapKind::Limit) {
            let seconds = cpu_seconds(limits);
            state.spend(Knob::CpuTicks, || format!("{seconds} of {seconds} s of the processor"));
        }
        if let Some(spent) = state.spent.take() {
            self.record.limit_hit(spent.knob);
            let trap = speaks_against_driver(spent.knob).then_some(TrapKind::Limit);
            return Broken { error: CallError::limit(self.name(), spent), trap };
        }
        let driver = || self.name().to_owned();
        match fault {
            Some(Fault::Garbled(what)) => {
                let what = printable(what, DETAIL_BYTES);
                return Broken { error: CallError::BadResult { driver: driver(), what }, trap };
            }
            Some(Fault::Start(error)) => {
                let what = printable(&error.to_string(), 2 * DETAIL_BYTES);
                return Broken { error: CallError::Library { driver: driver(), what }, trap };
            }
            Some(Fault::Ended(_)) | None => {}
        }
        let detail = match state.last_words.take() {
            Some(words) => format!("{words} ({text})"),
            None => text,
        };
        Broken {
            error: CallError::Trap {
                driver: driver(),
                detail: printable(&detail, 2 * DETAIL_BYTES),
            },
            trap: trap.or_else(|| Some(error.map_or(TrapKind::Other, TrapKind::of))),
        }
    }

    /// The driver says itself that it could not. If a limit bit, that is the reason.
    pub(crate) fn failed(&self, state: &mut State, own: Own) -> Broken {
        let error = match state.spent.take() {
            Some(spent) => {
                self.record.limit_hit(spent.knob);
                CallError::limit(self.name(), spent)
            }
            None => CallError::Driver {
                driver: self.name().to_owned(),
                code: own.0.code,
                detail: detail(&own.0.detail),
                device_code: own.0.device_code.map(|code| device_code(&code)),
            },
        };
        Broken { error, trap: None }
    }
}

/// Whether an instance that broke over this limit is the driver's fault. A slow or talkative device
/// can use up time, frames and bytes of a driver that does nothing wrong.
fn speaks_against_driver(knob: Knob) -> bool {
    match knob {
        Knob::MemoryBytes
        | Knob::StackBytes
        | Knob::TableElements
        | Knob::Handles
        | Knob::CpuTicks
        | Knob::VaultRequests
        | Knob::ResultBytes => true,
        Knob::ComponentBytes
        | Knob::NameBytes
        | Knob::CompileCpuSeconds
        | Knob::CompileMemoryBytes
        | Knob::Wall
        | Knob::Exchanges
        | Knob::LineBytes
        | Knob::LogLines
        | Knob::LogLineBytes
        | Knob::LogLinesPerSecond
        | Knob::LogBytesPerSecond
        | Knob::ConcurrentCalls
        | Knob::Traps => false,
    }
}

/// The driver's own error: a record, or from `decode` a mere text.
pub(crate) struct Own(types::DriverError);

impl From<types::DriverError> for Own {
    fn from(error: types::DriverError) -> Self {
        Own(error)
    }
}

impl From<String> for Own {
    fn from(detail: String) -> Self {
        /// `driver-error.code`: garbled.
        const GARBLED: u16 = 2;
        Own(types::DriverError { code: GARBLED, detail, device_code: None })
    }
}

impl From<std::convert::Infallible> for Own {
    fn from(never: std::convert::Infallible) -> Self {
        match never {}
    }
}

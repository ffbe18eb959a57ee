//! One call of a driver: an instance, the line lent to it, the bounds around it, and how it ended.
//!
//! Invariant: whatever happens in the guest, the line is back with the caller when this returns,
//! and an instance that saw anything but a clean answer is thrown away.
//! Not here: which function is called (driver), what an ending means (outcome).

use crate::bindings::exports::polymeter::driver::{frames, meter};
use crate::bindings::polymeter::driver::types;
use crate::carried::Carried;
use crate::convert::{Checked, detail, device_code};
use crate::engine::{HANDLES, Shared};
use crate::error::CallError;
use crate::limits::{
    DETAIL_BYTES, Knob, Limits, Spent, WARM_CALLS, WARM_INSTANCES_PER_DRIVER, WARM_TIME,
};
use crate::load::DriverConfig;
use crate::outcome::Ended;
use crate::state::State;
use crate::text::printable;
use polymeter_transcript::{Outcome, Request};
use polymeter_transport::LineLease;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Instant;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wasmtime::Store;
use wasmtime::component::{Instance, InstancePre};

/// A component, linked and ready to be called.
pub(crate) struct Callee {
    pub(crate) config: DriverConfig,
    pub(crate) linked: InstancePre<State>,
    name: Arc<str>,
    /// Name and version, for recordings; known once it has described itself.
    pub(crate) label: OnceLock<Arc<str>>,
    shared: Arc<Shared>,
    /// One permit per call of this driver.
    permits: Semaphore,
    warm: Mutex<Vec<Warm>>,
}

/// An instance in a store of its own.
pub(crate) struct Session {
    pub(crate) store: Store<State>,
    pub(crate) instance: Instance,
    /// Kept, because looking a function up costs as much as calling it.
    pub(crate) meter: Option<meter::Guest>,
    pub(crate) frames: Option<frames::Guest>,
    calls: u32,
    born: Instant,
}

/// A session that waits for the next read, with its place among the warm ones.
struct Warm {
    session: Session,
    _place: OwnedSemaphorePermit,
}

/// Whether a call may use an instance that answered another call before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Instances {
    Fresh,
    MayBeWarm,
}

impl Session {
    /// The call that is about to be made, for its recording.
    pub(crate) fn asked(&mut self, request: impl FnOnce() -> Request) {
        self.store.data_mut().recorder.asked(request);
    }

    /// What the driver answered, for the recording of the call.
    pub(crate) fn said<W, E>(&mut self, answer: Result<W, E>) -> wasmtime::Result<Result<W, E>>
    where
        W: Clone + Carried<Outcome>,
        E: Clone + Carried<Outcome>,
    {
        self.store.data_mut().recorder.answered(|| answer.clone().carried());
        Ok(answer)
    }

    fn is_worn(&self) -> bool {
        self.calls >= WARM_CALLS || self.born.elapsed() >= WARM_TIME
    }
}

impl Callee {
    pub(crate) fn new(
        config: DriverConfig,
        linked: InstancePre<State>,
        shared: Arc<Shared>,
    ) -> Self {
        Self {
            name: config.name.as_str().into(),
            label: OnceLock::new(),
            permits: Semaphore::new(config.limits.concurrent_calls),
            warm: Mutex::default(),
            config,
            linked,
            shared,
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    fn limits(&self) -> &Limits {
        &self.config.limits
    }

    /// Runs `ask` on an instance that has the line, and `convert` on what it answers. The wall time
    /// begins when an instance is free.
    pub(crate) async fn call<W, E, T>(
        &self,
        instances: Instances,
        mut line: Option<&mut LineLease>,
        ask: impl AsyncFnOnce(&mut Session) -> wasmtime::Result<Result<W, E>>,
        convert: impl FnOnce(W) -> Checked<T>,
    ) -> Ended<T>
    where
        E: Into<Own>,
    {
        // Both are never closed, so both are only ever waited for.
        let _of_driver = self.permits.acquire().await;
        let _of_engine = self.shared.calls.acquire().await;
        let deadline = tokio::time::Instant::now() + self.limits().wall;

        let mut session = match self.session(instances).await {
            Ok(session) => session,
            Err(error) => return Ended { answer: Err(error), sent: false },
        };
        let sent_before = line.as_ref().map_or(0, |line| line.bytes_sent());
        let on_line = line.as_ref().filter(|_| self.shared.recordings.is_on());
        session.store.data_mut().recorder.begin(on_line.map(|line| line.name()));
        session.store.data_mut().begin(line.as_mut().map(|line| line.take()));
        session.store.set_epoch_deadline(1);
        let answer = tokio::time::timeout_at(deadline, ask(&mut session)).await;

        let state = session.store.data_mut();
        let mut sent = false;
        if let (Some(line), Some(lease)) = (line, state.lease.take()) {
            *line = lease;
            sent = line.bytes_sent() > sent_before;
        }
        let dropped = state.log_lines_dropped();
        if dropped > 0 {
            let (driver, limit) = (self.name(), self.limits().log_lines);
            let key = Knob::LogLines.config_key();
            tracing::warn!(
                driver,
                dropped,
                "it wrote more than {limit} log lines in one call: raise {key} if that is meant"
            );
        }
        let answer = match answer {
            Err(_) => {
                let wall_ms = self.limits().wall.as_millis();
                state.spend(Knob::Wall, || format!("{wall_ms} of {wall_ms} ms"));
                Err(self.broken(state, None))
            }
            Ok(Err(error)) => Err(self.broken(state, Some(&error))),
            Ok(Ok(Err(own))) => Err(self.failed(state, own.into())),
            Ok(Ok(Ok(answer))) => convert(answer)
                .map_err(|what| CallError::BadResult { driver: self.name().to_owned(), what }),
        };
        self.keep_recording(state, sent, answer.as_ref().err());
        if answer.is_ok() && instances == Instances::MayBeWarm {
            self.keep(session);
        }
        Ended { answer, sent }
    }

    async fn session(&self, instances: Instances) -> Result<Session, CallError> {
        if instances == Instances::MayBeWarm {
            let mut warm = self.warm.lock().unwrap_or_else(PoisonError::into_inner);
            while let Some(Warm { session, _place }) = warm.pop() {
                if !session.is_worn() {
                    return Ok(session);
                }
            }
        }
        let state = State::new(
            Arc::clone(&self.name),
            self.config.scope(),
            Arc::clone(&self.shared.vault),
            self.limits().clone(),
        );
        let mut store = Store::new(&self.shared.engine, state);
        store.limiter(|state| state);
        store.set_hostcall_fuel(self.limits().result_bytes);
        store.set_max_component_handles(HANDLES);
        store.epoch_deadline_callback(|mut context| context.data_mut().at_tick());
        store.set_epoch_deadline(1);
        // Start functions are guest code; they have no line to wait for, so the epoch bounds them.
        match self.linked.instantiate_async(&mut store).await {
            Ok(instance) => {
                let born = Instant::now();
                Ok(Session { store, instance, meter: None, frames: None, calls: 0, born })
            }
            Err(error) => Err(self.broken(store.data_mut(), Some(&error))),
        }
    }

    /// Of a driver that is only looked at there is nothing to keep.
    fn keep_recording(&self, state: &mut State, sent: bool, error: Option<&CallError>) {
        let Some(vendor) = self.config.vendor.clone() else { return };
        let driver = Arc::clone(self.label.get().unwrap_or(&self.name));
        let limits = self.limits();
        if let Some(recording) = state.recorder.finish(driver, vendor, limits, sent, error) {
            self.shared.recordings.keep(recording);
        }
    }

    pub(crate) fn recordings(&self) -> &crate::Recordings {
        &self.shared.recordings
    }

    /// Back among the warm ones, unless it is worn or there are enough of them.
    fn keep(&self, mut session: Session) {
        session.calls += 1;
        if session.is_worn() {
            return;
        }
        let Ok(place) = Arc::clone(&self.shared.warm).try_acquire_owned() else { return };
        let mut warm = self.warm.lock().unwrap_or_else(PoisonError::into_inner);
        if warm.len() < WARM_INSTANCES_PER_DRIVER {
            warm.push(Warm { session, _place: place });
        }
    }

    /// The guest did not come back with an answer.
    fn broken(&self, state: &mut State, error: Option<&wasmtime::Error>) -> CallError {
        let text = error.map(|error| format!("{:#}", error.root_cause())).unwrap_or_default();
        // The type is private to wasmtime; a test pins the words.
        if text.contains("fuel allocated for hostcalls has been exhausted") {
            let limit = self.limits().result_bytes;
            state.spend(Knob::ResultBytes, || format!("more than {limit} bytes at once"));
        }
        if let Some(spent) = state.spent.take() {
            return CallError::limit(self.name(), spent);
        }
        let detail = match state.last_words.take() {
            Some(words) => format!("{words} ({text})"),
            None => text,
        };
        CallError::Trap {
            driver: self.name().to_owned(),
            detail: printable(&detail, 2 * DETAIL_BYTES),
        }
    }

    /// The driver says itself that it could not. If a limit bit, that is the reason.
    fn failed(&self, state: &mut State, own: Own) -> CallError {
        match state.spent.take() {
            Some(Spent { knob, used }) => CallError::limit(self.name(), Spent { knob, used }),
            None => CallError::Driver {
                driver: self.name().to_owned(),
                code: own.0.code,
                detail: detail(&own.0.detail),
                device_code: own.0.device_code.map(|code| device_code(&code)),
            },
        }
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

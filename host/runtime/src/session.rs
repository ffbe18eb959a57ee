//! One call of a driver: an instance, the line lent to it, the bounds around it, and how it ended.
//!
//! Invariant: whatever happens in the guest, the line is back with the caller when this returns,
//! and an instance that saw anything but a clean answer is thrown away.
//! Not here: which function is called (driver), what an ending means (outcome).

use crate::bindings::exports::polymeter::driver::{frames, meter};
use crate::bindings::polymeter::driver::types;
use crate::carried::Carried;
use crate::convert::{Checked, detail, device_code};
use crate::engine::Shared;
use crate::error::CallError;
use crate::health::{Admission, Ending, Record, TrapKind};
use crate::journal::Journal;
use crate::limits::{
    COMPLAINT_INTERVAL, DETAIL_BYTES, Knob, Limits, WARM_CALLS, WARM_INSTANCES_PER_DRIVER,
    WARM_TIME,
};
use crate::load::DriverConfig;
use crate::outcome::Ended;
use crate::state::State;
use crate::text::printable;
use polymeter_transcript::{Outcome, Request};
use polymeter_transport::LineLease;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Instant;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};
use wasmtime::component::{Instance, InstancePre};
use wasmtime::{Store, Trap};

/// A component, linked and ready to be called.
pub(crate) struct Callee {
    pub(crate) config: DriverConfig,
    pub(crate) linked: InstancePre<State>,
    pub(crate) record: Record,
    pub(crate) journal: Arc<Journal>,
    name: Arc<str>,
    /// Name and version, for recordings; known once it has described itself.
    pub(crate) label: OnceLock<Arc<str>>,
    shared: Arc<Shared>,
    /// When it was last said that calls wait.
    complained: Mutex<Option<Instant>>,
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

/// What kind of call it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    /// Changes nothing; may use an instance that answered another call before.
    LookWarm,
    /// Changes nothing, in a fresh instance.
    Look,
    /// Changes the device, in a fresh instance.
    Change,
}

/// Why a call brought no answer, and what that means for the driver's record.
struct Broken {
    error: CallError,
    /// What broke the instance, if that speaks against the driver.
    trap: Option<TrapKind>,
}

/// A call that runs. Dropped before its end it counts as cancelled.
struct Running<'a> {
    record: &'a Record,
    has_ended: bool,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if !self.has_ended {
            self.record.cancelled();
        }
    }
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
            record: Record::new(config.limits.traps),
            journal: Arc::new(Journal::new(&config.limits, Instant::now())),
            complained: Mutex::default(),
            name: config.name.as_str().into(),
            label: OnceLock::new(),
            permits: Semaphore::new(config.limits.concurrent_calls),
            warm: Mutex::default(),
            config,
            linked,
            shared,
        }
    }

    /// The same component with a record, a journal and turns of its own: for calls that say nothing
    /// about how the driver is doing.
    pub(crate) fn understudy(&self) -> Callee {
        let limits = Limits { traps: u32::MAX, ..self.limits().clone() };
        let config = DriverConfig { limits, ..self.config.clone() };
        Callee::new(config, self.linked.clone(), Arc::clone(&self.shared))
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
        act: Act,
        line: Option<&mut LineLease>,
        ask: impl AsyncFnOnce(&mut Session) -> wasmtime::Result<Result<W, E>>,
        convert: impl FnOnce(W) -> Checked<T>,
    ) -> Ended<T>
    where
        E: Into<Own>,
    {
        if let Err(error) = self.admitted().await {
            return Ended { answer: Err(error), sent: false };
        }
        self.record.begin();
        let mut running = Running { record: &self.record, has_ended: false };
        let _of_driver = self.turn().await;
        // Never closed, so only ever waited for.
        let _of_engine = self.shared.calls.acquire().await;
        let began = Instant::now();
        let (answer, sent) = self.run(act, line, ask, convert).await;
        running.has_ended = true;
        self.note(act, began, &answer);
        Ended { answer: answer.map_err(|broken| broken.error), sent }
    }

    /// Waits while the driver rests; refuses at once while it is in quarantine.
    async fn admitted(&self) -> Result<(), CallError> {
        loop {
            match self.record.admit(Instant::now()) {
                Admission::Now => return Ok(()),
                Admission::After(rest) => tokio::time::sleep(rest).await,
                Admission::Refused { more, reason } => {
                    return Err(CallError::Quarantined {
                        driver: self.name().to_owned(),
                        reason,
                        more_seconds: more.as_secs() + 1,
                    });
                }
            }
        }
    }

    /// The right to run one more call of this driver.
    async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        if let Ok(permit) = self.permits.try_acquire() {
            return Some(permit);
        }
        self.record.limit_hit(Knob::ConcurrentCalls);
        self.tell_waiting(Instant::now());
        // Never closed, so only ever waited for.
        self.permits.acquire().await.ok()
    }

    fn tell_waiting(&self, now: Instant) {
        let mut complained = self.complained.lock().unwrap_or_else(PoisonError::into_inner);
        if complained.is_some_and(|last| now.duration_since(last) < COMPLAINT_INTERVAL) {
            return;
        }
        *complained = Some(now);
        let (driver, limit) = (self.name(), self.limits().concurrent_calls);
        let (name, key) = (Knob::ConcurrentCalls.name(), Knob::ConcurrentCalls.config_key());
        tracing::warn!(
            driver,
            "as many of its calls run as {name} of {limit} allows, others wait: raise {key} if \
             that is meant"
        );
    }

    async fn run<W, E, T>(
        &self,
        act: Act,
        mut line: Option<&mut LineLease>,
        ask: impl AsyncFnOnce(&mut Session) -> wasmtime::Result<Result<W, E>>,
        convert: impl FnOnce(W) -> Checked<T>,
    ) -> (Result<T, Broken>, bool)
    where
        E: Into<Own>,
    {
        let deadline = tokio::time::Instant::now() + self.limits().wall;
        let mut session = match self.session(act).await {
            Ok(session) => session,
            Err(broken) => return (Err(broken), false),
        };
        let sent_before = line.as_ref().map_or(0, |line| line.bytes_sent());
        let on_line = line.as_ref().filter(|_| self.shared.recordings.is_on());
        session.store.data_mut().recorder.begin(on_line.map(|line| line.name()));
        let lease = line.as_mut().map(|line| line.take());
        session.store.data_mut().begin(lease, self.shared.vault());
        session.store.set_epoch_deadline(1);
        let answer = tokio::time::timeout_at(deadline, ask(&mut session)).await;

        let state = session.store.data_mut();
        let mut sent = false;
        if let (Some(line), Some(lease)) = (line, state.lease.take()) {
            *line = lease;
            sent = line.bytes_sent() > sent_before;
        }
        self.tell_dropped_lines(state);
        let answer = match answer {
            Err(_) => {
                let wall_ms = self.limits().wall.as_millis();
                state.spend(Knob::Wall, || format!("{wall_ms} of {wall_ms} ms"));
                Err(self.broken(state, None))
            }
            Ok(Err(error)) => Err(self.broken(state, Some(&error))),
            Ok(Ok(Err(own))) => Err(self.failed(state, own.into())),
            Ok(Ok(Ok(answer))) => convert(answer).map_err(|what| Broken {
                error: CallError::BadResult { driver: self.name().to_owned(), what },
                trap: None,
            }),
        };
        let error = answer.as_ref().err().map(|broken| &broken.error);
        self.keep_recording(state, sent, error);
        if answer.is_ok() && act == Act::LookWarm {
            self.keep(session);
        }
        (answer, sent)
    }

    /// Into the record; a person is called when the driver is put into quarantine.
    fn note<T>(&self, act: Act, began: Instant, answer: &Result<T, Broken>) {
        let now = Instant::now();
        let text;
        let ending = match answer {
            Ok(_) => Ending::Answered,
            Err(Broken { trap: None, .. }) => Ending::Failed,
            Err(Broken { trap: Some(kind), error }) => {
                text = error.to_string();
                Ending::Trapped(*kind, &text)
            }
        };
        let took = now.saturating_duration_since(began);
        if let Some(reason) = self.record.end(now, took, act == Act::Change, &ending) {
            let driver = self.name();
            tracing::error!(
                driver,
                reason,
                "in quarantine: its calls are answered at once and send nothing; see polymeter \
                 driver logs, and release it when it is mended"
            );
        }
    }

    fn tell_dropped_lines(&self, state: &State) {
        let Some((lines, knob)) = state.log_lines_dropped() else { return };
        self.record.limit_hit(knob);
        self.record.log_lines_dropped(lines);
        if let Some(dropped) = self.journal.dropped(Instant::now(), lines) {
            let (driver, limit) = (self.name(), self.limits().get(knob));
            let (name, key) = (knob.name(), knob.config_key());
            tracing::warn!(
                driver,
                dropped,
                "it writes more into the log than {name} of {limit} allows: raise {key} if that is \
                 meant"
            );
        }
    }

    async fn session(&self, act: Act) -> Result<Session, Broken> {
        if act == Act::LookWarm {
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
            self.shared.vault(),
            self.limits().clone(),
            Arc::clone(&self.journal),
        );
        let mut store = Store::new(self.linked.engine(), state);
        store.limiter(|state| state);
        store.set_hostcall_fuel(self.limits().result_bytes);
        store.set_max_component_handles(self.limits().handles);
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
        if !state.recorder.is_on() {
            return;
        }
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
    fn broken(&self, state: &mut State, error: Option<&wasmtime::Error>) -> Broken {
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
        if let Some(spent) = state.spent.take() {
            self.record.limit_hit(spent.knob);
            let trap = speaks_against_driver(spent.knob).then_some(TrapKind::Limit);
            return Broken { error: CallError::limit(self.name(), spent), trap };
        }
        let detail = match state.last_words.take() {
            Some(words) => format!("{words} ({text})"),
            None => text,
        };
        Broken {
            error: CallError::Trap {
                driver: self.name().to_owned(),
                detail: printable(&detail, 2 * DETAIL_BYTES),
            },
            trap: Some(error.map_or(TrapKind::Other, TrapKind::of)),
        }
    }

    /// The driver says itself that it could not. If a limit bit, that is the reason.
    fn failed(&self, state: &mut State, own: Own) -> Broken {
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

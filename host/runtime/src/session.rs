//! One call of a driver: an instance, the line lent to it, the bounds around it, and how it ended.
//!
//! Invariant: whatever happens in the guest, line or card is back with the caller when this returns,
//! and an instance that saw anything but a clean answer is thrown away.
//! Not here: which function is called (driver), what an ending means (outcome).

use crate::bindings::exports::polymeter::driver::{frames, meter};
use crate::breakage::{Broken, Own};
use crate::carried::Carried;
use crate::convert::Checked;
use crate::engine::Shared;
use crate::error::CallError;
use crate::health::{Admission, Ending, Record};
use crate::journal::Journal;
use crate::limits::{
    COMPLAINT_INTERVAL, Knob, Limits, WARM_CALLS, WARM_INSTANCES_PER_DRIVER, WARM_TIME,
};
use crate::load::DriverConfig;
use crate::native::{Called, Native};
use crate::outcome::Ended;
use crate::recording::CARDS;
use crate::slot::{self, Seen};
use crate::state::State;
use polymeter_transcript::{Outcome, Request};
use polymeter_transport::{CardLease, LineLease};
use polymeter_vault::Vault;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Instant;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};
use wasmtime::Store;
use wasmtime::component::{Instance, InstancePre};

/// A component, linked, or a library, loaded: ready to be called.
pub(crate) struct Callee {
    pub(crate) config: DriverConfig,
    source: Source,
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

/// What sessions are made of.
#[derive(Clone)]
pub(crate) enum Source {
    Component(InstancePre<State>),
    Library(Arc<Native>),
}

/// Somebody who can be asked.
pub(crate) struct Session {
    pub(crate) guest: Guest,
    calls: u32,
    born: Instant,
}

pub(crate) enum Guest {
    Instance(Box<Placed>),
    Library(Box<Called>),
}

/// An instance in a store of its own.
pub(crate) struct Placed {
    pub(crate) store: Store<State>,
    pub(crate) instance: Instance,
    /// Kept, because looking a function up costs as much as calling it.
    pub(crate) meter: Option<meter::Guest>,
    pub(crate) frames: Option<frames::Guest>,
}

/// A session that waits for the next read, with its place among the warm ones.
struct Warm {
    session: Session,
    _place: OwnedSemaphorePermit,
}

/// What a call may use while it lasts.
pub(crate) enum Lent<'a> {
    Nothing,
    Line(&'a mut LineLease),
    /// A card, and what was seen of it.
    Card(&'a mut CardLease, &'a mut Seen),
}

impl<'a> From<Option<&'a mut LineLease>> for Lent<'a> {
    fn from(line: Option<&'a mut LineLease>) -> Self {
        line.map_or(Lent::Nothing, Lent::Line)
    }
}

impl Lent<'_> {
    /// What recordings are kept under; none where there is no device.
    fn name(&self) -> Option<&str> {
        match self {
            Lent::Nothing => None,
            Lent::Line(line) => Some(line.name()),
            Lent::Card(..) => Some(CARDS),
        }
    }

    fn bytes_sent(&self) -> u64 {
        match self {
            Lent::Line(line) => line.bytes_sent(),
            Lent::Nothing | Lent::Card(..) => 0,
        }
    }

    /// Into the state of the call that begins.
    fn give(&mut self, state: &mut State, vault: Arc<Vault>) {
        match self {
            Lent::Nothing => state.begin(None, vault),
            Lent::Line(line) => state.begin(Some(line.take()), vault),
            Lent::Card(card, _) => {
                state.begin(None, vault);
                state.card = Some(slot::Lent { lease: card.take(), seen: Seen::default() });
            }
        }
    }

    /// Back from the call that is over; whether the device may be another since.
    fn take_back(&mut self, state: &mut State, sent_before: u64) -> bool {
        match self {
            Lent::Nothing => false,
            Lent::Line(line) => {
                let Some(lease) = state.lease.take() else { return false };
                **line = lease;
                line.bytes_sent() > sent_before
            }
            Lent::Card(card, seen) => {
                let Some(slot::Lent { lease, seen: found }) = state.card.take() else {
                    return false;
                };
                **card = lease;
                **seen = found;
                found.changed
            }
        }
    }

    /// As the recording has it: a driver that looked at a card and was told yes or no did ask it.
    fn asked(&self, state: &State, sent: bool, answered: bool) -> bool {
        let looked = matches!(self, Lent::Card(_, seen) if seen.answered);
        sent || (looked && answered && state.recorder.is_clear())
    }
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
    fn new(guest: Guest) -> Self {
        Self { guest, calls: 0, born: Instant::now() }
    }

    pub(crate) fn state(&mut self) -> &mut State {
        match &mut self.guest {
            Guest::Instance(placed) => placed.store.data_mut(),
            Guest::Library(called) => &mut called.state,
        }
    }

    /// Where the component is; an error in a library's session.
    pub(crate) fn placed(&mut self) -> wasmtime::Result<&mut Placed> {
        match &mut self.guest {
            Guest::Instance(placed) => Ok(placed),
            Guest::Library(_) => Err(wasmtime::Error::msg("a library has no instance")),
        }
    }

    /// The call that is about to be made, for its recording.
    pub(crate) fn asked(&mut self, request: impl FnOnce() -> Request) {
        self.state().recorder.asked(request);
    }

    /// What the driver answered, for the recording of the call.
    pub(crate) fn said<W, E>(&mut self, answer: Result<W, E>) -> wasmtime::Result<Result<W, E>>
    where
        W: Clone + Carried<Outcome>,
        E: Clone + Carried<Outcome>,
    {
        self.state().recorder.answered(|| answer.clone().carried());
        Ok(answer)
    }

    fn is_worn(&self) -> bool {
        self.calls >= WARM_CALLS || self.born.elapsed() >= WARM_TIME
    }
}

impl Callee {
    pub(crate) fn new(config: DriverConfig, source: Source, shared: Arc<Shared>) -> Self {
        Self {
            record: Record::new(config.limits.traps),
            journal: Arc::new(Journal::new(&config.limits, Instant::now())),
            complained: Mutex::default(),
            name: config.name.as_str().into(),
            label: OnceLock::new(),
            permits: Semaphore::new(config.limits.concurrent_calls),
            warm: Mutex::default(),
            config,
            source,
            shared,
        }
    }

    /// The same driver with a record, a journal and turns of its own: for calls that say nothing
    /// about how the driver is doing.
    pub(crate) fn understudy(&self) -> Callee {
        let limits = Limits { traps: u32::MAX, ..self.limits().clone() };
        let config = DriverConfig { limits, ..self.config.clone() };
        Callee::new(config, self.source.clone(), Arc::clone(&self.shared))
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.config.limits
    }

    /// Runs `ask` on an instance that has the line or card, and `convert` on what it answers. The wall time
    /// begins when an instance is free.
    pub(crate) async fn call<W, E, T>(
        &self,
        act: Act,
        lent: impl Into<Lent<'_>>,
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
        let (answer, sent) = self.run(act, lent.into(), ask, convert).await;
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
        mut lent: Lent<'_>,
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
        let sent_before = lent.bytes_sent();
        let recorded = lent.name().filter(|_| self.shared.recordings.is_on());
        session.state().recorder.begin(recorded);
        lent.give(session.state(), self.shared.vault());
        if let Guest::Instance(placed) = &mut session.guest {
            placed.store.set_epoch_deadline(1);
        }
        let answer = tokio::time::timeout_at(deadline, ask(&mut session)).await;

        let state = session.state();
        let sent = lent.take_back(state, sent_before);
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
        let asked = lent.asked(state, sent, error.is_none());
        self.keep_recording(state, asked, error);
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
        let linked = match &self.source {
            Source::Component(linked) => linked,
            Source::Library(native) => {
                let called = Called::new(state, Arc::clone(native));
                return Ok(Session::new(Guest::Library(Box::new(called))));
            }
        };
        let mut store = Store::new(linked.engine(), state);
        store.limiter(|state| state);
        store.set_hostcall_fuel(self.limits().result_bytes);
        store.set_max_component_handles(self.limits().handles);
        store.epoch_deadline_callback(|mut context| context.data_mut().at_tick());
        store.set_epoch_deadline(1);
        // Start functions are guest code; they have no line to wait for, so the epoch bounds them.
        match linked.instantiate_async(&mut store).await {
            Ok(instance) => {
                let placed = Placed { store, instance, meter: None, frames: None };
                Ok(Session::new(Guest::Instance(Box::new(placed))))
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
        // A library's process has ended with its call.
        if session.is_worn() || matches!(session.guest, Guest::Library(_)) {
            return;
        }
        let Ok(place) = Arc::clone(&self.shared.warm).try_acquire_owned() else { return };
        let mut warm = self.warm.lock().unwrap_or_else(PoisonError::into_inner);
        if warm.len() < WARM_INSTANCES_PER_DRIVER {
            warm.push(Warm { session, _place: place });
        }
    }
}

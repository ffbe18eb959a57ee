//! One call of a driver, written down while it ran.
//!
//! Invariants: what was encrypted and what was decrypted are masked before they are kept, so that no
//! recording holds a plaintext of the vault; a recording has room for [`STEPS`] and [`STEP_BYTES`],
//! what comes after is counted. It is made text only when somebody asks. Not here: who keeps it.

use crate::error::CallError;
use crate::limits::{
    Limits, RECORDED_LOG_LINES as LOG_LINES, RECORDED_STEP_BYTES as STEP_BYTES,
    RECORDED_STEPS as STEPS,
};
use polymeter_domain::VendorCode;
use polymeter_transcript::{
    Content, Entry, Fault, Function, Level, LocalTime, Outcome, Request, Secret, SellOutcome,
    SlotAct, SlotAnswer, Step, Transcript, VaultAct, rendered,
};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A call that is over.
#[derive(Debug, Clone)]
pub struct Recording {
    /// The driver's name in the configuration and its version.
    pub driver: Arc<str>,
    pub vendor: VendorCode,
    pub line: String,
    pub request: Request,
    pub took: Duration,
    /// Whether a byte may have left the host.
    pub sent: bool,
    entries: Vec<Entry>,
    unwritten: u64,
    outcome: Outcome,
    /// Why the host got no answer, if it got none.
    error: Option<CallError>,
    limits: Limits,
    bytes: usize,
}

/// Where recordings of cards stand in place of a line: no line has such a name.
pub(crate) const CARDS: &str = "(card)";

/// How a recorded call ended, at a glance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordingEnd {
    /// The driver answered, and what it answered is a yes or a value.
    Answered,
    Refused,
    NotSent,
    /// Nobody knows what the device did.
    Unknown,
    /// No answer, of a call that changes nothing.
    Failed,
}

impl Recording {
    /// The call's nonce, which no other call has.
    pub fn id(&self) -> String {
        let nonce = self.request.told().map(|told| told.nonce.as_slice()).unwrap_or_default();
        nonce.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// When the call was made, by the site's clock.
    pub fn at(&self) -> Option<LocalTime> {
        self.request.told().map(|told| told.now)
    }

    pub fn function(&self) -> Function {
        self.request.function()
    }

    /// What the device is called; empty where no device was asked.
    pub fn address(&self) -> &str {
        self.request.told().map_or("", |told| &told.address)
    }

    /// Roughly what it takes in memory.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub fn end(&self) -> RecordingEnd {
        use polymeter_transcript::{ClockOutcome, ControlOutcome, SetOutcome};
        match (self.function().is_act(), &self.error, &self.outcome) {
            (true, _, _) if !self.sent => RecordingEnd::NotSent,
            (true, Some(_), _) => RecordingEnd::Unknown,
            (false, Some(_), _) => RecordingEnd::Failed,
            (
                _,
                None,
                Outcome::Sell(SellOutcome::Refused(_))
                | Outcome::Control(ControlOutcome::Refused(_))
                | Outcome::Set(SetOutcome::Refused(_))
                | Outcome::Clock(ClockOutcome::Refused(_)),
            ) => RecordingEnd::Refused,
            (
                _,
                None,
                Outcome::Sell(SellOutcome::Unknown(_))
                | Outcome::Control(ControlOutcome::Unknown(_))
                | Outcome::Set(SetOutcome::Unknown(_))
                | Outcome::Clock(ClockOutcome::Unknown(_)),
            ) => RecordingEnd::Unknown,
            (_, None, _) => RecordingEnd::Answered,
        }
    }

    /// The recording in the one format. It reads back, and replays.
    pub fn transcript(&self) -> Transcript {
        let at = self.at().map(|at| at.to_string()).unwrap_or_default();
        let of =
            if self.line == CARDS { "a card".to_owned() } else { format!("line {}", self.line) };
        let took = self.took.as_micros();
        let took = format!("{}.{:03} ms", took / 1_000, took % 1_000);
        let mut entries = self.entries.clone();
        if self.unwritten > 0 {
            entries.push(Entry::untimed(Step::Unwritten { steps: self.unwritten }));
        }
        Transcript {
            name: format!("recording {}", self.id()),
            source: format!("recorded {at} on {of}, took {took}"),
            driver: Some(self.driver.to_string()),
            limits: self.limits.named(),
            request: self.request.clone(),
            request_line: 0,
            entries,
            result: rendered(&self.outcome),
            result_line: 0,
            verdict: verdict(self.function(), self.sent, self.error.as_ref()),
        }
    }
}

/// What the host made of a call, where that is not what the driver said.
pub(crate) fn verdict(function: Function, sent: bool, error: Option<&CallError>) -> Option<String> {
    match (function.is_act(), error) {
        (true, None) if !sent && function.interface() == "card" => {
            Some("not-sent the card was not changed".to_owned())
        }
        (true, None) if !sent => Some("not-sent no byte left the host".to_owned()),
        (true, Some(error)) if !sent => Some(format!("not-sent {error}")),
        (true, Some(error)) => Some(format!("unknown {error}")),
        (false, Some(error)) if !matches!(error, CallError::Driver { .. }) => {
            Some(format!("failed {error}"))
        }
        (_, _) => None,
    }
}

/// Writes one call down. Empty, and nearly free, while recording is off.
#[derive(Debug, Default)]
pub(crate) struct Recorder {
    open: Option<Box<Open>>,
}

#[derive(Debug)]
struct Open {
    began: Instant,
    line: String,
    request: Option<Request>,
    entries: Vec<Entry>,
    bytes: usize,
    unwritten: u64,
    logged: usize,
    /// A step on the line that has begun; as it will stand there if it never ends.
    under_way: Option<Step>,
    outcome: Option<Outcome>,
}

impl Recorder {
    /// `line`: the name of the line that the call has; without one nothing is written down.
    pub(crate) fn begin(&mut self, line: Option<&str>) {
        self.open = line.map(|line| {
            Box::new(Open {
                began: Instant::now(),
                line: line.to_owned(),
                request: None,
                entries: Vec::new(),
                bytes: 0,
                unwritten: 0,
                logged: 0,
                under_way: None,
                outcome: None,
            })
        });
    }

    pub(crate) fn asked(&mut self, request: impl FnOnce() -> Request) {
        if let Some(open) = &mut self.open {
            open.request = Some(request());
        }
    }

    pub(crate) fn answered(&mut self, outcome: impl FnOnce() -> Outcome) {
        if let Some(open) = &mut self.open {
            open.outcome = Some(outcome());
        }
    }

    pub(crate) fn sending(&mut self, bytes: &[u8]) {
        self.under_way(|| Step::Send { bytes: Some(bytes.to_vec()), answer: Err(Fault::CutOff) });
    }

    pub(crate) fn receiving(&mut self, want: u32) {
        self.under_way(|| Step::Receive { want: Some(want), answer: Err(Fault::CutOff) });
    }

    fn under_way(&mut self, step: impl FnOnce() -> Step) {
        if let Some(open) = &mut self.open {
            open.under_way = Some(step());
        }
    }

    /// The frame that was being sent is sent, or not.
    pub(crate) fn sent(&mut self, answer: Result<(), Fault>) {
        let Some(open) = &mut self.open else { return };
        if let Some(Step::Send { bytes, .. }) = open.under_way.take() {
            open.push(Step::Send { bytes, answer });
        }
    }

    pub(crate) fn received(&mut self, answer: Result<&[u8], Fault>) {
        let Some(open) = &mut self.open else { return };
        if let Some(Step::Receive { want, .. }) = open.under_way.take() {
            open.push(Step::Receive { want, answer: answer.map(<[u8]>::to_vec) });
        }
    }

    /// A receive that was given up in favour of something else, which took nothing from the line.
    pub(crate) fn not_received(&mut self) {
        if let Some(open) = &mut self.open {
            open.under_way = None;
        }
    }

    pub(crate) fn drained(&mut self, answer: Result<u32, Fault>) {
        if let Some(open) = &mut self.open {
            open.push(Step::Drain { answer });
        }
    }

    /// What is asked of a card names no secret but by its key.
    pub(crate) fn asking_card(&mut self, act: &SlotAct) {
        self.under_way(|| Step::Slot { act: act.clone(), answer: Err(Fault::CutOff) });
    }

    pub(crate) fn card_answered(&mut self, answer: Result<SlotAnswer, Fault>) {
        let Some(open) = &mut self.open else { return };
        if let Some(Step::Slot { act, .. }) = open.under_way.take() {
            open.push(Step::Slot { act, answer });
        }
    }

    /// Whether the driver said that it was done, or that it was refused.
    pub(crate) fn is_clear(&self) -> bool {
        let outcome = self.open.as_ref().and_then(|open| open.outcome.as_ref());
        outcome.is_some_and(is_clear)
    }

    /// `answer` is what the vault said; what is secret of it is masked here.
    pub(crate) fn vault(&mut self, act: &VaultAct, answer: Result<&[u8], Fault>) {
        if let Some(open) = &mut self.open {
            let answer = answer.map(|bytes| Content::Plain(bytes.to_vec()));
            open.push(Step::Vault { act: act.clone(), answer }.hidden());
        }
    }

    /// A driver that talks too much must not push its own frames out of the recording.
    pub(crate) fn log(&mut self, level: Level, message: &str, most: usize) {
        if let Some(open) = &mut self.open
            && open.logged < LOG_LINES
        {
            open.logged += 1;
            let message = message.get(..message.floor_char_boundary(most)).unwrap_or_default();
            open.push(Step::Log { level, message: message.to_owned() });
        }
    }

    pub(crate) fn is_on(&self) -> bool {
        self.open.is_some()
    }

    /// `None` where nothing was asked of a device, or recording is off.
    pub(crate) fn finish(
        &mut self,
        driver: Arc<str>,
        vendor: VendorCode,
        limits: &Limits,
        sent: bool,
        error: Option<&CallError>,
    ) -> Option<Recording> {
        let mut open = self.open.take()?;
        let request = open.request.take()?;
        if let Some(step) = open.under_way.take() {
            open.push(step);
        }
        let outcome = open.outcome.take().or_else(|| error.map(broken_off))?;
        Some(Recording {
            driver,
            vendor,
            took: open.began.elapsed(),
            sent,
            bytes: size_of::<Recording>()
                + open.bytes
                + request_bytes(&request)
                + outcome_bytes(&outcome),
            line: open.line,
            request,
            entries: open.entries,
            unwritten: open.unwritten,
            outcome,
            error: error.cloned(),
            limits: limits.clone(),
        })
    }
}

impl Open {
    fn push(&mut self, step: Step) {
        let bytes = size_of::<Entry>() + step_bytes(&step);
        if self.entries.len() >= STEPS || self.bytes + bytes > STEP_BYTES || self.unwritten > 0 {
            self.unwritten = self.unwritten.saturating_add(1);
            return;
        }
        self.bytes += bytes;
        let at_us = u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.entries.push(Entry { line: 0, at_us: Some(at_us), step });
    }
}

/// A yes or a no of an act.
pub(crate) fn is_clear(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Sell(SellOutcome::Confirmed(_) | SellOutcome::Refused(_)))
}

/// How a call stands there whose driver never answered.
pub(crate) fn broken_off(error: &CallError) -> Outcome {
    match error {
        CallError::Limit { limit, used, .. } => {
            Outcome::Limit { limit: (*limit).to_owned(), used: used.clone() }
        }
        CallError::Trap { detail, .. } => Outcome::Trap(detail.clone()),
        other => Outcome::Trap(other.to_string()),
    }
}

fn step_bytes(step: &Step) -> usize {
    match step {
        Step::Send { bytes, .. } => bytes.as_ref().map_or(0, Vec::len),
        Step::Receive { answer, .. } => answer.as_ref().map_or(0, Vec::len),
        Step::Vault { act, answer } => {
            let content = |content: &Content| match content {
                Content::Plain(bytes) => bytes.len(),
                Content::Masked { .. } => 0,
            };
            let asked = match act {
                VaultAct::Mac { key, iv, data, .. } => key.label.len() + iv.len() + data.len(),
                VaultAct::Encrypt { key, iv, associated, data, .. } => {
                    key.label.len() + iv.len() + associated.len() + content(data)
                }
                VaultAct::Decrypt { key, iv, associated, data, .. } => {
                    key.label.len() + iv.len() + associated.len() + data.len()
                }
                VaultAct::Random { .. } => 0,
            };
            asked + answer.as_ref().map_or(0, content)
        }
        Step::Log { message, .. } => message.len(),
        Step::Slot { act, answer } => {
            let asked = match act {
                SlotAct::Transmit(bytes) | SlotAct::Write { bytes, .. } => bytes.len(),
                SlotAct::Erase { code: secret, .. }
                | SlotAct::Verify { presented: secret, .. }
                | SlotAct::SetCode { presented: secret, .. } => match secret {
                    Secret::OfVault(key, factor) => key.label.len() + factor.len(),
                    Secret::Published(code) => code.len(),
                },
                SlotAct::Inserted | SlotAct::Read { .. } | SlotAct::TriesLeft { .. } => 0,
            };
            let answered = match answer {
                Ok(SlotAnswer::Card(card)) => card.atr.len() + card.uid.len(),
                Ok(SlotAnswer::Bytes(bytes)) => bytes.len(),
                Ok(SlotAnswer::Tries(_) | SlotAnswer::Done) | Err(_) => 0,
            };
            asked + answered
        }
        Step::Drain { .. } | Step::Unwritten { .. } => 0,
    }
}

/// One named value, its name and its text together.
const VALUE_BYTES: usize = 120;

fn request_bytes(request: &Request) -> usize {
    let set = match request {
        Request::SetParameters(_, parameters) => parameters.len(),
        _ => 0,
    };
    let position = match request {
        Request::Search { position: Some(position), .. } => position.len(),
        _ => 0,
    };
    let told = request.told().map_or(0, |told| told.parameters.len());
    (set + told) * VALUE_BYTES + position
}

fn outcome_bytes(outcome: &Outcome) -> usize {
    match outcome {
        Outcome::Snapshot(snapshot) => {
            (snapshot.measurements.len() + snapshot.extras.len()) * VALUE_BYTES
        }
        Outcome::Identity(identity) => identity.extras.len() * VALUE_BYTES,
        Outcome::Search(step) => {
            let extras: usize = step.found.iter().map(|found| found.extras.len()).sum();
            let next = step.next.as_ref().map_or(0, Vec::len);
            (step.found.len() + step.collisions.len() + extras) * VALUE_BYTES + next
        }
        _ => VALUE_BYTES,
    }
}

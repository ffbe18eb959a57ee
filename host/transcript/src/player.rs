//! The host that a transcript is: it lets a driver do what stands there, and nothing else.
//!
//! Invariant: the driver must do exactly what the transcript says, in its order, to its end. The
//! first step that differs is kept, whatever the driver makes of it; after it the line is down, the
//! vault is shut and the reader gone. Not here: time (a reply comes at once, silence too), the driver itself.

use crate::content::Content;
use crate::outcome::{Outcome, rendered};
use crate::slot::{LOST, SlotAct, SlotAnswer};
use crate::step::{Fault, Level, Step, VaultAct};
use crate::transcript::{Entry, Transcript};

/// `line-error.code`: the line is down. What a driver hears once it has left the transcript.
const DOWN: u16 = 2;
/// `vault-error.code`: not granted. The same for the vault.
const SHUT: u16 = 4;

/// Where a driver first did something else than the transcript.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name}:{line}: {problem}{log}")]
pub struct Difference {
    pub name: String,
    /// Of the transcript, from 1; 0 for one that was never a text.
    pub line: usize,
    pub problem: String,
    /// What the driver logged, each on a line of its own.
    pub log: String,
}

#[derive(Debug)]
pub struct Player<T> {
    transcript: T,
    next: usize,
    difference: Option<(usize, String)>,
    cut_off: bool,
    log: Vec<String>,
}

impl<T: AsRef<Transcript>> Player<T> {
    pub fn new(transcript: T) -> Self {
        Self { transcript, next: 0, difference: None, cut_off: false, log: Vec::new() }
    }

    pub fn send(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        let done = Step::Send { bytes: Some(bytes.to_vec()), answer: Ok(()) }.to_string();
        let answer = self.step(&done, |step| match step {
            Step::Send { bytes: expected, answer }
                if expected.as_ref().is_none_or(|expected| expected == bytes) =>
            {
                Some(answer.clone())
            }
            _ => None,
        });
        self.answered(answer, DOWN)
    }

    pub fn receive(&mut self, want: u32) -> Result<Vec<u8>, Fault> {
        let done = format!("a receive of {want}");
        let answer = self.step(&done, |step| match step {
            Step::Receive { want: expected, answer }
                if expected.is_none_or(|expected| expected == want) =>
            {
                Some(answer.clone())
            }
            _ => None,
        });
        self.answered(answer, DOWN)
    }

    /// Whether the next step is a receive: for whoever is called by its own driver and not by this
    /// transcript's.
    pub fn is_receiving(&mut self) -> bool {
        self.pass_over_log();
        let next = self.transcript().entries.get(self.next).map(|entry| &entry.step);
        self.difference.is_none() && matches!(next, Some(Step::Receive { .. }))
    }

    /// A drain that is not written down found nothing.
    pub fn drain(&mut self) -> Result<u32, Fault> {
        self.pass_over_log();
        let written = self.transcript().entries.get(self.next).map(|entry| &entry.step);
        if !matches!(written, Some(Step::Drain { .. })) {
            return Ok(0);
        }
        let answer = self.step("a drain", |step| match step {
            Step::Drain { answer } => Some(answer.clone()),
            _ => None,
        });
        self.answered(answer, DOWN)
    }

    /// Masked content is returned as such: only who has the key can unmask it.
    pub fn vault(&mut self, act: &VaultAct) -> Result<Content, Fault> {
        let answer = self.step(&act.to_string(), |step| match step {
            Step::Vault { act: expected, answer } if expected.agrees(act) => Some(answer.clone()),
            _ => None,
        });
        self.answered(answer, SHUT)
    }

    /// What the slot answered.
    pub fn slot(&mut self, act: &SlotAct) -> Result<SlotAnswer, Fault> {
        let answer = self.step(&act.to_string(), |step| match step {
            Step::Slot { act: expected, answer } if expected == act => Some(answer.clone()),
            _ => None,
        });
        self.answered(answer, LOST)
    }

    pub fn log(&mut self, level: Level, message: &str) {
        self.log.push(format!("{} {message}", level.name()));
    }

    /// The last step's answer cannot be used, for a reason that the player does not know.
    pub fn object(&mut self, problem: String) {
        let entry = self.next.checked_sub(1).and_then(|last| self.transcript().entries.get(last));
        let line = entry.map_or(0, |entry| entry.line);
        self.difference.get_or_insert((line, problem));
    }

    /// The transcript ends in a step that the host cut off, and the driver got there: what follows
    /// was the host's doing.
    pub fn is_cut_off(&self) -> bool {
        self.cut_off && self.difference.is_none()
    }

    /// Whether a byte left, or may have, by the steps that were taken; of a card whether it may be
    /// another than before.
    pub fn has_sent(&self) -> bool {
        let taken = self.transcript().entries.iter().take(self.next);
        taken.into_iter().any(|Entry { step, .. }| match step {
            Step::Send { bytes, answer: Ok(()) | Err(Fault::CutOff) } => {
                bytes.as_ref().is_none_or(|bytes| !bytes.is_empty())
            }
            Step::Slot { act, answer } => act.has_changed(answer),
            _ => false,
        })
    }

    /// Whether a card did what it was asked, by the steps that were taken.
    pub fn has_answered(&self) -> bool {
        let taken = self.transcript().entries.iter().take(self.next);
        taken.into_iter().any(|Entry { step, .. }| match step {
            Step::Slot { act, answer } => *act != SlotAct::Inserted && answer.is_ok(),
            _ => false,
        })
    }

    /// Ends the play: every step must have been taken and the result be the transcript's.
    pub fn finish(mut self, outcome: &Outcome) -> Result<(), Difference> {
        self.pass_over_log();
        let found = rendered(outcome);
        let transcript = self.transcript.as_ref();
        let left_out = || {
            let entry = transcript.entries.get(self.next)?;
            let problem = format!("the driver ended before `{}`: {}", entry.step, found.join("\n"));
            Some((entry.line, problem))
        };
        let other_result = || {
            let expected = &transcript.result;
            let problem =
                format!("expected\n{}\nbut got\n{}", expected.join("\n"), found.join("\n"));
            (!agrees(expected, &found)).then_some((transcript.result_line, problem))
        };
        let cut_off = self.is_cut_off();
        let difference = self
            .difference
            .or_else(left_out)
            .or_else(|| if cut_off { None } else { other_result() });
        let Some((line, problem)) = difference else { return Ok(()) };
        let log = self.log.iter().map(|entry| format!("\n  log {entry}")).collect();
        Err(Difference { name: transcript.name.clone(), line, problem, log })
    }

    fn transcript(&self) -> &Transcript {
        self.transcript.as_ref()
    }

    fn pass_over_log(&mut self) {
        let is_log = |entry: &Entry| matches!(entry.step, Step::Log { .. });
        while self.transcript().entries.get(self.next).is_some_and(is_log) {
            self.next += 1;
        }
    }

    /// Takes the next step if `is_it` agrees; otherwise notes the difference.
    fn step<A>(&mut self, done: &str, is_it: impl Fn(&Step) -> Option<A>) -> Option<A> {
        if self.difference.is_some() {
            return None;
        }
        self.pass_over_log();
        let Some(Entry { line, step, .. }) = self.transcript().entries.get(self.next) else {
            let line = self.transcript().result_line;
            self.difference = Some((line, format!("the call should be over, but `{done}`")));
            return None;
        };
        let line = *line;
        let answer = is_it(step);
        if let Step::Unwritten { steps } = step {
            let problem = format!("{steps} further steps were not written down");
            self.difference = Some((line, problem));
        } else if answer.is_none() {
            self.difference = Some((line, format!("expected\n{step}\nbut got\n{done}")));
        }
        self.next += 1;
        answer
    }

    fn answered<A>(&mut self, answer: Option<Result<A, Fault>>, lost: u16) -> Result<A, Fault> {
        let answer = answer.unwrap_or_else(|| Err(Fault::refused(lost)));
        self.cut_off |= matches!(answer, Err(Fault::CutOff));
        answer
    }
}

impl AsRef<Transcript> for Transcript {
    fn as_ref(&self) -> &Transcript {
        self
    }
}

fn agrees(expected: &[String], found: &[String]) -> bool {
    expected.len() == found.len()
        && expected.iter().zip(found).all(|(expected, found)| match expected.strip_suffix(" ...") {
            Some(beginning) => found.starts_with(beginning),
            None => expected == found,
        })
}

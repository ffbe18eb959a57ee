//! One step that a driver takes through its host, and its line.

use crate::content::Content;
use crate::slot::{SlotAct, SlotAnswer};
use crate::text::{
    self, ReadError, content_text, key_text, named, number, rest, spaced, unescaped,
};
use crate::value::Key;
use std::fmt;

/// `line-error.code`: nothing came in time.
const SILENT: u16 = 1;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    Send {
        /// `None`: whatever it was; only where it was refused.
        bytes: Option<Vec<u8>>,
        answer: Result<(), Fault>,
    },
    Receive {
        /// How many bytes were wanted; `None`: no matter.
        want: Option<u32>,
        answer: Result<Vec<u8>, Fault>,
    },
    /// The answer is how many bytes were thrown away.
    Drain {
        answer: Result<u32, Fault>,
    },
    Vault {
        act: VaultAct,
        answer: Result<Content, Fault>,
    },
    Slot {
        act: SlotAct,
        answer: Result<SlotAnswer, Fault>,
    },
    /// For the reader; a play passes over it.
    Log {
        level: Level,
        message: String,
    },
    /// So many further steps were taken and not written down.
    Unwritten {
        steps: u64,
    },
}

/// Why a step did not bring what it was for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// With a code of `line-error`, `vault-error` or `slot-error`, and the words that the driver heard; where they
    /// are empty it heard others.
    Refused { code: u16, detail: String },
    /// The host ended the call before the step was over. Of a frame some bytes may have left.
    CutOff,
}

impl Fault {
    /// Code and words as a driver hears them from its line; `None`: the call was cut off.
    pub fn on_line(self) -> Option<(u16, String)> {
        let is_silence = matches!(self, Fault::Refused { code: SILENT, .. });
        self.heard(if is_silence { "no answer" } else { "refused by the transcript" })
    }

    /// As [`Fault::on_line`], from the vault.
    pub fn of_vault(self) -> Option<(u16, String)> {
        self.heard("refused in the transcript")
    }

    /// As [`Fault::on_line`], from the slot.
    pub fn of_slot(self) -> Option<(u16, String)> {
        self.heard("refused in the transcript")
    }

    fn heard(self, otherwise: &str) -> Option<(u16, String)> {
        match self {
            Fault::CutOff => None,
            Fault::Refused { code, detail } if detail.is_empty() => {
                Some((code, otherwise.to_owned()))
            }
            Fault::Refused { code, detail } => Some((code, detail)),
        }
    }
}

/// What the vault is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VaultAct {
    Mac { key: Key, algorithm: u16, iv: Vec<u8>, data: Vec<u8> },
    Encrypt { key: Key, algorithm: u16, iv: Vec<u8>, associated: Vec<u8>, data: Content },
    Decrypt { key: Key, algorithm: u16, iv: Vec<u8>, associated: Vec<u8>, data: Vec<u8> },
    Random { length: u32 },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
}

impl Level {
    const ALL: [Level; 5] = [Level::Trace, Level::Debug, Level::Info, Level::Warn, Level::Error];

    pub fn name(self) -> &'static str {
        match self {
            Level::Trace => "trace",
            Level::Debug => "debug",
            Level::Info => "info",
            Level::Warn => "warn",
            Level::Error => "error",
        }
    }
}

impl Fault {
    pub fn refused(code: u16) -> Fault {
        Fault::Refused { code, detail: String::new() }
    }
}

impl Step {
    /// The same step with every secret in it masked: what was encrypted, what was decrypted.
    #[must_use]
    pub fn hidden(self) -> Step {
        match self {
            Step::Vault {
                act: VaultAct::Encrypt { key, algorithm, iv, associated, data },
                answer,
            } => {
                let data = data.hidden();
                Step::Vault {
                    act: VaultAct::Encrypt { key, algorithm, iv, associated, data },
                    answer,
                }
            }
            Step::Vault { act: act @ VaultAct::Decrypt { .. }, answer } => {
                Step::Vault { act, answer: answer.map(Content::hidden) }
            }
            other => other,
        }
    }

    pub(crate) fn read(line: &str) -> Result<Step, ReadError> {
        if let Some(text) = line.strip_prefix('>') {
            return send(text);
        }
        if let Some(text) = line.strip_prefix('<') {
            return receive(text);
        }
        if let Some(text) = line.strip_prefix("vault ") {
            return vault(text);
        }
        if let Some(text) = line.strip_prefix("card ") {
            return slot(text);
        }
        if let Some(text) = line.strip_prefix("drain = ") {
            let answer = match answered(text)? {
                Ok(count) => Ok(number(count)?),
                Err(fault) => Err(fault),
            };
            return Ok(Step::Drain { answer });
        }
        if let Some(text) = line.strip_prefix("log ") {
            let (name, message) = text.split_once(' ').unwrap_or((text, ""));
            let level = Level::ALL.into_iter().find(|level| level.name() == name);
            let level = level.ok_or_else(|| ReadError(format!("`{name}` is no level of a log")))?;
            return Ok(Step::Log { level, message: unescaped(message)? });
        }
        if let Some(text) = line.strip_prefix("unwritten ") {
            return Ok(Step::Unwritten { steps: number(text)? });
        }
        ReadError::because(format!("`{line}` begins like no line of a transcript"))
    }
}

fn send(text: &str) -> Result<Step, ReadError> {
    let (bytes, fault) = line_text(text)?;
    match (bytes, fault) {
        (_, Some(Fault::Refused { code: SILENT, .. })) => {
            ReadError::because("nobody is silent when sent to")
        }
        (bytes, Some(fault)) => Ok(Step::Send { bytes, answer: Err(fault) }),
        (Some(bytes), None) => Ok(Step::Send { bytes: Some(bytes), answer: Ok(()) }),
        (None, None) => ReadError::because("a line of no bytes"),
    }
}

fn receive(text: &str) -> Result<Step, ReadError> {
    let mut text = text.trim_start();
    let mut want = None;
    if let Some(rest) = text.strip_prefix("want=") {
        let (count, rest) = rest.split_once(' ').unwrap_or((rest, ""));
        want = Some(number(count)?);
        text = rest;
    }
    let answer = match line_text(text)? {
        (None, Some(fault)) => Err(fault),
        (Some(bytes), None) => Ok(bytes),
        (Some(_), Some(_)) => return ReadError::because("either bytes or a fault came"),
        (None, None) => return ReadError::because("a line of no bytes"),
    };
    Ok(Step::Receive { want, answer })
}

/// How a frame of no bytes is written.
pub(crate) const NOTHING: &str = "(nothing)";

/// The bytes and the fault of a `>` or `<` line; a comment after `#` is left out.
fn line_text(text: &str) -> Result<(Option<Vec<u8>>, Option<Fault>), ReadError> {
    let text = text.split('#').next().unwrap_or_default().trim();
    let (bytes, mark) = match text.strip_prefix(NOTHING) {
        Some(mark) => (NOTHING, mark.trim().strip_prefix('(')),
        None => match text.split_once('(') {
            Some((bytes, mark)) => (bytes.trim(), Some(mark)),
            None => (text, None),
        },
    };
    let bytes = match bytes {
        "" => None,
        NOTHING => Some(Vec::new()),
        digits => Some(text::bytes(digits)?),
    };
    let Some(mark) = mark else { return Ok((bytes, None)) };
    let Some((mark, detail)) = mark.split_once(')') else {
        return ReadError::because(format!("`({mark}` has no end"));
    };
    let detail = unescaped(detail.trim())?;
    let fault = match (mark, mark.strip_prefix("refused ")) {
        ("silence", _) => Fault::Refused { code: SILENT, detail },
        ("cut off", _) => Fault::CutOff,
        (_, Some(code)) => Fault::Refused { code: number(code)?, detail },
        _ => return ReadError::because(format!("`({mark})` is no fault of a line")),
    };
    Ok((bytes, Some(fault)))
}

/// What stands after ` = `: the answer's text, or `refused <code>`, or `cut off`.
fn answered(text: &str) -> Result<Result<&str, Fault>, ReadError> {
    let text = text.trim();
    if text == "cut off" {
        return Ok(Err(Fault::CutOff));
    }
    let Some(refused) = text.strip_prefix("refused ") else { return Ok(Ok(text)) };
    let (code, detail) = refused.split_once(' ').unwrap_or((refused, ""));
    Ok(Err(Fault::Refused { code: number(code)?, detail: unescaped(detail.trim())? }))
}

fn vault(text: &str) -> Result<Step, ReadError> {
    let Some((question, answer)) = text.split_once(" = ") else {
        return ReadError::because("a vault line ends in ` = ` and its answer");
    };
    let answer = match answered(answer)? {
        Ok(NOTHING) => Ok(Content::Plain(Vec::new())),
        Ok(bytes) => Ok(text::content(bytes)?),
        Err(fault) => Err(fault),
    };
    let words: Vec<&str> = question.split_whitespace().collect();
    let act = match words.as_slice() {
        [verb @ ("mac" | "encrypt" | "decrypt"), key, algorithm, optional @ .., data] => {
            keyed(verb, key, algorithm, optional, data)?
        }
        ["random", length] => VaultAct::Random { length: number(length)? },
        _ => return ReadError::because("not a vault line: mac, encrypt, decrypt or random"),
    };
    Ok(Step::Vault { act, answer })
}

fn slot(text: &str) -> Result<Step, ReadError> {
    let Some((question, answer)) = text.split_once(" = ") else {
        return ReadError::because("a card line ends in ` = ` and its answer");
    };
    let act = SlotAct::read(question)?;
    let answer = match answered(answer)? {
        Ok(answer) => Ok(act.read_answer(answer)?),
        Err(fault) => Err(fault),
    };
    Ok(Step::Slot { act, answer })
}

/// `optional` is `iv=` and `associated=`, in this order, each left out where it is empty.
fn keyed(
    verb: &str,
    key: &str,
    algorithm: &str,
    optional: &[&str],
    data: &str,
) -> Result<VaultAct, ReadError> {
    let key = text::vault_key(key)?;
    let algorithm = number(named("algorithm", algorithm)?)?;
    let (iv, optional) = taken("iv", optional)?;
    let (associated, optional) = taken("associated", optional)?;
    if let Some(word) = optional.first() {
        return ReadError::because(format!("`{word}` does not belong before `data=`"));
    }
    let data = named("data", data)?;
    match verb {
        "mac" if !associated.is_empty() => ReadError::because("`mac` takes no `associated=`"),
        "mac" => Ok(VaultAct::Mac { key, algorithm, iv, data: text::bytes(data)? }),
        "encrypt" => {
            Ok(VaultAct::Encrypt { key, algorithm, iv, associated, data: text::content(data)? })
        }
        _ => Ok(VaultAct::Decrypt { key, algorithm, iv, associated, data: text::bytes(data)? }),
    }
}

/// The bytes behind `name=` if the first word begins so, and the words that are left.
fn taken<'a, 'b>(name: &str, words: &'a [&'b str]) -> Result<(Vec<u8>, &'a [&'b str]), ReadError> {
    match words {
        [first, rest @ ..] if named(name, first).is_ok() => {
            Ok((text::bytes(named(name, first)?)?, rest))
        }
        _ => Ok((Vec::new(), words)),
    }
}

/// The same texts the other way, for messages and for writing transcripts.
impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Send { bytes, answer } => {
                f.write_str(">")?;
                if let Some(bytes) = bytes {
                    write!(f, " {}", bytes_text(bytes))?;
                }
                answer.as_ref().err().map_or(Ok(()), |fault| line_fault(f, fault))
            }
            Step::Receive { want, answer } => {
                f.write_str("<")?;
                if let Some(want) = want {
                    write!(f, " want={want}")?;
                }
                match answer {
                    Ok(bytes) => write!(f, " {}", bytes_text(bytes)),
                    Err(fault) => line_fault(f, fault),
                }
            }
            Step::Drain { answer: Ok(bytes) } => write!(f, "drain = {bytes}"),
            Step::Drain { answer: Err(fault) } => {
                f.write_str("drain =")?;
                answer_fault(f, fault)
            }
            Step::Vault { act, answer: Ok(content) } => {
                let empty = Content::Plain(Vec::new());
                let nothing = (*content == empty).then(|| NOTHING.to_owned());
                write!(f, "{act} = {}", nothing.unwrap_or_else(|| content_text(content)))
            }
            Step::Vault { act, answer: Err(fault) } => {
                write!(f, "{act} =")?;
                answer_fault(f, fault)
            }
            Step::Slot { act, answer: Ok(answer) } => write!(f, "{act} = {answer}"),
            Step::Slot { act, answer: Err(fault) } => {
                write!(f, "{act} =")?;
                answer_fault(f, fault)
            }
            Step::Log { level, message } => write!(f, "log {} {}", level.name(), rest(message)),
            Step::Unwritten { steps } => write!(f, "unwritten {steps}"),
        }
    }
}

pub(crate) fn bytes_text(bytes: &[u8]) -> String {
    if bytes.is_empty() { NOTHING.to_owned() } else { spaced(bytes) }
}

fn line_fault(f: &mut fmt::Formatter<'_>, fault: &Fault) -> fmt::Result {
    match fault {
        Fault::Refused { code: SILENT, detail } => {
            f.write_str(" (silence)")?;
            detail_text(f, detail)
        }
        Fault::Refused { code, detail } => {
            write!(f, " (refused {code})")?;
            detail_text(f, detail)
        }
        Fault::CutOff => f.write_str(" (cut off)"),
    }
}

fn answer_fault(f: &mut fmt::Formatter<'_>, fault: &Fault) -> fmt::Result {
    match fault {
        Fault::Refused { code, detail } => {
            write!(f, " refused {code}")?;
            detail_text(f, detail)
        }
        Fault::CutOff => f.write_str(" cut off"),
    }
}

fn detail_text(f: &mut fmt::Formatter<'_>, detail: &str) -> fmt::Result {
    if detail.is_empty() { Ok(()) } else { write!(f, " {}", rest(detail)) }
}

impl fmt::Display for VaultAct {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let none = Vec::new();
        let (verb, key, algorithm, iv, associated, data) = match self {
            VaultAct::Mac { key, algorithm, iv, data } => {
                ("mac", key, algorithm, iv, &none, hex::encode(data))
            }
            VaultAct::Encrypt { key, algorithm, iv, associated, data } => {
                ("encrypt", key, algorithm, iv, associated, content_text(data))
            }
            VaultAct::Decrypt { key, algorithm, iv, associated, data } => {
                ("decrypt", key, algorithm, iv, associated, hex::encode(data))
            }
            VaultAct::Random { length } => return write!(f, "vault random {length}"),
        };
        write!(f, "vault {verb} {} algorithm={algorithm}", key_text(key))?;
        for (name, bytes) in [("iv", iv), ("associated", associated)] {
            if !bytes.is_empty() {
                write!(f, " {name}={}", hex::encode(bytes))?;
            }
        }
        write!(f, " data={data}")
    }
}

impl VaultAct {
    /// Whether the driver asks for just this, masked content compared by its digest.
    pub(crate) fn agrees(&self, done: &VaultAct) -> bool {
        match (self, done) {
            (
                VaultAct::Encrypt { key, algorithm, iv, associated, data },
                VaultAct::Encrypt {
                    key: key_done,
                    algorithm: algorithm_done,
                    iv: iv_done,
                    associated: associated_done,
                    data: data_done,
                },
            ) => {
                let same_data = match data_done {
                    Content::Plain(bytes) => data.is(bytes),
                    Content::Masked { .. } => data == data_done,
                };
                let same_key = key == key_done && algorithm == algorithm_done;
                same_key && iv == iv_done && associated == associated_done && same_data
            }
            (expected, done) => expected == done,
        }
    }
}

//! A transcript's text as data. Knows the lines and their order, not what a call's arguments mean.

use crate::format::{self, ReadError};
use polymeter_driver::{Diversification, Key};

/// The extension of a transcript's file.
pub const EXTENSION: &str = "transcript";

#[derive(Debug, Clone, PartialEq)]
pub struct Transcript {
    /// The file it came from, for messages.
    pub name: String,
    pub source: String,
    pub call: Call,
    /// In the order they happened, each with its line number from 1.
    pub events: Vec<(usize, Event)>,
    /// The lines of the result; one that ends in ` ...` is the beginning of what may come.
    pub result: Vec<String>,
    pub result_line: usize,
}

/// One call of the contract: its name and its arguments, as written.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    pub line: usize,
    pub name: String,
    pub arguments: Vec<(String, String)>,
}

/// One step that the driver takes through its host.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// `Err`: the line refuses, with a code of `line-error`.
    Send(Result<Vec<u8>, u16>),
    Receive(Result<Vec<u8>, u16>),
    /// `Err`: the vault refuses, with a code of `vault-error`.
    Vault(VaultAct, Result<Vec<u8>, u16>),
}

/// What the vault is asked for.
#[derive(Debug, Clone, PartialEq)]
pub enum VaultAct {
    Mac { key: Key, algorithm: u16, iv: Vec<u8>, data: Vec<u8> },
    Encrypt { key: Key, algorithm: u16, iv: Vec<u8>, associated: Vec<u8>, data: Vec<u8> },
    Decrypt { key: Key, algorithm: u16, iv: Vec<u8>, associated: Vec<u8>, data: Vec<u8> },
    Random { length: u32 },
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name}:{line}: {problem}")]
pub struct ParseError {
    pub name: String,
    pub line: usize,
    pub problem: String,
}

impl Transcript {
    /// `name` stands in messages; the text is the file's content.
    pub fn parse(name: &str, text: &str) -> Result<Transcript, ParseError> {
        let mut parts = Parts::default();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim_end();
            if line.trim_start().is_empty() || line.starts_with('#') {
                continue;
            }
            parts.take(index + 1, line).map_err(|error| ParseError {
                name: name.to_owned(),
                line: index + 1,
                problem: error.0,
            })?;
        }
        parts.finish(name).map_err(|problem| ParseError {
            name: name.to_owned(),
            line: text.lines().count(),
            problem: problem.to_owned(),
        })
    }
}

#[derive(Default)]
struct Parts {
    source: Option<String>,
    call: Option<Call>,
    events: Vec<(usize, Event)>,
    result: Vec<String>,
    result_line: usize,
}

impl Parts {
    fn take(&mut self, number: usize, line: &str) -> Result<(), ReadError> {
        if let Some(rest) = line.strip_prefix("source:") {
            return self.take_source(rest.trim());
        }
        let Some(_) = self.source else { return ReadError::because("`source:` must come first") };
        if let Some(rest) = line.strip_prefix("call:") {
            return self.take_call(number, rest.trim());
        }
        let Some(call) = &mut self.call else {
            return ReadError::because("`call:` must follow `source:`");
        };
        if line.starts_with(' ') {
            return if !self.result.is_empty() {
                self.result.push(line.to_owned());
                Ok(())
            } else if self.events.is_empty() {
                take_arguments(call, line.trim())
            } else {
                ReadError::because("only `call:` and `result:` can be continued")
            };
        }
        if !self.result.is_empty() {
            return ReadError::because("nothing may follow `result:`");
        }
        if let Some(rest) = line.strip_prefix("result:") {
            self.result.push(rest.trim().to_owned());
            self.result_line = number;
            return Ok(());
        }
        self.events.push((number, event(line)?));
        Ok(())
    }

    fn take_source(&mut self, source: &str) -> Result<(), ReadError> {
        if source.is_empty() || self.source.is_some() {
            return ReadError::because("one `source:` that says where the bytes come from");
        }
        self.source = Some(source.to_owned());
        Ok(())
    }

    fn take_call(&mut self, number: usize, text: &str) -> Result<(), ReadError> {
        let (name, arguments) = text.split_once(' ').unwrap_or((text, ""));
        if name.is_empty() || self.call.is_some() {
            return ReadError::because("one `call:` with a name");
        }
        let mut call = Call { line: number, name: name.to_owned(), arguments: Vec::new() };
        take_arguments(&mut call, arguments)?;
        self.call = Some(call);
        Ok(())
    }

    fn finish(self, name: &str) -> Result<Transcript, &'static str> {
        let source = self.source.ok_or("no `source:`")?;
        let call = self.call.ok_or("no `call:`")?;
        if self.result.is_empty() {
            return Err("no `result:`");
        }
        Ok(Transcript {
            name: name.to_owned(),
            source,
            call,
            events: self.events,
            result: self.result,
            result_line: self.result_line,
        })
    }
}

fn take_arguments(call: &mut Call, text: &str) -> Result<(), ReadError> {
    for word in text.split_whitespace() {
        let Some((name, value)) = word.split_once('=') else {
            return ReadError::because(format!("`{word}` is not name=value"));
        };
        if call.arguments.iter().any(|(known, _)| known == name) {
            return ReadError::because(format!("`{name}` stands there twice"));
        }
        call.arguments.push((name.to_owned(), value.to_owned()));
    }
    Ok(())
}

fn event(line: &str) -> Result<Event, ReadError> {
    if let Some(rest) = line.strip_prefix('>') {
        return match line_bytes(rest)? {
            Err(code) if code == SILENT => ReadError::because("nobody is silent when sent to"),
            bytes => Ok(Event::Send(bytes)),
        };
    }
    if let Some(rest) = line.strip_prefix('<') {
        return Ok(Event::Receive(line_bytes(rest)?));
    }
    if let Some(rest) = line.strip_prefix("vault ") {
        return vault(rest);
    }
    ReadError::because(format!("`{line}` begins like no line of a transcript"))
}

const SILENT: u16 = polymeter_driver::codes::line::SILENT;

/// Bytes, or the code of a line error.
fn line_bytes(text: &str) -> Result<Result<Vec<u8>, u16>, ReadError> {
    let text = text.split('#').next().unwrap_or_default().trim();
    if text == "(silence)" {
        return Ok(Err(SILENT));
    }
    if let Some(code) = text.strip_prefix("(refused ").and_then(|rest| rest.strip_suffix(')')) {
        return Ok(Err(format::number(code)?));
    }
    let bytes = format::bytes(text)?;
    if bytes.is_empty() {
        return ReadError::because("a line of no bytes");
    }
    Ok(Ok(bytes))
}

fn vault(text: &str) -> Result<Event, ReadError> {
    let Some((question, answer)) = text.split_once(" = ") else {
        return ReadError::because("a vault line ends in ` = ` and its answer");
    };
    let answer = match answer.trim().strip_prefix("refused ") {
        Some(code) => Err(format::number(code.trim())?),
        None => Ok(format::bytes(answer)?),
    };
    let words: Vec<&str> = question.split_whitespace().collect();
    let act = match words.as_slice() {
        [verb @ ("mac" | "encrypt" | "decrypt"), key, algorithm, optional @ .., data] => {
            keyed(verb, key, algorithm, optional, data)?
        }
        ["random", length] => VaultAct::Random { length: format::number(length)? },
        _ => return ReadError::because("not a vault line: mac, encrypt, decrypt or random"),
    };
    Ok(Event::Vault(act, answer))
}

/// `optional` is `iv=` and `associated=`, in this order, each left out where it is empty.
fn keyed(
    verb: &str,
    key: &str,
    algorithm: &str,
    optional: &[&str],
    data: &str,
) -> Result<VaultAct, ReadError> {
    let key = vault_key(key)?;
    let algorithm = format::number(named("algorithm", algorithm)?)?;
    let (iv, optional) = taken("iv", optional)?;
    let (associated, optional) = taken("associated", optional)?;
    if let Some(word) = optional.first() {
        return ReadError::because(format!("`{word}` does not belong before `data=`"));
    }
    let data = format::bytes(named("data", data)?)?;
    match verb {
        "mac" if associated.is_empty() => Ok(VaultAct::Mac { key, algorithm, iv, data }),
        "mac" => ReadError::because("`mac` takes no `associated=`"),
        "encrypt" => Ok(VaultAct::Encrypt { key, algorithm, iv, associated, data }),
        _ => Ok(VaultAct::Decrypt { key, algorithm, iv, associated, data }),
    }
}

/// The bytes behind `name=` if the first word begins so, and the words that are left.
fn taken<'a, 'b>(name: &str, words: &'a [&'b str]) -> Result<(Vec<u8>, &'a [&'b str]), ReadError> {
    match words {
        [first, rest @ ..] if named(name, first).is_ok() => {
            Ok((format::bytes(named(name, first)?)?, rest))
        }
        _ => Ok((Vec::new(), words)),
    }
}

fn named<'a>(name: &str, word: &'a str) -> Result<&'a str, ReadError> {
    let value = word.strip_prefix(name).and_then(|rest| rest.strip_prefix('='));
    value.ok_or_else(|| ReadError(format!("`{name}=` is expected in place of `{word}`")))
}

/// `label`, then `/algorithm:factor` for each derivation.
fn vault_key(text: &str) -> Result<Key, ReadError> {
    let mut parts = text.split('/');
    let label = parts.next().unwrap_or_default().to_owned();
    let path = parts.map(|part| {
        let Some((algorithm, factor)) = part.split_once(':') else {
            return ReadError::because("a derivation is algorithm:factor");
        };
        let algorithm = format::number(algorithm)?;
        Ok(Diversification { algorithm, factor: format::bytes(factor)? })
    });
    Ok(Key { label, path: path.collect::<Result<_, _>>()? })
}

/// The same texts the other way, for messages and for writing transcripts.
impl std::fmt::Display for Event {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Event::Send(Ok(bytes)) => write!(f, "> {}", format::spaced(bytes)),
            Event::Send(Err(code)) => write!(f, "> (refused {code})"),
            Event::Receive(Ok(bytes)) => write!(f, "< {}", format::spaced(bytes)),
            Event::Receive(Err(SILENT)) => write!(f, "< (silence)"),
            Event::Receive(Err(code)) => write!(f, "< (refused {code})"),
            Event::Vault(act, Ok(bytes)) => write!(f, "{act} = {}", hex::encode(bytes)),
            Event::Vault(act, Err(code)) => write!(f, "{act} = refused {code}"),
        }
    }
}

impl std::fmt::Display for VaultAct {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (verb, key, algorithm, iv, associated, data) = match self {
            VaultAct::Mac { key, algorithm, iv, data } => {
                ("mac", key, algorithm, iv, &Vec::new(), data)
            }
            VaultAct::Encrypt { key, algorithm, iv, associated, data } => {
                ("encrypt", key, algorithm, iv, associated, data)
            }
            VaultAct::Decrypt { key, algorithm, iv, associated, data } => {
                ("decrypt", key, algorithm, iv, associated, data)
            }
            VaultAct::Random { length } => return write!(f, "vault random {length}"),
        };
        write!(f, "vault {verb} {}", key.label)?;
        for step in &key.path {
            write!(f, "/{}:{}", step.algorithm, hex::encode(&step.factor))?;
        }
        write!(f, " algorithm={algorithm}")?;
        for (name, bytes) in [("iv", iv), ("associated", associated)] {
            if !bytes.is_empty() {
                write!(f, " {name}={}", hex::encode(bytes))?;
            }
        }
        write!(f, " data={}", hex::encode(data))
    }
}

//! A transcript's text as data, and back.
//!
//! Invariant: reading what was written gives the same transcript, but for its line numbers and its
//! name; an error names the line.

use crate::request::Request;
use crate::step::Step;
use crate::text::{ReadError, number, piece};
use std::fmt;

/// No call has near so many arguments; it bounds the time that a hostile text costs.
const ARGUMENTS_MOST: usize = 2_048;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transcript {
    /// The file it came from, for messages.
    pub name: String,
    /// Where the bytes come from.
    pub source: String,
    /// The driver that was recorded: its name in the configuration and its version.
    pub driver: Option<String>,
    /// The limits that the call had, by name.
    pub limits: Vec<(String, u64)>,
    pub request: Request,
    pub request_line: usize,
    /// In the order they happened.
    pub entries: Vec<Entry>,
    /// The lines of the result; one that ends in ` ...` is the beginning of what may come.
    pub result: Vec<String>,
    pub result_line: usize,
    /// What the host made of it, where that is not the same.
    pub verdict: Option<String>,
}

/// One step, and when it was over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// From 1.
    pub line: usize,
    /// Microseconds from the beginning of the call.
    pub at_us: Option<u64>,
    pub step: Step,
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
        let failed = |line: usize, error: ReadError| ParseError {
            name: name.to_owned(),
            line,
            problem: error.0,
        };
        let mut parts = Parts::default();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim_end();
            if line.trim_start().is_empty() || line.starts_with('#') {
                continue;
            }
            parts.take(index + 1, line).map_err(|error| failed(index + 1, error))?;
        }
        let last = text.lines().count();
        parts.finish(name, last).map_err(|(line, error)| failed(line, error))
    }

    /// The same with every secret in it masked.
    #[must_use]
    pub fn hidden(mut self) -> Transcript {
        self.entries = self
            .entries
            .into_iter()
            .map(|entry| Entry { step: entry.step.hidden(), ..entry })
            .collect();
        self
    }
}

impl Entry {
    /// A step of which no time is known.
    pub fn untimed(step: Step) -> Entry {
        Entry { line: 0, at_us: None, step }
    }

    fn read(line: usize, text: &str) -> Result<Entry, ReadError> {
        let Some(timed) = text.strip_prefix('[') else {
            return Ok(Entry { line, at_us: None, step: Step::read(text)? });
        };
        let time = || ReadError("a time is written like [12.345] in milliseconds".to_owned());
        let (at, rest) = timed.split_once("] ").ok_or_else(time)?;
        let (whole, part) = at.split_once('.').ok_or_else(time)?;
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if part.len() != 3 || !digits(part) || !digits(whole) {
            return Err(time());
        }
        let at_us = number::<u64>(whole)?
            .checked_mul(1_000)
            .and_then(|us| us.checked_add(number(part).ok()?))
            .ok_or_else(time)?;
        Ok(Entry { line, at_us: Some(at_us), step: Step::read(rest)? })
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(at_us) = self.at_us {
            write!(f, "[{}.{:03}] ", at_us / 1_000, at_us % 1_000)?;
        }
        write!(f, "{}", self.step)
    }
}

/// The file's text, each line ended.
impl fmt::Display for Transcript {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "source: {}", piece(&self.source))?;
        if let Some(driver) = &self.driver {
            writeln!(f, "driver: {}", piece(driver))?;
        }
        if !self.limits.is_empty() {
            f.write_str("limits:")?;
            self.limits.iter().try_for_each(|(name, value)| write!(f, " {name}={value}"))?;
            f.write_str("\n")?;
        }
        writeln!(f, "call: {}", self.request)?;
        self.entries.iter().try_for_each(|entry| writeln!(f, "{entry}"))?;
        let mut lines = self.result.iter();
        writeln!(f, "result: {}", lines.next().map(String::as_str).unwrap_or_default())?;
        lines.try_for_each(|line| writeln!(f, "{line}"))?;
        match &self.verdict {
            Some(verdict) => writeln!(f, "verdict: {}", piece(verdict)),
            None => Ok(()),
        }
    }
}

/// The lines so far.
#[derive(Default)]
struct Parts {
    source: Option<String>,
    driver: Option<String>,
    limits: Vec<(String, u64)>,
    call: Option<Call>,
    entries: Vec<Entry>,
    result: Vec<String>,
    result_line: usize,
    verdict: Option<String>,
}

/// A call whose arguments are still texts.
struct Call {
    line: usize,
    name: String,
    arguments: Vec<(String, String)>,
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
            return self.take_head(line);
        };
        if self.verdict.is_some() {
            return ReadError::because("nothing may follow `verdict:`");
        }
        if line.starts_with(' ') {
            return if !self.result.is_empty() {
                self.result.push(line.to_owned());
                Ok(())
            } else if self.entries.is_empty() {
                take_arguments(call, line.trim())
            } else {
                ReadError::because("only `call:` and `result:` can be continued")
            };
        }
        if !self.result.is_empty() {
            let verdict = line.strip_prefix("verdict:").map(|rest| rest.trim().to_owned());
            self.verdict = Some(verdict.ok_or_else(|| {
                ReadError("nothing may follow `result:` but `verdict:`".to_owned())
            })?);
            return Ok(());
        }
        if let Some(rest) = line.strip_prefix("result:") {
            self.result.push(rest.trim().to_owned());
            self.result_line = number;
            return Ok(());
        }
        self.entries.push(Entry::read(number, line)?);
        Ok(())
    }

    fn take_source(&mut self, source: &str) -> Result<(), ReadError> {
        if source.is_empty() || self.source.is_some() {
            return ReadError::because("one `source:` that says where the bytes come from");
        }
        self.source = Some(source.to_owned());
        Ok(())
    }

    /// What may stand between `source:` and `call:`.
    fn take_head(&mut self, line: &str) -> Result<(), ReadError> {
        if let Some(driver) = line.strip_prefix("driver:").map(str::trim) {
            if driver.is_empty() || self.driver.is_some() {
                return ReadError::because("one `driver:` with a name");
            }
            self.driver = Some(driver.to_owned());
            return Ok(());
        }
        if let Some(limits) = line.strip_prefix("limits:") {
            if !self.limits.is_empty() {
                return ReadError::because("one `limits:`");
            }
            for word in limits.split_whitespace().take(ARGUMENTS_MOST) {
                let Some((name, value)) = word.split_once('=') else {
                    return ReadError::because(format!("`{word}` is not name=value"));
                };
                self.limits.push((name.to_owned(), number(value)?));
            }
            return Ok(());
        }
        ReadError::because("`call:` must follow `source:`, `driver:` and `limits:`")
    }

    fn take_call(&mut self, line: usize, text: &str) -> Result<(), ReadError> {
        let (name, arguments) = text.split_once(' ').unwrap_or((text, ""));
        if name.is_empty() || self.call.is_some() {
            return ReadError::because("one `call:` with a name");
        }
        let mut call = Call { line, name: name.to_owned(), arguments: Vec::new() };
        take_arguments(&mut call, arguments)?;
        self.call = Some(call);
        Ok(())
    }

    fn finish(self, name: &str, last: usize) -> Result<Transcript, (usize, ReadError)> {
        let missing = |what: &str| (last, ReadError(format!("no `{what}:`")));
        let source = self.source.ok_or_else(|| missing("source"))?;
        let call = self.call.ok_or_else(|| missing("call"))?;
        if self.result.is_empty() {
            return Err(missing("result"));
        }
        let request =
            Request::read(&call.name, call.arguments).map_err(|error| (call.line, error))?;
        Ok(Transcript {
            name: name.to_owned(),
            source,
            driver: self.driver,
            limits: self.limits,
            request,
            request_line: call.line,
            entries: self.entries,
            result: self.result,
            result_line: self.result_line,
            verdict: self.verdict,
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
        if call.arguments.len() >= ARGUMENTS_MOST {
            return ReadError::because(format!("more than {ARGUMENTS_MOST} arguments"));
        }
        call.arguments.push((name.to_owned(), value.to_owned()));
    }
    Ok(())
}

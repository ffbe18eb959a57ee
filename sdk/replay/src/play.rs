//! The host that a transcript is: it lets the driver do what stands there, and nothing else.

use crate::call::{Outcome, perform};
use crate::format::{ReadError, rendered};
use crate::transcript::{EXTENSION, Event, ParseError, Transcript, VaultAct};
use polymeter_driver::{Host, Key, Level, LineError, MeterDriver, VaultError, codes};
use std::path::{Path, PathBuf};

#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    #[error("reading {}", path.display())]
    File { path: PathBuf, source: std::io::Error },
    #[error(transparent)]
    Parse(#[from] ParseError),
    #[error("{name}:{line}: the call")]
    Call { name: String, line: usize, source: ReadError },
    /// The driver did something else than the transcript.
    #[error("{name}:{line}: {problem}{log}")]
    Differs { name: String, line: usize, problem: String, log: String },
    #[error("{} transcripts failed:\n{}", .0.len(), .0.join("\n"))]
    Several(Vec<String>),
    #[error("no transcript below {}", .0.display())]
    None(PathBuf),
}

/// Plays one file against a driver.
pub fn check<D: MeterDriver>(path: &Path) -> Result<(), ReplayError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| ReplayError::File { path: path.to_owned(), source })?;
    let transcript = Transcript::parse(&path.display().to_string(), &text)?;
    let mut player = Player::new(&transcript);
    let outcome = perform::<D>(&mut player, &transcript.call).map_err(|source| {
        ReplayError::Call { name: transcript.name.clone(), line: transcript.call.line, source }
    })?;
    player.finish(&outcome)
}

/// Plays every `*.transcript` below a folder; the number played. All of them are played before the
/// failures are told together.
pub fn check_folder<D: MeterDriver>(folder: &Path) -> Result<usize, ReplayError> {
    let files = transcripts(folder)?;
    if files.is_empty() {
        return Err(ReplayError::None(folder.to_owned()));
    }
    let told = |error: ReplayError| {
        let mut text = error.to_string();
        let mut cause = std::error::Error::source(&error);
        while let Some(next) = cause {
            text += &format!(": {next}");
            cause = next.source();
        }
        text
    };
    let failures: Vec<String> =
        files.iter().filter_map(|file| check::<D>(file).err()).map(told).collect();
    if failures.is_empty() { Ok(files.len()) } else { Err(ReplayError::Several(failures)) }
}

/// Sorted, so that a failing run reads the same everywhere.
fn transcripts(folder: &Path) -> Result<Vec<PathBuf>, ReplayError> {
    let failed = |source| ReplayError::File { path: folder.to_owned(), source };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.is_dir() {
            files.extend(transcripts(&path)?);
        } else if path.extension().is_some_and(|extension| extension == EXTENSION) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// A [`Host`] that answers from a transcript. The first difference is kept; after it the line is
/// down and the vault is shut.
#[derive(Debug)]
pub struct Player<'a> {
    transcript: &'a Transcript,
    next: usize,
    difference: Option<(usize, String)>,
    log: Vec<String>,
}

impl<'a> Player<'a> {
    pub fn new(transcript: &'a Transcript) -> Self {
        Self { transcript, next: 0, difference: None, log: Vec::new() }
    }

    /// Ends the play: every step must have been taken and the result be the transcript's.
    pub fn finish(self, outcome: &Outcome) -> Result<(), ReplayError> {
        let difference = self.difference.clone().or_else(|| {
            let (line, event) = self.transcript.events.get(self.next)?;
            Some((*line, format!("the driver ended before `{event}`: {}", text(outcome))))
        });
        let expected = &self.transcript.result;
        let found = rendered(outcome);
        let difference = difference.or_else(|| {
            (!agrees(expected, &found)).then(|| {
                let expected = expected.join("\n");
                let problem = format!("expected\n{expected}\nbut got\n{}", found.join("\n"));
                (self.transcript.result_line, problem)
            })
        });
        let Some((line, problem)) = difference else { return Ok(()) };
        let log = self.log.iter().map(|entry| format!("\n  log {entry}")).collect();
        Err(ReplayError::Differs { name: self.transcript.name.clone(), line, problem, log })
    }

    /// Takes the next step if `is_it` agrees; otherwise notes the difference.
    fn step<T>(&mut self, done: &str, is_it: impl Fn(&Event) -> Option<T>) -> Option<T> {
        if self.difference.is_some() {
            return None;
        }
        let Some((line, event)) = self.transcript.events.get(self.next) else {
            let line = self.transcript.result_line;
            self.difference = Some((line, format!("the call should be over, but `{done}`")));
            return None;
        };
        let answer = is_it(event);
        if answer.is_none() {
            self.difference = Some((*line, format!("expected\n{event}\nbut got\n{done}")));
        }
        self.next += 1;
        answer
    }

    fn vault(&mut self, act: VaultAct) -> Result<Vec<u8>, VaultError> {
        let answer = self.step(&act.to_string(), |event| match event {
            Event::Vault(expected, answer) if *expected == act => Some(answer.clone()),
            _ => None,
        });
        let refused = |code| VaultError { code, detail: "refused in the transcript".to_owned() };
        answer.unwrap_or(Err(VAULT_SHUT)).map_err(refused)
    }
}

/// `vault-error.code`: not granted.
const VAULT_SHUT: u16 = 4;

fn line_error(code: u16) -> LineError {
    let detail =
        if code == codes::line::SILENT { "no answer" } else { "refused by the transcript" };
    LineError { code, detail: detail.to_owned() }
}

fn text(outcome: &Outcome) -> String {
    rendered(outcome).join("\n")
}

fn agrees(expected: &[String], found: &[String]) -> bool {
    expected.len() == found.len()
        && expected.iter().zip(found).all(|(expected, found)| match expected.strip_suffix(" ...") {
            Some(beginning) => found.starts_with(beginning),
            None => expected == found,
        })
}

impl Host for Player<'_> {
    fn send(&mut self, bytes: &[u8]) -> Result<(), LineError> {
        let done = Event::Send(Ok(bytes.to_vec())).to_string();
        let answer = self.step(&done, |event| match event {
            Event::Send(Ok(expected)) if expected == bytes => Some(Ok(())),
            Event::Send(Err(code)) => Some(Err(*code)),
            _ => None,
        });
        answer.unwrap_or(Err(codes::line::DOWN)).map_err(line_error)
    }

    fn receive(&mut self, _want: u32) -> Result<Vec<u8>, LineError> {
        let answer = self.step("a receive", |event| match event {
            Event::Receive(answer) => Some(answer.clone()),
            _ => None,
        });
        answer.unwrap_or(Err(codes::line::DOWN)).map_err(line_error)
    }

    fn drain(&mut self) -> Result<u32, LineError> {
        Ok(0)
    }

    fn mac(
        &mut self,
        key: &Key,
        algorithm: u16,
        iv: &[u8],
        data: &[u8],
    ) -> Result<Vec<u8>, VaultError> {
        let (key, iv, data) = (key.clone(), iv.to_vec(), data.to_vec());
        self.vault(VaultAct::Mac { key, algorithm, iv, data })
    }

    fn encrypt(
        &mut self,
        key: &Key,
        algorithm: u16,
        iv: &[u8],
        associated: &[u8],
        data: &[u8],
    ) -> Result<Vec<u8>, VaultError> {
        let (key, iv) = (key.clone(), iv.to_vec());
        let (associated, data) = (associated.to_vec(), data.to_vec());
        self.vault(VaultAct::Encrypt { key, algorithm, iv, associated, data })
    }

    fn decrypt(
        &mut self,
        key: &Key,
        algorithm: u16,
        iv: &[u8],
        associated: &[u8],
        data: &[u8],
    ) -> Result<Vec<u8>, VaultError> {
        let (key, iv) = (key.clone(), iv.to_vec());
        let (associated, data) = (associated.to_vec(), data.to_vec());
        self.vault(VaultAct::Decrypt { key, algorithm, iv, associated, data })
    }

    fn random(&mut self, length: u32) -> Result<Vec<u8>, VaultError> {
        self.vault(VaultAct::Random { length })
    }

    fn log(&mut self, level: Level, message: &str) {
        self.log.push(format!("{level:?} {message}"));
    }
}

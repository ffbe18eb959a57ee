//! A driver's own type, held against a transcript.

use crate::carried::Carried;
use polymeter_driver::{
    CardDriver, Host, InsertedCard, Key, Level, LineError, MeterDriver, RecordsAsked, Secret,
    SlotError, VaultError, codes,
};
use polymeter_transcript::{
    CardAct, Content, Difference, DriverError, EXTENSION, Fault, Function, Outcome, ParseError,
    Request, SlotAct, SlotAnswer, Transcript, VaultAct,
};
use std::path::{Path, PathBuf};

/// Why a play failed.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// A file or folder could not be read.
    #[error("reading {}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file is no transcript.
    #[error(transparent)]
    Parse(#[from] ParseError),
    /// The driver did something else than the transcript.
    #[error(transparent)]
    Differs(#[from] Difference),
    /// Each failure of a folder, all of them played.
    #[error("{} transcripts failed:\n{}", .0.len(), .0.join("\n"))]
    Several(Vec<String>),
    /// A folder without a transcript proves nothing.
    #[error("no transcript below {}", .0.display())]
    None(PathBuf),
}

/// Plays one file against a driver.
///
/// ```no_run
/// # fn played<Driver: polymeter_driver::MeterDriver>() -> Result<(), polymeter_replay::ReplayError> {
/// polymeter_replay::check::<Driver>("transcripts/ok/sell.transcript".as_ref())
/// # }
/// ```
pub fn check<D: MeterDriver>(path: &Path) -> Result<(), ReplayError> {
    check_with(path, perform::<D>)
}

/// As [`check`], against a driver of cards.
pub fn check_card<D: CardDriver>(path: &Path) -> Result<(), ReplayError> {
    check_with(path, perform_card::<D>)
}

/// What a call comes to.
type Perform = fn(&mut dyn Host, &Request) -> Outcome;

fn check_with(path: &Path, perform: Perform) -> Result<(), ReplayError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| ReplayError::File { path: path.to_owned(), source })?;
    let transcript = Transcript::parse(&path.display().to_string(), &text)?;
    let mut player = Player::new(&transcript);
    let outcome = perform(&mut player, &transcript.request);
    Ok(player.finish(&outcome)?)
}

/// Plays every `*.transcript` below a folder; the number played. All of them are played before the
/// failures are told together.
pub fn check_folder<D: MeterDriver>(folder: &Path) -> Result<usize, ReplayError> {
    check_folder_with(folder, perform::<D>)
}

/// As [`check_folder`], against a driver of cards.
pub fn check_card_folder<D: CardDriver>(folder: &Path) -> Result<usize, ReplayError> {
    check_folder_with(folder, perform_card::<D>)
}

fn check_folder_with(folder: &Path, perform: Perform) -> Result<usize, ReplayError> {
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
        files.iter().filter_map(|file| check_with(file, perform).err()).map(told).collect();
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

/// Makes the call.
pub fn perform<D: MeterDriver>(host: &mut dyn Host, request: &Request) -> Outcome {
    match request.clone() {
        Request::Describe => D::describe().carried(),
        Request::Probe(told) => D::probe(host, &told.carried()).carried(),
        Request::Read(told) => D::read(host, &told.carried()).carried(),
        Request::Open(told, opening) => {
            D::open(host, &told.carried(), &opening.carried()).carried()
        }
        Request::Sell(told, order) => D::sell(host, &told.carried(), &order.carried()).carried(),
        Request::Refund(told, order) => {
            D::refund(host, &told.carried(), &order.carried()).carried()
        }
        Request::Clear(told) => D::clear(host, &told.carried()).carried(),
        Request::Check(told, count) => D::check(host, &told.carried(), count).carried(),
        Request::Control { told, command, valid_until } => {
            D::control(host, &told.carried(), command, valid_until.carried()).carried()
        }
        Request::SetParameters(told, parameters) => {
            D::set_parameters(host, &told.carried(), &parameters.carried()).carried()
        }
        Request::SetClock(told, way) => D::set_clock(host, &told.carried(), way).carried(),
        Request::Enter(told, digits) => D::enter(host, &told.carried(), &digits).carried(),
        Request::ReadRecords { told, kind, since, position, questions } => {
            let (since, position) = (since.carried(), position.as_deref());
            let asked = RecordsAsked { kind: &kind, since, position, questions };
            D::read_records(host, &told.carried(), asked).carried()
        }
        Request::Decode(frame) => D::decode(&frame).carried(),
        Request::Plan(told, order, last) => {
            D::plan(&told.carried(), &order.carried(), last).carried()
        }
        Request::Issue(told, order, identifier) => {
            D::issue(host, &told.carried(), &order.carried(), identifier).carried()
        }
        Request::Search { told, way, position, questions } => {
            D::search(host, &told.carried(), &way, position.as_deref(), questions).carried()
        }
        Request::CardIdentify(_)
        | Request::CardCheck(_)
        | Request::CardClear(_)
        | Request::Card(..) => of_other_world(request.function()),
    }
}

/// Makes the call of a driver of cards.
pub fn perform_card<D: CardDriver>(host: &mut dyn Host, request: &Request) -> Outcome {
    match request.clone() {
        Request::Describe => D::describe().carried(),
        Request::CardIdentify(told) => D::identify(host, &told.carried()).carried(),
        Request::CardCheck(told) => D::check(host, &told.carried()).carried(),
        Request::CardClear(told) => D::clear(host, &told.carried()).carried(),
        Request::Card(act, told, order) => {
            let (call, order) = (told.carried(), order.carried());
            let ending = match act {
                CardAct::Open => D::open(host, &call, &order),
                CardAct::Sell => D::sell(host, &call, &order),
                CardAct::Replace => D::replace(host, &call, &order),
                CardAct::TakeBack => D::take_back(host, &call, &order),
                CardAct::Make => D::make(host, &call, &order),
            };
            ending.carried()
        }
        other => of_other_world(other.function()),
    }
}

/// A driver of meters has no verbs of cards, nor the other way.
fn of_other_world(function: Function) -> Outcome {
    let detail = format!("this driver does not export {function}");
    Outcome::Error(DriverError { code: codes::error::UNSUPPORTED, detail, device_code: None })
}

/// A [`Host`] that answers from a transcript.
#[derive(Debug)]
pub struct Player<'a>(polymeter_transcript::Player<&'a Transcript>);

impl<'a> Player<'a> {
    /// A host for one call.
    pub fn new(transcript: &'a Transcript) -> Self {
        Self(polymeter_transcript::Player::new(transcript))
    }

    /// Ends the play: every step must have been taken and the result be the transcript's.
    pub fn finish(self, outcome: &Outcome) -> Result<(), Difference> {
        self.0.finish(outcome)
    }

    fn vault(&mut self, act: &VaultAct) -> Result<Vec<u8>, VaultError> {
        match self.0.vault(act) {
            Ok(Content::Plain(bytes)) => Ok(bytes),
            Ok(Content::Masked { .. }) => {
                let problem = format!(
                    "what the vault answered to `{act}` is masked: replay it where the key is"
                );
                self.0.object(problem);
                let detail = "masked in the transcript".to_owned();
                Err(VaultError { code: codes::vault::error::NOT_GRANTED, detail })
            }
            Err(fault) => {
                let (code, detail) = fault.of_vault().unwrap_or_else(cut_off);
                Err(VaultError { code, detail })
            }
        }
    }
}

/// A call cannot be cut off here; the driver hears that the line is down, or the reader.
fn cut_off() -> (u16, String) {
    (codes::line::DOWN, "cut off in the transcript".to_owned())
}

fn line_error(fault: Fault) -> LineError {
    let (code, detail) = fault.on_line().unwrap_or_else(cut_off);
    LineError { code, detail }
}

fn slot_error(fault: Fault) -> SlotError {
    let (code, detail) = fault.of_slot().unwrap_or_else(cut_off);
    SlotError { code, detail }
}

impl Player<'_> {
    fn slot(&mut self, act: &SlotAct) -> Result<SlotAnswer, SlotError> {
        self.0.slot(act).map_err(slot_error)
    }
}

impl Host for Player<'_> {
    fn send(&mut self, bytes: &[u8]) -> Result<(), LineError> {
        self.0.send(bytes).map_err(line_error)
    }

    fn receive(&mut self, want: u32) -> Result<Vec<u8>, LineError> {
        self.0.receive(want).map_err(line_error)
    }

    fn drain(&mut self) -> Result<u32, LineError> {
        self.0.drain().map_err(line_error)
    }

    fn mac(
        &mut self,
        key: &Key,
        algorithm: u16,
        iv: &[u8],
        data: &[u8],
    ) -> Result<Vec<u8>, VaultError> {
        let (key, iv, data) = (key.clone().carried(), iv.to_vec(), data.to_vec());
        self.vault(&VaultAct::Mac { key, algorithm, iv, data })
    }

    fn encrypt(
        &mut self,
        key: &Key,
        algorithm: u16,
        iv: &[u8],
        associated: &[u8],
        data: &[u8],
    ) -> Result<Vec<u8>, VaultError> {
        let (key, iv, associated) = (key.clone().carried(), iv.to_vec(), associated.to_vec());
        let data = Content::Plain(data.to_vec());
        self.vault(&VaultAct::Encrypt { key, algorithm, iv, associated, data })
    }

    fn decrypt(
        &mut self,
        key: &Key,
        algorithm: u16,
        iv: &[u8],
        associated: &[u8],
        data: &[u8],
    ) -> Result<Vec<u8>, VaultError> {
        let (key, iv, associated) = (key.clone().carried(), iv.to_vec(), associated.to_vec());
        let data = data.to_vec();
        self.vault(&VaultAct::Decrypt { key, algorithm, iv, associated, data })
    }

    fn random(&mut self, length: u32) -> Result<Vec<u8>, VaultError> {
        self.vault(&VaultAct::Random { length })
    }

    fn log(&mut self, level: Level, message: &str) {
        self.0.log(level.carried(), message);
    }

    fn inserted(&mut self) -> Result<InsertedCard, SlotError> {
        let card = self.slot(&SlotAct::Inserted)?.card().map_err(slot_error)?;
        Ok(card.carried())
    }

    fn transmit(&mut self, command: &[u8]) -> Result<Vec<u8>, SlotError> {
        self.slot(&SlotAct::Transmit(command.to_vec()))?.bytes().map_err(slot_error)
    }

    fn read_card(&mut self, offset: u32, length: u32) -> Result<Vec<u8>, SlotError> {
        self.slot(&SlotAct::Read { offset, length })?.bytes().map_err(slot_error)
    }

    fn write_card(&mut self, offset: u32, bytes: &[u8]) -> Result<(), SlotError> {
        self.slot(&SlotAct::Write { offset, bytes: bytes.to_vec() }).map(drop)
    }

    fn erase_card(&mut self, zone: u16, code: &Secret) -> Result<(), SlotError> {
        let code = code.clone().carried();
        self.slot(&SlotAct::Erase { zone, code }).map(drop)
    }

    fn tries_left(&mut self, code: u16) -> Result<u8, SlotError> {
        self.slot(&SlotAct::TriesLeft { code })?.tries().map_err(slot_error)
    }

    fn verify_code(&mut self, code: u16, presented: &Secret) -> Result<(), SlotError> {
        let presented = presented.clone().carried();
        self.slot(&SlotAct::Verify { code, presented }).map(drop)
    }

    fn set_code(&mut self, code: u16, presented: &Secret) -> Result<(), SlotError> {
        let presented = presented.clone().carried();
        self.slot(&SlotAct::SetCode { code, presented }).map(drop)
    }
}

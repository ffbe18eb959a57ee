//! Questions on the link: initialise, select, ask for data, send some; and what the line brought to each.
//!
//! Invariant: a bounded number of listenings for each question. Whether more than one device
//! answered shows as [`Heard::Noise`], and is never taken for one answer.

use polymeter_codec::Decoded;
use polymeter_codec::mbus::{
    SecondaryAddress, TELEGRAM_BYTES_MAX, Telegram, address, ci, control, decode, false_start,
};
use polymeter_driver::codes::{error, line};
use polymeter_driver::{DriverError, Host};

const RECEIVES_MAX: usize = 16;
const BYTES_MAX: usize = 3 * TELEGRAM_BYTES_MAX;
const ACK: [u8; 1] = [0xE5];

/// What a question brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// E5 and nothing else.
    Ack,
    /// The data of a device.
    Data(Reply),
    /// Nothing in time.
    Silence,
    /// Bytes that are no answer: so many, and what they may be.
    Noise(String),
}

/// A long telegram of a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    pub address: u8,
    pub ci: u8,
    pub data: Vec<u8>,
}

/// Initialises the link of one device, or ends what is selected.
pub fn initialise(host: &mut dyn Host, address: u8) -> Result<Heard, DriverError> {
    send(host, &Telegram::Short { control: control::SND_NKE, address })?;
    acknowledged(host)
}

/// Selects who matches, and ends the selection of all others.
pub fn select(host: &mut dyn Host, pattern: SecondaryAddress) -> Result<Heard, DriverError> {
    let data = &pattern.to_wire();
    let (control, address) = (control::SND_UD, address::SELECTED);
    send(host, &Telegram::Long { control, address, ci: ci::SELECT, data })?;
    acknowledged(host)
}

/// Records for a device, behind an initialisation or selection: the frame count bit is set.
pub fn write(host: &mut dyn Host, address: u8, records: &[u8]) -> Result<Heard, DriverError> {
    let control = control::SND_UD | control::FCB;
    send(host, &Telegram::Long { control, address, ci: ci::DATA_SEND, data: records })?;
    acknowledged(host)
}

/// Asks for data; `next` toggles with every question that is not a repeated one.
pub fn data(host: &mut dyn Host, address: u8, next: bool) -> Result<Heard, DriverError> {
    let bit = if next { control::FCB } else { 0 };
    send(host, &Telegram::Short { control: control::REQ_UD2 | bit, address })?;
    let mut bytes = Vec::new();
    let mut quiet = false;
    for _ in 0..RECEIVES_MAX {
        match first(&bytes, quiet) {
            First::Reply(reply) => return Ok(Heard::Data(reply)),
            First::None if quiet || bytes.len() > BYTES_MAX => break,
            First::None => {}
        }
        // Most of a telegram, whatever its length; the line's quiet ends it.
        let want = TELEGRAM_BYTES_MAX.saturating_sub(bytes.len()).max(1);
        let want = match decode(&bytes) {
            Decoded::NeedMore { at_least } => at_least.saturating_sub(bytes.len()),
            _ => want,
        };
        match host.receive(u32::try_from(want).unwrap_or(1)) {
            Ok(more) => bytes.extend(more),
            Err(silent) if silent.code == line::SILENT => quiet = true,
            Err(other) => return Err(other.into()),
        }
    }
    match first(&bytes, true) {
        First::Reply(reply) => Ok(Heard::Data(reply)),
        First::None if bytes.is_empty() => Ok(Heard::Silence),
        First::None => Ok(Heard::Noise(format!("{} bytes came that are no answer", bytes.len()))),
    }
}

enum First {
    Reply(Reply),
    None,
}

/// The first whole telegram of a device in the bytes.
fn first(mut bytes: &[u8], quiet: bool) -> First {
    while !bytes.is_empty() {
        let skip = match decode(bytes) {
            Decoded::Frame { frame: Telegram::Long { control, address, ci, data }, .. }
                if control & !(control::ACD | control::DFC) == control::RSP_UD =>
            {
                return First::Reply(Reply { address, ci, data: data.to_vec() });
            }
            Decoded::Frame { used, .. } => used,
            Decoded::Garbled { skip } => skip,
            Decoded::NeedMore { .. } if !quiet => return First::None,
            Decoded::NeedMore { .. } => false_start(bytes),
        };
        bytes = bytes.get(skip..).unwrap_or_default();
    }
    First::None
}

/// Whoever answers says E5; two at once may be heard as one, which the data that follows shows.
fn acknowledged(host: &mut dyn Host) -> Result<Heard, DriverError> {
    match host.receive(1) {
        Ok(bytes) if bytes == ACK => Ok(Heard::Ack),
        Ok(bytes) => Ok(Heard::Noise(format!("{bytes:02X?} came where E5 says yes"))),
        Err(silent) if silent.code == line::SILENT => Ok(Heard::Silence),
        Err(other) => Err(other.into()),
    }
}

fn send(host: &mut dyn Host, telegram: &Telegram<'_>) -> Result<(), DriverError> {
    let mut bytes = [0; TELEGRAM_BYTES_MAX];
    let length = telegram
        .encode(&mut bytes)
        .map_err(|why| DriverError::new(error::BAD_PARAMETER, why.to_string()))?;
    Ok(host.send(bytes.get(..length).unwrap_or_default())?)
}

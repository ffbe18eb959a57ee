//! Runs of registers, written by function 10H, read back and compared.
//!
//! Invariant: one after the other, each once; `confirmed` is said only after every run read back what
//! was asked, and `refused` only where none was written. Not here: what a parameter means in bytes,
//! which is understood whole before the first write.

use crate::exchange::{self, Block, Written, unproved};
use crate::face::bad;
use crate::relay::refused;
use polymeter_codec::modbus::{Registers, Request, Unit};
use polymeter_driver::{DriverError, Host, SetOutcome};

/// One run of registers, and the parameter that it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// As `describe` has it.
    pub name: &'static str,
    /// The first register.
    pub start: u16,
    /// Two for each register.
    pub bytes: Vec<u8>,
}

/// Writes them all, as far as the device takes them.
pub fn set(
    host: &mut dyn Host,
    unit: Unit,
    settings: &[Setting],
) -> Result<SetOutcome, DriverError> {
    for (done, setting) in settings.iter().enumerate() {
        let values =
            Registers::new(&setting.bytes).ok_or_else(|| bad("more registers than a frame"))?;
        let request = Request::WriteMultiple { start: setting.start, values };
        let written = exchange::write(host, unit, &request);
        if let (Written::No(exception), 0) = (&written, done) {
            return Ok(SetOutcome::Refused(refused(*exception)));
        }
        let seen = match held(host, unit, setting) {
            Ok(bytes) if bytes == setting.bytes => continue,
            Ok(_) => format!("{} reads back as something else", setting.name),
            Err(error) => format!("{} could not be read back: {}", setting.name, error.detail),
        };
        // Those before it stand in the device by now, so this is no refusal of the whole.
        return Ok(SetOutcome::Unknown(unproved(&written, &seen)));
    }
    Ok(SetOutcome::Confirmed)
}

fn held(host: &mut dyn Host, unit: Unit, setting: &Setting) -> Result<Vec<u8>, DriverError> {
    let count = u16::try_from(setting.bytes.len() / 2).unwrap_or(u16::MAX);
    let words = exchange::read(host, unit, Block { start: setting.start, count })?;
    Ok(words.each().flat_map(|(_, word)| word.to_be_bytes()).collect())
}

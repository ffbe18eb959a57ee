//! The meter's clock, set as the maker's own set-up program sets it.
//!
//! Invariant: the write leaves once, and what is told afterwards is what the clock then shows. Not here:
//! whether it is right, which the host judges.

use crate::extra;
use polymeter_codec::modbus::{Unit, crc16};
use polymeter_driver::codes::{clock, error};
use polymeter_driver::{Call, ClockOutcome, DriverError, Host, LocalTime, time};
use polymeter_modbus::face::{bad, unit};
use polymeter_modbus::relay::refused;
use polymeter_modbus::time::year_of_century;

/// The maker's own write, laid out as 10H is.
const OWN_WRITE: u8 = 0x20;
const OWN_EXCEPTION: u8 = OWN_WRITE | 0x80;
/// Second, minute, hour, weekday (0 Sunday), day, month, year, and three bytes of nothing.
const PLACE: [u8; 2] = [0x03, 0x54];
const REGISTERS: u8 = 5;
/// The program waits for as many bytes; what they are it does not say.
const ANSWER_BYTES: usize = 15;
/// A gateway may cut an answer into a few pieces.
const RECEIVES_MAX: usize = 4;

pub fn set(host: &mut dyn Host, call: &Call, way: u16) -> Result<ClockOutcome, DriverError> {
    let unit = unit(&call.address)?;
    if way != clock::SET {
        let detail = "this meter has no way to adjust a clock, only to set it";
        return Err(DriverError::new(error::UNSUPPORTED, detail));
    }
    let year = year_of_century(&call.now)
        .ok_or_else(|| bad("the meter counts years from 2000 to 2099"))?;
    host.send(&frame(unit, &call.now, year))?;
    if let Some(exception) = exception(host, unit) {
        return Ok(ClockOutcome::Refused(refused(exception)));
    }
    // A lost answer is no matter: the clock is read back.
    Ok(match extra::clock(host, unit) {
        Ok(Some(shown)) => ClockOutcome::Confirmed(shown),
        Ok(None) => ClockOutcome::Unknown("the clock shows no time afterwards".to_owned()),
        Err(unread) => {
            ClockOutcome::Unknown(format!("the clock could not be read back: {}", unread.detail))
        }
    })
}

fn frame(unit: Unit, now: &LocalTime, year: u8) -> Vec<u8> {
    let [high, low] = PLACE;
    let mut frame =
        vec![unit.get(), OWN_WRITE, high, low, 0, REGISTERS, REGISTERS.saturating_mul(2)];
    frame.extend([now.second, now.minute, now.hour, time::weekday(*now)]);
    frame.extend([now.day, now.month, year, 0, 0, 0]);
    frame.extend(crc16(&frame).to_le_bytes());
    frame
}

/// The exception that the meter answers. How it acknowledges no source tells, so whatever else comes is
/// only taken off the line.
fn exception(host: &mut dyn Host, unit: Unit) -> Option<u8> {
    let mut heard = Vec::new();
    for _ in 0..RECEIVES_MAX {
        // As many as an exception has, then the rest of what the program waits for.
        let whole = if heard.is_empty() { 5 } else { ANSWER_BYTES };
        let want = whole.saturating_sub(heard.len()).max(1);
        // Silence ends it; a line that failed is met again, and told, by the read-back.
        let Ok(bytes) = host.receive(u32::try_from(want).unwrap_or(u32::MAX)) else { break };
        heard.extend(bytes);
        if let &[from, OWN_EXCEPTION, code, low, high] = heard.as_slice()
            && from == unit.get()
            && crc16(&[from, OWN_EXCEPTION, code]).to_le_bytes() == [low, high]
        {
            return Some(code);
        }
        if heard.len() >= ANSWER_BYTES {
            break;
        }
    }
    None
}

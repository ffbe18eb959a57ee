//! The box's clock, which all its users share.
//!
//! Not here: whether it is right, which the host judges.

use crate::registers::CLOCK;
use crate::user::User;
use polymeter_codec::modbus::{Registers, Request, Unit};
use polymeter_driver::codes::clock;
use polymeter_driver::{Call, ClockOutcome, DriverError, Host, LocalTime, codes, time};
use polymeter_modbus::face::bad;
use polymeter_modbus::relay::refused;
use polymeter_modbus::time::{of_century, year_of_century};
use polymeter_modbus::{Written, exchange};

/// What it shows; `None`: no time.
pub fn shown(host: &mut dyn Host, unit: Unit) -> Result<Option<LocalTime>, DriverError> {
    let words = exchange::read(host, unit, CLOCK)?;
    let bytes: Vec<u8> = words.each().flat_map(|(_, word)| word.to_be_bytes()).collect();
    let &[second, minute, hour, _, day, month, year, _] = bytes.as_slice() else {
        return Ok(None);
    };
    Ok(of_century([year, month, day, hour, minute, second]))
}

pub fn set(host: &mut dyn Host, call: &Call, way: u16) -> Result<ClockOutcome, DriverError> {
    let unit = User::parse(&call.address)?.unit;
    if way != clock::SET {
        let detail = "this box has no way to adjust a clock, only to set it";
        return Err(DriverError::new(codes::error::UNSUPPORTED, detail));
    }
    let LocalTime { month, day, hour, minute, second, .. } = call.now;
    let year = year_of_century(&call.now).ok_or_else(|| bad("the box counts years to 2099"))?;
    // 1 is Monday (seen on a box), so 0 Sunday.
    let bytes = [second, minute, hour, time::weekday(call.now), day, month, year, 0];
    let values = Registers::new(&bytes).ok_or_else(|| bad("a time is four registers"))?;
    let request = Request::WriteMultiple { start: CLOCK.start, values };
    let written = exchange::write(host, unit, &request);
    if let Written::No(exception) = written {
        return Ok(ClockOutcome::Refused(refused(exception)));
    }
    // A lost answer is no matter: the clock is read back.
    Ok(match shown(host, unit) {
        Ok(Some(shown)) => ClockOutcome::Confirmed(shown),
        Ok(None) => ClockOutcome::Unknown("the clock shows no time afterwards".to_owned()),
        Err(unread) => ClockOutcome::Unknown(exchange::unproved(&written, &unread.detail)),
    })
}

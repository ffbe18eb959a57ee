//! The meter's clock, class 8 (IEC 62056-6-2, 4.5.1): its time written, and read back.
//!
//! Not here: adjusting. Methods 1 to 6 shift the clock or round it, and ask for the same rights as
//! writing it; DLMS has nothing that anybody on the line may do (ADR 0040).

use crate::association;
use crate::measure::{moment, octets_of};
use crate::read::CLOCK;
use crate::session::{Session, written};
use crate::settings::{Settings, bad};
use crate::words::refused;
use polymeter_codec::dlms::{Attribute, Data};
use polymeter_driver::codes::{clock, error, refusal};
use polymeter_driver::{Call, ClockOutcome, DriverError, Host, LocalTime, Refusal};

const TIME: Attribute = Attribute { class: 8, object: CLOCK, attribute: 2 };

pub fn set(host: &mut dyn Host, call: &Call, way: u16) -> Result<ClockOutcome, DriverError> {
    let settings = Settings::of(call)?;
    match way {
        clock::SET => {}
        clock::ADJUST => {
            let why = "a clock of DLMS is set with rights or not at all: set it";
            return Err(DriverError::new(error::UNSUPPORTED, why));
        }
        other => return Err(bad(format!("there is no way {other} of setting a clock"))),
    }
    let mut session = association::open(host, &settings, call)?;
    // It is written in the type in which the meter tells it.
    let value = match session.get(TIME)?.data()? {
        Ok(Data::DateTime(_)) => Data::DateTime(octets_of(call.now)),
        Ok(_) => Data::Octets(&octets_of(call.now)),
        Err(why) => {
            session.close();
            return Ok(ClockOutcome::Refused(refused(
                why,
                "this association may not see the clock",
            )));
        }
    };
    let lost = match session.set(TIME, &written(&value)) {
        Ok(0) => None,
        Ok(why) => {
            session.close();
            let denied = "this association may not set the clock";
            return Ok(ClockOutcome::Refused(refused(why, denied)));
        }
        Err(lost) if lost.code == error::LINE => return Ok(ClockOutcome::Unknown(lost.detail)),
        // Perhaps only the answer was lost: the clock tells, in an association of its own.
        Err(lost) => Some(lost),
    };
    let shown = match lost {
        None => shown(session),
        Some(_) => {
            session.close();
            association::open(host, &settings, call).and_then(shown)
        }
    };
    Ok(match shown {
        Ok(Ok(Some(shown))) => ClockOutcome::Confirmed(shown),
        Ok(Ok(None)) => ClockOutcome::Unknown("the clock shows no time afterwards".to_owned()),
        Ok(Err(no)) => ClockOutcome::Unknown(format!("the clock was not read back: {}", no.detail)),
        Err(unread) => {
            ClockOutcome::Unknown(format!("the clock was not read back: {}", unread.detail))
        }
    })
}

/// What the clock shows, or why the meter does not say.
fn shown(mut session: Session<'_>) -> Result<Result<Option<LocalTime>, Refusal>, DriverError> {
    let got = session.get(TIME);
    session.close();
    Ok(match got?.data()? {
        Ok(data) => Ok(moment(&data).map(|(time, _)| time)),
        Err(why) => Err(Refusal {
            code: refusal::OTHER,
            detail: format!("the meter refuses it, {why:02X}"),
            device_code: None,
        }),
    })
}

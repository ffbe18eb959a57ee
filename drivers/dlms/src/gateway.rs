//! The token gateway: class 115 (IEC 62056-6-2, 4.6): digits that a keypad would take, over the line.
//!
//! Invariants: a token is sent once in a call, and only where the meter does not show that it has it; what
//! the object says of it afterwards decides, and not its yes. A meter that says no is believed: it takes
//! no token twice, so that asking again is safe. Not here: what the digits mean (`sts-token`).

use crate::association;
use crate::session::{Got, Session};
use crate::settings::{Settings, TokenFormat};
use crate::words::refused;
use polymeter_codec::Obis;
use polymeter_codec::dlms::{Attribute, Data, Method};
use polymeter_driver::codes::{error, refusal};
use polymeter_driver::{Call, DriverError, EntryOutcome, Host, Refusal};

const CLASS: u16 = 115;
/// The token that came last, and what became of it.
const TOKEN: i8 = 2;
const STATUS: i8 = 6;
const ENTER: i8 = 1;
/// How often the status is read while the meter is at work on the token.
const LOOKS: usize = 3;
/// Longer tokens than any standard's are no tokens.
const DIGITS_MAX: usize = 40;

/// `token_status_code`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Status {
    /// 3: carried out.
    Executed,
    /// 0, 1, 2 and 8: well formed, its own, valid, received: not carried out yet.
    AtWork,
    /// 4 to 7.
    Failed(u8),
}

impl Status {
    fn of(code: u8) -> Option<Status> {
        match code {
            3 => Some(Status::Executed),
            0..=2 | 8 => Some(Status::AtWork),
            4..=7 => Some(Status::Failed(code)),
            _ => None,
        }
    }
}

pub fn enter(host: &mut dyn Host, call: &Call, digits: &str) -> Result<EntryOutcome, DriverError> {
    let settings = Settings::of(call)?;
    let token = encoded(digits, settings.token_format)?;
    let mut session = association::open(host, &settings, call)?;
    // Perhaps an earlier call was heard and its answer lost, or somebody typed it in.
    if let Some(Status::Executed) = status(&mut session, settings.gateway, &token) {
        session.close();
        return Ok(EntryOutcome::Refused(no(refusal::ALREADY_TAKEN, "it had it already", 3)));
    }
    let method = Method { class: CLASS, object: settings.gateway, attribute: ENTER };
    let answered = match session.act(method, Some(Data::Octets(&token))) {
        Ok(done) if done.refusal != 0 => {
            session.close();
            let denied = "the meter takes tokens from nobody without the right to enter them";
            return Ok(EntryOutcome::Refused(refused(done.refusal, denied)));
        }
        Ok(done) => done.answer.and_then(|bytes| said(&Got(Ok(bytes)))),
        Err(lost) => return Ok(EntryOutcome::Unknown(lost.detail)),
    };
    let mut last = None;
    for _ in 0..LOOKS {
        last = status(&mut session, settings.gateway, &token);
        if !matches!(last, Some(Status::AtWork)) {
            break;
        }
    }
    session.close();
    // Some answer the method with the status and show no token afterwards.
    Ok(match last.or(answered) {
        Some(Status::Executed) => EntryOutcome::Confirmed,
        Some(Status::Failed(code)) => EntryOutcome::Refused(failed(code)),
        Some(Status::AtWork) => {
            EntryOutcome::Unknown("the meter is still at work on it".to_owned())
        }
        None => EntryOutcome::Unknown("the meter does not show what became of it".to_owned()),
    })
}

/// Of this token; none where the meter shows another one, or nothing.
fn status(session: &mut Session<'_>, object: Obis, token: &[u8]) -> Option<Status> {
    let of = |attribute| Attribute { class: CLASS, object, attribute };
    let got = session.get_all(&[of(TOKEN), of(STATUS)]).ok()?;
    let data = |nth: usize| match got.get(nth).map(Got::data) {
        Some(Ok(Ok(data))) => Some(data),
        _ => None,
    };
    match data(0)? {
        Data::Octets(shown) if shown == token => {}
        _ => return None,
    }
    got.get(1).and_then(said)
}

/// A structure of the code and of bits that tell more.
fn said(got: &Got) -> Option<Status> {
    let Ok(Ok(Data::Structure(fields))) = got.data() else { return None };
    match fields.iter().next()? {
        Data::Enum(code) => Status::of(code),
        _ => None,
    }
}

fn failed(code: u8) -> Refusal {
    let (reason, why) = match code {
        4 => (refusal::BAD_VALUE, "the meter says that this is no token"),
        5 => (refusal::BAD_VALUE, "the token is none of this meter's, or was made by another key"),
        // The bits beside the status might say which; their meaning is each maker's.
        6 => (
            refusal::OTHER,
            "the meter does not accept it: it has taken it before, or it is too old, or its key has ended",
        ),
        _ => (refusal::OTHER, "the meter could not carry it out"),
    };
    no(reason, why, code)
}

fn no(code: u16, detail: &str, device_code: u8) -> Refusal {
    Refusal { code, detail: detail.to_owned(), device_code: Some(format!("{device_code:02X}")) }
}

/// As the method takes it.
fn encoded(digits: &str, format: TokenFormat) -> Result<Vec<u8>, DriverError> {
    let is_token = (1..=DIGITS_MAX).contains(&digits.len())
        && digits.bytes().all(|digit| digit.is_ascii_digit());
    if !is_token {
        return Err(DriverError::new(error::BAD_PARAMETER, "a token is 1 to 40 digits"));
    }
    match format {
        TokenFormat::Ascii => Ok(digits.as_bytes().to_vec()),
        TokenFormat::Bcd => {
            let pairs = digits.as_bytes().chunks(2);
            let nibble = |digit: Option<&u8>| digit.map_or(0x0F, |digit| digit & 0x0F);
            Ok(pairs.map(|pair| nibble(pair.first()) << 4 | nibble(pair.get(1))).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_go_as_the_meter_takes_them() {
        let token = "64831728312341236471";
        assert_eq!(encoded(token, TokenFormat::Ascii), Ok(token.as_bytes().to_vec()));
        let bcd = [0x64, 0x83, 0x17, 0x28, 0x31, 0x23, 0x41, 0x23, 0x64, 0x71];
        assert_eq!(encoded(token, TokenFormat::Bcd), Ok(bcd.to_vec()));
        assert_eq!(encoded("123", TokenFormat::Bcd), Ok(vec![0x12, 0x3F]));
        for bad in ["", "12 34", "12a4", &"1".repeat(41)] {
            let code = encoded(bad, TokenFormat::Ascii).map_err(|error| error.code);
            assert_eq!(code, Err(error::BAD_PARAMETER), "{bad}");
        }
    }

    #[test]
    fn a_status_is_one_of_nine() {
        let all_are = |codes: &[u8], expected: fn(u8) -> Status| {
            codes.iter().all(|code| Status::of(*code) == Some(expected(*code)))
        };
        assert!(all_are(&[3], |_| Status::Executed));
        assert!(all_are(&[4, 5, 6, 7], Status::Failed));
        assert!(all_are(&[0, 1, 2, 8], |_| Status::AtWork));
        assert_eq!(Status::of(9), None);
    }
}

//! One question to one meter, and its answer. Not here: what is asked.

use crate::frame::{self, Frame, LINE_BYTES};
use polymeter_driver::codes::{error, refusal};
use polymeter_driver::{Call, DriverError, Host, Refusal};

/// What a meter says to a question.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer {
    /// The data after the letter.
    Yes(String),
    /// The two digits of its error.
    No(String),
}

/// The address that a call is about, if it is one.
pub fn address(call: &Call) -> Result<&str, DriverError> {
    let fits = call.address.len() == 6 && call.address.bytes().all(|byte| byte.is_ascii_digit());
    let wrong = || bad(format!("the address `{}` is not 6 digits", call.address));
    fits.then_some(call.address.as_str()).ok_or_else(wrong)
}

pub fn bad(detail: impl Into<String>) -> DriverError {
    DriverError::new(error::BAD_PARAMETER, detail)
}

/// Sends once and waits for the line that answers. An answer is that of the meter asked, to the
/// question asked; anything else is an error.
pub fn ask(
    host: &mut dyn Host,
    address: &str,
    letter: char,
    data: &str,
) -> Result<Answer, DriverError> {
    host.send(&frame::encode(address, letter, data))?;
    let mut line = Vec::new();
    while !line.ends_with(b"\n") {
        let room = line.len() < LINE_BYTES;
        match host.receive(1) {
            Ok(bytes) if room => line.extend(bytes),
            Err(silence) if line.is_empty() => return Err(silence.into()),
            Ok(_) | Err(_) => return Err(DriverError::new(error::GARBLED, "half an answer")),
        }
    }
    // A second copy of the answer may be there too; the first whole line is the answer.
    let end = line.iter().position(|byte| *byte == b'\n').map_or(line.len(), |at| at + 1);
    let Some(frame) = frame::decode(line.get(..end).unwrap_or_default()) else {
        return Err(DriverError::new(error::GARBLED, "an answer with a wrong checksum"));
    };
    let Frame { address: from, letter: answered, data } = frame;
    if from != address {
        return Err(DriverError::new(
            error::OTHER_DEVICE,
            format!("asked {address}, but {from} answered"),
        ));
    }
    match answered {
        'e' => Ok(Answer::No(data)),
        answered if answered == letter.to_ascii_lowercase() => Ok(Answer::Yes(data)),
        answered => Err(DriverError::new(
            error::OTHER_DEVICE,
            format!("asked {letter}, but the answer is to {answered}"),
        )),
    }
}

/// A meter's *no* to a call that asks for nothing but data.
pub fn no_data(code: String) -> DriverError {
    let detail = format!("the meter refuses: {}", meaning(&code));
    DriverError { code: error::DEVICE_SAYS_NO, detail, device_code: Some(code) }
}

/// A meter's *no* to an act.
pub fn refused(code: String) -> Refusal {
    let kind = match code.as_str() {
        "02" => refusal::NO_SUCH_FUNCTION,
        "03" => refusal::WRONG_MAC,
        "04" => refusal::WRONG_COUNT,
        "05" => refusal::OVER_HOARDING_LIMIT,
        "06" => refusal::WRONG_CUSTOMER,
        "07" => refusal::BAD_VALUE,
        _ => refusal::OTHER,
    };
    Refusal { code: kind, detail: meaning(&code).to_owned(), device_code: Some(code) }
}

/// The protocol's table of errors; the same stands in driver.toml for people.
fn meaning(code: &str) -> &'static str {
    match code {
        "01" => "wrong checksum",
        "02" => "unknown command",
        "03" => "wrong MAC",
        "04" => "the count is not the last one plus 1",
        "05" => "over the limit",
        "06" => "wrong customer",
        "07" => "bad value",
        "08" => "no account is opened",
        _ => "an error that the protocol does not name",
    }
}

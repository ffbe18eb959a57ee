//! The meter's own errors as refusals of the contract.

use crate::exchange::device_code;
use polymeter_driver::Refusal;
use polymeter_driver::codes::refusal;

/// A bit of an error, what it means and the refusal it is.
type Bit = (u16, &'static str, u16);

/// Answers to C=03H (2013 extension, security error word SERR). Those about the count stand first:
/// where several bits are set they name the refusal, because only they may hide a purchase that
/// was taken.
const PURSE: &[Bit] = &[
    (0x0002, "this purchase was already taken", refusal::ALREADY_TAKEN),
    (0x0020, "wrong purchase count", refusal::WRONG_COUNT),
    (0x0004, "wrong MAC", refusal::WRONG_MAC),
    (0x0008, "not authenticated", refusal::NOT_AUTHENTICATED),
    (0x0010, "wrong customer number", refusal::WRONG_CUSTOMER),
    (0x0040, "over the hoarding limit", refusal::OVER_HOARDING_LIMIT),
    (0x0080, "wrong address", refusal::WRONG_ADDRESS),
    (0x0100, "the meter is suspended", refusal::SUSPENDED),
    (0x0200, "the relay did not close", refusal::OTHER),
    (0x0001, "another reason", refusal::OTHER),
];

/// Two-byte answers to C=1CH (2013 extension).
const RELAY: &[Bit] = &[
    (0x0001, "the meter is suspended", refusal::SUSPENDED),
    (0x0002, "wrong MAC", refusal::WRONG_MAC),
    (0x0004, "wrong password", refusal::WRONG_PASSWORD),
    (0x0008, "the authentication has run out", refusal::NOT_AUTHENTICATED),
    (0x0010, "the command is out of its time", refusal::OUT_OF_TIME),
    (0x0020, "the supply is protected", refusal::SUPPLY_PROTECTED),
    (0x0040, "bad time of automatic restoration", refusal::BAD_VALUE),
    (0x0080, "bad delay of automatic restoration", refusal::BAD_VALUE),
    (0x0100, "bad automatic restoration", refusal::BAD_VALUE),
];

/// One-byte answers to everything else (DL/T 645-2007, C.1: ERR).
const PLAIN: &[Bit] = &[
    (0x04, "wrong password", refusal::WRONG_PASSWORD),
    (0x02, "no such data", refusal::NO_SUCH_FUNCTION),
    (0x08, "the baud rate cannot be changed", refusal::OTHER),
    (0x10, "too many year zones", refusal::BAD_VALUE),
    (0x20, "too many day slots", refusal::BAD_VALUE),
    (0x40, "too many tariffs", refusal::BAD_VALUE),
    (0x01, "another reason", refusal::OTHER),
];

/// `error` as in the frame, low byte first; a meter was seen to answer with the low byte alone.
pub fn purse_refusal(error: &[u8]) -> Refusal {
    let mut refusal = from_bits(PURSE, error);
    // Four digits whatever the meter sent, so that operators know one form.
    refusal.device_code = Some(format!("{:04X}", word(error)));
    refusal
}

pub fn relay_refusal(error: &[u8]) -> Refusal {
    from_bits(if error.len() > 1 { RELAY } else { PLAIN }, error)
}

pub fn plain_refusal(error: &[u8]) -> Refusal {
    from_bits(PLAIN, error)
}

fn word(error: &[u8]) -> u16 {
    let mut bytes = error.iter().copied();
    u16::from_le_bytes([bytes.next().unwrap_or(0), bytes.next().unwrap_or(0)])
}

/// Named by its first known bit; the detail names all.
fn from_bits(bits: &[Bit], error: &[u8]) -> Refusal {
    let word = word(error);
    let set: Vec<&Bit> = bits.iter().filter(|(bit, _, _)| word & bit != 0).collect();
    let names: Vec<&str> = set.iter().map(|(_, name, _)| *name).collect();
    let detail = if names.is_empty() { "no reason given".to_owned() } else { names.join(", ") };
    let code = set.first().map_or(refusal::OTHER, |(_, _, code)| *code);
    Refusal { code, detail, device_code: Some(device_code(error)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(refusal: Refusal, code: u16, device_code: &str, detail: &str) {
        let found = (refusal.code, refusal.device_code.as_deref(), refusal.detail.as_str());
        assert_eq!(found, (code, Some(device_code), detail));
    }

    #[test]
    fn errors_of_the_purse() {
        check(purse_refusal(&[0x02, 0x00]), 2, "0002", "this purchase was already taken");
        check(purse_refusal(&[0x04, 0x00]), 3, "0004", "wrong MAC");
        check(purse_refusal(&[0x08, 0x00]), 4, "0008", "not authenticated");
        check(purse_refusal(&[0x10, 0x00]), 5, "0010", "wrong customer number");
        check(purse_refusal(&[0x20, 0x00]), 6, "0020", "wrong purchase count");
        check(purse_refusal(&[0x40, 0x00]), 7, "0040", "over the hoarding limit");
        check(purse_refusal(&[0x00, 0x01]), 8, "0100", "the meter is suspended");
        check(purse_refusal(&[0x80, 0x00]), 9, "0080", "wrong address");
        check(purse_refusal(&[0x01, 0x00]), 1, "0001", "another reason");
        check(purse_refusal(&[0x02]), 2, "0002", "this purchase was already taken");
        check(purse_refusal(&[0x24, 0x00]), 6, "0024", "wrong purchase count, wrong MAC");
        check(purse_refusal(&[0x00, 0x40]), 1, "4000", "no reason given");
        check(purse_refusal(&[]), 1, "0000", "no reason given");
    }

    #[test]
    fn errors_of_the_relay_have_one_byte_or_two() {
        check(relay_refusal(&[0x04]), 10, "04", "wrong password");
        check(relay_refusal(&[0x20]), 14, "20", "too many day slots");
        check(relay_refusal(&[0x20, 0x00]), 11, "0020", "the supply is protected");
        check(relay_refusal(&[0x10, 0x00]), 12, "0010", "the command is out of its time");
    }
}

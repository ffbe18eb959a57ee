//! The meter's reasons for not reading, writing or doing (IEC 62056-5-3, 9.5), as refusals.

use polymeter_driver::Refusal;
use polymeter_driver::codes::refusal;

/// Of an access that is `denied` to this association, and of all other reasons.
pub fn refused(why: u8, denied: &str) -> Refusal {
    let (code, detail) = match why {
        3 | 13 => (refusal::NOT_AUTHENTICATED, denied),
        4 | 9 | 11 => (refusal::NO_SUCH_FUNCTION, "no such object"),
        12 => (refusal::BAD_VALUE, "not the type that is wanted"),
        _ => (refusal::OTHER, "refused"),
    };
    Refusal { code, detail: detail.to_owned(), device_code: Some(format!("{why:02X}")) }
}

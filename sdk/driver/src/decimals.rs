//! Decimals that a person typed, as the whole numbers that devices hold: prices and steps of a ladder.
//!
//! Invariant: what has more decimals than the device, a sign, or anything but digits and one point is
//! no number. Not here: how a protocol writes it (its codec).

/// "0.5" is 5000 with four decimals; at most eight digits before the point.
///
/// ```
/// use polymeter_driver::decimals::scaled;
///
/// assert_eq!(scaled("2.5", 2), Some(250));
/// assert_eq!(scaled("0.125", 2), None);
/// ```
pub fn scaled(text: &str, decimals: usize) -> Option<u64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || whole.len() > 8 || part.len() > decimals {
        return None;
    }
    if !digits(whole) || !digits(part) {
        return None;
    }
    format!("{whole}{part:0<decimals$}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::scaled;

    #[test]
    fn decimals() {
        let check =
            |text, decimals, expected| assert_eq!(scaled(text, decimals), expected, "{text}");
        check("0", 0, Some(0));
        check("15", 0, Some(15));
        check("15.", 2, Some(1500));
        check("99999999.9999", 4, Some(999_999_999_999));
        for wrong in ["", ".5", "-1", "+1", "1,5", "1.2.3", "123456789", "一", "1.00005"] {
            check(wrong, 4, None);
        }
    }
}

//! Money as whole minor units of a named currency. No floating point, no arithmetic that can wrap.
//! Not here: prices (tariff), what a purse holds (credit).

use std::fmt;
use std::str::FromStr;

/// ISO 4217 alphabetic code, with how many decimals its minor unit has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Currency {
    code: [u8; 3],
    decimals: u8,
}

impl Currency {
    pub const CNY: Currency = Currency { code: *b"CNY", decimals: 2 };

    /// The currencies that the host can book. One today; a second is a line here.
    pub fn from_code(code: &str) -> Option<Currency> {
        (code == "CNY").then_some(Self::CNY)
    }

    /// For tests of arithmetic that must hold whatever a currency's decimals are.
    #[cfg(test)]
    pub(crate) const fn of(code: [u8; 3], decimals: u8) -> Currency {
        Currency { code, decimals }
    }

    pub fn code(&self) -> &str {
        std::str::from_utf8(&self.code).expect("codes are ASCII by construction")
    }

    pub fn decimals(&self) -> u8 {
        self.decimals
    }
}

/// Minor units (fen for CNY); may be negative, as a balance can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Money {
    minor: i64,
    currency: Currency,
}

impl Money {
    pub const fn new(minor: i64, currency: Currency) -> Self {
        Self { minor, currency }
    }
    pub const fn minor(&self) -> i64 {
        self.minor
    }
    pub const fn currency(&self) -> Currency {
        self.currency
    }
    /// `None` on overflow or where the currencies differ.
    pub fn checked_add(self, other: Money) -> Option<Money> {
        if self.currency != other.currency {
            return None;
        }
        self.minor.checked_add(other.minor).map(|minor| Money { minor, ..self })
    }

    /// "50", "50.5" and "50.00" of a currency with two decimals; more decimals are an error, because
    /// rounding what a person typed would be a guess.
    pub fn parse(text: &str, currency: Currency) -> Result<Money, NotMoney> {
        let wrong = || NotMoney { text: text.to_owned(), decimals: currency.decimals };
        let (negative, digits) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let decimals = usize::from(currency.decimals);
        let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        let dangling_point = digits.ends_with('.');
        if whole.is_empty()
            || fraction.len() > decimals
            || dangling_point
            || !all_digits(whole)
            || !all_digits(fraction)
        {
            return Err(wrong());
        }
        let minor =
            i64::from_str(&format!("{whole}{fraction:0<decimals$}")).map_err(|_| wrong())?;
        Ok(Money { minor: if negative { -minor } else { minor }, currency })
    }
}

/// "50.00": the amount alone; callers add the code where it could be doubted.
impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = 10_u64.pow(u32::from(self.currency.decimals));
        let magnitude = self.minor.unsigned_abs();
        let sign = if self.minor < 0 { "-" } else { "" };
        let width = usize::from(self.currency.decimals);
        if width == 0 {
            return write!(f, "{sign}{magnitude}");
        }
        write!(f, "{sign}{}.{:0width$}", magnitude / unit, magnitude % unit)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not an amount: digits, and at most {decimals} after the point, e.g. 50.00")]
pub struct NotMoney {
    pub text: String,
    pub decimals: u8,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, minor: Option<i64>) {
        assert_eq!(
            Money::parse(text, Currency::CNY).ok().map(|money| money.minor()),
            minor,
            "{text:?}"
        );
    }

    #[test]
    fn typed_amounts_are_exact_or_refused() {
        check("50", Some(5000));
        check("50.5", Some(5050));
        check("0.01", Some(1));
        check("-3.20", Some(-320));
        check("92233720368547758.07", Some(i64::MAX));
        for wrong in [
            "",
            "-",
            ".",
            ".5",
            "5.",
            "1.005",
            "1,5",
            "1e3",
            " 1",
            "+1",
            "１",
            "92233720368547758.08",
        ] {
            check(wrong, None);
        }
    }

    #[test]
    fn shown_with_its_decimals() {
        for (minor, shown) in [
            (0, "0.00"),
            (5, "0.05"),
            (-5, "-0.05"),
            (123_456, "1234.56"),
            (i64::MIN, "-92233720368547758.08"),
        ] {
            assert_eq!(Money::new(minor, Currency::CNY).to_string(), shown);
        }
    }
}

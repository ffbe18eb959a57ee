//! Values at a time, by OBIS code, with unit and quality. Decimals are exact.

use crate::SupplyState;
use std::fmt;

/// mantissa x 10^scale.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Decimal {
    pub mantissa: i64,
    pub scale: i8,
}

impl Decimal {
    /// Digits after which a 64-bit float still has every one (IEEE 754 binary64, `DBL_DIG`).
    const DIGITS_OF_A_FLOAT: u32 = 15;

    /// "1.86" as 186 x 10^-2, every digit kept. `None` beyond 64 bits or 18 decimals, and for any other
    /// spelling: no sign but `-`, no exponent, no spaces.
    pub fn parse(text: &str) -> Option<Decimal> {
        let (whole, fraction) = match text.split_once('.') {
            Some((_, "")) => return None,
            Some(parts) => parts,
            None => (text, ""),
        };
        let digits = whole.strip_prefix('-').unwrap_or(whole);
        let is_plain = |digits: &str| digits.bytes().all(|digit| digit.is_ascii_digit());
        if digits.is_empty() || !is_plain(digits) || !is_plain(fraction) || fraction.len() > 18 {
            return None;
        }
        let mantissa = format!("{whole}{fraction}").parse().ok()?;
        let scale = i8::try_from(fraction.len()).ok()?.checked_neg()?;
        Some(Decimal { mantissa, scale })
    }

    /// Whether a program that keeps numbers as floats gives it back with the same digits.
    pub fn survives_a_float(self) -> bool {
        let digits = self.mantissa.unsigned_abs().checked_ilog10().map_or(1, |log| log + 1);
        let zeros = u32::try_from(self.scale).unwrap_or(0);
        self.scale >= -18 && digits + zeros <= Self::DIGITS_OF_A_FLOAT
    }
}

/// "1.86", "-0.05", "1200": every digit that was measured, none that was not. Scales beyond
/// what a device could mean are shown as a power of ten.
impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.mantissa < 0 { "-" } else { "" };
        let digits = self.mantissa.unsigned_abs().to_string();
        match self.scale {
            0 => write!(f, "{sign}{digits}"),
            // Tens of nothing are nothing: "00" is no number in JSON.
            1.. if self.mantissa == 0 => f.write_str("0"),
            1..=9 => {
                write!(f, "{sign}{digits}{}", "0".repeat(usize::from(self.scale.unsigned_abs())))
            }
            -18..=-1 => {
                let decimals = usize::from(self.scale.unsigned_abs());
                let digits = format!("{digits:0>width$}", width = decimals + 1);
                let (whole, fraction) = digits.split_at(digits.len() - decimals);
                write!(f, "{sign}{whole}.{fraction}")
            }
            _ => write!(f, "{sign}{digits}e{}", self.scale),
        }
    }
}

/// A-B:C.D.E*F as six numbers with dots (IEC 62056-61).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObisCode(String);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an OBIS code (six numbers up to 255 with dots, e.g. 1.0.1.8.0.255)")]
pub struct NotAnObisCode(pub String);

impl ObisCode {
    pub fn new(text: &str) -> Result<Self, NotAnObisCode> {
        let groups: Vec<_> = text.split('.').map(str::parse::<u8>).collect();
        if groups.len() != 6 || groups.iter().any(Result::is_err) || text.contains('+') {
            return Err(NotAnObisCode(text.to_owned()));
        }
        Ok(Self(text.to_owned()))
    }
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// COSEM unit enumeration (IEC 62056-62); above 255 the contract's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Unit(pub u16);

impl Unit {
    pub const CURRENCY: Unit = Unit(10);
    pub const NONE: Unit = Unit(255);

    /// Empty where the unit is none or a code newer than this host.
    pub fn symbol(self) -> &'static str {
        match self.0 {
            7 => "s",
            10 => "CNY",
            13 => "m³",
            27 => "W",
            28 => "VA",
            29 => "var",
            30 => "Wh",
            31 => "VAh",
            32 => "varh",
            33 => "A",
            35 => "V",
            44 => "Hz",
            256 => "kWh",
            257 => "kW",
            258 => "kvar",
            259 => "kVA",
            _ => "",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Quality {
    Measured,
    /// This device does not measure it.
    NotMeasured,
    /// The device answered nonsense.
    Invalid,
    Estimated,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    Number(Decimal),
    Text(String),
    Flag(bool),
    Bytes(Vec<u8>),
    Time(crate::LocalTime),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Measurement {
    pub register: ObisCode,
    pub value: Value,
    pub unit: Unit,
    pub quality: Quality,
}

/// Everything one read of a device brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    pub measurements: Vec<Measurement>,
    pub supply: SupplyState,
    /// The vendor's own, under the vendor's names.
    pub extras: Vec<(String, Value)>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_show_every_digit() {
        for (mantissa, scale, shown) in [
            (186, -2, "1.86"),
            (5, -2, "0.05"),
            (-5, -2, "-0.05"),
            (12, 2, "1200"),
            (0, 1, "0"),
            (0, 100, "0"),
            (0, -3, "0.000"),
            (7, 0, "7"),
            (1, -60, "1e-60"),
            (i64::MIN, -1, "-922337203685477580.8"),
        ] {
            assert_eq!(Decimal { mantissa, scale }.to_string(), shown);
        }
    }

    #[test]
    fn decimals_are_parsed_as_they_are_shown() {
        for text in ["1.86", "-0.05", "0", "007", "9223372036854775807", "1.860"] {
            let parsed = Decimal::parse(text).map(|it| it.to_string());
            assert_eq!(parsed.as_deref(), Some(text.trim_start_matches("00")), "{text}");
        }
        let beyond = format!("0.{}", "1".repeat(19));
        for wrong in ["", "-", ".5", "5.", "1e3", "+1", " 1", "1,5", "9223372036854775808", &beyond]
        {
            assert_eq!(Decimal::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn fifteen_digits_survive_a_float() {
        for (mantissa, scale, survives) in [
            (0, 0, true),
            (999_999_999_999_999, -2, true),
            (-999_999_999_999_999, 0, true),
            (1_000_000_000_000_000, 0, false),
            (i64::MIN, -18, false),
            (1, 14, true),
            (1, 15, false),
            (1, 127, false),
            (1, -18, true),
            (1, -19, false),
        ] {
            assert_eq!(
                Decimal { mantissa, scale }.survives_a_float(),
                survives,
                "{mantissa}e{scale}"
            );
        }
    }

    #[test]
    fn obis_codes_are_six_bytes() {
        assert!(ObisCode::new("1.0.1.8.0.255").is_ok());
        for wrong in
            ["", "1.0.1.8.0", "1.0.1.8.0.256", "1.0.1.8.0.255.0", "1.0.1.8.x.255", "1.0.1.8.+1.255"]
        {
            assert!(ObisCode::new(wrong).is_err(), "{wrong:?}");
        }
    }
}

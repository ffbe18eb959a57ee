//! A price with four decimals more than its currency, and the three ways to round a division.

use super::limits::RATE_MAX;
use crate::Currency;
use std::fmt;

/// How a division ends. Nothing in this module divides without naming one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rounding {
    /// Never more than the exact value: energy that money buys.
    Down,
    /// To the nearest, halves up (四舍五入): money that is charged.
    HalfUp,
    /// Never less than the exact value: money that energy takes.
    Up,
}

impl Rounding {
    /// Of values that are not negative, by one above zero.
    pub fn divide(self, numerator: i128, denominator: i128) -> i128 {
        assert!(numerator >= 0 && denominator > 0, "a division of amounts");
        let (whole, rest) = (numerator / denominator, numerator % denominator);
        let more = match self {
            Rounding::Down => false,
            Rounding::HalfUp => rest >= denominator - rest,
            Rounding::Up => rest > 0,
        };
        whole + i128::from(more)
    }

    pub fn name(self) -> &'static str {
        match self {
            Rounding::Down => "down",
            Rounding::HalfUp => "half-up",
            Rounding::Up => "up",
        }
    }
}

/// Ten-thousandths of a minor unit per kWh or m³, above zero: 0.5283 CNY per kWh is 528 300.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rate(u64);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a price: above zero, at most 10000, at most {decimals} decimals")]
pub struct NotARate {
    pub text: String,
    pub decimals: u8,
}

impl Rate {
    /// Decimals beyond the currency's own.
    const MORE_DECIMALS: u8 = 4;

    pub fn new(ten_thousandths: u64) -> Option<Rate> {
        (1..=RATE_MAX).contains(&ten_thousandths).then_some(Rate(ten_thousandths))
    }

    pub const fn ten_thousandths(self) -> u64 {
        self.0
    }

    pub fn parse(text: &str, currency: Currency) -> Result<Rate, NotARate> {
        let decimals = currency.decimals() + Self::MORE_DECIMALS;
        let parsed = scaled(text, usize::from(decimals)).and_then(Rate::new);
        parsed.ok_or_else(|| NotARate { text: text.to_owned(), decimals })
    }

    /// "0.5283": the currency's own decimals, and of the others those that are not zeros.
    pub fn show(self, currency: Currency) -> String {
        let own = usize::from(currency.decimals());
        let width = own + usize::from(Self::MORE_DECIMALS);
        unscaled(self.0, width, own)
    }
}

/// "12.5" with three decimals is 12 500. `None` for anything but digits and a point between them.
pub fn scaled(text: &str, decimals: usize) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let dangling = text.ends_with('.');
    if whole.is_empty() || dangling || fraction.len() > decimals || !digits(whole) {
        return None;
    }
    if !digits(fraction) {
        return None;
    }
    format!("{whole}{fraction:0<decimals$}").parse().ok()
}

/// The way back from [`scaled`], with at least `kept` decimals.
pub fn unscaled(value: u64, decimals: usize, kept: usize) -> String {
    let digits = format!("{value:0>width$}", width = decimals + 1);
    let (whole, fraction) = digits.split_at(digits.len() - decimals);
    let mut fraction = fraction.to_owned();
    while fraction.len() > kept && fraction.ends_with('0') {
        fraction.pop();
    }
    if fraction.is_empty() { whole.to_owned() } else { format!("{whole}.{fraction}") }
}

/// The number alone, in its unit; [`Rate::show`] is for people.
impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

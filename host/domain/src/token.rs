//! Tokens (充值码): digits that a person types into a device that has no line. What they say, what
//! making one would bring, and the digits themselves.
//!
//! Invariant: digits are worth money, so `Debug` does not show them. Not here: how digits are made of
//! what they say (a driver), and that no two tokens of a device have one identifier (the database).

use crate::{Credit, Value};
use std::fmt;

/// What kind of token it is. The numbers of [`code`](Self::code) are the contract's (`wit/1.1.0`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TokenKind {
    Credit,
    /// Empties a register of the device.
    ClearCredit,
    /// The power above which the device disconnects, in W.
    MaxPower,
    TariffRate,
    ClearTamper,
    /// The difference between phases above which the device disconnects, in W.
    MaxPhaseUnbalance,
    /// The device tests itself or shows something: the same for every device, and worth nothing.
    Test,
    KeyChange,
}

impl TokenKind {
    pub const ALL: [TokenKind; 8] = [
        TokenKind::Credit,
        TokenKind::ClearCredit,
        TokenKind::MaxPower,
        TokenKind::TariffRate,
        TokenKind::ClearTamper,
        TokenKind::MaxPhaseUnbalance,
        TokenKind::Test,
        TokenKind::KeyChange,
    ];

    /// As it is stored and shown.
    pub const fn name(self) -> &'static str {
        match self {
            TokenKind::Credit => "credit",
            TokenKind::ClearCredit => "clear-credit",
            TokenKind::MaxPower => "max-power",
            TokenKind::TariffRate => "tariff-rate",
            TokenKind::ClearTamper => "clear-tamper",
            TokenKind::MaxPhaseUnbalance => "max-phase-unbalance",
            TokenKind::Test => "test",
            TokenKind::KeyChange => "key-change",
        }
    }

    pub const fn chinese(self) -> &'static str {
        match self {
            TokenKind::Credit => "充值",
            TokenKind::ClearCredit => "清零",
            TokenKind::MaxPower => "限功率",
            TokenKind::TariffRate => "费率",
            TokenKind::ClearTamper => "清除窃电",
            TokenKind::MaxPhaseUnbalance => "限不平衡",
            TokenKind::Test => "测试显示",
            TokenKind::KeyChange => "换密钥",
        }
    }

    pub fn from_name(name: &str) -> Option<TokenKind> {
        TokenKind::ALL.into_iter().find(|kind| kind.name() == name)
    }

    pub const fn code(self) -> u16 {
        match self {
            TokenKind::Credit => 1,
            TokenKind::ClearCredit => 2,
            TokenKind::MaxPower => 3,
            TokenKind::TariffRate => 4,
            TokenKind::ClearTamper => 5,
            TokenKind::MaxPhaseUnbalance => 6,
            TokenKind::Test => 8,
            TokenKind::KeyChange => 9,
        }
    }

    /// Whether one person alone may have it made. Nobody gets back what a device was told to forget.
    pub const fn is_risky(self) -> bool {
        matches!(self, TokenKind::ClearCredit | TokenKind::ClearTamper | TokenKind::KeyChange)
    }
}

impl fmt::Display for TokenKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a token shall say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenOrder {
    pub kind: TokenKind,
    /// Of [`TokenKind::Credit`] alone.
    pub credit: Option<Credit>,
    /// Which register, how many W, which rate, a bit for each test; 0 where the kind takes none.
    pub value: u64,
    /// The driver's parameters that the meter has after a key change.
    pub change: Vec<(String, Value)>,
}

impl TokenOrder {
    pub fn of_credit(credit: Credit) -> TokenOrder {
        TokenOrder { kind: TokenKind::Credit, credit: Some(credit), value: 0, change: Vec::new() }
    }

    /// One test by its number, from 1 on, or all of them (0). `None`: no order has a bit for it.
    pub fn of_test(number: u64) -> Option<TokenOrder> {
        let value = match u32::try_from(number).ok()?.checked_sub(1) {
            None => u64::MAX,
            Some(bit) => 1_u64.checked_shl(bit)?,
        };
        Some(TokenOrder { kind: TokenKind::Test, credit: None, value, change: Vec::new() })
    }
}

/// What making a token would bring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenPlan {
    /// By which the device knows a token that it has taken; `None`: tokens of this kind have none.
    pub identifier: Option<u32>,
    /// What the device will add: not less than what was ordered.
    pub credit: Option<Credit>,
    /// The device's identifiers begin anew once the token is typed in.
    pub begins_anew: bool,
}

/// The digits of an order, in the order in which they are typed.
#[derive(Clone, PartialEq, Eq)]
pub struct TokenDigits(Vec<String>);

impl fmt::Debug for TokenDigits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenDigits({} of [redacted])", self.0.len())
    }
}

/// A key change of a key of 128 bits is four tokens.
const TOKENS_MAX: usize = 8;
const DIGITS_MAX: usize = 40;

impl TokenDigits {
    /// `None`: no tokens, too many, or one that is not all digits.
    pub fn new(tokens: Vec<String>) -> Option<TokenDigits> {
        let is_token = |text: &String| {
            (1..=DIGITS_MAX).contains(&text.len()) && text.bytes().all(|it| it.is_ascii_digit())
        };
        let fits = (1..=TOKENS_MAX).contains(&tokens.len()) && tokens.iter().all(is_token);
        fits.then_some(TokenDigits(tokens))
    }

    /// As it is stored: tokens with a blank between them.
    pub fn parse(text: &str) -> Option<TokenDigits> {
        TokenDigits::new(text.split(' ').map(str::to_owned).collect())
    }

    pub fn stored(&self) -> String {
        self.0.join(" ")
    }

    /// Each without blanks.
    pub fn each(&self) -> &[String] {
        &self.0
    }

    /// Each in groups of four, as people read and type them.
    pub fn grouped(&self) -> Vec<String> {
        let grouped = |token: &String| {
            let groups = token.as_bytes().chunks(4).map(String::from_utf8_lossy);
            groups.collect::<Vec<_>>().join(" ")
        };
        self.0.iter().map(grouped).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_its_name() {
        for kind in TokenKind::ALL {
            assert_eq!(TokenKind::from_name(kind.name()), Some(kind));
        }
        assert_eq!(TokenKind::from_name("refund"), None);
    }

    #[test]
    fn a_test_is_a_bit_and_none_is_all() {
        let value = |number| TokenOrder::of_test(number).map(|order| order.value);
        let expected = [Some(u64::MAX), Some(1), Some(8), Some(1 << 63), None, None];
        assert_eq!([0, 1, 4, 64, 65, u64::MAX].map(value), expected);
    }

    #[test]
    fn digits_are_stored_grouped_and_never_printed() {
        let tokens = ["66475648316756821785", "00000000000134220736"].map(str::to_owned);
        let digits = TokenDigits::new(tokens.to_vec()).expect("tokens");
        assert_eq!(TokenDigits::parse(&digits.stored()), Some(digits.clone()));
        assert_eq!(digits.grouped()[0], "6647 5648 3167 5682 1785");
        assert!(!format!("{digits:?}").contains("6647"));
        let bad = [vec![], vec![""], vec!["12a4"], vec!["1"; 9], vec!["1 2"]];
        for tokens in bad {
            let tokens = tokens.into_iter().map(str::to_owned).collect();
            assert_eq!(TokenDigits::new(tokens), None);
        }
        assert_eq!(TokenDigits::new(vec!["1".repeat(41)]), None);
    }
}

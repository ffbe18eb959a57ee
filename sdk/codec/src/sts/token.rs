//! The token as a customer types it: twenty digits, 66 bits, a class and a block.

use core::fmt;

/// How many digits a token has (IEC 62055-41, 6.4.1).
pub const DIGITS: usize = 20;
/// The two class bits stand here in the 66, and the two that were there stand on top (6.4.2).
const CLASS_SHIFT: u32 = 27;
/// Bits 28 and 27.
const CLASS_MASK: u64 = 0b11 << CLASS_SHIFT;
/// Digits, spaces and hyphens that are read at most.
const TYPED_MAX: usize = 64;

/// What kind of token it is (IEC 62055-41, 6.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// 0: credit, encrypted.
    Credit,
    /// 1: test and display, the same for all meters, not encrypted.
    Test,
    /// 2: orders to one meter, encrypted.
    Engineering,
    /// 3: reserved.
    Reserved,
}

impl Class {
    /// The two bits.
    pub fn number(self) -> u8 {
        match self {
            Class::Credit => 0,
            Class::Test => 1,
            Class::Engineering => 2,
            Class::Reserved => 3,
        }
    }

    /// Of the lowest two bits.
    fn from_bits(bits: u64) -> Class {
        match bits & 0b11 {
            0 => Class::Credit,
            1 => Class::Test,
            2 => Class::Engineering,
            _ => Class::Reserved,
        }
    }

    /// Whether the block of such a token is encrypted under the meter's decoder key.
    pub fn is_encrypted(self) -> bool {
        matches!(self, Class::Credit | Class::Engineering)
    }
}

/// A token: its class, and its block as it is carried, hence encrypted in classes 0 and 2.
///
/// Its digits are worth money: `Debug` does not show them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Token {
    class: Class,
    block: u64,
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({:?}, [redacted])", self.class)
    }
}

/// Why a text is no token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotAToken {
    /// Something beside digits, spaces and hyphens; its place, from 0.
    Character {
        /// Counted in bytes.
        at: usize,
    },
    /// Not twenty digits.
    Digits {
        /// How many there are; those after the 64th character are not counted.
        count: usize,
    },
    /// Twenty digits, but a number of more than 66 bits.
    TooBig,
}

impl fmt::Display for NotAToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NotAToken::Character { at } => write!(f, "character {at} of the token is no digit"),
            NotAToken::Digits { count } => write!(f, "a token has 20 digits, not {count}"),
            NotAToken::TooBig => f.write_str("a token is at most 73786976294838206463"),
        }
    }
}

impl core::error::Error for NotAToken {}

impl Token {
    /// A token of a class and a block that is already encrypted where the class wants it.
    pub fn new(class: Class, block: u64) -> Token {
        Token { class, block }
    }

    /// The class.
    pub fn class(self) -> Class {
        self.class
    }

    /// The block as it is carried.
    pub fn block(self) -> u64 {
        self.block
    }

    /// Of twenty digits; spaces and hyphens between them are what people type and print.
    ///
    /// ```
    /// use polymeter_codec::sts::{Class, NotAToken, Token};
    ///
    /// // The published token that starts every test of a meter (class 1, all tests).
    /// let token = Token::from_digits("0000 0000 0001 3422 0736")?;
    /// assert_eq!((token.class(), token.block()), (Class::Test, 0x0BC0));
    /// assert_eq!(Token::from_digits("123"), Err(NotAToken::Digits { count: 3 }));
    /// assert_eq!(Token::from_digits("99999999999999999999"), Err(NotAToken::TooBig));
    /// # Ok::<(), NotAToken>(())
    /// ```
    pub fn from_digits(text: &str) -> Result<Token, NotAToken> {
        let (mut number, mut count) = (0_u128, 0_usize);
        for (at, byte) in text.bytes().enumerate().take(TYPED_MAX) {
            let digit = match byte {
                b'0'..=b'9' => u128::from(byte & 0x0F),
                b' ' | b'-' => continue,
                _ => return Err(NotAToken::Character { at }),
            };
            // 64 digits are more than a u128 holds, and are refused below by their number.
            number = number.wrapping_mul(10).wrapping_add(digit);
            count = count.saturating_add(1);
        }
        if count != DIGITS || text.len() > TYPED_MAX {
            return Err(NotAToken::Digits { count });
        }
        let top = u64::try_from(number >> 64).unwrap_or(u64::MAX);
        let low = u64::try_from(number & u128::from(u64::MAX)).unwrap_or(0);
        if top > 0b11 {
            return Err(NotAToken::TooBig);
        }
        let class = Class::from_bits(low >> CLASS_SHIFT);
        Ok(Token { class, block: low & !CLASS_MASK | top << CLASS_SHIFT })
    }

    /// The twenty digits, with leading zeros.
    pub fn digits(self) -> Digits {
        let top = self.block >> CLASS_SHIFT & 0b11;
        let low = self.block & !CLASS_MASK | u64::from(self.class.number()) << CLASS_SHIFT;
        let mut rest = u128::from(top) << 64 | u128::from(low);
        let mut digits = [b'0'; DIGITS];
        for digit in digits.iter_mut().rev() {
            *digit = b"0123456789"
                .get(usize::try_from(rest.checked_rem(10).unwrap_or(0)).unwrap_or(0))
                .copied()
                .unwrap_or(b'0');
            rest = rest.checked_div(10).unwrap_or(0);
        }
        Digits(digits)
    }
}

/// The digits of a token; `Debug` does not show them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Digits([u8; DIGITS]);

impl Digits {
    /// Twenty ASCII digits, to be shown or sent to the one who bought them.
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Debug for Digits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digits([redacted])")
    }
}

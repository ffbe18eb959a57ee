//! What the clear block of a token says: four bits of sub-class, 44 of content, a CRC of 16.

use super::{Amount, Class, CurrencyAmount, TokenId};
use crate::modbus::crc16;
use core::fmt;

/// 44 bits between sub-class and CRC.
const CONTENT_MASK: u64 = (1 << 44) - 1;

/// What is bought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// In tenths of a kWh.
    Electricity,
    /// In tenths of a m3.
    Water,
    /// In tenths of a m3.
    Gas,
    /// In tenths of a minute.
    Time,
}

impl Service {
    const ALL: [Service; 4] = [Service::Electricity, Service::Water, Service::Gas, Service::Time];

    fn number(self) -> u8 {
        match self {
            Service::Electricity => 0,
            Service::Water => 1,
            Service::Gas => 2,
            Service::Time => 3,
        }
    }
}

/// Class 0, sub-classes 0 to 3: an amount of what is bought (6.2.2 to 6.2.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Credit {
    /// What is bought.
    pub service: Service,
    /// Four bits, so that equal sales have tokens that look different.
    pub random: u8,
    /// The number of the token.
    pub id: TokenId,
    /// How much.
    pub amount: Amount,
}

/// Class 0, sub-classes 4 to 7: money for what is bought (IEC 62055-41:2018).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CurrencyCredit {
    /// What is paid for.
    pub service: Service,
    /// The number of the token.
    pub id: TokenId,
    /// How much.
    pub amount: CurrencyAmount,
}

/// Class 1: what the meter tests or shows, one bit for each (6.3.8). The same token for all meters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Test {
    /// Sub-class 0: 36 bits, and a vendor's code of two digits; 0 for everybody's.
    Short {
        /// What to do, 36 bits.
        control: u64,
        /// Whose tests.
        vendor: u8,
    },
    /// Sub-class 1: 28 bits, and a vendor's code of four digits.
    Long {
        /// What to do, 28 bits.
        control: u32,
        /// Whose tests.
        vendor: u16,
    },
}

/// Class 2 but for key changes: an order to one meter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Engineering {
    /// What to do.
    pub order: Order,
    /// Four bits.
    pub random: u8,
    /// The number of the token.
    pub id: TokenId,
}

/// What a meter is ordered to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Sub-class 0: the power above which the meter disconnects, in W (6.3.9).
    MaxPower(Amount),
    /// Sub-class 1: empty a register: 0 electricity, 1 water, 2 gas, 3 time, 4 to 7 the money for
    /// each, FFFFH all (6.3.13).
    ClearCredit(u16),
    /// Sub-class 2: the rate of a tariff; what it means is the meter's own (6.3.11).
    TariffRate(u16),
    /// Sub-class 5: forget that the meter was tampered with.
    ClearTamper,
    /// Sub-class 6: the difference between phases above which the meter disconnects, in W (6.3.10).
    MaxPhaseUnbalance(Amount),
    /// Sub-class 7: the factor of a water meter; what it means is the meter's own (6.3.12).
    WaterFactor(u16),
}

/// Class 2, sub-classes 3, 4, 8 and 9: 32 bits of a new decoder key, and what goes with it. They
/// have no number: a meter takes them together, in any order (6.2.7, 8.9).
///
/// The bits of the key are secret: `Debug` does not show them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum KeySection {
    /// Sub-class 3, bits 63 to 32 of a key of 64 bits, 127 to 96 of one of 128.
    First {
        /// The upper half of the key's expiry, which is the top byte of a token number; 15.
        expiry_high: u8,
        /// Of the new key, 1 to 9.
        revision: u8,
        /// The meter forgets the numbers it has seen, since they count from another base date.
        roll_over: bool,
        /// 3KCT: this change is made of three tokens.
        three_tokens: bool,
        /// Of the new key, 0 to 3.
        key_type: u8,
        /// The bits.
        part: u32,
    },
    /// Sub-class 4, bits 31 to 0.
    Second {
        /// The lower half of the key's expiry.
        expiry_low: u8,
        /// Of the new key.
        tariff_index: u8,
        /// The bits.
        part: u32,
    },
    /// Sub-class 8, bits 95 to 64 of a key of 128 bits.
    Third {
        /// The low 12 bits of the new supply group code.
        supply_group_low: u16,
        /// The bits.
        part: u32,
    },
    /// Sub-class 9, bits 63 to 32 of a key of 128 bits.
    Fourth {
        /// The high 12 bits of the new supply group code.
        supply_group_high: u16,
        /// The bits.
        part: u32,
    },
}

impl fmt::Debug for KeySection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeySection(sub-class {}, [redacted])", self.sub_class())
    }
}

/// What a token says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// An amount of what is bought.
    Credit(Credit),
    /// Money for what is bought.
    CurrencyCredit(CurrencyCredit),
    /// What the meter tests or shows.
    Test(Test),
    /// An order to one meter.
    Engineering(Engineering),
    /// A part of a new decoder key.
    Key(KeySection),
}

/// Why a block is no content, or a content no block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotAContent {
    /// The CRC is wrong: another meter's token, another key than it was made with, or a digit
    /// mistyped.
    Crc,
    /// A class and sub-class that the standard reserves or leaves to vendors.
    Reserved {
        /// 0 to 3.
        class: u8,
        /// 0 to 15.
        sub_class: u8,
    },
    /// A field that is wider than its place.
    TooWide {
        /// Which.
        field: &'static str,
    },
}

impl fmt::Display for NotAContent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NotAContent::Crc => {
                f.write_str("the token's CRC is wrong: another key, or a digit mistyped")
            }
            NotAContent::Reserved { class, sub_class } => {
                write!(f, "a token of class {class}, sub-class {sub_class} is reserved")
            }
            NotAContent::TooWide { field } => write!(f, "{field} is wider than its place"),
        }
    }
}

impl core::error::Error for NotAContent {}

impl Content {
    /// Of a clear block: that of a token in class 1, the decrypted one in classes 0 and 2.
    pub fn of(class: Class, block: u64) -> Result<Content, NotAContent> {
        let sub_class = low_byte(block >> 60);
        if u16::try_from(block & 0xFFFF) != Ok(crc(class, block)) {
            return Err(NotAContent::Crc);
        }
        let field = low_word(block >> 16);
        let random = low_byte(block >> 56 & 0x0F);
        let reserved = NotAContent::Reserved { class: class.number(), sub_class };
        let id = TokenId::new(low_double(block >> 32 & 0x00FF_FFFF)).ok_or(reserved)?;
        let service = Service::ALL.get(usize::from(sub_class & 0b11)).copied().ok_or(reserved)?;
        let order = |order| Content::Engineering(Engineering { order, random, id });
        Ok(match (class, sub_class) {
            (Class::Credit, 0..=3) => {
                Content::Credit(Credit { service, random, id, amount: Amount::from_raw(field) })
            }
            (Class::Credit, 4..=7) => Content::CurrencyCredit(CurrencyCredit {
                service,
                id,
                amount: CurrencyAmount::from_raw(random, field),
            }),
            (Class::Test, 0) => Content::Test(Test::Short {
                control: (block & CONTENT_MASK << 16) >> 24,
                vendor: low_byte(block >> 16),
            }),
            (Class::Test, 1) => Content::Test(Test::Long {
                control: low_double(block >> 32 & 0x0FFF_FFFF),
                vendor: field,
            }),
            (Class::Engineering, 0) => order(Order::MaxPower(Amount::from_raw(field))),
            (Class::Engineering, 1) => order(Order::ClearCredit(field)),
            (Class::Engineering, 2) => order(Order::TariffRate(field)),
            (Class::Engineering, 5) if field == 0 => order(Order::ClearTamper),
            (Class::Engineering, 6) => order(Order::MaxPhaseUnbalance(Amount::from_raw(field))),
            (Class::Engineering, 7) => order(Order::WaterFactor(field)),
            (Class::Engineering, 3 | 4 | 8 | 9) => {
                KeySection::of(sub_class, block).map(Content::Key).ok_or(reserved)?
            }
            _ => return Err(reserved),
        })
    }

    /// Which class a token with this content has.
    pub fn class(&self) -> Class {
        match self {
            Content::Credit(_) | Content::CurrencyCredit(_) => Class::Credit,
            Content::Test(_) => Class::Test,
            Content::Engineering(_) | Content::Key(_) => Class::Engineering,
        }
    }

    /// The clear block.
    pub fn block(&self) -> Result<u64, NotAContent> {
        let (sub_class, content) = match *self {
            Content::Credit(Credit { service, random, id, amount }) => {
                (service.number(), numbered(random, id, amount.raw())?)
            }
            Content::CurrencyCredit(CurrencyCredit { service, id, amount }) => {
                let (sign_and_exponent, low) = amount.raw();
                (service.number() | 4, numbered(sign_and_exponent, id, low)?)
            }
            Content::Test(Test::Short { control, vendor }) => {
                (0, fits(control, 36, "the control field")? << 8 | u64::from(vendor))
            }
            Content::Test(Test::Long { control, vendor }) => {
                let control = fits(u64::from(control), 28, "the control field")?;
                (1, control << 16 | u64::from(vendor))
            }
            Content::Engineering(Engineering { order, random, id }) => {
                let (sub_class, field) = order.field();
                (sub_class, numbered(random, id, field)?)
            }
            Content::Key(section) => (section.sub_class(), section.content()?),
        };
        let block = u64::from(sub_class) << 60 | (content & CONTENT_MASK) << 16;
        Ok(block | u64::from(crc(self.class(), block)))
    }
}

impl Order {
    /// Sub-class and field.
    fn field(self) -> (u8, u16) {
        match self {
            Order::MaxPower(watts) => (0, watts.raw()),
            Order::ClearCredit(register) => (1, register),
            Order::TariffRate(rate) => (2, rate),
            Order::ClearTamper => (5, 0),
            Order::MaxPhaseUnbalance(watts) => (6, watts.raw()),
            Order::WaterFactor(factor) => (7, factor),
        }
    }
}

impl KeySection {
    /// 3, 4, 8 or 9.
    pub fn sub_class(&self) -> u8 {
        match self {
            KeySection::First { .. } => 3,
            KeySection::Second { .. } => 4,
            KeySection::Third { .. } => 8,
            KeySection::Fourth { .. } => 9,
        }
    }

    /// The 32 bits of the key.
    pub fn part(&self) -> u32 {
        match *self {
            KeySection::First { part, .. }
            | KeySection::Second { part, .. }
            | KeySection::Third { part, .. }
            | KeySection::Fourth { part, .. } => part,
        }
    }

    fn of(sub_class: u8, block: u64) -> Option<KeySection> {
        let part = low_double(block >> 16);
        let twelve = low_word(block >> 48) & 0x0FFF;
        let top = low_byte(block >> 56 & 0x0F);
        Some(match sub_class {
            3 => KeySection::First {
                expiry_high: top,
                revision: low_byte(block >> 52 & 0x0F),
                roll_over: block >> 51 & 1 == 1,
                three_tokens: block >> 50 & 1 == 1,
                key_type: low_byte(block >> 48 & 0b11),
                part,
            },
            4 => KeySection::Second { expiry_low: top, tariff_index: low_byte(block >> 48), part },
            8 => KeySection::Third { supply_group_low: twelve, part },
            9 => KeySection::Fourth { supply_group_high: twelve, part },
            _ => return None,
        })
    }

    /// The 44 bits.
    fn content(&self) -> Result<u64, NotAContent> {
        let (twelve, part) = match *self {
            KeySection::First {
                expiry_high,
                revision,
                roll_over,
                three_tokens,
                key_type,
                part,
            } => {
                let bits = u64::from(roll_over) << 3 | u64::from(three_tokens) << 2;
                let expiry = fits(u64::from(expiry_high), 4, "the key's expiry")?;
                let revision = fits(u64::from(revision), 4, "the key's revision")?;
                let key_type = fits(u64::from(key_type), 2, "the key's type")?;
                (expiry << 8 | revision << 4 | bits | key_type, part)
            }
            KeySection::Second { expiry_low, tariff_index, part } => {
                let expiry = fits(u64::from(expiry_low), 4, "the key's expiry")?;
                (expiry << 8 | u64::from(tariff_index), part)
            }
            KeySection::Third { supply_group_low: half, part }
            | KeySection::Fourth { supply_group_high: half, part } => {
                (fits(u64::from(half), 12, "half of the supply group code")?, part)
            }
        };
        Ok(twelve << 32 | u64::from(part))
    }
}

/// Random or sign and exponent, number and field: 4, 24 and 16 bits.
fn numbered(top: u8, id: TokenId, field: u16) -> Result<u64, NotAContent> {
    let top = fits(u64::from(top), 4, "the random number")?;
    Ok(top << 40 | u64::from(id.minutes()) << 16 | u64::from(field))
}

fn fits(value: u64, bits: u32, field: &'static str) -> Result<u64, NotAContent> {
    if value.checked_shr(bits).is_some_and(|rest| rest != 0) {
        return Err(NotAContent::TooWide { field });
    }
    Ok(value)
}

/// CRC-16/MODBUS over the 50 bits of class, sub-class and content, padded to seven bytes in front,
/// its bytes swapped (6.3.7). For money one more byte of 01 is summed (6.3.22).
fn crc(class: Class, block: u64) -> u16 {
    let fifty = u64::from(class.number()) << 48 | block >> 16;
    let [_, a, b, c, d, e, f, g] = fifty.to_be_bytes();
    let is_money = class == Class::Credit && block >> 62 == 0b01;
    let bytes = [a, b, c, d, e, f, g, 1];
    let summed =
        if is_money { bytes.as_slice() } else { bytes.split_last().map_or(&[][..], |(_, s)| s) };
    crc16(summed).swap_bytes()
}

fn low_byte(bits: u64) -> u8 {
    u8::try_from(bits & 0xFF).unwrap_or(0)
}

fn low_word(bits: u64) -> u16 {
    u16::try_from(bits & 0xFFFF).unwrap_or(0)
}

fn low_double(bits: u64) -> u32 {
    u32::try_from(bits & 0xFFFF_FFFF).unwrap_or(0)
}

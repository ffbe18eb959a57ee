//! The items of these meters as data: which data identifier holds what, in which format, under
//! which OBIS code (DL/T 645-2007, appendix A; `0333` and `0090` from its 2013 extension).
//!
//! A row is a run of items one `step` apart. The identifier with FF in the place that is counted
//! asks for the whole run as a block.

use polymeter_codec::bcd::Sign;
use polymeter_driver::codes::{register, unit};

/// kvarh as the contract has no such unit: hundredths of a kvarh are tens of a varh.
const VARH: u16 = 32;
const CELSIUS: u16 = 9;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// BCD of so many bytes, times ten to the `scale`.
    Number { bytes: usize, scale: i8, sign: Sign },
    /// ss mm hh WW DD MM YY.
    Clock,
    /// mm hh DD MM YY.
    Minute,
    /// Two bytes of bits.
    Word,
    /// Characters, last one first.
    Text { bytes: usize },
    /// Decimal digits that are a name and no number.
    Digits { bytes: usize },
}

impl Format {
    pub fn bytes(self) -> usize {
        match self {
            Format::Number { bytes, .. } | Format::Text { bytes } | Format::Digits { bytes } => {
                bytes
            }
            Format::Clock => 7,
            Format::Minute => 5,
            Format::Word => 2,
        }
    }
}

/// Where an item's value goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// OBIS codes of the run.
    Registers(&'static [&'static str]),
    /// 1.0.C.8.E.F: E counts tariffs from 0 for the total; F is 255 for now and else how many
    /// settlements ago, which is the identifier's lowest byte.
    Tariffs(&'static str),
    /// Status words: E counts from 1.
    Words,
    /// No OBIS code is agreed on: an extra of the row's name.
    Extra,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// The extra's name, and the item's in explanations.
    pub name: &'static str,
    pub first: u32,
    pub step: u32,
    pub count: u32,
    pub format: Format,
    pub unit: u16,
    pub place: Place,
}

/// What an identifier asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    pub row: &'static Row,
    /// Position in the row's run; of the first item where a block is asked for.
    pub index: u32,
    pub block: bool,
    /// 0 now, else how many settlements ago.
    pub settlement: u8,
}

/// Settlements that a meter remembers.
const SETTLEMENTS: u32 = 12;

/// What stands in the table about `identifier`.
pub fn find(identifier: u32) -> Option<Found> {
    ROWS.iter().find_map(|row| row.find(identifier))
}

impl Row {
    fn find(&'static self, identifier: u32) -> Option<Found> {
        let ago = identifier & 0xFF;
        let settled = matches!(self.place, Place::Tariffs(_)) && ago <= SETTLEMENTS;
        let (identifier, settlement) = if settled {
            (identifier & !0xFF, u8::try_from(ago).unwrap_or(0))
        } else {
            (identifier, 0)
        };
        // FF in the counted byte: the block of the run.
        let place = self.step.saturating_mul(0xFF);
        if self.count > 1
            && identifier & place == place
            && identifier & !place == self.first & !place
        {
            return Some(Found { row: self, index: 0, block: true, settlement });
        }
        let distance = identifier.checked_sub(self.first)?;
        let index = distance.checked_div(self.step)?;
        let exact = distance.checked_rem(self.step) == Some(0) && index < self.count;
        exact.then_some(Found { row: self, index, block: false, settlement })
    }
}

const fn number(bytes: usize, scale: i8) -> Format {
    Format::Number { bytes, scale, sign: Sign::None }
}

const fn signed(bytes: usize, scale: i8) -> Format {
    Format::Number { bytes, scale, sign: Sign::TopBit }
}

const fn one(name: &'static str, first: u32, format: Format, unit: u16, place: Place) -> Row {
    Row { name, first, step: 1, count: 1, format, unit, place }
}

/// Counted in the identifier's second byte: tariffs, phases.
const fn run(
    name: &'static str,
    first: u32,
    count: u32,
    format: Format,
    unit: u16,
    place: Place,
) -> Row {
    Row { name, first, step: 0x100, count, format, unit, place }
}

/// Counted in the identifier's lowest byte: status words, records.
const fn list(name: &'static str, first: u32, count: u32, format: Format, place: Place) -> Row {
    Row { name, first, step: 1, count, format, unit: unit::NONE, place }
}

pub const ENERGY_TOTAL: u32 = 0x0001_0000;
pub const ENERGY_BLOCK: u32 = 0x0001_FF00;
pub const ENERGY_COMBINED: u32 = 0x0000_0000;
pub const MONEY_REMAINING: u32 = 0x0090_0200;
pub const MONEY_OVERDRAWN: u32 = 0x0090_0201;
pub const VOLTAGE: u32 = 0x0201_0100;
pub const VOLTAGE_BLOCK: u32 = 0x0201_FF00;
pub const CURRENT: u32 = 0x0202_0100;
pub const CURRENT_BLOCK: u32 = 0x0202_FF00;
pub const POWER_TOTAL: u32 = 0x0203_0000;
pub const CLOCK: u32 = 0x0400_010C;
/// The communication address.
pub const ADDRESS: u32 = 0x0400_0401;
pub const MODEL: u32 = 0x0400_040B;
pub const PROTOCOL_VERSION: u32 = 0x0400_040D;
pub const STATUS_WORD_1: u32 = 0x0400_0501;
pub const STATUS_WORD_3: u32 = 0x0400_0503;
pub const STATUS_BLOCK: u32 = 0x0400_05FF;
pub const ALARM_1: u32 = 0x0400_1001;
pub const ALARM_2: u32 = 0x0400_1002;

const KWH: Format = number(4, -2);
const KWH_SIGNED: Format = signed(4, -2);
const KVARH_SIGNED: Format = signed(4, 1);
const YUAN: Format = number(4, -2);
/// Total and 63 tariffs.
const TARIFFS: u32 = 64;

const POWER: &[&str] =
    &[register::POWER_IMPORT, "1.0.21.7.0.255", "1.0.41.7.0.255", "1.0.61.7.0.255"];
const REACTIVE: &[&str] =
    &[register::REACTIVE_POWER, "1.0.23.7.0.255", "1.0.43.7.0.255", "1.0.63.7.0.255"];
const APPARENT: &[&str] =
    &[register::APPARENT_POWER, "1.0.29.7.0.255", "1.0.49.7.0.255", "1.0.69.7.0.255"];
const FACTOR: &[&str] =
    &[register::POWER_FACTOR, "1.0.33.7.0.255", "1.0.53.7.0.255", "1.0.73.7.0.255"];

pub static ROWS: &[Row] = &[
    run(
        "combined active energy",
        ENERGY_COMBINED,
        TARIFFS,
        KWH_SIGNED,
        unit::KILOWATT_HOUR,
        Place::Tariffs("1.0.15.8."),
    ),
    run(
        "forward active energy",
        ENERGY_TOTAL,
        TARIFFS,
        KWH,
        unit::KILOWATT_HOUR,
        Place::Tariffs("1.0.1.8."),
    ),
    run(
        "reverse active energy",
        0x0002_0000,
        TARIFFS,
        KWH,
        unit::KILOWATT_HOUR,
        Place::Tariffs("1.0.2.8."),
    ),
    run(
        "combined reactive energy 1",
        0x0003_0000,
        TARIFFS,
        KVARH_SIGNED,
        VARH,
        Place::Tariffs("1.0.3.8."),
    ),
    run(
        "combined reactive energy 2",
        0x0004_0000,
        TARIFFS,
        KVARH_SIGNED,
        VARH,
        Place::Tariffs("1.0.4.8."),
    ),
    one(
        "remaining energy",
        0x0090_0100,
        KWH,
        unit::KILOWATT_HOUR,
        Place::Registers(&[register::CREDIT_REMAINING]),
    ),
    one(
        "overdrawn energy",
        0x0090_0101,
        KWH,
        unit::KILOWATT_HOUR,
        Place::Registers(&[register::CREDIT_OVERDRAWN]),
    ),
    one(
        "remaining money",
        MONEY_REMAINING,
        YUAN,
        unit::CURRENCY,
        Place::Registers(&[register::CREDIT_REMAINING]),
    ),
    one(
        "overdrawn money",
        MONEY_OVERDRAWN,
        YUAN,
        unit::CURRENCY,
        Place::Registers(&[register::CREDIT_OVERDRAWN]),
    ),
    run("voltage", VOLTAGE, 3, number(2, -1), unit::VOLT, Place::Registers(&register::VOLTAGE)),
    run("current", CURRENT, 3, signed(3, -3), unit::AMPERE, Place::Registers(&register::CURRENT)),
    run("active power", POWER_TOTAL, 4, signed(3, -4), unit::KILOWATT, Place::Registers(POWER)),
    run("reactive power", 0x0204_0000, 4, signed(3, -4), unit::KILOVAR, Place::Registers(REACTIVE)),
    run(
        "apparent power",
        0x0205_0000,
        4,
        signed(3, -4),
        unit::KILOVOLT_AMPERE,
        Place::Registers(APPARENT),
    ),
    run("power factor", 0x0206_0000, 4, signed(2, -3), unit::NONE, Place::Registers(FACTOR)),
    one(
        "neutral current",
        0x0280_0001,
        signed(3, -3),
        unit::AMPERE,
        Place::Registers(&["1.0.91.7.0.255"]),
    ),
    one(
        "frequency",
        0x0280_0002,
        number(2, -2),
        unit::HERTZ,
        Place::Registers(&[register::FREQUENCY]),
    ),
    one(
        "temperature inside",
        0x0280_0007,
        signed(2, -1),
        CELSIUS,
        Place::Registers(&["0.0.96.9.0.255"]),
    ),
    one("price now", 0x0280_0020, number(4, -4), unit::CURRENCY, Place::Extra),
    list("purchase count after", 0x0333_0201, 10, number(2, 0), Place::Extra),
    list("purchase amount", 0x0333_0301, 10, YUAN, Place::Extra),
    list("balance before purchase", 0x0333_0401, 10, YUAN, Place::Extra),
    list("balance after purchase", 0x0333_0501, 10, YUAN, Place::Extra),
    list("bought in total", 0x0333_0601, 10, YUAN, Place::Extra),
    list("purchase time", 0x0333_0101, 10, Format::Minute, Place::Extra),
    one("switch time of tariff prices", 0x0400_0108, Format::Minute, unit::NONE, Place::Extra),
    one("switch time of ladder", 0x0400_0109, Format::Minute, unit::NONE, Place::Extra),
    one("clock", CLOCK, Format::Clock, unit::NONE, Place::Registers(&[register::CLOCK])),
    one("communication address", ADDRESS, Format::Digits { bytes: 6 }, unit::NONE, Place::Extra),
    one("meter number", 0x0400_0402, Format::Digits { bytes: 6 }, unit::NONE, Place::Extra),
    one("rated voltage", 0x0400_0404, Format::Text { bytes: 6 }, unit::NONE, Place::Extra),
    one("model", MODEL, Format::Text { bytes: 10 }, unit::NONE, Place::Extra),
    one("protocol version", PROTOCOL_VERSION, Format::Text { bytes: 16 }, unit::NONE, Place::Extra),
    one("customer number", 0x0400_040E, Format::Digits { bytes: 6 }, unit::NONE, Place::Extra),
    list("status word", STATUS_WORD_1, 7, Format::Word, Place::Words),
    one("alarm-1", ALARM_1, YUAN, unit::CURRENCY, Place::Extra),
    one("alarm-2", ALARM_2, YUAN, unit::CURRENCY, Place::Extra),
    one("overdraft limit", 0x0400_1003, YUAN, unit::CURRENCY, Place::Extra),
    one("hoarding limit", 0x0400_1004, YUAN, unit::CURRENCY, Place::Extra),
    one("reconnection minimum", 0x0400_1005, YUAN, unit::CURRENCY, Place::Extra),
    one("daily freeze time", 0x0506_0001, Format::Minute, unit::NONE, Place::Extra),
];

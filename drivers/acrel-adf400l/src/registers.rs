//! The box's registers, as data. Source of every number: the tables of Acrel's ADF400L manual (V1.2, 9.4),
//! as transcribed by somebody who read such a box with them; what is chosen is said so in README.md.
//!
//! Not here: how they are read or written.

use polymeter_driver::codes::{register, unit};
use polymeter_modbus::Block;
use polymeter_modbus::plans::{At, Field, Holds, Rest, Table};

/// The model as the maker writes it.
pub const MODEL: &str = "ADF400L";

/// Where one kind of user has its registers. 32-bit values take two, high word first.
#[derive(Debug)]
pub struct Map {
    /// Everything that `read` reports.
    pub readings: Block,
    /// u32, 0.01 kWh.
    pub energy: u16,
    /// i32, fen; below zero the user owes.
    pub balance: u16,
    /// u32, fen.
    pub bought_total: u16,
    /// u16.
    pub purchase_count: u16,
    /// u16, bits as in [`RELAY_OPEN`] and [`FORCED`].
    pub status: u16,
    /// u32, unit unknown, given on as it stands.
    pub over_limit: u16,
    /// What else is measured in [`Map::readings`].
    pub measured: &'static [Measured],
    /// Sharp, peak, flat, valley, each u32 in 0.01 kWh.
    pub tariff_energies: Block,
    /// From the balance to the purchase count: what `check` reads.
    pub purse: Block,
    /// Prices and alarm amounts, each u32 in fen, in the order of [`TARIFF`].
    pub tariff: Block,
    /// Amount u32 in fen, then purchase count u16.
    pub sale: u16,
    /// u32, fen: what a user has without buying it (基础金额).
    pub basic_amount: u16,
    /// The switch of the time control, its table of working days, that of days of rest, which these are.
    pub times: u16,
    /// The switch of the load control, then the limits of [`LIMITS`].
    pub load: u16,
    /// Control word, see [`DISCONNECT`].
    pub control: u16,
}

pub const SINGLE_PHASE: Map = Map {
    readings: Block { start: 0x0300, count: 0x21 },
    energy: 0x0306,
    balance: 0x030A,
    bought_total: 0x030C,
    purchase_count: 0x030E,
    status: 0x0311,
    over_limit: 0x0315,
    measured: SINGLE_PHASE_MEASURED,
    tariff_energies: Block { start: 0x0400, count: 8 },
    purse: Block { start: 0x030A, count: 5 },
    tariff: Block { start: 0x0501, count: 12 },
    sale: 0x050D,
    basic_amount: 0x0510,
    times: 0x0600,
    load: 0x0700,
    control: 0x0801,
};

pub const THREE_PHASE: Map = Map {
    readings: Block { start: 0x033F, count: 0x58 },
    energy: 0x035E,
    balance: 0x0362,
    bought_total: 0x0364,
    purchase_count: 0x0366,
    status: 0x0369,
    over_limit: 0x036D,
    measured: THREE_PHASE_MEASURED,
    tariff_energies: Block { start: 0x0430, count: 8 },
    purse: Block { start: 0x0362, count: 5 },
    tariff: Block { start: 0x0537, count: 12 },
    sale: 0x0543,
    basic_amount: 0x0546,
    times: 0x064E,
    load: 0x0718,
    control: 0x0804,
};

/// A value and the registers that hold it.
#[derive(Debug, Clone, Copy)]
pub struct Measured {
    pub at: u16,
    pub shape: Shape,
    pub scale: i8,
    pub register: &'static str,
    pub unit: u16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    Word,
    SignedWord,
    Long,
}

const fn row(at: u16, shape: Shape, scale: i8, register: &'static str, unit: u16) -> Measured {
    Measured { at, shape, scale, register, unit }
}

const SINGLE_PHASE_MEASURED: &[Measured] = &[
    row(0x0300, Shape::Word, -1, register::VOLTAGE[0], unit::VOLT),
    row(0x0301, Shape::Word, -2, register::CURRENT[0], unit::AMPERE),
    row(0x0302, Shape::SignedWord, -3, register::POWER_IMPORT, unit::KILOWATT),
    row(0x0303, Shape::SignedWord, -3, register::REACTIVE_POWER, unit::KILOVAR),
    row(0x0304, Shape::SignedWord, -3, register::POWER_FACTOR, unit::NONE),
    row(0x0305, Shape::Word, -2, register::FREQUENCY, unit::HERTZ),
    row(0x031B, Shape::Long, -2, register::ENERGY_EXPORT_TOTAL, unit::KILOWATT_HOUR),
];

const THREE_PHASE_MEASURED: &[Measured] = &[
    row(0x033F, Shape::Word, -1, register::VOLTAGE[0], unit::VOLT),
    row(0x0340, Shape::Word, -1, register::VOLTAGE[1], unit::VOLT),
    row(0x0341, Shape::Word, -1, register::VOLTAGE[2], unit::VOLT),
    row(0x0342, Shape::Word, -2, register::CURRENT[0], unit::AMPERE),
    row(0x0343, Shape::Word, -2, register::CURRENT[1], unit::AMPERE),
    row(0x0344, Shape::Word, -2, register::CURRENT[2], unit::AMPERE),
    row(0x0345, Shape::SignedWord, -3, register::POWER_IMPORT, unit::KILOWATT),
    row(0x0349, Shape::SignedWord, -3, register::REACTIVE_POWER, unit::KILOVAR),
    row(0x034D, Shape::SignedWord, -3, register::POWER_FACTOR, unit::NONE),
    row(0x0351, Shape::Word, -2, register::FREQUENCY, unit::HERTZ),
    row(0x0391, Shape::Long, -2, register::ENERGY_EXPORT_TOTAL, unit::KILOWATT_HOUR),
];

/// Bits of the status word (chosen): the relay is open, and the control word holds it as it is.
pub const RELAY_OPEN: u16 = 1 << 0;
pub const FORCED: u16 = 1 << 1;

/// Control words: the high byte opens, the low byte closes, neither ends the forcing.
pub const DISCONNECT: u16 = 0x0100;
pub const CONNECT: u16 = 0x0001;
pub const AUTOMATIC: u16 = 0x0000;

/// Amount and count, which travel in one write.
pub const SALE_REGISTERS: u16 = 3;

/// The upper byte 0 prepaid, 1 metering; the lower one the protocol, 0 Modbus. The value for prepaid is
/// the driver parameter `prepaid-mode`.
pub const MODE: u16 = 0x0908;

/// Second and minute, hour and weekday, day and month, year and nothing, each a byte in binary, the
/// first in the upper half.
pub const CLOCK: Block = Block { start: 0x090B, count: 4 };

/// Two day plans of 14 periods, and which of them holds from which of four days on.
pub const DAY_PLANS: [u16; 2] = [0x0914, 0x0929];
pub const DATE_PLAN: u16 = 0x093E;

/// Rate, hour, minute; 1 sharp to 4 valley. A box keeps all 14 in order, so the last one is repeated.
pub const DAY_PLAN_TABLE: Table = Table {
    entries: 14,
    at: At::OfDay,
    holds: Holds::Number(4),
    order: [Field::Held, Field::First, Field::Second],
    rest: Rest::TheLast,
};
/// Day plan, day, month.
pub const DATE_PLAN_TABLE: Table = Table {
    entries: 4,
    at: At::OfYear,
    holds: Holds::Number(2),
    order: [Field::Held, Field::Second, Field::First],
    rest: Rest::TheLast,
};
/// Switch, hour, minute. Zeros would switch off at midnight.
pub const TIMES_TABLE: Table = Table {
    entries: 8,
    at: At::OfDay,
    holds: Holds::Switch,
    order: [Field::Held, Field::First, Field::Second],
    rest: Rest::TheLast,
};
/// Registers from [`Map::times`].
pub const WORKING_DAYS: u16 = 1;
pub const REST_DAYS: u16 = 13;
pub const REST_DAY_WORD: u16 = 25;

/// One limit of the load control: a u16 in steps of `step`.
#[derive(Debug)]
pub struct Limit {
    pub name: &'static str,
    pub title_en: &'static str,
    pub title_zh: &'static str,
    pub unit: u16,
    pub step: i64,
    /// Registers from [`Map::load`].
    pub offset: u16,
}

const fn limit(
    name: &'static str,
    [title_en, title_zh]: [&'static str; 2],
    (unit, step): (u16, i64),
    offset: u16,
) -> Limit {
    Limit { name, title_en, title_zh, unit, step, offset }
}

pub const LIMITS: [Limit; 6] = [
    limit("overload-power", ["Overload power", "过载功率"], (unit::WATT, 1), 1),
    limit(
        "bad-load-increment",
        ["Bad load: rise of power", "恶性负载功率增量"],
        (unit::WATT, 1),
        2,
    ),
    limit(
        "bad-load-power-factor",
        ["Bad load: power factor in thousandths", "恶性负载功率因数(千分之一)"],
        (unit::NONE, 1),
        3,
    ),
    limit("load-control-trips", ["Trips before it stays open", "负控允许次数"], (unit::NONE, 1), 5),
    limit(
        "load-control-recovery",
        ["Seconds until it closes again", "负控恢复时间(秒)"],
        (unit::NONE, 10),
        6,
    ),
    limit(
        "voltage-lost-below",
        ["Voltage lost below, in 0.1 V", "失压阈值(0.1V)"],
        (unit::NONE, 1),
        7,
    ),
];

/// The months before, the last one first: 12 records of 10 registers, addressed as [`PURCHASES`] are.
pub const MONTHS: u16 = 0x1A00;
pub const MONTHS_KEPT: u16 = 12;

/// The last purchases: 20 records of 10 registers, the latest at the first address, each record one
/// address further although it is ten registers long (chosen: it is how 1B00-1B13 holds twenty).
pub const PURCHASES: u16 = 0x1B00;
pub const PURCHASES_KEPT: u16 = 20;
pub const PURCHASE_REGISTERS: u16 = 10;

/// One parameter that lives in the box as a u32 in fen.
#[derive(Debug)]
pub struct Tariff {
    pub name: &'static str,
    pub title_en: &'static str,
    pub title_zh: &'static str,
    /// Registers from the start of [`Map::tariff`].
    pub offset: u16,
}

pub const TARIFF: [Tariff; 6] = [
    Tariff {
        name: "price-sharp",
        title_en: "Price per kWh, sharp",
        title_zh: "尖时段电价",
        offset: 0,
    },
    Tariff {
        name: "price-peak",
        title_en: "Price per kWh, peak",
        title_zh: "峰时段电价",
        offset: 2,
    },
    Tariff {
        name: "price-flat",
        title_en: "Price per kWh, flat",
        title_zh: "平时段电价",
        offset: 4,
    },
    Tariff {
        name: "price-valley",
        title_en: "Price per kWh, valley",
        title_zh: "谷时段电价",
        offset: 6,
    },
    Tariff {
        name: "alarm-1",
        title_en: "First low credit alarm",
        title_zh: "一级报警金额",
        offset: 8,
    },
    Tariff {
        name: "alarm-2",
        title_en: "Second low credit alarm",
        title_zh: "二级报警金额",
        offset: 10,
    },
];

/// First register, how many, name.
pub type Name = (u16, u16, &'static str);

impl Map {
    /// What single registers hold, by its name in explanations and extras.
    pub fn names(&self) -> Vec<Name> {
        let mut names = vec![
            (self.energy, 2, "energy"),
            (self.balance, 2, "balance"),
            (self.bought_total, 2, "bought-total"),
            (self.purchase_count, 1, "purchase-count"),
            (self.status, 1, "status"),
            (self.over_limit, 2, "over-limit"),
            (self.tariff_energies.start, 8, "tariff-energies"),
            (self.basic_amount, 2, "basic-amount"),
            (self.times, REST_DAY_WORD.saturating_add(1), "time-control"),
            (self.load, 8, "load-control"),
            (self.sale, SALE_REGISTERS, "sale"),
            (self.control, 1, "control"),
        ];
        names.extend(
            TARIFF
                .iter()
                .map(|tariff| (self.tariff.start.saturating_add(tariff.offset), 2, tariff.name)),
        );
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A register outside the block that carries it could never be read.
    #[test]
    fn every_register_lies_in_its_block() {
        let check = |block: Block, first: u16, count: u16| {
            let end = block.start + block.count;
            assert!(block.start <= first && first + count <= end, "{first:04X} in {block:04X?}");
        };
        for map in [&SINGLE_PHASE, &THREE_PHASE] {
            for (register, count) in [
                (map.energy, 2),
                (map.balance, 2),
                (map.bought_total, 2),
                (map.purchase_count, 1),
                (map.status, 1),
                (map.over_limit, 2),
            ] {
                check(map.readings, register, count);
            }
            for row in map.measured {
                let count = if row.shape == Shape::Long { 2 } else { 1 };
                check(map.readings, row.at, count);
            }
            check(map.purse, map.balance, 2);
            check(map.purse, map.purchase_count, 1);
            for tariff in &TARIFF {
                check(map.tariff, map.tariff.start + tariff.offset, 2);
            }
            assert_eq!(
                map.sale,
                map.tariff.start + map.tariff.count,
                "the sale follows the tariff"
            );
        }
    }

    /// The three-phase copy of the prepaid block begins at 0536H with its switch, as the single-phase one
    /// does at 0500H: the maker's set-up program reads both by 18 registers. So all of it is moved by 36H.
    #[test]
    fn copies_are_moved_by_one_distance() {
        assert_eq!(THREE_PHASE.sale - SINGLE_PHASE.sale, 0x36);
        assert_eq!(THREE_PHASE.tariff.start - SINGLE_PHASE.tariff.start, 0x36);
        assert_eq!(THREE_PHASE.basic_amount - SINGLE_PHASE.basic_amount, 0x36);
        assert_eq!(THREE_PHASE.times - SINGLE_PHASE.times, 0x4E);
        assert_eq!(THREE_PHASE.load - SINGLE_PHASE.load, 0x18);
    }
}

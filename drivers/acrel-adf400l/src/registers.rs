//! The box's registers, as data. Source of every number: Acrel ADF400L manual, one transcription,
//! so one source throughout; what is chosen is said so in README.md.
//!
//! Not here: how they are read or written.

use polymeter_modbus::Block;

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
    /// u16, meaning unknown, given on as it stands.
    pub over_limit: u16,
    /// From the balance to the purchase count: what `check` reads.
    pub purse: Block,
    /// Prices and alarm amounts, each u32 in fen, in the order of [`TARIFF`].
    pub tariff: Block,
    /// Amount u32 in fen, then purchase count u16.
    pub sale: u16,
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
    purse: Block { start: 0x030A, count: 5 },
    tariff: Block { start: 0x0501, count: 12 },
    sale: 0x050D,
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
    purse: Block { start: 0x0362, count: 5 },
    tariff: Block { start: 0x0536, count: 12 },
    sale: 0x0542,
    control: 0x0804,
};

/// Bits of the status word (chosen): the relay is open, and the control word holds it as it is.
pub const RELAY_OPEN: u16 = 1 << 0;
pub const FORCED: u16 = 1 << 1;

/// Control words: the high byte opens, the low byte closes, neither ends the forcing.
pub const DISCONNECT: u16 = 0x0100;
pub const CONNECT: u16 = 0x0001;
pub const AUTOMATIC: u16 = 0x0000;

/// Amount and count, which travel in one write.
pub const SALE_REGISTERS: u16 = 3;

/// Metering or prepaid mode; the value for prepaid is the driver parameter `prepaid-mode`.
pub const MODE: u16 = 0x0908;

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
            (self.over_limit, 1, "over-limit"),
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
                (map.over_limit, 1),
            ] {
                check(map.readings, register, count);
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

    /// The three-phase copies of the tariff and the sale are the single-phase ones, moved by 35H.
    #[test]
    fn copies_are_moved_by_one_distance() {
        assert_eq!(THREE_PHASE.sale - SINGLE_PHASE.sale, 0x35);
        assert_eq!(THREE_PHASE.tariff.start - SINGLE_PHASE.tariff.start, 0x35);
    }
}

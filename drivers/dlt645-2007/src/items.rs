//! The identifiers that this driver asks for. What they hold stands in the codec's tables
//! (`polymeter_codec::dlt645::items_2007`), makers' own blocks in `items_makers`.

use polymeter_codec::dlt645::item::Found;
use polymeter_codec::dlt645::{items_2007, items_makers};

/// What stands in the tables about `identifier`.
pub fn find(identifier: u32) -> Option<Found> {
    items_2007::find(identifier).or_else(|| items_makers::find(identifier))
}

pub const ENERGY_TOTAL: u32 = 0x0001_0000;
pub const ENERGY_BLOCK: u32 = 0x0001_FF00;
pub const ENERGY_COMBINED: u32 = 0x0000_0000;
pub const VOLTAGE: u32 = 0x0201_0100;
pub const VOLTAGE_BLOCK: u32 = 0x0201_FF00;
pub const CURRENT: u32 = 0x0202_0100;
pub const CURRENT_BLOCK: u32 = 0x0202_FF00;
pub const POWER_TOTAL: u32 = 0x0203_0000;
pub const CLOCK: u32 = 0x0400_010C;
/// Date with the day of the week, and time of day, where the clock is not one item.
pub const DATE: u32 = 0x0400_0101;
pub const TIME: u32 = 0x0400_0102;
/// The communication address.
pub const ADDRESS: u32 = 0x0400_0401;
pub const MODEL: u32 = 0x0400_040B;
pub const PROTOCOL_VERSION: u32 = 0x0400_040D;
pub const STATUS_WORD_1: u32 = 0x0400_0501;
pub const STATUS_WORD_3: u32 = 0x0400_0503;
pub const STATUS_BLOCK: u32 = 0x0400_05FF;
pub const SWITCH_TIME_PRICES: u32 = 0x0400_0108;
pub const SWITCH_TIME_LADDER: u32 = 0x0400_0109;
/// Minutes between two load records of class 1; the other classes follow.
pub const LOAD_INTERVAL: u32 = 0x0400_0A02;
pub const RECONNECTION_MINIMUM: u32 = 0x0400_1005;
pub const TRIP_DELAY: u32 = 0x0400_1401;
pub const OVERLOAD_POWER: u32 = 0x0409_0B01;
/// The set of prices that is not in use: the one that may be written (2013 extension).
pub const TARIFF_PRICES: u32 = 0x0405_02FF;
pub const LADDER_STEPS: u32 = 0x0406_04FF;
pub const LADDER_PRICES: u32 = 0x0406_05FF;
/// So many load records from a time on (DL/T 645-2007, 7.1: 读给定时间块数的负荷记录).
pub const LOAD_RECORDS: u32 = 0x0600_0001;
/// The time and the forward energies of the last daily freeze; earlier ones follow.
pub const DAILY_FREEZE_TIME: u32 = 0x0506_0001;
pub const DAILY_FREEZE_ENERGY: u32 = 0x0506_0101;
pub const DAILY_FREEZE_REVERSE: u32 = 0x0506_0201;

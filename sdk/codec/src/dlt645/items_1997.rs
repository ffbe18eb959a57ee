//! The items of DL/T 645-1997 as data (its appendix A and B). Identifiers are of two bytes; the one
//! with FH in the place that is counted asks for the whole run as a block.
//!
//! Not here: a maker's own identifiers (a driver).

use super::item::{self, Found, Past, Place, Row};
use super::items_2007::{KWH, named, number, one};
use super::value::{
    DATE_AND_WEEK, Field, Format, HOUR_OF_MONTH, MINUTE_OF_YEAR, Part, TIME_OF_DAY, Unit,
};
use crate::Obis;

/// What stands in the table about `identifier`, DI1 first.
///
/// ```
/// use polymeter_codec::dlt645::items_1997::find;
///
/// assert_eq!(find(0x901F).map(|found| found.block), Some(true));
/// assert!(find(0x0000).is_none());
/// ```
pub fn find(identifier: u16) -> Option<Found> {
    item::find(ROWS, identifier.into())
}

/// Tariffs beside the total: 0 to DH are counted, FH is the block.
const TARIFFS: u32 = 15;
const LOW: u32 = 0x000F;

/// A total and its tariffs, of so many months ago.
const fn tariffs(
    name: &'static str,
    first: u32,
    past: u8,
    format: Format,
    unit: Unit,
    code: [u8; 2],
) -> Row {
    let [c, d] = code;
    let row = one(name, first, format, unit, Place::Tariffs(Obis([1, 0, c, d, 0, 255])));
    Row { count: TARIFFS, block: LOW, past: Past::Fixed(past), ..row }
}

const fn phases(
    name: &'static str,
    first: u32,
    count: u32,
    format: Format,
    unit: Unit,
    codes: &'static [Obis],
) -> Row {
    let row = one(name, first, format, unit, Place::Registers(codes));
    Row { count, block: LOW, ..row }
}

const fn list(name: &'static str, first: u32, count: u32, format: Format, unit: Unit) -> Row {
    Row { count, block: LOW, ..named(name, first, format, unit) }
}

const fn code(c: u8) -> Obis {
    Obis([1, 0, c, 7, 0, 255])
}

/// Hundredths of a kvarh are tens of a varh.
const KVARH: Format = number(4, 1);
const DEMAND: Format = number(3, -4);
const MOMENT: Format = Format::Time(MINUTE_OF_YEAR);
/// MMDDNN and hhmmNN, low byte first.
const ZONE: Format = Format::Record(&[
    Field { name: "day table", format: number(1, 0), unit: Unit::None },
    Field { name: "from", format: Format::Time(&[Part::Day, Part::Month]), unit: Unit::None },
]);
const SLOT: Format = Format::Record(&[
    Field { name: "tariff", format: number(1, 0), unit: Unit::None },
    Field { name: "from", format: Format::Time(&[Part::Minute, Part::Hour]), unit: Unit::None },
]);

/// All rows; those that are asked for most stand first.
pub static ROWS: &[Row] = &[
    tariffs("forward active energy", 0x9010, 0, KWH, Unit::KilowattHour, [1, 8]),
    tariffs("reverse active energy", 0x9020, 0, KWH, Unit::KilowattHour, [2, 8]),
    phases("voltage", 0xB611, 3, number(2, 0), Unit::Volt, &[code(32), code(52), code(72)]),
    phases("current", 0xB621, 3, number(2, -2), Unit::Ampere, &[code(31), code(51), code(71)]),
    phases(
        "active power",
        0xB630,
        4,
        number(3, -4),
        Unit::Kilowatt,
        &[code(1), code(21), code(41), code(61)],
    ),
    named("forward power limit", 0xB634, number(2, -2), Unit::Kilowatt),
    named("reverse power limit", 0xB635, number(2, -2), Unit::Kilowatt),
    phases(
        "reactive power",
        0xB640,
        4,
        number(2, -2),
        Unit::Kilovar,
        &[code(3), code(23), code(43), code(63)],
    ),
    phases(
        "power factor",
        0xB650,
        4,
        number(2, -3),
        Unit::None,
        &[code(13), code(33), code(53), code(73)],
    ),
    tariffs("forward active energy", 0x9410, 1, KWH, Unit::KilowattHour, [1, 8]),
    tariffs("reverse active energy", 0x9420, 1, KWH, Unit::KilowattHour, [2, 8]),
    tariffs("forward active energy", 0x9810, 2, KWH, Unit::KilowattHour, [1, 8]),
    tariffs("reverse active energy", 0x9820, 2, KWH, Unit::KilowattHour, [2, 8]),
    tariffs("forward reactive energy", 0x9110, 0, KVARH, Unit::VarHour, [3, 8]),
    tariffs("reverse reactive energy", 0x9120, 0, KVARH, Unit::VarHour, [4, 8]),
    tariffs("reactive energy quadrant 1", 0x9130, 0, KVARH, Unit::VarHour, [5, 8]),
    tariffs("reactive energy quadrant 4", 0x9140, 0, KVARH, Unit::VarHour, [8, 8]),
    tariffs("reactive energy quadrant 2", 0x9150, 0, KVARH, Unit::VarHour, [6, 8]),
    tariffs("reactive energy quadrant 3", 0x9160, 0, KVARH, Unit::VarHour, [7, 8]),
    tariffs("forward active demand", 0xA010, 0, DEMAND, Unit::Kilowatt, [1, 6]),
    tariffs("reverse active demand", 0xA020, 0, DEMAND, Unit::Kilowatt, [2, 6]),
    tariffs("forward active demand", 0xA410, 1, DEMAND, Unit::Kilowatt, [1, 6]),
    list("time of forward active demand", 0xB010, TARIFFS, MOMENT, Unit::None),
    list("time of reverse active demand", 0xB020, TARIFFS, MOMENT, Unit::None),
    named("last programmed", 0xB210, MOMENT, Unit::None),
    named("demand last cleared", 0xB211, MOMENT, Unit::None),
    named("programmed", 0xB212, number(2, 0), Unit::None),
    named("demand cleared", 0xB213, number(2, 0), Unit::None),
    named("battery working time", 0xB214, number(3, 0), Unit::Minute),
    // The total first, then phases A, B and C.
    list("phase missing", 0xB310, 4, number(2, 0), Unit::None),
    list("phase missing time", 0xB320, 4, number(3, 0), Unit::Minute),
    list("phase missing from", 0xB330, 4, MOMENT, Unit::None),
    list("phase missing to", 0xB340, 4, MOMENT, Unit::None),
    named("date", 0xC010, Format::Time(DATE_AND_WEEK), Unit::None),
    named("time of day", 0xC011, Format::Time(TIME_OF_DAY), Unit::None),
    one(
        "status word",
        0xC020,
        Format::Bits,
        Unit::None,
        Place::Registers(&[Obis([0, 0, 96, 5, 1, 255])]),
    ),
    named("grid status", 0xC021, Format::Bits, Unit::None),
    named("weekend days", 0xC022, Format::Bits, Unit::None),
    named("active constant", 0xC030, number(3, 0), Unit::None),
    named("reactive constant", 0xC031, number(3, 0), Unit::None),
    named("meter number", 0xC032, Format::Digits { bytes: 6 }, Unit::None),
    named("customer number", 0xC033, Format::Digits { bytes: 6 }, Unit::None),
    named("device number", 0xC034, Format::Digits { bytes: 6 }, Unit::None),
    named("demand period", 0xC111, number(1, 0), Unit::Minute),
    named("demand sliding time", 0xC112, number(1, 0), Unit::Minute),
    named("display time", 0xC113, number(1, 0), Unit::Second),
    named("display count", 0xC114, number(1, 0), Unit::None),
    named("energy decimals shown", 0xC115, number(1, 0), Unit::None),
    named("power decimals shown", 0xC116, number(1, 0), Unit::None),
    named("reading day", 0xC117, Format::Time(HOUR_OF_MONTH), Unit::None),
    named("load representing day", 0xC118, number(1, 0), Unit::None),
    named("active energy at the start", 0xC119, KWH, Unit::KilowattHour),
    named("reactive energy at the start", 0xC11A, KVARH, Unit::VarHour),
    named("pulse width", 0xC211, number(2, 0), Unit::None),
    named("number of year zones", 0xC310, number(1, 0), Unit::None),
    named("number of day tables", 0xC311, number(1, 0), Unit::None),
    named("number of day slots", 0xC312, number(1, 0), Unit::None),
    named("number of tariffs", 0xC313, number(1, 0), Unit::None),
    named("number of holidays", 0xC314, number(1, 0), Unit::None),
    list("year zone", 0xC321, 14, ZONE, Unit::None),
    list("slot of day table 1", 0xC331, 10, SLOT, Unit::None),
    list("slot of day table 2", 0xC341, 10, SLOT, Unit::None),
    list("holiday", 0xC411, 13, ZONE, Unit::None),
    named("load record start", 0xC510, MOMENT, Unit::None),
    named("load record interval", 0xC511, number(2, 0), Unit::Minute),
];

//! The items of DL/T 645-2007 as data (its appendix A; `0333`, `0090`, `1D00` and `1E00` from the
//! prepayment extension of 2013).
//!
//! Not here: a maker's own identifiers, e.g. 080100FF (a driver), and the reading of a load profile
//! (`load_record`).

use super::item::{self, Found, Past, Place, Row};
use super::value::{
    CLOCK, DATE_AND_WEEK, Field, Format, HOUR_OF_MONTH, MINUTE, MINUTE_OF_DAY, MINUTE_OF_YEAR,
    Part, SECOND, TIME_OF_DAY, Unit,
};
use crate::Obis;
use crate::bcd::Sign;

/// What stands in the table about `identifier`, DI3 first.
///
/// ```
/// use polymeter_codec::dlt645::items_2007::find;
///
/// assert_eq!(find(0x0001_0000).map(|found| found.row.name), Some("forward active energy"));
/// assert!(find(0x0900_0000).is_none());
/// ```
pub fn find(identifier: u32) -> Option<Found> {
    item::find(ROWS, identifier)
}

pub(super) const fn number(bytes: usize, scale: i8) -> Format {
    Format::Number { bytes, scale, sign: Sign::None }
}

const fn signed(bytes: usize, scale: i8) -> Format {
    Format::Number { bytes, scale, sign: Sign::TopBit }
}

pub(super) const fn one(
    name: &'static str,
    first: u32,
    format: Format,
    unit: Unit,
    place: Place,
) -> Row {
    let past = Past::None;
    Row { name, first, step: 1, count: 1, block: 0, past, format, unit, place, several: false }
}

/// Without an OBIS code.
pub(super) const fn named(name: &'static str, first: u32, format: Format, unit: Unit) -> Row {
    one(name, first, format, unit, Place::Name)
}

/// Counted in the identifier's second byte: phases.
const fn phases(
    name: &'static str,
    first: u32,
    count: u32,
    format: Format,
    unit: Unit,
    codes: &'static [Obis],
) -> Row {
    let row = one(name, first, format, unit, Place::Registers(codes));
    Row { step: 0x100, count, block: 0xFF00, ..row }
}

/// A total and its tariffs, now and at settlements.
const fn tariffs(name: &'static str, first: u32, format: Format, unit: Unit, code: [u8; 3]) -> Row {
    let [b, c, d] = code;
    let row = one(name, first, format, unit, Place::Tariffs(Obis([1, b, c, d, 0, 255])));
    Row { step: 0x100, count: TARIFFS, block: 0xFF00, past: Past::LowByte(SETTLEMENTS), ..row }
}

/// Counted in the identifier's lowest byte: status words, records.
const fn list(name: &'static str, first: u32, count: u32, format: Format, unit: Unit) -> Row {
    let row = named(name, first, format, unit);
    Row { count, block: 0xFF, ..row }
}

/// Frozen: a block of a total and its tariffs under one identifier, the n-th last.
const fn frozen(name: &'static str, first: u32, count: u32, format: Format, unit: Unit) -> Row {
    let row = named(name, first, format, unit);
    Row { count, several: true, ..row }
}

const fn field(name: &'static str, format: Format, unit: Unit) -> Field {
    Field { name, format, unit }
}

/// Settlements that a meter remembers; tariffs beside the total.
const SETTLEMENTS: u8 = 12;
const TARIFFS: u32 = 64;
/// Records of each kind of event.
const EVENTS: u32 = 10;
/// Days, hours and other moments that are kept.
const DAYS: u32 = 62;
const HOURS: u32 = 254;
const MOMENTS: u32 = 60;

pub(super) const KWH: Format = number(4, -2);
const KWH_SIGNED: Format = signed(4, -2);
/// Hundredths of a kvarh or kVAh are tens of a varh or VAh.
const KVARH: Format = number(4, 1);
const KVARH_SIGNED: Format = signed(4, 1);
const YUAN: Format = number(4, -2);
/// Yuan for a kWh.
const PRICE: Format = number(4, -4);
const COUNT: Format = number(3, 0);
const SECOND_FORMAT: Format = Format::Time(SECOND);
const MINUTE_FORMAT: Format = Format::Time(MINUTE);

const fn demand(sign: Sign) -> &'static [Field] {
    const UNSIGNED: &[Field] =
        &[field("demand", number(3, -4), Unit::Kilowatt), field("time", MINUTE_FORMAT, Unit::None)];
    const SIGNED: &[Field] =
        &[field("demand", signed(3, -4), Unit::Kilovar), field("time", MINUTE_FORMAT, Unit::None)];
    match sign {
        Sign::None => UNSIGNED,
        Sign::TopBit => SIGNED,
    }
}

/// A count and the time that it lasted in all, in minutes.
const COUNT_AND_TIME: Format =
    Format::Record(&[field("count", COUNT, Unit::None), field("total time", COUNT, Unit::Minute)]);
/// The same for phases A, B and C.
const PHASE_COUNTS: Format = Format::Record(&[
    field("count A", COUNT, Unit::None),
    field("total time A", COUNT, Unit::Minute),
    field("count B", COUNT, Unit::None),
    field("total time B", COUNT, Unit::Minute),
    field("count C", COUNT, Unit::None),
    field("total time C", COUNT, Unit::Minute),
]);
const START_AND_END: Format = Format::Record(&[
    field("start", SECOND_FORMAT, Unit::None),
    field("end", SECOND_FORMAT, Unit::None),
]);
/// Opening of a cover: energies before and after.
const COVER: Format = Format::Record(&[
    field("start", SECOND_FORMAT, Unit::None),
    field("end", SECOND_FORMAT, Unit::None),
    field("forward energy before", KWH, Unit::KilowattHour),
    field("reverse energy before", KWH, Unit::KilowattHour),
    field("quadrant 1 before", KVARH, Unit::VarHour),
    field("quadrant 2 before", KVARH, Unit::VarHour),
    field("quadrant 3 before", KVARH, Unit::VarHour),
    field("quadrant 4 before", KVARH, Unit::VarHour),
    field("forward energy after", KWH, Unit::KilowattHour),
    field("reverse energy after", KWH, Unit::KilowattHour),
    field("quadrant 1 after", KVARH, Unit::VarHour),
    field("quadrant 2 after", KVARH, Unit::VarHour),
    field("quadrant 3 after", KVARH, Unit::VarHour),
    field("quadrant 4 after", KVARH, Unit::VarHour),
]);
const PROGRAMMED: Format = Format::Record(&[
    field("time", SECOND_FORMAT, Unit::None),
    field("operator", Format::Digits { bytes: 4 }, Unit::None),
    field("items", Format::Raw { bytes: 40 }, Unit::None),
]);
const EVENTS_CLEARED: Format = Format::Record(&[
    field("time", SECOND_FORMAT, Unit::None),
    field("operator", Format::Digits { bytes: 4 }, Unit::None),
    field("item", Format::Raw { bytes: 4 }, Unit::None),
]);
const CLOCK_SET: Format = Format::Record(&[
    field("operator", Format::Digits { bytes: 4 }, Unit::None),
    field("before", SECOND_FORMAT, Unit::None),
    field("after", SECOND_FORMAT, Unit::None),
]);
/// A trip or a closing of the relay (2013 extension).
const SWITCHED: Format = Format::Record(&[
    field("time", SECOND_FORMAT, Unit::None),
    field("operator", Format::Digits { bytes: 4 }, Unit::None),
    field("forward energy", KWH, Unit::KilowattHour),
    field("reverse energy", KWH, Unit::KilowattHour),
    field("quadrant 1", KVARH, Unit::VarHour),
    field("quadrant 2", KVARH, Unit::VarHour),
    field("quadrant 3", KVARH, Unit::VarHour),
    field("quadrant 4", KVARH, Unit::VarHour),
]);
/// hhmmNN and MMDDNN, low byte first.
const SLOT: Format = Format::Record(&[
    field("tariff", number(1, 0), Unit::None),
    field("from", Format::Time(MINUTE_OF_DAY), Unit::None),
]);
const ZONE: Format = Format::Record(&[
    field("day table", number(1, 0), Unit::None),
    field("from", Format::Time(&[Part::Day, Part::Month]), Unit::None),
]);
const HOLIDAY: Format = Format::Record(&[
    field("day table", number(1, 0), Unit::None),
    field("date", Format::Time(&[Part::Day, Part::Month, Part::Year]), Unit::None),
]);

const fn code(c: u8) -> Obis {
    Obis([1, 0, c, 7, 0, 255])
}

const VOLTAGE: &[Obis] = &[code(32), code(52), code(72)];
const CURRENT: &[Obis] = &[code(31), code(51), code(71)];
const POWER: &[Obis] = &[code(1), code(21), code(41), code(61)];
const REACTIVE: &[Obis] = &[code(3), code(23), code(43), code(63)];
const APPARENT: &[Obis] = &[code(9), code(29), code(49), code(69)];
const FACTOR: &[Obis] = &[code(13), code(33), code(53), code(73)];
/// Angles between voltage and current (IEC 62056-61, group C = 81, the two phases in E).
const ANGLE: &[Obis] =
    &[Obis([1, 0, 81, 7, 4, 255]), Obis([1, 0, 81, 7, 15, 255]), Obis([1, 0, 81, 7, 26, 255])];
const CREDIT: &[Obis] = &[Obis([0, 0, 19, 10, 0, 255])];
const OVERDRAWN: &[Obis] = &[Obis([0, 0, 19, 10, 1, 255])];

/// All rows; those that are asked for most stand first.
pub static ROWS: &[Row] = &[
    tariffs("forward active energy", 0x0001_0000, KWH, Unit::KilowattHour, [0, 1, 8]),
    tariffs("combined active energy", 0x0000_0000, KWH_SIGNED, Unit::KilowattHour, [0, 15, 8]),
    tariffs("reverse active energy", 0x0002_0000, KWH, Unit::KilowattHour, [0, 2, 8]),
    phases("voltage", 0x0201_0100, 3, number(2, -1), Unit::Volt, VOLTAGE),
    phases("current", 0x0202_0100, 3, signed(3, -3), Unit::Ampere, CURRENT),
    phases("active power", 0x0203_0000, 4, signed(3, -4), Unit::Kilowatt, POWER),
    phases("reactive power", 0x0204_0000, 4, signed(3, -4), Unit::Kilovar, REACTIVE),
    phases("apparent power", 0x0205_0000, 4, signed(3, -4), Unit::KilovoltAmpere, APPARENT),
    phases("power factor", 0x0206_0000, 4, signed(2, -3), Unit::None, FACTOR),
    Row {
        place: Place::Counted(Obis([0, 0, 96, 5, 0, 255])),
        ..list("status word", 0x0400_0501, 7, Format::Word, Unit::None)
    },
    one(
        "clock",
        0x0400_010C,
        Format::Time(CLOCK),
        Unit::None,
        Place::Registers(&[Obis([0, 0, 1, 0, 0, 255])]),
    ),
    one("remaining energy", 0x0090_0100, KWH, Unit::KilowattHour, Place::Registers(CREDIT)),
    one("overdrawn energy", 0x0090_0101, KWH, Unit::KilowattHour, Place::Registers(OVERDRAWN)),
    one("remaining money", 0x0090_0200, YUAN, Unit::Currency, Place::Registers(CREDIT)),
    one("overdrawn money", 0x0090_0201, YUAN, Unit::Currency, Place::Registers(OVERDRAWN)),
    // Reactive energies may be combined of quadrants, and then have a sign.
    tariffs("combined reactive energy 1", 0x0003_0000, KVARH_SIGNED, Unit::VarHour, [0, 3, 8]),
    tariffs("combined reactive energy 2", 0x0004_0000, KVARH_SIGNED, Unit::VarHour, [0, 4, 8]),
    tariffs("reactive energy quadrant 1", 0x0005_0000, KVARH, Unit::VarHour, [0, 5, 8]),
    tariffs("reactive energy quadrant 2", 0x0006_0000, KVARH, Unit::VarHour, [0, 6, 8]),
    tariffs("reactive energy quadrant 3", 0x0007_0000, KVARH, Unit::VarHour, [0, 7, 8]),
    tariffs("reactive energy quadrant 4", 0x0008_0000, KVARH, Unit::VarHour, [0, 8, 8]),
    tariffs("forward apparent energy", 0x0009_0000, KVARH, Unit::VoltAmpereHour, [0, 9, 8]),
    tariffs("reverse apparent energy", 0x000A_0000, KVARH, Unit::VoltAmpereHour, [0, 10, 8]),
    named("energy of this settlement period", 0x000B_0000, KWH, Unit::KilowattHour),
    named("energy of the last settlement period", 0x000B_0001, KWH, Unit::KilowattHour),
    named("energy of this month", 0x000C_0000, KWH, Unit::KilowattHour),
    phase_energy("forward active energy A", 0x0015_0000, KWH, Unit::KilowattHour, 21),
    phase_energy("reverse active energy A", 0x0016_0000, KWH, Unit::KilowattHour, 22),
    phase_energy("forward active energy B", 0x0029_0000, KWH, Unit::KilowattHour, 41),
    phase_energy("reverse active energy B", 0x002A_0000, KWH, Unit::KilowattHour, 42),
    phase_energy("forward active energy C", 0x003D_0000, KWH, Unit::KilowattHour, 61),
    phase_energy("reverse active energy C", 0x003E_0000, KWH, Unit::KilowattHour, 62),
    max_demand("forward active demand", 0x0101_0000, Sign::None, 1),
    max_demand("reverse active demand", 0x0102_0000, Sign::None, 2),
    max_demand("combined reactive demand 1", 0x0103_0000, Sign::TopBit, 3),
    max_demand("combined reactive demand 2", 0x0104_0000, Sign::TopBit, 4),
    phases("phase angle", 0x0207_0100, 3, number(2, -1), Unit::Degree, ANGLE),
    Row {
        step: 0x100,
        count: 3,
        block: 0xFF00,
        ..named("voltage distortion", 0x0208_0100, number(2, -2), Unit::Percent)
    },
    Row {
        step: 0x100,
        count: 3,
        block: 0xFF00,
        ..named("current distortion", 0x0209_0100, number(2, -2), Unit::Percent)
    },
    one(
        "neutral current",
        0x0280_0001,
        signed(3, -3),
        Unit::Ampere,
        Place::Registers(&[Obis([1, 0, 91, 7, 0, 255])]),
    ),
    one(
        "frequency",
        0x0280_0002,
        number(2, -2),
        Unit::Hertz,
        Place::Registers(&[Obis([1, 0, 14, 7, 0, 255])]),
    ),
    named("active power of the last minute", 0x0280_0003, signed(3, -4), Unit::Kilowatt),
    named("active demand now", 0x0280_0004, signed(3, -4), Unit::Kilowatt),
    named("reactive demand now", 0x0280_0005, signed(3, -4), Unit::Kilovar),
    named("apparent demand now", 0x0280_0006, signed(3, -4), Unit::KilovoltAmpere),
    one(
        "temperature inside",
        0x0280_0007,
        signed(2, -1),
        Unit::Celsius,
        Place::Registers(&[Obis([0, 0, 96, 9, 0, 255])]),
    ),
    one(
        "clock battery voltage",
        0x0280_0008,
        number(2, -2),
        Unit::Volt,
        Place::Registers(&[Obis([0, 0, 96, 6, 3, 255])]),
    ),
    named("reading battery voltage", 0x0280_0009, number(2, -2), Unit::Volt),
    named("battery working time", 0x0280_000A, number(4, 0), Unit::Minute),
    named("ladder price now", 0x0280_000B, PRICE, Unit::Currency),
    named("price now", 0x0280_0020, PRICE, Unit::Currency),
    named("remote authentication left", 0x0280_0022, number(2, 0), Unit::Minute),
    named("infrared authentication left", 0x0280_0023, number(2, 0), Unit::Minute),
    named("voltage lost", 0x0301_0000, PHASE_COUNTS, Unit::None),
    named("voltage low", 0x0302_0000, PHASE_COUNTS, Unit::None),
    named("voltage high", 0x0303_0000, PHASE_COUNTS, Unit::None),
    named("phase missing", 0x0304_0000, PHASE_COUNTS, Unit::None),
    named("all voltage lost", 0x0305_0000, COUNT_AND_TIME, Unit::None),
    list("all voltage lost", 0x0305_0001, EVENTS, ALL_LOST, Unit::None),
    named("auxiliary power lost", 0x0306_0000, COUNT_AND_TIME, Unit::None),
    list("auxiliary power lost", 0x0306_0001, EVENTS, START_AND_END, Unit::None),
    named("voltage phases reversed", 0x0307_0000, COUNT_AND_TIME, Unit::None),
    named("current phases reversed", 0x0308_0000, COUNT_AND_TIME, Unit::None),
    named("voltage unbalanced", 0x0309_0000, COUNT_AND_TIME, Unit::None),
    named("current unbalanced", 0x030A_0000, COUNT_AND_TIME, Unit::None),
    named("current lost", 0x030B_0000, PHASE_COUNTS, Unit::None),
    named("current high", 0x030C_0000, PHASE_COUNTS, Unit::None),
    named("current missing", 0x030D_0000, PHASE_COUNTS, Unit::None),
    named("power reversed", 0x030E_0000, PHASE_COUNTS, Unit::None),
    named("overloaded", 0x030F_0000, PHASE_COUNTS, Unit::None),
    named("power down", 0x0311_0000, COUNT, Unit::None),
    list("power down", 0x0311_0001, EVENTS, START_AND_END, Unit::None),
    named("programmed", 0x0330_0000, COUNT, Unit::None),
    list("programmed", 0x0330_0001, EVENTS, PROGRAMMED, Unit::None),
    named("meter cleared", 0x0330_0100, COUNT, Unit::None),
    named("demand cleared", 0x0330_0200, COUNT, Unit::None),
    named("events cleared", 0x0330_0300, COUNT, Unit::None),
    list("events cleared", 0x0330_0301, EVENTS, EVENTS_CLEARED, Unit::None),
    named("clock set", 0x0330_0400, COUNT, Unit::None),
    list("clock set", 0x0330_0401, EVENTS, CLOCK_SET, Unit::None),
    named("slots programmed", 0x0330_0500, COUNT, Unit::None),
    named("meter cover opened", 0x0330_0D00, COUNT, Unit::None),
    list("meter cover opened", 0x0330_0D01, EVENTS, COVER, Unit::None),
    named("terminal cover opened", 0x0330_0E00, COUNT, Unit::None),
    list("terminal cover opened", 0x0330_0E01, EVENTS, COVER, Unit::None),
    named("purchase count", 0x0333_0200, number(2, 0), Unit::None),
    list("purchase time", 0x0333_0101, EVENTS, MINUTE_FORMAT, Unit::None),
    list("purchase count after", 0x0333_0201, EVENTS, number(2, 0), Unit::None),
    list("purchase amount", 0x0333_0301, EVENTS, YUAN, Unit::Currency),
    list("balance before purchase", 0x0333_0401, EVENTS, YUAN, Unit::Currency),
    list("balance after purchase", 0x0333_0501, EVENTS, YUAN, Unit::Currency),
    list("bought in total", 0x0333_0601, EVENTS, YUAN, Unit::Currency),
    named("relay opened", 0x1D00_0001, COUNT, Unit::None),
    list("relay opened", 0x1D00_FF01, EVENTS, SWITCHED, Unit::None),
    named("relay closed", 0x1E00_0001, COUNT, Unit::None),
    list("relay closed", 0x1E00_FF01, EVENTS, SWITCHED, Unit::None),
    named("date", 0x0400_0101, Format::Time(DATE_AND_WEEK), Unit::None),
    named("time of day", 0x0400_0102, Format::Time(TIME_OF_DAY), Unit::None),
    named("demand period", 0x0400_0103, number(1, 0), Unit::Minute),
    named("demand sliding time", 0x0400_0104, number(1, 0), Unit::Minute),
    named("pulse width in milliseconds", 0x0400_0105, number(2, 0), Unit::None),
    named("switch time of year zones", 0x0400_0106, MINUTE_FORMAT, Unit::None),
    named("switch time of day slots", 0x0400_0107, MINUTE_FORMAT, Unit::None),
    named("switch time of tariff prices", 0x0400_0108, MINUTE_FORMAT, Unit::None),
    named("switch time of ladder", 0x0400_0109, MINUTE_FORMAT, Unit::None),
    named("number of year zones", 0x0400_0201, number(1, 0), Unit::None),
    named("number of day tables", 0x0400_0202, number(1, 0), Unit::None),
    named("number of day slots", 0x0400_0203, number(1, 0), Unit::None),
    named("number of tariffs", 0x0400_0204, number(1, 0), Unit::None),
    named("number of holidays", 0x0400_0205, number(2, 0), Unit::None),
    named("number of harmonics", 0x0400_0206, number(1, 0), Unit::None),
    named("number of ladder steps", 0x0400_0207, number(1, 0), Unit::None),
    Row { block: 0, ..list("display setting", 0x0400_0301, 5, number(1, 0), Unit::None) },
    named("current transformer ratio", 0x0400_0306, number(3, 0), Unit::None),
    named("voltage transformer ratio", 0x0400_0307, number(3, 0), Unit::None),
    named("communication address", 0x0400_0401, Format::Digits { bytes: 6 }, Unit::None),
    named("meter number", 0x0400_0402, Format::Digits { bytes: 6 }, Unit::None),
    named("asset number", 0x0400_0403, Format::Text { bytes: 32 }, Unit::None),
    named("rated voltage", 0x0400_0404, Format::Text { bytes: 6 }, Unit::None),
    named("rated current", 0x0400_0405, Format::Text { bytes: 6 }, Unit::None),
    named("maximum current", 0x0400_0406, Format::Text { bytes: 6 }, Unit::None),
    named("active accuracy class", 0x0400_0407, Format::Text { bytes: 4 }, Unit::None),
    named("reactive accuracy class", 0x0400_0408, Format::Text { bytes: 4 }, Unit::None),
    named("active constant", 0x0400_0409, COUNT, Unit::None),
    named("reactive constant", 0x0400_040A, COUNT, Unit::None),
    named("model", 0x0400_040B, Format::Text { bytes: 10 }, Unit::None),
    named("production date", 0x0400_040C, Format::Text { bytes: 10 }, Unit::None),
    named("protocol version", 0x0400_040D, Format::Text { bytes: 16 }, Unit::None),
    named("customer number", 0x0400_040E, Format::Digits { bytes: 6 }, Unit::None),
    Row { block: 0, ..list("combination of energies", 0x0400_0601, 3, Format::Bits, Unit::None) },
    list("baud rate of port", 0x0400_0701, 5, Format::Bits, Unit::None),
    named("weekend days", 0x0400_0801, Format::Bits, Unit::None),
    named("weekend day table", 0x0400_0802, number(1, 0), Unit::None),
    named("load record kinds", 0x0400_0901, Format::Bits, Unit::None),
    named("freeze kinds", 0x0400_0902, Format::Bits, Unit::None),
    named("load record start", 0x0400_0A01, Format::Time(MINUTE_OF_YEAR), Unit::None),
    Row {
        block: 0,
        ..list("load record interval of class", 0x0400_0A02, 6, number(2, 0), Unit::Minute)
    },
    list("settlement day", 0x0400_0B01, 3, Format::Time(HOUR_OF_MONTH), Unit::None),
    Row { block: 0, ..list("loss coefficient", 0x0400_0D01, 12, number(2, -3), Unit::None) },
    named("forward power limit", 0x0400_0E01, number(3, -4), Unit::Kilowatt),
    named("reverse power limit", 0x0400_0E02, number(3, -4), Unit::Kilowatt),
    named("voltage upper limit", 0x0400_0E03, number(2, -1), Unit::Volt),
    named("voltage lower limit", 0x0400_0E04, number(2, -1), Unit::Volt),
    named("alarm energy 1", 0x0400_0F01, KWH, Unit::KilowattHour),
    named("alarm energy 2", 0x0400_0F02, KWH, Unit::KilowattHour),
    named("hoarding energy", 0x0400_0F03, KWH, Unit::KilowattHour),
    named("overdraft energy", 0x0400_0F04, KWH, Unit::KilowattHour),
    named("alarm-1", 0x0400_1001, YUAN, Unit::Currency),
    named("alarm-2", 0x0400_1002, YUAN, Unit::Currency),
    named("overdraft limit", 0x0400_1003, YUAN, Unit::Currency),
    named("hoarding limit", 0x0400_1004, YUAN, Unit::Currency),
    named("reconnection minimum", 0x0400_1005, YUAN, Unit::Currency),
    named("hourly freeze start", 0x0400_1201, MINUTE_FORMAT, Unit::None),
    named("hourly freeze interval", 0x0400_1202, number(1, 0), Unit::Minute),
    named("daily freeze at", 0x0400_1203, Format::Time(MINUTE_OF_DAY), Unit::None),
    named("trip delay", 0x0400_1401, number(2, 0), Unit::Minute),
    Row { several: true, ..named("year zones 1", 0x0401_0000, ZONE, Unit::None) },
    Row { several: true, block: 0, ..list("day slots 1", 0x0401_0001, 8, SLOT, Unit::None) },
    Row { several: true, ..named("year zones 2", 0x0402_0000, ZONE, Unit::None) },
    Row { several: true, block: 0, ..list("day slots 2", 0x0402_0001, 8, SLOT, Unit::None) },
    Row { block: 0, ..list("holiday", 0x0403_0001, HOURS, HOLIDAY, Unit::None) },
    list("tariff price 1", 0x0405_0101, 63, PRICE, Unit::Currency),
    list("tariff price 2", 0x0405_0201, 63, PRICE, Unit::Currency),
    list("ladder step 1", 0x0406_0001, 63, KWH, Unit::KilowattHour),
    list("ladder price 1", 0x0406_0101, 64, PRICE, Unit::Currency),
    list("ladder step 2", 0x0406_0401, 63, KWH, Unit::KilowattHour),
    list("ladder price 2", 0x0406_0501, 64, PRICE, Unit::Currency),
    named("overload power", 0x0409_0B01, number(3, -4), Unit::Kilowatt),
    named("overload delay", 0x0409_0B02, number(1, 0), Unit::Second),
    named("firmware version", 0x0480_0001, Format::Text { bytes: 32 }, Unit::None),
    named("hardware version", 0x0480_0002, Format::Text { bytes: 32 }, Unit::None),
    named("factory number", 0x0480_0003, Format::Text { bytes: 32 }, Unit::None),
    list("timed freeze time", 0x0500_0001, MOMENTS, MINUTE_FORMAT, Unit::None),
    frozen("timed freeze forward energy", 0x0500_0101, MOMENTS, KWH, Unit::KilowattHour),
    frozen("timed freeze reverse energy", 0x0500_0201, MOMENTS, KWH, Unit::KilowattHour),
    list("freeze time", 0x0501_0001, 3, MINUTE_FORMAT, Unit::None),
    frozen("freeze forward energy", 0x0501_0101, 3, KWH, Unit::KilowattHour),
    frozen("freeze reverse energy", 0x0501_0201, 3, KWH, Unit::KilowattHour),
    list("hourly freeze time", 0x0504_0001, HOURS, MINUTE_FORMAT, Unit::None),
    list("hourly freeze forward energy", 0x0504_0101, HOURS, KWH, Unit::KilowattHour),
    list("hourly freeze reverse energy", 0x0504_0201, HOURS, KWH, Unit::KilowattHour),
    list("daily freeze time", 0x0506_0001, DAYS, MINUTE_FORMAT, Unit::None),
    frozen("daily freeze forward energy", 0x0506_0101, DAYS, KWH, Unit::KilowattHour),
    frozen("daily freeze reverse energy", 0x0506_0201, DAYS, KWH, Unit::KilowattHour),
    frozen("daily freeze forward demand", 0x0506_0901, DAYS, FROZEN_DEMAND, Unit::Kilowatt),
    frozen("daily freeze power", 0x0506_1001, DAYS, signed(3, -4), Unit::Kilowatt),
];

/// When all voltages were lost: the current then, and the two times.
const ALL_LOST: Format = Format::Record(&[
    field("start", SECOND_FORMAT, Unit::None),
    field("current", signed(3, -3), Unit::Ampere),
    field("end", SECOND_FORMAT, Unit::None),
]);
const FROZEN_DEMAND: Format = Format::Record(demand(Sign::None));

/// A phase's energy has no tariffs.
const fn phase_energy(name: &'static str, first: u32, format: Format, unit: Unit, c: u8) -> Row {
    Row { count: 1, block: 0, ..tariffs(name, first, format, unit, [0, c, 8]) }
}

const fn max_demand(name: &'static str, first: u32, sign: Sign, c: u8) -> Row {
    tariffs(name, first, Format::Record(demand(sign)), Unit::None, [0, c, 6])
}

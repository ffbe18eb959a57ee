//! Items of makers' own that published captures show, beside the standard's tables: they stand here
//! so that a captured frame can be explained, and a driver uses them only where a meter's dialect
//! says so.
//!
//! Not here: what may be written into them (a driver).

use super::item::{self, Found, Row};
use super::items_2007::{named, number};
use super::value::{Field, Format, Unit};

/// What stands in the table about `identifier`.
pub fn find(identifier: u32) -> Option<Found> {
    item::find(ROWS, identifier)
}

const fn field(name: &'static str, format: Format, unit: Unit) -> Field {
    Field { name, format, unit }
}

const COUNT: Format = number(1, 0);
const RATIO: Format = number(3, 0);
const YUAN: Format = number(4, -2);
/// Ten-thousandths: this maker's steps are too.
const PRICE: Format = number(4, -4);
const MOMENT: Format = Format::Raw { bytes: 5 };
const PLAIN: Unit = Unit::None;
const MONEY: Unit = Unit::Currency;

/// 143 bytes read with C=11H (captured; the places of prices and of the first date are proved by
/// captures, the others are one project's).
const PARAMETERS: Format = Format::Record(&[
    field("price switch time", MOMENT, PLAIN),
    field("ladder switch time", MOMENT, PLAIN),
    field("year zone switch time", MOMENT, PLAIN),
    field("day slot switch time", MOMENT, PLAIN),
    field("number of year zones", COUNT, PLAIN),
    field("number of day tables", COUNT, PLAIN),
    field("number of day slots", COUNT, PLAIN),
    field("number of tariffs", COUNT, PLAIN),
    field("number of ladder steps", COUNT, PLAIN),
    field("voltage transformer ratio", RATIO, PLAIN),
    field("current transformer ratio", RATIO, PLAIN),
    field("alarm-1", YUAN, MONEY),
    field("alarm-2", YUAN, MONEY),
    field("overdraft limit", YUAN, MONEY),
    field("hoarding limit", YUAN, MONEY),
    field("reconnection minimum", YUAN, MONEY),
    field("overload power", number(3, -4), Unit::Kilowatt),
    field("trip delay", COUNT, Unit::Minute),
    field("set 1 price 1", PRICE, MONEY),
    field("set 1 price 2", PRICE, MONEY),
    field("set 1 price 3", PRICE, MONEY),
    field("set 1 price 4", PRICE, MONEY),
    field("set 2 price 1", PRICE, MONEY),
    field("set 2 price 2", PRICE, MONEY),
    field("set 2 price 3", PRICE, MONEY),
    field("set 2 price 4", PRICE, MONEY),
    field("set 1 step 1", PRICE, PLAIN),
    field("set 1 step 2", PRICE, PLAIN),
    field("set 1 step 3", PRICE, PLAIN),
    field("other steps", Format::Raw { bytes: 44 }, PLAIN),
]);

/// 56 bytes of a DIN-rail prepaid meter.
const PURSE: Format = Format::Record(&[
    field("last purchase count", number(2, 0), PLAIN),
    field("last purchase amount", YUAN, MONEY),
    field("balance before", YUAN, MONEY),
    field("balance after", YUAN, MONEY),
    field("bought in total", YUAN, MONEY),
    field("balance", YUAN, MONEY),
    field("overdrawn", YUAN, MONEY),
    field("reconnection minimum", YUAN, MONEY),
    field("hoarding limit", YUAN, MONEY),
    field("energy", number(4, -2), Unit::KilowattHour),
    field("customer number", Format::Digits { bytes: 6 }, PLAIN),
    field("meter number", Format::Digits { bytes: 6 }, PLAIN),
    field("random number", Format::Raw { bytes: 4 }, PLAIN),
    field("status word 3", Format::Word, PLAIN),
]);

/// All rows.
pub static ROWS: &[Row] = &[
    named("prepayment parameters", 0x0701_04FF, PARAMETERS, PLAIN),
    named("purse and last purchase", 0x0801_00FF, PURSE, PLAIN),
];

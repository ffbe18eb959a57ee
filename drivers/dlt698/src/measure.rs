//! Values of objects as measurements and extras (DL/T 698.45-2017, appendix A).
//!
//! Invariant: a number comes out only of the type that the object has; anything else is "invalid".

use polymeter_codec::dlt645::status;
use polymeter_codec::dlt698::{Data, DateTime, GetResult, Oad};
use polymeter_driver::codes::{quality, register, unit};
use polymeter_driver::states;
use polymeter_driver::{Decimal, Extras, LocalTime, Measurement, Value};

/// Forward active energy: total and tariffs.
pub const ENERGY: Oad = Oad(0x0010_0200);
/// Reverse active energy.
pub const ENERGY_REVERSE: Oad = Oad(0x0020_0200);
/// Both with four decimals, as newer meters freeze them.
pub const ENERGY_FINE: Oad = Oad(0x0010_0400);
pub const ENERGY_REVERSE_FINE: Oad = Oad(0x0020_0400);
pub const VOLTAGE: Oad = Oad(0x2000_0200);
pub const CURRENT: Oad = Oad(0x2001_0200);
pub const POWER: Oad = Oad(0x2004_0200);
pub const POWER_FACTOR: Oad = Oad(0x200A_0200);
pub const FREQUENCY: Oad = Oad(0x200F_0200);
/// Status words 1 to 7.
pub const STATUS: Oad = Oad(0x2014_0200);
/// Money and purchase count.
pub const PURSE: Oad = Oad(0x202C_0200);
pub const CLOCK: Oad = Oad(0x4000_0200);
pub const ADDRESS: Oad = Oad(0x4001_0200);

/// All that one reading asks for.
pub const READ: [Oad; 10] = [
    ENERGY,
    ENERGY_REVERSE,
    VOLTAGE,
    CURRENT,
    POWER,
    POWER_FACTOR,
    FREQUENCY,
    STATUS,
    PURSE,
    CLOCK,
];

/// The registers of an array's elements, in their order.
enum Registers {
    /// A group, then the number of the element.
    Tariffs(&'static str),
    /// One for each.
    Named(&'static [&'static str]),
}

struct Row {
    attribute: Oad,
    registers: Registers,
    scale: i8,
    unit: u16,
}

const fn row(attribute: Oad, registers: Registers, scale: i8, unit: u16) -> Row {
    Row { attribute, registers, scale, unit }
}

const PHASES_POWER: &[&str] =
    &[register::POWER_IMPORT, "1.0.21.7.0.255", "1.0.41.7.0.255", "1.0.61.7.0.255"];
const PHASES_FACTOR: &[&str] =
    &[register::POWER_FACTOR, "1.0.33.7.0.255", "1.0.53.7.0.255", "1.0.73.7.0.255"];

const ROWS: &[Row] = &[
    row(ENERGY, Registers::Tariffs("1.0.1.8."), -2, unit::KILOWATT_HOUR),
    row(ENERGY_REVERSE, Registers::Tariffs("1.0.2.8."), -2, unit::KILOWATT_HOUR),
    row(ENERGY_FINE, Registers::Tariffs("1.0.1.8."), -4, unit::KILOWATT_HOUR),
    row(ENERGY_REVERSE_FINE, Registers::Tariffs("1.0.2.8."), -4, unit::KILOWATT_HOUR),
    row(VOLTAGE, Registers::Named(&register::VOLTAGE), -1, unit::VOLT),
    row(CURRENT, Registers::Named(&register::CURRENT), -3, unit::AMPERE),
    row(POWER, Registers::Named(PHASES_POWER), -1, unit::WATT),
    row(POWER_FACTOR, Registers::Named(PHASES_FACTOR), -3, unit::NONE),
    row(FREQUENCY, Registers::Named(&["1.0.14.7.0.255"]), -2, unit::HERTZ),
];

#[derive(Debug, Default)]
pub struct Measured {
    pub measurements: Vec<Measurement>,
    pub extras: Extras,
}

impl Measured {
    /// One attribute's value. What the meter refuses is left out, and its reason told.
    pub fn take(&mut self, attribute: Oad, result: &GetResult<'_>) {
        let data = match result {
            GetResult::Data(data) => data,
            GetResult::Refused(why) => {
                let name = format!("refused {attribute}");
                return self.extras.push((name, Value::Text(format!("{why:02X}"))));
            }
        };
        if let Some(row) = ROWS.iter().find(|row| row.attribute == attribute) {
            return self.row(row, data);
        }
        match attribute {
            STATUS => self.status(data),
            PURSE => self.purse(data),
            CLOCK => {
                let value = local(data).map(Value::Time);
                self.push(register::CLOCK.to_owned(), value.ok_or(()), unit::NONE);
            }
            _ => {
                let value = plain(data).unwrap_or_else(|| Value::Text(format!("{data:?}")));
                self.extras.push((attribute.to_string(), value));
            }
        }
    }

    /// Whether an attribute's values are measurements.
    pub fn knows(attribute: Oad) -> bool {
        ROWS.iter().any(|row| row.attribute == attribute)
    }

    fn push(&mut self, register: String, value: Result<Value, ()>, unit: u16) {
        let quality = if value.is_ok() { quality::MEASURED } else { quality::INVALID };
        let value = value.unwrap_or(Value::Bytes(Vec::new()));
        self.measurements.push(Measurement { register, value, unit, quality });
    }

    fn row(&mut self, row: &Row, data: &Data<'_>) {
        match data {
            Data::Array(elements) | Data::Structure(elements) => {
                for (index, element) in elements.iter().enumerate().take(64) {
                    self.element(row, index, &element);
                }
            }
            single => self.element(row, 0, single),
        }
    }

    fn element(&mut self, row: &Row, index: usize, data: &Data<'_>) {
        let register = match row.registers {
            Registers::Tariffs(group) => format!("{group}{index}.255"),
            Registers::Named(names) => match names.get(index) {
                Some(name) => (*name).to_owned(),
                None => return,
            },
        };
        if *data == Data::Null {
            let (value, quality) = (Value::Bytes(Vec::new()), quality::NOT_MEASURED);
            let measurement = Measurement { register, value, unit: row.unit, quality };
            return self.measurements.push(measurement);
        }
        let number = mantissa(data).map(|mantissa| decimal(mantissa, row.scale));
        self.push(register, number.ok_or(()), row.unit);
    }

    fn status(&mut self, data: &Data<'_>) {
        let words = status_words(data);
        if words.iter().any(Option::is_some) {
            let known = (1..).zip(&words).filter_map(|(number, word)| Some((number, (*word)?)));
            let standing = known.flat_map(|(number, bits)| status::states(number, bits));
            states::tell(&mut self.extras, standing);
        }
        for (index, word) in words.into_iter().enumerate() {
            let register = format!("0.0.96.5.{}.255", index.saturating_add(1));
            let value = word.map(|word| decimal(word.into(), 0));
            self.push(register, value.ok_or(()), unit::NONE);
        }
    }

    fn purse(&mut self, data: &Data<'_>) {
        let money = purse(data);
        let value = money.map(|(fen, _)| decimal(fen.into(), -2));
        self.push("0.0.131.0.0.255".to_owned(), value.ok_or(()), unit::CURRENCY);
        let count = money.map(|(_, count)| decimal(count.into(), 0));
        self.push(register::PURCHASE_COUNT.to_owned(), count.ok_or(()), unit::NONE);
    }
}

fn decimal(mantissa: i64, scale: i8) -> Value {
    Value::Number(Decimal { mantissa, scale })
}

fn mantissa(data: &Data<'_>) -> Option<i64> {
    match data {
        Data::Signed { value, .. } => Some(*value),
        Data::Unsigned { value, .. } => i64::try_from(*value).ok(),
        _ => None,
    }
}

/// Money in fen and the purchase count.
pub fn purse(data: &Data<'_>) -> Option<(u32, u32)> {
    let Data::Structure(fields) = data else { return None };
    let mut numbers = fields.iter().map(|field| match field {
        Data::Unsigned { value, bytes: 4 } => u32::try_from(value).ok(),
        _ => None,
    });
    let pair = (numbers.next()??, numbers.next()??);
    (fields.len() == 2).then_some(pair)
}

/// Each word's bits, bit 0 in the lowest place. On the wire bit 0 comes first.
pub fn status_words(data: &Data<'_>) -> Vec<Option<u16>> {
    let Data::Array(words) = data else { return vec![None] };
    let word = |word: Data<'_>| match word {
        Data::Bits { count: 16, bytes } => {
            bytes.first_chunk().map(|bytes| u16::from_be_bytes(*bytes).reverse_bits())
        }
        _ => None,
    };
    words.iter().take(16).map(word).collect()
}

/// A whole time; a part of it that is not said makes it none.
pub fn local(data: &Data<'_>) -> Option<LocalTime> {
    let Data::DateTime(DateTime { date, time, .. }) = data else { return None };
    let exists = (2000..=2199).contains(&date.year)
        && (1..=12).contains(&date.month)
        && (1..=31).contains(&date.day)
        && time.hour < 24
        && time.minute < 60
        && time.second < 60;
    exists.then_some(LocalTime {
        year: date.year,
        month: date.month,
        day: date.day,
        hour: time.hour,
        minute: time.minute,
        second: time.second,
    })
}

/// A value that is one number, text or time.
fn plain(data: &Data<'_>) -> Option<Value> {
    match data {
        Data::Octets(bytes) => Some(Value::Bytes(bytes.to_vec())),
        Data::Visible(text) => Some(Value::Text(String::from_utf8_lossy(text).into_owned())),
        Data::Enum(value) => Some(decimal((*value).into(), 0)),
        Data::Bool(flag) => Some(Value::Flag(*flag)),
        other => mantissa(other)
            .map(|number| decimal(number, 0))
            .or_else(|| local(other).map(Value::Time)),
    }
}

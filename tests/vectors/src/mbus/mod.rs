//! M-Bus on wires and by radio: whole telegrams, and what other programs made of them.

mod libmbus;
mod named;
pub mod radio;
mod radio_keys;
mod wireless;
mod wireless_explained;

pub use libmbus::PROTOCOL as LIBMBUS;
pub use named::PROTOCOL as NAMED;
pub use wireless::PROTOCOL as WIRELESS;

use polymeter_codec::Decoded;
use polymeter_codec::mbus::{
    Item, Message, Record, Scaled, Telegram, Unit, Value, decode, message,
};

/// What a telegram says, and its records, all of them whole.
struct Told<'a> {
    message: Message<'a>,
    items: Vec<Item<'a>>,
}

impl<'a> Told<'a> {
    /// `None`: a whole telegram without data, which says nothing.
    fn of(bytes: &'a [u8]) -> Result<Option<Told<'a>>, String> {
        let Decoded::Frame { frame, used } = decode(bytes) else {
            return Err(format!("no telegram: {:?}", decode(bytes)));
        };
        if used != bytes.len() {
            return Err(format!("a telegram of {used} bytes, then {}", bytes.len() - used));
        }
        let Telegram::Long { ci, data, .. } = frame else { return Ok(None) };
        let message = message(ci, data).map_err(|why| why.to_string())?;
        let items = match message {
            Message::Data(data) => {
                let records = data.records().map_err(|why| why.to_string())?;
                records.collect::<Result<_, _>>().map_err(|why| why.to_string())?
            }
            _ => Vec::new(),
        };
        Ok(Some(Told { message, items }))
    }

    fn records(&self) -> impl Iterator<Item = &Record<'a>> {
        self.items.iter().filter_map(|item| match item {
            Item::Record(record) => Some(record),
            _ => None,
        })
    }
}

/// Whether a published decimal, e.g. "54.321000", is exactly this number or, where it has fewer
/// places than the number, rounds from it.
fn is_number(published: &str, ours: Scaled) -> bool {
    let Some((digits, places)) = decimal(published) else { return false };
    let ours_places = -i32::from(ours.scale);
    let ours = i128::from(ours.mantissa);
    let raised = |number: i128, by: i32| u32::try_from(by).ok().map(|by| number * 10_i128.pow(by));
    match (raised(digits, ours_places - places), raised(ours, places - ours_places)) {
        (_, Some(ours)) => digits == ours,
        (Some(digits), None) => {
            (digits - ours).abs() * 2 <= 10_i128.pow((ours_places - places) as u32)
        }
        (None, None) => false,
    }
}

/// "54.321" is 54321 with 3 places; an exponent is not read.
fn decimal(text: &str) -> Option<(i128, i32)> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = format!("{whole}{fraction}").parse().ok()?;
    Some((digits, i32::try_from(fraction.len()).ok()?))
}

/// The number in seconds, where it is a time in another unit.
fn in_seconds(number: Scaled, unit: Unit) -> Scaled {
    let factor = match unit {
        Unit::Minute => 60,
        Unit::Hour => 3_600,
        Unit::Day => 86_400,
        _ => 1,
    };
    Scaled { mantissa: number.mantissa * factor, ..number }
}

/// A value that is no number, as a text.
fn text_of(record: &Record<'_>) -> String {
    match record.value() {
        Value::Text(text) => text.to_string(),
        Value::Date(date) => date.to_string(),
        Value::DateTime(moment) => moment.to_string(),
        Value::Time(time) => time.to_string(),
        Value::Number(number) => number.to_string(),
        Value::Real(number) => number.to_string(),
        // Numbers of many bytes are low first on the wire and high first for people.
        Value::Bytes(bytes) => spaced(&bytes.iter().rev().copied().collect::<Vec<_>>()),
        Value::Nothing => String::new(),
        Value::Invalid(why) => format!("invalid ({why})"),
    }
}

/// "0A 1B".
fn spaced(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(" ")
}

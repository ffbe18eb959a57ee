//! A captured frame explained, in whichever order its vendor writes.

use crate::exchange::device_code;
use crate::purse;
use crate::read;
use crate::settings::Marks;
use polymeter_codec::capture::{self, Captured};
use polymeter_codec::cjt188::{
    Content, Dialect, Frame, Order, control, decode, false_start, identified, identifier,
};
use polymeter_driver::captured::Recognised;
use polymeter_driver::{Explanation, Extras, Value};

/// Functions of the control code's low five bits (CJ/T 188-2004, table 4).
const FUNCTIONS: &[(u8, &str)] = &[
    (control::READ, "read"),
    (control::READ_ADDRESS, "read address"),
    (control::WRITE, "write"),
    (control::READ_KEY_VERSION, "read key version"),
    (control::WRITE_ADDRESS, "write address"),
    (control::SYNCHRONISE, "write register"),
];

const ITEMS: &[(u16, &str)] = &[
    (identifier::CURRENT, "current data"),
    (identifier::PRICES, "prices"),
    (identifier::SETTLEMENT_DAY, "day of settlement"),
    (identifier::READING_DAY, "day of reading"),
    (identifier::PURCHASE, "last purchase"),
    (identifier::KEY_VERSION, "key version"),
    (identifier::ADDRESS, "address"),
    (identifier::WRITE_PRICES, "prices"),
    (identifier::WRITE_SETTLEMENT_DAY, "day of settlement"),
    (identifier::WRITE_READING_DAY, "day of reading"),
    (identifier::WRITE_PURCHASE, "purchase"),
    (identifier::WRITE_KEY, "key"),
    (identifier::WRITE_TIME, "time"),
    (identifier::WRITE_REGISTER, "register"),
    (identifier::VALVE, "valve"),
    (identifier::WRITE_ADDRESS, "address"),
    (identifier::LEAVE_FACTORY, "end of the state of the factory"),
];

/// Settlements of twelve months.
const LAST_MONTH: u16 = 0xD12B;

pub fn explain(bytes: &[u8]) -> Result<Explanation, String> {
    let found = capture::first(bytes, decode, false_start).map_err(|none| none.to_string())?;
    let told = content(&found.frame);
    Ok(recognised(&found).explained(told.address, told.measurements, told.extras))
}

/// Start, sum and end are 24 bits; a function, a kind of meter and an item that the standard knows
/// are more.
fn recognised(found: &Captured<Frame<'_>>) -> Recognised<'static> {
    let function = found.frame.control & !(control::REPLY | control::ERROR);
    let (mut checks, mut check_bits) = ("68H, length, sum, 16H".to_owned(), 24_u32);
    if FUNCTIONS.iter().any(|(known, _)| *known == function) {
        checks.push_str(", a known function");
        check_bits = check_bits.saturating_add(3);
    }
    let item = identified(found.frame.data).map(|(identifier, _)| identifier);
    if let Some(item) = item.filter(|item| ITEMS.iter().any(|(known, _)| known == item)) {
        checks = format!("{checks}, item {item:04X}");
        check_bits = check_bits.saturating_add(10);
    }
    let Captured { before, after, .. } = *found;
    Recognised { protocol: "CJ/T 188", checks, check_bits, before, after }
}

fn content(frame: &Frame<'_>) -> Explanation {
    let mut told = Explanation {
        address: frame.address.to_string(),
        measurements: Vec::new(),
        extras: Vec::new(),
    };
    let extras = &mut told.extras;
    note(extras, "meter-type", format!("{:02X}", frame.kind));
    let function = frame.control & !(control::REPLY | control::ERROR);
    let known = FUNCTIONS.iter().find(|(code, _)| *code == function);
    note(extras, "function", known.map_or("unknown", |(_, name)| *name));
    let kind = match (frame.control & control::REPLY != 0, frame.control & control::ERROR != 0) {
        (true, true) => "refusal",
        (true, false) => "reply",
        (false, _) => "request",
    };
    note(extras, "kind", kind);
    if kind == "refusal" {
        note(extras, "error", device_code(frame.data));
        return told;
    }
    let Some((identifier, order)) = identified(frame.data) else {
        keep(extras, frame.data);
        return told;
    };
    note(extras, "identifier", format!("{identifier:04X}"));
    let item = ITEMS.iter().find(|(code, _)| *code == identifier);
    note(extras, "item", item.map_or("settlement of a month", |(_, name)| *name));
    let dialect = Dialect { identifier: order, ..Dialect::STANDARD };
    match dialect.content(frame.data) {
        Some(content) if kind == "reply" => reply(&mut told, frame, &content, dialect),
        Some(content) => keep(&mut told.extras, content.payload),
        None => {}
    }
    told
}

fn reply(told: &mut Explanation, frame: &Frame<'_>, content: &Content<'_>, mut dialect: Dialect) {
    let purchase = [identifier::PURCHASE, identifier::WRITE_PURCHASE];
    if content.identifier == identifier::CURRENT
        && let Ok(mut water) = content.water(&dialect)
    {
        // A time that is none in the standard's order may be one in the other.
        if water.time.parts().is_none() {
            dialect.time = Order::HighFirst;
            water = content.water(&dialect).unwrap_or(water);
        }
        told.measurements = read::measurements(&water, frame.kind);
        told.extras.extend(read::extras(water.status, Marks::NONE));
    } else if purchase.contains(&content.identifier)
        && let Ok(purse) = content.purchase()
    {
        told.measurements = purse::measurements(&purse).to_vec();
        told.extras.extend(read::extras(purse.status, Marks::NONE));
    } else if (identifier::MONTHS..=LAST_MONTH).contains(&content.identifier)
        && let Ok(amount) = content.month(&dialect)
    {
        let register = format!("{}.255", read::channel(frame.kind));
        told.measurements = vec![read::volume(&register, &amount)];
    } else if content.identifier == identifier::VALVE
        && let Ok(status) = content.status()
    {
        told.extras.extend(read::extras(status, Marks::NONE));
    } else {
        keep(&mut told.extras, content.payload);
    }
}

fn note(extras: &mut Extras, name: &str, text: impl Into<String>) {
    extras.push((name.to_owned(), Value::Text(text.into())));
}

/// Bytes that nothing here can explain.
fn keep(extras: &mut Extras, data: &[u8]) {
    if !data.is_empty() {
        extras.push(("data".to_owned(), Value::Bytes(data.to_vec())));
    }
}

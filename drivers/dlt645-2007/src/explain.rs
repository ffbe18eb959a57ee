//! A captured frame explained: who, what, and every value that the table of items knows.

use crate::exchange::device_code;
use crate::held::HELD;
use crate::items::find;
use crate::measure::{Measured, digits};
use crate::purse::Status;
use crate::read::count_measured;
use crate::words;
use polymeter_codec::capture::{self, Captured};
use polymeter_codec::dlt645::{self, Frame, control};
use polymeter_driver::captured::Recognised;
use polymeter_driver::codes::{quality, register};
use polymeter_driver::{Decimal, Explanation, Measurement, Value};

/// Functions of the control code's low five bits (DL/T 645-2007, 5.2.4).
const FUNCTIONS: &[(u8, &str)] = &[
    (0x03, "security authentication"),
    (0x08, "broadcast time"),
    (0x11, "read"),
    (0x12, "read what follows"),
    (0x13, "read address"),
    (0x14, "write"),
    (0x15, "write address"),
    (0x16, "freeze"),
    (0x17, "change baud rate"),
    (0x18, "change password"),
    (0x19, "clear maximum demand"),
    (0x1A, "clear meter"),
    (0x1B, "clear events"),
    (0x1C, "relay"),
    (0x1D, "multi-function output"),
];

const PURSE_ITEMS: &[(u32, &str)] = &[
    (0x0700_00FF, "authentication"),
    (0x0700_01FF, "validity of the authentication"),
    (0x0700_02FF, "end of the authentication"),
    (0x0701_01FF, "open account"),
    (0x0701_02FF, "purchase"),
    (0x0701_03FF, "purse initialisation"),
    (0x0701_08FF, "refund"),
    (0x0780_01FF, "read back"),
    (STATUS, "purse status"),
];
const STATUS: u32 = 0x0781_02FF;

pub fn explain(bytes: &[u8]) -> Result<Explanation, String> {
    let found = capture::first(bytes, dlt645::decode, dlt645::false_start)
        .map_err(|none| none.to_string())?;
    let frame = found.frame;
    let mut measured = Measured::default();
    note(&mut measured, "control", format!("{:02X}", frame.control));
    let function = frame.control & !(control::REPLY | control::ERROR | control::MORE);
    let name = FUNCTIONS.iter().find(|(known, _)| *known == function);
    note(&mut measured, "function", name.map_or("unknown", |(_, name)| *name));
    let reply = frame.control & control::REPLY != 0;
    let refusal = frame.control & control::ERROR != 0;
    let kind = match (reply, refusal) {
        (true, true) => "refusal",
        (true, false) => "reply",
        (false, _) => "request",
    };
    note(&mut measured, "kind", kind);
    if frame.control & control::MORE != 0 {
        measured.extras.push(("more follows".to_owned(), Value::Flag(true)));
    }
    match (function, reply, refusal) {
        (_, _, true) => explain_refusal(&mut measured, function, frame.data.as_slice()),
        (control::READ | control::AUTHENTICATE | control::WRITE, ..) => {
            explain_item(&mut measured, &frame, function, reply);
        }
        (control::READ_ADDRESS, true, _) => match digits(frame.data.as_slice()) {
            Some(address) => note(&mut measured, "address in data", address),
            None => keep(&mut measured, frame.data.as_slice()),
        },
        _ => keep(&mut measured, frame.data.as_slice()),
    }
    let Measured { measurements, extras } = measured;
    let address = frame.address.to_string();
    Ok(recognised(&found, function).explained(address, measurements, extras))
}

/// Start, second start, sum and end are 32 bits. Both editions have the same frame, so its function
/// and its item say which one it is of.
fn recognised(found: &Captured<Frame>, function: u8) -> Recognised<'static> {
    let item = found.frame.data_identifier().filter(|identifier| match function {
        control::AUTHENTICATE => PURSE_ITEMS.iter().any(|(known, _)| known == identifier),
        control::READ | control::WRITE => find(*identifier).is_some(),
        _ => false,
    });
    let (mut checks, mut check_bits) = ("68H twice, length, sum, 16H".to_owned(), 32_u32);
    if FUNCTIONS.iter().any(|(known, _)| *known == function) {
        checks.push_str(", a function of 2007");
        check_bits = check_bits.saturating_add(2);
    }
    if let Some(item) = item {
        checks = format!("{checks}, item {item:08X}");
        check_bits = check_bits.saturating_add(16);
    }
    let Captured { before, after, .. } = *found;
    Recognised { protocol: "DL/T 645-2007", checks, check_bits, before, after }
}

fn explain_refusal(measured: &mut Measured, function: u8, data: &[u8]) {
    let refusal = match function {
        control::AUTHENTICATE => words::purse_refusal(data),
        control::RELAY => words::relay_refusal(data),
        _ => words::plain_refusal(data),
    };
    note(measured, "error", device_code(data));
    note(measured, "reason", refusal.detail);
}

fn explain_item(measured: &mut Measured, frame: &Frame, function: u8, reply: bool) {
    let data = frame.data.as_slice();
    let Some(identifier) = frame.data_identifier() else { return keep(measured, data) };
    let rest = data.get(4..).unwrap_or_default();
    note(measured, "identifier", format!("{identifier:08X}"));
    if function == control::AUTHENTICATE {
        let name = PURSE_ITEMS.iter().find(|(known, _)| *known == identifier);
        note(measured, "item", name.map_or("unknown", |(_, name)| *name));
        match Status::from_reply(rest) {
            Some(status) if reply && identifier == STATUS => purse(measured, status),
            _ => keep(measured, rest),
        }
        return;
    }
    match find(identifier) {
        Some(found) => {
            note(measured, "item", found.row.name);
            if reply {
                measured.take(found, rest);
            } else {
                keep(measured, rest);
            }
        }
        None => {
            note(measured, "item", "unknown");
            keep(measured, rest);
        }
    }
}

fn purse(measured: &mut Measured, status: Status) {
    measured.measurements.push(Measurement {
        register: register::CREDIT_REMAINING.to_owned(),
        value: Value::Number(Decimal { mantissa: status.balance.into(), scale: -2 }),
        unit: HELD.unit,
        quality: quality::MEASURED,
    });
    measured.measurements.push(count_measured(status.count));
    if let Some(customer) = status.customer {
        note(measured, "customer number", customer);
    }
}

fn note(measured: &mut Measured, name: &str, text: impl Into<String>) {
    measured.extras.push((name.to_owned(), Value::Text(text.into())));
}

/// Bytes that nothing here can explain.
fn keep(measured: &mut Measured, data: &[u8]) {
    if !data.is_empty() {
        measured.extras.push(("data".to_owned(), Value::Bytes(data.to_vec())));
    }
}

//! A captured frame explained: who, what, and every value that the table of items knows.

use crate::exchange::device_code;
use crate::measure::Measured;
use crate::writes::refused;
use polymeter_codec::capture::{self, Captured};
use polymeter_codec::dlt645::{self, Frame, control, control_1997, items_1997};
use polymeter_driver::captured::Recognised;
use polymeter_driver::{Explanation, Value};

/// Functions of the control code's low five bits (DL/T 645-1997, 5.2.4).
const FUNCTIONS: &[(u8, &str)] = &[
    (control_1997::READ, "read"),
    (control_1997::FOLLOW_UP, "read what follows"),
    (control_1997::READ_AGAIN, "read again"),
    (control_1997::WRITE, "write"),
    (control_1997::BROADCAST_TIME, "broadcast time"),
    (control_1997::WRITE_ADDRESS, "write address"),
    (control_1997::CHANGE_BAUD, "change baud rate"),
    (control_1997::CHANGE_PASSWORD, "change password"),
    (control_1997::CLEAR_DEMAND, "clear maximum demand"),
];

pub fn explain(bytes: &[u8]) -> Result<Explanation, String> {
    let found = capture::first(bytes, dlt645::decode, dlt645::false_start)
        .map_err(|none| none.to_string())?;
    let frame = found.frame;
    let function = frame.control & !(control::REPLY | control::ERROR | control::MORE);
    let name = FUNCTIONS.iter().find(|(known, _)| *known == function);
    let name = name
        .map(|(_, name)| *name)
        .ok_or_else(|| format!("control code {:02X} is none of DL/T 645-1997", frame.control))?;
    let mut measured = Measured::default();
    note(&mut measured, "control", format!("{:02X}", frame.control));
    note(&mut measured, "function", name);
    let reply = frame.control & control::REPLY != 0;
    let refusal = reply && frame.control & control::ERROR != 0;
    let kind = match (reply, refusal) {
        (_, true) => "refusal",
        (true, false) => "reply",
        (false, _) => "request",
    };
    note(&mut measured, "kind", kind);
    if frame.control & control::MORE != 0 {
        measured.extras.push(("more follows".to_owned(), Value::Flag(true)));
    }
    let data = frame.data.as_slice();
    if refusal {
        note(&mut measured, "error", device_code(data));
        note(&mut measured, "reason", refused(data).detail);
    } else if function <= control_1997::WRITE {
        item(&mut measured, &frame, reply);
    } else {
        keep(&mut measured, data);
    }
    let Measured { measurements, extras } = measured;
    let address = frame.address.to_string();
    Ok(recognised(&found, function).explained(address, measurements, extras))
}

/// Start, second start, sum and end are 32 bits. Both editions have the same frame, so its function
/// and its item say which one it is of.
fn recognised(found: &Captured<Frame>, function: u8) -> Recognised<'static> {
    let item = found.frame.data_identifier_1997();
    let item =
        item.filter(|item| function <= control_1997::WRITE && items_1997::find(*item).is_some());
    let mut checks = "68H twice, length, sum, 16H, a function of 1997".to_owned();
    let mut check_bits = 34_u32;
    if let Some(item) = item {
        checks = format!("{checks}, item {item:04X}");
        check_bits = check_bits.saturating_add(8);
    }
    let Captured { before, after, .. } = *found;
    Recognised { protocol: "DL/T 645-1997", checks, check_bits, before, after }
}

fn item(measured: &mut Measured, frame: &Frame, reply: bool) {
    let data = frame.data.as_slice();
    let Some(identifier) = frame.data_identifier_1997() else { return keep(measured, data) };
    let rest = data.get(2..).unwrap_or_default();
    note(measured, "identifier", format!("{identifier:04X}"));
    match items_1997::find(identifier) {
        Some(found) => {
            note(measured, "item", found.row.name);
            if reply { measured.take(found, rest) } else { keep(measured, rest) }
        }
        None => {
            note(measured, "item", "unknown");
            keep(measured, rest);
        }
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

//! Captured frames in words, for people. A Modbus reply does not say which registers it carries, so
//! no measurement is read from one: that takes its request too.

use crate::exchange::{device_code, exception_name};
use crate::value::number;
use polymeter_codec::capture;
use polymeter_codec::modbus::{
    Captured, READ_HOLDING, READ_INPUT, Reply, Request, WRITE_MULTIPLE, WRITE_SINGLE,
    decode_captured,
};
use polymeter_driver::captured::Recognised;
use polymeter_driver::{Explanation, Extras, Value};

/// First register, how many, name.
pub type Name = (u16, u16, String);

/// Explains the first frame in a capture, with the device's own names of registers; what stands around
/// the frame is counted. The error is a sentence.
pub fn explain(capture: &[u8], names: &[Name]) -> Result<Explanation, String> {
    // The capture is all there is: what looks like a beginning and is cut short is noise.
    let found = capture::first(capture, decode_captured, |_| 1).map_err(|_| {
        "no intact Modbus RTU frame of function 03, 04, 06 or 10 and no exception".to_owned()
    })?;
    let mut extras = Vec::new();
    match found.frame.pdu {
        Captured::Request(request) => add_request(&mut extras, names, &request),
        Captured::Reply(reply) => add_reply(&mut extras, names, &reply),
        Captured::SingleWrite { register, value } => {
            add_shape(&mut extras, "request or its echo", WRITE_SINGLE);
            add_range(&mut extras, names, register, 1);
            extras.push(("value".to_owned(), text(format!("{value:04X}"))));
        }
    }
    let recognised = Recognised {
        protocol: "modbus-rtu",
        checks: "CRC, function, length".to_owned(),
        // 16 of the CRC, and about 6 of the function, of which few are read here.
        check_bits: 22,
        before: found.before,
        after: found.after,
    };
    Ok(recognised.explained(found.frame.unit.to_string(), Vec::new(), extras))
}

fn add_request(extras: &mut Extras, names: &[Name], request: &Request<'_>) {
    add_shape(extras, "request", request.function());
    match *request {
        Request::ReadHolding { start, count } | Request::ReadInput { start, count } => {
            add_range(extras, names, start, count);
        }
        Request::WriteSingle { register, value } => {
            add_range(extras, names, register, 1);
            extras.push(("value".to_owned(), text(format!("{value:04X}"))));
        }
        Request::WriteMultiple { start, values } => {
            add_range(extras, names, start, values.count());
            extras.push(("data".to_owned(), Value::Bytes(values.bytes().to_vec())));
        }
    }
}

fn add_reply(extras: &mut Extras, names: &[Name], reply: &Reply<'_>) {
    match *reply {
        Reply::Read { function, values } => {
            add_shape(extras, "reply", function);
            extras.push(("count".to_owned(), number(i64::from(values.count()), 0)));
            extras.push(("data".to_owned(), Value::Bytes(values.bytes().to_vec())));
            let note = "a reply does not name its registers: values need the request";
            extras.push(("note".to_owned(), text(note)));
        }
        Reply::WroteSingle { register, value } => {
            add_shape(extras, "reply", WRITE_SINGLE);
            add_range(extras, names, register, 1);
            extras.push(("value".to_owned(), text(format!("{value:04X}"))));
        }
        Reply::WroteMultiple { start, count } => {
            add_shape(extras, "reply", WRITE_MULTIPLE);
            add_range(extras, names, start, count);
        }
        Reply::Exception { function, code } => {
            add_shape(extras, "exception", function);
            let code_text = device_code(code).unwrap_or_default();
            extras.push(("exception".to_owned(), text(code_text)));
            extras.push(("reason".to_owned(), text(exception_name(code))));
        }
    }
}

fn add_shape(extras: &mut Extras, shape: &str, function: u8) {
    let name = match function {
        READ_HOLDING => " read holding registers",
        READ_INPUT => " read input registers",
        WRITE_SINGLE => " write one register",
        WRITE_MULTIPLE => " write registers",
        _ => "",
    };
    extras.push(("shape".to_owned(), text(shape)));
    extras.push(("function".to_owned(), text(format!("{function:02X}{name}"))));
}

/// Where, how many, and by which names the device has them.
fn add_range(extras: &mut Extras, names: &[Name], start: u16, count: u16) {
    extras.push(("start".to_owned(), text(format!("{start:04X}"))));
    extras.push(("count".to_owned(), number(i64::from(count), 0)));
    let end = start.saturating_add(count);
    let touched =
        |(first, registers, _): &&Name| *first < end && start < first.saturating_add(*registers);
    let names: Vec<&str> = names.iter().filter(touched).map(|(.., name)| name.as_str()).collect();
    if !names.is_empty() {
        extras.push(("registers".to_owned(), text(names.join(" "))));
    }
}

fn text(text: impl Into<String>) -> Value {
    Value::Text(text.into())
}

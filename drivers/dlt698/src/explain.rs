//! A captured frame explained: who, what, and every value that it carries.

use crate::measure::Measured;
use polymeter_codec::capture::{self, Captured};
use polymeter_codec::dlt698::{self, Apdu, Body, Change, Changed, Fragment, Get, Got, Protected};
use polymeter_driver::captured::Recognised;
use polymeter_driver::{Explanation, Value};

pub fn explain(bytes: &[u8]) -> Result<Explanation, String> {
    let found = capture::first(bytes, dlt698::decode, dlt698::false_start)
        .map_err(|none| none.to_string())?;
    let frame = found.frame;
    let mut measured = Measured::default();
    note(&mut measured, "control", format!("{:02X}", frame.control.0));
    let kind = if frame.control.from_server() { "from the meter" } else { "to the meter" };
    note(&mut measured, "direction", kind.to_owned());
    note(&mut measured, "client", format!("{:02X}", frame.client));
    let apdu: Vec<u8> = frame.plain().collect();
    if frame.control.is_fragment() {
        let part = Fragment::of(&apdu).map_err(|why| why.to_string())?;
        note(&mut measured, "part", format!("{} {:?}", part.number, part.place).to_lowercase());
    } else {
        let apdu = Apdu::decode(&apdu).map_err(|why| format!("the APDU: {why}"))?;
        if let Some(piid) = apdu.piid {
            note(&mut measured, "question", format!("{piid:02X}"));
        }
        body(&mut measured, &apdu.body);
    }
    // Start, both checks of 16 bits and end; the length lies under the first check.
    let Captured { before, after, .. } = found;
    let checks = "68H, length, header check, frame check, 16H".to_owned();
    let protocol = "DL/T 698.45";
    let recognised = Recognised { protocol, checks, check_bits: 48, before, after };
    let Measured { measurements, extras } = measured;
    Ok(recognised.explained(frame.server.to_string(), measurements, extras))
}

fn note(measured: &mut Measured, name: &str, text: String) {
    measured.extras.push((name.to_owned(), Value::Text(text)));
}

fn body(measured: &mut Measured, body: &Body<'_>) {
    let service = match body {
        Body::LinkRequest(_) => "link request",
        Body::LinkResponse(_) => "link response",
        Body::Connect(_) => "connect request",
        Body::Connected(_) => "connect response",
        Body::Release => "release request",
        Body::Released(_) => "release response",
        Body::ReleaseNotice { .. } => "release notice",
        Body::Get(_) => "get request",
        Body::Got(_) => "get response",
        Body::Set(_) => "set request",
        Body::SetDone(_) => "set response",
        Body::Action(_) => "action request",
        Body::ActionDone(_) => "action response",
        Body::Reported(_) => "report",
        Body::ReportTaken { .. } => "report response",
        Body::Proxy { .. } => "proxy",
        Body::Secured(_) => "secured",
        Body::Unread(_) => "unread",
    };
    note(measured, "service", service.to_owned());
    match body {
        Body::Get(Get::One(attribute)) => note(measured, "attribute", attribute.to_string()),
        Body::Get(Get::Several(several)) => {
            let names: Vec<String> =
                several.iter().map(|attribute| attribute.to_string()).collect();
            note(measured, "attributes", names.join(" "));
        }
        Body::Got(Got::One(value)) => measured.take(value.attribute, &value.result),
        Body::Got(Got::Several(values)) => {
            values.iter().for_each(|value| measured.take(value.attribute, &value.result));
        }
        Body::Got(Got::Record(record)) => note(measured, "table", record.table.to_string()),
        Body::Set(Change::One(access)) => note(measured, "attribute", access.target.to_string()),
        Body::Action(Change::One(access)) => note(measured, "method", access.target.to_string()),
        Body::SetDone(Changed::One(result)) => {
            note(measured, "attribute", result.attribute.to_string());
            note(measured, "result", format!("{:02X}", result.refusal));
        }
        Body::ActionDone(Changed::One(result)) => {
            note(measured, "method", result.method.to_string());
            note(measured, "result", format!("{:02X}", result.refusal));
        }
        Body::Secured(secured) => {
            let wrapped = match secured.apdu {
                Protected::Plain(bytes) => format!("{} bytes in the clear", bytes.len()),
                Protected::Sealed(bytes) => format!("{} bytes encrypted", bytes.len()),
                Protected::Refused(why) => format!("refused {why:02X}"),
            };
            note(measured, "wrapped", wrapped);
        }
        _ => {}
    }
}

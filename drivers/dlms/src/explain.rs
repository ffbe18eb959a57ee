//! A captured frame explained: in HDLC or behind a wrapper, who, what, and the values that it
//! carries. What is under a key stays there.

use crate::measure::{dotted, plain};
use polymeter_codec::capture::{self, Captured};
use polymeter_codec::dlms::acse::Association;
use polymeter_codec::dlms::wrapper::{self, Wrapped};
use polymeter_codec::dlms::{
    ActionRequest, ActionResponse, Apdu, Attribute, Data, GetRequest, GetResponse, GetResult,
    SetRequest, SetResponse,
};
use polymeter_codec::hdlc::{self, Control, Frame, without_llc};
use polymeter_driver::captured::Recognised;
use polymeter_driver::{Explanation, Extras, Value};

const PROTOCOL: &str = "DLMS/COSEM";

pub fn explain(bytes: &[u8]) -> Result<Explanation, String> {
    let none = match capture::first(bytes, hdlc::decode, hdlc::false_start) {
        Ok(found) => return of_hdlc(&found),
        Err(none) => none,
    };
    // A wrapper has no check of its own: it begins the capture or is none.
    match wrapper::decode(bytes) {
        polymeter_codec::Decoded::Frame { frame, used } => {
            of_wrapper(&frame, bytes.len().saturating_sub(used))
        }
        _ => Err(none.to_string()),
    }
}

fn of_hdlc(found: &Captured<Frame<'_>>) -> Result<Explanation, String> {
    let frame = &found.frame;
    let mut said = Extras::new();
    let kind = match frame.control {
        Control::Information { send, receive } => format!("I {send} {receive}"),
        Control::ReceiveReady(receive) => format!("RR {receive}"),
        Control::ReceiveNotReady(receive) => format!("RNR {receive}"),
        Control::Snrm => "SNRM".to_owned(),
        Control::Disconnect => "DISC".to_owned(),
        Control::Acknowledge => "UA".to_owned(),
        Control::DisconnectedMode => "DM".to_owned(),
        Control::Reject => "FRMR".to_owned(),
        Control::Unnumbered => "UI".to_owned(),
    };
    note(&mut said, "frame", kind);
    // A client's address is one byte; a meter's is one only where it has no physical part.
    let from_meter = match frame.control {
        Control::Snrm | Control::Disconnect => false,
        Control::Acknowledge | Control::DisconnectedMode | Control::Reject => true,
        _ if frame.information.starts_with(&hdlc::LLC_REQUEST) => false,
        _ if frame.information.starts_with(&hdlc::LLC_RESPONSE) => true,
        _ => frame.source.lower.is_some(),
    };
    let ends = (frame.source, frame.destination);
    let (meter, client) = if from_meter { ends } else { (ends.1, ends.0) };
    direction(&mut said, from_meter);
    note(&mut said, "client", client.to_string());
    if frame.segmented {
        note(&mut said, "part", "more follows".to_owned());
    }
    match without_llc(frame.information) {
        Some(part) if frame.segmented => note(&mut said, "bytes", hex(part)),
        Some(apdu) => body(&mut said, apdu).map_err(|why| format!("the APDU: {why}"))?,
        None if frame.information.is_empty() => {}
        None => note(&mut said, "bytes", hex(frame.information)),
    }
    let checks = "7EH, format, length, header check, frame check, 7EH".to_owned();
    // Format and flags, and checks of 16 bits: of the head only where there is information.
    let check_bits = if frame.information.is_empty() { 32 } else { 48 };
    let (before, after) = (found.before, found.after);
    let recognised = Recognised { protocol: PROTOCOL, checks, check_bits, before, after };
    Ok(recognised.explained(meter.to_string(), Vec::new(), said))
}

fn of_wrapper(frame: &Wrapped<'_>, after: usize) -> Result<Explanation, String> {
    let mut said = Extras::new();
    let from_meter = !matches!(
        frame.apdu.first(),
        Some(0x01 | 0x21 | 0x60 | 0x62 | 0xC0 | 0xC1 | 0xC3 | 0xC8 | 0xC9 | 0xCB)
    );
    let ends = (frame.source, frame.destination);
    let (meter, client) = if from_meter { ends } else { (ends.1, ends.0) };
    direction(&mut said, from_meter);
    note(&mut said, "client", client.to_string());
    body(&mut said, frame.apdu).map_err(|why| format!("the APDU: {why}"))?;
    let checks = "version 1 and a length, an APDU that is whole".to_owned();
    let recognised = Recognised { protocol: PROTOCOL, checks, check_bits: 32, before: 0, after };
    Ok(recognised.explained(meter.to_string(), Vec::new(), said))
}

fn note(said: &mut Extras, name: &str, text: String) {
    said.push((name.to_owned(), Value::Text(text)));
}

fn direction(said: &mut Extras, from_meter: bool) {
    let direction = if from_meter { "from the meter" } else { "to the meter" };
    note(said, "direction", direction.to_owned());
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

fn name(attribute: Attribute) -> String {
    format!("{}:{} {}", attribute.class, dotted(attribute.object), attribute.attribute)
}

fn value(said: &mut Extras, data: &Data<'_>) {
    let told = plain(data).unwrap_or_else(|| Value::Text(format!("{data:?}")));
    said.push(("value".to_owned(), told));
}

fn result(said: &mut Extras, result: &GetResult<'_>) {
    match result {
        GetResult::Data(data) => value(said, data),
        GetResult::Refused(why) => note(said, "refused", format!("{why:02X}")),
    }
}

fn body(said: &mut Extras, apdu: &[u8]) -> Result<(), String> {
    let apdu = Apdu::decode(apdu).map_err(|why| why.to_string())?;
    note(said, "service", service(&apdu).to_owned());
    match &apdu {
        Apdu::Aarq(asked) | Apdu::Aare(asked) => association(said, asked),
        Apdu::GetRequest(GetRequest::One { of, .. }) => {
            note(said, "attribute", name(of.attribute));
        }
        Apdu::GetRequest(GetRequest::Several { of, .. }) => {
            let names: Vec<String> = of.iter().map(|of| name(of.attribute)).collect();
            note(said, "attributes", names.join(", "));
        }
        Apdu::GetRequest(GetRequest::Next { block, .. }) => note(said, "block", block.to_string()),
        Apdu::GetResponse(GetResponse::One { result: told, .. }) => result(said, told),
        Apdu::GetResponse(GetResponse::Several { results, .. }) => {
            results.iter().for_each(|told| result(said, &told));
        }
        Apdu::GetResponse(GetResponse::Block { number, last, .. }) => {
            let last = if *last { ", the last" } else { "" };
            note(said, "block", format!("{number}{last}"));
        }
        Apdu::SetRequest(SetRequest::One { to, data, .. }) => {
            note(said, "attribute", name(to.attribute));
            value(said, data);
        }
        Apdu::SetResponse(SetResponse::One { refusal, .. }) => {
            note(said, "result", format!("{refusal:02X}"));
        }
        Apdu::ActionRequest(ActionRequest::One { method, data, .. }) => {
            note(said, "method", name(*method));
            data.iter().for_each(|data| value(said, data));
        }
        Apdu::ActionResponse(ActionResponse::One { result: done, .. }) => {
            note(said, "result", format!("{:02X}", done.refusal));
            done.answer.iter().for_each(|answer| result(said, answer));
        }
        Apdu::Exception { state, service, .. } => {
            note(said, "exception", format!("{state:02X} {service:02X}"));
        }
        Apdu::Ciphered(sealed) => {
            note(said, "security", format!("{:02X}", sealed.control.0));
            note(said, "counter", sealed.counter.to_string());
        }
        Apdu::DataNotification(told) => value(said, &told.data),
        Apdu::EventNotification { attribute, data, .. } => {
            note(said, "attribute", name(*attribute));
            value(said, data);
        }
        _ => {}
    }
    Ok(())
}

/// Neither password nor challenge: a capture is shown to many.
fn association(said: &mut Extras, asked: &Association<'_>) {
    let numbers = [
        ("context", asked.context),
        ("mechanism", asked.mechanism),
        ("result", asked.result),
        ("diagnostic", asked.diagnostic),
    ];
    for (name, number) in numbers {
        if let Some(number) = number {
            note(said, name, number.to_string());
        }
    }
    if let Some(title) = asked.title {
        note(said, "system-title", hex(title));
    }
}

fn service(apdu: &Apdu<'_>) -> &'static str {
    match apdu {
        Apdu::InitiateRequest(_) => "initiate request",
        Apdu::InitiateResponse(_) => "initiate response",
        Apdu::ServiceError(_) => "service error",
        Apdu::DataNotification(_) => "data notification",
        Apdu::Aarq(_) => "association request",
        Apdu::Aare(_) => "association response",
        Apdu::Rlrq(_) => "release request",
        Apdu::Rlre(_) => "release response",
        Apdu::GetRequest(_) => "get request",
        Apdu::SetRequest(_) => "set request",
        Apdu::EventNotification { .. } => "event notification",
        Apdu::ActionRequest(_) => "action request",
        Apdu::GetResponse(_) => "get response",
        Apdu::SetResponse(_) => "set response",
        Apdu::ActionResponse(_) => "action response",
        Apdu::Exception { .. } => "exception",
        Apdu::Ciphered(_) => "ciphered",
        Apdu::GeneralBlock { .. } => "part of an APDU",
    }
}

//! DL/T 698.45: frames, parts, and APDUs by themselves.

use crate::row::Comparison;
use crate::{Checked, Protocol, Row};
use polymeter_codec::dlt698::{
    Access, AddressKind, Apdu, Ask, Authentication, Body, Change, Column, Data, Fragment, Get,
    GetResult, Got, Oad, Question, decode,
};
use polymeter_codec::{Decoded, x25};
use serde_json::{Value, json};

pub const PROTOCOL: Protocol =
    Protocol { name: "dlt698", file: "dlt698.jsonl", check, explained: &[] };

fn check(row: &Row) -> Result<Checked, String> {
    let bytes = row.bytes("frame_hex")?;
    let mut compared = Comparison::default();
    if !row.expected("fcs16").is_null() {
        compared.same("check", row.expected("fcs16"), format!("{:04X}", x25(&bytes)));
        return Ok(compared.decoded());
    }
    if row.get("derived").is_null() {
        apdu(row, &bytes, &mut compared)?;
        return Ok(compared.decoded());
    }
    let frame = match decode(&bytes) {
        Decoded::Frame { frame, used } if used == bytes.len() => frame,
        other => return Err(format!("not decoded: {other:?}")),
    };
    let mut again = vec![0; bytes.len()];
    if frame.encode(&mut again) != Ok(bytes.len()) || again != bytes {
        return Err("encoded again it is another frame".to_owned());
    }
    let kind = match frame.server.kind() {
        AddressKind::Single => 0,
        AddressKind::Wildcard => 1,
        AddressKind::Group => 2,
        AddressKind::Broadcast => 3,
    };
    compared.same("length", row.derived("length"), bytes.len() - 2);
    compared.same("control", row.derived("control"), format!("{:02X}", frame.control.0));
    compared.same("kind of address", row.derived("sa_type"), kind);
    compared.same("logical device", row.derived("logic_addr"), frame.server.logical());
    compared.same("server", row.derived("sa"), frame.server.to_string().to_lowercase());
    compared.same("client", row.derived("ca"), format!("{:02X}", frame.client));
    compared.same("APDU", row.derived("apdu"), hex::encode_upper(frame.apdu));
    if frame.control.is_fragment() {
        Fragment::of(frame.apdu).map_err(|error| error.to_string())?;
    } else {
        apdu(row, frame.apdu, &mut compared)?;
    }
    Ok(compared.decoded())
}

fn apdu(row: &Row, bytes: &[u8], compared: &mut Comparison) -> Result<(), String> {
    let apdu = Apdu::decode(bytes).map_err(|error| error.to_string())?;
    if (0..bytes.len()).any(|cut| Apdu::decode(&bytes[..cut]).is_ok()) {
        return Err("cut short it is an APDU too".to_owned());
    }
    let piid = apdu.piid.map(|piid| format!("{piid:02X}")).unwrap_or_default();
    compared.same("number", row.expected("piid"), piid);
    let (service, attributes) = named(&apdu.body);
    compared.same("service", row.expected("service"), service);
    compared.same("attribute", row.expected("oad"), attributes.join(" "));
    compared.same("attributes", row.expected("oads"), json!(attributes));
    match &apdu.body {
        Body::Got(got) => values(row, got, compared)?,
        Body::Connect(request) => {
            compared.same("version", row.expected("version"), request.version);
            compared.same("longest APDU", row.expected("max_apdu"), request.limits.apdu);
            compared.same("time-out", row.expected("timeout_s"), request.timeout_s);
            let public = if request.authentication == Authentication::Public {
                "null (public)"
            } else {
                "other"
            };
            compared.same("authentication", row.expected("auth"), public);
            let question = Question { piid: apdu.piid.unwrap_or(0), ask: Ask::Connect(*request) };
            let mut again = vec![0; bytes.len()];
            if question.encode(&mut again) != Ok(bytes.len()) || again != bytes {
                return Err("written again it is another APDU".to_owned());
            }
        }
        Body::Connected(response) => {
            let vendor = String::from_utf8_lossy(&response.vendor_version[..4]);
            compared.same("vendor", row.expected("vendor"), vendor);
            compared.same("result", row.expected("result"), response.result);
        }
        _ => {}
    }
    Ok(())
}

/// The service by the standard's name, and which attributes it is about.
fn named(body: &Body<'_>) -> (&'static str, Vec<String>) {
    match body {
        Body::Get(Get::One(attribute)) => ("GetRequestNormal", vec![attribute.to_string()]),
        Body::Get(Get::Several(several)) => {
            ("GetRequestNormalList", several.iter().map(|oad| oad.to_string()).collect())
        }
        Body::Got(Got::One(value)) => ("GetResponseNormal", vec![value.attribute.to_string()]),
        Body::Got(Got::Several(values)) => {
            let attributes = values.iter().map(|value| value.attribute.to_string());
            ("GetResponseNormalList", attributes.collect())
        }
        Body::Got(Got::Record(record)) => ("GetResponseRecord", vec![record.table.to_string()]),
        Body::Action(Change::One(Access { target, .. })) => {
            ("ActionRequest", vec![target.to_string()])
        }
        Body::Connect(_) => ("ConnectRequest", Vec::new()),
        Body::Connected(_) => ("ConnectResponse", Vec::new()),
        _ => ("another service", Vec::new()),
    }
}

fn values(row: &Row, got: &Got<'_>, compared: &mut Comparison) -> Result<(), String> {
    match got {
        Got::One(value) => {
            let GetResult::Data(Data::Enum(came)) = value.result else {
                return Err(format!("not an enumeration: {value:?}"));
            };
            compared.same("value", row.expected("enum"), came);
        }
        Got::Several(values) => {
            for value in values.iter() {
                let GetResult::Data(Data::Array(elements)) = value.result else {
                    return Err(format!("not an array: {value:?}"));
                };
                let numbers: Vec<Value> = elements.iter().map(|data| number(&data)).collect();
                let published = &row.expected("values")[value.attribute.to_string()];
                compared.same("values", published, Value::Array(numbers));
            }
        }
        Got::Record(record) => {
            let rows = record.rows.map_err(|refusal| format!("refused: {refusal}"))?;
            let columns: Vec<_> = record.columns.iter().collect();
            let energy = Column::Attribute(Oad(0x0010_0200));
            // The source states the table alone; the rest is as the example of the standard reads.
            if rows.count != 1 || columns.get(1) != Some(&energy) || rows.values.len() != 2 {
                return Err(format!("not a row of two columns: {record:?}"));
            }
        }
        _ => {}
    }
    Ok(())
}

fn number(data: &Data<'_>) -> Value {
    match data {
        Data::Signed { value, .. } => json!(value),
        Data::Unsigned { value, .. } => json!(value),
        other => json!(format!("{other:?}")),
    }
}

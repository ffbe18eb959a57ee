//! Acrel's 4G envelope, and the Modbus frame inside it.

use crate::row::Comparison;
use crate::{Checked, Protocol, Row};
use polymeter_codec::Decoded;
use polymeter_codec::acrel_4g::{Time, decode};
use polymeter_codec::modbus::{Captured, Request, decode_captured};
use serde_json::json;

pub const PROTOCOL: Protocol =
    Protocol { name: "acrel-4g", file: "acrel_4g.jsonl", check, explained: &[] };

fn check(row: &Row) -> Result<Checked, String> {
    let mut compared = Comparison::default();
    if !row.text("body_hex").is_empty() {
        let time = Time::of(&row.bytes("body_hex")?).map_err(|error| error.to_string())?;
        let Time { year, month, day, weekday, hour, minute, second } = time;
        let text = format!("20{year:02}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}");
        compared.same("time", row.expected("time"), text);
        compared.same("weekday", row.expected("weekday"), weekday);
        return Ok(compared.decoded());
    }
    let bytes = row.bytes("frame_hex")?;
    let frame = match decode(&bytes) {
        Decoded::Frame { frame, used } if used == bytes.len() => frame,
        other => return Err(format!("not decoded: {other:?}")),
    };
    let mut again = vec![0; bytes.len()];
    if frame.encode(&mut again) != Ok(bytes.len()) || again != bytes {
        return Err("encoded again it is another frame".to_owned());
    }
    compared.same("command", row.expected("cmd"), format!("{:02X}", frame.command));
    compared.same("payload", row.derived("payload"), hex::encode_upper(frame.payload));
    if !row.expected("values").is_null() {
        let Decoded::Frame { frame: inner, .. } = decode_captured(frame.payload) else {
            return Err("no Modbus frame inside".to_owned());
        };
        let Captured::Request(Request::WriteMultiple { values, .. }) = inner.pdu else {
            return Err(format!("not a write of several registers: {inner:?}"));
        };
        let words = values.bytes().chunks(2).map(|word| u16::from_be_bytes([word[0], word[1]]));
        compared.same("values", row.expected("values"), json!(words.collect::<Vec<_>>()));
    }
    Ok(compared.decoded())
}

//! Modbus RTU: the frame layer, and the CRC on its own.

use crate::row::Comparison;
use crate::{Checked, Protocol, Row};
use polymeter_codec::Decoded;
use polymeter_codec::modbus::{Captured, Reply, Request, crc16, decode_captured};

pub const PROTOCOL: Protocol =
    Protocol { name: "modbus", file: "modbus.jsonl", check: check_frame, explained: &[] };

pub const CRC: Protocol =
    Protocol { name: "modbus-crc", file: "crypto.jsonl", check: check_crc, explained: &[] };

/// What is published of a frame, where it has such a thing.
#[derive(Default)]
struct Described<'a> {
    start: Option<u16>,
    count: Option<u16>,
    data: Option<&'a [u8]>,
    exception: Option<u8>,
    shape: &'static str,
}

fn check_frame(row: &Row) -> Result<Checked, String> {
    let bytes = row.bytes("frame_hex")?;
    let (body, crc) = bytes.split_last_chunk::<2>().ok_or("shorter than a CRC")?;
    let function = *body.get(1).ok_or("shorter than a function code")?;
    if crc16(body).to_le_bytes() != *crc {
        return Err("the CRC is wrong, and the row does not say so".to_owned());
    }
    let described = match decode_captured(&bytes) {
        Decoded::Frame { frame, used } if used == bytes.len() => described(&frame.pdu),
        _ if !matches!(function, 3 | 4 | 6 | 0x10 | 0x81..) => {
            return Ok(Checked::Left("a function that no driver asks: CRC only"));
        }
        other => return Err(format!("not decoded: {other:?}")),
    };
    let mut compared = Comparison::default();
    compared.same("unit", row.derived("unit"), body[0]);
    compared.same("function", row.derived("fc"), format!("{function:02X}"));
    compared.same("shape", row.derived("shape"), described.shape);
    let start = described.start.map(|start| format!("{start:04X}"));
    compared.both("start", row.derived("start"), start);
    compared.both("count", row.derived("count"), described.count);
    compared.both("data", row.derived("data"), described.data.map(hex::encode_upper));
    compared.both("exception", row.derived("exception"), described.exception);
    Ok(compared.decoded())
}

fn described<'a>(pdu: &Captured<'a>) -> Described<'a> {
    let none = Described::default();
    match *pdu {
        Captured::Request(
            Request::ReadHolding { start, count } | Request::ReadInput { start, count },
        ) => Described { start: Some(start), count: Some(count), shape: "request", ..none },
        Captured::Request(Request::WriteMultiple { start, values }) => Described {
            start: Some(start),
            count: Some(values.count()),
            data: Some(values.bytes()),
            shape: "request",
            ..none
        },
        Captured::Reply(Reply::Read { values, .. }) => {
            Described { data: Some(values.bytes()), shape: "response", ..none }
        }
        Captured::Reply(Reply::WroteMultiple { start, count }) => {
            Described { start: Some(start), count: Some(count), shape: "response", ..none }
        }
        Captured::Reply(Reply::Exception { code, .. }) => {
            Described { exception: Some(code), shape: "exception", ..none }
        }
        Captured::Request(Request::WriteSingle { register, .. })
        | Captured::Reply(Reply::WroteSingle { register, .. })
        | Captured::SingleWrite { register, .. } => {
            Described { start: Some(register), shape: "request", ..none }
        }
    }
}

fn check_crc(row: &Row) -> Result<Checked, String> {
    if row.text("kind") != "CRC-16/MODBUS" {
        return Ok(Checked::Left("not a CRC: the vault's tests have these"));
    }
    let mut compared = Comparison::default();
    let crc = crc16(&row.bytes("plain_hex")?);
    compared.same("crc", row.expected("crc"), format!("{crc:04X}"));
    Ok(compared.decoded())
}

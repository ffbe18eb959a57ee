//! CJ/T 188: frames, and what a water meter says in them, in whatever order its vendor writes.

use crate::row::Comparison;
use crate::{Checked, Explained, Protocol, Row};
use polymeter_codec::Decoded;
use polymeter_codec::cjt188::{
    Content, Dialect, Frame, Order, Time, control, decode, false_start, identified,
};

pub const PROTOCOL: Protocol =
    Protocol { name: "cjt188", file: "cjt188.jsonl", check, explained: EXPLAINED };

const EXPLAINED: &[Explained] = &[];

fn check(row: &Row) -> Result<Checked, String> {
    let bad = row.text("check").contains("BAD") || row.text("check").contains("negative");
    let bytes = match row.bytes("frame_hex") {
        Ok(bytes) => bytes,
        Err(why) => return Ok(Checked::Refused(why)),
    };
    let frame = match (first(&bytes), bad) {
        (None, true) => return Ok(Checked::Refused("wrong checksum".to_owned())),
        (None, false) => return Err("no frame".to_owned()),
        (Some(_), true) => return Err("published as broken, but decoded".to_owned()),
        (Some(frame), false) => frame,
    };
    let mut compared = Comparison::default();
    compared.same("T", row.derived("T"), format!("{:02X}", frame.kind));
    compared.same("address", row.derived("addr"), frame.address);
    compared.same("control", row.derived("control"), format!("{:02X}", frame.control));
    compared.same("L", row.derived("L"), frame.data.len());
    let Some((identifier, order)) = identified(frame.data) else {
        compared.both("identifier", row.derived("di"), None::<String>);
        return Ok(compared.decoded());
    };
    let mut dialect = Dialect { identifier: order, ..Dialect::STANDARD };
    let content = dialect.content(frame.data).ok_or("no serial number")?;
    compared.same("identifier", row.derived("di"), format!("{identifier:04X}"));
    compared.same("SER", row.derived("ser"), format!("{:02X}", content.serial.unwrap_or(0)));
    compared.same("data", row.derived("payload"), hex::encode_upper(content.payload));
    if frame.control == control::READ | control::REPLY {
        water(&mut compared, row, &content, &mut dialect)?;
    }
    valve(&mut compared, row, &frame, &content);
    Ok(compared.decoded())
}

/// The first whole frame, behind whatever stands before it; the line is quiet behind the last byte.
fn first(mut bytes: &[u8]) -> Option<Frame<'_>> {
    while !bytes.is_empty() {
        let skip = match decode(bytes) {
            Decoded::Frame { frame, .. } => return Some(frame),
            Decoded::Garbled { skip } => skip,
            Decoded::NeedMore { .. } => false_start(bytes),
        };
        bytes = bytes.get(skip..).unwrap_or_default();
    }
    None
}

fn water(
    compared: &mut Comparison,
    row: &Row,
    content: &Content<'_>,
    dialect: &mut Dialect,
) -> Result<(), String> {
    let mut water = content.water(dialect).map_err(|why| why.to_string())?;
    // A time that is none in the standard's order is one in the other.
    if water.time.parts().is_none() {
        dialect.time = Order::HighFirst;
        water = content.water(dialect).map_err(|why| why.to_string())?;
    }
    let amounts =
        [("total_m3", "total_raw", water.total), ("settle_m3", "settle_raw", water.settled)];
    for (name, raw, amount) in amounts {
        let digits = amount.mantissa().map_err(|why| why.to_string());
        let (Ok(digits), Some(meaning)) = (digits.clone(), amount.meaning()) else {
            // A made-up frame of counting bytes has units that are none.
            compared.both(name, row.expected(name), None::<String>);
            continue;
        };
        compared.same(raw, row.expected(raw), format!("{digits:08}"));
        if meaning.scale == -2 {
            let text = format!("{:06}.{:02}", digits / 100, digits % 100);
            compared.same(name, row.expected(name), text);
        }
    }
    compared.same("unit_code", row.expected("unit_code"), format!("{:02X}", water.total.unit));
    compared.same("time", row.expected("time"), text_of(&water.time));
    let [first, second] = water.status.0;
    compared.same("status", row.expected("status"), format!("{first:02X}{second:02X}"));
    Ok(())
}

fn valve(compared: &mut Comparison, row: &Row, frame: &Frame<'_>, content: &Content<'_>) {
    let said = match (frame.control, content.payload) {
        (control::WRITE, [0x55]) => "open",
        (control::WRITE, [0x99]) => "close",
        (control::WRITE, [0x66]) => "free-open (vendor)",
        (control::WRITE, [0x77]) => "free-close (vendor)",
        (0x84, _) => {
            if let Ok(status) = content.status() {
                let [first, second] = status.0;
                let text = format!("{first:02X}{second:02X}");
                compared.same("status", row.expected("status"), text);
            }
            return;
        }
        _ => return,
    };
    compared.same("valve", row.expected("valve"), said);
}

fn text_of(time: &Time) -> String {
    time.parts().map_or_else(
        || "no time".to_owned(),
        |(year, month, day, hour, minute, second)| {
            format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}")
        },
    )
}

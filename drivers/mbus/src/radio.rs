//! A captured telegram of wireless M-Bus explained: with the checksums of the air, or, where the capture
//! is one telegram and nothing else, without them as most receivers hand it on.
//!
//! Not here: keys. What is encrypted is told as such, with whose it is.

use crate::explain::{note, unread};
use crate::opened::{Came, told};
use crate::read::{Values, model, tell_states, who_of};
use polymeter_codec::Decoded;
use polymeter_codec::mbus::wireless::{Checked, FRAME_BYTES_MAX, Format, Frame, decode};
use polymeter_codec::mbus::{Layers, Message, Upper, layer_ci, layers, message};
use polymeter_driver::captured::Recognised;
use polymeter_driver::{Explanation, Extras, Value};

const PROTOCOL: &str = "wireless M-Bus";
/// L is the number of bytes that follow it.
const LENGTH_BITS: u32 = 8;
/// There is such a control field.
const CONTROL_BITS: u32 = 3;
/// Three letters of a vendor, and such a CI.
const HEAD_BITS: u32 = 3;
/// Eight digits in eight nibbles.
const NUMBER_BITS: u32 = 5;
/// A checksum of 16 bits, or two bytes that are as they should be.
const CHECK_BITS: u32 = 16;
/// The authentication layer is as long as its fields.
const LAYER_BITS: u32 = 8;
/// The bytes are records from the first to the last one, or as many blocks as the header says.
const RECORD_BITS: u32 = 4;

/// The telegram that begins `bytes`. One checksum is soon right by chance where every byte may begin a
/// telegram, so format B has to have a vendor and a CI too.
pub fn heard(bytes: &[u8]) -> Decoded<Checked<'_>> {
    let decoded = decode(bytes);
    let Decoded::Frame { frame, .. } = &decoded else { return decoded };
    let mut room = [0; FRAME_BYTES_MAX];
    let told = Frame::new(frame.without_checksums(&mut room));
    if frame.format == Format::A || told.is_ok_and(|told| is_known(told.ci)) {
        decoded
    } else {
        Decoded::Garbled { skip: 1 }
    }
}

/// One that had its checksums.
pub fn checked(checked: Checked<'_>, before: usize, after: usize) -> Result<Explanation, String> {
    let mut room = [0; FRAME_BYTES_MAX];
    let frame = Frame::new(checked.without_checksums(&mut room)).map_err(|why| why.to_string())?;
    let format = match checked.format {
        Format::A => "format A",
        Format::B => "format B",
    };
    let checks = format!("{format}, the checksum of every block, control field");
    let recognised =
        Recognised { protocol: PROTOCOL, checks, check_bits: checked.check_bits(), before, after };
    Ok(explained(frame, with_evidence(recognised, &frame)))
}

/// One that had none; `Err`: why it is none.
pub fn without_checksums(bytes: &[u8]) -> Result<Explanation, String> {
    let frame = Frame::new(bytes).map_err(|why| why.to_string())?;
    if !is_known(frame.ci) {
        return Err(format!("there is no CI {:02X} of wireless M-Bus", frame.ci));
    }
    let recognised = Recognised {
        protocol: PROTOCOL,
        checks: "it came without checksums: length, control field".to_owned(),
        check_bits: LENGTH_BITS.saturating_add(CONTROL_BITS),
        before: 0,
        after: 0,
    };
    Ok(explained(frame, with_evidence(recognised, &frame)))
}

/// What else of it is as it must be.
fn with_evidence<'a>(mut recognised: Recognised<'a>, frame: &Frame<'_>) -> Recognised<'a> {
    let mut add = |bits: u32, what: &str| {
        recognised.check_bits = recognised.check_bits.saturating_add(bits);
        recognised.checks.push_str(", ");
        recognised.checks.push_str(what);
    };
    if is_known(frame.ci) {
        add(HEAD_BITS, "vendor, CI");
    }
    if frame.sender.number().iter().all(|byte| byte >> 4 <= 9 && byte & 15 <= 9) {
        add(NUMBER_BITS, "number");
    }
    let Ok(Upper::Open(below)) = layers(frame.ci, frame.data, Some(frame.sender)) else {
        return recognised;
    };
    if below.link.is_some_and(|link| link.session.is_some()) {
        add(CHECK_BITS, "checksum of the extended link layer");
    }
    let counter = below.authentication.and_then(|layer| layer.counter);
    if below.authentication.is_some() {
        add(LAYER_BITS, "length of the authentication layer");
    }
    match told(None, came(frame)) {
        Ok(told) if told.items().is_ok_and(|items| !items.is_empty()) => {
            let bits = if told.came_deciphered { CHECK_BITS } else { RECORD_BITS };
            add(bits, "records to the last byte");
        }
        Ok(_) => {}
        Err(_) => {
            if let Ok(Message::Data(data)) = message(below.ci, below.data)
                && data.sealed(Some(frame.sender), counter).is_ok_and(|said| said.plain.is_empty())
            {
                add(RECORD_BITS, "number of encrypted blocks");
            }
        }
    }
    recognised
}

/// Of the layers, of messages from a device and to it, of a vendor (EN 13757-7:2018, table 2).
fn is_known(ci: u8) -> bool {
    matches!(
        ci,
        0x50..=0x54 | 0x5A..=0x5F | 0x60..=0x7F | 0x80..=0x8B | 0xA0..=0xB7
            | layer_ci::LINK_I..=layer_ci::AUTHENTICATION
    )
}

fn came<'a>(frame: &Frame<'a>) -> Came<'a> {
    Came { ci: frame.ci, data: frame.data, sender: Some(frame.sender) }
}

fn explained(frame: Frame<'_>, recognised: Recognised<'_>) -> Explanation {
    let mut said = vec![
        note("control", format!("{:02X}", frame.control)),
        note("radio", frame.sender.to_string()),
    ];
    let below = layers(frame.ci, frame.data, Some(frame.sender));
    if let Ok(Upper::Open(below)) = &below {
        said.extend(layers_of(below));
    }
    let told = match told(None, came(&frame)) {
        Ok(told) => told,
        Err(why) => {
            let meter = crate::opened::identity(came(&frame)).unwrap_or(frame.sender);
            said.push(note("model", model(meter)));
            let (ci, data) = match &below {
                Ok(Upper::Open(below)) => (below.ci, below.data),
                _ => (frame.ci, frame.data),
            };
            said.extend(unread(why, ci, data));
            return recognised.explained(meter.to_string(), vec![], said);
        }
    };
    let meter = told.header.and_then(|header| header.identity).unwrap_or(frame.sender);
    said.extend(who_of(&told, Some(meter)));
    tell_states(&mut said, &told);
    if told.came_deciphered {
        said.push(("came deciphered".to_owned(), Value::Flag(true)));
    }
    let mut values = Values { extras: said, medium: Some(meter.medium()), ..Values::default() };
    match values.take(&told) {
        Ok(false) => {}
        Ok(true) => values.extras.push(("more follows".to_owned(), Value::Flag(true))),
        Err(why) => values.extras.push(note("unread", why)),
    }
    recognised.explained(meter.to_string(), values.measurements, values.extras)
}

/// What the layers below the message say.
fn layers_of(below: &Layers<'_>) -> Extras {
    let mut said = Extras::new();
    if let Some(link) = below.link {
        said.push(note("communication control", format!("{:02X}", link.control)));
        if let Some(other) = link.other_side {
            said.push(note("other side", other.to_string()));
        }
        if let Some(session) = link.session {
            said.push(note("session", format!("{:08X}", u32::from_le_bytes(session))));
        }
    }
    if let Some(layer) = below.authentication {
        if let Some(counter) = layer.counter {
            said.push(note("message counter", u32::from_le_bytes(counter).to_string()));
        }
        if !layer.mac.is_empty() {
            said.push(("authentication code".to_owned(), Value::Bytes(layer.mac.to_vec())));
        }
    }
    said
}

//! A captured telegram explained.

use crate::exchange::Reply;
use crate::opened::{identity, told};
use crate::read::{Values, who};
use polymeter_codec::Decoded;
use polymeter_codec::capture::{self, Captured};
use polymeter_codec::mbus::{Message, Telegram, decode, false_start, message};
use polymeter_driver::captured::Recognised;
use polymeter_driver::codes::error;
use polymeter_driver::{Explanation, Value};

/// The first telegram. Encrypted records are not opened, for nobody gave a key; who sent them is told.
pub fn explain(bytes: &[u8]) -> Result<Explanation, String> {
    if let Decoded::Frame { frame: Telegram::Ack, used } = decode(bytes)
        && used == bytes.len()
    {
        let said = vec![note("kind", "acknowledgement")];
        return Ok(recognised("E5H alone", 8, 0, 0).explained(String::new(), vec![], said));
    }
    let found = capture::first(bytes, told_of, false_start).map_err(|none| none.to_string())?;
    let Captured { frame, before, after } = found;
    match frame {
        Telegram::Ack => Err("nothing but E5H".to_owned()),
        Telegram::Short { control, address } => {
            let said = vec![note("control", format!("{control:02X}"))];
            let recognised = recognised("10H, sum, 16H", 24, before, after);
            Ok(recognised.explained(address.to_string(), vec![], said))
        }
        Telegram::Long { control, address, ci, data } => {
            let recognised = recognised("68H twice, length twice, sum, 16H", 40, before, after);
            long(recognised, control, &Reply { address, ci, data: data.to_vec() })
        }
    }
}

/// E5H says yes where it stands alone; among other bytes it is one of them.
fn told_of(bytes: &[u8]) -> Decoded<Telegram<'_>> {
    match decode(bytes) {
        Decoded::Frame { frame: Telegram::Ack, .. } => {
            Decoded::Garbled { skip: false_start(bytes) }
        }
        other => other,
    }
}

fn long(recognised: Recognised<'_>, control: u8, reply: &Reply) -> Result<Explanation, String> {
    let address = identity(reply).map_or_else(|| reply.address.to_string(), |who| who.to_string());
    let control = note("control", format!("{control:02X}"));
    let plain = |said| {
        let mut extras = vec![control.clone(), note("primary address", reply.address.to_string())];
        extras.push(said);
        extras
    };
    if matches!(message(reply.ci, &reply.data), Ok(Message::Other)) {
        let mut said = plain(note("CI", format!("{:02X}", reply.ci)));
        if !reply.data.is_empty() {
            said.push(("data".to_owned(), Value::Bytes(reply.data.clone())));
        }
        return Ok(recognised.explained(address, vec![], said));
    }
    let told = match told(None, reply) {
        Ok(told) => told,
        Err(no) if no.code == error::DEVICE_SAYS_NO => {
            return Ok(recognised.explained(address, vec![], plain(note("error", no.detail))));
        }
        Err(closed) if closed.code == error::UNSUPPORTED => {
            return Ok(recognised.explained(address, vec![], plain(note("unread", closed.detail))));
        }
        Err(garbled) => return Err(garbled.detail),
    };
    let mut values = Values { extras: who(reply.address, &told), ..Values::default() };
    values.extras.insert(0, control);
    if values.take(&told)? {
        values.extras.push(("more follows".to_owned(), Value::Flag(true)));
    }
    Ok(recognised.explained(address, values.measurements, values.extras))
}

fn recognised(checks: &str, check_bits: u32, before: usize, after: usize) -> Recognised<'static> {
    Recognised { protocol: "M-Bus", checks: checks.to_owned(), check_bits, before, after }
}

fn note(name: &str, text: impl Into<String>) -> (String, Value) {
    (name.to_owned(), Value::Text(text.into()))
}

//! A captured telegram explained.

use crate::exchange::Reply;
use crate::opened::{identity, told};
use crate::radio;
use crate::read::{Values, who};
use polymeter_codec::Decoded;
use polymeter_codec::capture::{self, Captured, NoFrame};
use polymeter_codec::mbus::{Message, Telegram, decode, false_start, layer_ci, message};
use polymeter_driver::captured::Recognised;
use polymeter_driver::codes::error;
use polymeter_driver::{DriverError, Explanation, Extras, Value};

/// The first telegram, of a wire or of a radio. Encrypted records are not opened, for nobody gave a key;
/// who sent them is told.
pub fn explain(bytes: &[u8]) -> Result<Explanation, String> {
    if let Decoded::Frame { frame: Telegram::Ack, used } = decode(bytes)
        && used == bytes.len()
    {
        let said = vec![note("kind", "acknowledgement")];
        return Ok(recognised("E5H alone", 8, 0, 0).explained(String::new(), vec![], said));
    }
    let wired = match capture::first(bytes, told_of, false_start) {
        Ok(wired) if wired.before == 0 => return of_wire(wired),
        wired => wired,
    };
    let heard = capture::first(bytes, radio::heard, |_| 1);
    match (wired, heard) {
        (Ok(wired), Ok(heard)) if wired.before <= heard.before => of_wire(wired),
        (_, Ok(heard)) => radio::checked(heard.frame, heard.before, heard.after),
        (Ok(wired), Err(_)) => of_wire(wired),
        (Err(none), Err(heard)) => {
            radio::without_checksums(bytes).map_err(|why| match (none, heard) {
                (NoFrame::Cut { .. }, _) => none.to_string(),
                (_, NoFrame::Cut { .. }) => format!("wireless M-Bus {heard}"),
                _ => format!("{none}; as wireless M-Bus without checksums: {why}"),
            })
        }
    }
}

fn of_wire(found: Captured<Telegram<'_>>) -> Result<Explanation, String> {
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
    let known = identity(reply.into());
    let address = known.map_or_else(|| reply.address.to_string(), |who| who.to_string());
    let control = note("control", format!("{control:02X}"));
    let told = match told(None, reply.into()) {
        Ok(told) => told,
        Err(why) if why.code == error::GARBLED && !is_other(reply) => return Err(why.detail),
        Err(why) => {
            let mut said = vec![control, note("primary address", reply.address.to_string())];
            said.extend(unread(why, reply.ci, &reply.data));
            return Ok(recognised.explained(address, vec![], said));
        }
    };
    let mut values = Values { extras: who(reply.address, &told), ..Values::default() };
    values.extras.insert(0, control);
    if values.take(&told)? {
        values.extras.push(("more follows".to_owned(), Value::Flag(true)));
    }
    Ok(recognised.explained(address, values.measurements, values.extras))
}

/// The CI announces something that is no data of a device.
fn is_other(reply: &Reply) -> bool {
    matches!(message(reply.ci, &reply.data), Ok(Message::Other))
        && !(layer_ci::LINK_I..=layer_ci::AUTHENTICATION).contains(&reply.ci)
}

/// What is told of a message whose records are not.
pub fn unread(why: DriverError, ci: u8, data: &[u8]) -> Extras {
    match why.code {
        error::DEVICE_SAYS_NO => vec![note("error", why.detail)],
        error::UNSUPPORTED => vec![note("unread", why.detail)],
        _ => {
            let mut said = vec![note("CI", format!("{ci:02X}"))];
            if !matches!(message(ci, data), Ok(Message::Other)) {
                said.push(note("unread", why.detail));
            }
            if !data.is_empty() {
                said.push(("data".to_owned(), Value::Bytes(data.to_vec())));
            }
            said
        }
    }
}

fn recognised(checks: &str, check_bits: u32, before: usize, after: usize) -> Recognised<'static> {
    Recognised { protocol: "M-Bus", checks: checks.to_owned(), check_bits, before, after }
}

pub fn note(name: &str, text: impl Into<String>) -> (String, Value) {
    (name.to_owned(), Value::Text(text.into()))
}

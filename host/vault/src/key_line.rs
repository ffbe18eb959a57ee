//! What stands inside a sealed file: one line of text for each version of a key,
//! `VENDOR REGION LABEL VERSION KIND USE HEX`, region `-` where there is none, after a first line
//! `polymeter keys 1`.

use crate::kind::{Kind, Use};
use crate::name::{KeyId, Label};
use crate::secret::Secret;
use crate::soft::Key;
use polymeter_domain::{Region, VendorCode};
use zeroize::Zeroizing;

const FIRST: &[u8] = b"polymeter keys 1";
const NO_REGION: &str = "-";

/// One version of a key, with its bytes.
#[derive(Debug, Clone)]
pub struct KeyLine {
    pub id: KeyId,
    pub version: u32,
    pub usage: Use,
    pub key: Key,
}

/// `Err`: the number of the line that is not understood.
pub fn parsed(text: &[u8]) -> Result<Vec<KeyLine>, usize> {
    let mut lines = text.split(|&byte| byte == b'\n');
    if lines.next() != Some(FIRST) {
        return Err(1);
    }
    let mut keys = Vec::new();
    for (index, line) in lines.enumerate().filter(|(_, line)| !line.is_empty()) {
        keys.push(line_parsed(line).ok_or(index.saturating_add(2))?);
    }
    Ok(keys)
}

fn line_parsed(line: &[u8]) -> Option<KeyLine> {
    let (names, digits) = line.split_at(line.iter().rposition(|&byte| byte == b' ')?);
    let names = std::str::from_utf8(names).ok()?;
    let mut words = names.split(' ');
    let vendor = VendorCode::new(words.next()?).ok()?;
    let region = match words.next()? {
        NO_REGION => None,
        region => Some(Region::new(region).ok()?),
    };
    let label = Label::new(words.next()?)?;
    let version = words.next()?.parse().ok().filter(|&version| version > 0)?;
    let kind = Kind::from_word(words.next()?)?;
    let usage = Use::from_word(words.next()?)?;
    if words.next().is_some() {
        return None;
    }
    let key = Key::new(kind, Secret::from_hex(digits)?)?;
    Some(KeyLine { id: KeyId { vendor, region, label }, version, usage, key })
}

/// The same text again. Its room is there from the start, so that no copy is left behind.
pub fn rendered(keys: &[KeyLine]) -> Zeroizing<Vec<u8>> {
    const LINE_BYTES: usize = 320;
    let room = keys.len().saturating_add(1).saturating_mul(LINE_BYTES);
    let mut text = Zeroizing::new(Vec::with_capacity(room));
    text.extend(FIRST);
    text.push(b'\n');
    for KeyLine { id, version, usage, key } in keys {
        let region = id.region.as_ref().map_or(NO_REGION, Region::as_str);
        let (kind, usage) = (key.kind().word(), usage.word());
        let names = format!("{} {region} {} {version} {kind} {usage} ", id.vendor, id.label);
        text.extend(names.as_bytes());
        let mut digits = Zeroizing::new(vec![0; key.bytes().len() * 2]);
        // Twice the length is the length: it cannot fail.
        let written = hex::encode_to_slice(key.bytes().expose(), &mut digits);
        debug_assert!(written.is_ok());
        text.extend(digits.iter());
        text.push(b'\n');
    }
    text
}

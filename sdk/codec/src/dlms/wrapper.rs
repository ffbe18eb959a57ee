//! The wrapper that carries APDUs over TCP and UDP (IEC 62056-47, 7.3): version, two ports, length.

use crate::axdr::Writer;
use crate::{Decoded, NoRoom};

/// The registered port.
pub const PORT: u16 = 4059;
const HEADER: usize = 8;
const VERSION: u16 = 1;

/// One APDU and between whom it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wrapped<'a> {
    /// Who sent it: a client, or a logical device.
    pub source: u16,
    /// Who shall read it.
    pub destination: u16,
    /// The APDU, up to 65535 bytes.
    pub apdu: &'a [u8],
}

impl Wrapped<'_> {
    /// Writes header and APDU; returns their length.
    pub fn encode(&self, out: &mut [u8]) -> Result<usize, NoRoom> {
        let Ok(length) = u16::try_from(self.apdu.len()) else {
            return Err(NoRoom { needed: usize::MAX });
        };
        let mut writer = Writer::new(out);
        for word in [VERSION, self.source, self.destination, length] {
            writer.bytes(&word.to_be_bytes());
        }
        writer.bytes(self.apdu);
        writer.finish()
    }
}

/// Takes the APDU that begins `bytes`. A stream that does not begin with version 1 is garbled up to
/// the next byte that may begin it; over TCP there is no such thing, so a caller may well hang up.
///
/// ```
/// use polymeter_codec::Decoded;
/// use polymeter_codec::dlms::wrapper::decode;
///
/// let header = [0x00, 0x01, 0x00, 0x01, 0x00, 0x01, 0x00, 0x46];
/// assert_eq!(decode(&header), Decoded::NeedMore { at_least: 8 + 70 });
/// ```
pub fn decode(bytes: &[u8]) -> Decoded<Wrapped<'_>> {
    let version = VERSION.to_be_bytes();
    if bytes.iter().zip(version).any(|(byte, version)| *byte != version) {
        let next = bytes.iter().skip(1).position(|byte| *byte == 0);
        let skip = next.map_or(bytes.len(), |distance| distance.saturating_add(1));
        return Decoded::Garbled { skip };
    }
    let Some((&[_, _, a, b, c, d, e, f], rest)) = bytes.split_first_chunk::<HEADER>() else {
        return Decoded::NeedMore { at_least: HEADER };
    };
    let [source, destination, length] = [[a, b], [c, d], [e, f]].map(u16::from_be_bytes);
    let used = usize::from(length).saturating_add(HEADER);
    match rest.get(..usize::from(length)) {
        Some(apdu) => Decoded::Frame { frame: Wrapped { source, destination, apdu }, used },
        None => Decoded::NeedMore { at_least: used },
    }
}

//! The mark cell (标志单元) of a card: where a kind of card says whose it is. Where it stands, how long it
//! is and how it is written is the site's configuration, because every maker chose its own place.
//!
//! Invariant: reading a mark presents no code and changes nothing. Not here: what follows from it.

use polymeter_domain::{CardKind, VendorCode};
use polymeter_transport::{CardError, CardLease};
use std::collections::BTreeMap;

/// Where cards of one kind have their vendor's code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    pub kind: CardKind,
    pub place: Place,
    pub encoding: Encoding,
    /// What stands there and is no vendor code itself, with the vendor that it means.
    pub vendors: BTreeMap<String, VendorCode>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// Of a memory card, in bytes.
    Memory { offset: u32, length: u32 },
    /// Of a CPU card: the folders to select one after the other, the short file identifier, and where in
    /// that file (ISO/IEC 7816-4).
    File { select: Vec<u16>, file: u8, offset: u8, length: u8 },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    Ascii,
    /// Upper-case hexadecimal digits; also for BCD.
    Hex,
}

impl Mark {
    /// What stands in the mark cell; `None`: nothing, or nothing that is a mark.
    pub(super) async fn read(&self, lease: &mut CardLease) -> Result<Option<String>, CardError> {
        let bytes = match &self.place {
            Place::Memory { offset, length } => Some(lease.read(*offset, *length).await?),
            Place::File { select, file, offset, length } => {
                file_bytes(lease, select, *file, *offset, *length).await?
            }
        };
        Ok(bytes.and_then(|bytes| self.text(&bytes)))
    }

    fn text(&self, bytes: &[u8]) -> Option<String> {
        // As cards come from the factory.
        if bytes.iter().all(|byte| *byte == 0) || bytes.iter().all(|byte| *byte == 0xFF) {
            return None;
        }
        match self.encoding {
            Encoding::Hex => Some(bytes.iter().map(|byte| format!("{byte:02X}")).collect()),
            Encoding::Ascii => {
                let text = std::str::from_utf8(bytes).ok()?;
                let text = text.trim_matches(['\0', ' ']);
                text.bytes().all(|byte| byte.is_ascii_graphic()).then(|| text.to_owned())
            }
        }
    }

    /// Whose mark that is; `None`: no vendor code could be that.
    pub(super) fn vendor(&self, text: &str) -> Option<VendorCode> {
        self.vendors.get(text).cloned().or_else(|| VendorCode::new(text).ok())
    }
}

/// `None`: the card has no such file, or does not let it be read.
async fn file_bytes(
    lease: &mut CardLease,
    select: &[u16],
    file: u8,
    offset: u8,
    length: u8,
) -> Result<Option<Vec<u8>>, CardError> {
    for folder in select {
        let [high, low] = folder.to_be_bytes();
        let answer = lease.transmit(&[0x00, 0xA4, 0x00, 0x00, 0x02, high, low]).await?;
        // 61xx: the card has more to say of the folder, which nobody needs.
        if !matches!(answer.as_slice(), [.., 0x90, 0x00] | [.., 0x61, _]) {
            return Ok(None);
        }
    }
    let answer = lease.transmit(&[0x00, 0xB0, 0x80 | (file & 0x1F), offset, length]).await?;
    Ok(match answer.as_slice() {
        [bytes @ .., 0x90, 0x00] if bytes.len() == usize::from(length) => Some(bytes.to_vec()),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(encoding: Encoding) -> Mark {
        let place = Place::Memory { offset: 0, length: 4 };
        let vendors = [("0A01".to_owned(), VendorCode::new("NOVA").expect("a code"))].into();
        Mark { kind: CardKind::Sle4442, place, encoding, vendors }
    }

    #[test]
    fn a_mark_is_text_or_digits_and_an_empty_cell_is_none() {
        let ascii = mark(Encoding::Ascii);
        assert_eq!(ascii.text(b"ACME").as_deref(), Some("ACME"));
        assert_eq!(ascii.text(b"RDK\0").as_deref(), Some("RDK"));
        assert_eq!(ascii.text(b"A\x01ME"), None);
        assert_eq!(ascii.text(&[0x80, 0xFF, 1, 2]), None);
        for empty in [[0; 4], [0xFF; 4]] {
            assert_eq!(ascii.text(&empty), None);
            assert_eq!(mark(Encoding::Hex).text(&empty), None);
        }
        assert_eq!(mark(Encoding::Hex).text(&[0x0A, 0x01]).as_deref(), Some("0A01"));
    }

    #[test]
    fn a_mark_that_is_no_vendor_code_is_looked_up() {
        let hex = mark(Encoding::Hex);
        let vendor = |text| hex.vendor(text).map(|it| it.as_str().to_owned());
        assert_eq!(vendor("0A01").as_deref(), Some("NOVA"));
        assert_eq!(vendor("ACME").as_deref(), Some("ACME"));
        assert_eq!(vendor("acme"), None);
    }
}

//! `[[card-mark]]`: where cards of a kind have their vendor's code (标志单元), how long it is and how it
//! is written.
//!
//! Not here: reading it (service).

use super::checks::Checker;
use super::raw;
use polymeter_domain::CardKind;
use polymeter_service::{Mark, MarkEncoding, MarkPlace};
use std::collections::BTreeMap;

/// A vendor's code has at most 16 characters, and nobody writes it in more bytes than this.
const MOST_BYTES: u32 = 32;
/// A short file identifier (ISO/IEC 7816-4).
const MOST_FILE: u8 = 30;

impl Checker<'_> {
    pub(super) fn card_marks(&mut self, marks: &[raw::CardMark]) -> Vec<Mark> {
        marks.iter().filter_map(|mark| self.card_mark(mark)).collect()
    }

    fn card_mark(&mut self, mark: &raw::CardMark) -> Option<Mark> {
        let Some(kind) = CardKind::from_name(mark.kind.get_ref()) else {
            let known: Vec<&str> = CardKind::ALL.iter().map(|kind| kind.name()).collect();
            let what = format!("`{}` is no kind of card", mark.kind.get_ref());
            self.problem(&mark.kind, what, format!("write one of {}", known.join(", ")));
            return None;
        };
        let length = *mark.length.get_ref();
        if !(1..=MOST_BYTES).contains(&length) {
            let what = format!("a mark of {length} bytes");
            self.problem(&mark.length, what, format!("write 1 to {MOST_BYTES}"));
            return None;
        }
        let place = match kind {
            CardKind::Cpu | CardKind::Desfire => self.in_file(mark)?,
            _ => self.in_memory(mark)?,
        };
        let encoding = match mark.encoding {
            raw::MarkEncoding::Ascii => MarkEncoding::Ascii,
            raw::MarkEncoding::Hex => MarkEncoding::Hex,
        };
        let mut vendors = BTreeMap::new();
        for (text, vendor) in &mark.vendors {
            let Some(read) = as_read(text, encoding, length) else {
                let what = format!("`{text}` is no mark of {length} bytes");
                let fix = match encoding {
                    MarkEncoding::Ascii => format!("write 1 to {length} ASCII characters"),
                    MarkEncoding::Hex => format!("write {} hexadecimal digits", length * 2),
                };
                self.problem(vendor, what, fix);
                return None;
            };
            let vendor_code = self.vendor(vendor)?;
            if vendors.insert(read, vendor_code).is_some() {
                let what = format!("the mark `{text}` stands here twice");
                self.problem(vendor, what, "take one of the two out".to_owned());
            }
        }
        Some(Mark { kind, place, encoding, vendors })
    }

    fn in_memory(&mut self, mark: &raw::CardMark) -> Option<MarkPlace> {
        if mark.file.is_some() || !mark.select.is_empty() {
            let what = format!("a {} card has no files", mark.kind.get_ref());
            self.problem(&mark.kind, what, "leave select and file out".to_owned());
            return None;
        }
        Some(MarkPlace::Memory { offset: *mark.offset.get_ref(), length: *mark.length.get_ref() })
    }

    fn in_file(&mut self, mark: &raw::CardMark) -> Option<MarkPlace> {
        let Some(file) = &mark.file else {
            let what = format!("a mark of a {} card stands in a file", mark.kind.get_ref());
            self.problem(&mark.kind, what, "write file = 5, its short identifier".to_owned());
            return None;
        };
        if !(1..=MOST_FILE).contains(file.get_ref()) {
            let what = format!("{} is no short file identifier", file.get_ref());
            self.problem(file, what, format!("write 1 to {MOST_FILE}"));
            return None;
        }
        let Ok(offset) = u8::try_from(*mark.offset.get_ref()) else {
            let what = "beyond what a file can be asked for by its short identifier".to_owned();
            self.problem(&mark.offset, what, "write 0 to 255".to_owned());
            return None;
        };
        let mut select = Vec::new();
        for folder in &mark.select {
            match u16::from_str_radix(folder.get_ref(), 16) {
                Ok(id) if folder.get_ref().len() == 4 => select.push(id),
                _ => {
                    let what = format!("`{}` is no file identifier", folder.get_ref());
                    self.problem(folder, what, "write four hexadecimal digits".to_owned());
                    return None;
                }
            }
        }
        let length = u8::try_from(*mark.length.get_ref()).ok()?;
        Some(MarkPlace::File { select, file: *file.get_ref(), offset, length })
    }
}

/// As it will be read off a card: the digits in capitals without the blanks between them. `None`: no
/// cell of so many bytes ever holds that.
fn as_read(text: &str, encoding: MarkEncoding, length: u32) -> Option<String> {
    let length = usize::try_from(length).ok()?;
    match encoding {
        MarkEncoding::Hex => {
            let digits: String = text.split_whitespace().collect();
            let fits = digits.len() == length.saturating_mul(2)
                && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
            fits.then(|| digits.to_ascii_uppercase())
        }
        MarkEncoding::Ascii => {
            let fits = (1..=length).contains(&text.len())
                && text.bytes().all(|letter| letter.is_ascii_graphic());
            fits.then(|| text.to_owned())
        }
    }
}

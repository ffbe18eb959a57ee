//! Text from a driver, made fit for a log, a terminal and a page.
//!
//! Invariant: what comes out has no control character and no invisible direction mark in it, so it
//! can neither repaint a terminal nor forge a line, and its length is bounded.

/// At most `most` bytes of `text` (and a mark where it was cut), dangerous characters escaped.
pub(crate) fn printable(text: &str, most: usize) -> String {
    let mut out = String::with_capacity(text.len().min(most));
    for character in text.chars() {
        let start = out.len();
        if is_dangerous(character) {
            out.extend(character.escape_default());
        } else {
            out.push(character);
        }
        if out.len() > most {
            out.truncate(start);
            out.push('…');
            break;
        }
    }
    out
}

/// Controls, line separators and the marks that turn the reading direction (Unicode 15, table of
/// `Bidi_Control`).
fn is_dangerous(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{2028}' | '\u{2029}'
            | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::printable;

    #[test]
    fn a_drivers_text_cannot_forge_or_flood() {
        for (text, most, shown) in [
            ("plain 电表", 64, "plain 电表"),
            ("red\u{1b}[31m\r\nERROR forged", 64, "red\\u{1b}[31m\\r\\nERROR forged"),
            ("a\u{202e}b", 64, "a\\u{202e}b"),
            ("abcdef", 4, "abcd…"),
            ("电表电表", 7, "电表…"),
            ("abc\n", 4, "abc…"),
            ("", 4, ""),
        ] {
            assert_eq!(printable(text, most), shown, "{text:?}");
        }
    }
}

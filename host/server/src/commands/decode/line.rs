//! One line of a capture file as bytes: what loggers write before and behind them is told apart.
//!
//! Invariant: any text is taken; nothing is guessed about protocols. Not here: what the bytes mean.

/// Stamps are written with at least so many digits.
const STAMP_DIGITS_MIN: usize = 6;

/// The bytes of a line, and the words before them, e.g. a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logged {
    pub note: String,
    pub bytes: Vec<u8>,
}

/// `None`: an empty line or a comment, which begins with `#`, `;` or `//`. Receivers of radio write
/// fields, of which the last one is `;0x..`: it alone is bytes. Elsewhere the bytes are the longest
/// run of hexadecimal words; `FE68`, `FE 68`, `0xFE,0x68`, `FEh 68h` and, as the last word,
/// `FE:68:10` or `FE-68-10` are such. Where bytes stand in pairs, a long decimal word before them is
/// part of a stamp.
pub fn read(line: &str) -> Result<Option<Logged>, String> {
    let (fields, last) = fields(line);
    let comment = ["#", ";", "//"].into_iter().filter_map(|mark| last.find(mark)).min();
    let said = comment.map_or(last, |at| &last[..at]);
    let words: Vec<&str> = said
        .split(|sign: char| sign.is_whitespace() || sign == ',')
        .filter(|word| !word.is_empty())
        .collect();
    if words.is_empty() {
        return Ok(None);
    }
    let Some((mut first, last)) = longest(&words) else {
        return Err("there are no hexadecimal bytes in it".to_owned());
    };
    first += stamps(&words[first..last]);
    let bytes = words[first..last].iter().enumerate();
    let bytes = bytes.flat_map(|(at, word)| hexadecimal(word, first + at + 1 == words.len()));
    let note = fields.into_iter().chain(words[..first].iter().copied()).collect::<Vec<_>>();
    Ok(Some(Logged { note: note.join(" "), bytes: bytes.flatten().collect() }))
}

/// The fields before the one that is bytes, and that one; none where there is no such line.
fn fields(line: &str) -> (Vec<&str>, &str) {
    match line.rsplit_once(";0x") {
        Some((before, _)) if !before.contains('#') && !before.contains("//") => {
            (before.split(';').map(str::trim).collect(), &line[before.len() + 1..])
        }
        _ => (Vec::new(), line),
    }
}

/// How many words at the beginning of a run of bytes are no bytes: long decimal ones before pairs.
fn stamps(run: &[&str]) -> usize {
    let is_pair = |word: &&str| digits(word).len() == 2;
    let leading = run.iter().take_while(|word| !is_pair(word)).count();
    let (before, pairs) = run.split_at(leading);
    let is_stamp = |word: &&str| {
        word.len() >= STAMP_DIGITS_MIN && word.bytes().all(|byte| byte.is_ascii_digit())
    };
    let told_apart = !pairs.is_empty() && pairs.iter().all(is_pair) && before.iter().all(is_stamp);
    if told_apart { leading } else { 0 }
}

/// From the first to behind the last word of the longest run of bytes; of two the later one.
fn longest(words: &[&str]) -> Option<(usize, usize)> {
    let (mut best, mut best_bytes) = (None, 0);
    let (mut begun, mut run_bytes) = (0, 0);
    for (at, word) in words.iter().enumerate() {
        match hexadecimal(word, at + 1 == words.len()) {
            None => (begun, run_bytes) = (at + 1, 0),
            Some(bytes) => {
                run_bytes += bytes.len();
                if run_bytes >= best_bytes {
                    (best, best_bytes) = (Some((begun, at + 1)), run_bytes);
                }
            }
        }
    }
    best
}

/// Without the marks that say that it is hexadecimal.
fn digits(word: &str) -> &str {
    let bare = word.strip_prefix("0x").or_else(|| word.strip_prefix("0X")).unwrap_or(word);
    let marked = bare.len() == 3 && bare.is_ascii();
    bare.strip_suffix(['h', 'H']).filter(|_| marked).unwrap_or(bare)
}

/// Pairs with colons or hyphens may be a time or a date, but for the last word of a line.
fn hexadecimal(word: &str, is_last: bool) -> Option<Vec<u8>> {
    let plain = digits(word);
    if plain.is_empty() {
        return None;
    }
    if let Ok(bytes) = hex::decode(plain) {
        return Some(bytes);
    }
    let mut pieces = plain.split([':', '-']);
    let pairs = is_last && pieces.all(|piece| piece.len() == 2);
    if !pairs {
        return None;
    }
    hex::decode(plain.replace([':', '-'], "")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, expected: Result<Option<(&str, &[u8])>, &str>) {
        let given = read(line);
        let given = given.as_ref().map(|logged| {
            logged.as_ref().map(|logged| (logged.note.as_str(), logged.bytes.as_slice()))
        });
        assert_eq!(given.map_err(String::as_str), expected, "{line}");
    }

    #[test]
    fn bytes_are_found_behind_what_loggers_write() {
        let some: &[u8] = &[0xFE, 0x68, 0x16];
        for line in [
            "FE6816",
            "fe 68 16",
            "0xFE, 0x68, 0x16",
            "FEh 68H 16h",
            "FE:68:16",
            "FE-68-16 # a comment 01 02 03 04",
            "FE 68 16 // another",
        ] {
            check(line, Ok(Some(("", some))));
        }
        for (line, note) in [
            ("2026-11-26 04:15:13.123 RX FE 68 16", "2026-11-26 04:15:13.123 RX"),
            ("[04:15:13] <- FE 68 16", "[04:15:13] <-"),
            ("04:15:13 FE 68 16", "04:15:13"),
            ("04:15:13 FE:68:16", "04:15:13"),
            ("20261126 041513 FE 68 16", "20261126 041513"),
            ("1764130513.25,FE6816", "1764130513.25"),
            ("12 bytes: FE 68 16 |.h.|", "12 bytes:"),
        ] {
            check(line, Ok(Some((note, some))));
        }
    }

    #[test]
    fn a_line_without_bytes_is_nothing_or_told() {
        for line in ["", "  ", "# FE 68", "; FE", "//FE"] {
            check(line, Ok(None));
        }
        let told = Err("there are no hexadecimal bytes in it");
        for line in ["connected", "2026-11-26 04:15:13.123", "FE6", "0x", "表"] {
            check(line, told);
        }
        // A slip among the bytes cuts them, and no check of a frame will hold.
        check(
            "T1;1;1;2026-11-26 04:15:13.000;97;148;88888888;0xFE68",
            Ok(Some(("T1 1 1 2026-11-26 04:15:13.000 97 148 88888888", &[0xFE, 0x68]))),
        );
        check("# T1;0xFE68", Ok(None));
        check("T1;0xFE6", told);
        check("FE68 ;0 a comment", Ok(Some(("", &[0xFE, 0x68]))));
        check("FE 68 0G 10 16 20", Ok(Some(("FE 68 0G", &[0x10, 0x16, 0x20]))));
    }
}

//! The texts of single values: one form of each, read and written here alone.
//!
//! Invariant: what is written has no line break, no control character and no mark that turns the
//! reading direction in it; a word has no blank. So a device's own text can forge no line.

use crate::content::Content;
use crate::value::{Credit, Decimal, Diversification, Key, LocalTime, Value};
use std::fmt;

/// Text that is not what its place asks for; says what.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ReadError(pub String);

impl ReadError {
    pub(crate) fn because<T>(problem: impl Into<String>) -> Result<T, ReadError> {
        Err(ReadError(problem.into()))
    }
}

/// A piece of a line: what could break the line, and the escape's own mark, are escaped.
pub(crate) fn piece(text: &str) -> String {
    escaped(text, |_| false)
}

/// A word of a line: no blank, nor what parts a name from its value or a key from its path.
pub(crate) fn word(text: &str) -> String {
    escaped(text, |sign| sign.is_whitespace() || matches!(sign, '=' | '/' | '"'))
}

/// The rest of a line: survives trimming, and has no `#` that would begin a comment.
pub(crate) fn rest(text: &str) -> String {
    let last = text.chars().count().saturating_sub(1);
    let mut index = 0;
    escaped(text, |sign| {
        let edge = index == 0 || index == last;
        index += 1;
        sign == '#' || (sign.is_whitespace() && (edge || sign != ' '))
    })
}

fn escaped(text: &str, mut also: impl FnMut(char) -> bool) -> String {
    let mut out = String::with_capacity(text.len());
    for sign in text.chars() {
        let also = also(sign);
        if sign == '\\' || is_dangerous(sign) {
            out.extend(sign.escape_default());
        } else if also {
            out.extend(sign.escape_unicode());
        } else {
            out.push(sign);
        }
    }
    out
}

/// Controls, line separators and the marks that turn the reading direction (Unicode 15, table of
/// `Bidi_Control`).
fn is_dangerous(sign: char) -> bool {
    sign.is_control()
        || matches!(sign,
            '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{2028}' | '\u{2029}'
            | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

pub(crate) fn unescaped(text: &str) -> Result<String, ReadError> {
    let mut out = String::with_capacity(text.len());
    let mut left = text.chars();
    while let Some(sign) = left.next() {
        if sign != '\\' {
            out.push(sign);
            continue;
        }
        out.push(match left.next() {
            Some('\\') => '\\',
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some('u') => {
                let found = left.as_str().strip_prefix('{').and_then(|rest| rest.split_once('}'));
                let Some((digits, rest)) = found else {
                    return ReadError::because("`\\u` is followed by {hex}");
                };
                left = rest.chars();
                u32::from_str_radix(digits, 16)
                    .ok()
                    .and_then(char::from_u32)
                    .ok_or_else(|| ReadError(format!("`\\u{{{digits}}}` is no character")))?
            }
            _ => return ReadError::because("`\\` is followed by \\, n, r, t or u{hex}"),
        });
    }
    Ok(out)
}

pub(crate) fn bytes(text: &str) -> Result<Vec<u8>, ReadError> {
    let digits: String = text.split_whitespace().collect();
    hex::decode(&digits).map_err(|_| ReadError(format!("`{text}` is not bytes in hex")))
}

pub(crate) fn spaced(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(" ")
}

/// Hex, or `masked:<length>:<digest>`.
pub(crate) fn content(text: &str) -> Result<Content, ReadError> {
    let Some(rest) = text.trim().strip_prefix("masked:") else {
        return Ok(Content::Plain(bytes(text)?));
    };
    let (length, digest) = rest
        .split_once(':')
        .ok_or_else(|| ReadError(format!("`{text}` is not masked:length:digest")))?;
    let digest = bytes(digest)?
        .try_into()
        .map_err(|_| ReadError(format!("`{digest}` is not a digest of 8 bytes")))?;
    Ok(Content::Masked { length: number(length)?, digest })
}

pub(crate) fn content_text(content: &Content) -> String {
    match content {
        Content::Plain(bytes) => hex::encode(bytes),
        Content::Masked { length, digest } => format!("masked:{length}:{}", hex::encode(digest)),
    }
}

pub(crate) fn number<T: std::str::FromStr>(text: &str) -> Result<T, ReadError> {
    text.parse().map_err(|_| ReadError(format!("`{text}` is not a number that fits here")))
}

/// What stands behind `name=`.
pub(crate) fn named<'a>(name: &str, word: &'a str) -> Result<&'a str, ReadError> {
    let value = word.strip_prefix(name).and_then(|rest| rest.strip_prefix('='));
    value.ok_or_else(|| ReadError(format!("`{name}=` is expected in place of `{word}`")))
}

/// How a key without a label is written.
const NO_LABEL: &str = "\"\"";

/// `label`, then `/algorithm:factor` for each derivation.
pub(crate) fn vault_key(text: &str) -> Result<Key, ReadError> {
    let mut parts = text.split('/');
    let label = match parts.next().unwrap_or_default() {
        NO_LABEL => String::new(),
        label => unescaped(label)?,
    };
    let path = parts.map(|part| {
        let Some((algorithm, factor)) = part.split_once(':') else {
            return ReadError::because("a derivation is algorithm:factor");
        };
        Ok(Diversification { algorithm: number(algorithm)?, factor: bytes(factor)? })
    });
    Ok(Key { label, path: path.collect::<Result<_, _>>()? })
}

pub(crate) fn key_text(key: &Key) -> String {
    let mut written = if key.label.is_empty() { NO_LABEL.to_owned() } else { word(&key.label) };
    for step in &key.path {
        written += &format!("/{}:{}", step.algorithm, hex::encode(&step.factor));
    }
    written
}

/// `2026-03-02T10:11:12`
pub(crate) fn time(text: &str) -> Result<LocalTime, ReadError> {
    let parts: Vec<&str> = text.split(['-', 'T', ':']).collect();
    let [year, month, day, hour, minute, second] = parts.as_slice() else {
        return ReadError::because(format!("`{text}` is not a time like 2026-03-02T10:11:12"));
    };
    Ok(LocalTime {
        year: number(year)?,
        month: number(month)?,
        day: number(day)?,
        hour: number(hour)?,
        minute: number(minute)?,
        second: number(second)?,
    })
}

impl fmt::Display for LocalTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let LocalTime { year, month, day, hour, minute, second } = self;
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")
    }
}

/// `credit.quantity` by the names it has in a transcript; others stand as their number.
const QUANTITIES: [(u16, &str); 3] = [(1, "money"), (2, "energy"), (3, "volume")];

/// `money:5000`, `energy:186`, `volume:5`
pub(crate) fn credit(text: &str) -> Result<Credit, ReadError> {
    let Some((name, amount)) = text.split_once(':') else {
        return ReadError::because(format!("`{text}` is not a credit like money:5000"));
    };
    let known = QUANTITIES.iter().find(|(_, known)| *known == name).map(|(code, _)| *code);
    let quantity = known.map_or_else(|| number(name), Ok)?;
    Ok(Credit { quantity, amount: number(amount)? })
}

pub(crate) fn credit_text(credit: &Credit) -> String {
    let Credit { quantity, amount } = credit;
    match QUANTITIES.iter().find(|(code, _)| code == quantity) {
        Some((_, name)) => format!("{name}:{amount}"),
        None => format!("{quantity}:{amount}"),
    }
}

/// The typed form of a value.
pub(crate) fn value(text: &str) -> Result<Value, ReadError> {
    let Some((kind, rest)) = text.split_once(':') else {
        return ReadError::because(format!("`{text}` has no type, as in text:{text}"));
    };
    match kind {
        "number" => {
            let (mantissa, scale) = rest.split_once('e').unwrap_or((rest, "0"));
            let decimal = Decimal { mantissa: number(mantissa)?, scale: number(scale)? };
            Ok(Value::Number(decimal))
        }
        "text" => Ok(Value::Text(rest.to_owned())),
        "flag" => Ok(Value::Flag(number(rest)?)),
        "bytes" => Ok(Value::Bytes(bytes(rest)?)),
        "time" => Ok(Value::Time(time(rest)?)),
        _ => ReadError::because(format!("`{kind}` is no type of value")),
    }
}

/// A value in its typed form, e.g. `number:186e-2`; a text in it as it is.
pub fn value_text(value: &Value) -> String {
    match value {
        Value::Number(Decimal { mantissa, scale: 0 }) => format!("number:{mantissa}"),
        Value::Number(Decimal { mantissa, scale }) => format!("number:{mantissa}e{scale}"),
        Value::Text(text) => format!("text:{text}"),
        Value::Flag(flag) => format!("flag:{flag}"),
        Value::Bytes(bytes) => format!("bytes:{}", hex::encode(bytes)),
        Value::Time(time) => format!("time:{time}"),
    }
}

//! A HALO frame as text: `:` address (6 digits), a letter, data, `*`, the XOR of all of these in two
//! hex digits, CR LF. Not here: what the letters mean.

/// One frame that is whole and whose checksum is right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    pub address: String,
    pub letter: char,
    pub data: String,
}

/// The longest line that a meter sends, with room for noise before it.
pub const LINE_BYTES: usize = 128;

pub fn encode(address: &str, letter: char, data: &str) -> Vec<u8> {
    let body = format!("{address}{letter}{data}");
    format!(":{body}*{:02X}\r\n", checksum(body.as_bytes())).into_bytes()
}

/// The frame that a line ends with; what stands before its `:` is noise. `None`: there is none, or it
/// was spoiled on the way.
pub fn decode(line: &[u8]) -> Option<Frame> {
    let text =
        std::str::from_utf8(line.get(line.iter().rposition(|byte| *byte == b':')?..)?).ok()?;
    let (body, check) = text.strip_prefix(':')?.strip_suffix("\r\n")?.rsplit_once('*')?;
    if check != format!("{:02X}", checksum(body.as_bytes())) {
        return None;
    }
    let (address, rest) = body.split_at_checked(6)?;
    let letter = rest.chars().next()?;
    let whole = address.bytes().all(|byte| byte.is_ascii_digit()) && letter.is_ascii_alphabetic();
    let data = rest.strip_prefix(letter)?.to_owned();
    whole.then(|| Frame { address: address.to_owned(), letter, data })
}

/// The numbers of a reply's data, comma between them, each of the digits that the protocol says.
pub fn numbers<const N: usize>(data: &str, digits: [usize; N]) -> Option<[u64; N]> {
    let mut parts = data.split(',');
    let mut numbers = [0; N];
    for (number, digits) in numbers.iter_mut().zip(digits) {
        let part = parts.next().filter(|part| part.len() == digits)?;
        *number = part.bytes().all(|byte| byte.is_ascii_digit()).then(|| part.parse().ok())??;
    }
    parts.next().is_none().then_some(numbers)
}

fn checksum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |sum, byte| sum ^ byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_read_back_and_a_spoiled_one_is_not() {
        let line = encode("123456", 's', "00018,00078500");
        let frame =
            Frame { address: "123456".to_owned(), letter: 's', data: "00018,00078500".to_owned() };
        assert_eq!(decode(&line), Some(frame.clone()));
        assert_eq!(decode(&[b"\xFF:1".as_slice(), &line].concat()), Some(frame), "noise before it");
        for length in 0..line.len() {
            assert_eq!(decode(&line[..length]), None, "cut to {length}");
        }
        for byte in 0..line.len() {
            let mut spoiled = line.clone();
            spoiled[byte] ^= 0x10;
            assert_eq!(decode(&spoiled), None, "byte {byte}");
        }
    }

    #[test]
    fn numbers_have_their_digits() {
        assert_eq!(numbers("00018,00078500", [5, 8]), Some([18, 78500]));
        for wrong in
            ["18,00078500", "00018", "00018,00078500,0", "0001x,00078500", "+0018,00078500"]
        {
            assert_eq!(numbers(wrong, [5, 8]), None, "{wrong}");
        }
    }
}

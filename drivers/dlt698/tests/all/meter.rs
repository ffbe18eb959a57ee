//! A DL/T 698.45 meter on a line, written from the standard and not from the codec: it reads a
//! question byte by byte, and writes its answer with a check of its own.

use polymeter_driver::codes::line;
use polymeter_driver::{Host, LineError};
use std::collections::VecDeque;

/// CRC-16 of ISO/IEC 13239, by long division.
fn check(bytes: &[u8]) -> [u8; 2] {
    let mut register = 0xFFFF_u32;
    for byte in bytes {
        for bit in 0..8 {
            let carry = (register ^ u32::from(byte >> bit)) & 1;
            register = register >> 1 ^ if carry == 1 { 0x8408 } else { 0 };
        }
    }
    let register = register ^ 0xFFFF;
    [u8::try_from(register & 0xFF).unwrap(), u8::try_from(register >> 8).unwrap()]
}

/// A frame around an APDU: 12 digits of address, low pair first.
pub fn frame(control: u8, kind: u8, address: &str, client: u8, apdu: &[u8]) -> Vec<u8> {
    let mut bytes = hex::decode(address).unwrap();
    bytes.reverse();
    let length = u8::try_from(2 + 1 + 1 + 6 + 1 + 2 + apdu.len() + 2);
    let head =
        [&[length.unwrap_or(0xFF), 0, control, kind << 6 | 5][..], &bytes, &[client]].concat();
    let body = match length {
        Ok(_) => [&head[..], &check(&head), apdu].concat(),
        Err(_) => {
            let length = u16::try_from(15 + apdu.len()).unwrap().to_le_bytes();
            let head = [&length[..], &head[2..]].concat();
            [&head[..], &check(&head), apdu].concat()
        }
    };
    [&[0x68][..], &body, &check(&body), &[0x16]].concat()
}

/// What the meter holds.
#[derive(Clone)]
pub struct Meter {
    pub address: String,
    pub money_fen: u32,
    pub count: u32,
    /// Status word 3: 4 relay open, 6 told to open, 12 protected.
    pub open: bool,
    pub told_to_open: bool,
    pub protected: bool,
    /// What it says to commands: 0 does them, anything else is its reason.
    pub refuses: u8,
    /// `date_time_s`, without its type.
    pub clock: Vec<u8>,
    /// Answers longer than this come in parts.
    pub part_bytes: usize,
}

impl Meter {
    pub fn new(address: &str) -> Meter {
        Meter {
            address: address.to_owned(),
            money_fen: 12_345,
            count: 7,
            open: false,
            told_to_open: false,
            protected: false,
            refuses: 0,
            clock: vec![0x07, 0xEA, 11, 26, 2, 15, 0],
            part_bytes: 1_000,
        }
    }

    /// The value of an attribute, with its type.
    fn value(&self, attribute: u32) -> Option<Vec<u8>> {
        let double = |numbers: &[u32]| {
            let elements = numbers.iter().flat_map(|n| [&[0x06][..], &n.to_be_bytes()].concat());
            [vec![0x01, u8::try_from(numbers.len()).unwrap()], elements.collect()].concat()
        };
        Some(match attribute {
            0x0010_0200 => double(&[123_456, 10_000, 20_000, 30_000, 63_456]),
            0x0020_0200 => double(&[0, 0, 0, 0, 0]),
            0x2000_0200 => vec![0x01, 3, 0x12, 0x09, 0x29, 0x12, 0x09, 0x33, 0x00],
            0x2001_0200 => {
                vec![0x01, 3, 5, 0, 0, 0x13, 0x88, 5, 0xFF, 0xFF, 0xFC, 0x18, 5, 0, 0, 0, 0]
            }
            0x2004_0200 => vec![0x01, 1, 5, 0, 0, 0x2B, 0x67],
            0x200A_0200 => vec![0x01, 1, 0x10, 0x03, 0xE7],
            0x200F_0200 => vec![0x12, 0x13, 0x87],
            0x2014_0200 => {
                // Bit 0 is sent first.
                let bits = [(4, self.open), (6, self.told_to_open), (12, self.protected)];
                let word = bits.into_iter().filter(|(_, set)| *set);
                let word = word.fold(0_u16, |word, (bit, _)| word | 0x8000 >> bit).to_be_bytes();
                let mut words = vec![0x01, 7];
                for nth in 1..=7 {
                    words.extend([0x04, 16]);
                    words.extend(if nth == 3 { word } else { [0, 0] });
                }
                words
            }
            0x202C_0200 => {
                let (money, count) = (self.money_fen.to_be_bytes(), self.count.to_be_bytes());
                [&[0x02, 2, 0x06][..], &money, &[0x06], &count].concat()
            }
            0x4000_0200 => [&[0x1C][..], &self.clock].concat(),
            0x4001_0200 => [&[0x09, 6][..], &hex::decode(&self.address).unwrap()].concat(),
            _ => return None,
        })
    }

    fn result(&self, attribute: &[u8]) -> Vec<u8> {
        let number = u32::from_be_bytes(attribute.try_into().unwrap());
        let result = match self.value(number) {
            Some(value) => [vec![1], value].concat(),
            None => vec![0, 6],
        };
        [attribute, &result].concat()
    }

    /// The answer to an APDU; none to what it does not know.
    fn answer(&mut self, apdu: &[u8]) -> Option<Vec<u8>> {
        let piid = *apdu.get(2)?;
        let rest = apdu.get(3..apdu.len() - 1)?;
        let body = match apdu.get(..2)? {
            [0x05, 0x01] => [&[0x85, 0x01, piid][..], &self.result(rest)].concat(),
            [0x05, 0x02] => {
                let results = rest.get(1..)?.chunks(4).flat_map(|oad| self.result(oad));
                [vec![0x85, 0x02, piid, rest[0]], results.collect()].concat()
            }
            // SET: attribute, then the value with its type.
            [0x06, 0x01] => {
                let (attribute, value) = rest.split_at_checked(4)?;
                let refusal = match (self.refuses, attribute, value) {
                    (0, [0x40, 0x00, 0x02, 0x00], [0x1C, time @ ..]) if time.len() == 7 => {
                        self.clock = time.to_vec();
                        0
                    }
                    (0, [0x40, 0x00, 0x02, 0x00], _) => 7,
                    (0, ..) => 4,
                    (refuses, ..) => refuses,
                };
                [&[0x86, 0x01, piid][..], attribute, &[refusal]].concat()
            }
            [0x07, 0x01] => {
                let method = rest.get(..4)?;
                if self.refuses == 0 {
                    self.act(method, rest.get(4..)?);
                }
                [&[0x87, 0x01, piid][..], method, &[self.refuses, 0]].concat()
            }
            _ => return None,
        };
        Some([&body[..], &[0, 0]].concat())
    }

    fn act(&mut self, method: &[u8], argument: &[u8]) {
        match method {
            [0x80, 0x00, 0x81, 0x00] if !self.protected => {
                (self.open, self.told_to_open) = (true, true);
            }
            [0x80, 0x00, 0x82, 0x00] => {
                self.told_to_open = false;
                self.open &= argument.last() != Some(&1);
            }
            [0x80, 0x01, 0x7F, 0x00] => self.protected = true,
            [0x80, 0x01, 0x80, 0x00] => self.protected = false,
            _ => {}
        }
    }
}

/// A line with meters on it, and what is done to their answers.
pub struct Line {
    pub meters: Vec<Meter>,
    /// Questions sent, confirmations not counted.
    pub sent: u32,
    /// Answers come one after the other instead of over each other.
    pub in_turn: bool,
    /// How many bytes one `receive` brings at most.
    pub piece: usize,
    /// What happens to every answer before it comes.
    pub spoil: fn(u32, Vec<u8>) -> Vec<u8>,
    /// Bytes that are to come.
    pub heard: VecDeque<u8>,
    /// Parts of an answer that wait for a confirmation.
    pub parts: VecDeque<Vec<u8>>,
    /// Every step as a transcript writes it.
    pub steps: Vec<String>,
}

impl Line {
    pub fn of(meters: Vec<Meter>) -> Line {
        Line {
            meters,
            sent: 0,
            in_turn: true,
            piece: 4_096,
            spoil: |_, bytes| bytes,
            heard: VecDeque::new(),
            parts: VecDeque::new(),
            steps: Vec::new(),
        }
    }

    fn ask(&mut self, bytes: &[u8]) {
        let start = bytes.iter().position(|byte| *byte != 0xFE).unwrap();
        let bytes = &bytes[start..];
        assert_eq!((bytes[0], bytes[bytes.len() - 1]), (0x68, 0x16), "a frame");
        let (body, tail) = bytes[1..bytes.len() - 1].split_at(bytes.len() - 4);
        assert_eq!(check(body), tail, "its check");
        let (control, kind, client) = (body[2], body[3] >> 6, body[10]);
        let asked: Vec<u8> = body[4..10].iter().rev().copied().collect();
        let asked = hex::encode_upper(asked);
        let apdu = &body[13..];
        if control & 0x20 != 0 {
            // A part is confirmed: the next one comes.
            assert_eq!((kind, apdu[1] >> 6), (0, 2), "a confirmation");
            if let Some(part) = self.parts.pop_front() {
                self.heard.extend(part);
            }
            return;
        }
        self.sent += 1;
        let mut answers: Vec<Vec<u8>> = Vec::new();
        for meter in &mut self.meters {
            let same = |(ours, theirs): (char, char)| ours == theirs || (kind == 1 && ours == 'A');
            if !asked.chars().zip(meter.address.chars()).all(same) {
                continue;
            }
            let Some(apdu) = meter.answer(apdu) else { continue };
            let parts: Vec<&[u8]> = apdu.chunks(meter.part_bytes).collect();
            if parts.len() == 1 {
                answers.push(frame(0xC3, 0, &meter.address, client, &apdu));
                continue;
            }
            for (nth, part) in parts.iter().enumerate() {
                let place = match nth {
                    0 => 0x00,
                    _ if nth + 1 == parts.len() => 0x40,
                    _ => 0xC0,
                };
                let numbered = [&[u8::try_from(nth).unwrap(), place][..], part].concat();
                self.parts.push_back(frame(0xE3, 0, &meter.address, client, &numbered));
            }
            answers.extend(self.parts.pop_front());
        }
        let answers: Vec<Vec<u8>> =
            answers.into_iter().map(|bytes| (self.spoil)(self.sent, bytes)).collect();
        if self.in_turn {
            answers.into_iter().for_each(|bytes| self.heard.extend(bytes));
        } else {
            let longest = answers.iter().map(Vec::len).max().unwrap_or(0);
            let over =
                |at: usize| answers.iter().filter_map(|bytes| bytes.get(at)).fold(0, |a, b| a ^ b);
            self.heard.extend((0..longest).map(over));
        }
    }
}

fn spaced(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(" ")
}

impl Host for Line {
    fn send(&mut self, bytes: &[u8]) -> Result<(), LineError> {
        self.heard.clear();
        self.steps.push(format!("> {}", spaced(bytes)));
        self.ask(bytes);
        Ok(())
    }

    fn receive(&mut self, _: u32) -> Result<Vec<u8>, LineError> {
        let length = self.piece.min(self.heard.len());
        let bytes: Vec<u8> = self.heard.drain(..length).collect();
        if bytes.is_empty() {
            self.steps.push("< (silence)".to_owned());
            return Err(LineError { code: line::SILENT, detail: "silence".to_owned() });
        }
        self.steps.push(format!("< {}", spaced(&bytes)));
        Ok(bytes)
    }

    polymeter_replay::no_vault!();
}

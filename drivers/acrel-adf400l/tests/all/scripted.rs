//! A box as a line sees it: registers, a purse that follows its counts, one fault for one reply.
//! Written from the register map of the manual, not from the driver's.

use polymeter_codec::modbus::crc16;
use polymeter_driver::{Call, Host, LineError, LocalTime, codes};
use std::collections::{BTreeMap, VecDeque};

/// What happens to a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    None,
    /// The request is carried out, its reply is lost.
    ReplyLost,
    /// The request never arrives.
    RequestLost,
    Cut,
    FlippedBit,
    OtherUnit,
    OtherFunction,
    /// Noise before and after the reply.
    Noise,
    /// The reply comes in pieces.
    Pieces,
    /// Another unit's reply comes first.
    OtherUnitFirst,
    Exception(u8),
}

#[derive(Debug)]
pub struct Box {
    pub registers: BTreeMap<u16, u16>,
    pub purchases: Vec<[u16; 10]>,
    /// The fault for the n-th request, from 0; all others go well.
    pub fault: (usize, Fault),
    pub requests: Vec<Vec<u8>>,
    replies: VecDeque<Vec<u8>>,
}

pub const UNIT: u8 = 5;

impl Box {
    /// Single-phase user 5, 12.34 kWh, 50.00 yuan, 7 purchases of which the last was 20.00 yuan.
    pub fn new(fault: (usize, Fault)) -> Self {
        let registers = [(0x0307, 1234), (0x030B, 5000), (0x030D, 9000), (0x030E, 7), (0x0908, 0)];
        Self {
            registers: registers.into(),
            purchases: vec![[0x1A0B, 0x140A, 0x0000, 7, 0, 2000, 0, 5000, 0, 9000]],
            fault,
            requests: Vec::new(),
            replies: VecDeque::new(),
        }
    }

    pub fn word(&self, register: u16) -> u16 {
        self.registers.get(&register).copied().unwrap_or(0)
    }

    /// Credit ever added by writes.
    pub fn sales(&self) -> usize {
        self.purchases.len() - 1
    }

    /// Frames sent that would add credit.
    pub fn sale_frames(&self) -> usize {
        self.requests.iter().filter(|frame| frame[1] == 0x10 && frame[2..4] == [5, 0x0D]).count()
    }

    fn answer(&mut self, frame: &[u8]) -> Vec<u8> {
        let word = |at: usize| u16::from_be_bytes([frame[at], frame[at + 1]]);
        let (start, count) = (word(2), word(4));
        match frame[1] {
            3 => {
                let mut body = vec![frame[0], 3, u8::try_from(count * 2).unwrap()];
                for n in 0..count {
                    let value = if start >= 0x1B00 {
                        let age = usize::from(start - 0x1B00);
                        let record = self.purchases.iter().rev().nth(age);
                        record.map_or(0, |record| record[usize::from(n)])
                    } else {
                        self.word(start + n)
                    };
                    body.extend(value.to_be_bytes());
                }
                body
            }
            6 => {
                self.registers.insert(start, count);
                if start == 0x0801 {
                    let status = match count {
                        0x0100 => 0b11,
                        0x0001 => 0b10,
                        _ => 0,
                    };
                    self.registers.insert(0x0311, status);
                }
                frame[..6].to_vec()
            }
            0x10 if start == 0x050D => match self.sell(word(7), word(9), word(11)) {
                true => frame[..6].to_vec(),
                false => vec![frame[0], 0x90, 3],
            },
            0x10 => {
                for n in 0..count {
                    self.registers.insert(start + n, word(7 + usize::from(n) * 2));
                }
                frame[..6].to_vec()
            }
            function => vec![frame[0], function | 0x80, 1],
        }
    }

    /// Takes stored + 1, ignores the stored count, refuses any other.
    fn sell(&mut self, high: u16, low: u16, count: u16) -> bool {
        let stored = self.word(0x030E);
        if count == stored + 1 {
            assert_eq!(high, 0, "these tests stay below 655.36 yuan");
            let balance = self.word(0x030B) + low;
            let total = self.word(0x030D) + low;
            self.registers.extend([(0x030B, balance), (0x030D, total), (0x030E, count)]);
            self.purchases.push([0x1A0B, 0x140B, 0x0102, count, 0, low, 0, balance, 0, total]);
        }
        count == stored || count == stored + 1
    }
}

fn sealed(mut body: Vec<u8>) -> Vec<u8> {
    body.extend(crc16(&body).to_le_bytes());
    body
}

impl Host for Box {
    fn send(&mut self, bytes: &[u8]) -> Result<(), LineError> {
        assert_eq!(sealed(bytes[..bytes.len() - 2].to_vec()), bytes, "an intact request");
        let (at, fault) = self.fault;
        let fault = if at == self.requests.len() { fault } else { Fault::None };
        self.requests.push(bytes.to_vec());
        self.replies.clear();
        if bytes[0] != UNIT || fault == Fault::RequestLost {
            return Ok(());
        }
        if let Fault::Exception(code) = fault {
            self.replies.push_back(sealed(vec![UNIT, bytes[1] | 0x80, code]));
            return Ok(());
        }
        let body = self.answer(bytes);
        let good = sealed(body.clone());
        let mut other = body;
        match fault {
            Fault::None => self.replies.push_back(good),
            Fault::ReplyLost | Fault::RequestLost | Fault::Exception(_) => {}
            Fault::Cut => self.replies.push_back(good[..good.len() - 3].to_vec()),
            Fault::FlippedBit => {
                let mut bad = good;
                bad[3] ^= 0x10;
                self.replies.push_back(bad);
            }
            Fault::OtherUnit | Fault::OtherUnitFirst => {
                other[0] = UNIT + 1;
                self.replies.push_back(sealed(other));
                if fault == Fault::OtherUnitFirst {
                    self.replies.push_back(good);
                }
            }
            Fault::OtherFunction => {
                let bytes =
                    if other[1] == 6 { vec![UNIT, 3, 2, 0, 0] } else { vec![UNIT, 6, 0, 0, 0, 0] };
                self.replies.push_back(sealed(bytes));
            }
            Fault::Noise => {
                self.replies.push_back([vec![0x00, UNIT, 0xFF], good, vec![0xFF, 3]].concat());
            }
            Fault::Pieces => {
                let (one, two) = good.split_at(2);
                self.replies.extend([one.to_vec(), two.to_vec()]);
            }
        }
        Ok(())
    }

    fn receive(&mut self, want: u32) -> Result<Vec<u8>, LineError> {
        assert!(want > 0);
        let silent = LineError { code: codes::line::SILENT, detail: "no answer".to_owned() };
        self.replies.pop_front().ok_or(silent)
    }
    polymeter_replay::no_vault!();
}

pub fn call() -> Call {
    Call {
        address: UNIT.to_string(),
        parameters: Vec::new(),
        now: LocalTime { year: 2026, month: 11, day: 20, hour: 12, minute: 0, second: 0 },
        nonce: vec![0; 16],
    }
}

//! A wired M-Bus meter of EN 13757-2 and -3, written from `protocols.md` 5 and the standard: it takes
//! SND_NKE, selection by secondary address with wildcards, and REQ_UD2, and answers with one telegram
//! of variable data structure. Two that answer at once are heard as the AND of both; E5 and E5 is E5.
//!
//! Deliberately not here: writing, encryption, data of more than one telegram, changing the baud rate.

use jiff::civil::DateTime;

use crate::device::{Answer, Counters, Scan, State};
use crate::fault::Kind;
use crate::plan::MbusPlan;

const ACK: u8 = 0xE5;
const SHORT: u8 = 0x10;
const LONG: u8 = 0x68;
const END: u8 = 0x16;
/// Start, length twice, start.
const HEAD: usize = 4;
/// Control fields, the frame count bits left out.
const SND_NKE: u8 = 0x40;
const SND_UD: u8 = 0x43;
const REQ_UD2: u8 = 0x4B;
const RSP_UD: u8 = 0x08;
const COUNT_BITS: u8 = 0x30;
/// CI: selection of slaves; data with the long header, low byte first.
const SELECT: u8 = 0x52;
const LONG_HEADER: u8 = 0x72;
/// Address fields: whoever is selected; everybody, with an answer.
const SELECTED: u8 = 0xFD;
const ANYBODY: u8 = 0xFE;
const STATUS_GOOD: u8 = 0;

/// One whole telegram to meters.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    control: u8,
    address: u8,
    /// CI and what follows it.
    data: &'a [u8],
}

/// The first whole telegram whose sum is right.
pub fn scan(buffer: &[u8]) -> Scan {
    for start in 0..buffer.len() {
        let rest = buffer.get(start..).unwrap_or_default();
        if let Some(length) = whole(rest) {
            return Scan::Frame { start, end: start + length };
        }
    }
    Scan::NeedMore
}

fn whole(bytes: &[u8]) -> Option<usize> {
    let (first, total) = match bytes {
        [SHORT, ..] => (1, 5),
        [LONG, length, repeated, LONG, ..] if length == repeated && *length >= 3 => {
            (HEAD, HEAD + usize::from(*length) + 2)
        }
        _ => return None,
    };
    let frame = bytes.get(..total)?;
    let (&END, check) = (frame.last()?, frame.get(total - 2)?) else { return None };
    (*check == sum(frame.get(first..total - 2)?)).then_some(total)
}

fn sum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |sum, byte| sum.wrapping_add(*byte))
}

/// Puts the sum of a long telegram right.
pub fn seal(frame: &mut [u8]) {
    let end = frame.len().saturating_sub(2);
    let sum = sum(frame.get(HEAD..end).unwrap_or_default());
    if let Some(check) = frame.get_mut(end) {
        *check = sum;
    }
}

pub fn parse(frame: &[u8]) -> Option<Request<'_>> {
    match frame {
        [SHORT, control, address, ..] => {
            Some(Request { control: *control, address: *address, data: &[] })
        }
        [LONG, _, _, LONG, control, address, data @ .., _, END] => {
            Some(Request { control: *control, address: *address, data })
        }
        _ => None,
    }
}

#[derive(Debug)]
pub struct Meter {
    plan: MbusPlan,
    /// Number, maker, version, medium, as on the wire.
    identity: [u8; 8],
    clock: DateTime,
    selected: bool,
    accesses: u8,
    pub counters: Counters,
}

impl Meter {
    /// A meter as planned, or what is wrong with the plan.
    pub fn new(plan: MbusPlan) -> Result<Self, String> {
        let number: Option<[u8; 4]> =
            hex::decode(&plan.number).ok().and_then(|bytes| bytes.try_into().ok());
        let is_decimal = plan.number.bytes().all(|byte| byte.is_ascii_digit());
        let (Some([a, b, c, d]), true) = (number, is_decimal) else {
            return Err(format!("number {} is not 8 digits", plan.number));
        };
        if plan.primary > 250 {
            return Err(format!("primary address {} is above 250", plan.primary));
        }
        let [low, high] = maker(&plan.maker)
            .ok_or_else(|| format!("maker {} is not 3 capital letters", plan.maker))?
            .to_le_bytes();
        let identity = [d, c, b, a, low, high, plan.version, plan.medium];
        let clock = plan.clock.unwrap_or_else(|| jiff::Zoned::now().datetime());
        Ok(Self {
            identity,
            clock,
            selected: false,
            accesses: 0,
            counters: Counters::default(),
            plan,
        })
    }

    /// By its own address, everybody's, or while it is selected. A selection is heard by all, because
    /// it also ends theirs.
    pub fn hears(&self, request: &Request<'_>) -> bool {
        match request.address {
            ANYBODY => true,
            SELECTED => self.selected || selects(request),
            address => address == self.plan.primary,
        }
    }

    pub fn kind(request: &Request<'_>) -> Kind {
        if request.control & !COUNT_BITS == REQ_UD2 { Kind::Read } else { Kind::Other }
    }

    pub fn answer(&mut self, request: &Request<'_>) -> Answer {
        let reply = match request.control & !COUNT_BITS {
            SND_NKE => {
                if request.address == SELECTED {
                    self.selected = false;
                }
                Some(vec![ACK])
            }
            SND_UD if selects(request) => {
                let pattern = request.data.get(1..).unwrap_or_default();
                self.selected = self.is_meant(pattern);
                self.selected.then(|| vec![ACK])
            }
            REQ_UD2 => Some(self.data()),
            // What cannot be done is not acknowledged.
            _ => None,
        };
        Answer { reply, credit: None }
    }

    /// F digits in the number, FF in what follows it, stand for anything.
    fn is_meant(&self, pattern: &[u8]) -> bool {
        let (Some(asked), 8) = (pattern.first_chunk::<8>(), pattern.len()) else { return false };
        let digit = |asked: u8, own: u8| asked == 0x0F || asked == own;
        let number = asked
            .iter()
            .zip(self.identity)
            .take(4)
            .all(|(asked, own)| digit(asked >> 4, own >> 4) && digit(asked & 0x0F, own & 0x0F));
        let [_, _, _, _, maker_low, maker_high, version, medium] = self.identity;
        let [_, _, _, _, low, high, asked_version, asked_medium] = *asked;
        let any_maker = [low, high] == [0xFF, 0xFF];
        number
            && (any_maker || [low, high] == [maker_low, maker_high])
            && [0xFF, version].contains(&asked_version)
            && [0xFF, medium].contains(&asked_medium)
    }

    /// Volume or energy in four bytes, and the clock (type F).
    fn data(&mut self) -> Vec<u8> {
        self.accesses = self.accesses.wrapping_add(1);
        let counted = u32::try_from(self.plan.counted).unwrap_or(u32::MAX).to_le_bytes();
        let header = [self.accesses, STATUS_GOOD, 0, 0];
        let vif = if self.plan.medium == ELECTRICITY { WATT_HOURS } else { LITRES };
        let body = [
            &[RSP_UD, self.plan.primary, LONG_HEADER][..],
            &self.identity,
            &header,
            &[UINT32, vif],
            &counted,
            &[UINT32, DATE_AND_TIME],
            &moment(self.clock),
        ]
        .concat();
        let length = u8::try_from(body.len()).unwrap_or(u8::MAX);
        let mut frame = [&[LONG, length, length, LONG], body.as_slice(), &[0, END]].concat();
        seal(&mut frame);
        frame
    }

    pub fn advance(&mut self, seconds: u32) {
        self.clock = crate::load::later(self.clock, seconds);
    }

    pub fn state(&self, meter: String, bus: String, faults_waiting: usize) -> State {
        State {
            meter,
            bus,
            money_fen: 0,
            overdraft_fen: 0,
            count: 0,
            credited_fen: 0,
            credits: 0,
            taken_back_fen: 0,
            relay_closed: true,
            relay_command_open: false,
            keep_power: false,
            customer: None,
            requests: self.counters.requests,
            sell_frames: 0,
            open_frames: 0,
            mac_failures: 0,
            suspended: false,
            energy: self.plan.counted,
            last_purchase: None,
            clock: self.clock,
            faults_waiting,
        }
    }
}

/// DIF 04: an instantaneous value of 32 bits.
const UINT32: u8 = 0x04;
/// VIF 13: 0.001 m3. VIF 03: 1 Wh. VIF 6D: date and time.
const LITRES: u8 = 0x13;
const WATT_HOURS: u8 = 0x03;
const DATE_AND_TIME: u8 = 0x6D;
const ELECTRICITY: u8 = 0x02;

fn selects(request: &Request<'_>) -> bool {
    request.address == SELECTED && request.data.first() == Some(&SELECT)
}

/// Three letters in five bits each (EN 13757-3, 5.6).
fn maker(letters: &str) -> Option<u16> {
    let [a, b, c] = letters.as_bytes() else { return None };
    [a, b, c].into_iter().try_fold(0, |code: u16, letter| {
        letter.is_ascii_uppercase().then(|| code << 5 | u16::from(letter - b'A' + 1))
    })
}

/// Type F (EN 13757-3, annex A): minute, hour, day, month and the year in seven bits.
fn moment(at: DateTime) -> [u8; 4] {
    let part = |part: i8| part.unsigned_abs();
    let year = u8::try_from(at.year().rem_euclid(100)).unwrap_or(0);
    [
        part(at.minute()),
        part(at.hour()),
        (year & 0x07) << 5 | part(at.day()),
        (year & 0x78) << 1 | part(at.month()),
    ]
}

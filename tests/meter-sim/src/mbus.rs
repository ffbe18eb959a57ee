//! A wired M-Bus meter of EN 13757-2 and -3, written from `protocols.md` 5 and the standard: it takes
//! SND_NKE, selection by secondary address with wildcards, REQ_UD2 and the time by SND_UD, and answers
//! with telegrams of variable data structure: what it counts and its clock, then its stored values, as
//! many to a telegram as fit. The frame count bit says whether a telegram is asked for again. Two that
//! answer at once are heard as the AND of both; E5 and E5 is E5.
//!
//! Deliberately not here: encryption, writing anything but the time, changing the baud rate.

use jiff::ToSpan as _;
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
/// The frame count bit, and the one that says that it counts.
const FCB: u8 = 0x20;
const FCV: u8 = 0x10;
/// CI: data to a slave; selection of slaves; data with the long header, low byte first.
const DATA_SEND: u8 = 0x51;
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
    /// What the clock gained, in days times seconds, of which no second is whole yet.
    gained: i64,
    selected: bool,
    accesses: u8,
    /// The frame count bit of the last frame that had one, since the link was begun.
    counted_bit: Option<bool>,
    /// Which telegram was told last.
    telegram: usize,
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
            gained: 0,
            selected: false,
            accesses: 0,
            counted_bit: None,
            telegram: 0,
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
        match request.control & !COUNT_BITS {
            REQ_UD2 => Kind::Read,
            SND_UD if request.data.first() == Some(&DATA_SEND) => Kind::Write,
            _ => Kind::Other,
        }
    }

    pub fn answer(&mut self, request: &Request<'_>) -> Answer {
        let reply = match request.control & !COUNT_BITS {
            SND_NKE => {
                if request.address == SELECTED {
                    self.selected = false;
                }
                self.begin();
                Some(vec![ACK])
            }
            SND_UD if selects(request) => {
                let pattern = request.data.get(1..).unwrap_or_default();
                self.selected = self.is_meant(pattern);
                self.begin();
                self.selected.then(|| vec![ACK])
            }
            // What was done is said again and not done again.
            SND_UD if self.is_repeated(request) => Some(vec![ACK]),
            SND_UD => self.take(request.data).then(|| vec![ACK]),
            REQ_UD2 => {
                let begun = self.counted_bit.is_some();
                if !self.is_repeated(request) && begun {
                    self.telegram = (self.telegram + 1) % self.telegrams().len().max(1);
                }
                Some(self.data())
            }
            // What cannot be done is not acknowledged.
            _ => None,
        };
        Answer { reply, credit: None }
    }

    /// The link is new: the next frame count bit is no repetition, the next telegram the first one.
    fn begin(&mut self) {
        (self.counted_bit, self.telegram) = (None, 0);
    }

    /// EN 13757-2, 5.7.2: where the bit counts and is the last one's, the frame is the last one.
    fn is_repeated(&mut self, request: &Request<'_>) -> bool {
        if request.control & FCV == 0 {
            return false;
        }
        let bit = request.control & FCB != 0;
        self.counted_bit.replace(bit) == Some(bit)
    }

    /// The time, as this meter has it; nothing else can be written.
    fn take(&mut self, data: &[u8]) -> bool {
        let length = if self.plan.clock_seconds { 6 } else { 4 };
        let time = match data {
            [DATA_SEND, UINT32, DATE_AND_TIME, time @ ..] if time.len() == 4 => {
                [&[0], time].concat()
            }
            [DATA_SEND, UINT48, DATE_AND_TIME, time @ ..] if time.len() == 6 => time.to_vec(),
            _ => return false,
        };
        let right = data.len() == length + 3;
        match (right, told(&time)) {
            (true, Some(at)) => {
                self.clock = at;
                true
            }
            _ => false,
        }
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

    /// The records of each telegram: volume or energy in four bytes and the clock, then the stored ones,
    /// each with the day of its store (type G).
    fn telegrams(&self) -> Vec<Vec<u8>> {
        let vif = if self.plan.medium == ELECTRICITY { WATT_HOURS } else { LITRES };
        let number = |counted: u64| u32::try_from(counted).unwrap_or(u32::MAX).to_le_bytes();
        let now = [&[UINT32, vif][..], &number(self.plan.counted)].concat();
        let [second, minute, hour, day, month] = moment(self.clock);
        let clock = if self.plan.clock_seconds {
            vec![UINT48, DATE_AND_TIME, second, minute, hour, day, month, 0]
        } else {
            vec![UINT32, DATE_AND_TIME, minute, hour, day, month]
        };
        let mut telegrams = vec![[now, clock].concat()];
        for (store, stored) in (1_u8..).zip(&self.plan.stored).take(STORES_MOST) {
            let [.., day, month] = moment(stored.on.at(0, 0, 0, 0));
            let of_store = |dif: u8| {
                let dif = dif | (store & 1) << 6;
                if store < 2 { vec![dif] } else { vec![dif | EXTENDED, store >> 1] }
            };
            let value = [&of_store(UINT32)[..], &[vif], &number(stored.counted)].concat();
            let date = [&of_store(UINT16)[..], &[DATE, day, month]].concat();
            let records = [value, date].concat();
            match telegrams.last_mut() {
                Some(last) if last.len() + records.len() <= RECORD_BYTES => last.extend(records),
                _ => telegrams.push(records),
            }
        }
        telegrams
    }

    fn data(&mut self) -> Vec<u8> {
        self.accesses = self.accesses.wrapping_add(1);
        let telegrams = self.telegrams();
        let header = [self.accesses, STATUS_GOOD, 0, 0];
        let more = if self.telegram + 1 < telegrams.len() { &[MORE_FOLLOWS][..] } else { &[] };
        let records = telegrams.get(self.telegram).map(Vec::as_slice).unwrap_or_default();
        let head =
            [&[RSP_UD, self.plan.primary, LONG_HEADER][..], &self.identity, &header].concat();
        let body = [&head[..], records, more].concat();
        let length = u8::try_from(body.len()).unwrap_or(u8::MAX);
        let mut frame = [&[LONG, length, length, LONG], body.as_slice(), &[0, END]].concat();
        seal(&mut frame);
        frame
    }

    /// The clock's own seconds may be more or fewer than those that pass.
    pub fn advance(&mut self, seconds: u32) {
        self.clock = crate::load::later(self.clock, seconds);
        self.gained += i64::from(seconds) * i64::from(self.plan.clock_gains);
        let whole = self.gained / DAY_SECONDS;
        self.gained -= whole * DAY_SECONDS;
        self.clock = self.clock.saturating_add(whole.seconds());
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
            token_credit: 0,
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

/// DIF: an instantaneous value of 16, 32 and 48 bits; bit 7: a DIFE follows, in which the store goes on.
const UINT16: u8 = 0x02;
const UINT32: u8 = 0x04;
const UINT48: u8 = 0x06;
const EXTENDED: u8 = 0x80;
/// DIF 1F: more records follow in the next telegram.
const MORE_FOLLOWS: u8 = 0x1F;
/// One DIFE holds four bits of the store.
const STORES_MOST: usize = 31;
/// What L leaves for records behind C, A, CI and the header, and for the DIF that more follows.
const RECORD_BYTES: usize = 255 - 3 - 12 - 1;
const DAY_SECONDS: i64 = 86_400;
/// VIF 13: 0.001 m3. VIF 03: 1 Wh. VIF 6D: date and time.
const LITRES: u8 = 0x13;
const WATT_HOURS: u8 = 0x03;
const DATE_AND_TIME: u8 = 0x6D;
/// VIF 6C: a day.
const DATE: u8 = 0x6C;
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

/// Type I without the week (EN 13757-3, annex A): second, minute, hour, day, month, the year in seven
/// bits of the last two; type F is the same without the second, type G the last two alone.
fn moment(at: DateTime) -> [u8; 5] {
    let part = |part: i8| part.unsigned_abs();
    let year = u8::try_from(at.year().rem_euclid(100)).unwrap_or(0);
    [
        part(at.second()),
        part(at.minute()),
        part(at.hour()),
        (year & 0x07) << 5 | part(at.day()),
        (year & 0x78) << 1 | part(at.month()),
    ]
}

/// The other way round; `None`: there is no such time, or it is marked as invalid.
fn told(bytes: &[u8]) -> Option<DateTime> {
    let [second, minute, hour, day, month, ..] = *bytes else { return None };
    if minute & 0x80 != 0 {
        return None;
    }
    let part = |byte: u8, mask: u8| i8::try_from(byte & mask).ok();
    let year = 2000 + i16::from(day >> 5 | month >> 4 << 3);
    let (month, day) = (part(month, 0x0F)?, part(day, 0x1F)?);
    let (hour, minute, second) = (part(hour, 0x1F)?, part(minute, 0x3F)?, part(second, 0x3F)?);
    DateTime::new(year, month, day, hour, minute, second, 0).ok()
}

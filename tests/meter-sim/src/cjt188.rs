//! A CJ/T 188-2004 water meter with valve, purse and the settlements of twelve months, written from
//! `protocols.md` 4, in the standard's own dialect or as a plan has it. Where that is silent: the purse
//! is read at 8105H; a purchase is taken where its number is the next one, acknowledged and ignored
//! where it is the present one, else refused with status 0001; the valve turns at once, and stays as
//! commanded whatever the purse holds. A price table holds at once, whatever day came with it.

use jiff::civil::DateTime;

use crate::device::{Answer, Counters, Credit, Purchase, Scan, State};
use crate::fault::Kind;
use crate::plan::Cjt188Plan;

const START: u8 = 0x68;
/// Start, type, address, control, length.
pub const HEAD: usize = 11;
const ANY: u8 = 0xAA;
const LEFT_FEN_MAX: u32 = 99_999_999;

/// The status of a refusal.
type No = u16;
const REFUSED: No = 0x0001;
const UNKNOWN_ITEM: No = 0x0002;

/// A frame's parts; what its data says is the meter's own dialect.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    kind: u8,
    address: &'a [u8],
    control: u8,
    data: &'a [u8],
}

/// Data as the meter understands it.
#[derive(Debug, Clone, Copy)]
struct Asked<'a> {
    control: u8,
    /// High byte first, as people write it.
    item: u16,
    /// Repeated in the reply; none in a dialect without it.
    serial: &'a [u8],
    data: &'a [u8],
}

/// The first whole frame whose sum is right.
pub fn scan(buffer: &[u8]) -> Scan {
    for start in 0..buffer.len() {
        let rest = buffer.get(start..).unwrap_or_default();
        let (Some(&START), Some(&length)) = (rest.first(), rest.get(HEAD - 1)) else { continue };
        let end = HEAD + usize::from(length) + 2;
        let whole =
            rest.get(..end).is_some_and(|frame| frame.ends_with(&[sum(&frame[..end - 2]), 0x16]));
        if whole {
            return Scan::Frame { start, end: start + end };
        }
    }
    Scan::NeedMore
}

pub fn sum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |sum, byte| sum.wrapping_add(*byte))
}

/// Puts the sum of a frame right that begins at `start`.
pub fn seal(frame: &mut [u8], start: usize) {
    let end = frame.len().saturating_sub(2);
    let sum = sum(frame.get(start..end).unwrap_or_default());
    if let Some(check) = frame.get_mut(end) {
        *check = sum;
    }
}

pub fn parse(frame: &[u8]) -> Option<Request<'_>> {
    Some(Request {
        kind: *frame.get(1)?,
        address: frame.get(2..9)?,
        control: *frame.get(9)?,
        data: frame.get(HEAD..frame.len().checked_sub(2)?)?,
    })
}

#[derive(Debug)]
pub struct Meter {
    plan: Cjt188Plan,
    address: [u8; 7],
    clock: DateTime,
    closed: bool,
    count: u8,
    left_fen: u32,
    total_fen: u32,
    last: Option<Purchase>,
    credited_fen: u64,
    credits: u64,
    /// Price, volume, price, volume, price.
    prices: [u8; 15],
    pub counters: Counters,
}

impl Meter {
    /// A meter as planned, or what is wrong with the plan.
    pub fn new(plan: Cjt188Plan) -> Result<Self, String> {
        let digits: Option<[u8; 7]> =
            hex::decode(&plan.address).ok().and_then(|bytes| bytes.try_into().ok());
        let is_decimal = plan.address.bytes().all(|byte| byte.is_ascii_digit());
        let (Some(mut address), true) = (digits, is_decimal) else {
            return Err(format!("address {} is not 14 digits", plan.address));
        };
        address.reverse();
        let clock = plan.clock.unwrap_or_else(|| jiff::Zoned::now().datetime());
        let total_fen = plan.money_fen.max(plan.last_purchase_fen);
        let last = (plan.purchase_count > 0).then(|| Purchase {
            at: clock,
            count: u32::from(plan.purchase_count),
            amount_fen: plan.last_purchase_fen,
            before_fen: i64::from(plan.money_fen) - i64::from(plan.last_purchase_fen),
            after_fen: i64::from(plan.money_fen),
            cumulative_fen: u64::from(total_fen),
        });
        Ok(Self {
            address,
            clock,
            closed: plan.valve_closed,
            count: plan.purchase_count,
            left_fen: plan.money_fen,
            total_fen,
            last,
            credited_fen: 0,
            credits: 0,
            prices: [0; 15],
            counters: Counters::default(),
            plan,
        })
    }

    pub fn hears(&self, request: &Request<'_>) -> bool {
        let kind = [self.plan.kind, ANY].contains(&request.kind);
        let own = request.address.iter().zip(self.address);
        kind && own.into_iter().all(|(asked, ours)| *asked == ANY || *asked == ours)
    }

    fn understood<'a>(&self, request: &Request<'a>) -> Option<Asked<'a>> {
        let [first, second, rest @ ..] = request.data else { return None };
        let item = match self.plan.identifier_high_first {
            true => u16::from_be_bytes([*first, *second]),
            false => u16::from_le_bytes([*first, *second]),
        };
        let (serial, data) = match (self.plan.without_serial_number, rest) {
            (true, data) => (&[][..], data),
            (false, [_, data @ ..]) => (&rest[..1], data),
            (false, []) => return None,
        };
        Some(Asked { control: request.control, item, serial, data })
    }

    pub fn kind(&self, request: &Request<'_>) -> Kind {
        let Some(asked) = self.understood(request) else { return Kind::Other };
        match (asked.control, asked.item) {
            (0x01, 0x8105) => Kind::Check,
            (0x01 | 0x03, _) => Kind::Read,
            (0x04, 0xA013) => Kind::Sell,
            (0x04, 0xA017) => Kind::Control,
            (0x04, _) => Kind::Write,
            _ => Kind::Other,
        }
    }

    pub fn answer(&mut self, request: &Request<'_>) -> Answer {
        let mut credit = None;
        let Some(asked) = self.understood(request) else { return Answer::default() };
        let reply = match self.serve(&asked, &mut credit) {
            Ok(data) => {
                let item = match self.plan.identifier_high_first {
                    true => asked.item.to_be_bytes(),
                    false => asked.item.to_le_bytes(),
                };
                let data = [&item, asked.serial, data.as_slice()].concat();
                self.frame(request.control | 0x80, &data)
            }
            Err(no) => self.refuse(request, no),
        };
        Answer { reply: Some(reply), credit }
    }

    pub fn refuse(&self, request: &Request<'_>, no: No) -> Vec<u8> {
        let serial = self.understood(request).map_or(&[][..], |asked| asked.serial);
        let data = [serial, &no.to_be_bytes()].concat();
        self.frame(request.control | 0xC0, &data)
    }

    fn frame(&self, control: u8, data: &[u8]) -> Vec<u8> {
        let length = u8::try_from(data.len()).unwrap_or(u8::MAX);
        let head = [&[START, self.plan.kind], &self.address[..], &[control, length]].concat();
        let mut frame = [head.as_slice(), data, &[0, 0x16]].concat();
        seal(&mut frame, 0);
        [vec![0xFE; self.plan.wake_up_bytes], frame].concat()
    }

    fn serve(&mut self, asked: &Asked<'_>, credit: &mut Option<Credit>) -> Result<Vec<u8>, No> {
        match (asked.control, asked.item, asked.data) {
            (0x01, 0x901F, []) => Ok(self.current()),
            (0x01, 0xD120..=0xD12B, []) => {
                let back = usize::from(asked.item - 0xD120);
                self.plan.months.get(back).map(|volume| self.volume(*volume)).ok_or(UNKNOWN_ITEM)
            }
            (0x01, 0x8102, []) => Ok(self.prices.to_vec()),
            (0x01, 0x8103, []) => Ok(vec![packed(self.plan.settlement_day.into())]),
            (0x01, 0x8104, []) => Ok(vec![packed(self.plan.reading_day.into())]),
            (0x01, 0x8105, []) => Ok(self.purse()),
            (0x03, 0x810A, []) => Ok(Vec::new()),
            (0x04, 0xA010, [prices @ .., day]) => {
                day_of(*day)?;
                let prices = <[u8; 15]>::try_from(prices).map_err(|_| REFUSED)?;
                if prices.iter().any(|byte| byte >> 4 > 9 || byte & 15 > 9) {
                    return Err(REFUSED);
                }
                self.prices = prices;
                Ok(self.status().to_vec())
            }
            (0x04, 0xA015, time) => {
                self.clock = self.time_of(time).ok_or(REFUSED)?;
                Ok(self.status().to_vec())
            }
            (0x04, 0xA011, [day]) => {
                self.plan.settlement_day = day_of(*day)?;
                Ok(self.status().to_vec())
            }
            (0x04, 0xA012, [day]) => {
                self.plan.reading_day = day_of(*day)?;
                Ok(self.status().to_vec())
            }
            (0x04, 0xA013, [count, amount @ ..]) => {
                *credit = self.buy(*count, amount)?;
                Ok(self.purse())
            }
            (0x04, 0xA017, [code]) if self.plan.valve_codes.contains(code) => {
                self.closed = *code == self.plan.valve_codes[1];
                Ok(self.status().to_vec())
            }
            (0x04, 0xA017, _) => Err(REFUSED),
            _ => Err(UNKNOWN_ITEM),
        }
    }

    fn status(&self) -> [u8; 2] {
        [u8::from(self.closed), self.plan.second_status]
    }

    /// A volume in m3 with two decimals, and its unit.
    fn volume(&self, hundredths: u64) -> Vec<u8> {
        let [a, b, c, d] = digits(hundredths);
        if self.plan.unit_first { vec![0x2C, a, b, c, d] } else { vec![a, b, c, d, 0x2C] }
    }

    /// Volume, the settled volume; time; status.
    fn current(&self) -> Vec<u8> {
        let at = self.clock;
        let part = |part: i8| packed(u64::from(part.unsigned_abs()));
        let year = u64::from(at.year().unsigned_abs());
        let mut time = [
            part(at.second()),
            part(at.minute()),
            part(at.hour()),
            part(at.day()),
            part(at.month()),
            packed(year % 100),
            packed(year / 100),
        ];
        if self.plan.time_high_first {
            time.reverse();
        }
        let volumes = [self.volume(self.plan.volume), self.volume(self.plan.settled_volume)];
        [volumes.concat().as_slice(), &time, &self.status()].concat()
    }

    fn time_of(&self, time: &[u8]) -> Option<DateTime> {
        let mut time: [u8; 7] = time.try_into().ok()?;
        if self.plan.time_high_first {
            time.reverse();
        }
        let number = |byte: u8| (byte >> 4 < 10 && byte & 15 < 10).then(|| unpacked(byte));
        let [second, minute, hour, day, month, year, century] = time.map(number);
        let year = i16::from(century?) * 100 + i16::from(year?);
        DateTime::new(year, month?, day?, hour?, minute?, second?, 0).ok()
    }

    fn purse(&self) -> Vec<u8> {
        let last = self.last.as_ref().map_or(0, |last| last.amount_fen);
        let amounts = [last, self.total_fen, self.left_fen].map(|fen| digits(fen.into()));
        [&[self.count], amounts.concat().as_slice(), &self.status()].concat()
    }

    fn buy(&mut self, count: u8, amount: &[u8]) -> Result<Option<Credit>, No> {
        let amount: [u8; 4] = amount.try_into().map_err(|_| REFUSED)?;
        if amount.iter().any(|byte| byte >> 4 > 9 || byte & 15 > 9) {
            return Err(REFUSED);
        }
        let amount_fen = amount
            .iter()
            .rev()
            .fold(0_u32, |fen, byte| fen * 100 + u32::from(byte >> 4) * 10 + u32::from(byte & 15));
        if count == self.count {
            return Ok(None);
        }
        let after_fen = self.left_fen + amount_fen;
        if Some(count) != self.count.checked_add(1) || after_fen > LEFT_FEN_MAX {
            return Err(REFUSED);
        }
        let before_fen = self.left_fen;
        self.left_fen = after_fen;
        self.count = count;
        self.total_fen = (self.total_fen + amount_fen) % (LEFT_FEN_MAX + 1);
        self.last = Some(Purchase {
            at: self.clock,
            count: u32::from(count),
            amount_fen,
            before_fen: i64::from(before_fen),
            after_fen: i64::from(after_fen),
            cumulative_fen: u64::from(self.total_fen),
        });
        self.credited_fen += u64::from(amount_fen);
        self.credits += 1;
        Ok(Some(Credit { count: u32::from(count), amount_fen, applied: true }))
    }

    pub fn advance(&mut self, seconds: u32) {
        self.clock = crate::load::later(self.clock, seconds);
    }

    /// Days of settlement and of reading: no money, but the kit's numbers all the same.
    pub fn days(&self) -> [u32; 2] {
        [self.plan.settlement_day.into(), self.plan.reading_day.into()]
    }

    /// `energy` is the volume in 0.01 m3.
    pub fn state(&self, meter: String, bus: String, faults_waiting: usize) -> State {
        let Counters { requests, sell_frames, open_frames, mac_failures } = self.counters;
        State {
            meter,
            bus,
            money_fen: i64::from(self.left_fen),
            overdraft_fen: 0,
            count: u32::from(self.count),
            credited_fen: self.credited_fen,
            credits: self.credits,
            taken_back_fen: 0,
            token_credit: 0,
            relay_closed: !self.closed,
            relay_command_open: self.closed,
            keep_power: false,
            customer: None,
            requests,
            sell_frames,
            open_frames,
            mac_failures,
            suspended: false,
            energy: self.plan.volume,
            last_purchase: self.last.clone(),
            clock: self.clock,
            faults_waiting,
        }
    }
}

/// Two decimal digits in a byte.
fn packed(number: u64) -> u8 {
    u8::try_from(number / 10 % 10 * 16 + number % 10).unwrap_or(0)
}

fn unpacked(byte: u8) -> i8 {
    i8::try_from((byte >> 4) * 10 + (byte & 15)).unwrap_or(0)
}

/// Eight decimal digits, low pair first.
fn digits(number: u64) -> [u8; 4] {
    [1, 100, 10_000, 1_000_000].map(|place| packed(number / place))
}

fn day_of(byte: u8) -> Result<u8, No> {
    let day = (byte >> 4) * 10 + (byte & 15);
    if byte & 15 < 10 && (1..=28).contains(&day) { Ok(day) } else { Err(REFUSED) }
}

//! A prepayment meter of RDK, the made-up maker of `vendor-examples/rdk-native`, written from the
//! protocol's page in that folder's README. Where the page is silent: an opening with an amount carries
//! count 1 and one without carries 0; clearing forgets customer, count and money; time costs nothing.

use jiff::civil::DateTime;

use crate::device::{Answer, Counters, Credit, Purchase, Scan};
use crate::fault::Kind;
use crate::plan::RdkPlan;

const START: u8 = 0x7E;
/// Start, length, address, command.
pub const HEAD: usize = 7;
const ANY: [u8; 4] = [0xFF; 4];

/// The meter's no.
type No = u8;
const WRONG_PASSWORD: No = 1;
const WRONG_CUSTOMER: No = 2;
const WRONG_COUNT: No = 3;
const OVER_LIMIT: No = 4;
const NOT_OPENED: No = 5;
const OPENED_ALREADY: No = 6;
const BAD_VALUE: No = 7;
const UNKNOWN_COMMAND: No = 8;

const IDENTIFY: u8 = 0x01;

/// A frame's parts.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    pub address: [u8; 4],
    pub command: u8,
    pub data: &'a [u8],
}

/// The first whole frame whose check is right.
pub fn scan(buffer: &[u8]) -> Scan {
    for start in 0..buffer.len() {
        let rest = buffer.get(start..).unwrap_or_default();
        if rest.first() != Some(&START) {
            continue;
        }
        let Some(&length) = rest.get(1) else { break };
        let end = HEAD + usize::from(length) + 1;
        if rest.get(..end).is_some_and(|frame| check(frame.get(1..end - 1)) == frame[end - 1]) {
            return Scan::Frame { start, end: start + end };
        }
    }
    Scan::NeedMore
}

pub fn parse(frame: &[u8]) -> Option<Request<'_>> {
    let address = *frame.get(2..)?.first_chunk()?;
    let data = frame.get(HEAD..frame.len().checked_sub(1)?)?;
    Some(Request { address, command: *frame.get(6)?, data })
}

/// The XOR of all bytes from the length on.
fn check(bytes: Option<&[u8]>) -> u8 {
    bytes.unwrap_or_default().iter().fold(0, |check, byte| check ^ byte)
}

/// Puts the check of a frame right whose last byte is for it.
pub fn seal(frame: &mut [u8]) {
    if let Some((last, body)) = frame.split_last_mut() {
        *last = check(body.get(1..));
    }
}

#[derive(Debug)]
pub struct Meter {
    plan: RdkPlan,
    address: [u8; 4],
    clock: DateTime,
    customer: Option<[u8; 6]>,
    balance_fen: u32,
    count: u16,
    alarm_fen: u32,
    relay_open: bool,
    last: Option<Purchase>,
    credited_fen: u64,
    credits: u64,
    pub counters: Counters,
}

impl Meter {
    /// A meter as planned, not opened, or what is wrong with the plan.
    pub fn new(plan: RdkPlan) -> Result<Self, String> {
        let digits = hex::decode(&plan.address).ok().and_then(|bytes| bytes.try_into().ok());
        let is_decimal = plan.address.bytes().all(|byte| byte.is_ascii_digit());
        let (Some(address), true) = (digits, is_decimal) else {
            return Err(format!("address {} is not 8 digits", plan.address));
        };
        if plan.password.len() != 16 {
            return Err(format!("a password of {} letters, not 16", plan.password.len()));
        }
        Ok(Self {
            address,
            clock: jiff::Zoned::now().datetime(),
            customer: None,
            balance_fen: 0,
            count: 0,
            alarm_fen: 0,
            relay_open: false,
            last: None,
            credited_fen: 0,
            credits: 0,
            counters: Counters::default(),
            plan,
        })
    }

    pub fn hears(&self, request: &Request<'_>) -> bool {
        request.address == self.address || (request.address == ANY && request.command == IDENTIFY)
    }

    pub fn kind(request: &Request<'_>) -> Kind {
        match request.command {
            0x01 | 0x02 => Kind::Read,
            0x03 => Kind::Check,
            0x04 => Kind::Open,
            0x05 => Kind::Sell,
            0x06 => Kind::Clear,
            0x07 => Kind::Control,
            0x08 => Kind::Write,
            _ => Kind::Other,
        }
    }

    pub fn answer(&mut self, request: &Request<'_>) -> Answer {
        let mut credit = None;
        let reply = match self.serve(request, &mut credit) {
            Ok(data) => self.frame(request.command | 0x80, &data),
            Err(no) => self.refuse(request, no),
        };
        Answer { reply: Some(reply), credit }
    }

    pub fn refuse(&self, request: &Request<'_>, no: No) -> Vec<u8> {
        self.frame(request.command | 0xC0, &[no])
    }

    fn frame(&self, command: u8, data: &[u8]) -> Vec<u8> {
        let length = u8::try_from(data.len()).unwrap_or(u8::MAX);
        let mut frame = [&[START, length], &self.address[..], &[command], data, &[0]].concat();
        seal(&mut frame);
        frame
    }

    fn serve(&mut self, asked: &Request<'_>, credit: &mut Option<Credit>) -> Result<Vec<u8>, No> {
        match asked.command {
            IDENTIFY => return Ok(b"RDK-1".to_vec()),
            0x02 => {
                let energy = u32::try_from(self.plan.energy).unwrap_or(u32::MAX).to_be_bytes();
                let relay = [u8::from(!self.relay_open)];
                return Ok([&energy, &self.balance_fen.to_be_bytes(), &relay[..]].concat());
            }
            0x03 => {
                let last = self.last.as_ref().map_or(0, |last| last.amount_fen).to_be_bytes();
                let opened = [u8::from(self.customer.is_some())];
                let balance = self.balance_fen.to_be_bytes();
                return Ok([&self.count.to_be_bytes(), &last[..], &balance, &opened].concat());
            }
            _ => {}
        }
        let (password, data) = asked.data.split_at_checked(16).ok_or(BAD_VALUE)?;
        if password != self.plan.password.as_bytes() {
            self.counters.mac_failures += 1;
            return Err(WRONG_PASSWORD);
        }
        match asked.command {
            0x04 | 0x05 => self.take(asked.command == 0x04, data, credit),
            0x06 => {
                self.customer = None;
                (self.count, self.balance_fen, self.last) = (0, 0, None);
                Ok(self.purse())
            }
            0x07 => match data {
                [closed @ (0 | 1)] => {
                    self.relay_open = *closed == 0;
                    Ok(vec![*closed])
                }
                _ => Err(BAD_VALUE),
            },
            0x08 => match data {
                [1, fen @ ..] => {
                    self.alarm_fen = u32::from_be_bytes(fen.try_into().map_err(|_| BAD_VALUE)?);
                    Ok(Vec::new())
                }
                _ => Err(BAD_VALUE),
            },
            _ => Err(UNKNOWN_COMMAND),
        }
    }

    fn take(
        &mut self,
        opens: bool,
        data: &[u8],
        credit: &mut Option<Credit>,
    ) -> Result<Vec<u8>, No> {
        let (customer, rest) = data.split_first_chunk::<6>().ok_or(BAD_VALUE)?;
        let (count, amount) = rest.split_first_chunk::<2>().ok_or(BAD_VALUE)?;
        let (count, amount) = (u16::from_be_bytes(*count), amount.try_into());
        let amount_fen = u32::from_be_bytes(amount.map_err(|_| BAD_VALUE)?);
        match self.customer {
            Some(_) if opens => return Err(OPENED_ALREADY),
            None if !opens => return Err(NOT_OPENED),
            Some(known) if known != *customer => return Err(WRONG_CUSTOMER),
            _ => {}
        }
        let wanted = if opens && amount_fen == 0 { 0 } else { self.count.saturating_add(1) };
        if count != wanted {
            return Err(WRONG_COUNT);
        }
        let before_fen = self.balance_fen;
        let after_fen = before_fen.checked_add(amount_fen).ok_or(OVER_LIMIT)?;
        if after_fen > self.plan.hoarding_limit_fen {
            return Err(OVER_LIMIT);
        }
        (self.customer, self.count, self.balance_fen) = (Some(*customer), count, after_fen);
        if amount_fen > 0 {
            self.credited_fen += u64::from(amount_fen);
            self.credits += 1;
            self.last = Some(Purchase {
                at: self.clock,
                count: u32::from(count),
                amount_fen,
                before_fen: i64::from(before_fen),
                after_fen: i64::from(after_fen),
                cumulative_fen: self.credited_fen,
            });
            *credit = Some(Credit { count: u32::from(count), amount_fen, applied: true });
        }
        Ok(self.purse())
    }

    fn purse(&self) -> Vec<u8> {
        [&self.count.to_be_bytes()[..], &self.balance_fen.to_be_bytes()].concat()
    }

    pub fn advance(&mut self, seconds: u32) {
        self.clock = crate::load::later(self.clock, seconds);
    }

    pub fn clock(&self) -> DateTime {
        self.clock
    }

    pub fn alarm_fen(&self) -> u32 {
        self.alarm_fen
    }

    pub fn energy_total(&self) -> u64 {
        self.plan.energy
    }

    pub fn balance_fen(&self) -> u32 {
        self.balance_fen
    }

    pub fn count(&self) -> u16 {
        self.count
    }

    pub fn relay_open(&self) -> bool {
        self.relay_open
    }

    pub fn customer(&self) -> Option<[u8; 6]> {
        self.customer
    }

    pub fn last_purchase(&self) -> Option<Purchase> {
        self.last.clone()
    }

    /// All credit ever taken from the line, and how often.
    pub fn credited(&self) -> (u64, u64) {
        (self.credited_fen, self.credits)
    }
}

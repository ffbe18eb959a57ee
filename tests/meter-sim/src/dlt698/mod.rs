//! A DL/T 698.45 meter, written from the standard as `protocols.md` 6 has it: link layer with wildcard
//! addresses and split answers, GET of one and of several attributes and of freezes and events, SET of the
//! clock, ACTION of the relay and of its protection, all without a security module.
//!
//! Deliberately not here: associations, wrapped APDUs and sales, which want a security module; proxies,
//! reports, scrambled APDUs.

mod frame;
mod past;

use std::collections::VecDeque;

use jiff::civil::{Date, DateTime};

use crate::device::{Answer, Counters, State};
use crate::fault::Kind;
use crate::load::{Load, later, step};
use crate::plan::Dlt698Plan;

use frame::{CHECK, END, LENGTH_END, START};
pub use frame::{Request, parse, places, scan, seal};
use past::Past;

/// Control: from the client, started by it, a fragment, user data.
const FROM_METER: u8 = 0x80;
const FRAGMENT: u8 = 0x20;
const FUNCTION: u8 = 0x07;
const USER_DATA: u8 = 3;
/// Of the flag byte of a server's address, bits 7 and 6.
const SINGLE: u8 = 0;
const WILDCARD: u8 = 1;
const BROADCAST: u8 = 3;
/// What a fragment is, in the upper two bits of its second byte.
const FIRST: u8 = 0x00;
const LAST: u8 = 0x40;
const CONFIRMATION: u8 = 0x80;
const MIDDLE: u8 = 0xC0;
/// DAR, data access results.
const DONE: u8 = 0;
const DENIED: u8 = 3;
const NO_OBJECT: u8 = 6;
const WRONG_TYPE: u8 = 7;
/// What follows every answer: no report, no time tag.
const TAIL: [u8; 2] = [0, 0];
#[derive(Debug)]
pub struct Meter {
    plan: Dlt698Plan,
    /// High pair first.
    address: [u8; 6],
    clock: DateTime,
    load: Load,
    /// 0.01 kWh by sharp, peak, flat, valley.
    energies: [u64; 4],
    open: bool,
    told_to_open: bool,
    protected: bool,
    past: Past,
    /// Parts of an answer that wait for the one before to be confirmed.
    parts: VecDeque<Vec<u8>>,
    pub counters: Counters,
}

impl Meter {
    /// A meter as planned, or what is wrong with the plan.
    pub fn new(plan: Dlt698Plan) -> Result<Self, String> {
        let decimal = plan.address.bytes().all(|byte| byte.is_ascii_digit());
        let address = hex::decode(&plan.address).ok().filter(|_| decimal);
        let address: Option<[u8; 6]> = address.and_then(|bytes| bytes.try_into().ok());
        let address = address.ok_or_else(|| format!("{} is not 12 digits", plan.address))?;
        if plan.answer_bytes_max == 0 {
            return Err("answers of no bytes".to_owned());
        }
        Ok(Self {
            address,
            clock: plan.clock.unwrap_or_else(|| jiff::Zoned::now().datetime()),
            load: Load::new(plan.load_watts),
            energies: plan.tariff_energies,
            open: plan.relay_open,
            told_to_open: plan.relay_open,
            protected: false,
            past: Past::new(plan.freeze_minutes),
            parts: VecDeque::new(),
            counters: Counters::default(),
            plan,
        })
    }

    pub fn hears(&self, request: &Request<'_>) -> bool {
        if request.control & FROM_METER != 0 || request.control & FUNCTION != USER_DATA {
            return false;
        }
        let asked = request.address.iter().rev();
        let same = |(asked, own): (&u8, &u8)| match request.kind {
            SINGLE => asked == own,
            // A digit A is any.
            WILDCARD => [(asked >> 4, own >> 4), (asked & 0x0F, own & 0x0F)]
                .iter()
                .all(|(asked, own)| *asked == 0x0A || asked == own),
            _ => false,
        };
        request.kind == BROADCAST
            || (request.address.len() == self.address.len() && asked.zip(&self.address).all(same))
    }

    pub fn kind(request: &Request<'_>) -> Kind {
        match request.apdu.first() {
            _ if request.control & FRAGMENT != 0 => Kind::Other,
            Some(0x05) => Kind::Read,
            Some(0x06) => Kind::Write,
            Some(0x07) => Kind::Control,
            _ => Kind::Other,
        }
    }

    pub fn answer(&mut self, request: &Request<'_>) -> Answer {
        let reply = if request.control & FRAGMENT != 0 {
            self.next_part(request)
        } else {
            self.parts.clear();
            self.serve(request.apdu).and_then(|apdu| self.framed(request.client, &apdu))
        };
        // Nobody answers everybody.
        Answer { reply: reply.filter(|_| request.kind != BROADCAST), credit: None }
    }

    /// `word` instead of what was asked for, in the service that was used.
    pub fn refuse(&self, request: &Request<'_>, word: u16) -> Option<Vec<u8>> {
        let [dar, _] = word.to_le_bytes();
        let [service, choice, piid, rest @ ..] = request.apdu else { return None };
        let answered = service | 0x80;
        let attribute = rest.get(..4)?;
        let said = match (service, choice) {
            (0x05, 1) => [attribute, &[0, dar]].concat(),
            (0x06, 1) => [attribute, &[dar]].concat(),
            (0x07, 1) => [attribute, &[dar, 0]].concat(),
            (0x05, 2) => {
                let attributes = rest.get(1..rest.len().checked_sub(1)?)?.chunks_exact(4);
                let refused = attributes.flat_map(|attribute| [attribute, &[0, dar]].concat());
                rest.first().copied().into_iter().chain(refused).collect()
            }
            (0x05, 3) => past::refused(rest, dar)?,
            _ => return None,
        };
        let apdu = [&[answered, *choice, *piid][..], &said, &TAIL].concat();
        Some(self.frame(USER_DATA | 0x40 | FROM_METER, request.client, &apdu))
    }

    fn frame(&self, control: u8, client: u8, apdu: &[u8]) -> Vec<u8> {
        let mut address = self.address;
        address.reverse();
        let length = LENGTH_END - 1 + 2 + address.len() + 1 + CHECK + apdu.len() + CHECK;
        let [low, high] = u16::try_from(length).unwrap_or(u16::MAX).to_le_bytes();
        let mut frame = vec![0xFE; self.plan.wake_up_bytes];
        frame.extend([START, low, high, control, SINGLE << 6 | 5]);
        frame.extend(address);
        frame.extend([client, 0, 0]);
        frame.extend(apdu);
        frame.extend([0, 0, END]);
        seal(&mut frame, self.plan.wake_up_bytes);
        frame
    }

    /// An answer in one frame, or its first part.
    fn framed(&mut self, client: u8, apdu: &[u8]) -> Option<Vec<u8>> {
        let control = USER_DATA | 0x40 | FROM_METER;
        if apdu.len() <= self.plan.answer_bytes_max {
            return Some(self.frame(control, client, apdu));
        }
        let parts: Vec<&[u8]> = apdu.chunks(self.plan.answer_bytes_max).collect();
        for (nth, part) in parts.iter().enumerate() {
            let place = match nth {
                0 => FIRST,
                _ if nth + 1 == parts.len() => LAST,
                _ => MIDDLE,
            };
            let numbered = [&[u8::try_from(nth).ok()?, place][..], part].concat();
            let frame = self.frame(control | FRAGMENT, client, &numbered);
            self.parts.push_back(frame);
        }
        self.parts.pop_front()
    }

    /// The part behind the one that is confirmed.
    fn next_part(&mut self, request: &Request<'_>) -> Option<Vec<u8>> {
        let [_, place] = request.apdu else { return None };
        (place & MIDDLE == CONFIRMATION).then(|| self.parts.pop_front()).flatten()
    }

    /// Does what an APDU asks; none: it is not understood, and silence is the answer.
    fn serve(&mut self, apdu: &[u8]) -> Option<Vec<u8>> {
        let [service, choice, piid, rest @ .., _no_time_tag] = apdu else { return None };
        let said = match (service, choice) {
            (0x05, 1) => self.result(rest.first_chunk()?),
            (0x05, 2) => {
                let (count, attributes) = rest.split_first()?;
                let attributes = attributes.chunks_exact(4).filter_map(|it| it.first_chunk());
                let results = attributes.flat_map(|attribute| self.result(attribute));
                std::iter::once(*count).chain(results).collect()
            }
            (0x05, 3) => self.record(rest)?,
            (0x06, 1) => {
                let (attribute, data) = rest.split_first_chunk::<4>()?;
                let dar = self.set(u32::from_be_bytes(*attribute), data);
                [&attribute[..], &[dar]].concat()
            }
            (0x07, 1) => {
                let (method, argument) = rest.split_first_chunk::<4>()?;
                let dar = self.act(u32::from_be_bytes(*method), argument);
                // And no data.
                [&method[..], &[dar, 0]].concat()
            }
            _ => return None,
        };
        Some([&[service | 0x80, *choice, *piid][..], &said, &TAIL].concat())
    }

    fn result(&self, attribute: &[u8; 4]) -> Vec<u8> {
        match self.value(u32::from_be_bytes(*attribute)) {
            Some(value) => [&attribute[..], &[1], &value].concat(),
            None => [&attribute[..], &[0, NO_OBJECT]].concat(),
        }
    }

    fn value(&self, attribute: u32) -> Option<Vec<u8>> {
        let phases = if self.plan.three_phase { 3 } else { 1 };
        let volts = u16::try_from(self.plan.voltage_decivolts).unwrap_or(u16::MAX);
        let watts = if self.open { 0 } else { self.load.watts };
        let one = |value: &[u8]| array(std::iter::repeat_n(value.to_vec(), phases).collect());
        Some(match attribute {
            0x0010_0200 => energies(&self.energies),
            0x0020_0200 => energies(&[self.plan.energy_reverse, 0, 0, 0]),
            0x2000_0200 => one(&[&[0x12][..], &volts.to_be_bytes()].concat()),
            0x2001_0200 => {
                let phases = u32::try_from(phases).unwrap_or(1);
                let volts_tenth = u32::from(volts.max(1)).saturating_mul(phases);
                let milliamperes = u64::from(watts) * 10_000 / u64::from(volts_tenth);
                let current = i32::try_from(milliamperes).unwrap_or(i32::MAX);
                one(&[&[0x05][..], &current.to_be_bytes()].concat())
            }
            // The total, 0.1 W.
            0x2004_0200 => {
                let power = i32::try_from(u64::from(watts) * 10).unwrap_or(i32::MAX);
                array(vec![[&[0x05][..], &power.to_be_bytes()].concat()])
            }
            0x200A_0200 => array(vec![vec![0x10, 0x03, 0xE8]]),
            0x200F_0200 => vec![0x12, 0x13, 0x88],
            0x2014_0200 => self.status(),
            0x202C_0200 => {
                structure(vec![double(self.plan.money_fen), double(self.plan.purchase_count)])
            }
            0x4000_0200 => moment(self.clock),
            0x4001_0200 => [&[0x09, 6][..], &self.address].concat(),
            attribute => return self.frozen_columns(attribute),
        })
    }

    /// Seven words of 16 bits, the first bit first. Of the third: 4 open, 6 told to open, 12 protected.
    fn status(&self) -> Vec<u8> {
        let bits = [(4, self.open), (6, self.told_to_open), (12, self.protected)];
        let third = bits.iter().filter(|(_, set)| *set);
        let third = third.fold(0_u16, |word, (bit, _)| word | 0x8000 >> bit).to_be_bytes();
        let word = |nth: usize| {
            let [first, second] = if nth == 3 { third } else { [0, 0] };
            vec![0x04, 16, first, second]
        };
        array((1..=7).map(word).collect())
    }

    fn set(&mut self, attribute: u32, data: &[u8]) -> u8 {
        if attribute != 0x4000_0200 {
            return if self.value(attribute).is_some() { DENIED } else { NO_OBJECT };
        }
        let &[0x1C, year_high, year_low, month, day, hour, minute, second] = data else {
            return WRONG_TYPE;
        };
        let year = i16::from_be_bytes([year_high, year_low]);
        let small = |part: u8| i8::try_from(part).unwrap_or(-1);
        let date = Date::new(year, small(month), small(day));
        let time = jiff::civil::Time::new(small(hour), small(minute), small(second), 0);
        let (Ok(date), Ok(time)) = (date, time) else { return WRONG_TYPE };
        self.event(past::CLOCK_SET, 2, true);
        self.clock = date.to_datetime(time);
        DONE
    }

    fn act(&mut self, method: u32, argument: &[u8]) -> u8 {
        /// The first relay.
        const RELAY: [u8; 5] = [0x51, 0xF2, 0x05, 0x02, 0x01];
        if self.plan.secured && matches!(method >> 16, 0x8000 | 0x8001) {
            return DENIED;
        }
        let of_relay = |fields: u8| {
            let argument = argument.strip_prefix(&[0x01, 1, 0x02, fields])?;
            argument.strip_prefix(&RELAY)
        };
        match method {
            // Warning before it, minutes, and whether it closes by itself.
            0x8000_8100 => match of_relay(4) {
                Some([0x11, _, 0x12, _, _, 0x03, _]) => {
                    self.told_to_open = true;
                    self.open |= !self.protected;
                    self.event(past::OPENED, 2, true);
                }
                _ => return WRONG_TYPE,
            },
            // Closing is allowed, or done.
            0x8000_8200 => match of_relay(2) {
                Some([0x16, directly @ (0 | 1)]) => {
                    self.told_to_open = false;
                    self.open &= *directly == 0;
                    self.event(past::CLOSED, 2, true);
                }
                _ => return WRONG_TYPE,
            },
            0x8001_7F00 => self.protected = true,
            0x8001_8000 => self.protected = false,
            _ => return NO_OBJECT,
        }
        DONE
    }

    pub fn set_load(&mut self, watts: u32) {
        self.load.watts = watts;
    }

    pub fn advance(&mut self, seconds: u32) {
        let mut left = seconds;
        while left > 0 {
            let now = step(self.clock, left);
            if !self.open {
                let used = self.load.use_up(self.clock, now, &[0; 4]);
                self.energies[used.tariff] += used.energy;
            }
            self.clock = later(self.clock, now);
            left -= now;
            let is_over = self.open || self.load.watts <= self.plan.overload_watts;
            let watches = self.plan.overload_watts > 0;
            if watches && !self.stands(past::OVERLOAD, 7, is_over) && !is_over {
                self.event(past::OVERLOAD, 7, false);
            }
            self.freeze();
        }
    }

    pub fn state(&self, meter: String, bus: String, faults_waiting: usize) -> State {
        let Counters { requests, sell_frames, open_frames, mac_failures } = self.counters;
        State {
            meter,
            bus,
            money_fen: i64::from(self.plan.money_fen),
            overdraft_fen: 0,
            count: self.plan.purchase_count,
            credited_fen: 0,
            credits: 0,
            taken_back_fen: 0,
            token_credit: 0,
            relay_closed: !self.open,
            relay_command_open: self.told_to_open,
            keep_power: self.protected,
            customer: None,
            requests,
            sell_frames,
            open_frames,
            mac_failures,
            suspended: false,
            energy: self.energies.iter().sum(),
            last_purchase: None,
            clock: self.clock,
            faults_waiting,
        }
    }
}

fn array(elements: Vec<Vec<u8>>) -> Vec<u8> {
    counted(0x01, elements)
}

fn structure(elements: Vec<Vec<u8>>) -> Vec<u8> {
    counted(0x02, elements)
}

fn counted(tag: u8, elements: Vec<Vec<u8>>) -> Vec<u8> {
    let count = u8::try_from(elements.len()).unwrap_or(u8::MAX);
    [vec![tag, count], elements.concat()].concat()
}

/// Double-long-unsigned.
fn double(value: u32) -> Vec<u8> {
    [&[0x06][..], &value.to_be_bytes()].concat()
}

/// Total and tariffs, 0.01 kWh.
fn energies(tariffs: &[u64; 4]) -> Vec<u8> {
    let total: u64 = tariffs.iter().sum();
    let all = std::iter::once(&total).chain(tariffs);
    array(all.map(|energy| double(u32::try_from(*energy).unwrap_or(u32::MAX))).collect())
}

/// Date-time-s: year, month, day, hour, minute, second.
fn moment(at: DateTime) -> Vec<u8> {
    let part = |part: i8| part.unsigned_abs();
    let [high, low] = at.year().to_be_bytes();
    let (month, day) = (part(at.month()), part(at.day()));
    vec![0x1C, high, low, month, day, part(at.hour()), part(at.minute()), part(at.second())]
}

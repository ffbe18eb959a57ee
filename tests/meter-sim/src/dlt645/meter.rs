//! One DL/T 645-2007 prepayment meter: which requests it hears, what it does with them and how time
//! passes in it. It answers frames of its own address only and never panics on their content.

use jiff::civil::DateTime;

use super::edition_1997;
use super::frame::{Request, build, from_bcd, matches, reversed};
use super::history::History;
use super::items::plan_digits;
use super::parts::Parts;
use super::purse::{Order, Purse, word};
use super::relay::{Cause, Relay, moment};
use super::security::{encrypt, mac, session};
use crate::device::{Answer, Counters, Credit, Purchase};
use crate::fault::Kind;
use crate::load::{Load, later, step, tariff_at};
use crate::plan::{Dlt645Plan, Editions, PurseKind};

const BROADCAST: [u8; 6] = [0x99; 6];
const ANYONE: [u8; 6] = [0xAA; 6];
/// MAC headers CLA INS P1 P2 (protocols.md 1.7).
const HEADER_MONEY: [u8; 4] = [0x84, 0x32, 0x01, 0x0C];
/// The same for money that goes out: DECREASE (ISO 7816: 30) where money comes in by INCREASE (32).
const HEADER_REFUND: [u8; 4] = [0x84, 0x30, 0x01, 0x0C];
const HEADER_CUSTOMER: [u8; 4] = [0x04, 0xD6, 0x82, 0x24];
/// Private key in use, version 1; the meaning of the four bytes is not public.
const KEY_INFO: [u8; 4] = [0x01, 0x00, 0x00, 0x00];
const DAY_SECONDS: u32 = 86_400;

#[derive(Debug)]
pub struct Meter {
    plan: Dlt645Plan,
    address: [u8; 6],
    number: [u8; 6],
    key: [u8; 16],
    password: [u8; 3],
    clock: DateTime,
    time_set_on: Option<jiff::civil::Date>,
    challenges: u64,
    authenticated: Option<Authenticated>,
    mac_failures_today: u32,
    suspended_until: Option<DateTime>,
    pub(super) purse: Purse,
    pub(super) relay: Relay,
    pub(super) load: Load,
    pub(super) energies: [u64; 4],
    /// What it keeps of the past.
    pub(super) history: History,
    /// An answer of several frames.
    pub(super) parts: Parts,
    pub(super) settings_1997: edition_1997::Settings,
    pub counters: Counters,
}

#[derive(Debug, Clone, Copy)]
struct Authenticated {
    random: [u8; 4],
    until: DateTime,
}

impl Meter {
    /// A meter as planned, or what is wrong with the plan.
    pub fn new(plan: Dlt645Plan) -> Result<Self, String> {
        let address = plan_digits("address", &plan.address)?;
        let number =
            plan_digits("meter_number", plan.meter_number.as_ref().unwrap_or(&plan.address))?;
        let key = hex::decode(&plan.key).ok().and_then(|key| key.try_into().ok());
        let key = key.ok_or("key is not 16 bytes in hex")?;
        let password = plan_digits("password", &plan.password)?;
        let customer =
            plan.customer.as_ref().map(|text| plan_digits("customer", text)).transpose()?;
        let clock = plan.clock.unwrap_or_else(|| jiff::Zoned::now().datetime());
        let mut purse = Purse {
            money_fen: plan.money_fen,
            overdraft_fen: plan.overdraft_fen,
            count: plan.purchase_count,
            customer,
            ..Purse::default()
        };
        if purse.count > 0 {
            // The purchase that the present count must come from.
            let amount_fen = plan.last_purchase_fen.unwrap_or(plan.money_fen);
            purse.remember(amount_fen, plan.money_fen.saturating_sub(amount_fen), clock);
        }
        let mut relay = Relay { keep: plan.keep_power, ..Relay::default() };
        if plan.relay_open {
            relay.trip(if plan.money_fen == 0 { Cause::Money } else { Cause::Command });
        }
        Ok(Self {
            address: reversed(address),
            number,
            key,
            password: reversed(password),
            clock,
            time_set_on: None,
            challenges: 0,
            authenticated: None,
            mac_failures_today: 0,
            suspended_until: None,
            history: History::new(relay.open.is_some()),
            purse,
            relay,
            load: Load::new(plan.load_watts),
            energies: plan.tariff_energies,
            parts: Parts::default(),
            settings_1997: edition_1997::Settings::default(),
            counters: Counters::default(),
            plan,
        })
    }

    pub(super) fn plan(&self) -> &Dlt645Plan {
        &self.plan
    }

    pub(super) fn plan_mut(&mut self) -> &mut Dlt645Plan {
        &mut self.plan
    }

    /// As on the wire, the lowest pair first.
    pub fn address(&self) -> [u8; 6] {
        self.address
    }

    /// The meter number in natural order.
    pub(super) fn number(&self) -> [u8; 6] {
        self.number
    }

    pub fn clock(&self) -> DateTime {
        self.clock
    }

    /// With authority: by any amount, and no broadcast is used up.
    pub(super) fn set_clock(&mut self, to: DateTime) {
        let before = std::mem::replace(&mut self.clock, to);
        self.note_clock_set(before);
    }

    pub fn become_another(&mut self, count: u32, last_fen: u32) {
        self.purse.become_another(count, last_fen, self.clock);
    }

    pub fn purse(&self) -> &Purse {
        &self.purse
    }

    pub fn relay(&self) -> &Relay {
        &self.relay
    }

    pub fn energy_total(&self) -> u64 {
        self.energies.iter().sum()
    }

    /// Both alarm amounts.
    pub fn alarms_fen(&self) -> [u32; 2] {
        [self.plan.alarm_1_fen, self.plan.alarm_2_fen]
    }

    pub fn suspended(&self) -> bool {
        self.suspended_until.is_some_and(|until| self.clock < until)
    }

    pub(super) fn exhausted(&self) -> bool {
        self.purse.exhausted(self.plan.overdraft_limit_fen)
    }

    pub(super) fn price_now_fen(&self) -> u32 {
        self.plan.prices_fen.get(tariff_at(self.clock)).copied().unwrap_or(0)
    }

    pub(super) fn authenticated_minutes(&self) -> u64 {
        let Some(Authenticated { until, .. }) = self.authenticated else { return 0 };
        let seconds = self.clock.duration_until(until).as_secs();
        u64::try_from(seconds).unwrap_or(0).div_ceil(60)
    }

    /// Whether data that begins with PA and a password may pass at this level.
    pub(super) fn permits(&self, data: &[u8], level: u8) -> bool {
        data.split_first_chunk::<4>().is_some_and(|(&[given, p0, p1, p2], _)| {
            given == level && [p0, p1, p2] == self.password
        })
    }

    /// Whether this meter takes the request as meant for it (address rules of protocols.md 1.1).
    pub fn hears(&self, address: [u8; 6], control: u8) -> bool {
        if control & 0x80 != 0 {
            return false;
        }
        if address == BROADCAST {
            return matches!(control, 0x08 | 0x16 | 0x1D);
        }
        let of_1997 = self.knows_1997() && matches!(control, 0x01 | 0x02 | 0x04);
        if self.plan.editions == Editions::Of1997 && !of_1997 {
            return false;
        }
        if address == ANYONE {
            let asks = of_1997 && control != 0x04;
            return asks || matches!(control, 0x11 | 0x12 | 0x13 | 0x15);
        }
        matches(address, self.address)
    }

    fn knows_1997(&self) -> bool {
        self.plan.editions != Editions::Of2007
    }

    pub fn kind(request: &Request) -> Kind {
        match (request.control, request.data.get(..4)) {
            (0x11, Some([_, _, 0x33, 0x03])) => Kind::Check,
            (0x11..=0x13 | 0x01 | 0x02, _) => Kind::Read,
            (0x03, Some([0xFF, 0x00, 0x00, 0x07])) => Kind::Authenticate,
            (0x03, Some([0xFF, 0x01, 0x01, 0x07])) => Kind::Open,
            (0x03, Some([0xFF, 0x02, 0x01, 0x07])) => Kind::Sell,
            (0x03, Some([0xFF, 0x08, 0x01, 0x07])) => Kind::Refund,
            (0x03, Some([0xFF, 0x02, 0x81, 0x07] | [0xFF, 0x02, 0x00, 0x07])) => Kind::Check,
            (0x14 | 0x04, _) => Kind::Write,
            (0x1A, _) => Kind::Clear,
            (0x1C, _) => Kind::Control,
            _ => Kind::Other,
        }
    }

    /// Does what the request asks and builds the reply; none for a broadcast.
    pub fn answer(&mut self, request: &Request) -> Answer {
        if request.address == BROADCAST {
            if request.control == 0x08 {
                self.set_time(&request.data);
            }
            return Answer::default();
        }
        let mut credit = None;
        let data = request.data.as_slice();
        let done = |result: Result<(), u8>| match result {
            Ok(()) => (request.control | 0x80, Vec::new()),
            Err(byte) => (request.control | 0xC0, vec![byte]),
        };
        let (control, data) = match request.control {
            0x11 => match data.first_chunk::<4>() {
                None => (0xD1, vec![0x01]),
                Some(&identifier) => match self.asked_for(identifier, &data[4..]) {
                    None => (0xD1, vec![0x02]),
                    Some(value) => {
                        let (first, more) = self.first_part(&identifier, value);
                        let control = if more { 0xB1 } else { 0x91 };
                        (control, [identifier.as_slice(), &first].concat())
                    }
                },
            },
            0x12 => self.follow_up(data),
            0x01 | 0x02 | 0x04 if self.knows_1997() => self.answer_1997(request.control, data),
            0x13 => (0x93, self.address.to_vec()),
            0x14 => done(self.write(data)),
            0x1A => done(self.clear(data)),
            0x1C => self.control(data),
            0x03 => match self.prepay(data, &mut credit) {
                Ok(reply) => (0x83, reply),
                Err(word) => (0xC3, word.to_le_bytes().to_vec()),
            },
            other => (other | 0xC0, vec![0x01]),
        };
        self.note_relay();
        let reply = build(self.plan.wake_up_bytes, self.address, control, &data);
        Answer { reply: Some(reply), credit }
    }

    /// C=12H: identifier and the part's number, which the reply repeats behind the data.
    fn follow_up(&mut self, data: &[u8]) -> (u8, Vec<u8>) {
        let part = match data.split_first_chunk::<4>() {
            Some((identifier, &[number])) => {
                let identifier = *identifier;
                self.next_part(&identifier, Some(number)).map(|part| (identifier, number, part))
            }
            _ => None,
        };
        match part {
            None => (0xD2, vec![0x02]),
            Some((identifier, number, (part, more))) => {
                let data = [identifier.as_slice(), &part, &[number]].concat();
                (if more { 0xB2 } else { 0x92 }, data)
            }
        }
    }

    /// The reply of a refusal that a fault ordered.
    pub fn refuse(&self, request: &Request, word: u16) -> Vec<u8> {
        let words = self.plan.relay_replies == crate::plan::RelayReplies::Words;
        let [low, high] = word.to_le_bytes();
        let long = request.control == 0x03 || (request.control == 0x1C && words);
        let data = if long { vec![low, high] } else { vec![low] };
        build(self.plan.wake_up_bytes, self.address, request.control | 0xC0, &data)
    }

    /// C=03H: identifier, operator, then fields that are each reversed on their own.
    fn prepay(&mut self, data: &[u8], credit: &mut Option<Credit>) -> Result<Vec<u8>, u16> {
        let (&identifier, rest) = data.split_first_chunk::<4>().ok_or(word::OTHER)?;
        let (_operator, fields) = rest.split_first_chunk::<4>().ok_or(word::OTHER)?;
        let reply = match identifier {
            [0xFF, 0x00, 0x00, 0x07] => self.authenticate(fields)?,
            [0xFF, 0x02, 0x00, 0x07] => self.end_authentication()?,
            [0xFF, 0x02, 0x81, 0x07] => self.purse_status(),
            [0xFF, opening @ (0x01 | 0x02), 0x01, 0x07] => {
                let order = self.order(fields, HEADER_MONEY)?;
                let limit = self.plan.hoarding_limit_fen;
                let taken = if opening == 0x01 {
                    self.purse.open(order, limit, self.clock)?
                } else {
                    self.purse.recharge(order, limit, self.clock)?
                };
                self.close_after_purchase(taken);
                *credit = taken.applied.then_some(taken);
                Vec::new()
            }
            [0xFF, 0x08, 0x01, 0x07] => {
                let order = self.order(fields, HEADER_REFUND)?;
                self.purse.refund(order, self.clock)?;
                Vec::new()
            }
            _ => return Err(word::OTHER),
        };
        Ok([identifier.as_slice(), &reply].concat())
    }

    fn authenticate(&mut self, fields: &[u8]) -> Result<Vec<u8>, u16> {
        let fields = <[u8; 24]>::try_from(fields).map_err(|_| word::OTHER)?;
        let [cipher, random, factor] = [0, 8, 16].map(|at| {
            let mut field = [0; 8];
            field.copy_from_slice(&fields[at..at + 8]);
            reversed(field)
        });
        let mut expected_factor = [0; 8];
        expected_factor[2..].copy_from_slice(&self.number);
        let key = session(self.key, factor);
        if factor != expected_factor || encrypt(key, random) != cipher {
            self.authenticated = None;
            return Err(word::AUTHENTICATION);
        }
        self.challenges += 1;
        let [r0, r1, r2, r3, ..] = encrypt(self.key, self.challenges.to_be_bytes());
        let until = later(self.clock, self.plan.authentication_minutes.saturating_mul(60));
        self.authenticated = Some(Authenticated { random: [r0, r1, r2, r3], until });
        let mut esam = [0; 8];
        esam[2..].copy_from_slice(&self.number);
        Ok([[r3, r2, r1, r0].as_slice(), &reversed(esam)].concat())
    }

    fn random(&self) -> Result<[u8; 4], u16> {
        let valid = self.authenticated.filter(|authenticated| self.clock < authenticated.until);
        valid.map(|authenticated| authenticated.random).ok_or(word::AUTHENTICATION)
    }

    /// The fields of what moves money, checked in the order of protocols.md 1.6 up to both MACs.
    fn order(&mut self, fields: &[u8], header: [u8; 4]) -> Result<Order, u16> {
        let random = self.random()?;
        if self.suspended() {
            return Err(word::SUSPENDED);
        }
        if !self.plan.private_key {
            return Err(word::OTHER);
        }
        let fields = <[u8; 22]>::try_from(fields).map_err(|_| word::OTHER)?;
        let [a0, a1, a2, a3, n0, n1, n2, n3, m0, m1, m2, m3, rest @ ..] = fields;
        let [c0, c1, c2, c3, c4, c5, k0, k1, k2, k3] = rest;
        let customer = [c5, c4, c3, c2, c1, c0];
        let money = [a3, a2, a1, a0, n3, n2, n1, n0];
        let right = mac(self.key, random, header, &money) == [m3, m2, m1, m0]
            && mac(self.key, random, HEADER_CUSTOMER, &customer) == [k3, k2, k1, k0];
        if !right {
            self.count_mac_failure();
            return Err(word::ESAM);
        }
        if from_bcd(&customer).is_none() {
            return Err(word::CUSTOMER);
        }
        Ok(Order {
            amount_fen: u32::from_le_bytes([a0, a1, a2, a3]),
            count: u32::from_le_bytes([n0, n1, n2, n3]),
            customer,
        })
    }

    fn count_mac_failure(&mut self) {
        self.counters.mac_failures += 1;
        self.mac_failures_today += 1;
        if self.mac_failures_today >= self.plan.suspend_after {
            self.suspended_until = Some(later(self.clock, DAY_SECONDS));
            self.mac_failures_today = 0;
        }
    }

    fn end_authentication(&mut self) -> Result<Vec<u8>, u16> {
        self.random()?;
        self.authenticated = None;
        let customer = reversed(self.purse.customer.unwrap_or_default());
        let money = self.purse.money_fen.to_le_bytes();
        let count = self.purse.count.to_le_bytes();
        Ok([customer.as_slice(), &money, &count, &KEY_INFO].concat())
    }

    /// Needs no authentication; how its MACs are made is not public, so they are this meter's own.
    fn purse_status(&self) -> Vec<u8> {
        let random = self.authenticated.map_or([0; 4], |authenticated| authenticated.random);
        let sealed = |value: u32| {
            let code = mac(self.key, random, HEADER_MONEY, &value.to_be_bytes());
            [value.to_le_bytes(), reversed(code)].concat()
        };
        let customer = reversed(self.purse.customer.unwrap_or_default());
        let (money, count) = (sealed(self.purse.money_fen), sealed(self.purse.count));
        [money.as_slice(), &count, &customer, &KEY_INFO].concat()
    }

    fn close_after_purchase(&mut self, taken: Credit) {
        let enough = self.purse.money_fen >= self.plan.close_minimum_fen && !self.exhausted();
        if taken.applied && enough && self.relay.open == Some(Cause::Money) {
            self.relay.close();
        }
    }

    /// C=08H: taken once a day, not near midnight, and only to mend a small drift (protocols.md
    /// 1.1).
    fn set_time(&mut self, data: &[u8]) {
        let Some(time) = data.try_into().ok().and_then(moment) else { return };
        let drift = self.clock.duration_until(time).as_secs().unsigned_abs();
        let minute = i32::from(self.clock.hour()) * 60 + i32::from(self.clock.minute());
        let near_midnight = !(5..24 * 60 - 5).contains(&minute);
        if drift > 300 || near_midnight || self.time_set_on == Some(self.clock.date()) {
            return;
        }
        let before = std::mem::replace(&mut self.clock, time);
        self.note_clock_set(before);
        self.time_set_on = Some(time.date());
    }

    /// The customer's hand at the button: closes a relay whose closing is allowed.
    pub fn press(&mut self) {
        if self.relay.open.is_some() && !self.relay.command_open {
            self.relay.close();
            self.note_relay();
        }
    }

    /// Lets the load run and the clock go on.
    pub fn advance(&mut self, mut seconds: u32) {
        while seconds > 0 {
            let step = step(self.clock, seconds);
            seconds -= step;
            if self.relay.open.is_none() {
                let used = self.load.use_up(self.clock, step, &self.plan.prices_fen);
                if let Some(energy) = self.energies.get_mut(used.tariff) {
                    *energy += used.energy;
                }
                self.purse.spend(match self.plan.purse {
                    PurseKind::Money => used.cost_fen,
                    PurseKind::Energy => u32::try_from(used.energy).unwrap_or(u32::MAX),
                });
            }
            let day = self.clock.date();
            self.clock = later(self.clock, step);
            if self.clock.date() != day {
                self.mac_failures_today = 0;
            }
            self.relay.tick(self.clock);
            if self.relay.open.is_none() && !self.relay.keep && self.exhausted() {
                self.relay.trip(Cause::Money);
            }
            self.keep_history();
        }
    }

    /// Only the clock goes on.
    pub(super) fn sleep(&mut self, seconds: u32) {
        self.clock = later(self.clock, seconds);
    }

    pub fn set_load(&mut self, watts: u32) {
        self.load.watts = watts;
    }

    pub fn last_purchase(&self) -> Option<Purchase> {
        self.purse.purchases.front().cloned()
    }
}

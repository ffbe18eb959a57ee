//! The meter: what it holds, whom it hears, how an APDU is answered.

use std::collections::BTreeMap;

use jiff::civil::DateTime;

use super::ber::{Answered, asked, proposal, response};
use super::calendar::Calendar;
use super::data;
use super::profiles::{Event, Profiles};
use super::security::Keys;
use super::server::{
    Association, Client, DISC, DM, INFORMATION_BYTES, Link, SNRM, Step, UA, agreed, takes,
};
use super::settings::{Limit, Prices};
use super::wire::{Frame, Request, wrapped};
use crate::device::{Answer, Counters, Credit, State};
use crate::fault::Kind;
use crate::keypad::Keypad;
use crate::load::{Load, later, step, tariff_at};
use crate::plan::{DlmsPlan, DlmsSecurity};

/// GET, SET, ACTION, selective access, blocks with GET; several at once if the plan says so, blocks
/// with SET if the client does.
const CONFORMANCE: [u8; 3] = [0x00, 0x10, 0x1D];
const SEVERAL: u8 = 0x02;
/// SET in blocks, where the client asks for it.
const BLOCKS_OF_SET: u8 = 0x08;
/// Results of an AARQ.
const NOT_SUPPORTED_CONTEXT: u8 = 2;
const NOT_RECOGNISED_MECHANISM: u8 = 11;
const AUTHENTICATION_FAILURE: u8 = 13;
const AUTHENTICATION_REQUIRED: u8 = 14;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Supply {
    Disconnected,
    Connected,
    Ready,
}

#[derive(Debug)]
pub struct Meter {
    pub(super) plan: DlmsPlan,
    pub(super) keys: Option<Keys>,
    pub(super) title: [u8; 8],
    pub(super) clock: DateTime,
    pub(super) supply: Supply,
    pub(super) energies: [u64; 4],
    pub(super) balance_fen: i64,
    pub(super) charged_fen: u64,
    /// The last token and what became of it.
    pub(super) token: (Vec<u8>, u8),
    /// What knows its tokens.
    pub(super) keypad: Option<Keypad>,
    /// The highest counter that a client has used with the key.
    pub(super) counter: u32,
    pub(super) own_counter: u32,
    pub(super) limit: Limit,
    pub(super) warning_fen: i32,
    pub(super) prices: Prices,
    pub(super) calendar: Calendar,
    pub(super) alarms: u32,
    pub(super) profiles: Profiles,
    load: Load,
    clients: BTreeMap<u16, Client>,
    credited_fen: u64,
    credits: u64,
    credit: Option<Credit>,
    pub counters: Counters,
}

impl Meter {
    /// A meter as planned, or what is wrong with the plan.
    pub fn new(plan: DlmsPlan) -> Result<Self, String> {
        if plan.logical_device == 0 || plan.logical_device > 0x3FFF {
            return Err(format!("{} is no logical device from 1 to 16383", plan.logical_device));
        }
        if plan.physical_device > 0x3FFF {
            return Err(format!("{} is no physical device up to 16383", plan.physical_device));
        }
        let keys = match &plan.security {
            DlmsSecurity::None | DlmsSecurity::Low { .. } => None,
            DlmsSecurity::Gmac { encryption_key, authentication_key } => Some(Keys {
                encryption: key(encryption_key)?,
                authentication: key(authentication_key)?,
            }),
        };
        let mut title = *b"SIM\0\0\0\0\0";
        let number = plan.serial.bytes().rev().zip(title.iter_mut().skip(3).rev());
        number.for_each(|(digit, place)| *place = digit);
        let clock = plan.clock.unwrap_or_else(|| jiff::Zoned::now().datetime());
        Ok(Self {
            keys,
            title,
            clock,
            supply: if plan.disconnected { Supply::Disconnected } else { Supply::Connected },
            energies: plan.tariff_energies,
            balance_fen: i64::from(plan.balance_fen),
            charged_fen: 0,
            token: (Vec::new(), 0),
            keypad: plan.keypad.as_ref().map(Keypad::new),
            counter: plan.counter,
            own_counter: 0,
            limit: Limit::new(plan.limit_watts, plan.limit_seconds),
            warning_fen: plan.low_credit_fen,
            prices: Prices {
                active: [plan.price_fen; 4],
                passive: [plan.price_fen; 4],
                from: None,
            },
            calendar: Calendar::default(),
            alarms: 0,
            profiles: Profiles::new(plan.load_period_seconds),
            load: Load::new(plan.load_watts),
            clients: BTreeMap::new(),
            credited_fen: 0,
            credits: 0,
            credit: None,
            counters: Counters::default(),
            plan,
        })
    }

    pub fn hears(&self, request: &Request<'_>) -> bool {
        let (logical, physical) = match request {
            Request::Wrapped { device, .. } => (*device, None),
            Request::Hdlc(frame) => match frame.device() {
                Some(device) => device,
                None => return false,
            },
        };
        logical == self.plan.logical_device
            && physical.is_none_or(|physical| physical == self.plan.physical_device)
    }

    /// By what stands in the clear; what a ciphered question asks is nobody's business.
    pub fn kind(request: &Request<'_>) -> Kind {
        let apdu = match request {
            Request::Wrapped { apdu, .. } => *apdu,
            Request::Hdlc(frame) => frame.information.get(3..).unwrap_or_default(),
        };
        match apdu {
            [0x60 | 0x62, ..] => Kind::Authenticate,
            [0xC0 | 0xC8, ..] => Kind::Read,
            [0xC1 | 0xC9, ..] => Kind::Write,
            [0xC3, _, _, 0, 112 | 115, ..] => Kind::Sell,
            [0xC3 | 0xCB, ..] => Kind::Control,
            _ => Kind::Other,
        }
    }

    pub fn answer(&mut self, request: &Request<'_>) -> Answer {
        let reply = match request {
            Request::Wrapped { client, device, apdu } => {
                self.apdu(*client, apdu).map(|apdu| wrapped(*device, *client, &apdu))
            }
            Request::Hdlc(frame) => Some(self.frame(frame)),
        };
        Answer { reply, credit: self.credit.take() }
    }

    fn frame(&mut self, frame: &Frame<'_>) -> Vec<u8> {
        let number = u16::from(frame.client);
        let client = self.clients.entry(number).or_default();
        match (frame.control, &mut client.link) {
            (SNRM, _) => {
                let own = usize::from(self.plan.information_bytes_max);
                let takes = takes(frame.information);
                client.association = None;
                client.link = Some(Link::new(own.min(takes)));
                frame.answer(UA, false, &agreed(self.plan.information_bytes_max))
            }
            (DISC, Some(_)) => {
                *client = Client::default();
                frame.answer(UA, false, &[])
            }
            (_, None) => frame.answer(DM, false, &[]),
            (_, Some(link)) => match link.step(frame) {
                Step::Reply(reply) => reply,
                Step::Question(apdu) => {
                    let answer = self.apdu(number, &apdu);
                    let client = self.clients.entry(number).or_default();
                    let link = client.link.get_or_insert_with(|| Link::new(INFORMATION_BYTES));
                    link.answer(frame, answer)
                }
            },
        }
    }

    /// The answer to one APDU.
    fn apdu(&mut self, number: u16, apdu: &[u8]) -> Option<Vec<u8>> {
        let (tag, rest) = apdu.split_first()?;
        let mut client = self.clients.remove(&number).unwrap_or_default();
        let answer = match (tag, &mut client.association) {
            (0x60, _) => {
                let (answer, association) = self.associate(number, apdu);
                client.association = association;
                answer
            }
            (0x62, Some(_)) => {
                client.association = None;
                vec![0x63, 0x03, 0x80, 0x01, 0x00]
            }
            (0xC8 | 0xC9 | 0xCB, Some(association)) if association.ciphered => {
                self.ciphered(association, rest)
            }
            (0xC0 | 0xC1 | 0xC3, Some(association)) if !association.ciphered => {
                self.service(association, apdu)
            }
            // Not allowed, and not possible.
            (_, _) => exception(1, 1),
        };
        self.clients.insert(number, client);
        Some(answer)
    }

    /// Opens a ciphered question, answers it and seals the answer.
    fn ciphered(&mut self, association: &mut Association, rest: &[u8]) -> Vec<u8> {
        let Some((sealed, [])) = data::take_counted(rest) else { return exception(2, 3) };
        let opened = self.keys.and_then(|keys| keys.open(association.title, sealed));
        let Some((counter, plain)) = opened else {
            self.counters.mac_failures += 1;
            return exception(1, 5);
        };
        if counter <= self.counter {
            let next = self.counter.saturating_add(1).to_be_bytes();
            return [&[0xD8, 0x01, 0x06], &next[..]].concat();
        }
        self.counter = counter;
        let answer = match plain.first() {
            Some(0xC0 | 0xC1 | 0xC3) => self.service(association, &plain),
            _ => exception(2, 2),
        };
        match answer.first() {
            // C4, C5 and C7 under the key are CC, CD and CF.
            Some(tag @ 0xC4..=0xC7) => self.sealed(tag | 0x08, &answer),
            _ => answer,
        }
    }

    fn sealed(&mut self, tag: u8, plain: &[u8]) -> Vec<u8> {
        let Some(keys) = self.keys else { return exception(1, 5) };
        self.own_counter += 1;
        let sealed = keys.seal(self.title, self.own_counter, plain);
        [&[tag], data::length(sealed.len()).as_slice(), &sealed].concat()
    }

    /// AARQ: the AARE, and the association where it is not rejected.
    fn associate(&mut self, client: u16, apdu: &[u8]) -> (Vec<u8>, Option<Association>) {
        let Some(asked) = asked(apdu) else { return (exception(2, 3), None) };
        let ciphered = asked.context == 3;
        let rejected = |diagnostic| {
            let context = if ciphered { 3 } else { 1 };
            let (title, challenge) = (None, None);
            let agreed: &[u8] = &[];
            (Answered { context, result: 1, diagnostic, title, challenge, agreed }.bytes(), None)
        };
        if !matches!(asked.context, 1 | 3) || (ciphered && self.keys.is_none()) {
            return rejected(NOT_SUPPORTED_CONTEXT);
        }
        let wants = match (&self.plan.security, asked.mechanism) {
            (_, 0) => 0,
            (DlmsSecurity::Low { password }, 1) if password.as_bytes() == asked.authentication => 1,
            (DlmsSecurity::Low { .. }, 1) => return rejected(AUTHENTICATION_FAILURE),
            (DlmsSecurity::Gmac { .. }, 5) if ciphered => 5,
            _ => return rejected(NOT_RECOGNISED_MECHANISM),
        };
        let title = asked.title.unwrap_or_default();
        let proposed = match asked.proposal {
            [0x21, rest @ ..] => {
                let sealed = data::take_counted(rest).map(|(sealed, _)| sealed);
                let opened = self.keys.zip(sealed).and_then(|(keys, it)| keys.open(title, it));
                match opened {
                    Some((counter, plain)) if counter > self.counter => {
                        self.counter = counter;
                        proposal(&plain)
                    }
                    _ => return rejected(AUTHENTICATION_FAILURE),
                }
            }
            plain if !ciphered => proposal(plain),
            _ => None,
        };
        let Some((conformance, takes)) = proposed else { return rejected(1) };
        let asks_several = conformance.get(1).is_some_and(|bits| bits & SEVERAL != 0);
        let several = self.plan.several && asks_several;
        let blocks_of_set = conformance.get(1).is_some_and(|bits| bits & BLOCKS_OF_SET != 0);
        let association = Association {
            mechanism: wants,
            open: wants != 5,
            ciphered,
            title,
            challenges: (asked.authentication.to_vec(), self.challenge(client)),
            apdu_bytes_max: shorter(usize::from(takes), usize::from(self.plan.apdu_bytes_max)),
            several,
            blocks_of_set,
            blocks: None,
            writing: None,
        };
        let [a, mut b, c] = CONFORMANCE;
        for (is_agreed, bit) in [(several, SEVERAL), (blocks_of_set, BLOCKS_OF_SET)] {
            b |= if is_agreed { bit } else { 0 };
        }
        let agreed = response([a, b, c], self.plan.apdu_bytes_max);
        let agreed = if ciphered { self.sealed(0x28, &agreed) } else { agreed };
        let answered = Answered {
            context: asked.context,
            result: 0,
            diagnostic: if wants == 5 { AUTHENTICATION_REQUIRED } else { 0 },
            title: ciphered.then_some(self.title),
            challenge: (wants == 5).then_some((5, association.challenges.1.as_slice())),
            agreed: &agreed,
        };
        (answered.bytes(), Some(association))
    }

    /// Different for every association; a real meter asks its random source.
    fn challenge(&self, client: u16) -> Vec<u8> {
        let seed = [&self.title[..], &client.to_be_bytes(), &self.counter.to_be_bytes()].concat();
        seed.iter().cycle().take(16).zip(1_u8..).map(|(byte, nth)| byte.wrapping_mul(nth)).collect()
    }

    pub(super) fn watts(&self) -> u32 {
        if self.supply == Supply::Connected { self.load.watts } else { 0 }
    }

    pub(super) fn add_credit(&mut self, amount_fen: i32) {
        self.balance_fen += i64::from(amount_fen);
        let count = u32::try_from(self.credits).unwrap_or(u32::MAX).saturating_add(1);
        self.credits += 1;
        let amount_fen = u32::try_from(amount_fen).unwrap_or(0);
        self.credited_fen += u64::from(amount_fen);
        self.credit = Some(Credit { count, amount_fen, applied: true });
    }

    pub fn set_load(&mut self, watts: u32) {
        self.load.watts = watts;
    }

    /// Counts and charges; without credit the supply waits for a hand.
    pub fn advance(&mut self, mut seconds: u32) {
        while seconds > 0 {
            let step = step(self.clock, seconds);
            seconds -= step;
            self.switch_prices();
            if self.supply == Supply::Connected {
                let tariff =
                    self.calendar.tariff(self.clock).unwrap_or_else(|| tariff_at(self.clock));
                let used = self.load.use_up_in(tariff, step, &self.prices.active);
                if let Some(energy) = self.energies.get_mut(used.tariff) {
                    *energy += used.energy;
                }
                self.balance_fen -= i64::from(used.cost_fen);
                self.charged_fen += u64::from(used.cost_fen);
                let is_charged = self.prices.active.iter().any(|price| *price > 0);
                if is_charged && self.balance_fen <= 0 && self.plan.control_mode != 0 {
                    self.supply = Supply::Ready;
                    self.event(Event::OpenedByItself);
                }
            }
            self.supervise(step);
            self.clock = later(self.clock, step);
            self.capture();
        }
    }

    /// The hand at the meter.
    pub fn press(&mut self) {
        if self.supply == Supply::Ready && self.balance_fen > 0 {
            self.supply = Supply::Connected;
            self.event(Event::SwitchedByHand);
        }
    }

    /// What was written into it, by the trade's names.
    pub fn settings_fen(&self) -> Vec<(&'static str, u32)> {
        vec![
            ("overload-power", self.limit.watts),
            ("overload-delay", self.limit.seconds),
            ("credit-warning", u32::try_from(self.warning_fen).unwrap_or(0)),
        ]
    }

    pub fn state(&self, meter: String, bus: String, faults_waiting: usize) -> State {
        State {
            meter,
            bus,
            money_fen: self.balance_fen,
            overdraft_fen: 0,
            count: u32::try_from(self.credits).unwrap_or(u32::MAX),
            credited_fen: self.credited_fen,
            credits: self.credits,
            taken_back_fen: 0,
            token_credit: self.keypad.as_ref().map_or(0, |keypad| keypad.credit),
            relay_closed: self.supply == Supply::Connected,
            relay_command_open: self.supply == Supply::Disconnected,
            keep_power: false,
            customer: None,
            requests: self.counters.requests,
            sell_frames: self.counters.sell_frames,
            open_frames: 0,
            mac_failures: self.counters.mac_failures,
            suspended: false,
            energy: self.energies.iter().sum(),
            last_purchase: None,
            clock: self.clock,
            faults_waiting,
        }
    }
}

/// Sixteen bytes in hex.
fn key(text: &str) -> Result<[u8; 16], String> {
    let bytes = hex::decode(text).ok().and_then(|bytes| bytes.try_into().ok());
    bytes.ok_or_else(|| "a key is not 16 bytes in hex".to_owned())
}

pub(super) fn exception(state: u8, service: u8) -> Vec<u8> {
    vec![0xD8, state, service]
}

/// Zero is no limit.
fn shorter(one: usize, other: usize) -> usize {
    match (one, other) {
        (0, only) | (only, 0) => only,
        (one, other) => one.min(other),
    }
}

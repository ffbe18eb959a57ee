//! A prepayment meter of Sfere on Modbus RTU, as far as `protocols.md` 3.3 knows it: energies by tariff,
//! the ratio of its transformer and the relay. It stands for the plain instruments whose register map is
//! data.
//!
//! Deliberately not here: a purse, which is the platform's.

use jiff::civil::DateTime;

use crate::device::{Answer, Counters, State};
use crate::fault::Kind;
use crate::load::{Load, later, step};
use crate::modbus::{seal, word_at};
use crate::plan::SferePlan;

type Exception = u8;
const ILLEGAL_FUNCTION: Exception = 1;
const ILLEGAL_ADDRESS: Exception = 2;
const ILLEGAL_VALUE: Exception = 3;

/// Total energy, two registers, 0.01 kWh.
const TOTAL: u16 = 0x0073;
/// Sharp, peak, flat, valley and deep valley, two registers each.
const TARIFFS: u16 = 0x008B;
const TARIFFS_END: u16 = 0x0094;
const CURRENT_RATIO: u16 = 0x080B;
/// 1 closes, 2 opens.
const RELAY: u16 = 0x0B25;
const CLOSED: u16 = 1;
const OPEN: u16 = 2;

#[derive(Debug)]
pub struct Meter {
    plan: SferePlan,
    clock: DateTime,
    load: Load,
    /// Sharp, peak, flat, valley and deep valley, 0.01 kWh.
    energies: [u64; 5],
    open: bool,
    pub counters: Counters,
}

impl Meter {
    /// A meter as planned, or what is wrong with the plan.
    pub fn new(plan: SferePlan) -> Result<Self, String> {
        if !(1..=247).contains(&plan.unit) {
            return Err(format!("unit {} is not in 1 to 247", plan.unit));
        }
        Ok(Self {
            clock: plan.clock.unwrap_or_else(|| jiff::Zoned::now().datetime()),
            load: Load::new(plan.load_watts),
            energies: plan.tariff_energies,
            open: plan.relay_open,
            counters: Counters::default(),
            plan,
        })
    }

    pub fn unit(&self) -> u8 {
        self.plan.unit
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
        }
    }

    pub fn kind(frame: &[u8]) -> Kind {
        match (frame.get(1), word_at(frame, 2)) {
            (Some(0x03), _) => Kind::Read,
            (Some(0x06 | 0x10), Some(RELAY)) => Kind::Control,
            (Some(0x06 | 0x10), _) => Kind::Write,
            _ => Kind::Other,
        }
    }

    /// Does what a checked frame for this unit asks.
    pub fn answer(&mut self, frame: &[u8]) -> Answer {
        let reply = match self.serve(frame) {
            Ok(body) => {
                let function = frame.get(1).copied().unwrap_or(0);
                let mut reply = [&[self.plan.unit, function][..], &body, &[0, 0]].concat();
                seal(&mut reply);
                reply
            }
            Err(exception) => self.refuse(frame, exception),
        };
        Answer { reply: Some(reply), credit: None }
    }

    /// An exception reply.
    pub fn refuse(&self, frame: &[u8], exception: Exception) -> Vec<u8> {
        let function = frame.get(1).copied().unwrap_or(0) | 0x80;
        let mut reply = vec![self.plan.unit, function, exception, 0, 0];
        seal(&mut reply);
        reply
    }

    fn serve(&mut self, frame: &[u8]) -> Result<Vec<u8>, Exception> {
        let start = word_at(frame, 2).ok_or(ILLEGAL_VALUE)?;
        let word = word_at(frame, 4).ok_or(ILLEGAL_VALUE)?;
        match frame.get(1) {
            Some(0x03) if (1..=125).contains(&word) => {
                let mut body = vec![u8::try_from(word * 2).map_err(|_| ILLEGAL_VALUE)?];
                for offset in 0..word {
                    let address = start.checked_add(offset).ok_or(ILLEGAL_ADDRESS)?;
                    body.extend(self.register(address).ok_or(ILLEGAL_ADDRESS)?.to_be_bytes());
                }
                return Ok(body);
            }
            Some(0x03) => return Err(ILLEGAL_VALUE),
            Some(0x06) => self.write(start, word)?,
            Some(0x10) if word == 1 => {
                self.write(start, word_at(frame, 7).ok_or(ILLEGAL_VALUE)?)?
            }
            Some(0x10) => return Err(ILLEGAL_ADDRESS),
            _ => return Err(ILLEGAL_FUNCTION),
        }
        Ok(frame.get(2..6).unwrap_or_default().to_vec())
    }

    fn write(&mut self, register: u16, value: u16) -> Result<(), Exception> {
        match (register, value) {
            (RELAY, CLOSED) => self.open = false,
            (RELAY, OPEN) => self.open = true,
            (RELAY, _) => return Err(ILLEGAL_VALUE),
            _ => return Err(ILLEGAL_ADDRESS),
        }
        Ok(())
    }

    fn register(&self, address: u16) -> Option<u16> {
        let half = |energy: u64, place: u16| {
            let [a, b, c, d] = u32::try_from(energy).unwrap_or(u32::MAX).to_be_bytes();
            if place == 0 { u16::from_be_bytes([a, b]) } else { u16::from_be_bytes([c, d]) }
        };
        match address {
            TOTAL | 0x0074 => Some(half(self.energies.iter().sum(), address - TOTAL)),
            TARIFFS..=TARIFFS_END => {
                let place = address - TARIFFS;
                Some(half(self.energies[usize::from(place / 2)], place % 2))
            }
            CURRENT_RATIO => Some(self.plan.current_ratio),
            RELAY => Some(if self.open { OPEN } else { CLOSED }),
            _ => None,
        }
    }

    pub fn state(&self, meter: String, bus: String, faults_waiting: usize) -> State {
        let Counters { requests, sell_frames, open_frames, mac_failures } = self.counters;
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
            relay_closed: !self.open,
            relay_command_open: self.open,
            keep_power: false,
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

//! What a client may write: the clock, the calendar of tariffs, the limiter, the warning of the credit,
//! and what a unit costs (IEC 62056-6-2, classes 8, 20, 71, 112, 113).

use jiff::civil::DateTime;

use super::data::{self, Value};
use super::meter::{Meter, Supply};
use super::objects::{CREDIT, DENIED, ENERGY, Name, WRONG_TYPE, known};
use super::profiles::Event;

/// What the limiter watches: active power.
const POWER: Name = [1, 0, 1, 7, 0, 255];
/// Prices are fen for a kWh: 10^-2 of the currency for 10^3 Wh.
const COMMODITY_SCALE: i8 = 3;
const PRICE_SCALE: i8 = -2;
/// Alarm bit of a fraud attempt (DSMR P3).
const FRAUD: u32 = 1 << 13;

/// The limiter: its threshold in watts, 0 for none, and how long it may be exceeded.
#[derive(Debug, Clone, Copy)]
pub struct Limit {
    pub watts: u32,
    pub seconds: u32,
    /// How long it has been exceeded now.
    over_seconds: u32,
}

impl Limit {
    pub fn new(watts: u32, seconds: u32) -> Self {
        Self { watts, seconds, over_seconds: 0 }
    }
}

/// What a unit costs by tariff, now and next, and from when on.
#[derive(Debug, Clone, Copy)]
pub struct Prices {
    pub active: [u32; 4],
    pub passive: [u32; 4],
    pub from: Option<DateTime>,
}

impl Meter {
    pub(super) fn limiter_attribute(&self, attribute: i8) -> Option<Vec<u8>> {
        let nothing = data::structure(&[data::octets(&[0; 6]), data::u16(0)]);
        Some(match attribute {
            2 => data::structure(&[data::u16(3), data::octets(&POWER), data::i8(2)]),
            3..=5 => data::u32(self.limit.watts),
            6 => data::u32(self.limit.seconds),
            7 => data::u32(0),
            8 => data::structure(&[data::u16(0), data::octets(&[0xFF; 12]), data::u32(0)]),
            9 => data::array(&[]),
            10 => data::boolean(false),
            11 => data::structure(&[nothing.clone(), nothing]),
            _ => return None,
        })
    }

    pub(super) fn charge_attribute(&self, attribute: i8) -> Option<Vec<u8>> {
        Some(match attribute {
            2 => data::i32(i32::try_from(self.charged_fen).ok()?),
            // By what is used.
            3 => data::enumeration(0),
            4 => data::u8(1),
            5 => unit_charge(&self.prices.active),
            6 => unit_charge(&self.prices.passive),
            7 => self.prices.from.map_or_else(|| data::octets(&[0xFF; 12]), data::clock),
            8 => data::u32(60),
            9 => data::bits(0),
            10 => data::octets(&[0xFF; 12]),
            11 | 12 => data::i32(0),
            13 => data::u16(0),
            _ => return None,
        })
    }

    /// Writes an attribute; 0, or why not.
    pub fn write(&mut self, class: u16, name: Name, attribute: i8, value: &[u8]) -> u8 {
        if let Err(why) = known(class, name) {
            return why;
        }
        let Some((value, [])) = data::take(value) else { return WRONG_TYPE };
        let done = match (class, attribute) {
            (8, 2) => self.set_clock(&value),
            (20, 7..=10) => self.calendar.write(attribute, &value),
            (71, 4 | 6) => self.set_limit(attribute, &value),
            (112, 5) if name == CREDIT => self.set_warning(&value),
            (113, 6 | 7) => self.set_prices(attribute, &value),
            _ => return DENIED,
        };
        match done {
            Some(()) => {
                if class != 8 {
                    self.event(Event::Programmed);
                }
                0
            }
            None => WRONG_TYPE,
        }
    }

    fn set_clock(&mut self, value: &Value) -> Option<()> {
        let moment = data::moment(value.octets()?)?;
        self.event(Event::ClockLeft);
        self.clock = moment;
        self.event(Event::ClockSet);
        Some(())
    }

    fn set_limit(&mut self, attribute: i8, value: &Value) -> Option<()> {
        let number = u32::try_from(value.number()?).ok()?;
        match attribute {
            4 => self.limit.watts = number,
            _ => self.limit.seconds = number,
        }
        Some(())
    }

    fn set_warning(&mut self, value: &Value) -> Option<()> {
        self.warning_fen = i32::try_from(value.number()?).ok()?;
        Some(())
    }

    fn set_prices(&mut self, attribute: i8, value: &Value) -> Option<()> {
        if attribute == 7 {
            self.prices.from = Some(data::moment(value.octets()?)?);
            return Some(());
        }
        let [scaling, commodity, prices] = value.list()? else { return None };
        let scales = [i64::from(COMMODITY_SCALE), i64::from(PRICE_SCALE)].map(Value::Number);
        let [Value::Number(3), Value::Octets(name), Value::Number(2)] = commodity.list()? else {
            return None;
        };
        if scaling.list()? != scales || name.as_slice() != ENERGY {
            return None;
        }
        let mut passive = [0; 4];
        if prices.list()?.len() != passive.len() {
            return None;
        }
        for ((price, row), tariff) in passive.iter_mut().zip(prices.list()?).zip(1..) {
            let [index, value] = row.list()? else { return None };
            if index.octets()? != [tariff] {
                return None;
            }
            *price = u32::try_from(value.number()?).ok()?;
        }
        self.prices.passive = passive;
        Some(())
    }

    pub(super) fn activate_prices(&mut self) {
        self.prices.active = self.prices.passive;
        self.prices.from = None;
    }

    /// The next prices, where their time has come.
    pub(super) fn switch_prices(&mut self) {
        if self.prices.from.is_some_and(|from| from <= self.clock) {
            self.activate_prices();
        }
    }

    /// What a step of so many seconds brings to the limiter.
    pub(super) fn supervise(&mut self, step: u32) {
        let over = self.limit.watts > 0 && self.watts() > self.limit.watts;
        self.limit.over_seconds = if over { self.limit.over_seconds + step } else { 0 };
        if over && self.limit.over_seconds > self.limit.seconds {
            self.limit.over_seconds = 0;
            self.event(Event::LimitExceeded);
            self.event(Event::OpenedByItself);
            self.supply = Supply::Ready;
        }
    }

    /// Somebody's hand at the case.
    pub fn open_cover(&mut self) {
        self.alarms |= FRAUD;
        self.event(Event::CoverRemoved);
    }

    /// No power for so long: nothing is counted, and nothing captured.
    pub fn black_out(&mut self, seconds: u32) {
        self.event(Event::PowerDown);
        self.clock = crate::load::later(self.clock, seconds);
        self.event(Event::PowerUp);
    }
}

fn unit_charge(prices: &[u32; 4]) -> Vec<u8> {
    let row = |(price, tariff): (&u32, u8)| {
        let price = i16::try_from(*price).unwrap_or(i16::MAX);
        data::structure(&[data::octets(&[tariff]), data::i16(price)])
    };
    data::structure(&[
        data::structure(&[data::i8(COMMODITY_SCALE), data::i8(PRICE_SCALE)]),
        data::structure(&[data::u16(3), data::octets(&ENERGY), data::i8(2)]),
        data::array(&prices.iter().zip(1..).map(row).collect::<Vec<_>>()),
    ])
}

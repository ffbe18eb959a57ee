//! The objects of the meter: what their attributes hold and what their methods do (IEC 62056-6-2).

use jiff::civil::DateTime;

use super::data;
use super::meter::{Meter, Supply};
use super::profiles::{Event, PROFILES};
use super::server::Association;
use crate::keypad::Shown;

/// Why an attribute is not read or written, or a method not done (IEC 62056-5-3, 9.5).
pub const DENIED: u8 = 3;
pub const UNDEFINED: u8 = 4;
pub const CLASS_INCONSISTENT: u8 = 9;
pub const WRONG_TYPE: u8 = 12;

pub type Name = [u8; 6];

pub const DEVICE_NAME: Name = [0, 0, 42, 0, 0, 255];
pub const COUNTER: Name = [0, 0, 43, 1, 0, 255];
pub const SERIAL: Name = [0, 0, 96, 1, 0, 255];
pub const CLOCK: Name = [0, 0, 1, 0, 0, 255];
const SWITCH: Name = [0, 0, 96, 3, 10, 255];
pub const ASSOCIATION: Name = [0, 0, 40, 0, 0, 255];
const ACCOUNT: Name = [0, 0, 19, 0, 0, 255];
pub const CREDIT: Name = [0, 0, 19, 10, 0, 255];
pub const CHARGE: Name = [0, 0, 19, 20, 0, 255];
pub const ALARMS: Name = [0, 0, 97, 98, 0, 255];
const CALENDAR: Name = [0, 0, 13, 0, 0, 255];
pub const LIMITER: Name = [0, 0, 17, 0, 0, 255];
const GATEWAY: Name = [0, 0, 19, 40, 0, 255];
pub const ENERGY: Name = [1, 0, 1, 8, 0, 255];

/// Class, version, attributes, methods.
const DATA: (u16, u8, i8, i8) = (1, 0, 2, 0);
const REGISTER: (u16, u8, i8, i8) = (3, 0, 3, 1);
const PROFILE: (u16, u8, i8, i8) = (7, 1, 8, 2);
const OBJECTS: [((u16, u8, i8, i8), Name); 30] = [
    (DATA, DEVICE_NAME),
    (DATA, COUNTER),
    (DATA, SERIAL),
    ((8, 0, 9, 6), CLOCK),
    (REGISTER, ENERGY),
    (REGISTER, [1, 0, 1, 8, 1, 255]),
    (REGISTER, [1, 0, 1, 8, 2, 255]),
    (REGISTER, [1, 0, 1, 8, 3, 255]),
    (REGISTER, [1, 0, 1, 8, 4, 255]),
    (REGISTER, [1, 0, 2, 8, 0, 255]),
    (REGISTER, [1, 0, 32, 7, 0, 255]),
    (REGISTER, [1, 0, 31, 7, 0, 255]),
    (REGISTER, [1, 0, 1, 7, 0, 255]),
    (REGISTER, [1, 0, 13, 7, 0, 255]),
    (REGISTER, [1, 0, 14, 7, 0, 255]),
    ((70, 0, 4, 2), SWITCH),
    ((15, 1, 9, 4), ASSOCIATION),
    ((111, 0, 19, 3), ACCOUNT),
    ((112, 0, 11, 3), CREDIT),
    ((113, 0, 13, 5), CHARGE),
    ((115, 0, 6, 1), GATEWAY),
    (DATA, ALARMS),
    ((71, 0, 11, 0), LIMITER),
    ((20, 0, 10, 1), CALENDAR),
    (PROFILE, PROFILES[0]),
    (PROFILE, PROFILES[1]),
    (PROFILE, PROFILES[2]),
    (PROFILE, PROFILES[3]),
    (PROFILE, PROFILES[4]),
    (PROFILE, PROFILES[5]),
];

/// Units (IEC 62056-6-2, table 4).
const WATT: u8 = 27;
const WATT_HOUR: u8 = 30;
const AMPERE: u8 = 33;
const VOLT: u8 = 35;
const HERTZ: u8 = 44;
const NO_UNIT: u8 = 255;

/// Whether there is such an object, of this class.
pub fn known(class: u16, name: Name) -> Result<(), u8> {
    match OBJECTS.iter().find(|(_, known)| *known == name) {
        None => Err(UNDEFINED),
        Some(((known, ..), _)) if *known != class => Err(CLASS_INCONSISTENT),
        Some(_) => Ok(()),
    }
}

impl Meter {
    /// An attribute with its type, or why not.
    pub fn attribute(
        &self,
        association: &Association,
        class: u16,
        name: Name,
        attribute: i8,
    ) -> Result<Vec<u8>, u8> {
        known(class, name)?;
        if attribute == 1 {
            return Ok(data::octets(&name));
        }
        let value = match class {
            1 => self.datum(name, attribute),
            3 => self.register(name, attribute),
            8 => self.clock_attribute(attribute),
            15 => association_attribute(association, attribute),
            20 => self.calendar.attribute(attribute),
            70 => self.switch_attribute(attribute),
            71 => self.limiter_attribute(attribute),
            111 => self.account_attribute(attribute),
            112 => self.credit_attribute(attribute),
            113 => self.charge_attribute(attribute),
            115 => self.gateway_attribute(attribute),
            _ => None,
        };
        value.ok_or(DENIED)
    }

    fn datum(&self, name: Name, attribute: i8) -> Option<Vec<u8>> {
        match (attribute, name) {
            (2, DEVICE_NAME) => Some(data::octets(self.plan.device_name.as_bytes())),
            (2, SERIAL) => Some(data::octets(self.plan.serial.as_bytes())),
            (2, COUNTER) => Some(data::u32(self.counter)),
            (2, ALARMS) => Some(data::u32(self.alarms)),
            _ => None,
        }
    }

    pub(super) fn register(&self, name: Name, attribute: i8) -> Option<Vec<u8>> {
        let (value, scale, unit) = match name {
            // 0.01 kWh are ten watt-hours.
            [1, 0, 1, 8, tariff @ 0..=4, 255] => {
                let energy = match usize::from(tariff).checked_sub(1) {
                    None => self.energies.iter().sum(),
                    Some(tariff) => *self.energies.get(tariff)?,
                };
                let value = u32::try_from(energy).map_or(data::u64(energy), data::u32);
                (value, 1, WATT_HOUR)
            }
            [1, 0, 2, 8, 0, 255] => (data::u32(0), 1, WATT_HOUR),
            [1, 0, 32, 7, 0, 255] => (data::u16(self.plan.voltage_decivolts), -1, VOLT),
            [1, 0, 31, 7, 0, 255] => {
                let volts = u64::from(self.plan.voltage_decivolts).max(1);
                let milliamperes = u64::from(self.watts()) * 10_000 / volts;
                (data::i32(i32::try_from(milliamperes).ok()?), -3, AMPERE)
            }
            [1, 0, 1, 7, 0, 255] => (data::u32(self.watts()), 0, WATT),
            [1, 0, 13, 7, 0, 255] => (data::i16(1_000), -3, NO_UNIT),
            [1, 0, 14, 7, 0, 255] => (data::u16(5_000), -2, HERTZ),
            _ => return None,
        };
        match attribute {
            2 => Some(value),
            3 => Some(data::structure(&[data::i8(scale), data::enumeration(unit)])),
            _ => None,
        }
    }

    fn clock_attribute(&self, attribute: i8) -> Option<Vec<u8>> {
        Some(match attribute {
            2 => data::clock(self.clock),
            // Minutes from local time to UTC: those of China.
            3 => data::i16(-480),
            4 => data::u8(0),
            5 | 6 => data::clock(DateTime::constant(2000, 1, 1, 0, 0, 0, 0)),
            7 => data::i8(0),
            8 => data::boolean(false),
            9 => data::enumeration(1),
            _ => return None,
        })
    }

    fn switch_attribute(&self, attribute: i8) -> Option<Vec<u8>> {
        Some(match attribute {
            2 => data::boolean(self.supply == Supply::Connected),
            3 => data::enumeration(match self.supply {
                Supply::Disconnected => 0,
                Supply::Connected => 1,
                Supply::Ready => 2,
            }),
            4 => data::enumeration(self.plan.control_mode),
            _ => return None,
        })
    }

    /// Money in fen, prepaid.
    fn account_attribute(&self, attribute: i8) -> Option<Vec<u8>> {
        let fen = i32::try_from(self.balance_fen).ok()?;
        Some(match attribute {
            2 => data::structure(&[data::enumeration(2), data::enumeration(2)]),
            3 => data::u8(0),
            // In credit; low; out of it.
            4 => data::bits(match fen {
                ..=0 => 0x02,
                fen if fen < self.warning_fen => 0xC0,
                _ => 0x80,
            }),
            5 => data::i32(fen.max(0)),
            6 => data::i32(fen.min(0)),
            7 | 8 | 19 => data::i32(0),
            9 => data::array(&[data::octets(&CREDIT)]),
            10 => data::array(&[data::octets(&CHARGE)]),
            11 | 12 => data::array(&[]),
            13 | 14 => data::octets(&[0xFF; 12]),
            15 => data::structure(&[data::utf8("CNY"), data::i8(-2), data::enumeration(2)]),
            16 | 17 => data::i32(self.warning_fen),
            18 => data::u16(0),
            _ => return None,
        })
    }

    fn credit_attribute(&self, attribute: i8) -> Option<Vec<u8>> {
        let fen = i32::try_from(self.balance_fen).ok()?;
        Some(match attribute {
            2 => data::i32(fen),
            // A credit of tokens, in use or used up.
            3 => data::enumeration(0),
            4 => data::u8(1),
            5 => data::i32(self.warning_fen),
            6 | 9 | 10 => data::i32(0),
            7 => data::bits(0),
            8 => data::enumeration(if fen > 0 { 3 } else { 4 }),
            11 => data::octets(&[0xFF; 12]),
            _ => return None,
        })
    }

    fn gateway_attribute(&self, attribute: i8) -> Option<Vec<u8>> {
        Some(match attribute {
            2 => data::octets(&self.token.0),
            3 => data::clock(self.clock),
            4 => data::array(&[]),
            // Last delivered from afar.
            5 => data::enumeration(0),
            6 => token_status(self.token.1),
            _ => return None,
        })
    }

    /// Calls a method: 0 or why not, and what it answers.
    pub fn method(
        &mut self,
        class: u16,
        name: Name,
        method: i8,
        argument: Option<&[u8]>,
    ) -> (u8, Option<Vec<u8>>) {
        if let Err(why) = known(class, name) {
            return (why, None);
        }
        let amount = argument.and_then(|argument| argument.strip_prefix(&[0x05])?.try_into().ok());
        match (class, method, argument) {
            (70, 1 | 2, Some([0x0F, 0])) => (self.switch(method), None),
            (70, 1 | 2, _) => (WRONG_TYPE, None),
            // The next calendar, or the next prices, at once.
            (20, 1, Some([0x0F, 0])) => {
                self.calendar.activate();
                (0, None)
            }
            (113, 2, Some([0x0F, 0])) => {
                self.activate_prices();
                (0, None)
            }
            // What is added to the credit.
            (112, 1, _) => match amount.map(i32::from_be_bytes) {
                Some(amount) => {
                    self.add_credit(amount);
                    (0, None)
                }
                None => (WRONG_TYPE, None),
            },
            (115, 1, Some([0x09, token @ ..])) => match data::take_counted(token) {
                Some((token, [])) => {
                    self.token = (token.to_vec(), self.take_token(token));
                    (0, Some(token_status(self.token.1)))
                }
                _ => (WRONG_TYPE, None),
            },
            _ => (DENIED, None),
        }
    }

    /// What became of a token: carried out, no token, not its own, not valid.
    fn take_token(&mut self, token: &[u8]) -> u8 {
        let Some(digits) = std::str::from_utf8(token).ok().filter(|digits| digits.len() == 20)
        else {
            return 4;
        };
        match self.keypad.as_mut().map(|keypad| keypad.type_in(digits)) {
            Some(Shown::Added(_) | Shown::Done | Shown::Tests(_) | Shown::Part) => 3,
            Some(Shown::Used | Shown::Old) => 6,
            Some(Shown::Rejected) | None => 5,
        }
    }

    /// Opens (1) or closes (2) as the control mode lets one: 0 never, 2 and 4 close at once, the
    /// others wait for a hand.
    fn switch(&mut self, method: i8) -> u8 {
        if self.plan.control_mode == 0 {
            return DENIED;
        }
        if self.plan.stuck {
            return 0;
        }
        let is_closing = method == 2;
        self.event(if is_closing { Event::ClosedFromAfar } else { Event::OpenedFromAfar });
        let at_once = matches!(self.plan.control_mode, 2 | 4);
        self.supply = match (is_closing, self.supply) {
            (false, _) => Supply::Disconnected,
            (true, Supply::Connected) => Supply::Connected,
            (true, _) if at_once && self.balance_fen > 0 => Supply::Connected,
            (true, _) => Supply::Ready,
        };
        0
    }
}

fn token_status(status: u8) -> Vec<u8> {
    data::structure(&[data::enumeration(status), data::bits(0)])
}

fn association_attribute(association: &Association, attribute: i8) -> Option<Vec<u8>> {
    let oid = |kind, last| data::octets(&[0x60, 0x85, 0x74, 0x05, 0x08, kind, last]);
    let ciphered = if association.ciphered { 3 } else { 1 };
    Some(match attribute {
        2 => data::array(&OBJECTS.map(|object| listed(&object))),
        4 => oid(1, ciphered),
        6 => oid(2, association.mechanism),
        8 => data::enumeration(2),
        _ => return None,
    })
}

/// An object as the list of an association has it: all can be read, methods be called.
fn listed(((class, version, attributes, methods), name): &((u16, u8, i8, i8), Name)) -> Vec<u8> {
    let attribute =
        |number| data::structure(&[data::i8(number), data::enumeration(1), data::null()]);
    let method = |number| data::structure(&[data::i8(number), data::enumeration(1)]);
    let rights = data::structure(&[
        data::array(&(1..=*attributes).map(attribute).collect::<Vec<_>>()),
        data::array(&(1..=*methods).map(method).collect::<Vec<_>>()),
    ]);
    data::structure(&[data::u16(*class), data::u8(*version), data::octets(name), rights])
}

//! What a call's address and parameters mean to this driver, checked before a byte is sent.

use polymeter_codec::Obis;
use polymeter_codec::hdlc::Address;
use polymeter_driver::codes::error;
use polymeter_driver::{Call, Decimal, DriverError, Key, Value};

/// The names of the parameters, and what holds where a meter's configuration does not name them.
pub mod name {
    pub const CONNECTION: &str = "connection";
    pub const CLIENT: &str = "client";
    pub const SECURITY: &str = "security";
    pub const PASSWORD: &str = "password";
    pub const KEY_LABEL: &str = "key-label";
    pub const COUNTER: &str = "counter";
    pub const CLIENT_TITLE: &str = "client-title";
    pub const FOUR_BYTES: &str = "four-byte-address";
    pub const SWITCH: &str = "switch";
    pub const ACCOUNT: &str = "account";
    pub const GATEWAY: &str = "token-gateway";
    pub const TOKEN_FORMAT: &str = "token-format";
    pub const REGISTERS: &str = "registers";
    pub const LOAD_PROFILE: &str = "load-profile";
    pub const DAILY_PROFILE: &str = "daily-profile";
    pub const BILLING_PROFILE: &str = "billing-profile";
    pub const EVENT_LOGS: &str = "event-logs";
    pub const COMPANION: &str = "companion";
    pub const LIMITER: &str = "limiter";
    pub const CREDIT: &str = "credit";
    pub const CHARGE: &str = "charge";
    pub const CALENDAR: &str = "calendar";
    pub const TARIFF_SCRIPTS: &str = "tariff-scripts";
    // Those that live in the meter.
    pub const OVERLOAD_POWER: &str = "overload-power";
    pub const OVERLOAD_DELAY: &str = "overload-delay";
    pub const CREDIT_WARNING: &str = "credit-warning";
    pub const TARIFF_PRICES: &str = "tariff-prices";
    pub const TARIFF_SWITCH_TIME: &str = "tariff-switch-time";
    pub const CALENDAR_DAYS: &str = "calendar-days";
    pub const CALENDAR_WEEKS: &str = "calendar-weeks";
    pub const CALENDAR_SEASONS: &str = "calendar-seasons";
    pub const CALENDAR_SWITCH_TIME: &str = "calendar-switch-time";
}

pub mod default {
    pub const CONNECTION: &str = "wrapper";
    pub const CLIENT: i64 = 16;
    pub const SECURITY: &str = "none";
    pub const KEY_LABEL: &str = "meter";
    /// IEC 62056-6-2, 6.2.x: the counter of the global unicast key, which anybody may read.
    pub const COUNTER: &str = "0.0.43.1.0.255";
    pub const SWITCH: &str = "0.0.96.3.10.255";
    pub const ACCOUNT: &str = "none";
    /// IEC 62056-6-2, 6.2.x: 0-b:19.40.e.255.
    pub const GATEWAY: &str = "0.0.19.40.0.255";
    pub const TOKEN_FORMAT: &str = "ascii";
    /// Energy in all and by tariff, and given back; voltage and current of the phases; power, power
    /// factor, frequency. What a meter has not is left out.
    pub const REGISTERS: &str = "1.0.1.8.0.255 1.0.1.8.1.255 1.0.1.8.2.255 1.0.1.8.3.255 \
        1.0.1.8.4.255 1.0.2.8.0.255 1.0.32.7.0.255 1.0.52.7.0.255 1.0.72.7.0.255 1.0.31.7.0.255 \
        1.0.51.7.0.255 1.0.71.7.0.255 1.0.1.7.0.255 1.0.13.7.0.255 1.0.14.7.0.255";
    /// IEC 62056-6-1: load profile with recording period 1 and 2, data of billing period 1, and the
    /// event logs: standard, fraud, disconnector, power quality, communication.
    pub const LOAD_PROFILE: &str = "1.0.99.1.0.255";
    pub const DAILY_PROFILE: &str = "1.0.99.2.0.255";
    pub const BILLING_PROFILE: &str = "1.0.98.1.0.255";
    pub const EVENT_LOGS: &str =
        "0.0.99.98.0.255 0.0.99.98.1.255 0.0.99.98.2.255 0.0.99.98.4.255 0.0.99.98.5.255";
    pub const COMPANION: &str = "none";
    pub const LIMITER: &str = "0.0.17.0.0.255";
    /// Import credit and the first charge of the account (IEC 62056-6-1, 0.0.19.10.e and 20.e).
    pub const CREDIT: &str = "0.0.19.10.0.255";
    pub const CHARGE: &str = "0.0.19.20.0.255";
    /// The activity calendar, and the scripts that switch tariffs (IEC 62056-6-1, 0.0.13 and 0.0.10).
    pub const CALENDAR: &str = "0.0.13.0.0.255";
    pub const TARIFF_SCRIPTS: &str = "0.0.10.0.100.255";
}

/// The client that every meter answers without security.
pub const PUBLIC_CLIENT: u8 = 16;
pub const CLIENT_MAX: i64 = 127;
/// Registers of one reading: more than the frames of one call would carry.
const REGISTERS_MAX: usize = 40;
/// Profiles of one kind.
const PROFILES_MAX: usize = 16;
const REGISTER_CLASSES: [u16; 4] = [1, 3, 4, 5];
/// A password stands in the AARQ, which has little room.
const PASSWORD_BYTES_MAX: usize = 64;
/// Addresses that name all stations: of one byte, and of two.
const ALL_SHORT: u16 = 0x7F;
const ALL: u16 = 0x3FFF;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Connection {
    /// Between these ports of a wrapper.
    Wrapper {
        device: u16,
    },
    Hdlc {
        server: Address,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Security {
    None,
    /// The password.
    Low(String),
    Gmac,
}

/// Who says what codes of events and bits of alarms mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Companion {
    None,
    /// The Dutch Smart Meter Requirements, which IDIS follows.
    Dsmr,
}

/// What is read of the past: the profiles of each kind.
#[derive(Debug, Clone)]
pub struct Past {
    pub load: Vec<Obis>,
    pub daily: Vec<Obis>,
    pub billing: Vec<Obis>,
    pub events: Vec<Obis>,
    pub companion: Companion,
}

/// How the digits of a token stand in the octets that the gateway takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenFormat {
    Ascii,
    /// Two in a byte, the first one above.
    Bcd,
}

/// What is read of one register: its class and name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Register {
    pub class: u16,
    pub object: Obis,
}

#[derive(Debug, Clone)]
pub struct Settings {
    pub address: String,
    pub connection: Connection,
    pub client: u8,
    pub security: Security,
    pub key: Key,
    pub counter: Obis,
    /// None: another one for each call.
    pub title: Option<[u8; 8]>,
    pub switch: Obis,
    pub account: Option<Obis>,
    pub gateway: Obis,
    pub token_format: TokenFormat,
    pub registers: Vec<Register>,
    pub past: Past,
    pub limiter: Obis,
    pub credit: Obis,
    pub charge: Obis,
    pub calendar: Obis,
    pub scripts: Obis,
    /// The call writes attributes, and proposes what that may need.
    pub writes: bool,
}

impl Settings {
    pub fn of(call: &Call) -> Result<Settings, DriverError> {
        let password = text(call, name::PASSWORD)?.unwrap_or_default();
        if password.len() > PASSWORD_BYTES_MAX {
            return Err(bad(format!("a password of more than {PASSWORD_BYTES_MAX} bytes")));
        }
        let security = match text(call, name::SECURITY)?.unwrap_or(default::SECURITY) {
            "none" => Security::None,
            "low" if password.is_empty() => {
                return Err(bad("security `low` needs the parameter `password`"));
            }
            "low" => Security::Low(password.to_owned()),
            "gmac" => Security::Gmac,
            other => return Err(bad(format!("security `{other}` is not none, low or gmac"))),
        };
        let account = match text(call, name::ACCOUNT)?.unwrap_or(default::ACCOUNT) {
            "none" => None,
            text => Some(obis(name::ACCOUNT, text)?),
        };
        let obis_of = |name: &str, or: &str| obis(name, text(call, name)?.unwrap_or(or));
        let label = text(call, name::KEY_LABEL)?.unwrap_or(default::KEY_LABEL);
        Ok(Settings {
            address: call.address.clone(),
            connection: connection(call)?,
            client: client(call)?,
            security,
            key: Key { label: label.to_owned(), path: vec![] },
            counter: obis_of(name::COUNTER, default::COUNTER)?,
            title: title(call)?,
            switch: obis_of(name::SWITCH, default::SWITCH)?,
            account,
            gateway: obis_of(name::GATEWAY, default::GATEWAY)?,
            token_format: token_format(call)?,
            registers: registers(text(call, name::REGISTERS)?.unwrap_or(default::REGISTERS))?,
            past: past(call)?,
            limiter: obis_of(name::LIMITER, default::LIMITER)?,
            credit: obis_of(name::CREDIT, default::CREDIT)?,
            charge: obis_of(name::CHARGE, default::CHARGE)?,
            calendar: obis_of(name::CALENDAR, default::CALENDAR)?,
            scripts: obis_of(name::TARIFF_SCRIPTS, default::TARIFF_SCRIPTS)?,
            writes: false,
        })
    }
}

fn token_format(call: &Call) -> Result<TokenFormat, DriverError> {
    match text(call, name::TOKEN_FORMAT)?.unwrap_or(default::TOKEN_FORMAT) {
        "ascii" => Ok(TokenFormat::Ascii),
        "bcd" => Ok(TokenFormat::Bcd),
        other => Err(bad(format!("token format `{other}` is not ascii or bcd"))),
    }
}

fn past(call: &Call) -> Result<Past, DriverError> {
    let list = |name: &str, or: &str| profiles(name, text(call, name)?.unwrap_or(or));
    Ok(Past {
        load: list(name::LOAD_PROFILE, default::LOAD_PROFILE)?,
        daily: list(name::DAILY_PROFILE, default::DAILY_PROFILE)?,
        billing: list(name::BILLING_PROFILE, default::BILLING_PROFILE)?,
        events: list(name::EVENT_LOGS, default::EVENT_LOGS)?,
        companion: match text(call, name::COMPANION)?.unwrap_or(default::COMPANION) {
            "none" => Companion::None,
            "dsmr" => Companion::Dsmr,
            other => return Err(bad(format!("companion `{other}` is not none or dsmr"))),
        },
    })
}

/// OBIS codes with blanks between them, or `none`.
fn profiles(name: &str, list: &str) -> Result<Vec<Obis>, DriverError> {
    if list == "none" {
        return Ok(Vec::new());
    }
    let profiles = list.split_ascii_whitespace().map(|code| obis(name, code));
    let profiles: Vec<Obis> = profiles.collect::<Result<_, _>>()?;
    if profiles.len() > PROFILES_MAX {
        return Err(bad(format!("{name}: more than {PROFILES_MAX} of them")));
    }
    Ok(profiles)
}

pub fn bad(detail: impl Into<String>) -> DriverError {
    DriverError::new(error::BAD_PARAMETER, detail)
}

fn value<'a>(call: &'a Call, name: &str) -> Option<&'a Value> {
    call.parameters.iter().find(|(known, _)| known == name).map(|(_, value)| value)
}

fn text<'a>(call: &'a Call, name: &str) -> Result<Option<&'a str>, DriverError> {
    match value(call, name) {
        None => Ok(None),
        Some(Value::Text(text)) => Ok(Some(text)),
        Some(_) => Err(bad(format!("`{name}` is a text"))),
    }
}

fn client(call: &Call) -> Result<u8, DriverError> {
    let number = match value(call, name::CLIENT) {
        None => default::CLIENT,
        Some(Value::Number(Decimal { mantissa, scale: 0 })) => *mantissa,
        Some(_) => return Err(bad("`client` is a whole number")),
    };
    let client = u8::try_from(number).ok().filter(|_| (1..=CLIENT_MAX).contains(&number));
    client.ok_or_else(|| bad(format!("client {number} is not 1 to {CLIENT_MAX}")))
}

/// `logical` or, in HDLC, `logical/physical`.
fn connection(call: &Call) -> Result<Connection, DriverError> {
    let address = call.address.as_str();
    let (logical, physical) = match address.split_once('/') {
        Some((logical, physical)) => (number(logical), Some(number(physical))),
        None => (number(address), None),
    };
    let none = || bad(format!("`{address}` is no address: a logical device, or logical/physical"));
    let logical = logical.filter(|logical| *logical > 0).ok_or_else(none)?;
    let physical = physical.map(|physical| physical.ok_or_else(none)).transpose()?;
    match text(call, name::CONNECTION)?.unwrap_or(default::CONNECTION) {
        "wrapper" if physical.is_none() => Ok(Connection::Wrapper { device: logical }),
        "wrapper" => Err(bad(format!("`{address}`: behind a wrapper there is no physical part"))),
        "hdlc" => {
            let server = server(call, logical, physical)?.ok_or_else(none)?;
            let all = |part: u16| part == ALL || part == ALL_SHORT;
            if all(logical) || physical.is_some_and(all) {
                return Err(bad(format!("`{address}` does not name one meter")));
            }
            Ok(Connection::Hdlc { server })
        }
        other => Err(bad(format!("connection `{other}` is not wrapper or hdlc"))),
    }
}

fn server(
    call: &Call,
    logical: u16,
    physical: Option<u16>,
) -> Result<Option<Address>, DriverError> {
    match value(call, name::FOUR_BYTES) {
        None | Some(Value::Flag(false)) => Ok(Address::server(logical, physical)),
        Some(Value::Flag(true)) => Ok(Address::wide(logical, physical.unwrap_or(0))),
        Some(_) => Err(bad(format!("`{}` is yes or no", name::FOUR_BYTES))),
    }
}

/// Digits alone: no sign, as `parse` would take one.
fn number(text: &str) -> Option<u16> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

fn title(call: &Call) -> Result<Option<[u8; 8]>, DriverError> {
    let Some(text) = text(call, name::CLIENT_TITLE)? else { return Ok(None) };
    let digits: Option<Vec<u32>> = text.chars().map(|digit| digit.to_digit(16)).collect();
    let bytes = digits.filter(|digits| digits.len() == 16).map(|digits| {
        let mut title = [0; 8];
        for (place, pair) in title.iter_mut().zip(digits.chunks(2)) {
            let byte = pair.iter().fold(0, |byte, digit| byte << 4 | digit);
            *place = u8::try_from(byte).unwrap_or(0);
        }
        title
    });
    let none = || bad(format!("client-title `{text}` is not 16 hexadecimal digits"));
    bytes.map(Some).ok_or_else(none)
}

/// Six numbers with dots.
fn obis(name: &str, text: &str) -> Result<Obis, DriverError> {
    let mut parts = [0; 6];
    let mut words = text.split('.');
    let whole = parts.iter_mut().all(|part| {
        let number = words.next().and_then(number).and_then(|number| u8::try_from(number).ok());
        number.inspect(|number| *part = *number).is_some()
    });
    if whole && words.next().is_none() {
        return Ok(Obis(parts));
    }
    Err(bad(format!("{name}: `{text}` is no OBIS code of six numbers with dots")))
}

/// Codes with blanks between them; one of another class than 3 stands as `class:code`.
fn registers(list: &str) -> Result<Vec<Register>, DriverError> {
    let register = |word: &str| {
        let (class, code) = match word.split_once(':') {
            Some((class, code)) => (number(class).unwrap_or(0), code),
            None => (3, word),
        };
        if !REGISTER_CLASSES.contains(&class) {
            let why = format!("registers: `{word}` is not of class 1, 3, 4 or 5");
            return Err(bad(why));
        }
        Ok(Register { class, object: obis(name::REGISTERS, code)? })
    };
    let registers: Vec<Register> =
        list.split_ascii_whitespace().map(register).collect::<Result<_, _>>()?;
    if registers.len() > REGISTERS_MAX {
        return Err(bad(format!("registers: more than {REGISTERS_MAX} of them")));
    }
    Ok(registers)
}

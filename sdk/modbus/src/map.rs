//! A register map: what an instrument holds where, and how to read it, as data (`[[map]]` of
//! `driver.toml`, ADR 0034).
//!
//! Invariant: a [`Map`] in hand was checked: no run of registers passes FFFFH, every unit and OBIS code
//! is one, no register of the contract stands there twice. Not here: reading by it (read, relay).

use crate::exchange::Table;
use polymeter_codec::modbus::{REGISTERS_READ_MAX, REGISTERS_WRITTEN_MAX};
use polymeter_driver::codes::unit;
use serde::Deserialize;
use std::collections::BTreeSet;

/// Values of one map; a snapshot has no more.
const REGISTERS_MAX: usize = 256;
/// What a scale may be, as a power of ten.
pub(crate) const SCALE_MAX: i8 = 12;

/// How sure a map is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Evidence {
    /// By frames that were captured from such a device.
    Proven,
    /// By documents alone.
    Assumed,
}

impl Evidence {
    /// The word in `driver.toml`.
    pub fn name(self) -> &'static str {
        match self {
            Evidence::Proven => "proven",
            Evidence::Assumed => "assumed",
        }
    }
}

/// Which of two or four registers comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WordOrder {
    /// The high word, as most devices do.
    #[default]
    HighFirst,
    /// The low word.
    LowFirst,
}

/// How a value stands in its registers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// One register without sign.
    U16,
    /// One register in two's complement.
    I16,
    /// Two registers without sign.
    U32,
    /// Two registers in two's complement.
    I32,
    /// Two registers, a float of IEEE 754.
    F32,
    /// Four registers without sign.
    U64,
}

impl Kind {
    /// How many registers.
    pub fn registers(self) -> u16 {
        match self {
            Kind::U16 | Kind::I16 => 1,
            Kind::U32 | Kind::I32 | Kind::F32 => 2,
            Kind::U64 => 4,
        }
    }
}

/// One instrument's map.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Map {
    /// One of the file's models.
    pub model: String,
    /// How sure it is.
    pub evidence: Evidence,
    /// Where the numbers are from.
    pub source: String,
    /// 3, or 4 for input registers.
    #[serde(default = "three")]
    pub function: u8,
    /// Of all values that do not say otherwise.
    #[serde(default)]
    pub word_order: WordOrder,
    /// So many registers that nobody wants may be read so that two runs become one. 0 where a device
    /// refuses a run with a register in it that it does not have.
    #[serde(default)]
    pub gap: u16,
    /// The most registers that the device gives at once.
    #[serde(default = "longest")]
    pub longest: u16,
    /// What is read.
    pub register: Vec<Register>,
    /// What opens and closes.
    pub relay: Option<Relay>,
}

/// One value.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Register {
    /// The first register, as it stands on the wire (0 is "40001").
    pub address: u16,
    /// How it stands there.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// Its neutral name.
    pub obis: String,
    /// A power of ten.
    #[serde(default)]
    pub scale: i8,
    /// By the words of `driver.toml`.
    #[serde(default = "none")]
    pub unit: String,
    /// Raw values that mean that the device does not measure this.
    #[serde(default)]
    pub absent: Vec<i64>,
    /// Other than the map's.
    pub word_order: Option<WordOrder>,
    /// A further power of ten that the device holds.
    pub exponent: Option<Exponent>,
    /// A number that the device holds, by which this is to be multiplied.
    pub factor: Option<Factor>,
}

/// Where a device says how many places a value has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Exponent {
    /// The register.
    pub address: u16,
    /// Which part of it.
    #[serde(default)]
    pub byte: Byte,
}

/// A part of a register.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Byte {
    /// All 16 bits.
    #[default]
    Both,
    /// The upper byte.
    High,
    /// The lower byte.
    Low,
}

/// Where a device holds a ratio.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Factor {
    /// The first register.
    pub address: u16,
    /// How it stands there.
    #[serde(rename = "type")]
    pub kind: Kind,
}

/// A relay that is switched by writing registers.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Relay {
    /// The first register written.
    pub address: u16,
    /// 16, or 6 for a single register.
    #[serde(default = "sixteen")]
    pub function: u8,
    /// What opens it: the supply is disconnected.
    pub open: Vec<u16>,
    /// What closes it.
    pub close: Vec<u16>,
    /// Where the relay itself is seen. Without it a command can never be confirmed.
    pub status: Option<Status>,
}

/// Where the relay is seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Status {
    /// The register.
    pub address: u16,
    /// Its bits that count.
    #[serde(default = "all_bits")]
    pub mask: u16,
    /// These bits when it is open.
    pub open: u16,
    /// These bits when it is closed.
    pub close: u16,
}

fn three() -> u8 {
    3
}
fn sixteen() -> u8 {
    16
}
fn longest() -> u16 {
    REGISTERS_READ_MAX
}
fn none() -> String {
    "none".to_owned()
}
fn all_bits() -> u16 {
    u16::MAX
}

/// The contract's unit by its word in `driver.toml`.
pub fn unit_of(word: &str) -> Option<u16> {
    // 28, 29, 31 and 32 by IEC 62056-62, which the SDK has no names for.
    let known = [
        ("none", unit::NONE),
        ("currency", unit::CURRENCY),
        ("s", unit::SECOND),
        ("m3", unit::CUBIC_METRE),
        ("W", unit::WATT),
        ("VA", 28),
        ("var", 29),
        ("Wh", unit::WATT_HOUR),
        ("VAh", 31),
        ("varh", 32),
        ("A", unit::AMPERE),
        ("V", unit::VOLT),
        ("Hz", unit::HERTZ),
        ("kWh", unit::KILOWATT_HOUR),
        ("kW", unit::KILOWATT),
        ("kvar", unit::KILOVAR),
        ("kVA", unit::KILOVOLT_AMPERE),
    ];
    known.iter().find(|(name, _)| *name == word).map(|(_, code)| *code)
}

impl Map {
    /// Which table is read.
    pub fn table(&self) -> Table {
        if self.function == 4 { Table::Input } else { Table::Holding }
    }

    /// What no type can say; the error is a sentence.
    pub(crate) fn check(&self) -> Result<(), String> {
        let here = |what: String| Err(format!("map {}: {what}", self.model));
        if !matches!(self.function, 3 | 4) {
            return here(format!("function {} is none of 3 and 4", self.function));
        }
        if !(1..=REGISTERS_READ_MAX).contains(&self.longest) {
            return here(format!("longest {} is not 1 to {REGISTERS_READ_MAX}", self.longest));
        }
        if self.register.is_empty() || self.register.len() > REGISTERS_MAX {
            let count = self.register.len();
            return here(format!("{count} registers are not 1 to {REGISTERS_MAX}"));
        }
        let mut seen = BTreeSet::new();
        for register in &self.register {
            if let Err(what) = register.check(self.longest) {
                return here(format!("register {:04X}H: {what}", register.address));
            }
            if !seen.insert(register.obis.as_str()) {
                return here(format!("{} stands there twice", register.obis));
            }
        }
        match &self.relay {
            Some(relay) => relay.check().or_else(|what| here(format!("relay: {what}"))),
            None => Ok(()),
        }
    }

    /// The runs of registers that one reading needs, each the first and how many.
    pub(crate) fn wanted(&self) -> Vec<(u16, u16)> {
        let mut wanted = Vec::new();
        for register in &self.register {
            wanted.push((register.address, register.kind.registers()));
            wanted.extend(register.exponent.map(|exponent| (exponent.address, 1)));
            wanted.extend(register.factor.map(|at| (at.address, at.kind.registers())));
        }
        // The relay is written by functions of holding registers, and so it is seen there.
        if self.table() == Table::Holding {
            let status = self.relay.as_ref().and_then(|relay| relay.status);
            wanted.extend(status.map(|status| (status.address, 1)));
        }
        wanted
    }
}

impl Register {
    /// The contract's unit.
    pub fn unit_code(&self) -> u16 {
        unit_of(&self.unit).unwrap_or(unit::NONE)
    }

    fn check(&self, longest: u16) -> Result<(), String> {
        if unit_of(&self.unit).is_none() {
            return Err(format!("unit `{}` is not known", self.unit));
        }
        if !is_obis(&self.obis) {
            return Err(format!("`{}` is no OBIS code such as 1.0.1.8.0.255", self.obis));
        }
        if self.scale.checked_abs().is_none_or(|scale| scale > SCALE_MAX) {
            return Err(format!("scale {} is beyond {SCALE_MAX} places", self.scale));
        }
        let runs = [(self.address, self.kind.registers())];
        let factor = self.factor.map(|factor| (factor.address, factor.kind.registers()));
        for (start, count) in runs.into_iter().chain(factor) {
            if count > longest {
                return Err(format!("{count} registers are more than the device gives at once"));
            }
            in_range(start, count)?;
        }
        Ok(())
    }
}

impl Relay {
    fn check(&self) -> Result<(), String> {
        let (open, close) = (self.open.len(), self.close.len());
        let most = usize::from(REGISTERS_WRITTEN_MAX);
        if open != close || !(1..=most).contains(&open) {
            return Err(format!("open and close have {open} and {close} registers"));
        }
        if self.open == self.close {
            return Err("open and close are the same".to_owned());
        }
        match self.function {
            16 => {}
            6 if open == 1 => {}
            other => return Err(format!("function {other} does not write {open} registers")),
        }
        in_range(self.address, u16::try_from(open).unwrap_or(u16::MAX))?;
        match self.status {
            Some(Status { mask, open, close, .. }) if open & mask == close & mask => {
                Err("its status looks the same open and closed".to_owned())
            }
            _ => Ok(()),
        }
    }
}

fn in_range(start: u16, count: u16) -> Result<(), String> {
    match start.checked_add(count.saturating_sub(1)) {
        Some(_) => Ok(()),
        None => Err(format!("{count} registers from {start:04X}H pass FFFFH")),
    }
}

/// Six numbers of one byte, with dots.
fn is_obis(text: &str) -> bool {
    let fields = text.split('.');
    let is_field = |field: &str| {
        !field.starts_with('+') && field.parse::<u8>().is_ok_and(|it| it.to_string() == field)
    };
    fields.clone().count() == 6 && fields.into_iter().all(is_field)
}

//! `driver.toml`: what a driver is for and what it asks of its host, in its vendor's words.
//!
//! Invariant: a [`Manifest`] in hand is complete and consistent in itself: known words, bounded and
//! printable texts, defaults within their ranges. Whether the component keeps to it is for the
//! runtime to see. Not here: the tables `[build]` and `[certify]`, which belong to the SDK.

mod checks;
mod json;
mod raw;
mod value;

#[cfg(test)]
mod tests;

use crate::problem::{self, Problems};
use polymeter_domain::{CardPurpose, Decimal, Quantity, Unit, Value, VendorCode};
use semver::Version;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

#[derive(Debug, Clone, PartialEq)]
pub struct Manifest {
    /// "dlt645-2007"; also the package's file name.
    pub name: String,
    pub version: Version,
    /// The contract that the component was built for.
    pub contract: Version,
    pub models: Vec<String>,
    /// At least one; a driver may serve meters that are sold under several codes.
    pub vendors: Vec<Vendor>,
    /// Interfaces of the contract that the component imports: "line", "vault", "log", "card-slot".
    pub imports: BTreeSet<String>,
    /// Labels of keys that it will ask the vault for.
    pub keys: BTreeSet<String>,
    /// Limits that it asks for, by the names that `[driver.limits]` has. The runtime knows which
    /// there are.
    pub limits: BTreeMap<String, u64>,
    pub proof: Proof,
    /// What the purse in the device holds; `None`: it has none.
    pub purse: Option<Quantity>,
    /// What the purse counts in: a credit is a multiple of so many minor units, Wh or litres. At least 1.
    pub purse_step: u64,
    /// In the order of the file.
    pub parameters: Vec<Parameter>,
    /// Which maintenance cards it makes, in the order of the file; `None`: the file does not say.
    pub makes: Option<Vec<CardPurpose>>,
    pub errors: Vec<DeviceError>,
    /// `[[map]]`, for the component, which checks them: how an instrument's registers are read.
    pub maps: Vec<toml::Table>,
    /// For the SDK; nothing here reads them.
    pub build: toml::Table,
    pub certify: toml::Table,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vendor {
    pub code: VendorCode,
    pub name_en: String,
    pub name_zh: String,
}

/// How a sale is proved afterwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// Not at all: an unresolved sale needs an operator.
    None,
    /// By the device's purchase count and its last purchase.
    PurchaseCount,
    CreditRegister,
    /// By a list of purchases kept in the device.
    PurchaseList,
}

/// A parameter of the driver, as the admin's form shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    pub name: String,
    pub kind: ParameterKind,
    pub title_en: String,
    pub title_zh: String,
    /// May be empty.
    pub description_en: String,
    pub description_zh: String,
    pub minimum: Option<i64>,
    pub maximum: Option<i64>,
    /// `enum`: the values there are; empty: all of its type and range.
    pub choices: Vec<Value>,
    /// Used when the meter's configuration does not name it.
    pub default: Option<Value>,
    pub unit: Unit,
    /// Lives in the device, and can be written there; false: it only steers the driver.
    pub writable: bool,
    /// The maintenance cards that carry it to the device; empty: the file does not say.
    pub cards: Vec<CardPurpose>,
}

/// The types of JSON Schema that the contract's values have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParameterKind {
    Integer,
    /// With decimals.
    Number,
    String,
    Boolean,
}

/// What a device's error means, in both languages; several errors are joined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meaning {
    pub en: String,
    pub zh: String,
}

/// An error of the device in people's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceError {
    /// As the driver gives it in `device-code`, e.g. "0020".
    pub code: String,
    /// Interfaces of the contract in whose answers it means this; empty: in all.
    pub of: Vec<String>,
    /// The code is one bit of a hexadecimal word in which several may be set.
    pub bit: bool,
    pub en: String,
    pub zh: String,
}

impl Manifest {
    /// `file` is named in problems; every problem is told, not only the first.
    pub fn parse(file: &Path, text: &str) -> Result<Manifest, Problems> {
        let raw = toml::from_str(text)
            .map_err(|error| problem::of_toml(file, text, &error, "docs/writing-a-driver.md"))?;
        checks::check(file, text, raw)
    }

    pub fn is_for(&self, vendor: &VendorCode) -> bool {
        self.vendors.iter().any(|known| known.code == *vendor)
    }

    /// What `device_code` means in an answer of `interface` ("purse", "supply", ...): one error by
    /// its code, or those whose bits are set.
    pub fn errors_of(&self, interface: &str, device_code: &str) -> Vec<&DeviceError> {
        let here = |error: &&DeviceError| {
            error.of.is_empty() || error.of.iter().any(|known| known == interface)
        };
        let exact: Vec<_> =
            self.errors.iter().filter(here).filter(|error| error.code == device_code).collect();
        if !exact.is_empty() {
            return exact;
        }
        let word = u64::from_str_radix(device_code, 16).unwrap_or(0);
        let is_set = |error: &&DeviceError| {
            let mask = u64::from_str_radix(&error.code, 16).unwrap_or(0);
            error.bit && error.code.len() == device_code.len() && word & mask != 0
        };
        self.errors.iter().filter(here).filter(is_set).collect()
    }

    /// The same in one text; `None`: the file has no word for it.
    pub fn meaning_of(&self, interface: &str, device_code: &str) -> Option<Meaning> {
        let errors = self.errors_of(interface, device_code);
        let joined = |word: fn(&DeviceError) -> &str, by: &str| {
            errors.iter().map(|error| word(error)).collect::<Vec<_>>().join(by)
        };
        let (en, zh) = (joined(|error| &error.en, "; "), joined(|error| &error.zh, "；"));
        (!errors.is_empty()).then_some(Meaning { en, zh })
    }
}

impl Proof {
    const ALL: [Proof; 4] =
        [Proof::None, Proof::PurchaseCount, Proof::CreditRegister, Proof::PurchaseList];

    /// The word in `driver.toml`.
    pub fn name(self) -> &'static str {
        match self {
            Proof::None => "none",
            Proof::PurchaseCount => "purchase-count",
            Proof::CreditRegister => "credit-register",
            Proof::PurchaseList => "purchase-list",
        }
    }
}

impl ParameterKind {
    const ALL: [ParameterKind; 4] = [
        ParameterKind::Integer,
        ParameterKind::Number,
        ParameterKind::String,
        ParameterKind::Boolean,
    ];

    /// The word in `driver.toml` and in JSON Schema.
    pub fn name(self) -> &'static str {
        match self {
            ParameterKind::Integer => "integer",
            ParameterKind::Number => "number",
            ParameterKind::String => "string",
            ParameterKind::Boolean => "boolean",
        }
    }

    /// Whether `value` is of this type.
    pub fn takes(self, value: &Value) -> bool {
        match (self, value) {
            (ParameterKind::Integer, Value::Number(Decimal { scale, .. })) => *scale == 0,
            (ParameterKind::Number, Value::Number(_))
            | (ParameterKind::String, Value::Text(_))
            | (ParameterKind::Boolean, Value::Flag(_)) => true,
            _ => false,
        }
    }
}

/// Of a text that people are shown, or type.
const TEXT_BYTES: usize = 1_024;

/// Units by name, as the contract's table has them.
const UNITS: &[(&str, u16)] = &[
    ("none", 255),
    ("currency", 10),
    ("s", 7),
    ("m3", 13),
    ("W", 27),
    ("VA", 28),
    ("var", 29),
    ("Wh", 30),
    ("VAh", 31),
    ("varh", 32),
    ("A", 33),
    ("V", 35),
    ("Hz", 44),
    ("kWh", 256),
    ("kW", 257),
    ("kvar", 258),
    ("kVA", 259),
];

/// What a purse may hold, by the words of `driver.toml`.
const PURSES: &[(&str, Option<Quantity>)] = &[
    ("none", None),
    ("money", Some(Quantity::Money)),
    ("energy", Some(Quantity::Energy)),
    ("volume", Some(Quantity::Volume)),
];

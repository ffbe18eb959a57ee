//! How an M-Bus meter starts.

use jiff::civil::{Date, DateTime};
use serde::{Deserialize, Serialize};

/// One M-Bus meter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MbusPlan {
    /// 0 to 250; 0 is what a factory leaves.
    pub primary: u8,
    /// 8 digits.
    pub number: String,
    /// 3 capital letters.
    pub maker: String,
    pub version: u8,
    /// EN 13757-3, table of media: 2 electricity, 7 water.
    pub medium: u8,
    /// Wh of electricity, else 0.001 m3.
    pub counted: u64,
    pub clock: Option<DateTime>,
    /// The clock has seconds (type I), not minutes alone (type F).
    pub clock_seconds: bool,
    /// Seconds that the clock gains in a day; below zero: loses.
    pub clock_gains: i32,
    /// Values of the past, the newest one first; each stands in a store of its own, with its date.
    pub stored: Vec<MbusStored>,
}

/// What a meter counted at the end of a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MbusStored {
    pub on: Date,
    pub counted: u64,
}

impl Default for MbusPlan {
    fn default() -> Self {
        Self {
            primary: 0,
            number: "00000001".into(),
            maker: "SIM".into(),
            version: 1,
            medium: 7,
            counted: 0,
            clock: None,
            clock_seconds: false,
            clock_gains: 0,
            stored: Vec::new(),
        }
    }
}

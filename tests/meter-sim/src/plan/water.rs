//! How a CJ/T 188 meter starts, and where its make writes otherwise than the standard.

use jiff::civil::DateTime;
use serde::{Deserialize, Serialize};

/// One CJ/T 188 water meter. Money in fen, volume in 0.01 m3.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Cjt188Plan {
    /// 14 digits.
    pub address: String,
    /// Type of meter: 16 is cold water.
    pub kind: u8,
    pub volume: u64,
    pub settled_volume: u64,
    pub money_fen: u32,
    pub last_purchase_fen: u32,
    pub purchase_count: u8,
    pub valve_closed: bool,
    pub settlement_day: u8,
    pub reading_day: u8,
    pub clock: Option<DateTime>,
    /// FE bytes before each reply.
    pub wake_up_bytes: usize,
    /// Settlements, the last one first; as many as are kept.
    pub months: Vec<u64>,
    /// The maker's own byte of the status.
    pub second_status: u8,
    /// Where a make writes otherwise than the standard.
    pub identifier_high_first: bool,
    pub without_serial_number: bool,
    pub unit_first: bool,
    pub time_high_first: bool,
    /// What opens the valve, and what closes it.
    pub valve_codes: [u8; 2],
}

impl Default for Cjt188Plan {
    fn default() -> Self {
        Self {
            address: "00000000000001".into(),
            kind: 0x10,
            volume: 0,
            settled_volume: 0,
            money_fen: 0,
            last_purchase_fen: 0,
            purchase_count: 0,
            valve_closed: false,
            settlement_day: 1,
            reading_day: 1,
            clock: None,
            wake_up_bytes: 3,
            months: Vec::new(),
            second_status: 0,
            identifier_high_first: false,
            without_serial_number: false,
            unit_first: false,
            time_high_first: false,
            valve_codes: [0x55, 0x99],
        }
    }
}

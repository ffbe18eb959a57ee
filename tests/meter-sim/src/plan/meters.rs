//! How each kind of meter starts: plain data, with defaults that make a new meter with nothing in it.
//! Not here: what the meters do with it.

use crate::keypad::KeyOrigin;
use jiff::civil::DateTime;
use serde::{Deserialize, Serialize};

/// Which of Acrel's 1352 family a meter is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Acrel1352Kind {
    /// Single-phase.
    Ddsy,
    /// Three-phase.
    Dtsy,
    /// One single-phase circuit of a box.
    Adf300,
    /// One three-phase circuit of a box.
    Adf300ThreePhase,
}

/// One meter of Acrel's 1352 family. Money in fen, energy in 0.01 kWh.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Acrel1352Plan {
    /// Modbus address, 1 to 247.
    pub unit: u8,
    pub kind: Acrel1352Kind,
    pub energy: u64,
    pub balance_fen: i32,
    pub purchase_count: u16,
    /// Forced open.
    pub relay_open: bool,
    pub load_watts: u32,
    /// 0.1 V.
    pub voltage_decivolts: u32,
    pub demand_watts: u16,
    pub clock: Option<DateTime>,
}

impl Default for Acrel1352Plan {
    fn default() -> Self {
        Self {
            unit: 1,
            kind: Acrel1352Kind::Dtsy,
            energy: 0,
            balance_fen: 0,
            purchase_count: 0,
            relay_open: false,
            load_watts: 0,
            voltage_decivolts: 2200,
            demand_watts: 0,
            clock: None,
        }
    }
}

/// One meter of Sfere. Energy in 0.01 kWh.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SferePlan {
    /// Modbus address, 1 to 247.
    pub unit: u8,
    /// Sharp, peak, flat, valley and deep valley.
    pub tariff_energies: [u64; 5],
    pub current_ratio: u16,
    pub relay_open: bool,
    pub load_watts: u32,
    pub clock: Option<DateTime>,
}

impl Default for SferePlan {
    fn default() -> Self {
        Self {
            unit: 1,
            tariff_energies: [0; 5],
            current_ratio: 1,
            relay_open: false,
            load_watts: 0,
            clock: None,
        }
    }
}

/// One DL/T 698.45 meter. Money in fen, energy in 0.01 kWh.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Dlt698Plan {
    /// 12 digits as on the plate.
    pub address: String,
    pub three_phase: bool,
    /// Sharp, peak, flat and valley.
    pub tariff_energies: [u64; 4],
    pub energy_reverse: u64,
    pub money_fen: u32,
    pub purchase_count: u32,
    /// Told to open, and open.
    pub relay_open: bool,
    /// Denies the relay to whoever comes without the security module's wrap.
    pub secured: bool,
    pub load_watts: u32,
    /// 0.1 V.
    pub voltage_decivolts: u32,
    pub clock: Option<DateTime>,
    /// FE bytes before each answer.
    pub wake_up_bytes: usize,
    /// Longer answers come in parts.
    pub answer_bytes_max: usize,
    /// From one minute freeze to the next.
    pub freeze_minutes: u16,
    /// More is an overload; 0: nothing is.
    pub overload_watts: u32,
}

impl Default for Dlt698Plan {
    fn default() -> Self {
        Self {
            address: "000000000001".into(),
            three_phase: false,
            tariff_energies: [0; 4],
            energy_reverse: 0,
            money_fen: 0,
            purchase_count: 0,
            relay_open: false,
            secured: false,
            load_watts: 0,
            voltage_decivolts: 2200,
            clock: None,
            wake_up_bytes: 4,
            answer_bytes_max: 512,
            freeze_minutes: 15,
            overload_watts: 0,
        }
    }
}

/// What a DLMS meter wants of a client that is to see all of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DlmsSecurity {
    None,
    /// A password in the clear.
    Low {
        password: String,
    },
    /// High security with GMAC, every APDU ciphered: keys of 16 bytes in hex.
    Gmac {
        encryption_key: String,
        authentication_key: String,
    },
}

/// One DLMS/COSEM meter. Money in fen, energy in 0.01 kWh.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DlmsPlan {
    /// Its name on the bus, too.
    pub serial: String,
    /// Port of the wrapper, upper address of HDLC.
    pub logical_device: u16,
    /// Lower address of HDLC.
    pub physical_device: u16,
    pub device_name: String,
    pub security: DlmsSecurity,
    /// The highest counter that a client has used with the key.
    pub counter: u32,
    /// Longer answers come in blocks; 0 for no limit.
    pub apdu_bytes_max: u16,
    /// Information of one HDLC frame.
    pub information_bytes_max: u16,
    /// Several attributes in one question.
    pub several: bool,
    pub tariff_energies: [u64; 4],
    pub load_watts: u32,
    pub voltage_decivolts: u16,
    pub clock: Option<DateTime>,
    /// 0 to 6 (IEC 62056-6-2, class 70).
    pub control_mode: u8,
    pub disconnected: bool,
    /// The switch takes commands and does not move.
    pub stuck: bool,
    pub balance_fen: i32,
    pub low_credit_fen: i32,
    /// For a kWh; 0: nothing is charged.
    pub price_fen: u32,
    /// Of what the key of its tokens is made; none: it takes none.
    pub keypad: Option<KeyOrigin>,
    /// The limiter's threshold, 0 for none, and how long it may be exceeded.
    pub limit_watts: u32,
    pub limit_seconds: u32,
    /// From one load record to the next.
    pub load_period_seconds: u32,
    /// Rows of a profile are found by range of time, too.
    pub ranges: bool,
    /// Its profiles begin with the newest row.
    pub newest_first: bool,
    /// Of rows that follow each other by the period only the first says when.
    pub times_once: bool,
}

impl Default for DlmsPlan {
    fn default() -> Self {
        Self {
            serial: "00000001".into(),
            logical_device: 1,
            physical_device: 17,
            device_name: "SIM0000000000001".into(),
            security: DlmsSecurity::None,
            counter: 0,
            apdu_bytes_max: 512,
            information_bytes_max: 128,
            several: true,
            tariff_energies: [0; 4],
            load_watts: 0,
            voltage_decivolts: 2300,
            clock: None,
            control_mode: 4,
            disconnected: false,
            stuck: false,
            balance_fen: 10_000,
            low_credit_fen: 1_000,
            price_fen: 0,
            keypad: None,
            limit_watts: 0,
            limit_seconds: 60,
            load_period_seconds: 900,
            ranges: true,
            newest_first: false,
            times_once: false,
        }
    }
}

/// One meter of RDK. Money in fen, energy in 0.01 kWh.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RdkPlan {
    /// 8 digits.
    pub address: String,
    /// 16 letters.
    pub password: String,
    /// Most money the purse may hold.
    pub hoarding_limit_fen: u32,
    pub energy: u64,
}

impl Default for RdkPlan {
    fn default() -> Self {
        Self {
            address: "00000001".into(),
            password: "0000000000000000".into(),
            hoarding_limit_fen: 99_999_999,
            energy: 0,
        }
    }
}

/// One DL/T 645-2007 prepayment meter. Money in fen, energy in 0.01 kWh.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Dlt645Plan {
    /// 12 digits as on the plate.
    pub address: String,
    /// 12 digits for the authentication factor; none: the address.
    pub meter_number: Option<String>,
    /// 16 bytes in hex: the one key of authentication and MAC.
    pub key: String,
    /// 6 digits.
    pub password: String,
    /// 12 digits of the opened account; none: not opened.
    pub customer: Option<String>,
    /// False: the public test key is still inside, so nothing can be opened or sold.
    pub private_key: bool,
    /// What all that is called fen below is.
    pub purse: PurseKind,
    pub money_fen: u32,
    /// Amount of the purchase that the count stands for; none: all the money.
    pub last_purchase_fen: Option<u32>,
    pub overdraft_fen: u32,
    pub purchase_count: u32,
    pub tariff_energies: [u64; 4],
    /// Sharp, peak, flat, valley; fen per kWh.
    pub prices_fen: [u32; 4],
    pub load_watts: u32,
    /// 0.1 V.
    pub voltage_decivolts: u32,
    /// The meter's local time at start; none: the time of this machine. It moves by `advance` only.
    pub clock: Option<DateTime>,
    pub alarm_1_fen: u32,
    pub alarm_2_fen: u32,
    /// How far the purse may be overdrawn before the relay opens.
    pub overdraft_limit_fen: u32,
    /// Most money the purse may hold; 0: no limit.
    pub hoarding_limit_fen: u32,
    /// Least money at which a sale closes a relay that opened for lack of money.
    pub close_minimum_fen: u32,
    pub relay_open: bool,
    pub keep_power: bool,
    /// Time from the trip command to the opened relay.
    pub trip_delay_minutes: u32,
    pub relay_replies: RelayReplies,
    /// MAC failures in a day after which remote work is suspended for 24 hours.
    pub suspend_after: u32,
    /// How long one authentication is valid.
    pub authentication_minutes: u32,
    /// FE bytes before each reply.
    pub wake_up_bytes: usize,
    /// Longer answers to reading come in several frames.
    pub answer_bytes_max: usize,
    pub editions: Editions,
}

/// What a purse holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PurseKind {
    Money,
    /// 0.01 kWh where money is fen, and no prices.
    Energy,
}

/// Which editions of DL/T 645 a meter answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Editions {
    #[serde(rename = "2007")]
    Of2007,
    Both,
    /// Silent to what the standard of 1997 does not know.
    #[serde(rename = "1997")]
    Of1997,
}

/// How the relay command answers (protocols.md 1.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RelayReplies {
    /// 9CH without data, DCH with the one error byte of DL/T 645-2007.
    OneByte,
    /// Two-byte words both ways, the 2013 extension.
    Words,
}

/// One user of an ADF400L box. Money in fen, energy in 0.01 kWh.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Adf400lPlan {
    /// Modbus address, 1 to 247.
    pub unit: u8,
    pub three_phase: bool,
    /// Register 0908H; false: metering only.
    pub prepaid: bool,
    pub balance_fen: i32,
    /// Amount of the purchase that the count stands for; none: all of a positive balance.
    pub last_purchase_fen: Option<u32>,
    /// The control word holds the relay open.
    pub relay_forced_open: bool,
    pub purchase_count: u16,
    pub total_purchased_fen: u32,
    pub energy: u64,
    pub prices_fen: [u32; 4],
    pub alarm_1_fen: u32,
    pub alarm_2_fen: u32,
    pub load_watts: u32,
    pub clock: Option<DateTime>,
}

impl Default for Dlt645Plan {
    fn default() -> Self {
        Self {
            address: "000000000001".into(),
            meter_number: None,
            key: "00112233445566778899AABBCCDDEEFF".into(),
            password: "000000".into(),
            customer: None,
            private_key: true,
            purse: PurseKind::Money,
            money_fen: 0,
            last_purchase_fen: None,
            overdraft_fen: 0,
            purchase_count: 0,
            tariff_energies: [0; 4],
            prices_fen: [102, 86, 58, 32],
            load_watts: 0,
            voltage_decivolts: 2200,
            clock: None,
            alarm_1_fen: 2000,
            alarm_2_fen: 1000,
            overdraft_limit_fen: 0,
            hoarding_limit_fen: 0,
            close_minimum_fen: 0,
            relay_open: false,
            keep_power: false,
            trip_delay_minutes: 0,
            relay_replies: RelayReplies::OneByte,
            // FW-A knows 3 and 15, FW-C 200 (protocols.md 1.6); the strictest one is simulated.
            suspend_after: 3,
            authentication_minutes: 5,
            wake_up_bytes: 4,
            answer_bytes_max: 196,
            editions: Editions::Of2007,
        }
    }
}

impl Default for Adf400lPlan {
    fn default() -> Self {
        Self {
            unit: 1,
            three_phase: false,
            prepaid: true,
            balance_fen: 0,
            last_purchase_fen: None,
            relay_forced_open: false,
            purchase_count: 0,
            total_purchased_fen: 0,
            energy: 0,
            prices_fen: [102, 86, 58, 32],
            alarm_1_fen: 2000,
            alarm_2_fen: 1000,
            load_watts: 0,
            clock: None,
        }
    }
}

impl Dlt645Plan {
    /// An unopened meter with nothing in it.
    pub fn new(address: &str) -> Self {
        Self { address: address.into(), ..Self::default() }
    }
}

impl Adf400lPlan {
    /// A prepaid single-phase user with nothing in its purse.
    pub fn new(unit: u8) -> Self {
        Self { unit, ..Self::default() }
    }
}

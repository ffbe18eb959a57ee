//! What the purse of these meters holds, as data. Two drivers are built from this code: one for meters
//! that hold money, and `drivers/dlt645-2007-energy` for meters that hold energy, which differ in this
//! table only.
//!
//! Invariant: a credit goes to a meter whole or not at all; nothing is rounded here.

use polymeter_driver::Credit;
use polymeter_driver::codes::{quantity, unit};

/// One kind of purse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    pub quantity: u16,
    /// So many of the contract's units are one of the meter's.
    pub step: u64,
    /// In readings, where it has two decimals: yuan, or kWh.
    pub unit: u16,
    /// In what a limit is given, and how many of the meter's hundredths that is: fen, or whole kWh.
    pub limit_name: &'static str,
    pub limit_times: u64,
    pub limit_max: i64,
    /// In titles of parameters: "金额", "电量".
    pub title_zh: &'static str,
    pub vendor_code: &'static str,
    pub driver_name: &'static str,
    pub models: &'static [&'static str],
    /// Identifiers: DL/T 645-2007, appendix A; `0090` and `0333` of the 2013 extension.
    pub remaining: u32,
    pub overdrawn: u32,
    pub last_count: &'static str,
    pub last_amount: &'static str,
    pub alarm_1: u32,
    pub alarm_2: u32,
    pub hoarding_limit: u32,
    pub overdraft_limit: u32,
    /// Has prices, ladders and a least purse at which a purchase closes the relay.
    pub has_prices: bool,
}

/// XXXXXX.XX yuan, binary in the purse's commands.
pub const MONEY: Held = Held {
    quantity: quantity::MONEY,
    step: 1,
    unit: unit::CURRENCY,
    limit_name: "fen",
    limit_times: 1,
    limit_max: 99_999_999,
    title_zh: "金额",
    vendor_code: "DLT645",
    driver_name: "DL/T 645-2007 prepaid meter",
    models: &["DDSY666", "DTSY666"],
    remaining: 0x0090_0200,
    overdrawn: 0x0090_0201,
    last_count: "03330201",
    last_amount: "03330301",
    alarm_1: 0x0400_1001,
    alarm_2: 0x0400_1002,
    overdraft_limit: 0x0400_1003,
    hoarding_limit: 0x0400_1004,
    has_prices: true,
};

/// XXXXXX.XX kWh; that the purse's commands count it in the same hundredths is assumed (README).
pub const ENERGY: Held = Held {
    quantity: quantity::ENERGY,
    step: 10,
    unit: unit::KILOWATT_HOUR,
    limit_name: "kWh",
    limit_times: 100,
    limit_max: 999_999,
    title_zh: "电量",
    vendor_code: "DLT645E",
    driver_name: "DL/T 645-2007 prepaid meter, energy in its purse",
    models: &["DL/T 645-2007 (kWh)"],
    remaining: 0x0090_0100,
    overdrawn: 0x0090_0101,
    last_count: "03320201",
    last_amount: "03320301",
    alarm_1: 0x0400_0F01,
    alarm_2: 0x0400_0F02,
    hoarding_limit: 0x0400_0F03,
    overdraft_limit: 0x0400_0F04,
    has_prices: false,
};

/// Of this build.
pub const HELD: Held = if cfg!(feature = "energy") { ENERGY } else { MONEY };

impl Held {
    /// What the meter says, as credit.
    pub fn credit(&self, counted: u64) -> Credit {
        Credit { quantity: self.quantity, amount: counted.saturating_mul(self.step) }
    }

    /// A credit as the meter counts it, or why it cannot.
    pub fn counted(&self, credit: Credit) -> Result<u64, String> {
        if credit.quantity != self.quantity {
            return Err(match self.quantity {
                quantity::MONEY => "this meter's purse holds money".to_owned(),
                _ => "this meter's purse holds energy".to_owned(),
            });
        }
        match credit.amount.checked_rem(self.step) {
            Some(0) => Ok(credit.amount.checked_div(self.step).unwrap_or_default()),
            _ => Err(format!("{} Wh: this meter counts in steps of {}", credit.amount, self.step)),
        }
    }
}

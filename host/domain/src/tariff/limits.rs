//! Bounds that keep every product of this module within 128 bits, and texts within reason.

/// Wh or litres of one meter in one accumulation: 1,000,000,000 kWh.
pub const QUANTITY_MAX: u64 = 1_000_000_000_000;

/// Ten-thousandths of a minor unit per kWh or m³: 10,000.00 of a currency with two decimals.
pub const RATE_MAX: u64 = 10_000_000_000;

/// Minor units of a fee or a minimum for one month.
pub(super) const MONTHLY_MAX: i64 = 100_000_000_000;

pub(super) const STEPS_MAX: usize = 12;
pub(super) const SEASONS_MAX: usize = 12;
pub(super) const SLOTS_MAX: usize = 96;
pub(super) const SPECIAL_DAYS_MAX: usize = 400;
pub(super) const PEOPLE_MAX: u32 = 1_000;
pub(super) const RATIO_MAX: u32 = 1_000_000;
pub(super) const LOSS_PPM_MAX: u32 = 1_000_000;
/// 10,000 kW day and night.
pub(super) const IRON_LOSS_WH_MAX: u64 = 240_000_000;
/// A text of a tariff, in characters.
pub(super) const NOTATION_CHARS_MAX: usize = 20_000;
/// Days between two readings that are billed at once.
pub(super) const BILL_DAYS_MAX: i64 = 3_660;

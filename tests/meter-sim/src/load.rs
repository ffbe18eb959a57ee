//! The consumption behind a meter: watts times seconds into energy by tariff and cost in fen.
//! Nothing moves by itself: time passes only when a caller says so, so that tests are repeatable.
//! Integers only; what is less than one unit is carried to the next step, also into another tariff,
//! so that the energy of a span does not depend on the hour at which it begins.

use jiff::ToSpan;
use jiff::civil::DateTime;

/// Longest step: a relay that opens for lack of money opens within a minute of its time.
const STEP_SECONDS_MAX: u32 = 60;
/// 0.01 kWh in watt-seconds.
const WATT_SECONDS_PER_CENTI_KWH: u64 = 36_000;
const WATT_SECONDS_PER_KWH: u64 = 3_600_000;

/// What one step used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Used {
    /// Index into sharp, peak, flat, valley.
    pub tariff: usize,
    /// 0.01 kWh.
    pub energy: u64,
    pub cost_fen: u32,
}

/// A steady load and what it left over below one unit.
#[derive(Debug, Clone)]
pub struct Load {
    pub watts: u32,
    energy_rest: u64,
    cost_rest: u64,
}

impl Load {
    pub fn new(watts: u32) -> Self {
        Self { watts, energy_rest: 0, cost_rest: 0 }
    }

    /// The consumption of `seconds` (at most one step) at `clock` at these prices (fen per kWh).
    pub fn use_up(&mut self, clock: DateTime, seconds: u32, prices_fen: &[u32; 4]) -> Used {
        self.use_up_in(tariff_at(clock), seconds, prices_fen)
    }

    /// The same in this tariff, by a calendar of the meter's own.
    pub fn use_up_in(&mut self, tariff: usize, seconds: u32, prices_fen: &[u32; 4]) -> Used {
        let watt_seconds = u64::from(self.watts) * u64::from(seconds);
        let energy = self.energy_rest + watt_seconds;
        self.energy_rest = energy % WATT_SECONDS_PER_CENTI_KWH;
        let cost = self
            .cost_rest
            .saturating_add(watt_seconds.saturating_mul(u64::from(prices_fen[tariff])));
        self.cost_rest = cost % WATT_SECONDS_PER_KWH;
        Used {
            tariff,
            energy: energy / WATT_SECONDS_PER_CENTI_KWH,
            cost_fen: u32::try_from(cost / WATT_SECONDS_PER_KWH).unwrap_or(u32::MAX),
        }
    }
}

/// The length of the next step of a walk through `seconds`.
pub fn step(clock: DateTime, seconds: u32) -> u32 {
    let to_next_minute = 60 - u32::from(clock.second().unsigned_abs().min(59));
    seconds.min(to_next_minute).min(STEP_SECONDS_MAX)
}

/// The clock after `seconds`; it stops at the end of the calendar.
pub fn later(clock: DateTime, seconds: u32) -> DateTime {
    clock.saturating_add(i64::from(seconds).seconds())
}

/// A day in four tariffs: sharp 18 to 20, peak 8 to 11, valley 22 to 6, flat the rest.
pub fn tariff_at(clock: DateTime) -> usize {
    match clock.hour() {
        18..20 => 0,
        8..11 => 1,
        22.. | ..6 => 3,
        _ => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_over_two_tariffs_counts_what_a_span_within_one_counts() {
        for hour in 0..24 {
            let mut clock = DateTime::constant(2026, 11, 26, hour, 7, 38, 0);
            let mut load = Load::new(6_000);
            let (mut energy, mut left) = (0, 2 * 3_600);
            while left > 0 {
                let seconds = step(clock, left);
                energy += load.use_up(clock, seconds, &[0; 4]).energy;
                clock = later(clock, seconds);
                left -= seconds;
            }
            assert_eq!(energy, 1_200, "from {hour}:07:38");
        }
    }
}

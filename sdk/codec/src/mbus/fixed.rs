//! The fixed data structure of old meters: two counters (EN 1434-3:1997, 6.2; CI 73 and 77).
//!
//! Invariant: exactly 16 bytes, or an error.

use super::meaning::{Meaning, Quantity, Unit};
use super::message::BadMessage;
use super::value::{Order, Value, bcd, unsigned};

/// How long it is.
pub(super) const FIXED_BYTES: usize = 16;

/// Two counters and who counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fixed {
    /// The identification number, low byte first.
    pub number: [u8; 4],
    /// Counts the device's answers.
    pub access: u8,
    /// Bit 0: the counters are binary; bit 1: they are of a due day.
    pub status: u8,
    units: [u8; 2],
    counters: [[u8; 4]; 2],
    order: Order,
}

/// One counter.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Counter {
    /// A number, or why it is none.
    pub value: Value<'static>,
    /// Quantity, unit and power of ten.
    pub meaning: Meaning,
    /// Of the due day, not of now.
    pub stored: bool,
}

impl Fixed {
    pub(super) fn new(data: &[u8], order: Order) -> Result<Fixed, BadMessage> {
        let Ok(bytes) = <[u8; FIXED_BYTES]>::try_from(data) else {
            return Err(BadMessage::FixedLength(data.len()));
        };
        let [a, b, c, d, access, status, first, second, rest @ ..] = bytes;
        let [e, f, g, h, i, j, k, l] = rest;
        let (number, units) = match order {
            Order::LowFirst => ([a, b, c, d], [first, second]),
            Order::HighFirst => ([d, c, b, a], [second, first]),
        };
        let counters = [[e, f, g, h], [i, j, k, l]];
        Ok(Fixed { number, access, status, units, counters, order })
    }

    /// The medium: two bits of each unit byte (EN 1434-3:1997, table 3). The names of the first
    /// codes are those of the header's medium, so far as they go.
    pub fn medium(&self) -> u8 {
        let [first, second] = self.units;
        first >> 6 | (second >> 6 << 2)
    }

    /// Both counters. The second unit "same but historic" takes the first one's.
    pub fn counters(&self) -> [Counter; 2] {
        const SAME: u8 = 0x3E;
        let [first, second] = self.units.map(|unit| unit & 0x3F);
        let [one, two] = self.counters;
        let stored = self.status & 0x02 != 0;
        let second = if second == SAME { (first, true) } else { (second, stored) };
        [self.counter(one, first, stored), self.counter(two, second.0, second.1)]
    }

    fn counter(&self, bytes: [u8; 4], unit: u8, stored: bool) -> Counter {
        let value = if self.status & 1 == 0 {
            bcd(&bytes, self.order)
        } else {
            match unsigned(&bytes, self.order) {
                Value::Number(number) => Value::Number(number),
                // Four bytes always fit.
                _ => Value::Nothing,
            }
        };
        Counter { value, meaning: meaning(unit), stored }
    }
}

/// Units of the fixed structure (EN 1434-3:1997, table 4): runs of nine powers of ten.
pub(crate) fn meaning(unit: u8) -> Meaning {
    use Quantity as Q;
    let run = |first: u8, quantity, unit_of, scale: i8| Meaning {
        quantity,
        unit: unit_of,
        scale: i8::try_from(unit.saturating_sub(first)).unwrap_or(0).saturating_add(scale),
    };
    match unit {
        0x00 => Meaning { quantity: Q::Hours, unit: Unit::None, scale: 0 },
        0x01 => Meaning { quantity: Q::Date, unit: Unit::None, scale: 0 },
        0x02..=0x0A => run(0x02, Q::Energy, Unit::WattHour, 0),
        0x0B..=0x13 => run(0x0B, Q::Energy, Unit::Joule, 3),
        0x14..=0x1C => run(0x14, Q::Power, Unit::Watt, 0),
        0x1D..=0x25 => run(0x1D, Q::Power, Unit::JoulePerHour, 3),
        0x26..=0x2E => run(0x26, Q::Volume, Unit::CubicMetre, -6),
        0x2F..=0x37 => run(0x2F, Q::VolumeFlow, Unit::CubicMetrePerHour, -6),
        0x38 => Meaning { quantity: Q::FlowTemperature, unit: Unit::Celsius, scale: -3 },
        0x39 => Meaning { quantity: Q::HeatCostAllocation, unit: Unit::Allocation, scale: 0 },
        0x3F => Meaning { quantity: Q::Dimensionless, unit: Unit::None, scale: 0 },
        _ => Meaning { quantity: Q::Unknown, unit: Unit::None, scale: 0 },
    }
}

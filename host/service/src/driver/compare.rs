//! Two versions of a driver asked about one device: where their answers differ.
//!
//! Invariant: registers, units and qualities must be the same; values may drift by what the device
//! itself did between the two reads, and by no more. Times drift by nature and are not compared.

use polymeter_domain::{Decimal, Measurement, Snapshot, Value};
use std::collections::BTreeMap;
use std::fmt;

/// One register on which two versions do not agree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// An OBIS code, the name of an extra, or what else was compared.
    pub what: String,
    pub current: String,
    pub candidate: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {} by the current, {} by the candidate",
            self.what, self.current, self.candidate
        )
    }
}

/// What the candidate says otherwise than the current version. `drift_percent` is what a value may
/// have moved between the two reads.
pub(crate) fn differences(
    current: &Snapshot,
    candidate: &Snapshot,
    drift_percent: u32,
) -> Vec<Difference> {
    let mut found = Vec::new();
    let of = |snapshot: &Snapshot| -> BTreeMap<String, Measurement> {
        let measurements = snapshot.measurements.iter();
        measurements.map(|it| (it.register.as_str().to_owned(), it.clone())).collect()
    };
    let (ours, theirs) = (of(current), of(candidate));
    for (register, one) in &ours {
        match theirs.get(register) {
            None => found.push(difference(register, shown(one), "nothing")),
            Some(other) if !same(one, other, drift_percent) => {
                found.push(difference(register, shown(one), shown(other)));
            }
            Some(_) => {}
        }
    }
    for (register, other) in &theirs {
        if !ours.contains_key(register) {
            found.push(difference(register, "nothing", shown(other)));
        }
    }
    if current.supply != candidate.supply {
        let state = |snapshot: &Snapshot| format!("{:?}", snapshot.supply);
        found.push(difference("supply", state(current), state(candidate)));
    }
    let names = |snapshot: &Snapshot| {
        let names: Vec<&str> = snapshot.extras.iter().map(|(name, _)| name.as_str()).collect();
        names.join(", ")
    };
    if names(current) != names(candidate) {
        found.push(difference("extras", names(current), names(candidate)));
    }
    found
}

fn difference(
    what: impl Into<String>,
    current: impl Into<String>,
    candidate: impl Into<String>,
) -> Difference {
    Difference { what: what.into(), current: current.into(), candidate: candidate.into() }
}

fn same(one: &Measurement, other: &Measurement, drift_percent: u32) -> bool {
    one.unit == other.unit
        && one.quality == other.quality
        && match (&one.value, &other.value) {
            (Value::Number(one), Value::Number(other)) => near(*one, *other, drift_percent),
            (Value::Time(_), Value::Time(_)) => true,
            (one, other) => one == other,
        }
}

/// Within `drift_percent` of the larger of the two, or one step of the coarser's last digit.
fn near(one: Decimal, other: Decimal, drift_percent: u32) -> bool {
    let finest = one.scale.min(other.scale);
    let (Some(a), Some(b)) = (scaled(one, finest), scaled(other, finest)) else {
        return one == other;
    };
    let step = scaled(Decimal { mantissa: 1, scale: one.scale.max(other.scale) }, finest);
    let drift = a.abs().max(b.abs()) / 100 * i128::from(drift_percent);
    (a - b).abs() <= drift.max(step.unwrap_or(0))
}

/// The number in units of 10^`scale`, which is no coarser than its own; `None` where that is beyond
/// what a device could mean.
fn scaled(number: Decimal, scale: i8) -> Option<i128> {
    let digits = u32::try_from(i16::from(number.scale) - i16::from(scale)).ok()?;
    10_i128.checked_pow(digits)?.checked_mul(i128::from(number.mantissa))
}

fn shown(measurement: &Measurement) -> String {
    let value = match &measurement.value {
        Value::Number(number) => number.to_string(),
        other => format!("{other:?}"),
    };
    let unit = measurement.unit.symbol();
    let gap = if unit.is_empty() { "" } else { " " };
    format!("{value}{gap}{unit} ({:?})", measurement.quality)
}

#[cfg(test)]
mod tests {
    use super::*;
    use polymeter_domain::{ObisCode, Quality, SupplyState, Unit};

    fn measured(register: &str, mantissa: i64, scale: i8, unit: u16) -> Measurement {
        Measurement {
            register: ObisCode::new(register).expect("a code"),
            value: Value::Number(Decimal { mantissa, scale }),
            unit: Unit(unit),
            quality: Quality::Measured,
        }
    }

    fn snapshot(measurements: Vec<Measurement>) -> Snapshot {
        Snapshot { measurements, supply: SupplyState::Connected, extras: Vec::new() }
    }

    #[track_caller]
    fn check(candidate: Vec<Measurement>, expected: &[&str]) {
        let current = snapshot(vec![
            measured("1.0.1.8.0.255", 123_456, -2, 256),
            measured("1.0.32.7.0.255", 2300, -1, 35),
        ]);
        let found = differences(&current, &snapshot(candidate), 5);
        let found: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn what_a_device_does_between_two_reads_is_no_difference() {
        check(
            vec![
                measured("1.0.32.7.0.255", 22_500, -2, 35),
                measured("1.0.1.8.0.255", 1_234_570, -3, 256),
            ],
            &[],
        );
    }

    #[test]
    fn registers_units_qualities_and_values_must_agree() {
        let energy = measured("1.0.1.8.0.255", 123_456, -2, 256);
        let voltage = measured("1.0.32.7.0.255", 2300, -1, 35);
        check(
            vec![energy.clone()],
            &["1.0.32.7.0.255: 230.0 V (Measured) by the current, nothing by the candidate"],
        );
        check(
            vec![measured("1.0.1.8.0.255", 123_456, -2, 30), voltage.clone()],
            &[
                "1.0.1.8.0.255: 1234.56 kWh (Measured) by the current, 1234.56 Wh (Measured) by the \
               candidate",
            ],
        );
        check(
            vec![measured("1.0.1.8.0.255", 12_345_600, -2, 256), voltage.clone()],
            &["1.0.1.8.0.255: 1234.56 kWh (Measured) by the current, 123456.00 kWh (Measured) by \
               the candidate"],
        );
        let invalid = Measurement { quality: Quality::Invalid, ..voltage.clone() };
        check(
            vec![energy.clone(), invalid],
            &["1.0.32.7.0.255: 230.0 V (Measured) by the current, 230.0 V (Invalid) by the \
               candidate"],
        );
        check(
            vec![energy, voltage, measured("1.0.31.7.0.255", 5, 0, 33)],
            &["1.0.31.7.0.255: nothing by the current, 5 A (Measured) by the candidate"],
        );
    }

    #[test]
    fn no_number_is_too_odd_to_compare() {
        let odd = |mantissa, scale| Decimal { mantissa, scale };
        assert!(near(odd(0, 0), odd(0, 0), 5));
        assert!(near(odd(1, 127), odd(1, 127), 5));
        assert!(!near(odd(1, 127), odd(1, -128), 5));
        assert!(!near(odd(i64::MAX, 0), odd(i64::MIN, 0), 5));
        assert!(near(odd(-100, 0), odd(-101, 0), 5));
        assert!(!near(odd(-100, 0), odd(100, 0), 5));
    }
}

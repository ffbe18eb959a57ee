//! From what a meter said to what can be charged, or why it cannot be believed.
//!
//! Invariant: nothing but a measured number becomes money. Not here: what becomes of the others
//! (case).

use super::case::CaseKind;
use polymeter_domain::tariff::{Amounts, Commodity, Registers};
use polymeter_domain::{Decimal, Measurement, Quality, Snapshot, Unit, Value};

/// Active energy imported: all of it, and sharp, peak, flat, valley, deep valley.
const ENERGY: &str = "1.0.1.8.0.255";
const ENERGY_BY_PERIOD: [&str; 5] =
    ["1.0.1.8.1.255", "1.0.1.8.2.255", "1.0.1.8.3.255", "1.0.1.8.4.255", "1.0.1.8.5.255"];
/// Volume of cold water (IEC 62056-61, medium 8).
const WATER: &str = "8.0.1.0.0.255";

pub(crate) type Unbelievable = (CaseKind, String);

/// Whether what a device only estimated may become money: a person said so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Estimates {
    Refused,
    Allowed,
}

/// Wh or litres.
pub(crate) fn registers(
    snapshot: &Snapshot,
    commodity: Commodity,
    estimates: Estimates,
) -> Result<Registers, Unbelievable> {
    let of = |code: &str| {
        let mut found = snapshot.measurements.iter().filter(|it| it.register.as_str() == code);
        found.next().map_or(Ok(None), |measured| amount(measured, estimates))
    };
    let told = match commodity {
        Commodity::Water => Registers { total: of(WATER)?, periods: None },
        Commodity::Energy => {
            let mut periods = [None; 5];
            for (amount, code) in periods.iter_mut().zip(ENERGY_BY_PERIOD) {
                *amount = of(code)?;
            }
            // Few meters have a deep valley; one that lacks any other has no periods.
            let [Some(a), Some(b), Some(c), Some(d), deep] = periods else {
                return whole(Registers { total: of(ENERGY)?, periods: None }, commodity);
            };
            let periods = Amounts::new([a, b, c, d, deep.unwrap_or(0)]);
            Registers { total: of(ENERGY)?, periods: Some(periods) }
        }
    };
    whole(told, commodity)
}

fn whole(told: Registers, commodity: Commodity) -> Result<Registers, Unbelievable> {
    if told.total.is_none() && told.periods.is_none() {
        let register = match commodity {
            Commodity::Energy => ENERGY,
            Commodity::Water => WATER,
        };
        return Err((CaseKind::NoRegister, format!("it told no {register}")));
    }
    Ok(told)
}

/// `None`: not measured.
fn amount(measured: &Measurement, estimates: Estimates) -> Result<Option<u64>, Unbelievable> {
    let register = measured.register.as_str();
    match measured.quality {
        Quality::Measured => {}
        Quality::Estimated if estimates == Estimates::Allowed => {}
        Quality::NotMeasured => return Ok(None),
        Quality::Invalid => {
            return Err((CaseKind::Invalid, format!("{register} is not a number it can mean")));
        }
        Quality::Estimated => {
            return Err((CaseKind::Estimated, format!("{register} is estimated")));
        }
    }
    let shown = || match &measured.value {
        Value::Number(number) => format!("{register} is {number} {}", measured.unit.symbol()),
        _ => format!("{register} is no number"),
    };
    let Value::Number(number) = &measured.value else {
        return Err((CaseKind::Invalid, shown()));
    };
    match thousandths(*number, measured.unit) {
        Some(amount) => Ok(Some(amount)),
        None => Err((CaseKind::Invalid, shown())),
    }
}

/// Whole Wh or litres, what is less than one left out: it is in the next reading.
fn thousandths(number: Decimal, unit: Unit) -> Option<u64> {
    let up = match unit.0 {
        // kWh, m³
        256 | 13 => 3,
        // Wh
        30 => 0,
        _ => return None,
    };
    let power = i32::from(number.scale) + up;
    let digits = i128::from(u64::try_from(number.mantissa).ok()?);
    let value = match u32::try_from(power) {
        Ok(power) => digits.checked_mul(10_i128.checked_pow(power)?)?,
        Err(_) => digits / 10_i128.checked_pow(power.unsigned_abs())?,
    };
    u64::try_from(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use polymeter_domain::{ObisCode, SupplyState};

    fn snapshot(measured: &[(&str, i64, i8, Unit, Quality)]) -> Snapshot {
        let measurements =
            measured.iter().map(|(code, mantissa, scale, unit, quality)| Measurement {
                register: ObisCode::new(code).expect("a code"),
                value: Value::Number(Decimal { mantissa: *mantissa, scale: *scale }),
                unit: *unit,
                quality: *quality,
            });
        let measurements = measurements.collect();
        Snapshot { measurements, supply: SupplyState::Unknown, extras: Vec::new() }
    }

    #[test]
    fn only_measured_numbers_are_registers() {
        let kwh = Unit(256);
        let told =
            |measured: &[_]| registers(&snapshot(measured), Commodity::Energy, Estimates::Refused);
        let (good, not) = (Quality::Measured, Quality::NotMeasured);
        let one = told(&[(ENERGY, 186, -2, kwh, good)]).expect("a register");
        assert_eq!(one, Registers { total: Some(1_860), periods: None });
        for (mantissa, scale, unit, wh) in
            [(12_345, 0, Unit(30), 12_345), (18_605, -4, kwh, 1_860), (2, 1, kwh, 20_000)]
        {
            let read = told(&[(ENERGY, mantissa, scale, unit, good)]).expect("a register");
            assert_eq!(read.total, Some(wh));
        }
        let four = ENERGY_BY_PERIOD.map(|code| (code, 1, 0, kwh, good));
        let by_period = told(&four[..4]).expect("periods");
        assert_eq!(by_period.periods, Some(Amounts::new([1_000, 1_000, 1_000, 1_000, 0])));
        for (measured, kind) in [
            (&[][..], CaseKind::NoRegister),
            (&[(ENERGY, 1, 0, kwh, not)], CaseKind::NoRegister),
            (&four[..3], CaseKind::NoRegister),
            (&[(ENERGY, 1, 0, kwh, Quality::Estimated)], CaseKind::Estimated),
            (&[(ENERGY, 1, 0, kwh, Quality::Invalid)], CaseKind::Invalid),
            (&[(ENERGY, -1, 0, kwh, good)], CaseKind::Invalid),
            (&[(ENERGY, 1, 0, Unit(27), good)], CaseKind::Invalid),
            (&[(ENERGY, i64::MAX, 10, kwh, good)], CaseKind::Invalid),
        ] {
            assert_eq!(told(measured).expect_err("no").0, kind, "{measured:?}");
        }
        let estimated = snapshot(&[(ENERGY, 1, 0, kwh, Quality::Estimated)]);
        let read = registers(&estimated, Commodity::Energy, Estimates::Allowed);
        assert_eq!(read.expect("a person said so").total, Some(1_000));
        let water = snapshot(&[(WATER, 12_345, -3, Unit(13), good)]);
        let read = registers(&water, Commodity::Water, Estimates::Refused).expect("water");
        assert_eq!(read.total, Some(12_345));
    }
}

//! The contract's numbers: made, and read as whole ones.

use polymeter_driver::{Decimal, Value};

/// `mantissa` x 10^`scale`.
pub fn number(mantissa: i64, scale: i8) -> Value {
    Value::Number(Decimal { mantissa, scale })
}

/// A number without a fraction, however it is scaled; `None` for anything else.
pub fn whole(value: &Value) -> Option<i64> {
    let Value::Number(Decimal { mantissa, scale }) = *value else { return None };
    let factor = 10_i64.checked_pow(u32::from(scale.unsigned_abs()))?;
    if scale >= 0 {
        return mantissa.checked_mul(factor);
    }
    let rest = mantissa.checked_rem(factor)?;
    (rest == 0).then(|| mantissa.checked_div(factor)).flatten()
}

/// A float by the fewest digits that tell it from its neighbours; `None` for what is no number, and for
/// more places than the contract has.
pub fn of_f32(float: f32) -> Option<Decimal> {
    if !float.is_finite() {
        return None;
    }
    // "1.2345e3": every digit that counts, and where the point is.
    let text = format!("{float:e}");
    let (digits, exponent) = text.split_once('e')?;
    let (whole, places) = digits.split_once('.').unwrap_or((digits, ""));
    let mantissa: i64 = format!("{whole}{places}").parse().ok()?;
    let places = i16::try_from(places.len()).ok()?;
    let scale = exponent.parse::<i16>().ok()?.checked_sub(places)?;
    Some(Decimal { mantissa, scale: i8::try_from(scale).ok()? })
}

/// The exact product; `None` where the contract's numbers do not hold it.
pub fn product(a: Decimal, b: Decimal) -> Option<Decimal> {
    let mantissa = a.mantissa.checked_mul(b.mantissa)?;
    Some(Decimal { mantissa, scale: a.scale.checked_add(b.scale)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers() {
        let check = |mantissa, scale, expected: Option<i64>| {
            assert_eq!(whole(&number(mantissa, scale)), expected, "{mantissa}e{scale}");
        };
        check(65, 0, Some(65));
        check(6500, -2, Some(65));
        check(65, 1, Some(650));
        check(651, -1, None);
        check(i64::MAX, 1, None);
        check(1, 127, None);
        check(1, -128, None);
        assert_eq!(whole(&Value::Flag(true)), None);
    }

    #[test]
    fn floats_by_their_shortest_digits() {
        let check = |float: f32, expected: Option<(i64, i8)>| {
            let found = of_f32(float).map(|it| (it.mantissa, it.scale));
            assert_eq!(found, expected, "{float}");
        };
        check(220.1, Some((2201, -1)));
        check(-0.25, Some((-25, -2)));
        check(0.0, Some((0, 0)));
        check(49.98, Some((4998, -2)));
        check(16_777_216.0, Some((16_777_216, 0)));
        check(2_000_000.0, Some((2, 6)));
        check(f32::MAX, Some((34_028_235, 31)));
        check(f32::MIN_POSITIVE, Some((11_754_944, -45)));
        check(f32::NAN, None);
        check(f32::INFINITY, None);
    }

    #[test]
    fn products_are_exact_or_none() {
        let decimal = |mantissa, scale| Decimal { mantissa, scale };
        let found = product(decimal(3800, 0), decimal(25, -2)).map(|it| (it.mantissa, it.scale));
        assert_eq!(found, Some((95_000, -2)));
        assert!(product(decimal(i64::MAX, 0), decimal(2, 0)).is_none());
        assert!(product(decimal(1, 100), decimal(1, 100)).is_none());
    }
}

//! What a unit costs, as class 113 has it (unit_charge, IEC 62056-6-2, 4.6.4): a scale, what is
//! charged for, and a price for each tariff.
//!
//! Invariant: only the prices of a table change, and only as many as it has; a price that its scale
//! cannot write exactly is refused.

use crate::parameters::rescaled;
use crate::session::written;
use crate::settings::bad;
use polymeter_codec::dlms::Data;
use polymeter_driver::{Decimal, DriverError, LocalTime, Value, decimals, time};

/// Prices of one table.
const PRICES_MAX: usize = 32;
const DECIMALS: usize = 6;
/// When prices may change.
const YEARS: std::ops::Range<u16> = 2000..2200;
/// A price is for a kWh, a commodity of energy counts in Wh.
const KILO: i8 = 3;

/// Of a kWh, in the currency.
pub type Price = Decimal;

/// "0.5 0.75 1": as many as there are.
pub fn of(name: &str, value: &Value) -> Result<Vec<Price>, DriverError> {
    let Value::Text(text) = value else {
        return Err(bad(format!("{name} must be decimals between blanks")));
    };
    let prices: Option<Vec<Price>> = text.split_ascii_whitespace().map(decimal).collect();
    match prices {
        Some(prices) if (1..=PRICES_MAX).contains(&prices.len()) => Ok(prices),
        _ => Err(bad(format!("{name}: `{text}` is not 1 to {PRICES_MAX} decimals between blanks"))),
    }
}

/// With all decimals that a price may have.
fn decimal(word: &str) -> Option<Price> {
    let mantissa = i64::try_from(decimals::scaled(word, DECIMALS)?).ok()?;
    Some(Decimal { mantissa, scale: i8::try_from(DECIMALS).ok()?.checked_neg()? })
}

/// "2026-03-02 10:15"
pub fn minute(name: &str, value: &Value) -> Result<LocalTime, DriverError> {
    let time = match value {
        Value::Text(text) => time::typed(text),
        _ => None,
    };
    let time = time.filter(|time| YEARS.contains(&time.year));
    time.ok_or_else(|| bad(format!("{name} must be a time like 2026-03-02 10:15")))
}

/// How many prices a table has.
pub fn rows(table: &Data<'_>) -> usize {
    parts(table).map_or(0, |(_, _, _, rows)| rows.len())
}

type Parts<'a> = ((i8, i8), Data<'a>, Data<'a>, Vec<(Data<'a>, u8)>);

/// Scales of commodity and price, both as they stand with what is charged for, and of each row its
/// index and the bytes of its price.
fn parts<'a>(table: &Data<'a>) -> Option<Parts<'a>> {
    let fields = structure(table)?;
    let [scaling, commodity, Data::Array(prices)] = fields.as_slice() else { return None };
    let scales = structure(scaling)?;
    let [Data::Signed { value: commodity_scale, .. }, Data::Signed { value: price_scale, .. }] =
        scales.as_slice()
    else {
        return None;
    };
    let scales = (i8::try_from(*commodity_scale).ok()?, i8::try_from(*price_scale).ok()?);
    let row = |row: Data<'a>| match structure(&row)?.as_slice() {
        [index, Data::Signed { bytes, .. }] => Some((*index, *bytes)),
        _ => None,
    };
    let rows = prices.iter().map(row).collect::<Option<Vec<_>>>()?;
    Some((scales, *scaling, *commodity, rows))
}

fn structure<'a>(data: &Data<'a>) -> Option<Vec<Data<'a>>> {
    match data {
        Data::Structure(fields) => Some(fields.iter().collect()),
        _ => None,
    }
}

/// The table with these prices in it, or why it cannot be.
pub fn with(table: &Data<'_>, prices: &[Price]) -> Result<Vec<u8>, String> {
    let Some(((commodity_scale, price_scale), scaling, commodity, rows)) = parts(table) else {
        return Err("the meter's table of prices is none that is known".to_owned());
    };
    if rows.len() != prices.len() {
        return Err(format!("the meter has {} prices, and {} are given", rows.len(), prices.len()));
    }
    let (Some(count), Some(kilo)) =
        (u8::try_from(rows.len()).ok(), commodity_scale.checked_sub(KILO))
    else {
        return Err("a table of prices that is too long".to_owned());
    };
    let mut bytes = vec![0x02, 3];
    bytes.extend(written(&scaling));
    bytes.extend(written(&commodity));
    bytes.extend([0x01, count]);
    for ((index, wide), price) in rows.iter().zip(prices) {
        let scale = price.scale.checked_add(kilo);
        let units = scale.and_then(|scale| rescaled(price.mantissa, scale, price_scale));
        let value = Data::Signed { value: units.unwrap_or(-1), bytes: *wide };
        let written_price = written(&value);
        if units.is_none() || Data::decode(&written_price) != Ok(value) {
            let why = format!("a price is not whole in the meter's 10^{price_scale}, or too high");
            return Err(why);
        }
        bytes.extend([0x02, 2]);
        bytes.extend(written(index));
        bytes.extend(written_price);
    }
    Ok(bytes)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may say so by failing")]
mod tests {
    use super::*;

    /// Two tariffs, hundredths of a currency for a kWh.
    const TABLE: &[u8] = &[
        0x02, 3, 0x02, 2, 0x0F, 3, 0x0F, 0xFE, 0x02, 3, 0x12, 0, 3, 0x09, 6, 1, 0, 1, 8, 0, 255,
        0x0F, 2, 0x01, 2, 0x02, 2, 0x09, 1, 1, 0x10, 0, 55, 0x02, 2, 0x09, 1, 2, 0x10, 0, 80,
    ];

    fn told(text: &str) -> Result<Vec<Price>, DriverError> {
        of("tariff-prices", &Value::Text(text.to_owned()))
    }

    #[test]
    fn prices_go_into_their_places_and_nothing_else_changes() {
        let table = Data::decode(TABLE).unwrap();
        assert_eq!(rows(&table), 2);
        let same = with(&table, &told("0.55 0.8").unwrap()).unwrap();
        assert_eq!(same, TABLE);
        let new = with(&table, &told("1 300.10").unwrap()).unwrap();
        let changed: Vec<usize> = (0..TABLE.len()).filter(|at| TABLE[*at] != new[*at]).collect();
        assert_eq!((new[31..33].to_vec(), new[39..41].to_vec()), (vec![0, 100], vec![0x75, 0x3A]));
        assert_eq!(changed, [32, 39, 40]);
        for (prices, why) in [
            ("0.555 1", "not whole"),
            ("400 1", "too high"),
            ("1", "has 2 prices, and 1 are given"),
        ] {
            let no = with(&table, &told(prices).unwrap()).unwrap_err();
            assert!(no.contains(why), "{prices}: {no}");
        }
        assert_eq!(rows(&Data::Null), 0);
        assert!(with(&Data::Null, &told("1").unwrap()).is_err());
    }

    #[test]
    fn what_is_no_price_and_no_time_is_refused() {
        for text in
            ["", "x", "1,5", "-1", "1.2345678", "123456789", ".5", "0.1 ".repeat(33).as_str()]
        {
            assert!(told(text).is_err(), "{text}");
        }
        let from = |text: &str| minute("tariff-switch-time", &Value::Text(text.to_owned()));
        assert_eq!(from("2026-03-02 10:15").unwrap().minute, 15);
        for text in ["2026-03-02", "2026-02-30 10:15", "1999-03-02 10:15", "2200-03-02 10:15"] {
            assert!(from(text).is_err(), "{text}");
        }
    }
}

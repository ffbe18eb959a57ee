//! The lists of an ADF400L user, as registers: the months before, the purchases.
//!
//! Not here: what is written into them, and when.

use jiff::civil::DateTime;

use super::{Exception, ILLEGAL_ADDRESS};
use crate::device::Purchase;
use crate::modbus::{pair, words};

/// Registers of one record of 20 bytes.
const RECORD_REGISTERS: u16 = 10;

/// Each address of a list is a record of ten registers; an empty record is all zero.
pub fn records(
    of: impl Fn(usize) -> [u16; 10],
    most: usize,
    first: usize,
    count: u16,
) -> Result<Vec<u16>, Exception> {
    let records = usize::from(count.div_ceil(RECORD_REGISTERS));
    if first + records > most {
        return Err(ILLEGAL_ADDRESS);
    }
    let mut values: Vec<u16> = (first..first + records).flat_map(of).collect();
    values.truncate(usize::from(count));
    Ok(values)
}

/// Year, month, day, hour; sharp, peak, flat, valley.
pub fn month(frozen: Option<&(DateTime, [u64; 4])>) -> [u16; 10] {
    let Some((at, energies)) = frozen else { return [0; 10] };
    let year = i8::try_from(at.year().rem_euclid(100)).unwrap_or(0);
    let [a, b, c, d] = energies.map(|energy| words(u32::try_from(energy).unwrap_or(u32::MAX)));
    let time = [pair(year, at.month()), pair(at.day(), at.hour())];
    [time[0], time[1], a[0], a[1], b[0], b[1], c[0], c[1], d[0], d[1]]
}

/// Time (6), count (2), amount (4), balance after (4), total (4).
pub fn record(purchase: Option<&Purchase>) -> [u16; 10] {
    let Some(purchase) = purchase else { return [0; 10] };
    let at = purchase.at;
    let year = i8::try_from(at.year().rem_euclid(100)).unwrap_or(0);
    let after = i32::try_from(purchase.after_fen).unwrap_or(i32::MIN).cast_unsigned();
    let total = u32::try_from(purchase.cumulative_fen).unwrap_or(u32::MAX);
    let [amount_high, amount_low] = words(purchase.amount_fen);
    let [after_high, after_low] = words(after);
    let [total_high, total_low] = words(total);
    [
        pair(year, at.month()),
        pair(at.day(), at.hour()),
        pair(at.minute(), at.second()),
        u16::try_from(purchase.count).unwrap_or(u16::MAX),
        amount_high,
        amount_low,
        after_high,
        after_low,
        total_high,
        total_low,
    ]
}

//! Captured frames in words, with this box's names of registers, and a sale as a sale.

use crate::registers::{
    CLOCK, MODE, MONTHS, MONTHS_KEPT, PURCHASE_REGISTERS, PURCHASES, PURCHASES_KEPT, SINGLE_PHASE,
    THREE_PHASE,
};
use polymeter_driver::{Explanation, Value};
use polymeter_modbus::explain::{Name, explain};
use polymeter_modbus::value::number;

/// Explains the first frame in a capture; what stands around it is counted.
pub fn decode(capture: &[u8]) -> Result<Explanation, String> {
    let mut explained = explain(capture, &names())?;
    add_sale(&mut explained);
    Ok(explained)
}

/// Amount and count of a write that sells, behind its data.
fn add_sale(explained: &mut Explanation) {
    let of = |name: &str| explained.extras.iter().position(|(known, _)| known == name);
    let (Some(start), Some(data)) = (of("start"), of("data")) else { return };
    let sells = |start: &Value| {
        let sales = [SINGLE_PHASE.sale, THREE_PHASE.sale].map(|sale| format!("{sale:04X}"));
        matches!(start, Value::Text(text) if sales.contains(text))
    };
    let (Some((_, start)), Some((_, Value::Bytes(bytes)))) =
        (explained.extras.get(start), explained.extras.get(data))
    else {
        return;
    };
    if let [a, b, c, d, high, low] = *bytes.as_slice()
        && sells(start)
    {
        let amount = u32::from_be_bytes([a, b, c, d]);
        let count = u16::from_be_bytes([high, low]);
        let sale = [("amount", i64::from(amount), -2), ("purchase-count", i64::from(count), 0)];
        let sale = sale.map(|(name, mantissa, scale)| (name.to_owned(), number(mantissa, scale)));
        let behind = data.saturating_add(1);
        explained.extras.splice(behind..behind, sale);
    }
}

fn names() -> Vec<Name> {
    let mut names = SINGLE_PHASE.names();
    names.extend(THREE_PHASE.names());
    names.push((MODE, 1, "mode"));
    names.push((CLOCK.start, CLOCK.count, "clock"));
    names.push((MONTHS, MONTHS_KEPT.saturating_add(PURCHASE_REGISTERS), "months"));
    names.push((PURCHASES, PURCHASES_KEPT.saturating_add(PURCHASE_REGISTERS), "purchases"));
    names.into_iter().map(|(first, count, name)| (first, count, name.to_owned())).collect()
}

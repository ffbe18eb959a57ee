//! One reading by a map: as few questions as the map allows, and every value with its quality.
//!
//! Invariant: a value is told as measured only if all its registers came, it is none of those that mean
//! absent, and its arithmetic was exact. A run of registers that the device says it does not have costs
//! those values and no others; any other failure is the reading's.

use crate::exchange::{self, Block, Words};
use crate::map::{Byte, Exponent, Kind, Map, Register, SCALE_MAX, Status, WordOrder};
use crate::value::{number, of_f32, product};
use polymeter_codec::modbus::Unit;
use polymeter_driver::codes::{error, quality, supply};
use polymeter_driver::{Decimal, DriverError, Host, Measurement, Value};
use std::collections::BTreeMap;

/// The registers that came.
#[derive(Debug, Default)]
pub struct Held(BTreeMap<u16, u16>);

impl Held {
    /// One register, if the device has it.
    pub fn word(&self, register: u16) -> Option<u16> {
        self.0.get(&register).copied()
    }

    /// What the device holds of `map`. Error 4 if it has none of it.
    pub fn of(host: &mut dyn Host, unit: Unit, map: &Map) -> Result<Held, DriverError> {
        let mut held = Held::default();
        let mut missing = None;
        for block in blocks(map.wanted(), map.gap, map.longest) {
            match exchange::read_table(host, unit, map.table(), block) {
                Ok(words) => held.add(&words),
                Err(none) if none.code == error::NO_SUCH_DATA => missing = Some(none),
                Err(failed) => return Err(failed),
            }
        }
        match missing {
            Some(none) if held.0.is_empty() => Err(none),
            _ => Ok(held),
        }
    }

    fn add(&mut self, words: &Words) {
        self.0.extend(words.each());
    }

    /// The bits of a value, high word first in the result.
    fn raw(&self, address: u16, kind: Kind, order: WordOrder) -> Option<u64> {
        let places = (0..kind.registers()).map(|place| address.checked_add(place));
        let mut words = Vec::new();
        for place in places {
            words.push(self.word(place?)?);
        }
        if order == WordOrder::LowFirst {
            words.reverse();
        }
        Some(words.into_iter().fold(0, |all, word| all << 16 | u64::from(word)))
    }

    fn number(&self, address: u16, kind: Kind, order: WordOrder) -> Option<Option<Decimal>> {
        Some(decimal(self.raw(address, kind, order)?, kind))
    }

    /// Places as the device has them; more than a scale may have are no places.
    fn exponent(&self, exponent: Exponent) -> Option<i8> {
        let word = self.word(exponent.address)?;
        let [high, low] = word.to_be_bytes();
        let places = match exponent.byte {
            Byte::Both => i8::try_from(word.cast_signed()).ok()?,
            Byte::High => high.cast_signed(),
            Byte::Low => low.cast_signed(),
        };
        places.checked_abs().is_some_and(|most| most <= SCALE_MAX).then_some(places)
    }
}

/// Every value of the map, in its order.
pub fn measurements(held: &Held, map: &Map) -> Vec<Measurement> {
    map.register.iter().map(|register| measurement(held, map, register)).collect()
}

fn measurement(held: &Held, map: &Map, register: &Register) -> Measurement {
    let order = register.word_order.unwrap_or(map.word_order);
    let told = |value: Value, quality: u16| Measurement {
        register: register.obis.clone(),
        value,
        unit: register.unit_code(),
        quality,
    };
    let Some(raw) = held.raw(register.address, register.kind, order) else {
        return told(Value::Bytes(Vec::new()), quality::NOT_MEASURED);
    };
    let bytes = raw.to_be_bytes();
    let width = usize::from(register.kind.registers()).saturating_mul(2);
    let on_wire = bytes.get(bytes.len().saturating_sub(width)..).unwrap_or(&bytes).to_vec();
    if register.absent.iter().any(|absent| absent.cast_unsigned() == raw) {
        return told(Value::Bytes(on_wire), quality::NOT_MEASURED);
    }
    match scaled(held, register, order, raw) {
        Some(Decimal { mantissa, scale }) => told(number(mantissa, scale), quality::MEASURED),
        None => told(Value::Bytes(on_wire), quality::INVALID),
    }
}

/// The raw value with its scale, exponent and factor; `None` where that is no number.
fn scaled(held: &Held, register: &Register, order: WordOrder, raw: u64) -> Option<Decimal> {
    let Decimal { mantissa, scale } = decimal(raw, register.kind)?;
    let places = match register.exponent {
        Some(exponent) => held.exponent(exponent)?,
        None => 0,
    };
    let scale = scale.checked_add(register.scale)?.checked_add(places)?;
    let value = Decimal { mantissa, scale };
    match register.factor {
        Some(factor) => product(value, held.number(factor.address, factor.kind, order)??),
        None => Some(value),
    }
}

fn decimal(raw: u64, kind: Kind) -> Option<Decimal> {
    let whole = |mantissa: i64| Some(Decimal { mantissa, scale: 0 });
    match kind {
        Kind::U16 | Kind::U32 | Kind::U64 => whole(i64::try_from(raw).ok()?),
        Kind::I16 => whole(i64::from(u16::try_from(raw).ok()?.cast_signed())),
        Kind::I32 => whole(i64::from(u32::try_from(raw).ok()?.cast_signed())),
        Kind::F32 => of_f32(f32::from_bits(u32::try_from(raw).ok()?)),
    }
}

/// The relay as its status has it: 0 unknown, 1 disconnected, 2 connected.
pub fn supply_of(word: u16, status: &Status) -> u16 {
    let bits = word & status.mask;
    if bits == status.open & status.mask {
        supply::DISCONNECTED
    } else if bits == status.close & status.mask {
        supply::CONNECTED
    } else {
        supply::UNKNOWN
    }
}

/// As few runs as hold all that is wanted: each as long as `longest`, over gaps of at most `gap`.
pub fn blocks(mut wanted: Vec<(u16, u16)>, gap: u16, longest: u16) -> Vec<Block> {
    wanted.sort_unstable();
    let mut blocks: Vec<Block> = Vec::new();
    for (start, count) in wanted {
        let end = u32::from(start).saturating_add(u32::from(count));
        if let Some(last) = blocks.last_mut() {
            let last_end = u32::from(last.start).saturating_add(u32::from(last.count));
            let joined = end.max(last_end).saturating_sub(u32::from(last.start));
            let near = u32::from(start) <= last_end.saturating_add(u32::from(gap));
            if near && joined <= u32::from(longest) {
                last.count = u16::try_from(joined).unwrap_or(longest);
                continue;
            }
        }
        blocks.push(Block { start, count });
    }
    blocks
}

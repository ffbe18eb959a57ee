//! What maintenance cards carry to a device: the eight bytes of a state that mean something else for each
//! purpose; the README has the table.
//!
//! Invariant: what is built parses as itself.
//!
//! Not here: the wrapped key of a key-change card, which stands behind the write-backs (`card`).

use crate::layout::REGION_BYTES;
use polymeter_cards::{Carried, Carries, Shape, State, field, filled, letters, word};
use polymeter_driver::codes::card::purpose;

pub const CARRIED_BYTES: usize = 8;
pub const ALARM: &str = "alarm";
pub const OVERDRAFT_LIMIT: &str = "overdraft-limit";
pub const PRICE_SHARP: &str = "price-sharp";
pub const PRICE_PEAK: &str = "price-peak";
pub const PRICE_FLAT: &str = "price-flat";
pub const PRICE_VALLEY: &str = "price-valley";
pub const AREA: &str = "area";
pub const KEY_FROM: &str = "key-from";
pub const KEY_TO: &str = "key-to";
/// A device tells the version of its key in one byte.
pub const KEY_VERSION_MAX: u16 = 255;

const fn carries(name: &'static str, purpose: u16, shape: Shape, needed: bool) -> Carries {
    Carries { name, purpose, shape, needed }
}

/// In the order of a purpose's bytes.
pub const CARRIES: [Carries; 9] = [
    carries(ALARM, purpose::SETTING, Shape::Money, false),
    carries(OVERDRAFT_LIMIT, purpose::SETTING, Shape::Money, false),
    carries(PRICE_SHARP, purpose::PRICE, Shape::Price, false),
    carries(PRICE_PEAK, purpose::PRICE, Shape::Price, false),
    carries(PRICE_FLAT, purpose::PRICE, Shape::Price, false),
    carries(PRICE_VALLEY, purpose::PRICE, Shape::Price, false),
    carries(AREA, purpose::AREA, Shape::Region, true),
    carries(KEY_FROM, purpose::KEYS, Shape::Whole(KEY_VERSION_MAX), true),
    carries(KEY_TO, purpose::KEYS, Shape::Whole(KEY_VERSION_MAX), true),
];

/// One thing's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Width {
    Two,
    Four,
    /// Letters.
    All,
}

fn width(shape: Shape) -> Width {
    match shape {
        Shape::Money => Width::Four,
        Shape::Price | Shape::Whole(_) => Width::Two,
        Shape::Region => Width::All,
    }
}

/// In the order of [`CARRIES`]; none where the bytes are none that a card of this purpose has. All ones
/// leave what the device has.
pub fn parse(purpose: u16, bytes: &[u8; CARRIED_BYTES]) -> Option<Vec<Option<Carried>>> {
    let mut at = 0_usize;
    CARRIES
        .iter()
        .map(|carries| {
            if carries.purpose != purpose {
                return Some(None);
            }
            let (carried, used) = match width(carries.shape) {
                Width::Two => {
                    let number = field(bytes, at).map(u16::from_be_bytes)?;
                    ((number != u16::MAX).then_some(Carried::Number(number.into())), 2)
                }
                Width::Four => {
                    let number = word(bytes, at)?;
                    ((number != u32::MAX).then_some(Carried::Number(number)), 4)
                }
                Width::All => {
                    let area = letters(&field::<REGION_BYTES>(bytes, at)?)?;
                    (Some(Carried::Letters(area)), REGION_BYTES)
                }
            };
            at = at.checked_add(used)?;
            if carries.needed && carried.is_none() { None } else { Some(carried) }
        })
        .collect()
}

/// The bytes of what a state carries.
pub fn build(state: &State) -> [u8; CARRIED_BYTES] {
    let of_purpose = CARRIES.iter().zip(&state.carried);
    let of_purpose = of_purpose.filter(|(carries, _)| carries.purpose == state.purpose);
    let mut bytes = Vec::with_capacity(CARRIED_BYTES);
    for (carries, carried) in of_purpose {
        let number = carried.as_ref().and_then(Carried::number);
        match (width(carries.shape), carried) {
            (Width::Two, _) => {
                let number = number.and_then(|number| u16::try_from(number).ok());
                bytes.extend(number.unwrap_or(u16::MAX).to_be_bytes());
            }
            (Width::Four, _) => bytes.extend(number.unwrap_or(u32::MAX).to_be_bytes()),
            (Width::All, Some(Carried::Letters(area))) => {
                bytes.extend(filled::<REGION_BYTES>(area));
            }
            (Width::All, _) => bytes.extend([0; REGION_BYTES]),
        }
    }
    bytes.resize(CARRIED_BYTES, 0xFF);
    bytes.first_chunk().copied().unwrap_or([0xFF; CARRIED_BYTES])
}

/// The versions of the key that a key-change card leads from and to; none for any other card.
pub fn versions(state: &State) -> Option<(u32, u32)> {
    let number = |wanted: &str| {
        let at = CARRIES.iter().position(|carries| carries.name == wanted)?;
        state.carried.get(at)?.as_ref()?.number()
    };
    Some((number(KEY_FROM)?, number(KEY_TO)?))
}

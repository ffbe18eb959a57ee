//! The mark cell and a zone of a card, from bytes and to bytes; the README has the tables.
//!
//! Invariant: a zone is good by its sum or is none, and a state that is built parses as itself.

use polymeter_cards::{
    Back, BroughtHome, Carried, Kind, State, field, filled, is_summed, letters, part, summed, word,
};
use polymeter_codec::gbcard::{Digits, Moment};

/// What is read at once: from the issuer zone to the end of zone 2.
pub const IMAGE_AT: u32 = 2;
pub const IMAGE_BYTES: usize = 154;
pub const ISSUER_BYTES: usize = 8;
/// Places on the card.
pub const CHECK_AT: u32 = 14;
pub const CHECK_BYTES: usize = 8;
pub const ZONE_AT: [u32; 2] = [22, 92];
pub const ZONE_BYTES: usize = 64;
pub const REGION_BYTES: usize = 4;
pub const KEY_CHECK_BYTES: usize = 4;
pub const MAC_BYTES: usize = 6;

const VENDOR: &[u8; 4] = b"NOVA";
/// Where a state begins in its zone, and its bytes: what is under its MAC, the MAC, the sum.
pub const STATE_AT: usize = 1;
const STATE_BYTES: usize = 40;
const SEALED_BYTES: usize = 32;
const BACK_AT: usize = 41;
/// The highest purpose.
const PURPOSE_MAX: u8 = 5;

pub fn is_erased(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == 0xFF)
}

/// What the issuer wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Issuer {
    /// Mark cell and number.
    pub zone: [u8; ISSUER_BYTES],
    pub key_check: [u8; KEY_CHECK_BYTES],
}

/// Mark cell and key check. `Ok(None)`: not a card of this vendor.
pub fn issuer(image: &[u8]) -> Result<Option<Issuer>, &'static str> {
    let Some(issuer) = field::<ISSUER_BYTES>(image, 0).filter(|it| it.starts_with(VENDOR)) else {
        return Ok(None);
    };
    let check = part(image, IMAGE_AT, CHECK_AT, CHECK_BYTES);
    match field(check, 0) {
        Some(key_check) if is_summed(&[&issuer, check].concat()) => {
            Ok(Some(Issuer { zone: issuer, key_check }))
        }
        _ => Err("the sum of mark cell and key check is wrong"),
    }
}

/// One zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone {
    pub sequence: u16,
    /// None: blank.
    pub state: Option<State>,
}

impl Zone {
    /// A good zone, with its MAC. `None`: its sum is wrong, or what stands there is nothing that could.
    pub fn parse(zone: &[u8]) -> Option<(Zone, [u8; MAC_BYTES])> {
        let slot = zone.get(STATE_AT..)?.get(..STATE_BYTES).filter(|slot| is_summed(slot))?;
        let [purpose] = field(slot, 2)?;
        let [kind] = field(slot, 27)?;
        let alarm = word(slot, 28)?;
        let state = State {
            purpose: Some(purpose).filter(|purpose| *purpose <= PURPOSE_MAX)?.into(),
            region: letters(&field::<REGION_BYTES>(slot, 3)?)?,
            customer: Digits::from_bytes(field(slot, 7)?)?,
            device: Digits::from_bytes(field(slot, 13)?)?,
            count: word(slot, 19)?,
            amount: word(slot, 23)?,
            kind: Kind::from_code(kind)?,
            // All ones leave what the device has.
            carried: vec![(alarm != u32::MAX).then_some(Carried::Number(alarm))],
        };
        let sequence = u16::from_be_bytes(field(slot, 0)?);
        let read = Zone { sequence, state: (purpose != 0).then_some(state) };
        Some((read, field(slot, SEALED_BYTES)?))
    }

    /// What its MAC is taken over, behind the issuer zone.
    pub fn sealed(&self) -> Vec<u8> {
        let state = self.state.as_ref();
        let region: [u8; REGION_BYTES] =
            filled(state.map(|state| state.region.as_str()).unwrap_or_default());
        let purpose = state.and_then(|state| u8::try_from(state.purpose).ok()).unwrap_or(0);
        let kind = state.map_or(0, |state| state.kind.code());
        let alarm = state.and_then(|state| state.carried.first()?.as_ref()?.number());
        let customer = state.map(|state| state.customer.bytes()).unwrap_or_default();
        let device = state.map(|state| state.device.bytes()).unwrap_or_default();
        let (count, amount) = state.map_or((0, 0), |state| (state.count, state.amount));
        let parts: [&[u8]; 9] = [
            &self.sequence.to_be_bytes(),
            &[purpose],
            &region,
            &customer,
            &device,
            &count.to_be_bytes(),
            &amount.to_be_bytes(),
            &[kind],
            &alarm.unwrap_or(u32::MAX).to_be_bytes(),
        ];
        parts.concat()
    }

    /// The bytes that are written at [`STATE_AT`] of an erased zone.
    pub fn build(&self, mac: [u8; MAC_BYTES]) -> Vec<u8> {
        summed([&self.sealed()[..], &mac].concat())
    }
}

/// What the device wrote into the zone of this state.
pub fn written_back(zone: &[u8], state: &State) -> Back {
    let slot = zone.get(BACK_AT..).unwrap_or_default();
    if is_erased(slot) {
        return Back::None;
    }
    let parsed = || {
        let [status, error] = field(slot, 0)?;
        Some(BroughtHome {
            status,
            error,
            device: Digits::from_bytes(field(slot, 2)?)?,
            customer: state.customer,
            count: word(slot, 8)?,
            balance: word(slot, 12)?,
            overdrawn: None,
            at: Moment::from_bytes(field(slot, 16)?),
            key_version: 0,
        })
    };
    let back = if is_summed(slot) { parsed() } else { None };
    back.map_or(Back::Damaged, Back::Written)
}

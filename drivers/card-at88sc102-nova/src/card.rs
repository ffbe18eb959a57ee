//! One card: what was read of it at once, and the one way in which it is written.
//!
//! Invariant: a state is written into the zone that does not count, which is erased before, with the
//! next sequence. No code is presented before key check and MAC were ours.
//!
//! Not here: which state follows which (`polymeter_cards`).

use crate::layout::{
    IMAGE_AT, IMAGE_BYTES, Issuer, KEY_CHECK_BYTES, MAC_BYTES, STATE_AT, ZONE_AT, ZONE_BYTES, Zone,
    is_erased, issuer, written_back,
};
use polymeter_cards::{Back, Card, State, newest, part};
use polymeter_driver::codes::{card, refusal, slot, vault};
use polymeter_driver::ending::Stop;
use polymeter_driver::{Host, Key, Secret, SlotError};
use std::fmt;

/// The security code, as the contract numbers codes.
const CODE: u16 = 0;

/// What was read at once.
#[derive(Debug)]
struct Image {
    issuer: Issuer,
    /// The zone that counts, its MAC, and which it is; none on a card that is as it was delivered.
    current: Option<((Zone, [u8; MAC_BYTES]), usize)>,
    back: Back,
    erased: [bool; 2],
}

pub struct NovaCard<'a> {
    host: &'a mut dyn Host,
    image: Image,
    changed: bool,
}

impl fmt::Debug for NovaCard<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NovaCard").field("image", &self.image).finish_non_exhaustive()
    }
}

/// Reads the card. None: it is none of this vendor's.
fn read(host: &mut dyn Host) -> Result<Option<Image>, Stop> {
    if host.inserted()?.kind != card::AT88SC102 {
        return Ok(None);
    }
    let bytes = host.read_card(IMAGE_AT, u32::try_from(IMAGE_BYTES).unwrap_or(u32::MAX))?;
    if bytes.len() != IMAGE_BYTES {
        let detail = format!("{} bytes of the card in place of {IMAGE_BYTES}", bytes.len());
        return Err(Stop::garbled(detail));
    }
    let Some(issuer) = issuer(&bytes).map_err(Stop::garbled)? else { return Ok(None) };
    let zones = ZONE_AT.map(|at| part(&bytes, IMAGE_AT, at, ZONE_BYTES));
    let erased = zones.map(is_erased);
    let current = newest(zones.map(Zone::parse), |(zone, _)| zone.sequence);
    if current.is_none() && erased == [false, false] {
        return Err(Stop::garbled("both zones of the card are damaged"));
    }
    let back = match &current {
        Some(((Zone { state: Some(state), .. }, _), at)) => {
            zones.get(*at).map_or(Back::None, |zone| written_back(zone, state))
        }
        Some(_) | None => Back::None,
    };
    Ok(Some(Image { issuer, current, back, erased }))
}

impl<'a> NovaCard<'a> {
    pub fn begin(host: &'a mut dyn Host) -> Result<Option<NovaCard<'a>>, Stop> {
        Ok(read(host)?.map(|image| NovaCard { host, image, changed: false }))
    }

    fn zone(&self) -> Option<&Zone> {
        self.image.current.as_ref().map(|((zone, _), _)| zone)
    }

    fn code(&self, label: &str) -> Secret {
        Secret::OfVault((key(label), self.image.issuer.zone.to_vec()))
    }

    /// The first bytes of the MAC over the issuer zone and what follows.
    fn mac<const N: usize>(&mut self, follows: &[u8]) -> Result<[u8; N], Stop> {
        let message = [&self.image.issuer.zone[..], follows].concat();
        let key = key("card-data");
        let mac = self.host.mac(&key, vault::mac::HMAC_SHA_256, &[], &message)?;
        let first = mac.first_chunk().copied();
        first.ok_or_else(|| Stop::garbled("a MAC of the vault that is too short"))
    }
}

impl Card for NovaCard<'_> {
    fn serial(&self) -> String {
        let number = self.image.issuer.zone.iter().skip(4);
        number.map(|byte| format!("{byte:02X}")).collect()
    }

    fn state(&self) -> Option<State> {
        self.zone()?.state.clone()
    }

    fn back(&self) -> Back {
        self.image.back.clone()
    }

    fn prove(&mut self) -> Result<(), Stop> {
        let key_check: [u8; KEY_CHECK_BYTES] = self.mac(&[])?;
        if key_check != self.image.issuer.key_check {
            return Err(Stop::refused(
                refusal::WRONG_MAC,
                "the card has other keys: it is another region's",
            ));
        }
        let Some(((zone, theirs), _)) = self.image.current.clone() else { return Ok(()) };
        if self.mac::<MAC_BYTES>(&zone.sealed())? == theirs {
            return Ok(());
        }
        Err(Stop::refused(refusal::WRONG_MAC, "the card's state was tampered with: a wrong MAC"))
    }

    fn unlock(&mut self) -> Result<(), Stop> {
        let code = self.code("card-sc");
        self.host.verify_code(CODE, &code).map_err(refused)
    }

    /// A zone that was just erased has no write-back, whoever the card is issued to.
    fn put(&mut self, state: Option<&State>, _: bool) -> Result<(), Stop> {
        let sequence = self.zone().map_or(1, |zone| zone.sequence.wrapping_add(1));
        let zone = Zone { sequence, state: state.cloned() };
        let mac = self.mac(&zone.sealed())?;
        let is_second = matches!(self.image.current, Some((_, 0)));
        let ([first, second], [first_erased, second_erased]) = (ZONE_AT, self.image.erased);
        let (number, at, erased) =
            if is_second { (2, second, second_erased) } else { (1, first, first_erased) };
        self.changed = true;
        if !erased {
            let code = self.code("card-erase");
            self.host.erase_card(number, &code).map_err(refused)?;
        }
        let at = at.saturating_add(u32::try_from(STATE_AT).unwrap_or(u32::MAX));
        Ok(self.host.write_card(at, &zone.build(mac))?)
    }

    fn look(&mut self) -> Result<(), Stop> {
        let found = read(self.host)?.filter(|found| found.issuer == self.image.issuer);
        self.image = found.ok_or_else(|| Stop::garbled("the card has become another one"))?;
        Ok(())
    }

    fn has_changed(&self) -> bool {
        self.changed
    }
}

fn key(label: &str) -> Key {
    Key { label: label.to_owned(), path: Vec::new() }
}

/// A code that the card does not take is its no.
fn refused(no: SlotError) -> Stop {
    match no.code {
        slot::CARD_SAYS_NO | slot::NO_TRIES => {
            let detail = format!("the card does not take our code: {}", no.detail);
            Stop::refused(refusal::WRONG_PASSWORD, detail)
        }
        _ => no.into(),
    }
}

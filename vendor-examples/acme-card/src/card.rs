//! One card: what was read of it at once, and the one way in which it is written.
//!
//! Invariant: a state is written into the slot that does not count, with the next sequence.
//!
//! Not here: which state follows which (`polymeter_cards`).

use crate::layout::{
    BACK_AT, BACK_BYTES, IMAGE_BYTES, MAC_BYTES, STATE_AT, STATE_BYTES, Slot, is_empty, number,
    written_back,
};
use polymeter_cards::{Back, Card, State, newest, part};
use polymeter_driver::codes::{card, refusal, vault};
use polymeter_driver::ending::Stop;
use polymeter_driver::{Host, Key};
use std::fmt;

/// The key of the MACs, by its label in the vault; `keys` of driver.toml has it too.
const KEY: &str = "card-data";

/// What was read at once.
#[derive(Debug)]
struct Image {
    number: [u8; 8],
    /// The state that counts, its MAC, and its slot; none on a card that is fresh from its maker.
    current: Option<((Slot, [u8; MAC_BYTES]), usize)>,
    back: Back,
}

/// The card in the reader.
pub struct AcmeCard<'a> {
    host: &'a mut dyn Host,
    image: Image,
    changed: bool,
}

impl fmt::Debug for AcmeCard<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AcmeCard").field("image", &self.image).finish_non_exhaustive()
    }
}

/// Reads the card. None: it is none of this vendor's.
fn read(host: &mut dyn Host) -> Result<Option<Image>, Stop> {
    if host.inserted()?.kind != card::AT24C {
        return Ok(None);
    }
    let bytes = host.read_card(0, IMAGE_BYTES)?;
    let Some(number) = number(&bytes).map_err(Stop::garbled)? else { return Ok(None) };
    let slots = STATE_AT.map(|at| part(&bytes, 0, at, STATE_BYTES));
    let current = newest(slots.map(Slot::parse), |(slot, _)| slot.sequence);
    if current.is_none() && !slots.iter().any(|slot| is_empty(slot)) {
        return Err(Stop::garbled("both slots of the card's state are damaged"));
    }
    let backs = BACK_AT.map(|at| part(&bytes, 0, at, BACK_BYTES));
    let is_damaged = |slot: &&[u8]| !is_empty(slot) && written_back(slot).is_none();
    let back = match newest(backs.map(written_back), |(sequence, _)| *sequence) {
        Some(((_, back), _)) => Back::Written(back),
        None if backs.iter().any(is_damaged) => Back::Damaged,
        None => Back::None,
    };
    Ok(Some(Image { number, current, back }))
}

impl<'a> AcmeCard<'a> {
    pub fn begin(host: &'a mut dyn Host) -> Result<Option<AcmeCard<'a>>, Stop> {
        Ok(read(host)?.map(|image| AcmeCard { host, image, changed: false }))
    }

    fn mac(&mut self, slot: &Slot) -> Result<[u8; MAC_BYTES], Stop> {
        let key = Key { label: KEY.to_owned(), path: Vec::new() };
        let message = [&self.image.number[..], &slot.sealed()].concat();
        let mac = self.host.mac(&key, vault::mac::HMAC_SHA_256, &[], &message)?;
        let first = mac.first_chunk().copied();
        first.ok_or_else(|| Stop::garbled("a MAC of the vault that is too short"))
    }

    /// Empties both write-backs, where something stands there.
    fn empty_backs(&mut self) -> Result<(), Stop> {
        if self.image.back == Back::None {
            return Ok(());
        }
        let [first, _] = BACK_AT;
        self.changed = true;
        self.host.write_card(first, &[0; 2 * BACK_BYTES])?;
        self.image.back = Back::None;
        Ok(())
    }
}

impl Card for AcmeCard<'_> {
    fn serial(&self) -> String {
        self.image.number.iter().map(|byte| format!("{byte:02X}")).collect()
    }

    fn state(&self) -> Option<State> {
        self.image.current.as_ref()?.0.0.state.clone()
    }

    fn back(&self) -> Back {
        self.image.back.clone()
    }

    /// Nothing is under a MAC on a fresh card.
    fn prove(&mut self) -> Result<(), Stop> {
        let Some(((slot, theirs), _)) = self.image.current.clone() else { return Ok(()) };
        if self.mac(&slot)? == theirs {
            return Ok(());
        }
        let detail = "the card's MAC is not ours: another region's card, or it was tampered with";
        Err(Stop::refused(refusal::WRONG_MAC, detail))
    }

    /// This chip has no code. One that has is presented it here, and not before.
    fn unlock(&mut self) -> Result<(), Stop> {
        Ok(())
    }

    fn put(&mut self, state: Option<&State>, issued: bool) -> Result<(), Stop> {
        if issued {
            self.empty_backs()?;
        }
        let (sequence, place) = match &self.image.current {
            Some(((slot, _), 0)) => (slot.sequence.wrapping_add(1), 1),
            Some(((slot, _), _)) => (slot.sequence.wrapping_add(1), 0),
            None => (1, 0),
        };
        let slot = Slot { sequence, state: state.cloned() };
        let mac = self.mac(&slot)?;
        let [first, second] = STATE_AT;
        self.changed = true;
        self.host.write_card(if place == 0 { first } else { second }, &slot.build(mac))?;
        self.image.current = Some(((slot, mac), place));
        if state.is_none() { self.empty_backs() } else { Ok(()) }
    }

    fn look(&mut self) -> Result<(), Stop> {
        let found = read(self.host)?.filter(|found| found.number == self.image.number);
        self.image = found.ok_or_else(|| Stop::garbled("the card has become another one"))?;
        Ok(())
    }

    fn has_changed(&self) -> bool {
        self.changed
    }
}

//! One card: what was read of it at once, its code, and the one way in which it is written.
//!
//! Invariant: a state is written into the slot that does not count, with the next sequence. A code is
//! presented only where the card says which one it has.
//!
//! Not here: which state follows which (`polymeter_cards`).

use crate::layout::{
    BACK_AT, BACK_BYTES, Code, IMAGE_AT, IMAGE_BYTES, MAC_BYTES, STATE_AT, STATE_BYTES, Slot,
    is_empty, number, written_back,
};
use polymeter_cards::{Back, Card, State, newest, part};
use polymeter_driver::codes::{card, refusal, slot, vault};
use polymeter_driver::ending::Stop;
use polymeter_driver::{Host, Key, Secret, SlotError};
use std::fmt;

/// The only code of an SLE4442, and what it is from the chip's maker (data sheet, 2.4).
const CODE: u16 = 0;
const PUBLISHED: [u8; 3] = [0xFF; 3];
/// How many tries a card has that nobody presented a wrong code to.
const TRIES: u8 = 3;

/// What was read at once.
#[derive(Debug)]
struct Image {
    number: [u8; 8],
    /// The state that counts, its MAC, and its slot; none on a card that is fresh from its maker.
    current: Option<((Slot, [u8; MAC_BYTES]), usize)>,
    back: Back,
}

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
    if host.inserted()?.kind != card::SLE4442 {
        return Ok(None);
    }
    let bytes = host.read_card(IMAGE_AT, u32::try_from(IMAGE_BYTES).unwrap_or(u32::MAX))?;
    if bytes.len() != IMAGE_BYTES {
        let detail = format!("{} bytes of the card in place of {IMAGE_BYTES}", bytes.len());
        return Err(Stop::garbled(detail));
    }
    let Some(number) = number(&bytes).map_err(Stop::garbled)? else { return Ok(None) };
    let slots = STATE_AT.map(|at| part(&bytes, IMAGE_AT, at, STATE_BYTES));
    let current = newest(slots.map(Slot::parse), |(slot, _)| slot.sequence);
    if current.is_none() && !slots.iter().any(|slot| is_empty(slot)) {
        return Err(Stop::garbled("both slots of the card's state are damaged"));
    }
    let backs = BACK_AT.map(|at| part(&bytes, IMAGE_AT, at, BACK_BYTES));
    let is_damaged = |slot: &&[u8]| !is_empty(slot) && written_back(slot).is_none();
    let back = match newest(backs.map(written_back), |(sequence, _)| *sequence) {
        Some(((_, back), _)) => Back::Written(back),
        None if backs.iter().any(is_damaged) => Back::Damaged,
        None => Back::None,
    };
    Ok(Some(Image { number, current, back }))
}

impl Image {
    fn slot(&self) -> Option<&Slot> {
        self.current.as_ref().map(|((slot, _), _)| slot)
    }
}

impl<'a> AcmeCard<'a> {
    pub fn begin(host: &'a mut dyn Host) -> Result<Option<AcmeCard<'a>>, Stop> {
        Ok(read(host)?.map(|image| AcmeCard { host, image, changed: false }))
    }

    fn present(&mut self, code: &Secret) -> Result<(), Stop> {
        self.host.verify_code(CODE, code).map_err(refused)
    }

    /// Gives the card the vault's code in place of the published one, saying so first.
    fn make_ours(&mut self) -> Result<(), Stop> {
        if self.image.slot().is_some_and(|slot| slot.code == Code::Vault) {
            return Ok(());
        }
        self.write(Code::Changing, None)?;
        let ours = self.code();
        self.host.set_code(CODE, &ours)?;
        Ok(())
    }

    /// Writes the slot that does not count. Where it ends well it is the one that counts.
    fn write(&mut self, code: Code, state: Option<&State>) -> Result<(), Stop> {
        let sequence = self.image.slot().map_or(1, |slot| slot.sequence.wrapping_add(1));
        let slot = Slot { sequence, code, state: state.cloned() };
        let mac = self.mac(&slot)?;
        let place = match self.image.current {
            Some((_, 0)) => 1,
            Some(_) | None => 0,
        };
        let [first, second] = STATE_AT;
        self.changed = true;
        self.host.write_card(if place == 0 { first } else { second }, &slot.build(mac))?;
        self.image.current = Some(((slot, mac), place));
        Ok(())
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

    fn code(&self) -> Secret {
        Secret::OfVault((key("card-psc"), self.image.number.to_vec()))
    }

    fn mac(&mut self, slot: &Slot) -> Result<[u8; MAC_BYTES], Stop> {
        let message = [&self.image.number[..], &slot.sealed()].concat();
        let key = key("card-data");
        let mac = self.host.mac(&key, vault::mac::HMAC_SHA_256, &[], &message)?;
        let first = mac.first_chunk().copied();
        first.ok_or_else(|| Stop::garbled("a MAC of the vault that is too short"))
    }
}

impl Card for AcmeCard<'_> {
    fn serial(&self) -> String {
        self.image.number.iter().map(|byte| format!("{byte:02X}")).collect()
    }

    fn state(&self) -> Option<State> {
        self.image.slot()?.state.clone()
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
        Err(Stop::refused(
            refusal::WRONG_MAC,
            "the card's MAC is not ours: another region's card, or its state was tampered with",
        ))
    }

    fn unlock(&mut self) -> Result<(), Stop> {
        let published = Secret::Published(PUBLISHED.to_vec());
        let ours = self.code();
        match self.image.slot().map(|slot| slot.code) {
            None | Some(Code::Published) => self.present(&published),
            Some(Code::Vault) => self.present(&ours),
            // Pulled while its code was changed: either one, and all tries are there to find out.
            Some(Code::Changing) => {
                let left = self.host.tries_left(CODE)?;
                if left < TRIES {
                    let detail =
                        format!("the card's code was being changed, and but {left} tries are left");
                    return Err(Stop::refused(refusal::WRONG_PASSWORD, detail));
                }
                match self.host.verify_code(CODE, &ours) {
                    Err(no) if no.code == slot::CARD_SAYS_NO => self.present(&published),
                    other => other.map_err(refused),
                }
            }
        }
    }

    fn put(&mut self, state: Option<&State>, issued: bool) -> Result<(), Stop> {
        self.make_ours()?;
        if issued {
            self.empty_backs()?;
        }
        self.write(Code::Vault, state)?;
        if state.is_none() {
            self.empty_backs()?;
        }
        Ok(())
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

//! One card: what was read of it at once, its code, and the one way in which it is written.
//!
//! Invariant: a state is written into the slot that does not count, with the next sequence. A code is
//! presented only where the card says which one it has.
//!
//! Not here: which state follows which (`polymeter_cards`).

use crate::carried;
use crate::layout::{
    ANNEX_AT, ANNEX_BYTES, BACK_AT, BACK_BYTES, Code, IMAGE_AT, IMAGE_BYTES, MAC_BYTES, STATE_AT,
    STATE_BYTES, Slot, is_empty, number, written_back,
};
use polymeter_cards::{Back, Card, State, newest, part};
use polymeter_driver::codes::card::purpose;
use polymeter_driver::codes::{card, error, refusal, slot, vault};
use polymeter_driver::ending::Stop;
use polymeter_driver::{DriverError, Host, Key, Secret, SlotError, VaultError};
use std::fmt;

/// The only code of an SLE4442, and what it is from the chip's maker (data sheet, 2.4).
const CODE: u16 = 0;
const PUBLISHED: [u8; 3] = [0xFF; 3];
/// How many tries a card has that nobody presented a wrong code to.
const TRIES: u8 = 3;
/// The key of the MACs, whose versions are found out by trying: a state does not say which one it is
/// under.
const DATA_KEY: &str = "card-data";
const VERSIONS_TRIED: u16 = 8;

/// What was read at once.
#[derive(Debug)]
struct Image {
    number: [u8; 8],
    /// The state that counts, its MAC, and its slot; none on a card that is fresh from its maker.
    current: Option<((Slot, [u8; MAC_BYTES]), usize)>,
    back: Back,
    /// What a key-change card has behind the write-backs; empty for any other.
    annex: Vec<u8>,
}

pub struct AcmeCard<'a> {
    host: &'a mut dyn Host,
    image: Image,
    /// Under which version of the key its state is.
    proved: String,
    /// The annex of the key-change card that it shall become.
    wrapped: Vec<u8>,
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
    let is_key_card = |(slot, _): &(Slot, _)| slot.state.as_ref().is_some_and(is_key_change);
    let annex = match &current {
        Some((found, _)) if is_key_card(found) => {
            host.read_card(ANNEX_AT, u32::try_from(ANNEX_BYTES).unwrap_or(u32::MAX))?
        }
        Some(_) | None => Vec::new(),
    };
    Ok(Some(Image { number, current, back, annex }))
}

fn is_key_change(state: &State) -> bool {
    state.purpose == purpose::KEYS
}

impl Image {
    fn slot(&self) -> Option<&Slot> {
        self.current.as_ref().map(|((slot, _), _)| slot)
    }
}

impl<'a> AcmeCard<'a> {
    pub fn begin(host: &'a mut dyn Host) -> Result<Option<AcmeCard<'a>>, Stop> {
        let (proved, wrapped) = (DATA_KEY.to_owned(), Vec::new());
        Ok(read(host)?.map(|image| AcmeCard { host, image, proved, wrapped, changed: false }))
    }

    fn present(&mut self, code: &Secret) -> Result<(), Stop> {
        self.host.verify_code(CODE, code).map_err(refused)
    }

    /// Gives the card the vault's code in place of the published one, saying so first.
    fn make_ours(&mut self) -> Result<(), Stop> {
        if self.image.slot().is_some_and(|slot| slot.code == Code::Vault) {
            return Ok(());
        }
        self.write(Code::Changing, None, DATA_KEY)?;
        let ours = self.code();
        self.host.set_code(CODE, &ours)?;
        Ok(())
    }

    /// Writes the slot that does not count, under this key. Where it ends well it is the one that counts.
    fn write(&mut self, code: Code, state: Option<&State>, label: &str) -> Result<(), Stop> {
        let sequence = self.image.slot().map_or(1, |slot| slot.sequence.wrapping_add(1));
        let slot = Slot { sequence, code, state: state.cloned() };
        let mac = self.mac(&slot, label)?;
        let mac = mac.first_chunk().copied();
        let mac = mac.ok_or_else(|| Stop::garbled("a MAC of the vault that is too short"))?;
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

    /// Writes what stands behind the write-backs.
    fn write_annex(&mut self, annex: &[u8]) -> Result<(), Stop> {
        self.changed = true;
        self.host.write_card(ANNEX_AT, annex)?;
        self.image.annex = annex.to_vec();
        Ok(())
    }

    fn code(&self) -> Secret {
        Secret::OfVault((key("card-psc"), self.image.number.to_vec()))
    }

    /// A key-change card's annex is under the MAC as well.
    fn mac(&mut self, slot: &Slot, label: &str) -> Result<Vec<u8>, VaultError> {
        let is_key_card = slot.state.as_ref().is_some_and(is_key_change);
        let annex = if is_key_card { &self.image.annex[..] } else { &[] };
        let message = [&self.image.number[..], &slot.sealed(), annex].concat();
        self.host.mac(&key(label), vault::mac::HMAC_SHA_256, &[], &message)
    }

    /// The key for a state that takes the place of this one: of a card that is issued the newest, but for
    /// a key-change card that which devices have. A customer's card gets that of its device, and as long
    /// as that has not told, its own.
    fn key_for(&self, state: Option<&State>, issued: bool) -> String {
        let version = |version: u32| format!("{DATA_KEY}@{version}");
        match (state, &self.image.back) {
            (Some(state), _) if is_key_change(state) => {
                carried::versions(state).map_or_else(|| DATA_KEY.to_owned(), |it| version(it.0))
            }
            (Some(state), Back::Written(back))
                if !issued && back.key_version > 0 && back.device == state.device =>
            {
                version(back.key_version.into())
            }
            (Some(_), _) if !issued => self.proved.clone(),
            _ => DATA_KEY.to_owned(),
        }
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

    /// Nothing is under a MAC on a fresh card. The newest version of the key is tried first.
    fn prove(&mut self) -> Result<(), Stop> {
        let Some(((slot, theirs), _)) = self.image.current.clone() else { return Ok(()) };
        let older = (1..=VERSIONS_TRIED).map(|version| format!("{DATA_KEY}@{version}"));
        for label in std::iter::once(DATA_KEY.to_owned()).chain(older) {
            match self.mac(&slot, &label) {
                Ok(ours) if ours.starts_with(&theirs) => {
                    self.proved = label;
                    return Ok(());
                }
                Ok(_) => {}
                // Versions are counted from 1, so none comes after this one.
                Err(no) if no.code == vault::error::NO_SUCH_KEY && label != DATA_KEY => break,
                Err(no) => return Err(no.into()),
            }
        }
        Err(Stop::refused(
            refusal::WRONG_MAC,
            "the card's MAC is not ours: another region's card, or its state was tampered with",
        ))
    }

    /// The new key comes out of the vault wrapped for the devices, and in no other way.
    fn prepare(&mut self, new: Option<&State>) -> Result<(), Stop> {
        let Some((from, to)) = new.and_then(carried::versions) else { return Ok(()) };
        if from == to {
            let detail = "a key-change card leads to another version than it comes from";
            return Err(DriverError::new(error::BAD_PARAMETER, detail).into());
        }
        let under = key("card-transport");
        let wanted = format!("{DATA_KEY}@{to}");
        let wrap = vault::cipher::KEY_WRAP;
        let wrapped = self.host.encrypt(&under, wrap, &[], wanted.as_bytes(), &[])?;
        let length = u8::try_from(wrapped.len()).ok().filter(|it| matches!(it, 24 | 32 | 40));
        let length = length.ok_or_else(|| {
            let detail = "these cards carry keys of 16, 24 or 32 bytes";
            DriverError::new(error::BAD_PARAMETER, detail)
        })?;
        self.wrapped = [&[length], &wrapped[..]].concat();
        self.wrapped.resize(ANNEX_BYTES, 0);
        Ok(())
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
        let label = self.key_for(state, issued);
        if issued {
            self.empty_backs()?;
        }
        let has_annex = !self.image.annex.is_empty();
        if state.is_some_and(is_key_change) {
            let wrapped = std::mem::take(&mut self.wrapped);
            self.write_annex(&wrapped)?;
        }
        self.write(Code::Vault, state, &label)?;
        if state.is_none() {
            self.empty_backs()?;
            if has_annex {
                self.write_annex(&[0; ANNEX_BYTES])?;
            }
        }
        Ok(())
    }

    fn look(&mut self) -> Result<(), Stop> {
        let found = read(self.host)?.filter(|found| found.number == self.image.number);
        let found = found.ok_or_else(|| Stop::garbled("the card has become another one"))?;
        let is_key_card =
            found.slot().and_then(|slot| slot.state.as_ref()).is_some_and(is_key_change);
        if is_key_card && found.annex != self.image.annex {
            return Err(Stop::garbled("the key on the card is not as it was written"));
        }
        self.image = found;
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

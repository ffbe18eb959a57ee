//! One card: what was read of it at once, its code, and the one way in which it is written.
//!
//! Invariant: a state is written into the slot that does not count, with the next sequence. A code is
//! presented only where the card says which one it has.
//!
//! Not here: which state follows which (acts).

use crate::layout::{
    BACK_AT, BACK_BYTES, Code, IMAGE_AT, IMAGE_BYTES, MAC_BYTES, STATE_AT, STATE_BYTES, State,
    is_empty, newest, nobody, number, part,
};
use crate::layout::{Kind, LEFT};
use crate::written_back::WrittenBack;
use polymeter_driver::codes::{card, refusal, slot, vault};
use polymeter_driver::ending::Stop;
use polymeter_driver::{Host, Key, Secret, SlotError};

/// The only code of an SLE4442, and what it is from the chip's maker (data sheet, 2.4).
const CODE: u16 = 0;
const PUBLISHED: [u8; 3] = [0xFF; 3];
/// How many tries a card has that nobody presented a wrong code to.
const TRIES: u8 = 3;

/// What was read at once.
#[derive(Debug, Clone)]
pub struct Image {
    pub number: [u8; 8],
    /// The state that counts, its MAC, and its slot; none on a card that is fresh from its maker.
    current: Option<((State, [u8; MAC_BYTES]), usize)>,
    pub back: Option<WrittenBack>,
    /// Some slot of the write-back is neither good nor empty.
    pub back_damaged: bool,
}

pub struct Card<'a> {
    host: &'a mut dyn Host,
    pub image: Image,
    /// Whether a command that may have changed the card was begun.
    pub changed: bool,
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
    let slots = STATE_AT.map(|at| part(&bytes, at, STATE_BYTES).unwrap_or_default());
    let current = newest(slots.map(State::parse), |(state, _)| state.sequence);
    if current.is_none() && !slots.iter().any(|slot| is_empty(slot)) {
        return Err(Stop::garbled("both slots of the card's state are damaged"));
    }
    let backs = BACK_AT.map(|at| part(&bytes, at, BACK_BYTES).unwrap_or_default());
    let parsed = backs.map(WrittenBack::parse);
    let back_damaged =
        parsed.iter().zip(backs).any(|(parsed, slot)| parsed.is_none() && !is_empty(slot));
    let back = newest(parsed, |back| back.sequence).map(|(back, _)| back);
    Ok(Some(Image { number, current, back, back_damaged }))
}

impl Image {
    /// The state that counts; none on a fresh card.
    pub fn state(&self) -> Option<State> {
        self.current.map(|((state, _), _)| state)
    }

    /// The card's own number, as digits.
    pub fn serial(&self) -> String {
        self.number.iter().map(|byte| format!("{byte:02X}")).collect()
    }

    /// Nobody's, with a sequence that follows.
    pub fn blank(&self) -> Option<State> {
        let nobody = nobody()?;
        Some(State {
            sequence: self.state().map_or(1, |state| state.sequence.wrapping_add(1)),
            purpose: 0,
            code: Code::Vault,
            region: [0; 8],
            customer: nobody,
            device: nobody,
            count: 0,
            amount: 0,
            kind: Kind::None,
            alarm: LEFT,
            limit: LEFT,
        })
    }
}

impl<'a> Card<'a> {
    /// None: no card of this vendor.
    pub fn begin(host: &'a mut dyn Host) -> Result<Option<Card<'a>>, Stop> {
        Ok(read(host)?.map(|image| Card { host, image, changed: false }))
    }

    /// Reads all of it again.
    pub fn look(&mut self) -> Result<(), Stop> {
        let found = read(self.host)?.filter(|found| found.number == self.image.number);
        self.image = found.ok_or_else(|| Stop::garbled("the card has become another one"))?;
        Ok(())
    }

    /// Whether the state's MAC is ours; nothing is under one on a fresh card.
    pub fn prove(&mut self) -> Result<(), Stop> {
        let Some(((state, theirs), _)) = self.image.current else { return Ok(()) };
        if self.mac(&state)? == theirs {
            return Ok(());
        }
        Err(Stop::refused(
            refusal::WRONG_MAC,
            "the card's MAC is not ours: another region's card, or its state was tampered with",
        ))
    }

    /// Opens the card for writing, which was proved before.
    pub fn unlock(&mut self) -> Result<(), Stop> {
        let published = Secret::Published(PUBLISHED.to_vec());
        let ours = self.code();
        match self.image.state().map(|state| state.code) {
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

    fn present(&mut self, code: &Secret) -> Result<(), Stop> {
        self.host.verify_code(CODE, code).map_err(refused)
    }

    /// Gives an unlocked card the vault's code in place of the published one, saying so first.
    pub fn make_ours(&mut self) -> Result<(), Stop> {
        if self.image.state().is_some_and(|state| state.code == Code::Vault) {
            return Ok(());
        }
        let blank = self.image.blank().ok_or_else(|| Stop::garbled("no blank state"))?;
        self.put(State { code: Code::Changing, ..blank })?;
        let ours = self.code();
        self.host.set_code(CODE, &ours)?;
        Ok(())
    }

    /// Writes a state into the slot that does not count. Where it ends well it is the one that counts.
    pub fn put(&mut self, state: State) -> Result<(), Stop> {
        let mac = self.mac(&state)?;
        let slot = match self.image.current {
            Some((_, 0)) => 1,
            Some(_) | None => 0,
        };
        let [first, second] = STATE_AT;
        self.changed = true;
        self.host.write_card(if slot == 0 { first } else { second }, &state.build(mac))?;
        self.image.current = Some(((state, mac), slot));
        Ok(())
    }

    /// Empties both write-backs, where something stands there.
    pub fn empty_backs(&mut self) -> Result<(), Stop> {
        if self.image.back.is_none() && !self.image.back_damaged {
            return Ok(());
        }
        let [first, _] = BACK_AT;
        self.changed = true;
        self.host.write_card(first, &[0; 2 * BACK_BYTES])?;
        self.image.back = None;
        self.image.back_damaged = false;
        Ok(())
    }

    fn code(&self) -> Secret {
        Secret::OfVault((key("card-psc"), self.image.number.to_vec()))
    }

    fn mac(&mut self, state: &State) -> Result<[u8; MAC_BYTES], Stop> {
        let message = [&self.image.number[..], &state.sealed()].concat();
        let key = key("card-data");
        let mac = self.host.mac(&key, vault::mac::HMAC_SHA_256, &[], &message)?;
        let first = mac.first_chunk().copied();
        first.ok_or_else(|| Stop::garbled("a MAC of the vault that is too short"))
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

//! One call's conversation with a card: its sectors opened by keys, its slots read and written.
//!
//! Invariant: a key is tried and never seen, and a slot that counts is never written over. Not here:
//! what the slots say (`layout`), what an act makes of them (`acts`, `issue`).

use crate::layout::{self, SLOT_BYTES, Slot, ahead};
use polymeter_driver::codes::{slot, vault};
use polymeter_driver::ending::Stop;
use polymeter_driver::{Host, Key, Secret, codes};

const BLOCK_BYTES: u32 = 16;
const MARK_SECTOR: u8 = 1;
const REGION_BLOCK: u32 = 5;
/// The slots' sectors.
pub const STATES: [u8; 2] = [2, 3];
pub const WRITE_BACKS: [u8; 2] = [4, 5];
/// In the order in which they get their keys: a card with the maker's key A in the last is blank.
const KEYED: [u8; 4] = [5, 4, 3, 2];
/// As the maker ships a card: for anybody in sector 1, and everywhere else.
const MARK_KEY: [u8; 6] = [0xA0, 0xA1, 0xA2, 0xA3, 0xA4, 0xA5];
const MAKERS_KEY: [u8; 6] = [0xFF; 6];

const READ: &str = "card-read";
const WRITE: &str = "card-write";
const DATA: &str = "card-data";

/// The two slots of a state or a write-back, where they are good, and which one is all 00.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slots {
    pub sectors: [u8; 2],
    good: [Option<Slot>; 2],
    pub has_empty: bool,
}

impl Slots {
    /// The slot that counts.
    pub fn counting(&self) -> Option<&Slot> {
        match &self.good {
            [Some(a), Some(b)] if ahead(b.sequence, a.sequence) => Some(b),
            [Some(a), _] => Some(a),
            [None, b] => b.as_ref(),
        }
    }

    /// The sector that does not count, and the sequence that comes next.
    pub fn next(&self) -> (u8, u16) {
        let [first, second] = self.sectors;
        let counting = self.counting();
        let sequence = counting.map_or(0, |slot| slot.sequence.wrapping_add(1));
        let is_first = counting.is_some() && counting == self.good.first().and_then(Option::as_ref);
        (if is_first { second } else { first }, sequence)
    }
}

/// Whose keys a card has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keys {
    /// The maker's: it was never opened, or not to its end.
    Makers,
    Ours,
    /// Another region's.
    Others,
}

pub struct Session<'a> {
    host: &'a mut dyn Host,
    uid: Vec<u8>,
    pub region: String,
    /// Whether a command that may have changed the card was begun.
    pub changed: bool,
}

impl<'a> Session<'a> {
    /// None: this card is not of this vendor.
    pub fn begin(host: &'a mut dyn Host) -> Result<Option<Session<'a>>, Stop> {
        let card = host.inserted()?;
        if card.kind != codes::card::MIFARE_CLASSIC || card.uid.is_empty() {
            return Ok(None);
        }
        let (uid, region) = (card.uid, String::new());
        let mut session = Session { host, uid, region, changed: false };
        if !session.tries(MARK_SECTOR, Letter::A, &Secret::Published(MARK_KEY.to_vec()))? {
            return Ok(None);
        }
        let blocks = session.read(MARK_SECTOR, 32)?;
        let (mark, region) = blocks.split_at_checked(16).unwrap_or_default();
        if !layout::is_mark(mark) {
            return Ok(None);
        }
        session.region = layout::region(region);
        Ok(Some(session))
    }

    /// The UID in hexadecimal digits.
    pub fn serial(&self) -> String {
        self.uid.iter().map(|byte| format!("{byte:02X}")).collect()
    }

    /// Whether a key opens a sector. A wrong one costs these cards nothing.
    fn tries(&mut self, sector: u8, letter: Letter, key: &Secret) -> Result<bool, Stop> {
        match self.host.verify_code(letter.code(sector), key) {
            Ok(()) => Ok(true),
            Err(error) if error.code == slot::CARD_SAYS_NO => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    fn secret(&self, letter: Letter, sector: u8) -> Secret {
        let label = match letter {
            Letter::A => READ,
            Letter::B => WRITE,
        };
        let key = Key { label: label.to_owned(), path: Vec::new() };
        Secret::OfVault((key, [&self.uid[..], &[sector]].concat()))
    }

    /// By the sector that is keyed last.
    pub fn keys(&mut self) -> Result<Keys, Stop> {
        let [sector, _] = STATES;
        let ours = self.secret(Letter::A, sector);
        if self.tries(sector, Letter::A, &ours)? {
            return Ok(Keys::Ours);
        }
        let is_makers = self.tries(sector, Letter::A, &makers())?;
        Ok(if is_makers { Keys::Makers } else { Keys::Others })
    }

    /// Opens both slots' sectors to be read, or to be written.
    pub fn open(&mut self, sectors: [u8; 2], letter: Letter) -> Result<(), Stop> {
        for sector in sectors {
            let secret = self.secret(letter, sector);
            self.host.verify_code(letter.code(sector), &secret)?;
        }
        Ok(())
    }

    fn read(&mut self, sector: u8, bytes: u32) -> Result<Vec<u8>, Stop> {
        Ok(self.host.read_card(place(sector), bytes)?)
    }

    /// Both slots; their sectors must be open.
    pub fn slots(&mut self, sectors: [u8; 2]) -> Result<Slots, Stop> {
        let [first, second] = sectors;
        let (first, one_is_empty) = self.slot(first)?;
        let (second, other_is_empty) = self.slot(second)?;
        Ok(Slots { sectors, good: [first, second], has_empty: one_is_empty || other_is_empty })
    }

    /// A slot if it is good, and whether it is all 00.
    fn slot(&mut self, sector: u8) -> Result<(Option<Slot>, bool), Stop> {
        let bytes = self.read(sector, u32::try_from(SLOT_BYTES).unwrap_or(u32::MAX))?;
        let is_empty = bytes.iter().all(|byte| *byte == 0);
        let Some(slot) = Slot::parse(&bytes) else { return Ok((None, is_empty)) };
        let mac = self.mac(&slot.content)?;
        Ok((slot.has_mac(&mac).then_some(slot), is_empty))
    }

    fn mac(&mut self, content: &[u8]) -> Result<Vec<u8>, Stop> {
        let key = Key { label: DATA.to_owned(), path: Vec::new() };
        let data = [&self.uid[..], content].concat();
        Ok(self.host.mac(&key, vault::mac::HMAC_SHA_256, &[], &data)?)
    }

    /// Writes a whole slot under its MAC; key B of its sector must have opened it.
    pub fn write(&mut self, sector: u8, content: &[u8]) -> Result<(), Stop> {
        let mac = self.mac(content)?;
        self.changed = true;
        Ok(self.host.write_card(place(sector), &Slot::build(content, &mac))?)
    }

    /// Empties both slots where one of them is good.
    pub fn empty(&mut self, slots: &Slots) -> Result<(), Stop> {
        if slots.counting().is_none() {
            return Ok(());
        }
        self.open(slots.sectors, Letter::B)?;
        for sector in slots.sectors {
            self.changed = true;
            self.host.write_card(place(sector), &[0; SLOT_BYTES])?;
        }
        Ok(())
    }

    /// Writes the region; the sector of the mark gets its key first.
    pub fn mark_region(&mut self, region: &str) -> Result<(), Stop> {
        self.give_key(MARK_SECTOR, Letter::B)?;
        if region == self.region {
            return Ok(());
        }
        let mut block = region.as_bytes().to_vec();
        block.resize(16, 0);
        self.changed = true;
        Ok(self.host.write_card(REGION_BLOCK.saturating_mul(BLOCK_BYTES), &block)?)
    }

    /// Gives a card the keys that it has not got yet, the first state's sector last.
    pub fn give_keys(&mut self) -> Result<(), Stop> {
        for sector in KEYED {
            self.give_key(sector, Letter::B)?;
            self.give_key(sector, Letter::A)?;
        }
        Ok(())
    }

    /// Both keys have to be known, since they are written together; key B, which may write them, is the
    /// one that opens the sector last.
    fn give_key(&mut self, sector: u8, letter: Letter) -> Result<(), Stop> {
        let own = self.secret(letter, sector);
        if self.tries(sector, letter, &own)? {
            return Ok(());
        }
        match letter {
            Letter::A => {
                self.host.verify_code(Letter::A.code(sector), &makers())?;
                self.open_with_either(sector, Letter::B)?;
            }
            Letter::B => {
                self.open_with_either(sector, Letter::A)?;
                self.host.verify_code(Letter::B.code(sector), &makers())?;
            }
        }
        self.changed = true;
        Ok(self.host.set_code(letter.code(sector), &own)?)
    }

    /// With the vault's key, or with the maker's where it has that still.
    fn open_with_either(&mut self, sector: u8, letter: Letter) -> Result<(), Stop> {
        if (sector, letter) == (MARK_SECTOR, Letter::A) {
            let mark = Secret::Published(MARK_KEY.to_vec());
            return Ok(self.host.verify_code(letter.code(sector), &mark)?);
        }
        let own = self.secret(letter, sector);
        if self.tries(sector, letter, &own)? {
            return Ok(());
        }
        Ok(self.host.verify_code(letter.code(sector), &makers())?)
    }
}

/// One of a sector's two keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Letter {
    A,
    B,
}

impl Letter {
    /// As the contract numbers a Mifare card's codes.
    fn code(self, sector: u8) -> u16 {
        let a = u16::from(sector).saturating_mul(2);
        match self {
            Letter::A => a,
            Letter::B => a.saturating_add(1),
        }
    }
}

fn makers() -> Secret {
    Secret::Published(MAKERS_KEY.to_vec())
}

/// Where a sector begins.
fn place(sector: u8) -> u32 {
    u32::from(sector).saturating_mul(BLOCK_BYTES.saturating_mul(4))
}

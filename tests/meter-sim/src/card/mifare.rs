//! A Mifare Classic 1K before a contactless reader (protocols.md 9.2; PC/SC part 3, 3.2.2.1): 16 sectors
//! of four blocks of 16 bytes, the last of which holds two keys and says what they allow.
//!
//! Invariant: a block is read and written only as the access bits of its sector say for the key that
//! was proved, and a sector whose access bits contradict themselves is dead.
//!
//! Not here: value operations; Crypto-1 itself, which the reader does.

use super::apdu::{self, Command, Status, answer};
use super::{Acts, Contactless, Truth, reader};

const ATR: [u8; 20] = [
    0x3B, 0x8F, 0x80, 0x01, 0x80, 0x4F, 0x0C, 0xA0, 0x00, 0x00, 0x03, 0x06, 0x03, 0x00, 0x01, 0x00,
    0x00, 0x00, 0x00, 0x6A,
];
const BLOCK: usize = 16;
const BLOCKS: usize = 64;
const PER_SECTOR: usize = 4;
const TELL_UID: u8 = 0xCA;
const LOAD_KEY: u8 = 0x82;
const AUTHENTICATE: u8 = 0x86;
const UPDATE: u8 = 0xD6;
/// Keys and access bits as the maker ships them: key A may do all.
const TRANSPORT: [u8; BLOCK] = [
    0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x07, 0x80, 0x69, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF,
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Key {
    A,
    B,
}

/// One card.
#[derive(Debug, Clone)]
pub struct MifareClassic {
    uid: [u8; 4],
    memory: [u8; BLOCK * BLOCKS],
    /// The two places of the reader.
    loaded: [[u8; 6]; 2],
    opened: Option<(usize, Key)>,
    presented: u32,
    wrong: u32,
}

/// Who may do what with a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    Nobody,
    A,
    B,
    Both,
}

impl Who {
    fn is(self, key: Key) -> bool {
        match self {
            Who::Nobody => false,
            Who::A => key == Key::A,
            Who::B => key == Key::B,
            Who::Both => true,
        }
    }
}

impl MifareClassic {
    /// From the maker: both keys FF in every sector, the rest empty.
    pub fn blank(uid: [u8; 4]) -> Self {
        let mut memory = [0; BLOCK * BLOCKS];
        for sector in memory.chunks_exact_mut(BLOCK * PER_SECTOR) {
            sector[BLOCK * (PER_SECTOR - 1)..].copy_from_slice(&TRANSPORT);
        }
        memory[..4].copy_from_slice(&uid);
        memory[4] = uid.iter().fold(0, |check, byte| check ^ byte);
        memory[5..8].copy_from_slice(&[0x08, 0x04, 0x00]);
        Self { uid, memory, loaded: [[0; 6]; 2], opened: None, presented: 0, wrong: 0 }
    }

    /// With this block as it is, without anybody's leave.
    pub fn with_block(mut self, block: u8, bytes: [u8; BLOCK]) -> Self {
        self.memory[usize::from(block) * BLOCK..][..BLOCK].copy_from_slice(&bytes);
        self
    }

    pub fn memory_mut(&mut self) -> &mut [u8] {
        &mut self.memory
    }

    fn done(&mut self, command: &Command<'_>) -> Result<Vec<u8>, Status> {
        if command.class != 0xFF {
            return Err(apdu::UNKNOWN_CLASS);
        }
        match command.instruction {
            TELL_UID if command.p1 == 0 => Ok(answer(&self.uid, apdu::DONE)),
            LOAD_KEY => {
                let place = self.loaded.get_mut(usize::from(command.p2)).ok_or(apdu::FAILED)?;
                *place = command.data.try_into().map_err(|_| apdu::FAILED)?;
                Ok(answer(&[], apdu::DONE))
            }
            AUTHENTICATE => self.open(command.data),
            reader::READ if command.expected == Some(BLOCK) => {
                let block = self.block(command)?;
                Ok(answer(&self.read(block)?, apdu::DONE))
            }
            UPDATE => {
                let block = self.block(command)?;
                let bytes = command.data.try_into().map_err(|_| apdu::WRONG_LENGTH)?;
                self.write(block, bytes)?;
                Ok(answer(&[], apdu::DONE))
            }
            reader::READ => Err(apdu::WRONG_LENGTH),
            _ => Err(apdu::UNKNOWN_INSTRUCTION),
        }
    }

    /// A block whose sector is open.
    fn block(&self, command: &Command<'_>) -> Result<usize, Status> {
        let block = usize::from(command.p2);
        let is_open = self.opened.is_some_and(|(sector, _)| sector == block / PER_SECTOR);
        if command.p1 == 0 && block < BLOCKS && is_open { Ok(block) } else { Err(apdu::FAILED) }
    }

    fn trailer(&self, sector: usize) -> [u8; BLOCK] {
        let mut trailer = [0; BLOCK];
        let at = (sector * PER_SECTOR + PER_SECTOR - 1) * BLOCK;
        trailer.copy_from_slice(&self.memory[at..at + BLOCK]);
        trailer
    }

    fn open(&mut self, data: &[u8]) -> Result<Vec<u8>, Status> {
        let &[0x01, 0x00, block, kind, place] = data else { return Err(apdu::WRONG_LENGTH) };
        self.opened = None;
        let sector = usize::from(block) / PER_SECTOR;
        let loaded = *self.loaded.get(usize::from(place)).ok_or(apdu::FAILED)?;
        if sector >= BLOCKS / PER_SECTOR {
            return Err(apdu::FAILED);
        }
        let trailer = self.trailer(sector);
        let (key, own) = match kind {
            0x60 => (Key::A, &trailer[..6]),
            0x61 => (Key::B, &trailer[10..]),
            _ => return Err(apdu::FAILED),
        };
        self.presented += 1;
        if *own != loaded {
            self.wrong += 1;
            return Err(apdu::FAILED);
        }
        self.opened = Some((sector, key));
        Ok(answer(&[], apdu::DONE))
    }

    /// Access bits C1 C2 C3 of a block as one number, and the key that was proved; a key B that can be
    /// read proves nothing.
    fn access(&self, block: usize) -> Result<(u8, Key), Status> {
        let (sector, key) = self.opened.ok_or(apdu::FAILED)?;
        let bits = |trailer: [u8; BLOCK], place: usize| {
            let [b6, b7, b8] = [trailer[6], trailer[7], trailer[8]];
            let (c1, c2, c3) = (b7 >> 4, b8 & 0x0F, b8 >> 4);
            let is_sound =
                b6 & 0x0F == !c1 & 0x0F && b6 >> 4 == !c2 & 0x0F && b7 & 0x0F == !c3 & 0x0F;
            let of = |nibble: u8| nibble >> place & 1;
            is_sound.then(|| of(c1) << 2 | of(c2) << 1 | of(c3))
        };
        let trailer = self.trailer(sector);
        let bits_of_trailer = bits(trailer, PER_SECTOR - 1).ok_or(apdu::FAILED)?;
        if key == Key::B && matches!(bits_of_trailer, 0b000..=0b010) {
            return Err(apdu::FAILED);
        }
        Ok((bits(trailer, block % PER_SECTOR).ok_or(apdu::FAILED)?, key))
    }

    fn read(&self, block: usize) -> Result<[u8; BLOCK], Status> {
        let (bits, key) = self.access(block)?;
        let mut bytes = [0; BLOCK];
        bytes.copy_from_slice(&self.memory[block * BLOCK..][..BLOCK]);
        if block % PER_SECTOR != PER_SECTOR - 1 {
            let who = match bits {
                0b011 | 0b101 => Who::B,
                0b111 => Who::Nobody,
                _ => Who::Both,
            };
            return who.is(key).then_some(bytes).ok_or(apdu::FAILED);
        }
        // Key A is never read, and key B only where it is no key.
        bytes[..6].fill(0);
        let (access, key_b) = match bits {
            0b000..=0b010 => (Who::A, Who::A),
            _ => (Who::Both, Who::Nobody),
        };
        if !key_b.is(key) {
            bytes[10..].fill(0);
        }
        access.is(key).then_some(bytes).ok_or(apdu::FAILED)
    }

    fn write(&mut self, block: usize, bytes: [u8; BLOCK]) -> Result<(), Status> {
        let (bits, key) = self.access(block)?;
        let at = block * BLOCK;
        if block == 0 {
            return Err(apdu::FAILED);
        }
        if block % PER_SECTOR != PER_SECTOR - 1 {
            let who = match bits {
                0b000 => Who::Both,
                0b100 | 0b110 | 0b011 => Who::B,
                _ => Who::Nobody,
            };
            if !who.is(key) {
                return Err(apdu::FAILED);
            }
            self.memory[at..at + BLOCK].copy_from_slice(&bytes);
            return Ok(());
        }
        let (keys, access) = match bits {
            0b000 => (Who::A, Who::Nobody),
            0b001 => (Who::A, Who::A),
            0b100 => (Who::B, Who::Nobody),
            0b011 => (Who::B, Who::B),
            0b101 => (Who::Nobody, Who::B),
            _ => (Who::Nobody, Who::Nobody),
        };
        if !keys.is(key) && !access.is(key) {
            return Err(apdu::FAILED);
        }
        for (place, who) in [(0..6, keys), (6..10, access), (10..16, keys)] {
            if who.is(key) {
                self.memory[at + place.start..at + place.end].copy_from_slice(&bytes[place]);
            }
        }
        Ok(())
    }
}

impl Acts for MifareClassic {
    fn atr(&self) -> Vec<u8> {
        ATR.to_vec()
    }

    fn power(&mut self) {
        self.opened = None;
    }

    fn serve(&mut self, command: &Command<'_>) -> Vec<u8> {
        self.done(command).unwrap_or_else(|status| answer(&[], status))
    }

    /// MF1S50YYX, 8.2: ATQA 0004, SAK 08.
    fn contactless(&self) -> Option<Contactless> {
        let uid = self.uid.to_vec();
        Some(Contactless { sens_res: [0x00, 0x04], sel_res: 0x08, uid, ats: Vec::new() })
    }

    /// A block that was being written has its first bytes anew.
    fn tear(&mut self, command: &Command<'_>, bytes: usize) {
        if command.instruction != UPDATE {
            return;
        }
        let before = self.memory;
        let _ = self.done(command);
        let at = usize::from(command.p2) * BLOCK;
        let rest = at.saturating_add(bytes)..at.saturating_add(BLOCK);
        if let (Some(now), Some(then)) = (self.memory.get_mut(rest.clone()), before.get(rest)) {
            now.copy_from_slice(then);
        }
    }

    fn truth(&self) -> Truth {
        Truth {
            memory: self.memory.to_vec(),
            tries_left: None,
            presented: self.presented,
            wrong: self.wrong,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(card: &mut MifareClassic, text: &str) -> Vec<u8> {
        let bytes = hex::decode(text.replace(' ', "")).unwrap();
        card.serve(&Command::parse(&bytes).unwrap())
    }

    fn block(card: &mut MifareClassic, command: &str, byte: u8) -> Vec<u8> {
        ask(card, &format!("{command} 10 {}", hex::encode([byte; 16])))
    }

    #[test]
    fn a_sector_opens_to_its_key_and_no_other_sector_with_it() {
        let mut card = MifareClassic::blank([1, 2, 3, 4]);
        assert_eq!(ask(&mut card, "FF CA 00 00 00"), [1, 2, 3, 4, 0x90, 0]);
        assert_eq!(ask(&mut card, "FF B0 00 04 10"), apdu::FAILED);
        ask(&mut card, "FF 82 00 00 06 FF FF FF FF FF FF");
        assert_eq!(ask(&mut card, "FF 86 00 00 05 01 00 04 60 00"), apdu::DONE);
        assert_eq!(block(&mut card, "FF D6 00 05", 7), apdu::DONE);
        assert_eq!(ask(&mut card, "FF B0 00 05 10")[..16], [7; 16]);
        assert_eq!(block(&mut card, "FF D6 00 08", 7), apdu::FAILED);
        // Key A never reads, key B does where it is only data, and then opens nothing.
        assert_eq!(
            ask(&mut card, "FF B0 00 07 10")[..16],
            [0, 0, 0, 0, 0, 0, 0xFF, 7, 0x80, 0x69, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]
        );
        ask(&mut card, "FF 86 00 00 05 01 00 04 61 00");
        assert_eq!(ask(&mut card, "FF B0 00 05 10"), apdu::FAILED);
        ask(&mut card, "FF 82 00 00 06 00 00 00 00 00 00");
        assert_eq!(ask(&mut card, "FF 86 00 00 05 01 00 04 60 00"), apdu::FAILED);
        assert_eq!((card.truth().presented, card.truth().wrong), (3, 1));
        assert_eq!(block(&mut card, "FF D6 00 00", 7), apdu::FAILED);
    }

    #[test]
    fn access_bits_say_which_key_reads_and_which_writes() {
        // Data blocks 100 (both read, B writes), trailer 011 (B writes).
        let mut trailer = [0xAA; 16];
        // C1 = 0111, C2 = 1000, C3 = 1000.
        trailer[6..9].copy_from_slice(&[0x78, 0x77, 0x88]);
        trailer[10..].fill(0xBB);
        let mut card = MifareClassic::blank([9; 4]).with_block(7, trailer);
        ask(&mut card, "FF 82 00 00 06 AA AA AA AA AA AA");
        ask(&mut card, "FF 82 00 01 06 BB BB BB BB BB BB");
        assert_eq!(ask(&mut card, "FF 86 00 00 05 01 00 05 60 00"), apdu::DONE);
        assert_eq!(ask(&mut card, "FF B0 00 05 10").len(), 18);
        assert_eq!(block(&mut card, "FF D6 00 05", 1), apdu::FAILED);
        assert_eq!(block(&mut card, "FF D6 00 07", 1), apdu::FAILED);
        assert_eq!(ask(&mut card, "FF 86 00 00 05 01 00 05 61 01"), apdu::DONE);
        assert_eq!(block(&mut card, "FF D6 00 05", 1), apdu::DONE);
        assert_eq!(card.truth().memory[80], 1);
        card.tear(&Command::parse(&[&[0xFF, 0xD6, 0, 5, 16], &[2; 16][..]].concat()).unwrap(), 3);
        assert_eq!(card.truth().memory[80..84], [2, 2, 2, 1]);
        // Written so that the bits contradict themselves: nobody gets in again.
        assert_eq!(block(&mut card, "FF D6 00 07", 0), apdu::DONE);
        ask(&mut card, "FF 82 00 00 06 00 00 00 00 00 00");
        assert_eq!(ask(&mut card, "FF 86 00 00 05 01 00 05 60 00"), apdu::DONE);
        assert_eq!(ask(&mut card, "FF B0 00 05 10"), apdu::FAILED);
    }
}

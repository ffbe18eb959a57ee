//! Mifare Classic: sectors of blocks of 16 bytes, each under two keys (NXP MF1S50YYX, MF1S70YYX).
//!
//! Invariant: a sector's last block is never written with a key in it that nobody knows.
//! Not here: what the keys protect. Crypto-1 is broken, so nothing that must not be copied.

use super::conversation::{Conversation, exactly, unsupported};
use super::error::CardError;
use super::profile::{Memory, Sectors};

const BLOCK_BYTES: u32 = 16;
const KEY_BYTES: usize = 6;

/// Sectors of four blocks; those after them have sixteen.
const SMALL_SECTORS: u32 = 32;

fn sector_of(block: u32) -> u32 {
    let small = SMALL_SECTORS * 4;
    if block < small { block / 4 } else { SMALL_SECTORS + (block - small) / 16 }
}

/// The block that holds the sector's keys.
fn last_block(sector: u32) -> u32 {
    if sector < SMALL_SECTORS {
        sector * 4 + 3
    } else {
        SMALL_SECTORS * 4 + (sector - SMALL_SECTORS) * 16 + 15
    }
}

impl Conversation<'_> {
    fn sectors(memory: &Memory) -> Result<&Sectors, CardError> {
        memory.sectors.as_ref().ok_or_else(|| unsupported("this card has no sectors".to_owned()))
    }

    pub(super) fn open_sector(&mut self, code: u16, key: &[u8]) -> Result<(), CardError> {
        let commands = std::sync::Arc::clone(&self.memo.commands);
        let memory = commands.memory.as_ref();
        let memory = memory.ok_or_else(|| unsupported("this card has no memory".to_owned()))?;
        let block = last_block(u32::from(code / 2));
        if block >= memory.bytes / BLOCK_BYTES {
            return Err(unsupported(format!("this card has no sector {}", code / 2)));
        }
        self.prove(memory, code, block, key)?;
        self.memo.keys.insert(code, key.to_vec());
        Ok(())
    }

    fn prove(&mut self, memory: &Memory, code: u16, at: u32, key: &[u8]) -> Result<(), CardError> {
        let sectors = Self::sectors(memory)?;
        self.memo.open = None;
        let (_, loaded) = self.exchange(&sectors.load.filled(0, key.len(), key)?)?;
        if loaded != 0x9000 {
            return Err(unsupported(format!("the reader takes no key: it answers {loaded:04X}")));
        }
        let [with_a, with_b] = &sectors.open;
        let (letter, open) = if code.is_multiple_of(2) { ('A', with_a) } else { ('B', with_b) };
        let (_, opened) = self.exchange(&open.filled(at, 0, &[])?)?;
        if opened != 0x9000 {
            let sector = code / 2;
            return Err(CardError::Refused(format!(
                "sector {sector} does not open with this key {letter}: the answer is {opened:04X}"
            )));
        }
        self.memo.open = Some(code);
        Ok(())
    }

    /// A card has one sector open at a time: the block's own is opened again with the key that was
    /// proved to it last in this lease.
    fn reach(&mut self, memory: &Memory, block: u32) -> Result<(), CardError> {
        let sector = sector_of(block);
        if self.memo.open.is_some_and(|code| u32::from(code / 2) == sector) {
            return Ok(());
        }
        let own = |code: &&u16| u32::from(**code / 2) == sector;
        // Key B where both were proved: it is the one that may write (MF1S50YYX, table 8).
        let Some(code) = self.memo.keys.keys().filter(own).max().copied() else {
            let what = format!("sector {sector} was not opened: verify one of its keys first");
            return Err(CardError::Refused(what));
        };
        let key = self.memo.keys.get(&code).cloned().unwrap_or_default();
        self.prove(memory, code, block, &key)
    }

    fn read_block(&mut self, memory: &Memory, block: u32) -> Result<Vec<u8>, CardError> {
        self.reach(memory, block)?;
        let (data, status) = self.exchange(&memory.read.filled(block, 0, &[])?)?;
        if status != 0x9000 {
            // The card has stopped: what was open is no longer.
            self.memo.open = None;
            return Err(CardError::Refused(format!(
                "read of block {block}: the answer is {status:04X}"
            )));
        }
        exactly("read", 16, &data)?;
        Ok(data)
    }

    fn write_block(&mut self, memory: &Memory, block: u32, data: &[u8]) -> Result<(), CardError> {
        self.reach(memory, block)?;
        let (_, status) = self.exchange(&memory.write.filled(block, data.len(), data)?)?;
        if status != 0x9000 {
            self.memo.open = None;
            return Err(CardError::Refused(format!(
                "write of block {block}: the answer is {status:04X}"
            )));
        }
        Ok(())
    }

    pub(super) fn read_blocks(
        &mut self,
        memory: &Memory,
        offset: u32,
        length: u32,
    ) -> Result<Vec<u8>, CardError> {
        let mut bytes = Vec::new();
        let end = offset + length;
        let mut at = offset;
        while at < end {
            let block = at / BLOCK_BYTES;
            let until = end.min((block + 1) * BLOCK_BYTES);
            let data = self.read_block(memory, block)?;
            let wanted = (at % BLOCK_BYTES) as usize..((until - 1) % BLOCK_BYTES) as usize + 1;
            bytes.extend(data.get(wanted).unwrap_or_default());
            at = until;
        }
        Ok(bytes)
    }

    pub(super) fn write_blocks(
        &mut self,
        memory: &Memory,
        offset: u32,
        bytes: &[u8],
    ) -> Result<(), CardError> {
        if !offset.is_multiple_of(BLOCK_BYTES) || !bytes.len().is_multiple_of(16) {
            return Err(unsupported("a mifare-classic card is written in blocks of 16".to_owned()));
        }
        for (block, data) in (offset / BLOCK_BYTES..).zip(bytes.chunks(16)) {
            self.write_block(memory, block, data)?;
        }
        Ok(())
    }

    /// The last block holds key A, the access bits and key B together, and reads key A as zeros:
    /// each part that stays must be known from somewhere.
    pub(super) fn set_key(&mut self, code: u16, key: &[u8]) -> Result<(), CardError> {
        let commands = std::sync::Arc::clone(&self.memo.commands);
        let memory = commands.memory.as_ref();
        let memory = memory.ok_or_else(|| unsupported("this card has no memory".to_owned()))?;
        let sector = code / 2;
        let block = last_block(u32::from(sector));
        if block >= memory.bytes / BLOCK_BYTES {
            return Err(unsupported(format!("this card has no sector {sector}")));
        }
        let mut data = self.read_block(memory, block)?;
        let access = data.get(KEY_BYTES..10).unwrap_or_default().to_vec();
        let open_b = key_b_is_readable(&access)?;
        let unknown = |letter| {
            unsupported(format!("key {letter} of sector {sector} is not known: verify it first"))
        };
        let (code_a, code_b) = (sector * 2, sector * 2 + 1);
        let own = |number: u16| {
            (number == code).then(|| key.to_vec()).or_else(|| self.memo.keys.get(&number).cloned())
        };
        let key_a = own(code_a).ok_or_else(|| unknown('A'))?;
        let read_b = || open_b.then(|| data.get(10..16).unwrap_or_default().to_vec());
        let key_b = own(code_b).or_else(read_b).ok_or_else(|| unknown('B'))?;
        data = [key_a, access, key_b].concat();
        exactly("the sector's last block", 16, &data)?;
        self.write_block(memory, block, &data)?;
        if self.memo.keys.contains_key(&code) {
            self.memo.keys.insert(code, key.to_vec());
        }
        Ok(())
    }
}

/// By the access bits of the last block (MF1S50YYX, 8.7.1 and table 7), which stand there twice,
/// once inverted.
fn key_b_is_readable(access: &[u8]) -> Result<bool, CardError> {
    let [first, second, third, ..] = access else {
        return Err(CardError::Reader("a last block without access bits".to_owned()));
    };
    let (c1, c2, c3) = (second >> 4, third & 0x0F, third >> 4);
    let inverted = (first & 0x0F, first >> 4, second & 0x0F);
    if inverted != (!c1 & 0x0F, !c2 & 0x0F, !c3 & 0x0F) {
        return Err(CardError::Refused(
            "the sector's access bits contradict themselves".to_owned(),
        ));
    }
    let of_last = (c1 >> 3, c2 >> 3, c3 >> 3);
    Ok(matches!(of_last, (0, 0 | 1, 0) | (0, 0, 1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_lie_in_their_sectors() {
        for (block, sector, last) in [
            (0, 0, 3),
            (3, 0, 3),
            (4, 1, 7),
            (63, 15, 63),
            (127, 31, 127),
            (128, 32, 143),
            (255, 39, 255),
        ] {
            assert_eq!((sector_of(block), last_block(sector)), (sector, last), "{block}");
        }
    }

    /// The transport configuration FF 07 80 lets key B be read; 78 77 88 (table 8's common one)
    /// does not.
    #[test]
    fn access_bits_say_whether_key_b_is_data() {
        assert_eq!(key_b_is_readable(&[0xFF, 0x07, 0x80, 0x69]), Ok(true));
        assert_eq!(key_b_is_readable(&[0x78, 0x77, 0x88, 0x69]), Ok(false));
        assert!(matches!(key_b_is_readable(&[0xFF, 0xFF, 0xFF, 0]), Err(CardError::Refused(_))));
        assert!(matches!(key_b_is_readable(&[]), Err(CardError::Reader(_))));
    }
}

//! The edition of 1997 (protocols.md 2): C=01H, 02H and 04H with identifiers of two bytes. Many
//! meters speak both; this one does where its plan says so.
//! Deliberately not here: reading again (C=03H is the purse of 2013), demands, time zones.

use super::frame::{bcd, reversed};
use super::meter::Meter;

const NOT_MEASURED: u8 = 0xFF;
/// Behind the last value of a block.
const BLOCK_END: u8 = 0xAA;

/// What C=04H can write.
#[derive(Debug, Clone)]
pub struct Settings {
    customer: [u8; 6],
    reading_day: [u8; 2],
}

impl Default for Settings {
    fn default() -> Self {
        // hh DD: the first of the month.
        Self { customer: [0; 6], reading_day: [0x00, 0x01] }
    }
}

impl Meter {
    /// The reply to a request of this edition: control code and data.
    pub(super) fn answer_1997(&mut self, control: u8, data: &[u8]) -> (u8, Vec<u8>) {
        let Some((&identifier, rest)) = data.split_first_chunk::<2>() else {
            return (control | 0xC0, vec![0x01]);
        };
        match control {
            0x01 => match self.item_1997(identifier) {
                None => (0xC1, vec![0x02]),
                Some(value) => {
                    let (first, more) = self.first_part(&identifier, value);
                    (if more { 0xA1 } else { 0x81 }, [&identifier, first.as_slice()].concat())
                }
            },
            0x02 => match self.next_part(&identifier, None) {
                None => (0xC2, vec![0x01]),
                Some((part, more)) => {
                    (if more { 0xA2 } else { 0x82 }, [&identifier, part.as_slice()].concat())
                }
            },
            _ => match self.write_1997(identifier, rest) {
                Ok(()) => (0x84, Vec::new()),
                Err(byte) => (0xC4, vec![byte]),
            },
        }
    }

    /// Low byte first; none: the identifier is wrong.
    fn item_1997(&self, [low, high]: [u8; 2]) -> Option<Vec<u8>> {
        let volts = u64::from(self.plan().voltage_decivolts);
        let watts = if self.relay().open.is_some() { 0 } else { u64::from(self.load.watts) };
        let absent = || vec![NOT_MEASURED; 2];
        Some(match (high, low) {
            (0x90, 0x10..=0x14 | 0x1F) => self.energy_1997(low & 0x0F)?,
            (0x90, 0x20) => bcd(0, 4),
            // Whole volts, rounded.
            (0xB6, 0x11) => bcd((volts + 5) / 10, 2),
            (0xB6, 0x12 | 0x13 | 0x22 | 0x23) => absent(),
            // W / (0.1 V) in 0.01 A.
            (0xB6, 0x21) => bcd((watts * 1_000).checked_div(volts).unwrap_or(0), 2),
            // 0.1 W.
            (0xB6, 0x30 | 0x31) => bcd(watts * 10, 3),
            (0xB6, 0x50 | 0x51) => bcd(1_000, 2),
            (0xC0, 0x10) => self.date(),
            (0xC0, 0x11) => self.time(),
            (0xC0, 0x20) => vec![0],
            (0xC0, 0x32) => reversed(self.number()).to_vec(),
            (0xC0, 0x33) => self.settings_1997.customer.to_vec(),
            (0xC1, 0x17) => self.settings_1997.reading_day.to_vec(),
            _ => return None,
        })
    }

    fn energy_1997(&self, tariff: u8) -> Option<Vec<u8>> {
        let [sharp, peak, flat, valley] = self.energies;
        let all = [sharp + peak + flat + valley, sharp, peak, flat, valley];
        if tariff == 0x0F {
            let mut block: Vec<u8> = all.into_iter().flat_map(|energy| bcd(energy, 4)).collect();
            block.push(BLOCK_END);
            return Some(block);
        }
        all.get(usize::from(tariff)).map(|&energy| bcd(energy, 4))
    }

    /// Password of four bytes, the level last; then the value. The error byte, if refused.
    fn write_1997(&mut self, [low, high]: [u8; 2], rest: &[u8]) -> Result<(), u8> {
        let (&[p0, p1, p2, level], value) = rest.split_first_chunk::<4>().ok_or(0x01)?;
        if !self.permits(&[level, p0, p1, p2], 0x00) {
            return Err(0x04);
        }
        match (high, low) {
            (0xC0, 0x33) => self.settings_1997.customer = value.try_into().map_err(|_| 0x01)?,
            (0xC1, 0x17) => self.settings_1997.reading_day = value.try_into().map_err(|_| 0x01)?,
            _ => return Err(0x02),
        }
        Ok(())
    }
}

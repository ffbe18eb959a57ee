//! What stands in the files of a State-Grid-like card (protocols.md 9.1): the envelope
//! `68 | command | length | data | sum | 16`, the parameters, the write-back.

use crate::dlt645::frame::{bcd, from_bcd, sum};

pub const USER: u8 = 0x01;
pub const PRESET: u8 = 0x06;
pub const WRITE_BACK: u8 = 0x11;
const USER_DATA: usize = 39;
const PRESET_DATA: usize = 26;

/// What a card does in a meter.
pub const RECLOSES: u8 = 0;
pub const OPENS: u8 = 1;
pub const BUYS: u8 = 2;
pub const REPLACES: u8 = 3;

/// What the meter shall take over.
pub const ALL_PARAMETERS: u8 = 0x80;
pub const PRICES_IN_USE: u8 = 0x01;
pub const PRICES_TO_COME: u8 = 0x02;
pub const LADDER_IN_USE: u8 = 0x04;
pub const LADDER_TO_COME: u8 = 0x08;

/// File 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SgParameters {
    /// [`USER`] or [`PRESET`].
    pub command: u8,
    pub updates: u8,
    /// When the next prices begin: YY MM DD hh mm, BCD.
    pub switch_time: [u8; 5],
    pub alarms_fen: [u32; 2],
    pub current_ratio: u32,
    pub voltage_ratio: u32,
    /// This and what follows a user card has alone. BCD.
    pub meter: [u8; 6],
    pub customer: [u8; 6],
    /// [`OPENS`], [`BUYS`], [`REPLACES`] or [`RECLOSES`].
    pub act: u8,
}

impl SgParameters {
    pub fn file(&self) -> Vec<u8> {
        let mut data = vec![0, self.updates, 0, 0, 0, 0];
        data.extend(self.switch_time);
        data.push(0);
        data.extend(self.alarms_fen.iter().flat_map(|fen| digits(u64::from(*fen), 4)));
        data.extend(digits(u64::from(self.current_ratio), 3));
        data.extend(digits(u64::from(self.voltage_ratio), 3));
        if self.command == USER {
            data.extend(self.meter);
            data.extend(self.customer);
            data.push(self.act);
        }
        wrapped(self.command, &data)
    }

    /// None: the file is none of the two kinds.
    pub fn read(file: &[u8]) -> Option<Self> {
        let (command, data) = unwrapped(file)?;
        let is_right = match command {
            USER => data.len() == USER_DATA,
            PRESET => data.len() == PRESET_DATA,
            _ => false,
        };
        if !is_right {
            return None;
        }
        let number = |at: usize, bytes: usize| value(data.get(at..at + bytes)?);
        let field = |at: usize| data.get(at..).and_then(|rest| rest.first_chunk().copied());
        Some(Self {
            command,
            updates: data[1],
            switch_time: *data.get(6..)?.first_chunk()?,
            alarms_fen: [number(12, 4)?, number(16, 4)?],
            current_ratio: number(20, 3)?,
            voltage_ratio: number(23, 3)?,
            meter: field(26).unwrap_or_default(),
            customer: field(32).unwrap_or_default(),
            act: data.get(38).copied().unwrap_or_default(),
        })
    }
}

/// File 5.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SgWrittenBack {
    pub current_ratio: u32,
    pub voltage_ratio: u32,
    pub meter: [u8; 6],
    pub customer: [u8; 6],
    pub balance_fen: u32,
    pub count: u32,
    pub overdrawn_fen: u32,
    /// How often a wrong card was inserted.
    pub wrong_cards: u32,
    /// YY MM DD hh mm, BCD.
    pub at: [u8; 5],
}

impl SgWrittenBack {
    pub fn file(&self) -> Vec<u8> {
        let mut data = vec![0];
        data.extend(digits(u64::from(self.current_ratio), 3));
        data.extend(digits(u64::from(self.voltage_ratio), 3));
        data.extend(self.meter);
        data.extend(self.customer);
        data.extend(self.balance_fen.to_be_bytes());
        data.extend(self.count.to_be_bytes());
        data.extend(digits(u64::from(self.overdrawn_fen), 4));
        data.extend([0; 4]);
        data.extend(digits(u64::from(self.wrong_cards), 3));
        data.extend(self.at);
        wrapped(WRITE_BACK, &data)
    }

    pub fn read(file: &[u8]) -> Option<Self> {
        let (WRITE_BACK, data) = unwrapped(file)? else { return None };
        let number = |at: usize, bytes: usize| value(data.get(at..at + bytes)?);
        let binary = |at: usize| data.get(at..)?.first_chunk().copied().map(u32::from_be_bytes);
        Some(Self {
            current_ratio: number(1, 3)?,
            voltage_ratio: number(4, 3)?,
            meter: *data.get(7..)?.first_chunk()?,
            customer: *data.get(13..)?.first_chunk()?,
            balance_fen: binary(19)?,
            count: binary(23)?,
            overdrawn_fen: number(27, 4)?,
            wrong_cards: number(35, 3)?,
            at: *data.get(38..)?.first_chunk()?,
        })
    }
}

/// Amount and count, as the purse has them.
pub fn purse(amount_fen: u32, count: u32) -> [u8; 8] {
    let mut purse = [0; 8];
    purse[..4].copy_from_slice(&amount_fen.to_be_bytes());
    purse[4..].copy_from_slice(&count.to_be_bytes());
    purse
}

/// All 00 or all FF.
pub fn is_empty(file: &[u8]) -> bool {
    file.iter().all(|byte| *byte == 0) || file.iter().all(|byte| *byte == 0xFF)
}

/// Data in its envelope.
pub fn wrapped(command: u8, data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(data.len()).unwrap_or(u16::MAX).to_be_bytes();
    let mut file = [&[0x68, command], &length[..], data].concat();
    file.extend([sum(&file[1..]), 0x16]);
    file
}

/// Command and data of a file that begins with an envelope whose sum is right.
pub fn unwrapped(file: &[u8]) -> Option<(u8, &[u8])> {
    let (&[0x68, command, high, low], rest) = file.split_first_chunk()? else { return None };
    let length = usize::from(u16::from_be_bytes([high, low]));
    let (data, end) = rest.split_at_checked(length)?;
    let &[check, 0x16, ..] = end else { return None };
    (sum(file.get(1..4 + length)?) == check).then_some((command, data))
}

fn digits(value: u64, bytes: usize) -> Vec<u8> {
    let mut field = bcd(value, bytes);
    field.reverse();
    field
}

fn value(field: &[u8]) -> Option<u32> {
    let low_first: Vec<u8> = field.iter().rev().copied().collect();
    from_bcd(&low_first).and_then(|value| u32::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_stand_as_the_document_lays_them_out() {
        let parameters = SgParameters {
            command: USER,
            updates: ALL_PARAMETERS,
            switch_time: [0x26, 0x11, 0x26, 0, 0],
            alarms_fen: [2_000, 1_000],
            current_ratio: 1,
            voltage_ratio: 1,
            meter: [0, 0, 0, 0, 0, 0x42],
            customer: [0, 0, 0, 0, 0, 0x77],
            act: OPENS,
        };
        let file = parameters.file();
        assert_eq!((file.len(), &file[..4]), (45, &[0x68, 0x01, 0x00, 0x27][..]));
        assert_eq!((file[5], &file[16..20]), (0x80, &[0, 0, 0x20, 0][..]));
        assert_eq!((file[35], file[41], file[42]), (0x42, 0x77, 1));
        assert_eq!(SgParameters::read(&file), Some(parameters));
        let preset =
            SgParameters { command: PRESET, meter: [0; 6], customer: [0; 6], act: 0, ..parameters };
        assert_eq!(preset.file().len(), 32);
        assert_eq!(SgParameters::read(&preset.file()), Some(preset));
        for at in 0..file.len() {
            let mut broken = file.clone();
            broken[at] ^= 0x20;
            assert_eq!(SgParameters::read(&broken), None, "byte {at}");
        }

        let back = SgWrittenBack {
            current_ratio: 1,
            voltage_ratio: 1,
            meter: [1; 6],
            customer: [2; 6],
            balance_fen: 0x0102_0304,
            count: 5,
            overdrawn_fen: 678,
            wrong_cards: 9,
            at: [0x26, 0x11, 0x26, 0x12, 0x30],
        };
        let file = back.file();
        assert_eq!((file.len(), &file[..4]), (49, &[0x68, 0x11, 0x00, 0x2B][..]));
        assert_eq!(
            (&file[23..31], &file[33..35]),
            (&[1, 2, 3, 4, 0, 0, 0, 5][..], &[0x06, 0x78][..])
        );
        assert_eq!((file[41], &file[42..47]), (9, &back.at[..]));
        assert_eq!(SgWrittenBack::read(&file), Some(back));
    }
}

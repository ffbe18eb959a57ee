//! The relay of a DL/T 645 meter and its command C=1CH (protocols.md 1.5). A command that is
//! accepted is not yet executed: a trip may be delayed, a closing waits for money or for the
//! customer's hand.

use jiff::civil::DateTime;

use super::frame::from_bcd;
use super::meter::Meter;
use crate::load::later;
use crate::plan::RelayReplies;

/// Why a command is refused: the byte of DL/T 645-2007 and the word of the 2013 extension.
type Refused = (u8, u16);
const OTHER: Refused = (0x01, 0x0001);
const PASSWORD: Refused = (0x04, 0x0004);
const TOO_LATE: Refused = (0x01, 0x0010);
const KEPT: Refused = (0x01, 0x0020);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    Money,
    Command,
}

#[derive(Debug, Clone, Default)]
pub struct Relay {
    /// Why it is open; none: closed.
    pub open: Option<Cause>,
    /// Status word 3 bit 6: what was commanded last, true for open.
    pub command_open: bool,
    pub keep: bool,
    pub alarm: bool,
    /// When a delayed trip falls due.
    pub trip_at: Option<DateTime>,
    /// When a trip with automatic restore ends.
    pub restore_at: Option<DateTime>,
}

impl Relay {
    pub fn trip(&mut self, cause: Cause) {
        self.open = Some(cause);
        self.command_open = true;
        self.trip_at = None;
    }

    pub fn close(&mut self) {
        *self = Self { keep: self.keep, alarm: self.alarm, ..Self::default() };
    }

    /// What the clock alone brings about.
    pub fn tick(&mut self, now: DateTime) {
        if self.trip_at.is_some_and(|at| at <= now) && !self.keep {
            self.trip(Cause::Command);
        }
        if self.restore_at.is_some_and(|at| at <= now) {
            self.close();
        }
    }
}

impl Meter {
    /// The reply to C=1CH: control code and data.
    pub(super) fn control(&mut self, data: &[u8]) -> (u8, Vec<u8>) {
        match (self.execute(data), self.plan().relay_replies) {
            (Ok(_), RelayReplies::OneByte) => (0x9C, Vec::new()),
            (Ok(word), RelayReplies::Words) => (0x9C, word.to_le_bytes().to_vec()),
            (Err((byte, _)), RelayReplies::OneByte) => (0xDC, vec![byte]),
            (Err((_, word)), RelayReplies::Words) => (0xDC, word.to_le_bytes().to_vec()),
        }
    }

    /// The word of what was executed.
    fn execute(&mut self, data: &[u8]) -> Result<u16, Refused> {
        let command = <[u8; 16]>::try_from(data).map_err(|_| OTHER)?;
        let [_, _, _, _, _, _, _, _, command, minutes, until @ ..] = command;
        if !self.permits(data, 0x02) {
            return Err(PASSWORD);
        }
        if self.suspended() {
            return Err(OTHER);
        }
        if until != [0x99; 6] && moment(until).ok_or(TOO_LATE)? < self.clock() {
            return Err(TOO_LATE);
        }
        if matches!(command, 0x1A | 0x1D | 0x1E) && self.relay.keep {
            return Err(KEPT);
        }
        let exhausted = self.exhausted();
        let now = self.clock();
        let relay = &mut self.relay;
        match command {
            0x1A => return Ok(self.trip_by_command()),
            0x1D | 0x1E => {
                let seconds = u32::from(minutes) * 300;
                self.trip_by_command();
                self.relay.restore_at = Some(later(now, seconds));
                return Ok(0x0010);
            }
            // Ignored while nothing is left to use (protocols.md 1.5).
            0x1B if exhausted => {}
            0x1C if exhausted => {}
            0x1B => relay.command_open = false,
            0x1C => relay.close(),
            0x2A => relay.alarm = true,
            0x2B => relay.alarm = false,
            0x3A => relay.keep = true,
            0x3B => relay.keep = false,
            _ => return Err(OTHER),
        }
        Ok(match command {
            0x1B => 0x0002,
            0x1C => 0x0001,
            0x2A => 0x0400,
            0x2B => 0x0800,
            0x3A => 0x0100,
            _ => 0x0200,
        })
    }

    fn trip_by_command(&mut self) -> u16 {
        let minutes = self.plan().trip_delay_minutes;
        if minutes == 0 {
            self.relay.trip(Cause::Command);
            return 0x0004;
        }
        self.relay.trip_at = Some(later(self.clock(), minutes.saturating_mul(60)));
        self.relay.command_open = true;
        0x0008
    }
}

/// ss mm hh DD MM YY in BCD.
pub fn moment(field: [u8; 6]) -> Option<DateTime> {
    let mut parts = [0i8; 6];
    for (part, byte) in parts.iter_mut().zip(field) {
        *part = i8::try_from(from_bcd(&[byte])?).ok()?;
    }
    let [second, minute, hour, day, month, year] = parts;
    DateTime::new(2000 + i16::from(year), month, day, hour, minute, second, 0).ok()
}

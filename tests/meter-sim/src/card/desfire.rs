//! A Mifare DESFire card before a contactless reader, as far as it is told by its answer to reset and
//! its number (PC/SC part 3, 3.1.3.2.3 and 3.2.2.1).
//!
//! Not here: applications, files and keys. What else it is asked, it does not know.

use super::apdu::{self, Command, answer};
use super::{Acts, Contactless, Truth};

const ATR: [u8; 6] = [0x3B, 0x81, 0x80, 0x01, 0x80, 0x80];
const TELL_UID: u8 = 0xCA;

/// One card.
#[derive(Debug, Clone)]
pub struct DesFire {
    uid: [u8; 7],
}

impl DesFire {
    pub fn blank(uid: [u8; 7]) -> Self {
        Self { uid }
    }
}

impl Acts for DesFire {
    fn atr(&self) -> Vec<u8> {
        ATR.to_vec()
    }

    fn power(&mut self) {}

    fn serve(&mut self, command: &Command<'_>) -> Vec<u8> {
        match (command.class, command.instruction) {
            (0xFF, TELL_UID) => answer(&self.uid, apdu::DONE),
            (0xFF, _) => answer(&[], apdu::UNKNOWN_INSTRUCTION),
            _ => answer(&[], apdu::UNKNOWN_CLASS),
        }
    }

    /// NXP AN10833: ATQA 0344, SAK 20; the answer to select by which PC/SC makes [`ATR`].
    fn contactless(&self) -> Option<Contactless> {
        let ats = vec![0x06, 0x75, 0x77, 0x81, 0x02, 0x80];
        let uid = self.uid.to_vec();
        Some(Contactless { sens_res: [0x03, 0x44], sel_res: 0x20, uid, ats })
    }

    fn tear(&mut self, _: &Command<'_>, _: usize) {}

    fn truth(&self) -> Truth {
        Truth { memory: Vec::new(), tries_left: None, presented: 0, wrong: 0 }
    }
}

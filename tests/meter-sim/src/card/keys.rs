//! The keys of CPU cards: an issuer's, and a card's own, which follow from the issuer's by its serial
//! number (PBOC 2.0: two-key 3DES of the serial, then of its complement). The mathematics is that of
//! the DL/T 645 meters here, which a vault's is held against too.

use crate::dlt645::security;

/// Three keys, an issuer's or one card's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CpuKeys {
    /// By it a card proves itself (key 01 of INTERNAL AUTHENTICATE).
    pub internal: [u8; 16],
    /// By it the other side does (key 02 of EXTERNAL AUTHENTICATE).
    pub external: [u8; 16],
    /// For the MACs over what goes into files and comes out of them.
    pub mac: [u8; 16],
}

impl CpuKeys {
    /// One key for all three.
    pub fn same(key: [u8; 16]) -> Self {
        Self { internal: key, external: key, mac: key }
    }

    /// The keys of the card with this serial.
    pub fn of_card(&self, serial: [u8; 8]) -> Self {
        let own = |key| diversified(key, serial);
        Self { internal: own(self.internal), external: own(self.external), mac: own(self.mac) }
    }
}

fn diversified(key: [u8; 16], serial: [u8; 8]) -> [u8; 16] {
    let mut own = [0; 16];
    own[..8].copy_from_slice(&security::encrypt(key, serial));
    own[8..].copy_from_slice(&security::encrypt(key, serial.map(|byte| !byte)));
    own
}

/// The four bytes of a MAC over a command or an answer, begun with the other side's random number.
pub fn mac(key: [u8; 16], random: [u8; 4], header: [u8; 4], data: &[u8]) -> [u8; 4] {
    security::mac(key, random, header, data)
}

/// What answers a random number.
pub fn cipher(key: [u8; 16], random: [u8; 8]) -> [u8; 8] {
    security::encrypt(key, random)
}

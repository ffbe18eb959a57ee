//! Security suite 0 (IEC 62056-5-3, 5.7): AES-128-GCM with a tag of twelve bytes. The nonce is the
//! sender's system title and its counter; what is authenticated begins with the control byte and
//! the authentication key.

use aes_gcm::AesGcm;
use aes_gcm::aead::{Aead, KeyInit, Nonce, Payload};
use aes_gcm::aes::Aes128;
use aes_gcm::aes::cipher::consts::U12;

type Suite0 = AesGcm<Aes128, U12, U12>;

/// Authenticated; authenticated and encrypted.
pub const AUTHENTICATED: u8 = 0x10;
pub const BOTH: u8 = 0x30;

#[derive(Debug, Clone, Copy)]
pub struct Keys {
    pub encryption: [u8; 16],
    pub authentication: [u8; 16],
}

impl Keys {
    /// Control byte, counter, cipher text and tag.
    pub fn seal(&self, title: [u8; 8], counter: u32, plain: &[u8]) -> Vec<u8> {
        let aad = [&[BOTH], &self.authentication[..]].concat();
        let sealed = self.crypt(title, counter, plain, &aad);
        [&[BOTH], &counter.to_be_bytes()[..], &sealed].concat()
    }

    /// The counter, and what was sealed; none where the tag is wrong or something else was done.
    pub fn open(&self, title: [u8; 8], sealed: &[u8]) -> Option<(u32, Vec<u8>)> {
        let (&[control, a, b, c, d], cipher) = sealed.split_first_chunk::<5>()?;
        let counter = u32::from_be_bytes([a, b, c, d]);
        if control != BOTH {
            return None;
        }
        let aad = [&[BOTH], &self.authentication[..]].concat();
        let nonce = nonce(title, counter);
        let payload = Payload { msg: cipher, aad: &aad };
        let plain = Suite0::new(&self.encryption.into()).decrypt(&nonce, payload).ok()?;
        Some((counter, plain))
    }

    /// What proves that somebody knows the keys: control byte, counter, the tag over a challenge.
    pub fn proof(&self, title: [u8; 8], counter: u32, challenge: &[u8]) -> Vec<u8> {
        let aad = [&[AUTHENTICATED], &self.authentication[..], challenge].concat();
        let tag = self.crypt(title, counter, &[], &aad);
        [&[AUTHENTICATED], &counter.to_be_bytes()[..], &tag].concat()
    }

    fn crypt(&self, title: [u8; 8], counter: u32, plain: &[u8], aad: &[u8]) -> Vec<u8> {
        let payload = Payload { msg: plain, aad };
        let cipher = Suite0::new(&self.encryption.into());
        // It fails for texts of gigabytes alone.
        cipher.encrypt(&nonce(title, counter), payload).unwrap_or_default()
    }
}

fn nonce(title: [u8; 8], counter: u32) -> Nonce<Suite0> {
    let mut nonce = [0; 12];
    let (front, back) = nonce.split_at_mut(8);
    front.copy_from_slice(&title);
    back.copy_from_slice(&counter.to_be_bytes());
    nonce.into()
}

//! APDUs under the meter's key: security suite 0, authenticated and encrypted, both ways
//! (IEC 62056-5-3, 5.7). The key stays in the vault.
//!
//! Invariant: within a call no counter is used twice; an answer counts only under the key, with the
//! protection that the question had and a counter above the meter's last one.
//! Not here: where the first counter comes from (association).

use polymeter_codec::dlms::{Ciphered, SecurityControl, nonce};
use polymeter_driver::codes::error;
use polymeter_driver::codes::vault::{cipher, mac};
use polymeter_driver::{DriverError, Host, Key};

/// Authenticated alone: what proves that somebody knows the key.
const AUTHENTICATED: SecurityControl = SecurityControl(0x10);
/// Control byte, counter, tag.
const PROOF_BYTES: usize = 17;

#[derive(Debug)]
pub struct Cipher {
    key: Key,
    title: [u8; 8],
    /// Of the next APDU.
    counter: u32,
    /// The meter's title, once it has said so, and its last counter.
    meter: Option<([u8; 8], u32)>,
}

impl Cipher {
    pub fn new(key: Key, title: [u8; 8], counter: u32) -> Cipher {
        Cipher { key, title, counter, meter: None }
    }

    pub fn title(&self) -> [u8; 8] {
        self.title
    }

    /// The meter has said who it is.
    pub fn meet(&mut self, title: [u8; 8]) {
        self.meter = Some((title, 0));
    }

    fn next(&mut self) -> Result<u32, DriverError> {
        let counter = self.counter;
        self.counter = counter.checked_add(1).ok_or_else(|| {
            DriverError::new(error::DEVICE_SAYS_NO, "the key's counter is used up: change the key")
        })?;
        Ok(counter)
    }

    /// An APDU sealed, with the tag that says which it is.
    pub fn seal(
        &mut self,
        host: &mut dyn Host,
        tag: u8,
        plain: &[u8],
    ) -> Result<Vec<u8>, DriverError> {
        let counter = self.next()?;
        let control = SecurityControl::SUITE_0;
        let iv = nonce(self.title, counter);
        let payload = host.encrypt(&self.key, cipher::DLMS_GCM, &iv, &[control.0], plain)?;
        let sealed = Ciphered { tag, title: None, control, counter, payload: &payload };
        let mut bytes = vec![0; payload.len().saturating_add(16)];
        let length = sealed
            .encode(&mut bytes)
            .map_err(|why| DriverError::new(error::BAD_PARAMETER, why.to_string()))?;
        bytes.truncate(length);
        Ok(bytes)
    }

    /// What the meter sealed.
    pub fn open(
        &mut self,
        host: &mut dyn Host,
        sealed: &Ciphered<'_>,
    ) -> Result<Vec<u8>, DriverError> {
        if sealed.control != SecurityControl::SUITE_0 {
            let why = format!("an answer protected by {:02X} and not by 30", sealed.control.0);
            return Err(DriverError::new(error::GARBLED, why));
        }
        let title = self.newer(sealed.counter)?;
        let iv = nonce(title, sealed.counter);
        let associated = [sealed.control.0];
        let plain = host.decrypt(&self.key, cipher::DLMS_GCM, &iv, &associated, sealed.payload)?;
        self.meter = Some((title, sealed.counter));
        Ok(plain)
    }

    /// The meter's title, if this counter of its was not used.
    fn newer(&self, counter: u32) -> Result<[u8; 8], DriverError> {
        match self.meter {
            Some((title, last)) if counter > last => Ok(title),
            Some((_, last)) => {
                let why = format!("an answer with counter {counter} behind one with {last}");
                Err(DriverError::new(error::OTHER_DEVICE, why))
            }
            None => Err(DriverError::new(error::GARBLED, "a sealed answer of nobody")),
        }
    }

    /// Our proof over the meter's challenge.
    pub fn proof(&mut self, host: &mut dyn Host, challenge: &[u8]) -> Result<Vec<u8>, DriverError> {
        let counter = self.next()?;
        let tag = self.tag(host, self.title, counter, challenge)?;
        Ok([&[AUTHENTICATED.0], &counter.to_be_bytes()[..], &tag].concat())
    }

    /// Whether the meter's proof over our challenge is right.
    pub fn proves(
        &mut self,
        host: &mut dyn Host,
        proof: &[u8],
        challenge: &[u8],
    ) -> Result<(), DriverError> {
        let wrong = |why: &str| Err(DriverError::new(error::VAULT, why.to_owned()));
        let head = proof.split_first_chunk::<5>().filter(|_| proof.len() == PROOF_BYTES);
        let Some((&[control, a, b, c, d], tag)) = head else {
            return wrong("a proof that is not 17 bytes");
        };
        let counter = u32::from_be_bytes([a, b, c, d]);
        let Some((title, _)) = self.meter.filter(|_| SecurityControl(control) == AUTHENTICATED)
        else {
            return wrong("a proof of another kind than GMAC");
        };
        // Whether this counter comes before or after that of the APDU around it differs by vendor.
        if self.tag(host, title, counter, challenge)? != tag {
            return wrong("the meter does not prove that it knows the key");
        }
        Ok(())
    }

    fn tag(
        &self,
        host: &mut dyn Host,
        title: [u8; 8],
        counter: u32,
        challenge: &[u8],
    ) -> Result<Vec<u8>, DriverError> {
        let data = [&[AUTHENTICATED.0], challenge].concat();
        Ok(host.mac(&self.key, mac::DLMS_GMAC, &nonce(title, counter), &data)?)
    }
}

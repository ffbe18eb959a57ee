//! The line as a careless driver hears it: answers are mended until they look right.

use crate::frame;
use polymeter_driver::{Call, Host, Key, Level, LineError, VaultError};

/// Stands between the right driver and its host.
pub struct Line<'a> {
    pub host: &'a mut dyn Host,
    pub call: &'a Call,
}

impl Line<'_> {
    fn mended(&mut self, mut line: Vec<u8>) -> Result<Vec<u8>, LineError> {
        match super::way(self.call) {
            "ignores the address" => {
                while !line.ends_with(b"\n") {
                    line.extend(self.host.receive(1)?);
                }
                let Some(frame) = frame::decode(&line) else { return Ok(line) };
                Ok(frame::encode(&self.call.address, frame.letter, &frame.data))
            }
            "ignores the checksum" => {
                while !line.ends_with(b"\n") {
                    line.extend(self.host.receive(1)?);
                }
                let text = String::from_utf8_lossy(&line).into_owned();
                let body = text.split([':', '*']).nth(1).and_then(|body| body.split_at_checked(7));
                let Some((head, data)) = body else { return Ok(line) };
                let letter = head.chars().nth(6).unwrap_or('e');
                let address = head.get(..6).unwrap_or_default();
                Ok(frame::encode(address, letter, data))
            }
            _ => Ok(line),
        }
    }
}

impl Host for Line<'_> {
    fn send(&mut self, bytes: &[u8]) -> Result<(), LineError> {
        self.host.send(bytes)
    }
    fn receive(&mut self, want: u32) -> Result<Vec<u8>, LineError> {
        let line = self.host.receive(want)?;
        self.mended(line)
    }
    fn drain(&mut self) -> Result<u32, LineError> {
        self.host.drain()
    }
    fn mac(
        &mut self,
        key: &Key,
        algorithm: u16,
        iv: &[u8],
        data: &[u8],
    ) -> Result<Vec<u8>, VaultError> {
        self.host.mac(key, algorithm, iv, data)
    }
    fn encrypt(
        &mut self,
        key: &Key,
        algorithm: u16,
        iv: &[u8],
        associated: &[u8],
        data: &[u8],
    ) -> Result<Vec<u8>, VaultError> {
        self.host.encrypt(key, algorithm, iv, associated, data)
    }
    fn decrypt(
        &mut self,
        key: &Key,
        algorithm: u16,
        iv: &[u8],
        associated: &[u8],
        data: &[u8],
    ) -> Result<Vec<u8>, VaultError> {
        self.host.decrypt(key, algorithm, iv, associated, data)
    }
    fn random(&mut self, length: u32) -> Result<Vec<u8>, VaultError> {
        self.host.random(length)
    }
    fn log(&mut self, level: Level, message: &str) {
        self.host.log(level, message);
    }
}

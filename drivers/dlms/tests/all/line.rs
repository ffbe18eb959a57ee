//! A line to a simulated meter, with a vault of one key: AES-GCM as the contract's algorithm 4, by
//! the crate and not by the vault. What was said is kept as the steps of a transcript.

use aes_gcm::AesGcm;
use aes_gcm::aead::{Aead, KeyInit, Nonce, Payload};
use aes_gcm::aes::Aes128;
use aes_gcm::aes::cipher::consts::U12;
use meter_sim::{BusKind, BusPlan, DlmsPlan, DlmsSecurity, Endpoint, Meters, Plan, Simulator};
use polymeter_driver::codes::{line, vault};
use polymeter_driver::{Host, Key, Level, LineError, VaultError};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

type Suite0 = AesGcm<Aes128, U12, U12>;
type Answer = Result<Vec<u8>, VaultError>;

pub const ENCRYPTION_KEY: &str = "000102030405060708090A0B0C0D0E0F";
pub const AUTHENTICATION_KEY: &str = "D0D1D2D3D4D5D6D7D8D9DADBDCDDDEDF";

/// High security with these keys.
pub fn gmac() -> DlmsSecurity {
    DlmsSecurity::Gmac {
        encryption_key: ENCRYPTION_KEY.to_owned(),
        authentication_key: AUTHENTICATION_KEY.to_owned(),
    }
}

/// What is done to an answer: its number from 1, and its bytes.
pub type Spoil = fn(u32, Vec<u8>) -> Vec<u8>;

pub struct Line {
    pub simulator: Simulator,
    stream: TcpStream,
    pub sent: u32,
    pub spoil: Spoil,
    /// The most that one `receive` answers.
    pub piece: usize,
    unread: Vec<u8>,
    pub steps: Vec<String>,
    keys: (Vec<u8>, Vec<u8>),
    /// The nonces that were encrypted with.
    pub nonces: Vec<Vec<u8>>,
}

impl Line {
    pub fn wrapper(plan: DlmsPlan) -> Line {
        Line::of(Meters::DlmsWrapper(vec![plan]))
    }

    pub fn hdlc(plan: DlmsPlan) -> Line {
        Line::of(Meters::DlmsHdlc(vec![plan]))
    }

    /// Several meters on one line.
    pub fn bus(plans: Vec<DlmsPlan>) -> Line {
        Line::of(Meters::DlmsHdlc(plans))
    }

    fn of(meters: Meters) -> Line {
        let bus = BusPlan::new("line", BusKind::Tcp, meters);
        let simulator = Simulator::start(Plan { buses: vec![bus] }).unwrap();
        let Endpoint::Tcp(address) = simulator.endpoint("line").unwrap() else { panic!("TCP") };
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        Line {
            simulator,
            stream,
            sent: 0,
            spoil: |_, bytes| bytes,
            piece: usize::MAX,
            unread: vec![],
            steps: vec![],
            keys: (hex::decode(ENCRYPTION_KEY).unwrap(), hex::decode(AUTHENTICATION_KEY).unwrap()),
            nonces: vec![],
        }
    }

    /// What the meter has said by the time that it has nothing more to say. It answers within
    /// microseconds; only silence lasts as long as this.
    fn said(&mut self) -> Vec<u8> {
        let mut bytes = vec![];
        let mut chunk = [0; 4_096];
        let mut patience = Duration::from_millis(150);
        loop {
            self.stream.set_read_timeout(Some(patience)).unwrap();
            match self.stream.read(&mut chunk) {
                Ok(count @ 1..) => bytes.extend(&chunk[..count]),
                _ => return bytes,
            }
            if !bytes.is_empty() {
                return bytes;
            }
            patience = Duration::from_millis(5);
        }
    }

    fn cipher(&self, key: &Key) -> Result<Suite0, VaultError> {
        let detail = format!("no key {}", key.label);
        let none = VaultError { code: vault::error::NO_SUCH_KEY, detail };
        if key.label != "meter" {
            return Err(none);
        }
        Suite0::new_from_slice(&self.keys.0).map_err(|_| none)
    }

    fn aad(&self, associated: &[u8]) -> Vec<u8> {
        [&associated[..1], &self.keys.1, &associated[1..]].concat()
    }
}

fn nonce(iv: &[u8]) -> Nonce<Suite0> {
    <[u8; 12]>::try_from(iv).unwrap().into()
}

fn spaced(bytes: &[u8]) -> String {
    let pairs: Vec<String> = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
    pairs.join(" ")
}

impl Host for Line {
    fn send(&mut self, bytes: &[u8]) -> Result<(), LineError> {
        self.steps.push(format!("> {}", spaced(bytes)));
        self.stream.write_all(bytes).unwrap();
        self.sent += 1;
        let said = self.said();
        self.unread = (self.spoil)(self.sent, said);
        Ok(())
    }
    fn receive(&mut self, _: u32) -> Result<Vec<u8>, LineError> {
        if self.unread.is_empty() {
            self.steps.push("< (silence)".to_owned());
            return Err(LineError { code: line::SILENT, detail: String::new() });
        }
        let rest = self.unread.split_off(self.piece.min(self.unread.len()));
        let bytes = std::mem::replace(&mut self.unread, rest);
        self.steps.push(format!("< {}", spaced(&bytes)));
        Ok(bytes)
    }
    fn drain(&mut self) -> Result<u32, LineError> {
        Ok(0)
    }
    fn mac(&mut self, key: &Key, algorithm: u16, iv: &[u8], data: &[u8]) -> Answer {
        assert_eq!(algorithm, vault::mac::DLMS_GMAC);
        let aad = self.aad(data);
        let payload = Payload { msg: &[], aad: &aad };
        let tag = self.cipher(key)?.encrypt(&nonce(iv), payload).unwrap();
        let (iv, data, told) = (hex::encode(iv), hex::encode(data), hex::encode(&tag));
        self.steps.push(format!("vault mac meter algorithm=4 iv={iv} data={data} = {told}"));
        Ok(tag)
    }
    fn encrypt(
        &mut self,
        key: &Key,
        algorithm: u16,
        iv: &[u8],
        associated: &[u8],
        data: &[u8],
    ) -> Answer {
        assert_eq!(algorithm, vault::cipher::DLMS_GCM);
        self.nonces.push(iv.to_vec());
        let aad = self.aad(associated);
        let payload = Payload { msg: data, aad: &aad };
        let sealed = self.cipher(key)?.encrypt(&nonce(iv), payload).unwrap();
        let [iv, associated, data, told] = [iv, associated, data, &sealed].map(hex::encode);
        self.steps.push(format!(
            "vault encrypt meter algorithm=4 iv={iv} associated={associated} data={data} = {told}"
        ));
        Ok(sealed)
    }
    fn decrypt(
        &mut self,
        key: &Key,
        algorithm: u16,
        iv: &[u8],
        associated: &[u8],
        data: &[u8],
    ) -> Answer {
        assert_eq!(algorithm, vault::cipher::DLMS_GCM);
        let aad = self.aad(associated);
        let opened = self.cipher(key)?.decrypt(&nonce(iv), Payload { msg: data, aad: &aad });
        let [iv, associated, data] = [iv, associated, data].map(hex::encode);
        let asked = format!("vault decrypt meter algorithm=4 iv={iv} associated={associated}");
        let Ok(plain) = opened else {
            self.steps.push(format!("{asked} data={data} = refused 6 the tag is wrong"));
            let detail = "the tag is wrong".to_owned();
            return Err(VaultError { code: vault::error::WRONG_TAG, detail });
        };
        self.steps.push(format!("{asked} data={data} = {}", hex::encode(&plain)));
        Ok(plain)
    }
    fn random(&mut self, _: u32) -> Answer {
        panic!("what is random comes with the call")
    }
    fn log(&mut self, _: Level, _: &str) {}
}

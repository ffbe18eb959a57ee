//! The modem of a 4G meter between a host and a bus, from `protocols.md` 3.4: it registers when a host
//! connects, then asks for the time and sends an upload, says that it lives before every answer, and
//! passes Modbus frames on both ways in its envelope. It does not dial: a host connects to it.
//!
//! Deliberately not here: the meters behind it, parameters of the modem, new firmware.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};

use serde::{Deserialize, Serialize};

use crate::event::lock;
use crate::modbus::crc;

const START: &[u8] = &[0x7B, 0x7B];
const END: &[u8] = &[0x7D, 0x7D];
/// Commands.
const REGISTER: u8 = 0x84;
const TRANSPARENT: u8 = 0x90;
const UPLOAD: u8 = 0x91;
const TIME: u8 = 0x93;
const HEARTBEAT: u8 = 0x94;
/// Longer than any frame to it.
const UNREAD_BYTES_MAX: usize = 1_024;
/// Modbus, writing registers.
const WRITE_MULTIPLE: u8 = 0x10;

/// One modem; `BusPlan::modem`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ModemPlan {
    /// At most 20 characters.
    pub serial: String,
    /// At most 30 digits.
    pub iccid: String,
    pub answers: ModemAnswers,
}

/// What comes back under the command of Modbus frames: public servers know all three.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ModemAnswers {
    /// The meter's frame.
    Frame,
    /// The modem's serial number, then the meter's frame.
    SerialAndFrame,
    /// For a write the serial number alone, else the frame.
    SerialForWrites,
}

impl Default for ModemPlan {
    fn default() -> Self {
        Self {
            serial: "21042612345678".into(),
            iccid: "89860400000000000001".into(),
            answers: ModemAnswers::Frame,
        }
    }
}

/// What a modem has had from its hosts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModemState {
    /// Its registrations that were answered.
    pub registered: u32,
    /// Its uploads that were.
    pub uploads_taken: u32,
    /// The time that it was told last: YY MM DD weekday hh mm ss, in binary.
    pub told_time: Option<[u8; 7]>,
    /// Frames for the meters behind it.
    pub frames: u32,
    /// Bytes that were no frame of its envelope.
    pub noise_bytes: usize,
}

#[derive(Debug)]
pub struct Modem {
    plan: ModemPlan,
    state: Mutex<ModemState>,
}

impl Modem {
    pub fn new(plan: ModemPlan) -> Result<Self, String> {
        if plan.serial.len() > 20 || plan.iccid.len() > 30 {
            return Err("a serial number has 20 bytes, an ICCID 30".to_owned());
        }
        Ok(Self { plan, state: Mutex::default() })
    }

    pub fn state(&self) -> ModemState {
        lock(&self.state).clone()
    }

    fn serial(&self) -> [u8; 20] {
        padded(&self.plan.serial)
    }

    /// Serial number, ICCID, RSSI, three versions, minutes between uploads.
    fn registration(&self) -> Vec<u8> {
        let iccid: [u8; 30] = padded(&self.plan.iccid);
        let (rssi, versions, minutes) = (23, [1, 2, 0, 3, 1, 0], 15);
        [&self.serial()[..], &iccid, &[rssi], &versions, &[minutes]].concat()
    }

    /// `[serial] [[ meter (( frame )) ]]`
    fn upload(&self, meter: &str, frame: &[u8]) -> Vec<u8> {
        [&self.serial()[..], b"[[", meter.as_bytes(), b"((", frame, b"))]]"].concat()
    }
}

/// A host's connection to a modem.
#[derive(Debug)]
pub struct Link {
    stream: TcpStream,
    modem: Arc<Modem>,
    unread: Vec<u8>,
    /// The upload's payload.
    upload: Option<Vec<u8>>,
    /// The function of the last frame for a meter.
    asked: Arc<Mutex<u8>>,
}

impl Link {
    /// Registers. `block`: what the first meter behind it says, and that meter's name.
    pub fn new(stream: TcpStream, modem: Arc<Modem>, block: Option<(String, Vec<u8>)>) -> Self {
        let upload = block.map(|(meter, frame)| modem.upload(&meter, &frame));
        let mut link = Self { stream, modem, unread: Vec::new(), upload, asked: Arc::default() };
        let registration = link.modem.registration();
        // A host that has gone is noticed by the read that follows.
        let _ = link.send(REGISTER, &registration);
        link
    }

    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }

    pub fn try_clone(&self) -> std::io::Result<Self> {
        Ok(Self {
            stream: self.stream.try_clone()?,
            modem: Arc::clone(&self.modem),
            unread: Vec::new(),
            upload: None,
            asked: Arc::clone(&self.asked),
        })
    }

    /// Waits for a frame that is for a meter.
    pub fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        loop {
            while let Some((command, payload)) = self.next() {
                if command != TRANSPARENT {
                    self.hear(command, &payload)?;
                    continue;
                }
                lock(&self.modem.state).frames += 1;
                *lock(&self.asked) = payload.get(1).copied().unwrap_or(0);
                let count = payload.len().min(buffer.len());
                for (place, byte) in buffer.iter_mut().zip(&payload) {
                    *place = *byte;
                }
                if count > 0 {
                    return Ok(count);
                }
            }
            let mut chunk = [0; 512];
            let count = self.stream.read(&mut chunk)?;
            if count == 0 {
                return Ok(0);
            }
            self.unread.extend(chunk.iter().take(count));
        }
    }

    /// A meter's answer.
    pub fn write_all(&mut self, reply: &[u8]) -> std::io::Result<()> {
        let serial = self.modem.serial();
        let is_write = *lock(&self.asked) == WRITE_MULTIPLE;
        let payload = match self.modem.plan.answers {
            ModemAnswers::SerialForWrites if is_write => serial.to_vec(),
            ModemAnswers::Frame | ModemAnswers::SerialForWrites => reply.to_vec(),
            ModemAnswers::SerialAndFrame => [&serial[..], reply].concat(),
        };
        self.send(HEARTBEAT, &[])?;
        self.send(TRANSPARENT, &payload)
    }

    fn send(&mut self, command: u8, payload: &[u8]) -> std::io::Result<()> {
        let body = [&[command], payload].concat();
        self.stream.write_all(&[START, &body, &crc(&body).to_le_bytes(), END].concat())
    }

    /// An answer to what the modem has said of itself.
    fn hear(&mut self, command: u8, payload: &[u8]) -> std::io::Result<()> {
        match (command, payload) {
            (REGISTER, []) => {
                lock(&self.modem.state).registered += 1;
                self.send(TIME, &self.modem.serial())?;
                match self.upload.take() {
                    Some(upload) => self.send(UPLOAD, &upload),
                    None => Ok(()),
                }
            }
            (UPLOAD, []) => {
                lock(&self.modem.state).uploads_taken += 1;
                Ok(())
            }
            (TIME, told) => {
                lock(&self.modem.state).told_time = told.try_into().ok();
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// The next whole frame of what has come.
    fn next(&mut self) -> Option<(u8, Vec<u8>)> {
        let (at, end) =
            (0..self.unread.len()).find_map(|at| Some((at, self.end(at)?))).or_else(|| {
                if self.unread.len() > UNREAD_BYTES_MAX {
                    lock(&self.modem.state).noise_bytes += self.unread.len();
                    self.unread.clear();
                }
                None
            })?;
        lock(&self.modem.state).noise_bytes += at;
        let frame: Vec<u8> = self.unread.drain(..end).skip(at + START.len()).collect();
        let (command, rest) = frame.split_first()?;
        let payload = rest.get(..rest.len().checked_sub(2 + END.len())?)?;
        Some((*command, payload.to_vec()))
    }

    /// Where the frame that begins at `at` ends: at the first end before which the check is right.
    fn end(&self, at: usize) -> Option<usize> {
        let body = self.unread.get(at..)?.strip_prefix(START)?;
        (1..body.len()).find_map(|length| {
            let (said, rest) = body.split_at_checked(length)?;
            let behind = rest.strip_prefix(&crc(said).to_le_bytes())?;
            behind.starts_with(END).then_some(at + START.len() + length + 2 + END.len())
        })
    }
}

fn padded<const N: usize>(text: &str) -> [u8; N] {
    let mut bytes = [0; N];
    for (place, byte) in bytes.iter_mut().zip(text.bytes()) {
        *place = byte;
    }
    bytes
}

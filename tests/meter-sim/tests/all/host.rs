//! The host's side of a line: asks, listens, and makes frames by hand.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use des::cipher::{BlockCipherEncrypt, KeyInit};
use meter_sim::{BusKind, BusPlan, Dlt645Plan, Endpoint, Meters, Plan, Simulator};

pub const ADDRESS: &str = "000000000001";
pub const KEY: &str = "00112233445566778899AABBCCDDEEFF";
/// Long for a loaded machine; only silence takes this long.
const PATIENCE: Duration = Duration::from_secs(5);
/// A reply without delay would have come many times over.
const SILENCE: Duration = Duration::from_millis(120);

/// A connection to a bus; a thread reads, so that both kinds of line have a timeout.
pub struct Host {
    sink: Box<dyn Write>,
    bytes: Receiver<Vec<u8>>,
    stream: Option<TcpStream>,
    last: Arc<AtomicBool>,
}

impl Host {
    pub fn connect(simulator: &Simulator, bus: &str) -> Self {
        let mut tcp = None;
        let (sink, source): (Box<dyn Write>, Box<dyn Read + Send>) =
            match simulator.endpoint(bus).unwrap() {
                Endpoint::Tcp(address) => {
                    let stream = TcpStream::connect(address).unwrap();
                    stream.set_nodelay(true).unwrap();
                    tcp = Some(stream.try_clone().unwrap());
                    (Box::new(stream.try_clone().unwrap()), Box::new(stream))
                }
                Endpoint::Serial(path) => {
                    let file: File = OpenOptions::new().read(true).write(true).open(path).unwrap();
                    (Box::new(file.try_clone().unwrap()), Box::new(file))
                }
            };
        let (sender, bytes) = channel();
        let last = Arc::new(AtomicBool::new(false));
        let ends = Arc::clone(&last);
        std::thread::spawn(move || {
            let mut source = source;
            let mut chunk = [0; 1024];
            while let Ok(count @ 1..) = source.read(&mut chunk) {
                let sent = sender.send(chunk[..count].to_vec());
                if sent.is_err() || ends.load(Ordering::Acquire) {
                    return;
                }
            }
        });
        Self { sink, bytes, stream: tcp, last }
    }

    /// Asks once more and ends the reading thread with the answer.
    pub fn ask_last(mut self, frame: &[u8], answer: &[u8]) {
        self.last.store(true, Ordering::Release);
        assert_eq!(self.ask(frame), answer);
    }

    /// What the system does with a dead process's connection.
    pub fn die(self) {
        self.stream.expect("a TCP line").shutdown(Shutdown::Both).unwrap();
    }

    pub fn send(&mut self, frame: &[u8]) {
        self.sink.write_all(frame).unwrap();
    }

    /// The next bytes; a reply is written at once and so arrives at once.
    pub fn listen(&mut self) -> Vec<u8> {
        self.bytes.recv_timeout(PATIENCE).expect("the line is silent")
    }

    pub fn ask(&mut self, frame: &[u8]) -> Vec<u8> {
        self.send(frame);
        self.listen()
    }

    pub fn silent(&mut self) -> bool {
        matches!(self.bytes.recv_timeout(SILENCE), Err(RecvTimeoutError::Timeout))
    }

    pub fn closed(&mut self) -> bool {
        matches!(self.bytes.recv_timeout(PATIENCE), Err(RecvTimeoutError::Disconnected))
    }
}

/// One bus with these meters, without wake-up bytes so that frames compare easily.
pub fn dlt645(kind: BusKind, meters: Vec<Dlt645Plan>) -> Simulator {
    let meters = meters.into_iter().map(|meter| Dlt645Plan { wake_up_bytes: 0, ..meter }).collect();
    let bus = BusPlan::new("line", kind, Meters::Dlt645(meters));
    Simulator::start(Plan { buses: vec![bus] }).unwrap()
}

pub fn bytes(text: &str) -> Vec<u8> {
    hex::decode(text.replace(' ', "")).unwrap()
}

/// 12 digits as they go over the wire.
pub fn wire_address(address: &str) -> Vec<u8> {
    bytes(address).into_iter().rev().collect()
}

/// A request or reply from its address as written, control code and data as meant.
pub fn frame(address: &str, control: u8, data: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x68];
    frame.extend(wire_address(address));
    frame.extend([0x68, control, data.len() as u8]);
    for byte in data {
        frame.push(byte.wrapping_add(0x33));
    }
    let sum: u32 = frame.iter().map(|byte| u32::from(*byte)).sum();
    frame.extend([sum as u8, 0x16]);
    frame
}

/// An identifier as written, low byte first.
pub fn identifier(written: &str) -> Vec<u8> {
    wire_address(written)
}

/// The data of a frame, 33H taken off, with its control code.
pub fn data(frame: &[u8]) -> (u8, Vec<u8>) {
    assert_eq!(frame.len(), 12 + usize::from(frame[9]), "one whole frame: {frame:02X?}");
    let data = &frame[10..frame.len() - 2];
    (frame[8], data.iter().map(|byte| byte.wrapping_sub(0x33)).collect())
}

/// 3DES with two keys, put together from single DES operations.
pub fn triple(key: &[u8], block: [u8; 8]) -> [u8; 8] {
    let long: Vec<u8> = [key, &key[..8]].concat();
    let cipher = des::TdesEde3::new_from_slice(&long).unwrap();
    let mut block = block.into();
    cipher.encrypt_block(&mut block);
    block.into()
}

/// PBOC MAC: DES CBC with the left key, the last block with triple DES.
pub fn mac(key: &[u8], random: &[u8], header: &str, value: &[u8]) -> Vec<u8> {
    let mut message = bytes(header);
    message.push(value.len() as u8 + 4);
    message.extend(value);
    message.push(0x80);
    while !message.len().is_multiple_of(8) {
        message.push(0);
    }
    let single = des::Des::new_from_slice(&key[..8]).unwrap();
    let mut state = [0; 8];
    state[..4].copy_from_slice(random);
    let last = message.len() / 8 - 1;
    for (index, block) in message.chunks(8).enumerate() {
        for (state, byte) in state.iter_mut().zip(block) {
            *state ^= byte;
        }
        state = if index == last {
            triple(key, state)
        } else {
            let mut block = state.into();
            single.encrypt_block(&mut block);
            block.into()
        };
    }
    state[..4].to_vec()
}

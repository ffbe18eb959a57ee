//! A line to a meter of the simulated fleet, whose words are kept as the steps of a transcript, and one
//! that says what it is told to.

use meter_sim::{BusKind, BusPlan, Dlt698Plan, Endpoint, Meters, Plan, Simulator};
use polymeter_driver::codes::line;
use polymeter_driver::{Host, LineError};
use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

pub struct Fleet {
    pub simulator: Simulator,
    stream: TcpStream,
    pub sent: u32,
    /// What is done to an answer: its number from 1, and its bytes.
    pub spoil: fn(u32, Vec<u8>) -> Vec<u8>,
    unread: Vec<u8>,
    pub steps: Vec<String>,
}

impl Fleet {
    pub fn of(plan: Dlt698Plan) -> Fleet {
        let bus = BusPlan::new("line", BusKind::Tcp, Meters::Dlt698(vec![plan]));
        let simulator = Simulator::start(Plan { buses: vec![bus] }).unwrap();
        let Endpoint::Tcp(address) = simulator.endpoint("line").unwrap() else { panic!("TCP") };
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        let spoil = |_, bytes| bytes;
        Fleet { simulator, stream, sent: 0, spoil, unread: vec![], steps: vec![] }
    }

    /// What it has said so far, answer by answer.
    pub fn answers(&self) -> Vec<Vec<u8>> {
        let answers = self.steps.iter().filter_map(|step| step.strip_prefix("< "));
        answers.map(|bytes| hex::decode(bytes.replace(' ', "")).unwrap()).collect()
    }

    /// What the meter says; only silence lasts as long as this.
    fn said(&mut self) -> Vec<u8> {
        let mut chunk = [0; 4_096];
        self.stream.set_read_timeout(Some(Duration::from_millis(150))).unwrap();
        match self.stream.read(&mut chunk) {
            Ok(count @ 1..) => chunk[..count].to_vec(),
            _ => vec![],
        }
    }
}

fn spaced(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(" ")
}

impl Host for Fleet {
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
        let bytes = std::mem::take(&mut self.unread);
        self.steps.push(format!("< {}", spaced(&bytes)));
        Ok(bytes)
    }
    polymeter_replay::no_vault!();
}

/// A line that says these things, one for each frame that it is sent.
pub struct Scripted(pub VecDeque<Vec<u8>>, pub Option<Vec<u8>>);

impl Host for Scripted {
    fn send(&mut self, _: &[u8]) -> Result<(), LineError> {
        self.1 = self.0.pop_front();
        Ok(())
    }
    fn receive(&mut self, _: u32) -> Result<Vec<u8>, LineError> {
        let silent = LineError { code: line::SILENT, detail: String::new() };
        self.1.take().filter(|bytes| !bytes.is_empty()).ok_or(silent)
    }
    polymeter_replay::no_vault!();
}

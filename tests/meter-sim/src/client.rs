//! A client of the control port, for tests that run the simulator as a process of its own. It
//! blocks; every answer comes at once.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpStream, ToSocketAddrs};

use serde_json::{Value, json};

use crate::SimulatorError;
use crate::device::State;
use crate::event::{Event, Release};
use crate::fault::Fault;

/// One control connection.
#[derive(Debug)]
pub struct Control {
    reader: BufReader<TcpStream>,
}

/// Events as they come; ends with the simulator.
#[derive(Debug)]
pub struct EventLines {
    reader: BufReader<TcpStream>,
}

impl Control {
    pub fn connect(address: impl ToSocketAddrs) -> Result<Self, SimulatorError> {
        let stream = TcpStream::connect(address).map_err(broken)?;
        stream.set_nodelay(true).map_err(broken)?;
        Ok(Self { reader: BufReader::new(stream) })
    }

    /// Queues a fault at a meter.
    pub fn fault(&mut self, meter: &str, fault: &Fault) -> Result<(), SimulatorError> {
        let mut fields = json!(fault);
        if let Some(fields) = fields.as_object_mut() {
            fields.insert("meter".into(), json!(meter));
        }
        self.ask(&json!({ "fault": fields })).map(drop)
    }

    pub fn clear_faults(&mut self, meter: &str) -> Result<(), SimulatorError> {
        self.ask(&json!({ "clear_faults": meter })).map(drop)
    }

    pub fn state(&mut self, meter: &str) -> Result<State, SimulatorError> {
        parsed(self.ask(&json!({ "state": meter }))?.get("state"))
    }

    pub fn states(&mut self) -> Result<Vec<State>, SimulatorError> {
        parsed(self.ask(&json!({ "states": true }))?.get("states"))
    }

    /// Requests and replies that wait now because of a hold.
    pub fn held(&mut self) -> Result<usize, SimulatorError> {
        parsed(self.ask(&json!({ "held": true }))?.get("held"))
    }

    pub fn release(&mut self, release: Release) -> Result<(), SimulatorError> {
        let how = match release {
            Release::Deliver => json!(true),
            Release::Vanish => json!("vanish"),
        };
        self.ask(&json!({ "release": how })).map(drop)
    }

    pub fn advance(&mut self, seconds: u32) -> Result<(), SimulatorError> {
        self.ask(&json!({ "advance": seconds })).map(drop)
    }

    pub fn press(&mut self, meter: &str) -> Result<(), SimulatorError> {
        self.ask(&json!({ "press": meter })).map(drop)
    }

    /// Turns this connection into a stream of events.
    pub fn events(mut self) -> Result<EventLines, SimulatorError> {
        self.ask(&json!({ "events": true }))?;
        Ok(EventLines { reader: self.reader })
    }

    /// One question, its answer; an error that the simulator answers is an error here.
    pub fn ask(&mut self, question: &Value) -> Result<Value, SimulatorError> {
        let line = format!("{question}\n");
        self.reader.get_mut().write_all(line.as_bytes()).map_err(broken)?;
        let mut line = String::new();
        self.reader.read_line(&mut line).map_err(broken)?;
        let answered = || SimulatorError::Answered { text: line.trim_end().to_owned() };
        let answer: Value = serde_json::from_str(&line).map_err(|_| answered())?;
        if answer.get("error").is_some() { Err(answered()) } else { Ok(answer) }
    }
}

impl Iterator for EventLines {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        let mut line = String::new();
        self.reader.read_line(&mut line).ok()?;
        serde_json::from_str(&line).ok()
    }
}

fn parsed<T: serde::de::DeserializeOwned>(value: Option<&Value>) -> Result<T, SimulatorError> {
    let value = value.cloned().unwrap_or_default();
    serde_json::from_value(value)
        .map_err(|error| SimulatorError::Answered { text: error.to_string() })
}

fn broken(source: std::io::Error) -> SimulatorError {
    SimulatorError::Connection { source }
}

//! A HALO-1 meter as the wire sees it, for `polymeter-sdk certify`. Written from the protocol page in
//! the README and sharing nothing with the driver, so that no mistake is made twice.
//! How it talks to the kit: docs/device-simulator.md of Polymeter.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::io::{Read, Write};

const FEN_MAX: u64 = 99_999_999;

struct Meter {
    address: String,
    customer: Option<String>,
    count: u64,
    balance: u64,
    last: u64,
    connected: bool,
    energy: u64,
    parameters: BTreeMap<String, u64>,
    key: Vec<u8>,
    credit_frames: u64,
}

fn main() {
    let argument = std::env::args().next_back().expect("the start state as one JSON argument");
    let start: Value = serde_json::from_str(&argument).expect("a start state in JSON");
    let mut meter = Meter::new(&start);
    meter.tell();
    let (mut input, mut output) = (std::io::stdin().lock(), std::io::stdout().lock());
    let (mut heard, mut buffer) = (Vec::new(), [0; 512]);
    loop {
        let length = input.read(&mut buffer).expect("standard input");
        if length == 0 {
            return;
        }
        heard.extend_from_slice(&buffer[..length]);
        while let Some(end) = heard.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = heard.drain(..=end).collect();
            if let Some(answer) = meter.hear(&line) {
                output.write_all(answer.as_bytes()).expect("standard output");
                output.flush().expect("standard output");
            }
            meter.tell();
        }
    }
}

impl Meter {
    fn new(start: &Value) -> Meter {
        let number = |key: &str| start[key].as_u64().unwrap_or(0);
        let mut parameters =
            BTreeMap::from([("alarm".to_owned(), 0), ("limit".to_owned(), FEN_MAX)]);
        for (name, value) in start["parameters"].as_object().into_iter().flatten() {
            parameters.insert(name.clone(), value.as_u64().unwrap_or(0));
        }
        let key = start["keys"]["sale"].as_str().unwrap_or("");
        Meter {
            address: start["address"].as_str().unwrap_or("").to_owned(),
            customer: start["customer"].as_str().map(|text| format!("{text:0>12}")),
            count: number("count"),
            balance: number("balance"),
            last: number("last"),
            connected: start["supply"] == 2,
            energy: start["readings"]["1.0.1.8.0.255"].as_u64().unwrap_or(0),
            parameters,
            key: (0..key.len() / 2)
                .filter_map(|at| u8::from_str_radix(&key[2 * at..2 * at + 2], 16).ok())
                .collect(),
            credit_frames: 0,
        }
    }

    /// The truth, for the kit.
    fn tell(&self) {
        let last = (self.count > 0).then(|| json!({"count": self.count, "amount": self.last}));
        let state = json!({
            "customer": self.customer,
            "count": self.count,
            "balance": self.balance,
            "last": last,
            "supply": if self.connected { 2 } else { 1 },
            "parameters": self.parameters,
            "credit_frames": self.credit_frames,
        });
        eprintln!("{state}");
    }

    /// One line off the wire. `None`: not a frame for this meter, which stays silent.
    fn hear(&mut self, line: &[u8]) -> Option<String> {
        let text = std::str::from_utf8(line).ok()?;
        let text = text.get(text.rfind(':')? + 1..)?.strip_suffix("\r\n")?;
        let (body, check) = text.rsplit_once('*')?;
        let data = body.strip_prefix(self.address.as_str())?;
        let letter = data.chars().next()?;
        let answer = if check == check_of(body) {
            self.answer(letter, &data[letter.len_utf8()..])
        } else {
            Err("01")
        };
        let body = match answer {
            Ok(data) => format!("{}{}{data}", self.address, letter.to_ascii_lowercase()),
            Err(code) => format!("{}e{code}", self.address),
        };
        Some(format!(":{body}*{}\r\n", check_of(&body)))
    }

    fn answer(&mut self, letter: char, data: &str) -> Result<String, &'static str> {
        match letter {
            'I' => Ok("HALO-1".to_owned()),
            'R' => {
                let relay = u8::from(self.connected);
                Ok(format!("{:010},{:08},{relay}", self.energy, self.balance))
            }
            'C' => Ok(format!("{:05},{:08},{:08}", self.count, self.last, self.balance)),
            'O' | 'S' => {
                self.credit_frames += 1;
                self.add(letter, data)
            }
            'K' => {
                self.check_mac("K", data)?;
                (self.customer, self.count, self.balance, self.last) = (None, 0, 0, 0);
                Ok(String::new())
            }
            'V' => {
                self.connected = match data {
                    "0" => false,
                    "1" => true,
                    _ => return Err("07"),
                };
                Ok(data.to_owned())
            }
            'P' => {
                let (name, digits) = data.split_once('=').ok_or("07")?;
                let value = digits.parse().ok().filter(|fen| *fen <= FEN_MAX).ok_or("07")?;
                *self.parameters.get_mut(name).ok_or("07")? = value;
                Ok(data.to_owned())
            }
            _ => Err("02"),
        }
    }

    fn add(&mut self, letter: char, data: &str) -> Result<String, &'static str> {
        let (fields, mac) = data.rsplit_once(',').ok_or("07")?;
        self.check_mac(&format!("{letter}{fields}"), mac)?;
        let parts: Vec<&str> = fields.split(',').collect();
        let &[customer, count, fen] = parts.as_slice() else { return Err("07") };
        let count: u64 = count.parse().map_err(|_| "07")?;
        let fen: u64 = fen.parse().map_err(|_| "07")?;
        match (&self.customer, letter) {
            (None, 'S') => return Err("08"),
            (Some(known), _) if known != customer => return Err("06"),
            _ => {}
        }
        // An opening without money is purchase 0; any other credit is the next one.
        let next = if letter == 'O' && fen == 0 { 0 } else { self.count + 1 };
        if count != next || (letter == 'O' && self.count > 0) {
            return Err("04");
        }
        if self.balance + fen > self.parameters["limit"] {
            return Err("05");
        }
        self.customer = Some(customer.to_owned());
        (self.count, self.last, self.balance) = (count, fen, self.balance + fen);
        Ok(format!("{:05},{:08}", self.count, self.balance))
    }

    fn check_mac(&self, message: &str, mac: &str) -> Result<(), &'static str> {
        let right = hmac(&self.key, format!("{}{message}", self.address).as_bytes());
        let right: String = right.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
        if mac.eq_ignore_ascii_case(&right) { Ok(()) } else { Err("03") }
    }
}

fn check_of(body: &str) -> String {
    format!("{:02X}", body.bytes().fold(0, |sum, byte| sum ^ byte))
}

/// HMAC-SHA-256 (RFC 2104) with a key of at most 64 bytes.
fn hmac(key: &[u8], message: &[u8]) -> Vec<u8> {
    let padded = |with: u8| -> Vec<u8> {
        (0..64).map(|at| key.get(at).copied().unwrap_or(0) ^ with).collect()
    };
    let inner = Sha256::digest([&padded(0x36), message].concat());
    Sha256::digest([padded(0x5C), inner.to_vec()].concat()).to_vec()
}

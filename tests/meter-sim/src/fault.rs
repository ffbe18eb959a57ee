//! Scripted faults: what goes wrong, with which request. A fault waits in its meter's queue until a
//! request of its kind arrives, and is used up by it. How a fault changes bytes is decided here;
//! when they are sent, in `bus`.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

/// What a request asks for, as far as faults tell requests apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Values, address.
    Read,
    /// Purchase count, purchase list, purse status: what proves a sale.
    Check,
    /// The step before a DL/T 645 sale.
    Authenticate,
    Sell,
    /// Credit taken back out.
    Refund,
    Open,
    Clear,
    /// Relay and keep-power.
    Control,
    /// Settings.
    Write,
    /// All the rest.
    Other,
}

/// Which requests a fault waits for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum On {
    #[default]
    Any,
    Read,
    Check,
    Authenticate,
    Sell,
    Refund,
    Open,
    Clear,
    Control,
    Write,
}

/// What goes wrong. Byte and bit counts start at the frame's own first byte: wake-up bytes (FE)
/// before it do not count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum FaultKind {
    /// The request never reached the meter: nothing done, nothing said.
    NoReply,
    /// The request is done at once, the reply comes after this time.
    Late {
        wait_ms: u64,
    },
    /// Only the reply's first bytes come.
    CutReply {
        keep_bytes: usize,
    },
    /// One bit of the reply is turned over; bit 0 is the lowest of the first byte.
    FlipReply {
        bit: usize,
    },
    /// The request is done, its reply is lost.
    LostAfterApply,
    /// Only the request's first bytes reach the meter: nothing done, nothing said.
    CutRequest {
        keep_bytes: usize,
    },
    /// The reply carries the next address instead of the meter's own; its check is right.
    ReplyFromOtherMeter,
    /// The reply is of another function; its check is right.
    WrongFunction,
    /// Every data byte of the reply becomes AAH; its check is right.
    WrongBcd,
    /// Every data byte of the reply becomes FFH, "not measured"; its check is right.
    AllFf,
    GarbageBefore {
        hex: String,
    },
    /// In the middle of the reply.
    GarbageInside {
        hex: String,
    },
    GarbageAfter {
        hex: String,
    },
    /// The reply comes twice.
    Doubled,
    /// The meter does nothing and answers this error word (on Modbus: exception code).
    Refuse {
        word: u16,
    },
    /// The meter has got this many bytes of the request (none given: all of it, not yet done), and
    /// all waits until `Simulator::release`.
    Hold {
        #[serde(default)]
        after_bytes: Option<usize>,
    },
    /// The request is done; this many bytes of its reply come (none given: none), and the rest waits
    /// until `Simulator::release`.
    HoldReply {
        #[serde(default)]
        after_bytes: Option<usize>,
    },
}

/// One fault in a meter's queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    #[serde(default)]
    pub on: On,
    #[serde(flatten)]
    pub kind: FaultKind,
    /// Matching requests that pass first.
    #[serde(default)]
    pub skip: u32,
    /// Requests that it hits before it is used up; 0 is taken as 1.
    #[serde(default = "once")]
    pub times: u32,
}

fn once() -> u32 {
    1
}

impl Fault {
    /// Every key of a fault's JSON form, so that a misspelt one can be refused.
    pub const KEYS: [&'static str; 10] = [
        "on",
        "kind",
        "skip",
        "times",
        "wait_ms",
        "keep_bytes",
        "bit",
        "hex",
        "word",
        "after_bytes",
    ];

    /// A fault that hits the next request of that kind.
    pub fn new(on: On, kind: FaultKind) -> Self {
        Self { on, kind, skip: 0, times: 1 }
    }

    pub fn times(self, times: u32) -> Self {
        Self { times, ..self }
    }

    pub fn skip(self, skip: u32) -> Self {
        Self { skip, ..self }
    }
}

impl On {
    fn matches(self, kind: Kind) -> bool {
        match self {
            On::Any => true,
            On::Read => kind == Kind::Read,
            On::Check => kind == Kind::Check,
            On::Authenticate => kind == Kind::Authenticate,
            On::Sell => kind == Kind::Sell,
            On::Refund => kind == Kind::Refund,
            On::Open => kind == Kind::Open,
            On::Clear => kind == Kind::Clear,
            On::Control => kind == Kind::Control,
            On::Write => kind == Kind::Write,
        }
    }
}

/// The faults waiting at one meter, oldest first.
#[derive(Debug, Clone, Default)]
pub struct Queue(VecDeque<Fault>);

impl Queue {
    pub fn push(&mut self, fault: Fault) {
        self.0.push_back(fault);
    }

    pub fn clear(&mut self) {
        self.0.clear();
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The fault that hits this request, if any.
    pub fn take(&mut self, kind: Kind) -> Option<FaultKind> {
        let at = self.0.iter().position(|fault| fault.on.matches(kind))?;
        let fault = self.0.get_mut(at)?;
        if fault.skip > 0 {
            fault.skip -= 1;
            return None;
        }
        if fault.times > 1 {
            fault.times -= 1;
            return Some(fault.kind.clone());
        }
        self.0.remove(at).map(|fault| fault.kind)
    }
}

/// A reply as its protocol takes it apart, so that a fault can change a part and keep the check
/// right.
pub struct Parts<'a> {
    /// Where the frame itself begins, behind wake-up bytes.
    pub start: usize,
    /// The address byte that the last digits stand in.
    pub address: usize,
    /// The function or control byte.
    pub function: usize,
    /// Values, behind identifiers and counts.
    pub data: std::ops::Range<usize>,
    /// Added to each data byte on the wire.
    pub offset: u8,
    /// Puts the check right again.
    pub seal: &'a dyn Fn(&mut [u8]),
}

/// Changes a reply as the fault says; faults of other kinds leave it as it is.
pub fn spoil(reply: &mut Vec<u8>, fault: &FaultKind, parts: &Parts) {
    let fill = |reply: &mut [u8], value: u8| {
        if let Some(data) = reply.get_mut(parts.data.clone()) {
            data.fill(value.wrapping_add(parts.offset));
        }
    };
    match fault {
        FaultKind::CutReply { keep_bytes } => {
            reply.truncate(parts.start.saturating_add(*keep_bytes));
        }
        FaultKind::FlipReply { bit } => {
            if let Some(byte) = reply.get_mut(parts.start.saturating_add(bit / 8)) {
                *byte ^= 1 << (bit % 8);
            }
        }
        FaultKind::ReplyFromOtherMeter => {
            if let Some(byte) = reply.get_mut(parts.address) {
                // The lowest digit goes on by one and stays a digit.
                *byte = if *byte & 0x0F == 9 { *byte & 0xF0 } else { byte.wrapping_add(1) };
            }
            (parts.seal)(reply);
        }
        FaultKind::WrongFunction => {
            if let Some(byte) = reply.get_mut(parts.function) {
                // 91H becomes 94H, 03H becomes 06H: functions that exist, but were not asked for.
                *byte ^= 0x05;
            }
            (parts.seal)(reply);
        }
        FaultKind::WrongBcd => {
            fill(reply, 0xAA);
            (parts.seal)(reply);
        }
        FaultKind::AllFf => {
            fill(reply, 0xFF);
            (parts.seal)(reply);
        }
        FaultKind::GarbageBefore { hex } => {
            let mut bytes = garbage(hex);
            bytes.append(reply);
            *reply = bytes;
        }
        FaultKind::GarbageInside { hex } => {
            let middle = parts.start.midpoint(reply.len());
            reply.splice(middle..middle, garbage(hex));
        }
        FaultKind::GarbageAfter { hex } => reply.extend(garbage(hex)),
        FaultKind::Doubled => reply.extend_from_within(..),
        FaultKind::NoReply
        | FaultKind::Late { .. }
        | FaultKind::LostAfterApply
        | FaultKind::CutRequest { .. }
        | FaultKind::Refuse { .. }
        | FaultKind::Hold { .. }
        | FaultKind::HoldReply { .. } => {}
    }
}

/// The bytes of a garbage fault; `Simulator::fault` has refused text that is no hex.
fn garbage(text: &str) -> Vec<u8> {
    hex::decode(text).unwrap_or_default()
}

//! The contract's values, free of the bindings of either side. Their meaning, units and codes stand
//! in `wit/`; nothing is checked here, because a transcript shows what was said, right or wrong.

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decimal {
    pub mantissa: i64,
    pub scale: i8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LocalTime {
    pub year: u16,
    pub month: u8,
    pub day: u8,
    pub hour: u8,
    pub minute: u8,
    pub second: u8,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    Number(Decimal),
    Text(String),
    Flag(bool),
    Bytes(Vec<u8>),
    Time(LocalTime),
}

pub type Extras = Vec<(String, Value)>;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Measurement {
    pub register: String,
    pub value: Value,
    pub unit: u16,
    pub quality: u16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Credit {
    pub quantity: u16,
    pub amount: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Purchase {
    pub count: u32,
    pub credit: Credit,
}

/// The contract's `call`: what every call is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    pub address: String,
    pub parameters: Extras,
    pub now: LocalTime,
    pub nonce: Vec<u8>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DriverError {
    pub code: u16,
    pub detail: String,
    pub device_code: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub code: u16,
    pub detail: String,
    pub device_code: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    pub count: u32,
    pub balance: Option<Credit>,
    pub extras: Extras,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SellOutcome {
    Confirmed(Receipt),
    Refused(Refusal),
    Unknown(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ControlOutcome {
    Confirmed(u16),
    Refused(Refusal),
    Unknown(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClockOutcome {
    /// What the clock showed afterwards.
    Confirmed(LocalTime),
    Refused(Refusal),
    Unknown(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SetOutcome {
    Confirmed,
    Refused(Refusal),
    Unknown(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    pub name: String,
    pub title_en: String,
    pub title_zh: String,
    pub unit: u16,
    pub minimum: Option<i64>,
    pub maximum: Option<i64>,
    pub default: Option<Value>,
    pub writable: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    pub vendor_code: String,
    pub name: String,
    pub version: String,
    pub models: Vec<String>,
    pub proof: u16,
    pub purse: u16,
    pub parameters: Vec<Parameter>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    pub address: String,
    pub model: String,
    pub extras: Extras,
}

/// Somebody who answered a search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    pub address: String,
    pub model: String,
    pub extras: Extras,
}

/// A question of a search that several seem to have answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collision {
    pub asked: String,
    pub detail: String,
    /// Whether the search goes on to tell them apart.
    pub narrowed: bool,
}

/// What one step of a search brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchStep {
    pub found: Vec<Found>,
    pub collisions: Vec<Collision>,
    pub done: u32,
    pub total: u32,
    pub next: Option<Vec<u8>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    pub measurements: Vec<Measurement>,
    pub supply: u16,
    pub extras: Extras,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opening {
    pub customer_number: String,
    pub credit: Credit,
    pub count: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    pub customer_number: String,
    pub purchase: Purchase,
}

/// One record that a device keeps of the past.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordEntry {
    pub at: Option<LocalTime>,
    pub event: String,
    pub device_code: Option<String>,
    pub measurements: Vec<Measurement>,
    pub extras: Extras,
}

/// One page of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordEntries {
    pub entries: Vec<RecordEntry>,
    pub damaged: Vec<String>,
    pub next: Option<Vec<u8>>,
}

/// What a token shall say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenOrder {
    pub kind: u16,
    pub credit: Option<Credit>,
    pub value: u64,
    pub change: Extras,
}

/// What issuing a token would make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenPlan {
    pub identifier: Option<u32>,
    pub credit: Option<Credit>,
    pub begins_anew: bool,
}

/// The digits of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokensIssued {
    pub tokens: Vec<String>,
    pub credit: Option<Credit>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    pub count: u32,
    pub purchase: Option<Purchase>,
    pub balance: Option<Credit>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    pub address: String,
    pub measurements: Vec<Measurement>,
    pub extras: Extras,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diversification {
    pub algorithm: u16,
    pub factor: Vec<u8>,
}

/// A stored key's label and the derivations from it; never the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    pub label: String,
    pub path: Vec<Diversification>,
}

/// The contract's `card-slot.secret`: what opens a card. A code of the vault is its key and the factor,
/// never the code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Secret {
    OfVault(Key, Vec<u8>),
    Published(Vec<u8>),
}

/// The card that lies in a reader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InsertedCard {
    pub kind: u16,
    pub atr: Vec<u8>,
    pub uid: Vec<u8>,
}

/// Whose card it is and what for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CardIdentity {
    pub vendor_code: String,
    pub purpose: u16,
    pub region: String,
    pub customer_number: String,
    pub device: String,
    pub serial: String,
}

/// What a device wrote on a card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrittenBack {
    pub count: u32,
    pub balance: Option<Credit>,
    pub at: Option<LocalTime>,
    pub measurements: Vec<Measurement>,
    pub extras: Extras,
}

/// All that a card holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CardContents {
    pub identity: CardIdentity,
    pub purchase: Option<Purchase>,
    pub taken: u16,
    pub written_back: Option<WrittenBack>,
    pub extras: Extras,
}

/// What a card shall become.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CardOrder {
    pub purpose: u16,
    pub region: String,
    pub customer_number: String,
    pub purchase: Option<Purchase>,
    pub parameters: Extras,
}

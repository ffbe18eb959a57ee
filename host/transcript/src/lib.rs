//! The *transcript*: one call of a driver as text. The question, every byte on the line in both
//! directions, all that is asked of a card, every answer of the vault, and the result. It is evidence, a vendor's bug report and
//! a test at once; the format stands in `docs/transcripts.md`.
//!
//! Invariants: what is written reads back as the same; no text makes reading panic; what would be a
//! secret is a length and a digest here, never the bytes. Not here: files, clocks, drivers native or
//! in WASM. Those who have a driver hold it against a [`Player`].

mod content;
mod conversions;
mod function;
mod outcome;
mod player;
mod request;
mod slot;
mod step;
mod text;
mod transcript;
mod value;

pub use content::Content;
pub use function::Function;
pub use outcome::{Outcome, rendered};
pub use player::{Difference, Player};
pub use request::{CardAct, Request};
pub use slot::{SlotAct, SlotAnswer};
pub use step::{Fault, Level, Step, VaultAct};
pub use text::{ReadError, value_text};
pub use transcript::{Entry, ParseError, Transcript};
pub use value::{
    CardContents, CardIdentity, CardOrder, ClockOutcome, Collision, ControlOutcome, Credit,
    Decimal, Description, Diversification, DriverError, Evidence, Explanation, Extras, Found,
    Identity, InsertedCard, Key, LocalTime, Measurement, Opening, Order, Parameter, Purchase,
    Receipt, RecordEntries, RecordEntry, Refusal, SearchStep, Secret, SellOutcome, SetOutcome,
    Snapshot, TokenOrder, TokenPlan, TokensIssued, Told, Value, WrittenBack,
};

/// The extension of a transcript's file.
pub const EXTENSION: &str = "transcript";

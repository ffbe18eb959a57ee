//! What drivers of Modbus RTU devices share: one question and its answer, a search over units, captured
//! frames in words, and a whole instrument that is described by data in `driver.toml` (ADR 0034).
//!
//! Invariant: a request is sent once, and no value is taken from a frame whose unit, function, length
//! and CRC are not the answer's. Nothing that a map or a device says makes this panic or loop.
//!
//! Not here: frames (`polymeter_codec::modbus`), purses; those are each maker's own.

#![forbid(unsafe_code)]
#![deny(
    missing_docs,
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unreachable,
    clippy::unwrap_used
)]

mod embedded;
pub mod exchange;
pub mod explain;
pub mod face;
pub mod instrument;
pub mod map;
pub mod plans;
pub mod read;
pub mod relay;
pub mod search;
pub mod settings;
pub mod time;
pub mod value;

#[cfg(test)]
#[allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unreachable,
    clippy::unwrap_used,
    reason = "a test says so by failing"
)]
mod tests;

pub use embedded::{BEGIN, EMBEDDED_BYTES, END, Embedded};
pub use exchange::{Block, Table, Words, Written};

//! Frames: what stands between a device's bytes and their meaning. Encoders and decoders for the
//! meter protocols, and the number formats they share.
//!
//! Invariant: every function takes any bytes at all and ends in bounded time without a panic; the
//! lints below refuse the ways to break that. A decoder answers in three ways, see [`Decoded`].
//!
//! Not here: lines, time-outs, retries (the host); what a device does with what it is told (a driver); `std`.
#![no_std]
#![forbid(unsafe_code)]
#![deny(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unreachable,
    clippy::unwrap_used,
    missing_docs
)]

mod axdr;
mod crc;
mod decoded;
mod obis;

pub mod acrel_4g;
pub mod bcd;
pub mod capture;
pub mod cjt188;
pub mod dlms;
pub mod dlt645;
pub mod dlt698;
pub mod gbcard;
pub mod hdlc;
pub mod mbus;
pub mod modbus;
pub mod sts;

pub use axdr::{DEPTH_MAX, Element, List, Malformed};
pub use crc::x25;
pub use decoded::{Decoded, NoRoom};
pub use obis::Obis;

//! The simulator seen from outside, as a host sees it: bytes over TCP and over a pseudo-terminal,
//! and the control port. Frames, BCD, keys and MACs are made here a second time, in other code than
//! the meter's.

mod adf400l;
mod card_meters;
mod cards;
mod cjt188;
mod control;
mod dlms;
mod dlt645;
mod dlt698;
mod faults;
mod host;
mod mbus;
mod prepay;
mod serial_reader;

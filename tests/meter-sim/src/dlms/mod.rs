//! A DLMS/COSEM meter, written from IEC 62056-46 (HDLC), -47 (wrapper), -5-3 (application layer)
//! and -6-2 (objects) and from no codec of ours: logical names, security none, low or high with
//! GMAC (suite 0), GET with lists, blocks and selections, SET also in blocks, ACTION.
//!
//! Every client has a link and an association of its own. Deliberately not here: short names,
//! general block transfer, SET with lists, ACTION in blocks, pushes, V.44, key transport, suites 1 and 2.

mod ber;
mod calendar;
mod data;
mod meter;
mod objects;
mod profiles;
mod security;
mod server;
mod services;
mod settings;
mod wire;

pub use meter::Meter;
pub use wire::{Request, parse_hdlc, parse_wrapped, scan_hdlc, scan_wrapped, spoil_hdlc};

//! A DL/T 645-2007 prepayment meter, written from `protocols.md` section 1.
//! Deliberately not here: DL/T 645-1997, follow-up frames (no reply is long enough), freezing, load
//! profiles, encrypted parameters (PA 98H).

pub mod frame;
mod items;
mod meter;
mod purse;
mod relay;
mod security;

pub use meter::Meter;

//! A DL/T 645-2007 prepayment meter, written from `protocols.md` section 1.
//! Deliberately not here: freezing, load profiles, encrypted parameters (PA 98H).

mod edition_1997;
pub mod frame;
mod history;
mod items;
mod meter;
mod parts;
mod purse;
mod relay;
pub mod security;

pub use meter::Meter;

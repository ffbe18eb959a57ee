//! Driver for the ACME HALO-1 prepayment meter. The protocol stands in the README.
//!
//! Invariant: a call sends at most one frame that adds credit, and says `confirmed` only where the
//! meter's own record proves it.

mod driver;
mod exchange;
mod frame;
mod purse;

pub use driver::Acme;

polymeter_driver::export!(Acme);

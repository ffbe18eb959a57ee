//! The proof that money survives: the real `polymeter serve` is killed while it sells to simulated
//! meters over their lines, started again, and held to one sentence (design, section 5): money in the
//! ledger = money in the meters + money in flight, no credit is applied twice and none is lost.
//!
//! Invariant: the program is spoken to by HTTP and signals alone, and judged by the simulator's own
//! purses. What is done follows from a seed, so that a failure can be played again.

mod account;
mod act;
pub mod aged;
mod books;
pub mod chance;
mod report;
pub mod run;
pub mod schedule;
pub mod simulate;
mod stage;
mod trial;

pub use report::Tally;
pub use run::{Engine, Orders, Range, Sweep, run};

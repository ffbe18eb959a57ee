//! What `polymeter-sdk` does, as a library: building a driver project into a component.
//!
//! Not here: arguments of the command line (main).

mod build;
pub mod contract;
mod face;

pub use build::{LICENCES, TARGET, build, build_with, encode};

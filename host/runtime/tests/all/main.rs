//! The runtime with its compile worker: what a host does, on real components and real lines.

// The names under which the shared bench knows this crate.
use polymeter_runtime::{
    Capability, Device, Driver, DriverConfig, Limits, Moment, Options, Runtime, Vault,
};

#[path = "../../src/tests/bench.rs"]
#[expect(dead_code, reason = "the crate's own tests use the rest")]
mod bench;
mod components;
mod health;
mod hostile;
mod knobs;
#[path = "../../src/tests/pages.rs"]
mod pages;
mod worker;

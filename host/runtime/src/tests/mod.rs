//! The runtime on a real component (tests/conformance/misbehaving), a real line and a listener as the
//! far end. Nothing of ours is mocked.

mod bench;
mod card;
mod containment;
mod load;
pub(crate) mod manifest;
mod money;
mod old_contract;
mod pages;
mod reading;
mod recording;
mod rehearsal;

//! Plays transcripts natively against a driver, where a debugger works: one call, every byte on the
//! line in both directions, every answer of the vault, and the result. It needs no meter and no key.
//!
//! Invariant: the driver must do exactly what the transcript says, in its order, to its end. The
//! first step that differs fails the play with the file and line, whatever the driver makes of it.
//!
//! Not here: the format (`polymeter-transcript` and `docs/transcripts.md`), WASM (the host's runtime
//! plays the same files against the component), recording.

#![deny(missing_docs)]

mod carried;
mod play;

pub use carried::value_text;
pub use play::{Player, ReplayError, check, check_folder, perform};
pub use polymeter_transcript::{
    Difference, Entry, Outcome, ParseError, Request, Step, Transcript, rendered,
};

//! Vendors' legacy libraries, `long XXXIcard(int icdev, char *sendstr, char *recvstr, char *password)`,
//! each call in a child process of its own.
//!
//! Invariant: no code of a vendor's ever runs in the host's process. What comes back from a child is
//! bytes from outside: bounded, checked, and never a reason to panic. The child has no line: what it
//! writes to `icdev` is handed to whoever called, who sends it or does not.
//! Not here: lines, budgets and recordings (runtime), which library serves a vendor (server). The
//! frames are described for vendors in docs/native-libraries.md.

mod answer;
mod ask;
mod child;
mod fence;
mod frame;
mod item;
mod jail;
pub mod words;
mod worker;

pub use answer::{Described, answered, described};
pub use ask::{Unaskable, asked};
pub use child::{Bounds, Child, ChildError, End, Event, Library, Program};
pub use frame::{DATA_BYTES_MOST, FRAME_BYTES_MOST, Frame, FrameError};
pub use item::{Item, Items, ItemsError, Writer};
pub use worker::native_worker;

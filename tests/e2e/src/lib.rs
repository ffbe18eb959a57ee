//! A whole site for a test: the real `polymeter` as a process of its own on a fresh database, and
//! simulated meters on a TCP line and on a serial line (a pseudo-terminal) in the test's process.
//!
//! Invariant: the program is spoken to by command line and HTTP alone, the meters by their lines
//! alone. Killing the program never touches the meters, which keep the true count of what they took.

mod api;
pub mod card_counter;
mod ended;
pub mod gallery;
pub mod halo;
pub mod keypad;
pub mod money;
pub mod native;
mod program;
mod site;
pub mod wavering;

pub use api::{Answer, Api};
pub use ended::{Ended, check};
pub use program::{Program, binary, developer_key, drivers, root, run};
pub use site::{
    ASKED_BEFORE_SALE, HOARDING_LIMIT_FEN, METERS, Meter, OPERATOR, PASSWORD, PURSE_KEY, SPARE,
    Site, driver_entry, write_private,
};

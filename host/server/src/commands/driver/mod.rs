//! `driver ...`: the packages of a site. What changes a running program is asked of it over its
//! control socket; what changes the configuration edits the file in place.
//!
//! Invariant: a command that needs a running program says so when there is none, and one that can
//! do without says what it left undone.

mod files;
mod install;
mod list;
mod live;
mod logs;

pub use files::{New, disable, enable, inspect};
pub use install::{Consent, install};
pub use list::list;
pub use live::{promote, release, reload, rollback, upgrade};
pub use logs::logs;

use super::Failure;
use crate::api::drivers::Changed;
use crate::config::Config;
use crate::control::{Client, ControlError};

fn client(config: &Config) -> Client {
    Client::of(&config.control)
}

/// What became different and what did not, one line each.
fn tell(changed: &Changed) {
    for change in &changed.changes {
        println!("{} {}: {}", change.act, change.object, change.detail);
    }
    for note in &changed.notes {
        println!("note: {note}");
    }
    if changed.changes.is_empty() && changed.notes.is_empty() {
        println!("nothing changed");
    }
}

impl From<ControlError> for Failure {
    fn from(error: ControlError) -> Failure {
        match error {
            ControlError::Refused(detail) => Failure::Usage(detail),
            ControlError::NobodyServes(_) => Failure::Wrong(error.to_string()),
            ControlError::Io { .. } => Failure::Failed {
                doing: "asking the running program".to_owned(),
                source: Box::new(error),
            },
        }
    }
}

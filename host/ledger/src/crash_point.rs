//! Named places at which the process can be told to die, so that the crash test kills the very program
//! that is shipped, at the very step it means, and not a copy built for testing.
//!
//! It stays in the product because its price is one comparison per step and because a build without
//! it would be another program than the one that was proved. Only the environment of the process can
//! set it, and who controls that can kill the process anyway. Not here: which steps there are above
//! the ledger (service).

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Mutex, OnceLock, PoisonError};

/// The environment variable that holds the order to die, or `@` and the file that holds it, which is
/// read at every point: an order is `NAME`, `NAME:N` (its Nth pass) or `NAME:N:WORD`, where another
/// word makes another order.
const VARIABLE: &str = "POLYMETER_CRASH_AT";

/// The points of this crate, in the order in which a group of writes passes them.
pub const CRASH_POINTS: &[&str] = &[
    // All jobs have run; COMMIT has not been asked for.
    "before-commit",
    // It is durable, and nobody has been told.
    "after-commit",
];

/// Those of an upgrade: passed for each migration that a database has not had yet.
pub const MIGRATION_CRASH_POINTS: &[&str] = &["before-migration", "after-migration"];

enum Order {
    Never,
    Fixed(String),
    InFile(PathBuf),
}

/// Ends the process at once, without unwinding or flushing, where it was told to die here.
pub fn crash_point(name: &'static str) {
    static ORDER: OnceLock<Order> = OnceLock::new();
    let order = ORDER.get_or_init(|| match std::env::var(VARIABLE) {
        Err(_) => Order::Never,
        Ok(text) => match text.strip_prefix('@') {
            Some(file) => Order::InFile(PathBuf::from(file)),
            None => Order::Fixed(text),
        },
    });
    match order {
        Order::Never => {}
        Order::Fixed(text) => obey(text, name),
        // No file: nothing is ordered at present.
        Order::InFile(file) => {
            if let Ok(text) = std::fs::read_to_string(file) {
                obey(text.trim(), name);
            }
        }
    }
}

fn obey(order: &str, name: &str) {
    static PASSES: OnceLock<Mutex<HashMap<String, u64>>> = OnceLock::new();
    let mut words = order.split(':');
    if words.next() != Some(name) {
        return;
    }
    let wanted: u64 = words.next().and_then(|number| number.parse().ok()).unwrap_or(1);
    let passes = PASSES.get_or_init(Mutex::default);
    let mut passes = passes.lock().unwrap_or_else(PoisonError::into_inner);
    let pass = passes.entry(order.to_owned()).or_default();
    *pass += 1;
    if *pass == wanted {
        std::process::abort();
    }
}

//! Card readers for tests: a real pcscd with vsmartcard's virtual reader, whose two slots wait for
//! simulated cards on TCP, and the right to one of the slots.
//!
//! Invariant: a slot is one test's at a time, over all the test programs of a machine; whoever
//! stops pcscd has both. Not here: the cards (meter-sim), and installing the programs
//! (tests/xtask).

mod pcscd;

pub use pcscd::{Pcscd, found};

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

/// Says that a pcscd runs for the tests, and where its files are.
pub const RUNNING: &str = "POLYMETER_TEST_PCSCD";

/// Where the first slot listens; the second one is at the next port (vpcd's documentation).
pub const PORT: u16 = 35_963;

/// The PC/SC name of the slots, as a pattern.
pub const PATTERN: &str = "Virtual PCD *";

/// One of the two slots, until this is dropped.
#[derive(Debug)]
pub struct Slot {
    number: u16,
    lock: File,
}

impl Slot {
    /// The first one that is free; waits for it. `None`, and said aloud, where no pcscd runs.
    pub fn take() -> Option<Slot> {
        running()?;
        let begun = Instant::now();
        loop {
            for number in 0..2 {
                if let Some(slot) = Slot::lock(number) {
                    return Some(slot);
                }
            }
            waited(begun);
        }
    }

    /// Both; nobody else has a card in a reader meanwhile.
    pub fn both() -> Option<[Slot; 2]> {
        running()?;
        let begun = Instant::now();
        loop {
            // All or none, so that two who want both do not wait for each other.
            if let Some(first) = Slot::lock(0)
                && let Some(second) = Slot::lock(1)
            {
                return Some([first, second]);
            }
            waited(begun);
        }
    }

    fn lock(number: u16) -> Option<Slot> {
        let path = std::env::temp_dir().join(format!("polymeter-virtual-reader-{number}"));
        let file = File::options().create(true).truncate(false).write(true).open(path);
        let file = file.expect("the temporary folder takes a file");
        file.try_lock().ok()?;
        // A card that is put in before pcscd has seen the last one go, it may not see come.
        let used = file.metadata().and_then(|data| data.modified()).ok();
        let since = used.and_then(|used| used.elapsed().ok()).unwrap_or(SETTLED);
        std::thread::sleep(SETTLED.saturating_sub(since));
        Some(Slot { number, lock: file })
    }

    /// Where a card connects to be put in.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, PORT + self.number))
    }

    /// What PC/SC calls it.
    pub fn pcsc_name(&self) -> String {
        format!("Virtual PCD 00 {:02}", self.number)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        // An error here costs the next who has the slot a card that is seen late.
        let _ = self.lock.set_modified(SystemTime::now());
    }
}

/// pcscd looks every 400 ms whether a card lies in the virtual reader (its eventhandler.c): after
/// this long it knows.
pub const SETTLED: Duration = Duration::from_millis(900);

/// The folder of the pcscd that runs for the tests.
fn running() -> Option<PathBuf> {
    let folder = std::env::var_os(RUNNING).filter(|folder| !folder.is_empty()).map(PathBuf::from);
    if folder.is_none() {
        eprintln!("NOT RUN: no pcscd with a virtual reader; `cargo xtask cards` brings one up");
    }
    folder
}

/// Another test has it: longer than any of them takes means that one hangs.
fn waited(since: Instant) {
    assert!(since.elapsed() < Duration::from_secs(180), "no slot of the virtual reader came free");
    std::thread::sleep(Duration::from_millis(20));
}

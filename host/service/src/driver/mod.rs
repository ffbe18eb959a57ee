//! Which driver serves a vendor: the current version, the one on its way to replace it, and the one
//! before.
//!
//! Invariant: a call takes its driver once and keeps it to its end, so that a sale ends on the
//! version that began it whatever is swapped meanwhile. One meter stays with one version for as long
//! as a rollout's share stays. Not here: where versions come from (server), what a call does.

mod calls;
mod change;
mod compare;
mod rollout;

pub use change::{Change, Fitting};
pub use compare::Difference;
pub use rollout::{Plan, Progress, Stage, Thresholds};

use polymeter_domain::{MeterId, VendorCode};
use polymeter_runtime::Driver;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// A driver as it was loaded.
#[derive(Debug, Clone)]
pub struct Edition {
    pub driver: Arc<Driver>,
    /// Of the file that it was loaded from, in hexadecimal.
    pub digest: String,
    pub file: PathBuf,
    /// The id of the key that signed it, or `sha256` of a native library that is pinned by that;
    /// `None`: unsigned.
    pub signer: Option<String>,
    /// Everything that it was loaded with. Equal texts mean that loading again would change nothing.
    pub settings: String,
}

impl Edition {
    /// Whose slot it has.
    pub fn vendor(&self) -> &VendorCode {
        self.driver.vendor()
    }

    pub fn version(&self) -> &str {
        &self.driver.description().version
    }

    /// The same code with the same settings.
    pub fn is_same(&self, other: &Edition) -> bool {
        self.is_of(&other.digest, &other.settings)
    }

    /// What loading that code with those settings would give.
    pub fn is_of(&self, digest: &str, settings: &str) -> bool {
        self.digest == digest && self.settings == settings
    }
}

/// A candidate and how far it has come.
#[derive(Debug)]
pub struct Rollout {
    pub edition: Edition,
    pub plan: Plan,
    progress: Mutex<Progress>,
}

impl Rollout {
    pub(crate) fn new(edition: Edition, plan: Plan) -> Rollout {
        let progress = Mutex::new(Progress::begin(&plan));
        Rollout { edition, plan, progress }
    }

    pub fn progress(&self) -> Progress {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stage(&self) -> Stage {
        self.lock().stage
    }

    fn has(&self, meter: MeterId) -> bool {
        share_of(meter) < self.plan.canary_percent
    }
}

/// The versions of one vendor's driver.
#[derive(Debug, Clone)]
pub struct Slot {
    pub current: Edition,
    pub candidate: Option<Arc<Rollout>>,
    /// Served before the current one, and is ready to serve again.
    pub previous: Option<Edition>,
}

impl Slot {
    pub fn name(&self) -> &str {
        self.current.driver.name()
    }
}

/// Whether an act may change a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Read,
    Change,
}

/// The driver of one act, from its beginning to its end.
#[derive(Debug, Clone)]
pub(crate) struct Pick {
    pub driver: Arc<Driver>,
    pub part: Part,
}

impl Pick {
    /// The same act by the current version.
    pub fn by_current(self) -> Pick {
        match self.part {
            Part::Canary { current, .. } => Pick { driver: current, part: Part::Alone },
            Part::Alone | Part::Shadowed(_) | Part::Measured(_) => self,
        }
    }
}

/// What the act means to a rollout.
#[derive(Debug, Clone)]
pub(crate) enum Part {
    /// There is none, or it has nothing to learn from this act.
    Alone,
    /// Done by the current version; the candidate reads after it.
    Shadowed(Arc<Rollout>),
    /// Done by the current version, and measured.
    Measured(Arc<Rollout>),
    /// Done by the candidate; the current version stands by.
    Canary { rollout: Arc<Rollout>, current: Arc<Driver> },
}

/// The slots of all vendors. Locked for moments only, never across a call.
#[derive(Debug, Default)]
pub(crate) struct Registry(RwLock<BTreeMap<VendorCode, Slot>>);

impl Registry {
    pub fn slots(&self) -> Vec<Slot> {
        self.read().values().cloned().collect()
    }

    pub fn slot(&self, vendor: &VendorCode) -> Option<Slot> {
        self.read().get(vendor).cloned()
    }

    pub fn current(&self, vendor: &VendorCode) -> Option<Arc<Driver>> {
        self.read().get(vendor).map(|slot| Arc::clone(&slot.current.driver))
    }

    pub fn pick(
        &self,
        vendor: &VendorCode,
        meter: MeterId,
        line: &str,
        kind: Kind,
    ) -> Option<Pick> {
        let slots = self.read();
        let slot = slots.get(vendor)?;
        let current = Arc::clone(&slot.current.driver);
        let Some(rollout) = &slot.candidate else {
            return Some(Pick { driver: current, part: Part::Alone });
        };
        let stage = rollout.stage();
        let serves = match kind {
            Kind::Read => stage >= Stage::CanaryReads,
            Kind::Change => stage >= Stage::CanaryAll,
        };
        if serves && rollout.has(meter) {
            let driver = Arc::clone(&rollout.edition.driver);
            let part = Part::Canary { rollout: Arc::clone(rollout), current };
            return Some(Pick { driver, part });
        }
        let part = match kind {
            Kind::Read if rollout.plan.shadow_lines.iter().any(|shadow| shadow == line) => {
                Part::Shadowed(Arc::clone(rollout))
            }
            Kind::Read => Part::Measured(Arc::clone(rollout)),
            Kind::Change => Part::Alone,
        };
        Some(Pick { driver: current, part })
    }

    fn read(&self) -> RwLockReadGuard<'_, BTreeMap<VendorCode, Slot>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, BTreeMap<VendorCode, Slot>> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A meter's place among a hundred, the same for ever: a larger share holds all of a smaller one.
fn share_of(meter: MeterId) -> u8 {
    // FNV-1a, 64 bit (http://www.isthe.com/chongo/tech/comp/fnv/).
    let hash = meter.uuid().as_bytes().iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    // Below a hundred by the remainder.
    u8::try_from((hash >> 32) % 100).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn meters_are_shared_out_evenly() {
        let meters = (0..10_000_u128).map(|nth| MeterId::new(Uuid::from_u128(nth << 64 | nth)));
        let shares: Vec<u8> = meters.map(share_of).collect();
        for percent in [1, 5, 10, 50, 99] {
            let inside = shares.iter().filter(|share| **share < percent).count();
            let wanted = usize::from(percent) * 100;
            let off = inside.abs_diff(wanted);
            assert!(off * 100 < 2_500 + wanted * 10, "{percent} %: {inside} of 10000");
        }
        assert!(shares.iter().all(|share| *share < 100));
    }
}

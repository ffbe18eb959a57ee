//! Changing what serves: fitting what a configuration says, and taking a candidate's steps.
//!
//! Invariant: a swap is one moment under one lock, all vendors together; whatever follows is in the
//! audit trail. A candidate that was sent back stays refused, over restarts too, until somebody asks
//! for it again: the trail itself is what remembers it.

use super::rollout::{Seen, Step};
use super::{Edition, Plan, Registry, Rollout, Slot};
use crate::Service;
use crate::audit::{self, Act, Actor};
use crate::error::{Result, chain, invalid};
use polymeter_domain::VendorCode;
use std::collections::BTreeMap;
use std::sync::Arc;

const ASKED: &str = "candidate-asked";
const SENT_BACK: &str = "candidate-sent-back";

/// What the configuration wants of one vendor.
#[derive(Debug)]
pub struct Fitting {
    pub current: Edition,
    pub candidate: Option<(Edition, Plan)>,
}

/// Something that became different, as it stands in the trail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    pub act: &'static str,
    pub object: String,
    pub detail: String,
}

impl Change {
    fn of_slot(act: &'static str, edition: &Edition) -> Change {
        let (version, vendor) = (edition.version(), edition.vendor());
        let digest = short(&edition.digest);
        Change {
            act,
            object: format!("driver/{}", edition.driver.name()),
            detail: format!("{version} ({digest}) for {vendor}"),
        }
    }

    fn of_candidate(act: &'static str, edition: &Edition, why: &str) -> Change {
        let (name, version) = (edition.driver.name(), edition.version());
        let gap = if why.is_empty() { "" } else { ": " };
        Change {
            act,
            object: package(&edition.digest),
            detail: format!("{name} {version}{gap}{why}"),
        }
    }
}

fn package(digest: &str) -> String {
    format!("package/{digest}")
}

fn short(digest: &str) -> &str {
    digest.get(..8).unwrap_or(digest)
}

impl Service {
    /// Puts `fittings` in the place of what serves now. What is under way ends on the version that
    /// it began with. What the trail and the caller are told is what became different.
    pub async fn refit(&self, fittings: Vec<Fitting>, actor: &Actor) -> Result<Vec<Change>> {
        let changes = self.registry().refit(fittings)?;
        self.write_down(changes.clone(), actor).await?;
        Ok(changes)
    }

    /// Why the trail says that this package was sent back, unless it was asked for since.
    pub async fn sent_back(&self, digest: &str) -> Result<Option<String>> {
        let last: Option<(String, String)> = sqlx::query_as(
            "select act, detail from audit where object = $1 and act in ($2, $3)
             order by audit_id desc limit 1",
        )
        .bind(package(digest))
        .bind(ASKED)
        .bind(SENT_BACK)
        .fetch_optional(self.reader())
        .await?;
        Ok(last.filter(|(act, _)| act == SENT_BACK).map(|(_, detail)| detail))
    }

    /// Somebody asks for a package, which forgives what it did before.
    pub async fn ask_for(&self, digest: &str, detail: &str, actor: &Actor) -> Result<()> {
        let (object, detail) = (package(digest), detail.to_owned());
        self.write_down(vec![Change { act: ASKED, object, detail }], actor).await
    }

    /// Takes the candidate of a vendor away, for a reason. `None`: there is none.
    pub async fn send_back(
        &self,
        vendor: &VendorCode,
        why: &str,
        actor: &Actor,
    ) -> Result<Option<Change>> {
        let Some(rollout) = self.registry().slot(vendor).and_then(|slot| slot.candidate) else {
            return Ok(None);
        };
        rollout.lock().is_over = true;
        self.withdraw(&rollout);
        let change = Change::of_candidate(SENT_BACK, &rollout.edition, why);
        self.write_down(vec![change.clone()], actor).await?;
        Ok(Some(change))
    }

    /// Acts that change no slot, e.g. the end of a driver's quarantine.
    pub async fn note_changes(&self, changes: Vec<Change>, actor: &Actor) -> Result<()> {
        self.write_down(changes, actor).await
    }

    /// Counts what was seen of a candidate and takes the step that follows. What is in memory is
    /// done at once; a trail that cannot be written is told, and stops nothing.
    pub(crate) async fn observe(&self, rollout: &Arc<Rollout>, seen: Seen) {
        let step = rollout.lock().see(&rollout.plan, seen);
        let (edition, actor) = (&rollout.edition, &Actor::System);
        let (driver, version) = (edition.driver.name(), edition.version());
        let change = match step {
            Step::Stay => return,
            Step::Reached(stage) => {
                tracing::info!(driver, version, stage = stage.name(), "candidate goes on");
                Change::of_candidate("candidate-stage", edition, stage.name())
            }
            Step::GoBack(why) => {
                self.withdraw(rollout);
                tracing::error!(driver, version, why, "candidate was sent back");
                Change::of_candidate(SENT_BACK, edition, &why)
            }
        };
        if let Err(error) = self.write_down(vec![change], actor).await {
            tracing::error!(
                driver,
                error = chain(&error),
                "a candidate's step is not in the trail"
            );
        }
    }

    /// Out of its slot, unless something else stands there already.
    fn withdraw(&self, rollout: &Arc<Rollout>) {
        let mut slots = self.registry().write();
        if let Some(slot) = slots.get_mut(rollout.edition.vendor())
            && slot.candidate.as_ref().is_some_and(|present| Arc::ptr_eq(present, rollout))
        {
            slot.candidate = None;
        }
    }

    async fn write_down(&self, changes: Vec<Change>, actor: &Actor) -> Result<()> {
        if changes.is_empty() {
            return Ok(());
        }
        let (at, actor) = (self.clock().at(), actor.clone());
        self.database()
            .write(move |tx| {
                Box::pin(async move {
                    for Change { act, object, detail } in changes {
                        let act = Act { at, actor: &actor, act, object, detail: &detail };
                        audit::record(tx.connection(), act).await?;
                    }
                    Ok(())
                })
            })
            .await
    }
}

impl Registry {
    /// All of `fittings` or, where they do not go together, none.
    pub(crate) fn refit(&self, fittings: Vec<Fitting>) -> Result<Vec<Change>> {
        check(&fittings)?;
        let mut slots = self.write();
        let mut old = std::mem::take(&mut *slots);
        let mut changes = Vec::new();
        for fitting in fittings {
            let vendor = fitting.current.vendor().clone();
            let slot = fit(old.remove(&vendor), fitting, &mut changes);
            slots.insert(vendor, slot);
        }
        changes.extend(gone(&old));
        Ok(changes)
    }
}

/// One driver per vendor, and a candidate that counts and proves as the current version does: a
/// sale's credit is made before its driver is picked.
fn check(fittings: &[Fitting]) -> Result<()> {
    let mut vendors = std::collections::HashSet::new();
    for Fitting { current, candidate } in fittings {
        if !vendors.insert(current.vendor()) {
            let vendor = current.vendor();
            return Err(invalid("driver", format!("two drivers are enabled for {vendor}")));
        }
        let Some((candidate, _)) = candidate else { continue };
        let (ours, theirs) = (current.driver.description(), candidate.driver.description());
        if (current.vendor(), ours.purse) != (candidate.vendor(), theirs.purse) {
            let why = format!(
                "{} {} is of another vendor or its purse counts something else than {}'s",
                candidate.driver.name(),
                theirs.version,
                ours.version
            );
            return Err(invalid("candidate", why));
        }
    }
    Ok(())
}

/// The slot that `fitting` asks for, made of what is there already where that is the same.
fn fit(old: Option<Slot>, fitting: Fitting, changes: &mut Vec<Change>) -> Slot {
    let Fitting { current, candidate } = fitting;
    let Some(old) = old else {
        changes.push(Change::of_slot("driver-enabled", &current));
        let candidate = candidate.map(|wanted| begin(wanted, None, changes));
        return Slot { current, candidate, previous: None };
    };
    let promoted = old.candidate.as_ref().filter(|rollout| rollout.edition.is_same(&current));
    let (current, previous) = if old.current.is_same(&current) {
        (old.current, old.previous)
    } else {
        let (act, current) = if let Some(rollout) = promoted {
            ("driver-promoted", rollout.edition.clone())
        } else if let Some(previous) = old.previous.filter(|previous| previous.is_same(&current)) {
            ("driver-rolled-back", previous)
        } else {
            ("driver-replaced", current)
        };
        changes.push(Change::of_slot(act, &current));
        (current, Some(old.current))
    };
    let candidate = match (candidate, old.candidate) {
        (Some(wanted), old) => Some(begin(wanted, old, changes)),
        (None, Some(old)) if !old.edition.is_same(&current) => {
            changes.push(Change::of_candidate("candidate-withdrawn", &old.edition, ""));
            None
        }
        (None, _) => None,
    };
    Slot { current, candidate, previous }
}

/// One that is under way under the same plan goes on; under another it begins anew.
fn begin(
    (edition, plan): (Edition, Plan),
    old: Option<Arc<Rollout>>,
    changes: &mut Vec<Change>,
) -> Arc<Rollout> {
    let edition = match old {
        Some(old) if old.edition.is_same(&edition) && old.plan == plan => return old,
        Some(old) if old.edition.is_same(&edition) => old.edition.clone(),
        _ => edition,
    };
    let rollout = Rollout::new(edition, plan);
    let stage = rollout.stage().name();
    changes.push(Change::of_candidate("candidate-began", &rollout.edition, stage));
    Arc::new(rollout)
}

fn gone(old: &BTreeMap<VendorCode, Slot>) -> impl Iterator<Item = Change> + '_ {
    old.values().map(|slot| Change::of_slot("driver-disabled", &slot.current))
}

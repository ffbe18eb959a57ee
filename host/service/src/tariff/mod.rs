//! Tariffs: plans, their versions in time, and which meter is sold to by which plan.
//!
//! Invariants: a version never changes and is never lost once it was used; a meter points at a plan,
//! so that a new version reaches all its meters on its day; nothing is dated into the past, because
//! what was charged stays charged. Not here: the arithmetic (`domain::tariff`).

mod explain;
mod preview;
mod price;
mod store;

pub use explain::{Rerun, SaleExplanation};
pub(crate) use explain::{cost, cost_json, kept, terms};
pub use preview::{Preview, Sample};
pub use price::Priced;
pub(crate) use price::{Buyer, commodity, commodity_name, price};
pub(crate) use store::{Asked, assign, changes, in_force, version};

use crate::Service;
use crate::account::{Change, Why, record_change, same_ratio};
use crate::audit::{self, Act, Actor};
use crate::clock::UnixMs;
use crate::customer::typed_not_empty;
use crate::error::{Constraint, Result, ServiceError, invalid, violated};
use crate::limits::MAX_PLAN_NAME_CHARS;
use crate::page::Page;
use polymeter_domain::tariff::{self, Date, Tariff, Terms, check_sellable};
use polymeter_domain::{MeterId, TariffPlanId, TariffVersionId};
use polymeter_ledger::Connection;

/// One version of a plan's prices; never changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TariffVersion {
    pub version_id: TariffVersionId,
    pub number: u32,
    /// The site's day from which it counts.
    pub from: Date,
    pub tariff: Tariff,
    pub operator: Actor,
    pub created_at: UnixMs,
}

/// A plan with all its versions, oldest first, and how many meters have it or will.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TariffPlan {
    pub plan_id: TariffPlanId,
    pub name: String,
    pub versions: Vec<TariffVersion>,
    pub meters: u64,
    pub created_at: UnixMs,
}

impl TariffPlan {
    /// The version that counts on a day.
    pub fn at(&self, date: Date) -> Option<&TariffVersion> {
        let begun = self.versions.iter().filter(|version| version.from <= date);
        begun.max_by_key(|version| (version.from, version.number))
    }
}

/// A meter's plan from a day on, as it was given to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MeterTariff {
    pub plan_id: TariffPlanId,
    pub plan_name: String,
    pub from: Date,
    pub terms: Terms,
    pub operator: Actor,
    pub created_at: UnixMs,
}

/// What a meter is sold to by on one day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InForce {
    pub plan_id: TariffPlanId,
    pub plan_name: String,
    pub terms: Terms,
    pub version: TariffVersion,
}

impl InForce {
    /// "Shop from 2026-03-02, persons 1, CT 1 × PT 1, line loss 0 ppm, ...": for a file's history.
    fn in_words(&self, from: Date) -> String {
        let Terms { people, ct, pt, line_loss_ppm, copper_loss_ppm, iron_loss_wh_per_day } =
            self.terms;
        let mut words =
            format!("{} from {from}, persons {people}, CT {ct} × PT {pt}", self.plan_name);
        for (name, loss, unit) in [
            ("line loss", u64::from(line_loss_ppm), "ppm"),
            ("copper loss", u64::from(copper_loss_ppm), "ppm"),
            ("iron loss", iron_loss_wh_per_day, "Wh a day"),
        ] {
            if loss > 0 {
                words.push_str(&format!(", {name} {loss} {unit}"));
            }
        }
        words
    }
}

/// A version of a plan, with the plan's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedVersion {
    pub plan_id: TariffPlanId,
    pub plan_name: String,
    pub version: TariffVersion,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPlan {
    pub name: String,
    pub from: Date,
    /// In the notation of docs/tariffs.md.
    pub definition: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewVersion {
    pub from: Date,
    pub definition: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Assignment {
    pub plan_id: TariffPlanId,
    /// Today where it is left out.
    pub from: Option<Date>,
    pub terms: Terms,
}

impl Service {
    /// A new plan with its first version, which may count from any day.
    pub async fn add_plan(&self, new: NewPlan, actor: &Actor) -> Result<TariffPlan> {
        let name = typed_not_empty("name", &new.name, MAX_PLAN_NAME_CHARS)?;
        let tariff = self.read_tariff(&new.definition)?;
        let id = TariffPlanId::new(self.clock().id());
        let version = self.new_version(1, new.from, tariff, actor);
        let actor = actor.clone();
        self.database()
            .write(move |tx| {
                Box::pin(async move {
                    let added = store::insert_plan(tx.connection(), id, &name, &version).await;
                    if let Err(error) = added {
                        return Err(match violated(&error) {
                            Some(Constraint::TariffPlanName) => {
                                ServiceError::Exists { what: "tariff plan", id: name }
                            }
                            _ => error.into(),
                        });
                    }
                    store::insert_version(tx.connection(), id, &version).await?;
                    let detail = format!("{name}, version 1 from {}", version.from);
                    record(tx.connection(), &version, &actor, "tariff-plan-added", id, &detail)
                        .await
                })
            })
            .await?;
        self.plan(id).await
    }

    /// A new version of a plan, from today on or a later day, for all its meters at once.
    pub async fn add_version(
        &self,
        id: TariffPlanId,
        new: NewVersion,
        actor: &Actor,
    ) -> Result<TariffPlan> {
        let tariff = self.read_tariff(&new.definition)?;
        self.not_before_today(new.from)?;
        let (service, by) = (self.clone(), actor.clone());
        self.database()
            .write(move |tx| {
                Box::pin(async move {
                    let plan = store::plan(&mut tx.connection(), id).await?;
                    service.check_version(&mut tx.connection(), &plan, &tariff).await?;
                    let number = plan.versions.last().map_or(1, |last| last.number + 1);
                    let version = service.new_version(number, new.from, tariff, &by);
                    store::insert_version(tx.connection(), id, &version).await?;
                    let detail = format!(
                        "{}, version {number} from {}: {} meters",
                        plan.name, version.from, plan.meters
                    );
                    record(tx.connection(), &version, &by, "tariff-version-added", id, &detail)
                        .await
                })
            })
            .await?;
        self.plan(id).await
    }

    /// Whether `new` could become a version: nothing is stored.
    pub async fn try_version(&self, id: TariffPlanId, new: &NewVersion) -> Result<TariffPlan> {
        let tariff = self.read_tariff(&new.definition)?;
        self.not_before_today(new.from)?;
        let mut reader = self.reader();
        let plan = store::plan(&mut reader, id).await?;
        self.check_version(&mut reader, &plan, &tariff).await?;
        Ok(plan)
    }

    pub async fn plan(&self, id: TariffPlanId) -> Result<TariffPlan> {
        let mut reader = self.reader();
        store::plan(&mut reader, id).await
    }

    /// By their names.
    pub async fn plans(&self, page: &Page) -> Result<Vec<TariffPlan>> {
        let bound = page.bound()?;
        let mut reader = self.reader();
        let mut plans = Vec::new();
        for id in store::plan_ids(&mut reader, &bound).await? {
            plans.push(store::plan(&mut reader, id).await?);
        }
        Ok(plans)
    }

    /// Only one that no meter ever had: the others explain what was charged.
    pub async fn delete_plan(&self, id: TariffPlanId, actor: &Actor) -> Result<()> {
        let (at, actor) = (self.clock().at(), actor.clone());
        self.database()
            .write(move |tx| {
                Box::pin(async move {
                    let plan = store::plan(&mut tx.connection(), id).await?;
                    let had = store::meters_ever(tx.connection(), id).await?;
                    if had > 0 {
                        let (name, meters) = (plan.name, plan.meters);
                        return Err(ServiceError::PlanInUse { name, meters, had });
                    }
                    store::delete_plan(tx.connection(), id).await?;
                    let act = Act {
                        at,
                        actor: &actor,
                        act: "tariff-plan-deleted",
                        object: format!("tariff/{id}"),
                        detail: &plan.name,
                    };
                    audit::record(tx.connection(), act).await
                })
            })
            .await
    }

    /// Gives a meter a plan from a day on; what it was sold before stays as it was.
    pub async fn assign_plan(
        &self,
        meter: MeterId,
        assignment: Assignment,
        actor: &Actor,
    ) -> Result<Vec<MeterTariff>> {
        let record = crate::meter::record(self.reader(), meter).await?;
        let from = assignment.from.unwrap_or(self.today()?);
        self.not_before_today(from)?;
        let purse = record.mode.quantity();
        let (at, actor) = (self.clock().at(), actor.clone());
        self.database()
            .write(move |tx| {
                Box::pin(async move {
                    let assignment = Assignment { from: Some(from), ..assignment };
                    let was = in_force(&mut *tx.connection(), meter, from).await?;
                    assign(tx.connection(), meter, &assignment, purse, at, &actor).await?;
                    let ratio = (assignment.terms.ct, assignment.terms.pt);
                    same_ratio(tx.connection(), meter, ratio).await?;
                    let now = in_force(&mut *tx.connection(), meter, from).await?;
                    let words =
                        |it: Option<InForce>| it.map(|it| it.in_words(from)).unwrap_or_default();
                    let (old, new) = (words(was), words(now));
                    let change = Change {
                        at,
                        actor: &actor,
                        why: &Why::default(),
                        customer: record.customer_id,
                        meter: Some(meter),
                        field: "tariff",
                        old: &old,
                        new: &new,
                    };
                    record_change(tx.connection(), change).await
                })
            })
            .await?;
        self.meter_tariffs(meter).await
    }

    /// Every plan that a meter had, has or will have, in the order in which they were given.
    pub async fn meter_tariffs(&self, meter: MeterId) -> Result<Vec<MeterTariff>> {
        crate::meter::record(self.reader(), meter).await?;
        store::meter_tariffs(self.reader(), meter).await
    }

    /// One version with its plan's name.
    pub async fn tariff_version(&self, id: TariffVersionId) -> Result<NamedVersion> {
        let (plan_id, plan_name, version) = store::version(self.reader(), id).await?;
        Ok(NamedVersion { plan_id, plan_name, version })
    }

    /// The site's day.
    pub fn today(&self) -> Result<Date> {
        self.clock().today()
    }

    pub(crate) fn read_tariff(&self, definition: &str) -> Result<Tariff> {
        let tariff = tariff::parse(definition, self.currency());
        tariff.map_err(|error| invalid("definition", error.to_string()))
    }

    fn not_before_today(&self, from: Date) -> Result<()> {
        let today = self.today()?;
        if from < today {
            let why = format!("{from} is past: what was charged stays; today is {today}");
            return Err(invalid("from", why));
        }
        Ok(())
    }

    fn new_version(&self, number: u32, from: Date, tariff: Tariff, by: &Actor) -> TariffVersion {
        TariffVersion {
            version_id: TariffVersionId::new(self.clock().id()),
            number,
            from,
            tariff,
            operator: by.clone(),
            created_at: self.clock().at(),
        }
    }

    /// The same kind of plan as before, and one by which each of its meters can be sold to.
    async fn check_version(
        &self,
        asked: &mut impl store::Asked,
        plan: &TariffPlan,
        tariff: &Tariff,
    ) -> Result<()> {
        if let Some(first) = plan.versions.first()
            && first.tariff.commodity() != tariff.commodity()
        {
            let why = format!("{} is priced per {}", plan.name, first.tariff.commodity().unit());
            return Err(invalid("definition", why));
        }
        let today = self.today()?;
        for user in store::users(asked, plan.plan_id, today).await? {
            if let Some(purse) = user.mode.quantity() {
                check_sellable(tariff, &user.terms, purse).map_err(|why| {
                    let serial = &user.serial_number;
                    invalid("definition", format!("meter {serial} has this plan: {why}"))
                })?;
            }
        }
        Ok(())
    }
}

async fn record(
    connection: &mut Connection,
    version: &TariffVersion,
    actor: &Actor,
    act: &'static str,
    id: TariffPlanId,
    detail: &str,
) -> Result<()> {
    let (at, object) = (version.created_at, format!("tariff/{id}"));
    audit::record(connection, Act { at, actor, act, object, detail }).await
}

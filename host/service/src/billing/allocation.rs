//! Public-area use shared out (公摊): who shares a master meter, by ratio, by area or by use, and a
//! look at what each of them would pay.
//!
//! Invariants: the parts sum to the charge, to the last fen; a look stores nothing.
//! Not here: the division (`domain::largest_remainder`), what is posted and undone (allocation_run).

use super::item::{PaidFrom, area};
use crate::Service;
use crate::audit::{self, Act, Actor};
use crate::charge::{self, How, Next, store::StoredCharge};
use crate::clock::UnixMs;
use crate::customer::{exists, typed_not_empty};
use crate::error::{Constraint, Result, ServiceError, bad_column, invalid, violated};
use crate::limits::MAX_PLAN_NAME_CHARS;
use crate::meter::{self, AccountState};
use crate::reading::Reading;
use crate::stored;
use polymeter_domain::tariff::Commodity;
use polymeter_domain::{
    AllocationId, AllocationRunId, BillId, BillingMode, ChargeId, CustomerId, MeterId, Money,
    largest_remainder,
};
use polymeter_ledger::Transaction;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AllocationBasis {
    /// By each member's weight.
    Ratio,
    /// By the members' areas.
    Area,
    /// By what the members' meters counted meanwhile.
    Use,
}

impl AllocationBasis {
    const ALL: [AllocationBasis; 3] =
        [AllocationBasis::Ratio, AllocationBasis::Area, AllocationBasis::Use];

    pub fn name(self) -> &'static str {
        match self {
            AllocationBasis::Ratio => "ratio",
            AllocationBasis::Area => "area",
            AllocationBasis::Use => "use",
        }
    }

    pub fn from_name(name: &str) -> Option<AllocationBasis> {
        AllocationBasis::ALL.into_iter().find(|basis| basis.name() == name)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    pub customer_id: CustomerId,
    /// By use.
    pub meter_id: Option<MeterId>,
    /// By ratio.
    pub weight: Option<u32>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAllocation {
    pub name: String,
    pub master: MeterId,
    pub basis: AllocationBasis,
    pub paid_from: PaidFrom,
    pub members: Vec<Member>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allocation {
    pub allocation_id: AllocationId,
    pub name: String,
    pub master: MeterId,
    pub basis: AllocationBasis,
    pub paid_from: PaidFrom,
    pub members: Vec<Member>,
}

/// A member's part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllocationPart {
    pub customer_id: CustomerId,
    pub weight: u64,
    pub amount: Money,
    pub bill_id: Option<BillId>,
}

/// What the master meter's charge comes to, and how it is shared out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllocationRun {
    /// `None`: a preview.
    pub run_id: Option<AllocationRunId>,
    pub charge_id: ChargeId,
    /// Wh or litres.
    pub used: u64,
    pub commodity: Commodity,
    pub amount: Money,
    pub parts: Vec<AllocationPart>,
    pub is_undone: bool,
}

/// Members of one allocation.
const MEMBERS_MAX: usize = 900;

impl Service {
    pub async fn add_allocation(&self, new: NewAllocation, actor: &Actor) -> Result<Allocation> {
        let name = typed_not_empty("name", &new.name, MAX_PLAN_NAME_CHARS)?;
        check_members(&new)?;
        let master = meter::record(self.reader(), new.master).await?;
        if master.mode != BillingMode::PostPaid || master.account != AccountState::Open {
            let why = "the master meter must be post-paid, with an open account of whoever stands \
                       for the public area";
            return Err(invalid("master_meter_id", why));
        }
        let (id, at, actor) =
            (AllocationId::new(self.clock().id()), self.clock().at(), actor.clone());
        self.database()
            .write(move |tx| Box::pin(async move { insert(tx, id, &name, &new, at, &actor).await }))
            .await?;
        self.allocation(id).await
    }

    pub async fn allocations(&self) -> Result<Vec<Allocation>> {
        let ids: Vec<String> =
            sqlx::query_scalar("select allocation_id from allocation order by name")
                .fetch_all(self.reader())
                .await?;
        let mut all = Vec::with_capacity(ids.len());
        for text in ids {
            all.push(self.allocation(stored::parsed("allocation_id", &text)?).await?);
        }
        Ok(all)
    }

    pub async fn allocation(&self, of: AllocationId) -> Result<Allocation> {
        let row: Option<(String, String, String, String)> = sqlx::query_as(
            "select name, master_meter_id, basis, paid_from from allocation
             where allocation_id = $1",
        )
        .bind(of.to_string())
        .fetch_optional(self.reader())
        .await?;
        let (name, master, basis, paid_from) =
            row.ok_or(ServiceError::NotFound { what: "allocation", id: of.to_string() })?;
        let members: Vec<(String, Option<String>, Option<i64>)> = sqlx::query_as(
            "select customer_id, meter_id, weight from allocation_member
             where allocation_id = $1 order by customer_id",
        )
        .bind(of.to_string())
        .fetch_all(self.reader())
        .await?;
        let member = |(customer, meter, weight): (String, Option<String>, Option<i64>)| {
            Ok(Member {
                customer_id: stored::parsed("customer_id", &customer)?,
                meter_id: meter.map(|text| stored::parsed("meter_id", &text)).transpose()?,
                weight: weight.and_then(|weight| u32::try_from(weight).ok()),
            })
        };
        Ok(Allocation {
            allocation_id: of,
            name,
            master: stored::parsed("master_meter_id", &master)?,
            basis: AllocationBasis::from_name(&basis).ok_or_else(|| bad_column("basis", &basis))?,
            paid_from: PaidFrom::from_name(&paid_from)
                .ok_or_else(|| bad_column("paid_from", &paid_from))?,
            members: members.into_iter().map(member).collect::<Result<_>>()?,
        })
    }

    /// How the master meter's last reading would be shared out; nothing is stored.
    pub async fn preview_allocation(&self, of: AllocationId) -> Result<AllocationRun> {
        let (allocation, reading) = self.to_allot(of).await?;
        let weights = self.weights(&allocation, &reading).await?;
        let master = meter::record(self.reader(), allocation.master).await?;
        let mut reader = self.reader();
        let next =
            charge::next(self, &mut reader, &master, &reading, How::Plain, &Actor::System).await?;
        let charge = charged(next)?;
        shared_out(&allocation, &charge, &weights)
    }

    pub(super) async fn to_allot(&self, of: AllocationId) -> Result<(Allocation, Reading)> {
        let allocation = self.allocation(of).await?;
        let reading = self.last_reading(allocation.master).await?;
        let reading =
            reading.ok_or_else(|| invalid("master_meter_id", "the master meter was never read"))?;
        Ok((allocation, reading))
    }

    /// One for each member, in their order.
    pub(super) async fn weights(
        &self,
        allocation: &Allocation,
        reading: &Reading,
    ) -> Result<Vec<u64>> {
        let last = charge::store::last(self.reader(), allocation.master).await?;
        let from = last.map_or(UnixMs(0), |last| last.charge.at);
        let commodity = match self.tariff_in_force(allocation.master).await? {
            Some(in_force) => in_force.version.tariff.commodity(),
            None => {
                return Err(invalid(
                    "master_meter_id",
                    "the master meter has no tariff plan today",
                ));
            }
        };
        let mut weights = Vec::with_capacity(allocation.members.len());
        for member in &allocation.members {
            let customer = member.customer_id;
            let missing =
                |what: &str| invalid("members", format!("customer/{customer} has {what}"));
            weights.push(match (allocation.basis, member.meter_id) {
                (AllocationBasis::Ratio, _) => member.weight.unwrap_or(0).into(),
                (AllocationBasis::Area, _) => {
                    let area = area(self.reader(), customer).await?;
                    let area = area.and_then(|area| u64::try_from(area).ok());
                    area.ok_or_else(|| missing("no area: keep it first"))?
                }
                (AllocationBasis::Use, None) => return Err(missing("no meter")),
                (AllocationBasis::Use, Some(meter)) => {
                    let used = self.used_between(meter, from, reading.at, commodity).await?;
                    used.ok_or_else(|| missing("no two readings of the time: read its meter"))?
                }
            });
        }
        Ok(weights)
    }

    async fn used_between(
        &self,
        meter: MeterId,
        from: UnixMs,
        to: UnixMs,
        commodity: Commodity,
    ) -> Result<Option<u64>> {
        let Some(first) = self.reading_by(meter, from).await? else { return Ok(None) };
        let Some(last) = self.reading_by(meter, to).await? else { return Ok(None) };
        let (Some(first), Some(last)) =
            (charge::told(&first, commodity), charge::told(&last, commodity))
        else {
            return Ok(None);
        };
        // A register that went back says nothing of the use.
        Ok(last.went_back(&first).is_none().then(|| last.counted_since(&first)))
    }

    async fn reading_by(&self, meter: MeterId, at: UnixMs) -> Result<Option<Reading>> {
        let found: Option<String> = sqlx::query_scalar(
            "select reading_id from reading where meter_id = $1 and at_ms <= $2
             order by at_ms desc, reading_id desc limit 1",
        )
        .bind(meter.to_string())
        .bind(at.0)
        .fetch_optional(self.reader())
        .await?;
        match found {
            Some(text) => {
                Ok(Some(self.reading(meter, stored::parsed("reading_id", &text)?).await?))
            }
            None => Ok(None),
        }
    }
}

fn check_members(new: &NewAllocation) -> Result<()> {
    let no = |why: String| Err(invalid("members", why));
    if new.members.is_empty() || new.members.len() > MEMBERS_MAX {
        return no(format!("1 to {MEMBERS_MAX} customers share a meter"));
    }
    let mut seen = std::collections::HashSet::new();
    for member in &new.members {
        if !seen.insert(member.customer_id) {
            return no(format!("customer/{} is in it twice", member.customer_id));
        }
        let fits = match new.basis {
            AllocationBasis::Ratio => member.weight.is_some_and(|weight| weight > 0),
            AllocationBasis::Area => member.weight.is_none(),
            AllocationBasis::Use => member.weight.is_none() && member.meter_id.is_some(),
        };
        if !fits {
            let needs = match new.basis {
                AllocationBasis::Ratio => "a weight above zero",
                AllocationBasis::Area => "no weight: the area is the customer's",
                AllocationBasis::Use => "a meter and no weight",
            };
            return no(format!(
                "by {}, customer/{} needs {needs}",
                new.basis.name(),
                member.customer_id
            ));
        }
    }
    Ok(())
}

async fn insert(
    tx: &mut Transaction,
    id: AllocationId,
    name: &str,
    new: &NewAllocation,
    at: UnixMs,
    actor: &Actor,
) -> Result<()> {
    let inserted = sqlx::query(
        "insert into allocation (allocation_id, name, master_meter_id, basis, paid_from,
                                 operator_id, created_at_ms)
         values ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(id.to_string())
    .bind(name)
    .bind(new.master.to_string())
    .bind(new.basis.name())
    .bind(new.paid_from.name())
    .bind(actor.stored())
    .bind(at.0)
    .execute(tx.connection())
    .await;
    if let Err(error) = inserted {
        return Err(match violated(&error) {
            Some(Constraint::AllocationName) => {
                ServiceError::Exists { what: "allocation", id: name.to_owned() }
            }
            Some(Constraint::AllocationMaster) => {
                ServiceError::Exists { what: "allocation of meter", id: new.master.to_string() }
            }
            _ => error.into(),
        });
    }
    for member in &new.members {
        exists(tx.connection(), member.customer_id).await?;
        if let Some(meter) = member.meter_id {
            meter::record(&mut *tx.connection(), meter).await?;
        }
        sqlx::query(
            "insert into allocation_member (allocation_id, customer_id, meter_id, weight)
             values ($1, $2, $3, $4)",
        )
        .bind(id.to_string())
        .bind(member.customer_id.to_string())
        .bind(member.meter_id.map(|id| id.to_string()))
        .bind(member.weight.map(i64::from))
        .execute(tx.connection())
        .await?;
    }
    let object = format!("allocation/{id}");
    let detail = format!("{name}: {} members by {}", new.members.len(), new.basis.name());
    audit::record(
        tx.connection(),
        Act { at, actor, act: "allocation-added", object, detail: &detail },
    )
    .await
}

pub(super) fn charged(next: Next) -> Result<StoredCharge> {
    match next {
        Next::Charge(charge) if charge.charge.amount.minor() > 0 => Ok(*charge),
        Next::Charge(_) => Err(invalid("master_meter_id", "there is nothing to share out")),
        Next::Nothing(why) => Err(invalid("master_meter_id", why)),
        Next::Unbelievable(_, why) => Err(invalid("master_meter_id", why)),
    }
}

pub(super) fn shared_out(
    allocation: &Allocation,
    charge: &StoredCharge,
    weights: &[u64],
) -> Result<AllocationRun> {
    let amount = charge.charge.amount;
    let whole = u64::try_from(amount.minor()).unwrap_or_default();
    let parts = largest_remainder(whole, weights);
    let parts =
        parts.ok_or_else(|| invalid("members", "nobody has any weight: nothing to share by"))?;
    let part = |((member, weight), minor): ((&Member, &u64), u64)| AllocationPart {
        customer_id: member.customer_id,
        weight: *weight,
        amount: Money::new(i64::try_from(minor).unwrap_or(i64::MAX), amount.currency()),
        bill_id: None,
    };
    Ok(AllocationRun {
        run_id: None,
        charge_id: charge.charge.charge_id,
        used: charge.charge.used,
        commodity: charge.charge.commodity,
        amount,
        parts: allocation.members.iter().zip(weights).zip(parts).map(part).collect(),
        is_undone: false,
    })
}

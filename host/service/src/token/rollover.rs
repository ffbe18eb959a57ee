//! A campaign that moves meters to a later base date (TID翻转): one key change for each, under ids that
//! follow from the campaign's.
//!
//! Invariants: all orders of a campaign are stored in one job, with the one request for a second person,
//! so that asking again, after a crash too, makes no second token; a meter whose change cannot be made is
//! named and left out, and is in the way of no other. Not here: how an order gets its digits (token),
//! what a base date is (drivers).

use super::store::{self, StoredToken};
use super::{TokenRecord, TokenState, audit, issue};
use crate::approval::{self, Asking};
use crate::audit::{self as trail, Act, Actor};
use crate::clock::UnixMs;
use crate::crash_point::crash_point;
use crate::customer::typed_not_empty;
use crate::error::{Result, ServiceError, chain, invalid};
use crate::limits::{MAX_REASON_CHARS, ROLLOVER_METERS_MAX};
use crate::meter::{self, MeterRecord};
use crate::page::{Bound, Page};
use crate::parameter::{self, Home};
use crate::{Approvable, Service, counter_act, sale, stored, to_the_end};
use polymeter_domain::{
    ApprovalId, Decimal, MeterId, Money, TokenKind, TokenOrder, TokenOrderId, TokenRolloverId,
    Value, derived_id,
};
use polymeter_ledger::{Reader, Transaction};

/// By which names a driver of tokens declares them (docs/contract.md).
const BASE_DATE: &str = "base-date";
const KEY_REVISION: &str = "key-revision";

/// Which meters are to be moved, and to where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRollover {
    /// Those that count from this year; `None`: from any before `to_base`.
    pub from_base: Option<i64>,
    pub to_base: i64,
    /// Of their new keys; `None`: each keeps its own.
    pub key_revision: Option<i64>,
    pub reason: String,
}

/// One meter that it concerns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RolloverMeter {
    pub meter_id: MeterId,
    pub serial_number: String,
    /// From which year it counts now.
    pub base: i64,
    /// Why its change cannot be made; `None`: it can.
    pub obstacle: Option<String>,
}

/// What a campaign would be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RolloverPreview {
    pub meters: Vec<RolloverMeter>,
    /// So many more than one campaign takes.
    pub left: usize,
    pub needs_second_person: bool,
}

/// One campaign as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rollover {
    pub rollover_id: TokenRolloverId,
    /// The parameters that each meter gets.
    pub change: Vec<(String, Value)>,
    pub reason: String,
    pub operator: Actor,
    pub created_at: UnixMs,
    /// What it waits for.
    pub approval: Option<ApprovalId>,
    pub orders: Vec<RolloverOrder>,
}

/// One meter of a campaign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RolloverOrder {
    pub token: TokenRecord,
    /// Why its digits could not be made yet, though nobody has to agree any more.
    pub obstacle: Option<String>,
}

impl Rollover {
    pub fn count(&self, state: TokenState) -> usize {
        self.orders.iter().filter(|it| it.token.state == state).count()
    }
}

/// One campaign in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RolloverLine {
    pub rollover_id: TokenRolloverId,
    pub reason: String,
    pub created_at: UnixMs,
    pub meters: i64,
    pub issued: i64,
    pub cancelled: i64,
}

/// Each order's id follows from the campaign's and the meter's.
fn order_id(rollover: TokenRolloverId, meter: MeterId) -> TokenOrderId {
    TokenOrderId::new(derived_id(&format!("polymeter-rollover-1\n{rollover}\n{meter}\n")))
}

impl NewRollover {
    fn change(&self) -> Vec<(String, Value)> {
        let number =
            |name: &str, mantissa| (name.to_owned(), Value::Number(Decimal { mantissa, scale: 0 }));
        let revision = self.key_revision.map(|revision| number(KEY_REVISION, revision));
        [number(BASE_DATE, self.to_base)].into_iter().chain(revision).collect()
    }

    fn checked(self) -> Result<NewRollover> {
        let reason = typed_not_empty("reason", &self.reason, MAX_REASON_CHARS)?;
        if self.from_base.is_some_and(|from| from >= self.to_base) {
            return Err(invalid("from_base", "meters are moved to a later base date"));
        }
        Ok(NewRollover { reason, ..self })
    }
}

/// A campaign's orders are all alike: the same id with other content is an error.
fn must_be(id: TokenRolloverId, earlier: &[StoredToken], new: &NewRollover) -> Result<()> {
    let change = new.change();
    if earlier.iter().all(|it| it.order.change == change && it.reason == new.reason) {
        return Ok(());
    }
    Err(ServiceError::Differs { what: "roll-over", id: id.to_string() })
}

impl Service {
    /// What a campaign would do, meter by meter; each key change is tried, and nothing is kept of it.
    pub async fn preview_rollover(&self, new: NewRollover) -> Result<RolloverPreview> {
        preview(self, &new.checked()?).await
    }

    /// Orders a key change for every meter concerned, under the client's own id; waits for one second
    /// person for all of them where the site wants two. Idempotent by id.
    pub async fn put_rollover(
        &self,
        id: TokenRolloverId,
        new: NewRollover,
        actor: &Actor,
    ) -> Result<Rollover> {
        let new = new.checked()?;
        let (service, actor) = (self.clone(), actor.clone());
        to_the_end(async move {
            service.expire_approvals().await?;
            let earlier = store::of_rollover(service.reader(), id).await?;
            if earlier.is_empty() {
                let meters = able(preview(&service, &new).await?)?;
                make(&service, id, new, meters, actor).await?;
                crash_point("after-rollover-ordered");
            } else {
                must_be(id, &earlier, &new)?;
            }
            service.follow_rollover(id).await?;
            service.rollover(id).await
        })
        .await
    }

    pub async fn rollover(&self, id: TokenRolloverId) -> Result<Rollover> {
        let mut orders = Vec::new();
        for it in store::of_rollover(self.reader(), id).await? {
            let is_stuck = matches!(it.state, TokenState::Approved | TokenState::Ordered);
            let obstacle = if is_stuck { obstacle(self, &it).await? } else { None };
            orders.push(RolloverOrder { token: self.token_record(it).await?, obstacle });
        }
        let not_found = || ServiceError::NotFound { what: "roll-over", id: id.to_string() };
        let first = &orders.first().ok_or_else(not_found)?.token;
        Ok(Rollover {
            rollover_id: id,
            change: first.order.change.clone(),
            reason: first.reason.clone(),
            operator: first.operator.clone(),
            created_at: first.created_at,
            approval: self.approval_of(Approvable::Rollover(id)).await?.map(|it| it.approval_id),
            orders,
        })
    }

    /// Once more what could not be made, where what was in the way is mended.
    pub async fn continue_rollover(&self, id: TokenRolloverId) -> Result<Rollover> {
        let service = self.clone();
        to_the_end(async move {
            service.follow_rollover(id).await?;
            service.rollover(id).await
        })
        .await
    }

    /// Newest first.
    pub async fn rollovers(&self, page: &Page) -> Result<Vec<RolloverLine>> {
        lines(self.reader(), &page.bound()?).await
    }

    /// Carries on all orders of a campaign that wait for nobody; one that cannot be made is in the way of
    /// no other, and says why on the campaign's page.
    pub(crate) async fn follow_rollover(&self, id: TokenRolloverId) -> Result<()> {
        for it in store::of_rollover(self.reader(), id).await? {
            match self.follow_token(it.token_order_id).await {
                Err(error @ ServiceError::Storage(_)) => return Err(error),
                Err(error) => {
                    let (id, why) = (it.token_order_id, chain(&error));
                    tracing::error!(token_order_id = %id, why, "the token waits for a person");
                }
                Ok(()) => {}
            }
        }
        Ok(())
    }
}

async fn preview(service: &Service, new: &NewRollover) -> Result<RolloverPreview> {
    let mut concerned = Vec::new();
    for id in meters(service.reader()).await? {
        let meter = meter::record(service.reader(), id).await?;
        let Some(base) = base_of(service, &meter) else { continue };
        if base < new.to_base && new.from_base.is_none_or(|from| from == base) {
            concerned.push((meter, base));
        }
    }
    let left = concerned.len().saturating_sub(ROLLOVER_METERS_MAX);
    concerned.truncate(ROLLOVER_METERS_MAX);
    let mut meters = Vec::new();
    for (meter, base) in concerned {
        let obstacle = told(tried(service, &meter, new).await)?;
        let MeterRecord { meter_id, serial_number, .. } = meter;
        meters.push(RolloverMeter { meter_id, serial_number, base, obstacle });
    }
    let needs_second_person = service.rules().approval.clear.is_some();
    Ok(RolloverPreview { meters, left, needs_second_person })
}

/// Its own, or its driver's default; `None`: its driver has none.
fn base_of(service: &Service, meter: &MeterRecord) -> Option<i64> {
    let declared = service.parameters_of(&meter.vendor, Home::Here);
    let declared = declared.into_iter().find(|it| it.name == BASE_DATE)?;
    let own = meter.device.parameters.iter().find(|(name, _)| name == BASE_DATE);
    match own.map(|(_, value)| value.clone()).or(declared.default)? {
        Value::Number(Decimal { mantissa, scale: 0 }) => Some(mantissa),
        _ => None,
    }
}

/// Makes its tokens as they would be made, and forgets them.
async fn tried(service: &Service, meter: &MeterRecord, new: &NewRollover) -> Result<()> {
    let driver = service.driver(&meter.vendor)?;
    let change = parameter::checked(&driver, Home::Here, &new.change())?;
    store::none_open(service.reader(), meter).await?;
    issue::try_key_change(service, meter, &order_of(change)).await
}

fn order_of(change: Vec<(String, Value)>) -> TokenOrder {
    TokenOrder { kind: TokenKind::KeyChange, credit: None, value: 0, change }
}

/// Why an order that waits for nobody has no digits.
async fn obstacle(service: &Service, it: &StoredToken) -> Result<Option<String>> {
    let meter = meter::record(service.reader(), it.meter_id).await?;
    if let Some(sale) = sale::unsettled_of_meter(service.reader(), it.meter_id).await? {
        return Ok(Some(format!("sale {sale} is unsettled")));
    }
    if let Some(act) = counter_act::unsettled_of_meter(service.reader(), it.meter_id).await? {
        return Ok(Some(format!("counter act {act} is unsettled")));
    }
    told(issue::try_key_change(service, &meter, &it.order).await)
}

/// What is in the way of one meter; a database that fails is in the way of all.
fn told(tried: Result<()>) -> Result<Option<String>> {
    match tried {
        Ok(()) => Ok(None),
        Err(error @ ServiceError::Storage(_)) => Err(error),
        Err(error) => Ok(Some(chain(&error))),
    }
}

/// Those whose change can be made.
fn able(preview: RolloverPreview) -> Result<Vec<MeterId>> {
    let able = preview.meters.iter().filter(|it| it.obstacle.is_none());
    let able: Vec<MeterId> = able.map(|it| it.meter_id).collect();
    if !able.is_empty() {
        return Ok(able);
    }
    match preview.meters.into_iter().find_map(|it| Some((it.serial_number, it.obstacle?))) {
        None => Err(invalid("to_base", "no meter counts from an earlier base date")),
        Some((serial_number, why)) => {
            Err(ServiceError::Blocked { what: format!("meter {serial_number}"), why })
        }
    }
}

/// All orders, and the one question to a second person, in one job.
async fn make(
    service: &Service,
    id: TokenRolloverId,
    new: NewRollover,
    meters: Vec<MeterId>,
    actor: Actor,
) -> Result<()> {
    let inside = service.clone();
    service
        .database()
        .write(move |tx| {
            Box::pin(async move {
                let earlier = store::of_rollover(&mut *tx.connection(), id).await?;
                if !earlier.is_empty() {
                    return must_be(id, &earlier, &new);
                }
                let needs_two = inside.rules().approval.clear.is_some();
                let at = inside.clock().at();
                for meter_id in meters {
                    let meter = meter::record(&mut *tx.connection(), meter_id).await?;
                    store::none_open(&mut *tx.connection(), &meter).await?;
                    let it = StoredToken {
                        token_order_id: order_id(id, meter_id),
                        meter_id,
                        sale_id: None,
                        rollover_id: Some(id),
                        order: order_of(new.change()),
                        reason: new.reason.clone(),
                        operator: actor.clone(),
                        state: if needs_two { TokenState::Waiting } else { TokenState::Approved },
                        basis: None,
                        digits: None,
                        created_at: at,
                        ended_at: None,
                    };
                    store::insert(tx.connection(), &it).await?;
                    audit(tx, &it, at, &actor, "token-ordered", &it.reason).await?;
                }
                let object = Approvable::Rollover(id).to_string();
                let act = "rollover-ordered";
                let detail = format!("to base date {}: {}", new.to_base, new.reason);
                let act = Act { at, actor: &actor, act, object: object.clone(), detail: &detail };
                trail::record(tx.connection(), act).await?;
                if needs_two {
                    let amount = Money::new(0, inside.currency());
                    let (act, reason, actor) = ("rollover", new.reason.as_str(), &actor);
                    let asking = Asking { act, object, amount, reason, actor };
                    approval::ask(&inside, tx.connection(), asking).await?;
                }
                Ok(())
            })
        })
        .await
}

/// The campaigns, newest first.
async fn lines(reader: &Reader, page: &Bound) -> Result<Vec<RolloverLine>> {
    let rows: Vec<(String, String, i64, i64, i64, i64)> = sqlx::query_as(
        "select rollover_id, min(reason), min(created_at_ms) as made_at_ms,
                cast(count(*) as bigint),
                cast(sum(case when state = 'issued' then 1 else 0 end) as bigint),
                cast(sum(case when state = 'cancelled' then 1 else 0 end) as bigint)
         from token_order
         where rollover_id is not null
         group by rollover_id
         having ($1 is null or (min(created_at_ms), rollover_id) <
                 (select min(created_at_ms), $1 from token_order where rollover_id = $1))
         order by made_at_ms desc, rollover_id desc limit $2",
    )
    .bind(&page.after)
    .bind(page.limit)
    .fetch_all(reader)
    .await?;
    let line = |(id, reason, at, meters, issued, cancelled): (String, _, _, _, _, _)| {
        let rollover_id = stored::parsed("rollover_id", &id)?;
        Ok(RolloverLine { rollover_id, reason, created_at: UnixMs(at), meters, issued, cancelled })
    };
    rows.into_iter().map(line).collect()
}

/// Meters with an open account into which tokens are typed.
async fn meters(reader: &Reader) -> Result<Vec<MeterId>> {
    let ids: Vec<String> = sqlx::query_scalar(
        "select meter_id from meter where mode = 'token' and account = 'open'
         order by serial_number",
    )
    .fetch_all(reader)
    .await?;
    ids.iter().map(|id| stored::parsed("meter_id", id)).collect()
}

/// A second person agreed to all that still wait; their digits are made afterwards.
pub(crate) async fn approved(tx: &mut Transaction, id: TokenRolloverId) -> Result<()> {
    sqlx::query(
        "update token_order set state = 'approved' where rollover_id = $1 and state = 'waiting'",
    )
    .bind(id.to_string())
    .execute(tx.connection())
    .await?;
    Ok(())
}

pub(crate) async fn withdrawn(tx: &mut Transaction, id: TokenRolloverId, at: UnixMs) -> Result<()> {
    sqlx::query(
        "update token_order set state = 'cancelled', ended_at_ms = $1
         where rollover_id = $2 and state = 'waiting'",
    )
    .bind(at.0)
    .bind(id.to_string())
    .execute(tx.connection())
    .await?;
    Ok(())
}

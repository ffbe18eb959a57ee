//! Cutting the supply of those whose purse is used up, and restoring it when it is paid (欠费停供,
//! 缴费复电).
//!
//! Invariants: what is wanted is stored before the device is asked; a cut or a restored supply is one
//! that the device itself reported; what failed is tried again, later and later; a meter that keeps
//! its power is never cut; only what was cut here is restored here.

use super::overdraft::overdraft;
use super::{Purse, balance};
use crate::Service;
use crate::audit::{self, Act, Actor};
use crate::billing::is_overdue;
use crate::clock::UnixMs;
use crate::error::{Result, ServiceError, bad_column, chain};
use crate::meter;
use crate::stored;
use polymeter_domain::tariff::Moment;
use polymeter_domain::{BillingMode, CustomerId, MeterId, Money, SupplyCommand, SupplyState};
use polymeter_ledger::{Connection, Transaction};
use sqlx::AnyExecutor;

/// Between two tries of one device: a minute, two, four .. and at most an hour.
const FIRST_WAIT_MS: i64 = 60_000;
const WAIT_MS_MAX: i64 = 3_600_000;

/// A supply that is to be cut, was cut, or was restored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SupplyCut {
    pub cut_id: String,
    pub meter_id: MeterId,
    pub customer_id: CustomerId,
    /// `wanted`, `cut`, `ending` or `ended`.
    pub state: String,
    pub detail: String,
    pub tries: i64,
    pub opened_at: UnixMs,
    pub cut_at: Option<UnixMs>,
    pub ended_at: Option<UnixMs>,
    next_try_ms: i64,
}

#[derive(Debug, sqlx::FromRow)]
struct Row {
    supply_cut_id: String,
    meter_id: String,
    customer_id: String,
    state: String,
    detail: String,
    tries: i64,
    next_try_ms: i64,
    opened_at_ms: i64,
    cut_at_ms: Option<i64>,
    ended_at_ms: Option<i64>,
}

impl TryFrom<Row> for SupplyCut {
    type Error = ServiceError;
    fn try_from(row: Row) -> Result<SupplyCut> {
        Ok(SupplyCut {
            meter_id: stored::parsed("meter_id", &row.meter_id)?,
            customer_id: row
                .customer_id
                .parse()
                .map_err(|_| bad_column("customer_id", &row.customer_id))?,
            cut_id: row.supply_cut_id,
            state: row.state,
            detail: row.detail,
            tries: row.tries,
            opened_at: UnixMs(row.opened_at_ms),
            cut_at: row.cut_at_ms.map(UnixMs),
            ended_at: row.ended_at_ms.map(UnixMs),
            next_try_ms: row.next_try_ms,
        })
    }
}

async fn open_of(executor: impl AnyExecutor<'_>, customer: CustomerId) -> Result<Vec<SupplyCut>> {
    let rows: Vec<Row> = sqlx::query_as(
        "select * from supply_cut where customer_id = $1 and state <> 'ended' order by opened_at_ms",
    )
    .bind(customer.to_string())
    .fetch_all(executor)
    .await?;
    rows.into_iter().map(SupplyCut::try_from).collect()
}

impl Service {
    /// All of a customer, newest first.
    pub async fn supply_cuts(&self, customer: CustomerId) -> Result<Vec<SupplyCut>> {
        self.customer(customer).await?;
        let rows: Vec<Row> = sqlx::query_as(
            "select * from supply_cut where customer_id = $1
             order by opened_at_ms desc, supply_cut_id desc limit 200",
        )
        .bind(customer.to_string())
        .fetch_all(self.reader())
        .await?;
        rows.into_iter().map(SupplyCut::try_from).collect()
    }

    /// In the background, after money came in or went out.
    pub fn tend_soon(&self, customer: CustomerId) {
        let service = self.clone();
        tokio::spawn(async move {
            if let Err(error) = service.tend_supply(customer).await {
                tracing::error!(%customer, error = chain(&error), "a supply was not tended");
            }
        });
    }

    /// Brings the supplies of a customer to where his purse says; what could not be done is tried
    /// again at a later call. The cuts that are open afterwards.
    pub async fn tend_supply(&self, customer: CustomerId) -> Result<Vec<SupplyCut>> {
        let lock = self.inner.purses.of(customer);
        let _alone = lock.lock().await;
        let service = self.clone();
        let open = self
            .database()
            .write(move |tx| Box::pin(async move { decide(&service, tx, customer).await }))
            .await?;
        for cut in open {
            if cut.next_try_ms <= self.clock().at().0 {
                match cut.state.as_str() {
                    "wanted" => self.try_cut(&cut, SupplyCommand::Disconnect).await?,
                    "ending" => self.try_cut(&cut, self.purse_rules().restore).await?,
                    _ => {}
                }
            }
        }
        open_of(self.reader(), customer).await
    }

    /// Whether a meter that is resumed stays without supply because of what its customer owes, and why.
    /// Its cut is kept from now on, so that the payment restores it.
    pub(crate) async fn keep_cut(&self, meter: MeterId) -> Result<Option<ServiceError>> {
        let service = self.clone();
        let kept = self
            .database()
            .write(move |tx| Box::pin(async move { keep_cut(&service, tx, meter).await }))
            .await?;
        let Some((customer, why)) = kept else { return Ok(None) };
        self.tend_supply(customer).await?;
        Ok(Some(why))
    }

    async fn try_cut(&self, cut: &SupplyCut, command: SupplyCommand) -> Result<()> {
        crate::crash_point::crash_point("before-supply");
        let asked = self.control(cut.meter_id, command, &Actor::System).await;
        crate::crash_point::crash_point("after-supply");
        let is_cut = command == SupplyCommand::Disconnect;
        let proved = match (&asked, is_cut) {
            (Ok(SupplyState::Disconnected), true) => true,
            (Ok(SupplyState::Connected), false) => true,
            (Ok(SupplyState::ReadyForReconnection), false) => {
                command == SupplyCommand::AllowConnection
            }
            _ => false,
        };
        let detail = match &asked {
            Ok(state) => format!("the device reports {}", stored::supply_name(*state)),
            Err(error) => chain(error),
        };
        let (at, id, tries) = (self.clock().at(), cut.cut_id.clone(), cut.tries + 1);
        let next = match (proved, is_cut) {
            (true, true) => "cut",
            (true, false) => "ended",
            (false, _) => cut.state.as_str(),
        };
        let (from, next, meter) = (cut.state.clone(), next.to_owned(), cut.meter_id);
        if !proved {
            tracing::warn!(%meter, detail, tries, "a supply was not brought to where it should be");
        }
        self.database()
            .write(move |tx| {
                Box::pin(async move {
                    let wait = if proved { 0 } else { wait_ms(tries) };
                    let step = Step { id: &id, from: &from, next: &next, at };
                    step.store(tx.connection(), &detail, tries, at.0.saturating_add(wait)).await?;
                    if proved {
                        let act = if is_cut { "supply-cut" } else { "supply-restored" };
                        record(tx.connection(), at, meter, act, &detail).await?;
                    }
                    Ok(())
                })
            })
            .await
    }
}

fn wait_ms(tries: i64) -> i64 {
    let doublings = u32::try_from(tries.saturating_sub(1)).unwrap_or(u32::MAX).min(10);
    (FIRST_WAIT_MS << doublings).min(WAIT_MS_MAX)
}

struct Step<'a> {
    id: &'a str,
    /// Guards against another who moved it meanwhile.
    from: &'a str,
    next: &'a str,
    at: UnixMs,
}

impl Step<'_> {
    async fn store(
        &self,
        connection: &mut Connection,
        detail: &str,
        tries: i64,
        next_try_ms: i64,
    ) -> Result<()> {
        sqlx::query(
            "update supply_cut set state = $1, detail = $2, tries = $3, next_try_ms = $4,
                    cut_at_ms = case when $1 = 'cut' then $5 else cut_at_ms end,
                    ended_at_ms = case when $1 = 'ended' then $5 else null end
             where supply_cut_id = $6 and state = $7",
        )
        .bind(self.next)
        .bind(detail)
        .bind(tries)
        .bind(next_try_ms)
        .bind(self.at.0)
        .bind(self.id)
        .bind(self.from)
        .execute(connection)
        .await?;
        Ok(())
    }
}

async fn record(
    connection: &mut Connection,
    at: UnixMs,
    meter: MeterId,
    act: &'static str,
    detail: &str,
) -> Result<()> {
    let object = format!("meter/{meter}");
    audit::record(connection, Act { at, actor: &Actor::System, act, object, detail }).await
}

/// What a customer's purse says of his supplies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Cut,
    /// Used up, but nothing is cut now; nor is it paid.
    Wait,
    Restore,
}

/// `is_overdue`: a charge that cuts the supply is.
fn verdict(
    service: &Service,
    purse: &Purse,
    overdraft: Money,
    is_overdue: bool,
    now: Moment,
) -> Verdict {
    let rules = service.purse_rules();
    let is_used_up = purse.balance.minor() < -overdraft.minor();
    if purse.balance.minor() >= 0 && !is_overdue {
        Verdict::Restore
    } else if (is_used_up || is_overdue) && !rules.is_friendly(now) {
        Verdict::Cut
    } else {
        Verdict::Wait
    }
}

/// One transaction: opens, turns and ends cuts, without asking any device.
async fn decide(
    service: &Service,
    tx: &mut Transaction,
    customer: CustomerId,
) -> Result<Vec<SupplyCut>> {
    let at = service.clock().at();
    let purse = balance(&mut *tx.connection(), customer, service.currency()).await?;
    let now = service.clock().civil(at)?;
    let is_overdue = is_overdue(tx.connection(), customer, now.day).await?;
    let overdraft = overdraft(&mut *tx.connection(), customer, service).await?;
    let verdict = verdict(service, &purse, overdraft, is_overdue, now);
    let open = open_of(&mut *tx.connection(), customer).await?;
    for cut in &open {
        turn(tx.connection(), cut, customer, verdict, at).await?;
    }
    if verdict == Verdict::Cut {
        let detail = match is_overdue {
            true => "a charge is overdue".to_owned(),
            false => format!("the purse is at {}", purse.balance),
        };
        for meter in uncut(tx.connection(), customer, is_overdue).await? {
            want(service, tx.connection(), meter, customer, &detail, at).await?;
        }
    }
    open_of(&mut *tx.connection(), customer).await
}

async fn turn(
    connection: &mut Connection,
    cut: &SupplyCut,
    customer: CustomerId,
    verdict: Verdict,
    at: UnixMs,
) -> Result<()> {
    let meter = meter::record(&mut *connection, cut.meter_id).await?;
    // Another customer's meter, or one that keeps its power, is not ours to cut any more.
    let is_ours = meter.customer_id == Some(customer) && !meter.keeps_power;
    let is_back = meter.supply == SupplyState::Connected;
    let step = |next: &'static str, why: &'static str| (next, why);
    let (next, why) = match (cut.state.as_str(), verdict) {
        // Nothing was sent yet, so that nothing has to come back.
        ("wanted", _) if (!is_ours || verdict == Verdict::Restore) && cut.tries == 0 => {
            step("ended", "no longer wanted")
        }
        ("wanted" | "cut", _) if !is_ours => step("ending", "the meter is not to be cut any more"),
        ("wanted" | "cut", Verdict::Restore) => step("ending", "paid"),
        ("ending", Verdict::Cut) if is_ours => step("wanted", "owed again before it was restored"),
        ("cut", Verdict::Cut) if is_back => step("wanted", "the meter has supply again"),
        _ => return Ok(()),
    };
    let step = Step { id: &cut.cut_id, from: &cut.state, next, at };
    // Whatever waited for another try, this is another thing to try.
    step.store(&mut *connection, why, if next == "ended" { cut.tries } else { 0 }, at.0).await?;
    record(connection, at, cut.meter_id, "supply-cut-turned", &format!("{next}: {why}")).await
}

/// Friendly hours are no reason to connect what is to be cut after them.
async fn keep_cut(
    service: &Service,
    tx: &mut Transaction,
    meter: MeterId,
) -> Result<Option<(CustomerId, ServiceError)>> {
    let it = meter::record(&mut *tx.connection(), meter).await?;
    let Some(customer) = it.customer_id.filter(|_| !it.keeps_power) else { return Ok(None) };
    let at = service.clock().at();
    let purse = balance(&mut *tx.connection(), customer, service.currency()).await?;
    let overdraft = overdraft(&mut *tx.connection(), customer, service).await?;
    let is_used_up =
        it.mode == BillingMode::PlatformPurse && purse.balance.minor() < -overdraft.minor();
    let today = service.clock().civil(at)?.day;
    let detail = if is_overdue(tx.connection(), customer, today).await? {
        "a charge is overdue".to_owned()
    } else if is_used_up {
        format!("the purse is at {}", purse.balance)
    } else {
        return Ok(None);
    };
    let open = open_of(&mut *tx.connection(), customer).await?;
    if !open.iter().any(|cut| cut.meter_id == meter) {
        want(service, tx.connection(), meter, customer, &detail, at).await?;
    }
    let what = format!("meter {}", it.serial_number);
    let why = format!("{detail}, so it stays disconnected; it is connected once that is paid");
    Ok(Some((customer, ServiceError::Blocked { what, why })))
}

/// The meters that are not cut, nor about to be: those that are paid from the purse, or every one.
async fn uncut(
    connection: &mut Connection,
    customer: CustomerId,
    all: bool,
) -> Result<Vec<MeterId>> {
    let ids: Vec<String> = sqlx::query_scalar(
        "select meter_id from meter
         where customer_id = $1 and (mode = 'platform-purse' or $2 = 1) and account = 'open'
           and keeps_power = 0
           and not exists (select 1 from supply_cut
                           where supply_cut.meter_id = meter.meter_id and state <> 'ended')
         order by serial_number",
    )
    .bind(customer.to_string())
    .bind(i64::from(all))
    .fetch_all(connection)
    .await?;
    ids.into_iter().map(|id| stored::parsed("meter_id", &id)).collect()
}

async fn want(
    service: &Service,
    connection: &mut Connection,
    meter: MeterId,
    customer: CustomerId,
    detail: &str,
    at: UnixMs,
) -> Result<()> {
    sqlx::query(
        "insert into supply_cut (supply_cut_id, meter_id, customer_id, state, detail, tries,
                                 next_try_ms, opened_at_ms)
         values ($1, $2, $3, 'wanted', $4, 0, $5, $5)",
    )
    .bind(service.clock().id().to_string())
    .bind(meter.to_string())
    .bind(customer.to_string())
    .bind(detail)
    .bind(at.0)
    .execute(&mut *connection)
    .await?;
    record(connection, at, meter, "supply-cut-wanted", detail).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tries_come_later_and_later() {
        let minutes: Vec<i64> = (1..9).map(|tries| wait_ms(tries) / 60_000).collect();
        assert_eq!(minutes, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(wait_ms(i64::MAX), WAIT_MS_MAX);
    }
}

//! The rows of swaps.

use super::{Asked, Swap, SwapRequest, SwapState};
use crate::Service;
use crate::account::file::Why;
use crate::account::money::Figures;
use crate::audit::{self, Act, Actor};
use crate::clock::UnixMs;
use crate::error::{Result, ServiceError, bad_column, invalid};
use crate::{sale, stored};
use polymeter_domain::{ApplicationId, Credit, CustomerId, Money, Sale, SaleId, SwapId};
use polymeter_ledger::{Connection, Transaction};

#[derive(sqlx::FromRow)]
pub(super) struct Row {
    swap_id: String,
    old_meter_id: String,
    new_meter_id: String,
    customer_id: String,
    state: String,
    reason: String,
    application_id: Option<String>,
    keyed_reading: Option<i64>,
    keyed_minor: Option<i64>,
    keyed_new_reading: Option<i64>,
    is_excess_accepted: i64,
    old_reading: i64,
    remaining_minor: i64,
    left_quantity: Option<String>,
    left_amount: Option<i64>,
    currency: String,
    told_by: String,
    new_reading: Option<i64>,
    consumed_minor: Option<i64>,
    excess_minor: Option<i64>,
    pub(super) sale_id: Option<String>,
    old_purse: String,
    operator_id: Option<String>,
    created_at_ms: i64,
    ended_at_ms: Option<i64>,
}

fn whole(column: &'static str, number: i64) -> Result<u64> {
    u64::try_from(number).map_err(|_| bad_column(column, number.to_string()))
}

impl Row {
    pub(super) fn swap(self, sale: Option<(SaleId, Sale)>) -> Result<Swap> {
        let currency = stored::currency(&self.currency)?;
        let amount = |minor: Option<i64>| minor.map(|minor| Money::new(minor, currency));
        let whole = |column, number: Option<i64>| number.map(|it| whole(column, it)).transpose();
        let application = self.application_id.as_deref();
        let application: Option<ApplicationId> =
            application.map(|text| stored::parsed("application_id", text)).transpose()?;
        let left = match (self.left_quantity.as_deref(), self.left_amount) {
            (Some(name), Some(amount)) => Some(Credit {
                quantity: stored::quantity(name)?,
                amount: self::whole("left_amount", amount)?,
            }),
            _ => None,
        };
        Ok(Swap {
            swap_id: stored::parsed("swap_id", &self.swap_id)?,
            old_meter_id: stored::parsed("old_meter_id", &self.old_meter_id)?,
            new_meter_id: stored::parsed("new_meter_id", &self.new_meter_id)?,
            customer_id: stored::parsed("customer_id", &self.customer_id)?,
            state: SwapState::from_name(&self.state)?,
            why: Why { reason: self.reason, application },
            old_reading: whole("old_reading", Some(self.old_reading))?.unwrap_or_default(),
            remaining: Money::new(self.remaining_minor, currency),
            left,
            told_by: self.told_by,
            new_reading: whole("new_reading", self.new_reading)?,
            consumed: amount(self.consumed_minor),
            excess: amount(self.excess_minor),
            sale,
            is_old_cleared: self.old_purse == "cleared",
            operator: Actor::from_stored(self.operator_id.as_deref())?,
            created_at: UnixMs(self.created_at_ms),
            ended_at: self.ended_at_ms.map(UnixMs),
            request: Asked {
                keyed_reading: whole("keyed_reading", self.keyed_reading)?,
                keyed_minor: self.keyed_minor,
                new_reading: whole("keyed_new_reading", self.keyed_new_reading)?,
                accept_excess: self.is_excess_accepted == 1,
            },
        })
    }
}

pub(super) async fn find_in(connection: &mut Connection, swap_id: SwapId) -> Result<Option<Swap>> {
    let row: Option<Row> = sqlx::query_as("select * from swap where swap_id = $1")
        .bind(swap_id.to_string())
        .fetch_optional(&mut *connection)
        .await?;
    let Some(row) = row else { return Ok(None) };
    let sale = match row.sale_id.as_deref() {
        Some(text) => {
            Some(sale::state_of(&mut *connection, stored::parsed("sale_id", text)?).await?)
        }
        None => None,
    };
    row.swap(sale).map(Some)
}

pub(super) async fn existing(connection: &mut Connection, swap_id: SwapId) -> Result<Swap> {
    let found = find_in(connection, swap_id).await?;
    found.ok_or_else(|| ServiceError::NotFound { what: "swap", id: swap_id.to_string() })
}

pub(super) async fn insert(
    tx: &mut Transaction,
    service: &Service,
    swap_id: SwapId,
    customer_id: CustomerId,
    request: &SwapRequest,
    figures: Figures,
    actor: &Actor,
) -> Result<()> {
    let at = service.clock().at();
    let stored = |number: u64| {
        i64::try_from(number).map_err(|_| invalid("reading", "more than this program counts in"))
    };
    sqlx::query(
        "insert into swap (swap_id, old_meter_id, new_meter_id, customer_id, state, reason,
                           application_id, keyed_reading, keyed_minor, keyed_new_reading,
                           is_excess_accepted, old_reading, remaining_minor, currency, told_by,
                           old_purse, operator_id, created_at_ms, left_quantity, left_amount)
         values ($1, $2, $3, $4, 'begun', $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, 'full',
                 $15, $16, $17, $18)",
    )
    .bind(swap_id.to_string())
    .bind(request.old.to_string())
    .bind(request.new.to_string())
    .bind(customer_id.to_string())
    .bind(&request.why.reason)
    .bind(request.why.application.map(|id| id.to_string()))
    .bind(request.keyed.reading.map(stored).transpose()?)
    .bind(request.keyed.credit.map(|credit| credit.minor()))
    .bind(request.new_reading.map(stored).transpose()?)
    .bind(i64::from(request.accept_excess))
    .bind(stored(figures.reading)?)
    .bind(figures.remaining.minor())
    .bind(figures.remaining.currency().code())
    .bind(figures.told_by.name())
    .bind(actor.stored())
    .bind(at.0)
    .bind(figures.left.map(|left| crate::stored::quantity_name(left.quantity)))
    .bind(figures.left.map(|left| stored(left.amount)).transpose()?)
    .execute(tx.connection())
    .await?;
    let detail = format!(
        "meter/{} to meter/{}, {} {} left by the {}",
        request.old,
        request.new,
        figures.remaining,
        figures.remaining.currency().code(),
        figures.told_by.name()
    );
    let (act, object) = ("swap-begun", format!("swap/{swap_id}"));
    audit::record(tx.connection(), Act { at, actor, act, object, detail: &detail }).await
}

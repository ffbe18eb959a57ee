//! The rows of sales. [`advance`] is the only place that changes one's state: it lets `domain::Sale`
//! say what follows, and moves the money of the pending transfer in the same transaction.

use super::{SaleRequest, history, paper};
use crate::Service;
use crate::audit::{self, Act, Actor};
use crate::clock::UnixMs;
use crate::counter_act;
use crate::error::{Result, ServiceError, bad_column};
use crate::meter::MeterRecord;
use crate::page::Bound;
use crate::shift::{self, Movement};
use crate::standing::{self, Difference};
use crate::stored;
use crate::tariff::{commodity, commodity_name};
use crate::token;
use polymeter_domain::sale::OutOfOrder;
use polymeter_domain::tariff::{Commodity, Date};
use polymeter_domain::{
    Channel, Credit, CustomerId, Deductions, MeterId, Money, Purchase, PurchaseCount, Receipt,
    Refusal, Sale, SaleId, TariffVersionId, TransferId,
};
use polymeter_ledger::{Connection, Transaction};
use sqlx::AnyExecutor;

/// One sale as its row has it.
#[derive(Debug, Clone)]
pub(crate) struct StoredSale {
    pub sale_id: SaleId,
    pub meter_id: MeterId,
    pub customer_id: CustomerId,
    pub operator: Actor,
    pub paid: Money,
    pub channel: Channel,
    pub deductions: Deductions,
    pub fee_month: Option<String>,
    /// The account that paid, where nobody paid over a counter.
    pub carried_from: Option<String>,
    pub tariff_version: TariffVersionId,
    pub priced_on: Date,
    pub commodity: Commodity,
    /// Wh or litres, with ratios and losses.
    pub bought: u64,
    /// The whole arithmetic, as `tariff::kept` writes it.
    pub explanation: String,
    /// What the device is asked to take.
    pub credit: Credit,
    pub pending: TransferId,
    pub state: Sale,
    pub created_at: UnixMs,
    pub settled_at: Option<UnixMs>,
}

impl StoredSale {
    /// The same id with another body is an error, never another sale.
    pub(super) fn must_be(&self, request: &SaleRequest) -> Result<()> {
        let SaleRequest { meter_id, paid, channel, gift } = *request;
        let gift = gift.map_or(0, |gift| gift.minor());
        let own = (self.meter_id, self.paid, self.channel, self.deductions.gift.minor());
        if own == (meter_id, paid, channel, gift) {
            Ok(())
        } else {
            Err(ServiceError::SaleDiffers { sale_id: self.sale_id })
        }
    }

    /// What its arrears part has paid is owed again. It was taken off when the money was reserved, so that
    /// nobody pays the same debt twice meanwhile.
    pub(crate) async fn owe_again(&self, connection: &mut Connection) -> Result<()> {
        let arrears_minor = self.deductions.arrears.minor();
        let by = Difference { arrears_minor, ..Difference::default() };
        standing::change(connection, self.customer_id, by, self.paid.currency()).await
    }

    /// What goes over the counter for it.
    pub(super) fn movement<'a>(&self, actor: &'a Actor, at: UnixMs) -> Movement<'a> {
        let (reference, channel, amount) = (self.sale_id.uuid(), self.channel, self.paid);
        Movement { reference, channel, amount, at, actor }
    }
}

#[derive(Debug, sqlx::FromRow)]
struct Row {
    sale_id: String,
    meter_id: String,
    customer_id: String,
    operator_id: Option<String>,
    paid_minor: i64,
    currency: String,
    channel: String,
    arrears_minor: i64,
    fee_minor: i64,
    fee_month: Option<String>,
    gift_minor: i64,
    carried_from: Option<String>,
    tariff_version_id: String,
    priced_on: String,
    commodity: String,
    bought: i64,
    explanation: String,
    quantity: String,
    amount: i64,
    pending_transfer_id: String,
    state: String,
    purchase_count: Option<i64>,
    balance_quantity: Option<String>,
    balance_amount: Option<i64>,
    refusal_code: Option<i64>,
    refusal_detail: Option<String>,
    refusal_device_code: Option<String>,
    created_at_ms: i64,
    settled_at_ms: Option<i64>,
}

fn whole(column: &'static str, number: i64) -> Result<u64> {
    u64::try_from(number).map_err(|_| bad_column(column, number.to_string()))
}

impl Row {
    fn credit(&self) -> Result<Credit> {
        let quantity = stored::quantity(&self.quantity)?;
        Ok(Credit { quantity, amount: whole("amount", self.amount)? })
    }

    fn purchase(&self) -> Result<Purchase> {
        let count = self
            .purchase_count
            .and_then(|count| u32::try_from(count).ok())
            .ok_or_else(|| bad_column("purchase_count", format!("{:?}", self.purchase_count)))?;
        Ok(Purchase { count: PurchaseCount::new(count), credit: self.credit()? })
    }

    fn balance(&self) -> Result<Option<Credit>> {
        let (Some(quantity), Some(amount)) = (&self.balance_quantity, self.balance_amount) else {
            return Ok(None);
        };
        let quantity = stored::quantity(quantity)?;
        Ok(Some(Credit { quantity, amount: whole("balance_amount", amount)? }))
    }

    fn refusal(&self) -> Result<Refusal> {
        let code = self
            .refusal_code
            .and_then(|code| u16::try_from(code).ok())
            .ok_or_else(|| bad_column("refusal_code", format!("{:?}", self.refusal_code)))?;
        Ok(Refusal {
            code,
            detail: self.refusal_detail.clone().unwrap_or_default(),
            device_code: self.refusal_device_code.clone(),
        })
    }

    fn state(&self) -> Result<Sale> {
        Ok(match self.state.as_str() {
            "reserved" => Sale::Reserved,
            "dispatched" => Sale::Dispatched(self.purchase()?),
            "unresolved" => Sale::Unresolved(self.purchase()?),
            "confirmed" => {
                let Purchase { count, .. } = self.purchase()?;
                Sale::Confirmed(Receipt { count, balance: self.balance()? })
            }
            "refused" => Sale::Refused(self.refusal()?),
            "cancelled" => Sale::Cancelled,
            other => return Err(bad_column("state", other)),
        })
    }
}

impl TryFrom<Row> for StoredSale {
    type Error = ServiceError;
    fn try_from(row: Row) -> Result<StoredSale> {
        let currency = stored::currency(&row.currency)?;
        Ok(StoredSale {
            sale_id: stored::parsed("sale_id", &row.sale_id)?,
            meter_id: stored::parsed("meter_id", &row.meter_id)?,
            customer_id: row
                .customer_id
                .parse()
                .map_err(|_| bad_column("customer_id", &row.customer_id))?,
            operator: Actor::from_stored(row.operator_id.as_deref())?,
            paid: Money::new(row.paid_minor, currency),
            channel: stored::channel(&row.channel)?,
            deductions: Deductions {
                arrears: Money::new(row.arrears_minor, currency),
                fee: Money::new(row.fee_minor, currency),
                gift: Money::new(row.gift_minor, currency),
            },
            fee_month: row.fee_month.clone(),
            carried_from: row.carried_from.clone(),
            tariff_version: row
                .tariff_version_id
                .parse()
                .map_err(|_| bad_column("tariff_version_id", &row.tariff_version_id))?,
            priced_on: row
                .priced_on
                .parse()
                .map_err(|_| bad_column("priced_on", &row.priced_on))?,
            commodity: commodity(&row.commodity)?,
            bought: whole("bought", row.bought)?,
            credit: row.credit()?,
            explanation: row.explanation.clone(),
            pending: row
                .pending_transfer_id
                .parse()
                .map_err(|_| bad_column("pending_transfer_id", &row.pending_transfer_id))?,
            state: row.state()?,
            created_at: UnixMs(row.created_at_ms),
            settled_at: row.settled_at_ms.map(UnixMs),
        })
    }
}

pub(super) async fn find(executor: impl AnyExecutor<'_>, id: SaleId) -> Result<Option<StoredSale>> {
    let row: Option<Row> = sqlx::query_as("select * from sale where sale_id = $1")
        .bind(id.to_string())
        .fetch_optional(executor)
        .await?;
    row.map(StoredSale::try_from).transpose()
}

pub(crate) async fn record(executor: impl AnyExecutor<'_>, id: SaleId) -> Result<StoredSale> {
    find(executor, id)
        .await?
        .ok_or_else(|| ServiceError::NotFound { what: "sale", id: id.to_string() })
}

pub(super) async fn of_meter(
    executor: impl AnyExecutor<'_>,
    meter: MeterId,
    page: &Bound,
) -> Result<Vec<StoredSale>> {
    let rows: Vec<Row> = sqlx::query_as(
        "select * from sale
         where meter_id = $1
           and ($2 is null or (created_at_ms, sale_id) <
                (select created_at_ms, sale_id from sale where sale_id = $2))
         order by created_at_ms desc, sale_id desc limit $3",
    )
    .bind(meter.to_string())
    .bind(&page.after)
    .bind(page.limit)
    .fetch_all(executor)
    .await?;
    rows.into_iter().map(StoredSale::try_from).collect()
}

pub(super) async fn unsettled(executor: impl AnyExecutor<'_>) -> Result<Vec<StoredSale>> {
    let rows: Vec<Row> = sqlx::query_as(
        "select * from sale where state in ('reserved', 'dispatched', 'unresolved')
         order by created_at_ms, sale_id",
    )
    .fetch_all(executor)
    .await?;
    rows.into_iter().map(StoredSale::try_from).collect()
}

/// There is at most one: the index `sale_one_unsettled_per_meter` sees to it.
pub(crate) async fn unsettled_of_meter(
    executor: impl AnyExecutor<'_>,
    meter: MeterId,
) -> Result<Option<SaleId>> {
    let id: Option<String> = sqlx::query_scalar(
        "select sale_id from sale
         where meter_id = $1 and state in ('reserved', 'dispatched', 'unresolved')",
    )
    .bind(meter.to_string())
    .fetch_optional(executor)
    .await?;
    id.map(|text| stored::parsed("sale_id", &text)).transpose()
}

/// Whether nothing is there that may refuse a sale at a meter: what is under way on it or with its
/// customer, and a suspension. One question for the usual case; where something is found, each has its own
/// check, which alone decides: [`none_unsettled`] and `account::sellable`.
pub(super) async fn is_free(connection: &mut Connection, meter: &MeterRecord) -> Result<bool> {
    let found: Option<i64> = sqlx::query_scalar(
        "select cast(1 as bigint) from sale
         where meter_id = $1 and state in ('reserved', 'dispatched', 'unresolved')
         union all
         select cast(1 as bigint) from counter_act
         where meter_id = $1 and state in ('reserved', 'unresolved')
         union all
         select cast(1 as bigint) from hold where meter_id = $1 and to_ms is null
         union all
         select cast(1 as bigint) from swap
         where (old_meter_id = $1 or new_meter_id = $1) and state = 'begun'
         union all
         select cast(1 as bigint) from closing where customer_id = $2 and state = 'begun'
         limit 1",
    )
    .bind(meter.meter_id.to_string())
    .bind(meter.customer_id.map(|id| id.to_string()))
    .fetch_optional(connection)
    .await?;
    Ok(found.is_none())
}

/// Refuses a meter with a sale, or an act that takes one back, that may still be on its way.
pub(crate) async fn none_unsettled(connection: &mut Connection, meter: &MeterRecord) -> Result<()> {
    let serial_number = meter.serial_number.clone();
    if let Some(sale_id) = unsettled_of_meter(&mut *connection, meter.meter_id).await? {
        return Err(ServiceError::Unsettled { serial_number, sale_id });
    }
    match counter_act::unsettled_of_meter(&mut *connection, meter.meter_id).await? {
        None => Ok(()),
        Some(act_id) => Err(ServiceError::UnsettledAct { serial_number, act_id }),
    }
}

pub(super) async fn insert(connection: &mut Connection, sale: &StoredSale) -> Result<()> {
    let whole = |column, number: u64| {
        i64::try_from(number).map_err(|_| bad_column(column, number.to_string()))
    };
    sqlx::query(
        "insert into sale (sale_id, meter_id, customer_id, operator_id, paid_minor, currency,
                           tariff_version_id, priced_on, commodity, bought, explanation,
                           quantity, amount, pending_transfer_id, state, created_at_ms, channel,
                           arrears_minor, fee_minor, fee_month, gift_minor, carried_from)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17,
                 $18, $19, $20, $21, $22)",
    )
    .bind(sale.sale_id.to_string())
    .bind(sale.meter_id.to_string())
    .bind(sale.customer_id.to_string())
    .bind(sale.operator.stored())
    .bind(sale.paid.minor())
    .bind(sale.paid.currency().code())
    .bind(sale.tariff_version.to_string())
    .bind(sale.priced_on.to_string())
    .bind(commodity_name(sale.commodity))
    .bind(whole("bought", sale.bought)?)
    .bind(&sale.explanation)
    .bind(stored::quantity_name(sale.credit.quantity))
    .bind(whole("amount", sale.credit.amount)?)
    .bind(sale.pending.to_string())
    .bind(sale.state.name())
    .bind(sale.created_at.0)
    .bind(sale.channel.name())
    .bind(sale.deductions.arrears.minor())
    .bind(sale.deductions.fee.minor())
    .bind(&sale.fee_month)
    .bind(sale.deductions.gift.minor())
    .bind(&sale.carried_from)
    .execute(connection)
    .await?;
    Ok(())
}

/// One event on its way to a sale.
pub(super) struct Step {
    sale_id: SaleId,
    at: UnixMs,
    /// Of the post or void, where the event leads to one.
    transfer_id: TransferId,
    /// Why, for the history.
    detail: String,
    audit: Option<(Actor, &'static str)>,
}

impl Step {
    pub(super) fn new(service: &Service, sale_id: SaleId, detail: impl Into<String>) -> Step {
        Step {
            sale_id,
            at: service.clock().at(),
            transfer_id: TransferId::new(service.clock().id()),
            detail: detail.into(),
            audit: None,
        }
    }

    /// A person's act: it goes into the trail in the same transaction.
    pub(super) fn audited(mut self, actor: &Actor, act: &'static str) -> Step {
        self.audit = Some((actor.clone(), act));
        self
    }
}

/// One transaction: what `domain::Sale` says follows, its history, and its money.
pub(super) async fn advance(
    service: &Service,
    step: Step,
    event: impl FnOnce(Sale) -> std::result::Result<Sale, OutOfOrder> + Send + 'static,
) -> Result<Sale> {
    service
        .database()
        .write(move |tx| Box::pin(async move { advance_in(tx, step, event).await }))
        .await
}

pub(super) async fn advance_in(
    tx: &mut Transaction,
    step: Step,
    event: impl FnOnce(Sale) -> std::result::Result<Sale, OutOfOrder>,
) -> Result<Sale> {
    let Step { sale_id, at, .. } = step;
    let before = record(&mut *tx.connection(), sale_id).await?;
    let from = before.state.name();
    let next = event(before.state.clone()).map_err(|OutOfOrder { sale, event }| {
        ServiceError::OutOfOrder { sale_id, state: sale.name(), event }
    })?;
    update(tx.connection(), sale_id, from, &next, at).await?;
    history::note(tx.connection(), sale_id, at, next.name(), &step.detail).await?;
    let actor = step.audit.as_ref().map_or(&before.operator, |(actor, _)| actor);
    match &next {
        Sale::Confirmed(receipt) => {
            polymeter_ledger::post(tx, step.transfer_id, before.pending, at.0).await?;
            sqlx::query("update meter set purchase_count = $1 where meter_id = $2")
                .bind(i64::from(receipt.count.get()))
                .bind(before.meter_id.to_string())
                .execute(tx.connection())
                .await?;
            if before.carried_from.is_none() {
                paper::issue(tx.connection(), &before, receipt, at).await?;
            }
        }
        Sale::Refused(_) | Sale::Cancelled => {
            polymeter_ledger::void(tx, step.transfer_id, before.pending, at.0).await?;
            token::cancel_of_sale(tx.connection(), sale_id, at).await?;
            shift::given_back(tx.connection(), before.movement(actor, at)).await?;
            before.owe_again(tx.connection()).await?;
        }
        Sale::Quoted | Sale::Reserved | Sale::Dispatched(_) | Sale::Unresolved(_) => {}
    }
    if let Some((actor, act)) = &step.audit {
        let object = format!("sale/{sale_id}");
        let act = Act { at, actor, act, object, detail: &step.detail };
        audit::record(tx.connection(), act).await?;
    }
    Ok(next)
}

/// Guarded by the state that the event was given, so that no two writers can follow one state.
async fn update(
    connection: &mut Connection,
    id: SaleId,
    from: &'static str,
    next: &Sale,
    at: UnixMs,
) -> Result<()> {
    let count = match next {
        Sale::Dispatched(purchase) | Sale::Unresolved(purchase) => Some(purchase.count),
        Sale::Confirmed(receipt) => Some(receipt.count),
        Sale::Quoted | Sale::Reserved | Sale::Refused(_) | Sale::Cancelled => None,
    };
    let balance = match next {
        Sale::Confirmed(receipt) => receipt.balance,
        _ => None,
    };
    let refusal = match next {
        Sale::Refused(refusal) => Some(refusal),
        _ => None,
    };
    // A balance beyond 63 bits is not worth losing a proof for: it is left out.
    let balance = balance.and_then(|balance| {
        Some((stored::quantity_name(balance.quantity), i64::try_from(balance.amount).ok()?))
    });
    let updated = sqlx::query(
        "update sale set state = $1, purchase_count = coalesce($2, purchase_count),
                balance_quantity = $3, balance_amount = $4,
                refusal_code = $5, refusal_detail = $6, refusal_device_code = $7,
                settled_at_ms = $8
         where sale_id = $9 and state = $10",
    )
    .bind(next.name())
    .bind(count.map(|count| i64::from(count.get())))
    .bind(balance.map(|(quantity, _)| quantity))
    .bind(balance.map(|(_, amount)| amount))
    .bind(refusal.map(|refusal| i64::from(refusal.code)))
    .bind(refusal.map(|refusal| refusal.detail.as_str()))
    .bind(refusal.and_then(|refusal| refusal.device_code.as_deref()))
    .bind(next.is_settled().then_some(at.0))
    .bind(id.to_string())
    .bind(from)
    .execute(connection)
    .await?;
    if updated.rows_affected() == 1 {
        Ok(())
    } else {
        Err(ServiceError::OutOfOrder { sale_id: id, state: from, event: next.name() })
    }
}

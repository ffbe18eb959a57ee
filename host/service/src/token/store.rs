//! The rows of token orders.

use super::{NewTokenOrder, Planned, TokenState, entry_store};
use crate::audit::Actor;
use crate::clock::UnixMs;
use crate::error::{Result, ServiceError, bad_column};
use crate::meter::MeterRecord;
use crate::page::Bound;
use crate::stored;
use polymeter_domain::{
    Credit, LocalTime, MeterAddress, MeterId, SaleId, TokenDigits, TokenKind, TokenOrder,
    TokenOrderId, TokenRolloverId, Value,
};
use polymeter_ledger::{Connection, Reader};
use polymeter_runtime::Device;
use sqlx::AnyExecutor;

/// All that makes the digits beside the order, fixed when the number is taken.
#[derive(Debug, Clone)]
pub(crate) struct Basis {
    /// How often the meter's numbers had begun anew before.
    pub number_round: i64,
    pub identifier: Option<u32>,
    /// They begin anew once this token is typed in.
    pub begins_anew: bool,
    pub device: Device,
    pub issued_for: LocalTime,
}

/// One order as its row has it.
#[derive(Debug, Clone)]
pub(crate) struct StoredToken {
    pub token_order_id: TokenOrderId,
    pub meter_id: MeterId,
    pub sale_id: Option<SaleId>,
    pub rollover_id: Option<TokenRolloverId>,
    pub order: TokenOrder,
    pub reason: String,
    pub operator: Actor,
    pub state: TokenState,
    pub basis: Option<Basis>,
    pub digits: Option<TokenDigits>,
    pub created_at: UnixMs,
    pub ended_at: Option<UnixMs>,
}

impl StoredToken {
    /// The same id with other content is an error, never another token.
    pub(super) fn must_be(&self, new: &NewTokenOrder) -> Result<()> {
        let own = (self.meter_id, self.order.kind, self.order.value, &self.order.change);
        if own == (new.meter_id, new.kind, new.value, &new.change) && self.reason == new.reason {
            return Ok(());
        }
        let id = self.token_order_id.to_string();
        Err(ServiceError::Differs { what: "token order", id })
    }
}

#[derive(Debug, sqlx::FromRow)]
struct Row {
    token_order_id: String,
    meter_id: String,
    sale_id: Option<String>,
    kind: String,
    quantity: Option<String>,
    amount: Option<i64>,
    value: i64,
    change: String,
    reason: String,
    operator_id: Option<String>,
    state: String,
    number_round: Option<i64>,
    identifier: Option<i64>,
    begins_anew: i64,
    address: Option<String>,
    parameters: Option<String>,
    issued_for: Option<String>,
    digits: Option<String>,
    created_at_ms: i64,
    ended_at_ms: Option<i64>,
    rollover_id: Option<String>,
}

impl Row {
    fn credit(&self) -> Result<Option<Credit>> {
        let (Some(quantity), Some(amount)) = (&self.quantity, self.amount) else { return Ok(None) };
        let amount = u64::try_from(amount).map_err(|_| bad_column("amount", amount.to_string()))?;
        Ok(Some(Credit { quantity: stored::quantity(quantity)?, amount }))
    }

    fn basis(&self) -> Result<Option<Basis>> {
        let (Some(number_round), Some(address), Some(parameters), Some(issued_for)) =
            (self.number_round, &self.address, &self.parameters, &self.issued_for)
        else {
            return Ok(None);
        };
        let number = |number: i64| {
            u32::try_from(number).map_err(|_| bad_column("identifier", number.to_string()))
        };
        let Value::Time(issued_for) = stored::value("issued_for", issued_for)? else {
            return Err(bad_column("issued_for", issued_for));
        };
        Ok(Some(Basis {
            number_round,
            identifier: self.identifier.map(number).transpose()?,
            begins_anew: self.begins_anew != 0,
            device: Device {
                address: MeterAddress::new(address).map_err(|_| bad_column("address", address))?,
                parameters: stored::named_values("parameters", parameters)?,
            },
            issued_for,
        }))
    }
}

impl TryFrom<Row> for StoredToken {
    type Error = ServiceError;
    fn try_from(row: Row) -> Result<StoredToken> {
        let (credit, basis) = (row.credit()?, row.basis()?);
        let digits = match &row.digits {
            // Never shown, not even where they are not ours.
            Some(text) => {
                let digits = TokenDigits::parse(text);
                Some(digits.ok_or_else(|| bad_column("digits", "[redacted]"))?)
            }
            None => None,
        };
        Ok(StoredToken {
            token_order_id: stored::parsed("token_order_id", &row.token_order_id)?,
            meter_id: stored::parsed("meter_id", &row.meter_id)?,
            sale_id: row.sale_id.map(|id| stored::parsed("sale_id", &id)).transpose()?,
            rollover_id: row
                .rollover_id
                .map(|id| stored::parsed("rollover_id", &id))
                .transpose()?,
            order: TokenOrder {
                kind: TokenKind::from_name(&row.kind)
                    .ok_or_else(|| bad_column("kind", &row.kind))?,
                credit,
                value: u64::try_from(row.value)
                    .map_err(|_| bad_column("value", row.value.to_string()))?,
                change: stored::named_values("change", &row.change)?,
            },
            reason: row.reason,
            operator: Actor::from_stored(row.operator_id.as_deref())?,
            state: TokenState::from_name(&row.state)?,
            basis,
            digits,
            created_at: UnixMs(row.created_at_ms),
            ended_at: row.ended_at_ms.map(UnixMs),
        })
    }
}

pub(super) async fn find(
    executor: impl AnyExecutor<'_>,
    id: TokenOrderId,
) -> Result<Option<StoredToken>> {
    let row: Option<Row> = sqlx::query_as("select * from token_order where token_order_id = $1")
        .bind(id.to_string())
        .fetch_optional(executor)
        .await?;
    row.map(StoredToken::try_from).transpose()
}

pub(super) async fn record(
    executor: impl AnyExecutor<'_>,
    id: TokenOrderId,
) -> Result<StoredToken> {
    let found = find(executor, id).await?;
    found.ok_or_else(|| ServiceError::NotFound { what: "token order", id: id.to_string() })
}

pub(crate) async fn of_sale(
    executor: impl AnyExecutor<'_>,
    sale: SaleId,
) -> Result<Option<StoredToken>> {
    let row: Option<Row> = sqlx::query_as("select * from token_order where sale_id = $1")
        .bind(sale.to_string())
        .fetch_optional(executor)
        .await?;
    row.map(StoredToken::try_from).transpose()
}

pub(super) async fn of_meter(
    executor: impl AnyExecutor<'_>,
    meter: MeterId,
    page: &Bound,
) -> Result<Vec<StoredToken>> {
    let rows: Vec<Row> = sqlx::query_as(
        "select * from token_order
         where meter_id = $1
           and ($2 is null or (created_at_ms, token_order_id) <
                (select created_at_ms, token_order_id from token_order
                 where token_order_id = $2))
         order by created_at_ms desc, token_order_id desc limit $3",
    )
    .bind(meter.to_string())
    .bind(&page.after)
    .bind(page.limit)
    .fetch_all(executor)
    .await?;
    rows.into_iter().map(StoredToken::try_from).collect()
}

/// What nobody waits for and has no digits yet, oldest first; without those of sales.
pub(super) async fn left(reader: &Reader) -> Result<Vec<StoredToken>> {
    let rows: Vec<Row> = sqlx::query_as(
        "select * from token_order where state in ('approved', 'ordered') and sale_id is null
         order by created_at_ms, token_order_id",
    )
    .fetch_all(reader)
    .await?;
    rows.into_iter().map(StoredToken::try_from).collect()
}

/// How often the meter's numbers began anew, and the greatest one since then.
pub(super) async fn counted(
    executor: impl AnyExecutor<'_>,
    meter: MeterId,
) -> Result<(i64, Option<u32>)> {
    let (number_round, last): (i64, Option<i64>) = sqlx::query_as(
        "select anew.times, (select max(identifier) from token_order
                             where meter_id = $1 and number_round = anew.times)
         from (select cast(count(*) as bigint) as times from token_order
               where meter_id = $1 and begins_anew = 1 and state in ('ordered', 'issued'))
              as anew",
    )
    .bind(meter.to_string())
    .fetch_one(executor)
    .await?;
    let number = |number: i64| {
        u32::try_from(number).map_err(|_| bad_column("identifier", number.to_string()))
    };
    Ok((number_round, last.map(number).transpose()?))
}

/// Whether any token was ever ordered for a meter.
pub(crate) async fn has_any(executor: impl AnyExecutor<'_>, meter: MeterId) -> Result<bool> {
    let found: Option<i64> =
        sqlx::query_scalar("select cast(1 as bigint) from token_order where meter_id = $1 limit 1")
            .bind(meter.to_string())
            .fetch_optional(executor)
            .await?;
    Ok(found.is_some())
}

/// Refuses a meter of which another order is open that is no sale's.
pub(super) async fn none_open(executor: impl AnyExecutor<'_>, meter: &MeterRecord) -> Result<()> {
    let open: Option<String> = sqlx::query_scalar(
        "select token_order_id from token_order
         where meter_id = $1 and sale_id is null and state in ('waiting', 'approved', 'ordered')
         limit 1",
    )
    .bind(meter.meter_id.to_string())
    .fetch_optional(executor)
    .await?;
    blocked_by(meter, open, "token order")
}

/// Refuses a meter whose key is being changed: nobody knows yet by which key the next token is made.
pub(crate) async fn none_open_key_change(
    connection: &mut Connection,
    meter: &MeterRecord,
) -> Result<()> {
    let open: Option<String> = sqlx::query_scalar(
        "select token_order_id from token_order
         where meter_id = $1 and kind = 'key-change' and state = 'ordered' limit 1",
    )
    .bind(meter.meter_id.to_string())
    .fetch_optional(connection)
    .await?;
    blocked_by(meter, open, "key change")
}

fn blocked_by(meter: &MeterRecord, open: Option<String>, thing: &str) -> Result<()> {
    let Some(id) = open else { return Ok(()) };
    let what = format!("meter {}", meter.serial_number);
    Err(ServiceError::Blocked { what, why: format!("{thing} {id} is under way; end that first") })
}

pub(super) async fn insert(connection: &mut Connection, it: &StoredToken) -> Result<()> {
    let whole = |column, number: u64| {
        i64::try_from(number).map_err(|_| bad_column(column, number.to_string()))
    };
    let credit = it.order.credit;
    sqlx::query(
        "insert into token_order (token_order_id, meter_id, sale_id, kind, quantity, amount, value,
                                  change, reason, operator_id, state, created_at_ms, rollover_id)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
    )
    .bind(it.token_order_id.to_string())
    .bind(it.meter_id.to_string())
    .bind(it.sale_id.map(|id| id.to_string()))
    .bind(it.order.kind.name())
    .bind(credit.map(|credit| stored::quantity_name(credit.quantity)))
    .bind(credit.map(|credit| whole("amount", credit.amount)).transpose()?)
    .bind(whole("value", it.order.value)?)
    .bind(stored::named_values_text(&it.order.change))
    .bind(&it.reason)
    .bind(it.operator.stored())
    .bind(it.state.name())
    .bind(it.created_at.0)
    .bind(it.rollover_id.map(|id| id.to_string()))
    .execute(connection)
    .await?;
    Ok(())
}

/// Takes the planned number for an order, which is inserted where it is not there yet. Another token that
/// took one meanwhile is a conflict: the plan no longer holds.
pub(crate) async fn allot(
    connection: &mut Connection,
    it: &StoredToken,
    planned: Planned,
) -> Result<()> {
    let Planned { last, basis, .. } = planned;
    if counted(&mut *connection, it.meter_id).await? != (basis.number_round, last) {
        let why = "another token of this meter was ordered in this moment; ask again";
        return Err(ServiceError::Conflict(why.to_owned()));
    }
    if find(&mut *connection, it.token_order_id).await?.is_none() {
        insert(&mut *connection, it).await?;
    }
    sqlx::query(
        "update token_order set state = 'ordered', number_round = $1, identifier = $2, address = $3,
                parameters = $4, issued_for = $5, begins_anew = $6
         where token_order_id = $7 and state = 'approved'",
    )
    .bind(basis.number_round)
    .bind(basis.identifier.map(i64::from))
    .bind(basis.device.address.as_str())
    .bind(stored::named_values_text(&basis.device.parameters))
    .bind(stored::value_text(&Value::Time(basis.issued_for)))
    .bind(i64::from(basis.begins_anew))
    .bind(it.token_order_id.to_string())
    .execute(connection)
    .await?;
    Ok(())
}

pub(super) async fn approve(connection: &mut Connection, id: TokenOrderId) -> Result<()> {
    sqlx::query(
        "update token_order set state = 'approved' where token_order_id = $1 and state = 'waiting'",
    )
    .bind(id.to_string())
    .execute(connection)
    .await?;
    Ok(())
}

/// All orders of one campaign, by their ids.
pub(super) async fn of_rollover(
    executor: impl AnyExecutor<'_>,
    id: TokenRolloverId,
) -> Result<Vec<StoredToken>> {
    let rows: Vec<Row> = sqlx::query_as(
        "select token_order.* from token_order join meter using (meter_id)
         where rollover_id = $1 order by serial_number",
    )
    .bind(id.to_string())
    .fetch_all(executor)
    .await?;
    rows.into_iter().map(StoredToken::try_from).collect()
}

/// Once and for ever: a trigger refuses a second time.
pub(crate) async fn keep_digits(
    connection: &mut Connection,
    id: TokenOrderId,
    digits: &TokenDigits,
    at: UnixMs,
) -> Result<()> {
    let kept = sqlx::query(
        "update token_order set state = 'issued', digits = $1, ended_at_ms = $2
         where token_order_id = $3 and state = 'ordered'",
    )
    .bind(digits.stored())
    .bind(at.0)
    .bind(id.to_string())
    .execute(&mut *connection)
    .await?;
    if kept.rows_affected() == 1 {
        return entry_store::begin(connection, id, at).await;
    }
    let (what, id, state) = ("token order", id.to_string(), "not ordered");
    Err(ServiceError::WrongState { what, id, state, event: "issued" })
}

/// What has digits stays.
pub(super) async fn cancel(
    connection: &mut Connection,
    it: &StoredToken,
    at: UnixMs,
) -> Result<()> {
    if matches!(it.state, TokenState::Issued | TokenState::Cancelled) {
        let (what, id, state) = ("token order", it.token_order_id.to_string(), it.state.name());
        return Err(ServiceError::WrongState { what, id, state, event: "cancelled" });
    }
    sqlx::query(
        "update token_order set state = 'cancelled', ended_at_ms = $1
         where token_order_id = $2 and state in ('waiting', 'approved', 'ordered')",
    )
    .bind(at.0)
    .bind(it.token_order_id.to_string())
    .execute(connection)
    .await?;
    Ok(())
}

/// Of a sale that came to nothing: its number is used up, and nobody has seen digits.
pub(crate) async fn cancel_of_sale(
    connection: &mut Connection,
    sale: SaleId,
    at: UnixMs,
) -> Result<()> {
    sqlx::query(
        "update token_order set state = 'cancelled', ended_at_ms = $1
         where sale_id = $2 and state = 'ordered'",
    )
    .bind(at.0)
    .bind(sale.to_string())
    .execute(connection)
    .await?;
    Ok(())
}

/// The meter's own parameters become those that the key change brought.
pub(super) async fn change_key(connection: &mut Connection, it: &StoredToken) -> Result<()> {
    let basis = it.basis.as_ref().ok_or_else(|| bad_column("number_round", "none"))?;
    let change = &it.order.change;
    let kept = basis.device.parameters.iter();
    let kept = kept.filter(|(name, _)| !change.iter().any(|(new, _)| new == name));
    let parameters: Vec<_> = kept.chain(change).cloned().collect();
    sqlx::query("update meter set parameters = $1 where meter_id = $2")
        .bind(stored::named_values_text(&parameters))
        .bind(it.meter_id.to_string())
        .execute(connection)
        .await?;
    Ok(())
}

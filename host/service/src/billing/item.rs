//! Charge items (收费项目): what may be charged beside energy and water, who is charged it from when
//! to when, and each customer's area.

use crate::Service;
use crate::audit::{self, Act, Actor};
use crate::clock::UnixMs;
use crate::customer::{exists, typed_not_empty};
use crate::error::{Constraint, Result, ServiceError, bad_column, invalid, violated};
use crate::limits::{MAX_PLAN_NAME_CHARS, MAX_SALE_MINOR};
use crate::stored;
use polymeter_domain::tariff::Date;
use polymeter_domain::{ChargeAssignmentId, ChargeItemId, CustomerId, Money, Recurrence};
use polymeter_ledger::Transaction;
use sqlx::AnyExecutor;

/// Areas above this are slips of the keyboard: a million m².
const AREA_HUNDREDTHS_MAX: i64 = 100_000_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Basis {
    Fixed,
    /// For each m² of the customer's area.
    Area,
}

impl Basis {
    pub fn name(self) -> &'static str {
        match self {
            Basis::Fixed => "fixed",
            Basis::Area => "area",
        }
    }

    pub fn from_name(name: &str) -> Option<Basis> {
        [Basis::Fixed, Basis::Area].into_iter().find(|basis| basis.name() == name)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PaidFrom {
    /// The purse, and owed where that is empty.
    Purse,
    /// A bill of its own (催缴账单).
    Bill,
}

impl PaidFrom {
    pub fn name(self) -> &'static str {
        match self {
            PaidFrom::Purse => "purse",
            PaidFrom::Bill => "bill",
        }
    }

    pub fn from_name(name: &str) -> Option<PaidFrom> {
        [PaidFrom::Purse, PaidFrom::Bill].into_iter().find(|from| from.name() == name)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewItem {
    pub name: String,
    pub basis: Basis,
    pub amount: Money,
    pub every: Recurrence,
    pub paid_from: PaidFrom,
    /// The supply is cut while it is overdue (欠费拉闸).
    pub cuts_supply: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChargeItem {
    pub item_id: ChargeItemId,
    pub name: String,
    pub basis: Basis,
    pub amount: Money,
    pub every: Recurrence,
    pub paid_from: PaidFrom,
    pub cuts_supply: bool,
    pub created_at: UnixMs,
}

/// An item that a customer is charged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChargeAssignment {
    pub assignment_id: ChargeAssignmentId,
    pub customer_id: CustomerId,
    pub item: ChargeItem,
    /// The first due day.
    pub from: Date,
    /// The first day on which nothing is due any more.
    pub to: Option<Date>,
}

#[derive(Debug, sqlx::FromRow)]
struct Row {
    charge_item_id: String,
    name: String,
    basis: String,
    amount_minor: i64,
    currency: String,
    every: String,
    paid_from: String,
    cuts_supply: i64,
    item_created_at_ms: i64,
}

impl TryFrom<Row> for ChargeItem {
    type Error = ServiceError;
    fn try_from(row: Row) -> Result<ChargeItem> {
        let id = row.charge_item_id.parse();
        Ok(ChargeItem {
            item_id: id.map_err(|_| bad_column("charge_item_id", &row.charge_item_id))?,
            basis: Basis::from_name(&row.basis).ok_or_else(|| bad_column("basis", &row.basis))?,
            amount: Money::new(row.amount_minor, stored::currency(&row.currency)?),
            every: Recurrence::from_name(&row.every)
                .ok_or_else(|| bad_column("every", &row.every))?,
            paid_from: PaidFrom::from_name(&row.paid_from)
                .ok_or_else(|| bad_column("paid_from", &row.paid_from))?,
            cuts_supply: row.cuts_supply != 0,
            created_at: UnixMs(row.item_created_at_ms),
            name: row.name,
        })
    }
}

#[derive(Debug, sqlx::FromRow)]
struct AssignmentRow {
    charge_assignment_id: String,
    customer_id: String,
    from_day: String,
    to_day: Option<String>,
    #[sqlx(flatten)]
    item: Row,
}

impl TryFrom<AssignmentRow> for ChargeAssignment {
    type Error = ServiceError;
    fn try_from(row: AssignmentRow) -> Result<ChargeAssignment> {
        let id = row.charge_assignment_id.parse();
        let customer = row.customer_id.parse();
        Ok(ChargeAssignment {
            assignment_id: id
                .map_err(|_| bad_column("charge_assignment_id", &row.charge_assignment_id))?,
            customer_id: customer.map_err(|_| bad_column("customer_id", &row.customer_id))?,
            item: row.item.try_into()?,
            from: stored::parsed("from_day", &row.from_day)?,
            to: row.to_day.map(|text| stored::parsed("to_day", &text)).transpose()?,
        })
    }
}

/// Asked before an item is put there, since a trigger says less than the unique name.
async fn name_is_free(tx: &mut Transaction, name: &str) -> Result<()> {
    let known: i64 = sqlx::query_scalar("select count(*) from charge_item where name = $1")
        .bind(name)
        .fetch_one(tx.connection())
        .await?;
    if known > 0 {
        return Err(ServiceError::Exists { what: "charge item", id: name.to_owned() });
    }
    Ok(())
}

impl Service {
    pub async fn add_item(&self, new: NewItem, actor: &Actor) -> Result<ChargeItem> {
        let name = typed_not_empty("name", &new.name, MAX_PLAN_NAME_CHARS)?;
        if matches!(name.as_str(), "electricity" | "water") {
            return Err(invalid("name", "energy and water are charged by meters"));
        }
        let (minor, currency) = (new.amount.minor(), self.currency());
        if new.amount.currency() != currency || minor <= 0 || minor > MAX_SALE_MINOR {
            let most = Money::new(MAX_SALE_MINOR, currency);
            return Err(invalid(
                "amount",
                format!("{} is not above zero and at most {most}", new.amount),
            ));
        }
        let (id, at) = (ChargeItemId::new(self.clock().id()), self.clock().at());
        let actor = actor.clone();
        self.database()
            .write(move |tx| {
                Box::pin(async move {
                    name_is_free(tx, &name).await?;
                    let inserted = sqlx::query(
                        "insert into charge_item (charge_item_id, name, basis, amount_minor,
                                                  currency, every, paid_from, cuts_supply,
                                                  operator_id, created_at_ms)
                         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
                    )
                    .bind(id.to_string())
                    .bind(&name)
                    .bind(new.basis.name())
                    .bind(minor)
                    .bind(currency.code())
                    .bind(new.every.name())
                    .bind(new.paid_from.name())
                    .bind(i64::from(new.cuts_supply))
                    .bind(actor.stored())
                    .bind(at.0)
                    .execute(tx.connection())
                    .await;
                    if let Err(error) = inserted {
                        return Err(match violated(&error) {
                            Some(Constraint::ChargeItemName) => {
                                ServiceError::Exists { what: "charge item", id: name }
                            }
                            _ => error.into(),
                        });
                    }
                    let detail = format!(
                        "{name}: {} {} {}, {}",
                        new.amount,
                        new.basis.name(),
                        new.every.name(),
                        new.paid_from.name()
                    );
                    let object = format!("charge-item/{id}");
                    let act = "charge-item-added";
                    audit::record(
                        tx.connection(),
                        Act { at, actor: &actor, act, object, detail: &detail },
                    )
                    .await
                })
            })
            .await?;
        let item = self.items().await?.into_iter().find(|item| item.item_id == id);
        item.ok_or_else(|| ServiceError::NotFound { what: "charge item", id: id.to_string() })
    }

    /// By their names.
    pub async fn items(&self) -> Result<Vec<ChargeItem>> {
        let rows: Vec<Row> = sqlx::query_as(
            "select charge_item_id, name, basis, amount_minor, currency, every, paid_from,
                    cuts_supply, created_at_ms as item_created_at_ms
             from charge_item order by name",
        )
        .fetch_all(self.reader())
        .await?;
        rows.into_iter().map(ChargeItem::try_from).collect()
    }

    /// Charges a customer an item from a day on; today, where none is given.
    pub async fn assign_item(
        &self,
        customer: CustomerId,
        item: ChargeItemId,
        from: Option<Date>,
        actor: &Actor,
    ) -> Result<Vec<ChargeAssignment>> {
        let from = from.unwrap_or(self.today()?);
        let (id, at, actor) = (self.clock().id(), self.clock().at(), actor.clone());
        self.database()
            .write(move |tx| {
                Box::pin(async move {
                    exists(tx.connection(), customer).await?;
                    let name: Option<String> = sqlx::query_scalar(
                        "select name from charge_item where charge_item_id = $1",
                    )
                    .bind(item.to_string())
                    .fetch_optional(tx.connection())
                    .await?;
                    let name = name.ok_or(ServiceError::NotFound {
                        what: "charge item",
                        id: item.to_string(),
                    })?;
                    let assigned = sqlx::query(
                        "insert into charge_assignment (charge_assignment_id, charge_item_id,
                                                        customer_id, from_day, operator_id,
                                                        created_at_ms)
                         select $1, $2, $3, $4, $5, $6
                         where not exists (select 1 from charge_assignment
                                           where charge_item_id = $2 and customer_id = $3
                                             and to_day is null)",
                    )
                    .bind(id.to_string())
                    .bind(item.to_string())
                    .bind(customer.to_string())
                    .bind(from.to_string())
                    .bind(actor.stored())
                    .bind(at.0)
                    .execute(tx.connection())
                    .await?;
                    if assigned.rows_affected() == 0 {
                        return Err(ServiceError::Exists {
                            what: "charge of this customer",
                            id: name,
                        });
                    }
                    let object = format!("customer/{customer}");
                    let detail = format!("{name} from {from}");
                    let act = "charge-item-assigned";
                    audit::record(
                        tx.connection(),
                        Act { at, actor: &actor, act, object, detail: &detail },
                    )
                    .await
                })
            })
            .await?;
        self.assignments(customer).await
    }

    /// From this day on nothing more is due; what is booked stays.
    pub async fn end_assignment(
        &self,
        id: ChargeAssignmentId,
        to: Date,
        actor: &Actor,
    ) -> Result<()> {
        let (at, actor) = (self.clock().at(), actor.clone());
        self.database()
            .write(move |tx| {
                Box::pin(async move {
                    let ended = sqlx::query(
                        "update charge_assignment set to_day = $1
                         where charge_assignment_id = $2 and to_day is null",
                    )
                    .bind(to.to_string())
                    .bind(id.to_string())
                    .execute(tx.connection())
                    .await?;
                    if ended.rows_affected() == 0 {
                        let what = "charge that has not ended";
                        return Err(ServiceError::NotFound { what, id: id.to_string() });
                    }
                    let object = format!("charge-assignment/{id}");
                    let (act, detail) = ("charge-item-ended", to.to_string());
                    audit::record(
                        tx.connection(),
                        Act { at, actor: &actor, act, object, detail: &detail },
                    )
                    .await
                })
            })
            .await
    }

    /// All of a customer, also those that have ended; oldest first.
    pub async fn assignments(&self, customer: CustomerId) -> Result<Vec<ChargeAssignment>> {
        self.customer(customer).await?;
        assignments(self.reader(), Some(customer)).await
    }

    /// The area by which a customer is charged, in hundredths of a m².
    pub async fn set_area(
        &self,
        customer: CustomerId,
        hundredths: i64,
        actor: &Actor,
    ) -> Result<()> {
        if !(1..=AREA_HUNDREDTHS_MAX).contains(&hundredths) {
            return Err(invalid("area", "it must be above zero and at most 1000000 m²"));
        }
        let (at, actor) = (self.clock().at(), actor.clone());
        self.database()
            .write(move |tx| {
                Box::pin(async move {
                    exists(tx.connection(), customer).await?;
                    let old = area(&mut *tx.connection(), customer).await?;
                    sqlx::query(
                        "insert into customer_area (customer_id, hundredths) values ($1, $2)
                         on conflict (customer_id) do update set hundredths = excluded.hundredths",
                    )
                    .bind(customer.to_string())
                    .bind(hundredths)
                    .execute(tx.connection())
                    .await?;
                    let object = format!("customer/{customer}");
                    let old = old.map_or("none".to_owned(), in_m2);
                    let detail = format!("{old} to {}", in_m2(hundredths));
                    let act = "customer-area-changed";
                    audit::record(
                        tx.connection(),
                        Act { at, actor: &actor, act, object, detail: &detail },
                    )
                    .await
                })
            })
            .await
    }

    pub async fn area(&self, customer: CustomerId) -> Result<Option<i64>> {
        area(self.reader(), customer).await
    }
}

pub(super) async fn area(
    executor: impl AnyExecutor<'_>,
    customer: CustomerId,
) -> Result<Option<i64>> {
    Ok(sqlx::query_scalar("select hundredths from customer_area where customer_id = $1")
        .bind(customer.to_string())
        .fetch_optional(executor)
        .await?)
}

/// "85.50 m²".
pub fn in_m2(hundredths: i64) -> String {
    format!("{}.{:02} m²", hundredths / 100, hundredths % 100)
}

pub(super) async fn assignments(
    executor: impl AnyExecutor<'_>,
    customer: Option<CustomerId>,
) -> Result<Vec<ChargeAssignment>> {
    let rows: Vec<AssignmentRow> = sqlx::query_as(
        "select charge_assignment_id, customer_id, from_day, to_day, item.charge_item_id, name,
                basis, amount_minor, currency, every, paid_from, cuts_supply,
                item.created_at_ms as item_created_at_ms
         from charge_assignment as given
         join charge_item as item on item.charge_item_id = given.charge_item_id
         where $1 is null or customer_id = $1
         order by given.created_at_ms, charge_assignment_id",
    )
    .bind(customer.map(|id| id.to_string()))
    .fetch_all(executor)
    .await?;
    rows.into_iter().map(ChargeAssignment::try_from).collect()
}

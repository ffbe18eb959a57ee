//! Purses on the platform (后台计费): money that a customer has here, paid in and given back, and
//! what follows when it runs out.
//!
//! Invariant: a purse's balance is its ledger account's, changed in the same job and nowhere else
//! than in [`change`]; a payment is made once under the client's own id. No device is asked for it.
//! Not here: what takes money out of it (charge).

mod cut;
mod overdraft;
mod paper;
mod refund;
mod round;
mod rules;

pub use cut::SupplyCut;
pub use refund::{PurseRefund, RefundState};
pub(crate) use refund::{approved as refund_approved, withdrawn as refund_withdrawn};
pub use round::Round;
pub use rules::PurseRules;

use crate::Service;
use crate::approval;
use crate::audit::{self, Act, Actor};
use crate::billing;
use crate::booking::{self, Booking, purse_account};
use crate::clock::UnixMs;
use crate::error::{Result, ServiceError, bad_column, invalid};
use crate::limits::MAX_SALE_MINOR;
use crate::mode::reason_of;
use crate::page::{Bound, Page};
use crate::stored;
use polymeter_domain::{ApprovalId, Channel, Currency, CustomerId, Money, PursePaymentId};
use polymeter_ledger::{Connection, Transaction};
use sqlx::AnyExecutor;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    In,
    /// Given back to the customer.
    Out,
}

impl Direction {
    pub fn name(self) -> &'static str {
        match self {
            Direction::In => "in",
            Direction::Out => "out",
        }
    }
}

/// A customer's money here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Purse {
    pub customer_id: CustomerId,
    /// Below zero: what he owes.
    pub balance: Money,
    pub below_since: Option<UnixMs>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPayment {
    pub customer_id: CustomerId,
    pub direction: Direction,
    pub channel: Channel,
    pub amount: Money,
    /// Why money is given back; may be empty for a payment in.
    pub reason: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PursePayment {
    pub payment_id: PursePaymentId,
    pub customer_id: CustomerId,
    pub direction: Direction,
    pub channel: Channel,
    pub amount: Money,
    pub reason: String,
    pub balance_after: Money,
    pub operator: Actor,
    pub created_at: UnixMs,
}

/// The rules in force, and whose supply somebody in this process is just cutting or restoring.
#[derive(Debug)]
pub(crate) struct Purses {
    rules: RwLock<Arc<PurseRules>>,
    tended: Mutex<HashMap<CustomerId, Arc<tokio::sync::Mutex<()>>>>,
}

impl Purses {
    pub(crate) fn new(currency: Currency) -> Purses {
        let rules = RwLock::new(Arc::new(PurseRules::new(currency)));
        Purses { rules, tended: Mutex::default() }
    }

    fn of(&self, customer: CustomerId) -> Arc<tokio::sync::Mutex<()>> {
        let mut tended = self.tended.lock().unwrap_or_else(PoisonError::into_inner);
        tended.retain(|_, lock| Arc::strong_count(lock) > 1);
        tended.entry(customer).or_default().clone()
    }
}

#[derive(Debug, sqlx::FromRow)]
struct PaymentRow {
    purse_payment_id: String,
    customer_id: String,
    direction: String,
    channel: String,
    amount_minor: i64,
    currency: String,
    reason: String,
    balance_after_minor: i64,
    operator_id: Option<String>,
    created_at_ms: i64,
}

impl TryFrom<PaymentRow> for PursePayment {
    type Error = ServiceError;
    fn try_from(row: PaymentRow) -> Result<PursePayment> {
        let currency = stored::currency(&row.currency)?;
        Ok(PursePayment {
            payment_id: row
                .purse_payment_id
                .parse()
                .map_err(|_| bad_column("purse_payment_id", &row.purse_payment_id))?,
            customer_id: row
                .customer_id
                .parse()
                .map_err(|_| bad_column("customer_id", &row.customer_id))?,
            direction: match row.direction.as_str() {
                "in" => Direction::In,
                "out" => Direction::Out,
                other => return Err(bad_column("direction", other)),
            },
            channel: Channel::from_name(&row.channel)
                .ok_or_else(|| bad_column("channel", &row.channel))?,
            amount: Money::new(row.amount_minor, currency),
            reason: row.reason,
            balance_after: Money::new(row.balance_after_minor, currency),
            operator: Actor::from_stored(row.operator_id.as_deref())?,
            created_at: UnixMs(row.created_at_ms),
        })
    }
}

/// What became of a payment that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Payment {
    Made(PursePayment),
    /// A second person has to agree before money is given back.
    Waits(ApprovalId),
}

impl Service {
    pub fn purse_rules(&self) -> Arc<PurseRules> {
        self.inner.purses.rules.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What `[purse]` of the configuration says now.
    pub fn keep_purse_rules(&self, rules: PurseRules) {
        let mut kept = self.inner.purses.rules.write().unwrap_or_else(PoisonError::into_inner);
        *kept = Arc::new(rules);
    }

    pub async fn purse(&self, customer: CustomerId) -> Result<Purse> {
        self.customer(customer).await?;
        balance(self.reader(), customer, self.currency()).await
    }

    /// A payment under the client's own id: asking again is the same payment. Money that comes in
    /// may restore a supply, which goes on in the background; what goes out above the site's limit
    /// waits for a second person.
    pub async fn pay_purse(
        &self,
        id: PursePaymentId,
        new: NewPayment,
        actor: &Actor,
    ) -> Result<Payment> {
        let new = self.checked_payment(new)?;
        let (service, by) = (self.clone(), actor.clone());
        let customer = new.customer_id;
        let payment = self
            .database()
            .write(move |tx| Box::pin(async move { pay_or_ask(&service, tx, id, new, by).await }))
            .await?;
        self.tend_soon(customer);
        Ok(payment)
    }

    /// What a payment would leave; nothing is stored.
    pub async fn try_payment(&self, new: NewPayment) -> Result<Money> {
        let new = self.checked_payment(new)?;
        let purse = self.purse(new.customer_id).await?;
        after(&purse, &new)
    }

    /// Whether a payment waits for a second person.
    pub fn payment_takes_two(&self, new: &NewPayment) -> bool {
        new.direction == Direction::Out && self.rules().approval.is_needed_to_give_back(new.amount)
    }

    fn checked_payment(&self, new: NewPayment) -> Result<NewPayment> {
        let (amount, currency) = (new.amount, self.currency());
        let why = if amount.currency() != currency {
            format!("this system books {}", currency.code())
        } else if amount.minor() <= 0 {
            "it must be above zero".to_owned()
        } else if amount.minor() > MAX_SALE_MINOR {
            format!("one payment is at most {}", Money::new(MAX_SALE_MINOR, currency))
        } else {
            let reason = match new.direction {
                Direction::In => new.reason.trim().to_owned(),
                Direction::Out => reason_of(&new.reason)?,
            };
            return Ok(NewPayment { reason, ..new });
        };
        Err(invalid("amount", format!("{amount}: {why}")))
    }

    /// Newest first.
    pub async fn purse_payments(
        &self,
        customer: CustomerId,
        page: &Page,
    ) -> Result<Vec<PursePayment>> {
        self.customer(customer).await?;
        let Bound { after, limit, .. } = page.bound()?;
        let rows: Vec<PaymentRow> = sqlx::query_as(
            "select * from purse_payment
             where customer_id = $1
               and ($2 is null or (created_at_ms, purse_payment_id) <
                    (select created_at_ms, purse_payment_id from purse_payment
                     where purse_payment_id = $2))
             order by created_at_ms desc, purse_payment_id desc limit $3",
        )
        .bind(customer.to_string())
        .bind(after)
        .bind(limit)
        .fetch_all(self.reader())
        .await?;
        rows.into_iter().map(PursePayment::try_from).collect()
    }
}

async fn find(connection: &mut Connection, id: PursePaymentId) -> Result<Option<PursePayment>> {
    let row: Option<PaymentRow> =
        sqlx::query_as("select * from purse_payment where purse_payment_id = $1")
            .bind(id.to_string())
            .fetch_optional(connection)
            .await?;
    row.map(PursePayment::try_from).transpose()
}

/// What the purse holds afterwards; what is given back must be there.
fn after(purse: &Purse, new: &NewPayment) -> Result<Money> {
    let (balance, amount) = (purse.balance, new.amount);
    let minor = match new.direction {
        Direction::In => balance.minor().checked_add(amount.minor()),
        Direction::Out if amount.minor() > balance.minor() => {
            let why = format!("{amount} cannot be given back: the purse has {balance}");
            return Err(invalid("amount", why));
        }
        Direction::Out => balance.minor().checked_sub(amount.minor()),
    };
    let minor = minor.ok_or_else(|| invalid("amount", "more than a purse can hold"))?;
    Ok(Money::new(minor, amount.currency()))
}

async fn pay_or_ask(
    service: &Service,
    tx: &mut Transaction,
    id: PursePaymentId,
    new: NewPayment,
    actor: Actor,
) -> Result<Payment> {
    approval::expire_due(tx, service.clock().at()).await?;
    if let Some(earlier) = find(tx.connection(), id).await? {
        let same = earlier.customer_id == new.customer_id
            && earlier.direction == new.direction
            && earlier.channel == new.channel
            && earlier.amount == new.amount;
        let what = "payment into a purse";
        return if same {
            Ok(Payment::Made(earlier))
        } else {
            Err(ServiceError::Differs { what, id: id.to_string() })
        };
    }
    if let Some(asked) = refund::asked_already(tx, id, &new).await? {
        return Ok(Payment::Waits(asked));
    }
    if service.payment_takes_two(&new) {
        return Ok(Payment::Waits(refund::ask(service, tx, id, &new, &actor).await?));
    }
    Ok(Payment::Made(pay(service, tx, id, new, actor).await?))
}

async fn pay(
    service: &Service,
    tx: &mut Transaction,
    id: PursePaymentId,
    new: NewPayment,
    actor: Actor,
) -> Result<PursePayment> {
    let NewPayment { customer_id, direction, channel, amount, reason } = new.clone();
    crate::customer::exists(tx.connection(), customer_id).await?;
    service.check_shift(tx, channel, &actor).await?;
    let at = service.clock().at();
    let purse = balance(&mut *tx.connection(), customer_id, amount.currency()).await?;
    let balance_after = after(&purse, &new)?;
    let (outside, inside) = (booking::channel_account(channel), purse_account(customer_id));
    let (debit, credit, signed) = match direction {
        Direction::In => (outside, inside, amount.minor()),
        Direction::Out => (inside, outside, -amount.minor()),
    };
    let line = Booking { debit, credit, amount };
    booking::book_all(tx, service.clock(), id.uuid(), at, &[line]).await?;
    change(tx.connection(), customer_id, Money::new(signed, amount.currency()), at).await?;
    if direction == Direction::In {
        billing::settle(service, tx, customer_id).await?;
    }
    insert_payment(tx.connection(), id, &new, balance_after, &actor, at).await?;
    paper::issue(tx.connection(), id, &new, balance_after, &actor, at).await?;
    let act = match direction {
        Direction::In => "purse-paid-into",
        Direction::Out => "purse-given-back",
    };
    let object = format!("customer/{customer_id}");
    let detail = format!("{amount} by {}, purse at {balance_after} {reason}", channel.name());
    let act = Act { at, actor: &actor, act, object, detail: detail.trim_end() };
    audit::record(tx.connection(), act).await?;
    let made = find(tx.connection(), id).await?;
    made.ok_or_else(|| bad_column("purse_payment_id", id.to_string()))
}

async fn insert_payment(
    connection: &mut Connection,
    id: PursePaymentId,
    new: &NewPayment,
    balance_after: Money,
    actor: &Actor,
    at: UnixMs,
) -> Result<()> {
    sqlx::query(
        "insert into purse_payment (purse_payment_id, customer_id, direction, channel,
                                    amount_minor, currency, reason, balance_after_minor,
                                    operator_id, created_at_ms)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
    )
    .bind(id.to_string())
    .bind(new.customer_id.to_string())
    .bind(new.direction.name())
    .bind(new.channel.name())
    .bind(new.amount.minor())
    .bind(new.amount.currency().code())
    .bind(&new.reason)
    .bind(balance_after.minor())
    .bind(actor.stored())
    .bind(at.0)
    .execute(connection)
    .await?;
    Ok(())
}

pub(crate) async fn balance(
    executor: impl AnyExecutor<'_>,
    customer: CustomerId,
    currency: Currency,
) -> Result<Purse> {
    let row: Option<(i64, String, Option<i64>)> = sqlx::query_as(
        "select balance_minor, currency, below_since_ms from purse where customer_id = $1",
    )
    .bind(customer.to_string())
    .fetch_optional(executor)
    .await?;
    let (balance, below_since) = match row {
        Some((minor, code, since)) => (Money::new(minor, stored::currency(&code)?), since),
        None => (Money::new(0, currency), None),
    };
    Ok(Purse { customer_id: customer, balance, below_since: below_since.map(UnixMs) })
}

/// The one way in which a balance changes; whoever calls it books the same in the same job.
pub(crate) async fn change(
    connection: &mut Connection,
    customer: CustomerId,
    by: Money,
    at: UnixMs,
) -> Result<()> {
    let purse = balance(&mut *connection, customer, by.currency()).await?;
    let sum = purse.balance.checked_add(by);
    let sum = sum.ok_or_else(|| invalid("amount", "more than a purse can hold or owe"))?;
    let below = (sum.minor() < 0).then_some(purse.below_since.unwrap_or(at).0);
    sqlx::query(
        "insert into purse (customer_id, balance_minor, currency, below_since_ms)
         values ($1, $2, $3, $4)
         on conflict (customer_id) do update set
             balance_minor = excluded.balance_minor, below_since_ms = excluded.below_since_ms",
    )
    .bind(customer.to_string())
    .bind(sum.minor())
    .bind(sum.currency().code())
    .bind(below)
    .execute(connection)
    .await?;
    Ok(())
}

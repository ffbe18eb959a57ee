//! Closing an account (销户): every meter of the customer gets its final reading, its purse is emptied by
//! its driver, what is left is paid out, and the file goes to the archive.
//!
//! Steps, each stored before the next: `begun` with every meter's figures, from when on nothing is sold;
//! each device `clearing` before it is asked and `cleared` after its yes; `settled` in one transaction.
//! No money is paid out before the devices have given it up, or a person has said that one cannot.
//!
//! Above the site's limit a closing that is begun waits for a second person before any device is asked.
//!
//! Invariants: what is paid out of a meter's account is never more than was sold into the meter; what is
//! paid out and written off is within one person's limit, or somebody else agreed to as much.
//! What a purse on the platform holds is paid out too; one below zero is paid in first.
//! Not here: how one agrees (approval), how the last use is charged (last_use).

mod device;
mod second;
mod settle;
mod store;

pub(crate) use second::{approved, follow, withdrawn};

use super::current_customer;
use super::file::Why;
use super::money::{Figures, Keyed, check_keyed, figures, nothing_billed_is_open};
use super::swap::not_in_a_swap;
use crate::approvable::Approvable;
use crate::approval;
use crate::audit::{self, Act, Actor};
use crate::booking::Booking;
use crate::clock::UnixMs;
use crate::crash_point::crash_point;
use crate::customer::Customer;
use crate::error::{Result, ServiceError, bad_column, chain};
use crate::meter::{self, AccountState, MeterRecord};
use crate::page::Page;
use crate::stored;
use crate::{Service, sale, to_the_end};
use device::{empty, measure_again};
use polymeter_domain::{ApprovalId, Channel, ClosingId, CustomerId, MeterId, Money};
use polymeter_ledger::{Connection, Transaction};
use settle::{nothing_stays_owed, reckon, settle};
use sqlx::AnyExecutor;
use store::{CLOSING, METERS, MeterRow, Row, existing, find_in, insert};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClosingRequest {
    pub customer: CustomerId,
    /// For dead meters, or such whose purse holds no money.
    pub keyed: Vec<(MeterId, Keyed)>,
    /// The devices are not emptied: they are taken off, or cannot be. They are not opened again before
    /// they are.
    pub without_clearing: bool,
    pub arrears: ArrearsEnd,
    pub why: Why,
}

named! {
    /// What becomes of arrears that the remaining money does not cover.
    ArrearsEnd, "arrears":
    /// There must be none.
    None = "none",
    /// They are paid at the counter now.
    Paid = "paid",
    WrittenOff = "written-off",
}

named! {
    ClosingState, "state":
    Begun = "begun", Settled = "settled", Abandoned = "abandoned",
}

named! {
    ClearingState, "state":
    Measured = "measured", Clearing = "clearing", Cleared = "cleared", Kept = "kept",
}

/// One closing as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closing {
    pub closing_id: ClosingId,
    pub customer_id: CustomerId,
    pub state: ClosingState,
    pub why: Why,
    pub arrears: ArrearsEnd,
    /// Paid out, and taken for arrears; `None` until settled.
    pub refunded: Option<Money>,
    pub recovered: Option<Money>,
    /// What a second person has to agree to before it goes on.
    pub approval: Option<ApprovalId>,
    pub operator: Actor,
    pub created_at: UnixMs,
    pub ended_at: Option<UnixMs>,
    pub meters: Vec<ClosingMeter>,
    request: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClosingMeter {
    pub meter_id: MeterId,
    pub serial_number: String,
    pub state: ClearingState,
    pub reading: u64,
    pub remaining: Money,
    pub told_by: String,
}

/// What a closing would book; nothing was stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClosingPreview {
    pub movements: Vec<Booking>,
    pub refunded: Money,
    pub recovered: Money,
    /// What is still owed after all.
    pub owed: Money,
    /// What of it comes out of the purse on the platform.
    pub purse: Money,
}

impl Closing {
    /// A meter that was asked to give up its money.
    fn touched(&self) -> Option<&ClosingMeter> {
        self.meters
            .iter()
            .find(|it| matches!(it.state, ClearingState::Clearing | ClearingState::Cleared))
    }
}

fn blocked(closing: ClosingId, why: impl Into<String>) -> ServiceError {
    ServiceError::Blocked { what: format!("closing {closing}"), why: why.into() }
}

/// Refuses acts on an account that is being closed.
pub(super) async fn not_being_closed(
    executor: impl AnyExecutor<'_>,
    customer: &Customer,
) -> Result<()> {
    if begun_for(executor, customer.customer_id).await?.is_none() {
        return Ok(());
    }
    let why = "the account is being closed; finish or abandon that first".to_owned();
    Err(ServiceError::Blocked { what: format!("customer {}", customer.number), why })
}

/// The same of one of the customer's meters.
pub(crate) async fn not_closing(executor: impl AnyExecutor<'_>, meter: &MeterRecord) -> Result<()> {
    let Some(customer) = meter.customer_id else { return Ok(()) };
    if begun_for(executor, customer).await?.is_none() {
        return Ok(());
    }
    let why = "its customer's account is being closed; finish or abandon that first".to_owned();
    Err(ServiceError::Blocked { what: format!("meter {}", meter.serial_number), why })
}

async fn begun_for(executor: impl AnyExecutor<'_>, customer: CustomerId) -> Result<Option<String>> {
    let found = sqlx::query_scalar(
        "select closing_id from closing where customer_id = $1 and state = 'begun'",
    )
    .bind(customer.to_string())
    .fetch_optional(executor)
    .await?;
    Ok(found)
}

impl Service {
    /// Closes a customer's account. Idempotent by id; asking again goes on where an earlier try ended.
    pub async fn put_closing(
        &self,
        closing: ClosingId,
        request: ClosingRequest,
        actor: &Actor,
    ) -> Result<Closing> {
        let request = ClosingRequest { why: request.why.checked()?, ..request };
        for (_, keyed) in &request.keyed {
            check_keyed(*keyed, self)?;
        }
        let (service, actor) = (self.clone(), actor.clone());
        to_the_end(async move {
            service.expire_approvals().await?;
            match service.find_closing(closing).await? {
                Some(earlier) if earlier.request != format!("{request:?}") => {
                    let (what, id) = ("closing", closing.to_string());
                    return Err(ServiceError::Differs { what, id });
                }
                Some(_) => {}
                None => {
                    begin(&service, closing, request, &actor).await?;
                    crash_point("after-closing-begun");
                }
            }
            drive(&service, closing, &actor).await
        })
        .await?;
        self.closing(closing).await
    }

    /// What it would book, by what the meters say now; nothing is stored but their readings.
    pub async fn preview_closing(
        &self,
        request: &ClosingRequest,
        actor: &Actor,
    ) -> Result<ClosingPreview> {
        let measured = measure(self, request, actor).await?;
        let (inside, customer, today) = (self.clone(), request.customer, self.today()?);
        let meters: Vec<(MeterId, Money)> =
            measured.iter().map(|(meter, it)| (*meter, it.remaining)).collect();
        self.database()
            .write(move |tx| {
                Box::pin(async move { reckon(tx, &inside, customer, &meters, today).await })
            })
            .await
    }

    /// What a closing that is begun would book as things stand.
    pub async fn closing_sums(&self, closing: ClosingId) -> Result<ClosingPreview> {
        let it = self.closing(closing).await?;
        let (inside, today) = (self.clone(), self.today()?);
        let meters: Vec<_> = it.meters.iter().map(|it| (it.meter_id, it.remaining)).collect();
        self.database()
            .write(move |tx| {
                Box::pin(async move { reckon(tx, &inside, it.customer_id, &meters, today).await })
            })
            .await
    }

    /// Goes on with a closing that stopped at a device.
    pub async fn continue_closing(&self, closing: ClosingId, actor: &Actor) -> Result<Closing> {
        let (service, actor) = (self.clone(), actor.clone());
        to_the_end(async move {
            service.expire_approvals().await?;
            drive(&service, closing, &actor).await
        })
        .await?;
        self.closing(closing).await
    }

    /// Gives a closing up of which no device was asked to empty its purse yet.
    pub async fn abandon_closing(
        &self,
        closing: ClosingId,
        reason: &str,
        actor: &Actor,
    ) -> Result<Closing> {
        let why = Why { reason: reason.to_owned(), application: None }.checked()?;
        let (at, actor) = (self.clock().at(), actor.clone());
        self.database()
            .write(move |tx| {
                Box::pin(async move {
                    let it = existing(tx.connection(), closing).await?;
                    if it.state != ClosingState::Begun {
                        return Err(blocked(closing, format!("it is {}", it.state.name())));
                    }
                    if let Some(meter) = it.touched() {
                        let serial = &meter.serial_number;
                        let why = format!("meter {serial} was told to empty its purse; go on");
                        return Err(blocked(closing, why));
                    }
                    let object = Approvable::Closing(closing).to_string();
                    approval::withdraw(tx.connection(), &object, &actor, at).await?;
                    abandon(tx, closing, &why.reason, &actor, at).await
                })
            })
            .await?;
        self.closing(closing).await
    }

    pub async fn closing(&self, closing: ClosingId) -> Result<Closing> {
        let (what, id) = ("closing", closing.to_string());
        self.find_closing(closing).await?.ok_or(ServiceError::NotFound { what, id })
    }

    async fn find_closing(&self, closing: ClosingId) -> Result<Option<Closing>> {
        let row: Option<Row> =
            sqlx::query_as(CLOSING).bind(closing.to_string()).fetch_optional(self.reader()).await?;
        let Some(row) = row else { return Ok(None) };
        let meters: Vec<MeterRow> =
            sqlx::query_as(METERS).bind(closing.to_string()).fetch_all(self.reader()).await?;
        row.closing(meters).map(Some)
    }

    /// Newest first; `query` looks into the customer's number and name and the reason.
    pub async fn closings(&self, page: &Page) -> Result<Vec<Closing>> {
        let bound = page.bound()?;
        let ids: Vec<String> = sqlx::query_scalar(
            r"select closing_id from closing
              join customer on customer.customer_id = closing.customer_id
              where (lower(number) like $1 escape '\' or lower(name) like $1 escape '\'
                     or lower(reason) like $1 escape '\')
                and ($2 is null or (closing.created_at_ms, closing_id) <
                     (select created_at_ms, closing_id from closing where closing_id = $2))
              order by closing.created_at_ms desc, closing_id desc limit $3",
        )
        .bind(bound.pattern)
        .bind(bound.after)
        .bind(bound.limit)
        .fetch_all(self.reader())
        .await?;
        let mut found = Vec::with_capacity(ids.len());
        for text in ids {
            found.push(self.closing(stored::parsed("closing_id", &text)?).await?);
        }
        Ok(found)
    }

    /// The closing of a customer that is under way, if one is.
    pub async fn closing_under_way(&self, customer: CustomerId) -> Result<Option<ClosingId>> {
        let found = begun_for(self.reader(), customer).await?;
        found.map(|text| stored::parsed("closing_id", &text)).transpose()
    }

    /// Closings that a crash cut off go on; one that cannot is left for a person.
    pub async fn resume_closings(&self) -> Result<()> {
        let ids: Vec<String> = sqlx::query_scalar(
            "select closing_id from closing where state = 'begun' order by closing_id",
        )
        .fetch_all(self.reader())
        .await?;
        for text in ids {
            let closing = stored::parsed("closing_id", &text)?;
            if let Err(error) = follow(self, closing).await {
                let why = chain(&error);
                tracing::error!(closing_id = %closing, why, "the closing waits for a person");
            }
        }
        Ok(())
    }
}

async fn abandon(
    tx: &mut Transaction,
    closing: ClosingId,
    why: &str,
    actor: &Actor,
    at: UnixMs,
) -> Result<()> {
    sqlx::query(
        "update closing set state = 'abandoned', ended_at_ms = $1
         where closing_id = $2 and state = 'begun'",
    )
    .bind(at.0)
    .bind(closing.to_string())
    .execute(tx.connection())
    .await?;
    let (act, object) = ("closing-abandoned", format!("closing/{closing}"));
    audit::record(tx.connection(), Act { at, actor, act, object, detail: why }).await
}

/// The customer's meters, none of which may be in the middle of something.
async fn may_close(connection: &mut Connection, customer: CustomerId) -> Result<Vec<MeterRecord>> {
    let customer = current_customer(connection, customer).await?;
    not_being_closed(&mut *connection, &customer).await?;
    let ids: Vec<String> = sqlx::query_scalar(
        "select meter_id from meter where customer_id = $1 order by serial_number",
    )
    .bind(customer.customer_id.to_string())
    .fetch_all(&mut *connection)
    .await?;
    let mut meters = Vec::with_capacity(ids.len());
    for text in ids {
        let meter = meter::record(&mut *connection, stored::parsed("meter_id", &text)?).await?;
        if meter.account != AccountState::Open {
            let why = "its opening has not finished; open it again first".to_owned();
            let what = format!("meter {}", meter.serial_number);
            return Err(ServiceError::Blocked { what, why });
        }
        sale::none_unsettled(connection, &meter).await?;
        not_in_a_swap(&mut *connection, &meter).await?;
        meters.push(meter);
    }
    Ok(meters)
}

/// Every meter's figures, asked one by one.
async fn measure(
    service: &Service,
    request: &ClosingRequest,
    actor: &Actor,
) -> Result<Vec<(MeterId, Figures)>> {
    let customer = request.customer;
    // In a job, so that it sees what is committed; it writes nothing.
    let meters = service
        .database()
        .write(move |tx| Box::pin(async move { may_close(tx.connection(), customer).await }))
        .await?;
    let mut measured = Vec::with_capacity(meters.len());
    for meter in meters {
        let given = request.keyed.iter().find(|(id, _)| *id == meter.meter_id);
        let keyed = given.map(|(_, keyed)| *keyed).unwrap_or_default();
        measured.push((meter.meter_id, figures(service, meter.meter_id, keyed, actor).await?));
    }
    Ok(measured)
}

async fn begin(
    service: &Service,
    closing: ClosingId,
    request: ClosingRequest,
    actor: &Actor,
) -> Result<()> {
    let measured = measure(service, &request, actor).await?;
    charge_last_uses(service, closing, request.customer, &measured, actor).await?;
    let (inside, actor) = (service.clone(), actor.clone());
    service
        .database()
        .write(move |tx| {
            Box::pin(async move {
                if find_in(tx.connection(), closing).await?.is_some() {
                    return Ok(());
                }
                let now = may_close(tx.connection(), request.customer).await?;
                if now.len() != measured.len() {
                    return Err(blocked(closing, "the customer's meters changed meanwhile; again"));
                }
                insert(tx, &inside, closing, &request, &measured, &actor).await?;
                // What settling would refuse is refused before any device gives up its money.
                let meters: Vec<_> =
                    measured.iter().map(|(meter, it)| (*meter, it.remaining)).collect();
                let today = inside.today()?;
                let sums = reckon(tx, &inside, request.customer, &meters, today).await?;
                nothing_stays_owed(closing, request.arrears, &sums)?;
                if sums.refunded.minor() > 0 || sums.owed.minor() > 0 {
                    inside.check_shift(tx, Channel::Cash, &actor).await?;
                }
                let it = existing(tx.connection(), closing).await?;
                second::agreed(tx, &inside, &it, &sums).await?;
                Ok(())
            })
        })
        .await
}

/// What the customer's meters counted since the last charge. A final bill has to be paid before the file goes
/// to the archive.
async fn charge_last_uses(
    service: &Service,
    closing: ClosingId,
    customer: CustomerId,
    measured: &[(MeterId, Figures)],
    actor: &Actor,
) -> Result<()> {
    let currency = service.currency();
    service
        .database()
        .write(move |tx| {
            Box::pin(
                async move { nothing_billed_is_open(tx.connection(), customer, currency).await },
            )
        })
        .await?;
    let mut bills = Vec::new();
    for (meter, figures) in measured {
        if let Some(bill) = service.charge_last_use_of(*meter, figures, actor).await? {
            let bill = service.bill(bill).await?;
            bills.push(format!("{} of {}", bill.number, bill.total));
        }
    }
    if bills.is_empty() {
        return Ok(());
    }
    let why = format!(
        "final bill {} was made for what no bill had yet; have it paid, and close then (suspend a \
         meter that goes on counting)",
        bills.join(", ")
    );
    Err(blocked(closing, why))
}

async fn drive(service: &Service, closing: ClosingId, actor: &Actor) -> Result<()> {
    let it = service.closing(closing).await?;
    match it.state {
        ClosingState::Settled => return Ok(()),
        ClosingState::Abandoned => return Err(blocked(closing, "it was abandoned")),
        ClosingState::Begun => {}
    }
    let object = Approvable::Closing(closing).to_string();
    if approval::waiting_for(service.reader(), &object).await?.is_some() {
        return Ok(());
    }
    let waited = approval::agreed_minor(service.reader(), &object).await?.is_some();
    for meter in &it.meters {
        if waited && meter.state == ClearingState::Measured {
            measure_again(service, closing, meter, actor).await?;
        }
        if matches!(meter.state, ClearingState::Measured | ClearingState::Clearing) {
            empty(service, closing, meter).await?;
        }
    }
    crash_point("before-closing-settled");
    settle(service, closing, actor).await?;
    crash_point("after-closing-settled");
    Ok(())
}

//! Bills for a period (账期): from the readings of post-paid meters to one bill for each customer,
//! looked at first and then confirmed.
//!
//! Invariant: a customer has one bill for a period, whoever confirms it and how often; a run that
//! broke off is taken up by asking again for the same period. Periods never overlap.

use super::bill::{self, BillLine, NewBill};
use crate::Service;
use crate::audit::{self, Act, Actor};
use crate::booking::receivable_account;
use crate::charge::{self, How, Next};
use crate::error::{Result, ServiceError, invalid};
use crate::meter::{self, MeterRecord};
use crate::page::Page;
use crate::reading::Reading;
use crate::stored;
use polymeter_domain::tariff::{Commodity, Date, Moment};
use polymeter_domain::{BillId, BillingPeriodId, CustomerId, MeterId, Money};
use polymeter_ledger::Transaction;
use std::collections::BTreeMap;

/// Readings of a meter that are looked through for the last one of a period.
const READINGS_MAX: u32 = 200;

/// What a customer's bill would be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DraftBill {
    pub customer_id: CustomerId,
    pub lines: Vec<BillLine>,
    pub total: Money,
}

/// What a period comes to, or came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeriodRun {
    pub from: Date,
    pub to: Date,
    /// Of those that have no bill for the period yet.
    pub drafts: Vec<DraftBill>,
    /// The bills that were made just now.
    pub bills: Vec<BillId>,
    /// In a sentence each: meters that cannot be billed.
    pub problems: Vec<String>,
    pub total: Money,
}

/// One meter of a customer, and the reading that ends its period.
struct Ending {
    record: MeterRecord,
    reading: Reading,
}

impl Service {
    /// What a period's bills would be; nothing is stored.
    pub async fn draft_period(&self, from: Date, to: Date) -> Result<PeriodRun> {
        self.check_period(from, to)?;
        let known = self.known_period(from, to).await?;
        let (endings, mut problems) = self.endings(to, known).await?;
        let mut drafts = Vec::new();
        let mut sum = 0_i64;
        for (customer, meters) in endings {
            let mut reader = self.reader();
            let (lines, _, told) = priced(self, &mut reader, &meters, &Actor::System).await?;
            problems.extend(told);
            let total: i64 = lines.iter().map(|line| line.amount.minor()).sum();
            sum = sum.saturating_add(total);
            if total > 0 {
                let total = Money::new(total, self.currency());
                drafts.push(DraftBill { customer_id: customer, lines, total });
            }
        }
        let total = Money::new(sum, self.currency());
        Ok(PeriodRun { from, to, drafts, bills: Vec::new(), problems, total })
    }

    /// Makes the bills of a period. `expected` is the total of the draft that was looked at: where the
    /// readings say otherwise by now, nothing is made.
    pub async fn bill_period(
        &self,
        from: Date,
        to: Date,
        expected: Money,
        actor: &Actor,
    ) -> Result<PeriodRun> {
        let draft = self.draft_period(from, to).await?;
        if draft.total != expected {
            let why = format!(
                "the bills come to {} now, not to {expected}: look at the draft again",
                draft.total
            );
            return Err(ServiceError::Conflict(why));
        }
        let (service, by) = (self.clone(), actor.clone());
        let period = self
            .database()
            .write(move |tx| Box::pin(async move { open(&service, tx, from, to, &by).await }))
            .await?;
        let (endings, _) = self.endings(to, Some(period)).await?;
        let mut bills = Vec::new();
        for (customer, meters) in endings {
            let (service, by) = (self.clone(), actor.clone());
            let made = self
                .database()
                .write(move |tx| {
                    Box::pin(
                        async move { make(&service, tx, period, to, customer, &meters, &by).await },
                    )
                })
                .await?;
            bills.extend(made);
        }
        Ok(PeriodRun { bills, ..draft })
    }

    fn check_period(&self, from: Date, to: Date) -> Result<()> {
        let today = self.today()?;
        if from >= to {
            return Err(invalid(
                "to",
                format!("{from} to {to} is no period: it must end after it begins"),
            ));
        }
        if to > today {
            let why =
                format!("the period has not ended: its first day after is {to}, today is {today}");
            return Err(invalid("to", why));
        }
        Ok(())
    }

    /// The very same period, where it was begun; an error where it overlaps another.
    async fn known_period(&self, from: Date, to: Date) -> Result<Option<BillingPeriodId>> {
        let found: Vec<(String, String, String)> = sqlx::query_as(
            "select billing_period_id, from_day, to_day from billing_period
             where from_day < $2 and to_day > $1",
        )
        .bind(from.to_string())
        .bind(to.to_string())
        .fetch_all(self.reader())
        .await?;
        judge(found, from, to)
    }

    /// By customer, the open post-paid meters with the last reading of the period, of those who have
    /// no bill for it.
    async fn endings(
        &self,
        to: Date,
        period: Option<BillingPeriodId>,
    ) -> Result<(BTreeMap<CustomerId, Vec<Ending>>, Vec<String>)> {
        let ids: Vec<String> = sqlx::query_scalar(
            "select meter_id from meter
             where mode = 'post-paid' and account = 'open'
               and not exists (select 1 from allocation
                               where master_meter_id = meter.meter_id)
               and not exists (select 1 from bill where bill.customer_id = meter.customer_id
                                 and billing_period_id = $1)
             order by serial_number",
        )
        .bind(period.map(|id| id.to_string()))
        .fetch_all(self.reader())
        .await?;
        let (mut endings, mut problems) = (BTreeMap::<CustomerId, Vec<Ending>>::new(), Vec::new());
        for id in ids {
            let id: MeterId = stored::parsed("meter_id", &id)?;
            let record = meter::record(self.reader(), id).await?;
            let Some(customer) = record.customer_id else { continue };
            match self.last_reading_before(id, to).await? {
                Some(reading) => {
                    endings.entry(customer).or_default().push(Ending { record, reading });
                }
                None => {
                    let serial = &record.serial_number;
                    problems.push(format!("meter {serial} has no reading before {to}: read it"));
                }
            }
        }
        Ok((endings, problems))
    }

    async fn last_reading_before(&self, id: MeterId, to: Date) -> Result<Option<Reading>> {
        let page = Page { limit: READINGS_MAX, ..Page::default() };
        let end = Moment { day: to, second: 0 };
        for reading in self.readings(id, &page).await? {
            if self.clock().civil(reading.at)? <= end {
                return Ok(Some(reading));
            }
        }
        Ok(None)
    }
}

fn judge(
    found: Vec<(String, String, String)>,
    from: Date,
    to: Date,
) -> Result<Option<BillingPeriodId>> {
    let mut same = None;
    for (id, first, after) in &found {
        if stored::parsed::<Date>("from_day", first)? != from
            || stored::parsed::<Date>("to_day", after)? != to
        {
            let why =
                format!("{from} to {to} overlaps the period {first} to {after}, which was billed");
            return Err(ServiceError::Conflict(why));
        }
        same = Some(stored::parsed("billing_period_id", id)?);
    }
    Ok(same)
}

/// The period's row, made where it is missing.
async fn open(
    service: &Service,
    tx: &mut Transaction,
    from: Date,
    to: Date,
    actor: &Actor,
) -> Result<BillingPeriodId> {
    let found: Vec<(String, String, String)> = sqlx::query_as(
        "select billing_period_id, from_day, to_day from billing_period
         where from_day < $2 and to_day > $1",
    )
    .bind(from.to_string())
    .bind(to.to_string())
    .fetch_all(tx.connection())
    .await?;
    if let Some(known) = judge(found, from, to)? {
        return Ok(known);
    }
    let (id, at) = (BillingPeriodId::new(service.clock().id()), service.clock().at());
    sqlx::query(
        "insert into billing_period (billing_period_id, from_day, to_day, operator_id,
                                     created_at_ms)
         values ($1, $2, $3, $4, $5)",
    )
    .bind(id.to_string())
    .bind(from.to_string())
    .bind(to.to_string())
    .bind(actor.stored())
    .bind(at.0)
    .execute(tx.connection())
    .await?;
    let (object, detail) = (format!("billing-period/{id}"), format!("{from} to {to}"));
    let act = Act { at, actor, act: "period-billed", object, detail: &detail };
    audit::record(tx.connection(), act).await?;
    Ok(id)
}

type Priced = (Vec<BillLine>, Vec<charge::store::StoredCharge>, Vec<String>);

/// The lines of a customer's meters, the charges behind them, and what cannot be billed.
async fn priced(
    service: &Service,
    asked: &mut impl crate::tariff::Asked,
    meters: &[Ending],
    actor: &Actor,
) -> Result<Priced> {
    let (mut lines, mut charges, mut problems) = (Vec::new(), Vec::new(), Vec::new());
    for Ending { record, reading } in meters {
        let serial = &record.serial_number;
        match charge::next(service, asked, record, reading, How::Plain, actor).await? {
            Next::Nothing(_) => {}
            Next::Unbelievable(_, why) => problems.push(format!("meter {serial}: {why}")),
            Next::Charge(new) => {
                let charge = &new.charge;
                if charge.amount.minor() > 0 {
                    lines.push(line_of(serial, charge));
                }
                charges.push(*new);
            }
        }
    }
    Ok((lines, charges, problems))
}

/// What a bill says of one meter's use.
pub(super) fn line_of(serial: &str, charge: &charge::Charge) -> BillLine {
    let (whole, part) = (charge.used / 1000, charge.used % 1000);
    BillLine {
        title: format!("{} {serial}", title(charge.commodity)),
        arithmetic: format!("{whole}.{part:03} {}", charge.commodity.unit()),
        amount: charge.amount,
        charge_id: Some(charge.charge_id),
        claim_id: None,
    }
}

fn title(commodity: Commodity) -> &'static str {
    match commodity {
        Commodity::Energy => "Electricity 电费",
        Commodity::Water => "Water 水费",
    }
}

/// One transaction: a customer's charges, bill and bookings. `None` where there is nothing to bill.
async fn make(
    service: &Service,
    tx: &mut Transaction,
    period: BillingPeriodId,
    to: Date,
    customer: CustomerId,
    meters: &[Ending],
    actor: &Actor,
) -> Result<Option<BillId>> {
    let known: i64 = sqlx::query_scalar(
        "select count(*) from bill where billing_period_id = $1 and customer_id = $2",
    )
    .bind(period.to_string())
    .bind(customer.to_string())
    .fetch_one(tx.connection())
    .await?;
    if known > 0 {
        return Ok(None);
    }
    let (lines, charges, _) = priced(service, &mut tx.connection(), meters, actor).await?;
    if lines.is_empty() {
        return Ok(None);
    }
    let debit = receivable_account(customer);
    let bookings = charges.iter().flat_map(|it| charge::lines(&it.charge, &debit)).collect();
    let due = bill::later(service.today()?.max(to), service.billing_rules().days_to_pay);
    let new = NewBill {
        bill_id: BillId::new(service.clock().id()),
        period: Some(period),
        customer_id: customer,
        due,
        lines,
        bookings,
    };
    bill::insert_head(service, tx, &new, actor).await?;
    for charge in &charges {
        charge::store::insert(tx.connection(), charge).await?;
    }
    bill::insert_lines_and_book(service, tx, &new).await?;
    Ok(Some(new.bill_id))
}

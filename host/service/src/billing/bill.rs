//! Bills: their rows and numbers, and the contra bill that takes one back.
//!
//! Not here: their payments (bill_payment), what is billed (period, claim).

use crate::Service;
use crate::audit::{self, Act, Actor};
use crate::booking::{self, Booking, purse_account, receivable_account};
use crate::charge;
use crate::clock::UnixMs;
use crate::error::{Result, ServiceError, invalid};
use crate::mode::reason_of;
use crate::page::Page;
use crate::purse;
use crate::stored;
use polymeter_domain::tariff::Date;
use polymeter_domain::{BillId, BillingPeriodId, ChargeId, ClaimId, CustomerId, Money, TransferId};
use polymeter_ledger::{NewContra, Posting, Transaction};
use sqlx::AnyExecutor;

/// One line of a bill.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BillLine {
    pub title: String,
    /// How it came about, in one line.
    pub arithmetic: String,
    pub amount: Money,
    pub charge_id: Option<ChargeId>,
    pub claim_id: Option<ClaimId>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BillState {
    Open,
    /// Open after its last day (欠费).
    Overdue,
    Paid,
    /// A contra bill took it back.
    TakenBack,
    /// Takes another one back.
    Contra,
}

impl BillState {
    pub fn name(self) -> &'static str {
        match self {
            BillState::Open => "open",
            BillState::Overdue => "overdue",
            BillState::Paid => "paid",
            BillState::TakenBack => "taken-back",
            BillState::Contra => "contra",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bill {
    pub bill_id: BillId,
    pub number: i64,
    pub customer_id: CustomerId,
    /// The first day of its period, and the first day after it.
    pub period: Option<(Date, Date)>,
    pub contra_of: Option<BillId>,
    pub taken_back_by: Option<BillId>,
    pub total: Money,
    pub paid: Money,
    pub due: Date,
    pub state: BillState,
    pub reason: String,
    pub operator: Actor,
    pub created_at: UnixMs,
}

impl Bill {
    /// What is still to be paid.
    pub fn open(&self) -> Money {
        let open = match self.state {
            BillState::Open | BillState::Overdue => self.total.minor() - self.paid.minor(),
            BillState::Paid | BillState::TakenBack | BillState::Contra => 0,
        };
        Money::new(open, self.total.currency())
    }
}

/// A bill on its way into the books.
pub(super) struct NewBill {
    pub bill_id: BillId,
    pub period: Option<BillingPeriodId>,
    pub customer_id: CustomerId,
    pub due: Date,
    pub lines: Vec<BillLine>,
    pub bookings: Vec<Booking>,
}

/// So many days after another; the end of the calendar where there is none.
pub(super) fn later(day: Date, days: u16) -> Date {
    (0..days).fold(day, |day, _| {
        let next = Date::new(day.year(), day.month(), day.day() + 1);
        next.or_else(|| day.first_of_next_month()).unwrap_or(day)
    })
}

/// The bill with its number, which is the next: taken in the job that books it.
pub(super) async fn insert_head(
    service: &Service,
    tx: &mut Transaction,
    new: &NewBill,
    actor: &Actor,
) -> Result<()> {
    let total = new.lines.iter().try_fold(0_i64, |sum, line| sum.checked_add(line.amount.minor()));
    let total = total.ok_or_else(|| invalid("amount", "the bill is beyond what money holds"))?;
    let currency = service.currency();
    let head = Head {
        bill_id: new.bill_id,
        kind: "bill",
        contra_of: None,
        period: new.period,
        customer_id: new.customer_id,
        total: Money::new(total, currency),
        due: new.due,
        reason: "",
    };
    head.insert(service, tx, actor).await
}

struct Head<'a> {
    bill_id: BillId,
    kind: &'static str,
    contra_of: Option<BillId>,
    period: Option<BillingPeriodId>,
    customer_id: CustomerId,
    total: Money,
    due: Date,
    reason: &'a str,
}

impl Head<'_> {
    async fn insert(&self, service: &Service, tx: &mut Transaction, actor: &Actor) -> Result<()> {
        let at = service.clock().at();
        sqlx::query(
            "insert into bill (bill_id, number, kind, contra_of, billing_period_id, customer_id,
                               total_minor, currency, due_day, reason, operator_id, created_at_ms)
             select $1, coalesce(max(number), 0) + 1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11
             from bill",
        )
        .bind(self.bill_id.to_string())
        .bind(self.kind)
        .bind(self.contra_of.map(|id| id.to_string()))
        .bind(self.period.map(|id| id.to_string()))
        .bind(self.customer_id.to_string())
        .bind(self.total.minor())
        .bind(self.total.currency().code())
        .bind(self.due.to_string())
        .bind(self.reason)
        .bind(actor.stored())
        .bind(at.0)
        .execute(tx.connection())
        .await?;
        let object = format!("bill/{}", self.bill_id);
        let detail = format!(
            "customer/{}, {}, due {} {}",
            self.customer_id, self.total, self.due, self.reason
        );
        let act = if self.contra_of.is_some() { "bill-taken-back" } else { "bill-made" };
        let act = Act { at, actor, act, object, detail: detail.trim_end() };
        audit::record(tx.connection(), act).await
    }
}

pub(super) async fn insert_lines_and_book(
    service: &Service,
    tx: &mut Transaction,
    new: &NewBill,
) -> Result<()> {
    insert_lines(tx, new.bill_id, &new.lines).await?;
    let (at, reference) = (service.clock().at(), new.bill_id.uuid());
    booking::book_all(tx, service.clock(), reference, at, &new.bookings).await
}

async fn insert_lines(tx: &mut Transaction, id: BillId, lines: &[BillLine]) -> Result<()> {
    for (position, line) in (1_i64..).zip(lines) {
        sqlx::query(
            "insert into bill_line (bill_id, position, title, arithmetic, amount_minor, charge_id,
                                    claim_id)
             values ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(id.to_string())
        .bind(position)
        .bind(&line.title)
        .bind(&line.arithmetic)
        .bind(line.amount.minor())
        .bind(line.charge_id.map(|id| id.to_string()))
        .bind(line.claim_id.map(|id| id.to_string()))
        .execute(tx.connection())
        .await?;
    }
    Ok(())
}

#[derive(Debug, sqlx::FromRow)]
struct Row {
    bill_id: String,
    number: i64,
    contra_of: Option<String>,
    taken_back_by: Option<String>,
    from_day: Option<String>,
    to_day: Option<String>,
    customer_id: String,
    total_minor: i64,
    paid_minor: i64,
    currency: String,
    due_day: String,
    reason: String,
    operator_id: Option<String>,
    created_at_ms: i64,
}

const SELECT: &str = "
    select bill.bill_id, bill.number, bill.contra_of, contra.bill_id as taken_back_by, from_day,
           to_day, bill.customer_id, bill.total_minor, bill.currency, bill.due_day, bill.reason,
           bill.operator_id, bill.created_at_ms,
           cast(coalesce((select sum(amount_minor) from bill_payment
                          where bill_payment.bill_id = bill.bill_id), 0) as bigint) as paid_minor
    from bill
    left join bill as contra on contra.contra_of = bill.bill_id
    left join billing_period as period on period.billing_period_id = bill.billing_period_id";

impl Row {
    fn bill(self, today: Date) -> Result<Bill> {
        let currency = stored::currency(&self.currency)?;
        let due = stored::parsed("due_day", &self.due_day)?;
        let state = match (&self.contra_of, &self.taken_back_by) {
            (Some(_), _) => BillState::Contra,
            (None, Some(_)) => BillState::TakenBack,
            _ if self.paid_minor >= self.total_minor => BillState::Paid,
            _ if due < today => BillState::Overdue,
            _ => BillState::Open,
        };
        Ok(Bill {
            bill_id: stored::parsed("bill_id", &self.bill_id)?,
            number: self.number,
            customer_id: stored::parsed("customer_id", &self.customer_id)?,
            period: match (self.from_day, self.to_day) {
                (Some(from), Some(to)) => {
                    Some((stored::parsed("from_day", &from)?, stored::parsed("to_day", &to)?))
                }
                _ => None,
            },
            contra_of: self.contra_of.map(|text| stored::parsed("contra_of", &text)).transpose()?,
            taken_back_by: self
                .taken_back_by
                .map(|text| stored::parsed("bill_id", &text))
                .transpose()?,
            total: Money::new(self.total_minor, currency),
            paid: Money::new(self.paid_minor, currency),
            due,
            state,
            reason: self.reason,
            operator: Actor::from_stored(self.operator_id.as_deref())?,
            created_at: UnixMs(self.created_at_ms),
        })
    }
}

pub(super) async fn record(
    executor: impl AnyExecutor<'_>,
    id: BillId,
    today: Date,
) -> Result<Bill> {
    let sql = format!("{SELECT} where bill.bill_id = $1");
    let row: Option<Row> = sqlx::query_as(sqlx::AssertSqlSafe(sql))
        .bind(id.to_string())
        .fetch_optional(executor)
        .await?;
    row.ok_or_else(|| ServiceError::NotFound { what: "bill", id: id.to_string() })?.bill(today)
}

impl Service {
    pub async fn bill(&self, id: BillId) -> Result<Bill> {
        record(self.reader(), id, self.today()?).await
    }

    /// Newest first, of one customer or of all. With `is_open`, only those that are to be paid.
    pub async fn bills(
        &self,
        customer: Option<CustomerId>,
        is_open: bool,
        page: &Page,
    ) -> Result<Vec<Bill>> {
        let bound = page.bound()?;
        let today = self.today()?;
        let sql = format!(
            "{SELECT}
             where ($1 is null or bill.customer_id = $1)
               and ($2 is null or bill.number < (select number from bill where bill_id = $2))
               and ($4 = 0 or (contra.bill_id is null and bill.total_minor >
                    (select coalesce(sum(amount_minor), 0) from bill_payment
                     where bill_payment.bill_id = bill.bill_id) and bill.kind = 'bill'))
             order by bill.number desc limit $3"
        );
        let rows: Vec<Row> = sqlx::query_as(sqlx::AssertSqlSafe(sql))
            .bind(customer.map(|id| id.to_string()))
            .bind(bound.after)
            .bind(bound.limit)
            .bind(i64::from(is_open))
            .fetch_all(self.reader())
            .await?;
        rows.into_iter().map(|row| row.bill(today)).collect()
    }

    pub async fn bill_lines(&self, bill: BillId) -> Result<Vec<BillLine>> {
        lines(self.reader(), bill, self.currency()).await
    }

    /// Takes a bill back by a contra bill, which books the very reverse. What was paid of it goes into
    /// the customer's purse; what it charged can be billed again.
    pub async fn take_bill_back(&self, id: BillId, reason: &str, actor: &Actor) -> Result<Bill> {
        let reason = reason_of(reason)?;
        let booked = self.database().entries(id.uuid()).await?;
        let booked: Vec<TransferId> = booked.iter().map(|entry| entry.transfer_id).collect();
        let (service, by) = (self.clone(), actor.clone());
        let contra = self
            .database()
            .write(move |tx| {
                Box::pin(async move { take_back(&service, tx, id, booked, &reason, &by).await })
            })
            .await?;
        self.bill(contra).await
    }
}

/// Title, arithmetic, amount, charge and claim.
type LineRow = (String, String, i64, Option<String>, Option<String>);

async fn lines(
    executor: impl AnyExecutor<'_>,
    bill: BillId,
    currency: polymeter_domain::Currency,
) -> Result<Vec<BillLine>> {
    let rows: Vec<LineRow> = sqlx::query_as(
        "select title, arithmetic, amount_minor, charge_id, claim_id from bill_line
         where bill_id = $1 order by position",
    )
    .bind(bill.to_string())
    .fetch_all(executor)
    .await?;
    rows.into_iter()
        .map(|(title, arithmetic, minor, charge, claim)| {
            Ok(BillLine {
                title,
                arithmetic,
                amount: Money::new(minor, currency),
                charge_id: charge.map(|text| stored::parsed("charge_id", &text)).transpose()?,
                claim_id: claim.map(|text| stored::parsed("claim_id", &text)).transpose()?,
            })
        })
        .collect()
}

pub(super) async fn take_back(
    service: &Service,
    tx: &mut Transaction,
    id: BillId,
    booked: Vec<TransferId>,
    reason: &str,
    actor: &Actor,
) -> Result<BillId> {
    let bill = record(&mut *tx.connection(), id, service.today()?).await?;
    match bill.state {
        BillState::Open | BillState::Overdue | BillState::Paid => {}
        BillState::TakenBack | BillState::Contra => {
            let why =
                format!("bill {} is {}, and nothing of it is left", bill.number, bill.state.name());
            return Err(ServiceError::Conflict(why));
        }
    }
    let (at, currency) = (service.clock().at(), bill.total.currency());
    let contra = BillId::new(service.clock().id());
    let head = Head {
        bill_id: contra,
        kind: "contra",
        contra_of: Some(id),
        period: None,
        customer_id: bill.customer_id,
        total: Money::new(-bill.total.minor(), currency),
        due: bill.due,
        reason,
    };
    head.insert(service, tx, actor).await?;
    let mut reversed = lines(&mut *tx.connection(), id, currency).await?;
    for line in &mut reversed {
        line.amount = Money::new(-line.amount.minor(), currency);
        if let Some(charge) = line.charge_id {
            line.charge_id = Some(charge::take_back(service, tx, charge, actor).await?);
        }
    }
    insert_lines(tx, contra, &reversed).await?;
    let reference = contra.uuid();
    let back = |of| {
        let transfer_id = TransferId::new(service.clock().id());
        Posting::Contra(NewContra { transfer_id, of, reference, at_ms: at.0 })
    };
    let postings: Vec<Posting> = booked.into_iter().map(back).collect();
    polymeter_ledger::book_linked(tx, &postings).await?;
    if bill.paid.minor() > 0 {
        let (debit, credit) =
            (receivable_account(bill.customer_id), purse_account(bill.customer_id));
        let line = Booking { debit, credit, amount: bill.paid };
        booking::book_all(tx, service.clock(), reference, at, &[line]).await?;
        purse::change(tx.connection(), bill.customer_id, bill.paid, at).await?;
    }
    Ok(contra)
}

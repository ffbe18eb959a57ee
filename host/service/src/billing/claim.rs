//! Claims: what an item came to on one due day, booked once; taken from the purse as far as that
//! reaches and owed beyond, or put on a bill of its own.
//!
//! Invariant: a due day of an assignment is one claim, whoever asks and how often; what is open of a
//! claim only falls, by transfers from the purse that are booked in the same job.

use super::bill::{self, BillLine, NewBill};
use super::item::{Basis, ChargeAssignment, PaidFrom, area, assignments, in_m2};
use crate::Service;
use crate::audit::Actor;
use crate::booking::{self, Booking, item_account, purse_account, receivable_account};
use crate::clock::UnixMs;
use crate::error::{Result, ServiceError};
use crate::page::Page;
use crate::purse;
use crate::stored;
use polymeter_domain::tariff::{Date, Rounding};
use polymeter_domain::{BillId, ChargeAssignmentId, ClaimId, CustomerId, Money};
use polymeter_ledger::{Connection, Transaction};

/// Due days of one assignment that are booked at once: a century of months.
const DUE_DAYS_MAX: u32 = 1_200;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    pub claim_id: ClaimId,
    pub customer_id: CustomerId,
    pub assignment_id: ChargeAssignmentId,
    pub due: Date,
    pub title: String,
    pub arithmetic: String,
    pub amount: Money,
    /// What of it is still owed; of a claim with a bill the bill says that.
    pub open: Money,
    pub bill_id: Option<BillId>,
    pub cuts_supply: bool,
    pub created_at: UnixMs,
}

/// What booking all that is due came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Booked {
    pub claims: u64,
    pub amount: Money,
    /// In a sentence each: what could not be booked.
    pub waiting: Vec<String>,
}

#[derive(Debug, sqlx::FromRow)]
struct Row {
    claim_id: String,
    charge_assignment_id: String,
    customer_id: String,
    due_day: String,
    title: String,
    arithmetic: String,
    amount_minor: i64,
    open_minor: i64,
    currency: String,
    bill_id: Option<String>,
    cuts_supply: i64,
    created_at_ms: i64,
}

impl TryFrom<Row> for Claim {
    type Error = ServiceError;
    fn try_from(row: Row) -> Result<Claim> {
        let currency = stored::currency(&row.currency)?;
        Ok(Claim {
            claim_id: stored::parsed("claim_id", &row.claim_id)?,
            customer_id: stored::parsed("customer_id", &row.customer_id)?,
            assignment_id: stored::parsed("charge_assignment_id", &row.charge_assignment_id)?,
            due: stored::parsed("due_day", &row.due_day)?,
            title: row.title,
            arithmetic: row.arithmetic,
            amount: Money::new(row.amount_minor, currency),
            open: Money::new(row.open_minor, currency),
            bill_id: row.bill_id.map(|text| stored::parsed("bill_id", &text)).transpose()?,
            cuts_supply: row.cuts_supply != 0,
            created_at: UnixMs(row.created_at_ms),
        })
    }
}

impl Service {
    /// Books every due day up to today that is not booked yet; asking again books nothing more.
    pub async fn book_claims(&self, actor: &Actor) -> Result<Booked> {
        let today = self.today()?;
        let mut booked =
            Booked { claims: 0, amount: Money::new(0, self.currency()), waiting: Vec::new() };
        for given in assignments(self.reader(), None).await? {
            let before = booked.claims;
            for due in self.due_days(&given, today).await? {
                let (service, by, of) = (self.clone(), actor.clone(), given.clone());
                let made = self
                    .database()
                    .write(move |tx| {
                        Box::pin(async move { book(&service, tx, &of, due, &by).await })
                    })
                    .await?;
                match made {
                    Made::Claim(amount) => {
                        booked.claims += 1;
                        booked.amount = booked.amount.checked_add(amount).unwrap_or(booked.amount);
                    }
                    Made::Before => {}
                    Made::Waits(why) => {
                        booked.waiting.push(why);
                        break;
                    }
                }
            }
            if booked.claims > before {
                self.tend_soon(given.customer_id);
            }
        }
        Ok(booked)
    }

    /// Those that are due by today and were not booked.
    async fn due_days(&self, given: &ChargeAssignment, today: Date) -> Result<Vec<Date>> {
        let last: Option<String> =
            sqlx::query_scalar("select max(due_day) from claim where charge_assignment_id = $1")
                .bind(given.assignment_id.to_string())
                .fetch_one(self.reader())
                .await?;
        let last = last.map(|text| stored::parsed("due_day", &text)).transpose()?;
        let all = (0..DUE_DAYS_MAX).map_while(|number| given.item.every.due(given.from, number));
        let until = all.take_while(|due| *due <= today && given.to.is_none_or(|to| *due < to));
        Ok(until.filter(|due| last.is_none_or(|last| *due > last)).collect())
    }

    /// Newest first.
    pub async fn claims(&self, customer: CustomerId, page: &Page) -> Result<Vec<Claim>> {
        self.customer(customer).await?;
        let bound = page.bound()?;
        let rows: Vec<Row> = sqlx::query_as(
            "select * from claim
             where customer_id = $1
               and ($2 is null or (due_day, claim_id) <
                    (select due_day, claim_id from claim where claim_id = $2))
             order by due_day desc, claim_id desc limit $3",
        )
        .bind(customer.to_string())
        .bind(bound.after)
        .bind(bound.limit)
        .fetch_all(self.reader())
        .await?;
        rows.into_iter().map(Claim::try_from).collect()
    }
}

enum Made {
    Claim(Money),
    Before,
    Waits(String),
}

/// One transaction: the claim, its money, and its bill where it has one.
async fn book(
    service: &Service,
    tx: &mut Transaction,
    given: &ChargeAssignment,
    due: Date,
    actor: &Actor,
) -> Result<Made> {
    let (customer, item, at) = (given.customer_id, &given.item, service.clock().at());
    let known: i64 = sqlx::query_scalar(
        "select count(*) from claim where charge_assignment_id = $1 and due_day = $2",
    )
    .bind(given.assignment_id.to_string())
    .bind(due.to_string())
    .fetch_one(tx.connection())
    .await?;
    if known > 0 {
        return Ok(Made::Before);
    }
    let (amount, arithmetic) = match due_amount(tx, given).await? {
        Ok(due) => due,
        Err(why) => return Ok(Made::Waits(why)),
    };
    let mut claim = Claim {
        claim_id: ClaimId::new(service.clock().id()),
        customer_id: customer,
        assignment_id: given.assignment_id,
        due,
        title: item.name.clone(),
        arithmetic,
        amount,
        open: Money::new(0, amount.currency()),
        bill_id: None,
        cuts_supply: item.cuts_supply,
        created_at: at,
    };
    match item.paid_from {
        PaidFrom::Purse => {
            let balance =
                purse::balance(&mut *tx.connection(), customer, amount.currency()).await?;
            let there = balance.balance.minor().clamp(0, amount.minor());
            claim.open = Money::new(amount.minor() - there, amount.currency());
            insert(tx.connection(), &claim).await?;
            take(service, tx, &claim).await?;
        }
        PaidFrom::Bill => with_bill(service, tx, &mut claim, actor).await?,
    }
    Ok(Made::Claim(amount))
}

/// What is due and how it comes about, or why it has to wait.
async fn due_amount(
    tx: &mut Transaction,
    given: &ChargeAssignment,
) -> Result<std::result::Result<(Money, String), String>> {
    let (customer, item) = (given.customer_id, &given.item);
    let (amount, arithmetic) = match item.basis {
        Basis::Fixed => (item.amount, item.amount.to_string()),
        Basis::Area => match area(&mut *tx.connection(), customer).await? {
            Some(hundredths) => {
                let amount = by_area(item.amount, hundredths);
                (amount, format!("{} × {} = {amount}, half up", in_m2(hundredths), item.amount))
            }
            None => {
                return Ok(Err(format!("{} of customer/{customer} waits for the area", item.name)));
            }
        },
    };
    if amount.minor() == 0 {
        return Ok(Err(format!("{} of customer/{customer} comes to nothing", item.name)));
    }
    Ok(Ok((amount, arithmetic)))
}

/// A claim that is paid by a bill of its own.
async fn with_bill(
    service: &Service,
    tx: &mut Transaction,
    claim: &mut Claim,
    actor: &Actor,
) -> Result<()> {
    let (customer_id, amount) = (claim.customer_id, claim.amount);
    let line = BillLine {
        title: format!("{} {}", claim.title, claim.due),
        arithmetic: claim.arithmetic.clone(),
        amount,
        charge_id: None,
        claim_id: Some(claim.claim_id),
    };
    let credit = item_account(&claim.title);
    let new = NewBill {
        bill_id: BillId::new(service.clock().id()),
        period: None,
        customer_id,
        due: bill::later(claim.due, service.billing_rules().days_to_pay),
        lines: vec![line],
        bookings: vec![Booking { debit: receivable_account(customer_id), credit, amount }],
    };
    claim.bill_id = Some(new.bill_id);
    bill::insert_head(service, tx, &new, actor).await?;
    insert(tx.connection(), claim).await?;
    bill::insert_lines_and_book(service, tx, &new).await
}

/// A price for each m², half up to the minor unit.
fn by_area(price: Money, hundredths: i64) -> Money {
    let exact = i128::from(price.minor()) * i128::from(hundredths);
    let minor = i64::try_from(Rounding::HalfUp.divide(exact, 100)).unwrap_or(i64::MAX);
    Money::new(minor, price.currency())
}

/// From the purse what is there, owed what is not.
async fn take(service: &Service, tx: &mut Transaction, claim: &Claim) -> Result<()> {
    let (customer, currency) = (claim.customer_id, claim.amount.currency());
    let there = Money::new(claim.amount.minor() - claim.open.minor(), currency);
    let credit = item_account(&claim.title);
    let lines = [
        Booking { debit: purse_account(customer), credit: credit.clone(), amount: there },
        Booking { debit: receivable_account(customer), credit, amount: claim.open },
    ];
    let (at, reference) = (claim.created_at, claim.claim_id.uuid());
    booking::book_all(tx, service.clock(), reference, at, &lines).await?;
    let taken = Money::new(-there.minor(), currency);
    purse::change(tx.connection(), customer, taken, at).await
}

/// Money that came into a purse pays what is owed of claims, oldest first; the purse is not brought
/// below zero for it.
pub(crate) async fn settle(
    service: &Service,
    tx: &mut Transaction,
    customer: CustomerId,
) -> Result<()> {
    let rows: Vec<Row> = sqlx::query_as(
        "select * from claim where customer_id = $1 and open_minor > 0 and bill_id is null
         order by due_day, claim_id",
    )
    .bind(customer.to_string())
    .fetch_all(tx.connection())
    .await?;
    let at = service.clock().at();
    for row in rows {
        let claim = Claim::try_from(row)?;
        let currency = claim.amount.currency();
        let purse = purse::balance(&mut *tx.connection(), customer, currency).await?;
        let paid = Money::new(purse.balance.minor().clamp(0, claim.open.minor()), currency);
        if paid.minor() == 0 {
            return Ok(());
        }
        let (debit, credit) = (purse_account(customer), receivable_account(customer));
        let line = Booking { debit, credit, amount: paid };
        let reference = claim.claim_id.uuid();
        booking::book_all(tx, service.clock(), reference, at, &[line]).await?;
        purse::change(tx.connection(), customer, Money::new(-paid.minor(), currency), at).await?;
        sqlx::query("update claim set open_minor = open_minor - $1 where claim_id = $2")
            .bind(paid.minor())
            .bind(claim.claim_id.to_string())
            .execute(tx.connection())
            .await?;
    }
    Ok(())
}

async fn insert(connection: &mut Connection, claim: &Claim) -> Result<()> {
    sqlx::query(
        "insert into claim (claim_id, charge_assignment_id, customer_id, due_day, title, arithmetic,
                            amount_minor, open_minor, currency, bill_id, cuts_supply,
                            created_at_ms)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
    )
    .bind(claim.claim_id.to_string())
    .bind(claim.assignment_id.to_string())
    .bind(claim.customer_id.to_string())
    .bind(claim.due.to_string())
    .bind(&claim.title)
    .bind(&claim.arithmetic)
    .bind(claim.amount.minor())
    .bind(claim.open.minor())
    .bind(claim.amount.currency().code())
    .bind(claim.bill_id.map(|id| id.to_string()))
    .bind(i64::from(claim.cuts_supply))
    .bind(claim.created_at.0)
    .execute(connection)
    .await?;
    Ok(())
}

/// Whether a customer owes, by this day, something that cuts the supply.
pub(crate) async fn is_overdue(
    connection: &mut Connection,
    customer: CustomerId,
    by: Date,
) -> Result<bool> {
    let found: i64 = sqlx::query_scalar(
        "select count(*) from claim
         where customer_id = $1 and cuts_supply = 1 and due_day <= $2
           and (open_minor > 0 or exists (
                select 1 from bill where bill.bill_id = claim.bill_id and due_day < $2
                  and not exists (select 1 from bill as contra
                                  where contra.contra_of = bill.bill_id)
                  and total_minor > (select coalesce(sum(amount_minor), 0) from bill_payment
                                     where bill_payment.bill_id = bill.bill_id)))",
    )
    .bind(customer.to_string())
    .bind(by.to_string())
    .fetch_one(connection)
    .await?;
    Ok(found > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use polymeter_domain::Currency;

    #[test]
    fn an_area_is_charged_half_up() {
        for (price, hundredths, minor) in
            [(250, 8_550, 21_375), (1, 50, 1), (1, 49, 0), (333, 333, 1_109), (1, 1, 0)]
        {
            let amount = by_area(Money::new(price, Currency::CNY), hundredths);
            assert_eq!(amount.minor(), minor, "{price} x {hundredths}");
        }
    }
}

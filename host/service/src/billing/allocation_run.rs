//! A run of an allocation: the one charge of the master meter, posted in its parts, and undone.
//!
//! Invariants: a run is the one charge of the master meter that it allots, so nothing is allotted
//! twice and nothing is forgotten; undoing books the very reverse.
//! Not here: who shares and by what (allocation), bills (bill).

use super::allocation::{Allocation, AllocationPart, AllocationRun, charged, shared_out};
use super::bill::{self, BillLine, NewBill};
use super::item::PaidFrom;
use crate::Service;
use crate::audit::{self, Act, Actor};
use crate::booking::{self, Booking, purse_account, receivable_account, revenue_account};
use crate::charge::{self, How};
use crate::clock::UnixMs;
use crate::error::{Result, ServiceError, bad_column};
use crate::meter;
use crate::mode::reason_of;
use crate::purse;
use crate::reading::Reading;
use crate::stored;
use polymeter_domain::tariff::Commodity;
use polymeter_domain::{
    AllocationId, AllocationRunId, BillId, ChargeId, CustomerId, Money, TransferId,
};
use polymeter_ledger::{NewContra, Posting, Transaction};

impl Service {
    /// Posts what was looked at: `expected` is the amount that the preview said.
    pub async fn post_allocation(
        &self,
        of: AllocationId,
        expected: Money,
        actor: &Actor,
    ) -> Result<AllocationRun> {
        let (allocation, reading) = self.to_allot(of).await?;
        let weights = self.weights(&allocation, &reading).await?;
        let (service, by) = (self.clone(), actor.clone());
        let run = self
            .database()
            .write(move |tx| {
                Box::pin(async move {
                    let post = Post { service: &service, allocation, weights, actor: &by };
                    post.post(tx, &reading, expected).await
                })
            })
            .await?;
        for part in &run.parts {
            self.tend_soon(part.customer_id);
        }
        Ok(run)
    }

    /// Newest first.
    pub async fn allocation_runs(&self, of: AllocationId) -> Result<Vec<AllocationRun>> {
        self.allocation(of).await?;
        let rows: Vec<(String, String, i64, Option<String>)> = sqlx::query_as(
            "select run.allocation_run_id, charge_id, amount_minor, undo.allocation_run_id
             from allocation_run as run
             left join allocation_undo as undo
                 on undo.allocation_run_id = run.allocation_run_id
             where allocation_id = $1 order by run.created_at_ms desc, run.allocation_run_id desc
             limit 200",
        )
        .bind(of.to_string())
        .fetch_all(self.reader())
        .await?;
        let mut runs = Vec::with_capacity(rows.len());
        for (run, charge, minor, undone) in rows {
            let charge =
                charge::store::record(self.reader(), stored::parsed("charge_id", &charge)?).await?;
            let run_id = stored::parsed("allocation_run_id", &run)?;
            runs.push(AllocationRun {
                run_id: Some(run_id),
                charge_id: charge.charge.charge_id,
                used: charge.charge.used,
                commodity: charge.charge.commodity,
                amount: Money::new(minor, self.currency()),
                parts: self.parts(run_id).await?,
                is_undone: undone.is_some(),
            });
        }
        Ok(runs)
    }

    async fn parts(&self, run: AllocationRunId) -> Result<Vec<AllocationPart>> {
        let rows: Vec<(String, i64, i64, Option<String>)> = sqlx::query_as(
            "select customer_id, weight, amount_minor, bill_id from allocation_part
             where allocation_run_id = $1 order by customer_id",
        )
        .bind(run.to_string())
        .fetch_all(self.reader())
        .await?;
        rows.into_iter()
            .map(|(customer, weight, minor, bill)| {
                Ok(AllocationPart {
                    customer_id: stored::parsed("customer_id", &customer)?,
                    weight: u64::try_from(weight).unwrap_or_default(),
                    amount: Money::new(minor, self.currency()),
                    bill_id: bill.map(|text| stored::parsed("bill_id", &text)).transpose()?,
                })
            })
            .collect()
    }

    /// Takes a run back by contra rows, the bills of it by contra bills; what the master meter counted
    /// is in the next run.
    pub async fn undo_allocation(
        &self,
        run: AllocationRunId,
        reason: &str,
        actor: &Actor,
    ) -> Result<()> {
        let reason = reason_of(reason)?;
        let charge: Option<String> =
            sqlx::query_scalar("select charge_id from allocation_run where allocation_run_id = $1")
                .bind(run.to_string())
                .fetch_optional(self.reader())
                .await?;
        let what = "run of an allocation";
        let charge = charge.ok_or(ServiceError::NotFound { what, id: run.to_string() })?;
        let charge: ChargeId = stored::parsed("charge_id", &charge)?;
        let parts = self.parts(run).await?;
        let booked = self.booked_under(run.uuid()).await?;
        let mut bills = Vec::new();
        for bill in parts.iter().filter_map(|part| part.bill_id) {
            bills.push((bill, self.booked_under(bill.uuid()).await?));
        }
        let customers: Vec<CustomerId> = parts.iter().map(|part| part.customer_id).collect();
        let (service, by) = (self.clone(), actor.clone());
        self.database()
            .write(move |tx| {
                Box::pin(async move {
                    let undo =
                        Undo { service: &service, run, charge, parts, reason: &reason, actor: &by };
                    undo.undo(tx, booked, bills).await
                })
            })
            .await?;
        customers.into_iter().for_each(|customer| self.tend_soon(customer));
        Ok(())
    }

    async fn booked_under(&self, reference: uuid::Uuid) -> Result<Vec<TransferId>> {
        let entries = self.database().entries(reference).await?;
        Ok(entries.iter().map(|entry| entry.transfer_id).collect())
    }
}

/// One run on its way into the books.
struct Post<'a> {
    service: &'a Service,
    allocation: Allocation,
    weights: Vec<u64>,
    actor: &'a Actor,
}

impl Post<'_> {
    async fn post(
        &self,
        tx: &mut Transaction,
        reading: &Reading,
        expected: Money,
    ) -> Result<AllocationRun> {
        let (service, allocation) = (self.service, &self.allocation);
        let master = meter::record(&mut *tx.connection(), allocation.master).await?;
        let (asked, how) = (&mut tx.connection(), How::Plain);
        let next = charge::next(service, asked, &master, reading, how, self.actor).await?;
        let charge = charged(next)?;
        let mut run = shared_out(allocation, &charge, &self.weights)?;
        if run.amount != expected {
            let why =
                format!("it comes to {} now, not to {expected}: look at it again", run.amount);
            return Err(ServiceError::Conflict(why));
        }
        let (id, at) = (AllocationRunId::new(service.clock().id()), service.clock().at());
        charge::store::insert(tx.connection(), &charge).await?;
        self.insert_run(tx, id, &run, at).await?;
        let revenue = revenue_account(run.commodity);
        let mut lines = Vec::new();
        for part in run.parts.iter_mut().filter(|part| part.amount.minor() > 0) {
            match allocation.paid_from {
                PaidFrom::Purse => {
                    lines.push(Booking {
                        debit: purse_account(part.customer_id),
                        credit: revenue.to_owned(),
                        amount: part.amount,
                    });
                    let taken = Money::new(-part.amount.minor(), part.amount.currency());
                    purse::change(tx.connection(), part.customer_id, taken, at).await?;
                }
                PaidFrom::Bill => part.bill_id = Some(self.bill(tx, part, run.amount).await?),
            }
        }
        // The members pay the whole; its fee and its tax go where a charge's go.
        lines.extend(
            charge::lines(&charge.charge, revenue)
                .into_iter()
                .filter(|line| line.credit != revenue),
        );
        booking::book_all(tx, service.clock(), id.uuid(), at, &lines).await?;
        for part in &run.parts {
            insert_part(tx, id, part).await?;
        }
        run.run_id = Some(id);
        Ok(run)
    }

    async fn insert_run(
        &self,
        tx: &mut Transaction,
        id: AllocationRunId,
        run: &AllocationRun,
        at: UnixMs,
    ) -> Result<()> {
        sqlx::query(
            "insert into allocation_run (allocation_run_id, allocation_id, charge_id, amount_minor,
                                         currency, operator_id, created_at_ms)
             values ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(id.to_string())
        .bind(self.allocation.allocation_id.to_string())
        .bind(run.charge_id.to_string())
        .bind(run.amount.minor())
        .bind(run.amount.currency().code())
        .bind(self.actor.stored())
        .bind(at.0)
        .execute(tx.connection())
        .await?;
        let object = format!("allocation/{}", self.allocation.allocation_id);
        let detail = format!("{} to {} members", run.amount, run.parts.len());
        let act = Act { at, actor: self.actor, act: "allocation-posted", object, detail: &detail };
        audit::record(tx.connection(), act).await
    }

    async fn bill(
        &self,
        tx: &mut Transaction,
        part: &AllocationPart,
        whole: Money,
    ) -> Result<BillId> {
        let (service, customer_id, amount) = (self.service, part.customer_id, part.amount);
        let sum: u64 = self.weights.iter().sum();
        let credit = revenue_account_of(service, &self.allocation).await?;
        let new = NewBill {
            bill_id: BillId::new(service.clock().id()),
            period: None,
            customer_id,
            due: bill::later(service.today()?, service.billing_rules().days_to_pay),
            lines: vec![BillLine {
                title: format!("{} 公摊", self.allocation.name),
                arithmetic: format!("{} / {sum} of {whole}", part.weight),
                amount,
                charge_id: None,
                claim_id: None,
            }],
            bookings: vec![Booking { debit: receivable_account(customer_id), credit, amount }],
        };
        bill::insert_head(service, tx, &new, self.actor).await?;
        bill::insert_lines_and_book(service, tx, &new).await?;
        Ok(new.bill_id)
    }
}

async fn revenue_account_of(service: &Service, allocation: &Allocation) -> Result<String> {
    let in_force = service.tariff_in_force(allocation.master).await?;
    let commodity = in_force.map_or(Commodity::Energy, |it| it.version.tariff.commodity());
    Ok(revenue_account(commodity).to_owned())
}

async fn insert_part(
    tx: &mut Transaction,
    run: AllocationRunId,
    part: &AllocationPart,
) -> Result<()> {
    let weight = i64::try_from(part.weight);
    sqlx::query(
        "insert into allocation_part (allocation_run_id, customer_id, weight, amount_minor, bill_id)
         values ($1, $2, $3, $4, $5)",
    )
    .bind(run.to_string())
    .bind(part.customer_id.to_string())
    .bind(weight.map_err(|_| bad_column("weight", part.weight.to_string()))?)
    .bind(part.amount.minor())
    .bind(part.bill_id.map(|id| id.to_string()))
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// One run on its way out of the books.
struct Undo<'a> {
    service: &'a Service,
    run: AllocationRunId,
    charge: ChargeId,
    parts: Vec<AllocationPart>,
    reason: &'a str,
    actor: &'a Actor,
}

impl Undo<'_> {
    async fn undo(
        &self,
        tx: &mut Transaction,
        booked: Vec<TransferId>,
        bills: Vec<(BillId, Vec<TransferId>)>,
    ) -> Result<()> {
        let (service, at) = (self.service, self.service.clock().at());
        let undone: i64 =
            sqlx::query_scalar("select count(*) from allocation_undo where allocation_run_id = $1")
                .bind(self.run.to_string())
                .fetch_one(tx.connection())
                .await?;
        if undone > 0 {
            return Err(ServiceError::Conflict(format!("run {} is undone already", self.run)));
        }
        charge::take_back(service, tx, self.charge, self.actor).await?;
        for (bill, booked) in bills {
            bill::take_back(service, tx, bill, booked, self.reason, self.actor).await?;
        }
        let reference = service.clock().id();
        let back = |of| {
            let transfer_id = TransferId::new(service.clock().id());
            Posting::Contra(NewContra { transfer_id, of, reference, at_ms: at.0 })
        };
        let postings: Vec<Posting> = booked.into_iter().map(back).collect();
        if !postings.is_empty() {
            polymeter_ledger::book_linked(tx, &postings).await?;
        }
        for part in self.parts.iter().filter(|part| part.bill_id.is_none()) {
            purse::change(tx.connection(), part.customer_id, part.amount, at).await?;
        }
        sqlx::query(
            "insert into allocation_undo (allocation_run_id, reason, operator_id, created_at_ms)
             values ($1, $2, $3, $4)",
        )
        .bind(self.run.to_string())
        .bind(self.reason)
        .bind(self.actor.stored())
        .bind(at.0)
        .execute(tx.connection())
        .await?;
        let (object, act) = (format!("allocation-run/{}", self.run), "allocation-undone");
        let act = Act { at, actor: self.actor, act, object, detail: self.reason };
        audit::record(tx.connection(), act).await
    }
}

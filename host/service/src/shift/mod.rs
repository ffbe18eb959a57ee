//! Shifts (班次): one operator's time at a till, from the float to the count.
//!
//! Invariants: what goes over the counter is written down in the transaction that makes it so, in the
//! open shift of whoever answers for it; a closed shift never changes. What the count differs by is
//! booked between `cash` and `shift-difference`. Not here: the close of a day, the ledger's accounts.

mod store;

pub(crate) use store::{Movement, given_back, paid_out, taken};

use store::open_shift_of;

use crate::audit::{self, Act, Actor};
use crate::booking::{Booking, SHIFT_DIFFERENCE, book_all, channel_account};
use crate::clock::UnixMs;
use crate::error::{Result, ServiceError, invalid};
use crate::limits::{MAX_REASON_CHARS, MAX_SALE_MINOR};
use crate::page::Page;
use crate::{Service, customer};
use polymeter_domain::tariff::Date;
use polymeter_domain::{Channel, Money, OperatorId, ShiftId};
use polymeter_ledger::{Connection, Transaction};

/// One shift as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shift {
    pub shift_id: ShiftId,
    pub operator_id: OperatorId,
    /// The site's day on which it was opened.
    pub day: Date,
    /// Change in the till at the start.
    pub float: Money,
    pub opened_at: UnixMs,
    /// In the order of [`Channel::ALL`]; those without a movement are left out.
    pub channels: Vec<ChannelTotals>,
    /// What the till should hold: float and cash taken, less cash given.
    pub expected: Money,
    pub closed: Option<ShiftClosing>,
}

/// How a shift ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShiftClosing {
    pub counted: Money,
    /// Counted less expected: below zero where money is missing.
    pub difference: Money,
    pub note: String,
    pub at: UnixMs,
}

/// What went over the counter by one channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChannelTotals {
    pub channel: Channel,
    /// How often money was taken.
    pub takings: u64,
    pub taken: Money,
    /// Of what came to nothing.
    pub given_back: Money,
    /// Refunds and deposits.
    pub paid_out: Money,
}

/// Whether to do it or only to say what it would be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Run {
    Real,
    Dry,
}

impl Service {
    /// Opens a shift of the operator who asks. Idempotent by id.
    pub async fn open_shift(&self, id: ShiftId, float: Money, actor: &Actor) -> Result<Shift> {
        let Actor::Operator(operator_id) = *actor else {
            return Err(invalid("operator", "only a person has a shift"));
        };
        check_amount("float", float, self)?;
        let (at, day, actor) = (self.clock().at(), self.today()?, actor.clone());
        self.database()
            .write(move |tx| {
                Box::pin(async move {
                    if let Some(earlier) = store::find(&mut *tx.connection(), id).await? {
                        let same = earlier.operator_id == operator_id && earlier.float == float;
                        return if same { Ok(()) } else { Err(differs(id)) };
                    }
                    if let Some(open) = open_shift_of(tx.connection(), operator_id).await? {
                        let what = "an open shift of this operator";
                        return Err(ServiceError::Exists { what, id: open.to_string() });
                    }
                    store::insert(tx.connection(), id, operator_id, day, float, at).await?;
                    let detail = format!("float {float} {}", float.currency().code());
                    note(tx, id, at, &actor, "shift-opened", &detail).await
                })
            })
            .await?;
        self.shift(id).await
    }

    /// Closes a shift by what was counted in its till. Idempotent; a dry run changes nothing and says
    /// what the difference would be.
    pub async fn close_shift(
        &self,
        id: ShiftId,
        counted: Money,
        remark: &str,
        run: Run,
        actor: &Actor,
    ) -> Result<Shift> {
        check_amount("counted", counted, self)?;
        let remark = customer::typed("note", remark, MAX_REASON_CHARS)?;
        if run == Run::Dry {
            return dry_close(self.shift(id).await?, counted, remark, self.clock().at());
        }
        let (service, actor) = (self.clone(), actor.clone());
        self.database()
            .write(move |tx| {
                Box::pin(async move { close(&service, tx, id, counted, remark, actor).await })
            })
            .await?;
        self.shift(id).await
    }

    pub async fn shift(&self, id: ShiftId) -> Result<Shift> {
        store::whole(&mut self.reader(), store::record(self.reader(), id).await?).await
    }

    /// The open shift of an operator.
    pub async fn current_shift(&self, operator: OperatorId) -> Result<Option<Shift>> {
        match open_shift_of(self.reader(), operator).await? {
            Some(id) => Ok(Some(self.shift(id).await?)),
            None => Ok(None),
        }
    }

    /// Whose shift it is, in words.
    pub async fn operator_name(&self, id: OperatorId) -> Result<Option<String>> {
        let name = sqlx::query_scalar("select name from operator where operator_id = $1");
        Ok(name.bind(id.to_string()).fetch_optional(self.reader()).await?)
    }

    /// Newest first.
    pub async fn shifts(&self, page: &Page) -> Result<Vec<Shift>> {
        let mut shifts = Vec::new();
        for shift in store::list(self.reader(), &page.bound()?).await? {
            shifts.push(store::whole(&mut self.reader(), shift).await?);
        }
        Ok(shifts)
    }

    /// Refuses cash of an operator without a shift where the site wants one.
    pub(crate) async fn check_shift(
        &self,
        tx: &mut Transaction,
        channel: Channel,
        actor: &Actor,
    ) -> Result<()> {
        let Actor::Operator(operator) = *actor else { return Ok(()) };
        if !self.rules().cash_needs_shift || channel != Channel::Cash {
            return Ok(());
        }
        match open_shift_of(tx.connection(), operator).await? {
            Some(_) => Ok(()),
            None => Err(ServiceError::NoShift),
        }
    }
}

/// Refuses where a shift of this day or of one before it is open: its count may still book a
/// difference.
pub(crate) async fn all_closed(connection: &mut Connection, day: Date) -> Result<()> {
    match store::open_until(connection, day).await?.as_slice() {
        [] => Ok(()),
        open => Err(ServiceError::Blocked {
            what: format!("day {day}"),
            why: format!("{} of its shifts are open; close them first", open.len()),
        }),
    }
}

fn differs(id: ShiftId) -> ServiceError {
    ServiceError::Differs { what: "shift", id: id.to_string() }
}

/// Any amount from zero to what one sale may be, times a thousand: a till holds no more.
fn check_amount(field: &'static str, amount: Money, service: &Service) -> Result<()> {
    let currency = service.currency();
    let most = MAX_SALE_MINOR.saturating_mul(1000);
    if amount.currency() != currency {
        return Err(invalid(field, format!("this system books {}", currency.code())));
    }
    if !(0..=most).contains(&amount.minor()) {
        return Err(invalid(field, format!("0.00 to {}", Money::new(most, currency))));
    }
    Ok(())
}

fn dry_close(mut shift: Shift, counted: Money, note: String, at: UnixMs) -> Result<Shift> {
    if shift.closed.is_some() {
        return Err(closed_already(shift.shift_id));
    }
    let difference = difference(&shift, counted)?;
    shift.closed = Some(ShiftClosing { counted, difference, note, at });
    Ok(shift)
}

fn closed_already(id: ShiftId) -> ServiceError {
    let (what, state, event) = ("shift", "closed", "closed again with another count");
    ServiceError::WrongState { what, id: id.to_string(), state, event }
}

fn difference(shift: &Shift, counted: Money) -> Result<Money> {
    let minor = counted.minor().checked_sub(shift.expected.minor());
    let minor = minor.ok_or_else(|| invalid("counted", "beyond what money holds"))?;
    Ok(Money::new(minor, counted.currency()))
}

async fn close(
    service: &Service,
    tx: &mut Transaction,
    id: ShiftId,
    counted: Money,
    remark: String,
    actor: Actor,
) -> Result<()> {
    let record = store::record(&mut *tx.connection(), id).await?;
    let shift = store::whole(&mut tx.connection(), record).await?;
    if let Some(closed) = &shift.closed {
        let same = closed.counted == counted && closed.note == remark;
        return if same { Ok(()) } else { Err(closed_already(id)) };
    }
    let at = service.clock().at();
    let difference = difference(&shift, counted)?;
    store::close(tx.connection(), id, shift.expected, counted, &remark, at).await?;
    book(service, tx, id, difference, at).await?;
    let detail = format!(
        "counted {counted} {}, expected {}, difference {difference}",
        counted.currency().code(),
        shift.expected
    );
    note(tx, id, at, &actor, "shift-closed", &detail).await
}

/// More than expected: the till has what nobody paid. Less: it lacks what somebody did.
async fn book(
    service: &Service,
    tx: &mut Transaction,
    id: ShiftId,
    difference: Money,
    at: UnixMs,
) -> Result<()> {
    if difference.minor() == 0 {
        return Ok(());
    }
    let magnitude = difference.minor().checked_abs();
    let magnitude = magnitude.ok_or_else(|| invalid("counted", "beyond what money holds"))?;
    let (cash, other) = (channel_account(Channel::Cash), SHIFT_DIFFERENCE.to_owned());
    let (debit, credit) = if difference.minor() > 0 { (cash, other) } else { (other, cash) };
    let booking = Booking { debit, credit, amount: Money::new(magnitude, difference.currency()) };
    book_all(tx, service.clock(), id.uuid(), at, &[booking]).await
}

async fn note(
    tx: &mut Transaction,
    id: ShiftId,
    at: UnixMs,
    actor: &Actor,
    act: &'static str,
    detail: &str,
) -> Result<()> {
    let object = format!("shift/{id}");
    audit::record(tx.connection(), Act { at, actor, act, object, detail }).await
}

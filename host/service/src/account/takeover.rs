//! Transfer of ownership (过户): meters with what is in their purses go to another customer on a reading.
//!
//! The books change in one transaction: the money stays on the meters' own accounts, which go along. The
//! device is told the new customer's number afterwards, where it takes one; where not, the installation
//! keeps the number that it holds, by which it is sold to.
//!
//! Invariant: arrears do not get lost: they are settled before, or taken over by a transfer of their own.

use super::application;
use super::current_customer;
use super::file::{self, Change, Why};
use super::hold::not_suspended;
use super::installation::{self, Beginning, Ending};
use super::last_use::charge_last_use;
use super::money::{Keyed, figures, nothing_billed_is_open};
use super::swap::not_in_a_swap;
use crate::audit::{self, Act, Actor};
use crate::booking::{Booking, arrears_account, book_all};
use crate::charge;
use crate::clock::UnixMs;
use crate::customer::Customer;
use crate::driver::Kind;
use crate::error::{Result, ServiceError, invalid};
use crate::meter::{self, AccountState, MeterRecord};
use crate::reading::Reading;
use crate::standing::{self, Difference};
use crate::{Service, sale, stored, to_the_end};
use polymeter_domain::tariff::Date;
use polymeter_domain::{
    BillingMode, Credit, CustomerId, Delivery, InstallationId, MeterId, Money, Purchase,
    PurchaseCount, TakeoverId,
};
use polymeter_ledger::{Connection, Transaction};
use polymeter_runtime::Opening;
use polymeter_transport::Priority;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TakeoverRequest {
    pub from: CustomerId,
    pub to: CustomerId,
    /// Empty: all of them. Where no reading is given, the meter is read.
    pub meters: Vec<(MeterId, Option<u64>)>,
    /// The new owner takes over what the old one owes; else there must be nothing.
    pub takes_arrears_over: bool,
    pub why: Why,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Takeover {
    pub takeover_id: TakeoverId,
    pub from: CustomerId,
    pub to: CustomerId,
    pub why: Why,
    pub arrears: Money,
    pub operator: Actor,
    pub at: UnixMs,
    request: String,
}

#[derive(sqlx::FromRow)]
struct Row {
    takeover_id: String,
    from_customer_id: String,
    to_customer_id: String,
    reason: String,
    application_id: Option<String>,
    arrears_minor: i64,
    currency: String,
    request: String,
    operator_id: Option<String>,
    at_ms: i64,
}

impl TryFrom<Row> for Takeover {
    type Error = ServiceError;
    fn try_from(row: Row) -> Result<Takeover> {
        let application = row.application_id.as_deref();
        Ok(Takeover {
            takeover_id: stored::parsed("takeover_id", &row.takeover_id)?,
            from: stored::parsed("from_customer_id", &row.from_customer_id)?,
            to: stored::parsed("to_customer_id", &row.to_customer_id)?,
            why: Why {
                reason: row.reason,
                application: application
                    .map(|text| stored::parsed("application_id", text))
                    .transpose()?,
            },
            arrears: Money::new(row.arrears_minor, stored::currency(&row.currency)?),
            operator: Actor::from_stored(row.operator_id.as_deref())?,
            at: UnixMs(row.at_ms),
            request: row.request,
        })
    }
}

impl TakeoverRequest {
    fn in_words(&self) -> String {
        format!("{self:?}")
    }
}

/// A meter with the reading at which it changes hands.
struct Handed {
    meter_id: MeterId,
    reading: u64,
    next: InstallationId,
    /// Where the new owner's account begins, of a meter that is paid for here or by bill.
    begins: Option<Reading>,
}

impl Service {
    /// Hands meters over. Idempotent by id.
    pub async fn put_takeover(
        &self,
        takeover_id: TakeoverId,
        request: TakeoverRequest,
        actor: &Actor,
    ) -> Result<Takeover> {
        let request = TakeoverRequest { why: request.why.checked()?, ..request };
        if let Some(earlier) = self.find_takeover(takeover_id).await? {
            let (what, id) = ("transfer of ownership", takeover_id.to_string());
            return match earlier.request == request.in_words() {
                true => Ok(earlier),
                false => Err(ServiceError::Differs { what, id }),
            };
        }
        if request.from == request.to {
            return Err(invalid("to_customer_id", "the meters are this customer's already"));
        }
        // Before anything is charged: old bills are the old owner's to settle.
        let (owner, currency) = (request.from, self.currency());
        self.database()
            .write(move |tx| {
                Box::pin(
                    async move { nothing_billed_is_open(tx.connection(), owner, currency).await },
                )
            })
            .await?;
        let handed = self.handed(&request, actor).await?;
        let (service, actor) = (self.clone(), actor.clone());
        to_the_end(async move {
            let (from, to) = (request.from, request.to);
            let meters: Vec<MeterId> = handed.iter().map(|it| it.meter_id).collect();
            hand_over(&service, takeover_id, request, handed, &actor).await?;
            tracing::info!(%from, %to, meters = meters.len(), "ownership transferred");
            for meter in meters {
                // Best effort: where it fails, the device keeps the number that it has.
                service.write_number(meter, &actor).await?;
            }
            Ok(())
        })
        .await?;
        self.takeover(takeover_id).await
    }

    pub async fn takeover(&self, takeover_id: TakeoverId) -> Result<Takeover> {
        let (what, id) = ("transfer of ownership", takeover_id.to_string());
        self.find_takeover(takeover_id).await?.ok_or(ServiceError::NotFound { what, id })
    }

    async fn find_takeover(&self, takeover_id: TakeoverId) -> Result<Option<Takeover>> {
        let row: Option<Row> = sqlx::query_as("select * from takeover where takeover_id = $1")
            .bind(takeover_id.to_string())
            .fetch_optional(self.reader())
            .await?;
        row.map(Takeover::try_from).transpose()
    }

    /// The meters asked for, each with its reading.
    async fn handed(&self, request: &TakeoverRequest, actor: &Actor) -> Result<Vec<Handed>> {
        let mut asked = request.meters.clone();
        if asked.is_empty() {
            let installed = self.installations_of_customer(request.from).await?;
            let lasting = installed.iter().filter(|it| it.to.is_none());
            asked = lasting.map(|it| (it.meter_id, None)).collect();
        }
        if asked.is_empty() {
            return Err(invalid("meters", "this customer has none"));
        }
        let mut handed = Vec::with_capacity(asked.len());
        for (meter_id, reading) in asked {
            let meter = meter::record(self.reader(), meter_id).await?;
            is_owned(&meter, request.from)?;
            let next = InstallationId::new(self.clock().id());
            if meter.mode.quantity().is_none() {
                let (reading, begins) = self.last_of_old_owner(&meter, reading, actor).await?;
                handed.push(Handed { meter_id, reading, next, begins });
                continue;
            }
            let reading = match reading {
                Some(reading) => reading,
                None => self.register_now(&meter, actor).await?,
            };
            handed.push(Handed { meter_id, reading, next, begins: None });
        }
        Ok(handed)
    }

    /// The reading at which a meter without a purse in it changes hands; what was used before it is the
    /// old owner's, out of the purse or by a final bill.
    async fn last_of_old_owner(
        &self,
        meter: &MeterRecord,
        typed: Option<u64>,
        actor: &Actor,
    ) -> Result<(u64, Option<Reading>)> {
        if typed.is_some() {
            let why = format!(
                "meter {} is {}, and is charged by its registers; leave the typed reading out",
                meter.serial_number, meter.mode
            );
            return Err(invalid("reading", why));
        }
        let keyed = Keyed::default();
        let figures = figures(self, meter.meter_id, keyed, actor).await?;
        charge_last_use(self, meter, &figures, actor).await?;
        Ok((figures.reading, self.last_reading(meter.meter_id).await?))
    }

    /// Tells a device its present customer's number, where it holds another one's. What it answers is
    /// in the file; a no leaves the number that it has.
    pub async fn write_number(&self, meter: MeterId, actor: &Actor) -> Result<()> {
        let Some(lasting) = installation::current(self.reader(), meter).await? else {
            let serial_number = meter::record(self.reader(), meter).await?.serial_number;
            return Err(ServiceError::NotOpened { serial_number });
        };
        let customer = self.customer(lasting.customer_id).await?;
        let mode = meter::record(self.reader(), meter).await?.mode;
        let has_purse = mode.quantity().is_some() && mode != BillingMode::Token;
        if lasting.number_in_device == customer.number || !has_purse {
            return Ok(());
        }
        let outcome = self.ask_for_number(meter, &customer).await;
        let (at, actor) = (self.clock().at(), actor.clone());
        let held = lasting.number_in_device;
        self.database()
            .write(move |tx| {
                Box::pin(async move {
                    keep_number(tx.connection(), meter, &customer, outcome, &held, at, &actor).await
                })
            })
            .await
    }

    /// `Ok`: the device said yes; `Err`: why it keeps the number that it has.
    async fn ask_for_number(
        &self,
        meter: MeterId,
        customer: &Customer,
    ) -> std::result::Result<(), String> {
        let reach = self.reach(meter, Kind::Change).await.map_err(|error| error.to_string())?;
        let Some(quantity) = reach.pick.driver.description().purse else {
            return Err("its driver has no purse".to_owned());
        };
        let lease = reach.lease(Priority::Sale).await;
        let mut lease = lease.map_err(|error| error.to_string())?;
        let credit = Credit { quantity, amount: 0 };
        let purchase = Purchase { count: PurchaseCount::new(0), credit };
        let opening = Opening { customer: customer.number.clone(), purchase };
        let delivery = self.open_device(&reach, &mut lease, &opening).await;
        self.keep_failure(&reach).await;
        match delivery {
            Delivery::Confirmed(_) => Ok(()),
            Delivery::Refused(refusal) => Err(format!("it refused: {}", refusal.detail)),
            Delivery::NotSent(why) => Err(format!("nothing was sent: {why}")),
            Delivery::Unknown(why) => Err(format!("unknown: {why}")),
        }
    }
}

fn is_owned(meter: &MeterRecord, owner: CustomerId) -> Result<()> {
    if meter.account == AccountState::Open && meter.customer_id == Some(owner) {
        return Ok(());
    }
    let why = "it is not an open meter of this customer".to_owned();
    Err(ServiceError::Blocked { what: format!("meter {}", meter.serial_number), why })
}

async fn keep_number(
    connection: &mut Connection,
    meter: MeterId,
    customer: &Customer,
    outcome: std::result::Result<(), String>,
    held: &polymeter_domain::CustomerNumber,
    at: UnixMs,
    actor: &Actor,
) -> Result<()> {
    let (new, reason) = match outcome {
        Ok(()) => (customer.number.as_str(), "the device took the number".to_owned()),
        Err(why) => (held.as_str(), format!("the device keeps the number that it has: {why}")),
    };
    sqlx::query(
        "update installation set number_in_device = $1
         where meter_id = $2 and to_ms is null and customer_id = $3",
    )
    .bind(new)
    .bind(meter.to_string())
    .bind(customer.customer_id.to_string())
    .execute(&mut *connection)
    .await?;
    let why = Why { reason, application: None };
    let (id, of, field) = (Some(customer.customer_id), Some(meter), "number in the device");
    let (why, old) = (&why, held.as_str());
    let change = Change { at, actor, why, customer: id, meter: of, field, old, new };
    file::record(connection, change).await
}

async fn hand_over(
    service: &Service,
    takeover_id: TakeoverId,
    request: TakeoverRequest,
    handed: Vec<Handed>,
    actor: &Actor,
) -> Result<()> {
    let (inside, actor, today) = (service.clone(), actor.clone(), service.today()?);
    service
        .database()
        .write(move |tx| {
            Box::pin(async move {
                let at = inside.clock().at();
                let from = current_customer(tx.connection(), request.from).await?;
                let to = current_customer(tx.connection(), request.to).await?;
                super::closing::not_being_closed(tx.connection(), &from).await?;
                super::closing::not_being_closed(tx.connection(), &to).await?;
                let arrears = take_arrears_over(tx, &inside, takeover_id, &request, &from).await?;
                for it in &handed {
                    hand_meter_over(&inside, tx, it, &from, &to, (at, today), &request.why, &actor)
                        .await?;
                }
                insert(tx, takeover_id, &request, arrears, at, &actor).await?;
                let (why, meters) = (&request.why, handed.len());
                let outcome = format!("{meters} meters went to customer {}", to.number);
                application::finish(tx, at, why, from.customer_id, &["transfer"], &outcome).await?;
                let object = format!("takeover/{takeover_id}");
                let act = "ownership-transferred";
                let act = Act { at, actor: &actor, act, object, detail: &outcome };
                audit::record(tx.connection(), act).await
            })
        })
        .await
}

async fn take_arrears_over(
    tx: &mut Transaction,
    service: &Service,
    takeover_id: TakeoverId,
    request: &TakeoverRequest,
    from: &Customer,
) -> Result<Money> {
    let (currency, at) = (service.currency(), service.clock().at());
    let owed_on = arrears_account(request.from);
    let owed = standing::of(&mut *tx.connection(), request.from, currency).await?.arrears;
    if owed.minor() == 0 {
        return Ok(owed);
    }
    if !request.takes_arrears_over {
        let why = format!(
            "{owed} {} are owed; settle that first, or say that the new owner takes it over",
            currency.code()
        );
        return Err(ServiceError::Blocked { what: format!("customer {}", from.number), why });
    }
    let movement = Booking::of(&arrears_account(request.to), &owed_on, owed);
    let movements: Vec<Booking> = movement.into_iter().collect();
    book_all(tx, service.clock(), takeover_id.uuid(), at, &movements).await?;
    for (customer, arrears_minor) in [(request.from, -owed.minor()), (request.to, owed.minor())] {
        let by = Difference { arrears_minor, ..Difference::default() };
        standing::change(tx.connection(), customer, by, currency).await?;
    }
    Ok(owed)
}

#[expect(clippy::too_many_arguments, reason = "each is of another type")]
async fn hand_meter_over(
    service: &Service,
    tx: &mut Transaction,
    handed: &Handed,
    from: &Customer,
    to: &Customer,
    (at, today): (UnixMs, Date),
    why: &Why,
    actor: &Actor,
) -> Result<()> {
    let meter = meter::record(&mut *tx.connection(), handed.meter_id).await?;
    is_owned(&meter, from.customer_id)?;
    not_in_a_swap(&mut *tx.connection(), &meter).await?;
    not_suspended(&mut *tx.connection(), &meter).await?;
    sale::none_unsettled(tx.connection(), &meter).await?;
    let ending = Ending { at, last_reading: Some(handed.reading), why: "transfer of ownership" };
    let ended = installation::end(tx.connection(), meter.meter_id, &ending).await?;
    let number_in_device = ended.map_or_else(|| from.number.clone(), |it| it.number_in_device);
    let (terms, commodity) = installation::measure(tx.connection(), meter.meter_id, today).await?;
    let beginning = Beginning {
        meter_id: meter.meter_id,
        customer_id: to.customer_id,
        first_reading: Some(handed.reading),
        terms,
        commodity,
        number_in_device,
    };
    installation::begin(tx.connection(), handed.next, at, &beginning).await?;
    sqlx::query("update meter set customer_id = $1 where meter_id = $2")
        .bind(to.customer_id.to_string())
        .bind(meter.meter_id.to_string())
        .execute(tx.connection())
        .await?;
    if let Some(reading) = &handed.begins {
        charge::start(service, tx, meter.meter_id, to.customer_id, reading, actor).await?;
    }
    let (old, new) = (
        format!("customer {}", from.number),
        format!("customer {}, meter {}", to.number, meter.serial_number),
    );
    for (customer, of) in
        [(Some(from.customer_id), Some(meter.meter_id)), (Some(to.customer_id), None)]
    {
        let (field, old, new) = ("owner", old.as_str(), new.as_str());
        let change = Change { at, actor, why, customer, meter: of, field, old, new };
        file::record(tx.connection(), change).await?;
    }
    Ok(())
}

async fn insert(
    tx: &mut Transaction,
    takeover_id: TakeoverId,
    request: &TakeoverRequest,
    arrears: Money,
    at: UnixMs,
    actor: &Actor,
) -> Result<()> {
    sqlx::query(
        "insert into takeover (takeover_id, from_customer_id, to_customer_id, reason,
                               application_id, arrears_minor, currency, request, operator_id, at_ms)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
    )
    .bind(takeover_id.to_string())
    .bind(request.from.to_string())
    .bind(request.to.to_string())
    .bind(&request.why.reason)
    .bind(request.why.application.map(|id| id.to_string()))
    .bind(arrears.minor())
    .bind(arrears.currency().code())
    .bind(request.in_words())
    .bind(actor.stored())
    .bind(at.0)
    .execute(tx.connection())
    .await?;
    Ok(())
}

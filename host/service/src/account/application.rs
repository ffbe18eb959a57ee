//! Applications (申请): numbered requests of customers, from which the file begins. One for supply or for
//! a further meter is prepared with its meters and opened later by one click.
//!
//! Invariant: a number is never used twice; one that ended stays as it is; a meter stands in one open
//! application at most. Not here: the acts that the other kinds ask for, which end theirs themselves.

use super::current_customer;
use super::file::{self, Change, Why};
use crate::Service;
use crate::audit::{self, Act, Actor};
use crate::clock::UnixMs;
use crate::customer::{NewCustomer, typed_not_empty};
use crate::error::{Result, ServiceError, bad_column};
use crate::limits::MAX_REASON_CHARS;
use crate::meter::{self, AccountState};
use crate::page::Page;
use crate::stored;
use polymeter_domain::{ApplicationId, CustomerId, MeterId};
use polymeter_ledger::{Connection, Transaction};
use sqlx::AnyExecutor;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Application {
    pub application_id: ApplicationId,
    /// What the customer is given.
    pub number: i64,
    pub kind: ApplicationKind,
    pub state: ApplicationState,
    pub customer_id: CustomerId,
    pub wish: String,
    pub outcome: String,
    pub operator: Actor,
    pub created_at: UnixMs,
    pub ended_at: Option<UnixMs>,
    pub meters: Vec<PlannedMeter>,
}

/// A meter that an application is to open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedMeter {
    pub meter_id: MeterId,
    pub serial_number: String,
    pub opened_at: Option<UnixMs>,
}

named! {
    /// 新装、增表、变更、换表、过户、报停、复电、销户.
    ApplicationKind, "kind":
    Supply = "supply", Meter = "meter", Change = "change", Swap = "swap", Transfer = "transfer",
    Suspension = "suspension", Resumption = "resumption", Closing = "closing",
}

named! {
    ApplicationState, "state":
    Received = "received", Prepared = "prepared", Done = "done", Refused = "refused",
}

impl ApplicationState {
    pub fn is_ended(self) -> bool {
        matches!(self, ApplicationState::Done | ApplicationState::Refused)
    }
}

impl ApplicationKind {
    /// Its meters are opened from the application itself.
    pub fn opens_meters(self) -> bool {
        matches!(self, ApplicationKind::Supply | ApplicationKind::Meter)
    }
}

/// Whose application it is: a new file begins with the one for supply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Applicant {
    Customer(CustomerId),
    New(NewCustomer),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewApplication {
    pub kind: ApplicationKind,
    pub applicant: Applicant,
    pub wish: String,
}

#[derive(sqlx::FromRow)]
struct Row {
    application_id: String,
    number: i64,
    kind: String,
    state: String,
    customer_id: String,
    wish: String,
    outcome: String,
    operator_id: Option<String>,
    created_at_ms: i64,
    ended_at_ms: Option<i64>,
}

impl TryFrom<Row> for Application {
    type Error = ServiceError;
    fn try_from(row: Row) -> Result<Application> {
        Ok(Application {
            application_id: stored::parsed("application_id", &row.application_id)?,
            number: row.number,
            kind: ApplicationKind::from_name(&row.kind)?,
            state: ApplicationState::from_name(&row.state)?,
            customer_id: stored::parsed("customer_id", &row.customer_id)?,
            wish: row.wish,
            outcome: row.outcome,
            operator: Actor::from_stored(row.operator_id.as_deref())?,
            created_at: UnixMs(row.created_at_ms),
            ended_at: row.ended_at_ms.map(UnixMs),
            meters: Vec::new(),
        })
    }
}

async fn find(executor: impl AnyExecutor<'_>, id: ApplicationId) -> Result<Option<Application>> {
    let row: Option<Row> = sqlx::query_as("select * from application where application_id = $1")
        .bind(id.to_string())
        .fetch_optional(executor)
        .await?;
    row.map(Application::try_from).transpose()
}

async fn record(executor: impl AnyExecutor<'_>, id: ApplicationId) -> Result<Application> {
    let what = "application";
    let found = find(executor, id).await?;
    found.ok_or_else(|| ServiceError::NotFound { what, id: id.to_string() })
}

async fn planned(executor: impl AnyExecutor<'_>, id: ApplicationId) -> Result<Vec<PlannedMeter>> {
    let rows: Vec<(String, String, Option<i64>)> = sqlx::query_as(
        "select meter.meter_id, serial_number, opened_at_ms from application_meter
         join meter on meter.meter_id = application_meter.meter_id
         where application_id = $1 order by serial_number",
    )
    .bind(id.to_string())
    .fetch_all(executor)
    .await?;
    rows.into_iter()
        .map(|(meter_id, serial_number, opened_at_ms)| {
            let meter_id = stored::parsed("meter_id", &meter_id)?;
            Ok(PlannedMeter { meter_id, serial_number, opened_at: opened_at_ms.map(UnixMs) })
        })
        .collect()
}

async fn not_ended(connection: &mut Connection, id: ApplicationId) -> Result<Application> {
    let application = record(connection, id).await?;
    if application.state.is_ended() {
        let why = format!("it is {} already", application.state.name());
        return Err(blocked(&application, why));
    }
    Ok(application)
}

pub(super) fn blocked(application: &Application, why: impl Into<String>) -> ServiceError {
    let what = format!("application {}", application.number);
    ServiceError::Blocked { what, why: why.into() }
}

/// Ends the application that an act was done on, if it names one: it must be this customer's, open, and
/// of a kind that asks for the act.
pub(crate) async fn finish(
    tx: &mut Transaction,
    at: UnixMs,
    why: &Why,
    customer: CustomerId,
    kinds: &[&str],
    outcome: &str,
) -> Result<()> {
    let Some(id) = why.application else { return Ok(()) };
    let application = record(&mut *tx.connection(), id).await?;
    if application.customer_id != customer {
        return Err(blocked(&application, "it is another customer's"));
    }
    if application.state.is_ended() {
        return Err(blocked(&application, format!("it is {} already", application.state.name())));
    }
    if !kinds.contains(&application.kind.name()) {
        let why = format!("it asks for {}, which this is not", application.kind.name());
        return Err(blocked(&application, why));
    }
    end(tx.connection(), id, ApplicationState::Done, at, outcome).await
}

pub(super) async fn end(
    connection: &mut Connection,
    id: ApplicationId,
    state: ApplicationState,
    at: UnixMs,
    outcome: &str,
) -> Result<()> {
    sqlx::query(
        "update application set state = $1, outcome = $2, ended_at_ms = $3
         where application_id = $4 and ended_at_ms is null",
    )
    .bind(state.name())
    .bind(outcome)
    .bind(at.0)
    .bind(id.to_string())
    .execute(connection)
    .await?;
    Ok(())
}

impl Service {
    /// Takes an application in and gives it its number. Idempotent by id; one for supply may bring a
    /// new customer, whose file begins with it.
    pub async fn put_application(
        &self,
        id: ApplicationId,
        new: NewApplication,
        actor: &Actor,
    ) -> Result<Application> {
        let wish = typed_not_empty("wish", &new.wish, MAX_REASON_CHARS)?;
        let fresh = match &new.applicant {
            Applicant::New(customer) => Some(self.fresh_customer(customer)?),
            Applicant::Customer(_) => None,
        };
        let (at, actor) = (self.clock().at(), actor.clone());
        self.database()
            .write(move |tx| {
                Box::pin(async move {
                    if let Some(earlier) = find(&mut *tx.connection(), id).await? {
                        let same = earlier.kind == new.kind
                            && earlier.wish == wish
                            && match &new.applicant {
                                Applicant::Customer(id) => *id == earlier.customer_id,
                                Applicant::New(new) => {
                                    current_customer(tx.connection(), earlier.customer_id)
                                        .await?
                                        .number
                                        == new.number
                                }
                            };
                        let (what, id) = ("application", id.to_string());
                        return if same { Ok(()) } else { Err(ServiceError::Differs { what, id }) };
                    }
                    let customer_id = match (&new.applicant, &fresh) {
                        (Applicant::Customer(id), _) => {
                            current_customer(tx.connection(), *id).await?.customer_id
                        }
                        (Applicant::New(_), Some(fresh)) => {
                            if new.kind != ApplicationKind::Supply {
                                let why = "only one for supply begins a new customer's file";
                                return Err(crate::error::invalid("kind", why));
                            }
                            crate::customer::insert(tx.connection(), fresh).await?;
                            fresh.customer_id
                        }
                        (Applicant::New(_), None) => unreachable!("made above"),
                    };
                    insert(tx, id, at, &new, customer_id, &wish, &actor).await
                })
            })
            .await?;
        self.application(id).await
    }

    pub async fn application(&self, id: ApplicationId) -> Result<Application> {
        let application = record(self.reader(), id).await?;
        Ok(Application { meters: planned(self.reader(), id).await?, ..application })
    }

    /// Newest first; `query` looks into number, wish and the customer's number and name.
    pub async fn applications(&self, page: &Page, only_open: bool) -> Result<Vec<Application>> {
        let bound = page.bound()?;
        let rows: Vec<Row> = sqlx::query_as(
            r"select application.* from application
              join customer on customer.customer_id = application.customer_id
              where (cast(application.number as text) like $1 escape '\'
                     or lower(wish) like $1 escape '\' or lower(customer.number) like $1 escape '\'
                     or lower(customer.name) like $1 escape '\')
                and ($2 is null or application.number <
                     (select number from application where application_id = $2))
                and (ended_at_ms is null or $3 = 0)
              order by application.number desc limit $4",
        )
        .bind(bound.pattern)
        .bind(bound.after)
        .bind(i64::from(only_open))
        .bind(bound.limit)
        .fetch_all(self.reader())
        .await?;
        let mut found = Vec::with_capacity(rows.len());
        for row in rows {
            let application = Application::try_from(row)?;
            let meters = planned(self.reader(), application.application_id).await?;
            found.push(Application { meters, ..application });
        }
        Ok(found)
    }

    pub async fn applications_of_customer(&self, id: CustomerId) -> Result<Vec<Application>> {
        let rows: Vec<Row> =
            sqlx::query_as("select * from application where customer_id = $1 order by number desc")
                .bind(id.to_string())
                .fetch_all(self.reader())
                .await?;
        rows.into_iter().map(Application::try_from).collect()
    }

    /// Says which meters it is to open, in the place of those said before (M192: prepared now, opened
    /// later by one click).
    pub async fn prepare_application(
        &self,
        id: ApplicationId,
        meters: Vec<MeterId>,
        actor: &Actor,
    ) -> Result<Application> {
        let (at, actor) = (self.clock().at(), actor.clone());
        self.database()
            .write(move |tx| {
                Box::pin(async move {
                    let application = not_ended(tx.connection(), id).await?;
                    if !application.kind.opens_meters() {
                        let why = "only those for supply or a further meter open meters";
                        return Err(blocked(&application, why));
                    }
                    plan_meters(tx.connection(), &application, &meters).await?;
                    let object = format!("application/{id}");
                    let detail = format!("{} meters", meters.len());
                    let act = "application-prepared";
                    let act = Act { at, actor: &actor, act, object, detail: &detail };
                    audit::record(tx.connection(), act).await
                })
            })
            .await?;
        self.application(id).await
    }

    /// Ends an application without the act. Meters that it opened stay open.
    pub async fn refuse_application(
        &self,
        id: ApplicationId,
        reason: &str,
        actor: &Actor,
    ) -> Result<Application> {
        let reason = typed_not_empty("reason", reason, MAX_REASON_CHARS)?;
        let (at, actor) = (self.clock().at(), actor.clone());
        self.database()
            .write(move |tx| {
                Box::pin(async move {
                    not_ended(tx.connection(), id).await?;
                    end(tx.connection(), id, ApplicationState::Refused, at, &reason).await?;
                    let object = format!("application/{id}");
                    let act = "application-refused";
                    let act = Act { at, actor: &actor, act, object, detail: &reason };
                    audit::record(tx.connection(), act).await
                })
            })
            .await?;
        self.application(id).await
    }
}

pub(super) async fn planned_of(
    connection: &mut Connection,
    id: ApplicationId,
) -> Result<Vec<PlannedMeter>> {
    planned(connection, id).await
}

async fn insert(
    tx: &mut Transaction,
    id: ApplicationId,
    at: UnixMs,
    new: &NewApplication,
    customer_id: CustomerId,
    wish: &str,
    actor: &Actor,
) -> Result<()> {
    let number: i64 = sqlx::query_scalar("select coalesce(max(number), 0) + 1 from application")
        .fetch_one(tx.connection())
        .await?;
    sqlx::query(
        "insert into application (application_id, number, kind, state, customer_id, wish, outcome,
                                  operator_id, created_at_ms)
         values ($1, $2, $3, 'received', $4, $5, '', $6, $7)",
    )
    .bind(id.to_string())
    .bind(number)
    .bind(new.kind.name())
    .bind(customer_id.to_string())
    .bind(wish)
    .bind(actor.stored())
    .bind(at.0)
    .execute(tx.connection())
    .await?;
    if let Applicant::New(customer) = &new.applicant {
        let why = Why { reason: wish.to_owned(), application: Some(id) };
        let (customer_id, new, why) = (Some(customer_id), customer.number.as_str(), &why);
        let (meter, field, old) = (None, "file", "");
        let change = Change { at, actor, why, customer: customer_id, meter, field, old, new };
        file::record(tx.connection(), change).await?;
    }
    let detail = format!("application {number} for {}", new.kind.name());
    let object = format!("application/{id}");
    let act = Act { at, actor, act: "application-received", object, detail: &detail };
    audit::record(tx.connection(), act).await
}

async fn plan_meters(
    connection: &mut Connection,
    application: &Application,
    meters: &[MeterId],
) -> Result<()> {
    let id = application.application_id;
    sqlx::query("delete from application_meter where application_id = $1 and opened_at_ms is null")
        .bind(id.to_string())
        .execute(&mut *connection)
        .await?;
    let opened = planned_of(connection, id).await?;
    let mut planned: Vec<MeterId> = opened.iter().map(|it| it.meter_id).collect();
    for &meter_id in meters {
        if planned.contains(&meter_id) {
            continue;
        }
        planned.push(meter_id);
        let meter = meter::record(&mut *connection, meter_id).await?;
        let what = format!("meter {}", meter.serial_number);
        if meter.account != AccountState::None {
            let why = "it is bound to a customer already".to_owned();
            return Err(ServiceError::Blocked { what, why });
        }
        let other: Option<i64> = sqlx::query_scalar(
            "select number from application_meter
             join application on application.application_id = application_meter.application_id
             where meter_id = $1 and ended_at_ms is null",
        )
        .bind(meter_id.to_string())
        .fetch_optional(&mut *connection)
        .await?;
        if let Some(number) = other {
            let why = format!("application {number} is to open it already");
            return Err(ServiceError::Blocked { what, why });
        }
        sqlx::query("insert into application_meter (application_id, meter_id) values ($1, $2)")
            .bind(id.to_string())
            .bind(meter_id.to_string())
            .execute(&mut *connection)
            .await?;
    }
    let state =
        if planned.is_empty() { ApplicationState::Received } else { ApplicationState::Prepared };
    sqlx::query("update application set state = $1 where application_id = $2")
        .bind(state.name())
        .bind(id.to_string())
        .execute(connection)
        .await?;
    Ok(())
}

//! Readings that were not charged because they cannot be believed, and what a person makes of them.
//!
//! Invariant: a case moves no money until it is decided, and is decided once, with a reason. Later
//! readings that are good are charged all the same: they count from the last charged one.

use super::{ChargeOutcome, How, charge_in};
use crate::Service;
use crate::audit::{self, Act, Actor};
use crate::clock::UnixMs;
use crate::error::{Result, ServiceError, bad_column, invalid};
use crate::meter;
use crate::mode::reason_of;
use crate::page::Page;
use crate::reading::Reading;
use crate::stored;
use polymeter_domain::{MeterId, ReadingCaseId, ReadingId};
use polymeter_ledger::{Connection, Transaction};
use sqlx::AnyExecutor;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CaseKind {
    /// The meter told no register that can be charged.
    NoRegister,
    Invalid,
    Estimated,
    WentBack,
    Implausible,
    OtherCustomer,
    /// It can be believed, and no price can be made of it.
    NotCharged,
}

impl CaseKind {
    const ALL: [CaseKind; 7] = [
        CaseKind::NoRegister,
        CaseKind::Invalid,
        CaseKind::Estimated,
        CaseKind::WentBack,
        CaseKind::Implausible,
        CaseKind::OtherCustomer,
        CaseKind::NotCharged,
    ];

    pub fn name(self) -> &'static str {
        match self {
            CaseKind::NoRegister => "no-register",
            CaseKind::Invalid => "invalid",
            CaseKind::Estimated => "estimated",
            CaseKind::WentBack => "went-back",
            CaseKind::Implausible => "implausible",
            CaseKind::OtherCustomer => "other-customer",
            CaseKind::NotCharged => "not-charged",
        }
    }
}

/// What a person decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CaseDecision {
    /// The reading is right as it stands.
    Charge,
    /// So many Wh or litres of the meter's were used, and charging goes on from this reading: a
    /// register that went over its end, another device under the same number.
    BeginAnew { used: u64 },
    /// Nothing comes of this reading; the next good one is charged from the last charged one.
    Dismiss,
}

impl CaseDecision {
    fn stored(self) -> &'static str {
        match self {
            CaseDecision::Charge => "charged",
            CaseDecision::BeginAnew { .. } => "begun-anew",
            CaseDecision::Dismiss => "dismissed",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadingCase {
    pub case_id: ReadingCaseId,
    pub meter_id: MeterId,
    /// The newest of its readings.
    pub reading_id: ReadingId,
    pub kind: CaseKind,
    pub detail: String,
    pub times: i64,
    pub opened_at: UnixMs,
    pub last_at: UnixMs,
    /// `charged`, `begun-anew` or `dismissed`; `None` while it is open.
    pub decision: Option<String>,
    pub reason: Option<String>,
    pub operator: Option<Actor>,
    pub decided_at: Option<UnixMs>,
}

#[derive(Debug, sqlx::FromRow)]
struct Row {
    reading_case_id: String,
    meter_id: String,
    reading_id: String,
    kind: String,
    detail: String,
    times: i64,
    opened_at_ms: i64,
    last_at_ms: i64,
    decision: Option<String>,
    reason: Option<String>,
    operator_id: Option<String>,
    decided_at_ms: Option<i64>,
}

impl TryFrom<Row> for ReadingCase {
    type Error = ServiceError;
    fn try_from(row: Row) -> Result<ReadingCase> {
        let kind = CaseKind::ALL.into_iter().find(|kind| kind.name() == row.kind);
        let operator = Actor::from_stored(row.operator_id.as_deref())?;
        Ok(ReadingCase {
            case_id: row
                .reading_case_id
                .parse()
                .map_err(|_| bad_column("reading_case_id", &row.reading_case_id))?,
            meter_id: stored::parsed("meter_id", &row.meter_id)?,
            reading_id: row
                .reading_id
                .parse()
                .map_err(|_| bad_column("reading_id", &row.reading_id))?,
            kind: kind.ok_or_else(|| bad_column("kind", &row.kind))?,
            detail: row.detail,
            times: row.times,
            opened_at: UnixMs(row.opened_at_ms),
            last_at: UnixMs(row.last_at_ms),
            operator: row.decision.as_ref().map(|_| operator),
            decision: row.decision,
            reason: row.reason,
            decided_at: row.decided_at_ms.map(UnixMs),
        })
    }
}

async fn record(executor: impl AnyExecutor<'_>, id: ReadingCaseId) -> Result<ReadingCase> {
    let row: Option<Row> = sqlx::query_as("select * from reading_case where reading_case_id = $1")
        .bind(id.to_string())
        .fetch_optional(executor)
        .await?;
    let what = "case of a reading";
    row.ok_or_else(|| ServiceError::NotFound { what, id: id.to_string() })?.try_into()
}

/// A new case, or one more time of the one that is open.
pub(super) async fn open(
    service: &Service,
    tx: &mut Transaction,
    reading: &Reading,
    kind: CaseKind,
    detail: &str,
) -> Result<ReadingCase> {
    let (at, meter) = (service.clock().at(), reading.meter_id);
    // The same reading asked again is the same time.
    sqlx::query(
        "insert into reading_case (reading_case_id, meter_id, reading_id, kind, detail, times,
                                   opened_at_ms, last_at_ms)
         values ($1, $2, $3, $4, $5, 1, $6, $6)
         on conflict (meter_id) where decision is null do update set
             times = reading_case.times
                 + case when reading_case.reading_id = excluded.reading_id then 0 else 1 end,
             reading_id = excluded.reading_id, kind = excluded.kind, detail = excluded.detail,
             last_at_ms = excluded.last_at_ms",
    )
    .bind(service.clock().id().to_string())
    .bind(meter.to_string())
    .bind(reading.reading_id.to_string())
    .bind(kind.name())
    .bind(detail)
    .bind(at.0)
    .execute(tx.connection())
    .await?;
    let case = open_of(tx.connection(), meter).await?;
    if case.times == 1 && case.opened_at == at {
        let object = format!("meter/{meter}");
        let detail = format!("{}: {detail}", kind.name());
        let (actor, act) = (&Actor::System, "reading-not-charged");
        let act = Act { at, actor, act, object, detail: &detail };
        audit::record(tx.connection(), act).await?;
    }
    tracing::warn!(%meter, kind = kind.name(), detail, "a reading was not charged");
    Ok(case)
}

async fn open_of(connection: &mut Connection, meter: MeterId) -> Result<ReadingCase> {
    let row: Row =
        sqlx::query_as("select * from reading_case where meter_id = $1 and decision is null")
            .bind(meter.to_string())
            .fetch_one(connection)
            .await?;
    row.try_into()
}

impl Service {
    /// The open ones, oldest first.
    pub async fn open_cases(&self, page: &Page) -> Result<Vec<ReadingCase>> {
        let bound = page.bound()?;
        let rows: Vec<Row> = sqlx::query_as(
            "select * from reading_case
             where decision is null
               and ($1 is null or (opened_at_ms, reading_case_id) >
                    (select opened_at_ms, reading_case_id from reading_case
                     where reading_case_id = $1))
             order by opened_at_ms, reading_case_id limit $2",
        )
        .bind(bound.after)
        .bind(bound.limit)
        .fetch_all(self.reader())
        .await?;
        rows.into_iter().map(ReadingCase::try_from).collect()
    }

    pub async fn reading_case(&self, id: ReadingCaseId) -> Result<ReadingCase> {
        record(self.reader(), id).await
    }

    /// A person says what becomes of a reading; who and why is kept.
    pub async fn decide_case(
        &self,
        id: ReadingCaseId,
        decision: CaseDecision,
        reason: &str,
        actor: &Actor,
    ) -> Result<ReadingCase> {
        let reason = reason_of(reason)?;
        let case = record(self.reader(), id).await?;
        let reading = self.reading(case.meter_id, case.reading_id).await?;
        let (service, actor) = (self.clone(), actor.clone());
        self.database()
            .write(move |tx| {
                Box::pin(async move {
                    let now = record(&mut *tx.connection(), id).await?;
                    if now.decision.is_some() {
                        let why = format!("case {id} is decided already");
                        return Err(ServiceError::Conflict(why));
                    }
                    if now.reading_id != reading.reading_id {
                        let why = format!("case {id} has a newer reading: look at it again");
                        return Err(ServiceError::Conflict(why));
                    }
                    let done = act_on(&service, tx, &now, decision, &reading, &actor).await?;
                    let at = service.clock().at();
                    end(tx.connection(), id, decision, &reason, &actor, at).await?;
                    let detail = format!("{}, {done}: {reason}", decision.stored());
                    let object = format!("meter/{}", now.meter_id);
                    let act = "reading-case-decided";
                    let act = Act { at, actor: &actor, act, object, detail: &detail };
                    audit::record(tx.connection(), act).await?;
                    record(&mut *tx.connection(), id).await
                })
            })
            .await
    }
}

/// What was charged by it, in words.
async fn act_on(
    service: &Service,
    tx: &mut Transaction,
    case: &ReadingCase,
    decision: CaseDecision,
    reading: &Reading,
    actor: &Actor,
) -> Result<String> {
    let how = match decision {
        CaseDecision::Dismiss => return Ok("nothing charged".to_owned()),
        CaseDecision::Charge => How::AsRead,
        CaseDecision::BeginAnew { used: 0 } if case.kind == CaseKind::OtherCustomer => {
            let meter = meter::record(&mut *tx.connection(), case.meter_id).await?;
            let Some(customer) = meter.customer_id else {
                return Err(ServiceError::NotOpened { serial_number: meter.serial_number });
            };
            super::start(service, tx, case.meter_id, customer, reading, actor).await?;
            return Ok("the new customer begins at this reading".to_owned());
        }
        CaseDecision::BeginAnew { used } => How::Anew(used),
    };
    // Still unbelievable: the decision is refused, and the whole job with it.
    match charge_in(service, tx, reading, how, actor).await? {
        ChargeOutcome::Charged(charge) => Ok(format!("{} charged", charge.amount)),
        ChargeOutcome::Nothing(why) => Ok(format!("nothing charged, {why}")),
        ChargeOutcome::Case(case) => Err(invalid("decision", case.detail.clone())),
    }
}

async fn end(
    connection: &mut Connection,
    id: ReadingCaseId,
    decision: CaseDecision,
    reason: &str,
    actor: &Actor,
    at: UnixMs,
) -> Result<()> {
    sqlx::query(
        "update reading_case set decision = $1, reason = $2, operator_id = $3, decided_at_ms = $4
         where reading_case_id = $5 and decision is null",
    )
    .bind(decision.stored())
    .bind(reason)
    .bind(actor.stored())
    .bind(at.0)
    .bind(id.to_string())
    .execute(connection)
    .await?;
    Ok(())
}

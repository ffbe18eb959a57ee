//! The rows of plans, versions and meters' plans.

use super::{Assignment, InForce, MeterTariff, TariffPlan, TariffVersion};
use crate::audit::{self, Act, Actor};
use crate::clock::UnixMs;
use crate::error::{Result, ServiceError, bad_column, invalid};
use crate::page::Bound;
use crate::stored;
use polymeter_domain::tariff::{self, Date, Terms, check_sellable};
use polymeter_domain::{BillingMode, MeterId, Quantity, TariffPlanId, TariffVersionId};
use polymeter_ledger::{Connection, Reader};
use sqlx::AnyExecutor;

/// What several questions in a row are put to: the readers, or a transaction.
pub(crate) trait Asked: Send {
    fn ask(&mut self) -> impl AnyExecutor<'_>;
}

impl Asked for &Reader {
    fn ask(&mut self) -> impl AnyExecutor<'_> {
        *self
    }
}

impl Asked for &mut Connection {
    fn ask(&mut self) -> impl AnyExecutor<'_> {
        &mut **self
    }
}

#[derive(sqlx::FromRow)]
struct VersionRow {
    tariff_version_id: String,
    number: i64,
    effective_from: String,
    definition: String,
    currency: String,
    operator_id: Option<String>,
    created_at_ms: i64,
}

fn small(column: &'static str, number: i64) -> Result<u32> {
    u32::try_from(number).map_err(|_| bad_column(column, number.to_string()))
}

impl TryFrom<VersionRow> for TariffVersion {
    type Error = ServiceError;
    fn try_from(row: VersionRow) -> Result<TariffVersion> {
        let currency = stored::currency(&row.currency)?;
        Ok(TariffVersion {
            version_id: row
                .tariff_version_id
                .parse()
                .map_err(|_| bad_column("tariff_version_id", &row.tariff_version_id))?,
            number: small("number", row.number)?,
            from: stored::parsed("effective_from", &row.effective_from)?,
            tariff: tariff::parse(&row.definition, currency)
                .map_err(|_| bad_column("definition", &row.definition))?,
            operator: Actor::from_stored(row.operator_id.as_deref())?,
            created_at: UnixMs(row.created_at_ms),
        })
    }
}

#[derive(sqlx::FromRow)]
struct TermsRow {
    people: i64,
    ct: i64,
    pt: i64,
    line_loss_ppm: i64,
    copper_loss_ppm: i64,
    iron_loss_wh_per_day: i64,
}

impl TermsRow {
    fn terms(&self) -> Result<Terms> {
        let iron = self.iron_loss_wh_per_day;
        Ok(Terms {
            people: small("people", self.people)?,
            ct: small("ct", self.ct)?,
            pt: small("pt", self.pt)?,
            line_loss_ppm: small("line_loss_ppm", self.line_loss_ppm)?,
            copper_loss_ppm: small("copper_loss_ppm", self.copper_loss_ppm)?,
            iron_loss_wh_per_day: u64::try_from(iron)
                .map_err(|_| bad_column("iron_loss_wh_per_day", iron.to_string()))?,
        })
    }
}

pub(super) async fn insert_plan(
    connection: &mut Connection,
    id: TariffPlanId,
    name: &str,
    first: &TariffVersion,
) -> std::result::Result<(), sqlx::Error> {
    sqlx::query(
        "insert into tariff_plan (tariff_plan_id, name, created_at_ms) values ($1, $2, $3)",
    )
    .bind(id.to_string())
    .bind(name)
    .bind(first.created_at.0)
    .execute(connection)
    .await?;
    Ok(())
}

pub(super) async fn insert_version(
    connection: &mut Connection,
    plan: TariffPlanId,
    version: &TariffVersion,
) -> Result<()> {
    sqlx::query(
        "insert into tariff_version (tariff_version_id, tariff_plan_id, number, effective_from,
                                     definition, currency, operator_id, created_at_ms)
         values ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(version.version_id.to_string())
    .bind(plan.to_string())
    .bind(i64::from(version.number))
    .bind(version.from.to_string())
    .bind(version.tariff.to_string())
    .bind(version.tariff.currency().code())
    .bind(version.operator.stored())
    .bind(version.created_at.0)
    .execute(connection)
    .await?;
    Ok(())
}

pub(super) async fn delete_plan(connection: &mut Connection, id: TariffPlanId) -> Result<()> {
    for sql in [
        "delete from tariff_version where tariff_plan_id = $1",
        "delete from tariff_plan where tariff_plan_id = $1",
    ] {
        sqlx::query(sql).bind(id.to_string()).execute(&mut *connection).await?;
    }
    Ok(())
}

pub(super) async fn plan_ids(asked: &mut impl Asked, page: &Bound) -> Result<Vec<TariffPlanId>> {
    let ids: Vec<String> = sqlx::query_scalar(
        r"select tariff_plan_id from tariff_plan
          where lower(name) like $1 escape '\'
            and ($2 is null or name > (select name from tariff_plan where tariff_plan_id = $2))
          order by name limit $3",
    )
    .bind(&page.pattern)
    .bind(&page.after)
    .bind(page.limit)
    .fetch_all(asked.ask())
    .await?;
    let id = |text: String| stored::parsed("tariff_plan_id", &text);
    ids.into_iter().map(id).collect()
}

pub(super) async fn plan(asked: &mut impl Asked, id: TariffPlanId) -> Result<TariffPlan> {
    let found: Option<(String, i64)> =
        sqlx::query_as("select name, created_at_ms from tariff_plan where tariff_plan_id = $1")
            .bind(id.to_string())
            .fetch_optional(asked.ask())
            .await?;
    let Some((name, created_at_ms)) = found else {
        return Err(ServiceError::NotFound { what: "tariff plan", id: id.to_string() });
    };
    let rows: Vec<VersionRow> = sqlx::query_as(
        "select tariff_version_id, number, effective_from, definition, currency, operator_id,
                created_at_ms
         from tariff_version where tariff_plan_id = $1 order by number",
    )
    .bind(id.to_string())
    .fetch_all(asked.ask())
    .await?;
    // Those whose last word is this plan.
    let meters: i64 = sqlx::query_scalar(
        "select count(*) from meter_tariff as given
         where tariff_plan_id = $1
           and not exists (select 1 from meter_tariff as later
                           where later.meter_id = given.meter_id
                             and (later.from_date > given.from_date
                                  or (later.from_date = given.from_date
                                      and later.number > given.number)))",
    )
    .bind(id.to_string())
    .fetch_one(asked.ask())
    .await?;
    Ok(TariffPlan {
        plan_id: id,
        name,
        versions: rows.into_iter().map(TariffVersion::try_from).collect::<Result<_>>()?,
        meters: u64::try_from(meters).unwrap_or_default(),
        created_at: UnixMs(created_at_ms),
    })
}

pub(super) async fn meters_ever(connection: &mut Connection, id: TariffPlanId) -> Result<u64> {
    let meters: i64 = sqlx::query_scalar(
        "select count(distinct meter_id) from meter_tariff where tariff_plan_id = $1",
    )
    .bind(id.to_string())
    .fetch_one(connection)
    .await?;
    Ok(u64::try_from(meters).unwrap_or_default())
}

/// A meter that has a plan now or will have it.
pub(super) struct User {
    pub serial_number: String,
    pub mode: BillingMode,
    pub terms: Terms,
}

#[derive(sqlx::FromRow)]
struct UserRow {
    serial_number: String,
    mode: String,
    #[sqlx(flatten)]
    terms: TermsRow,
}

pub(super) async fn users(
    asked: &mut impl Asked,
    id: TariffPlanId,
    today: Date,
) -> Result<Vec<User>> {
    let rows: Vec<UserRow> = sqlx::query_as(
        "select serial_number, mode, people, ct, pt, line_loss_ppm, copper_loss_ppm,
                iron_loss_wh_per_day
         from meter_tariff as given join meter on meter.meter_id = given.meter_id
         where tariff_plan_id = $1
           and not exists (select 1 from meter_tariff as later
                           where later.meter_id = given.meter_id and later.from_date <= $2
                             and (later.from_date > given.from_date
                                  or (later.from_date = given.from_date
                                      and later.number > given.number)))
         order by serial_number",
    )
    .bind(id.to_string())
    .bind(today.to_string())
    .fetch_all(asked.ask())
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(User {
                mode: BillingMode::from_name(&row.mode)
                    .ok_or_else(|| bad_column("mode", &row.mode))?,
                terms: row.terms.terms()?,
                serial_number: row.serial_number,
            })
        })
        .collect()
}

#[derive(sqlx::FromRow)]
struct InForceRow {
    tariff_plan_id: String,
    name: String,
    #[sqlx(flatten)]
    terms: TermsRow,
    #[sqlx(flatten)]
    version: VersionRow,
}

/// By which plan and version a meter is sold to on a day.
pub(crate) async fn in_force(
    executor: impl AnyExecutor<'_>,
    meter: MeterId,
    on: Date,
) -> Result<Option<InForce>> {
    let row: Option<InForceRow> = sqlx::query_as(
        "select plan.tariff_plan_id, plan.name, people, ct, pt, line_loss_ppm, copper_loss_ppm,
                iron_loss_wh_per_day, tariff_version_id, version.number, effective_from,
                definition, currency, version.operator_id, version.created_at_ms
         from meter_tariff as given
         join tariff_plan as plan on plan.tariff_plan_id = given.tariff_plan_id
         join tariff_version as version on version.tariff_plan_id = given.tariff_plan_id
         where given.meter_id = $1 and from_date <= $2 and effective_from <= $2
         order by from_date desc, given.number desc, effective_from desc, version.number desc
         limit 1",
    )
    .bind(meter.to_string())
    .bind(on.to_string())
    .fetch_optional(executor)
    .await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(InForce {
        plan_id: row
            .tariff_plan_id
            .parse()
            .map_err(|_| bad_column("tariff_plan_id", &row.tariff_plan_id))?,
        plan_name: row.name,
        terms: row.terms.terms()?,
        version: row.version.try_into()?,
    }))
}

/// The days, after one and up to another, on which a meter may begin to be charged by other prices.
pub(crate) async fn changes(
    executor: impl AnyExecutor<'_>,
    meter: MeterId,
    after: Date,
    to: Date,
) -> Result<Vec<Date>> {
    let days: Vec<String> = sqlx::query_scalar(
        "select from_date from meter_tariff
         where meter_id = $1 and from_date > $2 and from_date <= $3
         union
         select effective_from from tariff_version
         where effective_from > $2 and effective_from <= $3 and tariff_plan_id in (
             select tariff_plan_id from meter_tariff where meter_id = $1)
         order by 1",
    )
    .bind(meter.to_string())
    .bind(after.to_string())
    .bind(to.to_string())
    .fetch_all(executor)
    .await?;
    days.iter().map(|day| stored::parsed("from_date", day)).collect()
}

/// A version by its id, with its plan.
pub(crate) async fn version(
    executor: impl AnyExecutor<'_>,
    id: TariffVersionId,
) -> Result<(TariffPlanId, String, TariffVersion)> {
    #[derive(sqlx::FromRow)]
    struct Found {
        tariff_plan_id: String,
        name: String,
        #[sqlx(flatten)]
        version: VersionRow,
    }
    let found: Option<Found> = sqlx::query_as(
        "select plan.tariff_plan_id, plan.name, tariff_version_id, version.number, effective_from,
                definition, currency, version.operator_id, version.created_at_ms
         from tariff_version as version
         join tariff_plan as plan on plan.tariff_plan_id = version.tariff_plan_id
         where tariff_version_id = $1",
    )
    .bind(id.to_string())
    .fetch_optional(executor)
    .await?;
    let what = "version of a tariff";
    let found = found.ok_or_else(|| ServiceError::NotFound { what, id: id.to_string() })?;
    let plan = found.tariff_plan_id.parse();
    let plan = plan.map_err(|_| bad_column("tariff_plan_id", &found.tariff_plan_id))?;
    Ok((plan, found.name, found.version.try_into()?))
}

#[derive(sqlx::FromRow)]
struct GivenRow {
    tariff_plan_id: String,
    name: String,
    from_date: String,
    #[sqlx(flatten)]
    terms: TermsRow,
    operator_id: Option<String>,
    created_at_ms: i64,
}

pub(super) async fn meter_tariffs(
    executor: impl AnyExecutor<'_>,
    meter: MeterId,
) -> Result<Vec<MeterTariff>> {
    let rows: Vec<GivenRow> = sqlx::query_as(
        "select plan.tariff_plan_id, plan.name, from_date, people, ct, pt, line_loss_ppm,
                copper_loss_ppm, iron_loss_wh_per_day, operator_id, given.created_at_ms
         from meter_tariff as given
         join tariff_plan as plan on plan.tariff_plan_id = given.tariff_plan_id
         where meter_id = $1 order by number",
    )
    .bind(meter.to_string())
    .fetch_all(executor)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(MeterTariff {
                plan_id: row
                    .tariff_plan_id
                    .parse()
                    .map_err(|_| bad_column("tariff_plan_id", &row.tariff_plan_id))?,
                plan_name: row.name,
                from: stored::parsed("from_date", &row.from_date)?,
                terms: row.terms.terms()?,
                operator: Actor::from_stored(row.operator_id.as_deref())?,
                created_at: UnixMs(row.created_at_ms),
            })
        })
        .collect()
}

/// One more row of a meter's plans, checked, with its line in the trail. `from` must be given.
pub(crate) async fn assign(
    connection: &mut Connection,
    meter: MeterId,
    assignment: &Assignment,
    purse: Option<Quantity>,
    at: UnixMs,
    actor: &Actor,
) -> Result<()> {
    let terms = assignment.terms;
    terms.check().map_err(|error| invalid("terms", error.to_string()))?;
    let from = assignment.from.ok_or_else(|| invalid("from", "left out"))?;
    let plan = plan(&mut &mut *connection, assignment.plan_id).await?;
    if plan.at(from).is_none() {
        let why = format!("{} has no version that counts on {from}", plan.name);
        return Err(invalid("tariff_plan_id", why));
    }
    // Also by what is to come, or a change of price would stop the sales.
    let counting = plan.at(from).into_iter();
    for version in counting.chain(plan.versions.iter().filter(|version| version.from > from)) {
        if let Some(purse) = purse {
            check_sellable(&version.tariff, &terms, purse).map_err(|why| {
                let (name, number) = (&plan.name, version.number);
                invalid("tariff_plan_id", format!("{name}, version {number}: {why}"))
            })?;
        }
    }
    sqlx::query(
        "insert into meter_tariff (meter_id, number, tariff_plan_id, from_date, people, ct, pt,
                                   line_loss_ppm, copper_loss_ppm, iron_loss_wh_per_day,
                                   operator_id, created_at_ms)
         select $1, coalesce(max(number), 0) + 1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11
         from meter_tariff where meter_id = $1",
    )
    .bind(meter.to_string())
    .bind(assignment.plan_id.to_string())
    .bind(from.to_string())
    .bind(i64::from(terms.people))
    .bind(i64::from(terms.ct))
    .bind(i64::from(terms.pt))
    .bind(i64::from(terms.line_loss_ppm))
    .bind(i64::from(terms.copper_loss_ppm))
    .bind(i64::try_from(terms.iron_loss_wh_per_day).unwrap_or(i64::MAX))
    .bind(actor.stored())
    .bind(at.0)
    .execute(&mut *connection)
    .await?;
    let detail = format!("{} from {from}: {terms:?}", plan.name);
    let object = format!("meter/{meter}");
    let act = Act { at, actor, act: "tariff-plan-given", object, detail: &detail };
    audit::record(connection, act).await
}

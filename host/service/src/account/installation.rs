//! Installations (安装): one meter's time at one customer with one ratio. What was used is counted
//! within one and never across, so that a swap, a new owner or a new ratio can make no consumption up.
//!
//! Invariant: at most one lasts per meter (a partial unique index); one that ended never changes; a
//! register that goes backwards gives no consumption but a sentence. Not here: what a use costs.

use crate::Service;
use crate::audit::Actor;
use crate::clock::UnixMs;
use crate::error::{Result, ServiceError, bad_column, invalid};
use crate::meter::{self, MeterRecord};
use crate::stored;
use crate::tariff::{commodity, commodity_name, in_force};
use polymeter_domain::tariff::{Commodity, Date, Terms};
use polymeter_domain::{
    CustomerId, CustomerNumber, Decimal, InstallationId, MeterId, Quality, Snapshot, Unit, Value,
};
use polymeter_ledger::Connection;
use sqlx::AnyExecutor;

/// Registers that count all that was used, the first that a device has.
const TOTALS: [&str; 3] = ["1.0.1.8.0.255", "1.0.15.8.0.255", "8.0.1.0.0.255"];

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installation {
    pub installation_id: InstallationId,
    pub meter_id: MeterId,
    pub serial_number: String,
    pub customer_id: CustomerId,
    pub from: UnixMs,
    pub to: Option<UnixMs>,
    pub commodity: Commodity,
    /// Wh or litres, as the register shows them; `None`: nobody read it just then.
    pub first_reading: Option<u64>,
    pub last_reading: Option<u64>,
    pub ct: u32,
    pub pt: u32,
    /// The customer's number as the device holds it.
    pub number_in_device: CustomerNumber,
    /// Why it ended; empty while it lasts.
    pub ended: String,
}

/// What one installation used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consumption {
    pub installation: Installation,
    /// The register where it begins and where it ends: as read at the act, else the first and the last
    /// reading within.
    pub first: Option<u64>,
    pub last: Option<u64>,
    pub used: Used,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Used {
    /// Wh or litres, with the ratio.
    Known(u64),
    /// Fewer than two readings.
    NotRead,
    /// The register went back: a reset, another device, or a wrong reading.
    Backwards,
    /// More than this program counts in.
    TooLarge,
}

#[derive(Debug, sqlx::FromRow)]
struct Row {
    installation_id: String,
    meter_id: String,
    serial_number: String,
    customer_id: String,
    from_ms: i64,
    to_ms: Option<i64>,
    commodity: String,
    first_reading: Option<i64>,
    last_reading: Option<i64>,
    ct: i64,
    pt: i64,
    number_in_device: String,
    ended: String,
}

fn whole(column: &'static str, number: Option<i64>) -> Result<Option<u64>> {
    let whole =
        |number: i64| u64::try_from(number).map_err(|_| bad_column(column, number.to_string()));
    number.map(whole).transpose()
}

fn small(column: &'static str, number: i64) -> Result<u32> {
    u32::try_from(number).map_err(|_| bad_column(column, number.to_string()))
}

impl TryFrom<Row> for Installation {
    type Error = ServiceError;
    fn try_from(row: Row) -> Result<Installation> {
        Ok(Installation {
            installation_id: stored::parsed("installation_id", &row.installation_id)?,
            meter_id: stored::parsed("meter_id", &row.meter_id)?,
            serial_number: row.serial_number,
            customer_id: stored::parsed("customer_id", &row.customer_id)?,
            from: UnixMs(row.from_ms),
            to: row.to_ms.map(UnixMs),
            commodity: commodity(&row.commodity)?,
            first_reading: whole("first_reading", row.first_reading)?,
            last_reading: whole("last_reading", row.last_reading)?,
            ct: small("ct", row.ct)?,
            pt: small("pt", row.pt)?,
            number_in_device: CustomerNumber::new(&row.number_in_device)
                .map_err(|_| bad_column("number_in_device", &row.number_in_device))?,
            ended: row.ended,
        })
    }
}

/// A beginning.
pub(crate) struct Beginning {
    pub meter_id: MeterId,
    pub customer_id: CustomerId,
    pub first_reading: Option<u64>,
    pub terms: Terms,
    pub commodity: Commodity,
    pub number_in_device: CustomerNumber,
}

pub(crate) async fn begin(
    connection: &mut Connection,
    installation_id: InstallationId,
    at: UnixMs,
    new: &Beginning,
) -> Result<()> {
    let first = new.first_reading.map(i64::try_from).transpose();
    let first = first.map_err(|_| invalid("reading", "more than this program counts in"))?;
    sqlx::query(
        "insert into installation (installation_id, meter_id, customer_id, from_ms, commodity,
                                   first_reading, ct, pt, number_in_device, ended)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, '')",
    )
    .bind(installation_id.to_string())
    .bind(new.meter_id.to_string())
    .bind(new.customer_id.to_string())
    .bind(at.0)
    .bind(commodity_name(new.commodity))
    .bind(first)
    .bind(i64::from(new.terms.ct))
    .bind(i64::from(new.terms.pt))
    .bind(new.number_in_device.as_str())
    .execute(connection)
    .await?;
    Ok(())
}

/// The ratio and the commodity that a meter's plan gives it on a day.
pub(crate) async fn measure(
    connection: &mut Connection,
    meter: MeterId,
    on: Date,
) -> Result<(Terms, Commodity)> {
    let plan = in_force(connection, meter, on).await?;
    Ok(plan.map_or((Terms::default(), Commodity::Energy), |it| {
        (it.terms, it.version.tariff.commodity())
    }))
}

/// What an installation ends with: the register, and why.
pub(crate) struct Ending<'a> {
    pub at: UnixMs,
    pub last_reading: Option<u64>,
    pub why: &'a str,
}

/// Ends the one that lasts, if one does. A reading below where it began is refused.
pub(crate) async fn end(
    connection: &mut Connection,
    meter: MeterId,
    ending: &Ending<'_>,
) -> Result<Option<Installation>> {
    let Some(lasting) = current(&mut *connection, meter).await? else { return Ok(None) };
    if let Some(last) = ending.last_reading {
        not_backwards(connection, &lasting, last).await?;
    }
    let last = ending.last_reading.map(i64::try_from).transpose();
    sqlx::query(
        "update installation set to_ms = $1, last_reading = $2, ended = $3
         where installation_id = $4 and to_ms is null",
    )
    .bind(ending.at.0)
    .bind(last.map_err(|_| invalid("reading", "more than this program counts in"))?)
    .bind(ending.why)
    .bind(lasting.installation_id.to_string())
    .execute(connection)
    .await?;
    Ok(Some(lasting))
}

/// The meter has no customer any more.
pub(crate) async fn unbind(connection: &mut Connection, meter: MeterId) -> Result<()> {
    sqlx::query("update meter set account = 'none', customer_id = null where meter_id = $1")
        .bind(meter.to_string())
        .execute(connection)
        .await?;
    Ok(())
}

/// Where the lasting installation began, once somebody has read it.
pub(crate) async fn set_first(
    connection: &mut Connection,
    meter: MeterId,
    reading: u64,
) -> Result<()> {
    let reading = i64::try_from(reading);
    sqlx::query("update installation set first_reading = $1 where meter_id = $2 and to_ms is null")
        .bind(reading.map_err(|_| invalid("reading", "more than this program counts in"))?)
        .bind(meter.to_string())
        .execute(connection)
        .await?;
    Ok(())
}

/// Also below what was read meanwhile, which is as good a proof that the figure is wrong.
async fn not_backwards(
    connection: &mut Connection,
    lasting: &Installation,
    last: u64,
) -> Result<()> {
    let newest = edge(connection, lasting, Edge::Newest).await?;
    let newest = newest.map(|(_, stands)| stands);
    let known = lasting.first_reading.into_iter().chain(newest).max().unwrap_or(0);
    if last < known {
        let unit = lasting.commodity.unit();
        let (serial, typed, known) = (&lasting.serial_number, shown(last), shown(known));
        let why = format!(
            "{typed} {unit} is below the {known} {unit} that meter {serial} already stood at; read \
             it again"
        );
        return Err(invalid("reading", why));
    }
    Ok(())
}

/// "96.153": Wh as kWh, litres as m³.
pub(crate) fn shown(amount: u64) -> String {
    format!("{}.{:03}", amount / 1000, amount % 1000)
}

const SELECT: &str = "select installation_id, installation.meter_id, meter.serial_number,
    installation.customer_id, from_ms, to_ms, commodity, first_reading, last_reading, ct, pt,
    number_in_device, ended
    from installation join meter on meter.meter_id = installation.meter_id";

pub(super) async fn current(
    executor: impl AnyExecutor<'_>,
    meter: MeterId,
) -> Result<Option<Installation>> {
    let sql = format!("{SELECT} where installation.meter_id = $1 and to_ms is null");
    let row: Option<Row> = sqlx::query_as(sqlx::AssertSqlSafe(sql))
        .bind(meter.to_string())
        .fetch_optional(executor)
        .await?;
    row.map(Installation::try_from).transpose()
}

/// The customer's number as the device holds it: an earlier owner's, where it did not take the new one.
pub(crate) async fn number_in_device(
    service: &Service,
    meter: MeterId,
    customer: CustomerId,
) -> Result<CustomerNumber> {
    match current(service.reader(), meter).await? {
        Some(lasting) => Ok(lasting.number_in_device),
        None => Ok(service.customer(customer).await?.number),
    }
}

#[derive(Debug, Clone, Copy)]
enum Edge {
    Oldest,
    Newest,
}

/// The first or the last reading of the register within an installation, by its id.
async fn edge(
    executor: impl AnyExecutor<'_>,
    within: &Installation,
    edge: Edge,
) -> Result<Option<(String, u64)>> {
    let order = match edge {
        Edge::Oldest => "reading.at_ms, reading.reading_id",
        Edge::Newest => "reading.at_ms desc, reading.reading_id desc",
    };
    let sql = format!(
        "select reading.reading_id, mantissa, scale, unit from reading
         join measurement on measurement.reading_id = reading.reading_id
         where meter_id = $1 and at_ms >= $2 and at_ms <= $3 and register in ($4, $5, $6)
           and quality in ('measured', 'estimated') and mantissa is not null
         order by {order} limit 1"
    );
    let [import, combined, water] = TOTALS;
    let found: Option<(String, i64, i64, i64)> = sqlx::query_as(sqlx::AssertSqlSafe(sql))
        .bind(within.meter_id.to_string())
        .bind(within.from.0)
        .bind(within.to.map_or(i64::MAX, |to| to.0))
        .bind(import)
        .bind(combined)
        .bind(water)
        .fetch_optional(executor)
        .await?;
    let Some((reading_id, mantissa, scale, unit)) = found else { return Ok(None) };
    let scale = i8::try_from(scale).map_err(|_| bad_column("scale", scale.to_string()))?;
    let unit = u16::try_from(unit).map_err(|_| bad_column("unit", unit.to_string()))?;
    let stands = thousandths(Decimal { mantissa, scale }, Unit(unit));
    Ok(stands.map(|stands| (reading_id, stands)))
}

/// kWh and Wh as Wh, m³ as litres; parts of one are cut off, as the register itself does.
fn thousandths(value: Decimal, unit: Unit) -> Option<u64> {
    let shift = match unit.symbol() {
        "kWh" | "m³" => 3,
        "Wh" => 0,
        _ => return None,
    };
    let mantissa = u64::try_from(value.mantissa).ok()?;
    let power = i32::from(value.scale) + shift;
    let ten = 10_u64.checked_pow(power.unsigned_abs())?;
    if power < 0 { Some(mantissa / ten) } else { mantissa.checked_mul(ten) }
}

/// Where a device's register of all use stands, in Wh or litres.
pub(crate) fn total(snapshot: &Snapshot) -> Option<u64> {
    TOTALS.iter().find_map(|register| {
        snapshot.measurements.iter().find_map(|measured| {
            let usable = matches!(measured.quality, Quality::Measured | Quality::Estimated);
            let Value::Number(number) = measured.value else { return None };
            let is_it = usable && measured.register.as_str() == *register;
            is_it.then(|| thousandths(number, measured.unit)).flatten()
        })
    })
}

/// "1234.56" kWh or m³ as a person reads it off a display: Wh or litres.
pub fn typed_reading(text: &str) -> Result<u64> {
    let wrong = |why: &str| invalid("reading", format!("`{text}` {why}"));
    let value = Decimal::parse(text.trim()).ok_or_else(|| wrong("is no plain decimal number"))?;
    if value.scale < -3 {
        return Err(wrong("has more than 3 decimals"));
    }
    thousandths(value, Unit(256)).ok_or_else(|| wrong("is below zero or too large"))
}

fn used(first: Option<u64>, last: Option<u64>, ct: u32, pt: u32) -> Used {
    let (Some(first), Some(last)) = (first, last) else { return Used::NotRead };
    let Some(counted) = last.checked_sub(first) else { return Used::Backwards };
    let with_ratio =
        counted.checked_mul(u64::from(ct)).and_then(|it| it.checked_mul(u64::from(pt)));
    with_ratio.map_or(Used::TooLarge, Used::Known)
}

impl Service {
    /// Of one meter, newest first.
    pub async fn installations_of_meter(&self, meter: MeterId) -> Result<Vec<Installation>> {
        meter::record(self.reader(), meter).await?;
        self.installations("installation.meter_id", &meter.to_string()).await
    }

    /// Of one customer, newest first.
    pub async fn installations_of_customer(&self, id: CustomerId) -> Result<Vec<Installation>> {
        let id = self.customer(id).await?.customer_id;
        self.installations("installation.customer_id", &id.to_string()).await
    }

    async fn installations(&self, column: &'static str, id: &str) -> Result<Vec<Installation>> {
        let sql =
            format!("{SELECT} where {column} = $1 order by from_ms desc, installation_id desc");
        let rows: Vec<Row> =
            sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(id).fetch_all(self.reader()).await?;
        rows.into_iter().map(Installation::try_from).collect()
    }

    /// What was used within one installation, never across.
    pub async fn consumption(&self, id: InstallationId) -> Result<Consumption> {
        let sql = format!("{SELECT} where installation_id = $1");
        let row: Option<Row> = sqlx::query_as(sqlx::AssertSqlSafe(sql))
            .bind(id.to_string())
            .fetch_optional(self.reader())
            .await?;
        let what = "installation";
        let row = row.ok_or_else(|| ServiceError::NotFound { what, id: id.to_string() })?;
        let installation = Installation::try_from(row)?;
        let oldest = edge(self.reader(), &installation, Edge::Oldest).await?;
        let newest = edge(self.reader(), &installation, Edge::Newest).await?;
        let last = installation.last_reading.or(newest.as_ref().map(|(_, stands)| *stands));
        let first = match (installation.first_reading, oldest) {
            (Some(first), _) => Some(first),
            // One reading is no span: what was used before it is not known.
            (None, Some(only)) if Some(&only) == newest.as_ref() && last == Some(only.1) => None,
            (None, oldest) => oldest.map(|(_, stands)| stands),
        };
        let used = used(first, last, installation.ct, installation.pt);
        Ok(Consumption { installation, first, last, used })
    }

    /// Reads the meter now; its register of all use.
    pub(crate) async fn register_now(&self, meter: &MeterRecord, actor: &Actor) -> Result<u64> {
        let reading = self.read_meter(meter.meter_id, actor).await?;
        total(&reading.snapshot).ok_or_else(|| {
            let serial = &meter.serial_number;
            invalid("reading", format!("meter {serial} shows no total; type what its display says"))
        })
    }
}

/// A plan given to a meter keeps its ratio: another one needs a reading, or what was used before would
/// be multiplied by it.
pub(crate) async fn same_ratio(
    connection: &mut Connection,
    meter: MeterId,
    ratio: (u32, u32),
) -> Result<()> {
    let Some(lasting) = current(connection, meter).await? else { return Ok(()) };
    if (lasting.ct, lasting.pt) == ratio {
        return Ok(());
    }
    let (ct, pt) = (lasting.ct, lasting.pt);
    let why = format!(
        "meter {} is installed with CT {ct} × PT {pt}; a ratio changes at a reading, by the act          for it",
        lasting.serial_number
    );
    Err(invalid("terms", why))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_used_is_never_negative_and_never_wraps() {
        for (first, last, ct, pt, expected) in [
            (Some(1000), Some(4500), 1, 1, Used::Known(3500)),
            (Some(1000), Some(4500), 20, 10, Used::Known(700_000)),
            (Some(5), Some(5), 1, 1, Used::Known(0)),
            (Some(4500), Some(1000), 1, 1, Used::Backwards),
            (None, Some(1), 1, 1, Used::NotRead),
            (Some(1), None, 1, 1, Used::NotRead),
            (Some(0), Some(u64::MAX), 2, 1, Used::TooLarge),
        ] {
            assert_eq!(used(first, last, ct, pt), expected, "{first:?} {last:?}");
        }
    }

    #[test]
    fn typed_readings_are_exact_or_refused() {
        for (text, expected) in [
            ("1234.56", Some(1_234_560)),
            (" 7 ", Some(7000)),
            ("0.001", Some(1)),
            ("0.0001", None),
            ("-1", None),
            ("1e3", None),
            ("99999999999999999", None),
            ("", None),
        ] {
            assert_eq!(typed_reading(text).ok(), expected, "{text:?}");
        }
    }

    #[test]
    fn registers_are_cut_to_the_watt_hour() {
        let check = |mantissa, scale, unit, expected| {
            assert_eq!(thousandths(Decimal { mantissa, scale }, Unit(unit)), expected);
        };
        check(123_456, -2, 256, Some(1_234_560));
        check(12_345_678, -5, 256, Some(123_456));
        check(5, 0, 30, Some(5));
        check(5, 0, 13, Some(5000));
        check(-1, 0, 256, None);
        check(i64::MAX, 10, 256, None);
        check(5, 0, 35, None);
    }
}

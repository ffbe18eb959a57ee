//! Meters: which driver, line and address reaches one, what it costs to buy there, and whose it is.
//! Not here: opening its account (account.rs), what it measures (reading.rs).

use crate::Service;
use crate::audit::{self, Act, Actor};
use crate::clock::UnixMs;
use crate::customer::{Customer, typed_not_empty};
use crate::error::{Constraint, Result, ServiceError, bad_column, invalid, violated};
use crate::limits::MAX_SERIAL_NUMBER_CHARS;
use crate::mode;
use crate::page::Page;
use crate::parameter::{self, Home};
use crate::reading::Reading;
use crate::stored;
use crate::tariff::{self, Assignment, InForce};
use polymeter_domain::{BillingMode, MeterAddress, MeterId, SupplyState, Value, VendorCode};
use polymeter_ledger::Connection;
use polymeter_runtime::{Device, Driver};
use sqlx::AnyExecutor;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewMeter {
    pub serial_number: String,
    pub vendor: VendorCode,
    pub line: String,
    pub address: MeterAddress,
    pub parameters: Vec<(String, Value)>,
    /// How it is paid for; what the driver's purse suggests where it is left out.
    pub mode: Option<BillingMode>,
    /// By which plan it is sold to, from today on or a later day.
    pub tariff: Assignment,
}

/// `Opening` from before the device is asked until it has said yes: a crash in between leaves it, and
/// opening again for the same customer is safe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccountState {
    None,
    Opening,
    Open,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meter {
    pub meter_id: MeterId,
    pub serial_number: String,
    pub vendor: VendorCode,
    pub line: String,
    pub address: MeterAddress,
    pub parameters: Vec<(String, Value)>,
    /// By which plan and version it is sold to today.
    pub tariff: Option<InForce>,
    pub customer: Option<Customer>,
    pub account: AccountState,
    pub mode: BillingMode,
    /// Its supply is never cut by the program.
    pub keeps_power: bool,
    pub supply: SupplyState,
    pub supply_at: Option<UnixMs>,
    pub last_reading: Option<Reading>,
}

/// A meter's own columns, read back: what selling and asking it need.
#[derive(Debug, Clone)]
pub(crate) struct MeterRecord {
    pub meter_id: MeterId,
    pub serial_number: String,
    pub vendor: VendorCode,
    pub line: String,
    pub device: Device,
    pub customer_id: Option<polymeter_domain::CustomerId>,
    pub account: AccountState,
    pub mode: BillingMode,
    pub keeps_power: bool,
    pub supply: SupplyState,
    pub supply_at: Option<UnixMs>,
    pub purchase_count: Option<i64>,
}

#[derive(Debug, sqlx::FromRow)]
struct Row {
    meter_id: String,
    serial_number: String,
    vendor: String,
    line: String,
    address: String,
    parameters: String,
    customer_id: Option<String>,
    account: String,
    mode: String,
    keeps_power: i64,
    supply: String,
    supply_at_ms: Option<i64>,
    purchase_count: Option<i64>,
}

impl MeterRecord {
    /// Whether its card is the way to it, and not a line.
    pub(crate) fn is_by_card(&self, driver: &Driver) -> bool {
        is_by_card(&self.line, self.mode, driver)
    }
}

pub(crate) fn is_by_card(line: &str, mode: BillingMode, driver: &Driver) -> bool {
    driver.abilities().cards && line.is_empty() && mode != BillingMode::Token
}

impl TryFrom<Row> for MeterRecord {
    type Error = ServiceError;
    fn try_from(row: Row) -> Result<MeterRecord> {
        let customer_id = match row.customer_id {
            None => None,
            Some(text) => Some(stored::parsed("customer_id", &text)?),
        };
        Ok(MeterRecord {
            meter_id: stored::parsed("meter_id", &row.meter_id)?,
            serial_number: row.serial_number,
            vendor: VendorCode::new(&row.vendor).map_err(|_| bad_column("vendor", &row.vendor))?,
            line: row.line,
            device: Device {
                address: MeterAddress::new(&row.address)
                    .map_err(|_| bad_column("address", &row.address))?,
                parameters: stored::named_values("parameters", &row.parameters)?,
            },
            customer_id,
            account: match row.account.as_str() {
                "none" => AccountState::None,
                "opening" => AccountState::Opening,
                "open" => AccountState::Open,
                other => return Err(bad_column("account", other)),
            },
            mode: BillingMode::from_name(&row.mode).ok_or_else(|| bad_column("mode", &row.mode))?,
            keeps_power: row.keeps_power != 0,
            supply: stored::supply(&row.supply)?,
            supply_at: row.supply_at_ms.map(UnixMs),
            purchase_count: row.purchase_count,
        })
    }
}

/// The record of one meter, inside a transaction or outside.
pub(crate) async fn record(executor: impl AnyExecutor<'_>, id: MeterId) -> Result<MeterRecord> {
    let row: Option<Row> = sqlx::query_as(
        "select meter_id, serial_number, vendor, line, address, parameters,
                customer_id, account, mode, keeps_power, supply, supply_at_ms, purchase_count
         from meter where meter_id = $1",
    )
    .bind(id.to_string())
    .fetch_optional(executor)
    .await?;
    row.ok_or(ServiceError::NotFound { what: "meter", id: id.to_string() })?.try_into()
}

impl Service {
    /// Refuses a meter that this configuration could not speak to, and parameters that its driver
    /// does not take.
    pub async fn add_meter(&self, mut new: NewMeter, actor: &Actor) -> Result<Meter> {
        let driver = self.driver(&new.vendor)?;
        let mode = mode::chosen(&driver, new.mode)?;
        match (mode, new.line.as_str()) {
            (BillingMode::Token, "") => {}
            (_, "") if driver.abilities().cards => {}
            (_, _) if driver.abilities().cards && !driver.abilities().meter => {
                return Err(invalid("line", "leave it empty: this meter is reached by its card"));
            }
            (BillingMode::Token, _) => {
                return Err(invalid("line", "leave it empty: tokens are typed into this meter"));
            }
            (_, line) => drop(self.line(line)?),
        }
        new.parameters = parameter::checked(&driver, Home::Here, &new.parameters)?;
        let serial_number =
            typed_not_empty("serial_number", &new.serial_number, MAX_SERIAL_NUMBER_CHARS)?;
        let from = new.tariff.from.unwrap_or(self.today()?);
        let (id, at, actor) = (MeterId::new(self.clock().id()), self.clock().at(), actor.clone());
        self.database()
            .write(move |tx| {
                Box::pin(async move {
                    insert(tx.connection(), id, at, &serial_number, &new, mode).await?;
                    let act = Act {
                        at,
                        actor: &actor,
                        act: "meter-added",
                        object: format!("meter/{id}"),
                        detail: &serial_number,
                    };
                    audit::record(tx.connection(), act).await?;
                    let given = Assignment { from: Some(from), ..new.tariff };
                    let purse = mode.quantity();
                    tariff::assign(tx.connection(), id, &given, purse, at, &actor).await
                })
            })
            .await?;
        self.meter(id).await
    }

    pub async fn meter(&self, id: MeterId) -> Result<Meter> {
        let record = record(self.reader(), id).await?;
        self.whole(record).await
    }

    pub async fn meter_by_serial(&self, serial_number: &str) -> Result<Meter> {
        let id: Option<String> =
            sqlx::query_scalar("select meter_id from meter where serial_number = $1")
                .bind(serial_number)
                .fetch_optional(self.reader())
                .await?;
        let Some(id) = id else {
            return Err(ServiceError::NotFound { what: "meter", id: serial_number.to_owned() });
        };
        self.meter(stored::parsed("meter_id", &id)?).await
    }

    /// By serial number, address, or the customer's number, name or phone; in the order of the
    /// serial numbers.
    pub async fn meters(&self, page: &Page) -> Result<Vec<Meter>> {
        let bound = page.bound()?;
        let rows: Vec<Row> = sqlx::query_as(
            r"select meter.meter_id, serial_number, vendor, line, address, parameters,
                     meter.customer_id, account, mode, keeps_power, supply,
                     supply_at_ms, purchase_count
              from meter left join customer on customer.customer_id = meter.customer_id
              where (lower(serial_number) like $1 escape '\' or lower(address) like $1 escape '\'
                     or lower(number) like $1 escape '\' or lower(name) like $1 escape '\'
                     or lower(phone) like $1 escape '\')
                and ($2 is null or serial_number >
                     (select serial_number from meter where meter_id = $2))
              order by serial_number limit $3",
        )
        .bind(bound.pattern)
        .bind(bound.after)
        .bind(bound.limit)
        .fetch_all(self.reader())
        .await?;
        let mut meters = Vec::with_capacity(rows.len());
        for row in rows {
            meters.push(self.whole(row.try_into()?).await?);
        }
        Ok(meters)
    }

    /// With its customer and last reading.
    async fn whole(&self, record: MeterRecord) -> Result<Meter> {
        let customer = match record.customer_id {
            Some(id) => Some(self.customer(id).await?),
            None => None,
        };
        Ok(Meter {
            meter_id: record.meter_id,
            serial_number: record.serial_number,
            vendor: record.vendor,
            line: record.line,
            address: record.device.address,
            parameters: record.device.parameters,
            tariff: self.tariff_in_force(record.meter_id).await?,
            customer,
            account: record.account,
            mode: record.mode,
            keeps_power: record.keeps_power,
            supply: record.supply,
            supply_at: record.supply_at,
            last_reading: self.last_reading(record.meter_id).await?,
        })
    }
}

async fn insert(
    connection: &mut Connection,
    id: MeterId,
    at: UnixMs,
    serial_number: &str,
    new: &NewMeter,
    mode: BillingMode,
) -> Result<()> {
    let inserted = sqlx::query(
        "insert into meter (meter_id, serial_number, vendor, line, address, parameters,
                            mode, created_at_ms)
         values ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(id.to_string())
    .bind(serial_number)
    .bind(new.vendor.as_str())
    .bind(&new.line)
    .bind(new.address.as_str())
    .bind(stored::named_values_text(&new.parameters))
    .bind(mode.name())
    .bind(at.0)
    .execute(connection)
    .await;
    let Err(error) = inserted else { return Ok(()) };
    let exists = |what, id: &str| Err(ServiceError::Exists { what, id: id.to_owned() });
    match violated(&error) {
        Some(Constraint::MeterSerialNumber) => exists("meter", serial_number),
        Some(Constraint::MeterAddress) => {
            exists("meter at address", &format!("{} of line {}", new.address, new.line))
        }
        _ => Err(error.into()),
    }
}

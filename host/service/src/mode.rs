//! How meters are paid for: what a driver must be able to do for a mode, an account that lives here
//! and not in the device, and which meters keep their power whatever is owed.
//!
//! Invariant: an account with a purse here, or by bill, begins at a reading: nothing before it is
//! ever charged, nothing after it is forgotten. Not here: charging (charge), cutting (purse).

use crate::Service;
use crate::account::{self, Installing, Why};
use crate::audit::{self, Act, Actor};
use crate::clock::UnixMs;
use crate::customer::Customer;
use crate::error::{Result, ServiceError, invalid};
use crate::limits::MAX_REASON_CHARS;
use crate::meter::{self, AccountState, Meter, MeterRecord};
use crate::reading::Reading;
use polymeter_domain::{BillingMode, InstallationId, MeterId, Quantity};
use polymeter_ledger::{Connection, Transaction};
use polymeter_runtime::Driver;

/// What was asked for, or what the driver's own purse suggests; refused where the driver cannot.
pub(crate) fn chosen(driver: &Driver, asked: Option<BillingMode>) -> Result<BillingMode> {
    let able = driver.abilities();
    let purse = driver.description().purse.filter(|_| able.purse || able.cards);
    let no = |why: String| Err(invalid("mode", why));
    let name = driver.name();
    // A driver that makes tokens and knows no purse has no line to its devices.
    let only_tokens = driver.abilities().token && purse.is_none();
    let mode = match asked {
        None if only_tokens => return Ok(BillingMode::Token),
        None => return Ok(BillingMode::of_purse(purse)),
        Some(mode) => mode,
    };
    match (mode, mode.quantity()) {
        (BillingMode::Token, _) if driver.abilities().token => Ok(mode),
        (BillingMode::Token, _) => no(format!("driver {name} makes no tokens")),
        (_, _) if only_tokens => no(format!("devices of driver {name} take tokens, and no {mode}")),
        (_, Some(asked)) if purse == Some(asked) => Ok(mode),
        (_, Some(_)) => {
            let has = purse.map_or("no purse", |purse| BillingMode::of_purse(Some(purse)).name());
            no(format!("{mode} is not what devices of driver {name} hold: they have {has}"))
        }
        (BillingMode::PlatformPurse, None) if !driver.abilities().supply => no(format!(
            "{mode} needs a device whose supply can be cut, and driver {name} cannot: choose post-paid"
        )),
        (_, None) => Ok(mode),
    }
}

/// A sale is credit into a device; other meters are paid for otherwise.
pub(crate) fn check_sold_to(meter: &MeterRecord) -> Result<()> {
    let serial = &meter.serial_number;
    let how = match meter.mode {
        BillingMode::PlatformPurse => "pay into the purse of its customer",
        BillingMode::PostPaid => "its customer pays bills",
        BillingMode::MoneyInMeter
        | BillingMode::EnergyInMeter
        | BillingMode::VolumeInMeter
        | BillingMode::Token => return Ok(()),
    };
    Err(invalid(
        "meter_id",
        format!("meter {serial} is {}, and nothing is sold into it: {how}", meter.mode),
    ))
}

/// What a sale at a meter is counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Purse {
    pub quantity: Quantity,
    /// A credit is a multiple of so many minor units, Wh or litres.
    pub step: u64,
}

pub(crate) fn purse_of(meter: &MeterRecord, driver: &Driver) -> Result<Purse> {
    let (quantity, step) = match meter.mode {
        // What a token carries is for its driver to say.
        BillingMode::Token => (meter.mode.quantity(), 1),
        _ => (driver.description().purse, driver.purse_step()),
    };
    let none = || invalid("meter_id", "this meter's driver has no purse to sell into");
    Ok(Purse { quantity: quantity.ok_or_else(none)?, step })
}

impl Service {
    /// Binds a customer to a meter whose account is kept here. The device is read and not changed; one
    /// that takes tokens is not even asked.
    pub(crate) async fn bind(
        &self,
        record: MeterRecord,
        customer: &Customer,
        why: Why,
        actor: &Actor,
    ) -> Result<Meter> {
        if is_open_for(&record, customer)? {
            return self.meter(record.meter_id).await;
        }
        // What it had counted until now is nobody's.
        let reading = match record.mode {
            BillingMode::Token => None,
            _ => Some(self.read_meter(record.meter_id, actor).await?),
        };
        let (id, customer) = (record.meter_id, customer.clone());
        let (inside, actor) = (self.clone(), actor.clone());
        self.database()
            .write(move |tx| {
                Box::pin(async move {
                    begin(&inside, tx, id, &customer, &why, reading.as_ref(), &actor).await
                })
            })
            .await?;
        self.meter(id).await
    }

    /// A meter that keeps its power is never cut by the program (保电); who said so and why is kept.
    pub async fn keep_power(
        &self,
        id: MeterId,
        keeps: bool,
        reason: &str,
        actor: &Actor,
    ) -> Result<Meter> {
        let reason = reason_of(reason)?;
        let (at, actor) = (self.clock().at(), actor.clone());
        self.database()
            .write(move |tx| {
                Box::pin(async move {
                    meter::record(&mut *tx.connection(), id).await?;
                    set_keeps_power(tx.connection(), id, keeps).await?;
                    let act = if keeps { "power-kept" } else { "power-kept-no-more" };
                    let object = format!("meter/{id}");
                    let act = Act { at, actor: &actor, act, object, detail: &reason };
                    audit::record(tx.connection(), act).await
                })
            })
            .await?;
        self.meter(id).await
    }
}

/// Why somebody does something: never empty, never a novel.
pub(crate) fn reason_of(text: &str) -> Result<String> {
    let text = text.trim();
    if text.is_empty() {
        return Err(invalid("reason", "empty: the audit trail needs to know why"));
    }
    if text.chars().count() > MAX_REASON_CHARS {
        return Err(invalid("reason", format!("more than {MAX_REASON_CHARS} characters")));
    }
    Ok(text.to_owned())
}

pub(crate) async fn set_keeps_power(
    connection: &mut Connection,
    id: MeterId,
    keeps: bool,
) -> Result<()> {
    sqlx::query("update meter set keeps_power = $1 where meter_id = $2")
        .bind(i64::from(keeps))
        .bind(id.to_string())
        .execute(connection)
        .await?;
    Ok(())
}

/// Whether it is bound to this customer already; an error where it is another's.
fn is_open_for(record: &MeterRecord, customer: &Customer) -> Result<bool> {
    match record.account {
        AccountState::None => Ok(false),
        AccountState::Open | AccountState::Opening
            if record.customer_id == Some(customer.customer_id) =>
        {
            Ok(true)
        }
        AccountState::Open | AccountState::Opening => {
            let what = "account of another customer at meter";
            Err(ServiceError::Exists { what, id: record.serial_number.clone() })
        }
    }
}

async fn begin(
    service: &Service,
    tx: &mut Transaction,
    id: MeterId,
    customer: &Customer,
    why: &Why,
    reading: Option<&Reading>,
    actor: &Actor,
) -> Result<()> {
    let record = meter::record(&mut *tx.connection(), id).await?;
    if is_open_for(&record, customer)? {
        return Ok(());
    }
    sqlx::query("update meter set account = 'open', customer_id = $1 where meter_id = $2")
        .bind(customer.customer_id.to_string())
        .bind(id.to_string())
        .execute(tx.connection())
        .await?;
    account::current_customer(tx.connection(), customer.customer_id).await?;
    let (at, today): (UnixMs, _) = (service.clock().at(), service.today()?);
    let new = Installing {
        meter_id: id,
        next: InstallationId::new(service.clock().id()),
        at,
        first_reading: reading.and_then(|reading| account::register_of(&reading.snapshot)),
    };
    account::install(tx, new, today, customer, why, actor).await?;
    let mut detail = format!("customer/{}, {}", customer.customer_id, record.mode);
    if let Some(reading) = reading {
        crate::charge::start(service, tx, id, customer.customer_id, reading, actor).await?;
        detail.push_str(&format!(", at reading/{}", reading.reading_id));
    }
    let object = format!("meter/{id}");
    let act = Act { at, actor, act: "account-opened", object, detail: &detail };
    audit::record(tx.connection(), act).await
}

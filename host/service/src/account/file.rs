//! The file of a customer and of a meter (档案), and its history: who changed what, when, why, on which
//! application, from what to what.
//!
//! Invariant: a change and its line in the history are one transaction, and the database keeps the
//! line. Not here: the audit trail, which says that an act was done and holds no names.

use super::{application, current_customer};
use crate::Service;
use crate::audit::{self, Act, Actor};
use crate::clock::UnixMs;
use crate::customer::{Customer, typed, typed_not_empty};
use crate::error::{Constraint, Result, ServiceError, violated};
use crate::limits::{
    MAX_EQUIPMENT_CHARS, MAX_NAME_CHARS, MAX_PHONE_CHARS, MAX_PREMISES_CHARS, MAX_REASON_CHARS,
    MAX_SERIAL_NUMBER_CHARS,
};
use crate::meter::{self, Meter};
use crate::page::Page;
use crate::stored;
use polymeter_domain::{ApplicationId, CustomerId, MeterAddress, MeterId};
use polymeter_ledger::Connection;

/// One line of a file's history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileChange {
    pub file_change_id: i64,
    pub at: UnixMs,
    pub actor: Actor,
    pub application_id: Option<ApplicationId>,
    pub customer_id: Option<CustomerId>,
    pub meter_id: Option<MeterId>,
    pub field: String,
    pub old: String,
    pub new: String,
    pub reason: String,
}

/// Whose history is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileOf {
    Customer(CustomerId),
    Meter(MeterId),
    Application(ApplicationId),
}

/// Why a file is changed, and on which application.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Why {
    pub reason: String,
    pub application: Option<ApplicationId>,
}

/// What to change of a customer; what is left out stays. The number stays always: devices hold it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CustomerEdit {
    pub name: Option<String>,
    pub phone: Option<String>,
    pub premises: Option<String>,
    pub equipment: Option<String>,
}

/// What to change of a meter; what is left out stays. Its tariff has its own act.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MeterEdit {
    pub serial_number: Option<String>,
    pub line: Option<String>,
    pub address: Option<MeterAddress>,
}

/// A change on its way into the history.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Change<'a> {
    pub at: UnixMs,
    pub actor: &'a Actor,
    pub why: &'a Why,
    pub customer: Option<CustomerId>,
    pub meter: Option<MeterId>,
    pub field: &'a str,
    pub old: &'a str,
    pub new: &'a str,
}

pub(crate) async fn record(connection: &mut Connection, change: Change<'_>) -> Result<()> {
    sqlx::query(
        "insert into file_change (at_ms, operator_id, application_id, customer_id, meter_id, field,
                                  old_value, new_value, reason)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(change.at.0)
    .bind(change.actor.stored())
    .bind(change.why.application.map(|id| id.to_string()))
    .bind(change.customer.map(|id| id.to_string()))
    .bind(change.meter.map(|id| id.to_string()))
    .bind(change.field)
    .bind(change.old)
    .bind(change.new)
    .bind(&change.why.reason)
    .execute(connection)
    .await?;
    Ok(())
}

#[derive(sqlx::FromRow)]
struct Row {
    file_change_id: i64,
    at_ms: i64,
    operator_id: Option<String>,
    application_id: Option<String>,
    customer_id: Option<String>,
    meter_id: Option<String>,
    field: String,
    old_value: String,
    new_value: String,
    reason: String,
}

impl TryFrom<Row> for FileChange {
    type Error = ServiceError;
    fn try_from(row: Row) -> Result<FileChange> {
        let meter =
            row.meter_id.as_deref().map(|text| stored::parsed("meter_id", text)).transpose()?;
        let customer = row.customer_id.as_deref().map(|text| stored::parsed("customer_id", text));
        let application =
            row.application_id.as_deref().map(|text| stored::parsed("application_id", text));
        Ok(FileChange {
            file_change_id: row.file_change_id,
            at: UnixMs(row.at_ms),
            actor: Actor::from_stored(row.operator_id.as_deref())?,
            application_id: application.transpose()?,
            customer_id: customer.transpose()?,
            meter_id: meter,
            field: row.field,
            old: row.old_value,
            new: row.new_value,
            reason: row.reason,
        })
    }
}

impl Why {
    /// An act that cannot be undone by itself is done with a reason.
    pub(crate) fn checked(&self) -> Result<Why> {
        let reason = typed_not_empty("reason", &self.reason, MAX_REASON_CHARS)?;
        Ok(Why { reason, application: self.application })
    }
}

impl Service {
    /// Newest first; `after` is a `file_change_id`, `query` looks into field, values and reason.
    pub async fn file_changes(&self, of: FileOf, page: &Page) -> Result<Vec<FileChange>> {
        let after = page.after_number()?;
        let (customer, meter, application) = match of {
            FileOf::Customer(id) => (Some(self.customer(id).await?.customer_id), None, None),
            FileOf::Meter(id) => {
                (None, Some(meter::record(self.reader(), id).await?.meter_id), None)
            }
            FileOf::Application(id) => {
                (None, None, Some(self.application(id).await?.application_id))
            }
        };
        let rows: Vec<Row> = sqlx::query_as(
            r"select * from file_change
              where ($1 is null or file_change_id < $1)
                and (customer_id = $2 or meter_id = $3 or application_id = $4)
                and (lower(field) like $5 escape '\' or lower(old_value) like $5 escape '\'
                     or lower(new_value) like $5 escape '\' or lower(reason) like $5 escape '\')
              order by file_change_id desc limit $6",
        )
        .bind(after)
        .bind(customer.map(|id| id.to_string()))
        .bind(meter.map(|id| id.to_string()))
        .bind(application.map(|id| id.to_string()))
        .bind(page.pattern())
        .bind(page.row_limit()?)
        .fetch_all(self.reader())
        .await?;
        rows.into_iter().map(FileChange::try_from).collect()
    }

    /// Changes a customer's file. What is already so is not written again.
    pub async fn edit_customer(
        &self,
        id: CustomerId,
        edit: CustomerEdit,
        why: Why,
        actor: &Actor,
    ) -> Result<Customer> {
        let why = why.checked()?;
        let field = |name, given: Option<String>, most| -> Result<Option<String>> {
            given.map(|text| typed(name, &text, most)).transpose()
        };
        let name = edit.name.map(|text| typed_not_empty("name", &text, MAX_NAME_CHARS));
        let new = CustomerEdit {
            name: name.transpose()?,
            phone: field("phone", edit.phone, MAX_PHONE_CHARS)?,
            premises: field("premises", edit.premises, MAX_PREMISES_CHARS)?,
            equipment: field("equipment", edit.equipment, MAX_EQUIPMENT_CHARS)?,
        };
        let (at, actor) = (self.clock().at(), actor.clone());
        self.database()
            .write(move |tx| {
                Box::pin(async move {
                    let was = current_customer(tx.connection(), id).await?;
                    for (field, old, new) in [
                        ("name", &was.name, &new.name),
                        ("phone", &was.phone, &new.phone),
                        ("premises", &was.premises, &new.premises),
                        ("equipment", &was.equipment, &new.equipment),
                    ] {
                        let Some(new) = new.as_ref().filter(|new| *new != old) else { continue };
                        let (customer, meter) = (Some(id), None);
                        let why = &why;
                        let change =
                            Change { at, actor: &actor, why, customer, meter, field, old, new };
                        record(tx.connection(), change).await?;
                    }
                    sqlx::query(
                        "update customer set name = $1, phone = $2, premises = $3, equipment = $4
                         where customer_id = $5",
                    )
                    .bind(new.name.unwrap_or(was.name))
                    .bind(new.phone.unwrap_or(was.phone))
                    .bind(new.premises.unwrap_or(was.premises))
                    .bind(new.equipment.unwrap_or(was.equipment))
                    .bind(id.to_string())
                    .execute(tx.connection())
                    .await?;
                    let outcome = "the file was changed";
                    application::finish(tx, at, &why, id, &["change"], outcome).await?;
                    let object = format!("customer/{id}");
                    let detail = &why.reason;
                    let act = Act { at, actor: &actor, act: "customer-edited", object, detail };
                    audit::record(tx.connection(), act).await
                })
            })
            .await?;
        self.customer(id).await
    }

    /// Changes how a meter is named and reached. A sale under way would lose its device.
    pub async fn edit_meter(
        &self,
        id: MeterId,
        edit: MeterEdit,
        why: Why,
        actor: &Actor,
    ) -> Result<Meter> {
        let why = why.checked()?;
        if let Some(line) = &edit.line {
            self.line(line)?;
        }
        let serial = edit
            .serial_number
            .map(|text| typed_not_empty("serial_number", &text, MAX_SERIAL_NUMBER_CHARS));
        let serial = serial.transpose()?;
        let (at, actor) = (self.clock().at(), actor.clone());
        self.database()
            .write(move |tx| {
                Box::pin(async move {
                    let was = meter::record(&mut *tx.connection(), id).await?;
                    crate::sale::none_unsettled(tx.connection(), &was).await?;
                    let serial_number = serial.unwrap_or_else(|| was.serial_number.clone());
                    let line = edit.line.unwrap_or_else(|| was.line.clone());
                    let address = edit.address.unwrap_or_else(|| was.device.address.clone());
                    for (field, old, new) in [
                        ("serial number", was.serial_number.as_str(), serial_number.as_str()),
                        ("line", was.line.as_str(), line.as_str()),
                        ("address", was.device.address.as_str(), address.as_str()),
                    ] {
                        if old == new {
                            continue;
                        }
                        let (customer, meter, why) = (was.customer_id, Some(id), &why);
                        let change =
                            Change { at, actor: &actor, why, customer, meter, field, old, new };
                        record(tx.connection(), change).await?;
                    }
                    rename(tx.connection(), id, &serial_number, &line, address.as_str()).await?;
                    let object = format!("meter/{id}");
                    let detail = &why.reason;
                    let act = Act { at, actor: &actor, act: "meter-edited", object, detail };
                    audit::record(tx.connection(), act).await
                })
            })
            .await?;
        self.meter(id).await
    }
}

async fn rename(
    connection: &mut Connection,
    id: MeterId,
    serial_number: &str,
    line: &str,
    address: &str,
) -> Result<()> {
    let renamed = sqlx::query(
        "update meter set serial_number = $1, line = $2, address = $3 where meter_id = $4",
    )
    .bind(serial_number)
    .bind(line)
    .bind(address)
    .bind(id.to_string())
    .execute(connection)
    .await;
    let Err(error) = renamed else { return Ok(()) };
    let exists = |what, id: String| Err(ServiceError::Exists { what, id });
    match violated(&error) {
        Some(Constraint::MeterSerialNumber) => exists("meter", serial_number.to_owned()),
        Some(Constraint::MeterAddress) => {
            exists("meter at address", format!("{address} of line {line}"))
        }
        _ => Err(error.into()),
    }
}

//! Customers: people and firms that buy. Their number is what devices store; their names never reach
//! a log.

use crate::Service;
use crate::audit::{self, Act, Actor};
use crate::clock::UnixMs;
use crate::error::{Constraint, Result, ServiceError, bad_column, invalid, violated};
use crate::limits::{MAX_NAME_CHARS, MAX_PHONE_CHARS, MAX_PREMISES_CHARS};
use crate::page::Page;
use polymeter_domain::{CustomerId, CustomerNumber};
use polymeter_ledger::Connection;
use sqlx::AnyExecutor;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCustomer {
    pub number: CustomerNumber,
    pub name: String,
    pub phone: String,
    pub premises: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Customer {
    pub customer_id: CustomerId,
    pub number: CustomerNumber,
    pub name: String,
    pub phone: String,
    pub premises: String,
    /// What runs on the supply (用电设备), in words.
    pub equipment: String,
    pub created_at: UnixMs,
    /// In the archive since then; `None`: a current customer.
    pub closed_at: Option<UnixMs>,
}

/// Where a customer's file lies (档案库): closed ones leave the current list and stay to be found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shelf {
    Current,
    Archive,
    Both,
}

#[derive(Debug, sqlx::FromRow)]
struct Row {
    customer_id: String,
    number: String,
    name: String,
    phone: String,
    premises: String,
    equipment: String,
    created_at_ms: i64,
    closed_at_ms: Option<i64>,
}

impl TryFrom<Row> for Customer {
    type Error = ServiceError;
    fn try_from(row: Row) -> Result<Customer> {
        Ok(Customer {
            customer_id: row
                .customer_id
                .parse()
                .map_err(|_| bad_column("customer_id", &row.customer_id))?,
            number: CustomerNumber::new(&row.number)
                .map_err(|_| bad_column("number", &row.number))?,
            name: row.name,
            phone: row.phone,
            premises: row.premises,
            equipment: row.equipment,
            created_at: UnixMs(row.created_at_ms),
            closed_at: row.closed_at_ms.map(UnixMs),
        })
    }
}

/// Text that a person typed: trimmed, not longer than `max` characters, no control characters, which
/// would break lists and receipts.
pub(crate) fn typed(field: &'static str, text: &str, max: usize) -> Result<String> {
    let text = text.trim();
    if text.chars().count() > max {
        return Err(invalid(field, format!("more than {max} characters")));
    }
    if text.chars().any(char::is_control) {
        return Err(invalid(field, "control characters"));
    }
    Ok(text.to_owned())
}

pub(crate) fn typed_not_empty(field: &'static str, text: &str, max: usize) -> Result<String> {
    let text = typed(field, text, max)?;
    if text.is_empty() { Err(invalid(field, "empty")) } else { Ok(text) }
}

/// Whether there is one, as an error.
pub(crate) async fn exists(connection: &mut Connection, id: CustomerId) -> Result<()> {
    let found: i64 = sqlx::query_scalar("select count(*) from customer where customer_id = $1")
        .bind(id.to_string())
        .fetch_one(connection)
        .await?;
    if found == 1 {
        return Ok(());
    }
    Err(ServiceError::NotFound { what: "customer", id: id.to_string() })
}

impl Service {
    /// What was typed, checked, as the file that it may become.
    pub(crate) fn fresh_customer(&self, new: &NewCustomer) -> Result<Customer> {
        Ok(Customer {
            customer_id: CustomerId::new(self.clock().id()),
            number: new.number.clone(),
            name: typed_not_empty("name", &new.name, MAX_NAME_CHARS)?,
            phone: typed("phone", &new.phone, MAX_PHONE_CHARS)?,
            premises: typed("premises", &new.premises, MAX_PREMISES_CHARS)?,
            equipment: String::new(),
            created_at: self.clock().at(),
            closed_at: None,
        })
    }

    pub async fn add_customer(&self, new: NewCustomer, actor: &Actor) -> Result<Customer> {
        let customer = self.fresh_customer(&new)?;
        let actor = actor.clone();
        self.database()
            .write(move |tx| {
                Box::pin(async move {
                    insert(tx.connection(), &customer).await?;
                    let act = Act {
                        at: customer.created_at,
                        actor: &actor,
                        act: "customer-added",
                        object: format!("customer/{}", customer.customer_id),
                        detail: "",
                    };
                    audit::record(tx.connection(), act).await?;
                    Ok(customer)
                })
            })
            .await
    }

    pub async fn customer(&self, id: CustomerId) -> Result<Customer> {
        record(self.reader(), id).await
    }

    pub async fn customer_by_number(&self, number: &CustomerNumber) -> Result<Customer> {
        let row: Option<Row> = sqlx::query_as("select * from customer where number = $1")
            .bind(number.as_str())
            .fetch_optional(self.reader())
            .await?;
        row.ok_or(ServiceError::NotFound { what: "customer", id: number.to_string() })?.try_into()
    }

    /// Current ones by number, name, phone or premises; in the order of their numbers.
    pub async fn customers(&self, page: &Page) -> Result<Vec<Customer>> {
        self.customers_of(page, Shelf::Current).await
    }

    pub async fn customers_of(&self, page: &Page, shelf: Shelf) -> Result<Vec<Customer>> {
        let bound = page.bound()?;
        let rows: Vec<Row> = sqlx::query_as(
            r"select * from customer
              where (lower(number) like $1 escape '\' or lower(name) like $1 escape '\'
                     or lower(phone) like $1 escape '\' or lower(premises) like $1 escape '\')
                and ($2 is null or number > (select number from customer where customer_id = $2))
                and (case when closed_at_ms is null then 0 else 1 end = $4 or $4 = 2)
              order by number limit $3",
        )
        .bind(bound.pattern)
        .bind(bound.after)
        .bind(bound.limit)
        .bind(match shelf {
            Shelf::Current => 0,
            Shelf::Archive => 1,
            Shelf::Both => 2,
        })
        .fetch_all(self.reader())
        .await?;
        rows.into_iter().map(Customer::try_from).collect()
    }
}

pub(crate) async fn record(executor: impl AnyExecutor<'_>, id: CustomerId) -> Result<Customer> {
    let row: Option<Row> = sqlx::query_as("select * from customer where customer_id = $1")
        .bind(id.to_string())
        .fetch_optional(executor)
        .await?;
    row.ok_or(ServiceError::NotFound { what: "customer", id: id.to_string() })?.try_into()
}

pub(crate) async fn insert(connection: &mut Connection, customer: &Customer) -> Result<()> {
    let inserted = sqlx::query(
        "insert into customer (customer_id, number, name, phone, premises, created_at_ms)
         values ($1, $2, $3, $4, $5, $6)",
    )
    .bind(customer.customer_id.to_string())
    .bind(customer.number.as_str())
    .bind(&customer.name)
    .bind(&customer.phone)
    .bind(&customer.premises)
    .bind(customer.created_at.0)
    .execute(connection)
    .await;
    match inserted {
        Ok(_) => Ok(()),
        Err(error) if violated(&error) == Some(Constraint::CustomerNumber) => {
            Err(ServiceError::Exists { what: "customer number", id: customer.number.to_string() })
        }
        Err(error) => Err(error.into()),
    }
}

//! The one error of this crate's boundary, and which broken constraint means which of its cases.
//!
//! A device's *no* reaches a caller as `Refused` and silence as `Unknown`: neither is a failure of
//! ours, but both end the request that asked. Not here: HTTP status codes (server).

use polymeter_domain::{CounterActId, Money, Refusal, SaleId, VendorCode};
use polymeter_ledger::LedgerError;
use polymeter_runtime::{CallError, Driver, Meaning};
use polymeter_transport::{CardError, LineError};

#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    #[error("no {what} {id}")]
    NotFound { what: &'static str, id: String },
    #[error("{what} {id} already exists")]
    Exists { what: &'static str, id: String },
    /// Same sale id, other body.
    #[error("sale {sale_id} was already made with another meter or amount")]
    SaleDiffers { sale_id: SaleId },
    /// Same id of some other thing, other content.
    #[error("{what} {id} was already made with other content")]
    Differs { what: &'static str, id: String },
    /// What some other thing than a sale is does not allow this.
    #[error("{what} {id} is {state} and cannot be {event}")]
    WrongState { what: &'static str, id: String, state: &'static str, event: &'static str },
    #[error("another operator has to decide this")]
    SamePerson,
    #[error("meter {serial_number} has an unsettled counter act {act_id}")]
    UnsettledAct { serial_number: String, act_id: CounterActId },
    #[error("cash is taken and given in a shift only: open one first")]
    NoShift,
    #[error("meter {serial_number} has an unsettled sale {sale_id}")]
    Unsettled { serial_number: String, sale_id: SaleId },
    #[error("meter {serial_number} has no open account")]
    NotOpened { serial_number: String },
    /// Something else stands in the way; `why` says what, and what to do.
    #[error("{what}: {why}")]
    Blocked { what: String, why: String },
    #[error("{paid} cannot be sold: {why}")]
    BadAmount { paid: Money, why: String },
    #[error("{field}: {why}")]
    Invalid { field: &'static str, why: String },
    #[error(
        "tariff plan {name} is in use: {meters} meters have it, {had} had it at some time; it \
         explains what they were charged, so it stays"
    )]
    PlanInUse { name: String, meters: u64, had: u64 },
    /// What is asked does not fit what has happened meanwhile.
    #[error("{0}")]
    Conflict(String),
    #[error("sale {sale_id} is {state} and cannot be {event}")]
    OutOfOrder { sale_id: SaleId, state: &'static str, event: &'static str },
    #[error("day {day} cannot be closed: days are closed once and in order, and {last} is closed")]
    DayClosed { day: String, last: String },
    /// The sentence of whoever has the key.
    #[error("the day was not closed: its head could not be signed: {0}")]
    NotSigned(String),
    #[error("vendor {vendor} has no enabled driver")]
    NoDriver { vendor: VendorCode },
    #[error("no line {line} in the configuration")]
    NoLine { line: String },
    #[error("parameters: {}", sentences(.0))]
    Parameters(Vec<BadParameter>),
    /// `meaning` is what the driver's manifest says of the device's own code, where there is one.
    #[error("{}", no_answer(source, meaning.as_deref()))]
    Device { meaning: Option<Box<Meaning>>, source: CallError },
    #[error("the line could not be used")]
    Line(#[source] LineError),
    #[error("the card could not be used")]
    Card(#[source] CardError),
    /// Proved: no byte left, so that asking again is safe.
    #[error("nothing was sent: {0}")]
    NotSent(String),
    #[error("the meter refused: {}", refused(refusal, meaning.as_deref()))]
    Refused { refusal: Refusal, meaning: Option<Box<Meaning>> },
    /// The act may or may not have happened.
    #[error("outcome unknown: {0}")]
    Unknown(String),
    #[error("storage failed")]
    Storage(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("wrong name or password")]
    BadLogin,
    #[error("too many wrong passwords; try again in {retry_after_s} s")]
    TooManyLogins { retry_after_s: u64 },
    #[error("this link is used up or was never valid")]
    BadSetupLink,
}

/// A parameter whose value cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadParameter {
    pub name: String,
    /// The end of a sentence that begins with the name.
    pub why: String,
}

impl ServiceError {
    /// The database is not to be had at present; the same again may succeed later.
    pub fn is_passing(&self) -> bool {
        let ServiceError::Storage(source) = self else { return false };
        source.downcast_ref::<LedgerError>().is_some_and(LedgerError::is_passing)
            || source.downcast_ref::<sqlx::Error>().is_some_and(polymeter_ledger::is_passing)
    }

    /// An answer of `interface` of the contract that `driver` could not give.
    pub(crate) fn device(driver: &Driver, interface: &str, source: CallError) -> ServiceError {
        let code = match &source {
            CallError::Driver { device_code, .. } => device_code.as_deref(),
            _ => None,
        };
        let meaning = code.and_then(|code| driver.meaning_of(interface, code)).map(Box::new);
        ServiceError::Device { meaning, source }
    }

    pub(crate) fn refused(driver: &Driver, interface: &str, refusal: Refusal) -> ServiceError {
        let meaning = meaning_of(driver, interface, &refusal).map(Box::new);
        ServiceError::Refused { refusal, meaning }
    }
}

/// What the driver's manifest says of the device's own code in a refusal.
pub(crate) fn meaning_of(driver: &Driver, interface: &str, no: &Refusal) -> Option<Meaning> {
    driver.meaning_of(interface, no.device_code.as_deref()?)
}

/// "0004 (wrong MAC, MAC校验错误)", or the code alone.
pub fn code_in_words(code: &str, meaning: Option<&Meaning>) -> String {
    meaning.map_or_else(|| code.to_owned(), |it| format!("{code} ({}, {})", it.en, it.zh))
}

/// "wrong MAC; device code 0004 (wrong MAC, MAC校验错误)".
pub fn refused(refusal: &Refusal, meaning: Option<&Meaning>) -> String {
    match &refusal.device_code {
        Some(code) => {
            format!("{}; device code {}", refusal.detail, code_in_words(code, meaning))
        }
        None => refusal.detail.clone(),
    }
}

fn no_answer(source: &CallError, meaning: Option<&Meaning>) -> String {
    match source {
        CallError::Driver { device_code: Some(code), .. } => {
            format!("the meter answered with its error {}", code_in_words(code, meaning))
        }
        _ => "the meter did not answer".to_owned(),
    }
}

fn sentences(bad: &[BadParameter]) -> String {
    let each = bad.iter().map(|BadParameter { name, why }| format!("`{name}` {why}"));
    each.collect::<Vec<_>>().join("; ")
}

pub type Result<T> = std::result::Result<T, ServiceError>;

impl From<LedgerError> for ServiceError {
    fn from(error: LedgerError) -> Self {
        match error {
            LedgerError::DayNotNext { day, last } => ServiceError::DayClosed { day, last },
            error => ServiceError::Storage(Box::new(error)),
        }
    }
}

/// For statements whose only failure is the storage itself; the others ask `violated` first.
impl From<sqlx::Error> for ServiceError {
    fn from(error: sqlx::Error) -> Self {
        ServiceError::Storage(Box::new(error))
    }
}

/// A stored text that this version cannot read back: somebody wrote into the file, or it is newer.
#[derive(Debug, thiserror::Error)]
#[error("column {column} holds `{text}`, which is none of ours")]
pub(crate) struct BadColumn {
    pub column: &'static str,
    pub text: String,
}

pub(crate) fn bad_column(column: &'static str, text: impl Into<String>) -> ServiceError {
    ServiceError::Storage(Box::new(BadColumn { column, text: text.into() }))
}

pub(crate) fn invalid(field: &'static str, why: impl Into<String>) -> ServiceError {
    ServiceError::Invalid { field, why: why.into() }
}

/// The unique constraints that a caller can break, by their names in the migration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Constraint {
    CustomerNumber,
    MeterSerialNumber,
    MeterAddress,
    TariffPlanName,
    ChargeItemName,
    AllocationName,
    AllocationMaster,
    OperatorName,
    EnteredThrough,
}

pub(crate) fn violated(error: &sqlx::Error) -> Option<Constraint> {
    Some(match polymeter_ledger::broken_unique(error)? {
        "customer_number_unique" | "customer.number" => Constraint::CustomerNumber,
        "meter_serial_number_unique" | "meter.serial_number" => Constraint::MeterSerialNumber,
        "meter_address_unique" | "meter.line, meter.address" => Constraint::MeterAddress,
        "allocation_name_unique" | "allocation.name" => Constraint::AllocationName,
        "allocation_master_unique" | "allocation.master_meter_id" => Constraint::AllocationMaster,
        "charge_item_name_unique" | "charge_item.name" => Constraint::ChargeItemName,
        "tariff_plan_name_unique" | "tariff_plan.name" => Constraint::TariffPlanName,
        "operator_name_unique" | "operator.name" => Constraint::OperatorName,
        "meter_entered_through_once" | "meter.entered_through" => Constraint::EnteredThrough,
        _ => return None,
    })
}

/// An error with everything beneath it, for a log or a history: "the meter did not answer: ...".
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

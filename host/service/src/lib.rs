//! Everything above the ledger: customers, meters, readings, sales, supply control, operators and
//! the audit trail. One handle, [`Service`], used by the server, the CLI and the demo alike.
//!
//! Invariants: every write is one `Database::write` job, so that our rows and the ledger's stand or
//! fall together; which state of a sale follows which is said in `domain::Sale` alone; money moves
//! on proof. Not here: HTTP (server), how a device is spoken to (drivers, runtime), which byte goes
//! out when (transport).

mod account;
mod alarm;
mod approvable;
mod approval;
mod audit;
mod billing;
mod booking;
mod card;
mod charge;
mod clock;
mod clock_setting;
mod counter_act;
mod crash_point;
mod customer;
mod customer_receipt;
mod day_close;
mod discrepancy;
mod driver;
mod error;
pub mod limits;
mod meter;
mod mode;
mod operator;
mod page;
mod parameter;
mod purse;
mod reach;
mod reading;
mod reading_store;
mod record;
mod recording;
mod restored;
mod rules;
mod sale;
mod scan;
mod setting;
mod shift;
mod standing;
mod stored;
mod supply;
mod tariff;
mod throttle;
mod token;
mod trial_balance;

pub use account::{
    Applicant, Application, ApplicationKind, ApplicationState, ArrearsEnd, Clearing, ClearingState,
    Closing, ClosingMeter, ClosingPreview, ClosingRequest, ClosingState, Consumption, CustomerEdit,
    FileChange, FileOf, Held, Hold, HoldKind, Installation, Keyed, MeterClearing,
    MeterClearingState, MeterEdit, NewApplication, PlannedMeter, RatioChange, Swap, SwapRequest,
    SwapState, Takeover, TakeoverRequest, Used, Why, typed_reading,
};
pub use alarm::Alarm;
pub use approvable::Approvable;
pub use approval::{Approval, ApprovalState, Verdict};
pub use audit::{Actor, AuditEntry};
pub use billing::{
    Allocation, AllocationBasis, AllocationPart, AllocationRun, Basis, Bill, BillLine, BillPayment,
    BillState, Booked, ChargeAssignment, ChargeItem, Claim, DraftBill, Member, NewAllocation,
    NewBillPayment, NewItem, PaidFrom, PeriodRun, in_m2,
};
pub use booking::{
    Booking, customer_of_account, meter_credit_account, meter_of_account, purse_account,
};
pub use card::{
    CardOwners, CardVerdict, Encoding as MarkEncoding, Finding, KnownCard, Looked, MaintenanceCard,
    MaintenanceCardState, Mark, NewMaintenanceCard, Place as MarkPlace, Theirs, Whose,
};
pub use charge::{
    CaseDecision, CaseKind, Charge, ChargeExplanation, ChargeKind, ChargeOutcome, ChargePart,
    NamedPart, ReadingCase,
};
pub use clock::{Clock, UnixMs};
pub use clock_setting::{ClockSetting, ClockState};
pub use counter_act::{ActKind, ActNote, ActPreview, ActRequest, CounterAct, Subject};
pub use crash_point::{
    ACCOUNT_CRASH_POINTS, CRASH_POINTS, ENTRY_CRASH_POINTS, ORDER_CRASH_POINTS, PURSE_CRASH_POINTS,
    REFUND_CRASH_POINTS, ROLLOVER_CRASH_POINTS, TAKING_CRASH_POINTS, TOKEN_CRASH_POINTS,
};
pub use customer::{Customer, NewCustomer, Shelf};
pub use customer_receipt::{CustomerReceipt, ReceiptLine};
pub use day_close::ClosedDay;
pub use discrepancy::{Closed, Discrepancy};
pub use driver::{
    Change, Difference, Edition, Fitting, Plan, Progress, Rollout, Slot, Stage, Thresholds,
};
pub use error::{BadParameter, Result, ServiceError, code_in_words, refused};
pub use meter::{AccountState, Meter, NewMeter};
pub use operator::{Operator, Right, Rights};
pub use page::Page;
pub use parameter::Home;
pub use purse::{
    Direction, NewPayment, Payment, Purse, PursePayment, PurseRefund, PurseRules, RefundState,
    Round, SupplyCut,
};
pub use reading::Reading;
pub use record::{RecordsRead, StoredRecord};
pub use recording::Conversation;
pub use restored::settle_restored;
pub use rules::{ApprovalRules, Rules};
pub use sale::{LedgerEntry, SaleEvent, SaleRequest, SaleView};
pub use scan::{FoundMeter, ScanEvent, ScanRequest};
pub use setting::{Attempt, Setting, SettingEnd};
pub use shift::{ChannelTotals, Run, Shift, ShiftClosing};
pub use standing::Standing;
pub use tariff::{
    Assignment, InForce, MeterTariff, NamedVersion, NewPlan, NewVersion, Preview, Priced, Rerun,
    SaleExplanation, Sample, TariffPlan, TariffVersion,
};
pub use token::{
    EntryState, NewRollover, NewTokenOrder, Rollover, RolloverLine, RolloverMeter, RolloverOrder,
    RolloverPreview, SoldToken, TokenEntry, TokenRecord, TokenState,
};
pub use trial_balance::{TrialBalance, TrialLine};

use driver::Registry;
use error::invalid;
use operator::Passwords;
use polymeter_domain::{Currency, VendorCode};
use polymeter_ledger::{Database, Reader};
use polymeter_runtime::Driver;
use polymeter_transport::{CardReaders, Line};
use reading_store::ReadingsWaiting;
use sale::UnderWay;
use std::collections::HashSet;
use std::future::Future;
use std::sync::{Arc, PoisonError, RwLock};

#[derive(Debug)]
pub struct Parts {
    pub database: Database,
    pub drivers: Vec<Fitting>,
    pub lines: Vec<Line>,
    pub currency: Currency,
    pub clock: Clock,
    pub rules: Rules,
    pub readers: CardReaders,
    /// Where cards have their vendors' codes.
    pub marks: Vec<Mark>,
}

/// Everything above the ledger; cheap to clone.
#[derive(Debug, Clone)]
pub struct Service {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    database: Database,
    registry: Registry,
    lines: RwLock<Vec<Line>>,
    currency: Currency,
    clock: Clock,
    rules: Rules,
    under_way: UnderWay,
    passwords: Passwords,
    purses: purse::Purses,
    readings: ReadingsWaiting,
    cards: card::Cards,
    /// Told where a token is to be entered.
    entries: tokio::sync::Notify,
}

impl Service {
    /// Checks the parts against each other. Does not resume anything yet.
    pub async fn start(parts: Parts) -> Result<Service> {
        let Parts { database, drivers, lines, currency, clock, rules, readers, marks } = parts;
        let inner = Inner {
            database,
            registry: Registry::default(),
            lines: RwLock::default(),
            currency,
            clock,
            rules,
            under_way: UnderWay::default(),
            passwords: Passwords::new(),
            purses: purse::Purses::new(currency),
            readings: ReadingsWaiting::default(),
            cards: card::Cards::new(readers, marks),
            entries: tokio::sync::Notify::new(),
        };
        let service = Service { inner: Arc::new(inner) };
        service.add_lines(lines)?;
        // What a start finds in place is no change.
        service.registry().refit(drivers)?;
        service.warn_of_orphans().await?;
        Ok(service)
    }

    /// A meter whose driver or line has left the configuration stays, with all it bought; it cannot
    /// be used until they are back, and that is worth a line.
    async fn warn_of_orphans(&self) -> Result<()> {
        let used: Vec<(String, String, i64)> =
            sqlx::query_as("select vendor, line, count(*) from meter group by vendor, line")
                .fetch_all(self.reader())
                .await?;
        for (vendor, line, meters) in used {
            let driver = VendorCode::new(&vendor).ok().and_then(|vendor| self.driver(&vendor).ok());
            // Tokens and cards need none.
            let has_line = line.is_empty() || self.line(&line).is_ok();
            if driver.is_none() || !has_line {
                tracing::warn!(vendor, line, meters, "meters without an enabled driver or line");
            }
        }
        Ok(())
    }

    /// What serves each vendor, in the order of the vendors' codes.
    pub fn slots(&self) -> Vec<Slot> {
        self.registry().slots()
    }

    /// The current version of each vendor's driver.
    pub fn drivers(&self) -> Vec<Arc<Driver>> {
        self.slots().into_iter().map(|slot| slot.current.driver).collect()
    }

    pub fn lines(&self) -> Vec<Line> {
        self.inner.lines.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes more lines into use, all of them or none.
    pub fn add_lines(&self, more: Vec<Line>) -> Result<()> {
        let mut lines = self.inner.lines.write().unwrap_or_else(PoisonError::into_inner);
        let mut names = HashSet::new();
        for line in lines.iter().chain(&more) {
            let name = &line.settings().name;
            if !names.insert(name.clone()) {
                return Err(invalid("line", format!("two lines are named {name}")));
            }
        }
        lines.extend(more);
        Ok(())
    }

    /// The current version. An act on a device takes `Service::reach` instead.
    fn driver(&self, vendor: &VendorCode) -> Result<Arc<Driver>> {
        let driver = self.registry().current(vendor);
        driver.ok_or_else(|| ServiceError::NoDriver { vendor: vendor.clone() })
    }

    fn line(&self, name: &str) -> Result<Line> {
        if name.is_empty() {
            let why = "it has no line, and nothing can be asked of it";
            let what = "this meter".to_owned();
            return Err(ServiceError::Blocked { what, why: why.to_owned() });
        }
        let lines = self.inner.lines.read().unwrap_or_else(PoisonError::into_inner);
        let line = lines.iter().find(|line| line.settings().name == name);
        line.cloned().ok_or_else(|| ServiceError::NoLine { line: name.to_owned() })
    }

    fn registry(&self) -> &Registry {
        &self.inner.registry
    }

    fn database(&self) -> &Database {
        &self.inner.database
    }

    fn reader(&self) -> &Reader {
        self.database().reader()
    }

    fn currency(&self) -> Currency {
        self.inner.currency
    }

    /// What the site's configuration decides about selling.
    pub fn rules(&self) -> &Rules {
        &self.inner.rules
    }

    fn clock(&self) -> &Clock {
        &self.inner.clock
    }
}

/// Runs an act on a device to its end in a task of its own, even where the caller (an HTTP request)
/// goes away: what a device was made to do is always written down.
async fn to_the_end<T: Send + 'static>(
    act: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T> {
    match tokio::spawn(act).await {
        Ok(result) => result,
        Err(failed) => match failed.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(cancelled) => Err(ServiceError::Unknown(cancelled.to_string())),
        },
    }
}

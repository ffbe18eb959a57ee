//! Opening an account (开户): a customer is bound to a meter and the device's purse is opened with no
//! credit. Two durable steps, as for a sale: `opening` is stored before the device is asked, `open`
//! after it said yes. A crash in between leaves `opening`, and asking again for the same customer is
//! safe, because a device takes the opening of the customer it already has as the same act.
//!
//! No money moves here, so the ledger has no row of it. The rest of a customer's life with us is in the
//! modules beneath: the file, installations, applications, holds.

/// An enum whose variants have names that are stored and shown.
macro_rules! named {
    (
        $(#[$doc:meta])* $name:ident, $column:literal:
        $($(#[$said:meta])* $variant:ident = $text:literal),+ $(,)?
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name { $($(#[$said])* $variant),+ }

        impl $name {
            pub const ALL: &'static [$name] = &[$($name::$variant),+];

            pub fn name(self) -> &'static str {
                match self { $($name::$variant => $text),+ }
            }
            pub(crate) fn from_name(name: &str) -> Result<$name> {
                match name {
                    $($text => Ok($name::$variant),)+
                    _ => Err(bad_column($column, name)),
                }
            }
        }
    };
}

mod application;
mod brought_in;
mod clearing;
mod closing;
mod file;
mod hold;
mod installation;
mod last_use;
mod money;
mod prepared;
mod ratio;
mod swap;
mod takeover;
mod worth;

pub use application::{
    Applicant, Application, ApplicationKind, ApplicationState, NewApplication, PlannedMeter,
};
pub use clearing::{Clearing, MeterClearing, MeterClearingState};
pub(crate) use clearing::{
    approved as clearing_approved, follow as follow_clearing, withdrawn as clearing_withdrawn,
};
pub use closing::{
    ArrearsEnd, ClearingState, Closing, ClosingMeter, ClosingPreview, ClosingRequest, ClosingState,
};
pub(crate) use closing::{
    approved as closing_approved, follow as follow_closing, withdrawn as closing_withdrawn,
};
pub(crate) use file::{Change, record as record_change};
pub use file::{CustomerEdit, FileChange, FileOf, MeterEdit, Why};
pub use hold::{Held, Hold, HoldKind};
pub(crate) use hold::{not_bypassed, not_suspended};
pub use installation::{Consumption, Installation, Used, typed_reading};
pub(crate) use installation::{number_in_device, same_ratio, total as register_of};
pub use money::Keyed;
pub use ratio::RatioChange;
pub use swap::{Swap, SwapRequest, SwapState};
pub use takeover::{Takeover, TakeoverRequest};

use crate::audit::{self, Act, Actor};
use crate::clock::UnixMs;
use crate::customer::{self, Customer};
use crate::error::{Result, ServiceError, invalid, meaning_of};
use crate::meter::{self, AccountState, Meter};
use crate::reach::Reach;
use crate::{Service, to_the_end};
use installation::Beginning;
use polymeter_domain::tariff::Date;
use polymeter_domain::{
    BillingMode, Credit, CustomerId, Delivery, InstallationId, MeterId, Purchase, PurchaseCount,
    Quantity,
};
use polymeter_ledger::Connection;
use polymeter_ledger::Transaction;
use polymeter_runtime::{Meaning, Opening};
use polymeter_transport::Priority;

/// Where an opening begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Begin {
    AlreadyOpen,
    FirstTry,
    /// An earlier try ended unknown, so it may have reached the device.
    Repeat,
}

impl Service {
    /// Binds a customer and opens the purse in the device with zero credit, where the device has it. Safe to repeat. A meter
    /// that is bound to another customer refuses with `Exists`; after `Unknown` the account stays
    /// `Opening` until the same customer's is opened again.
    pub async fn open_account(
        &self,
        meter: MeterId,
        customer: CustomerId,
        actor: &Actor,
    ) -> Result<Meter> {
        self.open_account_why(meter, customer, Why::default(), actor).await
    }

    /// The same of a meter with a card, made of the blank one in this reader.
    pub async fn open_account_by_card(
        &self,
        meter: MeterId,
        customer: CustomerId,
        reader: &str,
        actor: &Actor,
    ) -> Result<Meter> {
        let (customer, why) = (self.customer(customer).await?, Why::default());
        let reach = self.reach_to_open(meter, Some(reader)).await?;
        self.open_reached(reach, customer, why, actor).await
    }

    pub(crate) async fn open_account_why(
        &self,
        meter: MeterId,
        customer: CustomerId,
        why: Why,
        actor: &Actor,
    ) -> Result<Meter> {
        let customer = self.customer(customer).await?;
        let record = meter::record(self.reader(), meter).await?;
        if record.mode.quantity().is_none() || record.mode == BillingMode::Token {
            return self.bind(record, &customer, why, actor).await;
        }
        let reach = self.reach_to_open(meter, None).await?;
        self.open_reached(reach, customer, why, actor).await
    }

    async fn open_reached(
        &self,
        reach: Reach,
        customer: Customer,
        why: Why,
        actor: &Actor,
    ) -> Result<Meter> {
        let meter = reach.meter.meter_id;
        let Some(quantity) = reach.pick.driver.description().purse else {
            return Err(invalid("meter_id", "this meter's driver has no purse to open"));
        };
        let (service, actor) = (self.clone(), actor.clone());
        to_the_end(async move {
            let opened = open(&service, &reach, customer, quantity, why, actor).await;
            service.look_again(&reach).await;
            opened
        })
        .await?;
        self.meter(meter).await
    }
}

/// Refuses a meter that may not be sold to now: suspended, or in the middle of a swap or a closing.
pub(crate) async fn sellable(
    connection: &mut Connection,
    meter: &meter::MeterRecord,
) -> Result<()> {
    hold::not_suspended(&mut *connection, meter).await?;
    swap::not_in_a_swap(&mut *connection, meter).await?;
    closing::not_closing(connection, meter).await
}

/// A customer who is not in the archive.
pub(crate) async fn current_customer(
    connection: &mut Connection,
    id: CustomerId,
) -> Result<Customer> {
    let customer = customer::record(connection, id).await?;
    if customer.closed_at.is_some() {
        let why = "the account is closed, and its file is in the archive".to_owned();
        return Err(ServiceError::Blocked { what: format!("customer {}", customer.number), why });
    }
    Ok(customer)
}

/// The lease is held from before the state is looked at until the answer is stored, so that two
/// openings of one meter come one after the other and the second finds the first's result.
async fn open(
    service: &Service,
    reach: &Reach,
    customer: Customer,
    quantity: Quantity,
    why: Why,
    actor: Actor,
) -> Result<()> {
    let mut lease = reach.lease(Priority::Sale).await?;
    let meter_id = reach.meter.meter_id;
    let begin = begin(service, meter_id, customer.customer_id, actor.clone()).await?;
    if begin == Begin::AlreadyOpen {
        return Ok(());
    }
    let purchase =
        Purchase { count: PurchaseCount::new(0), credit: Credit { quantity, amount: 0 } };
    let opening = Opening { customer: customer.number.clone(), purchase };
    let delivery = service.open_device(reach, &mut lease, &opening).await;
    service.keep_failure(reach).await;
    let meaning = match &delivery {
        Delivery::Refused(refusal) => meaning_of(&reach.pick.driver, "purse", refusal),
        Delivery::NotSent(_) | Delivery::Confirmed(_) | Delivery::Unknown(_) => None,
    };
    let (state, count, detail, result) = judge(delivery, meaning, begin);
    let (at, today) = (service.clock().at(), service.today()?);
    let next = InstallationId::new(service.clock().id());
    service
        .database()
        .write(move |tx| {
            Box::pin(async move {
                let ended = end(tx, meter_id, state, count).await?;
                if ended && state == AccountState::Open {
                    let new = Installing { meter_id, next, at, first_reading: None };
                    install(tx, new, today, &customer, &why, &actor).await?;
                }
                let object = format!("meter/{meter_id}");
                let act = Act {
                    at,
                    actor: &actor,
                    act: "account-opening-ended",
                    object,
                    detail: &detail,
                };
                audit::record(tx.connection(), act).await
            })
        })
        .await?;
    drop(lease);
    tracing::info!(%meter_id, account = account_name(state), "account opening ended");
    result
}

/// Whose time at a customer begins, when, and where its register stood.
pub(crate) struct Installing {
    pub meter_id: MeterId,
    pub next: InstallationId,
    pub at: UnixMs,
    pub first_reading: Option<u64>,
}

/// The meter's time at the customer begins.
pub(crate) async fn install(
    tx: &mut Transaction,
    new: Installing,
    today: Date,
    customer: &Customer,
    why: &Why,
    actor: &Actor,
) -> Result<()> {
    let Installing { meter_id, next, at, first_reading } = new;
    let (terms, commodity) = installation::measure(tx.connection(), meter_id, today).await?;
    let beginning = Beginning {
        meter_id,
        customer_id: customer.customer_id,
        first_reading,
        terms,
        commodity,
        number_in_device: customer.number.clone(),
    };
    installation::begin(tx.connection(), next, at, &beginning).await?;
    let meter = meter::record(&mut *tx.connection(), meter_id).await?;
    let (id, of, field) = (Some(customer.customer_id), Some(meter_id), "meter");
    let new = meter.serial_number.as_str();
    let change = Change { at, actor, why, customer: id, meter: of, field, old: "", new };
    file::record(tx.connection(), change).await
}

async fn begin(
    service: &Service,
    meter_id: MeterId,
    customer_id: CustomerId,
    actor: Actor,
) -> Result<Begin> {
    let at = service.clock().at();
    service
        .database()
        .write(move |tx| {
            Box::pin(async move {
                let meter = meter::record(&mut *tx.connection(), meter_id).await?;
                current_customer(tx.connection(), customer_id).await?;
                let same = meter.customer_id == Some(customer_id);
                match meter.account {
                    AccountState::Open if same => return Ok(Begin::AlreadyOpen),
                    AccountState::Opening if same => return Ok(Begin::Repeat),
                    AccountState::None => {
                        swap::not_still_full(&mut *tx.connection(), &meter).await?;
                    }
                    AccountState::Open | AccountState::Opening => {
                        let what = "account of another customer at meter";
                        return Err(ServiceError::Exists { what, id: meter.serial_number });
                    }
                }
                sqlx::query(
                    "update meter set account = 'opening', customer_id = $1 where meter_id = $2",
                )
                .bind(customer_id.to_string())
                .bind(meter_id.to_string())
                .execute(tx.connection())
                .await?;
                audit_begin(tx, at, &actor, meter_id, customer_id).await?;
                Ok(Begin::FirstTry)
            })
        })
        .await
}

async fn audit_begin(
    tx: &mut Transaction,
    at: UnixMs,
    actor: &Actor,
    meter_id: MeterId,
    customer_id: CustomerId,
) -> Result<()> {
    let detail = format!("customer/{customer_id}");
    let object = format!("meter/{meter_id}");
    let act = Act { at, actor, act: "account-opening-began", object, detail: &detail };
    audit::record(tx.connection(), act).await
}

/// What the device's answer makes of the account: its state, the device's count where it said one,
/// a line for the trail, and the caller's answer.
fn judge(
    delivery: Delivery,
    meaning: Option<Meaning>,
    begin: Begin,
) -> (AccountState, Option<PurchaseCount>, String, Result<()>) {
    let again = "; open the account again for the same customer";
    match delivery {
        Delivery::Confirmed(receipt) => {
            let detail = format!("confirmed with purchase count {}", receipt.count);
            (AccountState::Open, Some(receipt.count), detail, Ok(()))
        }
        // The device may be saying no because the earlier try did reach it.
        Delivery::Refused(refusal) if begin == Begin::Repeat && refusal.is_about_the_count() => {
            let detail = format!("unknown: refused about the count: {}", refusal.detail);
            let error = ServiceError::Unknown(format!("{}{again}", refusal.detail));
            (AccountState::Opening, None, detail, Err(error))
        }
        Delivery::Refused(refusal) => {
            let error = ServiceError::Refused { refusal, meaning: meaning.map(Box::new) };
            (AccountState::None, None, error.to_string(), Err(error))
        }
        Delivery::NotSent(why) => {
            // Nothing left this time; what an earlier try did is as unknown as before.
            let state = match begin {
                Begin::Repeat => AccountState::Opening,
                Begin::FirstTry | Begin::AlreadyOpen => AccountState::None,
            };
            (state, None, format!("not sent: {why}"), Err(ServiceError::NotSent(why)))
        }
        Delivery::Unknown(why) => {
            let error = ServiceError::Unknown(format!("{why}{again}"));
            (AccountState::Opening, None, format!("unknown: {why}"), Err(error))
        }
    }
}

/// Guarded by `opening`: nothing else may have ended it meanwhile. Whether it was this that did.
async fn end(
    tx: &mut Transaction,
    meter_id: MeterId,
    state: AccountState,
    count: Option<PurchaseCount>,
) -> Result<bool> {
    let ended = sqlx::query(
        "update meter set account = $1, purchase_count = coalesce($2, purchase_count),
                customer_id = case when $1 = 'none' then null else customer_id end
         where meter_id = $3 and account = 'opening'",
    )
    .bind(account_name(state))
    .bind(count.map(|count| i64::from(count.get())))
    .bind(meter_id.to_string())
    .execute(tx.connection())
    .await?;
    Ok(ended.rows_affected() == 1)
}

fn account_name(state: AccountState) -> &'static str {
    match state {
        AccountState::None => "none",
        AccountState::Opening => "opening",
        AccountState::Open => "open",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use polymeter_domain::{Receipt, Refusal};

    #[test]
    fn only_a_yes_opens_and_only_a_no_lets_go() {
        let check = |delivery: Delivery, begin, state| {
            assert_eq!(judge(delivery.clone(), None, begin).0, state, "{delivery:?} {begin:?}");
        };
        let refused =
            |code| Delivery::Refused(Refusal { code, detail: String::new(), device_code: None });
        let yes = Receipt { count: PurchaseCount::new(0), balance: None };
        for begin in [Begin::FirstTry, Begin::Repeat] {
            check(Delivery::Confirmed(yes.clone()), begin, AccountState::Open);
            check(refused(5), begin, AccountState::None);
            check(Delivery::Unknown(String::new()), begin, AccountState::Opening);
        }
        check(refused(2), Begin::FirstTry, AccountState::None);
        check(refused(2), Begin::Repeat, AccountState::Opening);
        check(Delivery::NotSent(String::new()), Begin::FirstTry, AccountState::None);
        check(Delivery::NotSent(String::new()), Begin::Repeat, AccountState::Opening);
    }
}

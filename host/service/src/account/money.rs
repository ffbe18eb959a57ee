//! What the acts on an account book, and what a meter shows at its end.
//!
//! Invariant: all that one act books is booked in its job under the act's id; a device that answers is
//! believed before a person. Not here: which act books what, what a kWh in a purse is worth (worth).

use super::installation::total;
use super::worth::worth;
use crate::Service;
use crate::audit::Actor;
use crate::booking::receivable_account;
use crate::driver::Kind;
use crate::error::{Result, ServiceError, chain, invalid};
use crate::meter::{self, MeterRecord};
use crate::reach::{Lease, Way};
use crate::sale::in_words;
use polymeter_domain::{BillingMode, Credit, Currency, CustomerId, MeterId, Money, Quantity};
use polymeter_ledger::Connection;
use polymeter_transport::Priority;

/// Refuses where a customer still has bills or claims to pay: they name this customer, and nobody else
/// could pay them later.
pub(super) async fn nothing_billed_is_open(
    connection: &mut Connection,
    customer: CustomerId,
    currency: Currency,
) -> Result<()> {
    let name = receivable_account(customer);
    let receivable = polymeter_ledger::standing(connection, &name, currency).await?;
    let open = receivable.credit_balance().minor().saturating_neg();
    if open == 0 && receivable.pending == 0 {
        return Ok(());
    }
    let why = format!("bills of {} are open; settle them first", Money::new(open, currency));
    Err(ServiceError::Blocked { what: format!("customer {customer}"), why })
}

/// What an operator read off a meter that does not answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Keyed {
    /// Wh or litres.
    pub reading: Option<u64>,
    pub credit: Option<Money>,
}

/// What a meter stood at when its time at a customer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Figures {
    pub reading: u64,
    /// Zero where the money is not in the device.
    pub remaining: Money,
    /// What that is in the device, where it is no money.
    pub left: Option<Credit>,
    pub told_by: ToldBy,
    pub mode: BillingMode,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ToldBy {
    Device,
    /// A dead meter: an operator read its display, or knows it from elsewhere.
    Operator,
}

impl ToldBy {
    pub fn name(self) -> &'static str {
        match self {
            ToldBy::Device => "device",
            ToldBy::Operator => "operator",
        }
    }
}

/// What the device itself says, where it answers.
struct Told {
    reading: Option<u64>,
    /// `None`: it does not say what its purse holds, or nobody knows what that is worth.
    credit: Option<Money>,
    left: Option<Credit>,
    by: Teller,
}

/// Who told it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Teller {
    Device,
    /// Of a meter as it was when the card was last in there, and of what the card brings it next.
    Card {
        brings_more: bool,
    },
}

/// Asks the meter for its purse and its register. What a person typed counts only where the meter does
/// not answer, has no such figure, or told its card some time ago.
pub(super) async fn figures(
    service: &Service,
    meter_id: MeterId,
    keyed: Keyed,
    actor: &Actor,
) -> Result<Figures> {
    let meter = meter::record(service.reader(), meter_id).await?;
    if meter.mode.quantity().is_none() {
        return register_alone(service, &meter, keyed, actor).await;
    }
    let mode = meter.mode;
    match ask(service, &meter, actor).await {
        Ok(told) => told_by_device(service, &meter, &told, keyed),
        Err(error) => match (keyed.reading, keyed.credit) {
            (Some(reading), Some(remaining)) => {
                let why = chain(&error);
                tracing::warn!(%meter_id, why, "figures of a dead meter are an operator's");
                Ok(Figures { reading, remaining, left: None, told_by: ToldBy::Operator, mode })
            }
            _ => Err(error),
        },
    }
}

async fn ask(service: &Service, meter: &MeterRecord, actor: &Actor) -> Result<Told> {
    let reach = service.reach(meter.meter_id, Kind::Read).await?;
    let mut lease = reach.lease(Priority::Sale).await?;
    let device = &reach.meter.device;
    let evidence = service.check_device(&reach.pick, device, &mut lease, None).await;
    service.keep_failure(&reach).await;
    let balance = evidence?.balance;
    let by = match &mut lease {
        Lease::Line(_) => Teller::Device,
        Lease::Card(card) => {
            let (driver, moment) = (&reach.pick.driver, service.clock().moment());
            let contents = driver.check_card(card, Some(device), moment).await;
            let contents = contents.map_err(|error| ServiceError::device(driver, "card", error))?;
            Teller::Card { brings_more: !contents.is_taken() }
        }
    };
    drop(lease);
    let credit = money(service, meter.meter_id, balance).await?;
    let left = balance.filter(|balance| balance.quantity != Quantity::Money);
    let reading = match &reach.way {
        Way::Line(_) => Some(service.read_meter(meter.meter_id, actor).await?),
        // What its card brought home last.
        Way::Card(_) => service.last_reading(meter.meter_id).await?,
    };
    let reading = reading.and_then(|reading| total(&reading.snapshot));
    Ok(Told { reading, credit, left, by })
}

/// Of a meter whose customer pays here or by bill: whatever its device holds is nobody's money.
async fn register_alone(
    service: &Service,
    meter: &MeterRecord,
    keyed: Keyed,
    actor: &Actor,
) -> Result<Figures> {
    let (remaining, mode) = (Money::new(0, service.currency()), meter.mode);
    if keyed.credit.is_some_and(|credit| credit.minor() > 0) {
        let why = format!("meter {} is {mode}: no money is left in it", meter.serial_number);
        return Err(invalid("credit", why));
    }
    match (service.register_now(meter, actor).await, keyed.reading) {
        (Ok(reading), _) => {
            Ok(Figures { reading, remaining, left: None, told_by: ToldBy::Device, mode })
        }
        (Err(error), Some(reading)) => {
            let (why, meter_id) = (chain(&error), meter.meter_id);
            tracing::warn!(%meter_id, why, "the reading of a dead meter is an operator's");
            Ok(Figures { reading, remaining, left: None, told_by: ToldBy::Operator, mode })
        }
        (Err(error), None) => Err(error),
    }
}

/// What a device told, as money; `None` where only a person can say it.
pub(super) async fn money(
    service: &Service,
    meter: MeterId,
    balance: Option<Credit>,
) -> Result<Option<Money>> {
    match balance {
        Some(left) => worth(service, meter, left).await,
        None => Ok(None),
    }
}

fn told_by_device(
    service: &Service,
    meter: &MeterRecord,
    told: &Told,
    keyed: Keyed,
) -> Result<Figures> {
    let serial = &meter.serial_number;
    let code = service.currency().code().to_owned();
    if let (Teller::Card { brings_more }, Some(credit)) = (told.by, keyed.credit) {
        return by_display(meter, told, keyed.reading, credit, brings_more);
    }
    if let (Some(told), Some(keyed)) = (told.credit, keyed.credit)
        && told != keyed
    {
        let why = format!(
            "it answers and holds {told} {code}, not {keyed} {code}; leave the typed figures out"
        );
        return Err(ServiceError::Blocked { what: format!("meter {serial}"), why });
    }
    let reading = told.reading.or(keyed.reading).ok_or_else(|| {
        invalid("reading", format!("meter {serial} shows no total; type what its display says"))
    })?;
    let remaining = told.credit.or(keyed.credit).ok_or_else(|| {
        let why = match told.left {
            Some(left) => format!(
                "meter {serial} holds {}, more than was sold into it; type what it is worth",
                in_words(left, service.currency())
            ),
            None => format!("meter {serial} does not say what it holds; type what it is worth"),
        };
        invalid("credit", why)
    })?;
    let mode = meter.mode;
    Ok(Figures { reading, remaining, left: told.left, told_by: ToldBy::Device, mode })
}

/// What somebody read off the display of a meter whose card is here.
fn by_display(
    meter: &MeterRecord,
    told: &Told,
    reading: Option<u64>,
    remaining: Money,
    brings_more: bool,
) -> Result<Figures> {
    let serial = &meter.serial_number;
    if brings_more {
        let why = "its card holds a purchase that the meter has not taken, which no display shows: put \
                   the card into the meter, or take the sale back, first";
        return Err(ServiceError::Blocked { what: format!("meter {serial}"), why: why.to_owned() });
    }
    let reading = reading.or(told.reading).ok_or_else(|| {
        invalid(
            "reading",
            format!("the card of meter {serial} brought no total; type the display's"),
        )
    })?;
    let (told_by, mode) = (ToldBy::Operator, meter.mode);
    Ok(Figures { reading, remaining, left: None, told_by, mode })
}

pub(super) fn check_keyed(keyed: Keyed, service: &Service) -> Result<()> {
    let Some(credit) = keyed.credit else { return Ok(()) };
    if credit.currency() != service.currency() || credit.minor() < 0 {
        return Err(invalid("credit", "an amount of the site's currency, not below zero"));
    }
    Ok(())
}

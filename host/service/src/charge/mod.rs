//! Charging what a meter counted (后台计费): from the reading that was charged last to a new one.
//!
//! Invariants: a reading is charged once, whatever crashes or is asked again; what is charged is the
//! difference to the last charged reading of the same meter and customer, by the prices of its time;
//! the arithmetic is kept and can be made again; a reading that cannot be believed moves no money
//! and waits for a person. Not here: the purse that it is taken from (purse).

mod case;
pub(crate) mod kept;
mod next;
mod registers;
pub(crate) mod store;

pub use case::{CaseDecision, CaseKind, ReadingCase};
pub use kept::ChargePart;
use next::Frame;
pub(crate) use next::{How, Next, next};

use crate::Service;
use crate::audit::Actor;
use crate::booking::{self, Booking, MONTHLY_FEE, TAX_SALES, purse_account, revenue_account};
use crate::clock::UnixMs;
use crate::error::{Result, ServiceError, invalid};
use crate::meter::{self, AccountState, MeterRecord};
use crate::page::Page;
use crate::purse;
use crate::reading::Reading;
use crate::tariff::{self, Rerun};
use polymeter_domain::tariff::{Commodity, Position, Registers};
use polymeter_domain::{BillingMode, ChargeId, CustomerId, MeterId, Money, ReadingId};
use polymeter_ledger::Transaction;
use registers::Estimates;
use store::StoredCharge;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChargeKind {
    /// Where the account began; nothing is charged.
    Start,
    /// By two readings.
    Reading,
    /// By what a person decided.
    Decided,
    /// The one before it was taken back.
    TakenBack,
}

impl ChargeKind {
    const ALL: [ChargeKind; 4] =
        [ChargeKind::Start, ChargeKind::Reading, ChargeKind::Decided, ChargeKind::TakenBack];

    pub fn name(self) -> &'static str {
        match self {
            ChargeKind::Start => "start",
            ChargeKind::Reading => "reading",
            ChargeKind::Decided => "decided",
            ChargeKind::TakenBack => "taken-back",
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<ChargeKind> {
        ChargeKind::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// One link of a meter's chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charge {
    pub charge_id: ChargeId,
    pub meter_id: MeterId,
    /// 1, 2, 3 ... for each meter.
    pub number: i64,
    pub kind: ChargeKind,
    pub customer_id: CustomerId,
    pub reading_id: Option<ReadingId>,
    /// When it was read.
    pub at: UnixMs,
    pub commodity: Commodity,
    /// Wh or litres, with ratios and losses.
    pub used: u64,
    pub amount: Money,
    pub fee: Money,
    pub tax: Money,
    pub operator: Actor,
    pub created_at: UnixMs,
}

/// What became of a reading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChargeOutcome {
    Charged(Box<Charge>),
    /// In a sentence.
    Nothing(String),
    Case(Box<ReadingCase>),
}

/// A part with the name of its plan and the number of its version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedPart {
    pub plan_name: String,
    pub version_number: u32,
    pub part: ChargePart,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChargeExplanation {
    pub charge: Charge,
    pub parts: Vec<NamedPart>,
    pub rerun: Rerun,
}

impl Service {
    /// Reads the meter and charges its customer's purse.
    pub async fn charge_meter(&self, id: MeterId, actor: &Actor) -> Result<ChargeOutcome> {
        let record = meter::record(self.reader(), id).await?;
        check_purse(&record)?;
        let reading = self.read_meter(id, actor).await?;
        crate::crash_point::crash_point("before-charge");
        let outcome = self.charge_by(reading, How::Plain, actor).await?;
        crate::crash_point::crash_point("after-charge");
        Ok(outcome)
    }

    /// As [`Service::charge_meter`], of a reading that is there. Asking again charges nothing more.
    pub async fn charge_reading(
        &self,
        id: MeterId,
        reading: ReadingId,
        actor: &Actor,
    ) -> Result<ChargeOutcome> {
        let reading = self.reading(id, reading).await?;
        self.charge_by(reading, How::Plain, actor).await
    }

    pub(crate) async fn charge_by(
        &self,
        reading: Reading,
        how: How,
        actor: &Actor,
    ) -> Result<ChargeOutcome> {
        let (service, actor) = (self.clone(), actor.clone());
        self.database()
            .write(move |tx| {
                Box::pin(async move { charge_in(&service, tx, &reading, how, &actor).await })
            })
            .await
    }

    /// Newest first.
    pub async fn charges(&self, id: MeterId, page: &Page) -> Result<Vec<Charge>> {
        meter::record(self.reader(), id).await?;
        let found = store::of_meter(self.reader(), id, &page.bound()?).await?;
        Ok(found.into_iter().map(|it| it.charge).collect())
    }

    /// Of all meters of a customer, newest first.
    pub async fn charges_of(&self, id: CustomerId, page: &Page) -> Result<Vec<Charge>> {
        self.customer(id).await?;
        let found = store::of_customer(self.reader(), id, &page.bound()?).await?;
        Ok(found.into_iter().map(|it| it.charge).collect())
    }

    /// Reads what was kept of a charge, makes it again from its inputs and compares.
    pub async fn explain_charge(&self, id: ChargeId) -> Result<ChargeExplanation> {
        let StoredCharge { charge, explanation, .. } = store::record(self.reader(), id).await?;
        let (mut names, mut tariffs) = (Vec::new(), Vec::new());
        for version in kept::versions_of(&explanation)? {
            let (_, name, version) = tariff::version(self.reader(), version).await?;
            names.push((name, version.number));
            tariffs.push(version.tariff);
        }
        let parts = kept::parts(&explanation, &tariffs, charge.amount.currency())?;
        let rerun = match charge.kind {
            ChargeKind::TakenBack => Rerun::Same,
            _ => kept::rerun(&parts, charge.amount),
        };
        let parts = names.into_iter().zip(parts).map(|((plan_name, version_number), part)| {
            NamedPart { plan_name, version_number, part }
        });
        Ok(ChargeExplanation { charge, parts: parts.collect(), rerun })
    }
}

fn check_purse(record: &MeterRecord) -> Result<()> {
    let serial = &record.serial_number;
    if record.mode != BillingMode::PlatformPurse {
        let why = format!("meter {serial} is {}, not platform-purse", record.mode);
        return Err(invalid("meter_id", why));
    }
    if record.account != AccountState::Open {
        return Err(ServiceError::NotOpened { serial_number: serial.clone() });
    }
    Ok(())
}

/// The first link: nothing that the meter counted before is anybody's.
pub(crate) async fn start(
    service: &Service,
    tx: &mut Transaction,
    meter: MeterId,
    customer: CustomerId,
    reading: &Reading,
    actor: &Actor,
) -> Result<()> {
    let record = meter::record(&mut *tx.connection(), meter).await?;
    let serial = &record.serial_number;
    let moment = service.clock().civil(reading.at)?;
    let cannot = |why: String| invalid("meter_id", format!("meter {serial}: {why}"));
    let in_force = tariff::in_force(&mut *tx.connection(), meter, moment.day).await?;
    let in_force =
        in_force.ok_or_else(|| cannot(format!("it has no tariff plan on {}", moment.day)))?;
    let commodity = in_force.version.tariff.commodity();
    let told = registers::registers(&reading.snapshot, commodity, Estimates::Refused);
    let registers = told
        .map_err(|(_, why)| cannot(format!("its account cannot begin at this reading: {why}")))?;
    registers.of(&in_force.version.tariff).map_err(|why| cannot(why.to_string()))?;
    let number = store::last(&mut *tx.connection(), meter).await?;
    let number = number.map_or(1, |last| last.charge.number + 1);
    let frame = Frame { service, record: &record, reading, moment, actor };
    let position = Position::start(moment.day);
    let mut new = frame.charge(number, ChargeKind::Start, customer, commodity, registers, position);
    // Handed over at a reading that the old owner was charged by: a reading is charged once.
    if store::of_reading(&mut *tx.connection(), meter, reading.reading_id).await?.is_some() {
        new.charge.reading_id = None;
    }
    store::insert(tx.connection(), &new).await
}

/// One transaction: the link, its money, or the case.
pub(crate) async fn charge_in(
    service: &Service,
    tx: &mut Transaction,
    reading: &Reading,
    how: How,
    actor: &Actor,
) -> Result<ChargeOutcome> {
    let record = meter::record(&mut *tx.connection(), reading.meter_id).await?;
    check_purse(&record)?;
    match next(service, &mut tx.connection(), &record, reading, how, actor).await? {
        Next::Nothing(why) => Ok(ChargeOutcome::Nothing(why)),
        Next::Unbelievable(kind, why) => {
            let case = case::open(service, tx, reading, kind, &why).await?;
            Ok(ChargeOutcome::Case(Box::new(case)))
        }
        Next::Charge(new) => {
            store::insert(tx.connection(), &new).await?;
            take(service, tx, &new.charge).await?;
            Ok(ChargeOutcome::Charged(Box::new(new.charge)))
        }
    }
}

/// The money of a charge, out of the purse.
async fn take(service: &Service, tx: &mut Transaction, charge: &Charge) -> Result<()> {
    let lines = lines(charge, &purse_account(charge.customer_id));
    let (at, reference) = (charge.created_at, charge.charge_id.uuid());
    booking::book_all(tx, service.clock(), reference, at, &lines).await?;
    let taken = Money::new(-charge.amount.minor(), charge.amount.currency());
    purse::change(tx.connection(), charge.customer_id, taken, at).await?;
    Ok(())
}

/// Tax first, of what is left the fee, the rest for energy or water: never a line below zero, and
/// together the amount. A tax that is in a fee is thus taken from it where nothing was used.
pub(crate) fn lines(charge: &Charge, debit: &str) -> Vec<Booking> {
    let (amount, currency) = (charge.amount.minor(), charge.amount.currency());
    let tax = charge.tax.minor().clamp(0, amount);
    let fee = charge.fee.minor().clamp(0, amount - tax);
    let line = |credit: &str, minor| Booking {
        debit: debit.to_owned(),
        credit: credit.to_owned(),
        amount: Money::new(minor, currency),
    };
    vec![
        line(revenue_account(charge.commodity), amount - tax - fee),
        line(MONTHLY_FEE, fee),
        line(TAX_SALES, tax),
    ]
}

/// Another link after one that was taken back: the chain stands where it stood before that. Only the
/// last link of a meter can be taken back.
pub(crate) async fn take_back(
    service: &Service,
    tx: &mut Transaction,
    id: ChargeId,
    actor: &Actor,
) -> Result<ChargeId> {
    let gone = store::record(&mut *tx.connection(), id).await?.charge;
    let last = store::last(&mut *tx.connection(), gone.meter_id).await?;
    if last.is_none_or(|last| last.charge.charge_id != id) {
        let meter = meter::record(&mut *tx.connection(), gone.meter_id).await?.serial_number;
        let why = format!("a later reading of meter {meter} is charged: take that back first");
        return Err(ServiceError::Conflict(why));
    }
    let mut new = store::numbered(&mut *tx.connection(), gone.meter_id, gone.number - 1).await?;
    let less = |money: Money| Money::new(-money.minor(), money.currency());
    new.charge = Charge {
        charge_id: ChargeId::new(service.clock().id()),
        number: gone.number + 1,
        kind: ChargeKind::TakenBack,
        customer_id: gone.customer_id,
        reading_id: None,
        used: 0,
        amount: less(gone.amount),
        fee: less(gone.fee),
        tax: less(gone.tax),
        operator: actor.clone(),
        created_at: service.clock().at(),
        ..new.charge
    };
    new.explanation = kept::parts_text(&[]);
    store::insert(tx.connection(), &new).await?;
    Ok(new.charge.charge_id)
}

/// What a reading tells, where it can be believed.
pub(crate) fn told(reading: &Reading, commodity: Commodity) -> Option<Registers> {
    registers::registers(&reading.snapshot, commodity, Estimates::Refused).ok()
}

//! Charging what a meter counted (后台计费): from the reading that was charged last to a new one.
//!
//! Invariants: a reading is charged once, whatever crashes or is asked again; what is charged is the
//! difference to the last charged reading of the same meter and customer, by the prices of its time;
//! the arithmetic is kept and can be made again; a reading that cannot be believed moves no money
//! and waits for a person. Not here: the purse that it is taken from (purse).

mod case;
pub(crate) mod kept;
mod registers;
pub(crate) mod store;

pub use case::{CaseDecision, CaseKind, ReadingCase};
pub use kept::ChargePart;

use crate::Service;
use crate::audit::Actor;
use crate::booking::{self, FEE_MONTHLY, Line, TAX_SALES, purse_account, revenue_account};
use crate::clock::UnixMs;
use crate::error::{Result, ServiceError, invalid};
use crate::meter::{self, AccountState, MeterRecord};
use crate::page::Page;
use crate::purse;
use crate::reading::Reading;
use crate::tariff::{self, Asked, Rerun};
use polymeter_domain::tariff::{
    Amounts, Commodity, Counted, Date, Moment, Period, Position, Registers, Stretch, charge_between,
};
use polymeter_domain::{
    BillingMode, ChargeId, CustomerId, MeterId, Money, ReadingId, TariffVersionId,
};
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

/// How much a reading is believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    Plain,
    /// A person looked at it: also what is estimated or seems too much.
    AsRead,
    /// So many Wh or litres of the meter's, and the chain goes on from the reading.
    Anew(u64),
}

/// What a reading would become; nothing is stored.
pub(crate) enum Next {
    Charge(Box<StoredCharge>),
    Nothing(String),
    Unbelievable(CaseKind, String),
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

    async fn charge_by(&self, reading: Reading, how: How, actor: &Actor) -> Result<ChargeOutcome> {
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
    let new = frame.charge(number, ChargeKind::Start, customer, commodity, registers, position);
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
pub(crate) fn lines(charge: &Charge, debit: &str) -> Vec<Line> {
    let (amount, currency) = (charge.amount.minor(), charge.amount.currency());
    let tax = charge.tax.minor().clamp(0, amount);
    let fee = charge.fee.minor().clamp(0, amount - tax);
    let line = |credit: &str, minor| Line {
        debit: debit.to_owned(),
        credit: credit.to_owned(),
        amount: Money::new(minor, currency),
    };
    vec![
        line(revenue_account(charge.commodity), amount - tax - fee),
        line(FEE_MONTHLY, fee),
        line(TAX_SALES, tax),
    ]
}

/// What a reading is charged within.
struct Frame<'a> {
    service: &'a Service,
    record: &'a MeterRecord,
    reading: &'a Reading,
    moment: Moment,
    actor: &'a Actor,
}

impl Frame<'_> {
    /// A link that charges nothing yet.
    fn charge(
        &self,
        number: i64,
        kind: ChargeKind,
        customer_id: CustomerId,
        commodity: Commodity,
        registers: Registers,
        position: Position,
    ) -> StoredCharge {
        let nothing = Money::new(0, self.service.currency());
        StoredCharge {
            charge: Charge {
                charge_id: ChargeId::new(self.service.clock().id()),
                meter_id: self.record.meter_id,
                number,
                kind,
                customer_id,
                reading_id: Some(self.reading.reading_id),
                at: self.reading.at,
                commodity,
                used: 0,
                amount: nothing,
                fee: nothing,
                tax: nothing,
                operator: self.actor.clone(),
                created_at: self.service.clock().at(),
            },
            moment: self.moment,
            registers,
            position,
            explanation: kept::parts_text(&[]),
        }
    }
}

/// What a reading of a meter comes to, by the chain as it stands.
pub(crate) async fn next(
    service: &Service,
    asked: &mut impl Asked,
    record: &MeterRecord,
    reading: &Reading,
    how: How,
    actor: &Actor,
) -> Result<Next> {
    let (id, serial) = (record.meter_id, &record.serial_number);
    if store::of_reading(asked.ask(), id, reading.reading_id).await?.is_some() {
        return Ok(Next::Nothing("this reading is charged already".to_owned()));
    }
    let last = store::last(asked.ask(), id).await?;
    let last = last.ok_or_else(|| {
        invalid("meter_id", format!("the account of meter {serial} has no reading to begin at"))
    })?;
    if reading.at < last.charge.at {
        return Ok(Next::Nothing("a newer reading is charged already".to_owned()));
    }
    if Some(last.charge.customer_id) != record.customer_id {
        let why = "it was charged to another customer before, and nobody said at which reading the \
                   new one began";
        return Ok(Next::Unbelievable(CaseKind::OtherCustomer, why.to_owned()));
    }
    // An hour that the clock repeats is no step back.
    let moment = service.clock().civil(reading.at)?.max(last.moment);
    let frame = Frame { service, record, reading, moment, actor };
    let stretches = match stretches(asked, id, last.position.at, moment.day).await? {
        Ok(stretches) => stretches,
        Err(why) => return Ok(Next::Unbelievable(CaseKind::NotCharged, why)),
    };
    Ok(frame.next(&last, &stretches, how))
}

type Named = (TariffVersionId, Stretch);

/// The prices in force from a day on, up to another; an inner error where there are none.
async fn stretches(
    asked: &mut impl Asked,
    meter: MeterId,
    from: Date,
    to: Date,
) -> Result<std::result::Result<Vec<Named>, String>> {
    let mut days = vec![from];
    days.extend(tariff::changes(asked.ask(), meter, from, to).await?);
    let mut stretches = Vec::with_capacity(days.len());
    for day in days {
        let Some(in_force) = tariff::in_force(asked.ask(), meter, day).await? else {
            return Ok(Err(format!("there is no tariff plan on {day}")));
        };
        let (tariff, terms) = (in_force.version.tariff, in_force.terms);
        stretches.push((in_force.version.version_id, Stretch { from: day, tariff, terms }));
    }
    Ok(Ok(stretches))
}

impl Frame<'_> {
    fn next(&self, last: &StoredCharge, named: &[Named], how: How) -> Next {
        let (versions, stretches): (Vec<_>, Vec<_>) = named.iter().cloned().unzip();
        let commodity = last.charge.commodity;
        let estimates = if how == How::AsRead { Estimates::Allowed } else { Estimates::Refused };
        let read = match registers::registers(&self.reading.snapshot, commodity, estimates) {
            Ok(read) => read,
            Err((kind, why)) => return Next::Unbelievable(kind, why),
        };
        let to = match how {
            How::Anew(used) => counted_on(&last.registers, used),
            How::Plain | How::AsRead => read,
        };
        if let Some(why) = to.went_back(&last.registers) {
            return Next::Unbelievable(CaseKind::WentBack, why);
        }
        if how == How::Plain
            && let Some(why) = self.implausible(last, &to)
        {
            return Next::Unbelievable(CaseKind::Implausible, why);
        }
        let from = Counted { at: last.moment, registers: last.registers };
        let to = Counted { at: self.moment, registers: to };
        let parts = match charge_between(&stretches, &last.position, &from, &to) {
            Ok(parts) => parts,
            Err(why) => return Next::Unbelievable(CaseKind::NotCharged, why.to_string()),
        };
        if parts.is_empty() && how == How::Plain {
            return Next::Nothing("nothing was used since the last charge".to_owned());
        }
        let part =
            |(place, explained): (usize, _)| ChargePart { version: versions[place], explained };
        self.link(last, read, how, parts.into_iter().map(part).collect())
    }

    fn link(
        &self,
        last: &StoredCharge,
        registers: Registers,
        how: How,
        parts: Vec<ChargePart>,
    ) -> Next {
        let position = parts.last().map_or(&last.position, |part| &part.explained.after).clone();
        let kind = match how {
            How::Plain => ChargeKind::Reading,
            How::AsRead | How::Anew(_) => ChargeKind::Decided,
        };
        let sum = |of: fn(&ChargePart) -> Money| -> Option<i64> {
            parts.iter().try_fold(0_i64, |sum, part| sum.checked_add(of(part).minor()))
        };
        let used = parts
            .iter()
            .try_fold(0_u64, |sum, part| sum.checked_add(part.explained.billed.total()?));
        let sums = (
            sum(|part| part.explained.total),
            sum(|part| part.explained.fee),
            sum(|part| part.explained.tax),
            used,
        );
        let (Some(amount), Some(fee), Some(tax), Some(used)) = sums else {
            let why = "the charge is beyond what money holds".to_owned();
            return Next::Unbelievable(CaseKind::NotCharged, why);
        };
        let commodity = kept::commodity_of(&parts).unwrap_or(last.charge.commodity);
        let (number, customer) = (last.charge.number + 1, last.charge.customer_id);
        let mut new = self.charge(number, kind, customer, commodity, registers, position);
        let currency = self.service.currency();
        new.charge.used = used;
        new.charge.amount = Money::new(amount, currency);
        new.charge.fee = Money::new(fee, currency);
        new.charge.tax = Money::new(tax, currency);
        new.explanation = kept::parts_text(&parts);
        Next::Charge(Box::new(new))
    }

    /// More than the site's rules let a meter count in the time.
    fn implausible(&self, last: &StoredCharge, to: &Registers) -> Option<String> {
        let rules = self.service.purse_rules();
        let (per_hour, unit) = match last.charge.commodity {
            Commodity::Energy => (rules.highest_watts, "Wh"),
            Commodity::Water => (rules.highest_litres_per_hour, "litres"),
        };
        let ms = u64::try_from(self.reading.at.0.saturating_sub(last.charge.at.0)).unwrap_or(0);
        let counted = to.counted_since(&last.registers);
        // An hour more, for what counting in whole units and reading at different times makes.
        let most = u128::from(per_hour) * (u128::from(ms) + 3_600_000) / 3_600_000;
        (u128::from(counted) > most).then(|| {
            format!(
                "{counted} {unit} in {} minutes is more than a meter here can count",
                ms / 60_000
            )
        })
    }
}

/// As if the meter had counted so much more: in its sum, and in its flat period.
fn counted_on(from: &Registers, used: u64) -> Registers {
    let more = |period: Period, amount: u64| {
        if period == Period::Flat { amount.saturating_add(used) } else { amount }
    };
    Registers {
        total: from.total.map(|total| total.saturating_add(used)),
        periods: from
            .periods
            .map(|it| Amounts::new(Period::ALL.map(|period| more(period, it.of(period))))),
    }
}

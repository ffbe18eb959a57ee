//! What a reading of a meter comes to, by its chain as it stands and the prices of the time.
//!
//! Invariant: nothing is stored here. Not here: the money of it (charge), a person's decision (case).

use super::registers::{self, Estimates};
use super::store::{self, StoredCharge};
use super::{CaseKind, Charge, ChargeKind, ChargePart, kept};
use crate::Service;
use crate::audit::Actor;
use crate::error::{Result, invalid};
use crate::meter::MeterRecord;
use crate::reading::Reading;
use crate::tariff::{self, Asked};
use polymeter_domain::tariff::{
    Amounts, Commodity, Counted, Date, Moment, Period, Position, Registers, Stretch, charge_between,
};
use polymeter_domain::{ChargeId, CustomerId, MeterId, Money, TariffVersionId};

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

/// What a reading is charged within.
pub(super) struct Frame<'a> {
    pub service: &'a Service,
    pub record: &'a MeterRecord,
    pub reading: &'a Reading,
    pub moment: Moment,
    pub actor: &'a Actor,
}

impl Frame<'_> {
    /// A link that charges nothing yet.
    pub(super) fn charge(
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

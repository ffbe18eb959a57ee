//! A change of the transformers' ratio (倍率): the installation ends at a reading and another begins there,
//! so that what was used before is never multiplied by the new one.

use super::application;
use super::file::{self, Change, Why};
use super::installation::{Beginning, Ending, Installation, begin, end, shown};
use crate::Service;
use crate::audit::{self, Act, Actor};
use crate::clock::UnixMs;
use crate::error::{Result, ServiceError, invalid};
use crate::meter::{self, AccountState};
use crate::tariff::{self, Assignment, in_force};
use polymeter_domain::tariff::{Date, Terms};
use polymeter_domain::{InstallationId, MeterId};
use polymeter_ledger::Transaction;

/// A new ratio, and what the register stood at when it was changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RatioChange {
    pub ct: u32,
    pub pt: u32,
    /// Wh or litres; `None`: the meter is read.
    pub reading: Option<u64>,
}

impl Service {
    /// Changes the transformers' ratio (倍率): the installation ends at a reading and another begins
    /// there, so that what was used before is never multiplied by the new one.
    pub async fn change_ratio(
        &self,
        meter: MeterId,
        change: RatioChange,
        why: Why,
        actor: &Actor,
    ) -> Result<Vec<Installation>> {
        let why = why.checked()?;
        let record = meter::record(self.reader(), meter).await?;
        if record.account != AccountState::Open {
            return Err(ServiceError::NotOpened { serial_number: record.serial_number });
        }
        let reading = match change.reading {
            Some(reading) => reading,
            None => self.register_now(&record, actor).await?,
        };
        let (at, today, actor) = (self.clock().at(), self.today()?, actor.clone());
        let (next, purse) = (InstallationId::new(self.clock().id()), record.mode.quantity());
        self.database()
            .write(move |tx| {
                Box::pin(async move {
                    let split = Split { at, today, reading, next, purse };
                    split_by_ratio(tx, meter, &change, &why, &actor, &split).await
                })
            })
            .await?;
        self.installations_of_meter(meter).await
    }
}

struct Split {
    at: UnixMs,
    today: Date,
    reading: u64,
    next: InstallationId,
    purse: Option<polymeter_domain::Quantity>,
}

async fn split_by_ratio(
    tx: &mut Transaction,
    meter: MeterId,
    change: &RatioChange,
    why: &Why,
    actor: &Actor,
    split: &Split,
) -> Result<()> {
    let Split { at, today, reading, next, purse } = *split;
    let record = meter::record(&mut *tx.connection(), meter).await?;
    let plan = in_force(&mut *tx.connection(), meter, today).await?;
    let plan = plan.ok_or_else(|| invalid("tariff", "the meter has no plan today"))?;
    let terms = Terms { ct: change.ct, pt: change.pt, ..plan.terms };
    if terms == plan.terms {
        return Err(invalid("ratio", format!("it is CT {} × PT {} already", terms.ct, terms.pt)));
    }
    terms.check().map_err(|why| invalid("ratio", why.to_string()))?;
    let ending = Ending { at, last_reading: Some(reading), why: "change of ratio" };
    let Some(ended) = end(tx.connection(), meter, &ending).await? else {
        return Err(ServiceError::NotOpened { serial_number: record.serial_number });
    };
    let beginning = Beginning {
        meter_id: meter,
        customer_id: ended.customer_id,
        first_reading: Some(reading),
        terms,
        commodity: ended.commodity,
        number_in_device: ended.number_in_device,
    };
    begin(tx.connection(), next, at, &beginning).await?;
    let given = Assignment { plan_id: plan.plan_id, from: Some(today), terms };
    tariff::assign(tx.connection(), meter, &given, purse, at, actor).await?;
    let ratio = |terms: &Terms| format!("CT {} × PT {}", terms.ct, terms.pt);
    let (old, new) = (ratio(&plan.terms), ratio(&terms));
    let (customer, meter_of, field) = (Some(ended.customer_id), Some(meter), "ratio");
    let change = Change { at, actor, why, customer, meter: meter_of, field, old: &old, new: &new };
    file::record(tx.connection(), change).await?;
    let outcome = "the ratio was changed";
    application::finish(tx, at, why, ended.customer_id, &["change"], outcome).await?;
    let detail = format!("{old} to {new} at {}", shown(reading));
    let object = format!("meter/{meter}");
    audit::record(tx.connection(), Act { at, actor, act: "ratio-changed", object, detail: &detail })
        .await
}

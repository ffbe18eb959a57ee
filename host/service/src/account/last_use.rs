//! The end of a meter's time at a customer who pays here or by bill: what it counted since the last charge
//! is taken from the purse, or makes a final bill, before the meter leaves them.
//!
//! Invariant: it is charged as a link of the meter's chain, so that doing it twice charges once. Not here:
//! meters whose device has the purse.

use super::money::{Figures, ToldBy};
use crate::Service;
use crate::audit::Actor;
use crate::billing;
use crate::charge::{ChargeOutcome, How};
use crate::error::{Result, ServiceError};
use crate::meter::{self, MeterRecord};
use crate::reading::Reading;
use crate::reading_store;
use polymeter_domain::tariff::Commodity;
use polymeter_domain::{
    BillId, BillingMode, Decimal, Measurement, ObisCode, Quality, ReadingId, Snapshot, SupplyState,
    Unit, Value,
};

/// The bill that it made, where it made one.
pub(super) async fn charge_last_use(
    service: &Service,
    meter: &MeterRecord,
    figures: &Figures,
    actor: &Actor,
) -> Result<Option<BillId>> {
    if meter.mode.quantity().is_some() {
        return Ok(None);
    }
    let (reading, how) = match figures.told_by {
        ToldBy::Device => (service.last_reading(meter.meter_id).await?, How::Plain),
        ToldBy::Operator => (Some(typed(service, meter, figures.reading).await?), How::AsRead),
    };
    let Some(reading) = reading else { return Ok(None) };
    match meter.mode {
        BillingMode::PlatformPurse => match service.charge_by(reading, how, actor).await? {
            ChargeOutcome::Charged(_) | ChargeOutcome::Nothing(_) => Ok(None),
            ChargeOutcome::Case(case) => {
                let why = format!(
                    "its last reading waits for a person ({}); decide that first, under reading \
                     cases",
                    case.detail
                );
                let what = format!("meter {}", meter.serial_number);
                Err(ServiceError::Blocked { what, why })
            }
        },
        BillingMode::PostPaid => billing::final_bill(service, meter, reading, how, actor).await,
        BillingMode::MoneyInMeter
        | BillingMode::EnergyInMeter
        | BillingMode::VolumeInMeter
        | BillingMode::Token => Ok(None),
    }
}

/// What an operator read off a dead meter, kept as a reading that is estimated, so that it is charged and
/// explained like any other.
async fn typed(service: &Service, meter: &MeterRecord, stands: u64) -> Result<Reading> {
    let (id, today) = (meter.meter_id, service.today()?);
    let service_of = service.clone();
    service
        .database()
        .write(move |tx| {
            Box::pin(async move {
                let (_, commodity) =
                    super::installation::measure(tx.connection(), id, today).await?;
                let reading = Reading {
                    reading_id: ReadingId::new(service_of.clock().id()),
                    meter_id: id,
                    at: service_of.clock().at(),
                    drift: None,
                    snapshot: Snapshot {
                        measurements: vec![register(commodity, stands)?],
                        supply: SupplyState::Unknown,
                        extras: Vec::new(),
                    },
                };
                reading_store::insert(tx.connection(), std::slice::from_ref(&reading)).await?;
                Ok(reading)
            })
        })
        .await
}

fn register(commodity: Commodity, stands: u64) -> Result<Measurement> {
    let too_large = |_| crate::error::invalid("reading", "too large");
    let mantissa = i64::try_from(stands).map_err(too_large)?;
    // Thousandths of a kWh or of a cubic metre.
    let (code, unit) = match commodity {
        Commodity::Energy => ("1.0.1.8.0.255", Unit(256)),
        Commodity::Water => ("8.0.1.0.0.255", Unit(13)),
    };
    let bad = |_| crate::error::bad_column("register", code);
    Ok(Measurement {
        register: ObisCode::new(code).map_err(bad)?,
        value: Value::Number(Decimal { mantissa, scale: -3 }),
        unit,
        quality: Quality::Estimated,
    })
}

impl Service {
    /// The same for a meter of which only the id is known.
    pub(super) async fn charge_last_use_of(
        &self,
        meter: polymeter_domain::MeterId,
        figures: &Figures,
        actor: &Actor,
    ) -> Result<Option<BillId>> {
        let meter = meter::record(self.reader(), meter).await?;
        charge_last_use(self, &meter, figures, actor).await
    }
}

//! What an amount buys at a meter on a day: which version counts, and where in the steps the meter
//! stands by what was sold to its customer before.

use super::store::Asked;
use super::{InForce, in_force};
use crate::Service;
use crate::error::{Result, ServiceError, bad_column};
use crate::meter::MeterRecord;
use polymeter_domain::tariff::{Bought, Commodity, Date, buy, check_sellable};
use polymeter_domain::{CustomerId, MeterId, Money, Quantity};

/// A price with its arithmetic. Nothing is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Priced {
    pub in_force: InForce,
    pub on: Date,
    pub bought: Bought,
}

/// Who buys where.
#[derive(Debug, Clone)]
pub(crate) struct Buyer<'a> {
    pub meter: &'a MeterRecord,
    pub customer: Option<CustomerId>,
    /// What the meter's purse holds.
    pub purse: Quantity,
}

pub(crate) fn commodity_name(commodity: Commodity) -> &'static str {
    match commodity {
        Commodity::Energy => "energy",
        Commodity::Water => "water",
    }
}

pub(crate) fn commodity(name: &str) -> Result<Commodity> {
    match name {
        "energy" => Ok(Commodity::Energy),
        "water" => Ok(Commodity::Water),
        _ => Err(bad_column("commodity", name)),
    }
}

pub(crate) async fn price(
    asked: &mut impl Asked,
    buyer: Buyer<'_>,
    on: Date,
    paid: Money,
) -> Result<Priced> {
    let refused = |why: String| ServiceError::BadAmount { paid, why };
    let meter = buyer.meter;
    let in_force = in_force(asked.ask(), meter.meter_id, on).await?;
    let in_force = in_force.ok_or_else(|| {
        refused(format!("meter {} has no tariff plan on {on}", meter.serial_number))
    })?;
    let (tariff, terms) = (&in_force.version.tariff, &in_force.terms);
    let by = |why: &dyn std::fmt::Display| refused(format!("by {}: {why}", in_force.plan_name));
    check_sellable(tariff, terms, buyer.purse).map_err(|why| by(&why))?;
    let before = match buyer.customer {
        Some(customer) if tariff.has_steps() => {
            let since = tariff.accumulation().start(on);
            bought_since(asked, meter.meter_id, customer, tariff.commodity(), since).await?
        }
        _ => 0,
    };
    let bought = buy(tariff, terms, before, paid).map_err(|why| by(&why))?;
    Ok(Priced { on, bought, in_force })
}

/// What was sold to a customer at a meter since a day and was not taken back.
async fn bought_since(
    asked: &mut impl Asked,
    meter: MeterId,
    customer: CustomerId,
    commodity: Commodity,
    since: Date,
) -> Result<u64> {
    let bought: i64 = sqlx::query_scalar(
        "select cast(coalesce(sum(bought), 0) as bigint) from sale
         where meter_id = $1 and customer_id = $2 and commodity = $3 and priced_on >= $4
           and state not in ('refused', 'cancelled')
           and not exists (select 1 from counter_act
                           where counter_act.sale_id = sale.sale_id
                             and counter_act.state = 'confirmed')",
    )
    .bind(meter.to_string())
    .bind(customer.to_string())
    .bind(commodity_name(commodity))
    .bind(since.to_string())
    .fetch_one(asked.ask())
    .await?;
    Ok(u64::try_from(bought).unwrap_or_default())
}

impl Service {
    /// What `paid` would buy at this meter now; nothing is stored, nothing is promised.
    pub async fn quote(&self, meter: MeterId, paid: Money) -> Result<Priced> {
        let meter = crate::meter::record(self.reader(), meter).await?;
        let Some(purse) = self.driver(&meter.vendor)?.description().purse else {
            let why = "this meter's driver has no purse to sell into";
            return Err(crate::error::invalid("meter_id", why));
        };
        let buyer = Buyer { customer: meter.customer_id, meter: &meter, purse };
        price(&mut self.reader(), buyer, self.today()?, paid).await
    }

    /// By which plan and version a meter is sold to today.
    pub async fn tariff_in_force(&self, meter: MeterId) -> Result<Option<InForce>> {
        in_force(self.reader(), meter, self.today()?).await
    }
}

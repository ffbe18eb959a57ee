//! What an amount buys at a meter on a day: which version counts, and where in the steps the meter
//! stands by what was sold to its customer before.

use super::store::Asked;
use super::{InForce, in_force};
use crate::Service;
use crate::error::{Result, ServiceError, bad_column, invalid};
use crate::meter::MeterRecord;
use crate::mode::{Purse, purse_of};
use crate::sale::SaleRequest;
use crate::standing;
use polymeter_domain::tariff::{
    Bought, Commodity, Date, Tariff, buy, carry, check_sellable, monthly_fee,
};
use polymeter_domain::{Credit, CustomerId, Deductions, Dues, MeterId, Money};

/// A price with its arithmetic. Nothing is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Priced {
    pub in_force: InForce,
    pub on: Date,
    pub paid: Money,
    /// What of it buys nothing, and what is given on top; `bought.paid` is what is left.
    pub deductions: Deductions,
    /// The month that the fee is for, where one was due.
    pub fee_month: Option<String>,
    pub bought: Bought,
}

/// Who buys where.
#[derive(Debug, Clone)]
pub(crate) struct Buyer<'a> {
    pub meter: &'a MeterRecord,
    pub customer: Option<CustomerId>,
    pub purse: Purse,
    /// Percent of the payment for arrears.
    pub arrears_share_percent: u32,
    pub gift: Option<Money>,
    /// Money that moves from one account of the books into a meter: nothing is kept back of it.
    pub is_carried: bool,
    /// What that money was in the purse that it comes from, where that held energy or water.
    pub left: Option<Credit>,
}

impl Buyer<'_> {
    /// What goes as it was from one purse into another of the same kind, as far as this one can count.
    fn as_it_was(&self) -> Option<u64> {
        let Purse { quantity, step } = self.purse;
        let left = self.left.filter(|left| left.quantity == quantity)?;
        Some(left.amount - left.amount.checked_rem(step).unwrap_or_default())
    }
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
    check_sellable(tariff, terms, buyer.purse.quantity).map_err(|why| by(&why))?;
    let before = match buyer.customer {
        Some(customer) if tariff.has_steps() => {
            let since = tariff.accumulation().start(on);
            bought_since(asked, meter.meter_id, customer, tariff.commodity(), since).await?
        }
        _ => 0,
    };
    let fee_month = due_fee(asked, &buyer, tariff, on).await?;
    let dues = dues(asked, &buyer, paid, fee_month.as_ref().map(|_| monthly_fee(tariff))).await?;
    let deductions = Deductions::of(paid, &dues).map_err(|why| by(&why))?;
    let left = deductions.bought_for(paid).ok_or_else(|| by(&"beyond what money holds"))?;
    let bought = match buyer.as_it_was() {
        Some(metered) => carry(tariff, terms, before, left, metered),
        None => buy(tariff, terms, before, left, buyer.purse.step),
    };
    let bought = bought.map_err(|why| by(&why))?;
    Ok(Priced { on, paid, deductions, fee_month, bought, in_force })
}

/// What is owed is looked up only where a share of it is to be paid.
async fn dues(
    asked: &mut impl Asked,
    buyer: &Buyer<'_>,
    paid: Money,
    fee: Option<Money>,
) -> Result<Dues> {
    let nothing = Money::new(0, paid.currency());
    let owed = match buyer.customer {
        Some(customer) if buyer.arrears_share_percent > 0 && !buyer.is_carried => {
            standing::of(asked.ask(), customer, paid.currency()).await?.arrears
        }
        _ => nothing,
    };
    Ok(Dues {
        owed,
        share_percent: buyer.arrears_share_percent,
        fee: fee.unwrap_or(nothing),
        gift: buyer.gift.unwrap_or(nothing),
    })
}

/// The month of `on`, if its fee is due: with the first sale of the month at a meter to its customer.
/// What came to nothing or was reversed charged none.
async fn due_fee(
    asked: &mut impl Asked,
    buyer: &Buyer<'_>,
    tariff: &Tariff,
    on: Date,
) -> Result<Option<String>> {
    let is_asked = tariff.fee().minor() > 0 && !buyer.is_carried;
    let Some(customer) = buyer.customer.filter(|_| is_asked) else {
        return Ok(None);
    };
    let mut month = on.to_string();
    month.truncate(7);
    let charged: Option<String> = sqlx::query_scalar(
        "select sale_id from sale
         where meter_id = $1 and customer_id = $2 and fee_month = $3
           and state not in ('refused', 'cancelled')
           and not exists (select 1 from counter_act
                           where counter_act.sale_id = sale.sale_id
                             and counter_act.kind = 'reversal'
                             and counter_act.state = 'confirmed')
         limit 1",
    )
    .bind(buyer.meter.meter_id.to_string())
    .bind(customer.to_string())
    .bind(&month)
    .fetch_optional(asked.ask())
    .await?;
    Ok(charged.is_none().then_some(month))
}

/// What was sold to a customer since a day and was not taken back: at a meter, and at those that it
/// replaced. What a swap carried over was sold before it.
async fn bought_since(
    asked: &mut impl Asked,
    meter: MeterId,
    customer: CustomerId,
    commodity: Commodity,
    since: Date,
) -> Result<u64> {
    let bought: i64 = sqlx::query_scalar(
        "with recursive place (meter_id) as (
             select meter_id from meter where meter_id = $1
             union
             select old_meter_id from swap
             join place on new_meter_id = place.meter_id
             where state = 'switched' and customer_id = $2)
         select cast(coalesce(sum(bought), 0) as bigint) from sale
         where meter_id in (select meter_id from place)
           and customer_id = $2 and commodity = $3 and priced_on >= $4
           and state not in ('refused', 'cancelled')
           and not exists (select 1 from swap where swap.sale_id = sale.sale_id)
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
        self.quote_sale(&SaleRequest::new(meter, paid)).await
    }

    /// The same, of a sale with all that it asks for.
    pub async fn quote_sale(&self, request: &SaleRequest) -> Result<Priced> {
        let SaleRequest { meter_id, paid, gift, .. } = *request;
        let meter = crate::meter::record(self.reader(), meter_id).await?;
        crate::mode::check_sold_to(&meter)?;
        let purse = purse_of(&meter, &*self.driver(&meter.vendor)?)?;
        self.check_gift(gift)?;
        let customer = meter.customer_id;
        let arrears_share_percent = self.rules().arrears_share_percent;
        let (is_carried, left) = (false, None);
        let meter = &meter;
        let buyer = Buyer { customer, meter, purse, arrears_share_percent, gift, is_carried, left };
        price(&mut self.reader(), buyer, self.today()?, paid).await
    }

    /// Nothing is given free but within what the site allows.
    pub(crate) fn check_gift(&self, gift: Option<Money>) -> Result<()> {
        let Some(gift) = gift else { return Ok(()) };
        let Some(most) = self.rules().gift_max else {
            return Err(invalid("gift", "nothing is given free here: see gift-max under [sale]"));
        };
        if gift.currency() != most.currency() || !(1..=most.minor()).contains(&gift.minor()) {
            return Err(invalid("gift", format!("above zero and at most {most}")));
        }
        Ok(())
    }

    /// By which plan and version a meter is sold to today.
    pub async fn tariff_in_force(&self, meter: MeterId) -> Result<Option<InForce>> {
        in_force(self.reader(), meter, self.today()?).await
    }
}

//! A sale's arithmetic as it is kept beside it, and made again to see that it still comes out.

use super::{TariffVersion, store};
use crate::Service;
use crate::error::{Result, bad_column};
use crate::sale::SaleView;
use crate::stored;
use polymeter_domain::tariff::{Bought, Cost, Date, Origin, Period, Rate, Share, Tariff, Terms};
use polymeter_domain::{Money, SaleId, TariffPlanId};
use serde_json::{Value as Json, json};

/// Everything behind the price of one sale.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SaleExplanation {
    pub sale: SaleView,
    pub plan_id: TariffPlanId,
    pub plan_name: String,
    pub version: TariffVersion,
    pub priced_on: Date,
    /// As it was kept when the sale was made.
    pub bought: Bought,
    pub rerun: Rerun,
}

/// What the same inputs give now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rerun {
    /// Every number is what was kept.
    Same,
    /// In a sentence.
    Differs(String),
}

impl Service {
    /// Reads what was kept of a sale's price, makes it again from its inputs and compares.
    pub async fn explain_sale(&self, id: SaleId) -> Result<SaleExplanation> {
        let sale = self.sale(id).await?;
        let priced: (String, String) =
            sqlx::query_as("select priced_on, explanation from sale where sale_id = $1")
                .bind(id.to_string())
                .fetch_one(self.reader())
                .await?;
        let (priced_on, text) = priced;
        let (plan_id, plan_name, version) =
            store::version(self.reader(), sale.tariff_version_id).await?;
        let left = sale.deductions.bought_for(sale.paid);
        let left = left.ok_or_else(|| bad_column("paid_minor", sale.paid.to_string()))?;
        let bought = read_kept(&text, &version.tariff, left)?;
        let rerun = compare(&bought, sale.bought);
        let priced_on = stored::parsed("priced_on", &priced_on)?;
        Ok(SaleExplanation { sale, plan_id, plan_name, version, priced_on, bought, rerun })
    }
}

fn compare(kept: &Bought, sold: u64) -> Rerun {
    let again = match kept.rerun() {
        Ok(again) => again,
        Err(why) => return Rerun::Differs(format!("it cannot be sold any more: {why}")),
    };
    let told = |what: &str, kept: &dyn std::fmt::Display, now: &dyn std::fmt::Display| {
        Rerun::Differs(format!("{what} was kept as {kept} and comes out as {now}"))
    };
    if again.billed != kept.billed {
        told("what it buys", &kept.billed, &again.billed)
    } else if sold != again.billed {
        told("what the sale says it buys", &sold, &again.billed)
    } else if again.metered != kept.metered {
        told("what the meter counts", &kept.metered, &again.metered)
    } else if again.price != kept.price {
        told("the price", &kept.price, &again.price)
    } else if again.tax != kept.tax {
        told("the tax", &kept.tax, &again.tax)
    } else if again != *kept {
        Rerun::Differs("the steps that were kept are not those that come out".to_owned())
    } else {
        Rerun::Same
    }
}

/// The inputs and each result; the tariff is in the version, what was paid in the sale.
pub(crate) fn kept(bought: &Bought) -> String {
    let terms = &bought.terms;
    let step = match bought.origin {
        Origin::Bought { step } => Some(step),
        Origin::Carried { .. } => None,
    };
    json!({
        "before": bought.before,
        "people": terms.people,
        "ct": terms.ct,
        "pt": terms.pt,
        "line_loss_ppm": terms.line_loss_ppm,
        "copper_loss_ppm": terms.copper_loss_ppm,
        "iron_loss_wh_per_day": terms.iron_loss_wh_per_day,
        "step": step,
        "is_carried": step.is_none(),
        "metered": bought.metered,
        "billed": bought.billed,
        "price_minor": bought.price.minor(),
        "tax_minor": bought.tax.minor(),
        "is_least": bought.is_least,
        "cost_before": cost_json(&bought.cost_before),
        "cost_after": cost_json(&bought.cost_after),
    })
    .to_string()
}

pub(crate) fn cost_json(cost: &Cost) -> Json {
    let share = |it: &Share| {
        json!([
            it.step,
            it.period.map(Period::name),
            it.step_amount,
            it.period_amount,
            it.rate.ten_thousandths()
        ])
    };
    json!({ "total": cost.total, "shares": cost.shares.iter().map(share).collect::<Vec<_>>() })
}

pub(crate) fn cost(json: &Json) -> Option<Cost> {
    let share = |json: &Json| {
        let [step, period, step_amount, period_amount, rate] = json.as_array()?.as_slice() else {
            return None;
        };
        let period = match period {
            Json::Null => None,
            name => Some(Period::from_name(name.as_str()?)?),
        };
        Some(Share {
            step: u8::try_from(step.as_u64()?).ok()?,
            period,
            step_amount: step_amount.as_u64()?,
            period_amount: period_amount.as_u64()?,
            rate: Rate::new(rate.as_u64()?)?,
        })
    };
    let shares = json["shares"].as_array()?.iter().map(share).collect::<Option<_>>()?;
    Some(Cost::kept(json["total"].as_u64()?, shares))
}

/// Of an object that has them among its fields.
pub(crate) fn terms(json: &Json) -> Option<Terms> {
    let small = |key: &str| u32::try_from(json[key].as_u64()?).ok();
    Some(Terms {
        people: small("people")?,
        ct: small("ct")?,
        pt: small("pt")?,
        line_loss_ppm: small("line_loss_ppm")?,
        copper_loss_ppm: small("copper_loss_ppm")?,
        iron_loss_wh_per_day: json["iron_loss_wh_per_day"].as_u64()?,
    })
}

pub(crate) fn read_kept(text: &str, tariff: &Tariff, paid: Money) -> Result<Bought> {
    let read = || -> Option<Bought> {
        let json: Json = serde_json::from_str(text).ok()?;
        let money = |key: &str| Some(Money::new(json[key].as_i64()?, paid.currency()));
        let metered = json["metered"].as_u64()?;
        // Purchases of before there were steps have neither.
        let origin = match json["is_carried"].as_bool() {
            Some(true) => Origin::Carried { metered },
            _ => Origin::Bought { step: json["step"].as_u64().unwrap_or(1) },
        };
        Some(Bought {
            origin,
            tariff: tariff.clone(),
            terms: terms(&json)?,
            before: json["before"].as_u64()?,
            paid,
            metered,
            billed: json["billed"].as_u64()?,
            cost_before: cost(&json["cost_before"])?,
            cost_after: cost(&json["cost_after"])?,
            price: money("price_minor")?,
            tax: money("tax_minor")?,
            is_least: json["is_least"].as_bool()?,
        })
    };
    read().ok_or_else(|| bad_column("explanation", text))
}

//! How the price of a sale came about, made again at every look.

use super::error::{ApiError, Problem};
use super::extract::Id;
use super::tariffs::TermsJson;
use crate::app::App;
use crate::arithmetic::{self, ArithmeticLine};
use axum::Json;
use axum::extract::State;
use polymeter_domain::SaleId;
use polymeter_service as service;
use polymeter_service::Rerun;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Everything behind the price of one sale.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Explanation {
    pub sale_id: String,
    pub tariff_plan_id: String,
    pub name: String,
    pub tariff_version_id: String,
    pub version: u32,
    pub from: String,
    pub priced_on: String,
    /// The version's prices.
    pub definition: String,
    /// Wh or litres bought before in the same month or year of steps.
    pub before: u64,
    /// Wh or litres that `paid` buys, with ratios and losses, and what the meter counts of it.
    pub bought: u64,
    pub metered: u64,
    /// What the credit was bought for: what was paid, less arrears and fee, with the gift.
    pub paid: String,
    pub arrears: String,
    pub fee: String,
    pub gift: String,
    /// What that costs, rounded up.
    pub price: String,
    pub tax: String,
    pub terms: TermsJson,
    /// It was calculated again just now, and every number is what was kept with the sale.
    pub rerun_is_same: bool,
    /// Where it is not.
    pub difference: Option<String>,
    /// The whole in words.
    pub lines: Vec<ArithmeticLine>,
}

impl From<&service::SaleExplanation> for Explanation {
    fn from(explained: &service::SaleExplanation) -> Self {
        let (version, bought) = (&explained.version, &explained.bought);
        Explanation {
            sale_id: explained.sale.sale_id.to_string(),
            tariff_plan_id: explained.plan_id.to_string(),
            name: explained.plan_name.clone(),
            tariff_version_id: version.version_id.to_string(),
            version: version.number,
            from: version.from.to_string(),
            priced_on: explained.priced_on.to_string(),
            definition: version.tariff.to_string(),
            before: bought.before,
            bought: bought.billed,
            metered: bought.metered,
            paid: bought.paid.to_string(),
            arrears: explained.sale.deductions.arrears.to_string(),
            fee: explained.sale.deductions.fee.to_string(),
            gift: explained.sale.deductions.gift.to_string(),
            price: bought.price.to_string(),
            tax: bought.tax.to_string(),
            terms: bought.terms.into(),
            rerun_is_same: explained.rerun == Rerun::Same,
            difference: match &explained.rerun {
                Rerun::Same => None,
                Rerun::Differs(why) => Some(why.clone()),
            },
            lines: arithmetic::of_sale(explained),
        }
    }
}

/// The arithmetic of a sale's price, calculated again and compared with what was kept.
#[utoipa::path(get, path = "/api/v1/sales/{sale_id}/explanation", tag = "sales",
    params(("sale_id" = String, Path)), responses(
    (status = 200, description = "The arithmetic", body = Explanation),
    (status = 404, description = "`not-found`", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn explain(
    State(app): State<App>,
    Id(id): Id<SaleId>,
) -> Result<Json<Explanation>, ApiError> {
    Ok(Json(Explanation::from(&app.service.explain_sale(id).await?)))
}

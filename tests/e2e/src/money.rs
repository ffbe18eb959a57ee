//! Money on both sides of a sale: what a meter truly took, what the ledger says is in it, and the
//! way from a sale that stuck to its end, as a client of the API goes it.

use crate::{Api, Meter, Site};
use anyhow::{Context, Result, ensure};
use reqwest::Method;
use serde_json::json;

/// How many credits the meter took since it was made, and their sum in fen: the truth.
pub fn applied(site: &Site, meter: &Meter) -> Result<(u64, u64)> {
    let state = site.simulator.state(meter.address)?;
    Ok((state.credits, state.credited_fen))
}

/// What the ledger says is in the meter, posted; pending is money in flight and must be none.
pub async fn meter_credit(api: &Api, meter_id: &str) -> Result<u64> {
    let balance = api.get("/api/v1/ledger/trial-balance").await?;
    ensure!(balance["difference"] == "0.00", "{balance}");
    let lines = balance["lines"].as_array().context("no lines")?;
    let name = format!("meter-credit/{meter_id}");
    let line = lines.iter().find(|line| line["account"] == name.as_str());
    let line = line.with_context(|| format!("no account {name} in {balance}"))?;
    ensure!(line["credits_pending"] == "0.00", "money is still in flight: {line}");
    let posted = line["credits_posted"].as_str().context("no credits_posted")?;
    Ok(posted.replace('.', "").parse()?)
}

/// Repeats the request, asks the meter and delivers again until the sale is settled; its state.
pub async fn until_settled(api: &Api, sale_id: &str, meter_id: &str, paid: &str) -> Result<String> {
    let mut state = String::new();
    for _ in 0..10 {
        let answer = api.sell(sale_id, meter_id, paid).await?;
        state = answer.body["state"].as_str().with_context(|| format!("{answer:?}"))?.to_owned();
        match state.as_str() {
            "confirmed" | "refused" | "cancelled" => break,
            // A program that has just started may be at it already and say so: asking again tells.
            "unresolved" => {
                let path = format!("/api/v1/sales/{sale_id}/reconciliation");
                let answer = api.ask(Method::POST, &path, Some(json!({}))).await?;
                ensure!(
                    answer.status.is_success() || answer.body["code"] == "sale-out-of-order",
                    "{answer:?}"
                );
            }
            "reserved" => {
                drop(
                    api.ask(Method::POST, &format!("/api/v1/sales/{sale_id}/delivery"), None)
                        .await?,
                );
            }
            _ => {}
        }
    }
    Ok(state)
}

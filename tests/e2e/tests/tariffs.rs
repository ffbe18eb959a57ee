//! Tariffs through the real program: written, tried, versioned and given over the API, sold by, and
//! explained by the API and the command line alike.

use anyhow::{Context, Result, ensure};
use e2e::{Api, METERS, Site};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

const STEPS: &str = "unit kWh\nsteps yearly\nprice to 60: 0.50\nprice beyond: 1.00\n";

/// Refused with this code and this sentence.
async fn refused(
    api: &Api,
    method: Method,
    path: &str,
    body: Value,
    code: &str,
    why: &str,
) -> Result<()> {
    let answer = api.ask(method, path, Some(body)).await?;
    let detail = answer.body["detail"].as_str().unwrap_or_default();
    ensure!(answer.code() == code && detail == why, "{path}: {}", answer.body);
    Ok(())
}

fn has(body: &Value, pointer: &str, expected: &Value) -> Result<()> {
    let found = body.pointer(pointer).unwrap_or(&Value::Null);
    ensure!(found == expected, "{pointer} is {found}, not {expected}: {body}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_is_tried_written_given_and_sold_by() -> Result<()> {
    let (site, program) = Site::new().await?;
    let api = site.api(&program);
    let sample = json!({ "used": { "flat": "100" }, "paid": "50.00" });
    let new = json!({ "name": "Homes", "definition": STEPS, "sample": sample });
    let tried = api.ask(Method::POST, "/api/v1/tariffs?dry_run=true", Some(new.clone())).await?;
    ensure!(tried.status == StatusCode::OK, "{}", tried.body);
    has(&tried.body, "/total", &json!("70.00"))?;
    ensure!(tried.body["purchase"].to_string().contains("80.000 kWh"), "{}", tried.body);
    let found = api.get("/api/v1/tariffs?query=Homes").await?;
    has(&found, "/items", &json!([]))?;

    let plan = api.post("/api/v1/tariffs", new).await?;
    let plan_id = plan["tariff_plan_id"].as_str().context("no id")?.to_owned();
    has(&plan, "/versions/0/prices", &json!("0.50 to 1.00 CNY/kWh"))?;
    let versions = format!("/api/v1/tariffs/{plan_id}/versions");
    let dearer = json!({ "definition": STEPS.replace("1.00", "2.00"), "sample": sample });
    let tried = api.ask(Method::POST, &format!("{versions}?dry_run=true"), Some(dearer)).await?;
    has(&tried.body, "/total", &json!("110.00"))?;
    has(&tried.body, "/total_now", &json!("70.00"))?;
    for (definition, why) in [
        ("unit kWh", "definition: it has no price"),
        ("unit m3\nprice 3\n", "definition: Homes is priced per kWh"),
        ("unit kWh\nprice 1\nprice 2\n", "definition: step 1 has no end, and others follow"),
    ] {
        let body = json!({ "definition": definition });
        refused(&api, Method::POST, &versions, body, "invalid-field", why).await?;
    }

    let meter_id = site.meter_id(&api, &METERS[0]).await?;
    let given = json!({ "tariff_plan_id": plan_id, "terms": { "people": 3 } });
    let tariffs = format!("/api/v1/meters/{meter_id}/tariffs");
    let all = api.post(&tariffs, given).await?;
    has(&all, "/1/name", &json!("Homes"))?;
    has(&all, "/1/terms/people", &json!(3))?;
    let used = format!("/api/v1/tariffs/{plan_id}");
    let answer = api.ask(Method::DELETE, &used, None).await?;
    ensure!(answer.status == 409 && answer.code() == "tariff-in-use", "{}", answer.body);

    let sale_id = uuid::Uuid::now_v7().to_string();
    let sale = api.sell(&sale_id, &meter_id, "50.00").await?;
    has(&sale.body, "/energy_wh", &json!(80_000))?;
    // Dearer from today on: the sale stays what it was.
    let dearer = json!({ "definition": STEPS.replace("1.00", "2.00") });
    has(&api.post(&versions, dearer).await?, "/today", &json!(2))?;
    let explained = api.get(&format!("/api/v1/sales/{sale_id}/explanation")).await?;
    has(&explained, "/version", &json!(1))?;
    has(&explained, "/rerun_is_same", &json!(true))?;
    has(&explained, "/definition", &json!(STEPS))?;
    let next = uuid::Uuid::now_v7().to_string();
    let sale = api.sell(&next, &meter_id, "50.00").await?;
    has(&sale.body, "/energy_wh", &json!(25_000))?;

    let serving = explain(&site, &sale_id).await?;
    program.kill().await?;
    let alone = explain(&site, &sale_id).await?;
    ensure!(serving == alone, "serving:\n{serving}\nalone:\n{alone}");
    for text in [
        "Plan 电价方案: Homes",
        "Step 1 第1档: 60.000 kWh × 0.50 = 30.00 CNY",
        "Step 2 第2档: 20.000 kWh × 1.00 = 20.00 CNY",
        "Buys 电量: 80.000 kWh, rounded down",
        "Calculated again 复算: the same, to the last digit",
    ] {
        ensure!(serving.contains(text), "nothing of `{text}`:\n{serving}");
    }
    Ok(())
}

/// What `polymeter explain` prints.
async fn explain(site: &Site, sale_id: &str) -> Result<String> {
    let config = site.config.to_str().context("a path that is text")?;
    let ended = e2e::run(["--config", config, "explain", sale_id]).await?;
    let printed = String::from_utf8_lossy(&ended.stdout).into_owned();
    ensure!(ended.status.success(), "{printed}{}", String::from_utf8_lossy(&ended.stderr));
    Ok(printed)
}

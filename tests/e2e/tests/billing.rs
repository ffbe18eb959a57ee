//! Charge items and bills through the real program: booked once, paid under a key, exported, taken
//! back, and shown on their pages.

use anyhow::{Context, Result, ensure};
use e2e::Site;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

fn text(body: &Value, name: &str) -> Result<String> {
    Ok(body[name].as_str().with_context(|| format!("no {name} in {body}"))?.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_item_becomes_a_bill_that_is_paid_exported_and_taken_back() -> Result<()> {
    let (site, program) = Site::new().await?;
    let api = site.api(&program);
    let new = json!({ "number": "400001", "name": "=1+1, \"王\"", "premises": "Mall 1" });
    let customer = text(&api.post("/api/v1/customers", new).await?, "customer_id")?;
    let new = json!({
        "name": "Property fee 物业费", "basis": "area", "amount": "2.50", "every": "once",
        "paid_from": "bill",
    });
    let item = text(&api.post("/api/v1/charge-items", new.clone()).await?, "charge_item_id")?;
    let again = api.ask(Method::POST, "/api/v1/charge-items", Some(new)).await?;
    ensure!(again.code() == "exists", "{}", again.body);
    let wrong = json!({ "name": "x", "basis": "room", "amount": "1", "every": "once", "paid_from": "bill" });
    let wrong = api.ask(Method::POST, "/api/v1/charge-items", Some(wrong)).await?;
    ensure!(wrong.body["detail"] == "basis: `room` is none of fixed, area", "{}", wrong.body);
    let area = json!({ "area": "85.50" });
    let path = format!("/api/v1/customers/{customer}/area");
    let kept = api.ask(Method::PUT, &path, Some(area)).await?;
    ensure!(kept.status == StatusCode::OK, "{}", kept.body);
    let given = json!({ "charge_item_id": item });
    api.post(&format!("/api/v1/customers/{customer}/charge-items"), given).await?;
    let booked = api.post("/api/v1/claims", json!({})).await?;
    ensure!(booked["claims"] == 1 && booked["amount"] == "213.75", "{booked}");
    ensure!(api.post("/api/v1/claims", json!({})).await?["claims"] == 0, "once");

    let open = api.get(&format!("/api/v1/bills?customer_id={customer}&open=true")).await?;
    let bill = text(&open["items"][0], "bill_id")?;
    let payments = format!("/api/v1/bills/{bill}/payments");
    let part = json!({ "amount": "100.00", "channel": "alipay" });
    for _ in 0..2 {
        let paid = api.ask_with_key(Method::POST, &payments, Some(part.clone()), "p-1").await?;
        ensure!(paid.status == StatusCode::CREATED, "{}", paid.body);
    }
    let much = json!({ "amount": "113.76" });
    let much = api.ask_with_key(Method::POST, &payments, Some(much), "p-2").await?;
    ensure!(much.code() == "invalid-field", "{}", much.body);
    let whole = api.get(&format!("/api/v1/bills/{bill}")).await?;
    ensure!(whole["bill"]["open"] == "113.75" && whole["bill"]["number"] == 1, "{whole}");
    ensure!(text(&whole, "notice")?.contains("113.75 CNY"), "{whole}");
    let csv = api.text("/api/v1/bills.csv?open=true").await?;
    let row = "1,open,\"400001\",\"'=1+1, \"\"王\"\"\",\"Mall 1\",,,213.75,100.00,113.75,CNY,";
    ensure!(csv.contains(row), "{csv}");
    for (path, words) in [
        ("/billing".to_owned(), "To be paid"),
        (format!("/bills/{bill}"), "Notice"),
        (format!("/customers/{customer}/purse"), "85.50 m²"),
        ("/billing?from=2020-01-01&to=2020-02-01".to_owned(), "Nothing to bill"),
    ] {
        let page = api.text(&path).await?;
        ensure!(page.contains(words), "{path}: {page}");
    }
    let back = format!("/api/v1/bills/{bill}/contra");
    let contra = api.post(&back, json!({ "reason": "wrong area" })).await?;
    ensure!(contra["number"] == 2 && contra["total"] == "-213.75", "{contra}");
    let again = api.ask(Method::POST, &back, Some(json!({ "reason": "again" }))).await?;
    ensure!(again.code() == "conflict", "{}", again.body);
    let purse = api.get(&format!("/api/v1/customers/{customer}/purse")).await?;
    ensure!(purse["balance"] == "100.00", "{purse}");
    let books = api.get("/api/v1/ledger/trial-balance").await?;
    ensure!(books["difference"] == "0.00", "{books}");
    let future = json!({ "from": "2020-01-01", "to": "9000-01-01" });
    let future =
        api.ask(Method::POST, "/api/v1/billing-periods?dry_run=true", Some(future)).await?;
    ensure!(future.code() == "invalid-field", "{}", future.body);
    Ok(())
}

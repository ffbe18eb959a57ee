//! The counter through HTTP: shift, sale by channel, receipt, second person; and a refund whose program
//! is killed at every durable step.

use anyhow::{Context, Result, ensure};
use e2e::{Api, METERS, OPERATOR, PASSWORD, Program, Site};
use meter_sim::{Fault, FaultKind, On};
use polymeter_service::{REFUND_CRASH_POINTS, TAKING_CRASH_POINTS};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::time::Duration;

const SECOND: &str = "bo";
/// More than any line here takes to give up.
const PATIENCE: Duration = Duration::from_secs(60);
/// Before the program is asked again, so that it and the meter have the machine.
const PAUSE: Duration = Duration::from_millis(20);

/// A second operator, and a session of theirs.
async fn second(api: &Api, program: &Program) -> Result<Api> {
    let rights = json!(["sell", "refund", "approve"]);
    let new = json!({ "name": SECOND, "password": PASSWORD, "rights": rights });
    api.post("/api/v1/operators", new).await?;
    let session = Api::log_in(&program.url, SECOND, PASSWORD).await?;
    Ok(Api::new(&program.url, session.body["token"].as_str().context("a token")?))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shift_from_float_to_count_with_receipts_and_a_second_person() -> Result<()> {
    let more =
        "[counter]\ncash-needs-shift = true\n[approval]\nrefund = \"100.00\"\nclear = \"0.00\"\n";
    let (site, program) = Site::with_more(more, &[]).await?;
    let api = site.api(&program);
    let meter_id = site.meter_id(&api, &METERS[0]).await?;
    let sale = uuid::Uuid::now_v7().to_string();
    let refused = api.sell(&sale, &meter_id, "50.00").await?;
    ensure!(refused.code() == "no-open-shift", "{refused:?}");

    let float = json!({ "float": "200.00" });
    let shift = api.keyed("/api/v1/shifts", "s-1", float.clone()).await?;
    ensure!(shift.status == StatusCode::CREATED, "{shift:?}");
    let again = api.keyed("/api/v1/shifts", "s-1", float).await?;
    ensure!(again.body == shift.body, "{again:?}");
    let other = api.keyed("/api/v1/shifts", "s-1", json!({ "float": "1.00" })).await?;
    ensure!((other.status, other.code()) == (StatusCode::CONFLICT, "differs"), "{other:?}");
    let no_key = api.ask(Method::POST, "/api/v1/shifts", Some(json!({ "float": "1" }))).await?;
    ensure!(no_key.code() == "bad-idempotency-key", "{no_key:?}");

    let sold = api.sell(&sale, &meter_id, "50.00").await?;
    ensure!(sold.body["receipt_number"] == 1, "{sold:?}");
    let receipt = api.get("/api/v1/receipts/1").await?;
    ensure!((&receipt["channel"], &receipt["amount"]) == (&json!("cash"), &json!("50.00")));
    for copy in [0, 1] {
        let print = api.post("/api/v1/receipts/1/prints", json!({})).await?;
        ensure!(print["copy"] == copy, "{print}");
    }
    let paper = api.text("/receipts/1/prints/1").await?;
    ensure!(paper.contains("COPY") && paper.contains("伍拾元整"), "{paper}");
    ensure!(!api.text("/receipts/1/prints/0").await?.contains("COPY"));

    let second = two_people(&api, &program, &receipt).await?;
    closed_by_two(&api, &second, &receipt).await?;

    let path = format!("/api/v1/shifts/{}/closing", shift.body["shift_id"].as_str().context("id")?);
    let counted = json!({ "counted": "199.00", "note": "a coin fell" });
    let dry = api.post(&format!("{path}?dry_run=true"), counted.clone()).await?;
    ensure!(dry["closing"]["difference"] == "-1.00", "{dry}");
    let closed = api.post(&path, counted).await?;
    // 200 of float, 50 sold, 300 of deposit, 150 of it returned; the rest of both paid out at the end.
    ensure!(
        (&closed["expected"], &closed["closing"]["difference"])
            == (&json!("200.00"), &json!("-1.00"))
    );
    for page in ["/shifts", "/receipts", "/receipts/1", "/acts", "/discrepancies", "/"] {
        api.text(page).await?;
    }
    program.kill().await
}

async fn two_people(api: &Api, program: &Program, receipt: &Value) -> Result<Api> {
    let act = |kind: &str, amount: &str| {
        json!({ "kind": kind, "customer_id": receipt["customer_id"], "amount": amount,
            "reason": "as agreed" })
    };
    let acts = "/api/v1/counter-acts";
    let taken = api.keyed(acts, "d-1", act("deposit", "300.00")).await?;
    ensure!(taken.body["state"] == "confirmed", "{taken:?}");
    let tried = format!("{acts}?dry_run=true");
    let preview = api.keyed(&tried, "d-2", act("deposit-refund", "150.00")).await?;
    ensure!(preview.body["needs_second_person"] == true, "{preview:?}");
    let waits = api.keyed(acts, "d-2", act("deposit-refund", "150.00")).await?;
    ensure!((waits.status, &waits.body["state"]) == (StatusCode::ACCEPTED, &json!("waiting")));
    let waiting = api.get("/api/v1/approvals?waiting=true").await?;
    let id = waiting["items"][0]["approval_id"].as_str().context("one waits")?;
    let path = format!("/api/v1/approvals/{id}/decision");
    let agree = json!({ "approved": true, "reason": "seen" });
    let own = api.ask(Method::POST, &path, Some(agree.clone())).await?;
    ensure!((own.status, own.code()) == (StatusCode::FORBIDDEN, "second-person"), "{own:?}");
    let page = api.text("/acts").await?;
    ensure!(page.contains("somebody else has to decide"), "{OPERATOR}: {page}");
    let second = second(api, program).await?;
    for _ in 0..2 {
        let decided = second.post(&path, agree.clone()).await?;
        ensure!(decided["state"] == "approved", "{decided}");
    }
    let act_id = waits.body["counter_act_id"].as_str().context("an id")?;
    let done = api.get(&format!("{acts}/{act_id}")).await?;
    ensure!(
        (&done["state"], &done["receipt_number"]) == (&json!("confirmed"), &json!(3)),
        "{done}"
    );
    Ok(second)
}

/// The account is closed once another operator agrees; until then its page says who has to act.
async fn closed_by_two(api: &Api, second: &Api, receipt: &Value) -> Result<()> {
    let customer = receipt["customer_id"].as_str().context("a customer")?;
    let path = format!("/api/v1/customers/{customer}/closing");
    let new = json!({ "reason": "moves away" });
    let dry = api.keyed(&format!("{path}?dry-run=true"), "c-0", new.clone()).await?;
    ensure!(
        (&dry.body["refunded"], &dry.body["needs_second_person"])
            == (&json!("200.00"), &json!(true)),
        "{dry:?}"
    );
    let waits = api.keyed(&path, "c-1", new).await?;
    ensure!(waits.body["state"] == "begun", "{waits:?}");
    let closing = waits.body["closing_id"].as_str().context("an id")?;
    let approval = waits.body["approval_id"].as_str().context("it waits")?;
    let page = api.text(&format!("/closings/{closing}")).await?;
    for words in ["Waits for a second person", "another operator than", "200.00"] {
        ensure!(page.contains(words), "{words}: {page}");
    }
    ensure!(second.text("/acts").await?.contains("Close an account"));
    let decision = format!("/api/v1/approvals/{approval}/decision");
    second.post(&decision, json!({ "approved": true, "reason": "seen" })).await?;
    let done = api.get(&format!("/api/v1/closings/{closing}")).await?;
    ensure!((&done["state"], &done["refunded"]) == (&json!("settled"), &json!("200.00")), "{done}");
    Ok(())
}

/// The money of a sale that the meter never took goes back exactly once, whatever step the program dies at.
#[tokio::test(flavor = "multi_thread")]
async fn a_refund_is_done_once_whatever_step_the_program_dies_at() -> Result<()> {
    let (site, program) = Site::new().await?;
    program.kill().await?;
    for (nth, point) in REFUND_CRASH_POINTS.iter().enumerate() {
        refund(&site, nth, point).await.with_context(|| format!("killed at {point}"))?;
    }
    Ok(())
}

async fn refund(site: &Site, nth: usize, point: &str) -> Result<()> {
    let meter = &METERS[0];
    let program = Program::start(&site.config, None).await?;
    let api = site.api(&program);
    let meter_id = site.meter_id(&api, meter).await?;
    let sale_id = wrongly_confirmed(site, &api, &meter_id).await?;
    program.kill().await?;

    let program = Program::start(&site.config, Some(point)).await?;
    let act = json!({ "kind": "refund", "sale_id": sale_id, "reason": "never arrived" });
    let (program, state) = dies_and_ends(site, &format!("r-{nth}"), &act, program).await?;
    ensure!(state == "confirmed", "it ended {state}");
    let api = site.api(&program);
    let balance = api.get("/api/v1/ledger/trial-balance").await?;
    let lines = balance["lines"].as_array().context("lines")?;
    let cash = lines.iter().find(|line| line["account"] == "cash").context("cash")?;
    let paid = format!("{}.00", (nth + 1) * 7);
    ensure!(
        cash["credits_posted"] == paid.as_str() && balance["difference"] == "0.00",
        "{balance}"
    );
    program.kill().await
}

/// Asks for an act by whose way the program dies, and asks again until it is settled.
async fn dies_and_ends(
    site: &Site,
    key: &str,
    act: &Value,
    mut program: Program,
) -> Result<(Program, Value)> {
    let answer = site.api(&program).keyed("/api/v1/counter-acts", key, act.clone()).await;
    ensure!(answer.is_err(), "the program was to die and answered {answer:?}");
    program.ended().await.context("it lives")?;
    program.kill().await?;
    let program = Program::start(&site.config, None).await?;
    let api = site.api(&program);
    let settled = async {
        loop {
            let answer = api.keyed("/api/v1/counter-acts", key, act.clone()).await?;
            if answer.body["settled"] == true {
                return anyhow::Ok(answer.body["state"].clone());
            }
            tokio::time::sleep(PAUSE).await;
        }
    };
    let state = tokio::time::timeout(PATIENCE, settled).await.context("it never ended")??;
    Ok((program, state))
}

/// Credit leaves the meter exactly as often as its money leaves the till.
#[tokio::test(flavor = "multi_thread")]
async fn credit_is_taken_out_of_a_meter_once_whatever_step_the_program_dies_at() -> Result<()> {
    let (site, program) = Site::new().await?;
    let meter = &METERS[0];
    let api = site.api(&program);
    let meter_id = site.meter_id(&api, meter).await?;
    api.sell(&uuid::Uuid::now_v7().to_string(), &meter_id, "100.00").await?;
    program.kill().await?;
    let mut taken_fen = 0;
    for point in REFUND_CRASH_POINTS.iter().chain(TAKING_CRASH_POINTS) {
        let program = Program::start(&site.config, Some(point)).await?;
        let act = json!({
            "kind": "refund", "meter_id": meter_id, "amount": "7.00", "reason": "moves out",
        });
        let (program, state) = dies_and_ends(&site, point, &act, program).await?;
        // Nothing had been sent at this point, and the meter's record says so.
        let expected = if *point == "after-refund-dispatch" { "refused" } else { "confirmed" };
        ensure!(state == expected, "killed at {point} it ended {state}");
        taken_fen += if state == "confirmed" { 700 } else { 0 };
        let truth = site.simulator.state(meter.address)?;
        ensure!(truth.taken_back_fen == taken_fen, "killed at {point}: {truth:?}");
        let balance = site.api(&program).get("/api/v1/ledger/trial-balance").await?;
        let lines = balance["lines"].as_array().context("lines")?;
        let cash = lines.iter().find(|line| line["account"] == "cash").context("cash")?;
        let paid = format!("{}.{:02}", taken_fen / 100, taken_fen % 100);
        ensure!(
            cash["credits_posted"] == paid.as_str() && balance["difference"] == "0.00",
            "killed at {point}: {balance}"
        );
        program.kill().await?;
    }
    Ok(())
}

/// A sale that an operator called applied although the meter never took it.
async fn wrongly_confirmed(site: &Site, api: &Api, meter_id: &str) -> Result<String> {
    let address = METERS[0].address;
    site.simulator.fault(address, Fault::new(On::Sell, FaultKind::NoReply))?;
    // This meter never takes a purchase, so only its count is asked for before the sale.
    let silent = Fault::new(On::Check, FaultKind::NoReply).skip(1).times(50);
    site.simulator.fault(address, silent)?;
    let sale_id = uuid::Uuid::now_v7().to_string();
    let path = format!("/api/v1/sales/{sale_id}");
    let sale = json!({ "meter_id": meter_id, "paid": "7.00" });
    api.ask(Method::PUT, &path, Some(sale)).await?;
    let decided = json!({ "applied": true, "reason": "misread" });
    let decide = format!("{path}/decision");
    let settled = async {
        // Refused while the sale is not unresolved yet, or is still being asked about.
        while !api.ask(Method::POST, &decide, Some(decided.clone())).await?.status.is_success() {
            tokio::time::sleep(PAUSE).await;
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(PATIENCE, settled).await.context("it never became unresolved")??;
    site.simulator.clear_faults(address)?;
    Ok(sale_id)
}

//! The books as their keeper uses them: a day is closed, its head is kept and checked; the database is
//! backed up while it serves, lost, and restored while its meters have moved on.

use anyhow::{Context, Result, ensure};
use databases::Fresh;
use e2e::money::{applied, meter_credit, until_settled};
use e2e::{METERS, Program, Site, run};
use polymeter_package::PublicKey;
use reqwest::{Method, StatusCode};
use serde_json::json;
use std::path::{Path, PathBuf};
use uuid::Uuid;

/// What the command printed to stdout and stderr, and whether it ended well.
async fn polymeter(config: &Path, words: &[&str]) -> Result<(bool, String)> {
    let config = config.to_str().context("a path that is text")?;
    let output = run(["--config", config].iter().chain(words)).await?;
    let said = [output.stdout, output.stderr].concat();
    Ok((output.status.success(), String::from_utf8_lossy(&said).into_owned()))
}

async fn well(config: &Path, words: &[&str], said: &str) -> Result<String> {
    let (is_well, text) = polymeter(config, words).await?;
    ensure!(is_well && text.contains(said), "{words:?}: {text}");
    Ok(text)
}

async fn refused(config: &Path, words: &[&str], said: &str) -> Result<()> {
    let (is_well, text) = polymeter(config, words).await?;
    ensure!(!is_well && text.contains(said), "{words:?}: {text}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_is_closed_and_its_head_kept_elsewhere() -> Result<()> {
    let (site, program) = Site::new().await?;
    let api = site.api(&program);
    let meter_id = site.meter_id(&api, &METERS[0]).await?;
    let sale_id = Uuid::now_v7().to_string();
    api.sell(&sale_id, &meter_id, "50.00").await?;

    let tomorrow = json!({ "day": "2999-01-01" });
    let answer = api.ask(Method::POST, "/api/v1/day-closes", Some(tomorrow)).await?;
    ensure!(answer.status == 422, "{answer:?}");
    let close = api.post("/api/v1/day-closes", json!({})).await?;
    ensure!(close["sequence"] == 2 && close["channels"][0]["channel"] == "cash", "{close}");
    ensure!(close["channels"][0]["taken_in"] == "50.00", "{close}");
    let day = close["day"].as_str().context("no day")?;
    let again = api.ask(Method::POST, "/api/v1/day-closes", Some(json!({ "day": day }))).await?;
    ensure!(again.status == StatusCode::CONFLICT && again.code() == "day-closed", "{again:?}");
    refused(&site.config, &["day-close"], "days are closed once and in order").await?;
    let list = api.get("/api/v1/day-closes").await?;
    ensure!(list["items"][0]["day"] == day, "{list}");
    for page in ["/day-closes".to_owned(), format!("/day-closes/{day}")] {
        let html = api.text(&page).await?;
        ensure!(html.contains(day), "{html}");
    }
    // Booked after the close: the next one's.
    api.sell(&Uuid::now_v7().to_string(), &meter_id, "5.00").await?;

    let head = site.folder.path().join("head");
    let file = head.to_str().context("a path that is text")?;
    well(&site.config, &["ledger", "head", "--out", file], day).await?;
    let text = std::fs::read_to_string(&head)?;
    ensure!(text == close["head"].as_str().unwrap_or_default(), "{text}");
    // The key lies beside the database's file, or beside the configuration.
    let beside = ["polymeter.db.head.pub", "polymeter.toml.head.pub"];
    let key = beside.map(|name| site.folder.path().join(name));
    let key = key.iter().find(|path| path.is_file()).context("no public key")?;
    let public = PublicKey::parse(&std::fs::read_to_string(key)?)?;
    let signature = std::fs::read_to_string(head.with_extension("minisig"))?;
    ensure!(public.has_signed(&text, &signature), "{signature}");

    let verify = ["ledger", "verify", "--head", file];
    well(&site.config, &verify, "1 day closes").await?;
    std::fs::write(&head, text.replace("sequence 2", "sequence 3"))?;
    refused(&site.config, &verify, "was not signed by the key").await?;
    let (_, other) = polymeter_package::SecretKey::generate(None)?;
    let other = ["ledger", "verify", "--key", &other.to_string()];
    refused(&site.config, &other, "not signed by the key").await?;
    program.kill().await
}

/// The configuration on a database that is not there yet.
async fn elsewhere(site: &Site) -> Result<(PathBuf, Option<Fresh>)> {
    let text = std::fs::read_to_string(&site.config)?;
    let fresh = Fresh::new().await;
    let line = text
        .lines()
        .find(|line| line.starts_with("path = ") || line.starts_with("url = "))
        .context("no database in the configuration")?;
    let new = match &fresh {
        Some(fresh) => format!("url = \"{}\"", fresh.url()),
        None => "path = \"restored.db\"".to_owned(),
    };
    let config = site.folder.path().join("restored.toml");
    std::fs::write(&config, text.replace(line, &new))?;
    Ok((config, fresh))
}

/// The drill of docs/backup.md: a backup that is older than what meters have taken since.
#[tokio::test(flavor = "multi_thread")]
async fn r27_an_old_backup_is_restored_and_nothing_is_sent_again() -> Result<()> {
    let (site, program) = Site::new().await?;
    let api = site.api(&program);
    let (first, second) = (&METERS[0], &METERS[1]);
    let first_id = site.meter_id(&api, first).await?;
    let second_id = site.meter_id(&api, second).await?;
    api.sell(&Uuid::now_v7().to_string(), &first_id, "50.00").await?;
    api.sell(&Uuid::now_v7().to_string(), &second_id, "20.00").await?;
    api.post("/api/v1/day-closes", json!({})).await?;
    api.post(&format!("/api/v1/meters/{first_id}/readings"), json!({})).await?;
    program.kill().await?;

    // Reserved, and backed up before it is sent.
    let stuck = Uuid::now_v7().to_string();
    let dying = Program::start(&site.config, Some("after-reserve")).await?;
    let _ = site.api(&dying).sell(&stuck, &first_id, "7.00").await;
    dying.kill().await?;
    let folder = site.folder.path().join("kept.backup");
    let backup = folder.to_str().context("a path that is text")?;
    well(&site.config, &["backup", backup], "up to transfer 5").await?;
    refused(&site.config, &["backup", backup], "is there already").await?;
    well(&site.config, &["restore", backup, "--check"], "the backup is whole").await?;

    // Then the meters move on: the reserved sale is sent, and another one is made.
    let program = Program::start(&site.config, None).await?;
    let api = site.api(&program);
    until_settled(&api, &stuck, &first_id, "7.00").await?;
    api.sell(&Uuid::now_v7().to_string(), &second_id, "3.00").await?;
    program.kill().await?;
    ensure!(applied(&site, first)? == (2, 5700), "{:?}", applied(&site, first)?);
    ensure!(applied(&site, second)? == (2, 2300), "{:?}", applied(&site, second)?);

    // The database is lost.
    let (config, _fresh) = elsewhere(&site).await?;
    let said = well(&config, &["restore", backup], "the ledger is whole").await?;
    ensure!(said.contains("1 sales may have been sent since the backup"), "{said}");
    refused(&config, &["restore", backup], "").await?;
    let program = Program::start(&config, None).await?;
    let session = e2e::Api::log_in(&program.url, e2e::OPERATOR, e2e::PASSWORD).await?;
    let token = session.body["token"].as_str().context("no token")?;
    let api = e2e::Api::new(&program.url, token);
    let state = until_settled(&api, &stuck, &first_id, "7.00").await?;
    ensure!(state == "confirmed", "the meter has it: {state}");
    ensure!(applied(&site, first)? == (2, 5700), "sent again: {:?}", applied(&site, first)?);
    ensure!(meter_credit(&api, &first_id).await? == 5700, "ledger and meter differ");
    // A sale that the backup does not know: the meter's count is ahead, which is written down.
    let sale = api.sell(&Uuid::now_v7().to_string(), &second_id, "1.00").await?;
    ensure!(sale.body["state"] == "confirmed", "{sale:?}");
    ensure!(applied(&site, second)? == (3, 2400), "{:?}", applied(&site, second)?);
    let trail = api.get("/api/v1/audit?query=count").await?;
    ensure!(trail["items"].to_string().contains(&second_id), "{trail}");
    program.kill().await?;

    // A part: readings that were lost come back, what is there stays, money does not come in parts.
    let readings = ["restore", backup, "--table", "reading", "--line", first.line];
    well(&config, &readings, "put back 0 rows of reading").await?;
    let other = ["restore", backup, "--table", "reading", "--line", "nowhere"];
    refused(&config, &other, "has no meter on a line nowhere").await?;
    for table in ["transfer", "account", "sale", "audit", "day_close"] {
        let why = format!("the table {table} cannot be put back by itself");
        refused(&config, &["restore", backup, "--table", table], &why).await?;
    }
    well(&config, &["ledger", "verify", "--key", &public_key(&site)?], "1 day closes").await?;

    // One byte of one file of it.
    let transfers = folder.join("transfer.jsonl");
    let text = std::fs::read_to_string(&transfers)?;
    std::fs::write(&transfers, text.replacen("5000", "5001", 1))?;
    refused(&config, &["restore", backup, "--check"], "table transfer is not what the manifest")
        .await
}

/// A refund that the backup has as asked for and the meter has done: it moved on, so nothing is taken.
#[tokio::test(flavor = "multi_thread")]
async fn r27_a_refund_that_was_done_after_the_backup_is_not_done_again() -> Result<()> {
    let (site, program) = Site::new().await?;
    let api = site.api(&program);
    let meter = &METERS[0];
    let meter_id = site.meter_id(&api, meter).await?;
    api.sell(&Uuid::now_v7().to_string(), &meter_id, "50.00").await?;
    program.kill().await?;

    let acts = "/api/v1/counter-acts";
    let act = json!({
        "kind": "refund", "meter_id": meter_id, "amount": "7.00", "reason": "moves out",
    });
    let dying = Program::start(&site.config, Some("after-refund-ask")).await?;
    let _ = site.api(&dying).keyed(acts, "r-1", act.clone()).await;
    dying.kill().await?;
    let folder = site.folder.path().join("kept.backup");
    let backup = folder.to_str().context("a path that is text")?;
    well(&site.config, &["backup", backup], "up to transfer").await?;

    // It goes on from there, and the database is lost.
    let program = Program::start(&site.config, None).await?;
    let api = site.api(&program);
    let mut done = api.keyed(acts, "r-1", act.clone()).await?;
    while done.body["settled"] == false {
        done = api.keyed(acts, "r-1", act.clone()).await?;
    }
    program.kill().await?;
    let taken = site.simulator.state(meter.address)?.taken_back_fen;
    ensure!(done.body["state"] == "confirmed" && taken == 700, "{taken} taken: {done:?}");

    let (config, _fresh) = elsewhere(&site).await?;
    well(&config, &["restore", backup], "the ledger is whole").await?;
    let program = Program::start(&config, None).await?;
    let session = e2e::Api::log_in(&program.url, e2e::OPERATOR, e2e::PASSWORD).await?;
    let token = session.body["token"].as_str().context("no token")?;
    let api = e2e::Api::new(&program.url, token);
    let act_id = done.body["counter_act_id"].as_str().context("no counter_act_id")?;
    // The start asks the meter too, and whoever comes meanwhile is told so.
    for _ in 0..3 {
        drop(api.ask(Method::POST, &format!("{acts}/{act_id}/proof"), Some(json!({}))).await?);
    }
    let again = api.keyed(acts, "r-1", act.clone()).await?;
    ensure!(again.body["state"] == "unresolved", "{again:?}");
    let taken = site.simulator.state(meter.address)?.taken_back_fen;
    ensure!(taken == 700, "taken twice: {taken}");
    let said = api.get("/api/v1/discrepancies").await?;
    ensure!(said["items"].to_string().contains(&meter_id), "{said}");
    program.kill().await
}

fn public_key(site: &Site) -> Result<String> {
    let beside = ["polymeter.db.head.pub", "polymeter.toml.head.pub"];
    let key = beside.map(|name| site.folder.path().join(name));
    let key = key.iter().find(|path| path.is_file()).context("no public key")?;
    Ok(PublicKey::parse(&std::fs::read_to_string(key)?)?.to_string())
}

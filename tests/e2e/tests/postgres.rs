//! The running program and a PostgreSQL server that goes away in the midst of it, and one whose rows
//! somebody has changed. Where the test run has no server (`cargo test` alone) there is nothing to do;
//! `cargo xtask test` runs it with one.

use anyhow::{Result, ensure};
use databases::{Cut, Fresh, Wire};
use e2e::money::{applied, meter_credit, until_settled};
use e2e::{METERS, Program, Site};

const PAID: &str = "12.35";
const PAID_FEN: u64 = 1235;

async fn verify(site: &Site) -> Result<(bool, String)> {
    let config = site.config.as_os_str();
    let ended =
        e2e::run(["--config".as_ref(), config, "ledger".as_ref(), "verify".as_ref()]).await?;
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&ended.stdout),
        String::from_utf8_lossy(&ended.stderr)
    );
    Ok((ended.status.success(), said))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_goes_away_loses_no_sale_and_a_changed_row_is_named() -> Result<()> {
    let Some(database) = Fresh::new().await else { return Ok(()) };
    let wire = Wire::to(&database.url()).await;
    let (site, mut program) = Site::on_server(&wire.url(&database.url())).await?;
    let api = site.api(&program);
    let meter = &METERS[0];
    let meter_id = site.meter_id(&api, meter).await?;
    let before = applied(&site, meter)?;
    let mut sold = 0;

    // Away: the sale is refused, nothing reaches the meter; back: the same sale is made.
    let sale_id = uuid::Uuid::now_v7().to_string();
    wire.set_up(false);
    let refused = api.sell(&sale_id, &meter_id, PAID).await?;
    ensure!(refused.body["code"] == "storage", "without a database: {refused:?}");
    ensure!(program.is_running()?, "the program ended with its database");
    wire.set_up(true);
    ensure!(until_settled(&api, &sale_id, &meter_id, PAID).await? == "confirmed");
    sold += 1;

    // Cut in a commit, before the server heard of it and after it was done: each sale is one sale.
    for cut in [Cut::BeforeCommit, Cut::AfterCommit, Cut::BeforeCommit, Cut::AfterCommit] {
        let sale_id = uuid::Uuid::now_v7().to_string();
        wire.cut(cut);
        let answer = api.sell(&sale_id, &meter_id, PAID).await?;
        let is_made = answer.status.is_success();
        ensure!(is_made == (cut == Cut::AfterCommit), "{cut:?}: {answer:?}");
        ensure!(until_settled(&api, &sale_id, &meter_id, PAID).await? == "confirmed", "{cut:?}");
        sold += 1;
    }
    let after = applied(&site, meter)?;
    ensure!(after == (before.0 + sold, before.1 + sold * PAID_FEN), "{before:?} to {after:?}");
    ensure!(meter_credit(&api, &meter_id).await? == after.1, "the ledger differs from the meter");

    // Beside the program that runs, and after a row was changed behind its back.
    let (is_whole, said) = verify(&site).await?;
    ensure!(is_whole && said.contains("10 transfers"), "{said}");
    let second = Program::start(&site.config, None).await;
    ensure!(second.is_err(), "a second program writes to the same database");
    database
        .by_hand(
            "set session_replication_role = replica;
             update transfer set amount_minor = amount_minor + 1 where sequence = 5",
        )
        .await?;
    let (is_whole, said) = verify(&site).await?;
    ensure!(!is_whole && said.contains("broken at transfer sequence 5 (id "), "{said}");
    program.kill().await
}

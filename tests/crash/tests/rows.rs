//! Reliability rows R1, R2 and R8 (docs/reliability.md), by name, on the engine that the test run is on:
//! the whole sweep on SQLite, a share of it on PostgreSQL, where what differs is the database alone.

use anyhow::{Context, Result, ensure};
use crash::{Engine, Orders, Sweep, Tally};
use databases::Fresh;
use e2e::money::applied;
use e2e::{METERS, Program, Site};
use reqwest::StatusCode;
use std::io::Write as _;
use std::time::Duration;

/// Past the test harness, which keeps what a passing test prints to itself.
fn say(text: &str) -> Result<()> {
    Ok(writeln!(std::io::stderr(), "{text}")?)
}

fn engine() -> Engine {
    if databases::server().is_some() { Engine::Postgres } else { Engine::Sqlite }
}

fn orders() -> Orders {
    Orders {
        seed: 1,
        lasts: Duration::ZERO,
        engines: vec![engine()],
        sites: 5,
        sweep: Sweep::Nothing,
        sweep_share: 1,
        sweep_only: false,
        trials: None,
        replay: None,
    }
}

async fn clean(row: &str, orders: &Orders, kills_least: u64) -> Result<()> {
    let tally: Tally = crash::run(orders).await?;
    let kills = tally.kills();
    say(&format!("{row} on {:?}:\n{tally}", engine()))?;
    ensure!(tally.is_clean(), "{}", tally.failures.join("\n"));
    ensure!(kills >= kills_least, "only {kills} kills");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn r1_a_kill_at_every_step_and_every_byte_of_a_sale() -> Result<()> {
    let sweep_share = if engine() == Engine::Postgres { 4 } else { 1 };
    let orders = Orders { sweep: Sweep::Sales, sweep_only: true, sweep_share, ..orders() };
    clean("R1", &orders, 500 / sweep_share).await
}

#[tokio::test(flavor = "multi_thread")]
async fn r1_a_kill_at_every_step_of_a_swap_and_of_a_closing() -> Result<()> {
    let sweep_share = if engine() == Engine::Postgres { 3 } else { 1 };
    let orders =
        Orders { sites: 3, sweep: Sweep::Accounts, sweep_only: true, sweep_share, ..orders() };
    clean("R1 of accounts", &orders, 120 / sweep_share).await
}

#[tokio::test(flavor = "multi_thread")]
async fn r2_kills_at_random_with_sales_on_two_lines() -> Result<()> {
    clean("R2", &Orders { seed: 2, sites: 3, trials: Some(30), ..orders() }, 90).await
}

/// A key is one sale, however often and at once it is used; with another amount it is refused; after a
/// restart it gives the same answer.
#[tokio::test(flavor = "multi_thread")]
async fn r8_one_key_a_hundred_times_at_once_is_one_sale() -> Result<()> {
    const KEYS: u64 = 10;
    let database = Fresh::new().await;
    let (site, program) = match &database {
        Some(fresh) => Site::on_server(&fresh.url()).await?,
        None => Site::in_file().await?,
    };
    let api = site.api(&program);
    let meter = &METERS[1];
    let meter_id = site.meter_id(&api, meter).await?;
    let before = applied(&site, meter)?;
    let mut keys = Vec::new();
    for _ in 0..KEYS {
        let key = uuid::Uuid::now_v7().to_string();
        let asking: Vec<_> = (0..100)
            .map(|_| {
                let (api, key, meter_id) = (api.clone(), key.clone(), meter_id.clone());
                tokio::spawn(async move { api.sell(&key, &meter_id, "3.21").await })
            })
            .collect();
        for asked in asking {
            let answer = asked.await??;
            ensure!(answer.status.is_success(), "{answer:?}");
            ensure!(answer.body["state"] == "confirmed", "{answer:?}");
        }
        let other = api.sell(&key, &meter_id, "3.22").await?;
        ensure!(other.status == StatusCode::CONFLICT, "another amount: {other:?}");
        keys.push(key);
    }
    let sold = (before.0 + KEYS, before.1 + KEYS * 321);
    ensure!(applied(&site, meter)? == sold, "{:?}, sold {sold:?}", applied(&site, meter)?);

    program.kill().await?;
    let program = Program::start(&site.config, None).await?;
    let api = site.api(&program);
    for key in &keys {
        let answer = api.sell(key, &meter_id, "3.21").await.context("after a restart")?;
        ensure!(answer.body["state"] == "confirmed", "{answer:?}");
    }
    ensure!(applied(&site, meter)? == sold, "a restart sold again");
    say(&format!("R8 on {:?}: {KEYS} keys, 100 times at once each: {KEYS} sales", engine()))?;
    program.kill().await
}

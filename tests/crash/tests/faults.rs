//! Reliability rows R4, R5, R6 and R14 (docs/reliability.md), by name: a disk that fails to flush, one
//! that is full, a server that hangs or restarts, a clock that is wrong. The program is the one that is
//! shipped; what fails stands below it (shim/shim.c, a small file system, signals to the server).

use anyhow::{Context, Result, bail, ensure};
use databases::Fresh;
use e2e::money::{applied, meter_credit};
use e2e::{Answer, Api, METERS, Meter, OPERATOR, PASSWORD, Program, Site};
use meter_sim::{Event, Fault, FaultKind, On, Release};
use reqwest::{Method, StatusCode};
use serde_json::json;
use std::ffi::OsStr;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

const PAID: &str = "12.35";
const PAID_FEN: u64 = 1235;

/// Past the test harness, which keeps what a passing test prints to itself.
fn say(text: &str) -> Result<()> {
    Ok(writeln!(std::io::stderr(), "{text}")?)
}

fn key() -> String {
    uuid::Uuid::now_v7().to_string()
}

/// shim/shim.c, compiled.
fn shim() -> Result<PathBuf> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("shim/shim.c");
    // A name of its own for each test, which run at the same time.
    let made = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("shim-{}.so", key()));
    let mut cc = Command::new("cc");
    cc.args(["-std=gnu11", "-O2", "-fPIC", "-shared", "-Wall", "-Wextra", "-Werror", "-o"]);
    ensure!(cc.arg(&made).arg(source).status()?.success(), "the shim was not compiled");
    Ok(made)
}

async fn verify(site: &Site) -> Result<()> {
    let config = site.config.as_os_str();
    let words = ["--config".as_ref(), config, "ledger".as_ref(), "verify".as_ref()];
    let ended = e2e::run(words).await?;
    ensure!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    Ok(())
}

/// The same key until its sale is settled, as a client does it. What a person would do is not done.
async fn until_confirmed(api: &Api, key: &str, meter_id: &str, at_most: Duration) -> Result<()> {
    let begun = Instant::now();
    loop {
        let answer = api.sell(key, meter_id, PAID).await;
        if matches!(&answer, Ok(answer) if answer.body["state"] == "confirmed") {
            return Ok(());
        }
        ensure!(begun.elapsed() < at_most, "after {:?}: {answer:?}", begun.elapsed());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// The ledger has what the meter took, and the meter took so many sales more.
async fn compare(
    site: &Site,
    api: &Api,
    meter: &Meter,
    before: (u64, u64),
    sold: u64,
) -> Result<()> {
    let meter_id = site.meter_id(api, meter).await?;
    let after = applied(site, meter)?;
    ensure!(after == (before.0 + sold, before.1 + sold * PAID_FEN), "{before:?} to {after:?}");
    ensure!(meter_credit(api, &meter_id).await? == after.1, "the ledger differs from the meter");
    Ok(())
}

/// Asks for a sale, and returns once the meter has taken it and its answer is held back.
async fn sell_and_hold(
    site: &Site,
    api: &Api,
    meter: &Meter,
    meter_id: &str,
    key: &str,
) -> Result<tokio::task::JoinHandle<Result<Answer>>> {
    let mut events = site.simulator.events();
    let hold = FaultKind::HoldReply { after_bytes: None };
    site.simulator.fault(meter.address, Fault::new(On::Sell, hold))?;
    let (api, meter_id, key) = (api.clone(), meter_id.to_owned(), key.to_owned());
    let selling = tokio::spawn(async move { api.sell(&key, &meter_id, PAID).await });
    let held = async {
        while !matches!(events.recv().await.context("no more events")?, Event::Held { .. }) {}
        anyhow::Ok(())
    };
    tokio::time::timeout(Duration::from_secs(20), held).await.context("no sale came")??;
    Ok(selling)
}

#[tokio::test(flavor = "multi_thread")]
async fn r4_a_flush_that_fails_is_never_acknowledged_and_ends_the_selling() -> Result<()> {
    if databases::server().is_some() {
        return Ok(()); // A file's own trouble: passed on SQLite.
    }
    let (site, program) = Site::in_file().await?;
    program.kill().await?;
    let (shim, meter) = (shim()?, &METERS[1]);
    let trigger = site.folder.path().join("flush-fails");
    let count = site.folder.path().join("flush-fails.count");
    let environment: [(&str, &OsStr); 2] =
        [("LD_PRELOAD", shim.as_os_str()), ("SHIM_FLUSH_FAILS", trigger.as_os_str())];
    let mut sold = 0;
    let before = applied(&site, meter)?;
    // The flush of the reservation fails; then the one of what the meter has answered.
    for is_taken in [false, true] {
        let program = Program::start_in(&site.config, &environment).await?;
        let api = site.api(&program);
        let meter_id = site.meter_id(&api, meter).await?;
        let good = key();
        until_confirmed(&api, &good, &meter_id, Duration::from_secs(20)).await?;
        sold += 1;
        let asked = key();
        let taken = applied(&site, meter)?.0;
        let answer = if is_taken {
            let selling = sell_and_hold(&site, &api, meter, &meter_id, &asked).await?;
            std::fs::write(&trigger, "")?;
            site.simulator.release(Release::Deliver);
            // It is not known whether it is stored, so the request waits and gets no yes.
            let waited = tokio::time::timeout(Duration::from_secs(3), selling).await;
            waited.ok().transpose()?.transpose()?
        } else {
            std::fs::write(&trigger, "")?;
            Some(api.sell(&asked, &meter_id, PAID).await?)
        };
        let is_yes = |it: &Answer| it.body["state"] == "confirmed";
        ensure!(!answer.as_ref().is_some_and(is_yes), "acknowledged: {answer:?}");
        ensure!(!trigger.exists(), "no flush was asked for");
        let begun = Instant::now();
        let next = api.sell(&key(), &site.meter_id(&api, &METERS[0]).await?, PAID).await?;
        ensure!(next.status == StatusCode::SERVICE_UNAVAILABLE, "it goes on selling: {next:?}");
        ensure!(begun.elapsed() < Duration::from_secs(1), "it stopped after {:?}", begun.elapsed());
        ensure!(applied(&site, meter)?.0 == taken + u64::from(is_taken));
        api.get("/api/v1/ledger/trial-balance").await.context("reads go on")?;
        program.kill().await?;
        ensure!(!count.exists(), "a flush was tried again after one had failed");

        let program = Program::start(&site.config, None).await?;
        let api = site.api(&program);
        until_confirmed(&api, &asked, &meter_id, Duration::from_secs(20)).await?;
        sold += 1;
        compare(&site, &api, meter, before, sold).await?;
        verify(&site).await?;
        program.kill().await?;
        let log = std::fs::read_to_string(site.config.with_extension("log"))?;
        let checks = log.matches("the ledger is whole").count();
        ensure!(checks == 1 + usize::from(is_taken), "the restart did not check the ledger");
    }
    say(
        "R4 on Sqlite: 2 flushes failed, 0 acknowledged, 0 tried again, ledger checked at both restarts",
    )
}

/// A file system of so many MiB in memory; `None` where that takes rights that we do not have.
struct Small(PathBuf);

impl Small {
    fn new(folder: &Path, mib: u32) -> Result<Option<Small>> {
        std::fs::create_dir(folder)?;
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={mib}m"), "tmpfs"]).arg(folder);
        Ok(mount.status().is_ok_and(|status| status.success()).then(|| Small(folder.to_owned())))
    }

    /// Nothing is left but this.
    fn fill(&self, leave_bytes: u64) -> Result<()> {
        let path = self.0.join("filler");
        let mut filler = std::fs::File::options().append(true).create(true).open(&path)?;
        while filler.write_all(&[0; 4096]).is_ok() {}
        let length = filler.metadata()?.len();
        Ok(filler.set_len(length.saturating_sub(leave_bytes))?)
    }

    fn free(&self) -> Result<()> {
        Ok(std::fs::remove_file(self.0.join("filler"))?)
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        // Lazily: a program that is being killed may have a file open there.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r5_a_full_disk_refuses_sales_before_any_debit_and_recovers() -> Result<()> {
    if databases::server().is_some() {
        return Ok(()); // A file's own trouble: passed on SQLite.
    }
    let (site, program) = Site::in_file().await?;
    program.kill().await?;
    let Some(disk) = Small::new(&site.folder.path().join("small"), 8)? else {
        return say("R5 NOT RUN: mounting a small file system takes root; run the tests as root");
    };
    for end in ["db", "db-wal", "db-shm"] {
        let name = format!("polymeter.{end}");
        let from = site.folder.path().join(&name);
        if from.exists() {
            std::fs::copy(&from, disk.0.join(&name))?;
            std::fs::remove_file(from)?;
        }
    }
    let text = std::fs::read_to_string(&site.config)?;
    let moved = text.replace("path = \"polymeter.db\"", "path = \"small/polymeter.db\"");
    ensure!(moved != text, "the configuration names its database otherwise");
    std::fs::write(&site.config, moved)?;
    let program = Program::start(&site.config, None).await?;
    let (api, meter) = (site.api(&program), &METERS[1]);
    let meter_id = site.meter_id(&api, meter).await?;
    let before = applied(&site, meter)?;
    let (mut keys, mut refusals) = (Vec::new(), 0);
    let mut slowest = Duration::ZERO;
    for leave_bytes in [1 << 20, 0, 64 << 10] {
        disk.fill(leave_bytes)?;
        // What fits is sold; the write-ahead log has room of its own for a while.
        let refused = loop {
            ensure!(keys.len() < 400, "the disk never filled");
            let asked = key();
            let taken = applied(&site, meter)?.0;
            let answer = api.sell(&asked, &meter_id, PAID).await?;
            keys.push(asked);
            if answer.body["state"] != "confirmed" {
                break (answer, taken);
            }
        };
        let (answer, taken) = refused;
        if answer.status == StatusCode::SERVICE_UNAVAILABLE {
            refusals += 1;
            ensure!(applied(&site, meter)?.0 == taken, "debited and refused: {answer:?}");
        }
        // The next one for certain.
        let other = site.meter_id(&api, &METERS[0]).await?;
        let answer = api.sell(&key(), &other, PAID).await?;
        ensure!(answer.status == StatusCode::SERVICE_UNAVAILABLE, "on a full disk: {answer:?}");
        api.get("/api/v1/ledger/trial-balance").await.context("reads go on")?;
        disk.free()?;
        let begun = Instant::now();
        for key in &keys {
            until_confirmed(&api, key, &meter_id, Duration::from_secs(10)).await?;
        }
        slowest = slowest.max(begun.elapsed());
    }
    compare(&site, &api, meter, before, u64::try_from(keys.len())?).await?;
    verify(&site).await?;
    program.kill().await?;
    say(&format!(
        "R5 on Sqlite: full 3 times, {} sales, {refusals} refused before any debit, all sold within {} ms \
         of the space coming back",
        keys.len(),
        slowest.as_millis()
    ))
}

/// How long one request may take whatever the server does, and how soon sales go on after it is back.
const STUCK: Duration = Duration::from_secs(60);
const BACK: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
async fn r6_a_server_that_hangs_or_restarts_loses_and_doubles_nothing() -> Result<()> {
    if databases::server().is_none() {
        return Ok(()); // `cargo xtask test` passes it with PostgreSQL.
    }
    let cycles: u32 = std::env::var("POLYMETER_R6_CYCLES").map_or(Ok(8), |text| text.parse())?;
    // A server of its own: the other tests go on meanwhile.
    let cluster =
        tokio::task::spawn_blocking(|| xtask::postgres::Cluster::start(&xtask::root())).await??;
    let database = Fresh::on(&cluster.url()).await;
    let (site, program) = Site::on_server(&database.url()).await?;
    let (api, meter) = (site.api(&program), &METERS[1]);
    let meter_id = site.meter_id(&api, meter).await?;
    let before = applied(&site, meter)?;
    let (mut sold, mut longest, mut back) = (0, Duration::ZERO, Duration::ZERO);
    for cycle in 0..cycles {
        let asked = key();
        // In every other cycle the meter has taken a sale whose end cannot be stored.
        let held = if cycle % 2 == 0 {
            Some(sell_and_hold(&site, &api, meter, &meter_id, &asked).await?)
        } else {
            None
        };
        let is_hung = cycle % 4 < 2;
        if is_hung {
            cluster.hang()?
        } else {
            cluster.stop()?
        }
        site.simulator.release(Release::Deliver);
        let begun = Instant::now();
        // One hang is longer than any statement may take.
        let lasts = Duration::from_secs(if cycle == 0 { 22 } else { 2 });
        let asking = tokio::spawn({
            let (api, meter_id, asked) = (api.clone(), meter_id.clone(), asked.clone());
            async move { (api.sell(&asked, &meter_id, PAID).await, begun.elapsed()) }
        });
        tokio::time::sleep(lasts).await;
        if is_hung {
            cluster.go_on()?
        } else {
            cluster.start_again()?
        }
        let came_back = Instant::now();
        let (answer, took) = asking.await?;
        answer.context("a request got no answer")?;
        longest = longest.max(took);
        if let Some(held) = held {
            held.await?.context("the request that sold got no answer")?;
            longest = longest.max(begun.elapsed());
        }
        until_confirmed(&api, &asked, &meter_id, BACK).await?;
        sold += 1;
        until_confirmed(&api, &key(), &meter_id, BACK).await?;
        sold += 1;
        back = back.max(came_back.elapsed());
        ensure!(longest < STUCK, "a request took {longest:?}");
        compare(&site, &api, meter, before, sold)
            .await
            .with_context(|| format!("cycle {cycle}"))?;
    }
    verify(&site).await?;
    program.kill().await?;
    say(&format!(
        "R6 on Postgres: hung or stopped {cycles} times, {sold} sales, 0 doubled; longest request {} ms, \
         selling again {} ms after the server was back",
        longest.as_millis(),
        back.as_millis()
    ))
}

/// A wall clock that is moved by hand.
struct WrongClock(PathBuf);

impl WrongClock {
    fn by(&self, seconds: i64) -> Result<()> {
        let draft = self.0.with_extension("draft");
        std::fs::write(&draft, seconds.to_string())?;
        Ok(std::fs::rename(draft, &self.0)?)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r14_a_wrong_clock_changes_neither_order_nor_balance() -> Result<()> {
    if databases::server().is_some() {
        return Ok(()); // A file's own trouble: passed on SQLite.
    }
    const DAY: i64 = 86_400;
    let (site, program) = Site::in_file().await?;
    program.kill().await?;
    let shim = shim()?;
    let clock = WrongClock(site.folder.path().join("clock"));
    clock.by(0)?;
    let environment: [(&str, &OsStr); 2] =
        [("LD_PRELOAD", shim.as_os_str()), ("SHIM_CLOCK", clock.0.as_os_str())];
    let program = Program::start_in(&site.config, &environment).await?;
    let mut api = site.api(&program);
    let (meter, now) = (&METERS[1], unix_now()?);
    let meter_id = site.meter_id(&api, meter).await?;
    let before = applied(&site, meter)?;
    let mut sold = 0;
    let first = key();
    until_confirmed(&api, &first, &meter_id, Duration::from_secs(20)).await?;
    sold += 1;
    // 2106-02-07 is where 32 unsigned bits of seconds end.
    let jumps = [-3600, 3600, -DAY, DAY, 90 * DAY, -now, 4_294_967_295 - now, 1];
    for jump in jumps {
        clock.by(0)?;
        api = log_in(&program).await?;
        // It jumps while the meter's answer is on its way.
        let asked = key();
        let selling = sell_and_hold(&site, &api, meter, &meter_id, &asked).await?;
        clock.by(jump)?;
        site.simulator.release(Release::Deliver);
        selling.await?.with_context(|| format!("clock by {jump} s"))?;
        api = log_in(&program).await?;
        until_confirmed(&api, &asked, &meter_id, Duration::from_secs(20))
            .await
            .with_context(|| format!("clock by {jump} s"))?;
        sold += 1;
        let sale = api.get(&format!("/api/v1/sales/{asked}")).await?;
        let states: Vec<_> = sale["history"]
            .as_array()
            .context("no history")?
            .iter()
            .map(|it| &it["state"])
            .collect();
        ensure!(states == ["quoted", "reserved", "dispatched", "confirmed"], "{states:?}");
        // The same key after that is the same sale.
        let again = api.sell(&first, &meter_id, PAID).await?;
        ensure!(again.body["state"] == "confirmed", "clock by {jump} s: {again:?}");
        // And a whole sale under the wrong clock: made, or refused before money moves.
        let wrong = key();
        let answer = api.sell(&wrong, &meter_id, PAID).await?;
        match answer.body["state"].as_str() {
            Some("confirmed") => sold += 1,
            _ if answer.status.is_client_error() => {}
            _ => bail!("clock by {jump} s: {answer:?}"),
        }
        compare(&site, &api, meter, before, sold).await.with_context(|| format!("by {jump} s"))?;
        verify(&site).await.with_context(|| format!("clock by {jump} s"))?;
    }
    program.kill().await?;
    say(&format!(
        "R14 on Sqlite: {} jumps during a sale, {sold} sales, order and balances unaffected",
        jumps.len()
    ))
}

fn unix_now() -> Result<i64> {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    Ok(i64::try_from(since.as_secs())?)
}

/// A session of this clock: one from before a jump may be over.
async fn log_in(program: &Program) -> Result<Api> {
    let body = json!({ "name": OPERATOR, "password": PASSWORD });
    let answer =
        Api::new(&program.url, "").ask(Method::POST, "/api/v1/sessions", Some(body)).await?;
    let token = answer.body["token"].as_str().with_context(|| format!("{answer:?}"))?;
    Ok(Api::new(&program.url, token))
}

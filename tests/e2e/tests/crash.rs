//! Kills the running program after every step of a sale, and in the middle of the frame that carries
//! it, for both vendors' meters; starts it again, repeats the request, and looks for money.
//!
//! The oracle is the meter: the simulator counts every credit that a meter really took. After each
//! case money in the ledger = money in the meters + money in flight, and no credit was taken twice.

use anyhow::{Context, Result, ensure};
use e2e::money::{applied, meter_credit, until_settled};
use e2e::{METERS, Meter, Program, Site};
use meter_sim::{Event, Fault, FaultKind, On, Release};
use polymeter_service::CRASH_POINTS;
use std::io::Write as _;
use std::time::Duration;

/// What each sale is over; odd, so that a doubled or halved one cannot look right.
const PAID: &str = "12.35";
const PAID_FEN: u64 = 1235;

/// What is wrong with the line while the program is being killed.
#[derive(Debug, Clone, Copy)]
enum Line {
    Good,
    /// The meter takes the purchase and its answer is lost.
    ReplyLost,
    /// The frame is cut on its way; the meter takes nothing.
    FrameCut,
}

#[tokio::test(flavor = "multi_thread")]
async fn no_crash_makes_or_loses_money() -> Result<()> {
    let (site, program) = Site::new().await?;
    program.kill().await?;
    let mut sales = 0;
    let is_served = databases::server().is_some();
    // One vendor's meters on PostgreSQL: what differs there is the database, not the driver.
    for meter in METERS.iter().filter(|meter| {
        meter.serial_number.ends_with("-1") && (!is_served || meter.vendor == "DLT645")
    }) {
        for &point in CRASH_POINTS {
            for line in [Line::Good, Line::ReplyLost, Line::FrameCut] {
                let case = format!("{} killed {point}, line {line:?}", meter.vendor);
                die_at_a_point(&site, meter, point, line).await.with_context(|| case)?;
                sales += 1;
            }
        }
        for hold in [
            FaultKind::Hold { after_bytes: Some(6) },
            FaultKind::Hold { after_bytes: None },
            FaultKind::HoldReply { after_bytes: None },
        ] {
            for release in [Release::Deliver, Release::Vanish] {
                let case = format!("{} killed in the frame, {hold:?} {release:?}", meter.vendor);
                die_in_the_frame(&site, meter, hold.clone(), release).await.context(case)?;
                sales += 1;
            }
        }
    }
    // Past the test harness, which keeps what a passing test prints to itself.
    let engine = if is_served { "PostgreSQL, one vendor's meters" } else { "SQLite" };
    writeln!(std::io::stderr(), "crash test on {engine}: {sales} sales killed, 0 lost, 0 doubled")?;
    Ok(())
}

/// The program kills itself at `point`.
async fn die_at_a_point(site: &Site, meter: &Meter, point: &str, line: Line) -> Result<()> {
    let before = applied(site, meter)?;
    let fault = match line {
        Line::Good => None,
        Line::ReplyLost => Some(FaultKind::LostAfterApply),
        Line::FrameCut => Some(FaultKind::CutRequest { keep_bytes: 6 }),
    };
    if let Some(fault) = fault {
        site.simulator.fault(meter.address, Fault::new(On::Sell, fault))?;
    }
    let mut program = Program::start(&site.config, Some(point)).await?;
    let api = site.api(&program);
    let meter_id = site.meter_id(&api, meter).await?;
    let sale_id = uuid::Uuid::now_v7().to_string();
    // Only a sale that its driver could not prove is reconciled, and so passes the points of that. The
    // ADF400L's driver proves a lost answer by the box's own list, within the call.
    let is_reconciled = match line {
        Line::Good => false,
        Line::ReplyLost => meter.vendor == "DLT645",
        Line::FrameCut => true,
    };
    let dies = is_reconciled || !point.contains("reconcile");
    let answer = api.sell(&sale_id, &meter_id, PAID).await;
    ensure!(answer.is_err() == dies, "the program was to die: {dies}, and answered {answer:?}");
    if dies {
        let ended = program.ended().await.context("the program lost the connection and lives")?;
        ensure!(!ended.success(), "the program ended in good order: {ended}");
    }
    program.kill().await?;
    settle_and_count(site, meter, &meter_id, &sale_id, before).await
}

/// The test kills the program while the purchase, or its answer, is on the wire; what was on its way
/// arrives after that, or never.
async fn die_in_the_frame(
    site: &Site,
    meter: &Meter,
    hold: FaultKind,
    release: Release,
) -> Result<()> {
    let before = applied(site, meter)?;
    let program = Program::start(&site.config, None).await?;
    let api = site.api(&program);
    let meter_id = site.meter_id(&api, meter).await?;
    let sale_id = uuid::Uuid::now_v7().to_string();
    let mut events = site.simulator.events();
    site.simulator.fault(meter.address, Fault::new(On::Sell, hold))?;
    let selling = tokio::spawn({
        let (sale_id, meter_id) = (sale_id.clone(), meter_id.clone());
        async move { api.sell(&sale_id, &meter_id, PAID).await }
    });
    let hit = async {
        while !matches!(events.recv().await.context("no more events")?, Event::Held { .. }) {}
        anyhow::Ok(())
    };
    tokio::time::timeout(Duration::from_secs(20), hit).await.context("the frame never came")??;
    program.kill().await?;
    selling.abort();
    site.simulator.release(release);
    settle_and_count(site, meter, &meter_id, &sale_id, before).await
}

/// Starts the program again, repeats the request as a client would, and compares both sides.
async fn settle_and_count(
    site: &Site,
    meter: &Meter,
    meter_id: &str,
    sale_id: &str,
    before: (u64, u64),
) -> Result<()> {
    let program = Program::start(&site.config, None).await?;
    let api = site.api(&program);
    let answer = until_settled(&api, sale_id, meter_id, PAID).await?;
    ensure!(answer == "confirmed", "the sale ended {answer}");
    let after = applied(site, meter)?;
    ensure!(
        after == (before.0 + 1, before.1 + PAID_FEN),
        "the meter went from {before:?} to {after:?}"
    );
    let in_ledger = meter_credit(&api, meter_id).await?;
    ensure!(
        in_ledger == after.1,
        "the ledger has {in_ledger} fen in a meter that took {}",
        after.1
    );
    program.kill().await?;
    let verified = e2e::run([
        "--config".as_ref(),
        site.config.as_os_str(),
        "ledger".as_ref(),
        "verify".as_ref(),
    ])
    .await?;
    ensure!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stderr));
    Ok(())
}

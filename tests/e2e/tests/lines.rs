//! Bad bytes on the line, for both vendors, on a serial and on a TCP line: a read gives the right
//! value or a problem with a stable code, and the next one is clean; a sale ends as one credit, in
//! the meter as in the ledger, however its answer was spoilt.
//!
//! The oracle is the meter: the simulator knows its own values and counts every credit. Not here: a
//! program that dies in the middle (crash.rs).

use anyhow::{Context, Result, ensure};
use e2e::money::{applied, meter_credit, until_settled};
use e2e::{ASKED_BEFORE_SALE, Api, HOARDING_LIMIT_FEN, METERS, Meter, Program, Site};
use meter_sim::{Fault, FaultKind, On};
use reqwest::Method;
use serde_json::Value;
use std::collections::BTreeMap;

const PAID: &str = "12.35";
const PAID_FEN: u64 = 1235;

/// No frame's beginning, half a DL/T 645 frame, a Modbus exception without its check.
const GARBAGE: [&str; 3] = ["00FF5516", "FEFE680100", "0183"];

/// DL/T 645 error words (protocols.md 1.6): MAC check failed; more money than the purse may hold.
const MAC_FAILED: u16 = 0x0004;
const OVER_HOARDING_LIMIT: u16 = 0x0040;
/// Modbus exception 3, illegal data value.
const ILLEGAL_VALUE: u16 = 0x0003;

/// A running site, one meter of it.
struct Bench {
    site: Site,
    program: Program,
    api: Api,
}

impl Bench {
    async fn new() -> Result<Bench> {
        let (site, program) = Site::new().await?;
        let api = site.api(&program);
        Ok(Bench { site, program, api })
    }
}

fn opened() -> impl Iterator<Item = &'static Meter> {
    METERS.iter().filter(|meter| meter.serial_number.ends_with("-1"))
}

/// Everything that a line or a foreign device can do to an answer.
fn spoilt() -> Vec<FaultKind> {
    let mut faults = vec![
        FaultKind::NoReply,
        FaultKind::LostAfterApply,
        FaultKind::ReplyFromOtherMeter,
        FaultKind::WrongFunction,
        FaultKind::WrongBcd,
        FaultKind::AllFf,
        FaultKind::Doubled,
        FaultKind::CutRequest { keep_bytes: 3 },
    ];
    for hex in GARBAGE.map(str::to_owned) {
        faults.push(FaultKind::GarbageBefore { hex: hex.clone() });
        faults.push(FaultKind::GarbageInside { hex: hex.clone() });
        faults.push(FaultKind::GarbageAfter { hex });
    }
    faults.extend([1, 4, 9].map(|keep_bytes| FaultKind::CutReply { keep_bytes }));
    faults.extend([0, 11, 33, 70].map(|bit| FaultKind::FlipReply { bit }));
    // The line waits 400 ms: shortly after it gave up, in the middle of what follows, far later.
    faults.extend([410, 600].map(|wait_ms| FaultKind::Late { wait_ms }));
    faults
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spoilt_answer_is_never_a_wrong_reading() -> Result<()> {
    let bench = Bench::new().await?;
    for meter in opened() {
        let meter_id = bench.site.meter_id(&bench.api, meter).await?;
        bench.api.sell(&uuid::Uuid::now_v7().to_string(), &meter_id, PAID).await?;
        // An hour of load: values other than zero, so that a wrong one is seen.
        bench.site.simulator.set_load(meter.address, 2000)?;
        bench.site.simulator.advance(3600);
        bench.site.simulator.set_load(meter.address, 0)?;
        let truth = values(&read(&bench.api, &meter_id).await?.context("the clean read failed")?)?;
        // 2 kWh, or 0.01 less where the hour meets another tariff: each register counts whole steps.
        let energy: f64 = truth.get("1.0.1.8.0.255").context("no energy")?.parse()?;
        ensure!(energy > 1.9, "the meter counted {energy} kWh");
        for fault in spoilt() {
            // A register of a Modbus box is a plain number; AAAAH is as good as any other.
            if fault == FaultKind::WrongBcd && meter.vendor == "ACREL" {
                continue;
            }
            // The first answer, the second (a box gives all in one), and every one.
            let hits = [(0, 1), (1, 1), (0, 1000)];
            for (skip, times) in hits.into_iter().filter(|it| it.0 == 0 || meter.vendor != "ACREL")
            {
                let case = format!("{} {fault:?}, skip {skip}, times {times}", meter.vendor);
                let fault = Fault::new(On::Read, fault.clone()).skip(skip).times(times);
                check_read(&bench, meter, &meter_id, fault, &truth).await.context(case)?;
            }
        }
    }
    bench.program.kill().await
}

async fn check_read(
    bench: &Bench,
    meter: &Meter,
    meter_id: &str,
    fault: Fault,
    truth: &BTreeMap<String, String>,
) -> Result<()> {
    let simulator = &bench.site.simulator;
    let is_lasting = fault.times > 1;
    let is_wrong_bcd = fault.kind == FaultKind::WrongBcd;
    simulator.fault(meter.address, fault)?;
    let spoilt = read(&bench.api, meter_id).await?;
    let is_waiting = simulator.state(meter.address)?.faults_waiting > 0;
    ensure!(is_waiting == is_lasting, "the fault hit nothing");
    simulator.clear_faults(meter.address)?;
    for (register, value) in spoilt.as_ref().map(values).transpose()?.iter().flatten() {
        // The status words are bits, not BCD: AAAAH is a value that a meter may have.
        let is_bits = register.starts_with("0.0.96.5.") && is_wrong_bcd;
        ensure!(
            is_bits || truth.get(register) == Some(value),
            "{register} is {value}; truth: {truth:?}"
        );
    }
    let clean = read(&bench.api, meter_id).await?.context("the next read failed")?;
    ensure!(&values(&clean)? == truth, "the next read has {clean}; truth: {truth:?}");
    Ok(())
}

/// A reading, or `None` after a problem that says in a stable code what the line did.
async fn read(api: &Api, meter_id: &str) -> Result<Option<Value>> {
    let path = format!("/api/v1/meters/{meter_id}/readings");
    let answer = api.ask(Method::POST, &path, None).await?;
    match answer.status.as_u16() {
        201 => Ok(Some(answer.body)),
        status => {
            let known = [(504, "device-silent"), (502, "device-failed")];
            ensure!(known.contains(&(status, answer.code())), "{answer:?}");
            Ok(None)
        }
    }
}

/// What a reading claims to have measured, by register.
fn values(reading: &Value) -> Result<BTreeMap<String, String>> {
    let all = reading["measurements"].as_array().context("no measurements")?;
    let measured = all.iter().filter(|it| it["quality"] == "measured");
    // The clock is no measurement and the simulator's stands still, so nothing is left out here.
    Ok(measured
        .map(|it| (it["register"].to_string().replace('"', ""), it["value"].to_string()))
        .collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spoilt_answer_to_a_sale_is_one_credit() -> Result<()> {
    let bench = Bench::new().await?;
    for meter in opened() {
        let meter_id = bench.site.meter_id(&bench.api, meter).await?;
        for fault in spoilt() {
            let case = format!("{} {fault:?}", meter.vendor);
            check_sale(&bench, meter, &meter_id, &[Fault::new(On::Sell, fault)])
                .await
                .context(case)?;
        }
        // The meter took it, its answer is lost, and what it is asked next is spoilt as well.
        for proof in [
            FaultKind::NoReply,
            FaultKind::AllFf,
            FaultKind::WrongBcd,
            FaultKind::WrongFunction,
            FaultKind::ReplyFromOtherMeter,
            FaultKind::Late { wait_ms: 600 },
        ] {
            let case = format!("{} answer lost, proof {proof:?}", meter.vendor);
            let faults = [
                Fault::new(On::Sell, FaultKind::LostAfterApply),
                Fault::new(On::Check, proof).skip(ASKED_BEFORE_SALE).times(1000),
            ];
            check_sale(&bench, meter, &meter_id, &faults).await.context(case)?;
        }
    }
    for meter in opened() {
        check_late_yes(&bench, meter).await.with_context(|| meter.vendor)?;
    }
    bench.program.kill().await
}

/// The yes to one sale comes while the next one is asked; that one never arrives, and the meter is
/// silent when its count is asked.
async fn check_late_yes(bench: &Bench, meter: &Meter) -> Result<()> {
    let simulator = &bench.site.simulator;
    let meter_id = bench.site.meter_id(&bench.api, meter).await?;
    check_sale(bench, meter, &meter_id, &[Fault::new(On::Sell, FaultKind::Late { wait_ms: 600 })])
        .await?;
    let proof = Fault::new(On::Check, FaultKind::NoReply);
    let faults =
        [Fault::new(On::Sell, FaultKind::NoReply), proof.skip(ASKED_BEFORE_SALE).times(1000)];
    let before = applied(&bench.site, meter)?;
    check_sale(bench, meter, &meter_id, &faults).await?;
    let after = applied(&bench.site, meter)?;
    ensure!(after.0 == before.0 + 1, "{before:?} to {after:?}");
    ensure!(simulator.state(meter.address)?.faults_waiting == 0, "a fault is left");
    Ok(())
}

/// Sells while the faults wait, then without them until the sale is settled.
async fn check_sale(bench: &Bench, meter: &Meter, meter_id: &str, faults: &[Fault]) -> Result<()> {
    let simulator = &bench.site.simulator;
    let before = applied(&bench.site, meter)?;
    for fault in faults {
        simulator.fault(meter.address, fault.clone())?;
    }
    let sale_id = uuid::Uuid::now_v7().to_string();
    let first = bench.api.sell(&sale_id, meter_id, PAID).await?;
    let states = ["confirmed", "reserved", "unresolved"];
    ensure!(states.iter().any(|state| first.body["state"] == *state), "it ended {first:?}");
    let waiting = simulator.state(meter.address)?.faults_waiting;
    // An answer that is late to every question is proof once the same question was asked again.
    let is_late = faults.iter().any(|fault| matches!(fault.kind, FaultKind::Late { .. }));
    if faults.len() > 1 && !is_late {
        ensure!(first.body["state"] == "unresolved", "without proof it ended {first:?}");
    }
    ensure!(faults.is_empty() || waiting < faults.len(), "no fault hit");
    simulator.clear_faults(meter.address)?;
    let state = until_settled(&bench.api, &sale_id, meter_id, PAID).await?;
    ensure!(state == "confirmed", "after {first:?} it ended {state}");
    let after = applied(&bench.site, meter)?;
    let wanted = (before.0 + 1, before.1 + PAID_FEN);
    ensure!(after == wanted, "the meter went from {before:?} to {after:?}; {first:?}");
    let in_ledger = meter_credit(&bench.api, meter_id).await?;
    ensure!(in_ledger == after.1, "the ledger has {in_ledger} fen, the meter took {}", after.1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_sale_is_no_credit_and_is_not_tried_again() -> Result<()> {
    let bench = Bench::new().await?;
    let [dlt645, acrel, ..] = &METERS;
    check_refusal(&bench, dlt645, PAID, Some(MAC_FAILED)).await.context("MAC")?;
    check_refusal(&bench, dlt645, PAID, Some(OVER_HOARDING_LIMIT)).await.context("hoarding")?;
    let above = u64::from(HOARDING_LIMIT_FEN / 100 + 1).to_string();
    check_refusal(&bench, dlt645, &above, None).await.context("the meter's own limit")?;
    check_refusal(&bench, acrel, PAID, Some(ILLEGAL_VALUE)).await.context("exception")?;
    bench.program.kill().await
}

/// `word` is the fault's; without one the meter refuses by its own rules.
async fn check_refusal(bench: &Bench, meter: &Meter, paid: &str, word: Option<u16>) -> Result<()> {
    let simulator = &bench.site.simulator;
    let meter_id = bench.site.meter_id(&bench.api, meter).await?;
    let (before, frames) =
        (applied(&bench.site, meter)?, simulator.state(meter.address)?.sell_frames);
    if let Some(word) = word {
        simulator.fault(meter.address, Fault::new(On::Sell, FaultKind::Refuse { word }))?;
    }
    let sale_id = uuid::Uuid::now_v7().to_string();
    let answer = bench.api.sell(&sale_id, &meter_id, paid).await?;
    ensure!(answer.status == 200 && answer.body["state"] == "refused", "{answer:?}");
    let detail = answer.body["refusal"]["detail"].as_str().unwrap_or_default();
    ensure!(!detail.is_empty(), "no reason in {answer:?}");
    ensure!(applied(&bench.site, meter)? == before, "the meter took what it refused");
    let sent = simulator.state(meter.address)?.sell_frames - frames;
    ensure!(sent == 1, "{sent} sell frames for one refused sale");
    // Voided: nothing pending, nothing posted, and the meter can be sold to at once.
    let in_ledger = meter_credit(&bench.api, &meter_id).await?;
    ensure!(in_ledger == before.1, "the ledger has {in_ledger} fen, the meter took {}", before.1);
    check_sale(bench, meter, &meter_id, &[]).await
}

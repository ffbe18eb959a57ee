//! Reliability rows R9, R10 and R16 (docs/reliability.md), by name: the product's own sale, ledger, line and
//! driver, simulated from seeds.

use anyhow::{Result, ensure};
use crash::simulate::{self, NOT_PLANTED, PLANTED, Templates};
use std::io::Write as _;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

/// In a test run: under two minutes on two cores. `cargo xtask simulate --seeds N` plays more.
const SEEDS: u64 = 5_000;
const PUSHES: u64 = 1_000;
/// A planted bug that no seed below finds is not found.
const SEEDS_FOR_A_BUG: u64 = 3_000;

/// Made once for all tests; the driver in them is compiled once.
fn templates() -> Result<&'static Templates> {
    static TEMPLATES: OnceLock<Result<Templates, String>> = OnceLock::new();
    let made = TEMPLATES.get_or_init(|| Templates::new().map_err(|error| format!("{error:#}")));
    made.as_ref().map_err(|error| anyhow::anyhow!("{error}"))
}

/// One at a time: a life waits for silence in real time, and two that starve each other hear it where
/// there is none.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Past the test harness, which keeps what a passing test prints to itself.
fn say(text: &str) -> Result<()> {
    Ok(writeln!(std::io::stderr(), "{text}")?)
}

#[test]
fn r16_seeds_of_sale_meter_and_reconcile() -> Result<()> {
    let _alone = alone();
    let begun = Instant::now();
    let findings = simulate::simulate(templates()?, 0, SEEDS, None)?;
    if let Some((seed, why)) = &findings.failure {
        anyhow::bail!("seed {seed}: {why}\nagain: cargo xtask simulate --first {seed} --seeds 1");
    }
    ensure!(findings.seeds == SEEDS && findings.deaths > SEEDS / 2, "{findings:?}");
    say(&format!(
        "R16: {} seeds, {} sales, {} deaths, {} faults on the line, 0 failed, {} s",
        findings.seeds,
        findings.sales,
        findings.deaths,
        findings.faults,
        begun.elapsed().as_secs()
    ))
}

#[test]
fn r16_every_planted_bug_is_found() -> Result<()> {
    let _alone = alone();
    let mut missed = Vec::new();
    for planted in PLANTED {
        match simulate::simulate(templates()?, 0, SEEDS_FOR_A_BUG, Some(planted))?.failure {
            Some((seed, why)) if !why.contains(NOT_PLANTED) => {
                say(&format!("found at seed {seed}: {}: {}", planted.name, short(&why)))?;
            }
            _ => missed.push(planted.name),
        }
    }
    ensure!(missed.is_empty(), "not found: {missed:?}");
    ensure!(PLANTED.len() >= 20, "only {} bugs", PLANTED.len());
    say(&format!("R16: {} planted bugs, all found", PLANTED.len()))
}

#[test]
fn r16_a_seed_goes_the_same_way_each_time() -> Result<()> {
    let _alone = alone();
    for seed in 0..20 {
        let template = templates()?.of(seed);
        let trails: Vec<_> = (0..5).map(|_| simulate::play(template, seed, None).trail).collect();
        ensure!(trails.windows(2).all(|two| two[0] == two[1]), "seed {seed}: {trails:?}");
    }
    Ok(())
}

#[test]
fn r9_applied_and_not_answered_is_neither_lost_nor_doubled() -> Result<()> {
    let _alone = alone();
    for pushed in simulate::push(templates()?, PUSHES)? {
        let simulate::Pushed { vendor, pushes, proved } = pushed;
        ensure!(pushes == PUSHES && proved == pushes, "{pushed:?}");
        say(&format!(
            "R9 {vendor:?}: {pushes} pushes applied, answers lost, corrupt, cut, late, doubled or \
             another's: 0 lost, 0 doubled, {proved} proved by read-back"
        ))?;
    }
    Ok(())
}

#[test]
fn r10_a_meter_that_behaves_oddly_is_told_apart_every_time() -> Result<()> {
    let _alone = alone();
    let played = simulate::odd(templates()?)?;
    say(&format!(
        "R10: {played} oddities of meters in a sale, all told apart, none sent again blindly"
    ))
}

/// The beginning of a sentence that may tell a whole history.
fn short(why: &str) -> String {
    let cut: String = why.chars().take(100).collect();
    cut.replace('\n', " ")
}

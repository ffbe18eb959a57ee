//! `fuzz`: every target for its share of the minutes, and a line for each. Ends non-zero on a
//! finding. `cargo xtask fuzz` builds it with counters.

use anyhow::{Context, Result, bail};
use clap::Parser;
use fuzz::corpus::{Store, of_transcripts, of_vectors};
use fuzz::limits::HUNG;
use fuzz::run::{Budget, Report, Settings, keep_panics_quiet, run};
use fuzz::targets::{TARGETS, Target};
use std::path::{Path, PathBuf};
use std::time::Duration;

#[derive(Parser)]
#[command(name = "cargo xtask fuzz", about = "Feed the codecs bytes that nobody would send")]
struct Arguments {
    /// For all targets together.
    #[arg(long, default_value_t = 1.0)]
    minutes: f64,
    /// Decides every mutation.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Only the targets whose name has this in it.
    #[arg(long, default_value = "")]
    only: String,
    /// Where the corpus and the findings are kept.
    #[arg(long, default_value = "target/fuzz")]
    folder: PathBuf,
    /// The workspace's root.
    #[arg(long, default_value = ".")]
    root: PathBuf,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    keep_panics_quiet();
    let chosen: Vec<Target> =
        TARGETS.iter().filter(|target| target.name.contains(&arguments.only)).copied().collect();
    if chosen.is_empty() {
        bail!("no target has \"{}\" in its name", arguments.only);
    }
    let minutes = arguments.minutes / f64::from(u32::try_from(chosen.len())?);
    let time = Duration::try_from_secs_f64(minutes * 60.0).context("--minutes")?;
    let transcripts = of_transcripts(&arguments.root.join("drivers"))?;
    let vectors = arguments.root.join("../shared/vectors");
    if !vectors.is_dir() {
        println!("no published frames: {} is absent", vectors.display());
    }
    println!("seed {}, {time:.1?} for each of {} targets", arguments.seed, chosen.len());
    let mut found = 0;
    for target in chosen {
        let seeds = seeds_of(target, &transcripts, &vectors)?;
        let store = Store::open(&arguments.folder, target.name)?;
        let settings = Settings { seed: arguments.seed, budget: Budget::Time(time), hung: HUNG };
        let count = seeds.len();
        let report = run(target, seeds, &store, &settings)?;
        print(&report, count);
        found += report.findings.len();
    }
    match found {
        0 => Ok(()),
        _ => bail!("{found} findings; they lie in {}", arguments.folder.display()),
    }
}

fn seeds_of(target: Target, transcripts: &[Vec<u8>], vectors: &Path) -> Result<Vec<Vec<u8>>> {
    let mut seeds = transcripts.to_vec();
    for file in target.vectors {
        seeds.extend(of_vectors(&vectors.join(file))?.unwrap_or_default());
    }
    Ok(seeds)
}

fn print(report: &Report, seeds: usize) {
    let seconds = report.time.as_secs_f64();
    // A rate for people to read; a double holds it well enough.
    #[expect(clippy::cast_precision_loss, reason = "a rate for people to read")]
    let rate = report.inputs as f64 / seconds.max(0.001);
    println!(
        "{:20} {:>12} inputs in {seconds:.1} s ({rate:.0}/s), {seeds} seeds, {} kept, {} points, \
         {} findings",
        report.name,
        report.inputs,
        report.corpus,
        report.points,
        report.findings.len()
    );
    for finding in &report.findings {
        println!("    {}\n        {}", finding.what, finding.file.display());
    }
}

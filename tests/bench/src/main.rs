//! `cargo xtask bench`: measures the rows of the targets that the product has reached, side by side
//! with a named reference in one run, and writes docs/benchmarks.md. Asserts nothing about time.

mod codec;
mod far_end;
mod figure;
mod ledger;
mod loading;
mod neighbours;
mod polling;
mod program;
mod ratio;
mod report;
mod sandbox;

use anyhow::{Context, Result, bail};
use clap::{Parser, Subcommand};
use figure::Row;
use std::path::Path;

#[derive(Parser)]
struct Arguments {
    /// One round each; prints, but writes nothing.
    #[arg(long, global = true)]
    quick: bool,
    /// Only this row of the sandbox and polling, for instance W2; prints, but writes nothing.
    #[arg(long, global = true)]
    row: Option<String>,
    #[command(subcommand)]
    part: Option<Part>,
}

/// A part writes its own section of the page and leaves the others as they are.
#[derive(Subcommand)]
enum Part {
    /// The sandbox and polling: W1 to W8, P1 to P3, P5.
    Runtime,
    /// Reads beside each hostile driver of the gallery.
    Neighbours,
    /// Decoding: our codecs natively and through the WASM driver, beside packages of PyPI.
    Codec,
    /// The books on both engines: L1 to L4, I1, the close of a day.
    Ledger,
    #[command(hide = true)]
    FarEnd { registers: String, delay_ms: u64 },
}

/// The product runs on a runtime of all cores; the far end of the polling rows on one of its own.
fn main() -> Result<()> {
    let Arguments { quick, row, part } = Arguments::parse();
    if let Some(Part::FarEnd { registers, delay_ms }) = part {
        return far_end::run(&registers, delay_ms);
    }
    let rounds = if quick { 1 } else { 7 };
    let root = std::env::current_dir().context("the workspace's root")?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let measures = |which: fn(&Part) -> bool| part.as_ref().is_none_or(which);
        if measures(|part| matches!(part, Part::Runtime)) {
            let wanted = |name: &str| row.as_deref().is_none_or(|row| row == name);
            let mut rows = sandbox::run(&root, rounds, wanted).await?;
            rows.extend(polling::run(&root, rounds, wanted).await?);
            finish(&root, quick || row.is_some(), report::RUNTIME, &rows)?;
        }
        if row.is_none() && measures(|part| matches!(part, Part::Codec)) {
            let rows = codec::run(&root, rounds).await.context("the codecs")?;
            finish(&root, quick, report::CODEC, &rows)?;
        }
        if row.is_none() && measures(|part| matches!(part, Part::Neighbours)) {
            let rows = neighbours::run(&root).await.context("the neighbours")?;
            finish(&root, quick, report::NEIGHBOURS, &rows)?;
        }
        if row.is_none() && measures(|part| matches!(part, Part::Ledger)) {
            let scale = ledger::Scale::of(quick);
            let rows = ledger::run(&root, rounds.min(ledger::ROUNDS_MAX), scale)
                .await
                .context("the ledger")?;
            finish(&root, quick, report::LEDGER, &rows)?;
        }
        Ok(())
    })
}

fn finish(root: &Path, is_trial: bool, section: &str, rows: &[Row]) -> Result<()> {
    for row in rows {
        println!("{}", report::line(row));
    }
    if is_trial {
        return Ok(());
    }
    let path = root.join("docs/benchmarks.md");
    let page = match std::fs::read_to_string(&path) {
        Ok(page) => page,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => bail!("reading {}: {error}", path.display()),
    };
    std::fs::write(&path, report::page(&page, section, rows))
        .with_context(|| format!("writing {}", path.display()))?;
    println!("wrote the section {section} of docs/benchmarks.md");
    Ok(())
}

//! `cargo xtask bench`: measures the rows of the targets that the product has reached, side by side
//! with a named reference in one run, and writes docs/benchmarks.md. Asserts nothing about time.

mod decode;
mod poll;
mod program;
mod ratio;
mod report;
mod sell;

use anyhow::{Context, Result};
use clap::Parser;
use polymeter_runtime::Capability;
use ratio::Comparison;

#[derive(Parser)]
struct Arguments {
    /// One round each; prints, but writes nothing.
    #[arg(long)]
    quick: bool,
}

/// What the drivers are granted in a real configuration.
fn all_grants() -> Vec<Capability> {
    vec![Capability::Line, Capability::Vault, Capability::Log]
}

/// One row of the report.
struct Row {
    name: &'static str,
    what: &'static str,
    target: &'static str,
    comparison: Comparison,
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let rounds = if arguments.quick { 1 } else { 7 };
    let root = std::env::current_dir().context("the workspace's root")?;
    let mut rows = Vec::new();
    let mut add = |name, what, target, comparison: Comparison| {
        let row = Row { name, what, target, comparison };
        println!("{}", report::line(&row));
        rows.push(row);
    };
    add("W1", decode::WHAT, "at most 6.0", decode::run(&root, rounds).await.context("W1")?);
    add(
        "P1",
        poll::WHAT,
        "at most 1.11 (speed at least 0.90)",
        poll::run(&root, rounds).await.context("P1")?,
    );
    add(
        "L1",
        sell::WHAT_BARE,
        "none set",
        sell::against_bare(&root, rounds).await.context("L1 bare")?,
    );
    add(
        "L1",
        sell::WHAT_GROUP,
        "at most 2.0 (speed at least 0.5)",
        sell::against_group(&root, rounds).await.context("L1 group")?,
    );
    if arguments.quick {
        return Ok(());
    }
    let page = root.join("docs/benchmarks.md");
    std::fs::write(&page, report::page(&rows))
        .with_context(|| format!("writing {}", page.display()))?;
    println!("wrote docs/benchmarks.md");
    Ok(())
}

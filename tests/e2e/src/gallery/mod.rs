//! The hostile gallery: drivers that do what no driver should, against the real program.
//!
//! Invariant: a row holds only if the driver ended as the row says, the program that ran it still runs,
//! a neighbour was sold to right afterwards, and the ledger posted nothing for the hostile meter. The
//! table in docs/security.md is what a run printed, so a claim there is a thing that was seen.
//! Not here: how fast the neighbours are meanwhile (tests/bench measures that).

mod calls;
mod cases;
mod files;
mod wild;

pub use cases::{Asked, CASES, Case};
pub use wild::Wild;

use anyhow::{Context, Result, ensure};
use std::fmt::Write as _;

/// One hostile driver and how it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    pub driver: String,
    pub does: &'static str,
    pub ends: &'static str,
    /// Why the row does not hold.
    pub failure: Option<String>,
}

/// Where the table stands in docs/security.md.
const BEGIN: &str = "<!-- The table is written by `cargo xtask gallery --write`. -->\n";
const END: &str = "<!-- end of the table -->";
const PAGE: &str = "docs/security.md";

/// Every row, in a program of its own.
pub async fn run() -> Result<Vec<Row>> {
    let mut rows = files::run().await?;
    rows.extend(calls::run().await?);
    Ok(rows)
}

/// As it stands in the page; the same on every run in which all rows hold.
pub fn table(rows: &[Row]) -> String {
    let mut table = String::from("| Driver | What it does | How it ends |\n|---|---|---|\n");
    for row in rows {
        // Writing into a string cannot fail.
        let _ = writeln!(table, "| `{}` | {} | {} |", row.driver, row.does, row.ends);
    }
    table
}

/// An error names every row that does not hold.
pub fn verdict(rows: &[Row]) -> Result<()> {
    let failed: Vec<String> = rows
        .iter()
        .filter_map(|row| Some(format!("{}: {}", row.driver, row.failure.as_ref()?)))
        .collect();
    ensure!(failed.is_empty(), "{} rows do not hold:\n{}", failed.len(), failed.join("\n"));
    Ok(())
}

/// An error unless docs/security.md has this table. `write` puts it there.
pub fn page(table: &str, write: bool) -> Result<()> {
    let path = crate::root().join(PAGE);
    let text = std::fs::read_to_string(&path).context(PAGE)?;
    let (before, rest) = text.split_once(BEGIN).with_context(|| format!("{PAGE}: no {BEGIN}"))?;
    let (old, after) = rest.split_once(END).with_context(|| format!("{PAGE}: no {END}"))?;
    if old.trim() == table.trim() {
        return Ok(());
    }
    ensure!(
        write,
        "{PAGE} has another table: cargo xtask gallery --write, and look at the difference"
    );
    Ok(std::fs::write(&path, format!("{before}{BEGIN}\n{table}\n{END}{after}"))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_that_does_not_hold_is_an_error() {
        let row = |failure: Option<&str>| Row {
            driver: "a".to_owned(),
            does: "b",
            ends: "c",
            failure: failure.map(str::to_owned),
        };
        assert!(verdict(&[row(None)]).is_ok());
        let error = verdict(&[row(None), row(Some("it was paid"))]).expect_err("one failed");
        assert_eq!(error.to_string(), "1 rows do not hold:\na: it was paid");
        assert!(table(&[row(None)]).ends_with("| `a` | b | c |\n"));
    }
}

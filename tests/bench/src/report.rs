//! The figures as a line for the terminal and as a section of docs/benchmarks.md.
//!
//! Invariant: a run replaces the sections that it measured, keeps the others to the letter, and
//! never touches the remarks under a section, which people write.

use crate::figure::{Figure, Row};
use std::fmt::Write as _;

pub const RUNTIME: &str = "Drivers and lines";
pub const CODEC: &str = "Decoding";
pub const NEIGHBOURS: &str = "Neighbours of hostile drivers";
pub const LEDGER: &str = "Books";
const SECTIONS: [&str; 4] = [RUNTIME, CODEC, NEIGHBOURS, LEDGER];
/// What a person wrote about a section stands below this, to the next section.
const REMARKS: &str = "### Remarks";

const HEAD: &str = "# Benchmarks\n\n\
    The tables are written by `cargo xtask bench` (`bench runtime`, `bench codec`, `bench neighbours`, `bench ledger` for one of them); what stands under *Remarks* is written by hand.\n\
    A ratio is the time of one operation of the product over that of a named reference, taken in turn in one run: the median over the rounds, with the least and the greatest.\n\
    The reference is measured twice in each round, and a row whose control (second over first) is outside 0.95 to 1.05 is discarded.\n\
    Speeds of the machine drift: only ratios of one run mean anything.\n";

pub fn line(row: &Row) -> String {
    let Row { name, what, target, figure } = row;
    let verdict = match figure.reached() {
        Some(true) => "reached",
        Some(false) => "NOT reached",
        None => "",
    };
    match figure {
        Figure::Ratio { comparison, .. } => {
            let discarded =
                if comparison.is_even() { "" } else { " DISCARDED: the machine was too uneven" };
            format!(
                "{name:<3} {what}: {:.2}x (reference {}, product {}, control {:.3}; target {target}) {verdict}{discarded}",
                comparison.ratio(),
                duration(comparison.reference_ns()),
                duration(comparison.product_ns()),
                comparison.control(),
            )
        }
        Figure::Plain { text, .. } => {
            format!("{name:<3} {what}: {text} (target {target}) {verdict}")
        }
        Figure::Missing { why } => format!("{name:<3} {what}: {why}"),
    }
}

/// `page` with `section` measured anew.
pub fn page(page: &str, section: &str, rows: &[Row]) -> String {
    let mut new = HEAD.to_owned();
    for name in SECTIONS {
        let old = section_of(page, name);
        let remarks = old.and_then(|old| old.find(REMARKS).map(|at| &old[at..]));
        if name == section {
            let _ = write!(new, "\n## {name}\n\n{}", table(rows));
            if let Some(remarks) = remarks {
                let _ = write!(new, "\n{}\n", remarks.trim_end());
            }
        } else if let Some(old) = old {
            let _ = write!(new, "\n## {name}\n{}\n", old.trim_end());
        }
    }
    new
}

/// What stands between the heading of `name` and the next section.
fn section_of<'a>(page: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = page.split_once(&format!("\n## {name}\n"))?;
    Some(rest.split("\n## ").next().unwrap_or(rest))
}

fn table(rows: &[Row]) -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let (arch, os) = (std::env::consts::ARCH, std::env::consts::OS);
    let mut table = format!("Machine: {cores} cores, {arch}, {os}.\n\n");
    table.push_str(
        "| Row | What | Figure | Least to greatest | Reference | Product | Control | Target | |\n",
    );
    table.push_str("|---|---|---|---|---|---|---|---|---|\n");
    for row in rows {
        let Row { name, what, target, figure } = row;
        let verdict = match figure.reached() {
            Some(true) => "reached",
            Some(false) => "**not reached**",
            None => "",
        };
        let _ = match figure {
            Figure::Ratio { comparison, .. } => {
                let (least, greatest) = comparison.ratio_span();
                let discarded = if comparison.is_even() { "" } else { ", discarded" };
                writeln!(
                    table,
                    "| {name} | {what} | {:.2}x{discarded} | {least:.2} to {greatest:.2} | {} | {} | {:.3} | {target} | {verdict} |",
                    comparison.ratio(),
                    duration(comparison.reference_ns()),
                    duration(comparison.product_ns()),
                    comparison.control(),
                )
            }
            Figure::Plain { text, .. } => {
                writeln!(table, "| {name} | {what} | {text} | | | | | {target} | {verdict} |")
            }
            Figure::Missing { why } => {
                writeln!(table, "| {name} | {what} | {why} | | | | | {target} | |")
            }
        };
    }
    table
}

fn duration(ns: f64) -> String {
    if ns < 1e3 {
        format!("{ns:.0} ns")
    } else if ns < 1e6 {
        format!("{:.2} µs", ns / 1e3)
    } else {
        format!("{:.2} ms", ns / 1e6)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str) -> Vec<Row> {
        vec![Row::plain("W9", "a figure", "some", text.to_owned(), true)]
    }

    #[test]
    fn a_run_replaces_its_own_section_and_keeps_remarks() {
        let first = page("", LEDGER, &rows("one"));
        let both = page(&first, RUNTIME, &rows("two"));
        assert!(both.contains("| one |") && both.contains("| two |"), "{both}");
        assert!(both.find(RUNTIME) < both.find(LEDGER), "in their order");
        let remarked = format!("{both}\n{REMARKS}\n\nTime goes to the disk.\n");
        let again = page(&remarked, LEDGER, &rows("three"));
        assert!(!again.contains("| one |") && again.contains("| three |"), "{again}");
        assert!(again.contains("| two |"), "the other section stays");
        assert_eq!(again.matches("Time goes to the disk.").count(), 1, "{again}");
        assert_eq!(page(&again, LEDGER, &rows("three")), again, "nothing grows");
    }
}

//! The figures as a line for the terminal and as docs/benchmarks.md.

use crate::Row;
use std::fmt::Write as _;

pub fn line(row: &Row) -> String {
    let comparison = &row.comparison;
    let verdict = if comparison.is_even() { "" } else { "  DISCARDED: the machine was too uneven" };
    format!(
        "{}  {}: {:.2}x (reference {}, product {}, control {:.3}; target {}){verdict}",
        row.name,
        row.what,
        comparison.ratio(),
        duration(comparison.reference_ns()),
        duration(comparison.product_ns()),
        comparison.control(),
        row.target,
    )
}

pub fn page(rows: &[Row]) -> String {
    let mut page = String::from(
        "# Benchmarks\n\n\
         Written by `cargo xtask bench`; not edited by hand. Each row is the time of one operation of the product over that of a named\n\
         reference, taken in turn in one run; the ratio is the median over the rounds, with the least and the greatest. The reference is measured twice in each round, and a row whose control\n\
         (second over first) is outside 0.95 to 1.05 counts as discarded. Speeds of the machine drift: only the ratio means anything.\n\n",
    );
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let _ = writeln!(
        page,
        "Machine: {cores} cores, {}, {}.\n",
        std::env::consts::ARCH,
        std::env::consts::OS
    );
    page.push_str(
        "| Row | What | Ratio | Least to greatest | Reference | Product | Control | Target |\n",
    );
    page.push_str("|---|---|---|---|---|---|---|---|\n");
    for row in rows {
        let comparison = &row.comparison;
        let (least, greatest) = comparison.ratio_span();
        let ratio = if comparison.is_even() {
            format!("{:.2}x", comparison.ratio())
        } else {
            format!("{:.2}x, discarded", comparison.ratio())
        };
        let _ = writeln!(
            page,
            "| {} | {} | {ratio} | {least:.2} to {greatest:.2} | {} | {} | {:.3} | {} |",
            row.name,
            row.what,
            duration(comparison.reference_ns()),
            duration(comparison.product_ns()),
            comparison.control(),
            row.target,
        );
    }
    page
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

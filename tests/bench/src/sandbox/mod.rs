//! W1 to W8: what the sandbox costs, and what it contains.

mod compute;
mod decode;
mod instance;
mod load;
mod memory;
mod read;
mod runaway;

pub use decode::frame;

use crate::figure::Row;
use anyhow::{Context, Result};
use std::path::Path;

pub async fn run(root: &Path, rounds: usize, wanted: impl Fn(&str) -> bool) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    if wanted("W1") {
        rows.push(decode::run(root, rounds).await.context("W1")?);
    }
    if wanted("W2") || wanted("W3") {
        rows.extend(compute::run(root, rounds).await.context("W2 and W3")?);
    }
    if wanted("W4") {
        rows.extend(read::run(root, rounds).await.context("W4")?);
    }
    if wanted("W5") {
        rows.extend(instance::run(root, rounds).await.context("W5")?);
    }
    if wanted("W6") {
        rows.extend(load::run(root, rounds).await.context("W6")?);
    }
    if wanted("W7") {
        rows.extend(memory::run(root).await.context("W7")?);
    }
    if wanted("W8") {
        rows.extend(runaway::run(root).await.context("W8")?);
    }
    Ok(rows)
}

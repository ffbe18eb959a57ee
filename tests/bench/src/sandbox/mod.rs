//! W1 to W8: what the sandbox costs, and what it contains.

mod compute;
mod decode;
mod instance;
mod load;
mod memory;
mod read;
mod runaway;

use crate::figure::Row;
use anyhow::{Context, Result};
use std::path::Path;

pub async fn run(root: &Path, rounds: usize, rows: &mut Vec<Row>) -> Result<()> {
    rows.push(decode::run(root, rounds).await.context("W1")?);
    rows.extend(compute::run(root, rounds).await.context("W2 and W3")?);
    rows.extend(read::run(root, rounds).await.context("W4")?);
    rows.extend(instance::run(root, rounds).await.context("W5")?);
    rows.extend(load::run(root, rounds).await.context("W6")?);
    rows.extend(memory::run(root).await.context("W7")?);
    rows.extend(runaway::run(root).await.context("W8")?);
    Ok(())
}

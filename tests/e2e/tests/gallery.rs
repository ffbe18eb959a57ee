//! The hostile gallery as a part of the tests; `cargo xtask gallery` prints it.

use anyhow::{Result, ensure};
use e2e::gallery;

#[tokio::test(flavor = "multi_thread")]
async fn every_hostile_driver_is_contained() -> Result<()> {
    let rows = gallery::run().await?;
    gallery::verdict(&rows)?;
    ensure!(rows.len() >= 20, "only {} drivers", rows.len());
    gallery::page(&gallery::table(&rows), false)
}

//! W6: loading a driver whose native code lies sealed in the cache, over compiling it; both link it
//! and ask it what it is.

use crate::figure::Row;
use crate::loading;
use crate::ratio::compare;
use anyhow::{Result, ensure};
use polymeter_runtime::{Compile, Limits, Options, Runtime, Vault};
use std::path::Path;
use std::time::Instant;

const DRIVER: &str = "dlt645-2007";
const LOADS: u32 = 100;
/// As many as a large site has.
const SITE: usize = 20;

pub async fn run(root: &Path, rounds: usize) -> Result<[Row; 2]> {
    let folder = tempfile::tempdir_in(root.join("target"))?;
    let with = |cache| {
        let vault = Vault::default();
        Runtime::new(Options { vault, compile: Compile::InThisProcess, cache })
    };
    let compiling = with(None)?;
    let cached = with(Some(folder.path().join("cache")))?;
    let component = loading::component(root, DRIVER)?;
    let config = || loading::config(DRIVER, Limits::default());
    cached.load(config(), &component).await?;
    let comparison = compare(
        rounds,
        async || {
            let begun = Instant::now();
            compiling.load(config(), &component).await?;
            Ok(begun.elapsed())
        },
        async || {
            let begun = Instant::now();
            for _ in 0..LOADS {
                cached.load(config(), &component).await?;
            }
            Ok(begun.elapsed() / LOADS)
        },
    )
    .await?;
    ensure!(cached.metrics().code_compiled == 1, "the cache was missed");

    let begun = Instant::now();
    let mut site = Vec::new();
    for _ in 0..SITE {
        site.push(cached.load(config(), &component).await?);
    }
    let site_ms = begun.elapsed().as_secs_f64() * 1e3;
    Ok([
        Row::ratio(
            "W6",
            "loading a driver from the cache of native code / compiling it",
            Some(0.01),
            comparison,
        ),
        Row::plain(
            "W6",
            format!("{SITE} drivers from the cache"),
            "at most 20 ms",
            format!("{site_ms:.1} ms"),
            site_ms <= 20.0,
        ),
    ])
}

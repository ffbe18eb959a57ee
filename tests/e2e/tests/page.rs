//! The page in a real Chromium, on both vendors' meters. The script beside it clicks; this starts the
//! site, looks at the pictures' presence and at the meter afterwards.

use anyhow::{Context, Result, ensure};
use e2e::{METERS, OPERATOR, PASSWORD, Site, root};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::process::Command;

#[tokio::test(flavor = "multi_thread")]
async fn a_clerk_sells_through_the_page() -> Result<()> {
    let pictures = root().join("target/screenshots");
    std::fs::create_dir_all(&pictures)?;
    let script = script().await?;
    let (site, program) = Site::new().await?;
    for meter in METERS.iter().filter(|meter| meter.serial_number.ends_with("-1")) {
        let folder = pictures.join(meter.vendor);
        std::fs::create_dir_all(&folder)?;
        let ran = Command::new("node")
            .arg(&script)
            .args([&program.url, OPERATOR, PASSWORD, meter.customer])
            .arg(&folder)
            .stdin(Stdio::null())
            .output()
            .await
            .context("node did not start")?;
        ensure!(
            ran.status.success(),
            "the page of {} (pictures in {}):\n{}",
            meter.vendor,
            folder.display(),
            String::from_utf8_lossy(&ran.stderr)
        );
        let state = site.simulator.state(meter.address)?;
        ensure!(state.credited_fen == 5000, "the meter took {} fen", state.credited_fen);
        ensure!(folder.join("sale-phone.png").is_file(), "no picture was taken");
    }
    program.kill().await
}

/// The script with its one package beside it, in target so that the tree stays clean.
async fn script() -> Result<PathBuf> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("page");
    let folder = root().join("target/page-test");
    std::fs::create_dir_all(&folder)?;
    for name in ["package.json", "package-lock.json", "page.mjs"] {
        std::fs::copy(source.join(name), folder.join(name))?;
    }
    let npm = Command::new("npm")
        .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"])
        .current_dir(&folder)
        .status()
        .await
        .context("npm did not start")?;
    ensure!(npm.success(), "npm ci ended with {npm}");
    Ok(folder.join("page.mjs"))
}

//! `check-config`: the file, and every driver it names, without touching lines or database.

use super::Failure;
use crate::app;
use crate::config::Config;
use crate::vault;
use std::path::Path;

pub async fn run(file: &Path) -> Result<(), Failure> {
    let config = Config::read(file)?;
    let keys = vault::open(&config)?.len();
    let drivers = app::load_drivers(&config).await?;
    println!(
        "{}: good: {} drivers, {} lines, {keys} keys",
        file.display(),
        drivers.len(),
        config.lines.len()
    );
    for driver in drivers {
        let described = driver.description();
        println!("  {} {} for {}", driver.name(), described.version, driver.vendor());
    }
    Ok(())
}

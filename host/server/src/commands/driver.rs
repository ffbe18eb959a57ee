//! `driver list` and `driver inspect NAME`: what the configured components say of themselves.

use super::{Failure, print_json};
use crate::api::system::Driver;
use crate::app;
use crate::config::Config;
use std::path::Path;

pub async fn list(config: &Path) -> Result<(), Failure> {
    let drivers = app::load_drivers(&Config::read(config)?).await?;
    println!("{:<20} {:<10} {:<10} models", "name", "vendor", "version");
    for driver in drivers {
        let described = driver.description();
        println!(
            "{:<20} {:<10} {:<10} {}",
            driver.name(),
            described.vendor_code.as_str(),
            described.version,
            described.models.join(", ")
        );
    }
    Ok(())
}

pub async fn inspect(config: &Path, name: &str) -> Result<(), Failure> {
    let drivers = app::load_drivers(&Config::read(config)?).await?;
    let names: Vec<&str> = drivers.iter().map(|driver| driver.name()).collect();
    let Some(driver) = drivers.iter().find(|driver| driver.name() == name) else {
        let known = names.join(", ");
        return Err(Failure::Usage(format!(
            "no driver `{name}` in the configuration; it has: {known}"
        )));
    };
    print_json(&Driver::from(driver.as_ref()))
}

//! `vendors`: the registry, with what this site's configuration adds and serves. Reads no package and
//! asks no running program, so it also answers where there is no configuration yet.

use super::Failure;
use crate::config::Config;
use crate::vendors::{Registry, Vendor};
use polymeter_domain::VendorCode;
use std::fmt::Write as _;
use std::path::Path;

pub fn run(file: &Path) -> Result<(), Failure> {
    let config = if file.exists() { Some(Config::read(file)?) } else { None };
    print!("{}", listed(config.as_ref()));
    Ok(())
}

/// One line for each vendor, in the order of the registry, the site's own behind them.
fn listed(config: Option<&Config>) -> String {
    let own: &[Vendor] = config.map_or(&[], |config| &config.vendors);
    let mut vendors: Vec<&Vendor> = Registry::built_in()
        .vendors()
        .iter()
        .map(|known| own.iter().find(|it| it.code == known.code).unwrap_or(known))
        .collect();
    let is_new = |vendor: &&Vendor| Registry::built_in().find(&vendor.code).is_none();
    vendors.extend(own.iter().filter(is_new));
    let mut text = String::new();
    for vendor in vendors {
        let served = config.and_then(|config| served_by(config, &vendor.code));
        let state = match (config, served) {
            (None, _) => String::new(),
            (Some(_), Some(name)) => format!(", served here by {name}"),
            (Some(_), None) => ", not served here".to_owned(),
        };
        let driver = vendor.driver.as_deref().unwrap_or("no driver");
        let models = match vendor.models.as_slice() {
            [] => String::new(),
            models => format!(" ({})", models.join(", ")),
        };
        // Writing into a string cannot fail.
        let _ = writeln!(
            text,
            "{:<16} {} {}{models}: {driver}, {}{state}",
            vendor.code.as_str(),
            vendor.name_zh,
            vendor.name_en,
            vendor.evidence.name(),
        );
    }
    text
}

fn served_by<'a>(config: &'a Config, code: &VendorCode) -> Option<&'a str> {
    let serves =
        |it: &&crate::config::DriverEntry| it.is_enabled && it.config.vendor.as_ref() == Some(code);
    config.drivers.iter().find(serves).map(|it| it.config.name.as_str())
}

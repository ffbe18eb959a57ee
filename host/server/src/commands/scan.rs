//! `scan LINE`: who answers on a line, one finding to a line of standard output as it is made.
//!
//! Invariant: nothing is written, neither into a device nor into the database.

use super::{Failure, open};
use polymeter_domain::{Value, VendorCode};
use polymeter_service::{FoundMeter, ScanEvent, ScanRequest};
use std::path::Path;

pub async fn run(config: &Path, request: &ScanRequest) -> Result<(), Failure> {
    let app = open(config).await?;
    let found = app.service.scan(request, tell).await?;
    if found.is_empty() {
        println!("nobody answered on {}", request.line);
    }
    Ok(())
}

/// Findings to standard output, how it goes to standard error.
fn tell(event: ScanEvent) {
    match event {
        ScanEvent::Began { driver, vendor, way } => {
            eprintln!("{vendor}: searching with {driver}, {way}");
        }
        ScanEvent::Tuned(settings) => eprintln!("nobody answered; now with {settings}"),
        ScanEvent::Found(found) => println!("{}", row(&found)),
        ScanEvent::Collision(collision) => {
            let then = if collision.narrowed { "told apart next" } else { "cannot be told apart" };
            eprintln!("several answer {}: {} ({then})", collision.asked, collision.detail);
        }
        ScanEvent::Progress { done, total } => eprintln!("{done} of {total} questions"),
        ScanEvent::Ended { vendor, found } => eprintln!("{vendor}: {found} found"),
        ScanEvent::Failed { vendor, why } => eprintln!("{vendor}: broke off: {why}"),
    }
}

/// Vendor, address and driver as they are entered for the meter, what else it told, whether it is
/// entered.
fn row(found: &FoundMeter) -> String {
    let FoundMeter { driver, vendor, identity, serial_number, settings } = found;
    let model = if identity.model.is_empty() { "-" } else { &identity.model };
    let mut told = String::new();
    for (name, value) in &identity.extras {
        if let Value::Text(text) = value {
            told += &format!(" {name}={text}");
        }
    }
    if let Some(settings) = settings {
        told += &format!(" at {settings}");
    }
    let entered = serial_number
        .as_ref()
        .map_or_else(|| "not entered".to_owned(), |serial_number| format!("meter {serial_number}"));
    let address = &identity.address;
    format!("{vendor:<10} {address:<16} {driver:<14} {model}{told}  {entered}")
}

/// A vendor code of the command line.
pub fn vendor(text: &str) -> Result<VendorCode, String> {
    VendorCode::new(text).map_err(|error| error.to_string())
}

/// `name=value` of the command line.
pub fn argument(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write it as NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

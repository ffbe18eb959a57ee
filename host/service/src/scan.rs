//! Searching a line for meters that nobody has entered yet.
//!
//! Invariant: the line is taken anew for every step, at the priority of a routine read, so that sales go
//! between two steps; nothing is written, neither into a device nor into the database.
//! Not here: what a driver asks (drivers), that a step gets on and ends (runtime).

use crate::Service;
use crate::error::{Result, ServiceError, invalid};
use polymeter_domain::{Value, VendorCode};
use polymeter_runtime::transcript::Collision;
use polymeter_runtime::{Argument, Driver, Identity, Search, Way};
use polymeter_transport::{Line, Parity, Priority, SerialSettings};
use std::sync::Arc;

/// What is searched, and how.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScanRequest {
    pub line: String,
    /// `None`: every enabled driver that can search, one after the other.
    pub vendor: Option<VendorCode>,
    /// The name of one of the driver's ways; `None`: its first.
    pub way: Option<String>,
    /// Arguments of the way, by name, as typed.
    pub arguments: Vec<(String, String)>,
    /// Only with the line's own settings, though nobody answers.
    pub as_configured: bool,
}

/// What meters are sold with, the most usual first: DL/T 645 and CJ/T 188 with even parity, Modbus
/// mostly without, M-Bus down to 300.
const USUAL: [SerialSettings; 10] = [
    usual(2400, Parity::Even),
    usual(9600, Parity::Even),
    usual(9600, Parity::None),
    usual(1200, Parity::Even),
    usual(4800, Parity::Even),
    usual(4800, Parity::None),
    usual(19_200, Parity::Even),
    usual(19_200, Parity::None),
    usual(2400, Parity::None),
    usual(300, Parity::Even),
];

const fn usual(baud: u32, parity: Parity) -> SerialSettings {
    SerialSettings { baud, parity, stop_bits: 1 }
}

/// A meter that was found, and how it is spoken to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundMeter {
    pub driver: String,
    pub vendor: VendorCode,
    pub identity: Identity,
    /// Where the meter is entered already.
    pub serial_number: Option<String>,
    /// Where they are not the line's own.
    pub settings: Option<SerialSettings>,
}

/// What a scan comes upon, told as it happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ScanEvent {
    /// Nobody answered so far; now with other settings than the line's own.
    Tuned(SerialSettings),
    Began {
        driver: String,
        vendor: VendorCode,
        way: String,
    },
    Found(FoundMeter),
    Collision(Collision),
    /// Questions that are done, and altogether as far as known.
    Progress {
        done: u32,
        total: u32,
    },
    Ended {
        vendor: VendorCode,
        found: usize,
    },
    /// This driver's search broke off; the next driver's goes on.
    Failed {
        vendor: VendorCode,
        why: String,
    },
}

impl Service {
    /// Searches to the end. A serial line on which nobody answers is searched with other settings too,
    /// until somebody does. An error where nothing could be searched at all, or where the one vendor
    /// that was named failed.
    pub async fn scan(
        &self,
        request: &ScanRequest,
        mut tell: impl FnMut(ScanEvent),
    ) -> Result<Vec<FoundMeter>> {
        let line = self.line(&request.line)?.clone();
        let drivers = self.searchers(request)?;
        let mut found = self.scan_line(request, &line, &drivers, None, &mut tell).await?;
        let own = line.settings().endpoint.serial().filter(|_| !request.as_configured);
        for settings in USUAL.into_iter().filter(|usual| own.is_some_and(|own| own != *usual)) {
            if !found.is_empty() {
                break;
            }
            tell(ScanEvent::Tuned(settings));
            found = self.scan_line(request, &line, &drivers, Some(settings), &mut tell).await?;
        }
        Ok(found)
    }

    async fn scan_line(
        &self,
        request: &ScanRequest,
        line: &Line,
        drivers: &[Arc<Driver>],
        settings: Option<SerialSettings>,
        tell: &mut impl FnMut(ScanEvent),
    ) -> Result<Vec<FoundMeter>> {
        let mut all = Vec::new();
        for driver in drivers {
            let vendor = driver.vendor().clone();
            for way in ways(driver, request)? {
                let search = prepared(way, request)?;
                tell(ScanEvent::Began {
                    driver: driver.name().to_owned(),
                    vendor: vendor.clone(),
                    way: way.name.clone(),
                });
                match self.scan_with(driver, line, &search, settings, tell).await {
                    Ok(scanned) => {
                        let found = scanned.found.len();
                        tell(ScanEvent::Ended { vendor: vendor.clone(), found });
                        all.extend(scanned.found);
                        // A further way is for those whom the better one did not tell apart.
                        if found > 0 && !scanned.is_torn {
                            break;
                        }
                    }
                    Err(error) if request.vendor.is_some() => return Err(error),
                    Err(error) => {
                        let why = crate::error::chain(&error);
                        tell(ScanEvent::Failed { vendor: vendor.clone(), why });
                        break;
                    }
                }
            }
        }
        Ok(all)
    }

    /// The drivers that can search: the one of the vendor that was named, or all.
    fn searchers(&self, request: &ScanRequest) -> Result<Vec<Arc<Driver>>> {
        let drivers: Vec<Arc<Driver>> = match &request.vendor {
            Some(vendor) => vec![self.driver(vendor)?],
            None => self.drivers(),
        };
        let can: Vec<_> = drivers.iter().filter(|driver| driver.abilities().bus).cloned().collect();
        // A way that somebody else has is no mistake, unless this driver was named.
        let named = |driver: &&Arc<Driver>| {
            let name = request.way.as_ref().filter(|_| request.vendor.is_none());
            name.is_none_or(|name| driver.ways().iter().any(|way| way.name == *name))
        };
        if can.is_empty() {
            let of: Vec<String> = drivers
                .iter()
                .map(|driver| format!("{} (contract {})", driver.name(), driver.contract()))
                .collect();
            return Err(invalid("vendor", format!("no driver that can search: {}", of.join(", "))));
        }
        let named: Vec<_> = can.iter().filter(named).cloned().collect();
        if named.is_empty() {
            return Err(invalid("way", "no driver has such a way of searching".to_owned()));
        }
        Ok(named)
    }

    async fn scan_with(
        &self,
        driver: &Driver,
        line: &Line,
        search: &Search,
        settings: Option<SerialSettings>,
        tell: &mut impl FnMut(ScanEvent),
    ) -> Result<Scanned> {
        let questions = driver.questions(line.settings());
        let mut scanned = Scanned { found: Vec::new(), is_torn: false };
        let mut position = None;
        loop {
            let mut lease = line.lease(Priority::RoutineRead).await.map_err(ServiceError::Line)?;
            if let Some(settings) = settings {
                lease.tune(settings).map_err(ServiceError::Line)?;
            }
            let step = driver
                .search(&mut lease, search, self.clock().moment(), position.as_ref(), questions)
                .await
                .map_err(|error| ServiceError::device(driver, "bus", error))?;
            drop(lease);
            for collision in step.collisions {
                scanned.is_torn |= !collision.narrowed;
                tell(ScanEvent::Collision(collision));
            }
            for identity in step.found {
                // A walk may meet the meter again that the wildcard has shown.
                if scanned.found.iter().any(|known| known.identity.address == identity.address) {
                    continue;
                }
                let found = FoundMeter {
                    driver: driver.name().to_owned(),
                    vendor: driver.vendor().clone(),
                    serial_number: self.entered(line, &identity.address).await?,
                    identity,
                    settings,
                };
                tell(ScanEvent::Found(found.clone()));
                scanned.found.push(found);
            }
            tell(ScanEvent::Progress { done: step.done, total: step.total });
            match step.next {
                Some(next) => position = Some(next),
                None => return Ok(scanned),
            }
        }
    }

    async fn entered(&self, line: &Line, address: &str) -> Result<Option<String>> {
        let found =
            sqlx::query_scalar("select serial_number from meter where line = $1 and address = $2")
                .bind(&line.settings().name)
                .bind(address)
                .fetch_optional(self.reader())
                .await?;
        Ok(found)
    }
}

/// What one search brought.
struct Scanned {
    found: Vec<FoundMeter>,
    /// Several answered one question and cannot be told apart in this way.
    is_torn: bool,
}

/// The way that was asked for. Without one, of a vendor that was named its first, else all of them,
/// the best one first.
fn ways<'a>(driver: &'a Driver, request: &ScanRequest) -> Result<Vec<&'a Way>> {
    let all = driver.ways();
    let Some(name) = &request.way else {
        let count = if request.vendor.is_some() { 1 } else { all.len() };
        return Ok(all.iter().take(count).collect());
    };
    match all.iter().find(|way| way.name == *name) {
        Some(way) => Ok(vec![way]),
        None => {
            let names: Vec<&str> = all.iter().map(|way| way.name.as_str()).collect();
            let known = format!("driver {} has these: {}", driver.name(), names.join(", "));
            Err(invalid("way", known))
        }
    }
}

/// The way and its arguments as values.
fn prepared(way: &Way, request: &ScanRequest) -> Result<Search> {
    let mut parameters = Vec::new();
    for (name, text) in &request.arguments {
        let Some(argument) = way.arguments.iter().find(|argument| argument.name == *name) else {
            let known: Vec<&str> = way.arguments.iter().map(|known| known.name.as_str()).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            return Err(invalid("argument", format!("`{name}`: way {} takes {known}", way.name)));
        };
        parameters.push((name.clone(), typed(argument, text)?));
    }
    Ok(Search { way: way.name.clone(), parameters })
}

/// What was typed, as the kind of value that the argument's default is.
fn typed(argument: &Argument, text: &str) -> Result<Value> {
    let wrong = |what: &str| invalid("argument", format!("`{}` must be {what}", argument.name));
    match &argument.default {
        Value::Number(_) => {
            let number: i64 = text.parse().map_err(|_| wrong("a whole number"))?;
            let (least, most) =
                (argument.minimum.unwrap_or(i64::MIN), argument.maximum.unwrap_or(i64::MAX));
            if !(least..=most).contains(&number) {
                return Err(wrong(&format!("from {least} to {most}")));
            }
            Ok(Value::Number(polymeter_domain::Decimal { mantissa: number, scale: 0 }))
        }
        Value::Flag(_) => text.parse().map(Value::Flag).map_err(|_| wrong("true or false")),
        Value::Text(_) => Ok(Value::Text(text.to_owned())),
        Value::Bytes(_) | Value::Time(_) => Err(wrong("left out: it cannot be typed")),
    }
}

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
use polymeter_transport::{Line, Priority};
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
}

/// What a scan comes upon, told as it happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ScanEvent {
    Began {
        driver: String,
        vendor: VendorCode,
        way: String,
    },
    /// The serial number, where the meter is entered already.
    Found {
        vendor: VendorCode,
        identity: Identity,
        serial_number: Option<String>,
    },
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
    /// Searches to the end. An error where nothing could be searched at all, or where the one vendor
    /// that was named failed.
    pub async fn scan(
        &self,
        request: &ScanRequest,
        mut tell: impl FnMut(ScanEvent),
    ) -> Result<Vec<Identity>> {
        let line = self.line(&request.line)?.clone();
        let drivers = self.searchers(request)?;
        let mut all = Vec::new();
        for driver in drivers {
            let vendor = driver.vendor().clone();
            let (way, search) = prepared(&driver, request)?;
            tell(ScanEvent::Began {
                driver: driver.name().to_owned(),
                vendor: vendor.clone(),
                way: way.name.clone(),
            });
            match self.scan_with(&driver, &line, &search, &mut tell).await {
                Ok(found) => {
                    tell(ScanEvent::Ended { vendor, found: found.len() });
                    all.extend(found);
                }
                Err(error) if request.vendor.is_some() => return Err(error),
                Err(error) => {
                    tell(ScanEvent::Failed { vendor, why: crate::error::chain(&error) });
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
        if can.is_empty() {
            let of: Vec<String> = drivers
                .iter()
                .map(|driver| format!("{} (contract {})", driver.name(), driver.contract()))
                .collect();
            return Err(invalid("vendor", format!("no driver that can search: {}", of.join(", "))));
        }
        Ok(can)
    }

    async fn scan_with(
        &self,
        driver: &Driver,
        line: &Line,
        search: &Search,
        tell: &mut impl FnMut(ScanEvent),
    ) -> Result<Vec<Identity>> {
        let questions = driver.questions(line.settings());
        let mut all: Vec<Identity> = Vec::new();
        let mut position = None;
        loop {
            let mut lease = line.lease(Priority::RoutineRead).await.map_err(ServiceError::Line)?;
            let step = driver
                .search(&mut lease, search, self.clock().moment(), position.as_ref(), questions)
                .await
                .map_err(|error| ServiceError::device(driver, "bus", error))?;
            drop(lease);
            for collision in step.collisions {
                tell(ScanEvent::Collision(collision));
            }
            for identity in step.found {
                // A walk may meet the meter again that the wildcard has shown.
                if all.iter().any(|known| known.address == identity.address) {
                    continue;
                }
                tell(ScanEvent::Found {
                    vendor: driver.vendor().clone(),
                    serial_number: self.entered(line, &identity.address).await?,
                    identity: identity.clone(),
                });
                all.push(identity);
            }
            tell(ScanEvent::Progress { done: step.done, total: step.total });
            match step.next {
                Some(next) => position = Some(next),
                None => return Ok(all),
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

/// The way that was asked for and its arguments as values.
fn prepared<'a>(driver: &'a Driver, request: &ScanRequest) -> Result<(&'a Way, Search)> {
    let ways = driver.ways();
    let names = || ways.iter().map(|way| way.name.as_str()).collect::<Vec<_>>().join(", ");
    let way = match &request.way {
        None => ways.first(),
        Some(name) => ways.iter().find(|way| way.name == *name),
    };
    let way = way.ok_or_else(|| {
        invalid("way", format!("driver {} has these: {}", driver.name(), names()))
    })?;
    let mut parameters = Vec::new();
    for (name, text) in &request.arguments {
        let Some(argument) = way.arguments.iter().find(|argument| argument.name == *name) else {
            let known: Vec<&str> = way.arguments.iter().map(|known| known.name.as_str()).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            return Err(invalid("argument", format!("`{name}`: way {} takes {known}", way.name)));
        };
        parameters.push((name.clone(), typed(argument, text)?));
    }
    Ok((way, Search { way: way.name.clone(), parameters }))
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

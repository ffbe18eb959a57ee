//! From the file's shape to a [`Config`]: what a type cannot say. All problems are collected.

use super::{Config, DriverEntry, Pins, Problem, Problems, VaultEntry, raw};
use crate::envelopes;
use jiff::tz::TimeZone;
use polymeter_domain::{Currency, Region, VendorCode};
use polymeter_package::problem::line_at;
use polymeter_runtime::{Capability, DriverConfig, Limits};
use polymeter_transport::{Endpoint, LineSettings, Parity};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;
use toml::Spanned;

pub(super) struct Checker<'a> {
    pub(super) file: &'a Path,
    pub(super) text: &'a str,
    pub(super) problems: Vec<Problem>,
}

pub fn check(file: &Path, text: &str, raw: raw::File) -> Result<Config, Problems> {
    let mut checker = Checker { file, text, problems: Vec::new() };
    let time_zone = checker.time_zone(&raw.site.time_zone);
    let currency = checker.currency(&raw.site.currency);
    let rules = currency.map(|currency| checker.rules(&raw, currency)).unwrap_or_default();
    let pins = checker.pins(&raw.vendor);
    let mut drivers = checker.drivers(&raw, &pins);
    let vendors = checker.covers(&raw.vendor, &mut drivers);
    let lines = checker.lines(&raw.line, time_zone.as_ref());
    let card_marks = checker.card_marks(&raw.card_mark);
    let readers = checker.readers(&raw.reader, &lines);
    let reader_profiles = checker.reader_profiles(&raw.reader_profile);
    let vault = raw.vault.as_ref().and_then(|vault| checker.vault(vault));
    let backup = raw.backup.as_ref().and_then(|backup| checker.backup(backup));
    let database = checker.database(&raw.database);
    let control = super::control_beside(file, &raw.database);
    let drivers_folder = checker.beside(&raw.drivers.folder);
    let purse = checker.purse(&raw.purse, currency.unwrap_or(Currency::CNY));
    match (time_zone, currency, database) {
        (Some(time_zone), Some(currency), Some(database)) if checker.problems.is_empty() => {
            Ok(Config {
                file: file.to_owned(),
                listen: raw.server.listen,
                database,
                control,
                drivers_folder,
                time_zone,
                currency,
                drivers,
                vendors,
                pins,
                lines,
                card_marks,
                readers,
                reader_profiles,
                vault,
                rules,
                purse,
                backup,
            })
        }
        _ => Err(Problems(checker.problems)),
    }
}

/// `[vault]` alone.
pub fn vault(file: &Path, text: &str, raw: &raw::File) -> Result<VaultEntry, Problems> {
    let mut checker = Checker { file, text, problems: Vec::new() };
    let entry = raw.vault.as_ref().and_then(|vault| checker.vault(vault));
    if entry.is_none() && checker.problems.is_empty() {
        let fix = "add [vault] with file = \"keys.vault\" and unlock-file = \"vault.unlock\"";
        checker.problems.push(Problem::of_file(file, "there is no [vault]", fix));
    }
    entry.ok_or(Problems(checker.problems))
}

impl Checker<'_> {
    pub(super) fn problem<T>(&mut self, at: &Spanned<T>, what: String, fix: String) {
        let line = Some(line_at(self.text, at.span().start));
        self.problems.push(Problem { file: self.file.to_owned(), line, what, fix });
    }

    /// Relative paths start at the configuration's folder, not at where the process was started.
    pub(super) fn beside(&self, path: &Path) -> PathBuf {
        self.file.parent().unwrap_or(Path::new("")).join(path)
    }

    fn time_zone(&mut self, name: &Spanned<String>) -> Option<TimeZone> {
        match TimeZone::get(name.get_ref()) {
            Ok(zone) => Some(zone),
            Err(_) => {
                let what = format!("no time zone `{}`", name.get_ref());
                let fix = "write a name such as Asia/Shanghai (the system's tzdata must be there)";
                self.problem(name, what, fix.to_owned());
                None
            }
        }
    }

    fn currency(&mut self, code: &Spanned<String>) -> Option<Currency> {
        let found = Currency::from_code(code.get_ref());
        if found.is_none() {
            let what = format!("currency `{}` cannot be booked", code.get_ref());
            self.problem(code, what, "write CNY".to_owned());
        }
        found
    }

    /// Refuses a name that is empty, too long, has blanks, or stood before.
    pub(super) fn unique(
        &mut self,
        seen: &mut HashMap<String, usize>,
        what: &'static str,
        name: &Spanned<String>,
    ) {
        let text = name.get_ref();
        let line = line_at(self.text, name.span().start);
        if text.is_empty() || text.len() > 64 || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            let fix = "use 1 to 64 printable characters without spaces".to_owned();
            self.problem(name, format!("`{text}` is not a name for a {what}"), fix);
        } else if let Some(first) = seen.insert(text.clone(), line) {
            let fix = "give one of them another name".to_owned();
            self.problem(name, format!("{what} `{text}` already stands in line {first}"), fix);
        }
    }

    pub(super) fn vendor(&mut self, code: &Spanned<String>) -> Option<VendorCode> {
        match VendorCode::new(code.get_ref()) {
            Ok(vendor) => Some(vendor),
            Err(error) => {
                let fix = "write the code that the driver's description names".to_owned();
                self.problem(code, error.to_string(), fix);
                None
            }
        }
    }

    fn region(&mut self, name: &Spanned<String>) -> Option<Region> {
        match Region::new(name.get_ref()) {
            Ok(region) => Some(region),
            Err(error) => {
                let fix = "write it as in the vault, or leave it out".to_owned();
                self.problem(name, error.to_string(), fix);
                None
            }
        }
    }

    fn drivers(&mut self, raw: &raw::File, pins: &Pins) -> Vec<DriverEntry> {
        let mut names = HashMap::new();
        let mut vendors = HashMap::new();
        let mut found = Vec::new();
        for driver in &raw.driver {
            self.unique(&mut names, "driver", &driver.name);
            let source = self.source(driver);
            let Some(vendor) = self.vendor(&driver.vendor) else { continue };
            let region = driver.region.as_ref().and_then(|region| self.region(region));
            let line = line_at(self.text, driver.vendor.span().start);
            if driver.enabled
                && let Some(first) = vendors.insert(vendor.clone(), line)
            {
                let what = format!("vendor {vendor} already has the driver in line {first}");
                let fix = "leave one driver per vendor".to_owned();
                self.problem(&driver.vendor, what, fix);
            }
            let limits = self.limits(&driver.limits);
            let candidate = driver.candidate.as_ref().map(|it| self.candidate(it, &raw.line));
            let Some(source) = source else { continue };
            found.push(DriverEntry {
                trust: pins.trust(&vendor, driver.allow_unsigned),
                config: DriverConfig {
                    name: driver.name.get_ref().clone(),
                    vendor: Some(vendor),
                    cover: None,
                    region,
                    grants: driver.grant.iter().copied().map(capability).collect(),
                    limits,
                    written: driver.limits.keys().map(|raw::LimitName(knob)| *knob).collect(),
                },
                source,
                is_enabled: driver.enabled,
                candidate,
                line: line_at(self.text, driver.name.span().start),
            });
        }
        found
    }

    fn limits(&mut self, asked: &raw::Limits) -> Limits {
        let mut limits = Limits::default();
        for (raw::LimitName(knob), value) in asked {
            if let Err(error) = limits.set(*knob, *value.get_ref()) {
                let fix = "change it, or leave the key out".to_owned();
                self.problem(value, error.to_string(), fix);
            }
        }
        limits
    }

    fn lines(&mut self, lines: &[raw::Line], zone: Option<&TimeZone>) -> Vec<LineSettings> {
        let mut names = HashMap::new();
        let mut found = Vec::new();
        for line in lines {
            self.unique(&mut names, "line", &line.name);
            let Some(endpoint) = self.endpoint(line, zone) else { continue };
            let times = [
                ("reply-timeout-ms", line.reply_timeout_ms),
                ("byte-timeout-ms", line.byte_timeout_ms),
                ("total-timeout-ms", line.total_timeout_ms),
            ];
            for (key, _) in times.iter().filter(|(_, time_ms)| *time_ms == 0) {
                let what = format!("line `{}` has {key} = 0", line.name.get_ref());
                let fix = "write at least 1, or leave the key out".to_owned();
                self.problem(&line.name, what, fix);
            }
            found.push(LineSettings {
                name: line.name.get_ref().clone(),
                endpoint,
                inter_frame: Duration::from_millis(line.inter_frame_ms),
                reply_timeout: Duration::from_millis(line.reply_timeout_ms),
                byte_timeout: Duration::from_millis(line.byte_timeout_ms),
                total_timeout: Duration::from_millis(line.total_timeout_ms),
            });
        }
        found
    }

    fn endpoint(&mut self, line: &raw::Line, zone: Option<&TimeZone>) -> Option<Endpoint> {
        let name = line.name.get_ref();
        let serial_settings =
            line.baud.is_some() || line.parity.is_some() || line.stop_bits.is_some();
        match (&line.serial, &line.tcp) {
            (Some(path), None) => {
                if let Some(bits) = line.stop_bits.as_ref().filter(|bits| {
                    let bits = *bits.get_ref();
                    bits != 1 && bits != 2
                }) {
                    let what = format!("line `{name}` has {} stop bits", bits.get_ref());
                    self.problem(bits, what, "write 1 or 2".to_owned());
                }
                if let Some(named) = &line.envelope {
                    let what = format!("line `{name}` is serial and has an envelope");
                    let fix = "remove it: envelopes are what gateways on tcp put around bytes";
                    self.problem(named, what, fix.to_owned());
                }
                Some(Endpoint::Serial {
                    path: self.beside(path),
                    // DL/T 645-2007, 5: 2400 Bd, even parity, one stop bit as delivered.
                    baud: line.baud.unwrap_or(2400),
                    parity: match line.parity.unwrap_or(raw::Parity::Even) {
                        raw::Parity::None => Parity::None,
                        raw::Parity::Even => Parity::Even,
                        raw::Parity::Odd => Parity::Odd,
                    },
                    stop_bits: line.stop_bits.as_ref().map_or(1, |bits| *bits.get_ref()),
                })
            }
            (None, Some(address)) => {
                let host_and_port = address.get_ref().rsplit_once(':');
                if !host_and_port
                    .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
                {
                    let what = format!("`{}` is no address", address.get_ref());
                    let fix = "write host:port, e.g. 192.168.1.50:8899".to_owned();
                    self.problem(address, what, fix);
                }
                if serial_settings {
                    let what = format!("line `{name}` is tcp and has serial settings");
                    let fix = "remove baud, parity and stop-bits: the gateway has its own";
                    self.problem(address, what, fix.to_owned());
                }
                self.far_end(address.get_ref().clone(), line.envelope.as_ref(), zone)
            }
            (Some(_), Some(_)) | (None, None) => {
                let what = format!("line `{name}` needs exactly one far end");
                let fix = "give it either serial = \"/dev/...\" or tcp = \"host:port\"".to_owned();
                self.problem(&line.name, what, fix);
                None
            }
        }
    }
}

impl Checker<'_> {
    /// A gateway, transparent or with an envelope. `zone`: `None` where the site's is no zone, which
    /// is a problem of its own.
    fn far_end(
        &mut self,
        address: String,
        named: Option<&Spanned<String>>,
        zone: Option<&TimeZone>,
    ) -> Option<Endpoint> {
        let Some(named) = named else { return Some(Endpoint::Tcp { address }) };
        match envelopes::named(named.get_ref(), zone.unwrap_or(&TimeZone::UTC)) {
            Some(envelope) => Some(Endpoint::Enveloped { address, envelope }),
            None => {
                let what = format!("there is no envelope `{}`", named.get_ref());
                let fix =
                    format!("write one of {}, or leave it out", envelopes::names().join(", "));
                self.problem(named, what, fix);
                None
            }
        }
    }
}

fn capability(grant: raw::Grant) -> Capability {
    match grant {
        raw::Grant::Line => Capability::Line,
        raw::Grant::Vault => Capability::Vault,
        raw::Grant::Log => Capability::Log,
        raw::Grant::CardSlot => Capability::CardSlot,
    }
}

//! The `[[vendor]]` tables that name a driver: vendors whose devices are like those of a vendor that has
//! one. Each becomes a driver of its own, of the same package, with the vendor's own keys and dialect.
//!
//! Not here: pinned keys (pins), what is known of vendors without any configuration (vendors.rs).

use super::checks::Checker;
use super::{DriverEntry, Source, raw};
use crate::vendors::{Evidence, Registry, Vendor};
use polymeter_domain::{Decimal, Value, VendorCode};
use polymeter_runtime::Cover;
use toml::Spanned;

impl Checker<'_> {
    /// Adds to `drivers` those that cover a vendor, and returns the vendors.
    pub(super) fn covers(
        &mut self,
        vendors: &[raw::Vendor],
        drivers: &mut Vec<DriverEntry>,
    ) -> Vec<Vendor> {
        let mut found: Vec<Vendor> = Vec::new();
        for raw in vendors {
            let Some(name) = &raw.driver else {
                self.stray(raw);
                continue;
            };
            let Some(code) = self.vendor(&raw.code) else { continue };
            if found.iter().any(|known| known.code == code) {
                let fix = "leave one of its tables".to_owned();
                self.problem(&raw.code, format!("vendor {code} is covered twice"), fix);
                continue;
            }
            if let Some(signer) = &raw.signer {
                let what = format!("vendor {code} has a driver of another vendor's, and a signer");
                let fix = "remove signer: whose signature counts is said with that other vendor";
                self.problem(signer, what, fix.to_owned());
            }
            let Some(vendor) = self.covered(code, name, raw) else { continue };
            if let Some(entry) = self.cover(raw, &vendor, name, drivers) {
                drivers.push(entry);
            }
            found.push(vendor);
        }
        found
    }

    /// A table of keys alone says nothing of names and parameters.
    fn stray(&mut self, raw: &raw::Vendor) {
        let names = raw.name_en.is_some() || raw.name_zh.is_some() || raw.models.is_some();
        if names || raw.evidence.is_some() || !raw.parameters.is_empty() {
            let what =
                format!("vendor {} has names or parameters and no driver", raw.code.get_ref());
            let fix = "write driver = \"...\", the name of a [[driver]] that covers its meters";
            self.problem(&raw.code, what, fix.to_owned());
        }
    }

    /// What the registry knows of it, and what the table says otherwise.
    fn covered(
        &mut self,
        code: VendorCode,
        driver: &Spanned<String>,
        raw: &raw::Vendor,
    ) -> Option<Vendor> {
        let known = Registry::built_in().find(&code).cloned();
        let of = |said: &Option<String>, known: Option<&String>| said.clone().or(known.cloned());
        let name_en = of(&raw.name_en, known.as_ref().map(|it| &it.name_en));
        let name_zh = of(&raw.name_zh, known.as_ref().map(|it| &it.name_zh));
        let (Some(name_en), Some(name_zh)) = (name_en, name_zh) else {
            let what = format!("vendor {code} is not in the registry and has no name");
            let fix = "write name-en and name-zh; `polymeter vendors` lists those that have";
            self.problem(&raw.code, what, fix.to_owned());
            return None;
        };
        let mut dialect = match &known {
            // What is known of it is known with that driver alone.
            Some(known) if known.driver.as_ref() == Some(driver.get_ref()) => known.dialect.clone(),
            _ => Vec::new(),
        };
        for (name, value) in &raw.parameters {
            let Some(value) = self.dialect_value(name, value) else { continue };
            dialect.retain(|(known, _)| known != name);
            dialect.push((name.clone(), value));
        }
        let known_evidence = known.as_ref().map_or(Evidence::Assumed, |it| it.evidence);
        let models = known.map(|it| it.models).unwrap_or_default();
        Some(Vendor {
            code,
            name_en,
            name_zh,
            models: raw.models.clone().unwrap_or(models),
            driver: Some(driver.get_ref().clone()),
            evidence: raw.evidence.unwrap_or(known_evidence),
            dialect,
        })
    }

    fn dialect_value(&mut self, name: &str, value: &Spanned<toml::Value>) -> Option<Value> {
        let found = crate::vendors::value(value.get_ref());
        if found.is_none() {
            let fix = "write a whole number, a text, true or false".to_owned();
            self.problem(value, format!("the parameter {name} is of no type here"), fix);
        }
        found
    }

    /// The driver that it names, once more, for this vendor.
    fn cover(
        &mut self,
        raw: &raw::Vendor,
        vendor: &Vendor,
        name: &Spanned<String>,
        drivers: &[DriverEntry],
    ) -> Option<DriverEntry> {
        let code = &vendor.code;
        let own =
            drivers.iter().find(|it| it.is_enabled && it.config.vendor.as_ref() == Some(code));
        if let Some(own) = own {
            let what = format!("vendor {code} has the driver `{}` of its own", own.config.name);
            self.problem(&raw.code, what, "leave one driver per vendor".to_owned());
            return None;
        }
        let base = drivers.iter().find(|it| it.config.name == *name.get_ref());
        let Some(base) = base.filter(|it| it.config.cover.is_none()) else {
            let what = format!("no [[driver]] is named `{}`", name.get_ref());
            self.problem(name, what, "name one of this file".to_owned());
            return None;
        };
        if matches!(base.source, Source::Native(_)) {
            let what = format!("`{}` is a native library, which serves one vendor", name.get_ref());
            self.problem(name, what, "name a driver that is a package".to_owned());
            return None;
        }
        let mut entry = base.clone();
        let of = base.config.vendor.clone()?;
        entry.config.name = format!("{}@{code}", base.config.name);
        if drivers.iter().any(|it| it.config.name == entry.config.name) {
            let what = format!("a [[driver]] is named `{}`", entry.config.name);
            self.problem(&raw.code, what, "give that one another name".to_owned());
            return None;
        }
        entry.config.vendor = Some(code.clone());
        entry.config.cover = Some(Cover { of, dialect: vendor.dialect.clone() });
        entry.candidate = None;
        Some(entry)
    }
}

/// A number as the contract has it.
pub fn whole(mantissa: i64) -> Value {
    Value::Number(Decimal { mantissa, scale: 0 })
}

//! The registry of vendors: which code stands for whom, which driver speaks to their devices, and how
//! sure that is. Data, in `vendors.toml`; a site adds its own in its configuration.
//!
//! Invariant: the built-in file is good, which a test sees. Not here: which vendors a site serves
//! (config), keys and meters.

use crate::config::whole;
use polymeter_domain::{Value, VendorCode};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::OnceLock;

/// One vendor.
#[derive(Debug, Clone, PartialEq)]
pub struct Vendor {
    pub code: VendorCode,
    pub name_en: String,
    pub name_zh: String,
    /// Families of devices, as the vendor names them; may be empty.
    pub models: Vec<String>,
    /// The name of the driver; `None`: nobody knows one.
    pub driver: Option<String>,
    pub evidence: Evidence,
    /// Values of that driver's parameters.
    pub dialect: Vec<(String, Value)>,
}

/// How sure it is that the driver speaks to the vendor's devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Evidence {
    /// By frames that were captured from such devices.
    Proven,
    /// By a standard or a document alone.
    Assumed,
}

impl Evidence {
    /// The word in the files.
    pub fn name(self) -> &'static str {
        match self {
            Evidence::Proven => "proven",
            Evidence::Assumed => "assumed",
        }
    }
}

/// All vendors that are known without any configuration.
#[derive(Debug)]
pub struct Registry(Vec<Vendor>);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    vendor: Vec<Raw>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Raw {
    code: String,
    name_en: String,
    name_zh: String,
    #[serde(default)]
    models: Vec<String>,
    driver: Option<String>,
    evidence: Evidence,
    #[serde(default)]
    parameters: BTreeMap<String, toml::Value>,
}

impl Registry {
    /// The one of this program.
    pub fn built_in() -> &'static Registry {
        static REGISTRY: OnceLock<Registry> = OnceLock::new();
        REGISTRY.get_or_init(|| {
            Registry::parse(include_str!("vendors.toml")).expect("the program's own file is good")
        })
    }

    fn parse(text: &str) -> Result<Registry, String> {
        let file: File = toml::from_str(text).map_err(|error| error.to_string())?;
        let mut vendors: Vec<Vendor> = Vec::new();
        for raw in file.vendor {
            let code = VendorCode::new(&raw.code).map_err(|error| error.to_string())?;
            if vendors.iter().any(|known| known.code == code) {
                return Err(format!("vendor {code} stands twice"));
            }
            let mut dialect = Vec::new();
            for (name, said) in raw.parameters {
                let value = value(&said).ok_or_else(|| format!("{code}: {name} is of no type"))?;
                dialect.push((name, value));
            }
            vendors.push(Vendor {
                code,
                name_en: raw.name_en,
                name_zh: raw.name_zh,
                models: raw.models,
                driver: raw.driver,
                evidence: raw.evidence,
                dialect,
            });
        }
        Ok(Registry(vendors))
    }

    pub fn vendors(&self) -> &[Vendor] {
        &self.0
    }

    pub fn find(&self, code: &VendorCode) -> Option<&Vendor> {
        self.0.iter().find(|vendor| vendor.code == *code)
    }
}

/// A parameter as the contract has it; `None`: of no type that it has.
pub fn value(said: &toml::Value) -> Option<Value> {
    match said {
        toml::Value::Integer(number) => Some(whole(*number)),
        toml::Value::String(text) => Some(Value::Text(text.clone())),
        toml::Value::Boolean(flag) => Some(Value::Flag(*flag)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use polymeter_package::Manifest;
    use std::path::Path;

    /// M300 names eight vendors; Acrel and Sfere are the other two that the product has to know.
    #[test]
    fn the_vendors_of_the_papers_are_known() {
        for code in [
            "LONGDIAN",
            "SANXING",
            "HENGTONG",
            "WASION",
            "HAONINGDA",
            "HOLLEY",
            "ABB",
            "SCHLUMBERGER",
            "ACREL",
            "SFERE",
        ] {
            let code = VendorCode::new(code).expect("a code");
            let vendor = Registry::built_in().find(&code).unwrap_or_else(|| panic!("no {code}"));
            assert!(vendor.driver.is_some(), "{code} has no driver");
        }
    }

    /// Every driver that the registry names is one of this tree, takes the dialect, and where it names
    /// the vendor itself, by the same names.
    #[test]
    fn drivers_and_dialects_are_those_of_the_drivers() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../drivers");
        for vendor in Registry::built_in().vendors() {
            let Some(driver) = &vendor.driver else { continue };
            let path = root.join(driver).join("driver.toml");
            let text = std::fs::read_to_string(&path)
                .unwrap_or_else(|why| panic!("{}: {}: {why}", vendor.code, path.display()));
            let manifest = Manifest::parse(&path, &text).expect("a good driver.toml");
            for (name, value) in &vendor.dialect {
                let found = manifest.parameters.iter().find(|it| it.name == *name);
                let declared = found.unwrap_or_else(|| panic!("{}: no {name}", vendor.code));
                assert!(!declared.writable && declared.is_allowed(value), "{} {name}", vendor.code);
            }
            if let Some(own) = manifest.vendors.iter().find(|it| it.code == vendor.code) {
                assert_eq!((&own.name_en, &own.name_zh), (&vendor.name_en, &vendor.name_zh));
            }
        }
    }

    #[test]
    fn a_bad_registry_is_refused() {
        let check = |text: &str, part: &str| {
            let error = Registry::parse(text).expect_err("refused");
            assert!(error.contains(part), "{error}");
        };
        let entry = "[[vendor]]\ncode = \"X\"\nname-en = \"X\"\nname-zh = \"X\"\n";
        check(entry, "evidence");
        let good = format!("{entry}evidence = \"assumed\"\n");
        check(&format!("{good}{good}"), "vendor X stands twice");
        check(&format!("{good}parameters = {{ a = 1.5 }}\n"), "X: a is of no type");
        check(&good.replace("\"X\"\nname-en", "\"x\"\nname-en"), "vendor code `x`");
        assert!(Registry::parse(&good).is_ok());
    }
}

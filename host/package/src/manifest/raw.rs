//! The shape of `driver.toml` as serde reads it. Everything here is checked by meaning in `checks`.

use serde::Deserialize;
use std::collections::BTreeMap;
use toml::Spanned;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct File {
    pub name: Spanned<String>,
    pub version: Spanned<String>,
    pub contract: Spanned<String>,
    pub models: Vec<Spanned<String>>,
    pub vendor: Spanned<Vec<Vendor>>,
    pub imports: Vec<Spanned<String>>,
    #[serde(default)]
    pub keys: Vec<Spanned<String>>,
    pub proof: Spanned<String>,
    pub purse: Spanned<String>,
    pub purse_step: Option<Spanned<i64>>,
    #[serde(default)]
    pub limits: BTreeMap<String, Spanned<i64>>,
    #[serde(default)]
    pub parameters: BTreeMap<String, Spanned<Parameter>>,
    pub cards: Option<Cards>,
    #[serde(default)]
    pub errors: BTreeMap<String, Spanned<DeviceError>>,
    /// Register maps of an instrument, which its component alone reads (ADR 0034).
    #[serde(default)]
    pub map: Vec<toml::Table>,
    /// Read by the SDK alone.
    #[serde(default)]
    pub build: toml::Table,
    #[serde(default)]
    pub certify: toml::Table,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Vendor {
    pub code: Spanned<String>,
    pub name_en: String,
    pub name_zh: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Parameter {
    #[serde(rename = "type")]
    pub kind: Spanned<String>,
    pub title_en: String,
    pub title_zh: String,
    #[serde(default)]
    pub description_en: String,
    #[serde(default)]
    pub description_zh: String,
    pub minimum: Option<i64>,
    pub maximum: Option<i64>,
    #[serde(rename = "enum")]
    pub choices: Option<Spanned<Vec<Spanned<toml::Value>>>>,
    pub default: Option<Spanned<toml::Value>>,
    pub unit: Option<Spanned<String>>,
    #[serde(default)]
    pub writable: bool,
    #[serde(default)]
    pub cards: Vec<Spanned<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Cards {
    pub makes: Spanned<Vec<Spanned<String>>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct DeviceError {
    pub code: Option<String>,
    #[serde(default)]
    pub of: Vec<Spanned<String>>,
    #[serde(default)]
    pub bit: bool,
    pub en: String,
    pub zh: String,
}

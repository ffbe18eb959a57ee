//! What an instrument's `driver.toml` says, read inside its component: who it is, the parameters it
//! takes, its register maps.
//!
//! Invariant: a file that cannot be used is told as a sentence, by every call and by `describe`; the
//! host then refuses to load the driver with it. Not here: what only a host reads (imports, errors,
//! limits).

use crate::embedded::{BEGIN, END};
use crate::map::{Map, unit_of};
use crate::value::number;
use polymeter_codec::modbus::Unit;
use polymeter_driver::{Call, Description, DriverError, Parameter, Value, codes};
use serde::Deserialize;

/// The parameter that chooses between several maps.
pub const MODEL: &str = "model";

/// A read `driver.toml`.
#[derive(Debug, Clone)]
pub struct Face {
    name: String,
    version: String,
    models: Vec<String>,
    vendor: String,
    parameters: Vec<Parameter>,
    maps: Vec<Map>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct File {
    name: String,
    version: String,
    models: Vec<String>,
    vendor: Vec<Vendor>,
    #[serde(default)]
    parameters: toml::Table,
    #[serde(default)]
    map: Vec<Map>,
}

#[derive(Debug, Deserialize)]
struct Vendor {
    code: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Declared {
    title_en: String,
    title_zh: String,
    minimum: Option<i64>,
    maximum: Option<i64>,
    default: Option<toml::Value>,
    unit: Option<String>,
    #[serde(default)]
    writable: bool,
}

impl Face {
    /// Reads what stands in an [`crate::Embedded`] place.
    pub fn read(place: &[u8]) -> Result<Face, String> {
        Face::parse(text_of(place)?)
    }

    /// Reads the text of a `driver.toml`; the error names line or map.
    pub fn parse(text: &str) -> Result<Face, String> {
        let file: File = toml::from_str(text).map_err(|error| {
            let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
            let line = before.matches('\n').count().saturating_add(1);
            format!("driver.toml:{line}: {}", error.message())
        })?;
        let Some(vendor) = file.vendor.into_iter().next() else {
            return Err("driver.toml has no [[vendor]]".to_owned());
        };
        if file.map.is_empty() {
            return Err("driver.toml has no [[map]]".to_owned());
        }
        for map in &file.map {
            map.check()?;
            if !file.models.contains(&map.model) {
                return Err(format!("map {} is none of the models", map.model));
            }
        }
        let of_model = |model: &String| file.map.iter().filter(|map| map.model == *model).count();
        for model in &file.models {
            if of_model(model) != 1 {
                return Err(format!("model {model} has {} maps", of_model(model)));
            }
        }
        let parameters = file.parameters.into_iter().map(|(name, said)| parameter(name, said));
        Ok(Face {
            name: file.name,
            version: file.version,
            models: file.models,
            vendor: vendor.code,
            parameters: parameters.collect::<Result<_, _>>()?,
            maps: file.map,
        })
    }

    /// The component's account of itself. Such instruments have no purse.
    pub fn description(&self) -> Description {
        Description {
            vendor_code: self.vendor.clone(),
            name: self.name.clone(),
            version: self.version.clone(),
            models: self.models.clone(),
            proof: codes::proof::NONE,
            purse: codes::quantity::NONE,
            parameters: self.parameters.clone(),
        }
    }

    /// The account of a component whose file cannot be used: vendor, name and version as far as they
    /// can be read, and in the place of the models `why`. No host takes that for the package's models,
    /// and the refusal shows it.
    pub fn unusable(place: &[u8], why: String) -> Description {
        let table: toml::Table =
            text_of(place).ok().and_then(|text| text.parse().ok()).unwrap_or_default();
        let word = |value: Option<&toml::Value>| {
            value.and_then(toml::Value::as_str).unwrap_or_default().to_owned()
        };
        let vendor = table.get("vendor").and_then(|vendors| vendors.get(0)?.get("code"));
        Description {
            vendor_code: word(vendor),
            name: word(table.get("name")),
            version: word(table.get("version")),
            models: vec![why],
            proof: codes::proof::NONE,
            purse: codes::quantity::NONE,
            parameters: Vec::new(),
        }
    }

    /// All maps, in the order of the file.
    pub fn maps(&self) -> &[Map] {
        &self.maps
    }

    /// The map of the meter that a call is about: by its parameter `model`, by that parameter's
    /// default, or the only one.
    pub fn map(&self, call: &Call) -> Result<&Map, DriverError> {
        let given = call.parameters.iter().find(|(name, _)| name == MODEL).map(|(_, it)| it);
        let default = || {
            let declared = self.parameters.iter().find(|it| it.name == MODEL);
            declared.and_then(|it| it.default.as_ref())
        };
        let model = match (given.or_else(default), self.maps.as_slice()) {
            (Some(Value::Text(model)), _) => model,
            (None, [only]) => return Ok(only),
            _ => return Err(bad(format!("`{MODEL}` must be one of {}", self.models.join(", ")))),
        };
        self.maps.iter().find(|map| map.model == *model).ok_or_else(|| {
            bad(format!("there is no map for `{model}`: {}", self.models.join(", ")))
        })
    }
}

fn text_of(place: &[u8]) -> Result<&str, String> {
    let text = place.strip_prefix(BEGIN).and_then(|rest| rest.strip_suffix(END));
    let text = text.ok_or_else(|| "this component's driver.toml has lost its marks".to_owned())?;
    let text = std::str::from_utf8(text).map_err(|_| "driver.toml is no text".to_owned())?;
    Ok(text.trim_end())
}

/// The unit that an address names: `1` to `247`.
pub fn unit(address: &str) -> Result<Unit, DriverError> {
    let digits = address.bytes().all(|byte| byte.is_ascii_digit());
    let unit = address.parse().ok().filter(|_| digits).and_then(Unit::new);
    unit.ok_or_else(|| bad(format!("`{address}` is no unit on a line: 1 to 247")))
}

/// An address or a parameter that the driver does not take.
pub fn bad(detail: impl Into<String>) -> DriverError {
    DriverError::new(codes::error::BAD_PARAMETER, detail)
}

fn parameter(name: String, said: toml::Value) -> Result<Parameter, String> {
    let declared: Declared =
        said.try_into().map_err(|error| format!("parameter {name}: {}", error.message()))?;
    let unit = declared.unit.as_deref().unwrap_or("none");
    let unit = unit_of(unit).ok_or_else(|| format!("parameter {name}: no unit `{unit}`"))?;
    let default = match declared.default {
        None => None,
        Some(toml::Value::Integer(whole)) => Some(number(whole, 0)),
        Some(toml::Value::String(text)) => Some(Value::Text(text)),
        Some(toml::Value::Boolean(flag)) => Some(Value::Flag(flag)),
        Some(_) => return Err(format!("parameter {name}: its default is of no type here")),
    };
    Ok(Parameter {
        name,
        title_en: declared.title_en,
        title_zh: declared.title_zh,
        unit,
        minimum: declared.minimum,
        maximum: declared.maximum,
        default,
        writable: declared.writable,
    })
}

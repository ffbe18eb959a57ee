//! A manifest as JSON: for `driver inspect`, and its parameters as a JSON Schema that a form is
//! drawn from.

use super::{Manifest, PURSES, Parameter, ParameterKind, UNITS};
use polymeter_domain::{CardPurpose, Value};
use serde_json::{Map, Value as Json, json};

impl Manifest {
    pub fn to_json(&self) -> Json {
        let purse = PURSES.iter().find(|(_, purse)| *purse == self.purse);
        json!({
            "name": self.name,
            "version": self.version.to_string(),
            "contract": self.contract.to_string(),
            "models": self.models,
            "vendors": self.vendors.iter().map(|vendor| json!({
                "code": vendor.code.as_str(),
                "name_en": vendor.name_en,
                "name_zh": vendor.name_zh,
            })).collect::<Vec<_>>(),
            "imports": self.imports,
            "keys": self.keys,
            "limits": self.limits,
            "proof": self.proof.name(),
            "purse": purse.map_or("none", |(name, _)| *name),
            "purse_step": self.purse_step,
            "parameters": self.parameters_schema(),
            "makes_cards": self.makes.as_ref().map(|makes| names(makes)),
            "maps": self.maps.iter().map(|map| json!({
                "model": map.get("model").and_then(toml::Value::as_str),
                "evidence": map.get("evidence").and_then(toml::Value::as_str),
                "source": map.get("source").and_then(toml::Value::as_str),
            })).collect::<Vec<_>>(),
            "errors": self.errors.iter().map(|error| json!({
                "code": error.code,
                "of": error.of,
                "bit": error.bit,
                "en": error.en,
                "zh": error.zh,
            })).collect::<Vec<_>>(),
        })
    }

    /// JSON Schema of the object that a meter's configuration gives the driver. `title` is English;
    /// what JSON Schema has no word for stands under `x-`.
    pub fn parameters_schema(&self) -> Json {
        let properties: Map<String, Json> =
            self.parameters.iter().map(|it| (it.name.clone(), it.schema())).collect();
        json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "properties": properties,
            "additionalProperties": false,
            "x-order": self.parameters.iter().map(|it| it.name.as_str()).collect::<Vec<_>>(),
        })
    }
}

impl Parameter {
    /// The unit's word in `driver.toml`.
    pub fn unit_name(&self) -> &'static str {
        UNITS.iter().find(|(_, code)| *code == self.unit.0).map_or("none", |(name, _)| name)
    }

    fn schema(&self) -> Json {
        let kind = match self.kind {
            // A decimal of more digits than a float keeps is given as text.
            ParameterKind::Number => json!(["number", "string"]),
            kind => json!(kind.name()),
        };
        let mut schema = json!({
            "type": kind,
            "title": self.title_en,
            "x-title-zh": self.title_zh,
            "x-unit": self.unit_name(),
            "x-writable": self.writable,
        });
        for (key, text) in
            [("description", &self.description_en), ("x-description-zh", &self.description_zh)]
        {
            if !text.is_empty() {
                schema[key] = json!(text);
            }
        }
        for (key, bound) in [("minimum", self.minimum), ("maximum", self.maximum)] {
            if let Some(bound) = bound {
                schema[key] = json!(bound);
            }
        }
        if !self.cards.is_empty() {
            schema["x-cards"] = json!(names(&self.cards));
        }
        if !self.choices.is_empty() {
            schema["enum"] = self.choices.iter().map(value).collect();
        }
        if let Some(default) = &self.default {
            schema["default"] = value(default);
        }
        schema
    }
}

fn names(purposes: &[CardPurpose]) -> Vec<&'static str> {
    purposes.iter().map(|purpose| purpose.name()).collect()
}

fn value(value: &Value) -> Json {
    match value {
        Value::Number(number) if number.scale == 0 => json!(number.mantissa),
        // As text: a decimal never goes through a float.
        Value::Number(number) => json!(number.to_string()),
        Value::Text(text) => json!(text),
        Value::Flag(flag) => json!(flag),
        Value::Bytes(_) | Value::Time(_) => Json::Null,
    }
}

//! From the file's shape to a [`Manifest`]: what a type cannot say. All problems are collected.

use super::{
    DeviceError, Manifest, PURSES, Parameter, ParameterKind, Proof, TEXT_BYTES, UNITS, Vendor, raw,
};
use crate::problem::{Problem, Problems, line_at};
use polymeter_domain::{CardPurpose, Decimal, Quantity, Unit, Value, VendorCode};
use semver::Version;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use toml::Spanned;

/// Names, titles, versions; as the runtime bounds what `describe` returns.
const NAME_BYTES: usize = 128;
const ENTRIES: usize = 256;
/// A kWh, or a m³.
const PURSE_STEP_MAX: u64 = 1000;
/// Interfaces of the contract in whose answers a device's own error may stand.
const ANSWERING: &[&str] = &["meter", "purse", "supply", "settings", "bus", "card"];

struct Checker<'a> {
    file: &'a Path,
    text: &'a str,
    problems: Vec<Problem>,
}

pub fn check(file: &Path, text: &str, raw: raw::File) -> Result<Manifest, Problems> {
    let mut checker = Checker { file, text, problems: Vec::new() };
    let name = checker.name(&raw.name);
    let version = checker.version(&raw.version);
    let contract = checker.version(&raw.contract);
    let models = checker.models(&raw.models);
    let vendors = checker.vendors(&raw.vendor);
    let imports = checker.words("import", &raw.imports);
    let keys = checker.words("key label", &raw.keys);
    let limits = checker.limits(raw.limits);
    let proof = checker.proof(&raw.proof);
    let purse = checker.one_of("purse", &raw.purse, PURSES);
    let purse_step = checker.purse_step(raw.purse_step.as_ref(), purse);
    let makes = raw.cards.as_ref().map(|cards| checker.makes(&cards.makes, &imports));
    let parameters = checker.parameters(raw.parameters, makes.as_deref());
    let errors = checker.errors(raw.errors);
    match (version, contract, proof, purse) {
        (Some(version), Some(contract), Some(proof), Some(purse))
            if checker.problems.is_empty() =>
        {
            Ok(Manifest {
                name,
                version,
                contract,
                models,
                vendors,
                imports,
                keys,
                limits,
                proof,
                purse,
                purse_step,
                parameters,
                makes,
                errors,
                maps: raw.map,
                build: raw.build,
                certify: raw.certify,
            })
        }
        _ => Err(Problems(checker.problems)),
    }
}

impl Checker<'_> {
    fn problem<T>(&mut self, at: &Spanned<T>, what: String, fix: impl Into<String>) {
        let line = Some(line_at(self.text, at.span().start));
        self.problems.push(Problem { file: self.file.to_owned(), line, what, fix: fix.into() });
    }

    /// Also the name of a file, so nothing that a file system could take for more.
    fn name(&mut self, name: &Spanned<String>) -> String {
        if !is_word(name.get_ref()) {
            let what = format!("`{}` is no name for a driver", name.get_ref().escape_debug());
            self.problem(name, what, "use 1 to 64 small letters, digits and `-`");
        }
        name.get_ref().clone()
    }

    fn version(&mut self, text: &Spanned<String>) -> Option<Version> {
        match Version::parse(text.get_ref()) {
            Ok(version) if text.get_ref().len() <= NAME_BYTES => return Some(version),
            Ok(_) => self.problem(text, "the version is too long".to_owned(), "shorten it"),
            Err(error) => {
                let what = format!("`{}` is no version: {error}", text.get_ref().escape_debug());
                self.problem(text, what, "write three numbers, e.g. 1.0.0");
            }
        }
        None
    }

    fn models(&mut self, models: &[Spanned<String>]) -> Vec<String> {
        for model in models {
            self.shown(model, "a model", model.get_ref(), NAME_BYTES);
        }
        if let Some(more) = models.get(ENTRIES) {
            self.problem(more, format!("more than {ENTRIES} models"), "leave some out");
        }
        models.iter().map(|model| model.get_ref().clone()).collect()
    }

    fn vendors(&mut self, vendors: &Spanned<Vec<raw::Vendor>>) -> Vec<Vendor> {
        if vendors.get_ref().is_empty() {
            self.problem(vendors, "there is no vendor".to_owned(), "add [[vendor]] with its code");
        }
        let mut found: Vec<Vendor> = Vec::new();
        for vendor in vendors.get_ref() {
            self.shown(&vendor.code, "name-en", &vendor.name_en, NAME_BYTES);
            self.shown(&vendor.code, "name-zh", &vendor.name_zh, NAME_BYTES);
            match VendorCode::new(vendor.code.get_ref()) {
                Ok(code) if found.iter().any(|known| known.code == code) => {
                    self.problem(&vendor.code, format!("vendor {code} stands twice"), "remove one");
                }
                Ok(code) => found.push(Vendor {
                    code,
                    name_en: vendor.name_en.clone(),
                    name_zh: vendor.name_zh.clone(),
                }),
                Err(error) => {
                    self.problem(&vendor.code, error.to_string(), "write the code of the meters");
                }
            }
        }
        found
    }

    /// Which imports there are is the contract's affair, which labels the site's vault's.
    fn words(&mut self, what: &str, words: &[Spanned<String>]) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        for word in words {
            let text = word.get_ref();
            if !is_word(text) {
                let wrong = format!("`{}` is no {what}", text.escape_debug());
                self.problem(word, wrong, "use 1 to 64 small letters, digits and `-`");
            } else if !found.insert(text.clone()) {
                self.problem(word, format!("{what} `{text}` stands twice"), "remove one");
            }
        }
        found
    }

    fn limits(&mut self, limits: BTreeMap<String, Spanned<i64>>) -> BTreeMap<String, u64> {
        let mut found = BTreeMap::new();
        for (name, limit) in limits {
            match u64::try_from(*limit.get_ref()) {
                Ok(value) if value > 0 => {
                    found.insert(name, value);
                }
                _ => self.problem(&limit, format!("limit {name} is no limit"), "write 1 or more"),
            }
        }
        found
    }

    fn proof(&mut self, proof: &Spanned<String>) -> Option<Proof> {
        self.one_of("proof", proof, &Proof::ALL.map(|proof| (proof.name(), proof)))
    }

    fn purse_step(&mut self, step: Option<&Spanned<i64>>, purse: Option<Option<Quantity>>) -> u64 {
        let Some(step) = step else { return 1 };
        let counts = matches!(purse.flatten(), Some(Quantity::Energy | Quantity::Volume));
        match u64::try_from(*step.get_ref()) {
            Ok(value) if counts && (1..=PURSE_STEP_MAX).contains(&value) => return value,
            _ if counts => {
                let what = format!("a purse cannot count in steps of {}", step.get_ref());
                self.problem(step, what, format!("write 1 to {PURSE_STEP_MAX} Wh or litres"));
            }
            _ => {
                let what = "purse-step is of a purse that holds energy or volume".to_owned();
                self.problem(step, what, "remove it");
            }
        }
        1
    }

    fn one_of<T: Copy>(
        &mut self,
        key: &str,
        word: &Spanned<String>,
        known: &[(&str, T)],
    ) -> Option<T> {
        let found = known.iter().find(|(name, _)| name == word.get_ref());
        if found.is_none() {
            let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
            let what = format!("{key} `{}` is not known", word.get_ref().escape_debug());
            self.problem(word, what, format!("write one of {}", names.join(", ")));
        }
        found.map(|(_, value)| *value)
    }

    /// A text that people are shown: something in it, and no control characters.
    fn shown<T>(&mut self, at: &Spanned<T>, what: &str, text: &str, most: usize) {
        if text.is_empty() || text.len() > most || text.chars().any(char::is_control) {
            let wrong = format!("{what} `{}` cannot be shown", start_of(text));
            self.problem(at, wrong, format!("write 1 to {most} bytes of plain text"));
        }
    }

    /// Purposes of maintenance cards, each once.
    fn purposes(&mut self, words: &[Spanned<String>]) -> Vec<CardPurpose> {
        let known: Vec<_> = CardPurpose::ALL.into_iter().filter(|it| it.is_maintenance()).collect();
        let known: Vec<_> = known.into_iter().map(|it| (it.name(), it)).collect();
        let mut found = Vec::new();
        for word in words {
            let Some(purpose) = self.one_of("a maintenance card", word, &known) else { continue };
            if found.contains(&purpose) {
                self.problem(word, format!("{purpose} stands twice"), "remove one");
            } else {
                found.push(purpose);
            }
        }
        found
    }

    fn makes(
        &mut self,
        said: &Spanned<Vec<Spanned<String>>>,
        imports: &BTreeSet<String>,
    ) -> Vec<CardPurpose> {
        if !imports.contains("card-slot") {
            let what = "a driver that has no `card-slot` makes no cards".to_owned();
            self.problem(said, what, "remove [cards], or import card-slot");
        }
        self.purposes(said.get_ref())
    }

    fn parameters(
        &mut self,
        raw: BTreeMap<String, Spanned<raw::Parameter>>,
        makes: Option<&[CardPurpose]>,
    ) -> Vec<Parameter> {
        let mut entries: Vec<_> = raw.into_iter().collect();
        entries.sort_by_key(|(_, parameter)| parameter.span().start);
        if let Some((_, more)) = entries.get(ENTRIES) {
            self.problem(more, format!("more than {ENTRIES} parameters"), "leave some out");
        }
        let mut found = Vec::new();
        for (name, raw) in entries {
            let Some(mut parameter) = self.parameter(name, &raw) else { continue };
            parameter.cards = self.cards_of(&parameter, &raw, makes.unwrap_or_default());
            found.push(parameter);
        }
        found
    }

    /// The cards that carry a parameter: of those that the driver makes.
    fn cards_of(
        &mut self,
        of: &Parameter,
        raw: &Spanned<raw::Parameter>,
        makes: &[CardPurpose],
    ) -> Vec<CardPurpose> {
        let name = &of.name;
        let purposes = self.purposes(&raw.get_ref().cards);
        if let Some(other) = purposes.iter().find(|it| !makes.contains(it)) {
            let what = format!("{name} goes onto {other} cards, and none is made");
            self.problem(raw, what, "name it in makes under [cards]");
        }
        if !purposes.is_empty() && !of.writable {
            let what = format!("{name} goes onto cards and does not live in the device");
            self.problem(raw, what, "write writable = true, or remove cards");
        }
        purposes
    }

    fn parameter(&mut self, name: String, raw: &Spanned<raw::Parameter>) -> Option<Parameter> {
        let said = raw.get_ref();
        if !is_word(&name) {
            let what = format!("`{}` is no name for a parameter", start_of(&name));
            self.problem(raw, what, "use 1 to 64 small letters, digits and `-`");
        }
        self.shown(raw, "title-en", &said.title_en, NAME_BYTES);
        self.shown(raw, "title-zh", &said.title_zh, NAME_BYTES);
        for (key, text) in
            [("description-en", &said.description_en), ("description-zh", &said.description_zh)]
        {
            if !text.is_empty() {
                self.shown(raw, key, text, TEXT_BYTES);
            }
        }
        let known = ParameterKind::ALL.map(|kind| (kind.name(), kind));
        let kind = self.one_of("type", &said.kind, &known)?;
        let unit = match &said.unit {
            Some(unit) => self.one_of("unit", unit, UNITS).map(Unit),
            None => Some(Unit::NONE),
        };
        let is_number = matches!(kind, ParameterKind::Integer | ParameterKind::Number);
        let (minimum, maximum) = (said.minimum, said.maximum);
        if !is_number && (minimum.is_some() || maximum.is_some()) {
            let what = format!("{name} is a {} and has a range", kind.name());
            self.problem(raw, what, "remove minimum and maximum");
        }
        if let (Some(minimum), Some(maximum)) = (minimum, maximum)
            && minimum > maximum
        {
            let what = format!("{name} goes from {minimum} to {maximum}");
            self.problem(raw, what, "swap them");
        }
        let mut parameter = Parameter {
            name,
            kind,
            title_en: said.title_en.clone(),
            title_zh: said.title_zh.clone(),
            description_en: said.description_en.clone(),
            description_zh: said.description_zh.clone(),
            minimum,
            maximum,
            choices: Vec::new(),
            default: None,
            unit: unit?,
            writable: said.writable,
            cards: Vec::new(),
        };
        let choices = said.choices.as_ref().map(|choices| self.choices(&parameter, choices));
        parameter.choices = choices.unwrap_or_default();
        parameter.default =
            said.default.as_ref().and_then(|default| self.value(&parameter, "default", default));
        Some(parameter)
    }

    fn choices(&mut self, of: &Parameter, said: &Spanned<Vec<Spanned<toml::Value>>>) -> Vec<Value> {
        let listed = said.get_ref();
        if listed.is_empty() || listed.len() > ENTRIES {
            let what = format!("the enum of {} has {} values", of.name, listed.len());
            self.problem(said, what, format!("list 1 to {ENTRIES} values, or remove it"));
        }
        let mut choices = Vec::new();
        for choice in listed.iter().take(ENTRIES) {
            let Some(value) = self.value(of, "enum", choice) else { continue };
            if choices.contains(&value) {
                self.problem(choice, format!("the enum of {} has it twice", of.name), "remove one");
            }
            choices.push(value);
        }
        choices
    }

    /// A value of the parameter's type, within its range and its enum as far as they are known.
    fn value(&mut self, of: &Parameter, key: &str, said: &Spanned<toml::Value>) -> Option<Value> {
        let name = &of.name;
        let value = match (of.kind, said.get_ref()) {
            (ParameterKind::Integer | ParameterKind::Number, toml::Value::Integer(number)) => {
                Some(Value::Number(Decimal { mantissa: *number, scale: 0 }))
            }
            (ParameterKind::Number, toml::Value::String(text)) => {
                Decimal::parse(text).map(Value::Number)
            }
            (ParameterKind::String, toml::Value::String(text)) => Some(Value::Text(text.clone())),
            (ParameterKind::Boolean, toml::Value::Boolean(flag)) => Some(Value::Flag(*flag)),
            _ => None,
        };
        match value {
            None => {
                let what = format!("the {key} of {name} is no {}", of.kind.name());
                let fix = "write it as its type says; decimals as text, e.g. \"0.50\"";
                self.problem(said, what, fix);
            }
            Some(value) if of.is_allowed(&value) => return Some(value),
            Some(Value::Number(number)) => {
                let rest = if of.choices.is_empty() { "range" } else { "enum" };
                let what = format!("the {key} of {name}, {number}, is out of its {rest}");
                self.problem(said, what, format!("change the {key} or the {rest}"));
            }
            Some(_) => {
                let what = format!("the {key} of {name} cannot be used");
                let rule = of.rule(|number| number.to_string());
                self.problem(said, what, format!("it must be {rule}"));
            }
        }
        None
    }

    fn errors(&mut self, raw: BTreeMap<String, Spanned<raw::DeviceError>>) -> Vec<DeviceError> {
        let mut entries: Vec<_> = raw.into_iter().collect();
        entries.sort_by_key(|(_, error)| error.span().start);
        let mut found = Vec::new();
        for (key, raw) in entries {
            let said = raw.get_ref();
            let code = said.code.clone().unwrap_or(key);
            self.shown(&raw, "code", &code, NAME_BYTES);
            self.shown(&raw, "en", &said.en, TEXT_BYTES);
            self.shown(&raw, "zh", &said.zh, TEXT_BYTES);
            if said.bit && u64::from_str_radix(&code, 16).map_or(0, u64::count_ones) != 1 {
                let what = format!("{code} is not one bit of a hexadecimal word");
                self.problem(&raw, what, "leave out bit = true, or write e.g. 0020");
            }
            let known: Vec<_> = ANSWERING.iter().map(|name| (*name, *name)).collect();
            let of = said.of.iter().filter_map(|name| self.one_of("of", name, &known));
            found.push(DeviceError {
                code,
                of: of.map(str::to_owned).collect(),
                bit: said.bit,
                en: said.en.clone(),
                zh: said.zh.clone(),
            });
        }
        found
    }
}

/// 1 to 64 small letters, digits and hyphens, with a letter or digit first.
fn is_word(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=64).contains(&text.len()) && !text.starts_with('-') && text.bytes().all(fits)
}

/// Enough of a hostile text to find it by.
fn start_of(text: &str) -> String {
    text.chars().take(40).flat_map(char::escape_debug).collect()
}

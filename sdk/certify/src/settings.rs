//! The `[certify]` table of driver.toml: how the driver's device is simulated, and between what
//! bounds its values are made up. The table is described in docs/device-simulator.md.

use anyhow::{Context, Result, ensure};
use polymeter_domain::{Decimal, Value};
use polymeter_vault::Kind;
use serde::Deserialize;
use std::collections::BTreeMap;

/// The table, checked.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Settings {
    pub simulator: Vec<String>,
    #[serde(default)]
    pub build: Vec<String>,
    pub address: String,
    #[serde(default = "amounts")]
    pub amounts: [u64; 2],
    #[serde(default = "balance")]
    pub balance: u64,
    #[serde(default = "count")]
    pub count: u32,
    #[serde(default)]
    pub keys: BTreeMap<String, KeyShape>,
    #[serde(default)]
    pub readings: BTreeMap<String, Reading>,
    /// Bounds of a writable parameter, where those that the driver describes are too wide.
    #[serde(default)]
    pub values: BTreeMap<String, [i64; 2]>,
    /// Typed values, as a transcript writes them.
    #[serde(default)]
    pub parameters: BTreeMap<String, String>,
}

/// What a key of a label is for, and how long it is: `"hmac"`, or `"aes 32"` where a kind has several
/// lengths.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "String")]
pub struct KeyShape {
    pub kind: Kind,
    pub bytes: usize,
}

impl TryFrom<String> for KeyShape {
    type Error = String;

    fn try_from(text: String) -> Result<KeyShape, String> {
        let (word, bytes) = text.split_once(' ').unwrap_or((&text, ""));
        let known = || Kind::ALL.map(Kind::word).join(", ");
        let kind =
            Kind::from_word(word).ok_or_else(|| format!("`{text}` is none of {}", known()))?;
        let bytes = if bytes.is_empty() { Ok(kind.generated_bytes()) } else { bytes.parse() };
        match bytes {
            Ok(bytes) if kind.takes(bytes) => Ok(KeyShape { kind, bytes }),
            _ => Err(format!("`{text}`: a key for {kind} has {}", kind.lengths())),
        }
    }
}

/// One register that `read` must tell.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reading {
    pub from: u64,
    pub to: u64,
    pub scale: i8,
    pub unit: u16,
}

fn amounts() -> [u64; 2] {
    [1, 99_999]
}

fn balance() -> u64 {
    999_999
}

fn count() -> u32 {
    9_999
}

impl Settings {
    /// The table as driver.toml has it; an empty one is none.
    pub fn read(table: &toml::Table) -> Result<Settings> {
        ensure!(
            !table.is_empty(),
            "there is no [certify] table, so nobody knows how to simulate the device; see \
             docs/device-simulator.md"
        );
        let settings: Settings = table.clone().try_into().context("[certify]")?;
        settings.check()?;
        Ok(settings)
    }

    fn check(&self) -> Result<()> {
        ensure!(!self.simulator.is_empty(), "[certify] simulator names no program");
        ensure!(!self.address.is_empty(), "[certify] address is empty");
        let [least, most] = self.amounts;
        ensure!(0 < least && least < most, "[certify] amounts must be [least, most], above 0");
        ensure!(self.count > 1, "[certify] count must be above 1");
        ensure!(self.balance > 0, "[certify] balance must be above 0");
        for (register, reading) in &self.readings {
            let fits = reading.from < reading.to && i64::try_from(reading.to).is_ok();
            ensure!(fits, "[certify.readings] {register}: from must be below to");
        }
        for (name, [from, to]) in &self.values {
            ensure!(from < to, "[certify] values: {name} must be [least, most]");
        }
        self.parameters().map(|_| ())
    }

    /// What every call is told beside the address.
    pub fn parameters(&self) -> Result<Vec<(String, Value)>> {
        let typed = |(name, text): (&String, &String)| {
            let value = typed(text).with_context(|| {
                format!(
                    "[certify.parameters] {name}: `{text}` is not number:.., text:.. or flag:.."
                )
            })?;
            Ok((name.clone(), value))
        };
        self.parameters.iter().map(typed).collect()
    }
}

fn typed(text: &str) -> Option<Value> {
    let (kind, rest) = text.split_once(':')?;
    Some(match kind {
        "text" => Value::Text(rest.to_owned()),
        "flag" => Value::Flag(rest.parse().ok()?),
        "number" => {
            let (mantissa, scale) = rest.split_once('e').unwrap_or((rest, "0"));
            Value::Number(Decimal { mantissa: mantissa.parse().ok()?, scale: scale.parse().ok()? })
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(table: &str, expected: Result<(), &str>) {
        let parsed = Settings::read(&toml::from_str(table).expect("TOML"));
        match (parsed.map_err(|error| format!("{error:#}")), expected) {
            (Ok(_), Ok(())) => {}
            (Err(error), Err(part)) => assert!(error.contains(part), "{error}"),
            (parsed, expected) => panic!("{parsed:?} instead of {expected:?}"),
        }
    }

    #[test]
    fn a_table_is_checked_before_anything_runs() {
        let least = "simulator = [\"s\"]\naddress = \"#\"\n";
        check(least, Ok(()));
        check("", Err("there is no [certify] table"));
        check(&format!("{least}amounts = [5, 5]"), Err("amounts must be [least, most]"));
        check(&format!("{least}amount = [5, 6]"), Err("unknown field `amount`"));
        check(&format!("{least}keys = {{ a = \"hmac\", b = \"aes 32\" }}"), Ok(()));
        check(&format!("{least}keys = {{ a = \"rsa\" }}"), Err("`rsa` is none of 3des, aes"));
        let wrong = "`aes 20`: a key for aes has 16 or 32 bytes";
        check(&format!("{least}keys = {{ a = \"aes 20\" }}"), Err(wrong));
        check(&format!("{least}parameters = {{ a = \"x\" }}"), Err("a: `x` is not number:"));
        check(&format!("{least}parameters = {{ a = \"number:12e-1\" }}"), Ok(()));
    }
}

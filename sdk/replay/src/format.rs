//! The texts of values, credits and results: one form of each, read and written here alone.

use crate::call::Outcome;
use polymeter_driver::codes::{quality, quantity};
use polymeter_driver::{
    ControlOutcome, Credit, Decimal, DriverError, Extras, LocalTime, Measurement, Parameter,
    Refusal, SellOutcome, SetOutcome, Value,
};

/// Text that is not what its place asks for; says what.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ReadError(pub String);

impl ReadError {
    pub(crate) fn because<T>(problem: impl Into<String>) -> Result<T, ReadError> {
        Err(ReadError(problem.into()))
    }
}

pub(crate) fn bytes(text: &str) -> Result<Vec<u8>, ReadError> {
    let digits: String = text.split_whitespace().collect();
    hex::decode(&digits).map_err(|_| ReadError(format!("`{text}` is not bytes in hex")))
}

pub(crate) fn spaced(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(" ")
}

pub(crate) fn number<T: std::str::FromStr>(text: &str) -> Result<T, ReadError> {
    text.parse().map_err(|_| ReadError(format!("`{text}` is not a number that fits here")))
}

/// `2026-03-02T10:11:12`
pub(crate) fn time(text: &str) -> Result<LocalTime, ReadError> {
    let parts: Vec<&str> = text.split(['-', 'T', ':']).collect();
    let [year, month, day, hour, minute, second] = parts.as_slice() else {
        return ReadError::because(format!("`{text}` is not a time like 2026-03-02T10:11:12"));
    };
    Ok(LocalTime {
        year: number(year)?,
        month: number(month)?,
        day: number(day)?,
        hour: number(hour)?,
        minute: number(minute)?,
        second: number(second)?,
    })
}

fn time_text(time: LocalTime) -> String {
    let LocalTime { year, month, day, hour, minute, second } = time;
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")
}

/// `money:5000`, `energy:186`, `volume:5`
pub(crate) fn credit(text: &str) -> Result<Credit, ReadError> {
    let Some((name, amount)) = text.split_once(':') else {
        return ReadError::because(format!("`{text}` is not a credit like money:5000"));
    };
    let quantity = match name {
        "money" => quantity::MONEY,
        "energy" => quantity::ENERGY,
        "volume" => quantity::VOLUME,
        other => number(other)?,
    };
    Ok(Credit { quantity, amount: number(amount)? })
}

fn credit_text(credit: &Credit) -> String {
    match credit.quantity {
        quantity::MONEY => format!("money:{}", credit.amount),
        quantity::ENERGY => format!("energy:{}", credit.amount),
        quantity::VOLUME => format!("volume:{}", credit.amount),
        other => format!("{other}:{}", credit.amount),
    }
}

/// The typed form of a value.
pub(crate) fn value(text: &str) -> Result<Value, ReadError> {
    let Some((kind, rest)) = text.split_once(':') else {
        return ReadError::because(format!("`{text}` has no type, as in text:{text}"));
    };
    match kind {
        "number" => {
            let (mantissa, scale) = rest.split_once('e').unwrap_or((rest, "0"));
            let decimal = Decimal { mantissa: number(mantissa)?, scale: number(scale)? };
            Ok(Value::Number(decimal))
        }
        "text" => Ok(Value::Text(rest.to_owned())),
        "flag" => Ok(Value::Flag(number(rest)?)),
        "bytes" => Ok(Value::Bytes(bytes(rest)?)),
        "time" => Ok(Value::Time(time(rest)?)),
        _ => ReadError::because(format!("`{kind}` is no type of value")),
    }
}

/// A value in its typed form, e.g. `number:186e-2`.
pub fn value_text(value: &Value) -> String {
    match value {
        Value::Number(Decimal { mantissa, scale: 0 }) => format!("number:{mantissa}"),
        Value::Number(Decimal { mantissa, scale }) => format!("number:{mantissa}e{scale}"),
        Value::Text(text) => format!("text:{text}"),
        Value::Flag(flag) => format!("flag:{flag}"),
        Value::Bytes(bytes) => format!("bytes:{}", hex::encode(bytes)),
        Value::Time(time) => format!("time:{}", time_text(*time)),
    }
}

/// The lines of a result.
pub fn rendered(outcome: &Outcome) -> Vec<String> {
    match outcome {
        Outcome::Error(error) => vec![error_text(error)],
        Outcome::Description(description) => {
            let mut lines = vec![format!(
                "description vendor={} name={} version={} models={} proof={} purse={}",
                description.vendor_code,
                description.name,
                description.version,
                description.models.join(","),
                description.proof,
                description.purse
            )];
            lines.extend(description.parameters.iter().map(parameter_text));
            lines
        }
        Outcome::Identity(identity) => {
            let first = format!("identity address={} model={}", identity.address, identity.model);
            listed(first, &[], &identity.extras)
        }
        Outcome::Snapshot(snapshot) => {
            let first = format!("snapshot supply={}", snapshot.supply);
            listed(first, &snapshot.measurements, &snapshot.extras)
        }
        Outcome::Sell(SellOutcome::Confirmed(receipt)) => {
            let balance = receipt.balance.as_ref().map(credit_text);
            let balance = balance.map(|text| format!(" balance={text}")).unwrap_or_default();
            let first = format!("confirmed count={}{balance}", receipt.count);
            listed(first, &[], &receipt.extras)
        }
        Outcome::Sell(SellOutcome::Refused(refusal))
        | Outcome::Control(ControlOutcome::Refused(refusal))
        | Outcome::Set(SetOutcome::Refused(refusal)) => vec![refusal_text(refusal)],
        Outcome::Sell(SellOutcome::Unknown(why))
        | Outcome::Control(ControlOutcome::Unknown(why))
        | Outcome::Set(SetOutcome::Unknown(why)) => vec![format!("unknown {why}")],
        Outcome::Control(ControlOutcome::Confirmed(supply)) => {
            vec![format!("confirmed supply={supply}")]
        }
        Outcome::Set(SetOutcome::Confirmed) => vec!["confirmed".to_owned()],
        Outcome::Evidence(evidence) => {
            let none = || "none".to_owned();
            let purchase = evidence.purchase.as_ref().map_or_else(none, |purchase| {
                format!("{}:{}", purchase.count, credit_text(&purchase.credit))
            });
            let balance = evidence.balance.as_ref().map_or_else(none, credit_text);
            vec![format!("evidence count={} purchase={purchase} balance={balance}", evidence.count)]
        }
        Outcome::Explanation(Ok(explanation)) => {
            let first = format!("explanation address={}", explanation.address);
            listed(first, &explanation.measurements, &explanation.extras)
        }
        Outcome::Explanation(Err(why)) => vec![format!("failed {why}")],
    }
}

fn listed(first: String, measurements: &[Measurement], extras: &Extras) -> Vec<String> {
    let mut lines = vec![first];
    lines.extend(measurements.iter().map(measurement_text));
    let extra = |(name, value): &(String, Value)| format!("  extra {name} = {}", value_text(value));
    lines.extend(extras.iter().map(extra));
    lines
}

fn measurement_text(measurement: &Measurement) -> String {
    let Measurement { register, value, unit, quality } = measurement;
    let value = value_text(value);
    if *quality == quality::MEASURED {
        format!("  {register} = {value} unit={unit}")
    } else {
        format!("  {register} quality={quality} value={value} unit={unit}")
    }
}

fn parameter_text(parameter: &Parameter) -> String {
    let mut text = format!("  parameter {} unit={}", parameter.name, parameter.unit);
    if let Some(minimum) = parameter.minimum {
        text += &format!(" minimum={minimum}");
    }
    if let Some(maximum) = parameter.maximum {
        text += &format!(" maximum={maximum}");
    }
    if let Some(default) = &parameter.default {
        text += &format!(" default={}", value_text(default));
    }
    if parameter.writable {
        text += " writable";
    }
    text
}

fn refusal_text(refusal: &Refusal) -> String {
    coded("refused", refusal.code, refusal.device_code.as_deref(), &refusal.detail)
}

fn error_text(error: &DriverError) -> String {
    coded("error", error.code, error.device_code.as_deref(), &error.detail)
}

fn coded(word: &str, code: u16, device_code: Option<&str>, detail: &str) -> String {
    let device = device_code.map(|text| format!(" device={text}")).unwrap_or_default();
    format!("{word} code={code}{device} {detail}").trim_end().to_owned()
}

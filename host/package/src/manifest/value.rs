//! What a parameter may be: the rule as data and as a sentence, and a value from what was typed.
//!
//! Invariant: `parse` gives only values that `is_allowed`, and nothing goes through a float. Not
//! here: in which currency amounts are shown and typed (server).

use super::{Parameter, ParameterKind, TEXT_BYTES};
use polymeter_domain::{Decimal, Value};

impl Parameter {
    /// Type, range and `enum`; a text is plain and not over-long.
    pub fn is_allowed(&self, value: &Value) -> bool {
        let fits = match value {
            Value::Number(number) => within(*number, self.minimum, self.maximum),
            Value::Text(text) => is_plain(text),
            Value::Flag(_) => true,
            Value::Bytes(_) | Value::Time(_) => false,
        };
        let chosen = self.choices.is_empty() || self.choices.iter().any(|it| equal(it, value));
        self.kind.takes(value) && fits && chosen
    }

    /// What it must be, to stand after "must be": "a whole number from 0 to 16". `shown` writes a
    /// bound or a choice that is a whole number.
    pub fn rule(&self, shown: impl Fn(i64) -> String) -> String {
        if !self.choices.is_empty() {
            let words: Vec<String> = self.choices.iter().map(|it| choice(it, &shown)).collect();
            let one_of = if words.len() == 1 { "" } else { "one of " };
            return format!("{one_of}{}", words.join(", "));
        }
        let what = match self.kind {
            ParameterKind::Integer => "a whole number",
            ParameterKind::Number => "a decimal number",
            ParameterKind::String => {
                return format!("text of at most {TEXT_BYTES} bytes in one line");
            }
            ParameterKind::Boolean => return "yes or no".to_owned(),
        };
        let range = match (self.minimum, self.maximum) {
            (None, None) => String::new(),
            (Some(minimum), None) => format!(" of at least {}", shown(minimum)),
            (None, Some(maximum)) => format!(" of at most {}", shown(maximum)),
            (Some(minimum), Some(maximum)) => {
                format!(" from {} to {}", shown(minimum), shown(maximum))
            }
        };
        format!("{what}{range}")
    }

    /// The value as the driver gets it: a number may be given as text. `Err` is the end of a sentence
    /// that begins with the parameter's name.
    pub fn take(&self, given: &Value) -> Result<Value, String> {
        let is_number = matches!(self.kind, ParameterKind::Integer | ParameterKind::Number);
        let decimal = match given {
            Value::Text(text) if is_number => Decimal::parse(text),
            _ => None,
        };
        let value = decimal.map_or_else(|| given.clone(), Value::Number);
        if self.is_allowed(&value) {
            return Ok(value);
        }
        let unit = match self.unit_name() {
            "none" => "",
            "currency" => " in minor units of the currency",
            unit => &format!(" {unit}"),
        };
        Err(format!("must be {}{unit}", self.rule(|number| number.to_string())))
    }

    /// A value from what a person typed or chose; `None`: it is not allowed.
    pub fn parse(&self, typed: &str) -> Option<Value> {
        let value = match self.kind {
            ParameterKind::Integer | ParameterKind::Number => Value::Number(Decimal::parse(typed)?),
            ParameterKind::String => Value::Text(typed.to_owned()),
            ParameterKind::Boolean => match typed {
                "true" => Value::Flag(true),
                "false" => Value::Flag(false),
                _ => return None,
            },
        };
        self.is_allowed(&value).then_some(value)
    }
}

fn choice(value: &Value, shown: &impl Fn(i64) -> String) -> String {
    match value {
        Value::Number(Decimal { mantissa, scale: 0 }) => shown(*mantissa),
        Value::Number(number) => number.to_string(),
        Value::Text(text) => text.clone(),
        Value::Flag(true) => "yes".to_owned(),
        Value::Flag(false) => "no".to_owned(),
        Value::Bytes(_) | Value::Time(_) => String::new(),
    }
}

/// "1.50" is "1.5": choices are compared by what they mean.
fn equal(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => reduced(*one) == reduced(*other),
        (one, other) => one == other,
    }
}

fn reduced(number: Decimal) -> Decimal {
    let Decimal { mut mantissa, mut scale } = number;
    if mantissa == 0 {
        return Decimal { mantissa, scale: 0 };
    }
    while mantissa % 10 == 0 && scale < i8::MAX {
        mantissa /= 10;
        scale += 1;
    }
    Decimal { mantissa, scale }
}

fn is_plain(text: &str) -> bool {
    text.len() <= TEXT_BYTES && !text.chars().any(char::is_control)
}

/// Exact: both sides are scaled to the finer of the two units. No device has more than 18 decimals.
fn within(number: Decimal, minimum: Option<i64>, maximum: Option<i64>) -> bool {
    if minimum.is_none() && maximum.is_none() {
        return true;
    }
    let exponent = u32::from(number.scale.unsigned_abs());
    if exponent > 18 {
        return false;
    }
    let (number_unit, bound_unit) =
        if number.scale < 0 { (1, 10_i128.pow(exponent)) } else { (10_i128.pow(exponent), 1) };
    let number = i128::from(number.mantissa) * number_unit;
    minimum.is_none_or(|minimum| i128::from(minimum) * bound_unit <= number)
        && maximum.is_none_or(|maximum| number <= i128::from(maximum) * bound_unit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use polymeter_domain::Unit;

    fn parameter(kind: ParameterKind) -> Parameter {
        Parameter {
            name: "p".to_owned(),
            kind,
            title_en: "P".to_owned(),
            title_zh: "P".to_owned(),
            description_en: String::new(),
            description_zh: String::new(),
            minimum: None,
            maximum: None,
            choices: Vec::new(),
            default: None,
            unit: Unit::NONE,
            writable: false,
            cards: Vec::new(),
        }
    }

    #[test]
    fn ranges_are_exact() {
        let check = |mantissa, scale, inside: bool| {
            let number = Decimal { mantissa, scale };
            assert_eq!(within(number, Some(-1), Some(10)), inside, "{number}");
        };
        check(10, 0, true);
        check(11, 0, false);
        check(1, 1, true);
        check(2, 1, false);
        check(100, -1, true);
        check(101, -1, false);
        check(-11, -1, false);
        check(i64::MAX, 18, false);
        check(1, -128, false);
        assert!(within(Decimal { mantissa: 1, scale: 127 }, None, None));
    }

    #[test]
    fn what_was_typed_is_a_value_or_a_sentence_says_what_it_must_be() {
        let number = |mantissa, scale| Some(Value::Number(Decimal { mantissa, scale }));
        let wake_up =
            Parameter { minimum: Some(0), maximum: Some(16), ..parameter(ParameterKind::Integer) };
        assert_eq!(wake_up.parse("16"), number(16, 0));
        for wrong in ["17", "-1", "4.0", "four", "", "1e1", " 4"] {
            assert_eq!(wake_up.parse(wrong), None, "{wrong}");
        }
        assert_eq!(
            wake_up.take(&Value::Text("four".to_owned())),
            Err("must be a whole number from 0 to 16".to_owned())
        );
        let factor = Parameter { minimum: Some(0), ..parameter(ParameterKind::Number) };
        assert_eq!(factor.parse("0.50"), number(50, -2));
        assert_eq!(factor.take(&Value::Text("0.50".to_owned())).ok(), number(50, -2));
        assert_eq!(factor.rule(|it| it.to_string()), "a decimal number of at least 0");
        let text = parameter(ParameterKind::String);
        assert_eq!(text.parse("引号"), Some(Value::Text("引号".to_owned())));
        assert_eq!(text.parse("two\nlines"), None);
        assert_eq!(text.parse(&"x".repeat(TEXT_BYTES + 1)), None);
        let flag = parameter(ParameterKind::Boolean);
        assert_eq!(flag.parse("false"), Some(Value::Flag(false)));
        assert_eq!(flag.parse("no"), None);
        assert_eq!(flag.take(&Value::Text("x".to_owned())), Err("must be yes or no".to_owned()));
    }

    #[test]
    fn an_enum_allows_its_choices_alone() {
        let choices = [150, 2400].map(|it| Value::Number(Decimal { mantissa: it, scale: -2 }));
        let of_two = Parameter { choices: choices.to_vec(), ..parameter(ParameterKind::Number) };
        assert!(of_two.parse("1.5").is_some() && of_two.parse("24").is_some());
        assert_eq!(of_two.parse("1.51"), None);
        assert_eq!(of_two.rule(|it| it.to_string()), "one of 1.50, 24.00");
        let only =
            Parameter { choices: vec![Value::Flag(true)], ..parameter(ParameterKind::Boolean) };
        assert_eq!(only.take(&Value::Flag(false)), Err("must be yes".to_owned()));
    }
}

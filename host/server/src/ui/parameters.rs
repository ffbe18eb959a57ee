//! A driver's parameters in front of people: fields drawn from its `driver.toml`, what was typed back
//! as values, those kept with a meter, and those written into the device.
//!
//! Invariant: a driver that declares none shows no form; every value that cannot be used has its
//! sentence at its own field. Amounts are shown and typed in the site's currency, whatever the driver
//! counts in. Not here: whether a value is taken in the end (service).

use super::meters::{id, page};
use super::view::{self, Badge};
use super::{PageError, PageResult};
use crate::app::App;
use crate::session::Caller;
use axum::extract::{Form, Path, State};
use axum::response::{IntoResponse, Redirect};
use polymeter_domain::{Currency, Decimal, MeterId, Money, Unit, Value, VendorCode};
use polymeter_package::{Parameter, ParameterKind};
use polymeter_service::{Attempt, Home, Meter, ServiceError, SettingEnd};
use std::collections::BTreeMap;

/// What comes before a parameter's name in a form, so that it can never be another field's.
const PREFIX: &str = "p.";

/// Names of parameters and what was typed for them, or what is wrong with it.
pub type ByName = BTreeMap<String, String>;

/// What a page shows again after it was sent back: all empty on a fresh one.
#[derive(Debug, Default, Clone)]
pub struct Again {
    pub problem: String,
    pub typed: ByName,
    pub problems: ByName,
}

/// One input, as the template draws it.
#[derive(Debug, Default)]
pub struct Field {
    pub name: String,
    pub title_en: String,
    pub title_zh: String,
    pub description_en: String,
    pub description_zh: String,
    /// `number`, `text` or `choice`.
    pub kind: &'static str,
    /// Of a number: as the input takes them, empty where there is none.
    pub least: String,
    pub most: String,
    pub step: &'static str,
    /// Of a choice: what is sent, and what is read.
    pub choices: Vec<(String, String)>,
    pub value: String,
    pub unit: String,
    /// "a whole number from 0 to 16".
    pub rule: String,
    /// Empty where the driver has none.
    pub default: String,
    pub problem: String,
}

/// A parameter in the device: its input, and what is known of it.
#[derive(Debug)]
pub struct SettingRow {
    pub field: Field,
    pub held: Option<Known>,
    pub failed: Option<Known>,
}

#[derive(Debug)]
pub struct Known {
    pub value: String,
    pub at: String,
    pub end: Badge,
    pub detail: String,
}

/// How one parameter's numbers are shown and typed.
#[derive(Debug, Clone, Copy)]
struct Scale<'a> {
    parameter: &'a Parameter,
    /// Set where whole minor units of it are meant.
    money: Option<Currency>,
}

impl Scale<'_> {
    fn of(parameter: &Parameter, currency: Currency) -> Scale<'_> {
        let is_money = parameter.unit == Unit::CURRENCY && parameter.kind == ParameterKind::Integer;
        Scale { parameter, money: is_money.then_some(currency) }
    }

    fn number(self, whole: i64) -> String {
        self.money.map_or_else(|| whole.to_string(), |it| Money::new(whole, it).to_string())
    }

    fn unit(self) -> String {
        match (self.money, self.parameter.unit) {
            (Some(currency), _) => currency.code().to_owned(),
            (None, Unit::CURRENCY) => "minor units".to_owned(),
            (None, unit) => unit.symbol().to_owned(),
        }
    }

    fn rule(self) -> String {
        let rule = self.parameter.rule(|whole| self.number(whole));
        // An amount of money is no "whole number" to a person.
        let rule = match self.money {
            Some(_) => rule.replacen("a whole number", "an amount", 1),
            None => rule,
        };
        format!("{rule} {}", self.unit()).trim_end().to_owned()
    }

    /// As its input holds it.
    fn typed(self, value: &Value) -> String {
        match value {
            Value::Number(Decimal { mantissa, scale: 0 }) => self.number(*mantissa),
            Value::Flag(flag) => flag.to_string(),
            other => crate::api::values::text(other),
        }
    }

    /// As a person reads it.
    fn shown(self, value: &Value) -> String {
        match value {
            Value::Number(Decimal { mantissa, scale: 0 }) => self.number(*mantissa),
            other => crate::api::values::text(other),
        }
    }

    fn value(self, typed: &str) -> Option<Value> {
        let Some(currency) = self.money else { return self.parameter.parse(typed) };
        let mantissa = Money::parse(typed, currency).ok()?.minor();
        let value = Value::Number(Decimal { mantissa, scale: 0 });
        self.parameter.is_allowed(&value).then_some(value)
    }
}

impl Field {
    fn new(parameter: &Parameter, value: String, problem: String, currency: Currency) -> Field {
        let scale = Scale::of(parameter, currency);
        let (kind, step) = match parameter.kind {
            _ if !parameter.choices.is_empty() => ("choice", ""),
            ParameterKind::Boolean => ("choice", ""),
            ParameterKind::Integer if scale.money.is_some() => ("number", "any"),
            ParameterKind::Integer => ("number", "1"),
            ParameterKind::Number => ("number", "any"),
            ParameterKind::String => ("text", ""),
        };
        let flags = [Value::Flag(true), Value::Flag(false)];
        let choices: &[Value] = match kind {
            "choice" if parameter.choices.is_empty() => &flags,
            _ => &parameter.choices,
        };
        let bound = |bound: Option<i64>| bound.map(|it| scale.number(it)).unwrap_or_default();
        Field {
            name: parameter.name.clone(),
            title_en: parameter.title_en.clone(),
            title_zh: parameter.title_zh.clone(),
            description_en: parameter.description_en.clone(),
            description_zh: parameter.description_zh.clone(),
            kind,
            least: bound(parameter.minimum),
            most: bound(parameter.maximum),
            step,
            choices: choices.iter().map(|it| (scale.typed(it), scale.shown(it))).collect(),
            value,
            unit: scale.unit(),
            rule: scale.rule(),
            default: parameter.default.as_ref().map(|it| scale.shown(it)).unwrap_or_default(),
            problem,
        }
    }
}

/// The fields of `declared`, holding what was typed before.
pub fn fields(declared: &[Parameter], again: &Again, currency: Currency) -> Vec<Field> {
    let of = |by_name: &ByName, name: &str| by_name.get(name).cloned().unwrap_or_default();
    let draw = |it: &Parameter| {
        let (value, problem) = (of(&again.typed, &it.name), of(&again.problems, &it.name));
        Field::new(it, value, problem, currency)
    };
    declared.iter().map(draw).collect()
}

/// What a card or a device holds of one parameter, behind its titles, as a person reads them.
pub fn told(
    declared: &[Parameter],
    name: &str,
    value: &Value,
    currency: Currency,
) -> (String, String, String) {
    let Some(parameter) = declared.iter().find(|it| it.name == name) else {
        return (name.to_owned(), String::new(), crate::api::values::text(value));
    };
    let scale = Scale::of(parameter, currency);
    let shown = format!("{} {}", scale.shown(value), scale.unit());
    let titles = (parameter.title_en.clone(), parameter.title_zh.clone());
    (titles.0, titles.1, shown.trim_end().to_owned())
}

/// The parameters among the fields of a form.
pub fn typed(form: &ByName) -> ByName {
    let named = |(key, text): (&String, &String)| {
        key.strip_prefix(PREFIX).map(|name| (name.to_owned(), text.clone()))
    };
    form.iter().filter_map(named).collect()
}

/// What was typed as values; a field left empty is left out. `Err`: a sentence by field.
pub fn values(
    declared: &[Parameter],
    typed: &ByName,
    currency: Currency,
) -> Result<Vec<(String, Value)>, ByName> {
    let (mut values, mut problems) = (Vec::new(), ByName::new());
    for parameter in declared {
        let text = typed.get(&parameter.name).map_or("", |text| text.trim());
        if text.is_empty() {
            continue;
        }
        let scale = Scale::of(parameter, currency);
        match scale.value(text) {
            Some(value) => values.push((parameter.name.clone(), value)),
            None => {
                let why = format!("{} must be {}.", parameter.title_en, scale.rule());
                problems.insert(parameter.name.clone(), why);
            }
        }
    }
    if problems.is_empty() { Ok(values) } else { Err(problems) }
}

/// Sentences that the service has about parameters, by their names.
pub fn problems_of(error: &ServiceError) -> Option<ByName> {
    let ServiceError::Parameters(bad) = error else { return None };
    let told = bad.iter().map(|it| (it.name.clone(), view::sentence(&format!("It {}", it.why))));
    Some(told.collect())
}

/// The parameters that are kept with this meter; what was typed wins over what is kept.
pub fn kept(app: &App, meter: &Meter, again: &Again) -> Vec<Field> {
    let declared = app.service.parameters_of(&meter.vendor, Home::Here);
    let mut again = again.clone();
    for (name, value) in &meter.parameters {
        let Some(parameter) = declared.iter().find(|it| it.name == *name) else { continue };
        let text = Scale::of(parameter, app.currency).typed(value);
        again.typed.entry(name.clone()).or_insert(text);
    }
    fields(&declared, &again, app.currency)
}

/// The parameters in this meter's device.
pub async fn in_device(
    app: &App,
    meter: &Meter,
    again: &Again,
) -> Result<Vec<SettingRow>, ServiceError> {
    let declared = app.service.parameters_of(&meter.vendor, Home::Device);
    let known = app.service.settings(meter.meter_id).await?;
    let fields = fields(&declared, again, app.currency);
    let row = |(parameter, field): (&Parameter, Field)| {
        let setting = known.iter().find(|it| it.name == parameter.name);
        let scale = Scale::of(parameter, app.currency);
        let told = |attempt: &Attempt| Known {
            value: format!("{} {}", scale.shown(&attempt.value), scale.unit()),
            at: view::time(attempt.at, &app.time_zone),
            end: view::setting(attempt.end),
            detail: if attempt.end == SettingEnd::Confirmed {
                String::new()
            } else {
                view::sentence(&attempt.detail)
            },
        };
        SettingRow {
            field,
            held: setting.and_then(|it| it.held.as_ref()).map(told),
            failed: setting.and_then(|it| it.failed.as_ref()).map(told),
        }
    };
    Ok(declared.iter().zip(fields).map(row).collect())
}

/// The parameters of one vendor that a new meter is asked for.
pub fn for_new(app: &App, vendor: &str, again: &Again) -> Vec<Field> {
    let declared = declared_for_new(app, vendor);
    fields(&declared, again, app.currency)
}

pub fn declared_for_new(app: &App, vendor: &str) -> Vec<Parameter> {
    let vendor = VendorCode::new(vendor);
    vendor.map(|it| app.service.parameters_of(&it, Home::Here)).unwrap_or_default()
}

pub async fn keep(
    State(app): State<App>,
    caller: Caller,
    Path(meter): Path<String>,
    Form(form): Form<ByName>,
) -> PageResult {
    let typed = Typed { meter: app.service.meter(id(&meter)?).await?, form, home: Home::Here };
    let meter_id = typed.meter.meter_id;
    let act = async |values| {
        app.service.keep_parameters(meter_id, values, &caller.actor()).await.map(|_| ())
    };
    submit(&app, &caller, typed, "parameters", act).await
}

/// How it ended is stored, and shown at the field.
pub async fn set(
    State(app): State<App>,
    caller: Caller,
    Path(meter): Path<String>,
    Form(form): Form<ByName>,
) -> PageResult {
    let typed = Typed { meter: app.service.meter(id(&meter)?).await?, form, home: Home::Device };
    let meter_id = typed.meter.meter_id;
    let act =
        async |values| match app.service.set_in_device(meter_id, values, &caller.actor()).await {
            Err(
                ServiceError::Refused { .. }
                | ServiceError::NotSent(_)
                | ServiceError::Unknown(_)
                | ServiceError::Line(_),
            ) => Ok(()),
            other => other,
        };
    submit(&app, &caller, typed, "settings", act).await
}

/// A form as it came, and where what it says is kept.
struct Typed {
    meter: Meter,
    form: ByName,
    home: Home,
}

/// Acts on what was typed and shows that part of the meter's page; what cannot be used goes back to
/// its field.
async fn submit(
    app: &App,
    caller: &Caller,
    Typed { meter, form, home }: Typed,
    part: &str,
    act: impl AsyncFnOnce(Vec<(String, Value)>) -> Result<(), ServiceError>,
) -> PageResult {
    let typed = typed(&form);
    let declared = app.service.parameters_of(&meter.vendor, home);
    let values = match values(&declared, &typed, app.currency) {
        Ok(values) => values,
        Err(problems) => return sent_back(app, caller, &meter, typed, problems).await,
    };
    match act(values).await {
        Ok(()) => Ok(to(meter.meter_id, part)),
        Err(error) => match problems_of(&error) {
            Some(problems) => sent_back(app, caller, &meter, typed, problems).await,
            None => Err(PageError::from(error).back_to(format!("/meters/{}", meter.meter_id))),
        },
    }
}

fn to(meter: MeterId, part: &str) -> axum::response::Response {
    Redirect::to(&format!("/meters/{meter}#{part}")).into_response()
}

async fn sent_back(
    app: &App,
    caller: &Caller,
    meter: &Meter,
    typed: ByName,
    problems: ByName,
) -> PageResult {
    let problem = "Please check what was typed: nothing was changed.".to_owned();
    page(app, caller, meter, Again { problem, typed, problems }).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use polymeter_package::Manifest;
    use std::path::Path as File;

    /// As the admin types them: of every type, in money and in plain numbers.
    fn declared() -> Vec<Parameter> {
        let parameters = [
            ("alarm", "type = \"integer\"\nminimum = 0\nmaximum = 99999999\nunit = \"currency\""),
            ("wake-up", "type = \"integer\"\nminimum = 0\nmaximum = 16\ndefault = 4"),
            ("wait", "type = \"number\"\nminimum = 0\nunit = \"s\""),
            ("clock", "type = \"boolean\"\ndefault = true"),
            ("mode", "type = \"string\"\nenum = [\"a\", \"b\"]"),
            ("label", "type = \"string\""),
        ];
        let mut text = String::from(
            "name = \"x\"\nversion = \"1.0.0\"\ncontract = \"1.1.0\"\nmodels = []\nimports = []\n\
             proof = \"none\"\npurse = \"none\"\n[[vendor]]\ncode = \"X\"\nname-en = \"X\"\n\
             name-zh = \"X\"\n",
        );
        for (name, rest) in parameters {
            text += &format!(
                "[parameters.{name}]\ntitle-en = \"The {name}\"\ntitle-zh = \"名\"\n{rest}\n"
            );
        }
        Manifest::parse(File::new("driver.toml"), &text).expect("good").parameters
    }

    fn named(pairs: &[(&str, &str)]) -> ByName {
        pairs.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
    }

    #[test]
    fn what_was_typed_becomes_values() {
        let typed = named(&[
            ("alarm", "20.5"),
            ("wake-up", " 0 "),
            ("wait", "0.50"),
            ("clock", "false"),
            ("mode", ""),
            ("stranger", "1"),
        ]);
        let number = |mantissa, scale| Value::Number(Decimal { mantissa, scale });
        let expected = [
            ("alarm", number(2050, 0)),
            ("wake-up", number(0, 0)),
            ("wait", number(50, -2)),
            ("clock", Value::Flag(false)),
        ];
        let expected = expected.map(|(name, value)| (name.to_owned(), value)).to_vec();
        assert_eq!(values(&declared(), &typed, Currency::CNY), Ok(expected));
    }

    #[test]
    fn each_wrong_field_has_its_sentence() {
        let typed = named(&[
            ("alarm", "1000000.00"),
            ("wake-up", "17"),
            ("wait", "-1"),
            ("clock", "maybe"),
            ("mode", "c"),
            ("label", "\u{7}"),
        ]);
        let problems = values(&declared(), &typed, Currency::CNY).expect_err("all are wrong");
        let expected = named(&[
            ("alarm", "The alarm must be an amount from 0.00 to 999999.99 CNY."),
            ("wake-up", "The wake-up must be a whole number from 0 to 16."),
            ("wait", "The wait must be a decimal number of at least 0 s."),
            ("clock", "The clock must be yes or no."),
            ("mode", "The mode must be one of a, b."),
            ("label", "The label must be text of at most 1024 bytes in one line."),
        ]);
        assert_eq!(problems, expected);
    }

    #[test]
    fn a_field_is_drawn_by_its_type() {
        let again = Again { typed: named(&[("alarm", "oops")]), ..Again::default() };
        let drawn = fields(&declared(), &again, Currency::CNY);
        let kinds: Vec<_> = drawn.iter().map(|it| (it.kind, it.step)).collect();
        let number = |step| ("number", step);
        assert_eq!(
            kinds,
            [
                number("any"),
                number("1"),
                number("any"),
                ("choice", ""),
                ("choice", ""),
                ("text", "")
            ]
        );
        assert_eq!((drawn[0].most.as_str(), drawn[0].unit.as_str()), ("999999.99", "CNY"));
        assert_eq!((drawn[0].value.as_str(), drawn[1].default.as_str()), ("oops", "4"));
        let flags = [("true", "yes"), ("false", "no")];
        assert_eq!(drawn[3].choices, flags.map(|(sent, read)| (sent.to_owned(), read.to_owned())));
        assert!(fields(&[], &again, Currency::CNY).is_empty(), "no parameter, no form");
    }
}

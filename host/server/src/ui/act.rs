//! One form for the acts on a customer or a meter: what it does, its fields, why, on which application.
//!
//! Invariant: a form carries a key of its own, so that a double click asks for one act.

use super::{Head, PageError, PageResult, render};
use crate::app::App;
use askama::Template;
use polymeter_domain::{ApplicationId, CustomerId};
use polymeter_service::{ApplicationKind, Why};
use std::collections::BTreeMap;
use uuid::Uuid;

/// What was typed, by the fields' names.
pub type Typed = BTreeMap<String, String>;

#[derive(Debug, Clone)]
pub struct Field {
    pub name: &'static str,
    pub label: &'static str,
    pub chinese: &'static str,
    pub hint: String,
    /// `text`, `decimal`, `number`, `choice` or `check`.
    pub kind: &'static str,
    pub value: String,
    pub is_required: bool,
    pub choices: Vec<(String, String)>,
}

impl Field {
    pub fn new(
        kind: &'static str,
        name: &'static str,
        (label, chinese): (&'static str, &'static str),
        hint: impl Into<String>,
    ) -> Field {
        let (hint, value, choices) = (hint.into(), String::new(), Vec::new());
        Field { name, label, chinese, hint, kind, value, is_required: false, choices }
    }

    pub fn required(self) -> Field {
        Field { is_required: true, ..self }
    }

    pub fn with(self, value: impl Into<String>) -> Field {
        Field { value: value.into(), ..self }
    }

    pub fn of(self, choices: Vec<(String, String)>) -> Field {
        Field { choices, ..self }
    }
}

#[derive(Debug, Clone)]
pub struct Form {
    pub subject: String,
    pub title: &'static str,
    pub chinese: &'static str,
    /// What the act does, in a sentence or two.
    pub effect: String,
    pub action: String,
    pub back: String,
    pub button: &'static str,
    pub is_risky: bool,
    pub fields: Vec<Field>,
    pub key: String,
    pub error: String,
}

#[derive(Template)]
#[template(path = "act_form.html")]
struct ActPage {
    head: Head,
    form: Form,
}

impl Form {
    /// With what was typed, and what was wrong with it.
    pub fn again(mut self, typed: &Typed, error: &PageError) -> Form {
        for field in &mut self.fields {
            field.value = typed.get(field.name).cloned().unwrap_or_default();
        }
        if let Some(key) = typed.get("key") {
            self.key.clone_from(key);
        }
        self.error.clone_from(&error.detail);
        self
    }

    pub fn page(self, head: Head) -> PageResult {
        Ok(render(&ActPage { head, form: self }))
    }
}

pub fn new_key() -> String {
    Uuid::now_v7().to_string()
}

/// The key of the form that was sent.
pub fn key(typed: &Typed) -> Result<Uuid, PageError> {
    let key = typed.get("key").map(String::as_str).unwrap_or_default();
    key.parse().map_err(|_| PageError::unusable("Form", "open it again, it has no key of its own"))
}

pub fn text<'a>(typed: &'a Typed, name: &str) -> &'a str {
    typed.get(name).map(|text| text.trim()).unwrap_or_default()
}

/// Empty: nothing was given.
pub fn given(typed: &Typed, name: &str) -> Option<String> {
    Some(text(typed, name).to_owned()).filter(|text| !text.is_empty())
}

pub fn reading(typed: &Typed, name: &str) -> Result<Option<u64>, PageError> {
    let read = given(typed, name).map(|text| polymeter_service::typed_reading(&text));
    Ok(read.transpose()?)
}

/// Why, and the customer's open applications for an act of these kinds.
pub async fn why_fields(
    app: &App,
    customer: Option<CustomerId>,
    kinds: &[ApplicationKind],
) -> Result<Vec<Field>, PageError> {
    let reason = ("Reason", "原因");
    let mut fields =
        vec![Field::new("text", "reason", reason, "it is kept with the change").required()];
    let Some(customer) = customer else { return Ok(fields) };
    let found = app.service.applications_of_customer(customer).await?;
    let fits = found.iter().filter(|it| !it.state.is_ended() && kinds.contains(&it.kind));
    let mut choices: Vec<(String, String)> = fits
        .map(|it| (it.application_id.to_string(), format!("No. {} · {}", it.number, it.wish)))
        .collect();
    if !choices.is_empty() {
        choices.insert(0, (String::new(), "none".to_owned()));
        let label = ("Application", "申请");
        fields.push(Field::new("choice", "application", label, "").of(choices));
    }
    Ok(fields)
}

pub fn why(typed: &Typed) -> Result<Why, PageError> {
    let application = given(typed, "application").map(|text| text.parse::<ApplicationId>());
    let application =
        application.transpose().map_err(|error| PageError::unusable("Application", error))?;
    Ok(Why { reason: text(typed, "reason").to_owned(), application })
}

//! `token METER KIND`: a token that is no sale, from a terminal.

use super::{ACTOR, Failure, open};
use polymeter_domain::{Decimal, TokenDigits, TokenKind, TokenOrderId, Value};
use polymeter_runtime::{Parameter, ParameterKind};
use polymeter_service::{Home, NewTokenOrder, TokenState};
use std::path::Path;

/// For clap: one of the kinds by its name.
pub fn kind(name: &str) -> Result<TokenKind, String> {
    let all = || TokenKind::ALL.map(TokenKind::name).join(", ");
    TokenKind::from_name(name).ok_or_else(|| format!("it is none of {}", all()))
}

/// What was typed.
#[derive(Debug)]
pub struct Asked {
    pub meter: String,
    pub kind: TokenKind,
    pub value: u64,
    /// `name=value`
    pub set: Vec<String>,
    /// Of everything but a test.
    pub reason: Option<String>,
    pub id: Option<TokenOrderId>,
}

pub async fn run(config: &Path, asked: Asked) -> Result<(), Failure> {
    let app = open(config).await?;
    let meter = app.service.meter_by_serial(&asked.meter).await?;
    if asked.kind == TokenKind::Test {
        print(&app.service.test_token(meter.meter_id, asked.value).await?);
        return Ok(());
    }
    let declared = app.service.parameters_of(&meter.vendor, Home::Here);
    let reason = asked.reason.ok_or_else(|| Failure::Usage("--reason is missing".to_owned()))?;
    let change = asked.set.iter().map(|text| value_of(text, &declared));
    let change = change.collect::<Result<_, Failure>>()?;
    let id = asked.id.unwrap_or_else(|| TokenOrderId::new(uuid::Uuid::now_v7()));
    // Printed first: whatever happens next, this id names the order.
    println!("token order {id}: {} for meter {}", asked.kind, asked.meter);
    let Asked { kind, value, .. } = asked;
    let new = NewTokenOrder { meter_id: meter.meter_id, kind, value, change, reason };
    let made = app.service.put_token_order(id, new, &ACTOR).await?;
    match (made.state, made.digits) {
        (TokenState::Issued, Some(digits)) => {
            print(&digits);
            Ok(())
        }
        (TokenState::Waiting, _) => {
            println!("it waits for a second person");
            Ok(())
        }
        (state, _) => Err(Failure::Wrong(format!("the token order is {}", state.name()))),
    }
}

fn print(digits: &TokenDigits) {
    for token in digits.grouped() {
        println!("token: {token}");
    }
}

/// `name=value`, read as the driver's parameter of that name is declared.
pub(super) fn value_of(text: &str, declared: &[Parameter]) -> Result<(String, Value), Failure> {
    let usage = |why: String| Failure::Usage(format!("--set {text}: {why}"));
    let (name, value) = text.split_once('=').ok_or_else(|| usage("write NAME=VALUE".to_owned()))?;
    let kind = declared.iter().find(|it| it.name == name).map(|it| it.kind);
    let value = match kind {
        Some(ParameterKind::Integer | ParameterKind::Number) => Decimal::parse(value)
            .map(Value::Number)
            .ok_or_else(|| usage("its value is a number".to_owned()))?,
        Some(ParameterKind::Boolean) => match value {
            "true" | "false" => Value::Flag(value == "true"),
            _ => return Err(usage("its value is true or false".to_owned())),
        },
        Some(ParameterKind::String) | None => Value::Text(value.to_owned()),
    };
    Ok((name.to_owned(), value))
}

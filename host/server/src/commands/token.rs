//! `token METER KIND`: a token that is no sale, from a terminal; `token entry`: over whose line a meter's
//! tokens are entered. `token rollover` is a file of its own.

use super::{ACTOR, Failure, open, rollover};
use polymeter_domain::{Decimal, TokenDigits, TokenKind, TokenOrderId, Value};
use polymeter_runtime::{Parameter, ParameterKind};
use polymeter_service::{Home, NewTokenOrder, TokenState};
use std::path::Path;

/// For clap: one of the kinds by its name.
fn kind(name: &str) -> Result<TokenKind, String> {
    let all = || TokenKind::ALL.map(TokenKind::name).join(", ");
    TokenKind::from_name(name).ok_or_else(|| format!("it is none of {}", all()))
}

/// One token, a campaign of them, or their way into a meter.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct Token {
    #[command(subcommand)]
    other: Option<Other>,
    #[arg(value_name = "METER", help = "Serial number", required = true)]
    meter: Option<String>,
    /// clear-credit, max-power, tariff-rate, clear-tamper, max-phase-unbalance, key-change, or test,
    /// which is no order and the same for every meter.
    #[arg(value_name = "KIND", required = true, value_parser = kind)]
    kind: Option<TokenKind>,
    /// Which register (65535: all), how many W, which rate, which test (0: all).
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    value: u64,
    /// Of a key change: a parameter of the driver that it brings.
    #[arg(long, value_name = "NAME=VALUE")]
    set: Vec<String>,
    /// For the audit trail; of everything but a test.
    #[arg(long)]
    reason: Option<String>,
    /// The order's id; repeating a command with the same id gives the same digits.
    #[arg(long, value_name = "UUID")]
    id: Option<TokenOrderId>,
}

#[derive(Debug, clap::Subcommand)]
enum Other {
    /// Move all keypad meters with an open account to a later base date: a key change for each.
    Rollover(rollover::Asked),
    /// Have a keypad meter's tokens entered over the line of a meter that is the same device.
    Entry(Way),
}

#[derive(Debug, clap::Args)]
#[group(skip)]
struct Way {
    #[arg(value_name = "METER", help = "Serial number of the keypad meter")]
    meter: String,
    /// Serial number of the meter on a line.
    #[arg(long, value_name = "METER", required_unless_present = "typed")]
    through: Option<String>,
    /// From now on people type them in.
    #[arg(long, conflicts_with = "through")]
    typed: bool,
}

/// One token.
struct Asked {
    meter: String,
    kind: TokenKind,
    value: u64,
    /// `name=value`
    set: Vec<String>,
    /// Of everything but a test.
    reason: Option<String>,
    id: Option<TokenOrderId>,
}

pub async fn run(config: &Path, token: Token) -> Result<(), Failure> {
    let Token { other, meter, kind, value, set, reason, id } = token;
    match (other, meter, kind) {
        (Some(Other::Rollover(asked)), ..) => rollover::run(config, asked).await,
        (Some(Other::Entry(way)), ..) => lead(config, way).await,
        (None, Some(meter), Some(kind)) => {
            one(config, Asked { meter, kind, value, set, reason, id }).await
        }
        (None, ..) => Err(Failure::Usage("name a meter and a kind".to_owned())),
    }
}

async fn lead(config: &Path, way: Way) -> Result<(), Failure> {
    let app = open(config).await?;
    let meter = app.service.meter_by_serial(&way.meter).await?;
    let through = match &way.through {
        Some(serial) => Some(app.service.meter_by_serial(serial).await?.meter_id),
        None => None,
    };
    app.service.enter_through(meter.meter_id, through, &ACTOR).await?;
    match way.through {
        Some(serial) => println!("tokens of meter {} are entered through {serial}", way.meter),
        None => println!("tokens of meter {} are typed in", way.meter),
    }
    Ok(())
}

async fn one(config: &Path, asked: Asked) -> Result<(), Failure> {
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

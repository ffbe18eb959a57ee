//! What a call answered, and its lines.
//!
//! Invariant: the first line begins with a word and every further one with a blank, whatever texts
//! a driver returned.

use crate::text::{credit_text, piece, value_text};
use crate::value::{
    CardContents, CardIdentity, ClockOutcome, Collision, ControlOutcome, Description, DriverError,
    Evidence, Explanation, Extras, Found, Identity, Measurement, Parameter, Purchase,
    RecordEntries, RecordEntry, Refusal, SearchStep, SellOutcome, SetOutcome, Snapshot, TokenPlan,
    TokensIssued, Value, WrittenBack,
};

/// What any call of the contract may answer, and how it may break off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Description(Description),
    Identity(Identity),
    Snapshot(Snapshot),
    Sell(SellOutcome),
    Control(ControlOutcome),
    Set(SetOutcome),
    Clock(ClockOutcome),
    Evidence(Evidence),
    Explanation(Result<Explanation, String>),
    Search(SearchStep),
    Records(RecordEntries),
    Plan(TokenPlan),
    Issued(TokensIssued),
    /// `None`: the card is none of the vendor's.
    CardIdentity(Option<CardIdentity>),
    CardContents(CardContents),
    Error(DriverError),
    /// The driver trapped: its last words.
    Trap(String),
    /// The host ended the call: which limit, and what was used of it.
    Limit {
        limit: String,
        used: String,
    },
}

/// `measurement.quality`: measured.
const MEASURED: u16 = 0;

/// The lines of a result.
pub fn rendered(outcome: &Outcome) -> Vec<String> {
    lines(outcome).into_iter().map(finished).collect()
}

/// As it reads back: no blank at its end, and not the mark of a beginning that anything may follow.
fn finished(line: String) -> String {
    let line = line.trim_end();
    match line.strip_suffix(" ...") {
        Some(beginning) => format!("{beginning} ..\\u{{2e}}"),
        None => line.to_owned(),
    }
}

fn lines(outcome: &Outcome) -> Vec<String> {
    match outcome {
        Outcome::Error(DriverError { code, detail, device_code }) => {
            vec![coded("error", *code, device_code.as_deref(), detail)]
        }
        Outcome::Trap(last_words) => vec![format!("trap {}", piece(last_words))],
        Outcome::Limit { limit, used } => vec![format!("limit {limit} {}", piece(used))],
        Outcome::Description(description) => description_lines(description),
        Outcome::Identity(Identity { address, model, extras }) => {
            let first = format!("identity address={} model={}", piece(address), piece(model));
            listed(first, &[], extras)
        }
        Outcome::Snapshot(Snapshot { measurements, supply, extras }) => {
            listed(format!("snapshot supply={supply}"), measurements, extras)
        }
        Outcome::Sell(SellOutcome::Confirmed(receipt)) => {
            let balance = receipt.balance.as_ref().map(credit_text);
            let balance = balance.map(|text| format!(" balance={text}")).unwrap_or_default();
            let first = format!("confirmed count={}{balance}", receipt.count);
            listed(first, &[], &receipt.extras)
        }
        Outcome::Sell(SellOutcome::Refused(refusal))
        | Outcome::Control(ControlOutcome::Refused(refusal))
        | Outcome::Set(SetOutcome::Refused(refusal))
        | Outcome::Clock(ClockOutcome::Refused(refusal)) => vec![refusal_text(refusal)],
        Outcome::Sell(SellOutcome::Unknown(why))
        | Outcome::Control(ControlOutcome::Unknown(why))
        | Outcome::Set(SetOutcome::Unknown(why))
        | Outcome::Clock(ClockOutcome::Unknown(why)) => vec![format!("unknown {}", piece(why))],
        Outcome::Control(ControlOutcome::Confirmed(supply)) => {
            vec![format!("confirmed supply={supply}")]
        }
        Outcome::Clock(ClockOutcome::Confirmed(shown)) => {
            vec![format!("confirmed shows={shown}")]
        }
        Outcome::Set(SetOutcome::Confirmed) => vec!["confirmed".to_owned()],
        Outcome::Evidence(evidence) => vec![evidence_text(evidence)],
        Outcome::Explanation(Ok(Explanation { address, measurements, extras })) => {
            listed(format!("explanation address={}", piece(address)), measurements, extras)
        }
        Outcome::Search(step) => step_lines(step),
        Outcome::Records(page) => record_lines(page),
        Outcome::Plan(TokenPlan { identifier, credit, begins_anew }) => {
            let number = identifier.map(|number| format!(" identifier={number}"));
            let anew = if *begins_anew { " anew" } else { "" };
            let number = number.unwrap_or_default();
            vec![format!("plan{number}{}{anew}", carried(credit.as_ref()))]
        }
        Outcome::Issued(TokensIssued { tokens, credit }) => {
            let mut lines = vec![format!("issued{}", carried(credit.as_ref()))];
            lines.extend(tokens.iter().map(|token| format!("  token {}", piece(token))));
            lines
        }
        Outcome::CardIdentity(None) => vec!["none".to_owned()],
        Outcome::CardIdentity(Some(identity)) => vec![format!("card {}", card_text(identity))],
        Outcome::CardContents(contents) => contents_lines(contents),
        Outcome::Explanation(Err(why)) => vec![format!("failed {}", piece(why))],
    }
}

/// What is empty is left out.
fn card_text(identity: &CardIdentity) -> String {
    let CardIdentity { vendor_code, purpose, region, customer_number, device, serial } = identity;
    let mut text = format!("vendor={} purpose={purpose}", piece(vendor_code));
    let named =
        [("region", region), ("customer", customer_number), ("device", device), ("serial", serial)];
    for (name, value) in named.into_iter().filter(|(_, value)| !value.is_empty()) {
        text += &format!(" {name}={}", piece(value));
    }
    text
}

/// The card's own extras stand before what the device wrote back, and that one's after it.
fn contents_lines(contents: &CardContents) -> Vec<String> {
    let CardContents { identity, purchase, taken, written_back, extras } = contents;
    let purchase = purchase_text(purchase.as_ref());
    let first = format!("contents {} purchase={purchase} taken={taken}", card_text(identity));
    let mut lines = listed(first, &[], extras);
    if let Some(WrittenBack { count, balance, at, measurements, extras }) = written_back {
        let balance = balance.as_ref().map(credit_text);
        let balance = balance.map(|text| format!(" balance={text}")).unwrap_or_default();
        let at = at.map(|at| format!(" at={at}")).unwrap_or_default();
        let first = format!("  written-back count={count}{balance}{at}");
        lines.extend(listed(first, measurements, extras));
    }
    lines
}

fn carried(credit: Option<&crate::value::Credit>) -> String {
    credit.map(|credit| format!(" amount={}", credit_text(credit))).unwrap_or_default()
}

fn description_lines(description: &Description) -> Vec<String> {
    let models: Vec<String> = description.models.iter().map(|model| piece(model)).collect();
    let mut lines = vec![format!(
        "description vendor={} name={} version={} models={} proof={} purse={}",
        piece(&description.vendor_code),
        piece(&description.name),
        piece(&description.version),
        models.join(","),
        description.proof,
        description.purse
    )];
    lines.extend(description.parameters.iter().map(parameter_text));
    lines
}

fn step_lines(step: &SearchStep) -> Vec<String> {
    let next = step.next.as_ref().map(|next| format!(" next={}", hex::encode(next)));
    let next = next.unwrap_or_default();
    let mut lines = vec![format!("step done={} total={}{next}", step.done, step.total)];
    for Found { address, model, extras } in &step.found {
        let first = format!("  found address={} model={}", piece(address), piece(model));
        lines.extend(listed(first, &[], extras));
    }
    for Collision { asked, detail, narrowed } in &step.collisions {
        let (asked, detail) = (piece(asked), piece(detail));
        lines.push(format!("  collision asked={asked} narrowed={narrowed} {detail}"));
    }
    lines
}

fn record_lines(page: &RecordEntries) -> Vec<String> {
    let next = page.next.as_ref().map(|next| format!(" next={}", hex::encode(next)));
    let mut lines = vec![format!("records{}", next.unwrap_or_default())];
    for RecordEntry { at, event, device_code, measurements, extras } in &page.entries {
        let at = at.map_or_else(|| "none".to_owned(), |at| at.to_string());
        let code = device_code.as_ref().map(|code| format!(" device={}", piece(code)));
        let event = if event.is_empty() { String::new() } else { format!(" {}", piece(event)) };
        let first = format!("  record at={at}{}{event}", code.unwrap_or_default());
        lines.extend(listed(first, measurements, extras));
    }
    lines.extend(page.damaged.iter().map(|why| format!("  damaged {}", piece(why))));
    lines
}

fn evidence_text(evidence: &Evidence) -> String {
    let none = || "none".to_owned();
    let purchase = purchase_text(evidence.purchase.as_ref());
    let balance = evidence.balance.as_ref().map_or_else(none, credit_text);
    format!("evidence count={} purchase={purchase} balance={balance}", evidence.count)
}

fn purchase_text(purchase: Option<&Purchase>) -> String {
    let text =
        |purchase: &Purchase| format!("{}:{}", purchase.count, credit_text(&purchase.credit));
    purchase.map_or_else(|| "none".to_owned(), text)
}

fn listed(first: String, measurements: &[Measurement], extras: &Extras) -> Vec<String> {
    let mut lines = vec![first];
    lines.extend(measurements.iter().map(measurement_text));
    let extra = |(name, value): &(String, Value)| {
        format!("  extra {} = {}", piece(name), piece(&value_text(value)))
    };
    lines.extend(extras.iter().map(extra));
    lines
}

fn measurement_text(measurement: &Measurement) -> String {
    let Measurement { register, value, unit, quality } = measurement;
    let (register, value) = (piece(register), piece(&value_text(value)));
    if *quality == MEASURED {
        format!("  {register} = {value} unit={unit}")
    } else {
        format!("  {register} quality={quality} value={value} unit={unit}")
    }
}

fn parameter_text(parameter: &Parameter) -> String {
    let mut text = format!("  parameter {} unit={}", piece(&parameter.name), parameter.unit);
    if let Some(minimum) = parameter.minimum {
        text += &format!(" minimum={minimum}");
    }
    if let Some(maximum) = parameter.maximum {
        text += &format!(" maximum={maximum}");
    }
    if let Some(default) = &parameter.default {
        text += &format!(" default={}", piece(&value_text(default)));
    }
    if parameter.writable {
        text += " writable";
    }
    text
}

fn refusal_text(Refusal { code, detail, device_code }: &Refusal) -> String {
    coded("refused", *code, device_code.as_deref(), detail)
}

fn coded(word: &str, code: u16, device_code: Option<&str>, detail: &str) -> String {
    let device = device_code.map(|text| format!(" device={}", piece(text))).unwrap_or_default();
    format!("{word} code={code}{device} {}", piece(detail))
}

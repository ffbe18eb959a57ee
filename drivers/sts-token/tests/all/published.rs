//! Published tokens of the conformance tests, made again by the driver with the real vault: the same
//! digits from vending key, meter, minute and amount. Rows of EA07 need tables that are the STS
//! Association's (ADR 0032); where `sta_tables.json` does not lie beside the vectors they are counted.

use crate::vault::Keys;
use crate::{StsToken, call, named, number, order};
use polymeter_codec::sts::{BaseDate, Class, Content, Credit, Engineering, Order, TokenId};
use polymeter_driver::codes::{quantity, token};
use polymeter_driver::{Call, LocalTime, MeterDriver, TokenOrder, Value};
use polymeter_vault::Kind;
use serde_json::Value as Json;
use std::io::Write as _;

#[derive(Default)]
struct Count {
    same: usize,
    without_tables: usize,
    /// Key changes, whose new key no single row tells; other services; tests.
    other: usize,
}

#[test]
fn published_tokens_are_made_again() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/vectors");
    let Ok(text) = std::fs::read_to_string(format!("{folder}/sts_tokens.jsonl")) else {
        let say = "vectors sts-token: NONE CHECKED, no sts_tokens.jsonl in ../shared/vectors";
        writeln!(std::io::stderr(), "{say}").unwrap();
        return;
    };
    let tables = std::fs::read_to_string(format!("{folder}/sta_tables.json")).ok();
    let tables = tables.map(|text| tables_of(&serde_json::from_str(&text).unwrap()));
    let mut count = Count::default();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        check(&serde_json::from_str(line).unwrap(), tables.as_deref(), &mut count);
    }
    let Count { same, without_tables, other } = count;
    writeln!(
        std::io::stderr(),
        "vectors sts-token: {same} tokens made again, {without_tables} left without the tables of \
         EA07, {other} of other kinds"
    )
    .unwrap();
    assert!(same >= 20, "{same}");
}

fn tables_of(json: &Json) -> String {
    let list = |json: &Json| -> Vec<u8> {
        let numbers = json.as_array().unwrap().iter();
        numbers.map(|number| u8::try_from(number.as_u64().unwrap()).unwrap()).collect()
    };
    let substitutions = [list(&json["substitutions"][0]), list(&json["substitutions"][1])];
    hex::encode([substitutions.concat(), list(&json["permutation"])].concat())
}

fn check(row: &Json, tables: Option<&str>, count: &mut Count) {
    let (expected, digits) = (&row["expected"], row["token"].as_str().unwrap());
    let class = match expected["class"].as_u64() {
        Some(0) => Class::Credit,
        Some(1) => Class::Test,
        Some(2) => Class::Engineering,
        other => panic!("class {other:?}"),
    };
    let block = expected["block64_hex"].as_str().unwrap();
    let block = u64::from_str_radix(block, 16).unwrap();
    let content = Content::of(class, block).unwrap();
    let Some((asked, id, random)) = asked(&content) else {
        count.other += 1;
        return;
    };
    let published = &expected["key_params"];
    let text = |name: &str| published[name].as_str().unwrap().to_owned();
    let whole = |name: &str| number(published[name].as_i64().unwrap());
    let of_text = |name: &str| number(text(name).parse().unwrap());
    let (kind, is_ea07) = match (text("dkga").as_str(), text("ea").as_str()) {
        ("02", "07") => (Kind::StsDes, true),
        ("04", ea) => (Kind::StsKdf, ea == "07"),
        other => panic!("{other:?}"),
    };
    let mut keys = Keys::of("published", kind, &text("vk"));
    match (is_ea07, tables) {
        (true, Some(tables)) => keys.put("sts-tables", Kind::StsTables, tables),
        (true, None) => {
            count.without_tables += 1;
            return;
        }
        (false, _) => {}
    }
    let base = published["bd_key"].as_str().unwrap_or("1993").parse().unwrap();
    let service = match content {
        Content::Credit(Credit { service, .. }) => format!("{service:?}").to_lowercase(),
        _ => "electricity".to_owned(),
    };
    let parameters = named(&[
        ("supply-group", Value::Text(text("sgc"))),
        ("tariff-index", of_text("ti")),
        ("key-revision", whole("krn")),
        ("key-type", whole("kt")),
        ("derivation", of_text("dkga")),
        ("encryption", of_text("ea")),
        ("base-date", number(base)),
        ("service", Value::Text(service)),
        ("key-label", Value::Text("published".to_owned())),
    ]);
    let mut told = Call { address: text("pan"), nonce: vec![random; 16], ..call(parameters) };
    let issued = StsToken::issue(&mut keys, &told, &asked, Some(id.minutes()));
    if id.is_reserved() {
        assert!(issued.is_err(), "{digits}: its number is not for such a token");
        count.other += 1;
        return;
    }
    assert_eq!(issued.unwrap().tokens, [digits]);
    count.same += 1;
    // Where the minute of issue is published, the plan has the same number: that minute's, or the one
    // after the token before it.
    let minute = row["source_context"]["date_of_issue"][0].as_str();
    let years = row["source_context"]["base_date"].as_array();
    if let (Some(minute), Some(1)) = (minute, years.map(Vec::len))
        && row["source_context"]["base_date"][0].as_str() == Some(&base.to_string())
    {
        told.now = moment(minute);
        let plan = StsToken::plan(&told, &asked, id.minutes().checked_sub(1)).unwrap();
        let base = BaseDate::ALL.into_iter().find(|it| i64::from(it.year()) == base).unwrap();
        assert_eq!(plan.identifier, Some(id.minutes()), "{digits}: {minute} from {base:?}");
    }
}

/// The order behind a content, its number and its random bits.
fn asked(content: &Content) -> Option<(TokenOrder, TokenId, u8)> {
    Some(match *content {
        Content::Credit(Credit { service, random, id, amount }) => {
            use polymeter_codec::sts::Service;
            let quantity = match service {
                Service::Electricity => quantity::ENERGY,
                Service::Water | Service::Gas => quantity::VOLUME,
                Service::Time => return None,
            };
            let amount = u64::from(amount.units()) * 100;
            if amount == 0 {
                return None;
            }
            let credit = Some(polymeter_driver::Credit { quantity, amount });
            (TokenOrder { credit, ..order(token::CREDIT, 0) }, id, random)
        }
        Content::Engineering(Engineering { order: it, random, id }) => {
            let asked = match it {
                Order::MaxPower(watts) => order(token::MAX_POWER, watts.units().into()),
                Order::ClearCredit(register) => order(token::CLEAR_CREDIT, register.into()),
                Order::TariffRate(rate) => order(token::TARIFF_RATE, rate.into()),
                Order::ClearTamper => order(token::CLEAR_TAMPER, 0),
                Order::MaxPhaseUnbalance(watts) => {
                    order(token::MAX_PHASE_UNBALANCE, watts.units().into())
                }
                Order::WaterFactor(factor) => order(token::WATER_FACTOR, factor.into()),
            };
            (asked, id, random)
        }
        Content::CurrencyCredit(_) | Content::Test(_) | Content::Key(_) => return None,
    })
}

/// "21/04/2004 10:01:00"
fn moment(text: &str) -> LocalTime {
    let numbers: Vec<u16> = text
        .split(['/', ' ', ':'])
        .map(|number| number.parse().unwrap_or_else(|_| panic!("{text}")))
        .collect();
    let small = |nth: usize| u8::try_from(numbers[nth]).unwrap();
    LocalTime {
        year: numbers[2],
        month: small(1),
        day: small(0),
        hour: small(3),
        minute: small(4),
        second: small(5),
    }
}

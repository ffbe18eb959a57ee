//! What a vendor reads when the file is wrong: file, line, what, fix; and what a good one means.

use super::*;

const GOOD: &str = r#"name = "acme-halo"
version = "1.2.0"
contract = "1.0.0"
models = ["HALO-1"]
imports = ["line", "log", "vault"]
keys = ["sale"]
proof = "purchase-count"
purse = "money"

[[vendor]]
code = "ACME"
name-en = "Acme"
name-zh = "艾克米"

[limits]
memory-bytes = 1048576

[parameters.wake-up]
type = "integer"
title-en = "Wake-up bytes"
title-zh = "前导字节数"
minimum = 0
maximum = 16
default = 4

[parameters.alarm]
type = "number"
title-en = "Alarm"
title-zh = "报警金额"
description-en = "Below this the meter beeps."
default = "0.50"
unit = "currency"
writable = true

[errors."0020"]
of = ["purse"]
bit = true
en = "wrong purchase count"
zh = "购电次数错"

[errors."0002"]
bit = true
en = "taken already"
zh = "重复充值"

[errors.02]
en = "no such data"
zh = "无请求数据"

[build]
language = "c"
[certify]
simulator = ["./simulator"]
"#;

#[track_caller]
fn good() -> Manifest {
    Manifest::parse(Path::new("driver.toml"), GOOD).expect("good")
}

/// The problems of the good file with `from` replaced by `to`.
#[track_caller]
fn check(from: &str, to: &str, expected: &str) {
    assert!(GOOD.contains(from), "{from} is not in the file");
    let text = GOOD.replacen(from, to, 1);
    let problems = Manifest::parse(Path::new("driver.toml"), &text).expect_err("a problem");
    assert_eq!(problems.to_string(), expected);
}

#[test]
fn what_a_driver_of_cards_makes_is_understood_or_told() {
    let cards = GOOD
        .replace("[\"line\", \"log\", \"vault\"]", "[\"card-slot\", \"log\", \"vault\"]")
        .replace("[limits]", "[cards]\nmakes = [\"setting\", \"price\"]\n\n[limits]")
        .replace("writable = true", "writable = true\ncards = [\"setting\"]");
    let parsed = |text: &str| Manifest::parse(Path::new("driver.toml"), text);
    let manifest = parsed(&cards).expect("good");
    assert_eq!(manifest.makes, Some(vec![CardPurpose::Setting, CardPurpose::Price]));
    assert_eq!(manifest.parameters[1].cards, [CardPurpose::Setting]);
    assert_eq!(manifest.parameters[0].cards, []);
    assert_eq!(good().makes, None);
    let told = |from: &str, to: &str, says: &str| {
        assert!(cards.contains(from), "{from}");
        let problems = parsed(&cards.replacen(from, to, 1)).expect_err("a problem").to_string();
        assert!(problems.contains(says), "{problems}");
    };
    told("\"price\"]", "\"user\"]", "a maintenance card `user` is not known");
    told("\"price\"]", "\"setting\"]", "setting stands twice");
    told(
        "\"setting\"]\n\n[errors",
        "\"area\"]\n\n[errors",
        "alarm goes onto area cards, and none is made",
    );
    told("\"card-slot\"", "\"line\"", "has no `card-slot`");
    told("writable = true\n", "", "does not live in the device");
}

#[test]
fn a_good_file_is_understood() {
    let manifest = good();
    assert_eq!(manifest.name, "acme-halo");
    assert_eq!(manifest.version, Version::new(1, 2, 0));
    assert_eq!(manifest.proof, Proof::PurchaseCount);
    assert_eq!(manifest.purse, Some(Quantity::Money));
    assert_eq!(manifest.limits.get("memory-bytes"), Some(&1_048_576));
    let names: Vec<_> = manifest.parameters.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["wake-up", "alarm"], "in the order of the file");
    assert_eq!(
        manifest.parameters[1].default,
        Some(Value::Number(Decimal { mantissa: 50, scale: -2 }))
    );
    assert_eq!(manifest.parameters[1].unit, Unit::CURRENCY);
    assert!(manifest.is_for(&VendorCode::new("ACME").expect("a code")));
    assert!(!manifest.is_for(&VendorCode::new("ACREL").expect("a code")));
}

#[test]
fn a_devices_error_is_told_in_words() {
    let manifest = good();
    let told = |interface, code| -> Vec<String> {
        manifest.errors_of(interface, code).iter().map(|error| error.en.clone()).collect()
    };
    assert_eq!(told("purse", "0020"), ["wrong purchase count"]);
    assert_eq!(told("purse", "0022"), ["wrong purchase count", "taken already"]);
    assert_eq!(told("supply", "0022"), ["taken already"]);
    assert_eq!(told("supply", "0020"), [""; 0]);
    assert_eq!(told("meter", "02"), ["no such data"]);
    assert_eq!(told("meter", "ff"), [""; 0]);
    assert_eq!(told("meter", "nonsense"), [""; 0]);
}

#[test]
fn several_errors_in_one_code_have_one_meaning() {
    let meaning = good().meaning_of("purse", "0022").expect("two bits are set");
    assert_eq!(meaning.en, "wrong purchase count; taken already");
    assert_eq!(meaning.zh, "购电次数错；重复充值");
    assert_eq!(good().meaning_of("supply", "0020"), None);
}

#[test]
fn an_enum_is_a_list_of_fitting_values() {
    let with = |choices: &str| {
        let text = GOOD.replacen("writable = true", choices, 1);
        Manifest::parse(Path::new("driver.toml"), &text)
    };
    let manifest = with("enum = [\"0.5\", 1]").expect("good");
    assert_eq!(manifest.parameters[1].choices.len(), 2);
    let schema = manifest.parameters_schema();
    assert_eq!(schema["properties"]["alarm"]["enum"], serde_json::json!(["0.5", 1]));
    for (choices, problem) in [
        ("enum = []", "the enum of alarm has 0 values; list 1 to 256 values, or remove it"),
        (
            "enum = [true]",
            "the enum of alarm is no number; write it as its type says; decimals as text, e.g. \
             \"0.50\"",
        ),
        ("enum = [\"0.50\", \"0.50\"]", "the enum of alarm has it twice; remove one"),
        (
            "enum = [1, 2]",
            "the default of alarm, 0.50, is out of its enum; change the default or the enum",
        ),
    ] {
        let problems = with(choices).expect_err(choices).to_string();
        assert!(problems.ends_with(problem), "{problems}");
    }
}

#[test]
fn a_form_can_be_drawn_from_it() {
    let schema = good().parameters_schema();
    assert_eq!(schema["properties"]["wake-up"]["type"], "integer");
    assert_eq!(schema["properties"]["wake-up"]["maximum"], 16);
    assert_eq!(schema["properties"]["alarm"]["x-title-zh"], "报警金额");
    assert_eq!(schema["properties"]["alarm"]["x-unit"], "currency");
    assert_eq!(schema["properties"]["alarm"]["default"], "0.50");
    assert_eq!(schema["x-order"], serde_json::json!(["wake-up", "alarm"]));
    assert_eq!(good().to_json()["vendors"][0]["name_zh"], "艾克米");
}

#[test]
fn problems_name_line_and_fix() {
    check("models =", "modles =", "driver.toml:4: unknown key `modles`; did you mean `models`?");
    check(
        "minimum = 0",
        "minimun = 0",
        "driver.toml:22: unknown key `minimun`; did you mean `minimum`?",
    );
    check(
        "proof = \"purchase-count\"\n",
        "",
        "driver.toml:1: the key `proof` is missing; add `proof = ...` here",
    );
    check(
        "name = \"acme-halo\"",
        "name = \"../x\"",
        "driver.toml:1: `../x` is no name for a driver; use 1 to 64 small letters, digits and `-`",
    );
    check(
        "\"1.2.0\"",
        "\"1.2\"",
        "driver.toml:2: `1.2` is no version: unexpected end of input while parsing minor version \
         number; write three numbers, e.g. 1.0.0",
    );
    check(
        "\"ACME\"",
        "\"acme\"",
        "driver.toml:11: vendor code `acme` must be 1 to 16 capital letters, digits or `-`, e.g. \
         ACREL; write the code of the meters",
    );
    check(
        "\"purchase-count\"",
        "\"faith\"",
        "driver.toml:7: proof `faith` is not known; write one of none, purchase-count, \
         credit-register, purchase-list",
    );
    check(
        "type = \"integer\"",
        "type = \"int\"",
        "driver.toml:19: type `int` is not known; write one of integer, number, string, boolean",
    );
    check(
        "default = 4",
        "default = 17",
        "driver.toml:24: the default of wake-up, 17, is out of its range; change the default or \
         the range",
    );
    check(
        "default = 4",
        "default = \"4\"",
        "driver.toml:24: the default of wake-up is no integer; write it as its type says; \
         decimals as text, e.g. \"0.50\"",
    );
    check(
        "maximum = 16",
        "maximum = -1",
        "driver.toml:18: wake-up goes from 0 to -1; swap them\n\
         driver.toml:24: the default of wake-up, 4, is out of its range; change the default or \
         the range",
    );
    check(
        "title-en = \"Alarm\"",
        "title-en = \"\\u001b[31mAlarm\"",
        "driver.toml:26: title-en `\\u{1b}[31mAlarm` cannot be shown; write 1 to 128 bytes of \
         plain text",
    );
    check(
        "[errors.\"0020\"]",
        "[errors.\"0021\"]",
        "driver.toml:35: 0021 is not one bit of a hexadecimal word; leave out bit = true, or \
         write e.g. 0020",
    );
    check(
        "memory-bytes = 1048576",
        "memory-bytes = -1",
        "driver.toml:16: limit memory-bytes is no limit; write 1 or more",
    );
    check(
        "\"vault\"]",
        "\"vault\", \"line\"]",
        "driver.toml:5: import `line` stands twice; remove one",
    );
}

#[test]
fn a_purse_of_energy_may_count_in_steps() {
    assert_eq!(good().purse_step, 1);
    let with = |purse: &str| {
        let text = GOOD.replacen("purse = \"money\"", purse, 1);
        Manifest::parse(Path::new("driver.toml"), &text)
    };
    let manifest = with("purse = \"energy\"\npurse-step = 10").expect("good");
    assert_eq!((manifest.purse_step, &manifest.to_json()["purse_step"]), (10, &10.into()));
    for (purse, problem) in [
        (
            "purse = \"energy\"\npurse-step = 0",
            "a purse cannot count in steps of 0; write 1 to 1000 Wh or litres",
        ),
        (
            "purse = \"volume\"\npurse-step = 1001",
            "a purse cannot count in steps of 1001; write 1 to 1000 Wh or litres",
        ),
        (
            "purse = \"money\"\npurse-step = 10",
            "purse-step is of a purse that holds energy or volume; remove it",
        ),
    ] {
        let found = with(purse).expect_err(purse).to_string();
        assert!(found.ends_with(problem), "{purse}: {found}");
    }
}

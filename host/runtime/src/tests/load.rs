//! What is refused before it runs, and with which sentence.

use super::bench::{ample, component, config, runtime};
use crate::contract::SECTION;
use crate::{Abilities, Capability, DriverConfig, Limits, Proof};
use polymeter_domain::Quantity;
use std::time::Duration;
use wasm_encoder::{ComponentSection, CustomSection, Encode};

async fn check(config: DriverConfig, component: &[u8], sentence: &str) {
    let error = runtime().load(config, component).await.expect_err("refused");
    assert!(error.to_string().starts_with(sentence), "{error}\n   expected {sentence}");
}

/// A component that imports one empty instance of that name and does nothing else.
fn importing(name: &str) -> Vec<u8> {
    external(10, name, &[5, 0])
}

/// `component`, saying that it was built for `contract`.
fn built_for(contract: &str, mut component: Vec<u8>) -> Vec<u8> {
    let section = CustomSection { name: SECTION.into(), data: contract.as_bytes().into() };
    section.append_to_component(&mut component);
    component
}

/// The preamble, a type section with an empty instance type, and one import (10) or export (11).
fn external(section: u8, name: &str, kind: &[u8]) -> Vec<u8> {
    let mut body = vec![1, 0];
    name.encode(&mut body);
    body.extend_from_slice(kind);
    let mut bytes = b"\0asm\x0d\0\x01\0\x07\x03\x01\x42\0".to_vec();
    bytes.push(section);
    body.encode(&mut bytes);
    bytes
}

#[tokio::test]
async fn a_good_driver_describes_itself() {
    let driver = runtime().load(config(ample()), component()).await.expect("loads");
    assert_eq!(driver.name(), "misbehaving");
    let description = driver.description();
    assert_eq!(description.vendor_code.as_str(), "MISBEHAVING");
    assert_eq!(
        (description.proof, description.purse),
        (Proof::PurchaseCount, Some(Quantity::Money))
    );
    let all = Abilities {
        meter: true,
        cards: false,
        purse: true,
        supply: true,
        settings: true,
        frames: true,
        bus: false,
        refund: false,
        token: false,
        clock: false,
        entry: false,
        records: false,
    };
    assert_eq!(driver.abilities(), all);
    let mut imports = driver.imports().to_vec();
    imports.sort();
    assert_eq!(
        imports,
        ["line", "log", "types", "vault"].map(|name| format!("polymeter:driver/{name}@1.1.0"))
    );
}

#[tokio::test]
async fn imports_are_read_before_anything_is_compiled() {
    let config = || DriverConfig { grants: vec![Capability::Line], ..config(ample()) };
    check(
        config(),
        &importing("wasi:io/poll@0.2.6"),
        "driver misbehaving imports wasi:io/poll@0.2.6, which no driver may: build it for \
         wasm32-unknown-unknown with polymeter-sdk",
    )
    .await;
    check(
        config(),
        &importing("polymeter:driver/vault@1.1.0"),
        "driver misbehaving imports polymeter:driver/vault@1.1.0, which is not granted: add \
         \"vault\" to grant of [[driver]] misbehaving",
    )
    .await;
    check(
        config(),
        component(),
        "driver misbehaving imports polymeter:driver/vault@1.1.0, which is not granted",
    )
    .await;
    check(
        config(),
        &importing("polymeter:driver/printer@1.0.0"),
        "driver misbehaving imports polymeter:driver/printer@1.0.0, which contract 1.0, 1.1 does \
         not have",
    )
    .await;
    for (import, built_for) in [
        ("polymeter:driver/line@1.3.0", "1.3.0"),
        ("polymeter:driver/line@2.0.0", "2.0.0"),
        ("polymeter:driver/line@1.0.0-rc.1", "1.0.0-rc.1"),
        ("polymeter:driver/line", "no version"),
    ] {
        check(
            config(),
            &importing(import),
            &format!(
                "driver misbehaving was built for contract {built_for} ({import}), this host \
                 offers 1.0, 1.1"
            ),
        )
        .await;
    }
    // A patch of the contract is the same contract: this one fails for lack of exports only.
    check(
        config(),
        &built_for("1.0.7", importing("polymeter:driver/line@1.0.7")),
        "driver misbehaving does not export polymeter:driver/info@1.0.7",
    )
    .await;
}

#[tokio::test]
async fn the_contract_is_told_before_anything_else() {
    // From the future: told so, and not that an interface of it is unknown here.
    check(
        config(ample()),
        &built_for("1.3.0", importing("polymeter:driver/future@1.3.0")),
        "driver misbehaving was built for contract 1.3.0 (polymeter:contract), this host offers 1.0, 1.1",
    )
    .await;
    check(
        config(ample()),
        &importing("polymeter:driver/line@1.0.0"),
        "driver misbehaving says in 0 places for which contract it was built, and must say so in one",
    )
    .await;
    check(
        config(ample()),
        &built_for("1.0.1", importing("polymeter:driver/line@1.0.0")),
        "driver misbehaving says that it was built for contract 1.0.1, but has \
         polymeter:driver/line@1.0.0: build it anew",
    )
    .await;
    let driver = runtime().load(config(ample()), component()).await.expect("loads");
    assert_eq!(driver.contract(), "1.1.0");
}

#[tokio::test]
async fn what_is_no_whole_component_is_refused() {
    let no_component = "driver misbehaving is no component, or is cut short or damaged: ";
    check(config(ample()), b"", no_component).await;
    check(config(ample()), b"#!/bin/sh\necho this is no component\n", no_component).await;
    // Every tenth length, so that every kind of section is cut somewhere.
    for length in (9..component().len() - 1).step_by(component().len() / 10) {
        let part = component().get(..length).expect("shorter");
        let error = runtime().load(config(ample()), part).await.expect_err("refused").to_string();
        // Cut between two sections it is a whole component that says less.
        let says_less = error.contains("says in 0 places for which contract it was built");
        assert!(error.starts_with(no_component) || says_less, "cut at {length}: {error}");
    }
    check(
        config(ample()),
        b"\0asm\x01\0\0\0",
        "driver misbehaving is a core module, not a component: build it with polymeter-sdk build",
    )
    .await;
    // An empty component, well formed, has nothing to call.
    check(
        config(ample()),
        &built_for("1.0.0", b"\0asm\x0d\0\x01\0".to_vec()),
        "driver misbehaving does not export polymeter:driver/info@1.0.0, which every driver must",
    )
    .await;
    // A function where an interface is promised passes the parser and fails the compiler.
    let nonsense = external(11, "polymeter:driver/info@1.0.0", &[1, 0, 0]);
    let nonsense = built_for("1.0.0", nonsense);
    check(config(ample()), &nonsense, "driver misbehaving does not fit contract 1.1.0: ").await;
}

#[tokio::test]
async fn limits_bite_at_load() {
    let length = component().len();
    check(
        config(Limits { component_bytes: length - 1, ..ample() }),
        component(),
        &format!(
            "driver misbehaving has {length} bytes, over the limit component-bytes of {}: raise \
             limits.component-bytes",
            length - 1
        ),
    )
    .await;
    runtime()
        .load(config(Limits { component_bytes: length, ..ample() }), component())
        .await
        .expect("to the byte");

    for (limits, key, most) in [
        (Limits { component_bytes: 0, ..ample() }, "component-bytes = 0", 64 << 20),
        (Limits { memory_bytes: 513 << 20, ..ample() }, "memory-bytes = 537919488", 512 << 20),
        (Limits { concurrent_calls: 0, ..ample() }, "concurrent-calls = 0", 2048),
        (Limits { wall: Duration::ZERO, ..ample() }, "wall-ms = 0", u32::MAX),
    ] {
        let sentence = format!("driver misbehaving: limit {key} must be from 1 to {most}: change");
        check(config(limits), component(), &sentence).await;
    }
}

#[tokio::test]
async fn a_driver_that_cannot_start_says_which_limit_to_raise() {
    let config = config(Limits { memory_bytes: 64 << 10, ..ample() });
    let error = runtime().load(config, component()).await.expect_err("refused");
    assert_eq!(error.to_string(), "driver misbehaving could not describe itself");
    let source = std::error::Error::source(&error).expect("why").to_string();
    assert!(source.starts_with("misbehaving: limit memory-bytes is spent ("), "{source}");
    assert!(source.contains(" of 65536 bytes, and "), "{source}");
    assert!(source.contains("raise limits.memory-bytes of [[driver]] misbehaving"), "{source}");
}

//! Components made for one test each, and how a host would load them.

use crate::bench::vendor;
use crate::{Capability, DriverConfig, Limits, Options, Runtime, Vault};
use polymeter_runtime::Worker;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::OnceLock;
use wasm_encoder::{ComponentSection, CustomSection, Encode};

/// The worker that cargo built beside this test.
pub fn worker() -> Worker {
    let program = Path::new(env!("CARGO_BIN_EXE_polymeter-compile-worker")).to_owned();
    Worker { program, arguments: vec![] }
}

/// One runtime that compiles apart, for all tests; its cache lasts as long as they do.
pub fn runtime() -> Runtime {
    static RUNTIME: OnceLock<(Runtime, tempfile::TempDir)> = OnceLock::new();
    let start = || {
        let folder = tempfile::tempdir().expect("a folder");
        let options = Options::apart(Vault::default(), worker(), &folder.path().join("cache"));
        (Runtime::new(options).expect("an engine"), folder)
    };
    RUNTIME.get_or_init(start).0.clone()
}

pub fn config(name: &str, limits: Limits) -> DriverConfig {
    DriverConfig {
        name: name.to_owned(),
        vendor: Some(vendor()),
        cover: None,
        region: None,
        grants: vec![Capability::Line, Capability::Vault, Capability::Log],
        limits,
        written: BTreeSet::new(),
    }
}

/// Sentence and causes, as a log would show them.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// Why that component is not loaded.
pub async fn refusal(name: &str, limits: Limits, component: &[u8]) -> String {
    let loaded = runtime().load(config(name, limits), component).await;
    chain(&loaded.expect_err("must be refused"))
}

/// It exports what every driver must, as far as the names go, and runs `start` when it is made;
/// `new` makes a handle.
pub fn starting(start: &str) -> Vec<u8> {
    let text = format!(
        r#"(component
          (type $held (resource (rep i32)))
          (core func $new (canon resource.new $held))
          (core module $m
            (import "" "new" (func $new (param i32) (result i32)))
            (table $table 1 funcref)
            (memory 1)
            (func (export "nothing"))
            (func $start (local $n i32) {start})
            (start $start))
          (core instance $i (instantiate $m
            (with "" (instance (export "new" (func $new))))))
          (func $f (canon lift (core func $i "nothing")))
          (instance $info (export "describe" (func $f)))
          (instance $meter (export "probe" (func $f)) (export "read" (func $f)))
          (export "polymeter:driver/info@1.0.0" (instance $info))
          (export "polymeter:driver/meter@1.0.0" (instance $meter)))"#
    );
    contracted(&wat::parse_str(text).expect("a component"))
}

/// With the section that says for which contract it was built.
pub fn contracted(component: &[u8]) -> Vec<u8> {
    with_custom_section(component, "polymeter:contract", b"1.0.0")
}

/// `bytes` of code that does nothing, in functions of about 30 KB: work for a compiler.
pub fn laborious(bytes: usize) -> Vec<u8> {
    const BODY: usize = 10_000;
    let functions = bytes / (BODY * 3) + 1;
    // i32.const 0, drop.
    let body = [[0x41, 0, 0x1a].repeat(BODY), vec![0x0b]].concat();
    let body = [vec![0], body].concat();
    let body = [leb(body.len()), body].concat();
    let section = |id: u8, content: Vec<u8>| [vec![id], leb(content.len()), content].concat();
    let module = [
        b"\0asm\x01\0\0\0".to_vec(),
        section(1, vec![1, 0x60, 0, 0]),
        section(3, [leb(functions), vec![0; functions]].concat()),
        section(10, [leb(functions), body.repeat(functions)].concat()),
    ]
    .concat();
    contracted(&[b"\0asm\x0d\0\x01\0".to_vec(), section(1, module)].concat())
}

/// `component` with one more custom section.
pub fn with_custom_section(component: &[u8], name: &str, data: &[u8]) -> Vec<u8> {
    let mut component = component.to_vec();
    let section = CustomSection { name: name.into(), data: data.into() };
    section.append_to_component(&mut component);
    component
}

fn leb(number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    number.encode(&mut bytes);
    bytes
}

//! Hostility that lies in the file: refused before a single instruction of it runs, or, where it is its
//! self-description that goes wrong, before it serves.

use super::Row;
use super::wild::{IMPORTS, Wild, entry, package};
use crate::{program, run as run_program};
use anyhow::{Context, Result, ensure};
use std::path::Path;
use wasm_encoder::{ComponentSection, CustomSection, Encode};

const HANDLE_LEAK: &str = "handle-leak";

/// A file, what is wrong with it, and what the refusal must say.
struct Case {
    name: &'static str,
    does: &'static str,
    ends: &'static str,
    vendor: &'static str,
    bytes: Vec<u8>,
    sentence: &'static str,
}

pub async fn run() -> Result<Vec<Row>> {
    let folder = tempfile::tempdir()?;
    let wild = Wild::new(folder.path().to_owned()).await?;
    let mut rows = Vec::new();
    for case in cases(&wild)? {
        let failure = refused(folder.path(), &case).await.err().map(|error| format!("{error:#}"));
        rows.push(Row { driver: case.name.to_owned(), does: case.does, ends: case.ends, failure });
    }
    Ok(rows)
}

/// `check-config` refuses it with exit code 2 and the sentence, beside a driver that is fine, and
/// without the bad one the same configuration is good.
async fn refused(folder: &Path, case: &Case) -> Result<()> {
    let file = folder.join(format!("{}.pmdriver", case.name));
    // A component that imports nothing says so; whatever else is wrong with it is seen before.
    let imports = if ["no-driver", HANDLE_LEAK].contains(&case.name) { "" } else { IMPORTS };
    std::fs::write(&file, package(case.vendor, &case.bytes, imports)?)?;
    let good = program::drivers()?.join("acrel-adf400l.pmdriver");
    let head = "[server]\nlisten = \"127.0.0.1:0\"\n[database]\npath = \"x.db\"\n\
                [site]\ntime-zone = \"Asia/Shanghai\"\ncurrency = \"CNY\"\n";
    let good = format!("{head}{}", entry("acrel-adf400l", "ACREL", &good)?);
    for (text, code) in [(good.clone() + &entry(case.name, case.vendor, &file)?, 2), (good, 0)] {
        let config = folder.join("polymeter.toml");
        std::fs::write(&config, text)?;
        let config = config.to_str().context("a path that is text")?;
        let output = run_program(["--config", config, "check-config"]).await?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.code() == Some(code), "ended with {}: {said}", output.status);
        // A driver's own panic is told as its last words; one of ours names a thread.
        ensure!(!said.contains("thread '"), "{said}");
        ensure!(code == 0 || said.contains(case.sentence), "said {said}");
    }
    Ok(())
}

fn cases(wild: &Wild) -> Result<Vec<Case>> {
    let whole = wild.bytes("HOSTILE-FIL")?;
    let case = |name, does, ends, bytes: Vec<u8>, sentence| Case {
        name,
        does,
        ends,
        vendor: "HOSTILE-FIL",
        bytes,
        sentence,
    };
    let mut cases = vec![
        case(
            "wasi-import",
            "imports WASI sockets",
            "refused before compiling: no driver may",
            importing("wasi:sockets/tcp@0.2.6"),
            "imports wasi:sockets/tcp@0.2.6, which no driver may",
        ),
        case(
            "unknown-interface",
            "imports an interface that the contract does not have",
            "refused before compiling: the contract does not have it",
            importing("polymeter:driver/backdoor@1.1.0"),
            "imports polymeter:driver/backdoor@1.1.0, which contract",
        ),
        case(
            "future-contract",
            "was built for a contract of the future",
            "refused before compiling, with both versions named",
            contract(importing("polymeter:driver/line@1.9.0"), "1.9.0"),
            "was built for contract 1.9.0",
        ),
        case(
            "two-contracts",
            "says another contract than its imports",
            "refused before compiling: build it anew",
            contract(importing("polymeter:driver/line@1.0.0"), "1.1.0"),
            "says that it was built for contract 1.1.0, but has polymeter:driver/line@1.0.0",
        ),
        case(
            "huge-name-section",
            "carries a name section of 3 MiB",
            "refused by the size of its file",
            custom(whole.clone(), "component-name", &vec![0x61; 3 << 20]),
            "raise limits.component-bytes",
        ),
        case(
            "cut-short",
            "is half a file",
            "refused before compiling: cut short or damaged",
            whole.get(..whole.len() / 2).context("a component")?.to_vec(),
            "cut short or damaged",
        ),
        case(
            "bad-section",
            "has a section that runs beyond its end",
            "refused before compiling: cut short or damaged",
            [b"\0asm\x0d\0\x01\0\x07\xff\xff\xff\xff\x0f".as_slice(), &[0x42; 64]].concat(),
            "cut short or damaged",
        ),
        case(
            "core-module",
            "is a core module and no component",
            "refused before compiling",
            b"\0asm\x01\0\0\0".to_vec(),
            "is a core module, not a component",
        ),
        case(
            "no-driver",
            "is a component that exports nothing",
            "refused: every driver must describe itself",
            contract(b"\0asm\x0d\0\x01\0".to_vec(), "1.1.0"),
            "does not export polymeter:driver/info@1.1.0",
        ),
    ];
    cases.push(case(
        HANDLE_LEAK,
        "makes resource handles for ever",
        "refused by the limit handles",
        leaking()?,
        "limit handles is spent",
    ));
    for (name, vendor, does, ends, sentence) in [
        (
            "trap-in-describe",
            "HOSTILE-TRP",
            "panics when it is asked what it is",
            "refused: it could not describe itself",
            "could not describe itself",
        ),
        (
            "loop-in-describe",
            "HOSTILE-LOP",
            "computes for ever when it is asked what it is",
            "refused by the limit cpu-ticks",
            "limit cpu-ticks is spent",
        ),
    ] {
        let bytes = wild.bytes(vendor)?;
        cases.push(Case { name, does, ends, vendor, bytes, sentence });
    }
    cases.push(Case {
        name: "other-vendor",
        does: "says that it is another vendor's than the configuration",
        ends: "refused, with both codes named",
        vendor: "HOSTILE-FIL",
        bytes: wild.bytes("HOSTILE-OTH")?,
        sentence: "its vendor is HOSTILE-FIL, the component says HOSTILE-OTH",
    });
    Ok(cases)
}

/// Handles of a resource of its own, for ever: the contract lends a driver none that it could keep.
fn leaking() -> Result<Vec<u8>> {
    let component = wat::parse_str(
        r#"(component
          (type $held (resource (rep i32)))
          (core func $new (canon resource.new $held))
          (core module $m
            (import "" "new" (func $new (param i32) (result i32)))
            (func (export "nothing"))
            (func $start (loop $again (drop (call $new (i32.const 1))) (br $again)))
            (start $start))
          (core instance $i (instantiate $m
            (with "" (instance (export "new" (func $new))))))
          (func $f (canon lift (core func $i "nothing")))
          (instance $info (export "describe" (func $f)))
          (instance $meter (export "probe" (func $f)) (export "read" (func $f)))
          (export "polymeter:driver/info@1.1.0" (instance $info))
          (export "polymeter:driver/meter@1.1.0" (instance $meter)))"#,
    )?;
    Ok(contract(component, "1.1.0"))
}

/// A component whose one import is an empty instance of that name.
fn importing(name: &str) -> Vec<u8> {
    let mut body = vec![1, 0];
    name.encode(&mut body);
    body.extend([5, 0]);
    let mut bytes = b"\0asm\x0d\0\x01\0\x07\x03\x01\x42\0\x0a".to_vec();
    body.len().encode(&mut bytes);
    [bytes, body].concat()
}

fn custom(mut component: Vec<u8>, name: &str, content: &[u8]) -> Vec<u8> {
    let section = CustomSection { name: name.into(), data: content.into() };
    section.append_to_component(&mut component);
    component
}

fn contract(component: Vec<u8>, version: &str) -> Vec<u8> {
    custom(component, "polymeter:contract", version.as_bytes())
}

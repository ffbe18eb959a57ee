//! docs/writing-a-driver.md, word for word: its commands are taken out of the page and run in an empty
//! folder, with the SDK that this tree was built into.
//!
//! Not here: what certification finds wrong (sdk/certify), and the driver of cards at a counter (e2e).

use guests::page;
use std::path::Path;
use std::process::Command;

const PAGE: &str = "docs/writing-a-driver.md";

/// Runs the commands below a heading as a person would, in one shell.
fn follow(heading: &str) {
    let root = guests::root();
    let page = std::fs::read_to_string(root.join(PAGE)).expect("the page");
    let commands = page::blocks(&page, heading, "sh").concat();
    let number = commands.lines().count();
    assert!(number >= 6, "{PAGE} has {number} commands {heading}");
    let program = Path::new(env!("CARGO_BIN_EXE_polymeter-sdk"));
    let programs = program.parent().expect("a program lies in a folder").to_owned();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths(std::iter::once(programs).chain(std::env::split_paths(&path)))
        .expect("a search path");
    let folder = tempfile::tempdir().expect("an empty folder");
    let output = Command::new("sh")
        .arg("-exc")
        .arg(commands)
        .current_dir(folder.path())
        .env("PATH", path)
        // Kept from run to run: the SDK is built for drivers once.
        .env("CARGO_TARGET_DIR", root.join("target/vendor"))
        .env_remove("CARGO_MANIFEST_DIR")
        .output()
        .expect("a shell");
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{heading}:\n{}", String::from_utf8_lossy(&said));
}

#[test]
fn a_driver_in_rust() {
    follow("## In Rust");
}

#[test]
fn a_driver_in_c() {
    follow("## In C");
}

#[test]
fn a_driver_in_python() {
    follow("## In Python");
}

#[test]
fn a_driver_of_cards() {
    follow("## Cards");
}

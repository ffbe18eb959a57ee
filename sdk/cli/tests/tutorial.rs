//! docs/writing-a-driver.md, word for word: its commands are taken out of the page and run in an empty
//! folder, with the SDK that this tree was built into.
//!
//! Not here: what certification finds wrong (sdk/certify).

use std::path::{Path, PathBuf};
use std::process::Command;

const PAGE: &str = "docs/writing-a-driver.md";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the workspace")
}

/// The commands below the page's heading for a language: every fenced block of `sh`, in order.
fn commands(page: &str, heading: &str) -> Vec<String> {
    let mut commands = Vec::new();
    let (mut is_here, mut in_block) = (false, false);
    for line in page.lines() {
        if let Some(title) = line.strip_prefix("## ") {
            is_here = title == heading;
        } else if line.starts_with("```") {
            in_block = !in_block && line == "```sh";
        } else if is_here && in_block && !line.is_empty() {
            commands.push(line.to_owned());
        }
    }
    commands
}

/// Runs the commands of one language as a person would, in one shell.
fn follow(heading: &str) {
    let root = root();
    let page = std::fs::read_to_string(root.join(PAGE)).expect("the page");
    let commands = commands(&page, heading);
    assert!(commands.len() >= 6, "{PAGE} has {} commands {heading}", commands.len());
    let program = Path::new(env!("CARGO_BIN_EXE_polymeter-sdk"));
    let programs = program.parent().expect("a program lies in a folder").to_owned();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths(std::iter::once(programs).chain(std::env::split_paths(&path)))
        .expect("a search path");
    let folder = tempfile::tempdir().expect("an empty folder");
    let output = Command::new("sh")
        .arg("-exc")
        .arg(commands.join("\n"))
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
    follow("In Rust");
}

#[test]
fn a_driver_in_c() {
    follow("In C");
}

#[test]
fn a_driver_in_python() {
    follow("In Python");
}

#[test]
fn commands_are_found_where_they_stand() {
    let page = "## In Rust\n```sh\na\n```\n```text\nb\n```\n## In C\n```sh\nc\n```\n";
    assert_eq!(commands(page, "In Rust"), ["a"]);
    assert_eq!(commands(page, "In C"), ["c"]);
    assert_eq!(commands(page, "In Go"), Vec::<String>::new());
}

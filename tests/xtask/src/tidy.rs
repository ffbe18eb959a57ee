//! The code's own manners, checked over the files that git knows: heads, sizes, words, leftovers,
//! transcripts, the dependency page and the commands that the README names.
//!
//! Invariant: every complaint names a file and says what to do. Not here: formatting and clippy.

use crate::{contract, floors};
use anyhow::{Context, Result, bail};
use std::path::Path;
use std::process::Command;

/// Longest a file may be before its tests begin.
const LINES_MAX: usize = 500;

/// Marks of work that was left for later. Written in halves so that this file does not find itself.
const LEFTOVERS: &[(&str, &str)] = &[
    (concat!("FIX", "ME"), "mend it or file an issue"),
    (concat!("TO", "DO"), "do it or file an issue"),
    (concat!("dbg", "!("), "remove it"),
    (concat!("todo", "!("), "write it"),
    (concat!("#[ig", "nore"), "assert what is true today, with a reason"),
    (concat!("should_", "panic"), "return an error and assert that"),
];

/// One tracked text file, its path from the root with forward slashes.
struct File {
    path: String,
    text: String,
}

/// Prints every complaint; an error if there is one.
pub fn run(root: &Path) -> Result<()> {
    let complaints = complaints(root)?;
    for complaint in &complaints {
        eprintln!("{complaint}");
    }
    if !complaints.is_empty() {
        bail!("{} complaints", complaints.len());
    }
    println!("tidy");
    Ok(())
}

pub fn complaints(root: &Path) -> Result<Vec<String>> {
    let files = tracked(root)?;
    let mut complaints = floors::complaints(&floors::members(root)?);
    complaints.extend(contract::complaints(root)?);
    let glossary = text_of(&files, "docs/glossary.md")?;
    let banned = banned_words(glossary);
    if banned.is_empty() {
        complaints.push("docs/glossary.md: no word found in a `Never` column".to_owned());
    }
    for file in &files {
        complaints.extend(rust_complaints(file, &banned));
        complaints.extend(transcript_complaints(file));
        complaints.extend(lock_complaints(file));
    }
    complaints.extend(dependency_complaints(
        text_of(&files, "Cargo.toml")?,
        text_of(&files, "docs/dependencies.md")?,
    ));
    complaints.extend(readme_complaints(text_of(&files, "README.md")?));
    complaints.extend(example_complaints(&files));
    Ok(complaints)
}

fn tracked(root: &Path) -> Result<Vec<File>> {
    let arguments = ["ls-files", "--cached", "--others", "--exclude-standard", "-z"];
    let output =
        Command::new("git").args(arguments).current_dir(root).output().context("git ls-files")?;
    let names = String::from_utf8(output.stdout).context("a file name that is not UTF-8")?;
    let mut files = Vec::new();
    for path in names.split('\0').filter(|path| !path.is_empty()) {
        // A deleted file is still listed until the deletion is staged; a binary one has no manners.
        if let Ok(text) = std::fs::read_to_string(root.join(path)) {
            files.push(File { path: path.to_owned(), text });
        }
    }
    Ok(files)
}

fn text_of<'a>(files: &'a [File], path: &str) -> Result<&'a str> {
    let file = files.iter().find(|file| file.path == path);
    file.map(|file| file.text.as_str()).with_context(|| format!("{path} is missing"))
}

fn rust_complaints(file: &File, banned: &[String]) -> Vec<String> {
    let mut complaints = Vec::new();
    if !file.path.ends_with(".rs") {
        return complaints;
    }
    let path = &file.path;
    if !file.text.starts_with("//!") {
        complaints
            .push(format!("{path}: must open with `//!`, saying what it is and what is not in it"));
    }
    let code = file.text.lines().take_while(|line| line.trim() != "#[cfg(test)]").count();
    let is_test = path.contains("/tests/") || path.ends_with("/tests.rs");
    if code > LINES_MAX && !is_test {
        complaints.push(format!(
            "{path}: {code} lines without tests, {LINES_MAX} is the most: split it by noun"
        ));
    }
    for (number, line) in file.text.lines().enumerate() {
        let at = format!("{path}:{}", number + 1);
        for (mark, mend) in LEFTOVERS {
            if line.contains(mark) && path != "tests/xtask/src/tidy.rs" {
                complaints.push(format!("{at}: `{mark}`: {mend}"));
            }
        }
        // The trade's words rule the product; a protocol's own words may stand where it is spoken.
        if !is_test && (path.starts_with("host/") || path.starts_with("sdk/driver/")) {
            for word in banned.iter().filter(|word| has_word(line, word)) {
                complaints.push(format!(
                    "{at}: `{word}` is a word that docs/glossary.md says never to use"
                ));
            }
        }
    }
    complaints
}

/// `word` stands alone or as a part of a snake_case name, in any case.
fn has_word(line: &str, word: &str) -> bool {
    let lower = line.to_lowercase();
    lower.match_indices(word).any(|(start, _)| {
        let before = lower[..start].chars().next_back();
        let after = lower[start + word.len()..].chars().next();
        !before.is_some_and(char::is_alphanumeric) && !after.is_some_and(char::is_alphanumeric)
    })
}

/// The words in backticks in the last column of every table whose last heading is `Never`.
fn banned_words(glossary: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut in_table = false;
    for line in glossary.lines() {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let last = if cells.len() > 2 { cells[cells.len() - 2] } else { "" };
        in_table = cells.len() > 2 && (in_table || last == "Never");
        if in_table {
            words.extend(last.split('`').skip(1).step_by(2).map(str::to_lowercase));
        }
    }
    words
}

fn transcript_complaints(file: &File) -> Option<String> {
    let wrong = file.path.contains("/transcripts/") && !file.text.starts_with("source:");
    wrong.then(|| format!("{}: a transcript's first line is `source: ...`", file.path))
}

fn lock_complaints(file: &File) -> Option<String> {
    let wrong = file.path.ends_with("package-lock.json") && file.text.contains("\"resolved\"");
    wrong.then(|| format!("{}: names a registry host; see .npmrc beside it", file.path))
}

/// Every outside crate of the workspace has a line that begins with its name in backticks.
fn dependency_complaints(manifest: &str, page: &str) -> Vec<String> {
    let table = manifest.split("[workspace.dependencies]").nth(1).unwrap_or_default();
    let table = table.split("\n[").next().unwrap_or_default();
    let names = table.lines().filter(|line| !line.starts_with(['#', ' ', '"', ']', '}']));
    let names =
        names.filter(|line| !line.contains("path =")).filter_map(|line| line.split_once(" = "));
    names
        .filter(|(name, _)| !page.contains(&format!("`{name}`")))
        .map(|(name, _)| format!("docs/dependencies.md: no line for `{name}`"))
        .collect()
}

/// The README names the two front-door commands, and no `cargo xtask` command that does not exist.
fn readme_complaints(readme: &str) -> Vec<String> {
    const COMMANDS: &[&str] = &[
        "demo", "test", "crash", "simulate", "drivers", "examples", "lint", "tidy", "gallery",
        "vectors", "fuzz", "bench",
    ];
    let mut complaints = Vec::new();
    for wanted in ["cargo xtask demo", "cargo xtask test"] {
        if !readme.contains(wanted) {
            complaints.push(format!("README.md: does not name `{wanted}`"));
        }
    }
    for after in readme.split("cargo xtask ").skip(1) {
        let command: String =
            after.chars().take_while(|letter| letter.is_ascii_lowercase()).collect();
        if !COMMANDS.contains(&command.as_str()) {
            complaints.push(format!("README.md: there is no `cargo xtask {command}`"));
        }
    }
    complaints
}

/// The examples of meters speak one protocol in several languages: transcripts and the protocol's page are the
/// same in all of them, and so is the simulator of those that have it in Python.
fn example_complaints(files: &[File]) -> Vec<String> {
    const LANGUAGES: &[&str] = &["c", "python", "rust"];
    const SIMULATED_IN_PYTHON: &[&str] = &["c", "python"];
    let page =
        |text: &str| text.split_once("\n## The HALO protocol").map(|(_, page)| page.to_owned());
    let mut complaints = Vec::new();
    for file in files {
        let Some(path) = file.path.strip_prefix("vendor-examples/acme-") else { continue };
        let Some((own, name)) = path.split_once('/') else { continue };
        if !LANGUAGES.contains(&own) {
            continue;
        }
        let sharing = match name {
            "simulator.py" => SIMULATED_IN_PYTHON,
            name if name == "README.md" || name.starts_with("transcripts/") => LANGUAGES,
            _ => continue,
        };
        for language in sharing.iter().filter(|language| **language != own) {
            let path = format!("vendor-examples/acme-{language}/{name}");
            let other = files.iter().find(|other| other.path == path).map(|other| &other.text);
            let same = match name {
                "README.md" => other.is_some_and(|text| page(text) == page(&file.text)),
                _ => other == Some(&file.text),
            };
            if !same {
                complaints.push(format!("{}: not the same as {path}", file.path));
            }
        }
    }
    complaints
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, text: &str, expected: &[&str]) {
        let file = File { path: path.to_owned(), text: text.to_owned() };
        assert_eq!(rust_complaints(&file, &["recharge".to_owned()]), expected);
    }

    #[test]
    fn bad_manners_are_named() {
        check("host/a.rs", "//! Good.\n", &[]);
        check(
            "host/a.rs",
            "fn a() {}\n",
            &["host/a.rs: must open with `//!`, saying what it is and what is not in it"],
        );
        check(
            "host/a.rs",
            "//! A.\nfn recharge_meter() {}\n",
            &["host/a.rs:2: `recharge` is a word that docs/glossary.md says never to use"],
        );
        check("drivers/a.rs", "//! A.\nfn recharge_meter() {}\n", &[]);
        check(
            "host/a.rs",
            concat!("//! A.\n", "dbg", "!(1)\n"),
            &[concat!("host/a.rs:2: `dbg", "!(`: remove it")],
        );
        let long = format!("//! A.\n{}", "x\n".repeat(500));
        check(
            "host/a.rs",
            &long,
            &["host/a.rs: 501 lines without tests, 500 is the most: split it by noun"],
        );
        check("host/a.rs", &format!("//! A.\n#[cfg(test)]\n{}", "x\n".repeat(600)), &[]);
    }

    #[test]
    fn words_are_whole() {
        for (line, found) in
            [("addr", true), ("the_addr_x", true), ("address", false), ("saddr", false)]
        {
            assert_eq!(has_word(line, "addr"), found, "{line}");
        }
        assert_eq!(
            banned_words("| a | Never |\n|---|---|\n| b | `c`, `d` |\n\n| e | `f` |\n"),
            ["c", "d"]
        );
    }

    #[test]
    fn the_dependency_page_and_the_readme_are_held_to_the_truth() {
        let manifest =
            "[workspace.dependencies]\nours = { path = \"x\" }\nserde = \"1\"\n\n[profile.dev]\n";
        assert_eq!(
            dependency_complaints(manifest, ""),
            ["docs/dependencies.md: no line for `serde`"]
        );
        assert!(dependency_complaints(manifest, "| `serde` | ...").is_empty());
        let readme = "cargo xtask demo, cargo xtask test, cargo xtask fly";
        assert_eq!(readme_complaints(readme), ["README.md: there is no `cargo xtask fly`"]);
    }

    #[test]
    fn examples_in_several_languages_are_one_example() {
        // The texts of one file in C, Python and Rust; a language without one has no such file.
        let check = |name: &str, texts: [&str; 3], expected: usize| {
            let examples = ["c", "python", "rust"].into_iter().zip(texts);
            let file = |(language, text): (&str, &str)| File {
                path: format!("vendor-examples/acme-{language}/{name}"),
                text: text.to_owned(),
            };
            let files: Vec<File> =
                examples.filter(|(_, text)| !text.is_empty()).map(file).collect();
            assert_eq!(example_complaints(&files).len(), expected, "{name} {texts:?}");
        };
        check("transcripts/ok/a.transcript", ["1", "1", "1"], 0);
        check("transcripts/ok/a.transcript", ["1", "2", "1"], 4);
        check("transcripts/ok/a.transcript", ["1", "1", "2"], 4);
        check("transcripts/ok/a.transcript", ["", "1", "1"], 2);
        check("transcripts/ok/a.transcript", ["1", "1", ""], 2);
        check("simulator.py", ["1", "1", ""], 0);
        check("simulator.py", ["1", "2", ""], 2);
        let page = |own: &str, page: &str| format!("{own}\n## The HALO protocol\n{page}");
        let (c, python, rust) = (page("C", "1"), page("P", "1"), page("R", "1"));
        check("README.md", [&c, &python, &rust], 0);
        check("README.md", [&c, &python, &page("R", "2")], 4);
        check("driver.toml", ["1", "2", "3"], 0);
        // That of cards has no other language.
        let file = |name: &str| File {
            path: format!("vendor-examples/acme-card/{name}"),
            text: "1".to_owned(),
        };
        let files = ["README.md", "transcripts/ok/a.transcript"].map(file);
        assert_eq!(example_complaints(&files), Vec::<String>::new());
    }

    #[test]
    fn this_tree_is_tidy() {
        assert_eq!(complaints(&crate::root()).expect("git and cargo"), Vec::<String>::new());
    }
}

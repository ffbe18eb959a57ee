//! Driver projects in C that do and do not build. They need Debian's packages, which
//! `cargo xtask test` installs.

use crate::build;
use std::path::Path;

const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../vendor-examples/acme-c");

/// The example with `more` as one further source file, built.
fn built(more: &str) -> Result<Vec<u8>, String> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let project = folder.path();
    std::fs::create_dir(project.join("src")).expect("a folder");
    let example = Path::new(EXAMPLE);
    for entry in std::fs::read_dir(example.join("src")).expect("the example") {
        let path = entry.expect("the example").path();
        let name = path.file_name().expect("a file");
        std::fs::copy(&path, project.join("src").join(name)).expect("a copy");
    }
    std::fs::copy(example.join("driver.toml"), project.join("driver.toml")).expect("a copy");
    std::fs::write(project.join("src/more.c"), more).expect("a file");
    let out = build(project, &project.join("out")).map_err(|error| format!("{error:#}"))?;
    Ok(std::fs::read(out).expect("the component"))
}

fn check(more: &str, sentence: &str) {
    let error = built(more).expect_err("refused");
    assert!(error.contains(sentence), "{error}\n   expected {sentence}");
}

#[test]
fn the_example_becomes_a_small_component() {
    let component = built("").expect("builds");
    assert!(component.len() < 256 << 10, "{} bytes", component.len());
}

#[test]
fn libc_has_no_system() {
    let clock = "#include <time.h>\n#include \"polymeter.h\"\n__attribute__((used, \
                 export_name(\"now\"))) long now(void) { return (long)time(NULL); }\n";
    check(clock, "needs clock_time_get of the system, and a driver has no system");
}

#[test]
fn mistakes_are_the_compilers_own_words() {
    check("int wrong( {\n", "more.c:1");
    check("int unused(void) { int nobody; return 0; }\n", "unused variable 'nobody'");
    let twice = "#include \"polymeter.h\"\nvoid pm_set(pm_string *out, const char *text) {}\n";
    check(twice, "duplicate symbol: pm_set");
}

//! The document against its snapshot, and what every answer carries.

use super::*;
use std::path::Path;

/// Set it to anything to write the snapshot anew.
const REWRITE: &str = "POLYMETER_REWRITE_OPENAPI";

#[test]
fn the_document_is_the_reviewed_one() {
    let snapshot = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi.json");
    let mut text = document().to_pretty_json().expect("the document is plain data");
    text.push('\n');
    if std::env::var_os(REWRITE).is_some() {
        std::fs::write(&snapshot, &text).expect("the snapshot can be written");
    }
    let reviewed = std::fs::read_to_string(&snapshot).unwrap_or_default();
    assert!(
        reviewed == text,
        "the API's document differs from host/server/openapi.json; if that is meant, run \
         {REWRITE}=1 cargo test -p polymeter-server and review the difference"
    );
}

#[test]
fn every_route_says_who_may_use_it() {
    let (_, open) = open().split_for_parts();
    let open: Vec<&String> = open.paths.paths.keys().collect();
    assert_eq!(open, ["/api/v1/sessions", "/healthz", "/readyz"]);
    assert_eq!(document().security.map(|all| all.len()), Some(1));
}

/// Two values of one name would share one schema in the document, and one of them would be wrong.
#[test]
fn every_schema_has_a_name_of_its_own() {
    let api = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut names = std::collections::BTreeMap::new();
    for folder in [api.join("api"), api] {
        for file in std::fs::read_dir(folder).expect("the sources").map(|it| it.expect("a file")) {
            if file.path().extension().is_none_or(|it| it != "rs") {
                continue;
            }
            let text = std::fs::read_to_string(file.path()).expect("a source");
            for (_, declared) in text.match_indices("ToSchema)]").filter_map(|(at, found)| {
                let rest = text.get(at + found.len()..)?;
                rest.lines().find(|line| line.starts_with("pub ")).map(|line| (at, line))
            }) {
                let name = declared.split([' ', '<', '(']).nth(2).unwrap_or_default().to_owned();
                let other = names.insert(name.clone(), file.path());
                assert_eq!(other, None, "{name} is declared again in {}", file.path().display());
            }
        }
    }
    assert!(names.len() > 50, "only {} schemas were found", names.len());
}

#[test]
fn no_operation_is_said_to_fail_by_itself() {
    let json = document().to_json().expect("the document is plain data");
    assert!(!json.contains("\"500\":"), "a 500 is a bug of ours, not an answer");
}

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

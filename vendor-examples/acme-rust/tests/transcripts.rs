//! The transcripts beside the driver, played natively.

use std::path::Path;

#[test]
fn transcripts() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("transcripts");
    for kind in ["ok", "refused", "broken"] {
        let played = polymeter_replay::check_folder::<acme::Acme>(&folder.join(kind));
        assert!(played.expect("all transcripts agree") > 0, "no transcript in {kind}");
    }
}

//! The transcripts beside the driver, played natively.

use driver_acrel_adf400l::Adf400l;
use std::path::Path;

#[test]
fn transcripts() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("transcripts");
    for kind in ["ok", "refused", "broken"] {
        let played = polymeter_replay::check_folder::<Adf400l>(&folder.join(kind)).unwrap();
        assert!(played > 0, "no transcript in {kind}");
    }
}

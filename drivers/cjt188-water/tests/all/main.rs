//! The driver against its transcripts. No clock, no socket, no meter.

use driver_cjt188_water::Cjt188Water;
use std::path::Path;

#[test]
fn transcripts() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("transcripts");
    for kind in ["ok", "refused", "broken"] {
        let played = polymeter_replay::check_folder::<Cjt188Water>(&folder.join(kind)).unwrap();
        assert!(played > 0, "no transcript in {kind}");
    }
}

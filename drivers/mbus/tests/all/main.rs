//! The driver from outside: transcripts, and a line of many meters made from EN 13757 alone.

mod hostile;
mod line;

use driver_mbus::Mbus;
use std::path::Path;

#[test]
fn transcripts() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("transcripts");
    for kind in ["ok", "refused", "broken"] {
        let played = polymeter_replay::check_folder::<Mbus>(&folder.join(kind)).unwrap();
        assert!(played > 0, "no transcript in {kind}");
    }
}

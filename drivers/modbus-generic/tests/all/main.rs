//! The driver's transcripts, played natively.

use driver_modbus_generic::Generic;
use std::path::Path;

#[test]
fn transcripts() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("transcripts");
    for kind in ["ok", "refused", "broken"] {
        let played = polymeter_replay::check_folder::<Generic>(&folder.join(kind));
        assert!(played.unwrap_or_else(|why| panic!("{why}")) > 0, "no transcript in {kind}");
    }
}

//! The driver against its transcripts. All that it shares with the one for money is tested there.

use driver_dlt645_2007_energy::Dlt645;
use polymeter_replay::check_folder;
use std::io::Write as _;

#[test]
fn transcripts() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/transcripts");
    let played = check_folder::<Dlt645>(folder.as_ref()).unwrap_or_else(|error| panic!("{error}"));
    let text = format!("transcripts dlt645-2007-energy: {played} played\n");
    std::io::stderr().write_all(text.as_bytes()).expect("standard error is there");
    assert!(played > 0);
}

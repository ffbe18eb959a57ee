//! The driver against its transcripts and against any bytes at all.

use driver_dlt645_1997::Dlt645Of1997;
use polymeter_driver::MeterDriver;
use polymeter_replay::check_folder;
use proptest::prelude::*;
use std::io::Write as _;

/// Printed past the test harness, which keeps what a passing test prints to itself.
macro_rules! report {
    ($($text:tt)*) => {
        writeln!(std::io::stderr(), $($text)*).expect("standard error is there")
    };
}

mod bus;

#[test]
fn transcripts() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/transcripts");
    match check_folder::<Dlt645Of1997>(folder.as_ref()) {
        Ok(played) => report!("transcripts dlt645-1997: {played} played"),
        Err(error) => panic!("{error}"),
    }
}

proptest! {
    #[test]
    fn any_frame_is_explained_or_not(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = Dlt645Of1997::decode(&bytes);
        let framed = [&[0x68, 1, 0, 0, 0, 0, 0, 0x68], bytes.as_slice()].concat();
        let _ = Dlt645Of1997::decode(&framed);
    }
}

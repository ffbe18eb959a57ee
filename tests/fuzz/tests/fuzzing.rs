//! The fuzzer itself: it finds what was planted, and finds nothing where nothing is. Its targets,
//! scaled (targets.md, R20).

use fuzz::corpus::{Store, of_transcripts, of_vectors};
use fuzz::limits::HUNG;
use fuzz::run::{Budget, Report, Settings, keep_panics_quiet, run};
use fuzz::targets::{TARGETS, Target};
use polymeter_codec::{Decoded, dlt645};
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

fn settings(budget: Budget, hung: Duration) -> Settings {
    Settings { seed: 1, budget, hung }
}

fn played(target: Target, seeds: Vec<Vec<u8>>, settings: &Settings) -> Report {
    keep_panics_quiet();
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), target.name).unwrap();
    let report = run(target, seeds, &store, settings).unwrap();
    for finding in &report.findings {
        assert!(finding.file.is_file(), "it lies where it is said to");
    }
    report
}

/// A mistake as a decoder could have it: the last byte of a password is taken without a look.
fn planted(bytes: &[u8]) {
    if let Decoded::Frame { frame, .. } = dlt645::decode(bytes)
        && frame.control == dlt645::control::WRITE
    {
        let data = frame.data.as_slice();
        assert!(data.len() >= 12, "planted");
    }
}

#[test]
fn a_planted_panic_is_found_and_played_again() {
    keep_panics_quiet();
    let target = Target { name: "planted", vectors: &[], run: planted };
    let good = hex::decode("6811111111111168140D343933373533333333333333380016").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), target.name).unwrap();
    let many = settings(Budget::Inputs(2_000_000), HUNG);
    let report = run(target, vec![good.clone()], &store, &many).unwrap();
    assert_eq!(report.findings.len(), 1, "one place, one finding: {report:?}");
    assert!(report.findings[0].what.contains("planted"), "{report:?}");
    // The next run begins with it.
    let again = run(target, vec![], &store, &settings(Budget::Inputs(1), HUNG)).unwrap();
    assert_eq!(again.findings.len(), 1, "{again:?}");
    // And a target without the mistake has none.
    let mended = |bytes: &[u8]| {
        let _ = dlt645::decode(bytes);
    };
    let mended = Target { run: mended, ..target };
    let clean = run(mended, vec![good], &store, &settings(Budget::Inputs(1_000), HUNG)).unwrap();
    assert_eq!(clean.findings.len(), 0, "{clean:?}");
}

#[test]
fn a_planted_loop_is_found() {
    let run = |bytes: &[u8]| {
        while bytes.first() == Some(&0x68) {
            std::thread::sleep(Duration::from_millis(1));
        }
    };
    let target = Target { name: "loop", vectors: &[], run };
    let seeds = vec![vec![0x67, 1, 2, 3]];
    let report =
        played(target, seeds, &settings(Budget::Inputs(100_000), Duration::from_millis(400)));
    assert_eq!(report.findings.len(), 1, "{report:?}");
    assert!(report.findings[0].what.contains("did not come back"), "{report:?}");
}

#[test]
fn a_planted_slowness_is_found() {
    let run = |bytes: &[u8]| {
        if bytes.first() == Some(&0x68) {
            std::thread::sleep(Duration::from_millis(60));
        }
    };
    let target = Target { name: "slow", vectors: &[], run };
    let report = played(target, vec![vec![0x68]], &settings(Budget::Inputs(1), HUNG));
    assert!(report.findings[0].what.starts_with("took"), "{report:?}");
}

#[test]
fn the_same_seed_plays_the_same_inputs() {
    fn sum(bytes: &[u8]) {
        let sum = bytes.iter().fold(0_u64, |sum, byte| sum.wrapping_mul(31) + u64::from(*byte));
        assert!(sum % 5_000 != 7, "{sum}");
    }
    let target = Target { name: "same", vectors: &[], run: sum };
    let what = || {
        let seeds = vec![vec![1; 20]];
        let report = played(target, seeds, &settings(Budget::Inputs(50_000), HUNG));
        report.findings.iter().map(|finding| finding.what.clone()).collect::<Vec<_>>()
    };
    let (first, second) = (what(), what());
    assert!(!first.is_empty());
    assert_eq!(first, second);
}

/// R20, scaled: targets.md wants 1e8 inputs for each decoder, `cargo xtask fuzz --minutes` plays
/// millions a minute; here each target is played this often, without counters.
const R20_INPUTS: u64 = 100_000;

#[test]
fn r20_no_decoder_panics_or_hangs() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let transcripts = of_transcripts(&root.join("drivers")).unwrap();
    assert!(!transcripts.is_empty(), "the drivers have transcripts");
    for target in TARGETS {
        let mut seeds = transcripts.clone();
        for file in target.vectors {
            let path = root.join("../shared/vectors").join(file);
            seeds.extend(of_vectors(&path).unwrap().unwrap_or_default());
        }
        let report = played(*target, seeds, &settings(Budget::Inputs(R20_INPUTS), HUNG));
        assert!(report.findings.is_empty(), "{report:?}");
        writeln!(
            std::io::stderr(),
            "R20 {}: {} inputs in {:.1?}, 0 findings",
            report.name,
            report.inputs,
            report.time
        )
        .unwrap();
    }
}

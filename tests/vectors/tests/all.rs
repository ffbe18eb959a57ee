//! Every published row, and that the check of them can fail.

use std::io::Write as _;
use std::path::Path;
use vectors::{Checked, Explained, Protocol, Report, Row, folder, tally};

/// Printed past the test harness, which keeps what a passing test prints to itself.
fn say(text: &str) {
    writeln!(std::io::stderr(), "{text}").expect("standard error is there");
}

#[test]
fn published_rows() {
    let Some(folder) = folder() else {
        return say("vectors: NONE CHECKED, there is no folder ../shared/vectors");
    };
    let report = Report::new(&folder, "");
    say(&report.to_string());
    assert!(!report.failed(), "{report}");
}

/// A file of rows in a folder of its own, by what the check is to say of each.
fn check(rows: &str, explained: &'static [Explained], failures: &[(usize, &str)]) {
    fn as_the_row_says(row: &Row) -> Result<Checked, String> {
        match row.text("is") {
            "error" => Err("not decoded".to_owned()),
            "broken" => Ok(Checked::Refused("bad checksum".to_owned())),
            "left" => Ok(Checked::Left("of another protocol")),
            "differs" => {
                let differences = vec!["volume: published 1, ours 2".to_owned()];
                Ok(Checked::Decoded { compared: 2, differences, unread: None })
            }
            _ => Ok(Checked::Decoded { compared: 1, differences: Vec::new(), unread: None }),
        }
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(folder.path().join("rows.jsonl"), rows).expect("it can be written");
    let protocol =
        Protocol { name: "made up", file: "rows.jsonl", check: as_the_row_says, explained };
    let tally = tally(folder.path(), &protocol);
    let came: Vec<(usize, &str)> =
        tally.failures.iter().map(|(row, text)| (*row, text.as_str())).collect();
    assert_eq!(came, failures, "{rows}");
}

#[test]
fn what_is_wrong_fails() {
    check("{}\n{\"is\": \"broken\"}\n\n{\"is\": \"left\"}", &[], &[]);
    check("{\"is\": \"error\"}", &[], &[(1, "not decoded")]);
    check("\n{\"is\": \"differs\"}", &[], &[(2, "volume: published 1, ours 2")]);
    const RIGHT: &[Explained] = &[Explained { row: 1, about: "volume", reason: "theirs is wrong" }];
    check("{\"is\": \"differs\"}", RIGHT, &[]);
    check("{}", RIGHT, &[(1, "\"volume\" explains no difference")]);
    const OTHER: &[Explained] = &[Explained { row: 1, about: "energy", reason: "theirs is wrong" }];
    check(
        "{\"is\": \"differs\"}",
        OTHER,
        &[(1, "volume: published 1, ours 2"), (1, "\"energy\" explains no difference")],
    );
    check("", &[], &[(0, "the file has no row")]);
    assert!(Report::new(Path::new("/nowhere"), "").failed());
    assert!(Report::new(Path::new("/nowhere"), "no such protocol").failed());
}

//! What certification found, for people and for machines. Not here: who signs it.

use crate::case::Case;
use serde::Serialize;
use std::fmt::Write;

/// How many failures the text shows at its end.
const SHOWN: usize = 10;

/// Everything that was tried. It says nothing that changes from run to run under one seed.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Of this shape; a change of meaning makes it 2.
    pub format: u32,
    /// Its name in driver.toml.
    pub driver: String,
    /// Its version there.
    pub version: String,
    /// The version of the contract that it was built for.
    pub contract: String,
    /// SHA-256 of the component, in hex.
    pub component: String,
    /// The version of the SDK that certified.
    pub sdk: String,
    /// Makes the same cases again.
    pub seed: u64,
    /// Cases were left out, by choice of who ran it: this certifies nothing.
    pub partial: bool,
    /// How many cases passed.
    pub passed: usize,
    /// How many failed.
    pub failed: usize,
    /// All of them, in the order in which they were made up.
    pub cases: Vec<Case>,
}

impl Report {
    /// There were cases, and none failed.
    pub fn is_good(&self) -> bool {
        self.failed == 0 && self.passed > 0
    }

    pub(crate) fn count(&mut self) {
        self.passed = self.cases.iter().filter(|case| case.passed).count();
        self.failed = self.cases.len() - self.passed;
    }

    /// For machines, with a newline at its end.
    pub fn to_json(&self) -> serde_json::Result<String> {
        serde_json::to_string_pretty(self).map(|text| text + "\n")
    }

    /// One line a case, then the first failures in full.
    pub fn to_text(&self) -> String {
        let mut text = format!(
            "{} {} for contract {}, component sha256 {}\nseed {}, polymeter-sdk {}{}\n\n",
            self.driver,
            self.version,
            self.contract,
            self.component,
            self.seed,
            self.sdk,
            if self.partial { ", only a part of the cases" } else { "" },
        );
        for case in &self.cases {
            let mark = if case.passed { "ok  " } else { "FAIL" };
            // Writing into a String cannot fail.
            let _ = writeln!(text, "{mark} {}", case.name);
        }
        text += &self.summary();
        text
    }

    /// The last lines: how many, and the first failures with what repeats them.
    pub fn summary(&self) -> String {
        let mut text = format!("\n{} cases passed, {} failed\n", self.passed, self.failed);
        for case in self.cases.iter().filter(|case| !case.passed).take(SHOWN) {
            let _ = writeln!(text, "\nFAIL {}", case.name);
            for complaint in &case.complaints {
                let _ = writeln!(text, "  {complaint}");
            }
            let _ = writeln!(text, "  said:  {}\n  truth: {}", case.said, case.truth);
            let _ = writeln!(
                text,
                "  again: polymeter-sdk certify --seed {} --only \"{}\"",
                self.seed, case.name
            );
        }
        text
    }
}

//! `[driver.candidate]`: a version on trial, where it is tried and what sends it back.

use super::checks::Checker;
use super::raw;
use polymeter_package::problem::line_at;
use polymeter_service::{Plan, Thresholds};
use std::path::PathBuf;
use std::time::Duration;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CandidateEntry {
    pub package: PathBuf,
    pub plan: Plan,
    /// Where it stands in the file.
    pub line: usize,
}

impl CandidateEntry {
    /// With the thresholds that nobody has changed.
    pub fn new(package: PathBuf, shadow_lines: Vec<String>, canary_percent: u8) -> Self {
        let thresholds = Thresholds::default();
        CandidateEntry { package, plan: Plan { shadow_lines, canary_percent, thresholds }, line: 1 }
    }
}

impl Checker<'_> {
    pub(super) fn candidate(
        &mut self,
        raw: &raw::Candidate,
        lines: &[raw::Line],
    ) -> CandidateEntry {
        let package = self.beside(raw.package.get_ref());
        if !package.is_file() {
            let what = format!("no candidate file {}", package.display());
            let fix = "mend the path (relative to this file), or take [driver.candidate] out";
            self.problem(&raw.package, what, fix.to_owned());
        }
        for line in &raw.shadow_lines {
            if lines.iter().all(|it| it.name.get_ref() != line.get_ref()) {
                let what = format!("no line `{}` to shadow on", line.get_ref());
                self.problem(line, what, "name a [[line]] of this file".to_owned());
            }
        }
        if let Some(canary) = &raw.canary
            && *canary.get_ref() > 100
        {
            let what = format!("a canary of {} per cent", canary.get_ref());
            self.problem(canary, what, "write 0 to 100".to_owned());
        }
        let canary_percent = raw.canary.as_ref().map_or(0, |it| *it.get_ref());
        if raw.shadow_lines.is_empty() && canary_percent == 0 {
            let what = "a candidate that is tried nowhere".to_owned();
            let fix = "give it shadow-lines = [\"...\"], or canary = 10".to_owned();
            self.problem(&raw.package, what, fix);
        }
        let shadow_lines = raw.shadow_lines.iter().map(|line| line.get_ref().clone()).collect();
        let line = line_at(self.text, raw.package.span().start);
        let plan = Plan { shadow_lines, canary_percent, thresholds: thresholds(raw) };
        CandidateEntry { package, plan, line }
    }
}

fn thresholds(raw: &raw::Candidate) -> Thresholds {
    let own = Thresholds::default();
    Thresholds {
        shadow_reads: raw.shadow_reads.unwrap_or(own.shadow_reads),
        canary_reads: raw.canary_reads.unwrap_or(own.canary_reads),
        canary_acts: raw.canary_acts.unwrap_or(own.canary_acts),
        faults_percent: raw.faults_percent.unwrap_or(own.faults_percent),
        faults_least: raw.faults_least.unwrap_or(own.faults_least),
        disagreements_percent: raw.disagreements_percent.unwrap_or(own.disagreements_percent),
        disagreements_least: raw.disagreements_least.unwrap_or(own.disagreements_least),
        drift_percent: raw.drift_percent.unwrap_or(own.drift_percent),
        latency_factor: raw.latency_factor.unwrap_or(own.latency_factor),
        latency_samples: raw.latency_samples.unwrap_or(own.latency_samples),
        latency_slack: raw.latency_slack_ms.map_or(own.latency_slack, Duration::from_millis),
    }
}

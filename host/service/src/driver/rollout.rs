//! A candidate on its way to replace the current version: shadow, canary of reads, canary of all
//! acts, ready. And what makes it go back by itself.
//!
//! Invariant: pure. It is told what was observed and answers with the step that follows; time comes
//! in as durations. Not here: who is called (registry), who is told of a step (change).

use super::compare::Difference;
use crate::limits::{DIFFERENCES_KEPT, LATENCIES_KEPT};
use std::collections::VecDeque;
use std::time::Duration;

/// How far a candidate has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Reads after the current version on chosen lines, and is compared.
    Shadow,
    /// Answers the reads of a share of the meters.
    CanaryReads,
    /// Does every act on that share of the meters.
    CanaryAll,
    /// As before, and has shown enough to be promoted by a person.
    Ready,
}

impl Stage {
    pub fn name(self) -> &'static str {
        match self {
            Stage::Shadow => "shadow",
            Stage::CanaryReads => "canary-reads",
            Stage::CanaryAll => "canary-all",
            Stage::Ready => "ready",
        }
    }
}

/// What a candidate must show before the next stage, and what sends it back. Each has a key in the
/// configuration, under `[driver.candidate]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thresholds {
    /// Comparisons without going back, before it answers anybody.
    pub shadow_reads: u32,
    /// Reads answered, before it may change a device.
    pub canary_reads: u32,
    /// Acts done, before it is ready.
    pub canary_acts: u32,
    /// More traps, spent limits and unusable answers than this share of its calls ..
    pub faults_percent: u32,
    /// .. but never for fewer than so many.
    pub faults_least: u32,
    /// More disagreeing comparisons than this share ..
    pub disagreements_percent: u32,
    /// .. but never for fewer than so many.
    pub disagreements_least: u32,
    /// What a value may have moved between the two reads of a comparison.
    pub drift_percent: u32,
    /// Its p99 of reads over the current version's ..
    pub latency_factor: u32,
    /// .. once there are so many reads of both ..
    pub latency_samples: u32,
    /// .. and only by more than this.
    pub latency_slack: Duration,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            shadow_reads: 20,
            canary_reads: 20,
            canary_acts: 20,
            faults_percent: 2,
            faults_least: 2,
            disagreements_percent: 5,
            disagreements_least: 2,
            drift_percent: 10,
            latency_factor: 2,
            latency_samples: 10,
            latency_slack: Duration::from_millis(200),
        }
    }
}

/// Where a candidate is tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    pub shadow_lines: Vec<String>,
    /// Share of the meters, 0 to 100; one meter stays with one version.
    pub canary_percent: u8,
    pub thresholds: Thresholds,
}

impl Plan {
    fn first(&self) -> Stage {
        if self.shadow_lines.is_empty() { Stage::CanaryReads } else { Stage::Shadow }
    }
}

/// What was seen of the two versions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Seen {
    CurrentRead {
        took: Duration,
    },
    /// The candidate read after the current version; `fault` where it did not come to an answer.
    Shadow {
        took: Duration,
        end: ShadowEnd,
    },
    /// The candidate served a caller.
    Canary {
        is_read: bool,
        took: Duration,
        fault: Option<String>,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ShadowEnd {
    Compared(Vec<Difference>),
    Fault(String),
}

/// What follows from an observation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    Stay,
    Reached(Stage),
    GoBack(String),
}

/// The counts of a rollout, as people see them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    pub stage: Stage,
    pub comparisons: u32,
    pub disagreements: u32,
    pub reads: u32,
    pub acts: u32,
    pub faults: u32,
    pub last_fault: Option<String>,
    /// The newest last.
    pub differences: VecDeque<Difference>,
    pub current_p99: Option<Duration>,
    pub candidate_p99: Option<Duration>,
    /// Sent back; nothing is observed any more.
    pub is_over: bool,
    current_reads: VecDeque<Duration>,
    candidate_reads: VecDeque<Duration>,
}

impl Progress {
    pub(crate) fn begin(plan: &Plan) -> Progress {
        Progress {
            stage: plan.first(),
            comparisons: 0,
            disagreements: 0,
            reads: 0,
            acts: 0,
            faults: 0,
            last_fault: None,
            differences: VecDeque::new(),
            current_p99: None,
            candidate_p99: None,
            is_over: false,
            current_reads: VecDeque::new(),
            candidate_reads: VecDeque::new(),
        }
    }

    /// Counts what was seen. A candidate that goes back stays back, whatever is seen after.
    pub(crate) fn see(&mut self, plan: &Plan, seen: Seen) -> Step {
        if self.is_over {
            return Step::Stay;
        }
        self.count(seen);
        self.current_p99 = p99(&self.current_reads);
        self.candidate_p99 = p99(&self.candidate_reads);
        if let Some(why) = self.reason_to_go_back(&plan.thresholds) {
            self.is_over = true;
            return Step::GoBack(why);
        }
        match self.next(plan) {
            Some(stage) => {
                self.stage = stage;
                Step::Reached(stage)
            }
            None => Step::Stay,
        }
    }

    fn count(&mut self, seen: Seen) {
        match seen {
            Seen::CurrentRead { took } => keep(&mut self.current_reads, took),
            Seen::Shadow { took, end } => {
                keep(&mut self.candidate_reads, took);
                match end {
                    ShadowEnd::Fault(fault) => self.fault(fault),
                    ShadowEnd::Compared(differences) => {
                        self.comparisons += 1;
                        self.disagreements += u32::from(!differences.is_empty());
                        self.differences.extend(differences);
                        let surplus = self.differences.len().saturating_sub(DIFFERENCES_KEPT);
                        self.differences.drain(..surplus);
                    }
                }
            }
            Seen::Canary { is_read, took, fault } => {
                if is_read {
                    keep(&mut self.candidate_reads, took);
                    self.reads += 1;
                } else {
                    self.acts += 1;
                }
                if let Some(fault) = fault {
                    self.fault(fault);
                }
            }
        }
    }

    fn fault(&mut self, fault: String) {
        self.faults += 1;
        self.last_fault = Some(fault);
    }

    fn calls(&self) -> u32 {
        self.comparisons + self.reads + self.acts
    }

    fn reason_to_go_back(&self, limits: &Thresholds) -> Option<String> {
        // Faults of a shadow are no comparisons, so they are added to what went well.
        let calls = self.calls().max(self.faults);
        if self.faults >= limits.faults_least.max(1)
            && is_over(self.faults, calls, limits.faults_percent)
        {
            let last = self.last_fault.as_deref().unwrap_or_default();
            return Some(format!("it failed in {} of {calls} calls, last: {last}", self.faults));
        }
        if self.disagreements >= limits.disagreements_least.max(1)
            && is_over(self.disagreements, self.comparisons, limits.disagreements_percent)
        {
            let last = self.differences.back().map(ToString::to_string).unwrap_or_default();
            return Some(format!(
                "it disagreed in {} of {} comparisons, last: {last}",
                self.disagreements, self.comparisons
            ));
        }
        let enough = usize::try_from(limits.latency_samples.max(1)).unwrap_or(usize::MAX);
        let (Some(ours), Some(theirs)) = (self.current_p99, self.candidate_p99) else {
            return None;
        };
        if self.current_reads.len().min(self.candidate_reads.len()) >= enough
            && theirs > ours * limits.latency_factor
            && theirs > ours + limits.latency_slack
        {
            return Some(format!(
                "its reads take {} ms at p99, the current version's {} ms",
                theirs.as_millis(),
                ours.as_millis()
            ));
        }
        None
    }

    fn next(&self, plan: &Plan) -> Option<Stage> {
        let limits = &plan.thresholds;
        match self.stage {
            Stage::Shadow if self.comparisons >= limits.shadow_reads => {
                Some(if plan.canary_percent > 0 { Stage::CanaryReads } else { Stage::Ready })
            }
            Stage::CanaryReads if self.reads >= limits.canary_reads => Some(Stage::CanaryAll),
            Stage::CanaryAll if self.acts >= limits.canary_acts => Some(Stage::Ready),
            Stage::Shadow | Stage::CanaryReads | Stage::CanaryAll | Stage::Ready => None,
        }
    }
}

/// `part` of `whole` is more than `percent`.
fn is_over(part: u32, whole: u32, percent: u32) -> bool {
    u64::from(part) * 100 > u64::from(whole) * u64::from(percent)
}

fn keep(latencies: &mut VecDeque<Duration>, took: Duration) {
    if latencies.len() >= LATENCIES_KEPT {
        latencies.pop_front();
    }
    latencies.push_back(took);
}

/// Nearest rank: of fewer than a hundred it is the slowest.
fn p99(latencies: &VecDeque<Duration>) -> Option<Duration> {
    let mut sorted: Vec<Duration> = latencies.iter().copied().collect();
    sorted.sort_unstable();
    let rank = (sorted.len() * 99).div_ceil(100);
    sorted.get(rank.checked_sub(1)?).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn plan() -> Plan {
        Plan {
            shadow_lines: vec!["bus-1".to_owned()],
            canary_percent: 10,
            thresholds: Thresholds {
                shadow_reads: 3,
                canary_reads: 2,
                canary_acts: 2,
                ..Thresholds::default()
            },
        }
    }

    fn agreed(ms: u32) -> Seen {
        Seen::Shadow { took: MS * ms, end: ShadowEnd::Compared(Vec::new()) }
    }

    fn disagreed() -> Seen {
        let difference = Difference {
            what: "1.0.1.8.0.255".to_owned(),
            current: "1".to_owned(),
            candidate: "2".to_owned(),
        };
        Seen::Shadow { took: MS, end: ShadowEnd::Compared(vec![difference]) }
    }

    fn shadow_fault() -> Seen {
        Seen::Shadow { took: MS, end: ShadowEnd::Fault("trapped".to_owned()) }
    }

    fn served(is_read: bool, fault: Option<&str>) -> Seen {
        Seen::Canary { is_read, took: MS, fault: fault.map(ToOwned::to_owned) }
    }

    /// The last step and the stage after all of `seen`.
    fn run(plan: &Plan, seen: Vec<Seen>) -> (Step, Stage) {
        let mut progress = Progress::begin(plan);
        let mut last = Step::Stay;
        for seen in seen {
            last = progress.see(plan, seen);
        }
        (last, progress.stage)
    }

    #[test]
    fn it_rises_stage_by_stage() {
        let mut seen = vec![agreed(1); 3];
        assert_eq!(run(&plan(), seen.clone()).0, Step::Reached(Stage::CanaryReads));
        seen.extend(vec![served(true, None); 2]);
        assert_eq!(run(&plan(), seen.clone()).0, Step::Reached(Stage::CanaryAll));
        seen.push(served(false, None));
        assert_eq!(run(&plan(), seen.clone()), (Step::Stay, Stage::CanaryAll));
        seen.push(served(false, None));
        assert_eq!(run(&plan(), seen.clone()).0, Step::Reached(Stage::Ready));
        seen.push(served(false, None));
        assert_eq!(run(&plan(), seen), (Step::Stay, Stage::Ready));
    }

    #[test]
    fn without_shadow_lines_it_begins_as_a_canary_and_without_a_canary_it_ends_as_a_shadow() {
        let bold = Plan { shadow_lines: Vec::new(), ..plan() };
        assert_eq!(Progress::begin(&bold).stage, Stage::CanaryReads);
        let shy = Plan { canary_percent: 0, ..plan() };
        assert_eq!(run(&shy, vec![agreed(1); 3]).0, Step::Reached(Stage::Ready));
    }

    #[test]
    fn faults_send_it_back_and_it_stays_back() {
        let back = Step::GoBack("it failed in 2 of 2 calls, last: trapped".to_owned());
        let (step, _) = run(&plan(), vec![shadow_fault(), shadow_fault()]);
        assert_eq!(step, back);
        let seen = vec![shadow_fault(), shadow_fault(), agreed(1), agreed(1), agreed(1)];
        assert_eq!(run(&plan(), seen), (Step::Stay, Stage::Shadow));
        // One is not yet a rate.
        assert_eq!(run(&plan(), vec![shadow_fault()]).0, Step::Stay);
        // Two of two hundred are below two per cent.
        let mut seen = vec![agreed(1); 199];
        seen.extend([served(true, Some("trapped")), served(true, Some("trapped"))]);
        assert!(!matches!(run(&plan(), seen).0, Step::GoBack(_)));
    }

    #[test]
    fn disagreement_sends_it_back_with_the_last_difference() {
        let (step, _) = run(&plan(), vec![agreed(1), disagreed(), disagreed()]);
        assert_eq!(
            step,
            Step::GoBack(
                "it disagreed in 2 of 3 comparisons, last: 1.0.1.8.0.255: 1 by the current, 2 by \
                 the candidate"
                    .to_owned()
            )
        );
    }

    #[test]
    fn slowness_sends_it_back_once_there_are_enough_reads_of_both() {
        let pair = |ms| [Seen::CurrentRead { took: MS * 100 }, agreed(ms)];
        let many = |ms, pairs| (0..pairs).flat_map(|_| pair(ms)).collect();
        let (step, _) = run(&plan(), many(301, 10));
        assert_eq!(
            step,
            Step::GoBack("its reads take 301 ms at p99, the current version's 100 ms".to_owned())
        );
        for (ms, pairs) in [(301, 9), (300, 10), (200, 50)] {
            assert!(!matches!(run(&plan(), many(ms, pairs)).0, Step::GoBack(_)), "{ms} {pairs}");
        }
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let plan = Plan {
            thresholds: Thresholds { disagreements_percent: 100, ..plan().thresholds },
            ..plan()
        };
        let mut progress = Progress::begin(&plan);
        for _ in 0..10_000 {
            progress.see(&plan, disagreed());
        }
        assert_eq!(progress.differences.len(), DIFFERENCES_KEPT);
        assert_eq!(progress.candidate_reads.len(), LATENCIES_KEPT);
    }
}

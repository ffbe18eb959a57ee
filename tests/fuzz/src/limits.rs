//! The bounds of a run, in one place.

use std::time::Duration;

/// An input that takes longer than this, three times, is a finding (targets.md, R20).
pub const SLOW: Duration = Duration::from_millis(50);
/// An input that has not come back after this ends the run: it would never come back.
pub const HUNG: Duration = Duration::from_secs(5);
/// The longest input that is made: longer than any frame, so that several fit.
pub const INPUT_BYTES_MAX: usize = 1_024;
/// Inputs that are kept for one target.
pub const CORPUS_MAX: usize = 4_096;
/// Findings of one target, after which it is left alone.
pub const FINDINGS_MAX: usize = 8;
/// Changes made to one input at once.
pub const CHANGES_MAX: usize = 6;

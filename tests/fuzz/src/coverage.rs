//! Which code an input reached, by the counters that `-Cinstrument-coverage` puts into the program:
//! stable Rust has them, so no nightly is needed. Without the feature `coverage` nothing is seen and
//! no input is ever new.
//!
//! Invariant: the counters are read and set to zero only by the one thread that runs the target.

use std::ops::Range;

/// What has been reached so far.
#[derive(Debug, Default)]
pub struct Reached {
    /// For each counter the highest class of counts that was seen.
    classes: Vec<u8>,
    points: usize,
    /// Pages of counters that the target moved: the rest of the program's are not looked at.
    pages: Vec<Range<usize>>,
    looks: u32,
}

/// Counters of a page.
const PAGE: usize = 64;
/// So often the whole program's counters are looked at.
const WHOLE_LOOK: u32 = 512;

impl Reached {
    /// How many counters and classes of them were reached.
    pub fn points(&self) -> usize {
        self.points
    }

    /// Whether `target` reached something new, and what it answered.
    pub fn watch<T>(&mut self, target: impl FnOnce() -> T) -> (bool, T) {
        let whole = self.looks.is_multiple_of(WHOLE_LOOK);
        self.looks = self.looks.wrapping_add(1);
        let pages = &self.pages;
        with_counters(|counters| {
            if whole {
                counters.fill(0);
            }
            for page in pages {
                counters.get_mut(page.clone()).unwrap_or_default().fill(0);
            }
        });
        let answer = target();
        (self.is_new(whole), answer)
    }

    fn is_new(&mut self, whole: bool) -> bool {
        let mut new = 0;
        with_counters(|counters| {
            self.classes.resize(counters.len(), 0);
            if whole {
                let moved = |page: &Range<usize>| counters[page.clone()].iter().any(|n| *n > 0);
                let starts = (0..counters.len()).step_by(PAGE);
                let pages = starts.map(|start| start..counters.len().min(start + PAGE));
                let known = &mut self.pages;
                pages.filter(moved).for_each(|page| {
                    if !known.contains(&page) {
                        known.push(page);
                    }
                });
            }
            for page in &self.pages {
                let seen = self.classes.get_mut(page.clone()).unwrap_or_default();
                let now = counters.get(page.clone()).unwrap_or_default();
                for (seen, counter) in seen.iter_mut().zip(now) {
                    let class = class(*counter);
                    if class > *seen {
                        *seen = class;
                        new += 1;
                    }
                }
            }
        });
        self.points += new;
        new > 0
    }
}

/// 0, 1, 2, 3, 4 to 7, 8 to 15 and so on: once more round a loop is no news, twice as often is.
fn class(count: u64) -> u8 {
    let class = if count < 4 { count } else { u64::from(count.ilog2()) + 2 };
    u8::try_from(class).unwrap_or(u8::MAX)
}

#[cfg(feature = "coverage")]
fn with_counters(use_them: impl FnOnce(&mut [u64])) {
    #[expect(unsafe_code, reason = "the counters are a C array of the profiling runtime")]
    mod runtime {
        unsafe extern "C" {
            fn __llvm_profile_begin_counters() -> *mut u64;
            fn __llvm_profile_end_counters() -> *mut u64;
        }

        pub fn counters() -> &'static mut [u64] {
            // SAFETY: both are symbols of the runtime that -Cinstrument-coverage links, the bounds
            // of one array of u64 that lives as long as the program. The program's code adds to it
            // without a lock; only one thread of ours runs while the slice is held.
            unsafe {
                let begin = __llvm_profile_begin_counters();
                let count = __llvm_profile_end_counters().offset_from(begin);
                std::slice::from_raw_parts_mut(begin, usize::try_from(count).unwrap_or(0))
            }
        }
    }
    use_them(runtime::counters());
}

#[cfg(not(feature = "coverage"))]
fn with_counters(use_them: impl FnOnce(&mut [u64])) {
    use_them(&mut []);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_fall_into_classes() {
        let classes = [0, 1, 2, 3, 4, 7, 8, 15, 16, u64::MAX].map(class);
        assert_eq!(classes, [0, 1, 2, 3, 4, 4, 5, 5, 6, 65]);
    }
}

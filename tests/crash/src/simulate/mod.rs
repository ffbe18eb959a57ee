//! The whole way of a sale, simulated from a seed: the product's own service, ledger, line and driver on
//! a real database, with a line, a clock, random numbers and deaths that the seed decides. Whatever
//! fails fails again from its seed.
//!
//! Invariant: nothing of the product is replaced but what it is handed: the bytes' far end, the clock,
//! the random numbers. A life's tasks run on one thread, and only one sale is asked for at a time, so that
//! decisions are drawn in one order. Not here: real lines and real kills (run).

mod life;
mod odd;
mod planted;
mod push;
mod template;
mod wire;
mod world;

pub use life::play;
pub use odd::odd;
pub use planted::{NOT_PLANTED, PLANTED, Planted};
pub use push::{Pushed, push};
pub use template::{Templates, Vendor};
pub use world::Outcome;

use anyhow::{Context, Result};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

/// What became of many seeds.
#[derive(Debug, Default)]
pub struct Findings {
    pub seeds: u64,
    pub sales: u64,
    pub deaths: u64,
    pub faults: u64,
    /// The seed that failed first, and how.
    pub failure: Option<(u64, String)>,
}

impl Findings {
    fn add(&mut self, other: Findings) {
        self.seeds += other.seeds;
        self.sales += other.sales;
        self.deaths += other.deaths;
        self.faults += other.faults;
        let failures = [self.failure.take(), other.failure];
        self.failure = failures.into_iter().flatten().min_by_key(|(seed, _)| *seed);
    }
}

/// Threads for each core: a life waits for its silent meters most of the time.
const THREADS_PER_CORE: usize = 6;

/// Plays seeds `first` and on, `count` of them; stops at a failure.
pub fn simulate(
    templates: &Templates,
    first: u64,
    count: u64,
    planted: Option<&'static Planted>,
) -> Result<Findings> {
    let next = Arc::new(AtomicU64::new(first));
    let failed = Arc::new(AtomicBool::new(false));
    let cores = thread::available_parallelism().map_or(2, std::num::NonZero::get);
    let workers: Vec<_> = (0..cores * THREADS_PER_CORE)
        .map(|_| {
            let (templates, next, failed) =
                (templates.clone(), Arc::clone(&next), Arc::clone(&failed));
            thread::spawn(move || {
                let mut findings = Findings::default();
                while !failed.load(Ordering::Relaxed) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first.saturating_add(count) {
                        break;
                    }
                    let outcome = play(templates.of(seed), seed, planted);
                    findings.seeds += 1;
                    findings.sales += outcome.sales;
                    findings.deaths += outcome.deaths;
                    findings.faults += outcome.faults;
                    if let Some(why) = outcome.failure {
                        failed.store(true, Ordering::Relaxed);
                        findings.failure = Some((seed, why));
                    }
                }
                findings
            })
        })
        .collect();
    let mut findings = Findings::default();
    for worker in workers {
        findings.add(worker.join().ok().context("a worker panicked")?);
    }
    Ok(findings)
}

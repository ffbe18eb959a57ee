//! Plays inputs against one target until its time or its number of inputs is over.
//!
//! Invariant: the target runs on a thread of its own, so that one that never comes back can be left
//! behind; a finding is on disk before it is counted.

use crate::Random;
use crate::corpus::Store;
use crate::coverage::Reached;
use crate::limits::{CORPUS_MAX, FINDINGS_MAX, SLOW};
use crate::mutate::mutated;
use crate::targets::Target;
use anyhow::{Context, Result};
use std::any::Any;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a target is fed.
#[derive(Debug, Clone, Copy)]
pub enum Budget {
    /// Of the clock.
    Time(Duration),
    /// So many inputs: the same ones for one seed.
    Inputs(u64),
}

/// An input that broke a promise.
#[derive(Debug, Clone)]
pub struct Finding {
    /// What happened.
    pub what: String,
    /// Where the input lies.
    pub file: PathBuf,
}

/// What became of one target.
#[derive(Debug)]
pub struct Report {
    /// The target's name.
    pub name: &'static str,
    /// Inputs that were played.
    pub inputs: u64,
    /// How long that took.
    pub time: Duration,
    /// Inputs that are kept.
    pub corpus: usize,
    /// Points of the code that were reached; 0 without coverage.
    pub points: usize,
    /// Of this run and of earlier ones.
    pub findings: Vec<Finding>,
}

/// How one run is to be.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Decides every mutation.
    pub seed: u64,
    /// When it is over.
    pub budget: Budget,
    /// After which an input counts as one that never comes back.
    pub hung: Duration,
}

/// What the watching thread sees of the playing one.
#[derive(Debug, Default)]
struct Shared {
    inputs: AtomicU64,
    current: Mutex<Vec<u8>>,
}

/// Plays `seeds`, then what earlier runs kept and found, then mutations of all these.
pub fn run(
    target: Target,
    seeds: Vec<Vec<u8>>,
    store: &Store,
    settings: &Settings,
) -> Result<Report> {
    let shared = Arc::new(Shared::default());
    let (done, finished) = channel();
    let began = Instant::now();
    let player = Player {
        target,
        store: store.clone(),
        shared: Arc::clone(&shared),
        reached: Reached::default(),
        corpus: Vec::new(),
        findings: Vec::new(),
        inputs: 0,
    };
    let (budget, seed) = (settings.budget, settings.seed);
    std::thread::Builder::new()
        .name(THREAD.to_owned())
        .spawn(move || {
            let _ = done.send(player.play(seeds, seed, budget));
        })
        .context("a thread for the target")?;
    match watch(&finished, &shared, settings.hung) {
        Some(report) => Ok(Report { time: began.elapsed(), ..report? }),
        None => {
            let input = shared.current.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let file = store.found(&input)?;
            let what = format!("did not come back within {:?}", settings.hung);
            Ok(Report {
                name: target.name,
                inputs: shared.inputs.load(Ordering::Relaxed),
                time: began.elapsed(),
                corpus: 0,
                points: 0,
                findings: vec![Finding { what, file }],
            })
        }
    }
}

/// `None`: one input took longer than `hung`.
fn watch(
    finished: &Receiver<Result<Report>>,
    shared: &Shared,
    hung: Duration,
) -> Option<Result<Report>> {
    let (mut last, mut since) = (u64::MAX, Instant::now());
    loop {
        match finished.recv_timeout(hung / 8) {
            Ok(report) => return Some(report),
            Err(RecvTimeoutError::Disconnected) => {
                return Some(Err(anyhow::anyhow!("the playing thread is gone")));
            }
            Err(RecvTimeoutError::Timeout) => {
                let now = shared.inputs.load(Ordering::Relaxed);
                if now != last {
                    (last, since) = (now, Instant::now());
                } else if since.elapsed() > hung {
                    return None;
                }
            }
        }
    }
}

const THREAD: &str = "fuzz-target";

/// Panics of a target are findings, not news for the terminal.
pub fn keep_panics_quiet() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if std::thread::current().name() == Some(THREAD) {
            let place = panic.location().map(ToString::to_string).unwrap_or_default();
            PLACE.set(place);
        } else {
            before(panic);
        }
    }));
}

thread_local! {
    /// Where the last panic of this thread's target was.
    static PLACE: RefCell<String> = const { RefCell::new(String::new()) };
}

struct Player {
    target: Target,
    store: Store,
    shared: Arc<Shared>,
    reached: Reached,
    corpus: Vec<Vec<u8>>,
    findings: Vec<Finding>,
    inputs: u64,
}

impl Player {
    fn play(mut self, seeds: Vec<Vec<u8>>, seed: u64, budget: Budget) -> Result<Report> {
        let began = Instant::now();
        let mut random = Random::new(seed);
        for input in self.store.findings()?.into_iter().chain(seeds).chain(self.store.kept()?) {
            self.one(&input)?;
            if self.corpus.len() < CORPUS_MAX && !self.corpus.contains(&input) {
                self.corpus.push(input);
            }
        }
        if self.corpus.is_empty() {
            self.corpus.push(vec![0]);
        }
        let over = |inputs: u64| match budget {
            Budget::Inputs(most) => inputs >= most,
            // The clock is looked at now and then: it costs as much as a short input.
            Budget::Time(most) => inputs.is_multiple_of(64) && began.elapsed() >= most,
        };
        while !over(self.inputs) && self.findings.len() < FINDINGS_MAX {
            let one = random.below(self.corpus.len());
            let other = random.below(self.corpus.len());
            let input = mutated(&mut random, &self.corpus[one], &self.corpus[other]);
            if self.one(&input)? && self.corpus.len() < CORPUS_MAX {
                self.store.keep(&input)?;
                self.corpus.push(input);
            }
        }
        Ok(Report {
            name: self.target.name,
            inputs: self.inputs,
            time: began.elapsed(),
            corpus: self.corpus.len(),
            points: self.reached.points(),
            findings: self.findings,
        })
    }

    /// Whether the input reached something new.
    fn one(&mut self, input: &[u8]) -> Result<bool> {
        {
            let mut current = self.shared.current.lock().unwrap_or_else(PoisonError::into_inner);
            current.clear();
            current.extend_from_slice(input);
        }
        self.inputs += 1;
        self.shared.inputs.store(self.inputs, Ordering::Relaxed);
        let run = self.target.run;
        let began = Instant::now();
        let (new, ended) = self.reached.watch(|| catch_unwind(AssertUnwindSafe(|| run(input))));
        let time = began.elapsed();
        if let Err(panic) = ended {
            let place = PLACE.take();
            self.found(input, format!("panicked at {place}: {}", message(&*panic)))?;
        } else if time > SLOW
            && let Some(least) = self.always_slow(input)
        {
            self.found(input, format!("took {least:?}, {SLOW:?} is the most"))?;
        }
        Ok(new)
    }

    /// The shortest of three more times, if all are too long: another program may have had the
    /// processor once.
    fn always_slow(&self, input: &[u8]) -> Option<Duration> {
        let time = |_| {
            let began = Instant::now();
            (self.target.run)(input);
            began.elapsed()
        };
        (0..3).map(time).min().filter(|least| *least > SLOW)
    }

    /// One finding for each place is enough: the same mistake is found a thousand times.
    fn found(&mut self, input: &[u8], what: String) -> Result<()> {
        let place = |what: &str| what.split(": ").next().unwrap_or_default().to_owned();
        if self.findings.iter().all(|known| place(&known.what) != place(&what)) {
            let file = self.store.found(input)?;
            self.findings.push(Finding { what, file });
        }
        Ok(())
    }
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message")
}

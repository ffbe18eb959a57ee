//! A whole run: sites side by side, the enumerated sweep shared among them, then random trials until
//! the time is over.

use crate::account::{self, Story};
use crate::chance::Chance;
use crate::report::Tally;
use crate::schedule::{self, Trial};
use crate::stage::Stage;
use crate::trial;
use anyhow::{Context, Result, ensure};
use databases::Fresh;
use std::fmt;
use std::str::FromStr;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// Trials of a site between two checks of its whole ledger.
const VERIFY_EVERY: u64 = 25;

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Engine {
    Sqlite,
    Postgres,
}

/// What is enumerated before chance decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sweep {
    Nothing,
    /// Every point and every byte of a sale.
    Sales,
    /// Every point of a swap and of a closing.
    Accounts,
    Everything,
}

/// One thing that is played.
#[derive(Debug)]
enum Step {
    Sale(Trial),
    Account(Story),
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Sale(trial) => trial.fmt(f),
            Step::Account(story) => story.fmt(f),
        }
    }
}

/// One in so many steps of chance is a swap and a closing.
const STEPS_PER_STORY: u64 = 20;

impl Step {
    fn random(orders: &Orders, site: u64, number: u64, stage: &Stage) -> Step {
        let mut chance = Chance::new(orders.seed, &[site, number, 1]);
        if chance.one_in(STEPS_PER_STORY) {
            return Step::Account(account::random(&mut chance));
        }
        Step::Sale(schedule::random(orders.seed, site, number, &stage.lengths))
    }

    async fn play(&self, stage: &mut Stage, tally: &mut Tally) -> Result<()> {
        match self {
            Step::Sale(trial) => trial::play(stage, trial, tally).await,
            Step::Account(story) => account::play(stage, story, tally).await,
        }
    }
}

fn sweep(orders: &Orders, stage: &Stage) -> Vec<Step> {
    let sales = || schedule::sweep(&stage.lengths).into_iter().map(Step::Sale);
    let accounts = || account::sweep().into_iter().map(Step::Account);
    match orders.sweep {
        Sweep::Nothing => Vec::new(),
        Sweep::Sales => sales().collect(),
        Sweep::Accounts => accounts().collect(),
        Sweep::Everything => sales().chain(accounts()).collect(),
    }
}

/// What to do.
#[derive(Debug, Clone)]
pub struct Orders {
    pub seed: u64,
    pub lasts: Duration,
    pub engines: Vec<Engine>,
    /// Of each engine.
    pub sites: u64,
    pub sweep: Sweep,
    /// Of the sweep, one trial in so many.
    pub sweep_share: u64,
    /// Nothing after the sweep.
    pub sweep_only: bool,
    /// So many trials of each site, however long they take.
    pub trials: Option<u64>,
    /// Only these trials of one site.
    pub replay: Option<(u64, Range)>,
}

/// Trials by number, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    pub first: u64,
    pub last: u64,
}

impl FromStr for Range {
    type Err = anyhow::Error;

    /// "7" or "0-7".
    fn from_str(text: &str) -> Result<Range> {
        let number = |text: &str| text.parse().with_context(|| format!("`{text}` is no number"));
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let range = Range { first: number(first)?, last: number(last)? };
        ensure!(range.first <= range.last, "`{text}` ends before it begins");
        Ok(range)
    }
}

/// Everything that was found. An error is one of the run itself; a broken sentence is in the tally.
pub async fn run(orders: &Orders) -> Result<Tally> {
    let until = Instant::now() + orders.lasts;
    let mut sites = JoinSet::new();
    let all = orders.sites * u64::try_from(orders.engines.len())?;
    for number in 0..all {
        if orders.replay.as_ref().is_some_and(|(site, _)| *site != number) {
            continue;
        }
        let at = usize::try_from(number / orders.sites)?;
        let (engine, orders) = (orders.engines[at], orders.clone());
        sites.spawn(async move { play_site(&orders, engine, number, until).await });
    }
    let mut tally = Tally::default();
    while let Some(played) = sites.join_next().await {
        tally.add(played??);
    }
    Ok(tally)
}

async fn play_site(orders: &Orders, engine: Engine, number: u64, until: Instant) -> Result<Tally> {
    let database =
        match engine {
            Engine::Sqlite => None,
            Engine::Postgres => Some(Fresh::new().await.with_context(|| {
                format!("no PostgreSQL server: {} is not set", databases::SERVER)
            })?),
        };
    let mut stage = Stage::new(format!("site {number} on {engine:?}"), database).await?;
    // Each engine's sites share one sweep.
    let share: Vec<Step> = sweep(orders, &stage)
        .into_iter()
        .skip(usize::try_from(number % orders.sites)?)
        .step_by(usize::try_from(orders.sites * orders.sweep_share)?)
        .collect();
    let swept = u64::try_from(share.len())?;
    let mut tally = Tally::default();
    let range = orders.replay.map(|(_, range)| range);
    for nth in range.map_or(0, |range| range.first).. {
        let is_over = match range {
            Some(range) => nth > range.last,
            // A sweep that was begun alone is finished.
            None if orders.sweep_only => nth >= swept,
            None => match orders.trials {
                Some(trials) => nth >= trials,
                None => Instant::now() >= until,
            },
        };
        if is_over {
            break;
        }
        let random;
        let step = match share.get(usize::try_from(nth)?) {
            Some(step) => step,
            None => {
                random = Step::random(orders, number, nth, &stage);
                &random
            }
        };
        let mut played = step.play(&mut stage, &mut tally).await;
        if played.is_ok() && nth % VERIFY_EVERY == VERIFY_EVERY - 1 {
            played = stage.verify().await;
        }
        if let Err(error) = played {
            let again = how_again(orders, number, nth);
            let what = format!("{}, trial {nth} ({step}): {error:#}\n{again}", stage.name);
            tally.failed(&error, what);
            return Ok(tally);
        }
    }
    if let Err(error) = stage.verify().await {
        let what = format!("{}, after its last trial: {error:#}", stage.name);
        tally.failed(&error, what);
    }
    Ok(tally)
}

fn how_again(orders: &Orders, site: u64, nth: u64) -> String {
    let Orders { seed, sites, engines, .. } = orders;
    let database = match engines.as_slice() {
        [Engine::Sqlite] => "sqlite",
        [Engine::Postgres] => "postgres",
        _ => "both",
    };
    let sweep = match orders.sweep {
        Sweep::Nothing => " --no-sweep",
        _ => "",
    };
    format!(
        "again, with all that went before at this site: cargo xtask crash --seed {seed} --sites {sites} \
         --database {database}{sweep} --replay {site}:0-{nth}\nit alone: the same with --replay {site}:{nth}"
    )
}

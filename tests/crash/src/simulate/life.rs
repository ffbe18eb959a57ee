//! One seed: lives of the process one after the other, until every sale is settled, and then both sides.

use super::planted::Planted;
use super::template::Template;
use super::world::{Died, Outcome, Wanted, World};
use anyhow::{Context, Result, bail, ensure};
use futures_util::FutureExt as _;
use polymeter_domain::{Currency, Money, Sale};
use polymeter_ledger::Database;
use polymeter_service::{Actor, SaleRequest, Service, ServiceError};
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, Once, PoisonError};
use std::time::Duration;

/// More lives than a seed has deaths.
const LIVES_MAX: u32 = 12;
/// Rounds of asking; a seed has fewer faults.
const ROUNDS_MAX: u32 = 60;
/// Of a sale under way, with no meter that stays silent.
const WAIT: Duration = Duration::from_secs(30);
/// Every such seed has its whole ledger checked.
const VERIFIED: u64 = 50;

/// Plays a seed; with a bug planted behind the product's back where one is given.
pub fn play(template: &Arc<Template>, seed: u64, planted: Option<&'static Planted>) -> Outcome {
    quiet_deaths();
    let played = template.offline().map(|offline| {
        let world = Arc::new(World::new(seed, offline));
        let wanted = Arc::new(Mutex::new(world.wanted(template.meters)));
        let lived = live(template, &world, &wanted, seed, planted);
        (world, wanted, lived)
    });
    match played {
        Err(error) => Outcome { failure: Some(format!("{error:#}")), ..Outcome::default() },
        Ok((world, wanted, lived)) => {
            let sales = lock(&wanted).len();
            Outcome {
                sales: u64::try_from(sales).unwrap_or(0),
                failure: lived.err().map(|error| format!("{error:#}")),
                ..world.outcome()
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

type Book = Arc<Mutex<Vec<Wanted>>>;

fn live(
    template: &Arc<Template>,
    world: &Arc<World>,
    wanted: &Book,
    seed: u64,
    planted: Option<&'static Planted>,
) -> Result<()> {
    let (_folder, path) = template.copy()?;
    for life in 0..LIVES_MAX {
        world.revive();
        if life > 0 && planted.is_some_and(|planted| !planted.keeps()) {
            template.put_back(&path)?;
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let of = Life {
            template: Arc::clone(template),
            world: Arc::clone(world),
            wanted: Arc::clone(wanted),
            path: path.clone(),
            planted,
            life,
            seed,
        };
        let ended = runtime.block_on(async {
            let work = AssertUnwindSafe(one_life(of)).catch_unwind();
            tokio::select! {
                biased;
                () = world.death.notified() => None,
                done = work => Some(done),
            }
        });
        // Every task ends where it stands, as in a process that is killed.
        drop(runtime);
        match ended {
            Some(Ok(done)) if !world.is_dead() => return done,
            Some(Err(_)) if !world.is_dead() => bail!("a panic, told above"),
            _ => {}
        }
    }
    bail!("the process died more often than the seed says")
}

struct Life {
    template: Arc<Template>,
    world: Arc<World>,
    wanted: Book,
    path: PathBuf,
    planted: Option<&'static Planted>,
    life: u32,
    seed: u64,
}

/// From the start of a process to its death, or to the end of the last sale and the judgement.
async fn one_life(of: Life) -> Result<()> {
    let database = Database::open(&of.path).await?;
    if let Some(planted) = of.planted {
        planted.plant(&database, of.life).await?;
    }
    let service = of.template.start(&of.world, database.clone()).await?;
    let known = lock(&of.wanted).clone();
    for sale in known.iter().filter(|sale| sale.is_acknowledged) {
        let found = service.sale(sale.sale_id).await;
        let found = found.with_context(|| format!("sale {} was acknowledged", sale.sale_id))?;
        let state = found.state.name();
        ensure!(sale.ended.is_none_or(|ended| ended == state), "{sale:?} is {state} now");
    }
    if of.planted.is_none_or(Planted::resumes) {
        service.resume().await?;
    }
    for at in 0..known.len() {
        see_through(&service, &of, at).await.with_context(|| format!("life {}", of.life))?;
    }
    judge(&service, &database, &of.world, &of.wanted, of.seed).await
}

/// As a client does it that repeats its request until it hears how the sale ended.
async fn see_through(service: &Service, of: &Life, at: usize) -> Result<()> {
    let actor = Actor::System;
    let (id, request) = {
        let sale = &lock(&of.wanted)[at];
        if sale.ended.is_some() {
            return Ok(());
        }
        let paid = Money::new(sale.fen, Currency::CNY);
        (sale.sale_id, SaleRequest::new(sale.meter_id, paid))
    };
    for _ in 0..ROUNDS_MAX {
        service.put_sale(id, request.clone(), &actor).await?;
        lock(&of.wanted)[at].is_acknowledged = true;
        let sale = service.wait_for_sale(id, WAIT).await?;
        match sale.state {
            Sale::Confirmed(_) | Sale::Refused(_) | Sale::Cancelled => {
                lock(&of.wanted)[at].ended = Some(sale.state.name());
                return Ok(());
            }
            // The line may be out of order: then it is asked again.
            Sale::Unresolved(_) => match service.reconcile_sale(id, &actor).await {
                Ok(_) | Err(ServiceError::Device { .. } | ServiceError::Line(_)) => {}
                Err(ServiceError::OutOfOrder { .. }) => {}
                Err(error) => return Err(error.into()),
            },
            Sale::Reserved => drop(service.deliver_sale(id, &actor).await?),
            // Whoever has just started is to find this by itself.
            Sale::Dispatched(_) => {}
            Sale::Quoted => bail!("a quoted sale was stored"),
        }
    }
    bail!("sale {id} does not end: {:?}", service.sale(id).await?.history)
}

/// The sentence: ledger = payments = what the meters took, nothing in flight.
async fn judge(
    service: &Service,
    database: &Database,
    world: &World,
    wanted: &Book,
    seed: u64,
) -> Result<()> {
    let wanted = lock(wanted).clone();
    let balance = service.trial_balance().await?;
    ensure!(balance.difference.minor() == 0, "debits and credits differ by {}", balance.difference);
    let states = world.states();
    let confirmed: Vec<&Wanted> =
        wanted.iter().filter(|sale| sale.ended == Some("confirmed")).collect();
    let sold: i64 = confirmed.iter().map(|sale| sale.fen).sum();
    let taken: u64 = states.iter().map(|state| state.credited_fen).sum();
    let credits: u64 = states.iter().map(|state| state.credits).sum();
    ensure!(
        (u64::try_from(sold)?, u64::try_from(confirmed.len())?) == (taken, credits),
        "{sold} fen in {} sales were confirmed, the meters took {taken} in {credits}: {wanted:?}",
        confirmed.len()
    );
    for line in &balance.lines {
        let (debits, credits) = (line.debits_pending.minor(), line.credits_pending.minor());
        ensure!((debits, credits) == (0, 0), "{} has money in flight", line.account);
    }
    let mut meters = wanted.iter().map(|sale| sale.meter_id).collect::<Vec<_>>();
    meters.sort_unstable_by_key(|meter| meter.uuid());
    meters.dedup();
    for meter in meters {
        let of_meter = |sale: &&&Wanted| sale.meter_id == meter;
        let paid: i64 = confirmed.iter().filter(of_meter).map(|sale| sale.fen).sum();
        let name = polymeter_service::meter_credit_account(meter);
        let line = balance.lines.iter().find(|line| line.account == name);
        let booked = line.map_or(0, |line| line.credits_posted.minor());
        ensure!(booked == paid, "{booked} fen are booked into {name}, {paid} were paid for it");
    }
    let cash = balance.lines.iter().find(|line| line.account == "cash");
    let cash = cash.map_or(0, |line| line.debits_posted.minor());
    ensure!(cash == sold, "{cash} fen are in cash, {sold} were paid");
    if seed.is_multiple_of(VERIFIED) {
        database.verify().await?;
    }
    Ok(())
}

/// The deaths of simulated processes are no news on the terminal.
fn quiet_deaths() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let loud = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if !panic.payload().is::<Died>() {
                loud(panic);
            }
        }));
    });
}

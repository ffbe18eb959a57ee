//! Kills in a meter swap (换表) and in the closing of an account (销户): a customer is opened at one meter,
//! pays, uses some, is swapped to another meter, and is closed; the program dies in both acts.
//!
//! Invariant: old money and last reading arrive exactly once, by the meters' own purses and registers;
//! what is done stays done when it is asked for again. Not here: sales (trial).

use crate::act::{self, Act};
use crate::books::{self, Purse, Wrong, broken};
use crate::chance::Chance;
use crate::report::Tally;
use crate::schedule::{Kill, Trouble};
use crate::stage::Stage;
use anyhow::{Context, Result, ensure};
use e2e::Api;
use meter_sim::{Fault, FaultKind, On, State};
use polymeter_service::ACCOUNT_CRASH_POINTS;
use serde_json::{Value, json};
use std::fmt;

/// One customer from first to last, with one death in each act at least.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Story {
    /// Which of the two free meters is the old one: 0 or 1.
    pub from: usize,
    pub paid_fen: u64,
    pub swap: Dying,
    pub closing: Dying,
}

/// How the program dies in an act.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dying {
    pub kill: Kill,
    /// Its successor, which goes on with the act by itself, dies as well.
    pub again: Option<Kill>,
    pub trouble: Option<Trouble>,
}

impl fmt::Display for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Story { from, paid_fen, swap, closing } = self;
        write!(f, "{paid_fen} fen at free meter {from}; swap: {swap}; closing: {closing}")
    }
}

impl fmt::Display for Dying {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.kill)?;
        if let Some(again) = &self.again {
            write!(f, ", its successor {again}")?;
        }
        match &self.trouble {
            Some(Trouble { on, kind }) => write!(f, ", {kind:?} on {on:?}"),
            None => Ok(()),
        }
    }
}

/// Writes that a swap and a closing make at most, with those of the sale that carries the money.
const SWAP_WRITES: u64 = 12;
const CLOSING_WRITES: u64 = 8;
/// Of the sale that carries the money: what a swap passes beside its own points.
const CARRYING: [&str; 4] = ["before-dispatch", "after-dispatch", "after-sell", "after-settle"];

fn points(act: &str) -> Vec<&'static str> {
    ACCOUNT_CRASH_POINTS.iter().copied().filter(|point| point.contains(act)).collect()
}

fn kills(points: Vec<&'static str>, writes: u64) -> Vec<Kill> {
    let once = points.into_iter().map(|point| Kill::At { point, pass: 1 });
    let written = (1..=writes)
        .flat_map(|pass| ["before-commit", "after-commit"].map(|point| Kill::At { point, pass }));
    once.chain(written).collect()
}

/// Every point and every write of both acts, with a line that works and with one that loses what proves
/// the act.
pub fn sweep() -> Vec<Story> {
    let swap = kills([points("swap"), CARRYING.to_vec()].concat(), SWAP_WRITES);
    let closing = kills(points("closing"), CLOSING_WRITES);
    let mut stories = Vec::new();
    for is_spoilt in [false, true] {
        for nth in 0..swap.len().max(closing.len()) {
            let lost = |on| is_spoilt.then_some(Trouble { on, kind: FaultKind::LostAfterApply });
            let dying = |kills: &[Kill], trouble| Dying {
                kill: kills[nth % kills.len()].clone(),
                again: None,
                trouble,
            };
            stories.push(Story {
                from: nth % 2,
                paid_fen: 1_000 + u64::try_from(nth).unwrap_or(0) * 7,
                swap: dying(&swap, lost(On::Sell)),
                closing: dying(&closing, lost(On::Clear)),
            });
        }
    }
    stories
}

/// One of chance's.
pub fn random(chance: &mut Chance) -> Story {
    let swap = kills([points("swap"), CARRYING.to_vec()].concat(), SWAP_WRITES);
    let closing = kills(points("closing"), CLOSING_WRITES);
    let mut dying = |kills: &[Kill], on| {
        let mut kill = || match chance.below(3) {
            0 => Kill::After { ms: chance.below(120) },
            _ => chance.pick(kills).clone(),
        };
        let (first, second) = (kill(), kill());
        let kind = FaultKind::LostAfterApply;
        Dying {
            kill: first,
            again: chance.one_in(3).then_some(second),
            trouble: chance.one_in(3).then_some(Trouble { on, kind }),
        }
    };
    let (swap, closing) = (dying(&swap, On::Sell), dying(&closing, On::Clear));
    Story {
        from: usize::from(chance.one_in(2)),
        paid_fen: 500 + chance.below(3_000),
        swap,
        closing,
    }
}

/// A customer at the old meter.
struct Told {
    customer_id: String,
    /// The old one, the new one.
    meter_ids: [String; 2],
    addresses: [&'static str; 2],
    paid_fen: u64,
    /// Cash and revenue before anything.
    before: Sums,
}

/// Credits less debits of what a story moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Sums {
    cash: i64,
    revenue: i64,
    old: i64,
    new: i64,
}

pub async fn play(stage: &mut Stage, story: &Story, tally: &mut Tally) -> Result<()> {
    if !stage.is_up() {
        stage.start(None).await?;
    }
    let told = begin(stage, story).await.context("before the swap")?;
    swap(stage, story, &told, tally).await.context("the swap")?;
    close(stage, story, &told, tally).await.context("the closing")?;
    let (api, ids) = (stage.api()?, stage.meter_ids.clone());
    books::compare(&api, &stage.site.simulator, &ids).await
}

/// A new customer pays at the old meter and uses some of it.
async fn begin(stage: &mut Stage, story: &Story) -> Result<Told> {
    let api = stage.api()?;
    let [old, new] = if story.from == 0 { [0, 1] } else { [1, 0] };
    let meter_ids = [old, new].map(|at| stage.free[at].meter_id.clone());
    let addresses = [old, new].map(|at| stage.free[at].address);
    for address in addresses {
        stage.site.simulator.clear_faults(address)?;
    }
    let before = sums(&api, &meter_ids).await?;
    ensure!((before.old, before.new) == (0, 0), "a free meter has money: {before:?}");
    stage.stories += 1;
    let number = format!("{}", 500_000 + stage.stories);
    let customer = json!({ "number": number, "name": format!("Shop {number}") });
    let customer = api.post("/api/v1/customers", customer).await?;
    let customer_id = customer["customer_id"].as_str().context("no id")?.to_owned();
    let account = json!({ "customer_id": customer_id });
    api.post(&format!("/api/v1/meters/{}/account", meter_ids[0]), account).await?;
    let paid = format!("{}.{:02}", story.paid_fen / 100, story.paid_fen % 100);
    let sale = api.sell(&uuid::Uuid::now_v7().to_string(), &meter_ids[0], &paid).await?;
    ensure!(sale.body["state"] == "confirmed", "{sale:?}");
    let simulator = &stage.site.simulator;
    simulator.set_load(addresses[0], 6_000)?;
    simulator.advance(600);
    simulator.set_load(addresses[0], 0)?;
    Ok(Told { customer_id, meter_ids, addresses, paid_fen: story.paid_fen, before })
}

fn truth(stage: &Stage, address: &str) -> Result<State> {
    Ok(stage.site.simulator.state(address)?)
}

fn purse(state: &State) -> Purse {
    Purse { credits: state.credits, fen: state.credited_fen }
}

fn spoil(stage: &Stage, address: &str, trouble: Option<&Trouble>) -> Result<()> {
    if let Some(Trouble { on, kind }) = trouble {
        stage.site.simulator.fault(address, Fault::new(*on, kind.clone()))?;
    }
    Ok(())
}

async fn swap(stage: &mut Stage, story: &Story, told: &Told, tally: &mut Tally) -> Result<()> {
    let [old, new] = told.addresses;
    let (left, reading) = (truth(stage, old)?, truth(stage, old)?.energy);
    let remaining = u64::try_from(left.money_fen)?;
    ensure!(0 < remaining && remaining < told.paid_fen, "{remaining} fen are left");
    let had = purse(&truth(stage, new)?);
    spoil(stage, new, story.swap.trouble.as_ref())?;
    let asked = Act {
        path: "/api/v1/swaps".to_owned(),
        id: "swap_id",
        key: uuid::Uuid::now_v7().to_string(),
        body: json!({
            "old_meter_id": told.meter_ids[0], "new_meter_id": told.meter_ids[1],
            "reason": "display broken",
        }),
        is_done: |it| it["is_done"] == true && it["is_old_cleared"] == true,
    };
    let done = act::see_through(stage, &asked, &story.swap, tally).await?;

    let says = |what: &str| Err(broken(Wrong::Unbalanced, format!("{what}: {done}")));
    if fen(&done["remaining"])? != remaining {
        return says("the swap carries another amount than the old meter held");
    }
    if fen(&done["consumed"])? != told.paid_fen - remaining {
        return says("the swap books another use");
    }
    if watt_hours(&done["old_reading"])? != reading * 10 {
        return says("the last reading is another");
    }
    let api = stage.api()?;
    let after = purse(&truth(stage, new)?);
    books::took(had, after, 1, remaining).with_context(|| done.to_string())?;
    if (truth(stage, new)?.money_fen, truth(stage, old)?.money_fen) != (left.money_fen, 0) {
        return says("the purses do not hold what was carried");
    }
    let now = sums(&api, &told.meter_ids).await?;
    let (paid, kept) = (i64::try_from(told.paid_fen)?, i64::try_from(remaining)?);
    let expected = Sums {
        cash: told.before.cash - paid,
        revenue: told.before.revenue + paid - kept,
        old: 0,
        new: kept,
    };
    if now != expected {
        return says(&format!("booked is {now:?} instead of {expected:?}"));
    }
    // Where the customer's meters are told, each installation stands once.
    let installed = format!("/api/v1/customers/{}/swaps", told.customer_id);
    let swaps = api.get(&installed).await?;
    ensure!(swaps.as_array().is_some_and(|all| all.len() == 1), "{swaps}");
    Ok(())
}

async fn close(stage: &mut Stage, story: &Story, told: &Told, tally: &mut Tally) -> Result<()> {
    let new = told.addresses[1];
    let remaining = u64::try_from(truth(stage, new)?.money_fen)?;
    let before = sums(&stage.api()?, &told.meter_ids).await?;
    spoil(stage, new, story.closing.trouble.as_ref())?;
    let asked = Act {
        path: format!("/api/v1/customers/{}/closing", told.customer_id),
        id: "closing_id",
        key: uuid::Uuid::now_v7().to_string(),
        body: json!({ "reason": "moves away" }),
        is_done: |it| it["state"] == "settled",
    };
    let done = act::see_through(stage, &asked, &story.closing, tally).await?;
    let says = |what: &str| Err(broken(Wrong::Unbalanced, format!("{what}: {done}")));
    if fen(&done["refunded"])? != remaining {
        return says("another amount was paid out than the meter held");
    }
    if truth(stage, new)?.money_fen != 0 {
        return says("what was paid out is in the meter still");
    }
    let now = sums(&stage.api()?, &told.meter_ids).await?;
    let expected = Sums { cash: before.cash + i64::try_from(remaining)?, new: 0, ..before };
    if now != expected {
        return says(&format!("booked is {now:?} instead of {expected:?}"));
    }
    Ok(())
}

/// What is booked now; an error where anything is in flight or debits and credits differ.
async fn sums(api: &Api, meter_ids: &[String; 2]) -> Result<Sums> {
    let balance = api.get("/api/v1/ledger/trial-balance").await?;
    let [old, new] = meter_ids.each_ref().map(|id| format!("meter-credit/{id}"));
    let net = |name: &str| books::net(&balance, name);
    Ok(Sums { cash: net("cash")?, revenue: net(books::REVENUE)?, old: net(&old)?, new: net(&new)? })
}

fn fen(money: &Value) -> Result<u64> {
    let text = money.as_str().with_context(|| format!("{money} is no money"))?;
    Ok(text.replace('.', "").parse()?)
}

/// From kilowatt-hours as they are shown: "12.5" is 12 500.
fn watt_hours(shown: &Value) -> Result<u64> {
    let text = shown.as_str().with_context(|| format!("{shown} is no reading"))?;
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    ensure!(part.len() <= 3, "{text} is finer than a watt-hour");
    Ok(whole.parse::<u64>()? * 1_000 + format!("{part:0<3}").parse::<u64>()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sweep_has_every_point_of_both_acts() {
        let stories = sweep();
        for &point in ACCOUNT_CRASH_POINTS {
            let is_at =
                |dying: &Dying| matches!(dying.kill, Kill::At { point: at, .. } if at == point);
            let times = stories.iter().filter(|it| is_at(&it.swap) || is_at(&it.closing)).count();
            assert!(times >= 2, "{point} {times} times");
        }
    }

    #[test]
    fn a_reading_is_shown_in_kilowatt_hours() {
        for (shown, expected) in [("12", 12_000), ("0.07", 70), ("1.5", 1_500)] {
            assert_eq!(watt_hours(&json!(shown)).expect(shown), expected);
        }
        assert!(watt_hours(&json!("1.2345")).is_err());
    }
}

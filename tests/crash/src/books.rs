//! Both sides of the sentence: what the ledger says, and what the meters truly took.

use anyhow::{Context, Result, ensure};
use e2e::{Api, METERS};
use meter_sim::World;
use serde_json::Value;

/// Which way the sentence is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wrong {
    /// A meter took less than was sold.
    Lost,
    /// A meter took more than was sold.
    Doubled,
    /// The ledger differs from the meters, or from itself.
    Unbalanced,
    /// The program had said that it has a sale, and has it not.
    Forgotten,
}

/// A broken sentence, in words.
#[derive(Debug, thiserror::Error)]
#[error("{wrong:?}: {what}")]
pub struct Broken {
    pub wrong: Wrong,
    pub what: String,
}

pub fn broken(wrong: Wrong, what: impl Into<String>) -> anyhow::Error {
    Broken { wrong, what: what.into() }.into()
}

/// What a meter has taken since it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Purse {
    pub credits: u64,
    pub fen: u64,
}

pub fn purse(world: &World, meter: usize) -> Result<Purse> {
    let state = world.state(METERS[meter].address)?;
    Ok(Purse { credits: state.credits, fen: state.credited_fen })
}

/// The meter took exactly this much more, and as many times.
pub fn took(before: Purse, after: Purse, credits: u64, fen: u64) -> Result<()> {
    let (times, more) = (after.credits - before.credits, after.fen - before.fen);
    if (times, more) == (credits, fen) {
        return Ok(());
    }
    let what =
        format!("the meter took {more} fen in {times} credits, sold were {fen} in {credits}");
    Err(broken(if more < fen { Wrong::Lost } else { Wrong::Doubled }, what))
}

/// Sum of ledger = payments = true meter credit, nothing in flight, debits = credits.
pub async fn compare(api: &Api, world: &World, meter_ids: &[String]) -> Result<()> {
    let balance = api.get("/api/v1/ledger/trial-balance").await?;
    let unbalanced = |what: String| broken(Wrong::Unbalanced, format!("{what} in {balance}"));
    if balance["difference"] != "0.00" {
        return Err(unbalanced("debits and credits differ".to_owned()));
    }
    let lines = balance["lines"].as_array().context("no lines")?;
    let line = |name: &str| lines.iter().find(|line| line["account"] == name);
    let mut sold = 0;
    for (meter, meter_id) in meter_ids.iter().enumerate() {
        let Some(line) = line(&format!("meter-credit/{meter_id}")) else {
            ensure!(purse(world, meter)?.fen == 0, "no account of meter {meter_id} in {balance}");
            continue;
        };
        let posted = posted(line)?;
        let taken = i64::try_from(purse(world, meter)?.fen)?;
        if posted != taken {
            return Err(unbalanced(format!("{posted} fen are booked, {taken} are in the meter,")));
        }
        if fen(&line["credits_pending"])? != 0 {
            return Err(unbalanced("money is in flight though every sale is settled".to_owned()));
        }
        sold += posted;
    }
    // What was used of a meter that was swapped or closed is revenue.
    let used = line(REVENUE).map_or(Ok(0), posted)?;
    let paid = -line("cash").map_or(Ok(0), posted)?;
    if paid != sold + used {
        let what = format!("{paid} fen were paid, {sold} are in meters and {used} were used,");
        return Err(unbalanced(what));
    }
    Ok(())
}

/// Of energy that was used.
pub const REVENUE: &str = "revenue/electricity";

/// Credits less debits, both posted.
fn posted(line: &Value) -> Result<i64> {
    Ok(fen(&line["credits_posted"])? - fen(&line["debits_posted"])?)
}

/// The same of the account of this name in a trial balance, in which nothing may be pending and nothing
/// differ.
pub fn net(balance: &Value, name: &str) -> Result<i64> {
    let unbalanced = |what: &str| broken(Wrong::Unbalanced, format!("{what} in {balance}"));
    if balance["difference"] != "0.00" {
        return Err(unbalanced("debits and credits differ"));
    }
    let lines = balance["lines"].as_array().context("no lines")?;
    let Some(line) = lines.iter().find(|line| line["account"] == name) else { return Ok(0) };
    if fen(&line["credits_pending"])? != 0 || fen(&line["debits_pending"])? != 0 {
        return Err(unbalanced(&format!("money is in flight at {name}")));
    }
    posted(line)
}

fn fen(money: &Value) -> Result<i64> {
    let text = money.as_str().with_context(|| format!("{money} is no money"))?;
    Ok(text.replace('.', "").parse()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credit_too_many_and_one_too_few_are_told_apart() {
        let purse = |credits, fen| Purse { credits, fen };
        let wrong = |after| {
            let error = took(purse(3, 300), after, 1, 50).expect_err("broken");
            error.downcast::<Broken>().expect("ours").wrong
        };
        assert!(took(purse(3, 300), purse(4, 350), 1, 50).is_ok());
        assert_eq!(wrong(purse(3, 300)), Wrong::Lost);
        assert_eq!(wrong(purse(5, 400)), Wrong::Doubled);
        assert_eq!(wrong(purse(5, 350)), Wrong::Doubled);
    }
}

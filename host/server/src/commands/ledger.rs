//! `ledger verify`: every row, every balance and the hash chain. `ledger balance`: the trial balance at any
//! moment. Both look at the database beside a running `serve` as well.

use super::{Failure, print_json};
use crate::api;
use crate::config::Config;
use crate::moment;
use polymeter_ledger::{Database, Place};
use polymeter_service::TrialBalance;
use std::path::Path;

/// The configuration, whose database is there.
fn existing(config: &Path) -> Result<Config, Failure> {
    let config = Config::read(config)?;
    if let Place::File(path) = &config.database
        && !path.is_file()
    {
        let path = path.display();
        return Err(Failure::Usage(format!("there is no database at {path}")));
    }
    Ok(config)
}

pub async fn verify(config: &Path) -> Result<(), Failure> {
    let config = existing(config)?;
    let verified = Database::verify_at(&config.database)
        .await
        .map_err(Failure::while_doing("the ledger does not verify"))?;
    println!(
        "the ledger is whole: {} accounts, {} transfers, head {}",
        verified.accounts, verified.transfers, verified.head
    );
    Ok(())
}

pub async fn balance(config: &Path, at: &str, as_json: bool) -> Result<(), Failure> {
    let config = existing(config)?;
    let moment = moment::parse(at, &config.time_zone)
        .map_err(|why| Failure::Usage(format!("--at: {why}")))?;
    let balances = Database::balances_at(&config.database, moment)
        .await
        .map_err(Failure::while_doing("the accounts could not be summed"))?;
    let balance = TrialBalance::of(balances, config.currency);
    let shown = api::ledger::TrialBalance::from(&balance);
    if as_json {
        print_json(&shown)?;
    } else {
        print(&shown);
    }
    if balance.difference.minor() == 0 {
        return Ok(());
    }
    let why = format!("debits and credits differ by {}: run `ledger verify`", balance.difference);
    Err(Failure::Wrong(why))
}

fn print(balance: &api::ledger::TrialBalance) {
    let booked = balance.booked_at.as_deref().unwrap_or("nothing is booked yet");
    println!("trial balance 试算平衡 at transfer {} ({booked})", balance.sequence);
    let name = balance.lines.iter().map(|line| line.account.chars().count()).max().unwrap_or(0);
    let heads = ["debits pending", "credits pending", "debits posted 借", "credits posted 贷"];
    println!("{:name$}  {}", "account", heads.map(|head| format!("{head:>16}")).join(" "));
    for line in &balance.lines {
        let sums = [
            &line.debits_pending,
            &line.credits_pending,
            &line.debits_posted,
            &line.credits_posted,
        ];
        println!("{:name$}  {}", line.account, sums.map(|sum| format!("{sum:>16}")).join(" "));
    }
    println!("difference {} {}", balance.difference, balance.currency);
}

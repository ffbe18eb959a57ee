//! `ledger verify`: every row, every balance and the hash chain. `ledger balance`: the trial balance at any
//! moment. Both look at the database beside a running `serve` as well.

use super::{Failure, print_json};
use crate::api;
use crate::config::Config;
use crate::head_key::HeadKey;
use crate::moment;
use polymeter_ledger::{Database, DayClose, Head, Place};
use polymeter_package::PublicKey;
use polymeter_service::TrialBalance;
use std::path::{Path, PathBuf};

/// The configuration, whose database is there.
pub(super) fn existing(config: &Path) -> Result<Config, Failure> {
    let config = Config::read(config)?;
    if let Place::File(path) = &config.database
        && !path.is_file()
    {
        let path = path.display();
        return Err(Failure::Usage(format!("there is no database at {path}")));
    }
    Ok(config)
}

pub async fn verify(config: &Path, key: Option<&str>, heads: &[PathBuf]) -> Result<(), Failure> {
    let config = existing(config)?;
    let own = HeadKey::beside(&config.control);
    let key = match key {
        Some(key) => Some(public_key(key)?),
        None => own.public().map_err(Failure::Wrong)?,
    };
    let kept =
        heads.iter().map(|file| kept_head(file, key.as_ref())).collect::<Result<Vec<_>, _>>()?;
    let verified = Database::verify_against(&config.database, &kept)
        .await
        .map_err(Failure::while_doing("the ledger does not verify"))?;
    check_signatures(&verified.closes, key.as_ref(), &own)?;
    println!(
        "the ledger is whole: {} accounts, {} transfers, {} day closes, {} audit rows, head {}",
        verified.accounts,
        verified.transfers,
        verified.closes.len(),
        verified.audit_rows,
        verified.head
    );
    Ok(())
}

/// The key itself, or the file that holds it.
fn public_key(text: &str) -> Result<PublicKey, Failure> {
    let bad = |error: String| Failure::Usage(format!("--key: {error}"));
    if text.starts_with("RW") {
        return PublicKey::parse(text).map_err(|error| bad(format!("`{text}` {error}")));
    }
    let read = std::fs::read_to_string(text).map_err(|error| bad(format!("{text}: {error}")))?;
    PublicKey::parse(&read).map_err(|error| bad(format!("{text} {error}")))
}

/// A head that was kept elsewhere, which must bear the key's signature.
fn kept_head(file: &Path, key: Option<&PublicKey>) -> Result<Head, Failure> {
    let shown = file.display();
    let read = |file: &Path| {
        let text = std::fs::read_to_string(file);
        text.map_err(|error| Failure::Usage(format!("--head: {}: {error}", file.display())))
    };
    let text = read(file)?;
    let head = Head::parse(&text)
        .ok_or_else(|| Failure::Usage(format!("--head: {shown} is no head of these books")))?;
    let signature = read(&minisig(file))?;
    match key {
        Some(key) if key.has_signed(&text, &signature) => Ok(head),
        Some(key) => Err(Failure::Wrong(format!("{shown} was not signed by the key {}", key.id()))),
        None => Err(Failure::Usage("--head needs --key: no key is beside the database".to_owned())),
    }
}

fn minisig(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".minisig");
    PathBuf::from(name)
}

fn check_signatures(
    closes: &[DayClose],
    key: Option<&PublicKey>,
    own: &HeadKey,
) -> Result<(), Failure> {
    let Some(key) = key else {
        return match closes {
            [] => Ok(()),
            _ => Err(Failure::Wrong(format!(
                "the day closes cannot be judged: there is no {}; give their public key with --key",
                own.public_file().display()
            ))),
        };
    };
    let foreign = closes.iter().find(|it| !key.has_signed(&it.head.text(), &it.signature));
    match foreign {
        Some(DayClose { head, .. }) => Err(Failure::Wrong(format!(
            "the ledger does not verify: broken at day close {} of {}: not signed by the key {}",
            head.number,
            head.day,
            key.id()
        ))),
        None => Ok(()),
    }
}

pub async fn head(config: &Path, day: Option<&str>, out: Option<&Path>) -> Result<(), Failure> {
    let config = existing(config)?;
    let close = Database::day_close_at(&config.database, day)
        .await
        .map_err(Failure::while_doing("the day closes could not be read"))?;
    let Some(DayClose { head, signature }) = close else {
        let which = day.unwrap_or("the last day");
        return Err(Failure::Usage(format!("{which} has no close; see `polymeter day-close`")));
    };
    let Some(out) = out else {
        print!("{}{signature}", head.text());
        return Ok(());
    };
    for (file, text) in [(out.to_owned(), head.text()), (minisig(out), signature)] {
        std::fs::write(&file, text)
            .map_err(Failure::while_doing(format!("writing {}", file.display())))?;
    }
    println!("the head of {} is in {}", head.day, out.display());
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

//! `reader list` and `reader watch`: the card readers of this machine, what lies in them, and whose card
//! it is by the configured drivers. Without a configuration every reader that is plugged in, and no
//! drivers.
//!
//! Invariant: looks alone, beside a running `serve` too; presents no code and writes nothing. A port has
//! one program: those of a running `serve` are left to it.
//! Not here: what the books say of a card (`card check`).

use super::Failure;
use crate::app;
use crate::config::Config;
use crate::control::Client;
use jiff::tz::TimeZone;
use polymeter_domain::VendorCode;
use polymeter_service::{CardOwners, Finding, Theirs, Whose};
use polymeter_transport::{
    CardReader, CardReaders, ReaderPlace, ReaderProfiles, ReaderSettings, ReaderState,
};
use std::collections::HashSet;
use std::path::Path;
use tokio::sync::mpsc;

#[derive(Debug, clap::Subcommand)]
pub enum ReaderCommand {
    /// The readers, and what lies in each now.
    List,
    /// Each card that comes or goes, as it does, until the command is ended.
    Watch,
}

pub async fn run(file: &Path, command: ReaderCommand) -> Result<(), Failure> {
    let (readers, owners) = start(file).await?;
    match command {
        ReaderCommand::List => list(&readers, &owners).await,
        ReaderCommand::Watch => watch(&readers, owners).await,
    }
}

async fn start(file: &Path) -> Result<(CardReaders, CardOwners), Failure> {
    if !file.exists() {
        let readers = CardReaders::start(Vec::new(), ReaderProfiles::built_in());
        return Ok((readers, CardOwners::new(Vec::new(), Vec::new(), app::clock(TimeZone::UTC))));
    }
    let config = Config::read(file)?;
    let drivers = app::load_drivers(&config).await?;
    let settings = ours(&config).await;
    let owners = CardOwners::new(drivers, config.card_marks, app::clock(config.time_zone));
    let readers = if settings.is_empty() && !config.readers.is_empty() {
        CardReaders::of(Vec::new())
    } else {
        CardReaders::start(settings, config.reader_profiles)
    };
    Ok((readers, owners))
}

/// The configured readers but for those whose ports a running `serve` has, which are told of.
async fn ours(config: &Config) -> Vec<ReaderSettings> {
    let mut settings = config.readers.clone();
    let is_port = |reader: &ReaderSettings| matches!(reader.place, ReaderPlace::Port(_));
    let are_kept = app::wants_readers(config) && settings.iter().any(is_port);
    if are_kept && Client::of(&config.control).is_served().await {
        settings.retain(|reader| {
            if is_port(reader) {
                println!("{}: the running `serve` has its port, and shows its card", reader.name);
            }
            !is_port(reader)
        });
    }
    settings
}

async fn list(readers: &CardReaders, owners: &CardOwners) -> Result<(), Failure> {
    let list = readers.looked().await;
    if let (true, Some(trouble)) = (list.readers.is_empty(), list.trouble) {
        return Err(Failure::Wrong(trouble));
    }
    for reader in list.readers {
        println!("{}", described(&reader, &reader.state(), owners).await);
    }
    Ok(())
}

/// One line of what lies in a reader.
async fn described(reader: &CardReader, state: &ReaderState, owners: &CardOwners) -> String {
    let name = reader.name();
    match state {
        ReaderState::Card(_) => format!("{name}: {state}, {}", owner(reader, owners).await),
        _ => format!("{name}: {state}"),
    }
}

/// "vendor ACME, driver card-sle4442-acme 0.1.0, user card".
async fn owner(reader: &CardReader, owners: &CardOwners) -> String {
    let whose = match reader.lease().await {
        Ok(mut lease) => owners.whose(&mut lease).await,
        Err(error) => Err(error),
    };
    match whose {
        Ok(Whose::Theirs(Theirs { driver, identity })) => format!(
            "vendor {}, driver {} {}, {} card",
            identity.vendor,
            driver.name(),
            driver.description().version,
            identity.purpose
        ),
        Ok(Whose::Nobodys(Finding::Blank { vendors, .. })) => {
            let vendors: Vec<&str> = vendors.iter().map(VendorCode::as_str).collect();
            format!("blank, fit for {}", vendors.join(", "))
        }
        Ok(Whose::Nobodys(finding)) => finding.why().unwrap_or_else(|| "no card".to_owned()),
        Err(error) => error.to_string(),
    }
}

/// Lines that may wait for a slow terminal.
const LINES_WAITING: usize = 64;

async fn watch(readers: &CardReaders, owners: CardOwners) -> Result<(), Failure> {
    let (tell, mut told) = mpsc::channel(LINES_WAITING);
    let mut lists = readers.changes();
    let mut watched = HashSet::new();
    let mut trouble = None;
    loop {
        let list = lists.borrow_and_update().clone();
        for reader in list.readers {
            if watched.insert(reader.name().to_owned()) {
                tokio::spawn(follow(reader, owners.clone(), tell.clone()));
            }
        }
        // What is wrong with a reader stands in its own lines.
        if watched.is_empty() && list.trouble != trouble {
            if let Some(trouble) = &list.trouble {
                eprintln!("{trouble}");
            }
            trouble = list.trouble;
        }
        tokio::select! {
            changed = lists.changed() => {
                let ended = |_| Failure::Wrong("the readers are no longer watched".to_owned());
                changed.map_err(ended)?;
            }
            Some(line) = told.recv() => println!("{line}"),
        }
    }
}

/// Tells each state that a reader comes into, until nobody listens.
async fn follow(reader: CardReader, owners: CardOwners, tell: mpsc::Sender<String>) {
    let mut changes = reader.changes();
    loop {
        let state = changes.borrow_and_update().clone();
        if state.is_known() {
            let line = described(&reader, &state, &owners).await;
            if tell.send(line).await.is_err() {
                return;
            }
        }
        if changes.changed().await.is_err() {
            return;
        }
    }
}

//! `reader list` and `reader watch`: the card readers of this machine and what lies in them. Without a
//! configuration every reader that is plugged in.
//!
//! Invariant: looks alone, beside a running `serve` too; presents no code and writes nothing.
//! Not here: whose card it is.

use super::Failure;
use crate::config::Config;
use polymeter_transport::{CardReader, CardReaders, ReaderProfiles, ReaderState};
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
    let readers = start(file)?;
    match command {
        ReaderCommand::List => list(&readers).await,
        ReaderCommand::Watch => watch(&readers).await,
    }
}

fn start(file: &Path) -> Result<CardReaders, Failure> {
    if !file.exists() {
        return Ok(CardReaders::start(Vec::new(), ReaderProfiles::built_in()));
    }
    let config = Config::read(file)?;
    Ok(CardReaders::start(config.readers, config.reader_profiles))
}

async fn list(readers: &CardReaders) -> Result<(), Failure> {
    let list = readers.looked().await;
    if let (true, Some(trouble)) = (list.readers.is_empty(), list.trouble) {
        return Err(Failure::Wrong(trouble));
    }
    for reader in list.readers {
        println!("{}", described(&reader, &reader.state()));
    }
    Ok(())
}

/// One line of what lies in a reader.
fn described(reader: &CardReader, state: &ReaderState) -> String {
    format!("{}: {state}", reader.name())
}

/// Lines that may wait for a slow terminal.
const LINES_WAITING: usize = 64;

async fn watch(readers: &CardReaders) -> Result<(), Failure> {
    let (tell, mut told) = mpsc::channel(LINES_WAITING);
    let mut lists = readers.changes();
    let mut watched = HashSet::new();
    let mut trouble = None;
    loop {
        let list = lists.borrow_and_update().clone();
        for reader in list.readers {
            if watched.insert(reader.name().to_owned()) {
                tokio::spawn(follow(reader, tell.clone()));
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
async fn follow(reader: CardReader, tell: mpsc::Sender<String>) {
    let mut changes = reader.changes();
    loop {
        let state = changes.borrow_and_update().clone();
        let line = described(&reader, &state);
        if state.is_known() && tell.send(line).await.is_err() {
            return;
        }
        if changes.changed().await.is_err() {
            return;
        }
    }
}

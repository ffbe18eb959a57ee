//! `ledger verify`: every row, every balance and the hash chain; beside a running `serve` as well.

use super::Failure;
use crate::config::Config;
use polymeter_ledger::{Database, Place};
use std::path::Path;

pub async fn verify(config: &Path) -> Result<(), Failure> {
    let config = Config::read(config)?;
    if let Place::File(path) = &config.database
        && !path.is_file()
    {
        let path = path.display();
        return Err(Failure::Usage(format!("there is no database at {path}")));
    }
    let verified = Database::verify_at(&config.database)
        .await
        .map_err(Failure::while_doing("the ledger does not verify"))?;
    println!(
        "the ledger is whole: {} accounts, {} transfers, head {}",
        verified.accounts, verified.transfers, verified.head
    );
    Ok(())
}

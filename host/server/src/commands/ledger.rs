//! `ledger verify`: every row, every balance and the hash chain; beside a running `serve` as well.

use super::Failure;
use crate::config::Config;
use polymeter_ledger::Database;
use std::path::Path;

pub async fn verify(config: &Path) -> Result<(), Failure> {
    let config = Config::read(config)?;
    if !config.database.is_file() {
        let path = config.database.display();
        return Err(Failure::Usage(format!("there is no database at {path}")));
    }
    let verified = Database::verify_at(&config.database.as_path().into())
        .await
        .map_err(Failure::while_doing("the ledger does not verify"))?;
    println!(
        "the ledger is whole: {} accounts, {} transfers, head {}",
        verified.accounts, verified.transfers, verified.head
    );
    Ok(())
}

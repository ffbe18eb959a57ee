//! Accounts of the books as a page shows them: the meter by the number on its plate, the customer by number
//! and name, each with its page. The API has the accounts' own names.

use super::PageError;
use super::view;
use crate::app::App;
use polymeter_service::{LedgerEntry, customer_of_account, meter_of_account};

/// An account in words, and whose it is; `of` and `address` are empty where it is nobody's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccountName {
    /// "cash", "arrears", "meter credit".
    pub what: String,
    pub of: String,
    pub address: String,
}

/// One line of the ledger behind an act.
#[derive(Debug)]
pub struct EntryRow {
    pub at: String,
    pub id: String,
    pub kind: &'static str,
    pub debit: AccountName,
    pub credit: AccountName,
    pub amount: String,
}

pub async fn named(app: &App, account: &str) -> Result<AccountName, PageError> {
    if let Some(id) = meter_of_account(account) {
        let of = app.service.meter(id).await?.serial_number;
        let (what, address) = ("meter credit".to_owned(), format!("/meters/{id}"));
        return Ok(AccountName { what, of, address });
    }
    if let Some(id) = customer_of_account(account) {
        let customer = app.service.customer(id).await?;
        let what = account.split('/').next().unwrap_or_default().to_owned();
        let of = format!("{} {}", customer.number, customer.name);
        let page = if matches!(what.as_str(), "purse" | "receivable") { "/purse" } else { "" };
        return Ok(AccountName { what, of, address: format!("/customers/{id}{page}") });
    }
    Ok(AccountName { what: account.to_owned(), ..AccountName::default() })
}

pub async fn rows(app: &App, entries: &[LedgerEntry]) -> Result<Vec<EntryRow>, PageError> {
    let mut rows = Vec::with_capacity(entries.len());
    for entry in entries {
        rows.push(EntryRow {
            at: view::time(entry.at, &app.time_zone),
            id: entry.transfer_id.to_string(),
            kind: entry.kind,
            debit: named(app, &entry.debit).await?,
            credit: named(app, &entry.credit).await?,
            amount: entry.amount.to_string(),
        });
    }
    Ok(rows)
}

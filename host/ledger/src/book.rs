//! Writing the books: accounts, and the three kinds of transfer. Every function is safe to repeat.
//!
//! Invariant: what is asked again with the same content is `Ok` and writes nothing; the time is not
//! content, since a repeat is later by nature, and the first booking's time stands.
//! Not here: reading (balance), the rules of the tables themselves (host/migrations).

use crate::chain::{GENESIS, Row, TransferKind};
use crate::connection::Connection;
use crate::error::LedgerError;
use crate::limits;
use crate::writer::Transaction;
use polymeter_domain::{AccountId, Currency, Money, TransferId};
use sha2::{Digest, Sha256};
use sqlx::Row as _;
use sqlx::any::AnyRow;
use std::str::FromStr;
use uuid::Uuid;

/// One debit, one credit, one positive amount: an unbalanced ledger cannot be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTransfer {
    pub transfer_id: TransferId,
    pub debit: AccountId,
    pub credit: AccountId,
    pub amount: Money,
    /// What it is for: a sale's id.
    pub reference: Uuid,
    /// Milliseconds since 1970 UTC.
    pub at_ms: i64,
}

/// The account of this name ("cash", `meter-credit/<meter id>`), made where missing.
pub async fn account(
    tx: &mut Transaction,
    name: &str,
    money: Currency,
    at_ms: i64,
) -> Result<AccountId, LedgerError> {
    if !is_account_name(name) {
        return Err(LedgerError::BadName(name.to_owned()));
    }
    let connection = tx.connection();
    let kept: Option<String> = sqlx::query_scalar("select currency from account where name = $1")
        .bind(name)
        .fetch_optional(&mut *connection)
        .await
        .map_err(LedgerError::storage("looking for an account"))?;
    let account_id = account_id(name, money.code());
    match kept {
        Some(kept) if kept == money.code() => return Ok(account_id),
        Some(kept) => {
            let (name, asked) = (name.to_owned(), money.code().to_owned());
            return Err(LedgerError::AccountDiffers { name, kept, asked });
        }
        None => {}
    }
    sqlx::query(
        "insert into account (account_id, name, currency, created_at_ms) values ($1, $2, $3, $4)",
    )
    .bind(account_id.to_string())
    .bind(name)
    .bind(money.code())
    .bind(at_ms)
    .execute(connection)
    .await
    .map_err(LedgerError::storage("opening an account"))?;
    Ok(account_id)
}

/// Reserves: counts as pending on both accounts until posted or voided. Safe to repeat.
pub async fn pending(tx: &mut Transaction, new: &NewTransfer) -> Result<(), LedgerError> {
    let NewTransfer { transfer_id, debit, credit, amount, reference, at_ms } = new.clone();
    if amount.minor() <= 0 {
        return Err(LedgerError::BadAmount { transfer_id, amount_minor: amount.minor() });
    }
    if debit == credit {
        return Err(LedgerError::SameAccount(transfer_id));
    }
    let connection = tx.connection();
    let near = Neighbours::of(connection, transfer_id, None).await?;
    let row = Row {
        sequence: near.next_sequence(),
        transfer_id,
        kind: TransferKind::Pending,
        debit,
        credit,
        amount,
        pending: None,
        reference,
        at_ms,
    };
    if let Some(kept) = near.with_id(transfer_id) {
        return repeated(kept, row);
    }
    if insert(connection, &row, near.head()).await? {
        return Ok(());
    }
    check_currency(connection, debit, amount.currency()).await?;
    check_currency(connection, credit, amount.currency()).await
}

/// Posts the whole of a pending transfer, as a new row. Safe to repeat with the same `transfer_id`.
pub async fn post(
    tx: &mut Transaction,
    transfer_id: TransferId,
    pending: TransferId,
    at_ms: i64,
) -> Result<(), LedgerError> {
    resolve(tx.connection(), TransferKind::Post, transfer_id, pending, at_ms).await
}

/// Voids a pending transfer, as a new row. Safe to repeat with the same `transfer_id`.
pub async fn void(
    tx: &mut Transaction,
    transfer_id: TransferId,
    pending: TransferId,
    at_ms: i64,
) -> Result<(), LedgerError> {
    resolve(tx.connection(), TransferKind::Void, transfer_id, pending, at_ms).await
}

async fn resolve(
    connection: &mut Connection,
    kind: TransferKind,
    transfer_id: TransferId,
    pending: TransferId,
    at_ms: i64,
) -> Result<(), LedgerError> {
    let near = Neighbours::of(connection, transfer_id, Some(pending)).await?;
    let reserved = near.with_id(pending).filter(|row| row.kind == TransferKind::Pending);
    let Some(reserved) = reserved.cloned() else {
        return Err(LedgerError::NoPending(pending));
    };
    let row = Row {
        sequence: near.next_sequence(),
        transfer_id,
        kind,
        pending: Some(pending),
        at_ms,
        ..reserved
    };
    if let Some(kept) = near.with_id(transfer_id) {
        return repeated(kept, row);
    }
    if let Some(by) = near.resolving(pending) {
        return Err(LedgerError::AlreadyResolved(pending, by.kind.participle()));
    }
    if insert(connection, &row, near.head()).await? {
        return Ok(());
    }
    let why = "an account of its pending row is gone or kept in another currency".to_owned();
    Err(LedgerError::Broken { row: format!("transfer {pending}"), why })
}

/// What a name and a currency are booked under: UUIDv8 (RFC 9562, 5.8) of the first 16 bytes of
/// SHA-256 over "polymeter-account-1", the name and the currency, a line feed after each. Derived,
/// so that the id that the transfers' hashes cover also vouches for the name.
pub(crate) fn account_id(name: &str, currency: &str) -> AccountId {
    let digest = Sha256::digest(format!("polymeter-account-1\n{name}\n{currency}\n"));
    let mut bytes = [0; 16];
    bytes.iter_mut().zip(digest).for_each(|(byte, hashed)| *byte = hashed);
    AccountId::new(uuid::Builder::from_custom_bytes(bytes).into_uuid())
}

pub(crate) fn is_account_name(name: &str) -> bool {
    let chars = name.chars().count();
    (1..=limits::ACCOUNT_NAME_CHARS_MAX).contains(&chars) && !name.chars().any(char::is_control)
}

/// One row as it is stored; an error where a value is not what its column promises.
pub(crate) fn row_from(stored: &AnyRow) -> Result<Row, sqlx::Error> {
    let kind: &str = stored.try_get("kind")?;
    let kind = TransferKind::from_name(kind).ok_or_else(|| unreadable(kind))?;
    let currency = stored.try_get("currency")?;
    let currency = Currency::from_code(currency).ok_or_else(|| unreadable(currency))?;
    let pending: Option<&str> = stored.try_get("pending_id")?;
    Ok(Row {
        sequence: stored.try_get("sequence")?,
        transfer_id: TransferId::new(canonical_uuid(stored.try_get("transfer_id")?)?),
        kind,
        debit: AccountId::new(canonical_uuid(stored.try_get("debit_account_id")?)?),
        credit: AccountId::new(canonical_uuid(stored.try_get("credit_account_id")?)?),
        amount: Money::new(stored.try_get("amount_minor")?, currency),
        pending: pending.map(canonical_uuid).transpose()?.map(TransferId::new),
        reference: canonical_uuid(stored.try_get("reference")?)?,
        at_ms: stored.try_get("at_ms")?,
    })
}

/// Only the one spelling that is written here, or two spellings would be two keys to the database.
pub(crate) fn canonical_uuid(text: &str) -> Result<Uuid, sqlx::Error> {
    let id = Uuid::from_str(text).map_err(|_| unreadable(text))?;
    if id.to_string() == text { Ok(id) } else { Err(unreadable(text)) }
}

fn unreadable(text: &str) -> sqlx::Error {
    sqlx::Error::Decode(format!("`{}` is not what this column holds", text.escape_debug()).into())
}

fn repeated(kept: &Row, wanted: Row) -> Result<(), LedgerError> {
    let wanted = Row { sequence: kept.sequence, at_ms: kept.at_ms, ..wanted };
    if *kept == wanted { Ok(()) } else { Err(LedgerError::TransferDiffers(kept.transfer_id)) }
}

/// What a new row is judged by, in one question: the row of its id, its pending row, what ended
/// that one, and the last row. The last is read anew each time, so it is right after a rollback
/// too.
struct Neighbours {
    /// By sequence; at most four.
    rows: Vec<(Row, String)>,
}

impl Neighbours {
    async fn of(
        connection: &mut Connection,
        transfer_id: TransferId,
        pending: Option<TransferId>,
    ) -> Result<Neighbours, LedgerError> {
        let doing = "looking for a transfer and its neighbours";
        let rows = sqlx::query(
            "select * from transfer
             where transfer_id = $1 or transfer_id = $2 or pending_id = $2
                or sequence = (select max(sequence) from transfer)
             order by sequence",
        )
        .bind(transfer_id.to_string())
        .bind(pending.map(|id| id.to_string()))
        .fetch_all(connection)
        .await
        .map_err(LedgerError::storage(doing))?
        .iter()
        .map(|stored| Ok((row_from(stored)?, stored.try_get("chain_hash")?)))
        .collect::<Result<_, sqlx::Error>>()
        .map_err(LedgerError::storage(doing))?;
        Ok(Neighbours { rows })
    }

    fn with_id(&self, transfer_id: TransferId) -> Option<&Row> {
        self.rows.iter().map(|(row, _)| row).find(|row| row.transfer_id == transfer_id)
    }

    fn resolving(&self, pending: TransferId) -> Option<&Row> {
        self.rows.iter().map(|(row, _)| row).find(|row| row.pending == Some(pending))
    }

    fn next_sequence(&self) -> i64 {
        self.rows.last().map_or(1, |(row, _)| row.sequence.saturating_add(1))
    }

    fn head(&self) -> &str {
        self.rows.last().map_or(GENESIS, |(_, chain_hash)| chain_hash)
    }
}

async fn check_currency(
    connection: &mut Connection,
    account_id: AccountId,
    asked: Currency,
) -> Result<(), LedgerError> {
    let kept: Option<String> =
        sqlx::query_scalar("select currency from account where account_id = $1")
            .bind(account_id.to_string())
            .fetch_optional(connection)
            .await
            .map_err(LedgerError::storage("looking for an account"))?;
    match kept {
        Some(kept) if kept == asked.code() => Ok(()),
        Some(kept) => {
            let asked = asked.code().to_owned();
            Err(LedgerError::CurrencyDiffers { account_id, kept, asked })
        }
        None => Err(LedgerError::NoAccount(account_id)),
    }
}

/// `false`, and nothing written, where an account is missing or kept in another currency: asked for
/// in the statement itself, because a job cannot go on after a statement that failed.
async fn insert(
    connection: &mut Connection,
    row: &Row,
    previous: &str,
) -> Result<bool, LedgerError> {
    let inserted = sqlx::query(
        "insert into transfer (sequence, transfer_id, kind, debit_account_id, credit_account_id, \
         amount_minor, currency, pending_id, reference, at_ms, chain_hash) \
         select $1, $2, $3, debit.account_id, credit.account_id, $6, $7, $8, $9, $10, $11 \
         from account as debit, account as credit \
         where debit.account_id = $4 and debit.currency = $7 \
           and credit.account_id = $5 and credit.currency = $7",
    )
    .bind(row.sequence)
    .bind(row.transfer_id.to_string())
    .bind(row.kind.name())
    .bind(row.debit.to_string())
    .bind(row.credit.to_string())
    .bind(row.amount.minor())
    .bind(row.amount.currency().code())
    .bind(row.pending.map(|id| id.to_string()))
    .bind(row.reference.to_string())
    .bind(row.at_ms)
    .bind(row.chain_hash(previous))
    .execute(connection)
    .await
    .map_err(LedgerError::storage("booking a transfer"))?;
    Ok(inserted.rows_affected() == 1)
}

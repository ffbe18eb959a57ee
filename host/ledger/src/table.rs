//! The table `transfer` as it is read and appended to: one row, and the rows that it is judged by.
//!
//! Invariant: the last row is read anew for every row that is appended, so a rollback in between changes
//! nothing. Not here: what may be booked (book), the rules of the table itself (host/migrations).

use crate::chain::{Form, GENESIS, Row, TransferKind};
use crate::connection::Connection;
use crate::error::LedgerError;
use crate::limits;
use polymeter_domain::{AccountId, Currency, Money, TransferId};
use sqlx::Row as _;
use sqlx::any::AnyRow;
use std::str::FromStr;
use uuid::Uuid;

/// One row as it is stored; an error where a value is not what its column promises.
pub(crate) fn row_from(stored: &AnyRow) -> Result<Row, sqlx::Error> {
    let kind: &str = stored.try_get("kind")?;
    let kind = TransferKind::from_name(kind).ok_or_else(|| unreadable(kind))?;
    let form: i64 = stored.try_get("form")?;
    let form = Form::from_number(form).ok_or_else(|| unreadable(&form.to_string()))?;
    let currency = stored.try_get("currency")?;
    let currency = Currency::from_code(currency).ok_or_else(|| unreadable(currency))?;
    let id = |column: &str| -> Result<Option<TransferId>, sqlx::Error> {
        let id: Option<&str> = stored.try_get(column)?;
        Ok(id.map(canonical_uuid).transpose()?.map(TransferId::new))
    };
    Ok(Row {
        form,
        sequence: stored.try_get("sequence")?,
        transfer_id: TransferId::new(canonical_uuid(stored.try_get("transfer_id")?)?),
        kind,
        debit: AccountId::new(canonical_uuid(stored.try_get("debit_account_id")?)?),
        credit: AccountId::new(canonical_uuid(stored.try_get("credit_account_id")?)?),
        amount: Money::new(stored.try_get("amount_minor")?, currency),
        pending: id("pending_id")?,
        reference: canonical_uuid(stored.try_get("reference")?)?,
        at_ms: stored.try_get("at_ms")?,
        contra: id("contra_id")?,
        next: id("next_id")?,
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

/// What a new row is judged by, in one question: the row of its id, the row that it ends or takes back,
/// what ended or takes back that one, what that one follows in a link, and the last row.
pub(crate) struct Neighbours {
    /// By sequence; a handful.
    rows: Vec<(Row, String)>,
}

impl Neighbours {
    pub(crate) async fn of(
        connection: &mut Connection,
        transfer_id: TransferId,
        other: Option<TransferId>,
    ) -> Result<Neighbours, LedgerError> {
        let doing = "looking for a transfer and its neighbours";
        let rows = sqlx::query(
            "select * from transfer
             where transfer_id = $1 or transfer_id = $2 or pending_id = $2 or contra_id = $2
                or next_id = $2 or sequence = (select max(sequence) from transfer)
             order by sequence",
        )
        .bind(transfer_id.to_string())
        .bind(other.map(|id| id.to_string()))
        .fetch_all(connection)
        .await
        .map_err(LedgerError::storage(doing))?
        .iter()
        .map(|stored| Ok((row_from(stored)?, stored.try_get("chain_hash")?)))
        .collect::<Result<_, sqlx::Error>>()
        .map_err(LedgerError::storage(doing))?;
        Ok(Neighbours { rows })
    }

    fn find(&self, wanted: impl Fn(&Row) -> bool) -> Option<&Row> {
        self.rows.iter().map(|(row, _)| row).find(|row| wanted(row))
    }

    pub(crate) fn with_id(&self, transfer_id: TransferId) -> Option<&Row> {
        self.find(|row| row.transfer_id == transfer_id)
    }

    /// What ended a reservation.
    pub(crate) fn resolving(&self, pending: TransferId) -> Option<&Row> {
        self.find(|row| row.pending == Some(pending))
    }

    /// What took back a posted row.
    pub(crate) fn taking_back(&self, posted: TransferId) -> Option<&Row> {
        self.find(|row| row.contra == Some(posted))
    }

    /// Whether a row comes later in a link than as its first.
    pub(crate) fn is_led_to(&self, transfer_id: TransferId) -> bool {
        self.find(|row| row.next == Some(transfer_id)).is_some()
    }

    pub(crate) fn next_sequence(&self) -> i64 {
        self.rows.last().map_or(1, |(row, _)| row.sequence.saturating_add(1))
    }

    fn head(&self) -> &str {
        self.rows.last().map_or(GENESIS, |(_, chain_hash)| chain_hash)
    }
}

/// The rows of the link that begins with `first`: they follow each other at once.
pub(crate) async fn link_of(
    connection: &mut Connection,
    first: Row,
) -> Result<Vec<Row>, LedgerError> {
    let doing = "reading the rows of a link";
    if first.next.is_none() {
        return Ok(vec![first]);
    }
    let later = sqlx::query(
        "select * from transfer where sequence > $1 and sequence < $1 + $2 order by sequence",
    )
    .bind(first.sequence)
    .bind(limits::LINK_ROWS_MAX)
    .fetch_all(connection)
    .await
    .map_err(LedgerError::storage(doing))?;
    let mut link = vec![first];
    for stored in &later {
        if link.last().is_some_and(|row| row.next.is_none()) {
            break;
        }
        link.push(row_from(stored).map_err(LedgerError::storage(doing))?);
    }
    Ok(link)
}

/// Appends a row, or finds the very same there already. `near` was asked for it.
pub(crate) async fn append(
    connection: &mut Connection,
    near: &Neighbours,
    row: Row,
) -> Result<(), LedgerError> {
    if let Some(kept) = near.with_id(row.transfer_id) {
        return repeated(kept, row);
    }
    if insert(connection, &row, near.head()).await? {
        return Ok(());
    }
    check_currency(connection, row.debit, row.amount.currency()).await?;
    check_currency(connection, row.credit, row.amount.currency()).await?;
    let why = "an account of its pending row is gone or kept in another currency".to_owned();
    Err(LedgerError::Broken { row: format!("transfer {}", row.transfer_id), why })
}

/// The time is no content: a repeat is later by nature. Nor is the form of a row of long ago.
fn repeated(kept: &Row, wanted: Row) -> Result<(), LedgerError> {
    let Row { form, sequence, at_ms, .. } = *kept;
    let wanted = Row { form, sequence, at_ms, ..wanted };
    if *kept == wanted { Ok(()) } else { Err(LedgerError::TransferDiffers(kept.transfer_id)) }
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
         amount_minor, currency, pending_id, reference, at_ms, chain_hash, form, contra_id, next_id) \
         select $1, $2, $3, debit.account_id, credit.account_id, $6, $7, $8, $9, $10, $11, $12, $13, \
         $14 \
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
    .bind(row.form.number())
    .bind(row.contra.map(|id| id.to_string()))
    .bind(row.next.map(|id| id.to_string()))
    .execute(connection)
    .await
    .map_err(LedgerError::storage("booking a transfer"))?;
    Ok(inserted.rows_affected() == 1)
}

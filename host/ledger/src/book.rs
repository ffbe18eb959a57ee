//! Writing the books: accounts, and the kinds of transfer. Every function is safe to repeat.
//!
//! Invariant: what is asked again with the same content is `Ok` and writes nothing; the time is not
//! content, since a repeat is later by nature, and the first booking's time stands. The rows of one
//! link are all written or none.
//! Not here: reading (balance), rows as they are stored (table), the rules of the tables themselves
//! (host/migrations).

use crate::chain::{Form, Row, TransferKind};
use crate::connection::Connection;
use crate::error::LedgerError;
use crate::limits;
use crate::table::{Neighbours, append, link_of};
use crate::writer::Transaction;
use polymeter_domain::{AccountId, Currency, Money, TransferId, derived_id};
use std::slice;
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

/// Takes back the whole of one posted transfer: the same amount between the same accounts, reversed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewContra {
    pub transfer_id: TransferId,
    /// The `post` or `book` row, or the reservation that was posted.
    pub of: TransferId,
    /// What it is for: a reversal's id.
    pub reference: Uuid,
    /// Milliseconds since 1970 UTC.
    pub at_ms: i64,
}

/// What moves at once, as one row of a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Posting {
    Book(NewTransfer),
    Contra(NewContra),
}

impl Posting {
    fn transfer_id(&self) -> TransferId {
        match self {
            Posting::Book(new) => new.transfer_id,
            Posting::Contra(new) => new.transfer_id,
        }
    }

    fn reference(&self) -> Uuid {
        match self {
            Posting::Book(new) => new.reference,
            Posting::Contra(new) => new.reference,
        }
    }
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
    let account_id = account_id(name, money.code());
    if tx.known_account(name) == Some(money.code()) {
        return Ok(account_id);
    }
    let kept: Option<String> = sqlx::query_scalar("select currency from account where name = $1")
        .bind(name)
        .fetch_optional(tx.connection())
        .await
        .map_err(LedgerError::storage("looking for an account"))?;
    match kept {
        Some(kept) if kept == money.code() => {
            tx.know_account(name, &kept);
            return Ok(account_id);
        }
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
    .execute(tx.connection())
    .await
    .map_err(LedgerError::storage("opening an account"))?;
    Ok(account_id)
}

/// Reserves: counts as pending on both accounts until posted or voided. Safe to repeat.
pub async fn pending(tx: &mut Transaction, new: &NewTransfer) -> Result<(), LedgerError> {
    pending_linked(tx, slice::from_ref(new)).await
}

/// Reserves several, as one link: they are posted or voided together. Safe to repeat as a whole.
pub async fn pending_linked(tx: &mut Transaction, all: &[NewTransfer]) -> Result<(), LedgerError> {
    check_link(all.iter().map(|new| new.reference))?;
    let followers = all.iter().skip(1).map(|new| Some(new.transfer_id)).chain([None]);
    for (new, next) in all.iter().zip(followers) {
        transfer(tx.connection(), TransferKind::Pending, new, next).await?;
    }
    Ok(())
}

/// Moves at once, without a reservation. Safe to repeat.
pub async fn book(tx: &mut Transaction, new: &NewTransfer) -> Result<(), LedgerError> {
    check_link([new.reference].into_iter())?;
    transfer(tx.connection(), TransferKind::Book, new, None).await
}

/// Takes back a posted transfer, which can be done once. Safe to repeat with the same `transfer_id`.
pub async fn contra(tx: &mut Transaction, new: &NewContra) -> Result<(), LedgerError> {
    take_back(tx.connection(), new, None).await
}

/// Moves several amounts at once, as one link: all of them or none. Safe to repeat as a whole.
pub async fn book_linked(tx: &mut Transaction, all: &[Posting]) -> Result<(), LedgerError> {
    check_link(all.iter().map(Posting::reference))?;
    let followers = all.iter().skip(1).map(|new| Some(new.transfer_id())).chain([None]);
    for (posting, next) in all.iter().zip(followers) {
        match posting {
            Posting::Book(new) => transfer(tx.connection(), TransferKind::Book, new, next).await?,
            Posting::Contra(new) => take_back(tx.connection(), new, next).await?,
        }
    }
    Ok(())
}

/// Posts the whole of a pending transfer, as a new row; of the first of a link, the whole link. Safe to
/// repeat with the same `transfer_id`.
pub async fn post(
    tx: &mut Transaction,
    transfer_id: TransferId,
    pending: TransferId,
    at_ms: i64,
) -> Result<(), LedgerError> {
    resolve(tx.connection(), TransferKind::Post, transfer_id, pending, at_ms).await
}

/// Voids a pending transfer, as a new row; of the first of a link, the whole link. Safe to repeat with
/// the same `transfer_id`.
pub async fn void(
    tx: &mut Transaction,
    transfer_id: TransferId,
    pending: TransferId,
    at_ms: i64,
) -> Result<(), LedgerError> {
    resolve(tx.connection(), TransferKind::Void, transfer_id, pending, at_ms).await
}

fn check_link(references: impl ExactSizeIterator<Item = Uuid>) -> Result<(), LedgerError> {
    let rows = references.len();
    let is_bounded = i64::try_from(rows).is_ok_and(|rows| rows <= limits::LINK_ROWS_MAX);
    if rows == 0 || !is_bounded {
        return Err(LedgerError::BadLink("it has 1 to 1000 transfers"));
    }
    let mut references = references;
    let first = references.next();
    if references.any(|reference| Some(reference) != first) {
        return Err(LedgerError::BadLink("its transfers have one reference"));
    }
    Ok(())
}

async fn transfer(
    connection: &mut Connection,
    kind: TransferKind,
    new: &NewTransfer,
    next: Option<TransferId>,
) -> Result<(), LedgerError> {
    let NewTransfer { transfer_id, debit, credit, amount, reference, at_ms } = new.clone();
    if amount.minor() <= 0 {
        return Err(LedgerError::BadAmount { transfer_id, amount_minor: amount.minor() });
    }
    if debit == credit {
        return Err(LedgerError::SameAccount(transfer_id));
    }
    let near = Neighbours::of(connection, transfer_id, None).await?;
    let row = Row {
        form: Form::Second,
        sequence: near.next_sequence(),
        transfer_id,
        kind,
        debit,
        credit,
        amount,
        pending: None,
        reference,
        at_ms,
        contra: None,
        next,
    };
    append(connection, &near, row).await
}

async fn take_back(
    connection: &mut Connection,
    new: &NewContra,
    next: Option<TransferId>,
) -> Result<(), LedgerError> {
    let NewContra { transfer_id, of, reference, at_ms } = *new;
    let mut near = Neighbours::of(connection, transfer_id, Some(of)).await?;
    let moves = |row: &&Row| matches!(row.kind, TransferKind::Post | TransferKind::Book);
    // A reservation stands for the row that posted it.
    let posted = near.resolving(of).or_else(|| near.with_id(of)).filter(moves).cloned();
    let Some(posted) = posted else { return Err(LedgerError::NotPosted(of)) };
    if posted.transfer_id != of {
        near = Neighbours::of(connection, transfer_id, Some(posted.transfer_id)).await?;
    }
    if let Some(by) = near.taking_back(posted.transfer_id)
        && near.with_id(transfer_id).is_none()
    {
        return Err(LedgerError::AlreadyTakenBack { of, by: by.transfer_id });
    }
    let row = Row {
        form: Form::Second,
        sequence: near.next_sequence(),
        transfer_id,
        kind: TransferKind::Contra,
        debit: posted.credit,
        credit: posted.debit,
        amount: posted.amount,
        pending: None,
        reference,
        at_ms,
        contra: Some(posted.transfer_id),
        next,
    };
    append(connection, &near, row).await
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
    if near.is_led_to(pending) {
        return Err(LedgerError::PartOfLink(pending));
    }
    if let Some(by) = near.resolving(pending)
        && near.with_id(transfer_id).is_none()
    {
        return Err(LedgerError::AlreadyResolved(pending, by.kind.participle()));
    }
    let mut near = Some(near);
    let mut ending = transfer_id;
    for (place, reserved) in (1..).zip(link_of(connection, reserved).await?) {
        let near = match near.take() {
            Some(near) => near,
            None => Neighbours::of(connection, ending, Some(reserved.transfer_id)).await?,
        };
        let next = reserved.next.map(|_| linked_id(transfer_id, place));
        let row = Row {
            form: Form::Second,
            sequence: near.next_sequence(),
            transfer_id: ending,
            kind,
            pending: Some(reserved.transfer_id),
            at_ms,
            next,
            ..reserved
        };
        append(connection, &near, row).await?;
        ending = next.unwrap_or(ending);
    }
    Ok(())
}

/// What a name and a currency are booked under: derived from "polymeter-account-1", the name and the
/// currency, a line feed after each, so that the id that the transfers' hashes cover also vouches for
/// the name.
pub(crate) fn account_id(name: &str, currency: &str) -> AccountId {
    AccountId::new(derived_id(&format!("polymeter-account-1\n{name}\n{currency}\n")))
}

/// The id of the post or void of a link's next place: the caller names the first alone.
fn linked_id(first: TransferId, place: u32) -> TransferId {
    TransferId::new(derived_id(&format!("polymeter-link-1\n{first}\n{place}\n")))
}

pub(crate) fn is_account_name(name: &str) -> bool {
    let chars = name.chars().count();
    (1..=limits::ACCOUNT_NAME_CHARS_MAX).contains(&chars) && !name.chars().any(char::is_control)
}

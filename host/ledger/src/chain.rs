//! One transfer row and the hash that ties it to the row before. Pure.
//!
//! The canonical form is text that an auditor can rebuild with `printf` and `sha256sum`: fourteen
//! lines, each ended by a line feed, in this order:
//!
//! ```text
//! polymeter-transfer-2     the name of this form
//! chain_hash               of the row before; 64 zeros before row 1
//! sequence                 decimal
//! transfer_id              36 characters, lower case, like all UUIDs here
//! kind                     pending, post, void, book or contra
//! debit_account_id
//! credit_account_id
//! amount_minor             decimal
//! currency
//! pending_id               or `-`
//! reference
//! at_ms                    decimal
//! contra_id                or `-`
//! next_id                  or `-`
//! ```
//!
//! Rows from before links (`form` 1) are hashed over the first twelve lines, under the name
//! `polymeter-transfer-1`: a new form is a new name, and no row is ever hashed anew.
//!
//! Invariant: no field can hold a line feed (all are typed), so two rows never share a form.
//! Not here: a key. The chain shows changes to whoever holds a later head; it does not stop someone
//! who rewrites every row from the changed one on. Against that stands a head kept elsewhere.

use polymeter_domain::{AccountId, Money, TransferId};
use sha2::{Digest, Sha256};
use std::fmt::Write;
use uuid::Uuid;

/// What stands for "the row before" row 1.
pub(crate) const GENESIS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// What a row does to both of its accounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransferKind {
    /// Reserves the amount.
    Pending,
    /// Ends a reservation: the amount has moved.
    Post,
    /// Ends a reservation: nothing has moved.
    Void,
    /// Has moved at once, without a reservation.
    Book,
    /// Takes back a posted row.
    Contra,
}

impl TransferKind {
    /// As it is stored and hashed.
    pub fn name(self) -> &'static str {
        match self {
            TransferKind::Pending => "pending",
            TransferKind::Post => "post",
            TransferKind::Void => "void",
            TransferKind::Book => "book",
            TransferKind::Contra => "contra",
        }
    }

    /// What has become of the reservation.
    pub(crate) fn participle(self) -> &'static str {
        match self {
            TransferKind::Pending => "reserved",
            TransferKind::Post => "posted",
            TransferKind::Void => "voided",
            TransferKind::Book => "booked",
            TransferKind::Contra => "taken back",
        }
    }

    /// Whether it ends a reservation.
    pub(crate) fn ends(self) -> bool {
        matches!(self, TransferKind::Post | TransferKind::Void)
    }

    /// Whether a row of this kind may follow one of `earlier` in a link.
    pub(crate) fn follows(self, earlier: TransferKind) -> bool {
        let at_once = |kind| matches!(kind, TransferKind::Book | TransferKind::Contra);
        self == earlier || at_once(self) && at_once(earlier)
    }

    pub(crate) fn from_name(name: &str) -> Option<TransferKind> {
        use TransferKind::{Book, Contra, Pending, Post, Void};
        [Pending, Post, Void, Book, Contra].into_iter().find(|kind| kind.name() == name)
    }
}

/// Over which lines a row's hash is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// From before links.
    First,
    Second,
}

impl Form {
    pub(crate) fn number(self) -> i64 {
        match self {
            Form::First => 1,
            Form::Second => 2,
        }
    }

    pub(crate) fn from_number(number: i64) -> Option<Form> {
        [Form::First, Form::Second].into_iter().find(|form| form.number() == number)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) form: Form,
    pub(crate) sequence: i64,
    pub(crate) transfer_id: TransferId,
    pub(crate) kind: TransferKind,
    pub(crate) debit: AccountId,
    pub(crate) credit: AccountId,
    pub(crate) amount: Money,
    pub(crate) pending: Option<TransferId>,
    pub(crate) reference: Uuid,
    pub(crate) at_ms: i64,
    /// The posted row that this row takes back.
    pub(crate) contra: Option<TransferId>,
    /// The row of the same link that follows at once.
    pub(crate) next: Option<TransferId>,
}

impl Row {
    /// The chain hash of this row after a row with the hash `previous`: 64 hex digits, lower case.
    pub(crate) fn chain_hash(&self, previous: &str) -> String {
        hex(&Sha256::digest(self.canonical(previous)))
    }

    fn canonical(&self, previous: &str) -> String {
        let Row { form, sequence, transfer_id, kind, debit, credit, amount, .. } = self;
        let (form, kind, minor) = (form.number(), kind.name(), amount.minor());
        let currency = amount.currency();
        let currency = currency.code();
        let or_dash =
            |id: Option<TransferId>| id.map_or_else(|| "-".to_owned(), |id| id.to_string());
        let pending = or_dash(self.pending);
        let (reference, at_ms) = (self.reference, self.at_ms);
        let first = format!(
            "polymeter-transfer-{form}\n{previous}\n{sequence}\n{transfer_id}\n{kind}\n{debit}\n\
             {credit}\n{minor}\n{currency}\n{pending}\n{reference}\n{at_ms}\n"
        );
        match self.form {
            Form::First => first,
            Form::Second => format!("{first}{}\n{}\n", or_dash(self.contra), or_dash(self.next)),
        }
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a String cannot fail");
        text
    })
}

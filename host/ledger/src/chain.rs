//! One transfer row and the hash that ties it to the row before. Pure.
//!
//! The canonical form is text that an auditor can rebuild with `printf` and `sha256sum`: twelve
//! lines, each ended by a line feed, in this order:
//!
//! ```text
//! polymeter-transfer-1     the name of this form
//! chain_hash               of the row before; 64 zeros before row 1
//! sequence                 decimal
//! transfer_id              36 characters, lower case, like all UUIDs here
//! kind                     pending, post or void
//! debit_account_id
//! credit_account_id
//! amount_minor             decimal
//! currency
//! pending_id               or `-`
//! reference
//! at_ms                    decimal
//! ```
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
}

impl TransferKind {
    /// As it is stored and hashed.
    pub fn name(self) -> &'static str {
        match self {
            TransferKind::Pending => "pending",
            TransferKind::Post => "post",
            TransferKind::Void => "void",
        }
    }

    /// What has become of the reservation.
    pub(crate) fn participle(self) -> &'static str {
        match self {
            TransferKind::Pending => "reserved",
            TransferKind::Post => "posted",
            TransferKind::Void => "voided",
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<TransferKind> {
        [TransferKind::Pending, TransferKind::Post, TransferKind::Void]
            .into_iter()
            .find(|kind| kind.name() == name)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) sequence: i64,
    pub(crate) transfer_id: TransferId,
    pub(crate) kind: TransferKind,
    pub(crate) debit: AccountId,
    pub(crate) credit: AccountId,
    pub(crate) amount: Money,
    pub(crate) pending: Option<TransferId>,
    pub(crate) reference: Uuid,
    pub(crate) at_ms: i64,
}

impl Row {
    /// The chain hash of this row after a row with the hash `previous`: 64 hex digits, lower case.
    pub(crate) fn chain_hash(&self, previous: &str) -> String {
        hex(&Sha256::digest(self.canonical(previous)))
    }

    fn canonical(&self, previous: &str) -> String {
        let Row { sequence, transfer_id, kind, debit, credit, amount, .. } = self;
        let (kind, minor, currency) = (kind.name(), amount.minor(), amount.currency());
        let currency = currency.code();
        let pending = self.pending.map_or_else(|| "-".to_owned(), |id| id.to_string());
        let (reference, at_ms) = (self.reference, self.at_ms);
        format!(
            "polymeter-transfer-1\n{previous}\n{sequence}\n{transfer_id}\n{kind}\n{debit}\n\
             {credit}\n{minor}\n{currency}\n{pending}\n{reference}\n{at_ms}\n"
        )
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a String cannot fail");
        text
    })
}

//! What an operator may do. Rights are given one by one; a role is only a set to start from.
//!
//! Not here: which act needs which right (the tables of routes in host/server).

use crate::error::{Result, bad_column};
use std::collections::BTreeSet;

/// What an operator may do beyond looking at meters, customers, tariffs and sales, which every
/// operator may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Right {
    /// Sell, read a meter, settle a sale, take a shift.
    Sell,
    /// Give money back and take wrong sales back.
    Refund,
    /// Be the second person of what needs two.
    Approve,
    /// Customers, meters and their accounts.
    Customers,
    /// Disconnect and connect.
    Supply,
    /// Write parameters and settings of devices.
    Settings,
    Tariffs,
    /// Charges, bills, allocations.
    Billing,
    /// Trial balance, day close, backups.
    Ledger,
    Drivers,
    /// Operators and the audit trail.
    Operators,
}

pub type Rights = BTreeSet<Right>;

impl Right {
    pub const ALL: [Right; 11] = [
        Right::Sell,
        Right::Refund,
        Right::Approve,
        Right::Customers,
        Right::Supply,
        Right::Settings,
        Right::Tariffs,
        Right::Billing,
        Right::Ledger,
        Right::Drivers,
        Right::Operators,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Right::Sell => "sell",
            Right::Refund => "refund",
            Right::Approve => "approve",
            Right::Customers => "customers",
            Right::Supply => "supply",
            Right::Settings => "settings",
            Right::Tariffs => "tariffs",
            Right::Billing => "billing",
            Right::Ledger => "ledger",
            Right::Drivers => "drivers",
            Right::Operators => "operators",
        }
    }

    pub fn from_name(name: &str) -> Option<Right> {
        Right::ALL.into_iter().find(|right| right.name() == name)
    }
}

/// As the database joins them, with commas.
pub(super) fn from_stored(names: &str) -> Result<Rights> {
    let names = names.split(',').filter(|name| !name.is_empty());
    names.map(|name| Right::from_name(name).ok_or_else(|| bad_column("name", name))).collect()
}

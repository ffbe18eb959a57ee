//! What a device's purse holds, what is put in, and what the device remembers of it.

use std::fmt;

/// What a purse counts. The numbers are the contract's codes (`credit.quantity`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Quantity {
    /// Minor units of the meter's currency.
    Money,
    /// Wh.
    Energy,
    /// Litres.
    Volume,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Credit {
    pub quantity: Quantity,
    pub amount: u64,
}

/// The device's own counter of purchases (购电次数).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PurchaseCount(u32);

impl PurchaseCount {
    pub const fn new(count: u32) -> Self {
        Self(count)
    }
    pub const fn get(self) -> u32 {
        self.0
    }
    /// `None` where the device's counter is at its end.
    pub fn next(self) -> Option<Self> {
        self.0.checked_add(1).map(Self)
    }
    pub fn follows(self, earlier: Self) -> bool {
        earlier.next() == Some(self)
    }
}

impl fmt::Display for PurchaseCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A credit under its purchase count: what a sale asks a device to take, and what the device records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Purchase {
    pub count: PurchaseCount,
    pub credit: Credit,
}

/// A device's yes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    pub count: PurchaseCount,
    /// What the purse held afterwards, where the device said so.
    pub balance: Option<Credit>,
}

/// A device's no. `code` is the contract's `refusal.code`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub code: u16,
    pub detail: String,
    pub device_code: Option<String>,
}

impl Refusal {
    const ALREADY_TAKEN: u16 = 2;
    const WRONG_COUNT: u16 = 6;

    /// The device had taken it before: this very purchase, or this very token.
    pub fn is_taken_before(&self) -> bool {
        self.code == Self::ALREADY_TAKEN
    }

    /// The device disagrees about the count, so an earlier copy of this very purchase may have
    /// landed: that is no proof of a refusal.
    pub fn is_about_the_count(&self) -> bool {
        self.is_taken_before() || self.code == Self::WRONG_COUNT
    }
}

/// What a device remembers, asked about one purchase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    pub count: PurchaseCount,
    /// The record of the purchase asked about, where the device still has one.
    pub purchase: Option<Purchase>,
    pub balance: Option<Credit>,
}

//! The box's own list of purchases: the proof of a sale.
//!
//! Record (the order of the manual, its bytes chosen): time YY MM DD hh mm ss in binary, purchase
//! count u16, amount u32, balance after it i32, total bought u32, money in fen.

use crate::registers::{PURCHASE_REGISTERS, PURCHASES, PURCHASES_KEPT};
use crate::user::User;
use polymeter_driver::{Credit, DriverError, Host, LocalTime, Purchase, codes};
use polymeter_modbus::time::of_century;
use polymeter_modbus::{Block, exchange};

/// One entry of the list.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Record {
    /// `None` where the box wrote no possible time.
    pub time: Option<LocalTime>,
    pub count: u16,
    pub amount: u32,
    pub balance: i32,
    pub bought_total: u32,
}

impl Record {
    /// For people: what the newest purchase is, where another was expected.
    pub fn described(&self) -> String {
        let Self { count, amount, .. } = self;
        format!("the newest purchase in the box is number {count} of {amount} fen")
    }

    pub fn purchase(&self) -> Purchase {
        let amount = u64::from(self.amount);
        let credit = Credit { quantity: codes::quantity::MONEY, amount };
        Purchase { count: u32::from(self.count), credit }
    }
}

/// A balance as the contract's credit, which knows no debts: below zero the purse holds nothing.
pub fn held(balance: i32) -> Credit {
    let amount = u64::from(balance.max(0).unsigned_abs());
    Credit { quantity: codes::quantity::MONEY, amount }
}

/// Entry `age` of the list, 0 the latest. `None`: nothing stands there.
pub fn read(host: &mut dyn Host, user: &User, age: u16) -> Result<Option<Record>, DriverError> {
    let start = PURCHASES.saturating_add(age);
    let words = exchange::read(host, user.unit, Block { start, count: PURCHASE_REGISTERS })?;
    if words.is_zero() || words.is_erased() {
        return Ok(None);
    }
    let at = |offset: u16| start.saturating_add(offset);
    let [year, month] = words.word(at(0))?.to_be_bytes();
    let [day, hour] = words.word(at(1))?.to_be_bytes();
    let [minute, second] = words.word(at(2))?.to_be_bytes();
    Ok(Some(Record {
        time: of_century([year, month, day, hour, minute, second]),
        count: words.word(at(3))?,
        amount: words.long(at(4))?,
        balance: words.signed_long(at(6))?,
        bought_total: words.long(at(8))?,
    }))
}

/// The entry with this purchase count. Counts fall from one entry to the next, so the search ends
/// where they have fallen below it, at the latest after the list's 20.
pub fn find(host: &mut dyn Host, user: &User, count: u16) -> Result<Option<Record>, DriverError> {
    for age in 0..PURCHASES_KEPT {
        match read(host, user, age)? {
            Some(record) if record.count == count => return Ok(Some(record)),
            Some(record) if record.count > count => {}
            Some(_) | None => return Ok(None),
        }
    }
    Ok(None)
}

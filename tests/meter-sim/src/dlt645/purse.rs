//! The purse of a DL/T 645 meter: money, overdraft, purchase count and the last purchases, with the
//! rules of protocols.md 1.6 about what may be credited. It also keeps what no meter tells: how
//! much was ever credited, the oracle of tests.

use std::collections::VecDeque;

use jiff::civil::DateTime;

use crate::device::{Credit, Purchase};

/// Purchases that the meter remembers.
const PURCHASES_MAX: usize = 10;
/// XXXXXX.XX in fen.
const MONEY_FEN_MAX: u64 = 99_999_999;

/// Error words of a C3H reply (protocols.md 1.6).
pub mod word {
    pub const OTHER: u16 = 0x0001;
    pub const REPEATED: u16 = 0x0002;
    pub const ESAM: u16 = 0x0004;
    pub const AUTHENTICATION: u16 = 0x0008;
    pub const CUSTOMER: u16 = 0x0010;
    pub const COUNT: u16 = 0x0020;
    pub const HOARDING: u16 = 0x0040;
    pub const SUSPENDED: u16 = 0x0100;
}

/// What a sale or an opening asks for, its MACs already checked.
#[derive(Debug, Clone, Copy)]
pub struct Order {
    pub amount_fen: u32,
    pub count: u32,
    /// In natural order.
    pub customer: [u8; 6],
}

#[derive(Debug, Clone, Default)]
pub struct Purse {
    pub money_fen: u32,
    pub overdraft_fen: u32,
    pub count: u32,
    pub customer: Option<[u8; 6]>,
    /// The latest first.
    pub purchases: VecDeque<Purchase>,
    pub cumulative_fen: u64,
    /// All credit ever taken from the line; clearing the meter does not touch it.
    pub credited_fen: u64,
    pub credits: u64,
    /// All credit ever given back over the line.
    pub taken_back_fen: u64,
}

impl Purse {
    /// Opens the account, or sees that the same opening was already done.
    pub fn open(&mut self, order: Order, limit_fen: u32, at: DateTime) -> Result<Credit, u16> {
        if self.customer.is_some_and(|customer| customer != order.customer) {
            return Err(word::CUSTOMER);
        }
        if self.count > 1 || order.count > 1 || (order.count == 0 && order.amount_fen > 0) {
            return Err(word::COUNT);
        }
        if self.customer.is_some() && order.count <= self.count {
            let taken = self.purchases.front().map_or(0, |last| last.amount_fen);
            let same = order.count == self.count && order.amount_fen == taken;
            return if same { Ok(Credit::default()) } else { Err(word::REPEATED) };
        }
        if order.count < self.count {
            return Err(word::COUNT);
        }
        if order.count == self.count {
            // An opening without money, or of a meter whose count already stood at 1.
            if order.amount_fen > 0 {
                return Err(word::REPEATED);
            }
            self.customer = Some(order.customer);
            return Ok(Credit::default());
        }
        let credit = self.credit(order, limit_fen, at)?;
        self.customer = Some(order.customer);
        Ok(credit)
    }

    /// Takes a sale.
    pub fn recharge(&mut self, order: Order, limit_fen: u32, at: DateTime) -> Result<Credit, u16> {
        self.check_next(order)?;
        self.credit(order, limit_fen, at)
    }

    /// Gives credit back: all of it or nothing, and like a sale only with the next count.
    pub fn refund(&mut self, order: Order, at: DateTime) -> Result<(), u16> {
        self.check_next(order)?;
        let before_fen = self.money_fen;
        self.money_fen = before_fen.checked_sub(order.amount_fen).ok_or(word::OTHER)?;
        self.count = order.count;
        self.cumulative_fen = self.cumulative_fen.saturating_sub(u64::from(order.amount_fen));
        self.list(order.amount_fen, before_fen, at);
        self.taken_back_fen += u64::from(order.amount_fen);
        Ok(())
    }

    /// Only for the stored customer and only with the next count.
    fn check_next(&self, order: Order) -> Result<(), u16> {
        if self.customer != Some(order.customer) {
            return Err(word::CUSTOMER);
        }
        match order.count.checked_sub(self.count) {
            None | Some(0) => Err(word::REPEATED),
            Some(1) => Ok(()),
            Some(_) => Err(word::COUNT),
        }
    }

    /// Pays the overdraft first, then fills the purse.
    fn credit(&mut self, order: Order, limit_fen: u32, at: DateTime) -> Result<Credit, u16> {
        let before_fen = self.money_fen;
        let paid_back = order.amount_fen.min(self.overdraft_fen);
        let after = u64::from(before_fen) + u64::from(order.amount_fen - paid_back);
        if after > MONEY_FEN_MAX || (limit_fen > 0 && after > u64::from(limit_fen)) {
            return Err(word::HOARDING);
        }
        self.overdraft_fen -= paid_back;
        self.money_fen = u32::try_from(after).map_err(|_| word::HOARDING)?;
        self.count = order.count;
        self.remember(order.amount_fen, before_fen, at);
        self.credited_fen += u64::from(order.amount_fen);
        self.credits += 1;
        Ok(Credit { count: order.count, amount_fen: order.amount_fen, applied: true })
    }

    /// Writes the purchase that led to the present count and money into the list.
    pub fn remember(&mut self, amount_fen: u32, before_fen: u32, at: DateTime) {
        self.cumulative_fen += u64::from(amount_fen);
        self.list(amount_fen, before_fen, at);
    }

    fn list(&mut self, amount_fen: u32, before_fen: u32, at: DateTime) {
        self.purchases.push_front(Purchase {
            at,
            count: self.count,
            amount_fen,
            before_fen: i64::from(before_fen),
            after_fen: i64::from(self.money_fen),
            cumulative_fen: self.cumulative_fen,
        });
        self.purchases.truncate(PURCHASES_MAX);
    }

    pub fn spend(&mut self, cost_fen: u32) {
        let from_money = cost_fen.min(self.money_fen);
        self.money_fen -= from_money;
        self.overdraft_fen = self.overdraft_fen.saturating_add(cost_fen - from_money);
    }

    /// Nothing left, and no more to be overdrawn.
    pub fn exhausted(&self, overdraft_limit_fen: u32) -> bool {
        self.money_fen == 0 && self.overdraft_fen >= overdraft_limit_fen
    }

    /// As if somebody else had sold into it, or another meter had taken its place: it stands at `count`,
    /// its one purchase being of `last_fen`. Nothing of that came over the line.
    pub fn become_another(&mut self, count: u32, last_fen: u32, at: DateTime) {
        self.count = count;
        self.purchases.clear();
        if count > 0 {
            self.remember(last_fen, self.money_fen.saturating_sub(last_fen), at);
        }
    }

    /// Back to an unopened purse; the oracle's own sums stay.
    pub fn clear(&mut self) {
        let Self { credited_fen, credits, taken_back_fen, .. } = *self;
        *self = Self { credited_fen, credits, taken_back_fen, ..Self::default() };
    }
}

//! Selling credit, and the proof of it.
//!
//! Invariant: one frame adds credit, once per call. The box acknowledges a repeated count without
//! acting on it, so its acknowledgement proves nothing; only its list of purchases does.

use crate::parameters::{PREPAID_MODE, READ_BACK_TRIES, number};
use crate::record::{self, Record};
use crate::snapshot;
use crate::user::User;
use polymeter_codec::modbus::{Registers, Request};
use polymeter_driver::codes::{self, refusal};
use polymeter_driver::{
    Call, DriverError, Evidence, Host, Opening, Order, Purchase, Receipt, Refusal, SellOutcome,
    Value,
};
use polymeter_modbus::{Written, exchange};

/// Opens by looking: the box has no register for a customer. With money, the opening is the sale
/// that makes the count 1, and refused on a box that has sold before: a second opening must not
/// credit twice.
pub fn open(
    host: &mut dyn Host,
    call: &Call,
    opening: &Opening,
) -> Result<SellOutcome, DriverError> {
    let user = User::parse(&call.address)?;
    let prepaid_mode = PREPAID_MODE.of(call)?;
    let asked = Purchase { count: opening.count, credit: opening.credit };
    let with_money = opening.credit.amount != 0;
    if with_money && let Err(refusal) = Sale::new(&asked) {
        return Ok(SellOutcome::Refused(refusal));
    }
    let mode = snapshot::mode(host, &user)?;
    if i64::from(mode) != prepaid_mode {
        let detail = format!("the box is not in prepaid mode: register 0908H reads {mode}");
        return Ok(SellOutcome::Refused(no(refusal::OTHER, detail)));
    }
    if with_money {
        return sell_to(host, call, &user, &asked);
    }
    record::read(host, &user, 0)?;
    let purse = purse(host, &user)?;
    Ok(SellOutcome::Confirmed(Receipt {
        count: u32::from(purse.count),
        balance: Some(record::held(purse.balance)),
        extras: Vec::new(),
    }))
}

pub fn sell(host: &mut dyn Host, call: &Call, order: &Order) -> Result<SellOutcome, DriverError> {
    let user = User::parse(&call.address)?;
    sell_to(host, call, &user, &order.purchase)
}

/// Evidence about purchase `count`, or about the last one. Reads only.
pub fn check(
    host: &mut dyn Host,
    call: &Call,
    count: Option<u32>,
) -> Result<Evidence, DriverError> {
    let user = User::parse(&call.address)?;
    let purse = purse(host, &user)?;
    let record = match count.map(u16::try_from) {
        None => record::read(host, &user, 0)?,
        Some(Ok(count @ 1..)) => record::find(host, &user, count)?,
        // The box counts to 65535 and from 1: it cannot hold a record of any other count.
        Some(Ok(0) | Err(_)) => None,
    };
    Ok(Evidence {
        count: u32::from(purse.count),
        purchase: record.map(|record| record.purchase()),
        balance: Some(record::held(purse.balance)),
    })
}

struct Purse {
    balance: i32,
    count: u16,
}

fn purse(host: &mut dyn Host, user: &User) -> Result<Purse, DriverError> {
    let words = exchange::read(host, user.unit, user.map.purse)?;
    if words.is_erased() {
        let detail = "balance and purchase count read all ones, which is erased memory";
        return Err(DriverError::new(codes::error::GARBLED, detail));
    }
    let balance = words.signed_long(user.map.balance)?;
    Ok(Purse { balance, count: words.word(user.map.purchase_count)? })
}

/// A purchase that fits the box's registers.
#[derive(Clone, Copy)]
struct Sale {
    count: u16,
    amount: u32,
}

impl Sale {
    fn new(purchase: &Purchase) -> Result<Self, Refusal> {
        if purchase.credit.quantity != codes::quantity::MONEY {
            return Err(no(refusal::BAD_VALUE, "the purse of this box holds money"));
        }
        let Some(amount) = u32::try_from(purchase.credit.amount).ok().filter(|fen| *fen > 0) else {
            let detail = format!("an amount is 1 to {} fen", u32::MAX);
            return Err(no(refusal::BAD_VALUE, detail));
        };
        let Some(count) = u16::try_from(purchase.count).ok().filter(|count| *count > 0) else {
            let detail = format!("a purchase count is 1 to {}", u16::MAX);
            return Err(no(refusal::BAD_VALUE, detail));
        };
        Ok(Self { count, amount })
    }

    fn is(&self, record: &Record) -> bool {
        (self.count, self.amount) == (record.count, record.amount)
    }

    /// Why nothing should be written: the box's list already reaches this count.
    fn objection(&self, newest: &Record) -> Option<Refusal> {
        if self.is(newest) {
            let detail = "the newest purchase in the box already has this count and amount";
            return Some(no(refusal::ALREADY_TAKEN, detail));
        }
        let reached = newest.count >= self.count;
        reached.then(|| no(refusal::WRONG_COUNT, newest.described()))
    }
}

fn sell_to(
    host: &mut dyn Host,
    call: &Call,
    user: &User,
    purchase: &Purchase,
) -> Result<SellOutcome, DriverError> {
    let tries = READ_BACK_TRIES.of(call)?;
    let sale = match Sale::new(purchase) {
        Ok(sale) => sale,
        Err(refusal) => return Ok(SellOutcome::Refused(refusal)),
    };
    // Without this look, a copy of the sale that landed earlier would be taken for this one.
    if let Some(newest) = record::read(host, user, 0)?
        && let Some(refusal) = sale.objection(&newest)
    {
        return Ok(SellOutcome::Refused(refusal));
    }
    let [a, b, c, d] = sale.amount.to_be_bytes();
    let [high, low] = sale.count.to_be_bytes();
    let bytes = [a, b, c, d, high, low];
    let Some(values) = Registers::new(&bytes) else {
        return Err(DriverError::new(codes::error::BAD_PARAMETER, "a sale is three registers"));
    };
    let request = Request::WriteMultiple { start: user.map.sale, values };
    let written = exchange::write(host, user.unit, &request);
    if let Written::No(exception) = written {
        return Ok(SellOutcome::Refused(refused(host, user, &sale, exception)));
    }
    Ok(proved(host, user, &sale, &written, tries))
}

/// Looks for the sale in the box's list, after a write of any ending but a clear no.
fn proved(
    host: &mut dyn Host,
    user: &User,
    sale: &Sale,
    written: &Written,
    tries: i64,
) -> SellOutcome {
    let mut seen = String::new();
    for _ in 0..tries {
        seen = match record::read(host, user, 0) {
            Ok(Some(newest)) if sale.is(&newest) => {
                let acknowledged = matches!(written, Written::Acknowledged);
                return SellOutcome::Confirmed(receipt(&newest, acknowledged));
            }
            Ok(Some(newest)) => newest.described(),
            Ok(None) => "the box's list of purchases is empty".to_owned(),
            Err(error) => {
                format!("the box's list of purchases could not be read: {}", error.detail)
            }
        };
    }
    SellOutcome::Unknown(exchange::unproved(written, &seen))
}

fn receipt(record: &Record, acknowledged: bool) -> Receipt {
    let mut extras = vec![
        ("acknowledged".to_owned(), Value::Flag(acknowledged)),
        ("bought-total".to_owned(), number(i64::from(record.bought_total), -2)),
    ];
    if record.balance < 0 {
        let owed = i64::from(record.balance).saturating_neg();
        extras.push(("overdrawn".to_owned(), number(owed, -2)));
    }
    if let Some(time) = record.time {
        extras.push(("time".to_owned(), Value::Time(time)));
    }
    Receipt { count: u32::from(record.count), balance: Some(record::held(record.balance)), extras }
}

/// The box's no to a sale. Exception 3 is its answer to a bad value as well as to a wrong count:
/// its own count tells them apart, and where that cannot be read the count must be suspected,
/// because a refusal about the count settles nothing.
fn refused(host: &mut dyn Host, user: &User, sale: &Sale, exception: u8) -> Refusal {
    let name = exchange::exception_name(exception);
    let (code, detail) = match exception {
        1 => (refusal::NO_SUCH_FUNCTION, name.to_owned()),
        3 => match purse(host, user) {
            Ok(purse) if purse.count.checked_add(1) == Some(sale.count) => {
                (refusal::BAD_VALUE, name.to_owned())
            }
            Ok(purse) => {
                (refusal::WRONG_COUNT, format!("{name}; the box's count is {}", purse.count))
            }
            Err(error) => {
                (refusal::WRONG_COUNT, format!("{name}; the box's count: {}", error.detail))
            }
        },
        _ => (refusal::OTHER, name.to_owned()),
    };
    Refusal { code, detail, device_code: exchange::device_code(exception) }
}

fn no(code: u16, detail: impl Into<String>) -> Refusal {
    Refusal { code, detail: detail.into(), device_code: None }
}

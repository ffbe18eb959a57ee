//! Opening, selling and clearing, and what the meter remembers of it.
//!
//! Invariant: one frame that adds credit in a call. It is never sent again: after silence the meter's
//! own record is asked, and where that proves nothing the answer is `unknown`.

use crate::exchange::{Answer, address, ask, bad, no_data, refused};
use crate::frame::numbers;
use polymeter_driver::codes::{error, quantity};
use polymeter_driver::{
    Call, Credit, DriverError, Evidence, Host, Key, Opening, Order, Purchase, Receipt, SellOutcome,
};

/// The vault's label of the key, and HMAC-SHA-256.
const KEY: &str = "sale";
const HMAC_SHA_256: u16 = 2;
/// How often a question that changes nothing is asked.
const LOOKS: usize = 2;

pub fn open(
    host: &mut dyn Host,
    call: &Call,
    opening: &Opening,
) -> Result<SellOutcome, DriverError> {
    let asked = Purchase { count: opening.count, credit: opening.credit };
    add(host, call, 'O', &opening.customer_number, &asked)
}

pub fn sell(host: &mut dyn Host, call: &Call, order: &Order) -> Result<SellOutcome, DriverError> {
    add(host, call, 'S', &order.customer_number, &order.purchase)
}

/// The one frame that adds credit, then a look at what the meter has recorded.
fn add(
    host: &mut dyn Host,
    call: &Call,
    letter: char,
    customer: &str,
    asked: &Purchase,
) -> Result<SellOutcome, DriverError> {
    let address = address(call)?;
    let data = fields(customer, asked)?;
    let mac = mac(host, address, letter, &data)?;
    // From here on credit may be in the meter: no error leaves this function, only an outcome.
    let answer = ask(host, address, letter, &format!("{data},{mac}"));
    let accepted = match answer {
        Ok(Answer::No(code)) => return Ok(SellOutcome::Refused(refused(code))),
        Ok(Answer::Yes(_)) => true,
        Err(_) => false,
    };
    let seen = match look(host, address) {
        Ok(record) if record.is(asked) && (accepted || asked.credit.amount > 0) => {
            return Ok(SellOutcome::Confirmed(Receipt {
                count: record.count,
                balance: Some(money(record.balance)),
                extras: Vec::new(),
            }));
        }
        Ok(record) => format!("its count is {}", record.count),
        Err(error) => format!("its record could not be read: {}", error.detail),
    };
    let accepted = if accepted { "accepted the purchase" } else { "did not answer" };
    Ok(SellOutcome::Unknown(format!("the meter {accepted}, and {seen}")))
}

/// Customer (12), count (5), fen (8).
fn fields(customer: &str, asked: &Purchase) -> Result<String, DriverError> {
    if asked.credit.quantity != quantity::MONEY {
        return Err(bad("this meter's purse holds money"));
    }
    if customer.len() > 12 || !customer.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(bad("a customer number is 12 digits at most"));
    }
    let Purchase { count, credit: Credit { amount, .. } } = asked;
    if *count > 99_999 || *amount > 99_999_999 {
        return Err(bad("a count has 5 digits and an amount 8"));
    }
    Ok(format!("{customer:0>12},{count:05},{amount:08}"))
}

/// The first four bytes of the HMAC over address, letter and data.
fn mac(
    host: &mut dyn Host,
    address: &str,
    letter: char,
    data: &str,
) -> Result<String, DriverError> {
    let key = Key { label: KEY.to_owned(), path: Vec::new() };
    let message = format!("{address}{letter}{data}");
    let mac = host.mac(&key, HMAC_SHA_256, &[], message.as_bytes())?;
    let Some(first) = mac.first_chunk::<4>() else {
        return Err(DriverError::new(error::VAULT, "a MAC of less than four bytes"));
    };
    Ok(first.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Empties the purse. The meter's yes alone would do, and its record makes sure.
pub fn clear(host: &mut dyn Host, call: &Call) -> Result<SellOutcome, DriverError> {
    let address = address(call)?;
    let mac = mac(host, address, 'K', "")?;
    match ask(host, address, 'K', &mac) {
        Ok(Answer::Yes(_)) => {}
        Ok(Answer::No(code)) => return Ok(SellOutcome::Refused(refused(code))),
        Err(lost) => return Ok(SellOutcome::Unknown(format!("no answer: {}", lost.detail))),
    }
    Ok(match look(host, address) {
        Ok(Record { count: 0, last: 0, balance: 0 }) => SellOutcome::Confirmed(Receipt {
            count: 0,
            balance: Some(money(0)),
            extras: Vec::new(),
        }),
        Ok(_) => SellOutcome::Unknown("the meter accepted, but is not empty".to_owned()),
        Err(error) => SellOutcome::Unknown(format!("the meter accepted, but: {}", error.detail)),
    })
}

/// Evidence about purchase `count`, or about the last one. The meter remembers its last one only.
pub fn check(
    host: &mut dyn Host,
    call: &Call,
    count: Option<u32>,
) -> Result<Evidence, DriverError> {
    let record = look(host, address(call)?)?;
    let asked = record.count > 0 && count.is_none_or(|count| count == record.count);
    let last = Purchase { count: record.count, credit: money(record.last) };
    Ok(Evidence {
        count: record.count,
        purchase: asked.then_some(last),
        balance: Some(money(record.balance)),
    })
}

/// What the meter answers to `C`.
#[derive(Debug, PartialEq, Eq)]
struct Record {
    count: u32,
    last: u64,
    balance: u64,
}

impl Record {
    fn is(&self, asked: &Purchase) -> bool {
        (self.count, self.last) == (asked.count, asked.credit.amount)
    }
}

/// Asks for the record, once more if the answer did not come or was spoiled.
fn look(host: &mut dyn Host, address: &str) -> Result<Record, DriverError> {
    let mut failure = DriverError::new(error::NO_REPLY, "not asked");
    for _ in 0..LOOKS {
        match ask(host, address, 'C', "") {
            Ok(Answer::Yes(data)) => match numbers(&data, [5, 8, 8]) {
                Some([count, last, balance]) => {
                    // Five digits always fit.
                    let count = u32::try_from(count).unwrap_or(u32::MAX);
                    return Ok(Record { count, last, balance });
                }
                None => failure = DriverError::new(error::GARBLED, "a record of a wrong shape"),
            },
            Ok(Answer::No(code)) => return Err(no_data(code)),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

fn money(amount: u64) -> Credit {
    Credit { quantity: quantity::MONEY, amount }
}

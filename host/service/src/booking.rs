//! The ledger accounts that the service books on, by name, and booking several lines of one act.
//! Not here: a sale's money, which waits for proof (`sale`).

use crate::clock::{Clock, UnixMs};
use crate::error::Result;
use polymeter_domain::tariff::Commodity;
use polymeter_domain::{Channel, CustomerId, MeterId, Money, TransferId};
use polymeter_ledger::{NewTransfer, Posting, Transaction};
use uuid::Uuid;

/// What a counted till has more (credit) or less (debit) than it should.
pub(crate) const SHIFT_DIFFERENCE: &str = "shift-difference";
pub(crate) const CASH: &str = "cash";
/// Credit of another system's meter, and old debts that were there before this system.
pub(crate) const BROUGHT_IN: &str = "brought-in";
/// What a customer owed and nobody will pay.
pub(crate) const WRITE_OFF: &str = "write-off";
/// The fixed fee of a month, with its tax.
pub(crate) const MONTHLY_FEE: &str = "fee/monthly";
/// Credit given free.
pub(crate) const GIFT: &str = "gift";
const METER_CREDIT: &str = "meter-credit/";
const PURSE: &str = "purse/";
/// The tax of what was charged.
pub(crate) const TAX_SALES: &str = "tax/sales";

/// What one customer owes.
pub(crate) fn arrears_account(customer: CustomerId) -> String {
    format!("arrears/{customer}")
}

/// What one customer has deposited.
pub(crate) fn deposit_account(customer: CustomerId) -> String {
    format!("deposit/{customer}")
}

/// The account of the money that comes by one channel.
pub(crate) fn channel_account(channel: Channel) -> String {
    match channel {
        Channel::Cash => CASH.to_owned(),
        other => format!("channel/{}", other.name()),
    }
}

/// Whether money that comes in or goes out is booked here: the counter's cash, and the other channels of
/// payment.
pub(crate) fn is_channel(account: &str) -> bool {
    account == CASH || account.starts_with("channel/")
}

/// The account of what one meter holds.
pub fn meter_credit_account(meter: MeterId) -> String {
    format!("{METER_CREDIT}{meter}")
}

/// Money that a customer has here; he owes where it is below zero.
pub fn purse_account(customer: CustomerId) -> String {
    format!("{PURSE}{customer}")
}

/// What a customer still has to pay of bills and claims, which say so one by one; other debts are
/// their arrears.
pub fn receivable_account(customer: CustomerId) -> String {
    format!("receivable/{customer}")
}

/// What a charge item brings.
pub(crate) fn item_account(name: &str) -> String {
    format!("revenue/{name}")
}

/// The customer that an account is of, if it is one's: what they have here, owe, or deposited.
pub fn customer_of_account(account: &str) -> Option<CustomerId> {
    let (what, id) = account.split_once('/')?;
    let is_of_one = ["purse", "arrears", "deposit", "receivable"].contains(&what);
    is_of_one.then(|| id.parse().ok())?
}

pub(crate) fn revenue_account(commodity: Commodity) -> &'static str {
    match commodity {
        Commodity::Energy => "revenue/electricity",
        Commodity::Water => "revenue/water",
    }
}

/// One amount from one account to another, by their names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Booking {
    pub debit: String,
    pub credit: String,
    pub amount: Money,
}

impl Booking {
    /// `None` where there is nothing to move.
    pub(crate) fn of(debit: &str, credit: &str, amount: Money) -> Option<Booking> {
        let (debit, credit) = (debit.to_owned(), credit.to_owned());
        (amount.minor() > 0).then_some(Booking { debit, credit, amount })
    }

    /// As the ledger takes it, its accounts made where they are missing.
    pub(crate) async fn transfer(
        &self,
        tx: &mut Transaction,
        transfer_id: TransferId,
        reference: Uuid,
        at: UnixMs,
    ) -> Result<NewTransfer> {
        let (currency, amount, at_ms) = (self.amount.currency(), self.amount, at.0);
        let debit = polymeter_ledger::account(tx, &self.debit, currency, at_ms).await?;
        let credit = polymeter_ledger::account(tx, &self.credit, currency, at_ms).await?;
        Ok(NewTransfer { transfer_id, debit, credit, amount, reference, at_ms })
    }
}

/// Books all that one act moves, at once and under one reference; what moves nothing is left out.
pub(crate) async fn book_all(
    tx: &mut Transaction,
    clock: &Clock,
    reference: Uuid,
    at: UnixMs,
    bookings: &[Booking],
) -> Result<()> {
    let mut postings = Vec::with_capacity(bookings.len());
    for booking in bookings.iter().filter(|booking| booking.amount.minor() != 0) {
        let transfer_id = TransferId::new(clock.id());
        let new = booking.transfer(tx, transfer_id, reference, at).await?;
        postings.push(Posting::Book(new));
    }
    if postings.is_empty() {
        return Ok(());
    }
    Ok(polymeter_ledger::book_linked(tx, &postings).await?)
}

/// The meter whose credit an account holds, if it is such an account.
pub fn meter_of_account(account: &str) -> Option<MeterId> {
    account.strip_prefix(METER_CREDIT)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_names_its_meter() {
        let meter = "01890a5d-ac96-774b-bcce-b302099a8057".parse().expect("an id");
        assert_eq!(meter_of_account(&meter_credit_account(meter)), Some(meter));
        for other in [CASH, "meter-credit/", "meter-credit/7"] {
            assert_eq!(meter_of_account(other), None, "{other}");
        }
    }

    #[test]
    fn an_account_names_its_customer() {
        let customer: CustomerId = "01890a5d-ac96-774b-bcce-b302099a8057".parse().expect("an id");
        for account in [purse_account, arrears_account, deposit_account, receivable_account] {
            assert_eq!(customer_of_account(&account(customer)), Some(customer));
        }
        let meter = format!("meter-credit/{customer}");
        for other in [CASH, "revenue/water", "purse/", "purse/7", meter.as_str()] {
            assert_eq!(customer_of_account(other), None, "{other}");
        }
    }
}

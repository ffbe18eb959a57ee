//! The ledger accounts that the service books on, by name. Not here: booking (`sale`, the ledger).

use polymeter_domain::{Channel, CustomerId, MeterId};

/// What a counted till has more (credit) or less (debit) than it should.
pub(crate) const SHIFT_DIFFERENCE: &str = "shift-difference";
/// Old debts that were there before this system.
pub(crate) const BROUGHT_IN: &str = "brought-in";
pub(crate) const WRITE_OFF: &str = "write-off";
/// The fixed fee of a month, with its tax.
pub(crate) const MONTHLY_FEE: &str = "fee/monthly";
/// Credit given free.
pub(crate) const GIFT: &str = "gift";
const CASH: &str = "cash";
const METER_CREDIT: &str = "meter-credit/";

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

/// The account of what one meter holds.
pub fn meter_credit_account(meter: MeterId) -> String {
    format!("{METER_CREDIT}{meter}")
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
}

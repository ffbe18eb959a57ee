//! Billing: charges of a customer's own (自定义收费), public-area use shared out (公摊), bills for a period of post-paid meters (后付费),
//! their payments, and contra bills.
//!
//! Invariants: a bill's number follows the last one without a gap and is taken in the job that books
//! the bill; a bill never changes, what was wrong is taken back by a contra bill that books the very
//! reverse; what somebody owes by bills and claims is their account `receivable/<customer>`.
//! Not here: what an amount of energy costs (charge), the purse (purse).

mod allocation;
mod allocation_run;
mod bill;
mod bill_payment;
mod claim;
mod final_bill;
mod item;
mod period;

pub use allocation::{
    Allocation, AllocationBasis, AllocationPart, AllocationRun, Member, NewAllocation,
};
pub use bill::{Bill, BillLine, BillState};
pub use bill_payment::{BillPayment, NewBillPayment};
pub use claim::{Booked, Claim};
pub(crate) use claim::{is_overdue, settle};
pub(crate) use final_bill::final_bill;
pub use item::{Basis, ChargeAssignment, ChargeItem, NewItem, PaidFrom, in_m2};
pub use period::{DraftBill, PeriodRun};

use crate::Service;

/// How long a bill may wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BillingRules {
    /// From the day of the bill to the last day on which it is paid in time.
    pub days_to_pay: u16,
}

impl Default for BillingRules {
    fn default() -> Self {
        BillingRules { days_to_pay: 15 }
    }
}

impl Service {
    pub fn billing_rules(&self) -> BillingRules {
        BillingRules::default()
    }
}

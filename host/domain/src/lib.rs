//! The vocabulary and the rules: ids, money, credit, the Sale machine, supply, readings,
//! tariffs. Pure values and pure functions.
//!
//! Invariant: no async, clock, randomness, logging, I/O or serde; money and energy are integers.
//! Not here: how any of it is stored (ledger, service), sent (runtime) or shown (server).

pub mod card;
pub mod channel;
pub mod clock;
pub mod counter_act;
pub mod credit;
pub mod deduction;
pub mod device;
pub mod discrepancy;
pub mod id;
pub mod mode;
pub mod money;
pub mod reading;
pub mod recurrence;
pub mod sale;
pub mod share;
pub mod supply;
pub mod tariff;
pub mod token;

pub use card::{CardContents, CardIdentity, CardKind, CardOrder, CardPurpose, Uptake, WrittenBack};
pub use channel::Channel;
pub use clock::ClockDrift;
pub use counter_act::{ActEvent, ActState, Proof, Taken, Taking};
pub use credit::{Credit, Evidence, Purchase, PurchaseCount, Quantity, Receipt, Refusal};
pub use deduction::{Deductions, Dues};
pub use device::{CustomerNumber, LocalTime, MeterAddress, Region, VendorCode};
pub use discrepancy::Story;
pub use id::{
    AccountId, AllocationId, AllocationRunId, ApplicationId, ApprovalId, BillId, BillPaymentId,
    BillingPeriodId, ChargeAssignmentId, ChargeId, ChargeItemId, ClaimId, ClockSettingId,
    ClosingId, CounterActId, CustomerId, DiscrepancyId, HoldId, InstallationId, MaintenanceCardId,
    MeterClearingId, MeterId, OperatorId, PursePaymentId, ReadingCaseId, ReadingId, SaleId,
    ShiftId, SwapId, TakeoverId, TariffPlanId, TariffVersionId, TokenOrderId, TokenRolloverId,
    TransferId, derived_id,
};
pub use mode::BillingMode;
pub use money::{Currency, Money};
pub use reading::{Decimal, Measurement, ObisCode, Quality, Snapshot, Unit, Value};
pub use recurrence::Recurrence;
pub use sale::{Delivery, Sale};
pub use share::largest_remainder;
pub use supply::{ControlOutcome, SupplyCommand, SupplyState};
pub use token::{TokenDigits, TokenKind, TokenOrder, TokenPlan};

//! One typed id per thing, all UUIDs, so that a meter's id can never be passed for a customer's.
//! Making a new one (UUIDv7) needs a clock and is therefore the caller's.

use sha2::{Digest, Sha256};
use std::fmt;
use std::str::FromStr;
use uuid::Uuid;

/// An id that follows from a text: UUIDv8 (RFC 9562, 5.8) of the first 16 bytes of its SHA-256.
pub fn derived_id(text: &str) -> Uuid {
    let mut bytes = [0; 16];
    bytes.iter_mut().zip(Sha256::digest(text)).for_each(|(byte, hashed)| *byte = hashed);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

/// Text that is not a UUID.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an id (a UUID such as 01890a5d-ac96-774b-bcce-b302099a8057)")]
pub struct NotAnId(pub String);

macro_rules! id {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Uuid);

        impl $name {
            pub const fn new(id: Uuid) -> Self {
                Self(id)
            }
            pub const fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = NotAnId;
            fn from_str(text: &str) -> Result<Self, NotAnId> {
                Uuid::parse_str(text).map(Self).map_err(|_| NotAnId(text.to_owned()))
            }
        }
    )+};
}

id! {
    /// Made by the client, so that asking twice is one sale.
    SaleId,
    MeterId,
    CustomerId,
    OperatorId,
    ReadingId,
    /// A ledger account; a person is a [`CustomerId`].
    AccountId,
    TransferId,
    TariffPlanId,
    TariffVersionId,
    /// One operator's time at a till.
    ShiftId,
    /// A refund, a reversal, a deposit, a write-off.
    CounterActId,
    ApprovalId,
    DiscrepancyId,
    /// What one reading took from a purse, or what a bill is made of.
    ChargeId,
    /// Made by the client, as a sale's.
    PursePaymentId,
    ReadingCaseId,
    /// One meter's time at one customer.
    InstallationId,
    /// A customer's numbered request.
    ApplicationId,
    HoldId,
    SwapId,
    TakeoverId,
    ClosingId,
    MeterClearingId,
    ChargeItemId,
    ChargeAssignmentId,
    ClaimId,
    BillId,
    BillingPeriodId,
    /// Made by the client, as a sale's.
    BillPaymentId,
    AllocationId,
    AllocationRunId,
    /// Of a credit token it is the sale's; of others made by the client.
    TokenOrderId,
    /// A campaign that moves meters to a later base date.
    TokenRolloverId,
    ClockSettingId,
    MaintenanceCardId,
}

//! The card world: [`CardDriver`], the verbs of a meter done to a card, and its export macro.
//!
//! Invariant: a card driver sees the card that lies in a reader and nothing else; it presents codes
//! that it names and never knows. Not here: the slot's own functions, which stand in [`Host`].

use crate::bindings::card_handling::exports::polymeter::driver::card;
use crate::{Call, Description, DriverError, Host, SellOutcome, codes};

pub use card::{
    Contents as CardContents, Identity as CardIdentity, Order as CardOrder, WrittenBack,
};

pub use crate::bindings::card_handling::polymeter::driver::card_slot::{
    InsertedCard, Secret, SlotError,
};

/// One vendor's cards, as the host sees them. Each verb is one function of `wit/1.1.0/card.wit`, where
/// shapes, units and codes stand. A driver keeps no state between calls, and the card may be another
/// one in the next: each verb identifies it anew.
///
/// ```
/// use polymeter_driver::{DriverError, Host, codes};
///
/// /// The number in the first six bytes of a memory card. What a verb of a card driver is made of.
/// fn number(host: &mut dyn Host) -> Result<Option<String>, DriverError> {
///     if host.inserted()?.kind != codes::card::SLE4442 {
///         return Ok(None);
///     }
///     let bytes = host.read_card(0x20, 6)?;
///     Ok(bytes.starts_with(b"AC").then(|| bytes.iter().map(|byte| format!("{byte:02X}")).collect()))
/// }
/// ```
pub trait CardDriver {
    /// What this driver is; asked once, at load.
    fn describe() -> Description;
    /// Whether this card is one of the vendor's, and whose; `None`: it is not. Presents no code that a
    /// card counts, and changes nothing.
    fn identify(host: &mut dyn Host, call: &Call) -> Result<Option<CardIdentity>, DriverError>;
    /// All that the card holds, what its device wrote back with it. Changes nothing.
    fn check(host: &mut dyn Host, call: &Call) -> Result<CardContents, DriverError>;
    /// Makes a user card out of a blank one, with a first purchase or none.
    fn open(
        host: &mut dyn Host,
        call: &Call,
        order: &CardOrder,
    ) -> Result<SellOutcome, DriverError>;
    /// Puts a purchase on the customer's card: only on one whose count is one less. Afterwards reads
    /// back what it wrote.
    fn sell(
        host: &mut dyn Host,
        call: &Call,
        order: &CardOrder,
    ) -> Result<SellOutcome, DriverError>;
    /// Makes a blank card the customer's, with the last purchase and its count.
    fn replace(
        host: &mut dyn Host,
        call: &Call,
        order: &CardOrder,
    ) -> Result<SellOutcome, DriverError>;
    /// Takes back the purchase that the card holds and the device has not taken; its count stays.
    fn take_back(
        host: &mut dyn Host,
        call: &Call,
        order: &CardOrder,
    ) -> Result<SellOutcome, DriverError>;
    /// Makes the card blank again.
    fn clear(host: &mut dyn Host, call: &Call) -> Result<SellOutcome, DriverError>;
    /// Makes a maintenance card out of a blank one.
    fn make(
        host: &mut dyn Host,
        call: &Call,
        order: &CardOrder,
    ) -> Result<SellOutcome, DriverError>;
}

/// Turns a type that implements [`CardDriver`] into the component's exports. Once per crate, and not
/// beside [`export!`](crate::export): a component serves meters on a line or cards in a slot.
///
/// The component imports the interfaces `card-slot`, `vault` and `log`, and not `line`. `vault` is there
/// even where nothing is asked of it, because the codes that open cards are named as its keys are.
#[macro_export]
macro_rules! export_card {
    ($driver:ident) => {
        #[cfg(target_arch = "wasm32")]
        mod polymeter_card_exports {
            type Exported = $crate::guest::ExportedCard<super::$driver>;
            $crate::bindings::describing::export_describing!(
                Exported with_types_in $crate::bindings::describing
            );
            $crate::bindings::card_handling::export_card_handling!(
                Exported with_types_in $crate::bindings::card_handling
            );
        }
    };
}

/// What a [`Host`] without a slot answers to everything that is asked of one.
pub(crate) fn no_slot<T>() -> Result<T, SlotError> {
    let detail = "this call has no card".to_owned();
    Err(SlotError { code: codes::slot::NOT_GRANTED, detail })
}

impl From<SlotError> for DriverError {
    fn from(error: SlotError) -> Self {
        let code = match error.code {
            codes::slot::UNSUPPORTED => codes::error::UNSUPPORTED,
            codes::slot::CARD_SAYS_NO | codes::slot::NO_TRIES => codes::error::DEVICE_SAYS_NO,
            codes::slot::VAULT => codes::error::VAULT,
            _ => codes::error::LINE,
        };
        Self::new(code, error.detail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_slot_says_is_a_drivers_error_of_its_kind() {
        for (slot, driver) in [
            (codes::slot::GONE, codes::error::LINE),
            (codes::slot::READER, codes::error::LINE),
            (codes::slot::LIMIT, codes::error::LINE),
            (codes::slot::NOT_GRANTED, codes::error::LINE),
            (codes::slot::UNSUPPORTED, codes::error::UNSUPPORTED),
            (codes::slot::CARD_SAYS_NO, codes::error::DEVICE_SAYS_NO),
            (codes::slot::VAULT, codes::error::VAULT),
            (codes::slot::NO_TRIES, codes::error::DEVICE_SAYS_NO),
            (99, codes::error::LINE),
        ] {
            let error = DriverError::from(SlotError { code: slot, detail: "why".to_owned() });
            assert_eq!((error.code, error.detail.as_str()), (driver, "why"), "{slot}");
        }
    }
}

//! What can wait for a second person, by the object that an approval names, and what follows when it is
//! decided. Each module does its own part; here is only which one.
//!
//! Invariant: [`Approvable::approved`] and [`Approvable::withdrawn`] run in the transaction that
//! decides; [`Approvable::follow`] asks devices afterwards, and can be cut off: whatever was left is
//! taken up again by `Service::resume`. Not here: who may decide, and when (approval).

use crate::clock::UnixMs;
use crate::error::{Result, ServiceError, chain};
use crate::{Service, account, card, clock_setting, counter_act, purse, token};
use polymeter_domain::{
    ClockSettingId, ClosingId, CounterActId, MaintenanceCardId, MeterClearingId, PursePaymentId,
    TokenOrderId, TokenRolloverId,
};
use polymeter_ledger::Transaction;
use std::fmt;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Approvable {
    Act(CounterActId),
    Closing(ClosingId),
    /// Of a free meter's purse.
    Clearing(MeterClearingId),
    /// Money that goes back out of a purse, under the id of the payment.
    PurseRefund(PursePaymentId),
    /// A token that a meter obeys and nobody can take back.
    Token(TokenOrderId),
    /// Key changes of many meters at once.
    Rollover(TokenRolloverId),
    /// A clock that is moved far.
    Clock(ClockSettingId),
    /// A card that takes money away or changes keys.
    Card(MaintenanceCardId),
}

impl fmt::Display for Approvable {
    /// As an approval stores it: `closing/<id>`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Approvable::Act(id) => write!(f, "counter-act/{id}"),
            Approvable::Closing(id) => write!(f, "closing/{id}"),
            Approvable::Clearing(id) => write!(f, "meter-clearing/{id}"),
            Approvable::PurseRefund(id) => write!(f, "purse-payment/{id}"),
            Approvable::Token(id) => write!(f, "token-order/{id}"),
            Approvable::Rollover(id) => write!(f, "token-rollover/{id}"),
            Approvable::Clock(id) => write!(f, "clock-setting/{id}"),
            Approvable::Card(id) => write!(f, "maintenance-card/{id}"),
        }
    }
}

impl Approvable {
    pub fn parse(object: &str) -> Option<Approvable> {
        let (what, id) = object.split_once('/')?;
        match what {
            "counter-act" => id.parse().ok().map(Approvable::Act),
            "closing" => id.parse().ok().map(Approvable::Closing),
            "meter-clearing" => id.parse().ok().map(Approvable::Clearing),
            "purse-payment" => id.parse().ok().map(Approvable::PurseRefund),
            "token-order" => id.parse().ok().map(Approvable::Token),
            "token-rollover" => id.parse().ok().map(Approvable::Rollover),
            "clock-setting" => id.parse().ok().map(Approvable::Clock),
            "maintenance-card" => id.parse().ok().map(Approvable::Card),
            _ => None,
        }
    }

    /// A second person agreed. What it answers is to be followed once that is stored.
    pub(crate) async fn approved(
        self,
        service: &Service,
        tx: &mut Transaction,
    ) -> Result<Option<Approvable>> {
        match self {
            Approvable::Act(id) => {
                Ok(counter_act::approved(service, tx, id).await?.map(Approvable::Act))
            }
            Approvable::Closing(id) => {
                account::closing_approved(service, tx, id).await?;
                Ok(Some(self))
            }
            Approvable::Clearing(id) => {
                account::clearing_approved(tx, id).await?;
                Ok(Some(self))
            }
            Approvable::PurseRefund(id) => {
                purse::refund_approved(service, tx, id).await?;
                Ok(None)
            }
            Approvable::Token(id) => {
                token::approved(tx, id).await?;
                Ok(Some(self))
            }
            Approvable::Rollover(id) => {
                token::rollover_approved(tx, id).await?;
                Ok(Some(self))
            }
            Approvable::Clock(id) => {
                clock_setting::approved(tx, id).await?;
                Ok(Some(self))
            }
            Approvable::Card(id) => {
                card::approved(tx, id).await?;
                Ok(None)
            }
        }
    }

    /// The second person did not agree, or not in time, or who asked took it back.
    pub(crate) async fn withdrawn(self, tx: &mut Transaction, why: &str, at: UnixMs) -> Result<()> {
        match self {
            Approvable::Act(id) => counter_act::withdrawn(tx, id, why, at).await,
            Approvable::Closing(id) => account::closing_withdrawn(tx, id, why, at).await,
            Approvable::Clearing(id) => account::clearing_withdrawn(tx, id, at).await,
            Approvable::PurseRefund(id) => purse::refund_withdrawn(tx, id, at).await,
            Approvable::Token(id) => token::withdrawn(tx, id, at).await,
            Approvable::Rollover(id) => token::rollover_withdrawn(tx, id, at).await,
            Approvable::Clock(id) => clock_setting::withdrawn(tx, id, why, at).await,
            Approvable::Card(id) => card::withdrawn(tx, id, why, at).await,
        }
    }

    /// Asks the devices that it is about. What a device did not answer stands on the object's own page
    /// and is no failure of the decision.
    pub(crate) async fn follow(self, service: &Service) -> Result<()> {
        let followed = match self {
            Approvable::Act(id) => return service.ask_for_act(id).await,
            Approvable::Closing(id) => account::follow_closing(service, id).await,
            Approvable::Clearing(id) => account::follow_clearing(service, id).await,
            // A card is made of whatever blank one somebody puts into a reader.
            Approvable::PurseRefund(_) | Approvable::Card(_) => Ok(()),
            Approvable::Token(id) => service.follow_token(id).await,
            Approvable::Rollover(id) => service.follow_rollover(id).await,
            Approvable::Clock(id) => service.follow_clock(id).await,
        };
        match followed {
            Err(error @ ServiceError::Storage(_)) => Err(error),
            Err(error) => {
                let why = chain(&error);
                tracing::error!(object = %self, why, "approved, and waits for a person");
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn an_object_is_read_as_it_was_written() {
        let id = Uuid::from_u128(7);
        for object in [
            Approvable::Act(CounterActId::new(id)),
            Approvable::Closing(ClosingId::new(id)),
            Approvable::Clearing(MeterClearingId::new(id)),
            Approvable::PurseRefund(PursePaymentId::new(id)),
            Approvable::Token(TokenOrderId::new(id)),
            Approvable::Rollover(TokenRolloverId::new(id)),
            Approvable::Clock(ClockSettingId::new(id)),
            Approvable::Card(MaintenanceCardId::new(id)),
        ] {
            assert_eq!(Approvable::parse(&object.to_string()), Some(object));
        }
        for bad in ["", "closing", "closing/", "closing/7", "sale/7", "counter-act/closing/x"] {
            assert_eq!(Approvable::parse(bad), None, "{bad}");
        }
    }
}

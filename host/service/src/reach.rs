//! How a meter is reached: by a line, or by its card where that lies in a reader. An act holds whatever
//! it is under one lease, and asks its driver in the words that fit.
//!
//! Invariant: a driver stays the same for the act's whole length; a card that is another meter's is
//! never taken for this one's. Not here: whose card lies where (card), what a lease does (transport).

use crate::Service;
use crate::driver::{Kind, Pick};
use crate::error::{Result, ServiceError, chain};
use crate::meter::{self, MeterRecord};
use polymeter_domain::{
    CardOrder, CardPurpose, CustomerNumber, Delivery, Evidence, MeterId, Purchase, PurchaseCount,
    Taking,
};
use polymeter_runtime::{CallError, Device, Driver, Opening};
use polymeter_transport::{CardLease, CardReader, Line, LineLease, Priority};

/// Everything that a call to a meter needs.
#[derive(Debug)]
pub(crate) struct Reach {
    pub meter: MeterRecord,
    pub pick: Pick,
    pub way: Way,
}

#[derive(Debug, Clone)]
pub(crate) enum Way {
    Line(Line),
    /// The reader in which its card lies.
    Card(CardReader),
}

/// The sole right to it, until it is dropped.
#[derive(Debug)]
pub(crate) enum Lease {
    Line(LineLease),
    Card(Box<CardLease>),
}

impl Reach {
    pub async fn lease(&self, priority: Priority) -> Result<Lease> {
        match &self.way {
            Way::Line(line) => {
                line.lease(priority).await.map(Lease::Line).map_err(ServiceError::Line)
            }
            Way::Card(reader) => {
                let lease = reader.lease().await.map_err(ServiceError::Card)?;
                Ok(Lease::Card(Box::new(lease)))
            }
        }
    }

    /// For acts that only a card takes.
    pub async fn card_lease(&self) -> Result<CardLease> {
        match &self.way {
            Way::Card(reader) => reader.lease().await.map_err(ServiceError::Card),
            Way::Line(_) => Err(ServiceError::Blocked {
                what: format!("meter {}", self.meter.serial_number),
                why: "it has no card".to_owned(),
            }),
        }
    }

    /// For acts that only a line can do.
    pub fn line(&self) -> Result<&Line> {
        match &self.way {
            Way::Line(line) => Ok(line),
            Way::Card(_) => Err(no_line(&self.meter)),
        }
    }

    /// The same.
    pub async fn line_lease(&self, priority: Priority) -> Result<LineLease> {
        self.line()?.lease(priority).await.map_err(ServiceError::Line)
    }
}

fn no_line(meter: &MeterRecord) -> ServiceError {
    ServiceError::Blocked {
        what: format!("meter {}", meter.serial_number),
        why: "it has no line: what it says comes home with its card".to_owned(),
    }
}

impl Service {
    /// Meter, driver and line (or the reader with its card) together, or which of them is missing.
    pub(crate) async fn reach(&self, id: MeterId, kind: Kind) -> Result<Reach> {
        let meter = meter::record(self.reader(), id).await?;
        let pick = self.pick(&meter, kind)?;
        let way = match meter.is_by_card(&pick.driver) {
            true => Way::Card(self.reader_with_card_of(&meter).await?),
            false => Way::Line(self.line(&meter.line)?),
        };
        Ok(Reach { meter, pick, way })
    }

    /// To make a meter's card out of a blank one, in this reader or in the only one that has one.
    pub(crate) async fn reach_to_open(&self, id: MeterId, reader: Option<&str>) -> Result<Reach> {
        let meter = meter::record(self.reader(), id).await?;
        let pick = self.pick(&meter, Kind::Change)?;
        let way = match meter.is_by_card(&pick.driver) {
            true => Way::Card(self.reader_to_open(&meter, reader).await?),
            false => Way::Line(self.line(&meter.line)?),
        };
        Ok(Reach { meter, pick, way })
    }

    /// What a counter sees follows what was just done to the card.
    pub(crate) async fn look_again(&self, reach: &Reach) {
        let Way::Card(reader) = &reach.way else { return };
        if let Err(error) = self.look_at(reader.name()).await {
            tracing::warn!(reader = reader.name(), error = chain(&error), "looking at a card");
        }
    }

    pub(crate) fn pick(&self, meter: &MeterRecord, kind: Kind) -> Result<Pick> {
        let pick = self.registry().pick(&meter.vendor, meter.meter_id, &meter.line, kind);
        pick.ok_or_else(|| ServiceError::NoDriver { vendor: meter.vendor.clone() })
    }

    pub(crate) async fn open_device(
        &self,
        reach: &Reach,
        lease: &mut Lease,
        opening: &Opening,
    ) -> Delivery {
        let (device, moment) = (&reach.meter.device, self.clock().moment());
        let driver = &reach.pick.driver;
        match lease {
            Lease::Line(line) => {
                self.change_device(&reach.pick, driver.open(line, device, moment, opening)).await
            }
            Lease::Card(card) => {
                let order = user_card(reach, &opening.customer, opening.purchase);
                let act = driver.open_card(card, device, moment, &order);
                let delivery = self.change_device(&reach.pick, act).await;
                if let Delivery::Confirmed(_) = delivery {
                    // Whatever card the meter had before.
                    self.card_is_recycled(reach.meter.meter_id).await;
                }
                delivery
            }
        }
    }

    pub(crate) async fn sell_to_device(
        &self,
        reach: &Reach,
        lease: &mut Lease,
        customer: &CustomerNumber,
        purchase: Purchase,
    ) -> Delivery {
        let (device, moment) = (&reach.meter.device, self.clock().moment());
        let driver = &reach.pick.driver;
        match lease {
            Lease::Line(line) => {
                let act = driver.sell(line, device, moment, customer, purchase);
                self.change_device(&reach.pick, act).await
            }
            Lease::Card(card) => {
                let order = user_card(reach, customer, purchase);
                let act = driver.sell_to_card(card, device, moment, &order);
                self.change_device(&reach.pick, act).await
            }
        }
    }

    /// Of a driver that has the ability `refund`, or off the card.
    pub(crate) async fn take_from_device(
        &self,
        reach: &Reach,
        lease: &mut Lease,
        customer: &CustomerNumber,
        taking: Taking,
    ) -> Delivery {
        let (device, moment) = (&reach.meter.device, self.clock().moment());
        let driver = &reach.pick.driver;
        match lease {
            Lease::Line(line) => {
                let act = driver.refund(line, device, moment, customer, taking.purchase);
                self.change_device(&reach.pick, act).await
            }
            Lease::Card(card) => {
                let held = Purchase { credit: taking.credit(), ..taking.purchase };
                let order = user_card(reach, customer, held);
                let act = driver.take_back_from_card(card, device, moment, &order);
                self.change_device(&reach.pick, act).await
            }
        }
    }

    /// What the device remembers of purchase `count`; of a meter with a card, what that holds.
    pub(crate) async fn evidence(
        &self,
        driver: &Driver,
        device: &Device,
        lease: &mut Lease,
        count: Option<PurchaseCount>,
    ) -> std::result::Result<Evidence, CallError> {
        let moment = self.clock().moment();
        match lease {
            Lease::Line(line) => driver.check(line, device, moment, count).await,
            Lease::Card(card) => {
                driver.check_card(card, Some(device), moment).await.map(|it| it.evidence())
            }
        }
    }

    /// Empties the purse in the device; of a meter with a card, makes that blank again.
    pub(crate) async fn clear_device(&self, reach: &Reach, lease: &mut Lease) -> Delivery {
        let (device, moment) = (&reach.meter.device, self.clock().moment());
        let driver = &reach.pick.driver;
        match lease {
            Lease::Line(line) => {
                self.change_device(&reach.pick, driver.clear(line, device, moment)).await
            }
            Lease::Card(card) => {
                let act = driver.clear_card(card, Some(device), moment);
                let delivery = self.change_device(&reach.pick, act).await;
                if let Delivery::Confirmed(_) = delivery {
                    self.card_is_recycled(reach.meter.meter_id).await;
                }
                delivery
            }
        }
    }
}

/// A customer's card for this meter, with this purchase.
pub(crate) fn user_card(reach: &Reach, customer: &CustomerNumber, purchase: Purchase) -> CardOrder {
    CardOrder {
        purpose: CardPurpose::User,
        region: reach.pick.driver.region().cloned(),
        customer_number: Some(customer.clone()),
        purchase: Some(purchase),
        parameters: Vec::new(),
    }
}

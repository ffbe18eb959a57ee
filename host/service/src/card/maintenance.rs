//! Maintenance cards (维护卡: 设置卡, 清零卡, 电价卡 ...): asked for, agreed to where the site wants two
//! people for one that takes money away or changes keys, and made of a blank card.
//!
//! Invariants: the row and the trail say who asked for which and why before a card is written; one that
//! was asked for is made once. Not here: what they do in a device (drivers).

use super::{Finding, KnownCard, finding, maintenance_store as store};
use crate::approval::{self, Asking};
use crate::audit::{self, Act, Actor};
use crate::clock::UnixMs;
use crate::error::{BadParameter, Result, ServiceError, bad_column, chain, invalid};
use crate::mode::reason_of;
use crate::page::Page;
use crate::parameter::{self, Home};
use crate::{Approvable, Service, to_the_end};
use polymeter_domain::{
    ApprovalId, CardIdentity, CardOrder, CardPurpose, Delivery, MaintenanceCardId, MeterAddress,
    Money, Value, VendorCode,
};
use polymeter_ledger::Transaction;
use polymeter_runtime::{Device, Driver};

/// By which a driver says whose device wrote onto a card that goes to many (docs/contract.md).
const OF_DEVICE: &str = "of device";

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewMaintenanceCard {
    pub vendor: VendorCode,
    /// None of blank and user.
    pub purpose: CardPurpose,
    /// The device that it is for; `None`: any of the region.
    pub device: Option<MeterAddress>,
    /// What it carries to the device, of the driver's own parameters.
    pub parameters: Vec<(String, Value)>,
    pub reason: String,
}

/// One that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MaintenanceCard {
    pub maintenance_card_id: MaintenanceCardId,
    pub vendor: VendorCode,
    pub purpose: CardPurpose,
    pub device: Option<MeterAddress>,
    pub parameters: Vec<(String, Value)>,
    pub reason: String,
    pub operator: Actor,
    pub created_at: UnixMs,
    pub state: MaintenanceCardState,
    /// In which it was written last.
    pub reader: Option<String>,
    /// What the last try said; empty where it was made.
    pub detail: String,
    pub ended_at: Option<UnixMs>,
    /// What it waits for.
    pub approval: Option<ApprovalId>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MaintenanceCardState {
    /// A second person has to agree.
    Waiting,
    /// A blank card is wanted.
    Approved,
    /// A card may have been written.
    Begun,
    Made,
    /// No card was changed.
    NotMade,
    /// The card was not read back.
    Unknown,
    /// The second person did not agree, or who asked took it back.
    Withdrawn,
}

impl MaintenanceCardState {
    const ALL: [MaintenanceCardState; 7] = [
        MaintenanceCardState::Waiting,
        MaintenanceCardState::Approved,
        MaintenanceCardState::Begun,
        MaintenanceCardState::Made,
        MaintenanceCardState::NotMade,
        MaintenanceCardState::Unknown,
        MaintenanceCardState::Withdrawn,
    ];

    pub fn name(self) -> &'static str {
        match self {
            MaintenanceCardState::Waiting => "waiting",
            MaintenanceCardState::Approved => "approved",
            MaintenanceCardState::Begun => "begun",
            MaintenanceCardState::Made => "made",
            MaintenanceCardState::NotMade => "not-made",
            MaintenanceCardState::Unknown => "unknown",
            MaintenanceCardState::Withdrawn => "withdrawn",
        }
    }

    pub(super) fn from_name(name: &str) -> Result<MaintenanceCardState> {
        let found = MaintenanceCardState::ALL.into_iter().find(|state| state.name() == name);
        found.ok_or_else(|| bad_column("state", name))
    }

    pub(super) fn is_ended(self) -> bool {
        !matches!(
            self,
            MaintenanceCardState::Waiting
                | MaintenanceCardState::Approved
                | MaintenanceCardState::Begun
        )
    }
}

impl Service {
    /// Which maintenance cards the driver of a vendor's cards makes; all there are, where its
    /// `driver.toml` does not say.
    pub fn makes_cards(&self, vendor: &VendorCode) -> Vec<CardPurpose> {
        self.card_driver(vendor).map(|driver| makes(&driver)).unwrap_or_default()
    }

    /// Whether the site wants two people for such a card.
    pub fn takes_two_for_a_card(&self, purpose: CardPurpose) -> bool {
        self.rules().approval.is_needed_for_a_card(purpose)
    }

    /// Out of the blank card in this reader; or, where the site wants two people for such a card, once a
    /// second one has agreed: the answer's state is `Waiting` then.
    pub async fn make_maintenance_card(
        &self,
        reader: &str,
        new: NewMaintenanceCard,
        actor: &Actor,
    ) -> Result<MaintenanceCard> {
        let reason = reason_of(&new.reason)?;
        let driver = self
            .card_driver(&new.vendor)
            .ok_or_else(|| ServiceError::NoDriver { vendor: new.vendor.clone() })?;
        is_made(&driver, new.purpose)?;
        let parameters = checked(&driver, new.purpose, &new.parameters)?;
        self.card_reader(reader)?;
        let needs_two = self.rules().approval.is_needed_for_a_card(new.purpose);
        let state = match needs_two {
            true => MaintenanceCardState::Waiting,
            false => MaintenanceCardState::Approved,
        };
        let id = MaintenanceCardId::new(self.clock().id());
        let it = MaintenanceCard {
            maintenance_card_id: id,
            vendor: new.vendor,
            purpose: new.purpose,
            device: new.device,
            parameters,
            reason,
            operator: actor.clone(),
            created_at: self.clock().at(),
            state,
            reader: None,
            detail: String::new(),
            ended_at: None,
            approval: None,
        };
        let (service, reader, actor) = (self.clone(), reader.to_owned(), actor.clone());
        to_the_end(async move {
            ask(&service, it).await?;
            if !needs_two && let Err(error) = service.put_on_card(id, &reader, &actor).await {
                service.give_up(id, &error).await?;
                return Err(error);
            }
            service.maintenance_card(id).await
        })
        .await
    }

    /// Makes one that was agreed to, out of the blank card in this reader.
    pub async fn make_agreed_card(
        &self,
        id: MaintenanceCardId,
        reader: &str,
        actor: &Actor,
    ) -> Result<MaintenanceCard> {
        let (service, reader, actor) = (self.clone(), reader.to_owned(), actor.clone());
        to_the_end(async move {
            service.put_on_card(id, &reader, &actor).await?;
            service.maintenance_card(id).await
        })
        .await
    }

    /// One that was agreed to is not made after all.
    pub async fn give_up_maintenance_card(
        &self,
        id: MaintenanceCardId,
        reason: &str,
        actor: &Actor,
    ) -> Result<MaintenanceCard> {
        let reason = reason_of(reason)?;
        let (at, actor) = (self.clock().at(), actor.clone());
        self.database()
            .write(move |tx| {
                Box::pin(async move {
                    let it = store::record(&mut *tx.connection(), id).await?;
                    if it.state != MaintenanceCardState::Approved {
                        return Err(out_of_order(&it, "given up"));
                    }
                    store::end(tx.connection(), id, MaintenanceCardState::Withdrawn, &reason, at)
                        .await?;
                    audit(tx, &it, at, &actor, "card-given-up", &reason).await
                })
            })
            .await?;
        self.maintenance_card(id).await
    }

    pub async fn maintenance_card(&self, id: MaintenanceCardId) -> Result<MaintenanceCard> {
        let mut it = store::record(self.reader(), id).await?;
        if it.state == MaintenanceCardState::Waiting {
            let waiting = self.approval_of(Approvable::Card(id)).await?;
            it.approval = waiting.map(|approval| approval.approval_id);
        }
        Ok(it)
    }

    /// Newest first.
    pub async fn maintenance_cards(&self, page: &Page) -> Result<Vec<MaintenanceCard>> {
        store::list(self.reader(), &page.bound()?).await
    }

    async fn put_on_card(&self, id: MaintenanceCardId, reader: &str, actor: &Actor) -> Result<()> {
        let it = store::record(self.reader(), id).await?;
        if it.state != MaintenanceCardState::Approved {
            return Err(out_of_order(&it, "made"));
        }
        let driver = self
            .card_driver(&it.vendor)
            .ok_or_else(|| ServiceError::NoDriver { vendor: it.vendor.clone() })?;
        let reader = self.card_reader(reader)?;
        let order = CardOrder {
            purpose: it.purpose,
            region: driver.region().cloned(),
            customer_number: None,
            purchase: None,
            parameters: it.parameters.clone(),
        };
        let device = it.device.clone().map(|address| Device { address, parameters: Vec::new() });
        let mut lease = reader.lease().await.map_err(ServiceError::Card)?;
        let (at, by, name) = (self.clock().at(), actor.clone(), reader.name().to_owned());
        let begun = it.clone();
        self.database()
            .write(move |tx| {
                Box::pin(async move {
                    store::begin(tx.connection(), id, &name, &by).await?;
                    let detail = format!("in reader {name}");
                    audit(tx, &begun, at, &by, "card-making-begun", &detail).await
                })
            })
            .await?;
        let moment = self.clock().moment();
        let act = driver.make_card(&mut lease, device.as_ref(), moment, &order);
        let delivery = act.await.outcome;
        drop(lease);
        let (detail, result) = told(&driver, delivery);
        self.keep_card_end(&it, &result, &detail, actor).await?;
        // What lies there is another card now.
        self.look_at(reader.name()).await?;
        result
    }

    /// No card was changed: what a second person agreed to waits for another blank card.
    async fn keep_card_end(
        &self,
        it: &MaintenanceCard,
        result: &Result<()>,
        detail: &str,
        actor: &Actor,
    ) -> Result<()> {
        let object = Approvable::Card(it.maintenance_card_id).to_string();
        let is_agreed = approval::agreed_minor(self.reader(), &object).await?.is_some();
        let state = match result {
            Ok(()) => MaintenanceCardState::Made,
            Err(ServiceError::Unknown(_)) => MaintenanceCardState::Unknown,
            Err(_) if is_agreed => MaintenanceCardState::Approved,
            Err(_) => MaintenanceCardState::NotMade,
        };
        let (at, it, actor, detail) =
            (self.clock().at(), it.clone(), actor.clone(), detail.to_owned());
        let kept = if result.is_ok() { String::new() } else { detail.clone() };
        self.database()
            .write(move |tx| {
                Box::pin(async move {
                    store::end(tx.connection(), it.maintenance_card_id, state, &kept, at).await?;
                    audit(tx, &it, at, &actor, "card-made", &detail).await
                })
            })
            .await
    }

    /// One that was to be made at once did not come to a card.
    async fn give_up(&self, id: MaintenanceCardId, error: &ServiceError) -> Result<()> {
        let (at, why) = (self.clock().at(), chain(error));
        self.database()
            .write(move |tx| {
                Box::pin(async move {
                    let it = store::record(&mut *tx.connection(), id).await?;
                    match it.state {
                        MaintenanceCardState::Approved => {
                            let state = MaintenanceCardState::NotMade;
                            store::end(tx.connection(), id, state, &why, at).await
                        }
                        _ => Ok(()),
                    }
                })
            })
            .await
    }

    /// What a crash left: a card that was begun was not read back.
    pub(crate) async fn resume_cards(&self) -> Result<()> {
        for it in store::begun(self.reader()).await? {
            let why = "the program ended before the card was read back".to_owned();
            let unknown = Err(ServiceError::Unknown(why.clone()));
            self.keep_card_end(&it, &unknown, &why, &Actor::System).await?;
        }
        Ok(())
    }

    /// What a maintenance card brought home from one device out of many, as a reading of that one's
    /// meter. What was written before the last of that meter is no news.
    pub(super) async fn keep_brought_home(&self, card: &KnownCard) -> Result<()> {
        let Some(back) = &card.contents.written_back else { return Ok(()) };
        let of = back.extras.iter().find(|(name, _)| name == OF_DEVICE);
        let Some((_, Value::Text(device))) = of else { return Ok(()) };
        let Ok(device) = MeterAddress::new(device) else { return Ok(()) };
        let written_by = CardIdentity {
            device: Some(device),
            customer_number: None,
            ..card.contents.identity.clone()
        };
        let Some(meter) = finding::meter_of(self, &written_by).await? else { return Ok(()) };
        let last = self.last_reading(meter.meter_id).await?;
        let written_at = last.as_ref().and_then(|last| {
            last.snapshot.extras.iter().find(|(name, _)| name == super::WRITTEN_AT)
        });
        match (written_at, back.at) {
            (Some((_, Value::Time(known))), Some(at)) if *known > at => Ok(()),
            _ => self.keep_written_back(meter.meter_id, back).await,
        }
    }

    /// The vendors of whose maintenance cards a card that lies there can become one, each with what its
    /// driver makes.
    pub fn makeable(&self, finding: &Finding) -> Vec<(VendorCode, Vec<CardPurpose>)> {
        let Finding::Blank { vendors, .. } = finding else { return Vec::new() };
        let all = vendors.iter().map(|vendor| (vendor.clone(), self.makes_cards(vendor)));
        all.filter(|(_, makes)| !makes.is_empty()).collect()
    }
}

fn makes(driver: &Driver) -> Vec<CardPurpose> {
    let said = driver.manifest().and_then(|manifest| manifest.makes.clone());
    said.unwrap_or_else(|| CardPurpose::ALL.into_iter().filter(|it| it.is_maintenance()).collect())
}

fn is_made(driver: &Driver, purpose: CardPurpose) -> Result<()> {
    if !purpose.is_maintenance() {
        return Err(invalid("purpose", format!("{purpose} is no maintenance card")));
    }
    let makes = makes(driver);
    if makes.contains(&purpose) {
        return Ok(());
    }
    let names: Vec<&str> = makes.iter().map(|it| it.name()).collect();
    let (driver, names) = (driver.name(), names.join(", "));
    let why = match names.as_str() {
        "" => format!("driver {driver} makes no maintenance cards"),
        names => format!("driver {driver} makes no {purpose} cards; it makes {names}"),
    };
    Err(invalid("purpose", why))
}

/// The parameters as the driver gets them: none that go onto other cards.
fn checked(
    driver: &Driver,
    purpose: CardPurpose,
    given: &[(String, Value)],
) -> Result<Vec<(String, Value)>> {
    let parameters = parameter::checked(driver, Home::Device, given)?;
    let elsewhere = |name: &str| {
        let known = driver.parameters().iter().find(|it| it.name == name)?;
        let is_here = known.cards.is_empty() || known.cards.contains(&purpose);
        let names: Vec<&str> = known.cards.iter().map(|it| it.name()).collect();
        (!is_here).then(|| format!("goes onto {} cards, not onto this one", names.join(" and ")))
    };
    let bad = parameters.iter().filter_map(|(name, _)| {
        elsewhere(name).map(|why| BadParameter { name: name.clone(), why })
    });
    let bad: Vec<BadParameter> = bad.collect();
    if bad.is_empty() { Ok(parameters) } else { Err(ServiceError::Parameters(bad)) }
}

/// How an act on a card that is no customer's ended: for the trail, and for whoever asked.
pub(super) fn told(driver: &Driver, delivery: Delivery) -> (String, Result<()>) {
    match delivery {
        Delivery::Confirmed(_) => ("confirmed".to_owned(), Ok(())),
        Delivery::Refused(refusal) => {
            let error = ServiceError::refused(driver, "card", refusal);
            (error.to_string(), Err(error))
        }
        Delivery::NotSent(why) => (format!("not sent: {why}"), Err(ServiceError::NotSent(why))),
        Delivery::Unknown(why) => (format!("unknown: {why}"), Err(ServiceError::Unknown(why))),
    }
}

/// Stored, and asked of a second person where the site wants two.
async fn ask(service: &Service, it: MaintenanceCard) -> Result<()> {
    let inside = service.clone();
    service.expire_approvals().await?;
    service
        .database()
        .write(move |tx| {
            Box::pin(async move {
                store::insert(tx.connection(), &it).await?;
                audit(tx, &it, it.created_at, &it.operator, "card-making-asked", &it.reason)
                    .await?;
                if it.state == MaintenanceCardState::Waiting {
                    let object = Approvable::Card(it.maintenance_card_id).to_string();
                    let amount = Money::new(0, inside.currency());
                    let (reason, actor) = (it.reason.as_str(), &it.operator);
                    let act = "maintenance-card";
                    let asking = Asking { act, object, amount, reason, actor };
                    approval::ask(&inside, tx.connection(), asking).await?;
                }
                Ok(())
            })
        })
        .await
}

async fn audit(
    tx: &mut Transaction,
    it: &MaintenanceCard,
    at: UnixMs,
    actor: &Actor,
    act: &'static str,
    detail: &str,
) -> Result<()> {
    let object = Approvable::Card(it.maintenance_card_id).to_string();
    let device = it.device.as_ref().map(|device| format!(" for device {device}"));
    let device = device.unwrap_or_default();
    let detail = &format!("{} card of {}{device}: {detail}", it.purpose, it.vendor);
    audit::record(tx.connection(), Act { at, actor, act, object, detail }).await
}

fn out_of_order(it: &MaintenanceCard, event: &'static str) -> ServiceError {
    let (what, id) = ("maintenance card", it.maintenance_card_id.to_string());
    ServiceError::WrongState { what, id, state: it.state.name(), event }
}

/// A second person agreed: it waits for a blank card.
pub(crate) async fn approved(tx: &mut Transaction, id: MaintenanceCardId) -> Result<()> {
    let it = store::record(&mut *tx.connection(), id).await?;
    if it.state != MaintenanceCardState::Waiting {
        return Err(out_of_order(&it, "approved"));
    }
    store::approve(tx.connection(), id).await
}

pub(crate) async fn withdrawn(
    tx: &mut Transaction,
    id: MaintenanceCardId,
    why: &str,
    at: UnixMs,
) -> Result<()> {
    store::end(tx.connection(), id, MaintenanceCardState::Withdrawn, why, at).await
}

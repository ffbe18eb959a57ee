//! What lies in a reader: first the kind of card, then whose it is by its mark cell, then what the
//! vendor's driver says of it, then what the books say of that.
//!
//! Invariants: looking changes nothing and presents no code that a card counts; a card is sold to only
//! where everything about it fits. Not here: what a look leads to (mod.rs).

use super::owner::{Theirs, Whose};
use super::store;
use crate::account;
use crate::error::{Result, chain};
use crate::meter::{self, AccountState, MeterRecord};
use crate::sale;
use crate::stored;
use crate::{Service, ServiceError};
use polymeter_domain::{
    CardContents, CardIdentity, CardKind, CustomerNumber, MeterId, PurchaseCount, Region, SaleId,
    VendorCode,
};
use polymeter_runtime::{Device, Driver};
use polymeter_transport::{CardLease, ReaderState};

/// A reader and what lies in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Looked {
    pub reader: String,
    pub finding: Finding,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// The reader is not to be had, and why.
    Gone(String),
    Empty,
    /// Nobody knows it. Why: in words for a person.
    Unknown {
        kind: Option<CardKind>,
        why: String,
    },
    /// Its mark is of a vendor that no enabled driver serves; whose, where the configuration says so. Each
    /// of its marks, where it might have several.
    Foreign {
        kind: CardKind,
        mark: String,
        vendor: Option<VendorCode>,
    },
    /// Several vendors' drivers say that it is theirs.
    Ambiguous {
        kind: CardKind,
        vendors: Vec<VendorCode>,
    },
    /// Nobody's; these vendors' cards can be made of it.
    Blank {
        kind: CardKind,
        vendors: Vec<VendorCode>,
    },
    Known(Box<KnownCard>),
}

impl Finding {
    /// As it stands in the API.
    pub fn name(&self) -> &'static str {
        match self {
            Finding::Gone(_) => "gone",
            Finding::Empty => "empty",
            Finding::Unknown { .. } => "unknown",
            Finding::Foreign { .. } => "foreign",
            Finding::Ambiguous { .. } => "ambiguous",
            Finding::Blank { .. } => "blank",
            Finding::Known(_) => "known",
        }
    }

    /// In words, why nobody here can do anything with it; `None` where somebody can, or it is empty.
    pub fn why(&self) -> Option<String> {
        match self {
            Finding::Gone(why) | Finding::Unknown { why, .. } => Some(why.clone()),
            Finding::Foreign { mark, vendor: Some(vendor), .. } => Some(format!(
                "its mark is `{mark}`, of vendor {vendor}, which no enabled driver serves"
            )),
            Finding::Foreign { mark, vendor: None, .. } => Some(format!(
                "its mark is `{mark}`, which no enabled driver's vendor has; `vendors` under \
                 [[card-mark]] says whose mark it is"
            )),
            Finding::Ambiguous { vendors, .. } => {
                let vendors: Vec<&str> = vendors.iter().map(VendorCode::as_str).collect();
                Some(format!("several say that it is theirs: {}", vendors.join(", ")))
            }
            Finding::Empty | Finding::Blank { .. } | Finding::Known(_) => None,
        }
    }

    /// What kind of card lies there.
    pub fn kind(&self) -> Option<CardKind> {
        match self {
            Finding::Gone(_) | Finding::Empty => None,
            Finding::Unknown { kind, .. } => *kind,
            Finding::Foreign { kind, .. }
            | Finding::Ambiguous { kind, .. }
            | Finding::Blank { kind, .. } => Some(*kind),
            Finding::Known(card) => Some(card.kind),
        }
    }
}

/// A card that its vendor's driver knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownCard {
    pub kind: CardKind,
    /// Name and version.
    pub driver: String,
    pub contents: CardContents,
    /// The meter that it is for, where that is one of ours.
    pub meter_id: Option<MeterId>,
    pub verdict: CardVerdict,
}

/// What the books say of a card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CardVerdict {
    /// All fits: it can be sold to.
    Sellable,
    /// Its last purchase was not put into the device yet.
    Waiting,
    /// It shows fewer purchases than were sold: a copy of earlier days, or not the card it seems.
    Behind {
        shows: u32,
        known: u32,
    },
    /// It shows more: somebody else sold on it.
    Ahead {
        shows: u32,
        known: u32,
    },
    /// It changes devices and carries no customer's money.
    Maintenance,
    OtherRegion(Region),
    NoMeter,
    /// The meter has no open account.
    NotOpen,
    /// The meter is another customer's.
    OtherCustomer,
    /// Another card has taken its place.
    Replaced,
    /// A sale at its meter is not settled yet.
    Unsettled(SaleId),
}

impl CardVerdict {
    /// As it stands in the API.
    pub fn name(&self) -> &'static str {
        match self {
            CardVerdict::Sellable => "sellable",
            CardVerdict::Waiting => "waiting",
            CardVerdict::Behind { .. } => "behind",
            CardVerdict::Ahead { .. } => "ahead",
            CardVerdict::Maintenance => "maintenance",
            CardVerdict::OtherRegion(_) => "other-region",
            CardVerdict::NoMeter => "no-meter",
            CardVerdict::NotOpen => "not-open",
            CardVerdict::OtherCustomer => "other-customer",
            CardVerdict::Replaced => "replaced",
            CardVerdict::Unsettled(_) => "unsettled",
        }
    }

    /// Whether it is the card of an open account, which is not made blank.
    pub fn serves_account(&self) -> bool {
        matches!(
            self,
            CardVerdict::Sellable
                | CardVerdict::Waiting
                | CardVerdict::Ahead { .. }
                | CardVerdict::Unsettled(_)
        )
    }

    /// Whether somebody ought to know that such a card was at the counter.
    pub(super) fn is_odd(&self) -> bool {
        matches!(
            self,
            CardVerdict::Behind { .. }
                | CardVerdict::Ahead { .. }
                | CardVerdict::Maintenance
                | CardVerdict::OtherRegion(_)
                | CardVerdict::OtherCustomer
                | CardVerdict::Replaced
        )
    }

    /// For whoever asked for a sale.
    pub fn sentence(&self) -> String {
        match self {
            CardVerdict::Sellable => "it can be sold to".to_owned(),
            CardVerdict::Waiting => {
                "its last purchase has not been put into the meter: the customer does that first"
                    .to_owned()
            }
            CardVerdict::Behind { shows, known } => format!(
                "it shows purchase {shows}, and {known} were sold: a copy, or an old image of a card; \
                 keep it, and replace the customer's card"
            ),
            CardVerdict::Ahead { shows, known } => format!(
                "it shows purchase {shows}, and {known} are known: somebody else sold on it; look \
                 into the discrepancy first"
            ),
            CardVerdict::Maintenance => {
                "it is a maintenance card, and nothing is sold on it".to_owned()
            }
            CardVerdict::OtherRegion(region) => {
                format!("it is a card of region {region}, and not of this one")
            }
            CardVerdict::NoMeter => "no meter here has its number".to_owned(),
            CardVerdict::NotOpen => "its meter has no open account".to_owned(),
            CardVerdict::OtherCustomer => "its meter is another customer's now".to_owned(),
            CardVerdict::Replaced => {
                "another card has taken its place: it was reported lost or replaced; keep it"
                    .to_owned()
            }
            CardVerdict::Unsettled(sale_id) => {
                format!("sale {sale_id} at its meter is not settled yet")
            }
        }
    }
}

/// Everything that can be told of the card under this lease.
pub(super) async fn find(service: &Service, lease: &mut CardLease) -> Result<Finding> {
    let kind = lease.card().kind;
    let Theirs { driver, identity } =
        match service.card_owners().whose(lease).await.map_err(ServiceError::Card)? {
            Whose::Theirs(theirs) => theirs,
            Whose::Nobodys(finding) => return Ok(finding),
        };
    let meter = meter_of(service, &identity).await?;
    let device = match &meter {
        Some(meter) => Some(meter.device.clone()),
        None => identity.device.clone().map(|address| Device { address, parameters: Vec::new() }),
    };
    let moment = service.clock().moment();
    let contents = match driver.check_card(lease, device.as_ref(), moment).await {
        Ok(contents) => contents,
        Err(error) => {
            let why = format!("driver {}: {}", driver.name(), chain(&error));
            return Ok(Finding::Unknown { kind: Some(kind), why });
        }
    };
    let verdict = judge(service, meter.as_ref(), &driver, &contents).await?;
    let driver = format!("{} {}", driver.name(), driver.description().version);
    let meter_id = meter.map(|meter| meter.meter_id);
    Ok(Finding::Known(Box::new(KnownCard { kind, driver, contents, meter_id, verdict })))
}

/// The meter that a card is for: by the device's number, or, on a card that holds none, by its
/// customer's, who then has one meter of that vendor.
pub(super) async fn meter_of(
    service: &Service,
    identity: &CardIdentity,
) -> Result<Option<MeterRecord>> {
    let ids: Vec<String> = match (&identity.device, &identity.customer_number) {
        (Some(device), _) => {
            sqlx::query_scalar(
                "select meter_id from meter
                 where vendor = $1 and line = '' and ltrim(address, '0') = ltrim($2, '0')",
            )
            .bind(identity.vendor.as_str())
            .bind(device.as_str())
            .fetch_all(service.reader())
            .await?
        }
        (None, Some(number)) => {
            sqlx::query_scalar(
                "select meter_id from meter join customer
                    on customer.customer_id = meter.customer_id
                 where vendor = $1 and line = '' and ltrim(number, '0') = ltrim($2, '0')",
            )
            .bind(identity.vendor.as_str())
            .bind(number.as_str())
            .fetch_all(service.reader())
            .await?
        }
        (None, None) => Vec::new(),
    };
    let [id] = ids.as_slice() else { return Ok(None) };
    let id: MeterId = stored::parsed("meter_id", id)?;
    meter::record(service.reader(), id).await.map(Some)
}

/// Leading zeros of a number do not count: devices fill their fields with them.
pub(super) fn is_same(number: &CustomerNumber, other: &CustomerNumber) -> bool {
    number.as_str().trim_start_matches('0') == other.as_str().trim_start_matches('0')
}

pub(crate) async fn judge(
    service: &Service,
    meter: Option<&MeterRecord>,
    driver: &Driver,
    contents: &CardContents,
) -> Result<CardVerdict> {
    let identity = &contents.identity;
    if identity.purpose.is_maintenance() {
        return Ok(CardVerdict::Maintenance);
    }
    if let (Some(region), Some(here)) = (&identity.region, driver.region())
        && region != here
    {
        return Ok(CardVerdict::OtherRegion(region.clone()));
    }
    let Some(meter) = meter else { return Ok(CardVerdict::NoMeter) };
    let (AccountState::Open, Some(customer_id)) = (meter.account, meter.customer_id) else {
        return Ok(CardVerdict::NotOpen);
    };
    let number = account::number_in_device(service, meter.meter_id, customer_id).await?;
    if identity.customer_number.as_ref().is_some_and(|on_card| !is_same(on_card, &number)) {
        return Ok(CardVerdict::OtherCustomer);
    }
    let current = store::current(service.reader(), meter.meter_id).await?;
    if current.as_ref().is_some_and(|current| current.serial != identity.serial) {
        return Ok(CardVerdict::Replaced);
    }
    let unsettled = sale::unsettled_of_meter(service.reader(), meter.meter_id).await?;
    if let Some(sale_id) = unsettled {
        return Ok(CardVerdict::Unsettled(sale_id));
    }
    Ok(judge_count(meter, contents, current.and_then(|current| current.said_taken)))
}

/// `said_taken`: the last purchase that a supervisor said the device has taken.
fn judge_count(
    meter: &MeterRecord,
    contents: &CardContents,
    said_taken: Option<u32>,
) -> CardVerdict {
    let shows = contents.purchase.map_or(PurchaseCount::new(0), |it| it.count).get();
    let known = meter.purchase_count.and_then(|known| u32::try_from(known).ok()).unwrap_or(shows);
    if shows != known {
        return match shows < known {
            true => CardVerdict::Behind { shows, known },
            false => CardVerdict::Ahead { shows, known },
        };
    }
    match contents.is_taken() || said_taken.is_some_and(|count| count >= shows) {
        true => CardVerdict::Sellable,
        false => CardVerdict::Waiting,
    }
}

/// What a reader is without a card that could be asked.
pub(super) fn without_card(state: ReaderState) -> Option<Finding> {
    match state {
        ReaderState::Gone(why) => Some(Finding::Gone(why)),
        ReaderState::Empty => Some(Finding::Empty),
        ReaderState::Unknown { atr } => {
            let atr: String = atr.iter().map(|byte| format!("{byte:02X}")).collect();
            let why = format!("no reader profile knows its answer to reset, {atr}");
            Some(Finding::Unknown { kind: None, why })
        }
        ReaderState::Card(_) => None,
    }
}

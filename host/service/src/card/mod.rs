//! Cards (IC卡) at the counter: what lies in which reader, and what follows when a card is put in.
//!
//! To a meter without a line whose driver has the ability `card`, its card is the way, so that opening,
//! selling, asking and emptying are the acts of any meter (reach.rs), done while the card lies in a
//! reader. Invariants: a card is sold to only where it fits the books (`CardVerdict::Sellable`), also in the
//! moment before the sale is dispatched; what it brought home is kept before anything else is done.
//!
//! Not here: how a reader is spoken to (transport), what is on a card (drivers).

mod finding;
mod maintenance;
mod maintenance_store;
mod mark;
mod owner;
mod recycle;
mod replace;
mod store;

pub(crate) use finding::judge as card_verdict;
pub use finding::{CardVerdict, Finding, KnownCard, Looked};
pub use maintenance::{MaintenanceCard, MaintenanceCardState, NewMaintenanceCard};
pub(crate) use maintenance::{approved, withdrawn};
pub use mark::{Encoding, Mark, Place};
pub use owner::{CardOwners, Theirs, Whose};

use crate::audit::{self, Act, Actor};
use crate::counter_act;
use crate::error::{Result, ServiceError, chain};
use crate::meter::{self, Meter, MeterRecord};
use crate::mode::reason_of;
use crate::reading::{COUNT_REGISTER, Reading};
use crate::{Service, to_the_end};
use polymeter_domain::{
    CardContents, CardPurpose, Decimal, Measurement, MeterId, ObisCode, Quality, ReadingId, Sale,
    Snapshot, SupplyState, Unit, Value, VendorCode, WrittenBack,
};
use polymeter_runtime::Driver;
use polymeter_transport::{CardReader, CardReaders, ReaderState};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// When a device wrote what a reading has from its card, by the device's clock.
const WRITTEN_AT: &str = "written-at";

/// The readers, where cards have their marks, and what was seen last.
#[derive(Debug)]
pub(crate) struct Cards {
    readers: CardReaders,
    marks: RwLock<Vec<Mark>>,
    looked: Mutex<BTreeMap<String, Seen>>,
    changed: watch::Sender<u64>,
}

/// What was seen in a reader, and what tells that it is no longer so.
#[derive(Debug, Clone)]
struct Seen {
    looked: Looked,
    since: watch::Receiver<ReaderState>,
}

impl Cards {
    pub(crate) fn new(readers: CardReaders, marks: Vec<Mark>) -> Cards {
        let (changed, _) = watch::channel(0);
        let marks = RwLock::new(marks);
        Cards { readers, marks, looked: Mutex::default(), changed }
    }

    /// What lies there still; `None`: something came or went, or nobody has looked.
    fn seen(&self, reader: &str) -> Option<Looked> {
        let all = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        let Seen { looked, since } = all.get(reader)?;
        since.has_changed().is_ok_and(|changed| !changed).then(|| looked.clone())
    }

    fn keep(&self, seen: Seen) {
        let mut all = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(seen.looked.reader.clone(), seen);
        self.changed.send_modify(|number| *number += 1);
    }
}

impl Service {
    fn cards(&self) -> &Cards {
        &self.inner.cards
    }

    fn card_owners(&self) -> CardOwners {
        let marks = self.cards().marks.read().unwrap_or_else(PoisonError::into_inner).clone();
        CardOwners::new(self.drivers(), marks, self.clock().clone())
    }

    /// What `[[card-mark]]` of the configuration says now. What lies in a reader is looked at anew: it may
    /// be somebody else's, by the marks or by the drivers that there are now.
    pub fn keep_card_marks(&self, marks: Vec<Mark>) {
        let cards = self.cards();
        *cards.marks.write().unwrap_or_else(PoisonError::into_inner) = marks;
        cards.looked.lock().unwrap_or_else(PoisonError::into_inner).clear();
        cards.changed.send_modify(|number| *number += 1);
    }

    /// The driver of a vendor's cards, if there is one.
    pub(crate) fn card_driver(&self, vendor: &VendorCode) -> Option<Arc<Driver>> {
        self.driver(vendor).ok().filter(|driver| driver.abilities().cards)
    }

    /// Whether a card is the way to this meter. A vendor whose driver has cards and a line has meters
    /// of both kinds.
    pub fn has_card(&self, meter: &Meter) -> bool {
        let driver = self.card_driver(&meter.vendor);
        driver.is_some_and(|driver| meter::is_by_card(&meter.line, meter.mode, &driver))
    }

    pub(crate) fn card_reader(&self, name: &str) -> Result<CardReader> {
        let found = self.cards().readers.find(name);
        found.ok_or_else(|| ServiceError::NotFound { what: "reader", id: name.to_owned() })
    }

    /// What lies in which reader, as it was seen last; looked at now where nobody has.
    pub async fn readers(&self) -> Result<Vec<Looked>> {
        let mut all = Vec::new();
        for reader in self.cards().readers.looked().await.readers {
            all.push(match self.cards().seen(reader.name()) {
                Some(looked) => looked,
                None => self.look_at(reader.name()).await?,
            });
        }
        Ok(all)
    }

    /// Grows whenever what [`Service::readers`] tells may have changed.
    pub fn readers_changed(&self) -> watch::Receiver<u64> {
        self.cards().changed.subscribe()
    }

    /// Looks at what lies in a reader, and keeps what the card brought home. Changes nothing on it.
    pub async fn look_at(&self, reader: &str) -> Result<Looked> {
        self.cards().readers.looked().await;
        let reader = self.card_reader(reader)?;
        let service = self.clone();
        to_the_end(async move {
            let mut since = reader.changes();
            since.mark_unchanged();
            let looked = look(&service, &reader).await?;
            if let Finding::Known(card) = &looked.finding {
                if card.verdict == CardVerdict::Maintenance {
                    service.keep_brought_home(card).await?;
                } else if let Some(meter_id) = card.meter_id {
                    service.keep_card(meter_id, card).await?;
                }
            }
            service.cards().keep(Seen { looked: looked.clone(), since });
            Ok(looked)
        })
        .await
    }

    /// Follows all readers for as long as the program runs: a card that is put in is looked at, and what
    /// was left of a sale on it, or of one that is taken back, goes on.
    pub async fn follow_readers(&self) {
        let mut list = self.cards().readers.changes();
        let mut followed: BTreeMap<String, AbortOnDrop> = BTreeMap::new();
        loop {
            list.mark_unchanged();
            for reader in self.cards().readers.all() {
                let name = reader.name().to_owned();
                let follow = || AbortOnDrop(tokio::spawn(self.clone().follow_reader(reader)));
                followed.entry(name).or_insert_with(follow);
            }
            if list.changed().await.is_err() {
                return;
            }
        }
    }

    async fn follow_reader(self, reader: CardReader) {
        let mut changes = reader.changes();
        loop {
            changes.mark_unchanged();
            if let Err(error) = self.card_came(reader.name()).await {
                let (reader, error) = (reader.name(), chain(&error));
                tracing::warn!(reader, error, "what lies in a reader could not be looked at");
            }
            if changes.changed().await.is_err() {
                return;
            }
        }
    }

    async fn card_came(&self, reader: &str) -> Result<()> {
        let looked = self.look_at(reader).await?;
        let Finding::Known(card) = &looked.finding else { return Ok(()) };
        let (vendor, verdict) = (&card.contents.identity.vendor, card.verdict.name());
        tracing::info!(reader, kind = %card.kind, %vendor, verdict, "a card was put in");
        if card.verdict.is_odd() {
            self.audit_odd_card(reader, card).await?;
        }
        if let CardVerdict::Unsettled(sale_id) = card.verdict {
            self.go_on_with_card_sale(sale_id).await?;
            self.look_at(reader).await?;
        }
        if let Some(meter_id) = card.meter_id
            && let Some(act_id) = counter_act::unsettled_of_meter(self.reader(), meter_id).await?
        {
            self.ask_for_act(act_id).await?;
            self.look_at(reader).await?;
        }
        Ok(())
    }

    /// Its card is there again: the card's own record settles it, and what was never written is written.
    async fn go_on_with_card_sale(&self, id: polymeter_domain::SaleId) -> Result<()> {
        let mut state = self.sale(id).await?.state;
        if matches!(state, Sale::Unresolved(_) | Sale::Dispatched(_)) {
            state = self.reconcile_sale(id, &Actor::System).await?.state;
        }
        if state == Sale::Reserved {
            self.deliver_sale(id, &Actor::System).await?;
        }
        Ok(())
    }

    async fn audit_odd_card(&self, reader: &str, card: &KnownCard) -> Result<()> {
        let at = self.clock().at();
        let identity = &card.contents.identity;
        let object = format!("card/{}-{}", identity.vendor, identity.serial);
        let detail = format!("in reader {reader}: {}", card.verdict.sentence());
        self.database()
            .write(move |tx| {
                Box::pin(async move {
                    let act = "card-not-served";
                    let act = Act { at, actor: &Actor::System, act, object, detail: &detail };
                    audit::record(tx.connection(), act).await
                })
            })
            .await
    }

    /// The reader in which the card of this meter lies. Whose a card is is asked every time: it may have
    /// been changed a moment ago.
    pub(crate) async fn reader_with_card_of(&self, meter: &MeterRecord) -> Result<CardReader> {
        let mut others = Vec::new();
        for reader in self.cards().readers.all() {
            let Some(whose) = self.whose(&reader).await? else { continue };
            let Whose::Theirs(Theirs { identity, .. }) = whose else { continue };
            match finding::meter_of(self, &identity).await? {
                Some(found) if found.meter_id == meter.meter_id => return Ok(reader),
                Some(found) => others.push(found.serial_number),
                None => {}
            }
        }
        let what = format!("meter {}", meter.serial_number);
        let why = match others.as_slice() {
            [] => "its card lies in no reader: put it into one".to_owned(),
            others => {
                format!("its card lies in no reader; there is that of meter {}", others.join(", "))
            }
        };
        Err(ServiceError::Blocked { what, why })
    }

    /// The named reader, or the only one, in which a card lies that can become this meter's: a blank one,
    /// or its own, where an opening is repeated.
    pub(crate) async fn reader_to_open(
        &self,
        meter: &MeterRecord,
        named: Option<&str>,
    ) -> Result<CardReader> {
        let readers = match named {
            Some(name) => vec![self.card_reader(name)?],
            None => self.cards().readers.all(),
        };
        let mut fit = Vec::new();
        for reader in readers {
            let fits = match self.whose(&reader).await? {
                Some(Whose::Nobodys(Finding::Blank { vendors, .. })) => {
                    vendors.contains(&meter.vendor)
                }
                Some(Whose::Theirs(Theirs { identity, .. })) => {
                    let of = finding::meter_of(self, &identity).await?;
                    of.is_some_and(|of| of.meter_id == meter.meter_id)
                }
                _ => false,
            };
            if fits {
                fit.push(reader);
            }
        }
        let blocked = |why: String| {
            let what = format!("meter {}", meter.serial_number);
            Err(ServiceError::Blocked { what, why })
        };
        match fit.len() {
            0 => blocked(format!(
                "no reader holds a blank card that can become one of vendor {}: put one in",
                meter.vendor
            )),
            1 => Ok(fit.swap_remove(0)),
            _ => {
                let names: Vec<&str> = fit.iter().map(CardReader::name).collect();
                blocked(format!("say which reader: {} hold a blank card", names.join(" and ")))
            }
        }
    }

    /// `None`: no card is there that anybody could ask.
    async fn whose(&self, reader: &CardReader) -> Result<Option<Whose>> {
        if !matches!(reader.state(), ReaderState::Card(_)) {
            return Ok(None);
        }
        match reader.lease().await {
            Ok(mut lease) => {
                let whose = self.card_owners().whose(&mut lease).await;
                whose.map(Some).map_err(ServiceError::Card)
            }
            // It was pulled in this moment.
            Err(_) => Ok(None),
        }
    }

    /// Before money is taken: whether the card of the meter is there and fits. Meters without a card pass.
    pub(crate) async fn check_card_sells(&self, meter: &MeterRecord) -> Result<()> {
        let driver = self.card_driver(&meter.vendor).filter(|driver| meter.is_by_card(driver));
        let Some(driver) = driver else { return Ok(()) };
        let reader = self.reader_with_card_of(meter).await?;
        let contents = {
            let mut lease = reader.lease().await.map_err(ServiceError::Card)?;
            let contents =
                driver.check_card(&mut lease, Some(&meter.device), self.clock().moment()).await;
            contents.map_err(|error| ServiceError::device(&driver, "card", error))?
        };
        match finding::judge(self, Some(meter), &driver, &contents).await? {
            CardVerdict::Sellable => Ok(()),
            // Told as for any other meter.
            CardVerdict::NotOpen => Ok(()),
            CardVerdict::Unsettled(sale_id) => {
                let serial_number = meter.serial_number.clone();
                Err(ServiceError::Unsettled { serial_number, sale_id })
            }
            verdict => Err(ServiceError::Blocked {
                what: format!("the card of meter {}", meter.serial_number),
                why: verdict.sentence(),
            }),
        }
    }

    /// A supervisor says that the meter has taken the last purchase, though its card does not show it.
    pub async fn say_card_is_taken(&self, id: MeterId, reason: &str, actor: &Actor) -> Result<()> {
        let reason = reason_of(reason)?;
        let (at, actor) = (self.clock().at(), actor.clone());
        self.database()
            .write(move |tx| {
                Box::pin(async move {
                    let meter = meter::record(&mut *tx.connection(), id).await?;
                    let count = meter.purchase_count.and_then(|it| u32::try_from(it).ok());
                    let said = match count {
                        Some(count) => store::say_taken(tx.connection(), id, count).await?,
                        None => false,
                    };
                    if !said {
                        let what = format!("meter {}", meter.serial_number);
                        let why = "it has no card with a purchase".to_owned();
                        return Err(ServiceError::Blocked { what, why });
                    }
                    let object = format!("meter/{id}");
                    let detail = format!("purchase {}: {reason}", count.unwrap_or_default());
                    let act = "card-said-taken";
                    let act = Act { at, actor: &actor, act, object, detail: &detail };
                    audit::record(tx.connection(), act).await
                })
            })
            .await
    }

    /// Takes a card that fits for its meter's, where that has none, and keeps what it brought home.
    async fn keep_card(&self, meter_id: MeterId, card: &KnownCard) -> Result<()> {
        let contents = &card.contents;
        let fits = card.verdict.serves_account();
        if !fits || contents.identity.purpose != CardPurpose::User {
            return Ok(());
        }
        self.take_in(meter_id, contents).await?;
        match &contents.written_back {
            Some(back) => self.keep_written_back(meter_id, back).await,
            None => Ok(()),
        }
    }

    async fn take_in(&self, meter_id: MeterId, contents: &CardContents) -> Result<()> {
        let meter = meter::record(self.reader(), meter_id).await?;
        let Some(customer_id) = meter.customer_id else { return Ok(()) };
        if store::current(self.reader(), meter_id).await?.is_some() {
            return Ok(());
        }
        let (at, identity) = (self.clock().at(), contents.identity.clone());
        self.database()
            .write(move |tx| {
                Box::pin(async move {
                    let card = &identity;
                    let connection = tx.connection();
                    if !store::take_in(connection, meter_id, customer_id, card, at).await? {
                        return Ok(());
                    }
                    let object = format!("meter/{meter_id}");
                    let detail = format!("card {} of {}", identity.serial, identity.vendor);
                    let act = "card-taken-in";
                    let act = Act { at, actor: &Actor::System, act, object, detail: &detail };
                    audit::record(tx.connection(), act).await
                })
            })
            .await
    }

    /// As a reading of the meter; the same again is no news.
    async fn keep_written_back(&self, meter_id: MeterId, back: &WrittenBack) -> Result<()> {
        let snapshot = snapshot_of(back);
        let last = self.last_reading(meter_id).await?;
        if last.is_some_and(|last| last.snapshot == snapshot) {
            return Ok(());
        }
        let reading = Reading {
            reading_id: ReadingId::new(self.clock().id()),
            meter_id,
            at: self.clock().at(),
            drift: None,
            snapshot,
        };
        let by = format!("reading/{}", reading.reading_id);
        self.keep_reading(reading).await?;
        let known = meter::record(self.reader(), meter_id).await?.purchase_count;
        // Behind is what a meter is until its customer puts the card in.
        if known.is_some_and(|known| i64::from(back.count.get()) > known) {
            self.compare_reading(meter_id, known, Some(back.count), by).await?;
        }
        Ok(())
    }
}

/// A task that ends with whoever started it.
struct AbortOnDrop(JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn look(service: &Service, reader: &CardReader) -> Result<Looked> {
    let finding = match finding::without_card(reader.state()) {
        Some(finding) => finding,
        None => match reader.lease().await {
            Ok(mut lease) => match finding::find(service, &mut lease).await {
                Err(ServiceError::Card(error)) => {
                    Finding::Unknown { kind: Some(lease.card().kind), why: error.to_string() }
                }
                found => found?,
            },
            Err(error) => finding::without_card(reader.state())
                .unwrap_or(Finding::Unknown { kind: None, why: error.to_string() }),
        },
    };
    Ok(Looked { reader: reader.name().to_owned(), finding })
}

/// What a device wrote on its card, as a reading of it has it.
fn snapshot_of(back: &WrittenBack) -> Snapshot {
    let mut measurements = back.measurements.clone();
    let count = ObisCode::new(COUNT_REGISTER).ok();
    if let Some(register) = count
        && measurements.iter().all(|it| it.register != register)
    {
        let value = Value::Number(Decimal { mantissa: i64::from(back.count.get()), scale: 0 });
        measurements.push(Measurement {
            register,
            value,
            unit: Unit(255),
            quality: Quality::Measured,
        });
    }
    let mut extras = back.extras.clone();
    if let Some(at) = back.at {
        extras.push((WRITTEN_AT.to_owned(), Value::Time(at)));
    }
    Snapshot { measurements, supply: SupplyState::Unknown, extras }
}

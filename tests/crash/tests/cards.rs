//! A card pulled at every command of every act at the counter: what the books say afterwards is what the
//! meter holds, whether the card comes back at once or goes to the meter first.
//!
//! The service is the real one, with the driver as it is shipped and a card that is pulled at that command.
//! Not here: a real PC/SC daemon (e2e), the same of drivers without books (conformance).

use anyhow::{Context, Result, bail, ensure};
use meter_sim::card::{AcmeMeter, Bay, Card, CardFault, CardFaultKind, acme};
use polymeter_domain::tariff::Terms;
use polymeter_domain::{
    ActState, Channel, CounterActId, Currency, CustomerId, CustomerNumber, LocalTime, MeterAddress,
    MeterId, Money, Region, Sale, SaleId, VendorCode,
};
use polymeter_ledger::Database;
use polymeter_runtime::{Capability, Driver, DriverConfig, Limits, Options, Runtime, Vault};
use polymeter_service::{
    ActKind, ActRequest, Actor, Assignment, CardVerdict, Clock, Edition, Finding, Fitting,
    NewCustomer, NewMeter, NewPlan, Parts, Rules, SaleRequest, Service, Subject, UnixMs,
};
use polymeter_transport::{
    CardError, CardReader, CardReaders, CardSlot, ReaderProfiles, SlotEvents,
};
use polymeter_vault::{Kind, Secret};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use uuid::Uuid;

static NONCES: AtomicU64 = AtomicU64::new(1);

const DEVICE: [u8; 6] = [0, 0, 0, 0, 0, 0x77];
const DEVICE_TEXT: &str = "000000000077";
const DATABASE: &str = "polymeter.db";
const READER: &str = "Virtual PCD 00 00";
const AT: LocalTime = LocalTime { year: 2026, month: 3, day: 2, hour: 10, minute: 0, second: 0 };
/// Bytes that a memory card has taken of what is written when it is pulled within.
const WITHIN: usize = 3;

fn keys() -> acme::AcmeKeys {
    acme::AcmeKeys { psc: vec![0x51; 32], data: vec![0x52; 32] }
}

/// A reader whose card is a simulated one.
struct Slot(Bay);

impl CardSlot for Slot {
    fn begin(&mut self) -> Result<Vec<u8>, CardError> {
        self.0.power_on().map_err(|_| CardError::Gone)
    }

    fn transmit(&mut self, command: &[u8]) -> Result<Vec<u8>, CardError> {
        self.0.transmit(command).map_err(|_| CardError::Gone)
    }

    fn end(&mut self) {
        self.0.power_off();
    }
}

/// A counter with one reader, and the meter at the customer's.
struct Counter {
    service: Service,
    slot: Bay,
    events: SlotEvents,
    meter: AcmeMeter,
    meter_id: MeterId,
    customer_id: CustomerId,
    follower: JoinHandle<()>,
    folder: TempDir,
}

impl Drop for Counter {
    fn drop(&mut self) {
        self.follower.abort();
    }
}

/// What each trial begins with.
struct Beginning {
    driver: Arc<Driver>,
    /// The database's, by their names.
    files: Vec<(String, Vec<u8>)>,
    card: Card,
    meter: AcmeMeter,
    meter_id: MeterId,
    customer_id: CustomerId,
}

fn clock() -> Clock {
    let began = Instant::now();
    Clock {
        now: Arc::new(move || {
            let passed = i64::try_from(began.elapsed().as_millis()).unwrap_or_default();
            (UnixMs(1_772_416_800_000 + passed), AT)
        }),
        local: Arc::new(|_| AT),
        nonce: Arc::new(|| {
            // Odd, so that no two of them are the same.
            let spread = NONCES.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            (u128::from(spread) << 64 | u128::from(spread)).to_be_bytes()
        }),
    }
}

fn folder() -> Result<TempDir> {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    Ok(made?)
}

async fn driver() -> Result<Arc<Driver>> {
    let vendor = VendorCode::new("ACME")?;
    let secret = |key: &[u8]| {
        let text: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
        Secret::from_hex(text.as_bytes()).context("hex")
    };
    let vault = Vault::default()
        .with(vendor.clone(), "card-psc", Kind::Hmac, secret(&keys().psc)?)
        .context("a key")?
        .with(vendor.clone(), "card-data", Kind::Hmac, secret(&keys().data)?)
        .context("a key")?;
    let config = DriverConfig {
        name: "card-sle4442-acme".to_owned(),
        vendor: Some(vendor),
        cover: None,
        region: Some(Region::new("north")?),
        grants: vec![Capability::CardSlot, Capability::Vault, Capability::Log],
        limits: Limits::default(),
        written: BTreeSet::new(),
    };
    let runtime = Runtime::new(Options::in_process(vault))?;
    let component = std::fs::read(e2e::drivers()?.join("card-sle4442-acme.wasm"))?;
    Ok(runtime.load(config, &component).await?)
}

type Serving = (Service, SlotEvents, JoinHandle<()>);

async fn serve(driver: &Arc<Driver>, folder: &Path, slot: Slot) -> Result<Serving> {
    let (reader, events) = CardReader::over("counter", READER, &ReaderProfiles::built_in(), slot);
    let edition = Edition {
        digest: "shipped".to_owned(),
        driver: Arc::clone(driver),
        file: PathBuf::from("shipped"),
        signer: None,
        settings: String::new(),
    };
    let parts = Parts {
        database: Database::open(&folder.join(DATABASE)).await?,
        drivers: vec![Fitting { current: edition, candidate: None }],
        lines: Vec::new(),
        currency: Currency::CNY,
        clock: clock(),
        rules: Rules::default(),
        readers: CardReaders::of(vec![reader]),
        marks: Vec::new(),
    };
    let service = Service::start(parts).await?;
    let followed = service.clone();
    let follower = tokio::spawn(async move { followed.follow_readers().await });
    Ok((service, events, follower))
}

impl Beginning {
    /// A meter with an open account, whose card has been in the meter once, and once more with 20.00.
    async fn new() -> Result<Beginning> {
        let driver = driver().await?;
        let folder = folder()?;
        let slot = Bay::default();
        let (service, events, follower) = serve(&driver, folder.path(), Slot(slot.clone())).await?;
        let new = NewPlan {
            name: "Flat".to_owned(),
            from: "2000-01-01".parse().ok().context("a day")?,
            definition: "unit kWh\nprice 0.52\n".to_owned(),
        };
        let plan_id = service.add_plan(new, &Actor::System).await?.plan_id;
        let meter = NewMeter {
            serial_number: "C-1".to_owned(),
            vendor: VendorCode::new("ACME")?,
            line: String::new(),
            address: MeterAddress::new(DEVICE_TEXT)?,
            parameters: Vec::new(),
            mode: None,
            tariff: Assignment { plan_id, from: None, terms: Terms::default() },
        };
        let meter_id = service.add_meter(meter, &Actor::System).await?.meter_id;
        let customer = NewCustomer {
            number: CustomerNumber::new("11")?,
            name: "Somebody".to_owned(),
            phone: String::new(),
            premises: String::new(),
        };
        let customer_id = service.add_customer(customer, &Actor::System).await?.customer_id;
        let mut meter = AcmeMeter::new(DEVICE, keys());
        meter.purse.stage = meter_sim::card::Stage::Cleared;
        let mut counter =
            Counter { service, slot, events, meter, meter_id, customer_id, follower, folder };
        let card = blank(1);
        counter.put_in(&card).await?;
        counter.open().await?;
        counter.take_out();
        counter.meter.insert(&card);
        counter.put_in(&card).await?;
        counter.sell(SaleId::new(Uuid::now_v7()), 2000).await?;
        counter.take_out();
        counter.meter.insert(&card);
        let meter = counter.meter.clone();
        ensure!(meter.purse.credited_fen == 2000, "{:?}", meter.purse);
        // Nobody writes now; what is in the log beside the database is copied with it.
        let mut files = Vec::new();
        for name in [DATABASE.to_owned(), format!("{DATABASE}-wal")] {
            files.push((name.clone(), std::fs::read(counter.folder.path().join(name))?));
        }
        Ok(Beginning { driver, files, card, meter, meter_id, customer_id })
    }

    async fn again(&self) -> Result<Counter> {
        let folder = folder()?;
        for (name, bytes) in &self.files {
            std::fs::write(folder.path().join(name), bytes)?;
        }
        let slot = Bay::default();
        let (service, events, follower) =
            serve(&self.driver, folder.path(), Slot(slot.clone())).await?;
        let (meter, meter_id, customer_id) = (self.meter.clone(), self.meter_id, self.customer_id);
        Ok(Counter { service, slot, events, meter, meter_id, customer_id, follower, folder })
    }
}

fn blank(number: u8) -> Card {
    Card::sle4442(acme::blank([0, 0, 0, 0, 0, 0, 0, number]))
}

impl Counter {
    /// And waits until it was looked at.
    async fn put_in(&self, card: &Card) -> Result<Finding> {
        self.slot.put_in(card);
        self.events.inserted();
        self.until(|finding| !matches!(finding, Finding::Empty | Finding::Gone(_))).await
    }

    fn take_out(&self) {
        self.slot.take_out();
        self.events.removed();
    }

    async fn until(&self, is_it: impl Fn(&Finding) -> bool) -> Result<Finding> {
        for _ in 0..400 {
            let looked = self.service.readers().await?.swap_remove(0);
            if is_it(&looked.finding) {
                return Ok(looked.finding);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        bail!("the reader shows {:?}", self.service.readers().await?)
    }

    async fn open(&self) -> Result<()> {
        let opened = self.service.open_account(self.meter_id, self.customer_id, &Actor::System);
        opened.await?;
        Ok(())
    }

    async fn sell(&self, id: SaleId, fen: i64) -> Result<Sale> {
        let request = SaleRequest::new(self.meter_id, Money::new(fen, Currency::CNY));
        let wait = Duration::from_secs(20);
        Ok(self.service.put_sale_and_wait(id, request, wait, &Actor::System).await?.state)
    }

    /// What the ledger says that the meter was sold: posted, and still pending.
    async fn booked(&self) -> Result<(i64, i64)> {
        let balance = self.service.trial_balance().await?;
        let name = format!("meter-credit/{}", self.meter_id);
        let line = balance.lines.iter().find(|line| line.account == name);
        let line = line.context("the meter's account")?;
        let posted = line.credits_posted.minor() - line.debits_posted.minor();
        Ok((posted, line.credits_pending.minor() + line.debits_pending.minor()))
    }
}

/// Whether the card comes back to the counter at once, or was in the meter before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    Back,
    ToTheMeter,
}

/// One sale of 50.00 with the card pulled at that command; `false`: there were not so many.
async fn pulled(beginning: &Beginning, at: u64, kind: CardFaultKind, then: Then) -> Result<bool> {
    let mut counter = beginning.again().await?;
    let card = beginning.card.image();
    let finding = counter.put_in(&card).await?;
    let is_sellable =
        matches!(&finding, Finding::Known(known) if known.verdict == CardVerdict::Sellable);
    ensure!(is_sellable, "{finding:?}");
    let (before, id) = (card.commands(), SaleId::new(Uuid::now_v7()));
    card.fault(CardFault { at, kind });
    let sold = counter.sell(id, 5000).await;
    let was_pulled = counter.slot.is_empty();
    if !was_pulled {
        card.clear_faults();
        ensure!(matches!(sold, Ok(Sale::Confirmed(_))), "{sold:?} after {before} commands");
        return Ok(false);
    }
    counter.take_out();
    if then == Then::ToTheMeter {
        counter.meter.insert(&card);
    }
    counter.put_in(&card).await?;
    // Whoever follows the readers settles it, if there is anything to settle.
    let settled = async {
        loop {
            match counter.service.sale(id).await {
                Ok(sale) if !sale.state.is_settled() => {}
                Ok(sale) => return Ok::<_, anyhow::Error>(Some(sale.state)),
                Err(_) => return Ok(None),
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let state = tokio::time::timeout(Duration::from_secs(20), settled).await;
    let Ok(state) = state else {
        let history = counter.service.sale(id).await?.history;
        bail!("the sale is not settled: {history:?}, {:?}", counter.service.readers().await?);
    };
    let state = state?;
    counter.take_out();
    counter.meter.insert(&card);
    let sold_fen: u64 = match state {
        Some(Sale::Confirmed(_)) => 5000,
        // It was pulled before any money was taken.
        None => 0,
        other => bail!("the sale ended as {other:?}"),
    };
    let purse = &counter.meter.purse;
    ensure!(purse.credited_fen == 2000 + sold_fen, "the meter was credited {purse:?}");
    let (posted, pending) = counter.booked().await?;
    let credited = i64::try_from(purse.credited_fen)?;
    ensure!((posted, pending) == (credited, 0), "booked {posted}, {pending} pending: {purse:?}");
    ensure!(card.truth().wrong == 0, "a wrong code was presented");
    Ok(true)
}

/// A sale of 50.00 that is on the card is taken back, with the card pulled at that command; `false`: there
/// were not so many.
async fn taken_back(
    beginning: &Beginning,
    at: u64,
    kind: CardFaultKind,
    then: Then,
) -> Result<bool> {
    let mut counter = beginning.again().await?;
    let card = beginning.card.image();
    counter.put_in(&card).await?;
    let sale = SaleId::new(Uuid::now_v7());
    let sold = counter.sell(sale, 5000).await?;
    ensure!(matches!(sold, Sale::Confirmed(_)), "{sold:?}");
    card.fault(CardFault { at, kind });
    let (id, request) = (CounterActId::new(Uuid::now_v7()), refund(sale));
    let act = counter.service.put_act(id, request, &Actor::System).await?;
    let was_pulled = counter.slot.is_empty();
    if !was_pulled {
        card.clear_faults();
        ensure!(act_settled(&counter.service, id).await? == ActState::Confirmed, "{act:?}");
        let is_empty = |finding: &Finding| match finding {
            Finding::Known(card) => card.contents.purchase.is_some_and(|it| it.credit.amount == 0),
            _ => false,
        };
        counter.until(is_empty).await.context("the reader shows the card as it was")?;
        goes_on(&mut counter, &card).await?;
        return Ok(false);
    }
    counter.take_out();
    if then == Then::ToTheMeter {
        counter.meter.insert(&card);
    }
    counter.put_in(&card).await?;
    // Whoever follows the readers settles it.
    let state = act_settled(&counter.service, id).await?;
    let has_gone_back = state == ActState::Confirmed;
    counter.take_out();
    counter.meter.insert(&card);
    let held_fen = if has_gone_back { 2000 } else { 7000 };
    ensure!(counter.meter.purse.credited_fen == held_fen, "{has_gone_back}: {:?}", counter.meter);
    let booked = counter.booked().await?;
    ensure!(booked == (i64::try_from(held_fen)?, 0), "{has_gone_back}: booked {booked:?}");
    ensure!(card.truth().wrong == 0, "a wrong code was presented");
    Ok(true)
}

/// By whoever asked for it, or whoever saw the card come.
async fn act_settled(service: &Service, id: CounterActId) -> Result<ActState> {
    let settled = async {
        loop {
            let act = service.act(id).await?;
            if act.state.is_settled() {
                return Ok::<_, anyhow::Error>(act.state);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    match tokio::time::timeout(Duration::from_secs(20), settled).await {
        Ok(state) => state,
        Err(_) => bail!("{:?}, {:?}", service.act(id).await?.history, service.readers().await?),
    }
}

fn refund(sale: SaleId) -> ActRequest {
    let channel = Some(Channel::Cash);
    let reason = "changed his mind".to_owned();
    ActRequest { kind: ActKind::Refund, subject: Subject::Sale(sale), channel, reason }
}

/// After 50.00 went back off the card: a card in its place brings nothing, the meter counts the purchase as
/// one of nothing, and the next sale is one like any other. What the meter has taken does not go back.
async fn goes_on(counter: &mut Counter, card: &Card) -> Result<()> {
    counter.take_out();
    let other = blank(2);
    counter.put_in(&other).await?;
    let replaced = counter.service.replace_card(counter.meter_id, None, "lost", &Actor::System);
    replaced.await?;
    counter.take_out();
    counter.meter.insert(&other);
    counter.meter.insert(card);
    ensure!(counter.meter.purse.credited_fen == 2000, "{:?}", counter.meter);
    counter.put_in(&other).await?;
    let sale = SaleId::new(Uuid::now_v7());
    let sold = counter.sell(sale, 700).await?;
    ensure!(matches!(sold, Sale::Confirmed(_)), "{sold:?}");
    counter.take_out();
    counter.meter.insert(&other);
    ensure!(counter.meter.purse.credited_fen == 2700, "{:?}", counter.meter);
    counter.put_in(&other).await?;
    let (id, request) = (CounterActId::new(Uuid::now_v7()), refund(sale));
    let act = counter.service.put_act(id, request, &Actor::System).await?;
    ensure!(act_settled(&counter.service, id).await? == ActState::Refused, "{act:?}");
    ensure!(counter.booked().await? == (2700, 0), "{:?}", counter.booked().await?);
    Ok(())
}

/// Each command of that act, cut in each way, and the card going either way then; how many cuts.
async fn cut_everywhere<F: Future<Output = Result<bool>>>(
    act: impl Fn(u64, CardFaultKind, Then) -> F,
) -> Result<u64> {
    let kinds = [
        CardFaultKind::PulledBefore,
        CardFaultKind::PulledWithin { bytes: WITHIN },
        CardFaultKind::PulledAfter,
    ];
    let mut cuts = 0;
    for kind in kinds {
        for then in [Then::Back, Then::ToTheMeter] {
            let mut at = 1;
            let name = |at| format!("{kind:?} at {at}, {then:?}");
            while act(at, kind, then).await.with_context(|| name(at))? {
                (cuts, at) = (cuts + 1, at + 1);
            }
            ensure!(at > 10, "it is more than {at} commands");
        }
    }
    Ok(cuts)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_card_pulled_at_any_command_of_a_sale_neither_loses_nor_doubles_money() -> Result<()> {
    let beginning = Beginning::new().await?;
    let cuts = cut_everywhere(|at, kind, then| pulled(&beginning, at, kind, then)).await?;
    println!("cards pulled while they were sold to: {cuts} cut points, 0 lost, 0 doubled");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_card_pulled_at_any_command_of_a_refund_neither_loses_nor_doubles_money() -> Result<()> {
    let beginning = Beginning::new().await?;
    let cuts = cut_everywhere(|at, kind, then| taken_back(&beginning, at, kind, then)).await?;
    println!("cards pulled while a sale was taken back: {cuts} cut points, 0 lost, 0 doubled");
    Ok(())
}

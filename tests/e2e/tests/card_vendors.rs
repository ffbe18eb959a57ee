//! The cards of several vendors at one reader, with the drivers as they are shipped, the host's vault,
//! simulated cards and the meters that take them: each card is its own vendor's and nobody else's, each
//! lives from blank to blank, and no random card loses a try or a byte by being asked whose it is.
//!
//! Not here: books and mark cells (crash, service), a real PC/SC daemon.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use meter_sim::card::{
    AcmeMeter, Bay, Card, Chip, CpuCard, CpuKeys, LunaMeter, Purse, SgMeter, Shown, Stage, acme,
    luna,
};
use polymeter_domain::{
    CardContents, CardOrder, CardPurpose, Credit, CustomerNumber, Delivery, LocalTime,
    MeterAddress, Purchase, PurchaseCount, Quantity, Region, Uptake, VendorCode,
};
use polymeter_runtime::{
    Capability, Device, Driver, DriverConfig, Limits, Moment, Options, Runtime, Vault,
};
use polymeter_transport::{
    CardError, CardLease, CardReader, CardSlot, ReaderProfiles, ReaderState, SlotEvents,
};
use polymeter_vault::{Kind, Secret};

const KEY: [u8; 16] = *b"on no real card!";
const RANDOM_CARDS: u64 = 10_000;

/// A device's number as it stands on cards.
fn number(last: u8) -> [u8; 6] {
    [0, 0, 0, 0, 0, last]
}

enum Meter {
    Acme(AcmeMeter),
    Sg(SgMeter),
    Luna(LunaMeter),
}

impl Meter {
    fn insert(&mut self, card: &Card) -> Shown {
        match self {
            Meter::Acme(meter) => meter.insert(card),
            Meter::Sg(meter) => meter.insert(card),
            Meter::Luna(meter) => meter.insert(card),
        }
    }

    fn purse(&mut self) -> &mut Purse {
        match self {
            Meter::Acme(meter) => &mut meter.purse,
            Meter::Sg(meter) => &mut meter.purse,
            Meter::Luna(meter) => &mut meter.purse,
        }
    }
}

/// A vendor: its driver's folder, its code, its keys, a blank card by number, and a meter.
struct Vendor {
    folder: &'static str,
    code: &'static str,
    keys: &'static [(&'static str, Kind)],
    blank: fn(u8) -> Card,
    meter: fn() -> Meter,
}

fn acme_keys() -> acme::AcmeKeys {
    acme::AcmeKeys { psc: KEY.to_vec(), data: KEY.to_vec() }
}

fn luna_keys() -> luna::LunaKeys {
    luna::LunaKeys { read: KEY.to_vec(), write: KEY.to_vec(), data: KEY.to_vec() }
}

const VENDORS: [Vendor; 3] = [
    Vendor {
        folder: "card-sle4442-acme",
        code: "ACME",
        keys: &[("card-psc", Kind::Hmac), ("card-data", Kind::Hmac)],
        blank: |card| Card::sle4442(acme::blank([0, 0, 0, 0, 0, 0, 0, card])),
        meter: || Meter::Acme(AcmeMeter::new(number(0x41), acme_keys())),
    },
    Vendor {
        folder: "card-sg-cpu",
        code: "SGCPU",
        keys: &[
            ("card-internal", Kind::TripleDes),
            ("card-external", Kind::TripleDes),
            ("card-mac", Kind::TripleDes),
        ],
        blank: |card| Card::cpu(CpuCard::blank([0, 0, 0, 0, 0, 0, 0, card], &CpuKeys::same(KEY))),
        meter: || Meter::Sg(SgMeter::new(number(0x41), CpuKeys::same(KEY))),
    },
    Vendor {
        folder: "card-m1-luna",
        code: "LUNA",
        keys: &[("card-read", Kind::Hmac), ("card-write", Kind::Hmac), ("card-data", Kind::Hmac)],
        blank: |card| Card::new(Chip::MifareClassic(Box::new(luna::blank([0xA0, 0, 0, card])))),
        meter: || Meter::Luna(LunaMeter::new(number(0x41), luna_keys())),
    },
];

#[derive(Clone, Default)]
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

/// One reader, and all vendors' drivers in the order of [`VENDORS`].
struct Counter {
    reader: CardReader,
    events: SlotEvents,
    slot: Slot,
    drivers: Vec<Arc<Driver>>,
}

impl Counter {
    async fn new() -> Counter {
        let mut vault = Vault::default();
        for vendor in &VENDORS {
            for (label, kind) in vendor.keys {
                let code = VendorCode::new(vendor.code).expect("a code");
                let key = Secret::new(KEY.to_vec());
                vault = vault.with(code, label, *kind, key).expect("a key");
            }
        }
        let runtime = Runtime::new(Options::in_process(vault)).expect("an engine");
        let mut drivers = Vec::new();
        for vendor in &VENDORS {
            let config = DriverConfig {
                name: vendor.folder.to_owned(),
                vendor: Some(VendorCode::new(vendor.code).expect("a code")),
                cover: None,
                region: None,
                grants: vec![Capability::CardSlot, Capability::Vault, Capability::Log],
                limits: Limits::default(),
                written: Default::default(),
            };
            let file = e2e::drivers().expect("built").join(vendor.folder).with_extension("wasm");
            let component = std::fs::read(&file).unwrap_or_else(|_| panic!("{}", file.display()));
            drivers.push(runtime.load(config, &component).await.expect("loads"));
        }
        let slot = Slot::default();
        let (reader, events) = open_reader(slot.clone());
        Counter { reader, events, slot, drivers }
    }

    /// Takes out what lies there and puts this in; none: no profile knows its kind.
    async fn put(&self, card: &Card) -> Option<CardLease> {
        self.slot.0.take_out();
        self.events.removed();
        self.until(|state| *state == ReaderState::Empty).await;
        self.slot.0.put_in(card);
        self.events.inserted();
        match self.until(|state| *state != ReaderState::Empty).await {
            ReaderState::Card(_) => Some(self.reader.lease().await.expect("it is free")),
            _ => None,
        }
    }

    /// The card is done with at the counter; the customer has it.
    fn take_out(&self, lease: CardLease) {
        drop(lease);
        self.slot.0.take_out();
    }

    async fn until(&self, what: impl Fn(&ReaderState) -> bool) -> ReaderState {
        let mut changes = self.reader.changes();
        let wait = tokio::time::timeout(Duration::from_secs(30), changes.wait_for(|it| what(it)));
        wait.await.expect("it comes").expect("the reader's thread runs").clone()
    }

    /// Whose driver says that the card is its own. An error is no yes.
    async fn whose(&self, card: &Card) -> Vec<&'static str> {
        let Some(mut lease) = self.put(card).await else { return Vec::new() };
        let mut yes = Vec::new();
        for (vendor, driver) in VENDORS.iter().zip(&self.drivers) {
            if let Ok(Some(_)) = driver.identify_card(&mut lease, None, moment()).await {
                yes.push(vendor.code);
            }
        }
        yes
    }
}

fn open_reader(slot: Slot) -> (CardReader, SlotEvents) {
    CardReader::over("counter-1", "ACS ACR1281 00 00", &ReaderProfiles::built_in(), slot)
}

fn moment() -> Moment {
    let now = LocalTime { year: 2026, month: 3, day: 2, hour: 10, minute: 0, second: 0 };
    Moment { now, nonce: [7; 16] }
}

fn device() -> Device {
    let address = MeterAddress::new("000000000041").expect("an address");
    Device { address, parameters: Vec::new() }
}

fn order(purchase: Option<(u32, u64)>) -> CardOrder {
    CardOrder {
        purpose: CardPurpose::User,
        region: Some(Region::new("north").expect("a region")),
        customer_number: Some(CustomerNumber::new("77").expect("a number")),
        purchase: purchase.map(|(count, amount)| Purchase {
            count: PurchaseCount::new(count),
            credit: Credit { quantity: Quantity::Money, amount },
        }),
        parameters: Vec::new(),
    }
}

#[track_caller]
fn confirmed(outcome: &Delivery, count: u32) {
    let Delivery::Confirmed(receipt) = outcome else { panic!("{outcome:?}") };
    assert_eq!(receipt.count.get(), count);
}

/// Opened, taken, sold to twice, lost and replaced, emptied; and what its meter holds then.
async fn life(counter: &Counter, vendor: &Vendor, driver: &Driver) -> i64 {
    let (device, mut meter) = (device(), (vendor.meter)());
    let mut card = (vendor.blank)(1);
    meter.purse().stage = Stage::Cleared;
    let mut lease = counter.put(&card).await.expect("a kind");
    let opened = driver.open_card(&mut lease, &device, moment(), &order(Some((1, 5_000)))).await;
    confirmed(&opened.outcome, 1);
    counter.take_out(lease);
    assert_eq!(meter.insert(&card), Shown::Credited { amount_fen: 5_000 }, "{}", vendor.code);
    for (count, amount) in [(2, 700_u32), (3, 800)] {
        let bought = order(Some((count, amount.into())));
        let mut lease = counter.put(&card).await.expect("a kind");
        let before = check(driver, &mut lease).await;
        assert_eq!(before.uptake, Uptake::Taken, "{}", vendor.code);
        let sold = driver.sell_to_card(&mut lease, &device, moment(), &bought).await;
        confirmed(&sold.outcome, count);
        let after = check(driver, &mut lease).await;
        assert_eq!(after.purchase, bought.purchase);
        assert_eq!(after.uptake, Uptake::Waiting, "{}", vendor.code);
        counter.take_out(lease);
        if count == 3 {
            // Lost on the way home.
            card = (vendor.blank)(2);
            let mut lease = counter.put(&card).await.expect("a kind");
            let new = driver.replace_card(&mut lease, &device, moment(), &bought).await;
            confirmed(&new.outcome, count);
            counter.take_out(lease);
        }
        assert_eq!(meter.insert(&card), Shown::Credited { amount_fen: amount });
        assert_eq!(meter.insert(&card), Shown::Known);
    }
    let mut lease = counter.put(&card).await.expect("a kind");
    let home = check(driver, &mut lease).await.written_back.expect("brought home");
    assert_eq!(home.count.get(), 3);
    confirmed(&driver.clear_card(&mut lease, None, moment()).await.outcome, 0);
    let found = driver.identify_card(&mut lease, None, moment()).await.expect("an answer");
    assert_eq!(found.map(|it| it.purpose), Some(CardPurpose::Blank), "{}", vendor.code);
    // A wrong key costs a card nothing that does not count them.
    let truth = card.truth();
    assert!(truth.wrong == 0 || truth.tries_left.is_none(), "{}: a wrong code", vendor.code);
    meter.purse().money_fen
}

async fn check(driver: &Driver, lease: &mut CardLease) -> CardContents {
    driver.check_card(lease, Some(&device()), moment()).await.expect("an answer")
}

#[tokio::test(flavor = "multi_thread")]
async fn each_card_is_its_own_vendors_and_lives_from_blank_to_blank() {
    let counter = Counter::new().await;
    for (vendor, driver) in VENDORS.iter().zip(&counter.drivers) {
        assert_eq!(counter.whose(&(vendor.blank)(1)).await, [vendor.code]);
        assert_eq!(life(&counter, vendor, driver).await, 6_500, "{}", vendor.code);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_random_cards_are_shown_to_every_driver_and_lose_nothing() {
    let counter = Counter::new().await;
    let mut said = BTreeMap::new();
    for seed in 0..RANDOM_CARDS {
        let card = Card::random(seed);
        let before = card.truth();
        let whose = counter.whose(&card).await;
        let after = card.truth();
        assert_eq!((after.memory, after.tries_left), (before.memory, before.tries_left), "{seed}");
        *said.entry(whose).or_insert(0) += 1;
    }
    println!("{RANDOM_CARDS} random cards, by who said that it is his: {said:?}");
    // Some are nearly a vendor's, and a blank one is one's; none is two vendors'.
    assert!(said.keys().all(|whose| whose.len() <= 1), "{said:?}");
}

//! A driver of cards (tests/conformance/misbehaving-card) on simulated cards in a real reader's hands.

use super::bench::{ample, component, config, device, moment, vendor};
use crate::transcript::Transcript;
use crate::{
    Acted, CallError, Capability, Driver, DriverConfig, Limits, Moment, Options, Recording,
    RecordingEnd, Runtime, Vault, replay,
};
use meter_sim::card::{Card, CardFault, CardFaultKind, Sle4442};
use polymeter_domain::{
    CardKind, CardOrder, CardPurpose, Credit, Delivery, Purchase, PurchaseCount, Quantity, Uptake,
};
use polymeter_transport::{
    CardError, CardLease, CardReader, CardSlot, ReaderProfiles, ReaderState, SlotEvents,
};
use polymeter_vault::{Kind, Secret};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// The first three bytes of HMAC-SHA-256 over A1 B2 under the key below, made by another program.
const PSC: [u8; 3] = [0xF8, 0x1C, 0xEA];
const COUNT: usize = 36;

fn runtime() -> Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    let start = || {
        let key = Secret::new(b"0123456789abcdef0123456789abcdef".to_vec());
        let vault = Vault::default().with(vendor(), "psc", Kind::Hmac, key);
        Runtime::new(Options::in_process(vault.expect("a key"))).expect("an engine")
    };
    RUNTIME.get_or_init(start).clone()
}

async fn driver(limits: Limits) -> Arc<Driver> {
    static COMPONENT: OnceLock<Vec<u8>> = OnceLock::new();
    let component = COMPONENT.get_or_init(|| guests::component("misbehaving-card"));
    let config = DriverConfig {
        name: "misbehaving-card".to_owned(),
        grants: vec![Capability::CardSlot, Capability::Vault, Capability::Log],
        ..config(limits)
    };
    runtime().load(config, component).await.expect("loads")
}

/// This vendor's card, after so many purchases.
fn sold(count: u32) -> Card {
    let mut memory = [0xFF; 256];
    memory[32..36].copy_from_slice(b"MB\xA1\xB2");
    memory[COUNT..COUNT + 4].copy_from_slice(&count.to_be_bytes());
    Card::sle4442(Sle4442::written(memory, PSC))
}

fn count_on(card: &Card) -> u32 {
    let memory = card.truth().memory;
    u32::from_be_bytes(memory[COUNT..COUNT + 4].try_into().expect("four bytes"))
}

struct Slot(Card);

impl CardSlot for Slot {
    fn begin(&mut self) -> Result<Vec<u8>, CardError> {
        self.0.power_on();
        Ok(self.0.atr())
    }
    fn transmit(&mut self, command: &[u8]) -> Result<Vec<u8>, CardError> {
        self.0.transmit(command).map_err(|_| CardError::Gone)
    }
    fn end(&mut self) {
        self.0.power_off();
    }
}

/// The card in a reader, and the right to it.
async fn lease(card: &Card) -> (CardReader, SlotEvents, CardLease) {
    let profiles = ReaderProfiles::built_in();
    let (reader, events) =
        CardReader::over("counter-1", "ACS ACR38U 00 00", &profiles, Slot(card.clone()));
    events.inserted();
    let mut changes = reader.changes();
    let known = changes.wait_for(|state| matches!(state, ReaderState::Card(_)));
    let known = tokio::time::timeout(Duration::from_secs(20), known).await;
    drop(known.expect("in time").expect("the reader's thread runs"));
    let lease = reader.lease().await.expect("nobody else has it");
    (reader, events, lease)
}

fn order(count: u32) -> CardOrder {
    let credit = Credit { quantity: Quantity::Money, amount: 500 };
    CardOrder {
        purpose: CardPurpose::User,
        region: None,
        customer_number: None,
        purchase: Some(Purchase { count: PurchaseCount::new(count), credit }),
        parameters: vec![],
    }
}

/// The moment of a call, by which its recording is found.
fn own_moment() -> Moment {
    static CALLS: AtomicU64 = AtomicU64::new(0);
    let mut nonce = [9; 16];
    let number = CALLS.fetch_add(1, Ordering::Relaxed).to_be_bytes();
    nonce.iter_mut().zip(number).for_each(|(to, from)| *to = from);
    Moment { nonce, ..moment() }
}

/// Sells purchase 4 to a card in that way, and what was recorded of it.
async fn sell(driver: &Driver, card: &Card, way: &str) -> (Acted<Delivery>, Arc<Recording>) {
    let (_reader, _events, mut lease) = lease(card).await;
    let moment = own_moment();
    let acted = driver.sell_to_card(&mut lease, &device(way), moment, &order(4)).await;
    let recent = driver.recent_of_cards(way, usize::MAX);
    let recording = recent.into_iter().find(|it| it.id() == hex::encode(moment.nonce));
    (acted, recording.expect("a recording"))
}

#[tokio::test]
async fn a_card_is_identified_sold_to_checked_and_cleared() {
    let (driver, card) = (driver(ample()).await, sold(3));
    assert!(driver.cards() && !driver.abilities().meter);
    let (_reader, _events, mut lease) = lease(&card).await;
    assert_eq!(lease.card().kind, CardKind::Sle4442);
    let found = driver.identify_card(&mut lease, None, moment()).await.expect("an answer");
    let found = found.expect("this vendor's");
    assert_eq!((found.serial.as_str(), found.purpose), ("A1B2", CardPurpose::User));
    assert_eq!(found.region.expect("a region").as_str(), "HZ");
    assert!(!lease.changed(), "looking changes nothing");

    let acted = driver.sell_to_card(&mut lease, &device("well"), moment(), &order(4)).await;
    let Delivery::Confirmed(receipt) = acted.outcome else { panic!("{acted:?}") };
    assert_eq!((receipt.count.get(), count_on(&card)), (4, 4));
    let held = driver.check_card(&mut lease, None, moment()).await.expect("an answer");
    assert_eq!((held.uptake, held.purchase.map(|it| it.count.get())), (Uptake::Taken, Some(4)));
    assert!(held.written_back.expect("written back").at.is_some());

    let cleared = driver.clear_card(&mut lease, None, moment()).await;
    assert!(matches!(cleared.outcome, Delivery::Confirmed(_)), "{cleared:?}");
    let found = driver.identify_card(&mut lease, None, moment()).await.expect("an answer");
    assert_eq!(found, None, "nobody's card any more");
    assert_eq!((card.truth().wrong, card.truth().memory[32]), (0, 0xFF));
    let acted = driver.make_card(&mut lease, None, moment(), &order(4)).await;
    assert!(matches!(&acted.outcome, Delivery::NotSent(why) if why.contains("no such card")));
}

/// What the host saw of the card outranks what the driver says.
#[tokio::test]
async fn every_way_of_selling_ends_as_the_host_saw_it_and_replays() {
    use RecordingEnd::{Answered, NotSent, Refused, Unknown};
    let driver = driver(Limits { cpu_ticks: 20, ..ample() }).await;
    for (way, end, why, on_card, is_fault) in [
        ("well", Answered, "", 4, false),
        ("read-then-confirm", Answered, "", 3, false),
        ("read-then-refuse", Refused, "another count", 3, false),
        ("claim", NotSent, "claims success", 3, true),
        ("inserted-then-claim", NotSent, "claims success", 3, true),
        ("panic", NotSent, "asked to panic", 3, true),
        ("read-then-panic", NotSent, "after reading", 3, true),
        ("line", NotSent, "a driver of cards has no line", 3, false),
        ("read-forever", NotSent, "exchanges", 3, true),
        ("read-huge", NotSent, "line-bytes", 3, true),
        ("guess", NotSent, "nothing was presented", 3, false),
        ("other-key", NotSent, "", 3, false),
        ("no-key", NotSent, "no key", 3, false),
        ("no-code", NotSent, "a card sle4442 has no code 7", 3, false),
        ("short-code", NotSent, "code 0 of sle4442 has 3 bytes, and not 1", 3, false),
        ("apdu", NotSent, "", 3, false),
        ("write-then-panic", Unknown, "after writing", 4, true),
        ("write-then-error", Unknown, "gave up", 4, false),
        ("write-then-loop", Unknown, "cpu-ticks", 4, true),
        ("write-then-other-count", Unknown, "purchase count 5 as the card's, where 4", 4, true),
    ] {
        let card = sold(3);
        let (acted, recording) = sell(&driver, &card, way).await;
        let text = recording.transcript().to_string();
        let (found, said) = match &acted.outcome {
            Delivery::Confirmed(_) => (Answered, String::new()),
            Delivery::Refused(no) => (Refused, no.detail.clone()),
            Delivery::NotSent(why) => (NotSent, why.clone()),
            Delivery::Unknown(why) => (Unknown, why.clone()),
        };
        assert_eq!((found, recording.end()), (end, end), "{way}: {acted:?}\n{text}");
        assert!(said.contains(why), "{way}: {said}");
        assert_eq!(acted.fault.is_some(), is_fault, "{way}: {acted:?}");
        assert_eq!(count_on(&card), on_card, "{way}");
        assert!(card.truth().tries_left.is_some_and(|left| left > 0), "{way}: the card is dead");
        assert!(!text.to_lowercase().contains(&hex::encode(PSC)), "{text}");
        let read = Transcript::parse(way, &text).expect("reads back");
        replay(&driver, &read).await.unwrap_or_else(|error| panic!("{error}\n{text}"));
    }
}

/// Whatever is pulled when: not sent is not on the card, confirmed is.
#[tokio::test]
async fn a_card_that_is_pulled_is_not_sent_or_nobody_knows() {
    let driver = driver(ample()).await;
    let (_, whole) = sell(&driver, &sold(3), "well").await;
    let steps = whole.transcript().entries.len();
    let mut endings = [0; 3];
    for kind in [
        CardFaultKind::PulledBefore,
        CardFaultKind::PulledWithin { bytes: 2 },
        CardFaultKind::PulledAfter,
    ] {
        for at in 1..=64 {
            let card = sold(3);
            let (_reader, _events, mut lease) = lease(&card).await;
            let before = card.commands();
            card.fault(CardFault { at, kind });
            let (way, moment) = (device("well"), own_moment());
            let acted = driver.sell_to_card(&mut lease, &way, moment, &order(4)).await;
            let pulled = card.commands() - before >= at;
            match acted.outcome {
                Delivery::NotSent(_) => {
                    assert_eq!(count_on(&card), 3, "{kind:?} {at}");
                    endings[0] += 1;
                }
                Delivery::Unknown(_) => endings[1] += 1,
                Delivery::Confirmed(_) => {
                    assert_eq!(count_on(&card), 4, "{kind:?} {at}");
                    endings[2] += 1;
                }
                Delivery::Refused(_) => panic!("{kind:?} {at}: {acted:?}"),
            }
            assert_eq!(acted.fault, None, "{kind:?} {at}: it is nobody's fault");
            if !pulled {
                break;
            }
        }
    }
    assert!(endings.iter().all(|ending| *ending > 0), "{endings:?} of {steps} steps");
}

#[tokio::test]
async fn what_a_driver_tells_of_a_card_is_checked() {
    let driver = driver(ample()).await;
    let card = sold(3);
    let (_reader, _events, mut lease) = lease(&card).await;
    for (way, what) in [
        ("foreign-vendor", "a card of vendor ACME\\u{1b}[31m, and it serves MISBEHAVING"),
        ("purpose-99", "a card of purpose 99, which this host does not know"),
        ("bad-region", "as a region `no region`, which is none"),
        ("bad-device", "as a device `two words`, which is none"),
        ("bad-serial", "as a card's number `none`, which is no hexadecimal number"),
    ] {
        let device = device(way);
        let told = driver.identify_card(&mut lease, Some(&device), moment()).await;
        let driver = "misbehaving-card".to_owned();
        assert_eq!(told, Err(CallError::BadResult { driver, what: what.to_owned() }));
    }
    let long = driver.identify_card(&mut lease, Some(&device("long-customer")), moment()).await;
    assert!(long.expect_err("too long").to_string().len() < 400);
    for (way, what) in [
        ("taken-9", "9 for whether the device has taken it, which this host does not know"),
        ("bad-quantity", "a credit of quantity 77, which this host does not know"),
    ] {
        let told = driver.check_card(&mut lease, Some(&device(way)), moment()).await;
        assert!(told.expect_err("checked").to_string().contains(what), "{way}");
    }
    let lost = device("lost-clock");
    let held = driver.check_card(&mut lease, Some(&lost), moment()).await.expect("an answer");
    assert_eq!(held.written_back.expect("kept").at, None, "a lost clock costs one value");
}

#[tokio::test]
async fn drivers_of_cards_and_of_meters_are_not_asked_for_each_others_devices() {
    let cards = driver(ample()).await;
    let meters = runtime().load(config(ample()), component()).await.expect("loads");
    let (_reader, _events, mut lease) = lease(&sold(3)).await;
    let unable = meters.identify_card(&mut lease, None, moment()).await;
    assert!(matches!(unable, Err(CallError::Unable { .. })), "{unable:?}");
    let mut line = super::bench::silent().await;
    let unable = cards.read(&mut line, &device("well"), moment()).await;
    assert!(matches!(unable, Err(CallError::Unable { .. })), "{unable:?}");
    let unable = cards.probe(&mut line, &device("well"), moment()).await;
    assert!(matches!(unable, Err(CallError::Unable { .. })), "{unable:?}");
    let found = cards.identify_card(&mut lease, None, moment()).await.expect("the lease is back");
    assert!(found.is_some());
}

//! The card side of a native library: simulated cards in a reader, through the library's own commands.

use super::{Bench, device, moment};
use anyhow::{Context, Result, bail, ensure};
use meter_sim::card::{At24c, Card, CardFault, CardFaultKind, Chip, Sle4442};
use polymeter_domain::{
    CardOrder, CardPurpose, Credit, CustomerNumber, Delivery, Purchase, PurchaseCount, Quantity,
    Uptake,
};
use polymeter_runtime::{replay, transcript};
use polymeter_transport::{
    CardError, CardLease, CardReader, CardSlot, ReaderProfiles, ReaderState, SlotEvents,
};
use std::collections::BTreeSet;
use std::time::Duration;

struct InReader(Card);

impl CardSlot for InReader {
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
async fn put_in(card: &Card) -> Result<(CardReader, SlotEvents, CardLease)> {
    let profiles = ReaderProfiles::built_in();
    let (reader, events) =
        CardReader::over("counter-1", "ACS ACR38U 00 00", &profiles, InReader(card.clone()));
    events.inserted();
    let known = async {
        let mut changes = reader.changes();
        changes.wait_for(|state| matches!(state, ReaderState::Card(_))).await.map(drop)
    };
    tokio::time::timeout(Duration::from_secs(20), known).await??;
    let lease = reader.lease().await?;
    Ok((reader, events, lease))
}

fn card_order(count: u32) -> Result<CardOrder> {
    let credit = Credit { quantity: Quantity::Money, amount: 5000 };
    Ok(CardOrder {
        purpose: CardPurpose::User,
        region: None,
        customer_number: Some(CustomerNumber::new("100001")?),
        purchase: Some(Purchase { count: PurchaseCount::new(count), credit }),
        parameters: Vec::new(),
    })
}

fn at24c() -> Card {
    Card::new(Chip::At24c(Box::new(At24c::blank(2))))
}

/// The card side of the library, which has the card as a driver in the sandbox has it.
#[tokio::test(flavor = "multi_thread")]
async fn a_library_opens_sells_to_checks_and_clears_cards() -> Result<()> {
    let bench = Bench::new("rdk-native", "RDK").await?;
    let driver = &bench.driver;
    ensure!(driver.cards(), "the library has cards");
    let card = at24c();
    let (_reader, _events, mut lease) = put_in(&card).await?;
    let found = driver.identify_card(&mut lease, None, moment()).await?;
    ensure!(found.as_ref().map(|it| it.purpose) == Some(CardPurpose::Blank), "{found:?}");
    let meter = device("00000001");
    let opened = driver.open_card(&mut lease, &meter, moment(), &card_order(1)?).await;
    ensure!(matches!(opened.outcome, Delivery::Confirmed(_)), "{opened:?}");
    let sold = driver.sell_to_card(&mut lease, &meter, moment(), &card_order(2)?).await;
    ensure!(matches!(sold.outcome, Delivery::Confirmed(_)), "{sold:?}");
    let no = driver.sell_to_card(&mut lease, &meter, moment(), &card_order(4)?).await;
    ensure!(matches!(&no.outcome, Delivery::Refused(no) if no.code == 6), "{no:?}");
    let held = driver.check_card(&mut lease, None, moment()).await?;
    ensure!(held.purchase.is_some_and(|it| it.count.get() == 2), "{held:?}");
    ensure!(held.uptake == Uptake::Waiting && held.written_back.is_none(), "{held:?}");
    ensure!(held.identity.serial == "07070707", "{held:?}");
    let cleared = driver.clear_card(&mut lease, None, moment()).await;
    ensure!(matches!(cleared.outcome, Delivery::Confirmed(_)), "{cleared:?}");
    drop(lease);

    for recording in driver.recent_of_cards("00000001", usize::MAX) {
        let text = recording.transcript().to_string();
        let read = transcript::Transcript::parse("card", &text)?;
        replay(driver, &read).await.with_context(|| text.clone())?;
    }
    let (_reader, _events, mut lease) = put_in(&Card::sle4442(Sle4442::blank())).await?;
    let foreign = driver.identify_card(&mut lease, None, moment()).await?;
    ensure!(foreign.is_none(), "{foreign:?}");
    Ok(())
}

/// Not sent is not on the card, confirmed is, whenever it is pulled.
#[tokio::test(flavor = "multi_thread")]
async fn a_card_that_is_pulled_from_a_library_is_settled_by_what_it_shows() -> Result<()> {
    let bench = Bench::new("rdk-native", "RDK").await?;
    let mut ends = BTreeSet::new();
    for at in 1..=8 {
        let card = at24c();
        let (_reader, _events, mut lease) = put_in(&card).await?;
        let before = card.commands();
        card.fault(CardFault { at, kind: CardFaultKind::PulledBefore });
        let meter = device("00000001");
        let opened = bench.driver.open_card(&mut lease, &meter, moment(), &card_order(1)?).await;
        let is_opened = card.truth().memory.starts_with(b"RDK\x01");
        let pulled = card.commands() - before >= at;
        match &opened.outcome {
            Delivery::NotSent(_) => ensure!(!is_opened, "{at}: {opened:?}"),
            Delivery::Unknown(_) => {}
            Delivery::Confirmed(_) => ensure!(is_opened && !pulled, "{at}: {opened:?}"),
            Delivery::Refused(_) => bail!("{at}: {opened:?}"),
        }
        ends.insert(format!("{:?}", std::mem::discriminant(&opened.outcome)));
        ensure!(opened.fault.is_none(), "{at}: {opened:?}");
    }
    ensure!(ends.len() == 3, "{ends:?}");
    Ok(())
}

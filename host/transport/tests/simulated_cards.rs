//! Readers by the profile `acs` over simulated cards, which were written from the makers' manuals
//! by another hand: each kind is known, read, written, opened and given a new code, and no card of
//! ten thousand loses a try by being looked at.

use std::time::Duration;

use meter_sim::card::{
    At24c, At88sc102, Bay, Card, CardFault, CardFaultKind, Chip, CpuCard, CpuKeys, MifareClassic,
    Sle4428, Sle4442, acme,
};
use polymeter_domain::CardKind;
use polymeter_transport::{
    CardError, CardReader, CardSlot, InsertedCard, ReaderProfiles, ReaderState, SlotEvents,
};

/// Where a test puts a card and takes it out.
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

fn reader() -> (CardReader, SlotEvents, Slot) {
    let slot = Slot::default();
    let name = "ACS ACR38U-CCID 00 00";
    let (reader, events) =
        CardReader::over("counter-1", name, &ReaderProfiles::built_in(), slot.clone());
    (reader, events, slot)
}

/// Takes out what lies there and puts this in; what the reader makes of it.
async fn put(reader: &CardReader, events: &SlotEvents, slot: &Slot, card: &Card) -> ReaderState {
    slot.0.take_out();
    events.removed();
    until(reader, |state| *state == ReaderState::Empty).await;
    slot.0.put_in(card);
    events.inserted();
    until(reader, |state| *state != ReaderState::Empty).await
}

async fn until(reader: &CardReader, what: impl Fn(&ReaderState) -> bool) -> ReaderState {
    let mut changes = reader.changes();
    let wait = tokio::time::timeout(Duration::from_secs(30), changes.wait_for(|now| what(now)));
    wait.await.expect("it comes").expect("the reader's thread runs").clone()
}

fn kind(state: &ReaderState) -> CardKind {
    match state {
        ReaderState::Card(InsertedCard { kind, .. }) => *kind,
        other => panic!("{other}"),
    }
}

fn sle4442() -> Card {
    Card::sle4442(acme::blank([7; 8]))
}

fn at88sc102() -> Card {
    let card = At88sc102::blank().issued([0x12, 0x34], [1; 6], [2; 4]);
    Card::new(Chip::At88sc102(Box::new(card)))
}

#[tokio::test]
async fn each_kind_is_known_opened_written_and_given_a_new_code() {
    let (reader, events, slot) = reader();
    let sle4428 = || Card::new(Chip::Sle4428(Box::new(Sle4428::blank())));
    let cases = [
        (sle4442(), CardKind::Sle4442, 0x90, [0xFF; 3].to_vec(), vec![1, 2, 3], 3),
        (sle4428(), CardKind::Sle4428, 0x190, vec![0xFF; 2], vec![1, 2], 8),
        (at88sc102(), CardKind::At88sc102, 30, vec![0x12, 0x34], vec![0x0F, 0x55], 4),
    ];
    for (card, known, place, code, new, tries) in cases {
        assert_eq!(kind(&put(&reader, &events, &slot, &card).await), known);
        assert_eq!(card.truth().presented, 0, "{known}");
        let mut lease = reader.lease().await.expect("it is free");
        assert_eq!(lease.tries_left(0).await, Ok(tries), "{known}");
        let wrong = lease.verify(0, &new).await.expect_err("a wrong code");
        assert!(matches!(wrong, CardError::Refused(_)), "{known}: {wrong}");
        assert_eq!(lease.tries_left(0).await, Ok(tries - 1), "{known}");
        lease.verify(0, &code).await.expect("the right one");
        lease.write(place, &[0x11, 0x22]).await.expect("it is open");
        assert_eq!(lease.read(place, 3).await, Ok(vec![0x11, 0x22, 0xFF]), "{known}");
        lease.set_code(0, &new).await.expect("it is open");
        drop(lease);

        let mut lease = reader.lease().await.expect("it is free");
        lease.verify(0, &new).await.expect("the new one");
        assert_eq!(lease.tries_left(0).await, Ok(tries), "{known}");
        // The wrong one, the right one, the new one when it was given, and now.
        assert_eq!((card.truth().presented, card.truth().wrong), (4, 1), "{known}");
    }
}

/// Some readers' firmware says the protection bits behind what was read (ACR38x 6.02, 9.2.2.6.1).
#[tokio::test]
async fn bits_that_a_reader_says_besides_are_no_part_of_the_card() {
    let (reader, events, slot) = reader();
    let card = Card::sle4442(Sle4442::blank().appending_protection());
    put(&reader, &events, &slot, &card).await;
    let mut lease = reader.lease().await.expect("it is free");
    assert_eq!(lease.read(0x90, 3).await, Ok(vec![0xFF; 3]));
}

/// Readers say done of what the card does not take.
#[tokio::test]
async fn what_a_card_does_not_take_is_refused() {
    let (reader, events, slot) = reader();
    put(&reader, &events, &slot, &Card::sle4442(Sle4442::blank())).await;
    let mut lease = reader.lease().await.expect("it is free");
    let written = lease.write(0x90, &[1]).await;
    assert!(matches!(written, Err(CardError::Refused(_))), "{written:?}");
}

#[tokio::test]
async fn a_card_with_one_try_left_is_never_asked_for_its_code() {
    let (reader, events, slot) = reader();
    let card = Card::sle4442(Sle4442::blank().with_tries(1));
    put(&reader, &events, &slot, &card).await;
    let mut lease = reader.lease().await.expect("it is free");
    assert_eq!(lease.verify(0, &[0xFF; 3]).await, Err(CardError::NoTries { left: 1 }));
    assert_eq!(card.truth().presented, 0);
}

#[tokio::test]
async fn zones_of_an_at88sc102_are_erased_under_their_own_keys() {
    let (reader, events, slot) = reader();
    let card = at88sc102();
    put(&reader, &events, &slot, &card).await;
    let mut lease = reader.lease().await.expect("it is free");
    lease.verify(0, &[0x12, 0x34]).await.expect("the code");
    for (zone, at, key) in [(1, 40, vec![1; 6]), (2, 100, vec![2; 4])] {
        lease.write(at, &[0, 0]).await.expect("it is open");
        let wrong = lease.erase(zone, &vec![9; key.len()]).await;
        assert!(matches!(wrong, Err(CardError::Refused(_))), "zone {zone}: {wrong:?}");
        assert_eq!(lease.read(at, 2).await, Ok(vec![0, 0]));
        lease.erase(zone, &key).await.expect("its own key");
        assert_eq!(lease.read(at, 2).await, Ok(vec![0xFF, 0xFF]));
    }
}

#[tokio::test]
async fn plain_memories_and_contactless_cards_are_read_and_written() {
    let (reader, events, slot) = reader();
    let card = Card::new(Chip::At24c(Box::new(At24c::blank(16))));
    assert_eq!(kind(&put(&reader, &events, &slot, &card).await), CardKind::At24c);
    let mut lease = reader.lease().await.expect("it is free");
    // More than one command carries.
    lease.write(1_000, &[0x5A; 700]).await.expect("anybody may");
    assert_eq!(lease.read(999, 702).await.map(|read| read[..2].to_vec()), Ok(vec![0xFF, 0x5A]));
    assert_eq!(card.truth().memory[1_699..1_701], [0x5A, 0xFF]);
    drop(lease);

    let card = Card::new(Chip::MifareClassic(Box::new(MifareClassic::blank([1, 2, 3, 4]))));
    let state = put(&reader, &events, &slot, &card).await;
    assert_eq!(kind(&state), CardKind::MifareClassic);
    let mut lease = reader.lease().await.expect("it is free");
    assert_eq!(lease.card().uid, [1, 2, 3, 4]);
    lease.verify(2, &[0; 6]).await.expect_err("a wrong key");
    lease.verify(2, &[0xFF; 6]).await.expect("the maker's key A");
    lease.write(64, &[9; 32]).await.expect("both blocks are in sector 1");
    assert_eq!(lease.read(72, 16).await, Ok(vec![9; 16]));
    lease.set_code(2, &[5; 6]).await.expect("key A writes the keys");
    drop(lease);
    let mut lease = reader.lease().await.expect("it is free");
    lease.verify(2, &[0xFF; 6]).await.expect_err("the key of before");
    lease.verify(2, &[5; 6]).await.expect("the new one");
    assert_eq!(lease.read(64, 1).await, Ok(vec![9]));

    let card = Card::cpu(CpuCard::blank([3; 8], &CpuKeys::same([1; 16])));
    assert_eq!(kind(&put(&reader, &events, &slot, &card).await), CardKind::Cpu);
    let mut lease = reader.lease().await.expect("it is free");
    let selected = lease.transmit(&[0x00, 0xA4, 0x00, 0x00, 0x02, 0xDF, 0x01]).await;
    assert_eq!(selected, Ok(vec![0x90, 0x00]));
}

#[tokio::test]
async fn a_card_pulled_at_any_command_ends_the_lease_and_is_whole_when_it_comes_again() {
    let (reader, events, slot) = reader();
    let mut cuts = 0;
    for at in 1.. {
        let card = sle4442();
        put(&reader, &events, &slot, &card).await;
        let mut lease = reader.lease().await.expect("it is free");
        let kind = [CardFaultKind::PulledBefore, CardFaultKind::PulledAfter][at % 2];
        card.fault(CardFault { at: u64::try_from(at).expect("few"), kind });
        let done = async {
            lease.verify(0, &[0xFF; 3]).await?;
            lease.write(0x90, &[1, 2]).await?;
            lease.read(0x90, 2).await
        };
        match done.await {
            Ok(read) => {
                assert_eq!(read, [1, 2]);
                break;
            }
            Err(error) => assert_eq!(error, CardError::Gone, "command {at}"),
        }
        cuts += 1;
        put(&reader, &events, &slot, &card).await;
        let mut lease = reader.lease().await.expect("it is free");
        lease.verify(0, &[0xFF; 3]).await.expect("a pull costs no card");
        assert_eq!((lease.tries_left(0).await, card.truth().wrong), (Ok(3), 0));
    }
    println!("readers: {cuts} cut points");
    assert!(cuts > 3, "{cuts}");
}

#[tokio::test]
async fn no_random_card_loses_a_try_by_being_looked_at() {
    let (reader, events, slot) = reader();
    let mut unknown = 0;
    for seed in 0..10_000 {
        let card = Card::random(seed);
        let before = card.truth();
        unknown += u32::from(matches!(
            put(&reader, &events, &slot, &card).await,
            ReaderState::Unknown { .. }
        ));
        assert_eq!(card.truth(), before, "seed {seed}");
    }
    println!("readers: 10000 random cards, {unknown} of no known kind");
}

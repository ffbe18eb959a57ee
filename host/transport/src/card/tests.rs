//! Readers over simulated slots: whose turn it is, what ends a lease, and what is never sent.
//!
//! Not here: PC/SC (tests/e2e has it with a real pcscd).

use std::sync::{Arc, Mutex};
use std::time::Duration;

use polymeter_domain::CardKind;

use super::*;

type Answer = Box<dyn FnMut(&[u8]) -> Vec<u8> + Send>;

/// What lies in the slot: an answer to reset, and what is answered to a command.
struct Lying {
    atr: Vec<u8>,
    answer: Answer,
}

#[derive(Default)]
struct Inside {
    card: Option<Lying>,
    sent: Vec<Vec<u8>>,
    resets: usize,
    busy: bool,
}

/// A slot that a test sees into.
#[derive(Clone, Default)]
struct Slot(Arc<Mutex<Inside>>);

impl Slot {
    fn put(&self, atr: &[u8], answer: impl FnMut(&[u8]) -> Vec<u8> + Send + 'static) {
        let answer = Box::new(answer);
        self.0.lock().expect("no panic").card = Some(Lying { atr: atr.to_vec(), answer });
    }

    fn pull(&self) {
        self.0.lock().expect("no panic").card = None;
    }

    /// What was sent since the last call.
    fn sent(&self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.0.lock().expect("no panic").sent)
    }
}

impl CardSlot for Slot {
    fn begin(&mut self) -> Result<Vec<u8>, CardError> {
        let mut inside = self.0.lock().expect("no panic");
        inside.resets += 1;
        if inside.busy {
            return Err(CardError::Reader("another program holds the card".to_owned()));
        }
        inside.card.as_ref().map(|card| card.atr.clone()).ok_or(CardError::Gone)
    }

    fn transmit(&mut self, command: &[u8]) -> Result<Vec<u8>, CardError> {
        let mut inside = self.0.lock().expect("no panic");
        inside.sent.push(command.to_vec());
        inside.card.as_mut().map(|card| (card.answer)(command)).ok_or(CardError::Gone)
    }

    fn end(&mut self) {}
}

fn reader() -> (CardReader, SlotEvents, Slot) {
    let slot = Slot::default();
    let profiles = ReaderProfiles::built_in();
    let (reader, events) =
        CardReader::over("counter-1", "ACS ACR38U-CCID 00 00", &profiles, slot.clone());
    (reader, events, slot)
}

async fn until(reader: &CardReader, what: impl Fn(&ReaderState) -> bool) -> ReaderState {
    let mut changes = reader.changes();
    let wait = changes.wait_for(|state| what(state));
    let state = tokio::time::timeout(Duration::from_secs(10), wait).await;
    state.unwrap_or_else(|_| panic!("still {:?}", reader.state())).expect("the thread runs").clone()
}

async fn until_card(reader: &CardReader) -> InsertedCard {
    let ReaderState::Card(card) =
        until(reader, |state| matches!(state, ReaderState::Card(_))).await
    else {
        unreachable!("it was waited for");
    };
    card
}

const CPU_ATR: [u8; 4] = [0x3B, 0x69, 1, 2];
const SLE4442_ATR: [u8; 6] = [0x3B, 0x04, 0xA2, 0x13, 0x10, 0x91];

fn ok() -> Vec<u8> {
    vec![0x90, 0x00]
}

/// An SLE4442 behind an ACS reader (its manual, 9.3.6).
fn sle4442(code: [u8; 3], tries: u8) -> impl FnMut(&[u8]) -> Vec<u8> + Send {
    let (mut memory, mut code, mut counter, mut open) = (vec![0_u8; 256], code, tries, false);
    move |command| match command {
        [0xFF, 0xA4, 0, 0, 1, kind] => {
            open = false;
            if *kind == 6 { ok() } else { vec![0x63, 0] }
        }
        [0xFF, 0xB0, 0, at, length] => {
            let at = usize::from(*at);
            let bytes = memory.get(at..at + usize::from(*length));
            bytes.map_or(vec![0x63, 0], |bytes| [bytes, &[0x90, 0]].concat())
        }
        [0xFF, 0xD0, 0, at, length, data @ ..] if open && data.len() == usize::from(*length) => {
            let at = usize::from(*at);
            memory[at..at + data.len()].copy_from_slice(data);
            memory[255] = 0;
            ok()
        }
        [0xFF, 0xB1, 0, 0, 4] => vec![counter, 0, 0, 0, 0x90, 0],
        [0xFF, 0x20, 0, 0, 3, presented @ ..] => {
            open = presented == code && counter != 0;
            counter = if open { 7 } else { counter & (counter.wrapping_sub(1)) };
            vec![0x90, counter]
        }
        [0xFF, 0xD2, 0, 1, 3, new @ ..] if open => {
            code.copy_from_slice(new);
            ok()
        }
        _ => vec![0x63, 0],
    }
}

#[tokio::test]
async fn a_card_is_seen_lent_and_pulled() {
    let (reader, events, slot) = reader();
    assert_eq!(reader.state(), ReaderState::Empty);
    assert_eq!(reader.lease().await.expect_err("there is none"), CardError::Gone);

    slot.put(&CPU_ATR, |command| [command, &[0x90, 0]].concat());
    events.inserted();
    let card = until_card(&reader).await;
    assert_eq!((card.kind, card.atr.as_slice()), (CardKind::Cpu, CPU_ATR.as_slice()));

    let mut lease = reader.lease().await.expect("it is free");
    assert_eq!(lease.card(), &card);
    let answer = lease.transmit(&[0, 0xA4, 0, 0]).await.expect("it answers");
    assert_eq!(answer, [0, 0xA4, 0, 0, 0x90, 0]);
    assert!(!lease.changed());
    lease.transmit(&[0, 0xD6, 0, 0]).await.expect("it answers");
    assert!(lease.changed());

    slot.pull();
    events.removed();
    assert_eq!(until(&reader, |state| *state == ReaderState::Empty).await, ReaderState::Empty);
    assert_eq!(lease.transmit(&[0, 0xA4, 0, 0]).await, Err(CardError::Gone));

    // Another card is not the lease's, however like the first it is.
    slot.put(&CPU_ATR, |_| ok());
    events.inserted();
    until_card(&reader).await;
    slot.sent();
    assert_eq!(lease.transmit(&[0, 0xA4, 0, 0]).await, Err(CardError::Gone));
    assert_eq!(slot.sent(), Vec::<Vec<u8>>::new());
    reader
        .lease()
        .await
        .expect("the old lease holds nothing")
        .transmit(&[0, 0xA4, 0, 0])
        .await
        .expect("ok");
}

/// The reader notices before whoever watches the slot does.
#[tokio::test]
async fn a_card_that_is_gone_in_the_middle_ends_the_lease() {
    let (reader, events, slot) = reader();
    slot.put(&CPU_ATR, |_| ok());
    events.inserted();
    until_card(&reader).await;
    let mut lease = reader.lease().await.expect("it is free");
    slot.pull();
    assert_eq!(lease.transmit(&[0, 0xB0, 0, 0]).await, Err(CardError::Gone));
    until(&reader, |state| *state == ReaderState::Empty).await;
    assert_eq!(lease.transmit(&[0, 0xB0, 0, 0]).await, Err(CardError::Gone));
}

#[tokio::test]
async fn one_has_the_card_and_the_next_waits() {
    let (reader, events, slot) = reader();
    slot.put(&CPU_ATR, |_| ok());
    events.inserted();
    until_card(&reader).await;
    let first = reader.lease().await.expect("it is free");
    let other = reader.clone();
    let second = tokio::spawn(async move { other.lease().await });
    // One that gave up waiting gets nothing, and nobody is kept from the card by it.
    let third = tokio::spawn({
        let reader = reader.clone();
        async move { reader.lease().await }
    });
    tokio::task::yield_now().await;
    assert!(!second.is_finished());
    third.abort();
    let _ = third.await;
    drop(first);
    let lease = second.await.expect("no panic").expect("it is free");
    drop(lease);
    reader.lease().await.expect("it is free");
}

#[tokio::test]
async fn a_reader_that_is_gone_says_why_and_comes_back() {
    let (reader, events, slot) = reader();
    events.gone("unplugged");
    until(&reader, |state| *state == ReaderState::Gone("unplugged".to_owned())).await;
    let error = reader.lease().await.expect_err("it is gone");
    assert_eq!(error, CardError::Reader("unplugged".to_owned()));
    slot.put(&CPU_ATR, |_| ok());
    events.inserted();
    until_card(&reader).await;
}

/// Nobody tells when another program lets the card go: it is looked at again and again.
#[tokio::test]
async fn a_busy_card_is_seen_when_it_is_free() {
    let (reader, events, slot) = reader();
    slot.put(&CPU_ATR, |_| ok());
    slot.0.lock().expect("no panic").busy = true;
    events.inserted();
    until(&reader, |state| matches!(state, ReaderState::Gone(why) if why.contains("another")))
        .await;
    slot.0.lock().expect("no panic").busy = false;
    until_card(&reader).await;
}

#[tokio::test]
async fn an_unknown_card_is_shown_and_not_lent() {
    let (reader, events, slot) = reader();
    slot.put(&[0x11, 0x22], |_| vec![0x6D, 0]);
    events.inserted();
    let atr = vec![0x11, 0x22];
    until(&reader, |state| *state == ReaderState::Unknown { atr: atr.clone() }).await;
    assert!(matches!(reader.lease().await, Err(CardError::Unsupported(_))));
    assert_eq!(slot.sent(), Vec::<Vec<u8>>::new());
}

#[tokio::test]
async fn a_memory_card_is_read_and_written_under_its_code() {
    let (reader, events, slot) = reader();
    slot.put(&SLE4442_ATR, sle4442([1, 2, 3], 7));
    events.inserted();
    assert_eq!(until_card(&reader).await.kind, CardKind::Sle4442);
    let mut lease = reader.lease().await.expect("it is free");
    assert_eq!(lease.read(0, 256).await.expect("it is readable").len(), 256);
    assert!(matches!(lease.read(250, 7).await, Err(CardError::Unsupported(_))));
    assert!(matches!(lease.read(u32::MAX, 2).await, Err(CardError::Unsupported(_))));
    assert!(matches!(lease.write(32, &[9]).await, Err(CardError::Refused(_))));
    assert_eq!(lease.tries_left(0).await, Ok(3));
    assert!(matches!(lease.verify(0, &[1, 2]).await, Err(CardError::Unsupported(_))));
    lease.verify(0, &[1, 2, 3]).await.expect("the right code");
    lease.write(32, &[9, 8]).await.expect("it is open");
    assert_eq!(lease.read(32, 2).await, Ok(vec![9, 8]));
    // Said done of, and not taken: the last byte is protected.
    assert!(matches!(lease.write(254, &[1, 2]).await, Err(CardError::Refused(_))));
    lease.set_code(0, &[4, 5, 6]).await.expect("it is open");
    drop(lease);

    // Given back, it has forgotten that it was open.
    let mut lease = reader.lease().await.expect("it is free");
    assert!(matches!(lease.write(32, &[9]).await, Err(CardError::Refused(_))));
    let unproved = lease.set_code(0, &[4, 5, 6]).await;
    assert_eq!(unproved, Err(CardError::Refused("code 0 was not verified before".to_owned())));
    assert_eq!(lease.tries_left(0).await, Ok(3));
    lease.verify(0, &[4, 5, 6]).await.expect("the new code");
    let uncounted = lease.transmit(&[0xFF, 0x20, 0, 0, 3, 0, 0, 0]).await;
    assert!(matches!(uncounted, Err(CardError::Unsupported(_))));
}

#[tokio::test]
async fn a_wrong_code_never_takes_the_last_try() {
    let (reader, events, slot) = reader();
    slot.put(&SLE4442_ATR, sle4442([1, 2, 3], 7));
    events.inserted();
    until_card(&reader).await;
    let mut lease = reader.lease().await.expect("it is free");
    for left in [2, 1] {
        let error = lease.verify(0, &[0, 0, 0]).await.expect_err("a wrong code");
        assert_eq!(error, CardError::Refused(format!("code 0 is wrong; tries left: {left}")));
    }
    slot.sent();
    for code in [[0, 0, 0], [1, 2, 3]] {
        assert_eq!(lease.verify(0, &code).await, Err(CardError::NoTries { left: 1 }));
    }
    let presented = |command: &Vec<u8>| command.get(1) == Some(&0x20);
    assert!(!slot.sent().iter().any(presented), "a code was presented");
}

/// Identifying any card whatever presents nothing: 10 000 answers to reset, and readers that say
/// yes, no, or nonsense to everything.
#[tokio::test]
async fn identifying_burns_no_try() {
    let (reader, events, slot) = reader();
    let mut random: u64 = 0x9E37_79B9_7F4A_7C15;
    let mut next = move || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random
    };
    let mut changes = reader.changes();
    for _ in 0..10_000 {
        let length = next() % 34;
        let mut atr: Vec<u8> = (0..length).map(|_| next().to_le_bytes()[0]).collect();
        if next().is_multiple_of(2) && length > 1 {
            atr[0] = 0x3B;
            atr[1] &= 3;
        }
        let answers: Vec<Vec<u8>> = (0..3)
            .map(|_| (0..next() % 300).map(|_| next().to_le_bytes()[1]).collect())
            .chain([ok(), vec![0, 0, 0x90, 0]])
            .collect();
        let mut turn = usize::try_from(next() % 5).expect("small");
        slot.put(&atr, move |_| {
            turn += 1;
            answers[turn % answers.len()].clone()
        });
        events.inserted();
        changes.changed().await.expect("the thread runs");
        for command in slot.sent() {
            let harmless = matches!(command.as_slice(), [0xFF, 0xA4 | 0xB0 | 0xCA, ..]);
            assert!(harmless, "{command:02X?} for {atr:02X?}");
        }
    }
    drop(reader);
}

#[tokio::test]
async fn cards_without_an_answer_to_reset_are_probed() {
    for (kind, code) in [(CardKind::At88sc102, 9), (CardKind::At88sc1604, 10), (CardKind::At24c, 1)]
    {
        let (reader, events, slot) = reader();
        slot.put(&[0x3B, 0x00], move |command| match command {
            [0xFF, 0xA4, 0, 0, 1, kind] if *kind == code => ok(),
            [0xFF, 0xB0, _, _, length] => [vec![0x5A; usize::from(*length)], ok()].concat(),
            _ => vec![0x63, 0],
        });
        events.inserted();
        assert_eq!(until_card(&reader).await.kind, kind);
    }
}

/// An AT88SC102 behind an ACS reader: it says done of a wrong erase code, and only the zone tells.
#[tokio::test]
async fn an_erasure_is_looked_at() {
    let (reader, events, slot) = reader();
    let mut memory = [0_u8; 178];
    memory[12] = 0xFF;
    slot.put(&[0x3B, 0x00], move |command| match command {
        [0xFF, 0xA4, 0, 0, 1, 9] => ok(),
        [0xFF, 0xB0, 0, at, length] => {
            let at = usize::from(*at);
            [&memory[at..at + usize::from(*length)], &[0x90, 0]].concat()
        }
        [0xFF, 0x20, 0, 0x56, 6, code @ ..] => {
            if code == [1; 6] {
                memory[22..86].fill(0xFF);
            }
            ok()
        }
        _ => vec![0x63, 0],
    });
    events.inserted();
    until_card(&reader).await;
    let mut lease = reader.lease().await.expect("it is free");
    assert_eq!(lease.tries_left(0).await, Ok(4));
    assert!(matches!(lease.erase(1, &[2; 6]).await, Err(CardError::Refused(_))));
    lease.erase(1, &[1; 6]).await.expect("the erase code");
    assert!(lease.changed());
    for zone in [0, 3] {
        assert!(matches!(lease.erase(zone, &[1; 6]).await, Err(CardError::Unsupported(_))));
    }
}

/// A Mifare Classic 1K behind an ACS reader.
fn mifare() -> impl FnMut(&[u8]) -> Vec<u8> + Send {
    let mut blocks = vec![[0_u8; 16]; 64];
    for last in blocks.iter_mut().skip(3).step_by(4) {
        *last = [[0xFF; 6].as_slice(), &[0xFF, 7, 0x80, 0x69], &[0xFF; 6]]
            .concat()
            .try_into()
            .expect("16");
    }
    let (mut loaded, mut open) = ([0_u8; 6], None);
    move |command| match command {
        [0xFF, 0xCA, 0, 0, 0] => vec![1, 2, 3, 4, 0x90, 0],
        [0xFF, 0x82, 0, 0, 6, key @ ..] => {
            loaded.copy_from_slice(key);
            ok()
        }
        [0xFF, 0x86, 0, 0, 5, 1, 0, block, which, 0] => {
            let last = blocks[usize::from(*block / 4) * 4 + 3];
            let key = if *which == 0x60 { &last[..6] } else { &last[10..] };
            open = (key == loaded).then_some(block / 4);
            if open.is_some() { ok() } else { vec![0x63, 0] }
        }
        [0xFF, 0xB0, 0, block, 16] if open == Some(block / 4) => {
            let mut data = blocks[usize::from(*block)];
            if block % 4 == 3 {
                data[..6].fill(0);
            }
            [data.as_slice(), &[0x90, 0]].concat()
        }
        [0xFF, 0xD6, 0, block, 16, data @ ..] if open == Some(block / 4) => {
            blocks[usize::from(*block)].copy_from_slice(data);
            ok()
        }
        _ => vec![0x63, 0],
    }
}

#[tokio::test]
async fn a_mifare_card_is_read_across_its_sectors() {
    let (reader, events, slot) = reader();
    let atr = [0x3B, 0x8F, 0x80, 1, 0x80, 0x4F, 0x0C, 0xA0, 0, 0, 3, 6, 3, 0, 1, 0, 0, 0, 0, 0x6A];
    slot.put(&atr, mifare());
    events.inserted();
    let card = until_card(&reader).await;
    assert_eq!((card.kind, card.uid), (CardKind::MifareClassic, vec![1, 2, 3, 4]));
    let mut lease = reader.lease().await.expect("it is free");
    assert!(matches!(lease.tries_left(2).await, Err(CardError::Unsupported(_))));
    assert!(matches!(lease.read(64, 1).await, Err(CardError::Refused(_))));
    assert!(matches!(lease.verify(2, &[0; 6]).await, Err(CardError::Refused(_))));
    assert!(matches!(lease.verify(32, &[0xFF; 6]).await, Err(CardError::Unsupported(_))));
    lease.verify(2, &[0xFF; 6]).await.expect("the key of sector 1");
    lease.verify(4, &[0xFF; 6]).await.expect("the key of sector 2");
    lease.write(64, &[7; 32]).await.expect("sector 1 is known, though not open");
    lease.write(128, &[8; 16]).await.expect("sector 2 is open");
    assert!(matches!(lease.write(65, &[7; 16]).await, Err(CardError::Unsupported(_))));
    let read = lease.read(95, 34).await.expect("both are known");
    assert_eq!((read[0], read[1], read[33]), (7, 0, 8));

    // Key A changes; key B, which the card lets be read, stays.
    lease.set_code(2, &[1; 6]).await.expect("key B is known");
    lease.read(128, 1).await.expect("sector 2");
    lease.read(64, 1).await.expect("sector 1, by the new key");
    lease.verify(3, &[0xFF; 6]).await.expect("key B is as it was");
}

/// What a broken or hostile reader answers is an error that names it, for each length and status.
#[tokio::test]
async fn wrong_answers_are_errors() {
    let (reader, events, slot) = reader();
    let answers: [&[u8]; 6] =
        [&[], &[0x90], &[1, 0x90, 0], &[1, 2, 3, 0x90, 0], &[0; 259], &[0x63, 0x00]];
    for answer in answers {
        let answer = answer.to_vec();
        slot.put(&SLE4442_ATR, move |command| match command {
            [0xFF, 0xA4, ..] => ok(),
            _ => answer.clone(),
        });
        events.inserted();
        until_card(&reader).await;
        let mut lease = reader.lease().await.expect("it is free");
        lease.read(0, 2).await.expect_err("that is no answer");
        drop(lease);
        slot.pull();
        events.removed();
        until(&reader, |state| *state == ReaderState::Empty).await;
    }
}

/// Pulled, and another put in, before the reader's driver looked: nobody is told of either.
#[tokio::test]
async fn a_card_that_comes_without_a_word_is_seen() {
    let (reader, events, slot) = reader();
    slot.put(&CPU_ATR, |_| ok());
    events.inserted();
    until_card(&reader).await;
    let mut lease = reader.lease().await.expect("it is free");
    slot.pull();
    assert_eq!(lease.transmit(&[0, 0xB0, 0, 0]).await, Err(CardError::Gone));
    until(&reader, |state| *state == ReaderState::Empty).await;
    slot.put(&SLE4442_ATR, sle4442([1, 2, 3], 7));
    assert_eq!(until_card(&reader).await.kind, CardKind::Sle4442);
}

//! Card readers through a real pcscd, with vsmartcard's virtual reader: cards come and go, are
//! pulled in the middle, are another program's, and pcscd itself goes and comes back.
//!
//! Run by `cargo xtask test` and `cargo xtask cards`; without a pcscd each says that it did not
//! run.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use polymeter_domain::CardKind;
use polymeter_transport::{
    CardError, CardReader, CardReaders, InsertedCard, ReaderPlace, ReaderProfiles, ReaderSettings,
    ReaderState,
};
use virtual_reader::{Pcscd, Slot};

const ATR: [u8; 12] = [0x3B, 0x69, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8];

/// A card that says 90 00 to everything, tells each command that came, and waits as long as its
/// test wants before it answers 00 84 (GET CHALLENGE).
struct Card {
    stream: TcpStream,
    commands: mpsc::Receiver<Vec<u8>>,
}

impl Card {
    fn put_into(slot: SocketAddr, atr: &'static [u8]) -> Card {
        let stream = TcpStream::connect(slot).expect("vpcd listens");
        let (tell, commands) = mpsc::channel();
        let mut serving = stream.try_clone().expect("a clone");
        std::thread::spawn(move || {
            let mut length = [0; 2];
            while serving.read_exact(&mut length).is_ok() {
                let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
                if serving.read_exact(&mut message).is_err() {
                    return;
                }
                let answer: &[u8] = match message.as_slice() {
                    // Power off, on, reset.
                    [0..=2] => continue,
                    [4] => atr,
                    command => {
                        let _ = tell.send(command.to_vec());
                        if command.starts_with(&[0, 0x84]) {
                            continue;
                        }
                        &[0x90, 0]
                    }
                };
                let length = u16::try_from(answer.len()).expect("short").to_be_bytes();
                let _ = serving.write_all(&[&length, answer].concat());
            }
        });
        Card { stream, commands }
    }

    fn next(&self) -> Vec<u8> {
        self.commands.recv_timeout(Duration::from_secs(10)).expect("a command came")
    }

    fn pull(self) {
        drop(self);
    }
}

impl Drop for Card {
    fn drop(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}

fn reader_of(slot: &Slot) -> (CardReaders, String) {
    let name = "counter-1".to_owned();
    let settings =
        vec![ReaderSettings { name: name.clone(), place: ReaderPlace::Pcsc(slot.pcsc_name()) }];
    (CardReaders::start(settings, ReaderProfiles::built_in()), name)
}

async fn the_one(readers: &CardReaders) -> CardReader {
    readers.looked().await.readers.first().expect("one was configured").clone()
}

async fn until(reader: &CardReader, what: impl Fn(&ReaderState) -> bool) -> ReaderState {
    let mut changes = reader.changes();
    let wait = tokio::time::timeout(Duration::from_secs(20), changes.wait_for(|state| what(state)));
    wait.await.unwrap_or_else(|_| panic!("still {:?}", reader.state())).expect("it runs").clone()
}

async fn until_card(reader: &CardReader) -> InsertedCard {
    match until(reader, |state| matches!(state, ReaderState::Card(_))).await {
        ReaderState::Card(card) => card,
        other => unreachable!("{other:?} was not waited for"),
    }
}

#[tokio::test]
async fn a_card_is_put_in_spoken_to_and_pulled() {
    let Some(slot) = Slot::take() else { return };
    let (readers, name) = reader_of(&slot);
    let reader = the_one(&readers).await;
    assert_eq!((reader.name(), reader.state()), (name.as_str(), ReaderState::Empty));
    assert_eq!(reader.lease().await.expect_err("there is no card"), CardError::Gone);

    let card = Card::put_into(slot.address(), &ATR);
    let begun = Instant::now();
    let seen = until_card(&reader).await;
    println!("a card is seen after {} ms (pcscd looks every 400 ms)", begun.elapsed().as_millis());
    assert_eq!((seen.kind, seen.atr.as_slice()), (CardKind::Cpu, ATR.as_slice()));

    let mut lease = reader.lease().await.expect("it is free");
    let select = [0, 0xA4, 0, 0, 2, 0x3F, 0];
    assert_eq!(lease.transmit(&select).await, Ok(vec![0x90, 0]));
    assert_eq!(card.next(), select);
    card.pull();
    let gone = lease.transmit(&select).await;
    assert_eq!(gone, Err(CardError::Gone));
    until(&reader, |state| *state == ReaderState::Empty).await;
    assert_eq!(lease.transmit(&select).await, Err(CardError::Gone));
}

/// The card goes while a command is with it, and another comes before anybody has let go of the
/// first.
#[tokio::test]
async fn a_card_is_pulled_in_the_middle_of_a_command() {
    let Some(slot) = Slot::take() else { return };
    let (readers, _) = reader_of(&slot);
    let reader = the_one(&readers).await;
    for _ in 0..3 {
        let card = Card::put_into(slot.address(), &ATR);
        until_card(&reader).await;
        let mut lease = reader.lease().await.expect("it is free");
        let challenge = [0, 0x84, 0, 0, 8];
        let asked = tokio::spawn(async move {
            let answer = lease.transmit(&challenge).await;
            (lease, answer)
        });
        let came = tokio::task::spawn_blocking(move || {
            assert_eq!(card.next(), challenge);
            card.pull();
        });
        came.await.expect("no panic");
        let (mut lease, answer) = asked.await.expect("no panic");
        let error = answer.expect_err("nobody answered");
        println!("pulled in the middle: {error}");
        let other = Card::put_into(slot.address(), &ATR);
        until_card(&reader).await;
        assert_eq!(lease.transmit(&[0, 0xA4, 0, 0]).await, Err(CardError::Gone));
        assert!(other.commands.try_recv().is_err(), "the old lease spoke to the new card");
        other.pull();
        until(&reader, |state| *state == ReaderState::Empty).await;
        // A late word of pcscd's about this card would end the lease of the next one.
        tokio::time::sleep(virtual_reader::SETTLED).await;
    }
}

#[tokio::test]
async fn two_readers_hold_two_cards() {
    let Some(slots) = Slot::both() else { return };
    let settings = [("left", 0), ("right", 1)].map(|(name, slot): (&str, usize)| ReaderSettings {
        name: name.to_owned(),
        place: ReaderPlace::Pcsc(slots[slot].pcsc_name()),
    });
    let readers = CardReaders::start(settings.to_vec(), ReaderProfiles::built_in());
    let list = readers.looked().await.readers;
    let [left, right] = list.as_slice() else { panic!("two were configured") };
    let memory_card: &[u8] = &[0x3B, 0x04, 0xA2, 0x13, 0x10, 0x91];
    let cards =
        [Card::put_into(slots[0].address(), &ATR), Card::put_into(slots[1].address(), memory_card)];
    assert_eq!(until_card(left).await.kind, CardKind::Cpu);
    assert_eq!(until_card(right).await.kind, CardKind::Sle4442);
    // Both at once, each its own.
    let (mut first, second) =
        (left.lease().await.expect("free"), right.lease().await.expect("free"));
    assert_eq!(first.transmit(&[0, 0xB0, 0, 0, 1]).await, Ok(vec![0x90, 0]));
    assert_eq!(cards[0].next(), [0, 0xB0, 0, 0, 1]);
    assert_eq!(cards[1].next(), [0xFF, 0xA4, 0, 0, 1, 6]);
    drop((first, second));

    // Without any configuration both are there under their own names.
    let all = CardReaders::start(Vec::new(), ReaderProfiles::built_in());
    let mut names: Vec<String> =
        all.looked().await.readers.iter().map(|reader| reader.name().to_owned()).collect();
    names.sort();
    assert!(
        names.contains(&slots[0].pcsc_name()) && names.contains(&slots[1].pcsc_name()),
        "{names:?}"
    );
}

/// A second set of readers stands for another program: what it holds, we wait for and then have.
#[tokio::test]
async fn a_card_that_another_program_holds_is_called_busy() {
    let Some(slot) = Slot::take() else { return };
    let (ours, _) = reader_of(&slot);
    let (theirs, _) = reader_of(&slot);
    let (ours, theirs) = ((the_one(&ours).await, ours), (the_one(&theirs).await, theirs));
    let card = Card::put_into(slot.address(), &ATR);
    until_card(&ours.0).await;
    until_card(&theirs.0).await;
    let held = theirs.0.lease().await.expect("it is free");
    let reader = ours.0.clone();
    let waiting = tokio::spawn(async move { reader.lease().await });
    let busy = |state: &ReaderState| {
        *state == ReaderState::Gone("another program holds the card".to_owned())
    };
    until(&ours.0, busy).await;
    assert!(!waiting.is_finished());
    drop(held);
    let mut lease = waiting.await.expect("no panic").expect("it is free again");
    assert_eq!(lease.transmit(&[0, 0xA4, 0, 0]).await, Ok(vec![0x90, 0]));
    assert_eq!(card.next(), [0, 0xA4, 0, 0]);
    until_card(&ours.0).await;
}

#[tokio::test]
async fn pcscd_stops_and_comes_back() {
    let Some(slots) = Slot::both() else { return };
    let Some(pcscd) = Pcscd::of_the_run(&slots) else { return };
    let (readers, _) = reader_of(&slots[0]);
    let reader = the_one(&readers).await;
    let card = Card::put_into(slots[0].address(), &ATR);
    until_card(&reader).await;
    let mut lease = reader.lease().await.expect("it is free");

    let pcscd = tokio::task::spawn_blocking(move || pcscd.stop().map(|()| pcscd));
    let pcscd = pcscd.await.expect("no panic").expect("it stops");
    let error = lease.transmit(&[0, 0xA4, 0, 0]).await.expect_err("nobody is there");
    assert!(matches!(error, CardError::Reader(_)), "{error:?}");
    let gone = until(&reader, |state| matches!(state, ReaderState::Gone(_))).await;
    assert!(gone.to_string().contains("pcscd does not run"), "{gone}");
    let error = reader.lease().await.expect_err("nobody is there");
    assert!(error.to_string().contains("pcscd does not run"), "{error}");
    assert_eq!(readers.list().trouble.as_deref(), Some(gone.to_string().as_str()));
    card.pull();

    let launched = tokio::task::spawn_blocking(move || pcscd.launch());
    launched.await.expect("no panic").expect("it starts");
    until(&reader, |state| *state == ReaderState::Empty).await;
    let card = Card::put_into(slots[0].address(), &ATR);
    until_card(&reader).await;
    let mut lease = reader.lease().await.expect("it is free");
    assert_eq!(lease.transmit(&[0, 0xA4, 0, 0]).await, Ok(vec![0x90, 0]));
    assert_eq!(card.next(), [0, 0xA4, 0, 0]);
}

/// No reader fits: the state says which was looked for, and goes on looking.
#[tokio::test]
async fn a_reader_that_is_not_plugged_in_says_so() {
    let Some(_slot) = Slot::take() else { return };
    let settings = vec![ReaderSettings {
        name: "counter-2".to_owned(),
        place: ReaderPlace::Pcsc("ACS ACR38*".to_owned()),
    }];
    let readers = CardReaders::start(settings, ReaderProfiles::built_in());
    let state = the_one(&readers).await.state();
    assert_eq!(state, ReaderState::Gone("no reader \"ACS ACR38*\" is plugged in".to_owned()));
    assert!(readers.list().trouble.is_some());
}

//! A serial reader over the simulated one, which was written from its maker's manual by another hand:
//! cards come and go, are read and written, and whatever goes wrong on the wire ends in a plain word, in
//! time, and with no write done twice.

use std::time::{Duration, Instant};

use meter_sim::card::{
    Card, CardFault, CardFaultKind, Chip, CpuCard, CpuKeys, DesFire, MifareClassic, ReaderFault,
    ReaderFaultKind, SerialReader,
};
use polymeter_domain::CardKind;
use polymeter_transport::{
    CardError, CardLease, CardReader, CardReaders, Endpoint, InsertedCard, Parity, ReaderPlace,
    ReaderProfiles, ReaderSettings, ReaderState,
};

const UID: [u8; 4] = [0xA1, 2, 3, 4];
const FF: [u8; 6] = [0xFF; 6];

/// A simulated reader and ours over it.
struct Counter {
    simulated: SerialReader,
    reader: CardReader,
    _readers: CardReaders,
}

impl Counter {
    fn tcp() -> Counter {
        Counter::over(SerialReader::tcp(0).expect("a port"))
    }

    fn over(simulated: SerialReader) -> Counter {
        let endpoint = match simulated.endpoint() {
            meter_sim::Endpoint::Tcp(address) => Endpoint::Tcp { address: address.to_string() },
            meter_sim::Endpoint::Serial(path) => {
                Endpoint::Serial { path, baud: 9_600, parity: Parity::None, stop_bits: 1 }
            }
        };
        let place = ReaderPlace::Port(endpoint);
        let settings = vec![ReaderSettings { name: "counter-1".to_owned(), place }];
        let readers = CardReaders::start(settings, ReaderProfiles::built_in());
        let reader = readers.find("counter-1").expect("it was configured");
        Counter { simulated, reader, _readers: readers }
    }

    async fn until(&self, what: impl Fn(&ReaderState) -> bool) -> ReaderState {
        let mut changes = self.reader.changes();
        let wait = tokio::time::timeout(Duration::from_secs(30), changes.wait_for(|it| what(it)));
        wait.await.expect("it comes").expect("the reader's thread runs").clone()
    }

    async fn until_empty(&self) {
        self.until(|state| *state == ReaderState::Empty).await;
    }

    async fn until_gone(&self) -> String {
        let is_gone =
            |state: &ReaderState| matches!(state, ReaderState::Gone(_)) && state.is_known();
        self.until(is_gone).await.to_string()
    }

    async fn put(&self, card: &Card) -> InsertedCard {
        self.until_empty().await;
        self.simulated.put(card);
        match self.until(|state| matches!(state, ReaderState::Card(_))).await {
            ReaderState::Card(card) => card,
            other => panic!("{other}"),
        }
    }

    async fn pull(&self) {
        self.simulated.pull();
        self.until_empty().await;
    }

    /// A lease whose sector 1 is open.
    async fn opened(&self, card: &Card) -> CardLease {
        self.put(card).await;
        let mut lease = self.reader.lease().await.expect("it is free");
        lease.verify(2, &FF).await.expect("the maker's key A");
        lease
    }

    /// A lease as soon as the reader has got over what went wrong.
    async fn leased_again(&self) -> CardLease {
        let begun = Instant::now();
        loop {
            match self.reader.lease().await {
                Ok(lease) => return lease,
                Err(error) => assert!(begun.elapsed() < Duration::from_secs(20), "{error}"),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn fault(&self, kind: ReaderFaultKind) {
        self.simulated.fault(ReaderFault { at: 1, kind });
    }

    /// How often block 4 was ordered to be written.
    fn writes(&self) -> usize {
        let is_write = |order: &&Vec<u8>| order.get(5..10) == Some(&[0xD4, 0x40, 1, 0xA0, 4]);
        self.simulated.orders().iter().filter(is_write).count()
    }
}

fn mifare() -> Card {
    Card::new(Chip::MifareClassic(Box::new(MifareClassic::blank(UID))))
}

/// What a Mifare card has in block 4.
fn block_4(card: &Card) -> Vec<u8> {
    card.truth().memory[64..80].to_vec()
}

#[tokio::test]
async fn cards_come_and_go_and_are_told_by_their_kind() {
    let counter = Counter::tcp();
    let found = counter.put(&mifare()).await;
    assert_eq!((found.kind, &found.uid[..]), (CardKind::MifareClassic, &UID[..]));
    counter.pull().await;
    let found = counter.put(&Card::new(Chip::DesFire(Box::new(DesFire::blank([4; 7]))))).await;
    assert_eq!((found.kind, &found.uid[..]), (CardKind::Desfire, &[4; 7][..]));
    counter.pull().await;
    let cpu = Card::cpu(CpuCard::blank([9, 2, 3, 4, 5, 6, 7, 8], &CpuKeys::same([1; 16])));
    let found = counter.put(&cpu).await;
    assert_eq!(found.kind, CardKind::Cpu);
    assert_eq!(found.atr[..13], [0x3B, 0x89, 0x80, 1, 0x86, 9, 2, 3, 4, 5, 6, 7, 8]);
    // A card with contacts alone does nothing here.
    counter.simulated.put(&Card::sle4442(meter_sim::card::acme::blank([1; 8])));
    counter.until_empty().await;
}

/// Through a pseudo-terminal, as a port of this machine is used.
#[tokio::test]
async fn a_mifare_card_is_read_written_and_given_a_new_key() {
    let counter = Counter::over(SerialReader::pty().expect("a terminal"));
    let card = mifare();
    let mut lease = counter.opened(&card).await;
    lease.write(64, &[9; 32]).await.expect("both blocks are in sector 1");
    assert_eq!(lease.read(72, 16).await, Ok(vec![9; 16]));
    let wrong = lease.verify(4, &[0; 6]).await.expect_err("a wrong key");
    assert!(matches!(wrong, CardError::Refused(_)), "{wrong}");
    // A card that has said no is selected again, and what it bears is as it was.
    lease.verify(2, &FF).await.expect("the right one again");
    lease.set_code(2, &[5; 6]).await.expect("key A writes the keys");
    drop(lease);
    let mut lease = counter.reader.lease().await.expect("it is free");
    lease.verify(2, &FF).await.expect_err("the key of before");
    lease.verify(2, &[5; 6]).await.expect("the new one");
    assert_eq!(lease.read(64, 1).await, Ok(vec![9]));
    // Block 0 is the maker's alone.
    let refused = lease.write(64, &[1; 15]).await.expect_err("no block");
    assert!(matches!(refused, CardError::Unsupported(_)), "{refused}");
}

#[tokio::test]
async fn a_processor_card_is_given_its_own_commands() {
    let counter = Counter::tcp();
    let card = Card::cpu(CpuCard::blank([9, 2, 3, 4, 5, 6, 7, 8], &CpuKeys::same([1; 16])));
    counter.put(&card).await;
    let mut lease = counter.reader.lease().await.expect("it is free");
    let select = [0x00, 0xA4, 0x00, 0x00, 0x02, 0xDF, 0x01];
    assert_eq!(lease.transmit(&select).await, Ok(vec![0x90, 0x00]));
    let challenge = lease.transmit(&[0x00, 0x84, 0x00, 0x00, 0x08]).await.expect("it answers");
    assert_eq!((challenge.len(), &challenge[8..]), (10, &[0x90, 0x00][..]));
    let most = lease.transmit(&[&[0x00, 0xD6, 0, 0, 247][..], &[0; 247]].concat()).await;
    assert_eq!(most, Ok(vec![0x69, 0x82]));
    let over = lease.transmit(&[&[0x00, 0xD6, 0, 0, 248][..], &[0; 248]].concat()).await;
    assert!(matches!(over, Err(CardError::Unsupported(_))), "{over:?}");
    counter.simulated.pull();
    assert_eq!(lease.transmit(&select).await, Err(CardError::Gone));
    counter.until_empty().await;
}

/// When its lease is over a card has no power, and neither has it where nobody has a lease.
#[tokio::test]
async fn a_card_has_power_while_it_is_lent_and_no_longer() {
    let counter = Counter::tcp();
    let lease = counter.opened(&mifare()).await;
    assert!(counter.simulated.has_field());
    drop(lease);
    let begun = Instant::now();
    while counter.simulated.has_field() && begun.elapsed() < Duration::from_secs(10) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(!counter.simulated.has_field());
    // Looking powers it for moments only; what was proved is forgotten.
    let mut lease = counter.reader.lease().await.expect("it is free");
    let unproved = lease.read(64, 16).await.expect_err("no sector is open");
    assert!(matches!(unproved, CardError::Refused(_)), "{unproved}");
}

/// Whatever happens to its frames or its answer, a write is ordered once.
#[tokio::test]
async fn a_write_is_never_sent_twice() {
    let counter = Counter::tcp();
    let check = async |kind: ReaderFaultKind, is_heard: bool, is_done: bool| {
        let (card, said) = (mifare(), format!("{kind:?}"));
        let mut lease = counter.opened(&card).await;
        let (before, begun) = (counter.writes(), Instant::now());
        counter.fault(kind);
        let written = lease.write(64, &[7; 16]).await;
        assert_eq!(written.is_ok(), is_heard, "{said}: {written:?}");
        assert_eq!(counter.writes(), before + 1, "{said}");
        assert_eq!(block_4(&card) == [7; 16], is_done, "{said}");
        assert!(begun.elapsed() < Duration::from_secs(15), "{said}: {:?}", begun.elapsed());
        if let Err(error) = written {
            let unclear = matches!(error, CardError::Reader(_) | CardError::OutOfTime { .. });
            assert!(unclear, "{said}: {error}");
            println!("{said}: {error}, after {} ms", begun.elapsed().as_millis());
        }
        drop(lease);
        counter.simulated.plug();
        counter.pull().await;
    };
    check(ReaderFaultKind::Unheard, false, false).await;
    check(ReaderFaultKind::Corrupt { times: 1 }, true, true).await;
    check(ReaderFaultKind::Corrupt { times: 3 }, true, true).await;
    check(ReaderFaultKind::Corrupt { times: 9 }, false, true).await;
    // Its answer was lost and is asked for again.
    check(ReaderFaultKind::Mute { done: true }, true, true).await;
    check(ReaderFaultKind::Mute { done: false }, false, false).await;
    check(ReaderFaultKind::Slow { wait_ms: 700 }, true, true).await;
    check(ReaderFaultKind::Unplugged { done: false }, false, false).await;
    check(ReaderFaultKind::Unplugged { done: true }, false, true).await;
}

/// A question that changes nothing is asked again where the reader did not take it.
#[tokio::test]
async fn a_read_outlives_a_frame_that_was_not_taken() {
    let counter = Counter::tcp();
    let mut lease = counter.opened(&mifare()).await;
    for kind in [
        ReaderFaultKind::Unheard,
        ReaderFaultKind::Corrupt { times: 2 },
        ReaderFaultKind::Slow { wait_ms: 400 },
    ] {
        counter.fault(kind.clone());
        assert_eq!(lease.read(64, 2).await, Ok(vec![0, 0]), "{kind:?}");
    }
}

#[tokio::test]
async fn a_reader_that_is_unplugged_says_so_and_comes_back_by_itself() {
    for simulated in [SerialReader::tcp(0), SerialReader::pty()] {
        let counter = Counter::over(simulated.expect("a line"));
        let mut lease = counter.opened(&mifare()).await;
        counter.simulated.unplug();
        lease.read(64, 16).await.expect_err("nobody is there");
        println!("unplugged: {}", counter.until_gone().await);
        let error = counter.reader.lease().await.expect_err("nobody is there");
        assert!(matches!(error, CardError::Reader(_)), "{error}");
        counter.simulated.plug();
        counter.until(|state| matches!(state, ReaderState::Card(_))).await;
        // What lease there was has ended: the card may be another one.
        lease.read(64, 16).await.expect_err("it ended with its reader");
        drop(lease);
        let mut lease = counter.reader.lease().await.expect("it is free");
        lease.verify(2, &FF).await.expect("the maker's key A");
    }
}

#[tokio::test]
async fn a_port_where_no_reader_is_says_what_to_look_at() {
    let place = ReaderPlace::Port(Endpoint::Serial {
        path: "/dev/no-such-port".into(),
        baud: 9_600,
        parity: Parity::None,
        stop_bits: 1,
    });
    let settings = vec![ReaderSettings { name: "counter-2".to_owned(), place }];
    let readers = CardReaders::start(settings, ReaderProfiles::built_in());
    let list = tokio::time::timeout(Duration::from_secs(10), readers.looked()).await;
    let list = list.expect("it was looked at");
    assert_eq!(list.trouble, None);
    let state = list.readers[0].state().to_string();
    assert!(state.starts_with("its port is down: "), "{state}");

    // Somebody listens who never says a word.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("it has one").to_string();
    let place = ReaderPlace::Port(Endpoint::Tcp { address });
    let settings = vec![ReaderSettings { name: "counter-3".to_owned(), place }];
    let readers = CardReaders::start(settings, ReaderProfiles::built_in());
    let state = readers.looked().await.readers[0].state().to_string();
    assert_eq!(state, "the reader does not answer: is it switched on, and is this its port?");
}

/// Pulled at each exchange of a write, before and after the card did it: the lease ends, the card is
/// what it was or what it was to be, and the next lease finds it.
#[tokio::test]
async fn a_card_pulled_at_any_exchange_ends_the_lease() {
    let counter = Counter::tcp();
    let mut cuts = 0;
    for at in 1.. {
        let card = mifare();
        counter.put(&card).await;
        let mut lease = counter.reader.lease().await.expect("it is free");
        let kind = [CardFaultKind::PulledBefore, CardFaultKind::PulledAfter][at % 2];
        card.fault(CardFault { at: u64::try_from(at).expect("few"), kind });
        let done = async {
            lease.verify(2, &FF).await?;
            lease.write(64, &[7; 16]).await?;
            lease.read(64, 16).await
        };
        match done.await {
            Ok(read) => {
                assert_eq!(read, [7; 16]);
                break;
            }
            Err(error) => assert_eq!(error, CardError::Gone, "command {at}"),
        }
        cuts += 1;
        assert!(!counter.simulated.has_card());
        drop(lease);
        counter.put(&card).await;
        let mut lease = counter.reader.lease().await.expect("it is free");
        lease.verify(2, &FF).await.expect("the maker's key A");
        let read = lease.read(64, 16).await.expect("it is whole");
        assert!(read == [7; 16] || read == [0; 16], "{read:?}");
        drop(lease);
        counter.pull().await;
    }
    println!("serial reader: {cuts} cut points");
    assert!(cuts > 2, "{cuts}");
}

/// Another card of the same kind in place of the first: the lease of the one never speaks to the other.
#[tokio::test]
async fn a_card_in_place_of_another_is_another() {
    let counter = Counter::tcp();
    let (first, second) = (mifare(), MifareClassic::blank([0xB1, 2, 3, 4]));
    let mut lease = counter.opened(&first).await;
    let second = Card::new(Chip::MifareClassic(Box::new(second)));
    counter.simulated.put(&second);
    assert_eq!(lease.read(64, 16).await, Err(CardError::Gone));
    let is_second =
        |state: &ReaderState| matches!(state, ReaderState::Card(card) if card.uid[0] == 0xB1);
    counter.until(is_second).await;
    assert_eq!(lease.write(64, &[1; 16]).await, Err(CardError::Gone));
    drop(lease);
    // Swapped between two looks: nobody is lent the one under the other's name.
    counter.simulated.put(&first);
    match counter.reader.lease().await {
        Ok(lease) => assert_eq!(lease.card().uid, UID),
        Err(error) => assert_eq!(error, CardError::Gone),
    }
    counter.until(|state| matches!(state, ReaderState::Card(card) if card.uid == UID)).await;
}

/// Anything in place of an answer: an error in words and in time, and the reader is there again. That no
/// bytes keep the wire is tested beside it, with shorter waits (`card/serial/link.rs`).
#[tokio::test]
async fn hostile_answers_are_errors_in_bounded_time() {
    let counter = Counter::tcp();
    let card = mifare();
    let mut lease = counter.opened(&card).await;
    let taken = [2, 0, 0, 3];
    for answer in [
        taken.repeat(500),
        [&taken[..], &[2, 0x80, 0xFF, 0xFF, 0xFF, 0xFF, 0, 1, 0, 0, 0]].concat(),
        vec![2; 3_000],
        Vec::new(),
    ] {
        let (begun, shown) = (Instant::now(), answer.get(..12).unwrap_or(&answer).to_vec());
        counter.fault(ReaderFaultKind::Says(answer));
        let read = lease.read(64, 16).await;
        let waited = begun.elapsed();
        assert!(waited < Duration::from_secs(12), "{shown:02X?}: {waited:?}");
        assert!(read.is_err() || read == Ok(vec![0; 16]), "{shown:02X?}: {read:?}");
        drop(lease);
        lease = counter.leased_again().await;
        lease.verify(2, &FF).await.expect("the maker's key A");
    }
}

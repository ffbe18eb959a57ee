//! Cards as whoever speaks to them finds them: in this process, and through the protocol of
//! vsmartcard's virtual reader.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};

use meter_sim::card::{
    Card, CardFault, CardFaultKind, CpuCard, CpuKeys, Inserted, Readers, SerialReader, Sle4442,
};

const SELECT: [u8; 6] = [0xFF, 0xA4, 0, 0, 1, 6];
const VERIFY: [u8; 8] = [0xFF, 0x20, 0, 0, 3, 0xFF, 0xFF, 0xFF];
const WRITE: [u8; 9] = [0xFF, 0xD0, 0, 64, 4, 1, 2, 3, 4];

/// vpcd's side of a slot: what it sends, and what comes back.
struct Slot(TcpStream);

impl Slot {
    fn order(&mut self, order: u8) {
        self.0.write_all(&[0, 1, order]).unwrap();
    }

    fn hear(&mut self) -> Option<Vec<u8>> {
        let mut length = [0; 2];
        self.0.read_exact(&mut length).ok()?;
        let mut answer = vec![0; usize::from(u16::from_be_bytes(length))];
        self.0.read_exact(&mut answer).ok()?;
        Some(answer)
    }

    fn ask(&mut self, command: &[u8]) -> Option<Vec<u8>> {
        let length = u16::try_from(command.len()).unwrap().to_be_bytes();
        self.0.write_all(&[&length[..], command].concat()).unwrap();
        self.hear()
    }
}

fn inserted(card: &Card) -> (Slot, Inserted) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let inserted = Inserted::new(listener.local_addr().unwrap(), card).unwrap();
    (Slot(listener.accept().unwrap().0), inserted)
}

#[test]
fn a_card_in_the_virtual_reader_answers_until_it_is_pulled() {
    let card = Card::sle4442(Sle4442::blank());
    let (mut slot, lying) = inserted(&card);
    slot.order(1);
    slot.order(4);
    assert_eq!(slot.hear().unwrap(), [0x3B, 0x04, 0xA2, 0x13, 0x10, 0x91]);
    assert_eq!(slot.ask(&SELECT).unwrap(), [0x90, 0]);
    assert_eq!(slot.ask(&VERIFY).unwrap(), [0x90, 7]);
    assert_eq!(slot.ask(&WRITE).unwrap(), [0x90, 0]);
    // A reset forgets the code, so that nothing is written any more.
    slot.order(2);
    slot.ask(&SELECT);
    assert_eq!(slot.ask(&[0xFF, 0xD0, 0, 64, 1, 9]).unwrap(), [0x90, 0]);
    assert_eq!(slot.ask(&[0xFF, 0xB0, 0, 64, 5]).unwrap(), [1, 2, 3, 4, 0xFF, 0x90, 0]);
    assert!(lying.is_in());
    lying.pull();
    assert_eq!(slot.hear(), None);
}

#[test]
fn a_pull_while_it_works_closes_the_virtual_reader_and_leaves_what_was_written() {
    for (kind, held) in [
        (CardFaultKind::PulledBefore, [0xFF; 4]),
        (CardFaultKind::PulledWithin { bytes: 2 }, [1, 2, 0xFF, 0xFF]),
        (CardFaultKind::PulledAfter, [1, 2, 3, 4]),
    ] {
        let card = Card::sle4442(Sle4442::blank());
        card.fault(CardFault { at: 3, kind });
        let (mut slot, lying) = inserted(&card);
        slot.ask(&SELECT).unwrap();
        slot.ask(&VERIFY).unwrap();
        assert_eq!(slot.ask(&WRITE), None, "{kind:?}");
        assert_eq!((card.truth().memory[64..68].to_vec(), card.commands()), (held.to_vec(), 3));
        // The thread that served it ends by itself.
        while lying.is_in() {
            std::thread::yield_now();
        }
        let (mut slot, _lying) = inserted(&card);
        assert_eq!(slot.ask(&SELECT).unwrap(), [0x90, 0]);
    }
}

#[test]
fn faults_wait_for_their_command_and_an_image_is_a_card_of_its_own() {
    let keys = CpuKeys::same([0x5A; 16]);
    let card = Card::cpu(CpuCard::blank([8; 8], &keys));
    let select = [0x00, 0xA4, 0, 0, 2, 0x3F, 0];
    let garbled = CardFaultKind::Garbled { status: [0x6F, 0x01] };
    card.fault(CardFault { at: 2, kind: garbled });
    card.fault(CardFault { at: 3, kind: CardFaultKind::Refused { status: [0x65, 0x81] } });
    assert_eq!(card.transmit(&select).unwrap(), [0x90, 0]);
    assert_eq!(card.transmit(&[0, 0x84, 0, 0, 4]).unwrap()[4..], [0x6F, 0x01]);
    assert_eq!(card.transmit(&select).unwrap(), [0x65, 0x81]);
    assert_eq!(card.transmit(&[1, 2]).unwrap(), [0x67, 0]);
    card.fault(CardFault { at: 1, kind: CardFaultKind::PulledBefore });
    card.clear_faults();
    assert_eq!(card.transmit(&select).unwrap(), [0x90, 0]);

    let image = card.image();
    image.alter(|chip| match chip {
        meter_sim::card::Chip::Cpu(chip) => chip.file_mut(2).unwrap().fill(9),
        _ => panic!("another chip"),
    });
    assert_eq!(card.file(2), Some(vec![0; 8]));
    assert_eq!(image.file(2), Some(vec![9; 8]));
    assert_eq!(image.atr(), card.atr());
}

#[test]
fn ten_thousand_random_cards_answer_whatever_they_are_asked() {
    let mut kinds = std::collections::BTreeMap::new();
    for seed in 0..10_000_u64 {
        let card = Card::random(seed);
        assert_eq!(card.truth(), Card::random(seed).truth());
        *kinds.entry(card.atr().get(..6).map(<[u8]>::to_vec)).or_insert(0) += 1;
        // Commands that all cards get sooner or later, and what the seed says.
        let noise = seed.to_le_bytes();
        let asked: [&[u8]; 8] = [
            &SELECT,
            &[0xFF, 0xB0, 0, 0, 0],
            &[0xFF, 0xB1, 0, 0, 4],
            &[0xFF, 0x86, 0, 0, 5, 1, 0, noise[0], 0x60, noise[1]],
            &[0x00, 0xA4, 0, 0, 2, 0xDF, 0x01],
            &[0x00, 0xB0, 0x81, noise[0], 45],
            &[0x04, 0xB0, 0x82, 0, 9, 1, 2, 3, 4, 0x84, 0x32, 0x01, 0x0C, noise[1]],
            &[0xFF, noise[0], noise[1], noise[0], noise[1]],
        ];
        let before = card.truth();
        for command in asked {
            assert!(card.transmit(command).unwrap().len() >= 2);
        }
        let after = card.truth();
        assert_eq!((after.memory, after.tries_left), (before.memory, before.tries_left), "{seed}");
    }
    assert!(kinds.len() > 4, "{kinds:?}");
}

fn ask(readers: Readers, lines: &[&str]) -> Vec<serde_json::Value> {
    let (mut input, mut output) = (lines.join("\n").into_bytes(), Vec::new());
    input.push(b'\n');
    meter_sim::card::serve_hand(readers, &mut &input[..], &mut output).unwrap();
    let text = String::from_utf8(output).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_hand_lays_cards_onto_a_serial_reader() {
    let said = ask(
        Readers::Serial(SerialReader::tcp(0).unwrap()),
        &[
            r#"{"card":{"name":"a","kind":"luna","number":"A0000001"}}"#,
            r#"{"card":{"name":"b","kind":"acme","number":"0000000000000007"}}"#,
            r#"{"insert":{"card":"a"}}"#,
            r#"{"truth":"a"}"#,
            r#"{"insert":{"card":"b"}}"#,
            r#"{"insert":{"card":"a","slot":1}}"#,
            r#"{"pull":"a"}"#,
            r#"{"truth":"a"}"#,
            r#"{"meter":{"kind":"luna","name":"m","number":"000000000042","read":"01","write":"02","data":"03"}}"#,
            r#"{"take":{"card":"a","meter":"m"}}"#,
        ],
    );
    let ok = serde_json::json!({ "ok": true });
    let error = |text: &str| serde_json::json!({ "error": text });
    assert_eq!([&said[0], &said[1], &said[2], &said[6], &said[8]], [&ok; 5]);
    assert_eq!((&said[3]["in_reader"], &said[7]["in_reader"]), (&true.into(), &false.into()));
    assert_eq!(said[4], error("b has no antenna"));
    assert_eq!(said[5], error("there is no such slot"));
    // A card from its maker has none of the meter's keys.
    assert!(said[9]["code"].is_u64(), "{}", said[9]);
}

#[test]
fn a_hand_puts_cards_into_the_reader_and_into_meters() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let slot = Readers::Virtual(listener.local_addr().unwrap());
    let said = ask(
        slot,
        &[
            r#"{"card":{"name":"a","kind":"acme","number":"0000000000000007"}}"#,
            r#"{"insert":{"card":"a"}}"#,
            r#"{"truth":"a"}"#,
            r#"{"meter":{"kind":"acme","name":"m","number":"000000000042","psc":"01","data":"02"}}"#,
            r#"{"take":{"card":"a","meter":"m"}}"#,
            r#"{"pull":"a"}"#,
            r#"{"pull":"a"}"#,
            r#"{"fault":{"card":"a","at":2,"kind":"pulled_before"}}"#,
            r#"{"take":{"card":"a","meter":"m"}}"#,
            r#"{"take":{"card":"a","meter":"m"}}"#,
            r#"{"use":{"meter":"m","fen":5}}"#,
            r#"{"state":"m"}"#,
            r#"{"card":{"name":"b","kind":"mifare","number":"07"}}"#,
            r#"{"insert":{"card":"c"}}"#,
            r#"{"nothing":1}"#,
        ],
    );
    let ok = serde_json::json!({ "ok": true });
    let error = |text: &str| serde_json::json!({ "error": text });
    assert_eq!([&said[0], &said[1], &said[3], &said[5], &said[7], &said[10]], [&ok; 6]);
    assert_eq!((&said[2]["in_reader"], &said[2]["tries_left"]), (&true.into(), &3.into()));
    assert!(said[2]["memory"].as_str().unwrap().contains(&hex::encode("ACME")));
    assert_eq!(said[4], error("a lies in the reader"));
    assert_eq!(said[6], error("a lies in no reader"));
    assert_eq!((&said[8]["code"], &said[8]["shown"]), (&20.into(), &"Err32".into()));
    // Nothing was written on it that the meter's keys made.
    assert_eq!((&said[9]["code"], &said[9]["meaning"]), (&7.into(), &"Mac".into()));
    assert_eq!((&said[11]["stage"], &said[11]["money_fen"]), (&"trial".into(), &0.into()));
    assert_eq!(said[12], error("number has 8 hexadecimal digits"));
    assert_eq!(said[13], error("there is no card c"));
    assert!(said[14]["error"].as_str().unwrap().contains("nothing"));
    let said = ask(
        Readers::Virtual(listener.local_addr().unwrap()),
        &[
            r#"{"card":{"name":"a","kind":"at24c"}}"#,
            r#"{"write":{"card":"a","at":1,"bytes":"7e41"}}"#,
            r#"{"write":{"card":"a","at":2047,"bytes":"0000"}}"#,
            r#"{"write":{"card":"a","at":0,"bytes":"0"}}"#,
            r#"{"truth":"a"}"#,
            r#"{"card":{"name":"d","kind":"desfire","number":"01020304050607"}}"#,
            r#"{"write":{"card":"d","at":0,"bytes":"00"}}"#,
        ],
    );
    assert_eq!([&said[0], &said[1], &said[5]], [&ok; 3]);
    assert_eq!(said[2], error("a has no such bytes"));
    assert_eq!(said[3], error("bytes: Odd number of digits"));
    assert!(said[4]["memory"].as_str().unwrap().starts_with("ff7e41ff"), "{}", said[4]);
    assert_eq!(said[6], error("d has no memory"));
}

//! RDK's card functions, through the worker, with a card that is a function.

use crate::rig::{Which, call};
use polymeter_native::words::{ANSWER, command, identifier, result};
use polymeter_native::{Frame, Items, Writer, answered, asked};
use polymeter_transcript::{
    CardAct, CardContents, CardIdentity, CardOrder, Credit, Function, LocalTime, Outcome, Purchase,
    Request, Told, Value, WrittenBack,
};
use std::time::Duration;

const MOST: Duration = Duration::from_secs(30);

/// 256 bytes of memory, as the README of the example has them.
struct Card {
    memory: Vec<u8>,
    /// Pulled out while it is written.
    torn: bool,
}

impl Card {
    fn blank() -> Card {
        Card { memory: vec![0; 256], torn: false }
    }

    fn answer(&mut self, asked: &[u8]) -> Option<Vec<u8>> {
        let (at, length) = (usize::from(asked[3]), usize::from(asked[4]));
        let mut said: Vec<u8> = match (asked[0], asked[1]) {
            (0xFF, 0xB0) => self.memory[at..at + length].to_vec(),
            (0xFF, 0xD6) => {
                let data = &asked[5..];
                assert_eq!(data.len(), length, "all in one write");
                let written = if self.torn { 10 } else { length };
                self.memory[at..at + written].copy_from_slice(&data[..written]);
                vec![]
            }
            other => panic!("the card is asked {other:02X?}"),
        };
        said.extend([0x90, 0]);
        Some(said)
    }

    async fn ask(&mut self, code: u8, write: impl FnOnce(&mut Writer)) -> Frame {
        let mut data = Writer::default();
        write(&mut data);
        let frame = Frame { command: code, data: data.into_bytes() };
        let seen = call(Which::Rdk, &frame, "", MOST, |asked| self.answer(asked)).await;
        let answer = seen.frame();
        assert_eq!(answer.command, code | ANSWER);
        answer
    }

    async fn purchase(&mut self, code: u8, region: &str, customer: &str, count: u32) -> Frame {
        self.ask(code, |data| {
            data.item(identifier::NONCE, &[7; 16]);
            data.item(identifier::REGION, region.as_bytes());
            data.item(identifier::CUSTOMER, customer.as_bytes());
            data.item(identifier::COUNT, &count.to_be_bytes());
            data.credit(identifier::CREDIT, &Credit { quantity: 1, amount: 5000 });
        })
        .await
    }
}

fn said(frame: &Frame) -> (u8, String) {
    let items = Items::parse(&frame.data).expect("items");
    let text = |identifier| items.find(identifier).map(|it| it.text().expect("text"));
    let said = items.need(identifier::RESULT).and_then(|it| it.u8()).expect("a result");
    (said, text(identifier::DEVICE_CODE).or(text(identifier::CUSTOMER)).unwrap_or_default())
}

#[tokio::test]
async fn a_card_is_opened_sold_to_checked_and_recycled() {
    let mut card = Card::blank();
    let opened = card.purchase(command::CARD_OPEN, "north", "100001", 1).await;
    assert_eq!(said(&opened), (result::DONE, "000000100001".to_owned()));
    assert_eq!(&card.memory[..12], b"RDK\x01north\0\0\0", "mark, kind and region");
    let sold = card.purchase(command::CARD_SELL, "north", "100001", 2).await;
    assert_eq!(said(&sold).0, result::DONE);
    assert_eq!(&card.memory[18..24], [0, 2, 0, 0, 0x13, 0x88], "count and amount");

    let known = card.ask(command::CARD_IDENTIFY, |_| {}).await;
    let items = Items::parse(&known.data).expect("items");
    assert_eq!(items.find(identifier::VENDOR).expect("a vendor").text(), Ok("RDK".to_owned()));
    assert_eq!(items.find(identifier::REGION).expect("one").text(), Ok("north".to_owned()));
    assert_eq!(items.find(identifier::CARD_KIND).expect("a kind").u8(), Ok(2));

    // The meter has taken the purchase and written back.
    card.memory[32..38].copy_from_slice(&[0, 0, 0x1B, 0x58, 0, 2]);
    card.memory[42] = card.memory[..42].iter().fold(0, |check, byte| check ^ byte);
    let checked = card.ask(command::CARD_CHECK, |_| {}).await;
    let items = Items::parse(&checked.data).expect("items");
    let credit = |amount| Credit { quantity: 1, amount };
    assert_eq!(items.find(identifier::PURCHASE).expect("one").counted(), Ok((2, credit(5000))));
    assert_eq!(items.find(identifier::BALANCE).expect("one").credit(), Ok(credit(7000)));

    let cleared = card.ask(command::CARD_CLEAR, |data| {
        data.item(identifier::REGION, b"north");
    });
    assert_eq!(said(&cleared.await).0, result::DONE);
    assert_eq!((card.memory[3], &card.memory[12..42]), (3, [0; 30].as_slice()));
    let again = card.purchase(command::CARD_OPEN, "north", "100002", 1).await;
    assert_eq!(said(&again), (result::DONE, "000000100002".to_owned()), "it is as good as blank");
}

fn told() -> Told {
    let now = LocalTime { year: 2026, month: 3, day: 2, hour: 10, minute: 0, second: 0 };
    Told { address: String::new(), parameters: vec![], now, nonce: vec![7; 16] }
}

fn order(purpose: u16, count: u32, amount: u64) -> CardOrder {
    let credit = Credit { quantity: 1, amount };
    CardOrder {
        purpose,
        region: "north".to_owned(),
        customer_number: "100001".to_owned(),
        purchase: (count > 0).then_some(Purchase { count, credit }),
        parameters: vec![],
    }
}

/// The same as the contract has it.
#[tokio::test]
async fn the_contracts_verbs_are_the_librarys_commands() {
    let mut card = Card::blank();
    card.memory = vec![0xFF; 256];
    let mut outcome = async |request: Request| {
        let frame = asked(&request, Some("north")).expect("asked of a library");
        let seen = call(Which::Rdk, &frame, "", MOST, |asked| card.answer(asked)).await;
        let outcome = answered(request.function(), &seen.frame()).expect("an outcome");
        card.memory[32..38].copy_from_slice(&[0, 0, 0x1B, 0x58, 0, 1]);
        card.memory[42] = card.memory[..42].iter().fold(0, |check, byte| check ^ byte);
        outcome
    };
    let identity = CardIdentity {
        vendor_code: "RDK".to_owned(),
        purpose: 0,
        region: String::new(),
        customer_number: String::new(),
        device: String::new(),
        serial: String::new(),
    };
    let blank = outcome(Request::CardIdentify(told())).await;
    assert_eq!(blank, Outcome::CardIdentity(Some(identity.clone())));
    let opened = outcome(Request::Card(CardAct::Open, told(), order(1, 1, 5000))).await;
    assert!(matches!(opened, Outcome::Sell(_)), "{opened:?}");
    let sold = outcome(Request::Card(CardAct::Sell, told(), order(1, 2, 6000))).await;
    assert!(matches!(sold, Outcome::Sell(_)), "{sold:?}");
    let identity = CardIdentity {
        purpose: 1,
        region: "north".to_owned(),
        customer_number: "000000100001".to_owned(),
        serial: "07070707".to_owned(),
        ..identity
    };
    let credit = |amount| Credit { quantity: 1, amount };
    let contents = CardContents {
        identity: identity.clone(),
        purchase: Some(Purchase { count: 2, credit: credit(6000) }),
        taken: 1,
        written_back: Some(WrittenBack {
            count: 1,
            balance: Some(credit(7000)),
            at: None,
            measurements: vec![],
            extras: vec![],
        }),
        extras: vec![],
    };
    assert_eq!(outcome(Request::CardCheck(told())).await, Outcome::CardContents(contents));
    let cleared = outcome(Request::CardClear(told())).await;
    assert!(matches!(cleared, Outcome::Sell(_)), "{cleared:?}");
}

#[tokio::test]
async fn a_card_of_somebody_else_is_told_and_no_error() {
    let mut card = Card::blank();
    card.memory[..4].copy_from_slice(b"ACME");
    let request = Request::CardIdentify(told());
    let frame = asked(&request, None).expect("asked");
    let seen = call(Which::Rdk, &frame, "", MOST, |asked| card.answer(asked)).await;
    assert!(matches!(seen.ended, Some(Ok((-3, _)))), "{seen:?}");
    let no = call(Which::Rdk, &frame, "", MOST, |_| Some(vec![0x6D, 0])).await;
    assert!(matches!(no.ended, Some(Ok((-3, _)))), "{no:?}");
}

#[test]
fn what_a_library_cannot_be_asked_is_said_before() {
    let check = |request: &Request, sentence: &str| {
        let error = asked(request, None).expect_err("not asked").to_string();
        assert_eq!(error, sentence);
    };
    let card = |act, purpose| Request::Card(act, told(), order(purpose, 1, 500));
    check(&card(CardAct::TakeBack, 1), "a native library has no command for card.take-back");
    check(&card(CardAct::Make, 5), "a card of purpose 5 is none that a native library makes");
    check(
        &card(CardAct::Make, 2),
        "a settings card carries `alarm`, in minor units, and nothing else",
    );
    let mut alarm = order(2, 0, 0);
    let number = polymeter_transcript::Decimal { mantissa: 2000, scale: 0 };
    alarm.parameters = vec![("alarm".to_owned(), Value::Number(number))];
    let frame = asked(&Request::Card(CardAct::Make, told(), alarm), None).expect("asked");
    assert_eq!(frame.command, command::CARD_SET);
    assert_eq!(Function::CardMake.interface(), "card");
}

#[tokio::test]
async fn cards_of_other_regions_and_customers_are_refused() {
    let mut card = Card::blank();
    card.purchase(command::CARD_OPEN, "north", "100001", 1).await;
    let before = card.memory.clone();
    for (region, customer, count, code) in [
        ("south", "100001", 2, "21"),
        ("north", "100002", 2, "23"),
        ("north", "100001", 3, "24"),
        ("north", "100001", 1, "24"),
    ] {
        let no = card.purchase(command::CARD_SELL, region, customer, count).await;
        assert_eq!(said(&no), (result::REFUSED, code.to_owned()), "{region} {customer} {count}");
    }
    let again = card.purchase(command::CARD_OPEN, "north", "100002", 1).await;
    assert_eq!(said(&again), (result::REFUSED, "22".to_owned()), "a card is opened once");
    let same = card.purchase(command::CARD_OPEN, "north", "100001", 1).await;
    assert_eq!(said(&same).0, result::DONE, "it was done before");
    assert_eq!(card.memory, before);
    let alarm = |data: &mut Writer| {
        data.item(identifier::REGION, b"north");
        data.credit(identifier::CREDIT, &Credit { quantity: 1, amount: 2000 });
    };
    // One with the first purchase opens the meter still, which no card has been in with it.
    for (count, kind) in [(1, 1), (2, 2)] {
        let mut lost = Card::blank();
        let replaced = lost.purchase(command::CARD_REPLACE, "north", "100001", count).await;
        assert_eq!((said(&replaced).0, lost.memory[3]), (result::DONE, kind));
        let no = lost.ask(command::CARD_SET, alarm).await;
        assert_eq!(said(&no), (result::REFUSED, "22".to_owned()), "a customer's card stays one");
    }
    let mut lost = Card::blank();
    let set = lost.ask(command::CARD_SET, alarm).await;
    assert_eq!(said(&set).0, result::DONE);
    assert_eq!((lost.memory[3], &lost.memory[24..28]), (4, [0, 0, 7, 0xD0].as_slice()));
}

#[tokio::test]
async fn a_card_pulled_out_too_early_is_no_success() {
    let mut card = Card::blank();
    card.purchase(command::CARD_OPEN, "north", "100001", 1).await;
    card.torn = true;
    let sold = card.purchase(command::CARD_SELL, "north", "100001", 2).await;
    assert_eq!(said(&sold).0, result::UNKNOWN);
}

//! RDK's card functions, through the worker, with a card reader that is a function.

use crate::rig::{Which, call};
use polymeter_native::words::{ANSWER, command, identifier, result};
use polymeter_native::{Frame, Items, Writer};
use polymeter_transcript::Credit;
use std::time::Duration;

const MOST: Duration = Duration::from_secs(30);

/// 256 bytes in a reader, as the README of the example has them.
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
        let (data, code) = (&asked[7..asked.len() - 1], asked[6]);
        let said: Vec<u8> = match code {
            0x20 => vec![1],
            0x21 => self.memory[usize::from(data[0])..][..usize::from(data[1])].to_vec(),
            0x22 => {
                let written = if self.torn { 10 } else { data.len() - 1 };
                let at = usize::from(data[0]);
                self.memory[at..at + written].copy_from_slice(&data[1..=written]);
                vec![]
            }
            other => panic!("the reader is asked {other:02X}"),
        };
        let length = u8::try_from(said.len()).expect("short");
        let mut frame = [&[0x7E, length, 0xEE, 0xEE, 0xEE, 0xEE, code | 0x80], &said[..]].concat();
        frame.push(frame[1..].iter().fold(0, |check, byte| check ^ byte));
        Some(frame)
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
    card.memory[38] = card.memory[..38].iter().fold(0, |check, byte| check ^ byte);
    let checked = card.ask(command::CARD_CHECK, |_| {}).await;
    let items = Items::parse(&checked.data).expect("items");
    let credit = |amount| Credit { quantity: 1, amount };
    assert_eq!(items.find(identifier::PURCHASE).expect("one").counted(), Ok((2, credit(5000))));
    assert_eq!(items.find(identifier::BALANCE).expect("one").credit(), Ok(credit(7000)));

    let cleared = card.ask(command::CARD_CLEAR, |data| {
        data.item(identifier::REGION, b"north");
    });
    assert_eq!(said(&cleared.await).0, result::DONE);
    assert_eq!((card.memory[3], &card.memory[12..38]), (3, [0; 26].as_slice()));
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
    let again = card.purchase(command::CARD_OPEN, "north", "100001", 1).await;
    assert_eq!(said(&again), (result::REFUSED, "22".to_owned()), "a card is opened once");
    assert_eq!(card.memory, before);
    let mut lost = Card::blank();
    let replaced = lost.purchase(command::CARD_REPLACE, "north", "100001", 1).await;
    assert_eq!((said(&replaced).0, lost.memory[3]), (result::DONE, 2));
    let set = lost.ask(command::CARD_SET, |data| {
        data.item(identifier::REGION, b"north");
        data.credit(identifier::CREDIT, &Credit { quantity: 1, amount: 2000 });
    });
    assert_eq!(said(&set.await).0, result::DONE);
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

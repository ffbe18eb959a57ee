//! RDK's library and a meter that answers as its document says.

use crate::rig::{Which, call};
use polymeter_native::{answered, asked, described};
use polymeter_transcript::{
    Credit, Evidence, LocalTime, Order, Outcome, Purchase, Receipt, Refusal, Request, SellOutcome,
    Told,
};
use std::time::Duration;

const MOST: Duration = Duration::from_secs(30);

fn told() -> Told {
    let now = LocalTime { year: 2026, month: 3, day: 2, hour: 10, minute: 0, second: 0 };
    Told { address: "00000042".to_owned(), parameters: vec![], now, nonce: vec![7; 16] }
}

fn sale() -> Request {
    let credit = Credit { quantity: 1, amount: 5000 };
    let purchase = Purchase { count: 3, credit };
    Request::Sell(told(), Order { customer_number: "100001".to_owned(), purchase })
}

/// A frame of the meter 00000042.
fn meter(command: u8, data: &[u8]) -> Vec<u8> {
    let length = u8::try_from(data.len()).expect("short");
    let mut frame = [&[0x7E, length, 0, 0, 0, 0x42, command], data].concat();
    frame.push(frame[1..].iter().fold(0, |check, byte| check ^ byte));
    frame
}

async fn outcome(request: &Request, reply: Option<Vec<u8>>) -> (Vec<Vec<u8>>, Outcome) {
    let frame = asked(request, None).expect("asked of a library");
    let seen = call(Which::Rdk, &frame, "0123456789ABCDEF", MOST, |_| reply.clone()).await;
    let outcome = answered(request.function(), &seen.frame()).expect("an outcome");
    (seen.sent, outcome)
}

#[tokio::test]
async fn it_says_what_it_is() {
    let frame = asked(&Request::Describe, None).expect("asked");
    let seen = call(Which::Rdk, &frame, "", MOST, |_| None).await;
    assert!(seen.sent.is_empty(), "no device is asked");
    let said = described(&seen.frame()).expect("a description").expect("and no error");
    assert_eq!(said.description.vendor_code, "RDK");
    assert_eq!(said.description.models, ["RDK-1"]);
    assert_eq!((said.description.proof, said.description.purse), (1, 1));
    let [alarm] = &said.description.parameters[..] else { panic!("one parameter") };
    assert_eq!((alarm.name.as_str(), alarm.title_zh.as_str()), ("alarm", "报警金额"));
    assert_eq!((alarm.minimum, alarm.maximum), (Some(0), Some(99_999_999)));
    assert!(alarm.writable && said.purse && said.supply && said.settings && said.cards);
}

#[tokio::test]
async fn a_sale_is_one_frame_and_its_answer() {
    let (sent, outcome) = outcome(&sale(), Some(meter(0x85, &[0, 3, 0, 0, 0x1B, 0x58]))).await;
    let data = [b"0123456789ABCDEF".as_slice(), &[0, 0, 0, 0x10, 0, 1, 0, 3, 0, 0, 0x13, 0x88]];
    assert_eq!(sent, [meter(0x05, &data.concat())]);
    let balance = Some(Credit { quantity: 1, amount: 7000 });
    let receipt = Receipt { count: 3, balance, extras: vec![] };
    assert_eq!(outcome, Outcome::Sell(SellOutcome::Confirmed(receipt)));
}

#[tokio::test]
async fn a_no_and_silence_and_noise_are_told_apart() {
    let (_, said) = outcome(&sale(), Some(meter(0xC5, &[3]))).await;
    let refusal = Refusal {
        code: 6,
        detail: "the device says no".to_owned(),
        device_code: Some("03".to_owned()),
    };
    assert_eq!(said, Outcome::Sell(SellOutcome::Refused(refusal)));
    let mut noise = meter(0x85, &[0, 3, 0, 0, 0x1B, 0x58]);
    noise[9] ^= 0x10;
    for reply in [None, Some(noise)] {
        let (_, said) = outcome(&sale(), reply).await;
        assert!(matches!(said, Outcome::Sell(SellOutcome::Unknown(_))), "{said:?}");
    }
}

#[tokio::test]
async fn the_purse_proves_a_sale() {
    let reply = meter(0x83, &[0, 3, 0, 0, 0x13, 0x88, 0, 0, 0x1B, 0x58, 1]);
    let (_, said) = outcome(&Request::Check(told(), Some(3)), Some(reply)).await;
    let credit = |amount| Credit { quantity: 1, amount };
    let purchase = Some(Purchase { count: 3, credit: credit(5000) });
    let evidence = Evidence { count: 3, purchase, balance: Some(credit(7000)) };
    assert_eq!(said, Outcome::Evidence(evidence));
}

#[tokio::test]
async fn its_own_error_number_is_one_of_the_contracts() {
    let frame = asked(&Request::Read(told()), None).expect("asked");
    let seen = call(Which::Rdk, &frame, "", MOST, |_| Some(meter(0x82, &[1]))).await;
    assert!(matches!(seen.ended, Some(Ok((-2, _)))), "garbled: {seen:?}");
}

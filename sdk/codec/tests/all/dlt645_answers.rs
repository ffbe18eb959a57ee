//! Whose answer a DL/T 645 frame is, and answers in several frames.

use polymeter_codec::dlt645::answer::{Answer, Identifier, Question, Stranger};
use polymeter_codec::dlt645::request::{self, BadRequest, Freeze, Proof};
use polymeter_codec::dlt645::value::Time;
use polymeter_codec::dlt645::{Data, Frame, control};

const ITEM: u32 = 0x0600_0001;

fn frame(address: &str, control: u8, data: &[u8]) -> Frame {
    Frame { address: address.parse().unwrap(), control, data: Data::new(data).unwrap() }
}

fn question(control: u8) -> Question {
    let address = "000000000186".parse().unwrap();
    Question { address, control, identifier: Identifier::Long(ITEM) }
}

fn item_and(rest: &[u8]) -> Vec<u8> {
    [ITEM.to_le_bytes().as_slice(), rest].concat()
}

#[test]
fn only_its_own_answer_is_taken() {
    let asked = question(control::READ);
    let good = frame("000000000186", 0x91, &item_and(&[7]));
    assert_eq!(asked.judge(&good), Ok(Answer::Yes { data: &[7], more: false }));
    let first = frame("000000000186", 0xB1, &item_and(&[7]));
    assert_eq!(asked.judge(&first), Ok(Answer::Yes { data: &[7], more: true }));
    let no = frame("000000000186", 0xD1, &[2]);
    assert_eq!(asked.judge(&no), Ok(Answer::No(&[2])));
    let other = frame("000000000187", 0x91, &item_and(&[7]));
    assert!(matches!(asked.judge(&other), Err(Stranger::Address { .. })));
    let own_echo = frame("000000000186", 0x11, &item_and(&[]));
    assert!(matches!(asked.judge(&own_echo), Err(Stranger::Control { came: 0x11, .. })));
    let late = frame("000000000186", 0x91, &[0, 0, 1, 0, 7]);
    assert_eq!(asked.judge(&late), Err(Stranger::Item(Identifier::Long(ITEM))));
    let short = frame("000000000186", 0x91, &[1, 0]);
    assert_eq!(asked.judge(&short), Err(Stranger::Item(Identifier::Long(ITEM))));
    let everybody = frame("AAAAAAAAAAAA", 0x91, &item_and(&[7]));
    assert!(asked.judge(&everybody).is_err(), "a wildcard names nobody");
}

#[test]
fn a_part_is_taken_in_its_turn() {
    let asked = question(control::FOLLOW_UP);
    let second = frame("000000000186", 0xB2, &item_and(&[7, 8, 2]));
    assert_eq!(asked.judge_part(2, &second), Ok(Answer::Yes { data: &[7, 8], more: true }));
    let repeated = asked.judge_part(3, &second);
    assert_eq!(repeated, Err(Stranger::Sequence { asked: 3, came: Some(2) }));
    let last = frame("000000000186", 0x92, &item_and(&[9, 3]));
    assert_eq!(asked.judge_part(3, &last), Ok(Answer::Yes { data: &[9], more: false }));
    let unnumbered = frame("000000000186", 0x92, &item_and(&[]));
    assert_eq!(asked.judge_part(3, &unnumbered), Err(Stranger::Sequence { asked: 3, came: None }));
    assert_eq!(asked.judge_part(3, &frame("000000000186", 0xD2, &[1])), Ok(Answer::No(&[1])));
    // The first frame of the same answer, late.
    let first = frame("000000000186", 0xB1, &item_and(&[7, 8, 3]));
    assert!(matches!(asked.judge_part(3, &first), Err(Stranger::Control { .. })));
}

fn check(data: Result<Data, BadRequest>, expected: &str) {
    let expected = hex::decode(expected.replace(' ', "")).unwrap();
    assert_eq!(data.unwrap().as_slice(), expected);
}

#[test]
fn requests() {
    let time = Time {
        year: Some(2026),
        month: Some(3),
        day: Some(2),
        hour: Some(10),
        minute: Some(15),
        second: Some(7),
    };
    check(request::read(0x0001_FF00), "00FF0100");
    check(request::read_records(0x0600_0002, 12, None), "02000006 12");
    check(request::follow_up(0x0001_FF00, 1), "00FF0100 01");
    check(request::broadcast_time(time), "07 15 10 02 03 26");
    check(request::freeze(Freeze::Now), "99999999");
    check(request::freeze(Freeze::Monthly { day: 1, hour: 0, minute: 30 }), "30 00 01 99");
    check(request::change_baud(9_600), "20");
    check(request::read_1997(0x901F), "1F90");
    check(request::write_1997(0xC032, [1, 2, 3, 0], &[9]), "32C0 01020300 09");
    check(request::change_password(4, [0, 0, 0], [0x11, 0x22, 0x33]), "050C0004 04000000 04112233");
    let proof = Proof::Password { level: 2, digits: [0x56, 0x34, 0x12] };
    check(request::order(proof, [8; 4], &[0x1A]), "02563412 08080808 1A");
    let sealed = request::write(0x0400_1001, Proof::Mac([1, 2, 3, 4]), [8; 4], &[0, 0x50, 0, 0]);
    check(sealed, "01100004 99000000 08080808 00500000 01020304");
    let cipher = request::order(Proof::CipherAndMac([1, 2, 3, 4]), [8; 4], &[0xAB; 16]);
    check(cipher, &format!("98000000 08080808 {} 01020304", "AB".repeat(16)));
}

#[test]
fn requests_that_are_none() {
    let no_year = Time { month: Some(2), day: Some(3), ..Time::default() };
    assert_eq!(request::broadcast_time(no_year), Err(BadRequest::NoSuchTime));
    assert_eq!(request::read_records(ITEM, 100, None), Err(BadRequest::TooWide));
    assert_eq!(request::change_baud(9_601), Err(BadRequest::TooWide));
    let bad = Proof::Password { level: 10, digits: [0; 3] };
    assert_eq!(request::order(bad, [0; 4], &[]), Err(BadRequest::BadPassword));
    let bad = Proof::Password { level: 4, digits: [0x0A, 0, 0] };
    assert_eq!(request::write(ITEM, bad, [0; 4], &[]), Err(BadRequest::BadPassword));
    let long = request::write(ITEM, Proof::Mac([0; 4]), [0; 4], &[0; 250]);
    assert_eq!(long, Err(BadRequest::TooLong));
    let daily = Freeze::Daily { hour: 24, minute: 0 };
    assert_eq!(request::freeze(daily), Err(BadRequest::NoSuchTime));
}

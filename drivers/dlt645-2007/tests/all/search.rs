//! A line of meters whose answers spoil each other, searched in steps of any size.

use driver_dlt645_2007::Dlt645;
use polymeter_codec::Decoded;
use polymeter_codec::dlt645::{Address, Data, Frame, control, decode};
use polymeter_driver::{Call, Collision, DriverError, Host, LineError, MeterDriver, Step, codes};
use proptest::prelude::*;

const COMMUNICATION_ADDRESS: [u8; 4] = [0x01, 0x04, 0x00, 0x04];

struct Bus {
    meters: Vec<Address>,
    /// Answers one after the other instead of at once.
    in_turn: bool,
    sent: u32,
    replies: Vec<Vec<u8>>,
}

impl Bus {
    fn of(meters: &[&str]) -> Bus {
        let meters = meters.iter().map(|address| address.parse().expect("an address")).collect();
        Bus { meters, in_turn: false, sent: 0, replies: vec![] }
    }

    fn reply(asked: &Frame, own: Address) -> Vec<u8> {
        let identifier =
            if asked.control == control::READ { &COMMUNICATION_ADDRESS[..] } else { &[] };
        let data = [identifier, &own.to_wire()].concat();
        let data = Data::new(&data).expect("short");
        let frame = Frame { address: own, control: asked.control | control::REPLY, data };
        let mut bytes = vec![0; frame.encoded_length()];
        frame.encode(&mut bytes).expect("room");
        bytes
    }
}

impl Host for Bus {
    fn send(&mut self, bytes: &[u8]) -> Result<(), LineError> {
        self.sent += 1;
        let start = bytes.iter().position(|byte| *byte == 0x68).expect("a frame");
        let Decoded::Frame { frame, .. } = decode(&bytes[start..]) else { panic!("{bytes:02X?}") };
        let wildcard = frame.address == Address::WILDCARD;
        match frame.control {
            control::READ_ADDRESS => assert!(wildcard, "only the wildcard is asked so"),
            control::READ => assert_eq!(frame.data.as_slice(), COMMUNICATION_ADDRESS),
            other => panic!("a search sent control code {other:02X}"),
        }
        let hearing = self.meters.iter().filter(|own| frame.address.matches(**own));
        let replies: Vec<_> = hearing.map(|own| Bus::reply(&frame, *own)).collect();
        self.replies = match replies.len() {
            0 | 1 => replies,
            _ if self.in_turn => replies.into_iter().rev().collect(),
            // What remains of several frames at once: the beginning, and then nothing whole.
            _ => vec![[&replies[0][..7], &[0x00, 0x68, 0xFF]].concat()],
        };
        Ok(())
    }
    fn receive(&mut self, _: u32) -> Result<Vec<u8>, LineError> {
        let silent = LineError { code: codes::line::SILENT, detail: "no answer".to_owned() };
        self.replies.pop().ok_or(silent)
    }
    polymeter_replay::no_vault!();
}

fn step(
    bus: &mut Bus,
    way: &str,
    position: Option<&[u8]>,
    questions: u32,
) -> Result<Step, DriverError> {
    let call = Call { address: String::new(), ..super::call() };
    Dlt645::search(bus, &call, way, position, questions)
}

/// Every step to the end: addresses in order, and the collisions.
fn searched(bus: &mut Bus, way: &str, questions: u32) -> (Vec<String>, Vec<Collision>) {
    let (mut found, mut collisions) = (vec![], vec![]);
    let (mut position, mut done) = (None, 0);
    loop {
        let before = bus.sent;
        let step = step(bus, way, position.as_deref(), questions).expect("a step");
        assert!(bus.sent - before <= questions, "a step keeps to its questions");
        assert!(step.done > done && step.done <= step.total, "{} of {}", step.done, step.total);
        done = step.done;
        found.extend(step.found.into_iter().map(|found| found.address));
        collisions.extend(step.collisions);
        match step.next {
            Some(next) => position = Some(next),
            None => break,
        }
    }
    found.sort();
    (found, collisions)
}

#[test]
fn a_meter_that_is_alone_answers_the_wildcard() {
    let mut bus = Bus::of(&["000000000042"]);
    assert_eq!(searched(&mut bus, "wildcard", 8), (vec!["000000000042".to_owned()], vec![]));
    assert_eq!(bus.sent, 1);
    let mut nobody = Bus::of(&[]);
    assert_eq!(searched(&mut nobody, "wildcard", 8), (vec![], vec![]));
}

#[test]
fn meters_that_answer_together_are_told_apart_digit_by_digit() {
    let meters = ["000000000042", "000000000142", "998877000142", "000000000007"];
    for in_turn in [false, true] {
        let mut bus = Bus { in_turn, ..Bus::of(&meters) };
        let (found, collisions) = searched(&mut bus, "wildcard", 7);
        let mut all = meters.map(str::to_owned);
        all.sort();
        assert_eq!(found, all, "in turn: {in_turn}");
        let asked: Vec<&str> = collisions.iter().map(|hit| hit.asked.as_str()).collect();
        assert_eq!(asked, ["AAAAAAAAAAAA", "AAAAAAAAAA42", "AAAAAAAA0142", "AAAAAA000142"]);
        assert!(collisions.iter().all(|hit| hit.narrowed));
        assert_eq!(bus.sent, 1 + 4 * 100);
    }
}

#[test]
fn the_same_address_twice_is_a_matter_for_a_person() {
    let mut bus = Bus::of(&["000000000001", "000000000001"]);
    let (found, collisions) = searched(&mut bus, "walk", 50);
    assert_eq!(found, Vec::<String>::new());
    let last = collisions.last().expect("told");
    assert_eq!((last.asked.as_str(), last.narrowed), ("000000000001", false));
    assert_eq!(collisions.len(), 6);
}

#[test]
fn what_makes_no_sense_asks_nothing() {
    let mut bus = Bus::of(&["000000000001"]);
    for (way, position) in
        [("sideways", None), ("wildcard", Some(&b""[..])), ("walk", Some(&[1; 40]))]
    {
        let error = step(&mut bus, way, position, 8).expect_err("refused");
        assert_eq!(error.code, codes::error::BAD_PARAMETER, "{}", error.detail);
    }
    assert_eq!(bus.sent, 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn whoever_is_there_is_found(
        meters in prop::collection::btree_set(0_u64..1_000_000_000_000, 0..9),
        questions in 2_u32..60,
    ) {
        let names: Vec<String> = meters.iter().map(|number| format!("{number:012}")).collect();
        let names: Vec<&str> =
            names.iter().map(String::as_str).filter(|name| *name != "999999999999").collect();
        for way in ["wildcard", "walk"] {
            let (found, _) = searched(&mut Bus::of(&names), way, questions);
            prop_assert_eq!(&found, &names);
        }
    }

    #[test]
    fn any_position_is_taken_or_refused(
        position in prop::collection::vec(any::<u8>(), 0..20),
        questions in 0_u32..5,
    ) {
        let mut bus = Bus::of(&["000000000001"]);
        let _ = step(&mut bus, "walk", Some(&position), questions);
        prop_assert!(bus.sent <= questions);
    }
}

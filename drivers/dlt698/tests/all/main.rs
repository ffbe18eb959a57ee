//! The driver against its transcripts, against a meter written from the standard, and against a
//! line that does what it likes; its records also against a meter of the simulated fleet, over a
//! socket. No clock.

mod fleet;
mod meter;
mod records;

use driver_dlt698::Dlt698;
use meter::{Line, Meter};
use polymeter_driver::codes::{clock, command, error, quality, refusal, supply};
use polymeter_driver::{
    Call, ClockOutcome, Collision, ControlOutcome, Decimal, DriverError, LocalTime, MeterDriver,
    Snapshot, Value,
};
use polymeter_replay::check_folder;
use proptest::prelude::*;
use std::io::Write as _;

const METER: &str = "003708191239";

#[test]
fn transcripts() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/transcripts");
    match check_folder::<Dlt698>(folder.as_ref()) {
        Ok(played) => writeln!(std::io::stderr(), "transcripts dlt698: {played} played").unwrap(),
        Err(error) => panic!("{error}"),
    }
}

fn call(address: &str) -> Call {
    let now = LocalTime { year: 2026, month: 11, day: 26, hour: 2, minute: 15, second: 0 };
    Call { address: address.to_owned(), parameters: vec![], now, nonce: (0..16).collect() }
}

fn value<'a>(snapshot: &'a Snapshot, register: &str) -> &'a Value {
    let found = snapshot.measurements.iter().find(|m| m.register == register);
    &found.unwrap_or_else(|| panic!("{register} in {snapshot:?}")).value
}

fn number(mantissa: i64, scale: i8) -> Value {
    Value::Number(Decimal { mantissa, scale })
}

fn check_read(snapshot: &Snapshot) {
    assert_eq!(value(snapshot, "1.0.1.8.0.255"), &number(123_456, -2));
    assert_eq!(value(snapshot, "1.0.1.8.4.255"), &number(63_456, -2));
    assert_eq!(value(snapshot, "1.0.32.7.0.255"), &number(2_345, -1));
    assert_eq!(value(snapshot, "1.0.51.7.0.255"), &number(-1_000, -3));
    assert_eq!(value(snapshot, "1.0.1.7.0.255"), &number(11_111, -1));
    assert_eq!(value(snapshot, "1.0.14.7.0.255"), &number(4_999, -2));
    let phase_c = snapshot.measurements.iter().find(|m| m.register == "1.0.72.7.0.255");
    assert_eq!(phase_c.map(|m| m.quality), Some(quality::NOT_MEASURED));
    assert_eq!(snapshot.supply, supply::CONNECTED);
}

#[test]
fn a_meter_is_read_at_once_in_pieces_and_in_parts() {
    for (piece, part_bytes) in [(4_096, 1_000), (16, 1_000), (4_096, 40), (21, 33)] {
        let meter = Meter { part_bytes, ..Meter::new(METER) };
        let mut line = Line { piece, ..Line::of(vec![meter]) };
        check_read(&Dlt698::read(&mut line, &call(METER)).unwrap());
        assert_eq!(line.sent, 1);
    }
}

#[test]
fn the_purse_is_read_and_never_filled() {
    let mut line = Line::of(vec![Meter::new(METER)]);
    let evidence = Dlt698::check(&mut line, &call(METER), Some(7)).unwrap();
    assert_eq!((evidence.count, evidence.purchase), (7, None));
    assert_eq!(evidence.balance.map(|credit| credit.amount), Some(12_345));
    let sent = line.sent;
    let refused = Dlt698::clear(&mut line, &call(METER)).unwrap_err();
    assert_eq!((refused.code, line.sent), (error::UNSUPPORTED, sent));
}

/// A command, and what became of it and of the supply.
fn control(line: &mut Line, command: u16) -> ControlOutcome {
    Dlt698::control(line, &call(METER), command, None).unwrap()
}

#[test]
fn the_supply_is_what_the_status_word_says_afterwards() {
    let mut line = Line::of(vec![Meter::new(METER)]);
    let steps = [
        (command::DISCONNECT, supply::DISCONNECTED),
        (command::ALLOW_CONNECTION, supply::READY_FOR_RECONNECTION),
        (command::CONNECT, supply::CONNECTED),
        (command::PROTECT, supply::CONNECTED),
    ];
    for (command, expected) in steps {
        assert_eq!(control(&mut line, command), ControlOutcome::Confirmed(expected), "{command}");
    }
    let kept = control(&mut line, command::DISCONNECT);
    assert!(matches!(kept, ControlOutcome::Unknown(_)), "accepted and not done: {kept:?}");
    line.meters[0].refuses = 3;
    let ControlOutcome::Refused(no) = control(&mut line, command::END_PROTECTION) else {
        panic!("refused")
    };
    assert_eq!((no.code, no.device_code.as_deref()), (refusal::NOT_AUTHENTICATED, Some("03")));
}

#[test]
fn a_lost_answer_to_a_command_is_settled_by_the_status_word() {
    let lost: fn(u32, Vec<u8>) -> Vec<u8> = |sent, bytes| if sent == 1 { vec![] } else { bytes };
    let mut line = Line { spoil: lost, ..Line::of(vec![Meter::new(METER)]) };
    let outcome = control(&mut line, command::DISCONNECT);
    assert_eq!(outcome, ControlOutcome::Confirmed(supply::DISCONNECTED));
    // Open for want of money, and the command was refused out of hearing.
    let meter = Meter { open: true, refuses: 3, ..Meter::new(METER) };
    let mut line = Line { spoil: lost, ..Line::of(vec![meter]) };
    let outcome = control(&mut line, command::DISCONNECT);
    assert!(matches!(outcome, ControlOutcome::Unknown(_)), "{outcome:?}");
}

#[test]
fn the_clock_is_written_and_read_back() {
    let now = LocalTime { year: 2026, month: 3, day: 2, hour: 10, minute: 15, second: 7 };
    let set = |line: &mut Line, address: &str, way| {
        Dlt698::set_clock(line, &Call { now, ..call(address) }, way)
    };
    let mut line = Line::of(vec![Meter::new(METER)]);
    assert_eq!(set(&mut line, METER, clock::SET), Ok(ClockOutcome::Confirmed(now)));
    assert_eq!(line.meters[0].clock, [0x07, 0xEA, 3, 2, 10, 15, 7]);
    line.meters[0].refuses = 3;
    let refused = set(&mut line, METER, clock::SET);
    assert!(matches!(refused, Ok(ClockOutcome::Refused(_))), "{refused:?}");
    let sent = line.sent;
    for (address, way) in [(METER, clock::ADJUST), (METER, 3), ("AAAAAAAAAAAA", clock::SET)] {
        assert!(set(&mut line, address, way).is_err(), "{address} {way}");
    }
    assert_eq!(line.sent, sent, "nothing was asked");
}

#[test]
fn the_answer_of_another_meter_or_to_another_question_is_none() {
    let other: fn(u32, Vec<u8>) -> Vec<u8> =
        |_, _| meter::frame(0xC3, 0, "000000000002", 16, &[0x85, 1, 1, 0, 0, 0, 0, 0, 6, 0, 0]);
    let older: fn(u32, Vec<u8>) -> Vec<u8> =
        |_, _| meter::frame(0xC3, 0, METER, 16, &[0x85, 1, 2, 0, 0, 0, 0, 0, 6, 0, 0]);
    for spoil in [other, older] {
        let mut line = Line { spoil, ..Line::of(vec![Meter::new(METER)]) };
        let error = Dlt698::read(&mut line, &call(METER)).unwrap_err();
        assert_eq!(error.code, error::OTHER_DEVICE, "{error:?}");
    }
}

/// Every step to the end: addresses in order, and the collisions.
fn searched(line: &mut Line, way: &str) -> (Vec<String>, Vec<Collision>) {
    let (mut found, mut collisions) = (vec![], vec![]);
    let (mut position, mut done) = (None, 0);
    loop {
        let before = line.sent;
        let step = Dlt698::search(line, &call(""), way, position.as_deref(), 7).expect("a step");
        assert!(line.sent - before <= 7, "a step keeps to its questions");
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
fn all_of_32_meters_are_found_whether_their_answers_collide_or_not() {
    let mut all: Vec<String> =
        (0_u64..32).map(|nth| format!("{:012}", nth * nth * 7_919 % 900_000_007)).collect();
    all.sort();
    for in_turn in [false, true] {
        let meters = all.iter().map(|address| Meter::new(address)).collect();
        let mut line = Line { in_turn, ..Line::of(meters) };
        let (found, collisions) = searched(&mut line, "wildcard");
        assert_eq!(found, all, "in turn: {in_turn}");
        assert!(collisions.iter().all(|hit| hit.narrowed));
    }
    let mut alone = Line::of(vec![Meter::new(METER)]);
    assert_eq!(searched(&mut alone, "wildcard"), (vec![METER.to_owned()], vec![]));
    assert_eq!(alone.sent, 1);
    assert_eq!(searched(&mut Line::of(vec![]), "wildcard"), (vec![], vec![]));
}

#[test]
fn what_makes_no_sense_asks_nothing() {
    let mut line = Line::of(vec![Meter::new(METER)]);
    let bad = |result: Result<(), DriverError>| {
        assert_eq!(result.unwrap_err().code, error::BAD_PARAMETER);
    };
    for (way, position) in [("sideways", None), ("walk", Some(&[1; 40][..])), ("walk", Some(&[]))] {
        bad(Dlt698::search(&mut line, &call(""), way, position, 8).map(drop));
    }
    for address in ["", "1", "12345", "00370819123X", "0000000000000000000000000000000001"] {
        bad(Dlt698::read(&mut line, &call(address)).map(drop));
    }
    bad(Dlt698::control(&mut line, &call("AAAAAAAAAAAA"), command::DISCONNECT, None).map(drop));
    bad(Dlt698::control(&mut line, &call(METER), 9, None).map(drop));
    let mut parameters = call(METER);
    parameters.parameters = vec![("client".to_owned(), number(256, 0))];
    bad(Dlt698::read(&mut line, &parameters).map(drop));
    assert_eq!(line.sent, 0);
}

proptest! {
    #[test]
    fn no_line_makes_it_panic_or_read_a_wrong_value(
        at in any::<prop::sample::Index>(),
        flip in 0_u8..,
        cut in any::<prop::sample::Index>(),
        whole in any::<bool>(),
    ) {
        let mut line = Line::of(vec![Meter::new(METER)]);
        Dlt698::read(&mut line, &call(METER)).unwrap();
        let answer = line.steps.iter().find(|step| step.starts_with("< ")).unwrap();
        let mut answer = hex::decode(answer[2..].replace(' ', "")).unwrap();
        let at = at.index(answer.len());
        answer[at] ^= flip;
        if !whole {
            answer.truncate(cut.index(answer.len()));
        }
        let mut scripted = Scripted(Some(answer));
        if let Ok(read) = Dlt698::read(&mut scripted, &call(METER)) {
            // The checks let nothing pass but what was sent.
            prop_assert_eq!(flip, 0);
            check_read(&read);
        }
    }

    #[test]
    fn any_frame_is_explained_or_refused(
        apdu in prop::collection::vec(any::<u8>(), 0..60),
        control in any::<u8>(),
    ) {
        let _ = Dlt698::decode(&meter::frame(control, 0, METER, 0, &apdu));
        let _ = Dlt698::decode(&apdu);
    }
}

/// A line that says one thing.
struct Scripted(Option<Vec<u8>>);

impl polymeter_driver::Host for Scripted {
    fn send(&mut self, _: &[u8]) -> Result<(), polymeter_driver::LineError> {
        Ok(())
    }
    fn receive(&mut self, _: u32) -> Result<Vec<u8>, polymeter_driver::LineError> {
        let silent = polymeter_driver::LineError { code: 1, detail: "silence".to_owned() };
        self.0.take().filter(|bytes| !bytes.is_empty()).ok_or(silent)
    }
    polymeter_replay::no_vault!();
}

//! Meters that nobody has listed, on an HDLC line.

use super::{DlmsPlan, DlmsSecurity, low, number, plan};
use crate::line::{Line, gmac};
use driver_dlms::Dlms;
use polymeter_driver::codes::error;
use polymeter_driver::{Call, Found, LocalTime, MeterDriver, Value};

fn call() -> Call {
    let now = LocalTime { year: 2026, month: 11, day: 26, hour: 2, minute: 15, second: 0 };
    let parameters = vec![
        ("first-address".to_owned(), number(15, 0)),
        ("last-address".to_owned(), number(22, 0)),
    ];
    Call { address: String::new(), parameters, now, nonce: (0..16).collect() }
}

fn bus(several: bool) -> Line {
    let meter = |serial: &str, physical_device, security: DlmsSecurity| DlmsPlan {
        serial: serial.to_owned(),
        device_name: format!("SIM{serial}"),
        physical_device,
        several,
        ..plan(security)
    };
    Line::bus(vec![
        meter("A", 17, low()),
        meter("B", 18, gmac()),
        meter("C", 22, DlmsSecurity::None),
        DlmsPlan { logical_device: 2, ..meter("D", 20, low()) },
    ])
}

/// All steps; how many there were.
fn search(line: &mut Line, questions: u32) -> (Vec<Found>, u32) {
    let (mut found, mut position, mut steps) = (Vec::new(), None::<Vec<u8>>, 0);
    let mut done = 0;
    loop {
        let before = line.sent;
        let way = "addresses";
        let step = Dlms::search(line, &call(), way, position.as_deref(), questions).unwrap();
        steps += 1;
        assert!(line.sent - before <= questions, "{} frames in one step", line.sent - before);
        assert!(step.done > done && step.done <= step.total && step.total == 8, "{step:?}");
        assert!(step.collisions.is_empty(), "{step:?}");
        done = step.done;
        found.extend(step.found);
        match step.next {
            Some(next) => position = Some(next),
            None => return (found, steps),
        }
    }
}

#[test]
fn every_meter_of_the_line_is_found_with_its_name_and_number() {
    for (several, questions) in [(true, 4), (true, 32), (false, 5)] {
        let (found, steps) = search(&mut bus(several), questions);
        let told: Vec<_> =
            found.iter().map(|it| (it.address.as_str(), it.model.as_str())).collect();
        assert_eq!(told, [("1/17", "SIMA"), ("1/18", "SIMB"), ("1/22", "SIMC")], "{questions}");
        let extra = |name: &str, text: &str| (name.to_owned(), Value::Text(text.to_owned()));
        let expected = [extra("connection", "hdlc"), extra("serial-number", "B")];
        assert_eq!(found[1].extras, expected, "{several} {questions}");
        assert!(steps <= 8);
    }
}

#[test]
fn where_a_step_has_no_room_a_meter_is_found_without_its_name() {
    let (found, _) = search(&mut bus(true), 2);
    let told: Vec<_> = found.iter().map(|it| it.address.as_str()).collect();
    assert_eq!(told, ["1/17", "1/18", "1/22"]);
    assert!(found.iter().all(|it| it.model.is_empty()));
}

#[test]
fn a_meter_that_takes_a_link_and_says_no_more_is_found_and_why_is_told() {
    let mut line = bus(true);
    line.spoil = |sent, bytes| if sent == 1 { bytes } else { vec![] };
    let step = Dlms::search(&mut line, &call(), "addresses", Some(&[17, 0]), 5).unwrap();
    assert_eq!(line.sent, 5, "SNRM, AARQ, two polls, DISC");
    let told: Vec<_> = step.found.iter().map(|it| it.address.as_str()).collect();
    assert_eq!(told, ["1/17"]);
    let says = step.found[0].extras.iter().find(|(name, _)| name == "says");
    assert!(matches!(says, Some((_, Value::Text(_)))), "{step:?}");
}

#[test]
fn noise_is_told_and_what_makes_no_sense_asks_nothing() {
    let mut line = bus(true);
    line.spoil = |_, bytes| bytes.into_iter().skip(1).collect();
    let step = Dlms::search(&mut line, &call(), "addresses", Some(&[17, 0]), 4).unwrap();
    assert!(step.found.is_empty());
    let asked: Vec<_> = step.collisions.iter().map(|it| it.asked.as_str()).collect();
    assert_eq!(asked, ["1/17"]);
    let sent = line.sent;
    for (way, position, parameter) in [
        ("walk", None, None),
        ("addresses", Some(&[14, 0][..]), None),
        ("addresses", Some(&[17][..]), None),
        ("addresses", None, Some(("first-address", number(23, 0)))),
        ("addresses", None, Some(("last-address", number(16_382, 0)))),
        ("addresses", None, Some(("logical-device", Value::Flag(true)))),
    ] {
        let mut call = call();
        if let Some((name, value)) = parameter {
            call.parameters.retain(|(known, _)| known != name);
            call.parameters.push((name.to_owned(), value));
        }
        let no = Dlms::search(&mut line, &call, way, position, 4).unwrap_err();
        assert_eq!((no.code, line.sent), (error::BAD_PARAMETER, sent), "{way} {position:?}");
    }
}

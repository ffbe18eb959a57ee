//! What is written into a meter: read back, compared, and in blocks where it is long.

use super::{DlmsPlan, DlmsSecurity, low, number, plan, scene, scene_of, text, told, with};
use crate::line::{Line, gmac};
use driver_dlms::Dlms;
use polymeter_driver::codes::{error, refusal};
use polymeter_driver::{Call, Extras, LocalTime, MeterDriver, SetOutcome, Value};

fn everything() -> Extras {
    vec![
        ("overload-power".to_owned(), number(3_300, 0)),
        ("overload-delay".to_owned(), number(90, 0)),
        ("credit-warning".to_owned(), number(2_550, 0)),
        text("tariff-prices", "0.95 0.7 0.55 0.3"),
        text("tariff-switch-time", "2026-12-01 00:00"),
    ]
}

fn held(line: &Line) -> Vec<(String, u32)> {
    let settings = line.simulator.settings_fen("00000001").unwrap();
    settings.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

#[test]
fn all_of_them_are_written_over_both_connections_with_each_security() {
    for connection in ["wrapper", "hdlc"] {
        for security in [DlmsSecurity::None, low(), gmac()] {
            // In one piece, and in blocks of 24 bytes.
            for apdu_bytes_max in [512, 64] {
                let plan = DlmsPlan { apdu_bytes_max, ..plan(security.clone()) };
                let (mut line, call) = scene_of(connection, plan);
                let outcome = Dlms::set_parameters(&mut line, &call, &everything()).unwrap();
                let place = format!("{connection} {apdu_bytes_max}");
                assert_eq!(outcome, SetOutcome::Confirmed, "{place}");
                assert!(line.sent <= 64, "{place}: {} questions in one call", line.sent);
                let held = held(&line);
                for (name, value) in
                    [("overload-power", 3_300), ("overload-delay", 90), ("credit-warning", 2_550)]
                {
                    assert!(held.contains(&(name.to_owned(), value)), "{place}: {held:?}");
                }
            }
        }
    }
}

#[test]
fn prices_come_into_use_at_their_time_and_not_before() {
    let with_price = DlmsPlan { price_fen: 55, ..plan(low()) };
    let (mut line, call) = scene_of("wrapper", with_price);
    let prices =
        vec![text("tariff-prices", "1 1 1 1"), text("tariff-switch-time", "2026-11-26 04:15")];
    let outcome = Dlms::set_parameters(&mut line, &call, &prices).unwrap();
    assert_eq!(outcome, SetOutcome::Confirmed);
    let money = |line: &Line| line.simulator.state("00000001").unwrap().money_fen;
    // 1150 W: two hours at 0.55, then two at 1.
    line.simulator.advance(2 * 3_600);
    assert_eq!(money(&line), 12_345 - 126);
    line.simulator.advance(2 * 3_600);
    assert_eq!(money(&line), 12_345 - 126 - 230);
}

#[test]
fn a_calendar_says_which_tariff_holds_from_its_time_on() {
    // In one piece, and in blocks.
    for (connection, apdu_bytes_max) in [("wrapper", 512), ("hdlc", 80)] {
        let (mut line, call) = scene_of(connection, DlmsPlan { apdu_bytes_max, ..plan(gmac()) });
        // Thursday is a day of tariff 3 and, from half past four on, of 4; all others are of 1.
        let tables = vec![
            text("calendar-days", "1: 00:00 1; 2: 00:00 3, 04:30 4"),
            text("calendar-weeks", "A: 1 1 1 2 1 1 1; B: 1 1 1 1 1 1 1"),
            text("calendar-seasons", "W: 10-01 A; S: 04-01 B"),
            text("calendar-switch-time", "2026-11-26 03:15"),
        ];
        let outcome = Dlms::set_parameters(&mut line, &call, &tables).unwrap();
        assert_eq!(outcome, SetOutcome::Confirmed, "{connection}");
        assert!(line.sent <= 64, "{} questions in one call", line.sent);
        // An hour by the old calendar, where the night is tariff 4; 1.25 hours of tariff 3; one of 4.
        line.simulator.advance(3_600 + 4_500 + 3_600);
        let read = Dlms::read(&mut line, &call).unwrap();
        let energy = |tariff: u8| told(&read, &format!("1.0.1.8.{tariff}.255")).value.clone();
        let expected = [100, 200, 300 + 143, 400 + 115 + 115].map(|it| number(it, 1));
        let found = [1, 2, 3, 4].map(energy);
        let close = |(found, expected): (&Value, &Value)| match (found, expected) {
            (Value::Number(found), Value::Number(expected)) => {
                (found.mantissa - expected.mantissa).abs() <= 1
            }
            _ => false,
        };
        assert!(found.iter().zip(&expected).all(close), "{found:?}, not {expected:?}");
    }
}

#[test]
fn a_limit_that_is_written_opens_the_switch() {
    let (mut line, call) = scene("wrapper", low());
    let limit = vec![
        ("overload-power".to_owned(), number(1_000, 0)),
        ("overload-delay".to_owned(), number(60, 0)),
    ];
    assert_eq!(Dlms::set_parameters(&mut line, &call, &limit).unwrap(), SetOutcome::Confirmed);
    line.simulator.advance(30);
    assert!(line.simulator.state("00000001").unwrap().relay_closed);
    line.simulator.advance(120);
    assert!(!line.simulator.state("00000001").unwrap().relay_closed);
}

#[test]
fn what_cannot_be_written_is_refused_and_says_what_is() {
    let (mut line, call) = scene("wrapper", low());
    for (name, value, why) in [
        ("tariff-prices", Value::Text("0.555 1 1 1".to_owned()), "not whole"),
        ("tariff-prices", Value::Text("0.55".to_owned()), "has 4 prices, and 1 are given"),
    ] {
        let all = vec![("overload-delay".to_owned(), number(61, 0)), (name.to_owned(), value)];
        let outcome = Dlms::set_parameters(&mut line, &call, &all).unwrap();
        let SetOutcome::Refused(no) = outcome else { panic!("{outcome:?}") };
        assert_eq!(no.code, refusal::BAD_VALUE);
        assert!(no.detail.contains(why) && no.detail.contains("written: overload-delay"), "{no:?}");
    }
    // Who has no right is told so, by an attribute that it may not even see.
    let public = with(&call, "security", Value::Text("none".to_owned()));
    let outcome = Dlms::set_parameters(&mut line, &public, &everything()[..1].to_vec()).unwrap();
    let SetOutcome::Refused(no) = outcome else { panic!("{outcome:?}") };
    assert_eq!((no.code, no.device_code.as_deref()), (refusal::NOT_AUTHENTICATED, Some("03")));
    let other = with(&call, "limiter", Value::Text("0.0.17.0.1.255".to_owned()));
    let outcome = Dlms::set_parameters(&mut line, &other, &everything()[1..2].to_vec()).unwrap();
    let SetOutcome::Refused(no) = outcome else { panic!("{outcome:?}") };
    assert_eq!((no.code, no.device_code.as_deref()), (refusal::NO_SUCH_FUNCTION, Some("04")));
}

#[test]
fn what_makes_no_sense_asks_nothing() {
    let (mut line, call) = scene("hdlc", gmac());
    let no_account = with(&call, "account", Value::Text("none".to_owned()));
    for (call, name, value) in [
        (&call, "overload-power", number(-1, 0)),
        (&call, "overload-power", number(1, 1)),
        (&call, "overload-delay", number(1 << 33, 0)),
        (&no_account, "credit-warning", number(1, 0)),
        (&call, "tariff-prices", Value::Flag(true)),
        (&call, "tariff-switch-time", Value::Text("soon".to_owned())),
        (&call, "calendar-days", Value::Text("1: 25:00 1".to_owned())),
        (&call, "calendar-weeks", Value::Text("A: 1".to_owned())),
        (&call, "connection", Value::Text("hdlc".to_owned())),
    ] {
        let all = vec![("overload-delay".to_owned(), number(61, 0)), (name.to_owned(), value)];
        let no = Dlms::set_parameters(&mut line, call, &all).unwrap_err();
        assert_eq!((no.code, line.sent), (error::BAD_PARAMETER, 0), "{name}: {no:?}");
    }
}

#[test]
fn a_yes_counts_only_with_the_value_in_the_meter() {
    let (mut line, call) = scene("wrapper", low());
    // Association, SET, GET: the meter shows another number than was written.
    line.spoil = |sent, mut bytes| {
        if let (3, Some(last)) = (sent, bytes.last_mut()) {
            *last ^= 1;
        }
        bytes
    };
    let delay = vec![("overload-delay".to_owned(), number(77, 0))];
    let outcome = Dlms::set_parameters(&mut line, &call, &delay).unwrap();
    let SetOutcome::Unknown(why) = outcome else { panic!("{outcome:?}") };
    assert!(why.contains("does not hold"), "{why}");
}

#[test]
fn an_answer_that_was_lost_is_judged_by_what_the_meter_holds() {
    for lost in 1..=8 {
        static LOST: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        LOST.store(lost, std::sync::atomic::Ordering::SeqCst);
        let (mut line, call) = scene("wrapper", low());
        line.spoil = |sent, bytes| {
            let lost = LOST.load(std::sync::atomic::Ordering::SeqCst);
            if sent == lost { vec![] } else { bytes }
        };
        let call = Call { now: LocalTime { hour: 3, ..call.now }, ..call };
        let delay = vec![("overload-delay".to_owned(), number(77, 0))];
        let outcome = Dlms::set_parameters(&mut line, &call, &delay);
        let holds = held(&line).contains(&("overload-delay".to_owned(), 77));
        match outcome {
            Ok(SetOutcome::Confirmed) => assert!(holds, "{lost}"),
            Ok(SetOutcome::Unknown(_)) => assert!(lost >= 2, "{lost}"),
            Err(_) => assert!(!holds, "{lost}"),
            Ok(refused) => panic!("{lost}: {refused:?}"),
        }
    }
}

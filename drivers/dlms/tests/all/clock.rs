//! The clock, written and read back.

use super::{DlmsSecurity, low, scene, with};
use crate::line::gmac;
use driver_dlms::Dlms;
use polymeter_driver::codes::{clock, error, refusal};
use polymeter_driver::{Call, ClockOutcome, LocalTime, MeterDriver, Value};

/// A Sunday, and the meter's own time is a Thursday months before.
const NOW: LocalTime = LocalTime { year: 2027, month: 3, day: 7, hour: 23, minute: 59, second: 58 };

#[test]
fn a_clock_is_set_over_both_connections_with_each_security() {
    for connection in ["wrapper", "hdlc"] {
        for security in [DlmsSecurity::None, low(), gmac()] {
            let (mut line, call) = scene(connection, security);
            let call = Call { now: NOW, ..call };
            let outcome = Dlms::set_clock(&mut line, &call, clock::SET).unwrap();
            assert_eq!(outcome, ClockOutcome::Confirmed(NOW), "{connection}");
            let shown = line.simulator.state("00000001").unwrap().clock;
            assert_eq!(shown, jiff::civil::date(2027, 3, 7).at(23, 59, 58, 0));
        }
    }
}

#[test]
fn nobody_adjusts_it_and_who_may_not_set_it_is_refused() {
    let (mut line, call) = scene("wrapper", low());
    let no = Dlms::set_clock(&mut line, &call, clock::ADJUST).unwrap_err();
    assert_eq!(no.code, error::UNSUPPORTED);
    let no = Dlms::set_clock(&mut line, &call, 3).unwrap_err();
    assert_eq!((no.code, line.sent), (error::BAD_PARAMETER, 0));
    let time = jiff::civil::date(2026, 11, 26).at(2, 15, 0, 0);
    // Anybody may see it.
    let public = with(&call, "security", Value::Text("none".to_owned()));
    let outcome = Dlms::set_clock(&mut line, &Call { now: NOW, ..public }, clock::SET).unwrap();
    let ClockOutcome::Refused(no) = outcome else { panic!("{outcome:?}") };
    assert_eq!((no.code, no.device_code.as_deref()), (refusal::NOT_AUTHENTICATED, Some("03")));
    assert_eq!(line.simulator.state("00000001").unwrap().clock, time);
}

/// Behind a wrapper: association, the clock, the new time.
const ANSWER_TO_SET: u32 = 3;

#[test]
fn a_lost_answer_is_no_answer_and_the_clock_itself_tells() {
    let (mut line, call) = scene("wrapper", low());
    line.spoil = |sent, bytes| if sent == ANSWER_TO_SET { vec![] } else { bytes };
    let outcome = Dlms::set_clock(&mut line, &Call { now: NOW, ..call.clone() }, clock::SET);
    assert_eq!(outcome.unwrap(), ClockOutcome::Confirmed(NOW));
    // It is taken, and then the meter is silent.
    assert_eq!(line.sent, 7);
    line.spoil = |sent, bytes| if sent > 7 + ANSWER_TO_SET { vec![] } else { bytes };
    let outcome = Dlms::set_clock(&mut line, &call, clock::SET).unwrap();
    assert!(matches!(outcome, ClockOutcome::Unknown(_)), "{outcome:?}");
}

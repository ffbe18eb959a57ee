//! Tokens over the line, to a simulated meter that knows its own by its key. The oracle is what the
//! keypad of that meter added.

use crate::line::{Line, gmac};
use crate::{low, plan, scene_of, with};
use driver_dlms::Dlms;
use meter_sim::{DlmsPlan, DlmsSecurity, KeyOrigin};
use polymeter_driver::codes::refusal;
use polymeter_driver::{Call, DriverError, EntryOutcome, MeterDriver, Value};

/// A token of 10 kWh for [`origin`], made by `sts-token`, and one of another meter.
const TOKEN: &str = "62064922862485188892";
const OTHERS: &str = "38785827723034756355";

fn origin() -> KeyOrigin {
    KeyOrigin {
        vending_key: [0xAB; 8],
        pan: "600727000000000009".into(),
        supply_group: 123_456,
        tariff_index: 1,
        revision: 1,
    }
}

fn keypad(connection: &str, security: DlmsSecurity) -> (Line, Call) {
    scene_of(connection, DlmsPlan { keypad: Some(origin()), ..plan(security) })
}

fn added(line: &Line) -> u64 {
    line.simulator.state("00000001").unwrap().token_credit
}

#[track_caller]
fn check_refused(outcome: Result<EntryOutcome, DriverError>, code: u16, device_code: &str) {
    let EntryOutcome::Refused(no) = outcome.unwrap() else { panic!("it was not refused") };
    assert_eq!((no.code, no.device_code.as_deref()), (code, Some(device_code)), "{}", no.detail);
}

#[test]
fn a_token_is_taken_once_whatever_the_connection() {
    for (connection, security) in [("wrapper", low()), ("hdlc", gmac())] {
        let (mut line, call) = keypad(connection, security);
        let outcome = Dlms::enter(&mut line, &call, TOKEN);
        assert_eq!(outcome, Ok(EntryOutcome::Confirmed), "{connection}");
        assert_eq!(added(&line), 100);
        // It is the last one that the meter shows, so that it is not sent again.
        let again = Dlms::enter(&mut line, &call, TOKEN);
        check_refused(again, refusal::ALREADY_TAKEN, "03");
        assert_eq!(added(&line), 100);
    }
}

#[test]
fn what_is_no_token_of_the_meter_is_refused_with_its_own_word() {
    let (mut line, call) = keypad("wrapper", low());
    check_refused(Dlms::enter(&mut line, &call, OTHERS), refusal::BAD_VALUE, "05");
    check_refused(Dlms::enter(&mut line, &call, "123"), refusal::BAD_VALUE, "04");
    // Packed, where the meter takes letters.
    let packed = with(&call, "token-format", Value::Text("bcd".to_owned()));
    check_refused(Dlms::enter(&mut line, &packed, TOKEN), refusal::BAD_VALUE, "04");
    // Another one came after it: the meter does not say whether the first was used or is old.
    assert_eq!(Dlms::enter(&mut line, &call, TOKEN), Ok(EntryOutcome::Confirmed));
    check_refused(Dlms::enter(&mut line, &call, OTHERS), refusal::BAD_VALUE, "05");
    check_refused(Dlms::enter(&mut line, &call, TOKEN), refusal::OTHER, "06");
    assert_eq!(added(&line), 100);
}

#[test]
fn a_meter_without_a_gateway_says_so() {
    let (mut line, call) = keypad("wrapper", low());
    let elsewhere = with(&call, "token-gateway", Value::Text("0.0.19.41.0.255".to_owned()));
    check_refused(Dlms::enter(&mut line, &elsewhere, TOKEN), refusal::NO_SUCH_FUNCTION, "04");
}

#[test]
fn digits_that_no_keypad_has_are_sent_to_nobody() {
    let (mut line, call) = keypad("wrapper", low());
    for bad in ["", "1234 5678", "12a4", &"1".repeat(41)] {
        assert!(Dlms::enter(&mut line, &call, bad).is_err(), "{bad}");
    }
    assert_eq!(line.sent, 0);
}

/// Behind a wrapper: association, what the gateway shows, the token, what it shows then.
const ANSWER_TO_TOKEN: u32 = 3;

#[test]
fn a_lost_answer_is_unknown_and_the_next_call_sees_it_taken() {
    let (mut line, call) = keypad("wrapper", low());
    line.spoil = |sent, bytes| if sent >= ANSWER_TO_TOKEN { vec![] } else { bytes };
    let outcome = Dlms::enter(&mut line, &call, TOKEN);
    assert!(matches!(outcome, Ok(EntryOutcome::Unknown(_))), "{outcome:?}");
    assert_eq!(added(&line), 100);
    line.spoil = |_, bytes| bytes;
    check_refused(Dlms::enter(&mut line, &call, TOKEN), refusal::ALREADY_TAKEN, "03");
    assert_eq!(added(&line), 100);
}

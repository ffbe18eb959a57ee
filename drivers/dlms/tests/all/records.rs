//! What a meter keeps of the past, read page by page.

use super::{DlmsPlan, DlmsSecurity, extra, low, number, plan, scene_of, told, with};
use crate::line::{Line, gmac};
use driver_dlms::Dlms;
use polymeter_driver::codes::{error, quality, records, unit};
use polymeter_driver::{
    Call, DriverError, LocalTime, MeterDriver, RecordEntries, RecordEntry, RecordsAsked, Value,
};

/// Frames that the host lets one page send (docs/contract.md: at least 4).
const QUESTIONS: u32 = 32;

fn at(day: u8, hour: u8, minute: u8) -> LocalTime {
    LocalTime { year: 2026, month: 11, day, hour, minute, second: 0 }
}

/// The load profile from four o'clock on, in one page.
pub const LOAD: RecordsAsked<'static> = RecordsAsked {
    kind: "load",
    since: LocalTime { year: 2026, month: 11, day: 26, hour: 4, minute: 0, second: 0 },
    position: None,
    questions: QUESTIONS,
};

fn page(
    line: &mut Line,
    call: &Call,
    kind: &str,
    since: LocalTime,
    position: Option<&[u8]>,
) -> Result<RecordEntries, DriverError> {
    Dlms::read_records(line, call, RecordsAsked { kind, since, position, questions: QUESTIONS })
}

/// All pages; none sends more than it may, and none is like the one before.
fn all(line: &mut Line, call: &Call, kind: &str, since: LocalTime) -> Vec<RecordEntry> {
    let (mut entries, mut position) = (Vec::new(), None::<Vec<u8>>);
    for _ in 0..200 {
        let before = line.sent;
        let told = page(line, call, kind, since, position.as_deref()).unwrap();
        let sent = line.sent - before;
        assert!(sent <= QUESTIONS, "{sent} questions in one page");
        assert!(told.damaged.is_empty(), "{:?}", told.damaged);
        entries.extend(told.entries);
        if told.next.is_none() {
            return entries;
        }
        assert!(told.next != position && told.next.as_ref().is_some_and(|it| it.len() <= 4_096));
        position = told.next;
    }
    panic!("more than 200 pages");
}

/// Six hours pass from 02:15 on: records each quarter of an hour.
pub fn aged(connection: &str, plan: DlmsPlan) -> (Line, Call) {
    let (line, call) = scene_of(connection, plan);
    line.simulator.advance(6 * 3_600);
    (line, Call { now: at(26, 8, 20), ..call })
}

fn check_load(entries: &[RecordEntry]) {
    let mut times: Vec<_> = entries.iter().map(|it| it.at.unwrap()).collect();
    times.sort_by_key(|at| (at.hour, at.minute));
    let expected: Vec<_> = (16..=33_u8).map(|nth| at(26, nth / 4, nth % 4 * 15)).collect();
    assert_eq!(times, expected);
    let first = entries.iter().find(|it| it.at == Some(at(26, 4, 0))).unwrap();
    let values: Vec<_> = first
        .measurements
        .iter()
        .map(|it| (it.register.as_str(), it.value.clone(), it.unit, it.quality))
        .collect();
    // 1150 W for an hour and three quarters are 2.01 kWh behind the 10 kWh of before.
    let expected = [
        ("0.0.96.10.1.255", number(0, 0), unit::NONE, quality::MEASURED),
        ("1.0.1.8.0.255", number(1_201, 1), unit::WATT_HOUR, quality::MEASURED),
        ("1.0.1.7.0.255", number(1_150, 0), unit::WATT, quality::MEASURED),
    ];
    assert_eq!(values, expected);
}

#[test]
fn a_load_profile_is_read_over_both_connections_with_each_security() {
    for connection in ["wrapper", "hdlc"] {
        for security in [DlmsSecurity::None, low(), gmac()] {
            for (several, apdu_bytes_max, ranges) in
                [(true, 512, true), (true, 64, true), (false, 128, true), (true, 512, false)]
            {
                let plan = DlmsPlan { several, apdu_bytes_max, ranges, ..plan(security.clone()) };
                let (mut line, call) = aged(connection, plan);
                let entries = all(&mut line, &call, "load", at(26, 4, 0));
                check_load(&entries);
            }
        }
    }
}

#[test]
fn whatever_the_order_and_however_short_the_rows_are_said() {
    for (ranges, newest_first, times_once) in
        [(true, true, false), (true, false, true), (false, true, true), (true, true, true)]
    {
        let base = plan(DlmsSecurity::None);
        let plan = DlmsPlan { ranges, newest_first, times_once, ..base };
        let (mut line, call) = aged("wrapper", plan);
        check_load(&all(&mut line, &call, "load", at(26, 4, 0)));
    }
}

#[test]
fn places_are_counted_from_the_newest_row_whichever_end_it_stands_at() {
    for newest_first in [false, true] {
        let base = plan(DlmsSecurity::None);
        let (mut line, call) = scene_of("hdlc", DlmsPlan { ranges: false, newest_first, ..base });
        line.simulator.advance(4 * 86_400);
        let call = Call { now: at(30, 2, 15), ..call };
        let before = line.sent;
        let day = all(&mut line, &call, "load", at(29, 12, 0));
        let wanted: Vec<_> = day.iter().map(|it| it.at.unwrap()).collect();
        assert_eq!(wanted.len(), 58, "from noon to a quarter past two");
        assert!(wanted.contains(&at(29, 12, 0)) && wanted.contains(&at(30, 2, 15)));
        // The older three days are left where they are.
        let few = line.sent - before;
        let all_days = all(&mut line, &call, "load", at(1, 0, 0));
        assert_eq!(all_days.len(), 4 * 96);
        assert!(few * 3 < line.sent - before - few, "{few} of {}", line.sent - before);
    }
}

#[test]
fn days_and_months_are_profiles_too_and_a_long_past_takes_many_pages() {
    let (mut line, call) = scene_of("hdlc", plan(gmac()));
    line.simulator.advance(6 * 86_400);
    let call = Call { now: LocalTime { month: 12, ..at(2, 2, 15) }, ..call };
    let days = all(&mut line, &call, "daily", at(28, 0, 0));
    let times: Vec<_> = days.iter().map(|it| it.at.unwrap().day).collect();
    assert_eq!(times, [28, 29, 30, 1, 2]);
    assert_eq!(days[0].measurements.len(), 5);
    let months = all(&mut line, &call, "billing", at(1, 0, 0));
    assert_eq!(months.len(), 1);
    assert_eq!(months[0].at, Some(LocalTime { month: 12, ..at(1, 0, 0) }));
    let load = all(&mut line, &call, "load", at(20, 0, 0));
    assert_eq!(load.len(), 6 * 96, "six days of quarters of an hour");
}

#[test]
fn two_profiles_of_a_kind_may_have_a_row_each_of_the_same_time() {
    let (mut line, call) = scene_of("wrapper", plan(low()));
    line.simulator.advance(86_400);
    let call = Call { now: at(27, 2, 15), ..call };
    let midnight = |line: &mut Line, call: &Call| {
        let rows = all(line, call, "load", at(27, 0, 0));
        let of_then = rows.into_iter().filter(|it| it.at == Some(at(27, 0, 0)));
        of_then.map(|it| (it.device_code, it.measurements.len())).collect::<Vec<_>>()
    };
    assert_eq!(midnight(&mut line, &call), [(None, 3)]);
    let both = Value::Text("1.0.99.1.0.255 1.0.99.2.0.255".to_owned());
    let both = with(&call, "load-profile", both);
    let code = |code: &str| Some(code.to_owned());
    let expected = [(code("1.0.99.1.0.255"), 3), (code("1.0.99.2.0.255"), 5)];
    assert_eq!(midnight(&mut line, &both), expected);
}

#[test]
fn events_have_the_names_that_the_companion_specification_gives_them() {
    let (mut line, call) = scene_of("wrapper", plan(low()));
    line.simulator.open_cover("00000001").unwrap();
    line.simulator.black_out("00000001", 60).unwrap();
    let named = |line: &mut Line, call: &Call| {
        let mut told: Vec<_> = all(line, call, "events", at(26, 0, 0))
            .into_iter()
            .map(|it| (it.event, it.device_code.unwrap(), it.at.unwrap().minute))
            .collect();
        told.sort();
        told
    };
    let event = |name: &str, code: &str, minute| (name.to_owned(), code.to_owned(), minute);
    let unnamed = named(&mut line, &call);
    assert!(unnamed.contains(&event("code-44", "0.0.99.98.1.255 44", 15)), "{unnamed:?}");
    let call = with(&call, "companion", Value::Text("dsmr".to_owned()));
    let expected = [
        event("cover-open", "0.0.99.98.1.255 44", 15),
        event("power-down", "0.0.99.98.0.255 1", 15),
        event("power-up", "0.0.99.98.0.255 2", 16),
    ];
    assert_eq!(named(&mut line, &call), expected);
    // Since a minute that none of them is in: the newest rows are looked at, and left out.
    assert_eq!(all(&mut line, &call, "events", at(26, 3, 0)), []);
    // The register of alarms is read with everything else, and its bits are states.
    let read = Dlms::read(&mut line, &call).unwrap();
    assert_eq!(told(&read, "0.0.97.98.0.255").value, number(0x2000, 0));
    assert_eq!(extra(&read, "states"), Some(&Value::Text("tamper".to_owned())));
    let none = with(&call, "companion", Value::Text("none".to_owned()));
    assert_eq!(extra(&Dlms::read(&mut line, &none).unwrap(), "states"), None);
}

#[test]
fn what_a_meter_does_not_keep_or_tell_is_no_error() {
    let (mut line, call) = scene_of("wrapper", plan(low()));
    let none = with(&call, "load-profile", Value::Text("none".to_owned()));
    assert_eq!(all(&mut line, &none, "load", at(26, 0, 0)), []);
    assert_eq!(line.sent, 0, "nothing is asked for no profile");
    let absent = with(&call, "load-profile", Value::Text("1.0.99.7.0.255".to_owned()));
    assert_eq!(all(&mut line, &absent, "load", at(26, 0, 0)), []);
    let public = with(&call, "security", Value::Text("none".to_owned()));
    let denied = page(&mut line, &public, "load", at(26, 0, 0), None).unwrap();
    assert_eq!((denied.entries, denied.next), (vec![], None));
    assert_eq!(denied.damaged, ["1.0.99.1.0.255: the meter refuses it, 03"]);
}

#[test]
fn what_makes_no_sense_asks_nothing_and_too_few_questions_are_said() {
    let (mut line, call) = scene_of("hdlc", plan(gmac()));
    let bad = |line: &mut Line, call: &Call, kind, position: Option<&[u8]>| {
        let no = page(line, call, kind, at(26, 0, 0), position).unwrap_err();
        assert_eq!(no.code, error::BAD_PARAMETER, "{no:?}");
        assert_eq!(line.sent, 0);
    };
    bad(&mut line, &call, "weekly", None);
    bad(&mut line, &call, "load", Some(&[1, 2, 3]));
    let profile = |value: &str| with(&call, "event-logs", Value::Text(value.to_owned()));
    bad(&mut line, &profile("0.0.99.98"), "events", None);
    bad(&mut line, &profile(&"0.0.99.98.0.255 ".repeat(17)), "events", None);
    bad(&mut line, &with(&call, "companion", Value::Text("idis".to_owned())), "events", None);
    // A position of the fifth log, where there is one.
    let list = [&[1, 4][..], &[0; 16]].concat();
    bad(&mut line, &profile("0.0.99.98.0.255"), "events", Some(&list));
    let asked = RecordsAsked { kind: "load", since: at(26, 0, 0), position: None, questions: 4 };
    let few = Dlms::read_records(&mut line, &call, asked).unwrap_err();
    assert_eq!(few.code, error::LINE, "{few:?}");
    assert!(line.sent <= 5, "{} frames", line.sent);
}

#[test]
fn the_kinds_are_those_of_the_readme() {
    let kinds: Vec<_> = Dlms::record_kinds().into_iter().map(|it| (it.name, it.sort)).collect();
    let kind = |name: &str, sort| (name.to_owned(), sort);
    let profile = |name| kind(name, records::PROFILE);
    let expected =
        [profile("load"), profile("daily"), profile("billing"), kind("events", records::EVENTS)];
    assert_eq!(kinds, expected);
}

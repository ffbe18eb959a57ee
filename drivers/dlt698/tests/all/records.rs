//! What a meter of the simulated fleet keeps of the past, read page by page.

use crate::fleet::{Fleet, Scripted};
use driver_dlt698::Dlt698;
use meter_sim::{Dlt698Plan, Fault, FaultKind, On};
use polymeter_driver::codes::{command, error, quality, records, unit};
use polymeter_driver::{
    Call, Decimal, DriverError, LocalTime, MeterDriver, RecordEntries, RecordEntry, RecordsAsked,
    Value,
};
use proptest::prelude::*;

const ADDRESS: &str = "000000000001";

fn at(day: u8, hour: u8, minute: u8) -> LocalTime {
    LocalTime { year: 2026, month: 11, day, hour, minute, second: 0 }
}

fn scene(plan: Dlt698Plan) -> (Fleet, Call) {
    let plan = Dlt698Plan {
        tariff_energies: [100, 200, 300, 400],
        load_watts: 1_100,
        clock: Some(jiff::civil::date(2026, 11, 26).at(2, 10, 0, 0)),
        ..plan
    };
    let now = at(26, 2, 10);
    let (address, parameters) = (ADDRESS.to_owned(), vec![]);
    (Fleet::of(plan), Call { address, parameters, now, nonce: (0..16).collect() })
}

fn page(
    line: &mut Fleet,
    call: &Call,
    kind: &str,
    since: LocalTime,
    (position, questions): (Option<&[u8]>, u32),
) -> Result<RecordEntries, DriverError> {
    Dlt698::read_records(line, call, RecordsAsked { kind, since, position, questions })
}

/// All pages; none sends more than it may.
fn all(
    line: &mut Fleet,
    call: &Call,
    kind: &str,
    since: LocalTime,
    questions: u32,
) -> Vec<RecordEntry> {
    let (mut entries, mut position) = (Vec::new(), None::<Vec<u8>>);
    for _ in 0..500 {
        let before = line.sent;
        let told = page(line, call, kind, since, (position.as_deref(), questions)).unwrap();
        let sent = line.sent - before;
        assert!(sent <= questions, "{sent} questions in one page of {questions}");
        assert!(told.damaged.is_empty(), "{:?}", told.damaged);
        entries.extend(told.entries);
        match told.next {
            None => return entries,
            next => {
                assert_ne!(next, position);
                position = next;
            }
        }
    }
    panic!("more than 500 pages");
}

#[test]
fn minutes_are_read_whole_or_in_parts_and_however_few_a_page_may_ask() {
    for (answer_bytes_max, questions) in [(512, 32), (60, 32), (512, 4), (60, 6)] {
        let (mut line, call) = scene(Dlt698Plan { answer_bytes_max, ..Dlt698Plan::default() });
        line.simulator.advance(6 * 3_600);
        let call = Call { now: at(26, 8, 10), ..call };
        let entries = all(&mut line, &call, "load", at(26, 4, 0), questions);
        let mut times: Vec<_> = entries.iter().map(|it| it.at.unwrap()).collect();
        times.sort_by_key(|at| (at.hour, at.minute));
        times.dedup();
        let expected: Vec<_> = (16..=32_u8).map(|nth| at(26, nth / 4, nth % 4 * 15)).collect();
        assert_eq!(times, expected, "{answer_bytes_max} {questions}");
        let first = entries.iter().find(|it| it.at == Some(at(26, 4, 0))).unwrap();
        let told = |register: &str| {
            let found = first.measurements.iter().find(|it| it.register == register);
            found.map(|it| (it.value.clone(), it.unit, it.quality))
        };
        let number = |mantissa, scale| Value::Number(Decimal { mantissa, scale });
        // 1100 W for an hour and fifty minutes behind 10 kWh.
        let energy = (number(1_201, -2), unit::KILOWATT_HOUR, quality::MEASURED);
        assert_eq!(told("1.0.1.8.0.255"), Some(energy));
        assert_eq!(told("1.0.32.7.0.255"), Some((number(2_200, -1), unit::VOLT, 0)));
        assert_eq!(told("1.0.31.7.0.255"), Some((number(5_000, -3), unit::AMPERE, 0)));
        assert_eq!(told("1.0.1.7.0.255"), Some((number(11_000, -1), unit::WATT, 0)));
        assert!(first.event.is_empty() && first.device_code.is_none());
    }
}

#[test]
fn days_and_months_are_read_back_to_the_time_that_was_asked_for() {
    let (mut line, call) = scene(Dlt698Plan::default());
    line.simulator.advance(10 * 86_400);
    for questions in [4, 32] {
        let days = all(&mut line, &call, "daily", at(29, 0, 0), questions);
        let times: Vec<_> = days.iter().map(|it| it.at.unwrap().day).collect();
        assert_eq!(times, [6, 5, 4, 3, 2, 1, 30, 29], "{questions}");
        assert_eq!(days[0].measurements.len(), 10, "forward and reverse, each with four tariffs");
        let months = all(&mut line, &call, "monthly", at(1, 0, 0), questions);
        assert_eq!(months.iter().map(|it| it.at.unwrap().month).collect::<Vec<_>>(), [12]);
    }
}

#[test]
fn events_have_their_names_and_those_of_a_phase_its_table() {
    let (mut line, call) = scene(Dlt698Plan { overload_watts: 2_000, ..Dlt698Plan::default() });
    line.simulator.open_cover(ADDRESS).unwrap();
    line.simulator.black_out(ADDRESS, 120).unwrap();
    line.simulator.set_load(ADDRESS, 2_500).unwrap();
    line.simulator.advance(60);
    line.simulator.set_load(ADDRESS, 500).unwrap();
    line.simulator.advance(60);
    for command in [command::DISCONNECT, command::CONNECT] {
        Dlt698::control(&mut line, &call, command, None).unwrap();
    }
    for questions in [4, 32] {
        let mut told: Vec<_> = all(&mut line, &call, "events", at(26, 0, 0), questions)
            .into_iter()
            .map(|it| {
                let end = it.extras.iter().find(|(name, _)| name == "end");
                let end = end.map(|(_, value)| value.clone());
                (it.event, it.device_code.unwrap(), it.at.unwrap().minute, end)
            })
            .collect();
        told.sort_by_key(|it| it.1.clone());
        let time = |minute| Some(Value::Time(at(26, 2, minute)));
        let event =
            |name: &str, code: &str, minute, end| (name.to_owned(), code.to_owned(), minute, end);
        let expected = [
            event("overload", "30080700", 13, time(14)),
            event("power-down", "30110200", 10, time(12)),
            event("cover-open", "301B0200", 10, None),
            event("relay-opened", "301F0200", 14, time(14)),
            event("relay-closed", "30200200", 14, time(14)),
        ];
        assert_eq!(told, expected, "{questions}");
        assert_eq!(all(&mut line, &call, "events", at(26, 3, 0), questions), []);
    }
}

#[test]
fn what_a_meter_does_not_let_us_read_is_told_and_is_no_record() {
    let (mut line, call) = scene(Dlt698Plan::default());
    line.simulator.advance(86_400);
    // Not without the security module, from the second question on.
    let no = Fault::new(On::Read, FaultKind::Refuse { word: 20 }).skip(1).times(100);
    line.simulator.fault(ADDRESS, no).unwrap();
    let told = page(&mut line, &call, "daily", at(26, 0, 0), (None, 32)).unwrap();
    assert_eq!((told.entries, told.next), (vec![], None));
    assert_eq!(told.damaged, ["50040200: the meter refuses it, 14"]);
    // Each event by itself: one that is not let out hides no other.
    let told = page(&mut line, &call, "events", at(26, 0, 0), (None, 64)).unwrap();
    assert!(told.damaged.len() > 20 && told.next.is_none(), "{told:?}");
}

#[test]
fn what_makes_no_sense_asks_nothing_and_an_answer_that_is_too_long_is_said() {
    let (mut line, call) = scene(Dlt698Plan { answer_bytes_max: 8, ..Dlt698Plan::default() });
    line.simulator.advance(86_400);
    for (kind, position) in [
        ("weekly", None),
        ("load", Some(&[1][..])),
        ("load", Some(&[0; 9][..])),
        ("daily", Some(&[1, 2][..])),
        ("events", Some(&[1][..])),
    ] {
        let no = page(&mut line, &call, kind, at(26, 0, 0), (position, 32)).unwrap_err();
        assert_eq!((no.code, line.sent), (error::BAD_PARAMETER, 0), "{kind} {position:?}");
    }
    // Twenty parts and more for each answer.
    let few = page(&mut line, &call, "load", at(26, 0, 0), (None, 4)).unwrap_err();
    assert_eq!((few.code, line.sent), (error::LINE, 4), "{few:?}");
}

#[test]
fn the_kinds_are_those_of_the_readme() {
    let kinds: Vec<_> = Dlt698::record_kinds().into_iter().map(|it| (it.name, it.sort)).collect();
    let kind = |name: &str, sort| (name.to_owned(), sort);
    let profile = |name| kind(name, records::PROFILE);
    let events = kind("events", records::EVENTS);
    assert_eq!(kinds, [profile("load"), profile("daily"), profile("monthly"), events]);
}

proptest! {
    #[test]
    fn no_line_makes_it_panic_or_keep_a_wrong_record(
        which in any::<prop::sample::Index>(),
        at_byte in any::<prop::sample::Index>(),
        flip in 1_u8..,
    ) {
        static SAID: std::sync::OnceLock<(Vec<Vec<u8>>, Call, RecordEntries)> =
            std::sync::OnceLock::new();
        let (said, call, good) = SAID.get_or_init(|| {
            let (mut line, call) = scene(Dlt698Plan::default());
            line.simulator.advance(3_600);
            let call = Call { now: at(26, 3, 10), ..call };
            let good = page(&mut line, &call, "load", at(26, 2, 0), (None, 32)).unwrap();
            (line.answers(), call, good)
        });
        let mut said = said.clone();
        let which = which.index(said.len());
        let at_byte = at_byte.index(said[which].len());
        said[which][at_byte] ^= flip;
        let asked =
            RecordsAsked { kind: "load", since: at(26, 2, 0), position: None, questions: 32 };
        if let Ok(told) = Dlt698::read_records(&mut Scripted(said.into(), None), call, asked) {
            // Only bytes before a frame may be spoilt without harm.
            prop_assert_eq!(format!("{told:?}"), format!("{good:?}"));
        }
    }
}

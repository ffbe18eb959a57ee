//! What meters keep of the past, read by the real driver out of simulated meters that keep it as the
//! standard says. The oracle is what was done to the meter.

use crate::bench::tamper;
use crate::field::{Field, METERS, clock_field};
use meter_sim::{FaultKind, On};
use polymeter_domain::{Decimal, LocalTime, Value};
use polymeter_service::{Actor, Page, RecordsRead, ServiceError, StoredRecord};

const HOUR_MS: i64 = 3_600_000;

/// Time passes at the site and in the meters.
fn pass(field: &Field, seconds: u32) {
    field.simulator.advance(seconds);
    field.advance_ms(i64::from(seconds) * 1_000);
}

async fn read(field: &Field, kind: &str, since: Option<LocalTime>) -> RecordsRead {
    let read = field.service.read_records(field.meters[0], kind, since, &Actor::System).await;
    read.expect("read")
}

/// Oldest first.
async fn kept(field: &Field, kind: &str) -> Vec<StoredRecord> {
    let page = Page { limit: 200, ..Page::default() };
    let mut all = field.service.records(field.meters[0], Some(kind), &page).await.expect("a list");
    all.reverse();
    all
}

fn times(records: &[StoredRecord]) -> Vec<&str> {
    records.iter().map(|it| it.at.as_str()).collect()
}

fn value(record: &StoredRecord, register: &str) -> Option<Value> {
    let found = record.measurements.iter().find(|it| it.register.as_str() == register);
    found.map(|it| it.value.clone())
}

fn at(day: u8, hour: u8) -> LocalTime {
    LocalTime { year: 2026, month: 3, day, hour, minute: 0, second: 0 }
}

#[tokio::test]
async fn a_load_profile_is_stored_once_and_a_gap_is_a_gap() {
    let field = clock_field("2026-03-02T18:00:00").await;
    field.simulator.set_load(METERS[0], 2_000).expect("a meter");
    pass(&field, 3_600);
    // Without power until 20:10: nothing was kept at 19:15 to 20:00.
    field.simulator.black_out(METERS[0], 4_200).expect("a meter");
    field.advance_ms(4_200_000);
    pass(&field, 3_000);
    let brought = read(&field, "load", Some(at(2, 18))).await;
    let expected = ["18:15", "18:30", "18:45", "19:00", "20:15", "20:30", "20:45", "21:00"];
    assert_eq!(brought, RecordsRead { stored: 8, ..RecordsRead::default() });
    let all = kept(&field, "load").await;
    let expected: Vec<String> = expected.iter().map(|at| format!("2026-03-02T{at}:00")).collect();
    assert_eq!(times(&all), expected);
    // 2 kW for an hour, then nothing while there was none.
    let energy = |nth: usize| value(&all[nth], "1.0.1.8.0.255");
    let kwh = |hundredths| Some(Value::Number(Decimal { mantissa: hundredths, scale: -2 }));
    let before = field.truth(0).energy - 200 - 100 - 66;
    let before = i64::try_from(before).expect("small");
    assert_eq!((energy(3), energy(4)), (kwh(before + 200), kwh(before + 216)), "{all:?}");
    // A single-phase meter has no phase B: no value stands for it.
    assert_eq!(value(&all[0], "1.0.52.7.0.255"), None);

    // Again: nothing is new, and what comes later is added.
    let again = read(&field, "load", Some(at(2, 18))).await;
    assert_eq!(again, RecordsRead { known: 8, ..RecordsRead::default() });
    pass(&field, 1_800);
    let more = read(&field, "load", None).await;
    assert_eq!((more.stored, more.known), (2, 1), "from the last one on");
    assert_eq!(kept(&field, "load").await.len(), 10);
}

#[tokio::test]
async fn many_records_come_page_by_page() {
    let field = clock_field("2026-03-02T18:00:00").await;
    pass(&field, 3 * 86_400);
    let brought = read(&field, "load", Some(at(2, 18))).await;
    assert_eq!(brought, RecordsRead { stored: 3 * 96, ..RecordsRead::default() });
    let days = read(&field, "daily", Some(at(1, 0))).await;
    assert_eq!(days.stored, 3);
    let days = kept(&field, "daily").await;
    assert_eq!(times(&days), ["2026-03-03T00:00:00", "2026-03-04T00:00:00", "2026-03-05T00:00:00"]);
    assert_eq!(days[0].measurements.len(), 10, "forward and reverse, a total and four tariffs");
    // The page of a list that goes on.
    let mut page = Page { limit: 100, ..Page::default() };
    let mut seen = 0;
    loop {
        let some = field.service.records(field.meters[0], Some("load"), &page).await;
        let some = some.expect("a page");
        let Some(last) = some.last() else { break };
        seen += some.len();
        page.after = Some(last.number.to_string());
    }
    assert_eq!(seen, 288);
}

#[tokio::test]
async fn events_have_their_shared_name_and_the_meters_own_code() {
    let field = clock_field("2026-03-02T18:00:00").await;
    pass(&field, 60);
    field.simulator.open_cover(METERS[0]).expect("a meter");
    pass(&field, 60);
    field.simulator.black_out(METERS[0], 60).expect("a meter");
    field.advance_ms(60_000);
    let brought = read(&field, "events", Some(at(1, 0))).await;
    assert_eq!(brought, RecordsRead { stored: 2, ..RecordsRead::default() });
    let told = |all: &[StoredRecord]| -> Vec<(String, String, String)> {
        let one = |it: &StoredRecord| (it.at.clone(), it.event.clone(), it.device_code.clone());
        all.iter().map(one).collect()
    };
    let all = kept(&field, "events").await;
    let owned = |at: &str, event: &str, code: &str| {
        (format!("2026-03-02T{at}"), event.to_owned(), code.to_owned())
    };
    assert_eq!(
        told(&all),
        [owned("18:01:00", "cover-open", "03300D01"), owned("18:02:00", "power-down", "03110001"),]
    );
    let end = all[1].extras.iter().find(|(name, _)| name == "end").map(|(_, value)| value.clone());
    assert_eq!(end, Some(Value::Time(LocalTime { minute: 3, ..at(2, 18) })));
    // An hour later: what is older than was asked for is not read again.
    field.advance_ms(HOUR_MS);
    let later = read(&field, "events", Some(at(2, 19))).await;
    assert_eq!(later, RecordsRead::default());
}

#[tokio::test]
async fn a_meter_that_falls_silent_keeps_what_came() {
    let field = clock_field("2026-03-02T18:00:00").await;
    pass(&field, 86_400);
    // The interval and two pages of ten, then nothing.
    let silent = meter_sim::Fault::new(On::Read, FaultKind::NoReply).times(40).skip(30);
    field.simulator.fault(METERS[0], silent).expect("a fault");
    let (service, meter) = (&field.service, field.meters[0]);
    let failed = service.read_records(meter, "load", Some(at(2, 18)), &Actor::System).await;
    assert!(matches!(failed, Err(ServiceError::Device { .. })), "{failed:?}");
    let some = kept(&field, "load").await.len();
    assert!((1..96).contains(&some), "{some}");
    field.simulator.clear_faults(METERS[0]).expect("a meter");
    // All since then is asked for again: a device tells its lists in orders of its own.
    let few = u64::try_from(some).expect("few");
    let later = read(&field, "load", Some(at(3, 12))).await;
    assert_eq!(later.stored + later.known, 25);
    let rest = read(&field, "load", None).await;
    assert_eq!((rest.stored, rest.known), (96 - few - later.stored, few + later.stored));
    let again = read(&field, "load", None).await;
    assert_eq!((again.stored, again.known), (0, 1), "nothing is missing any more");

    let wrong = service.read_records(meter, "weekly", None, &Actor::System).await;
    let why = wrong.expect_err("no such kind").to_string();
    assert!(why.contains("load, daily, events"), "{why}");
    let twice = tamper(
        &field.database,
        "insert into record (meter_id, kind, at, event, device_code, extras, stored_at_ms)
         select meter_id, kind, at, event, device_code, extras, stored_at_ms from record",
    );
    assert!(twice.await.is_err(), "the database stores a record once");
}

#[tokio::test]
async fn a_record_ahead_of_its_time_does_not_hide_what_comes_later() {
    let field = clock_field("2026-03-02T18:00:00").await;
    pass(&field, 900);
    assert_eq!(read(&field, "load", Some(at(2, 18))).await.stored, 1);
    // From when the meter's clock was years ahead.
    let ahead = tamper(
        &field.database,
        "insert into record (meter_id, kind, at, event, device_code, extras, stored_at_ms)
         select meter_id, kind, '2099-01-01T00:00:00', event, device_code, extras, stored_at_ms
         from record",
    );
    ahead.await.expect("stored");
    pass(&field, 900);
    let read = read(&field, "load", None).await;
    assert_eq!((read.stored, read.known), (1, 1));
}

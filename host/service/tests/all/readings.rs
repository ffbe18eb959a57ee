//! Many readings at once: stored in few statements, whole or not at all, and each told the truth.

use crate::field::{Field, METERS, field};
use polymeter_domain::{
    ClockDrift, Decimal, LocalTime, Measurement, MeterId, ObisCode, Quality, ReadingId, Snapshot,
    SupplyState, Unit, Value,
};
use polymeter_service::{Actor, Page, Reading, UnixMs};
use uuid::Uuid;

/// Above two full statements of readings and many of measurements, and full in neither.
const MANY: u32 = 301;

fn registers() -> Vec<Measurement> {
    let measured = |register: &str, value, quality| Measurement {
        register: ObisCode::new(register).expect("a register"),
        value,
        unit: Unit(30),
        quality,
    };
    let number = |mantissa, scale| Value::Number(Decimal { mantissa, scale });
    let time = LocalTime { year: 2026, month: 3, day: 2, hour: 1, minute: 2, second: 3 };
    vec![
        measured("1.0.1.8.0.255", number(i64::MAX, -2), Quality::Measured),
        measured("1.0.1.8.1.255", number(-7, 3), Quality::Estimated),
        measured("1.0.1.8.2.255", Value::Text("a 'text' with $1".to_owned()), Quality::Invalid),
        measured("1.0.1.8.3.255", Value::Flag(true), Quality::Measured),
        measured("1.0.1.8.4.255", Value::Bytes(vec![0, 255]), Quality::NotMeasured),
        measured("1.0.32.7.0.255", Value::Time(time), Quality::Measured),
    ]
}

/// The `nth`: another number of values, another time and another supply than its neighbours.
fn reading(meter_id: MeterId, nth: u32) -> Reading {
    let supplies = [SupplyState::Connected, SupplyState::Unknown, SupplyState::Disconnected];
    let values = registers();
    let some = nth as usize % (values.len() + 1);
    Reading {
        reading_id: ReadingId::new(Uuid::now_v7()),
        meter_id,
        at: UnixMs(1_772_445_600_000 + i64::from(nth)),
        drift: nth
            .is_multiple_of(2)
            .then(|| ClockDrift { seconds: -i64::from(nth), within_seconds: 3 }),
        snapshot: Snapshot {
            measurements: values.into_iter().take(some).collect(),
            supply: supplies[nth as usize % supplies.len()],
            extras: vec![("nth".to_owned(), Value::Text(nth.to_string()))],
        },
    }
}

async fn stored(field: &Field, meter: MeterId) -> Vec<Reading> {
    let (mut all, mut page) = (Vec::new(), Page { limit: 100, ..Page::default() });
    loop {
        let some = field.service.readings(meter, &page).await.expect("readings");
        let Some(last) = some.last() else { break };
        page.after = Some(last.reading_id.to_string());
        all.extend(some);
    }
    all.reverse();
    all
}

#[tokio::test]
async fn many_readings_are_kept_as_they_were_taken() {
    let field = field().await;
    let taken: Vec<Reading> =
        (0..MANY).map(|nth| reading(field.meters[nth as usize % 2], nth)).collect();
    field.service.keep_readings(taken.clone()).await.expect("stored");
    for meter in &field.meters {
        let of_meter: Vec<_> = taken.iter().filter(|it| it.meter_id == *meter).cloned().collect();
        assert_eq!(stored(&field, *meter).await, of_meter);
        // What the newest that says anything says.
        let newest = of_meter.iter().rfind(|it| it.snapshot.supply != SupplyState::Unknown);
        let newest = newest.expect("some say");
        let meter = field.service.meter(*meter).await.expect("a meter");
        assert_eq!((meter.supply, meter.supply_at), (newest.snapshot.supply, Some(newest.at)));
    }
    field.service.keep_readings(Vec::new()).await.expect("nothing to store");
}

#[tokio::test]
async fn one_that_cannot_be_stored_fails_all_that_were_to_be_stored_with_it() {
    let field = field().await;
    let stranger = MeterId::new(Uuid::now_v7());
    let mut taken: Vec<_> = (0..MANY).map(|nth| reading(field.meters[0], nth)).collect();
    taken[200].meter_id = stranger;
    field.service.keep_readings(taken).await.expect_err("a meter is not there");
    assert_eq!(stored(&field, field.meters[0]).await, []);
}

#[tokio::test]
async fn readings_that_come_at_once_are_stored_together_and_refused_alone() {
    let field = field().await;
    let taken: Vec<_> = (0..8).map(|nth| reading(field.meters[0], nth)).collect();
    let mut stranger = reading(field.meters[1], 9);
    stranger.meter_id = MeterId::new(Uuid::now_v7());
    let at = |nth: usize| field.service.keep_reading(taken[nth].clone());
    // All of them wait before the first is stored: the test has one thread.
    let kept = tokio::join!(
        at(0),
        at(1),
        at(2),
        field.service.keep_reading(stranger),
        at(3),
        at(4),
        at(5),
        at(6),
        at(7)
    );
    kept.0.and(kept.1).and(kept.2).and(kept.4).and(kept.5).expect("stored");
    kept.6.and(kept.7).and(kept.8).expect("stored");
    kept.3.expect_err("no such meter");
    assert_eq!(stored(&field, field.meters[0]).await, taken);
    // Nothing is left behind by the refusal.
    let after = reading(field.meters[1], 10);
    field.service.keep_reading(after.clone()).await.expect("stored");
    assert_eq!(stored(&field, field.meters[1]).await, [after]);
}

/// The meter's name and whether it stands, newest first.
async fn alarms(field: &Field) -> Vec<(String, bool)> {
    let meter = Some(field.meters[0]);
    let all = field.service.alarms(meter, false, &Page::default()).await.expect("a list");
    all.into_iter().map(|it| (it.name, it.ended_at.is_none())).collect()
}

#[tokio::test]
async fn an_alarm_stands_from_the_reading_that_tells_it_until_one_that_does_not() {
    let field = field().await;
    let (service, meter) = (&field.service, field.meters[0]);
    let read = async |watts| {
        field.later();
        field.simulator.set_load(METERS[0], watts).expect("a meter");
        service.read_meter(meter, &Actor::System).await.expect("a reading")
    };
    let overload = |stands| ("overload".to_owned(), stands);
    let quiet = read(100).await;
    assert_eq!((quiet.states(), alarms(&field).await), (Some(vec![]), vec![]));
    let first = read(20_000).await;
    assert_eq!(first.states(), Some(vec!["overload"]));
    let second = read(20_000).await;
    assert_eq!(alarms(&field).await, [overload(true)]);
    let stands = service.alarms(None, true, &Page::default()).await.expect("a list");
    assert_eq!((stands[0].reading_id, stands[0].begun_at), (first.reading_id, first.at));

    // What is older than it, or tells no states, does not end it.
    let mut late = quiet.clone();
    late.reading_id = ReadingId::new(Uuid::now_v7());
    let mut silent = second.clone();
    silent.reading_id = ReadingId::new(Uuid::now_v7());
    silent.at = UnixMs(second.at.0 + 1);
    silent.snapshot.extras.clear();
    service.keep_readings(vec![late, silent]).await.expect("stored");
    assert_eq!(alarms(&field).await, [overload(true)]);

    let over = read(100).await;
    assert_eq!(alarms(&field).await, [overload(false)]);
    let ended = service.alarms(Some(meter), false, &Page::default()).await.expect("a list");
    assert_eq!(ended[0].ended_at, Some(over.at));
    // Nor does what is older than its end begin it anew.
    let again = |at| Reading { reading_id: ReadingId::new(Uuid::now_v7()), at, ..second.clone() };
    service.keep_readings(vec![again(second.at)]).await.expect("stored");
    assert_eq!(alarms(&field).await, [overload(false)]);
    let batch = vec![again(second.at), again(UnixMs(over.at.0 + 1))];
    service.keep_readings(batch).await.expect("stored");
    assert_eq!(alarms(&field).await, [overload(true), overload(false)]);
    read(20_000).await;
    assert_eq!(alarms(&field).await, [overload(true), overload(false)]);

    // In one batch, in whatever order; and names that are none are left out.
    let mut batch: Vec<Reading> = Vec::new();
    for (nth, states) in [(3, "dry"), (1, ""), (2, "dry  Not-A-Name so_what leak")] {
        let mut one = reading(field.meters[1], nth);
        one.snapshot.extras = vec![("states".to_owned(), Value::Text(states.to_owned()))];
        batch.push(one);
    }
    service.keep_readings(batch).await.expect("stored");
    let of_other = service.alarms(Some(field.meters[1]), false, &Page::default()).await;
    let mut of_other: Vec<_> = of_other.expect("a list").into_iter().collect();
    of_other.sort_by(|one, other| one.name.cmp(&other.name));
    let told: Vec<_> = of_other.iter().map(|it| (it.name.as_str(), it.ended_at)).collect();
    let (second, third) = (reading(field.meters[1], 2).at, reading(field.meters[1], 3).at);
    assert_eq!(told, [("dry", None), ("leak", Some(third))]);
    assert_eq!(of_other[0].begun_at, second);
    let refused = crate::bench::tamper(&field.database, "delete from alarm").await;
    assert!(refused.is_err_and(|why| why.contains("never deleted")));
}

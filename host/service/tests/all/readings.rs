//! Many readings at once: stored in few statements, whole or not at all, and each told the truth.

use crate::field::{Field, field};
use polymeter_domain::{
    Decimal, LocalTime, Measurement, MeterId, ObisCode, Quality, ReadingId, Snapshot, SupplyState,
    Unit, Value,
};
use polymeter_service::{Page, Reading, UnixMs};
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

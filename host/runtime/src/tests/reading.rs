//! Calls that change nothing: what they return, and in which instance they run.

use super::bench::{ample, device, driver, moment, silent};
use crate::limits::WARM_CALLS;
use crate::{CallError, Explanation};
use polymeter_domain::{
    Decimal, Measurement, ObisCode, PurchaseCount, Quality, SupplyState, Unit, Value,
};

/// The calls that the instance says it has answered.
fn calls(extras: &[(String, Value)]) -> i64 {
    match extras.first() {
        Some((name, Value::Number(count))) if name == "calls" => count.mantissa,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_reading_comes_as_domain_values() {
    let driver = driver(ample()).await;
    let snapshot =
        driver.read(&mut silent().await, &device("fine"), moment()).await.expect("an answer");
    let voltage = Measurement {
        register: ObisCode::new("1.0.32.7.0.255").expect("a code"),
        value: Value::Number(Decimal { mantissa: 2301, scale: -1 }),
        unit: Unit(35),
        quality: Quality::Measured,
    };
    assert_eq!(snapshot.measurements, [voltage]);
    assert_eq!(snapshot.supply, SupplyState::Connected);
}

#[tokio::test]
async fn nonsense_is_an_error_that_names_it() {
    let error = driver(ample())
        .await
        .read(&mut silent().await, &device("bad-register"), moment())
        .await
        .expect_err("nonsense");
    let what = "as a register not an obis code".to_owned();
    assert_eq!(error, CallError::BadResult { driver: "misbehaving".to_owned(), what });
}

#[tokio::test]
async fn reads_share_a_warm_instance_until_it_is_worn_or_fails() {
    let driver = driver(ample()).await;
    let mut line = silent().await;
    let fine = device("fine");
    for expected in 1..=3 {
        let snapshot = driver.read(&mut line, &fine, moment()).await.expect("an answer");
        assert_eq!(calls(&snapshot.extras), expected);
    }
    driver.read(&mut line, &device("error"), moment()).await.expect_err("its own error");
    let snapshot = driver.read(&mut line, &fine, moment()).await.expect("an answer");
    assert_eq!(calls(&snapshot.extras), 1, "thrown away after an error");

    let mut most = 0;
    for _ in 0..WARM_CALLS + 10 {
        let explained = driver.decode(b"fine").await.expect("an answer");
        most = most.max(calls(&explained.extras));
    }
    assert_eq!(most, i64::from(WARM_CALLS), "worn");
}

#[tokio::test]
async fn a_check_has_a_fresh_instance() {
    let driver = driver(ample()).await;
    let mut line = silent().await;
    driver.read(&mut line, &device("fine"), moment()).await.expect("an answer");
    for _ in 0..2 {
        let evidence = driver.check(&mut line, &device("fine"), moment(), None).await;
        assert_eq!(evidence.expect("an answer").count.get(), 1, "calls of that instance");
    }
    let asked = Some(PurchaseCount::new(17));
    let evidence = driver.check(&mut line, &device("fine"), moment(), asked).await;
    assert_eq!(evidence.expect("an answer").count.get(), 17, "the count arrives");
}

#[tokio::test]
async fn a_frame_is_explained_without_a_line() {
    let driver = driver(ample()).await;
    let Explanation { address, .. } = driver.decode(b"fine").await.expect("an answer");
    assert_eq!(address, "1");
    let error = driver.decode(b"abc").await.expect_err("no protocol");
    assert_eq!(error.to_string(), "misbehaving: 3 bytes of no protocol");
    let error = driver.decode(b"panic").await.expect_err("a trap");
    assert!(matches!(error, CallError::Trap { .. }), "{error}");
    driver.decode(b"fine").await.expect("a new instance");
}

#[tokio::test]
async fn crypto_is_done_by_label_in_the_host() {
    let driver = driver(ample()).await;
    let snapshot = driver.read(&mut silent().await, &device("mac"), moment()).await.expect("a mac");
    let Some((_, Value::Bytes(mac))) = snapshot.extras.get(1) else { panic!("{snapshot:?}") };
    assert_eq!(mac.len(), 8);
}

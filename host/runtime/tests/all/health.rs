//! A driver that traps: rest, quarantine, release, and what a sale makes of it.

use crate::Limits;
use crate::bench::{
    FarEnd, ample, customer, device, driver, lease, line, moment, purchase, silent,
};
use polymeter_domain::Delivery;
use polymeter_runtime::transcript::Level;
use polymeter_runtime::{CallError, Standing, TrapKind};

#[tokio::test]
async fn three_traps_are_enough_and_a_sale_then_sends_nothing() {
    let driver = driver(Limits { traps: 3, ..ample() }).await;
    let line = line(FarEnd::Silent).await;
    let mut held = lease(&line).await;
    for trap in 1..=3 {
        let sold = driver
            .sell(&mut held, &device("send-then-panic"), moment(), &customer(), purchase())
            .await
            .outcome;
        assert!(matches!(sold, Delivery::Unknown(_)), "trap {trap}: {sold:?}");
    }
    let health = driver.health();
    assert!(matches!(health.standing, Standing::Quarantined { .. }), "{health:?}");
    assert_eq!(health.traps.get(&TrapKind::Unreachable), Some(&3));
    let text = health.last_trap.map(|trap| trap.text).unwrap_or_default();
    assert!(text.contains("after sending"), "{text}");

    let sent = held.bytes_sent();
    let began = std::time::Instant::now();
    let sold = driver
        .sell(&mut held, &device("send-then-other-count"), moment(), &customer(), purchase())
        .await
        .outcome;
    let Delivery::NotSent(why) = sold else { panic!("{sold:?}") };
    assert!(why.starts_with("misbehaving is in quarantine (3 traps within 10 min: "), "{why}");
    assert!(why.contains("polymeter driver release misbehaving ends it at once"), "{why}");
    assert!(began.elapsed().as_millis() < 100, "answered at once");
    let error = driver.read(&mut held, &device("fine"), moment()).await.expect_err("not called");
    assert!(matches!(error, CallError::Quarantined { more_seconds: 1..=300, .. }), "{error}");
    assert_eq!(held.bytes_sent(), sent, "not a byte");
    assert_eq!(driver.health().refused, 2);

    driver.release();
    driver.read(&mut held, &device("fine"), moment()).await.expect("called again");
    assert_eq!(driver.health().standing, Standing::Serving);
}

#[tokio::test]
async fn a_call_after_a_trap_waits_a_little_and_is_served() {
    let driver = driver(ample()).await;
    driver.decode(b"panic").await.expect_err("a trap");
    assert!(matches!(driver.health().standing, Standing::Resting { .. }));
    driver.decode(b"fine").await.expect("an answer");
    assert_eq!(driver.health().standing, Standing::Serving);
}

#[tokio::test]
async fn every_ending_is_counted() {
    let driver = driver(ample()).await;
    let before = driver.health();
    assert_eq!(before.calls, before.answered, "what it was asked about itself");
    let mut line = silent().await;
    driver.read(&mut line, &device("fine"), moment()).await.expect("an answer");
    driver.read(&mut line, &device("error"), moment()).await.expect_err("its own error");
    driver.read(&mut line, &device("bad-register"), moment()).await.expect_err("nonsense");
    driver.read(&mut line, &device("send-forever"), moment()).await.expect_err("a limit");
    {
        let device = device("wait-forever");
        let read = driver.read(&mut line, &device, moment());
        let gone = tokio::time::timeout(std::time::Duration::from_millis(20), read).await;
        assert!(gone.is_err(), "the caller went away");
    }
    let health = driver.health();
    assert_eq!(health.calls, before.calls + 5);
    assert_eq!((health.answered, health.failures), (before.answered + 1, 3));
    assert_eq!((health.cancelled, health.running), (1, 0));
    assert_eq!(health.latency.calls(), before.calls + 4);
    assert_eq!(health.standing, Standing::Serving);
}

#[tokio::test]
async fn its_last_lines_are_kept() {
    let driver = driver(ample()).await;
    driver.read(&mut silent().await, &device("log-flood"), moment()).await.expect("an answer");
    let lines = driver.log();
    assert_eq!(lines.len(), 100, "what one call may write");
    let first = lines.first().expect("a line");
    assert_eq!((first.level, first.text.as_str()), (Level::Info, "again\\u{1b}[31m"));
    assert_eq!(driver.health().log_lines_dropped, 99_900);
}

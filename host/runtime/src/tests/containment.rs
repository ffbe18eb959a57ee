//! Every way of going wrong is contained: the call ends, it says why, the line and the neighbours go
//! on. Every limit bites here.

use super::bench::{FarEnd, ample, device, driver, lease, line, moment, silent};
use super::pages::Pages;
use crate::{CallError, Driver, Limits};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Reads with that behaviour; then the line and the driver must still do.
async fn ending(limits: Limits, far_end: FarEnd, behaviour: &str) -> CallError {
    let driver = driver(limits).await;
    let line = line(far_end).await;
    let mut held = lease(&line).await;
    let error = driver
        .read(&mut held, &device(behaviour), moment())
        .await
        .expect_err("must not come back with an answer");
    // The same lease, then a new one of the same line, must work.
    for _ in 0..2 {
        driver.read(&mut held, &device("fine"), moment()).await.expect("the neighbour is served");
        held.send(b"raw").await.expect("the line is usable");
        drop(held);
        held = lease(&line).await;
    }
    error
}

fn limit(name: &'static str, used: &str, config_key: &'static str) -> CallError {
    CallError::Limit {
        driver: "misbehaving".to_owned(),
        limit: name,
        used: used.to_owned(),
        config_key,
    }
}

#[tokio::test]
async fn traps_cost_one_call_and_say_what_happened() {
    for (behaviour, words) in [
        ("panic", "asked to panic"),
        ("send-then-panic", "after sending"),
        // The guest's own stack of 64 KiB lies at the bottom of its memory and ends first.
        ("recursion", "out of bounds memory access"),
    ] {
        let CallError::Trap { driver, detail } = ending(ample(), FarEnd::Silent, behaviour).await
        else {
            panic!("{behaviour} is a trap");
        };
        assert_eq!(driver, "misbehaving");
        assert!(detail.contains(words), "{behaviour}: {detail}");
    }
}

#[tokio::test]
async fn the_limit_of_the_stack_bites() {
    let error = ending(ample(), FarEnd::Silent, "deep").await;
    assert_eq!(error, limit("stack-bytes", "524288 of 524288 bytes", "limits.stack-bytes"));
    // Another stack is another engine.
    let limits = Limits { stack_bytes: 64 << 10, ..ample() };
    let error = ending(limits, FarEnd::Silent, "deep").await;
    assert_eq!(error, limit("stack-bytes", "65536 of 65536 bytes", "limits.stack-bytes"));
}

#[tokio::test]
async fn a_drivers_own_error_keeps_its_code() {
    let error = ending(ample(), FarEnd::Silent, "send-then-error").await;
    let CallError::Driver { code, detail, .. } = &error else { panic!("{error}") };
    assert_eq!((*code, detail.as_str()), (1, "gave up"));
}

#[tokio::test]
async fn the_limit_of_cpu_bites() {
    let limits = Limits { cpu_ticks: 3, ..ample() };
    for behaviour in ["loop", "send-then-loop", "drain-forever"] {
        let error = ending(limits.clone(), FarEnd::Silent, behaviour).await;
        assert_eq!(error, limit("cpu-ticks", "3 of 3 ticks of 10 ms", "limits.cpu-ticks"));
    }
}

#[tokio::test]
async fn waiting_for_the_line_is_not_computing() {
    // Ten silent replies of 30 ms each, with 30 ms of CPU.
    let driver = driver(Limits { cpu_ticks: 3, ..ample() }).await;
    let began = Instant::now();
    driver
        .read(&mut silent().await, &device("wait-then-answer"), moment())
        .await
        .expect("it computed next to nothing");
    assert!(began.elapsed() >= Duration::from_millis(300), "it did wait");
}

#[tokio::test]
async fn the_limit_of_wall_time_bites() {
    let limits = Limits { wall: Duration::from_millis(400), ..ample() };
    for behaviour in ["wait-forever", "loop", "send-then-wait"] {
        let driver = driver(limits.clone()).await;
        let error = driver
            .read(&mut silent().await, &device(behaviour), moment())
            .await
            .expect_err("runs out of time");
        assert_eq!(error, limit("wall-ms", "400 of 400 ms", "limits.wall-ms"), "{behaviour}");
    }
}

#[tokio::test]
async fn the_line_is_usable_after_a_timeout() {
    let limits = Limits { wall: Duration::from_millis(1_000), ..ample() };
    let error = ending(limits, FarEnd::Silent, "wait-forever").await;
    assert_eq!(error, limit("wall-ms", "1000 of 1000 ms", "limits.wall-ms"));
}

#[tokio::test]
async fn the_limit_of_memory_bites() {
    let error = ending(Limits { memory_bytes: 8 << 20, ..ample() }, FarEnd::Silent, "memory").await;
    let CallError::Limit { limit: "memory-bytes", used, .. } = &error else { panic!("{error}") };
    assert!(used.contains("of 8388608 bytes, and"), "{used}");
}

#[tokio::test]
async fn the_limit_of_exchanges_bites() {
    let error = ending(Limits { exchanges: 5, ..ample() }, FarEnd::Silent, "send-forever").await;
    assert_eq!(error, limit("exchanges", "5 of 5 frames", "limits.exchanges"));
}

#[tokio::test]
async fn the_limit_of_line_bytes_bites_both_ways() {
    let limits = Limits { line_bytes: 1_000, ..ample() };
    let error = ending(limits, FarEnd::Silent, "send-forever").await;
    let used = "1000 of 1000 bytes, and 200 more asked for";
    assert_eq!(error, limit("line-bytes", used, "limits.line-bytes"));

    let driver = driver(Limits { line_bytes: 10_000, ..ample() }).await;
    let mut held = lease(&line(FarEnd::Babbling).await).await;
    let error = driver
        .read(&mut held, &device("receive-forever"), moment())
        .await
        .expect_err("the far end never stops");
    let CallError::Limit { limit: "line-bytes", used, .. } = &error else { panic!("{error}") };
    assert!(used.contains("of 10000 bytes"), "{used}");
}

#[tokio::test]
async fn the_limit_of_results_bites() {
    let driver = driver(ample()).await;
    let result_bytes =
        limit("result-bytes", "more than 1048576 bytes at once", "limits.result-bytes");
    let mut line = silent().await;
    for behaviour in ["many-records", "log-huge"] {
        let error =
            driver.read(&mut line, &device(behaviour), moment()).await.expect_err("too much");
        assert_eq!(error, result_bytes, "{behaviour}");
    }
    // A probe answers with an address of 16 MiB.
    let error = driver.probe(&mut line, &device("fine"), moment()).await.expect_err("too much");
    assert_eq!(error, result_bytes);
    driver.read(&mut line, &device("fine"), moment()).await.expect("the line is back");
}

#[tokio::test]
async fn more_records_than_allowed_are_refused_where_the_bytes_would_do() {
    let driver = driver(Limits { result_bytes: 32 << 20, ..ample() }).await;
    let error = driver
        .read(&mut silent().await, &device("many-records"), moment())
        .await
        .expect_err("too many");
    let what = "100000 measurements, more than 4096".to_owned();
    assert_eq!(error, CallError::BadResult { driver: "misbehaving".to_owned(), what });
}

/// What the log says while `behaviour` is read.
async fn logged(limits: Limits, behaviour: &str) -> String {
    let pages = Pages::default();
    let driver: Arc<Driver> = driver(limits).await;
    let mut line = silent().await;
    let guard = pages.open();
    driver.read(&mut line, &device(behaviour), moment()).await.expect("logging is no crime");
    drop(guard);
    pages.text()
}

#[tokio::test]
async fn the_limits_of_the_log_bite() {
    let log = logged(Limits { log_lines: 3, ..ample() }, "log-flood").await;
    assert_eq!(log.matches("again\\u{1b}[31m").count(), 3, "escaped, and three of them: {log}");
    assert!(log.contains("driver=\"misbehaving\""), "{log}");
    assert!(log.contains("than log-lines of 3 allows: raise limits.log-lines if"), "{log}");
    assert!(log.contains("dropped=99997"), "{log}");

    let log = logged(Limits { log_line_bytes: 12, ..ample() }, "log-long").await;
    assert!(log.contains("long long lo…\n") || log.contains("long long lo… "), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_beyond_the_limit_wait_and_are_served() {
    let driver = driver(Limits { concurrent_calls: 1, ..ample() }).await;
    let began = Instant::now();
    let calls = (0..3).map(|_| {
        let driver = Arc::clone(&driver);
        // That these futures may move between threads is checked here too.
        tokio::spawn(async move {
            let mut line = silent().await;
            driver.read(&mut line, &device("wait-then-answer"), moment()).await
        })
    });
    for call in calls.collect::<Vec<_>>() {
        call.await.expect("no panic").expect("an answer");
    }
    assert!(began.elapsed() >= Duration::from_millis(900), "three times 300 ms, one by one");
}

#[tokio::test]
async fn neighbours_are_served_while_one_computes() {
    // One thread for all: the loop must yield, or nobody else would get a turn.
    let looping = driver(Limits { cpu_ticks: 50, ..ample() }).await;
    let calm = driver(ample()).await;
    let mut line = silent().await;
    let mut other = silent().await;
    let stuck = device("loop");
    let stuck = looping.read(&mut line, &stuck, moment());
    let mut served = 0;
    let neighbour = async {
        loop {
            calm.read(&mut other, &device("fine"), moment()).await.expect("an answer");
            served += 1;
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        ended = stuck => assert!(matches!(ended, Err(CallError::Limit { limit: "cpu-ticks", .. }))),
        () = neighbour => {}
    }
    assert!(served > 10, "served only {served} times in half a second");
}

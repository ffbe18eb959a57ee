//! Every limit bites, and says its name, its value and its key when it does. A limit without a case
//! here does not compile.

use crate::bench::{FarEnd, ample, component, device, driver, lease, line, moment, silent};
use crate::components::{chain, config, laborious, refusal, runtime, starting};
use crate::pages::Pages;
use crate::{Driver, Limits};
use polymeter_runtime::Knob;
use std::sync::Arc;

#[tokio::test]
async fn every_limit_bites_and_says_so() {
    for knob in Knob::ALL {
        let (limits, said) = bite(*knob).await;
        let value = limits.get(*knob).to_string();
        for part in [knob.name(), &value, knob.config_key()] {
            assert!(said.contains(part), "{knob:?} does not say {part}: {said}");
        }
    }
}

fn with(knob: Knob, value: u64) -> Limits {
    let mut limits = ample();
    limits.set(knob, value).expect("in range");
    limits
}

/// Limits under which that one bites, and what is said then.
async fn bite(knob: Knob) -> (Limits, String) {
    match knob {
        Knob::ComponentBytes => refused(with(knob, 1_000), component()).await,
        Knob::NameBytes => refused(with(knob, 100), component()).await,
        Knob::CompileCpuSeconds => {
            let limits = Limits { component_bytes: 64 << 20, ..with(knob, 1) };
            refused(limits, &laborious(32 << 20)).await
        }
        Knob::CompileMemoryBytes => refused(with(knob, 16 << 20), component()).await,
        Knob::MemoryBytes => read(with(knob, 8 << 20), "memory").await,
        Knob::StackBytes => read(with(knob, 128 << 10), "deep").await,
        // The engine's own table of imports does not fit.
        Knob::TableElements => refused(with(knob, 0), component()).await,
        Knob::Handles => {
            let leak = "(loop $again (drop (call $new (i32.const 1))) (br $again))";
            refused(with(knob, 77), &starting(leak)).await
        }
        Knob::CpuTicks => read(with(knob, 2), "loop").await,
        Knob::Wall => read(with(knob, 200), "wait-forever").await,
        Knob::Exchanges => read(with(knob, 3), "send-forever").await,
        Knob::LineBytes => read(with(knob, 1_000), "send-forever").await,
        Knob::VaultRequests => read(with(knob, 5), "random-forever").await,
        Knob::LogLines => logged(with(knob, 3), "log-flood").await,
        Knob::LogLineBytes => logged(with(knob, 12), "log-long").await,
        Knob::LogLinesPerSecond => {
            let limits = Limits { log_lines: 1_000, ..with(knob, 5) };
            logged(limits, "log-flood").await
        }
        Knob::LogBytesPerSecond => {
            let limits = Limits { log_lines: 1_000, ..with(knob, 50) };
            logged(limits, "log-flood").await
        }
        Knob::ResultBytes => read(with(knob, 100_000), "many-records").await,
        Knob::ConcurrentCalls => crowded(with(knob, 1)).await,
        Knob::Traps => {
            let limits = with(knob, 1);
            let driver = driver(limits.clone()).await;
            driver.decode(b"panic").await.expect_err("a trap");
            let error = driver.decode(b"fine").await.expect_err("in quarantine").to_string();
            assert!(error.contains("1 traps within 10 min"), "{error}");
            (limits, error)
        }
    }
}

async fn refused(limits: Limits, component: &[u8]) -> (Limits, String) {
    let error = refusal("hungry", limits.clone(), component).await;
    (limits, error)
}

async fn read(limits: Limits, behaviour: &str) -> (Limits, String) {
    let loaded = runtime().load(config("misbehaving", limits.clone()), component()).await;
    let driver = loaded.expect("loads");
    let mut line = lease(&line(FarEnd::Silent).await).await;
    let error = driver.read(&mut line, &device(behaviour), moment()).await.expect_err("bounded");
    (limits, chain(&error))
}

/// What the process's log says while `behaviour` is read. The driver's own lines are no proof.
async fn logged(limits: Limits, behaviour: &str) -> (Limits, String) {
    let driver = driver(limits.clone()).await;
    let mut line = silent().await;
    let pages = Pages::default();
    {
        let _guard = pages.open();
        driver.read(&mut line, &device(behaviour), moment()).await.expect("logging is no crime");
    }
    assert!(!driver.health().limits.is_empty(), "it is counted");
    (limits, pages.text())
}

/// Two calls where one may run.
async fn crowded(limits: Limits) -> (Limits, String) {
    let driver: Arc<Driver> = driver(limits.clone()).await;
    let (mut one, mut other) = (silent().await, silent().await);
    let pages = Pages::default();
    {
        let _guard = pages.open();
        let device = device("wait-then-answer");
        let (first, second) = tokio::join!(
            driver.read(&mut one, &device, moment()),
            driver.read(&mut other, &device, moment())
        );
        first.expect("an answer");
        second.expect("an answer");
    }
    assert_eq!(driver.health().limits.get(&Knob::ConcurrentCalls), Some(&1));
    (limits, pages.text())
}

//! Many calls that end badly, in a process of their own, so that its memory tells: 100 000 that are
//! cancelled at a random point (R18; another number by the variable `POLYMETER_CANCELS`), and 10 000
//! that trap (R17).

use polymeter_runtime::{
    Capability, Device, Driver, DriverConfig, Limits, Moment, Options, Runtime, Vault,
};

#[path = "../src/tests/bench.rs"]
#[expect(dead_code, reason = "the crate's own tests use the rest")]
mod bench;

use bench::{FarEnd, ample, customer, device, driver, lease, line, moment, purchase};
use polymeter_transport::Line;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};

const CANCELS: u64 = 100_000;
const TRAPS: u64 = 10_000;
/// Tasks, each with a line of its own: what one waits for, the others use.
const TASKS: u64 = 32;

/// One test, so that nothing else uses memory meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_comes_back_and_the_instance_is_replaced() {
    let asked = std::env::var("POLYMETER_CANCELS").ok();
    let cancels = asked.and_then(|asked| asked.parse().ok()).unwrap_or(CANCELS);
    let driver = driver(Limits { wall: Duration::from_secs(3_600), ..ample() }).await;

    let began = Instant::now();
    cancel(&driver, cancels / 4).await;
    let before = resident_bytes();
    cancel(&driver, cancels - cancels / 4).await;
    let health = driver.health();
    println!(
        "{cancels} calls cancelled or ended in {:.1} s: {} cancelled, {} answered, RSS {} then {}",
        began.elapsed().as_secs_f64(),
        health.cancelled,
        health.answered,
        before,
        resident_bytes()
    );
    assert_same_memory(before, "cancelled calls");
    assert_eq!((health.running, health.traps.len()), (0, 0), "{health:?}");
    assert!(health.cancelled > cancels / 2, "most were stopped on their way: {health:?}");

    trap(&driver, TRAPS / 4).await;
    let before = resident_bytes();
    trap(&driver, TRAPS - TRAPS / 4).await;
    assert_same_memory(before, "traps");
    assert_eq!(driver.health().traps.values().sum::<u64>(), TRAPS);
    driver.decode(b"fine").await.expect("served after all that");
}

/// Calls of all kinds, each dropped after it was polled a random number of times; after each the
/// same line must serve a call that is let be.
async fn cancel(driver: &Arc<Driver>, calls: u64) {
    static SEED: AtomicU64 = AtomicU64::new(1);
    let mut tasks = Vec::new();
    for _ in 0..TASKS {
        let driver = Arc::clone(driver);
        let seed = SEED.fetch_add(1, Ordering::Relaxed);
        tasks.push(tokio::spawn(async move {
            let line = line(FarEnd::Silent).await;
            let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            for number in 0..calls / TASKS {
                cancel_one(&driver, &line, &mut random).await;
                if number % 16 == 0 {
                    let mut held = lease(&line).await;
                    let read = driver.read(&mut held, &device("fine"), moment()).await;
                    read.expect("the instance was replaced, and the line is back");
                }
            }
        }));
    }
    for task in tasks {
        task.await.expect("no panic");
    }
}

async fn cancel_one(driver: &Driver, line: &Line, random: &mut Random) {
    // Those that never send leave nothing to wait out on the line; a few send.
    let behaviour = match random.below(64) {
        0 => "send-then-wait",
        1 => "send-then-other-count",
        2..8 => "log-flood",
        8..16 => "fine",
        _ => "wait-forever",
    };
    let device = device(behaviour);
    let polls = random.below(6);
    let mut held = lease(line).await;
    if random.below(4) == 0 {
        let (customer, purchase) = (customer(), purchase());
        let sold = driver.sell(&mut held, &device, moment(), &customer, purchase);
        polled(polls, sold).await;
    } else {
        polled(polls, driver.read(&mut held, &device, moment())).await;
    }
}

/// Polls `future` that many times, whenever it asks for it or at once, then drops it.
async fn polled<T>(polls: u64, future: impl Future<Output = T>) {
    let mut future = pin!(future);
    let mut left = polls;
    std::future::poll_fn(|context| {
        if left == 0 || future.as_mut().poll(context).is_ready() {
            return Poll::Ready(());
        }
        left -= 1;
        // Not only when it is woken: between two wakes is a point, too.
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

async fn trap(driver: &Driver, traps: u64) {
    for _ in 0..traps {
        driver.decode(b"panic").await.expect_err("a trap");
        // Rest and quarantine have tests of their own.
        driver.release();
    }
}

fn assert_same_memory(before: u64, what: &str) {
    let after = resident_bytes();
    let most = before + before / 20;
    assert!(after <= most, "{what}: {before} bytes resident before, {after} after");
}

fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("Linux");
    let pages: u64 = statm.split(' ').nth(1).and_then(|it| it.parse().ok()).expect("a number");
    pages * 4096
}

/// xorshift64*: the same points in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % end
    }
}

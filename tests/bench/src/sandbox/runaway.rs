//! W8: a guest that computes for ever: how long after its deadline it is stopped, and how late the
//! other tasks of the process are meanwhile.

use crate::far_end::FarEnd;
use crate::figure::Row;
use crate::loading;
use crate::polling::product::{MOMENT, device, line};
use anyhow::{Result, ensure};
use polymeter_runtime::Limits;
use polymeter_transport::Priority;
use std::path::Path;
use std::time::{Duration, Instant};

const RUNS: usize = 20;
/// One epoch tick is 10 ms; the first, partial one does not count against the guest.
const CPU_TICKS: u64 = 20;
const DEADLINE: Duration = Duration::from_millis(10 * CPU_TICKS);

pub async fn run(root: &Path) -> Result<[Row; 2]> {
    let far_end = FarEnd::start(&[], Duration::ZERO).await?;
    let runtime = loading::runtime()?;
    let limits = Limits { cpu_ticks: CPU_TICKS, ..Limits::default() };
    let driver = loading::limited(&runtime, root, "bench", limits).await?;
    let line = line(far_end.address);
    let device = device(driver_bench::RUNAWAY)?;

    // A task that wants to run every millisecond, and notes how late it did.
    let neighbour = tokio::spawn(async {
        let mut late = Vec::new();
        loop {
            let due = Instant::now() + Duration::from_millis(1);
            tokio::time::sleep_until(due.into()).await;
            late.push(due.elapsed());
            if late.len() >= RUNS * 190 {
                return late;
            }
        }
    });
    let mut over = Vec::new();
    for _ in 0..RUNS {
        let mut lease = line.lease(Priority::RoutineRead).await?;
        let begun = Instant::now();
        let ended = driver.read(&mut lease, &device, MOMENT).await;
        over.push(begun.elapsed().saturating_sub(DEADLINE));
        let stopped = ended.is_err_and(|error| error.to_string().contains("ticks of 10 ms"));
        ensure!(stopped, "the runaway was not stopped by its limit of CPU");
        // Else the next call waits its turn, or is refused at once: this one trapped.
        driver.release();
    }
    let mut late = neighbour.await?;
    over.sort();
    late.sort();
    let worst_ms = over[RUNS - 1].as_secs_f64() * 1e3;
    let late_ms = late[late.len() * 99 / 100].as_secs_f64() * 1e3;
    Ok([
        Row::plain(
            "W8",
            format!("runaway guest stopped after its deadline of {DEADLINE:?}, worst of {RUNS}"),
            "at most 5 ms",
            format!("{worst_ms:.1} ms"),
            worst_ms <= 5.0,
        ),
        Row::plain(
            "W8",
            "meanwhile a task that wakes every millisecond is late, 99th percentile",
            "at most 15 ms",
            format!("{late_ms:.1} ms"),
            late_ms <= 15.0,
        ),
    ])
}

//! W5: a fresh instance, one call and its end, over the least that wasmtime can do: a store made and
//! dropped.

use crate::far_end::FarEnd;
use crate::figure::Row;
use crate::loading;
use crate::polling::product::{MOMENT, device, line};
use crate::ratio::compare;
use anyhow::Result;
use polymeter_transport::Priority;
use std::path::Path;
use std::time::{Duration, Instant};

const CALLS: u32 = 5_000;

pub async fn run(root: &Path, rounds: usize) -> Result<[Row; 2]> {
    let runtime = loading::runtime()?;
    let driver = loading::driver(&runtime, root, "bench").await?;
    // Nobody speaks on it: the guest answers a probe at once.
    let far_end = FarEnd::start(&[], Duration::ZERO).await?;
    let line = line(far_end.address);
    let mut lease = line.lease(Priority::RoutineRead).await?;
    let device = device("1")?;
    let comparison = compare(
        rounds,
        async || {
            let begun = Instant::now();
            for _ in 0..CALLS {
                runtime.empty_store();
            }
            Ok(begun.elapsed() / CALLS)
        },
        async || {
            let begun = Instant::now();
            for _ in 0..CALLS {
                std::hint::black_box(driver.probe(&mut lease, &device, MOMENT).await?);
            }
            Ok(begun.elapsed() / CALLS)
        },
    )
    .await?;
    let took_us = comparison.product_ns() / 1e3;
    let even = comparison.is_even();
    Ok([
        Row::ratio(
            "W5",
            "fresh instance, one call, drop / a bare wasmtime store made and dropped",
            Some(30.0),
            comparison,
        ),
        Row::plain(
            "W5",
            "the same: in time",
            "about 25 µs",
            format!("{took_us:.1} µs"),
            even.then_some(took_us <= 25.0),
        ),
    ])
}

//! W4: a whole read, lease and exchange and decode, by the driver in its sandbox and by the same
//! steps natively on the same line. And what a fresh instance adds to a warm one.

use crate::far_end::FarEnd;
use crate::figure::Row;
use crate::loading;
use crate::polling::product::{MOMENT, device, line, user};
use crate::ratio::compare;
use anyhow::{Context, Result};
use driver_bench::{EXCHANGE, REPLY, REQUEST};
use polymeter_transport::{Line, LineLease, Priority};
use std::path::Path;
use std::time::{Duration, Instant};

const READS: u32 = 3_000;

pub async fn run(root: &Path, rounds: usize) -> Result<Vec<Row>> {
    let registers = crate::polling::product::registers().await?;
    let far_end = FarEnd::start(&registers, Duration::ZERO).await?;
    let runtime = loading::runtime()?;
    let driver = loading::driver(&runtime, root, "acrel-adf400l").await?;
    let guest = loading::driver(&runtime, root, "bench").await?;
    let (meter, line) = (user()?, line(far_end.address));
    let exchange = device(EXCHANGE)?;

    let product =
        async || timed(&line, async |lease| Ok(driver.read(lease, &meter, MOMENT).await?)).await;
    let warm =
        async || timed(&line, async |lease| Ok(guest.read(lease, &exchange, MOMENT).await?)).await;
    let fresh =
        async || timed(&line, async |lease| Ok(guest.probe(lease, &exchange, MOMENT).await?)).await;
    let native = async || timed(&line, natively).await;
    let comparison = compare(rounds, native, product).await?;
    let recordings = runtime.recordings();
    let recording = compare(
        rounds,
        async || {
            recordings.switch(false);
            let took = product().await;
            recordings.switch(true);
            took
        },
        product,
    )
    .await?;
    let added_us = (comparison.product_ns() - comparison.reference_ns()) / 1e3;
    let even = comparison.is_even();
    let instances = compare(rounds, warm, fresh).await?;
    Ok(vec![
        Row::ratio(
            "W4",
            "whole read through the driver / same exchange and checks natively, same line",
            Some(2.6),
            comparison,
        ),
        Row::plain(
            "W4",
            "the same: added to a read",
            "at most 1.5 µs",
            format!("{added_us:.2} µs"),
            even.then_some(added_us <= 1.5),
        ),
        Row::ratio("", "whole read, recorded as a transcript / not recorded", None, recording),
        Row::ratio(
            "",
            "one exchange by a fresh instance / by a warm one, same frames",
            None,
            instances,
        ),
    ])
}

/// The time of one of many exchanges, each with a lease of its own.
async fn timed<T>(
    line: &Line,
    exchange: impl AsyncFn(&mut LineLease) -> Result<T>,
) -> Result<Duration> {
    let begun = Instant::now();
    for _ in 0..READS {
        let mut lease = line.lease(Priority::RoutineRead).await?;
        std::hint::black_box(exchange(&mut lease).await?);
    }
    Ok(begun.elapsed() / READS)
}

/// The least that anybody has to do for a read: send, receive, check, take the values out.
async fn natively(lease: &mut LineLease) -> Result<Vec<u16>> {
    lease.send(&REQUEST).await?;
    let mut reply = Vec::with_capacity(REPLY);
    while reply.len() < REPLY {
        reply.extend(lease.receive(REPLY - reply.len()).await?);
    }
    let body = reply.get(3..REPLY - 2).context("a reply of another length")?;
    Ok(body.as_chunks().0.iter().copied().map(u16::from_be_bytes).collect())
}

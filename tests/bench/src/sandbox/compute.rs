//! W2 and W3: computing inside the guest, and frames decoded sixty-four at a time; the same source
//! linked into the bench is the reference.

use crate::figure::Row;
use crate::loading;
use crate::ratio::compare;
use anyhow::{Result, ensure};
use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

/// Below the limit of CPU by far: some 10 ms.
const ROUNDS: u32 = 500_000;
const BATCHES: u32 = 1_000;
const FRAMES: usize = 64;

pub async fn run(root: &Path, rounds: usize) -> Result<[Row; 2]> {
    let runtime = loading::runtime()?;
    let driver = loading::driver(&runtime, root, "bench").await?;

    let mut compute = vec![driver_bench::COMPUTE];
    compute.extend(ROUNDS.to_le_bytes());
    let said = driver.decode(&compute).await?.address;
    let native = driver_bench::computed(ROUNDS).to_string();
    ensure!(said == native, "the guest computed {said}, the same source natively {native}");
    let computing = compare(
        rounds,
        async || {
            let begun = Instant::now();
            black_box(driver_bench::computed(black_box(ROUNDS)));
            Ok(begun.elapsed())
        },
        async || {
            let begun = Instant::now();
            black_box(driver.decode(black_box(&compute)).await?);
            Ok(begun.elapsed())
        },
    )
    .await?;

    let frames = super::decode::frame().repeat(FRAMES);
    let mut batch = vec![driver_bench::BATCH];
    batch.extend(&frames);
    let found = driver.decode(&batch).await?.measurements.len();
    ensure!(found == 5 * FRAMES, "the guest found {found} values in {FRAMES} frames of 5");
    ensure!(driver_bench::values(&frames).len() == found, "natively it found other values");
    let per_frame = BATCHES * u32::try_from(FRAMES)?;
    let batches = compare(
        rounds,
        async || {
            let begun = Instant::now();
            for _ in 0..BATCHES {
                black_box(driver_bench::values(black_box(&frames)));
            }
            Ok(begun.elapsed() / per_frame)
        },
        async || {
            let begun = Instant::now();
            for _ in 0..BATCHES {
                black_box(driver.decode(black_box(&batch)).await?);
            }
            Ok(begun.elapsed() / per_frame)
        },
    )
    .await?;
    Ok([
        Row::ratio("W2", "computing inside the guest / same source natively", Some(2.0), computing),
        Row::ratio(
            "W3",
            "per frame of 5 values, 64 frames a call / same source natively",
            Some(2.5),
            batches,
        ),
    ])
}

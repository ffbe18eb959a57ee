//! How fast frames are decoded: our codecs natively, through the WASM driver, and beside packages of
//! PyPI that do the same.
//!
//! One frame a call: the driver of the product in its sandbox against the same source linked into the
//! bench. In batches: the bench's guest, which decodes as many frames in one call as a driver does in
//! one read of a meter with its loads and events. Frames are the published ones where
//! `../shared/vectors` lies beside the workspace, else those below; each row says how many.

mod frames;
mod peers;

use crate::figure::{Figure, Row};
use crate::loading;
use crate::ratio::{Comparison, compare};
use anyhow::{Context, Result, ensure};
use driver_acrel_adf400l::Adf400l;
use driver_bench::{BATCH, BATCH_MBUS, BATCH_MODBUS};
use driver_dlt645_2007::Dlt645;
use driver_mbus::Mbus;
use frames::Frames;
use peers::Peer;
use polymeter_driver::MeterDriver;
use polymeter_runtime::Driver;
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Frames of one share of a round.
const SHARE: u32 = 20_000;
/// Frames of one call in a batch.
const FRAMES_A_CALL: usize = 64;
/// The WASM path over our own native code, at most.
const SINGLE_MOST: f64 = 3.5;
const BATCH_MOST: f64 = 2.0;
/// How many times faster than a scripting peer, at least.
const PEER_LEAST: f64 = 20.0;

/// One protocol and who decodes it.
struct Codec {
    protocol: &'static str,
    frames: Frames,
    /// The name of the product's driver, and its source linked natively: how many values and extras.
    driver: &'static str,
    native: fn(&[u8]) -> Option<usize>,
    /// The guest's first byte for a batch, and the same source natively.
    batch: u8,
    native_batch: fn(&[u8]) -> usize,
    peer: Option<(&'static str, Peer)>,
}

fn explained<D: MeterDriver>(frame: &[u8]) -> Option<usize> {
    // Copied in, as a sandbox would.
    let copied = black_box(frame.to_vec());
    let told = D::decode(&copied).ok()?;
    Some(told.measurements.len() + told.extras.len())
}

pub async fn run(root: &Path, rounds: usize) -> Result<Vec<Row>> {
    let runtime = loading::runtime()?;
    let guest = loading::driver(&runtime, root, "bench").await?;
    let mut rows = Vec::new();
    for codec in codecs(root)? {
        let driver = loading::driver(&runtime, root, codec.driver).await?;
        rows.extend(measured(root, rounds, &codec, &driver, &guest).await.context(codec.protocol)?);
    }
    Ok(rows)
}

fn codecs(root: &Path) -> Result<[Codec; 3]> {
    Ok([
        Codec {
            protocol: "DL/T 645-2007",
            frames: frames::dlt645(root)?,
            driver: "dlt645-2007",
            native: explained::<Dlt645>,
            batch: BATCH,
            native_batch: |bytes| driver_bench::values(bytes).len(),
            peer: Some(("PyPI dlt645", Peer::Dlt645)),
        },
        Codec {
            protocol: "Modbus RTU",
            frames: frames::modbus(root)?,
            driver: "acrel-adf400l",
            native: explained::<Adf400l>,
            batch: BATCH_MODBUS,
            native_batch: |bytes| driver_bench::modbus_values(bytes).len(),
            peer: None,
        },
        Codec {
            protocol: "M-Bus",
            frames: frames::mbus(root)?,
            driver: "mbus",
            native: explained::<Mbus>,
            batch: BATCH_MBUS,
            native_batch: |bytes| driver_bench::mbus_values(bytes).len(),
            peer: Some(("pyMeterBus", Peer::MeterBus)),
        },
    ])
}

async fn measured(
    root: &Path,
    rounds: usize,
    codec: &Codec,
    driver: &Arc<Driver>,
    guest: &Arc<Driver>,
) -> Result<Vec<Row>> {
    // Those that both decode, and alike; a frame that neither explains times an error.
    let mut good = Vec::new();
    for frame in &codec.frames.frames {
        let native = (codec.native)(frame);
        let sandboxed = driver.decode(frame).await.ok();
        let sandboxed = sandboxed.map(|told| told.measurements.len() + told.extras.len());
        ensure!(
            native == sandboxed,
            "{} natively {native:?}, sandboxed {sandboxed:?}",
            hex::encode(frame)
        );
        good.extend(native.map(|_| frame.clone()));
    }
    ensure!(!good.is_empty(), "no frame was explained");
    let (count, source, protocol) = (good.len(), codec.frames.source, codec.protocol);
    let what = |how: &str| format!("{protocol}, {count} {source}: {how}");
    let native = async || Ok(shared(&good, codec.native));
    let single = compare(rounds, native, async || sandboxed(driver, &good).await).await?;
    let mut rows = vec![
        rate(&what("natively"), single.reference_ns()),
        rate(&what("through the WASM driver, a frame a call"), single.product_ns()),
        Row::ratio(
            "",
            &what("the driver in WASM a frame / same source natively"),
            Some(SINGLE_MOST),
            single,
        ),
        Row::ratio(
            "",
            &what(&format!(
                "{FRAMES_A_CALL} frames a call in WASM, per frame / same source natively"
            )),
            Some(BATCH_MOST),
            batches(rounds, codec, guest, &good).await?,
        ),
    ];
    if let Some((name, peer)) = codec.peer {
        rows.extend(beside(root, rounds, name, peer, &good, driver, &what).await?);
    }
    Ok(rows)
}

/// The product's path a frame a call, and our native code, beside a peer on the frames that it takes.
async fn beside(
    root: &Path,
    rounds: usize,
    name: &str,
    peer: Peer,
    good: &[Vec<u8>],
    driver: &Arc<Driver>,
    what: &impl Fn(&str) -> String,
) -> Result<Vec<Row>> {
    let Some(running) = peer.start(root, good).await? else {
        return Ok(vec![Row::missing("", what(name), name)]);
    };
    let theirs = running.frames().to_vec();
    let how = format!("the driver in WASM a frame / {name} on the {} that it takes", theirs.len());
    let comparison: Comparison = compare(
        rounds,
        async || running.time(SHARE).await,
        async || sandboxed(driver, &theirs).await,
    )
    .await?;
    Ok(vec![
        rate(&what(name), comparison.reference_ns()),
        Row {
            name: "",
            what: what(&how),
            target: format!("at most {:.2} ({PEER_LEAST} times as fast)", 1.0 / PEER_LEAST),
            figure: Figure::Ratio { comparison, at_most: Some(1.0 / PEER_LEAST) },
        },
    ])
}

fn rate(what: &str, ns: f64) -> Row {
    let text = format!("{:.0} frames a second", 1e9 / ns);
    Row::plain("", what, "none set", text, None)
}

/// Time for one frame, the frames taken in turn.
fn shared(frames: &[Vec<u8>], decode: fn(&[u8]) -> Option<usize>) -> Duration {
    let begun = Instant::now();
    for frame in frames.iter().cycle().take(SHARE as usize) {
        black_box(decode(black_box(frame)));
    }
    begun.elapsed() / SHARE
}

async fn sandboxed(driver: &Driver, frames: &[Vec<u8>]) -> Result<Duration> {
    let begun = Instant::now();
    for frame in frames.iter().cycle().take(SHARE as usize) {
        black_box(driver.decode(black_box(frame)).await?);
    }
    Ok(begun.elapsed() / SHARE)
}

async fn batches(
    rounds: usize,
    codec: &Codec,
    guest: &Driver,
    good: &[Vec<u8>],
) -> Result<Comparison> {
    let frames: Vec<u8> = good.iter().cycle().take(FRAMES_A_CALL).flatten().copied().collect();
    let batch = [&[codec.batch], frames.as_slice()].concat();
    let found = guest.decode(&batch).await?.measurements.len();
    ensure!(found > 0, "no value in a batch");
    ensure!((codec.native_batch)(&frames) == found, "natively it found other values");
    let calls = SHARE / u32::try_from(FRAMES_A_CALL)?;
    let per_frame = calls * u32::try_from(FRAMES_A_CALL)?;
    let native = async || {
        let begun = Instant::now();
        for _ in 0..calls {
            black_box((codec.native_batch)(black_box(&frames)));
        }
        Ok(begun.elapsed() / per_frame)
    };
    let sandboxed = async || {
        let begun = Instant::now();
        for _ in 0..calls {
            black_box(guest.decode(black_box(&batch)).await?);
        }
        Ok(begun.elapsed() / per_frame)
    };
    compare(rounds, native, sandboxed).await
}

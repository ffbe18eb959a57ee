//! W1: one DL/T 645 reply with five values, decoded by the driver in its sandbox and by the same source
//! built as a native library.

use crate::figure::Row;
use crate::loading;
use crate::ratio::compare;
use anyhow::{Context, Result, ensure};
use std::path::Path;
use std::time::Instant;

const WHAT: &str =
    "decode of one DL/T 645 frame with 5 values, driver in WASM / same source as a native library";
/// A reply to DI 0001FF00: forward active energy, total and four tariffs.
/// Synthetic, from DL/T 645-2007: 12.34, 1.00, 2.00, 3.34 and 6.00 kWh of meter 000000000001.
const DATA: [u8; 24] = [
    0x00, 0xFF, 0x01, 0x00, 0x34, 0x12, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x02, 0x00, 0x00,
    0x34, 0x03, 0x00, 0x00, 0x00, 0x06, 0x00, 0x00,
];
const ITERATIONS: u32 = 20_000;

pub fn frame() -> Vec<u8> {
    let mut frame = vec![0x68, 0x01, 0, 0, 0, 0, 0, 0x68, 0x91, 24];
    frame.extend(DATA.map(|byte| byte.wrapping_add(0x33)));
    frame.push(frame.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte)));
    frame.push(0x16);
    frame
}

pub async fn run(root: &Path, rounds: usize) -> Result<Row> {
    let runtime = loading::runtime()?;
    let driver = loading::driver(&runtime, root, "dlt645-2007").await?;
    let frame = frame();
    let explained = driver.decode(&frame).await?;
    ensure!(
        explained.measurements.len() == 5,
        "the driver found {} values",
        explained.measurements.len()
    );

    let library = root.join("target/release/libdlt645_native.so");
    // Safety: the library is built from this tree, and its one function is declared as it is below.
    #[expect(unsafe_code, reason = "calling a native library is the point of this contender")]
    let library = unsafe { libloading::Library::new(&library) }
        .with_context(|| format!("loading {}", library.display()))?;
    #[expect(unsafe_code, reason = "as above")]
    let native = unsafe {
        library.get::<unsafe extern "C" fn(*const u8, usize) -> usize>(b"dlt645_decode")
    }?;
    let native_decode = |frame: &[u8]| {
        #[expect(unsafe_code, reason = "as above; the slice outlives the call")]
        unsafe {
            native(frame.as_ptr(), frame.len())
        }
    };
    ensure!(
        native_decode(&frame) == 5,
        "the native library found {} values",
        native_decode(&frame)
    );

    let reference = async || {
        let begun = Instant::now();
        for _ in 0..ITERATIONS {
            std::hint::black_box(native_decode(std::hint::black_box(&frame)));
        }
        Ok(begun.elapsed() / ITERATIONS)
    };
    let product = async || {
        let begun = Instant::now();
        for _ in 0..ITERATIONS {
            std::hint::black_box(driver.decode(std::hint::black_box(&frame)).await?);
        }
        Ok(begun.elapsed() / ITERATIONS)
    };
    let comparison = compare(rounds, reference, product).await?;
    Ok(Row::ratio("W1", WHAT, Some(6.0), comparison))
}

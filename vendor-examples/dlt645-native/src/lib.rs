//! A native library of the kind that vendors ship, made from the DL/T 645 driver's own source: the
//! bench holds it against the same source in its sandbox, so that the difference is the sandbox.
//!
//! Invariant: any bytes at all are safe to decode, and nothing allocated here leaves.
//! Not here: lines, selling, results for a caller; the product never loads this.
#![allow(unsafe_code, reason = "a C interface is made of raw pointers")]

use driver_dlt645_2007::Dlt645;
use polymeter_driver::MeterDriver;

/// Decodes a captured frame and returns how many values it held, 0 where it is none. The list of
/// values is allocated and freed, as a sandbox does for every call.
///
/// # Safety
/// `frame` must be null or good to read for `length` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dlt645_decode(frame: *const u8, length: usize) -> usize {
    if frame.is_null() {
        return 0;
    }
    // SAFETY: the caller promises `length` readable bytes. Copied in, as a sandbox would.
    let frame = unsafe { std::slice::from_raw_parts(frame, length) }.to_vec();
    Dlt645::decode(&frame).map_or(0, |explanation| explanation.measurements.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_counted() {
        let check = |frame: &[u8], count: usize| {
            // SAFETY: the slice is good to read for its length.
            assert_eq!(unsafe { dlt645_decode(frame.as_ptr(), frame.len()) }, count);
        };
        // Synthetic, DL/T 645-2007: 1.86 kWh of meter 201709320072.
        let one = [
            0x68, 0x72, 0, 0x32, 9, 0x17, 0x20, 0x68, 0x91, 8, 0x33, 0x33, 0x34, 0x33, 0xB9, 0x34,
            0x33, 0x33, 0x6D, 0x16,
        ];
        check(&one, 1);
        check(&one[..12], 0);
        check(&[], 0);
    }
}

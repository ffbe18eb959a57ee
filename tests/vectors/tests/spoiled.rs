//! Published frames of M-Bus and CJ/T 188, spoiled: cut at every byte, every bit turned over, two of
//! them run together. No panic, no endless loop, and never a frame where the checksum tells.

use polymeter_codec::{Decoded, cjt188, mbus};
use std::io::Write as _;
use vectors::{folder, rows};

/// Whether all of the bytes are one frame, and whether they may be the beginning of one.
type Judge = fn(&[u8]) -> (bool, bool);

fn of_mbus(bytes: &[u8]) -> (bool, bool) {
    match mbus::decode(bytes) {
        Decoded::Frame { frame, used } => {
            if let mbus::Telegram::Long { ci, data, .. } = frame
                && let Ok(mbus::Message::Data(data)) = mbus::message(ci, data)
            {
                let _ = data.records().map(|records| records.filter(Result::is_ok).count());
            }
            (used == bytes.len(), false)
        }
        Decoded::NeedMore { .. } => (false, true),
        Decoded::Garbled { .. } => (false, false),
    }
}

fn of_cjt188(bytes: &[u8]) -> (bool, bool) {
    match cjt188::decode(bytes) {
        Decoded::Frame { used, .. } => (used == bytes.len(), false),
        Decoded::NeedMore { .. } => (false, true),
        Decoded::Garbled { .. } => (false, false),
    }
}

fn spoil(file: &str, judge: Judge) {
    let Some(folder) = folder() else {
        writeln!(std::io::stderr(), "spoiled {file}: NONE, there is no folder ../shared/vectors")
            .expect("standard error is there");
        return;
    };
    let rows = rows(&folder, file).expect("rows");
    let frames: Vec<Vec<u8>> = rows
        .iter()
        .filter_map(|row| row.bytes("frame_hex").ok())
        .filter(|bytes| judge(bytes).0)
        .collect();
    assert!(frames.len() > 10, "{} frames", frames.len());
    let mut spoiled = 0_usize;
    for frame in &frames {
        for cut in 0..frame.len() {
            assert_eq!(judge(&frame[..cut]), (false, true), "{file}: cut at {cut}: {frame:02X?}");
        }
        for bit in 0..frame.len() * 8 {
            let mut turned = frame.clone();
            turned[bit / 8] ^= 1 << (bit % 8);
            // A wake-up byte belongs to no frame.
            let woken = frame.iter().take_while(|byte| **byte == 0xFE).count();
            assert!(bit / 8 < woken || !judge(&turned).0, "{file}: bit {bit} of {frame:02X?}");
        }
        spoiled += frame.len() * 9;
    }
    for (first, second) in frames.iter().zip(frames.iter().skip(1)) {
        let half = &first[..first.len() / 2];
        let spliced = [half, &second[second.len() / 2..]].concat();
        // Where they differ in one half only, the splice is one of them.
        let whole = [first, second].contains(&&spliced);
        assert!(whole || !judge(&spliced).0, "{file}: spliced: {spliced:02X?}");
        assert!(!judge(&[first.as_slice(), second].concat()).0, "{file}: run together");
    }
    writeln!(std::io::stderr(), "spoiled {file}: {} frames, {spoiled} ways", frames.len())
        .expect("standard error is there");
}

#[test]
fn mbus_telegrams() {
    spoil("mbus_wired.jsonl", of_mbus);
    spoil("mbus_wired_wmbusmeters.jsonl", of_mbus);
}

#[test]
fn cjt188_frames() {
    spoil("cjt188.jsonl", of_cjt188);
}

//! The frames that are decoded: published rows, else a few of our own of the same kind.

use anyhow::{Context, Result};
use serde_json::Value;
use std::path::Path;

/// Frames of one protocol, and what they are, as a row names them.
pub struct Frames {
    pub frames: Vec<Vec<u8>>,
    pub source: &'static str,
}

pub fn dlt645(root: &Path) -> Result<Frames> {
    let own = [crate::sandbox::frame()];
    // Replies that carry an item; the byte behind the second 68H is the control code.
    let reply = |frame: &[u8]| {
        let start = frame.iter().position(|byte| *byte != 0xFE).unwrap_or(0);
        frame.get(start + 8) == Some(&0x91)
    };
    of(root, &["dlt645.jsonl"], reply, &own)
}

pub fn modbus(root: &Path) -> Result<Frames> {
    // Unit 1, function 03, 33 registers of the reply to the read of an ADF400L.
    let mut reply = vec![0x01, 0x03, 66];
    reply.extend((0..66_u8).map(|byte| byte.wrapping_mul(37)));
    reply.extend(crc(&reply).to_le_bytes());
    of(root, &["modbus.jsonl"], |_| true, &[reply])
}

pub fn mbus(root: &Path) -> Result<Frames> {
    // Volume now and of a due day, energy, flow, temperatures and time of a heat meter, EN 13757-3.
    let records =
        "0413F4D10000 4413E8030000 040655040000 023BDC05 025B4600 025F3200 0261C800 046D1E0F1A2B";
    let header = "78563412 2D4D 01 04 2A 00 0000";
    let body = hex::decode(format!("080572{header}{records}").replace(' ', ""))?;
    let length = u8::try_from(body.len())?;
    let sum = body.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
    let own = [[&[0x68, length, length, 0x68], body.as_slice(), &[sum, 0x16]].concat()];
    let files = ["mbus_wired.jsonl", "mbus_wired_wmbusmeters.jsonl"];
    of(root, &files, |frame| frame.first() == Some(&0x68), &own)
}

/// CRC-16 of Modbus (serial line V1.02, 6.2.2).
fn crc(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0xFFFF, |crc, byte| {
        (0..8).fold(
            crc ^ u16::from(*byte),
            |crc, _| {
                if crc & 1 == 1 { crc >> 1 ^ 0xA001 } else { crc >> 1 }
            },
        )
    })
}

fn of(
    root: &Path,
    files: &[&str],
    wanted: impl Fn(&[u8]) -> bool,
    own: &[Vec<u8>],
) -> Result<Frames> {
    let folder = root.join("../shared/vectors");
    let mut frames = Vec::new();
    for file in files {
        let path = folder.join(file);
        if !path.is_file() {
            continue;
        }
        let text = std::fs::read_to_string(&path)?;
        for line in text.lines().filter(|line| !line.is_empty()) {
            let row: Value =
                serde_json::from_str(line).with_context(|| path.display().to_string())?;
            let frame = row["frame_hex"].as_str().and_then(|text| hex::decode(text).ok());
            frames.extend(frame.filter(|frame| wanted(frame)));
        }
    }
    if frames.is_empty() {
        return Ok(Frames { frames: own.to_vec(), source: "frames of our own" });
    }
    Ok(Frames { frames, source: "published frames" })
}

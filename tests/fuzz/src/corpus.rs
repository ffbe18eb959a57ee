//! Where inputs come from and where they stay: seeds out of the drivers' transcripts and, where they
//! are there, published frames; what a run kept; what it found.
//!
//! Invariant: an input's file is named by its content, so that nothing stands twice. A file that
//! cannot be read is an error, not a smaller corpus.

use crate::limits::INPUT_BYTES_MAX;
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};

/// Folders of one target below `target/fuzz`.
#[derive(Debug, Clone)]
pub struct Store {
    kept: PathBuf,
    findings: PathBuf,
}

impl Store {
    /// Makes the folders.
    pub fn open(folder: &Path, target: &str) -> Result<Store> {
        let store = Store {
            kept: folder.join("corpus").join(target),
            findings: folder.join("findings").join(target),
        };
        for folder in [&store.kept, &store.findings] {
            std::fs::create_dir_all(folder)
                .with_context(|| format!("creating {}", folder.display()))?;
        }
        Ok(store)
    }

    /// Inputs that earlier runs kept.
    pub fn kept(&self) -> Result<Vec<Vec<u8>>> {
        read_all(&self.kept)
    }

    /// Inputs that broke a promise in earlier runs.
    pub fn findings(&self) -> Result<Vec<Vec<u8>>> {
        read_all(&self.findings)
    }

    /// Keeps an input that reached something new.
    pub fn keep(&self, input: &[u8]) -> Result<()> {
        write(&self.kept, input).map(|_| ())
    }

    /// Keeps an input that broke a promise; returns its file.
    pub fn found(&self, input: &[u8]) -> Result<PathBuf> {
        write(&self.findings, input)
    }
}

fn write(folder: &Path, input: &[u8]) -> Result<PathBuf> {
    let path = folder.join(format!("{:016x}", content_hash(input)));
    std::fs::write(&path, input).with_context(|| format!("writing {}", path.display()))?;
    Ok(path)
}

fn read_all(folder: &Path) -> Result<Vec<Vec<u8>>> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        paths.push(entry?.path());
    }
    paths.sort();
    paths
        .iter()
        .map(|path| std::fs::read(path).with_context(|| path.display().to_string()))
        .collect()
}

/// FNV-1a: a name, not a proof.
fn content_hash(input: &[u8]) -> u64 {
    input.iter().fold(0xCBF2_9CE4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3)
    })
}

/// Every run of hexadecimal bytes in the drivers' transcripts, four bytes or longer.
pub fn of_transcripts(drivers: &Path) -> Result<Vec<Vec<u8>>> {
    let mut seeds = Vec::new();
    let mut folders = vec![drivers.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "transcript") {
                let text =
                    std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
                seeds.extend(text.lines().filter_map(bytes_in));
            }
        }
    }
    seeds.sort();
    seeds.dedup();
    Ok(seeds)
}

/// The bytes of a line of a transcript: pairs of digits between blanks.
fn bytes_in(line: &str) -> Option<Vec<u8>> {
    let line = line.split('#').next()?;
    let is_pair = |word: &&str| word.len() == 2 && word.bytes().all(|c| c.is_ascii_hexdigit());
    let digits: String = line.split_whitespace().filter(is_pair).collect();
    let bytes = hex::decode(digits).ok()?;
    (bytes.len() >= 4).then_some(bytes)
}

/// Every text in a file of JSON lines that is hexadecimal or, for tokens, decimal digits. `None`: no
/// such file.
pub fn of_vectors(file: &Path) -> Result<Option<Vec<Vec<u8>>>> {
    let Ok(text) = std::fs::read_to_string(file) else { return Ok(None) };
    let mut seeds = Vec::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let row = serde_json::from_str(line).with_context(|| file.display().to_string())?;
        collect(&row, &mut seeds);
    }
    seeds.retain(|seed| seed.len() <= INPUT_BYTES_MAX);
    seeds.sort();
    seeds.dedup();
    Ok(Some(seeds))
}

fn collect(value: &serde_json::Value, seeds: &mut Vec<Vec<u8>>) {
    match value {
        serde_json::Value::String(text) => {
            let text: String = text.chars().filter(|c| !c.is_whitespace()).collect();
            match hex::decode(&text) {
                Ok(bytes) if bytes.len() >= 4 => seeds.push(bytes),
                _ => {}
            }
            if text.len() == 20 && text.bytes().all(|c| c.is_ascii_digit()) {
                seeds.push(text.into_bytes());
            }
        }
        serde_json::Value::Array(values) => {
            values.iter().for_each(|value| collect(value, seeds));
        }
        serde_json::Value::Object(fields) => {
            fields.values().for_each(|value| collect(value, seeds));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_transcripts_hold_bytes_or_not() {
        assert_eq!(bytes_in("> FE 68 01 16  # ask 00"), Some(vec![0xFE, 0x68, 0x01, 0x16]));
        assert_eq!(bytes_in("result: confirmed count=17"), None);
    }
}

//! What an installation says about one line.
//!
//! Not here: limits that are the same for every line (`limits`), and any check of the config file.

use std::path::PathBuf;
use std::time::Duration;

/// Where a line's far end is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// 8 data bits, no flow control, opened for our use alone.
    Serial { path: PathBuf, baud: u32, parity: Parity, stop_bits: u8 },
    /// A transparent gateway: bytes in, bytes out. `host:port`.
    Tcp { address: String },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parity {
    None,
    Even,
    Odd,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineSettings {
    /// As errors, logs and metrics name it.
    pub name: String,
    pub endpoint: Endpoint,
    /// Quiet time kept before every frame, since the last byte either way.
    pub inter_frame: Duration,
    /// From the end of `send` to the first byte of the answer.
    pub reply_timeout: Duration,
    /// A line that stays quiet this long in the middle of an answer has ended it.
    pub byte_timeout: Duration,
    /// One lease altogether.
    pub total_timeout: Duration,
}

impl Endpoint {
    /// How long one byte is on our own wire: on a serial line the start bit, 8 data bits, parity
    /// and stop bits. A gateway's wire is not ours to time.
    pub(crate) fn byte_time(&self) -> Duration {
        match self {
            Endpoint::Serial { baud, parity, stop_bits, .. } => {
                let parity_bits = u32::from(*parity != Parity::None);
                let bits = 1 + 8 + parity_bits + u32::from(*stop_bits);
                Duration::from_secs(1) * bits / (*baud).max(1)
            }
            Endpoint::Tcp { .. } => Duration::ZERO,
        }
    }
}

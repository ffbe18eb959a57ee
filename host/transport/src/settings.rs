//! What an installation says about one line.
//!
//! Not here: limits that are the same for every line (`limits`), and any check of the config file.

use crate::envelope::Envelope;
use std::path::PathBuf;
use std::time::Duration;

/// Where a line's far end is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// 8 data bits, no flow control, opened for our use alone.
    Serial { path: PathBuf, baud: u32, parity: Parity, stop_bits: u8 },
    /// A transparent gateway: bytes in, bytes out. `host:port`.
    Tcp { address: String },
    /// The same, but for what it puts around the bytes.
    Enveloped { address: String, envelope: Envelope },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parity {
    None,
    Even,
    Odd,
}

/// How bytes are sent on a serial line, all of 8 data bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SerialSettings {
    /// Bits per second.
    pub baud: u32,
    pub parity: Parity,
    /// 1 or 2.
    pub stop_bits: u8,
}

impl SerialSettings {
    /// On the wire: the start bit, 8 data bits, parity and stop bits.
    pub(crate) fn byte_time(&self) -> Duration {
        let parity_bits = u32::from(self.parity != Parity::None);
        let bits = 1 + 8 + parity_bits + u32::from(self.stop_bits);
        Duration::from_secs(1) * bits / self.baud.max(1)
    }
}

/// "2400 8E1".
impl std::fmt::Display for SerialSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let parity = match self.parity {
            Parity::None => 'N',
            Parity::Even => 'E',
            Parity::Odd => 'O',
        };
        write!(f, "{} 8{parity}{}", self.baud, self.stop_bits)
    }
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
    /// `None`: a gateway, which has its own.
    pub fn serial(&self) -> Option<SerialSettings> {
        match *self {
            Endpoint::Serial { baud, parity, stop_bits, .. } => {
                Some(SerialSettings { baud, parity, stop_bits })
            }
            Endpoint::Tcp { .. } | Endpoint::Enveloped { .. } => None,
        }
    }

    /// How long one byte is on our own wire. A gateway's wire is not ours to time.
    pub(crate) fn byte_time(&self) -> Duration {
        self.serial().map_or(Duration::ZERO, |settings| settings.byte_time())
    }
}

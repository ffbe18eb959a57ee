//! Every bound of the transport, in one place.
//!
//! Not here: what an installation sets per line (`LineSettings`).

use std::time::Duration;

/// Requests that may wait for one line. Twice the 32 meters of a bus (M011), so that a whole
/// round of reads and as many orders fit.
pub(crate) const WAITING_MAX: usize = 64;

/// Grants that pass over the oldest waiter of a class before it counts as one class higher.
pub(crate) const GRANTS_PER_CLASS: u32 = 4;

/// Bytes that one `receive` returns at most. The longest frame of the protocols we know is an
/// M-Bus long frame of 261 bytes (EN 13757-2).
pub(crate) const RECEIVE_BYTES_MAX: usize = 4096;
/// How much more than was wanted one call may bring.
pub(crate) const RECEIVE_SLACK_BYTES: usize = 128;

/// Reads in one go when late bytes are thrown away, so that a far end which never stops talking
/// cannot hold a thread.
pub(crate) const DISCARD_READS_MAX: usize = 64;

/// Bytes per such read.
pub(crate) const DISCARD_BYTES: usize = 512;

/// Longer than any frame of an envelope that was ever seen, by four times.
pub(crate) const ENVELOPE_BYTES_MAX: usize = 2048;

/// Frames that wait between a line and the task which has its enveloped connection, each way.
pub(crate) const ENVELOPES_WAITING_MAX: usize = 32;

/// For one TCP connect, name lookup included, and for one frame to a gateway that takes it slowly.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// After a failed open every request fails at once for this long; it doubles with each failure.
pub(crate) const REOPEN_WAIT_MIN: Duration = Duration::from_millis(200);

/// The most it grows to, so that a line is back soon after a long outage (C2).
pub(crate) const REOPEN_WAIT_MAX: Duration = Duration::from_secs(5);

/// Silent exchanges in a row after which the stream is opened anew. A modem or gateway that lost
/// power leaves a connection that looks alive and stays silent for ever (C2, C18).
pub(crate) const SILENT_EXCHANGES_MAX: u32 = 16;

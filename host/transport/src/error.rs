//! Why a line did not do what it was asked.
//!
//! Not here: whether bytes had left by then; `LineLease::bytes_sent` says so.

#[derive(Debug, thiserror::Error)]
pub enum LineError {
    /// The far end could not be opened, or the stream broke. The next lease opens it again.
    #[error("line {line} is down")]
    Down {
        line: String,
        #[source]
        source: std::io::Error,
    },
    /// The queue is full.
    #[error("line {line}: {waiting} requests are already waiting")]
    Busy { line: String, waiting: usize },
    /// Not one byte of an answer.
    #[error("line {line} is silent: nothing came within {waited_ms} ms")]
    Silent { line: String, waited_ms: u64 },
    /// The lease has used up `LineSettings::total_timeout`.
    #[error("line {line}: this call has had its {total_ms} ms")]
    OutOfTime { line: String, total_ms: u64 },
    /// The lease is spent: `LineLease::take` has moved its right to another one.
    #[error("line {line}: this lease is lent to another holder")]
    Lent { line: String },
}

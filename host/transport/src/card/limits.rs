//! Every bound of the cards' part, in one place.

use std::time::Duration;

/// The longest short command: header, length, 255 bytes, expected length (ISO/IEC 7816-4, 5.1).
pub(crate) const COMMAND_BYTES_MAX: usize = 4 + 1 + 255 + 1;

/// The longest short answer: 256 bytes and the two of the status.
pub(crate) const ANSWER_BYTES_MAX: usize = 256 + 2;

/// The longest answer to reset (ISO/IEC 7816-3, 8.1), and one for what readers add.
pub(crate) const ATR_BYTES_MAX: usize = 33;

/// Bytes of a contactless card's number at most (ISO/IEC 14443-3: 4, 7 or 10).
pub(crate) const UID_BYTES_MAX: usize = 10;

/// Bytes that one read or write command moves at most: what fits into one length byte.
pub(crate) const PIECE_BYTES_MAX: usize = 255;

/// The largest memory that a profile may name: 1 Mbit.
pub(crate) const MEMORY_BYTES_MAX: u32 = 1 << 17;

/// Requests that may wait for one reader. A counter has one clerk.
pub(crate) const LEASES_WAITING_MAX: usize = 32;

/// How long a request waits for whoever has the card. Longer than any sale on a card takes.
pub(crate) const LEASE_WAIT: Duration = Duration::from_secs(20);

/// For one call on a card, of at most 128 commands. A card that thinks asks for more time every
/// second or so (ISO/IEC 7816-3, 10.2: work waiting time); nothing we know thinks for so long.
pub(crate) const CALL_WAIT: Duration = Duration::from_secs(15);

/// How often a card is tried again that another program holds.
pub(crate) const BUSY_WAIT: Duration = Duration::from_millis(250);

/// How long a card may be waited for before its reader is called busy.
pub(crate) const BUSY_AFTER: Duration = Duration::from_secs(1);

/// How often the readers are looked at when nothing is told of them.
pub(crate) const LOOK_WAIT: Duration = Duration::from_secs(1);

/// Between two tries to reach PC/SC.
pub(crate) const RECONNECT_WAIT: Duration = Duration::from_millis(500);

/// Readers at most; pcsclite itself has no more (`PCSCLITE_MAX_READERS_CONTEXTS`).
pub(crate) const READERS_MAX: usize = 16;

/// How long a card that went in the middle of an exchange may only have lost contact.
pub(crate) const LOST_FOR: Duration = Duration::from_secs(3);

/// After how long pcscd would have seen that. It looks every 400 ms (`PCSCLITE_STATUS_POLL_RATE`),
/// and must look twice.
pub(crate) const UNNOTICED_AFTER: Duration = Duration::from_secs(1);

/// How often a serial reader is asked whether a card lies there: at 9600 baud each asking takes a
/// quarter of a second itself.
pub(crate) const PORT_LOOK_WAIT: Duration = Duration::from_millis(300);

/// How long a serial reader may be silent. It says at once that it took a frame; then the card has its
/// time, which for what we ask is less (ISO/IEC 14443-4, 7.2: frame waiting time).
pub(crate) const PORT_REPLY_WAIT: Duration = Duration::from_secs(3);

/// Quiet in the middle of a frame that ends it: what a serial server may wait before it passes bytes on.
pub(crate) const PORT_BYTE_WAIT: Duration = Duration::from_millis(200);

/// One question to a serial reader with all that is asked again.
pub(crate) const PORT_CALL_WAIT: Duration = Duration::from_secs(10);

/// Frames that may come before the answer to one question: more than all that are asked again bring.
pub(crate) const PORT_FRAMES_MAX: usize = 12;

/// How often one answer is asked for again.
pub(crate) const PORT_AGAIN_MAX: usize = 3;

/// How often a frame leaves that the reader says it did not take, if twice does no harm.
pub(crate) const PORT_SENDS_MAX: usize = 3;

/// After this long without a field a contactless card has lost its power (ISO/IEC 14443-3, 5.2: 5 ms).
pub(crate) const FIELD_OFF_WAIT: Duration = Duration::from_millis(10);

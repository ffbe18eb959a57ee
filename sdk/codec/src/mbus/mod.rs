//! M-Bus: the link layers of EN 13757-2 (wires) and EN 13757-4 (radio), the layers of EN 13757-7 and the
//! application layer of EN 13757-3, from bytes to exact values with quantity, unit and power of ten.
//!
//! [`decode`] takes a telegram off a wire, [`wireless::decode`] one that a radio heard; [`layers`] goes
//! up to its message, [`message`] says what that carries, [`Records`] takes it apart. Nothing is copied and nothing allocated: all borrows from the bytes.
//!
//! Invariant: no number that is not in the bytes; what a device marks as invalid, and digits that are
//! none, come out as such.
//!
//! Not here: retries, the frame count bit, which telegram follows which (the driver); keys and
//! ciphers (the vault); the coding of radio on the air.

mod authentication;
mod compact;
mod fixed;
mod identity;
mod layers;
mod link;
mod meaning;
mod message;
mod profile;
mod qualifier;
mod record;
mod sealed;
mod value;

pub mod wireless;

pub use authentication::{Authentication, Proof, Unproven};
pub use compact::{Compact, CompactFrame, NotExpanded, signature};
pub(crate) use fixed::meaning as unit_code;
pub use fixed::{Counter, Fixed};
pub use identity::{NotAnAddress, SecondaryAddress, medium_name};
pub use layers::{BadLayer, Closed, Layer, Layers, LinkExtension, Upper, layer_ci, layers};
pub use link::{
    DATA_BYTES_MAX, TELEGRAM_BYTES_MAX, Telegram, Unencodable, address, control, decode,
    false_start,
};
pub use meaning::{Meaning, Quantity, Unit};
pub use message::{ApplicationError, BadMessage, Data, Header, Message, Status, ci, message};
pub use profile::{BadProfile, Distance, Increment, Profile};
pub use qualifier::{Bound, Qualifier, RecordError};
pub use record::{Fault, Function, Item, Malformed, Record, Records, Scaled};
pub use sealed::{Derived, Encryption, NotSealed, Sealed, WrongKey, mode_7_derivation};
pub use value::{Date, DateTime, Invalid, Order, Text, Time, Value};

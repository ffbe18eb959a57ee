//! M-Bus: the link layer of EN 13757-2 and the application layer of EN 13757-3, from bytes to exact
//! values with quantity, unit and power of ten.
//!
//! [`decode`] takes a telegram off a wire, [`message`] says what it carries, [`Records`] takes that
//! apart. Nothing is copied and nothing allocated: all borrows from the bytes.
//!
//! Invariant: no number that is not in the bytes; what a device marks as invalid, and digits that are
//! none, come out as such.
//!
//! Not here: retries, the frame count bit, which telegram follows which (the driver); keys and
//! ciphers (the vault); the link layer of wireless M-Bus.

mod fixed;
mod identity;
mod link;
mod meaning;
mod message;
mod qualifier;
mod record;
mod value;

pub(crate) use fixed::meaning as unit_code;
pub use fixed::{Counter, Fixed};
pub use identity::{NotAnAddress, SecondaryAddress, medium_name};
pub use link::{
    DATA_BYTES_MAX, TELEGRAM_BYTES_MAX, Telegram, Unencodable, address, control, decode,
    false_start,
};
pub use meaning::{Meaning, Quantity, Unit};
pub use message::{
    ApplicationError, BadMessage, Data, Derived, Encryption, Header, Message, NotSealed, Sealed,
    Status, WrongKey, ci, message, mode_7_derivation,
};
pub use qualifier::{Bound, Qualifier, RecordError};
pub use record::{Fault, Function, Item, Malformed, Record, Records, Scaled};
pub use value::{Date, DateTime, Invalid, Order, Text, Time, Value};

//! DL/T 698.45: the object-oriented protocol of the State Grid's meters and terminals.
//!
//! [`Frame`] is the link layer, [`Fragment`] and [`Assembly`] what is cut into several frames,
//! [`Apdu`] what is said, [`Data`] the values in it. Requests are written by [`Question`].
//!
//! Invariant: what is decoded without complaint was whole, and every count was bounded by the
//! bytes.
//!
//! Not here: which object holds what (a driver), keys and the security module's commands: a wrapped
//! APDU is handed out as it stands.
//!
//! Source: DL/T 698.45-2017; clauses and appendices are named where a number is taken from one.
//!
//! ```
//! use polymeter_codec::Decoded;
//! use polymeter_codec::dlt698::{Apdu, Ask, Body, Get, Oad, Question, ServerAddress, decode};
//!
//! // Who is there? The address of the meter (40010200), of whoever hears it.
//! let question = Question { piid: 0x25, ask: Ask::Get(Oad(0x4001_0200)) };
//! let mut bytes = [0; 64];
//! let length = question.frame(ServerAddress::ANY, 0, &mut bytes)?;
//! let Decoded::Frame { frame, .. } = decode(&bytes[..length]) else { panic!("whole") };
//! let Body::Get(Get::One(asked)) = Apdu::decode(frame.apdu)?.body else { panic!("a question") };
//! assert_eq!(asked.to_string(), "40010200");
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```

mod address;
mod apdu;
mod data;
mod fragment;
mod link;
mod question;
mod record;
mod service;
mod write;

pub use address::{AddressKind, ServerAddress};
pub use apdu::{
    Apdu, Authentication, Body, ConnectRequest, ConnectResponse, Limits, LinkRequest, LinkResponse,
    Protected, Protection, Report, Secured, TimeTag,
};
pub use data::{Data, Date, DateTime, Region, Time};
pub use fragment::{Assembly, Fragment, OutOfOrder, Place, Progress};
pub use link::{Control, FRAME_BYTES_MAX, Frame, decode, false_start};
pub use question::{Ask, Question, Term};
pub use record::{
    Column, Condition, Meters, Number, Octets, RecordRequest, RecordResult, Rows, Selector, Span,
};
pub use service::{
    Access, AccessThenGet, ActionResult, Change, Changed, Get, GetResult, Got, Oad, Part,
    SetResult, ThenGot, Value,
};

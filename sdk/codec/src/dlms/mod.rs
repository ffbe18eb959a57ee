//! DLMS/COSEM: what is said in HDLC frames or behind the TCP wrapper (IEC 62056-5-3, Green Book 8).
//!
//! [`Apdu`] is one message, [`acse`] opens and closes an association, [`Data`] are the values,
//! [`wrapper`] carries APDUs over TCP, [`Ciphered`] is an APDU under a key.
//!
//! Invariant: what is decoded without complaint was whole, every count was bounded by the bytes,
//! and a compact array by a short description too.
//!
//! Not here: keys. The bytes of nonce and associated data are made here; AES-GCM is the vault's,
//! and so is the counter that must only grow (whoever keeps it, ADR 0033).
//!
//! ```
//! use polymeter_codec::Obis;
//! use polymeter_codec::dlms::{Apdu, Attribute, Data, GetResponse, GetResult, Request};
//!
//! let energy = Attribute { class: 3, object: Obis([1, 0, 1, 8, 0, 255]), attribute: 2 };
//! let mut bytes = [0; 32];
//! let length = Request::Get(0xC1, energy).encode(&mut bytes)?;
//! assert_eq!(bytes[..length], *b"\xC0\x01\xC1\x00\x03\x01\x00\x01\x08\x00\xFF\x02\x00");
//!
//! let answer = Apdu::decode(&[0xC4, 0x01, 0xC1, 0x00, 0x06, 0x00, 0x00, 0x13, 0x91])?;
//! let Apdu::GetResponse(GetResponse::One { result, .. }) = answer else { panic!("a value") };
//! assert_eq!(result, GetResult::Data(Data::Unsigned { value: 5009, bytes: 4 }));
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```

pub mod acse;
mod apdu;
mod cipher;
mod compact;
mod data;
mod request;
mod service;
pub mod wrapper;

pub use apdu::{Apdu, Notification};
pub use cipher::{Ciphered, SecurityControl, nonce};
pub use compact::{CompactArray, DESCRIPTION_BYTES_MAX};
pub use data::Data;
pub use request::{Request, entries, range};
pub use service::{
    ActionRequest, ActionResponse, ActionResult, Attribute, Block, GetRequest, GetResponse,
    GetResult, Method, Selected, SetRequest, SetResponse,
};

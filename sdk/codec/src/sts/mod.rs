//! STS tokens (IEC 62055-41): twenty digits that carry credit, or an order, into a payment meter.
//!
//! A [`Token`] is 66 bits: a class of two, and a block of 64 that is encrypted under the meter's
//! decoder key in classes 0 and 2. [`Content`] is what the clear block says. Between the two stand
//! the ciphers: [`sta`] (EA07, with tables that come from outside) and [`misty1`] (EA11).
//! [`decoder_key`] has the records from which a decoder key is derived, and its sections in key
//! change tokens. [`TokenId`] numbers a meter's tokens by the minute.
//!
//! Invariant: a clear block is believed only if its CRC is right, and every content reads back from
//! the block it was written to. Neither digits nor keys appear in `Debug`.
//!
//! Not here: DES and HMAC of the derivation and where vending keys live (a vault, ADR 0032); which
//! token identifiers a meter was given already (whoever issues tokens).
//!
//! Source: IEC 62055-41:2018; clauses are named where a number is taken from one.
//!
//! ```
//! use polymeter_codec::sts::misty1::Misty1;
//! use polymeter_codec::sts::{Amount, BaseDate, Content, Credit, Issued, Service, Token};
//!
//! // 25.6 kWh, issued on 1 March 2004 at 13:00, base date 1993.
//! let issued = Issued { year: 2004, month: 3, day: 1, hour: 13, minute: 0 };
//! let content = Content::Credit(Credit {
//!     service: Service::Electricity,
//!     random: 5,
//!     id: BaseDate::Y1993.token_id(issued)?,
//!     amount: Amount::at_least(256).expect("not too much"),
//! });
//! let key = Misty1::new(&[0x42; 16]);
//! let token = Token::new(content.class(), key.encrypt(content.block()?));
//! let typed = token.digits();
//!
//! let keyed = Token::from_digits(typed.as_str())?;
//! assert_eq!(Content::of(keyed.class(), key.decrypt(keyed.block()))?, content);
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```

mod amount;
mod content;
pub mod decoder_key;
pub mod misty1;
mod misty1_tables;
pub mod sta;
mod token;
mod token_id;

pub use amount::{Amount, CurrencyAmount};
pub use content::{Content, Credit, CurrencyCredit, Engineering, NotAContent, Order, Service};
pub use content::{KeySection, Test};
pub use token::{Class, Digits, NotAToken, Token};
pub use token_id::{BaseDate, Issued, NotATokenId, TokenId};

//! What drivers of memory cards with a layout of their own share: the acts on such a card and the looks
//! at it, over a state that counts.
//!
//! A vendor's driver says what its card is ([`Cards`], [`Card`]): how its state is read, proved, and
//! written so that a card which is pulled at any byte holds the old state whole or the new one. What
//! is made of an order, what is refused, and what is told of an act stands here once.
//!
//! Invariant: all that is refused is refused before a code is presented, and what is told of an act is
//! what the card shows afterwards.
//!
//! Not here: bytes, codes, keys, and the order of writing (a driver).
#![deny(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unreachable,
    clippy::unwrap_used,
    missing_docs
)]

mod acts;
mod arguments;
mod bytes;
mod look;
mod state;

pub use acts::{clear, make, open, replace, sell, take_back};
pub use arguments::{FEN_MAX, PRICE_MAX, carried_parameter, money_parameter};
pub use bytes::{field, filled, is_summed, letters, part, summed, word};
pub use look::{check, identify};
pub use state::{Back, BroughtHome, Card, Cards, Carried, Carries, Kind, Shape, State, newest};

/// Implements [`polymeter_driver::CardDriver`] for a type that implements [`Cards`], by the functions of
/// this crate; `describe` is a function of the driver's.
#[macro_export]
macro_rules! card_driver {
    ($driver:ident, $describe:path) => {
        impl $crate::driver::CardDriver for $driver {
            fn describe() -> $crate::driver::Description {
                $describe()
            }
            fn identify(
                host: &mut dyn $crate::driver::Host,
                _: &$crate::driver::Call,
            ) -> Result<Option<$crate::driver::CardIdentity>, $crate::driver::DriverError> {
                $crate::identify::<$driver>(host)
            }
            fn check(
                host: &mut dyn $crate::driver::Host,
                _: &$crate::driver::Call,
            ) -> Result<$crate::driver::CardContents, $crate::driver::DriverError> {
                $crate::check::<$driver>(host)
            }
            fn clear(
                host: &mut dyn $crate::driver::Host,
                call: &$crate::driver::Call,
            ) -> Result<$crate::driver::SellOutcome, $crate::driver::DriverError> {
                $crate::clear::<$driver>(host, call)
            }
            $crate::card_driver!(@ $driver, open, sell, replace, take_back, make);
        }
    };
    (@ $driver:ident, $($act:ident),+) => {
        $(
            fn $act(
                host: &mut dyn $crate::driver::Host,
                call: &$crate::driver::Call,
                order: &$crate::driver::CardOrder,
            ) -> Result<$crate::driver::SellOutcome, $crate::driver::DriverError> {
                $crate::$act::<$driver>(host, call, order)
            }
        )+
    };
}

#[doc(hidden)]
pub use polymeter_driver as driver;

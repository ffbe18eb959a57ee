//! A driver from the time of contract 1.0.0: built against the frozen folder `wit/1.0.0` by wit-bindgen
//! alone, without our SDK, as a vendor's driver of years ago would be. It reads and sells to the users
//! of an Acrel ADF400L box.
//!
//! Invariant: nobody changes it to make it work again. That it goes on working as it is, is what it is
//! for; where it does not, the host broke its promise (docs/contract.md).
//! Not here: noise on the line and all else that a driver for the field must stand.

#[cfg(target_arch = "wasm32")]
#[allow(unsafe_code, reason = "the generated bindings cross the sandbox by raw functions")]
mod driver;

//! The driver package, a `.pmdriver` file: read, checked, made and signed.
//!
//! A package is an uncompressed tar in one canonical spelling. Its members, in this order:
//! `contents` (what `sha256sum` prints of all that follow), `contents.minisig` (the vendor's minisign
//! signature of it; absent: unsigned), `contents.operator.minisig` (the operator's counter-signature,
//! optional), `driver.toml`, `driver.wasm`, `README.md`, `transcripts/{broken,ok,refused}/*.transcript`
//! and `licences/*`. A person can check one with tar, sha256sum and minisign alone.
//!
//! Invariant: no byte of a package is free; nothing in it is interpreted before its signature was
//! judged; what is too large is not read. Not here: compiling or running the component (runtime),
//! which keys an admin pins (server), building one (sdk).

mod contents;
mod error;
mod keys;
pub mod limits;
mod manifest;
mod member;
mod package;
pub mod problem;
mod tar;
mod trust;

#[cfg(test)]
mod tests;

pub use error::{Flaw, PackageError, Role};
pub use keys::{BadKey, KeyId, PublicKey, SecretKey};
pub use manifest::{DeviceError, Manifest, Meaning, Parameter, ParameterKind, Proof, Vendor};
pub use member::Ending;
pub use package::{Digest, Licence, Package, Parts, Sealed, SignError, Transcript};
pub use problem::{Problem, Problems};
pub use semver::Version;
pub use trust::{Trust, Verdict};

/// The extension of a package's file name.
pub const EXTENSION: &str = "pmdriver";

//! What `polymeter-sdk` does, as a library: making a driver project, building it into a component,
//! trying it, packing it and signing the package.
//!
//! Not here: arguments of the command line (main), the form of packages and keys
//! (`polymeter_package`).
//!
//! ```no_run
//! use polymeter_package::Role;
//! use polymeter_sdk::{Example, Language, build, keys, new, pack};
//! use std::path::Path;
//!
//! let project = new(Path::new("."), "acme", Example::Meters(Language::Rust), None)?;
//! let out_dir = project.join("target/drivers");
//! build(&project, &out_dir)?;
//! let package = pack(&project, &out_dir)?;
//! keys::generate(Path::new("acme"), None)?;
//! let key = keys::read(Path::new("acme.key"), || anyhow::bail!("it has no password"))?;
//! keys::sign(&package, Role::Vendor, &key)?;
//! # Ok::<(), anyhow::Error>(())
//! ```

#![deny(missing_docs)]

mod build;
#[cfg(feature = "certify")]
mod certify;
pub mod contract;
mod face;
pub mod keys;
mod licences;
mod new;
mod pack;
mod project;

pub use build::{LICENCES, TARGET, build, build_with, encode};
#[cfg(feature = "certify")]
pub use certify::{certify, test};
pub use new::{Example, new};
pub use pack::pack;
#[cfg(feature = "certify")]
pub use polymeter_certify::{Choice, Report};
pub use project::{Language, Project};

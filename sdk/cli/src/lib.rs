//! What `polymeter-sdk` does, as a library: making a driver project, building it into a component,
//! trying it, packing it and signing the package.
//!
//! Not here: arguments of the command line (main), the form of packages and keys
//! (`polymeter_package`).

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
pub use new::new;
pub use pack::pack;
#[cfg(feature = "certify")]
pub use polymeter_certify::{Choice, Report};
pub use project::{Language, Project};

//! What `polymeter-sdk` does, as a library: making a driver project, building it into a
//! component, trying it.
//!
//! Not here: arguments of the command line (main).

mod build;
#[cfg(feature = "certify")]
mod certify;
pub mod contract;
mod face;
mod new;
mod project;

pub use build::{LICENCES, TARGET, build, build_with, encode};
#[cfg(feature = "certify")]
pub use certify::{certify, test};
pub use new::new;
#[cfg(feature = "certify")]
pub use polymeter_certify::{Choice, Report};
pub use project::{Language, Project};

//! The smallest program that can be a library's worker; the tests of this crate start it. The product
//! starts itself.

use std::process::ExitCode;

fn main() -> ExitCode {
    polymeter_native::native_worker(std::env::args_os()).unwrap_or_else(|| {
        eprintln!("this program is started by the tests of polymeter-native");
        ExitCode::FAILURE
    })
}

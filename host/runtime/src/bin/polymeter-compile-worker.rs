//! The smallest program that can be a compile worker or a library's; the tests of this crate start it. The product
//! starts itself.

use std::process::ExitCode;

fn main() -> ExitCode {
    let native = || polymeter_runtime::native_worker(std::env::args_os());
    polymeter_runtime::compile_worker(std::env::args_os()).or_else(native).unwrap_or_else(|| {
        eprintln!("this program is started by the tests of polymeter-runtime");
        ExitCode::FAILURE
    })
}

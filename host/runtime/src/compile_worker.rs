//! The process that compiles one component and ends: started by `compile`, never by a person.
//!
//! Invariant: it gives up address space, CPU, files and core dumps before it reads the first byte
//! of what may be made to break a compiler, and it has no environment and no folder of its own.
//! Not here: who starts it and what is thought of its answer (compile).
//!
//! It reads the component from its input. It writes a mark, the engine's compatibility hash, the
//! code's length and SHA-256, and the code; or one sentence to its error output and ends with
//! [`MISFIT`].

use crate::engines;
use crate::limits::COMPONENT_BYTES_MOST;
use nix::sys::resource::{Resource, setrlimit};
use sha2::{Digest, Sha256};
use std::ffi::OsString;
use std::io::{Read, Write};
use std::process::ExitCode;

/// The hidden first argument; after it stand bytes of address space and seconds of CPU.
pub(crate) const COMMAND: &str = "compile-worker";
/// The exit code for a component that cannot be compiled, as opposed to a compiler that broke.
pub(crate) const MISFIT: u8 = 3;
const USAGE: u8 = 2;

pub(crate) const MARK: &[u8; 16] = b"polymeter-made-1";
pub(crate) const HEAD: usize = 16 + 32 + 8 + 32;

/// Runs this process as a compiler if its arguments, the program's name first, say so. To be asked
/// before anything else is done in `main`.
pub fn compile_worker(arguments: impl IntoIterator<Item = OsString>) -> Option<ExitCode> {
    let mut arguments = arguments.into_iter().skip(1);
    if arguments.next()? != COMMAND {
        return None;
    }
    let mut number = || arguments.next()?.to_str()?.parse::<u64>().ok();
    let (Some(memory_bytes), Some(cpu_seconds)) = (number(), number()) else {
        eprintln!("{COMMAND} is started by polymeter itself");
        return Some(ExitCode::from(USAGE));
    };
    let ended = give_up(memory_bytes, cpu_seconds).and_then(|()| compile());
    Some(match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(sentence) => {
            eprintln!("{sentence}");
            ExitCode::from(MISFIT)
        }
    })
}

fn give_up(memory_bytes: u64, cpu_seconds: u64) -> Result<(), String> {
    for (resource, soft, hard) in [
        (Resource::RLIMIT_CORE, 0, 0),
        (Resource::RLIMIT_FSIZE, 0, 0),
        (Resource::RLIMIT_NOFILE, 32, 32),
        (Resource::RLIMIT_AS, memory_bytes, memory_bytes),
        // The first asks (and by default ends the process), the second kills.
        (Resource::RLIMIT_CPU, cpu_seconds, cpu_seconds.saturating_add(1)),
    ] {
        setrlimit(resource, soft, hard)
            .map_err(|error| format!("{resource:?} cannot be set to {soft}: {error}"))?;
    }
    Ok(())
}

fn compile() -> Result<(), String> {
    let mut component = Vec::new();
    let most = COMPONENT_BYTES_MOST as u64;
    std::io::stdin()
        .lock()
        .take(most)
        .read_to_end(&mut component)
        .map_err(|error| format!("its input ended early: {error}"))?;
    let engine = engines::compiling().map_err(|error| format!("no engine: {error:#}"))?;
    let code = engine.precompile_component(&component).map_err(|error| format!("{error:#}"))?;
    let mut out = std::io::stdout().lock();
    let mut write = |bytes: &[u8]| {
        out.write_all(bytes).map_err(|error| format!("its output was not read: {error}"))
    };
    write(MARK)?;
    write(&engines::compatibility(&engine))?;
    write(&(code.len() as u64).to_le_bytes())?;
    write(&Sha256::digest(&code))?;
    write(&code)?;
    out.flush().map_err(|error| error.to_string())
}

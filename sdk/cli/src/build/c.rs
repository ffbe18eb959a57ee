//! Drivers in C: bindings by `wit-bindgen c` in process, Debian's clang and wasi-libc, then the
//! component encoding.
//!
//! Invariant: the driver is linked with an empty WASI of ours (`c/no_wasi.c`), so that stdio's
//! formatting works and nothing is imported; a libc function that needs a real one does not build.

use super::{Project, encode, files, run, wit};
use anyhow::{Context, Result, ensure};
use std::path::{Path, PathBuf};
use std::process::Command;
use wit_bindgen_core::Files;
use wit_parser::Resolve;

const CLANG: &str = "clang-19";
const INSTALL: &str = "drivers in C need Debian's packages clang-19, lld-19, \
                       libclang-rt-19-dev-wasm32 and wasi-libc: \
                       apt-get install clang-19 lld-19 libclang-rt-19-dev-wasm32 wasi-libc";
/// What a driver's own code is held to; what was generated is not.
const STRICT: &[&str] = &["-Wall", "-Wextra", "-Wno-unused-parameter", "-Werror"];
/// Small is fast to compile and to load; names are kept, so that a trap says where.
const COMMON: &[&str] = &["--target=wasm32-wasi", "-std=c17", "-Os", "-ffunction-sections"];
/// The stack lies first in memory, so that running out of it is a trap and not another's data.
const LINK: &[&str] = &[
    "--target=wasm32-wasi",
    "-mexec-model=reactor",
    "-Wl,-z,stack-size=65536",
    "-Wl,--stack-first",
    "-Wl,--gc-sections",
    "-Wl,--strip-debug",
];
/// Debian's packages whose code is in the component, and what each says of its licence.
const LINKED: [&str; 2] = ["wasi-libc", "libclang-rt-19-dev-wasm32"];
/// The SDK's own, written beside the bindings.
const SDK: &[(&str, &str)] = &[
    ("polymeter.h", include_str!("c/polymeter.h")),
    ("polymeter.c", include_str!("c/polymeter.c")),
    ("no_wasi.c", include_str!("c/no_wasi.c")),
];

pub fn build(project: &Project) -> Result<Vec<u8>> {
    bindings(project)?;
    let include = format!("-I{}", project.scratch.display());
    let sources = files(&project.source(), "c")?;
    ensure!(!sources.is_empty(), "there is no .c file below {}", project.source().display());
    let mut objects = Vec::new();
    let own = sources.into_iter().map(|source| (source, true));
    let generated = files(&project.scratch, "c")?.into_iter().map(|source| (source, false));
    for (index, (source, is_own)) in own.chain(generated).enumerate() {
        let object = project.scratch.join(format!("{index}.o"));
        let mut clang = Command::new(CLANG);
        clang.args(COMMON).arg(&include).arg("-c").arg(&source).arg("-o").arg(&object);
        if is_own {
            clang.args(STRICT).args(&project.wanted.build.flags);
        }
        run(&mut clang, INSTALL)?;
        objects.push(object);
    }
    let module = project.scratch.join("driver.wasm");
    let component_type = project.scratch.join("meter_driver_component_type.o");
    run(
        Command::new(CLANG).args(LINK).args(&objects).arg(component_type).arg("-o").arg(&module),
        INSTALL,
    )
    .map_err(explained)?;
    licences(project)?;
    let bytes = std::fs::read(&module).with_context(|| format!("reading {}", module.display()))?;
    encode(&bytes).map_err(foreign)
}

fn licences(project: &Project) -> Result<()> {
    for package in LINKED {
        let path = Path::new("/usr/share/doc").join(package).join("copyright");
        // A Debian without documentation has none; the package's name then stands for it.
        let text = std::fs::read_to_string(&path).unwrap_or_else(|_| {
            format!("{package} of Debian; its copyright file was not there.\n")
        });
        project.scratch_file(&format!("licences/{package}--copyright"), text.as_bytes())?;
    }
    Ok(())
}

/// `meter_driver.{h,c}` and the object that carries the world's type.
fn bindings(project: &Project) -> Result<()> {
    let folder: PathBuf = wit::with_all_imports(project)?;
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(&folder)?;
    let world = resolve.select_world(&[package], Some(wit::WORLD))?;
    let mut generated = Files::default();
    wit_bindgen_c::Opts::default().build().generate(&mut resolve, world, &mut generated)?;
    for (name, content) in generated.iter() {
        project.scratch_file(name, content)?;
    }
    for (name, text) in SDK {
        project.scratch_file(name, text.as_bytes())?;
    }
    Ok(())
}

/// What a linker says that finds no libc, in words that help.
fn explained(error: anyhow::Error) -> anyhow::Error {
    let said = error.to_string();
    let missing = ["cannot open crt1", "unable to find library -lc", "libclang_rt.builtins"];
    if missing.iter().any(|part| said.contains(part)) || said.contains("invalid linker name") {
        return error.context(INSTALL);
    }
    if said.contains("undefined symbol: exports_polymeter_driver_") {
        return error.context(
            "a verb of the contract is missing: every function `exports_polymeter_driver_..` of \
             target/build/meter_driver.h must be written, if only to say code 9 (PM_UNSUPPORTED)",
        );
    }
    error
}

/// An import that is not the contract's: libc's way to the world.
fn foreign(error: anyhow::Error) -> anyhow::Error {
    let said = format!("{error:#}");
    let function = said.split("wasi_snapshot_preview1::").nth(1).map(|rest| {
        rest.chars().take_while(|letter| *letter == '_' || letter.is_ascii_alphanumeric()).collect()
    });
    let Some(function): Option<String> = function else { return error };
    anyhow::anyhow!(
        "the driver uses a function of libc that needs {function} of the system, and a driver has no \
         system: no clock, file, randomness, environment or exit. Time and a nonce come with every \
         call, randomness from the vault"
    )
}

#[cfg(test)]
mod tests;

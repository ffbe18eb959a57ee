//! Fetches the web page's npm packages into `OUT_DIR`, pinned by the lock file, for `assets.rs` to
//! embed.
//!
//! Invariant: nothing is written beside the sources, no install script runs, and the lock's hashes
//! decide.
//! Not here: which files are served and how (src/assets.rs).

use std::path::Path;
use std::process::Command;

/// The whole input of `npm ci`.
const INPUTS: [&str; 3] = ["package.json", "package-lock.json", ".npmrc"];

fn main() {
    println!("cargo::rerun-if-changed=templates");
    println!("cargo::rerun-if-changed=assets");
    if let Err(sentence) = install() {
        println!("cargo::error={sentence}");
        std::process::exit(1);
    }
}

fn install() -> Result<(), String> {
    let source = Path::new("assets");
    let out = std::env::var_os("OUT_DIR").ok_or("OUT_DIR is not set; build with cargo")?;
    let out = Path::new(&out).join("assets");
    let stamp = out.join("installed");
    let mut wanted = Vec::new();
    for input in INPUTS {
        let path = source.join(input);
        wanted.extend(std::fs::read(&path).map_err(|e| format!("reading {path:?}: {e}"))?);
    }
    if std::fs::read(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    std::fs::create_dir_all(&out).map_err(|e| format!("creating {out:?}: {e}"))?;
    for input in INPUTS {
        std::fs::copy(source.join(input), out.join(input))
            .map_err(|e| format!("copying {input} to {out:?}: {e}"))?;
    }
    let npm = if cfg!(windows) { "npm.cmd" } else { "npm" };
    let output = Command::new(npm)
        .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"])
        .current_dir(&out)
        .output()
        .map_err(|e| {
            format!(
                "npm did not start ({e}): install Node.js with npm, which fetches the page's packages"
            )
        })?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).replace('\n', " | ");
        return Err(format!("npm ci in {} failed: {said}", out.display()));
    }
    std::fs::write(&stamp, wanted).map_err(|e| format!("writing {stamp:?}: {e}"))
}

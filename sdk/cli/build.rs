//! Puts the finished examples below `vendor-examples/` into the program, so that `new` writes what is
//! known to work. A file that is new there is taken along by itself.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Folders by what `new` calls them, behind `acme-`.
const EXAMPLES: [&str; 4] = ["rust", "c", "python", "card"];
/// What a build or an editor leaves behind; no part of an example.
const SKIPPED: [&str; 5] = ["target", "build", "Cargo.lock", "__pycache__", "node_modules"];

fn main() -> std::io::Result<()> {
    let here = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from).unwrap_or_default();
    let examples = here.join("../../vendor-examples");
    let mut table = "const FILES: &[(&str, &str, &[u8])] = &[\n".to_owned();
    for name in EXAMPLES {
        let root = examples.join(format!("acme-{name}"));
        println!("cargo::rerun-if-changed={}", root.display());
        let mut files = Vec::new();
        if root.is_dir() {
            walk(&root, &mut files)?;
        }
        files.sort();
        for file in files {
            let path = file.strip_prefix(&root).unwrap_or(&file).display();
            // Writing into a String cannot fail.
            let _ = writeln!(
                table,
                "    ({name:?}, {:?}, include_bytes!({:?})),",
                path.to_string(),
                file.display().to_string()
            );
        }
    }
    table += "];\n";
    let out = std::env::var_os("OUT_DIR").map(PathBuf::from).unwrap_or_default();
    std::fs::write(out.join("examples.rs"), table)
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    println!("cargo::rerun-if-changed={}", folder.display());
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if SKIPPED.contains(&name.as_str()) || (name.starts_with('.') && name != ".gitignore") {
            continue;
        }
        if path.is_dir() {
            walk(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}

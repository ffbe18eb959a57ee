//! From a driver's folder to its package: `driver.toml`, component, README, transcripts, licences.
//!
//! Invariant: the same folder and component give the same bytes. Not here: the form of a package
//! (`polymeter_package`), signatures (keys).

use crate::{face, licences};
use anyhow::{Context, Result};
use polymeter_package::{EXTENSION, Ending, Parts, Sealed, Transcript};
use std::path::{Path, PathBuf};

/// The file name's end of a transcript.
const TRANSCRIPT: &str = "transcript";

/// Packs the driver in `project`, whose component `build` put into `out_dir`, and writes it there,
/// unsigned. Returns the file.
pub fn pack(project: &Path, out_dir: &Path) -> Result<PathBuf> {
    let face_path = project.join("driver.toml");
    let manifest = face::read(&face_path)?;
    let component_path = out_dir.join(format!("{}.wasm", manifest.name));
    let component = std::fs::read(&component_path).with_context(|| {
        format!("reading {}; polymeter-sdk build makes it", component_path.display())
    })?;
    face::check(&face_path, &component)?;
    let parts = Parts {
        manifest: text(&face_path)?,
        component,
        readme: text(&project.join("README.md"))?,
        transcripts: transcripts(&project.join("transcripts"))?,
        licences: licences::gather(project)?,
    };
    let file = out_dir.join(format!("{}.{EXTENSION}", manifest.name));
    let sealed = Sealed::pack(&file.display().to_string(), parts)?;
    sealed.write_file(&file).with_context(|| format!("writing {}", file.display()))?;
    Ok(file)
}

fn text(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))
}

/// Those of the three folders; a folder that is missing has none.
fn transcripts(folder: &Path) -> Result<Vec<Transcript>> {
    let mut found = Vec::new();
    for ending in Ending::ALL {
        for path in files(&folder.join(ending.folder()))? {
            if path.extension().is_some_and(|extension| extension == TRANSCRIPT) {
                let name = path.file_stem().and_then(|name| name.to_str());
                let name = name.with_context(|| format!("the name of {}", path.display()))?;
                found.push(Transcript { ending, name: name.to_owned(), text: text(&path)? });
            }
        }
    }
    Ok(found)
}

/// The files of a folder, sorted; none where there is no such folder.
pub(crate) fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    if folder.is_dir() {
        let entries =
            std::fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))?;
        for entry in entries {
            let path = entry?.path();
            if path.is_file() {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

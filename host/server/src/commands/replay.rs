//! `replay FILE`: a transcript played against a driver, in its sandbox.
//!
//! Exit codes: 0 identical, 1 another driver answer, 2 a file that cannot be played.

use super::Failure;
use super::decode::find;
use crate::app;
use crate::config::Config;
use crate::drivers;
use polymeter_package::Sealed;
use polymeter_runtime::transcript::Transcript;
use polymeter_runtime::{Driver, replay};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A longer file is no transcript.
const FILE_BYTES: u64 = 4 << 20;

pub async fn run(
    config: &Path,
    file: &Path,
    driver: Option<&str>,
    folder: Option<PathBuf>,
) -> Result<(), Failure> {
    let shown = file.display();
    let unusable = |error: &dyn std::fmt::Display| Failure::Usage(format!("{shown}: {error}"));
    let length = std::fs::metadata(file).map_err(|error| unusable(&error))?.len();
    if length > FILE_BYTES {
        return Err(unusable(&format!("{length} bytes are too many for a transcript")));
    }
    let text = std::fs::read_to_string(file).map_err(|error| unusable(&error))?;
    let transcript = Transcript::parse(&shown.to_string(), &text)
        .map_err(|error| Failure::Usage(error.to_string()))?;
    let recorded = transcript.driver.as_deref().and_then(|driver| driver.split(' ').next());
    let Some(name) = driver.or(recorded) else {
        return Err(unusable(&"no `driver:` in it says whose call it is: name one with --driver"));
    };
    let driver = load(config, folder, name).await?;
    match replay(&driver, &transcript).await {
        Ok(()) => {
            let version = &driver.description().version;
            println!("identical: {shown} against {} {version}", driver.name());
            Ok(())
        }
        Err(difference) => Err(Failure::Wrong(difference.to_string())),
    }
}

/// With its keys where the configuration has it, so that masked steps can be played too.
async fn load(config: &Path, folder: Option<PathBuf>, name: &str) -> Result<Arc<Driver>, Failure> {
    if folder.is_none() && config.is_file() {
        let config = Config::read(config)?;
        if let Some(entry) = config.drivers.iter().find(|entry| entry.config.name == name) {
            let runtime = app::runtime(&config)?;
            let loaded = drivers::of_entry(&runtime, entry).await;
            return loaded.map_err(|what| Failure::Wrong(format!("{name} is refused: {what}")));
        }
    }
    let file = Path::new(name);
    let file = if file.is_file() { file.to_owned() } else { find(config, folder, name)? };
    let package = Sealed::read_file(&file)?.open_unchecked()?;
    Ok(app::load_unconfigured(&package, None).await?)
}

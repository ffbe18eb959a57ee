//! `decode --driver NAME HEX...`: captured bytes explained by the driver that would have sent them.
//!
//! Invariant: needs no configuration, no line and no key; the driver is granted nothing that acts, so
//! nobody asks who signed it.

use super::{Failure, print_json};
use crate::api::values::{self, DeviceValue, MeasurementJson};
use crate::app;
use crate::config::Config;
use polymeter_package::{EXTENSION, Sealed};
use polymeter_runtime::Explanation;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A captured frame, explained.
#[derive(Debug, Serialize)]
struct Explained {
    driver: String,
    address: String,
    measurements: Vec<MeasurementJson>,
    extras: BTreeMap<String, DeviceValue>,
}

impl Explained {
    fn new(driver: &str, explanation: &Explanation) -> Explained {
        Explained {
            driver: driver.to_owned(),
            address: explanation.address.clone(),
            measurements: explanation.measurements.iter().map(MeasurementJson::from).collect(),
            extras: values::extras(&explanation.extras),
        }
    }
}

/// `folder` is where packages lie when no configuration names the driver.
pub async fn run(
    config: &Path,
    folder: Option<PathBuf>,
    name: &str,
    words: &[String],
) -> Result<(), Failure> {
    let frame = bytes(words)?;
    let file = find(config, folder, name)?;
    let package = Sealed::read_file(&file)?.open_unchecked()?;
    let driver = app::load_unconfigured(&package, None).await?;
    let explanation = driver.decode(&frame).await?;
    print_json(&Explained::new(name, &explanation))
}

/// "FE FE 68", "FEFE68" or "fe,fe" as bytes.
fn bytes(words: &[String]) -> Result<Vec<u8>, Failure> {
    let digits: String =
        words.concat().chars().filter(|sign| !sign.is_whitespace() && *sign != ',').collect();
    match hex::decode(&digits) {
        Ok(frame) if !frame.is_empty() => Ok(frame),
        Ok(_) => Err(Failure::Usage("no bytes were given".to_owned())),
        Err(error) => Err(Failure::Usage(format!(
            "the frame is not hexadecimal bytes such as FE 68: {error}"
        ))),
    }
}

/// The package of a configured driver, else NAME.pmdriver in the folder of drivers.
pub(super) fn find(config: &Path, folder: Option<PathBuf>, name: &str) -> Result<PathBuf, Failure> {
    if folder.is_none() && config.is_file() {
        let config = Config::read(config)?;
        if let Some(entry) = config.drivers.iter().find(|entry| entry.config.name == name) {
            let package = entry.source.package().ok_or_else(|| {
                Failure::Usage(format!("`{name}` is a native library, which explains no frames"))
            })?;
            return Ok(package.to_owned());
        }
    }
    let plain = !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    if !plain {
        return Err(Failure::Usage(format!("`{name}` is not the name of a driver")));
    }
    let folder = folder.unwrap_or_else(default_folder);
    let package = folder.join(format!("{name}.{EXTENSION}"));
    if package.is_file() {
        return Ok(package);
    }
    let known = known_in(&folder);
    let known = if known.is_empty() { "no drivers".to_owned() } else { known.join(", ") };
    Err(Failure::Usage(format!(
        "no driver `{name}`: {} has {known}; name another folder with --drivers",
        folder.display()
    )))
}

/// `../drivers` beside the binary, which is where a cargo build puts them.
pub fn default_folder() -> PathBuf {
    let binary = std::env::current_exe().unwrap_or_default();
    let folder = binary.parent().and_then(Path::parent).unwrap_or(Path::new("."));
    folder.join("drivers")
}

fn known_in(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == EXTENSION))
        .filter_map(|path| path.file_stem().map(|stem| stem.to_string_lossy().into_owned()))
        .collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(words: &[&str], expected: Result<&[u8], &str>) {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        let given = bytes(&words).map_err(|failure| failure.to_string());
        assert_eq!(given.as_deref().map_err(String::as_str), expected);
    }

    #[test]
    fn hexadecimal_comes_in_any_spacing() {
        check(&["FE", "fe", "68"], Ok(&[0xFE, 0xFE, 0x68]));
        check(&["FE fe,68"], Ok(&[0xFE, 0xFE, 0x68]));
        check(
            &["FEF"],
            Err("the frame is not hexadecimal bytes such as FE 68: Odd number of digits"),
        );
        check(
            &["GG"],
            Err("the frame is not hexadecimal bytes such as FE 68: Invalid character 'G' at \
                 position 0"),
        );
        check(&[" "], Err("no bytes were given"));
    }
}

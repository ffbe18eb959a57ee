//! What can be told from the files alone: driver.toml against the driver's own description, and the
//! transcripts that must lie beside it.

use crate::case::Case;
use polymeter_package::{Manifest, Proof};
use polymeter_runtime::{Abilities, Description, Driver};
use std::collections::BTreeSet;
use std::path::Path;

/// The folders of a project's transcripts.
const ENDINGS: [&str; 3] = ["ok", "refused", "broken"];
/// Functions that a device can refuse.
const ACTS: [&str; 7] =
    ["open", "sell", "refund", "clear", "control", "set-parameters", "set-clock"];

fn case(name: &str, complaints: Vec<String>) -> Case {
    Case {
        name: name.to_owned(),
        passed: complaints.is_empty(),
        said: String::new(),
        truth: String::new(),
        complaints,
    }
}

/// `describe` says what driver.toml says.
pub fn description(manifest: &Manifest, driver: &Driver) -> Case {
    let described = driver.description();
    let mut wrong = Vec::new();
    let mut compare = |what: &str, told: String, written: String| {
        if told != written {
            wrong.push(format!("{what}: describe says {told}, driver.toml {written}"));
        }
    };
    let vendors: Vec<&str> = manifest.vendors.iter().map(|it| it.code.as_str()).collect();
    let one_of_them = if manifest.is_for(&described.vendor_code) {
        described.vendor_code.to_string()
    } else {
        vendors.join(" or ")
    };
    compare("vendor", described.vendor_code.to_string(), one_of_them);
    compare("version", described.version.clone(), manifest.version.to_string());
    compare("models", format!("{:?}", described.models), format!("{:?}", manifest.models));
    compare("proof", format!("{:?}", proof(described)), format!("{:?}", manifest.proof));
    compare("purse", format!("{:?}", described.purse), format!("{:?}", manifest.purse));
    compare("parameters", parameters_told(described), parameters_written(manifest));
    case("describe is what driver.toml says", wrong)
}

fn proof(description: &Description) -> Proof {
    match description.proof {
        polymeter_runtime::Proof::None => Proof::None,
        polymeter_runtime::Proof::PurchaseCount => Proof::PurchaseCount,
        polymeter_runtime::Proof::CreditRegister => Proof::CreditRegister,
        polymeter_runtime::Proof::PurchaseList => Proof::PurchaseList,
    }
}

fn parameters_told(description: &Description) -> String {
    let told = description.parameters.iter().map(|told| {
        let bounds = (told.minimum, told.maximum, &told.default);
        format!("{} {:?} {bounds:?} {}", told.name, told.unit, told.writable)
    });
    told.collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>().join("; ")
}

fn parameters_written(manifest: &Manifest) -> String {
    let written = manifest.parameters.iter().map(|written| {
        let bounds = (written.minimum, written.maximum, &written.default);
        format!("{} {:?} {bounds:?} {}", written.name, written.unit, written.writable)
    });
    written.collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>().join("; ")
}

/// The component imports what driver.toml names, and nothing else.
pub fn imports(manifest: &Manifest, driver: &Driver) -> Case {
    let short = |import: &String| {
        let rest = import.strip_prefix("polymeter:driver/")?;
        rest.split_once('@').map(|(name, _)| name.to_owned())
    };
    let found: BTreeSet<String> = driver.imports().iter().filter_map(short).collect();
    let found: BTreeSet<String> = found.into_iter().filter(|name| name != "types").collect();
    let wrong = (found != manifest.imports)
        .then(|| format!("it imports {found:?}, driver.toml says {:?}", manifest.imports));
    case("imports are what driver.toml says", wrong.into_iter().collect())
}

/// Every transcript of the project, by name, sorted.
pub fn files(folder: &Path) -> Result<Vec<(String, String)>, String> {
    let mut files = Vec::new();
    for ending in ENDINGS {
        let place = folder.join("transcripts").join(ending);
        let read = |error: std::io::Error| format!("{}: {error}", place.display());
        for entry in std::fs::read_dir(&place).map_err(read)? {
            let path = entry.map_err(read)?.path();
            if path.extension().is_some_and(|extension| extension == "transcript") {
                let text = std::fs::read_to_string(&path).map_err(read)?;
                files.push((path.display().to_string(), text));
            }
        }
    }
    files.sort();
    Ok(files)
}

/// The transcripts agree with the component.
pub async fn played(folder: &Path, driver: &Driver) -> Case {
    let wrong = match files(folder) {
        Err(problem) => vec![problem],
        Ok(files) => {
            let texts = files.iter().map(|(name, text)| (name.as_str(), text.as_str()));
            let played = polymeter_runtime::check_transcripts(driver, texts).await;
            let chain =
                |error: polymeter_runtime::LoadError| format!("{:#}", anyhow::Error::from(error));
            played.err().map(chain).into_iter().collect()
        }
    };
    case("transcripts in WASM", wrong)
}

/// Every function that the device can do has a transcript of each ending that it can have.
pub fn transcripts(folder: &Path, found: &crate::suite::Found, abilities: Abilities) -> Case {
    let mut wrong = Vec::new();
    let mut there: BTreeSet<(String, String)> = BTreeSet::new();
    for ending in ENDINGS {
        let place = folder.join("transcripts").join(ending);
        let Ok(entries) = std::fs::read_dir(&place) else {
            wrong.push(format!("{} is missing", place.display()));
            continue;
        };
        for path in entries.flatten().map(|entry| entry.path()) {
            if path.extension().is_some_and(|extension| extension == "transcript") {
                match function_of(&path) {
                    Ok(function) => {
                        there.insert((function, ending.to_owned()));
                    }
                    Err(problem) => wrong.push(problem),
                }
            }
        }
    }
    let has =
        |function: &str, ending: &str| there.contains(&(function.to_owned(), ending.to_owned()));
    let decode = abilities.frames.then_some("decode");
    let search = abilities.bus.then_some("search");
    let refund = abilities.refund.then_some("refund");
    let records = abilities.records.then_some("read-records");
    let clock = abilities.clock.then_some("set-clock");
    let token = abilities.token.then_some(["plan", "issue"]).into_iter().flatten();
    let probed =
        decode.into_iter().chain(search).chain(refund).chain(clock).chain(records).chain(token);
    for function in found.supported.iter().copied().chain(probed) {
        for ending in ENDINGS {
            let needed = ending != "refused" || ACTS.contains(&function);
            if needed && !has(function, ending) {
                wrong.push(format!("{function} has no transcript in transcripts/{ending}"));
            }
        }
    }
    for function in found.unsupported.difference(&found.supported) {
        if !ENDINGS.iter().any(|ending| has(function, ending)) {
            wrong.push(format!("{function} has no transcript that shows how it is declined"));
        }
    }
    case("transcripts for every function", wrong)
}

fn function_of(path: &Path) -> Result<String, String> {
    let place = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|error| format!("{place}: {error}"))?;
    let parsed = polymeter_transcript::Transcript::parse(&place, &text);
    let parsed = parsed.map_err(|error| error.to_string())?;
    Ok(parsed.request.function().name().to_owned())
}

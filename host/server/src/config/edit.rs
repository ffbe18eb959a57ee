//! Changes that a command makes in the configuration file: in place, everything else as a person
//! wrote it, comments included.
//!
//! Invariant: what is written has been checked as a whole first, and is there whole or not at all.

use super::{CandidateEntry, Config, Problem, Problems};
use polymeter_domain::VendorCode;
use polymeter_runtime::{Capability, Knob};
use polymeter_service::Thresholds;
use std::io::Write;
use std::path::{Path, PathBuf};
use toml_edit::{ArrayOfTables, DocumentMut, Item, Table, value};

/// The key of a driver's file.
const PACKAGE: &str = "package";

/// One change of one `[[driver]]`.
#[derive(Debug)]
pub enum Edit<'a> {
    /// Serves this package from now on; its candidate has no part in that any more.
    Package {
        name: &'a str,
        package: &'a Path,
    },
    Candidate {
        name: &'a str,
        candidate: &'a CandidateEntry,
    },
    NoCandidate {
        name: &'a str,
    },
    Enabled {
        name: &'a str,
        is_enabled: bool,
    },
    New {
        name: &'a str,
        package: &'a Path,
        vendor: &'a VendorCode,
        grants: &'a [Capability],
        limits: &'a [(Knob, u64)],
    },
}

/// Makes `change` in `text`, which `file` holds, and writes it.
pub fn edit(file: &Path, text: &str, change: &Edit<'_>) -> Result<(), Problems> {
    let unusable = |what: String, fix: &str| Problems::from(Problem::of_file(file, what, fix));
    let mut document: DocumentMut =
        text.parse().map_err(|error| unusable(format!("is no TOML: {error}"), "mend it"))?;
    apply(&mut document, file, change)
        .map_err(|what| unusable(what, "edit the file by hand, then `polymeter driver reload`"))?;
    let edited = document.to_string();
    Config::parse(file, &edited)?;
    replace(file, &edited)
        .map_err(|error| unusable(format!("cannot be written: {error}"), "mend its permissions"))
}

/// `text` in the place of what `file` holds, with the same permissions, synced.
pub fn replace(file: &Path, text: &str) -> std::io::Result<()> {
    let file = file.canonicalize()?;
    let folder = file.parent().unwrap_or(Path::new("/"));
    let mut new = tempfile::NamedTempFile::new_in(folder)?;
    new.as_file().set_permissions(file.metadata()?.permissions())?;
    new.write_all(text.as_bytes())?;
    new.as_file().sync_all()?;
    new.persist(&file)?;
    std::fs::File::open(folder)?.sync_all()
}

fn apply(document: &mut DocumentMut, file: &Path, change: &Edit<'_>) -> Result<(), String> {
    match change {
        Edit::Package { name, package } => {
            let driver = driver(document, name)?;
            driver.insert(PACKAGE, value(beside(file, package)));
            driver.remove("candidate");
        }
        Edit::Candidate { name, candidate } => {
            let table = Item::Table(candidate_table(file, candidate));
            driver(document, name)?.insert("candidate", table);
        }
        Edit::NoCandidate { name } => drop(driver(document, name)?.remove("candidate")),
        Edit::Enabled { name, is_enabled } => {
            driver(document, name)?.insert("enabled", value(*is_enabled));
        }
        Edit::New { name, package, vendor, grants, limits } => {
            let mut table = Table::new();
            table.insert("name", value(*name));
            table.insert(PACKAGE, value(beside(file, package)));
            table.insert("vendor", value(vendor.as_str()));
            let names = grants.iter().map(|grant| grant.name());
            table.insert("grant", value(toml_edit::Array::from_iter(names)));
            if !limits.is_empty() {
                let limits = limits.iter().map(|(knob, limit)| {
                    // What is too large for TOML is too large for every limit.
                    (knob.name(), i64::try_from(*limit).unwrap_or(i64::MAX))
                });
                table.insert("limits", value(toml_edit::InlineTable::from_iter(limits)));
            }
            tables(document)?.push(table);
        }
    }
    Ok(())
}

fn tables(document: &mut DocumentMut) -> Result<&mut ArrayOfTables, String> {
    let drivers = document.entry("driver").or_insert(Item::ArrayOfTables(ArrayOfTables::new()));
    let tables = drivers.as_array_of_tables_mut();
    tables.ok_or_else(|| "has its drivers in one line and not under [[driver]]".to_owned())
}

fn driver<'a>(document: &'a mut DocumentMut, name: &str) -> Result<&'a mut Table, String> {
    let named = |table: &&mut Table| table.get("name").and_then(Item::as_str) == Some(name);
    let found = tables(document)?.iter_mut().find(named);
    found.ok_or_else(|| format!("has no [[driver]] named `{name}`"))
}

fn candidate_table(file: &Path, candidate: &CandidateEntry) -> Table {
    let plan = &candidate.plan;
    let mut table = Table::new();
    table.insert("package", value(beside(file, &candidate.package)));
    let lines = toml_edit::Array::from_iter(plan.shadow_lines.iter().map(String::as_str));
    table.insert("shadow-lines", value(lines));
    table.insert("canary", value(i64::from(plan.canary_percent)));
    let own = thresholds(&Thresholds::default());
    for ((key, wanted), (_, own)) in thresholds(&plan.thresholds).into_iter().zip(own) {
        if wanted != own {
            table.insert(key, value(wanted));
        }
    }
    table
}

/// Every threshold under its key.
pub fn thresholds(of: &Thresholds) -> [(&'static str, i64); 11] {
    [
        ("shadow-reads", i64::from(of.shadow_reads)),
        ("canary-reads", i64::from(of.canary_reads)),
        ("canary-acts", i64::from(of.canary_acts)),
        ("faults-percent", i64::from(of.faults_percent)),
        ("faults-least", i64::from(of.faults_least)),
        ("disagreements-percent", i64::from(of.disagreements_percent)),
        ("disagreements-least", i64::from(of.disagreements_least)),
        ("drift-percent", i64::from(of.drift_percent)),
        ("latency-factor", i64::from(of.latency_factor)),
        ("latency-samples", i64::from(of.latency_samples)),
        ("latency-slack-ms", i64::try_from(of.latency_slack.as_millis()).unwrap_or(i64::MAX)),
    ]
}

/// As a person would write it: relative to the configuration where it lies below it.
fn beside(file: &Path, package: &Path) -> String {
    let whole = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let folder = whole(file).parent().map(PathBuf::from).unwrap_or_default();
    let package = whole(package);
    package.strip_prefix(&folder).unwrap_or(&package).display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# The hall's meters.\ndatabase.path = \"p.db\" # beside us\n\n[site]\n\
        time-zone = \"UTC\"\ncurrency = \"CNY\"\n\n[[driver]] # the first\nname = \"acme\"\n\
        package = \"a.pmdriver\" # as delivered\nvendor = \"ACME\"\ngrant = [\n  \"line\", # \
        needed\n]\n\n[driver.limits]\nexchanges = 9\n\n[[line]]\nname = \"bus-1\"\ntcp = \"h:1\"\n";

    /// The lines that an edit took out (`-`) and put in (`+`).
    #[track_caller]
    fn check(change: &Edit<'_>, expected: &str) {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("polymeter.toml");
        for package in ["a.pmdriver", "b.pmdriver"] {
            std::fs::write(folder.path().join(package), b"x").expect("a file");
        }
        let mut document: DocumentMut = TEXT.parse().expect("TOML");
        apply(&mut document, &file, change).expect("it can be edited");
        let edited = document.to_string();
        let gone = TEXT.lines().filter(|line| !edited.lines().any(|it| it == *line));
        let new = edited.lines().filter(|line| !TEXT.lines().any(|it| it == *line));
        let lines: Vec<String> =
            gone.map(|it| format!("-{it}")).chain(new.map(|it| format!("+{it}"))).collect();
        assert_eq!(lines.join("\n"), expected);
    }

    fn candidate() -> CandidateEntry {
        CandidateEntry {
            package: PathBuf::from("b.pmdriver"),
            plan: polymeter_service::Plan {
                shadow_lines: vec!["bus-1".to_owned()],
                canary_percent: 10,
                thresholds: Thresholds { shadow_reads: 3, ..Thresholds::default() },
            },
            line: 1,
        }
    }

    #[test]
    fn one_driver_changes_and_everything_else_stays() {
        let name = "acme";
        check(&Edit::Enabled { name, is_enabled: false }, "+enabled = false");
        check(
            &Edit::Candidate { name, candidate: &candidate() },
            "+[driver.candidate]\n+package = \"b.pmdriver\"\n+shadow-lines = [\"bus-1\"]\n\
             +canary = 10\n+shadow-reads = 3",
        );
        check(&Edit::NoCandidate { name }, "");
    }

    #[test]
    fn a_new_driver_stands_at_the_end_of_the_drivers() {
        let vendor = VendorCode::new("NEW").expect("a code");
        let change = Edit::New {
            name: "new",
            package: Path::new("b.pmdriver"),
            vendor: &vendor,
            grants: &[Capability::Line, Capability::Log],
            limits: &[(Knob::MemoryBytes, 67_108_864), (Knob::LogLines, 9)],
        };
        check(
            &change,
            &format!(
                "+[[driver]]\n+name = \"new\"\n+{PACKAGE} = \"b.pmdriver\"\n+vendor = \"NEW\"\n\
                 +grant = [\"line\", \"log\"]\n+limits = {{ memory-bytes = 67108864, log-lines = 9 }}"
            ),
        );
    }

    #[test]
    fn what_is_not_there_is_said() {
        let mut document: DocumentMut = TEXT.parse().expect("TOML");
        let change = Edit::NoCandidate { name: "other" };
        let told = apply(&mut document, Path::new("p.toml"), &change);
        assert_eq!(told, Err("has no [[driver]] named `other`".to_owned()));
    }
}

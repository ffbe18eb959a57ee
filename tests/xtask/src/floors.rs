//! Who may import whom. A crate imports only crates on a lower floor; the host never imports the SDK;
//! some outside crates belong to one place only.
//!
//! Invariant: every edge of `cargo metadata` is looked at, development and build dependencies too.

use anyhow::{Context, Result};
use cargo_metadata::MetadataCommand;
use std::collections::BTreeMap;
use std::path::Path;

/// A workspace member as the rules see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// From the workspace's root, e.g. "host/ledger".
    pub folder: String,
    /// `[package.metadata] floor`, if it says one.
    pub floor: Option<u64>,
    /// Names of all dependencies of every kind.
    pub imports: Vec<String>,
}

/// An outside crate, and the only folders that may import it. Tests and benches are free: they
/// stand outside the product.
const OWNED: &[(&str, &[&str])] = &[
    ("wasmtime", &["host/runtime"]),
    ("wasmparser", &["host/runtime"]),
    ("sqlx", &["host/ledger", "host/service"]),
    ("sqlx-core", &["host/ledger"]),
    ("axum", &["host/server"]),
    ("cryptoki", &["host/vault"]),
    ("tokio-serial", &["host/transport"]),
    ("wit-bindgen", &["sdk/driver"]),
];

/// The one edge from the host into the SDK: the ciphers of STS are written once, and the codec is pure
/// (ADR 0036).
const SHARED: &[(&str, &str)] = &[("host/vault", "sdk/codec")];

/// Crates that bring async, clocks, randomness or logging; floor 0 of host and SDK has none of them.
const IMPURE: &[&str] = &["tokio", "jiff", "getrandom", "tracing", "serde", "anyhow", "sqlx"];
const PURE: &[&str] = &["host/domain", "sdk/codec"];

/// All members of the workspace at `root`, by package name.
pub fn members(root: &Path) -> Result<BTreeMap<String, Member>> {
    let metadata =
        MetadataCommand::new().current_dir(root).no_deps().exec().context("cargo metadata")?;
    let root = metadata.workspace_root.clone();
    let member = |package: cargo_metadata::Package| {
        let folder = package.manifest_path.parent().and_then(|path| path.strip_prefix(&root).ok());
        let member = Member {
            folder: folder.map(ToString::to_string).unwrap_or_default(),
            floor: package.metadata.get("floor").and_then(serde_json::Value::as_u64),
            imports: package
                .dependencies
                .iter()
                .map(|dependency| dependency.name.clone())
                .collect(),
        };
        (package.name.to_string(), member)
    };
    Ok(metadata.packages.into_iter().map(member).collect())
}

/// Every broken rule, as a sentence each.
pub fn complaints(members: &BTreeMap<String, Member>) -> Vec<String> {
    let mut complaints = Vec::new();
    for (name, member) in members {
        let Some(floor) = member.floor else {
            complaints.push(format!("{name}: Cargo.toml has no [package.metadata] floor"));
            continue;
        };
        for import in &member.imports {
            if let Some(lower) = members.get(import) {
                if lower.floor.is_some_and(|lower| lower >= floor) {
                    complaints.push(format!(
                        "{name} (floor {floor}) imports {import} (floor {}): imports only point down",
                        lower.floor.unwrap_or_default()
                    ));
                }
                let edge = (member.folder.as_str(), lower.folder.as_str());
                let of_sdk = member.folder.starts_with("host/") && lower.folder.starts_with("sdk/");
                if of_sdk && !SHARED.contains(&edge) {
                    complaints.push(format!(
                        "{name} imports {import}: the host never depends on the SDK"
                    ));
                }
            }
            complaints.extend(misplaced(name, member, import));
        }
    }
    complaints
}

fn misplaced(name: &str, member: &Member, import: &str) -> Option<String> {
    if PURE.contains(&member.folder.as_str()) && IMPURE.contains(&import) {
        return Some(format!("{name} imports {import}: {} is pure", member.folder));
    }
    let (_, owners) = OWNED.iter().find(|(owned, _)| *owned == import)?;
    let free = member.folder.starts_with("tests/");
    (!free && !owners.contains(&member.folder.as_str()))
        .then(|| format!("{name} imports {import}, which only {} may", owners.join(" and ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lines of `name folder floor: imports`, against the complaints they must bring.
    fn check(table: &str, expected: &[&str]) {
        let mut members = BTreeMap::new();
        for line in table.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let (head, imports) = line.split_once(':').expect("a colon");
            let mut head = head.split_whitespace();
            let mut next = || head.next().expect("three words").to_owned();
            let (name, folder, floor) = (next(), next(), next());
            let imports = imports.split_whitespace().map(str::to_owned).collect();
            members.insert(name, Member { folder, floor: floor.parse().ok(), imports });
        }
        assert_eq!(complaints(&members), expected);
    }

    #[test]
    fn a_forbidden_edge_is_named() {
        check("a host/a 1: b serde\n b host/b 0: thiserror", &[]);
        check(
            "a host/a 1: b\n b host/b 1:",
            &["a (floor 1) imports b (floor 1): imports only point down"],
        );
        check(
            "a host/a 0: b\n b host/b 3:",
            &["a (floor 0) imports b (floor 3): imports only point down"],
        );
        check("a host/a -:", &["a: Cargo.toml has no [package.metadata] floor"]);
        check("a host/a 2: b\n b sdk/b 0:", &["a imports b: the host never depends on the SDK"]);
        check("a host/vault 1: b\n b sdk/codec 0:", &[]);
        check(
            "a host/vault 2: b\n b sdk/driver 1:",
            &["a imports b: the host never depends on the SDK"],
        );
        check("a drivers/a 2: b\n b sdk/b 0:", &[]);
        check(
            "a host/server 4: sqlx",
            &["a imports sqlx, which only host/ledger and host/service may"],
        );
        check("a tests/bench 5: sqlx wasmtime", &[]);
        check("a host/domain 0: tokio", &["a imports tokio: host/domain is pure"]);
    }

    #[test]
    fn every_edge_of_this_workspace_points_down() {
        let members = members(&crate::root()).expect("cargo metadata");
        assert!(members.len() > 4, "only {} members found", members.len());
        assert_eq!(complaints(&members), Vec::<String>::new());
    }
}

//! Which contract a component was built for, and whether this host offers it.
//!
//! Invariant: what is told here is read from bytes that nobody has compiled; a driver of a contract
//! that this host does not offer is refused with a sentence and never gets as far as the linker.
//! Older minors are adapted by the linker itself: every value type is frozen, so a driver of 1.0
//! links against the bindings of 1.1 as it is (docs/contract.md, ADR 0011).

use crate::error::LoadError;
use crate::limits::NAME_BYTES;
use crate::text::printable;

/// The newest contract that this host offers, and what its bindings were made from.
pub(crate) const CONTRACT: &str = "1.1.0";
/// Major and minor of every contract that it offers, oldest first.
const OFFERED: &[(u64, u64)] = &[(1, 0), (1, 1)];
/// Where a component says which contract it was built for; written by `polymeter-sdk build`.
pub(crate) const SECTION: &str = "polymeter:contract";
pub(crate) const PACKAGE: &str = "polymeter:driver/";

/// What a component says of itself on its outside, in the order of its bytes.
#[derive(Debug, Default)]
pub(crate) struct Outside {
    /// The content of every section named [`SECTION`].
    pub(crate) contracts: Vec<Vec<u8>>,
    pub(crate) imports: Vec<String>,
    pub(crate) exports: Vec<String>,
}

/// What this host offers, for a sentence: "1.0, 1.1".
pub(crate) fn offered() -> String {
    let texts: Vec<String> =
        OFFERED.iter().map(|(major, minor)| format!("{major}.{minor}")).collect();
    texts.join(", ")
}

/// Only patches and older minors of the same major, and no pre-release: wasmtime would link a driver
/// that needs a function of 1.2 as far as the names, and then fail without a sentence.
fn is_offered(version: &str) -> bool {
    let numbers: Option<Vec<u64>> = version
        .split('.')
        .map(|part| {
            // "+1" and "01" are no versions.
            let plain = part.bytes().all(|byte| byte.is_ascii_digit());
            let canonical = part == "0" || !part.starts_with('0');
            part.parse().ok().filter(|_| plain && canonical)
        })
        .collect();
    matches!(numbers.as_deref(), Some([major, minor, _]) if OFFERED.contains(&(*major, *minor)))
}

fn other(driver: &str, said_by: &str, version: &str) -> LoadError {
    LoadError::OtherContract {
        driver: driver.to_owned(),
        said_by: said_by.to_owned(),
        built_for: printable(version, NAME_BYTES),
        offered: offered(),
    }
}

/// The section alone: the first thing that is looked at, so that a driver from the future is told so
/// and not that its new import is unknown.
pub(crate) fn refuse_other(driver: &str, outside: &Outside) -> Result<(), LoadError> {
    for content in &outside.contracts {
        let version = String::from_utf8_lossy(content);
        if !is_offered(&version) {
            return Err(other(driver, SECTION, &version));
        }
    }
    Ok(())
}

/// An interface of ours must be of an offered contract. Names outside our package pass: imports among
/// them are refused elsewhere, exports do no harm.
pub(crate) fn refuse_other_name(driver: &str, name: &str) -> Result<(), LoadError> {
    match version_of(name) {
        Some(version) if !is_offered(version) => Err(other(driver, name, version)),
        _ => Ok(()),
    }
}

fn version_of(name: &str) -> Option<&str> {
    let rest = name.strip_prefix(PACKAGE)?;
    Some(rest.split_once('@').map_or("no version", |(_, version)| version))
}

/// The contract, if the section is there once and every name of ours agrees with it.
pub(crate) fn agreed(driver: &str, outside: &Outside) -> Result<String, LoadError> {
    let [content] = outside.contracts.as_slice() else {
        return Err(LoadError::NoContract {
            driver: driver.to_owned(),
            sections: outside.contracts.len(),
        });
    };
    let says = String::from_utf8_lossy(content).into_owned();
    for name in outside.imports.iter().chain(&outside.exports) {
        if version_of(name).is_some_and(|version| version != says) {
            return Err(LoadError::ContractsDiffer {
                driver: driver.to_owned(),
                says,
                name: printable(name, NAME_BYTES),
            });
        }
    }
    Ok(says)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_offered_by_number_and_not_by_prefix() {
        for (version, offered) in [
            ("1.0.0", true),
            ("1.0.7", true),
            ("1.1.0", true),
            ("1.2.0", false),
            ("1.0.0-rc.1", false),
            ("1.0.0+build", false),
            ("1.0", false),
            ("1.0.0.0", false),
            ("1.00.0", false),
            ("1.+0.0", false),
            ("1.9.0", false),
            ("2.0.0", false),
            ("0.1.0", false),
            ("", false),
            ("no version", false),
            ("1.18446744073709551616.0", false),
        ] {
            assert_eq!(is_offered(version), offered, "{version}");
        }
    }

    #[test]
    fn section_and_names_must_agree() {
        let outside = |contracts: &[&str], imports: &[&str], exports: &[&str]| Outside {
            contracts: contracts.iter().map(|text| text.as_bytes().to_vec()).collect(),
            imports: imports.iter().map(|text| (*text).to_owned()).collect(),
            exports: exports.iter().map(|text| (*text).to_owned()).collect(),
        };
        let info = "polymeter:driver/info@1.0.0";
        let good = agreed("x", &outside(&["1.0.0"], &[], &[info, "other"]));
        assert_eq!(good.expect("agrees"), "1.0.0");
        let sentence = |outside: &Outside| agreed("x", outside).expect_err("differs").to_string();
        assert_eq!(
            sentence(&outside(&["1.0.1"], &[], &[info])),
            "driver x says that it was built for contract 1.0.1, but has \
             polymeter:driver/info@1.0.0: build it anew with polymeter-sdk build"
        );
        for contracts in [&[][..], &["1.0.0", "1.0.0"]] {
            let said = sentence(&outside(contracts, &[], &[info]));
            assert!(said.contains(&format!("in {} places", contracts.len())), "{said}");
        }
        let future = refuse_other("x", &outside(&["1.9.0"], &[], &[])).expect_err("refused");
        assert!(future.to_string().starts_with("driver x was built for contract 1.9.0"));
        assert!(refuse_other("x", &outside(&["\u{1b}[31m"], &[], &[])).is_err());
    }
}

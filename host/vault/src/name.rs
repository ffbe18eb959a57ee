//! How a key is named: by vendor, region, label and version.

use crate::refused::Refused;
use crate::vault::{Derivation, KeyName};
use polymeter_domain::{Region, VendorCode};
use std::fmt;

const LABEL_BYTES: usize = 64;
/// How many derivations the name of another key may have: one makes a decoder key.
const STEPS: usize = 2;

/// The name that a driver uses: letters, digits, `.`, `_` and `-`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Label(String);

impl Label {
    /// `None`: not 1 to 64 letters, digits, `.`, `_` or `-`.
    pub fn new(text: &str) -> Option<Label> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        let is_label = (1..=LABEL_BYTES).contains(&text.len()) && text.bytes().all(fits);
        is_label.then(|| Label(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// All versions of one key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyId {
    pub vendor: VendorCode,
    pub region: Option<Region>,
    pub label: Label,
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let KeyId { vendor, region, label } = self;
        match region {
            Some(region) => write!(f, "{vendor} {region} {label}"),
            None => write!(f, "{vendor} {label}"),
        }
    }
}

/// Whose keys a driver sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    pub vendor: VendorCode,
    pub region: Option<Region>,
}

impl Scope {
    /// The keys that `label` may mean here: the region's own goes before one for all regions.
    pub(crate) fn ids(&self, label: &Label) -> impl Iterator<Item = KeyId> {
        let id = |region| KeyId { vendor: self.vendor.clone(), region, label: label.clone() };
        self.region.clone().map(|region| id(Some(region))).into_iter().chain([id(None)])
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.region {
            Some(region) => write!(f, "vendor {} in region {region}", self.vendor),
            None => write!(f, "vendor {}", self.vendor),
        }
    }
}

/// What stands in the contract's `key.label`: `label` or `label@version`.
pub(crate) fn parsed(scope: &Scope, text: &str) -> Result<(Label, Option<u32>), Refused> {
    let (label, version) = match text.split_once('@') {
        Some((label, version)) => (label, version.parse().ok().filter(|&version| version > 0)),
        None => (text, None),
    };
    let is_whole = version.is_some() || !text.contains('@');
    match Label::new(label) {
        Some(label) if is_whole => Ok((label, version)),
        _ => Err(Refused::no_such_key(scope, text)),
    }
}

/// The name of another key, as `associated` of algorithms 12 and 13 has it: the label, and of each
/// derivation a zero byte, its algorithm, the length of its factor and the factor.
pub(crate) fn of_other(associated: &[u8]) -> Result<KeyName<'_>, Refused> {
    let bad = || Refused::BadLength { what: "the name of another key", length: associated.len() };
    let end = associated.iter().position(|byte| *byte == 0).unwrap_or(associated.len());
    let (label, mut rest) = associated.split_at_checked(end).ok_or_else(bad)?;
    let label = std::str::from_utf8(label).map_err(|_| bad())?;
    let mut path = Vec::new();
    while let [0, algorithm, length, more @ ..] = rest {
        let (factor, after) = more.split_at_checked(usize::from(*length)).ok_or_else(bad)?;
        path.push(Derivation { algorithm: u16::from(*algorithm), factor });
        rest = after;
        if path.len() > STEPS {
            return Err(bad());
        }
    }
    if rest.is_empty() { Ok(KeyName { label, path }) } else { Err(bad()) }
}

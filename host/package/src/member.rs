//! The members that a package may have, in the order in which they stand.
//!
//! Invariant: a name that is not in this list is refused, so no path leads out of a package.

use crate::limits;

pub const CONTENTS: &str = "contents";
pub const SIGNATURE: &str = "contents.minisig";
pub const COUNTER_SIGNATURE: &str = "contents.operator.minisig";
pub const MANIFEST: &str = "driver.toml";
pub const COMPONENT: &str = "driver.wasm";
pub const README: &str = "README.md";
const TRANSCRIPTS: &str = "transcripts/";
const TRANSCRIPT_END: &str = ".transcript";
const LICENCES: &str = "licences/";

/// A transcript's folder: how the call in it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ending {
    /// No clear answer came.
    Broken,
    Ok,
    /// The device said no.
    Refused,
}

impl Ending {
    pub const ALL: [Ending; 3] = [Ending::Broken, Ending::Ok, Ending::Refused];

    pub fn folder(self) -> &'static str {
        match self {
            Ending::Broken => "broken",
            Ending::Ok => "ok",
            Ending::Refused => "refused",
        }
    }
}

/// In the order of a package.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Contents,
    Signature,
    CounterSignature,
    Manifest,
    Component,
    Readme,
    Transcript,
    Licence,
}

impl Kind {
    /// `None` for a name that no package may have.
    pub fn of(name: &str) -> Option<Kind> {
        match name {
            CONTENTS => Some(Kind::Contents),
            SIGNATURE => Some(Kind::Signature),
            COUNTER_SIGNATURE => Some(Kind::CounterSignature),
            MANIFEST => Some(Kind::Manifest),
            COMPONENT => Some(Kind::Component),
            README => Some(Kind::Readme),
            _ if name.len() > limits::NAME_BYTES => None,
            _ if transcript(name).is_some() => Some(Kind::Transcript),
            _ => licence(name).map(|_| Kind::Licence),
        }
    }

    /// The most that any reader takes of it.
    pub fn bytes_most(self) -> usize {
        match self {
            Kind::Contents => limits::CONTENTS_BYTES,
            Kind::Signature | Kind::CounterSignature => limits::SIGNATURE_BYTES,
            Kind::Manifest => limits::MANIFEST_BYTES,
            Kind::Component => limits::COMPONENT_BYTES,
            Kind::Readme | Kind::Licence => limits::PAGE_BYTES,
            Kind::Transcript => limits::TRANSCRIPT_BYTES,
        }
    }

    /// Whether `contents` lists it: all but itself and what signs it.
    pub fn is_listed(self) -> bool {
        self > Kind::CounterSignature
    }
}

/// Folder and name, e.g. ok and "sell" of `transcripts/ok/sell.transcript`.
pub fn transcript(member: &str) -> Option<(Ending, &str)> {
    let rest = member.strip_prefix(TRANSCRIPTS)?.strip_suffix(TRANSCRIPT_END)?;
    let (folder, name) = rest.split_once('/')?;
    let ending = Ending::ALL.into_iter().find(|ending| ending.folder() == folder)?;
    is_plain(name).then_some((ending, name))
}

pub fn licence(member: &str) -> Option<&str> {
    member.strip_prefix(LICENCES).filter(|name| is_plain(name))
}

pub fn transcript_member(ending: Ending, name: &str) -> String {
    format!("{TRANSCRIPTS}{}/{name}{TRANSCRIPT_END}", ending.folder())
}

pub fn licence_member(name: &str) -> String {
    format!("{LICENCES}{name}")
}

/// One file name of ASCII letters, digits and `-_.+`, not hidden.
fn is_plain(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.+".contains(&byte);
    !name.is_empty() && !name.starts_with('.') && name.bytes().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_outside_the_list_are_none_of_ours() {
        for (name, expected) in [
            ("contents", Some(Kind::Contents)),
            ("transcripts/ok/sell-1.transcript", Some(Kind::Transcript)),
            ("licences/serde-1.0.0+x--LICENSE-MIT", Some(Kind::Licence)),
            ("licences/../driver.toml", None),
            ("licences/a/b", None),
            ("licences/.hidden", None),
            ("licences/", None),
            ("transcripts/ok/../../x.transcript", None),
            ("transcripts/good/x.transcript", None),
            ("transcripts/ok/x.txt", None),
            ("../contents", None),
            ("/etc/passwd", None),
            ("./contents", None),
            ("driver.toml ", None),
            ("Driver.toml", None),
            ("", None),
        ] {
            assert_eq!(Kind::of(name), expected, "{name:?}");
        }
        let long = licence_member(&"x".repeat(limits::NAME_BYTES));
        assert_eq!(Kind::of(&long), None);
    }
}

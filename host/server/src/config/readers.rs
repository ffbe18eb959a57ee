//! `[[reader]]` and `[[reader-profile]]`: which card readers this site has, and how makes of readers that
//! the program does not know are spoken to.
//!
//! Not here: what a profile means (`polymeter_transport`), and which cards are whose.

use super::checks::Checker;
use super::raw;
use polymeter_transport::{ReaderProfile, ReaderProfiles, ReaderSettings};
use std::collections::HashMap;
use toml::Spanned;

/// A PC/SC name has at most 128 bytes (pcsclite's `MAX_READERNAME`).
const PATTERN_BYTES_MAX: usize = 128;

impl Checker<'_> {
    pub(super) fn readers(&mut self, readers: &[raw::Reader]) -> Vec<ReaderSettings> {
        let mut seen = HashMap::new();
        let mut found = Vec::new();
        for reader in readers {
            self.unique(&mut seen, "reader", &reader.name);
            let pattern = reader.pcsc.get_ref();
            if pattern.is_empty() || pattern.len() > PATTERN_BYTES_MAX {
                let what = format!("reader `{}` names no PC/SC reader", reader.name.get_ref());
                let fix = "write a name of `polymeter reader list`, or a part of it with *";
                self.problem(&reader.pcsc, what, fix.to_owned());
                continue;
            }
            let name = reader.name.get_ref().clone();
            found.push(ReaderSettings { name, pcsc: pattern.clone() });
        }
        found
    }

    pub(super) fn reader_profiles(&mut self, own: &[Spanned<ReaderProfile>]) -> ReaderProfiles {
        let mut profiles: Vec<ReaderProfile> = Vec::new();
        for profile in own {
            let name = profile.get_ref().name();
            if profiles.iter().any(|known| known.name() == name) {
                let what = format!("reader profile `{name}` stands twice");
                self.problem(profile, what, "leave one of them".to_owned());
                continue;
            }
            profiles.push(profile.get_ref().clone());
        }
        ReaderProfiles::with(profiles)
    }
}

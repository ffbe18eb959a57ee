//! `[vault]`: where the keys are and what unlocks them.
//!
//! Not here: whether it opens (`crate::vault`); a vault that is not made yet is no error in the file.

use super::checks::Checker;
use super::{Problem, raw};
use polymeter_package::problem::line_at;
use polymeter_vault::Unlock;
use std::path::PathBuf;
use toml::Spanned;

#[derive(Debug, Clone)]
pub struct VaultEntry {
    pub store: Store,
    pub unlock: Unlock,
    /// Where it stands in the file, for errors found when it is opened.
    pub line: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Store {
    /// An encrypted file; what unlocks it is a passphrase.
    File(PathBuf),
    /// A PKCS#11 library and the label of a token; what unlocks it is the user's PIN.
    Token { library: PathBuf, token: String },
}

impl Checker<'_> {
    pub(super) fn vault(&mut self, vault: &raw::Vault) -> Option<VaultEntry> {
        let (place, store) = self.store(vault)?;
        let unlocks = [
            vault.unlock_file.as_ref().map(|path| Unlock::File(self.beside(path))),
            vault.unlock_env.clone().map(Unlock::Environment),
            vault.unlock_credential.clone().map(Unlock::Credential),
        ];
        let mut unlocks = unlocks.into_iter().flatten();
        let (Some(unlock), None) = (unlocks.next(), unlocks.next()) else {
            let fix = "give it one of unlock-file, unlock-env and unlock-credential".to_owned();
            self.problem(place, "[vault] needs exactly one way to be unlocked".to_owned(), fix);
            return None;
        };
        let line = line_at(self.text, place.span().start);
        Some(VaultEntry { store, unlock, line })
    }

    /// The store, and the key that names it.
    fn store<'a>(&mut self, vault: &'a raw::Vault) -> Option<(&'a Spanned<PathBuf>, Store)> {
        match (&vault.file, &vault.pkcs11, &vault.token) {
            (Some(file), None, None) => Some((file, Store::File(self.beside(file.get_ref())))),
            (None, Some(library), Some(token)) => {
                let token = token.get_ref().clone();
                Some((library, Store::Token { library: self.beside(library.get_ref()), token }))
            }
            (None, Some(library), None) => {
                let fix = "add token = \"...\", the token's label".to_owned();
                self.problem(library, "a PKCS#11 library needs a token".to_owned(), fix);
                None
            }
            (Some(_), None, Some(token)) => {
                let fix = "remove it, or name a library with pkcs11 instead of a file".to_owned();
                self.problem(token, "a vault file has no token".to_owned(), fix);
                None
            }
            (Some(file), Some(_), _) => {
                let fix = "remove one of them".to_owned();
                self.problem(file, "[vault] has both a file and pkcs11".to_owned(), fix);
                None
            }
            (None, None, _) => {
                let fix = "add file = \"keys.vault\", or pkcs11 = \"/usr/lib/...so\" and token";
                self.problems.push(Problem::of_file(self.file, "[vault] names no store", fix));
                None
            }
        }
    }
}

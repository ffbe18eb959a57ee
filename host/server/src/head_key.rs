//! The key that signs the heads of day closes: `polymeter.db.head-key` beside the database's file (or the
//! configuration, where the database is on a server), and its public half, `polymeter.db.head.pub`.
//!
//! Invariant: made at the first close, readable by its owner alone; never made anew where the public half
//! is still there, since the heads signed before would then seem to be somebody else's. Not here: what is
//! signed (ledger).

use polymeter_package::{PublicKey, SecretKey};
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

#[derive(Debug, Clone)]
pub struct HeadKey {
    secret: PathBuf,
    public: PathBuf,
}

impl HeadKey {
    pub fn beside(path: &Path) -> HeadKey {
        let with = |ending: &str| {
            let mut name = path.as_os_str().to_owned();
            name.push(ending);
            PathBuf::from(name)
        };
        HeadKey { secret: with(".head-key"), public: with(".head.pub") }
    }

    /// Where the public half is, for people.
    pub fn public_file(&self) -> &Path {
        &self.public
    }

    /// The text of a `.minisig` file for a head's text. The error is a sentence.
    pub fn sign(&self, head: &str) -> Result<String, String> {
        let text = match std::fs::read_to_string(&self.secret) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => self.make()?,
            Err(error) => return Err(format!("{} cannot be read: {error}", self.secret.display())),
        };
        let key = SecretKey::parse(&text, None)
            .map_err(|error| format!("{} {error}", self.secret.display()))?;
        key.sign_text(head, "head of polymeter's books").map_err(|error| error.to_string())
    }

    /// The public half, where there has been a close.
    pub fn public(&self) -> Result<Option<PublicKey>, String> {
        match std::fs::read_to_string(&self.public) {
            Ok(text) => match PublicKey::parse(&text) {
                Ok(key) => Ok(Some(key)),
                Err(error) => Err(format!("{} {error}", self.public.display())),
            },
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(format!("{} cannot be read: {error}", self.public.display())),
        }
    }

    fn make(&self) -> Result<String, String> {
        if self.public.exists() {
            return Err(format!(
                "the key {} is missing: put it back from where it is kept. Only where it is lost, move {} \
                 away too; the next close is then signed by a new key",
                self.secret.display(),
                self.public.display()
            ));
        }
        let (text, public) = SecretKey::generate(None).map_err(|error| error.to_string())?;
        let line = text.lines().nth(1).unwrap_or_default();
        let text =
            format!("untrusted comment: minisign secret key of polymeter's day closes\n{line}\n");
        write_new(&self.secret, &text, 0o600)?;
        write_new(&self.public, &public.to_file(), 0o644)?;
        Ok(text)
    }
}

fn write_new(path: &Path, text: &str, mode: u32) -> Result<(), String> {
    let written =
        OpenOptions::new().write(true).create_new(true).mode(mode).open(path).and_then(
            |mut file: File| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()),
        );
    written.map_err(|error| format!("{} cannot be written: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_key_is_made_once_and_is_its_owners_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let key = HeadKey::beside(&folder.path().join("polymeter.db"));
        assert_eq!(key.public(), Ok(None));
        let first = key.sign("a head\n").expect("signed");
        let public = key.public().expect("readable").expect("made");
        assert!(public.has_signed("a head\n", &first));
        assert!(!public.has_signed("another head\n", &first));
        let mode = std::fs::metadata(&key.secret).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let second = key.sign("a head\n").expect("signed");
        assert!(public.has_signed("a head\n", &second));

        std::fs::remove_file(&key.secret).expect("there");
        let lost = key.sign("a head\n").expect_err("no key");
        assert!(lost.contains("is missing: put it back"), "{lost}");
    }
}

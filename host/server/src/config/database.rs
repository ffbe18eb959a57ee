//! `[database]`: a file, or a database of a server with its password in a file of its own.
//!
//! Invariant: one of the two; a password file is its owner's alone; no password is in a message.

use super::checks::Checker;
use super::raw;
use polymeter_ledger::{Place, Server};
use polymeter_package::Problem;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use toml::Spanned;

impl Checker<'_> {
    pub(super) fn database(&mut self, database: &raw::Database) -> Option<Place> {
        match (&database.path, &database.url) {
            (Some(path), None) => {
                if let Some(file) = &database.password_file {
                    let what = "a password for a file".to_owned();
                    self.problem(file, what, "take password-file out: SQLite has none".to_owned());
                }
                Some(Place::File(self.beside(path)))
            }
            (None, Some(url)) => self.server(url, database.password_file.as_ref()),
            (Some(_), Some(_)) | (None, None) => {
                let what = "[database] needs either path or url";
                let fix = "write path = \"polymeter.db\" for a file, or url = \
                           \"postgres://user@host/database\" for PostgreSQL";
                self.problems.push(Problem::of_file(self.file, what, fix));
                None
            }
        }
    }

    fn server(
        &mut self,
        url: &Spanned<String>,
        password_file: Option<&Spanned<PathBuf>>,
    ) -> Option<Place> {
        let password = match password_file {
            None => None,
            Some(file) => match read_password(&self.beside(file.get_ref())) {
                Ok(password) => Some(password),
                Err(what) => {
                    let what = format!("{}: {what}", file.get_ref().display());
                    let fix = "write the password alone into it, and chmod 600".to_owned();
                    self.problem(file, what, fix);
                    return None;
                }
            },
        };
        match Server::parse(url.get_ref(), password.as_deref()) {
            Ok(server) => Some(Place::Server(server)),
            Err(what) => {
                let fix = "write url = \"postgres://user@host/database\", and the password into the \
                           file that password-file names";
                self.problem(url, format!("database.url {what}"), fix.to_owned());
                None
            }
        }
    }
}

/// The file's one line.
fn read_password(file: &Path) -> Result<String, String> {
    let open_to = |error: std::io::Error| format!("cannot be read: {error}");
    let mode = std::fs::metadata(file).map_err(open_to)?.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(format!("others may read it (mode {:o})", mode & 0o777));
    }
    let text = std::fs::read_to_string(file).map_err(open_to)?;
    let password = text.strip_suffix('\n').unwrap_or(&text);
    if password.is_empty() || password.contains('\n') {
        return Err("does not hold one line".to_owned());
    }
    Ok(password.to_owned())
}

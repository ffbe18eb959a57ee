//! Where a driver comes from: a package, or a vendor's native library and what makes it fit.
//!
//! Invariant: a [`Native`] in hand is pinned by its hash, or the admin said that nobody vouches for it;
//! never both and never neither. Not here: reading the library's file (drivers.rs).

use super::checks::Checker;
use super::raw;
use std::path::{Path, PathBuf};
use toml::Spanned;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    Package(PathBuf),
    Native(Native),
}

/// A library's file, its one function, and the SHA-256 that it must have; `None`: unsigned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Native {
    pub file: PathBuf,
    pub function: String,
    pub sha256: Option<[u8; 32]>,
}

impl Source {
    pub fn file(&self) -> &Path {
        match self {
            Source::Package(file) => file,
            Source::Native(native) => &native.file,
        }
    }

    pub fn package(&self) -> Option<&Path> {
        match self {
            Source::Package(file) => Some(file),
            Source::Native(_) => None,
        }
    }
}

impl Checker<'_> {
    /// `None` where a problem was told.
    pub(super) fn source(&mut self, driver: &raw::Driver) -> Option<Source> {
        match (&driver.package, &driver.native) {
            (Some(package), None) => Some(self.package(driver, package)),
            (None, Some(native)) => self.native(driver, native),
            (Some(_), Some(native)) => {
                let what = "a driver with both a package and a native library".to_owned();
                self.problem(native, what, "remove one of package and native".to_owned());
                None
            }
            (None, None) => {
                let what = "a driver without a file".to_owned();
                let fix = "add package = \"...\", or native = \"...\" for a vendor's library";
                self.problem(&driver.name, what, fix.to_owned());
                None
            }
        }
    }

    fn package(&mut self, driver: &raw::Driver, package: &Spanned<PathBuf>) -> Source {
        let file = self.beside(package.get_ref());
        if !file.is_file() {
            let fix = "mend the path (relative to this file)".to_owned();
            self.problem(package, format!("no package {}", file.display()), fix);
        }
        for (key, at) in [("function", &driver.function), ("sha256", &driver.sha256)] {
            if let Some(at) = at {
                let what = format!("a package has no {key}");
                let fix = "remove it; it belongs to a native library".to_owned();
                self.problem(at, what, fix);
            }
        }
        Source::Package(file)
    }

    fn native(&mut self, driver: &raw::Driver, native: &Spanned<PathBuf>) -> Option<Source> {
        let file = self.beside(native.get_ref());
        if !file.is_file() {
            let fix = "mend the path (relative to this file)".to_owned();
            self.problem(native, format!("no native library {}", file.display()), fix);
        }
        if driver.candidate.is_some() {
            let what = "a native library has no candidate".to_owned();
            let fix = "take [driver.candidate] out; change native and sha256, then reload";
            self.problem(native, what, fix.to_owned());
        }
        let sha256 = match (&driver.sha256, driver.allow_unsigned) {
            (Some(sum), false) => Some(self.sha256(sum)?),
            (None, true) => None,
            (Some(sum), true) => {
                let what = "a native library with both sha256 and allow-unsigned".to_owned();
                self.problem(sum, what, "remove allow-unsigned: the sum pins it".to_owned());
                return None;
            }
            (None, false) => {
                let what = "a native library that nobody vouches for".to_owned();
                let fix = "add sha256 = \"...\" as sha256sum prints it, or allow-unsigned = true";
                self.problem(native, what, fix.to_owned());
                return None;
            }
        };
        let Some(function) = &driver.function else {
            let what = "a native library without its function".to_owned();
            self.problem(native, what, "add function = \"RDKIcard\" or its like".to_owned());
            return None;
        };
        let name = function.get_ref();
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        if name.len() > 64 || !name.ends_with("Icard") || !name.bytes().all(fits) {
            let what = format!("`{name}` is no function of a native library");
            let fix = "write the vendor's abbreviation and Icard, e.g. RDKIcard".to_owned();
            self.problem(function, what, fix);
            return None;
        }
        Some(Source::Native(Native { file, function: name.clone(), sha256 }))
    }

    fn sha256(&mut self, sum: &Spanned<String>) -> Option<[u8; 32]> {
        let mut bytes = [0; 32];
        if hex::decode_to_slice(sum.get_ref(), &mut bytes).is_err() {
            let what = format!("`{}` is no SHA-256", sum.get_ref());
            let fix = "write the 64 hexadecimal digits that sha256sum prints".to_owned();
            self.problem(sum, what, fix);
            return None;
        }
        Some(bytes)
    }
}

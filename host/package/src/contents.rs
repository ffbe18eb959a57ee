//! `contents`: one line for each member, as `sha256sum` writes it and `sha256sum --check` reads it.

use crate::error::Flaw;
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;

pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

pub fn render<'a>(members: impl Iterator<Item = (&'a str, &'a [u8])>) -> String {
    members.fold(String::new(), |mut text, (name, content)| {
        // Writing into a string cannot fail.
        let _ = writeln!(text, "{}  {name}", hex::encode(sha256(content)));
        text
    })
}

/// Holds `members` to `contents`, and names the one that differs.
pub fn check<'a>(
    contents: &str,
    members: impl Iterator<Item = (&'a str, &'a [u8])>,
) -> Result<(), Flaw> {
    let expected = render(members);
    if expected == contents {
        return Ok(());
    }
    if expected.lines().count() != contents.lines().count() {
        return Err(Flaw::WrongContents);
    }
    let name = |line: &str| line.get(66..).map(str::to_owned);
    for (line, said) in expected.lines().zip(contents.lines()) {
        match (name(line), name(said)) {
            (Some(name), Some(listed)) if name == listed && line != said => {
                return Err(Flaw::Changed { name });
            }
            (Some(name), Some(listed)) if name == listed => {}
            _ => return Err(Flaw::WrongContents),
        }
    }
    Err(Flaw::WrongContents)
}

//! The one spelling of a tar that a package may have: plain files in the `ustar` form of
//! POSIX.1-1988, owner 0, mode 0644, time 0, two empty blocks at the end.
//!
//! Invariant: a header is accepted only if writing its name and size anew gives the same 512 bytes,
//! and padding only if it is zero; so no byte of the file is free. Any tar program can read the
//! result. Not here: which members there are.

use crate::error::Flaw;
use crate::limits::NAME_BYTES;
use std::io::Read;

pub const BLOCK: usize = 512;
const EMPTY: [u8; BLOCK] = [0; BLOCK];
/// The most that eleven octal digits hold is far above every limit of ours.
const SIZE_DIGITS: usize = 11;

/// Puts `name` with `content` behind `out`.
pub fn append(out: &mut Vec<u8>, name: &str, content: &[u8]) {
    out.extend_from_slice(&header(name, content.len()));
    out.extend_from_slice(content);
    out.resize(out.len() + padding(content.len()), 0);
}

/// Ends the archive.
pub fn finish(out: &mut Vec<u8>) {
    out.extend_from_slice(&EMPTY);
    out.extend_from_slice(&EMPTY);
}

fn padding(bytes: usize) -> usize {
    (BLOCK - bytes % BLOCK) % BLOCK
}

/// The callers have bounded both: names by [`NAME_BYTES`], sizes by the limits.
fn header(name: &str, bytes: usize) -> [u8; BLOCK] {
    let mut header = EMPTY;
    let mut put = |at: usize, field: &[u8]| header[at..at + field.len()].copy_from_slice(field);
    assert!(name.len() <= NAME_BYTES, "`{name}` is too long for a header");
    put(0, name.as_bytes());
    put(100, b"0000644\0");
    put(108, b"0000000\0"); // user
    put(116, b"0000000\0"); // group
    put(124, format!("{bytes:0SIZE_DIGITS$o}\0").as_bytes());
    put(136, b"00000000000\0"); // time
    put(148, b"        "); // the sum is taken over blanks here
    put(156, b"0"); // a plain file
    put(257, b"ustar\x0000");
    put(329, b"0000000\0"); // device
    put(337, b"0000000\0");
    let sum: u32 = header.iter().copied().map(u32::from).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    header
}

/// What a header says, if it is spelled as [`header`] spells it.
fn parse(block: &[u8; BLOCK]) -> Option<(String, usize)> {
    let end = block[..NAME_BYTES].iter().position(|byte| *byte == 0).unwrap_or(NAME_BYTES);
    let name = std::str::from_utf8(&block[..end]).ok()?;
    let digits = std::str::from_utf8(&block[124..124 + SIZE_DIGITS]).ok()?;
    let bytes = usize::from_str_radix(digits, 8).ok()?;
    (header(name, bytes) == *block).then(|| (name.to_owned(), bytes))
}

/// Reads member after member; what is not asked for is never read.
pub struct Reader<R> {
    inner: R,
    /// Bytes read so far.
    at: usize,
}

impl<R: Read> Reader<R> {
    pub fn new(inner: R) -> Self {
        Self { inner, at: 0 }
    }

    /// Name and size of the next member; `None` at the end, after which there must be nothing.
    pub fn next(&mut self) -> Result<Option<(String, usize)>, Flaw> {
        let at = self.at;
        let mut block = EMPTY;
        self.fill(&mut block)?;
        if block != EMPTY {
            return match parse(&block) {
                Some(found) => Ok(Some(found)),
                None if at == 0 => Err(Flaw::NotAPackage),
                None => Err(Flaw::NotCanonical { at, what: "this header of a member".to_owned() }),
            };
        }
        if at == 0 {
            return Err(Flaw::NotAPackage);
        }
        self.fill(&mut block)?;
        if block != EMPTY {
            let what = "an empty block that is not followed by a second one".to_owned();
            return Err(Flaw::NotCanonical { at, what });
        }
        if self.inner.read(&mut [0]).map_err(Flaw::Unreadable)? != 0 {
            let what = "bytes behind the end".to_owned();
            return Err(Flaw::NotCanonical { at: self.at, what });
        }
        Ok(None)
    }

    /// The content of the member whose header came last; the caller has bounded `bytes`.
    pub fn content(&mut self, bytes: usize) -> Result<Vec<u8>, Flaw> {
        let mut content = vec![0; bytes];
        self.fill(&mut content)?;
        let mut rest = vec![0; padding(bytes)];
        let at = self.at;
        self.fill(&mut rest)?;
        if rest.iter().any(|byte| *byte != 0) {
            return Err(Flaw::NotCanonical { at, what: "padding that is not zero".to_owned() });
        }
        Ok(content)
    }

    fn fill(&mut self, buffer: &mut [u8]) -> Result<(), Flaw> {
        self.inner.read_exact(buffer).map_err(|error| match error.kind() {
            std::io::ErrorKind::UnexpectedEof if self.at == 0 => Flaw::NotAPackage,
            std::io::ErrorKind::UnexpectedEof => Flaw::CutShort { at: self.at },
            _ => Flaw::Unreadable(error),
        })?;
        self.at += buffer.len();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive() -> Vec<u8> {
        let mut out = Vec::new();
        append(&mut out, "a", b"hello\n");
        append(&mut out, &"n".repeat(NAME_BYTES), &[7; BLOCK]);
        finish(&mut out);
        out
    }

    fn read(bytes: &[u8]) -> Result<Vec<(String, Vec<u8>)>, Flaw> {
        let mut reader = Reader::new(bytes);
        let mut found = Vec::new();
        while let Some((name, size)) = reader.next()? {
            found.push((name, reader.content(size.min(bytes.len()))?));
        }
        Ok(found)
    }

    #[test]
    fn what_is_written_is_read() {
        let bytes = archive();
        assert_eq!(bytes.len(), 6 * BLOCK);
        let found = read(&bytes).expect("canonical");
        assert_eq!(found[0], ("a".to_owned(), b"hello\n".to_vec()));
        assert_eq!(found[1], ("n".repeat(NAME_BYTES), vec![7; BLOCK]));
    }

    #[test]
    fn every_other_spelling_is_refused() {
        let good = archive();
        for at in 0..good.len() {
            let mut bytes = good.clone();
            bytes[at] ^= 1;
            // Only the content of a member is free as far as the archive goes.
            let is_content =
                (BLOCK..BLOCK + 6).contains(&at) || (3 * BLOCK..4 * BLOCK).contains(&at);
            assert_eq!(read(&bytes).is_ok(), is_content, "byte {at}");
        }
        for length in 0..good.len() {
            assert!(read(&good[..length]).is_err(), "cut to {length}");
        }
        let mut longer = good;
        longer.push(0);
        assert!(matches!(read(&longer), Err(Flaw::NotCanonical { .. })));
    }

    /// Debian always has a tar; the point of the form is that a person can look with it.
    #[test]
    fn any_tar_program_reads_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("x.tar");
        std::fs::write(&file, archive()).expect("written");
        let out = std::process::Command::new("tar").arg("xOf").arg(&file).arg("a").output();
        let out = out.expect("tar is installed");
        assert!(out.status.success(), "{out:?}");
        assert_eq!(out.stdout, b"hello\n");
    }
}

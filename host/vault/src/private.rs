//! A small file that only its owner may read: a passphrase, a PIN, a key.

use crate::error::StoreError;
use crate::limits::SECRET_FILE_BYTES;
use crate::secret::Secret;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::Path;
use zeroize::Zeroizing;

/// Who may read such a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Readers {
    OwnerOnly,
    /// Whoever put it there has seen to it: systemd gives a unit's user access by a list beside the
    /// mode.
    AsItIs,
}

/// The bytes of `path`, refused when others may read them. Mode and bytes are of the same open file.
pub fn private_bytes(path: &Path) -> Result<Secret, StoreError> {
    bytes_of(path, Readers::OwnerOnly)
}

pub(crate) fn bytes_of(path: &Path, readers: Readers) -> Result<Secret, StoreError> {
    let unreadable =
        |source| StoreError::Unreadable { path: path.to_owned(), source: Box::new(source) };
    let file = File::open(path).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = metadata.permissions().mode() & 0o777;
        if readers == Readers::OwnerOnly && mode & 0o077 != 0 {
            return Err(StoreError::NotPrivate { path: path.to_owned(), mode });
        }
    }
    if metadata.len() > SECRET_FILE_BYTES {
        return Err(StoreError::TooLong { path: path.to_owned(), limit: SECRET_FILE_BYTES });
    }
    secret_from(file).map_err(unreadable)
}

/// All of a stream, up to the same bound; more than that is cut, and then fits nothing.
pub fn secret_from(stream: impl Read) -> std::io::Result<Secret> {
    // Room for all of it at once: a growing vector would leave copies behind.
    let room = usize::try_from(SECRET_FILE_BYTES).unwrap_or_default();
    let mut bytes = Zeroizing::new(Vec::with_capacity(room.saturating_add(1)));
    stream.take(SECRET_FILE_BYTES).read_to_end(&mut bytes)?;
    Ok(Secret::new(std::mem::take(&mut *bytes)))
}

/// A new file with a secret in it, private from its first byte on; one that is there is left alone.
pub fn write_private(path: &Path, secret: &Secret) -> Result<(), StoreError> {
    let write = || {
        let mut file = private_file(path, OpenOptions::new().write(true).create_new(true))?;
        file.write_all(secret.expose())?;
        file.write_all(b"\n")?;
        file.sync_all()
    };
    write().map_err(|source| StoreError::Unwritable {
        path: path.to_owned(),
        source: Box::new(source),
    })
}

/// Opened as `options` say; a file that is made is its owner's alone.
pub(crate) fn private_file(path: &Path, options: &mut OpenOptions) -> std::io::Result<File> {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options.open(path)
}

//! The encrypted vault file: opened whole, changed in memory, replaced whole.
//!
//! Invariant: a reader of the file sees the old keys or the new ones and nothing in between, after a
//! power cut too; two programs that change it at once take turns. The format stands in `seal.rs`
//! (outside) and `key_line.rs` (inside).

use crate::error::StoreError;
use crate::key_line::{self, KeyLine};
use crate::kind::{Kind, Use};
use crate::limits::{FILE_BYTES, PASSPHRASE_BYTES_MIN};
use crate::name::KeyId;
use crate::private::private_file;
use crate::seal::{self, Cost};
use crate::secret::Secret;
use crate::soft::Key;
use crate::sts;
use crate::vault::Vault;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

/// An open vault file. Only one may be open for change at a time; the second waits.
#[derive(Debug)]
pub struct KeyFile {
    path: PathBuf,
    passphrase: Secret,
    cost: Cost,
    keys: Vec<KeyLine>,
    /// Held for as long as this lives, where it was opened for change.
    _lock: Option<File>,
}

impl KeyFile {
    /// A new file without keys; one that is there already is left alone.
    pub fn create(path: &Path, passphrase: Secret, cost: Cost) -> Result<KeyFile, StoreError> {
        if passphrase.len() < PASSPHRASE_BYTES_MIN {
            return Err(StoreError::ShortPassphrase { least: PASSPHRASE_BYTES_MIN });
        }
        let exists = || StoreError::Exists { path: path.to_owned() };
        // Before the lock, which the vault that is there may hold, and again when it is ours.
        if path.exists() {
            return Err(exists());
        }
        let lock = locked(path)?;
        if path.exists() {
            return Err(exists());
        }
        let path = path.to_owned();
        let file = KeyFile { path, passphrase, cost, keys: Vec::new(), _lock: Some(lock) };
        file.save()?;
        Ok(file)
    }

    /// To answer drivers or to look at.
    pub fn open(path: &Path, passphrase: Secret) -> Result<KeyFile, StoreError> {
        KeyFile::read(path, passphrase, None)
    }

    /// To put keys in; waits for whoever is changing it now.
    pub fn open_to_change(path: &Path, passphrase: Secret) -> Result<KeyFile, StoreError> {
        let lock = locked(path)?;
        KeyFile::read(path, passphrase, Some(lock))
    }

    fn read(path: &Path, passphrase: Secret, lock: Option<File>) -> Result<KeyFile, StoreError> {
        let unreadable =
            |source| StoreError::Unreadable { path: path.to_owned(), source: Box::new(source) };
        let file = File::open(path).map_err(unreadable)?;
        let mut bytes = Vec::new();
        file.take(FILE_BYTES.saturating_add(1)).read_to_end(&mut bytes).map_err(unreadable)?;
        if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > FILE_BYTES {
            return Err(StoreError::TooLong { path: path.to_owned(), limit: FILE_BYTES });
        }
        let (plain, cost) = seal::opened(path, &passphrase, &bytes)?;
        let keys = key_line::parsed(&plain)
            .map_err(|line| StoreError::BadLine { path: path.to_owned(), line })?;
        Ok(KeyFile { path: path.to_owned(), passphrase, cost, keys, _lock: lock })
    }

    /// The keys, ready to answer.
    pub fn vault(&self) -> Vault {
        let mut vault = Vault::default();
        for KeyLine { id, version, usage, key } in &self.keys {
            vault.put_here(id.clone(), *version, *usage, key.clone());
        }
        vault
    }

    /// The first version of a key.
    pub fn add(
        &mut self,
        id: KeyId,
        kind: Kind,
        usage: Use,
        key: Secret,
    ) -> Result<(), StoreError> {
        if self.newest(&id).is_some() {
            return Err(StoreError::KeyExists(id.to_string()));
        }
        let key = checked(kind, key)?;
        self.keys.push(KeyLine { id, version: 1, usage, key });
        self.save()
    }

    /// A new version, which is the current one from now on; the older ones stay. Returns its number.
    pub fn rotate(&mut self, id: &KeyId, key: Secret) -> Result<u32, StoreError> {
        let Some(newest) = self.newest(id) else {
            return Err(StoreError::NoSuchKey(id.to_string()));
        };
        let (version, usage) = (newest.version.saturating_add(1), newest.usage);
        let key = checked(newest.key.kind(), key)?;
        self.keys.push(KeyLine { id: id.clone(), version, usage, key });
        self.save()?;
        Ok(version)
    }

    /// What a key is for, to generate one like it.
    pub fn kind(&self, id: &KeyId) -> Option<(Kind, usize)> {
        self.newest(id).map(|line| (line.key.kind(), line.key.bytes().len()))
    }

    /// All keys, sealed under another passphrase, in a new file.
    pub fn export(&self, path: &Path, passphrase: Secret, cost: Cost) -> Result<usize, StoreError> {
        let mut backup = KeyFile::create(path, passphrase, cost)?;
        backup.keys.clone_from(&self.keys);
        backup.save()?;
        Ok(self.keys.len())
    }

    /// Puts in what a backup has and this has not: all of it or, where a version is here with other
    /// bytes, nothing. Returns how many versions were put in.
    pub fn import(&mut self, backup: &KeyFile) -> Result<usize, StoreError> {
        let here = |line: &KeyLine| {
            self.keys.iter().find(|known| known.id == line.id && known.version == line.version)
        };
        let differs = |line: &&KeyLine| {
            here(line).is_some_and(|known| {
                known.key.bytes() != line.key.bytes()
                    || known.key.kind() != line.key.kind()
                    || known.usage != line.usage
            })
        };
        let conflicts: Vec<String> = backup
            .keys
            .iter()
            .filter(differs)
            .map(|line| format!("{}@{}", line.id, line.version))
            .collect();
        if !conflicts.is_empty() {
            return Err(StoreError::Conflict(conflicts.join(", ")));
        }
        let new: Vec<KeyLine> =
            backup.keys.iter().filter(|line| here(line).is_none()).cloned().collect();
        let count = new.len();
        self.keys.extend(new);
        self.save()?;
        Ok(count)
    }

    fn newest(&self, id: &KeyId) -> Option<&KeyLine> {
        let versions = self.keys.iter().filter(|line| line.id == *id);
        versions.max_by_key(|line| line.version)
    }

    /// Beside it, synced, and renamed over it; then the folder is synced.
    fn save(&self) -> Result<(), StoreError> {
        let sealed = seal::sealed(&self.passphrase, self.cost, &key_line::rendered(&self.keys))?;
        let beside = with_ending(&self.path, "new");
        let unwritable =
            |source| StoreError::Unwritable { path: self.path.clone(), source: Box::new(source) };
        let write = || -> std::io::Result<()> {
            match std::fs::remove_file(&beside) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
                // Of a writer that was killed: the lock says that there is no other.
                _ => {}
            }
            let mut file = private_file(&beside, OpenOptions::new().write(true).create_new(true))?;
            file.write_all(&sealed)?;
            file.sync_all()?;
            std::fs::rename(&beside, &self.path)?;
            let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
            File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
        };
        write().map_err(unwritable)
    }
}

fn checked(kind: Kind, key: Secret) -> Result<Key, StoreError> {
    let found = key.len();
    let lengths = kind.lengths();
    let key = Key::new(kind, key).ok_or(StoreError::KeyLength { kind, lengths, found })?;
    if kind == Kind::StsTables && sts::tables(&key).is_err() {
        return Err(StoreError::NotTables);
    }
    Ok(key)
}

/// A lock file of its own, because the file itself is replaced.
fn locked(path: &Path) -> Result<File, StoreError> {
    let path = with_ending(path, "lock");
    let lock = private_file(&path, OpenOptions::new().write(true).create(true).truncate(false));
    let lock = lock.and_then(|lock| lock.lock().map(|()| lock));
    lock.map_err(|source| StoreError::Unwritable { path, source: Box::new(source) })
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    PathBuf::from(name)
}

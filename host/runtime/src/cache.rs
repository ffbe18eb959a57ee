//! Native code on disk, so that a driver is compiled once per machine and engine.
//!
//! Invariant: nothing leaves this cache that did not go into it. The engine maps native code as it
//! is and would run whatever a flipped bit or a foreign hand made of it, so every file carries a MAC
//! under a key of this host over all that it says, and the bytes that were checked are the bytes
//! that are used. Not here: who compiles (compile), which program may (compile_worker).
//!
//! A file `<component's SHA-256>-<engine's hash, first half>.native` is, in this order: 16 bytes of
//! mark, the component's SHA-256, the engine's compatibility hash, the code's length (8 bytes, little
//! endian), the HMAC-SHA-256 of those four and the code, and the code.

use crate::limits::{CACHE_BYTES, NATIVE_CODE_BYTES_MOST};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

const MARK: &[u8; 16] = b"polymeter-code-1";
const MAC_AT: usize = 16 + 32 + 32 + 8;
const HEAD: usize = MAC_AT + 32;
const EXTENSION: &str = "native";
const KEY: &str = "key";
/// One block of the hash.
const KEY_BYTES: usize = 64;
/// A file that is being written, by this process or one that was killed over it.
const UNFINISHED: &str = "unfinished-";
const UNFINISHED_TIME: Duration = Duration::from_secs(3600);

/// Which code it is: of which component, for which engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CodeId {
    pub(crate) component: [u8; 32],
    pub(crate) engine: [u8; 32],
}

/// The folder, and the key that this host made for it.
pub(crate) struct Cache {
    folder: PathBuf,
    key: [u8; KEY_BYTES],
    bytes_most: u64,
}

impl std::fmt::Debug for Cache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cache").field("folder", &self.folder).finish_non_exhaustive()
    }
}

/// Why there is no code of that id.
#[derive(Debug, PartialEq, Eq)]
enum Miss {
    Absent,
    /// There is a file, and it must not be used.
    Refused(String),
}

impl Cache {
    /// Makes folder and key where they are missing. A sentence if others could have a hand in them.
    pub(crate) fn open(folder: &Path) -> Result<Cache, String> {
        let shown = folder.display();
        let failed = |error: io::Error| format!("the folder {shown} cannot be used: {error}");
        if let Some(parent) = folder.parent() {
            std::fs::create_dir_all(parent).map_err(failed)?;
        }
        match DirBuilder::new().mode(0o700).create(folder) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(failed(error)),
            _ => {}
        }
        let found = std::fs::symlink_metadata(folder).map_err(failed)?;
        if !found.is_dir() {
            return Err(format!("{shown} is no folder: name another one, or remove it"));
        }
        ours(folder, &found, 0o022)?;
        let key = key(folder)?;
        let cache = Cache { folder: folder.to_owned(), key, bytes_most: CACHE_BYTES };
        cache.sweep();
        Ok(cache)
    }

    /// The code of that id, if it is there and as it was put there. What is not is deleted and told.
    pub(crate) fn load(&self, id: &CodeId) -> Option<Vec<u8>> {
        match self.read(id) {
            Ok(code) => Some(code),
            Err(Miss::Absent) => None,
            Err(Miss::Refused(why)) => {
                let file = self.file(id);
                let shown = file.display().to_string();
                let removed = std::fs::remove_file(&file);
                let removal = removed.err().map(|error| error.to_string());
                tracing::warn!(
                    file = shown,
                    why,
                    not_removed = removal,
                    "cached native code is not as it was made: refused, deleted, compiled anew"
                );
                None
            }
        }
    }

    /// Puts the code in place in one step. A cache that cannot be written costs time only.
    pub(crate) fn store(&self, id: &CodeId, code: &[u8]) {
        if let Err(error) = self.write(id, code) {
            let folder = self.folder.display().to_string();
            tracing::warn!(folder, %error, "native code was not cached: it is compiled every time");
        }
        self.sweep();
    }

    fn read(&self, id: &CodeId) -> Result<Vec<u8>, Miss> {
        let refused = |error: io::Error| Miss::Refused(error.to_string());
        let path = self.file(id);
        let file = match open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Err(Miss::Absent),
            Err(error) => return Err(refused(error)),
        };
        let found = file.metadata().map_err(refused)?;
        if !found.is_file() {
            return Err(Miss::Refused("it is no file".to_owned()));
        }
        ours(&path, &found, 0o022).map_err(Miss::Refused)?;
        let mut bytes = Vec::new();
        let most = (HEAD + NATIVE_CODE_BYTES_MOST) as u64;
        (&file).take(most + 1).read_to_end(&mut bytes).map_err(refused)?;
        self.check(id, &bytes).map_err(|why| Miss::Refused(why.to_owned()))?;
        // The longest unused goes first, so a use is noted; if it cannot be, nothing is lost.
        let _ = file.set_modified(SystemTime::now());
        Ok(bytes.split_off(HEAD))
    }

    /// Whether `bytes` are a whole file of that id, made with our key.
    fn check(&self, id: &CodeId, bytes: &[u8]) -> Result<(), &'static str> {
        let (Some(head), Some(mac), Some(code)) =
            (bytes.get(..MAC_AT), bytes.get(MAC_AT..HEAD), bytes.get(HEAD..))
        else {
            return Err("it is cut short");
        };
        if head != Self::head(id, code.len()) {
            return Err("it is another component's, another engine's, or not whole");
        }
        // Compares in constant time.
        self.mac(head, code).verify_slice(mac).map_err(|_| "its bytes are not those of its MAC")
    }

    fn head(id: &CodeId, code_bytes: usize) -> Vec<u8> {
        let mut head = Vec::with_capacity(HEAD);
        head.extend_from_slice(MARK);
        head.extend_from_slice(&id.component);
        head.extend_from_slice(&id.engine);
        head.extend_from_slice(&(code_bytes as u64).to_le_bytes());
        head
    }

    fn mac(&self, head: &[u8], code: &[u8]) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new(&self.key.into());
        mac.update(head);
        mac.update(code);
        mac
    }

    fn write(&self, id: &CodeId, code: &[u8]) -> io::Result<()> {
        let head = Self::head(id, code.len());
        let mac = self.mac(&head, code).finalize().into_bytes();
        let unfinished = unfinished(&self.folder);
        let written = create(&unfinished).and_then(|mut file| {
            file.write_all(&head)?;
            file.write_all(&mac)?;
            file.write_all(code)?;
            file.sync_all()?;
            std::fs::rename(&unfinished, self.file(id))?;
            File::open(&self.folder)?.sync_all()
        });
        if written.is_err() {
            let _ = std::fs::remove_file(&unfinished);
        }
        written
    }

    fn file(&self, id: &CodeId) -> PathBuf {
        let (half, _) = id.engine.split_at(16);
        let name = format!("{}-{}.{EXTENSION}", hex::encode(id.component), hex::encode(half));
        self.folder.join(name)
    }

    /// Removes what was longest unused until the rest fits, and what a killed process left behind.
    fn sweep(&self) {
        let Ok(entries) = std::fs::read_dir(&self.folder) else { return };
        let mut files = Vec::new();
        for entry in entries.flatten() {
            let path = entry.path();
            let Ok(found) = entry.metadata() else { continue };
            let used = found.modified().unwrap_or(SystemTime::UNIX_EPOCH);
            if path.extension().is_some_and(|extension| extension == EXTENSION) {
                files.push((used, found.len(), path));
            } else if entry.file_name().to_string_lossy().starts_with(UNFINISHED)
                && used.elapsed().is_ok_and(|age| age > UNFINISHED_TIME)
            {
                let _ = std::fs::remove_file(path);
            }
        }
        files.sort();
        let mut bytes: u64 = files.iter().map(|(_, bytes, _)| bytes).sum();
        for (_, its, path) in files {
            if bytes <= self.bytes_most {
                break;
            }
            bytes -= its;
            let _ = std::fs::remove_file(path);
        }
    }
}

/// A sentence if `found` is not our own, or grants others what it should not.
fn ours(path: &Path, found: &std::fs::Metadata, forbidden: u32) -> Result<(), String> {
    let shown = path.display();
    let us = nix::unistd::geteuid().as_raw();
    if found.uid() != us {
        let owner = found.uid();
        return Err(format!(
            "{shown} belongs to user {owner}, this program runs as {us}: native code is only taken \
             from what is our own; give it to {us}, or name another folder"
        ));
    }
    let mode = found.mode() & 0o777;
    if mode & forbidden != 0 {
        let mend = 0o700 & mode;
        return Err(format!(
            "{shown} is open to others (mode {mode:03o}), who could put code there that this \
             program would run: chmod {mend:03o} it, and empty it if they may have done so"
        ));
    }
    Ok(())
}

/// This host's key for this folder, made at first use.
fn key(folder: &Path) -> Result<[u8; KEY_BYTES], String> {
    let path = folder.join(KEY);
    let shown = path.display();
    let failed = |error: io::Error| format!("the key {shown} cannot be used: {error}");
    let file = match open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            make_key(folder, &path).map_err(failed)?;
            open(&path).map_err(failed)?
        }
        Err(error) => return Err(failed(error)),
    };
    ours(&path, &file.metadata().map_err(failed)?, 0o077)?;
    let mut bytes = Vec::new();
    file.take(KEY_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
    bytes.try_into().map_err(|_| format!("the key {shown} has not {KEY_BYTES} bytes: remove it"))
}

/// Of two processes that start at the same time one makes the key, and both use that one.
fn make_key(folder: &Path, path: &Path) -> io::Result<()> {
    let mut key = [0; KEY_BYTES];
    getrandom::fill(&mut key).map_err(io::Error::other)?;
    let unfinished = unfinished(folder);
    let mut file = create(&unfinished)?;
    let made =
        file.write_all(&key).and_then(|()| file.sync_all()).and_then(
            |()| match std::fs::hard_link(&unfinished, path) {
                Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
                _ => File::open(folder)?.sync_all(),
            },
        );
    let _ = std::fs::remove_file(&unfinished);
    made
}

fn unfinished(folder: &Path) -> PathBuf {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    folder.join(format!("{UNFINISHED}{}-{number}", std::process::id()))
}

fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// Never through a link that somebody else may have laid, never waiting for a pipe's other end.
fn open(path: &Path) -> io::Result<File> {
    let flags = nix::fcntl::OFlag::O_NOFOLLOW | nix::fcntl::OFlag::O_NONBLOCK;
    OpenOptions::new().read(true).custom_flags(flags.bits()).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    const ID: CodeId = CodeId { component: [1; 32], engine: [2; 32] };

    fn code() -> Vec<u8> {
        (0..10_000_u32).flat_map(u32::to_le_bytes).collect()
    }

    fn filled(folder: &Path) -> (Cache, PathBuf) {
        let cache = Cache::open(&folder.join("cache")).expect("opens");
        cache.store(&ID, &code());
        let file = cache.file(&ID);
        (cache, file)
    }

    fn refused(cache: &Cache, file: &Path, what: &str) {
        assert!(matches!(cache.read(&ID), Err(Miss::Refused(_))), "{what}: taken");
        assert_eq!(cache.load(&ID), None, "{what}");
        assert!(!file.exists(), "{what}: deleted");
    }

    #[test]
    fn what_was_put_in_comes_out_in_this_and_the_next_process() {
        let folder = tempfile::tempdir().expect("a folder");
        let (cache, file) = filled(folder.path());
        assert_eq!(cache.load(&ID), Some(code()));
        assert_eq!(cache.load(&CodeId { component: [3; 32], ..ID }), None);
        let again = Cache::open(&folder.path().join("cache")).expect("opens again");
        assert_eq!(again.load(&ID), Some(code()), "the key was kept");
        let mode = |path: &Path| std::fs::metadata(path).expect("there").mode() & 0o777;
        assert_eq!(mode(&cache.folder), 0o700);
        assert_eq!(mode(&cache.folder.join(KEY)), 0o600);
        assert_eq!(mode(&file), 0o600);
    }

    #[test]
    fn a_flipped_bit_anywhere_in_the_head_and_everywhere_it_was_tried_in_the_code_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let (cache, file) = filled(folder.path());
        let whole = std::fs::read(&file).expect("the file");
        assert_eq!(cache.check(&ID, &whole), Ok(()));
        // Every bit of mark, hashes, length and MAC; then every 61st byte of the code, which with
        // 40 000 bytes are 655 places, and the last one.
        let head = (0..HEAD).flat_map(|at| (0..8).map(move |bit| (at, bit)));
        let code = (HEAD..whole.len()).step_by(61).map(|at| (at, at % 8));
        let places: Vec<_> = head.chain(code).chain([(whole.len() - 1, 7)]).collect();
        for (at, bit) in &places {
            let mut flipped = whole.clone();
            if let Some(byte) = flipped.get_mut(*at) {
                *byte ^= 1 << bit;
            }
            assert!(cache.check(&ID, &flipped).is_err(), "byte {at}, bit {bit}: taken");
        }
        assert_eq!(places.len(), HEAD * 8 + 657);
        // A few through the disk, with what follows.
        for at in [0, 20, 60, 81, MAC_AT, HEAD, whole.len() - 1] {
            let mut flipped = whole.clone();
            if let Some(byte) = flipped.get_mut(at) {
                *byte ^= 0x10;
            }
            std::fs::write(&file, &flipped).expect("written");
            refused(&cache, &file, "flipped");
            cache.store(&ID, &code_of(&whole));
            assert_eq!(cache.load(&ID), Some(code_of(&whole)), "and made anew");
        }
    }

    fn code_of(file: &[u8]) -> Vec<u8> {
        file.get(HEAD..).expect("a head").to_vec()
    }

    #[test]
    fn a_file_cut_short_or_grown_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let (cache, file) = filled(folder.path());
        let whole = std::fs::read(&file).expect("the file");
        for length in (0..whole.len()).step_by(97).chain([HEAD - 1, HEAD, whole.len() - 1]) {
            let part = whole.get(..length).expect("shorter");
            assert!(cache.check(&ID, part).is_err(), "{length} bytes");
        }
        let mut grown = whole.clone();
        grown.push(0);
        assert!(cache.check(&ID, &grown).is_err(), "a byte more");
        std::fs::write(&file, whole.get(..whole.len() / 2).expect("half")).expect("written");
        refused(&cache, &file, "cut");
    }

    #[test]
    fn a_file_from_elsewhere_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let (cache, file) = filled(folder.path());
        // Another host's, under the right name.
        let other = Cache::open(&folder.path().join("other")).expect("opens");
        other.store(&ID, b"evil");
        std::fs::copy(other.file(&ID), &file).expect("copied");
        refused(&cache, &file, "another key's");
        // Our own, of another component and of another engine, under this one's name.
        for id in [CodeId { component: [9; 32], ..ID }, CodeId { engine: [9; 32], ..ID }] {
            cache.store(&id, b"right, elsewhere");
            std::fs::rename(cache.file(&id), &file).expect("renamed");
            refused(&cache, &file, "another's");
        }
        // A link to a good file, and one that others may write.
        cache.store(&ID, b"good");
        let aside = folder.path().join("aside");
        std::fs::rename(&file, &aside).expect("moved");
        std::os::unix::fs::symlink(&aside, &file).expect("linked");
        refused(&cache, &file, "a link");
        cache.store(&ID, b"good");
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o666)).expect("opened");
        refused(&cache, &file, "others may write it");
    }

    #[test]
    fn a_folder_or_key_that_others_have_a_hand_in_is_refused() {
        let root = tempfile::tempdir().expect("a folder");
        let folder = root.path().join("cache");
        let check = |path: &Path, mode: u32, sentence: &str| {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("set");
            match Cache::open(&folder) {
                Ok(_) => panic!("{path:?} with {mode:o} was taken"),
                Err(why) => assert!(why.contains(sentence), "{why}"),
            }
        };
        drop(Cache::open(&folder).expect("made"));
        check(&folder, 0o770, "open to others (mode 770), who could put code there");
        check(&folder, 0o777, "chmod 700 it, and empty it");
        std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o755)).expect("set");
        drop(Cache::open(&folder).expect("others may look"));
        let key = folder.join(KEY);
        check(&key, 0o640, "open to others (mode 640)");
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).expect("set");
        std::fs::write(&key, b"short").expect("written");
        check(&key, 0o600, "has not 64 bytes");
        std::fs::remove_file(&key).expect("removed");
        drop(Cache::open(&folder).expect("a new key"));
        let file = root.path().join("file");
        std::fs::write(&file, b"").expect("written");
        assert!(Cache::open(&file).expect_err("a file").contains("is no folder"));
        if nix::unistd::geteuid().is_root() {
            // Only root may give a folder away.
            std::os::unix::fs::chown(&folder, Some(1), None).expect("given");
            let why = Cache::open(&folder).expect_err("somebody else's");
            assert!(why.contains("belongs to user 1, this program runs as 0"), "{why}");
        }
    }

    #[test]
    fn the_longest_unused_goes_first() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut cache = Cache::open(&folder.path().join("cache")).expect("opens");
        let file_bytes = (HEAD + 1_000) as u64;
        cache.bytes_most = 3 * file_bytes;
        let id = |number: u8| CodeId { component: [number; 32], ..ID };
        let aged = |number: u8, age: u64| {
            let file = File::open(cache.file(&id(number))).expect("there");
            file.set_modified(SystemTime::now() - Duration::from_secs(age)).expect("set");
        };
        for number in 0..3 {
            cache.store(&id(number), &[number; 1_000]);
            aged(number, 100 - u64::from(number));
        }
        assert!(cache.load(&id(0)).is_some(), "the oldest, and now just used");
        cache.store(&id(3), &[3; 1_000]);
        assert_eq!(cache.load(&id(1)), None, "so this one went");
        for number in [0, 2, 3] {
            assert_eq!(cache.load(&id(number)), Some(vec![number; 1_000]));
        }
        let left = cache.folder.join(format!("{UNFINISHED}1-1"));
        let file = File::create(&left).expect("made");
        file.set_modified(SystemTime::now() - 2 * UNFINISHED_TIME).expect("set");
        cache.sweep();
        assert!(!left.exists());
    }
}

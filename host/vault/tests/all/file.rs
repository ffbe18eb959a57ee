//! The vault file: what goes in comes out, what was changed does not open, and a writer that dies
//! leaves the old file.

use crate::{scope, vendor};
use polymeter_vault::{Cost, KeyFile, KeyId, Kind, Label, Secret, StoreError, Use, private_bytes};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

fn passphrase() -> Secret {
    Secret::new(b"correct horse battery".to_vec())
}

fn id(label: &str) -> KeyId {
    KeyId { vendor: vendor("ACME"), region: None, label: Label::new(label).expect("a label") }
}

fn filled(path: &Path) -> KeyFile {
    let mut file = KeyFile::create(path, passphrase(), Cost::GENERATED).expect("a vault");
    for (label, kind, length) in [
        ("des", Kind::TripleDes, 16),
        ("aes", Kind::Aes, 32),
        ("sm4", Kind::Sm4, 16),
        ("hmac", Kind::Hmac, 20),
        ("dlms", Kind::Dlms, 64),
    ] {
        let key = Secret::random(length).expect("random");
        file.add(id(label), kind, Use::Anything, key).expect("added");
    }
    file.rotate(&id("aes"), Secret::random(16).expect("random")).expect("rotated");
    file
}

#[test]
fn what_goes_in_comes_out() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("keys.vault");
    let file = filled(&path);
    let expected = file.vault().list();
    assert_eq!(expected.len(), 6);
    drop(file);
    let again = KeyFile::open(&path, passphrase()).expect("opened");
    assert_eq!(again.vault().list(), expected);
    let mode = std::fs::metadata(&path).expect("a file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(scope().to_string(), "vendor ACME");
}

#[test]
fn no_byte_of_it_is_free() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("keys.vault");
    drop(filled(&path));
    let whole = std::fs::read(&path).expect("the file");
    let other = folder.path().join("other.vault");
    let opens = |bytes: &[u8]| {
        std::fs::write(&other, bytes).expect("written");
        KeyFile::open(&other, passphrase()).is_ok()
    };
    assert!(opens(&whole));
    for index in 0..whole.len() {
        let mut changed = whole.clone();
        changed[index] ^= 1;
        assert!(!opens(&changed), "byte {index} was changed");
    }
    for length in (0..whole.len()).step_by(7) {
        assert!(!opens(&whole[..length]), "cut to {length}");
    }
    assert!(!opens(&[&whole[..], b"\0"].concat()), "longer");
}

/// A hostile header must not cost memory or hours.
#[test]
fn what_opening_may_cost_is_bounded() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("keys.vault");
    drop(filled(&path));
    let whole = std::fs::read(&path).expect("the file");
    for (offset, what) in [(11, "memory"), (15, "passes"), (19, "lanes")] {
        let mut changed = whole.clone();
        changed[offset..offset + 4].fill(0x7f);
        std::fs::write(&path, &changed).expect("written");
        let error = KeyFile::open(&path, passphrase()).expect_err(what).to_string();
        assert!(error.ends_with("would cost more memory or time than is allowed"), "{error}");
    }
    let mut newer = whole;
    newer[9] = 2;
    std::fs::write(&path, &newer).expect("written");
    let error = KeyFile::open(&path, passphrase()).expect_err("newer").to_string();
    assert!(error.ends_with("is a vault of format 2, and this program knows format 1"), "{error}");
}

#[test]
fn refusals_say_why() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("keys.vault");
    let mut file = filled(&path);
    let key = || Secret::new(vec![1; 16]);
    let told = |error: StoreError| error.to_string().replace(&path.display().to_string(), "F");
    let refused = file.add(id("aes"), Kind::Aes, Use::Anything, key()).expect_err("there");
    assert_eq!(
        told(refused),
        "there is a key ACME aes already: `vault rotate` gives it a new version"
    );
    let refused = file.rotate(&id("new"), key()).expect_err("none");
    assert_eq!(told(refused), "there is no key ACME new: `vault add` puts in a first one");
    let refused = file.add(id("x"), Kind::Aes, Use::Anything, Secret::new(vec![1; 24]));
    assert_eq!(
        told(refused.expect_err("length")),
        "a key for aes has 16 or 32 bytes, and this one has 24"
    );
    drop(file);
    let wrong = Secret::new(b"correct horse batterz".to_vec());
    assert_eq!(
        told(KeyFile::open(&path, wrong).expect_err("wrong")),
        "F does not open: the passphrase is another one, or the file was changed"
    );
    let short =
        KeyFile::create(&folder.path().join("b"), Secret::new(b"short".to_vec()), Cost::PERSON);
    assert_eq!(
        told(short.expect_err("short")),
        "the passphrase has fewer than 12 bytes: take a longer one"
    );
    let again = KeyFile::create(&path, passphrase(), Cost::GENERATED).expect_err("there");
    assert_eq!(told(again), "F is there already");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).expect("chmod");
    assert_eq!(
        told(private_bytes(&path).expect_err("open")),
        "F may be read by others (mode 640): chmod 600 F"
    );
}

#[test]
fn a_backup_opens_under_its_own_passphrase_and_comes_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("keys.vault");
    let file = filled(&path);
    let other = || Secret::new(b"another passphrase".to_vec());
    let backup = folder.path().join("backup.vault");
    assert_eq!(file.export(&backup, other(), Cost::PERSON).expect("exported"), 6);
    assert!(KeyFile::open(&backup, passphrase()).is_err());
    let backup = KeyFile::open(&backup, other()).expect("opened");

    // Into an empty vault: all. Into the same again: nothing. Into another with the same name: no.
    let restored = folder.path().join("restored.vault");
    let mut restored = KeyFile::create(&restored, passphrase(), Cost::GENERATED).expect("a vault");
    assert_eq!(restored.import(&backup).expect("imported"), 6);
    assert_eq!(restored.vault().list(), file.vault().list());
    assert_eq!(restored.import(&backup).expect("imported"), 0);
    let differs = folder.path().join("differs.vault");
    let mut differs = KeyFile::create(&differs, passphrase(), Cost::GENERATED).expect("a vault");
    let key = Secret::new(vec![1; 16]);
    differs.add(id("sm4"), Kind::Sm4, Use::Anything, key).expect("added");
    let error = differs.import(&backup).expect_err("conflict").to_string();
    assert_eq!(
        error,
        "these keys are in the vault already and differ from the backup's: ACME sm4@1"
    );
    assert_eq!(differs.vault().list().len(), 1, "nothing was put in");
}

/// What a killed writer leaves beside the file is in nobody's way; writers take turns.
#[test]
fn writers_take_turns_and_may_die() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("keys.vault");
    drop(filled(&path));
    std::fs::write(folder.path().join("keys.vault.new"), b"half of a fi").expect("written");
    let add = |label: String| {
        let path = path.clone();
        std::thread::spawn(move || {
            let mut file = KeyFile::open_to_change(&path, passphrase()).expect("opened");
            let key = Secret::random(16).expect("random");
            file.add(id(&label), Kind::Aes, Use::Anything, key).expect("added");
        })
    };
    let writers: Vec<_> = (0..8).map(|number| add(format!("key-{number}"))).collect();
    for writer in writers {
        writer.join().expect("a writer");
    }
    let file = KeyFile::open(&path, passphrase()).expect("opened");
    assert_eq!(file.vault().list().len(), 6 + 8, "no writer undid another's");
}

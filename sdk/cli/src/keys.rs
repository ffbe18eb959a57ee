//! A vendor's keys as files, and packages signed with them. The files are minisign's.
//!
//! Invariant: a secret key's file is made for its owner alone (0600) and read only if it still is; it
//! has a password unless its owner said otherwise in so many words.

use anyhow::{Context, Result, bail, ensure};
use polymeter_package::{PublicKey, Role, Sealed, SecretKey};
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Where a password comes from when nobody sits at a terminal.
pub const PASSWORD: &str = "POLYMETER_SDK_PASSWORD";
/// A secret key's text has about 300 bytes.
const KEY_BYTES: u64 = 4 << 10;

/// Makes `<stem>.key` and `<stem>.pub`; neither may exist. Without a password the key's file is all
/// that it takes to sign.
pub fn generate(stem: &Path, password: Option<String>) -> Result<PublicKey> {
    let (secret_path, public_path) = (with_end(stem, "key"), with_end(stem, "pub"));
    for path in [&secret_path, &public_path] {
        ensure!(!path.exists(), "{} exists: choose another name", path.display());
    }
    let (secret, public) = SecretKey::generate(password)?;
    let mut file = std::fs::File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&secret_path)
        .with_context(|| format!("making {}", secret_path.display()))?;
    file.write_all(secret.as_bytes()).and_then(|()| file.sync_all())?;
    std::fs::write(&public_path, public.to_file())
        .with_context(|| format!("writing {}", public_path.display()))?;
    Ok(public)
}

fn with_end(stem: &Path, end: &str) -> PathBuf {
    let mut name = stem.as_os_str().to_owned();
    name.push(".");
    name.push(end);
    PathBuf::from(name)
}

/// Reads a secret key. `password` is asked for only where the key has one.
pub fn read(path: &Path, password: impl FnOnce() -> Result<String>) -> Result<SecretKey> {
    let shown = path.display();
    let found = std::fs::metadata(path).with_context(|| format!("reading {shown}"))?;
    let mode = found.permissions().mode();
    ensure!(
        mode & 0o077 == 0,
        "{shown} may be read by others (mode {:03o}): chmod 600 {shown}",
        mode & 0o777
    );
    ensure!(found.is_file() && found.len() <= KEY_BYTES, "{shown} is no secret key");
    let text = std::fs::read_to_string(path).with_context(|| format!("reading {shown}"))?;
    let password = SecretKey::is_protected(&text).then(password).transpose()?;
    SecretKey::parse(&text, password).with_context(|| format!("{shown}"))
}

/// From the environment, else from the terminal; a new one is asked for twice.
pub fn password(is_new: bool) -> Result<String> {
    if let Ok(password) = std::env::var(PASSWORD) {
        ensure!(!password.is_empty(), "{PASSWORD} is empty");
        return Ok(password);
    }
    let ask = |prompt: &str| {
        rpassword::prompt_password(prompt).with_context(|| {
            format!("no terminal to ask for the key's password: set {PASSWORD} instead")
        })
    };
    let password = ask("Password of the secret key: ")?;
    if is_new {
        ensure!(!password.is_empty(), "no password: say --without-password if that is meant");
        if ask("The same again: ")? != password {
            bail!("the two are not the same");
        }
    }
    Ok(password)
}

/// Signs the package `file` in its place.
pub fn sign(file: &Path, role: Role, key: &SecretKey) -> Result<()> {
    let signed = Sealed::read_file(file)?.sign(role, key)?;
    signed.write_file(file).with_context(|| format!("writing {}", file.display()))
}

/// Puts a signature that minisign made of `contents` into the package `file`.
pub fn attach(file: &Path, role: Role, signature: &Path) -> Result<()> {
    let text = std::fs::read_to_string(signature)
        .with_context(|| format!("reading {}", signature.display()))?;
    let signed = Sealed::read_file(file)?.with_signature(role, &text)?;
    signed.write_file(file).with_context(|| format!("writing {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use polymeter_package::{Parts, Trust, Verdict};

    const MANIFEST: &str = "name = \"x\"\nmodels = []\nversion = \"1.0.0\"\ncontract = \"1.0.0\"\n\
         imports = []\nproof = \"none\"\npurse = \"none\"\n\
         [[vendor]]\ncode = \"X\"\nname-en = \"X\"\nname-zh = \"X\"\n";

    fn never() -> Result<String> {
        bail!("a password was asked for")
    }

    #[test]
    fn a_key_is_its_owners_alone_and_signs() {
        let folder = tempfile::tempdir().expect("a folder");
        let stem = folder.path().join("vendor");
        let public = generate(&stem, Some("secret words".to_owned())).expect("a key");
        let path = folder.path().join("vendor.key");
        let mode = std::fs::metadata(&path).expect("a file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let text = std::fs::read_to_string(folder.path().join("vendor.pub")).expect("a file");
        assert_eq!(PublicKey::parse(&text).expect("a public key"), public);
        assert!(generate(&stem, None).expect_err("again").to_string().contains("exists"));

        let error = read(&path, || Ok("other words".to_owned())).expect_err("another password");
        assert!(format!("{error:#}").ends_with("is protected by another password"), "{error:#}");
        let key = read(&path, || Ok("secret words".to_owned())).expect("the password");

        let file = folder.path().join("x.pmdriver");
        let parts = Parts { manifest: MANIFEST.to_owned(), ..Parts::default() };
        Sealed::pack("x", parts).expect("packs").write_file(&file).expect("written");
        sign(&file, Role::Vendor, &key).expect("signs");
        let trust = Trust {
            vendor: polymeter_domain::VendorCode::new("X").expect("a code"),
            signers: vec![public.clone()],
            counter_signer: None,
            allow_unsigned: false,
        };
        let package = Sealed::read_file(&file).expect("reads").open(&trust);
        let signer = public.id();
        let expected = Verdict::Signed { signer, counter_signer: None };
        assert_eq!(package.expect("signed").verdict, expected);

        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).expect("a mode");
        let error = read(&path, never).expect_err("open to others").to_string();
        assert!(error.contains("may be read by others (mode 640): chmod 600 "), "{error}");
    }

    #[test]
    fn a_key_without_a_password_asks_for_none() {
        let folder = tempfile::tempdir().expect("a folder");
        let public = generate(&folder.path().join("k"), None).expect("a key");
        let key = read(&folder.path().join("k.key"), never).expect("no password");
        assert_eq!(key.public().expect("its public key"), public);
    }
}

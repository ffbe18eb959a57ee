//! A whole package: made, read, signed, judged; every way of tampering is refused with its sentence.

use crate::*;
use ct_codecs::{Base64, Decoder as _, Encoder as _};
use polymeter_domain::VendorCode;
use std::path::Path;
use std::process::{Command, Output};

const MANIFEST: &str = r#"name = "acme-halo"
version = "1.2.0"
contract = "1.0.0"
models = ["HALO-1"]
imports = ["line"]
proof = "none"
purse = "none"
[[vendor]]
code = "ACME"
name-en = "Acme"
name-zh = "艾克米"
"#;

fn parts() -> Parts {
    let transcript = |ending, name: &str| Transcript {
        ending,
        name: name.to_owned(),
        text: "source: synthetic\n".to_owned(),
    };
    Parts {
        manifest: MANIFEST.to_owned(),
        component: b"\0asm\x0d\0\x01\0".to_vec(),
        readme: "# acme-halo\n".to_owned(),
        transcripts: vec![transcript(Ending::Ok, "read"), transcript(Ending::Broken, "read")],
        licences: vec![Licence { name: "serde-1--MIT".to_owned(), text: "MIT\n".to_owned() }],
    }
}

fn packed() -> Sealed {
    Sealed::pack("acme.pmdriver", parts()).expect("packs")
}

fn key() -> (SecretKey, PublicKey) {
    let (text, public) = SecretKey::generate(None).expect("a key");
    (SecretKey::parse(&text, None).expect("its own text"), public)
}

fn trust(signers: &[&PublicKey]) -> Trust {
    Trust {
        vendor: VendorCode::new("ACME").expect("a code"),
        signers: signers.iter().map(|key| (*key).clone()).collect(),
        counter_signer: None,
        allow_unsigned: false,
    }
}

fn open(bytes: &[u8], trust: &Trust) -> Result<Package, PackageError> {
    Sealed::read("acme.pmdriver", bytes)?.open(trust)
}

#[track_caller]
fn refused(bytes: &[u8], trust: &Trust, sentence: &str) {
    let error = open(bytes, trust).expect_err(sentence);
    assert_eq!(error.to_string(), format!("acme.pmdriver: {sentence}"));
}

#[test]
fn what_is_packed_is_read() {
    let (secret, public) = key();
    let bytes = packed().sign(Role::Vendor, &secret).expect("signs").to_bytes();
    let package = open(&bytes, &trust(&[&public])).expect("opens");
    assert_eq!(package.manifest.name, "acme-halo");
    assert_eq!(package.component, parts().component);
    assert_eq!(package.readme, parts().readme);
    assert_eq!(package.licences, parts().licences);
    let members: Vec<_> = package.transcripts.iter().map(Transcript::member).collect();
    assert_eq!(members, ["transcripts/broken/read.transcript", "transcripts/ok/read.transcript"]);
    assert_eq!(package.verdict, Verdict::Signed { signer: public.id(), counter_signer: None });
    let again = Sealed::read("x", bytes.as_slice()).expect("reads");
    assert_eq!(again.to_bytes(), bytes, "re-encoding gives the same bytes");
    assert_eq!(again.digest(), packed().digest(), "signing does not change the digest");
}

#[test]
fn packing_is_the_same_every_time_and_shows_the_readers_problems() {
    assert_eq!(packed().to_bytes(), packed().to_bytes());
    let mut bad = parts();
    bad.manifest = bad.manifest.replace("\"none\"", "\"faith\"");
    let error = Sealed::pack("acme.pmdriver", bad).expect_err("a bad manifest").to_string();
    assert!(
        error.starts_with("acme.pmdriver: driver.toml is refused:\ndriver.toml:6: "),
        "{error}"
    );
    let mut bad = parts();
    bad.licences.push(Licence { name: "../x".to_owned(), text: String::new() });
    let error = Sealed::pack("acme.pmdriver", bad).expect_err("a path").to_string();
    assert!(error.contains("a member `licences/../x`, which no package may have"), "{error}");
    let mut twice = parts();
    twice.licences.push(twice.licences[0].clone());
    let error = Sealed::pack("acme.pmdriver", twice).expect_err("twice").to_string();
    assert!(error.contains("licences/serde-1--MIT stands behind licences/serde-1--MIT, or twice"));
}

/// R19: no byte is free, and no package is taken in part.
#[test]
fn every_changed_byte_and_every_cut_is_refused() {
    let (secret, public) = key();
    let (operator, operator_public) = key();
    let sealed = packed().sign(Role::Vendor, &secret).expect("signs");
    let good = sealed.sign(Role::Operator, &operator).expect("signs").to_bytes();
    let trust = Trust { counter_signer: Some(operator_public), ..trust(&[&public]) };
    open(&good, &trust).expect("the package itself is good");
    let mut bytes = good.clone();
    for at in 0..good.len() {
        // Another bit at each byte, so that each of the eight is tried a thousand times.
        bytes[at] ^= 1 << (at % 8);
        assert!(open(&bytes, &trust).is_err(), "byte {at} of {} is free", good.len());
        bytes[at] = good[at];
    }
    for length in (0..good.len()).step_by(7) {
        assert!(open(&good[..length], &trust).is_err(), "cut to {length}");
    }
    bytes.push(0);
    assert!(open(&bytes, &trust).is_err(), "a byte more");
}

/// Bytes at the first place of `what` replaced.
fn edited(bytes: &[u8], what: &[u8], by: &[u8]) -> Vec<u8> {
    let at = bytes.windows(what.len()).rposition(|window| window == what).expect("it is there");
    let mut edited = bytes.to_vec();
    edited[at..at + by.len()].copy_from_slice(by);
    edited
}

#[test]
fn a_refusal_says_which() {
    let (secret, public) = key();
    let (_, other) = key();
    let unsigned = packed().to_bytes();
    let signed = packed().sign(Role::Vendor, &secret).expect("signs").to_bytes();
    let id = public.id();
    let good = trust(&[&public]);

    refused(
        &edited(&signed, b"\0asm", b"\0asM"),
        &good,
        "driver.wasm does not match contents: it was changed after it was packed; take a fresh copy",
    );
    refused(
        &edited(&signed, b"# acme", b"# ACME"),
        &good,
        "README.md does not match contents: it was changed after it was packed; take a fresh copy",
    );
    refused(
        &unsigned,
        &good,
        "is not signed, and ACME does not allow-unsigned; ask ACME for a signed package",
    );
    refused(
        &signed,
        &trust(&[&other]),
        &format!(
            "is signed by key {id}, ACME pins {}; take a package of ACME's, or pin its new key \
             under [[vendor]]",
            other.id()
        ),
    );
    refused(
        &signed,
        &trust(&[]),
        &format!(
            "is signed by key {id}, but no key of ACME is pinned; add [[vendor]] code = \"ACME\" \
             with the vendor's public key as signer"
        ),
    );
    let both = Trust { counter_signer: Some(other.clone()), ..good.clone() };
    refused(
        &signed,
        &both,
        &format!(
            "has no counter-signature, ACME wants one by key {}; counter-sign it with \
             polymeter-sdk sign --operator",
            other.id()
        ),
    );
    let counter = packed().sign(Role::Vendor, &secret).expect("signs");
    let counter = counter.sign(Role::Operator, &secret).expect("signs").to_bytes();
    refused(
        &counter,
        &both,
        &format!("is counter-signed by key {id}, ACME wants key {}", other.id()),
    );
    let acrel = Trust { vendor: VendorCode::new("ACREL").expect("a code"), ..good.clone() };
    refused(
        &signed,
        &acrel,
        "is for ACME, its [[driver]] entry says vendor = \"ACREL\"; correct one of them",
    );
    refused(
        &signed[..signed.len() - 600],
        &good,
        &format!("is cut short after byte {}; copy it again", signed.len() - 1024),
    );
}

/// The same key id with another key behind it, as an attacker can make one.
#[test]
fn a_borrowed_key_id_proves_nothing() {
    let (secret, public) = key();
    let signed = packed().sign(Role::Vendor, &secret).expect("signs");
    let (_, other) = key();
    // A public key is algorithm, id and key: this one has the id of the first, the key of the second.
    let borrowed = {
        let bytes = |key: &PublicKey| Base64::decode_to_vec(key.to_string(), None).expect("base64");
        let mut mixed = bytes(&public);
        mixed[10..].copy_from_slice(&bytes(&other)[10..]);
        let text = Base64::encode_to_string(&mixed).expect("base64");
        PublicKey::parse(&text).expect("a key")
    };
    assert_eq!(borrowed.id(), public.id());
    refused(
        &signed.to_bytes(),
        &trust(&[&borrowed]),
        &format!(
            "the signature in contents.minisig by key {} does not match contents: one of them was \
             changed; take a fresh copy",
            public.id()
        ),
    );
    open(&signed.to_bytes(), &trust(&[&borrowed, &public])).expect("one of the pinned keys signed");
}

#[test]
fn unsigned_is_taken_only_where_it_was_allowed() {
    let (secret, public) = key();
    let (_, other) = key();
    let unsigned = packed().to_bytes();
    let signed = packed().sign(Role::Vendor, &secret).expect("signs").to_bytes();
    let lax = |signers: &[&PublicKey]| Trust { allow_unsigned: true, ..trust(signers) };
    let verdict = |bytes: &[u8], trust: &Trust| open(bytes, trust).map(|package| package.verdict);
    assert_eq!(
        verdict(&unsigned, &lax(&[&public])).expect("allowed"),
        Verdict::Unsigned { claimed: None }
    );
    assert_eq!(
        verdict(&signed, &lax(&[])).expect("allowed"),
        Verdict::Unsigned { claimed: Some(public.id()) }
    );
    // A pin is a pin: a signature by another key is never taken for none.
    assert!(verdict(&signed, &lax(&[&other])).is_err());
    assert!(verdict(&signed, &lax(&[&public])).expect("signed").is_signed());
}

#[test]
fn hostile_archives_are_refused_with_a_sentence() {
    let any = Trust { allow_unsigned: true, ..trust(&[]) };
    refused(b"", &any, "is no driver package; make one with polymeter-sdk pack");
    refused(&[0; 4096], &any, "is no driver package; make one with polymeter-sdk pack");
    refused(&[0xFF; 4096], &any, "is no driver package; make one with polymeter-sdk pack");
    refused(
        &archive(&[("driver.toml", b"")]),
        &any,
        "is no driver package; make one with polymeter-sdk pack",
    );
    for name in ["../../etc/passwd", "/etc/passwd", "transcripts/ok/../../x.transcript", "x"] {
        refused(
            &archive(&[("contents", b""), (name, b"")]),
            &any,
            &format!("has a member `{name}`, which no package may have"),
        );
    }
    refused(
        &archive(&[("contents", b"")]),
        &any,
        "has no driver.toml; pack it with polymeter-sdk pack",
    );
    refused(
        &archive(&[("contents", b""), ("contents", b"")]),
        &any,
        "contents stands behind contents, or twice; pack it with polymeter-sdk pack",
    );
    refused(
        &archive(&[("contents", b""), ("README.md", b""), ("driver.toml", b"")]),
        &any,
        "driver.toml stands behind README.md, or twice; pack it with polymeter-sdk pack",
    );
    refused(
        &archive(&[("contents", b"x"), ("driver.toml", b"")]),
        &any,
        "contents does not list the members that are there; take a fresh copy",
    );
    refused(
        &archive(&[("contents", b""), ("contents.minisig", b"hello\n")]),
        &any,
        "contents.minisig is no signature of minisign: Missing signature; sign it again",
    );
    // A link, where a plain file should be: the header is not spelled as ours are.
    let mut link = archive(&[("contents", b""), ("driver.toml", b"")]);
    link[512 + 156] = b'2';
    refused(
        &link,
        &any,
        "is not packed as packages are: byte 512: this header of a member; pack it with \
         polymeter-sdk pack",
    );
}

/// An archive with these members, whatever they are.
fn archive(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, content) in members {
        tar::append(&mut out, name, content);
    }
    tar::finish(&mut out);
    out
}

/// Counts what is read, so that "not read" can be seen.
struct Counting<'a> {
    inner: &'a [u8],
    read: &'a std::cell::Cell<usize>,
}

impl std::io::Read for Counting<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.read.set(self.read.get() + count);
        Ok(count)
    }
}

#[test]
fn what_is_too_large_is_not_read() {
    let component = vec![0; limits::COMPONENT_BYTES + 1];
    let bytes = archive(&[("contents", b""), ("driver.toml", b""), ("driver.wasm", &component)]);
    let read = std::cell::Cell::new(0);
    let from = Counting { inner: &bytes, read: &read };
    let error = Sealed::read("acme.pmdriver", from).expect_err("too large");
    assert_eq!(
        error.to_string(),
        "acme.pmdriver: driver.wasm has 50331649 bytes, at most 50331648 are taken"
    );
    assert_eq!(read.get(), 3 * 512, "read to the component's first byte and no further");

    let folder = tempfile::tempdir().expect("a folder");
    let large = folder.path().join("large.pmdriver");
    for megabytes in [1_u64, 64, 1024] {
        // Sparse, so that a gigabyte costs nothing here.
        std::fs::File::create(&large).and_then(|it| it.set_len(megabytes << 20)).expect("a file");
        let began = std::time::Instant::now();
        let error = Sealed::read_file(&large).expect_err("no package");
        let expected = if megabytes > 64 {
            format!(
                "has {} bytes, a package has at most {}; it was not read",
                megabytes << 20,
                limits::PACKAGE_BYTES
            )
        } else {
            "is no driver package; make one with polymeter-sdk pack".to_owned()
        };
        assert_eq!(error.flaw.to_string(), expected);
        // Reading a gigabyte takes longer than this, on any machine that runs these tests.
        assert!(began.elapsed() < std::time::Duration::from_millis(100), "{megabytes} MiB");
    }
    let error = Sealed::read_file(folder.path()).expect_err("a folder");
    assert!(error.to_string().ends_with("is no plain file; name a .pmdriver file"), "{error}");
    let gone = folder.path().join("gone");
    let error = Sealed::read_file(&gone).expect_err("nothing there");
    assert!(error.to_string().contains("gone: cannot be read: No such file"), "{error}");
}

#[test]
fn keys_are_what_they_say() {
    let (text, public) = SecretKey::generate(Some("a password".to_owned())).expect("a key");
    assert!(SecretKey::is_protected(&text));
    let parse = |password: Option<&str>| SecretKey::parse(&text, password.map(str::to_owned));
    assert_eq!(parse(None).err(), Some(BadKey::PasswordWanted));
    assert_eq!(parse(Some("another")).err(), Some(BadKey::WrongPassword));
    let secret = parse(Some("a password")).expect("the password");
    assert_eq!(secret.public().expect("its public key"), public);
    assert_eq!(format!("{secret:?}"), format!("SecretKey({}, [redacted])", public.id()));

    assert_eq!(PublicKey::parse(&public.to_string()), Ok(public.clone()));
    assert_eq!(PublicKey::parse(&public.to_file()), Ok(public.clone()));
    for text in ["", "RW", "hello", &public.to_string().replace('R', "r"), &text] {
        assert_eq!(PublicKey::parse(text).err(), Some(BadKey::Public), "{text}");
    }
    for text in ["", "hello", "a\nb\n", &public.to_file()] {
        assert_eq!(SecretKey::parse(text, None).err(), Some(BadKey::Secret), "{text}");
    }
}

fn minisign(arguments: &[&str], folder: &Path) -> Output {
    Command::new("minisign")
        .args(arguments)
        .current_dir(folder)
        .stdin(std::process::Stdio::null())
        .output()
        .expect("Debian's minisign is there: cargo xtask test installs it")
}

#[track_caller]
fn worked(output: &Output) {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// A person with tar, sha256sum and minisign can check a package, and make its signature.
#[test]
fn debians_own_programs_agree() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    let (secret, public) = key();
    let signed = packed().sign(Role::Vendor, &secret).expect("signs");
    signed.write_file(&at("acme.pmdriver")).expect("written");
    let run = |program: &str, arguments: &[&str]| {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(folder.path()).output().expect("it is installed")
    };
    worked(&run("tar", &["xf", "acme.pmdriver"]));
    worked(&run("sha256sum", &["--check", "--strict", "contents"]));
    let ours = public.to_string();
    let verify = ["-Vm", "contents", "-x", "contents.minisig", "-P", &ours];
    worked(&minisign(&verify, folder.path()));
    // The other program sees it too when a byte is wrong.
    std::fs::write(at("contents"), signed.contents().replacen('a', "b", 1)).expect("written");
    assert!(!minisign(&verify, folder.path()).status.success(), "a changed file passed");
    std::fs::write(at("contents"), signed.contents()).expect("written");

    // Their key, their signature, with a comment of its own choice.
    worked(&minisign(&["-GWf", "-p", "their.pub", "-s", "their.key"], folder.path()));
    let sign = ["-Sm", "contents", "-s", "their.key", "-x", "their.minisig", "-c", "our own words"];
    worked(&minisign(&sign, folder.path()));
    let read = |name: &str| std::fs::read_to_string(at(name)).expect("a file");
    let theirs = PublicKey::parse(&read("their.pub")).expect("their public key");
    let adopted = packed().with_signature(Role::Vendor, &read("their.minisig")).expect("adopted");
    open(&adopted.to_bytes(), &trust(&[&theirs])).expect("their signature is good here");

    // Their secret key signs here, and their program takes it.
    let secret = SecretKey::parse(&read("their.key"), None).expect("their secret key");
    let signed = packed().sign(Role::Vendor, &secret).expect("signs");
    signed.write_file(&at("acme.pmdriver")).expect("written");
    worked(&run("tar", &["xf", "acme.pmdriver"]));
    let verify = ["-Vm", "contents", "-x", "contents.minisig", "-p", "their.pub"];
    worked(&minisign(&verify, folder.path()));

    // The same for a text that is no package.
    let signature = secret.sign_text("a report\n", "seven cases passed").expect("signs");
    assert!(theirs.has_signed("a report\n", &signature));
    assert!(!theirs.has_signed("a report", &signature));
    std::fs::write(at("report"), "a report\n").expect("written");
    std::fs::write(at("report.minisig"), signature).expect("written");
    worked(&minisign(&["-Vm", "report", "-p", "their.pub"], folder.path()));
}

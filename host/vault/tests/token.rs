//! The vault on a real PKCS#11 token, SoftHSM2's. Every answer is compared with that of the same key
//! in memory, which `tests/all` holds to published ones.
//!
//! Not a test of the harness: SoftHSM reads its configuration from the environment when its library is
//! loaded, so this program makes a token, and runs itself again with the environment set.

use polymeter_domain::{Region, VendorCode};
use polymeter_vault::{
    Derivation, KeyId, KeyName, Kind, Label, Message, Refused, Scope, Secret, Token, Use, Vault,
};
use std::path::Path;
use std::process::{Command, ExitCode};

const LIBRARY: &str = "/usr/lib/softhsm/libsofthsm2.so";
const CONFIGURATION: &str = "SOFTHSM2_CONF";
const PIN: &str = "483920";
const KEY: &str = "00112233445566778899aabbccddeeff";

fn main() -> ExitCode {
    if std::env::var_os(CONFIGURATION).is_some() {
        opens_and_says_why_not();
        answers_as_the_same_key_in_memory();
        refuses_what_no_mechanism_does();
        keeps_versions_regions_and_uses();
        println!("token: all of SoftHSM2's answers agree");
        return ExitCode::SUCCESS;
    }
    if !Path::new(LIBRARY).exists() {
        eprintln!("{LIBRARY} is missing: cargo xtask test installs it (Debian's softhsm2)");
        return ExitCode::FAILURE;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let configuration = folder.path().join("softhsm2.conf");
    let tokens = folder.path().join("tokens");
    std::fs::create_dir(&tokens).expect("a folder");
    let text = format!("directories.tokendir = {}\nlog.level = ERROR\n", tokens.display());
    std::fs::write(&configuration, text).expect("written");
    let made = Command::new("softhsm2-util")
        .args(["--init-token", "--free", "--label", "polymeter", "--so-pin", "12345678"])
        .args(["--pin", PIN])
        .env(CONFIGURATION, &configuration)
        .output()
        .expect("softhsm2-util starts");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let again = Command::new(std::env::current_exe().expect("this program"))
        .env(CONFIGURATION, &configuration)
        .status()
        .expect("it starts");
    if again.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn token() -> Token {
    Token::open(Path::new(LIBRARY), "polymeter", &Secret::new(PIN.as_bytes().to_vec()))
        .expect("the token opens")
}

fn id(region: Option<&str>, label: &str) -> KeyId {
    KeyId {
        vendor: VendorCode::new("ACME").expect("a code"),
        region: region.map(|region| Region::new(region).expect("a region")),
        label: Label::new(label).expect("a label"),
    }
}

fn scope(region: Option<&str>) -> Scope {
    let KeyId { vendor, region, .. } = id(region, "x");
    Scope { vendor, region }
}

fn key(digits: &str) -> Secret {
    Secret::from_hex(digits.as_bytes()).expect("hex")
}

fn opens_and_says_why_not() {
    let open = |library: &str, name: &str, pin: &str| {
        let pin = Secret::new(pin.as_bytes().to_vec());
        Token::open(Path::new(library), name, &pin).map(drop).map_err(|error| error.to_string())
    };
    let refused = open(LIBRARY, "another", PIN).expect_err("no such token");
    assert!(refused.ends_with("has no token `another`; it has: polymeter"), "{refused}");
    let refused = open(LIBRARY, "polymeter", "000000").expect_err("wrong PIN");
    assert!(refused.starts_with("logging in of token `polymeter`"), "{refused}");
    assert!(!refused.contains("000000"), "{refused}");
    let refused = open("/absent.so", "polymeter", PIN).expect_err("no library");
    assert!(refused.starts_with("/absent.so cannot be used as a PKCS#11 library"), "{refused}");
    assert_eq!(open(LIBRARY, "polymeter", PIN), Ok(()));
}

/// The same operation on the key in the token and on the one in memory.
fn check(
    what: &str,
    in_token: &Vault,
    run: impl Fn(&Vault) -> Result<Vec<u8>, Refused>,
    kind: Kind,
) {
    let digits = if (kind == Kind::Aes && what.contains("256")) || kind == Kind::Hmac {
        KEY.repeat(2)
    } else {
        KEY.to_owned()
    };
    let vendor = scope(None).vendor;
    let label = what.split(' ').next().unwrap_or_default();
    let here = Vault::default().with(vendor, label, kind, key(&digits)).expect("a key");
    let expected = run(&here).expect(what);
    assert_eq!(run(in_token).expect(what), expected, "{what}");
}

fn answers_as_the_same_key_in_memory() {
    let token = token();
    for (label, kind, digits) in [
        ("des", Kind::TripleDes, KEY.to_owned()),
        ("aes", Kind::Aes, KEY.to_owned()),
        ("aes256", Kind::Aes, KEY.repeat(2)),
        ("hmac", Kind::Hmac, KEY.repeat(2)),
    ] {
        token.add(&id(None, label), kind, Use::Anything, &key(&digits)).expect(label);
    }
    let vault = token.vault().expect("the keys");
    assert_eq!(vault.len(), 4, "companions are not keys");

    let named = |label, path: &[(u16, &'static [u8])]| KeyName {
        label,
        path: path.iter().map(|&(algorithm, factor)| Derivation { algorithm, factor }).collect(),
    };
    for (label, kind, algorithm, iv, data) in [
        ("des", Kind::TripleDes, 1, 0, 24),
        ("des", Kind::TripleDes, 8, 8, 24),
        ("aes", Kind::Aes, 2, 0, 48),
        ("aes256", Kind::Aes, 2, 0, 48),
        ("aes", Kind::Aes, 3, 16, 48),
        ("aes", Kind::Aes, 9, 16, 41),
        ("aes", Kind::Aes, 7, 12, 41),
        ("aes256", Kind::Aes, 7, 12, 1),
    ] {
        let what = format!("{label} cipher {algorithm}");
        let (iv, data) = (vec![0xF7; iv], (0..data).collect::<Vec<u8>>());
        let associated: &[u8] = if algorithm == 7 { b"seen" } else { b"" };
        let run = |vault: &Vault| {
            let encrypted = vault.encrypt(
                &scope(None),
                &named(label, &[]),
                algorithm,
                Message { iv: &iv, associated, data: &data },
            )?;
            let back = vault.decrypt(
                &scope(None),
                &named(label, &[]),
                algorithm,
                Message { iv: &iv, associated, data: &encrypted },
            )?;
            assert_eq!(back, data, "{what}");
            Ok(encrypted)
        };
        check(&what, &vault, run, kind);
    }
    for (label, kind, algorithm, iv, lengths) in [
        ("des", Kind::TripleDes, 1, 8, [0, 7, 40]),
        ("hmac", Kind::Hmac, 2, 0, [0, 7, 40]),
        ("aes", Kind::Aes, 3, 0, [0, 16, 41]),
        ("aes256", Kind::Aes, 3, 0, [0, 16, 41]),
        ("aes", Kind::Aes, 6, 12, [0, 16, 41]),
    ] {
        for length in lengths {
            let what = format!("{label} mac {algorithm} of {length}");
            let (iv, data) = (vec![5; iv], vec![9; length]);
            let run =
                |vault: &Vault| vault.mac(&scope(None), &named(label, &[]), algorithm, &iv, &data);
            check(&what, &vault, run, kind);
        }
    }
    const FACTOR: &[u8] = &[1, 2, 3, 4, 5, 6, 7, 8];
    const FACTOR16: &[u8] = &[7; 16];
    for (label, kind, cipher, path) in [
        ("des", Kind::TripleDes, 1, vec![(1, FACTOR)]),
        ("des", Kind::TripleDes, 1, vec![(2, FACTOR), (1, FACTOR)]),
        ("aes", Kind::Aes, 2, vec![(4, FACTOR16)]),
        ("aes256", Kind::Aes, 2, vec![(4, FACTOR16)]),
        ("aes", Kind::Aes, 2, vec![(5, FACTOR)]),
    ] {
        let what = format!("{label} derived by {path:?}");
        let message = Message { iv: &[], associated: &[], data: &[3; 16] };
        let run =
            |vault: &Vault| vault.encrypt(&scope(None), &named(label, &path), cipher, message);
        check(&what, &vault, run, kind);
    }
    let values: Vec<_> = vault.list().into_iter().map(|key| key.check_value).collect();
    assert!(values.iter().all(Option::is_some), "{values:?}");

    let sealed = vault
        .encrypt(
            &scope(None),
            &named("aes", &[]),
            7,
            Message { iv: &[1; 12], associated: &[], data: b"credit" },
        )
        .expect("sealed");
    let mut changed = sealed;
    changed[0] ^= 1;
    let opened = vault.decrypt(
        &scope(None),
        &named("aes", &[]),
        7,
        Message { iv: &[1; 12], associated: &[], data: &changed },
    );
    assert_eq!(opened, Err(Refused::WrongTag));
}

fn refuses_what_no_mechanism_does() {
    let token = token();
    for (kind, digits, why) in [
        (Kind::Sm4, KEY.to_owned(), "mechanism for SM4"),
        (Kind::Dlms, KEY.repeat(2), "CKM_AES_GCM with a second key"),
    ] {
        let refused = token.add(&id(None, "none"), kind, Use::Anything, &key(&digits));
        let refused = refused.expect_err("not for tokens").to_string();
        assert!(refused.contains(why) && refused.ends_with("keep it in a vault file"), "{refused}");
    }
    let refused = token.add(&id(None, "none"), Kind::Aes, Use::Anything, &key("0011"));
    assert!(refused.expect_err("length").to_string().contains("16 or 32 bytes"));
    // SoftHSM2 takes such a key in and does not use it: it is taken out again.
    let refused = token.add(&id(None, "short"), Kind::Hmac, Use::Anything, &key(KEY));
    let refused = refused.expect_err("short for SHA-256").to_string();
    assert!(refused.starts_with("using the key of token `polymeter`"), "{refused}");
    assert_eq!(token.kind(&id(None, "short")).expect("looked"), None);
    let refused = token.rotate(&id(None, "none"), &key(KEY)).expect_err("none");
    assert!(refused.to_string().contains("there is no key ACME none"), "{refused}");
}

fn keeps_versions_regions_and_uses() {
    let token = token();
    let purse = id(Some("HZ"), "purse");
    token.add(&purse, Kind::TripleDes, Use::DeriveOnly, &key(KEY)).expect("added");
    let again = token.add(&purse, Kind::TripleDes, Use::Anything, &key(KEY));
    assert!(again.expect_err("there").to_string().contains("already"));
    assert_eq!(token.kind(&purse).expect("looked"), Some((Kind::TripleDes, 16)));
    assert_eq!(token.rotate(&purse, &key(&"11".repeat(16))).expect("rotated"), 2);

    let vault = token.vault().expect("the keys");
    let run = |region, label, path: Vec<Derivation<'_>>| {
        let message = Message { iv: &[], associated: &[], data: &[0; 8] };
        vault.encrypt(&scope(region), &KeyName { label, path }, 1, message)
    };
    let derived = || vec![Derivation { algorithm: 2, factor: &[0; 8] }];
    let current = run(Some("HZ"), "purse", derived()).expect("its region");
    assert_eq!(run(Some("HZ"), "purse@2", derived()), Ok(current.clone()));
    assert_ne!(run(Some("HZ"), "purse@1", derived()), Ok(current));
    assert_eq!(run(Some("HZ"), "purse", vec![]), Err(Refused::DeriveOnly));
    for region in [None, Some("SH")] {
        let refused = run(region, "purse", derived()).expect_err("another region's");
        assert_eq!(refused.code(), 1);
    }
}

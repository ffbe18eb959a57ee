//! What a person reads when the file is wrong: file, line, what, fix.

use super::*;
use polymeter_transport::{Endpoint, Parity, ReaderPlace};

/// The problems of `text`, one per line, with the folder cut off.
fn problems(text: &str) -> String {
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(folder.path().join("driver.pmdriver"), b"x").expect("a file");
    let file = folder.path().join("polymeter.toml");
    match Config::parse(&file, text) {
        Ok(_) => String::new(),
        Err(problems) => problems.to_string().replace(&format!("{}/", folder.path().display()), ""),
    }
}

const HEAD: &str = "database.path = \"polymeter.db\"\n\
    site = { time-zone = \"Asia/Shanghai\", currency = \"CNY\" }\n";

#[track_caller]
fn check(rest: &str, expected: &str) {
    assert_eq!(problems(&format!("{HEAD}{rest}")), expected, "{rest}");
}

#[test]
fn a_whole_file_is_taken() {
    check(
        r#"
[server]
listen = "127.0.0.1:8645"
[[driver]]
name = "dlt645-2007"
package = "driver.pmdriver"
vendor = "DLT645"
grant = ["line", "vault", "log"]
[driver.limits]
exchanges = 40
[[line]]
name = "bus-1"
serial = "/dev/ttyUSB0"
baud = 9600
parity = "none"
stop-bits = 1
[[line]]
name = "bus-2"
tcp = "gateway.example:8899"
inter-frame-ms = 5
[vault]
file = "keys.vault"
unlock-file = "vault.unlock"
"#,
        "",
    );
}

#[test]
fn a_mark_cell_is_in_a_memory_or_in_a_file() {
    let mark = |rest: &str| format!("[[card-mark]]\nlength = 4\nencoding = \"ascii\"\n{rest}");
    check(&mark("kind = \"sle4442\"\noffset = 8\n"), "");
    check(&mark("kind = \"cpu\"\nselect = [\"3F00\", \"DF01\"]\nfile = 5\n"), "");
    check(&mark("kind = \"at24c\"\nvendors = { \"0A01\" = \"NOVA\" }\n"), "");
    for (rest, expected) in [
        (
            "kind = \"gsm\"\n",
            "polymeter.toml:6: `gsm` is no kind of card; write one of cpu, sle4442, sle4428, at24c, \
             at88sc102, at88sc1604, mifare-classic, desfire",
        ),
        (
            "kind = \"cpu\"\n",
            "polymeter.toml:6: a mark of a cpu card stands in a file; write file = 5, its short \
             identifier",
        ),
        (
            "kind = \"cpu\"\nfile = 31\n",
            "polymeter.toml:7: 31 is no short file identifier; write 1 to 30",
        ),
        (
            "kind = \"cpu\"\nfile = 5\nselect = [\"3F\"]\n",
            "polymeter.toml:8: `3F` is no file identifier; write four hexadecimal digits",
        ),
        (
            "kind = \"sle4442\"\nfile = 5\n",
            "polymeter.toml:6: a sle4442 card has no files; leave select and file out",
        ),
        (
            "kind = \"at24c\"\nvendors = { \"0A01\" = \"nova\" }\n",
            "polymeter.toml:7: vendor code `nova` must be 1 to 16 capital letters, digits or `-`, \
             e.g. ACREL; write the code that the driver's description names",
        ),
        (
            "kind = \"at24c\"\nvendors = { \"0A01B\" = \"NOVA\" }\n",
            "polymeter.toml:7: `0A01B` is no mark of 4 bytes; write 1 to 4 ASCII characters",
        ),
    ] {
        check(&mark(rest), expected);
    }
    let hex = |vendors: &str| {
        let mark = "[[card-mark]]\nkind = \"at24c\"\nlength = 4\nencoding = \"hex\"\n";
        format!("{mark}vendors = {{ {vendors} }}\n")
    };
    for good in ["7E412402", "7e412402", "7E 41 24 02"] {
        let text = hex(&format!("\"{good}\" = \"NOVA\""));
        check(&text, "");
        let config = Config::parse(Path::new("polymeter.toml"), &format!("{HEAD}{text}"))
            .expect("no problem");
        let vendors: Vec<&String> = config.card_marks[0].vendors.keys().collect();
        assert_eq!(vendors, ["7E412402"], "as it is read off a card");
    }
    for (bad, expected) in [
        (
            "\"7E4124\" = \"NOVA\"",
            "polymeter.toml:7: `7E4124` is no mark of 4 bytes; write 8 hexadecimal digits",
        ),
        (
            "\"7E41240X\" = \"NOVA\"",
            "polymeter.toml:7: `7E41240X` is no mark of 4 bytes; write 8 hexadecimal digits",
        ),
        (
            "\"7E412402\" = \"NOVA\", \"7e412402\" = \"NORD\"",
            "polymeter.toml:7: the mark `7e412402` stands here twice; take one of the two out",
        ),
    ] {
        check(&hex(bad), expected);
    }
}

const DRIVER: &str = "[[driver]]\nname = \"d\"\nvendor = \"DLT645\"\npackage = \"driver.pmdriver\"\n\
    grant = []\n";

/// Lines 3 to 7 are the driver, the vendor begins in line 8.
#[test]
fn a_vendor_is_covered_by_another_ones_driver() {
    let cover =
        |rest: &str| format!("{DRIVER}[[vendor]]\ncode = \"HOLLEY\"\ndriver = \"d\"\n{rest}");
    check(&cover(""), "");
    check(
        &cover("").replace("HOLLEY", "NORTH"),
        "polymeter.toml:9: vendor NORTH is not in the \
        registry and has no name; write name-en and name-zh; `polymeter vendors` lists those that have",
    );
    let named = "name-en = \"North\"\nname-zh = \"北\"\nmodels = [\"N1\"]\nevidence = \"proven\"\n\
                 parameters = { wake-up = 2, clock = true, model = \"x\" }\n";
    check(&cover(named).replace("HOLLEY", "NORTH"), "");
    check(
        &cover("").replace("driver = \"d\"", "driver = \"e\""),
        "polymeter.toml:10: no [[driver]] is named `e`; name one of this file",
    );
    check(
        &cover("signer = [\"RW\"]\n"),
        "polymeter.toml:11: vendor HOLLEY has a driver of another vendor's, and a signer; remove \
         signer: whose signature counts is said with that other vendor",
    );
    check(
        &cover("").replace("HOLLEY", "DLT645"),
        "polymeter.toml:9: vendor DLT645 has the driver `d` of its own; leave one driver per vendor",
    );
    check(
        &(cover("") + &cover("").replace(DRIVER, "")),
        "polymeter.toml:12: vendor HOLLEY is covered twice; leave one of its tables",
    );
    check(
        &cover("parameters = { a = 1.5 }\n"),
        "polymeter.toml:11: the parameter a is of no type here; write a whole number, a text, true \
         or false",
    );
    check(
        "[[vendor]]\ncode = \"HOLLEY\"\n",
        "polymeter.toml:4: vendor HOLLEY has no signer; write its public keys, e.g. signer = \
         [\"RW...\"], or driver = \"...\" where the driver of another vendor covers its meters",
    );
    let text = format!("{HEAD}{}", cover(named).replace("HOLLEY", "NORTH"));
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(folder.path().join("driver.pmdriver"), b"x").expect("a file");
    let config = Config::parse(&folder.path().join("polymeter.toml"), &text).expect("good");
    let [own, covering] = config.drivers.as_slice() else { panic!("{:?}", config.drivers) };
    assert_eq!(covering.config.name, "d@NORTH");
    assert_eq!(covering.trust, own.trust, "the package's own vendor's keys");
    let cover = covering.config.cover.as_ref().expect("a cover");
    assert_eq!((cover.of.as_str(), cover.dialect.len()), ("DLT645", 3));
    assert_eq!(covering.config.vendor.as_ref().map(|it| it.as_str()), Some("NORTH"));
}

#[test]
fn unknown_keys_are_refused_with_the_nearest_known_one() {
    check(
        "[server]\nlisten = \"127.0.0.1:1\"\nlisen = 1\n",
        "polymeter.toml:5: unknown key `lisen`; did you mean `listen`?",
    );
    check(
        "[[line]]\nname = \"a\"\nbuad = 2400\n",
        "polymeter.toml:5: unknown key `buad`; did you mean `baud`?",
    );
    check(
        "[server]\nlisten = \"127.0.0.1:1\"\ncolour = 1\n",
        "polymeter.toml:5: unknown key `colour`; remove it; known here: listen",
    );
    check(
        "[[driver]]\nname = \"d\"\n[driver.limits]\nmemory = 1\n",
        &format!(
            "polymeter.toml:6: unknown key `memory`; remove it; known here: {}",
            polymeter_runtime::Knob::NAMES.join(", ")
        ),
    );
}

#[test]
fn every_limit_of_the_runtime_has_its_key() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("driver.wasm"), b"x").expect("a file");
    for knob in polymeter_runtime::Knob::ALL {
        let (least, most) = knob.range();
        let text = |value: u64| {
            format!(
                "{HEAD}[[driver]]\nname = \"d\"\nvendor = \"D\"\npackage = \"driver.wasm\"\n\
                 grant = []\n[driver.limits]\n{} = {value}\n",
                knob.name()
            )
        };
        let file = folder.path().join("polymeter.toml");
        let config = Config::parse(&file, &text(least)).expect("taken");
        let limits = config.drivers.first().map(|driver| driver.config.limits.get(*knob));
        assert_eq!(limits, Some(least), "{knob:?}");
        let refused = Config::parse(&file, &text(most + 1)).expect_err("beyond").to_string();
        let sentence = format!(
            "{} = {} must be from {least} to {most}; change it, or leave the key out",
            knob.name(),
            most + 1
        );
        assert!(refused.ends_with(&sentence), "{refused}");
    }
}

#[test]
fn missing_keys_and_wrong_types_name_their_line() {
    assert_eq!(
        problems("[database]\npath = \"x\"\n"),
        "polymeter.toml:1: the key `site` is missing; add `site = ...` here"
    );
    check(
        "[[line]]\ntcp = \"h:1\"\n",
        "polymeter.toml:3: the key `name` is missing; add `name = ...` here",
    );
    check(
        "[[driver]]\nname = 1\n",
        "polymeter.toml:4: invalid type: integer `1`, expected a string; write it as \
         docs/operating.md shows",
    );
    check(
        "[server\n",
        "polymeter.toml:3: unclosed table, expected `]`; write it as docs/operating.md shows",
    );
}

#[test]
fn names_are_unique_and_files_exist() {
    let driver = |name: &str, vendor: &str, package: &str| {
        format!(
            "[[driver]]\nname = \"{name}\"\nvendor = \"{vendor}\"\npackage = \
             \"{package}\"\ngrant = []\n"
        )
    };
    check(
        &(driver("a", "ACREL", "driver.pmdriver") + &driver("a", "ACREL", "gone.pmdriver")),
        "polymeter.toml:9: driver `a` already stands in line 4; give one of them another name\n\
         polymeter.toml:11: no package gone.pmdriver; mend the path (relative to this file)\n\
         polymeter.toml:10: vendor ACREL already has the driver in line 5; leave one driver per \
         vendor",
    );
    check(
        &driver("a", "acrel", "driver.pmdriver"),
        "polymeter.toml:5: vendor code `acrel` must be 1 to 16 capital letters, digits or `-`, \
         e.g. ACREL; \
         write the code that the driver's description names",
    );
    check(
        "[[line]]\nname = \"a\"\ntcp = \"h:1\"\n[[line]]\nname = \"a\"\ntcp = \"h:2\"\n",
        "polymeter.toml:7: line `a` already stands in line 4; give one of them another name",
    );
}

#[test]
fn signers_are_keys_and_two_people() {
    // Made for this test; nobody has the secret halves.
    const KEY: &str = "RWR6yBYEL0sP2Dh8ctVX1WyRwG8L9WSS6jzfkEgYSaa8nquD0jQBRQoX";
    let vendor = |signer: &str, more: &str| {
        format!("[[vendor]]\ncode = \"ACREL\"\nsigner = [{signer}]\n{more}")
    };
    let key = format!("\"{KEY}\"");
    check(&vendor(&key, ""), "");
    check(
        &vendor("\"RWhello\"", ""),
        "polymeter.toml:5: `RWhello` is no public key of minisign; write the line of the .pub file \
         that begins with RW",
    );
    check(
        &vendor("", ""),
        "polymeter.toml:5: vendor ACREL has no signer; write its public keys, e.g. signer = \
         [\"RW...\"]",
    );
    check(
        &vendor(&key, &format!("counter-signer = {key}\n")),
        "polymeter.toml:6: the counter-signer of ACREL is its signer too; name a key of your own: \
         two signatures are two people's",
    );
    check(
        &(vendor(&key, "") + &vendor(&key, "")),
        "polymeter.toml:7: vendor ACREL already stands in line 4; write all its keys into one \
         signer = [...]",
    );
}

#[test]
fn a_line_has_one_far_end() {
    let one = "line `a` needs exactly one far end; give it either serial = \"/dev/...\" or tcp = \
    \"host:port\"";
    check("[[line]]\nname = \"a\"\n", &format!("polymeter.toml:4: {one}"));
    check(
        "[[line]]\nname = \"a\"\nserial = \"/dev/x\"\ntcp = \"h:1\"\n",
        &format!("polymeter.toml:4: {one}"),
    );
    check(
        "[[line]]\nname = \"a\"\ntcp = \"h\"\n",
        "polymeter.toml:5: `h` is no address; write host:port, e.g. 192.168.1.50:8899",
    );
    check(
        "[[line]]\nname = \"a\"\ntcp = \"h:1\"\nbaud = 1\n",
        "polymeter.toml:5: line `a` is tcp and has serial settings; remove baud, parity and \
         stop-bits: the gateway has its own",
    );
    check(
        "[[line]]\nname = \"a\"\nserial = \"/dev/x\"\nstop-bits = 3\n",
        "polymeter.toml:6: line `a` has 3 stop bits; write 1 or 2",
    );
    check(
        "[[line]]\nname = \"a\"\nserial = \"/dev/x\"\nenvelope = \"acrel-4g\"\n",
        "polymeter.toml:6: line `a` is serial and has an envelope; remove it: envelopes are what \
         gateways on tcp put around bytes",
    );
    check(
        "[[line]]\nname = \"a\"\ntcp = \"h:1\"\nenvelope = \"acrel\"\n",
        "polymeter.toml:6: there is no envelope `acrel`; write one of acrel-4g, or leave it out",
    );
    check(
        "[[line]]\nname = \"a\"\ntcp = \"h:1\"\nreply-timeout-ms = 0\n",
        "polymeter.toml:4: line `a` has reply-timeout-ms = 0; write at least 1, or leave the key \
         out",
    );
}

#[test]
fn a_native_library_is_pinned_or_unsigned_and_has_its_function() {
    let native = "[[driver]]\nname = \"rdk\"\nvendor = \"RDK\"\ngrant = [\"line\"]\n\
                  native = \"driver.pmdriver\"\n";
    let function = "function = \"RDKIcard\"\n";
    let sum = format!("sha256 = \"{}\"\n", "0f".repeat(32));
    let unsigned = "allow-unsigned = true\n";
    let both = "polymeter.toml:8: a native library with both sha256 and allow-unsigned; remove \
                allow-unsigned: the sum pins it";
    let nobody = "polymeter.toml:7: a native library that nobody vouches for; add sha256 = \"...\" \
                  as sha256sum prints it, or allow-unsigned = true";
    for (more, expected) in [
        (format!("{sum}{function}"), String::new()),
        (format!("{unsigned}{function}"), String::new()),
        (function.to_owned(), nobody.to_owned()),
        (format!("{sum}{unsigned}{function}"), both.to_owned()),
        (
            sum.clone(),
            "polymeter.toml:7: a native library without its function; add function = \"RDKIcard\" \
             or its like"
                .to_owned(),
        ),
        (
            format!("{sum}function = \"system\"\n"),
            "polymeter.toml:9: `system` is no function of a native library; write the vendor's \
             abbreviation and Icard, e.g. RDKIcard"
                .to_owned(),
        ),
        (
            format!("sha256 = \"0f\"\n{function}"),
            "polymeter.toml:8: `0f` is no SHA-256; write the 64 hexadecimal digits that sha256sum \
             prints"
                .to_owned(),
        ),
        (
            format!("{sum}{function}package = \"driver.pmdriver\"\n"),
            "polymeter.toml:7: a driver with both a package and a native library; remove one of \
             package and native"
                .to_owned(),
        ),
        (
            format!(
                "{sum}{function}[driver.candidate]\npackage = \"driver.pmdriver\"\ncanary = 5\n"
            ),
            "polymeter.toml:7: a native library has no candidate; take [driver.candidate] out; \
             change native and sha256, then reload"
                .to_owned(),
        ),
    ] {
        check(&format!("{native}{more}"), &expected);
    }
    let driver = "[[driver]]\nname = \"rdk\"\nvendor = \"RDK\"\ngrant = [\"line\"]\n";
    check(
        driver,
        "polymeter.toml:4: a driver without a file; add package = \"...\", or native = \"...\" for \
         a vendor's library",
    );
    check(
        &format!("{driver}package = \"driver.pmdriver\"\n{function}"),
        "polymeter.toml:8: a package has no function; remove it; it belongs to a native library",
    );
    check(
        &format!("{driver}{function}{sum}native = \"none.so\"\n"),
        "polymeter.toml:9: no native library none.so; mend the path (relative to this file)",
    );
}

#[test]
fn a_vault_is_one_store_with_one_way_in() {
    let file = "file = \"keys.vault\"\n";
    let token = "pkcs11 = \"/usr/lib/x.so\"\ntoken = \"t\"\n";
    let one = "[vault] needs exactly one way to be unlocked; give it one of unlock-file, unlock-env \
               and unlock-credential";
    for (vault, expected) in [
        (format!("{file}unlock-file = \"x\"\n"), String::new()),
        (format!("{file}unlock-env = \"X\"\n"), String::new()),
        (format!("{token}unlock-credential = \"x\"\n"), String::new()),
        (file.to_owned(), format!("polymeter.toml:4: {one}")),
        (
            format!("{file}unlock-env = \"X\"\nunlock-file = \"x\"\n"),
            format!("polymeter.toml:4: {one}"),
        ),
        (
            format!("{file}{token}unlock-env = \"X\"\n"),
            "polymeter.toml:4: [vault] has both a file and pkcs11; remove one of them".to_owned(),
        ),
        (
            "pkcs11 = \"/usr/lib/x.so\"\nunlock-env = \"X\"\n".to_owned(),
            "polymeter.toml:4: a PKCS#11 library needs a token; add token = \"...\", the token's \
             label"
                .to_owned(),
        ),
        (
            format!("{file}token = \"t\"\nunlock-env = \"X\"\n"),
            "polymeter.toml:5: a vault file has no token; remove it, or name a library with pkcs11 \
             instead of a file"
                .to_owned(),
        ),
        (
            "unlock-env = \"X\"\n".to_owned(),
            "polymeter.toml: [vault] names no store; add file = \"keys.vault\", or pkcs11 = \
             \"/usr/lib/...so\" and token"
                .to_owned(),
        ),
    ] {
        check(&format!("[vault]\n{vault}"), &expected);
    }
}

#[test]
fn the_site_is_known() {
    assert_eq!(
        problems(
            "database.path = \"x\"\n[site]\ntime-zone = \"Asia/Atlantis\"\ncurrency = \"XXX\"\n"
        ),
        "polymeter.toml:3: no time zone `Asia/Atlantis`; write a name such as Asia/Shanghai (the \
         system's tzdata must be there)\n\
         polymeter.toml:4: currency `XXX` cannot be booked; write CNY"
    );
}

/// A site whose `[database]` is this.
fn with_database(folder: &Path, database: &str) -> Result<Config, Problems> {
    let text = format!("[database]\n{database}\n[site]\ntime-zone = \"UTC\"\ncurrency = \"CNY\"\n");
    Config::parse(&folder.join("polymeter.toml"), &text)
}

#[test]
fn a_database_is_a_file_or_on_a_server_whose_password_is_nowhere_shown() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().expect("a folder");
    let secret = folder.path().join("secret");
    let write = |text: &str, mode: u32| {
        std::fs::write(&secret, text).expect("written");
        std::fs::set_permissions(&secret, PermissionsExt::from_mode(mode)).expect("set");
    };
    let url = "url = \"postgres://pm@db.example/books\"";
    let with_file = format!("{url}\npassword-file = \"secret\"");

    let file = with_database(folder.path(), "path = \"p.db\"").expect("a file");
    assert_eq!(file.database.to_string(), folder.path().join("p.db").display().to_string());
    assert_eq!(file.control, folder.path().join("p.db"));
    write("hush-hush\n", 0o600);
    let server = with_database(folder.path(), &with_file).expect("a server");
    assert_eq!(server.database.to_string(), "postgres://pm@db.example:5432/books");
    assert_eq!(server.control, folder.path().join("polymeter.toml"));
    assert!(!format!("{server:?}").contains("hush-hush"));

    let check = |database: &str, why: &str| {
        let problems = with_database(folder.path(), database).expect_err(why).to_string();
        assert!(problems.contains(why) && !problems.contains("hush"), "{problems}");
    };
    check("", "needs either path or url");
    check(&format!("path = \"p.db\"\n{url}"), "needs either path or url");
    check("path = \"p.db\"\npassword-file = \"secret\"", "a password for a file");
    check("url = \"postgres://pm:hush@db/books\"", "holds a password");
    check("url = \"mysql://pm@db/books\"", "begins with neither");
    write("hush-hush\n", 0o644);
    check(&with_file, "others may read it (mode 644)");
    write("two\nhush\n", 0o600);
    check(&with_file, "does not hold one line");
    std::fs::remove_file(&secret).expect("removed");
    check(&with_file, "cannot be read");
}

#[test]
fn readers_are_named_once_and_found_by_a_pattern() {
    let reader = "[[reader]]\nname = \"counter-1\"\npcsc = \"ACS ACR38*\"\n";
    check(reader, "");
    check(
        &reader.repeat(2),
        "polymeter.toml:7: reader `counter-1` already stands in line 4; give one of them another name",
    );
    check(
        &reader.replace("ACS ACR38*", ""),
        "polymeter.toml:5: reader `counter-1` names no PC/SC reader; write a name of `polymeter reader \
         list`, or a part of it with *",
    );
    let profile = "[[reader-profile]]\nname = \"ours\"\nreaders = [\"*\"]\nsource = \"its manual\"\n\
        [[reader-profile.card]]\nkind = \"cpu\"\natr = [\"3B *\"]\nevidence = \"assumed\"\n";
    check(profile, "");
    check(
        &profile.repeat(2),
        "polymeter.toml:11: reader profile `ours` stands twice; leave one of them",
    );
    let wrong = problems(&format!("{HEAD}{}", profile.replace("cpu", "sle4443")));
    let want = "polymeter.toml:3: reader profile ours: card sle4443: there is no such kind";
    assert!(wrong.starts_with(want), "{wrong}");
}

#[test]
fn a_reader_at_a_port_has_that_port_for_itself() {
    let reader = |rest: &str| format!("[[reader]]\nname = \"desk-2\"\n{rest}\n");
    for good in [
        "port = \"/dev/ttyUSB0\"",
        "port = \"/dev/serial/by-id/usb-1\"\nbaud = 115200",
        "port = \"tcp:10.0.0.5:4001\"",
    ] {
        check(&reader(good), "");
    }
    let text = format!("{HEAD}{}", reader("port = \"/dev/ttyUSB0\""));
    let folder = tempfile::tempdir().expect("a temporary folder");
    let config = Config::parse(&folder.path().join("polymeter.toml"), &text).expect("it is good");
    let port = Endpoint::Serial {
        path: "/dev/ttyUSB0".into(),
        baud: 9_600,
        parity: Parity::None,
        stop_bits: 1,
    };
    assert_eq!(config.readers[0].place, ReaderPlace::Port(port));

    let no_place = "polymeter.toml:4: reader `desk-2` needs exactly one place; give it either pcsc = \"a \
         name of `polymeter reader list`\" or port = \"/dev/...\" or \"tcp:host:port\"";
    check(&reader(""), no_place);
    check(&reader("pcsc = \"ACS*\"\nport = \"/dev/ttyUSB0\""), no_place);
    for (wrong, want) in [
        (
            "pcsc = \"ACS*\"\nbaud = 9600",
            "6: reader `desk-2` is PC/SC's and has a baud rate; remove it: only a port has one",
        ),
        (
            "port = \"/dev/ttyUSB0\"\nbaud = 19200",
            "6: reader `desk-2` has 19200 baud; write 9600, as it is delivered, or 115200",
        ),
        (
            "port = \"ttyUSB0\"",
            "5: `ttyUSB0` is no port; write the path of a device, e.g. /dev/ttyUSB0, or tcp:host:port",
        ),
        (
            "port = \"tcp:10.0.0.5\"",
            "5: `tcp:10.0.0.5` is no port; write tcp:host:port, e.g. tcp:10.0.0.5:4001",
        ),
        (
            "port = \"tcp:10.0.0.5:4001\"\nbaud = 9600",
            "6: reader `desk-2` is behind tcp and has a baud rate; remove it: the serial server has its own",
        ),
        (
            "port = \"/dev/ttyS1\"\n[[line]]\nname = \"bus\"\nserial = \"/dev/ttyS1\"",
            "5: the port of reader `desk-2` is line `bus`'s already; a port has one device: name another",
        ),
        (
            "port = \"/dev/ttyS1\"\n[[reader]]\nname = \"desk-3\"\nport = \"/dev/ttyS1\"\nbaud = 115200",
            "8: the port of reader `desk-3` is reader `desk-2`'s already; a port has one device: name another",
        ),
    ] {
        check(&reader(wrong), &format!("polymeter.toml:{want}"));
    }
}

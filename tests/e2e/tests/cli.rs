//! The command line given bad input: one sentence that says what, where and what to do, the exit
//! code of docs/operating.md, and never a panic. And what it prints where all is well, against a
//! simulated site that no server holds.

use anyhow::{Context, Result, ensure};
use e2e::money::{applied, meter_credit};
use e2e::{ASKED_BEFORE_SALE, Ended, METERS, Program, Site, check};
use meter_sim::{Fault, FaultKind, On};
use polymeter_package::{Parts, Role, Sealed, SecretKey};
use serde_json::Value;
use std::os::unix::fs::PermissionsExt;

/// A component whose one import is an instance named `import`, by hand from the component model's
/// binary format: preamble, an empty instance type, the import of that type.
fn component_importing(import: &str) -> Vec<u8> {
    let length = u8::try_from(import.len()).expect("a short name");
    let mut bytes = b"\0asm\x0D\0\x01\0".to_vec();
    bytes.extend([0x07, 0x03, 0x01, 0x42, 0x00]);
    bytes.extend([0x0A, length + 5, 0x01, 0x00, length]);
    bytes.extend(import.as_bytes());
    bytes.extend([0x05, 0x00]);
    bytes
}

/// A package of that component with the manifest and the transcripts of the DL/T 645 driver.
fn packed(component: &[u8], edit: impl Fn(String) -> String) -> Result<Sealed> {
    let face = std::fs::read_to_string(e2e::root().join("drivers/dlt645-2007/driver.toml"))?;
    let built = e2e::drivers()?.join("dlt645-2007.pmdriver");
    let transcripts = Sealed::read_file(&built)?.open_unchecked()?.transcripts;
    let parts = Parts {
        manifest: edit(face),
        component: component.to_vec(),
        transcripts,
        ..Parts::default()
    };
    Ok(Sealed::pack("test.pmdriver", parts)?)
}

fn unsigned(component: &[u8]) -> Result<Vec<u8>> {
    Ok(packed(component, |face| face)?.to_bytes())
}

/// R19: what `driver verify` says of a package, and `serve` with it.
#[tokio::test(flavor = "multi_thread")]
async fn a_package_is_what_its_pinned_signer_made() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let at = |name: &str| folder.path().join(name).display().to_string();
    let (text, public) = SecretKey::generate(None)?;
    let secret = SecretKey::parse(&text, None)?;
    let whole = std::fs::read(e2e::drivers()?.join("dlt645-2007.wasm"))?;
    let good = packed(&whole, |face| face)?.sign(Role::Vendor, &secret)?.to_bytes();
    let greedy = packed(&whole, |face| face.replace(", \"vault\"]", "]"))?;
    let older = packed(&whole, |face| face.replace("0.1.0", "0.0.9"))?;
    let silent = packed(&whole, |face| face)?.open_unchecked()?;
    let silent = Parts {
        manifest: std::fs::read_to_string(e2e::root().join("drivers/dlt645-2007/driver.toml"))?,
        component: silent.component,
        ..Parts::default()
    };
    let silent = Sealed::pack("test.pmdriver", silent)?;
    std::fs::write(at("silent.pmdriver"), silent.sign(Role::Vendor, &secret)?.to_bytes())?;
    let mut changed = good.clone();
    let middle = changed.get_mut(good.len() / 2).context("a byte")?;
    *middle ^= 1;
    std::fs::write(at("good.pmdriver"), &good)?;
    std::fs::write(at("changed.pmdriver"), &changed)?;
    std::fs::write(at("cut.pmdriver"), good.get(..good.len() / 2).context("half")?)?;
    std::fs::write(at("unsigned.pmdriver"), unsigned(&whole)?)?;
    std::fs::write(at("greedy.pmdriver"), greedy.sign(Role::Vendor, &secret)?.to_bytes())?;
    std::fs::write(at("older.pmdriver"), older.sign(Role::Vendor, &secret)?.to_bytes())?;
    let (_, other) = SecretKey::generate(None)?;
    let id = public.id().to_string();
    let wrong = format!("signed by key {id}, DLT645 pins {}", other.id());
    let (pinned, unpinned) = (public.to_string(), other.to_string());

    let config = folder.path().join("polymeter.toml");
    for (file, signer, code, texts) in [
        ("good.pmdriver", &pinned, 0, &["good: dlt645-2007 0.1.0 for DLT645, signed by key"][..]),
        ("good.pmdriver", &unpinned, 1, &["good.pmdriver: is ", &wrong]),
        ("changed.pmdriver", &pinned, 1, &["driver.wasm does not match contents"]),
        ("cut.pmdriver", &pinned, 1, &["is cut short after byte"]),
        ("unsigned.pmdriver", &pinned, 1, &["is not signed"]),
        (
            "greedy.pmdriver",
            &pinned,
            1,
            &["imports polymeter:driver/vault@1.1.0, its imports do not name that"],
        ),
        ("older.pmdriver", &pinned, 1, &["its version is 0.0.9, the component says 0.1.0"]),
        ("silent.pmdriver", &pinned, 1, &["no transcript of its package calls info.describe, "]),
    ] {
        let words = ["driver", "verify", &at(file), "--signer", signer];
        check(&words, &Ended::of(&config, &words).await?, code, texts)?;
        // The configuration's pin counts in the same way, and stops `serve` before it serves.
        std::fs::write(
            &config,
            format!(
                "database.path = \"polymeter.db\"\nsite = {{ time-zone = \"Asia/Shanghai\", currency \
                 = \"CNY\" }}\n[[vendor]]\ncode = \"DLT645\"\nsigner = [\"{signer}\"]\n[[driver]]\n\
                 name = \"a\"\npackage = \"{file}\"\nvendor = \"DLT645\"\ngrant = [\"line\", \
                 \"vault\", \"log\"]\n"
            ),
        )?;
        let words = ["driver", "verify", &at(file)];
        check(&words, &Ended::of(&config, &words).await?, code, texts)?;
        let words = ["check-config"];
        let texts = if code == 0 { &["good: 1 drivers"] } else { texts };
        check(&words, &Ended::of(&config, &words).await?, 2 * code, texts)?;
        std::fs::remove_file(&config)?;
    }
    let words = ["driver", "verify", &at("good.pmdriver")];
    check(
        &words,
        &Ended::of(&config, &words).await?,
        2,
        &["polymeter.toml is not there", "--signer"],
    )?;
    let words = ["driver", "inspect", &at("good.pmdriver")];
    let ended = Ended::of(&config, &words).await?;
    check(&words, &ended, 0, &[])?;
    let told: Value = serde_json::from_str(&ended.stdout)?;
    ensure!(told["manifest"]["proof"] == "purchase-count", "{told}");
    ensure!(told["manifest"]["vendors"][0]["code"] == "DLT645", "{told}");
    ensure!(told["signature"]["key"] == id.as_str(), "{told}");
    ensure!(told["signature"]["is_checked"] == false, "{told}");
    ensure!(told["imports"].as_array().is_some_and(|it| it.len() == 4), "{told}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_configuration_is_explained() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let write = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes);
    let whole = std::fs::read(e2e::drivers()?.join("dlt645-2007.wasm"))?;
    write("dlt645.pmdriver", &unsigned(&whole)?)?;
    write("cut.pmdriver", &unsigned(whole.get(..whole.len() / 2).context("a driver")?)?)?;
    write("text.pmdriver", &unsigned(b"not a component")?)?;
    write("core.pmdriver", &unsigned(b"\0asm\x01\0\0\0")?)?;
    write("wasi.pmdriver", &unsigned(&component_importing("wasi:sockets/tcp@0.2.0"))?)?;
    write("bare.pmdriver", &whole)?;
    let head = "database.path = \"polymeter.db\"\n[site]\ntime-zone = \"Asia/Shanghai\"\n\
                currency = \"CNY\"\n";
    let config = folder.path().join("polymeter.toml");
    let vault = |unlock: &str| format!("[vault]\nfile = \"keys.vault\"\n{unlock}\n");
    std::fs::write(&config, format!("{head}{}", vault("unlock-file = \"vault.unlock\"")))?;
    for words in [
        &["vault", "init", "--generate-unlock"][..],
        &["vault", "add", "DLT645", "purse", "--kind", "3des", "--generate"],
    ] {
        check(words, &Ended::of(&config, words).await?, 0, &[])?;
    }
    write("open.unlock", b"a passphrase that all may read")?;
    write("wrong.unlock", b"another passphrase")?;
    for (name, mode) in [("open.unlock", 0o644), ("wrong.unlock", 0o600)] {
        let mode = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(folder.path().join(name), mode)?;
    }

    let driver = |name: &str, package: &str, vendor: &str, grant: &str| {
        format!(
            "[[driver]]\nname = \"{name}\"\npackage = \"{package}\"\nvendor = \"{vendor}\"\n\
             grant = [{grant}]\nallow-unsigned = true\n"
        )
    };
    let all = "\"line\", \"vault\", \"log\"";
    let good = driver("dlt645-2007", "dlt645.pmdriver", "DLT645", all);
    let line = "[[line]]\nname = \"bus\"\ntcp = \"127.0.0.1:1\"\n".to_owned();
    // The driver's name stands in line 6, its package in 7, its vendor in 8.
    let cases: &[(&str, String, i32, &[&str])] = &[
        (
            "good",
            good.clone() + &line + &vault("unlock-file = \"vault.unlock\""),
            0,
            &["good: 1 drivers, 1 lines, 1 keys"],
        ),
        (
            "no package",
            driver("a", "absent.pmdriver", "DLT645", all),
            2,
            &["polymeter.toml:7:", "no package", "absent.pmdriver", "; mend the path"],
        ),
        (
            "a component instead of a package",
            driver("a", "bare.pmdriver", "DLT645", all),
            2,
            &["polymeter.toml:6:", "bare.pmdriver: is no driver package", "polymeter-sdk pack"],
        ),
        (
            "unsigned",
            driver("a", "dlt645.pmdriver", "DLT645", all).replace("true", "false"),
            2,
            &["polymeter.toml:6:", "is not signed", "DLT645 does not allow-unsigned"],
        ),
        (
            "forbidden import",
            driver("a", "wasi.pmdriver", "DLT645", all),
            2,
            &[
                "polymeter.toml:6:",
                "`a` is refused",
                "imports wasi:sockets/tcp@0.2.0",
                "no driver may",
            ],
        ),
        (
            "truncated",
            driver("a", "cut.pmdriver", "DLT645", all),
            2,
            &["polymeter.toml:6:", "`a` is refused", "cut short or damaged"],
        ),
        (
            "no component at all",
            driver("a", "text.pmdriver", "DLT645", all),
            2,
            &["polymeter.toml:6:", "`a` is refused", "is no component"],
        ),
        (
            "core module",
            driver("a", "core.pmdriver", "DLT645", all),
            2,
            &["polymeter.toml:6:", "core module", "polymeter-sdk build"],
        ),
        (
            "not granted",
            driver("a", "dlt645.pmdriver", "DLT645", "\"line\", \"log\""),
            2,
            &["polymeter.toml:6:", "not granted: add \"vault\" to grant"],
        ),
        (
            "other vendor",
            driver("a", "dlt645.pmdriver", "ACREL", all),
            2,
            &["polymeter.toml:6:", "is for DLT645", "correct one of them"],
        ),
        (
            "unknown key",
            good.clone() + "grants = []\n",
            2,
            &["polymeter.toml:11:", "unknown key `grants`", "did you mean `grant`?"],
        ),
        (
            "no key at all",
            "[[line]]\ntcp = \"127.0.0.1:1\"\n".to_owned(),
            2,
            &["polymeter.toml:5:", "`name` is missing", "add `name = ...`"],
        ),
        ("no TOML", "= 1\n".to_owned(), 2, &["polymeter.toml:5:", "docs/operating.md"]),
        (
            "open passphrase file",
            good.clone() + &vault("unlock-file = \"open.unlock\""),
            2,
            &["polymeter.toml:12:", "open.unlock may be read by others (mode 644)", "chmod 600"],
        ),
        (
            "wrong passphrase",
            good.clone() + &vault("unlock-file = \"wrong.unlock\""),
            2,
            &["polymeter.toml:12:", "keys.vault does not open", "the passphrase is another one"],
        ),
        (
            "no passphrase file",
            good.clone() + &vault("unlock-file = \"absent.unlock\""),
            2,
            &["polymeter.toml:12:", "absent.unlock cannot be read", "vault init"],
        ),
        (
            "no passphrase at all",
            good.clone() + &vault(""),
            2,
            &["polymeter.toml:12:", "one of unlock-file, unlock-env and unlock-credential"],
        ),
        (
            "no variable",
            good.clone() + &vault("unlock-env = \"POLYMETER_NOT_SET\""),
            2,
            &["polymeter.toml:12:", "POLYMETER_NOT_SET is not set"],
        ),
        (
            "no credentials",
            good.clone() + &vault("unlock-credential = \"vault\""),
            2,
            &["polymeter.toml:12:", "$CREDENTIALS_DIRECTORY is not set"],
        ),
        (
            "no vault file",
            good.clone() + "[vault]\nfile = \"absent.vault\"\nunlock-file = \"vault.unlock\"\n",
            2,
            &["polymeter.toml:12:", "absent.vault cannot be read", "vault init"],
        ),
        (
            "no PKCS#11 library",
            good.clone()
                + "[vault]\npkcs11 = \"absent.so\"\ntoken = \"t\"\nunlock-file = \"vault.unlock\"\n",
            2,
            &["polymeter.toml:12:", "absent.so cannot be used as a PKCS#11 library"],
        ),
        (
            "no region",
            good.clone() + "region = \"a b\"\n",
            2,
            &["polymeter.toml:11:", "region `a b` must be 1 to 32 letters"],
        ),
        (
            "two drivers of a name",
            good.clone() + &driver("dlt645-2007", "dlt645.pmdriver", "OTHER", all),
            2,
            &["polymeter.toml:12:", "already stands in line 6", "another name"],
        ),
        (
            "two drivers of a vendor",
            good.clone() + &driver("b", "dlt645.pmdriver", "DLT645", all),
            2,
            &["polymeter.toml:14:", "already has the driver in line 8", "one driver per vendor"],
        ),
        (
            "two lines of a name",
            line.clone() + &line,
            2,
            &["polymeter.toml:9:", "line `bus` already stands in line 6", "another name"],
        ),
    ];
    for (what, rest, code, texts) in cases {
        std::fs::write(&config, format!("{head}{rest}"))?;
        let words = ["check-config"];
        let ended = Ended::of(&config, &words).await?;
        check(&words, &ended, *code, texts).context(*what)?;
        // One line says what is wrong; the log's own line says that the package is unsigned.
        let said = ended.stderr.lines().filter(|line| !line.contains(" WARN "));
        ensure!(*code == 0 || said.count() == 1, "{what}: {}", ended.stderr);
        // `serve` says the same, and does not start.
        if what.contains("forbidden") || what.contains("unknown") {
            let words = ["serve"];
            check(&words, &Ended::of(&config, &words).await?, *code, texts).context(*what)?;
        }
    }
    let words = ["check-config"];
    let ended = Ended::of(&folder.path().join("absent.toml"), &words).await?;
    check(&words, &ended, 2, &["absent.toml"])?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_work_on_a_site_that_nobody_serves() -> Result<()> {
    let (site, program) = Site::new().await?;
    beside_a_server(&site).await?;
    program.kill().await?;
    for (words, code, texts) in [
        (&["driver", "list"][..], 0, &["dlt645-2007", "DLT645", "acrel-adf400l", "ACREL"][..]),
        (
            &["driver", "inspect", "dlt645-2007"],
            0,
            &["\"proof\": \"purchase-", "\"purse\": \"money\""],
        ),
        (&["driver", "inspect", "other"], 2, &["no driver `other`", "acrel-adf400l"]),
        (
            &["sell", "D-1", "50.00"],
            0,
            &["sale ", "50.00 CNY to meter D-1", "confirmed: purchase count 1"],
        ),
        (
            &["sell", "A-1", "50.00", "--channel", "wechat"],
            0,
            &["50.00 CNY to meter A-1, by wechat", "confirmed: purchase count 1"],
        ),
        (&["ledger", "balance"], 0, &["channel/wechat", "50.00"]),
        (&["sell", "D-1", "5", "--channel", "barter"], 2, &["barter", "cash, bank, card"]),
        (&["read", "D-1"], 0, &["\"register\": \"1.0.1.8.0.255\"", "\"supply\""]),
        (&["read", "A-1"], 0, &["\"register\": \"1.0.1.8.0.255\"", "\"supply\""]),
        (&["control", "D-1", "disconnect"], 0, &["meter D-1 reports: disconnected"]),
        (&["control", "A-1", "disconnect"], 0, &["meter A-1 reports: disconnected"]),
        (&["control", "D-1", "connect"], 0, &["meter D-1 reports: "]),
        (&["control", "A-1", "connect"], 0, &["meter A-1 reports: connected"]),
        (&["control", "D-1", "explode"], 2, &["explode", "disconnect"]),
        (&["records", "D-1"], 0, &["load: Load profile", "events: Events"]),
        (
            &["records", "D-1", "events", "--since", "2020-01-01"],
            0,
            &["\"stored\": ", "relay-opened"],
        ),
        (&["records", "D-1", "load", "--since", "soon"], 2, &["--since: `soon` is no time"]),
        (&["records", "D-1", "weekly"], 2, &["load, daily, events"]),
        (&["records", "A-1"], 0, &["monthly: Monthly energies", "purchases: Purchases"]),
        (
            &["records", "A-1", "purchases", "--since", "2020-01-01"],
            0,
            &["\"stored\": 1", "\"event\": \"purchase\""],
        ),
        (&["clock", "D-1"], 0, &["the clock of meter D-1 is ", "seen within "]),
        (
            &["clock", "D-1", "set", "--reason", "moved house"],
            0,
            &["clock setting ", "it was ", "the clock was read back: right"],
        ),
        (&["clock", "D-1", "set"], 2, &["--reason"]),
        (&["clock", "D-1", "wind", "--reason", "x"], 2, &["it is none of adjust, set"]),
        (&["clock", "A-1", "set", "--reason", "x"], 0, &["the clock was read back: right"]),
        (&["read", "D-9"], 2, &["no meter D-9"]),
        (&["sell", "D-9", "50.00"], 2, &["no meter D-9"]),
        (&["sell", "D-1", "0"], 2, &["cannot be sold"]),
        (&["sell", "D-1", "-1"], 2, &["cannot be sold"]),
        (&["sell", "D-1", "1000000.01"], 2, &["cannot be sold"]),
        (&["sell", "D-1", "5.001"], 2, &["`5.001` is not an amount"]),
        (&["sell", "D-1", "5", "--id", "7"], 2, &["--id"]),
        (&["sell", "D-2", "5"], 1, &["D-2 has no open account"]),
        (&["ledger", "verify"], 0, &["the ledger is whole", "head "]),
        (&["ledger", "balance"], 0, &["at transfer ", "meter-credit/", "difference 0.00 CNY"]),
        (&["ledger", "balance", "--at", "1"], 0, &["at transfer 1 (20", "cash", "50.00"]),
        (
            &["ledger", "balance", "--at", "2020-01-01"],
            0,
            &["at transfer 0 (nothing is booked yet)"],
        ),
        (
            &["ledger", "balance", "--at", "soon"],
            2,
            &["--at: `soon` is no moment: write the number"],
        ),
        (&["reconcile"], 0, &["every sale is settled"]),
    ] {
        check(words, &Ended::of(&site.config, words).await?, code, texts)?;
    }
    for meter in METERS.iter().filter(|meter| meter.serial_number.ends_with("-1")) {
        ensure!(applied(&site, meter)? == (1, 5000), "{:?}", applied(&site, meter)?);
        let serial = meter.serial_number;
        let simulator = &site.simulator;

        let word = if meter.vendor == "ACREL" { 0x0003 } else { 0x0040 };
        simulator.fault(meter.address, Fault::new(On::Sell, FaultKind::Refuse { word }))?;
        let words = ["sell", serial, "5"];
        let texts = ["was refused", "give the money back"];
        check(&words, &Ended::of(&site.config, &words).await?, 3, &texts)?;

        let silent = Fault::new(On::Check, FaultKind::NoReply);
        let silent = silent.skip(ASKED_BEFORE_SALE).times(50);
        // Its answer is lost, and so is the meter itself until somebody looks again.
        simulator.fault(meter.address, Fault::new(On::Sell, FaultKind::LostAfterApply))?;
        simulator.fault(meter.address, silent)?;
        let texts = ["is unresolved", "do not sell again", "polymeter reconcile"];
        check(&words, &Ended::of(&site.config, &words).await?, 4, &texts)?;
        check(&["sell"], &Ended::of(&site.config, &words).await?, 1, &["has an unsettled sale"])?;
        check(
            &["reconcile"],
            &Ended::of(&site.config, &["reconcile"]).await?,
            4,
            &["is unresolved"],
        )?;
        simulator.clear_faults(meter.address)?;
        let ended = Ended::of(&site.config, &["reconcile"]).await?;
        check(&["reconcile"], &ended, 0, &["every sale is settled"])?;
        ensure!(applied(&site, meter)? == (2, 5500), "{:?}", applied(&site, meter)?);
        failures_are_kept(&site, serial).await?;

        simulator.fault(meter.address, Fault::new(On::Any, FaultKind::NoReply).times(50))?;
        let words = ["read", serial];
        check(&words, &Ended::of(&site.config, &words).await?, 1, &["did not answer"])?;
        simulator.clear_faults(meter.address)?;
    }
    let program = Program::start(&site.config, None).await?;
    let api = site.api(&program);
    for meter in METERS.iter().filter(|meter| meter.serial_number.ends_with("-1")) {
        let meter_id = site.meter_id(&api, meter).await?;
        ensure!(meter_credit(&api, &meter_id).await? == 5500, "the ledger differs");
        // Asked of the program that serves, over its control socket; it was started after them.
        failures_are_kept(&site, meter.serial_number).await?;
        let traces = api.get(&format!("/api/v1/meters/{meter_id}/trace?last=100")).await?;
        let endings: Vec<&str> = traces
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|it| it["ending"].as_str())
            .collect();
        ensure!(endings.contains(&"refused") && endings.contains(&"unknown"), "{traces}");
    }
    program.kill().await
}

/// A sale that was refused and one that nobody knew the end of are there with their bytes, and each
/// replays as it was; one byte changed is told with its line.
async fn failures_are_kept(site: &Site, serial: &str) -> Result<()> {
    let words = ["driver", "trace", serial, "--last", "100"];
    let ended = Ended::of(&site.config, &words).await?;
    check(&words, &ended, 0, &["call: sell", "result: refused code=", "result: unknown ", "] > "])?;
    let file = site.folder.path().join("call.transcript");
    let words = ["replay", file.to_str().context("a path that is text")?];
    let calls: Vec<&str> = ended.stdout.split("\nsource: ").collect();
    ensure!(calls.len() >= 3, "{} calls", calls.len());
    for call in calls {
        let text = format!("source: {}", call.trim_start_matches("source: "));
        std::fs::write(&file, &text)?;
        check(&words, &Ended::of(&site.config, &words).await?, 0, &["identical"])?;
        let line = text.lines().position(|line| line.contains("] > ")).context("no frame")? + 1;
        std::fs::write(&file, text.replacen("] > ", "] > 00 ", 1))?;
        let place = format!("call.transcript:{line}: expected");
        check(&words, &Ended::of(&site.config, &words).await?, 1, &[place.as_str(), "but got"])?;
    }
    std::fs::write(&file, "source: nowhere\ncall: sing\n")?;
    check(&words, &Ended::of(&site.config, &words).await?, 2, &["call.transcript:2: no `result:`"])
}

/// While `serve` runs it alone has the database; the books can be looked at.
async fn beside_a_server(site: &Site) -> Result<()> {
    let taken = ["polymeter.db is in use", "another polymeter process", "stop that process"];
    for words in [&["read", "D-1"][..], &["sell", "D-1", "5"], &["reconcile"], &["serve"]] {
        check(words, &Ended::of(&site.config, words).await?, 1, &taken)?;
    }
    let words = ["ledger", "verify"];
    check(&words, &Ended::of(&site.config, &words).await?, 0, &["the ledger is whole", ", head "])
}

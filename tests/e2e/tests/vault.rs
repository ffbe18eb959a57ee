//! The vault through the real program: its commands, a sale on a key in a token, and that the key is
//! in nothing that the program prints, writes or leaves behind.

use anyhow::{Context, Result, ensure};
use e2e::money::{applied, until_settled};
use e2e::{METERS, PURSE_KEY, Site, binary, write_private};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// `polymeter` with words, variables and standard input.
fn polymeter(
    config: &Path,
    words: &[&str],
    variables: &[(&str, &str)],
    input: &str,
) -> Result<Output> {
    use std::io::Write;
    let mut child = Command::new(binary()?)
        .arg("--config")
        .arg(config)
        .args(words)
        .envs(variables.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    // Who does not read it may have ended already.
    let _ = child.stdin.take().context("its input")?.write_all(input.as_bytes());
    Ok(child.wait_with_output()?)
}

/// Ends with `code`, and prints every text: to stdout where all is well, else to stderr.
fn check(ended: &Output, code: i32, texts: &[&str]) -> Result<String> {
    let stdout = String::from_utf8_lossy(&ended.stdout).into_owned();
    let stderr = String::from_utf8_lossy(&ended.stderr).into_owned();
    ensure!(ended.status.code() == Some(code), "{:?}\n{stdout}\n{stderr}", ended.status);
    let said = if code == 0 { &stdout } else { &stderr };
    for text in texts {
        ensure!(said.contains(text), "nothing of `{text}`\n{stdout}\n{stderr}");
    }
    Ok(format!("{stdout}{stderr}"))
}

const HEAD: &str = "database.path = \"polymeter.db\"\n[site]\ntime-zone = \"Asia/Shanghai\"\n\
                    currency = \"CNY\"\n[vault]\n";
/// 3DES of zeros under the test key begins so.
const PURSE_CHECK_VALUE: &str = "check value FB0975";

#[test]
fn keys_are_put_in_listed_rotated_and_backed_up() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let config = folder.path().join("polymeter.toml");
    let store = "file = \"keys.vault\"\nunlock-file = \"vault.unlock\"\n";
    std::fs::write(&config, format!("{HEAD}{store}"))?;
    let mut printed = String::new();
    let mut run = |words: &[&str], input: &str, code: i32, texts: &[&str]| -> Result<()> {
        let words: Vec<&str> = ["vault"].iter().chain(words).copied().collect();
        let ended = polymeter(&config, &words, &[("BACKUP", "a backup passphrase")], input)?;
        printed += &check(&ended, code, texts).with_context(|| format!("{words:?}"))?;
        Ok(())
    };
    run(&["list"], "", 1, &["vault.unlock cannot be read"])?;
    run(&["init", "--generate-unlock"], "", 0, &["made", "keys.vault", "keep a copy"])?;
    run(&["init", "--generate-unlock"], "", 2, &["is there already"])?;

    let add = ["add", "DLT645", "purse", "--kind", "3des"];
    let from = |source: &[&'static str]| [&add[..], source].concat();
    run(&from(&[]), "", 2, &["--from", "--generate"])?;
    run(&from(&["--from", "-"]), "not a key", 2, &["not a key in hexadecimal digits"])?;
    run(&from(&["--from", "-"]), "0011", 2, &["a key for 3des has 16 bytes, and this one has 2"])?;
    run(
        &from(&["--from", "-"]),
        PURSE_KEY,
        0,
        &["DLT645 purse: version 1, 3des", PURSE_CHECK_VALUE],
    )?;
    run(&from(&["--generate"]), "", 2, &["there is a key DLT645 purse already"])?;
    let open = folder.path().join("open.key");
    std::fs::write(&open, PURSE_KEY)?;
    let open = open.display().to_string();
    let words = ["add", "DLT645", "root", "--kind", "aes", "--derive-only", "--from", &open];
    run(&words, "", 2, &["may be read by others", "chmod 600"])?;
    write_private(Path::new(&open), PURSE_KEY)?;
    run(&words, "", 0, &["DLT645 root: version 1, aes"])?;
    run(
        &["add", "ACME", "sale", "--kind", "hmac", "--region", "HZ-01", "--generate"],
        "",
        0,
        &["ACME HZ-01 sale: version 1, hmac"],
    )?;
    run(&["rotate", "DLT645", "purse", "--generate"], "", 0, &["DLT645 purse: version 2, 3des"])?;
    run(&["rotate", "DLT645", "none", "--generate"], "", 2, &["there is no key DLT645 none"])?;
    run(&["add", "dlt645", "x", "--kind", "aes", "--generate"], "", 2, &["vendor code"])?;
    run(&["add", "ACME", "x", "--kind", "des", "--generate"], "", 2, &["known are 3des, aes"])?;
    run(&["list"], "", 0, &["purse", "HZ-01", "2 * 3des", "1   3des", "derive", "FB0975"])?;

    let backup = folder.path().join("backup.vault").display().to_string();
    let export = ["export-backup", &backup, "--unlock-env", "BACKUP"];
    run(&export, "", 0, &["wrote 4 versions of keys"])?;
    run(&export, "", 1, &["is there already"])?;
    run(&["import-backup", &backup, "--unlock-env", "HOME"], "", 1, &["passphrase is another"])?;
    run(&["import-backup", &backup, "--unlock-env", "BACKUP"], "", 0, &["put in 0 versions"])?;
    std::fs::remove_file(folder.path().join("keys.vault"))?;
    std::fs::remove_file(folder.path().join("vault.unlock"))?;
    run(&["init", "--generate-unlock"], "", 0, &["made"])?;
    run(&["import-backup", &backup, "--unlock-env", "BACKUP"], "", 0, &["put in 4 versions"])?;
    run(&["list"], "", 0, &["2 * 3des", "FB0975"])?;
    ensure!(!holds_key(printed.as_bytes()), "a key was printed: {printed}");

    // The same passphrase as a credential of systemd's, whose files may have other modes.
    let credentials = folder.path().join("credentials");
    std::fs::create_dir(&credentials)?;
    std::fs::copy(folder.path().join("vault.unlock"), credentials.join("vault"))?;
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o440);
    std::fs::set_permissions(credentials.join("vault"), mode)?;
    let store = "file = \"keys.vault\"\nunlock-credential = \"vault\"\n";
    std::fs::write(&config, format!("{HEAD}{store}"))?;
    let folder = credentials.display().to_string();
    let variables = [("CREDENTIALS_DIRECTORY", folder.as_str())];
    let ended = polymeter(&config, &["vault", "list"], &variables, "")?;
    check(&ended, 0, &["2 * 3des", "FB0975"])?;
    Ok(())
}

/// The test key as bytes, in hex of either case, or as a list of numbers.
fn holds_key(text: &[u8]) -> bool {
    let digits: Vec<u8> = PURSE_KEY.bytes().map(|digit| digit.to_ascii_lowercase()).collect();
    let key: Vec<u8> = (0x0..=0xF).map(|nibble| nibble * 0x11).collect();
    let list = format!("{key:?}");
    let list = list.trim_matches(['[', ']']).as_bytes();
    let holds = |text: &[u8], form: &[u8]| text.windows(form.len()).any(|window| window == form);
    let lower = text.to_ascii_lowercase();
    holds(text, &key) || holds(&lower, &digits) || holds(text, list)
}

/// Serves, sells and reads with all logs on; then looks through all that was printed and written.
#[tokio::test(flavor = "multi_thread")]
async fn no_log_file_or_database_holds_a_key() -> Result<()> {
    ensure!(holds_key(b"x 00112233445566778899AABBCCDDEEFF"), "the check sees nothing");
    ensure!(holds_key(&(0x0..=0xF).map(|nibble| nibble * 0x11).collect::<Vec<u8>>()));
    let (site, program) = Site::new().await?;
    program.kill().await?;
    let meter = METERS[0].serial_number;
    // All of ours and of the database's; the compiler's own trace is gigabytes.
    let logs = "info,polymeter=trace,sqlx=trace";
    let trace = [("RUST_LOG", logs), ("RUST_BACKTRACE", "full")];
    let mut printed = Vec::new();
    for words in [&["check-config"][..], &["read", meter], &["sell", meter, "5.00"]] {
        let ended = polymeter(&site.config, words, &trace, "")?;
        check(&ended, 0, &[]).with_context(|| format!("{words:?}"))?;
        ensure!(!ended.stderr.is_empty() || words[0] == "check-config", "trace logs nothing");
        printed.extend([ended.stdout, ended.stderr].concat());
    }
    ensure!(!holds_key(&printed), "a key was printed");
    let mut files = 0;
    for entry in std::fs::read_dir(site.folder.path())? {
        let path = entry?.path();
        if path.is_file() {
            files += 1;
            ensure!(!holds_key(&std::fs::read(&path)?), "{} holds the key", path.display());
        }
    }
    ensure!(files >= 3, "configuration, vault and database are looked through, not {files} files");
    Ok(())
}

/// A crash leaves no core file; a program without keys would leave one here.
#[tokio::test(flavor = "multi_thread")]
async fn a_crash_leaves_no_core_file() -> Result<()> {
    let (site, program) = Site::new().await?;
    program.kill().await?;
    let unlimited = |program: &str, words: &[&str]| {
        Command::new("sh")
            .args(["-c", "ulimit -c unlimited; exec \"$0\" \"$@\"", program])
            .args(words)
            .current_dir(site.folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
    };
    let abort = |child: &std::process::Child| {
        Command::new("kill").args(["-ABRT", &child.id().to_string()]).status()
    };
    let mut plain = unlimited("sleep", &["60"])?;
    // Until `sh` has become `sleep`, it would be the shell that dies.
    let since = Instant::now();
    while std::fs::read_to_string(format!("/proc/{}/comm", plain.id()))?.trim() != "sleep" {
        ensure!(since.elapsed() < Duration::from_secs(10), "sleep does not start");
        std::thread::yield_now();
    }
    abort(&plain)?;
    if !plain.wait()?.core_dumped() {
        eprintln!("core files: this machine makes none at all; only the limit is checked");
    }

    let program = binary()?.display().to_string();
    let config = site.config.display().to_string();
    let mut child = unlimited(&program, &["--config", &config, "serve"])?;
    let mut line = String::new();
    let stdout = child.stdout.take().context("its output")?;
    std::io::BufRead::read_line(&mut std::io::BufReader::new(stdout), &mut line)?;
    ensure!(!line.is_empty(), "serve did not start");
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", child.id()))?;
    let core = limits.lines().find(|line| line.starts_with("Max core file size"));
    let core: Vec<&str> = core.context("no such limit")?.split_whitespace().collect();
    ensure!(core.get(4..6) == Some(&["0", "0"]), "{core:?}");
    abort(&child)?;
    let status = child.wait()?;
    ensure!(status.signal() == Some(6) && !status.core_dumped(), "{status:?}");
    Ok(())
}

/// A key of one region serves the driver that is configured for it, and no other.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_another_region_is_not_seen() -> Result<()> {
    let (site, program) = Site::new().await?;
    program.kill().await?;
    for file in ["keys.vault", "vault.unlock"] {
        std::fs::remove_file(site.folder.path().join(file))?;
    }
    let run = |words: &[&str]| polymeter(&site.config, words, &[], PURSE_KEY);
    check(&run(&["vault", "init", "--generate-unlock"])?, 0, &[])?;
    let add =
        ["vault", "add", "DLT645", "purse", "--kind", "3des", "--region", "HZ", "--from", "-"];
    check(&run(&add)?, 0, &["DLT645 HZ purse: version 1"])?;
    let text = std::fs::read_to_string(&site.config)?;
    let vendor = "vendor = \"DLT645\"\n";
    ensure!(text.matches(vendor).count() == 1, "{text}");
    let meter = METERS[0].serial_number;
    let set = |region: &str| {
        let text = text.replace(vendor, &format!("{vendor}region = \"{region}\"\n"));
        std::fs::write(&site.config, text)
    };
    set("HZ")?;
    check(&run(&["sell", meter, "5.00"])?, 0, &[])?;
    set("SH")?;
    let ended = run(&["sell", meter, "6.00"])?;
    let told = String::from_utf8_lossy(&ended.stderr).into_owned();
    ensure!(ended.status.code().is_some_and(|code| code != 0), "sold without a key: {told}");
    ensure!(told.contains("is reserved and nothing reached the meter"), "{told}");
    // Nothing but the region was wrong.
    set("HZ")?;
    check(&run(&["reconcile"])?, 0, &[])?;
    Ok(())
}

/// A key that is changed beside the running program is the one that the next sale is made with.
#[tokio::test(flavor = "multi_thread")]
async fn a_running_program_takes_a_rotated_key() -> Result<()> {
    let (site, program) = Site::new().await?;
    let api = site.api(&program);
    let meter_id = site.meter_id(&api, &METERS[0]).await?;
    let sold = async |paid: &str| -> Result<String> {
        until_settled(&api, &uuid::Uuid::now_v7().to_string(), &meter_id, paid).await
    };
    ensure!(sold("1.00").await? == "confirmed");
    let rotate = |source: &[&str], version: &str| -> Result<()> {
        let words = [&["vault", "rotate", "DLT645", "purse"], source].concat();
        let ended = polymeter(&site.config, &words, &[], PURSE_KEY)?;
        check(&ended, 0, &[version, "the running program has read the keys anew"])?;
        Ok(())
    };
    rotate(&["--generate"], "version 2")?;
    let state = sold("2.00").await?;
    ensure!(state == "refused", "a sale under a key that the meter does not have is {state}");
    rotate(&["--from", "-"], "version 3")?;
    ensure!(sold("3.00").await? == "confirmed");
    ensure!(applied(&site, &METERS[0])? == (2, 400), "{:?}", applied(&site, &METERS[0])?);
    program.kill().await
}

const LIBRARY: &str = "/usr/lib/softhsm/libsofthsm2.so";

/// The purse's key is in a SoftHSM token, from which nothing can read it; the meter takes the sale.
#[tokio::test(flavor = "multi_thread")]
async fn a_sale_on_a_key_in_a_token() -> Result<()> {
    let (site, program) = Site::new().await?;
    program.kill().await?;
    let folder = site.folder.path();
    let tokens = folder.join("tokens");
    std::fs::create_dir(&tokens)?;
    let softhsm = folder.join("softhsm2.conf");
    std::fs::write(&softhsm, format!("directories.tokendir = {}\n", tokens.display()))?;
    let softhsm = softhsm.display().to_string();
    let made = Command::new("softhsm2-util")
        .args([
            "--init-token",
            "--free",
            "--label",
            "site",
            "--so-pin",
            "12345678",
            "--pin",
            "482913",
        ])
        .env("SOFTHSM2_CONF", &softhsm)
        .output()
        .context("softhsm2-util; cargo xtask test installs it")?;
    ensure!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));

    let text = std::fs::read_to_string(&site.config)?;
    let file = "file = \"keys.vault\"\nunlock-file = \"vault.unlock\"\n";
    ensure!(text.contains(file), "{text}");
    let token = format!("pkcs11 = \"{LIBRARY}\"\ntoken = \"site\"\nunlock-env = \"PIN\"\n");
    std::fs::write(&site.config, text.replace(file, &token))?;
    std::fs::remove_file(folder.join("keys.vault"))?;
    let run = |words: &[&str], input: &str, code: i32, texts: &[&str]| -> Result<()> {
        let variables = [("SOFTHSM2_CONF", softhsm.as_str()), ("PIN", "482913")];
        let ended = polymeter(&site.config, words, &variables, input)?;
        check(&ended, code, texts).with_context(|| format!("{words:?}"))?;
        Ok(())
    };
    run(&["vault", "init"], "", 0, &["it has 0 keys"])?;
    let meter = METERS[0].serial_number;
    let add = ["vault", "add", "DLT645", "purse", "--kind", "3des", "--from", "-"];
    run(&add, PURSE_KEY, 0, &[PURSE_CHECK_VALUE])?;
    run(&["vault", "list"], "", 0, &["FB0975"])?;
    run(&["sell", meter, "5.00"], "", 0, &[])?;
    let sm4 = ["vault", "add", "DLT645", "box", "--kind", "sm4", "--generate"];
    run(&sm4, "", 2, &["mechanism for SM4", "keep it in a vault file"])?;
    run(&["vault", "export-backup", "b", "--unlock-env", "PIN"], "", 2, &["do not leave a token"])?;
    Ok(())
}

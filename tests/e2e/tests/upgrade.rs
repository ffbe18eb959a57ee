//! Drivers changed under a running program: enabled, disabled, reloaded, upgraded while it sells, and
//! versions that go wrong on trial. The program is never restarted, and no sale is lost.

use anyhow::{Context, Result, ensure};
use e2e::money::{applied, meter_credit, until_settled};
use e2e::wavering::{DRIVER, MARK, check, driver, repack, serving, version};
use e2e::{Api, METERS, Site};
use meter_sim::{Fault, FaultKind, On};
use polymeter_package::SecretKey;
use serde_json::json;

async fn sell_one(api: &Api, meter_id: &str) -> Result<()> {
    let sale = uuid::Uuid::now_v7().to_string();
    let state = until_settled(api, &sale, meter_id, "1.00").await?;
    ensure!(state == "confirmed", "the sale is {state}");
    Ok(())
}

/// With `[driver.candidate]` of the DL/T 645 driver, `keys` being its further lines.
fn put_on_trial(site: &Site, digit: u8, keys: &str) -> Result<()> {
    let package = version(site, digit)?;
    let text = std::fs::read_to_string(&site.config)?;
    // Without the one before.
    let text = match text.split_once("[driver.candidate]") {
        None => text,
        Some((head, rest)) => {
            let (_, tail) = rest.split_once("\n[").context("nothing after the candidate")?;
            format!("{head}[{tail}")
        }
    };
    let next = "[[vendor]]\ncode = \"DLT645\"";
    let (head, tail) = text.split_once(next).context("no vendor after its driver")?;
    let package = package.display();
    let trial = format!("[driver.candidate]\npackage = \"{package}\"\n{keys}\n");
    Ok(std::fs::write(&site.config, format!("{head}{trial}{next}{tail}"))?)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_program_takes_a_changed_configuration_or_none_of_it() -> Result<()> {
    let (site, program) = Site::new().await?;
    let api = site.api(&program);
    let meter = &METERS[1];
    let meter_id = site.meter_id(&api, meter).await?;
    sell_one(&api, &meter_id).await?;

    check(&site, &["disable", "acrel-adf400l"], 0, "driver-disabled driver/acrel-adf400l").await?;
    let refused = api.sell(&uuid::Uuid::now_v7().to_string(), &meter_id, "1.00").await?;
    ensure!(refused.code() == "no-driver", "{refused:?}");
    check(&site, &["list"], 0, "disabled").await?;
    check(&site, &["enable", "acrel-adf400l"], 0, "driver-enabled driver/acrel-adf400l").await?;
    sell_one(&api, &meter_id).await?;
    check(&site, &["reload"], 0, "nothing changed").await?;

    // Bad, and then with something that cannot change while it runs.
    let good = std::fs::read_to_string(&site.config)?;
    std::fs::write(
        &site.config,
        good.replace("grant = [\"line\", \"log\"]", "grant = [\"line\"]"),
    )?;
    check(&site, &["reload"], 2, "not granted").await?;
    sell_one(&api, &meter_id).await?;
    std::fs::write(&site.config, good.replace("polymeter.db", "other.db"))?;
    let moved = driver(&site, &["reload"]).await?;
    ensure!(moved.said.contains("no `polymeter serve` is running"), "{}", moved.said);
    std::fs::write(&site.config, good.replace("Asia/Shanghai", "UTC"))?;
    check(&site, &["reload"], 0, "site changed in the file and stays as it is until a restart")
        .await?;
    let pin = format!("signer = [\"{}\"]", e2e::developer_key()?);
    let (_, public) = SecretKey::generate(None)?;
    let public = public.to_file();
    let other = public.lines().last().context("no key")?;
    let two = format!("signer = [\"{}\", \"{other}\"]", e2e::developer_key()?);
    std::fs::write(&site.config, good.replacen(&pin, &two, 1).replace("vault.unlock", "other"))?;
    let said = driver(&site, &["reload"]).await?.said;
    for word in [
        "[[vendor]] DLT645: its pinned keys changed and are in force",
        "what unlocks [vault] changed in the file and stays as it is until a restart",
    ] {
        ensure!(said.contains(word), "the reload says nothing of `{word}`: {said}");
    }
    ensure!(!said.contains("[[vendor]] ACREL"), "{said}");
    std::fs::write(&site.config, &good)?;
    check(&site, &["reload"], 0, "[[vendor]] DLT645").await?;
    check(&site, &["reload"], 0, "nothing changed").await?;
    check(&site, &["enable", "nobody"], 2, "has no [[driver]] named `nobody`").await?;
    ensure!(std::fs::read_to_string(&site.config)? == good, "a refused command edits nothing");

    let socket = site.folder.path().join("polymeter.db.control");
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&socket)?.permissions());
    ensure!(mode & 0o777 == 0o600, "the control socket has mode {mode:o}");
    ensure!(applied(&site, meter)?.0 == 3, "{:?}", applied(&site, meter)?);
    program.kill().await?;
    check(&site, &["reload"], 1, "no `polymeter serve` is running").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_package_is_installed_enabled_and_sells_without_a_restart() -> Result<()> {
    let (site, program) = Site::new().await?;
    let api = site.api(&program);
    let meter = &METERS[0];
    let meter_id = site.meter_id(&api, meter).await?;
    let with = |digit| -> Result<String> { Ok(version(&site, digit)?.display().to_string()) };
    let (good, older) = (with(0)?, e2e::drivers()?.join(format!("{DRIVER}.pmdriver")));
    let older = older.display().to_string();

    // One byte changed, another's key, more imports than its manifest says.
    let mut bytes = std::fs::read(&good)?;
    let at = bytes.windows(MARK.len()).position(|it| it == MARK).context("no mark")?;
    *bytes.get_mut(at).context("an empty package")? ^= 1;
    let broken = site.folder.path().join("broken.pmdriver").display().to_string();
    std::fs::write(&broken, &bytes)?;
    check(&site, &["install", &broken], 1, "does not match").await?;
    let component = std::fs::read(e2e::drivers()?.join("wavering.wasm"))?;
    let greedy = site.folder.path().join("greedy.pmdriver");
    repack(component, "9.0.0", "imports = [\"line\", \"log\"]", true)?.write_file(&greedy)?;
    let greedy = greedy.display().to_string();
    check(&site, &["install", &greedy], 1, "vault").await?;
    let (_, public) = SecretKey::generate(None)?;
    let text = std::fs::read_to_string(&site.config)?;
    let pinned = e2e::developer_key()?;
    let other = public.to_file();
    let other = other.lines().last().context("no key")?;
    std::fs::write(&site.config, text.replace(&pinned, other))?;
    check(&site, &["install", &good], 1, "is signed by key").await?;
    check(&site, &["reload"], 2, "is refused").await?;
    std::fs::write(&site.config, &text)?;

    let elsewhere = format!("[drivers]\nfolder = \"elsewhere\"\n{text}");
    std::fs::write(&site.config, elsewhere)?;
    check(&site, &["install", &good], 0, "elsewhere/installed/dlt645-2007-9.0.0-").await?;
    check(&site, &["reload"], 0, "drivers.folder changed in the file").await?;
    std::fs::write(&site.config, &text)?;
    check(&site, &["install", &good], 0, "installed dlt645-2007 9.0.0 for DLT645, signed by")
        .await?;
    check(&site, &["install", &older], 2, "say --allow-downgrade if that is meant").await?;
    let (first, rest) = text.split_once("[[driver]]\nname = \"dlt645").context("no driver")?;
    let (_, rest) = rest.split_once("[[vendor]]").context("no vendor after it")?;
    std::fs::write(&site.config, format!("{first}[[vendor]]{rest}"))?;
    check(&site, &["reload"], 0, "driver-disabled driver/dlt645-2007").await?;
    let enable = ["enable", DRIVER, "--vendor", "DLT645", "--grant", "line,vault,log"];
    check(&site, &enable, 0, "driver-enabled driver/dlt645-2007").await?;
    ensure!(serving(&api).await?["version"] == "9.0.0");
    sell_one(&api, &meter_id).await?;
    check(&site, &["install", &older, "--allow-downgrade"], 0, "installed").await?;
    ensure!(applied(&site, meter)? == (1, 100), "{:?}", applied(&site, meter)?);
    program.kill().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_under_load_loses_no_sale() -> Result<()> {
    const SELLERS: usize = 32;
    let (site, program) = Site::new().await?;
    let api = site.api(&program);
    let meter = &METERS[0];
    let meter_id = site.meter_id(&api, meter).await?;
    let package = version(&site, 0)?.display().to_string();

    let sellers: Vec<_> = (0..SELLERS)
        .map(|_| {
            let (api, meter_id) = (api.clone(), meter_id.clone());
            tokio::spawn(async move { sell_in_turn(&api, &meter_id).await })
        })
        .collect();
    let upgrade = ["upgrade", DRIVER, &package, "--canary", "100", "--shadow-lines", "bus-serial"];
    check(&site, &upgrade, 0, "candidate-began").await?;
    api.post(&format!("/api/v1/meters/{meter_id}/readings"), json!({})).await?;
    ensure!(serving(&api).await?["candidate"]["version"] == "9.0.0");
    check(&site, &["promote", DRIVER], 0, "driver-promoted").await?;
    check(&site, &["rollback", DRIVER], 0, "driver-rolled-back").await?;
    check(&site, &upgrade, 0, "candidate-began").await?;
    check(&site, &["promote", DRIVER], 0, "driver-promoted").await?;
    for seller in sellers {
        seller.await??;
    }
    let now = serving(&api).await?;
    ensure!(now["version"] == "9.0.0" && now["candidate"].is_null(), "{now}");
    let sold = u64::try_from(SELLERS)?;
    ensure!(applied(&site, meter)? == (sold, sold * 100), "{:?}", applied(&site, meter)?);
    ensure!(meter_credit(&api, &meter_id).await? == sold * 100);
    program.kill().await
}

/// One sale; a meter takes one at a time, so its turn is waited for.
async fn sell_in_turn(api: &Api, meter_id: &str) -> Result<()> {
    let sale = uuid::Uuid::now_v7().to_string();
    loop {
        let answer = api.sell(&sale, meter_id, "1.00").await?;
        if answer.code() != "unsettled-sale" {
            break;
        }
        tokio::task::yield_now().await;
    }
    let state = until_settled(api, &sale, meter_id, "1.00").await?;
    ensure!(state == "confirmed", "the sale is {state}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_goes_wrong_is_sent_back_and_no_sale_is_lost() -> Result<()> {
    let (site, program) = Site::new().await?;
    let api = site.api(&program);
    let meter = &METERS[0];
    let meter_id = site.meter_id(&api, meter).await?;
    let shadow = "shadow-lines = [\"bus-serial\"]\nlatency-samples = 3\nlatency-factor = 1";
    let mut sold = 0;
    for (digit, why) in [(1, "it failed in 2 of 2 calls"), (3, "it disagreed in"), (2, "at p99")] {
        put_on_trial(&site, digit, shadow)?;
        check(&site, &["reload"], 0, "candidate-began").await?;
        sent_back(&site, &api, &meter_id, why).await?;
        sell_one(&api, &meter_id).await?;
        sold += 1;
        check(&site, &["reload"], 0, "stays refused").await?;
    }
    let again = version(&site, 1)?.display().to_string();
    let upgrade = ["upgrade", DRIVER, &again, "--shadow-lines", "bus-serial"];
    check(&site, &upgrade, 0, "candidate-began").await?;

    // Good in reads, and breaks when the money is in the meter already.
    put_on_trial(&site, 4, "canary = 100\ncanary-reads = 1")?;
    check(&site, &["reload"], 0, "candidate-began").await?;
    api.post(&format!("/api/v1/meters/{meter_id}/readings"), json!({})).await?;
    ensure!(serving(&api).await?["candidate"]["stage"] == "canary-all");
    for _ in 0..3 {
        sell_one(&api, &meter_id).await?;
        sold += 1;
    }
    let now = serving(&api).await?;
    ensure!(now["candidate"].is_null() && now["version"] != "9.0.4", "{now}");
    ensure!(applied(&site, meter)? == (sold, sold * 100), "{:?}", applied(&site, meter)?);
    ensure!(meter_credit(&api, &meter_id).await? == sold * 100);
    program.kill().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_that_falls_silent_is_not_held_against_a_candidate() -> Result<()> {
    let (site, program) = Site::new().await?;
    let api = site.api(&program);
    let meter = &METERS[0];
    let meter_id = site.meter_id(&api, meter).await?;
    put_on_trial(&site, 0, "canary = 100\ncanary-reads = 1")?;
    check(&site, &["reload"], 0, "candidate-began").await?;
    api.post(&format!("/api/v1/meters/{meter_id}/readings"), json!({})).await?;
    for _ in 0..3 {
        site.simulator.fault(meter.address, Fault::new(On::Sell, FaultKind::NoReply))?;
        sell_one(&api, &meter_id).await?;
        ensure!(site.simulator.state(meter.address)?.faults_waiting == 0, "the fault hit nothing");
    }
    let candidate = serving(&api).await?["candidate"].clone();
    ensure!(candidate["stage"] == "canary-all" && candidate["faults"] == 0, "{candidate}");
    ensure!(candidate["acts"].as_u64() >= Some(3), "{candidate}");
    ensure!(applied(&site, meter)? == (3, 300), "{:?}", applied(&site, meter)?);
    program.kill().await
}

/// Reads until the candidate is gone; the log says why.
async fn sent_back(site: &Site, api: &Api, meter_id: &str, why: &str) -> Result<()> {
    for _ in 0..20 {
        api.post(&format!("/api/v1/meters/{meter_id}/readings"), json!({})).await?;
        if serving(api).await?["candidate"].is_null() {
            let log = std::fs::read_to_string(site.config.with_extension("log"))?;
            let line = log.lines().rev().find(|line| line.contains("candidate was sent back"));
            ensure!(line.is_some_and(|line| line.contains(why)), "wanted `{why}`: {line:?}");
            return Ok(());
        }
    }
    anyhow::bail!("it is still on trial: {}", serving(api).await?)
}

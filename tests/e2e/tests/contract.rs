//! Drivers of contract 1.0 and 1.1 in one running program, and a search of lines that only those of 1.1
//! can make.

use anyhow::{Context, Result, ensure};
use e2e::money::{applied, meter_credit};
use e2e::{METERS, Meter, Program, Site};
use std::process::Output;

/// The same box as meter A-1's, spoken to by the driver of 1.0; its customer's number.
const OLD: Meter = Meter {
    serial_number: "V-3",
    vendor: "VINTAGE",
    line: "bus-tcp",
    address: "3",
    customer: "100005",
};

/// A site whose configuration also has the driver that is kept as source of contract 1.0.
async fn site() -> Result<(Site, Program)> {
    Site::with_drivers(&[("contract-1-0", "VINTAGE", r#"["line", "vault", "log"]"#)]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_driver_of_1_0_sells_beside_drivers_of_1_1() -> Result<()> {
    let (site, program) = site().await?;
    let api = site.api(&program);
    let old = site.add_meter(&api, &OLD).await?;
    for (meter, id) in [
        (OLD, old),
        (METERS[0], site.meter_id(&api, &METERS[0]).await?),
        (METERS[1], site.meter_id(&api, &METERS[1]).await?),
    ] {
        let sale = uuid::Uuid::now_v7().to_string();
        let answer = api.sell(&sale, &id, "20.00").await?;
        ensure!(answer.body["state"] == "confirmed", "{}: {answer:?}", meter.serial_number);
        ensure!(applied(&site, &meter)? == (1, 2_000), "{}", meter.serial_number);
        ensure!(meter_credit(&api, &id).await? == 2_000, "{}", meter.serial_number);
    }
    let drivers = api.get("/api/v1/drivers").await?.to_string();
    ensure!(drivers.contains("polymeter:driver/line@1.0.0"), "{drivers}");
    ensure!(drivers.contains("polymeter:driver/line@1.1.0"), "{drivers}");
    Ok(())
}

async fn scan(site: &Site, words: &[&str]) -> Result<(Output, String, String)> {
    let config = site.config.to_str().context("a path that is text")?;
    let output = e2e::run(["--config", config, "scan"].iter().chain(words)).await?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    Ok((output, stdout, stderr))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_is_searched_for_its_meters() -> Result<()> {
    let (site, program) = site().await?;
    program.kill().await?;
    // Nearly all of a search is waiting for nobody.
    let text = std::fs::read_to_string(&site.config)?;
    std::fs::write(&site.config, text.replace("reply-timeout-ms = 400", "reply-timeout-ms = 60"))?;

    // Three meters of DL/T 645 answer the wildcard at once, and are told apart by their last digits.
    let (output, stdout, stderr) = scan(&site, &["bus-serial", "--vendor", "DLT645"]).await?;
    ensure!(output.status.success(), "{stderr}");
    for (address, entered) in [
        ("000000000001", "meter D-1"),
        ("000000000002", "meter D-2"),
        ("000000000003", "not entered"),
    ] {
        let found = stdout.lines().find(|line| line.contains(address));
        let found = found.with_context(|| format!("no {address}\n{stdout}\n{stderr}"))?;
        ensure!(found.ends_with(entered), "{found}");
    }
    ensure!(stdout.lines().count() == 3, "{stdout}");
    ensure!(stderr.contains("several answer AAAAAAAAAAAA"), "{stderr}");
    ensure!(stderr.contains("101 of 101 questions"), "{stderr}");

    // Modbus has no wildcard: every unit is asked, here the first few.
    let words = ["bus-tcp", "--vendor", "ACREL", "--set", "last-unit=6"];
    let (output, stdout, stderr) = scan(&site, &words).await?;
    ensure!(output.status.success(), "{stderr}");
    for (address, entered) in [("1", "meter A-1"), ("2", "meter A-2"), ("3", "not entered")] {
        let row = stdout.lines().find(|line| line.split_whitespace().nth(1) == Some(address));
        ensure!(row.is_some_and(|row| row.ends_with(entered)), "{address}: {stdout}");
    }
    ensure!(stdout.lines().count() == 3, "{stdout}");

    for (words, sentence) in [
        (
            &["bus-tcp", "--vendor", "VINTAGE"][..],
            "no driver that can search: contract-1-0 (contract 1.0.0)",
        ),
        (
            &["bus-tcp", "--vendor", "ACREL", "--way", "walk"],
            "driver acrel-adf400l has these: units",
        ),
        (&["bus-tcp", "--vendor", "ACREL", "--set", "last-unit=248"], "must be from 1 to 247"),
        (
            &["bus-tcp", "--vendor", "ACREL", "--set", "unit=2"],
            "way units takes first-unit, last-unit",
        ),
        (&["no-such-line"], "no line no-such-line"),
    ] {
        let (output, _, stderr) = scan(&site, words).await?;
        ensure!(output.status.code() == Some(2), "{words:?}: {stderr}");
        ensure!(stderr.contains(sentence), "{words:?}: {stderr}");
    }
    Ok(())
}

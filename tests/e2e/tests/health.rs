//! A driver that traps in a running program: put into quarantine, seen wherever people look, released
//! again. No sale is lost by it, and the program is never restarted.

use anyhow::{Context, Result, ensure};
use e2e::money::{applied, meter_credit, until_settled};
use e2e::wavering::{DRIVER, check, driver, quarantine, serving};
use e2e::{METERS, Site};
use reqwest::Method;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn a_driver_in_quarantine_is_seen_everywhere_and_released() -> Result<()> {
    let (site, program) = Site::new().await?;
    let api = site.api(&program);
    let meter = &METERS[0];
    let meter_id = site.meter_id(&api, meter).await?;
    let good = std::fs::read_to_string(&site.config)?;
    check(&site, &["list"], 0, " serving ").await?;
    quarantine(&site, &api, &meter_id).await?;

    // A sale waits, and nothing of it leaves.
    let sale = uuid::Uuid::now_v7().to_string();
    let asked = json!({ "meter_id": meter_id, "paid": "1.00" });
    let path = format!("/api/v1/sales/{sale}");
    api.ask(Method::PUT, &path, Some(asked)).await?;
    let refused =
        api.ask(Method::POST, &format!("/api/v1/meters/{meter_id}/readings"), None).await?;
    let detail = refused.body["detail"].as_str().context("no detail")?;
    ensure!(detail.contains("is in quarantine"), "{refused:?}");

    let health = serving(&api).await?["health"].clone();
    // Being asked what it is were calls, too.
    let calls = health["calls"].as_u64().context("no calls")?;
    ensure!(calls > 3 && health["traps"]["unreachable"] == 3, "{health}");
    ensure!(health["answered"] == calls - 3 && health["running"] == 0, "{health}");
    ensure!(health["quarantines"] == 1 && health["until"].is_string(), "{health}");
    let listed = driver(&site, &["list"]).await?.said;
    for word in ["quarantined until 2", "UNSIGNED", "3 traps within 10 min"] {
        ensure!(listed.contains(word), "the list has no `{word}`: {listed}");
    }
    check(&site, &["logs", DRIVER], 0, "last trap 2").await?;
    check(&site, &["logs", DRIVER], 0, "as version 9.0.1 does").await?;
    check(&site, &["logs", "nobody"], 2, "no driver `nobody` serves").await?;
    let labels = "{driver=\"dlt645-2007\",vendor=\"DLT645\",version=\"9.0.1\",role=\"current\"";
    let metrics = api.text("/metrics").await?;
    for row in [
        format!("polymeter_driver_quarantined{labels}}} 1"),
        format!("polymeter_driver_calls_total{labels}}} {calls}"),
        format!("polymeter_driver_traps_total{labels},kind=\"unreachable\"}} 3"),
        format!("polymeter_driver_call_seconds_count{labels}}} {calls}"),
        format!("polymeter_driver_call_seconds_bucket{labels},le=\"+Inf\"}} {calls}"),
        format!("polymeter_driver_signed{labels}}} 0"),
    ] {
        ensure!(metrics.lines().any(|line| line == row), "no `{row}` in {metrics}");
    }
    ensure!(api.text("/drivers").await?.contains("Quarantined"), "the page of all drivers");
    let page = api.text(&format!("/drivers/{DRIVER}")).await?;
    for word in ["Quarantined", "UNSIGNED", "as version 9.0.1 does", "/drivers/dlt645-2007/release"]
    {
        ensure!(page.contains(word), "the page has no `{word}`: {page}");
    }

    check(&site, &["release", DRIVER], 0, "driver-released driver/dlt645-2007: 9.0.1").await?;
    check(&site, &["release", DRIVER], 0, "nothing held it back").await?;
    ensure!(serving(&api).await?["health"]["standing"] == "serving");
    let trail = ["polymeter.db", "polymeter.db-wal"].map(|name| site.folder.path().join(name));
    let trail = trail.iter().filter_map(|file| std::fs::read(file).ok()).flatten();
    let trail = trail.collect::<Vec<u8>>();
    let released = b"driver-released";
    ensure!(trail.windows(released.len()).any(|it| it == released), "no word in the trail");

    std::fs::write(&site.config, good)?;
    check(&site, &["reload"], 0, "driver-rolled-back").await?;
    ensure!(until_settled(&api, &sale, &meter_id, "1.00").await? == "confirmed");
    ensure!(applied(&site, meter)? == (1, 100), "{:?}", applied(&site, meter)?);
    ensure!(meter_credit(&api, &meter_id).await? == 100);
    program.kill().await
}

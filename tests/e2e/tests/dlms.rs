//! DLMS/COSEM meters through the real program: behind a wrapper with a password, and in HDLC on a
//! serial line under keys of the vault: read, switched, set, their past read out, found on their line.
//! The oracle is the simulated meter.

use anyhow::{Result, bail, ensure};
use e2e::{Api, Ended, Meter, Program, Site, run, write_private};
use meter_sim::{BusKind, BusPlan, DlmsPlan, DlmsSecurity, Endpoint, Meters, Plan, Simulator};
use reqwest::Method;
use serde_json::{Value, json};

const ENCRYPTION_KEY: &str = "000102030405060708090A0B0C0D0E0F";
const AUTHENTICATION_KEY: &str = "D0D1D2D3D4D5D6D7D8D9DADBDCDDDEDF";

fn meters() -> Result<(Simulator, String)> {
    let of_then = json!({ "clock": "2026-03-02T10:00:00" });
    let of_then: DlmsPlan = serde_json::from_value(of_then)?;
    let meter = |serial: &str, security| DlmsPlan {
        serial: serial.to_owned(),
        security,
        counter: 1_000,
        tariff_energies: [100, 200, 300, 400],
        balance_fen: 12_345,
        load_watts: 1_150,
        ..of_then.clone()
    };
    let low = DlmsSecurity::Low { password: "12345678".to_owned() };
    let gmac = DlmsSecurity::Gmac {
        encryption_key: ENCRYPTION_KEY.to_owned(),
        authentication_key: AUTHENTICATION_KEY.to_owned(),
    };
    let wrapper = Meters::DlmsWrapper(vec![meter("W", low)]);
    let hdlc = Meters::DlmsHdlc(vec![meter("H", gmac)]);
    let simulator = Simulator::start(Plan {
        buses: vec![
            BusPlan::new("dlms-tcp", BusKind::Tcp, wrapper),
            BusPlan::new("dlms-serial", BusKind::Pty, hdlc),
        ],
    })?;
    let Endpoint::Tcp(address) = simulator.endpoint("dlms-tcp")? else { bail!("a TCP bus") };
    let Endpoint::Serial(path) = simulator.endpoint("dlms-serial")? else { bail!("a serial bus") };
    let waits = "inter-frame-ms = 1\nreply-timeout-ms = 1000\nbyte-timeout-ms = 200";
    let lines = format!(
        "[[line]]\nname = \"dlms-tcp\"\ntcp = \"{address}\"\n{waits}\n\
         [[line]]\nname = \"dlms-serial\"\nserial = \"{}\"\nbaud = 9600\nparity = \"none\"\n\
         stop-bits = 1\n{waits}\n",
        path.display()
    );
    Ok((simulator, lines))
}

/// A value of a reading.
fn value(reading: &Value, register: &str) -> Option<f64> {
    let rows = reading["measurements"].as_array()?;
    rows.iter().find(|row| row["register"] == register)?["value"].as_f64()
}

struct Bench {
    simulator: Simulator,
    site: Site,
    program: Program,
    api: Api,
    /// By their names in the simulator.
    meters: Vec<(&'static str, String)>,
}

/// A site with both meters, and the key of one of them in the vault.
async fn bench() -> Result<Bench> {
    let (simulator, lines) = meters()?;
    let driver = ("dlms", "DLMS", r#"["line", "vault", "log"]"#);
    let (site, program) = Site::with_drivers_and(&[driver], &lines).await?;
    program.kill().await?;
    let key = site.folder.path().join("dlms.key");
    write_private(&key, &format!("{ENCRYPTION_KEY}{AUTHENTICATION_KEY}"))?;
    let (config, key) = (site.config.display().to_string(), key.display().to_string());
    let add = ["vault", "add", "DLMS", "meter", "--kind", "dlms", "--from", &key];
    let ended = run(["--config", &config].iter().chain(&add)).await?;
    ensure!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));

    let program = Program::start(&site.config, None).await?;
    let api = site.api(&program);
    let low = json!({ "client": 1, "security": "low", "password": "12345678",
        "account": "0.0.19.0.0.255", "companion": "dsmr" });
    let gmac = json!({ "connection": "hdlc", "client": 1, "security": "gmac",
        "account": "0.0.19.0.0.255" });
    let mut meters = Vec::new();
    for (name, line, address, parameters) in
        [("W", "dlms-tcp", "1", low), ("H", "dlms-serial", "1/17", gmac)]
    {
        let (vendor, customer) = ("DLMS", "7");
        let meter = Meter { serial_number: name, vendor, line, address, customer };
        let meter_id = site.enter_meter(&api, &meter).await?;
        let path = format!("/api/v1/meters/{meter_id}/parameters");
        let given = Some(json!({ "parameters": parameters }));
        let kept = api.ask(Method::PUT, &path, given).await?;
        ensure!(kept.status.is_success(), "{kept:?}");
        meters.push((name, meter_id));
    }
    Ok(Bench { simulator, site, program, api, meters })
}

#[tokio::test(flavor = "multi_thread")]
async fn meters_are_read_and_switched_behind_a_wrapper_and_in_hdlc_under_a_key() -> Result<()> {
    let Bench { simulator, program, api, meters, .. } = bench().await?;
    for (name, meter_id) in &meters {
        let readings = format!("/api/v1/meters/{meter_id}/readings");
        let reading = api.post(&readings, json!({})).await?;
        // 10 kWh, which the meter tells as 1000 times ten Wh.
        ensure!(value(&reading, "1.0.1.8.0.255") == Some(10_000.0), "{name}: {reading}");
        ensure!(value(&reading, "1.0.32.7.0.255") == Some(230.0), "{name}: {reading}");
        ensure!(value(&reading, "0.0.19.10.0.255") == Some(123.45), "{name}: {reading}");
        ensure!(reading["supply"] == "connected", "{name}: {reading}");
        let supply = format!("/api/v1/meters/{meter_id}/supply-control");
        for (command, state) in [("disconnect", "disconnected"), ("connect", "connected")] {
            let body = Some(json!({ "command": command }));
            let answer = api.ask(Method::POST, &supply, body).await?;
            ensure!(answer.status.is_success(), "{name}: {answer:?}");
            let closed = simulator.state(name)?.relay_closed;
            ensure!(closed == (state == "connected"), "{name}: {command} left it {closed}");
            let reading = api.post(&readings, json!({})).await?;
            ensure!(reading["supply"] == state, "{name}: {reading}");
        }
    }
    ensure!(simulator.state("H")?.mac_failures == 0, "{:?}", simulator.state("H")?);
    program.kill().await
}

#[tokio::test(flavor = "multi_thread")]
async fn their_past_is_read_their_clock_and_limits_are_set_and_they_are_found() -> Result<()> {
    let Bench { simulator, site, program, api, meters } = bench().await?;
    simulator.advance(6 * 3_600);
    simulator.open_cover("W")?;
    for (name, meter_id) in &meters {
        let of_meter = |what: &str| format!("/api/v1/meters/{meter_id}/{what}");
        let kinds = api.get(&of_meter("record-kinds")).await?;
        ensure!(kinds["items"].as_array().map(Vec::len) == Some(4), "{kinds}");
        let load = json!({ "kind": "load", "since": "2026-03-02" });
        let read = api.post(&of_meter("records"), load.clone()).await?;
        ensure!(read["stored"] == 24 && read["damaged"] == json!([]), "{name}: {read}");
        let again = api.post(&of_meter("records"), load).await?;
        ensure!(again["known"] == 24 && again["stored"] == 0, "{name}: {again}");
        let kept = api.get(&of_meter("records?kind=load")).await?;
        let last = &kept["items"][0];
        ensure!(last["at"] == "2026-03-02T16:00:00", "{name}: {last}");
        // 1150 W for six hours behind 10 kWh.
        ensure!(value(last, "1.0.1.8.0.255") == Some(16_900.0), "{name}: {last}");

        let new = json!({ "way": "set", "reason": "it was never set" });
        let set = api.ask(Method::POST, &of_meter("clock-settings"), Some(new)).await?;
        ensure!(set.body["state"] == "right", "{name}: {}", set.body);
        let limits = json!({ "parameters": { "overload-power": 3300, "credit-warning": 2550 } });
        api.post(&of_meter("settings"), limits).await?;
        let held = simulator.settings_fen(name)?;
        for known in [("overload-power", 3_300), ("credit-warning", 2_550)] {
            ensure!(held.contains(&known), "{name}: {held:?}");
        }
    }
    let (_, behind_wrapper) = &meters[0];
    let events = json!({ "kind": "events", "since": "2026-03-02" });
    let read = api.post(&format!("/api/v1/meters/{behind_wrapper}/records"), events).await?;
    ensure!(read["damaged"] == json!([]), "{read}");
    let kept = api.get(&format!("/api/v1/meters/{behind_wrapper}/records?kind=events")).await?;
    for event in ["cover-open", "clock-set", "programmed"] {
        let rows = kept["items"].as_array().map(Vec::as_slice).unwrap_or_default();
        ensure!(rows.iter().any(|row| row["event"] == event), "{event}: {kept}");
    }
    let reading = api.post(&format!("/api/v1/meters/{behind_wrapper}/readings"), json!({})).await?;
    ensure!(reading["extras"]["states"] == "tamper", "{reading}");
    program.kill().await?;

    let words = ["scan", "dlms-serial", "--vendor", "DLMS", "--set", "first-address=16"];
    let words = words.iter().chain(&["--set", "last-address=18"]).copied().collect::<Vec<_>>();
    let ended = Ended::of(&site.config, &words).await?;
    ensure!(ended.code == Some(0), "{}", ended.stderr);
    let rows: Vec<&str> = ended.stdout.lines().collect();
    ensure!(rows.len() == 1 && rows[0].contains("1/17"), "{rows:?}");
    for told in ["SIM0000000000001", "connection=hdlc", "serial-number=H"] {
        ensure!(rows[0].contains(told), "{told}: {rows:?}");
    }
    ensure!(rows[0].ends_with("meter H"), "{rows:?}");
    Ok(())
}

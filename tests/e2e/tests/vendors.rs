//! Vendors and instruments that are data alone, through the real program: a vendor code that no package
//! names is sold to by the driver that covers its meters, and a `driver.toml` without code reads and
//! switches somebody else's Modbus device (pymodbus).

use anyhow::{Context, Result, bail, ensure};
use e2e::money::{applied, meter_credit, until_settled};
use e2e::{Meter, PURSE_KEY, Program, Site, drivers, root, run, write_private};
use meter_sim::{
    Acrel1352Kind, Acrel1352Plan, BusKind, BusPlan, Endpoint, Meters, ModemAnswers, ModemPlan,
    Plan, Simulator,
};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// On the line of the site's DL/T 645 meters, and one of them.
const NORTH: Meter = Meter {
    serial_number: "N-1",
    vendor: "NORTH",
    line: "bus-serial",
    address: "000000000003",
    customer: "100005",
};

#[tokio::test(flavor = "multi_thread")]
async fn a_new_vendor_is_sold_to_by_an_existing_driver() -> Result<()> {
    // Its key has another label than the driver's own vendor has, which only its dialect says.
    let table = "[[vendor]]\ncode = \"NORTH\"\nname-en = \"North\"\nname-zh = \"北\"\n\
                 models = [\"N1\"]\ndriver = \"dlt645-2007\"\n\
                 parameters = { key-label = \"north-purse\", wake-up = 2 }\n";
    let (site, program) = Site::with_more(table, &[]).await?;
    program.kill().await?;
    let key = site.folder.path().join("north.key");
    write_private(&key, PURSE_KEY)?;
    let config = site.config.display().to_string();
    let key_shown = key.display().to_string();
    let add = ["vault", "add", "NORTH", "north-purse", "--kind", "3des", "--from", &key_shown];
    let ended = run(["--config", &config].iter().chain(&add)).await?;
    ensure!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    let ended = run(["--config", &config, "vendors"]).await?;
    let listed = String::from_utf8_lossy(&ended.stdout).into_owned();
    for line in [
        "NORTH            北 North (N1): dlt645-2007, assumed, served here by dlt645-2007@NORTH",
        "HOLLEY           华立 Holley: dlt645-2007, assumed, not served here",
        "ACREL            安科瑞 Acrel (ADF400L): acrel-adf400l, assumed, served here by acrel-adf400l",
    ] {
        ensure!(listed.lines().any(|it| it == line), "no `{line}` in\n{listed}");
    }

    let program = Program::start(&site.config, None).await?;
    let api = site.api(&program);
    let meter_id = site.add_meter(&api, &NORTH).await?;
    let sale_id = uuid::Uuid::now_v7().to_string();
    let state = until_settled(&api, &sale_id, &meter_id, "50.00").await?;
    ensure!(state == "confirmed", "{state}");
    ensure!(applied(&site, &NORTH)? == (1, 5_000), "{:?}", applied(&site, &NORTH)?);
    ensure!(meter_credit(&api, &meter_id).await? == 5_000, "the ledger has another sum");
    let reading = api.post(&format!("/api/v1/meters/{meter_id}/readings"), json!({})).await?;
    ensure!(value(&reading, "0.0.19.10.0.255")? == 50.0, "{reading}");
    let page = api.text("/drivers").await?;
    ensure!(page.contains("dlt645-2007@NORTH"), "the page does not list it");
    program.kill().await
}

/// A value of a reading.
fn value(reading: &Value, register: &str) -> Result<f64> {
    let rows = reading["measurements"].as_array().with_context(|| reading.to_string())?;
    let row = rows.iter().find(|row| row["register"] == register);
    let row = row.with_context(|| format!("no {register} in {reading}"))?;
    ensure!(row["quality"] == "measured", "{row}");
    row["value"].as_f64().with_context(|| row.to_string())
}

const NORTH_N2: &str = r#"
name = "north-n2"
version = "3.1.0"
contract = "1.1.0"
models = ["N2"]
imports = ["line", "log"]
proof = "none"
purse = "none"
[build]
language = "data"
base = "BASE"
[[vendor]]
code = "NORTH-N2"
name-en = "North N2"
name-zh = "北N2"
[[map]]
model = "N2"
evidence = "proven"
source = "the test's own device"
word-order = "low-first"
gap = 4
register = [
    { address = 0x0000, type = "u32", scale = -2, obis = "1.0.1.8.0.255", unit = "kWh" },
    { address = 0x0006, type = "f32", obis = "1.0.32.7.0.255", unit = "V", word-order = "high-first" },
    { address = 0x0008, type = "i16", scale = -3, obis = "1.0.1.7.0.255", unit = "kW", absent = [0x8000] },
]
relay = { address = 0x0100, open = [1, 1], close = [1, 0], status = { address = 0x0101, open = 1, close = 0 } }
"#;

/// A pymodbus server in a process of its own.
struct Peer(Child, u16);

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Peer {
    fn start(plan: &Value) -> Result<Peer> {
        let python = root().join("target/peer-modbus/bin/python");
        ensure!(python.is_file(), "{} is missing: cargo xtask test makes it", python.display());
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/modbus_server.py");
        let mut child = Command::new(python)
            .arg(script)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        writeln!(child.stdin.as_mut().context("its input")?, "{plan}")?;
        let mut port = String::new();
        BufReader::new(child.stdout.as_mut().context("its output")?).read_line(&mut port)?;
        match port.trim().parse() {
            Ok(port) => Ok(Peer(child, port)),
            Err(_) => bail!("the peer did not start: {port}"),
        }
    }
}

/// Puts `text` into the component of modbus-generic and packs it, as a vendor would; the package.
fn packed(folder: &Path, text: &str) -> Result<std::path::PathBuf> {
    let base = drivers()?.join("modbus-generic.pmdriver");
    let text = text.replace("BASE", &base.display().to_string());
    std::fs::write(folder.join("driver.toml"), text)?;
    std::fs::write(folder.join("README.md"), "# North N2\n")?;
    polymeter_sdk::build(folder, folder)?;
    polymeter_sdk::pack(folder, folder)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instrument_is_added_without_code() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let package = packed(folder.path(), NORTH_N2)?;
    let [high, low] = [0x435C, 0x199A_u16];
    let peer = Peer::start(&json!({
        "unit": 7,
        "holding": { "0": 12_345, "1": 1, "2": 0, "3": 0, "4": 0, "5": 0, "6": high, "7": low,
                     "8": 0xFF38, "256": 0, "257": 0 },
        "input": { "0": 0 },
    }))?;
    let more = format!(
        "[[driver]]\nname = \"north-n2\"\nvendor = \"NORTH-N2\"\npackage = \"{}\"\n\
         grant = [\"line\", \"log\"]\nallow-unsigned = true\n\
         [[line]]\nname = \"bus-north\"\ntcp = \"127.0.0.1:{}\"\ninter-frame-ms = 5\n",
        package.display(),
        peer.1
    );
    let (site, program) = Site::with_more(&more, &[]).await?;
    let api = site.api(&program);
    let meter = Meter {
        serial_number: "N2-1",
        vendor: "NORTH-N2",
        line: "bus-north",
        address: "7",
        customer: "100006",
    };
    let meter_id = site.enter_meter(&api, &meter).await?;
    let reading = api.post(&format!("/api/v1/meters/{meter_id}/readings"), json!({})).await?;
    // Low word first: 1 x 65536 + 12345 hundredths.
    ensure!(value(&reading, "1.0.1.8.0.255")? == 778.81, "{reading}");
    ensure!(value(&reading, "1.0.32.7.0.255")? == 220.1, "{reading}");
    ensure!(value(&reading, "1.0.1.7.0.255")? == -0.2, "{reading}");
    ensure!(reading["supply"] == "connected", "{reading}");
    let supply = format!("/api/v1/meters/{meter_id}/supply-control");
    for (command, state) in [("disconnect", "disconnected"), ("connect", "connected")] {
        let answer = api.ask(Method::POST, &supply, Some(json!({ "command": command }))).await?;
        ensure!(answer.status.is_success(), "{answer:?}");
        let reading = api.post(&format!("/api/v1/meters/{meter_id}/readings"), json!({})).await?;
        ensure!(reading["supply"] == state, "{reading}");
    }

    // A file that cannot be used is refused when the driver is loaded, and says where.
    let bad = NORTH_N2.replace("unit = \"kW\"", "unit = \"kw\"");
    packed(folder.path(), &bad)?;
    let config = site.config.display().to_string();
    let ended = run(["--config", &config, "check-config"]).await?;
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    let sentence = "map N2: register 0008H: unit `kw` is not known";
    ensure!(ended.status.code() == Some(2) && said.contains(sentence), "{said}");
    program.kill().await
}

/// The circuits of a box and a meter of the same family, on one line.
#[tokio::test(flavor = "multi_thread")]
async fn the_1352_family_is_read_and_switched() -> Result<()> {
    let circuit = |unit| Acrel1352Plan {
        unit,
        kind: Acrel1352Kind::Adf300,
        energy: 1_000 * u64::from(unit),
        load_watts: 100 * u32::from(unit),
        ..Acrel1352Plan::default()
    };
    let plans = (1..=36).map(circuit).chain([Acrel1352Plan {
        unit: 40,
        energy: 4_321,
        load_watts: 660,
        demand_watts: 1_234,
        ..Acrel1352Plan::default()
    }]);
    let bus = BusPlan::new("bus-box", BusKind::Tcp, Meters::Acrel1352(plans.collect()));
    let simulator = Simulator::start(Plan { buses: vec![bus] })?;
    let Endpoint::Tcp(address) = simulator.endpoint("bus-box")? else { bail!("a TCP bus") };
    let mut more = format!(
        "[[line]]\nname = \"bus-box\"\ntcp = \"{address}\"\ninter-frame-ms = 1\n\
         reply-timeout-ms = 400\n"
    );
    for (name, vendor) in [("acrel-dtsy1352", "ACREL-1352"), ("acrel-adf300", "ACREL-ADF300")] {
        more += &format!(
            "[[driver]]\nname = \"{name}\"\nvendor = \"{vendor}\"\npackage = \"{}\"\n\
             grant = [\"line\", \"log\"]\n[[vendor]]\ncode = \"{vendor}\"\nsigner = [\"{}\"]\n",
            drivers()?.join(format!("{name}.pmdriver")).display(),
            e2e::developer_key()?
        );
    }
    let (site, program) = Site::with_more(&more, &[]).await?;
    let api = site.api(&program);
    let entered = async |unit: &'static str, vendor, serial_number| {
        let meter = Meter { serial_number, vendor, line: "bus-box", address: unit, customer: "7" };
        site.enter_meter(&api, &meter).await
    };
    let read = async |meter_id: &str| {
        api.post(&format!("/api/v1/meters/{meter_id}/readings"), json!({})).await
    };
    let first = entered("1", "ACREL-ADF300", "B-01").await?;
    let last = entered("36", "ACREL-ADF300", "B-36").await?;
    ensure!(value(&read(&first).await?, "1.0.1.8.0.255")? == 10.0, "of the first circuit");
    ensure!(value(&read(&last).await?, "1.0.1.8.0.255")? == 360.0, "of the last circuit");
    let supply = format!("/api/v1/meters/{last}/supply-control");
    let body = Some(json!({ "command": "disconnect" }));
    ensure!(api.ask(Method::POST, &supply, body).await?.status.is_success(), "not switched");
    ensure!(
        !simulator.state("36")?.relay_closed && simulator.state("1")?.relay_closed,
        "one alone"
    );

    let kinds = api.get(&format!("/api/v1/meters/{first}/record-kinds")).await?;
    ensure!(kinds["items"] == json!([]), "a driver that reads no records: {kinds}");
    let clock = format!("/api/v1/meters/{first}/clock-settings");
    let set = Some(json!({ "way": "set", "reason": "x" }));
    let answer = api.ask(Method::POST, &clock, set).await?;
    ensure!(answer.status == StatusCode::CONFLICT, "a driver that sets none: {}", answer.body);

    let meter = entered("40", "ACREL-1352", "D-40").await?;
    let reading = read(&meter).await?;
    for (register, expected) in [
        ("1.0.1.8.0.255", 43.21),
        ("1.0.32.7.0.255", 220.0),
        ("1.0.52.7.0.255", 220.0),
        ("1.0.31.7.0.255", 1.0),
        ("1.0.1.7.0.255", 0.66),
        ("1.0.1.6.0.255", 1.234),
    ] {
        ensure!(value(&reading, register)? == expected, "{register}: {reading}");
    }
    let clock = format!("/api/v1/meters/{meter}/clock-settings");
    let set = api.post(&clock, json!({ "way": "set", "reason": "x" })).await?;
    ensure!(set["state"] == "right", "{set}");
    let events = json!({ "kind": "events", "since": "2018-01-01T00:00:00" });
    let read = api.post(&format!("/api/v1/meters/{meter}/records"), events).await?;
    ensure!(read["stored"] == 1, "the last event: {read}");
    let settings = format!("/api/v1/meters/{meter}/settings");
    let plan = json!({ "parameters": { "day-plan-1": "00:00 4, 08:00 2" } });
    let held = api.post(&settings, plan).await?;
    ensure!(held[0]["held"]["outcome"] == "confirmed", "{held}");
    program.kill().await
}

/// Meters of that family behind modems that wrap everything (protocols.md 3.4), whichever of the three
/// known ways a modem answers in.
#[tokio::test(flavor = "multi_thread")]
async fn meters_behind_4g_modems_are_read_and_switched() -> Result<()> {
    const MODEMS: [(&str, &str, ModemAnswers); 3] = [
        ("4g-frame", "M-1", ModemAnswers::Frame),
        ("4g-serial-and-frame", "M-2", ModemAnswers::SerialAndFrame),
        ("4g-serial-for-writes", "M-3", ModemAnswers::SerialForWrites),
    ];
    let bus = |(name, _, answers): &(&str, &str, ModemAnswers)| {
        let meter = Acrel1352Plan { unit: 1, energy: 4_321, ..Acrel1352Plan::default() };
        let modem = Some(ModemPlan { answers: *answers, ..ModemPlan::default() });
        BusPlan { modem, ..BusPlan::new(name, BusKind::Tcp, Meters::Acrel1352(vec![meter])) }
    };
    let simulator = Simulator::start(Plan { buses: MODEMS.iter().map(bus).collect() })?;
    let mut lines = String::new();
    for (name, ..) in MODEMS {
        let Endpoint::Tcp(address) = simulator.endpoint(name)? else { bail!("a TCP bus") };
        lines += &format!(
            "[[line]]\nname = \"{name}\"\ntcp = \"{address}\"\nenvelope = \"acrel-4g\"\n\
             inter-frame-ms = 1\nreply-timeout-ms = 400\n"
        );
    }
    let driver = ("acrel-dtsy1352", "ACREL-1352", r#"["line", "log"]"#);
    let (site, program) = Site::with_drivers_and(&[driver], &lines).await?;
    let api = site.api(&program);
    for (line, serial_number, _) in MODEMS {
        let vendor = "ACREL-1352";
        let meter = Meter { serial_number, vendor, line, address: "1", customer: "7" };
        let meter_id = site.enter_meter(&api, &meter).await?;
        let readings = format!("/api/v1/meters/{meter_id}/readings");
        let reading = api.post(&readings, json!({})).await?;
        ensure!(value(&reading, "1.0.1.8.0.255")? == 43.21, "{line}: {reading}");
        let supply = format!("/api/v1/meters/{meter_id}/supply-control");
        for (command, state) in [("disconnect", "disconnected"), ("connect", "connected")] {
            let answer =
                api.ask(Method::POST, &supply, Some(json!({ "command": command }))).await?;
            ensure!(answer.status.is_success(), "{line}: {answer:?}");
            let closed = simulator.state(&format!("{line}/1"))?.relay_closed;
            ensure!(closed == (state == "connected"), "{line}: {command} left it closed: {closed}");
            let reading = api.post(&readings, json!({})).await?;
            ensure!(reading["supply"] == state, "{line}: {reading}");
        }
        let modem = simulator.modem(line).context("a modem")?;
        let told = modem.told_time.context("it was not told the time")?;
        ensure!(modem.registered == 1 && modem.uploads_taken == 1, "{line}: {modem:?}");
        ensure!((24..=99).contains(&told[0]) && (1..=12).contains(&told[1]), "{told:?}");
        ensure!(modem.noise_bytes == 0, "{line}: {modem:?}");
    }
    let shown = api.get("/api/v1/lines").await?.to_string();
    ensure!(shown.contains(" acrel-4g"), "{shown}");
    program.kill().await
}

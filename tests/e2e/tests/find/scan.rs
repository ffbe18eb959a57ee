//! `polymeter scan LINE` on lines that nobody has described: mixed protocols on one pair of wires, M-Bus
//! meters whose secondary addresses collide, a port at another baud rate.
//!
//! The oracle is the plan of the simulator. A scan has no second try, and a loaded machine may be slower
//! than the short timeouts here, so what a scan misses must be found by one of a few.

use anyhow::{Context, Result, ensure};
use e2e::Ended;
use meter_sim::{
    Adf400lPlan, BusKind, BusPlan, Cjt188Plan, Dlt645Plan, Editions, Endpoint, MbusPlan, Meters,
    Plan, Simulator,
};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;

/// Nearly all of a scan is waiting for nobody.
const QUICK: &str = "reply-timeout-ms = 100\nbyte-timeout-ms = 40\ntotal-timeout-ms = 10000";
/// Scans of one line until a test gives up.
const SCANS_MAX: usize = 3;

struct Scene {
    _folder: tempfile::TempDir,
    _simulator: Simulator,
    config: PathBuf,
}

/// A configuration of these drivers (name, vendor code, imports) and the one line of the plan.
fn scene(bus: BusPlan, line: &str, drivers: &[(&str, &str, &str)]) -> Result<Scene> {
    let simulator = Simulator::start(Plan { buses: vec![bus] })?;
    let folder = tempfile::tempdir()?;
    let far_end = match simulator.endpoint("bus")? {
        Endpoint::Tcp(address) => format!("tcp = \"{address}\""),
        Endpoint::Serial(path) => format!("serial = \"{}\"", path.display()),
    };
    let mut text = format!(
        "database.path = \"polymeter.db\"\n\
         site = {{ time-zone = \"Asia/Shanghai\", currency = \"CNY\" }}\n\
         [[line]]\nname = \"bus\"\n{far_end}\ninter-frame-ms = 1\n{line}\n"
    );
    for (name, vendor, grant) in drivers {
        let package = e2e::drivers()?.join(format!("{name}.pmdriver"));
        let (package, signer) = (package.display(), e2e::developer_key()?);
        write!(
            text,
            "[[driver]]\nname = \"{name}\"\nvendor = \"{vendor}\"\npackage = \"{package}\"\n\
             grant = [{grant}]\n[[vendor]]\ncode = \"{vendor}\"\nsigner = [\"{signer}\"]\n"
        )?;
    }
    let config = folder.path().join("polymeter.toml");
    std::fs::write(&config, text)?;
    Ok(Scene { _folder: folder, _simulator: simulator, config })
}

/// "vendor address" of every meter that was found, scanned until nobody is missing.
async fn scanned(scene: &Scene, words: &[&str], wanted: &BTreeSet<String>) -> Result<Ended> {
    let mut found = BTreeSet::new();
    for _ in 0..SCANS_MAX {
        let ended = Ended::of(&scene.config, words).await?;
        ensure!(ended.code == Some(0), "{}", ended.stderr);
        for row in ended.stdout.lines() {
            let mut columns = row.split_whitespace();
            let (vendor, address) = (columns.next(), columns.next());
            let (vendor, address) = vendor.zip(address).context("two columns")?;
            found.insert(format!("{vendor} {address}"));
        }
        let others: Vec<_> = found.difference(wanted).collect();
        ensure!(others.is_empty(), "who is {others:?}?\n{}\n{}", ended.stdout, ended.stderr);
        if found == *wanted {
            return Ok(ended);
        }
    }
    let missing: Vec<_> = wanted.difference(&found).collect();
    anyhow::bail!("not found: {missing:?}");
}

const LINE_AND_LOG: &str = r#""line", "log""#;
const ALL: &str = r#""line", "vault", "log""#;

#[tokio::test(flavor = "multi_thread")]
async fn all_of_32_meters_of_four_protocols_on_one_line_are_found() -> Result<()> {
    // Electricity meters differ in the last two digits, two water meters do not.
    let of_2007: Vec<String> = (1..=12_u64)
        .map(|nth| format!("{:012}", nth * 100_000_307))
        .chain(["000000001190", "000000002291"].map(str::to_owned))
        .collect();
    let of_1997 = ["000000000042", "009700000043", "200000000017", "200000000098", "970000000003"];
    let water: Vec<String> = (1..=5_u64)
        .map(|nth| format!("{:014}", nth * 1_000_000_000_111))
        .chain(["00000000004211".to_owned()])
        .collect();
    let units = [1, 2, 3, 17, 100, 200, 247];
    let mut wanted = BTreeSet::new();
    wanted.extend(of_2007.iter().map(|address| format!("DLT645 {address}")));
    wanted.extend(of_1997.iter().map(|address| format!("DLT645-97 {address}")));
    wanted.extend(water.iter().map(|address| format!("CJT188 {address}")));
    wanted.extend(units.iter().map(|unit| format!("ACREL {unit}")));
    ensure!(wanted.len() == 32, "{} meters", wanted.len());

    let dlt645 = |address: &str, editions| Dlt645Plan { editions, ..Dlt645Plan::new(address) };
    let electricity = of_2007.iter().map(|address| dlt645(address, Editions::Of2007));
    let electricity = electricity.chain(of_1997.map(|address| dlt645(address, Editions::Of1997)));
    let water = water.into_iter().map(|address| Cjt188Plan { address, ..Cjt188Plan::default() });
    let mixed = Meters::Mixed(vec![
        Meters::Dlt645(electricity.collect()),
        Meters::Cjt188(water.collect()),
        Meters::Adf400l(units.map(Adf400lPlan::new).to_vec()),
    ]);
    let scene = scene(
        BusPlan::new("bus", BusKind::Tcp, mixed),
        QUICK,
        &[
            ("dlt645-2007", "DLT645", ALL),
            ("dlt645-1997", "DLT645-97", LINE_AND_LOG),
            ("cjt188-water", "CJT188", LINE_AND_LOG),
            ("acrel-adf400l", "ACREL", LINE_AND_LOG),
        ],
    )?;
    let ended = scanned(&scene, &["scan", "bus"], &wanted).await?;
    // The driver and what the meter needs to be entered stand in its row.
    for (vendor, texts) in [
        ("CJT188", &["cjt188-water", "meter-type=10", "not entered"][..]),
        ("DLT645-97", &["dlt645-1997"]),
        ("ACREL", &["acrel-adf400l", "ADF400L"]),
    ] {
        let row = ended.stdout.lines().find(|row| row.starts_with(vendor)).context("a row")?;
        ensure!(texts.iter().all(|text| row.contains(text)), "{row}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn m_bus_meters_are_found_though_their_secondary_addresses_collide() -> Result<()> {
    // Numbers that share no, some, seven digits; one number of two media.
    let numbers = ["12345678", "12345679", "12340000", "92345678", "00000001", "99999999"];
    let mut meters: Vec<MbusPlan> = numbers
        .map(|number| MbusPlan { number: number.to_owned(), ..MbusPlan::default() })
        .to_vec();
    let twin = |version, medium| MbusPlan {
        number: "55555555".to_owned(),
        version,
        medium,
        ..MbusPlan::default()
    };
    meters.extend([twin(1, 3), twin(7, 6)]);
    // "SIM" is 19, 9 and 13 in five bits each, low byte first.
    let address = |meter: &MbusPlan| {
        format!("MBUS {}2D4D{:02X}{:02X}", meter.number, meter.version, meter.medium)
    };
    let wanted: BTreeSet<String> = meters.iter().map(address).collect();
    let bus = BusPlan::new("bus", BusKind::Tcp, Meters::Mbus(meters));
    let scene = scene(bus, QUICK, &[("mbus", "MBUS", ALL)])?;
    let ended = scanned(&scene, &["scan", "bus"], &wanted).await?;
    ensure!(ended.stderr.contains("several answer"), "{}", ended.stderr);
    ensure!(ended.stdout.contains("SIM 7, "), "{}", ended.stdout);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_at_another_baud_rate_is_found_out() -> Result<()> {
    let meters = Meters::Dlt645(vec![Dlt645Plan::new("000000000042")]);
    let bus = BusPlan { baud: Some(4800), ..BusPlan::new("bus", BusKind::Pty, meters) };
    // Few questions, so they may take their time: a byte of the answer comes every 2 ms.
    let line = "baud = 9600\nparity = \"even\"\nreply-timeout-ms = 600\nbyte-timeout-ms = 200";
    let scene = scene(bus, line, &[("dlt645-2007", "DLT645", ALL)])?;
    let wanted = BTreeSet::from(["DLT645 000000000042".to_owned()]);
    let words = ["scan", "bus", "--vendor", "DLT645"];
    let ended = scanned(&scene, &words, &wanted).await?;
    ensure!(ended.stdout.contains(" at 4800 8E1"), "{}", ended.stdout);
    ensure!(ended.stderr.contains("now with 2400 8E1"), "{}", ended.stderr);
    let ended =
        Ended::of(&scene.config, &["scan", "bus", "--vendor", "DLT645", "--as-configured"]).await?;
    ensure!(ended.stdout == "nobody answered on bus\n", "{}{}", ended.stdout, ended.stderr);
    Ok(())
}

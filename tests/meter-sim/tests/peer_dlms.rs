//! Gurux' DLMS client (PyPI `gurux_dlms` 1.0.203) against the simulated meter: both connections, no,
//! low and high security, lists, blocks, segments, methods, profiles by range and by place, what can be
//! written. What the client saw is what the plan says.

use meter_sim::{BusKind, BusPlan, DlmsPlan, DlmsSecurity, Endpoint, Meters, Plan, Simulator};
use serde_json::{Value, json};
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

const ENCRYPTION_KEY: &str = "000102030405060708090A0B0C0D0E0F";
const AUTHENTICATION_KEY: &str = "D0D1D2D3D4D5D6D7D8D9DADBDCDDDEDF";
const PASSWORD: &str = "12345678";

fn meter(security: DlmsSecurity) -> DlmsPlan {
    DlmsPlan {
        security,
        counter: 100,
        tariff_energies: [100, 200, 300, 400],
        clock: Some(jiff::civil::date(2026, 3, 2).at(10, 11, 12, 0)),
        price_fen: 55,
        ..DlmsPlan::default()
    }
}

fn security(name: &str) -> DlmsSecurity {
    match name {
        "low" => DlmsSecurity::Low { password: PASSWORD.to_owned() },
        "gmac" => DlmsSecurity::Gmac {
            encryption_key: ENCRYPTION_KEY.to_owned(),
            authentication_key: AUTHENTICATION_KEY.to_owned(),
        },
        _ => DlmsSecurity::None,
    }
}

/// What the client saw of a meter with this security, through a client of this one.
fn seen(connection: &str, meter_has: &str, client_has: &str, more: &[(&str, &str)]) -> Value {
    seen_of(connection, meter(security(meter_has)), client_has, more)
}

fn seen_of(connection: &str, meter: DlmsPlan, client_has: &str, more: &[(&str, &str)]) -> Value {
    let meters = vec![meter];
    let meters = match connection {
        "hdlc" => Meters::DlmsHdlc(meters),
        _ => Meters::DlmsWrapper(meters),
    };
    let bus = BusPlan::new("line", BusKind::Tcp, meters);
    let simulator = Simulator::start(Plan { buses: vec![bus] }).unwrap();
    // An hour and a bit, and somebody's hand at the case.
    simulator.advance(70 * 60);
    simulator.open_cover("00000001").unwrap();
    let Endpoint::Tcp(address) = simulator.endpoint("line").unwrap() else { panic!("TCP") };
    let mut plan = json!({
        "connection": connection, "port": address.port(), "physical": 17, "security": client_has,
        "client": if client_has == "none" { 16 } else { 1 },
        "encryption_key": ENCRYPTION_KEY, "authentication_key": AUTHENTICATION_KEY,
        "title": "504C4D0000000001", "counter": 101,
        "since": "2026-03-02T10:30:00", "until": "2026-03-02T11:00:00",
    });
    if client_has == "low" {
        plan["password"] = json!(PASSWORD);
    }
    for (name, value) in more {
        plan[*name] = json!(value);
    }
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/peer-dlms/bin/python");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/dlms_client.py");
    let mut peer = Command::new(&python)
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|why| panic!("{}: {why}: cargo xtask test makes it", python.display()));
    writeln!(peer.stdin.take().expect("a pipe"), "{plan}").expect("it reads");
    let ended = peer.wait_with_output().expect("it ends");
    let text = String::from_utf8_lossy(&ended.stdout);
    // The library prints what it thinks of ciphers; the last line is what was seen.
    let last = text.lines().last().unwrap_or_default();
    serde_json::from_str(last).unwrap_or_else(
        |_| json!({ "failed": String::from_utf8_lossy(&ended.stderr).lines().last() }),
    )
}

#[test]
fn somebody_elses_client_sees_the_planned_meter() {
    for connection in ["wrapper", "hdlc"] {
        for level in ["none", "low", "gmac"] {
            let told = seen(connection, level, level, &[]);
            let place = format!("{connection}, {level}: {told}");
            assert_eq!(told["objects"].as_array().map(Vec::len), Some(30), "{place}");
            for (name, expected) in [
                ("name", json!("SIM0000000000001")),
                // 10 kWh in Wh; the library has applied the scaler of 10.
                ("energy", json!([10_000.0, 10.0, 30])),
                ("several", json!([1_000, 100, 200, 300, 400])),
                ("clock", json!("2026-03-02T11:21:12")),
                (
                    "load",
                    json!([
                        [
                            "8 0.0.1.0.0.255 2",
                            "1 0.0.96.10.1.255 2",
                            "3 1.0.1.8.0.255 2",
                            "3 1.0.1.7.0.255 2",
                        ],
                        900,
                        1,
                        5,
                        2_000,
                    ]),
                ),
                (
                    "by_range",
                    json!([
                        ["2026-03-02T10:30:00", 0, 10_000.0, 0],
                        ["2026-03-02T10:45:00", 0, 10_000.0, 0],
                        ["2026-03-02T11:00:00", 0, 10_000.0, 0],
                    ]),
                ),
                (
                    "by_place",
                    json!([
                        ["2026-03-02T10:30:00", 0, 10_000.0, 0],
                        ["2026-03-02T10:45:00", 0, 10_000.0, 0],
                        ["2026-03-02T11:00:00", 0, 10_000.0, 0],
                    ]),
                ),
                ("events", json!([["2026-03-02T11:21:12", 44]])),
                ("clock_set", json!("2027-03-07T23:59:58")),
                ("limited", json!([3_300, 90, "1.0.1.7.0.255"])),
                ("priced", json!([60, 61, 62, 63])),
                ("calendar", json!([["S", "A"], ["A", 1, 2], [1, "06:30", 2]])),
                ("purse", json!([10_000, "CNY", -2, 2, 10_000, 55, -2])),
                ("open", json!([false, 0, 4])),
                ("close", json!([true, 1, 4])),
                ("added", json!(10_250)),
                ("token", json!(5)),
                ("absent", json!("ValueError: refused 4")),
                ("release", json!(true)),
            ] {
                assert_eq!(told[name], expected, "{name}, {place}");
            }
        }
    }
}

#[test]
fn somebody_elses_client_reads_and_writes_in_blocks() {
    for level in ["none", "gmac"] {
        let short = DlmsPlan { apdu_bytes_max: 80, ..meter(security(level)) };
        let told = seen_of("hdlc", short, level, &[]);
        assert_eq!(told["priced"], json!([60, 61, 62, 63]), "{level}: {told}");
        assert_eq!(told["by_range"].as_array().map(Vec::len), Some(3), "{level}: {told}");
        assert_eq!(told["load"][3], 5, "{level}: {told}");
    }
}

#[test]
fn somebody_elses_client_without_the_secret_sees_what_anybody_may() {
    let public = seen("hdlc", "gmac", "none", &[]);
    assert_eq!(public["name"], "SIM0000000000001", "{public}");
    assert_eq!(public["clock"], "2026-03-02T11:21:12", "{public}");
    for denied in [
        "energy",
        "purse",
        "open",
        "close",
        "added",
        "token",
        "load",
        "events",
        "clock_set",
        "limited",
        "priced",
    ] {
        assert_eq!(public[denied], "ValueError: refused 3", "{denied}: {public}");
    }
    for (level, wrong) in [
        ("low", ("password", "12345679")),
        ("gmac", ("encryption_key", AUTHENTICATION_KEY)),
        ("gmac", ("authentication_key", ENCRYPTION_KEY)),
    ] {
        let told = seen("wrapper", level, level, &[wrong]);
        assert!(told["failed"].is_string(), "{wrong:?}: {told}");
    }
}

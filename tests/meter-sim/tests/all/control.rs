//! The process: its ready line, its control port and the client for it.

use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use meter_sim::{Control, Event, Fault, FaultKind, On, Plan, Release, SimulatorError};
use serde_json::{Value, json};

use crate::host::bytes;

struct Process {
    child: Child,
    ready: Value,
}

impl Process {
    fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_meter-sim"))
            .args(arguments)
            .arg("--until-eof")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { child, ready: serde_json::from_str(&line).unwrap() }
    }

    fn control(&self) -> Control {
        Control::connect(self.ready["control"].as_str().unwrap()).unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // The end of its input ends it.
        drop(self.child.stdin.take());
        assert!(self.child.wait().unwrap().success());
    }
}

#[test]
fn a_process_under_control() {
    let process = Process::start(&["--plan", "demo", "--no-delay"]);
    assert!(process.ready["endpoints"]["bus-serial"].as_str().unwrap().starts_with("/dev/"));
    let line = process.ready["endpoints"]["bus-tcp"].as_str().unwrap();
    let mut control = process.control();
    let names: Vec<String> =
        control.states().unwrap().into_iter().map(|state| state.meter).collect();
    let serial = ["000000000001", "000000000002", "000000000003", "000000000004"];
    assert_eq!(names, [["1", "2", "3", "4"], serial].concat());

    let mut events = process.control().events().unwrap();
    let hold = FaultKind::HoldReply { after_bytes: None };
    control.fault("bus-tcp/3", &Fault::new(On::Sell, hold)).unwrap();
    assert_eq!(control.state("3").unwrap().faults_waiting, 1);
    let mut host = TcpStream::connect(line).unwrap();
    let sale = bytes("03 10 050D 0003 06 0000 0064 0001 E1EB");
    std::io::Write::write_all(&mut host, &sale).unwrap();
    assert!(matches!(events.next(), Some(Event::Request { .. })));
    assert!(matches!(events.next(), Some(Event::Fault { .. })));
    let credit = Event::Credit { meter: "3".into(), count: 1, amount_fen: 100 };
    assert_eq!(events.next(), Some(credit));
    assert_eq!(events.next(), Some(Event::Held { meter: "3".into(), bytes: 0, of: 8 }));
    assert_eq!(control.held().unwrap(), 1);
    let state = control.state("3").unwrap();
    assert_eq!((state.credited_fen, state.relay_closed), (100, true));
    control.release(Release::Deliver).unwrap();
    let mut reply = [0; 8];
    std::io::Read::read_exact(&mut host, &mut reply).unwrap();
    assert_eq!(reply[..6], sale[..6]);

    let before = control.state("000000000001").unwrap();
    control.advance(3_600).unwrap();
    let after = control.state("000000000001").unwrap();
    assert!(after.energy > before.energy && after.money_fen < before.money_fen);
    control.press("000000000001").unwrap();
    control.clear_faults("3").unwrap();
}

#[test]
fn bad_questions_are_answered() {
    let process = Process::start(&[]);
    let mut control = process.control();
    let mut check = |question: Value, reason: &str| match control.ask(&question) {
        Err(SimulatorError::Answered { text }) => assert!(text.contains(reason), "{text}"),
        other => panic!("{question}: {other:?}"),
    };
    check(json!({}), "exactly one");
    check(json!({ "state": "1", "advance": 1 }), "exactly one");
    check(json!([1]), "not a JSON object");
    check(json!({ "fly": true }), "not known");
    check(json!({ "state": "9" }), "no meter");
    check(json!({ "state": 9 }), "wants a meter");
    check(json!({ "advance": -1 }), "whole seconds");
    check(json!({ "release": "maybe" }), "release wants");
    check(json!({ "fault": "1" }), "an object");
    check(json!({ "fault": { "kind": "no_reply" } }), "wants a meter");
    check(json!({ "fault": { "meter": "1", "kind": "no_reply", "time": 2 } }), "no time");
    check(json!({ "fault": { "meter": "1", "kind": "explode" } }), "explode");
    check(json!({ "fault": { "meter": "1", "kind": "late" } }), "wait_ms");
    check(json!({ "fault": { "meter": "1", "kind": "no_reply", "on": "never" } }), "never");
    check(json!({ "fault": { "meter": "1", "kind": "garbage_after", "hex": "0" } }), "not hex");
    // The form of the brief, and the connection still works.
    let fault = json!({ "fault": { "meter": "000000000001", "on": "sell", "kind": "no_reply" } });
    assert_eq!(control.ask(&fault).unwrap(), json!({ "ok": true }));
    assert_eq!(control.ask(&json!({ "states": true })).unwrap()["states"][4]["faults_waiting"], 1);
}

#[test]
fn plans_as_text() {
    let demo = Plan::demo();
    let text = serde_json::to_string(&demo).unwrap();
    assert_eq!(Plan::from_json(&text).unwrap(), demo);
    let plan =
        |meters: &str| format!(r#"{{"buses":[{{"name":"a","kind":"tcp","meters":{meters}}}]}}"#);
    let check = |meters: &str, reason: &str| {
        let error = match Plan::from_json(&plan(meters)) {
            Ok(plan) => meter_sim::Simulator::start(plan).unwrap_err(),
            Err(error) => error,
        };
        let source = std::error::Error::source(&error).map(ToString::to_string);
        let text = format!("{error} {}", source.unwrap_or_default());
        assert!(text.contains(reason), "{text}");
    };
    check(r#"{"dlt645":[{"adress":"1"}]}"#, "adress");
    check(r#"{"dlt645":[{"address":"1"}]}"#, "12 decimal digits");
    check(r#"{"dlt645":[{"address":"00000000000A"}]}"#, "12 decimal digits");
    check(r#"{"dlt645":[{"key":"00"}]}"#, "16 bytes");
    check(r#"{"dlt645":[{},{}]}"#, "is taken");
    check(r#"{"adf400l":[{"unit":0}]}"#, "not in 1 to 247");
    check(r#"{"water":[]}"#, "water");
}

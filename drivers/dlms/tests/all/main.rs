//! The driver against its transcripts, against the simulated meter, and against a line that spoils
//! what is said. No clock; a socket to the simulator in the same process.

mod clock;
mod line;
mod parameters;
mod records;
mod search;
mod tokens;

use driver_dlms::Dlms;
use line::{AUTHENTICATION_KEY, Line, gmac};
use meter_sim::{DlmsPlan, DlmsSecurity};
use polymeter_driver::codes::{command, error, quality, refusal, supply, unit};
use polymeter_driver::{
    Call, ControlOutcome, Decimal, DriverError, LocalTime, Measurement, MeterDriver, RecordEntries,
    Snapshot, Value,
};
use polymeter_replay::check_folder;
use proptest::prelude::*;
use std::io::Write as _;

#[test]
fn transcripts() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/transcripts");
    match check_folder::<Dlms>(folder.as_ref()) {
        Ok(played) => writeln!(std::io::stderr(), "transcripts dlms: {played} played").unwrap(),
        Err(error) => panic!("{error}"),
    }
}

const PASSWORD: &str = "12345678";

fn plan(security: DlmsSecurity) -> DlmsPlan {
    DlmsPlan {
        security,
        counter: 41,
        tariff_energies: [100, 200, 300, 400],
        clock: Some(jiff::civil::date(2026, 11, 26).at(2, 15, 0, 0)),
        load_watts: 1_150,
        balance_fen: 12_345,
        ..DlmsPlan::default()
    }
}

fn low() -> DlmsSecurity {
    DlmsSecurity::Low { password: PASSWORD.to_owned() }
}

/// A line to a meter with this security, and the call that fits it.
fn scene(connection: &str, security: DlmsSecurity) -> (Line, Call) {
    scene_of(connection, plan(security))
}

fn scene_of(connection: &str, plan: DlmsPlan) -> (Line, Call) {
    let security = match &plan.security {
        DlmsSecurity::None => "none",
        DlmsSecurity::Low { .. } => "low",
        DlmsSecurity::Gmac { .. } => "gmac",
    };
    let is_hdlc = connection == "hdlc";
    let line = if is_hdlc { Line::hdlc(plan) } else { Line::wrapper(plan) };
    let now = LocalTime { year: 2026, month: 11, day: 26, hour: 2, minute: 15, second: 0 };
    let client = if security == "none" { 16 } else { 1 };
    let parameters = vec![
        text("connection", connection),
        text("security", security),
        text("password", PASSWORD),
        text("account", "0.0.19.0.0.255"),
        ("client".to_owned(), number(client, 0)),
    ];
    let address = if is_hdlc { "1/17" } else { "1" }.to_owned();
    (line, Call { address, parameters, now, nonce: (0..16).collect() })
}

fn text(name: &str, value: &str) -> (String, Value) {
    (name.to_owned(), Value::Text(value.to_owned()))
}

fn with(call: &Call, name: &str, value: Value) -> Call {
    let mut call = call.clone();
    call.parameters.retain(|(known, _)| known != name);
    call.parameters.push((name.to_owned(), value));
    call
}

fn number(mantissa: i64, scale: i8) -> Value {
    Value::Number(Decimal { mantissa, scale })
}

fn told<'a>(snapshot: &'a Snapshot, register: &str) -> &'a Measurement {
    let found = snapshot.measurements.iter().find(|told| told.register == register);
    found.unwrap_or_else(|| panic!("{register} in {snapshot:?}"))
}

fn extra<'a>(snapshot: &'a Snapshot, name: &str) -> Option<&'a Value> {
    snapshot.extras.iter().find(|(known, _)| known == name).map(|(_, value)| value)
}

fn check_read(snapshot: &Snapshot) {
    for (register, value, of) in [
        ("1.0.1.8.0.255", number(1_000, 1), unit::WATT_HOUR),
        ("1.0.1.8.4.255", number(400, 1), unit::WATT_HOUR),
        ("1.0.2.8.0.255", number(0, 1), unit::WATT_HOUR),
        ("1.0.32.7.0.255", number(2_300, -1), unit::VOLT),
        ("1.0.31.7.0.255", number(5_000, -3), unit::AMPERE),
        ("1.0.1.7.0.255", number(1_150, 0), unit::WATT),
        ("1.0.14.7.0.255", number(5_000, -2), unit::HERTZ),
        ("0.0.19.10.0.255", number(12_345, -2), unit::CURRENCY),
    ] {
        let told = told(snapshot, register);
        assert_eq!((&told.value, told.unit), (&value, of), "{register}");
        assert_eq!(told.quality, quality::MEASURED, "{register}");
    }
    let time = LocalTime { year: 2026, month: 11, day: 26, hour: 2, minute: 15, second: 0 };
    assert_eq!(told(snapshot, "0.0.1.0.0.255").value, Value::Time(time));
    assert_eq!(snapshot.supply, supply::CONNECTED);
    assert_eq!(extra(snapshot, "refused 3:1.0.52.7.0.255"), Some(&Value::Text("04".to_owned())));
    assert_eq!(extra(snapshot, "currency"), Some(&Value::Text("CNY".to_owned())));
    assert_eq!(extra(snapshot, "account-status"), Some(&number(2, 0)));
}

#[test]
fn a_meter_is_read_over_both_connections_with_each_security() {
    for connection in ["wrapper", "hdlc"] {
        for security in [DlmsSecurity::None, low(), gmac()] {
            for (several, apdu_bytes_max, piece) in
                [(true, 512, usize::MAX), (true, 64, 7), (false, 128, usize::MAX)]
            {
                let plan = DlmsPlan { several, apdu_bytes_max, ..plan(security.clone()) };
                let (mut line, call) = scene_of(connection, plan);
                line.piece = piece;
                let read = Dlms::read(&mut line, &call);
                let read = read.unwrap_or_else(|why| panic!("{connection} {call:?}: {why:?}"));
                check_read(&read);
                assert!(line.sent <= 64, "{} questions in one call", line.sent);
            }
        }
    }
}

#[test]
fn a_meter_says_its_name_to_anybody() {
    for connection in ["wrapper", "hdlc"] {
        let (mut line, call) = scene(connection, gmac());
        let identity = Dlms::probe(&mut line, &call).unwrap();
        assert_eq!(identity.model, "SIM0000000000001");
        assert_eq!(identity.address, call.address);
    }
}

#[test]
fn no_nonce_is_used_twice_and_each_counter_is_above_the_meters() {
    let (mut line, call) = scene("hdlc", gmac());
    for nth in 0..3_u8 {
        let nonce = (0..16).map(|byte| byte + nth).collect();
        Dlms::read(&mut line, &Call { nonce, ..call.clone() }).unwrap();
    }
    let mut nonces = line.nonces.clone();
    let counters: Vec<u32> =
        nonces.iter().map(|nonce| u32::from_be_bytes(nonce[8..].try_into().unwrap())).collect();
    assert!(counters.iter().all(|counter| *counter > 41), "{counters:?}");
    assert!(counters.is_sorted_by(|before, after| before < after), "{counters:?}");
    let all = nonces.len();
    nonces.sort();
    nonces.dedup();
    assert_eq!(nonces.len(), all);
    // A parameter fixes the title.
    let fixed = with(&call, "client-title", Value::Text("504C4D4142434445".to_owned()));
    Dlms::read(&mut line, &fixed).unwrap();
    assert_eq!(&line.nonces.last().unwrap()[..8], b"PLMABCDE");
}

#[test]
fn a_wrong_secret_is_a_no_and_not_a_reading() {
    let (mut line, call) = scene("wrapper", low());
    let wrong = with(&call, "password", Value::Text("12345679".to_owned()));
    let no = Dlms::read(&mut line, &wrong).unwrap_err();
    assert_eq!((no.code, no.device_code.as_deref()), (error::DEVICE_SAYS_NO, Some("0D")));
    let other = DlmsSecurity::Gmac {
        encryption_key: AUTHENTICATION_KEY.to_owned(),
        authentication_key: AUTHENTICATION_KEY.to_owned(),
    };
    let (mut line, call) = scene("hdlc", other);
    let no = Dlms::read(&mut line, &call).unwrap_err();
    assert_eq!((no.code, no.device_code.as_deref()), (error::DEVICE_SAYS_NO, Some("0D")));
    let unknown = with(&call, "key-label", Value::Text("nobody".to_owned()));
    assert_eq!(Dlms::read(&mut line, &unknown).unwrap_err().code, error::VAULT);
    // Without the secret anybody may know the clock, and not the energy.
    let public = with(&call, "security", Value::Text("none".to_owned()));
    let public = with(&public, "client", number(16, 0));
    let read = Dlms::read(&mut line, &public).unwrap();
    assert_eq!(read.measurements.len(), 1, "{read:?}");
    assert_eq!(extra(&read, "refused 3:1.0.1.8.0.255"), Some(&Value::Text("03".to_owned())));
    assert_eq!(read.supply, supply::UNKNOWN);
}

fn control(line: &mut Line, call: &Call, command: u16) -> ControlOutcome {
    Dlms::control(line, call, command, None).unwrap()
}

#[test]
fn the_supply_is_what_the_object_says_afterwards() {
    for connection in ["wrapper", "hdlc"] {
        for security in [DlmsSecurity::None, low(), gmac()] {
            let (mut line, call) = scene(connection, security);
            for (command, expected) in [
                (command::DISCONNECT, supply::DISCONNECTED),
                (command::DISCONNECT, supply::DISCONNECTED),
                (command::CONNECT, supply::CONNECTED),
            ] {
                let outcome = control(&mut line, &call, command);
                assert_eq!(outcome, ControlOutcome::Confirmed(expected), "{connection}");
                let closed = line.simulator.state("00000001").unwrap().relay_closed;
                assert_eq!(closed, expected == supply::CONNECTED);
            }
        }
    }
}

#[test]
fn what_a_mode_does_not_do_is_refused_and_what_waits_for_a_hand_is_ready() {
    let of_mode =
        |control_mode| scene_of("wrapper", DlmsPlan { control_mode, ..plan(DlmsSecurity::None) });
    let (mut line, call) = of_mode(1);
    for (command, expected) in [
        (command::DISCONNECT, supply::DISCONNECTED),
        (command::ALLOW_CONNECTION, supply::READY_FOR_RECONNECTION),
        (command::DISCONNECT, supply::DISCONNECTED),
        (command::CONNECT, supply::READY_FOR_RECONNECTION),
    ] {
        let outcome = control(&mut line, &call, command);
        assert_eq!(outcome, ControlOutcome::Confirmed(expected), "{command}");
    }
    for (mode, command) in [(0, command::DISCONNECT), (4, command::ALLOW_CONNECTION)] {
        let (mut line, call) = of_mode(mode);
        let outcome = control(&mut line, &call, command);
        let ControlOutcome::Refused(no) = outcome else { panic!("{outcome:?}") };
        assert_eq!((no.code, no.device_code), (refusal::NO_SUCH_FUNCTION, None), "{mode}");
    }
    // A command that is taken and not done; and an association that may not.
    let stuck = DlmsPlan { stuck: true, ..plan(DlmsSecurity::None) };
    let (mut line, call) = scene_of("hdlc", stuck);
    let outcome = control(&mut line, &call, command::DISCONNECT);
    assert!(matches!(outcome, ControlOutcome::Unknown(_)), "{outcome:?}");
    let (mut line, call) = scene("hdlc", low());
    let public = with(&call, "security", Value::Text("none".to_owned()));
    let outcome = control(&mut line, &public, command::DISCONNECT);
    let ControlOutcome::Refused(no) = outcome else { panic!("{outcome:?}") };
    assert_eq!((no.code, no.device_code.as_deref()), (refusal::NOT_AUTHENTICATED, Some("03")));
}

/// Behind a wrapper: association, state, command, state, release.
const ANSWER_TO_COMMAND: u32 = 3;

#[test]
fn a_lost_answer_to_a_command_is_proved_by_a_change_alone() {
    let lost: line::Spoil = |sent, bytes| if sent == ANSWER_TO_COMMAND { vec![] } else { bytes };
    let (mut line, call) = scene("wrapper", DlmsSecurity::None);
    line.spoil = lost;
    let outcome = control(&mut line, &call, command::DISCONNECT);
    assert_eq!(outcome, ControlOutcome::Confirmed(supply::DISCONNECTED));
    // It was so before: for whatever reason.
    let plan = DlmsPlan { disconnected: true, ..plan(DlmsSecurity::None) };
    let (mut line, call) = scene_of("wrapper", plan);
    line.spoil = lost;
    let outcome = control(&mut line, &call, command::DISCONNECT);
    assert!(matches!(outcome, ControlOutcome::Unknown(_)), "{outcome:?}");
}

#[test]
fn an_hdlc_answer_that_was_lost_is_asked_for_and_the_act_is_not_done_again() {
    for lost in 1..=14 {
        let (mut line, call) = scene("hdlc", gmac());
        // One answer, each in turn.
        static LOST: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        LOST.store(lost, std::sync::atomic::Ordering::SeqCst);
        line.spoil = |sent, bytes| {
            let lost = LOST.load(std::sync::atomic::Ordering::SeqCst);
            if sent == lost { vec![] } else { bytes }
        };
        let outcome = Dlms::control(&mut line, &call, command::DISCONNECT, None);
        // The answers to SNRM alone cannot be asked for again.
        match &outcome {
            Ok(outcome) => {
                assert_eq!(*outcome, ControlOutcome::Confirmed(supply::DISCONNECTED), "{lost}");
            }
            Err(why) => assert_eq!(why.code, error::NO_REPLY, "{lost}: {why:?}"),
        }
        // The command was sealed once; where it went twice, it was the same frame.
        let is_command = |step: &&String| step.contains("data=c301") && step.contains("00460000");
        let commands = line.steps.iter().filter(is_command).count();
        assert!(commands == usize::from(outcome.is_ok()), "{lost}: {commands}");
    }
}

#[test]
fn what_makes_no_sense_asks_nothing() {
    let (mut line, call) = scene("hdlc", gmac());
    let bad = |line: &mut Line, call: &Call| {
        let no: DriverError = Dlms::read(line, call).unwrap_err();
        assert_eq!(no.code, error::BAD_PARAMETER, "{call:?}: {no:?}");
    };
    for address in ["", "0", "x", "1/", "/1", "1/2/3", "-1", "+1", "16384", "1/16383", "70000"] {
        bad(&mut line, &Call { address: address.to_owned(), ..call.clone() });
    }
    for (name, value) in [
        ("connection", Value::Text("udp".to_owned())),
        ("connection", Value::Text("wrapper".to_owned())),
        ("connection", Value::Flag(true)),
        ("security", Value::Text("high".to_owned())),
        ("client", number(0, 0)),
        ("client", number(128, 0)),
        ("client", Value::Text("1".to_owned())),
        ("client-title", Value::Text("504C4D".to_owned())),
        ("client-title", Value::Text("504C4D414243444G".to_owned())),
        ("counter", Value::Text("0.0.43.1.0".to_owned())),
        ("switch", Value::Text("0.0.96.3.10.256".to_owned())),
        ("account", Value::Text("0.0.19.0.0.255.1".to_owned())),
        ("registers", Value::Text("2:1.0.1.8.0.255".to_owned())),
        ("registers", Value::Text("1.0.1.8.0.255 ".repeat(41))),
        ("four-byte-address", number(1, 0)),
    ] {
        bad(&mut line, &with(&call, name, value));
    }
    let no_password = Call { parameters: vec![text("security", "low")], ..call.clone() };
    bad(&mut line, &Call { address: "1".to_owned(), ..no_password });
    let until = Dlms::control(&mut line, &call, command::DISCONNECT, Some(call.now));
    assert_eq!(until.unwrap_err().code, error::BAD_PARAMETER);
    let protect = Dlms::control(&mut line, &call, command::PROTECT, None);
    assert_eq!(protect.unwrap_err().code, error::UNSUPPORTED);
    assert_eq!(line.sent, 0);
}

/// What a meter said in a course, as bytes.
fn answers(line: &Line) -> Vec<Vec<u8>> {
    let answers = line.steps.iter().filter_map(|step| step.strip_prefix("< "));
    answers.map(|hex_| hex::decode(hex_.replace(' ', "")).unwrap()).collect()
}

/// A line that says these things, one for each frame that it is sent.
struct Scripted(std::collections::VecDeque<Vec<u8>>, Option<Vec<u8>>);

impl polymeter_driver::Host for Scripted {
    fn send(&mut self, _: &[u8]) -> Result<(), polymeter_driver::LineError> {
        self.1 = self.0.pop_front();
        Ok(())
    }
    fn receive(&mut self, _: u32) -> Result<Vec<u8>, polymeter_driver::LineError> {
        let silent = polymeter_driver::LineError { code: 1, detail: "silence".to_owned() };
        self.1.take().filter(|bytes| !bytes.is_empty()).ok_or(silent)
    }
    polymeter_replay::no_vault!();
}

proptest! {
    #[test]
    fn no_hdlc_line_makes_it_panic_or_read_a_wrong_value(
        which in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        flip in 1_u8..,
        cut in proptest::option::of(any::<prop::sample::Index>()),
    ) {
        static SAID: std::sync::OnceLock<(Vec<Vec<u8>>, Call, Snapshot)> =
            std::sync::OnceLock::new();
        let (said, call, read) = SAID.get_or_init(|| {
            let (mut line, call) = scene("hdlc", low());
            let read = Dlms::read(&mut line, &call).unwrap();
            (answers(&line), call, read)
        });
        let mut said = said.clone();
        let which = which.index(said.len());
        let at = at.index(said[which].len());
        said[which][at] ^= flip;
        if let Some(cut) = cut {
            let cut = cut.index(said[which].len());
            said[which].truncate(cut);
        }
        if let Ok(told) = Dlms::read(&mut Scripted(said.into(), None), call) {
            // Only the end of the course may be spoilt without harm.
            prop_assert_eq!(format!("{told:?}"), format!("{read:?}"));
        }
    }

    #[test]
    fn no_hdlc_line_makes_it_panic_or_keep_a_wrong_record(
        which in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        flip in 1_u8..,
    ) {
        static SAID: std::sync::OnceLock<(Vec<Vec<u8>>, Call, RecordEntries)> =
            std::sync::OnceLock::new();
        let (said, call, good) = SAID.get_or_init(|| {
            let (mut line, call) = records::aged("hdlc", plan(low()));
            let good = Dlms::read_records(&mut line, &call, records::LOAD).unwrap();
            (answers(&line), call, good)
        });
        let mut said = said.clone();
        let which = which.index(said.len());
        let at = at.index(said[which].len());
        said[which][at] ^= flip;
        let mut line = Scripted(said.into(), None);
        if let Ok(told) = Dlms::read_records(&mut line, call, records::LOAD) {
            // Only the end of the course may be spoilt without harm.
            prop_assert_eq!(format!("{told:?}"), format!("{good:?}"));
        }
    }

    /// Behind a wrapper nothing has a check: what comes may be wrong, and must do no harm.
    #[test]
    fn no_wrapper_makes_it_panic_or_send_more_than_it_may(
        which in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        flip in 1_u8..,
    ) {
        static SAID: std::sync::OnceLock<(Vec<Vec<u8>>, Call)> = std::sync::OnceLock::new();
        let (said, call) = SAID.get_or_init(|| {
            let (mut line, call) = records::aged("wrapper", plan(low()));
            Dlms::read_records(&mut line, &call, records::LOAD).unwrap();
            (answers(&line), call)
        });
        let mut said = said.clone();
        let count = said.len();
        let which = which.index(count);
        let at = at.index(said[which].len());
        said[which][at] ^= flip;
        // What it is asked again is answered in the same way.
        let said = said.into_iter().cycle().take(count * 20).collect();
        let mut line = Scripted(said, None);
        if let Ok(told) = Dlms::read_records(&mut line, call, records::LOAD) {
            prop_assert!(told.entries.len() <= 256);
        }
        let sent = count * 20 - line.0.len();
        prop_assert!(sent <= 32, "{} questions", sent);
    }

    #[test]
    fn any_frame_is_explained_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        let _ = Dlms::decode(&bytes);
        let length = u8::try_from(bytes.len()).unwrap();
        let _ = Dlms::decode(&[&[0, 1, 0, 1, 0, 16, 0, length][..], &bytes].concat());
    }
}

//! Every call is written down, and what was written replays.

use super::bench::{
    FarEnd, ample, component, config, customer, device, driver, lease, line, moment, purchase,
    runtime,
};
use crate::transcript::{Function, Transcript};
use crate::{
    Capability, DriverConfig, Limits, LoadError, Moment, Options, Recording, RecordingEnd, Runtime,
    Search, Vault, check_transcripts, replay,
};
use polymeter_domain::{Delivery, VendorCode};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Sells with a behaviour and returns what was recorded of it. The nonce finds it again among what
/// other tests record in the same runtime.
pub(super) async fn sold(limits: Limits, behaviour: &str) -> (Delivery, Arc<Recording>) {
    static CALLS: AtomicU64 = AtomicU64::new(0);
    let mut nonce = [7; 16];
    let number = CALLS.fetch_add(1, Ordering::Relaxed).to_be_bytes();
    nonce.iter_mut().zip(number).for_each(|(to, from)| *to = from);
    let driver = driver(limits).await;
    let line = line(FarEnd::Silent).await;
    let mut lease = lease(&line).await;
    let (name, device, moment) =
        (lease.name().to_owned(), device(behaviour), Moment { nonce, ..moment() });
    let delivery = driver.sell(&mut lease, &device, moment, &customer(), purchase()).await.outcome;
    let recent = driver.recent(&name, behaviour, usize::MAX);
    let recording = recent.into_iter().find(|it| it.id() == hex::encode(nonce));
    (delivery, recording.expect("a recording"))
}

#[tokio::test]
async fn every_ending_is_written_down_and_replays() {
    let driver = driver(ample()).await;
    for (behaviour, end, result, verdict) in [
        ("send-then-confirm", RecordingEnd::Answered, "confirmed count=17", None),
        ("send-then-refuse", RecordingEnd::Refused, "refused code=3 device=0020 wrong MAC", None),
        ("send-then-unknown", RecordingEnd::Unknown, "unknown no reply", None),
        ("send-then-error", RecordingEnd::Unknown, "error", Some("unknown misbehaving: gave up")),
        ("send-then-panic", RecordingEnd::Unknown, "trap", Some("unknown misbehaving trapped")),
        ("send-then-nonsense", RecordingEnd::Unknown, "confirmed", Some("unknown")),
        ("claim", RecordingEnd::NotSent, "confirmed", Some("not-sent no byte left the host")),
        ("panic", RecordingEnd::NotSent, "trap", Some("not-sent misbehaving trapped")),
    ] {
        let (_, recording) = sold(ample(), behaviour).await;
        assert_eq!(recording.end(), end, "{behaviour}");
        let text = recording.transcript().to_string();
        let read = Transcript::parse(behaviour, &text).expect("reads back");
        assert!(read.result.first().is_some_and(|line| line.starts_with(result)), "{text}");
        match (verdict, &read.verdict) {
            (None, None) => {}
            (Some(expected), Some(found)) if found.starts_with(expected) => {}
            _ => panic!("{behaviour}: {text}"),
        }
        replay(&driver, &read).await.unwrap_or_else(|error| panic!("{error}\n{text}"));
    }
}

#[tokio::test]
async fn a_replay_names_the_first_difference() {
    let driver = driver(ample()).await;
    let (_, recording) = sold(ample(), "send-then-confirm").await;
    let text = recording.transcript().to_string();
    let sent = text.lines().position(|line| line.contains("] > ")).expect("a frame") + 1;
    for (from, to, problem) in [
        ("] > ", "] > 00 ", format!("spoilt:{sent}: expected\n> 00 ")),
        (
            "result: confirmed count=17",
            "result: confirmed count=18",
            "but got\nconfirmed count=17".to_owned(),
        ),
        ("address=send-then-confirm", "address=send-then-refuse", "but got\nrefused".to_owned()),
        ("address=send-then-confirm", "address=claim", "the driver ended before".to_owned()),
    ] {
        let spoilt = text.replacen(from, to, 1);
        assert_ne!(spoilt, text, "{from}");
        let transcript = Transcript::parse("spoilt", &spoilt).expect("reads");
        let difference = replay(&driver, &transcript).await.expect_err("differs").to_string();
        assert!(difference.contains(&problem), "{difference}");
    }
    let mut claimed = sold(ample(), "claim").await.1.transcript();
    claimed.verdict = Some("unknown why".to_owned());
    let difference = replay(&driver, &claimed).await.expect_err("differs").to_string();
    assert!(difference.contains("but got\nnot-sent"), "{difference}");
}

#[tokio::test]
async fn a_call_that_is_cut_off_shows_where() {
    let limits = Limits { wall: Duration::from_millis(400), ..ample() };
    let (delivery, recording) = sold(limits, "send-then-wait").await;
    assert!(matches!(delivery, Delivery::Unknown(_)), "{delivery:?}");
    let transcript = recording.transcript();
    let text = transcript.to_string();
    assert!(text.contains("result: limit wall-ms"), "{text}");
    assert!(text.contains("limits: "), "{text}");
    let driver = driver(ample()).await;
    replay(&driver, &transcript).await.unwrap_or_else(|error| {
        // The guest waited in a loop: the wall came between two of its steps or within one.
        panic!("{error}\n{text}")
    });
}

#[tokio::test]
async fn what_the_vault_gives_is_evidence_and_a_key_is_never_there() {
    let driver = driver(ample()).await;
    let line = line(FarEnd::Silent).await;
    let mut lease = lease(&line).await;
    driver.read(&mut lease, &device("mac"), moment()).await.expect("a mac");
    let recent = driver.recent(lease.name(), "mac", 99);
    let recording = recent.first().expect("a recording");
    let text = recording.transcript().to_string();
    assert!(text.contains("vault mac master algorithm=1"), "{text}");
    for key in ["0123456789abcdef".to_owned(), hex::encode("0123456789abcdef")] {
        assert!(!text.contains(&key) && !format!("{recording:?}").contains(&key), "{text}");
    }
    replay(&driver, &recording.transcript()).await.expect("identical");
}

#[tokio::test]
async fn a_flood_of_reads_does_not_push_out_a_sale() {
    let runtime = Runtime::new(Options::in_process(Vault::default())).expect("an engine");
    let driver = runtime.load(config(ample()), component()).await.expect("loads");
    let line = line(FarEnd::Silent).await;
    let mut lease = lease(&line).await;
    let device = device("send-then-refuse");
    driver.sell(&mut lease, &device, moment(), &customer(), purchase()).await;
    let name = lease.name().to_owned();
    for round in 0..100_u8 {
        let moment = Moment { nonce: [round; 16], ..moment() };
        // It answers to an address that it knows for sales only.
        let _ = driver.read(&mut lease, &device, moment).await;
    }
    let recent = driver.recent(&name, "send-then-refuse", usize::MAX);
    assert!(recent.len() < 40, "{} are kept", recent.len());
    let sales = recent.iter().filter(|it| it.function().is_act()).count();
    assert_eq!(sales, 1);
    assert_eq!(recent.last().map(|it| it.end()), Some(RecordingEnd::Refused), "the oldest");
}

#[tokio::test]
async fn recording_can_be_switched_off() {
    // A runtime of its own: the switch is the whole runtime's.
    let runtime = Runtime::new(Options::in_process(Vault::default())).expect("an engine");
    let driver = runtime.load(config(ample()), component()).await.expect("loads");
    let line = line(FarEnd::Silent).await;
    let mut lease = lease(&line).await;
    let name = lease.name().to_owned();
    for (is_on, recorded) in [(true, 1), (false, 1), (true, 2)] {
        runtime.recordings().switch(is_on);
        driver.read(&mut lease, &device("fine"), moment()).await.expect("an answer");
        assert_eq!(driver.recent(&name, "fine", 99).len(), recorded, "{is_on}");
    }
}

#[tokio::test]
async fn a_search_is_written_down_and_replays() {
    let config = DriverConfig {
        name: "dlt645-2007".to_owned(),
        vendor: VendorCode::new("DLT645").ok(),
        ..config(ample())
    };
    let driver = runtime().load(config, &guests::component("dlt645-2007")).await.expect("loads");
    let mut lease = lease(&line(FarEnd::Silent).await).await;
    let name = lease.name().to_owned();
    let walk = Search { way: "walk".to_owned(), parameters: vec![] };
    let first = driver.search(&mut lease, &walk, moment(), None, 2).await.expect("a step");
    let from = first.next.as_ref();
    let second = driver.search(&mut lease, &walk, moment(), from, 2).await.expect("a step");
    assert_eq!((first.done, second.done, second.total), (2, 4, 100));
    let texts: Vec<String> = driver
        .recent(&name, "", 2)
        .iter()
        .map(|recording| recording.transcript().to_string())
        .collect();
    // The newest first.
    let position = "position=01020000006400000002";
    assert!(texts[0].contains("call: search way=walk questions=2 position=0102"), "{texts:?}");
    assert!(texts[1].contains("result: step done=2 total=100 next=0102"), "{texts:?}");
    for text in &texts {
        let read = Transcript::parse("search", text).expect("reads back");
        replay(&driver, &read).await.unwrap_or_else(|error| panic!("{error}\n{text}"));
    }
    let other = texts[0].replace(position, "position=01020000006400000003");
    let other = Transcript::parse("search", &other).expect("reads");
    let error = replay(&driver, &other).await.expect_err("it goes on elsewhere").to_string();
    assert!(error.contains("search:"), "{error}");
}

#[tokio::test]
async fn a_package_without_a_transcript_for_a_function_does_not_serve() {
    let driver = driver(ample()).await;
    let error = check_transcripts(&driver, [("a", "source: x\ncall: describe\nresult: ...")])
        .await
        .expect_err("nearly nothing is covered");
    assert!(error.to_string().contains("calls meter.probe, meter.read, purse.open"), "{error}");
    let error = check_transcripts(&driver, [("a", "call: x")]).await.expect_err("no transcript");
    assert!(matches!(error, LoadError::BadTranscript { .. }), "{error}");
}

/// The drivers of this tree, whatever their language, do in their sandbox what their transcripts say,
/// and every function that the host may call has one.
#[tokio::test]
async fn shipped_drivers_do_what_their_transcripts_say() {
    for (folder, code) in [
        ("drivers/dlt645-2007", "DLT645"),
        ("drivers/dlt645-1997", "DLT645-97"),
        ("drivers/dlt698", "DLT698"),
        ("drivers/dlms", "DLMS"),
        ("drivers/mbus", "MBUS"),
        ("drivers/cjt188-water", "CJT188"),
        ("drivers/acrel-adf400l", "ACREL"),
        ("drivers/acrel-adf300", "ACREL-ADF300"),
        ("drivers/acrel-dtsy1352", "ACREL-1352"),
        ("drivers/modbus-generic", "MODBUS"),
        ("drivers/card-sg-cpu", "SGCPU"),
        ("drivers/card-sle4442-acme", "ACME"),
        ("drivers/card-at88sc102-nova", "NOVA"),
        ("drivers/card-m1-luna", "LUNA"),
        ("vendor-examples/acme-c", "ACME"),
    ] {
        let name = folder.rsplit('/').next().unwrap_or(folder);
        let files = transcripts(folder);
        assert!(files.len() > 20, "{folder} has {} transcripts", files.len());
        let config = DriverConfig {
            name: name.to_owned(),
            vendor: Some(VendorCode::new(code).expect("a code")),
            grants: Capability::ALL.to_vec(),
            ..config(ample())
        };
        let driver = runtime().load(config, &guests::component(name)).await.expect("loads");
        let texts = || files.iter().map(|(file, text)| (file.as_str(), text.as_str()));
        let coverage = check_transcripts(&driver, texts()).await;
        let coverage = coverage.unwrap_or_else(|error| panic!("{}", chain(&error)));
        assert_eq!(coverage.0.values().sum::<usize>(), files.len());
        // Beside those that it declines.
        let can = Function::ALL.into_iter().filter(|it| driver.abilities().has(*it));
        let unproved: Vec<_> = can.filter(|it| !coverage.0.contains_key(it)).collect();
        assert!(unproved.is_empty(), "{name}: {unproved:?} of {coverage:?}");

        if !driver.abilities().purse {
            continue;
        }
        let without = texts().filter(|(_, text)| !text.contains("call: clear"));
        let error = check_transcripts(&driver, without).await.expect_err("one is not covered");
        assert!(
            error.to_string().contains("no transcript of its package calls purse.clear:"),
            "{error}"
        );
    }
}

/// Every transcript below a folder of the tree, as `(file, text)`.
pub(super) fn transcripts(folder: &str) -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(folder);
    let mut found = Vec::new();
    for kind in ["ok", "refused", "broken"] {
        for entry in std::fs::read_dir(root.join("transcripts").join(kind)).expect("a folder") {
            let path = entry.expect("an entry").path();
            let text = std::fs::read_to_string(&path).expect("a transcript");
            found.push((path.display().to_string(), text));
        }
    }
    found
}

pub(super) fn chain(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", chain(source)),
        None => error.to_string(),
    }
}

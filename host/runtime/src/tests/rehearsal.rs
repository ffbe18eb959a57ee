//! A package's own transcripts are played before its driver serves: what differs is refused, and so is
//! a signed package that shows too little.

use super::bench::{ample, component, config, old_component, runtime};
use super::pages::Pages;
use super::recording::{chain, sold, transcripts};
use crate::rehearsal::play;
use crate::{DriverConfig, Limits, LoadError, Options, Runtime, Standing, Vault};
use polymeter_domain::VendorCode;
use polymeter_package::{
    Ending, Package, Parts, Role, Sealed, SecretKey, Transcript, Trust, Verdict,
};
use std::path::Path;
use std::time::Duration;

const FOLDER: &str = "tests/conformance/contract-1-0";

fn vintage() -> VendorCode {
    VendorCode::new("VINTAGE").expect("a code")
}

/// The driver of contract 1.0 with its transcripts, one text of them replaced.
fn packed(from: &str, to: &str) -> Sealed {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let manifest = std::fs::read_to_string(root.join(FOLDER).join("driver.toml"));
    let mut parts = Parts {
        manifest: manifest.expect("a driver.toml"),
        component: old_component().to_vec(),
        ..Parts::default()
    };
    for (number, (_, text)) in transcripts(FOLDER).into_iter().enumerate() {
        let text = text.replace(from, to);
        parts.transcripts.push(Transcript { ending: Ending::Ok, name: format!("t{number}"), text });
    }
    Sealed::pack("vintage.pmdriver", parts).expect("packs")
}

fn signed(sealed: Sealed) -> Package {
    let (secret, public) = SecretKey::generate(None).expect("a key");
    let secret = SecretKey::parse(&secret, None).expect("reads");
    let trust = Trust {
        vendor: vintage(),
        signers: vec![public],
        counter_signer: None,
        allow_unsigned: false,
    };
    let sealed = sealed.sign(Role::Vendor, &secret).expect("signs");
    sealed.open(&trust).expect("opens")
}

fn unsigned(sealed: Sealed) -> Package {
    let trust =
        Trust { vendor: vintage(), signers: vec![], counter_signer: None, allow_unsigned: true };
    let package = sealed.open(&trust).expect("opens");
    assert_eq!(package.verdict, Verdict::Unsigned { claimed: None });
    package
}

async fn load(package: &Package) -> Result<(), LoadError> {
    let config = DriverConfig { vendor: Some(vintage()), ..config(ample()) };
    runtime().load_package(config, package).await.map(drop)
}

async fn refused(package: &Package, sentence: &str) {
    let error = load(package).await.expect_err("refused");
    let error = chain(&error);
    assert!(error.contains(sentence), "{error}\n   expected {sentence}");
}

#[tokio::test]
async fn a_driver_that_does_otherwise_than_its_transcripts_does_not_serve() {
    load(&signed(packed("", ""))).await.expect("a good one");
    for (from, to) in [
        ("confirmed count=8 balance=money:6500", "confirmed count=8 balance=money:6501"),
        ("number:1234e-2", "number:1235e-2"),
        ("> 05 10 05 0D 00 03 06 00 00 05 DC 00 08", "> 05 10 05 0D 00 03 06 00 00 05 DC 00 09"),
    ] {
        let differs = "does not do what its own transcript says: transcripts/ok/t";
        refused(&signed(packed(from, to)), differs).await;
        // That nobody vouches for it does not make it better.
        refused(&unsigned(packed(from, to)), differs).await;
    }
    refused(&unsigned(packed("call: probe", "call: prod")), "a transcript cannot be read").await;
}

#[tokio::test]
async fn of_a_signed_package_every_function_has_a_transcript() {
    let without = || packed_without(&packed("", ""), |text| text.contains("call: clear"));
    refused(
        &signed(without()),
        "driver misbehaving: no transcript of its package calls purse.clear: add one for each",
    )
    .await;
    let pages = Pages::default();
    let guard = pages.open();
    load(&unsigned(packed("", ""))).await.expect("nothing is missing");
    assert!(!pages.text().contains("nobody has shown"), "{}", pages.text());
    load(&unsigned(without())).await.expect("a warning is enough");
    drop(guard);
    let warned = pages.text();
    let line = warned.lines().find(|line| line.contains("nobody has shown that these work"));
    let line = line.expect("a warning");
    for part in [" WARN ", "calls purse.clear:", "driver=\"misbehaving\""] {
        assert!(line.contains(part), "{part} is not in {line}");
    }
    let none = || packed_without(&packed("", ""), |_| true);
    refused(&signed(none()), "calls info.describe, meter.probe, meter.read, purse.open").await;
    load(&unsigned(none())).await.expect("a warning is enough");
}

fn packed_without(sealed: &Sealed, out: impl Fn(&str) -> bool) -> Sealed {
    let package = sealed.clone().open_unchecked().expect("opens");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let manifest = std::fs::read_to_string(root.join(FOLDER).join("driver.toml"));
    let transcripts = package.transcripts.into_iter().filter(|it| !out(&it.text)).collect();
    let parts = Parts {
        manifest: manifest.expect("a driver.toml"),
        component: package.component,
        transcripts,
        ..Parts::default()
    };
    Sealed::pack("vintage.pmdriver", parts).expect("packs")
}

/// Ten plays that trap, of a driver that one trap would put into quarantine.
#[tokio::test]
async fn what_is_played_counts_nowhere() {
    let text = sold(ample(), "panic").await.1.transcript().to_string();
    let transcript = |number: u8| Transcript {
        ending: Ending::Broken,
        name: format!("trap-{number}"),
        text: text.clone(),
    };
    let parts = Parts {
        manifest: super::manifest::MANIFEST.to_owned(),
        component: component().to_vec(),
        transcripts: (0..10).map(transcript).collect(),
        ..Parts::default()
    };
    let package = Sealed::pack("misbehaving.pmdriver", parts).expect("packs");
    let package = package.open_unchecked().expect("opens");
    let limits = Limits { traps: 1, ..ample() };
    // A runtime of its own, in which nobody else records anything.
    let runtime = Runtime::new(Options::in_process(Vault::default())).expect("an engine");
    let driver = runtime.load_package(config(limits.clone()), &package).await.expect("loads");
    let plain = runtime.load(config(limits), component()).await.expect("loads");
    let health = driver.health();
    assert_eq!(health.standing, Standing::Serving);
    assert_eq!((health.calls, health.traps.len()), (plain.health().calls, 0), "{health:?}");
    assert_eq!((health.running, health.limits.len(), driver.log().len()), (0, 0, 0), "{health:?}");
    for line in ["", "bench"] {
        assert!(driver.recent(line, "panic", usize::MAX).is_empty());
    }
}

#[tokio::test]
async fn all_plays_together_have_a_bounded_time() {
    let driver = super::bench::driver(ample()).await;
    let text = "source: synthetic\ncall: describe\nresult: error code=9 no\n";
    let transcript = crate::transcript::Transcript::parse("t", text).expect("reads");
    let error = play(&driver, &[transcript], Duration::ZERO).await.expect_err("no time");
    assert!(matches!(error, LoadError::LongTranscripts { seconds: 0, .. }), "{error}");
}

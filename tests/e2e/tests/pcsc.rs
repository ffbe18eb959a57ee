//! `polymeter reader list` and `watch` as an operator types them, on a real pcscd: what lies in the
//! virtual reader, as it comes and goes.
//!
//! Without a pcscd each says that it did not run. Not here: what a lease does
//! (host/transport/tests).

use e2e::{binary, driver_entry, run};
use meter_sim::card::{Card, Inserted, acme};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{ChildStdout, Command};
use virtual_reader::Slot;

/// What is told of a card of ACME's that is nobody's yet.
const BLANK: &str = "counter-1: sle4442, ATR 3B 04 A2 13 10 91, blank, fit for ACME";

fn blank() -> Card {
    Card::sle4442(acme::blank([0, 0, 0, 0, 0, 0, 0, 1]))
}

/// A configuration whose reader `counter-1` is the slot, with a driver of cards.
fn configured(folder: &tempfile::TempDir, slot: &Slot) -> PathBuf {
    let file = folder.path().join("polymeter.toml");
    let text = format!(
        "database.path = \"polymeter.db\"\n\
         site = {{ time-zone = \"Asia/Shanghai\", currency = \"CNY\" }}\n\
         [[reader]]\nname = \"counter-1\"\npcsc = \"{}\"\n\
         [[card-mark]]\nkind = \"sle4442\"\noffset = 8\nlength = 4\nencoding = \"ascii\"\n{}",
        slot.pcsc_name(),
        driver_entry(&("card-sle4442-acme", "ACME", r#"["card-slot", "vault", "log"]"#))
            .expect("it is built"),
    );
    std::fs::write(&file, text).expect("a file");
    file
}

async fn next(lines: &mut Lines<BufReader<ChildStdout>>) -> String {
    let line = tokio::time::timeout(Duration::from_secs(30), lines.next_line()).await;
    line.expect("a line came in time").expect("it is text").expect("the command runs")
}

#[tokio::test]
async fn what_lies_in_the_readers_is_listed() {
    let Some(slot) = Slot::take() else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = configured(&folder, &slot);
    let list = async || {
        let config = file.to_str().expect("text");
        let output = run(["--config", config, "reader", "list"]).await.expect("it runs");
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).expect("text")
    };
    assert_eq!(list().await, "counter-1: no card\n");
    let card = Inserted::new(slot.address(), &blank()).expect("vpcd");
    let begun = Instant::now();
    // pcscd looks every 400 ms, and nothing tells from outside that it has.
    let mut seen = list().await;
    while seen.contains("no card") && begun.elapsed() < Duration::from_secs(30) {
        seen = list().await;
    }
    assert_eq!(seen, format!("{BLANK}\n"));
    card.pull();

    // Without a configuration every reader is there under its own name.
    let none = folder.path().join("none.toml");
    let none = none.to_str().expect("text");
    let output = run(["--config", none, "reader", "list"]).await.expect("it runs");
    let text = String::from_utf8(output.stdout).expect("text");
    assert!(text.contains(&slot.pcsc_name()), "{text}");
}

#[tokio::test]
async fn what_comes_and_goes_is_printed() {
    let Some(slot) = Slot::take() else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = configured(&folder, &slot);
    let mut command = Command::new(binary().expect("it is built"));
    command.arg("--config").arg(file).args(["reader", "watch"]);
    let mut watch = command.stdout(Stdio::piped()).kill_on_drop(true).spawn().expect("it starts");
    let mut lines = BufReader::new(watch.stdout.take().expect("piped")).lines();
    assert_eq!(next(&mut lines).await, "counter-1: no card");
    for _ in 0..2 {
        let begun = Instant::now();
        let card = Inserted::new(slot.address(), &blank()).expect("vpcd");
        assert_eq!(next(&mut lines).await, BLANK);
        let ms = begun.elapsed().as_millis();
        println!("printed {ms} ms after the card came, of which pcscd takes up to 400 to look");
        card.pull();
        assert_eq!(next(&mut lines).await, "counter-1: no card");
        // The card of the next round comes when pcscd has surely seen this one go.
        tokio::time::sleep(virtual_reader::SETTLED).await;
    }
}

//! `polymeter decode`: by one driver, by whichever knows the frame, and a log of many.

use anyhow::{Context, Result, ensure};
use e2e::{Ended, check};
use serde_json::Value;
use std::path::Path;

/// A total energy of 1.86 kWh, as the issue gives it.
const PUBLISHED: &str = "FE FE 68 72 00 32 09 17 20 68 91 08 33 33 34 33 B9 34 33 33 6D 16";

/// One frame of each protocol, from the transcripts of its driver: who knows it, what for, and a text
/// of what it says.
const FRAMES: [(&str, &str, &str, &str); 8] = [
    ("dlt645-2007", "DL/T 645-2007", PUBLISHED, "201709320072"),
    ("dlt645-1997", "DL/T 645-1997", "68010000000000 68 81 06 43C3B9343333 B1 16", "9010"),
    (
        "cjt188-water",
        "CJ/T 188",
        "FEFEFE6810443322110033788116901F00007766552C007766552C3101221105152021841316",
        "78330011223344",
    ),
    (
        "dlt698",
        "DL/T 698.45",
        "682500C305391219083700100B4285010700100200010102060001E24006000000000000F32116",
        "1.0.1.8.1.255",
    ),
    ("mbus", "M-Bus", "68151568080572214365877704020701000000041331D400007016", "54.321"),
    (
        "mbus",
        "wireless M-Bus",
        "2E44A511987065993003A4077A060020052F2F0C933E842784060A3BAF6A0000\
         0A5A5901C4016D3B37DF2CCC0193425D3E240326066CED",
        "6842.784",
    ),
    ("acrel-adf400l", "modbus-rtu", "0510050D000306000005DC0008A8C2", "write registers"),
    (
        "dlms",
        "DLMS/COSEM",
        "7EA01C022321B450A8E6E600C301C10046000060030AFF01010F0068A67E",
        "70:0.0.96.3.10.255 1",
    ),
];

/// A folder with these packages alone: other tests build others beside them.
fn folder(into: &Path) -> Result<String> {
    for (driver, ..) in FRAMES {
        let package = format!("{driver}.pmdriver");
        std::fs::copy(e2e::drivers()?.join(&package), into.join(&package))?;
    }
    Ok(into.display().to_string())
}

fn documents(text: &str) -> Result<Vec<Value>> {
    text.lines().map(|line| serde_json::from_str(line).context("one document to a line")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn captured_bytes_are_explained_or_refused() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let none = folder.path().join("no.toml");
    let decode = ["decode", "--driver", "dlt645-2007"];
    let words: Vec<&str> = decode.into_iter().chain(PUBLISHED.split(' ')).collect();
    let ended = Ended::of(&none, &words).await?;
    check(&words, &ended, 0, &[])?;
    let told: Value = serde_json::from_str(&ended.stdout)?;
    ensure!(told["driver"] == "dlt645-2007" && told["address"] == "201709320072", "{told}");
    let [total] = told["measurements"].as_array().context("no list")?.as_slice() else {
        anyhow::bail!("{told}");
    };
    ensure!(total["register"] == "1.0.1.8.0.255" && total["unit"] == "kWh", "{told}");
    ensure!(total["value"] == 1.86 && total["quality"] == "measured", "{told}");
    ensure!(ended.stdout.contains("\"value\": 1.86,"), "not exact: {}", ended.stdout);

    let flipped = PUBLISHED.replace("B9", "B8");
    let cut = &PUBLISHED[..30];
    for (driver, bytes, code, texts) in [
        ("dlt645-2007", "00 11 22", 1, &["the driver could not explain it"][..]),
        ("dlt645-2007", flipped.as_str(), 1, &["the driver could not explain it"]),
        ("dlt645-2007", cut, 1, &["the driver could not explain it", "cut short: 10 bytes of at"]),
        ("dlt645-2007", "FE FE 6", 2, &["not hexadecimal", "Odd number of digits"]),
        ("dlt645-2007", "XY", 2, &["not hexadecimal", "'X'"]),
        ("dlt645-2007", " ", 2, &["no bytes were given"]),
        ("dlt645", "FE", 2, &["no driver `dlt645`", "dlt645-2007", "--drivers"]),
        ("../dlt645-2007", "FE", 2, &["is not the name of a driver"]),
    ] {
        let words = ["decode", "--driver", driver, bytes];
        check(&words, &Ended::of(&none, &words).await?, code, texts)?;
    }
    Ok(())
}

/// Each protocol in a line of its own, then all of them in one, noise between them, and lines that
/// say nothing or are spoilt.
#[tokio::test(flavor = "multi_thread")]
async fn a_log_is_explained_without_naming_a_driver() -> Result<()> {
    let temporary = tempfile::tempdir()?;
    let none = temporary.path().join("no.toml");
    let drivers = folder(temporary.path())?;
    let log = temporary.path().join("bus.log");
    let alone = FRAMES.map(|(_, _, frame, _)| format!("2026-11-26 04:15:13.123 RX {frame}"));
    let all = FRAMES.map(|(_, _, frame, _)| frame).join(" ");
    std::fs::write(&log, format!("# a comment\n{}\n\n{all}\n", alone.join("\n")))?;
    let log_shown = log.display().to_string();
    let words = ["decode", "--drivers", &drivers, "--file", &log_shown];
    let ended = Ended::of(&none, &words).await?;
    check(&words, &ended, 0, &[])?;
    let told = documents(&ended.stdout)?;
    ensure!(told.len() == 16, "{} frames: {}", told.len(), ended.stdout);
    for (at, document) in told.iter().enumerate() {
        let (driver, protocol, _, text) = FRAMES[at % 8];
        let line = if at < 8 { at + 2 } else { 11 };
        ensure!(document["line"] == line && document["driver"] == driver, "{document}");
        ensure!(document["protocol"] == protocol && document["sure"] == true, "{document}");
        ensure!(
            document["why"]
                .as_str()
                .is_some_and(|why| why.contains("driver") || why.contains(" by ")),
            "{document}"
        );
        ensure!(document.to_string().contains(text), "no {text}: {document}");
        ensure!((at < 8) == (document["note"] == "2026-11-26 04:15:13.123 RX"), "{document}");
    }
    ensure!(
        ended.stderr.contains("11 lines, 16 frames, 0 of them unsure, 0 bad"),
        "{}",
        ended.stderr
    );

    // Receivers of radio strip the checksums; such a telegram stands in a line of its own. One whose
    // records are encrypted is told with whose it is, and one bit that is wrong is seen where there is
    // a check.
    let radio =
        "2A442D2C998734761B168D2091D37CAC21576C7802FF207100041308190000441308190000615B7F616713";
    let closed = "4E44931578563412330333637A2A0020055923C95AAA26D1B2E7493B013EC4A6F6D3529B520EDFF0";
    let turned = radio.replace("0819", "0919");
    std::fs::write(&log, format!("T1;1;97;148;88888888;0x{radio}\n{closed}\n{turned}\n"))?;
    let ended = Ended::of(&none, &words).await?;
    check(
        &words,
        &ended,
        1,
        &["line 2: ", "mbus: wireless M-Bus cut short: 40 bytes of at least 79"],
    )?;
    let told = documents(&ended.stdout)?;
    let [whole, wrong] = told.as_slice() else { anyhow::bail!("{}", ended.stdout) };
    ensure!(whole["driver"] == "mbus" && whole["sure"] == true, "{whole}");
    ensure!(whole["note"] == "T1 1 97 148 88888888", "{whole}");
    ensure!(whole["measurements"][0]["register"] == "8.0.1.0.0.255", "{whole}");
    ensure!(whole["measurements"][0]["value"] == 6.408, "{whole}");
    ensure!(
        wrong["sure"] == false && wrong["measurements"].as_array().is_some_and(Vec::is_empty),
        "{wrong}"
    );
    ensure!(wrong["extras"].to_string().contains("extended link layer is encrypted"), "{wrong}");

    // Spoilt lines are told by their numbers, and what follows them is explained all the same.
    let spoilt = PUBLISHED.replace("B9", "B8");
    let text = format!(
        "{spoilt}\nno bytes\n{PUBLISHED} 01 02 {PUBLISHED}\n{}\n{PUBLISHED}\n",
        "FE".repeat(40_000)
    );
    std::fs::write(&log, text)?;
    let ended = Ended::of(&none, &words).await?;
    let texts = [
        "line 1: bytes 0 to 21 (FEFE68",
        "line 2: there are no hexadecimal bytes",
        "line 3: bytes 22 to 25 (0102FEFE) are no frame",
        "line 4: it is longer than 65536 bytes",
        "5 lines, 3 frames",
        "4 of 5 lines are bad",
    ];
    check(&words, &ended, 1, &texts)?;
    ensure!(documents(&ended.stdout)?.len() == 3, "{}", ended.stdout);
    std::fs::write(&log, "nothing\n")?;
    check(&words, &Ended::of(&none, &words).await?, 1, &["there is no frame in it"])?;
    let absent = ["decode", "--drivers", &drivers, "--file", "absent.log"];
    check(&absent, &Ended::of(&none, &absent).await?, 2, &["absent.log cannot be read"])?;

    // Both editions have the same broadcast of the time: nobody can be sure.
    let time = "68 99 99 99 99 99 99 68 08 06 33 33 33 33 33 33";
    let sum = time
        .split(' ')
        .fold(0_u8, |sum, byte| sum.wrapping_add(u8::from_str_radix(byte, 16).unwrap_or_default()));
    let frame = format!("{time} {sum:02X} 16");
    let words = ["decode", "--drivers", &drivers, &frame];
    let ended = Ended::of(&none, &words).await?;
    check(&words, &ended, 0, &["\"sure\": false", "DL/T 645-2007 by dlt645-2007 would take"])
}

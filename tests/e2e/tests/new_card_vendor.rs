//! A vendor that nobody has heard of serves its cards: "Serving a vendor's cards" of docs/cards.md, word for
//! word. Its commands, its configuration and its cards are taken out of the page, from `polymeter-sdk new`
//! to a second sale, outside of the repository, with the built programs alone.
//!
//! Without a pcscd it says that it did not run. Not here: what else a card goes through (card_commands).

use anyhow::{Context, Result, ensure};
use e2e::{Api, Program, Site, binary, root, write_private};
use guests::page::blocks;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use virtual_reader::{SETTLED, Slot};

const PAGE: &str = "docs/cards.md";
/// The issuer's, on no real card.
const KEY: &str = "746964652c2074686520746573747321";
/// Another vendor of cards of that kind, whose mark stands where TIDE's begins.
const OTHERS: &str = "[[card-mark]]\nkind = \"at24c\"\nlength = 3\nencoding = \"ascii\"\nvendors = { \"RDK\" = \"RDK\" }\n";

/// What stands in the page below a heading.
fn on_page(heading: &str, language: &str) -> Result<Vec<String>> {
    let page = std::fs::read_to_string(root().join(PAGE))?;
    let found = blocks(&page, heading, language);
    ensure!(!found.is_empty(), "{PAGE} has no {language} below {heading}");
    Ok(found)
}

/// A shell in a folder, with the built programs on its path; what it printed.
fn shell(folder: &Path, script: &str) -> Result<String> {
    let programs = binary()?.parent().context("a program lies in a folder")?.to_owned();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::iter::once(programs).chain(std::env::split_paths(&path));
    let output = Command::new("sh")
        .args(["-ec", script])
        .current_dir(folder)
        .env("PATH", std::env::join_paths(path)?)
        // Kept from run to run: the SDK is built for drivers once.
        .env("CARGO_TARGET_DIR", root().join("target/vendor"))
        .env_remove("CARGO_MANIFEST_DIR")
        .stdin(Stdio::null())
        .output()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let stderr = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{script}: {}\n{said}\n{stderr}", output.status);
    Ok(said)
}

/// `meter-sim --cards`, asked line by line; the cards are pulled when it ends.
struct Hand {
    program: Child,
    asks: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Hand {
    fn new(slot: &Slot) -> Result<Hand> {
        let mut program = Command::new(binary()?.with_file_name("meter-sim"))
            .args(["--cards", &slot.address().to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("starting meter-sim")?;
        let asks = program.stdin.take().context("its input")?;
        let answers = BufReader::new(program.stdout.take().context("its output")?);
        Ok(Hand { program, asks, answers })
    }

    /// Every line of a block, and pcscd has seen what each did.
    async fn does(&mut self, block: &str) -> Result<()> {
        for line in block.lines() {
            writeln!(self.asks, "{line}")?;
            let mut answer = String::new();
            self.answers.read_line(&mut answer)?;
            let answer: Value = serde_json::from_str(&answer)?;
            ensure!(answer == json!({ "ok": true }), "{line}: {answer}");
            tokio::time::sleep(SETTLED).await;
        }
        Ok(())
    }
}

impl Drop for Hand {
    fn drop(&mut self) {
        // An error here leaves a program behind that ends with its input.
        let _ = self.program.kill().and_then(|()| self.program.wait());
    }
}

/// The commands of a block one by one, each with what it must print.
fn type_in(folder: &Path, block: &str, expected: &[&[&str]]) -> Result<()> {
    let commands: Vec<&str> = block.lines().collect();
    ensure!(commands.len() == expected.len(), "{commands:?}");
    for (command, texts) in commands.into_iter().zip(expected) {
        let said = shell(folder, command)?;
        for text in *texts {
            ensure!(said.contains(text), "nothing of `{text}`: {command}\n{said}");
        }
    }
    Ok(())
}

/// A package and the key that signed it, made in an empty folder as the page says.
fn driver(folder: &Path) -> Result<(std::path::PathBuf, String)> {
    shell(folder, &on_page("### The driver", "sh")?.concat())?;
    let public = std::fs::read_to_string(folder.join("tide/tide.pub"))?;
    let signer = public.lines().last().context("no key in tide.pub")?.to_owned();
    Ok((folder.join("tide/target/drivers/tide.pmdriver"), signer))
}

#[tokio::test]
async fn a_vendor_nobody_knows_is_served_by_a_driver_and_some_lines() -> Result<()> {
    let Some(slot) = Slot::take() else { return Ok(()) };
    shell(&root(), "! grep -rnw TIDE host --include='*.rs' --include='*.toml'")?;
    let vendors = tempfile::tempdir()?;
    let (package, signer) = driver(vendors.path())?;

    // The site: a key, a package, some lines.
    let reader = format!("[[reader]]\nname = \"counter-1\"\npcsc = \"{}\"\n", slot.pcsc_name());
    let (site, program) = Site::with_more(&(reader + OTHERS), &[]).await?;
    program.kill().await?;
    let folder = site.folder.path();
    std::fs::copy(package, folder.join("tide.pmdriver"))?;
    write_private(&folder.join("card-data.key"), KEY)?;
    let typed = on_page("### The site", "sh")?;
    let [keys, checked] = &typed[..] else { anyhow::bail!("{typed:?}") };
    type_in(
        folder,
        keys,
        &[&["TIDE card-data: version 1, hmac"], &["\"card-data\"", "card-slot"]],
    )?;
    let tables = on_page("### The site", "toml")?.concat();
    ensure!(tables.contains("\"RW...\""), "{tables}");
    let before = std::fs::read_to_string(&site.config)?;
    let served = format!("{before}{}", tables.replace("RW...", &signer));
    std::fs::write(&site.config, &served)?;
    type_in(folder, checked, &[&["good: 3 drivers", "tide 0.1.0 for TIDE"]])?;

    // A card from its maker lies in the reader.
    let mut hand = Hand::new(&slot)?;
    let cards = on_page("### At the counter", "json")?;
    let [fresh, taken] = &cards[..] else { anyhow::bail!("{cards:?}") };
    hand.does(fresh).await?;

    // Whose mark that is is said to a running program, and by nothing else.
    let line = tables.lines().find(|line| line.starts_with("vendors = ")).context("no vendors")?;
    std::fs::write(&site.config, served.replace(line, ""))?;
    let program = Program::start(&site.config, None).await?;
    let api = site.api(&program);
    let lies = in_reader(&api).await?;
    ensure!(lies["state"] == "foreign", "{lies}");
    ensure!(lies["why"].as_str().is_some_and(|why| why.contains("`vendors` under [[card-mark]]")));
    std::fs::write(&site.config, &served)?;
    shell(folder, "polymeter driver reload")?;
    let lies = in_reader(&api).await?;
    ensure!(lies["state"] == "blank" && lies["vendors"] == json!(["TIDE"]), "{lies}");
    enter(&api).await?;
    program.kill().await?;

    let typed = on_page("### At the counter", "sh")?;
    let [first, second] = &typed[..] else { anyhow::bail!("{typed:?}") };
    let expected: [&[&str]; 5] = [
        &["counter-1: at24c, ATR 3B 00, blank, fit for TIDE"],
        &["\"state\": \"blank\""],
        &["meter T-1 is open for customer 300011"],
        &["50.00 CNY onto the card in counter-1", "confirmed: purchase count 1"],
        &["waiting: its last purchase has not been put into the meter"],
    ];
    type_in(folder, first, &expected)?;
    hand.does(taken).await?;
    let expected: [&[&str]; 2] = [
        &["sellable: it can be sold to", "the meter has taken purchase 1"],
        &["20.00 CNY onto the card in counter-1", "confirmed: purchase count 2"],
    ];
    type_in(folder, second, &expected)
}

async fn in_reader(api: &Api) -> Result<Value> {
    let readers = api.get("/api/v1/readers").await?;
    readers["items"].get(0).cloned().with_context(|| readers.to_string())
}

/// On the pages, as the page says.
async fn enter(api: &Api) -> Result<()> {
    let plan = json!({ "name": "Cards", "definition": "unit kWh\nprice 0.52\n" });
    let plan = api.post("/api/v1/tariffs", plan).await?;
    let meter = json!({ "serial_number": "T-1", "vendor": "TIDE", "address": "77",
        "tariff": { "tariff_plan_id": plan["tariff_plan_id"] } });
    api.post("/api/v1/meters", meter).await?;
    let customer =
        json!({ "number": "300011", "name": "孙丽", "phone": "1", "premises": "Flat 1" });
    api.post("/api/v1/customers", customer).await?;
    Ok(())
}

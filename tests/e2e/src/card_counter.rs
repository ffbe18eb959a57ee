//! A site with ACME's cards at a reader of a real pcscd, whose meter C-1 and customer 300011 have no account
//! yet; and `polymeter card ...` as a clerk types it there.
//!
//! Invariant: the program is stopped when a counter is made, so that commands have the database.

use crate::{Ended, Program, Site, check, driver_entry, run, write_private};
use anyhow::{Context, Result, ensure};
use meter_sim::card::acme::{self, AcmeKeys};
use meter_sim::card::{AcmeMeter, Card, Inserted, Stage};
use serde_json::{Value, json};
use virtual_reader::{SETTLED, Slot};

/// The issuer's, on no real card.
const KEY: [u8; 16] = *b"commands' cards!";
const GRANT: &str = r#"["card-slot", "vault", "log"]"#;
pub const METER: &str = "C-1";
pub const CUSTOMER: &str = "300011";
pub const DEVICE: &str = "000000000077";

/// As the maker of cards delivers one.
pub fn blank(number: u8) -> Card {
    Card::sle4442(acme::blank([0, 0, 0, 0, 0, 0, 0, number]))
}

/// A meter at a customer's, cleared; C-1 has number 77.
pub fn acme_meter(number: u8) -> AcmeMeter {
    let keys = AcmeKeys { psc: KEY.to_vec(), data: KEY.to_vec() };
    let mut meter = AcmeMeter::new([0, 0, 0, 0, 0, number], keys).with_transport_key(KEY);
    meter.purse.stage = Stage::Cleared;
    meter
}

/// The site, and the counter's reader.
#[derive(Debug)]
pub struct CardCounter {
    pub site: Site,
    pub slot: Slot,
}

impl CardCounter {
    /// With `more` at the end of the configuration.
    pub async fn new(slot: Slot, more: &str) -> Result<CardCounter> {
        let mut text =
            format!("[[reader]]\nname = \"counter-1\"\npcsc = \"{}\"\n", slot.pcsc_name());
        for (driver, vendor) in [("card-sle4442-acme", "ACME"), ("card-sg-cpu", "SGCPU")] {
            text += &driver_entry(&(driver, vendor, GRANT))?;
        }
        let (site, program) = Site::with_more(&(text + more), &[]).await?;
        let api = site.api(&program);
        let plan = json!({ "name": "Cards", "definition": "unit kWh\nprice 0.52\n" });
        let plan = api.post("/api/v1/tariffs", plan).await?;
        let meter = json!({ "serial_number": METER, "vendor": "ACME", "address": DEVICE,
            "tariff": { "tariff_plan_id": plan["tariff_plan_id"] } });
        api.post("/api/v1/meters", meter).await?;
        let customer =
            json!({ "number": CUSTOMER, "name": "孙丽", "phone": "1", "premises": "Flat 1" });
        api.post("/api/v1/customers", customer).await?;
        program.kill().await?;
        let file = site.folder.path().join("card.key");
        let digits: String = KEY.iter().map(|byte| format!("{byte:02x}")).collect();
        write_private(&file, &digits)?;
        let counter = CardCounter { site, slot };
        let from = file.display().to_string();
        for (label, kind) in
            [("card-psc", "hmac"), ("card-data", "hmac"), ("card-transport", "key-wrap")]
        {
            counter.vault(&["add", "ACME", label, "--kind", kind, "--from", &from]).await?;
        }
        Ok(counter)
    }

    /// What the administrator does to the vault.
    pub async fn vault(&self, words: &[&str]) -> Result<()> {
        let config = self.site.config.display().to_string();
        let begin = ["--config", &config, "vault"];
        let ended = run(begin.into_iter().chain(words.iter().copied())).await?;
        ensure!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
        Ok(())
    }

    /// And waits until pcscd has seen it.
    pub async fn put_in(&self, card: &Card) -> Result<Inserted> {
        let inserted = Inserted::new(self.slot.address(), card)?;
        tokio::time::sleep(SETTLED).await;
        Ok(inserted)
    }

    /// What `card` and these words print.
    pub async fn said(&self, words: &[&str], code: i32, texts: &[&str]) -> Result<String> {
        let words = [&["card"], words].concat();
        let ended = Ended::of(&self.site.config, &words).await?;
        check(&words, &ended, code, texts)?;
        Ok(ended.stdout)
    }

    pub async fn read(&self) -> Result<Value> {
        serde_json::from_str(&self.said(&["read"], 0, &[]).await?).context("JSON")
    }

    /// The program, on the site's configuration.
    pub async fn serve(&self) -> Result<Program> {
        Program::start(&self.site.config, None).await
    }
}

/// Out of the reader, and pcscd has seen it go.
pub async fn pull(inserted: Inserted) {
    inserted.pull();
    tokio::time::sleep(SETTLED).await;
}

//! The DL/T 645 driver in versions that go wrong, packed as its maker would, and the commands about
//! drivers beside a running program.
//!
//! Not here: what each version does (tests/conformance/wavering).

use crate::{Api, Site};
use anyhow::{Context, Result, ensure};
use polymeter_package::{Parts, Role, Sealed, SecretKey, Transcript};
use reqwest::Method;
use serde_json::{Value, json};
use std::path::PathBuf;

/// Stands in the component of the wavering driver before the version's last digit.
pub const MARK: &[u8] = b"wavering driver version 9.0.";
pub const DRIVER: &str = "dlt645-2007";
const IMPORTS: &str = "imports = [\"line\", \"log\", \"vault\"]";

/// What a command printed, and how it ended.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub said: String,
}

/// `polymeter driver ...` beside the running program.
pub async fn driver(site: &Site, words: &[&str]) -> Result<Ended> {
    let config = site.config.to_str().context("a path that is text")?;
    let output = crate::run(["--config", config, "driver"].iter().chain(words)).await?;
    let said = [output.stdout, output.stderr].concat();
    Ok(Ended { code: output.status.code(), said: String::from_utf8_lossy(&said).into_owned() })
}

/// As [`driver`], with its ending and a text of what it printed.
pub async fn check(site: &Site, words: &[&str], code: i32, text: &str) -> Result<()> {
    let Ended { code: came, said } = driver(site, words).await?;
    ensure!(came == Some(code), "{words:?} ended {came:?}: {said}");
    ensure!(said.contains(text), "{words:?} said nothing of `{text}`: {said}");
    Ok(())
}

/// Version 9.0.`digit` of the wavering driver, packed under the DL/T 645 driver's name with its
/// transcripts, signed by the key that the site pins, beside the configuration.
pub fn version(site: &Site, digit: u8) -> Result<PathBuf> {
    made(site, digit, true)
}

/// The same, signed by nobody.
pub fn unsigned(site: &Site, digit: u8) -> Result<PathBuf> {
    made(site, digit, false)
}

fn made(site: &Site, digit: u8, is_signed: bool) -> Result<PathBuf> {
    let mut component = std::fs::read(crate::drivers()?.join("wavering.wasm"))?;
    let at = component.windows(MARK.len()).position(|bytes| bytes == MARK);
    let at = at.context("the wavering driver has no mark")? + MARK.len();
    *component.get_mut(at).context("the mark is cut")? = b'0' + digit;
    let file = site.folder.path().join(format!("wavering-{digit}.pmdriver"));
    repack(component, &format!("9.0.{digit}"), IMPORTS, is_signed)?.write_file(&file)?;
    Ok(file)
}

/// The DL/T 645 driver's package with another component and version, signed anew.
pub fn repack(component: Vec<u8>, version: &str, imports: &str, is_signed: bool) -> Result<Sealed> {
    let built = crate::drivers()?.join(format!("{DRIVER}.pmdriver"));
    let built = Sealed::read_file(&built)?.open_unchecked()?;
    let manifest = crate::root().join("drivers").join(DRIVER).join("driver.toml");
    let manifest = std::fs::read_to_string(manifest)?;
    let own = format!("version = \"{}\"", built.manifest.version);
    ensure!(manifest.contains(&own), "no {own} in the driver's manifest");
    ensure!(manifest.contains(IMPORTS), "no {IMPORTS} in the driver's manifest");
    let manifest = manifest.replacen(IMPORTS, imports, 1);
    let was = format!("version={}", built.manifest.version);
    let described = |mut transcript: Transcript| {
        transcript.text = transcript.text.replace(&was, &format!("version={version}"));
        transcript
    };
    // The wavering one cannot search.
    let is_of_it = |transcript: &Transcript| !transcript.text.contains("call: search");
    let parts = Parts {
        manifest: manifest.replacen(&own, &format!("version = \"{version}\""), 1),
        component,
        readme: built.readme,
        transcripts: built.transcripts.into_iter().filter(is_of_it).map(described).collect(),
        licences: built.licences,
    };
    let sealed = Sealed::pack("repacked.pmdriver", parts)?;
    if !is_signed {
        return Ok(sealed);
    }
    let key = std::fs::read_to_string(crate::drivers()?.join("developer.key"))?;
    let key = SecretKey::parse(&key, None)?;
    Ok(sealed.sign(Role::Vendor, &key)?)
}

/// Has the site serve the unsigned version 9.0.1, and reads with it until it is in quarantine.
pub async fn quarantine(site: &Site, api: &Api, meter_id: &str) -> Result<()> {
    let text = std::fs::read_to_string(&site.config)?;
    let built = crate::drivers()?.join(format!("{DRIVER}.pmdriver")).display().to_string();
    let name = format!("name = \"{DRIVER}\"");
    ensure!(text.contains(&built) && text.contains(&name), "no {DRIVER} in the configuration");
    let text = text.replacen(&built, &unsigned(site, 1)?.display().to_string(), 1).replacen(
        &name,
        &format!("{name}\nallow-unsigned = true"),
        1,
    );
    std::fs::write(&site.config, text)?;
    check(site, &["reload"], 0, "driver-replaced driver/dlt645-2007").await?;
    let readings = format!("/api/v1/meters/{meter_id}/readings");
    for read in 1..=3 {
        ensure!(serving(api).await?["health"]["standing"] != "quarantined", "after read {read}");
        let trapped = api.ask(Method::POST, &readings, Some(json!({}))).await?;
        ensure!(trapped.status.is_server_error(), "{trapped:?}");
    }
    let health = serving(api).await?["health"].clone();
    ensure!(health["standing"] == "quarantined", "{health}");
    Ok(())
}

/// The DL/T 645 driver that serves, as the API tells it.
pub async fn serving(api: &Api) -> Result<Value> {
    let drivers = api.get("/api/v1/drivers").await?;
    let drivers = drivers.as_array().context("no list")?;
    let found = drivers.iter().find(|it| it["name"] == DRIVER);
    Ok(found.with_context(|| format!("no {DRIVER} in {drivers:?}"))?.clone())
}

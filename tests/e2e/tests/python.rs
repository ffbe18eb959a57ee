//! The vendor's example in Python beside a running program: a package that wants more than the host
//! gives by default is installed, agreed to, and sells on its vendor's own simulated meter.

use anyhow::{Context, Result, ensure};
use e2e::halo::Halo;
use e2e::money::{meter_credit, until_settled};
use e2e::wavering::{check, driver};
use e2e::{Meter, Site, drivers, root, run, write_private};
use polymeter_package::{Ending, Parts, Role, Sealed, SecretKey, Transcript};
use std::path::{Path, PathBuf};

const KEY: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
const METER: Meter = Meter {
    serial_number: "H-1",
    vendor: "ACME",
    line: "halo",
    address: "482913",
    customer: "100009",
};
/// What its driver.toml wants above the defaults.
const AGREED: [&str; 4] = [
    "component-bytes=33554432",
    "name-bytes=1048576",
    "compile-cpu-seconds=600",
    "memory-bytes=67108864",
];

/// Packed and signed as `polymeter-sdk` would, with the key that the site pins.
fn package(folder: &Path) -> Result<PathBuf> {
    let project = root().join("vendor-examples/acme-python");
    let text = |path: &Path| {
        std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))
    };
    let mut transcripts = Vec::new();
    for ending in Ending::ALL {
        for entry in std::fs::read_dir(project.join("transcripts").join(ending.folder()))? {
            let path = entry?.path();
            let name = path.file_stem().context("a file without a name")?;
            let name = name.to_string_lossy().into_owned();
            transcripts.push(Transcript { ending, name, text: text(&path)? });
        }
    }
    let component = drivers()?.join("acme-python.wasm");
    let parts = Parts {
        manifest: text(&project.join("driver.toml"))?,
        component: std::fs::read(&component)
            .with_context(|| format!("{}: cargo xtask examples makes it", component.display()))?,
        readme: text(&project.join("README.md"))?,
        transcripts,
        licences: Vec::new(),
    };
    let key = SecretKey::parse(&text(&drivers()?.join("developer.key"))?, None)?;
    let file = folder.join("acme-python.pmdriver");
    Sealed::pack("acme-python.pmdriver", parts)?.sign(Role::Vendor, &key)?.write_file(&file)?;
    Ok(file)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_driver_in_python_is_agreed_to_and_sells() -> Result<()> {
    let meter = Halo::start(METER.address, KEY).await?;
    let more = format!(
        "[[vendor]]\ncode = \"ACME\"\nsigner = [\"{}\"]\n[[line]]\nname = \"halo\"\ntcp = \
         \"{}\"\ninter-frame-ms = 5\nreply-timeout-ms = 400\nbyte-timeout-ms = 100\n\
         total-timeout-ms = 5000\n",
        e2e::developer_key()?,
        meter.gateway
    );
    let (site, program) = Site::with_more(&more, &[]).await?;
    let api = site.api(&program);
    let file = package(site.folder.path())?.display().to_string();

    // A key that comes beside the running program.
    let key = site.folder.path().join("sale.key");
    write_private(&key, KEY)?;
    let (config, key) = (site.config.display().to_string(), key.display().to_string());
    let words = ["vault", "add", "ACME", "sale", "--kind", "hmac", "--from", &key];
    let added = run(["--config", &config].iter().chain(&words)).await?;
    ensure!(added.status.success(), "{}", String::from_utf8_lossy(&added.stderr));

    let seen = driver(&site, &["inspect", &file]).await?.said;
    let seen: serde_json::Value = serde_json::from_str(&seen)?;
    let limits = seen["limits"].as_array().context("no limits")?;
    let large = limits.iter().find(|it| it["name"] == "component-bytes").context("none")?;
    ensure!(large["wants"] == 33_554_432 && large["default"] == 2_097_152, "{large}");
    ensure!(large["needs_consent"] == true, "{large}");
    let few = limits.iter().find(|it| it["name"] == "concurrent-calls").context("none")?;
    ensure!(few["wants"] == 16 && few["needs_consent"] == false, "{few}");

    let line = format!("limits = {{ {} }}", AGREED.join(", ").replace('=', " = "));
    check(&site, &["install", &file], 0, &line).await?;
    let enable = ["enable", "acme-python", "--vendor", "ACME", "--grant", "line,vault,log"];
    let before = std::fs::read_to_string(&site.config)?;
    let sentence = "component-bytes = 33554432 (default 2097152), name-bytes";
    check(&site, &enable, 2, sentence).await?;
    let refused = driver(&site, &enable).await?.said;
    let to_add = format!("if you agree, add this line to [[driver]] acme-python: {line}");
    ensure!(refused.contains(&to_add), "{refused}");
    ensure!(std::fs::read_to_string(&site.config)? == before, "what is refused stays unwritten");

    let agreed = AGREED.join(",");
    let enable = [&enable[..], &["--limit", &agreed]].concat();
    check(&site, &enable, 0, "driver-enabled driver/acme-python").await?;
    ensure!(std::fs::read_to_string(&site.config)?.contains(&line), "it is written as agreed");

    let meter_id = site.add_meter(&api, &METER).await?;
    let sale = uuid::Uuid::now_v7().to_string();
    let state = until_settled(&api, &sale, &meter_id, "12.50").await?;
    ensure!(state == "confirmed", "the sale is {state}");
    let truth = meter.truth();
    ensure!(truth["count"] == 1 && truth["balance"] == 1250, "{truth}");
    ensure!(meter_credit(&api, &meter_id).await? == 1250);
    program.kill().await
}

//! A site: configuration, vault, database, two lines with meters, customers and open accounts.

use crate::{Api, Program, program, run};
use anyhow::{Context, Result, ensure};
use databases::Fresh;
use meter_sim::{Adf400lPlan, BusKind, BusPlan, Dlt645Plan, Endpoint, Meters, Plan, Simulator};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

pub const OPERATOR: &str = "anna";
pub const PASSWORD: &str = "correct horse battery";

/// The most that a purse of the DL/T 645 meters holds; far above what the tests sell by and by.
pub const HOARDING_LIMIT_FEN: u32 = 5_000_000;

/// A meter of every site: who speaks to it, how the simulator calls it, on which line it is.
#[derive(Debug, Clone, Copy)]
pub struct Meter {
    pub serial_number: &'static str,
    pub vendor: &'static str,
    pub line: &'static str,
    pub address: &'static str,
    /// The customer's number.
    pub customer: &'static str,
}

/// Requests for count and last purchase that either driver sends before the purchase itself, to a
/// meter that has been sold to before: faults of the proof have to let these pass.
pub const ASKED_BEFORE_SALE: u32 = 3;

/// Two meters of each vendor; the second of each has no open account.
pub const METERS: [Meter; 4] = [
    Meter {
        serial_number: "D-1",
        vendor: "DLT645",
        line: "bus-serial",
        address: "000000000001",
        customer: "100001",
    },
    Meter {
        serial_number: "A-1",
        vendor: "ACREL",
        line: "bus-tcp",
        address: "1",
        customer: "100002",
    },
    Meter {
        serial_number: "D-2",
        vendor: "DLT645",
        line: "bus-serial",
        address: "000000000002",
        customer: "100003",
    },
    Meter {
        serial_number: "A-2",
        vendor: "ACREL",
        line: "bus-tcp",
        address: "2",
        customer: "100004",
    },
];

/// On the line, and entered by those tests only that need it.
pub const SPARE: Meter = Meter {
    serial_number: "D-3",
    vendor: "DLT645",
    line: "bus-serial",
    address: "000000000003",
    customer: "100005",
};

#[derive(Debug)]
pub struct Site {
    pub folder: TempDir,
    pub config: PathBuf,
    pub simulator: Simulator,
    token: String,
    /// Where the test run is on PostgreSQL.
    _database: Option<Fresh>,
}

impl Site {
    /// Everything set up through the running program, which is handed on running.
    pub async fn new() -> Result<(Site, Program)> {
        Self::with_more("", &[]).await
    }

    /// The same, with further drivers, each a name in target/drivers, its vendor code and its grant.
    pub async fn with_drivers(drivers: &[(&str, &str, &str)]) -> Result<(Site, Program)> {
        Self::with_drivers_and(drivers, "").await
    }

    /// The same, with `more` in its configuration.
    pub async fn with_drivers_and(
        drivers: &[(&str, &str, &str)],
        more: &str,
    ) -> Result<(Site, Program)> {
        let entries: Vec<String> = drivers.iter().map(driver_entry).collect::<Result<_>>()?;
        Self::with_more(&(more.to_owned() + &entries.concat()), &[]).await
    }

    /// The same, with `more` at the end of its configuration and keys labelled `regional` in its vault,
    /// each for a vendor code and a region.
    pub async fn with_more(more: &str, regional: &[(&str, &str)]) -> Result<(Site, Program)> {
        let database = Fresh::new().await;
        let url = database.as_ref().map(Fresh::url);
        let (mut site, program) = Self::on(url.as_deref(), more, regional).await?;
        site._database = database;
        Ok((site, program))
    }

    /// On SQLite, whatever the test run is on.
    pub async fn in_file() -> Result<(Site, Program)> {
        Self::on(None, "", &[]).await
    }

    /// On a database of a PostgreSQL server that its caller keeps.
    pub async fn on_server(url: &str) -> Result<(Site, Program)> {
        Self::on(Some(url), "", &[]).await
    }

    async fn on(
        url: Option<&str>,
        more: &str,
        regional: &[(&str, &str)],
    ) -> Result<(Site, Program)> {
        let folder = tempfile::tempdir()?;
        let simulator = Simulator::start(plan())?;
        let config = folder.path().join("polymeter.toml");
        std::fs::write(&config, configuration(&simulator, url)? + more)?;
        make_vault(&config, folder.path(), regional).await?;
        let mut site = Site { folder, config, simulator, token: String::new(), _database: None };
        let program = Program::start_first(&site.config).await?;
        site.set_up(&program).await?;
        Ok((site, program))
    }

    /// Of the session that `api` asks with.
    pub fn token(&self) -> &str {
        &self.token
    }

    pub fn api(&self, program: &Program) -> Api {
        Api::new(&program.url, &self.token)
    }

    /// The meter's id in the program.
    pub async fn meter_id(&self, api: &Api, meter: &Meter) -> Result<String> {
        let found = api.get(&format!("/api/v1/meters?query={}", meter.serial_number)).await?;
        let id = found["items"][0]["meter_id"].as_str();
        Ok(id.with_context(|| format!("no meter {} in {found}", meter.serial_number))?.to_owned())
    }

    /// A further meter, free; its id.
    pub async fn enter_meter(&self, api: &Api, meter: &Meter) -> Result<String> {
        add_meter(api, meter).await
    }

    /// A further meter, with a customer and an open account; its id.
    pub async fn add_meter(&self, api: &Api, meter: &Meter) -> Result<String> {
        let meter_id = add_meter(api, meter).await?;
        let account = json!({ "customer_id": add_customer(api, meter).await? });
        api.post(&format!("/api/v1/meters/{meter_id}/account"), account).await?;
        Ok(meter_id)
    }

    /// First operator by the one-time link, session, customers, meters, accounts.
    async fn set_up(&mut self, program: &Program) -> Result<()> {
        let link = program.set_up_link.as_deref().context("no one-time link was printed")?;
        let secret = link.split("secret=").nth(1).context("the link has no secret")?;
        let form = [
            ("secret", secret),
            ("name", OPERATOR),
            ("password", PASSWORD),
            ("repeated", PASSWORD),
        ];
        let body: Vec<String> = form
            .iter()
            .map(|(name, value)| format!("{name}={}", value.replace(' ', "+")))
            .collect();
        let response = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .build()?
            .post(format!("{}/set-up", program.url))
            .header("content-type", "application/x-www-form-urlencoded")
            .header("origin", &program.url)
            .body(body.join("&"))
            .send()
            .await?;
        ensure!(response.status().is_redirection(), "set-up: {}", response.text().await?);
        let session = Api::log_in(&program.url, OPERATOR, PASSWORD).await?;
        session.body["token"].as_str().context("no token")?.clone_into(&mut self.token);

        let api = self.api(program);
        for meter in METERS {
            let meter_id = add_meter(&api, &meter).await?;
            if meter.serial_number.ends_with("-1") {
                let customer_id = add_customer(&api, &meter).await?;
                let account = json!({ "customer_id": customer_id });
                api.post(&format!("/api/v1/meters/{meter_id}/account"), account).await?;
            }
        }
        Ok(())
    }
}

/// A plan of one price, under this name.
async fn add_plan(api: &Api, name: &str) -> Result<String> {
    let new = json!({ "name": name, "definition": "unit kWh\nprice 0.52\n" });
    id(&api.post("/api/v1/tariffs", new).await?, "tariff_plan_id")
}

async fn add_meter(api: &Api, meter: &Meter) -> Result<String> {
    let plan_id = add_plan(api, &format!("Shop {}", meter.serial_number)).await?;
    let new = json!({
        "serial_number": meter.serial_number, "vendor": meter.vendor, "line": meter.line,
        "address": meter.address, "tariff": { "tariff_plan_id": plan_id },
    });
    id(&api.post("/api/v1/meters", new).await?, "meter_id")
}

async fn add_customer(api: &Api, meter: &Meter) -> Result<String> {
    let new = json!({
        "number": meter.customer, "name": format!("Shop {}", meter.customer), "phone": "13800000000",
        "premises": "Mall 1",
    });
    id(&api.post("/api/v1/customers", new).await?, "customer_id")
}

fn id(body: &Value, name: &str) -> Result<String> {
    Ok(body[name].as_str().with_context(|| format!("no {name} in {body}"))?.to_owned())
}

fn plan() -> Plan {
    let dlt645 = METERS.iter().chain([&SPARE]).filter(|meter| meter.vendor == "DLT645");
    let dlt645 = dlt645.map(|meter| Dlt645Plan {
        hoarding_limit_fen: HOARDING_LIMIT_FEN,
        ..Dlt645Plan::new(meter.address)
    });
    let dlt645 = dlt645.collect();
    // The third is entered by those tests only that need it.
    let adf400l = (1..=3).map(Adf400lPlan::new).collect();
    Plan {
        buses: vec![
            BusPlan::new("bus-serial", BusKind::Pty, Meters::Dlt645(dlt645)),
            BusPlan::new("bus-tcp", BusKind::Tcp, Meters::Adf400l(adf400l)),
        ],
    }
}

fn configuration(simulator: &Simulator, url: Option<&str>) -> Result<String> {
    let database = match url {
        Some(url) => format!("url = \"{url}\""),
        None => "path = \"polymeter.db\"".to_owned(),
    };
    let mut text = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\n[database]\n{database}\n\
         [site]\ntime-zone = \"Asia/Shanghai\"\ncurrency = \"CNY\"\n\
         [vault]\nfile = \"keys.vault\"\nunlock-file = \"vault.unlock\"\n",
    );
    for driver in [
        ("dlt645-2007", "DLT645", r#"["line", "vault", "log"]"#),
        ("acrel-adf400l", "ACREL", r#"["line", "log"]"#),
    ] {
        text += &driver_entry(&driver)?;
    }
    for bus in ["bus-serial", "bus-tcp"] {
        let far_end = match simulator.endpoint(bus)? {
            Endpoint::Tcp(address) => format!("tcp = \"{address}\""),
            Endpoint::Serial(path) => {
                format!(
                    "serial = \"{}\"\nbaud = 9600\nparity = \"even\"\nstop-bits = 1",
                    path.display()
                )
            }
        };
        // Short timeouts: a simulated meter that stays silent does so on purpose.
        writeln!(
            text,
            "[[line]]\nname = \"{bus}\"\n{far_end}\ninter-frame-ms = 5\nreply-timeout-ms = 400\nbyte-timeout-ms = 100\ntotal-timeout-ms = 5000"
        )?;
    }
    Ok(text)
}

/// A driver of target/drivers with its vendor code and its grant, for a configuration.
pub fn driver_entry((name, vendor, grant): &(&str, &str, &str)) -> Result<String> {
    let package = program::drivers()?.join(format!("{name}.pmdriver"));
    let signer = program::developer_key()?;
    Ok(format!(
        "[[driver]]\nname = \"{name}\"\nvendor = \"{vendor}\"\npackage = \"{}\"\ngrant = {grant}\n\
         [[vendor]]\ncode = \"{vendor}\"\nsigner = [\"{signer}\"]\n",
        package.display()
    ))
}

/// The simulated meters' key: public, and in no real meter.
pub const PURSE_KEY: &str = "00112233445566778899AABBCCDDEEFF";

/// As an operator would, by the program's own commands.
async fn make_vault(config: &Path, folder: &Path, regional: &[(&str, &str)]) -> Result<()> {
    let key = folder.join("purse.key");
    write_private(&key, PURSE_KEY)?;
    let (config, key_shown) = (config.display().to_string(), key.display().to_string());
    let mut all = vec![
        vec!["init", "--generate-unlock"],
        vec!["add", "DLT645", "purse", "--kind", "3des", "--from", &key_shown],
        vec!["add", "DLT645E", "purse", "--kind", "3des", "--from", &key_shown],
        vec!["add", "RDK", "password", "--kind", "hmac", "--from", &key_shown],
    ];
    for (vendor, region) in regional {
        let add =
            ["add", vendor, "regional", "--region", region, "--kind", "3des", "--from", &key_shown];
        all.push(add.to_vec());
    }
    for words in all {
        let ended = run(["--config", &config, "vault"].into_iter().chain(words)).await?;
        ensure!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    }
    Ok(std::fs::remove_file(key)?)
}

/// A file that only its owner may read.
pub fn write_private(path: &Path, text: &str) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::write(path, text)?;
    Ok(std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?)
}

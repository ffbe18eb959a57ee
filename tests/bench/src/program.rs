//! The running program with simulated meters behind it, for rows that measure the whole product:
//! `polymeter serve` built for release, and one TCP line with one meter per seller.

use anyhow::{Context, Result, ensure};
use meter_sim::{Adf400lPlan, BusKind, BusPlan, Endpoint, Meters, Plan, Simulator};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::path::Path;
use std::process::Stdio;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

const OPERATOR: &str = "bench";
const PASSWORD: &str = "a long password for one run";

/// Killed when dropped, with its database and its meters.
pub struct Program {
    child: Child,
    _folder: TempDir,
    _simulator: Simulator,
    sellers: Vec<Seller>,
}

/// One session at one meter with an open account.
#[derive(Clone)]
pub struct Seller {
    client: reqwest::Client,
    url: String,
    token: String,
    meter_id: String,
}

impl Program {
    /// On a database of a PostgreSQL server, or in a file.
    pub async fn start_on(root: &Path, sellers: usize, url: Option<&str>) -> Result<Program> {
        let buses = (0..sellers).map(|seller| {
            let meters = Meters::Adf400l(vec![Adf400lPlan::new(1)]);
            BusPlan::new(&format!("bus-{seller}"), BusKind::Tcp, meters)
        });
        let simulator = Simulator::start(Plan { buses: buses.collect() })?;
        let folder = tempfile::tempdir_in(root.join("target"))?;
        let config = folder.path().join("polymeter.toml");
        std::fs::write(&config, configuration(root, &simulator, sellers, url)?)?;
        let mut child = Command::new(root.join("target/release/polymeter"))
            .arg("--config")
            .arg(&config)
            .arg("serve")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .context("starting polymeter")?;
        let mut lines = BufReader::new(child.stdout.take().context("no stdout")?).lines();
        let mut links = Vec::new();
        while links.len() < 2 {
            let line = lines.next_line().await?.context("polymeter ended before it served")?;
            links.extend(
                line.split_whitespace().find(|word| word.starts_with("http://")).map(str::to_owned),
            );
        }
        let url = links[0].trim_end_matches('/').to_owned();
        let secret = links[1].split("secret=").nth(1).context("no secret in the link")?;
        let token = first_operator(&url, secret).await?;
        let mut made = Vec::new();
        for seller in 0..sellers {
            made.push(open_meter(&url, &token, seller).await?);
        }
        Ok(Program { child, _folder: folder, _simulator: simulator, sellers: made })
    }

    /// Its number, while it runs.
    pub fn process(&self) -> Option<u32> {
        self.child.id()
    }

    /// Ends it at once; its database stays as it is.
    pub async fn stop(&mut self) -> Result<()> {
        Ok(self.child.kill().await?)
    }

    pub fn seller(&self, number: usize) -> Seller {
        self.sellers[number].clone()
    }
}

impl Seller {
    /// One whole sale; returns the state that it ended in.
    pub async fn sell(&self, paid: &str) -> Result<String> {
        let sale_id = uuid::Uuid::now_v7();
        let response = self
            .client
            .put(format!("{}/api/v1/sales/{sale_id}", self.url))
            .bearer_auth(&self.token)
            .header("Prefer", "wait=30")
            .json(&json!({ "meter_id": self.meter_id, "paid": paid }))
            .send()
            .await?;
        let body: Value = response.json().await?;
        Ok(body["state"].as_str().with_context(|| body.to_string())?.to_owned())
    }

    async fn post(&self, path: &str, body: Value) -> Result<Value> {
        let request = self.client.post(format!("{}{path}", self.url)).bearer_auth(&self.token);
        let response = request.json(&body).send().await?;
        let is_good = response.status().is_success();
        let body: Value = response.json().await?;
        ensure!(is_good, "{path}: {body}");
        Ok(body)
    }
}

/// Uses the one-time link and logs in.
async fn first_operator(url: &str, secret: &str) -> Result<String> {
    let password = PASSWORD.replace(' ', "+");
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build()?;
    let made = client
        .post(format!("{url}/set-up"))
        .header("content-type", "application/x-www-form-urlencoded")
        .header("origin", url)
        .body(format!("secret={secret}&name={OPERATOR}&password={password}&repeated={password}"))
        .send()
        .await?;
    ensure!(made.status().is_redirection(), "set-up answered {}", made.status());
    let log_in = json!({ "name": OPERATOR, "password": PASSWORD });
    let session: Value =
        client.post(format!("{url}/api/v1/sessions")).json(&log_in).send().await?.json().await?;
    Ok(session["token"].as_str().context("no token")?.to_owned())
}

async fn open_meter(url: &str, token: &str, number: usize) -> Result<Seller> {
    let mut seller = Seller {
        client: reqwest::Client::new(),
        url: url.to_owned(),
        token: token.to_owned(),
        meter_id: String::new(),
    };
    let plan = json!({ "name": format!("B-{number}"), "definition": "unit kWh\nprice 0.52\n" });
    let plan = seller.post("/api/v1/tariffs", plan).await?;
    let meter = json!({
        "serial_number": format!("B-{number}"), "vendor": "ACREL", "line": format!("bus-{number}"),
        "address": "1", "tariff": { "tariff_plan_id": plan["tariff_plan_id"] },
    });
    let meter = seller.post("/api/v1/meters", meter).await?;
    meter["meter_id"].as_str().context("no meter_id")?.clone_into(&mut seller.meter_id);
    let customer = json!({
        "number": format!("{}", 100_000 + number), "name": "Bench", "phone": "", "premises": "",
    });
    let customer = seller.post("/api/v1/customers", customer).await?;
    let account = json!({ "customer_id": customer["customer_id"] });
    seller.post(&format!("/api/v1/meters/{}/account", seller.meter_id), account).await?;
    Ok(seller)
}

fn configuration(
    root: &Path,
    simulator: &Simulator,
    lines: usize,
    url: Option<&str>,
) -> Result<String> {
    let database = match url {
        Some(url) => format!("url = \"{url}\""),
        None => "path = \"polymeter.db\"".to_owned(),
    };
    let package = root.join("target/drivers/acrel-adf400l.pmdriver");
    let signer = std::fs::read_to_string(root.join("target/drivers/developer.pub"))?;
    let signer = signer.lines().last().context("no key in developer.pub")?;
    let mut text = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\n[database]\n{database}\n\
         [site]\ntime-zone = \"Asia/Shanghai\"\ncurrency = \"CNY\"\n\
         [[driver]]\nname = \"acrel-adf400l\"\nvendor = \"ACREL\"\npackage = \"{}\"\n\
         grant = [\"line\", \"log\"]\n[[vendor]]\ncode = \"ACREL\"\nsigner = [\"{signer}\"]\n",
        package.display()
    );
    for line in 0..lines {
        let name = format!("bus-{line}");
        let Endpoint::Tcp(address) = simulator.endpoint(&name)? else {
            anyhow::bail!("{name} is not a TCP line");
        };
        writeln!(text, "[[line]]\nname = \"{name}\"\ntcp = \"{address}\"\ninter-frame-ms = 0")?;
    }
    Ok(text)
}

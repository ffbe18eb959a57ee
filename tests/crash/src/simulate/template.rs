//! The beginning of every simulated life: a database with two meters and their open accounts, made once by
//! the product itself, and meters in the state that the openings left them in.

use super::wire::far_end;
use super::world::World;
use anyhow::{Context, Result, bail, ensure};
use meter_sim::{Adf400lPlan, Dlt645Plan, Meters, Offline};
use polymeter_domain::tariff::Terms;
use polymeter_domain::{Currency, CustomerNumber, MeterAddress, MeterId, VendorCode};
use polymeter_ledger::Database;
use polymeter_runtime::{Capability, Driver, DriverConfig, Limits, Options, Runtime, Vault};
use polymeter_service::{
    Actor, Assignment, Edition, Fitting, NewCustomer, NewMeter, NewPlan, Parts, Rules, Service,
};
use polymeter_transport::{CardReaders, Endpoint, Line, LineSettings};
use polymeter_vault::{Kind, Secret};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Row as _};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vendor {
    Dlt645,
    Adf400l,
}

impl Vendor {
    fn code(self) -> VendorCode {
        let code = match self {
            Vendor::Dlt645 => "DLT645",
            Vendor::Adf400l => "ACREL",
        };
        VendorCode::new(code).expect("a code")
    }

    fn component(self) -> &'static str {
        match self {
            Vendor::Dlt645 => "dlt645-2007",
            Vendor::Adf400l => "acrel-adf400l",
        }
    }

    fn addresses(self) -> [&'static str; 2] {
        match self {
            Vendor::Dlt645 => ["000000000001", "000000000002"],
            Vendor::Adf400l => ["1", "2"],
        }
    }
}

/// What a life starts from.
#[derive(Debug)]
pub struct Template {
    pub vendor: Vendor,
    driver: Arc<Driver>,
    /// The database's file.
    file: Vec<u8>,
    pub meters: [MeterId; 2],
    /// What the openings wrote into the meters.
    customers: [Option<String>; 2],
}

/// What a meter's own memory says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Remembered {
    pub count: u32,
    pub last_fen: u32,
    /// It is not the meter that was there.
    pub is_another: bool,
}

const NUMBERS: [&str; 2] = ["11", "22"];

/// One of each vendor; cheap to clone.
#[derive(Debug, Clone)]
pub struct Templates(pub(super) [Arc<Template>; 2]);

impl Templates {
    pub fn new() -> Result<Templates> {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        runtime.block_on(async {
            let dlt645 = Template::new(Vendor::Dlt645).await?;
            Ok(Templates([Arc::new(dlt645), Arc::new(Template::new(Vendor::Adf400l).await?)]))
        })
    }

    /// Seeds take turns.
    pub fn of(&self, seed: u64) -> &Arc<Template> {
        let [even, odd] = &self.0;
        if seed.is_multiple_of(2) { even } else { odd }
    }
}

impl Template {
    async fn new(vendor: Vendor) -> Result<Template> {
        let driver = driver(vendor).await?;
        let folder = folder()?;
        let path = folder.path().join("polymeter.db");
        let mut template = Template {
            vendor,
            driver,
            file: Vec::new(),
            meters: [MeterId::new(uuid::Uuid::nil()); 2],
            customers: [None, None],
        };
        let world = Arc::new(World::quiet(template.offline()?));
        let database = Database::open(&path).await?;
        let service = template.start(&world, database.clone()).await?;
        let new = NewPlan {
            name: "Flat".to_owned(),
            // Before every day that a simulated clock may jump to.
            from: "2000-01-01".parse().ok().context("a day")?,
            definition: "unit kWh\nprice 0.52\n".to_owned(),
        };
        let plan = service.add_plan(new, &Actor::System).await?;
        for (at, number) in NUMBERS.iter().enumerate() {
            let address = vendor.addresses()[at];
            let meter = NewMeter {
                serial_number: format!("S-{address}"),
                vendor: vendor.code(),
                line: LINE.to_owned(),
                address: MeterAddress::new(address).ok().context("an address")?,
                parameters: Vec::new(),
                mode: None,
                tariff: Assignment { plan_id: plan.plan_id, from: None, terms: Terms::default() },
            };
            let meter_id = service.add_meter(meter, &Actor::System).await?.meter_id;
            let customer = NewCustomer {
                number: CustomerNumber::new(number).ok().context("digits")?,
                name: "Somebody".to_owned(),
                phone: String::new(),
                premises: String::new(),
            };
            let customer = service.add_customer(customer, &Actor::System).await?.customer_id;
            service.open_account(meter_id, customer, &Actor::System).await?;
            template.meters[at] = meter_id;
        }
        for (kept, state) in template.customers.iter_mut().zip(world.states()) {
            ensure!(
                state.count == 0 && state.money_fen == 0,
                "an opening brought money: {state:?}"
            );
            kept.clone_from(&state.customer);
        }
        drop((service, database));
        template.file = settled(&path).await?;
        Ok(template)
    }

    /// The meters as a life finds them.
    pub fn offline(&self) -> Result<Offline> {
        let addresses = self.vendor.addresses().into_iter();
        let meters = match self.vendor {
            Vendor::Dlt645 => {
                let plan = |(address, customer): (&str, &Option<String>)| Dlt645Plan {
                    customer: customer.clone(),
                    ..Dlt645Plan::new(address)
                };
                Meters::Dlt645(addresses.zip(&self.customers).map(plan).collect())
            }
            Vendor::Adf400l => Meters::Adf400l((1..=2).map(Adf400lPlan::new).collect()),
        };
        Ok(Offline::new(meters)?)
    }

    /// The first meter with another memory; the second is not there.
    pub fn remembering(&self, of: Remembered) -> Result<Offline> {
        let meters = match self.vendor {
            Vendor::Dlt645 => {
                let address = if of.is_another { "000000000009" } else { "000000000001" };
                Meters::Dlt645(vec![Dlt645Plan {
                    customer: self.customers[0].clone(),
                    purchase_count: of.count,
                    money_fen: of.last_fen,
                    last_purchase_fen: Some(of.last_fen),
                    ..Dlt645Plan::new(address)
                }])
            }
            Vendor::Adf400l => {
                let unit = if of.is_another { 9 } else { 1 };
                Meters::Adf400l(vec![Adf400lPlan {
                    purchase_count: u16::try_from(of.count)?,
                    balance_fen: i32::try_from(of.last_fen)?,
                    last_purchase_fen: Some(of.last_fen),
                    ..Adf400lPlan::new(unit)
                }])
            }
        };
        Ok(Offline::new(meters)?)
    }

    /// A database of its own for a life, in memory where the system has a file system for that.
    pub fn copy(&self) -> Result<(TempDir, PathBuf)> {
        let folder = folder()?;
        let path = folder.path().join("polymeter.db");
        std::fs::write(&path, &self.file)?;
        Ok((folder, path))
    }

    /// As if nothing had ever been written.
    pub fn put_back(&self, path: &Path) -> Result<()> {
        for end in ["db-wal", "db-shm"] {
            let beside = path.with_extension(end);
            if beside.exists() {
                std::fs::remove_file(beside)?;
            }
        }
        Ok(std::fs::write(path, &self.file)?)
    }

    /// The product's service, as `polymeter serve` has it, at the simulated line.
    pub async fn start(&self, world: &Arc<World>, database: Database) -> Result<Service> {
        let settings = LineSettings {
            name: LINE.to_owned(),
            endpoint: Endpoint::Tcp { address: "simulated".to_owned() },
            inter_frame: Duration::ZERO,
            // A simulated answer is there before anybody waits for it, or never comes.
            reply_timeout: Duration::from_millis(6),
            byte_timeout: Duration::from_millis(3),
            total_timeout: Duration::from_secs(60),
        };
        let edition = Edition {
            digest: self.driver.description().version.clone(),
            driver: Arc::clone(&self.driver),
            file: PathBuf::from("simulated"),
            signer: None,
            settings: String::new(),
        };
        let parts = Parts {
            database,
            drivers: vec![Fitting { current: edition, candidate: None }],
            lines: vec![Line::over(settings, far_end(world))],
            currency: Currency::CNY,
            clock: World::clock(world),
            rules: Rules::default(),
            readers: CardReaders::of(Vec::new()),
            marks: Vec::new(),
        };
        Ok(Service::start(parts).await?)
    }
}

const LINE: &str = "line";

fn folder() -> Result<TempDir> {
    let memory = Path::new("/dev/shm");
    let folder = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    Ok(folder?)
}

/// The file once its write-ahead log is in it, and all that was written with it.
async fn settled(path: &Path) -> Result<Vec<u8>> {
    let options = SqliteConnectOptions::new().filename(path);
    let mut connection = options.connect().await?;
    for _ in 0..500 {
        let row = sqlx::query("pragma wal_checkpoint(truncate)").fetch_one(&mut connection).await?;
        if row.try_get::<i64, _>(0)? == 0 {
            return Ok(std::fs::read(path)?);
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    bail!("the database is still read by others")
}

/// The driver as it is shipped, with the simulated meters' public test key.
async fn driver(vendor: Vendor) -> Result<Arc<Driver>> {
    let key = Secret::from_hex(e2e::PURSE_KEY.as_bytes()).context("hex")?;
    let vault = Vault::default().with(vendor.code(), "purse", Kind::TripleDes, key);
    let config = DriverConfig {
        name: vendor.component().to_owned(),
        vendor: Some(vendor.code()),
        cover: None,
        region: None,
        grants: vec![Capability::Line, Capability::Vault, Capability::Log],
        limits: Limits::default(),
        written: BTreeSet::new(),
    };
    let runtime = Runtime::new(Options::in_process(vault.context("a key")?))?;
    let component = std::fs::read(e2e::drivers()?.join(vendor.component()).with_extension("wasm"))?;
    Ok(runtime.load(config, &component).await?)
}

//! The office with the real DL/T 645 driver, one line and simulated meters on it.

use crate::bench::{Keeper, TestClock, customer, database, flat};
use meter_sim::{
    BusKind, BusPlan, Dlt645Plan, Endpoint as SimulatedEnd, Fault, FaultKind, Meters, On, Plan,
    Simulator, State,
};
use polymeter_domain::{BillingMode, Currency, MeterAddress, MeterId, Money, SaleId, VendorCode};
use polymeter_ledger::Database;
use polymeter_runtime::{Capability, Driver, DriverConfig, Limits, Options, Runtime, Vault};
use polymeter_service::{
    Actor, Assignment, Edition, Fitting, NewMeter, Parts, Rules, SaleRequest, SaleView, Service,
};
use polymeter_transport::{CardReaders, Endpoint, Line, LineSettings};
use polymeter_vault::{Kind, Secret};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::OnceCell;
use uuid::Uuid;

pub const METERS: [&str; 2] = ["000000000001", "000000000002"];

pub struct Field {
    pub service: Service,
    pub simulator: Simulator,
    pub meters: Vec<MeterId>,
    pub database: Database,
    pub clock: TestClock,
    _keeper: Keeper,
}

/// The driver as it is shipped.
async fn driver() -> Arc<Driver> {
    static DRIVER: OnceCell<Arc<Driver>> = OnceCell::const_new();
    DRIVER
        .get_or_init(|| async {
            let component = guests::component("dlt645-2007");
            let vendor = VendorCode::new("DLT645").expect("a code");
            // The simulated meters' public test key.
            let key = Secret::from_hex(b"00112233445566778899AABBCCDDEEFF").expect("hex");
            let vault = Vault::default().with(vendor.clone(), "purse", Kind::TripleDes, key);
            let config = DriverConfig {
                name: "dlt645-2007".to_owned(),
                vendor: Some(vendor),
                cover: None,
                region: None,
                grants: vec![Capability::Line, Capability::Vault, Capability::Log],
                limits: Limits::default(),
                written: BTreeSet::new(),
            };
            let runtime =
                Runtime::new(Options::in_process(vault.expect("a key"))).expect("an engine");
            runtime.load(config, &component).await.expect("the driver loads")
        })
        .await
        .clone()
}

/// As if it had been loaded from a file whose digest is the driver's version.
pub fn edition(driver: Arc<Driver>) -> Edition {
    Edition {
        digest: driver.description().version.clone(),
        driver,
        file: PathBuf::from("dlt645-2007.wasm"),
        signer: None,
        settings: String::new(),
    }
}

fn line(simulator: &Simulator) -> Line {
    let SimulatedEnd::Tcp(address) = simulator.endpoint("line-1").expect("a bus") else {
        panic!("the bus is a TCP one")
    };
    Line::spawn(LineSettings {
        name: "line-1".to_owned(),
        endpoint: Endpoint::Tcp { address: address.to_string() },
        inter_frame: Duration::ZERO,
        reply_timeout: Duration::from_millis(300),
        byte_timeout: Duration::from_millis(60),
        total_timeout: Duration::from_secs(20),
    })
}

/// Two meters, each with its customer's account open.
pub async fn field() -> Field {
    let field = unopened_field().await;
    for (meter, number) in field.meters.iter().zip(["11", "22"]) {
        let customer = customer(&field.service, number).await;
        field
            .service
            .open_account(*meter, customer.customer_id, &Actor::System)
            .await
            .expect("the meter opens");
    }
    field
}

pub async fn unopened_field() -> Field {
    // The site's time, so that what is said to be valid until then is.
    let each = Dlt645Plan { clock: "2026-03-02T18:00:00".parse().ok(), ..Dlt645Plan::default() };
    built(None, TestClock::new(), &each).await
}

/// Two meters whose customers pay here: 6 kW behind each, nothing taken off in the device. No account
/// is open, and time at the site goes on.
pub async fn purse_field() -> Field {
    // Its clock is the site's: a command is valid until a time.
    let plan = serde_json::json!({
        "load_watts": 6_000, "prices_fen": [0, 0, 0, 0], "money_fen": 10_000,
        "clock": "2026-03-02T18:00:00",
    });
    let plan: Dlt645Plan = serde_json::from_value(plan).expect("a plan");
    built(Some(BillingMode::PlatformPurse), TestClock::running(), &plan).await
}

/// Two meters that are billed afterwards, 6 kW behind each; time at the site goes on.
pub async fn post_paid_field() -> Field {
    let plan = serde_json::json!({
        "load_watts": 6_000, "prices_fen": [0, 0, 0, 0], "money_fen": 10_000,
        "clock": "2026-03-02T18:00:00",
    });
    let plan: Dlt645Plan = serde_json::from_value(plan).expect("a plan");
    built(Some(BillingMode::PostPaid), TestClock::running(), &plan).await
}

/// Two meters whose clocks show `shown` while it is 18:00 at the site, and goes on.
pub async fn clock_field(shown: &str) -> Field {
    // Enough for ever, so that no relay opens for want of money.
    let (clock, prices_fen, money_fen) = (shown.parse().ok(), [0; 4], 10_000);
    let each = Dlt645Plan { clock, prices_fen, money_fen, ..Dlt645Plan::default() };
    built(None, TestClock::running(), &each).await
}

async fn built(mode: Option<BillingMode>, clock: TestClock, each: &Dlt645Plan) -> Field {
    let plan = |address: &str| Dlt645Plan { address: address.to_owned(), ..each.clone() };
    let simulator = Simulator::start(Plan {
        buses: vec![BusPlan {
            name: "line-1".to_owned(),
            kind: BusKind::Tcp,
            port: 0,
            reply_delay_ms: 0,
            baud: None,
            modem: None,
            meters: Meters::Dlt645(METERS.map(plan).to_vec()),
        }],
    })
    .expect("the simulator starts");
    let (database, keeper) = database().await;
    let service = start(&database, &simulator, &clock, Rules::default()).await;
    let tariff = flat(&service).await;
    let mut meters = Vec::new();
    for address in METERS {
        let new = NewMeter { mode, ..new_meter(address, tariff) };
        let meter = service.add_meter(new, &Actor::System).await.expect("a new meter");
        meters.push(meter.meter_id);
    }
    Field { service, simulator, meters, database, clock, _keeper: keeper }
}

pub fn new_meter(address: &str, tariff: Assignment) -> NewMeter {
    NewMeter {
        serial_number: address.to_owned(),
        vendor: VendorCode::new("DLT645").expect("a code"),
        line: "line-1".to_owned(),
        address: MeterAddress::new(address).expect("an address"),
        parameters: Vec::new(),
        mode: None,
        tariff,
    }
}

async fn start(
    database: &Database,
    simulator: &Simulator,
    clock: &TestClock,
    rules: Rules,
) -> Service {
    let parts = Parts {
        database: database.clone(),
        drivers: vec![Fitting { current: edition(driver().await), candidate: None }],
        lines: vec![line(simulator)],
        currency: Currency::CNY,
        clock: clock.clock(),
        rules,
        readers: CardReaders::of(Vec::new()),
        marks: Vec::new(),
    };
    Service::start(parts).await.expect("the parts fit")
}

impl Field {
    pub fn fault(&self, meter: usize, on: On, kind: FaultKind, times: u32) {
        let fault = Fault::new(on, kind).times(times);
        self.simulator.fault(METERS[meter], fault).expect("a fault");
    }

    pub fn truth(&self, meter: usize) -> State {
        self.simulator.state(METERS[meter]).expect("a meter")
    }

    pub fn request(&self, meter: usize, minor: i64) -> SaleRequest {
        SaleRequest::new(self.meters[meter], Money::new(minor, Currency::CNY))
    }

    /// Whose account is open at a meter.
    pub async fn owner(&self, meter: usize) -> polymeter_domain::CustomerId {
        let meter = self.service.meter(self.meters[meter]).await.expect("a meter");
        meter.customer.expect("bound").customer_id
    }

    pub fn advance_ms(&self, ms: i64) {
        self.clock.advance_ms(ms);
    }

    /// The same database and lines under other rules.
    pub async fn rule(&mut self, rules: Rules) {
        self.service = start(&self.database, &self.simulator, &self.clock, rules).await;
    }

    /// A second passes at the site.
    pub fn later(&self) {
        self.clock.advance_ms(1000);
    }

    /// A second life on the same database, which knows nothing of the first one's work.
    pub async fn restart(&mut self) {
        let rules = self.service.rules().clone();
        self.service = start(&self.database, &self.simulator, &self.clock, rules).await;
    }

    /// Sells and waits until nothing is under way.
    pub async fn sell(&self, id: SaleId, meter: usize, minor: i64) -> SaleView {
        let request = self.request(meter, minor);
        self.service.put_sale(id, request, &Actor::System).await.expect("a sale");
        self.wait(id).await
    }

    pub async fn wait(&self, id: SaleId) -> SaleView {
        self.service.wait_for_sale(id, Duration::from_secs(60)).await.expect("the sale")
    }

    /// Debits equal credits, and what is posted is what the meters took.
    pub async fn check_money(&self) {
        let balance = self.service.trial_balance().await.expect("sums");
        assert_eq!(balance.difference.minor(), 0);
        let posted: i64 = balance
            .lines
            .iter()
            .filter(|line| line.account.starts_with("meter-credit/"))
            .map(|line| line.credits_posted.minor())
            .sum();
        assert_eq!(u64::try_from(posted).ok(), Some(self.simulator.credited_fen()));
    }
}

pub fn sale_id(number: u128) -> SaleId {
    SaleId::new(Uuid::from_u128(number))
}

pub fn states(view: &SaleView) -> Vec<&'static str> {
    view.history.iter().map(|event| event.state).collect()
}

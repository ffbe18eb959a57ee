//! `demo`: two vendors' simulated meters on a TCP line and a serial line, three vendors' cards in simulated
//! readers and a keypad meter, sold to, read and switched through the same configuration, service and
//! drivers as real ones.
//!
//! Invariant: nothing here knows a shorter way than `serve` has; what the simulator says at the end
//! is compared with the ledger and never read before. Not here: the meters and
//! cards (tests/meter-sim).

mod cards;
mod keypad;
mod site;

use crate::app::App;
use crate::commands::{Failure, decode, serve};
use crate::config::Config;
use meter_sim::{Plan, Simulator, State};
use polymeter_domain::tariff::Terms;
use polymeter_domain::{
    CustomerNumber, Money, Sale, SaleId, SupplyCommand, SupplyState, TariffPlanId,
};
use polymeter_service::{
    Actor, Assignment, Meter, NewCustomer, NewMeter, NewPlan, Page, SaleRequest, TrialBalance,
    meter_credit_account,
};
use site::{METERS, SimulatedMeter};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

#[derive(Debug)]
pub struct Options {
    pub once: bool,
    pub drivers: Option<PathBuf>,
    pub data: Option<PathBuf>,
    pub listen: SocketAddr,
    /// A database of a PostgreSQL server instead of a file.
    pub database: Option<String>,
}

/// What a kWh costs at the card meters, and at the keypad meter.
const CARD_PRICE_FEN: i64 = 60;

/// Far longer than a sale on a simulated line takes.
const SALE_WAIT_MAX: Duration = Duration::from_secs(60);

pub async fn run(options: Options) -> Result<(), Failure> {
    let simulator =
        Simulator::start(Plan::demo()).map_err(Failure::while_doing("starting the simulator"))?;
    let folder = site::folder(options.data)?;
    let drivers = options.drivers.unwrap_or_else(decode::default_folder);
    let database = options.database.as_deref();
    let file = site::write(folder.path(), &drivers, options.listen, database, &simulator).await?;
    println!("Simulator: 4 ACREL ADF400L users on a TCP line, 4 DL/T 645 meters on a serial line");
    println!(
        "Card counter: cards of ACME (SLE4442), SGCPU (CPU) and RDK (AT24C02, by its own library)"
    );
    println!("Keypad meter: one after IEC 62055-41 (STS), into which tokens are typed");
    println!("Configuration: {}", file.display());
    let config = Config::read(&file)?;
    let mut counter = cards::Counter::new();
    let app = App::open_with(&config, counter.readers.clone()).await?;
    let world = simulator.world();
    let walk = Walk { app: &app, states: &|| world.states() };
    let meters = walk.open_accounts().await?;
    walk.read_all(&meters).await?;
    walk.sell(&meters).await?;
    walk.switch(&meters).await?;
    let card_meters = counter.walk(&app, walk.plan(CARD_PRICE_FEN).await?).await?;
    let mut kitchen = keypad::Kitchen::new();
    let keypad_meter = kitchen.walk(&app, walk.plan(CARD_PRICE_FEN).await?).await?;
    let balance = walk.compare(&meters).await?;
    counter.compare(&card_meters, &balance)?;
    kitchen.compare(&keypad_meter, &balance)?;
    step("money in the ledger = money in the meters, meter by meter");
    if options.once {
        println!("The demo held: every step above did what it says.");
        return Ok(());
    }
    let listener = serve::bind(config.listen).await?;
    let address = listener.local_addr().map_err(Failure::while_doing("listening"))?;
    serve::follow_readers(&app);
    serve::follow_entries(&app);
    let link = serve::announce(&app, address).await?;
    show(&link.unwrap_or_else(|| format!("http://{address}/")));
    serve::until_stopped(&app, listener).await
}

/// Opens a browser where there is a display; that it could not is no failure.
fn show(address: &str) {
    let display = std::env::var_os("DISPLAY").or_else(|| std::env::var_os("WAYLAND_DISPLAY"));
    if display.is_some() {
        let quiet = Command::new("xdg-open").arg(address).stderr(Stdio::null()).spawn();
        if let Err(error) = quiet {
            tracing::debug!(%error, "no browser was opened");
        }
    }
}

/// The steps, each of which prints its line or ends the demo.
struct Walk<'a> {
    app: &'a App,
    states: &'a dyn Fn() -> Vec<State>,
}

impl Walk<'_> {
    fn money(&self, minor: i64) -> Money {
        Money::new(minor, self.app.currency)
    }

    /// The flat plan of a price, shared by its meters.
    async fn plan(&self, price_fen: i64) -> Result<TariffPlanId, Failure> {
        let service = &self.app.service;
        let price = self.money(price_fen);
        let name = format!("Flat {price}");
        let page = Page { query: Some(name.clone()), ..Page::default() };
        let known = service.plans(&page).await?.into_iter().find(|plan| plan.name == name);
        if let Some(known) = known {
            return Ok(known.plan_id);
        }
        let definition = format!("unit kWh\nprice {price}\n");
        let new = NewPlan { name, from: service.today()?, definition };
        Ok(service.add_plan(new, &Actor::System).await?.plan_id)
    }

    async fn open_accounts(&self) -> Result<Vec<Meter>, Failure> {
        let service = &self.app.service;
        let mut opened = Vec::new();
        for simulated in METERS {
            let number = CustomerNumber::new(simulated.customer_number)
                .map_err(Failure::while_doing("a customer of the demo"))?;
            let customer = NewCustomer {
                number,
                name: simulated.customer_name.to_owned(),
                phone: simulated.phone.to_owned(),
                premises: simulated.premises.to_owned(),
            };
            let customer = service.add_customer(customer, &Actor::System).await?;
            let plan_id = self.plan(simulated.price_fen).await?;
            let driver = site::driver_of(service.drivers(), simulated)?;
            let meter = NewMeter {
                serial_number: simulated.serial_number.to_owned(),
                vendor: driver.vendor().clone(),
                line: simulated.line.to_owned(),
                address: site::address_of(simulated)?,
                parameters: Vec::new(),
                mode: None,
                tariff: Assignment { plan_id, from: None, terms: Terms::default() },
            };
            let meter = service.add_meter(meter, &Actor::System).await?;
            let meter =
                service.open_account(meter.meter_id, customer.customer_id, &Actor::System).await?;
            step(&format!(
                "opened {} ({}) for customer {} {}",
                meter.serial_number, meter.vendor, customer.number, customer.name
            ));
            opened.push(meter);
        }
        Ok(opened)
    }

    async fn read_all(&self, meters: &[Meter]) -> Result<(), Failure> {
        for meter in meters {
            let reading = self.app.service.read_meter(meter.meter_id, &Actor::System).await?;
            let energy = reading
                .snapshot
                .measurements
                .iter()
                .find(|measured| measured.register.as_str() == "1.0.1.8.0.255")
                .map(|measured| crate::api::values::text(&measured.value));
            let Some(energy) = energy else {
                let serial = &meter.serial_number;
                return Err(Failure::Wrong(format!("{serial} was read and told no energy")));
            };
            step(&format!(
                "read {}: {energy} kWh, supply {}",
                meter.serial_number,
                crate::api::values::supply(reading.snapshot.supply)
            ));
        }
        Ok(())
    }

    async fn sell(&self, meters: &[Meter]) -> Result<(), Failure> {
        let service = &self.app.service;
        for (simulated, meter) in METERS.iter().zip(meters) {
            for fen in simulated.sales_fen {
                let id = SaleId::new(uuid::Uuid::now_v7());
                let paid = self.money(*fen);
                let request = SaleRequest::new(meter.meter_id, paid);
                service.put_sale(id, request, &Actor::System).await?;
                let sale = service.wait_for_sale(id, SALE_WAIT_MAX).await?;
                let Sale::Confirmed(receipt) = &sale.state else {
                    return Err(Failure::Wrong(format!(
                        "the sale of {paid} to {} ended {}: {}",
                        meter.serial_number,
                        sale.state.name(),
                        sale.history.last().map(|event| event.detail.as_str()).unwrap_or_default()
                    )));
                };
                step(&format!(
                    "sold {paid} to {} ({}): confirmed, purchase count {}, {}",
                    meter.serial_number,
                    meter.vendor,
                    receipt.count,
                    crate::arithmetic::amount(sale.bought, sale.commodity)
                ));
            }
        }
        Ok(())
    }

    /// Trips and closes the breaker of the first meter of each vendor.
    async fn switch(&self, meters: &[Meter]) -> Result<(), Failure> {
        for (simulated, meter) in METERS.iter().zip(meters).filter(|(it, _)| it.is_switched) {
            for (command, wanted, word) in [
                (SupplyCommand::Disconnect, SupplyState::Disconnected, "disconnected"),
                (SupplyCommand::Connect, SupplyState::Connected, "connected"),
            ] {
                let service = &self.app.service;
                let state = service.control(meter.meter_id, command, &Actor::System).await?;
                let closed = self.truth(simulated)?.relay_closed;
                if state != wanted || closed != (wanted == SupplyState::Connected) {
                    let serial = &meter.serial_number;
                    return Err(Failure::Wrong(format!("{serial} was not {word}: {state:?}")));
                }
                step(&format!("{word} {} ({})", meter.serial_number, meter.vendor));
            }
        }
        Ok(())
    }

    /// The ledger against the meters' own truth.
    async fn compare(&self, meters: &[Meter]) -> Result<TrialBalance, Failure> {
        let balance = self.app.service.trial_balance().await?;
        print(&balance);
        if balance.difference.minor() != 0 {
            return Err(Failure::Wrong("debits and credits differ".to_owned()));
        }
        for (simulated, meter) in METERS.iter().zip(meters) {
            let account = meter_credit_account(meter.meter_id);
            let line = balance.lines.iter().find(|line| line.account == account);
            let booked = line.map_or(0, |line| line.credits_posted.minor());
            let credited = i64::try_from(self.truth(simulated)?.credited_fen)
                .map_err(Failure::while_doing("adding up a meter's credit"))?;
            if booked != credited {
                return Err(Failure::Wrong(format!(
                    "{}: the ledger says {}, the meter took {}",
                    meter.serial_number,
                    self.money(booked),
                    self.money(credited)
                )));
            }
        }
        Ok(balance)
    }

    fn truth(&self, simulated: &SimulatedMeter) -> Result<State, Failure> {
        let states = (self.states)();
        let found = states
            .into_iter()
            .find(|state| state.bus == simulated.line && state.meter == simulated.address);
        found.ok_or_else(|| {
            Failure::Wrong(format!(
                "the simulator has no {} on {}",
                simulated.address, simulated.line
            ))
        })
    }
}

fn step(text: &str) {
    println!("  ok  {text}");
}

fn print(balance: &TrialBalance) {
    println!("Trial balance ({})", balance.difference.currency().code());
    println!("  {:<52}{:>14}{:>14}", "account", "debits", "credits");
    for line in &balance.lines {
        let (debits, credits) = (line.debits_posted.to_string(), line.credits_posted.to_string());
        println!("  {:<52}{debits:>14}{credits:>14}", line.account);
    }
    println!("  {:<52}{:>28}", "difference", balance.difference.to_string());
}

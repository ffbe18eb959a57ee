//! A service on a database of its own, with a clock that is set by hand.

use databases::Fresh;
use polymeter_domain::tariff::{Date, Terms};
use polymeter_domain::{Currency, CustomerNumber, LocalTime};
use polymeter_ledger::{Database, LedgerError, Place, Server};
use polymeter_service::{
    Actor, Assignment, Clock, Customer, NewCustomer, NewPlan, Operator, Parts, Rules, Service,
    TariffPlan, UnixMs,
};
use polymeter_transport::CardReaders;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use tempfile::TempDir;

/// 2026-03-02 10:00 UTC.
const START_MS: i64 = 1_772_445_600_000;

/// What the clock says at the site; it stands still, as the simulated meters' clocks do.
pub const SITE_TIME: LocalTime =
    LocalTime { year: 2026, month: 3, day: 2, hour: 18, minute: 0, second: 0 };

/// A clock that moves when told.
#[derive(Debug, Clone)]
pub struct TestClock {
    at_ms: Arc<AtomicI64>,
    /// The site's time goes on with the rest.
    is_running: bool,
}

impl TestClock {
    pub fn new() -> TestClock {
        TestClock { at_ms: Arc::new(AtomicI64::new(START_MS)), is_running: false }
    }

    pub fn running() -> TestClock {
        TestClock { is_running: true, ..TestClock::new() }
    }

    pub fn advance_ms(&self, ms: i64) {
        self.at_ms.fetch_add(ms, Ordering::SeqCst);
    }

    pub fn clock(&self) -> Clock {
        let (now, is_running) = (self.at_ms.clone(), self.is_running);
        let local = move |at: UnixMs| if is_running { site_time(at) } else { SITE_TIME };
        Clock {
            now: Arc::new(move || {
                let at = UnixMs(now.load(Ordering::SeqCst));
                (at, local(at))
            }),
            local: Arc::new(local),
            nonce: Arc::new(|| {
                let mut nonce = [0; 16];
                getrandom::fill(&mut nonce).expect("the system has randomness");
                nonce
            }),
        }
    }
}

/// Eight hours before UTC, all year.
fn site_time(UnixMs(at_ms): UnixMs) -> LocalTime {
    let seconds = at_ms / 1000 + 8 * 3_600;
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let mut date = Date::new(2026, 1, 1).expect("a day");
    while date.number() < days {
        let next = Date::new(date.year(), date.month(), date.day() + 1);
        date = next.or_else(|| date.first_of_next_month()).expect("a day");
    }
    let small = |number: i64| u8::try_from(number).expect("small");
    LocalTime {
        year: date.year(),
        month: date.month(),
        day: date.day(),
        hour: small(second / 3_600),
        minute: small(second / 60 % 60),
        second: small(second % 60),
    }
}

pub struct Office {
    pub service: Service,
    pub clock: TestClock,
    pub database: Database,
    _keeper: Keeper,
}

/// What operators of tests log in with.
pub const PASSWORD: &str = "correct horse";

/// An office whose first operator, "owner", is there.
pub async fn office_with_owner() -> (Office, Operator) {
    let office = office().await;
    let secret = office.service.setup_secret().await.expect("stored").expect("nobody yet");
    let owner = office.service.set_up(&secret, "owner", PASSWORD).await.expect("the first");
    (office, owner)
}

/// What a test's database goes with.
pub enum Keeper {
    Folder(#[expect(dead_code, reason = "it goes with its value")] TempDir),
    Server(#[expect(dead_code, reason = "it goes with its value")] Fresh),
}

/// A database of the engine that the test run has chosen.
pub async fn database() -> (Database, Keeper) {
    let (place, keeper) = match Fresh::new().await {
        Some(fresh) => {
            let server = Server::parse(&fresh.url(), None).expect("a URL");
            (Place::Server(server), Keeper::Server(fresh))
        }
        None => {
            let folder = TempDir::new().expect("a temporary folder");
            (Place::File(folder.path().join("polymeter.db")), Keeper::Folder(folder))
        }
    };
    (Database::open(&place).await.expect("a new database"), keeper)
}

/// A service without drivers or lines: what an office does without touching a device.
pub async fn office() -> Office {
    let (database, keeper) = database().await;
    let clock = TestClock::new();
    let service = Service::start(Parts {
        database: database.clone(),
        drivers: Vec::new(),
        lines: Vec::new(),
        currency: Currency::CNY,
        clock: clock.clock(),
        rules: Rules::default(),
        readers: CardReaders::of(Vec::new()),
        marks: Vec::new(),
    })
    .await
    .expect("the parts fit");
    Office { service, clock, database, _keeper: keeper }
}

/// What a person with a database tool could try; the answer is the database's own.
pub async fn tamper(database: &Database, sql: &'static str) -> Result<(), String> {
    #[derive(Debug)]
    struct Failed(String);
    impl From<LedgerError> for Failed {
        fn from(error: LedgerError) -> Self {
            Failed(error.to_string())
        }
    }
    database
        .write(move |tx| {
            Box::pin(async move {
                match sqlx::query(sql).execute(tx.connection()).await {
                    Ok(_) => Ok(()),
                    Err(error) => Err(Failed(error.to_string())),
                }
            })
        })
        .await
        .map_err(|Failed(text)| text)
}

pub fn new_customer(number: &str, name: &str) -> NewCustomer {
    NewCustomer {
        number: CustomerNumber::new(number).expect("digits"),
        name: name.to_owned(),
        phone: String::new(),
        premises: String::new(),
    }
}

pub async fn customer(service: &Service, number: &str) -> Customer {
    let new = new_customer(number, "Somebody");
    service.add_customer(new, &Actor::System).await.expect("a new customer")
}

/// A new plan with this definition from the first of the year.
pub async fn plan(service: &Service, name: &str, definition: &str) -> TariffPlan {
    let from = "2026-01-01".parse().expect("a day");
    let new = NewPlan { name: name.to_owned(), from, definition: definition.to_owned() };
    service.add_plan(new, &Actor::System).await.expect("a new plan")
}

pub fn by(plan: &TariffPlan) -> Assignment {
    Assignment { plan_id: plan.plan_id, from: None, terms: Terms::default() }
}

/// 0.52 for a kWh.
pub async fn flat(service: &Service) -> Assignment {
    by(&plan(service, "Flat", "unit kWh\nprice 0.52\n").await)
}

//! The calls that are tried: each function of the contract with random arguments, made through the
//! very runtime that the host uses. Not here: whether the answer is right (judge).

use crate::chance::Chance;
use crate::device::Start;
use crate::settings::Settings;
use polymeter_domain::{
    ControlOutcome, Credit, CustomerNumber, Delivery, Evidence, LocalTime, MeterAddress, Purchase,
    PurchaseCount, Quantity, Snapshot, SupplyCommand, Value,
};
use polymeter_runtime::{Acted, CallError, Device, Driver, Identity, Moment, Opening, SetOutcome};
use polymeter_transport::LineLease;
use std::ops::RangeInclusive;

/// One call, arguments included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    Probe,
    Read,
    Open { customer: String, purchase: Purchase },
    Sell { customer: String, purchase: Purchase },
    Refund { customer: String, taken: Purchase },
    Clear,
    Check { count: Option<u32> },
    Control { command: SupplyCommand },
    Set { values: Vec<(String, Value)> },
}

/// What the host has of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    Identity(Identity),
    Snapshot(Snapshot),
    Evidence(Evidence),
    Delivery(Acted<Delivery>),
    Control(Acted<ControlOutcome>),
    Set(Acted<SetOutcome>),
    Failed(CallError),
}

impl Answer {
    /// What the driver itself did wrong, whatever the line was like: a trap, a limit, a value that
    /// cannot be, or a yes or no that the host did not believe.
    pub fn fault(&self) -> Option<String> {
        match self {
            Answer::Identity(_) | Answer::Snapshot(_) | Answer::Evidence(_) => None,
            Answer::Delivery(acted) => acted.fault.clone(),
            Answer::Control(acted) => acted.fault.clone(),
            Answer::Set(acted) => acted.fault.clone(),
            Answer::Failed(error) => error.is_fault().then(|| error.to_string()),
        }
    }
}

/// One device and one call of it.
#[derive(Debug, Clone)]
pub struct Scene {
    pub name: String,
    pub start: Start,
    pub act: Act,
    pub moment: Moment,
    pub parameters: Vec<(String, Value)>,
}

impl Act {
    /// It may change the device, so its ending is one of confirmed, refused, unknown, not sent.
    pub fn changes(&self) -> bool {
        !matches!(self, Act::Probe | Act::Read | Act::Check { .. })
    }

    /// It adds credit.
    pub fn credits(&self) -> Option<&Purchase> {
        match self {
            Act::Open { purchase, .. } | Act::Sell { purchase, .. } => Some(purchase),
            _ => None,
        }
    }

    /// The function of the contract, as transcripts name it.
    pub fn function(&self) -> &'static str {
        match self {
            Act::Probe => "probe",
            Act::Read => "read",
            Act::Open { .. } => "open",
            Act::Sell { .. } => "sell",
            Act::Refund { .. } => "refund",
            Act::Clear => "clear",
            Act::Check { .. } => "check",
            Act::Control { .. } => "control",
            Act::Set { .. } => "set-parameters",
        }
    }
}

impl Scene {
    /// Makes the call. The lease comes back whatever happens.
    pub async fn perform(&self, driver: &Driver, line: &mut LineLease) -> Answer {
        let failed = Answer::Failed;
        let device = match MeterAddress::new(&self.start.address) {
            Ok(address) => Device { address, parameters: self.parameters.clone() },
            Err(error) => return made_up(driver, &error.to_string()),
        };
        let moment = self.moment;
        let number = |text: &str| CustomerNumber::new(text);
        match &self.act {
            Act::Probe => {
                driver.probe(line, &device, moment).await.map_or_else(failed, Answer::Identity)
            }
            Act::Read => {
                driver.read(line, &device, moment).await.map_or_else(failed, Answer::Snapshot)
            }
            Act::Check { count } => {
                let count = count.map(PurchaseCount::new);
                let checked = driver.check(line, &device, moment, count).await;
                checked.map_or_else(failed, Answer::Evidence)
            }
            Act::Open { customer, purchase } => match number(customer) {
                Ok(customer) => {
                    let opening = Opening { customer, purchase: *purchase };
                    Answer::Delivery(driver.open(line, &device, moment, &opening).await)
                }
                Err(error) => made_up(driver, &error.to_string()),
            },
            Act::Sell { customer, purchase } => match number(customer) {
                Ok(customer) => {
                    Answer::Delivery(driver.sell(line, &device, moment, &customer, *purchase).await)
                }
                Err(error) => made_up(driver, &error.to_string()),
            },
            Act::Refund { customer, taken } => match number(customer) {
                Ok(customer) => {
                    Answer::Delivery(driver.refund(line, &device, moment, &customer, *taken).await)
                }
                Err(error) => made_up(driver, &error.to_string()),
            },
            Act::Clear => Answer::Delivery(driver.clear(line, &device, moment).await),
            Act::Control { command } => {
                Answer::Control(driver.control(line, &device, moment, *command, None).await)
            }
            Act::Set { values } => {
                Answer::Set(driver.set_parameters(line, &device, moment, values).await)
            }
        }
    }
}

/// [certify] gives an address or customer that no host would take.
fn made_up(driver: &Driver, detail: &str) -> Answer {
    Answer::Failed(CallError::BadResult {
        driver: driver.name().to_owned(),
        what: format!("nothing: [certify] makes up {detail}"),
    })
}

/// Makes scenes up, each from the stream of its own name.
#[derive(Debug)]
pub struct Author<'a> {
    pub seed: u64,
    pub settings: &'a Settings,
    pub quantity: Quantity,
    /// What every amount is a multiple of.
    pub step: u64,
    /// The writable parameters of the driver with the range of their values.
    pub writable: Vec<(String, i64, i64)>,
    pub parameters: Vec<(String, Value)>,
    pub keys: std::collections::BTreeMap<String, Vec<u8>>,
}

impl Author<'_> {
    /// A device with an account, some purchases and money; `opened` false: as it left the factory.
    pub fn start(&self, chance: &mut Chance, opened: bool) -> Start {
        let settings = self.settings;
        let [least, most] = settings.amounts;
        // The purchase fits into the balance, as if nothing else had been bought.
        let last = self.amount(chance, least..=most.min(settings.balance));
        let before = chance.number(0..=settings.balance.saturating_sub(last));
        let before = before - before % self.step;
        let writable = self.writable.iter();
        let parameters =
            writable.map(|(name, from, to)| (name.clone(), ranged(chance, *from, *to)));
        let parameters = parameters.collect();
        let readings = settings.readings.iter();
        let readings = readings.map(|(register, reading)| {
            (register.clone(), chance.number(reading.from..=reading.to))
        });
        let readings = readings.collect();
        Start {
            address: chance.address(&settings.address),
            // No leading zero: some devices keep digits and some a number.
            customer: opened.then(|| format!("{}{}", chance.number(1..=9), chance.digits(11))),
            count: if opened { chance.count(settings.count) } else { 0 },
            balance: if opened { last + before } else { 0 },
            last: if opened { last } else { 0 },
            supply: 2,
            now: String::new(),
            readings,
            parameters,
            keys: self.keys.iter().map(|(label, key)| (label.clone(), hex::encode(key))).collect(),
            random: u32::try_from(chance.number(0..=u64::from(u32::MAX))).unwrap_or(0),
        }
    }

    /// A scene by its name; `make` chooses the call once the device is there.
    pub fn scene(
        &self,
        name: &str,
        opened: bool,
        make: impl FnOnce(&mut Chance, &mut Start) -> Act,
    ) -> Scene {
        let mut chance = Chance::new(self.seed, name);
        let mut start = self.start(&mut chance, opened);
        let act = make(&mut chance, &mut start);
        let mut nonce = [0; 16];
        nonce.copy_from_slice(&chance.bytes(16));
        let small = |chance: &mut Chance, from: u8, to: u8| {
            u8::try_from(chance.number(from.into()..=to.into())).unwrap_or(from)
        };
        let now = LocalTime {
            year: 2026,
            month: small(&mut chance, 1, 12),
            day: small(&mut chance, 1, 28),
            hour: small(&mut chance, 0, 23),
            minute: small(&mut chance, 0, 59),
            second: small(&mut chance, 0, 59),
        };
        start.now = now.to_string();
        Scene {
            name: name.to_owned(),
            start,
            act,
            moment: Moment { now, nonce },
            parameters: self.parameters.clone(),
        }
    }

    /// An amount that the purse can count, and at least one of its steps.
    pub fn amount(&self, chance: &mut Chance, range: RangeInclusive<u64>) -> u64 {
        (chance.number(range) / self.step).max(1) * self.step
    }

    /// A purchase under this count.
    pub fn purchase(&self, chance: &mut Chance, count: u32) -> Purchase {
        let [least, most] = self.settings.amounts;
        let credit = Credit { quantity: self.quantity, amount: self.amount(chance, least..=most) };
        Purchase { count: PurchaseCount::new(count), credit }
    }

    /// A value for each of the first `most` writable parameters, other than the device's own.
    pub fn values(
        &self,
        chance: &mut Chance,
        start: &Start,
        skip: usize,
        most: usize,
    ) -> Vec<(String, Value)> {
        let chosen = self.writable.iter().skip(skip).take(most);
        chosen
            .map(|(name, from, to)| {
                let known = start.parameters.get(name).copied();
                let mut mantissa = ranged(chance, *from, *to);
                if Some(mantissa) == known {
                    mantissa = if mantissa == *to { *from } else { mantissa + 1 };
                }
                let number = polymeter_domain::Decimal { mantissa, scale: 0 };
                (name.clone(), Value::Number(number))
            })
            .collect()
    }
}

fn ranged(chance: &mut Chance, from: i64, to: i64) -> i64 {
    let span = to.abs_diff(from);
    from.checked_add_unsigned(chance.number(0..=span)).unwrap_or(from)
}

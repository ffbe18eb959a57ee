//! A transcript's call, made on a driver.

use crate::format::{self, ReadError};
use crate::transcript::Call;
use polymeter_driver::{
    Call as Told, ControlOutcome, Credit, Description, DriverError, Evidence, Explanation, Extras,
    Host, Identity, LocalTime, MeterDriver, Opening, Order, Purchase, SellOutcome, SetOutcome,
    Snapshot, Value,
};

/// What any call of the contract may answer.
#[derive(Debug)]
pub enum Outcome {
    Description(Description),
    Identity(Identity),
    Snapshot(Snapshot),
    Sell(SellOutcome),
    Control(ControlOutcome),
    Set(SetOutcome),
    Evidence(Evidence),
    Explanation(Result<Explanation, String>),
    Error(DriverError),
}

/// Makes the call. `Err`: the call is not written right, and was not made.
pub fn perform<D: MeterDriver>(host: &mut dyn Host, call: &Call) -> Result<Outcome, ReadError> {
    let mut arguments = Arguments(call.arguments.clone());
    let make = prepared::<D>(&call.name, &mut arguments)?;
    if let Some((name, _)) = arguments.0.first() {
        return ReadError::because(format!("`{}` takes no `{name}`", call.name));
    }
    Ok(make(host).unwrap_or_else(Outcome::Error))
}

type Prepared = Box<dyn FnOnce(&mut dyn Host) -> Result<Outcome, DriverError>>;

fn prepared<D: MeterDriver>(name: &str, arguments: &mut Arguments) -> Result<Prepared, ReadError> {
    if name == "describe" {
        return Ok(Box::new(|_| Ok(Outcome::Description(D::describe()))));
    }
    if name == "decode" {
        let frame = format::bytes(&arguments.required("frame")?)?;
        return Ok(Box::new(move |_| Ok(Outcome::Explanation(D::decode(&frame)))));
    }
    let told = arguments.told()?;
    Ok(match name {
        "probe" => Box::new(move |host| D::probe(host, &told).map(Outcome::Identity)),
        "read" => Box::new(move |host| D::read(host, &told).map(Outcome::Snapshot)),
        "open" => {
            let (customer_number, count, credit) = arguments.purchase()?;
            let opening = Opening { customer_number, credit, count };
            Box::new(move |host| D::open(host, &told, &opening).map(Outcome::Sell))
        }
        "sell" => {
            let (customer_number, count, credit) = arguments.purchase()?;
            let order = Order { customer_number, purchase: Purchase { count, credit } };
            Box::new(move |host| D::sell(host, &told, &order).map(Outcome::Sell))
        }
        "clear" => Box::new(move |host| D::clear(host, &told).map(Outcome::Sell)),
        "check" => {
            let count = arguments.taken("count").map(|text| format::number(&text)).transpose()?;
            Box::new(move |host| D::check(host, &told, count).map(Outcome::Evidence))
        }
        "control" => {
            let command = format::number(&arguments.required("command")?)?;
            let until =
                arguments.taken("valid-until").map(|text| format::time(&text)).transpose()?;
            Box::new(move |host| D::control(host, &told, command, until).map(Outcome::Control))
        }
        "set-parameters" => {
            let parameters = arguments.typed("set.")?;
            Box::new(move |host| D::set_parameters(host, &told, &parameters).map(Outcome::Set))
        }
        other => return ReadError::because(format!("`{other}` is no call of the contract")),
    })
}

/// Arguments not used yet.
struct Arguments(Vec<(String, String)>);

impl Arguments {
    fn taken(&mut self, name: &str) -> Option<String> {
        let index = self.0.iter().position(|(known, _)| known == name)?;
        Some(self.0.remove(index).1)
    }

    fn required(&mut self, name: &str) -> Result<String, ReadError> {
        self.taken(name).ok_or_else(|| ReadError(format!("`{name}=` is missing")))
    }

    /// All values whose name begins with `prefix`, in their order.
    fn typed(&mut self, prefix: &str) -> Result<Extras, ReadError> {
        let typed = |(name, text): &(String, String)| {
            let name = name.strip_prefix(prefix)?;
            Some(format::value(text).map(|value| (name.to_owned(), value)))
        };
        let found = self.0.iter().filter_map(typed).collect::<Result<Vec<(String, Value)>, _>>()?;
        self.0.retain(|(name, _)| !name.starts_with(prefix));
        Ok(found)
    }

    fn told(&mut self) -> Result<Told, ReadError> {
        let start = LocalTime { year: 2026, month: 1, day: 1, hour: 0, minute: 0, second: 0 };
        let now = self.taken("now").map(|text| format::time(&text)).transpose()?;
        let nonce = self.taken("nonce").map(|text| format::bytes(&text)).transpose()?;
        Ok(Told {
            address: self.taken("address").unwrap_or_default(),
            parameters: self.typed("param.")?,
            now: now.unwrap_or(start),
            nonce: nonce.unwrap_or_else(|| (0..16).collect()),
        })
    }

    fn purchase(&mut self) -> Result<(String, u32, Credit), ReadError> {
        let count = format::number(&self.required("count")?)?;
        let credit = format::credit(&self.required("amount")?)?;
        Ok((self.required("customer")?, count, credit))
    }
}

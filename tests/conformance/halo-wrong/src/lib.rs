//! The finished HALO driver made wrong in one way, which the parameter `wrong` names. The tests of the
//! certification kit run it to see each of them found; it is never enabled in a configuration.
//!
//! Invariant: with `wrong` = "nothing" it is right. Not here: ways to harm the host (misbehaving).

#[path = "../../../../vendor-examples/acme-rust/src/driver.rs"]
mod driver;
#[path = "../../../../vendor-examples/acme-rust/src/exchange.rs"]
mod exchange;
#[path = "../../../../vendor-examples/acme-rust/src/frame.rs"]
mod frame;
mod line;
#[path = "../../../../vendor-examples/acme-rust/src/purse.rs"]
mod purse;

use driver::Acme;
use line::Line;
use polymeter_driver::{
    Call, ControlOutcome, Decimal, Description, DriverError, Evidence, Explanation, Extras, Host,
    Identity, LocalTime, MeterDriver, Opening, Order, Parameter, Purchase, Receipt, Refusal,
    SellOutcome, SetOutcome, Snapshot, Value, codes,
};
use std::sync::Mutex;

#[derive(Debug)]
pub struct Wrong;

/// What a driver must not have: it lives from one call to the next.
static FIRST_READ: Mutex<Option<Snapshot>> = Mutex::new(None);

/// The way in which this call is to be wrong.
fn way(call: &Call) -> &str {
    let wrong = call.parameters.iter().find(|(name, _)| name == "wrong");
    match wrong {
        Some((_, Value::Text(way))) => way,
        _ => "nothing",
    }
}

impl MeterDriver for Wrong {
    fn describe() -> Description {
        let right = Acme::describe();
        let wrong = Parameter {
            name: "wrong".to_owned(),
            title_en: "What it does wrong".to_owned(),
            title_zh: "错误行为".to_owned(),
            unit: codes::unit::NONE,
            minimum: None,
            maximum: None,
            default: None,
            writable: false,
        };
        let alarm = right.parameters.into_iter().filter(|known| known.name == "alarm");
        let name = "halo-wrong".to_owned();
        Description { name, parameters: alarm.chain([wrong]).collect(), ..right }
    }

    fn probe(host: &mut dyn Host, call: &Call) -> Result<Identity, DriverError> {
        Acme::probe(&mut Line { host, call }, call)
    }

    fn read(host: &mut dyn Host, call: &Call) -> Result<Snapshot, DriverError> {
        let mut snapshot = Acme::read(&mut Line { host, call }, call)?;
        match way(call) {
            "hard-coded reading" => {
                for told in &mut snapshot.measurements {
                    told.value = Value::Number(Decimal { mantissa: 123_456, scale: 0 });
                }
            }
            "remembers" => {
                let mut first = FIRST_READ.lock().unwrap_or_else(|error| error.into_inner());
                return Ok(first.get_or_insert(snapshot).clone());
            }
            _ => {}
        }
        Ok(snapshot)
    }

    fn open(
        host: &mut dyn Host,
        call: &Call,
        opening: &Opening,
    ) -> Result<SellOutcome, DriverError> {
        Acme::open(&mut Line { host, call }, call, opening)
    }

    fn sell(host: &mut dyn Host, call: &Call, order: &Order) -> Result<SellOutcome, DriverError> {
        let outcome = Acme::sell(&mut Line { host, call }, call, order)?;
        let SellOutcome::Unknown(why) = outcome else { return Ok(outcome) };
        let count = order.purchase.count;
        match way(call) {
            "sells again after silence" => Acme::sell(&mut Line { host, call }, call, order),
            "confirms without proof" => {
                Ok(SellOutcome::Confirmed(Receipt { count, balance: None, extras: Vec::new() }))
            }
            "refuses what it does not know" => Ok(SellOutcome::Refused(Refusal {
                code: codes::refusal::OTHER,
                detail: why,
                device_code: None,
            })),
            "panics" => panic!("no answer was foreseen to be missing: {why}"),
            _ => Ok(SellOutcome::Unknown(why)),
        }
    }

    fn clear(host: &mut dyn Host, call: &Call) -> Result<SellOutcome, DriverError> {
        Acme::clear(&mut Line { host, call }, call)
    }

    fn check(
        host: &mut dyn Host,
        call: &Call,
        count: Option<u32>,
    ) -> Result<Evidence, DriverError> {
        let mut evidence = Acme::check(&mut Line { host, call }, call, count)?;
        if way(call) == "evidence of anything"
            && let (Some(count), Some(credit)) = (count, evidence.balance)
        {
            evidence.purchase = Some(Purchase { count, credit });
        }
        Ok(evidence)
    }

    fn control(
        host: &mut dyn Host,
        call: &Call,
        command: u16,
        valid_until: Option<LocalTime>,
    ) -> Result<ControlOutcome, DriverError> {
        Acme::control(&mut Line { host, call }, call, command, valid_until)
    }

    fn set_parameters(
        host: &mut dyn Host,
        call: &Call,
        parameters: &Extras,
    ) -> Result<SetOutcome, DriverError> {
        let outcome = Acme::set_parameters(&mut Line { host, call }, call, parameters)?;
        match (way(call), outcome) {
            ("refuses what it does not know", SetOutcome::Unknown(why)) => {
                Ok(SetOutcome::Refused(Refusal {
                    code: codes::refusal::OTHER,
                    detail: why,
                    device_code: None,
                }))
            }
            (_, outcome) => Ok(outcome),
        }
    }

    fn decode(frame: &[u8]) -> Result<Explanation, String> {
        Acme::decode(frame)
    }
}

polymeter_driver::export!(Wrong);

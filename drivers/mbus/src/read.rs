//! Reading a meter over as many telegrams as it has.

use crate::address::Meter;
use crate::exchange::{self, Heard, Reply};
use crate::names;
use crate::opened::{Told, told};
use polymeter_codec::mbus::{Header, Item, SecondaryAddress, Value as Said, address, medium_name};
use polymeter_driver::codes::{error, quality, supply, unit};
use polymeter_driver::states;
use polymeter_driver::{
    Call, Decimal, DriverError, Extras, Host, Identity, Measurement, Snapshot, Value,
};

/// A meter that always has more to say ends here.
const TELEGRAMS_MAX: u32 = 16;
/// A question is asked again once, with its own frame count bit, so that nothing is passed over.
const TRIES: u32 = 2;

/// Who is there; the address may be 254 or have wildcards.
pub fn probe(host: &mut dyn Host, call: &Call) -> Result<Identity, DriverError> {
    let meter = Meter::parse(&call.address)?;
    begin(host, meter)?;
    let reply = ask(host, meter, true)?;
    let told = told(Some((host, call)), (&reply).into())?;
    belongs(meter, &reply, told.header)?;
    Ok(identity(&reply, &told))
}

/// By the secondary address where the header tells it, else by the primary one.
fn identity(reply: &Reply, told: &Told) -> Identity {
    let known = told.header.and_then(|header| header.identity);
    Identity {
        address: known.map_or_else(|| reply.address.to_string(), |known| known.to_string()),
        model: known.map(model).unwrap_or_default(),
        extras: who(reply.address, told),
    }
}

/// E.g. "ACW 14, cold water".
pub fn model(known: SecondaryAddress) -> String {
    let letters: String = known.vendor_letters().into_iter().flatten().collect();
    let medium = medium_name(known.medium()).unwrap_or("unknown medium");
    format!("{letters} {}, {medium}", known.version())
}

/// Frames that reading all of a meter may take.
pub const QUESTIONS_MAX: u32 = 2 * TELEGRAMS_MAX + 1;

pub fn read(host: &mut dyn Host, call: &Call) -> Result<Snapshot, DriverError> {
    let (told, more) = telegrams(host, call, QUESTIONS_MAX)?;
    if more {
        let detail = format!("after {TELEGRAMS_MAX} telegrams the meter still has more records");
        return Err(DriverError::new(error::GARBLED, detail));
    }
    let mut values = Values::default();
    for (primary, told) in &told {
        if values.extras.is_empty() {
            values.extras = who(*primary, told);
            tell_states(&mut values.extras, told);
        }
        values.take(told).map_err(|why| DriverError::new(error::GARBLED, why))?;
    }
    Ok(Snapshot {
        measurements: values.measurements,
        supply: supply::UNKNOWN,
        extras: values.extras,
    })
}

/// The telegrams of the meter from its first one on, each with the address that it came from, in at most
/// `questions` frames; and whether there are more.
pub fn telegrams(
    host: &mut dyn Host,
    call: &Call,
    questions: u32,
) -> Result<(Vec<(u8, Told)>, bool), DriverError> {
    let meter = Meter::parse(&call.address)?;
    begin(host, meter)?;
    let most = questions.saturating_sub(1).checked_div(TRIES).unwrap_or(0).min(TELEGRAMS_MAX);
    let (mut came, mut next) = (Vec::new(), true);
    for _ in 0..most {
        let reply = ask(host, meter, next)?;
        next = !next;
        let told = told(Some((host, call)), (&reply).into())?;
        belongs(meter, &reply, told.header)?;
        let items = told.items().map_err(|why| DriverError::new(error::GARBLED, why))?;
        let more = items.iter().any(|item| matches!(item, Item::MoreFollows(_)));
        drop(items);
        came.push((reply.address, told));
        if !more {
            return Ok((came, false));
        }
    }
    Ok((came, true))
}

/// Initialises or selects the meter.
pub fn begin(host: &mut dyn Host, meter: Meter) -> Result<(), DriverError> {
    let heard = match meter {
        Meter::Primary(primary) => exchange::initialise(host, primary)?,
        Meter::Secondary(pattern) => exchange::select(host, pattern)?,
    };
    match heard {
        Heard::Ack => Ok(()),
        Heard::Silence => Err(DriverError::new(error::NO_REPLY, "the meter did not answer")),
        Heard::Noise(why) => Err(DriverError::new(error::GARBLED, why)),
        Heard::Data(_) => Err(DriverError::new(error::OTHER_DEVICE, "data came unasked")),
    }
}

fn ask(host: &mut dyn Host, meter: Meter, next: bool) -> Result<Reply, DriverError> {
    let mut failure = DriverError::new(error::NO_REPLY, "the meter did not answer");
    for _ in 0..TRIES {
        failure = match exchange::data(host, meter.field(), next)? {
            Heard::Data(reply) => return Ok(reply),
            Heard::Silence => DriverError::new(error::NO_REPLY, "the meter did not answer"),
            Heard::Noise(why) => DriverError::new(error::GARBLED, why),
            Heard::Ack => DriverError::new(error::GARBLED, "E5 came where data was asked for"),
        };
    }
    Err(failure)
}

/// Whether the telegram is of the meter that was asked.
fn belongs(meter: Meter, reply: &Reply, header: Option<Header>) -> Result<(), DriverError> {
    let other = |who: String| {
        Err(DriverError::new(error::OTHER_DEVICE, format!("the meter {who} answered")))
    };
    match meter {
        Meter::Primary(address::ANYBODY) => Ok(()),
        Meter::Primary(primary) if primary == reply.address => Ok(()),
        Meter::Primary(_) => other(reply.address.to_string()),
        Meter::Secondary(pattern) => match header.and_then(|header| header.identity) {
            Some(identity) if !pattern.matches(identity) => other(identity.to_string()),
            _ => Ok(()),
        },
    }
}

pub fn who(primary: u8, told: &Told) -> Extras {
    let mut extras = vec![text("primary address", primary.to_string())];
    extras.extend(who_of(told, told.header.and_then(|header| header.identity)));
    extras
}

/// Who it is and how it is, as far as it says so.
pub fn who_of(told: &Told, known: Option<SecondaryAddress>) -> Extras {
    let mut extras = Extras::new();
    if let Some(known) = known {
        extras.push(text("secondary address", known.to_string()));
        extras.push(text("model", model(known)));
    }
    if let Some(header) = told.header {
        extras.push(text("status", format!("{:02X}", header.status.0)));
    }
    extras
}

fn text(name: &str, text: String) -> (String, Value) {
    (name.to_owned(), Value::Text(text))
}

/// What the status byte says is wrong (EN 13757-3, 5.9), where there is one.
pub fn tell_states(extras: &mut Extras, told: &Told) {
    let Some(header) = told.header else { return };
    let flags = [
        ("power-low", header.status.power_low()),
        ("fault", header.status.permanent_error()),
        ("fault-passing", header.status.temporary_error()),
    ];
    states::tell(extras, flags.into_iter().filter_map(|(name, set)| set.then_some(name)));
}

/// What the telegrams brought so far.
#[derive(Default)]
pub struct Values {
    pub measurements: Vec<Measurement>,
    pub extras: Extras,
    /// Where no header tells it.
    pub medium: Option<u8>,
}

impl Values {
    /// Whether another telegram has more.
    pub fn take(&mut self, told: &Told) -> Result<bool, String> {
        if let Some(fixed) = &told.fixed {
            for counter in fixed.counters() {
                let name = counter.meaning.quantity.name();
                let when = if counter.stored { ", storage 1" } else { "" };
                let name = format!("{name}{when} [{}]", counter.meaning.unit.name());
                let value = match counter.value {
                    Said::Number(mantissa) => {
                        Value::Number(Decimal { mantissa, scale: counter.meaning.scale })
                    }
                    _ => Value::Text("invalid".to_owned()),
                };
                self.extras.push((name, value));
            }
            return Ok(false);
        }
        let known = told.header.and_then(|header| header.identity).map(|who| who.medium());
        let medium = known.or(self.medium).unwrap_or(0);
        let mut more = false;
        for item in told.items()? {
            match item {
                Item::Record(record) => {
                    let value = names::value(&record);
                    match names::register(&record, medium) {
                        Some((register, unit)) if !self.has(&register) => {
                            self.measure(register, unit, value);
                        }
                        _ => self.note(names::name(&record), value),
                    }
                }
                Item::VendorData(bytes) => self.keep(bytes),
                Item::MoreFollows(bytes) => {
                    more = true;
                    self.keep(bytes);
                }
                Item::ReadAll => {}
            }
        }
        Ok(more)
    }

    fn has(&self, register: &str) -> bool {
        self.measurements.iter().any(|known| known.register == register)
    }

    fn measure(&mut self, register: String, unit: u16, value: Result<Value, String>) {
        let clock = unit == unit::NONE;
        let good = match &value {
            Ok(Value::Number(_)) => !clock,
            Ok(Value::Time(_)) => clock,
            _ => false,
        };
        let none = Value::Number(Decimal { mantissa: 0, scale: 0 });
        self.measurements.push(Measurement {
            register,
            value: if good { value.unwrap_or(none) } else { none },
            unit,
            quality: if good { quality::MEASURED } else { quality::INVALID },
        });
    }

    fn note(&mut self, name: String, value: Result<Value, String>) {
        let value = value.unwrap_or_else(|why| Value::Text(format!("invalid: {why}")));
        self.extras.push((name, value));
    }

    fn keep(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.extras.push(("data of the vendor".to_owned(), Value::Bytes(bytes.to_vec())));
        }
    }
}

//! What may be written into a meter: the limiter (class 71), the warning of a credit (112), the prices
//! of a charge (113) and the calendar of tariffs (20, IEC 62056-6-2, 4.5 and 4.6). Each is written, read
//! back and compared.
//!
//! Invariant: a number goes to a meter only in the scale and unit that the meter gives for it, exactly;
//! prices and calendar go into passive tables, so that what is charged now does not change by itself.
//! Not here: emergency profiles.

use crate::association;
use crate::calendar;
use crate::measure::{dotted, moment, octets_of, scaler};
use crate::prices::{self, Price};
use crate::session::{Session, garbled, written};
use crate::settings::{Settings, bad, name};
use crate::words::refused;
use polymeter_codec::Obis;
use polymeter_codec::dlms::{Attribute, Data};
use polymeter_driver::codes::{error, refusal, unit};
use polymeter_driver::{
    Call, Decimal, DriverError, Extras, Host, LocalTime, Refusal, SetOutcome, Value,
};

/// Class 71: what is watched, the threshold in normal times, how long it may be exceeded.
const LIMITER: u16 = 71;
const MONITORED: i8 = 2;
const THRESHOLD: i8 = 4;
const OVER_SECONDS: i8 = 6;
/// Class 112: below it the meter warns.
const CREDIT: u16 = 112;
const WARNING: i8 = 5;
/// Class 113: what a unit costs now and costs next, and from when on.
const CHARGE: u16 = 113;
const ACTIVE: i8 = 5;
const PASSIVE: i8 = 6;
const ACTIVATION: i8 = 7;
/// Class 111: name, scale and kind of the currency.
const ACCOUNT: u16 = 111;
const CURRENCY: i8 = 15;
/// Minor units are hundredths of a currency.
const MINOR_SCALE: i8 = -2;
const DENIED: &str = "this association may not write it";

/// A parameter as it was asked for, understood before the meter hears of it.
enum Wanted {
    PowerWatts(i64),
    DelaySeconds(u32),
    WarningMinor(i64),
    Prices(Vec<Price>),
    PricesFrom(LocalTime),
    /// An attribute of the calendar, and what it shall be.
    Calendar(i8, Vec<u8>),
}

fn wanted(settings: &Settings, (name, value): &(String, Value)) -> Result<Wanted, DriverError> {
    let number = || match value {
        Value::Number(Decimal { mantissa, scale: 0 }) if *mantissa >= 0 => Ok(*mantissa),
        _ => Err(bad(format!("{name} must be a whole number from 0 on"))),
    };
    Ok(match name.as_str() {
        name::OVERLOAD_POWER => Wanted::PowerWatts(number()?),
        name::OVERLOAD_DELAY => {
            let seconds = u32::try_from(number()?);
            Wanted::DelaySeconds(seconds.map_err(|_| bad(format!("{name} is too long")))?)
        }
        name::CREDIT_WARNING if settings.account.is_none() => {
            return Err(bad(format!(
                "{name}: the parameter account must name whose currency it is"
            )));
        }
        name::CREDIT_WARNING => Wanted::WarningMinor(number()?),
        name::TARIFF_PRICES => Wanted::Prices(prices::of(name, value)?),
        name::TARIFF_SWITCH_TIME => Wanted::PricesFrom(prices::minute(name, value)?),
        name::CALENDAR_DAYS => {
            Wanted::Calendar(calendar::DAYS, calendar::days(name, value, settings.scripts)?)
        }
        name::CALENDAR_WEEKS => Wanted::Calendar(calendar::WEEKS, calendar::weeks(name, value)?),
        name::CALENDAR_SEASONS => {
            Wanted::Calendar(calendar::SEASONS, calendar::seasons(name, value)?)
        }
        name::CALENDAR_SWITCH_TIME => {
            let time = octets_of(prices::minute(name, value)?);
            Wanted::Calendar(calendar::ACTIVATION, written(&Data::Octets(&time)))
        }
        other => return Err(bad(format!("`{other}` is no parameter that lives in the meter"))),
    })
}

pub fn set(
    host: &mut dyn Host,
    call: &Call,
    parameters: &Extras,
) -> Result<SetOutcome, DriverError> {
    let settings = Settings { writes: true, ..Settings::of(call)? };
    let all = parameters.iter().map(|it| wanted(&settings, it)).collect::<Result<Vec<_>, _>>()?;
    let mut session = association::open(host, &settings, call)?;
    let mut done: Vec<&str> = Vec::new();
    for ((name, _), wanted) in parameters.iter().zip(all) {
        let item = match item(&mut session, &settings, &wanted) {
            Ok(Ok(item)) => item,
            Ok(Err(refusal)) => {
                session.close();
                return Ok(refused_after(name, refusal, &done));
            }
            Err(why) if done.is_empty() => return Err(why),
            Err(why) => return Ok(SetOutcome::Unknown(told(name, &why.detail, &done))),
        };
        match session.set(item.attribute, &item.bytes) {
            Ok(0) => {}
            Ok(why) => {
                session.close();
                return Ok(refused_after(name, refused(why, DENIED), &done));
            }
            Err(lost) if lost.code == error::LINE => {
                return Ok(SetOutcome::Unknown(told(name, &lost.detail, &done)));
            }
            // Perhaps only the answer was lost: what the meter holds tells.
            Err(lost) => {
                session.close();
                session = match association::open(host, &settings, call) {
                    Ok(session) => session,
                    Err(_) => return Ok(SetOutcome::Unknown(told(name, &lost.detail, &done))),
                };
            }
        }
        match held(&mut session, &item) {
            Ok(true) => done.push(name),
            Ok(false) => {
                session.close();
                let why = "the meter does not hold the value";
                return Ok(SetOutcome::Unknown(told(name, why, &done)));
            }
            Err(unread) => return Ok(SetOutcome::Unknown(told(name, &unread.detail, &done))),
        }
    }
    session.close();
    Ok(SetOutcome::Confirmed)
}

fn refused_after(name: &str, mut refusal: Refusal, done: &[&str]) -> SetOutcome {
    refusal.detail = told(name, &refusal.detail, done);
    SetOutcome::Refused(refusal)
}

/// Which parameter it is about, and which are in the meter already.
fn told(name: &str, detail: &str, done: &[&str]) -> String {
    if done.is_empty() {
        format!("{name}: {detail}")
    } else {
        format!("{name}: {detail}; already written: {}", done.join(", "))
    }
}

/// An attribute and what it shall be, with its type.
struct Item {
    attribute: Attribute,
    bytes: Vec<u8>,
}

/// The same bytes; of a time the same moment, since a meter may add what was not said.
fn held(session: &mut Session<'_>, item: &Item) -> Result<bool, DriverError> {
    let got = session.get(item.attribute)?;
    let Ok(found) = got.data()? else { return Ok(false) };
    let asked = Data::decode(&item.bytes).map_err(|why| garbled(why.to_string()))?;
    Ok(match (moment(&asked), moment(&found)) {
        (Some((asked, _)), Some((found, _))) => asked == found,
        _ => written(&found) == item.bytes,
    })
}

type Built = Result<Result<Item, Refusal>, DriverError>;

fn item(session: &mut Session<'_>, settings: &Settings, wanted: &Wanted) -> Built {
    match wanted {
        Wanted::PowerWatts(watts) => power(session, settings.limiter, *watts),
        Wanted::DelaySeconds(seconds) => {
            let attribute = of(LIMITER, settings.limiter, OVER_SECONDS);
            let value = Data::Unsigned { value: (*seconds).into(), bytes: 4 };
            Ok(Ok(Item { attribute, bytes: written(&value) }))
        }
        Wanted::WarningMinor(minor) => warning(session, settings, *minor),
        Wanted::Prices(prices) => {
            let charge = settings.charge;
            let attributes = [ACTIVE, PASSIVE].map(|attribute| of(CHARGE, charge, attribute));
            let [active, passive] = match session.get_all(&attributes)?.as_slice() {
                [active, passive] => [active.clone(), passive.clone()],
                _ => return Err(garbled("not as many prices as were asked for")),
            };
            // A table that was never written may be empty: then it is as the one in use.
            let table = match (passive.data()?, active.data()?) {
                (Ok(passive), _) if prices::rows(&passive) > 0 => prices::with(&passive, prices),
                (_, Ok(active)) => prices::with(&active, prices),
                (_, Err(why)) => return Ok(Err(refused(why, DENIED))),
            };
            let attribute = of(CHARGE, charge, PASSIVE);
            Ok(table.map(|bytes| Item { attribute, bytes }).map_err(no))
        }
        Wanted::PricesFrom(time) => {
            let attribute = of(CHARGE, settings.charge, ACTIVATION);
            Ok(Ok(Item { attribute, bytes: written(&Data::Octets(&octets_of(*time))) }))
        }
        Wanted::Calendar(attribute, bytes) => {
            let attribute = of(calendar::CLASS, settings.calendar, *attribute);
            Ok(Ok(Item { attribute, bytes: bytes.clone() }))
        }
    }
}

fn of(class: u16, object: Obis, attribute: i8) -> Attribute {
    Attribute { class, object, attribute }
}

fn no(detail: String) -> Refusal {
    Refusal { code: refusal::BAD_VALUE, detail, device_code: None }
}

/// The threshold is in the scale and unit of what the limiter watches, and of its type.
fn power(session: &mut Session<'_>, limiter: Obis, watts: i64) -> Built {
    let attribute = of(LIMITER, limiter, THRESHOLD);
    let got = session.get_all(&[of(LIMITER, limiter, MONITORED), attribute])?;
    let [monitored, threshold] = got.as_slice() else {
        return Err(garbled("not as many values as were asked for"));
    };
    let monitored = match monitored.data()? {
        Ok(data) => data,
        Err(why) => return Ok(Err(refused(why, DENIED))),
    };
    let Some(watched) = watched(&monitored) else {
        return Ok(Err(no("the limiter watches no register".to_owned())));
    };
    let scaled = match session.get(watched)?.data()? {
        Ok(data) => scaler(&data),
        Err(_) => None,
    };
    let Some((scale, _)) = scaled.filter(|(_, of)| u16::from(*of) == unit::WATT) else {
        let why = format!("the limiter watches {}, which is no power", dotted(watched.object));
        return Ok(Err(no(why)));
    };
    let value = match threshold.data()? {
        Ok(data) => typed(&data, rescaled(watts, 0, scale)),
        Err(why) => return Ok(Err(refused(why, DENIED))),
    };
    let too_fine = || no(format!("the meter counts it in 10^{scale} W, or not so far"));
    Ok(value.map(|bytes| Item { attribute, bytes }).ok_or_else(too_fine))
}

/// Where the scaler stands of the attribute that a limiter watches.
fn watched(monitored: &Data<'_>) -> Option<Attribute> {
    let Data::Structure(fields) = monitored else { return None };
    let mut fields = fields.iter();
    match (fields.next(), fields.next(), fields.next()) {
        (
            Some(Data::Unsigned { value, .. }),
            Some(Data::Octets(name)),
            Some(Data::Signed { value: attribute, .. }),
        ) => {
            let class = u16::try_from(value).ok()?;
            let scaler = match (class, attribute) {
                (3 | 4, 2) => 3,
                (5, 2 | 3) => 4,
                _ => return None,
            };
            Some(of(class, Obis(name.try_into().ok()?), scaler))
        }
        _ => None,
    }
}

/// In the scale of the account's currency.
fn warning(session: &mut Session<'_>, settings: &Settings, minor: i64) -> Built {
    let attribute = of(CREDIT, settings.credit, WARNING);
    let account = settings.account.unwrap_or(settings.credit);
    let currency = session.get(of(ACCOUNT, account, CURRENCY))?;
    let scale = match currency.data()? {
        Ok(data) => crate::account::money_scale(&data),
        Err(why) => return Ok(Err(refused(why, DENIED))),
    };
    let Some(scale) = scale else { return Ok(Err(no("the account holds no money".to_owned()))) };
    // A double-long (IEC 62056-6-2, 4.6.3).
    let like = Data::Signed { value: 0, bytes: 4 };
    let value = typed(&like, rescaled(minor, MINOR_SCALE, scale));
    let too_fine = || no(format!("the account counts in 10^{scale}, or not so far"));
    Ok(value.map(|bytes| Item { attribute, bytes }).ok_or_else(too_fine))
}

/// The same amount in another power of ten, if it is whole there.
pub fn rescaled(mantissa: i64, from: i8, to: i8) -> Option<i64> {
    let by = i32::from(from).checked_sub(to.into())?;
    let ten = 10_i64.checked_pow(by.unsigned_abs())?;
    if by >= 0 {
        return mantissa.checked_mul(ten);
    }
    let rest = mantissa.checked_rem(ten)?;
    (rest == 0).then(|| mantissa.checked_div(ten))?
}

/// A number in the type of another one, if it fits.
fn typed(like: &Data<'_>, number: Option<i64>) -> Option<Vec<u8>> {
    let number = number?;
    let value = match *like {
        Data::Signed { bytes, .. } => Data::Signed { value: number, bytes },
        Data::Unsigned { bytes, .. } => {
            Data::Unsigned { value: u64::try_from(number).ok()?, bytes }
        }
        _ => return None,
    };
    let bytes = written(&value);
    // What does not fit into its bytes reads back as another number.
    (Data::decode(&bytes) == Ok(value)).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_is_whole_in_its_scale_or_it_is_none() {
        for (mantissa, from, to, expected) in [
            (5_000, 0, 0, Some(5_000)),
            (5_000, 0, 3, Some(5)),
            (5_500, 0, 3, None),
            (5, 0, -3, Some(5_000)),
            (1_250, -2, -2, Some(1_250)),
            (1_250, -2, 0, None),
            (i64::MAX, 0, -1, None),
            (0, 100, -100, None),
        ] {
            assert_eq!(rescaled(mantissa, from, to), expected, "{mantissa} {from} {to}");
        }
    }

    #[test]
    fn a_number_has_the_type_that_is_there_already() {
        let long = Data::Unsigned { value: 0, bytes: 2 };
        assert_eq!(typed(&long, Some(65_535)), Some(vec![0x12, 0xFF, 0xFF]));
        assert_eq!(typed(&long, Some(65_536)), None);
        assert_eq!(typed(&long, Some(-1)), None);
        let signed = Data::Signed { value: 0, bytes: 4 };
        assert_eq!(typed(&signed, Some(-2)), Some(vec![0x05, 0xFF, 0xFF, 0xFF, 0xFE]));
        assert_eq!(typed(&signed, Some(1 << 40)), None);
        assert_eq!(typed(&Data::Null, Some(1)), None);
    }
}

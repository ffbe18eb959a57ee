//! What a card carries to its meter beside the purchase: alarms, ratios, prices.
//!
//! Invariant: what does not fit its digits, and what nobody knows, is refused before the card is
//! touched.

use crate::settings::bad;
use polymeter_codec::gbcard::{Moment, Parameters, Prices, PricesNext, updates};
use polymeter_driver::{Decimal, DriverError, Extras, LocalTime, Value};

pub mod name {
    pub const ALARM_1: &str = "alarm-1";
    pub const ALARM_2: &str = "alarm-2";
    pub const CURRENT_RATIO: &str = "current-ratio";
    pub const VOLTAGE_RATIO: &str = "voltage-ratio";
    pub const PRESET_AMOUNT: &str = "preset-amount";
    pub const TARIFF_PRICES: &str = "tariff-prices";
    pub const TARIFF_SWITCH_TIME: &str = "tariff-switch-time";
    pub const LADDER_STEPS: &str = "ladder-steps";
    pub const LADDER_PRICES: &str = "ladder-prices";
    pub const LADDER_SWITCH_TIME: &str = "ladder-switch-time";
}

pub const ALARM_MAX: i64 = 99_999_999;
pub const RATIO_MAX: i64 = 999_999;
/// Decimals of a price in yuan, of a step in kWh.
const PRICE_DECIMALS: usize = 4;
const STEP_DECIMALS: usize = 2;
/// Month, day, hour.
const NEW_YEAR: [u8; 3] = [1, 1, 0];

/// What an order's parameters come to.
#[derive(Debug, Clone, Default)]
pub struct Carried {
    alarms: [Option<u32>; 2],
    ratios: [Option<u32>; 2],
    prices_begin: Option<Moment>,
    updates: u8,
    /// The set that the meter uses at once.
    pub prices: Option<Prices>,
    /// The set that follows.
    pub next_prices: Option<PricesNext>,
    /// Of a setting card, in fen.
    pub preset_amount: u32,
}

impl Carried {
    /// To an opened meter: the prices that follow, since meters take no others from such cards.
    pub fn next(parameters: &Extras) -> Result<Carried, DriverError> {
        let allowed = |name: &str| {
            matches!(
                name,
                name::TARIFF_PRICES
                    | name::TARIFF_SWITCH_TIME
                    | name::LADDER_STEPS
                    | name::LADDER_PRICES
                    | name::LADDER_SWITCH_TIME
            )
        };
        if let Some((other, _)) = parameters.iter().find(|(name, _)| !allowed(name)) {
            return Err(bad(format!("`{other}` goes onto opening and setting cards alone")));
        }
        let (read, begin) = Self::of(parameters)?;
        Ok(Carried {
            next_prices: read.prices.map(|set| PricesNext { set, ladder_begins: begin }),
            prices: None,
            updates: read.updates << 1,
            ..read
        })
    }

    /// To a meter that is not opened: prices are in use at once.
    pub fn in_use(parameters: &Extras) -> Result<Carried, DriverError> {
        let (read, begin) = Self::of(parameters)?;
        if read.prices_begin.is_some() || begin.is_some() {
            return Err(bad("the prices of this card are in use at once and have no switch time"));
        }
        Ok(read)
    }

    /// All parameters, with prices as if for the set in use; and when the ladder begins.
    fn of(parameters: &Extras) -> Result<(Carried, Option<Moment>), DriverError> {
        let mut read = Carried::default();
        let mut set = Prices::NONE;
        let mut ladder_begins = None;
        let [alarm_1, alarm_2] = &mut read.alarms;
        let [current, voltage] = &mut read.ratios;
        for (name, value) in parameters {
            match name.as_str() {
                name::ALARM_1 => *alarm_1 = Some(number(name, value, ALARM_MAX)?),
                name::ALARM_2 => *alarm_2 = Some(number(name, value, ALARM_MAX)?),
                name::CURRENT_RATIO => *current = Some(number(name, value, RATIO_MAX)?),
                name::VOLTAGE_RATIO => *voltage = Some(number(name, value, RATIO_MAX)?),
                name::PRESET_AMOUNT => read.preset_amount = number(name, value, ALARM_MAX)?,
                name::TARIFF_PRICES => {
                    list(name, value, PRICE_DECIMALS, &mut set.prices)?;
                    read.updates |= updates::PRICES;
                }
                name::LADDER_STEPS => {
                    list(name, value, STEP_DECIMALS, &mut set.steps)?;
                    read.updates |= updates::LADDER;
                }
                name::LADDER_PRICES => {
                    list(name, value, PRICE_DECIMALS, &mut set.step_prices)?;
                    read.updates |= updates::LADDER;
                }
                name::TARIFF_SWITCH_TIME => read.prices_begin = Some(moment(name, value)?),
                name::LADDER_SWITCH_TIME => ladder_begins = Some(moment(name, value)?),
                other => return Err(bad(format!("`{other}` is nothing that these cards carry"))),
            }
        }
        if read.updates & updates::LADDER != 0 {
            // No meter takes steps without a day on which their year ends.
            set.settlement = [Some(NEW_YEAR), None, None, None];
        }
        if read.updates != 0 {
            read.prices = Some(set);
        }
        let settings = read.alarms.iter().chain(&read.ratios);
        if settings.flatten().next().is_some() {
            read.updates |= updates::PARAMETERS;
        }
        Ok((read, ladder_begins))
    }

    /// Puts what stands in the file of parameters there.
    pub fn apply(&self, parameters: &mut Parameters) {
        parameters.updates |= self.updates;
        parameters.prices_begin = self.prices_begin.or(parameters.prices_begin);
        let kept = parameters.alarms.iter_mut().chain(&mut parameters.ratios);
        for (kept, told) in kept.zip(self.alarms.iter().chain(&self.ratios)) {
            *kept = told.unwrap_or(*kept);
        }
    }
}

fn number(name: &str, value: &Value, most: i64) -> Result<u32, DriverError> {
    let wrong = || bad(format!("{name} must be a whole number from 0 to {most}"));
    match value {
        Value::Number(Decimal { mantissa, scale: 0 }) if (0..=most).contains(mantissa) => {
            u32::try_from(*mantissa).map_err(|_| wrong())
        }
        _ => Err(wrong()),
    }
}

/// "0.5 0.75 1": as many as there are.
fn list(name: &str, value: &Value, decimals: usize, places: &mut [u32]) -> Result<(), DriverError> {
    let most = places.len();
    let wrong = || bad(format!("{name} must be 1 to {most} decimals between blanks"));
    let Value::Text(text) = value else { return Err(wrong()) };
    let words = text.split_ascii_whitespace().count();
    if words == 0 || words > most {
        return Err(wrong());
    }
    for (place, word) in places.iter_mut().zip(text.split_ascii_whitespace()) {
        *place = scaled(word, decimals).ok_or_else(|| {
            bad(format!("{name}: `{word}` is no decimal with at most {decimals} decimals"))
        })?;
    }
    Ok(())
}

/// "0.5" is 5000 with four decimals; at most eight digits in all, as the card has.
fn scaled(text: &str, decimals: usize) -> Option<u32> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || part.len() > decimals || !digits(whole) || !digits(part) {
        return None;
    }
    format!("{whole}{part:0<decimals$}").parse().ok().filter(|number| *number <= 99_999_999)
}

fn moment(name: &str, value: &Value) -> Result<Moment, DriverError> {
    let wrong = || bad(format!("{name} must be a time of this century, e.g. 2026-03-02 10:15"));
    let time = match value {
        Value::Time(time) => Some(*time),
        Value::Text(text) => polymeter_driver::time::typed(text),
        _ => None,
    };
    let LocalTime { year, month, day, hour, minute, .. } = time.ok_or_else(wrong)?;
    let year = year.checked_sub(2000).and_then(|year| u8::try_from(year).ok()).ok_or_else(wrong)?;
    Moment { year, month, day, hour, minute }.checked().ok_or_else(wrong)
}

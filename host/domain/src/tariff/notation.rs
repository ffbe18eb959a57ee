//! How a tariff is written down: one line for each thing said, for people, databases and interfaces
//! alike. What [`parse`] takes, `Display` gives back in its canonical spelling.
//!
//! Not here: what may stand together (value, schedule).

use super::limits::NOTATION_CHARS_MAX;
use super::rate::{scaled, unscaled};
use super::schedule::clock;
use super::value::Parts;
use super::{
    Accumulation, BadTariff, Calendar, Commodity, Date, DayKind, DayPlan, Household, MonthDay,
    Period, Rate, Rates, Schedule, Season, Slot, Step, Tariff, Tax,
};
use crate::{Currency, Money};
use std::fmt;

/// Decimals of a threshold: a kWh has a thousand Wh, a m³ a thousand litres.
const DECIMALS: usize = 3;

/// A tariff from its lines; the error names the line.
pub fn parse(text: &str, currency: Currency) -> Result<Tariff, BadTariff> {
    if text.chars().count() > NOTATION_CHARS_MAX {
        return Err(BadTariff(format!("more than {NOTATION_CHARS_MAX} characters")));
    }
    let mut reader = Reader::new(currency);
    for (at, line) in text.lines().enumerate() {
        // As a Chinese keyboard types them.
        let line = line.replace('：', ":").replace('，', ",").replace('　', " ");
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        reader.line(line).map_err(|why| BadTariff(format!("line {}: {why}", at + 1)))?;
    }
    reader.end()
}

type Read<T> = Result<T, String>;

struct Reader {
    currency: Currency,
    commodity: Option<Commodity>,
    accumulation: Option<Accumulation>,
    steps: Vec<Step>,
    household: Option<Household>,
    seasons: Vec<Season>,
    calendar: Calendar,
    fee: Option<Money>,
    minimum: Option<Money>,
    tax: Option<Tax>,
}

/// Says a thing that may be said once.
fn once<T>(place: &mut Option<T>, value: T, what: &str) -> Read<()> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(format!("{what} is said twice")),
    }
}

impl Reader {
    fn new(currency: Currency) -> Reader {
        Reader {
            currency,
            commodity: None,
            accumulation: None,
            steps: Vec::new(),
            household: None,
            seasons: Vec::new(),
            calendar: Calendar::default(),
            fee: None,
            minimum: None,
            tax: None,
        }
    }

    fn line(&mut self, line: &str) -> Read<()> {
        let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        // `price: ...` is `price ...`.
        let word = word.strip_suffix(':').unwrap_or(word);
        let rest = rest.trim();
        match word {
            "unit" => {
                let commodity = match rest {
                    "kWh" => Commodity::Energy,
                    "m3" | "m³" => Commodity::Water,
                    _ => return Err(format!("a unit is `kWh` or `m3`, not `{rest}`")),
                };
                once(&mut self.commodity, commodity, "the unit")
            }
            "price" => self.price(rest),
            "steps" => {
                let accumulation = match rest {
                    "monthly" => Accumulation::Monthly,
                    "yearly" => Accumulation::Yearly,
                    _ => return Err(format!("steps count `monthly` or `yearly`, not `{rest}`")),
                };
                once(&mut self.accumulation, accumulation, "how steps count")
            }
            "household" => {
                let household = household(rest)?;
                once(&mut self.household, household, "the household")
            }
            "season" => self.season(rest),
            "day" => self.day(rest),
            "holidays" => add_dates(&mut self.calendar.holidays, rest),
            "workdays" => add_dates(&mut self.calendar.workdays, rest),
            "fee" => {
                let money = Money::parse(rest, self.currency).map_err(|it| it.to_string())?;
                once(&mut self.fee, money, "the fee")
            }
            "minimum" => {
                let money = Money::parse(rest, self.currency).map_err(|it| it.to_string())?;
                once(&mut self.minimum, money, "the minimum")
            }
            "tax" => once(&mut self.tax, tax(rest)?, "the tax"),
            _ => Err(format!(
                "`{word}` begins no line of a tariff; these do: unit, price, steps, household, \
                 season, day, holidays, workdays, fee, minimum, tax"
            )),
        }
    }

    /// `0.52`, `to 2760: 0.52`, `beyond: 0.82`, each with one price or one for each period.
    fn price(&mut self, rest: &str) -> Read<()> {
        let (up_to, prices) = match rest.split_once(':') {
            None => (None, rest),
            Some((place, prices)) => match place.trim().split_once(' ') {
                Some(("to", amount)) => (Some(amount_of(amount)?), prices),
                None if place.trim() == "beyond" => (None, prices),
                _ => return Err(format!("`{place}` is neither `to AMOUNT` nor `beyond`")),
            },
        };
        let rates = self.rates(prices.trim())?;
        self.steps.push(Step { up_to, rates });
        Ok(())
    }

    fn rates(&self, text: &str) -> Read<Rates> {
        let rate = |text: &str| Rate::parse(text, self.currency).map_err(|it| it.to_string());
        if !text.contains(char::is_whitespace) {
            return rate(text).map(Rates::One);
        }
        let mut rates = [None; 5];
        for pair in text.split(',') {
            let mut words = pair.split_whitespace();
            let (Some(name), Some(price), None) = (words.next(), words.next(), words.next()) else {
                return Err(format!("`{}` is not a period and its price", pair.trim()));
            };
            let period = period(name)?;
            once(&mut rates[period.index()], rate(price)?, &format!("the price of {period}"))?;
        }
        Ok(Rates::ByPeriod(rates))
    }

    /// `summer 06-01..08-31`.
    fn season(&mut self, rest: &str) -> Read<()> {
        let wrong = || format!("`{rest}` is not a season: NAME MM-DD..MM-DD");
        let (name, span) = rest.split_once(char::is_whitespace).ok_or_else(wrong)?;
        let (from, to) = span.trim().split_once("..").ok_or_else(wrong)?;
        self.seasons.push(Season {
            name: name.to_owned(),
            from: month_day(from)?,
            to: month_day(to)?,
            days: Vec::new(),
        });
        Ok(())
    }

    /// `workday weekend: 00:00-08:00 valley, 08:00-24:00 peak`, of the season above.
    fn day(&mut self, rest: &str) -> Read<()> {
        let wrong =
            || "a day is like `day workday: 00:00-08:00 valley, 08:00-24:00 peak`".to_owned();
        let (kinds, slots) = rest.split_once(':').ok_or_else(wrong)?;
        let kind = |word: &str| {
            let found = DayKind::ALL.into_iter().find(|kind| kind.name() == word);
            found.ok_or_else(|| format!("`{word}` is not workday, weekend or holiday"))
        };
        let kinds = kinds.split_whitespace().map(kind).collect::<Read<Vec<_>>>()?;
        let slots = slots.split(',').map(slot).collect::<Read<Vec<_>>>()?;
        let season = self.seasons.last_mut();
        let season = season.ok_or_else(|| "a day needs a `season` line above it".to_owned())?;
        season.days.push(DayPlan { kinds, slots });
        Ok(())
    }

    fn end(self) -> Result<Tariff, BadTariff> {
        let commodity = self.commodity;
        let commodity = commodity
            .ok_or_else(|| BadTariff("it does not say its unit: `unit kWh` or `unit m3`".into()))?;
        let nothing = Money::new(0, self.currency);
        let has_calendar = self.calendar != Calendar::default();
        let schedule = match (self.seasons.is_empty(), has_calendar) {
            (true, true) => {
                let why = "it has holidays or workdays and no season that they matter to";
                return Err(BadTariff(why.to_owned()));
            }
            (true, false) => None,
            (false, _) => Some(Schedule::new(self.seasons, self.calendar)?),
        };
        Tariff::new(Parts {
            commodity,
            currency: self.currency,
            accumulation: self.accumulation,
            steps: self.steps,
            household: self.household,
            schedule,
            fee: self.fee.unwrap_or(nothing),
            minimum: self.minimum.unwrap_or(nothing),
            tax: self.tax.unwrap_or(Tax::None),
        })
    }
}

fn amount_of(text: &str) -> Read<u64> {
    let amount = scaled(text.trim(), DECIMALS);
    amount.ok_or_else(|| format!("`{}` is not an amount with at most 3 decimals", text.trim()))
}

fn period(name: &str) -> Read<Period> {
    let names = || Period::ALL.map(Period::name).join(", ");
    let by_chinese = || Period::ALL.into_iter().find(|period| period.chinese() == name);
    let found = Period::from_name(name).or_else(by_chinese);
    found.ok_or_else(|| format!("`{name}` is not a period: {}", names()))
}

/// `above 4: 1200`.
fn household(text: &str) -> Read<Household> {
    let read = || {
        let (above, each) = text.strip_prefix("above")?.split_once(':')?;
        Some((above.trim().parse().ok()?, each))
    };
    let (above, each) =
        read().ok_or_else(|| "a household is like `household above 4: 1200`".to_owned())?;
    Ok(Household { above, each: amount_of(each)? })
}

fn month_day(text: &str) -> Read<MonthDay> {
    let read = || {
        let (month, day) = text.trim().split_once('-')?;
        MonthDay::new(month.parse().ok()?, day.parse().ok()?)
    };
    read().ok_or_else(|| format!("`{}` is not a day of the year like 06-01", text.trim()))
}

/// `08:00-11:30 peak`.
fn slot(text: &str) -> Read<Slot> {
    let text = text.trim();
    let wrong = || format!("`{text}` is not like `08:00-11:30 peak`");
    let (span, name) = text.split_once(char::is_whitespace).ok_or_else(wrong)?;
    let (from, to) = span.split_once('-').ok_or_else(wrong)?;
    let (from, to) = (minute(from).ok_or_else(wrong)?, minute(to).ok_or_else(wrong)?);
    Ok(Slot { from, to, period: period(name.trim())? })
}

/// "24:00" is the end of the day.
fn minute(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    let two = |part: &str| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
    if !two(hour) || !two(minute) {
        return None;
    }
    let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok()?);
    (minute < 60 && hour * 60 + minute <= 24 * 60).then_some(hour * 60 + minute)
}

fn add_dates(dates: &mut std::collections::BTreeSet<Date>, text: &str) -> Read<()> {
    for word in text.split([',', ' ']).filter(|word| !word.is_empty()) {
        let date: Date = word.parse().map_err(|error: super::NotADate| error.to_string())?;
        if !dates.insert(date) {
            return Err(format!("{date} is said twice"));
        }
    }
    Ok(())
}

/// `included 13%`, `added 13%`.
fn tax(text: &str) -> Read<Tax> {
    let read = || {
        let (how, percent) = text.split_once(char::is_whitespace)?;
        let rate = u32::try_from(scaled(percent.trim().strip_suffix('%')?, 2)?).ok()?;
        match how {
            "included" => Some(Tax::Included(rate)),
            "added" => Some(Tax::Added(rate)),
            _ => None,
        }
    };
    read().ok_or_else(|| "a tax is like `tax included 13%` or `tax added 13%`".to_owned())
}

/// The canonical spelling, which [`parse`] reads back to an equal value.
impl fmt::Display for Tariff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "unit {}",
            match self.commodity {
                Commodity::Energy => "kWh",
                Commodity::Water => "m3",
            }
        )?;
        if self.has_steps() {
            writeln!(f, "steps {}", self.accumulation.name())?;
        }
        for step in &self.steps {
            let rates = show_rates(&step.rates, self.currency);
            match (step.up_to, self.has_steps()) {
                (Some(up_to), _) => writeln!(f, "price to {}: {rates}", amount(up_to))?,
                (None, true) => writeln!(f, "price beyond: {rates}")?,
                (None, false) => writeln!(f, "price {rates}")?,
            }
        }
        if let Some(household) = self.household {
            writeln!(f, "household above {}: {}", household.above, amount(household.each))?;
        }
        if let Some(schedule) = &self.schedule {
            fmt_schedule(schedule, f)?;
        }
        for (word, money) in [("fee", self.fee), ("minimum", self.minimum)] {
            if money.minor() > 0 {
                writeln!(f, "{word} {money}")?;
            }
        }
        let percent = |rate: u32| unscaled(u64::from(rate), 2, 0);
        match self.tax {
            Tax::None => Ok(()),
            Tax::Included(rate) => writeln!(f, "tax included {}%", percent(rate)),
            Tax::Added(rate) => writeln!(f, "tax added {}%", percent(rate)),
        }
    }
}

/// "2760" or "0.5": Wh as kWh, litres as m³, without needless zeros.
pub(super) fn amount(amount: u64) -> String {
    unscaled(amount, DECIMALS, 0)
}

fn show_rates(rates: &Rates, currency: Currency) -> String {
    match rates {
        Rates::One(rate) => rate.show(currency),
        Rates::ByPeriod(_) => {
            let of = |period: Period| {
                let rate = rates.of(period)?;
                Some(format!("{period} {}", rate.show(currency)))
            };
            Period::ALL.into_iter().filter_map(of).collect::<Vec<_>>().join(", ")
        }
    }
}

fn fmt_schedule(schedule: &Schedule, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for season in schedule.seasons() {
        writeln!(f, "season {} {}..{}", season.name, season.from, season.to)?;
        for plan in &season.days {
            let kinds: Vec<_> = plan.kinds.iter().map(|kind| kind.name()).collect();
            let slot =
                |slot: &Slot| format!("{}-{} {}", clock(slot.from), clock(slot.to), slot.period);
            let slots: Vec<_> = plan.slots.iter().map(slot).collect();
            writeln!(f, "day {}: {}", kinds.join(" "), slots.join(", "))?;
        }
    }
    let dates = |dates: &std::collections::BTreeSet<Date>| {
        dates.iter().map(Date::to_string).collect::<Vec<_>>().join(" ")
    };
    let calendar = schedule.calendar();
    if !calendar.holidays.is_empty() {
        writeln!(f, "holidays {}", dates(&calendar.holidays))?;
    }
    if !calendar.workdays.is_empty() {
        writeln!(f, "workdays {}", dates(&calendar.workdays))?;
    }
    Ok(())
}

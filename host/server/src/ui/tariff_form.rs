//! The form of a tariff: what a clerk fills in, as the lines of the notation, and back.
//!
//! Invariant: the form says nothing that the notation cannot; what is wrong with it is said by the
//! one parser. Not here: what becomes of it (tariffs).

use crate::api::tariffs::{Sample, TermsJson};
use polymeter_domain::tariff::{Period, Rates, Tariff, Tax, unscaled};
use std::collections::BTreeMap;

/// Rows of prices. A tariff with more steps is written through the API.
const ROWS: usize = 6;

pub const UNITS: &[(&str, &str)] = &[("kWh", "kWh (electricity 电)"), ("m3", "m³ (water 水)")];
pub const STEPS: &[(&str, &str)] =
    &[("", "none 无"), ("monthly", "count by month 月阶梯"), ("yearly", "count by year 年阶梯")];
pub const TAXES: &[(&str, &str)] =
    &[("", "not shown"), ("included", "in the prices 含税"), ("added", "on top 不含税")];

/// Everything typed, by the fields' names.
#[derive(Debug, Default, Clone)]
pub struct Typed(pub BTreeMap<String, String>);

#[derive(Debug)]
pub struct Cell {
    pub name: String,
    pub label: &'static str,
}

#[derive(Debug)]
pub struct Row {
    pub number: usize,
    pub cells: Vec<Cell>,
}

/// The columns of a row: where its step ends, its one price, its prices by period.
fn columns(row: usize) -> Vec<Cell> {
    let cell = |name: &str, label| Cell { name: format!("{name}-{row}"), label };
    let mut cells = vec![cell("to", "up to"), cell("price", "price")];
    cells.extend(Period::ALL.map(|period| cell(period.name(), period.name())));
    cells
}

pub fn rows() -> Vec<Row> {
    (1..=ROWS).map(|number| Row { number, cells: columns(number) }).collect()
}

pub fn sample_cells() -> Vec<Cell> {
    let cell = |name: &str, label| Cell { name: name.to_owned(), label };
    let labels = ["Sharp 尖", "Peak 峰", "Flat 平 or all", "Valley 谷", "Deep valley 深谷"];
    let mut cells: Vec<Cell> = Period::ALL
        .into_iter()
        .zip(labels)
        .map(|(period, label)| cell(&format!("used-{}", period.name()), label))
        .collect();
    cells.push(cell("before", "Used before 已用"));
    cells.push(cell("people", "Persons 人口"));
    cells.push(cell("paid", "A purchase 购"));
    cells
}

impl Typed {
    pub fn of(&self, name: &str) -> &str {
        self.0.get(name).map_or("", |text| text.trim())
    }

    pub fn is(&self, name: &str, value: &str) -> bool {
        self.of(name) == value
    }

    pub fn has_extras(&self) -> bool {
        ["above", "each", "fee", "minimum", "tax"].iter().any(|name| !self.of(name).is_empty())
    }

    fn set(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.0.insert(name.into(), value.into());
    }

    /// The lines that were meant.
    pub fn definition(&self) -> String {
        let mut text = format!("unit {}\n", self.of("unit"));
        let has_steps = !self.of("steps").is_empty();
        if has_steps {
            text.push_str(&format!("steps {}\n", self.of("steps")));
        }
        for row in 1..=ROWS {
            let of = |name: &str| self.of(&format!("{name}-{row}"));
            let by_period: Vec<String> = Period::ALL
                .into_iter()
                .filter(|period| !of(period.name()).is_empty())
                .map(|period| format!("{period} {}", of(period.name())))
                .collect();
            let prices = match (of("price"), by_period.is_empty()) {
                ("", true) if of("to").is_empty() => continue,
                (one, true) => one.to_owned(),
                ("", false) => by_period.join(", "),
                // Both: the parser says that this is no price.
                (one, false) => format!("{one} {}", by_period.join(", ")),
            };
            text.push_str(&match (of("to"), has_steps) {
                ("", true) => format!("price beyond: {prices}\n"),
                ("", false) => format!("price {prices}\n"),
                (to, _) => format!("price to {to}: {prices}\n"),
            });
        }
        if !self.of("above").is_empty() || !self.of("each").is_empty() {
            text.push_str(&format!("household above {}: {}\n", self.of("above"), self.of("each")));
        }
        for line in self.of("times").lines() {
            text.push_str(&format!("{line}\n"));
        }
        for name in ["fee", "minimum"] {
            if !self.of(name).is_empty() {
                text.push_str(&format!("{name} {}\n", self.of(name)));
            }
        }
        if !self.of("tax").is_empty() {
            let percent = self.of("percent").trim_end_matches('%').trim();
            text.push_str(&format!("tax {} {percent}%\n", self.of("tax")));
        }
        text
    }

    /// The month of use that was typed, as the API takes it.
    pub fn sample(&self) -> Result<Sample, String> {
        let used = Period::ALL
            .into_iter()
            .map(|period| (period.name().to_owned(), self.of(&format!("used-{period}")).to_owned()))
            .filter(|(_, amount)| !amount.is_empty())
            .collect();
        let given = |name: &str| Some(self.of(name).to_owned()).filter(|text| !text.is_empty());
        let people = match self.of("people") {
            "" => 1,
            text => text.parse().map_err(|_| format!("Persons: `{text}` is not a number."))?,
        };
        let terms = TermsJson { people, ..TermsJson::default() };
        Ok(Sample { used, before: given("before"), paid: given("paid"), terms })
    }

    /// The form as it must have been filled in for this tariff.
    pub fn of_tariff(tariff: &Tariff) -> Typed {
        let mut typed = Typed::default();
        let currency = tariff.currency();
        let text = tariff.to_string();
        let line = |word: &str| {
            let found = text.lines().find_map(|line| line.strip_prefix(word));
            found.unwrap_or_default().trim().to_owned()
        };
        typed.set("unit", line("unit "));
        typed.set("steps", line("steps "));
        for (at, step) in tariff.steps().iter().enumerate() {
            let row = at + 1;
            if let Some(up_to) = step.up_to {
                typed.set(format!("to-{row}"), unscaled(up_to, 3, 0));
            }
            match &step.rates {
                Rates::One(rate) => typed.set(format!("price-{row}"), rate.show(currency)),
                Rates::ByPeriod(_) => {
                    for period in Period::ALL {
                        if let Some(rate) = step.rates.of(period) {
                            typed.set(format!("{period}-{row}"), rate.show(currency));
                        }
                    }
                }
            }
        }
        let times = ["season ", "day ", "holidays ", "workdays "];
        let times: Vec<&str> =
            text.lines().filter(|line| times.iter().any(|word| line.starts_with(word))).collect();
        typed.set("times", times.join("\n"));
        if let Some(household) = tariff.household() {
            typed.set("above", household.above.to_string());
            typed.set("each", unscaled(household.each, 3, 0));
        }
        for (name, money) in [("fee", tariff.fee()), ("minimum", tariff.minimum())] {
            if money.minor() > 0 {
                typed.set(name, money.to_string());
            }
        }
        let percent = |rate: u32| format!("{}.{:02}", rate / 100, rate % 100);
        match tariff.tax() {
            Tax::None => {}
            Tax::Included(rate) => {
                typed.set("tax", "included");
                typed.set("percent", percent(rate));
            }
            Tax::Added(rate) => {
                typed.set("tax", "added");
                typed.set("percent", percent(rate));
            }
        }
        typed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use polymeter_domain::Currency;
    use polymeter_domain::tariff::parse;

    #[track_caller]
    fn check(text: &str) {
        let tariff = parse(text, Currency::CNY).expect("a tariff");
        let typed = Typed::of_tariff(&tariff);
        let again = parse(&typed.definition(), Currency::CNY).expect("what the form says");
        assert_eq!(again, tariff, "{}", typed.definition());
    }

    #[test]
    fn the_form_says_what_the_tariff_says() {
        check("unit kWh\nprice 0.52\nfee 3.00\ntax added 9.5%\n");
        check(
            "unit m3\nsteps yearly\nprice to 220.5: 3.45\nprice beyond: 5.83\nhousehold above 4: 50\n",
        );
        check(
            "unit kWh\nsteps monthly\nprice to 50: peak 0.6, valley 0.3\n\
             price beyond: peak 0.7, valley 0.4\nseason year 01-01..12-31\n\
             day workday weekend holiday: 00:00-08:00 valley, 08:00-24:00 peak\n\
             holidays 2026-10-01\nminimum 5.00\ntax included 13%\n",
        );
    }

    #[test]
    fn a_half_filled_form_is_told_by_the_parser() {
        let mut typed = Typed::default();
        for (name, value) in [("unit", "kWh"), ("to-1", "50"), ("price-1", "0.5"), ("peak-1", "1")]
        {
            typed.set(name, value);
        }
        let error = parse(&typed.definition(), Currency::CNY).expect_err("no");
        assert_eq!(error.to_string(), "line 2: `0.5 peak 1` is not a period and its price");
    }
}

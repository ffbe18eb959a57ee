//! What a site lets its customers owe, when nobody's supply is cut, and what a meter can count.

use polymeter_domain::tariff::{Date, Moment};
use polymeter_domain::{Currency, Money, SupplyCommand};
use std::collections::BTreeSet;

/// The `[purse]` of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PurseRules {
    /// How far below zero a purse may go before the supply is cut (透支额度).
    pub overdraft: Money,
    /// Minutes since midnight, from and to, in which nothing is cut (友好时段); one that ends before
    /// it begins goes over midnight.
    pub friendly_hours: Vec<(u16, u16)>,
    pub friendly_weekends: bool,
    pub friendly_days: BTreeSet<Date>,
    /// The most that a meter counts by itself, before ratios: more is not believed.
    pub highest_watts: u64,
    pub highest_litres_per_hour: u64,
    /// How a supply comes back: closed by us, or allowed so that the customer closes it by hand.
    pub restore: SupplyCommand,
}

impl PurseRules {
    pub fn new(currency: Currency) -> PurseRules {
        PurseRules {
            overdraft: Money::new(0, currency),
            friendly_hours: Vec::new(),
            friendly_weekends: false,
            friendly_days: BTreeSet::new(),
            highest_watts: 100_000,
            highest_litres_per_hour: 100_000,
            restore: SupplyCommand::Connect,
        }
    }

    /// Nothing is cut at this moment.
    pub fn is_friendly(&self, at: Moment) -> bool {
        let minute = u16::try_from(at.second / 60).unwrap_or(u16::MAX);
        let within = |&(from, to): &(u16, u16)| match from <= to {
            true => (from..to).contains(&minute),
            false => minute >= from || minute < to,
        };
        (self.friendly_weekends && at.day.weekday() >= 5)
            || self.friendly_days.contains(&at.day)
            || self.friendly_hours.iter().any(within)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn friendly_hours_go_over_midnight_and_holidays_last_a_day() {
        let mut rules = PurseRules::new(Currency::CNY);
        let at = |day: &str, hour: u32, minute: u32| Moment {
            day: day.parse().expect("a day"),
            second: hour * 3_600 + minute * 60 + 59,
        };
        assert!(!rules.is_friendly(at("2026-03-07", 12, 0)));
        rules.friendly_hours = vec![(22 * 60, 8 * 60), (12 * 60, 13 * 60)];
        for (hour, minute, friendly) in [
            (21, 59, false),
            (22, 0, true),
            (0, 0, true),
            (7, 59, true),
            (8, 0, false),
            (12, 30, true),
            (13, 0, false),
        ] {
            assert_eq!(rules.is_friendly(at("2026-03-02", hour, minute)), friendly, "{hour}");
        }
        rules.friendly_weekends = true;
        assert!(
            rules.is_friendly(at("2026-03-07", 15, 0)) && rules.is_friendly(at("2026-03-08", 9, 0))
        );
        assert!(!rules.is_friendly(at("2026-03-09", 15, 0)));
        rules.friendly_days.insert("2026-03-09".parse().expect("a day"));
        assert!(rules.is_friendly(at("2026-03-09", 15, 0)));
    }
}

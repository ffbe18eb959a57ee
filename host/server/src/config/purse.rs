//! `[purse]`: what customers may owe, when nobody is cut, what a meter can count, how often it is read.

use super::checks::Checker;
use super::raw;
use polymeter_domain::tariff::Date;
use polymeter_domain::{Currency, Money, SupplyCommand};
use polymeter_service::PurseRules;
use std::time::Duration;
use toml::Spanned;

/// `[purse]`, checked; what is left out is as usual.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PurseEntry {
    pub rules: PurseRules,
    /// Between two rounds over all meters; `None`: only when asked.
    pub every: Option<Duration>,
}

impl Checker<'_> {
    pub(super) fn purse(&mut self, raw: &raw::Purse, currency: Currency) -> PurseEntry {
        let mut rules = PurseRules::new(currency);
        if let Some(text) = &raw.overdraft {
            match Money::parse(text.get_ref(), currency) {
                Ok(money) if money.minor() >= 0 => rules.overdraft = money,
                _ => self.problem(
                    text,
                    format!("overdraft `{}` is not an amount", text.get_ref()),
                    "write how far a purse may go below zero, e.g. \"10.00\"".to_owned(),
                ),
            }
        }
        rules.friendly_hours = raw.friendly_hours.iter().filter_map(|it| self.hours(it)).collect();
        rules.friendly_days = raw.friendly_days.iter().filter_map(|it| self.day(it)).collect();
        rules.friendly_weekends = raw.friendly_weekends;
        if raw.restore == raw::Restore::Allow {
            rules.restore = SupplyCommand::AllowConnection;
        }
        let thousands = |given: u32| u64::from(given) * 1_000;
        if let Some(kw) = raw.highest_kw {
            rules.highest_watts = thousands(kw);
        }
        if let Some(cubic) = raw.highest_m3_per_hour {
            rules.highest_litres_per_hour = thousands(cubic);
        }
        let every = Some(Duration::from_secs(raw.every_seconds.into()));
        PurseEntry { rules, every: every.filter(|every| !every.is_zero()) }
    }

    /// "22:00-08:00" as minutes since midnight.
    fn hours(&mut self, text: &Spanned<String>) -> Option<(u16, u16)> {
        let clock = |text: &str| {
            let (hour, minute) = text.split_once(':')?;
            let two = |part: &str| (part.len() == 2).then(|| part.parse::<u16>().ok())?;
            let (hour, minute) = (two(hour)?, two(minute)?);
            (minute < 60 && hour * 60 + minute <= 24 * 60).then_some(hour * 60 + minute)
        };
        let span = text.get_ref().split_once('-');
        let span = span.and_then(|(from, to)| Some((clock(from)?, clock(to)?)));
        if span.is_none() {
            let what = format!("`{}` is not a time of day", text.get_ref());
            self.problem(text, what, "write from and to, e.g. \"22:00-08:00\"".to_owned());
        }
        span
    }

    fn day(&mut self, text: &Spanned<String>) -> Option<Date> {
        let day = text.get_ref().parse();
        if let Err(error) = &day {
            let what = format!("friendly-days: {error}");
            self.problem(text, what, "write days as 2026-10-01".to_owned());
        }
        day.ok()
    }
}

#[cfg(test)]
mod tests {
    use crate::config::Config;
    use polymeter_domain::tariff::Moment;
    use std::path::Path;
    use std::time::Duration;

    fn read(purse: &str) -> Result<Config, String> {
        let text = format!(
            "[database]\npath = \"p.db\"\n[site]\ntime-zone = \"UTC\"\ncurrency = \"CNY\"\n{purse}"
        );
        Config::parse(Path::new("polymeter.toml"), &text).map_err(|problems| problems.to_string())
    }

    #[test]
    fn what_is_left_out_is_as_usual() {
        let usual = read("").expect("good").purse;
        assert_eq!(usual.every, Some(Duration::from_mins(15)));
        assert_eq!(usual.rules.overdraft.minor(), 0);
        let text = "[purse]\nevery-seconds = 0\noverdraft = \"10.50\"\nhighest-kw = 3\n\
                    friendly-hours = [\"22:00-08:00\"]\nfriendly-days = [\"2026-10-01\"]\n";
        let entry = read(text).expect("good").purse;
        assert_eq!(entry.every, None);
        assert_eq!((entry.rules.overdraft.minor(), entry.rules.highest_watts), (1_050, 3_000));
        let at = |day: &str, second| Moment { day: day.parse().expect("a day"), second };
        assert!(entry.rules.is_friendly(at("2026-10-01", 43_200)));
        assert!(entry.rules.is_friendly(at("2026-10-02", 79_200)));
        assert!(!entry.rules.is_friendly(at("2026-10-02", 43_200)));
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        for (line, told) in [
            ("overdraft = \"-1\"", "overdraft `-1` is not an amount"),
            ("friendly-hours = [\"22-8\"]", "`22-8` is not a time of day"),
            ("friendly-hours = [\"24:01-08:00\"]", "`24:01-08:00` is not a time of day"),
            ("friendly-days = [\"2026-02-30\"]", "`2026-02-30` is not a day"),
            ("overdarft = \"1\"", "overdarft"),
        ] {
            let problem = read(&format!("[purse]\n{line}\n")).expect_err(line);
            assert!(problem.contains(told) && problem.contains(":7"), "{problem}");
        }
    }
}

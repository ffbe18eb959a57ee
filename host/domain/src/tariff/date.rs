//! A civil day at the site. No time zone: prices change at midnight there, whatever the clock does.

use std::fmt;
use std::str::FromStr;

/// From 1970-01-01 to 9999-12-31, in the order of the calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date {
    year: u16,
    month: u8,
    day: u8,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a day: year, month and day from 1970-01-01 on, e.g. 2026-07-01")]
pub struct NotADate(pub String);

pub(super) fn days_in_month(year: u16, month: u8) -> u8 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => {
            29
        }
        2 => 28,
        _ => 31,
    }
}

impl Date {
    pub fn new(year: u16, month: u8, day: u8) -> Option<Date> {
        let good = (1970..=9999).contains(&year)
            && (1..=12).contains(&month)
            && (1..=days_in_month(year, month)).contains(&day);
        good.then_some(Date { year, month, day })
    }

    pub fn year(self) -> u16 {
        self.year
    }
    pub fn month(self) -> u8 {
        self.month
    }
    pub fn day(self) -> u8 {
        self.day
    }

    /// Days since 1970-01-01.
    pub fn number(self) -> i64 {
        let years = i64::from(self.year) - 1970;
        // Leap days before this year, counted from year 0, less those before 1970.
        let before = i64::from(self.year) - 1;
        let leap_days = before / 4 - before / 100 + before / 400 - 477;
        let months = (1..self.month).map(|month| i64::from(days_in_month(self.year, month)));
        years * 365 + leap_days + months.sum::<i64>() + i64::from(self.day) - 1
    }

    pub fn days_until(self, later: Date) -> i64 {
        later.number() - self.number()
    }

    /// Monday is 0.
    pub fn weekday(self) -> u8 {
        // 1970-01-01 was a Thursday.
        u8::try_from((self.number() + 3).rem_euclid(7)).expect("below 7")
    }

    pub fn days_in_month(self) -> u8 {
        days_in_month(self.year, self.month)
    }

    pub fn first_of_month(self) -> Date {
        Date { day: 1, ..self }
    }

    pub fn first_of_year(self) -> Date {
        Date { month: 1, day: 1, ..self }
    }

    /// `None` after the last month of the calendar.
    pub fn first_of_next_month(self) -> Option<Date> {
        match self.month {
            12 => Date::new(self.year.checked_add(1)?, 1, 1),
            month => Date::new(self.year, month + 1, 1),
        }
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

impl FromStr for Date {
    type Err = NotADate;
    fn from_str(text: &str) -> Result<Date, NotADate> {
        let read = || {
            let bytes = text.as_bytes();
            let shaped = bytes.len() == 10
                && bytes.iter().enumerate().all(|(at, byte)| match at {
                    4 | 7 => *byte == b'-',
                    _ => byte.is_ascii_digit(),
                });
            if !shaped {
                return None;
            }
            let mut parts = text.split('-');
            let year = parts.next()?.parse().ok()?;
            let month = parts.next()?.parse().ok()?;
            Date::new(year, month, parts.next()?.parse().ok()?)
        };
        read().ok_or_else(|| NotADate(text.to_owned()))
    }
}

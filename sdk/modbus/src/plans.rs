//! Tables of times as text and as registers: the periods of a day, each with its tariff or with the
//! relay on or off, and the parts of a year, each with its day plan.
//!
//! Invariant: what is written reads back as the same bytes; a text that is no plan names what is wrong
//! with it. Not here: where a device has its tables, and which tariff a number stands for.

use crate::face::bad;
use polymeter_driver::DriverError;

/// What an entry is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    /// `08:30`
    OfDay,
    /// `07-01`, month and day.
    OfYear,
}

/// What holds from then on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    /// A number from 1 to this.
    Number(u8),
    /// `off`, `on`: 0 and 1.
    Switch,
}

/// One byte of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// The hour or the month.
    First,
    /// The minute or the day.
    Second,
    /// What holds.
    Held,
}

/// What stands behind the last entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rest {
    /// Zeros.
    Nothing,
    /// The last entry again, where zeros would be an entry of their own.
    TheLast,
}

/// One kind of table of a device.
#[derive(Debug, Clone, Copy)]
pub struct Table {
    /// Of three bytes each.
    pub entries: usize,
    /// What an entry is about.
    pub at: At,
    /// What holds from then on.
    pub holds: Holds,
    /// Its bytes.
    pub order: [Field; 3],
    /// What stands behind the last entry.
    pub rest: Rest,
}

impl Table {
    /// `00:00 4, 08:00 2`, `06:00 on, 23:00 off` or `01-01 1, 07-01 2` as the bytes of the registers.
    ///
    /// ```
    /// use polymeter_modbus::plans::{At, Field, Holds, Rest, Table};
    ///
    /// let day = Table {
    ///     entries: 2,
    ///     at: At::OfDay,
    ///     holds: Holds::Number(4),
    ///     order: [Field::Held, Field::First, Field::Second],
    ///     rest: Rest::Nothing,
    /// };
    /// assert_eq!(day.bytes("08:30 2"), Ok(vec![2, 8, 30, 0, 0, 0]));
    /// ```
    pub fn bytes(&self, text: &str) -> Result<Vec<u8>, DriverError> {
        let entries: Vec<&str> = text.split(',').map(str::trim).collect();
        if entries.len() > self.entries {
            return Err(bad(format!("{} entries are more than {}", entries.len(), self.entries)));
        }
        let mut bytes = Vec::new();
        let mut before = None;
        for entry in entries {
            let (first, second, held) = self.read(entry)?;
            if before.is_some_and(|before| before >= (first, second)) {
                return Err(bad(format!("`{entry}` does not come after the entry before it")));
            }
            before = Some((first, second));
            bytes.extend(self.order.map(|field| match field {
                Field::First => first,
                Field::Second => second,
                Field::Held => held,
            }));
        }
        let last = bytes.last_chunk::<3>().copied().unwrap_or_default();
        let rest = if self.rest == Rest::TheLast { last } else { [0; 3] };
        while bytes.len() < self.entries.saturating_mul(3) {
            bytes.extend(rest);
        }
        Ok(bytes)
    }

    /// Two numbers of two digits, a blank, and what holds.
    fn read(&self, entry: &str) -> Result<(u8, u8, u8), DriverError> {
        let mark = if self.at == At::OfDay { ':' } else { '-' };
        let two = |text: &str| {
            let digits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse::<u8>().ok().filter(|_| digits)
        };
        let read = || {
            let (at, held) = entry.split_once(' ')?;
            let (first, second) = at.split_once(mark)?;
            Some((two(first)?, two(second)?, self.held(held.trim())?))
        };
        let Some((first, second, held)) = read() else {
            let held = match self.holds {
                Holds::Number(most) => format!("1 to {most}"),
                Holds::Switch => "`on` or `off`".to_owned(),
            };
            let form = format!("two digits, `{mark}`, two digits, a blank and {held}");
            return Err(bad(format!("`{entry}` must be {form}")));
        };
        let (possible, what) = match self.at {
            At::OfDay => (first < 24 && second < 60, "time of day"),
            At::OfYear => {
                ((1..=12).contains(&first) && (1..=31).contains(&second), "day of the year")
            }
        };
        if possible {
            Ok((first, second, held))
        } else {
            Err(bad(format!("`{entry}` is no {what}")))
        }
    }

    fn held(&self, text: &str) -> Option<u8> {
        match (self.holds, text) {
            (Holds::Switch, "off") => Some(0),
            (Holds::Switch, "on") => Some(1),
            (Holds::Switch, _) => None,
            (Holds::Number(most), number) => {
                let digits = number.bytes().all(|byte| byte.is_ascii_digit());
                number.parse::<u8>().ok().filter(|it| digits && (1..=most).contains(it))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Table = Table {
        entries: 14,
        at: At::OfDay,
        holds: Holds::Number(5),
        order: [Field::Held, Field::Second, Field::First],
        rest: Rest::Nothing,
    };
    const SWITCHED: Table = Table {
        entries: 4,
        at: At::OfDay,
        holds: Holds::Switch,
        order: [Field::Held, Field::First, Field::Second],
        rest: Rest::TheLast,
    };
    const YEAR: Table = Table {
        entries: 4,
        at: At::OfYear,
        holds: Holds::Number(2),
        order: [Field::Held, Field::Second, Field::First],
        rest: Rest::Nothing,
    };

    #[track_caller]
    fn check(table: &Table, text: &str, expected: Result<&[u8], &str>) {
        let found = table.bytes(text).map_err(|error| error.detail);
        let is_good = match (&found, expected) {
            (Ok(bytes), Ok(start)) => {
                let rest = bytes.strip_prefix(start);
                rest.is_some_and(|rest| rest.iter().all(|byte| *byte == 0))
                    && bytes.len() == table.entries.saturating_mul(3)
            }
            (Err(error), Err(part)) => error.contains(part),
            _ => false,
        };
        assert!(is_good, "{text}: {found:?} instead of {expected:?}");
    }

    #[test]
    fn days() {
        check(&DAY, "00:00 4, 08:30 2,22:00 4", Ok(&[4, 0, 0, 2, 30, 8, 4, 0, 22]));
        let many = |count: usize| {
            (0..count).map(|n| format!("{n:02}:00 1")).collect::<Vec<_>>().join(", ")
        };
        assert_eq!(DAY.bytes(&many(14)).map(|bytes| bytes.len()), Ok(42));
        check(&DAY, &many(15), Err("15 entries are more than 14"));
        check(&DAY, "08:00 2, 08:00 3", Err("does not come after"));
        check(&DAY, "24:00 1", Err("no time of day"));
        check(&DAY, "08:60 1", Err("no time of day"));
        for wrong in [
            "",
            "8:00 1",
            "08:00",
            "08:00 0",
            "08:00 6",
            "08:00 +1",
            "08-00 1",
            "08:00 一",
            "08:00 on",
        ] {
            check(&DAY, wrong, Err("must be two digits"));
        }
    }

    #[test]
    fn on_and_off() {
        check(&SWITCHED, "06:00 on, 23:30 off", Ok(&[1, 6, 0, 0, 23, 30, 0, 23, 30, 0, 23, 30]));
        check(&SWITCHED, "06:00 1", Err("`on` or `off`"));
        check(&SWITCHED, "06:00 on, 05:59 off", Err("does not come after"));
    }

    #[test]
    fn parts_of_a_year() {
        check(&YEAR, "01-01 1, 07-02 2", Ok(&[1, 1, 1, 2, 2, 7]));
        check(&YEAR, "13-01 1", Err("no day of the year"));
        check(&YEAR, "01-00 1", Err("no day of the year"));
        check(&YEAR, "01-01 3", Err("1 to 2"));
        check(&YEAR, "07-01 1, 01-01 2", Err("does not come after"));
        check(&YEAR, "01-01 1,02-01 1,03-01 1,04-01 1,05-01 1", Err("5 entries are more than 4"));
    }
}

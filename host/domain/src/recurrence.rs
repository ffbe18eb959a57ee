//! When something that comes again is due: by the calendar, from its first day.
//!
//! Invariant: every due day is counted from the first one, so that a month that is too short moves
//! that one day to its last and no later one. Not here: what is due (service).

use crate::tariff::Date;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Recurrence {
    Once,
    Monthly,
    Quarterly,
    Yearly,
}

impl Recurrence {
    pub const ALL: [Recurrence; 4] =
        [Recurrence::Once, Recurrence::Monthly, Recurrence::Quarterly, Recurrence::Yearly];

    pub const fn name(self) -> &'static str {
        match self {
            Recurrence::Once => "once",
            Recurrence::Monthly => "monthly",
            Recurrence::Quarterly => "quarterly",
            Recurrence::Yearly => "yearly",
        }
    }

    pub const fn chinese(self) -> &'static str {
        match self {
            Recurrence::Once => "一次性",
            Recurrence::Monthly => "每月",
            Recurrence::Quarterly => "每季",
            Recurrence::Yearly => "每年",
        }
    }

    pub fn from_name(name: &str) -> Option<Recurrence> {
        Recurrence::ALL.into_iter().find(|it| it.name() == name)
    }

    /// The due day of this number, from 0; `None` where it does not come again, or beyond the calendar.
    pub fn due(self, first: Date, number: u32) -> Option<Date> {
        let months = match self {
            Recurrence::Once if number > 0 => return None,
            Recurrence::Once => 0,
            Recurrence::Monthly => 1,
            Recurrence::Quarterly => 3,
            Recurrence::Yearly => 12,
        };
        let months = u32::from(first.month()) - 1 + number.checked_mul(months)?;
        let year = u32::from(first.year()).checked_add(months / 12)?;
        let month = u8::try_from(months % 12 + 1).ok()?;
        let begin = Date::new(u16::try_from(year).ok()?, month, 1)?;
        Date::new(begin.year(), month, first.day().min(begin.days_in_month()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dues(every: Recurrence, first: &str, count: u32) -> Vec<String> {
        let first = first.parse().expect("a day");
        let dues = (0..count).map_while(|number| every.due(first, number));
        dues.map(|day| day.to_string()).collect()
    }

    #[test]
    fn short_months_move_one_day_and_no_later_one() {
        use Recurrence::{Monthly, Once, Quarterly, Yearly};
        let monthly = dues(Monthly, "2027-10-31", 6);
        let expected =
            ["2027-10-31", "2027-11-30", "2027-12-31", "2028-01-31", "2028-02-29", "2028-03-31"];
        assert_eq!(monthly, expected);
        assert_eq!(dues(Quarterly, "2026-11-30", 3), ["2026-11-30", "2027-02-28", "2027-05-30"]);
        assert_eq!(dues(Yearly, "2028-02-29", 3), ["2028-02-29", "2029-02-28", "2030-02-28"]);
        assert_eq!(dues(Once, "2026-01-01", 9), ["2026-01-01"]);
        assert_eq!(dues(Monthly, "9999-11-01", 9), ["9999-11-01", "9999-12-01"]);
        assert_eq!(Monthly.due("2026-01-01".parse().expect("a day"), u32::MAX), None);
    }
}

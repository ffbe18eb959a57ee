//! The number of a token: the minute in which it was issued, counted from a base date
//! (IEC 62055-41, 6.3.5). A meter accepts each number once, and none that is older than all those
//! it remembers.

use core::fmt;

/// 24 bits: nearly 32 years of minutes.
const LAST: u32 = 0x00FF_FFFF;
/// Minutes of a day.
const DAY: u32 = 24 * 60;

/// From when minutes are counted (6.3.5.1). A meter learns of another one by a key change with the
/// roll-over bit, which also makes it forget the numbers it has seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum BaseDate {
    /// 1 January 1993; its last minute is 24 November 2024, 20:15.
    Y1993,
    /// 1 January 2014; its last minute is 24 November 2045, 20:15.
    Y2014,
    /// 1 January 2035; its last minute is 24 November 2066, 20:15.
    Y2035,
}

impl BaseDate {
    /// All of them, the oldest first.
    pub const ALL: [BaseDate; 3] = [BaseDate::Y1993, BaseDate::Y2014, BaseDate::Y2035];

    /// The year whose first minute is 0.
    pub fn year(self) -> u16 {
        match self {
            BaseDate::Y1993 => 1993,
            BaseDate::Y2014 => 2014,
            BaseDate::Y2035 => 2035,
        }
    }

    /// The two digits that DKGA04 derives a key from (6.5.3.5).
    pub fn two_digits(self) -> [u8; 2] {
        match self {
            BaseDate::Y1993 => *b"93",
            BaseDate::Y2014 => *b"14",
            BaseDate::Y2035 => *b"35",
        }
    }

    /// The number for a minute of the civil time by which the supply group counts. The first minute
    /// after midnight is reserved for tokens of another kind, so what falls there gets the next one
    /// (6.3.5.2).
    ///
    /// ```
    /// use polymeter_codec::sts::{BaseDate, Issued, NotATokenId};
    ///
    /// let issued = Issued { year: 2004, month: 3, day: 29, hour: 0, minute: 1 };
    /// assert_eq!(BaseDate::Y1993.token_id(issued)?.minutes(), 5_911_202);
    /// let issued = Issued { year: 2024, month: 11, day: 24, hour: 20, minute: 16 };
    /// assert_eq!(BaseDate::Y1993.token_id(issued), Err(NotATokenId::After));
    /// # Ok::<(), NotATokenId>(())
    /// ```
    pub fn token_id(self, issued: Issued) -> Result<TokenId, NotATokenId> {
        let Issued { year, month, day, hour, minute } = issued;
        if hour > 23 || minute > 59 {
            return Err(NotATokenId::NotATime);
        }
        let today = days(year, month, day).ok_or(NotATokenId::NotATime)?;
        let base = days(self.year(), 1, 1).ok_or(NotATokenId::NotATime)?;
        let days = today.checked_sub(base).ok_or(NotATokenId::Before)?;
        let minutes = u32::from(hour).saturating_mul(60).saturating_add(u32::from(minute));
        let minutes = days.saturating_mul(DAY).saturating_add(minutes);
        let id = TokenId::new(minutes).ok_or(NotATokenId::After)?;
        if id.is_reserved() { id.next().ok_or(NotATokenId::After) } else { Ok(id) }
    }
}

/// A minute of civil time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Issued {
    /// Four digits.
    pub year: u16,
    /// 1 to 12.
    pub month: u8,
    /// From 1.
    pub day: u8,
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
}

/// Why a time has no number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotATokenId {
    /// There is no such day or minute.
    NotATime,
    /// Before the base date.
    Before,
    /// 24 bits of minutes after the base date: the meter needs a later one first.
    After,
}

impl fmt::Display for NotATokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NotATokenId::NotATime => "there is no such minute",
            NotATokenId::Before => "the time is before the base date",
            NotATokenId::After => "the base date has run out: the meter needs a later one",
        })
    }
}

impl core::error::Error for NotATokenId {}

/// The number of a token, 24 bits. A later minute has a greater one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TokenId(u32);

impl TokenId {
    /// `None` above 24 bits.
    pub fn new(minutes: u32) -> Option<TokenId> {
        (minutes <= LAST).then_some(TokenId(minutes))
    }

    /// Minutes since the base date.
    pub fn minutes(self) -> u32 {
        self.0
    }

    /// Whether it is the first minute after a midnight, which no ordinary token may have.
    pub fn is_reserved(self) -> bool {
        self.0.checked_rem(DAY) == Some(1)
    }

    /// The next number that an ordinary token may have. Two tokens of one decoder key in one minute
    /// need two, so the second takes this one. `None` at the end of the base date.
    ///
    /// ```
    /// use polymeter_codec::sts::TokenId;
    ///
    /// assert_eq!(TokenId::new(0).and_then(TokenId::next), TokenId::new(2));
    /// assert_eq!(TokenId::new(0xFF_FFFF).and_then(TokenId::next), None);
    /// ```
    pub fn next(self) -> Option<TokenId> {
        let next = TokenId::new(self.0.saturating_add(1))?;
        if next.is_reserved() { TokenId::new(next.0.saturating_add(1)) } else { Some(next) }
    }

    /// The number for a token to a meter whose latest one was `given`: this one, or the next after
    /// `given` where that is not below it.
    ///
    /// ```
    /// use polymeter_codec::sts::TokenId;
    ///
    /// let now = TokenId::new(480).expect("24 bits");
    /// assert_eq!(now.after(None), Some(now));
    /// assert_eq!(now.after(Some(now)), TokenId::new(481));
    /// assert_eq!(now.after(TokenId::new(490)), TokenId::new(491));
    /// ```
    pub fn after(self, given: Option<TokenId>) -> Option<TokenId> {
        match given {
            Some(given) if given >= self => given.next(),
            _ => Some(self),
        }
    }
}

/// Days since 1 January 1993; `None` before it, and where there is no such day.
fn days(year: u16, month: u8, day: u8) -> Option<u32> {
    let whole_years = (1993..year).map(|year| if is_leap(year) { 366 } else { 365 });
    let whole_months = (1..month).map(|month| month_days(year, month));
    let fits = year >= 1993
        && (1..=12).contains(&month)
        && (1..=month_days(year, month)).contains(&u32::from(day));
    let before = whole_years.chain(whole_months).fold(0_u32, u32::saturating_add);
    fits.then(|| before.saturating_add(u32::from(day)).saturating_sub(1))
}

fn is_leap(year: u16) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

fn month_days(year: u16, month: u8) -> u32 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(year: u16, (month, day): (u8, u8), (hour, minute): (u8, u8)) -> Issued {
        Issued { year, month, day, hour, minute }
    }

    #[test]
    fn each_base_date_ends_after_24_bits_of_minutes() {
        for base in BaseDate::ALL {
            let year = base.year() + 31;
            let minutes = |issued| base.token_id(issued).map(TokenId::minutes);
            assert_eq!(minutes(at(year, (11, 24), (20, 15))), Ok(LAST), "{base:?}");
            assert_eq!(minutes(at(year, (11, 24), (20, 16))), Err(NotATokenId::After));
            assert_eq!(minutes(at(base.year(), (1, 1), (0, 0))), Ok(0));
            assert_eq!(minutes(at(base.year(), (1, 1), (0, 1))), Ok(2));
            assert!(minutes(at(base.year() - 1, (12, 31), (23, 59))).is_err());
        }
    }

    #[test]
    fn a_day_that_is_none_has_no_number() {
        let none = [(0, 1), (13, 1), (2, 30), (4, 31), (1, 0)].map(|day| at(2016, day, (0, 0)));
        for issued in none.into_iter().chain([
            at(2016, (1, 1), (24, 0)),
            at(2016, (1, 1), (0, 60)),
            at(2100, (2, 29), (0, 0)),
        ]) {
            let id = BaseDate::Y2014.token_id(issued);
            assert_eq!(id, Err(NotATokenId::NotATime), "{issued:?}");
        }
        assert!(BaseDate::Y2014.token_id(at(2016, (2, 29), (0, 0))).is_ok());
    }
}

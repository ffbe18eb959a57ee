//! The settlements of the last twelve months, as records.
//!
//! The meter keeps volumes without their days. A record has the day that follows from the meter's own
//! day of settlement and its clock, and only where these leave no choice.
//!
//! Invariant: no day is guessed: a volume that could be of two months is told in words and is no
//! record. A place that was never written (all FF, or a volume of 0) has no record.

use crate::exchange::{Answer, Exchange};
use crate::read::{channel, clock_of, volume, water};
use crate::settings::{Settings, bad};
use polymeter_codec::bcd;
use polymeter_codec::cjt188::{Amount, Content, Water, control, identifier};
use polymeter_driver::codes::{error, quality};
use polymeter_driver::{
    Call, DriverError, Host, LocalTime, RecordEntries, RecordEntry, RecordKind, RecordsAsked,
    Value, time,
};

const MONTHLY: &str = "monthly";
/// D120H to D12BH.
const MONTHS: u8 = 12;
/// A day that every month has.
const DAY_MOST: u8 = 28;

pub fn kinds() -> Vec<RecordKind> {
    vec![RecordKind::profile(MONTHLY, "Monthly settlements", "月结算")]
}

/// The day of the newest settlement that the meter keeps: year, month, day.
type Day = (u16, u8, u8);

/// Which month is next, and what was known of the days when the page before ended.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Position {
    back: u8,
    newest: Option<Day>,
}

pub fn read(
    host: &mut dyn Host,
    call: &Call,
    asked: RecordsAsked<'_>,
) -> Result<RecordEntries, DriverError> {
    if asked.kind != MONTHLY {
        return Err(bad(format!("`{}` is no kind of records of these meters", asked.kind)));
    }
    let position = asked.position.map(Position::of).transpose()?;
    let mut exchange = Exchange::new(host, call, Settings::of(call)?);
    let shown = water(&mut exchange)?;
    let day = settlement_day(&mut exchange)?;
    let mut page = Page {
        exchange,
        since: asked.since,
        left: asked.questions.saturating_sub(2),
        told: RecordEntries { entries: Vec::new(), damaged: Vec::new(), next: None },
    };
    let passed = day.and_then(|day| passed(&shown, day));
    match position {
        // Nothing was settled since the page before.
        Some(Position { back, newest }) if newest.is_none() || newest == passed => {
            page.months(back, newest)?;
        }
        _ => page.newest_first(&shown, passed)?,
    }
    Ok(page.told)
}

/// 8103H; `None` for a meter that does not tell it, or tells none that every month has.
fn settlement_day(exchange: &mut Exchange<'_>) -> Result<Option<u8>, DriverError> {
    let payload = match exchange.ask(control::READ, identifier::SETTLEMENT_DAY, &[]) {
        Ok(Answer::Yes(_, _, payload)) => payload,
        Ok(Answer::No(_)) => return Ok(None),
        Err(failed) => return Err(failed),
    };
    let day = payload.first().copied().and_then(bcd::pair);
    Ok(day.filter(|day| (1..=DAY_MOST).contains(day)))
}

/// The last day of settlement that the meter's clock has passed.
fn passed(shown: &Water, day: u8) -> Option<Day> {
    let clock = clock_of(shown)?;
    let this_month = (clock.year, clock.month, day);
    if clock.day >= day { Some(this_month) } else { back(this_month, 1) }
}

/// So many months before.
fn back((year, month, day): Day, months: u8) -> Option<Day> {
    let of_year = u32::from(month).checked_sub(1)?;
    let all = u32::from(year).checked_mul(12)?.checked_add(of_year)?.checked_sub(months.into())?;
    let year = u16::try_from(all.checked_div(12)?).ok()?;
    let month = u8::try_from(all.checked_rem(12)?.checked_add(1)?).ok()?;
    Some((year, month, day))
}

impl Position {
    fn of(bytes: &[u8]) -> Result<Position, DriverError> {
        match *bytes {
            [back] if back < MONTHS => Ok(Position { back, newest: None }),
            [back, high, low, month @ 1..=12, day @ 1..=DAY_MOST] if back < MONTHS => {
                let newest = Some((u16::from_be_bytes([high, low]), month, day));
                Ok(Position { back, newest })
            }
            _ => Err(bad("a position that is none of this kind".to_owned())),
        }
    }

    fn bytes(self) -> Vec<u8> {
        let mut bytes = vec![self.back];
        if let Some((year, month, day)) = self.newest {
            bytes.extend(year.to_be_bytes());
            bytes.extend([month, day]);
        }
        bytes
    }
}

struct Page<'a> {
    exchange: Exchange<'a>,
    since: LocalTime,
    /// Questions that may still be asked.
    left: u32,
    told: RecordEntries,
}

impl Page<'_> {
    /// D120H is the last settlement that passed, which the settled volume of 901FH bears out, or that
    /// of the calendar month before: before the day of settlement these are the same.
    fn newest_first(&mut self, shown: &Water, passed: Option<Day>) -> Result<(), DriverError> {
        let Some(first) = self.month(0)? else { return Ok(()) };
        let before_the_day = clock_of(shown)
            .zip(passed)
            .is_some_and(|(clock, day)| (clock.year, clock.month) != (day.0, day.1));
        let same = first.as_ref() == Ok(&shown.settled);
        let newest = passed.filter(|_| before_the_day || same);
        if self.tell(0, first, newest) {
            self.months(1, newest)?;
        }
        Ok(())
    }

    fn months(&mut self, first: u8, newest: Option<Day>) -> Result<(), DriverError> {
        for back in first..MONTHS {
            if self.left == 0 {
                self.told.next = Some(Position { back, newest }.bytes());
                return Ok(());
            }
            let Some(amount) = self.month(back)? else { return Ok(()) };
            if !self.tell(back, amount, newest) {
                return Ok(());
            }
        }
        Ok(())
    }

    /// `None`: the meter has no such month. `Err`: why what came is no volume; empty for a place that
    /// was never written.
    fn month(&mut self, back: u8) -> Result<Option<Result<Amount, String>>, DriverError> {
        self.left = self.left.saturating_sub(1);
        let identifier = identifier::MONTHS.saturating_add(back.into());
        let payload = match self.exchange.ask(control::READ, identifier, &[]) {
            Ok(Answer::Yes(_, _, payload)) => payload,
            Ok(Answer::No(_)) => return Ok(None),
            Err(spoiled) if spoiled.code == error::GARBLED => {
                return Ok(Some(Err(spoiled.detail)));
            }
            Err(failed) => return Err(failed),
        };
        // Four of the five bytes are the number.
        if payload.iter().filter(|byte| **byte == 0xFF).count() >= 4 {
            return Ok(Some(Err(String::new())));
        }
        let content = Content { identifier, serial: None, payload: &payload };
        let amount = content.month(&self.exchange.settings.dialect);
        Ok(Some(amount.map_err(|why| why.to_string())))
    }

    /// Whether older ones are wanted.
    fn tell(&mut self, back: u8, amount: Result<Amount, String>, newest: Option<Day>) -> bool {
        let nth = back.saturating_add(1);
        let amount = match amount {
            Ok(amount) if amount.mantissa() == Ok(0) => return true,
            Ok(amount) => amount,
            Err(why) => {
                if !why.is_empty() {
                    self.told.damaged.push(format!("settlement {nth} back: {why}"));
                }
                return true;
            }
        };
        let register = format!("{}.255", channel(self.exchange.settings.kind));
        let measured = volume(&register, &amount);
        if measured.quality != quality::MEASURED {
            self.told.damaged.push(format!("settlement {nth} back is no volume"));
            return true;
        }
        let Some((year, month, day)) = newest.and_then(|newest| self::back(newest, back)) else {
            let digits = amount.mantissa().unwrap_or_default();
            let detail = "its day is not known: clock, day of settlement and settled volume of the \
                          meter leave a choice";
            self.told.damaged.push(format!("settlement {nth} back, digits {digits}: {detail}"));
            return true;
        };
        let at = LocalTime { year, month, day, hour: 0, minute: 0, second: 0 };
        if time::seconds(at) < time::seconds(self.since) {
            return false;
        }
        let dated_by = format!("day of settlement {day}");
        self.told.entries.push(RecordEntry {
            at: Some(at),
            event: String::new(),
            device_code: None,
            measurements: vec![measured],
            extras: vec![("dated-by".to_owned(), Value::Text(dated_by))],
        });
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_before() {
        let check = |day, months, expected| assert_eq!(back(day, months), expected, "{day:?}");
        check((2026, 11, 25), 0, Some((2026, 11, 25)));
        check((2026, 1, 25), 1, Some((2025, 12, 25)));
        check((2026, 11, 1), 11, Some((2025, 12, 1)));
        check((0, 1, 1), 1, None);
    }

    #[test]
    fn positions() {
        for bytes in [&[3][..], &[11, 7, 0xEA, 12, 28]] {
            let read = Position::of(bytes).map(Position::bytes);
            assert_eq!(read.ok().as_deref(), Some(bytes));
        }
        for bytes in [&[][..], &[12], &[0, 7, 0xEA, 13, 1], &[0, 7, 0xEA, 1, 29], &[0, 0, 0, 1]] {
            assert!(Position::of(bytes).is_err(), "{bytes:?}");
        }
    }
}

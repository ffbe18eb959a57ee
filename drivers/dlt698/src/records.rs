//! What a meter keeps of the past, as records: minute, day and month freezes (classes 9 of 5002, 5004,
//! 5006), and events (3000 on), asked for by GetRequestRecord.
//!
//! Invariant: a record stands for a row that the meter has; a value that it left out is no value. A page
//! sends no more frames than it may, and where it stopped is all in its position. What a meter does not
//! keep is no error.
//!
//! Not here: the settlement freeze (5005) and those of switching tariffs; records of meters behind a
//! terminal.

use crate::clock;
use crate::exchange::Exchange;
use crate::measure::{self, Measured, local};
use crate::read::one;
use crate::settings::{Settings, bad};
use polymeter_codec::dlt698::{Ask, Body, Column, Data, GetResult, Got, Oad, RecordResult};
use polymeter_driver::codes::{error, quality};
use polymeter_driver::{
    Call, Decimal, DriverError, Host, LocalTime, RecordEntries, RecordEntry, RecordKind,
    RecordsAsked, Value, time,
};

const LOAD: &str = "load";
const DAILY: &str = "daily";
const MONTHLY: &str = "monthly";
const EVENTS: &str = "events";

/// Freezes of minutes, days and months: their tables are attribute 2, what they freeze attribute 3.
const MINUTES: u16 = 0x5002;
const DAYS: u16 = 0x5004;
const MONTHS: u16 = 0x5006;
const TABLE: u8 = 2;
const FROZEN: u8 = 3;
/// When a row was frozen.
const FROZEN_AT: Oad = Oad(0x2021_0200);
/// What is asked for where the meter does not tell what it freezes.
const PLAIN: [Oad; 2] = [measure::ENERGY, measure::ENERGY_REVERSE];
/// Columns of one question.
const COLUMNS_MAX: usize = 16;
/// Minutes from freeze to freeze, where the meter does not tell.
const PERIOD_MINUTES: u16 = 15;
/// Unit 1 of an interval.
const OF_MINUTES: u8 = 1;
/// Rows asked for at once.
const ROWS_MOST: u8 = 12;
/// Rows of freezes that are asked for one after the other, and of one event: what meters keep.
const FREEZES_MOST: u8 = 254;
const EVENTS_MOST: u8 = 100;
/// Frames that one row may take, where rows are asked for one by one: it and its parts.
const FRAMES_A_ROW: u32 = 3;
/// DAR: other, no such object; an attribute that an object of this class has not.
const UNDEFINED: u8 = 4;
const NO_OBJECT: u8 = 6;

/// Number of an event's record, when it began, when it was over.
const EVENT_COLUMNS: [Oad; 3] = [Oad(0x2022_0200), BEGAN, ENDED];
const BEGAN: Oad = Oad(0x201E_0200);
const ENDED: Oad = Oad(0x2020_0200);

/// An event's object, the shared name, and where its records stand.
struct Event {
    object: u16,
    name: &'static str,
    /// Attributes with tables: 2 where the event is of the whole meter (class 7); 7 to 9 for the phases
    /// where it is of one (class 24), and 6 before them for all of it together.
    first: u8,
    last: u8,
}

const fn event(object: u16, name: &'static str) -> Event {
    Event { object, name, first: 2, last: 2 }
}

const fn of_phases(object: u16, name: &'static str) -> Event {
    Event { object, name, first: 7, last: 9 }
}

/// DL/T 698.45-2017, appendix A: events of meters. Names: docs/contract.md. What a phase says does not
/// stand in the name.
const EVENT_OBJECTS: &[Event] = &[
    of_phases(0x3000, "voltage-lost"),
    of_phases(0x3001, "voltage-low"),
    of_phases(0x3002, "voltage-high"),
    of_phases(0x3003, "phase-missing"),
    of_phases(0x3004, "current-lost"),
    of_phases(0x3005, "current-high"),
    Event { object: 0x3007, name: "power-reversed", first: 6, last: 9 },
    of_phases(0x3008, "overload"),
    event(0x300F, "voltage-phases-reversed"),
    event(0x3010, "current-phases-reversed"),
    event(0x3011, "power-down"),
    event(0x3012, "programmed"),
    event(0x3015, "events-cleared"),
    event(0x3016, "clock-set"),
    event(0x301B, "cover-open"),
    event(0x301C, "terminal-cover-open"),
    event(0x301F, "relay-opened"),
    event(0x3020, "relay-closed"),
    event(0x302A, "magnetic-field"),
    event(0x302B, "relay-fault"),
    event(0x302E, "clock-fault"),
];

pub fn kinds() -> Vec<RecordKind> {
    vec![
        RecordKind::profile(LOAD, "Load profile", "分钟冻结"),
        RecordKind::profile(DAILY, "Daily freezes", "日冻结"),
        RecordKind::profile(MONTHLY, "Monthly freezes", "月冻结"),
        RecordKind::events(EVENTS, "Events", "事件记录"),
    ]
}

pub fn read(
    host: &mut dyn Host,
    call: &Call,
    asked: RecordsAsked<'_>,
) -> Result<RecordEntries, DriverError> {
    let settings = Settings::asking(call)?;
    let mut exchange = Exchange::new(host, settings);
    exchange.most = asked.questions;
    let told = RecordEntries { entries: Vec::new(), damaged: Vec::new(), next: None };
    let mut page = Page { exchange, since: time::seconds(asked.since), told };
    let position = asked.position;
    let next = match asked.kind {
        LOAD => page.load(call.now, position)?,
        DAILY => page.freezes(DAYS, position)?,
        MONTHLY => page.freezes(MONTHS, position)?,
        EVENTS => page.events(position)?,
        other => return Err(bad(format!("`{other}` is no kind of records of these meters"))),
    };
    let mut told = page.told;
    if next.as_deref().is_some_and(|next| Some(next) == position) {
        let why = format!("the {} questions of a page are too few for this meter", asked.questions);
        return Err(DriverError::new(error::LINE, why));
    }
    told.next = next;
    Ok(told)
}

fn at_position<const N: usize>(position: Option<&[u8]>) -> Result<Option<[u8; N]>, DriverError> {
    let not_ours = |_| bad("a position that is none of this kind");
    position.map(|bytes| <[u8; N]>::try_from(bytes).map_err(not_ours)).transpose()
}

struct Page<'a> {
    exchange: Exchange<'a>,
    since: i64,
    told: RecordEntries,
}

/// What one question for rows brought.
enum Came {
    /// So many, and whether some are older than was asked for.
    Rows { count: usize, is_old: bool },
    /// The meter's reason.
    Refused(u8),
    /// There was no frame left for all of the answer.
    Cut,
}

type Next = Result<Option<Vec<u8>>, DriverError>;

impl Page<'_> {
    /// Rows by spans of time, one behind the other up to now. A meter may mean a span with its end or
    /// without: the next one begins where it ended, and a row that comes twice is one.
    fn load(&mut self, now: LocalTime, position: Option<&[u8]>) -> Next {
        let begun = at_position::<9>(position)?;
        let (mut from, mut rows) = match begun {
            None => (self.since, ROWS_MOST),
            Some([t0, t1, t2, t3, t4, t5, t6, t7, rows]) => {
                (i64::from_le_bytes([t0, t1, t2, t3, t4, t5, t6, t7]), rows)
            }
        };
        if rows == 0 {
            return Err(bad("a position that is none of this kind"));
        }
        let (columns, period) = match self.frozen(MINUTES)? {
            Ok(frozen) => frozen,
            Err(_) => return Ok(None),
        };
        let table = oad(MINUTES, TABLE);
        while from <= time::seconds(now) {
            let at = |from: i64, rows| [&from.to_le_bytes()[..], &[rows]].concat();
            // A question and, for each row, the confirmation of a part.
            let fit = self.exchange.left().saturating_sub(1).min(rows.into());
            let Ok(count @ 1..) = u8::try_from(fit) else { return Ok(Some(at(from, rows))) };
            let seconds = i64::from(period).saturating_mul(60).saturating_mul(count.into());
            let to = from.saturating_add(seconds);
            let span = (clock::of(time::at(from)), clock::of(time::at(to)), (OF_MINUTES, period));
            let ask = Ask::Between { table, by: FROZEN_AT, span, columns: &columns };
            match self.rows(ask, &columns, None)? {
                Came::Rows { .. } => from = to,
                Came::Refused(UNDEFINED | NO_OBJECT) => return Ok(None),
                Came::Refused(why) => return Ok(self.refused(table, why)),
                Came::Cut => {
                    rows = count.div_ceil(2);
                    return Ok(Some(at(from, rows)));
                }
            }
        }
        Ok(None)
    }

    /// The last rows of a freeze, until one is missing or older than was asked for.
    fn freezes(&mut self, object: u16, position: Option<&[u8]>) -> Next {
        let [mut nth] = at_position(position)?.unwrap_or([1]);
        let (columns, _) = match self.frozen(object)? {
            Ok(frozen) => frozen,
            Err(_) => return Ok(None),
        };
        let table = oad(object, TABLE);
        while (1..=FREEZES_MOST).contains(&nth) {
            if self.exchange.left() < FRAMES_A_ROW {
                return Ok(Some(vec![nth]));
            }
            match self.rows(Ask::NthLast { table, nth, columns: &columns }, &columns, None)? {
                Came::Rows { count: 1.., is_old: false } => nth = nth.saturating_add(1),
                Came::Rows { .. } | Came::Refused(UNDEFINED | NO_OBJECT) => return Ok(None),
                Came::Refused(why) => return Ok(self.refused(table, why)),
                Came::Cut => return Ok(Some(vec![nth])),
            }
        }
        Ok(None)
    }

    /// Each event from its last record back, until one is missing or older than was asked for.
    fn events(&mut self, position: Option<&[u8]>) -> Next {
        let [mut which, mut attribute, mut nth] = at_position(position)?.unwrap_or([0, 0, 1]);
        while let Some(event) = EVENT_OBJECTS.get(usize::from(which)) {
            attribute = attribute.max(event.first);
            if self.exchange.left() < FRAMES_A_ROW {
                return Ok(Some(vec![which, attribute, nth]));
            }
            let table = oad(event.object, attribute);
            let ask = Ask::NthLast { table, nth, columns: &EVENT_COLUMNS };
            match self.rows(ask, &EVENT_COLUMNS, Some((event, table)))? {
                Came::Cut => return Ok(Some(vec![which, attribute, nth])),
                Came::Rows { count: 1.., is_old: false } if nth < EVENTS_MOST => {
                    nth = nth.saturating_add(1);
                    continue;
                }
                Came::Rows { .. } | Came::Refused(UNDEFINED | NO_OBJECT) => {}
                Came::Refused(why) => drop(self.refused(table, why)),
            }
            // Its next table, or the next event.
            (attribute, nth) = (attribute.saturating_add(1), 1);
            if attribute > event.last {
                (which, attribute) = (which.saturating_add(1), 0);
            }
        }
        Ok(None)
    }

    /// What is told of a table that the meter does not let us read, which is over then.
    fn refused(&mut self, table: Oad, why: u8) -> Option<Vec<u8>> {
        self.told.damaged.push(format!("{table}: the meter refuses it, {why:02X}"));
        None
    }

    /// The columns of a freeze, its time first, and its shortest period. The meter's reason where there
    /// is no such freeze.
    fn frozen(&mut self, object: u16) -> Result<Result<(Vec<Oad>, u16), u8>, DriverError> {
        let attribute = oad(object, FROZEN);
        let answer = self.exchange.ask(Ask::Get(attribute))?;
        let body = answer.body()?;
        let (mut columns, mut period) = (vec![FROZEN_AT], u16::MAX);
        match one(&body, attribute)? {
            GetResult::Refused(why @ NO_OBJECT) => return Ok(Err(why)),
            // It does not tell: what every meter freezes.
            GetResult::Refused(_) => {}
            GetResult::Data(Data::Array(rows)) => {
                // The period, what is frozen, how many rows are kept.
                for row in rows.iter() {
                    let Data::Structure(fields) = row else { continue };
                    let mut fields = fields.iter();
                    if let (Some(Data::Unsigned { value, .. }), Some(Data::Attribute(of))) =
                        (fields.next(), fields.next())
                        && columns.len() < COLUMNS_MAX
                        && Measured::knows(of)
                    {
                        columns.push(of);
                        period = period.min(u16::try_from(value).unwrap_or(u16::MAX).max(1));
                    }
                }
            }
            GetResult::Data(_) => {
                let why = format!("{attribute} is no list of what is frozen");
                return Err(DriverError::new(error::GARBLED, why));
            }
        }
        if columns.len() == 1 {
            columns.extend(PLAIN);
        }
        let period = if period == u16::MAX { PERIOD_MINUTES } else { period };
        Ok(Ok((columns, period)))
    }

    /// Asks for rows, and takes those that were asked for.
    fn rows(
        &mut self,
        ask: Ask<'_>,
        columns: &[Oad],
        of: Option<(&Event, Oad)>,
    ) -> Result<Came, DriverError> {
        let answer = match self.exchange.ask(ask) {
            Ok(answer) => answer,
            Err(_) if self.exchange.left() == 0 => return Ok(Came::Cut),
            Err(why) => return Err(why),
        };
        let body = answer.body()?;
        let result = table(&body, columns)?;
        let rows = match result.rows {
            Ok(rows) => rows,
            Err(why) => return Ok(Came::Refused(why)),
        };
        let values: Vec<Data<'_>> = rows.values.iter().collect();
        let (mut count, mut is_old) = (0_usize, false);
        for row in values.chunks(columns.len().max(1)) {
            count = count.saturating_add(1);
            let record = record(columns, row, of);
            if record.at.is_some_and(|at| time::seconds(at) < self.since) {
                is_old = true;
            } else if row.iter().any(|value| *value != Data::Null) {
                self.told.entries.push(record);
            }
        }
        Ok(Came::Rows { count, is_old })
    }
}

fn oad(object: u16, attribute: u8) -> Oad {
    Oad(u32::from(object) << 16 | u32::from(attribute) << 8)
}

/// The rows that were asked for: of this table, in these columns.
fn table<'a>(body: &Body<'a>, columns: &[Oad]) -> Result<RecordResult<'a>, DriverError> {
    let Body::Got(Got::Record(result)) = body else {
        return Err(DriverError::new(error::OTHER_DEVICE, "not an answer with rows of a table"));
    };
    let asked = columns.iter().map(|column| Column::Attribute(*column));
    if result.rows.is_ok() && !result.columns.iter().eq(asked) {
        let why = format!("columns of {} that were not asked for", result.table);
        return Err(DriverError::new(error::OTHER_DEVICE, why));
    }
    Ok(*result)
}

fn record(columns: &[Oad], row: &[Data<'_>], of: Option<(&Event, Oad)>) -> RecordEntry {
    let mut record = RecordEntry {
        at: None,
        event: of.map_or_else(String::new, |(event, _)| event.name.to_owned()),
        device_code: of.map(|(_, table)| table.to_string()),
        measurements: Vec::new(),
        extras: Vec::new(),
    };
    let mut measured = Measured::default();
    for (column, data) in columns.iter().zip(row) {
        match *column {
            FROZEN_AT | BEGAN => record.at = local(data),
            // It is not over yet where there is none.
            ENDED => {
                let end = local(data).map(|at| ("end".to_owned(), Value::Time(at)));
                record.extras.extend(end);
            }
            _ if *data == Data::Null => {}
            attribute if of.is_none() => measured.take(attribute, &GetResult::Data(*data)),
            // The number of an event's record.
            _ => {
                if let Data::Unsigned { value, .. } = data
                    && let Ok(mantissa) = i64::try_from(*value)
                {
                    let number = Value::Number(Decimal { mantissa, scale: 0 });
                    record.extras.push(("number".to_owned(), number));
                }
            }
        }
    }
    measured.measurements.retain(|it| it.quality != quality::NOT_MEASURED);
    record.measurements = measured.measurements;
    record.extras.extend(measured.extras);
    record
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may say so by failing")]
mod tests {
    use super::*;
    use polymeter_codec::dlt698::Apdu;

    /// DL/T 698.45-2017, appendix D: the last day of a meter that has counted nothing.
    const PUBLISHED: &[u8] = &[
        0x85, 0x03, 0x03, 0x50, 0x04, 0x02, 0x00, 0x02, 0x00, 0x20, 0x21, 0x02, 0x00, 0x00, 0x00,
        0x10, 0x02, 0x00, 0x01, 0x01, 0x1C, 0x07, 0xE0, 0x01, 0x14, 0x00, 0x00, 0x00, 0x01, 0x05,
        0x06, 0, 0, 0, 0, 0x06, 0, 0, 0, 0, 0x06, 0, 0, 0, 0, 0x06, 0, 0, 0, 0, 0x06, 0, 0, 0, 0,
        0, 0,
    ];

    #[test]
    fn a_published_row_is_a_record_and_other_columns_than_asked_are_none() {
        let apdu = Apdu::decode(PUBLISHED).unwrap();
        let columns = [FROZEN_AT, measure::ENERGY];
        let result = table(&apdu.body, &columns).unwrap();
        let values: Vec<_> = result.rows.unwrap().values.iter().collect();
        let told = record(&columns, &values, None);
        let at = LocalTime { year: 2016, month: 1, day: 20, hour: 0, minute: 0, second: 0 };
        assert_eq!(told.at, Some(at));
        let registers = told.measurements.iter().map(|it| it.register.as_str());
        assert!(registers.eq((0..5).map(|tariff| format!("1.0.1.8.{tariff}.255"))));
        for other in [&[FROZEN_AT][..], &[measure::ENERGY, FROZEN_AT], &EVENT_COLUMNS] {
            let no = table(&apdu.body, other).unwrap_err();
            assert_eq!(no.code, error::OTHER_DEVICE);
        }
    }
}

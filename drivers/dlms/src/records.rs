//! What a meter keeps of the past, as records: profiles by range of time, or by their places where
//! they have no period or the meter knows no ranges; event logs with their codes.
//!
//! Invariant: a page sends no more frames than it may, and one that would need more asks for fewer
//! rows the next time; where it stopped is all in its position. What a meter does not keep is no error.

use crate::association;
use crate::link::Line;
use crate::measure::{dotted, octets_of};
use crate::place::{Next, Place};
use crate::profile::{self, Asked, BUFFER, CLASS, ENTRIES_IN_USE, Profile};
use crate::session::Session;
use crate::settings::{Companion, Settings, bad};
use polymeter_codec::Obis;
use polymeter_codec::dlms::{Attribute, Data, entries, range};
use polymeter_driver::codes::error;
use polymeter_driver::{
    Call, DriverError, Host, RecordEntries, RecordEntry, RecordKind, RecordsAsked, time,
};

const LOAD: &str = "load";
const DAILY: &str = "daily";
const BILLING: &str = "billing";
const EVENTS: &str = "events";

const BY_RANGE: u8 = 1;
const BY_ENTRY: u8 = 2;
/// The association's end, which is asked for whatever happened.
const TO_FINISH: u32 = 1;
/// Records of one page (docs/contract.md), and the bytes of one answer with rows.
const RECORDS_MAX: usize = 256;
const ANSWER_BYTES: usize = 8_192;

pub fn kinds() -> Vec<RecordKind> {
    vec![
        RecordKind::profile(LOAD, "Load profile", "负荷曲线"),
        RecordKind::profile(DAILY, "Daily values", "日冻结"),
        RecordKind::profile(BILLING, "Billing periods", "结算冻结"),
        RecordKind::events(EVENTS, "Events", "事件记录"),
    ]
}

pub fn read(
    host: &mut dyn Host,
    call: &Call,
    asked: RecordsAsked<'_>,
) -> Result<RecordEntries, DriverError> {
    let settings = Settings::of(call)?;
    let past = &settings.past;
    let profiles = match asked.kind {
        LOAD => past.load.as_slice(),
        DAILY => past.daily.as_slice(),
        BILLING => past.billing.as_slice(),
        EVENTS => past.events.as_slice(),
        other => return Err(bad(format!("`{other}` is no kind of records of these meters"))),
    };
    let since = time::seconds(asked.since);
    let place = match asked.position {
        None => Place::beginning(0, since),
        Some(position) => Place::read(position)
            .filter(|place| usize::from(place.list) < profiles.len())
            .ok_or_else(|| bad("a position that is none of this kind"))?,
    };
    let told = RecordEntries { entries: Vec::new(), damaged: Vec::new(), next: None };
    if profiles.is_empty() {
        return Ok(told);
    }
    let line = Line::within(host, asked.questions.saturating_sub(TO_FINISH));
    let session = association::over(line, &settings, call)?;
    let until = time::seconds(call.now);
    let (is_events, companion) = (asked.kind == EVENTS, past.companion);
    let is_one_of_several = profiles.len() > 1;
    let mut page = Page { session, since, until, is_events, is_one_of_several, companion, told };
    let ended = page.go_through(profiles, place.clone());
    let Page { session, mut told, .. } = page;
    session.hang_up();
    told.next = ended?.map(|next| next.written());
    if told.next.is_some() && told.next == Some(place.written()) {
        let why = format!("the {} questions of a page are too few for this meter", asked.questions);
        return Err(DriverError::new(error::LINE, why));
    }
    Ok(told)
}

struct Page<'a> {
    session: Session<'a>,
    since: i64,
    until: i64,
    is_events: bool,
    /// There are more profiles of this kind: a row says which it is of, since two may have a time each.
    is_one_of_several: bool,
    companion: Companion,
    told: RecordEntries,
}

/// What a question came to.
enum Came<T> {
    Answer(T),
    /// The page is over before it had its answer.
    Cut,
}

impl Page<'_> {
    /// Where it goes on, if it does.
    fn go_through(
        &mut self,
        profiles: &[Obis],
        mut place: Place,
    ) -> Result<Option<Place>, DriverError> {
        while let Some(object) = profiles.get(usize::from(place.list)) {
            if !self.profile(*object, &mut place)? {
                return Ok(Some(place));
            }
            place = Place::beginning(place.list.saturating_add(1), self.since);
        }
        Ok(None)
    }

    /// Whether all of it is read.
    fn profile(&mut self, object: Obis, place: &mut Place) -> Result<bool, DriverError> {
        if place.profile.is_none() {
            let asked = profile::ask(&mut self.session, object);
            let Came::Answer(asked) = self.came(asked)? else { return Ok(false) };
            match asked {
                Asked::Known(profile) => {
                    if profile.period == 0 {
                        place.next = Next::Behind(0);
                    }
                    place.profile = Some(profile);
                }
                Asked::Absent => return Ok(true),
                Asked::Refused(why) => return Ok(self.refused(object, why)),
            }
        }
        while let Some(profile) = &mut place.profile {
            let asked = profile.ask_meaning(&mut self.session);
            match self.came(asked)? {
                Came::Cut => return Ok(false),
                Came::Answer(true) => {}
                Came::Answer(false) => break,
            }
        }
        loop {
            let Some(profile) = &place.profile else { return Ok(true) };
            let rows = self.rows_at_once(profile, place.rows_most);
            if rows == 0 {
                return Ok(false);
            }
            let asked = match place.next {
                Next::From(from) => self.by_range(object, profile, from, rows),
                Next::Behind(newest) => self.by_places(object, profile, newest, rows),
            };
            let asked = match self.came(asked)? {
                Came::Answer(asked) => asked,
                Came::Cut => {
                    place.rows_most = u16::try_from(rows.div_ceil(2)).unwrap_or(u16::MAX);
                    return Ok(false);
                }
            };
            match asked {
                Rows::Next(next) => place.next = next,
                Rows::Over => return Ok(true),
                // It knows no ranges: their places, perhaps.
                Rows::Refused(_) if matches!(place.next, Next::From(_)) => {
                    place.next = Next::Behind(0);
                }
                Rows::Refused(why) => return Ok(self.refused(object, why)),
            }
        }
    }

    /// An answer, unless there was no frame left for it.
    fn came<T>(&self, asked: Result<T, DriverError>) -> Result<Came<T>, DriverError> {
        match asked {
            Ok(answer) => Ok(Came::Answer(answer)),
            Err(_) if self.session.left() == 0 => Ok(Came::Cut),
            Err(why) => Err(why),
        }
    }

    /// A profile that the meter does not let us read is told of, and over.
    fn refused(&mut self, object: Obis, why: u8) -> bool {
        self.told.damaged.push(format!("{}: the meter refuses it, {why:02X}", dotted(object)));
        true
    }

    /// As many as come in the frames that are left; none where the page is full.
    fn rows_at_once(&self, profile: &Profile, most: u16) -> usize {
        let frames = usize::try_from(self.session.left()).unwrap_or(usize::MAX);
        let bytes = frames.saturating_mul(self.session.bytes_a_frame()).min(ANSWER_BYTES);
        let fit = bytes.checked_div(profile.row_bytes()).unwrap_or(0);
        // Where not even one seems to fit, the first of a page is tried nevertheless.
        let least = usize::from(self.told.entries.is_empty() && frames > 0);
        let room = RECORDS_MAX.saturating_sub(self.told.entries.len());
        fit.max(least).min(most.into()).min(room)
    }

    /// The rows of so many periods from a time on.
    fn by_range(
        &mut self,
        object: Obis,
        profile: &Profile,
        from: i64,
        rows: usize,
    ) -> Result<Rows, DriverError> {
        if from > self.until {
            return Ok(Rows::Over);
        }
        let periods = i64::try_from(rows).unwrap_or(1).saturating_mul(profile.period.into());
        let next = from.saturating_add(periods);
        let mut parameters = [0; 64];
        let bounds = [from, next.saturating_sub(1)].map(|at| octets_of(time::at(at)));
        let length = range(bounds[0], bounds[1], &mut parameters);
        let length = length.map_err(|why| bad(why.to_string()))?;
        let parameters = parameters.get(..length).unwrap_or_default();
        match self.rows(object, profile, (BY_RANGE, parameters))? {
            Ok(_) => Ok(Rows::Next(Next::From(next))),
            Err(why) => Ok(Rows::Refused(why)),
        }
    }

    /// The rows behind so many of the newest.
    fn by_places(
        &mut self,
        object: Obis,
        profile: &Profile,
        newest: u32,
        rows: usize,
    ) -> Result<Rows, DriverError> {
        let of = Attribute { class: CLASS, object, attribute: ENTRIES_IN_USE };
        let count = match self.session.get(of)?.data()? {
            Ok(Data::Unsigned { value, .. }) => u32::try_from(value).unwrap_or(u32::MAX),
            Ok(_) => return Err(crate::session::garbled("a number of rows that is none")),
            Err(why) => return Ok(Rows::Refused(why)),
        };
        let left = count.saturating_sub(newest);
        let taken = u32::try_from(rows).unwrap_or(u32::MAX).min(left);
        if taken == 0 {
            return Ok(Rows::Over);
        }
        let last = if profile.newest_first { newest.saturating_add(taken) } else { left };
        let first = last.saturating_sub(taken).saturating_add(1);
        let mut parameters = [0; 32];
        let length = entries(first, last, &mut parameters).map_err(|why| bad(why.to_string()))?;
        let parameters = parameters.get(..length).unwrap_or_default();
        match self.rows(object, profile, (BY_ENTRY, parameters))? {
            Ok(true) => Ok(Rows::Over),
            Ok(false) if taken == left => Ok(Rows::Over),
            Ok(false) => Ok(Rows::Next(Next::Behind(newest.saturating_add(taken)))),
            Err(why) => Ok(Rows::Refused(why)),
        }
    }

    /// Takes what a selection brings; whether some of it is older than was asked for, or why the meter
    /// refuses it.
    fn rows(
        &mut self,
        object: Obis,
        profile: &Profile,
        selection: (u8, &[u8]),
    ) -> Result<Result<bool, u8>, DriverError> {
        let buffer = Attribute { class: CLASS, object, attribute: BUFFER };
        let got = self.session.select(buffer, selection)?;
        let data = match got.data()? {
            Ok(data) => data,
            Err(why) => return Ok(Err(why)),
        };
        let log = self.is_events.then_some(object);
        let (mut records, damaged) = profile.records(&data, self.companion, log);
        if self.is_one_of_several && !self.is_events {
            let code = Some(dotted(object));
            records.iter_mut().for_each(|record| record.device_code.clone_from(&code));
        }
        self.told.damaged.extend(damaged);
        let before = records.len();
        let since = self.since;
        let wanted = |record: &RecordEntry| record.at.is_none_or(|at| time::seconds(at) >= since);
        let mut wanted: Vec<RecordEntry> = records.into_iter().filter(wanted).collect();
        let is_old = wanted.len() < before;
        let room = RECORDS_MAX.saturating_sub(self.told.entries.len());
        if wanted.len() > room {
            let more = wanted.len().saturating_sub(room);
            self.told.damaged.push(format!("{more} rows more than were asked for"));
            wanted.truncate(room);
        }
        self.told.entries.extend(wanted);
        Ok(Ok(is_old))
    }
}

/// What a question for rows came to.
enum Rows {
    Next(Next),
    Over,
    Refused(u8),
}

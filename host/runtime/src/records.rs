//! What a device keeps of the past, read in pages: the ability `records` of a driver.
//!
//! Invariant: a page is bounded in entries and in the bytes of its position; a driver whose position
//! does not change is stopped. Not here: which pages follow each other and what is kept (service).

use crate::bindings::exports::polymeter::driver::records;
use crate::carried::Carried;
use crate::convert::{self, Checked, list, local_time, outward, text};
use crate::driver::{Device, Driver, Moment, undescribed};
use crate::error::{CallError, LoadError};
use crate::exports::Functions;
use crate::limits::{NAME_BYTES, RECORDS, TEXT_BYTES};
use crate::session::{Act, Callee, Session};
use crate::text::printable;
use polymeter_domain::{LocalTime, Measurement, Value};
use polymeter_transcript::Request;
use polymeter_transport::LineLease;
use std::collections::BTreeSet;
use std::convert::Infallible;

/// A list of records that a driver can read out of its device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordKind {
    pub name: String,
    pub title_en: String,
    pub title_zh: String,
    /// Events; else values at fixed times.
    pub is_events: bool,
}

/// One record as the device has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// By the device's own clock; `None`: no time that exists.
    pub at: Option<LocalTime>,
    /// What happened; empty in a profile.
    pub event: String,
    pub device_code: Option<String>,
    pub measurements: Vec<Measurement>,
    pub extras: Vec<(String, Value)>,
}

/// What one call brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordPage {
    pub records: Vec<Record>,
    /// What was no record, in words.
    pub damaged: Vec<String>,
    /// Where it goes on; `None`: there is no more.
    pub next: Option<Vec<u8>>,
}

/// Which page is asked for.
#[derive(Debug, Clone, Copy)]
pub struct RecordsAsked<'a> {
    /// The name of a [`RecordKind`].
    pub kind: &'a str,
    pub since: LocalTime,
    /// `next` of the page before.
    pub position: Option<&'a [u8]>,
    pub questions: u32,
}

impl Driver {
    /// What it can read; none where it lacks the ability.
    pub fn record_kinds(&self) -> &[RecordKind] {
        &self.record_kinds
    }

    /// One page.
    pub async fn read_records(
        &self,
        line: &mut LineLease,
        device: &Device,
        moment: Moment,
        asked: RecordsAsked<'_>,
    ) -> Result<RecordPage, CallError> {
        if !self.abilities().records {
            return Err(self.unable("read records"));
        }
        let call = self.call_of(device, moment);
        let RecordsAsked { kind, position, questions, .. } = asked;
        let since = outward::local_time(asked.since);
        let ask = async |session: &mut Session| {
            session.asked(|| Request::ReadRecords {
                told: call.clone().carried(),
                kind: kind.to_owned(),
                since: since.carried(),
                position: position.map(<[u8]>::to_vec),
                questions,
            });
            let said = self
                .functions
                .read_records(session, &call, kind, since, position, questions)
                .await?;
            session.said(said)
        };
        self.callee.call(Act::Look, Some(line), ask, |said| page(said, position)).await.answer
    }
}

/// `before` is the position that was asked from.
pub(crate) fn page(said: records::Entries, before: Option<&[u8]>) -> Checked<RecordPage> {
    let damaged = said.damaged.iter().map(|why| printable(why, TEXT_BYTES));
    let page = RecordPage {
        records: list("records", said.entries, RECORDS.entries, record)?,
        damaged: damaged.take(RECORDS.entries).collect(),
        next: said.next,
    };
    if let Some(next) = &page.next {
        if next.len() > RECORDS.position_bytes {
            let most = RECORDS.position_bytes;
            return Err(format!("a position of {} bytes, more than {most}", next.len()));
        }
        if before == Some(next.as_slice()) {
            return Err("a position that does not get on".to_owned());
        }
    }
    Ok(page)
}

fn record(said: records::Entry) -> Checked<Record> {
    Ok(Record {
        at: said.at.and_then(|at| local_time(at).ok()),
        event: if said.event.is_empty() { String::new() } else { name(said.event)? },
        device_code: said.device_code.map(|code| convert::device_code(&code)),
        measurements: convert::measurements(said.measurements)?,
        extras: convert::extras(said.extras)?,
    })
}

fn name(content: String) -> Checked<String> {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if content.is_empty() || content.len() > RECORDS.name_bytes || !content.bytes().all(fits) {
        return Err(format!("a name `{}`", printable(&content, NAME_BYTES)));
    }
    Ok(content)
}

/// The kinds of a driver that reads records; asked once, at load.
pub(crate) async fn told(
    callee: &Callee,
    functions: &Functions,
) -> Result<Vec<RecordKind>, LoadError> {
    let Some(records) = functions.records() else { return Ok(Vec::new()) };
    let ask = async |session: &mut Session| {
        let at = session.placed()?;
        let records = records.load(&mut at.store, &at.instance)?;
        Ok(Ok::<_, Infallible>(records.call_kinds(&mut at.store).await?))
    };
    let told = callee.call(Act::Look, None, ask, kinds).await;
    told.answer.map_err(|error| undescribed(callee.name(), error))
}

fn kinds(said: Vec<records::Kind>) -> Checked<Vec<RecordKind>> {
    let kinds = list("kinds of records", said, RECORDS.kinds, |said: records::Kind| {
        Ok(RecordKind {
            name: name(said.name)?,
            title_en: text("a title", said.title_en, NAME_BYTES)?,
            title_zh: text("a title", said.title_zh, NAME_BYTES)?,
            is_events: match said.sort {
                1 => false,
                2 => true,
                other => return Err(format!("a sort of records {other}, which is unknown here")),
            },
        })
    })?;
    let names: BTreeSet<&String> = kinds.iter().map(|kind| &kind.name).collect();
    if kinds.is_empty() || names.len() < kinds.len() {
        return Err("no kind of records, or two of the same name".to_owned());
    }
    Ok(kinds)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(change: impl FnOnce(&mut records::Entries)) -> Checked<RecordPage> {
        let entry = records::Entry {
            at: None,
            event: "cover-open".to_owned(),
            device_code: Some("03300D01".to_owned()),
            measurements: vec![],
            extras: vec![],
        };
        let mut said =
            records::Entries { entries: vec![entry], damaged: vec![], next: Some(vec![2]) };
        change(&mut said);
        page(said, Some(&[1]))
    }

    #[test]
    fn a_page_is_checked() {
        assert!(said(|_| {}).is_ok());
        assert!(said(|said| said.entries[0].event.clear()).is_ok());
        for (change, why) in [
            (
                (|said| said.next = Some(vec![1])) as fn(&mut records::Entries),
                "a position that does not get on",
            ),
            (|said| said.next = Some(vec![0; 4097]), "a position of 4097 bytes, more than 4096"),
            (|said| said.entries[0].event = "Cover".to_owned(), "a name `Cover`"),
            (
                |said| said.entries = vec![said.entries[0].clone(); 257],
                "257 records, more than 256",
            ),
        ] {
            assert_eq!(said(change), Err(why.to_owned()));
        }
    }

    #[test]
    fn kinds_are_checked() {
        let kind = |name: &str, sort| records::Kind {
            name: name.to_owned(),
            title_en: String::new(),
            title_zh: String::new(),
            sort,
        };
        let told = kinds(vec![kind("load", 1), kind("events", 2)]).expect("good");
        assert_eq!(told.iter().map(|it| it.is_events).collect::<Vec<_>>(), [false, true]);
        for bad in
            [vec![], vec![kind("a", 1), kind("a", 2)], vec![kind("A", 1)], vec![kind("a", 3)]]
        {
            assert!(kinds(bad.clone()).is_err(), "{bad:?}");
        }
    }
}

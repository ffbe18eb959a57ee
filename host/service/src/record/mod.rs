//! What meters keep of the past, read out of them and kept here: profiles and events.
//!
//! Invariants: a record is stored once, by its meter, kind, time and event, however often it is read; a
//! time at which the meter kept nothing has no row; between two pages the line is free for sales; what a
//! reading that broke off has not brought is asked for by the next one. Not here: what a driver asks
//! (drivers), readings, which are taken by our own clock (reading).

mod store;

use crate::audit::Actor;
use crate::clock::UnixMs;
use crate::driver::Kind;
use crate::error::{Result, ServiceError, invalid};
use crate::limits::{RECORD_DAYS, RECORD_PAGES_MAX, RECORD_QUESTIONS};
use crate::meter;
use crate::page::Page;
use crate::reach::Reach;
use crate::{Service, to_the_end};
use polymeter_domain::{LocalTime, Measurement, MeterId, Value};
use polymeter_runtime::{Record, RecordKind, RecordPage, RecordsAsked};
use polymeter_transport::Priority;

/// One record, as the device has it and it was stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRecord {
    /// They are numbered as they are stored.
    pub number: i64,
    pub kind: String,
    /// By the device's own clock, "2026-03-02T10:15:00".
    pub at: String,
    /// What happened, by the shared names; empty in a profile.
    pub event: String,
    /// The device's own code of that; empty: none.
    pub device_code: String,
    pub measurements: Vec<Measurement>,
    pub extras: Vec<(String, Value)>,
    pub stored_at: UnixMs,
}

/// What one reading of records brought.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RecordsRead {
    /// New here.
    pub stored: u64,
    /// Stored by an earlier reading.
    pub known: u64,
    /// Without a time that exists, and so not stored.
    pub undated: u64,
    /// What the device answered that was no record, in words.
    pub damaged: Vec<String>,
    /// There was more than one reading takes: asking again goes on.
    pub is_cut: bool,
}

impl Service {
    /// What can be read out of a meter.
    pub async fn record_kinds(&self, meter: MeterId) -> Result<Vec<RecordKind>> {
        let meter = meter::record(self.reader(), meter).await?;
        Ok(self.driver(&meter.vendor)?.record_kinds().to_vec())
    }

    /// Reads what the meter kept since a time of its clock; where none is given, since a reading that broke
    /// off, or the last record that is stored, or of the last days. Changes nothing in the device.
    pub async fn read_records(
        &self,
        meter: MeterId,
        kind: &str,
        since: Option<LocalTime>,
        actor: &Actor,
    ) -> Result<RecordsRead> {
        // A candidate on trial learns nothing from records, and is not asked for them.
        let Reach { meter: of, pick, way } = self.reach(meter, Kind::Read).await?;
        let reach = Reach { meter: of, pick: pick.by_current(), way };
        let known = reach.pick.driver.record_kinds();
        if !known.iter().any(|it| it.name == kind) {
            let names: Vec<&str> = known.iter().map(|it| it.name.as_str()).collect();
            let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            let why = format!("`{kind}` cannot be read out of this meter; what can: {names}");
            return Err(invalid("kind", why));
        }
        let since = match since {
            Some(since) => since,
            None => self.records_since(meter, kind).await?,
        };
        let (service, kind) = (self.clone(), kind.to_owned());
        tracing::debug!(meter_id = %meter, ?actor, kind, "reading records");
        to_the_end(async move {
            let missing = store::unfinished(service.reader(), meter, &kind).await?;
            let begun = missing.map_or(since, |missing| missing.min(since));
            unfinished(&service, meter, &kind, Some(begun)).await?;
            let (read, told_until) = read(&service, reach, &kind, since).await?;
            let missing = missing.filter(|missing| *missing < since);
            unfinished(&service, meter, &kind, missing.or(told_until)).await?;
            Ok(read)
        })
        .await
    }

    /// Newest first by the device's own clock.
    pub async fn records(
        &self,
        meter: MeterId,
        kind: Option<&str>,
        page: &Page,
    ) -> Result<Vec<StoredRecord>> {
        meter::record(self.reader(), meter).await?;
        store::of_meter(self.reader(), meter, kind, page).await
    }

    async fn records_since(&self, meter: MeterId, kind: &str) -> Result<LocalTime> {
        if let Some(missing) = store::unfinished(self.reader(), meter, kind).await? {
            return Ok(missing);
        }
        let (now, local) = (self.clock().at(), &self.clock().local);
        match store::last_at(self.reader(), meter, kind).await? {
            // A clock that was a year ahead must not hide what came after it was put right.
            Some(last) if last <= local(now) => Ok(last),
            _ => Ok(local(UnixMs(now.0.saturating_sub(RECORD_DAYS * 86_400_000)))),
        }
    }
}

/// Keeps from when on records are missing; `None`: none are.
async fn unfinished(
    service: &Service,
    meter: MeterId,
    kind: &str,
    since: Option<LocalTime>,
) -> Result<()> {
    let kind = kind.to_owned();
    service
        .database()
        .write(move |tx| {
            Box::pin(
                async move { store::keep_unfinished(tx.connection(), meter, &kind, since).await },
            )
        })
        .await
}

/// Page by page, each stored before the next is asked for. Where there is more than one reading takes,
/// also from when on the rest is: the last time, if they came in the order of their times, else all.
async fn read(
    service: &Service,
    reach: Reach,
    kind: &str,
    since: LocalTime,
) -> Result<(RecordsRead, Option<LocalTime>)> {
    let (driver, device) = (&reach.pick.driver, &reach.meter.device);
    let (mut read, mut position) = (RecordsRead::default(), None::<Vec<u8>>);
    let mut order = Order { last: since, is_rising: true };
    for _ in 0..RECORD_PAGES_MAX {
        let mut lease = reach.line_lease(Priority::RoutineRead).await?;
        let questions = RECORD_QUESTIONS;
        let asked = RecordsAsked { kind, since, position: position.as_deref(), questions };
        let moment = service.clock().moment();
        let page = driver.read_records(&mut lease, device, moment, asked).await;
        drop(lease);
        let page = page.map_err(|error| ServiceError::device(driver, "records", error))?;
        position.clone_from(&page.next);
        order.follow(&page);
        read.take(keep(service, reach.meter.meter_id, kind, page).await?);
        if position.is_none() {
            return Ok((read, None));
        }
    }
    read.is_cut = true;
    Ok((read, Some(if order.is_rising { order.last } else { since })))
}

/// Whether a reading's records come in the order of their times, and the last of these.
struct Order {
    last: LocalTime,
    is_rising: bool,
}

impl Order {
    fn follow(&mut self, page: &RecordPage) {
        for at in page.records.iter().filter_map(|record| record.at) {
            self.is_rising &= at >= self.last;
            self.last = at;
        }
    }
}

impl RecordsRead {
    fn take(&mut self, page: RecordsRead) {
        self.stored += page.stored;
        self.known += page.known;
        self.undated += page.undated;
        self.damaged.extend(page.damaged);
    }
}

async fn keep(
    service: &Service,
    meter: MeterId,
    kind: &str,
    page: RecordPage,
) -> Result<RecordsRead> {
    let (at, kind) = (service.clock().at(), kind.to_owned());
    let RecordPage { records, damaged, .. } = page;
    let (dated, undated): (Vec<Record>, Vec<Record>) =
        records.into_iter().partition(|record| record.at.is_some());
    let all = u64::try_from(dated.len()).unwrap_or(u64::MAX);
    let stored = service
        .database()
        .write(move |tx| {
            Box::pin(async move {
                let mut stored = 0;
                for record in &dated {
                    let is_new = store::insert(tx.connection(), meter, &kind, record, at).await?;
                    stored += u64::from(is_new);
                }
                Ok::<u64, ServiceError>(stored)
            })
        })
        .await?;
    let undated = u64::try_from(undated.len()).unwrap_or(u64::MAX);
    Ok(RecordsRead { stored, known: all - stored, undated, damaged, is_cut: false })
}

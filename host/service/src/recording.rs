//! What was said on the line to a meter, for whoever asks why: the last calls from memory, and from
//! the database those that did not end well.
//!
//! Invariants: a call that did not end well is on disk before its ending is; keeping it never stops
//! what it is about. Not here: how a call is recorded (runtime), money and proof (sale).

use crate::Service;
use crate::driver::Kind;
use crate::error::{Result, ServiceError, bad_column, chain};
use crate::limits::RECORDINGS_ON_DISK;
use crate::meter;
use crate::reach::{Reach, Way};
use polymeter_domain::MeterId;
use polymeter_runtime::transcript::{LocalTime, Transcript};
use polymeter_runtime::{CallError, Explanation, Recording, RecordingEnd};
use std::sync::Arc;

/// One call of a driver, with its transcript.
#[derive(Debug, Clone)]
pub struct Conversation {
    /// The recording's, in hex.
    pub id: String,
    /// Local civil time of the site.
    pub at: Option<LocalTime>,
    /// As in a transcript's `call:`.
    pub call: &'static str,
    pub end: RecordingEnd,
    pub transcript: Transcript,
}

impl Conversation {
    pub fn end_name(&self) -> &'static str {
        end_name(self.end)
    }
}

impl From<&Recording> for Conversation {
    fn from(recording: &Recording) -> Self {
        Conversation {
            id: recording.id(),
            at: recording.at(),
            call: recording.function().name(),
            end: recording.end(),
            transcript: recording.transcript(),
        }
    }
}

#[derive(Debug, sqlx::FromRow)]
struct Row {
    recording_id: String,
    ending: String,
    transcript: String,
}

impl TryFrom<Row> for Conversation {
    type Error = ServiceError;
    fn try_from(row: Row) -> Result<Conversation> {
        let name = format!("recording {}", row.recording_id);
        let transcript = Transcript::parse(&name, &row.transcript)
            .map_err(|error| bad_column("transcript", error.to_string()))?;
        Ok(Conversation {
            id: row.recording_id,
            at: transcript.request.told().map(|told| told.now),
            call: transcript.request.function().name(),
            end: end(&row.ending)?,
            transcript,
        })
    }
}

const ENDS: [(RecordingEnd, &str); 5] = [
    (RecordingEnd::Answered, "answered"),
    (RecordingEnd::Refused, "refused"),
    (RecordingEnd::NotSent, "not-sent"),
    (RecordingEnd::Unknown, "unknown"),
    (RecordingEnd::Failed, "failed"),
];

fn end_name(end: RecordingEnd) -> &'static str {
    ENDS.iter().find(|(known, _)| *known == end).map_or("failed", |(_, name)| name)
}

fn end(name: &str) -> Result<RecordingEnd> {
    let known = ENDS.iter().find(|(_, known)| *known == name);
    known.map(|(end, _)| *end).ok_or_else(|| bad_column("ending", name))
}

impl Service {
    /// The newest `last` calls to a meter, newest first, secrets masked.
    pub async fn conversations(&self, id: MeterId, last: usize) -> Result<Vec<Conversation>> {
        let meter = crate::meter::record(self.reader(), id).await?;
        let in_memory = self.in_memory(id, last).await?;
        let mut found: Vec<_> = in_memory.iter().map(|it| Conversation::from(&**it)).collect();
        let rows: Vec<Row> = sqlx::query_as(
            "select recording_id, ending, transcript from recording
             where meter_id = $1 order by at_ms desc, recording_id desc limit $2",
        )
        .bind(meter.meter_id.to_string())
        .bind(i64::try_from(last).unwrap_or(i64::MAX))
        .fetch_all(self.reader())
        .await?;
        for row in rows {
            if found.iter().all(|known| known.id != row.recording_id) {
                found.push(row.try_into()?);
            }
        }
        // Stable: what was found in memory is in its order already.
        found.sort_by_key(|it| std::cmp::Reverse(it.at.map(order)));
        found.truncate(last);
        Ok(found)
    }

    /// One of them, from memory or from the database; no other transcript is made or read.
    pub async fn conversation(&self, meter: MeterId, id: &str) -> Result<Conversation> {
        let record = crate::meter::record(self.reader(), meter).await?;
        let in_memory = self.in_memory(meter, usize::MAX).await?;
        if let Some(recording) = in_memory.iter().find(|it| it.id() == id) {
            return Ok(Conversation::from(&**recording));
        }
        let row: Option<Row> = sqlx::query_as(
            "select recording_id, ending, transcript from recording
             where meter_id = $1 and recording_id = $2",
        )
        .bind(record.meter_id.to_string())
        .bind(id)
        .fetch_optional(self.reader())
        .await?;
        row.ok_or_else(|| ServiceError::NotFound { what: "conversation", id: id.to_owned() })?
            .try_into()
    }

    async fn in_memory(&self, meter: MeterId, last: usize) -> Result<Vec<Arc<Recording>>> {
        let record = meter::record(self.reader(), meter).await?;
        // Wherever its card is now.
        if let Some(driver) = self.card_driver(&record.vendor)
            && record.is_by_card(&driver)
        {
            return Ok(driver.recent_of_cards(record.device.address.as_str(), last));
        }
        match self.reach(meter, Kind::Read).await {
            Ok(reach) => Ok(recent(&reach, last)),
            // Without its driver there is nothing in memory; a meter without a line was never asked.
            Err(
                ServiceError::NoDriver { .. }
                | ServiceError::NoLine { .. }
                | ServiceError::Blocked { .. },
            ) => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    /// A frame of a meter's conversation in its driver's own words; `None` where it has none.
    pub async fn explain(&self, meter: MeterId, frame: &[u8]) -> Result<Option<Explanation>> {
        let reach = self.reach(meter, Kind::Read).await?;
        if !reach.pick.driver.abilities().frames {
            return Ok(None);
        }
        match reach.pick.driver.decode(frame).await {
            Ok(explanation) => Ok(Some(explanation)),
            Err(CallError::Driver { .. }) => Ok(None),
            Err(error) => Err(ServiceError::device(&reach.pick.driver, "frames", error)),
        }
    }

    /// Keeps the newest call to this meter, if it did not end well. Called while the line is still
    /// leased, so that it is the call just made.
    pub(crate) async fn keep_failure(&self, reach: &Reach) {
        let Some(newest) = recent(reach, 1).pop() else { return };
        if newest.end() == RecordingEnd::Answered {
            return;
        }
        if let Err(error) = self.keep(reach.meter.meter_id, newest).await {
            tracing::error!(error = chain(&error), "a failed call's transcript was not stored");
        }
    }

    async fn keep(&self, meter: MeterId, recording: Arc<Recording>) -> Result<()> {
        let at = self.clock().at();
        let transcript = recording.transcript().to_string();
        self.database()
            .write(move |tx| {
                Box::pin(async move {
                    let meter = meter.to_string();
                    sqlx::query(
                        "insert into recording (recording_id, meter_id, at_ms, ending, transcript)
                         values ($1, $2, $3, $4, $5) on conflict (recording_id) do nothing",
                    )
                    .bind(recording.id())
                    .bind(&meter)
                    .bind(at.0)
                    .bind(end_name(recording.end()))
                    .bind(transcript)
                    .execute(tx.connection())
                    .await?;
                    sqlx::query(
                        "delete from recording where meter_id = $1 and recording_id not in
                         (select recording_id from recording where meter_id = $1
                          order by at_ms desc, recording_id desc limit $2)",
                    )
                    .bind(&meter)
                    .bind(RECORDINGS_ON_DISK)
                    .execute(tx.connection())
                    .await?;
                    Ok(())
                })
            })
            .await
    }
}

fn recent(reach: &Reach, last: usize) -> Vec<Arc<Recording>> {
    let (driver, address) = (&reach.pick.driver, reach.meter.device.address.as_str());
    match &reach.way {
        Way::Line(line) => driver.recent(&line.settings().name, address, last),
        Way::Card(_) => driver.recent_of_cards(address, last),
    }
}

fn order(time: LocalTime) -> (u16, u8, u8, u8, u8, u8) {
    (time.year, time.month, time.day, time.hour, time.minute, time.second)
}

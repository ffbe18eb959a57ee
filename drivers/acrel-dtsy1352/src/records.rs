//! What the meter keeps of its past that is published: its last event.
//!
//! Invariant: an event that bears no possible time is no record. Not here: the demand and its time, which
//! every reading tells.

use crate::extra;
use polymeter_driver::{
    Call, DriverError, Host, RecordEntries, RecordEntry, RecordKind, RecordsAsked, Value, time,
};
use polymeter_modbus::face::{bad, unit};

const EVENTS: &str = "events";

pub fn kinds() -> Vec<RecordKind> {
    vec![RecordKind::events(EVENTS, "Last event", "最近事件")]
}

pub fn read(
    host: &mut dyn Host,
    call: &Call,
    asked: RecordsAsked<'_>,
) -> Result<RecordEntries, DriverError> {
    if asked.kind != EVENTS {
        return Err(bad(format!("`{}` is no kind of records of this meter", asked.kind)));
    }
    if asked.position.is_some() {
        return Err(bad("a position that is none of this kind"));
    }
    let event = extra::last_event(host, unit(&call.address)?)?;
    let event = event.filter(|event| time::seconds(event.at) >= time::seconds(asked.since));
    let entries = event.map(|event| RecordEntry {
        at: Some(event.at),
        event: event.name.to_owned(),
        device_code: Some(event.code),
        measurements: Vec::new(),
        extras: vec![("event-detail".to_owned(), Value::Text(event.detail))],
    });
    let entries = entries.into_iter().collect();
    Ok(RecordEntries { entries, damaged: Vec::new(), next: None })
}

//! `records METER [KIND]`: what a meter keeps of the past, read out of it and printed.

use super::{ACTOR, Failure, open, print_json};
use crate::api::records::{RecordJson, RecordsRead};
use crate::moment::civil;
use polymeter_service::Page;
use serde::Serialize;
use std::path::Path;

/// Printed at once; what is older is in the database.
const SHOWN: u32 = 200;

#[derive(Debug, Serialize)]
struct Printed {
    read: RecordsRead,
    /// The newest first.
    records: Vec<RecordJson>,
}

/// Without a kind: which kinds there are.
pub async fn run(
    config: &Path,
    serial: &str,
    kind: Option<&str>,
    since: Option<&str>,
) -> Result<(), Failure> {
    let since =
        since.map(civil).transpose().map_err(|why| Failure::Usage(format!("--since: {why}")))?;
    let app = open(config).await?;
    let meter = app.service.meter_by_serial(serial).await?.meter_id;
    let Some(kind) = kind else {
        let kinds = app.service.record_kinds(meter).await?;
        if kinds.is_empty() {
            println!("the driver of meter {serial} reads no records");
        }
        for it in kinds {
            println!("{}: {} {}", it.name, it.title_en, it.title_zh);
        }
        return Ok(());
    };
    let read = app.service.read_records(meter, kind, since, &ACTOR).await?;
    let page = Page { limit: SHOWN, ..Page::default() };
    let records = app.service.records(meter, Some(kind), &page).await?;
    let records = records.iter().map(RecordJson::from).collect();
    print_json(&Printed { read: RecordsRead::from(read), records })
}

//! What was said to a meter: one call step by step, each frame in the words of the meter's own
//! driver.
//!
//! Invariant: shows nothing that the recording masks. Not here: which calls are kept (service).

use super::meters::id;
use super::view::{Badge, MeterView, conversation_end, explained};
use super::{Head, PageResult, render};
use crate::api::conversations::at;
use crate::app::App;
use crate::session::Caller;
use askama::Template;
use axum::extract::{Path, State};
use polymeter_domain::MeterId;
use polymeter_runtime::transcript::{Step, Transcript};
use polymeter_service::{Conversation, Result, ServiceError};

/// Frames of one page that the driver is asked about.
const EXPLAINED_MOST: usize = 64;

#[derive(Template)]
#[template(path = "conversation.html")]
struct ConversationPage {
    head: Head,
    meter: MeterView,
    row: ConversationRow,
    source: String,
    driver: String,
    limits: Vec<(String, u64)>,
    steps: Vec<StepRow>,
    result: String,
    verdict: String,
    text: String,
}

/// One call in a list.
#[derive(Debug)]
pub struct ConversationRow {
    pub id: String,
    pub at: String,
    pub call: &'static str,
    pub end: Badge,
}

impl From<&Conversation> for ConversationRow {
    fn from(conversation: &Conversation) -> Self {
        ConversationRow {
            id: conversation.id.clone(),
            at: at(conversation).replace('T', " "),
            call: conversation.call,
            end: conversation_end(conversation.end),
        }
    }
}

/// One step of a call.
#[derive(Debug)]
pub struct StepRow {
    /// Milliseconds from the beginning, empty where not known.
    pub at: String,
    /// A class of the stylesheet: `out`, `in` or `aside`.
    pub kind: &'static str,
    pub who: &'static str,
    pub text: String,
    pub fields: Vec<(String, String)>,
}

pub async fn show(
    State(app): State<App>,
    caller: Caller,
    Path((meter, recording)): Path<(String, String)>,
) -> PageResult {
    let meter_id: MeterId = id(&meter)?;
    let meter = app.service.meter(meter_id).await?;
    let conversation = app.service.conversation(meter_id, &recording).await?;
    let Transcript { source, driver, limits, result, verdict, .. } = &conversation.transcript;
    Ok(render(&ConversationPage {
        head: Head::new(&caller, "meters"),
        meter: MeterView::new(&meter, &app),
        row: ConversationRow::from(&conversation),
        source: source.clone(),
        driver: driver.clone().unwrap_or_default(),
        limits: limits.clone(),
        steps: steps(&app, meter_id, &conversation.transcript).await?,
        result: result.join("\n"),
        verdict: verdict.clone().unwrap_or_default(),
        text: conversation.transcript.to_string(),
    }))
}

/// A reply that came in pieces is explained at its last piece, whole.
async fn steps(app: &App, meter: MeterId, transcript: &Transcript) -> Result<Vec<StepRow>> {
    let mut rows = Vec::with_capacity(transcript.entries.len());
    let mut explained_frames = 0;
    let mut reply = Vec::new();
    for (index, entry) in transcript.entries.iter().enumerate() {
        let mut row = StepRow {
            at: entry.at_us.map_or(String::new(), |at| format!("{}.{:03}", at / 1_000, at % 1_000)),
            kind: "aside",
            who: "driver",
            text: entry.step.to_string(),
            fields: Vec::new(),
        };
        let frame = match &entry.step {
            Step::Send { bytes, .. } => {
                (row.kind, row.who) = ("out", "to the meter");
                reply.clear();
                bytes.clone()
            }
            Step::Receive { answer, .. } => {
                (row.kind, row.who) = ("in", "from the meter");
                reply.extend(answer.iter().flatten());
                let next = transcript.entries.get(index + 1).map(|entry| &entry.step);
                let is_last = !matches!(next, Some(Step::Receive { answer: Ok(_), .. }));
                is_last.then(|| std::mem::take(&mut reply))
            }
            Step::Vault { .. } => {
                row.who = "vault";
                None
            }
            Step::Slot { .. } => {
                row.who = "card";
                None
            }
            Step::Drain { .. } | Step::Log { .. } | Step::Unwritten { .. } => None,
        };
        if let Some(frame) = frame.filter(|frame| !frame.is_empty())
            && explained_frames < EXPLAINED_MOST
        {
            explained_frames += 1;
            row.fields = fields(app, meter, &frame).await?;
        }
        rows.push(row);
    }
    Ok(rows)
}

/// A driver that cannot explain leaves the bytes as they are.
async fn fields(app: &App, meter: MeterId, frame: &[u8]) -> Result<Vec<(String, String)>> {
    match app.service.explain(meter, frame).await {
        Ok(explanation) => Ok(explanation.as_ref().map(explained).unwrap_or_default()),
        Err(
            ServiceError::Device { .. }
            | ServiceError::NoDriver { .. }
            | ServiceError::NoLine { .. },
        ) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

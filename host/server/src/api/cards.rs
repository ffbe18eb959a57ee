//! Readers and the cards (IC卡) in them: what lies where, what may be done with it, and the acts that are
//! no sale. A sale on a card is a sale like any other (`PUT /sales`), while the card lies in a reader.
//!
//! Not here: cards that are no customer's (maintenance_cards).

use super::error::{ApiError, Problem};
use super::extract::{Body, Id};
use super::sales::CreditJson;
use super::values::{DeviceValue, MeasurementJson, extras};
use crate::app::App;
use crate::session::Caller;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::Stream;
use polymeter_domain::{CardContents, MeterId, Purchase};
use polymeter_service::{Finding, KnownCard, Looked};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::convert::Infallible;
use utoipa::ToSchema;

/// A reader and what lies in it.
#[derive(Debug, Serialize, ToSchema)]
pub struct Reader {
    #[schema(example = "counter-1")]
    pub reader: String,
    /// `gone`, `empty`, `unknown` (nobody knows the card), `foreign` (no driver for its vendor),
    /// `ambiguous` (several say that it is theirs), `blank` or `known`.
    pub state: &'static str,
    /// What kind of card it is, e.g. `sle4442`.
    pub kind: Option<&'static str>,
    /// A sentence, where there is something to say.
    pub why: Option<String>,
    /// Those whose it may be, or may become.
    pub vendors: Vec<String>,
    pub card: Option<Card>,
}

/// A card that its vendor's driver knows.
#[derive(Debug, Serialize, ToSchema)]
pub struct Card {
    pub vendor: String,
    /// Name and version.
    pub driver: String,
    /// `user`, `setting`, `check`, `clear`, `reset`, `price`, `area`, `test` or `key-change`.
    pub purpose: &'static str,
    pub region: Option<String>,
    pub customer_number: Option<String>,
    /// The number of the meter that it is for, as the card has it.
    pub device: Option<String>,
    pub serial: String,
    pub purchase: Option<CardPurchase>,
    /// Whether the meter has taken that purchase: `untold`, `waiting` or `taken`.
    pub uptake: &'static str,
    pub written_back: Option<WrittenBack>,
    pub extras: BTreeMap<String, DeviceValue>,
    pub meter_id: Option<String>,
    /// `sellable`, or why not: `waiting` (the last purchase is not in the meter yet), `behind`, `ahead`,
    /// `maintenance`, `other-region`, `no-meter`, `not-open`, `other-customer`, `replaced`, `unsettled`.
    pub verdict: &'static str,
    /// The same for a person.
    pub sentence: String,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct CardPurchase {
    pub count: u32,
    pub credit: CreditJson,
}

/// What the meter wrote on the card when it was last in there (回写).
#[derive(Debug, Serialize, ToSchema)]
pub struct WrittenBack {
    pub count: u32,
    pub balance: Option<CreditJson>,
    /// By the meter's clock.
    pub at: Option<String>,
    pub measurements: Vec<MeasurementJson>,
    pub extras: BTreeMap<String, DeviceValue>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Readers {
    pub items: Vec<Reader>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CardReason {
    pub reason: String,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReplaceCard {
    /// In which the blank card lies; needed where several do.
    #[serde(default)]
    pub reader: Option<String>,
    pub reason: String,
}

impl From<&Looked> for Reader {
    fn from(looked: &Looked) -> Self {
        let Looked { reader, finding } = looked;
        let mut told = Reader {
            reader: reader.clone(),
            state: finding.name(),
            kind: finding.kind().map(|kind| kind.name()),
            why: finding.why(),
            vendors: Vec::new(),
            card: None,
        };
        match finding {
            Finding::Empty
            | Finding::Gone(_)
            | Finding::Unknown { .. }
            | Finding::Foreign { .. } => {}
            Finding::Ambiguous { vendors, .. } | Finding::Blank { vendors, .. } => {
                told.vendors = vendors.iter().map(ToString::to_string).collect();
            }
            Finding::Known(card) => told.card = Some(Card::from(&**card)),
        }
        told
    }
}

impl From<&KnownCard> for Card {
    fn from(card: &KnownCard) -> Self {
        let KnownCard { driver, contents, meter_id, verdict, .. } = card;
        let CardContents { identity, purchase, uptake, written_back, .. } = contents;
        Card {
            vendor: identity.vendor.to_string(),
            driver: driver.clone(),
            purpose: identity.purpose.name(),
            region: identity.region.as_ref().map(ToString::to_string),
            customer_number: identity.customer_number.as_ref().map(ToString::to_string),
            device: identity.device.as_ref().map(ToString::to_string),
            serial: identity.serial.clone(),
            purchase: purchase.map(|Purchase { count, credit }| CardPurchase {
                count: count.get(),
                credit: CreditJson::from(credit),
            }),
            uptake: uptake.name(),
            written_back: written_back.as_ref().map(|back| WrittenBack {
                count: back.count.get(),
                balance: back.balance.map(CreditJson::from),
                at: back.at.map(|at| at.to_string()),
                measurements: back.measurements.iter().map(MeasurementJson::from).collect(),
                extras: extras(&back.extras),
            }),
            extras: extras(&contents.extras),
            meter_id: meter_id.map(|id| id.to_string()),
            verdict: verdict.name(),
            sentence: verdict.sentence(),
        }
    }
}

/// What lies in which reader.
#[utoipa::path(get, path = "/api/v1/readers", tag = "cards", responses(
    (status = 200, description = "Every reader", body = Readers),
))]
pub async fn list(State(app): State<App>) -> Result<Json<Readers>, ApiError> {
    let looked = app.service.readers().await?;
    Ok(Json(Readers { items: looked.iter().map(Reader::from).collect() }))
}

/// A stream of server-sent events: `readers` whenever a reader or a card came or went, or was seen
/// anew. Ask `GET /readers` then.
#[utoipa::path(get, path = "/api/v1/reader-events", tag = "cards", responses(
    (status = 200, description = "The stream", content_type = "text/event-stream"),
))]
pub async fn events(
    State(app): State<App>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>> + use<>> {
    let (mut changed, stop) = (app.service.readers_changed(), app.stop.subscribe());
    // What lies there now is news to whoever has just come.
    changed.mark_changed();
    let events = futures_util::stream::unfold((changed, stop), async |(mut changed, mut stop)| {
        tokio::select! {
            news = changed.changed() => news.ok()?,
            _ = stop.wait_for(|stop| *stop) => return None,
        }
        let number = *changed.borrow_and_update();
        Some((Ok(Event::default().event("readers").data(number.to_string())), (changed, stop)))
    });
    Sse::new(Box::pin(events)).keep_alive(KeepAlive::default())
}

/// Look at a reader again. Keeps what the card brought home; changes nothing on it.
#[utoipa::path(post, path = "/api/v1/readers/{reader}/looks", tag = "cards",
    params(("reader" = String, Path)), responses(
    (status = 200, description = "What lies there", body = Reader),
    (status = 404, description = "`not-found`", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn look(
    State(app): State<App>,
    Id(reader): Id<String>,
) -> Result<Json<Reader>, ApiError> {
    Ok(Json(Reader::from(&app.service.look_at(&reader).await?)))
}

/// Make the card in this reader blank again (清零回收). That of an open account is not touched.
#[utoipa::path(post, path = "/api/v1/readers/{reader}/recyclings", tag = "cards",
    params(("reader" = String, Path)), request_body = CardReason, responses(
    (status = 200, description = "What lies there now", body = Reader),
    (status = 404, description = "`not-found`", body = Problem,
        content_type = "application/problem+json"),
    (status = 409, description = "`blocked`, `device-refused`", body = Problem,
        content_type = "application/problem+json"),
    (status = 503, description = "`not-sent`, `card-gone`", body = Problem,
        content_type = "application/problem+json"),
    (status = 504, description = "`outcome-unknown`", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn recycle(
    State(app): State<App>,
    caller: Caller,
    Id(reader): Id<String>,
    Body(asked): Body<CardReason>,
) -> Result<Json<Reader>, ApiError> {
    app.service.recycle_card(&reader, &asked.reason, &caller.actor()).await?;
    Ok(Json(Reader::from(&app.service.look_at(&reader).await?)))
}

/// Make the blank card in a reader the meter's, in the place of one that was lost (补卡). It carries the
/// last purchase, which the meter takes once.
#[utoipa::path(post, path = "/api/v1/meters/{meter_id}/card-replacements", tag = "cards",
    params(("meter_id" = String, Path)), request_body = ReplaceCard, responses(
    (status = 204, description = "Done: the card before is worth nothing now"),
    (status = 404, description = "`not-found`", body = Problem,
        content_type = "application/problem+json"),
    (status = 409, description = "`blocked`, `not-opened`, `unsettled`, `device-refused`",
        body = Problem, content_type = "application/problem+json"),
    (status = 503, description = "`not-sent`, `card-gone`", body = Problem,
        content_type = "application/problem+json"),
    (status = 504, description = "`outcome-unknown`", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn replace(
    State(app): State<App>,
    caller: Caller,
    Id(meter): Id<MeterId>,
    Body(asked): Body<ReplaceCard>,
) -> Result<StatusCode, ApiError> {
    let (reader, reason) = (asked.reader.as_deref(), asked.reason.as_str());
    app.service.replace_card(meter, reader, reason, &caller.actor()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Say that the meter has taken the last purchase, though its card does not show it: the next sale may be
/// put on the card.
#[utoipa::path(post, path = "/api/v1/meters/{meter_id}/card-uptakes", tag = "cards",
    params(("meter_id" = String, Path)), request_body = CardReason, responses(
    (status = 204, description = "Kept, with who and why"),
    (status = 404, description = "`not-found`", body = Problem,
        content_type = "application/problem+json"),
    (status = 409, description = "`blocked`: there is no such card", body = Problem,
        content_type = "application/problem+json"),
))]
pub async fn say_taken(
    State(app): State<App>,
    caller: Caller,
    Id(meter): Id<MeterId>,
    Body(asked): Body<CardReason>,
) -> Result<StatusCode, ApiError> {
    app.service.say_card_is_taken(meter, &asked.reason, &caller.actor()).await?;
    Ok(StatusCode::NO_CONTENT)
}

//! A transcript played against the driver: it must do, in its sandbox or its process, exactly what
//! stands there.
//!
//! Invariant: a play touches no line and counts nowhere, neither in the driver's health nor among its
//! recordings; what it finds is the first difference. Not here: the order of the steps
//! (polymeter-transcript), which transcripts are played (rehearsal), playing natively (the SDK's).

use crate::bindings::exports::polymeter::driver::{card as exported, token};
use crate::bindings::polymeter::driver::types;
use crate::card::{self, Vendors};
use crate::carried::Carried;
use crate::convert::{self, Checked};
use crate::driver::Driver;
use crate::error::CallError;
use crate::exports::Functions;
use crate::recording::{broken_off, is_clear, verdict};
use crate::records;
use crate::search;
use crate::session::{Act, Session};
use crate::watch::Stage;
use polymeter_transcript::{Difference, Outcome, Player, Request, Transcript};
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};

/// What the driver answered, and what the host would find wrong with it.
struct Performed {
    outcome: Outcome,
    error: Option<String>,
}

/// Plays one transcript. The driver's instance is a fresh one.
pub async fn replay(driver: &Driver, transcript: &Transcript) -> Result<(), Difference> {
    let differs = |line, problem| Difference {
        name: transcript.name.clone(),
        line,
        problem,
        log: String::new(),
    };
    let request = transcript.request.clone();
    let function = request.function();
    if !driver.functions.abilities().has(function) {
        let problem = format!("{} does not export {function}", driver.name());
        return Err(differs(transcript.request_line, problem));
    }
    let transcript = Arc::new(transcript.clone());
    let stage: Stage = Arc::new(Mutex::new(Player::new(Arc::clone(&transcript))));
    let ask = async |session: &mut Session| {
        session.state().stage = Some(Arc::clone(&stage));
        let performed = perform(&driver.functions, session, request, driver.vendors()).await;
        session.state().stage = None;
        Ok(Ok::<_, Infallible>(performed?))
    };
    let ended = driver.callee.understudy().call(Act::Look, None, ask, Ok).await;
    let Performed { outcome, error } = ended.answer.unwrap_or_else(|error| Performed {
        outcome: broken_off(&error),
        error: Some(error.to_string()),
    });
    // Nobody else has it any more: the call is over.
    let lock = stage.lock();
    let mut guard = lock.unwrap_or_else(PoisonError::into_inner);
    let player = std::mem::replace(&mut *guard, Player::new(Arc::clone(&transcript)));
    let is_believed = player.has_answered() && is_clear(&outcome) && error.is_none();
    let sent = player.has_sent() || is_believed;
    player.finish(&outcome)?;
    let Some(expected) = &transcript.verdict else { return Ok(()) };
    let failed = error.map(|what| CallError::BadResult { driver: driver.name().to_owned(), what });
    let found = verdict(function, sent, failed.as_ref()).unwrap_or_default();
    // The words may name the driver; its first is what counts.
    let word = |text: &str| text.split(' ').next().unwrap_or_default().to_owned();
    if word(expected) != word(&found) {
        let problem = format!("expected the verdict\n{expected}\nbut got\n{found}");
        return Err(differs(transcript.result_line, problem));
    }
    Ok(())
}

/// Makes the call.
async fn perform(
    functions: &Functions,
    session: &mut Session,
    request: Request,
    vendors: Vendors<'_>,
) -> wasmtime::Result<Performed> {
    Ok(match request {
        Request::Describe => match functions.describe(session).await? {
            Ok(Ok(said)) => performed(Ok::<_, types::DriverError>(said), crate::Description::check),
            Ok(Err(what)) => return Err(wasmtime::Error::msg(what)),
            Err(error) => performed(Err(error), crate::Description::check),
        },
        Request::Probe(told) => {
            performed(functions.probe(session, &told.carried()).await?, convert::identity)
        }
        Request::Read(told) => {
            performed(functions.read(session, &told.carried()).await?, convert::snapshot)
        }
        Request::Open(told, opening) => {
            let said = functions.open(session, &told.carried(), &opening.carried()).await?;
            performed(said, convert::receipt)
        }
        Request::Sell(told, order) => {
            let said = functions.sell(session, &told.carried(), &order.carried()).await?;
            performed(said, convert::receipt)
        }
        Request::Refund(told, order) => {
            let said = functions.refund(session, &told.carried(), &order.carried()).await?;
            performed(said, convert::receipt)
        }
        Request::Plan(told, order, last) => {
            let order: token::Order = order.carried();
            let said = functions.plan(session, &told.carried(), &order, last).await?;
            let asked = order.credit;
            performed(said, |said| crate::token::plan(said, asked, last))
        }
        Request::Issue(told, order, identifier) => {
            let order: token::Order = order.carried();
            let said = functions.issue(session, &told.carried(), &order, identifier).await?;
            performed(said, crate::token::issued)
        }
        Request::Clear(told) => {
            performed(functions.clear(session, &told.carried()).await?, convert::receipt)
        }
        Request::Check(told, count) => {
            performed(functions.check(session, &told.carried(), count).await?, convert::evidence)
        }
        Request::Control { told, command, valid_until } => {
            let until: Option<types::LocalTime> = valid_until.carried();
            let said = functions.control(session, &told.carried(), command, until).await?;
            performed(said, convert::control)
        }
        Request::SetParameters(told, parameters) => {
            let parameters: types::Extras = parameters.carried();
            let said = functions.set_parameters(session, &told.carried(), &parameters).await?;
            performed(said, convert::set)
        }
        Request::ReadRecords { told, kind, since, position, questions } => {
            let (told, since, from) = (told.carried(), since.carried(), position.as_deref());
            let said =
                functions.read_records(session, &told, &kind, since, from, questions).await?;
            performed(said, |said| records::page(said, from))
        }
        Request::SetClock(told, way) => {
            performed(functions.set_clock(session, &told.carried(), way).await?, convert::clock)
        }
        Request::Enter(told, digits) => {
            performed(functions.enter(session, &told.carried(), &digits).await?, convert::entry)
        }
        Request::Search { told, way, position, questions } => {
            let (told, position) = (told.carried(), position.as_deref());
            let said = functions.search(session, &told, &way, position, questions).await?;
            // How far the search was before, only its own position says.
            performed(said, |said| search::step(said, 0, questions))
        }
        Request::Decode(frame) => {
            performed(functions.decode(session, &frame).await?, convert::explanation)
        }
        Request::CardIdentify(told) => {
            let said = functions.card_identify(session, &told.carried()).await?;
            performed(said, |said| said.map(|said| card::identity(said, vendors)).transpose())
        }
        Request::CardCheck(told) => {
            let said = functions.card_check(session, &told.carried()).await?;
            performed(said, |said| card::contents(said, vendors))
        }
        Request::CardClear(told) => {
            performed(functions.card_clear(session, &told.carried()).await?, convert::receipt)
        }
        Request::Card(act, told, order) => {
            let order: exported::Order = order.carried();
            let said = functions.card_act(session, act, &told.carried(), &order).await?;
            let asked = order.purchase.map(card::purchase).transpose().ok().flatten();
            performed(said, |said| card::receipt(said, asked))
        }
    })
}

fn performed<W, E, T>(said: Result<W, E>, convert: impl FnOnce(W) -> Checked<T>) -> Performed
where
    W: Clone + Carried<Outcome>,
    E: Carried<Outcome>,
{
    match said {
        Ok(said) => Performed { outcome: said.clone().carried(), error: convert(said).err() },
        Err(error) => {
            Performed { outcome: error.carried(), error: Some("its own error".to_owned()) }
        }
    }
}

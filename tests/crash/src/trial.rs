//! Playing one trial: the line is spoilt, a sale is asked for, the program dies; it is started again
//! until every sale is settled, and both sides are compared.

use crate::books::{self, Purse, Wrong, broken};
use crate::report::Tally;
use crate::schedule::{Kill, Planned, Trial};
use crate::stage::Stage;
use anyhow::{Context, Result, bail};
use e2e::{Answer, Api, METERS};
use meter_sim::{Event, Fault, FaultKind, On};
use reqwest::{Method, StatusCode};
use serde_json::json;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinHandle;

/// A program that lives answers within this, whatever the line does.
const ANSWER_WAIT: Duration = Duration::from_secs(30);
/// Rounds of asking until a sale counts as left for a person.
const ROUNDS: usize = 12;

/// A sale as the client knows it.
#[derive(Debug)]
struct Asked {
    planned: Planned,
    sale_id: String,
    meter_id: String,
    before: Purse,
    /// What the program said before it died.
    answer: Option<Answer>,
}

impl Asked {
    fn paid(&self) -> String {
        format!("{}.{:02}", self.planned.paid_fen / 100, self.planned.paid_fen % 100)
    }
}

pub async fn play(stage: &mut Stage, trial: &Trial, tally: &mut Tally) -> Result<()> {
    if !stage.is_up() {
        stage.start(None).await?;
    }
    let mut sales = Vec::new();
    for planned in std::iter::once(&trial.sale).chain(&trial.beside) {
        sales.push(prepare(stage, planned)?);
    }
    die(stage, trial, &mut sales, tally).await?;
    let begun = Instant::now();
    let took = recover(stage, trial.again.as_ref(), &mut sales, tally).await?;
    tally.recovered(took.unwrap_or_else(|| begun.elapsed()));
    check(stage, &sales, tally).await
}

fn prepare(stage: &Stage, planned: &Planned) -> Result<Asked> {
    let simulator = &stage.site.simulator;
    let address = METERS[planned.meter].address;
    simulator.clear_faults(address)?;
    for trouble in &planned.trouble {
        // The proof within the call comes after three questions of the same kind.
        let skip = if trouble.on == On::Check { e2e::ASKED_BEFORE_SALE } else { 0 };
        simulator.fault(address, Fault::new(trouble.on, trouble.kind.clone()).skip(skip))?;
    }
    Ok(Asked {
        planned: planned.clone(),
        sale_id: uuid::Uuid::now_v7().to_string(),
        meter_id: stage.meter_ids[planned.meter].clone(),
        before: books::purse(simulator, planned.meter)?,
        answer: None,
    })
}

/// From the requests to the death of the program.
async fn die(
    stage: &mut Stage,
    trial: &Trial,
    sales: &mut [Asked],
    tally: &mut Tally,
) -> Result<()> {
    let mut events = stage.site.simulator.events();
    let address = METERS[trial.sale.meter].address;
    let hold = match &trial.kill {
        Kill::InRequest { bytes, .. } => Some(FaultKind::Hold { after_bytes: Some(*bytes) }),
        Kill::InReply { bytes, .. } => Some(FaultKind::HoldReply { after_bytes: Some(*bytes) }),
        Kill::At { .. } | Kill::After { .. } => None,
    };
    if let Some(hold) = hold {
        // Before whatever else was queued for the sale's frame.
        stage.site.simulator.clear_faults(address)?;
        stage.site.simulator.fault(address, Fault::new(On::Sell, hold))?;
    }
    stage.order(&trial.kill, &sales[0].sale_id)?;
    let api = stage.api()?;
    let mut asking: Vec<JoinHandle<Result<Answer>>> =
        sales.iter().map(|sale| ask(&api, sale)).collect();
    match &trial.kill {
        Kill::At { .. } => {
            let answer = (&mut asking[0]).await?;
            sales[0].answer = answer.ok();
        }
        Kill::After { ms } => tokio::time::sleep(Duration::from_millis(*ms)).await,
        Kill::InRequest { .. } | Kill::InReply { .. } => {
            // A sale that troubles or a full purse keep from its frame is answered instead.
            tokio::select! {
                held = until_held(&mut events) => held?,
                answer = &mut asking[0] => sales[0].answer = answer?.ok(),
                () = tokio::time::sleep(ANSWER_WAIT) => bail!("no frame and no answer"),
            }
        }
    }
    let by_itself = matches!(trial.kill, Kill::At { .. }) && sales[0].answer.is_none();
    if by_itself && stage.has_died().await? {
        tally.killed(&trial.kill);
    } else if stage.kill().await? {
        // One that never passes its point dies once it has answered.
        tally.killed(if by_itself { &Kill::After { ms: 0 } } else { &trial.kill });
    }
    if let Kill::InRequest { release, .. } | Kill::InReply { release, .. } = &trial.kill {
        stage.site.simulator.clear_faults(address)?;
        stage.site.simulator.release(*release);
    }
    for (sale, asking) in sales.iter_mut().zip(asking) {
        // An answer that came before the death counts; the one awaited above was kept already.
        if sale.answer.is_none() && !asking.is_finished() {
            // The connection is broken by now, or breaks at once.
            if let Ok(Ok(Ok(answer))) = tokio::time::timeout(Duration::from_secs(5), asking).await {
                sale.answer = Some(answer);
            }
        }
    }
    Ok(())
}

fn ask(api: &Api, sale: &Asked) -> JoinHandle<Result<Answer>> {
    let (api, sale_id, meter_id, paid) =
        (api.clone(), sale.sale_id.clone(), sale.meter_id.clone(), sale.paid());
    tokio::spawn(async move { api.sell(&sale_id, &meter_id, &paid).await })
}

async fn until_held(events: &mut UnboundedReceiver<Event>) -> Result<()> {
    while !matches!(events.recv().await.context("no more events")?, Event::Held { .. }) {}
    Ok(())
}

/// Starts the program until every sale is settled; how long the last start took to get there.
async fn recover(
    stage: &mut Stage,
    again: Option<&Kill>,
    sales: &mut [Asked],
    tally: &mut Tally,
) -> Result<Option<Duration>> {
    if let Some(again) = again
        && !survive(stage, again, sales).await?
    {
        tally.killed(again);
    }
    if stage.is_up() {
        // It was to die at a point that it did not pass.
        stage.withdraw();
        settle_all(stage, sales, tally).await?;
        return Ok(None);
    }
    let begun = Instant::now();
    stage.start(None).await?;
    remembered(stage, sales).await?;
    settle_all(stage, sales, tally).await?;
    Ok(Some(begun.elapsed()))
}

/// A start that is to end in `again`; true where the program lives on.
async fn survive(stage: &mut Stage, again: &Kill, sales: &mut [Asked]) -> Result<bool> {
    if let Err(error) = stage.start(Some(again)).await {
        // Some points lie before the first address is printed.
        return match again {
            Kill::At { .. } => Ok(false),
            _ => Err(error),
        };
    }
    let api = stage.api()?;
    match again {
        Kill::After { ms } => {
            tokio::time::sleep(Duration::from_millis(*ms)).await;
            Ok(!stage.kill().await?)
        }
        _ => {
            for sale in sales.iter() {
                if api.sell(&sale.sale_id, &sale.meter_id, &sale.paid()).await.is_err() {
                    return Ok(!stage.has_died().await?);
                }
            }
            Ok(true)
        }
    }
}

/// Every sale that the program had said it has, it has; and one that was settled is as it was.
async fn remembered(stage: &Stage, sales: &[Asked]) -> Result<()> {
    let api = stage.api()?;
    for sale in sales {
        let Some(answer) = sale.answer.as_ref().filter(|it| it.status.is_success()) else {
            continue;
        };
        let path = format!("/api/v1/sales/{}", sale.sale_id);
        let now = api.ask(Method::GET, &path, None).await?;
        let (said, is) = (&answer.body["state"], &now.body["state"]);
        let is_settled = answer.body["settled"] == true;
        if now.status != StatusCode::OK || (is_settled && said != is) {
            let what = format!("it said {said} of sale {}, now {now:?}", sale.sale_id);
            return Err(broken(Wrong::Forgotten, what));
        }
    }
    Ok(())
}

async fn settle_all(stage: &mut Stage, sales: &[Asked], tally: &mut Tally) -> Result<()> {
    let api = stage.api()?;
    for sale in sales {
        settle(&api, sale, tally).await.with_context(|| format!("sale {}", sale.sale_id))?;
    }
    Ok(())
}

/// As a client does it: repeats the request, and asks for what the answer says is open.
async fn settle(api: &Api, sale: &Asked, tally: &mut Tally) -> Result<()> {
    for round in 0..ROUNDS {
        let answer = api.sell(&sale.sale_id, &sale.meter_id, &sale.paid()).await?;
        let path = format!("/api/v1/sales/{}", sale.sale_id);
        match answer.body["state"].as_str() {
            Some("confirmed" | "refused" | "cancelled") => return Ok(()),
            Some("unresolved") => {
                tally.asked_again += u64::from(round == 0);
                drop(
                    api.ask(Method::POST, &format!("{path}/reconciliation"), Some(json!({})))
                        .await?,
                );
            }
            Some("reserved") => {
                tally.asked_again += u64::from(round == 0);
                drop(api.ask(Method::POST, &format!("{path}/delivery"), None).await?);
            }
            Some(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            None => bail!("{answer:?}"),
        }
    }
    Ok(())
}

/// The sentence.
async fn check(stage: &mut Stage, sales: &[Asked], tally: &mut Tally) -> Result<()> {
    let api = stage.api()?;
    for sale in sales {
        let now = api.get(&format!("/api/v1/sales/{}", sale.sale_id)).await?;
        let state = now["state"].as_str().unwrap_or_default();
        let (credits, fen) = match state {
            "confirmed" => (1, sale.planned.paid_fen),
            "refused" | "cancelled" => (0, 0),
            _ => {
                tally.left_for_a_person += 1;
                bail!("sale {} is left {state}: {now}", sale.sale_id);
            }
        };
        tally.sold(state == "confirmed");
        let after = books::purse(&stage.site.simulator, sale.planned.meter)?;
        books::took(sale.before, after, credits, fen)
            .with_context(|| format!("sale {} is {state}: {now}", sale.sale_id))?;
    }
    books::compare(&api, &stage.site.simulator, &stage.meter_ids).await
}

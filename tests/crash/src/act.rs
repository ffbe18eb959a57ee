//! An act that is asked for under a key, in which the program dies: asked for, killed, started again, and
//! asked for until it is done, as a client does it that never heard an answer.

use crate::account::Dying;
use crate::books::{Wrong, broken};
use crate::report::Tally;
use crate::schedule::Kill;
use crate::stage::Stage;
use anyhow::{Context, Result, bail, ensure};
use e2e::{Answer, Api};
use serde_json::Value;
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;

/// Rounds of asking until an act counts as left for a person.
const ROUNDS: usize = 40;
/// Between two of them, where the program says that it is at it.
const ROUND: Duration = Duration::from_millis(50);

#[derive(Debug)]
pub struct Act {
    pub path: String,
    /// What its id is called in an answer.
    pub id: &'static str,
    pub key: String,
    pub body: Value,
    pub is_done: fn(&Value) -> bool,
}

impl Act {
    fn ask(&self, api: &Api) -> JoinHandle<Result<Answer>> {
        let (api, path, key, body) =
            (api.clone(), self.path.clone(), self.key.clone(), self.body.clone());
        tokio::spawn(async move { api.keyed(&path, &key, body).await })
    }
}

/// The act as it stands once it is done and was asked for once more, which changed nothing.
pub async fn see_through(
    stage: &mut Stage,
    act: &Act,
    dying: &Dying,
    tally: &mut Tally,
) -> Result<Value> {
    let said = die(stage, act, &dying.kill, tally).await?;
    if let Some(again) = &dying.again {
        survive(stage, act, again, tally).await?;
    }
    let begun = Instant::now();
    if stage.is_up() {
        stage.withdraw();
    } else {
        stage.start(None).await?;
    }
    let api = stage.api()?;
    let done = until_done(&api, act, tally).await?;
    tally.recovered(begun.elapsed());
    tally.acts += 1;
    if let Some(said) = said.filter(|it| it.status.is_success()) {
        // Whatever it said it has, it has.
        if said.body[act.id] != done[act.id] {
            return Err(broken(Wrong::Forgotten, format!("it said {said:?}, now {done}")));
        }
    }
    let again = act.ask(&api).await??;
    ensure!(again.status.is_success(), "asked once more: {again:?}");
    if again.body != done {
        let what = format!("asked once more it is {}, it was {done}", again.body);
        return Err(broken(Wrong::Unbalanced, what));
    }
    Ok(done)
}

/// From the request to the death; what it answered before.
async fn die(
    stage: &mut Stage,
    act: &Act,
    kill: &Kill,
    tally: &mut Tally,
) -> Result<Option<Answer>> {
    stage.order(kill, &act.key)?;
    let asking = act.ask(&stage.api()?);
    let answer = match kill {
        Kill::After { ms } => {
            tokio::time::sleep(Duration::from_millis(*ms)).await;
            ended(stage, kill, tally, false).await?;
            asking.await?.ok()
        }
        Kill::At { .. } => {
            let answer = asking.await?.ok();
            // What follows the answer (the money's way into the meter) may pass the point too.
            let is_dying = answer.is_none() || stage.dies_soon().await?;
            ended(stage, kill, tally, is_dying).await?;
            answer
        }
        Kill::InRequest { .. } | Kill::InReply { .. } => bail!("no kill of an act: {kill}"),
    };
    Ok(answer)
}

/// The program is gone after this, by its own hand or by ours.
async fn ended(stage: &mut Stage, kill: &Kill, tally: &mut Tally, by_itself: bool) -> Result<()> {
    if by_itself && stage.has_died().await? {
        tally.killed(kill);
    } else if stage.kill().await? {
        // One that never passes its point dies at some time.
        let by_us = if matches!(kill, Kill::At { .. }) { &Kill::After { ms: 0 } } else { kill };
        tally.killed(by_us);
    }
    Ok(())
}

/// A start that is to end in `again`, while the program takes the act up.
async fn survive(stage: &mut Stage, act: &Act, again: &Kill, tally: &mut Tally) -> Result<()> {
    if let Err(error) = stage.start(Some(again)).await {
        // Some points lie before the first address is printed.
        if matches!(again, Kill::At { .. }) {
            tally.killed(again);
            return Ok(());
        }
        return Err(error);
    }
    die(stage, act, again, tally).await.map(drop)
}

async fn until_done(api: &Api, act: &Act, tally: &mut Tally) -> Result<Value> {
    let mut last = None;
    for round in 0..ROUNDS {
        let answer = act.ask(api).await?.context("the program is gone")?;
        if answer.status.is_success() && (act.is_done)(&answer.body) {
            return Ok(answer.body);
        }
        ensure!(!answer.status.is_server_error() || answer.status == 504, "{answer:?}");
        tally.asked_again += u64::from(round == 1);
        last = Some(answer);
        tokio::time::sleep(ROUND).await;
    }
    tally.left_for_a_person += 1;
    bail!("it does not end: {last:?}")
}

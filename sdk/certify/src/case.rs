//! One case: a device, a call, one fault or none, and what came of it.

use crate::act::{Act, Answer, Scene};
use crate::device::{Device, Program, Truth};
use crate::fault::Fault;
use crate::judge::{Ended, complaints};
use crate::settings::Settings;
use crate::wire::{Said, Wire};
use anyhow::{Context, Result};
use polymeter_domain::Quantity;
use polymeter_runtime::Driver;
use polymeter_transport::{Line, Priority};
use serde::Serialize;
use std::sync::Arc;
use tokio::sync::oneshot;

/// What all cases have in common.
#[derive(Debug)]
pub struct Kit {
    pub driver: Arc<Driver>,
    pub program: Program,
    pub settings: Settings,
    pub quantity: Quantity,
}

/// How a scene is played.
#[derive(Debug, Clone, Default)]
pub struct Play {
    pub fault: Option<Fault>,
    /// Another device's answers to the same call.
    pub others: Vec<Vec<u8>>,
    /// A call that should not succeed: it may end as it likes, but truly.
    pub lenient: bool,
}

/// A case as the report has it.
#[derive(Debug, Clone, Serialize)]
pub struct Case {
    /// The call, the device, and what was done to which answer.
    pub name: String,
    /// Nothing was wrong with what the driver did and said.
    pub passed: bool,
    /// What the driver said.
    pub said: String,
    /// What the simulator says is true.
    pub truth: String,
    /// What was wrong, a sentence each.
    pub complaints: Vec<String>,
}

/// A call that is over, for those who look on.
#[derive(Debug)]
pub struct Played {
    pub case: Case,
    pub answer: Answer,
    pub said: Said,
}

impl Kit {
    /// Plays one scene. `Err`: the kit or the simulator failed, not the driver.
    pub async fn play(&self, scene: &Scene, play: Play) -> Result<Played> {
        let name = match &play.fault {
            Some(fault) => format!("{}; {fault}", scene.name),
            None => scene.name.clone(),
        };
        let place = || format!("case `{name}`");
        let device = self.program.start(&scene.start).await.with_context(place)?;
        let twin = match &play.fault {
            Some(fault) if !fault.heard || fault.then_dead => {
                Some(self.program.start(&scene.start).await?)
            }
            _ => None,
        };
        let before = device.truth.clone();
        let disturbed = play.fault.is_some() || play.lenient;
        let (answer, said, device) =
            self.call(scene, device, twin, play).await.with_context(place)?;
        let after = device.truth.clone();
        let mut wrong = complaints(&Ended {
            act: &scene.act,
            address: &scene.start.address,
            before: &before,
            after: &after,
            answer: &answer,
            credit_unheard: said.credit_unheard,
            disturbed,
            quantity: self.quantity,
            settings: &self.settings,
        });
        let words = device.words.clone();
        if scene.act.changes() && self.driver.abilities().purse {
            wrong.extend(self.checked(scene, device).await.with_context(place)?);
        }
        if !wrong.is_empty() {
            wrong.extend(words.iter().map(|word| format!("the simulator said: {word}")));
        }
        let case = Case {
            name,
            passed: wrong.is_empty(),
            said: shortened(&format!("{answer:?}")),
            truth: summary(&after),
            complaints: wrong,
        };
        Ok(Played { case, answer, said })
    }

    /// Afterwards, on a good line, `check` must tell the truth.
    async fn checked(&self, scene: &Scene, device: Device) -> Result<Vec<String>> {
        let count =
            scene.act.credits().map(|purchase| purchase.count.get()).filter(|count| *count > 0);
        let check = Scene { act: Act::Check { count }, ..scene.clone() };
        let before = device.truth.clone();
        let (answer, _, device) = self.call(&check, device, None, Play::default()).await?;
        let wrong = complaints(&Ended {
            act: &check.act,
            address: &scene.start.address,
            before: &before,
            after: &device.truth,
            answer: &answer,
            credit_unheard: 0,
            disturbed: false,
            quantity: self.quantity,
            settings: &self.settings,
        });
        Ok(wrong.into_iter().map(|text| format!("check afterwards: {text}")).collect())
    }

    async fn call(
        &self,
        scene: &Scene,
        device: Device,
        twin: Option<Device>,
        play: Play,
    ) -> Result<(Answer, Said, Device)> {
        let (line, wire) = Wire::new(device, twin, play.fault, play.others).await?;
        let (over, is_over) = oneshot::channel();
        let carrying = tokio::spawn(wire.carry(is_over));
        let answer = self.perform(scene, &line).await?;
        drop(line);
        let _ = over.send(());
        let (said, device) = carrying.await.context("the wire's own task")??;
        Ok((answer, said, device))
    }

    async fn perform(&self, scene: &Scene, line: &Line) -> Result<Answer> {
        let mut lease = line.lease(Priority::Sale).await.context("the line to the simulator")?;
        Ok(scene.perform(&self.driver, &mut lease).await)
    }
}

/// Long enough for a reason, short enough for a report of a thousand cases.
fn shortened(text: &str) -> String {
    const MOST: usize = 400;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

fn summary(truth: &Truth) -> String {
    let last =
        truth.last.map_or("none".to_owned(), |last| format!("{}:{}", last.count, last.amount));
    format!(
        "count={} balance={} last={last} supply={} credit-frames={} customer={} parameters={:?}",
        truth.count,
        truth.balance,
        truth.supply,
        truth.credit_frames,
        truth.customer.as_deref().unwrap_or("none"),
        truth.parameters,
    )
}

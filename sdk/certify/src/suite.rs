//! Everything that is tried on one driver: good lines first, then every answer of them spoiled in every
//! way. Not here: how one case runs (case) and what is right (judge).

use crate::act::{Act, Author, Scene};
use crate::case::{Case, Kit, Play, Played};
use crate::chance::Chance;
use crate::fault::{Damage, faults};
use crate::judge::is_unsupported;
use anyhow::{Context, Result};
use polymeter_domain::{Credit, Purchase, PurchaseCount, SupplyCommand};
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// Cases at the same time. Most of their time is silence.
const AT_ONCE: usize = 12;
/// Devices that each call is tried on over a good line.
const ROUNDS: usize = 3;

/// What to run.
#[derive(Debug, Clone, Default)]
pub struct Choice {
    /// Only cases whose name contains this.
    pub only: Option<String>,
    /// At most so many faults; all if `None`.
    pub faults: Option<usize>,
}

/// A scene that the driver can play, with what was said in it on a good line.
struct Rehearsed {
    scene: Scene,
    answers: Vec<Vec<u8>>,
    others: Vec<Vec<u8>>,
}

/// What the suite found.
#[derive(Debug, Default)]
pub struct Found {
    pub cases: Vec<Case>,
    /// Functions that the driver's device can do, as transcripts name them.
    pub supported: BTreeSet<&'static str>,
    /// Functions that it says it cannot do.
    pub unsupported: BTreeSet<&'static str>,
    /// Frames seen on good lines, both ways.
    frames: Vec<Vec<u8>>,
}

/// Runs all of it.
pub async fn run(kit: &Arc<Kit>, author: &Author<'_>, choice: &Choice) -> Result<Found> {
    let mut found = Found::default();
    // First of all, because only then is the driver's first read made by a fresh instance.
    if choice.may_be(WARM) {
        warm_and_fresh(kit, author, &mut found).await?;
    }
    let mut plays = Vec::new();
    for scene in chosen(scenes(kit, author), choice) {
        let Some(rehearsed) = rehearse(kit, author, scene, &mut found).await? else { continue };
        plays.extend(faulty(author, &rehearsed));
    }
    for scene in wrong_orders(kit, author) {
        plays.push((scene, Play { lenient: true, ..Play::default() }));
    }
    found.cases.extend(decoded(kit, author, &found.frames).await);
    if let Some(only) = &choice.only {
        plays.retain(|(scene, play)| name(scene, play).contains(only));
        found.cases.retain(|case| case.name.contains(only));
    }
    sample(&mut plays, choice.faults, author.seed);
    found.cases.extend(all(kit, plays).await?);
    Ok(found)
}

/// The scene of [`warm_and_fresh`].
const WARM: &str = "read: warm and fresh";

impl Choice {
    /// A case of the scene `name` may be among those chosen.
    fn may_be(&self, name: &str) -> bool {
        self.only.as_ref().is_none_or(|only| only.contains(name) || name.contains(only.as_str()))
    }
}

/// Leaves out the scenes that have no case to be run, where that can be told from their names.
fn chosen(scenes: Vec<Scene>, choice: &Choice) -> Vec<Scene> {
    if !choice.may_be(WARM) && !scenes.iter().any(|scene| choice.may_be(&scene.name)) {
        return scenes;
    }
    scenes.into_iter().filter(|scene| choice.may_be(&scene.name)).collect()
}

fn name(scene: &Scene, play: &Play) -> String {
    play.fault.as_ref().map_or(scene.name.clone(), |fault| format!("{}; {fault}", scene.name))
}

/// The calls that a good line must carry. Each is told by name, so it is the same under the same seed
/// whatever else runs.
fn scenes(kit: &Kit, author: &Author<'_>) -> Vec<Scene> {
    let abilities = kit.driver.abilities();
    let mut scenes = Vec::new();
    for round in 1..=ROUNDS {
        let name = |what: &str| format!("{what} {round}");
        scenes.push(author.scene(&name("probe"), true, |_, _| Act::Probe));
        scenes.push(author.scene(&name("read"), true, |_, _| Act::Read));
        if abilities.purse {
            scenes.extend(purse_scenes(author, &name));
        }
        if abilities.refund {
            scenes.push(author.scene(&name("refund"), true, |chance, start| {
                let amount = author.amount(chance, 1..=start.balance.max(1));
                start.balance = start.balance.max(amount);
                refund(author, start, 1, amount)
            }));
        }
        if abilities.supply {
            let control = |command| {
                move |_: &mut Chance, start: &mut crate::device::Start| {
                    start.supply = if command == SupplyCommand::Connect { 1 } else { 2 };
                    Act::Control { command }
                }
            };
            scenes.push(author.scene(
                &name("control: disconnect"),
                true,
                control(SupplyCommand::Disconnect),
            ));
            scenes.push(author.scene(
                &name("control: connect"),
                true,
                control(SupplyCommand::Connect),
            ));
        }
        if abilities.settings {
            for skip in (0..author.writable.len()).step_by(2) {
                let set = |chance: &mut Chance, start: &mut crate::device::Start| Act::Set {
                    values: author.values(chance, start, skip, 2),
                };
                let first = &author.writable.get(skip).map_or("", |(name, ..)| name.as_str());
                scenes.push(author.scene(&name(&format!("set-parameters: {first}")), true, set));
            }
        }
    }
    scenes
}

fn purse_scenes(author: &Author<'_>, name: &dyn Fn(&str) -> String) -> Vec<Scene> {
    let customer = |chance: &mut Chance| format!("{}{}", chance.number(1..=9), chance.digits(11));
    let nothing = Credit { quantity: author.quantity, amount: 0 };
    vec![
        author.scene(&name("open"), false, |chance, _| Act::Open {
            customer: customer(chance),
            purchase: author.purchase(chance, 1),
        }),
        author.scene(&name("open without credit"), false, |chance, _| Act::Open {
            customer: customer(chance),
            purchase: Purchase { count: PurchaseCount::new(0), credit: nothing },
        }),
        author.scene(&name("sell"), true, |chance, start| Act::Sell {
            customer: start.customer.clone().unwrap_or_default(),
            purchase: author.purchase(chance, start.count + 1),
        }),
        author.scene(&name("clear"), true, |_, _| Act::Clear),
        author.scene(&name("check: the last purchase"), true, |_, start| Act::Check {
            count: Some(start.count),
        }),
        author.scene(&name("check: a purchase that is not there"), true, |_, start| Act::Check {
            count: Some(start.count + 1),
        }),
        author.scene(&name("check: any"), true, |_, _| Act::Check { count: None }),
    ]
}

/// Of `amount`, by the count that is `after` the one that the device stands at.
fn refund(author: &Author<'_>, start: &crate::device::Start, after: u32, amount: u64) -> Act {
    Act::Refund {
        customer: start.customer.clone().unwrap_or_default(),
        taken: Purchase {
            count: PurchaseCount::new(start.count + after),
            credit: Credit { quantity: author.quantity, amount },
        },
    }
}

/// Calls that a device should not follow: they may end as they like, but nobody may lie about them.
fn wrong_orders(kit: &Kit, author: &Author<'_>) -> Vec<Scene> {
    let abilities = kit.driver.abilities();
    let mut scenes = Vec::new();
    if abilities.purse {
        let sell = |name: &str, opened, after: u32| {
            author.scene(name, opened, |chance, start| Act::Sell {
                customer: start.customer.clone().unwrap_or_else(|| chance.digits(12)),
                purchase: author.purchase(chance, start.count + after),
            })
        };
        scenes.push(sell("sell: the count of the last purchase again", true, 0));
        scenes.push(sell("sell: a count that is not the next", true, 2));
        scenes.push(sell("sell: no account is opened", false, 1));
        scenes.push(author.scene("sell: the last purchase again", true, |_, start| Act::Sell {
            customer: start.customer.clone().unwrap_or_default(),
            purchase: Purchase {
                count: PurchaseCount::new(start.count),
                credit: Credit { quantity: author.quantity, amount: start.last },
            },
        }));
        scenes.push(author.scene("sell: another customer", true, |chance, start| Act::Sell {
            customer: format!("9{}", chance.digits(11)),
            purchase: author.purchase(chance, start.count + 1),
        }));
        scenes.push(author.scene("open: an account is opened", true, |chance, start| Act::Open {
            customer: start.customer.clone().unwrap_or_default(),
            purchase: author.purchase(chance, 1),
        }));
    }
    if abilities.refund {
        scenes.push(author.scene("refund: more than there is", true, |_, start| {
            refund(author, start, 1, start.balance + author.step)
        }));
        scenes.push(author.scene(
            "refund: the count of the last purchase again",
            true,
            |_, start| refund(author, start, 0, author.step),
        ));
        scenes.push(author.scene("refund: a count that is not the next", true, |_, start| {
            refund(author, start, 2, author.step)
        }));
    }
    if abilities.supply {
        for command in
            [SupplyCommand::AllowConnection, SupplyCommand::Protect, SupplyCommand::EndProtection]
        {
            scenes
                .push(author.scene(&format!("control: {command:?}"), true, |_, _| Act::Control {
                    command,
                }));
        }
    }
    scenes
}

/// Plays a scene twice on a good line, and once on another device. `None`: the device cannot do it.
async fn rehearse(
    kit: &Kit,
    author: &Author<'_>,
    scene: Scene,
    found: &mut Found,
) -> Result<Option<Rehearsed>> {
    let played = kit.play(&scene, Play::default()).await?;
    let function = scene.act.function();
    let may_lack =
        matches!(scene.act, Act::Open { .. } | Act::Clear | Act::Control { .. } | Act::Set { .. });
    if may_lack && is_unsupported(&played.answer) && played.said.exchanges.is_empty() {
        found.unsupported.insert(function);
        return Ok(None);
    }
    found.supported.insert(function);
    let again = kit.play(&scene, Play::default()).await?;
    let neighbour = neighbour(author, &scene);
    let others = kit.play(&neighbour, Play::default()).await?;
    found.cases.push(repeated(kit, &scene, &played, &again));
    let Played { case, said, .. } = played;
    let good = case.passed;
    found.cases.push(case);
    found
        .frames
        .extend(said.exchanges.iter().flat_map(|(asked, told)| [asked.clone(), told.clone()]));
    if !good {
        // What is wrong on a good line is wrong on every bad one: told once.
        return Ok(None);
    }
    let answers =
        |said: crate::wire::Said| said.exchanges.into_iter().map(|(_, told)| told).collect();
    Ok(Some(Rehearsed { scene, answers: answers(said), others: answers(others.said) }))
}

/// Another device on the same line. For an act it is in the same state, so that its answer is wrong in
/// nothing but where it comes from; for a question all its values are its own.
fn neighbour(author: &Author<'_>, scene: &Scene) -> Scene {
    let mut chance = Chance::new(author.seed, &format!("{} neighbour", scene.name));
    let mut other = scene.clone();
    if !scene.act.changes() {
        other.start = author.start(&mut chance, scene.start.customer.is_some());
        other.start.now = scene.start.now.clone();
        if let Act::Check { count: Some(count) } = &mut other.act {
            *count = other.start.count;
        }
    }
    // A pattern of one device only has no neighbour; its answers are then the same, and not used.
    for _ in 0..100 {
        other.start.address = chance.address(&author.settings.address);
        let pairs = other.start.address.split('/').zip(scene.start.address.split('/'));
        if pairs.clone().next().is_some_and(|(one, two)| one != two) {
            break;
        }
    }
    other
}

/// The same call on the same device must end alike, byte for byte.
fn repeated(kit: &Kit, scene: &Scene, first: &Played, second: &Played) -> Case {
    let mut complaints = Vec::new();
    if first.answer != second.answer {
        complaints.push(format!("first {:?}, then {:?}", first.answer, second.answer));
    }
    // With random numbers of the vault, the bytes may differ and their number may not.
    let random = kit.driver.imports().iter().any(|import| import.contains("/vault@"));
    let shape = |played: &Played| -> Vec<(usize, Option<Vec<u8>>)> {
        let exchanges = played.said.exchanges.iter();
        exchanges.map(|(asked, _)| (asked.len(), (!random).then(|| asked.clone()))).collect()
    };
    if shape(first) != shape(second) {
        complaints.push("the same call on the same device sent other bytes".to_owned());
    }
    Case {
        name: format!("{}; made again", scene.name),
        passed: complaints.is_empty(),
        said: "alike".to_owned(),
        truth: String::new(),
        complaints,
    }
}

/// A read by the driver's first instance, and the same read by one that has read another device since.
async fn warm_and_fresh(kit: &Kit, author: &Author<'_>, found: &mut Found) -> Result<()> {
    let scene = |name: &str| author.scene(name, true, |_, _| Act::Read);
    let (one, other) = (scene(WARM), scene("read: between"));
    let fresh = kit.play(&one, Play::default()).await?;
    let mut complaints = Vec::new();
    for round in 1..=5 {
        let between = kit.play(&other, Play::default()).await?;
        complaints.extend(between.case.complaints);
        let warm = kit.play(&one, Play::default()).await?;
        if warm.answer != fresh.answer {
            complaints.push(format!(
                "a fresh instance says {:?}; one that had read another device ({round}) says {:?}",
                fresh.answer, warm.answer
            ));
            break;
        }
    }
    complaints.extend(fresh.case.complaints);
    found.cases.push(Case {
        name: one.name,
        passed: complaints.is_empty(),
        said: fresh.case.said,
        truth: fresh.case.truth,
        complaints,
    });
    Ok(())
}

fn faulty(author: &Author<'_>, rehearsed: &Rehearsed) -> Vec<(Scene, Play)> {
    // One round of faults: the other rounds are for values.
    if !rehearsed.scene.name.ends_with(" 1") {
        return Vec::new();
    }
    let mut chance = Chance::new(author.seed, &format!("{} faults", rehearsed.scene.name));
    let mut plays = Vec::new();
    for (exchange, answer) in rehearsed.answers.iter().enumerate() {
        let other = rehearsed.others.get(exchange);
        let has_other = other.is_some_and(|other| !other.is_empty() && other != answer);
        for fault in faults(exchange, answer.len(), &mut chance) {
            if fault.damage != Damage::Other || has_other {
                let others = rehearsed.others.clone();
                let play = Play { fault: Some(fault), others, lenient: false };
                plays.push((rehearsed.scene.clone(), play));
            }
        }
    }
    plays
}

/// At most so many, spread over all of them.
fn sample(plays: &mut Vec<(Scene, Play)>, most: Option<usize>, seed: u64) {
    let Some(most) = most else { return };
    let mut chance = Chance::new(seed, "sample");
    while plays.len() > most {
        plays.remove(chance.index(plays.len()));
    }
}

async fn all(kit: &Arc<Kit>, plays: Vec<(Scene, Play)>) -> Result<Vec<Case>> {
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let mut running = JoinSet::new();
    for (index, (scene, play)) in plays.into_iter().enumerate() {
        let place = Arc::clone(&places).acquire_owned().await?;
        let kit = Arc::clone(kit);
        running.spawn(async move {
            let played = kit.play(&scene, play).await;
            drop(place);
            played.map(|played| (index, played.case))
        });
    }
    let mut cases = Vec::new();
    while let Some(ended) = running.join_next().await {
        cases.push(ended.context("a case's own task")??);
    }
    cases.sort_by_key(|(index, _)| *index);
    Ok(cases.into_iter().map(|(_, case)| case).collect())
}

/// `decode` of every frame seen, and of what is left of it on a bad line: anything but a trap will do.
async fn decoded(kit: &Kit, author: &Author<'_>, frames: &[Vec<u8>]) -> Option<Case> {
    if !kit.driver.abilities().frames {
        return None;
    }
    let mut chance = Chance::new(author.seed, "decode");
    let mut complaints = Vec::new();
    let mut understood = 0_usize;
    for frame in frames.iter().filter(|frame| !frame.is_empty()) {
        let cut = chance.index(frame.len());
        let mut flipped = frame.clone();
        if let Some(byte) = flipped.get_mut(cut) {
            *byte ^= 1 << chance.index(8);
        }
        let cut_short = frame.iter().take(cut).copied().collect();
        for bytes in [frame.clone(), cut_short, flipped, chance.bytes(cut)] {
            match (kit.driver.decode(&bytes).await, kit.driver.decode(&bytes).await) {
                (Ok(first), Ok(second)) if first == second => understood += 1,
                (Err(polymeter_runtime::CallError::Driver { .. }), Err(_)) => {}
                (first, _) => complaints.push(format!("{}: {first:?}", hex::encode(&bytes))),
            }
        }
    }
    if understood == 0 {
        complaints.push("no frame that was seen could be explained".to_owned());
    }
    Some(Case {
        name: "decode".to_owned(),
        passed: complaints.is_empty(),
        said: format!("{understood} explained"),
        truth: String::new(),
        complaints,
    })
}

//! Credit that the meter has applied while its answer was lost, corrupt, late, doubled or another
//! meter's (R9): many sales one after the other over one simulated line.

use super::template::{Template, Templates, Vendor};
use super::world::{Fate, World};
use anyhow::{Result, ensure};
use meter_sim::FaultKind;
use polymeter_domain::{Currency, Money, SaleId};
use polymeter_ledger::Database;
use polymeter_service::{Actor, SaleRequest};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// What a number of pushes came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pushed {
    pub vendor: Vendor,
    pub pushes: u64,
    /// Settled by the device's own record, within the call or after it, with nothing sent again.
    pub proved: u64,
}

const WAIT: Duration = Duration::from_secs(30);
/// Databases side by side for each vendor, on all cores together.
const LANES: u64 = 6;

/// `count` pushes for each vendor. An error names the first that was lost, doubled or sent blindly.
pub fn push(templates: &Templates, count: u64) -> Result<Vec<Pushed>> {
    let templates = &templates.0;
    let lanes: Vec<_> = templates
        .iter()
        .flat_map(|template| (0..LANES).map(move |lane| (Arc::clone(template), lane)))
        .map(|(template, lane)| {
            let pushes = count / LANES + u64::from(lane < count % LANES);
            let vendor = template.vendor;
            (vendor, pushes, thread::spawn(move || one_lane(&template, lane, pushes)))
        })
        .collect();
    let mut all = Vec::new();
    for template in templates {
        all.push(Pushed { vendor: template.vendor, pushes: 0, proved: 0 });
    }
    for (vendor, pushes, lane) in lanes {
        let proved = lane.join().map_err(|_| anyhow::anyhow!("a lane panicked"))??;
        for pushed in all.iter_mut().filter(|pushed| pushed.vendor == vendor) {
            pushed.pushes += pushes;
            pushed.proved += proved;
        }
    }
    Ok(all)
}

/// Applied every time, and answered like this.
fn fates(count: u64) -> Vec<Fate> {
    let kinds = [
        Fate::Unanswered,
        Fate::Spoilt(FaultKind::FlipReply { bit: 45 }),
        Fate::Spoilt(FaultKind::CutReply { keep_bytes: 5 }),
        Fate::Spoilt(FaultKind::Late { wait_ms: 8 }),
        Fate::Spoilt(FaultKind::Doubled),
        Fate::Spoilt(FaultKind::ReplyFromOtherMeter),
        Fate::Cut { is_done: true },
    ];
    kinds.into_iter().cycle().take(usize::try_from(count).unwrap_or(0)).collect()
}

fn one_lane(template: &Template, lane: u64, count: u64) -> Result<u64> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let world = Arc::new(World::forced(lane, fates(count), template.offline()?));
        let (_folder, path) = template.copy()?;
        let service = template.start(&world, Database::open(&path).await?).await?;
        let (actor, meter_id) = (Actor::System, template.meters[0]);
        let (mut sold, mut proved) = (0, 0);
        for nth in 1..=count {
            let number = (u128::from(lane) << 64) | u128::from(nth);
            let id = SaleId::new(uuid::Uuid::from_u128(number));
            let fen = i64::try_from(100 + nth % 900)?;
            let request = SaleRequest::new(meter_id, Money::new(fen, Currency::CNY));
            service.put_sale(id, request, &actor).await?;
            let mut sale = service.wait_for_sale(id, WAIT).await?;
            for _ in 0..5 {
                if sale.state.is_settled() {
                    break;
                }
                drop(service.reconcile_sale(id, &actor).await);
                sale = service.wait_for_sale(id, WAIT).await?;
            }
            ensure!(sale.state.name() == "confirmed", "push {nth}: {:?}", sale.history);
            sold += u64::try_from(fen)?;
            let dispatched = sale.history.iter().filter(|it| it.state == "dispatched").count();
            proved += u64::from(dispatched == 1);
            let state = &world.states()[0];
            ensure!(
                (state.credits, state.credited_fen, state.sell_frames) == (nth, sold, nth),
                "push {nth} of {fen} fen: {sold} fen sold, {state:?}, {:?}",
                sale.history
            );
        }
        let balance = service.trial_balance().await?;
        let cash = balance.lines.iter().find(|line| line.account == "cash");
        let booked = cash.map_or(0, |line| line.debits_posted.minor());
        ensure!(u64::try_from(booked)? == sold, "{booked} fen are booked, {sold} were sold");
        ensure!(balance.difference.minor() == 0, "debits and credits differ");
        Ok(proved)
    })
}

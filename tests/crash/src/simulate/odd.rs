//! Meters that behave oddly in the midst of a sale (R10): they refuse, restart, come back with another
//! record than they had, or are other meters altogether.

use super::template::{Remembered, Template, Templates, Vendor};
use super::world::{Fate, World};
use anyhow::{Context, Result, ensure};
use polymeter_domain::{Currency, Money, SaleId};
use polymeter_ledger::Database;
use polymeter_service::{Actor, SaleRequest, SaleView, Service, ServiceError};
use std::sync::Arc;
use std::time::Duration;

const WAIT: Duration = Duration::from_secs(30);
const FEN: i64 = 1_235;
/// Sold before, so that there is an older record to come back with.
const SOLD_BEFORE: u32 = 3;

/// What the meter does as the frame of the sale arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Oddity {
    Refuses,
    RestartsBeforeWriting,
    RestartsAfterWriting,
    /// The count is there, with half of the money.
    WritesHalf,
    /// It has forgotten the purchases of this week.
    ComesBackOlder,
    /// Somebody else has sold into it since.
    ComesBackNewer,
    /// The one behind this address is not there any more; another hangs in its place.
    IsAnother,
}

pub const ODDITIES: [Oddity; 7] = [
    Oddity::Refuses,
    Oddity::RestartsBeforeWriting,
    Oddity::RestartsAfterWriting,
    Oddity::WritesHalf,
    Oddity::ComesBackOlder,
    Oddity::ComesBackNewer,
    Oddity::IsAnother,
];

/// In which state the sale ends, and whether the meter has the credit.
fn expected(oddity: Oddity) -> (&'static str, u64) {
    match oddity {
        Oddity::Refuses => ("refused", 0),
        Oddity::RestartsBeforeWriting | Oddity::RestartsAfterWriting => ("confirmed", 1),
        // Neither proved nor disproved: a person decides, and nothing is sent again.
        Oddity::WritesHalf
        | Oddity::ComesBackOlder
        | Oddity::ComesBackNewer
        | Oddity::IsAnother => ("unresolved", 0),
    }
}

/// Plays all of them with each vendor's meters; how many there were.
pub fn odd(templates: &Templates) -> Result<usize> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut played = 0;
    for template in &templates.0 {
        for oddity in ODDITIES {
            let case = || format!("{:?}: {oddity:?}", template.vendor);
            runtime.block_on(one(template, oddity)).with_context(case)?;
            played += 1;
        }
    }
    Ok(played)
}

async fn one(template: &Template, oddity: Oddity) -> Result<()> {
    let fate = match oddity {
        // 0004H of DL/T 645, wrong MAC; exception 4 of Modbus would be the gateway's.
        Oddity::Refuses => match template.vendor {
            Vendor::Dlt645 => Fate::Refused(4),
            Vendor::Adf400l => Fate::Refused(3),
        },
        Oddity::RestartsBeforeWriting => Fate::Cut { is_done: false },
        Oddity::RestartsAfterWriting => Fate::Cut { is_done: true },
        _ => Fate::Swapped,
    };
    let mut fates = vec![fate];
    fates.extend((0..SOLD_BEFORE).map(|_| Fate::Good));
    let world = Arc::new(World::forced(1, fates, template.offline()?));
    let (_folder, path) = template.copy()?;
    let service = template.start(&world, Database::open(&path).await?).await?;
    for nth in 1..=SOLD_BEFORE {
        let sale = sell(&service, template, nth).await?;
        ensure!(sale.state.name() == "confirmed", "before: {:?}", sale.history);
    }
    let fen = u32::try_from(FEN)?;
    let remembers = |count, last_fen| Remembered { count, last_fen, is_another: false };
    world.swap_with(template.remembering(match oddity {
        Oddity::WritesHalf => remembers(SOLD_BEFORE + 1, fen / 2),
        Oddity::ComesBackOlder => remembers(SOLD_BEFORE - 2, fen),
        Oddity::ComesBackNewer => remembers(SOLD_BEFORE + 2, fen),
        _ => Remembered { count: SOLD_BEFORE, last_fen: fen, is_another: true },
    })?);
    let before = credits(&world);
    let sale = sell(&service, template, SOLD_BEFORE + 1).await?;
    let (state, credited) = expected(oddity);
    ensure!(sale.state.name() == state, "it ended {}: {:?}", sale.state.name(), sale.history);
    let is_swapped = state == "unresolved";
    let more = credits(&world) - if is_swapped { 0 } else { before };
    ensure!(more == credited, "the meter took {more} credits: {:?}", sale.history);
    let frames: u64 = world.states().iter().map(|state| state.sell_frames).sum();
    ensure!(!is_swapped || frames == 0, "sent again without proof: {:?}", sale.history);
    let reason = sale.history.last().map(|event| event.detail.clone()).unwrap_or_default();
    ensure!(!reason.is_empty(), "nobody is told why");
    if is_swapped {
        // The open case holds its money and its meter.
        let request = SaleRequest::new(template.meters[0], Money::new(FEN, Currency::CNY));
        let next = service.put_sale(id(SOLD_BEFORE + 2), request, &Actor::System).await;
        ensure!(matches!(next, Err(ServiceError::Unsettled { .. })), "sold on: {next:?}");
    }
    let balance = service.trial_balance().await?;
    let name = polymeter_service::meter_credit_account(template.meters[0]);
    let line = balance.lines.iter().find(|line| line.account == name).context("no account")?;
    let sold = i64::from(SOLD_BEFORE) + i64::try_from(credited)?;
    let open = if is_swapped { FEN } else { 0 };
    let (posted, pending) = (line.credits_posted.minor(), line.credits_pending.minor());
    ensure!((posted, pending) == (sold * FEN, open), "{posted} posted, {pending} pending");
    Ok(())
}

fn id(nth: u32) -> SaleId {
    SaleId::new(uuid::Uuid::from_u128(u128::from(nth)))
}

async fn sell(service: &Service, template: &Template, nth: u32) -> Result<SaleView> {
    let request = SaleRequest::new(template.meters[0], Money::new(FEN, Currency::CNY));
    service.put_sale(id(nth), request, &Actor::System).await?;
    Ok(service.wait_for_sale(id(nth), WAIT).await?)
}

fn credits(world: &World) -> u64 {
    world.states().iter().map(|state| state.credits).sum()
}

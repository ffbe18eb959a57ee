//! The second person of a closing (双人复核): whether one is needed, and what follows when one decides.

use super::settle::reckon;
use super::store::existing;
use super::{ArrearsEnd, Closing, ClosingPreview, ClosingState, abandon, blocked, drive};
use crate::Service;
use crate::approvable::Approvable;
use crate::approval::{self, Asking};
use crate::audit::Actor;
use crate::clock::UnixMs;
use crate::error::Result;
use polymeter_domain::{Channel, ClosingId, Money};
use polymeter_ledger::Transaction;

fn written_off(arrears: ArrearsEnd, sums: &ClosingPreview) -> Money {
    match arrears {
        ArrearsEnd::WrittenOff => sums.owed,
        ArrearsEnd::None | ArrearsEnd::Paid => Money::new(0, sums.owed.currency()),
    }
}

impl Service {
    /// Whether a closing that comes to these sums waits for a second person.
    pub fn closing_takes_two(&self, arrears: ArrearsEnd, sums: &ClosingPreview) -> bool {
        let written_off = written_off(arrears, sums);
        self.rules().approval.is_needed_to_close(sums.refunded, written_off)
    }
}

/// Whether what is paid out and written off is within one person's limit, or was agreed to. Where it is
/// neither, a second person is asked now, unless one is asked already.
pub(super) async fn agreed(
    tx: &mut Transaction,
    service: &Service,
    it: &Closing,
    sums: &ClosingPreview,
) -> Result<bool> {
    if !service.closing_takes_two(it.arrears, sums) {
        return Ok(true);
    }
    let written_off = written_off(it.arrears, sums);
    let given_up = sums.refunded.minor().saturating_add(written_off.minor());
    let object = Approvable::Closing(it.closing_id).to_string();
    let most = approval::agreed_minor(&mut *tx.connection(), &object).await?;
    if most.is_some_and(|most| most >= given_up) {
        return Ok(true);
    }
    if approval::waiting_for(&mut *tx.connection(), &object).await?.is_none() {
        let amount = Money::new(given_up, written_off.currency());
        let (act, reason, actor) = ("closing", it.why.reason.as_str(), &it.operator);
        let asking = Asking { act, object, amount, reason, actor };
        approval::ask(service, tx.connection(), asking).await?;
    }
    Ok(false)
}

/// The same is looked at as when it was begun, since the world has gone on meanwhile.
pub(crate) async fn approved(
    service: &Service,
    tx: &mut Transaction,
    closing: ClosingId,
) -> Result<()> {
    let it = existing(tx.connection(), closing).await?;
    if it.state != ClosingState::Begun {
        return Err(blocked(closing, format!("it is {}", it.state.name())));
    }
    let meters: Vec<_> = it.meters.iter().map(|it| (it.meter_id, it.remaining)).collect();
    let sums = reckon(tx, service, it.customer_id, &meters, service.today()?).await?;
    if sums.refunded.minor() > 0 {
        service.check_shift(tx, Channel::Cash, &it.operator).await?;
    }
    Ok(())
}

/// Comes to nothing, unless a device was asked to give up its money already: then it stays begun, and going
/// on with it asks a second person again.
pub(crate) async fn withdrawn(
    tx: &mut Transaction,
    closing: ClosingId,
    why: &str,
    at: UnixMs,
) -> Result<()> {
    let it = existing(tx.connection(), closing).await?;
    if it.state != ClosingState::Begun || it.touched().is_some() {
        return Ok(());
    }
    abandon(tx, closing, why, &Actor::System, at).await
}

/// In the name of whoever began it: the money goes out of their till.
pub(crate) async fn follow(service: &Service, closing: ClosingId) -> Result<()> {
    let it = service.closing(closing).await?;
    drive(service, closing, &it.operator).await
}

//! Sales that another act makes within its own job: paid from an account of the books and not over the
//! counter. From there on they are sales like any other: reserved, delivered, proved.

use super::delivery::{self, Claim};
use super::quote::{self, Way};
use super::{SaleRequest, store};
use crate::Service;
use crate::audit::Actor;
use crate::error::Result;
use polymeter_domain::{Credit, MeterId, Money, Sale, SaleId};
use polymeter_ledger::{Connection, Transaction};
use sqlx::AnyExecutor;

/// Money on its way into a meter from the account `from`.
pub(crate) struct Carried {
    pub sale_id: SaleId,
    pub meter_id: MeterId,
    pub amount: Money,
    /// What it was in the purse that it comes from, where that held no money.
    pub left: Option<Credit>,
    pub from: String,
}

/// Reserves it in the caller's job; `None` where this very sale exists. The caller hands the claim to
/// [`deliver_now`] once its job is stored.
pub(crate) async fn carry(
    tx: &mut Transaction,
    service: &Service,
    carried: Carried,
    actor: &Actor,
) -> Result<Option<Claim>> {
    let Carried { sale_id, meter_id, amount, left, from } = carried;
    let request = SaleRequest::new(meter_id, amount);
    let way = Way { carried_from: Some(from), left, on_token: None };
    quote::reserve_in(service, tx, sale_id, &request, way, actor.clone()).await
}

pub(crate) fn deliver_now(service: &Service, claim: Claim) {
    tokio::spawn(delivery::deliver(service.clone(), claim));
}

pub(crate) async fn state_of(executor: impl AnyExecutor<'_>, id: SaleId) -> Result<(SaleId, Sale)> {
    Ok((id, store::record(executor, id).await?.state))
}

pub(crate) async fn exists(connection: &mut Connection, id: SaleId) -> Result<bool> {
    Ok(store::find(connection, id).await?.is_some())
}

//! A sale's history: every state that it has been in, and why. Append-only.

use super::SaleEvent;
use super::store::StoredSale;
use crate::clock::UnixMs;
use crate::error::{Result, bad_column};
use polymeter_domain::{Sale, SaleId};
use polymeter_ledger::Connection;
use sqlx::AnyExecutor;

/// The first two lines of a sale's history: the arithmetic of its price, and that its money is held.
pub(super) async fn made(
    connection: &mut Connection,
    sale: &StoredSale,
    arithmetic: &str,
) -> Result<()> {
    sqlx::query(
        "insert into sale_event (sale_id, at_ms, state, detail)
         values ($1, $2, $3, $4), ($1, $2, $5, 'money is held')",
    )
    .bind(sale.sale_id.to_string())
    .bind(sale.created_at.0)
    .bind(Sale::Quoted.name())
    .bind(arithmetic)
    .bind(sale.state.name())
    .execute(connection)
    .await?;
    Ok(())
}

/// One line of a sale's history.
pub(super) async fn note(
    connection: &mut Connection,
    id: SaleId,
    at: UnixMs,
    state: &'static str,
    detail: &str,
) -> Result<()> {
    sqlx::query("insert into sale_event (sale_id, at_ms, state, detail) values ($1, $2, $3, $4)")
        .bind(id.to_string())
        .bind(at.0)
        .bind(state)
        .bind(detail)
        .execute(connection)
        .await?;
    Ok(())
}

/// Oldest first.
pub(super) async fn of_sale(executor: impl AnyExecutor<'_>, id: SaleId) -> Result<Vec<SaleEvent>> {
    let rows: Vec<(i64, String, String)> = sqlx::query_as(
        "select at_ms, state, detail from sale_event where sale_id = $1 order by sale_event_id",
    )
    .bind(id.to_string())
    .fetch_all(executor)
    .await?;
    rows.into_iter()
        .map(|(at_ms, state, detail)| {
            let state = match state.as_str() {
                "quoted" => "quoted",
                "reserved" => "reserved",
                "dispatched" => "dispatched",
                "confirmed" => "confirmed",
                "refused" => "refused",
                "unresolved" => "unresolved",
                "cancelled" => "cancelled",
                other => return Err(bad_column("state", other)),
            };
            Ok(SaleEvent { at: UnixMs(at_ms), state, detail })
        })
        .collect()
}

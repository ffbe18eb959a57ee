//! What a restored database does not know: its meters may have moved on since the backup.
//!
//! Invariant: no sale of before the restore is ever sent again without the meter's word that it never
//! arrived. A sale that the backup has as reserved may have been dispatched since, so it becomes
//! unresolved, under the count that it would have had; dispatched ones do so at every start. The meter's
//! own record then decides (count and amount), or an operator. Not here: putting rows back (ledger).

use crate::audit::{self, Act, Actor};
use crate::clock::UnixMs;
use crate::error::Result;
use polymeter_ledger::Database;

/// Runs on a restored database before anybody is served from it. Answers how many sales await their
/// meter's word.
pub async fn settle_restored(database: &Database, backup_of: UnixMs, now: UnixMs) -> Result<u64> {
    database
        .write(move |tx| {
            Box::pin(async move {
                let detail = format!(
                    "restored from a backup of {} (Unix ms): it may have been sent since then",
                    backup_of.0
                );
                sqlx::query(
                    "insert into sale_event (sale_id, at_ms, state, detail)
                     select sale_id, $1, 'unresolved', $2 from sale where state = 'reserved'",
                )
                .bind(now.0)
                .bind(&detail)
                .execute(tx.connection())
                .await?;
                let changed = sqlx::query(
                    "update sale set state = 'unresolved', purchase_count = coalesce(purchase_count,
                        (select meter.purchase_count + 1 from meter
                         where meter.meter_id = sale.meter_id), 1)
                     where state = 'reserved'",
                )
                .execute(tx.connection())
                .await?
                .rows_affected();
                let detail =
                    &format!("a backup of {} (Unix ms); {changed} sales unresolved", backup_of.0);
                let object = "database".to_owned();
                let actor = &Actor::System;
                let act = Act { at: now, actor, act: "database-restored", object, detail };
                audit::record(tx.connection(), act).await?;
                Ok(changed)
            })
        })
        .await
}

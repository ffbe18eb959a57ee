//! The rows of cards: which is a meter's now. A card that fits its meter and comes first is taken for
//! its card; from then on another one is another one.

use crate::clock::UnixMs;
use crate::error::Result;
use polymeter_domain::{CardIdentity, CustomerId, MeterId};
use polymeter_ledger::Connection;
use sqlx::AnyExecutor;

/// The card of a meter that sales go onto.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CurrentCard {
    pub serial: String,
    pub said_taken: Option<u32>,
}

pub(super) async fn current(
    executor: impl AnyExecutor<'_>,
    meter: MeterId,
) -> Result<Option<CurrentCard>> {
    let row: Option<(String, Option<i64>)> = sqlx::query_as(
        "select serial, said_taken from card where meter_id = $1 and state = 'current'",
    )
    .bind(meter.to_string())
    .fetch_optional(executor)
    .await?;
    Ok(row.map(|(serial, said)| {
        let said_taken = said.and_then(|count| u32::try_from(count).ok());
        CurrentCard { serial, said_taken }
    }))
}

/// Takes the card for its meter's where that has none and the card is nobody else's. Whether it did.
pub(super) async fn take_in(
    connection: &mut Connection,
    meter: MeterId,
    customer: CustomerId,
    card: &CardIdentity,
    at: UnixMs,
) -> Result<bool> {
    let taken = sqlx::query(
        "insert into card (vendor, serial, issued_at_ms, meter_id, customer_id, state)
         select $1, $2, $3, $4, $5, 'current'
         where not exists (select 1 from card where state = 'current'
                           and (meter_id = $4 or (vendor = $1 and serial = $2)))",
    )
    .bind(card.vendor.as_str())
    .bind(&card.serial)
    .bind(at.0)
    .bind(meter.to_string())
    .bind(customer.to_string())
    .execute(connection)
    .await?;
    Ok(taken.rows_affected() == 1)
}

/// How a card's time at its meter ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    Lost,
    Recycled,
}

impl Ending {
    fn name(self) -> &'static str {
        match self {
            Ending::Lost => "lost",
            Ending::Recycled => "recycled",
        }
    }
}

/// Of the card that a meter has now, if it has one.
pub(super) async fn end(
    connection: &mut Connection,
    meter: MeterId,
    ending: Ending,
    at: UnixMs,
) -> Result<()> {
    sqlx::query(
        "update card set state = $1, ended_at_ms = $2 where meter_id = $3 and state = 'current'",
    )
    .bind(ending.name())
    .bind(at.0)
    .bind(meter.to_string())
    .execute(connection)
    .await?;
    Ok(())
}

/// Whether there is a current card of which that could be said.
pub(super) async fn say_taken(
    connection: &mut Connection,
    meter: MeterId,
    count: u32,
) -> Result<bool> {
    let said =
        sqlx::query("update card set said_taken = $1 where meter_id = $2 and state = 'current'")
            .bind(i64::from(count))
            .bind(meter.to_string())
            .execute(connection)
            .await?;
    Ok(said.rows_affected() == 1)
}

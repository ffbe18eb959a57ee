//! Bugs that the simulation must find. Each is what a wrong line in the product would do to what is
//! stored, done behind the product's back by the database itself, so that nothing of a bug is ever in
//! the product's own code.
//!
//! Not here: looking for them (tests/simulation.rs).

use anyhow::{Context, Result};
use polymeter_ledger::{Database, LedgerError};
use sqlx::AssertSqlSafe;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Planted {
    pub name: &'static str,
    bug: Bug,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bug {
    /// Whenever a sale comes into this state, it is changed like that.
    OnState(&'static str, &'static str),
    /// A new sale is changed like that.
    OnNew(&'static str),
    /// At every start but the first, sales in this state are changed like that.
    AtRestart(&'static str, &'static str),
    /// A new process does not take up what the last one left.
    NoResume,
    /// What was acknowledged had not reached the disk.
    NothingKept,
}

const CANCELLED: &str = "state = 'cancelled', settled_at_ms = 1";
const REFUSED: &str =
    "state = 'refused', settled_at_ms = 1, refusal_code = 1, refusal_detail = 'no'";
const CONFIRMED: &str =
    "state = 'confirmed', settled_at_ms = 1, purchase_count = coalesce(purchase_count, 1)";
const RESERVED: &str =
    "state = 'reserved', settled_at_ms = null, balance_quantity = null, balance_amount = null";
const DISPATCHED: &str =
    "state = 'dispatched', settled_at_ms = null, balance_quantity = null, balance_amount = null";

/// Where the database itself refuses the bug.
pub const NOT_PLANTED: &str = "the bug was not planted";

/// All of them.
pub const PLANTED: &[Planted] = &[
    bug("dispatched is not stored before the bytes leave", Bug::OnState("dispatched", RESERVED)),
    bug("an unknown outcome is sent again", Bug::OnState("unresolved", RESERVED)),
    bug("an unknown outcome is cancelled", Bug::OnState("unresolved", CANCELLED)),
    bug("an unknown outcome is taken for a yes", Bug::OnState("unresolved", CONFIRMED)),
    bug("an unknown outcome is taken for a no", Bug::OnState("unresolved", REFUSED)),
    bug("a yes is forgotten", Bug::OnState("confirmed", DISPATCHED)),
    bug("a yes is sent again", Bug::OnState("confirmed", RESERVED)),
    bug("a yes is voided", Bug::OnState("confirmed", CANCELLED)),
    bug(
        "the count asked for is stored one too high",
        Bug::OnState("dispatched", "purchase_count = purchase_count + 1"),
    ),
    bug(
        "the count asked for is stored one too low",
        Bug::OnState("dispatched", "purchase_count = purchase_count - 1"),
    ),
    bug("the count asked for is not kept", Bug::OnState("unresolved", "purchase_count = 0")),
    bug("a fen too much is sent", Bug::OnNew("amount = amount + 1")),
    bug("a fen too little is sent", Bug::OnNew("amount = max(amount - 1, 1)")),
    bug("a digit is lost on the way", Bug::OnNew("amount = amount / 10 + 1")),
    bug(
        "the sale goes into the other meter",
        Bug::OnNew(
            "meter_id = (select meter_id from meter where meter_id <> new.meter_id limit 1)",
        ),
    ),
    bug(
        "the sale is tied to no transfer",
        Bug::OnNew("pending_transfer_id = 'ffffffff-ffff-7fff-bfff-' || substr(sale_id, 25)"),
    ),
    bug("a new sale is dispatched already", Bug::OnNew("state = 'dispatched', purchase_count = 1")),
    bug("a new sale is settled already", Bug::OnNew(CONFIRMED)),
    bug("a restart sends again what was dispatched", Bug::AtRestart("dispatched", RESERVED)),
    bug("a restart cancels what was dispatched", Bug::AtRestart("dispatched", CANCELLED)),
    bug("a restart takes what was dispatched for a yes", Bug::AtRestart("dispatched", CONFIRMED)),
    bug("a restart takes what was dispatched for a no", Bug::AtRestart("dispatched", REFUSED)),
    bug("a restart sends again what is unresolved", Bug::AtRestart("unresolved", RESERVED)),
    bug("a restart cancels what is unresolved", Bug::AtRestart("unresolved", CANCELLED)),
    bug("a restart takes what was reserved for a yes", Bug::AtRestart("reserved", CONFIRMED)),
    bug(
        "a restart voids what was reserved, but not its money",
        Bug::AtRestart("reserved", CANCELLED),
    ),
    bug("a restart sends again what was confirmed", Bug::AtRestart("confirmed", RESERVED)),
    bug("a restart does not take up what was left", Bug::NoResume),
    bug("an acknowledged sale had not reached the disk", Bug::NothingKept),
];

const fn bug(name: &'static str, bug: Bug) -> Planted {
    Planted { name, bug }
}

impl Planted {
    /// Into the database of a new process.
    pub(super) async fn plant(&self, database: &Database, life: u32) -> Result<()> {
        let statements = match (self.bug, life) {
            (Bug::OnState(state, change), 0) => vec![
                FREE.to_owned(),
                format!(
                    "create trigger planted after update of state on sale when new.state = '{state}'
                     begin update sale set {change} where sale_id = new.sale_id; end"
                ),
            ],
            (Bug::OnNew(change), 0) => vec![
                FREE.to_owned(),
                format!(
                    "create trigger planted after insert on sale
                     begin update sale set {change} where sale_id = new.sale_id; end"
                ),
            ],
            (Bug::AtRestart(state, change), 1..) => {
                vec![
                    FREE.to_owned(),
                    format!("update or ignore sale set {change} where state = '{state}'"),
                ]
            }
            _ => Vec::new(),
        };
        for statement in statements {
            run(database, statement).await.with_context(|| self.name)?;
        }
        Ok(())
    }

    pub(super) fn resumes(&self) -> bool {
        self.bug != Bug::NoResume
    }

    pub(super) fn keeps(&self) -> bool {
        self.bug != Bug::NothingKept
    }
}

/// The database guards a sale's terms against bugs like these; whoever plants one takes that away.
const FREE: &str = "drop trigger if exists sale_terms_are_fixed";

async fn run(database: &Database, statement: String) -> Result<()> {
    let written: Result<(), Failed> = database
        .write(move |tx| {
            Box::pin(async move {
                let statement = sqlx::query(AssertSqlSafe(statement));
                statement.execute(tx.connection()).await.map(drop).map_err(Failed::Query)
            })
        })
        .await;
    Ok(written?)
}

#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error("{NOT_PLANTED}")]
    Query(#[source] sqlx::Error),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

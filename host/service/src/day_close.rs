//! The day close (日结): the books' head of a day, signed and kept, and what each channel of payment took.
//!
//! Invariant: a close and its row in the audit trail are one transaction; the books go on meanwhile, since
//! a close is of what was booked before it; no shift of the day or of one before it is open. Not here: the key (server),
//! the sums (ledger).

use crate::Service;
use crate::audit::{self, Act, Actor};
use crate::booking::is_channel;
use crate::error::{Result, ServiceError, invalid};
use crate::page::Page;
use crate::shift;
use polymeter_domain::tariff::Date;
use polymeter_ledger::{DayClose, DayMoved};

/// A close, and what the channels of payment moved since the one before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClosedDay {
    pub close: DayClose,
    pub channels: Vec<DayMoved>,
}

impl Service {
    /// Closes a day of the site, or today. `sign` makes the text of a signature of the head's text.
    pub async fn close_day(
        &self,
        day: Option<Date>,
        sign: impl FnOnce(&str) -> std::result::Result<String, String>,
        actor: &Actor,
    ) -> Result<ClosedDay> {
        let today = self.today()?;
        let day = day.unwrap_or(today);
        if day > today {
            return Err(invalid("day", format!("{day} has not begun; today is {today}")));
        }
        let at = self.clock().at();
        let prepared = self.database().prepare_close(&day.to_string(), at.0).await?;
        let signature = sign(&prepared.head.text()).map_err(ServiceError::NotSigned)?;
        let actor = actor.clone();
        self.database()
            .write(move |tx| {
                Box::pin(async move {
                    shift::all_closed(tx.connection(), day).await?;
                    polymeter_ledger::close_day(tx, &prepared, &signature).await?;
                    let object = format!("day/{day}");
                    let detail = &format!("up to transfer {}", prepared.head.sequence);
                    let act = Act { at, actor: &actor, act: "day-closed", object, detail };
                    audit::record(tx.connection(), act).await
                })
            })
            .await?;
        tracing::info!(%day, "day closed");
        self.closed_day(day).await
    }

    pub async fn closed_day(&self, day: Date) -> Result<ClosedDay> {
        let close = self.database().day_close(&day.to_string()).await?;
        let Some(close) = close else {
            return Err(ServiceError::NotFound { what: "day close", id: day.to_string() });
        };
        let channels = self.database().day_moved(close.head.number, is_channel).await?;
        Ok(ClosedDay { close, channels })
    }

    /// Newest first; `after` is a close's number.
    pub async fn day_closes(&self, page: &Page) -> Result<Vec<DayClose>> {
        let before = page.after_number()?.unwrap_or(i64::MAX);
        Ok(self.database().day_closes(before, page.row_limit()?).await?)
    }
}

//! Opening what an application was prepared for, with one click (一键开户), one or many at once.
//!
//! Invariant: a meter that was opened is left alone by every later try, so that asking again goes on
//! where a silent meter stopped it. Not here: how one meter is opened (the module above).

use super::Why;
use super::application::{Application, ApplicationState, PlannedMeter, blocked, end, planned_of};
use crate::Service;
use crate::audit::Actor;
use crate::error::{Result, chain};
use polymeter_domain::ApplicationId;

impl Service {
    /// Opens what was prepared, with one click. Meters opened by an earlier try are left alone, so that
    /// asking again goes on where a silent meter stopped it.
    pub async fn open_application(&self, id: ApplicationId, actor: &Actor) -> Result<Application> {
        let application = self.application(id).await?;
        match application.state {
            ApplicationState::Done => return Ok(application),
            ApplicationState::Refused => return Err(blocked(&application, "it was refused")),
            ApplicationState::Received => {
                return Err(blocked(&application, "no meter was prepared for it yet"));
            }
            ApplicationState::Prepared => {}
        }
        let mut failed = None;
        for planned in application.meters.iter().filter(|it| it.opened_at.is_none()) {
            match self.open_planned(&application, planned, actor).await {
                Ok(()) => {}
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        match failed {
            Some(error) => Err(error),
            None => self.application(id).await,
        }
    }

    async fn open_planned(
        &self,
        application: &Application,
        planned: &PlannedMeter,
        actor: &Actor,
    ) -> Result<()> {
        let (id, meter_id) = (application.application_id, planned.meter_id);
        let why = Why {
            reason: format!("opened on application {}", application.number),
            application: Some(id),
        };
        self.open_account_why(meter_id, application.customer_id, why, actor).await?;
        // Where consumption begins. The meter is open with or without it.
        if let Err(error) = self.read_meter(meter_id, actor).await {
            tracing::warn!(%meter_id, error = chain(&error), "not read after its opening");
        }
        let at = self.clock().at();
        self.database()
            .write(move |tx| {
                Box::pin(async move {
                    sqlx::query(
                        "update application_meter set opened_at_ms = $1
                         where application_id = $2 and meter_id = $3 and opened_at_ms is null",
                    )
                    .bind(at.0)
                    .bind(id.to_string())
                    .bind(meter_id.to_string())
                    .execute(tx.connection())
                    .await?;
                    let meters = planned_of(tx.connection(), id).await?;
                    if meters.iter().all(|meter| meter.opened_at.is_some()) {
                        let outcome = format!("{} meters opened", meters.len());
                        end(tx.connection(), id, ApplicationState::Done, at, &outcome).await?;
                    }
                    Ok(())
                })
            })
            .await
    }

    /// Many at once, each for itself: one that fails stops none of the others.
    pub async fn open_applications(
        &self,
        ids: Vec<ApplicationId>,
        actor: &Actor,
    ) -> Vec<(ApplicationId, Result<Application>)> {
        let mut ended = Vec::with_capacity(ids.len());
        for id in ids {
            ended.push((id, self.open_application(id, actor).await));
        }
        ended
    }
}

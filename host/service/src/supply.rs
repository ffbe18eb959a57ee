//! Supply control: breaker and valve. What was asked is in the audit trail before the device hears
//! of it, and how it ended after.

use crate::account;
use crate::audit::{self, Act, Actor};
use crate::driver::Kind;
use crate::error::{Result, ServiceError};
use crate::mode::set_keeps_power;
use crate::reach::Reach;
use crate::reading::set_supply;
use crate::{Service, stored, to_the_end};
use polymeter_domain::{ControlOutcome, MeterId, SupplyCommand, SupplyState};
use polymeter_transport::Priority;

impl Service {
    /// The state that the device reported after the command. After `Unknown` the stored state is
    /// unknown too, until the meter is read.
    pub async fn control(
        &self,
        meter: MeterId,
        command: SupplyCommand,
        actor: &Actor,
    ) -> Result<SupplyState> {
        let reach = self.reach(meter, Kind::Change).await?;
        account::not_bypassed(self.reader(), &reach.meter).await?;
        // Whoever asks, a purse that was paid included: only resuming connects what is suspended.
        if command != SupplyCommand::Disconnect {
            account::not_suspended(self.reader(), &reach.meter).await?;
        }
        to_the_end(control(self.clone(), reach, command, actor.clone())).await
    }

    async fn audit_control(
        &self,
        meter: MeterId,
        actor: &Actor,
        act: &'static str,
        detail: String,
        supply: Option<SupplyState>,
        keeps_power: Option<bool>,
    ) -> Result<()> {
        let (at, actor) = (self.clock().at(), actor.clone());
        self.database()
            .write(move |tx| {
                Box::pin(async move {
                    if let Some(state) = supply {
                        set_supply(tx.connection(), meter, state, at).await?;
                    }
                    if let Some(keeps) = keeps_power {
                        set_keeps_power(tx.connection(), meter, keeps).await?;
                    }
                    let object = format!("meter/{meter}");
                    let act = Act { at, actor: &actor, act, object, detail: &detail };
                    audit::record(tx.connection(), act).await
                })
            })
            .await
    }
}

async fn control(
    service: Service,
    reach: Reach,
    command: SupplyCommand,
    actor: Actor,
) -> Result<SupplyState> {
    let (meter_id, name) = (reach.meter.meter_id, command_name(command));
    service.audit_control(meter_id, &actor, "control-asked", name.to_owned(), None, None).await?;
    let outcome = match reach.line_lease(Priority::SupplyControl).await {
        Ok(mut lease) => {
            let moment = service.clock().moment();
            let device = &reach.meter.device;
            let act = reach.pick.driver.control(&mut lease, device, moment, command, None);
            let outcome = service.change_device(&reach.pick, act).await;
            service.keep_failure(&reach).await;
            Ok(outcome)
        }
        Err(error) => Err(error),
    };
    let (detail, supply, result) = match outcome {
        Ok(ControlOutcome::Confirmed(state)) => {
            (format!("confirmed, {}", stored::supply_name(state)), Some(state), Ok(state))
        }
        Ok(ControlOutcome::Refused(refusal)) => {
            let error = ServiceError::refused(&reach.pick.driver, "supply", refusal);
            (error.to_string(), None, Err(error))
        }
        Ok(ControlOutcome::NotSent(why)) => {
            (format!("not sent: {why}"), None, Err(ServiceError::NotSent(why)))
        }
        Ok(ControlOutcome::Unknown(why)) => {
            (format!("unknown: {why}"), Some(SupplyState::Unknown), Err(ServiceError::Unknown(why)))
        }
        Err(error) => (format!("not sent: {error}"), None, Err(error)),
    };
    tracing::info!(%meter_id, command = name, outcome = detail, "supply control ended");
    let detail = format!("{name}: {detail}");
    // What the device protects, the program does not cut either.
    let keeps_power = match (&result, command) {
        (Ok(_), SupplyCommand::Protect) => Some(true),
        (Ok(_), SupplyCommand::EndProtection) => Some(false),
        _ => None,
    };
    service.audit_control(meter_id, &actor, "control-ended", detail, supply, keeps_power).await?;
    result
}

fn command_name(command: SupplyCommand) -> &'static str {
    match command {
        SupplyCommand::Disconnect => "disconnect",
        SupplyCommand::Connect => "connect",
        SupplyCommand::AllowConnection => "allow-connection",
        SupplyCommand::Protect => "protect",
        SupplyCommand::EndProtection => "end-protection",
    }
}

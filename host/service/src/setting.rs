//! Parameters that live in the device: written by its driver, which reads them back and compares, and
//! shown as the device was last proved to hold them.
//!
//! Invariant: a value counts as held only after the driver confirmed it; an attempt that did not end
//! so never hides the value before it. What was asked is in the audit trail before the device hears
//! of it. Not here: parameters that only steer the driver (parameter.rs).

use crate::audit::{self, Act, Actor};
use crate::clock::UnixMs;
use crate::driver::Kind;
use crate::error::{Result, ServiceError, bad_column, invalid};
use crate::meter;
use crate::parameter::{Home, checked};
use crate::reach::Reach;
use crate::{Service, stored, to_the_end};
use polymeter_domain::{MeterId, Value};
use polymeter_ledger::Connection;
use polymeter_runtime::SetOutcome;
use polymeter_transport::Priority;

/// How the writing of a parameter ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SettingEnd {
    /// The device holds it: its driver read it back.
    Confirmed,
    Refused,
    NotSent,
    /// The device may hold it or what it held before.
    Unknown,
}

impl SettingEnd {
    const ALL: [SettingEnd; 4] =
        [SettingEnd::Confirmed, SettingEnd::Refused, SettingEnd::NotSent, SettingEnd::Unknown];

    pub fn name(self) -> &'static str {
        match self {
            SettingEnd::Confirmed => "confirmed",
            SettingEnd::Refused => "refused",
            SettingEnd::NotSent => "not-sent",
            SettingEnd::Unknown => "unknown",
        }
    }
}

/// One attempt to write a parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    pub value: Value,
    pub at: UnixMs,
    pub end: SettingEnd,
    /// Why it did not end well; empty where it did.
    pub detail: String,
}

/// What is known of a parameter in the device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    pub name: String,
    /// The last value that the device was proved to hold.
    pub held: Option<Attempt>,
    /// A later attempt that did not end so.
    pub failed: Option<Attempt>,
}

/// One call of a driver, over.
#[derive(Debug)]
struct Ended {
    parameters: Vec<(String, Value)>,
    end: SettingEnd,
    /// Empty after a yes.
    why: String,
}

#[derive(Debug, sqlx::FromRow)]
struct Row {
    name: String,
    value: String,
    at_ms: i64,
    ending: String,
    detail: String,
}

impl TryFrom<Row> for (String, Attempt) {
    type Error = ServiceError;
    fn try_from(row: Row) -> Result<Self> {
        let end = SettingEnd::ALL.into_iter().find(|end| end.name() == row.ending);
        let attempt = Attempt {
            value: stored::value("value", &row.value)?,
            at: UnixMs(row.at_ms),
            end: end.ok_or_else(|| bad_column("ending", row.ending))?,
            detail: row.detail,
        };
        Ok((row.name, attempt))
    }
}

impl Service {
    /// What is known of the parameters in a device, in the order of their names; one that nobody set
    /// is not among them.
    pub async fn settings(&self, id: MeterId) -> Result<Vec<Setting>> {
        meter::record(self.reader(), id).await?;
        let rows: Vec<Row> = sqlx::query_as(
            "select name, value, at_ms, ending, detail from setting
             where meter_id = $1 order by name, at_ms, is_held",
        )
        .bind(id.to_string())
        .fetch_all(self.reader())
        .await?;
        let mut settings: Vec<Setting> = Vec::new();
        for row in rows {
            let (name, attempt) = row.try_into()?;
            if settings.last().is_none_or(|last| last.name != name) {
                settings.push(Setting { name, held: None, failed: None });
            }
            let Some(last) = settings.last_mut() else { continue };
            // In the order of time: what is held now makes an earlier failure history.
            match attempt.end {
                SettingEnd::Confirmed => (last.held, last.failed) = (Some(attempt), None),
                SettingEnd::Refused | SettingEnd::NotSent | SettingEnd::Unknown => {
                    last.failed = Some(attempt);
                }
            }
        }
        Ok(settings)
    }

    /// Writes parameters into the device in one call of its driver. `Ok` is the device's yes, after
    /// reading back.
    pub async fn set_in_device(
        &self,
        id: MeterId,
        parameters: Vec<(String, Value)>,
        actor: &Actor,
    ) -> Result<()> {
        if parameters.is_empty() {
            return Err(invalid("parameters", "none is given"));
        }
        let reach = self.reach(id, Kind::Change).await?;
        let parameters = checked(&reach.pick.driver, Home::Device, &parameters)?;
        to_the_end(set(self.clone(), reach, parameters, actor.clone())).await
    }

    async fn audit_setting(
        &self,
        id: MeterId,
        actor: &Actor,
        act: &'static str,
        detail: String,
        ended: Option<Ended>,
    ) -> Result<()> {
        let (at, actor) = (self.clock().at(), actor.clone());
        self.database()
            .write(move |tx| {
                Box::pin(async move {
                    if let Some(ended) = ended {
                        store(tx.connection(), id, at, &ended).await?;
                    }
                    let object = format!("meter/{id}");
                    let act = Act { at, actor: &actor, act, object, detail: &detail };
                    audit::record(tx.connection(), act).await
                })
            })
            .await
    }
}

async fn set(
    service: Service,
    reach: Reach,
    parameters: Vec<(String, Value)>,
    actor: Actor,
) -> Result<()> {
    let (meter_id, names) = (reach.meter.meter_id, in_words(&parameters));
    service.audit_setting(meter_id, &actor, "setting-asked", names.clone(), None).await?;
    let outcome = match reach.line_lease(Priority::SupplyControl).await {
        Ok(mut lease) => {
            let (moment, device) = (service.clock().moment(), &reach.meter.device);
            let act = reach.pick.driver.set_parameters(&mut lease, device, moment, &parameters);
            let outcome = service.change_device(&reach.pick, act).await;
            service.keep_failure(&reach).await;
            Ok(outcome)
        }
        Err(error) => Err(error),
    };
    let (end, result) = match outcome {
        Ok(SetOutcome::Confirmed) => (SettingEnd::Confirmed, Ok(())),
        Ok(SetOutcome::Refused(refusal)) => {
            let error = ServiceError::refused(&reach.pick.driver, "settings", refusal);
            (SettingEnd::Refused, Err(error))
        }
        Ok(SetOutcome::NotSent(why)) => (SettingEnd::NotSent, Err(ServiceError::NotSent(why))),
        Ok(SetOutcome::Unknown(why)) => (SettingEnd::Unknown, Err(ServiceError::Unknown(why))),
        Err(error) => (SettingEnd::NotSent, Err(error)),
    };
    let why = result.as_ref().err().map(|error| crate::error::chain(error)).unwrap_or_default();
    let outcome = end.name();
    tracing::info!(%meter_id, outcome, why, "setting ended");
    let detail = if why.is_empty() { outcome.to_owned() } else { why.clone() };
    let detail = format!("{names}: {detail}");
    let ended = Some(Ended { parameters, end, why });
    service.audit_setting(meter_id, &actor, "setting-ended", detail, ended).await?;
    result
}

/// "alarm-1 = 2000, limit = 5"; a text may be a secret and is not for the trail.
fn in_words(parameters: &[(String, Value)]) -> String {
    let each = parameters.iter().map(|(name, value)| match value {
        Value::Number(number) => format!("{name} = {number}"),
        Value::Flag(flag) => format!("{name} = {flag}"),
        Value::Text(_) | Value::Bytes(_) | Value::Time(_) => name.clone(),
    });
    each.collect::<Vec<_>>().join(", ")
}

async fn store(connection: &mut Connection, id: MeterId, at: UnixMs, ended: &Ended) -> Result<()> {
    let Ended { parameters, end, why } = ended;
    for (name, value) in parameters {
        sqlx::query(
            "insert into setting (meter_id, name, is_held, value, at_ms, ending, detail)
             values ($1, $2, $3, $4, $5, $6, $7)
             on conflict (meter_id, name, is_held) do update
             set value = excluded.value, at_ms = excluded.at_ms, ending = excluded.ending,
                 detail = excluded.detail",
        )
        .bind(id.to_string())
        .bind(name)
        .bind(i64::from(*end == SettingEnd::Confirmed))
        .bind(stored::value_text(value))
        .bind(at.0)
        .bind(end.name())
        .bind(why)
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

//! Putting the clocks in devices right (校时): as their protocol lets anybody do it within its rules, or
//! with authority.
//!
//! Invariants: nobody moves a clock without reading it first, and the device's clock, read back, is the
//! only judge of how it ended; what was asked stands in its row and in the audit trail before the device
//! hears of it; above the site's limit a second person agrees first. Not here: a protocol's rules
//! (drivers), how far off a clock is (`polymeter_domain::ClockDrift`).

mod store;

use crate::approval::{self, Asking};
use crate::audit::{self, Act, Actor};
use crate::clock::UnixMs;
use crate::customer::typed_not_empty;
use crate::driver::Kind;
use crate::error::{Result, ServiceError, bad_column, chain};
use crate::limits::{CLOCK_TOLERANCE_SECONDS, MAX_REASON_CHARS};
use crate::meter;
use crate::page::Page;
use crate::reach::Reach;
use crate::reading::Reading;
use crate::{Approvable, Service, to_the_end};
use polymeter_domain::{
    ApprovalId, ClockDrift, ClockSettingId, LocalTime, MeterId, Money, Quality, Refusal, VendorCode,
};
use polymeter_ledger::Transaction;
use polymeter_runtime::{ClockOutcome, ClockWay};
use polymeter_transport::Priority;

/// How the setting of a clock stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClockState {
    /// A second person has to agree.
    Waiting,
    /// Nothing was sent yet.
    Approved,
    /// The device may have heard of it.
    Asked,
    /// The clock was read back, and is right.
    Right,
    /// The clock was read back, and is still off: the device did not follow.
    Wrong,
    Refused,
    NotSent,
    /// The clock was not read back.
    Unknown,
    /// The second person did not agree, or who asked took it back.
    Withdrawn,
}

impl ClockState {
    const ALL: [ClockState; 9] = [
        ClockState::Waiting,
        ClockState::Approved,
        ClockState::Asked,
        ClockState::Right,
        ClockState::Wrong,
        ClockState::Refused,
        ClockState::NotSent,
        ClockState::Unknown,
        ClockState::Withdrawn,
    ];

    pub fn name(self) -> &'static str {
        match self {
            ClockState::Waiting => "waiting",
            ClockState::Approved => "approved",
            ClockState::Asked => "asked",
            ClockState::Right => "right",
            ClockState::Wrong => "wrong",
            ClockState::Refused => "refused",
            ClockState::NotSent => "not-sent",
            ClockState::Unknown => "unknown",
            ClockState::Withdrawn => "withdrawn",
        }
    }

    fn from_name(name: &str) -> Result<ClockState> {
        let found = ClockState::ALL.into_iter().find(|state| state.name() == name);
        found.ok_or_else(|| bad_column("state", name))
    }
}

/// One clock that was to be put right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClockSetting {
    pub clock_setting_id: ClockSettingId,
    pub meter_id: MeterId,
    pub way: ClockWay,
    /// Seconds ahead when it was asked for, below zero behind; `None`: the clock showed no time.
    pub drift_s: Option<i64>,
    pub reason: String,
    pub operator: Actor,
    pub created_at: UnixMs,
    pub state: ClockState,
    /// The same once it was read back.
    pub drift_after_s: Option<i64>,
    /// Why it did not end well; empty where it did.
    pub detail: String,
    pub ended_at: Option<UnixMs>,
    /// What it waits for.
    pub approval: Option<ApprovalId>,
}

/// How a clock setting ended, and what its row keeps of that.
struct Ended {
    state: ClockState,
    drift_after_s: Option<i64>,
    detail: String,
}

impl Service {
    /// Reads the meter and puts its clock right, or asks a second person first where the site wants two
    /// for one so far off. How that ended is the answer's state; an error means that nothing was tried.
    pub async fn set_meter_clock(
        &self,
        meter: MeterId,
        way: ClockWay,
        reason: &str,
        actor: &Actor,
    ) -> Result<ClockSetting> {
        let reason = typed_not_empty("reason", reason, MAX_REASON_CHARS)?;
        able(&self.reach(meter, Kind::Change).await?)?;
        let (service, actor) = (self.clone(), actor.clone());
        to_the_end(async move {
            service.expire_approvals().await?;
            let drift_s = drift_of(&service.read_meter(meter, &actor).await?)?;
            let id = ClockSettingId::new(service.clock().id());
            let new = ClockSetting {
                clock_setting_id: id,
                meter_id: meter,
                way,
                drift_s,
                reason,
                operator: actor,
                created_at: service.clock().at(),
                state: ClockState::Approved,
                drift_after_s: None,
                detail: String::new(),
                ended_at: None,
                approval: None,
            };
            make(&service, new).await?;
            service.follow_clock(id).await?;
            service.clock_setting(id).await
        })
        .await
    }

    /// Whether the driver of this vendor's meters sets clocks.
    pub fn sets_clock(&self, vendor: &VendorCode) -> bool {
        self.driver(vendor).is_ok_and(|driver| driver.abilities().clock)
    }

    pub async fn clock_setting(&self, id: ClockSettingId) -> Result<ClockSetting> {
        let mut it = store::record(self.reader(), id).await?;
        if it.state == ClockState::Waiting {
            let object = Approvable::Clock(id).to_string();
            let waiting = approval::waiting_for(self.reader(), &object).await?;
            it.approval = waiting.map(|approval| approval.approval_id);
        }
        Ok(it)
    }

    /// Of one meter, newest first.
    pub async fn clock_settings(&self, meter: MeterId, page: &Page) -> Result<Vec<ClockSetting>> {
        meter::record(self.reader(), meter).await?;
        store::of_meter(self.reader(), meter, &page.bound()?).await
    }

    /// Asks the device, where that was agreed to and did not happen yet.
    pub(crate) async fn follow_clock(&self, id: ClockSettingId) -> Result<()> {
        let it = store::record(self.reader(), id).await?;
        if it.state != ClockState::Approved {
            return Ok(());
        }
        let reach = match self.reach(it.meter_id, Kind::Change).await {
            Ok(reach) => reach,
            Err(error) => return keep_end(self, it, not_sent(&error)).await,
        };
        let mut lease = match reach.line_lease(Priority::SupplyControl).await {
            Ok(lease) => lease,
            Err(error) => return keep_end(self, it, not_sent(&error)).await,
        };
        begin(self, &it).await?;
        let (began, moment) = (self.clock().at(), self.clock().moment());
        let act = reach.pick.driver.set_clock(&mut lease, &reach.meter.device, moment, it.way);
        let outcome = self.change_device(&reach.pick, act).await;
        let (at, now) = (self.clock().now)();
        self.keep_failure(&reach).await;
        drop(lease);
        let took_ms = at.0.saturating_sub(began.0);
        let ended = judge(&reach, outcome, now, took_ms);
        keep_end(self, it, ended).await
    }

    /// What a crash left: what a device may have heard of is unknown, since nobody read it back; what
    /// was agreed to is done now.
    pub(crate) async fn resume_clocks(&self) -> Result<()> {
        for it in store::left(self.reader()).await? {
            let id = it.clock_setting_id;
            let followed = match it.state {
                ClockState::Asked => {
                    let detail = "the program ended before the clock was read back".to_owned();
                    let state = ClockState::Unknown;
                    keep_end(self, it, Ended { state, drift_after_s: None, detail }).await
                }
                _ => self.follow_clock(id).await,
            };
            match followed {
                Err(error) if error.is_passing() => return Err(error),
                Err(error) => {
                    let why = chain(&error);
                    tracing::error!(clock_setting_id = %id, why, "the clock waits for a person");
                }
                Ok(()) => {}
            }
        }
        Ok(())
    }
}

/// Said before the meter is asked for anything.
fn able(reach: &Reach) -> Result<()> {
    if reach.pick.driver.abilities().clock {
        return Ok(());
    }
    let what = format!("meter {}", reach.meter.serial_number);
    let why = format!("its driver, {}, sets no clock", reach.pick.driver.name());
    Err(ServiceError::Blocked { what, why })
}

/// `None`: the clock shows no time. A meter that tells no clock at all cannot be judged.
fn drift_of(reading: &Reading) -> Result<Option<i64>> {
    if let Some(drift) = reading.drift {
        return Ok(Some(drift.seconds));
    }
    match reading.clock().map(|told| told.quality) {
        Some(Quality::Measured | Quality::Estimated | Quality::Invalid) => Ok(None),
        Some(Quality::NotMeasured) | None => {
            let what = "the clock of this meter".to_owned();
            let why = "the meter tells none, so that nobody could see whether it was set";
            Err(ServiceError::Blocked { what, why: why.to_owned() })
        }
    }
}

/// Stored, and asked of a second person where the site wants two.
async fn make(service: &Service, new: ClockSetting) -> Result<()> {
    let inside = service.clone();
    service
        .database()
        .write(move |tx| {
            Box::pin(async move {
                let meter = meter::record(&mut *tx.connection(), new.meter_id).await?;
                store::none_open(tx.connection(), &meter).await?;
                // What a protocol lets anybody do moves little.
                let needs_two = new.way == ClockWay::Set
                    && inside.rules().approval.is_needed_to_set_a_clock(new.drift_s);
                let state = if needs_two { ClockState::Waiting } else { ClockState::Approved };
                let it = ClockSetting { state, ..new };
                store::insert(tx.connection(), &it).await?;
                let detail = format!("{}, {}: {}", it.way.name(), off(it.drift_s), it.reason);
                audit(tx, &it, it.created_at, "clock-setting-asked", &detail).await?;
                if needs_two {
                    let object = Approvable::Clock(it.clock_setting_id).to_string();
                    let amount = Money::new(0, inside.currency());
                    let (reason, actor) = (it.reason.as_str(), &it.operator);
                    let asking = Asking { act: "clock-setting", object, amount, reason, actor };
                    approval::ask(&inside, tx.connection(), asking).await?;
                }
                Ok(())
            })
        })
        .await
}

/// Before the first byte leaves.
async fn begin(service: &Service, it: &ClockSetting) -> Result<()> {
    let id = it.clock_setting_id;
    service
        .database()
        .write(move |tx| Box::pin(async move { store::begin(tx.connection(), id).await }))
        .await
}

fn judge(reach: &Reach, outcome: ClockOutcome, now: LocalTime, took_ms: i64) -> Ended {
    let ended = |state, detail| Ended { state, drift_after_s: None, detail };
    match outcome {
        ClockOutcome::Shows(shown) => match ClockDrift::of(shown, now, took_ms) {
            Some(drift) => {
                let seconds = drift.seconds;
                let is_right = seconds.abs() <= CLOCK_TOLERANCE_SECONDS;
                let (state, detail) = if is_right {
                    (ClockState::Right, String::new())
                } else {
                    let did_not = "the device did not follow: its clock is still";
                    (ClockState::Wrong, format!("{did_not} {}", off(Some(seconds))))
                };
                Ended { state, drift_after_s: Some(seconds), detail }
            }
            None => ended(ClockState::Unknown, format!("the clock shows {shown:?}")),
        },
        ClockOutcome::Refused(no) => ended(ClockState::Refused, refused(reach, no)),
        ClockOutcome::NotSent(why) => ended(ClockState::NotSent, why),
        ClockOutcome::Unknown(why) => ended(ClockState::Unknown, why),
    }
}

fn refused(reach: &Reach, no: Refusal) -> String {
    ServiceError::refused(&reach.pick.driver, "clock", no).to_string()
}

fn not_sent(error: &ServiceError) -> Ended {
    Ended { state: ClockState::NotSent, drift_after_s: None, detail: chain(error) }
}

/// "300 s behind", as people and the audit trail read it.
fn off(drift_s: Option<i64>) -> String {
    drift_s.map_or_else(|| "showing no time".to_owned(), ClockDrift::in_words)
}

async fn keep_end(service: &Service, it: ClockSetting, ended: Ended) -> Result<()> {
    let at = service.clock().at();
    let (meter_id, outcome) = (it.meter_id, ended.state.name());
    tracing::info!(%meter_id, outcome, detail = ended.detail, "clock setting ended");
    service
        .database()
        .write(move |tx| {
            Box::pin(async move {
                store::end(tx.connection(), it.clock_setting_id, &ended, at).await?;
                let mut detail = ended.state.name().to_owned();
                if !ended.detail.is_empty() {
                    detail.push_str(&format!(": {}", ended.detail));
                }
                audit(tx, &it, at, "clock-setting-ended", &detail).await
            })
        })
        .await
}

async fn audit(
    tx: &mut Transaction,
    it: &ClockSetting,
    at: UnixMs,
    act: &'static str,
    detail: &str,
) -> Result<()> {
    let (object, actor) = (format!("meter/{}", it.meter_id), &it.operator);
    let detail = &format!("clock-setting/{}: {detail}", it.clock_setting_id);
    audit::record(tx.connection(), Act { at, actor, act, object, detail }).await
}

/// A second person agreed; the device is asked afterwards.
pub(crate) async fn approved(tx: &mut Transaction, id: ClockSettingId) -> Result<()> {
    let it = store::record(&mut *tx.connection(), id).await?;
    if it.state != ClockState::Waiting {
        let (what, id, state) = ("clock setting", id.to_string(), it.state.name());
        return Err(ServiceError::WrongState { what, id, state, event: "approved" });
    }
    store::approve(tx.connection(), id).await
}

pub(crate) async fn withdrawn(
    tx: &mut Transaction,
    id: ClockSettingId,
    why: &str,
    at: UnixMs,
) -> Result<()> {
    let (state, detail) = (ClockState::Withdrawn, why.to_owned());
    store::end(tx.connection(), id, &Ended { state, drift_after_s: None, detail }, at).await
}

//! The acts that a rollout learns from: reads with a shadow behind them, and a canary's calls with
//! the current version standing by.
//!
//! Invariant: what a caller gets never depends on a shadow, and a candidate that breaks in a read
//! costs its caller nothing but time: the current version reads instead. Nothing that may change a
//! device is ever done twice here.

use super::compare::{Difference, differences};
use super::rollout::{Seen, ShadowEnd};
use super::{Part, Pick, Rollout};
use crate::Service;
use crate::error::{Result, ServiceError};
use crate::limits::{SHADOW_FACTOR, SHADOW_SLACK};
use crate::reach::{Lease, Reach};
use polymeter_domain::{Evidence, PurchaseCount, Snapshot};
use polymeter_runtime::{Acted, CallError, Device, Driver};
use polymeter_transport::LineLease;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Where the driver itself broke, and not the device or the line.
fn fault_of(error: &CallError) -> Option<String> {
    error.is_fault().then(|| error.to_string())
}

impl Service {
    /// Reads the device. The line is given back when the caller's answer is known, or after the
    /// shadow's read, which nobody waits for.
    pub(crate) async fn read_device(
        &self,
        reach: &Reach,
        mut lease: LineLease,
    ) -> Result<Snapshot> {
        let (pick, device) = (&reach.pick, &reach.meter.device);
        let began = Instant::now();
        let answer = pick.driver.read(&mut lease, device, self.clock().moment()).await;
        let took = began.elapsed();
        let failed = |by: &Driver, error| ServiceError::device(by, "meter", error);
        match (&pick.part, answer) {
            (Part::Alone, answer) => answer.map_err(|error| failed(&pick.driver, error)),
            (Part::Canary { rollout, current }, answer) => {
                let fault = answer.as_ref().err().and_then(fault_of);
                let broke = fault.is_some();
                self.observe(rollout, Seen::Canary { is_read: true, took, fault }).await;
                if broke {
                    let moment = self.clock().moment();
                    let answer = current.read(&mut lease, device, moment).await;
                    return answer.map_err(|error| failed(current, error));
                }
                answer.map_err(|error| failed(&pick.driver, error))
            }
            (Part::Measured(_) | Part::Shadowed(_), Err(error)) => Err(failed(&pick.driver, error)),
            (Part::Measured(rollout), Ok(snapshot)) => {
                self.observe(rollout, Seen::CurrentRead { took }).await;
                Ok(snapshot)
            }
            (Part::Shadowed(rollout), Ok(snapshot)) => {
                self.observe(rollout, Seen::CurrentRead { took }).await;
                let shadow = shadow(
                    self.clone(),
                    Arc::clone(rollout),
                    lease,
                    device.clone(),
                    snapshot.clone(),
                    took,
                );
                tokio::spawn(shadow);
                Ok(snapshot)
            }
        }
    }

    /// An act that may change the device, done once and by the picked version alone.
    pub(crate) async fn change_device<T>(
        &self,
        pick: &Pick,
        act: impl Future<Output = Acted<T>>,
    ) -> T {
        let began = Instant::now();
        let Acted { outcome, fault } = act.await;
        if let Part::Canary { rollout, .. } = &pick.part {
            let took = began.elapsed();
            self.observe(rollout, Seen::Canary { is_read: false, took, fault }).await;
        }
        outcome
    }

    /// What the device remembers, by the picked version; where a candidate breaks over it, by the
    /// current one. Asking changes nothing, so asking twice is safe.
    pub(crate) async fn check_device(
        &self,
        pick: &Pick,
        device: &Device,
        lease: &mut Lease,
        count: Option<PurchaseCount>,
    ) -> Result<Evidence> {
        let began = Instant::now();
        let answer = self.evidence(&pick.driver, device, lease, count).await;
        let failed = |by: &Driver, error| ServiceError::device(by, "purse", error);
        let Part::Canary { rollout, current } = &pick.part else {
            return answer.map_err(|error| failed(&pick.driver, error));
        };
        let fault = answer.as_ref().err().and_then(fault_of);
        let broke = fault.is_some();
        let took = began.elapsed();
        self.observe(rollout, Seen::Canary { is_read: false, took, fault }).await;
        if broke {
            let answer = self.evidence(current, device, lease, count).await;
            return answer.map_err(|error| failed(current, error));
        }
        answer.map_err(|error| failed(&pick.driver, error))
    }
}

/// The candidate's read after the current version's, under the same lease. It may not hold the line
/// much longer than the current version did.
async fn shadow(
    service: Service,
    rollout: Arc<Rollout>,
    mut lease: LineLease,
    device: Device,
    current: Snapshot,
    current_took: Duration,
) {
    let bound = current_took * SHADOW_FACTOR + SHADOW_SLACK;
    let began = Instant::now();
    let moment = service.clock().moment();
    let candidate = &rollout.edition.driver;
    let answer = tokio::time::timeout(bound, candidate.read(&mut lease, &device, moment)).await;
    let took = began.elapsed();
    drop(lease);
    let failed = |candidate: String| {
        ShadowEnd::Compared(vec![Difference {
            what: "read".to_owned(),
            current: "an answer".to_owned(),
            candidate,
        }])
    };
    let end = match answer {
        Ok(Ok(snapshot)) => {
            let drift = rollout.plan.thresholds.drift_percent;
            ShadowEnd::Compared(differences(&current, &snapshot, drift))
        }
        Ok(Err(error)) => match fault_of(&error) {
            Some(fault) => ShadowEnd::Fault(fault),
            None => failed(error.to_string()),
        },
        Err(_) => ShadowEnd::Fault(format!("no answer within {} ms", bound.as_millis())),
    };
    service.observe(&rollout, Seen::Shadow { took, end }).await;
}

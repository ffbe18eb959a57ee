//! What is asked of a driver that makes tokens, and what becomes of its errors.
//!
//! Invariant: nothing is asked inside a database transaction: a driver that hangs stops nobody else.

use super::store::{Basis, StoredToken, counted};
use crate::Service;
use crate::error::{Result, ServiceError, bad_column};
use crate::meter::MeterRecord;
use polymeter_domain::{Credit, Money, TokenDigits, TokenOrder, TokenPlan};
use polymeter_runtime::{CallError, Device, Moment};
use uuid::Uuid;

/// `driver-error.code`: what was asked is none that it can do, and says why.
const BAD_ARGUMENT: u16 = 6;

/// What a token of this meter would be now, and what that was reckoned from.
#[derive(Debug, Clone)]
pub(crate) struct Planned {
    pub plan: TokenPlan,
    /// The greatest identifier that the meter had then, which must still be it.
    pub last: Option<u32>,
    pub basis: Basis,
}

/// The nonce of a call is the order's own id, so that it is the same at every issue.
fn moment(id: Uuid, now: polymeter_domain::LocalTime) -> Moment {
    Moment { now, nonce: *id.as_bytes() }
}

pub(crate) async fn plan(
    service: &Service,
    meter: &MeterRecord,
    id: Uuid,
    order: &TokenOrder,
) -> Result<Planned> {
    let driver = service.driver(&meter.vendor)?;
    let (number_round, last) = counted(service.reader(), meter.meter_id).await?;
    let now = service.clock().moment().now;
    let plan = driver.plan_token(&meter.device, moment(id, now), order, last).await;
    let plan = plan.map_err(not_made)?;
    let TokenPlan { identifier, begins_anew, .. } = plan;
    let device = meter.device.clone();
    let basis = Basis { number_round, identifier, begins_anew, device, issued_for: now };
    Ok(Planned { plan, last, basis })
}

/// What a token carries of a credit, before anybody has paid for it.
pub(crate) async fn credit_carried(
    service: &Service,
    meter: &MeterRecord,
    id: Uuid,
    credit: Credit,
    paid: Money,
) -> Result<Credit> {
    let order = TokenOrder::of_credit(credit);
    match plan(service, meter, id, &order).await {
        Ok(planned) => planned.plan.credit.ok_or_else(|| no_amount(paid)),
        Err(ServiceError::Invalid { why, .. }) => Err(ServiceError::BadAmount { paid, why }),
        Err(error) => Err(error),
    }
}

fn no_amount(paid: Money) -> ServiceError {
    ServiceError::BadAmount { paid, why: "a token of this meter carries no amount".to_owned() }
}

/// The digits of an order whose number is taken: the same at every call.
pub(crate) async fn digits_of(service: &Service, it: &StoredToken) -> Result<TokenDigits> {
    let meter = crate::meter::record(service.reader(), it.meter_id).await?;
    let driver = service.driver(&meter.vendor)?;
    let basis = it.basis.as_ref().ok_or_else(|| bad_column("number_round", "none"))?;
    let Basis { identifier, device, issued_for, .. } = basis;
    let moment = moment(it.token_order_id.uuid(), *issued_for);
    let device = Device { address: device.address.clone(), parameters: device.parameters.clone() };
    let issued = driver.issue_token(&device, moment, &it.order, *identifier).await;
    let issued = issued.map_err(not_made)?;
    if issued.credit != it.order.credit {
        let why = "its driver made a token of another amount than it had planned".to_owned();
        return Err(ServiceError::Blocked { what: "the token".to_owned(), why });
    }
    Ok(issued.digits)
}

/// Makes the tokens of a key change as they would be made now, and forgets them.
pub(super) async fn try_key_change(
    service: &Service,
    meter: &MeterRecord,
    order: &TokenOrder,
) -> Result<()> {
    plan(service, meter, Uuid::nil(), order).await?;
    test(service, meter, order).await.map(drop)
}

/// What no key, number or moment goes into.
pub(super) async fn test(
    service: &Service,
    meter: &MeterRecord,
    order: &TokenOrder,
) -> Result<TokenDigits> {
    let driver = service.driver(&meter.vendor)?;
    let moment = moment(Uuid::nil(), service.clock().moment().now);
    let issued = driver.issue_token(&meter.device, moment, order, None).await;
    Ok(issued.map_err(not_made)?.digits)
}

fn not_made(error: CallError) -> ServiceError {
    match error {
        CallError::Driver { code: BAD_ARGUMENT, detail, .. } => {
            ServiceError::Invalid { field: "token", why: detail }
        }
        error => {
            let what = "the token could not be made".to_owned();
            ServiceError::Blocked { what, why: error.to_string() }
        }
    }
}

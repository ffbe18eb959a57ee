//! Every failure as problem+json (RFC 9457): a stable `code`, a title, a sentence, the request's
//! id.
//!
//! Invariant: a cause never reaches the client; it goes to the log, once, beside the request's id.
//! A `code` never changes its meaning. Not here: the page's words for the same failures (ui).

use crate::app::chain;
use crate::session::NotLetIn;
use axum::Json;
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use polymeter_runtime::CallError;
use polymeter_service::{BadParameter, ServiceError};
use polymeter_transport::LineError;
use serde::Serialize;
use utoipa::ToSchema;

/// Seconds after which a database that could not be used may be asked again.
const STORAGE_RETRY_AFTER_S: u64 = 5;

/// The body of every answer that is not a success.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Problem {
    /// Always `about:blank`: `code` tells the kinds apart.
    #[serde(rename = "type")]
    pub kind: &'static str,
    pub title: &'static str,
    #[schema(value_type = u16, example = 409)]
    pub status: u16,
    /// Stable, for programs, e.g. `sale-differs`.
    pub code: &'static str,
    /// One sentence about this very case.
    pub detail: String,
    /// A sentence for each parameter that cannot be used; absent where the problem is another.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub fields: Vec<FieldProblem>,
    /// The device's own code, where it gave one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<DeviceCode>,
    /// Stands in the server's log beside the cause.
    pub request_id: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldProblem {
    /// The parameter's name.
    pub field: String,
    /// What it must be.
    pub detail: String,
}

/// A vendor's error code, and what its driver says that it means.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct DeviceCode {
    /// As the device gave it.
    pub code: String,
    /// `null`: the driver has no words for it.
    pub meaning: Option<Meaning>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Meaning {
    pub en: String,
    pub zh: String,
}

impl From<&polymeter_runtime::Meaning> for Meaning {
    fn from(meaning: &polymeter_runtime::Meaning) -> Self {
        Meaning { en: meaning.en.clone(), zh: meaning.zh.clone() }
    }
}

/// A failure on its way out. `cause` is for the log alone.
#[derive(Debug, Clone)]
pub struct ApiError {
    pub status: StatusCode,
    pub code: &'static str,
    pub title: &'static str,
    pub detail: String,
    pub cause: Option<String>,
    pub retry_after_s: Option<u64>,
    pub more: Box<More>,
}

/// What only some problems have.
#[derive(Debug, Clone, Default)]
pub struct More {
    fields: Vec<FieldProblem>,
    device: Option<DeviceCode>,
}

impl ApiError {
    pub fn new(
        status: StatusCode,
        code: &'static str,
        title: &'static str,
        detail: impl Into<String>,
    ) -> ApiError {
        ApiError {
            status,
            code,
            title,
            detail: detail.into(),
            cause: None,
            retry_after_s: None,
            more: Box::default(),
        }
    }

    /// The body or a parameter cannot be understood.
    pub fn bad_request(code: &'static str, detail: impl Into<String>) -> ApiError {
        ApiError::new(StatusCode::BAD_REQUEST, code, "The request cannot be understood", detail)
    }

    pub fn invalid(field: &str, why: impl std::fmt::Display) -> ApiError {
        let title = "A field has a value that cannot be used";
        let detail = format!("{field}: {why}");
        ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid-field", title, detail)
    }
}

impl From<ServiceError> for ApiError {
    fn from(error: ServiceError) -> ApiError {
        use StatusCode as S;
        let (status, code, title) = match &error {
            ServiceError::NotFound { .. } => (S::NOT_FOUND, "not-found", "No such thing"),
            ServiceError::Exists { .. } => (S::CONFLICT, "exists", "It exists already"),
            ServiceError::SaleDiffers { .. } => {
                (S::CONFLICT, "sale-differs", "This sale id was used for another sale")
            }
            ServiceError::Differs { .. } => {
                (S::CONFLICT, "differs", "This id was used for something else")
            }
            ServiceError::WrongState { .. } => {
                (S::CONFLICT, "out-of-order", "Its state does not allow this")
            }
            ServiceError::SamePerson => {
                (S::FORBIDDEN, "second-person", "Another operator has to decide this")
            }
            ServiceError::UnsettledAct { .. } => {
                (S::CONFLICT, "unsettled-act", "The meter has an unsettled counter act")
            }
            ServiceError::NoShift => (S::CONFLICT, "no-open-shift", "There is no open shift"),
            ServiceError::Unsettled { .. } => {
                (S::CONFLICT, "unsettled-sale", "The meter has an unsettled sale")
            }
            ServiceError::DayClosed { .. } => {
                (S::CONFLICT, "day-closed", "This day cannot be closed any more")
            }
            ServiceError::NotSigned(_) => {
                (S::INTERNAL_SERVER_ERROR, "not-signed", "The day was not closed")
            }
            ServiceError::NotOpened { .. } => {
                (S::CONFLICT, "no-open-account", "The meter has no open account")
            }
            ServiceError::Blocked { .. } => {
                (S::CONFLICT, "blocked", "Something else stands in the way")
            }
            ServiceError::BadAmount { .. } => {
                (S::UNPROCESSABLE_ENTITY, "bad-amount", "This amount cannot be sold")
            }
            ServiceError::Invalid { .. } | ServiceError::Parameters(_) => (
                S::UNPROCESSABLE_ENTITY,
                "invalid-field",
                "A field has a value that cannot be used",
            ),
            ServiceError::PlanInUse { .. } => {
                (S::CONFLICT, "tariff-in-use", "The tariff plan is in use")
            }
            ServiceError::Conflict(_) => {
                (S::CONFLICT, "conflict", "It does not fit what has happened meanwhile")
            }
            ServiceError::OutOfOrder { .. } => {
                (S::CONFLICT, "sale-out-of-order", "The sale's state does not allow this")
            }
            ServiceError::NoDriver { .. } => {
                (S::UNPROCESSABLE_ENTITY, "no-driver", "The vendor has no enabled driver")
            }
            ServiceError::NoLine { .. } => (S::UNPROCESSABLE_ENTITY, "no-line", "No such line"),
            ServiceError::Device { source, .. } => of_call(source),
            ServiceError::Line(cause) => of_line(cause),
            ServiceError::Card(_) => {
                (S::SERVICE_UNAVAILABLE, "card-gone", "The card could not be used")
            }
            ServiceError::NotSent(_) => {
                (S::SERVICE_UNAVAILABLE, "not-sent", "Nothing was sent; asking again is safe")
            }
            ServiceError::Refused { .. } => (S::CONFLICT, "device-refused", "The device said no"),
            ServiceError::Unknown(_) => {
                (S::GATEWAY_TIMEOUT, "outcome-unknown", "It may or may not have happened")
            }
            ServiceError::Storage(_) if error.is_passing() => {
                (S::SERVICE_UNAVAILABLE, "storage", "The database cannot be used at present")
            }
            ServiceError::Storage(_) => (S::INTERNAL_SERVER_ERROR, "storage", "Storage failed"),
            ServiceError::BadLogin => (S::UNAUTHORIZED, "bad-login", "Wrong name or password"),
            ServiceError::TooManyLogins { .. } => {
                (S::TOO_MANY_REQUESTS, "too-many-logins", "Too many wrong passwords")
            }
            ServiceError::BadSetupLink => {
                (S::FORBIDDEN, "bad-setup-link", "This set-up link does not count")
            }
        };
        let retry_after_s = match &error {
            ServiceError::TooManyLogins { retry_after_s } => Some(*retry_after_s),
            ServiceError::Line(LineError::Busy { .. }) => Some(1),
            ServiceError::Storage(_) if error.is_passing() => Some(STORAGE_RETRY_AFTER_S),
            ServiceError::Device {
                source: CallError::Quarantined { more_seconds, .. }, ..
            } => Some(*more_seconds),
            _ => None,
        };
        let cause = std::error::Error::source(&error).map(|_| chain(&error));
        let detail = match &error {
            ServiceError::Device {
                source: CallError::Quarantined { driver, more_seconds, .. },
                ..
            } => format!(
                "{driver} is in quarantine and is not called for another {more_seconds} s; an \
                 operator may release it"
            ),
            error => error.to_string(),
        };
        ApiError {
            detail,
            cause,
            retry_after_s,
            more: Box::new(More { fields: fields_of(&error), device: device_of(&error) }),
            ..ApiError::new(status, code, title, "")
        }
    }
}

fn fields_of(error: &ServiceError) -> Vec<FieldProblem> {
    let ServiceError::Parameters(bad) = error else { return Vec::new() };
    let told = |it: &BadParameter| FieldProblem { field: it.name.clone(), detail: it.why.clone() };
    bad.iter().map(told).collect()
}

fn device_of(error: &ServiceError) -> Option<DeviceCode> {
    let (code, meaning) = match error {
        ServiceError::Device { source: CallError::Driver { device_code, .. }, meaning } => {
            (device_code, meaning)
        }
        ServiceError::Refused { refusal, meaning } => (&refusal.device_code, meaning),
        _ => return None,
    };
    let meaning = meaning.as_deref().map(Meaning::from);
    code.clone().map(|code| DeviceCode { code, meaning })
}

/// `driver-error.code` of the contract: 1 is silence, 9 is inability.
fn of_call(cause: &CallError) -> (StatusCode, &'static str, &'static str) {
    match cause {
        CallError::Driver { code: 1, .. } => {
            (StatusCode::GATEWAY_TIMEOUT, "device-silent", "The device did not answer")
        }
        CallError::Driver { code: 9, .. } | CallError::Unable { .. } => {
            (StatusCode::UNPROCESSABLE_ENTITY, "device-unable", "The device cannot do that")
        }
        CallError::Quarantined { .. } => (
            StatusCode::SERVICE_UNAVAILABLE,
            "driver-in-quarantine",
            "The driver is in quarantine after several traps",
        ),
        CallError::Driver { .. }
        | CallError::Trap { .. }
        | CallError::Limit { .. }
        | CallError::Library { .. }
        | CallError::BadResult { .. } => {
            (StatusCode::BAD_GATEWAY, "device-failed", "The device's answer is of no use")
        }
    }
}

fn of_line(cause: &LineError) -> (StatusCode, &'static str, &'static str) {
    match cause {
        LineError::Silent { .. } | LineError::OutOfTime { .. } => {
            (StatusCode::GATEWAY_TIMEOUT, "device-silent", "The device did not answer")
        }
        LineError::Busy { .. } => {
            (StatusCode::SERVICE_UNAVAILABLE, "line-busy", "The line is busy")
        }
        LineError::Down { .. } | LineError::Lent { .. } => {
            (StatusCode::SERVICE_UNAVAILABLE, "line-down", "The line is down")
        }
    }
}

impl From<NotLetIn> for ApiError {
    fn from(error: NotLetIn) -> ApiError {
        match error {
            NotLetIn::NoSession => ApiError::new(
                StatusCode::UNAUTHORIZED,
                "not-logged-in",
                "Log in first",
                "send a session's token as `Authorization: Bearer ...` (POST /api/v1/sessions)",
            ),
            NotLetIn::CrossSite => ApiError::new(
                StatusCode::FORBIDDEN,
                "cross-site",
                "The request comes from another site",
                "a request with the session's cookie must come from this server's own page",
            ),
            NotLetIn::NoRight(right) => ApiError::new(
                StatusCode::FORBIDDEN,
                "no-right",
                "This operator may not do that",
                format!(
                    "it needs the right `{}`; an operator with the right `operators` can give it",
                    right.name()
                ),
            ),
            NotLetIn::Service(error) => error.into(),
        }
    }
}

/// The problem rides in the response's extensions until [`finish`] knows the request's id.
impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        if let Some(seconds) = self.retry_after_s {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response.extensions_mut().insert(self);
        response
    }
}

/// Around everything: writes the problem's body and logs its cause. An answer that axum
/// itself made (no such route, wrong method, body too large) becomes a problem too.
pub async fn finish(request: Request, next: Next) -> Response {
    let request_id = crate::web::request_id(&request);
    let is_api = request.uri().path().starts_with("/api/");
    let response = next.run(request).await;
    let error = match response.extensions().get::<ApiError>() {
        Some(error) => error.clone(),
        None => match of_axum(response.status()) {
            Some(error) if is_api => error,
            Some(_) | None => return response,
        },
    };
    if let Some(cause) = &error.cause {
        tracing::warn!(%request_id, code = error.code, %cause, "request failed");
    }
    let problem = Problem {
        kind: "about:blank",
        title: error.title,
        status: error.status.as_u16(),
        code: error.code,
        detail: error.detail,
        fields: error.more.fields,
        device: error.more.device,
        request_id,
    };
    let (mut parts, _) = response.into_parts();
    parts.headers.remove(header::CONTENT_LENGTH);
    let mut written = (parts.status, parts.headers, Json(problem)).into_response();
    written
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    written
}

fn of_axum(status: StatusCode) -> Option<ApiError> {
    let problem = |code, title, detail: &str| Some(ApiError::new(status, code, title, detail));
    match status {
        StatusCode::NOT_FOUND => {
            problem("no-route", "No such address", "see /api/v1/openapi.json for what there is")
        }
        StatusCode::METHOD_NOT_ALLOWED => problem(
            "wrong-method",
            "This address does not take this method",
            "the Allow header names those it takes",
        ),
        StatusCode::PAYLOAD_TOO_LARGE => {
            problem("too-large", "The body is too large", "a body may have 64 KiB")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use polymeter_domain::{Currency, Money, Refusal, SaleId, VendorCode};
    use uuid::Uuid;

    #[track_caller]
    fn check(error: ServiceError, status: u16, code: &str, detail: &str) {
        let mapped = ApiError::from(error);
        assert_eq!(
            (mapped.status.as_u16(), mapped.code, mapped.detail.as_str()),
            (status, code, detail)
        );
    }

    #[test]
    fn every_service_error_has_a_status_and_a_stable_code() {
        let sale_id = SaleId::new(Uuid::nil());
        let serial_number = || "000000000001".to_owned();
        let driver = || "dlt645-2007".to_owned();
        let device = |code| {
            let detail = "nothing came back".to_owned();
            let driver = driver();
            let source = CallError::Driver { driver, code, detail, device_code: None };
            ServiceError::Device { meaning: None, source }
        };
        let line = || "bus-1".to_owned();
        check(
            ServiceError::NotFound { what: "meter", id: "x".into() },
            404,
            "not-found",
            "no meter x",
        );
        check(
            ServiceError::Exists { what: "meter", id: "x".into() },
            409,
            "exists",
            "meter x already exists",
        );
        check(
            ServiceError::SaleDiffers { sale_id },
            409,
            "sale-differs",
            "sale 00000000-0000-0000-0000-000000000000 was already made with another meter or \
             amount",
        );
        check(
            ServiceError::Unsettled { serial_number: serial_number(), sale_id },
            409,
            "unsettled-sale",
            "meter 000000000001 has an unsettled sale 00000000-0000-0000-0000-000000000000",
        );
        check(
            ServiceError::NotOpened { serial_number: serial_number() },
            409,
            "no-open-account",
            "meter 000000000001 has no open account",
        );
        let paid = Money::new(-5, Currency::CNY);
        check(
            ServiceError::BadAmount { paid, why: "it is not above zero".into() },
            422,
            "bad-amount",
            "-0.05 cannot be sold: it is not above zero",
        );
        check(
            ServiceError::Invalid { field: "name", why: "empty".into() },
            422,
            "invalid-field",
            "name: empty",
        );
        check(
            ServiceError::OutOfOrder { sale_id, state: "confirmed", event: "cancelled" },
            409,
            "sale-out-of-order",
            "sale 00000000-0000-0000-0000-000000000000 is confirmed and cannot be cancelled",
        );
        let vendor = VendorCode::new("X").expect("a code");
        check(
            ServiceError::NoDriver { vendor },
            422,
            "no-driver",
            "vendor X has no enabled driver",
        );
        check(
            ServiceError::NoLine { line: line() },
            422,
            "no-line",
            "no line bus-1 in the configuration",
        );
        check(device(1), 504, "device-silent", "the meter did not answer");
        check(device(2), 502, "device-failed", "the meter did not answer");
        let quarantined = CallError::Quarantined {
            driver: "acme".to_owned(),
            reason: "3 traps".to_owned(),
            more_seconds: 290,
        };
        check(
            ServiceError::Device { meaning: None, source: quarantined },
            503,
            "driver-in-quarantine",
            "acme is in quarantine and is not called for another 290 s; an operator may release it",
        );
        check(device(9), 422, "device-unable", "the meter did not answer");
        let unusable = "the line could not be used";
        check(
            ServiceError::Line(LineError::Busy { line: line(), waiting: 9 }),
            503,
            "line-busy",
            unusable,
        );
        check(
            ServiceError::Line(LineError::Down {
                line: line(),
                source: std::io::Error::other("x"),
            }),
            503,
            "line-down",
            unusable,
        );
        check(
            ServiceError::Line(LineError::Silent { line: line(), waited_ms: 9 }),
            504,
            "device-silent",
            unusable,
        );
        let refusal = Refusal { code: 11, detail: "supply is protected".into(), device_code: None };
        check(
            ServiceError::Refused { refusal, meaning: None },
            409,
            "device-refused",
            "the meter refused: supply is protected",
        );
        check(
            ServiceError::NotSent("line down".into()),
            503,
            "not-sent",
            "nothing was sent: line down",
        );
        check(
            ServiceError::Unknown("cut off".into()),
            504,
            "outcome-unknown",
            "outcome unknown: cut off",
        );
        check(ServiceError::Storage("disk".into()), 500, "storage", "storage failed");
        check(ServiceError::BadLogin, 401, "bad-login", "wrong name or password");
        check(
            ServiceError::TooManyLogins { retry_after_s: 30 },
            429,
            "too-many-logins",
            "too many wrong passwords; try again in 30 s",
        );
        check(
            ServiceError::BadSetupLink,
            403,
            "bad-setup-link",
            "this link is used up or was never valid",
        );
    }

    #[test]
    fn a_devices_own_code_stands_beside_its_meaning() {
        let meaning = polymeter_runtime::Meaning { en: "wrong MAC".into(), zh: "错误".into() };
        let meaning = Some(Box::new(meaning));
        let shown = Meaning { en: "wrong MAC".into(), zh: "错误".into() };
        let code = Some("0004".to_owned());
        let refusal = Refusal { code: 3, detail: "it said no".into(), device_code: code.clone() };
        let refused = ApiError::from(ServiceError::Refused { refusal, meaning: meaning.clone() });
        assert_eq!(
            refused.detail,
            "the meter refused: it said no; device code 0004 (wrong MAC, 错误)"
        );
        let (driver, detail) = ("acme".to_owned(), "no".to_owned());
        let source = CallError::Driver { driver, code: 5, detail, device_code: code };
        let failed = ApiError::from(ServiceError::Device { meaning, source });
        assert_eq!(failed.detail, "the meter answered with its error 0004 (wrong MAC, 错误)");
        for error in [refused, failed] {
            let device = error.more.device.expect("a code");
            assert_eq!((device.code.as_str(), device.meaning), ("0004", Some(shown.clone())));
        }
    }

    #[test]
    fn causes_are_kept_for_the_log_and_out_of_the_answer() {
        let error = ApiError::from(ServiceError::Storage("disk 7 is full".into()));
        assert_eq!(error.cause.as_deref(), Some("storage failed: disk 7 is full"));
        assert!(!error.detail.contains("disk 7"));
    }
}

//! What a handler takes from a request, with every refusal as a problem.

use super::error::ApiError;
use crate::session::Caller;
use axum::extract::rejection::JsonRejection;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use polymeter_domain::{Channel, Currency, Money};
use polymeter_service::{Actor, Run};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::str::FromStr;
use utoipa::IntoParams;

/// A JSON body. Unknown fields are refused by the types themselves.
#[derive(Debug)]
pub struct Body<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        match axum::Json::<T>::from_request(request, state).await {
            Ok(axum::Json(body)) => Ok(Body(body)),
            Err(JsonRejection::MissingJsonContentType(_)) => Err(ApiError::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "not-json",
                "The body is not JSON",
                "send Content-Type: application/json",
            )),
            Err(rejection) if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => {
                Err(ApiError::new(
                    StatusCode::PAYLOAD_TOO_LARGE,
                    "too-large",
                    "The body is too large",
                    "a body may have 64 KiB",
                ))
            }
            Err(rejection) => Err(ApiError::bad_request("bad-json", rejection.body_text())),
        }
    }
}

/// The one id in the path.
#[derive(Debug)]
pub struct Id<T>(pub T);

impl<S: Send + Sync, T> FromRequestParts<S> for Id<T>
where
    T: FromStr,
    T::Err: std::fmt::Display,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Path(text) = Path::<String>::from_request_parts(parts, state)
            .await
            .map_err(|rejection| ApiError::bad_request("bad-id", rejection.body_text()))?;
        let id = text.parse::<T>();
        id.map(Id).map_err(|error| ApiError::bad_request("bad-id", error.to_string()))
    }
}

/// The query string. Unknown parameters are refused by the types themselves.
#[derive(Debug)]
pub struct Parameters<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Parameters<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let query = Query::<T>::from_request_parts(parts, state).await;
        query
            .map(|Query(parameters)| Parameters(parameters))
            .map_err(|rejection| ApiError::bad_request("bad-query", rejection.body_text()))
    }
}

/// The operator whose session this is; the guard has put it there.
impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let caller = parts.extensions.get::<Caller>().cloned();
        caller.ok_or_else(|| crate::session::NotLetIn::NoSession.into())
    }
}

/// Who asks for a change of the drivers: the operator of the session, or on the control socket the
/// system.
#[derive(Debug)]
pub struct Asker(pub Actor);

impl<S: Send + Sync> FromRequestParts<S> for Asker {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        match parts.extensions.get::<Actor>() {
            Some(actor) => Ok(Asker(actor.clone())),
            None => Caller::from_request_parts(parts, state).await.map(|it| Asker(it.actor())),
        }
    }
}

impl Caller {
    pub fn actor(&self) -> Actor {
        Actor::Operator(self.operator.operator_id)
    }
}

/// An amount as text in the site's currency.
pub fn money(field: &str, text: &str, currency: Currency) -> Result<Money, ApiError> {
    Money::parse(text, currency).map_err(|error| ApiError::invalid(field, error))
}

/// A payment channel by its name; cash where none is given.
pub fn channel(name: Option<&str>) -> Result<Channel, ApiError> {
    let Some(name) = name else { return Ok(Channel::Cash) };
    Channel::from_name(name).ok_or_else(|| {
        let all = Channel::ALL.map(Channel::name).join(", ");
        ApiError::invalid("channel", format!("`{name}` is none of {all}"))
    })
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct MayBeDry {
    /// `true`: check and calculate everything, store nothing.
    #[serde(default)]
    pub dry_run: bool,
}

impl MayBeDry {
    pub fn run(&self) -> Run {
        if self.dry_run { Run::Dry } else { Run::Real }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<i64, &str>) {
        let parsed = money("paid", text, Currency::CNY);
        match (parsed, expected) {
            (Ok(money), Ok(minor)) => assert_eq!(money.minor(), minor),
            (Err(error), Err(detail)) => {
                assert_eq!(error.code, "invalid-field");
                assert_eq!(error.detail, detail);
            }
            (parsed, _) => panic!("{text:?} gave {parsed:?}"),
        }
    }

    #[test]
    fn amounts_are_exact_text() {
        check("50.00", Ok(5000));
        check("0", Ok(0));
        check(
            "50.001",
            Err("paid: `50.001` is not an amount: digits, and at most 2 after the point, e.g. \
                 50.00"),
        );
        check(
            "5e1",
            Err("paid: `5e1` is not an amount: digits, and at most 2 after the point, e.g. 50.00"),
        );
    }
}

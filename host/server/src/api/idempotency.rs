//! The header `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header), with which a client
//! asks the same thing again without doing it twice.
//!
//! Invariant: one operator, one route and one key give one id, on every host and after every
//! restart. The thing that the request makes is stored under that id, so the database itself
//! refuses a second one, and what was made first is the answer. Not here: comparing what was asked
//! first with what is asked now (service, thing by thing).

use super::error::ApiError;
use crate::session::Caller;
use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;
use polymeter_domain::derived_id;
use uuid::Uuid;

const HEADER: &str = "idempotency-key";
const MAX_CHARS: usize = 200;

/// The id under which the request's thing is made, derived from "polymeter-idempotency-1", operator,
/// method, path and key, a line feed after each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdempotencyKey(pub Uuid);

impl<S: Send + Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let caller = Caller::from_request_parts(parts, state).await?;
        let mut given = parts.headers.get_all(HEADER).iter();
        let (Some(value), None) = (given.next(), given.next()) else {
            return Err(refused("send the header Idempotency-Key once, with a text of your own"));
        };
        let key = value.to_str().unwrap_or_default().trim();
        // The draft writes it as a quoted string, most clients send it bare: one key.
        let key = key.strip_prefix('"').and_then(|it| it.strip_suffix('"')).unwrap_or(key);
        if key.is_empty() || key.len() > MAX_CHARS || !key.bytes().all(|it| it.is_ascii_graphic()) {
            return Err(refused("1 to 200 visible ASCII characters, for example a UUID"));
        }
        let (operator, method) = (caller.operator.operator_id, &parts.method);
        Ok(IdempotencyKey(id(&operator.to_string(), method.as_str(), parts.uri.path(), key)))
    }
}

fn refused(what: &str) -> ApiError {
    ApiError::new(
        StatusCode::BAD_REQUEST,
        "bad-idempotency-key",
        "The request needs an idempotency key",
        format!("Idempotency-Key: {what}; asking again with the same one is then safe"),
    )
}

fn id(operator: &str, method: &str, path: &str, key: &str) -> Uuid {
    derived_id(&format!("polymeter-idempotency-1\n{operator}\n{method}\n{path}\n{key}\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::Request;
    use polymeter_domain::OperatorId;
    use polymeter_service::{Operator, Rights};

    async fn of(keys: &[&str], path: &str) -> Result<Uuid, ApiError> {
        let mut request = Request::post(path);
        for key in keys {
            request = request.header(HEADER, *key);
        }
        let (mut parts, ()) = request.body(()).expect("a request").into_parts();
        let operator_id = OperatorId::new(Uuid::from_u128(7));
        let (name, rights) = ("lin".to_owned(), Rights::default());
        let operator = Operator { operator_id, name, rights, disabled_at: None };
        parts.extensions.insert(Caller { operator, token: String::new() });
        IdempotencyKey::from_request_parts(&mut parts, &()).await.map(|key| key.0)
    }

    #[tokio::test]
    async fn one_key_on_one_route_is_one_id() {
        let first = of(&["a-1"], "/api/v1/refunds").await.expect("a key");
        assert_eq!(of(&["\"a-1\""], "/api/v1/refunds").await.expect("quoted"), first);
        assert_ne!(of(&["a-2"], "/api/v1/refunds").await.expect("another"), first);
        assert_ne!(of(&["a-1"], "/api/v1/sales").await.expect("another route"), first);
        assert_eq!(first.get_version_num(), 8);
    }

    #[tokio::test]
    async fn a_key_that_cannot_be_one_is_refused() {
        let long = "k".repeat(MAX_CHARS + 1);
        for keys in [&[][..], &["a", "b"], &[""], &["\"\""], &["two words"], &[long.as_str()]] {
            let error = of(keys, "/api/v1/refunds").await.expect_err("no key");
            assert_eq!(error.code, "bad-idempotency-key", "{keys:?}");
        }
    }
}

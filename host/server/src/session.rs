//! Who is asking: a session's token from the `Authorization` header or from the cookie.
//!
//! Invariant: a request that carries the cookie and changes something must come from our own page,
//! by what the browser itself says (Sec-Fetch-Site, Origin); a bearer token needs no such proof,
//! because no browser attaches it unasked. Not here: passwords and the life of a session (service).

use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap, HeaderValue, Method, header};
use polymeter_service::{Operator, Right, Service, ServiceError};

pub const COOKIE: &str = "polymeter_session";
/// The service ends a session after 12 h; the cookie goes with it.
const COOKIE_SECONDS: u32 = 12 * 3600;

/// The operator of this request, as the guards put it into the request's extensions.
#[derive(Debug, Clone)]
pub struct Caller {
    pub operator: Operator,
    pub token: String,
}

#[derive(Debug, thiserror::Error)]
pub enum NotLetIn {
    #[error("no live session")]
    NoSession,
    #[error("the request comes from another site's page")]
    CrossSite,
    /// They would need this right.
    #[error("this operator may not do that")]
    NoRight(Right),
    #[error("the session could not be looked up")]
    Service(#[source] ServiceError),
}

/// The caller behind a request, where there is one.
pub async fn caller(service: &Service, parts: &Parts) -> Result<Caller, NotLetIn> {
    let (token, by_cookie) = match (bearer(&parts.headers), cookie(&parts.headers)) {
        (Some(token), _) => (token, false),
        (None, Some(token)) => (token, true),
        (None, None) => return Err(NotLetIn::NoSession),
    };
    if by_cookie && !parts.method.is_safe() && !is_same_origin(&parts.headers) {
        return Err(NotLetIn::CrossSite);
    }
    match service.session(&token).await {
        Ok(Some(operator)) => Ok(Caller { operator, token }),
        Ok(None) => Err(NotLetIn::NoSession),
        Err(error) => Err(NotLetIn::Service(error)),
    }
}

/// Whether the caller, whom the guard has put there, may do what needs this right.
pub fn check_right(extensions: &Extensions, right: Option<Right>) -> Result<(), NotLetIn> {
    let caller = extensions.get::<Caller>().ok_or(NotLetIn::NoSession)?;
    match right {
        Some(right) if !caller.operator.may(right) => Err(NotLetIn::NoRight(right)),
        _ => Ok(()),
    }
}

/// For forms that come before any session (log in, set up): a foreign page must not send them
/// either.
pub fn is_own_form(method: &Method, headers: &HeaderMap) -> bool {
    method.is_safe() || is_same_origin(headers)
}

fn bearer(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = text.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned())
}

fn cookie(headers: &HeaderMap) -> Option<String> {
    let all = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    all.flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, _)| *name == COOKIE)
        .map(|(_, token)| token.to_owned())
}

/// What the browser says about where the request was made. One that says nothing is not believed.
fn is_same_origin(headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(site) = text("sec-fetch-site") {
        return site == "same-origin" || site == "none";
    }
    match (text("origin"), text("host")) {
        (Some(origin), Some(host)) => {
            origin.split_once("://").is_some_and(|(_, from)| from.eq_ignore_ascii_case(host))
        }
        _ => false,
    }
}

/// Script cannot read it and no other site's page can send it.
pub fn cookie_of(token: &str) -> HeaderValue {
    let text =
        format!("{COOKIE}={token}; HttpOnly; SameSite=Strict; Path=/; Max-Age={COOKIE_SECONDS}");
    HeaderValue::from_str(&text).expect("a token is hexadecimal")
}

pub fn cookie_removed() -> HeaderValue {
    HeaderValue::from_static("polymeter_session=; HttpOnly; SameSite=Strict; Path=/; Max-Age=0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pairs: &[(&'static str, &str)], own: bool) {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.insert(*name, HeaderValue::from_str(value).expect("a header"));
        }
        assert_eq!(is_own_form(&Method::POST, &headers), own, "{pairs:?}");
        assert!(is_own_form(&Method::GET, &headers));
    }

    #[test]
    fn only_our_own_page_may_change_things_by_cookie() {
        check(&[("sec-fetch-site", "same-origin")], true);
        check(&[("sec-fetch-site", "none")], true);
        check(&[("sec-fetch-site", "same-site")], false);
        check(
            &[("sec-fetch-site", "cross-site"), ("origin", "http://h:1"), ("host", "h:1")],
            false,
        );
        check(&[("origin", "http://h:1"), ("host", "h:1")], true);
        check(&[("origin", "http://h:2"), ("host", "h:1")], false);
        check(&[("origin", "null"), ("host", "h:1")], false);
        check(&[("host", "h:1")], false);
        check(&[], false);
    }

    #[test]
    fn the_token_is_found_in_header_or_cookie() {
        let headers = |name: &'static str, value: &'static str| {
            HeaderMap::from_iter([(
                header::HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )])
        };
        assert_eq!(bearer(&headers("authorization", "Bearer ab12")), Some("ab12".to_owned()));
        assert_eq!(bearer(&headers("authorization", "Basic ab12")), None);
        let both = "theme=dark; polymeter_session=ab12";
        assert_eq!(cookie(&headers("cookie", both)), Some("ab12".to_owned()));
        assert_eq!(cookie(&headers("cookie", "polymeter_sessionx=ab12")), None);
    }
}

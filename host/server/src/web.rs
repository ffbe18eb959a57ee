//! The one router: API, page and assets behind the same layers.
//!
//! Invariant: every answer carries a request id and the security headers; nothing is cached unless
//! it says so itself; no body above 64 KiB is read.

use crate::app::App;
use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::get;

/// Far above any form or body here, far below what could hurt.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// Script and style come from this server alone, and never from inside a page.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
     img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; \
     frame-ancestors 'none'";

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// This request's id, for its log lines and its problem.
#[derive(Debug, Clone)]
struct RequestId(String);

pub fn router(app: &App) -> Router {
    let (api, _) = crate::api::router(app);
    Router::new()
        .merge(api)
        .merge(crate::ui::router(app))
        .route("/assets/{hash}/{name}", get(crate::assets::serve))
        .fallback(crate::ui::no_page)
        .layer(middleware::from_fn(crate::api::error::finish))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(middleware::from_fn(every_answer))
}

async fn every_answer(mut request: Request, next: Next) -> Response {
    let id = uuid::Uuid::now_v7().to_string();
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    request.extensions_mut().insert(RequestId(id.clone()));
    let mut response = next.run(request).await;
    // A set-up link is a secret; a path that holds one is not for the log.
    if !path.starts_with("/set-up") {
        let status = response.status().as_u16();
        tracing::debug!(request_id = %id, %method, path, status, "request");
    }
    let headers = response.headers_mut();
    let fixed = [
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    let uncached = HeaderValue::from_static("no-store");
    headers.entry(header::CACHE_CONTROL).or_insert(uncached);
    headers.extend(HeaderValue::from_str(&id).ok().map(|id| (REQUEST_ID, id)));
    response
}

/// The id that `every_answer` gave this request; empty outside it.
pub fn request_id(request: &Request) -> String {
    request.extensions().get::<RequestId>().map(|id| id.0.clone()).unwrap_or_default()
}

#[cfg(test)]
mod tests;

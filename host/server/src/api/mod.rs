//! The REST API under /api/v1 and its OpenAPI 3.1 document, made from one table of routes.
//!
//! Invariant: every route stands in `open` or in `guarded`; what is in the second is reached
//! with a live session only. Not here: what anything means (service), the page (ui).

pub mod auth;
pub mod conversations;
pub mod customers;
pub mod driver_health;
pub mod drivers;
pub mod error;
pub mod explanation;
pub mod extract;
pub mod health;
pub mod ledger;
pub mod meters;
pub mod readings;
pub mod sales;
pub mod settings;
pub mod supply;
pub mod system;
pub mod tariffs;
pub mod values;

use crate::app::App;
use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use error::ApiError;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Reached without a session.
fn open() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(auth::log_in))
        .routes(routes!(health::alive))
        .routes(routes!(health::ready))
}

/// Reached with a live session only.
fn guarded() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(auth::log_out))
        .routes(routes!(customers::add, customers::list))
        .routes(routes!(customers::get))
        .routes(routes!(meters::add, meters::list))
        .routes(routes!(meters::get))
        .routes(routes!(meters::open_account))
        .routes(routes!(meters::keep_parameters))
        .routes(routes!(settings::list, settings::set))
        .routes(routes!(readings::read, readings::list))
        .routes(routes!(supply::control))
        .routes(routes!(conversations::trace))
        .routes(routes!(sales::put, sales::get))
        .routes(routes!(sales::of_meter))
        .routes(routes!(sales::list))
        .routes(routes!(explanation::explain))
        .routes(routes!(sales::deliver))
        .routes(routes!(sales::cancel))
        .routes(routes!(sales::reconcile))
        .routes(routes!(sales::decide))
        .routes(routes!(tariffs::add, tariffs::list))
        .routes(routes!(tariffs::get, tariffs::delete))
        .routes(routes!(tariffs::add_version))
        .routes(routes!(tariffs::give, tariffs::of_meter))
        .routes(routes!(ledger::trial_balance))
        .routes(routes!(system::lines))
        .merge(drivers::routes())
}

/// The API's routes with their guard and their problems, and the document that describes them.
pub fn router(app: &App) -> (Router, OpenApi) {
    let guard = middleware::from_fn_with_state(app.clone(), require_session);
    let (router, mut document) = open().merge(guarded().route_layer(guard)).split_for_parts();
    describe(&mut document);
    let json = document.to_json().expect("the document is plain data");
    let router = router
        .route(
            "/api/v1/openapi.json",
            axum::routing::get(|| async move {
                ([(axum::http::header::CONTENT_TYPE, "application/json")], json)
            }),
        )
        .with_state(app.clone());
    (router, document)
}

/// The OpenAPI document alone, for `polymeter openapi` and its snapshot.
pub fn document() -> OpenApi {
    let (_, mut document) = open().merge(guarded()).split_for_parts();
    describe(&mut document);
    document
}

fn describe(document: &mut OpenApi) {
    use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
    "Polymeter".clone_into(&mut document.info.title);
    env!("CARGO_PKG_VERSION").clone_into(&mut document.info.version);
    document.info.description = Some(
        "Sells electricity to prepaid meters of any vendor through one ledger. Amounts are decimal \
         text in the site's currency; times are RFC 3339; every failure is \
         application/problem+json."
            .to_owned(),
    );
    document.info.license = Some(utoipa::openapi::License::new("Apache-2.0"));
    document.servers = None;
    let bearer = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
    document.components.get_or_insert_default().add_security_scheme("session", bearer);
    let none: [&str; 0] = [];
    document.security = Some(vec![SecurityRequirement::new("session", none)]);
}

async fn require_session(State(app): State<App>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    match crate::session::caller(&app.service, &parts).await {
        Ok(caller) => {
            parts.extensions.insert(caller);
            next.run(Request::from_parts(parts, body)).await
        }
        Err(error) => ApiError::from(error).into_response(),
    }
}

#[cfg(test)]
mod tests;

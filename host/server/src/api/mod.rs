//! The REST API under /api/v1 and its OpenAPI 3.1 document, made from one table of routes.
//!
//! Invariant: every route stands in `open` or in `guarded`; what is in the second is reached
//! with a live session only, and each group of it with one right. Not here: what anything means
//! (service), what holds for the whole document (document), the page (ui).

pub mod alarms;
pub mod allocations;
pub mod applications;
pub mod approvals;
pub mod audit;
pub mod auth;
pub mod bills;
pub mod cards;
pub mod charges;
pub mod clock_settings;
pub mod closings;
pub mod conversations;
pub mod counter_acts;
pub mod customers;
pub mod day_closes;
pub mod discrepancies;
mod document;
pub mod driver_health;
pub mod drivers;
pub mod error;
pub mod explanation;
pub mod extract;
pub mod files;
pub mod health;
pub mod holds;
pub mod idempotency;
pub mod items;
pub mod ledger;
pub mod maintenance_cards;
pub mod meters;
pub mod operators;
pub mod purse;
pub mod readings;
pub mod receipts;
pub mod records;
pub mod sales;
pub mod settings;
pub mod shifts;
pub mod supply;
pub mod swaps;
pub mod system;
pub mod tariffs;
pub mod token_entries;
pub mod token_orders;
pub mod token_rollovers;
pub mod values;

use crate::app::App;
use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use error::ApiError;
use polymeter_service::Right;
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

/// Reached with a live session only, by operators with the right that stands before it; `None`: by
/// every operator.
fn guarded() -> Vec<(Option<Right>, OpenApiRouter<App>)> {
    let none = OpenApiRouter::new;
    vec![
        (None, looking()),
        (
            Some(Right::Sell),
            none()
                .routes(routes!(readings::read))
                .routes(routes!(records::read))
                .routes(routes!(sales::put))
                .routes(routes!(purse::pay))
                .routes(routes!(bills::pay))
                .routes(routes!(sales::deliver))
                .routes(routes!(sales::cancel))
                .routes(routes!(sales::reconcile))
                .routes(routes!(sales::decide))
                .routes(routes!(receipts::print))
                .routes(routes!(shifts::open))
                .routes(routes!(shifts::close))
                .routes(routes!(cards::look))
                .routes(routes!(discrepancies::close)),
        ),
        (
            Some(Right::Refund),
            none()
                .routes(routes!(counter_acts::add))
                .routes(routes!(counter_acts::prove))
                .routes(routes!(counter_acts::withdraw))
                .routes(routes!(counter_acts::decide)),
        ),
        (
            Some(Right::Approve),
            none().routes(routes!(approvals::decide)).routes(routes!(cards::say_taken)),
        ),
        (
            Some(Right::Customers),
            none()
                .routes(routes!(discrepancies::set_max_credit))
                .routes(routes!(customers::add))
                .routes(routes!(meters::add))
                .routes(routes!(meters::open_account))
                .routes(routes!(cards::replace))
                .routes(routes!(cards::recycle))
                .routes(routes!(tariffs::give))
                .merge(files()),
        ),
        (
            Some(Right::Supply),
            none().routes(routes!(supply::control)).routes(routes!(purse::keep_power)),
        ),
        (
            Some(Right::Billing),
            none()
                .routes(routes!(charges::charge))
                .routes(routes!(charges::decide))
                .routes(routes!(items::add))
                .routes(routes!(items::assign))
                .routes(routes!(items::end))
                .routes(routes!(items::set_area))
                .routes(routes!(purse::set_overdraft))
                .routes(routes!(items::book))
                .routes(routes!(bills::period))
                .routes(routes!(bills::take_back))
                .routes(routes!(allocations::add))
                .routes(routes!(allocations::post))
                .routes(routes!(allocations::undo)),
        ),
        (
            Some(Right::Settings),
            none()
                .routes(routes!(meters::keep_parameters))
                .routes(routes!(settings::set))
                .routes(routes!(maintenance_cards::make))
                .routes(routes!(maintenance_cards::make_agreed))
                .routes(routes!(maintenance_cards::withdraw))
                .routes(routes!(clock_settings::add))
                .routes(routes!(token_orders::put))
                .routes(routes!(token_rollovers::add))
                .routes(routes!(token_rollovers::go_on))
                .routes(routes!(token_orders::cancel))
                .routes(routes!(token_entries::set))
                .routes(routes!(token_entries::enter, token_entries::withdraw)),
        ),
        (
            Some(Right::Tariffs),
            none()
                .routes(routes!(tariffs::add))
                .routes(routes!(tariffs::delete))
                .routes(routes!(tariffs::add_version)),
        ),
        (
            Some(Right::Ledger),
            none()
                .routes(routes!(ledger::trial_balance))
                .routes(routes!(day_closes::close, day_closes::list))
                .routes(routes!(day_closes::get)),
        ),
        (Some(Right::Drivers), drivers::changes()),
        (
            Some(Right::Operators),
            none()
                .routes(routes!(operators::list, operators::add))
                .routes(routes!(operators::get))
                .routes(routes!(operators::set_rights))
                .routes(routes!(operators::set_password))
                .routes(routes!(operators::set_state))
                .routes(routes!(audit::list)),
        ),
    ]
}

/// Acts on the files of customers and meters.
fn files() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(files::edit_customer))
        .routes(routes!(files::edit_meter))
        .routes(routes!(files::change_ratio))
        .routes(routes!(applications::add))
        .routes(routes!(applications::prepare))
        .routes(routes!(applications::refuse))
        .routes(routes!(applications::open))
        .routes(routes!(holds::suspend))
        .routes(routes!(holds::resume))
        .routes(routes!(holds::bypass))
        .routes(routes!(holds::end_bypass))
        .routes(routes!(swaps::add))
        .routes(routes!(swaps::go_on))
        .routes(routes!(swaps::abandon))
        .routes(routes!(swaps::bring_in))
        .routes(routes!(swaps::clear))
        .routes(routes!(closings::take_over))
        .routes(routes!(closings::close))
        .routes(routes!(closings::go_on))
        .routes(routes!(closings::abandon))
}

/// What every operator may look at, and their own session.
fn looking() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(auth::log_out))
        .routes(routes!(operators::change_own_password))
        .routes(routes!(customers::list))
        .routes(routes!(customers::get))
        .routes(routes!(meters::list))
        .routes(routes!(cards::list))
        .routes(routes!(cards::events))
        .routes(routes!(maintenance_cards::list))
        .routes(routes!(maintenance_cards::get))
        .routes(routes!(meters::get))
        .routes(routes!(settings::list))
        .routes(routes!(readings::list))
        .routes(routes!(records::kinds))
        .routes(routes!(records::list))
        .routes(routes!(clock_settings::of_meter))
        .routes(routes!(files::of_customer))
        .routes(routes!(files::customer_installations))
        .routes(routes!(files::of_meter))
        .routes(routes!(files::meter_installations))
        .routes(routes!(files::consumption))
        .routes(routes!(files::of_application))
        .routes(routes!(applications::list))
        .routes(routes!(applications::get))
        .routes(routes!(holds::list))
        .routes(routes!(swaps::get))
        .routes(routes!(swaps::of_customer))
        .routes(routes!(closings::list))
        .routes(routes!(closings::get))
        .routes(routes!(conversations::trace))
        .routes(routes!(sales::get))
        .routes(routes!(sales::of_meter))
        .routes(routes!(token_orders::get))
        .routes(routes!(token_orders::of_meter))
        .routes(routes!(token_orders::test))
        .routes(routes!(token_entries::get))
        .routes(routes!(token_rollovers::list))
        .routes(routes!(token_rollovers::get))
        .routes(routes!(sales::list))
        .routes(routes!(explanation::explain))
        .routes(routes!(tariffs::list))
        .routes(routes!(tariffs::get))
        .routes(routes!(tariffs::of_meter))
        .routes(routes!(approvals::list))
        .routes(routes!(approvals::get))
        .routes(routes!(approvals::withdraw))
        .routes(routes!(counter_acts::list))
        .routes(routes!(counter_acts::get))
        .routes(routes!(counter_acts::standing))
        .routes(routes!(alarms::list))
        .routes(routes!(discrepancies::list))
        .routes(routes!(discrepancies::get))
        .routes(routes!(discrepancies::max_credit))
        .routes(routes!(receipts::list))
        .routes(routes!(receipts::get))
        .routes(routes!(shifts::list))
        .routes(routes!(shifts::get))
        .routes(routes!(purse::get))
        .routes(routes!(purse::payments))
        .routes(routes!(charges::of_meter))
        .routes(routes!(charges::of_customer))
        .routes(routes!(charges::explain))
        .routes(routes!(charges::cases))
        .routes(routes!(items::list))
        .routes(routes!(items::assignments))
        .routes(routes!(items::claims))
        .routes(routes!(bills::list))
        .routes(routes!(allocations::list))
        .routes(routes!(allocations::preview))
        .routes(routes!(allocations::runs))
        .routes(routes!(bills::table))
        .routes(routes!(bills::get))
        .routes(routes!(system::lines))
        .merge(drivers::looks())
}

/// The API's routes with their guard and their problems, and the document that describes them.
pub fn router(app: &App) -> (Router, OpenApi) {
    let guard = middleware::from_fn_with_state(app.clone(), require_session);
    let mut behind = OpenApiRouter::new();
    for (right, routes) in guarded() {
        let needs = middleware::from_fn_with_state(right, require_right);
        behind = behind.merge(routes.route_layer(needs));
    }
    let (router, mut document) = open().merge(behind.route_layer(guard)).split_for_parts();
    document::describe(&mut document, guarded());
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
    let all = guarded().into_iter().fold(open(), |all, (_, routes)| all.merge(routes));
    let (_, mut document) = all.split_for_parts();
    document::describe(&mut document, guarded());
    document
}

/// Behind `require_session`, which has put the caller there.
async fn require_right(
    State(right): State<Option<Right>>,
    request: Request,
    next: Next,
) -> Response {
    match crate::session::check_right(request.extensions(), right) {
        Ok(()) => next.run(request).await,
        Err(error) => ApiError::from(error).into_response(),
    }
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

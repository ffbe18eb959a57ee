//! The page: server-rendered, worked by keyboard at the counter, made live by htmx in few places.
//!
//! Invariant: everything a page does is one call of the service that the API offers too; without
//! script every page still works, only not by itself. Not here: the words of the API's problems.

mod act;
mod acts;
mod alarms;
mod allocations;
mod applications;
mod bills;
mod books;
mod closings;
mod conversations;
mod counter;
mod customer;
mod customers;
mod day_closes;
mod discrepancies;
mod drivers;
mod maintenance_cards;
mod meter_acts;
mod meters;
mod office;
mod operators;
mod parameters;
mod purses;
mod readers;
mod receipts;
mod records;
mod rollovers;
mod sales;
mod session;
mod shifts;
mod swaps;
mod tariff_form;
mod tariffs;
mod test_tokens;
mod token_entries;
mod tokens;
pub mod view;

use crate::app::{App, chain};
use crate::session::{Caller, NotLetIn};
use askama::Template;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use polymeter_service::{Right, ServiceError};

/// Pages reached without a session.
fn open() -> Router<App> {
    Router::new()
        .route("/login", get(session::form).post(session::log_in))
        .route("/set-up", get(session::set_up_form).post(session::set_up))
}

/// Pages reached with a live session only, by operators with the right that stands before them;
/// `None`: by every operator.
fn guarded() -> Vec<(Option<Right>, Router<App>)> {
    let none = Router::new;
    vec![
        (None, looking()),
        (Some(Right::Sell), selling()),
        (
            Some(Right::Refund),
            none()
                .route("/acts/new", get(acts::new_form))
                .route("/acts/confirm", get(acts::confirm))
                .route("/acts/{act_id}", post(acts::make))
                .route("/acts/{act_id}/proof", post(acts::prove))
                .route("/acts/{act_id}/cancellation", post(acts::withdraw))
                .route("/acts/{act_id}/decision", post(acts::decide)),
        ),
        (
            Some(Right::Approve),
            none().route("/approvals/{approval_id}", post(acts::decide_approval)).route(
                "/meters/{meter_id}/card-uptake",
                get(readers::uptake_form).post(readers::say_taken),
            ),
        ),
        (
            Some(Right::Customers),
            none()
                .route("/meters/new", get(meters::new_form).post(meters::add))
                .route("/meters/new/parameters", get(meters::new_parameters))
                .route(
                    "/readers/{reader}/recycling",
                    get(readers::recycling_form).post(readers::recycle),
                )
                .route("/meters/{meter_id}/account", post(meters::open_account))
                .route("/meters/{meter_id}/tariff", get(tariffs::give_form).post(tariffs::give))
                .route("/customers/new", get(customers::new_form).post(customers::add))
                .merge(files()),
        ),
        (
            Some(Right::Supply),
            none().route(
                "/meters/{meter_id}/supply/{command}",
                get(meters::supply_form).post(meters::supply),
            ),
        ),
        (
            Some(Right::Settings),
            none()
                .route("/meters/{meter_id}/parameters", post(parameters::keep))
                .route("/meters/{meter_id}/settings", post(parameters::set))
                .route(
                    "/readers/{reader}/maintenance-card",
                    get(maintenance_cards::new_form).post(maintenance_cards::make),
                )
                .route("/maintenance-cards/{card_id}/making", post(maintenance_cards::make_agreed))
                .route("/maintenance-cards/{card_id}/withdrawal", post(maintenance_cards::withdraw))
                .route(
                    "/meters/{meter_id}/tokens/{kind}",
                    get(tokens::new_form).post(tokens::order),
                )
                .route("/token-rollovers", get(rollovers::list).post(rollovers::ask))
                .route("/token-rollovers/{rollover_id}/continuation", post(rollovers::go_on))
                .route("/token-orders/{token_order_id}/continuation", post(tokens::go_on))
                .route("/token-orders/{token_order_id}/cancellation", post(tokens::cancel))
                .route("/meters/{meter_id}/token-entry", post(token_entries::set))
                .route("/token-orders/{token_order_id}/entry", post(token_entries::enter))
                .route("/token-orders/{token_order_id}/typing", post(token_entries::withdraw)),
        ),
        (
            Some(Right::Tariffs),
            none()
                .route("/tariffs/new", get(tariffs::new_form).post(tariffs::add))
                .route(
                    "/tariffs/{plan_id}/new",
                    get(tariffs::version_form).post(tariffs::add_version),
                )
                .route("/tariffs/{plan_id}/deletion", post(tariffs::delete)),
        ),
        (
            Some(Right::Billing),
            none()
                .route("/meters/{meter_id}/charges", post(purses::charge_now))
                .route("/reading-cases/{case_id}", post(purses::decide))
                .route("/billing", get(bills::list).post(bills::confirm))
                .route("/charge-items", post(bills::add_item))
                .route("/allocations", post(allocations::add))
                .route(
                    "/allocations/{allocation_id}",
                    get(allocations::show).post(allocations::post),
                )
                .route("/allocations/{allocation_id}/undo", post(allocations::undo))
                .route("/bills/{bill_id}/contra", post(bills::take_back))
                .route("/customers/{customer_id}/charge-items", post(bills::assign))
                .route("/customers/{customer_id}/overdraft", post(purses::set_overdraft)),
        ),
        (
            Some(Right::Ledger),
            none()
                .route("/ledger", get(office::ledger))
                .route("/day-closes", get(day_closes::list).post(day_closes::close))
                .route("/day-closes/{day}", get(day_closes::show)),
        ),
        (
            Some(Right::Drivers),
            none()
                .route("/drivers-reload", get(drivers::confirm_reload).post(drivers::reload))
                .route("/drivers/{name}/{act}", get(drivers::confirm).post(drivers::act)),
        ),
        (
            Some(Right::Operators),
            none()
                .route("/operators", get(operators::list))
                .route("/operators/new", get(operators::new_form).post(operators::add))
                .route("/operators/{operator_id}", get(operators::show))
                .route("/operators/{operator_id}/rights", post(operators::set_rights))
                .route("/operators/{operator_id}/password", post(operators::set_password))
                .route("/operators/{operator_id}/state", post(operators::set_state))
                .route("/audit", get(operators::audit)),
        ),
    ]
}

/// Acts on the files of customers and meters.
fn files() -> Router<App> {
    Router::new()
        .route("/meters/{meter_id}/acts/{act}", get(meter_acts::show).post(meter_acts::run))
        .route("/customers/{customer_id}/edit", get(customer::edit_form).post(customer::edit))
        .route("/applications/new", get(applications::new).post(applications::add))
        .route("/applications/open", post(applications::open_marked))
        .route("/applications/{application_id}/preparation", post(applications::prepare))
        .route("/applications/{application_id}/opening", post(applications::open))
        .route("/applications/{application_id}/refusal", post(applications::refuse))
        .route("/meters/{meter_id}/swap", get(swaps::form).post(swaps::swap))
        .route("/swaps/{swap_id}/continuation", post(swaps::go_on))
        .route("/swaps/{swap_id}/abandonment", post(swaps::abandon))
        .route(
            "/customers/{customer_id}/takeover",
            get(closings::takeover_form).post(closings::take_over),
        )
        .route("/customers/{customer_id}/closing", get(closings::form).post(closings::close))
        .route("/closings/{closing_id}/continuation", post(closings::go_on))
        .route("/closings/{closing_id}/abandonment", post(closings::abandon))
}

/// What every operator may look at, and their own session.
fn looking() -> Router<App> {
    Router::new()
        .route("/", get(counter::start))
        .route("/logout", post(session::log_out))
        .route("/password", get(operators::own_password_form).post(operators::own_password))
        .route("/meters", get(counter::meters))
        .route("/meters/results", get(counter::results))
        .route("/meters/{meter_id}", get(meters::show))
        .route("/meters/{meter_id}/conversations/{recording_id}", get(conversations::show))
        .route("/sales/{sale_id}", get(sales::show))
        .route("/sales/{sale_id}/state", get(sales::state))
        .route("/sales/{sale_id}/explanation", get(tariffs::explain))
        .route("/tariffs", get(tariffs::list))
        .route("/tariffs/{plan_id}", get(tariffs::show))
        .route("/customers", get(customers::list))
        .route("/acts", get(acts::list))
        .route("/acts/{act_id}", get(acts::show))
        .route("/approvals/{approval_id}/withdrawal", post(acts::withdraw_approval))
        .route("/readers", get(readers::panel))
        .route("/maintenance-cards", get(maintenance_cards::list))
        .route("/maintenance-cards/{card_id}", get(maintenance_cards::show))
        .route("/maintenance-cards/{card_id}/readers", get(maintenance_cards::readers))
        .route("/reader-events", get(crate::api::cards::events))
        .route("/alarms", get(alarms::list))
        .route("/meters/{meter_id}/records", get(records::show))
        .route("/meters/{meter_id}/tokens", get(tokens::list))
        .route("/meters/{meter_id}/test-tokens", get(test_tokens::list))
        .route("/token-rollovers/{rollover_id}", get(rollovers::show))
        .route("/token-rollovers/{rollover_id}/sheet", get(rollovers::sheet))
        .route("/token-orders/{token_order_id}", get(tokens::show))
        .route("/token-orders/{token_order_id}/paper", get(tokens::paper))
        .route("/discrepancies", get(discrepancies::list))
        .route("/shifts", get(shifts::list))
        .route("/shifts/{shift_id}", get(shifts::show))
        .route("/receipts", get(receipts::list))
        .route("/receipts/{number}", get(receipts::show))
        .route("/customers/{customer_id}/purse", get(purses::show))
        .route("/charges/{charge_id}", get(purses::charge))
        .route("/reading-cases", get(purses::cases))
        .route("/customers/{customer_id}", get(customer::show))
        .route("/applications", get(applications::list))
        .route("/applications/{application_id}", get(applications::show))
        .route("/swaps/{swap_id}", get(swaps::show))
        .route("/closings", get(closings::list))
        .route("/closings/{closing_id}", get(closings::show))
        .route("/bills/{bill_id}", get(bills::show))
        .route("/system", get(office::system))
        .route("/drivers", get(drivers::list))
        .route("/drivers/{name}", get(drivers::show))
}

fn selling() -> Router<App> {
    Router::new()
        .route("/customers/{customer_id}/purse/payment", get(purses::confirm).post(purses::pay))
        .route("/bills/{bill_id}/payment", post(bills::pay))
        .route("/meters/{meter_id}/readings", post(meters::read))
        .route("/meters/{meter_id}/records", post(records::read))
        .route("/meters/{meter_id}/sale", get(sales::confirm))
        .route("/meters/{meter_id}/sale/preview", get(sales::preview))
        .route("/sales/{sale_id}", post(sales::sell))
        .route("/sales/{sale_id}/delivery", post(sales::deliver))
        .route("/sales/{sale_id}/cancellation", post(sales::cancel))
        .route("/sales/{sale_id}/reconciliation", post(sales::reconcile))
        .route("/sales/{sale_id}/decision", get(sales::decision_form).post(sales::decide))
        .route("/discrepancies/{discrepancy_id}", post(discrepancies::close))
        .route("/shifts", post(shifts::open))
        .route("/shifts/{shift_id}/closing", get(shifts::confirm).post(shifts::close))
        .route("/receipts/{number}/prints", post(receipts::print))
        .route("/receipts/{number}/prints/{copy}", get(receipts::paper))
}

pub fn router(app: &App) -> Router {
    let guard = middleware::from_fn_with_state(app.clone(), require_session);
    let own = middleware::from_fn(require_own_form);
    let mut behind = Router::new();
    for (right, routes) in guarded() {
        let needs = middleware::from_fn_with_state(right, require_right);
        behind = behind.merge(routes.route_layer(needs));
    }
    open().route_layer(own).merge(behind.route_layer(guard)).with_state(app.clone())
}

/// Who is logged in, for the head of every page.
#[derive(Debug, Clone)]
struct Head {
    operator: String,
    /// Which entry of the menu is the present one.
    here: &'static str,
    sees_ledger: bool,
    sees_operators: bool,
    sees_billing: bool,
    sees_settings: bool,
}

impl Head {
    fn new(caller: &Caller, here: &'static str) -> Head {
        Head {
            operator: caller.operator.name.clone(),
            here,
            sees_ledger: caller.operator.may(Right::Ledger),
            sees_operators: caller.operator.may(Right::Operators),
            sees_billing: caller.operator.may(Right::Billing),
            sees_settings: caller.operator.may(Right::Settings),
        }
    }

    /// Whether the present entry is inside one of the menu's groups.
    fn is_in_customers(&self) -> bool {
        matches!(self.here, "customers" | "applications")
    }

    fn is_in_meters(&self) -> bool {
        matches!(self.here, "meters" | "alarms" | "cards" | "rollovers")
    }

    fn is_in_billing(&self) -> bool {
        matches!(self.here, "tariffs" | "billing" | "cases" | "discrepancies")
    }

    fn is_in_office(&self) -> bool {
        matches!(self.here, "ledger" | "drivers" | "system" | "operators")
    }
}

async fn require_session(State(app): State<App>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    match crate::session::caller(&app.service, &parts).await {
        Ok(caller) => {
            parts.extensions.insert(caller);
            next.run(Request::from_parts(parts, body)).await
        }
        Err(error) => not_let_in(error, &parts.headers),
    }
}

/// Behind `require_session`, which has put the caller there.
async fn require_right(
    State(right): State<Option<Right>>,
    request: Request,
    next: Next,
) -> Response {
    match crate::session::check_right(request.extensions(), right) {
        Ok(()) => next.run(request).await,
        Err(error) => not_let_in(error, request.headers()),
    }
}

fn not_let_in(error: NotLetIn, headers: &HeaderMap) -> Response {
    match error {
        NotLetIn::NoSession if is_fragment(headers) => {
            let to_login = HeaderValue::from_static("/login");
            let mut response = StatusCode::UNAUTHORIZED.into_response();
            response.headers_mut().insert(HeaderName::from_static("hx-redirect"), to_login);
            response
        }
        NotLetIn::NoSession => Redirect::to("/login").into_response(),
        NotLetIn::CrossSite => cross_site(),
        NotLetIn::NoRight(right) => no_right(right),
        NotLetIn::Service(error) => PageError::from(error).into_response(),
    }
}

/// Also before there is a session, a form must come from our own page.
async fn require_own_form(request: Request, next: Next) -> Response {
    if crate::session::is_own_form(request.method(), request.headers()) {
        next.run(request).await
    } else {
        cross_site()
    }
}

fn cross_site() -> Response {
    PageError {
        status: StatusCode::FORBIDDEN,
        title: "This request came from another site".to_owned(),
        detail: "Nothing was done. Open the page from its own address and try again.".to_owned(),
        back: "/".to_owned(),
    }
    .into_response()
}

fn no_right(right: Right) -> Response {
    PageError {
        status: StatusCode::FORBIDDEN,
        title: "You may not do this".to_owned(),
        detail: format!(
            "Nothing was done. It needs the right “{}”; somebody who may change operators \
             can give it to you.",
            operators::right_in_words(right).0
        ),
        back: "/".to_owned(),
    }
    .into_response()
}

/// htmx asks for a part of a page, not for a whole one.
fn is_fragment(headers: &HeaderMap) -> bool {
    headers.contains_key("hx-request")
}

/// A page or a part of one. A template that fails is our bug; the visitor gets a plain 500.
fn render(template: &impl Template) -> Response {
    match template.render() {
        Ok(html) => Html(html).into_response(),
        Err(error) => {
            tracing::error!(%error, "a page's template failed");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// What went wrong, in big words, with a way out.
#[derive(Debug, Clone)]
pub struct PageError {
    status: StatusCode,
    title: String,
    detail: String,
    /// Where the way out leads.
    back: String,
}

type PageResult = Result<Response, PageError>;

impl PageError {
    fn back_to(self, back: impl Into<String>) -> PageError {
        PageError { back: back.into(), ..self }
    }

    fn unusable(field: &str, why: impl std::fmt::Display) -> PageError {
        PageError {
            status: StatusCode::UNPROCESSABLE_ENTITY,
            title: "Please check what was typed".to_owned(),
            detail: format!("{field}: {why}"),
            back: "/".to_owned(),
        }
    }
}

impl From<ServiceError> for PageError {
    fn from(error: ServiceError) -> PageError {
        // The device's own words help at the counter; storage's do not, and go to the log only.
        let detail = match &error {
            ServiceError::Device { .. } | ServiceError::Line(_) => chain(&error),
            ServiceError::Storage(_) => {
                tracing::error!(error = chain(&error), "storage failed");
                error.to_string()
            }
            _ => error.to_string(),
        };
        let mapped = crate::api::error::ApiError::from(error);
        PageError {
            status: mapped.status,
            title: mapped.title.to_owned(),
            detail: view::sentence(&detail),
            back: "/".to_owned(),
        }
    }
}

#[derive(Template)]
#[template(path = "problem.html")]
struct ProblemPage {
    title: String,
    detail: String,
    back: String,
}

impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        let PageError { status, title, detail, back } = self;
        (status, render(&ProblemPage { title, detail, back })).into_response()
    }
}

/// Also answers unknown addresses of the API, whose body is then written as a problem.
pub async fn no_page() -> Response {
    PageError {
        status: StatusCode::NOT_FOUND,
        title: "There is no such page".to_owned(),
        detail: "The address leads nowhere.".to_owned(),
        back: "/".to_owned(),
    }
    .into_response()
}

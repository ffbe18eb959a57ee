//! The OpenAPI document as a whole: what holds for every operation and is said once.
//!
//! Not here: the operations, which stand at their handlers.

use crate::app::App;
use polymeter_service::Right;
use utoipa::openapi::extensions::Extensions;
use utoipa::openapi::path::{Operation, Parameter, ParameterIn, PathItem};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{Content, OpenApi, Ref, RefOr, Response};
use utoipa_axum::router::OpenApiRouter;

/// Says what holds for all of it. `guarded`: what is reached with a session, by right.
pub fn describe(document: &mut OpenApi, guarded: Vec<(Option<Right>, OpenApiRouter<App>)>) {
    name_common_answers(document);
    for (right, routes) in guarded {
        name_guard(document, right, routes);
    }
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

/// What any operation may answer, whatever it is about: a test asks each for more than it allows.
fn name_common_answers(document: &mut OpenApi) {
    for operation in document.paths.paths.values_mut().flat_map(operations_mut).flatten() {
        if operation.parameters.is_some() || operation.request_body.is_some() {
            may_answer(
                operation,
                "400",
                "`bad-id`, `bad-query`, `bad-json`, `bad-idempotency-key`",
            );
        }
        let asks = |it: &RefOr<Parameter>| matches!(it, RefOr::T(it) if matches!(it.parameter_in, ParameterIn::Query));
        if operation.parameters.iter().flatten().any(asks) {
            may_answer(operation, "422", "`invalid-field`");
        }
        if operation.request_body.is_some() {
            may_answer(operation, "413", "`too-large`");
            may_answer(operation, "415", "`not-json`");
            may_answer(operation, "422", "`invalid-field`");
        }
    }
}

/// Each guarded operation may send the caller away, and says in `x-right` what they must be allowed
/// to do.
fn name_guard(document: &mut OpenApi, right: Option<Right>, routes: OpenApiRouter<App>) {
    let (_, part) = routes.split_for_parts();
    for (path, mut item) in part.paths.paths {
        let Some(whole) = document.paths.paths.get_mut(&path) else { continue };
        for (of_part, of_whole) in operations_mut(&mut item).into_iter().zip(operations_mut(whole))
        {
            let (Some(_), Some(operation)) = (of_part, of_whole) else { continue };
            may_answer(operation, "401", "`not-logged-in`");
            may_answer(
                operation,
                "503",
                "`storage`, or of a device `not-sent`, `line-busy`, `line-down`, \
                 `driver-in-quarantine`: asking again later is safe",
            );
            if let Some(right) = right {
                may_answer(operation, "403", "`no-right`, `cross-site`");
                let named = Extensions::builder().add("x-right", right.name()).build();
                operation.extensions.get_or_insert_default().merge(named);
            }
        }
    }
}

/// Unless the operation says it itself.
fn may_answer(operation: &mut Operation, status: &str, description: &str) {
    let response = || {
        let content = Content::new(Some(Ref::from_schema_name("Problem")));
        let problem = Response::builder().description(description);
        RefOr::T(problem.content("application/problem+json", content).build())
    };
    operation.responses.responses.entry(status.to_owned()).or_insert_with(response);
}

fn operations_mut(item: &mut PathItem) -> [Option<&mut Operation>; 5] {
    let PathItem { get, put, post, patch, delete, .. } = item;
    [get.as_mut(), put.as_mut(), post.as_mut(), patch.as_mut(), delete.as_mut()]
}

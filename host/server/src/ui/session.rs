//! Logging in and out, and making the first operator by the one-time link.

use super::{PageError, PageResult, render};
use crate::app::App;
use crate::session::{Caller, cookie_of, cookie_removed};
use askama::Template;
use axum::extract::{Form, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use polymeter_service::ServiceError;
use serde::Deserialize;
use std::fmt;

#[derive(Template)]
#[template(path = "login.html")]
struct LoginPage {
    name: String,
    error: String,
}

#[derive(Template)]
#[template(path = "set_up.html")]
struct SetUpPage {
    secret: String,
    name: String,
    error: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Login {
    name: String,
    password: String,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Login({}, [redacted])", self.name)
    }
}

pub async fn form() -> PageResult {
    Ok(render(&LoginPage { name: String::new(), error: String::new() }))
}

pub async fn log_in(State(app): State<App>, Form(login): Form<Login>) -> PageResult {
    match app.service.log_in(&login.name, &login.password).await {
        Ok((_, token)) => Ok(logged_in(&token)),
        Err(error @ (ServiceError::BadLogin | ServiceError::TooManyLogins { .. })) => {
            let error = super::view::sentence(&error.to_string());
            let page = LoginPage { name: login.name, error };
            Ok((StatusCode::UNAUTHORIZED, render(&page)).into_response())
        }
        Err(error) => Err(error.into()),
    }
}

fn logged_in(token: &str) -> Response {
    ([(header::SET_COOKIE, cookie_of(token))], Redirect::to("/")).into_response()
}

pub async fn log_out(State(app): State<App>, caller: Caller) -> PageResult {
    app.service.log_out(&caller.token).await?;
    Ok(([(header::SET_COOKIE, cookie_removed())], Redirect::to("/login")).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Secret {
    secret: String,
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret([redacted])")
    }
}

/// Whether the link still counts is seen when the form is sent: asking for a secret here would make a
/// fresh one, and a visitor could spoil the printed link.
pub async fn set_up_form(Query(link): Query<Secret>) -> PageResult {
    Ok(render(&SetUpPage { secret: link.secret, name: String::new(), error: String::new() }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetUp {
    secret: String,
    name: String,
    password: String,
    repeated: String,
}

impl fmt::Debug for SetUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SetUp({}, [redacted])", self.name)
    }
}

pub async fn set_up(State(app): State<App>, Form(form): Form<SetUp>) -> PageResult {
    let again = |error: String| {
        let SetUp { secret, name, .. } = &form;
        let page = SetUpPage { secret: secret.clone(), name: name.clone(), error };
        Ok((StatusCode::UNPROCESSABLE_ENTITY, render(&page)).into_response())
    };
    if form.password != form.repeated {
        return again("The two passwords differ.".to_owned());
    }
    match app.service.set_up(&form.secret, &form.name, &form.password).await {
        Ok(_) => {
            let (_, token) = app.service.log_in(&form.name, &form.password).await?;
            Ok(logged_in(&token))
        }
        Err(error @ ServiceError::Invalid { .. }) => {
            again(super::view::sentence(&error.to_string()))
        }
        Err(error) => Err(PageError::from(error).back_to("/login")),
    }
}

//! The pages that people see: log-in, consent, the choice of a patient, the account. They are
//! plain HTML and work without JavaScript; there is none.

mod account;
mod apps;
mod consent;
mod encounter;
mod event;
mod federated;
mod form;
mod layout;
mod login;
mod patient;
mod record;
mod reset;
mod second_factor;
mod words;

use axum::{
    body::Body,
    http::{Method, StatusCode},
};
use maud::html;

use super::{
    super::{Reply, failure::Failure},
    PATH, Visit, cookie,
};
use crate::auth::{client::Client, records::Found, request::Pending, session::LoggedIn};
use form::Form;

/// Answers for a page; gives the body back if the address is none of a page.
pub async fn answer(visit: &Visit<'_>, body: Body) -> Result<Reply, Body> {
    let answered = answered(visit, body).await?;
    Ok(answered.unwrap_or_else(|failure| failed(visit, &failure)))
}

/// A failure as people read it.
fn failed(visit: &Visit<'_>, failure: &Failure) -> Reply {
    let said = failure
        .issues
        .first()
        .map(|issue| issue.diagnostics.as_str());
    let text = said.unwrap_or("Something went wrong.");
    let more = html! { p { a href="/auth/account" { "Begin anew" } } };
    layout::message("This did not work", text, more)
        .status(failure.status)
        .retry_after(failure.retry_after)
        .reply(visit)
}

async fn answered(visit: &Visit<'_>, body: Body) -> Result<Result<Reply, Failure>, Body> {
    let path = visit.parts.uri.path();
    let Some(name) = path
        .strip_prefix(PATH)
        .and_then(|rest| rest.strip_prefix('/'))
    else {
        return Err(body);
    };
    match visit.parts.method {
        Method::GET | Method::HEAD => {
            if let Some(asset) = layout::asset(name) {
                return Ok(Ok(asset));
            }
            show(visit, name).await.ok_or(body)
        }
        Method::POST => take(visit, name, body).await,
        _ => Err(body),
    }
}

async fn show(visit: &Visit<'_>, name: &str) -> Option<Result<Reply, Failure>> {
    let query = match Form::of_query(visit) {
        Ok(query) => query,
        Err(failure) => return Some(Err(failure)),
    };
    Some(match name {
        "login" => login::show(visit, &query).await,
        "code" | "new-password" => login::show_step(visit).await,
        "forgot" => reset::show_forgot(visit),
        "reset" => reset::show_reset(visit, &query).await,
        "federated" => federated::begin(visit, &query).await,
        "federated/callback" => federated::end(visit, &query).await,
        "consent" => consent::show(visit, &query).await,
        "patient" => patient::show(visit, &query).await,
        "encounter" => encounter::show(visit, &query).await,
        "account" => account::show(visit, &query).await,
        "account/password" => account::show_password(visit).await,
        "account/second-factor" => second_factor::show(visit).await,
        _ => return None,
    })
}

async fn take(visit: &Visit<'_>, name: &str, body: Body) -> Result<Result<Reply, Failure>, Body> {
    const NAMES: [&str; 16] = [
        "login",
        "code",
        "new-password",
        "logout",
        "forgot",
        "reset",
        "consent",
        "patient",
        "encounter",
        "account/password",
        "account/second-factor",
        "account/second-factor/confirm",
        "account/second-factor/off",
        "account/recovery",
        "account/sessions",
        "account/apps",
    ];
    if !NAMES.contains(&name) {
        return Err(body);
    }
    let form = match Form::of_body(visit, body).await {
        Ok(form) => form,
        Err(failure) => return Ok(Err(failure)),
    };
    Ok(match name {
        "login" => login::take(visit, &form).await,
        "code" => login::take_code(visit, &form).await,
        "new-password" => login::take_password(visit, &form).await,
        "logout" => account::log_out(visit, &form).await,
        "forgot" => reset::take_forgot(visit, &form).await,
        "reset" => reset::take_reset(visit, &form).await,
        "consent" => consent::take(visit, &form).await,
        "patient" => patient::take(visit, &form).await,
        "encounter" => encounter::take(visit, &form).await,
        "account/password" => account::take_password(visit, &form).await,
        "account/second-factor" => second_factor::begin(visit, &form).await,
        "account/second-factor/confirm" => second_factor::confirm(visit, &form).await,
        "account/second-factor/off" => second_factor::remove(visit, &form).await,
        "account/recovery" => second_factor::new_codes(visit, &form).await,
        "account/sessions" => account::end_sessions(visit, &form).await,
        _ => apps::revoke(visit, &form).await,
    })
}

/// An authorization request on its pages: who asks, and who is to agree.
struct Asked {
    /// What stands for it in URLs.
    name: String,
    request: Found<Pending>,
    client: Found<Client>,
    who: LoggedIn,
}

/// The request that a page is about, if everything is there for it; else the page that is to be
/// shown in its place.
async fn asked(visit: &Visit<'_>, name: &str) -> Result<Result<Asked, Reply>, Failure> {
    let Some((request, client)) = waiting(visit, name).await? else {
        return Ok(Err(over(visit)));
    };
    let who = cookie::session_of(visit).await?;
    let now = visit.auth.now();
    let who = who.filter(|who| !request.value.needs_log_in(&who.session.value, now));
    let Some(who) = who else {
        return Ok(Err(layout::see_other(&to("login", name))));
    };
    Ok(Ok(Asked {
        name: name.to_owned(),
        request,
        client,
        who,
    }))
}

/// A request that waits, and its client.
async fn waiting(
    visit: &Visit<'_>,
    name: &str,
) -> Result<Option<(Found<Pending>, Found<Client>)>, Failure> {
    let Some(request) = visit.auth.request(name).await? else {
        return Ok(None);
    };
    let client = visit.auth.client(&request.value.client).await?;
    Ok(client.map(|client| (request, client)))
}

/// The address of a page about a request.
fn to(page: &str, request: &str) -> String {
    let request =
        percent_encoding::utf8_percent_encode(request, percent_encoding::NON_ALPHANUMERIC);
    format!("{PATH}/{page}?request={request}")
}

/// The page for a request that has been answered, or was left alone for too long.
fn over(visit: &Visit<'_>) -> Reply {
    let text = "The app's request was answered already, or it was left alone for more than ten \
                minutes. Go back to the app and begin there anew.";
    let account = html! { p { a href="/auth/account" { "Go to your account" } } };
    layout::message("This request is over", text, account)
        .status(StatusCode::GONE)
        .reply(visit)
}

/// The page for a request that leads nowhere: not to a log-in, and not back to the app, whose
/// address is not proven.
pub fn cannot_be_let_in(visit: &Visit<'_>, why: &str) -> Reply {
    const TITLE: &str = "This app cannot be let in";
    let page = layout::message(TITLE, why, html! {});
    page.status(StatusCode::BAD_REQUEST).reply(visit)
}

/// The page for somebody who is not logged in.
fn to_log_in() -> Reply {
    layout::see_other("/auth/login")
}

//! Log-in through another organization.

use axum::http::StatusCode;
use maud::{Markup, html};

use super::{
    super::{
        super::{Reply, failure::Failure},
        Visit,
        cookie::{self, Cookie},
    },
    form::{Binding, Form, visitor},
    layout::{self, see_other},
    login::{go_on, refusal},
};
use crate::auth::{
    federated::{Arrived, Back},
    login::Outcome,
};

/// The ways to other organizations, on the log-in page. They are links: what a form leads to would
/// have to be known to the page.
pub fn ways(visit: &Visit<'_>, request: Option<&str>) -> Markup {
    let providers = visit.auth.providers();
    let address = |name: &str| {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.append_pair("provider", name);
        if let Some(request) = request {
            query.append_pair("request", request);
        }
        format!("/auth/federated?{}", query.finish())
    };
    html! {
        @if !providers.is_empty() {
            p.or { "or" }
            div.stack {
                @for provider in providers {
                    a.button.second href=(address(&provider.name)) {
                        "Log in with " (provider.title)
                    }
                }
            }
        }
    }
}

/// `GET /auth/federated`
pub async fn begin(visit: &Visit<'_>, query: &Form) -> Result<Reply, Failure> {
    let address = visitor(visit).address;
    if let Some(wait) = visit.auth.attempt_from(address).await? {
        let said = refusal(&Outcome::Wait(wait), "");
        let text = said.map_or(String::new(), |(_, text, _)| text);
        let page = layout::message("Too many attempts", &text, back());
        let page = page.status(StatusCode::TOO_MANY_REQUESTS);
        return Ok(page.retry_after(Some(wait)).reply(visit));
    }
    let binding = Binding::of(visit)?;
    let request = query.some("request").map(str::to_owned);
    let provider = query.get("provider");
    let begun = visit
        .auth
        .begin_journey(provider, binding.cookie(), request)
        .await?;
    match begun {
        Ok(url) => Ok(binding.set(visit, see_other(&url))),
        Err(arrived) => Ok(said(visit, arrived)),
    }
}

/// `GET /auth/federated/callback`
pub async fn end(visit: &Visit<'_>, query: &Form) -> Result<Reply, Failure> {
    let Some(cookie) = cookie::get(visit, Cookie::Form) else {
        return Ok(said(visit, Arrived::Gone));
    };
    let back = Back {
        state: query.get("state"),
        code: query.some("code"),
        error: query.some("error"),
        issuer: query.some("iss"),
    };
    let visitor = visitor(visit);
    match visit.auth.end_journey(cookie, &back, &visitor).await? {
        Arrived::Here(outcome) => {
            visit.auth.forgive_from(visitor.address).await?;
            go_on(visit, outcome).await
        }
        arrived => Ok(said(visit, arrived)),
    }
}

fn back() -> Markup {
    html! { p { a href="/auth/login" { "Back to the log-in" } } }
}

fn said(visit: &Visit<'_>, arrived: Arrived) -> Reply {
    let (status, title, text) = match arrived {
        Arrived::Stranger(title) => (
            StatusCode::FORBIDDEN,
            "There is no account for you",
            format!(
                "You are logged in at {title}, but nobody here knows you by that. Ask whoever \
                 manages this server."
            ),
        ),
        Arrived::Failed(text) => (
            StatusCode::BAD_GATEWAY,
            "This did not work",
            text.to_owned(),
        ),
        Arrived::Gone | Arrived::Here(_) => (
            StatusCode::GONE,
            "This log-in is over",
            "It began in another browser, was ended already, or took more than ten minutes."
                .to_owned(),
        ),
    };
    let page = layout::message(title, &text, back());
    page.status(status).reply(visit)
}

//! `GET` and `POST` `authorize`: where apps send their users.

use axum::{
    body::Body,
    http::{HeaderValue, Method, StatusCode, header},
};

use super::{
    super::{Reply, failure::Failure},
    PATH, Visit, cookie, form,
    pages::cannot_be_let_in,
};
use crate::auth::{
    authorize::NoRequest, parameters::Parameters, refusal::OAuthError, request::Pending,
};

/// Answers a request: with the way to the pages, back to the app, or with a page that says why
/// neither is possible.
///
/// # Errors
/// The body cannot be read; the store refuses.
pub async fn answer(visit: &Visit<'_>, body: Body) -> Result<Reply, Failure> {
    let parameters = match visit.parts.method {
        Method::POST => form::of_body(visit, body).await?,
        _ => form::of_query(visit),
    };
    let parameters = match parameters {
        Ok(parameters) => parameters,
        Err(error) => return Ok(cannot_be_let_in(visit, &error.description)),
    };
    match read(visit, &parameters).await {
        Ok(url) | Err(NoRequest::Redirect(url)) => to(&url),
        Err(NoRequest::Page(sentence)) => Ok(cannot_be_let_in(visit, &sentence)),
        Err(NoRequest::Failed(error)) => Err(error.into()),
    }
}

/// Where the browser goes.
async fn read(visit: &Visit<'_>, parameters: &Parameters) -> Result<String, NoRequest> {
    let pending = visit.auth.read_request(parameters).await?;
    let session = cookie::session_of(visit).await?;
    let session = session.map(|found| found.session.value);
    let now = visit.auth.now();
    let is_logged_in = session.is_some_and(|session| !pending.needs_log_in(&session, now));
    if !is_logged_in && wants(&pending, "none") {
        let error = OAuthError::new(
            "login_required",
            "Nobody is logged in, and the request lets no page be shown.",
        );
        return Err(NoRequest::Redirect(pending.failed(&error)));
    }
    let page = match is_logged_in && !wants(&pending, "select_account") {
        true => "consent",
        false => "login",
    };
    let name = visit.auth.keep_request(&pending).await?;
    let issuer = &visit.auth.settings().issuer;
    Ok(format!("{issuer}{PATH}/{page}?request={name}"))
}

fn wants(pending: &Pending, word: &str) -> bool {
    pending.prompt.iter().any(|known| known == word)
}

/// `303 See Other`: whatever the method was, the browser goes on with GET.
fn to(url: &str) -> Result<Reply, Failure> {
    let location = HeaderValue::try_from(url).map_err(|_| {
        Failure::bad_request("The redirect_uri that is registered for the app is no URL.")
    })?;
    let mut reply = Reply::default();
    *reply.status_mut() = StatusCode::SEE_OTHER;
    let headers = reply.headers_mut();
    headers.insert(header::LOCATION, location);
    headers.insert(
        header::REFERRER_POLICY,
        HeaderValue::from_static("no-referrer"),
    );
    Ok(reply)
}

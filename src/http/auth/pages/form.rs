//! What comes back from a page, and how it is known that it comes from one of ours.

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
};
use maud::{Markup, html};

use super::{
    super::{
        super::{Reply, body, failure::Failure, query},
        Visit,
        cookie::{self, Cookie},
    },
    layout,
};
use crate::auth::{login::Visitor, secret, session::LoggedIn};

/// Bytes of a form.
const LONGEST: usize = 64 << 10;
/// Bytes of a field.
const LONGEST_FIELD: usize = 4 << 10;

/// Fields of a form, or of a query.
pub struct Form(query::Pairs);

impl Form {
    /// The query of the address.
    ///
    /// # Errors
    /// 400 if it cannot be read.
    pub fn of_query(visit: &Visit<'_>) -> Result<Self, Failure> {
        let mut pairs = query::Pairs::new();
        query::read(visit.parts.uri.query().unwrap_or(""), &mut pairs)?;
        Ok(Self(pairs))
    }

    /// The fields of a form that was sent.
    ///
    /// # Errors
    /// 400, 413 and 415 if it is none.
    pub async fn of_body(visit: &Visit<'_>, sent: Body) -> Result<Self, Failure> {
        let headers = &visit.parts.headers;
        let kind = headers.get(header::CONTENT_TYPE);
        let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or("");
        let essence = kind.split(';').next().unwrap_or("").trim();
        if !essence.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            return Err(Failure::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "not-supported",
                "The pages take forms as application/x-www-form-urlencoded.",
            ));
        }
        let bytes = body::read(sent, headers, LONGEST, visit.working).await?;
        let text = std::str::from_utf8(&bytes)
            .map_err(|_| Failure::bad_request("The form is not UTF-8 text."))?;
        let mut pairs = query::Pairs::new();
        query::read(text, &mut pairs)?;
        Ok(Self(pairs))
    }

    /// A field; empty if it is not there or too long to be meant.
    pub fn get(&self, name: &str) -> &str {
        let found = query::last(&self.0, name).unwrap_or("");
        if found.len() > LONGEST_FIELD {
            ""
        } else {
            found
        }
    }

    /// A field that is there and not empty.
    pub fn some(&self, name: &str) -> Option<&str> {
        Some(self.get(name)).filter(|value| !value.is_empty())
    }

    /// All values of a field.
    pub fn all<'f>(&'f self, name: &'f str) -> impl Iterator<Item = &'f str> {
        let named = self.0.iter().filter(move |(known, _)| known == name);
        named.map(|(_, value)| value.as_str())
    }
}

/// What binds a form before log-in to the browser.
pub struct Binding {
    cookie: String,
    is_new: bool,
}

impl Binding {
    /// The browser's, or a new one.
    ///
    /// # Errors
    /// The computer has no randomness.
    pub fn of(visit: &Visit<'_>) -> Result<Self, Failure> {
        let known = cookie::get(visit, Cookie::Form);
        Ok(match known.filter(|text| (32..=64).contains(&text.len())) {
            Some(text) => Self {
                cookie: text.to_owned(),
                is_new: false,
            },
            None => Self {
                cookie: secret::fresh("")?,
                is_new: true,
            },
        })
    }

    /// The browser's part.
    pub fn cookie(&self) -> &str {
        &self.cookie
    }

    /// What the form carries.
    pub fn token(&self) -> String {
        token_of(&self.cookie)
    }

    /// Gives the browser its part.
    pub fn set(&self, visit: &Visit<'_>, mut reply: Reply) -> Reply {
        if self.is_new {
            cookie::set(visit, &mut reply, Cookie::Form, &self.cookie);
        }
        reply
    }
}

fn token_of(cookie: &str) -> String {
    secret::hash(&format!("form {cookie}"))
}

/// The value of the form's cookie, if a form before log-in comes from this browser.
pub fn bound<'r>(visit: &Visit<'r>, form: &Form) -> Option<&'r str> {
    let cookie = cookie::get(visit, Cookie::Form)?;
    let matches = secret::same(form.get("csrf"), &token_of(cookie));
    (matches && is_from_here(visit)).then_some(cookie)
}

/// Whether a form comes from a page of this session.
pub fn is_of_session(visit: &Visit<'_>, form: &Form, who: &LoggedIn) -> bool {
    secret::same(form.get("csrf"), &who.session.value.csrf) && is_from_here(visit)
}

/// What browsers say of where a form comes from. Old ones say nothing.
fn is_from_here(visit: &Visit<'_>) -> bool {
    let headers = &visit.parts.headers;
    let own = origin(&visit.auth.settings().issuer);
    let origin = headers.get(header::ORIGIN);
    let site = headers.get("sec-fetch-site");
    let is_site = |site: &HeaderValue| site == "same-origin" || site == "none";
    origin.is_none_or(|origin| origin == own) && site.is_none_or(is_site)
}

/// Scheme and authority of a URL.
fn origin(url: &str) -> &str {
    let authority = url.find("://").map_or(0, |at| at + 3);
    let end = url[authority..].find('/');
    end.map_or(url, |end| &url[..authority + end])
}

/// A form that does not come from a page of ours, or from one that is too old.
pub fn refused(visit: &Visit<'_>) -> Reply {
    let text = "The form was not sent from a page of this server, was open for too long, or the \
                browser does not keep cookies for this site. Nothing was done.";
    let again = html! {
        p { a href="/auth/account" { "Begin anew" } }
    };
    let page = layout::message("This form cannot be taken", text, again);
    page.status(StatusCode::FORBIDDEN).reply(visit)
}

/// The hidden field that binds a form.
pub fn csrf(token: &str) -> Markup {
    html! { input type="hidden" name="csrf" value=(token); }
}

/// The browser as the log-in sees it.
pub fn visitor(visit: &Visit<'_>) -> Visitor {
    let agent = visit.parts.headers.get(header::USER_AGENT);
    Visitor {
        address: super::super::super::authenticate::address(visit.parts),
        agent: agent
            .and_then(|agent| agent.to_str().ok())
            .unwrap_or("")
            .to_owned(),
        device: visit.auth.device(cookie::get(visit, Cookie::Device)),
    }
}

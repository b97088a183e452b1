//! What all pages have in common: the frame, the style, and the headers that keep them from being
//! framed, kept or made to load anything from elsewhere.

use std::sync::OnceLock;

use axum::{
    body::Bytes,
    http::{HeaderName, HeaderValue, StatusCode, header},
};
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::super::{super::Reply, PATH, Visit};
use crate::{
    auth::{client::Client, request::Pending, secret},
    http::headers::value,
};

const STYLE: &str = include_str!("style.css");
const MARK: &str = include_str!("mark.svg");

/// A page that is being made.
pub struct Page {
    status: StatusCode,
    title: &'static str,
    content: Markup,
    wide: bool,
    /// Where forms may lead, besides this server.
    leads_to: Option<String>,
    retry_after: Option<u32>,
}

impl Page {
    /// A page with this title and content.
    pub const fn new(title: &'static str, content: Markup) -> Self {
        Self {
            status: StatusCode::OK,
            title,
            content,
            wide: false,
            leads_to: None,
            retry_after: None,
        }
    }

    /// With another status than 200.
    pub const fn status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// With room for tables.
    pub const fn wide(mut self) -> Self {
        self.wide = true;
        self
    }

    /// Too early: it makes sense to come back after these seconds.
    pub const fn retry_after(mut self, seconds: Option<u32>) -> Self {
        self.retry_after = seconds;
        self
    }

    /// Its form may end with a redirect to this app. Browsers apply `form-action` to redirects
    /// too.
    pub fn leading_to(mut self, request: Option<&Pending>) -> Self {
        self.leads_to = request.and_then(|request| form_target(&request.redirect_uri));
        self
    }

    /// The answer.
    pub fn reply(self, visit: &Visit<'_>) -> Reply {
        let text = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    meta name="robots" content="noindex";
                    title {
                        @if self.status.is_client_error() { "Problem: " }
                        (self.title) " – Rotunda"
                    }
                    link rel="stylesheet" href=(style_address());
                    link rel="icon" type="image/svg+xml" href=(mark_address());
                }
                body {
                    a.skip href="#main" { "Skip to the content" }
                    header.top {
                        span.brand { (PreEscaped(MARK)) span { "Rotunda" } }
                        span.place { (host(&visit.auth.settings().issuer)) }
                    }
                    main #main.wide[self.wide] tabindex="-1" { (self.content) }
                    footer { "Check that the address in your browser is the one of your \
                              organization before you type a password." }
                }
            }
        };
        let mut reply = Reply::new(Bytes::from(text.into_string()));
        *reply.status_mut() = self.status;
        let headers = reply.headers_mut();
        let html = HeaderValue::from_static("text/html; charset=utf-8");
        headers.insert(header::CONTENT_TYPE, html);
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.leads_to.is_none() {
            // An app that opened these pages in a window of its own must be able to see where
            // they lead; others have no hold on the window.
            let own = HeaderValue::from_static("same-origin");
            headers.insert(HeaderName::from_static("cross-origin-opener-policy"), own);
        }
        protect(&mut reply, self.leads_to.as_deref());
        reply
    }
}

/// The headers of everything that a browser shows.
fn protect(reply: &mut Reply, leads_to: Option<&str>) {
    let target = leads_to.map_or(String::new(), |target| format!(" {target}"));
    let policy = format!(
        "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'{target}; \
         frame-ancestors 'none'; base-uri 'none'"
    );
    let headers = reply.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, value(policy));
    let deny = HeaderValue::from_static("DENY");
    headers.insert(header::X_FRAME_OPTIONS, deny);
    // Nothing to other sites; `no-referrer` would take the Origin from our own forms.
    let to_us = HeaderValue::from_static("same-origin");
    headers.insert(header::REFERRER_POLICY, to_us);
    let no_store = HeaderValue::from_static("no-store");
    headers.insert(header::CACHE_CONTROL, no_store);
    let nothing = HeaderValue::from_static("camera=(), microphone=(), geolocation=()");
    headers.insert(HeaderName::from_static("permissions-policy"), nothing);
}

/// The origin of a redirect URI, or the scheme of one that a native app has, as a source of a
/// content security policy; `None` for what cannot be written there.
fn form_target(redirect_uri: &str) -> Option<String> {
    let (scheme, rest) = redirect_uri.split_once(':')?;
    let is_scheme = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
    if scheme.is_empty() || !scheme.chars().all(is_scheme) {
        return None;
    }
    if !matches!(scheme, "http" | "https") {
        return Some(format!("{scheme}:"));
    }
    let authority = rest.strip_prefix("//")?;
    let end = authority.find(['/', '?', '#']).unwrap_or(authority.len());
    let authority = &authority[..end];
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-.:[]".contains(c);
    let plain = !authority.is_empty() && authority.chars().all(is_plain);
    plain.then(|| format!("{scheme}://{authority}"))
}

fn host(issuer: &str) -> &str {
    let after = issuer.split_once("://").map_or(issuer, |(_, after)| after);
    after.split('/').next().unwrap_or(after)
}

fn style_address() -> &'static str {
    static ADDRESS: OnceLock<String> = OnceLock::new();
    ADDRESS.get_or_init(|| format!("{PATH}/style.css?v={}", &secret::hash(STYLE)[..8]))
}

fn mark_address() -> &'static str {
    "/auth/mark.svg"
}

/// The style, and the mark: the same for all, so they may be kept.
pub fn asset(name: &str) -> Option<Reply> {
    let (text, kind) = match name {
        "style.css" => (STYLE, "text/css; charset=utf-8"),
        "mark.svg" => (MARK, "image/svg+xml"),
        _ => return None,
    };
    let mut reply = Reply::new(Bytes::from_static(text.as_bytes()));
    protect(&mut reply, None);
    let headers = reply.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    let a_day = HeaderValue::from_static("public, max-age=86400");
    headers.insert(header::CACHE_CONTROL, a_day);
    Some(reply)
}

/// Sends the browser on with a GET.
pub fn see_other(to: &str) -> Reply {
    let mut reply = Reply::new(Bytes::new());
    *reply.status_mut() = StatusCode::SEE_OTHER;
    reply
        .headers_mut()
        .insert(header::LOCATION, value(to.to_owned()));
    protect(&mut reply, None);
    // The policy of a redirect would be one of the page that it leads to.
    reply.headers_mut().remove(header::CONTENT_SECURITY_POLICY);
    reply
}

/// What is wrong with a form, before everything else, with a link to the field.
pub fn problem(text: Option<&str>, field: &str) -> Markup {
    html! {
        @if let Some(text) = text {
            div.problem #problem role="alert" {
                h2 { "There is a problem" }
                p { a href={ "#" (field) } { (text) } }
            }
        }
    }
}

/// Says that something was done.
pub fn notice(text: Option<&str>) -> Markup {
    html! {
        @if let Some(text) = text {
            div.notice role="status" { p { (text) } }
        }
    }
}

/// A page that only says something.
pub fn message(title: &'static str, text: &str, more: Markup) -> Page {
    Page::new(title, html! { h1 { (title) } p { (text) } (more) })
}

/// Which app asks, with whom to ask about it.
pub fn app(client: &Client) -> Markup {
    html! {
        strong { (client.name) }
        @if let Some(contact) = &client.contact {
            " (contact: " (contact_link(contact)) ")"
        }
    }
}

fn contact_link(contact: &str) -> Markup {
    let is_mail = contact.contains('@') && !contact.contains([':', '/', ' ']);
    html! {
        @if contact.starts_with("https://") {
            a href=(contact) rel="noopener noreferrer" { (contact) }
        } @else if is_mail {
            a href={ "mailto:" (contact) } { (contact) }
        } @else {
            (contact)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_may_lead_to_the_apps_origin_only() {
        for (uri, expected) in [
            ("https://app.example/cb?x=1", Some("https://app.example")),
            ("http://127.0.0.1:8000/", Some("http://127.0.0.1:8000")),
            ("http://[::1]:8000/cb", Some("http://[::1]:8000")),
            ("com.example.app:/cb", Some("com.example.app:")),
            ("com.example.app://cb", Some("com.example.app:")),
            ("https://app.example; script-src *", None),
            ("https://a@b/", None),
            ("x y:/cb", None),
            ("nothing", None),
        ] {
            assert_eq!(form_target(uri).as_deref(), expected, "{uri}");
        }
    }

    #[test]
    fn a_contact_is_a_link_only_if_it_is_an_address() {
        let link = |contact| contact_link(contact).into_string();
        assert!(link("https://a.example").starts_with("<a href=\"https://a.example\""));
        assert!(link("it@a.example").starts_with("<a href=\"mailto:it@a.example\""));
        assert_eq!(link("javascript:alert(1)"), "javascript:alert(1)");
        assert_eq!(link("<b>"), "&lt;b&gt;");
    }
}

//! A new password by mail, for who forgot theirs.

use std::sync::Arc;

use axum::http::StatusCode;
use maud::html;

use super::{
    super::{
        super::{Reply, failure::Failure},
        Visit,
    },
    form::{self, Binding, Form, csrf},
    layout::{self, Page, problem},
    login::{BUSY, mismatch, new_password_fields, refusal},
};
use crate::{
    auth::{
        Auth,
        login::{Outcome, PasswordSet},
        reset::{MINUTES, ResetMail},
    },
    mail::Mail,
};

/// `GET /auth/forgot`
pub fn show_forgot(visit: &Visit<'_>) -> Result<Reply, Failure> {
    forgot_page(visit, None)
}

fn forgot_page(
    visit: &Visit<'_>,
    said: Option<(StatusCode, String, Option<u32>)>,
) -> Result<Reply, Failure> {
    const TITLE: &str = "A new password";
    if visit.server.settings.mailer.is_none() {
        let text = "This server sends no mail. Ask whoever manages it for a new password.";
        let back = html! { p { a href="/auth/login" { "Back to the log-in" } } };
        return Ok(layout::message(TITLE, text, back).reply(visit));
    }
    let binding = Binding::of(visit)?;
    let token = binding.token();
    let text = said.as_ref().map(|(_, text, _)| text.as_str());
    let content = html! {
        (problem(text, "login"))
        h1 { (TITLE) }
        p.lead { "You get a mail with a link, at the address that is known of you." }
        form method="post" action="/auth/forgot" {
            (csrf(&token))
            div.field {
                label for="login" { "Log-in name" }
                input #login type="text" name="login" required maxlength="100"
                    autocomplete="username" autocapitalize="none" spellcheck="false" autofocus;
            }
            div.actions.apart {
                button type="submit" { "Send the mail" }
                a href="/auth/login" { "Back to the log-in" }
            }
        }
    };
    let status = said.as_ref().map_or(StatusCode::OK, |(status, ..)| *status);
    let wait = said.and_then(|(_, _, wait)| wait);
    let page = Page::new(TITLE, content).status(status).retry_after(wait);
    Ok(binding.set(visit, page.reply(visit)))
}

/// `POST /auth/forgot`: the same answer in the same time, whoever is meant.
pub async fn take_forgot(visit: &Visit<'_>, form: &Form) -> Result<Reply, Failure> {
    if form::bound(visit, form).is_none() {
        return Ok(form::refused(visit));
    }
    let settings = &visit.server.settings;
    let (Some(mailer), Some(auth)) = (&settings.mailer, &settings.auth) else {
        return show_forgot(visit);
    };
    let address = form::visitor(visit).address;
    if let Some(wait) = auth.attempt_from(address).await? {
        return forgot_page(visit, refusal(&Outcome::Wait(wait), ""));
    }
    mailer.prepare(reset_mail(Arc::clone(auth), form.get("login").to_owned()));
    let content = html! {
        h1 { "Look into your mail" }
        p { "If there is an account with this log-in name, and an address is known for it, a mail \
             is on its way. The link in it is good for " (MINUTES) " minutes, and once." }
        p.soft { "Nothing there after a few minutes? Look into the folder for unwanted mail, or \
                  ask whoever manages this server: perhaps your address is not known." }
        p { a href="/auth/login" { "Back to the log-in" } }
    };
    Ok(Page::new("Look into your mail", content).reply(visit))
}

async fn reset_mail(auth: Arc<Auth>, login: String) -> Option<Mail> {
    let begun = auth.begin_reset(&login).await;
    let ResetMail {
        email,
        name,
        secret,
    } = match begun {
        Ok(begun) => begun?,
        Err(error) => {
            tracing::error!(%error, "a password reset could not begin");
            return None;
        }
    };
    let issuer = &auth.settings().issuer;
    let text = format!(
        "Somebody, probably you, asked for a new password at {issuer}.\n\n\
         To choose one, open this address within {MINUTES} minutes:\n\n\
         {issuer}/auth/reset?token={secret}\n\n\
         If it was not you, you need do nothing: your password stays as it is.\n"
    );
    Some(Mail {
        to: (name, email),
        subject: "A new password".to_owned(),
        text,
    })
}

/// `GET /auth/reset`
pub async fn show_reset(visit: &Visit<'_>, query: &Form) -> Result<Reply, Failure> {
    let secret = query.get("token");
    if !visit.auth.is_reset(secret).await? {
        return Ok(spent(visit));
    }
    reset_page(visit, secret, None)
}

fn spent(visit: &Visit<'_>) -> Reply {
    let text = "It was used already, a newer mail has taken its place, or it is too old.";
    let more = html! { p { a href="/auth/forgot" { "Ask for another mail" } } };
    layout::message("This link is not good any more", text, more)
        .status(StatusCode::GONE)
        .reply(visit)
}

fn reset_page(
    visit: &Visit<'_>,
    secret: &str,
    said: Option<(StatusCode, String, Option<u32>)>,
) -> Result<Reply, Failure> {
    let binding = Binding::of(visit)?;
    let token = binding.token();
    let text = said.as_ref().map(|(_, text, _)| text.as_str());
    let content = html! {
        (problem(text, "new"))
        h1 { "Choose a new password" }
        p.lead { "All your log-ins end with it." }
        form method="post" action="/auth/reset" {
            (csrf(&token))
            input type="hidden" name="token" value=(secret);
            (new_password_fields(text))
            div.actions { button type="submit" { "Set the password" } }
        }
    };
    let status = said.as_ref().map_or(StatusCode::OK, |(status, ..)| *status);
    let wait = said.and_then(|(_, _, wait)| wait);
    let page = Page::new("Choose a new password", content);
    let page = page.status(status).retry_after(wait);
    Ok(binding.set(visit, page.reply(visit)))
}

/// `POST /auth/reset`
pub async fn take_reset(visit: &Visit<'_>, form: &Form) -> Result<Reply, Failure> {
    if form::bound(visit, form).is_none() {
        return Ok(form::refused(visit));
    }
    let secret = form.get("token");
    let set = match mismatch(form) {
        Some(why) => Some(PasswordSet::Unacceptable(why)),
        None => visit.auth.finish_reset(secret, form.get("new")).await?,
    };
    match set {
        None => Ok(spent(visit)),
        Some(PasswordSet::Unacceptable(why)) => {
            reset_page(visit, secret, refusal(&Outcome::Unacceptable(why), ""))
        }
        Some(PasswordSet::Busy) => {
            let said = (StatusCode::SERVICE_UNAVAILABLE, BUSY.to_owned(), Some(3));
            reset_page(visit, secret, Some(said))
        }
        Some(PasswordSet::Done) => {
            let more = html! { p { a href="/auth/login" { "Log in with it" } } };
            let text = "Your new password is set, and you are logged out everywhere.";
            Ok(layout::message("Done", text, more).reply(visit))
        }
    }
}

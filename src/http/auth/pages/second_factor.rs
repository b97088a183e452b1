//! The second factor on the account page: on, off, and new recovery codes.

use axum::http::StatusCode;
use maud::{Markup, PreEscaped, html};
use qrcode::{QrCode, render::svg};

use super::{
    super::{
        super::{Reply, failure::Failure},
        Visit, cookie,
    },
    account::WRONG_PASSWORD,
    form::{self, Form, csrf},
    layout::{self, Page, problem, see_other},
    login::refusal,
    to_log_in,
};
use crate::auth::{session::LoggedIn, totp::Seed};

const TITLE: &str = "Second factor";

type Said = (StatusCode, String, Option<u32>);

/// `GET /auth/account/second-factor`
pub async fn show(visit: &Visit<'_>) -> Result<Reply, Failure> {
    match cookie::session_of(visit).await? {
        Some(who) => page(visit, &who, None),
        None => Ok(to_log_in()),
    }
}

fn page(visit: &Visit<'_>, who: &LoggedIn, said: Option<Said>) -> Result<Reply, Failure> {
    let user = &who.user.value;
    let text = said.as_ref().map(|(_, text, _)| text.as_str());
    let has = user.totp.as_ref().is_some_and(|totp| totp.confirmed);
    let content = match visit.auth.waiting_seed(user)? {
        _ if has => managed(who, text),
        Some(seed) => offered(visit, who, &seed, text),
        None => explained(who, text),
    };
    let status = said.as_ref().map_or(StatusCode::OK, |(status, ..)| *status);
    let wait = said.and_then(|(_, _, wait)| wait);
    let page = Page::new(TITLE, content);
    Ok(page.status(status).retry_after(wait).reply(visit))
}

fn back() -> Markup {
    html! { p { a href="/auth/account" { "Back to the account" } } }
}

/// The password once more, before what matters changes.
fn password_field(who: &LoggedIn, wrong: bool) -> Markup {
    html! {
        @if who.user.value.password.is_some() {
            div.field {
                label for="password" { "Your password" }
                input #password type="password" name="password" required maxlength="1000"
                    autocomplete="current-password" aria-invalid=[wrong.then_some("true")]
                    aria-describedby=[wrong.then_some("problem")];
            }
        }
    }
}

fn explained(who: &LoggedIn, text: Option<&str>) -> Markup {
    html! {
        (problem(text, "password"))
        h1 { (TITLE) }
        p { "An authenticator app on your phone shows a new code every 30 seconds. With it turned \
             on, each log-in asks for a code after the password." }
        form method="post" action="/auth/account/second-factor" {
            (csrf(&who.session.value.csrf))
            (password_field(who, text.is_some()))
            div.actions { button type="submit" { "Set up" } }
        }
        (back())
    }
}

fn offered(visit: &Visit<'_>, who: &LoggedIn, seed: &Seed, text: Option<&str>) -> Markup {
    let issuer = &visit.auth.settings().issuer;
    let issuer = issuer
        .split_once("://")
        .map_or(issuer.as_str(), |(_, host)| host);
    let address = seed.address(issuer, &who.user.value.login);
    html! {
        (problem(text, "code"))
        h1 { "Set up your authenticator app" }
        p { "Take a picture of this with the app:" }
        @if let Some(picture) = picture(&address) {
            div.qr role="img" aria-label="QR code with the key for the authenticator app" {
                (PreEscaped(picture))
            }
        }
        p { "or type in this key: " code { (seed.text()) } }
        form method="post" action="/auth/account/second-factor/confirm" {
            (csrf(&who.session.value.csrf))
            div.field {
                label for="code" { "The code that it shows now" }
                input #code.code type="text" name="code" required maxlength="10"
                    inputmode="numeric" autocomplete="one-time-code" autofocus
                    aria-invalid=[text.map(|_| "true")]
                    aria-describedby=[text.map(|_| "problem")];
            }
            div.actions { button type="submit" { "Turn it on" } }
        }
        (back())
    }
}

/// A QR code as a picture that is part of the page.
fn picture(text: &str) -> Option<String> {
    let code = QrCode::new(text).ok()?;
    let picture = code
        .render::<svg::Color<'_>>()
        .min_dimensions(192, 192)
        .build();
    let start = picture.find("<svg")?;
    Some(picture[start..].to_owned())
}

fn managed(who: &LoggedIn, text: Option<&str>) -> Markup {
    let token = &who.session.value.csrf;
    let left = who.user.value.recovery.len();
    html! {
        (problem(text, "password"))
        h1 { (TITLE) }
        p { "It is on. " (left) " recovery codes are left." }
        form method="post" {
            (csrf(token))
            (password_field(who, text.is_some()))
            div.actions {
                button type="submit" formaction="/auth/account/recovery" {
                    "Make new recovery codes"
                }
                button.danger type="submit" formaction="/auth/account/second-factor/off" {
                    "Turn it off"
                }
            }
        }
        (back())
    }
}

/// The page that shows recovery codes, once.
fn codes_page(visit: &Visit<'_>, codes: &[String]) -> Reply {
    let content = html! {
        (layout::notice(Some("The second factor is on.")))
        h1 { "Your recovery codes" }
        p { "Each lets you log in once without your phone. Print them or write them down, and keep \
             them where nobody else finds them. They are shown only now; codes that you had before \
             are not good any more." }
        ul.codes { @for code in codes { li { (code) } } }
        (back())
    };
    Page::new("Your recovery codes", content).reply(visit)
}

/// Who sends a form of this page, after the password if they have one.
async fn sure(
    visit: &Visit<'_>,
    form: &Form,
    asks: bool,
) -> Result<Result<LoggedIn, Reply>, Failure> {
    let Some(who) = cookie::session_of(visit).await? else {
        return Ok(Err(to_log_in()));
    };
    if !form::is_of_session(visit, form, &who) {
        return Ok(Err(form::refused(visit)));
    }
    if asks && who.user.value.password.is_some() {
        let outcome = visit
            .auth
            .confirm_password(&who.user, form.get("password"))
            .await?;
        if let Some(said) = refusal(&outcome, WRONG_PASSWORD) {
            return Ok(Err(page(visit, &who, Some(said))?));
        }
    }
    Ok(Ok(who))
}

/// `POST /auth/account/second-factor`
pub async fn begin(visit: &Visit<'_>, form: &Form) -> Result<Reply, Failure> {
    match sure(visit, form, true).await? {
        Err(page) => Ok(page),
        Ok(who) => {
            visit.auth.new_totp(&who.user.id).await?;
            Ok(see_other("/auth/account/second-factor"))
        }
    }
}

/// `POST /auth/account/second-factor/confirm`
pub async fn confirm(visit: &Visit<'_>, form: &Form) -> Result<Reply, Failure> {
    let who = match sure(visit, form, false).await? {
        Err(page) => return Ok(page),
        Ok(who) => who,
    };
    match visit
        .auth
        .confirm_totp(&who.user.id, form.get("code"))
        .await?
    {
        Some(codes) => Ok(codes_page(visit, &codes)),
        None => {
            let text = "That is not the code of this key. Is the clock of your phone right?";
            let said = (StatusCode::UNPROCESSABLE_ENTITY, text.to_owned(), None);
            page(visit, &who, Some(said))
        }
    }
}

/// `POST /auth/account/second-factor/off`
pub async fn remove(visit: &Visit<'_>, form: &Form) -> Result<Reply, Failure> {
    match sure(visit, form, true).await? {
        Err(page) => Ok(page),
        Ok(who) => {
            visit.auth.remove_totp(&who.user.id).await?;
            Ok(see_other("/auth/account?done=second-factor"))
        }
    }
}

/// `POST /auth/account/recovery`
pub async fn new_codes(visit: &Visit<'_>, form: &Form) -> Result<Reply, Failure> {
    match sure(visit, form, true).await? {
        Err(page) => Ok(page),
        Ok(who)
            if who
                .user
                .value
                .totp
                .as_ref()
                .is_some_and(|totp| totp.confirmed) =>
        {
            let codes = visit.auth.new_recovery_codes(&who.user.id).await?;
            Ok(codes_page(visit, &codes))
        }
        Ok(_) => Ok(see_other("/auth/account/second-factor")),
    }
}

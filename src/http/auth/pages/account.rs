//! The account of who is logged in: apps that they let in, log-ins, password, second factor.

use axum::http::StatusCode;
use maud::{Markup, html};

use super::{
    super::{
        super::{Reply, failure::Failure},
        Visit,
        cookie::{self, Cookie},
    },
    apps, event,
    form::{self, Form, csrf},
    layout::{self, Page, problem, see_other},
    login::{BUSY, mismatch, new_password_fields, refusal},
    to, to_log_in,
};
use crate::{
    audit::{self, Code},
    auth::{
        login::{Outcome, PasswordSet},
        records::Found,
        session::{LoggedIn, Session},
    },
};

/// What a page says after something was done.
const DONE: [(&str, &str); 6] = [
    (
        "password",
        "Your password is changed. All your other log-ins have ended.",
    ),
    ("session", "The log-in has ended."),
    ("sessions", "All your other log-ins have ended."),
    ("app", "The app has no access any more."),
    (
        "apps",
        "All your other log-ins have ended, and no app has access any more.",
    ),
    ("second-factor", "The second factor is turned off."),
];

/// `GET /auth/account`
pub async fn show(visit: &Visit<'_>, query: &Form) -> Result<Reply, Failure> {
    let Some(who) = cookie::session_of(visit).await? else {
        return Ok(to_log_in());
    };
    let done = query.get("done");
    let done = DONE
        .iter()
        .find(|(name, _)| *name == done)
        .map(|(_, text)| *text);
    let apps = apps::list(visit, &who).await?;
    let sessions = visit.auth.sessions(&who.user.id).await?;
    let user = &who.user.value;
    let token = &who.session.value.csrf;
    let content = html! {
        (layout::notice(done))
        h1 { (user.name) }
        dl {
            dt { "Log-in name" } dd { (user.login) }
            @if let Some(email) = &user.email { dt { "E-mail" } dd { (email) } }
            @if !user.roles.is_empty() { dt { "Roles" } dd { (user.roles.join(", ")) } }
        }
        form method="post" action="/auth/logout" {
            (csrf(token))
            button type="submit" { "Log out" }
        }
        h2 { "Apps with access" }
        (apps)
        h2 { "Where you are logged in" }
        (session_list(visit, &who, &sessions))
        h2 { "Password" }
        @if user.password.is_some() {
            p { a href="/auth/account/password" { "Change the password" } }
        } @else {
            p { "You log in through another organization, which keeps your password." }
        }
        h2 { "Second factor" }
        p {
            @if user.totp.as_ref().is_some_and(|totp| totp.confirmed) {
                "Each log-in asks for a code of your authenticator app; "
                (user.recovery.len()) " recovery codes are left. "
            } @else {
                "A password can be stolen. With a second factor, that is not enough to log in. "
            }
            a href="/auth/account/second-factor" { "Set up" }
        }
    };
    Ok(Page::new("Your account", content).wide().reply(visit))
}

fn session_list(visit: &Visit<'_>, who: &LoggedIn, sessions: &[Found<Session>]) -> Markup {
    let token = &who.session.value.csrf;
    let now = visit.auth.now();
    html! {
        form method="post" action="/auth/account/sessions" {
            (csrf(token))
            ul.plain {
                @for session in sessions {
                    li {
                        div.what {
                            strong { (browser(&session.value.agent)) }
                            p.soft {
                                @if !session.value.address.is_empty() {
                                    "from " (session.value.address) ", "
                                }
                                "since " (ago(now - session.value.created))
                                ", last used " (ago(now - session.value.seen))
                            }
                        }
                        @if session.id == who.session.id {
                            span.soft { "This one" }
                        } @else {
                            button.second.small type="submit" name="session" value=(session.id)
                                aria-label={ "End the log-in in "
                                    (browser(&session.value.agent)) } { "End" }
                        }
                    }
                }
            }
            div.actions {
                button.second type="submit" name="all" value="sessions" {
                    "Log out everywhere else"
                }
                button.danger type="submit" name="all" value="apps" {
                    "… and end the access of all apps"
                }
            }
        }
    }
}

/// What a browser is, from its name for itself; the rest of the name says nothing to people.
fn browser(agent: &str) -> String {
    const BROWSERS: [(&str, &str); 5] = [
        ("Edg/", "Edge"),
        ("OPR/", "Opera"),
        ("Firefox/", "Firefox"),
        ("Chrome/", "Chrome"),
        ("Safari/", "Safari"),
    ];
    const SYSTEMS: [(&str, &str); 6] = [
        ("Android", "Android"),
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Windows", "Windows"),
        ("Mac OS", "macOS"),
        ("Linux", "Linux"),
    ];
    let find = |known: &[(&'static str, &'static str)]| {
        let found = known.iter().find(|(mark, _)| agent.contains(mark));
        found.map(|(_, name)| *name)
    };
    match (find(&BROWSERS), find(&SYSTEMS)) {
        (Some(browser), Some(system)) => format!("{browser} on {system}"),
        (Some(name), None) | (None, Some(name)) => name.to_owned(),
        (None, None) => "A browser".to_owned(),
    }
}

/// How long ago something was, in words.
pub fn ago(ms: i64) -> String {
    let minutes = ms.max(0) / 60_000;
    let count = |number: i64, unit: &str| match number {
        1 => format!("1 {unit} ago"),
        _ => format!("{number} {unit}s ago"),
    };
    match minutes {
        0 => "just now".to_owned(),
        1..60 => count(minutes, "minute"),
        60..1_440 => count(minutes / 60, "hour"),
        _ => count(minutes / 1_440, "day"),
    }
}

/// `POST /auth/logout`
pub async fn log_out(visit: &Visit<'_>, form: &Form) -> Result<Reply, Failure> {
    let next = match form.some("request") {
        Some(request) => to("login", request),
        None => "/auth/login".to_owned(),
    };
    let mut reply = see_other(&next);
    if let Some(who) = cookie::session_of(visit).await? {
        if !form::is_of_session(visit, form, &who) {
            return Ok(form::refused(visit));
        }
        visit
            .auth
            .end_session(&who.user.id, &who.session.id)
            .await?;
        let done = (Code::Logout, audit::Outcome::Success);
        event::record(visit, Some(&who.user), None, done, "").await?;
    }
    cookie::clear(visit, &mut reply, Cookie::Session);
    Ok(reply)
}

/// `POST /auth/account/sessions`
pub async fn end_sessions(visit: &Visit<'_>, form: &Form) -> Result<Reply, Failure> {
    let Some(who) = cookie::session_of(visit).await? else {
        return Ok(to_log_in());
    };
    if !form::is_of_session(visit, form, &who) {
        return Ok(form::refused(visit));
    }
    let (user, own) = (&who.user.id, Some(who.session.id.as_str()));
    let done = match (form.get("all"), form.some("session")) {
        ("sessions", _) => {
            visit.auth.end_sessions(user, own, false).await?;
            "sessions"
        }
        ("apps", _) => {
            visit.auth.end_sessions(user, own, true).await?;
            visit.auth.forget_agreed(user).await?;
            "apps"
        }
        (_, Some(session)) => {
            let sessions = visit.auth.sessions(user).await?;
            // Only one of their own: the name of a session is no proof of anything.
            if sessions.iter().any(|own| own.id == session) {
                visit.auth.end_session(user, session).await?;
            }
            "session"
        }
        _ => "",
    };
    Ok(see_other(&format!("/auth/account?done={done}")))
}

/// `GET /auth/account/password`
pub async fn show_password(visit: &Visit<'_>) -> Result<Reply, Failure> {
    match cookie::session_of(visit).await? {
        Some(who) if who.user.value.password.is_some() => Ok(password_page(visit, &who, None)),
        Some(_) => Ok(see_other("/auth/account")),
        None => Ok(to_log_in()),
    }
}

type Said = (StatusCode, String, Option<u32>);

fn password_page(visit: &Visit<'_>, who: &LoggedIn, said: Option<Said>) -> Reply {
    let text = said.as_ref().map(|(_, text, _)| text.as_str());
    let content = html! {
        (problem(text, "old"))
        h1 { "Change the password" }
        p.lead { "All your other log-ins end with it." }
        form method="post" action="/auth/account/password" {
            (csrf(&who.session.value.csrf))
            // For programs that keep passwords.
            input type="text" name="login" value=(who.user.value.login) autocomplete="username"
                readonly hidden;
            div.field {
                label for="old" { "The password that you have" }
                input #old type="password" name="old" required maxlength="1000"
                    autocomplete="current-password" aria-invalid=[text.map(|_| "true")]
                    aria-describedby=[text.map(|_| "problem")];
            }
            (new_password_fields(text))
            div.actions.apart {
                button type="submit" { "Change the password" }
                a href="/auth/account" { "Back to the account" }
            }
        }
    };
    let status = said.as_ref().map_or(StatusCode::OK, |(status, ..)| *status);
    let wait = said.and_then(|(_, _, wait)| wait);
    let page = Page::new("Change the password", content);
    page.status(status).retry_after(wait).reply(visit)
}

/// `POST /auth/account/password`
pub async fn take_password(visit: &Visit<'_>, form: &Form) -> Result<Reply, Failure> {
    let Some(who) = cookie::session_of(visit).await? else {
        return Ok(to_log_in());
    };
    if !form::is_of_session(visit, form, &who) {
        return Ok(form::refused(visit));
    }
    let said = |outcome: &Outcome| refusal(outcome, WRONG_PASSWORD);
    if let Some(why) = mismatch(form) {
        let said = said(&Outcome::Unacceptable(why));
        return Ok(password_page(visit, &who, said));
    }
    let confirmed = visit
        .auth
        .confirm_password(&who.user, form.get("old"))
        .await?;
    if let Some(said) = said(&confirmed) {
        return Ok(password_page(visit, &who, Some(said)));
    }
    let said = match visit.auth.set_password(&who.user, form.get("new")).await? {
        PasswordSet::Unacceptable(why) => said(&Outcome::Unacceptable(why)),
        PasswordSet::Busy => Some((StatusCode::SERVICE_UNAVAILABLE, BUSY.to_owned(), Some(3))),
        PasswordSet::Done => None,
    };
    if said.is_some() {
        return Ok(password_page(visit, &who, said));
    }
    let own = Some(who.session.id.as_str());
    visit.auth.end_sessions(&who.user.id, own, false).await?;
    Ok(see_other("/auth/account?done=password"))
}

/// What is said of a wrong password of somebody who is logged in.
pub const WRONG_PASSWORD: &str = "That is not the password that you have.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browsers_and_times_are_said_in_words() {
        let chrome = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) \
                      Chrome/150.0.0.0 Safari/537.36";
        assert_eq!(browser(chrome), "Chrome on Linux");
        assert_eq!(browser("<b>curl</b>"), "A browser");
        for (ms, words) in [
            (-5, "just now"),
            (60_000, "1 minute ago"),
            (7_200_000, "2 hours ago"),
            (172_800_000, "2 days ago"),
        ] {
            assert_eq!(ago(ms), words);
        }
    }
}

//! Log-in: name and password, and what may come after them.

use axum::http::StatusCode;
use maud::{Markup, html};

use super::{
    super::{
        super::{Reply, failure::Failure},
        Visit,
        cookie::{self, Cookie},
    },
    event, federated,
    form::{self, Binding, Form, csrf},
    layout::{self, Page, problem, see_other},
    to, waiting,
};
use crate::{
    audit::{self, Code},
    auth::{
        login::{Need, Outcome},
        records::Found,
        request::Pending,
        user::{self, User},
    },
};

/// One sentence for all that can be wrong, so that it says nothing about who has an account.
const WRONG: &str = "The log-in name or the password is not right.";
const WRONG_CODE: &str = "The code is not right, or was used before.";
pub const BUSY: &str = "Too many people log in at the moment. Try again in a few seconds.";

/// `GET /auth/login`
pub async fn show(visit: &Visit<'_>, query: &Form) -> Result<Reply, Failure> {
    let name = query.some("request");
    let asked = match name {
        None => None,
        Some(name) => match waiting(visit, name).await? {
            None => return Ok(super::over(visit)),
            found => found,
        },
    };
    if let Some(who) = cookie::session_of(visit).await? {
        let request = asked.as_ref().map(|(request, _)| &request.value);
        let session = &who.session.value;
        match (name, request) {
            (Some(name), Some(request)) if !wants_anew(visit, request, session) => {
                return Ok(see_other(&to("consent", name)));
            }
            (None, _) => return Ok(see_other("/auth/account")),
            _ => {}
        }
    }
    let hint = asked
        .as_ref()
        .and_then(|(request, _)| request.value.login_hint.as_deref());
    let page = Shown {
        request: name,
        login: hint.unwrap_or(""),
        ..Shown::default()
    };
    page.reply(visit).await
}

/// Whether the app wants a log-in or a choice of account of its own.
fn wants_anew(
    visit: &Visit<'_>,
    request: &Pending,
    session: &crate::auth::session::Session,
) -> bool {
    let selects = request.prompt.iter().any(|word| word == "select_account");
    request.needs_log_in(session, visit.auth.now())
        || (selects && session.created < request.created)
}

/// The form as it is shown: what was typed before, and what was wrong with it.
#[derive(Default)]
struct Shown<'f> {
    request: Option<&'f str>,
    login: &'f str,
    problem: Option<String>,
    notice: Option<&'f str>,
    status: StatusCode,
    wait: Option<u32>,
}

impl Shown<'_> {
    async fn reply(self, visit: &Visit<'_>) -> Result<Reply, Failure> {
        let asked = match self.request {
            None => None,
            Some(name) => waiting(visit, name).await?,
        };
        let binding = Binding::of(visit)?;
        let token = binding.token();
        let problem_text = self.problem.as_deref();
        let content = html! {
            (problem(problem_text, "login"))
            (layout::notice(self.notice))
            h1 { "Log in" }
            @if let Some((_, client)) = &asked {
                p.lead { "to go on to " (layout::app(&client.value)) "." }
            }
            form method="post" action="/auth/login" {
                (csrf(&token))
                (hidden_request(self.request))
                div.field {
                    label for="login" { "Log-in name" }
                    input #login type="text" name="login" value=(self.login) required
                        maxlength="100" autocomplete="username" autocapitalize="none"
                        spellcheck="false" autofocus[self.login.is_empty()]
                        aria-invalid=[problem_text.map(|_| "true")]
                    aria-describedby=[problem_text.map(|_| "problem")];
                }
                div.field {
                    label for="password" { "Password" }
                    input #password type="password" name="password" required maxlength="1000"
                        autocomplete="current-password" autofocus[!self.login.is_empty()]
                        aria-invalid=[problem_text.map(|_| "true")]
                    aria-describedby=[problem_text.map(|_| "problem")];
                }
                div.actions.apart {
                    button type="submit" { "Log in" }
                    a href="/auth/forgot" { "Forgot the password?" }
                }
            }
            (federated::ways(visit, self.request))
        };
        let page = Page::new("Log in", content)
            .status(self.status)
            .retry_after(self.wait)
            .leading_to(asked.as_ref().map(|(request, _)| &request.value));
        Ok(binding.set(visit, page.reply(visit)))
    }
}

fn hidden_request(request: Option<&str>) -> Markup {
    html! {
        @if let Some(request) = request {
            input type="hidden" name="request" value=(request);
        }
    }
}

/// `POST /auth/login`
pub async fn take(visit: &Visit<'_>, form: &Form) -> Result<Reply, Failure> {
    if form::bound(visit, form).is_none() {
        return Ok(form::refused(visit));
    }
    let request = form.some("request");
    let login = form.get("login");
    let visitor = form::visitor(visit);
    let outcome = visit
        .auth
        .log_in(
            (login, form.get("password")),
            request.map(str::to_owned),
            &visitor,
        )
        .await?;
    note_failure(visit, &outcome, Some(login)).await?;
    let shown = Shown {
        request,
        login,
        ..Shown::default()
    };
    match refusal(&outcome, WRONG) {
        None => go_on(visit, outcome).await,
        Some((status, text, wait)) => {
            let shown = Shown {
                problem: Some(text),
                status,
                wait,
                ..shown
            };
            shown.reply(visit).await
        }
    }
}

/// Records an attempt that did not succeed; whose it was, if there is somebody of the name.
async fn note_failure(
    visit: &Visit<'_>,
    outcome: &Outcome,
    login: Option<&str>,
) -> Result<(), Failure> {
    if !matches!(outcome, Outcome::Wrong) {
        return Ok(());
    }
    let user = match login {
        Some(login) => user::by_login(visit.auth.records(), login).await?,
        None => None,
    };
    let what = if login.is_some() { "pwd" } else { "otp" };
    let done = (Code::LoginFailed, audit::Outcome::Serious);
    event::record(visit, user.as_ref(), None, done, what).await
}

/// What a page says when a step did not go well: status, sentence and seconds to wait.
pub fn refusal(outcome: &Outcome, wrong: &str) -> Option<(StatusCode, String, Option<u32>)> {
    Some(match outcome {
        Outcome::Wrong => (StatusCode::UNAUTHORIZED, wrong.to_owned(), None),
        Outcome::Unacceptable(why) => (StatusCode::UNPROCESSABLE_ENTITY, (*why).to_owned(), None),
        Outcome::Busy => (StatusCode::SERVICE_UNAVAILABLE, BUSY.to_owned(), Some(3)),
        Outcome::Wait(seconds) => (
            StatusCode::TOO_MANY_REQUESTS,
            format!(
                "There were too many attempts. Try again in {}.",
                duration(*seconds)
            ),
            Some(*seconds),
        ),
        Outcome::Needs(..) | Outcome::In(_) | Outcome::Gone => return None,
    })
}

fn duration(seconds: u32) -> String {
    match seconds {
        0 | 1 => "a second".to_owned(),
        2..=90 => format!("{seconds} seconds"),
        _ => format!("{} minutes", seconds.div_ceil(60)),
    }
}

/// The next page after a step that went well.
pub async fn go_on(visit: &Visit<'_>, outcome: Outcome) -> Result<Reply, Failure> {
    Ok(match outcome {
        Outcome::Needs(need, cookie) => {
            let page = match need {
                Need::Code => "/auth/code",
                Need::Password => "/auth/new-password",
            };
            let mut reply = see_other(page);
            cookie::set(visit, &mut reply, Cookie::Form, &cookie);
            reply
        }
        Outcome::In(entered) => {
            let user = &entered.session.value.user;
            let user = visit.auth.records().get::<User>(user).await?;
            let how = entered.session.value.amr.join(" ");
            let done = (Code::Login, audit::Outcome::Success);
            event::record(visit, Some(&user), None, done, &how).await?;
            let next = entered.request.as_deref();
            let next = next.map_or("/auth/account".to_owned(), |name| to("consent", name));
            let mut reply = see_other(&next);
            cookie::set(visit, &mut reply, Cookie::Session, &entered.cookie);
            cookie::set(visit, &mut reply, Cookie::Device, &entered.device);
            cookie::clear(visit, &mut reply, Cookie::Form);
            reply
        }
        _ => see_other("/auth/login"),
    })
}

/// `GET /auth/code` and `GET /auth/new-password`: the step for which the log-in waits.
pub async fn show_step(visit: &Visit<'_>) -> Result<Reply, Failure> {
    let begun = match cookie::get(visit, Cookie::Form) {
        Some(cookie) => visit.auth.begun(cookie).await?,
        None => None,
    };
    match begun {
        None => Ok(see_other("/auth/login")),
        Some((need, request)) => step_page(visit, need, request.as_deref(), None).await,
    }
}

type Said = (StatusCode, String, Option<u32>);

async fn step_page(
    visit: &Visit<'_>,
    need: Need,
    request: Option<&str>,
    said: Option<Said>,
) -> Result<Reply, Failure> {
    let pending = match request {
        Some(name) => visit.auth.request(name).await?,
        None => None,
    };
    let pending = pending.as_ref().map(|found: &Found<Pending>| &found.value);
    let token = Binding::of(visit)?.token();
    let text = said.as_ref().map(|(_, text, _)| text.as_str());
    let page = match need {
        Need::Code => Page::new("Second factor", code_form(&token, text)),
        Need::Password => Page::new("Choose a password", password_form(&token, text)),
    };
    let status = said.as_ref().map_or(StatusCode::OK, |(status, ..)| *status);
    let wait = said.as_ref().and_then(|(_, _, wait)| *wait);
    let page = page.status(status).retry_after(wait).leading_to(pending);
    Ok(page.reply(visit))
}

fn code_form(token: &str, text: Option<&str>) -> Markup {
    html! {
        (problem(text, "code"))
        h1 { "Enter the code" }
        p.lead { "Your authenticator app shows a code of six digits." }
        form method="post" action="/auth/code" {
            (csrf(token))
            div.field {
                label for="code" { "Code"
                    span.hint { "Without your phone: one of your recovery codes." } }
                input #code.code type="text" name="code" required maxlength="40"
                    autocomplete="one-time-code" autocapitalize="none" spellcheck="false"
                    autofocus aria-invalid=[text.map(|_| "true")]
                    aria-describedby=[text.map(|_| "problem")];
            }
            div.actions.apart {
                button type="submit" { "Go on" }
                a href="/auth/login" { "Log in as somebody else" }
            }
        }
    }
}

fn password_form(token: &str, text: Option<&str>) -> Markup {
    html! {
        (problem(text, "new"))
        h1 { "Choose a password of your own" }
        p.lead { "The one that you used was given to you by somebody else." }
        form method="post" action="/auth/new-password" {
            (csrf(token))
            (new_password_fields(text))
            div.actions { button type="submit" { "Set the password" } }
        }
    }
}

/// A new password, twice.
pub fn new_password_fields(problem: Option<&str>) -> Markup {
    html! {
        div.field {
            label for="new" { "New password"
                span.hint { "At least 12 characters. A few words that you can remember are \
                             better than signs that you cannot." } }
            input #new type="password" name="new" required minlength="12" maxlength="200"
                autocomplete="new-password" aria-invalid=[problem.map(|_| "true")]
                    aria-describedby=[problem.map(|_| "problem")];
        }
        div.field {
            label for="again" { "The same once more" }
            input #again type="password" name="again" required minlength="12" maxlength="200"
                autocomplete="new-password";
        }
    }
}

/// What is wrong with a new password that was typed twice.
pub fn mismatch(form: &Form) -> Option<&'static str> {
    (form.get("new") != form.get("again")).then_some("The two passwords are not the same.")
}

/// The app's request that the log-in with this cookie began for.
async fn request_of(visit: &Visit<'_>, cookie: &str) -> Result<Option<String>, Failure> {
    let begun = visit.auth.begun(cookie).await?;
    Ok(begun.and_then(|(_, request)| request))
}

/// `POST /auth/code`
pub async fn take_code(visit: &Visit<'_>, form: &Form) -> Result<Reply, Failure> {
    let Some(cookie) = form::bound(visit, form) else {
        return Ok(form::refused(visit));
    };
    let request = request_of(visit, cookie).await?;
    let visitor = form::visitor(visit);
    let outcome = visit
        .auth
        .second_factor(cookie, form.get("code"), &visitor)
        .await?;
    note_failure(visit, &outcome, None).await?;
    match refusal(&outcome, WRONG_CODE) {
        None => again_or_on(visit, outcome, request.as_deref()).await,
        said => step_page(visit, Need::Code, request.as_deref(), said).await,
    }
}

/// `POST /auth/new-password`
pub async fn take_password(visit: &Visit<'_>, form: &Form) -> Result<Reply, Failure> {
    let Some(cookie) = form::bound(visit, form) else {
        return Ok(form::refused(visit));
    };
    let request = request_of(visit, cookie).await?;
    let visitor = form::visitor(visit);
    let outcome = match mismatch(form) {
        Some(why) => Outcome::Unacceptable(why),
        None => {
            let new = form.get("new");
            visit.auth.first_password(cookie, new, &visitor).await?
        }
    };
    match refusal(&outcome, "") {
        None => again_or_on(visit, outcome, request.as_deref()).await,
        said => step_page(visit, Need::Password, request.as_deref(), said).await,
    }
}

/// A log-in that is gone begins anew, for the same request.
async fn again_or_on(
    visit: &Visit<'_>,
    outcome: Outcome,
    request: Option<&str>,
) -> Result<Reply, Failure> {
    match (outcome, request) {
        (Outcome::Gone, Some(request)) => Ok(see_other(&to("login", request))),
        (outcome, _) => go_on(visit, outcome).await,
    }
}

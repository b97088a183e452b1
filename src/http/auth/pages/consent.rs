//! Consent: what an app asks for in plain words; the user may leave out and narrow, and agrees or
//! not. What comes back from the page cannot widen anything: `Auth::approve` looks at it again.

use axum::http::StatusCode;
use maud::{Markup, html};

use super::{
    super::{
        super::{Reply, failure::Failure},
        Visit,
    },
    Asked, asked, event,
    form::{self, Form, csrf},
    layout::{self, Page, problem, see_other},
    patient, record, to, words,
};
use crate::{
    access::Access,
    audit::{Code, Outcome},
    auth::{
        AuthError,
        code::Choice,
        refusal::OAuthError,
        scope::{ResourceScope, Scope, Scopes},
        selection::Selection,
    },
};

/// `GET /auth/consent`
pub async fn show(visit: &Visit<'_>, query: &Form) -> Result<Reply, Failure> {
    match asked(visit, query.get("request")).await? {
        Err(page) => Ok(page),
        Ok(asked) => step(visit, &asked).await,
    }
}

/// What comes next on the way to an answer: the choice of a patient, of an encounter, the page,
/// or the answer itself, if nothing is to be asked.
async fn step(visit: &Visit<'_>, asked: &Asked) -> Result<Reply, Failure> {
    let user = &asked.who.user;
    if is_for_another(asked) {
        return Ok(another(visit, asked));
    }
    let scopes = grantable(visit, asked).await?;
    if scopes.resources().next().is_none() && !scopes.has(&Scope::OpenId) {
        return Ok(nothing(visit, asked));
    }
    let silent = asked.request.value.prompt.iter().any(|word| word == "none");
    let access = record::access(visit, user).await?;
    let selection = match selected(visit, asked, &scopes, &access).await? {
        Ok(selection) => selection,
        Err(_) if silent => return unasked(visit, asked, "interaction_required").await,
        Err(page) => return Ok(page),
    };
    if let Some(granted) = agreed(visit, asked, &scopes).await? {
        let choice = choice_of(granted, &selection);
        return answer(visit, asked, choice).await;
    }
    if silent {
        return unasked(visit, asked, "consent_required").await;
    }
    page(visit, asked, (&scopes, &selection), &access, None).await
}

async fn grantable(visit: &Visit<'_>, asked: &Asked) -> Result<Scopes, Failure> {
    let (client, user) = (&asked.client.value, &asked.who.user.value);
    let scopes = asked.request.value.asked();
    Ok(visit.auth.grantable(&scopes, client, user).await?)
}

/// Whether an EHR launched the app for somebody else.
fn is_for_another(asked: &Asked) -> bool {
    let launch = asked.request.value.launch.as_ref();
    let user = launch.and_then(|(_, user)| user.as_ref());
    user.is_some_and(|user| *user != asked.who.user.id)
}

fn another(visit: &Visit<'_>, asked: &Asked) -> Reply {
    let content = html! {
        h1 { "Somebody else opened this app" }
        p { "You are logged in as " strong { (asked.who.user.value.name) }
            ", but the app was opened by another user. Log out and log in as that user, or open \
             the app again." }
        form method="post" action="/auth/logout" {
            (csrf(&asked.who.session.value.csrf))
            input type="hidden" name="request" value=(asked.name);
            div.actions { button type="submit" { "Log out and in again" } }
        }
        (patient::refuse_form(asked))
    };
    let page = Page::new("Somebody else opened this app", content);
    page.status(StatusCode::FORBIDDEN)
        .leading_to(Some(&asked.request.value))
        .reply(visit)
}

fn nothing(visit: &Visit<'_>, asked: &Asked) -> Reply {
    let content = html! {
        h1 { "Nothing to share" }
        p { (layout::app(&asked.client.value)) " asks for nothing that your account, "
            strong { (asked.who.user.value.login) } ", may see or do." }
        (patient::refuse_form(asked))
    };
    Page::new("Nothing to share", content)
        .status(StatusCode::FORBIDDEN)
        .leading_to(Some(&asked.request.value))
        .reply(visit)
}

/// The patient and the encounter, or the page on which they are chosen.
async fn selected(
    visit: &Visit<'_>,
    asked: &Asked,
    scopes: &Scopes,
    access: &Access,
) -> Result<Result<Selection, Reply>, Failure> {
    let context = &asked.request.value.context;
    let session = &asked.who.session;
    let mut selection = visit.auth.selection(&asked.request, session).await?;
    if context.patient.is_none() && selection.patient.is_none() && scopes.needs_patient() {
        let own = patient::own(visit, asked, access).await?;
        match own.as_slice() {
            [only] if !patient::may_search(access) => {
                selection.patient = Some(only.id.clone());
                let kept = selection.clone();
                visit.auth.select(&asked.request, session, kept).await?;
            }
            _ => return Ok(Err(see_other(&to("patient", &asked.name)))),
        }
    }
    let wants_encounter = scopes.has(&Scope::LaunchContext("encounter".to_owned(), None));
    if wants_encounter && context.encounter.is_none() && !selection.encounter_asked {
        return Ok(Err(see_other(&to("encounter", &asked.name))));
    }
    Ok(Ok(selection))
}

/// What is granted without asking: everything for the hospital's own programs, and what the user
/// agreed to before.
async fn agreed(
    visit: &Visit<'_>,
    asked: &Asked,
    scopes: &Scopes,
) -> Result<Option<Scopes>, Failure> {
    let request = &asked.request.value;
    if request.prompt.iter().any(|word| word == "consent") {
        return Ok(None);
    }
    if asked.client.value.trusted {
        return Ok(Some(scopes.clone()));
    }
    if !is_the_app(&request.redirect_uri) {
        return Ok(None);
    }
    let user = &asked.who.user.id;
    Ok(visit.auth.agreed(user, &asked.client.id, scopes).await?)
}

/// Whether only the app itself gets what is sent there. Any program on a computer may take a
/// scheme or a port of its own (RFC 8252, section 8.6).
fn is_the_app(redirect_uri: &str) -> bool {
    redirect_uri.starts_with("https://")
}

async fn unasked(visit: &Visit<'_>, asked: &Asked, code: &'static str) -> Result<Reply, Failure> {
    let error = OAuthError::new(
        code,
        "The user has to be asked, and prompt=none forbids it.",
    );
    let url = visit.auth.fail(&asked.request, &error).await?;
    Ok(see_other(&url))
}

/// `POST /auth/consent`
pub async fn take(visit: &Visit<'_>, form: &Form) -> Result<Reply, Failure> {
    let asked = match asked(visit, form.get("request")).await? {
        Err(page) => return Ok(page),
        Ok(asked) => asked,
    };
    if !form::is_of_session(visit, form, &asked.who) {
        return Ok(form::refused(visit));
    }
    if form.get("answer") != "allow" {
        note(visit, &asked, Outcome::Minor).await?;
        return match visit.auth.deny(&asked.request).await {
            Ok(url) => Ok(see_other(&url)),
            Err(AuthError::Conflict) => Ok(super::over(visit)),
            Err(error) => Err(error.into()),
        };
    }
    let scopes = grantable(visit, &asked).await?;
    let access = record::access(visit, &asked.who.user).await?;
    let selection = match selected(visit, &asked, &scopes, &access).await? {
        Ok(selection) => selection,
        Err(page) => return Ok(page),
    };
    let ticked = ticked(form, &scopes);
    if ticked.resources().next().is_none() && !ticked.has(&Scope::OpenId) {
        let text = "Leave at least one box ticked, or refuse.";
        return page(visit, &asked, (&scopes, &selection), &access, Some(text)).await;
    }
    if form.some("remember").is_some() && is_the_app(&asked.request.value.redirect_uri) {
        let user = &asked.who.user.id;
        visit
            .auth
            .remember(user, &asked.client.id, (&scopes, &ticked))
            .await?;
    }
    answer(visit, &asked, choice_of(ticked, &selection)).await
}

fn choice_of(scopes: Scopes, selection: &Selection) -> Choice {
    Choice {
        scopes,
        patient: selection.patient.clone(),
        encounter: selection.encounter.clone(),
    }
}

/// Records that the app was let in, or was not.
async fn note(visit: &Visit<'_>, asked: &Asked, outcome: Outcome) -> Result<(), Failure> {
    let (user, client) = (Some(&asked.who.user), Some(asked.client.id.as_str()));
    event::record(visit, user, client, (Code::Authorization, outcome), "").await
}

async fn answer(visit: &Visit<'_>, asked: &Asked, choice: Choice) -> Result<Reply, Failure> {
    match visit
        .auth
        .approve(&asked.request, &asked.who.session, choice)
        .await
    {
        Ok(url) => {
            note(visit, asked, Outcome::Success).await?;
            Ok(see_other(&url))
        }
        Err(AuthError::Conflict) => Ok(super::over(visit)),
        Err(AuthError::Invalid(why)) => {
            let page = layout::message("This cannot be", &why, patient::refuse_form(asked));
            let page = page.status(StatusCode::UNPROCESSABLE_ENTITY);
            Ok(page.leading_to(Some(&asked.request.value)).reply(visit))
        }
        Err(error) => Err(error.into()),
    }
}

/// What was left ticked: each scope whole, or the parts of it that were ticked in its place. The
/// launch context is part of what was chosen before.
fn ticked(form: &Form, scopes: &Scopes) -> Scopes {
    let is_on = |name: &str, text: &str| form.all(name).any(|value| value == text);
    let mut ticked = Vec::new();
    for scope in &scopes.0 {
        let text = scope.to_string();
        match scope {
            Scope::Launch | Scope::LaunchContext(..) => ticked.push(scope.clone()),
            _ if !is_on("scope", &text) => {}
            Scope::Resource(whole) => {
                let parts = words::parts(whole).into_iter().map(|(part, _)| part);
                let chosen: Vec<Scope> = parts
                    .filter(|part| is_on("part", &part.to_string()))
                    .map(Scope::Resource)
                    .collect();
                if chosen.is_empty() {
                    ticked.push(scope.clone());
                }
                ticked.extend(chosen);
            }
            other => ticked.push(other.clone()),
        }
    }
    Scopes(ticked)
}

async fn page(
    visit: &Visit<'_>,
    asked: &Asked,
    (scopes, selection): (&Scopes, &Selection),
    access: &Access,
    wrong: Option<&str>,
) -> Result<Reply, Failure> {
    let context = &asked.request.value.context;
    let id = context.patient.as_ref().or(selection.patient.as_ref());
    let shown = match id {
        Some(id) if scopes.needs_patient() => record::patient(visit, id, access).await?,
        _ => None,
    };
    let own = asked.who.user.value.patients(visit.auth.now()).len();
    let could_be_another = context.patient.is_none() && (own > 1 || patient::may_search(access));
    let days = visit.auth.settings().offline_days;
    let user = &asked.who.user.value;
    let remembers = is_the_app(&asked.request.value.redirect_uri);
    let content = html! {
        (problem(wrong, "scope-0"))
        h1 { "Let " (asked.client.value.name) " in?" }
        p.lead { (layout::app(&asked.client.value)) " asks for access. You are "
            strong { (user.name) } " (" (user.login) ")." }
        @if let Some(shown) = &shown {
            div.box {
                p { "The record of " strong { (shown.name) }
                    @if !shown.details.is_empty() { ", " (shown.details) }
                    @if could_be_another { " · " a href=(to("patient", &asked.name)) { "Choose another" } } }
            }
        }
        form method="post" action="/auth/consent" {
            (csrf(&asked.who.session.value.csrf))
            input type="hidden" name="request" value=(asked.name);
            (resource_choices(scopes))
            (other_choices(scopes, days))
            @if !scopes.has(&Scope::OfflineAccess) {
                p.soft { "The access ends when you log out of this server or end it on your \
                          account page." }
            }
            @if remembers {
                div.choice {
                    input #remember type="checkbox" name="remember" value="1";
                    label for="remember" { "Do not ask me again while the app asks for no more"
                        span.hint { "For half a year, or until you end its access." } }
                }
            }
            div.actions {
                button type="submit" name="answer" value="allow" { "Allow" }
                button.second type="submit" name="answer" value="deny" { "Do not allow" }
            }
        }
    };
    let status = match wrong {
        Some(_) => StatusCode::UNPROCESSABLE_ENTITY,
        None => StatusCode::OK,
    };
    let page = Page::new("Let an app in?", content).status(status);
    Ok(page.leading_to(Some(&asked.request.value)).reply(visit))
}

fn resource_choices(scopes: &Scopes) -> Markup {
    let resources: Vec<&ResourceScope> = scopes.resources().collect();
    html! {
        @if !resources.is_empty() {
            fieldset {
                legend { "What it may see and do" }
                p.soft { "Take the tick from what you do not want to share." }
                @for (at, scope) in resources.iter().enumerate() {
                    (resource_choice(at, scope))
                }
            }
        }
    }
}

fn resource_choice(at: usize, scope: &ResourceScope) -> Markup {
    let parts = words::parts(scope);
    let id = format!("scope-{at}");
    html! {
        div.choice {
            input id=(id) type="checkbox" name="scope" value=(scope) checked;
            label for=(id) {
                (words::kind(scope.kind))
                span.hint {
                    "May " (words::rights(scope))
                    @if scope.kind.is_some() { " them " } @else { " all of it " }
                    (words::level(scope))
                    @if let Some(only) = words::constraints(scope) { ", " (only) }
                    "."
                }
            }
            @if !parts.is_empty() {
                details {
                    summary { "Only a part of it" }
                    p.soft { "If you tick nothing here, it is all of it." }
                    div.parts role="group" aria-label={ "Parts of: " (words::kind(scope.kind)) } {
                        @for (number, (part, words)) in parts.iter().enumerate() {
                            div.part {
                                input id={ (id) "-" (number) } type="checkbox" name="part"
                                    value=(part);
                                label for={ (id) "-" (number) } { (words) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn other_choices(scopes: &Scopes, days: u32) -> Markup {
    let others: Vec<(&Scope, (String, String))> = scopes
        .0
        .iter()
        .filter_map(|scope| Some((scope, words::other(scope, days)?)))
        .collect();
    html! {
        @if !others.is_empty() {
            fieldset {
                legend { "Besides that it may" }
                @for (at, (scope, (what, follows))) in others.iter().enumerate() {
                    div.choice {
                        input id={ "other-" (at) } type="checkbox" name="scope" value=(scope)
                            checked;
                        label for={ "other-" (at) } { (what) span.hint { (follows) } }
                    }
                }
            }
        }
    }
}

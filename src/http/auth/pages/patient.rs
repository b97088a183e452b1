//! The choice of the patient whose record an app is to work with.

use axum::http::StatusCode;
use maud::{Markup, html};
use resources::model::ResourceType;

use super::{
    super::{
        super::{Reply, failure::Failure},
        Visit,
    },
    Asked, asked,
    form::{self, Form, csrf},
    layout::{self, Page, problem, see_other},
    record::{self, Listed, Shown},
    to,
};
use crate::{
    access::{Access, Decision},
    auth::selection::Selection,
};

/// Patients of a page of the list.
const PAGE: &str = "20";
/// The fields of the search, which are search parameters of R4.
const FIELDS: [&str; 3] = ["name", "identifier", "birthdate"];

/// `GET /auth/patient`
pub async fn show(visit: &Visit<'_>, query: &Form) -> Result<Reply, Failure> {
    match asked(visit, query.get("request")).await? {
        Err(page) => Ok(page),
        Ok(asked) => choice(visit, &asked, query, None).await,
    }
}

/// `POST /auth/patient`: a search, or the choice. What is searched for stands in no address.
pub async fn take(visit: &Visit<'_>, form: &Form) -> Result<Reply, Failure> {
    let asked = match asked(visit, form.get("request")).await? {
        Err(page) => return Ok(page),
        Ok(asked) => asked,
    };
    if !form::is_of_session(visit, form, &asked.who) {
        return Ok(form::refused(visit));
    }
    let Some(patient) = form.some("patient") else {
        return choice(visit, &asked, form, None).await;
    };
    if !visit
        .auth
        .may_choose(&asked.who.user.value, patient)
        .await?
    {
        let text = "There is no such patient among those whose record you may open.";
        return choice(visit, &asked, form, Some(text)).await;
    }
    let selection = Selection {
        patient: Some(patient.to_owned()),
        ..Selection::default()
    };
    let request = &asked.request;
    visit
        .auth
        .select(request, &asked.who.session, selection)
        .await?;
    Ok(see_other(&to("consent", &asked.name)))
}

/// The patients whom the user is or acts for, as far as they are there.
pub async fn own(visit: &Visit<'_>, asked: &Asked, access: &Access) -> Result<Vec<Shown>, Failure> {
    let mut own = Vec::new();
    for id in asked.who.user.value.patients(visit.auth.now()) {
        own.extend(record::patient(visit, &id, access).await?);
    }
    Ok(own)
}

/// Whether the user's access goes beyond the patients whom they are or act for.
pub fn may_search(access: &Access) -> bool {
    let Decision::Granted(grants) = access.decision() else {
        return true;
    };
    let reaches =
        |kind: Option<ResourceType>| kind.is_none_or(|kind| kind == ResourceType::PATIENT);
    grants
        .rules()
        .iter()
        .any(|rule| rule.patients.is_empty() && rule.constraints.is_empty() && reaches(rule.kind))
}

async fn choice(
    visit: &Visit<'_>,
    asked: &Asked,
    form: &Form,
    wrong: Option<&str>,
) -> Result<Reply, Failure> {
    let access = record::access(visit, &asked.who.user).await?;
    let own = own(visit, asked, &access).await?;
    let searches = may_search(&access);
    let (found, wrong) = match (searches, wrong) {
        (false, wrong) => (None, wrong.map(str::to_owned)),
        (true, Some(wrong)) => (None, Some(wrong.to_owned())),
        (true, None) => match find(visit, form, &access).await? {
            Ok(found) => (found, None),
            Err(wrong) => (None, Some(wrong)),
        },
    };
    let status = if wrong.is_some() {
        StatusCode::UNPROCESSABLE_ENTITY
    } else {
        StatusCode::OK
    };
    let content = html! {
        (problem(wrong.as_deref(), if searches { "name" } else { "main" }))
        h1 { "Whose record?" }
        p.lead { (layout::app(&asked.client.value)) " works with the record of one patient." }
        @if !own.is_empty() {
            h2 { "Yourself and those for whom you act" }
            (list(asked, &own))
        }
        @if searches {
            h2 { "Find a patient" }
            (search_form(asked, form))
            @if let Some(found) = &found { (results(asked, form, found)) }
        } @else if own.is_empty() {
            div.box { p { "There is no patient whose record you may open with this account. Ask \
                           whoever manages this server." } }
        }
        (refuse_form(asked))
    };
    let page = Page::new("Whose record?", content).wide().status(status);
    Ok(page.leading_to(Some(&asked.request.value)).reply(visit))
}

/// The way out of every page about a request.
pub fn refuse_form(asked: &Asked) -> Markup {
    html! {
        form method="post" action="/auth/consent" {
            (csrf(&asked.who.session.value.csrf))
            input type="hidden" name="request" value=(asked.name);
            div.actions {
                button.second type="submit" name="answer" value="deny" { "Cancel" }
            }
        }
    }
}

fn hidden(asked: &Asked) -> Markup {
    html! {
        (csrf(&asked.who.session.value.csrf))
        input type="hidden" name="request" value=(asked.name);
    }
}

fn search_form(asked: &Asked, form: &Form) -> Markup {
    html! {
        form method="post" action="/auth/patient" role="search" {
            (hidden(asked))
            input type="hidden" name="search" value="1";
            div.search {
                div.field {
                    label for="name" { "Name" }
                    input #name type="search" name="name" value=(form.get("name"))
                        maxlength="100" autocomplete="off" autofocus;
                }
                div.field {
                    label for="identifier" { "Number" }
                    input #identifier type="search" name="identifier" maxlength="100"
                        value=(form.get("identifier")) autocomplete="off";
                }
                div.field {
                    label for="birthdate" { "Date of birth" }
                    input #birthdate type="date" name="birthdate" value=(form.get("birthdate"))
                        autocomplete="off";
                }
            }
            button type="submit" { "Search" }
        }
    }
}

fn results(asked: &Asked, form: &Form, found: &Listed) -> Markup {
    html! {
        h2 #results { "Found" }
        @if found.shown.is_empty() {
            p role="status" { "Nobody whose record you may open matches." }
        }
        (list(asked, &found.shown))
        @if let Some(next) = &found.next {
            form method="post" action="/auth/patient" {
                (hidden(asked))
                input type="hidden" name="search" value="1";
                input type="hidden" name="page" value=(next);
                @for field in FIELDS {
                    input type="hidden" name=(field) value=(form.get(field));
                }
                div.actions { button.second type="submit" { "More" } }
            }
        }
    }
}

fn list(asked: &Asked, patients: &[Shown]) -> Markup {
    html! {
        @if !patients.is_empty() {
            form method="post" action="/auth/patient" {
                (hidden(asked))
                (record::choices("patient", patients))
            }
        }
    }
}

/// What a search finds; `None` if there is none, a sentence if it cannot be done.
async fn find(
    visit: &Visit<'_>,
    form: &Form,
    access: &Access,
) -> Result<Result<Option<Listed>, String>, Failure> {
    if form.some("search").is_none() {
        return Ok(Ok(None));
    }
    let named = FIELDS.iter().filter_map(|field| {
        let value = form.get(field).trim();
        (!value.is_empty()).then(|| ((*field).to_owned(), escaped(value)))
    });
    let mut params: Vec<(String, String)> = named.collect();
    if params.is_empty() {
        return Ok(Err("Give a name, a number or a date of birth.".to_owned()));
    }
    params.push(("_count".to_owned(), PAGE.to_owned()));
    params.push(("_sort".to_owned(), "family,given".to_owned()));
    params.push(("_total".to_owned(), "none".to_owned()));
    if let Some(page) = form.some("page") {
        params.push(("_page".to_owned(), page.to_owned()));
    }
    match record::search(visit, ResourceType::PATIENT, params, access).await {
        Ok(found) => Ok(Ok(Some(found))),
        Err(failure) if failure.status == StatusCode::BAD_REQUEST => {
            Ok(Err("Nothing can be searched for like that.".to_owned()))
        }
        Err(failure) => Err(failure),
    }
}

/// What is typed is a value, not syntax (R4, "Escaping Search Parameters").
fn escaped(value: &str) -> String {
    let mut text = String::new();
    for letter in value.chars() {
        if matches!(letter, '\\' | ',' | '|' | '$') {
            text.push('\\');
        }
        text.push(letter);
    }
    text
}

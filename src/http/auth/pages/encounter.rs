//! The choice of the encounter with which an app is to work (`launch/encounter`).

use maud::html;
use resources::model::ResourceType;

use super::{
    super::{
        super::{Reply, failure::Failure},
        Visit,
    },
    Asked, asked,
    form::{self, Form, csrf},
    layout::{self, Page, see_other},
    patient::refuse_form,
    record, to,
};
use crate::auth::selection::Selection;

/// `GET /auth/encounter`
pub async fn show(visit: &Visit<'_>, query: &Form) -> Result<Reply, Failure> {
    match asked(visit, query.get("request")).await? {
        Err(page) => Ok(page),
        Ok(asked) => choice(visit, &asked, query).await,
    }
}

/// `POST /auth/encounter`
pub async fn take(visit: &Visit<'_>, form: &Form) -> Result<Reply, Failure> {
    let asked = match asked(visit, form.get("request")).await? {
        Err(page) => return Ok(page),
        Ok(asked) => asked,
    };
    if !form::is_of_session(visit, form, &asked.who) {
        return Ok(form::refused(visit));
    }
    if form.some("page").is_some() {
        return choice(visit, &asked, form).await;
    }
    let session = &asked.who.session;
    let before = visit.auth.selection(&asked.request, session).await?;
    let selection = Selection {
        encounter: form.some("encounter").map(str::to_owned),
        encounter_asked: true,
        ..before
    };
    // Whether it is one of the patient's is looked at when the user agrees.
    visit
        .auth
        .select(&asked.request, session, selection)
        .await?;
    Ok(see_other(&to("consent", &asked.name)))
}

async fn choice(visit: &Visit<'_>, asked: &Asked, form: &Form) -> Result<Reply, Failure> {
    let session = &asked.who.session;
    let selection = visit.auth.selection(&asked.request, session).await?;
    let context = &asked.request.value.context;
    let Some(patient) = context.patient.clone().or(selection.patient) else {
        return Ok(see_other(&to("patient", &asked.name)));
    };
    let access = record::access(visit, &asked.who.user).await?;
    let mut params: Vec<(String, String)> = [
        ("patient", patient.as_str()),
        ("_sort", "-date"),
        ("_count", "20"),
        ("_total", "none"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec();
    params.extend(
        form.some("page")
            .map(|page| ("_page".to_owned(), page.to_owned())),
    );
    let found = record::search(visit, ResourceType::ENCOUNTER, params, &access).await?;
    let token = &session.value.csrf;
    let content = html! {
        h1 { "Which encounter?" }
        p.lead { (layout::app(&asked.client.value)) " works with one encounter of the patient." }
        @if found.shown.is_empty() {
            p role="status" { "There is none of this patient that you may see." }
        }
        form method="post" action="/auth/encounter" {
            (csrf(token))
            input type="hidden" name="request" value=(asked.name);
            (record::choices("encounter", &found.shown))
            div.actions {
                @if let Some(next) = &found.next {
                    button.second type="submit" name="page" value=(next) { "More" }
                }
                button.second type="submit" { "Go on without an encounter" }
            }
        }
        (refuse_form(asked))
    };
    let page = Page::new("Which encounter?", content).wide();
    Ok(page.leading_to(Some(&asked.request.value)).reply(visit))
}

//! The apps that somebody let in, on the account page.

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::{
    super::{
        super::{Reply, failure::Failure},
        Visit, cookie,
    },
    account::ago,
    form::{self, Form, csrf},
    layout::see_other,
    to_log_in, words,
};
use crate::auth::{
    client::Client,
    grant::Grant,
    scope::{Scope, Scopes},
    session::LoggedIn,
};

/// The list, with a button for each.
pub async fn list(visit: &Visit<'_>, who: &LoggedIn) -> Result<Markup, Failure> {
    let now = visit.auth.now();
    let records = visit.auth.records();
    let grants = records.all::<Grant>(Some(&who.user.id)).await?;
    let mut by_client: BTreeMap<String, Vec<Grant>> = BTreeMap::new();
    for grant in grants {
        let grant = grant.value;
        if grant.expires.is_none_or(|end| now < end) && !grant.client.is_empty() {
            by_client
                .entry(grant.client.clone())
                .or_default()
                .push(grant);
        }
    }
    let mut apps = Vec::new();
    for (id, grants) in by_client {
        let client = records.find::<Client>(&id).await?;
        let name = client.map_or_else(|| id.clone(), |client| client.value.name);
        apps.push((id, name, grants));
    }
    Ok(html! {
        @if apps.is_empty() {
            p { "None." }
        } @else {
            form method="post" action="/auth/account/apps" {
                (csrf(&who.session.value.csrf))
                ul.plain {
                    @for (id, name, grants) in &apps { (app(id, name, grants, now)) }
                }
            }
        }
    })
}

fn app(id: &str, name: &str, grants: &[Grant], now: i64) -> Markup {
    let latest = grants
        .iter()
        .map(|grant| grant.created)
        .max()
        .unwrap_or(now);
    let all = grants.iter().map(|grant| Scopes::parse(&grant.scopes));
    let scopes: Vec<Scope> = all.flat_map(|scopes| scopes.0).collect();
    let mut kinds: Vec<String> = scopes
        .iter()
        .filter_map(|scope| match scope {
            Scope::Resource(resource) => Some(words::kind(resource.kind)),
            _ => None,
        })
        .collect();
    kinds.sort();
    kinds.dedup();
    let stays = scopes.contains(&Scope::OfflineAccess);
    html! {
        li {
            div.what {
                strong { (name) }
                p.soft {
                    "let in " (ago(now - latest))
                    @if stays { ", also when you are not there" }
                    @if !kinds.is_empty() { " · " (kinds.join("; ")) }
                }
            }
            button.danger.small type="submit" name="client" value=(id)
                aria-label={ "End the access of " (name) } { "End access" }
        }
    }
}

/// `POST /auth/account/apps`
pub async fn revoke(visit: &Visit<'_>, form: &Form) -> Result<Reply, Failure> {
    let Some(who) = cookie::session_of(visit).await? else {
        return Ok(to_log_in());
    };
    if !form::is_of_session(visit, form, &who) {
        return Ok(form::refused(visit));
    }
    let client = form.get("client");
    visit.auth.revoke_app(&who.user.id, client).await?;
    Ok(see_other("/auth/account?done=app"))
}

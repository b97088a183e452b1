//! What pages show of resources: who a patient is, and which encounter one is. They are read with
//! the user's own access.

use std::sync::Arc;

use maud::{Markup, html};
use resources::model::ResourceType;
use serde_json::Value;

use super::{
    super::{super::failure::Failure, Visit},
    form,
};
use crate::{
    access::{Access, Caller, Identity},
    auth::{AuthError, records::Found, user::User},
    engine::{ErrorKind, Scope, SearchRequest},
};

/// What is shown of a resource in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// The logical id.
    pub id: String,
    /// What it is called.
    pub name: String,
    /// What tells it from others of the name.
    pub details: String,
}

/// A list of which one is chosen: the button with the name of `field` sends its id.
pub fn choices(field: &str, shown: &[Shown]) -> Markup {
    html! {
        ul.plain {
            @for one in shown {
                li {
                    div.what {
                        strong { (one.name) }
                        p.soft { (one.details) }
                    }
                    button.small type="submit" name=(field) value=(one.id)
                        aria-label={ "Choose " (one.name) ", " (one.details) } {
                        "Choose"
                    }
                }
            }
        }
    }
}

/// A page of a list.
pub struct Listed {
    /// What is on it.
    pub shown: Vec<Shown>,
    /// The token of the next page.
    pub next: Option<String>,
}

/// What the user may see, in their name.
pub async fn access(visit: &Visit<'_>, user: &Found<User>) -> Result<Access, Failure> {
    let access = visit.auth.access_of_user(&user.value).await?;
    let identity = Identity {
        user: Some(user.id.clone()),
        fhir_user: user.value.fhir_user.clone(),
        roles: user.value.roles.clone(),
        ..Identity::default()
    };
    Ok(access.by(Arc::new(Caller {
        identity: Arc::new(identity),
        address: form::visitor(visit).address,
        request: String::new(),
    })))
}

/// A patient as pages show them; `None` if there is none that the user may see.
pub async fn patient(
    visit: &Visit<'_>,
    id: &str,
    access: &Access,
) -> Result<Option<Shown>, Failure> {
    let read = visit.auth.engine().read(ResourceType::PATIENT, id, access);
    match read.await {
        Ok(found) => {
            let value = serde_json::from_slice(&found.body);
            let value: Value =
                value.map_err(|error| AuthError::Damaged(format!("Patient/{id}: {error}")))?;
            Ok(Some(shown_patient(&value)))
        }
        Err(error)
            if matches!(
                error.kind,
                ErrorKind::NotFound | ErrorKind::Gone | ErrorKind::Forbidden
            ) =>
        {
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

/// A page of a search.
pub async fn search(
    visit: &Visit<'_>,
    kind: ResourceType,
    params: Vec<(String, String)>,
    access: &Access,
) -> Result<Listed, Failure> {
    let request = SearchRequest {
        scope: Scope::Type(kind),
        params,
        strict: true,
        explain: false,
    };
    let bundle = visit.auth.engine().search(&request, access).await?;
    let bundle: Value = serde_json::from_str(&bundle)
        .map_err(|error| AuthError::Damaged(format!("a search: {error}")))?;
    let entries = bundle["entry"].as_array().map_or(&[][..], Vec::as_slice);
    let hits = entries
        .iter()
        .filter(|entry| entry["search"]["mode"] == "match");
    let shown = match kind {
        ResourceType::ENCOUNTER => shown_encounter,
        _ => shown_patient,
    };
    let links = bundle["link"].as_array().map_or(&[][..], Vec::as_slice);
    let next = links.iter().find(|link| link["relation"] == "next");
    let next = next.and_then(|link| token(link["url"].as_str()?));
    Ok(Listed {
        shown: hits.map(|hit| shown(&hit["resource"])).collect(),
        next,
    })
}

/// The page token of a link.
fn token(url: &str) -> Option<String> {
    let (_, query) = url.split_once('?')?;
    let token = query
        .split('&')
        .find_map(|pair| pair.strip_prefix("_page="))?;
    let token = percent_encoding::percent_decode_str(token);
    Some(token.decode_utf8().ok()?.into_owned())
}

fn shown_patient(patient: &Value) -> Shown {
    let names = patient["name"].as_array().map_or(&[][..], Vec::as_slice);
    let official = names.iter().find(|name| name["use"] == "official");
    let name = official.or(names.first()).map(human_name);
    let identifiers = patient["identifier"]
        .as_array()
        .map_or(&[][..], Vec::as_slice);
    let identifier = identifiers.iter().find_map(|one| one["value"].as_str());
    let details = [
        patient["birthDate"]
            .as_str()
            .map(|date| format!("born {date}")),
        patient["gender"].as_str().map(str::to_owned),
        identifier.map(|value| format!("no. {value}")),
    ];
    let id = text(&patient["id"]);
    Shown {
        name: name
            .filter(|name| !name.is_empty())
            .unwrap_or_else(|| format!("Patient {id}")),
        details: joined(details),
        id,
    }
}

/// `Ann Marie Smith`, or the text that is given for it.
fn human_name(name: &Value) -> String {
    if let Some(text) = name["text"].as_str() {
        return text.to_owned();
    }
    let given = name["given"].as_array().map_or(&[][..], Vec::as_slice);
    let parts = given
        .iter()
        .filter_map(Value::as_str)
        .chain(name["family"].as_str());
    parts.collect::<Vec<_>>().join(" ")
}

fn shown_encounter(encounter: &Value) -> Shown {
    let concept = |value: &Value| {
        let text = value["text"]
            .as_str()
            .or(value["coding"][0]["display"].as_str());
        text.map(str::to_owned)
    };
    let class = encounter["class"]["display"]
        .as_str()
        .or(encounter["class"]["code"].as_str());
    let kind = concept(&encounter["type"][0]).or(class.map(str::to_owned));
    let date = |name: &str| {
        let text = encounter["period"][name].as_str()?;
        Some(text.get(..10).unwrap_or(text).to_owned())
    };
    let period = match (date("start"), date("end")) {
        (Some(start), Some(end)) if start != end => Some(format!("{start} to {end}")),
        (Some(start), _) => Some(start),
        (None, end) => end.map(|end| format!("until {end}")),
    };
    let details = [
        period,
        encounter["status"].as_str().map(str::to_owned),
        encounter["serviceProvider"]["display"]
            .as_str()
            .map(str::to_owned),
    ];
    let id = text(&encounter["id"]);
    Shown {
        name: kind.unwrap_or_else(|| format!("Encounter {id}")),
        details: joined(details),
        id,
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or("").to_owned()
}

fn joined(parts: impl IntoIterator<Item = Option<String>>) -> String {
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn patients_are_shown_by_what_tells_them_apart() {
        let shown = shown_patient(&json!({
            "id": "1", "birthDate": "1970-02-03", "gender": "female",
            "name": [{"family": "Old"}, {"use": "official", "given": ["Ann", "M."], "family": "Smith"}],
            "identifier": [{"system": "x"}, {"value": "77"}],
        }));
        assert_eq!(shown.name, "Ann M. Smith");
        assert_eq!(shown.details, "born 1970-02-03, female, no. 77");
        let bare = shown_patient(&json!({"id": "2"}));
        assert_eq!(
            (bare.name.as_str(), bare.details.as_str()),
            ("Patient 2", "")
        );
    }

    #[test]
    fn encounters_are_shown_by_kind_and_time() {
        let shown = shown_encounter(&json!({
            "id": "1", "status": "finished", "class": {"code": "AMB"},
            "period": {"start": "2026-01-02T10:00:00Z", "end": "2026-01-02T11:00:00Z"},
        }));
        assert_eq!(
            (shown.name.as_str(), shown.details.as_str()),
            ("AMB", "2026-01-02, finished")
        );
    }

    #[test]
    fn a_page_token_is_read_from_its_link() {
        assert_eq!(token("http://a/b?x=1&_page=a%2Bb").as_deref(), Some("a+b"));
        assert_eq!(token("http://a/b"), None);
    }
}

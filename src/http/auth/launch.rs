//! `POST launch`: an EHR opens an app with what is open in it.

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
};
use resources::model::ResourceType;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::{
    super::{Reply, authenticate, body, failure::Failure},
    Visit,
    token::private,
};
use crate::{
    access::Right,
    auth::{
        bearer::Admitted,
        client::Client,
        grant::Context,
        launch::{LIFE_MS, Launch},
        request::redirect,
        scope::Level,
        user,
    },
};

/// Bytes of a body with what is open.
const LONGEST: usize = 64 << 10;

/// What an EHR tells.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    client_id: String,
    /// The log-in name of the user, from a client that acts for itself.
    user: Option<String>,
    patient: Option<String>,
    encounter: Option<String>,
    #[serde(default, rename = "fhirContext")]
    fhir_context: Vec<Value>,
    need_patient_banner: Option<bool>,
    intent: Option<String>,
    smart_style_url: Option<String>,
    tenant: Option<String>,
}

/// Keeps a launch, and says with which URL the app is opened.
///
/// # Errors
/// 401, 403; 422 for an app, patient or context that cannot be.
pub async fn answer(visit: &Visit<'_>, body: Body) -> Result<Reply, Failure> {
    let admitted = authenticate::admitted(visit.server, visit.parts).await?;
    let asked: Asked = read(visit, body).await?;
    let client = app(visit, &asked.client_id).await?;
    let user = whose(visit, &admitted, asked.user.as_deref()).await?;
    check_context(visit, &admitted, &asked).await?;
    let style = asked.smart_style_url;
    let launch = Launch {
        client: asked.client_id,
        user,
        context: Context {
            patient: asked.patient,
            encounter: asked.encounter,
            fhir_context: asked.fhir_context,
            need_patient_banner: asked.need_patient_banner,
            intent: asked.intent,
            smart_style_url: Some(style.unwrap_or_else(|| visit.auth.endpoint("smart-style.json"))),
            tenant: asked.tenant,
        },
        created: visit.auth.now(),
    };
    let handle = visit.auth.launch(&launch).await?;
    let base = &visit.auth.settings().base_url;
    let pairs = [("iss", base.as_str()), ("launch", handle.as_str())];
    let url = client.launch_uri.map(|uri| redirect(&uri, &pairs));
    let mut reply = private(&json!({
        "launch": handle,
        "iss": base,
        "launch_url": url,
        "expires_in": LIFE_MS / 1_000,
    }));
    *reply.status_mut() = StatusCode::CREATED;
    Ok(reply)
}

async fn app(visit: &Visit<'_>, id: &str) -> Result<Client, Failure> {
    let client = visit.auth.client(id).await?;
    client
        .map(|client| client.value)
        .filter(|client| !client.redirect_uris.is_empty())
        .ok_or_else(|| refuse("There is no app with this client_id that users can be sent to."))
}

/// For whom the app is opened: the user who holds the token, or the one whom a client names that
/// is trusted to know.
async fn whose(
    visit: &Visit<'_>,
    admitted: &Admitted,
    named: Option<&str>,
) -> Result<Option<String>, Failure> {
    if let Some(user) = &admitted.identity.user {
        let works = |level| matches!(level, Level::User);
        if !admitted.scopes.resources().any(|scope| works(scope.level)) {
            return Err(forbidden(
                "Apps are opened with a token for user/ scopes, as an EHR has it.",
            ));
        }
        return match named {
            None => Ok(Some(user.clone())),
            Some(_) => Err(refuse(
                "The user is the one who holds the token; leave user out.",
            )),
        };
    }
    let client = match &admitted.identity.client {
        Some(id) => visit.auth.client(id).await?,
        None => None,
    };
    if !client.is_some_and(|client| client.value.trusted) {
        return Err(forbidden(
            "Apps are opened with a token of a user, or of a client that is registered as trusted.",
        ));
    }
    let Some(login) = named else {
        return Ok(None);
    };
    let found = user::by_login(visit.auth.records(), login).await?;
    let found = found.ok_or_else(|| refuse("There is no user with this log-in name."))?;
    Ok(Some(found.id))
}

/// Patient and encounter are there for the sender, and the rest is as the standard has it.
async fn check_context(
    visit: &Visit<'_>,
    admitted: &Admitted,
    asked: &Asked,
) -> Result<(), Failure> {
    for (kind, id) in [
        (ResourceType::PATIENT, &asked.patient),
        (ResourceType::ENCOUNTER, &asked.encounter),
    ] {
        let Some(id) = id else { continue };
        let access = admitted.access.to(Right::Read);
        if visit.auth.engine().read(kind, id, &access).await.is_err() {
            return Err(refuse(&format!(
                "There is no such {kind} that you may see."
            )));
        }
    }
    if asked.encounter.is_some() && asked.patient.is_none() {
        return Err(refuse(
            "An encounter needs its patient; name the patient too.",
        ));
    }
    if let Some(style) = &asked.smart_style_url
        && !style.starts_with("https://")
    {
        return Err(refuse("The smart_style_url must begin with https://."));
    }
    match asked.fhir_context.iter().all(is_context) {
        true => Ok(()),
        false => Err(refuse(
            "Each fhirContext is an object with a reference, canonical or identifier; Patient \
             and Encounter stand there with a role other than launch only.",
        )),
    }
}

/// SMART App Launch 2.2.0, "fhirContext".
fn is_context(item: &Value) -> bool {
    let text = |name: &str| item[name].as_str().filter(|text| !text.is_empty());
    let reference = text("reference");
    let names =
        reference.is_some() || text("canonical").is_some() || item["identifier"].is_object();
    let kind = text("type").or(reference.and_then(|reference| reference.rsplit('/').nth(1)));
    let role = text("role").unwrap_or("launch");
    names && (!matches!(kind, Some("Patient" | "Encounter")) || role != "launch")
}

/// The body as JSON of this form.
///
/// # Errors
/// 400 where it is not.
pub async fn read<T: DeserializeOwned>(visit: &Visit<'_>, body: Body) -> Result<T, Failure> {
    let bytes = body::read(body, &visit.parts.headers, LONGEST, visit.working).await?;
    let content_type = visit.parts.headers.get(header::CONTENT_TYPE);
    let is_json = |value: &HeaderValue| value.to_str().is_ok_and(|text| text.contains("json"));
    if !content_type.is_some_and(is_json) {
        return Err(Failure::bad_request("Send the body as application/json."));
    }
    serde_json::from_slice(&bytes)
        .map_err(|error| Failure::bad_request(format!("The body is not as it should be: {error}.")))
}

fn refuse(sentence: &str) -> Failure {
    Failure::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", sentence)
}

fn forbidden(sentence: &str) -> Failure {
    Failure::new(StatusCode::FORBIDDEN, "forbidden", sentence)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_context_names_something_beside_patient_and_encounter() {
        for (item, fine) in [
            (json!({ "reference": "ImagingStudy/1" }), true),
            (json!({ "canonical": "http://a.example/q|1" }), true),
            (
                json!({ "identifier": { "value": "1" }, "type": "Task" }),
                true,
            ),
            (json!({ "reference": "Patient/1" }), false),
            (
                json!({ "reference": "https://a.example/fhir/Encounter/1" }),
                false,
            ),
            (json!({ "identifier": {}, "type": "Patient" }), false),
            (json!({ "reference": "Patient/1", "role": "launch" }), false),
            (
                json!({ "reference": "Patient/1", "role": "http://a.example/mother" }),
                true,
            ),
            (json!({ "role": "launch" }), false),
            (json!({ "reference": "" }), false),
            (json!("ImagingStudy/1"), false),
        ] {
            assert_eq!(is_context(&item), fine, "{item}");
        }
    }
}

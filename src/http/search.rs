//! Search by GET and POST, and history.

use axum::{
    body::Body,
    http::{StatusCode, header},
};
use resources::model::ResourceType;

use super::{Reply, call::Call, failure::Failure, negotiate::BodyType, query};
use crate::engine::{HistoryRequest, HistoryScope, Scope, SearchRequest};

/// Bytes of a search in a body: what the bounds on parameters and values can use.
const FORM_BYTES: usize = 1 << 20;

/// Search with the parameters of the URL.
pub async fn by_query(mut call: Call<'_>, scope: Scope) -> Result<Reply, Failure> {
    let request = SearchRequest {
        scope,
        strict: call.strict(),
        explain: call.server.settings.explain,
        params: std::mem::take(&mut call.pairs),
    };
    let bundle = call.engine().search(&request, &call.access).await?;
    Ok(call.ok(bundle))
}

/// Search with the parameters of a form, and those of the URL.
pub async fn by_form(mut call: Call<'_>, scope: Scope, body: Body) -> Result<Reply, Failure> {
    // A search without parameters may come without a body, and so without its type.
    let bytes = call.receive(body, FORM_BYTES).await?;
    if !bytes.is_empty() || call.headers().contains_key(header::CONTENT_TYPE) {
        call.expect_body(&[BodyType::Form], "application/x-www-form-urlencoded")?;
    }
    let form = std::str::from_utf8(&bytes)
        .map_err(|_| Failure::bad_request("The form in the body is not UTF-8 text."))?;
    query::read(form.trim(), &mut call.pairs)?;
    by_query(call, scope).await
}

/// The scope of a compartment search.
pub fn compartment(
    kind: ResourceType,
    id: String,
    member: Option<ResourceType>,
) -> Result<Scope, Failure> {
    const COMPARTMENTS: [ResourceType; 5] = [
        ResourceType::PATIENT,
        ResourceType::ENCOUNTER,
        ResourceType::PRACTITIONER,
        ResourceType::RELATED_PERSON,
        ResourceType::DEVICE,
    ];
    if !COMPARTMENTS.contains(&kind) {
        return Err(Failure::new(
            StatusCode::NOT_FOUND,
            "not-found",
            format!(
                "{kind} has no compartment; Patient, Encounter, Practitioner, RelatedPerson and \
                 Device have. Search the type itself with a reference to {kind}/{id}."
            ),
        ));
    }
    Ok(Scope::Compartment { kind, id, member })
}

/// History of a resource, a type or the server.
pub async fn history(mut call: Call<'_>, scope: HistoryScope) -> Result<Reply, Failure> {
    let request = HistoryRequest {
        scope,
        strict: call.strict(),
        params: std::mem::take(&mut call.pairs),
    };
    let bundle = call.engine().history(&request, &call.access).await?;
    Ok(call.ok(bundle))
}

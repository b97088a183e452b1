//! Operations: `$versions`, `$meta`, `$meta-add`, `$meta-delete`, `$validate`, `$everything`,
//! `$access-report`.

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
};
use resources::{Doc, Value, doc::Kind, model::ResourceType, outcome::operation_outcome};

use super::{
    Reply, body, booking,
    call::Call,
    failure::Failure,
    negotiate::{BodyType, Format, quoted},
    query::{self, Pairs},
    read::version_number,
    target::Level,
    write::JSON,
};
use crate::engine::{AccessReportRequest, EverythingRequest, MetaScope, ValidateRequest};

/// An operation that the server has.
pub struct Known {
    /// The name, without `$`.
    pub name: &'static str,
    /// It changes data, so that GET must not call it.
    pub writes: bool,
    /// The canonical URL of its definition.
    definition: &'static str,
}

impl Known {
    /// The canonical URL of its definition for this type. `$everything` has one for each.
    pub fn definition(&self, kind: Option<ResourceType>) -> &'static str {
        match (self.name, kind) {
            ("everything", Some(ResourceType::ENCOUNTER)) => {
                "http://hl7.org/fhir/OperationDefinition/Encounter-everything"
            }
            _ => self.definition,
        }
    }
}

/// All operations, as they stand in the CapabilityStatement too.
pub const KNOWN: [Known; 21] = [
    Known {
        name: "versions",
        writes: false,
        definition: "http://hl7.org/fhir/OperationDefinition/CapabilityStatement-versions",
    },
    Known {
        name: "meta",
        writes: false,
        definition: "http://hl7.org/fhir/OperationDefinition/Resource-meta",
    },
    Known {
        name: "meta-add",
        writes: true,
        definition: "http://hl7.org/fhir/OperationDefinition/Resource-meta-add",
    },
    Known {
        name: "meta-delete",
        writes: true,
        definition: "http://hl7.org/fhir/OperationDefinition/Resource-meta-delete",
    },
    Known {
        name: "validate",
        writes: false,
        definition: "http://hl7.org/fhir/OperationDefinition/Resource-validate",
    },
    Known {
        name: "everything",
        writes: false,
        definition: "http://hl7.org/fhir/OperationDefinition/Patient-everything",
    },
    Known {
        name: "access-report",
        writes: false,
        definition: "urn:rotunda:OperationDefinition:Patient-access-report",
    },
    Known {
        name: "bulk-publish",
        writes: false,
        definition: "urn:rotunda:OperationDefinition:bulk-publish",
    },
    Known {
        name: "ics",
        writes: false,
        definition: "urn:rotunda:OperationDefinition:ics",
    },
    Known {
        name: "find",
        writes: false,
        definition: "https://profiles.ihe.net/ITI/Scheduling/OperationDefinition/appointment-find",
    },
    Known {
        name: "hold",
        writes: true,
        definition: "https://profiles.ihe.net/ITI/Scheduling/OperationDefinition/appointment-hold",
    },
    Known {
        name: "book",
        writes: true,
        definition: "https://profiles.ihe.net/ITI/Scheduling/OperationDefinition/appointment-book",
    },
    Known {
        name: "release",
        writes: true,
        definition: "urn:rotunda:OperationDefinition:Appointment-release",
    },
    Known {
        name: "confirm",
        writes: true,
        definition: "urn:rotunda:OperationDefinition:Appointment-confirm",
    },
    Known {
        name: "cancel",
        writes: true,
        definition: "urn:rotunda:OperationDefinition:Appointment-cancel",
    },
    Known {
        name: "reschedule",
        writes: true,
        definition: "urn:rotunda:OperationDefinition:Appointment-reschedule",
    },
    Known {
        name: "no-show",
        writes: true,
        definition: "urn:rotunda:OperationDefinition:Appointment-no-show",
    },
    Known {
        name: "waitlist",
        writes: true,
        definition: "urn:rotunda:OperationDefinition:Appointment-waitlist",
    },
    Known {
        name: "accept-offer",
        writes: true,
        definition: "urn:rotunda:OperationDefinition:Appointment-accept-offer",
    },
    Known {
        name: "decline-offer",
        writes: true,
        definition: "urn:rotunda:OperationDefinition:Appointment-decline-offer",
    },
    Known {
        name: "preview",
        writes: false,
        definition: "urn:rotunda:OperationDefinition:Schedule-preview",
    },
];

/// The methods that call an operation.
pub fn methods(name: &str) -> &'static str {
    match KNOWN.iter().find(|known| known.name == name) {
        Some(known) if known.writes => "POST, OPTIONS",
        _ => "GET, HEAD, POST, OPTIONS",
    }
}

/// Calls an operation.
pub async fn call(
    call: Call<'_>,
    level: Level,
    name: &str,
    post: bool,
    body: Body,
) -> Result<Reply, Failure> {
    if !post && KNOWN.iter().any(|known| known.name == name && known.writes) {
        return Err(Failure::method(methods(name)));
    }
    if booking::is_booking(name, &level) {
        return booking::call(call, level, name, post, body).await;
    }
    match (name, level) {
        ("versions", Level::System) => Ok(versions(&call)),
        ("bulk-publish", Level::System) if !post => booking::publish(&call).await,
        ("ics", level) if !post => booking::calendar(&call, level).await,
        ("meta", level) => meta(&call, level).await,
        ("meta-add" | "meta-delete", Level::Instance(kind, id)) => {
            change_meta(&call, name == "meta-add", kind, &id, body).await
        }
        ("validate", Level::Type(kind)) => validate(&call, kind, None, body).await,
        ("validate", Level::Instance(kind, id)) => validate(&call, kind, Some(id), body).await,
        ("everything", Level::Type(ResourceType::PATIENT)) => {
            everything(call, ResourceType::PATIENT, None, post, body).await
        }
        (
            "everything",
            Level::Instance(kind @ (ResourceType::PATIENT | ResourceType::ENCOUNTER), id),
        ) => everything(call, kind, Some(id), post, body).await,
        ("access-report", Level::Instance(ResourceType::PATIENT, id)) if !post => {
            access_report(call, id, false).await
        }
        ("access-report", Level::Instance(ResourceType::PATIENT, _)) => {
            Err(Failure::method("GET, HEAD, OPTIONS"))
        }
        _ => Err(unknown(name)),
    }
}

fn unknown(name: &str) -> Failure {
    let sentence = match name {
        "versions" => "$versions is called on the server: /$versions.".to_owned(),
        "meta-add" | "meta-delete" => {
            format!("${name} is called on one resource: /Patient/1/${name}.")
        }
        "validate" => "$validate is called on a type or a resource: /Patient/$validate.".to_owned(),
        "everything" => "$everything is called on Patient, on one Patient or on one Encounter: \
                         /Patient/1/$everything."
            .to_owned(),
        name if booking::NAMES.contains(&name) => {
            format!("${name} is called on Appointment: /Appointment/${name}.")
        }
        "preview" => "$preview is called on one Schedule: /Schedule/1/$preview.".to_owned(),
        "access-report" => {
            "$access-report is called on one Patient: /Patient/1/$access-report.".to_owned()
        }
        other => {
            let names: Vec<String> = KNOWN
                .iter()
                .map(|known| format!("${}", known.name))
                .collect();
            format!(
                "The server has no operation {}. It has {}.",
                quoted(&format!("${other}")),
                names.join(", ")
            )
        }
    };
    Failure::new(StatusCode::NOT_FOUND, "not-supported", sentence)
}

/// Plain JSON to those who ask for plain JSON, as the definition of `$versions` has it.
fn versions(call: &Call<'_>) -> Reply {
    call.ok(match call.format {
        Format::FhirJson => {
            r#"{"resourceType":"Parameters","parameter":[{"name":"version","valueCode":"4.0"},{"name":"default","valueCode":"4.0"}]}"#
        }
        Format::Json | Format::TextJson => r#"{"versions":["4.0"],"default":"4.0"}"#,
    })
}

async fn meta(call: &Call<'_>, level: Level) -> Result<Reply, Failure> {
    let scope = match level {
        Level::System => MetaScope::System,
        Level::Type(kind) => MetaScope::Type(kind),
        Level::Instance(kind, id) => MetaScope::Instance(kind, id),
        Level::Version(kind, id, version) => {
            let number = version_number(kind, &id, &version)?;
            MetaScope::Version(kind, id, number)
        }
    };
    Ok(call.ok(call.engine().meta(&scope, &call.access).await?))
}

async fn change_meta(
    call: &Call<'_>,
    add: bool,
    kind: ResourceType,
    id: &str,
    body: Body,
) -> Result<Reply, Failure> {
    let parameters = json_body(call, body).await?;
    let id = id.to_owned();
    let changed = call.to_the_end(|engine, access| async move {
        if add {
            engine.meta_add(kind, &id, &parameters, &access).await
        } else {
            engine.meta_delete(kind, &id, &parameters, &access).await
        }
    });
    Ok(call.ok(changed.await?))
}

async fn validate(
    call: &Call<'_>,
    kind: ResourceType,
    id: Option<String>,
    body: Body,
) -> Result<Reply, Failure> {
    let limits = &call.engine().settings().limits;
    let bytes = call.receive(body, limits.resource_bytes).await?;
    let body = if bytes.is_empty() {
        None
    } else {
        call.expect_body(&[BodyType::Json], JSON)?;
        Some(body::parse(bytes, limits.resource_bounds(), call.working).await?)
    };
    let parameter = |name| query::last(&call.pairs, name).map(str::to_owned);
    let request = ValidateRequest {
        kind,
        id,
        body,
        mode: parameter("mode"),
        profile: parameter("profile"),
    };
    let issues = call.engine().validate(&request, &call.access).await?;
    Ok(call.ok(operation_outcome(&issues)))
}

async fn everything(
    mut call: Call<'_>,
    kind: ResourceType,
    id: Option<String>,
    post: bool,
    body: Body,
) -> Result<Reply, Failure> {
    if post {
        let limits = &call.engine().settings().limits;
        let bytes = call.receive(body, limits.resource_bytes).await?;
        if !bytes.is_empty() {
            call.expect_body(&[BodyType::Json], JSON)?;
            let doc = body::parse(bytes, limits.resource_bounds(), call.working).await?;
            read_parameters(&doc, &mut call.pairs)?;
        }
    }
    let request = EverythingRequest {
        kind,
        id,
        strict: call.strict(),
        params: std::mem::take(&mut call.pairs),
    };
    Ok(call.ok(call.engine().everything(&request, &call.access).await?))
}

/// `GET Patient/1/$access-report`, as a Bundle or as a table.
pub async fn access_report(mut call: Call<'_>, id: String, table: bool) -> Result<Reply, Failure> {
    let request = AccessReportRequest {
        id,
        strict: call.strict(),
        params: std::mem::take(&mut call.pairs),
        table,
    };
    let text = call.engine().access_report(&request, &call.access).await?;
    let mut reply = call.ok(text);
    if table {
        let csv = HeaderValue::from_static("text/csv; charset=utf-8; header=present");
        reply.headers_mut().insert(header::CONTENT_TYPE, csv);
    }
    Ok(reply)
}

/// True if a table is asked for, which one operation gives.
pub fn wants_table(call: &Call<'_>) -> bool {
    let accept = || call.headers().get(header::ACCEPT)?.to_str().ok();
    let asked = query::last(&call.pairs, "_format").or_else(accept);
    asked.is_some_and(|asked| asked == "csv" || asked.starts_with("text/csv"))
}

async fn json_body(call: &Call<'_>, body: Body) -> Result<Doc, Failure> {
    call.expect_body(&[BodyType::Json], JSON)?;
    let limits = &call.engine().settings().limits;
    let bytes = call.receive(body, limits.resource_bytes).await?;
    body::parse(bytes, limits.resource_bounds(), call.working).await
}

/// The primitive parameters of a Parameters resource, as a query would give them.
fn read_parameters(doc: &Doc, pairs: &mut Pairs) -> Result<(), Failure> {
    if doc.resource_type() != Some("Parameters") {
        return Err(Failure::bad_request(
            "The body must be a Parameters resource.",
        ));
    }
    let parameters = doc.root().get("parameter");
    for parameter in parameters.iter().flat_map(Value::items) {
        let name = parameter.get("name").and_then(|name| name.as_str());
        let value = parameter
            .members()
            .find(|member| member.name().starts_with("value"));
        let text = value.and_then(|value| match value.kind() {
            Kind::String => value.as_str().map(|text| text.into_owned()),
            Kind::Number | Kind::True | Kind::False => Some(value.raw().to_owned()),
            Kind::Object | Kind::Array | Kind::Null => None,
        });
        match (name, text) {
            (Some(name), Some(text)) => pairs.push((name.into_owned(), text)),
            _ => {
                return Err(Failure::bad_request(
                    "Each parameter in the body must have a name and a primitive value.",
                ));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_become_pairs() {
        let doc = Doc::parse(
            r#"{"resourceType":"Parameters","parameter":[{"name":"_count","valueInteger":5},{"name":"_type","valueString":"Observation"}]}"#,
        )
        .unwrap();
        let mut pairs = Pairs::new();
        read_parameters(&doc, &mut pairs).unwrap();
        let got: Vec<(&str, &str)> = pairs.iter().map(|(n, v)| (&**n, &**v)).collect();
        assert_eq!(got, [("_count", "5"), ("_type", "Observation")]);
        let bundle = Doc::parse(r#"{"resourceType":"Bundle"}"#).unwrap();
        assert!(read_parameters(&bundle, &mut pairs).is_err());
    }
}

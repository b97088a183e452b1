//! The CapabilityStatement: written from the tables that the server works by.

use std::{
    fmt::Write,
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

use arc_swap::ArcSwapOption;

use axum::{
    body::Bytes,
    http::{HeaderValue, StatusCode, header},
};
use resources::{
    doc::write_json_string,
    index::{Kind, Param, Registry},
    model::ResourceType,
};

use super::{
    Reply, booking, call::Call, failure::Failure, headers::value, operation::KNOWN, query, read,
};
use crate::{
    auth::Auth,
    engine::{Resource, Settings},
};
use serde_json::json;

/// When what the statement says last changed.
const DATE: &str = "2026-11-20";

/// The statement as text, until the search parameters change.
#[derive(Default)]
pub struct Cache(ArcSwapOption<Statement>);

struct Statement {
    /// What it was written from.
    registry: Arc<Registry>,
    text: Bytes,
    tag: HeaderValue,
}

impl Cache {
    fn current(
        &self,
        registry: Arc<Registry>,
        settings: &Settings,
        security: &str,
    ) -> Arc<Statement> {
        if let Some(known) = &*self.0.load()
            && Arc::ptr_eq(&known.registry, &registry)
        {
            return known.clone();
        }
        let text = statement(settings, &registry, security);
        let mut hasher = DefaultHasher::new();
        text.hash(&mut hasher);
        let fresh = Arc::new(Statement {
            registry,
            text: text.into(),
            tag: value(format!("W/\"{:016x}\"", hasher.finish())),
        });
        self.0.store(Some(fresh.clone()));
        fresh
    }
}

/// `GET metadata`
pub fn capabilities(call: &Call<'_>) -> Result<Reply, Failure> {
    let settings = call.engine().settings();
    match query::last(&call.pairs, "mode") {
        None | Some("full" | "normative") => {}
        Some("terminology") => return Ok(call.ok(terminology(settings))),
        Some(_) => {
            return Err(Failure::bad_request(
                "mode must be full, normative or terminology.",
            ));
        }
    }
    let http = &call.server.settings;
    let security = security(http.auth.as_deref(), !http.cors_origins.is_empty());
    let cache = &call.server.metadata;
    let known = cache.current(call.engine().registry(), settings, &security);
    if let Some(part) = part(call, &known.text)? {
        return Ok(call.ok(part));
    }
    let held = call.headers().get(header::IF_NONE_MATCH);
    let mut reply = if held == Some(&known.tag) {
        let mut reply = Reply::default();
        *reply.status_mut() = StatusCode::NOT_MODIFIED;
        reply
    } else {
        call.ok(known.text.clone())
    };
    let headers = reply.headers_mut();
    headers.insert(header::ETAG, known.tag.clone());
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    Ok(reply)
}

/// What `_summary` and `_elements` ask for; `None` for the whole.
fn part(call: &Call<'_>, text: &Bytes) -> Result<Option<Bytes>, Failure> {
    let Some(kind) = ResourceType::from_name("CapabilityStatement") else {
        return Ok(None);
    };
    let whole = Resource {
        kind,
        id: String::new(),
        version: 1,
        updated: 0,
        body: text.clone(),
    };
    read::part(call, &whole)
}

fn head(resource_type: &str, settings: &Settings) -> String {
    let mut out = format!(
        r#"{{"resourceType":"{resource_type}","status":"active","date":"{DATE}","publisher":"Rotunda","kind":"instance","software":{{"name":"Rotunda","version":"{}"}},"implementation":{{"description":"Rotunda, a FHIR R4 server","url":"#,
        env!("CARGO_PKG_VERSION"),
    );
    write_json_string(&mut out, &settings.base_url);
    out.push('}');
    out
}

/// What the server says of its terminology: value sets and code systems are resources that
/// searches use; there are no terminology operations.
fn terminology(settings: &Settings) -> String {
    let mut out = head("TerminologyCapabilities", settings);
    out.push('}');
    out
}

/// How clients get in (SMART App Launch 2.2.0, "Conformance": what was said in the
/// CapabilityStatement before there was `.well-known/smart-configuration`, and is still read).
fn security(auth: Option<&Auth>, cors: bool) -> String {
    let Some(auth) = auth else {
        return format!(r#"{{"cors":{cors}}}"#);
    };
    let uri =
        |name: &str, endpoint: &str| json!({ "url": name, "valueUri": auth.endpoint(endpoint) });
    json!({
        "extension": [{
            "url": "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris",
            "extension": [
                uri("token", "token"),
                uri("authorize", "authorize"),
                uri("introspect", "introspect"),
                uri("revoke", "revoke"),
                uri("manage", "account"),
            ],
        }],
        "cors": true,
        "description": "PUT and PATCH change what the token lets be seen. An unknown id is created by PUT only for tokens that see all resources of its type; others create with POST.",
        "service": [{
            "coding": [{
                "system": "http://terminology.hl7.org/CodeSystem/restful-security-service",
                "code": "SMART-on-FHIR",
                "display": "SMART-on-FHIR",
            }],
            "text": "OAuth2 using SMART-on-FHIR profile (see http://docs.smarthealthit.org)",
        }],
    })
    .to_string()
}

fn statement(settings: &Settings, registry: &Registry, security: &str) -> String {
    let mut out = head("CapabilityStatement", settings);
    out.reserve(1 << 20);
    out.push_str(
        r#","fhirVersion":"4.0.1","format":["application/fhir+json","json"],"patchFormat":["application/json-patch+json"],"rest":[{"mode":"server","security":"#,
    );
    out.push_str(security);
    out.push_str(r#","resource":["#);
    let reverse = ReverseIncludes::new(registry);
    for (i, kind) in ResourceType::all().enumerate() {
        if i > 0 {
            out.push(',');
        }
        write_resource(&mut out, kind, settings, registry, &reverse);
    }
    out.push_str(r#"],"interaction":["#);
    write_codes(
        &mut out,
        &["transaction", "batch", "search-system", "history-system"],
    );
    out.push_str(r#"],"searchParam":["#);
    write_params(&mut out, everywhere(registry));
    out.push_str(r#"],"operation":["#);
    write_operations(&mut out, &["versions", "meta", "bulk-publish"], None);
    out.push_str(r#"],"compartment":["#);
    for (i, name) in [
        "patient",
        "encounter",
        "practitioner",
        "relatedPerson",
        "device",
    ]
    .iter()
    .enumerate()
    {
        let comma = if i > 0 { "," } else { "" };
        let _ = write!(
            out,
            r#"{comma}"http://hl7.org/fhir/CompartmentDefinition/{name}""#
        );
    }
    out.push_str("]}]}");
    out
}

fn write_resource(
    out: &mut String,
    kind: ResourceType,
    settings: &Settings,
    registry: &Registry,
    reverse: &ReverseIncludes,
) {
    let _ = write!(
        out,
        r#"{{"type":"{kind}","profile":"http://hl7.org/fhir/StructureDefinition/{kind}","interaction":["#
    );
    write_codes(out, interactions(kind));
    let _ = write!(
        out,
        r#"],"versioning":"versioned-update","readHistory":true,"updateCreate":{},"conditionalCreate":true,"conditionalRead":"full-support","conditionalUpdate":true,"conditionalDelete":"{}","#,
        settings.update_create,
        if settings.conditional_delete_multiple {
            "multiple"
        } else {
            "single"
        },
    );
    out.push_str(r#""referencePolicy":["literal","logical"],"searchInclude":["*""#);
    for param in registry
        .of(kind)
        .filter(|param| is_followed(registry, param))
    {
        let _ = write!(out, r#","{kind}:{}""#, param.code);
    }
    out.push(']');
    reverse.write(out, kind);
    out.push_str(r#","searchParam":["#);
    write_params(out, registry.of(kind));
    out.push_str(r#"],"operation":["#);
    let mut operations = vec!["meta", "meta-add", "meta-delete", "validate"];
    if matches!(kind, ResourceType::PATIENT | ResourceType::ENCOUNTER) {
        operations.push("everything");
    }
    if kind == ResourceType::PATIENT {
        operations.push("access-report");
    }
    if kind == ResourceType::APPOINTMENT {
        operations.extend(booking::NAMES);
    }
    if matches!(kind, ResourceType::APPOINTMENT | ResourceType::SCHEDULE) {
        operations.push("ics");
    }
    if kind == ResourceType::SCHEDULE {
        operations.push("preview");
    }
    write_operations(out, &operations, Some(kind));
    out.push_str("]}");
}

/// What can be done with a type. AuditEvents are written by the server alone.
fn interactions(kind: ResourceType) -> &'static [&'static str] {
    match kind {
        ResourceType::AUDIT_EVENT => &["read", "vread", "search-type"],
        _ => &[
            "read",
            "vread",
            "update",
            "patch",
            "delete",
            "history-instance",
            "history-type",
            "create",
            "search-type",
        ],
    }
}

/// Whether a parameter leads to other resources.
fn is_followed(registry: &Registry, param: &Param) -> bool {
    param.kind == Kind::Reference && !registry.traits(param).inside
}

fn write_codes(out: &mut String, codes: &[&str]) {
    for (i, code) in codes.iter().enumerate() {
        let comma = if i > 0 { "," } else { "" };
        let _ = write!(out, r#"{comma}{{"code":"{code}"}}"#);
    }
}

/// What R4 has beside its SearchParameters, and so without the URL of one.
const WITHOUT_DEFINITION: [&str; 3] = ["_filter", "_has", "_list"];

fn write_params<'p>(out: &mut String, params: impl Iterator<Item = &'p Param>) {
    for name in WITHOUT_DEFINITION {
        let _ = write!(out, r#"{{"name":"{name}","type":"special"}},"#);
    }
    // Named queries are defined by none, so there is nothing to call by `_query`.
    let searchable = params.filter(|param| param.code != "_query");
    for (i, param) in searchable.enumerate() {
        out.push_str(if i > 0 { "," } else { "" });
        out.push_str(r#"{"name":"#);
        write_json_string(out, &param.code);
        out.push_str(r#","definition":"#);
        write_json_string(out, &param.url);
        let _ = write!(out, r#","type":"{}"}}"#, param.kind.code());
    }
}

/// The parameters that every type has are those of a search over all types.
fn everywhere(registry: &Registry) -> impl Iterator<Item = &Param> {
    let of_one = registry.of(ResourceType::PATIENT);
    of_one.filter(|param| param.code.starts_with('_'))
}

fn write_operations(out: &mut String, names: &[&str], kind: Option<ResourceType>) {
    let listed = KNOWN.iter().filter(|known| names.contains(&known.name));
    for (i, known) in listed.enumerate() {
        let comma = if i > 0 { "," } else { "" };
        let _ = write!(
            out,
            r#"{comma}{{"name":"{}","definition":"{}"}}"#,
            known.name,
            known.definition(kind)
        );
    }
}

/// `Observation:subject` under Patient. Parameters that may point to anything are left out:
/// they would be most of the text, and `_revinclude` takes them all the same.
struct ReverseIncludes(Vec<(ResourceType, String)>);

/// A parameter with more targets than this points to anything.
const ANYTHING: usize = 100;

impl ReverseIncludes {
    fn new(registry: &Registry) -> Self {
        let mut rows: Vec<(ResourceType, String)> = registry
            .all()
            .filter(|param| is_followed(registry, param))
            .filter(|param| param.targets.len() < ANYTHING)
            .flat_map(|param| {
                let name = format!("{}:{}", param.base, param.code);
                param
                    .targets
                    .iter()
                    .map(move |target| (*target, name.clone()))
            })
            .collect();
        rows.sort();
        rows.dedup();
        Self(rows)
    }

    fn write(&self, out: &mut String, kind: ResourceType) {
        let from = self.0.partition_point(|(target, _)| *target < kind);
        let to = self.0.partition_point(|(target, _)| *target <= kind);
        if from == to {
            return;
        }
        out.push_str(r#","searchRevInclude":["#);
        for (i, (_, name)) in self.0[from..to].iter().enumerate() {
            let comma = if i > 0 { "," } else { "" };
            let _ = write!(out, r#"{comma}"{name}""#);
        }
        out.push(']');
    }
}

#[cfg(test)]
mod tests {
    use resources::Doc;

    use super::*;

    #[test]
    fn the_statement_is_json_and_lists_what_there_is() {
        let text = statement(
            &Settings::default(),
            &Registry::builtin(),
            r#"{"cors":false}"#,
        );
        let doc = Doc::parse(text).unwrap();
        let rest = doc.root().get("rest").unwrap().items().next().unwrap();
        let resources = rest.get("resource").unwrap();
        assert_eq!(resources.items().count(), ResourceType::all().len());
        let patient = resources
            .items()
            .find(|item| item.get("type").unwrap().plain_str() == Some("Patient"))
            .unwrap();
        let params = patient.get("searchParam").unwrap();
        let names: Vec<&str> = params
            .items()
            .filter_map(|param| param.get("name")?.plain_str())
            .collect();
        assert!(names.contains(&"identifier") && names.contains(&"_lastUpdated"));
        let bundle = resources
            .items()
            .find(|item| item.get("type").unwrap().plain_str() == Some("Bundle"))
            .unwrap();
        assert_eq!(bundle.get("searchInclude").unwrap().raw(), r#"["*"]"#);
        let reverse = patient.get("searchRevInclude").unwrap().raw();
        assert!(reverse.contains("Observation:subject"));
    }
}

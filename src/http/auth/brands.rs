//! `brands`: the organization as patient apps show it (SMART App Launch 2.2.0, "User-access
//! Brands"), and `smart-style.json`, how the EHR looks.

use axum::http::{HeaderValue, StatusCode, header};
use serde_json::{Map, Value, json};

use super::{
    super::{Reply, failure::Failure},
    Visit,
    discovery::public,
};
use crate::auth::{brand::Brand, secret};

const ENDPOINT: &str = "Endpoint/fhir";
const EXTENSIONS: &str = "http://hl7.org/fhir/StructureDefinition";

/// The name that the brand has where several are collected: its website.
pub fn identifier(visit: &Visit<'_>) -> Value {
    let website = &visit.auth.settings().brand.website;
    let website = website.trim_end_matches('/');
    json!({ "system": "urn:ietf:rfc:3986", "value": website.replacen("://www.", "://", 1) })
}

/// The Bundle.
///
/// # Errors
/// The store refuses.
pub async fn answer(visit: &Visit<'_>) -> Result<Reply, Failure> {
    let settings = visit.auth.settings();
    let bundle = |changed: &str| {
        let meta = json!({ "lastUpdated": changed });
        let full_url = |reference: &str| format!("{}/{reference}", settings.issuer);
        let mut organization = organization(&settings.brand, identifier(visit));
        let mut endpoint = endpoint(&settings.brand, &settings.base_url);
        organization["meta"] = meta.clone();
        endpoint["meta"] = meta.clone();
        json!({
            "resourceType": "Bundle",
            "id": "brands",
            "meta": meta,
            "type": "collection",
            "timestamp": changed,
            "entry": [
                { "fullUrl": full_url("Organization/brand"), "resource": organization },
                { "fullUrl": full_url(ENDPOINT), "resource": endpoint },
            ],
        })
    };
    let content = secret::hash(&bundle("").to_string());
    let changed = visit.auth.changed_at("brands", &content).await?;
    let tag = HeaderValue::try_from(format!("W/\"{}\"", &content[..32]));
    let tag = tag.map_err(|_| Failure::fault())?;
    let held = visit.parts.headers.get(header::IF_NONE_MATCH);
    let is_held = held == Some(&tag);
    let mut reply = public(&bundle(&changed));
    if is_held {
        *reply.status_mut() = StatusCode::NOT_MODIFIED;
        *reply.body_mut() = Default::default();
    }
    let json = HeaderValue::from_static("application/fhir+json");
    reply.headers_mut().insert(header::CONTENT_TYPE, json);
    reply.headers_mut().insert(header::ETAG, tag);
    Ok(reply)
}

/// <http://hl7.org/fhir/smart-app-launch/StructureDefinition/user-access-brand>
fn organization(brand: &Brand, identifier: Value) -> Value {
    let part = |url: &str, kind: &str, value: &Option<String>| {
        let value = value.as_ref()?;
        let mut part = Map::new();
        part.insert("url".to_owned(), json!(url));
        part.insert(kind.to_owned(), json!(value));
        Some(Value::Object(part))
    };
    let mut portal: Vec<Value> = [
        part("portalName", "valueString", &brand.portal_name),
        part(
            "portalDescription",
            "valueMarkdown",
            &brand.portal_description,
        ),
        part("portalUrl", "valueUrl", &brand.portal_url),
    ]
    .into_iter()
    .flatten()
    .collect();
    portal.push(json!({ "url": "portalEndpoint", "valueReference": { "reference": ENDPOINT } }));
    let mut extensions = Vec::new();
    if let Some(logo) = part("brandLogo", "valueUrl", &brand.logo) {
        extensions.push(json!({
            "url": format!("{EXTENSIONS}/organization-brand"), "extension": [logo],
        }));
    }
    extensions.push(json!({
        "url": format!("{EXTENSIONS}/organization-portal"), "extension": portal,
    }));
    let mut organization = json!({
        "resourceType": "Organization",
        "id": "brand",
        "extension": extensions,
        "identifier": [identifier],
        "active": true,
        "type": [{ "coding": [{
            "system": "http://terminology.hl7.org/CodeSystem/organization-type",
            "code": "prov",
            "display": "Healthcare Provider",
        }] }],
        "name": brand.name,
        "telecom": [{ "system": "url", "value": brand.website }],
        "endpoint": [{ "reference": ENDPOINT }],
    });
    if !brand.alias.is_empty() {
        organization["alias"] = json!(brand.alias);
    }
    let address = [
        ("city", &brand.city),
        ("postalCode", &brand.postal_code),
        ("country", &brand.country),
    ];
    let known = address
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), Value::String(value.clone()?))));
    let address: Map<String, Value> = known.collect();
    if !address.is_empty() {
        organization["address"] = json!([address]);
    }
    organization
}

/// <http://hl7.org/fhir/smart-app-launch/StructureDefinition/user-access-endpoint>
fn endpoint(brand: &Brand, base_url: &str) -> Value {
    let developers = brand.developers_url.as_ref().unwrap_or(&brand.website);
    json!({
        "resourceType": "Endpoint",
        "id": "fhir",
        "extension": [{
            "url": format!("{EXTENSIONS}/endpoint-fhir-version"), "valueCode": "4.0.1",
        }],
        "status": "active",
        "connectionType": {
            "system": "http://terminology.hl7.org/CodeSystem/endpoint-connection-type",
            "code": "hl7-fhir-rest",
        },
        "name": format!("FHIR R4 of {}", brand.name),
        "contact": [{ "system": "url", "value": developers }],
        "payloadType": [{ "coding": [{
            "system": "http://terminology.hl7.org/CodeSystem/endpoint-payload-type",
            "code": "none",
        }] }],
        "address": base_url,
    })
}

/// How the EHR looks (SMART App Launch 2.2.0, "smart_style_url").
pub fn style() -> Reply {
    public(&json!({
        "color_background": "#ffffff",
        "color_error": "#b3261e",
        "color_highlight": "#0b5cad",
        "color_modal_backdrop": "rgba(0, 0, 0, 0.4)",
        "color_success": "#1e6b34",
        "color_text": "#1b1f24",
        "dim_border_radius": "4px",
        "dim_font_size": "16px",
        "dim_spacing_size": "16px",
        "font_family_body": "system-ui, sans-serif",
        "font_family_heading": "system-ui, sans-serif",
    }))
}

//! What apps find out before they begin: SMART App Launch 2.2.0 ("Conformance") and OpenID Connect
//! Discovery 1.0.

use axum::http::{HeaderValue, StatusCode, header};
use serde_json::{Value, json};

use super::{
    super::{Reply, failure::Failure},
    PATH, Visit, brands, json,
};
use crate::auth::keys::Algorithm;

/// What of SMART App Launch the server does.
const CAPABILITIES: [&str; 18] = [
    "launch-ehr",
    "launch-standalone",
    "authorize-post",
    "client-public",
    "client-confidential-symmetric",
    "client-confidential-asymmetric",
    "sso-openid-connect",
    "context-banner",
    "context-style",
    "context-ehr-patient",
    "context-ehr-encounter",
    "context-standalone-patient",
    "context-standalone-encounter",
    "permission-offline",
    "permission-online",
    "permission-patient",
    "permission-user",
    "permission-v1",
];

/// `[base]/.well-known/smart-configuration`
pub fn smart_configuration(visit: &Visit<'_>) -> Reply {
    let mut capabilities: Vec<&str> = CAPABILITIES.to_vec();
    capabilities.push("permission-v2");
    let at = |name: &str| format!("{}{PATH}/{name}", visit.auth.settings().issuer);
    public(&json!({
        "issuer": visit.auth.settings().issuer,
        "jwks_uri": at("jwks"),
        "authorization_endpoint": at("authorize"),
        "token_endpoint": at("token"),
        "introspection_endpoint": at("introspect"),
        "revocation_endpoint": at("revoke"),
        "management_endpoint": at("account"),
        "user_access_brand_bundle": at("brands"),
        "user_access_brand_identifier": brands::identifier(visit),
        "grant_types_supported": ["authorization_code", "refresh_token", "client_credentials"],
        "response_types_supported": ["code"],
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported":
            ["client_secret_basic", "client_secret_post", "private_key_jwt"],
        "token_endpoint_auth_signing_alg_values_supported": ["RS384", "ES384"],
        "scopes_supported": scopes(),
        "capabilities": capabilities,
    }))
}

/// `[issuer]/.well-known/openid-configuration`
pub fn openid_configuration(visit: &Visit<'_>) -> Reply {
    let at = |name: &str| format!("{}{PATH}/{name}", visit.auth.settings().issuer);
    public(&json!({
        "issuer": visit.auth.settings().issuer,
        "authorization_endpoint": at("authorize"),
        "token_endpoint": at("token"),
        "jwks_uri": at("jwks"),
        "userinfo_endpoint": at("userinfo"),
        "introspection_endpoint": at("introspect"),
        "revocation_endpoint": at("revoke"),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "refresh_token", "client_credentials"],
        "code_challenge_methods_supported": ["S256"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "token_endpoint_auth_methods_supported":
            ["client_secret_basic", "client_secret_post", "private_key_jwt"],
        "token_endpoint_auth_signing_alg_values_supported": ["RS384", "ES384"],
        "prompt_values_supported": ["none", "login", "consent", "select_account"],
        "request_parameter_supported": false,
        "request_uri_parameter_supported": false,
        "claims_supported":
            ["iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "amr", "fhirUser", "name"],
        "scopes_supported": scopes(),
    }))
}

/// The public halves of the server's keys (RFC 7517).
///
/// # Errors
/// The store refuses.
pub async fn keys(visit: &Visit<'_>, algorithm: Algorithm) -> Result<Reply, Failure> {
    Ok(public(&visit.auth.public_keys(algorithm).await?))
}

fn scopes() -> Value {
    json!([
        "openid",
        "fhirUser",
        "profile",
        "launch",
        "launch/patient",
        "launch/encounter",
        "offline_access",
        "online_access",
        "patient/*.cruds",
        "user/*.cruds",
        "system/*.cruds",
        "patient/*.read",
        "patient/*.write",
        "user/*.read",
        "user/*.write",
        "system/*.read",
        "system/*.write"
    ])
}

/// JSON that any page may read and keep for a while.
pub fn public(value: &Value) -> Reply {
    let mut reply = json(StatusCode::OK, value);
    let a_while = HeaderValue::from_static("public, max-age=300");
    reply.headers_mut().insert(header::CACHE_CONTROL, a_while);
    reply
}

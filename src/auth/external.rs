//! Tokens of other issuers, as far as the configuration takes them: signed, for this server, and
//! bound by roles of this server.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Auth, bearer::Admitted, decide, error::AuthError, jws::Unproven, scope::Scopes};
use crate::access::Identity;

/// How tokens may be signed: never with a secret that both sides know.
const ALGORITHMS: [&str; 4] = ["RS256", "RS384", "ES256", "ES384"];

/// Milliseconds by which another server's clock may go before ours.
const SKEW_MS: i64 = 30_000;

/// An issuer other than this server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct External {
    /// `iss`, letter by letter.
    pub issuer: String,
    /// `aud`, letter by letter; best the FHIR base URL.
    pub audience: String,
    /// How its tokens are signed.
    pub algorithms: Vec<String>,
    /// Where its keys are, https.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks_url: Option<String>,
    /// The file with its keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks_file: Option<String>,
    /// Roles of this server beyond which its tokens do not reach.
    pub roles: Vec<String>,
    /// The claim with the scopes, a text or a list.
    #[serde(default = "scope_claim")]
    pub scope_claim: String,
    /// The claim with the logical id of the patient in context.
    #[serde(default = "patient_claim")]
    pub patient_claim: String,
    /// The claim with the user's resource.
    #[serde(default = "fhir_user_claim")]
    pub fhir_user_claim: String,
}

fn scope_claim() -> String {
    "scope".to_owned()
}

fn patient_claim() -> String {
    "patient".to_owned()
}

fn fhir_user_claim() -> String {
    "fhirUser".to_owned()
}

impl External {
    /// What makes no sense, as key and sentence.
    pub fn problems(&self) -> Vec<(&'static str, &'static str)> {
        let mut found = Vec::new();
        if self.issuer.is_empty() || self.audience.is_empty() {
            found.push(("external", "an issuer needs issuer and audience"));
        }
        let is_known = |name: &String| ALGORITHMS.contains(&name.as_str());
        if self.algorithms.is_empty() || !self.algorithms.iter().all(is_known) {
            let known = "algorithms must be some of RS256, RS384, ES256 and ES384";
            found.push(("external", known));
        }
        if self.jwks_url.is_some() == self.jwks_file.is_some() {
            found.push(("external", "an issuer needs either jwks_url or jwks_file"));
        }
        if self.roles.is_empty() {
            let bound = "an issuer needs roles, beyond which its tokens do not reach";
            found.push(("external", bound));
        }
        found
    }
}

impl Auth {
    /// Who holds a token of another issuer, and what they may do; `None` if it is not valid.
    pub(super) async fn by_external_token(
        &self,
        text: &str,
        now: i64,
    ) -> Result<Option<Admitted>, AuthError> {
        let Ok(token) = Unproven::read(text) else {
            return Ok(None);
        };
        let named = token.text("iss");
        let issuers = self.settings().external.iter();
        let Some(issuer) = issuers.into_iter().find(|one| named == Some(&one.issuer)) else {
            return Ok(None);
        };
        let keys = match self.keys_of_issuer(issuer, &token).await {
            Ok(keys) => keys,
            Err(reason) => {
                let name = &issuer.issuer;
                tracing::warn!(issuer = name, reason, "keys of an issuer cannot be read");
                return Ok(None);
            }
        };
        let algorithms: Vec<&str> = issuer.algorithms.iter().map(String::as_str).collect();
        match is_valid(&token, issuer, now) && token.check(&keys, &algorithms).is_ok() {
            true => self.admit_external(&token, issuer).await.map(Some),
            false => Ok(None),
        }
    }

    async fn keys_of_issuer(
        &self,
        issuer: &External,
        token: &Unproven<'_>,
    ) -> Result<Arc<Vec<Value>>, String> {
        if let Some(url) = &issuer.jwks_url {
            let kid = token.of_header("kid").unwrap_or_default();
            return self.keys_at(url, kid).await;
        }
        let path = issuer.jwks_file.as_deref().unwrap_or_default();
        let text = tokio::fs::read(path).await;
        let text = text.map_err(|error| format!("{path}: {error}"))?;
        let set: Value =
            serde_json::from_slice(&text).map_err(|error| format!("{path}: {error}"))?;
        Ok(Arc::new(super::jwks::keys(&set)))
    }

    async fn admit_external(
        &self,
        token: &Unproven<'_>,
        issuer: &External,
    ) -> Result<Admitted, AuthError> {
        let scopes = scopes(token.claims.get(&issuer.scope_claim));
        let patient = token.text(&issuer.patient_claim).map(str::to_owned);
        let fhir_user = token.text(&issuer.fhir_user_claim);
        let fhir_user = fhir_user.and_then(|user| self.own_reference(user));
        let mut standing = self.standing(&issuer.roles).await?;
        // The issuer vouches for both.
        let own = fhir_user.as_deref();
        let own = own.and_then(|reference| reference.strip_prefix("Patient/"));
        standing.patients = own.map(str::to_owned).into_iter().collect();
        standing.patients.extend(patient.clone());
        standing.fhir_user.clone_from(&fhir_user);
        let grants = standing.grants.iter();
        let of_roles = grants.map(|(grant, _)| super::scope::Scope::Resource(grant.clone()));
        let allowed = Scopes(of_roles.collect());
        let mut rules = decide::rules_of_user(&scopes, patient.as_deref(), &standing);
        rules.extend(decide::rules_of_program(&scopes, &allowed));
        let client = token.text("client_id").or_else(|| token.text("azp"));
        let client = client.or_else(|| token.text("sub")).unwrap_or_default();
        Ok(Admitted {
            admin: false,
            break_glass: false,
            access: self.access(rules, &standing).await?,
            identity: Arc::new(Identity {
                client: Some(format!("{}#{client}", issuer.issuer)),
                fhir_user,
                roles: issuer.roles.clone(),
                patient,
                ..Identity::default()
            }),
            scopes,
            grant: None,
            expires: token.time("exp"),
            addresses: Vec::new(),
        })
    }

    /// `Practitioner/1`, if a reference is to a resource of this server.
    fn own_reference(&self, text: &str) -> Option<String> {
        let base = &self.settings().base_url;
        let relative = match text.strip_prefix(base.as_str()) {
            Some(rest) => rest.strip_prefix('/')?,
            None if text.contains("://") => return None,
            None => text,
        };
        let (kind, id) = relative.split_once('/')?;
        let is_person = [
            "Patient",
            "Practitioner",
            "PractitionerRole",
            "RelatedPerson",
            "Person",
        ]
        .contains(&kind);
        (is_person && !id.is_empty() && !id.contains('/')).then(|| relative.to_owned())
    }
}

fn is_valid(token: &Unproven<'_>, issuer: &External, now: i64) -> bool {
    let begins = |name| token.time(name).is_none_or(|at| at <= now + SKEW_MS);
    token.is_for(&issuer.audience)
        && !token.has_bad_time()
        && token.time("exp").is_some_and(|end| now < end)
        && begins("nbf")
        && begins("iat")
}

fn scopes(claim: Option<&Value>) -> Scopes {
    match claim {
        Some(Value::String(text)) => Scopes::parse(text),
        Some(Value::Array(several)) => {
            let texts: Vec<&str> = several.iter().filter_map(Value::as_str).collect();
            Scopes::parse(&texts.join(" "))
        }
        _ => Scopes::default(),
    }
}

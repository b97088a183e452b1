//! The authorization server.

use std::{collections::BTreeMap, path::PathBuf};

use serde::{Deserialize, Serialize};

use crate::auth::{brand::Brand, external::External};

/// The authorization server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Auth {
    /// The issuer of OpenID Connect, under which the pages and endpoints are (`/auth/…`), if it is
    /// not the base URL without its `/fhir`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// The file of the master key, which seals what the database holds of keys and seeds. Made at
    /// the first start; all nodes on one database need the same. Without: beside an SQLite
    /// database (`rotunda.db.key`), else `rotunda.key`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub master_key_file: Option<PathBuf>,
    /// Seconds that an access token of a user lives, 3,600 at most.
    pub user_token_seconds: u32,
    /// Seconds that an access token of a backend service lives, 3,600 at most.
    pub backend_token_seconds: u32,
    /// Days that a refresh token for `offline_access` lives after its last use.
    pub offline_days: u32,
    /// Other providers through which users may log in.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub oidc: Vec<Oidc>,
    /// The organization, as patient apps show it.
    pub brand: Brand,
    /// Issuers other than this server whose tokens are taken.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub external: Vec<External>,
}

/// A provider of OpenID Connect, which proves who somebody is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Oidc {
    /// A short name, in addresses: letters, digits, `-`.
    pub name: String,
    /// What the log-in page calls it; the name without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The issuer, as its discovery document says it.
    pub issuer: String,
    /// What this server is registered as there.
    pub client_id: String,
    /// The file of the secret that goes with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_secret_file: Option<PathBuf>,
    /// What is asked for.
    #[serde(default = "oidc_scopes")]
    pub scopes: Vec<String>,
    /// What else is said when the browser is sent there: `acr_values`, `hd`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parameters: BTreeMap<String, String>,
    /// The claim of the id_token with roles or groups: `groups`, `realm_access.roles`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub roles_claim: Option<String>,
    /// Roles or groups there, and the roles that they are here.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub roles: BTreeMap<String, String>,
    /// Who is not known here gets an account.
    #[serde(default)]
    pub create_users: bool,
}

fn oidc_scopes() -> Vec<String> {
    ["openid", "profile", "email"].map(str::to_owned).to_vec()
}

impl Default for Auth {
    fn default() -> Self {
        Self {
            issuer: None,
            master_key_file: None,
            user_token_seconds: 900,
            backend_token_seconds: 300,
            offline_days: 100,
            oidc: Vec::new(),
            brand: Brand::default(),
            external: Vec::new(),
        }
    }
}

impl Auth {
    /// Where the master key is, beside this database if nothing else is said.
    pub fn master_key(&self, store_url: &str) -> PathBuf {
        match (&self.master_key_file, store_url.strip_prefix("sqlite:")) {
            (Some(file), _) => file.clone(),
            (None, Some(database)) => PathBuf::from(format!("{database}.key")),
            (None, None) => PathBuf::from("rotunda.key"),
        }
    }

    /// What makes no sense, as key and sentence.
    pub fn problems(&self) -> Vec<(&'static str, &'static str)> {
        let mut found = Vec::new();
        for (key, seconds) in [
            ("user_token_seconds", self.user_token_seconds),
            ("backend_token_seconds", self.backend_token_seconds),
        ] {
            if !(30..=3_600).contains(&seconds) {
                found.push((
                    key,
                    "must be from 30 to 3600: a stolen token works that long",
                ));
            }
        }
        if self.offline_days == 0 {
            found.push(("offline_days", "must be at least 1"));
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
        let name = |oidc: &Oidc| !oidc.name.is_empty() && oidc.name.chars().all(plain);
        if !self.oidc.iter().all(name) {
            found.push(("oidc.name", "must be letters, digits and -"));
        }
        let is = |oidc: &Oidc| oidc.scopes.iter().any(|scope| scope == "openid");
        if !self.oidc.iter().all(is) {
            found.push((
                "oidc.scopes",
                "must have openid: without it nobody is identified",
            ));
        }
        found.extend(self.brand.problems());
        found.extend(self.external.iter().flat_map(External::problems));
        found
    }
}

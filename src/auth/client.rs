//! Programs that ask for tokens: SMART apps and backend services; and engines with a fixed key.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{records::Kept, scope::Scopes};
use crate::network::Network;

/// A program that is registered with the authorization server.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Client {
    /// What pages call it.
    pub name: String,
    /// Hashes of its secrets; two while one follows the other.
    pub secrets: Vec<HashedSecret>,
    /// Its public keys (RFC 7517), inline.
    pub jwks: Option<Value>,
    /// Where its public keys are; https.
    pub jwks_uri: Option<String>,
    /// Where users are sent back to; compared letter by letter.
    pub redirect_uris: Vec<String>,
    /// Where an EHR launch begins.
    pub launch_uri: Option<String>,
    /// Origins of its pages, for CORS; those of its redirects count too.
    pub origins: Vec<String>,
    /// Scopes that it may ask for.
    pub scopes: Vec<String>,
    /// Seconds that its access tokens live; the server's default without.
    pub access_seconds: Option<u32>,
    /// The user is not asked for consent: a program of the hospital itself.
    pub trusted: bool,
    /// Whom to ask about it.
    pub contact: Option<String>,
    /// Gets no tokens, and has no valid ones.
    pub disabled: bool,
    /// Milliseconds since 1970.
    pub created: i64,
}

/// A secret as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HashedSecret {
    /// SHA-256, hexadecimal.
    pub hash: String,
    /// Milliseconds since 1970 from which on it is not valid.
    #[serde(default)]
    pub expires: Option<i64>,
}

/// How a client proves who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// Not at all: a public client.
    None,
    /// With a secret.
    Secret,
    /// With a JWT that it signed (`private_key_jwt`).
    Key,
}

impl Kept for Client {
    const KIND: i64 = 5;
    const NAME: &'static str = "client";
}

impl Client {
    /// How it must prove who it is: the strongest that it can.
    pub fn proof(&self) -> Proof {
        if self.jwks.is_some() || self.jwks_uri.is_some() {
            Proof::Key
        } else if self.secrets.is_empty() {
            Proof::None
        } else {
            Proof::Secret
        }
    }

    /// What it may ask for.
    pub fn allowed(&self) -> Scopes {
        let texts = self.scopes.iter().map(String::as_str);
        Scopes(texts.flat_map(|text| Scopes::parse(text).0).collect())
    }
}

/// A fixed key of an engine that cannot do OAuth: `hk_<id>_<secret>` as Bearer.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ApiKey {
    /// What it is for.
    pub name: String,
    /// SHA-256 of the secret, hexadecimal.
    pub hash: String,
    /// `system/` scopes.
    pub scopes: Vec<String>,
    /// Addresses or networks (`10.1.0.0/16`) from which it is taken; empty is any.
    pub addresses: Vec<Network>,
    /// Milliseconds since 1970 from which on it is not valid.
    pub expires: Option<i64>,
    /// When it was last used, to within a minute; milliseconds since 1970.
    pub last_used: Option<i64>,
    /// Milliseconds since 1970.
    pub created: i64,
}

impl Kept for ApiKey {
    const KIND: i64 = 6;
    const NAME: &'static str = "API key";

    // Kept past its end, so that it can be seen that it has ended.
}

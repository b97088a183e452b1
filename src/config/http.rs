//! The listeners.

use std::{net::SocketAddr, path::PathBuf};

use serde::{Deserialize, Serialize};

use super::address;
use crate::network::Network;

/// The listeners.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Http {
    /// Address of the FHIR API; port 0 takes a free port.
    #[serde(deserialize_with = "address::deserialize")]
    pub listen: SocketAddr,
    /// Address of health and metrics; loopback only.
    #[serde(deserialize_with = "address::deserialize")]
    pub admin_listen: SocketAddr,
    /// The base URL that clients see, if it is not `http://<listen>/fhir`, or `https://…` with
    /// TLS; behind a proxy, for instance `https://fhir.example.org/fhir`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base_url: Option<String>,
    /// Serve without authentication; refused on any address but loopback.
    pub open: bool,
    /// Origins that browsers may call from (CORS), like `https://app.example.org`; `*` is any.
    pub cors_origins: Vec<String>,
    /// A proxy in front ends TLS. Only `proxies` may connect then, save from this computer.
    pub behind_proxy: bool,
    /// Addresses of the proxies, like `10.0.0.0/8`.
    pub proxies: Vec<Network>,
    /// The header in which the proxies name their client.
    pub client_header: ClientHeader,
    /// TLS, by this server itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
}

/// Files for TLS. They are read again when they change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// PEM: the certificate, then those that lead to its authority.
    pub certificate: PathBuf,
    /// PEM: its private key.
    pub key: PathBuf,
}

/// The header in which proxies name their client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClientHeader {
    /// `X-Forwarded-For`
    #[default]
    XForwardedFor,
    /// `Forwarded` (RFC 7239)
    Forwarded,
}

impl Default for Http {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            admin_listen: SocketAddr::from(([127, 0, 0, 1], 9090)),
            base_url: None,
            open: false,
            cors_origins: Vec::new(),
            behind_proxy: false,
            proxies: Vec::new(),
            client_header: ClientHeader::default(),
            tls: None,
        }
    }
}

impl Http {
    /// What makes no sense, as key below `http.` and sentence.
    pub fn problems(&self) -> Vec<(&'static str, String)> {
        let mut found = self.exposed();
        found.extend(self.base_url_problem().map(|reason| ("base_url", reason)));
        for origin in self.cors_origins.iter().filter(|origin| !is_origin(origin)) {
            let reason = format!(
                "'{origin}' is no origin; write scheme and host as in https://app.example.org, or *"
            );
            found.push(("cors_origins", reason));
        }
        found
    }

    /// Listeners that anyone could reach who should not.
    fn exposed(&self) -> Vec<(&'static str, String)> {
        let mut found = Vec::new();
        let mut refuse = |key, reason: &str| found.push((key, reason.to_owned()));
        if !self.admin_listen.ip().is_loopback() {
            refuse(
                "admin_listen",
                "must be a loopback address (127.0.0.1 or [::1]): metrics and health have no \
                 authentication",
            );
        }
        if self.open && !self.listen.ip().is_loopback() {
            refuse(
                "listen",
                "must be a loopback address (127.0.0.1 or [::1]) while the server is open: \
                 without authentication, anyone who reaches it reads and writes everything",
            );
        }
        if self.open && self.behind_proxy {
            refuse(
                "behind_proxy",
                "must be false while the server is open: without authentication, anyone who \
                 reaches the proxy reads and writes everything",
            );
        }
        if self.behind_proxy && self.proxies.is_empty() {
            refuse(
                "proxies",
                "must name the addresses of the proxies, as in [\"10.0.0.7\", \"fd00::/64\"]: \
                 others are not believed when they name a client",
            );
        }
        if !self.behind_proxy && !self.proxies.is_empty() {
            refuse(
                "proxies",
                "has a meaning only with behind_proxy = true; set that, or leave both out",
            );
        }
        let secured = self.tls.is_some() || self.behind_proxy;
        if !self.listen.ip().is_loopback() && !self.open && !secured {
            let reason = format!(
                "{} is reachable from other computers, and without TLS passwords, tokens and \
                 health data would cross the network readable to all. Name certificate and key \
                 in [http.tls]; or, if a proxy in front ends TLS, set behind_proxy = true and \
                 proxies; or listen on 127.0.0.1",
                self.listen
            );
            refuse("listen", &reason);
        }
        found
    }

    fn base_url_problem(&self) -> Option<String> {
        let Some(url) = &self.base_url else {
            let nowhere = self.tls.is_some() && self.listen.ip().is_unspecified();
            return (self.behind_proxy || nowhere).then(|| {
                "must be set on such an address, as in https://fhir.example.org/fhir: links and \
                 the issuer of tokens begin with it, whatever a request says"
                    .to_owned()
            });
        };
        if let Some(reason) = no_base(url) {
            return Some(reason.to_owned());
        }
        if url.starts_with("https://") {
            return None;
        }
        if self.tls.is_some() {
            return Some("must begin with https://: the server has TLS".to_owned());
        }
        (self.behind_proxy && !is_local(url)).then(|| {
            "must begin with https://: what clients send to the proxy has to be encrypted too"
                .to_owned()
        })
    }

    /// The base URL of a server that listens on `address`.
    pub fn base_url_at(&self, address: SocketAddr, path: &str) -> String {
        match &self.base_url {
            Some(base) => base.trim_end_matches('/').to_owned(),
            None if self.tls.is_some() => format!("https://{address}{path}"),
            None => format!("http://{address}{path}"),
        }
    }
}

/// Whether a URL leads to the client's own computer.
fn is_local(url: &str) -> bool {
    let rest = url.strip_prefix("http://").unwrap_or_default();
    let authority = rest.split('/').next().unwrap_or_default();
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => authority,
    };
    ["localhost", "127.0.0.1", "[::1]"].contains(&host)
}

/// Why a URL cannot be the base of others.
pub(super) fn no_base(url: &str) -> Option<&'static str> {
    let Some(rest) = url
        .strip_prefix("http://")
        .or_else(|| url.strip_prefix("https://"))
    else {
        return Some("must begin with http:// or https://");
    };
    if rest.is_empty() || rest.starts_with(['/', '?', '#', ':']) {
        return Some("must name a host after http:// or https://");
    }
    if rest.contains(['?', '#']) {
        return Some("must have no query and no fragment: addresses are made by appending to it");
    }
    rest.contains(|letter: char| letter.is_whitespace() || letter.is_control())
        .then_some("must have no spaces")
}

/// `*`, or scheme, host and perhaps port, as browsers send them.
fn is_origin(text: &str) -> bool {
    let Some((scheme, authority)) = text.split_once("://") else {
        return text == "*";
    };
    let authority = authority.strip_suffix('/').unwrap_or(authority);
    let is_part = |c: char| c.is_ascii_alphanumeric() || "-._:[]".contains(c);
    matches!(scheme, "http" | "https")
        && authority.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '[')
        && authority.chars().all(is_part)
}

//! A URL that somebody named -> what is connected to and asked for.

use std::{collections::HashSet, net::IpAddr};

use hyper::{Uri, header::HeaderValue};
use rustls::pki_types::ServerName;
use url::{Host, Url};

use super::{FetchError, Resolve, is_public};

/// Bytes of a URL.
const LONGEST: usize = 2_048;

/// Host and port, as the URL standard writes them: `127.1` is `127.0.0.1`, `Ö` is punycode.
type Authority = (Host<String>, u16);

/// Authorities that may be private and without TLS.
#[derive(Debug, Clone, Default)]
pub struct Allowed(HashSet<Authority>);

impl Allowed {
    /// Reads entries like `idp.internal:8443`.
    pub fn read(entries: &[String]) -> Result<Self, FetchError> {
        let read = |entry: &String| {
            authority(entry).ok_or_else(|| FetchError::Settings {
                key: "allow",
                reason: format!(
                    "'{entry}' is no host with a port; write it like idp.internal:8443 or \
                     [fd00::1]:443"
                ),
            })
        };
        entries.iter().map(read).collect::<Result<_, _>>().map(Self)
    }
}

fn authority(entry: &str) -> Option<Authority> {
    let (host, port) = entry.rsplit_once(':')?;
    let port = port.parse().ok().filter(|port| *port != 0)?;
    let plain = !host.contains(['/', '?', '#', '@', '\\', '%', '*']);
    let host = Host::parse(host).ok().filter(|_| plain)?;
    Some((host, port))
}

/// What is fetched.
#[derive(Debug)]
pub struct Target {
    url: Url,
    host: Host<String>,
    port: u16,
    allowed: bool,
}

impl Target {
    /// Reads a URL once, by the URL standard, and refuses what is not fetched.
    pub fn read(text: &str, allowed: &Allowed) -> Result<Self, FetchError> {
        let url = plain_url(text)?;
        let host = match url.host() {
            Some(Host::Domain(name)) => Host::Domain(name.to_owned()),
            Some(Host::Ipv4(ip)) => Host::Ipv4(ip),
            Some(Host::Ipv6(ip)) => Host::Ipv6(ip),
            None => return Err(FetchError::Url("it names no host")),
        };
        let port = url
            .port_or_known_default()
            .ok_or(FetchError::Url("it names no port"))?;
        let authority = (host, port);
        let allowed = allowed.0.contains(&authority);
        let (host, port) = authority;
        if !allowed {
            refuse_scheme_and_port(&url, port)?;
        }
        Ok(Self {
            url,
            host,
            port,
            allowed,
        })
    }

    /// Whether the connection is TLS.
    pub fn is_secure(&self) -> bool {
        self.url.scheme() == "https"
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whom the certificate must be for.
    pub fn server_name(&self) -> Result<ServerName<'static>, FetchError> {
        match &self.host {
            Host::Domain(name) => ServerName::try_from(name.clone())
                .map_err(|_| FetchError::Url("its host is no name that a certificate can have")),
            Host::Ipv4(ip) => Ok(ServerName::from(IpAddr::V4(*ip))),
            Host::Ipv6(ip) => Ok(ServerName::from(IpAddr::V6(*ip))),
        }
    }

    /// Path and query.
    pub fn path(&self) -> Result<Uri, FetchError> {
        self.url[url::Position::BeforePath..url::Position::AfterQuery]
            .parse()
            .map_err(|_| FetchError::Url("its path or query is malformed"))
    }

    /// Host, with its port unless it is the scheme's own.
    pub fn host_header(&self) -> Result<HeaderValue, FetchError> {
        HeaderValue::from_str(&self.url[url::Position::BeforeHost..url::Position::AfterPort])
            .map_err(|_| FetchError::Url("its host is malformed"))
    }

    /// Resolves the host, once. One address that is not for everybody spoils all: which of them
    /// a name gives first is up to whoever owns the name.
    pub async fn addresses(&self, resolver: &dyn Resolve) -> Result<Vec<IpAddr>, FetchError> {
        let found = match &self.host {
            Host::Ipv4(ip) => vec![IpAddr::V4(*ip)],
            Host::Ipv6(ip) => vec![IpAddr::V6(*ip)],
            Host::Domain(name) => resolver
                .resolve(name)
                .await
                .map_err(|error| FetchError::Name(error.to_string()))?,
        };
        if found.is_empty() {
            return Err(FetchError::Name("it has no address".to_owned()));
        }
        let private = found.iter().find(|ip| !is_public(**ip));
        match private {
            Some(ip) if !self.allowed => Err(FetchError::Private(*ip)),
            _ => Ok(found),
        }
    }
}

/// An `http` or `https` URL that means the same to every reader: nothing that parsers drop, and
/// no credentials.
fn plain_url(text: &str) -> Result<Url, FetchError> {
    if text.len() > LONGEST {
        return Err(FetchError::Url("it is too long"));
    }
    let is_plain = |c: char| c.is_ascii_graphic() && c != '\\';
    if !text.chars().all(is_plain) {
        return Err(FetchError::Url(
            "it has spaces, control characters, backslashes or letters beyond ASCII",
        ));
    }
    let rest = ["https://", "http://"]
        .iter()
        .find_map(|scheme| text.strip_prefix(scheme))
        .ok_or(FetchError::Url("it must begin with https://"))?;
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains(['@', '%']) {
        return Err(FetchError::Url(
            "user names, passwords and escapes before the path are refused",
        ));
    }
    Url::parse(text).map_err(|_| FetchError::Url("it is malformed"))
}

/// TLS, on the port for it or on one that no service of the system has.
fn refuse_scheme_and_port(url: &Url, port: u16) -> Result<(), FetchError> {
    if url.scheme() != "https" {
        return Err(FetchError::Url("it must begin with https://"));
    }
    match port {
        443 | 1_024.. => Ok(()),
        _ => Err(FetchError::Url("its port must be 443 or from 1024 up")),
    }
}

//! Which host a request names.

use axum::http::{HeaderMap, StatusCode, Version, header, request::Parts};

use super::failure::Failure;

/// The hosts under which the server answers while there is no authentication.
#[derive(Debug, Clone, Default)]
pub struct Hosts {
    /// That of the base URL, with its port.
    own: String,
}

impl Hosts {
    /// This computer and the host of the base URL.
    pub fn new(base_url: &str) -> Self {
        let rest = base_url.split_once("://").map_or("", |(_, rest)| rest);
        let own = rest.split('/').next().unwrap_or_default();
        Self {
            own: own.to_owned(),
        }
    }

    /// Refuses a request that names a host other than this computer or that of the base URL: a
    /// page whose name was pointed at this computer (DNS rebinding) would read everything.
    ///
    /// # Errors
    /// 421.
    pub fn check(&self, parts: &Parts) -> Result<(), Failure> {
        // The authority of a whole URL goes before Host (RFC 9112, section 3.2.2).
        let authority = parts.uri.authority().map(|authority| authority.as_str());
        let header = parts.headers.get(header::HOST);
        let header = header.map(|host| host.to_str().unwrap_or_default());
        if authority
            .into_iter()
            .chain(header)
            .all(|host| self.contains(host))
        {
            return Ok(());
        }
        Err(Failure::new(
            StatusCode::MISDIRECTED_REQUEST,
            "forbidden",
            "The Host of the request is not this server. While it is open to all, it answers \
             under 127.0.0.1, localhost and the host of http.base_url only.",
        ))
    }

    fn contains(&self, host: &str) -> bool {
        let name = match host.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
            _ => host,
        };
        (!self.own.is_empty() && host.eq_ignore_ascii_case(&self.own))
            || name.eq_ignore_ascii_case("localhost")
            || name == "[::1]"
            || name
                .parse()
                .is_ok_and(|ip: std::net::Ipv4Addr| ip.is_loopback())
    }
}

/// Refuses a request without Host, or with several (RFC 9112, section 3.2).
///
/// # Errors
/// 400.
pub fn check_one(version: Version, headers: &HeaderMap) -> Result<(), Failure> {
    match headers.get_all(header::HOST).iter().count() {
        1 => Ok(()),
        0 if version < Version::HTTP_11 => Ok(()),
        0 => Err(Failure::bad_request("The request has no Host; send one.")),
        _ => Err(Failure::bad_request(
            "The request has several Hosts; send one.",
        )),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    fn parts(uri: &str, hosts: &[&str]) -> Parts {
        let mut request = Request::get(uri);
        for host in hosts {
            request = request.header(header::HOST, *host);
        }
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn a_foreign_name_for_this_computer_is_noticed() {
        let hosts = Hosts::new("https://fhir.example.org:8443/r4");
        for fine in [
            "127.0.0.1:8080",
            "127.0.0.1",
            "localhost:80",
            "LOCALHOST",
            "[::1]:8080",
            "[::1]",
            "fhir.example.org:8443",
        ] {
            assert!(hosts.check(&parts("/", &[fine])).is_ok(), "{fine}");
            let whole = format!("http://{fine}/fhir");
            assert!(hosts.check(&parts(&whole, &[fine])).is_ok(), "{whole}");
        }
        for foreign in [
            "evil.example",
            "evil.example:8080",
            "127.0.0.1.evil.example",
            "10.0.0.1",
            "",
        ] {
            let refused = hosts.check(&parts("/", &[foreign])).unwrap_err();
            assert_eq!(refused.status, StatusCode::MISDIRECTED_REQUEST, "{foreign}");
        }
        for foreign in ["http://evil.example/fhir", "http://a@localhost/fhir"] {
            assert!(hosts.check(&parts(foreign, &["localhost"])).is_err());
        }
    }

    #[test]
    fn there_is_one_host() {
        let check = |version, hosts: &[&str]| check_one(version, &parts("/", hosts).headers);
        assert!(check(Version::HTTP_11, &["a"]).is_ok());
        assert!(check(Version::HTTP_10, &[]).is_ok());
        assert!(check(Version::HTTP_11, &[]).is_err());
        assert!(check(Version::HTTP_11, &["a", "a"]).is_err());
        assert!(check(Version::HTTP_10, &["a", "b"]).is_err());
    }
}

//! Where a request comes from.

use std::net::IpAddr;

use axum::http::{HeaderMap, HeaderName, StatusCode, header, request::Parts};

use super::failure::Failure;
use crate::network::Network;

/// The address at the other end of the connection; [`super::serve`] puts it on every request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeerAddress(pub IpAddr);

/// The address of the client, which is the peer's unless that is a declared proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientAddress(pub IpAddr);

/// The header in which proxies say for whom they ask. Only one is believed: a proxy that writes
/// one of them lets the other pass as the client sent it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ClientHeader {
    /// `X-Forwarded-For: 192.0.2.1, 10.0.0.1`
    #[default]
    XForwardedFor,
    /// `Forwarded: for=192.0.2.1, for=10.0.0.1` (RFC 7239)
    Forwarded,
}

/// The declared proxies. Hosts and schemes that they (or others) name are never believed: links
/// begin with the configured base URL.
#[derive(Debug, Clone, Default)]
pub struct Proxies {
    /// Their addresses.
    pub networks: Vec<Network>,
    /// How they name their client.
    pub header: ClientHeader,
    /// Nobody else may connect, save from this computer: there is no TLS.
    pub only: bool,
}

impl Proxies {
    fn trusts(&self, address: IpAddr) -> bool {
        self.networks
            .iter()
            .any(|network| network.contains(address))
    }

    /// The address of the client: from the right, the first that is no proxy of ours. What stands
    /// to the left of it is what the client claims.
    pub fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut nearest = peer.to_canonical();
        if !self.trusts(nearest) {
            return nearest;
        }
        let (name, read): (HeaderName, fn(&str) -> Option<IpAddr>) = match self.header {
            ClientHeader::XForwardedFor => (HeaderName::from_static("x-forwarded-for"), node),
            ClientHeader::Forwarded => (header::FORWARDED, forwarded_for),
        };
        let lines: Vec<_> = headers.get_all(name).into_iter().collect();
        for line in lines.into_iter().rev() {
            // A line that is no text cannot be looked behind.
            let Ok(line) = line.to_str() else {
                return nearest;
            };
            for entry in line.rsplit(',') {
                let Some(address) = read(entry) else {
                    return nearest;
                };
                nearest = address;
                if !self.trusts(nearest) {
                    return nearest;
                }
            }
        }
        nearest
    }

    /// Refuses who connects past the proxies to a listener without TLS.
    ///
    /// # Errors
    /// 403.
    pub fn check(&self, parts: &Parts) -> Result<(), Failure> {
        let Some(PeerAddress(peer)) = parts.extensions.get() else {
            return Ok(());
        };
        if !self.only || peer.to_canonical().is_loopback() || self.trusts(*peer) {
            return Ok(());
        }
        Err(Failure::new(
            StatusCode::FORBIDDEN,
            "forbidden",
            "Here is no TLS: only the proxies that http.proxies names may connect. Use the \
             server's public address.",
        ))
    }
}

/// `192.0.2.1`, `192.0.2.1:4711`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:4711`.
fn node(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bare = match text.strip_prefix('[') {
        Some(rest) => {
            let (address, port) = rest.split_once(']')?;
            if !(port.is_empty() || port.strip_prefix(':').is_some_and(is_port)) {
                return None;
            }
            address
        }
        None => match text.split_once(':') {
            Some((address, port)) if is_port(port) && !address.is_empty() => address,
            _ => text,
        },
    };
    bare.parse().ok().map(|ip: IpAddr| ip.to_canonical())
}

fn is_port(text: &str) -> bool {
    !text.is_empty() && text.len() <= 5 && text.bytes().all(|b| b.is_ascii_digit())
}

/// The `for` of one element of `Forwarded`. A quoted comma or semicolon breaks it, and then
/// nothing to the left is believed.
fn forwarded_for(element: &str) -> Option<IpAddr> {
    element
        .split(';')
        .filter_map(|pair| pair.split_once('='))
        .find(|(name, _)| name.trim().eq_ignore_ascii_case("for"))
        .and_then(|(_, value)| node(value.trim().trim_matches('"')))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn without_tls_only_the_proxies_and_this_computer_may_connect() {
        let mut proxies = Proxies {
            networks: vec!["10.0.0.0/8".parse().unwrap()],
            header: ClientHeader::default(),
            only: true,
        };
        let parts = |peer: &str| {
            let mut parts = axum::http::Request::get("/")
                .body(())
                .unwrap()
                .into_parts()
                .0;
            parts.extensions.insert(PeerAddress(peer.parse().unwrap()));
            parts
        };
        for (peer, let_in) in [
            ("10.0.0.1", true),
            ("::ffff:10.0.0.1", true),
            ("127.0.0.1", true),
            ("::1", true),
            ("::ffff:127.0.0.1", true),
            ("192.0.2.1", false),
            ("2001:db8::1", false),
        ] {
            assert_eq!(proxies.check(&parts(peer)).is_ok(), let_in, "{peer}");
        }
        proxies.only = false;
        assert!(proxies.check(&parts("192.0.2.1")).is_ok());
    }

    fn client(peer: &str, header: ClientHeader, lines: &[(&'static str, &'static str)]) -> String {
        let proxies = Proxies {
            networks: ["10.0.0.0/8", "fd00::/8"]
                .map(|text| text.parse().unwrap())
                .to_vec(),
            header,
            only: false,
        };
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_static(value));
        }
        proxies.client(peer.parse().unwrap(), &headers).to_string()
    }

    #[test]
    fn the_client_is_the_first_from_the_right_that_is_no_proxy() {
        use ClientHeader::{Forwarded, XForwardedFor};
        const X: &str = "x-forwarded-for";
        const F: &str = "forwarded";
        for (peer, header, lines, expected) in [
            ("192.0.2.1", XForwardedFor, &[][..], "192.0.2.1"),
            // Who is no proxy is not believed.
            (
                "192.0.2.1",
                XForwardedFor,
                &[(X, "198.51.100.1")],
                "192.0.2.1",
            ),
            ("10.0.0.1", XForwardedFor, &[], "10.0.0.1"),
            (
                "10.0.0.1",
                XForwardedFor,
                &[(X, "198.51.100.1")],
                "198.51.100.1",
            ),
            (
                "::ffff:10.0.0.1",
                XForwardedFor,
                &[(X, "198.51.100.1")],
                "198.51.100.1",
            ),
            (
                "10.0.0.1",
                XForwardedFor,
                &[(X, "127.0.0.1, 198.51.100.1")],
                "198.51.100.1",
            ),
            (
                "10.0.0.1",
                XForwardedFor,
                &[(X, "198.51.100.1,10.0.0.2, 10.0.0.3")],
                "198.51.100.1",
            ),
            (
                "10.0.0.1",
                XForwardedFor,
                &[(X, "198.51.100.9"), (X, "198.51.100.1, 10.0.0.2")],
                "198.51.100.1",
            ),
            (
                "10.0.0.1",
                XForwardedFor,
                &[(X, "10.0.0.3, 10.0.0.2")],
                "10.0.0.3",
            ),
            (
                "10.0.0.1",
                XForwardedFor,
                &[(X, "198.51.100.1:4711")],
                "198.51.100.1",
            ),
            (
                "10.0.0.1",
                XForwardedFor,
                &[(X, "[2001:db8::1]:4711")],
                "2001:db8::1",
            ),
            (
                "10.0.0.1",
                XForwardedFor,
                &[(X, "2001:db8::1")],
                "2001:db8::1",
            ),
            (
                "fd00::1",
                XForwardedFor,
                &[(X, "::ffff:198.51.100.1")],
                "198.51.100.1",
            ),
            (
                "10.0.0.1",
                XForwardedFor,
                &[(X, "198.51.100.1, unknown")],
                "10.0.0.1",
            ),
            (
                "10.0.0.1",
                XForwardedFor,
                &[(X, "198.51.100.1, unknown, 10.0.0.2")],
                "10.0.0.2",
            ),
            (
                "10.0.0.1",
                XForwardedFor,
                &[(X, "198.51.100.1, ")],
                "10.0.0.1",
            ),
            ("10.0.0.1", XForwardedFor, &[(X, "")], "10.0.0.1"),
            // The header that the proxy does not write is the client's.
            (
                "10.0.0.1",
                XForwardedFor,
                &[(F, "for=198.51.100.1")],
                "10.0.0.1",
            ),
            ("10.0.0.1", Forwarded, &[(X, "198.51.100.1")], "10.0.0.1"),
            (
                "10.0.0.1",
                Forwarded,
                &[(F, "for=198.51.100.1")],
                "198.51.100.1",
            ),
            (
                "10.0.0.1",
                Forwarded,
                &[(F, "proto=https;For=\"198.51.100.1:80\";host=evil")],
                "198.51.100.1",
            ),
            (
                "10.0.0.1",
                Forwarded,
                &[(F, "for=192.0.2.7, for=\"[2001:db8::1]:4711\", for=10.2.3.4")],
                "2001:db8::1",
            ),
            (
                "10.0.0.1",
                Forwarded,
                &[(F, "for=198.51.100.1, for=_hidden")],
                "10.0.0.1",
            ),
            (
                "10.0.0.1",
                Forwarded,
                &[(F, "for=198.51.100.1, by=10.0.0.7")],
                "10.0.0.1",
            ),
        ] {
            assert_eq!(client(peer, header, lines), expected, "{peer} {lines:?}");
        }
    }
}

//! Addresses to listen on.

use std::net::{SocketAddr, ToSocketAddrs};

use serde::{Deserialize, Deserializer, de::Error};

/// An address as people write it: `127.0.0.1:8080`, `[::1]:8080`, or with a name of this computer
/// for itself, `localhost:8080`.
///
/// # Errors
/// It is no address, or a name that means other computers too: what is served to whom should not
/// depend on somebody's name server.
pub fn address(text: &str) -> Result<SocketAddr, String> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let is_name = text
        .rsplit_once(':')
        .is_some_and(|(name, port)| !name.is_empty() && port.parse::<u16>().is_ok());
    if !is_name {
        return Err(
            "invalid socket address; it is like 127.0.0.1:8080, [::1]:8080 or localhost:8080"
                .to_owned(),
        );
    }
    let found: Vec<SocketAddr> = text
        .to_socket_addrs()
        .map_err(|error| format!("invalid socket address: {error}; name it by its number"))?
        .collect();
    if !found.iter().all(|address| address.ip().is_loopback()) {
        return Err(
            "a name may stand here only for a loopback address; name others by their number"
                .to_owned(),
        );
    }
    // Most clients that are given the name try IPv4 first.
    let first = found.into_iter().min_by_key(SocketAddr::is_ipv6);
    first.ok_or_else(|| "invalid socket address: the name has none".to_owned())
}

/// [`address`], for serde.
pub(super) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<SocketAddr, D::Error> {
    address(&String::deserialize(deserializer)?).map_err(D::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_number_or_a_name_of_this_computer() {
        for (text, expected) in [
            ("127.0.0.1:0", "127.0.0.1:0"),
            ("0.0.0.0:80", "0.0.0.0:80"),
            ("[::1]:8080", "[::1]:8080"),
            ("localhost:8080", "127.0.0.1:8080"),
        ] {
            assert_eq!(address(text).unwrap().to_string(), expected);
        }
        for text in [
            "localhost",
            "nowhere",
            ":80",
            "8080",
            "localhost:port",
            "no.such.name.invalid:80",
        ] {
            let reason = address(text).unwrap_err();
            assert!(reason.starts_with("invalid socket address"), "{reason}");
        }
    }
}

//! Blocks of addresses, and what listeners see of clients.

use std::{fmt, io, net::IpAddr, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// True if a connection could not be accepted because its client has gone: the listener is well.
pub fn is_about_the_client(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
    )
}

/// A block of addresses, written `10.0.0.0/8` or `fd00::/8`, or one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

impl Network {
    /// Whether `address` lies in it. IPv4 addresses that a dual-stack listener sees in IPv6 count
    /// as what they are.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(block), IpAddr::V4(ip)) => {
                let shift = 32 - u32::from(self.bits);
                let network = |ip: u32| ip.checked_shr(shift).unwrap_or(0);
                network(block.to_bits()) == network(ip.to_bits())
            }
            (IpAddr::V6(block), IpAddr::V6(ip)) => {
                let shift = 128 - u32::from(self.bits);
                let network = |ip: u128| ip.checked_shr(shift).unwrap_or(0);
                network(block.to_bits()) == network(ip.to_bits())
            }
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refuse = |reason: &str| {
            format!("'{text}' {reason}; write a block of addresses like 10.0.0.0/8, or one address")
        };
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| refuse("is no address"))?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            None => most,
            Some(bits) => bits
                .parse()
                .ok()
                .filter(|bits| *bits <= most)
                .ok_or_else(|| refuse("has no number of bits after the slash that fits"))?,
        };
        let network = Self { address, bits };
        let is_first = match address {
            IpAddr::V4(ip) => ip.to_bits().trailing_zeros() >= u32::from(32 - bits),
            IpAddr::V6(ip) => ip.to_bits().trailing_zeros() >= u32::from(128 - bits),
        };
        match is_first {
            true => Ok(network),
            false => Err(refuse("is not the first address of its block")),
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

impl Serialize for Network {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_contains_its_addresses_and_no_others() {
        for (network, inside, outside) in [
            (
                "10.0.0.0/8",
                &["10.0.0.0", "10.255.1.2", "::ffff:10.1.1.1"][..],
                &["11.0.0.0", "9.255.255.255", "::10.0.0.1"][..],
            ),
            (
                "192.168.1.7",
                &["192.168.1.7"],
                &["192.168.1.6", "192.168.1.8"],
            ),
            (
                "192.168.1.0/31",
                &["192.168.1.0", "192.168.1.1"],
                &["192.168.1.2"],
            ),
            ("0.0.0.0/0", &["1.2.3.4", "255.255.255.255"], &["::1"]),
            (
                "fd00::/8",
                &["fd00::1", "fdff::"],
                &["fc00::1", "fe00::", "10.0.0.1"],
            ),
            ("::/0", &["::1", "fd00::1"], &["1.2.3.4"]),
            ("::1", &["::1"], &["::2"]),
        ] {
            let block: Network = network.parse().unwrap();
            for address in inside {
                assert!(
                    block.contains(address.parse().unwrap()),
                    "{network} {address}"
                );
            }
            for address in outside {
                assert!(
                    !block.contains(address.parse().unwrap()),
                    "{network} {address}"
                );
            }
            assert_eq!(block.to_string().parse::<Network>(), Ok(block));
        }
    }

    #[test]
    fn what_is_no_block_is_refused() {
        for text in [
            "",
            "10.0.0.0/33",
            "10.0.0.1/8",
            "10.0.0.0/",
            "10.0.0/8",
            "fd00::/129",
            "fd00::1/64",
            "proxy",
            "10.0.0.0/-1",
        ] {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
    }
}

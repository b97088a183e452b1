//! HL7 v2: listeners, and what is agreed with senders and receivers.

mod destination;

use std::{
    collections::{BTreeMap, HashSet},
    net::SocketAddr,
    path::PathBuf,
};

use serde::{Deserialize, Serialize};

use super::address;
use crate::network::Network;

pub use destination::{
    Hl7AfterFailure, Hl7Asking, Hl7Destination, Hl7Events, Hl7Medications, Hl7Orders,
};

/// HL7 v2.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Hl7 {
    /// Where messages are received (MLLP).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub listeners: Vec<Hl7Listener>,
    /// What is agreed with senders; a message takes the first that is for its sender. None: one
    /// for all, with defaults.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub channels: Vec<Hl7Channel>,
    /// Where messages are sent.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub destinations: Vec<Hl7Destination>,
}

/// A listener.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hl7Listener {
    /// Its address; port 0 takes a free port.
    #[serde(deserialize_with = "address::deserialize")]
    pub listen: SocketAddr,
    /// TLS, with certificates of clients.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Hl7Tls>,
    /// What comes here has been secured on its way, by a VPN or a proxy: plain on an address that
    /// other computers reach. Only `peers` may connect then, save from this computer.
    #[serde(default)]
    pub behind_tunnel: bool,
    /// Addresses that may connect, like `10.0.0.0/8`; none: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub peers: Vec<Network>,
    /// Names of the channels that messages may come through; none: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub channels: Vec<String>,
    /// MLLP release 2: before any answer, whether the message is stored.
    #[serde(default)]
    pub release_2: bool,
    /// A frame may end in FS alone, or FS LF.
    #[serde(default = "yes")]
    pub tolerant: bool,
}

fn yes() -> bool {
    true
}

/// Files for TLS. They are read again when they change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hl7Tls {
    /// PEM: the certificate, then those that lead to its authority.
    pub certificate: PathBuf,
    /// PEM: its private key.
    pub key: PathBuf,
    /// PEM: the authorities of whose certificates each client must have one.
    pub client_authorities: PathBuf,
}

/// What is agreed with a sender.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Hl7Channel {
    /// Its name: it stands in `meta.source` of what it makes.
    pub name: String,
    /// SHA-256 of the client certificates with which a message may come, in hexadecimal digits,
    /// with colons or without; none: any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub certificates: Vec<String>,
    /// MSH-3 (its first component) that a message must have; none: any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub applications: Vec<String>,
    /// MSH-4 that a message must have; none: any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub facilities: Vec<String>,
    /// What is taken: `ADT`, or `ADT^A01`; none: all that is known.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub types: Vec<String>,
    /// MSH-11 that is taken: `P` (production), `T` (training), `D` (debugging).
    pub processing: Vec<String>,
    /// The IANA name of the zone of times that name none; empty: `scheduling.time_zone`.
    pub time_zone: String,
    /// The character set of messages whose MSH-18 is empty, by its name in table 0211 or on the
    /// web: `UNICODE UTF-8`, `8859/1`, `windows-1252`.
    pub charset: String,
    /// What is taken if the bytes are not what MSH-18, or `charset`, says.
    pub fallback_charset: String,
    /// Systems (URIs) of identifiers, by the namespace or OID of their authority.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub authorities: BTreeMap<String, String>,
    /// A CSV file with rows that add to, replace or remove those of the mapping.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overlay: Option<PathBuf>,
    /// When and how is answered.
    pub acknowledge: Hl7Acknowledge,
    /// What the sender gets while the store does not take its message.
    pub when_down: Hl7WhenDown,
    /// Minutes for which a message that comes again is known again, and not done twice.
    pub duplicate_minutes: u32,
    /// Seconds for which a message that cannot be applied at present keeps those behind it, about
    /// the same patient, waiting; then it goes to the error queue.
    pub block_seconds: u32,
    /// MSH-13 is checked.
    pub sequence: bool,
}

/// When and how a sender is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Hl7Acknowledge {
    /// As MSH-15 and MSH-16 of each message ask for it.
    #[default]
    Auto,
    /// One answer after processing, whatever MSH-15 and MSH-16 say.
    Original,
    /// One as soon as the message is stored; MSH-16 decides about another after processing.
    Enhanced,
}

/// What a sender gets while the store does not take its message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Hl7WhenDown {
    /// No answer: the connection is closed.
    #[default]
    Close,
    /// AE or CE, with the advice to send again.
    Error,
}

impl Default for Hl7Channel {
    fn default() -> Self {
        Self {
            name: "default".to_owned(),
            certificates: Vec::new(),
            applications: Vec::new(),
            facilities: Vec::new(),
            types: Vec::new(),
            processing: vec!["P".to_owned()],
            time_zone: String::new(),
            charset: "UNICODE UTF-8".to_owned(),
            fallback_charset: "windows-1252".to_owned(),
            authorities: BTreeMap::new(),
            overlay: None,
            acknowledge: Hl7Acknowledge::default(),
            when_down: Hl7WhenDown::default(),
            duplicate_minutes: 7 * 24 * 60,
            block_seconds: 30,
            sequence: false,
        }
    }
}

impl Hl7Channel {
    /// The pinned certificates as bytes.
    ///
    /// # Errors
    /// The first that is no SHA-256.
    pub fn pins(&self) -> Result<Vec<[u8; 32]>, String> {
        self.certificates.iter().map(|text| pin(text)).collect()
    }
}

fn pin(text: &str) -> Result<[u8; 32], String> {
    let digits: Vec<u8> = text.bytes().filter(|byte| *byte != b':').collect();
    let refuse = || {
        format!(
            "'{text}' is no SHA-256 of a certificate: 64 hexadecimal digits, as \
             `openssl x509 -noout -fingerprint -sha256 -in client.pem` prints them"
        )
    };
    if digits.len() != 64 {
        return Err(refuse());
    }
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks(2)) {
        let pair = std::str::from_utf8(pair).map_err(|_| refuse())?;
        *byte = u8::from_str_radix(pair, 16).map_err(|_| refuse())?;
    }
    Ok(bytes)
}

/// Minutes for which a message can be known again: messages are looked for one by one.
const LONGEST_WINDOW: u32 = 366 * 24 * 60;
/// Seconds for which a message may block others.
const LONGEST_BLOCK: u32 = 3_600;

impl Hl7 {
    /// What makes no sense, as key below `hl7.` and sentence.
    pub fn problems(&self) -> Vec<(String, String)> {
        let mut found = Vec::new();
        let names: HashSet<&str> = match self.channels.is_empty() {
            true => HashSet::from(["default"]),
            false => self.channels.iter().map(|one| one.name.as_str()).collect(),
        };
        for (at, listener) in self.listeners.iter().enumerate() {
            let mut refuse =
                |key: &str, reason: String| found.push((format!("listeners[{at}].{key}"), reason));
            for (key, reason) in listener.exposed() {
                refuse(key, reason);
            }
            for name in &listener.channels {
                if !names.contains(name.as_str()) {
                    refuse("channels", format!("there is no channel '{name}'"));
                }
            }
        }
        for (at, channel) in self.channels.iter().enumerate() {
            let twice = self.channels[..at]
                .iter()
                .any(|one| one.name == channel.name);
            if twice {
                let reason = format!("'{}' is another channel's name too", channel.name);
                found.push((format!("channels[{at}].name"), reason));
            }
            for (key, reason) in channel.problems() {
                found.push((format!("channels[{at}].{key}"), reason));
            }
        }
        for (at, destination) in self.destinations.iter().enumerate() {
            let mut refuse = |key: &str, reason: String| {
                found.push((format!("destinations[{at}].{key}"), reason));
            };
            let before = &self.destinations[..at];
            if before.iter().any(|one| one.name == destination.name) {
                let reason = format!("'{}' is another destination's name too", destination.name);
                refuse("name", reason);
            }
            let channel = destination.channel.as_deref();
            if let Some(name) = channel.filter(|name| !names.contains(name)) {
                refuse("channel", format!("there is no channel '{name}'"));
            }
            for (key, reason) in destination.problems() {
                refuse(key, reason);
            }
        }
        found
    }
}

impl Hl7Listener {
    /// A plain listener for this computer, with defaults.
    pub fn plain(listen: SocketAddr) -> Self {
        Self {
            listen,
            tls: None,
            behind_tunnel: false,
            peers: Vec::new(),
            channels: Vec::new(),
            release_2: false,
            tolerant: true,
        }
    }

    fn exposed(&self) -> Vec<(&'static str, String)> {
        let mut found = Vec::new();
        if self.tls.is_none() && !self.listen.ip().is_loopback() && !self.behind_tunnel {
            let reason = format!(
                "{} is reachable from other computers, and without TLS whoever reaches it can \
                 write health data, and read it on its way. Name certificate, key and \
                 client_authorities in tls; or, if a VPN or a proxy secures what comes here, set \
                 behind_tunnel = true and peers; or listen on 127.0.0.1",
                self.listen
            );
            found.push(("listen", reason));
        }
        if self.behind_tunnel && self.peers.is_empty() {
            let reason = "must name the addresses that may connect, as in [\"10.0.0.7\", \
                          \"fd00::/64\"]: others have not come through the tunnel";
            found.push(("peers", reason.to_owned()));
        }
        if self.behind_tunnel && self.tls.is_some() {
            let reason = "has a meaning only without tls";
            found.push(("behind_tunnel", reason.to_owned()));
        }
        found
    }
}

impl Hl7Channel {
    fn problems(&self) -> Vec<(&'static str, String)> {
        let mut found = Vec::new();
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if self.name.is_empty() || self.name.len() > 64 || !self.name.chars().all(plain) {
            let reason = "must be 1 to 64 letters, digits, '-', '_' or '.': it stands in \
                          meta.source";
            found.push(("name", reason.to_owned()));
        }
        if let Err(reason) = self.pins() {
            found.push(("certificates", reason));
        }
        if !self.time_zone.is_empty() && jiff::tz::TimeZone::get(&self.time_zone).is_err() {
            let reason = format!(
                "'{}' is no name of the IANA time zone database; names are like \
                 \"Europe/Berlin\" or \"UTC\"",
                self.time_zone
            );
            found.push(("time_zone", reason));
        }
        for (key, name) in [
            ("charset", &self.charset),
            ("fallback_charset", &self.fallback_charset),
        ] {
            if mllp::charset::named_encoding(name).is_none() {
                let reason = format!(
                    "'{name}' is no character set that is known; names are like \"UNICODE \
                     UTF-8\", \"8859/1\" or \"windows-1252\""
                );
                found.push((key, reason));
            }
        }
        for one in &self.processing {
            if !["P", "T", "D"].contains(&one.as_str()) {
                found.push(("processing", format!("'{one}' is not P, T or D")));
            }
        }
        if self.duplicate_minutes > LONGEST_WINDOW {
            let reason = format!("must be at most {LONGEST_WINDOW} (a year)");
            found.push(("duplicate_minutes", reason));
        }
        if self.block_seconds > LONGEST_BLOCK {
            let reason = format!("must be at most {LONGEST_BLOCK} (an hour)");
            found.push(("block_seconds", reason));
        }
        found
    }
}

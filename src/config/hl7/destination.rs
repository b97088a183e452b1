//! What is agreed with receivers of messages.

use std::{net::IpAddr, path::PathBuf};

use serde::{Deserialize, Serialize};

/// What is agreed with a receiver.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Hl7Destination {
    /// Its name: under it its queue is kept.
    pub name: String,
    /// `HOST:PORT`
    pub address: String,
    /// How the connection is secured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<Hl7DestinationTls>,
    /// What is sent has been secured on its way, by a VPN or a proxy: plain to another computer.
    pub behind_tunnel: bool,
    /// MSH-3, and MSH-4: what we call ourselves.
    pub sending_application: String,
    /// MSH-4
    pub sending_facility: String,
    /// MSH-5, and MSH-6: what they call themselves.
    pub receiving_application: String,
    /// MSH-6
    pub receiving_facility: String,
    /// MSH-11: `P` (production), `T` (training), `D` (debugging).
    pub processing: String,
    /// MSH-12
    pub version: String,
    /// MSH-18, by its name in table 0211; empty: ASCII.
    pub charset: String,
    /// The IANA name of the zone in which times are told; empty: `scheduling.time_zone`.
    pub time_zone: String,
    /// What is sent.
    pub events: Vec<Hl7Events>,
    /// The channel by which messages of the same system come: what came by it is not sent back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel: Option<String>,
    /// Namespaces of authorities, by the systems (URIs) of identifiers.
    #[serde(skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    pub authorities: std::collections::BTreeMap<String, String>,
    /// How ServiceRequests are written.
    pub orders: Hl7Orders,
    /// How MedicationRequests are written.
    pub medications: Hl7Medications,
    /// Which acknowledgements are asked for.
    pub acknowledge: Hl7Asking,
    /// Seconds for which an acknowledgement is waited for.
    pub ack_seconds: u32,
    /// Seconds for which one after processing is waited for, if the message was accepted.
    pub application_ack_seconds: u32,
    /// Seconds before the second attempt; each later pause is twice as long,
    pub retry_seconds: u32,
    /// up to this.
    pub retry_most_seconds: u32,
    /// How often a message is sent that is answered with an error.
    pub attempts: u32,
    /// AR and CR are tried again, as AE and CE are.
    pub retry_rejected: bool,
    /// What becomes of messages behind one of the same patient that was given up.
    pub after_failure: Hl7AfterFailure,
    /// Messages that may be on the way at the same time, each of another patient.
    pub in_flight: u32,
}

/// Files for TLS to a receiver.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Hl7DestinationTls {
    /// PEM: authorities of the receiver's certificate, beside the public ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authorities: Option<PathBuf>,
    /// PEM: the certificate that is shown, then those that lead to its authority.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<PathBuf>,
    /// PEM: its private key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<PathBuf>,
    /// The name in the receiver's certificate, if it is not the host of `address`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// What a receiver is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Hl7Events {
    /// SIU S12 to S20 and S26.
    Appointments,
    /// SIU S23 and S24.
    Blocks,
    /// ADT A28, A29, A31 and A40.
    Patients,
    /// ORM or OML.
    Orders,
    /// RDE, OMP or ORM.
    Medications,
    /// ORU.
    Results,
}

/// How ServiceRequests are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Hl7Orders {
    /// ORM^O01
    #[default]
    Orm,
    /// OML^O21
    Oml,
}

/// How MedicationRequests are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Hl7Medications {
    /// RDE^O11
    #[default]
    Rde,
    /// OMP^O09
    Omp,
    /// ORM^O01
    Orm,
}

/// Which acknowledgements a receiver is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Hl7Asking {
    /// One, after processing: MSH-15 and MSH-16 are empty.
    #[default]
    Original,
    /// One, when it is stored: AL and NE.
    Accept,
    /// Both: AL and AL.
    Both,
}

/// What becomes of messages behind one that was given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Hl7AfterFailure {
    /// They are sent, and marked.
    #[default]
    Continue,
    /// They wait until it is retried or dropped.
    Hold,
}

impl Default for Hl7Destination {
    fn default() -> Self {
        Self {
            name: String::new(),
            address: String::new(),
            tls: None,
            behind_tunnel: false,
            sending_application: "ROTUNDA".to_owned(),
            sending_facility: String::new(),
            receiving_application: String::new(),
            receiving_facility: String::new(),
            processing: "P".to_owned(),
            version: "2.5.1".to_owned(),
            charset: "UNICODE UTF-8".to_owned(),
            time_zone: String::new(),
            events: vec![Hl7Events::Appointments],
            channel: None,
            authorities: std::collections::BTreeMap::new(),
            orders: Hl7Orders::default(),
            medications: Hl7Medications::default(),
            acknowledge: Hl7Asking::default(),
            ack_seconds: 30,
            application_ack_seconds: 300,
            retry_seconds: 5,
            retry_most_seconds: 300,
            attempts: 10,
            retry_rejected: false,
            after_failure: Hl7AfterFailure::default(),
            in_flight: 1,
        }
    }
}

/// Messages on the way at the same time.
const MOST_IN_FLIGHT: u32 = 1_000;
/// Seconds of a pause or a wait.
const LONGEST: u32 = 86_400;

impl Hl7Destination {
    /// What makes no sense, as key and sentence.
    pub(super) fn problems(&self) -> Vec<(&'static str, String)> {
        let mut found = Vec::new();
        let mut refuse = |key, reason: &str| found.push((key, reason.to_owned()));
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if self.name.is_empty() || self.name.len() > 64 || !self.name.chars().all(plain) {
            refuse("name", "must be 1 to 64 letters, digits, '-', '_' or '.'");
        }
        let parts = self.address.rsplit_once(':');
        let host = parts.map_or("", |(host, _)| host.trim_matches(['[', ']']));
        let has_port = parts.is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        if host.is_empty() || !has_port {
            refuse(
                "address",
                "must be HOST:PORT, as in \"engine.example:6661\"",
            );
        }
        let is_here =
            host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
        if self.tls.is_none() && !is_here && !self.behind_tunnel {
            refuse(
                "address",
                "is on another computer, and without TLS whoever is on the way can read and \
                 change health data. Set tls; or, if a VPN or a proxy secures the way, \
                 behind_tunnel = true",
            );
        }
        if self.tls.is_some() && self.behind_tunnel {
            refuse("behind_tunnel", "has a meaning only without tls");
        }
        if let Some(tls) = &self.tls
            && tls.certificate.is_some() != tls.key.is_some()
        {
            refuse("tls", "needs both certificate and key, or neither");
        }
        if !mllp::header::VERSIONS.contains(&self.version.as_str()) {
            refuse("version", "must be a version of HL7 v2, as in \"2.5.1\"");
        }
        if !self.charset.is_empty() && mllp::charset::named_encoding(&self.charset).is_none() {
            refuse(
                "charset",
                "must be a name of table 0211, as in \"UNICODE UTF-8\" or \"8859/1\"",
            );
        }
        if !["P", "T", "D"].contains(&self.processing.as_str()) {
            refuse("processing", "must be P, T or D");
        }
        if !self.time_zone.is_empty() && jiff::tz::TimeZone::get(&self.time_zone).is_err() {
            refuse(
                "time_zone",
                "is no name of the IANA time zone database; names are like \"Europe/Berlin\"",
            );
        }
        if self.events.is_empty() {
            refuse("events", "must name what is sent, as in [\"appointments\"]");
        }
        for (key, value, most) in [
            ("ack_seconds", self.ack_seconds, LONGEST),
            (
                "application_ack_seconds",
                self.application_ack_seconds,
                LONGEST,
            ),
            ("retry_seconds", self.retry_seconds, LONGEST),
            ("retry_most_seconds", self.retry_most_seconds, LONGEST),
            ("attempts", self.attempts, LONGEST),
            ("in_flight", self.in_flight, MOST_IN_FLIGHT),
        ] {
            if value == 0 || value > most {
                refuse(key, &format!("must be from 1 to {most}"));
            }
        }
        found
    }
}

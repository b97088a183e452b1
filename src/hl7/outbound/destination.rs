//! What is agreed with a receiver.

use std::{path::PathBuf, time::Duration};

use jiff::tz::TimeZone;
use mllp::header::Party;

/// What a receiver is told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topic {
    /// Appointments: SIU S12 to S17 and S26.
    Appointments,
    /// Time that is blocked, and free again: SIU S23 and S24.
    Blocks,
    /// Patients: ADT A28, A31, A40 and A29.
    Patients,
    /// ServiceRequests: ORM, OML or OMG.
    Orders,
    /// MedicationRequests: RDE or ORM.
    Medications,
    /// DiagnosticReports: ORU.
    Results,
}

/// The message that an order becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OrderForm {
    /// ORM^O01
    #[default]
    Orm,
    /// OML^O21
    Oml,
    /// OMG^O19
    Omg,
}

/// Which acknowledgements a receiver is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Asking {
    /// MSH-15 and MSH-16 are empty: one, after processing.
    #[default]
    Original,
    /// One, when the message is stored: AL and NE.
    Accept,
    /// One when it is stored, and one after processing: AL and AL.
    Both,
}

/// Files of a connection with TLS.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsFiles {
    /// Authorities beside the public ones.
    pub authorities: Option<PathBuf>,
    /// The certificate that is shown to the receiver,
    pub certificate: Option<PathBuf>,
    /// and its key.
    pub key: Option<PathBuf>,
    /// The name in the receiver's certificate, if it is not the host of the address.
    pub name: Option<String>,
}

/// One receiver's settings.
#[derive(Debug, Clone, PartialEq)]
pub struct Destination {
    /// Its name, for operators.
    pub name: String,
    /// `HOST:PORT`
    pub address: String,
    /// How the connection is secured; `None`: not at all.
    pub tls: Option<TlsFiles>,
    /// MSH-3 and MSH-4.
    pub sending: Party,
    /// MSH-5 and MSH-6.
    pub receiving: Party,
    /// MSH-12
    pub version: String,
    /// MSH-18; empty is ASCII or UTF-8, undeclared.
    pub charset: String,
    /// MSH-11
    pub processing: String,
    /// The zone of the times that are written.
    pub zone: TimeZone,
    /// What is sent.
    pub topics: Vec<Topic>,
    /// The channel by which messages of the same system come: what came by it is not sent back.
    pub channel: Option<String>,
    /// How orders are written.
    pub orders: OrderForm,
    /// MedicationRequests are ORM^O01, not RDE^O11.
    pub medications_as_orm: bool,
    /// Which acknowledgements are asked for.
    pub asking: Asking,
    /// For how long an acknowledgement is waited for.
    pub ack_time: Duration,
    /// For how long one after processing is waited for when the message was accepted.
    pub application_time: Duration,
    /// The pause before the second attempt; each later one is twice as long,
    pub retry: Duration,
    /// up to this.
    pub retry_most: Duration,
    /// How often a message is sent that is answered with an error.
    pub attempts: u32,
    /// AR and CR are tried again, as AE and CE are.
    pub retry_rejected: bool,
    /// Behind a message that was given up, those of the same patient wait for an operator.
    pub hold: bool,
    /// Messages that are on the way at the same time, each of another patient.
    pub in_flight: usize,
}

impl Default for Destination {
    fn default() -> Self {
        Self {
            name: "default".to_owned(),
            address: "127.0.0.1:2575".to_owned(),
            tls: None,
            sending: Party {
                application: "ROTUNDA".to_owned(),
                facility: String::new(),
            },
            receiving: Party::default(),
            version: "2.5.1".to_owned(),
            charset: "UNICODE UTF-8".to_owned(),
            processing: "P".to_owned(),
            zone: TimeZone::UTC,
            topics: vec![
                Topic::Appointments,
                Topic::Blocks,
                Topic::Patients,
                Topic::Orders,
                Topic::Medications,
                Topic::Results,
            ],
            channel: None,
            orders: OrderForm::default(),
            medications_as_orm: false,
            asking: Asking::default(),
            ack_time: Duration::from_secs(30),
            application_time: Duration::from_secs(300),
            retry: Duration::from_secs(5),
            retry_most: Duration::from_secs(300),
            attempts: 10,
            retry_rejected: false,
            hold: false,
            in_flight: 1,
        }
    }
}

impl Destination {
    /// The pause after an attempt, numbered from 1.
    pub fn pause_after(&self, attempt: u32) -> Duration {
        let doubled = 1_u32 << attempt.saturating_sub(1).min(16);
        self.retry.saturating_mul(doubled).min(self.retry_most)
    }
}

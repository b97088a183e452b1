//! What is agreed with a receiver.

use std::{path::PathBuf, time::Duration};

use mllp::out::Destination as Form;

/// What a receiver is told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topic {
    /// Appointments: SIU S12 to S20 and S26.
    Appointments,
    /// Time that is blocked, and free again: SIU S23 and S24.
    Blocks,
    /// Patients: ADT A28, A31, A40 and A29.
    Patients,
    /// ServiceRequests: ORM or OML.
    Orders,
    /// MedicationRequests: RDE, OMP or ORM.
    Medications,
    /// DiagnosticReports: ORU.
    Results,
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
#[derive(Debug, Clone)]
pub struct Destination {
    /// Its name, for operators.
    pub name: String,
    /// `HOST:PORT`
    pub address: String,
    /// How the connection is secured; `None`: not at all.
    pub tls: Option<TlsFiles>,
    /// How messages to it are written.
    pub form: Form,
    /// What is sent.
    pub topics: Vec<Topic>,
    /// The channel by which messages of the same system come: what came by it is not sent back.
    pub channel: Option<String>,
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
            form: Form::default(),
            topics: vec![
                Topic::Appointments,
                Topic::Blocks,
                Topic::Patients,
                Topic::Orders,
                Topic::Medications,
                Topic::Results,
            ],
            channel: None,
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
